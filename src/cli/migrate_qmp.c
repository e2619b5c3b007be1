// SPDX-License-Identifier: Apache-2.0
#include "migrate_qmp.h"

#include "base/clock.h"
#include "base/err.h"
#include "control/qmp_event.h"
#include "control/qmp_server.h"
#include "machine/machine_state.h"
#include "machine/vm_config.h"
#include "machine_qmp.h"
#include "migrate/incoming.h"
#include "migrate/outgoing.h"
#include "migrate/snapshot_save.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE	UINT64_C(4096)	/* of a snapshot */

static void changed(void *ctx, enum migration_status status)
{
	const struct machine_qmp *mq = ctx;

	if (mq->migration.events)
		qmp_server_event(mq->server, &qmp_event_migration,
				 json_pack("{s:s}", "status", migration_status_words[status]));
}

static void begun_round(void *ctx, uint64_t nr)
{
	const struct machine_qmp *mq = ctx;

	if (mq->migration.events)
		qmp_server_event(mq->server, &qmp_event_migration_pass,
				 json_pack("{s:I}", "pass", (json_int_t)nr));
}

static int take_fd(void *ctx, const char *name, struct err *err)
{
	const struct machine_qmp *mq = ctx;

	return qmp_server_take_fd(mq->server, name, err);
}

static void ended(void *ctx, int r, const struct err *err)
{
	struct machine_qmp *mq = ctx;

	mq->arrived(mq, r, err);
}

int migrate_qmp_init(struct machine_qmp *mq, struct loop *loop,
		     void (*arrived)(struct machine_qmp *mq, int r, const struct err *err),
		     struct err *err)
{
	const struct outgoing_config outgoing = {
		.machine = mq->machine,
		.main = loop,
		.changed = changed,
		.round = begun_round,
		.take_fd = take_fd,
		.ctx = mq,
	};
	const struct incoming_config incoming = {
		.machine = mq->machine,
		.main = loop,
		.changed = changed,
		.ended = ended,
		.take_fd = take_fd,
		.ctx = mq,
	};

	mq->migration = migration_defaults;
	mq->arrived = arrived;
	mq->outgoing = outgoing_new(&outgoing);
	if (arrived)
		mq->incoming = incoming_new(&incoming);
	if (!mq->outgoing || (arrived && !mq->incoming))
		return err_sys(err, -ENOMEM, "cannot make the VM one that can be moved");
	return 0;
}

void migrate_qmp_fini(struct machine_qmp *mq)
{
	mq->outgoing = outgoing_free(mq->outgoing);
	mq->incoming = incoming_free(mq->incoming);
	free(mq->tls);
	mq->tls = NULL;
}

/* To a file: the VM is paused and kept as a folder, from which vmm restore starts it. */

static void kept(void *ctx, const struct snapshot_result *result, int r, const struct err *err)
{
	struct machine_qmp *mq = ctx;
	struct migration_info *info = &mq->to_file;
	bool begun = info->status != MIGRATION_SETUP;

	if (info->status == MIGRATION_CANCELLING)
		info->status = MIGRATION_CANCELLED;
	else
		info->status = r < 0 ? MIGRATION_FAILED : MIGRATION_COMPLETED;
	info->pages = result->pages;
	info->sent = result->pages * PAGE;
	info->remaining = r < 0 ? info->remaining : 0;
	info->total_ns = clock_ns() - info->total_ns;
	info->downtime_ns = result->paused_ns;
	if (info->status == MIGRATION_FAILED)
		memcpy(info->error, err->text, sizeof(info->error));
	if (begun)
		changed(mq, info->status);
}

/* What cannot begin does not hide what was before, or is under way. */
static int keep(struct machine_qmp *mq, const char *path, struct err *err)
{
	const struct snapshot_request request = { .path = path, .keep_paused = true };
	const struct migration_info before = mq->to_file;

	if (*path != '/')
		return err_set(err, -EINVAL, "'%s' has to be absolute: the VM does not know your "
			       "folder", path);
	if (mq->to_file.status == MIGRATION_ACTIVE)
		return err_set(err, -EBUSY, "the VM is being written to a file already");
	mq->to_file = (struct migration_info){
		.status = MIGRATION_SETUP, .total_ns = clock_ns(), .memory = mq->vm->memory,
		.remaining = mq->vm->memory,
	};
	snapshotter_take(mq->snapshotter, &request, kept, mq);
	if (mq->to_file.status == MIGRATION_FAILED) {
		err_set(err, -EPERM, "%s", mq->to_file.error);
		mq->to_file = before;
		return -EPERM;
	}
	mq->to_file.status = MIGRATION_ACTIVE;
	changed(mq, MIGRATION_ACTIVE);
	return 0;
}

int migrate_qmp_start(void *ctx, const char *uri, bool resume, struct err *err)
{
	static const char file[] = "file:";
	struct machine_qmp *mq = ctx;
	int r;

	if (!strncmp(uri, file, strlen(file)))
		return keep(mq, uri + strlen(file), err);
	r = resume ? outgoing_resume(mq->outgoing, uri, err) :
		     outgoing_start(mq->outgoing, uri, &mq->migration, err);
	if (!r)
		mq->to_file.status = MIGRATION_NONE;
	return r;
}

int migrate_qmp_cancel(void *ctx, struct err *err)
{
	struct machine_qmp *mq = ctx;

	if (mq->to_file.status == MIGRATION_ACTIVE) {
		mq->to_file.status = MIGRATION_CANCELLING;
		changed(mq, MIGRATION_CANCELLING);
		snapshotter_call_off(mq->snapshotter);
		return 0;
	}
	return outgoing_cancel(mq->outgoing, err);
}

int migrate_qmp_postcopy(void *ctx, struct err *err)
{
	struct machine_qmp *mq = ctx;

	return outgoing_postcopy(mq->outgoing, err);
}

int migrate_qmp_take_back(void *ctx, struct err *err)
{
	struct machine_qmp *mq = ctx;

	return outgoing_take_back(mq->outgoing, err);
}

int migrate_qmp_incoming(void *ctx, const char *uri, struct err *err)
{
	struct machine_qmp *mq = ctx;

	if (!mq->incoming)
		return err_set(err, -EPERM, "the VM does not wait for another's state: start it "
			       "with --incoming defer");
	return incoming_listen(mq->incoming, uri, &mq->migration, err);
}

const struct migration_parameters *migrate_qmp_parameters(void *ctx)
{
	const struct machine_qmp *mq = ctx;

	return &mq->migration;
}

int migrate_qmp_set_parameters(void *ctx, const struct migration_parameters *parameters,
			       struct err *err)
{
	struct machine_qmp *mq = ctx;
	char *tls = parameters->tls ? strdup(parameters->tls) : NULL;

	if (parameters->tls && !tls)
		return err_sys(err, -ENOMEM, "cannot set the parameters");
	free(mq->tls);
	mq->tls = tls;
	mq->migration = *parameters;
	mq->migration.tls = tls;
	outgoing_limit(mq->outgoing, parameters->bandwidth, parameters->downtime_ms);
	return 0;
}

/* A VM that has come may go on to a third place. */
struct migration_info migrate_qmp_info(void *ctx)
{
	const struct machine_qmp *mq = ctx;
	struct migration_info info = outgoing_info(mq->outgoing);

	if (mq->to_file.status != MIGRATION_NONE) {
		info = mq->to_file;
		if (info.status == MIGRATION_ACTIVE || info.status == MIGRATION_CANCELLING)
			info.total_ns = clock_ns() - info.total_ns;
		return info;
	}
	if (info.status == MIGRATION_NONE && mq->incoming)
		return incoming_info(mq->incoming);
	return info;
}

const char *migrate_qmp_address(void *ctx)
{
	const struct machine_qmp *mq = ctx;

	return mq->incoming ? incoming_address(mq->incoming) : NULL;
}

int migrate_qmp_check(void *ctx, struct err *err)
{
	const struct machine_qmp *mq = ctx;

	return machine_state_check(mq->machine, err);
}
