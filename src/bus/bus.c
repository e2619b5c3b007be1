// SPDX-License-Identifier: Apache-2.0
/*
 * bus.c - a sorted array of regions, searched by halves.
 *
 * The lock covers the array only.  A handler runs after it was let go, because
 * handlers change the array themselves; the region it was given stays valid
 * as bus.h demands of its owner.
 */
#include "bus/bus.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct bus {
	pthread_rwlock_t lock;
	size_t nr, room;
	struct bus_region **regions;	/* ascending, none overlaps */
};

struct bus *bus_new(void)
{
	struct bus *bus = calloc(1, sizeof(*bus));

	if (bus)
		pthread_rwlock_init(&bus->lock, NULL);
	return bus;
}

struct bus *bus_free(struct bus *bus)
{
	if (!bus)
		return NULL;
	pthread_rwlock_destroy(&bus->lock);
	free(bus->regions);
	free(bus);
	return NULL;
}

/* Index of the first region that begins above at. */
static size_t first_above(const struct bus *bus, uint64_t at)
{
	size_t low = 0, high = bus->nr;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (bus->regions[mid]->at > at)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

static int insert(struct bus *bus, struct bus_region *region)
{
	size_t i = first_above(bus, region->at);

	if (i > 0 && region->at - bus->regions[i - 1]->at < bus->regions[i - 1]->len)
		return -EEXIST;
	if (i < bus->nr && bus->regions[i]->at - region->at < region->len)
		return -EEXIST;
	if (bus->nr == bus->room) {
		size_t room = bus->room ? 2 * bus->room : 16;
		struct bus_region **more;

		more = realloc(bus->regions, room * sizeof(*more));
		if (!more)
			return -ENOMEM;
		bus->regions = more;
		bus->room = room;
	}
	memmove(&bus->regions[i + 1], &bus->regions[i],
		(bus->nr - i) * sizeof(*bus->regions));
	bus->regions[i] = region;
	bus->nr++;
	return 0;
}

int bus_add(struct bus *bus, struct bus_region *region)
{
	int r;

	if (!region->len || region->len - 1 > UINT64_MAX - region->at)
		return -EINVAL;
	pthread_rwlock_wrlock(&bus->lock);
	r = insert(bus, region);
	pthread_rwlock_unlock(&bus->lock);
	return r;
}

void bus_remove(struct bus *bus, struct bus_region *region)
{
	pthread_rwlock_wrlock(&bus->lock);
	for (size_t i = 0; i < bus->nr; i++) {
		if (bus->regions[i] != region)
			continue;
		bus->nr--;
		memmove(&bus->regions[i], &bus->regions[i + 1],
			(bus->nr - i) * sizeof(*bus->regions));
		break;
	}
	pthread_rwlock_unlock(&bus->lock);
}

/* The region that holds all of [at, at+size); *ret_off is relative to it. */
static struct bus_region *find(struct bus *bus, uint64_t at, unsigned size,
			       uint64_t *ret_off)
{
	struct bus_region *found = NULL;
	size_t i;

	pthread_rwlock_rdlock(&bus->lock);
	i = first_above(bus, at);
	if (i > 0) {
		struct bus_region *r = bus->regions[i - 1];
		uint64_t off = at - r->at;

		if (off < r->len && size <= r->len - off) {
			found = r;
			*ret_off = off;
		}
	}
	pthread_rwlock_unlock(&bus->lock);
	return found;
}

uint64_t bus_read(struct bus *bus, uint64_t at, unsigned size)
{
	uint64_t off, all_ones = UINT64_MAX >> (64 - 8 * size);
	struct bus_region *r = find(bus, at, size, &off);

	return r ? r->ops->read(r, off, size) & all_ones : all_ones;
}

void bus_write(struct bus *bus, uint64_t at, unsigned size, uint64_t value)
{
	uint64_t off;
	struct bus_region *r = find(bus, at, size, &off);

	if (r)
		r->ops->write(r, off, size, value & (UINT64_MAX >> (64 - 8 * size)));
}
