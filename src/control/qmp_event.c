// SPDX-License-Identifier: Apache-2.0
#include "control/qmp_event.h"

#include "control/qmp_command.h"
#include "qmp_tables.h"

#include <stddef.h>

static const char *const causes[] = {
	"none", "host-error", "host-qmp-quit", "host-qmp-system-reset", "host-signal", "host-ui",
	"guest-shutdown", "guest-reset", "guest-panic", "subsystem-reset", "snapshot-load", NULL,
};
static const struct qmp_type cause = { .kind = QMP_ENUM, .values = causes };

static const struct qmp_member end_members[] = {
	{ .name = "guest", .type = &qmp_type_bool },
	{ .name = "reason", .type = &cause },
};
static const struct qmp_type end_data = { .kind = QMP_OBJECT, QMP_MEMBERS(end_members) };

const struct qmp_event qmp_event_shutdown = { .name = "SHUTDOWN", .data = &end_data };
const struct qmp_event qmp_event_reset = { .name = "RESET", .data = &end_data };
const struct qmp_event qmp_event_powerdown = { .name = "POWERDOWN" };
const struct qmp_event qmp_event_stop = { .name = "STOP" };
const struct qmp_event qmp_event_resume = { .name = "RESUME" };

static const struct qmp_member device_members[] = {
	{ .name = "device", .type = &qmp_type_str, .optional = true },
	{ .name = "path", .type = &qmp_type_str },
};
static const struct qmp_type device_data = {
	.kind = QMP_OBJECT, QMP_MEMBERS(device_members),
};

const struct qmp_event qmp_event_device_deleted = {
	.name = "DEVICE_DELETED", .data = &device_data,
};
const struct qmp_event qmp_event_device_unplug_guest_error = {
	.name = "DEVICE_UNPLUG_GUEST_ERROR", .data = &device_data,
};

static const char *const panic_actions[] = { "pause", "poweroff", "run", NULL };
static const struct qmp_type panic_action = { .kind = QMP_ENUM, .values = panic_actions };
static const struct qmp_member panic_members[] = {
	{ .name = "action", .type = &panic_action },
};
static const struct qmp_type panic_data = { .kind = QMP_OBJECT, QMP_MEMBERS(panic_members) };

const struct qmp_event qmp_event_guest_panicked = {
	.name = "GUEST_PANICKED", .data = &panic_data, .limited = true, .key = "action",
};

static const char *const operations[] = { "read", "write", NULL };
static const struct qmp_type operation = { .kind = QMP_ENUM, .values = operations };
static const char *const io_actions[] = { "ignore", "report", "stop", NULL };
static const struct qmp_type io_action = { .kind = QMP_ENUM, .values = io_actions };
static const struct qmp_member io_error_members[] = {
	{ .name = "device", .type = &qmp_type_str },
	{ .name = "qom-path", .type = &qmp_type_str },
	{ .name = "node-name", .type = &qmp_type_str, .optional = true },
	{ .name = "operation", .type = &operation },
	{ .name = "action", .type = &io_action },
	{ .name = "nospace", .type = &qmp_type_bool, .optional = true },
	{ .name = "reason", .type = &qmp_type_str },
};
static const struct qmp_type io_error_data = {
	.kind = QMP_OBJECT, QMP_MEMBERS(io_error_members),
};

const struct qmp_event qmp_event_block_io_error = {
	.name = "BLOCK_IO_ERROR", .data = &io_error_data,
};

static const struct qmp_event *const events[] = {
	&qmp_event_shutdown, &qmp_event_reset, &qmp_event_powerdown, &qmp_event_stop,
	&qmp_event_resume, &qmp_event_device_deleted, &qmp_event_device_unplug_guest_error,
	&qmp_event_guest_panicked, &qmp_event_block_io_error,
};

const struct qmp_table qmp_tables_events = { QMP_EVENTS(events) };
