// SPDX-License-Identifier: Apache-2.0
/*
 * unplug.c - vmm detach: the guest lets go of devices, then their back ends go.
 */
#include "arguments.h"
#include "base/bits.h"
#include "base/clock.h"
#include "base/err.h"
#include "cli/command.h"
#include "client.h"
#include "config/option.h"
#include "machine/vm_config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Exit status besides EXIT_OK and EXIT_USAGE; see the manual page. */
#define EXIT_REMAINS	EXIT_DIED

#define TICK_MS		1000

struct unplug {
	struct option_given given;
	uint32_t timeout;		/* seconds */
	bool help;

	/* No options. */
	struct client *client;
	const char *vm;
	bool on_terminal;		/* somebody watches */
};

static const struct option rows[] = {
	{ .key = "timeout", .letter = 't', OPTION(struct unplug, timeout), .preset = "30",
	  .max = COMMAND_TIMEOUT_MAX, .metavar = "SECONDS",
	  .help = "how long the guest may take to let go of each" },
	{ .key = "help", .letter = 'h', OPTION(struct unplug, help),
	  .help = "print this and exit" },
};

const struct option_object command_detach_options = {
	.name = "detach", OPTION_OBJECT(struct unplug, rows),
};

/* The back end. */

enum back_end_kind { DISK, NET };

struct back_end {
	enum back_end_kind kind;
	char id[VM_CONFIG_NAME_MAX + 1];
};

static bool has_text(const json_t *object, const char *key, const char *text)
{
	const char *value = json_string_value(json_object_get(object, key));

	return value && !strcmp(value, text);
}

/* Of a device; whoever made the two may have called them what he liked. */
static int find_back_end(const struct unplug *unplug, const char *id,
			 struct back_end *ret_back_end, struct err *err)
{
	json_t *use, *queue;
	size_t i;
	int r = client_execute(unplug->client, "x-vmm-query-use", NULL, &use, err);

	if (r < 0)
		return r;
	*ret_back_end = (struct back_end){ 0 };
	json_array_foreach(json_object_get(use, "queues"), i, queue) {
		const char *name = json_string_value(json_object_get(queue, "back-end"));

		if (!name || !has_text(queue, "device", id))
			continue;
		ret_back_end->kind = has_text(queue, "driver", "virtio-net") ? NET : DISK;
		snprintf(ret_back_end->id, sizeof(ret_back_end->id), "%s", name);
	}
	json_decref(use);
	return 0;
}

static int is_open(const struct unplug *unplug, const char *node, bool *ret_open,
		   struct err *err)
{
	json_t *nodes, *one;
	size_t i;
	int r = client_execute(unplug->client, "query-blockstats",
			       json_pack("{s:b}", "query-nodes", 1), &nodes, err);

	if (r < 0)
		return r;
	*ret_open = false;
	json_array_foreach(nodes, i, one) {
		const char *name = json_string_value(json_object_get(one, "node-name"));

		*ret_open |= name && !strcmp(name, node);
	}
	json_decref(nodes);
	return 0;
}

/* -ENODEV: there is none, as it went with its device. */
static int remove_back_end(const struct unplug *unplug, const struct back_end *back_end,
			   struct err *err)
{
	bool open;
	int r;

	if (back_end->kind == NET)
		return client_execute(unplug->client, "netdev_del",
				      json_pack("{s:s}", "id", back_end->id), NULL, err);
	r = is_open(unplug, back_end->id, &open, err);
	if (r < 0 || !open)
		return r < 0 ? r : -ENODEV;
	return client_execute(unplug->client, "blockdev-del",
			      json_pack("{s:s}", "node-name", back_end->id), NULL, err);
}

/* The guest. */

static void show_progress(const struct unplug *unplug, const char *id, uint64_t ns)
{
	if (unplug->on_terminal)
		fprintf(stderr, "\rwaiting for the guest of VM '%s' to let go of '%s': %u s",
			unplug->vm, id, (unsigned)(ns / CLOCK_NS_PER_S));
}

static void end_progress(const struct unplug *unplug)
{
	if (unplug->on_terminal)
		fprintf(stderr, "\r\033[K");
}

enum answer { NONE, GONE, REFUSED };

static enum answer answer_of(const json_t *event, const char *id)
{
	const char *name = json_string_value(json_object_get(event, "event"));
	const char *device =
		json_string_value(json_object_get(json_object_get(event, "data"), "device"));

	if (!name || !device || strcmp(device, id))
		return NONE;
	if (!strcmp(name, "DEVICE_DELETED"))
		return GONE;
	return strcmp(name, "DEVICE_UNPLUG_GUEST_ERROR") ? NONE : REFUSED;
}

/* NONE: not in time. */
static int await_answer(const struct unplug *unplug, const char *id, enum answer *ret_answer,
			struct err *err)
{
	uint64_t start = clock_ns(), ns = 0, most = unplug->timeout * CLOCK_NS_PER_S;
	json_t *event;
	int r = 0;

	*ret_answer = NONE;
	while (r >= 0 && !*ret_answer && ns <= most) {
		uint64_t left_ms = (most - ns) / CLOCK_NS_PER_MS;

		show_progress(unplug, id, ns);
		r = client_event(unplug->client, &event,
				 left_ms < TICK_MS ? (int)left_ms + 1 : TICK_MS, err);
		if (r > 0) {
			*ret_answer = answer_of(event, id);
			json_decref(event);
		}
		ns = clock_ns() - start;
	}
	end_progress(unplug);
	return r < 0 ? r : 0;
}

static int wait_for_guest(const struct unplug *unplug, const char *id, struct err *err)
{
	enum answer answer;
	int r = await_answer(unplug, id, &answer, err);

	if (r < 0)
		return EXIT_USAGE;
	if (answer == REFUSED)
		err_set(err, -EBUSY, "the guest of VM '%s' refuses to let go of '%s': it is in "
			"use there", unplug->vm, id);
	else if (answer == NONE)
		err_set(err, -ETIMEDOUT, "the guest of VM '%s' has not let go of '%s' in %u s: it "
			"may still do so; 'vmm detach' asks again, and a reset takes it away",
			unplug->vm, id, unplug->timeout);
	return answer == GONE ? EXIT_OK : EXIT_REMAINS;
}

/* One device. */

/* What is left of a device that the guest let go of too late for us. */
static int remove_rest(const struct unplug *unplug, const char *id, struct err *err)
{
	struct back_end back_end = { .kind = DISK };
	int r;

	snprintf(back_end.id, sizeof(back_end.id), "%s", id);
	r = remove_back_end(unplug, &back_end, err);
	if (r == -ENODEV) {
		back_end.kind = NET;
		r = remove_back_end(unplug, &back_end, err);
	}
	if (r == -ENODEV)
		err_set(err, r, "VM '%s' has no disk or network card '%s': 'vmm info' lists its "
			"disks", unplug->vm, id);
	return r < 0 ? EXIT_USAGE : EXIT_OK;
}

static int detach_one(const char *id, void *ctx, struct err *err)
{
	const struct unplug *unplug = ctx;
	struct back_end back_end;
	int status, r = find_back_end(unplug, id, &back_end, err);

	if (!r)
		r = client_execute(unplug->client, "device_del", json_pack("{s:s}", "id", id),
				   NULL, err);
	if (r == -ENODEV) {
		*err = (struct err){ 0 };
		return remove_rest(unplug, id, err);
	}
	if (r < 0)
		return EXIT_USAGE;
	status = wait_for_guest(unplug, id, err);
	if (status != EXIT_OK)
		return status;
	r = remove_back_end(unplug, &back_end, err);
	if (r == -ENODEV)
		*err = (struct err){ 0 };
	return err->code ? EXIT_USAGE : EXIT_OK;
}

/* All of them. */

static int check_runs(const struct unplug *unplug, struct err *err)
{
	static const char *const resumable[] = { "paused", "prelaunch", "io-error" };
	const char *state, *advice = "";
	json_t *status;
	int r = client_execute(unplug->client, "query-status", NULL, &status, err);

	if (r < 0)
		return r;
	state = json_string_value(json_object_get(status, "status"));
	for (size_t i = 0; state && i < ARRAY_LEN(resumable); i++)
		if (!strcmp(state, resumable[i]))
			advice = ": 'vmm resume' it first";
	/* One that is saved goes on in a moment. */
	if (!state)
		r = err_set(err, -EPROTO, "VM '%s' does not say what state it is in", unplug->vm);
	else if (strcmp(state, "running") && strcmp(state, "save-vm"))
		r = err_set(err, -EBUSY, "VM '%s' is %s, and its guest cannot let go of "
			    "anything%s", unplug->vm, state, advice);
	json_decref(status);
	return r;
}

int command_detach(const struct command *command, int argc, char **argv)
{
	struct arguments args, ids;
	struct unplug unplug;
	struct err err = { 0 };
	int r, status;

	if (!arguments_read(&args, command, &unplug, argc, argv))
		return args.status;
	unplug.vm = args.words[0];
	unplug.on_terminal = isatty(STDERR_FILENO);
	r = client_open(&unplug.client, unplug.vm, CLIENT_TIMEOUT_MS, &err);
	if (r < 0)
		return command_fail("%s", err.text);
	r = check_runs(&unplug, &err);
	ids = (struct arguments){ .words = args.words + 1, .nr = args.nr - 1 };
	status = r < 0 ? command_fail("%s", err.text) :
			 arguments_each(&ids, detach_one, &unplug);
	client_close(unplug.client);
	return status;
}
