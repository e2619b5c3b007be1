// SPDX-License-Identifier: Apache-2.0
/*
 * events.c - vmm events: what happens to a VM, a line each, until it ends.
 */
#include "arguments.h"
#include "base/err.h"
#include "cli/command.h"
#include "client.h"
#include "config/option.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct events {
	struct option_given given;
	bool json;
	bool help;
};

static const struct option rows[] = {
	{ .key = "json", .letter = 'j', OPTION(struct events, json),
	  .help = "print events as they come: a JSON object a line" },
	{ .key = "help", .letter = 'h', OPTION(struct events, help),
	  .help = "print this and exit" },
};

const struct option_object command_events_options = {
	.name = "events", OPTION_OBJECT(struct events, rows),
};

static void print_text(const json_t *event)
{
	const json_t *stamp = json_object_get(event, "timestamp");
	const char *name = json_string_value(json_object_get(event, "event"));
	time_t seconds = json_integer_value(json_object_get(stamp, "seconds"));
	char *data = json_dumps(json_object_get(event, "data"), JSON_ENSURE_ASCII);
	char text[32] = "";
	struct tm local;

	if (localtime_r(&seconds, &local))
		strftime(text, sizeof(text), "%F %T", &local);
	printf("%s.%03d  %s%s%s\n", text,
	       (int)(json_integer_value(json_object_get(stamp, "microseconds")) / 1000),
	       name ? name : "?", data ? "  " : "", data ? data : "");
	free(data);
}

static void print(const json_t *event, bool json)
{
	if (json) {
		json_dumpf(event, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
		putchar('\n');
	} else {
		print_text(event);
	}
	/* Whoever reads them through a pipe wants them now. */
	fflush(stdout);
}

int command_events(const struct command *command, int argc, char **argv)
{
	struct err err = { 0 };
	struct arguments args;
	struct events options;
	struct client *client;
	json_t *event;
	int r;

	if (!arguments_read(&args, command, &options, argc, argv))
		return args.status;
	r = client_open(&client, args.words[0], CLIENT_TIMEOUT_MS, &err);
	if (r < 0)
		return command_fail("%s", err.text);
	while ((r = client_event(client, &event, -1, &err)) > 0) {
		print(event, options.json);
		json_decref(event);
		/* Which is told by command_main(). */
		if (ferror(stdout))
			break;
	}
	client_close(client);
	return r > 0 || r == -EPIPE ? EXIT_OK : command_fail("%s", err.text);
}
