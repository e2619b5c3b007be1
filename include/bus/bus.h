/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bus.h - which region answers at an address.
 *
 * A machine has two: memory-mapped I/O and ports.  A device describes what it
 * answers to by a struct bus_region that it embeds and keeps; container_of()
 * leads from the region back to the device.
 *
 * bus_read() and bus_write() run on vCPU threads, several at once.  They hold
 * no lock while a handler runs, so a handler may itself add or remove regions
 * (a PCI function does when its BARs move), and a handler that touches more
 * than constants does its own locking or hands over to its owner loop.  For
 * the same reason a region's memory may be freed only while every vCPU is
 * parked.
 */
#ifndef BUS_BUS_H
#define BUS_BUS_H

#include <stdint.h>

struct bus;
struct bus_region;

/*
 * off is relative to the region.  size is 1, 2, 4 or 8 and off+size never
 * passes the region's end; off need not be aligned.  The value is in the low
 * size bytes, little-endian as on the wire.
 */
struct bus_ops {
	uint64_t (*read)(struct bus_region *region, uint64_t off, unsigned size);
	void (*write)(struct bus_region *region, uint64_t off, unsigned size,
		      uint64_t value);
};

struct bus_region {
	uint64_t at, len;		/* fixed while on a bus */
	const struct bus_ops *ops;
	const char *name;		/* for messages */
};

/* NULL when memory runs out. */
struct bus *bus_new(void);
struct bus *bus_free(struct bus *bus);		/* -> NULL */

/* -EEXIST on overlap, -EINVAL when empty or wrapping, -ENOMEM.  Any thread. */
int bus_add(struct bus *bus, struct bus_region *region);

/* A region that is not on the bus is ignored.  Any thread. */
void bus_remove(struct bus *bus, struct bus_region *region);

/*
 * Any thread.  Where no region holds all of [at, at+size), a read gives all
 * ones and a write is dropped, as on real buses.
 */
uint64_t bus_read(struct bus *bus, uint64_t at, unsigned size);
void bus_write(struct bus *bus, uint64_t at, unsigned size, uint64_t value);

#endif
