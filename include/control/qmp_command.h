/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qmp_command.h - commands as const tables, and how a call is answered.
 *
 *	static void run_query_name(struct qmp_call *call)
 *	{
 *		qmp_call_return(call, json_pack("{s:s}", "name", name_of(call)));
 *	}
 *
 *	static const struct qmp_command name_commands[] = {
 *		{ .name = "query-name", .returns = &name_info, .run = run_query_name },
 *	};
 *
 *	const struct qmp_table qmp_name_table = { QMP_COMMANDS(name_commands) };
 *
 * The tables are all there is: query-commands and query-qmp-schema are made from
 * them.
 *
 * A call is answered exactly once, by qmp_call_return() or one of its kin, from
 * within run() or at any time later; the client's next command waits for it, so
 * its answers keep their order.  A client may leave meanwhile: the call stays
 * until it has been answered, and the answer is dropped.  Who wants to know of that sets
 * call->left, which is called once at most, and may answer.
 *
 * All of this belongs to the thread of the server's loop.
 */
#ifndef CONTROL_QMP_COMMAND_H
#define CONTROL_QMP_COMMAND_H

#include "base/bits.h"
#include "control/qmp_type.h"

#include <jansson.h>
#include <stdbool.h>

struct err;
struct option_object;
struct qmp_event;
struct qmp_machine;
struct qmp_session;

enum qmp_error_class {
	QMP_GENERIC_ERROR,
	QMP_COMMAND_NOT_FOUND,
	QMP_DEVICE_NOT_ACTIVE,
	QMP_DEVICE_NOT_FOUND,
	QMP_KVM_MISSING_CAP,
};

struct qmp_call {
	const struct qmp_command *command;
	const struct qmp_machine *machine;
	const void *arguments;		/* the struct of the option table, if there is one */
	const json_t *json;		/* the same as they came: an object */
	struct qmp_session *session;	/* NULL once the client has left */
	void (*left)(struct qmp_call *call);	/* run()'s; NULL: it does not matter */
};

struct qmp_command {
	const char *name;

	/*
	 * At most one of these: the table that arguments are read by, or their
	 * type where a table cannot tell it, to be read from call->json.
	 */
	const struct option_object *arguments;
	const struct qmp_type *json_arguments;

	const struct qmp_type *returns;	/* NULL: nothing, {} */
	bool negotiates;		/* may come before the negotiation, nothing else may */
	void (*run)(struct qmp_call *call);
};

struct qmp_table {
	const struct qmp_command *commands;
	unsigned nr_commands;
	const struct qmp_event *const *events;
	unsigned nr_events;
};

#define QMP_COMMANDS(table)	.commands = (table), .nr_commands = ARRAY_LEN(table)
#define QMP_EVENTS(table)	.events = (table), .nr_events = ARRAY_LEN(table)

/* Every table of this layer, and NULL. */
extern const struct qmp_table *const qmp_table_all[];

/* Takes value; NULL is an error, "out of memory", as json_pack() would mean it. */
void qmp_call_return(struct qmp_call *call, json_t *value);

/* For a command that returns nothing. */
void qmp_call_done(struct qmp_call *call);

/* The same, or with r < 0 a GenericError with the reason. */
void qmp_call_over(struct qmp_call *call, int r, const struct err *err);

void qmp_call_fail(struct qmp_call *call, enum qmp_error_class class, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
