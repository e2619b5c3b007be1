// SPDX-License-Identifier: Apache-2.0
/*
 * stop.c - vmm stop: the power button, and what comes of it.
 */
#include "arguments.h"
#include "base/bits.h"
#include "base/clock.h"
#include "base/err.h"
#include "cli/command.h"
#include "client.h"
#include "config/option.h"
#include "ending.h"
#include "runtime.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Exit statuses besides EXIT_OK, EXIT_USAGE and EXIT_FORCED; see the manual page. */
#define EXIT_REMAINS	EXIT_DIED

#define TICK_MS		1000
#define FORCE_MS	5000

struct stop {
	struct option_given given;
	uint32_t timeout;		/* seconds */
	bool force;
	bool help;
};

static const struct option rows[] = {
	{ .key = "timeout", .letter = 't', OPTION(struct stop, timeout), .preset = "60",
	  .max = COMMAND_TIMEOUT_MAX, .metavar = "SECONDS",
	  .help = "how long a guest may take to shut down" },
	{ .key = "force", OPTION(struct stop, force), .preset = "off",
	  .help = "end a VM that has not shut down by then, without asking" },
	{ .key = "help", .letter = 'h', OPTION(struct stop, help),
	  .help = "print this and exit" },
};

const struct option_object command_stop_options = {
	.name = "stop", OPTION_OBJECT(struct stop, rows),
};

/* One VM on its way down. */
struct stopping {
	const char *name;
	int process;
	struct client *client;
	bool is_off;			/* the guest has switched itself off */
	bool on_terminal;		/* somebody watches */
	unsigned seconds;		/* waited so far */
};

static void show_progress(const struct stopping *stopping)
{
	if (stopping->on_terminal)
		fprintf(stderr, "\rwaiting for VM '%s' to shut down: %u s",
			stopping->name, stopping->seconds);
}

static void end_progress(const struct stopping *stopping)
{
	if (stopping->on_terminal)
		fprintf(stderr, "\r\033[K");
}

/* Whatever it answers: what counts is whether the process ends. */
static void quit(struct stopping *stopping)
{
	client_execute(stopping->client, "quit", NULL, NULL, NULL);
}

/*
 * A VM that stays when its guest is off, --action, says STOP then, and has no more to lose.
 * One that ends by itself is not hurried: it may have much to write to its disks.
 */
static void hear(struct stopping *stopping, const json_t *event)
{
	const char *name = json_string_value(json_object_get(event, "event"));
	const json_t *data = json_object_get(event, "data");

	if (!strcmp(name, "SHUTDOWN"))
		stopping->is_off = json_is_true(json_object_get(data, "guest"));
	else if (!strcmp(name, "STOP") && stopping->is_off)
		quit(stopping);
}

/* Until something happens, a second at most. */
static void wait_a_moment(struct stopping *stopping)
{
	json_t *event;

	if (!stopping->client) {
		ending_wait(stopping->process, TICK_MS);
		return;
	}
	switch (client_event(stopping->client, &event, TICK_MS, NULL)) {
	case 0:
		return;
	case 1:
		hear(stopping, event);
		json_decref(event);
		return;
	default:
		/* It has ended, or is about to. */
		stopping->client = client_close(stopping->client);
	}
}

/* True when it has ended. */
static bool wait_for_end(struct stopping *stopping, uint32_t seconds)
{
	uint64_t start = clock_ns();
	bool ended = false;

	do {
		stopping->seconds = (unsigned)((clock_ns() - start) / CLOCK_NS_PER_S);
		show_progress(stopping);
		wait_a_moment(stopping);
		ended = ending_wait(stopping->process, 0);
	} while (!ended && clock_ns() - start < seconds * CLOCK_NS_PER_S);
	end_progress(stopping);
	return ended;
}

enum choice { LEAVE, WAIT, FORCE };

static const char *undone(const struct stopping *stopping)
{
	return stopping->is_off ? "closed its disks" : "shut down";
}

static enum choice ask(const struct stopping *stopping, uint32_t seconds)
{
	char answer[16];

	if (!stopping->on_terminal || !isatty(STDIN_FILENO))
		return LEAVE;
	fprintf(stderr, "VM '%s' has not %s in %u s.  End it at once [y], wait again [w], or "
		"leave it [n]? ", stopping->name, undone(stopping), seconds);
	if (!fgets(answer, sizeof(answer), stdin))
		return LEAVE;
	return *answer == 'y' ? FORCE : *answer == 'w' ? WAIT : LEAVE;
}

static int refuse(const struct stopping *stopping, const char *state, struct err *err)
{
	static const struct {
		const char *state, *why;
	} others[] = {
		{ "inmigrate", "waits for its guest to come: 'vmm kill' ends that" },
		{ "finish-migrate", "is being moved: wait, or take it back by 'vmm migrate'" },
		{ "postmigrate", "has moved: stop it where it runs now" },
	};

	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (!strcmp(state, others[i].state))
			return err_set(err, -EBUSY, "VM '%s' %s", stopping->name,
				       others[i].why);
	return err_set(err, -EBUSY, "VM '%s' is %s, and its guest does not see the power button: "
		       "'vmm resume' or 'vmm kill' it", stopping->name, state);
}

/* A VM whose guest is off already is ended instead. */
static int press_button(struct stopping *stopping, struct err *err)
{
	const char *state;
	json_t *status;
	int r = client_execute(stopping->client, "query-status", NULL, &status, err);

	if (r < 0)
		return r;
	state = json_string_value(json_object_get(status, "status"));
	stopping->is_off = state && !strcmp(state, "shutdown");
	if (!state)
		r = err_set(err, -EPROTO, "VM '%s' does not say what state it is in",
			    stopping->name);
	else if (!strcmp(state, "running") || !strcmp(state, "save-vm"))
		r = client_execute(stopping->client, "system_powerdown", NULL, NULL, err);
	else if (stopping->is_off)
		quit(stopping);
	else
		r = refuse(stopping, state, err);
	json_decref(status);
	return r;
}

static int bring_down(struct stopping *stopping, const struct stop *options, struct err *err)
{
	enum choice choice = options->force ? FORCE : LEAVE;
	int r = press_button(stopping, err);

	if (r < 0 && !options->force)
		return EXIT_USAGE;
	if (r >= 0) {
		do {
			if (wait_for_end(stopping, options->timeout))
				return EXIT_OK;
			if (!options->force)
				choice = ask(stopping, options->timeout);
		} while (choice == WAIT);
	}
	if (choice == LEAVE) {
		/* One that closes its disks does not listen to another 'vmm stop'. */
		err_set(err, -ETIMEDOUT, "VM '%s' has not %s in %u s and goes on: %s would end it",
			stopping->name, undone(stopping), options->timeout,
			stopping->is_off ? "'vmm kill'" : "--force");
		return EXIT_REMAINS;
	}
	*err = (struct err){ 0 };
	r = ending_force(stopping->name, stopping->process, FORCE_MS, err);
	return r < 0 ? EXIT_USAGE : EXIT_FORCED;
}

static int stop_one(const char *name, void *ctx, struct err *err)
{
	struct stopping stopping = {
		.name = name,
		.process = runtime_process(name, err),
		.on_terminal = isatty(STDERR_FILENO),
	};
	int status;

	if (stopping.process < 0)
		return EXIT_USAGE;
	if (client_open(&stopping.client, name, CLIENT_TIMEOUT_MS, err) < 0) {
		close(stopping.process);
		return EXIT_USAGE;
	}
	status = bring_down(&stopping, ctx, err);
	client_close(stopping.client);
	close(stopping.process);
	return status;
}

int command_stop(const struct command *command, int argc, char **argv)
{
	struct stop options;
	struct arguments args;

	if (!arguments_read(&args, command, &options, argc, argv))
		return args.status;
	return arguments_each(&args, stop_one, &options);
}
