// SPDX-License-Identifier: Apache-2.0
/*
 * outgoing.c - an outgoing VM's turns on the main thread, and its life.
 */
#include "migrate/outgoing.h"

#include "base/bits.h"
#include "base/clock.h"
#include "base/thread.h"
#include "block/disk.h"
#include "channel_uri.h"
#include "machine/machine.h"
#include "memory/ram.h"
#include "migration_plan.h"
#include "outgoing_parts.h"
#include "pages.h"
#include "state/state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

/* How long a reset may wait for what is on its way to the target. */
#define ASIDE_S		2

#define ANSWER_MS	30000

/* What is told. */

static void tell(struct loop_task *task)
{
	struct outgoing *o = container_of(task, struct outgoing, tell);
	enum migration_status untold[ARRAY_LEN(o->untold)];
	uint64_t from, to;
	unsigned nr;

	pthread_mutex_lock(&o->lock);
	nr = o->nr_untold;
	memcpy(untold, o->untold, sizeof(untold));
	o->nr_untold = 0;
	from = o->told_rounds;
	to = o->told_rounds = o->info.rounds;
	pthread_mutex_unlock(&o->lock);
	/* Rounds belong to the time that it is active. */
	for (unsigned i = 0; i < nr && untold[i] <= MIGRATION_ACTIVE; i++)
		o->config.changed(o->config.ctx, untold[i]);
	while (from < to)
		o->config.round(o->config.ctx, ++from);
	for (unsigned i = 0; i < nr; i++)
		if (untold[i] > MIGRATION_ACTIVE)
			o->config.changed(o->config.ctx, untold[i]);
}

/* Under lock. */
static void set_status(struct outgoing *o, enum migration_status status)
{
	o->info.status = status;
	if (o->nr_untold < ARRAY_LEN(o->untold))
		o->untold[o->nr_untold++] = status;
	loop_post(o->config.main, &o->tell);
}

void outgoing_parts_set_status(struct outgoing *o, enum migration_status status)
{
	pthread_mutex_lock(&o->lock);
	set_status(o, status);
	pthread_mutex_unlock(&o->lock);
}

static void slow_down(struct loop_task *task)
{
	struct outgoing *o = container_of(task, struct outgoing, slow_down);

	if (o->held)
		machine_state_throttle(o->config.machine, outgoing_info(o).throttle);
}

/* Breaking off. */

void outgoing_parts_break(struct outgoing *o)
{
	for (unsigned i = 0; i < ARRAY_LEN(o->channels); i++)
		if (o->channels[i])
			channel_break(o->channels[i]);
}

/* Whatever the thread waits for, a bandwidth that was set too.  Under lock. */
static void end_waits(struct outgoing *o)
{
	o->broken_off = true;
	atomic_store(&o->rate, 0);
	outgoing_parts_break(o);
	(void)eventfd_write(o->cancel, 1);
	pthread_cond_broadcast(&o->wake);
}

static void break_off(struct outgoing *o)
{
	pthread_mutex_lock(&o->lock);
	end_waits(o);
	pthread_mutex_unlock(&o->lock);
	sem_post(&o->turn);
}

static void gave_no_answer(struct loop_timer *timer)
{
	struct outgoing *o = container_of(timer, struct outgoing, watchdog);

	pthread_mutex_lock(&o->lock);
	o->unanswered = o->at == OUTGOING_HANDS_OVER;
	/* Once GO is said that is a loss: it may answer when it is asked again. */
	if (o->unanswered || o->at == OUTGOING_SENT_GO)
		outgoing_parts_break(o);
	pthread_mutex_unlock(&o->lock);
}

/* The machine. */

static void release(struct outgoing *o)
{
	struct err ignored = { 0 };

	if (!o->held)
		return;
	(void)machine_state_log(o->config.machine, false, &ignored);
	machine_state_release(o->config.machine, &o->holder);
	o->held = false;
}

/* As disk_sender_add() has numbered them. */
static void plan_disks(const struct outgoing *o, struct migration_plan *plan)
{
	const struct disk *disk;
	const char *id;

	while ((disk = machine_state_disk(o->config.machine, plan->nr_disks, &id))) {
		struct migration_plan_disk *planned = &plan->disks[plan->nr_disks++];

		memcpy(planned->id, id, strnlen(id, VM_CONFIG_NAME_MAX));
		planned->size = disk_size(disk);
	}
}

static int save_plan(struct outgoing *o, struct state_writer *writer)
{
	struct migration_plan plan = {
		.streams = o->parameters.streams, .postcopy = o->parameters.postcopy,
	};

	memcpy(plan.session, o->session, sizeof(plan.session));
	if (o->disks)
		plan_disks(o, &plan);
	migration_plan_show(&plan, o->config.machine, o->disks);
	migration_plan_save(writer, &plan);
	return machine_state_save_plan(o->config.machine, writer, &o->err);
}

static int save_state(struct outgoing *o, struct state_writer *writer)
{
	return machine_state_save(o->config.machine, writer, &o->err);
}

static int save(struct outgoing *o, int (*fill)(struct outgoing *o, struct state_writer *writer),
		void **ret_bytes, size_t *ret_len)
{
	struct state_writer *writer = state_writer_new(MIGRATION_PLAN_ARCH);
	const void *bytes;
	int r;

	if (!writer)
		return err_sys(&o->err, -ENOMEM, "cannot save the state");
	r = fill(o, writer);
	if (!r) {
		r = state_writer_end(writer, &bytes, ret_len);
		*ret_bytes = r < 0 ? NULL : malloc(*ret_len);
		if (*ret_bytes)
			memcpy(*ret_bytes, bytes, *ret_len);
		else
			r = err_sys(&o->err, r < 0 ? r : -ENOMEM, "cannot save the state");
	}
	state_writer_free(writer);
	return r;
}

/* OUTGOING_GOES_ON where the guest does so. */
static int stop_guest(struct outgoing *o)
{
	struct machine *m = o->config.machine;
	int r;

	/* It was reset since the last round, so that all is left to send. */
	if (o->anew)
		return OUTGOING_GOES_ON;
	o->stopped = clock_ns();
	o->sent_running = atomic_load(&o->sent.bytes);
	r = machine_state_hand_over(m, &o->err);
	if (r == -EAGAIN) {
		o->stopped = 0;
		return OUTGOING_GOES_ON;
	}
	if (!r)
		r = machine_state_settle(m, &o->err);
	if (!r)
		r = machine_state_log_take(m, o->bitmap, &o->err);
	outgoing_parts_note_left(o);
	return r;
}

static void hand_over(struct loop_task *task)
{
	struct outgoing *o = container_of(task, struct outgoing, hand_over);

	o->r = stop_guest(o);
	sem_post(&o->turn);
}

/* Its disks are asleep, and how they were left is a part of the state. */
static void keep(struct loop_task *task)
{
	struct outgoing *o = container_of(task, struct outgoing, keep);

	o->r = save(o, save_state, &o->state, &o->state_len);
	/* What it is sent first may take as long as its owner allows. */
	loop_timer_set(o->config.main, &o->watchdog, clock_ns() + CLOCK_NS_PER_MS *
		       (o->config.answer_ms + atomic_load(&o->downtime_ms)));
	sem_post(&o->turn);
}

/* The end; the thread has ended or was never there. */

static void close_channels(struct outgoing *o)
{
	pthread_mutex_lock(&o->lock);
	for (unsigned i = 0; i < ARRAY_LEN(o->channels); i++)
		o->channels[i] = channel_close(o->channels[i]);
	pthread_mutex_unlock(&o->lock);
}

/* Nobody has connected by it. */
static void drop_taken(struct outgoing *o)
{
	if (o->taken >= 0)
		close(o->taken);
	o->taken = -1;
}

static void forget(struct outgoing *o)
{
	close_channels(o);
	drop_taken(o);
	o->disks = disk_sender_free(o->disks);
	free(o->plan);
	free(o->state);
	free(o->bitmap);
	free(o->tls);
	o->plan = o->state = NULL;
	o->bitmap = NULL;
	o->tls = NULL;
}

/* For what is known of the other side.  Under lock. */
static bool stands_still(const struct outgoing *o)
{
	return o->stopped && o->at != OUTGOING_TAIL && o->at != OUTGOING_GONE;
}

/* The guest goes on here, if it can: its disks may be in use by somebody else. */
static enum migration_status go_on(struct outgoing *o)
{
	struct err why = o->err, err = { 0 };
	bool cancelled = o->r == -ECANCELED;

	if (machine_state_take_back(o->config.machine, &err) < 0) {
		o->r = err_set(&o->err, err.code, "%s; and the VM cannot go on here: %s",
			       why.text, err.text);
		cancelled = false;
	}
	return cancelled ? MIGRATION_CANCELLED : MIGRATION_FAILED;
}

static void end(struct outgoing *o)
{
	enum migration_status status = MIGRATION_COMPLETED;

	if (o->started)
		pthread_join(o->thread, NULL);
	o->started = false;
	loop_timer_clear(o->config.main, &o->watchdog);
	if (o->at == OUTGOING_GONE)
		machine_state_moved(o->config.machine);
	else
		status = go_on(o);
	release(o);
	forget(o);
	pthread_mutex_lock(&o->lock);
	o->info.total_ns = clock_ns() - o->began;
	if (stands_still(o))
		o->info.downtime_ns = clock_ns() - o->stopped;
	o->info.throttle = 0;
	if (status == MIGRATION_FAILED)
		memcpy(o->info.error, o->err.text, sizeof(o->info.error));
	if (o->at != OUTGOING_GONE)
		o->at = OUTGOING_STAYS;
	pthread_mutex_unlock(&o->lock);
	outgoing_parts_set_status(o, status);
}

static void finish(struct loop_task *task)
{
	end(container_of(task, struct outgoing, finish));
}

/* Whatever the thread is at, it comes to its end. */
static void give_up(struct outgoing *o, const struct err *why)
{
	break_off(o);
	if (!o->started)
		return;
	pthread_join(o->thread, NULL);
	o->started = false;
	loop_cancel(o->config.main, &o->hand_over);
	loop_cancel(o->config.main, &o->keep);
	loop_cancel(o->config.main, &o->finish);
	if (o->at != OUTGOING_GONE) {
		o->err = *why;
		o->r = why->code;
	}
	end(o);
}

/* While a board is replaced no round begins, and the one that is under way ends early. */
static bool step_aside(struct machine_holder *holder)
{
	struct outgoing *o = container_of(holder, struct outgoing, holder);
	struct timespec until;
	bool aside;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += ASIDE_S;
	pthread_mutex_lock(&o->lock);
	o->replaced = true;
	atomic_store(&o->stop, true);
	while (o->in_memory && !pthread_cond_timedwait(&o->wake, &o->lock, &until))
		;
	aside = !o->in_memory;
	pthread_mutex_unlock(&o->lock);
	return aside;
}

/* What the target has by now is of no use, but no page there is known to be zero either. */
static void come_back(struct machine_holder *holder)
{
	struct outgoing *o = container_of(holder, struct outgoing, holder);
	struct err err = { 0 };
	unsigned throttle;

	if (machine_state_log(o->config.machine, true, &err) < 0) {
		give_up(o, &err);
		return;
	}
	memset(o->bitmap, 0xff, o->words * sizeof(*o->bitmap));
	pthread_mutex_lock(&o->lock);
	o->replaced = false;
	o->anew = true;
	atomic_store(&o->stop, o->postcopy);
	throttle = o->info.throttle;
	pthread_cond_broadcast(&o->wake);
	pthread_mutex_unlock(&o->lock);
	machine_state_throttle(o->config.machine, throttle);
}

/* The board is not ours from here on. */
static void let_go(struct machine_holder *holder)
{
	struct outgoing *o = container_of(holder, struct outgoing, holder);
	struct err err = { 0 };

	o->held = false;
	err_set(&err, -ESHUTDOWN, "the VM was reset or has ended, or has lost a disk");
	give_up(o, &err);
}

/* Beginning. */

/* What has a name is looked up by this thread, and is good for one connection. */
static int set_uri(struct outgoing *o, const char *uri, struct err *err)
{
	struct channel_uri parsed;
	int fd, r = channel_uri_parse(&parsed, uri, err);

	if (r < 0)
		return r;
	if (strlen(uri) >= sizeof(o->uri))
		return err_sys(err, -ENAMETOOLONG, "'%s'", uri);
	if (parsed.kind != CHANNEL_URI_FD || parsed.fd >= 0) {
		snprintf(o->uri, sizeof(o->uri), "%s", uri);
		return 0;
	}
	fd = o->config.take_fd(o->config.ctx, parsed.rest, err);
	if (fd < 0)
		return fd;
	o->taken = fd;
	snprintf(o->uri, sizeof(o->uri), "fd:%d", fd);
	return 0;
}

static int open_disks(struct outgoing *o, struct err *err)
{
	const struct disk_sender_config config = {
		.send = outgoing_parts_send_disk, .ctx = o, .sent = &o->disks_sent,
	};
	struct disk *disk;
	const char *id;
	int r = 0;

	if (!machine_state_disk(o->config.machine, 0, &id))
		return 0;
	o->disks = disk_sender_new(&config);
	if (!o->disks)
		return err_sys(err, -ENOMEM, "cannot copy disks");
	for (uint32_t i = 0; !r && (disk = machine_state_disk(o->config.machine, i, &id)); i++) {
		r = disk_sender_add(o->disks, disk);
		o->info.disks += disk_size(disk);
	}
	return r < 0 ? err_sys(err, r, "cannot copy disk '%s'", id) : 0;
}

static int prepare(struct outgoing *o, const char *uri, struct err *err)
{
	struct machine *m = o->config.machine;
	int r = channel_check(uri, &o->options, err);

	if (r < 0)
		return r;
	if (getrandom(o->session, sizeof(o->session), 0) != sizeof(o->session))
		return err_sys(err, -errno, "cannot name the migration");
	o->info.memory = machine_state_ram(m)->len;
	o->words = pages_words(o->info.memory);
	o->bitmap = malloc(o->words * sizeof(*o->bitmap));
	if (!o->bitmap)
		return err_sys(err, -ENOMEM, "cannot move the VM");
	memset(o->bitmap, 0xff, o->words * sizeof(*o->bitmap));
	if (o->parameters.disks) {
		r = open_disks(o, err);
		if (r < 0)
			return r;
	}
	r = save(o, save_plan, &o->plan, &o->plan_len);
	if (r < 0) {
		*err = o->err;
		return r;
	}
	r = machine_state_log(m, true, err);
	return r < 0 ? r : set_uri(o, uri, err);
}

static void reset_info(struct outgoing *o, const struct migration_parameters *parameters)
{
	o->info = (struct migration_info){ 0 };
	o->parameters = *parameters;
	if (!parameters->multifd)
		o->parameters.streams = 1;
	o->r = 0;
	o->err = (struct err){ 0 };
	o->unanswered = false;
	o->broken_off = o->taken_back = o->postcopy = o->uri_is_new = false;
	o->in_memory = o->replaced = o->anew = false;
	atomic_store(&o->stop, false);
	o->at = OUTGOING_COPIES;
	o->told_rounds = 0;
	o->sent.bytes = o->sent.pages = o->sent.zeroes = o->done_before = 0;
	o->disks_sent.bytes = o->disks_sent.left = 0;
	o->began = clock_ns();
	o->stopped = o->sent_running = 0;
	outgoing_limit(o, parameters->bandwidth, parameters->downtime_ms);
}

/* The thread's own statuses come after the first. */
static int start_thread(struct outgoing *o)
{
	int r;

	pthread_mutex_lock(&o->lock);
	r = thread_start(&o->thread, "migration", outgoing_parts_run, o);
	if (!r)
		set_status(o, MIGRATION_SETUP);
	pthread_mutex_unlock(&o->lock);
	return r;
}

int outgoing_start(struct outgoing *o, const char *uri,
		   const struct migration_parameters *parameters, struct err *err)
{
	eventfd_t ignored;
	int r;

	if (o->started)
		return err_set(err, -EBUSY, "the VM is being moved already");
	/* Where it cannot be moved, what is known of the move before is still true. */
	r = machine_state_hold(o->config.machine, &o->holder, err);
	if (r < 0)
		return r;
	o->held = true;
	sem_destroy(&o->turn);
	sem_init(&o->turn, 0, 0);
	(void)eventfd_read(o->cancel, &ignored);
	reset_info(o, parameters);
	o->tls = parameters->tls ? strdup(parameters->tls) : NULL;
	o->options = (struct channel_options){
		.tls = o->tls,
		.insecure = parameters->insecure,
		.cancel = o->cancel,
		.take_fd = o->config.take_fd,
		.ctx = o->config.ctx,
	};
	r = prepare(o, uri, err);
	if (!r) {
		r = start_thread(o);
		if (r < 0)
			err_sys(err, r, "cannot move the VM");
	}
	if (r < 0) {
		release(o);
		forget(o);
		o->at = OUTGOING_STAYS;
		return r;
	}
	o->started = true;
	return 0;
}

/* From outside. */

int outgoing_cancel(struct outgoing *o, struct err *err)
{
	int r = 0;

	if (!o->started)
		return 0;
	pthread_mutex_lock(&o->lock);
	if (o->at > OUTGOING_HANDS_OVER) {
		r = err_set(err, -EPERM, "the VM has been handed over: it is too late to cancel");
	} else {
		end_waits(o);
	}
	pthread_mutex_unlock(&o->lock);
	if (!r)
		outgoing_parts_set_status(o, MIGRATION_CANCELLING);
	return r;
}

void outgoing_limit(struct outgoing *o, uint64_t bandwidth, uint64_t downtime_ms)
{
	uint32_t streams = o->parameters.streams ? o->parameters.streams : 1;

	/* One that is broken off waits for nothing any more. */
	if (!o->broken_off)
		atomic_store(&o->rate, bandwidth ? (bandwidth + streams - 1) / streams : 0);
	atomic_store(&o->downtime_ms, downtime_ms);
}

int outgoing_postcopy(struct outgoing *o, struct err *err)
{
	int r = 0;

	pthread_mutex_lock(&o->lock);
	if (!o->started || o->at != OUTGOING_COPIES)
		r = err_set(err, -EPERM, "there is no migration under way that copies memory");
	else if (!o->parameters.postcopy)
		r = err_set(err, -EPERM, "the migration was not begun with postcopy");
	else
		o->postcopy = true;
	if (!r)
		atomic_store(&o->stop, true);
	pthread_mutex_unlock(&o->lock);
	return r;
}

/* Also while a target that was found again has not answered.  Under lock. */
static bool is_lost(const struct outgoing *o)
{
	return o->info.status == MIGRATION_LOST || o->info.status == MIGRATION_RECOVERS;
}

int outgoing_resume(struct outgoing *o, const char *uri, struct err *err)
{
	int r;

	pthread_mutex_lock(&o->lock);
	if (!is_lost(o))
		r = err_set(err, -EPERM, "there is no migration that has lost its connection");
	else
		r = channel_check(uri, &o->options, err);
	if (!r) {
		drop_taken(o);
		r = set_uri(o, uri, err);
	}
	if (!r) {
		o->uri_is_new = true;
		pthread_cond_broadcast(&o->wake);
	}
	pthread_mutex_unlock(&o->lock);
	return r;
}

static int may_take_back(struct outgoing *o, struct err *err)
{
	if (o->at == OUTGOING_TAIL || o->at == OUTGOING_GONE)
		return err_set(err, -EPERM, "the VM has run elsewhere: what is here is its memory "
			       "of before");
	/* Its disks did not wake when it was to go on here. */
	if (!o->started && machine_state(o->config.machine) == MACHINE_HANDED_OVER)
		return 0;
	if (o->at != OUTGOING_SENT_GO || !is_lost(o))
		return err_set(err, -EPERM, "there is no migration that has lost its connection");
	return 0;
}

/*
 * While we try, the thread changes nothing; where the guest cannot go on here, the target
 * is looked for again.
 */
int outgoing_take_back(struct outgoing *o, struct err *err)
{
	int r;

	pthread_mutex_lock(&o->lock);
	r = may_take_back(o, err);
	o->taken_back = !r;
	if (!r)
		outgoing_parts_break(o);
	pthread_mutex_unlock(&o->lock);
	if (!r)
		r = machine_state_take_back(o->config.machine, err);
	if (!o->started)
		return r;
	if (r < 0) {
		pthread_mutex_lock(&o->lock);
		o->taken_back = false;
		pthread_mutex_unlock(&o->lock);
		return r;
	}
	break_off(o);
	pthread_join(o->thread, NULL);
	o->started = false;
	loop_cancel(o->config.main, &o->finish);
	o->r = err_set(&o->err, -ECANCELED, "taken back");
	end(o);
	return 0;
}

/* Until the first round is over, which may take long. */
static void tell_rates(const struct outgoing *o, struct migration_info *info)
{
	double s = (double)(clock_ns() - o->began - info->setup_ns + 1) / CLOCK_NS_PER_S;

	info->rate = (uint64_t)((double)(info->sent + info->disks_sent) / s);
	info->page_rate = (uint64_t)((double)(info->pages + info->zeroes) / s);
}

/* What was sent since the guest was stopped is of one kind, and then of the other. */
static void tell_shares(const struct outgoing *o, struct migration_info *info)
{
	uint64_t later = o->stopped ? info->sent - o->sent_running : 0;

	if (!stands_still(o)) {
		info->postcopy_bytes = later - info->downtime_bytes;
		return;
	}
	info->downtime_bytes = later;
	if (o->started)
		info->downtime_ns = clock_ns() - o->stopped;
}

struct migration_info outgoing_info(const struct outgoing *const_o)
{
	struct outgoing *o = (struct outgoing *)const_o;
	struct migration_info info;
	uint64_t done;

	pthread_mutex_lock(&o->lock);
	info = o->info;
	info.rounds = o->told_rounds;
	info.sent = atomic_load(&o->sent.bytes);
	info.pages = atomic_load(&o->sent.pages);
	info.zeroes = atomic_load(&o->sent.zeroes);
	info.disks_sent = atomic_load(&o->disks_sent.bytes);
	info.disks_remaining = atomic_load(&o->disks_sent.left);
	tell_shares(o, &info);
	done = (info.pages + info.zeroes - o->done_before) * PAGES_LEN;
	info.remaining -= o->at == OUTGOING_GONE ? info.remaining :
						   min_u64(info.remaining, done);
	pthread_mutex_unlock(&o->lock);
	info.multifd_bytes = o->parameters.multifd ? info.sent : 0;
	if (o->started)
		info.total_ns = clock_ns() - o->began;
	if (info.status == MIGRATION_SETUP)
		info.setup_ns = info.total_ns;
	if (info.status == MIGRATION_ACTIVE && !info.rate)
		tell_rates(o, &info);
	return info;
}

/* Life. */

struct outgoing *outgoing_new(const struct outgoing_config *config)
{
	struct outgoing *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->config = *config;
	if (!o->config.answer_ms)
		o->config.answer_ms = ANSWER_MS;
	o->taken = -1;
	o->cancel = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	o->holder.let_go = let_go;
	o->holder.step_aside = step_aside;
	o->holder.come_back = come_back;
	o->hand_over.run = hand_over;
	o->keep.run = keep;
	o->finish.run = finish;
	o->slow_down.run = slow_down;
	o->tell.run = tell;
	o->watchdog.fired = gave_no_answer;
	pthread_mutex_init(&o->lock, NULL);
	pthread_mutex_init(&o->say, NULL);
	pthread_cond_init(&o->wake, NULL);
	sem_init(&o->turn, 0, 0);
	return o->cancel < 0 ? outgoing_free(o) : o;
}

struct outgoing *outgoing_free(struct outgoing *o)
{
	if (!o)
		return NULL;
	break_off(o);
	if (o->started)
		pthread_join(o->thread, NULL);
	loop_timer_clear(o->config.main, &o->watchdog);
	loop_cancel(o->config.main, &o->hand_over);
	loop_cancel(o->config.main, &o->keep);
	loop_cancel(o->config.main, &o->finish);
	loop_cancel(o->config.main, &o->slow_down);
	loop_cancel(o->config.main, &o->tell);
	release(o);
	forget(o);
	if (o->cancel >= 0)
		close(o->cancel);
	sem_destroy(&o->turn);
	pthread_cond_destroy(&o->wake);
	pthread_mutex_destroy(&o->say);
	pthread_mutex_destroy(&o->lock);
	free(o);
	return NULL;
}
