/* SPDX-License-Identifier: MIT */
/*
 * config_ini - one file of the configuration, by way of inih
 *
 * inih says where a name ends and a value begins. What it would cut off or
 * leave out without a word is kept from it: each line is read here, counted,
 * and looked at first. A section without a line in it is something to us, and
 * nothing to inih, so a line is put in behind its head: "=".
 */
#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/base.h"
#include "server/config.h"
#include "server/qmp/keyval.h"

#define BLANKS " \t\r\n\v\f"

struct reader {
	FILE *file;
	const char *name;
	struct config *config;
	struct config_item *item; /* of the section at hand; NULL: none yet */
	char *line;
	size_t capacity;
	unsigned int nr; /* of the line */
	char *head;	 /* of the section: "export vm1" */
	bool begins;	 /* its head was handed to inih, nothing else yet */
	bool waits;	 /* inih has a line of which it has told nothing yet */
	int error;
};

/* Of these kinds there is one command each; all others are objects. */
static const struct section {
	const char *word;
	enum config_kind kind;
	const char *name_argument; /* that the section's name is */
} sections[] = {
	{ "blockdev", CONFIG_NODE, "node-name" },
	{ "export", CONFIG_EXPORT, "id" },
	{ "monitor", CONFIG_MONITOR, "id" },
	{ "daemon", CONFIG_DAEMON, NULL },
};

static const struct section object_section = { "", CONFIG_OBJECT, "id" };

PRINTF_LIKE(2, 3)
static int refuse(struct reader *reader, const char *format, ...)
{
	char *why = reader->config->why;
	va_list list;
	int nr;

	if (reader->error)
		return reader->error;
	nr = snprintf(why, CONFIG_WHY_BYTES, "%.250s:%u: ", reader->name,
		      reader->nr);
	va_start(list, format);
	vsnprintf(why + nr, CONFIG_WHY_BYTES - (size_t)nr, format, list);
	va_end(list);
	reader->error = -EINVAL;
	return reader->error;
}

static const struct section *find_section(const struct config *config,
					  const char *word, size_t nr)
{
	for (size_t i = 0; i < ARRAY_SIZE(sections); i++) {
		if (strlen(sections[i].word) == nr &&
		    !strncmp(sections[i].word, word, nr))
			return &sections[i];
	}
	for (const char *const *type = config->object_types; *type; type++) {
		if (strlen(*type) == nr && !strncmp(*type, word, nr))
			return &object_section;
	}
	return NULL;
}

static void refuse_section(struct reader *reader)
{
	char known[160] = "";
	size_t nr = 0;

	for (const char *const *type = reader->config->object_types;
	     *type && nr < sizeof(known); type++)
		nr += (size_t)snprintf(known + nr, sizeof(known) - nr,
				       ", [%s NAME]", *type);
	refuse(reader,
	       "[%.60s] is not known: there are [blockdev NAME], [export "
	       "NAME]%s, [monitor NAME] and [daemon]",
	       reader->head, known);
}

/* All that has come together in the section at hand. */
static void end_section(struct reader *reader)
{
	struct config_item *item = reader->item;

	if (!item)
		return;
	keyval_end(item->arguments);
	if (item->kind == CONFIG_EXPORT &&
	    !json_object_get(item->arguments, "type"))
		json_object_set_new(item->arguments, "type",
				    json_string("vhost-user-blk"));
}

static int add_item(struct reader *reader, const struct section *section,
		    size_t nr_word)
{
	struct config_item *item =
		config_item_create(section->kind, reader->head);
	struct config_item *twin;

	if (item)
		item->file = strdup(reader->name);
	if (!item || !item->file) {
		config_item_destroy(item);
		return refuse(reader, "out of memory");
	}
	item->line = reader->nr;
	twin = config_find(&reader->config->items, item->kind, item->name);
	if (twin)
		refuse(reader, "[%.60s] is there already, at %.150s:%u",
		       reader->head, twin->file, twin->line);
	if (section->name_argument && section->kind != CONFIG_MONITOR &&
	    json_object_set_new(item->arguments, section->name_argument,
				json_string(item->name)) < 0)
		refuse(reader, "this is no UTF-8");
	if (section->kind == CONFIG_OBJECT)
		json_object_set_new(item->arguments, "qom-type",
				    json_stringn(reader->head, nr_word));
	list_append(&reader->config->items, &item->link);
	reader->item = item;
	return reader->error;
}

/* inih has the head, and seen is what it made of it. */
static int begin_section(struct reader *reader, const char *seen)
{
	size_t nr_word = strcspn(reader->head, " ");
	const struct section *section =
		find_section(reader->config, reader->head, nr_word);
	bool has_name = reader->head[nr_word] != '\0';

	end_section(reader);
	reader->item = NULL;
	if (strcmp(seen, reader->head) != 0)
		return refuse(reader,
			      "[%.60s...] is too long: what stands between the "
			      "brackets has at most %zu bytes",
			      reader->head, strlen(seen));
	if (!section) {
		refuse_section(reader);
		return reader->error;
	}
	if (has_name != (section->name_argument != NULL))
		return refuse(reader, "[%.60s]: %s", reader->head,
			      has_name ? "this has no name" :
					 "a name is missing behind it");
	return add_item(reader, section, nr_word);
}

/* Of what the head sets there is no line. */
static bool is_set_by_head(const struct config_item *item, const char *name)
{
	return json_is_string(json_object_get(item->arguments, name)) &&
	       !json_object_get(item->lines, name);
}

static int add_value(struct reader *reader, const char *name, const char *value)
{
	struct config_item *item = reader->item;
	char why[KEYVAL_WHY_BYTES];
	json_t *first;

	if (!item)
		return refuse(reader,
			      "'%.60s' stands before the first [section]",
			      name);
	first = json_object_get(item->lines, name);
	if (first)
		return refuse(reader, "'%.60s' is there already, at line %d",
			      name, (int)json_integer_value(first));
	if (is_set_by_head(item, name))
		return refuse(reader, "'%.60s' is what [%.60s] says", name,
			      item->title);
	if (keyval_add(item->arguments, name, value, why) < 0)
		return refuse(reader, "%s", why);
	json_object_set_new(item->lines, name, json_integer(reader->nr));
	return 0;
}

static int take(void *opaque, const char *section, const char *name,
		const char *value)
{
	struct reader *reader = opaque;

	reader->waits = false;
	if (reader->error)
		return 0;
	if (!reader->begins)
		return !add_value(reader, name, value);
	reader->begins = false;
	return !begin_section(reader, section);
}

/* "[ export  vm1 ]  ; ours": its words, one blank between them */
static int take_head(struct reader *reader, const char *text)
{
	const char *from = text + 1;
	const char *end = strchr(from, ']');
	char *to = reader->head;

	if (!end)
		return refuse(reader, "a ']' is missing");
	if (!strchr("#;", end[1 + strspn(end + 1, BLANKS)]))
		return refuse(reader, "something follows the ']'");
	for (; from < end; from++) {
		bool is_blank = strchr(BLANKS, *from);

		if (!is_blank && iscntrl((unsigned char)*from))
			return refuse(reader, "a name has a control character "
					      "in it");
		if (strchr("[;#=", *from))
			return refuse(reader, "a name has no '%c' in it",
				      *from);
		if (!is_blank)
			*to++ = *from;
		else if (to > reader->head && to[-1] != ' ')
			*to++ = ' ';
	}
	if (to > reader->head && to[-1] == ' ')
		to--;
	*to = '\0';
	from = strchr(reader->head, ' ');
	if (from && strchr(from + 1, ' '))
		return refuse(reader, "[%.60s]: a name has no ' ' in it",
			      reader->head);
	return 0;
}

/* The next line without what is around it; NULL at the end, or an error. */
static char *next_line(struct reader *reader)
{
	ssize_t nr = getline(&reader->line, &reader->capacity, reader->file);
	char *text = reader->line;

	if (nr < 0) {
		if (ferror(reader->file))
			refuse(reader, "cannot read on: %s", strerror(errno));
		return NULL;
	}
	reader->nr++;
	if (memchr(text, '\0', (size_t)nr)) {
		refuse(reader, "this is no text: a byte is 0");
		return NULL;
	}
	if (reader->nr == 1 && !strncmp(text, "\xef\xbb\xbf", 3))
		text += 3;
	text += strspn(text, BLANKS);
	nr = (ssize_t)strlen(text);
	while (nr && strchr(BLANKS, text[nr - 1]))
		text[--nr] = '\0';
	return text;
}

static char *empty_line(char *to, int room)
{
	snprintf(to, (size_t)room, "\n");
	return to;
}

/* As fgets(). Comments are not inih's, however long they are. */
static char *read_line(char *to, int room, void *stream)
{
	struct reader *reader = stream;
	char *text;

	if (reader->waits)
		refuse(reader, "this is neither [SECTION] nor NAME = VALUE");
	if (reader->begins) {
		reader->waits = true;
		snprintf(to, (size_t)room, "=\n");
		return to;
	}
	text = reader->error ? NULL : next_line(reader);
	if (!text)
		return NULL;
	if (!*text || strchr("#;", *text))
		return empty_line(to, room);
	if (*text == '[') {
		free(reader->head);
		reader->head = malloc(strlen(text) + 1);
		if (!reader->head || take_head(reader, text) < 0) {
			refuse(reader, "out of memory");
			return NULL;
		}
		reader->begins = true;
		text = reader->head;
	}
	if (strlen(text) + 4 > (size_t)room) {
		refuse(reader,
		       "this line is too long: it has %zu bytes and "
		       "may have %d",
		       strlen(text), room - 4);
		return NULL;
	}
	reader->waits = !reader->begins;
	snprintf(to, (size_t)room, reader->begins ? "[%s]\n" : "%s\n", text);
	return to;
}

int config_read_stream(struct config *config, const char *name, FILE *file)
{
	struct reader reader = { .file = file, .name = name, .config = config };

	if (ini_parse_stream(read_line, &reader, take, &reader) != 0)
		refuse(&reader, "this is neither [SECTION] nor NAME = VALUE");
	end_section(&reader);
	free(reader.line);
	free(reader.head);
	return reader.error;
}
