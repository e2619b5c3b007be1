// SPDX-License-Identifier: Apache-2.0
/*
 * qmp_power.c - running, not running, and what is done when the guest ends.
 */
#include "base/err.h"
#include "config/option.h"
#include "control/qmp_command.h"
#include "control/qmp_machine.h"
#include "qmp_tables.h"

#include <stddef.h>

static void over(void *arg, int res, const struct err *err)
{
	struct qmp_call *call = arg;

	qmp_call_over(call, res, err);
}

static void run_stop(struct qmp_call *call)
{
	call->machine->ops->pause(call->machine->ctx, over, call);
}

static void run_cont(struct qmp_call *call)
{
	call->machine->ops->resume(call->machine->ctx, over, call);
}

static void run_quit(struct qmp_call *call)
{
	call->machine->ops->quit(call->machine->ctx, over, call);
}

static void run_system_powerdown(struct qmp_call *call)
{
	call->machine->ops->power_button(call->machine->ctx, over, call);
}

static void run_system_reset(struct qmp_call *call)
{
	call->machine->ops->reset(call->machine->ctx, over, call);
}

static void run_inject_nmi(struct qmp_call *call)
{
	call->machine->ops->nmi(call->machine->ctx, over, call);
}

/* set-action. */

static const char *const reboot_actions[] = {
	[QMP_REBOOT_RESET] = "reset",
	[QMP_REBOOT_SHUTDOWN] = "shutdown",
	NULL,
};
static const char *const shutdown_actions[] = {
	[QMP_SHUTDOWN_POWEROFF] = "poweroff",
	[QMP_SHUTDOWN_PAUSE] = "pause",
	NULL,
};
static const char *const panic_actions[] = {
	[QMP_PANIC_PAUSE] = "pause",
	[QMP_PANIC_SHUTDOWN] = "shutdown",
	[QMP_PANIC_EXIT_FAILURE] = "exit-failure",
	[QMP_PANIC_NONE] = "none",
	NULL,
};
static const char *const watchdog_actions[] = {
	[QMP_WATCHDOG_RESET] = "reset",
	[QMP_WATCHDOG_SHUTDOWN] = "shutdown",
	[QMP_WATCHDOG_POWEROFF] = "poweroff",
	[QMP_WATCHDOG_PAUSE] = "pause",
	[QMP_WATCHDOG_DEBUG] = "debug",
	[QMP_WATCHDOG_NONE] = "none",
	[QMP_WATCHDOG_INJECT_NMI] = "inject-nmi",
	NULL,
};

struct action_arguments {
	struct option_given given;
	enum qmp_reboot_action reboot;
	enum qmp_shutdown_action shutdown;
	enum qmp_panic_action panic;
	enum qmp_watchdog_action watchdog;
};

static const struct option action_rows[] = {
	{ .key = "reboot", OPTION_CHOICE(struct action_arguments, reboot, reboot_actions) },
	{ .key = "shutdown",
	  OPTION_CHOICE(struct action_arguments, shutdown, shutdown_actions) },
	{ .key = "panic", OPTION_CHOICE(struct action_arguments, panic, panic_actions) },
	{ .key = "watchdog",
	  OPTION_CHOICE(struct action_arguments, watchdog, watchdog_actions) },
};

static const struct option_object action_options = {
	.name = "action", OPTION_OBJECT(struct action_arguments, action_rows),
};

static const void *if_given(const struct action_arguments *arguments, const void *member)
{
	return option_given(&action_options, arguments, member) ? member : NULL;
}

static void run_set_action(struct qmp_call *call)
{
	const struct action_arguments *arguments = call->arguments;
	const struct qmp_machine_actions actions = {
		.reboot = if_given(arguments, &arguments->reboot),
		.shutdown = if_given(arguments, &arguments->shutdown),
		.panic = if_given(arguments, &arguments->panic),
		.watchdog = if_given(arguments, &arguments->watchdog),
	};
	struct err err = { 0 };
	int r = call->machine->ops->set_actions(call->machine->ctx, &actions, &err);

	over(call, r, &err);
}

static const struct qmp_command commands[] = {
	{ .name = "stop", .run = run_stop },
	{ .name = "cont", .run = run_cont },
	{ .name = "quit", .run = run_quit },
	{ .name = "system_powerdown", .run = run_system_powerdown },
	{ .name = "system_reset", .run = run_system_reset },
	{ .name = "inject-nmi", .run = run_inject_nmi },
	{ .name = "set-action", .arguments = &action_options, .run = run_set_action },
};

const struct qmp_table qmp_tables_power = { QMP_COMMANDS(commands) };
