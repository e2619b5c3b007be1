// SPDX-License-Identifier: Apache-2.0
/*
 * pty.c - each time the slave is opened, a viewer on the master.
 *
 * The master says that the slave is closed (POLLHUP), but nothing wakes those
 * who wait for the opposite; inotify does.  It is told of everybody who opens or
 * closes the slave, so what counts is the master's state afterwards.
 */
#include "console/pty.h"

#include "base/bits.h"
#include "base/err.h"
#include "loop/loop.h"
#include "viewer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <termios.h>
#include <unistd.h>

#define PATH_LEN	64

struct pty {
	struct loop *loop;
	struct hub *hub;
	int master;
	int inotify;
	struct loop_watch opened;
	struct viewer *viewer;		/* NULL while nobody has it open */
	char path[PATH_LEN];
};

static bool is_open(const struct pty *pty)
{
	struct pollfd fd = { .fd = pty->master };

	return poll(&fd, 1, 0) == 0 || !(fd.revents & POLLHUP);
}

/*
 * Raw, as a serial line is, and without what the last one has not read.  Closed
 * again, so that the master says so.
 */
static int set_up_slave(const struct pty *pty)
{
	int fd = open(pty->path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct termios mode;
	int r = 0;

	if (fd < 0)
		return -errno;
	if (tcgetattr(fd, &mode)) {
		r = -errno;
	} else {
		cfmakeraw(&mode);
		if (tcsetattr(fd, TCSANOW, &mode) || tcflush(fd, TCIFLUSH))
			r = -errno;
	}
	close(fd);
	return r;
}

static void look(struct pty *pty);

static void gone(void *ctx, struct viewer *viewer)
{
	struct pty *pty = ctx;

	pty->viewer = viewer_free(viewer);
	if (!is_open(pty))
		set_up_slave(pty);
	look(pty);
}

/* Is there somebody new? */
static void look(struct pty *pty)
{
	struct viewer_config config = {
		.loop = pty->loop, .hub = pty->hub, .gone = gone, .ctx = pty,
	};

	if (!is_open(pty))
		return;
	if (pty->viewer && !viewer_has_left(pty->viewer))
		return;
	pty->viewer = viewer_free(pty->viewer);
	config.fd = fcntl(pty->master, F_DUPFD_CLOEXEC, 0);
	/* Whoever opened it sees nothing then; the next one may. */
	if (config.fd >= 0 && viewer_new(&pty->viewer, &config) < 0)
		close(config.fd);
}

static void opened(struct loop_watch *watch, unsigned events)
{
	struct pty *pty = container_of(watch, struct pty, opened);
	char buffer[1024];

	(void)events;
	while (read(pty->inotify, buffer, sizeof(buffer)) > 0)
		;
	look(pty);
}

static int open_pty(struct pty *pty)
{
	int r;

	pty->master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	if (pty->master < 0 || grantpt(pty->master) || unlockpt(pty->master))
		return -errno;
	r = ptsname_r(pty->master, pty->path, sizeof(pty->path));
	if (r)
		return -r;
	r = set_up_slave(pty);
	if (r < 0)
		return r;
	pty->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (pty->inotify < 0 || inotify_add_watch(pty->inotify, pty->path, IN_OPEN) < 0)
		return -errno;
	return loop_watch_add(pty->loop, &pty->opened, pty->inotify, POLLIN);
}

int pty_new(struct pty **ret_pty, struct loop *loop, struct hub *hub, struct err *err)
{
	struct pty *pty = calloc(1, sizeof(*pty));
	int r;

	if (!pty)
		return err_sys(err, -ENOMEM, "cannot make a pseudo-terminal");
	*pty = (struct pty){ .loop = loop, .hub = hub, .master = -1, .inotify = -1 };
	pty->opened.ready = opened;
	r = open_pty(pty);
	if (r < 0) {
		pty_free(pty);
		return err_sys(err, r, "cannot make a pseudo-terminal");
	}
	*ret_pty = pty;
	return 0;
}

struct pty *pty_free(struct pty *pty)
{
	if (!pty)
		return NULL;
	loop_watch_remove(pty->loop, &pty->opened);
	viewer_free(pty->viewer);
	if (pty->inotify >= 0)
		close(pty->inotify);
	if (pty->master >= 0)
		close(pty->master);
	free(pty);
	return NULL;
}

const char *pty_path(const struct pty *pty)
{
	return pty->path;
}
