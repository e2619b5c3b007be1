// SPDX-License-Identifier: Apache-2.0
#include "detach.h"

#include "base/err.h"
#include "cli/command.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

/* In front: what the other one says, until it has begun or ended. */
static size_t listen_to(int fd, char *text, size_t size)
{
	size_t len = 0;
	ssize_t n;

	do {
		n = read(fd, text + len, size - len);
		if (n > 0)
			len += (size_t)n;
	} while ((n > 0 && len < size) || (n < 0 && errno == EINTR));
	return len;
}

static int status_of(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status))
		return command_fail("the VM was ended by signal %d (%s) while it was started",
				    WTERMSIG(status), strsignal(WTERMSIG(status)));
	return WEXITSTATUS(status);
}

static int stay_in_front(pid_t pid, int fd)
{
	char text[256];
	size_t len = listen_to(fd, text, sizeof(text));

	close(fd);
	if (!len)
		return status_of(pid);
	printf("%.*s", (int)len, text);
	return EXIT_OK;
}

/* Behind. */
static int leave_terminal(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (fd < 0 || dup2(fd, STDIN_FILENO) < 0 || dup2(fd, STDOUT_FILENO) < 0)
		return -errno;
	close(fd);
	setsid();
	return 0;
}

int detach_fork(struct detach *detach, struct err *err)
{
	int fds[2], r;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		return err_sys(err, -errno, "cannot go into the background");
	pid = fork();
	if (pid < 0) {
		r = -errno;
		close(fds[0]);
		close(fds[1]);
		return err_sys(err, r, "cannot go into the background");
	}
	if (pid > 0) {
		close(fds[1]);
		detach->status = stay_in_front(pid, fds[0]);
		return 1;
	}
	close(fds[0]);
	detach->pipe = fds[1];
	r = leave_terminal();
	return r < 0 ? err_sys(err, r, "cannot go into the background") : 0;
}

int detach_done(struct detach *detach, const char *what, struct err *err)
{
	int r = 0;

	if (dprintf(detach->pipe, "%s\n", what) < 0)
		r = err_sys(err, -errno, "nobody waits for the VM any more");
	close(detach->pipe);
	return r;
}
