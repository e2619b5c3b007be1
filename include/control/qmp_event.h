/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qmp_event.h - what clients are told without having asked.
 *
 * An event has a name and, mostly, data.  qmp_server_event() is given one of the
 * descriptions below with an object that has the members named beside it; that
 * an object does not is a bug.
 */
#ifndef CONTROL_QMP_EVENT_H
#define CONTROL_QMP_EVENT_H

#include <stdbool.h>

struct qmp_type;

struct qmp_event {
	const char *name;
	const struct qmp_type *data;	/* an object; NULL: none */

	/*
	 * At most one a second, of each value of member key if there is one; of
	 * those that come meanwhile the last is sent.
	 */
	bool limited;
	const char *key;
};

/*
 * guest, reason.  A reason is one of none, host-error, host-qmp-quit,
 * host-qmp-system-reset, host-signal, host-ui, guest-shutdown, guest-reset,
 * guest-panic, subsystem-reset, snapshot-load.
 */
extern const struct qmp_event qmp_event_shutdown, qmp_event_reset;

extern const struct qmp_event qmp_event_powerdown, qmp_event_stop, qmp_event_resume;

/* device?, path. */
extern const struct qmp_event qmp_event_device_deleted, qmp_event_device_unplug_guest_error;

/* action: pause, poweroff or run. */
extern const struct qmp_event qmp_event_guest_panicked;

/*
 * device, qom-path, node-name?, operation (read, write), action (ignore, report,
 * stop), nospace?, reason: a text.
 */
extern const struct qmp_event qmp_event_block_io_error;

/* status: of query-migrate; only with capability "events".  pass: number of the round. */
extern const struct qmp_event qmp_event_migration, qmp_event_migration_pass;

/* id, status: of query-jobs, or null when it is no longer listed. */
extern const struct qmp_event qmp_event_job_status_change;

#endif
