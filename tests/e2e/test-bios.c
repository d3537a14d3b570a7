/* SPDX-License-Identifier: MIT */
/*
 * bios - a machine starts from a disk that ringhost serves
 *
 * SeaBIOS computes with what the configuration space says in its own way, and
 * no kernel helps. What it loads ends the machine with a status of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/e2e/command.h"
#include "tests/e2e/server.h"

#define QEMU   "qemu-system-x86_64"
#define STATUS ((42 << 1) | 1) /* isa-debug-exit makes that of 42 */

/* mov al, 42; out 0xf4, al; and the signature at the end of the sector */
#define MAKE_DISK                                                              \
	"truncate -s 1M d && printf '\\260\\052\\346\\364' | "                 \
	"dd of=d conv=notrunc status=none && printf '\\125\\252' | "           \
	"dd of=d bs=1 seek=510 conv=notrunc status=none && "

static int boot(const char *server_options, unsigned int queue_size)
{
	return run(
		"exec 2>&1; cd $(mktemp -d) && " MAKE_DISK
		"{ %s --socket-path=$PWD/d.sock %s d & } && server=$! && " AWAIT_SOCKET
		"timeout 250 " QEMU " -display none -no-reboot -m 64M "
		"-object memory-backend-memfd,id=m,size=64M,share=on "
		"-machine pc,memory-backend=m,accel=tcg -net none "
		"-device isa-debug-exit,iobase=0xf4,iosize=1 "
		"-chardev socket,id=c,path=d.sock "
		"-device vhost-user-blk-pci,chardev=c,num-queues=1,"
		"queue-size=%u; status=$?; kill $server; wait $server; "
		"rm -r $PWD; exit $status",
		program(), server_options, queue_size);
}

static void the_bios_starts_from_it(void **state)
{
	(void)state;
	expect(boot("", 128), STATUS);
}

static void and_with_the_smallest_rings_that_it_takes(void **state)
{
	(void)state;
	expect(boot("--queue-size=4", 4), STATUS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_bios_starts_from_it),
		cmocka_unit_test(and_with_the_smallest_rings_that_it_takes),
	};

	if (server_is_missing())
		return 0;
	if (run("command -v " QEMU) != 0) {
		puts("1..0 # SKIP there is no " QEMU);
		return 0;
	}
	return cmocka_run_group_tests_name("bios", tests, NULL, NULL);
}
