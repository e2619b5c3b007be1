// SPDX-License-Identifier: Apache-2.0
/*
 * fake_server.c - serves QMP for a fake machine, until quit.
 *
 *	fake_server {PATH | fd=N}...
 *
 * Prints "ready" when clients can connect.
 */
#include "base/err.h"
#include "control/qmp_server.h"
#include "fake_machine.h"
#include "loop/loop.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void send_event(void *ctx, const struct qmp_event *event, json_t *data)
{
	struct qmp_server **server = ctx;

	qmp_server_event(*server, event, data);
}

static int fail(const struct err *err)
{
	fprintf(stderr, "fake_server: %s\n", err->text);
	return EXIT_FAILURE;
}

/* Each is a path, or fd=N: a socket that listens. */
static int listen_at(struct qmp_server *server, char **sockets, struct err *err)
{
	int r = 0;

	for (; *sockets && !r; sockets++)
		r = !strncmp(*sockets, "fd=", 3) ?
		    qmp_server_adopt(server, atoi(*sockets + 3), err) :
		    qmp_server_listen(server, *sockets, err);
	return r;
}

int main(int argc, char **argv)
{
	struct fake_machine fake;
	struct qmp_server *server = NULL;
	struct err err = { 0 };
	struct qmp_server_config config = {
		.tables = fake_machine_tables,
		.machine = &fake.machine,
	};
	int r;

	if (argc < 2)
		return EXIT_FAILURE;
	signal(SIGPIPE, SIG_IGN);
	fake_machine_init(&fake);
	fake.event = send_event;
	fake.ctx = &server;
	if (loop_new(&fake.loop, &err) < 0)
		return fail(&err);
	config.loop = fake.loop;
	r = qmp_server_new(&server, &config, &err);
	if (!r)
		r = listen_at(server, argv + 1, &err);
	if (r < 0) {
		fake_machine_fini(&fake);
		qmp_server_free(server);
		loop_free(fake.loop);
		return fail(&err);
	}
	printf("ready\n");
	fflush(stdout);
	loop_run(fake.loop);
	fake_machine_fini(&fake);
	qmp_server_free(server);
	loop_free(fake.loop);
	return EXIT_SUCCESS;
}
