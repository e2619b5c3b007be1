// SPDX-License-Identifier: Apache-2.0
#include "throttle_group.h"

#include "base/bits.h"
#include "base/bucket.h"
#include "base/clock.h"
#include "block/disk.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { READS, WRITES };				/* rows */

struct throttle_group {
	struct loop *loop;
	char *name;
	struct loop_timer timer;
	struct throttle_limits limits;
	struct bucket buckets[THROTTLE_NR_KINDS];
	uint64_t leaked;			/* up to when, by clock_ns() */
	struct throttle_member *turn[2];	/* of each row: any of the ring; NULL: none */
	unsigned row;				/* that comes next */
};

/* Which limits hold for a row. */
static const enum throttle_kind kinds[2][4] = {
	[READS] = { THROTTLE_BPS, THROTTLE_BPS_RD, THROTTLE_IOPS, THROTTLE_IOPS_RD },
	[WRITES] = { THROTTLE_BPS, THROTTLE_BPS_WR, THROTTLE_IOPS, THROTTLE_IOPS_WR },
};

/* Rows. */

static void push(struct throttle_row *row, struct disk_request *request)
{
	request->next = NULL;
	if (row->first)
		row->last->next = request;
	else
		row->first = request;
	row->last = request;
}

static struct disk_request *pop(struct throttle_row *row)
{
	struct disk_request *request = row->first;

	row->first = request->next;
	return request;
}

/* Time and amounts. */

static void leak(struct throttle_group *group)
{
	uint64_t now = clock_ns();

	for (unsigned i = 0; i < THROTTLE_NR_KINDS; i++)
		bucket_leak(&group->buckets[i], &group->limits.of[i],
			    now - group->leaked);
	group->leaked = now;
}

static uint64_t wait_for(const struct throttle_group *group, unsigned row)
{
	uint64_t wait = 0;

	for (unsigned i = 0; i < ARRAY_LEN(kinds[row]); i++) {
		enum throttle_kind kind = kinds[row][i];

		wait = max_u64(wait, bucket_wait(&group->buckets[kind],
						 &group->limits.of[kind]));
	}
	return wait;
}

/* A discard moves nothing. */
static bucket_amount bytes_of(const struct disk_request *request)
{
	return request->op == DISK_DISCARD ? 0 :
	       (bucket_amount)request->len * BUCKET_UNIT;
}

static bucket_amount operations_of(const struct disk_request *request, uint64_t size)
{
	bucket_amount bytes = bytes_of(request);

	return size && request->len > size ? bytes / size : BUCKET_UNIT;
}

static void charge(struct throttle_group *group, unsigned row,
		   const struct disk_request *request)
{
	bucket_amount bytes = bytes_of(request);
	bucket_amount operations = operations_of(request, group->limits.iops_size);

	for (unsigned i = 0; i < ARRAY_LEN(kinds[row]); i++) {
		enum throttle_kind kind = kinds[row][i];

		bucket_add(&group->buckets[kind],
			   kind < THROTTLE_IOPS ? bytes : operations);
	}
}

/* Turns. */

/* The next member that has something in the row; NULL: none. */
static struct throttle_member *find(const struct throttle_group *group, unsigned row)
{
	struct throttle_member *member = group->turn[row];

	do {
		if (member->rows[row].first)
			return member;
		member = member->next;
	} while (member != group->turn[row]);
	return NULL;
}

/* false: nothing is there, or it has to wait, for *nap at most. */
static bool start_one(struct throttle_group *group, unsigned row, uint64_t *nap)
{
	struct throttle_member *member = find(group, row);
	struct disk_request *request;
	uint64_t wait;

	if (!member)
		return false;
	wait = wait_for(group, row);
	*nap = min_u64(*nap, wait);
	if (wait)
		return false;
	request = pop(&member->rows[row]);
	charge(group, row, request);
	group->turn[row] = member->next;
	group->row = !row;
	member->start(member, request);
	return true;
}

/* Start all that may, and see to the rest later. */
static void serve(struct throttle_group *group)
{
	uint64_t nap;

	leak(group);
	do {
		nap = BUCKET_NAP_MAX;
	} while (start_one(group, group->row, &nap) || start_one(group, !group->row, &nap));
	if (find(group, READS) || find(group, WRITES))
		loop_timer_set(group->loop, &group->timer, group->leaked + nap);
	else
		loop_timer_clear(group->loop, &group->timer);
}

static void fired(struct loop_timer *timer)
{
	serve(container_of(timer, struct throttle_group, timer));
}

void throttle_group_submit(struct throttle_member *member, struct disk_request *request)
{
	push(&member->rows[request->op == DISK_READ ? READS : WRITES], request);
	serve(member->group);
}

struct disk_request *throttle_group_withdraw(struct throttle_member *member)
{
	for (unsigned row = 0; row < ARRAY_LEN(member->rows); row++)
		if (member->rows[row].first)
			return pop(&member->rows[row]);
	return NULL;
}

/* Members. */

static void leave(struct throttle_member *member)
{
	struct throttle_group *group = member->group;
	struct throttle_member *before = member;

	while (before->next != member)
		before = before->next;
	before->next = member->next;
	member->group = NULL;
	if (before == member) {
		loop_timer_clear(group->loop, &group->timer);
		free(group->name);
		free(group);
		return;
	}
	for (unsigned row = 0; row < ARRAY_LEN(group->turn); row++)
		if (group->turn[row] == member)
			group->turn[row] = member->next;
}

static void enter(struct throttle_group *group, struct throttle_member *member)
{
	struct throttle_member *other = group->turn[READS];

	member->group = group;
	member->next = other ? other->next : member;
	if (other)
		other->next = member;
	else
		group->turn[READS] = group->turn[WRITES] = member;
}

void throttle_group_join(struct throttle_group *group, struct throttle_member *member)
{
	struct disk_request *request;

	if (group == member->group)
		return;
	if (member->group)
		leave(member);
	if (group) {
		enter(group, member);
		serve(group);
		return;
	}
	while ((request = throttle_group_withdraw(member)))
		member->start(member, request);
}

/* Groups. */

struct throttle_group *throttle_group_new(struct loop *loop, const char *name)
{
	struct throttle_group *group = calloc(1, sizeof(*group));

	if (!group)
		return NULL;
	group->name = strdup(name);
	if (!group->name) {
		free(group);
		return NULL;
	}
	group->loop = loop;
	group->timer.fired = fired;
	return group;
}

void throttle_group_set(struct throttle_group *group, const struct throttle_limits *limits)
{
	assert(loop_here(group->loop));
	group->limits = *limits;
	memset(group->buckets, 0, sizeof(group->buckets));
	group->leaked = clock_ns();
	if (group->turn[READS])
		serve(group);
}

const struct throttle_limits *throttle_group_limits(const struct throttle_group *group)
{
	return &group->limits;
}

const char *throttle_group_name(const struct throttle_group *group)
{
	return group->name;
}

struct loop *throttle_group_loop(const struct throttle_group *group)
{
	return group->loop;
}
