/* SPDX-License-Identifier: MIT */
/*
 * screen - a terminal that is drawn on, and is given back as it was
 *
 * Plain control sequences of ECMA-48 and the second screen of xterm. However
 * the process ends, be it by a signal, the terminal is restored; only SIGKILL
 * leaves it (the command reset mends that). Stopped (^Z), it gives the terminal
 * back for that time.
 *
 * One at a time, since the terminal and signals are the process's.
 */
#ifndef CTL_SCREEN_H
#define CTL_SCREEN_H

#include <stdio.h>

/* Of what does not tell. */
#define SCREEN_USUAL_WIDTH  80
#define SCREEN_USUAL_HEIGHT 24

/* True if the standard output is a terminal. */
int screen_is_there(void);

/* Returns 0 or -errno. */
int screen_begin(void);
void screen_end(void);

void screen_size(unsigned int *width, unsigned int *height);

/*
 * Wait for a key, or this long. Returns the key, 0 when the time is over, or
 * -EAGAIN when it is to be drawn anew.
 */
int screen_wait(int timeout_msec);

/* From the top on; draw_end() clears what is below. */
void screen_draw_begin(FILE *file);
void screen_draw_end(FILE *file);

#endif
