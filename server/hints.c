/* SPDX-License-Identifier: MIT */
/*
 * hints - the line that says "ready", and the lines to paste
 *
 * The example VM has four CPUs, or as many as the disk has queues: each
 * front-end refuses a number of queues that the disk does not have. A path
 * goes through the quoting of the option first, then through the shell's.
 */
#include <stdlib.h>
#include <string.h>

#include "common/base.h"
#include "server/hints.h"
#include "server/sizes.h"

#define EXAMPLE_MEMORY	   "4G"
#define EXAMPLE_NR_CPUS	   4
#define FRONTEND_RING_SIZE 128 /* what front-ends ask for by default */

#define CHARS_WITHOUT_MEANING                                                  \
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"       \
	"_./,=:@%+-"

/* A word of a shell command. */
static void print_word(FILE *out, const char *word)
{
	if (word[strspn(word, CHARS_WITHOUT_MEANING)] == '\0') {
		fputs(word, out);
		return;
	}
	fputc('\'', out);
	for (; *word; word++) {
		if (*word == '\'')
			fputs("'\\''", out);
		else
			fputc(*word, out);
	}
	fputc('\'', out);
}

/* QEMU ends a value at a comma, and takes two for one. */
static void print_qemu_value(FILE *out, const char *value)
{
	for (; *value; value++) {
		if (*value == ',')
			fputc(',', out);
		fputc(*value, out);
	}
}

/* cloud-hypervisor ends a value at a comma outside of quotation marks. */
static void print_cloud_value(FILE *out, const char *value)
{
	const char *quote = strchr(value, ',') ? "\"" : "";

	fprintf(out, "%s%s%s", quote, value, quote);
}

static void print_xml_value(FILE *out, const char *value)
{
	for (; *value; value++) {
		switch (*value) {
		case '&':
			fputs("&amp;", out);
			break;
		case '<':
			fputs("&lt;", out);
			break;
		case '\'':
			fputs("&apos;", out);
			break;
		default:
			fputc(*value, out);
		}
	}
}

/* "before" + value in the option's quoting + "behind", as one shell word. */
static void print_path_word(FILE *out,
			    void (*print_value)(FILE *out, const char *value),
			    const char *before, const char *path,
			    const char *behind)
{
	cleanup_free char *word = NULL;
	size_t nr_bytes;
	FILE *memory = open_memstream(&word, &nr_bytes);

	if (!memory)
		return;
	fputs(before, memory);
	print_value(memory, path);
	fputs(behind, memory);
	if (fclose(memory) == 0)
		print_word(out, word);
}

static unsigned int example_nr_queues(const struct hints *hints)
{
	return MIN(hints->nr_queues, (unsigned int)EXAMPLE_NR_CPUS);
}

static bool needs_ring_size(const struct hints *hints)
{
	return hints->queue_size < FRONTEND_RING_SIZE;
}

static void print_qemu(const struct hints *hints, FILE *out)
{
	unsigned int nr_queues = example_nr_queues(hints);
	char before[64];

	fprintf(out,
		"\nQEMU, with your own -smp and -m (twice the same size):\n"
		"  qemu-system-x86_64 -smp %u -m " EXAMPLE_MEMORY " \\\n"
		"    -object memory-backend-memfd,id=mem0,size=" EXAMPLE_MEMORY
		",share=on -machine memory-backend=mem0 \\\n    -chardev ",
		nr_queues);
	snprintf(before, sizeof(before), "socket,id=%s,path=", hints->name);
	print_path_word(out, print_qemu_value, before, hints->socket, "");
	fprintf(out,
		" \\\n    -device vhost-user-blk-pci,chardev=%s,"
		"num-queues=%u",
		hints->name, nr_queues);
	if (needs_ring_size(hints))
		fprintf(out, ",queue-size=%u", hints->queue_size);
	fputc('\n', out);
}

static void print_libvirt(const struct hints *hints, FILE *out)
{
	fprintf(out,
		"\nlibvirt, into <domain> and into its <devices>:\n"
		"  <memoryBacking><source type='memfd'/>"
		"<access mode='shared'/></memoryBacking>\n\n"
		"  <disk type='vhostuser' device='disk'>\n"
		"    <driver name='qemu' type='raw' queues='%u'",
		example_nr_queues(hints));
	if (needs_ring_size(hints))
		fprintf(out, " queue_size='%u'", hints->queue_size);
	fputs("/>\n    <source type='unix' path='", out);
	print_xml_value(out, hints->socket);
	fputs("'/>\n    <target dev='vda' bus='virtio'/>\n  </disk>\n", out);
}

static void print_cloud_hypervisor(const struct hints *hints, FILE *out)
{
	unsigned int nr_queues = example_nr_queues(hints);
	char behind[64];

	fprintf(out,
		"\ncloud-hypervisor, with your own --cpus and --memory:\n"
		"  cloud-hypervisor --cpus boot=%u --memory "
		"size=" EXAMPLE_MEMORY ",shared=on \\\n    --disk ",
		nr_queues);
	snprintf(behind, sizeof(behind), ",num_queues=%u,queue_size=%u",
		 nr_queues,
		 MIN(hints->queue_size, (unsigned int)FRONTEND_RING_SIZE));
	print_path_word(out, print_cloud_value,
			"vhost_user=true,socket=", hints->socket, behind);
	fputc('\n', out);
}

void hints_print_ready(const struct hints *hints, FILE *out)
{
	fprintf(out,
		"ringhost: %s: serving %s (%s, %scache %s, %s, %u queue%s)",
		hints->name, hints->image, sizes_format(hints->size_bytes).text,
		hints->read_only ? "read-only, " : "", hints->cache,
		hints->engine, hints->nr_queues,
		hints->nr_queues == 1 ? "" : "s");
	if (hints->socket)
		fprintf(out, " on %s\n", hints->socket);
	else
		fprintf(out, " on fd %d\n", hints->fd);
}

void hints_print_paste(const struct hints *hints, FILE *out)
{
	if (!hints->socket)
		return;
	print_qemu(hints, out);
	print_libvirt(hints, out);
	print_cloud_hypervisor(hints, out);
}
