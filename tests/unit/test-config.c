/* SPDX-License-Identifier: MIT */
/* config - what configuration files say, and what is wrong with them */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/config.h"

static const char *const types[] = { "iothread", "throttle-group", NULL };

static int read_bytes(struct config *config, const char *name,
		      const void *bytes, size_t nr)
{
	FILE *file = fmemopen((void *)bytes, nr, "r");
	int error;

	assert_non_null(file);
	error = config_read_stream(config, name, file);
	fclose(file);
	return error;
}

static int read_text(struct config *config, const char *name, const char *text)
{
	return read_bytes(config, name, text, strlen(text));
}

/* One item: title, and its arguments, in which ' stands for ". */
static void expect_item(const struct config *config, enum config_kind kind,
			const char *name, const char *arguments)
{
	struct config_item *item = config_find(&config->items, kind, name);
	char *text = strdup(arguments);
	json_t *wanted;

	assert_non_null(item);
	for (char *c = text; *c; c++)
		*c = *c == '\'' ? '"' : *c;
	wanted = json_loads(text, 0, NULL);
	assert_non_null(wanted);
	if (!json_equal(item->arguments, wanted))
		fail_msg("[%s] becomes %s", item->title,
			 json_dumps(item->arguments, 0));
	json_decref(wanted);
	free(text);
}

static void expect_refused(const char *text, const char *why)
{
	struct config config;

	config_init(&config, types);
	assert_true(read_text(&config, "a.conf", text) < 0);
	if (!strstr(config.why, why))
		fail_msg("refused with '%s', not with '%s'", config.why, why);
	config_deinit(&config);
}

static void a_section_becomes_the_arguments_of_its_command(void **state)
{
	struct config config;

	(void)state;
	config_init(&config, types);
	assert_int_equal(read_text(&config, "a.conf",
				   "\xef\xbb\xbf[iothread io1]\n"
				   "  [ blockdev   disk0 ]  ; the first one\r\n"
				   "driver=file\n"
				   "\tfilename = /a, b=c.img  ; inside\n"
				   "cache.direct = on\n"
				   "# a comment\n"
				   "[export vm1]\n"
				   "iothread.0 = io1\n"
				   "iothread.1 = io2\n"
				   "x-serial =\n"
				   "[daemon]\n"
				   "pidfile = /run/x.pid"),
			 0);
	expect_item(&config, CONFIG_OBJECT, "io1",
		    "{'qom-type': 'iothread', 'id': 'io1'}");
	expect_item(&config, CONFIG_NODE, "disk0",
		    "{'node-name': 'disk0', 'driver': 'file', 'filename': "
		    "'/a, b=c.img', 'cache': {'direct': 'on'}}");
	expect_item(&config, CONFIG_EXPORT, "vm1",
		    "{'type': 'vhost-user-blk', 'id': 'vm1', 'iothread': "
		    "['io1', 'io2'], 'x-serial': ''}");
	expect_item(&config, CONFIG_DAEMON, "", "{'pidfile': '/run/x.pid'}");
	config_deinit(&config);
}

static void what_is_no_section_and_no_value_is_told_with_its_line(void **state)
{
	(void)state;
	expect_refused("\n\n[blockdev a]\ndriver\n",
		       "a.conf:4: this is neither");
	expect_refused("[blockdev a]\ndriver", "a.conf:2: this is neither");
	expect_refused("driver = file\n", "a.conf:1: 'driver' stands before");
	expect_refused("[blockdev a\ndriver=file\n", "a.conf:1: a ']'");
	expect_refused("[blockdev a] driver=file\n", "a.conf:1: something");
	expect_refused("[blockdev]\n", "a.conf:1: [blockdev]: a name is");
	expect_refused("[daemon x]\n", "a.conf:1: [daemon x]: this has no");
	expect_refused("[blockdev a b]\n", "a.conf:1: [blockdev a b]: a name");
	expect_refused("[blockdev a;b]\n", "a.conf:1: a name has no ';'");
	expect_refused("\n[exprot a]\n", "a.conf:2: [exprot a] is not known: "
					 "there are [blockdev NAME], [export "
					 "NAME], [iothread NAME], "
					 "[throttle-group NAME]");
	expect_refused("[]\n", "a.conf:1: [] is not known");
	expect_refused("[export a]\n=x\n", "a.conf:2: this begins with no");
	expect_refused("[export a]\na..b=x\n", "a.conf:2: this name does not");
	expect_refused("[export a]\nb=\xff\n", "a.conf:2: this is no UTF-8");
	expect_refused("[export \xff]\n", "a.conf:1: this is no UTF-8");
}

static void nothing_is_said_twice(void **state)
{
	(void)state;
	expect_refused("[export a]\nx=1\ny=1\nx=2\n",
		       "a.conf:4: 'x' is there already, at line 2");
	expect_refused("[export a]\n[export b]\n[export a]\n",
		       "a.conf:3: [export a] is there already, at a.conf:1");
	expect_refused("[iothread a]\n[throttle-group a]\n",
		       "a.conf:2: [throttle-group a] is there already");
	expect_refused("[export a]\nid=b\n", "a.conf:2: 'id' is what [export");
	expect_refused("[blockdev a]\nnode-name=a\n", "a.conf:2: 'node-name'");
	expect_refused("[iothread a]\nqom-type=b\n", "a.conf:2: 'qom-type' is");
	expect_refused("[export a]\nx.y=1\nx=2\n", "a.conf:3: this name does");
}

static void files_do_not_repeat_each_other(void **state)
{
	struct config config;

	(void)state;
	config_init(&config, types);
	assert_int_equal(read_text(&config, "a.conf", "\n[blockdev d]\n"), 0);
	assert_int_equal(read_text(&config, "b.conf", "[export d]\nx=1\n"), 0);
	assert_true(read_text(&config, "c.conf", "[blockdev d]\n") < 0);
	assert_string_equal(config.why, "c.conf:1: [blockdev d] is there "
					"already, at a.conf:2");
	config_deinit(&config);
}

/* Whatever the parser behind it would cut off */
static void nothing_is_cut_off(void **state)
{
	char text[4096];
	struct config config;

	(void)state;
	for (int nr = 1; nr < 300; nr++) {
		json_t *arguments;
		int error;

		snprintf(text, sizeof(text), "[export a]\nname=%0*d\n", nr, 7);
		config_init(&config, types);
		error = read_text(&config, "a.conf", text);
		if (error) {
			assert_in_range(nr, 180, 200);
			assert_non_null(strstr(config.why, "a.conf:2: this "
							   "line is too long"));
			config_deinit(&config);
			break;
		}
		arguments = config_item_of(config.items.next)->arguments;
		assert_int_equal(
			json_string_length(json_object_get(arguments, "name")),
			nr);
		config_deinit(&config);
	}
	for (int nr = 1; nr < 150; nr++) {
		snprintf(text, sizeof(text), "[export %0*d]\n", nr, 7);
		config_init(&config, types);
		if (read_text(&config, "a.conf", text) == 0)
			assert_int_equal(
				strlen(config_item_of(config.items.next)->name),
				nr);
		else
			assert_non_null(
				strstr(config.why, "a.conf:1: [export 0"));
		config_deinit(&config);
	}
	snprintf(text, sizeof(text), "#%03000d\n[export a]\nname=x\n", 7);
	config_init(&config, types);
	assert_int_equal(read_text(&config, "a.conf", text), 0);
	expect_item(&config, CONFIG_EXPORT, "a",
		    "{'id': 'a', 'type': 'vhost-user-blk', 'name': 'x'}");
	config_deinit(&config);
	config_init(&config, types);
	assert_true(read_bytes(&config, "a.conf", "[export a]\na=b\0c\n", 17) <
		    0);
	assert_string_equal(config.why,
			    "a.conf:2: this is no text: a byte is 0");
	config_deinit(&config);
}

static void write_file(const char *directory, const char *name,
		       const char *text)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void a_directory_is_read_in_the_order_of_names(void **state)
{
	static const char *const expected[] = { "e1", "e2", "e3", "e0" };
	char directory[] = "/tmp/config-XXXXXX";
	char path[256];
	struct config config;
	unsigned int nr = 0;

	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/conf.d", directory);
	assert_int_equal(mkdir(path, 0700), 0);
	write_file(directory, "2.conf", "[export e2]\n");
	write_file(directory, "10.conf", "[export e1]\n");
	write_file(directory, "a.conf", "[export e3]\n");
	write_file(directory, "b.conf~", "rubbish\n");
	write_file(directory, ".c.conf", "rubbish\n");
	write_file(path, "0.conf", "[export e0]\n");
	config_init(&config, types);
	assert_int_equal(config_read(&config, directory), 0);
	list_for_each(node, &config.items)
		assert_string_equal(config_item_of(node)->name, expected[nr++]);
	assert_int_equal(nr, 4);
	config_deinit(&config);
	write_file(path, "1.conf", "[export e4]\nx\n");
	config_init(&config, types);
	assert_true(config_read(&config, directory) < 0);
	assert_non_null(strstr(config.why, "/conf.d/1.conf:2: this is"));
	config_deinit(&config);
	snprintf(path, sizeof(path), "rm -r %s", directory);
	assert_int_equal(system(path), 0);
}

static void what_is_not_there_or_no_file_is_told(void **state)
{
	struct config config;

	(void)state;
	config_init(&config, types);
	assert_true(config_read(&config, "/tmp/no/such/file") < 0);
	assert_string_equal(config.why,
			    "cannot read /tmp/no/such/file: No such "
			    "file or directory");
	assert_true(config_read(&config, "/dev/null") < 0);
	config_deinit(&config);
}

static void a_sentence_about_an_argument_means_its_line(void **state)
{
	struct config config;
	struct config_item *item;

	(void)state;
	config_init(&config, types);
	assert_int_equal(read_text(&config, "a.conf",
				   "[export a]\nx=1\nnum-queues=7\n"),
			 0);
	item = config_find(&config.items, CONFIG_EXPORT, "a");
	assert_int_equal(config_item_line(item, "Parameter 'num-queues' is"),
			 3);
	assert_int_equal(config_item_line(item, "Parameter 'queues' is"), 1);
	assert_int_equal(config_item_line(item, "max-num-queues"), 1);
	config_deinit(&config);
}

static void exports_need_nodes_and_both_need_objects(void **state)
{
	struct config config;
	struct config_item *io, *file, *raw, *export;

	(void)state;
	config_init(&config, types);
	assert_int_equal(
		read_text(&config, "a.conf",
			  "[iothread io]\n[blockdev file]\ndriver=file\n"
			  "[blockdev raw]\ndriver=raw\nfile=file\n"
			  "[export e]\nnode-name=raw\niothread.0=x\n"
			  "iothread.1=io\n"),
		0);
	io = config_find(&config.items, CONFIG_OBJECT, "io");
	file = config_find(&config.items, CONFIG_NODE, "file");
	raw = config_find(&config.items, CONFIG_NODE, "raw");
	export = config_find(&config.items, CONFIG_EXPORT, "e");
	assert_true(config_item_needs(export, io));
	assert_true(config_item_needs(export, raw));
	assert_true(config_item_needs(raw, file));
	assert_false(config_item_needs(export, file));
	assert_false(config_item_needs(file, raw));
	assert_false(config_item_needs(file, file));
	assert_false(config_item_needs(raw, io));
	assert_false(config_item_needs(io, export));
	config_deinit(&config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_section_becomes_the_arguments_of_its_command),
		cmocka_unit_test(
			what_is_no_section_and_no_value_is_told_with_its_line),
		cmocka_unit_test(nothing_is_said_twice),
		cmocka_unit_test(files_do_not_repeat_each_other),
		cmocka_unit_test(nothing_is_cut_off),
		cmocka_unit_test(a_directory_is_read_in_the_order_of_names),
		cmocka_unit_test(what_is_not_there_or_no_file_is_told),
		cmocka_unit_test(a_sentence_about_an_argument_means_its_line),
		cmocka_unit_test(exports_need_nodes_and_both_need_objects),
	};

	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
