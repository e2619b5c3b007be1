// SPDX-License-Identifier: Apache-2.0
/*
 * qmp_migrate.c - moving the VM: QEMU's commands, as far as there is what they are about,
 * and a few of our own.
 *
 * A capability that is always in effect may be switched on only.
 */
#include "base/bits.h"
#include "base/clock.h"
#include "base/err.h"
#include "config/option.h"
#include "control/qmp_command.h"
#include "control/qmp_event.h"
#include "control/qmp_machine.h"
#include "migrate/migration.h"
#include "qmp_build.h"
#include "qmp_tables.h"

#include <errno.h>
#include <string.h>

#define INT(name_)	{ .name = (name_), .type = &qmp_type_int }
#define MAYBE(name_)	{ .name = (name_), .type = &qmp_type_int, .optional = true }

static const struct qmp_type status_type = { .kind = QMP_ENUM, .values = migration_status_words };

static const struct qmp_member event_members[] = {
	{ .name = "status", .type = &status_type },
};
static const struct qmp_type event_data = { .kind = QMP_OBJECT, QMP_MEMBERS(event_members) };

const struct qmp_event qmp_event_migration = { .name = "MIGRATION", .data = &event_data };

static const struct qmp_member pass_members[] = { INT("pass") };
static const struct qmp_type pass_data = { .kind = QMP_OBJECT, QMP_MEMBERS(pass_members) };

const struct qmp_event qmp_event_migration_pass = {
	.name = "MIGRATION_PASS", .data = &pass_data,
};

/* What is to be done. */

struct migrate_arguments {
	struct option_given given;
	char *uri;
	bool detach, resume;
};

static const struct option migrate_rows[] = {
	{ .key = "uri", OPTION(struct migrate_arguments, uri), .required = true },
	{ .key = "detach", OPTION(struct migrate_arguments, detach) },
	{ .key = "resume", OPTION(struct migrate_arguments, resume) },
};

static const struct option_object migrate_options = {
	.name = "migrate", OPTION_OBJECT(struct migrate_arguments, migrate_rows),
};

static void run_migrate(struct qmp_call *call)
{
	const struct migrate_arguments *arguments = call->arguments;
	const struct qmp_machine *machine = call->machine;
	struct err err = { 0 };

	qmp_call_over(call, machine->ops->migrate(machine->ctx, arguments->uri,
						  arguments->resume, &err), &err);
}

static void run_cancel(struct qmp_call *call)
{
	struct err err = { 0 };

	qmp_call_over(call, call->machine->ops->migrate_cancel(call->machine->ctx, &err), &err);
}

static void run_postcopy(struct qmp_call *call)
{
	struct err err = { 0 };

	qmp_call_over(call, call->machine->ops->migrate_postcopy(call->machine->ctx, &err),
		      &err);
}

static void run_take_back(struct qmp_call *call)
{
	struct err err = { 0 };

	qmp_call_over(call, call->machine->ops->migrate_take_back(call->machine->ctx, &err),
		      &err);
}

struct incoming_arguments {
	struct option_given given;
	char *uri;
};

static const struct option incoming_rows[] = {
	{ .key = "uri", OPTION(struct incoming_arguments, uri), .required = true },
};

static const struct option_object incoming_options = {
	.name = "migrate-incoming", OPTION_OBJECT(struct incoming_arguments, incoming_rows),
};

static void run_incoming(struct qmp_call *call)
{
	const struct incoming_arguments *arguments = call->arguments;
	struct err err = { 0 };

	qmp_call_over(call, call->machine->ops->migrate_incoming(call->machine->ctx,
								 arguments->uri, &err), &err);
}

/* How. */

static const char *const packers[] = { "none", "zstd", NULL };
static const struct qmp_type packer_type = { .kind = QMP_ENUM, .values = packers };

struct parameters {
	struct option_given given;
	uint64_t bandwidth, downtime;
	uint32_t channels, throttle_first, throttle_step, throttle_max;
	unsigned packer;
	char *tls;
	bool insecure;
};

static const struct option parameter_rows[] = {
	{ .key = "max-bandwidth", OPTION(struct parameters, bandwidth) },
	{ .key = "downtime-limit", OPTION(struct parameters, downtime),
	  .max = MIGRATION_DOWNTIME_MAX },
	{ .key = "multifd-channels", OPTION(struct parameters, channels), .min = 1,
	  .max = MIGRATION_STREAMS_MAX },
	{ .key = "multifd-compression", OPTION_CHOICE(struct parameters, packer, packers) },
	{ .key = "cpu-throttle-initial", OPTION(struct parameters, throttle_first), .min = 1,
	  .max = MIGRATION_THROTTLE_MAX },
	{ .key = "cpu-throttle-increment", OPTION(struct parameters, throttle_step), .min = 1,
	  .max = MIGRATION_THROTTLE_MAX },
	{ .key = "max-cpu-throttle", OPTION(struct parameters, throttle_max), .min = 1,
	  .max = MIGRATION_THROTTLE_MAX },
	{ .key = "x-vmm-tls", OPTION(struct parameters, tls) },
	{ .key = "x-vmm-insecure", OPTION(struct parameters, insecure) },
};

static const struct option_object parameter_options = {
	.name = "parameters", OPTION_OBJECT(struct parameters, parameter_rows),
};

static bool given(const struct parameters *parameters, const void *member)
{
	return option_given(&parameter_options, parameters, member);
}

static void run_set_parameters(struct qmp_call *call)
{
	const struct parameters *from = call->arguments;
	const struct qmp_machine *machine = call->machine;
	struct migration_parameters to = *machine->ops->migration_parameters(machine->ctx);
	struct err err = { 0 };

	if (given(from, &from->bandwidth))
		to.bandwidth = from->bandwidth;
	if (given(from, &from->downtime))
		to.downtime_ms = from->downtime;
	if (given(from, &from->channels))
		to.streams = from->channels;
	if (given(from, &from->packer))
		to.compress = from->packer;
	if (given(from, &from->throttle_first))
		to.throttle_first = from->throttle_first;
	if (given(from, &from->throttle_step))
		to.throttle_step = from->throttle_step;
	if (given(from, &from->throttle_max))
		to.throttle_max = from->throttle_max;
	if (given(from, &from->tls))
		to.tls = from->tls && *from->tls ? from->tls : NULL;
	if (given(from, &from->insecure))
		to.insecure = from->insecure;
	qmp_call_over(call, machine->ops->set_migration_parameters(machine->ctx, &to, &err),
		      &err);
}

static const struct qmp_member parameter_members[] = {
	INT("max-bandwidth"), INT("downtime-limit"), INT("multifd-channels"),
	{ .name = "multifd-compression", .type = &packer_type },
	INT("cpu-throttle-initial"), INT("cpu-throttle-increment"), INT("max-cpu-throttle"),
	{ .name = "x-vmm-tls", .type = &qmp_type_str },
	{ .name = "x-vmm-insecure", .type = &qmp_type_bool },
};
static const struct qmp_type parameters_type = {
	.kind = QMP_OBJECT, QMP_MEMBERS(parameter_members),
};

static void run_query_parameters(struct qmp_call *call)
{
	const struct migration_parameters *p =
		call->machine->ops->migration_parameters(call->machine->ctx);

	qmp_call_return(call, json_pack(
		"{s:I, s:I, s:i, s:s, s:i, s:i, s:i, s:s, s:b}",
		"max-bandwidth", (json_int_t)p->bandwidth,
		"downtime-limit", (json_int_t)p->downtime_ms,
		"multifd-channels", (int)p->streams,
		"multifd-compression", packers[p->compress],
		"cpu-throttle-initial", (int)p->throttle_first,
		"cpu-throttle-increment", (int)p->throttle_step,
		"max-cpu-throttle", (int)p->throttle_max,
		"x-vmm-tls", p->tls ? p->tls : "", "x-vmm-insecure", p->insecure));
}

/* Capabilities. */

enum capability { AUTO_CONVERGE, EVENTS, LATE_BLOCK_ACTIVATE, MULTIFD, POSTCOPY_RAM, RETURN_PATH,
		  WITH_DISKS };

static const char *const capability_words[] = {
	[AUTO_CONVERGE] = "auto-converge",
	[EVENTS] = "events",
	[LATE_BLOCK_ACTIVATE] = "late-block-activate",
	[MULTIFD] = "multifd",
	[POSTCOPY_RAM] = "postcopy-ram",
	[RETURN_PATH] = "return-path",
	[WITH_DISKS] = "x-vmm-with-disks",
	NULL
};
static const struct qmp_type capability_type = {
	.kind = QMP_ENUM, .values = capability_words,
};
static const struct qmp_member capability_members[] = {
	{ .name = "capability", .type = &capability_type },
	{ .name = "state", .type = &qmp_type_bool },
};
static const struct qmp_type capability_status = {
	.kind = QMP_OBJECT, QMP_MEMBERS(capability_members),
};
static const struct qmp_member capabilities_members[] = {
	{ .name = "capabilities", .type = QMP_ARRAY_OF(&capability_status) },
};
static const struct qmp_type capabilities_type = {
	.kind = QMP_OBJECT, QMP_MEMBERS(capabilities_members),
};

static bool is_on(const struct migration_parameters *p, enum capability capability)
{
	switch (capability) {
	case AUTO_CONVERGE:
		return p->throttle;
	case EVENTS:
		return p->events;
	case MULTIFD:
		return p->multifd;
	case POSTCOPY_RAM:
		return p->postcopy;
	case WITH_DISKS:
		return p->disks;
	case LATE_BLOCK_ACTIVATE:
	case RETURN_PATH:
		return true;
	}
	return false;
}

static int switch_one(struct migration_parameters *p, const json_t *item, struct err *err)
{
	const char *word = json_string_value(json_object_get(item, "capability"));
	bool on = json_is_true(json_object_get(item, "state"));
	unsigned capability = 0;

	while (strcmp(capability_words[capability], word))
		capability++;
	switch (capability) {
	case AUTO_CONVERGE:
		p->throttle = on;
		break;
	case EVENTS:
		p->events = on;
		break;
	case MULTIFD:
		p->multifd = on;
		break;
	case POSTCOPY_RAM:
		p->postcopy = on;
		break;
	case WITH_DISKS:
		p->disks = on;
		break;
	default:
		if (!on)
			return err_set(err, -ENOTSUP, "capability '%s' is always on", word);
	}
	return 0;
}

static void run_set_capabilities(struct qmp_call *call)
{
	const struct qmp_machine *machine = call->machine;
	struct migration_parameters to = *machine->ops->migration_parameters(machine->ctx);
	const json_t *list = json_object_get(call->json, "capabilities");
	struct err err = { 0 };
	int r = 0;

	for (size_t i = 0; i < json_array_size(list) && !r; i++)
		r = switch_one(&to, json_array_get(list, i), &err);
	if (!r)
		r = machine->ops->set_migration_parameters(machine->ctx, &to, &err);
	qmp_call_over(call, r, &err);
}

static void run_query_capabilities(struct qmp_call *call)
{
	const struct migration_parameters *p =
		call->machine->ops->migration_parameters(call->machine->ctx);
	json_t *list = json_array();

	for (unsigned i = 0; capability_words[i]; i++)
		qmp_build_item(&list, json_pack("{s:s, s:b}", "capability", capability_words[i],
						"state", is_on(p, (enum capability)i)));
	qmp_call_return(call, list);
}

/* How far it is. */

static const struct qmp_member ram_members[] = {
	INT("transferred"), INT("remaining"), INT("total"), INT("duplicate"), INT("skipped"),
	INT("normal"), INT("normal-bytes"), INT("dirty-pages-rate"),
	{ .name = "mbps", .type = &qmp_type_number },
	INT("dirty-sync-count"), INT("postcopy-requests"), INT("page-size"),
	INT("multifd-bytes"), INT("pages-per-second"), INT("precopy-bytes"),
	INT("downtime-bytes"), INT("postcopy-bytes"), INT("dirty-sync-missed-zero-copy"),
};
static const struct qmp_type ram_type = { .kind = QMP_OBJECT, QMP_MEMBERS(ram_members) };

static const struct qmp_member disk_members[] = {
	INT("transferred"), INT("remaining"), INT("total"),
};
static const struct qmp_type disk_type = { .kind = QMP_OBJECT, QMP_MEMBERS(disk_members) };

/* Of QEMU's SocketAddress, what our addresses can be. */
static const char *const socket_kinds[] = { "inet", "unix", NULL };
static const struct qmp_type socket_kind = { .kind = QMP_ENUM, .values = socket_kinds };
static const struct qmp_member socket_members[] = {
	{ .name = "type", .type = &socket_kind },
};
static const struct qmp_member inet_members[] = {
	{ .name = "host", .type = &qmp_type_str },
	{ .name = "port", .type = &qmp_type_str },
};
static const struct qmp_type inet_type = { .kind = QMP_OBJECT, QMP_MEMBERS(inet_members) };
static const struct qmp_member unix_members[] = {
	{ .name = "path", .type = &qmp_type_str },
};
static const struct qmp_type unix_type = { .kind = QMP_OBJECT, QMP_MEMBERS(unix_members) };
static const struct qmp_variant socket_variants[] = {
	{ .value = "inet", .type = &inet_type },
	{ .value = "unix", .type = &unix_type },
};
static const struct qmp_type socket_type = {
	.kind = QMP_OBJECT, QMP_MEMBERS(socket_members), .tag = "type",
	QMP_VARIANTS(socket_variants),
};

static const struct qmp_member info_members[] = {
	{ .name = "status", .type = &status_type, .optional = true },
	{ .name = "ram", .type = &ram_type, .optional = true },
	{ .name = "disk", .type = &disk_type, .optional = true },
	MAYBE("total-time"), MAYBE("setup-time"), MAYBE("expected-downtime"), MAYBE("downtime"),
	MAYBE("cpu-throttle-percentage"),
	{ .name = "error-desc", .type = &qmp_type_str, .optional = true },
	{ .name = "blocked-reasons", .type = QMP_ARRAY_OF(&qmp_type_str), .optional = true },
	{ .name = "socket-address", .type = QMP_ARRAY_OF(&socket_type), .optional = true },
	{ .name = "x-vmm-address", .type = &qmp_type_str, .optional = true },
};
static const struct qmp_type info_type = { .kind = QMP_OBJECT, QMP_MEMBERS(info_members) };

static json_t *describe_ram(const struct migration_info *info)
{
	const uint64_t page = 4096;
	uint64_t precopy = info->sent - info->downtime_bytes - info->postcopy_bytes;

	return json_pack(
		"{s:I, s:I, s:I, s:I, s:i, s:I, s:I, s:I, s:f, s:I, s:I, s:I, s:I, s:I, s:I, "
		"s:I, s:I, s:i}",
		"transferred", (json_int_t)info->sent,
		"remaining", (json_int_t)info->remaining,
		"total", (json_int_t)info->memory,
		"duplicate", (json_int_t)info->zeroes, "skipped", 0,
		"normal", (json_int_t)info->pages,
		"normal-bytes", (json_int_t)(info->pages * page),
		"dirty-pages-rate", (json_int_t)info->dirty_rate,
		"mbps", (double)info->rate * 8 / 1e6,
		"dirty-sync-count", (json_int_t)info->rounds,
		"postcopy-requests", (json_int_t)info->asked,
		"page-size", (json_int_t)page,
		"multifd-bytes", (json_int_t)info->multifd_bytes,
		"pages-per-second", (json_int_t)info->page_rate,
		"precopy-bytes", (json_int_t)precopy,
		"downtime-bytes", (json_int_t)info->downtime_bytes,
		"postcopy-bytes", (json_int_t)info->postcopy_bytes,
		"dirty-sync-missed-zero-copy", 0);
}

static json_t *describe_disks(const struct migration_info *info)
{
	return json_pack("{s:I, s:I, s:I}", "transferred", (json_int_t)info->disks_sent,
			 "remaining", (json_int_t)info->disks_remaining,
			 "total", (json_int_t)info->disks);
}

static void add_ms(json_t **object, const char *name, uint64_t ns)
{
	qmp_build_member(object, name, json_integer((json_int_t)(ns / CLOCK_NS_PER_MS)));
}

/* "tcp:HOST:PORT", "tls:[HOST]:PORT", "unix:PATH"; of a descriptor there is none: NULL. */
static json_t *describe_socket(const char *address)
{
	const char *rest = strchr(address, ':') + 1, *port = strrchr(rest, ':');
	bool v6 = *rest == '[';
	json_t *socket;

	if (!strncmp(address, "fd:", 3))
		return NULL;
	if (!strncmp(address, "unix:", 5)) {
		socket = json_pack("{s:s}", "type", "unix");
		qmp_build_text(&socket, "path", rest);
		return socket;
	}
	return json_pack("{s:s, s:s%, s:s}", "type", "inet", "host", rest + v6,
			 (size_t)(port - rest) - 2 * v6, "port", port + 1);
}

/* Where it waits to come, and why it cannot go. */
static void add_place(json_t **reply, const struct qmp_machine *machine)
{
	const char *address = machine->ops->migration_address(machine->ctx);
	json_t *socket = address ? describe_socket(address) : NULL;
	struct err err = { 0 };

	if (socket)
		qmp_build_member(reply, "socket-address", json_pack("[o]", socket));
	qmp_build_text(reply, "x-vmm-address", address);
	if (machine->ops->check_movable(machine->ctx, &err) < 0)
		qmp_build_member(reply, "blocked-reasons",
				 json_pack("[o]", qmp_build_string(err.text)));
}

static void run_query(struct qmp_call *call)
{
	const struct qmp_machine *machine = call->machine;
	struct migration_info info = machine->ops->migration(machine->ctx);
	json_t *reply = json_object();

	add_place(&reply, machine);
	if (info.status != MIGRATION_NONE) {
		qmp_build_text(&reply, "status", migration_status_words[info.status]);
		qmp_build_member(&reply, "ram", describe_ram(&info));
		if (info.disks)
			qmp_build_member(&reply, "disk", describe_disks(&info));
		add_ms(&reply, "total-time", info.total_ns);
		add_ms(&reply, "setup-time", info.setup_ns);
		if (info.status == MIGRATION_ACTIVE)
			add_ms(&reply, "expected-downtime", info.expected_ns);
		else
			add_ms(&reply, "downtime", info.downtime_ns);
	}
	if (info.throttle)
		qmp_build_member(&reply, "cpu-throttle-percentage",
				 json_integer(info.throttle));
	qmp_build_text(&reply, "error-desc", info.error[0] ? info.error : NULL);
	qmp_call_return(call, reply);
}

static const struct qmp_command commands[] = {
	{ .name = "migrate", .arguments = &migrate_options, .run = run_migrate },
	{ .name = "migrate_cancel", .run = run_cancel },
	{ .name = "migrate-incoming", .arguments = &incoming_options, .run = run_incoming },
	{ .name = "migrate-start-postcopy", .run = run_postcopy },
	{ .name = "migrate-set-parameters", .arguments = &parameter_options,
	  .run = run_set_parameters },
	{ .name = "migrate-set-capabilities", .json_arguments = &capabilities_type,
	  .run = run_set_capabilities },
	{ .name = "query-migrate", .returns = &info_type, .run = run_query },
	{ .name = "query-migrate-parameters", .returns = &parameters_type,
	  .run = run_query_parameters },
	{ .name = "query-migrate-capabilities", .returns = QMP_ARRAY_OF(&capability_status),
	  .run = run_query_capabilities },
	{ .name = "x-vmm-migrate-take-back", .run = run_take_back },
};

static const struct qmp_event *const events[] = {
	&qmp_event_migration, &qmp_event_migration_pass,
};

const struct qmp_table qmp_tables_migrate = { QMP_COMMANDS(commands), QMP_EVENTS(events) };
