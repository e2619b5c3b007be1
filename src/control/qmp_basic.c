// SPDX-License-Identifier: Apache-2.0
/*
 * qmp_basic.c - the commands that ask about the monitor, not about its VM.
 */
#include "control/qmp_command.h"
#include "qmp_build.h"
#include "qmp_schema.h"
#include "qmp_session.h"
#include "qmp_tables.h"
#include "qmp_target.h"
#include "qmp_version.h"

#include <stddef.h>

#if defined(__aarch64__)
#define TARGET "aarch64"
#else
#define TARGET "x86_64"
#endif

const char *const qmp_target = TARGET;

static const char *const targets[] = { "aarch64", "x86_64", NULL };
const struct qmp_type qmp_target_type = { .kind = QMP_ENUM, .values = targets };

/* Negotiation. */

static const char *const capabilities[] = { "oob", NULL };
static const struct qmp_type capability = { .kind = QMP_ENUM, .values = capabilities };
static const struct qmp_member enable_members[] = {
	{ .name = "enable", .type = QMP_ARRAY_OF(&capability), .optional = true },
};
static const struct qmp_type enable = { .kind = QMP_OBJECT, QMP_MEMBERS(enable_members) };

static void run_capabilities(struct qmp_call *call)
{
	const json_t *wanted = json_array_get(json_object_get(call->json, "enable"), 0);

	if (wanted && !qmp_session_negotiated(call->session))
		qmp_call_fail(call, QMP_GENERIC_ERROR, "Capability %s is not available",
			      json_string_value(wanted));
	else if (qmp_session_negotiate(call->session) < 0)
		qmp_call_fail(call, QMP_COMMAND_NOT_FOUND,
			      "Capabilities negotiation is already complete, command ignored");
	else
		qmp_call_done(call);
}

/* What there is. */

static const struct qmp_member triple_members[] = {
	{ .name = "major", .type = &qmp_type_int },
	{ .name = "minor", .type = &qmp_type_int },
	{ .name = "micro", .type = &qmp_type_int },
};
static const struct qmp_type triple = { .kind = QMP_OBJECT, QMP_MEMBERS(triple_members) };
static const struct qmp_member version_members[] = {
	{ .name = "qemu", .type = &triple },
	{ .name = "package", .type = &qmp_type_str },
};
static const struct qmp_type version_info = {
	.kind = QMP_OBJECT, QMP_MEMBERS(version_members),
};

static void run_version(struct qmp_call *call)
{
	qmp_call_return(call, qmp_version());
}

static const struct qmp_member command_members[] = {
	{ .name = "name", .type = &qmp_type_str },
};
static const struct qmp_type command_info = {
	.kind = QMP_OBJECT, QMP_MEMBERS(command_members),
};

static void run_commands(struct qmp_call *call)
{
	const struct qmp_table *const *table = qmp_session_config(call->session)->tables;
	json_t *list = json_array();

	for (; *table; table++)
		for (unsigned i = 0; i < (*table)->nr_commands; i++)
			qmp_build_item(&list, json_pack("{s:s}", "name",
							(*table)->commands[i].name));
	qmp_call_return(call, list);
}

static void run_schema(struct qmp_call *call)
{
	qmp_call_return(call, qmp_schema_of(qmp_session_config(call->session)->tables));
}

static const struct qmp_member kvm_members[] = {
	{ .name = "enabled", .type = &qmp_type_bool },
	{ .name = "present", .type = &qmp_type_bool },
};
static const struct qmp_type kvm_info = { .kind = QMP_OBJECT, QMP_MEMBERS(kvm_members) };

/* Without it there would be no VM. */
static void run_kvm(struct qmp_call *call)
{
	qmp_call_return(call, json_pack("{s:b, s:b}", "enabled", true, "present", true));
}

static const struct qmp_member target_members[] = {
	{ .name = "arch", .type = &qmp_target_type },
};
static const struct qmp_type target_info = {
	.kind = QMP_OBJECT, QMP_MEMBERS(target_members),
};

static void run_target(struct qmp_call *call)
{
	qmp_call_return(call, json_pack("{s:s}", "arch", qmp_target));
}

static const struct qmp_command commands[] = {
	{ .name = "qmp_capabilities", .json_arguments = &enable, .negotiates = true,
	  .run = run_capabilities },
	{ .name = "query-version", .returns = &version_info, .run = run_version },
	{ .name = "query-commands", .returns = QMP_ARRAY_OF(&command_info),
	  .run = run_commands },
	{ .name = "query-qmp-schema", .returns = QMP_ARRAY_OF(&qmp_schema_info),
	  .run = run_schema },
	{ .name = "query-kvm", .returns = &kvm_info, .run = run_kvm },
	{ .name = "query-target", .returns = &target_info, .run = run_target },
};

const struct qmp_table qmp_tables_basic = { QMP_COMMANDS(commands) };
