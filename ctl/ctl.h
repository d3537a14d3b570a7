/* SPDX-License-Identifier: MIT */
/*
 * ctl - the command `ringhost ctl`: a client of the daemon's control socket
 *
 * Looks at and changes what a running daemon serves, with the commands of
 * ringhost-qmp(7) and for people as well as for scripts; and looks at the host.
 */
#ifndef CTL_CTL_H
#define CTL_CTL_H

/*
 * argv[0] is the word "ctl", and the words of argv may be put in another order.
 * Returns the exit code: 0 it was done; 1 it was not, for the reason that was
 * logged; 2 the command line was wrong.
 */
int ctl_main(int argc, char **argv);

#endif
