// SPDX-License-Identifier: Apache-2.0
#include "disk_packers.h"

#include "base/bits.h"
#include "base/err.h"
#include "base/thread.h"
#include "block/disk_pack.h"
#include "disk_copy.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define THREADS_MAX	8	/* one thread reads for all */

struct disk_packers {
	struct disk_pack *pack;
	unsigned nr;
	pthread_t threads[THREADS_MAX];
	pthread_mutex_t lock;		/* of all below */
	pthread_cond_t work;
	struct disk_packers_job *first, **end;
	bool quit;
};

static struct disk_packers_job *next_job(struct disk_packers *p)
{
	struct disk_packers_job *job;

	pthread_mutex_lock(&p->lock);
	while (!p->first && !p->quit)
		pthread_cond_wait(&p->work, &p->lock);
	job = p->first;
	if (job)
		p->first = job->next;
	if (!p->first)
		p->end = &p->first;
	pthread_mutex_unlock(&p->lock);
	return job;
}

static int pack(const struct disk_packers_job *job, struct disk_packer *packer, uint64_t unit)
{
	int r = packer ? 0 : -ENOMEM;

	for (uint64_t off = 0; off < job->len && !r; off += unit)
		if (!disk_copy_is_zero(job->bytes + off, unit))
			r = disk_packer_write(packer, job->at + off, job->bytes + off);
	return r;
}

static void *run(void *arg)
{
	struct disk_packers *p = arg;
	struct disk_packer *packer = disk_packer_new(p->pack);
	struct disk_packers_job *job;

	while ((job = next_job(p))) {
		job->res = pack(job, packer, disk_pack_unit(p->pack));
		loop_post(job->loop, &job->done);
	}
	disk_packer_free(packer);
	return NULL;
}

int disk_packers_start(struct disk_packers **ret_packers, struct disk_pack *pack,
		       struct err *err)
{
	struct disk_packers *p = calloc(1, sizeof(*p));
	long nr = min_u64(max_u64((uint64_t)sysconf(_SC_NPROCESSORS_ONLN), 1), THREADS_MAX);
	int r = 0;

	if (!p)
		return err_sys(err, -ENOMEM, "cannot compress");
	p->pack = pack;
	p->end = &p->first;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->work, NULL);
	while (!r && p->nr < nr) {
		r = thread_start(&p->threads[p->nr], "packer", run, p);
		p->nr += !r;
	}
	if (!p->nr) {
		disk_packers_stop(p);
		return err_sys(err, r, "cannot start a thread to compress");
	}
	*ret_packers = p;
	return 0;
}

struct disk_packers *disk_packers_stop(struct disk_packers *p)
{
	if (!p)
		return NULL;
	pthread_mutex_lock(&p->lock);
	p->quit = true;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->nr; i++)
		pthread_join(p->threads[i], NULL);
	pthread_cond_destroy(&p->work);
	pthread_mutex_destroy(&p->lock);
	free(p);
	return NULL;
}

void disk_packers_submit(struct disk_packers *p, struct disk_packers_job *job)
{
	job->next = NULL;
	pthread_mutex_lock(&p->lock);
	*p->end = job;
	p->end = &job->next;
	pthread_cond_signal(&p->work);
	pthread_mutex_unlock(&p->lock);
}
