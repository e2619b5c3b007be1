// SPDX-License-Identifier: Apache-2.0
/*
 * incoming.c - an incoming VM's turns on the main thread, whose machine it is, and its life.
 */
#include "migrate/incoming.h"

#include "base/bits.h"
#include "base/clock.h"
#include "base/thread.h"
#include "block/disk.h"
#include "incoming_parts.h"
#include "machine/machine.h"
#include "memory/ram.h"
#include "pages.h"
#include "state/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* How long an end or a reset may wait for pages that a device needs. */
#define FILL_MS		2000

/* Saying. */

/* To the source, if it is there; if not, it asks when it is again. */
void incoming_parts_tell(struct incoming *in, enum message_type type, uint64_t at, uint32_t nr,
			const char *text)
{
	const struct message message = { type, nr, at, text ? strlen(text) : 0 };

	pthread_mutex_lock(&in->say);
	if (in->source)
		(void)message_send(in->source, &message, text);
	pthread_mutex_unlock(&in->say);
}

void incoming_parts_say(struct incoming *in, enum message_type type)
{
	incoming_parts_tell(in, type, 0, 0, NULL);
}

enum incoming_state incoming_parts_at(struct incoming *in)
{
	enum incoming_state at;

	pthread_mutex_lock(&in->lock);
	at = in->at;
	pthread_mutex_unlock(&in->lock);
	return at;
}

void incoming_parts_set(struct incoming *in, enum incoming_state at)
{
	pthread_mutex_lock(&in->lock);
	in->at = at;
	pthread_mutex_unlock(&in->lock);
}

/* Whoever is at one of them is done with it soon. */
void incoming_parts_break(struct incoming *in)
{
	pthread_mutex_lock(&in->lock);
	for (unsigned i = 0; i < ARRAY_LEN(in->channels); i++)
		if (in->channels[i])
			channel_break(in->channels[i]);
	pthread_mutex_unlock(&in->lock);
}

/* Status. */

static void tell(struct loop_task *task)
{
	struct incoming *in = container_of(task, struct incoming, tell);
	enum migration_status untold[ARRAY_LEN(in->untold)];
	unsigned nr;

	pthread_mutex_lock(&in->lock);
	nr = in->nr_untold;
	memcpy(untold, in->untold, sizeof(untold));
	in->nr_untold = 0;
	pthread_mutex_unlock(&in->lock);
	for (unsigned i = 0; i < nr; i++)
		in->config.changed(in->config.ctx, untold[i]);
}

/* Under lock. */
static void set_status(struct incoming *in, enum migration_status status)
{
	in->info.status = status;
	if (status == MIGRATION_SETUP)
		in->began = clock_ns();
	if (status == MIGRATION_ACTIVE)
		in->info.setup_ns = clock_ns() - in->began;
	if (status >= MIGRATION_CANCELLED && in->began)
		in->info.total_ns = clock_ns() - in->began;
	if (in->nr_untold < ARRAY_LEN(in->untold))
		in->untold[in->nr_untold++] = status;
	loop_post(in->config.main, &in->tell);
}

void incoming_parts_set_status(struct incoming *in, enum migration_status status)
{
	pthread_mutex_lock(&in->lock);
	set_status(in, status);
	pthread_mutex_unlock(&in->lock);
}

void incoming_parts_set_status_if_missing(struct incoming *in, enum migration_status status)
{
	pthread_mutex_lock(&in->lock);
	if (in->at == INCOMING_RUNS)
		set_status(in, status);
	pthread_mutex_unlock(&in->lock);
}

/* Memory that comes later. */

static void ask(void *ctx, uint64_t page)
{
	incoming_parts_tell(ctx, MESSAGE_ASK, page, 1, NULL);
}

/* Once the guest runs and no page is missing, the source is of no more use. */
void incoming_parts_say_if_done(struct incoming *in)
{
	bool done = false;

	pthread_mutex_lock(&in->lock);
	if (in->at == INCOMING_RUNS && (!in->lazy || !lazy_ram_nr_missing(in->lazy))) {
		in->at = INCOMING_DONE;
		done = true;
	}
	pthread_mutex_unlock(&in->lock);
	if (!done)
		return;
	incoming_parts_set_status(in, MIGRATION_COMPLETED);
	incoming_parts_say(in, MESSAGE_DONE);
}

static void say_missing(struct incoming *in)
{
	uint64_t at = 0, over;

	pthread_rwlock_rdlock(&in->memory);
	while (!atomic_load(&in->forgotten) && in->lazy && lazy_ram_next(in->lazy, &at, &over)) {
		incoming_parts_tell(in, MESSAGE_MISSING, at, (uint32_t)(over - at), NULL);
		at = over;
	}
	pthread_rwlock_unlock(&in->memory);
}

void incoming_parts_say_state(struct incoming *in)
{
	switch (incoming_parts_at(in)) {
	case INCOMING_LOADED:
		incoming_parts_say(in, MESSAGE_LOADED);
		break;
	case INCOMING_RUNS:
		if (in->resumed)
			say_missing(in);
		incoming_parts_say(in, MESSAGE_RUNS);
		incoming_parts_say_if_done(in);
		break;
	case INCOMING_DONE:
		incoming_parts_say(in, MESSAGE_DONE);
		break;
	case INCOMING_FAILED:
		incoming_parts_tell(in, MESSAGE_FAILED, 0, 0, in->err.text);
		break;
	default:
		break;
	}
}

/* Turns of the main thread. */

static int read_state(struct incoming *in, int (*use)(struct incoming *in,
						      struct state_reader *reader))
{
	struct state_reader *reader;
	int r = state_reader_new(&reader, in->bytes, in->len, &in->err);

	if (r < 0)
		return r;
	r = strcmp(state_reader_arch(reader), MIGRATION_PLAN_ARCH) ?
		err_set(&in->err, -ENOTSUP, "the VM is of %s, this host of %s",
			state_reader_arch(reader), MIGRATION_PLAN_ARCH) : use(in, reader);
	state_reader_free(reader);
	return r;
}

static int prepare_lazy(struct incoming *in)
{
	const struct lazy_ram_config config = {
		.ram = machine_state_ram(in->config.machine), .ask = ask, .ctx = in,
	};

	return lazy_ram_new(&in->lazy, &config, &in->err);
}

/* Of the machine's own; NULL: it has none of that id that the guest can write. */
static struct disk *find_disk(const struct incoming *in, const char *wanted)
{
	struct disk *disk;
	const char *id;

	for (uint32_t i = 0; (disk = machine_state_disk(in->config.machine, i, &id)); i++)
		if (!strcmp(id, wanted))
			break;
	return disk;
}

/* They are ours from here on: what comes is written to them. */
static int prepare_disks(struct incoming *in)
{
	int r = machine_state_wake_disks(in->config.machine, &in->err);

	if (r < 0)
		return r;
	in->disks = disk_receiver_new();
	if (!in->disks)
		return err_sys(&in->err, -ENOMEM, "cannot receive disks");
	for (uint32_t i = 0; i < in->plan.nr_disks; i++) {
		const struct migration_plan_disk *planned = &in->plan.disks[i];
		struct disk *disk = find_disk(in, (const char *)planned->id);

		if (!disk)
			return err_set(&in->err, -EINVAL, "disk '%s' is to be copied, and cannot "
				       "be written here", planned->id);
		if (disk_size(disk) != planned->size)
			return err_set(&in->err, -EINVAL, "disk '%s' has %llu bytes, and its image "
				       "here %llu: make one as large", planned->id,
				       (unsigned long long)planned->size,
				       (unsigned long long)disk_size(disk));
		disk_receiver_add(in->disks, disk);
	}
	return 0;
}

/* The machine is built of disks that are there. */
static int make_disks(struct incoming *in)
{
	int r = 0;

	for (uint32_t i = 0; i < in->plan.nr_disks && !r; i++)
		r = machine_state_make_disk(in->config.machine,
					    (const char *)in->plan.disks[i].id,
					    in->plan.disks[i].size, &in->err);
	return r;
}

/* Threads of ours are in the machine's memory until all of it has come. */
static int use_plan(struct incoming *in, struct state_reader *reader)
{
	struct machine *m = in->config.machine;
	int r = migration_plan_load(reader, &in->plan, &in->err);

	if (!r)
		r = make_disks(in);
	if (!r)
		r = machine_state_prepare(m, reader, &in->err);
	if (!r)
		r = migration_plan_check(&in->plan, m, &in->err);
	if (!r)
		r = machine_state_hold(m, &in->holder, &in->err);
	if (r < 0)
		return r;
	in->held = true;
	in->info.memory = machine_state_ram(m)->len;
	if (in->plan.nr_disks) {
		r = prepare_disks(in);
		if (r < 0)
			return r;
	}
	return in->plan.postcopy ? prepare_lazy(in) : 0;
}

static void prepare(struct loop_task *task)
{
	struct incoming *in = container_of(task, struct incoming, prepare);

	in->r = read_state(in, use_plan);
	sem_post(&in->turn);
}

static void fail(struct incoming *in)
{
	incoming_parts_set(in, INCOMING_FAILED);
	incoming_parts_tell(in, MESSAGE_FAILED, 0, 0, in->err.text);
}

static int use_state(struct incoming *in, struct state_reader *reader)
{
	const struct machine_change change = { .clock = true };

	if (in->forgotten)
		return err_set(&in->err, -ESHUTDOWN, "the VM has ended");
	return machine_state_load(in->config.machine, reader, &change, &in->err);
}

static void load(struct loop_task *task)
{
	struct incoming *in = container_of(task, struct incoming, load);

	if (read_state(in, use_state) < 0 ||
	    machine_state_name_disks(in->config.machine, &in->err) < 0) {
		fail(in);
		return;
	}
	incoming_parts_set(in, INCOMING_LOADED);
	incoming_parts_say(in, MESSAGE_LOADED);
}

static void release_machine(struct incoming *in)
{
	if (in->held)
		machine_state_release(in->config.machine, &in->holder);
	in->held = false;
}

/* Once the guest runs it is a VM like any other; what its source still says is for the thread. */
static void start(struct loop_task *task)
{
	static const struct machine_announcement announcement = {
		.initial_ms = 50, .step_ms = 100, .max_ms = 550, .rounds = 5,
	};
	struct incoming *in = container_of(task, struct incoming, start);
	struct machine *m = in->config.machine;
	uint64_t away = 0;
	bool missing;
	int r = in->forgotten ? err_set(&in->err, -ESHUTDOWN, "the VM has ended") :
				machine_state_wake_disks(m, &in->err);

	if (!r) {
		machine_state_set_paused(m, in->go.nr & MESSAGE_GO_PAUSED);
		away = in->go.at + (clock_ns() - in->go_at);
		machine_state_set_away(m, away);
		r = machine_start(m, &in->err);
	}
	if (r < 0) {
		struct err ignored = { 0 };

		(void)machine_state_sleep_disks(m, &ignored);
		fail(in);
		return;
	}
	machine_state_keep_disks(m);
	pthread_mutex_lock(&in->lock);
	in->info.downtime_ns = away;
	in->received_before = atomic_load(&in->received);
	pthread_mutex_unlock(&in->lock);
	missing = in->lazy && lazy_ram_nr_missing(in->lazy);
	/* First, since from there on the thread may say that all has come, or is lost. */
	if (missing)
		incoming_parts_set_status(in, MIGRATION_POSTCOPY);
	incoming_parts_set(in, INCOMING_RUNS);
	if (!missing)
		release_machine(in);
	incoming_parts_say_state(in);
	in->config.ended(in->config.ctx, 0, NULL);
	machine_announce(m, &announcement);
}

static void release(struct incoming *in)
{
	in->lazy = lazy_ram_free(in->lazy);
	release_machine(in);
}

/* The thread has ended. */
static void end(struct incoming *in)
{
	pthread_join(in->thread, NULL);
	in->started = false;
	in->listener = channel_listener_close(in->listener);
	release(in);
	if (in->at >= INCOMING_RUNS && in->at <= INCOMING_DONE)
		return;
	incoming_parts_set_status(in, MIGRATION_FAILED);
	in->config.ended(in->config.ctx, in->r, &in->err);
}

static void finish(struct loop_task *task)
{
	end(container_of(task, struct incoming, finish));
}

static void break_off(struct incoming *in)
{
	pthread_mutex_lock(&in->lock);
	in->broken_off = true;
	if (in->newcomer)
		channel_break(in->newcomer);
	pthread_mutex_unlock(&in->lock);
	incoming_parts_break(in);
	(void)eventfd_write(in->stop, 1);
	sem_post(&in->turn);
	sem_post(&in->returned);
	sem_post(&in->taken);
}

/* A source that is not there now will not come back in time. */
static void fill_soon(struct machine_holder *holder)
{
	struct incoming *in = container_of(holder, struct incoming, holder);
	bool there;

	if (!in->lazy)
		return;
	pthread_mutex_lock(&in->say);
	there = in->source;
	pthread_mutex_unlock(&in->say);
	lazy_ram_hurry(in->lazy, there ? FILL_MS : 0);
}

/* What is missing of the memory is not needed any more; the source is still to hear of it. */
static void let_go(struct machine_holder *holder)
{
	struct incoming *in = container_of(holder, struct incoming, holder);

	in->held = false;
	if (incoming_parts_at(in) == INCOMING_RUNS) {
		incoming_parts_set(in, INCOMING_DONE);
		incoming_parts_set_status(in, MIGRATION_COMPLETED);
		incoming_parts_say(in, MESSAGE_DONE);
	}
	/* First the word, so that whoever enters later does not wait for a new connection. */
	atomic_store(&in->forgotten, true);
	incoming_parts_break(in);
	pthread_rwlock_wrlock(&in->memory);
	in->lazy = lazy_ram_free(in->lazy);
	pthread_rwlock_unlock(&in->memory);
}

/* From outside. */

int incoming_listen(struct incoming *in, const char *uri,
		    const struct migration_parameters *parameters, struct err *err)
{
	const struct channel_options options = {
		.tls = parameters->tls,
		.insecure = parameters->insecure,
		.take_fd = in->config.take_fd,
		.ctx = in->config.ctx,
	};
	int r;

	if (in->listener || in->at != INCOMING_WAITS)
		return err_set(err, -EBUSY, "the VM is waited for already");
	r = channel_listen(&in->listener, uri, &options, err);
	if (r < 0)
		return r;
	r = thread_start(&in->thread, "migration", incoming_parts_run, in);
	if (r < 0) {
		in->listener = channel_listener_close(in->listener);
		return err_sys(err, r, "cannot wait for a VM");
	}
	in->started = true;
	return 0;
}

const char *incoming_address(const struct incoming *in)
{
	return in->listener ? channel_listener_address(in->listener) : NULL;
}

struct migration_info incoming_info(const struct incoming *const_in)
{
	struct incoming *in = (struct incoming *)const_in;
	struct migration_info info;

	pthread_mutex_lock(&in->lock);
	info = in->info;
	info.sent = atomic_load(&in->received);
	if (in->at == INCOMING_RUNS || in->at == INCOMING_DONE)
		info.postcopy_bytes = info.sent - in->received_before;
	if (in->began && info.status < MIGRATION_CANCELLED)
		info.total_ns = clock_ns() - in->began;
	pthread_mutex_unlock(&in->lock);
	info.multifd_bytes = in->plan.streams > 1 ? info.sent : 0;
	if (in->lazy)
		info.remaining = lazy_ram_nr_missing(in->lazy) * PAGES_LEN;
	return info;
}

/* Life. */

struct incoming *incoming_new(const struct incoming_config *config)
{
	struct incoming *in = calloc(1, sizeof(*in));

	if (!in)
		return NULL;
	in->config = *config;
	in->holder.let_go = let_go;
	in->holder.fill_soon = fill_soon;
	in->prepare.run = prepare;
	in->load.run = load;
	in->start.run = start;
	in->finish.run = finish;
	in->tell.run = tell;
	in->stop = eventfd(0, EFD_CLOEXEC);
	pthread_rwlock_init(&in->memory, NULL);
	pthread_mutex_init(&in->say, NULL);
	pthread_mutex_init(&in->lock, NULL);
	sem_init(&in->turn, 0, 0);
	sem_init(&in->returned, 0, 0);
	sem_init(&in->taken, 0, 0);
	return in->stop < 0 ? incoming_free(in) : in;
}

struct incoming *incoming_free(struct incoming *in)
{
	if (!in)
		return NULL;
	break_off(in);
	if (in->started)
		pthread_join(in->thread, NULL);
	release(in);
	in->disks = disk_receiver_free(in->disks);
	loop_cancel(in->config.main, &in->prepare);
	loop_cancel(in->config.main, &in->load);
	loop_cancel(in->config.main, &in->start);
	loop_cancel(in->config.main, &in->finish);
	loop_cancel(in->config.main, &in->tell);
	channel_listener_close(in->listener);
	free(in->bytes);
	if (in->stop >= 0)
		close(in->stop);
	sem_destroy(&in->turn);
	sem_destroy(&in->returned);
	sem_destroy(&in->taken);
	pthread_mutex_destroy(&in->say);
	pthread_rwlock_destroy(&in->memory);
	pthread_mutex_destroy(&in->lock);
	free(in);
	return NULL;
}
