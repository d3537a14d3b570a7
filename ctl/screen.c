/* SPDX-License-Identifier: MIT */
/*
 * screen - a terminal that is drawn on, and is given back as it was
 *
 * What restores it is safe in a handler of signals: write(2) and tcsetattr(3).
 */
#include "ctl/screen.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "common/base.h"

#define SECOND_SCREEN "\033[?1049h\033[?25l\033[H\033[2J"
#define FIRST_SCREEN  "\033[?25h\033[?1049l"
#define HOME	      "\033[H"
#define ERASE_LINE    "\033[K"
#define ERASE_REST    "\033[J"

static struct termios saved;
static bool has_keys; /* the standard input is a terminal, too */
static volatile sig_atomic_t begun;
static volatile sig_atomic_t changed;

static const int fatal_signals[] = {
	SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGABRT,
	SIGBUS, SIGFPE, SIGILL,	 SIGPIPE, SIGSEGV
};

static void put(const char *sequence)
{
	ssize_t nr = write(STDOUT_FILENO, sequence, strlen(sequence));

	(void)nr; /* a terminal that is gone needs nothing */
}

static void enter(void)
{
	struct termios raw = saved;

	if (has_keys) {
		raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		raw.c_cc[VMIN] = 1;
		raw.c_cc[VTIME] = 0;
		tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	}
	put(SECOND_SCREEN);
	begun = 1;
}

static void leave(void)
{
	if (!begun)
		return;
	begun = 0;
	put(FIRST_SCREEN);
	if (has_keys)
		tcsetattr(STDIN_FILENO, TCSANOW, &saved);
}

/* SA_RESETHAND: the second time it does what it always does. */
static void give_back(int number)
{
	int error = errno;

	leave();
	raise(number);
	errno = error;
}

static void stop(int number)
{
	int error = errno;

	(void)number;
	leave();
	raise(SIGSTOP);
	enter();
	changed = 1;
	errno = error;
}

static void note_change(int number)
{
	(void)number;
	changed = 1;
}

static void watch_signals(void)
{
	struct sigaction action = { .sa_handler = give_back,
				    .sa_flags = SA_RESETHAND };

	sigfillset(&action.sa_mask);
	for (size_t i = 0; i < ARRAY_SIZE(fatal_signals); i++)
		sigaction(fatal_signals[i], &action, NULL);
	action.sa_flags = 0;
	action.sa_handler = stop;
	sigaction(SIGTSTP, &action, NULL);
	action.sa_handler = note_change;
	sigaction(SIGWINCH, &action, NULL);
}

int screen_is_there(void)
{
	return isatty(STDOUT_FILENO);
}

int screen_begin(void)
{
	has_keys = isatty(STDIN_FILENO);
	if (has_keys && tcgetattr(STDIN_FILENO, &saved) < 0)
		return -errno;
	watch_signals();
	enter();
	return 0;
}

void screen_end(void)
{
	leave();
}

void screen_size(unsigned int *width, unsigned int *height)
{
	struct winsize size = { 0 };

	ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	*width = size.ws_col ? size.ws_col : SCREEN_USUAL_WIDTH;
	*height = size.ws_row ? size.ws_row : SCREEN_USUAL_HEIGHT;
}

int screen_wait(int timeout_msec)
{
	struct pollfd ready = { .fd = has_keys ? STDIN_FILENO : -1,
				.events = POLLIN };
	char key;
	int result;

	if (changed) {
		changed = 0;
		return -EAGAIN;
	}
	result = poll(&ready, 1, timeout_msec);
	if (result < 0) {
		changed = 0;
		return -EAGAIN;
	}
	if (result == 0)
		return 0;
	if (read(STDIN_FILENO, &key, 1) == 1)
		return (unsigned char)key;
	has_keys = false; /* nobody is there any more */
	return -EAGAIN;
}

void screen_draw_begin(FILE *file)
{
	fputs(HOME, file);
}

void screen_draw_end(FILE *file)
{
	fputs(ERASE_REST, file);
	fflush(file);
}
