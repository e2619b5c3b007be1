// SPDX-License-Identifier: Apache-2.0
/*
 * snapshot_save.c - a machine's memory and state on their way into a folder.
 *
 * The thread and the main thread take turns, and hand over by a task and a semaphore; so
 * what they share needs no lock.  Only the wish to break off comes from aside.  Each page
 * is written while it may change, and once more if it did: the log was started before.
 */
#include "migrate/snapshot_save.h"

#include "base/bits.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/folder.h"
#include "base/thread.h"
#include "block/disk_overlay.h"
#include "config/yaml.h"
#include "loop/loop.h"
#include "machine/machine.h"
#include "machine/machine_state.h"
#include "machine/vm_config.h"
#include "manifest.h"
#include "memory/ram.h"
#include "memory_file.h"
#include "migrate/snapshot.h"
#include "migration_plan.h"
#include "pages.h"
#include "snapshot_file.h"
#include "state/state.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

struct job {
	struct snapshotter *owner;
	struct snapshot_request request;
	char path[PATH_MAX];
	void (*done)(void *ctx, const struct snapshot_result *result, int r,
		     const struct err *err);
	void *ctx;

	struct snapshot_folder folder;
	struct manifest manifest;
	int memory;			/* fd of the file */
	uint64_t *pages;		/* that it has; NULL: all that are not zero */
	uint64_t *changed;		/* scratch of the same length */
	struct snapshot_result result;
	struct state_writer *writer;	/* of "state", and what it has come to */
	const void *state;
	size_t state_len;
	char *config;			/* likewise */
	size_t config_len;

	pthread_t thread;
	bool started;
	bool consumed;			/* what the log had is here only */
	bool published;			/* it can not be broken off any more */
	bool runs;			/* the guest, but for us */
	bool paused;			/* by us, and it does not go on */
	uint64_t paused_at;		/* by clock_ns() */
	sem_t turn;			/* the thread's */
	struct loop_task pause, go_on, finish;	/* the main thread's turns */
	atomic_uint_least64_t passed_now;	/* bytes of memory, of both passes */
	uint64_t passed;		/* of them, by the pass before */
	atomic_bool broken_off;
	atomic_bool called_off;		/* ... by whoever has wanted it */
	int r;				/* of whoever's turn it is */
	struct err err;
};

/* Where a diff can follow. */
struct previous {
	char path[PATH_MAX];
	char id[MANIFEST_ID_LEN + 1];	/* "": there is none */
};

struct snapshotter {
	struct machine *machine;
	struct loop *main;
	struct machine_holder holder;
	bool held;			/* also while no job runs, if changes are logged */
	struct previous previous;
	struct job *job;
};

/* A version 4 UUID. */
static char *new_id(void)
{
	uint8_t b[16];
	char *text;

	if (getrandom(b, sizeof(b), 0) != sizeof(b))
		return NULL;
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	if (asprintf(&text, "%08x-%04x-%04x-%04x-%04x%08x", get_be32(b), get_be16(b + 4),
		     get_be16(b + 6), get_be16(b + 8), get_be16(b + 10), get_be32(b + 12)) < 0)
		return NULL;
	return text;
}

static char *now_text(void)
{
	char text[32];
	struct tm tm;
	time_t now = time(NULL);

	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
	return strdup(text);
}

/* The board. */

static void let_go(struct machine_holder *holder);

static void forget_previous(struct snapshotter *s)
{
	s->previous.id[0] = 0;
}

static int hold(struct snapshotter *s, struct err *err)
{
	int r = s->held ? 0 : machine_state_hold(s->machine, &s->holder, err);

	if (r < 0)
		return r;
	s->held = true;
	return 0;
}

static void release(struct snapshotter *s)
{
	struct err err = { 0 };

	if (!s->held)
		return;
	(void)machine_state_log(s->machine, false, &err);
	machine_state_release(s->machine, &s->holder);
	s->held = false;
	forget_previous(s);
}

static void resume(struct machine *m)
{
	struct err ignored = { 0 };

	if (machine_state(m) == MACHINE_PAUSED)
		(void)machine_resume(m, &ignored);
}

/* The job's end, on the main thread; the thread has ended or was never there. */
static void end_job(struct job *job)
{
	struct snapshotter *s = job->owner;

	if (job->started)
		pthread_join(job->thread, NULL);
	s->job = NULL;
	if (job->memory >= 0)
		close(job->memory);
	snapshot_folder_close(&job->folder);
	(void)machine_state_end_save(s->machine, false);
	/* Who wanted it to stand still had the snapshot in mind. */
	if ((job->r < 0 || job->called_off) && job->paused)
		resume(s->machine);
	/* One that failed early leaves the next diff possible. */
	if (job->r < 0 ? job->consumed || !s->previous.id[0] : !job->request.track)
		release(s);
	if (!job->r && job->request.track) {
		snprintf(s->previous.path, sizeof(s->previous.path), "%s", job->path);
		snprintf(s->previous.id, sizeof(s->previous.id), "%s", job->manifest.id);
	}
	job->result.total = 2 * job->manifest.memory;
	job->result.done = job->r < 0 ? atomic_load(&job->passed_now) : job->result.total;
	job->done(job->ctx, &job->result, job->r, &job->err);
	option_fini(&manifest_options, &job->manifest);
	sem_destroy(&job->turn);
	state_writer_free(job->writer);
	free(job->config);
	free(job->pages);
	free(job->changed);
	free(job);
}

/* The thread. */

static bool goes_on(const struct job *job)
{
	return !job->r && !job->broken_off;
}

static bool note_progress(void *ctx, uint64_t bytes)
{
	struct job *job = ctx;

	atomic_store(&job->passed_now, job->passed + bytes);
	return !job->broken_off;
}

static void write_memory(struct job *job)
{
	const struct ram *ram = machine_state_ram(job->owner->machine);

	job->r = memory_file_write(job->memory, ram, job->pages, note_progress, job,
				   &job->err);
	job->passed = job->manifest.memory;
}

static void sum_up(struct job *job)
{
	job->r = memory_file_sum(job->memory, job->manifest.memory, job->pages,
				 &job->manifest.memory_crc, &job->manifest.pages,
				 note_progress, job, &job->err);
	if (!job->r && fsync(job->memory))
		job->r = err_sys(&job->err, -errno, "cannot write '%s'", SNAPSHOT_MEMORY);
	job->result.pages = job->manifest.pages;
}

static void write_pages(struct job *job)
{
	size_t len = pages_words(job->manifest.memory) * sizeof(*job->pages);

	if (!job->pages)
		return;
	job->manifest.pages_crc = (uint32_t)crc32(0, (const Bytef *)job->pages, (uInt)len);
	job->r = snapshot_file_write(job->folder.fd, SNAPSHOT_PAGES, job->pages, len, &job->err);
}

static void write_rest(struct job *job)
{
	job->r = snapshot_file_write(job->folder.fd, SNAPSHOT_STATE, job->state, job->state_len,
				     &job->err);
	if (!job->r)
		job->r = snapshot_file_write(job->folder.fd, SNAPSHOT_CONFIG, job->config,
					     job->config_len, &job->err);
}

/* A disk may take its time, for which nobody else has to wait. */
static void flush_disks(struct job *job)
{
	job->r = machine_state_flush(job->owner->machine, &job->err);
}

/* After the flush, so that the time of the last write is the one that stays. */
static void see_disks(struct job *job)
{
	for (uint32_t i = 0; i < job->manifest.nr_disk && !job->r; i++)
		job->r = manifest_see_disk(&job->manifest.disk[i], &job->err);
}

static void take_turn(struct job *job, struct loop_task *task)
{
	loop_post(job->owner->main, task);
	while (sem_wait(&job->turn))
		;
}

static void *run_thread(void *arg)
{
	struct job *job = arg;

	write_memory(job);
	/* The guest goes on while most of what its disks owe is written. */
	if (goes_on(job))
		flush_disks(job);
	if (goes_on(job))
		take_turn(job, &job->pause);
	if (goes_on(job))
		flush_disks(job);
	if (goes_on(job))
		see_disks(job);
	if (goes_on(job))
		take_turn(job, &job->go_on);
	if (goes_on(job))
		write_rest(job);
	if (goes_on(job))
		sum_up(job);
	if (goes_on(job))
		write_pages(job);
	if (goes_on(job))
		job->r = manifest_write(&job->manifest, job->folder.fd, &job->err);
	if (goes_on(job)) {
		job->r = snapshot_folder_publish(&job->folder, &job->err);
		job->published = !job->r;
	}
	loop_post(job->owner->main, &job->finish);
	return NULL;
}

/* The main thread's turns: the guest stands still. */

static int write_changed(struct job *job, struct err *err)
{
	struct machine *m = job->owner->machine;
	uint64_t words = pages_words(job->manifest.memory);
	int r;

	memset(job->changed, 0, words * sizeof(*job->changed));
	r = machine_state_log_take(m, job->changed, err);
	if (!r)
		r = memory_file_write(job->memory, machine_state_ram(m), job->changed, NULL, NULL,
				      err);
	for (uint64_t i = 0; job->pages && i < words; i++)
		job->pages[i] |= job->changed[i];
	return r;
}

static int keep_config(struct job *job, const struct vm_config *config, struct err *err)
{
	FILE *out = open_memstream(&job->config, &job->config_len);
	int r;

	if (!out)
		return err_sys(err, -ENOMEM, "cannot write the configuration");
	r = yaml_dump(&vm_config_options, config, out, err);
	if (fclose(out) && !r)
		r = err_sys(err, -ENOMEM, "cannot write the configuration");
	if (!r)
		job->manifest.config_crc = (uint32_t)crc32(0, (const Bytef *)job->config,
							   (uInt)job->config_len);
	return r;
}

static int check_disks(const struct vm_config *config, struct err *err)
{
	for (uint32_t i = 0; i < config->nr_disk; i++) {
		const struct vm_disk_config *disk = &config->disk[i];

		if (disk->overlay && !strcmp(disk->overlay, DISK_OVERLAY_TEMPORARY))
			return err_set(err, -ENOTSUP, "disk '%s' has a temporary overlay, which "
				       "goes when this VM ends: no snapshot can come back to it",
				       disk->id);
	}
	return 0;
}

static int name_disks(struct job *job, const struct vm_config *config, struct err *err)
{
	struct manifest *m = &job->manifest;
	int r = check_disks(config, err);

	if (r < 0)
		return r;
	m->disk = calloc(config->nr_disk + 1, sizeof(*m->disk));
	if (!m->disk)
		return err_sys(err, -ENOMEM, "cannot describe the disks");
	for (uint32_t i = 0; i < config->nr_disk && !r; i++) {
		const struct vm_disk_config *from = &config->disk[i];
		struct manifest_disk *disk = &m->disk[m->nr_disk++];
		const char *path = from->overlay ? from->overlay : from->path;

		disk->id = strdup(from->id);
		disk->path = strdup(path);
		disk->readonly = from->readonly;
		if (!disk->id || !disk->path)
			r = err_sys(err, -ENOMEM, "cannot describe the disks");
	}
	return r;
}

static int describe(struct job *job, struct err *err)
{
	struct vm_config config;
	int r = machine_state_describe(job->owner->machine, &config, err);

	if (r < 0)
		return r;
	job->manifest.name = strdup(config.name);
	if (!job->manifest.name)
		r = err_sys(err, -ENOMEM, "cannot describe the VM");
	if (!r)
		r = name_disks(job, &config, err);
	if (!r)
		r = keep_config(job, &config, err);
	option_fini(&vm_config_options, &config);
	return r;
}

static int keep_state(struct job *job, struct err *err)
{
	int r;

	job->writer = state_writer_new(MIGRATION_PLAN_ARCH);
	if (!job->writer)
		return err_sys(err, -ENOMEM, "cannot save the state");
	r = machine_state_save_plan(job->owner->machine, job->writer, err);
	if (!r)
		r = machine_state_save(job->owner->machine, job->writer, err);
	if (r < 0)
		return r;
	r = state_writer_end(job->writer, &job->state, &job->state_len);
	if (r < 0)
		return err_sys(err, r, "cannot save the state");
	job->manifest.state_crc = (uint32_t)crc32(0, job->state, (uInt)job->state_len);
	return 0;
}

static void pause_and_save(struct loop_task *task)
{
	struct job *job = container_of(task, struct job, pause);
	struct machine *m = job->owner->machine;

	if (goes_on(job)) {
		job->runs = machine_state(m) == MACHINE_RUNNING;
		job->paused_at = clock_ns();
		job->r = machine_state_begin_save(m, &job->err);
		if (!job->r)
			job->r = machine_state_settle(m, &job->err);
		if (!job->r)
			job->r = write_changed(job, &job->err);
		if (!job->r)
			job->r = keep_state(job, &job->err);
		if (!job->r)
			job->r = describe(job, &job->err);
	}
	sem_post(&job->turn);
}

/* What was paused before stays so. */
static void go_on(struct loop_task *task)
{
	struct job *job = container_of(task, struct job, go_on);

	job->paused = machine_state_end_save(job->owner->machine, job->request.keep_paused);
	job->result.paused_ns = job->runs ? clock_ns() - job->paused_at : 0;
	sem_post(&job->turn);
}

static void finish(struct loop_task *task)
{
	struct job *job = container_of(task, struct job, finish);

	if (job->called_off && !job->published)
		job->r = err_set(&job->err, -ECANCELED, "the snapshot was called off");
	end_job(job);
}

/* Beginning. */

/* One beside it is named so that both can be moved. */
static int describe_parent(struct job *job, struct err *err)
{
	const struct previous *previous = &job->owner->previous;
	struct manifest *m = &job->manifest;
	const char *name;
	size_t len;
	bool beside;

	if (!previous->id[0])
		return err_set(err, -EINVAL, "what has changed since the last snapshot was not "
			       "noted: take one with --track first");
	name = strrchr(previous->path, '/') + 1;
	len = (size_t)(name - previous->path);
	beside = !strncmp(previous->path, job->path, len) && !strchr(job->path + len, '/');
	m->parent_id = strdup(previous->id);
	if (asprintf(&m->parent, "%s%s", beside ? "../" : "",
		     beside ? name : previous->path) < 0)
		m->parent = NULL;
	if (!m->parent_id || !m->parent)
		return err_sys(err, -ENOMEM, "cannot take a snapshot");
	return 0;
}

/*
 * What a difference builds upon, however far down, it may not take the place of; nor may a
 * whole one of what the last one builds upon.
 */
static int check_place(const struct job *job, struct err *err)
{
	struct snapshot_info info, above = { 0 };
	struct err ignored = { 0 };
	struct snapshot *chain;
	int r = snapshot_open(&chain, job->owner->previous.path,
			      job->request.diff ? err : &ignored);

	if (r < 0)
		return job->request.diff ? r : 0;
	for (unsigned i = 0; !r && snapshot_info(chain, i, &info); i++, above = info) {
		if (!folder_is_same(info.path, job->path))
			continue;
		if (job->request.diff)
			r = err_set(err, -EINVAL, "'%s' is what the new snapshot would build "
				    "upon: give another folder", job->path);
		else if (i)
			r = err_set(err, -EINVAL, "'%s' is what '%s' builds upon: give another "
				    "folder, or first have that stand by itself ('vmm snapshot "
				    "merge')", job->path, above.path);
	}
	snapshot_close(chain);
	return r;
}

/* One that comes later is noticed when all else has been written. */
static int check_early(const struct machine *m, struct err *err)
{
	struct vm_config config;
	int r = machine_state_describe(m, &config, err);

	if (r < 0)
		return r;
	r = check_disks(&config, err);
	option_fini(&vm_config_options, &config);
	return r;
}

static int prepare(struct job *job, struct err *err)
{
	struct snapshotter *s = job->owner;
	struct manifest *m = &job->manifest;
	uint64_t words;
	int r = hold(s, err);

	if (!r)
		r = check_early(s->machine, err);
	if (!r && job->request.diff)
		r = describe_parent(job, err);
	if (!r && job->request.replace && s->previous.id[0])
		r = check_place(job, err);
	if (r < 0)
		return r;
	m->memory = machine_state_ram(s->machine)->len;
	m->id = new_id();
	m->created = now_text();
	m->release = strdup(VMM_VERSION);
	m->arch = strdup(MIGRATION_PLAN_ARCH);
	words = pages_words(m->memory);
	job->changed = calloc(words, sizeof(*job->changed));
	if (job->request.diff)
		job->pages = calloc(words, sizeof(*job->pages));
	if (!m->id || !m->created || !m->release || !m->arch || !job->changed ||
	    (job->request.diff && !job->pages))
		return err_sys(err, -ENOMEM, "cannot take a snapshot");
	r = snapshot_folder_create(&job->folder, job->path, job->request.replace, err);
	if (r < 0)
		return r;
	job->memory = openat(job->folder.fd, SNAPSHOT_MEMORY,
			     O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return job->memory < 0 ? err_sys(err, -errno, "cannot write '%s'", SNAPSHOT_MEMORY) : 0;
}

/* What a diff begins with is what was logged up to here. */
static int start_log(struct job *job, struct err *err)
{
	struct machine *m = job->owner->machine;

	job->consumed = true;
	if (job->request.diff)
		return machine_state_log_take(m, job->pages, err);
	if (job->owner->previous.id[0])
		return machine_state_log_take(m, job->changed, err);
	return machine_state_log(m, true, err);
}

static int start(struct job *job, struct err *err)
{
	int r = prepare(job, err);

	if (!r)
		r = start_log(job, err);
	if (!r)
		r = thread_start(&job->thread, "snapshot", run_thread, job);
	if (r < 0)
		return err->code ? r : err_sys(err, r, "cannot take a snapshot");
	job->started = true;
	return 0;
}

void snapshotter_take(struct snapshotter *s, const struct snapshot_request *request,
		      void (*done)(void *ctx, const struct snapshot_result *result, int r,
				   const struct err *err),
		      void *ctx)
{
	struct snapshot_result nothing = { 0 };
	struct err err = { 0 };
	struct job *job = NULL;
	int r = 0;

	if (s->job)
		r = err_set(&err, -EBUSY, "a snapshot is being taken already");
	else if (strlen(request->path) >= PATH_MAX)
		r = err_sys(&err, -ENAMETOOLONG, "'%s'", request->path);
	else
		job = calloc(1, sizeof(*job));
	if (!r && !job)
		r = err_sys(&err, -ENOMEM, "cannot take a snapshot");
	if (r < 0) {
		done(ctx, &nothing, r, &err);
		return;
	}
	*job = (struct job){
		.owner = s,
		.request = *request,
		.done = done,
		.ctx = ctx,
		.folder.fd = -1,
		.memory = -1,
		.pause.run = pause_and_save,
		.go_on.run = go_on,
		.finish.run = finish,
	};
	job->request.track |= request->diff;
	snprintf(job->path, sizeof(job->path), "%s", request->path);
	sem_init(&job->turn, 0, 0);
	s->job = job;
	/* Once the thread runs, what becomes of the job is for it to say. */
	r = start(job, &job->err);
	if (r < 0) {
		job->r = r;
		end_job(job);
	}
}

/* Whatever the thread is at, it comes to its end without us from here on. */
static void break_off(struct job *job)
{
	struct snapshotter *s = job->owner;

	job->broken_off = true;
	sem_post(&job->turn);
	pthread_join(job->thread, NULL);
	job->started = false;
	loop_cancel(s->main, &job->pause);
	loop_cancel(s->main, &job->go_on);
	loop_cancel(s->main, &job->finish);
	if (!job->published)
		job->r = err_set(&job->err, -ECANCELED, "the VM was reset or has ended while the "
				 "snapshot was taken");
	end_job(job);
}

void snapshotter_call_off(struct snapshotter *s)
{
	if (!s->job)
		return;
	s->job->called_off = true;
	s->job->broken_off = true;
}

void snapshotter_progress(const struct snapshotter *s, uint64_t *ret_done, uint64_t *ret_total)
{
	*ret_done = s->job ? atomic_load(&s->job->passed_now) : 0;
	*ret_total = s->job ? 2 * s->job->manifest.memory : 0;
}

static void let_go(struct machine_holder *holder)
{
	struct snapshotter *s = container_of(holder, struct snapshotter, holder);

	s->held = false;
	forget_previous(s);
	if (s->job)
		break_off(s->job);
}

/* What has changed is noted for a later snapshot, which then has to be whole. */
static void give_way(struct machine_holder *holder)
{
	struct snapshotter *s = container_of(holder, struct snapshotter, holder);

	if (!s->job)
		release(s);
}

struct snapshotter *snapshotter_new(struct machine *machine, struct loop *main)
{
	struct snapshotter *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->machine = machine;
	s->main = main;
	s->holder.let_go = let_go;
	s->holder.give_way = give_way;
	return s;
}

struct snapshotter *snapshotter_free(struct snapshotter *s)
{
	if (!s)
		return NULL;
	if (s->job)
		break_off(s->job);
	if (s->held)
		machine_state_release(s->machine, &s->holder);
	free(s);
	return NULL;
}
