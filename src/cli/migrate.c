// SPDX-License-Identifier: Apache-2.0
/*
 * migrate.c - vmm migrate: a running VM goes on in another monitor, and this one ends.
 *
 * All of it is the VM's doing; this command tells it what to do, and people how far it is.
 */
#include "arguments.h"
#include "base/bits.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/folder.h"
#include "cli/command.h"
#include "client.h"
#include "config/option.h"
#include "ending.h"
#include "migrate/migration.h"
#include "runtime.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TICK_MS		100
#define END_TIMEOUT_MS	10000

struct migrate {
	struct option_given given;
	uint32_t downtime;		/* ms */
	uint64_t bandwidth;
	uint32_t streams;
	unsigned compress;		/* of packers[] */
	bool postcopy, with_disks, throttle, insecure, resume, take_back;
	char *tls;
	bool json, help;
};

static const char *const packers[] = { "none", "zstd", NULL };

static const struct option rows[] = {
	{ .key = "downtime", OPTION(struct migrate, downtime), .preset = "300",
	  .max = MIGRATION_DOWNTIME_MAX, .metavar = "MS",
	  .help = "how long the guest may stand still to be handed over, in milliseconds" },
	{ .key = "bandwidth", OPTION_SIZE(struct migrate, bandwidth), .preset = "0",
	  .help = "how much may be sent in a second while the guest runs; 0: no limit" },
	{ .key = "streams", OPTION(struct migrate, streams), .preset = "1", .min = 1,
	  .max = MIGRATION_STREAMS_MAX,
	  .help = "send memory over so many connections at once" },
	{ .key = "compress", OPTION_CHOICE(struct migrate, compress, packers),
	  .preset = "none", .help = "compress memory" },
	{ .key = "postcopy", OPTION(struct migrate, postcopy),
	  .help = "hand the guest over when all memory has been sent once, whatever it has "
		  "changed since: that follows while it runs there" },
	{ .key = "with-disks", OPTION(struct migrate, with_disks),
	  .help = "copy all disks that the guest can write, too, into images that the other side "
		  "makes, or was given" },
	{ .key = "throttle", OPTION(struct migrate, throttle),
	  .help = "slow the guest down, more and more, if it changes memory too fast" },
	{ .key = "insecure", OPTION(struct migrate, insecure),
	  .help = "let tcp: lead to another host, where anybody on the way can read and "
		  "change the guest" },
	{ .key = "tls", OPTION_PATH(struct migrate, tls), .metavar = "DIR",
	  .help = "folder with the certificates for tls:" },
	{ .key = "resume", OPTION(struct migrate, resume),
	  .help = "of a move that has lost its connection: go on with it" },
	{ .key = "take-back", OPTION(struct migrate, take_back),
	  .help = "of a move that has lost its connection: let the guest go on here, since "
		  "you know that it does not run there" },
	{ .key = "json", OPTION(struct migrate, json), .help = "print a JSON object" },
	{ .key = "help", .letter = 'h', OPTION(struct migrate, help),
	  .help = "print this and exit" },
};

const struct option_object command_migrate_options = {
	.name = "migrate", OPTION_OBJECT(struct migrate, rows),
};

static volatile sig_atomic_t interrupted;

static void interrupt(int signal)
{
	(void)signal;
	interrupted = 1;
}

/* What is told meanwhile. */

static uint64_t number(const json_t *info, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(info, key));
}

static uint64_t rounds(const json_t *info)
{
	return number(json_object_get(info, "ram"), "dirty-sync-count");
}

static void show(const json_t *info)
{
	const json_t *ram = json_object_get(info, "ram"), *disk = json_object_get(info, "disk");
	const char *status = json_string_value(json_object_get(info, "status"));
	char text[160];

	if (!isatty(STDERR_FILENO))
		return;
	snprintf(text, sizeof(text), "%s: round %" PRIu64 ", %" PRIu64 " MiB left, %.0f MiB/s, "
		 "guest changes %" PRIu64 " MiB/s, would stand still for %" PRIu64 " ms",
		 status, rounds(info),
		 (number(ram, "remaining") + number(disk, "remaining")) >> 20,
		 json_number_value(json_object_get(ram, "mbps")) / 8 * 1e6 / (1 << 20),
		 number(ram, "dirty-pages-rate") * 4096 >> 20,
		 number(info, "expected-downtime"));
	fprintf(stderr, "\r%.*s\033[K", 119, text);
}

static void end_line(void)
{
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K");
}

/* Asking. */

/* Of a unix: address, as the VM, which may be in another folder, knows it. */
static int absolute(char *to, size_t len, const char *uri, struct err *err)
{
	static const char scheme[] = "unix:";
	const char *path = uri + strlen(scheme);
	char whole[PATH_MAX];
	int n, r;

	if (!strncmp(uri, "file:", 5))
		return err_set(err, -EINVAL, "'%s' is where nothing runs: 'vmm snapshot NAME DIR "
			       "--stop' keeps a VM as a folder", uri);
	if (strncmp(uri, scheme, strlen(scheme)) || !*path) {
		n = snprintf(to, len, "%s", uri);
	} else {
		r = folder_absolute(whole, path);
		if (r < 0)
			return err_sys(err, r, "cannot tell where '%s' is", path);
		n = snprintf(to, len, "%s%s", scheme, whole);
	}
	return (size_t)n < len ? 0 : err_sys(err, -ENAMETOOLONG, "'%s'", uri);
}

static bool is_fd(const char *uri)
{
	return !strncmp(uri, "fd:", 3);
}

/* A descriptor of ours becomes one of the VM's. */
static int give_fd(struct client *client, struct client_fd *ret_fd, char *uri, size_t len,
		   struct err *err)
{
	char *end;
	long fd;
	int r;

	fd = strtol(uri + 3, &end, 10);
	if (end == uri + 3 || *end || fd < 0 || fd > INT_MAX)
		return err_set(err, -EINVAL, "'%s': give fd:N", uri);
	r = client_give_fd(client, ret_fd, (int)fd, err);
	if (!r)
		snprintf(uri, len, "fd:%s", ret_fd->name);
	return r;
}

/* Likewise, of the folder of certificates; to be freed. */
static int find_tls(char **ret_path, const char *tls, struct err *err)
{
	*ret_path = tls ? realpath(tls, NULL) : NULL;
	return tls && !*ret_path ? err_sys(err, -errno, "--tls '%s'", tls) : 0;
}

static json_t *capability(const char *name, bool on)
{
	return json_pack("{s:s, s:b}", "capability", name, "state", on);
}

static int set_up(struct client *client, const struct migrate *how, struct err *err)
{
	char *tls;
	int r = find_tls(&tls, how->tls, err);

	if (r < 0)
		return r;
	r = client_execute(client, "migrate-set-parameters", json_pack(
		"{s:I, s:I, s:i, s:s, s:s, s:b}",
		"max-bandwidth", (json_int_t)how->bandwidth,
		"downtime-limit", (json_int_t)how->downtime,
		"multifd-channels", (int)how->streams,
		"multifd-compression", packers[how->compress],
		"x-vmm-tls", tls ? tls : "", "x-vmm-insecure", how->insecure), NULL,
		err);
	free(tls);
	return r < 0 ? r : client_execute(client, "migrate-set-capabilities", json_pack(
		"{s:[o, o, o, o]}", "capabilities", capability("multifd", how->streams > 1),
		capability("auto-converge", how->throttle),
		capability("postcopy-ram", how->postcopy),
		capability("x-vmm-with-disks", how->with_disks)), NULL, err);
}

static int ask_to_move(struct client *client, const char *uri, const struct migrate *how,
		       struct err *err)
{
	int r = how->resume ? 0 : set_up(client, how, err);

	return r < 0 ? r : client_execute(client, "migrate", json_pack("{s:s, s:b}", "uri",
				uri, "resume", how->resume), NULL, err);
}

static int begin(struct client *client, const char *uri, const struct migrate *how,
		 struct err *err)
{
	char whole[PATH_MAX + 8];
	struct client_fd given;
	int r = absolute(whole, sizeof(whole), uri, err);

	if (!r && is_fd(whole))
		r = give_fd(client, &given, whole, sizeof(whole), err);
	if (r < 0)
		return r;
	r = ask_to_move(client, whole, how, err);
	if (r < 0 && is_fd(whole))
		client_take_fd_back(client, &given);
	return r;
}

/*
 * Ctrl-C breaks off what can be broken off, and else changes nothing; a second one leaves it
 * to itself.
 */
static int obey(struct client *client, bool *asked, struct err *err)
{
	int r;

	if (!interrupted)
		return 0;
	interrupted = 0;
	if (*asked)
		return err_set(err, -EINTR, "the move goes on without being watched: see "
			       "query-migrate");
	*asked = true;
	r = client_execute(client, "migrate_cancel", NULL, NULL, err);
	if (r != -EREMOTEIO)
		return r;
	end_line();
	fprintf(stderr, "vmm: %s; Ctrl-C again leaves it to itself\n", err->text);
	return 0;
}

/* Until it is over; what is known of it then is the caller's. */
static int watch(struct client *client, const struct migrate *how, json_t **ret_info,
		 struct err *err)
{
	bool asked = false, lost = how->resume, postcopy = how->postcopy;

	for (;;) {
		json_t *info;
		const char *status;
		int r = obey(client, &asked, err);

		if (!r)
			r = client_execute(client, "query-migrate", NULL, &info, err);
		/* Its host stalls: the move goes on. */
		if (r == -ETIMEDOUT)
			continue;
		if (r < 0)
			return r;
		status = json_string_value(json_object_get(info, "status"));
		if (!status) {
			json_decref(info);
			return err_set(err, -EPROTO, "the VM does not say how its move goes: see "
				       "query-migrate");
		}
		if (!strcmp(status, "completed") || !strcmp(status, "failed") ||
		    !strcmp(status, "cancelled")) {
			*ret_info = info;
			return 0;
		}
		show(info);
		if (postcopy && !strcmp(status, "active") && rounds(info) > 1) {
			/* It may have been handed over in this moment. */
			(void)client_execute(client, "migrate-start-postcopy", NULL, NULL, err);
			postcopy = false;
		}
		if (!strcmp(status, "postcopy-paused") && !lost) {
			end_line();
			fprintf(stderr, "vmm: %s; the other side is looked for: see --resume and "
				"--take-back\n", json_string_value(json_object_get(info,
								   "error-desc")));
			lost = true;
		}
		json_decref(info);
		usleep(TICK_MS * 1000);
	}
}

static int judge(const json_t *info, struct err *err)
{
	const char *status = json_string_value(json_object_get(info, "status"));
	const char *why = json_string_value(json_object_get(info, "error-desc"));

	if (!strcmp(status, "completed"))
		return 0;
	if (!strcmp(status, "cancelled"))
		return err_set(err, -ECANCELED, "the move was broken off: the VM goes on here");
	return err_set(err, -EREMOTEIO, "%s", why ? why : "the move has failed");
}

static void tell(const char *name, const json_t *info, bool json)
{
	const json_t *ram = json_object_get(info, "ram"), *disk = json_object_get(info, "disk");

	if (json) {
		json_dumpf(info, stdout, 0);
		putchar('\n');
		return;
	}
	printf("%s has moved: %.2f s, of which the guest stood still for %" PRIu64 " ms; %" PRIu64
	       " MiB in %" PRIu64 " round%s\n", name,
	       (double)number(info, "total-time") / 1000, number(info, "downtime"),
	       (number(ram, "transferred") + number(disk, "transferred")) >> 20, rounds(info),
	       rounds(info) == 1 ? "" : "s");
}

/* What has moved is of no more use here. */
static int move(const char *name, const char *uri, const struct migrate *how, struct err *err)
{
	struct client *client;
	json_t *info = NULL;
	int process, r = client_open(&client, name, CLIENT_TIMEOUT_MS, err);

	if (r < 0)
		return r;
	process = runtime_process(name, err);
	signal(SIGINT, interrupt);
	r = begin(client, uri, how, err);
	if (!r) {
		r = watch(client, how, &info, err);
		end_line();
	}
	signal(SIGINT, SIG_DFL);
	if (!r)
		r = judge(info, err);
	if (!r)
		r = client_execute(client, "quit", NULL, NULL, err);
	client_close(client);
	if (!r && process >= 0 && !ending_wait(process, END_TIMEOUT_MS))
		r = err_set(err, -ETIMEDOUT, "VM '%s' has moved, but what is left of it here "
			    "does not end", name);
	if (!r)
		tell(name, info, how->json);
	if (process >= 0)
		close(process);
	json_decref(info);
	return r;
}

static int take_back(const char *name, struct err *err)
{
	struct client *client;
	int r = client_open(&client, name, CLIENT_TIMEOUT_MS, err);

	if (r < 0)
		return r;
	r = client_execute(client, "x-vmm-migrate-take-back", NULL, NULL, err);
	client_close(client);
	return r;
}

/* What is said of the move when it begins holds to its end. */
static int check(const struct migrate *how, int nr, struct err *err)
{
	if (how->take_back && (nr > 1 || how->resume))
		return err_set(err, -EINVAL, "--take-back lets the VM go on here: give no URI and "
			       "no --resume");
	for (size_t i = 0; (how->take_back || how->resume) && i < ARRAY_LEN(rows); i++) {
		const char *key = rows[i].key;

		if (how->given.rows & BIT64(i) && strcmp(key, "resume") &&
		    strcmp(key, "take-back") && strcmp(key, "json"))
			return err_set(err, -EINVAL, "--%s is as it was when the move began", key);
	}
	if (!how->take_back && nr < 2)
		return err_set(err, -EINVAL, "where to? give tcp:HOST:PORT, tls:HOST:PORT, "
			       "unix:PATH or fd:N");
	return 0;
}

int command_migrate(const struct command *command, int argc, char **argv)
{
	struct migrate options;
	struct arguments args;
	struct err err = { 0 };
	int r;

	if (!arguments_read(&args, command, &options, argc, argv))
		return args.status;
	r = check(&options, args.nr, &err);
	if (!r && options.take_back)
		r = take_back(args.words[0], &err);
	else if (!r)
		r = move(args.words[0], args.words[1], &options, &err);
	option_fini(&command_migrate_options, &options);
	return r < 0 ? command_fail("%s", err.text) : EXIT_OK;
}
