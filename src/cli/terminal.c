// SPDX-License-Identifier: Apache-2.0
#include "terminal.h"

#include "base/bits.h"
#include "base/err.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define READY_MS	100

/*
 * The terminal's mode, to be restored even by a signal handler: set once
 * before armed is.
 */
static struct termios saved_mode;
static atomic_bool armed;

/*
 * A terminal that was stopped stays stopped: do not wait for it.  But neither is it ready
 * while another thread writes the guest's output to it, which is over soon.
 */
static void say(const char *text, size_t len)
{
	struct pollfd out = { .fd = STDOUT_FILENO, .events = POLLOUT };
	ssize_t r;

	if (poll(&out, 1, READY_MS) <= 0)
		return;
	r = write(STDOUT_FILENO, text, len);
	(void)r;
}

void terminal_say(const char *text)
{
	say(text, strlen(text));
}

void terminal_restore(void)
{
	/* Attributes off, cursor visible, main screen: whatever the guest has done. */
	static const char sane[] = "\033[0m\033[?25h\033[?1049l";

	if (!atomic_exchange(&armed, false))
		return;
	say(sane, sizeof(sane) - 1);
	tcsetattr(STDIN_FILENO, TCSANOW, &saved_mode);
}

static void die_restored(int signal)
{
	terminal_restore();
	raise(signal);		/* SA_RESETHAND: now by default */
}

bool terminal_is_ours(void)
{
	return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) &&
	       tcgetpgrp(STDIN_FILENO) == getpgrp();
}

bool terminal_forbids_input(void)
{
	return isatty(STDIN_FILENO) && !terminal_is_ours();
}

/* One that is ignored, as nohup has it, does not kill. */
static void watch_deadly_signals(void)
{
	static const int deadly[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGQUIT,
				      SIGTERM, SIGINT, SIGHUP };
	const struct sigaction action = { .sa_handler = die_restored,
					  .sa_flags = SA_RESETHAND };
	struct sigaction old;

	for (size_t i = 0; i < ARRAY_LEN(deadly); i++)
		if (!sigaction(deadly[i], NULL, &old) && old.sa_handler != SIG_IGN)
			sigaction(deadly[i], &action, NULL);
}

int terminal_make_raw(struct err *err)
{
	struct termios mode;

	if (tcgetattr(STDIN_FILENO, &saved_mode))
		return err_sys(err, -errno, "cannot read the terminal's mode");
	mode = saved_mode;
	cfmakeraw(&mode);
	mode.c_oflag |= OPOST;		/* our own messages end their lines with \n */
	armed = true;
	atexit(terminal_restore);
	watch_deadly_signals();
	if (tcsetattr(STDIN_FILENO, TCSADRAIN, &mode)) {
		armed = false;
		return err_sys(err, -errno, "cannot set the terminal's mode");
	}
	return 0;
}
