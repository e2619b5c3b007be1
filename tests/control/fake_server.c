// SPDX-License-Identifier: Apache-2.0
/*
 * fake_server.c - serves QMP for a fake machine, until quit.
 *
 *	fake_server PATH | fd=N
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

int main(int argc, char **argv)
{
	struct fake_machine fake;
	struct qmp_server *server;
	struct err err = { 0 };
	struct qmp_server_config config = {
		.tables = fake_machine_tables,
		.machine = &fake.machine,
	};

	if (argc != 2)
		return EXIT_FAILURE;
	if (!strncmp(argv[1], "fd=", 3))
		config.fd = atoi(argv[1] + 3);
	else
		config.path = argv[1];
	signal(SIGPIPE, SIG_IGN);
	fake_machine_init(&fake);
	fake.event = send_event;
	fake.ctx = &server;
	if (loop_new(&fake.loop, &err) < 0)
		return fail(&err);
	config.loop = fake.loop;
	if (qmp_server_new(&server, &config, &err) < 0) {
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
