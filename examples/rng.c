/* SPDX-License-Identifier: MIT */
/*
 * rng - a virtio entropy device (virtio 1.3, 5.4) in one page
 *
 * Build: cc rng.c -o rng $(pkg-config --cflags --libs ringhost)
 * Run:   ./rng /tmp/rng.sock, then in another terminal
 *
 *	qemu-system-x86_64 ... \
 *	  -object memory-backend-memfd,id=mem,size=1G,share=on \
 *	  -machine memory-backend=mem \
 *	  -chardev socket,id=rng,path=/tmp/rng.sock \
 *	  -device vhost-user-rng-pci,chardev=rng
 *
 * and in the guest: head -c 16 /dev/hwrng | od -x
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include <ringhost/ringhost.h>

static volatile sig_atomic_t stop;

static void on_signal(int signal)
{
	(void)signal;
	stop = 1;
}

/* Fill each buffer that the driver offers. The device has no other words. */
static void serve(void *opaque, struct rh_queue *queue)
{
	struct rh_chain *chain;

	(void)opaque;
	while (rh_queue_pop(queue, &chain) > 0) {
		uint32_t written = 0;

		for (unsigned int i = 0; i < chain->nr_writable; i++) {
			struct iovec *iov = &chain->writable[i];
			ssize_t done =
				getrandom(iov->iov_base, iov->iov_len, 0);

			if (done < 0)
				break;
			written += (uint32_t)done;
			if ((size_t)done < iov->iov_len)
				break;
		}
		rh_queue_push(queue, chain, written);
	}
}

int main(int argc, char **argv)
{
	static const struct rh_device_ops ops = {
		.queue_start = rh_poll_queue_start,
		.queue_stop = rh_poll_queue_stop,
	};
	struct rh_device_config config = {
		.name = "rng",
		.ops = &ops,
		.nr_queues = 1,
	};
	struct sigaction action = { .sa_handler = on_signal };
	struct rh_device *device = NULL;
	sigset_t signals;
	int error;
	int fd;

	if (argc != 2) {
		fprintf(stderr, "usage: %s SOCKET\n", argv[0]);
		return 2;
	}
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);

	error = rh_socket_listen(argv[1], 0600, (gid_t)-1, &fd);
	if (error) {
		fprintf(stderr, "%s: %s\n", argv[1], strerror(-error));
		return 1;
	}
	printf("rng: waiting for a front-end on %s\n", argv[1]);
	fflush(stdout);
	error = rh_device_guard_memory();
	if (!error)
		error = rh_poll_create(serve, NULL,
				       (struct rh_poll **)&config.opaque);
	if (!error)
		error = rh_device_create(&config, &device);
	if (!error)
		error = rh_device_listen(device, fd);
	if (!error)
		error = rh_poll_run(config.opaque, device, &stop);
	rh_device_destroy(device);
	rh_poll_destroy(config.opaque);
	rh_socket_unlink(argv[1]);
	if (error)
		fprintf(stderr, "rng: %s\n", strerror(-error));
	return error ? 1 : 0;
}
