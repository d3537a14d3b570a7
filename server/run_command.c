/* SPDX-License-Identifier: MIT */
/*
 * run_command - a QEMU command line, and what it needs for one more disk
 *
 * The sizes and names in the user's options are passed on as text, so that
 * QEMU reads both ends alike: "-m 1.5G" and size=1.5G are the same number.
 */
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base.h"
#include "common/log.h"
#include "server/run_command.h"

#define TAG		   "ringhost"
#define VALUE_BYTES	   128
#define DEFAULT_MEMORY	   "128M" /* of QEMU's common machines */
#define FRONTEND_RING_SIZE 128	  /* what QEMU asks for by default */
#define MEMORY_ID	   "ringhost-memory"
#define CHARDEV_ID	   "ringhost-disk0"
#define MAX_ADDED	   8

/* What was found in the command; the strings are argv's. */
struct findings {
	char **argv;
	const char *memory;   /* the last -m */
	const char *smp;      /* the last -smp */
	const char *mem_path; /* -mem-path */
	bool daemonize;
	bool has_backend; /* -machine or -numa name one */
};

/* QEMU takes one dash or two. */
static bool is_option(const char *word, const char *name)
{
	if (*word++ != '-')
		return false;
	if (*word == '-')
		word++;
	return !strcmp(word, name);
}

/* The next "key=value" of text, where ",," stands for a comma. */
static const char *next_item(const char *text, char *item)
{
	size_t length = 0;

	for (; *text; text++) {
		if (*text == ',' && *++text != ',')
			break;
		if (length < VALUE_BYTES - 1)
			item[length++] = *text;
	}
	item[length] = '\0';
	return text;
}

/* "key": value in JSON, without its quotation marks. */
static bool find_json_value(const char *text, const char *key, char *ret)
{
	char quoted[VALUE_BYTES];
	size_t length;

	snprintf(quoted, sizeof(quoted), "\"%s\"", key);
	text = strstr(text, quoted);
	if (!text)
		return false;
	text += strlen(quoted);
	text += strspn(text, " \t\n:\"");
	length = MIN(strcspn(text, " \t\n,}\""), (size_t)VALUE_BYTES - 1);
	memcpy(ret, text, length);
	ret[length] = '\0';
	return true;
}

/*
 * The value of key in an option's text. implied: the key that the first item
 * may leave out, or NULL. ret: VALUE_BYTES.
 */
static bool find_value(const char *text, const char *key, const char *implied,
		       char *ret)
{
	size_t key_length = strlen(key);
	char item[VALUE_BYTES];
	bool first = true;
	bool found = false;

	if (*text == '{')
		return find_json_value(text, key, ret);
	while (*text) {
		text = next_item(text, item);
		if (first && implied && !strchr(item, '=')) {
			if (!strcmp(implied, key)) {
				strcpy(ret, item);
				found = true;
			}
		} else if (!strncmp(item, key, key_length) &&
			   item[key_length] == '=') {
			strcpy(ret, item + key_length + 1);
			found = true;
		}
		first = false;
	}
	return found;
}

static bool starts_with(const char *text, const char *start)
{
	return !strncmp(text, start, strlen(start));
}

static bool is_shared(const char *object)
{
	char share[VALUE_BYTES];
	char type[VALUE_BYTES] = "";

	if (find_value(object, "share", "qom-type", share))
		return !strcmp(share, "on") || !strcmp(share, "true") ||
		       !strcmp(share, "yes") || !strcmp(share, "y");
	find_value(object, "qom-type", "qom-type", type);
	return !strcmp(type, "memory-backend-memfd") ||
	       !strcmp(type, "memory-backend-shm");
}

/* The text of -object with this id, or NULL. */
static const char *find_object(char **argv, const char *id)
{
	char value[VALUE_BYTES];

	for (; argv[0] && argv[1]; argv++) {
		if (is_option(argv[0], "object") &&
		    find_value(argv[1], "id", "qom-type", value) &&
		    !strcmp(value, id))
			return argv[1];
	}
	return NULL;
}

/* A backend that the command names must be shared. Returns 0 or -EINVAL. */
static int check_backend(struct findings *findings, const char *id)
{
	const char *object = find_object(findings->argv, id);

	findings->has_backend = true;
	if (!object || is_shared(object))
		return 0; /* QEMU complains of a backend that is missing */
	rh_log(RH_LOG_ERROR, TAG,
	       "guest memory is not shared: add share=on to -object %s",
	       object);
	return -EINVAL;
}

static int look_at_option(struct findings *findings, const char *option,
			  const char *value)
{
	char id[VALUE_BYTES];

	if (is_option(option, "m"))
		findings->memory = value;
	else if (is_option(option, "smp"))
		findings->smp = value;
	else if (is_option(option, "mem-path"))
		findings->mem_path = value;
	else if (((is_option(option, "machine") || is_option(option, "M")) &&
		  find_value(value, "memory-backend", "type", id)) ||
		 (is_option(option, "numa") &&
		  find_value(value, "memdev", "type", id)))
		return check_backend(findings, id);
	return 0;
}

static int look_at_command(struct findings *findings)
{
	int error = 0;

	for (char **word = findings->argv + 1; *word && !error; word++) {
		if (is_option(*word, "daemonize"))
			findings->daemonize = true;
		else if (word[1])
			error = look_at_option(findings, word[0], word[1]);
	}
	return error;
}

static int check_program(const char *program)
{
	const char *slash = strrchr(program, '/');
	const char *name = slash ? slash + 1 : program;

	if (starts_with(name, "qemu-system-") || !strcmp(name, "qemu-kvm") ||
	    !strcmp(name, "kvm"))
		return 0;
	rh_log(RH_LOG_ERROR, TAG,
	       "run knows how to give a disk to qemu-system-*, not to %s: use "
	       "ringhost serve, which prints the lines that others need",
	       program);
	return -EINVAL;
}

static int check_findings(const struct findings *findings)
{
	if (findings->daemonize)
		rh_log(RH_LOG_ERROR, TAG,
		       "run ends with its command, and -daemonize ends the "
		       "command at once: leave it out");
	else if (findings->mem_path && !findings->has_backend)
		rh_log(RH_LOG_ERROR, TAG,
		       "guest memory of -mem-path is not shared: replace it "
		       "with -object memory-backend-file,id=mem0,mem-path=%s,"
		       "size=SIZE,share=on -machine memory-backend=mem0",
		       findings->mem_path);
	else
		return 0;
	return -EINVAL;
}

static unsigned int number_of(const char *text, const char *key,
			      const char *implied)
{
	char value[VALUE_BYTES];

	if (!find_value(text, key, implied, value) ||
	    !isdigit((unsigned char)*value))
		return 0;
	return (unsigned int)strtoul(value, NULL, 10);
}

/* How many CPUs the guest starts with; 0 when that is not said. */
static unsigned int nr_cpus_of(const char *smp)
{
	static const char *const levels[] = { "drawers", "books",    "sockets",
					      "dies",	 "clusters", "modules",
					      "cores",	 "threads" };
	unsigned int nr_cpus = number_of(smp, "cpus", "cpus");
	unsigned int product = 1;
	bool any = false;

	if (nr_cpus)
		return nr_cpus;
	nr_cpus = number_of(smp, "maxcpus", "cpus");
	if (nr_cpus)
		return nr_cpus;
	for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
		unsigned int number = number_of(smp, levels[i], "cpus");

		any = any || number;
		product *= MAX(number, 1u);
	}
	return any ? product : 0;
}

/* As QEMU does, a number without a unit is in MiB. */
static int memory_option(const struct findings *findings, char **ret)
{
	char size[VALUE_BYTES] = DEFAULT_MEMORY;
	const char *unit = "";

	if (findings->memory)
		find_value(findings->memory, "size", "size", size);
	if (*size && isdigit((unsigned char)size[strlen(size) - 1]))
		unit = "M";
	return asprintf(ret,
			"memory-backend-memfd,id=" MEMORY_ID
			",size=%s%s,share=on",
			size, unit);
}

static int device_option(const struct findings *findings,
			 const struct run_disk *disk, char **ret)
{
	char nr_queues[32] = "";
	char queue_size[32] = "";
	unsigned int nr_cpus = findings->smp ? nr_cpus_of(findings->smp) : 0;

	if (nr_cpus)
		snprintf(nr_queues, sizeof(nr_queues), ",num-queues=%u",
			 MIN(nr_cpus, disk->nr_queues));
	if (disk->queue_size < FRONTEND_RING_SIZE)
		snprintf(queue_size, sizeof(queue_size), ",queue-size=%u",
			 disk->queue_size);
	return asprintf(ret, "vhost-user-blk-pci,chardev=" CHARDEV_ID "%s%s",
			nr_queues, queue_size);
}

static int append(char **command, size_t *nr_words, const char *option,
		  char *value)
{
	char *word = strdup(option);

	command[*nr_words] = word;
	command[*nr_words + 1] = word ? value : NULL;
	if (!word || !value) {
		free(value);
		command[*nr_words + 1] = NULL;
		return -ENOMEM;
	}
	*nr_words += 2;
	return 0;
}

static int append_all(char **command, size_t nr_words,
		      const struct findings *findings,
		      const struct run_disk *disk)
{
	char *value = NULL;
	int error = 0;

	if (!findings->has_backend) {
		if (memory_option(findings, &value) < 0)
			return -ENOMEM;
		error = append(command, &nr_words, "-object", value);
		if (!error)
			error = append(command, &nr_words, "-machine",
				       strdup("memory-backend=" MEMORY_ID));
	}
	if (!error &&
	    asprintf(&value, "socket,id=" CHARDEV_ID ",fd=%d", disk->fd) < 0)
		return -ENOMEM;
	if (!error)
		error = append(command, &nr_words, "-chardev", value);
	if (!error && device_option(findings, disk, &value) < 0)
		return -ENOMEM;
	if (!error)
		error = append(command, &nr_words, "-device", value);
	return error;
}

int run_command_create(char **argv, const struct run_disk *disk, char ***ret)
{
	struct findings findings = { .argv = argv };
	size_t nr_words = 0;
	char **command;
	int error;

	error = check_program(argv[0]);
	if (!error)
		error = look_at_command(&findings);
	if (!error)
		error = check_findings(&findings);
	if (error)
		return error;
	while (argv[nr_words])
		nr_words++;
	command = calloc(nr_words + MAX_ADDED + 1, sizeof(*command));
	if (!command)
		return -ENOMEM;
	memcpy(command, argv, nr_words * sizeof(*command));
	error = append_all(command, nr_words, &findings, disk);
	if (error) {
		run_command_free(command, argv);
		return error;
	}
	*ret = command;
	return 0;
}

void run_command_free(char **command, char **argv)
{
	size_t nr_words = 0;

	if (!command)
		return;
	while (argv[nr_words])
		nr_words++;
	for (char **word = command + nr_words; *word; word++)
		free(*word);
	free(command);
}
