/* SPDX-License-Identifier: MIT */
/*
 * options_rows - each option's name, its value, and where it goes
 *
 * A take function checks one value by itself and stores it; it knows nothing
 * of other options.
 */
#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "common/base.h"
#include "common/log.h"
#include "server/drivers/fault_rule.h"
#include "server/options_rows.h"
#include "server/sizes.h"

#define TAG		   "ringhost"
#define SECTOR_BYTES	   512
#define FIRST_INHERITED_FD 3

static int refuse(const struct parser *parser, const char *takes)
{
	rh_log(RH_LOG_ERROR, TAG, "--%s=%s is refused: it takes %s",
	       parser->row->name, parser->value, takes);
	return -EINVAL;
}

/* Digits only: no sign, no space. Returns 0 or -EINVAL, not logged. */
static int parse_number(const char *text, int base, uint64_t *ret)
{
	char *end;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	*ret = strtoull(text, &end, base);
	return errno || *end ? -EINVAL : 0;
}

static int take_number(const struct parser *parser, unsigned int min,
		       unsigned int max, unsigned int *ret)
{
	char takes[64];
	uint64_t number;

	if (parse_number(parser->value, 10, &number) < 0 || number < min ||
	    number > max) {
		snprintf(takes, sizeof(takes), "a number from %u to %u", min,
			 max);
		return refuse(parser, takes);
	}
	*ret = (unsigned int)number;
	return 0;
}

static int take_text(const struct parser *parser, const char **ret)
{
	if (!*parser->value)
		return refuse(parser, "a text that is not empty");
	*ret = parser->value;
	return 0;
}

static int take_aio(struct parser *parser)
{
	struct server_options *server = &parser->options->server;

	if (!strcmp(parser->value, "io_uring"))
		server->engine = ENGINE_URING;
	else if (!strcmp(parser->value, "threads"))
		server->engine = ENGINE_THREADS;
	else
		return refuse(parser, "io_uring or threads");
	server->engine_given = true;
	return 0;
}

int options_take_image(struct parser *parser)
{
	struct options *options = parser->options;

	if (options->image) {
		rh_log(RH_LOG_ERROR, TAG,
		       "two images are given, %s and %s: start one ringhost "
		       "for each",
		       options->image, parser->value);
		return -EINVAL;
	}
	return take_text(parser, &options->image);
}

static int take_block_size(struct parser *parser)
{
	uint64_t bytes;

	if (sizes_parse(parser->value, &bytes) < 0 ||
	    !virtio_blk_block_bytes_valid(bytes))
		return refuse(parser, "a power of two from 512 to 2M");
	parser->options->server.export.block_bytes = bytes;
	return 0;
}

static struct throttle_limits *limits_of(const struct parser *parser)
{
	return &parser->options->server.export.limits;
}

static int take_bps(struct parser *parser)
{
	uint64_t bytes;

	if (sizes_parse(parser->value, &bytes) < 0 || !bytes ||
	    bytes > THROTTLE_MAX_VALUE)
		return refuse(parser, "bytes for each second, such as 100M");
	limits_of(parser)->rates[THROTTLE_BPS_TOTAL].avg = bytes;
	return 0;
}

static int take_cache(struct parser *parser)
{
	struct driver_options *driver = &parser->options->server.driver_options;

	if (!strcmp(parser->value, "none"))
		driver->cache = DRIVER_CACHE_NONE;
	else if (!strcmp(parser->value, "writeback"))
		driver->cache = DRIVER_CACHE_WRITEBACK;
	else if (!strcmp(parser->value, "writethrough"))
		driver->cache = DRIVER_CACHE_WRITETHROUGH;
	else
		return refuse(parser, "none, writeback or writethrough");
	driver->cache_given = true;
	return 0;
}

static int take_driver(struct parser *parser)
{
	const struct driver_ops *driver = driver_find(parser->value);

	if (!driver)
		return refuse(parser, "file, null or fault");
	parser->options->server.driver = driver;
	return 0;
}

static int take_exit_on_disconnect(struct parser *parser)
{
	parser->options->server.exit_on_disconnect = true;
	return 0;
}

/* Read here for its sentence, and again when the disk is opened. */
static int take_fault(struct parser *parser)
{
	struct driver_options *driver = &parser->options->server.driver_options;
	struct fault_rule rule;

	if (driver->nr_faults == DRIVER_MAX_FAULTS) {
		rh_log(RH_LOG_ERROR, TAG,
		       "--fault is given more than %d times, and no more are "
		       "possible",
		       DRIVER_MAX_FAULTS);
		return -EINVAL;
	}
	driver->faults[driver->nr_faults++] = parser->value;
	return fault_rule_parse(parser->value, &rule);
}

static int take_fault_cache(struct parser *parser)
{
	uint64_t bytes;

	if (sizes_parse(parser->value, &bytes) < 0 ||
	    bytes < OPTIONS_MIN_FAULT_CACHE_BYTES ||
	    bytes > OPTIONS_MAX_FAULT_CACHE_BYTES ||
	    !is_aligned(bytes, SECTOR_BYTES))
		return refuse(parser,
			      "a size from 64k to 4G, a multiple of 512 bytes");
	parser->options->server.driver_options.fault_cache_bytes = bytes;
	return 0;
}

static int take_fault_driver(struct parser *parser)
{
	const struct driver_ops *driver = driver_find(parser->value);

	if (!driver || !strcmp(driver->name, "fault"))
		return refuse(parser, "file or null");
	parser->options->server.driver_options.wrapped = driver;
	return 0;
}

static int take_fault_seed(struct parser *parser)
{
	uint64_t seed;

	if (parse_number(parser->value, 10, &seed) < 0)
		return refuse(parser, "a number");
	parser->options->server.driver_options.fault_seed = seed;
	return 0;
}

static int take_fd(struct parser *parser)
{
	unsigned int fd;
	int error = take_number(parser, FIRST_INHERITED_FD, INT_MAX, &fd);

	if (!error)
		parser->options->fd = (int)fd;
	return error;
}

static int take_force_share(struct parser *parser)
{
	parser->options->server.driver_options.force_share = true;
	return 0;
}

static int take_format(struct parser *parser)
{
	if (strcmp(parser->value, "raw"))
		return refuse(parser,
			      "raw; convert other formats with qemu-img "
			      "convert -O raw");
	parser->options->server.driver_options.raw_given = true;
	return 0;
}

static int take_help(struct parser *parser)
{
	parser->options->command = OPTIONS_HELP;
	return 0;
}

static int take_iops(struct parser *parser)
{
	uint64_t nr;

	if (parse_number(parser->value, 10, &nr) < 0 || !nr ||
	    nr > THROTTLE_MAX_VALUE)
		return refuse(parser, "requests for each second, at least 1");
	limits_of(parser)->rates[THROTTLE_IOPS_TOTAL].avg = nr;
	return 0;
}

static uint64_t *find_limit(const struct parser *parser, const char *end)
{
	size_t nr = (size_t)(end - parser->value);

	for (unsigned int i = 0; i < THROTTLE_NR_FIELDS; i++) {
		const char *name = throttle_field_name(i, false);

		if (strlen(name) == nr && !memcmp(name, parser->value, nr))
			return throttle_field(limits_of(parser), i);
	}
	return NULL;
}

/* NAME=NUMBER; what does not fit together is seen at the end. */
static int take_limit(struct parser *parser)
{
	const char *equals = strchr(parser->value, '=');
	uint64_t *field = equals ? find_limit(parser, equals) : NULL;

	if (!field || sizes_parse(equals + 1, field) < 0)
		return refuse(parser,
			      "NAME=NUMBER, with a name such as iops-read or "
			      "bps-total-max: see ringhost(1)");
	return 0;
}

static int take_num_queues(struct parser *parser)
{
	return take_number(parser, 1, OPTIONS_MAX_QUEUES,
			   &parser->options->server.export.nr_queues);
}

static int take_poll_us(struct parser *parser)
{
	return take_number(parser, 0, OPTIONS_MAX_POLL_USEC,
			   &parser->options->server.poll_usec);
}

static int take_print_capabilities(struct parser *parser)
{
	parser->options->command = OPTIONS_CAPABILITIES;
	return 0;
}

static int take_queue_size(struct parser *parser)
{
	char takes[64];
	uint64_t size;

	if (parse_number(parser->value, 10, &size) < 0 ||
	    !is_power_of_2(size) || size < OPTIONS_MIN_QUEUE_SIZE ||
	    size > OPTIONS_MAX_QUEUE_SIZE) {
		snprintf(takes, sizeof(takes), "a power of two from %d to %d",
			 OPTIONS_MIN_QUEUE_SIZE, OPTIONS_MAX_QUEUE_SIZE);
		return refuse(parser, takes);
	}
	parser->options->server.export.queue_size = (unsigned int)size;
	return 0;
}

static int take_quiet(struct parser *parser)
{
	parser->options->verbosity = -1;
	return 0;
}

static int take_read_only(struct parser *parser)
{
	parser->options->server.driver_options.read_only = true;
	return 0;
}

static int take_sandbox(struct parser *parser)
{
	enum sandbox_mode *mode = &parser->options->server.sandbox;

	if (!strcmp(parser->value, "auto"))
		*mode = SANDBOX_AUTO;
	else if (!strcmp(parser->value, "on"))
		*mode = SANDBOX_ON;
	else if (!strcmp(parser->value, "off"))
		*mode = SANDBOX_OFF;
	else
		return refuse(parser, "auto, on or off");
	return 0;
}

static int take_serial(struct parser *parser)
{
	char takes[64];

	if (!*parser->value || strlen(parser->value) > BLK_SERIAL_BYTES) {
		snprintf(takes, sizeof(takes), "1 to %d bytes of text",
			 BLK_SERIAL_BYTES);
		return refuse(parser, takes);
	}
	parser->options->server.export.serial = parser->value;
	return 0;
}

static int take_size(struct parser *parser)
{
	uint64_t bytes;

	if (sizes_parse(parser->value, &bytes) < 0 || bytes == 0 ||
	    bytes > INT64_MAX || !is_aligned(bytes, SECTOR_BYTES))
		return refuse(parser,
			      "a size such as 512M or 10G, a multiple of 512 "
			      "bytes");
	parser->options->server.driver_options.size_bytes = bytes;
	return 0;
}

static int take_socket_group(struct parser *parser)
{
	const struct group *group = getgrnam(parser->value);
	uint64_t number;

	if (group)
		number = group->gr_gid;
	else if (parse_number(parser->value, 10, &number) < 0 ||
		 number >= (gid_t)-1)
		return refuse(parser,
			      "a group of this host (getent group), or its "
			      "number");
	parser->options->socket_gid = (gid_t)number;
	return 0;
}

static int take_socket_mode(struct parser *parser)
{
	uint64_t mode;

	if (parse_number(parser->value, 8, &mode) < 0 || mode > 0777)
		return refuse(parser, "octal permissions from 0 to 0777");
	parser->options->socket_mode = (mode_t)mode;
	return 0;
}

static int take_socket_path(struct parser *parser)
{
	return take_text(parser, &parser->options->socket_path);
}

static int take_threads(struct parser *parser)
{
	return take_number(parser, 1, OPTIONS_MAX_THREADS,
			   &parser->options->server.nr_workers);
}

static int take_verbose(struct parser *parser)
{
	parser->options->verbosity++;
	return 0;
}

static int take_log_format(struct parser *parser)
{
	if (strcmp(parser->value, "text") != 0 &&
	    strcmp(parser->value, "json") != 0)
		return refuse(parser, "text or json");
	parser->options->log_format = parser->value;
	return 0;
}

static int take_version(struct parser *parser)
{
	parser->options->command = OPTIONS_VERSION;
	return 0;
}

const struct row options_rows[NR_ROWS] = {
	[ROW_AIO] = { "aio", take_aio, true },
	[ROW_BLK_FILE] = { "blk-file", options_take_image, true },
	[ROW_BLOCK_SIZE] = { "block-size", take_block_size, true },
	[ROW_BPS] = { "bps", take_bps, true },
	[ROW_CACHE] = { "cache", take_cache, true },
	[ROW_DRIVER] = { "driver", take_driver, true },
	[ROW_EXIT_ON_DISCONNECT] = { "exit-on-disconnect",
				     take_exit_on_disconnect },
	[ROW_FAULT] = { "fault", take_fault, true },
	[ROW_FAULT_CACHE] = { "fault-cache", take_fault_cache, true },
	[ROW_FAULT_DRIVER] = { "fault-driver", take_fault_driver, true },
	[ROW_FAULT_SEED] = { "fault-seed", take_fault_seed, true },
	[ROW_FD] = { "fd", take_fd, true },
	[ROW_FORCE_SHARE] = { "force-share", take_force_share },
	[ROW_FORMAT] = { "format", take_format, true },
	[ROW_HELP] = { "help", take_help, false, 'h' },
	[ROW_IOPS] = { "iops", take_iops, true },
	[ROW_LIMIT] = { "limit", take_limit, true },
	[ROW_LOG_FORMAT] = { "log-format", take_log_format, true },
	[ROW_NUM_QUEUES] = { "num-queues", take_num_queues, true },
	[ROW_POLL_US] = { "poll-us", take_poll_us, true },
	[ROW_PRINT_CAPABILITIES] = { "print-capabilities",
				     take_print_capabilities },
	[ROW_QUEUE_SIZE] = { "queue-size", take_queue_size, true },
	[ROW_QUIET] = { "quiet", take_quiet, false, 'q' },
	[ROW_READ_ONLY] = { "read-only", take_read_only },
	[ROW_SANDBOX] = { "sandbox", take_sandbox, true },
	[ROW_SERIAL] = { "serial", take_serial, true },
	[ROW_SIZE] = { "size", take_size, true },
	[ROW_SOCKET_GROUP] = { "socket-group", take_socket_group, true },
	[ROW_SOCKET_MODE] = { "socket-mode", take_socket_mode, true },
	[ROW_SOCKET_PATH] = { "socket-path", take_socket_path, true },
	[ROW_THREADS] = { "threads", take_threads, true },
	[ROW_VERBOSE] = { "verbose", take_verbose, false, 'v' },
	[ROW_VERSION] = { "version", take_version, false, 'V' },
};
