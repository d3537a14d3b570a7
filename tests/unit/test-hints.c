/* SPDX-License-Identifier: MIT */
/* hints - the line that says "ready", and the lines to paste */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/hints.h"

static const struct hints usual = {
	.name = "disk0",
	.image = "vm/disk.img",
	.socket = "/run/vm/disk.img.sock",
	.fd = -1,
	.size_bytes = UINT64_C(10) << 30,
	.cache = "none",
	.engine = "io_uring",
	.nr_queues = 16,
	.queue_size = 1024,
};

/* What print wrote, to be freed. */
static char *printed(void (*print)(const struct hints *hints, FILE *out),
		     const struct hints *hints)
{
	char *text = NULL;
	size_t nr_bytes;
	FILE *out = open_memstream(&text, &nr_bytes);

	assert_non_null(out);
	print(hints, out);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void assert_printed(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("'%s' is not in:\n%s", part, text);
}

static void assert_pasted(const struct hints *hints, const char *part)
{
	char *text = printed(hints_print_paste, hints);

	assert_printed(text, part);
	free(text);
}

static void assert_not_pasted(const struct hints *hints, const char *part)
{
	char *text = printed(hints_print_paste, hints);

	if (strstr(text, part))
		fail_msg("'%s' is in:\n%s", part, text);
	free(text);
}

static void ready_is_one_line_with_all_that_is_in_force(void **state)
{
	char *text = printed(hints_print_ready, &usual);

	(void)state;
	assert_string_equal(text,
			    "ringhost: disk0: serving vm/disk.img (10 GiB, "
			    "cache none, io_uring, 16 queues) on "
			    "/run/vm/disk.img.sock\n");
	free(text);
}

static void ready_says_read_only_and_one_queue(void **state)
{
	struct hints hints = usual;
	char *text;

	(void)state;
	hints.read_only = true;
	hints.nr_queues = 1;
	text = printed(hints_print_ready, &hints);
	assert_printed(text, "(10 GiB, read-only, cache none, io_uring, "
			     "1 queue)");
	free(text);
}

static void an_inherited_socket_is_named_by_its_fd(void **state)
{
	struct hints hints = usual;
	char *text;

	(void)state;
	hints.socket = NULL;
	hints.fd = 7;
	text = printed(hints_print_ready, &hints);
	assert_printed(text, ") on fd 7\n");
	free(text);
}

static void an_inherited_socket_has_nothing_to_paste(void **state)
{
	struct hints hints = usual;
	char *text;

	(void)state;
	hints.socket = NULL;
	text = printed(hints_print_paste, &hints);
	assert_string_equal(text, "");
	free(text);
}

static void qemu_gets_shared_memory_chardev_and_device(void **state)
{
	(void)state;
	assert_pasted(&usual, "-smp 4 -m 4G \\\n");
	assert_pasted(&usual, "-object memory-backend-memfd,id=mem0,size=4G,"
			      "share=on -machine memory-backend=mem0 \\\n");
	assert_pasted(&usual, "-chardev socket,id=disk0,"
			      "path=/run/vm/disk.img.sock \\\n");
	assert_pasted(&usual, "-device vhost-user-blk-pci,chardev=disk0,"
			      "num-queues=4\n");
}

static void libvirt_gets_shared_memory_and_disk(void **state)
{
	(void)state;
	assert_pasted(&usual, "<memoryBacking><source type='memfd'/>"
			      "<access mode='shared'/></memoryBacking>");
	assert_pasted(&usual, "<disk type='vhostuser' device='disk'>");
	assert_pasted(&usual, "<driver name='qemu' type='raw' queues='4'/>");
	assert_pasted(&usual, "<source type='unix' "
			      "path='/run/vm/disk.img.sock'/>");
}

static void cloud_hypervisor_gets_shared_memory_and_disk(void **state)
{
	(void)state;
	assert_pasted(&usual, "--memory size=4G,shared=on");
	assert_pasted(&usual, "--disk vhost_user=true,socket="
			      "/run/vm/disk.img.sock,num_queues=4,"
			      "queue_size=128\n");
}

static void a_disk_of_few_queues_is_asked_for_no_more(void **state)
{
	struct hints hints = usual;

	(void)state;
	hints.nr_queues = 2;
	assert_pasted(&hints, "-smp 2 ");
	assert_pasted(&hints, "num-queues=2\n");
	assert_pasted(&hints, "queues='2'");
	assert_pasted(&hints, "--cpus boot=2 ");
	assert_pasted(&hints, "num_queues=2,");
}

static void rings_smaller_than_the_usual_are_asked_for(void **state)
{
	struct hints hints = usual;

	(void)state;
	assert_not_pasted(&hints, "queue-size");
	hints.queue_size = 64;
	assert_pasted(&hints, "num-queues=4,queue-size=64\n");
	assert_pasted(&hints, "queues='4' queue_size='64'/>");
	assert_pasted(&hints, "num_queues=4,queue_size=64\n");
}

static void a_comma_in_the_path_is_quoted_for_each_vmm(void **state)
{
	struct hints hints = usual;

	(void)state;
	hints.socket = "/run/a,b.sock";
	assert_pasted(&hints, "path=/run/a,,b.sock");
	assert_pasted(&hints, "'vhost_user=true,socket=\"/run/a,b.sock\","
			      "num_queues=4,queue_size=128'");
}

static void markup_in_the_path_is_escaped_for_libvirt(void **state)
{
	struct hints hints = usual;

	(void)state;
	hints.socket = "/run/<a>&'b'.sock";
	assert_pasted(&hints, "path='/run/&lt;a>&amp;&apos;b&apos;.sock'/>");
}

/* What a shell makes of the chardev line. */
static void the_shell_sees_a_strange_path_as_one_word(void **state)
{
	struct hints hints = usual;
	char *text;
	char *word;
	char *end;
	char command[512];
	char seen[512];
	size_t nr_bytes;
	FILE *shell;

	(void)state;
	hints.socket = "/run/my disk's $HOME \"x\"\\.sock";
	text = printed(hints_print_paste, &hints);
	word = strstr(text, "-chardev ") + strlen("-chardev ");
	end = strstr(word, " \\\n");
	assert_non_null(end);
	*end = '\0';
	assert_in_range(snprintf(command, sizeof(command), "printf %%s %s",
				 word),
			0, sizeof(command) - 1);
	shell = popen(command, "r");
	assert_non_null(shell);
	nr_bytes = fread(seen, 1, sizeof(seen) - 1, shell);
	assert_int_equal(pclose(shell), 0);
	seen[nr_bytes] = '\0';
	assert_string_equal(seen, "socket,id=disk0,"
				  "path=/run/my disk's $HOME \"x\"\\.sock");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ready_is_one_line_with_all_that_is_in_force),
		cmocka_unit_test(ready_says_read_only_and_one_queue),
		cmocka_unit_test(an_inherited_socket_is_named_by_its_fd),
		cmocka_unit_test(an_inherited_socket_has_nothing_to_paste),
		cmocka_unit_test(qemu_gets_shared_memory_chardev_and_device),
		cmocka_unit_test(libvirt_gets_shared_memory_and_disk),
		cmocka_unit_test(cloud_hypervisor_gets_shared_memory_and_disk),
		cmocka_unit_test(a_disk_of_few_queues_is_asked_for_no_more),
		cmocka_unit_test(rings_smaller_than_the_usual_are_asked_for),
		cmocka_unit_test(a_comma_in_the_path_is_quoted_for_each_vmm),
		cmocka_unit_test(markup_in_the_path_is_escaped_for_libvirt),
		cmocka_unit_test(the_shell_sees_a_strange_path_as_one_word),
	};

	return cmocka_run_group_tests_name("hints", tests, NULL, NULL);
}
