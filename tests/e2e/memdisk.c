/* SPDX-License-Identifier: MIT */
/*
 * memdisk - the smallest disk on libringhost, for tests of the library alone
 *
 * One thread, rh_poll, a disk in memory as large as the image that is named;
 * the image itself is left alone. It takes as much of ringhost's command line
 * as the tests use: --socket-path=PATH or --fd=N, --queue-size=N, then the
 * image. It is made of the public headers alone.
 */
#include <endian.h>
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/virtio_blk.h>
#include <ringhost/ringhost.h>

#define NR_QUEUES    16
#define SECTOR_BYTES 512

struct memdisk {
	struct rh_poll *poll;
	uint8_t *bytes;
	size_t nr_bytes;
	unsigned int queue_size;
	uint8_t wce;
};

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
	stop = number;
}

static size_t copy_out_of(const struct iovec *iov, unsigned int nr, size_t skip,
			  void *to, size_t bytes)
{
	uint8_t *position = to;
	size_t part;

	for (unsigned int i = 0; i < nr && bytes; i++) {
		if (skip >= iov[i].iov_len) {
			skip -= iov[i].iov_len;
			continue;
		}
		part = iov[i].iov_len - skip;
		if (part > bytes)
			part = bytes;
		memcpy(position, (uint8_t *)iov[i].iov_base + skip, part);
		position += part;
		bytes -= part;
		skip = 0;
	}
	return (size_t)(position - (uint8_t *)to);
}

static size_t copy_into(const struct iovec *iov, unsigned int nr,
			const void *from, size_t bytes)
{
	const uint8_t *position = from;
	size_t part;

	for (unsigned int i = 0; i < nr && bytes; i++) {
		part = iov[i].iov_len < bytes ? iov[i].iov_len : bytes;
		memcpy(iov[i].iov_base, position, part);
		position += part;
		bytes -= part;
	}
	return (size_t)(position - (const uint8_t *)from);
}

/* Returns the status; *written: bytes of data-in. */
static uint8_t carry_out(struct memdisk *disk, const struct rh_chain *chain,
			 const struct virtio_blk_outhdr *header,
			 size_t *written)
{
	size_t in = chain->writable_bytes - 1;
	size_t out = chain->readable_bytes - sizeof(*header);
	size_t bytes = header->type == VIRTIO_BLK_T_IN ? in : out;
	uint64_t nr_sectors = disk->nr_bytes / SECTOR_BYTES;
	uint8_t *at;

	if (header->type == VIRTIO_BLK_T_FLUSH)
		return VIRTIO_BLK_S_OK;
	if (header->type == VIRTIO_BLK_T_GET_ID) {
		*written = copy_into(
			chain->writable, chain->nr_writable,
			"memdisk\0\0\0\0\0\0\0\0\0\0\0\0\0",
			in < VIRTIO_BLK_ID_BYTES ? in : VIRTIO_BLK_ID_BYTES);
		return VIRTIO_BLK_S_OK;
	}
	if (header->type > VIRTIO_BLK_T_OUT)
		return VIRTIO_BLK_S_UNSUPP;
	if (!bytes || bytes % SECTOR_BYTES || header->sector >= nr_sectors ||
	    bytes / SECTOR_BYTES > nr_sectors - header->sector)
		return VIRTIO_BLK_S_IOERR;
	at = disk->bytes + header->sector * SECTOR_BYTES;
	if (header->type == VIRTIO_BLK_T_IN)
		*written = copy_into(chain->writable, chain->nr_writable, at,
				     bytes);
	else
		copy_out_of(chain->readable, chain->nr_readable,
			    sizeof(*header), at, bytes);
	return VIRTIO_BLK_S_OK;
}

static void answer(struct memdisk *disk, struct rh_queue *queue,
		   struct rh_chain *chain)
{
	struct virtio_blk_outhdr header;
	struct iovec *last = NULL;
	uint8_t status = VIRTIO_BLK_S_IOERR;
	size_t written = 0;

	if (chain->nr_writable)
		last = &chain->writable[chain->nr_writable - 1];
	if (!last || !last->iov_base) {
		rh_queue_reject(queue, chain, "it has no status byte");
		return;
	}
	if (!chain->error &&
	    copy_out_of(chain->readable, chain->nr_readable, 0, &header,
			sizeof(header)) == sizeof(header)) {
		header.type = le32toh(header.type);
		header.sector = le64toh(header.sector);
		status = carry_out(disk, chain, &header, &written);
	}
	((uint8_t *)last->iov_base)[last->iov_len - 1] = status;
	/* with a gap between data and status only the status counts */
	if (written + 1 != chain->writable_bytes)
		written = 0;
	rh_queue_push(queue, chain, (uint32_t)written + 1);
}

static void serve(void *opaque, struct rh_queue *queue)
{
	struct rh_chain *chain;

	while (rh_queue_pop(queue, &chain) > 0)
		answer(opaque, queue, chain);
}

static int queue_start(void *opaque, struct rh_queue *queue)
{
	struct memdisk *disk = opaque;

	return rh_poll_queue_start(disk->poll, queue);
}

static void queue_stop(void *opaque, struct rh_queue *queue)
{
	struct memdisk *disk = opaque;

	rh_poll_queue_stop(disk->poll, queue);
}

static int config_get(void *opaque, uint32_t offset, void *data, uint32_t size)
{
	const struct memdisk *disk = opaque;
	struct virtio_blk_config config = {
		.capacity = disk->nr_bytes / SECTOR_BYTES,
		.seg_max = 126,
		.blk_size = SECTOR_BYTES,
		.wce = disk->wce,
		.num_queues = NR_QUEUES,
	};

	memcpy(data, (uint8_t *)&config + offset, size);
	return 0;
}

static int config_set(void *opaque, uint32_t offset, const void *data,
		      uint32_t size)
{
	struct memdisk *disk = opaque;
	uint8_t value;

	if (offset != offsetof(struct virtio_blk_config, wce) || size != 1)
		return -EPERM;
	memcpy(&value, data, sizeof(value));
	if (value > 1)
		return -EINVAL;
	disk->wce = value;
	return 0;
}

static void disconnected(void *opaque, int error)
{
	struct memdisk *disk = opaque;

	(void)error;
	disk->wce = 1;
}

static const struct rh_device_ops ops = {
	.queue_start = queue_start,
	.queue_stop = queue_stop,
	.config_get = config_get,
	.config_set = config_set,
	.disconnected = disconnected,
};

#define BIT(number) (UINT64_C(1) << (number))

/* Returns 0 or -errno; path is set where the socket is ours. */
static int open_socket(struct rh_device *device, const char *option,
		       const char **path)
{
	int fd;
	int ret;

	if (!strncmp(option, "--socket-path=", strlen("--socket-path="))) {
		ret = rh_socket_listen(strchr(option, '=') + 1, 0600, (gid_t)-1,
				       &fd);
		if (ret)
			return ret;
		*path = strchr(option, '=') + 1;
		return rh_device_listen(device, fd);
	}
	if (strncmp(option, "--fd=", strlen("--fd=")))
		return -EINVAL;
	fd = atoi(strchr(option, '=') + 1);
	ret = rh_socket_is_listening(fd);
	if (ret < 0)
		return ret;
	return ret ? rh_device_listen(device, fd) :
		     rh_device_connect(device, fd);
}

static int run(struct memdisk *disk, const char *option)
{
	const struct rh_device_config config = {
		.name = "memdisk",
		.ops = &ops,
		.opaque = disk,
		.features = BIT(VIRTIO_BLK_F_SEG_MAX) |
			    BIT(VIRTIO_BLK_F_BLK_SIZE) |
			    BIT(VIRTIO_BLK_F_FLUSH) | BIT(VIRTIO_BLK_F_MQ) |
			    BIT(VIRTIO_BLK_F_CONFIG_WCE),
		.nr_queues = NR_QUEUES,
		.max_queue_size = disk->queue_size,
		.config_bytes =
			offsetof(struct virtio_blk_config, max_discard_sectors),
		.flags = RH_DEVICE_BAD_CHAINS,
	};
	struct rh_device *device;
	const char *path = NULL;
	int error = rh_poll_create(serve, disk, &disk->poll);

	if (error)
		return error;
	error = rh_device_create(&config, &device);
	if (!error)
		error = open_socket(device, option, &path);
	if (!error)
		error = rh_poll_run(disk->poll, device, &stop);
	if (path)
		rh_socket_unlink(path);
	if (!error)
		rh_device_destroy(device);
	rh_poll_destroy(disk->poll);
	return error;
}

/* 0, which is the usual one, unless an option says so. */
static unsigned int queue_size(int nr_options, char **options)
{
	static const char name[] = "--queue-size=";

	for (int i = 0; i < nr_options; i++)
		if (!strncmp(options[i], name, strlen(name)))
			return (unsigned int)atoi(options[i] + strlen(name));
	return 0;
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct memdisk disk = { .wce = 1 };
	struct stat stat_buffer;
	sigset_t signals;
	int error;

	if (argc < 3 || stat(argv[argc - 1], &stat_buffer) < 0) {
		fprintf(stderr, "memdisk: --socket-path=PATH IMAGE\n");
		return 2;
	}
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	sigaction(SIGTERM, &action, NULL);
	disk.nr_bytes = (size_t)stat_buffer.st_size;
	disk.queue_size = queue_size(argc - 2, argv + 1);
	disk.bytes = calloc(1, disk.nr_bytes);
	if (!disk.bytes)
		return 1;
	/* resident from the beginning, so that a test sees what else grows */
	for (size_t i = 0; i < disk.nr_bytes; i += 4096)
		((volatile uint8_t *)disk.bytes)[i] = 0;
	error = rh_device_guard_memory();
	if (!error)
		error = run(&disk, argv[1]);
	if (error)
		fprintf(stderr, "memdisk: %s\n", strerror(-error));
	free(disk.bytes);
	return error ? 1 : 0;
}
