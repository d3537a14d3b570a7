/* SPDX-License-Identifier: MIT */
/*
 * run_command - a QEMU command line, and what it needs for one more disk
 *
 * Reads the options that matter here (-m, -smp, -machine, -numa, -object) as
 * QEMU does, and appends: shared guest memory unless the command has it, the
 * connection, the device. Nothing that the user wrote is changed.
 */
#ifndef SERVER_RUN_COMMAND_H
#define SERVER_RUN_COMMAND_H

struct run_disk {
	int fd; /* that QEMU inherits */
	unsigned int nr_queues;
	unsigned int queue_size;
};

/*
 * argv: ends with NULL. Returns 0 with *ret set, a new argv whose first words
 * are those of argv (to be given to run_command_free()), or -EINVAL when the
 * command cannot work with a vhost-user disk (logged), or -ENOMEM.
 */
int run_command_create(char **argv, const struct run_disk *disk, char ***ret);

/* argv: the original, whose words are not freed. NULL is accepted. */
void run_command_free(char **command, char **argv);

#endif
