/* SPDX-License-Identifier: MIT */
/*
 * main - from argv to an exit code
 *
 * Exit codes: 0 when all went well, also after SIGTERM with a client
 * connected; 1 for a failure and 2 for a wrong command line, each after one
 * sentence on stderr; that of the command for `run`.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ringhost/log.h>
#include <ringhost/version.h>

#include "bench/bench.h"
#include "common/base.h"
#include "common/log.h"
#include "check/check.h"
#include "server/activation.h"
#include "ctl/ctl.h"
#include "server/complaint.h"
#include "server/daemon.h"
#include "server/hints.h"
#include "server/log_lines.h"
#include "server/options.h"
#include "server/run.h"

#define TAG	   "ringhost"
#define EXIT_USAGE 2

static const char help_text[] =
	"ringhost gives a disk image to a virtual machine, over vhost-user-blk.\n"
	"\n"
	"  ringhost [serve] [OPTIONS] IMAGE           serve it on a socket\n"
	"  ringhost run [OPTIONS] IMAGE -- qemu-system-x86_64 ...\n"
	"                                             start a VM with it as a disk\n"
	"  ringhost daemon OPTIONS                    many disks, changed as it runs\n"
	"  ringhost ctl COMMAND                       look at and change a daemon's disks\n"
	"  ringhost check SOCKET                      test a vhost-user-blk back-end\n"
	"  ringhost bench SOCKET                      measure how fast one is\n"
	"  ringhost help                              this text\n"
	"\n"
	"IMAGE is a raw image file or a block device. While it is served, ringhost\n"
	"prints what to add to QEMU, libvirt or cloud-hypervisor.\n"
	"\n"
	"The socket\n"
	"  --socket-path=PATH     where to listen (default: ./NAME-OF-IMAGE.sock)\n"
	"  --socket-mode=MODE     its permissions (default: 0660)\n"
	"  --socket-group=GROUP   its group, by name or number\n"
	"  --fd=N                 serve on this inherited socket, which listens or is\n"
	"                         connected\n"
	"  --exit-on-disconnect   end with the first client\n"
	"\n"
	"The image\n"
	"  --blk-file=IMAGE       the image, as an option\n"
	"  --read-only            let the guest read only\n"
	"  --format=raw           serve it raw, whatever it looks like\n"
	"  --cache=MODE           none: past the host's page cache (default);\n"
	"                         writeback: through it; writethrough: through it,\n"
	"                         each write durable when it completes\n"
	"  --force-share          take no lock on the image\n"
	"  --driver=null          no image: a disk that forgets, of --size=SIZE\n"
	"  --driver=fault         a disk that fails: --fault=RULE, --fault-cache=SIZE,\n"
	"                         --fault-seed=N, --fault-driver=NAME; see ringhost(1)\n"
	"\n"
	"The disk, as the guest sees it\n"
	"  --num-queues=N         at most so many queues, 1 to 256 (default: 16, or\n"
	"                         the number of CPUs if there are more)\n"
	"  --queue-size=N         entries of a queue at most, 4 to 1024 (default)\n"
	"  --block-size=SIZE      512 to 2M (default: that of the image)\n"
	"  --serial=TEXT          up to 20 bytes\n"
	"  --iops=N, --bps=SIZE   at most so many requests, or bytes, in a second;\n"
	"  --limit=NAME=N         others, and bursts: see ringhost(1)\n"
	"\n"
	"The process\n"
	"  --threads=N            threads that do the I/O, 1 (default) to 64\n"
	"  --aio=ENGINE           io_uring, or threads where that is not allowed\n"
	"  --poll-us=N            look for work for N microseconds at most before a\n"
	"                         thread sleeps, where that pays (default: 0, off)\n"
	"  --sandbox=MODE         auto: give up all that serving does not take, as far\n"
	"                         as this host can (default); on: or fail; off\n"
	"  -v, --verbose          log more        -q, --quiet    log trouble only\n"
	"  --log-format=FORMAT    of the log: text (default), or json\n"
	"  -h, --help             this text       -V, --version\n"
	"  --print-capabilities   for management tools, in JSON\n"
	"\n"
	"SIZE is in bytes, or ends in k, M, G or T. SIGTERM ends ringhost when all\n"
	"requests have ended; SIGUSR1 has it look at the image's size again. More in\n"
	"ringhost(1).\n";

static void print_line(void *opaque, enum rh_log_level level, const char *tag,
		       const char *line)
{
	complaint_note(level, line);
	log_lines_print(opaque, level, tag, line);
}

/* The terminal of `run` belongs to the VM, so it says less. */
static void set_log_level(const struct options *options)
{
	int level =
		options->command == OPTIONS_RUN ? RH_LOG_WARNING : RH_LOG_INFO;

	log_lines_set_format(options->log_format);
	level = MAX(level + options->verbosity, (int)RH_LOG_WARNING);
	rh_log_set(print_line, NULL,
		   (enum rh_log_level)MIN(level, (int)RH_LOG_DEBUG));
}

/* socket_path: absolute, or NULL */
static void print_hints(const struct options *options,
			const struct server *server, const char *socket_path)
{
	static const char *const caches[] = {
		[DRIVER_CACHE_NONE] = "none",
		[DRIVER_CACHE_WRITEBACK] = "writeback",
		[DRIVER_CACHE_WRITETHROUGH] = "writethrough",
	};
	const struct export_options *export = &options->server.export;
	const struct driver_info *disk = server_disk(server);
	struct hints hints = {
		.name = export->name,
		.image = options->image ? options->image :
					  options->server.driver->name,
		.socket = socket_path,
		.fd = options->fd,
		.size_bytes = disk->size_bytes,
		.cache = caches[disk->cache],
		.engine = server_engine_name(server),
		.nr_queues = export->nr_queues,
		.queue_size = export->queue_size,
		.read_only = disk->read_only,
	};

	if (options->verbosity < 0)
		return;
	hints_print_ready(&hints, stdout);
	hints_print_paste(&hints, stdout);
	fflush(stdout);
}

/* The process is confined in between: what it must find is found before. */
static int start_and_tell(const struct options *options, struct server *server,
			  const char *socket_path)
{
	cleanup_free char *absolute_path = NULL;
	int error;

	if (socket_path)
		absolute_path = realpath(socket_path, NULL);
	server_tell_manager(server);
	error = server_start(server, 0);
	if (error)
		return error;
	print_hints(options, server,
		    absolute_path ? absolute_path : socket_path);
	server_ready(server);
	return 0;
}

/* The one that the service manager has passed, unless the options name one. */
static int find_passed(const struct options *options,
		       const struct activation *activation, int *ret)
{
	*ret = options->fd;
	if (options->fd >= 0 || options->socket_path || !activation->nr)
		return 0;
	if (activation->nr > 1) {
		rh_log(RH_LOG_ERROR, TAG,
		       "the service manager passes %u sockets: choose one with "
		       "--fd, from --fd=%d on",
		       activation->nr, activation->sockets[0].fd);
		return -EINVAL;
	}
	*ret = activation_duplicate(&activation->sockets[0]);
	return MIN(*ret, 0);
}

static int listen_or_adopt(const struct options *options,
			   const struct activation *activation,
			   struct server *server, char **socket_path)
{
	int fd;
	int error = find_passed(options, activation, &fd);

	if (error)
		return error;
	if (fd >= 0)
		return server_adopt(server, fd);
	error = options_socket_path(options, socket_path);
	return error ? error :
		       server_listen(server, *socket_path, options->socket_mode,
				     options->socket_gid);
}

static int listen_and_serve(const struct options *options,
			    struct server *server)
{
	cleanup_free char *socket_path = NULL;
	struct activation activation;
	int error = activation_take(&activation);

	if (!error)
		error = listen_or_adopt(options, &activation, server,
					&socket_path);
	if (!error)
		error = start_and_tell(options, server, socket_path);
	if (!error)
		error = server_run(server, NULL);
	server_destroy(server); /* before its path is freed */
	activation_release(&activation);
	return error;
}

static int serve(const struct options *options)
{
	struct server *server;
	int error = server_create(&options->server, &server);

	if (!error)
		error = listen_and_serve(options, server);
	return error ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct options options;

	rh_log_set(print_line, NULL, RH_LOG_INFO);
	if (argc > 1 && !strcmp(argv[1], "check"))
		return check_main(argc - 1, argv + 1);
	if (argc > 1 && !strcmp(argv[1], "bench"))
		return bench_main(argc - 1, argv + 1);
	if (argc > 1 && !strcmp(argv[1], "daemon"))
		return daemon_main(argc - 1, argv + 1);
	if (argc > 1 && !strcmp(argv[1], "ctl"))
		return ctl_main(argc - 1, argv + 1);
	if (options_parse(argc, argv, &options) < 0)
		return EXIT_USAGE;
	set_log_level(&options);
	switch (options.command) {
	case OPTIONS_HELP:
		fputs(help_text, stdout);
		break;
	case OPTIONS_VERSION:
		printf("ringhost %s\n", rh_version());
		break;
	case OPTIONS_CAPABILITIES:
		puts("{\"type\":\"block\","
		     "\"features\":[\"read-only\",\"blk-file\"]}");
		break;
	case OPTIONS_SERVE:
		return serve(&options);
	case OPTIONS_RUN:
		return run_vm(&options);
	}
	return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
