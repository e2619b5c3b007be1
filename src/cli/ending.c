// SPDX-License-Identifier: Apache-2.0
#include "ending.h"

#include "base/err.h"
#include "base/log.h"
#include "client.h"
#include "runtime.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/pidfd.h>

/* For what SIGKILL leaves the kernel to do; memory of terabytes takes its time. */
#define KILLED_MS	30000

bool ending_wait(int process, int timeout_ms)
{
	struct pollfd pollfd = { .fd = process, .events = POLLIN };

	return poll(&pollfd, 1, timeout_ms) > 0;
}

/* Whatever it answers: what counts is whether the process ends. */
static bool end_by_qmp(const char *name, int process, int timeout_ms)
{
	struct client *client;
	int r = client_open(&client, name, timeout_ms, NULL);

	if (r < 0)
		return ending_wait(process, 0);
	client_execute(client, "quit", NULL, NULL, NULL);
	client_close(client);
	return ending_wait(process, timeout_ms);
}

int ending_force(const char *name, int process, int timeout_ms, struct err *err)
{
	if (end_by_qmp(name, process, timeout_ms))
		return 0;
	log_warn("VM '%s' does not end when told to: killed", name);
	if (pidfd_send_signal(process, SIGKILL, NULL, 0) && errno != ESRCH)
		return err_sys(err, -errno, "cannot kill VM '%s'", name);
	if (!ending_wait(process, KILLED_MS))
		return err_set(err, -ETIMEDOUT, "VM '%s' has been killed, but does not end",
			       name);
	/* Another VM may have taken the name, and it with it. */
	runtime_sweep(name, NULL);
	return 0;
}
