// SPDX-License-Identifier: Apache-2.0
/*
 * pci_bus.c - slots, and BARs kept where the configuration space says.
 *
 * config[] is the truth and the mapping follows from it.  remap() compares the
 * two for all functions after each write that may matter: a few hundred
 * comparisons, at boot only, and no list of what waits for what.
 */
#include "devices/pci/pci_bus.h"

#include "base/bits.h"
#include "base/err.h"
#include "base/log.h"
#include "bus/bus.h"
#include "devices/pci/pci.h"
#include "state/state.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/pci.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* First those in the slots of the root bus, then those behind the ports in these slots. */
#define NR_PLACES (2 * PCI_BUS_SLOTS)

struct pci_bus {
	struct pci_bus_config config;
	pthread_mutex_t lock;
	struct pci_function *functions[NR_PLACES];	/* NULL: absent */
};

struct pci_bus *pci_bus_new(const struct pci_bus_config *config)
{
	struct pci_bus *bus = calloc(1, sizeof(*bus));

	if (!bus)
		return NULL;
	bus->config = *config;
	pthread_mutex_init(&bus->lock, NULL);
	return bus;
}

static bool in_window(const struct pci_window *window, uint64_t at, uint64_t len)
{
	return at >= window->at && range_within(at - window->at, len, window->len);
}

static bool allowed(const struct pci_bus *bus, const struct pci_bar *bar, uint64_t at)
{
	const struct pci_bus_config *c = &bus->config;
	uint64_t len = bar->region.len;

	if (bar->kind == PCI_BAR_IO)
		return in_window(&c->io, at, len);
	return in_window(&c->mem32, at, len) ||
	       (bar->kind == PCI_BAR_MEM64 && in_window(&c->mem64, at, len));
}

/* Where the BAR should answer, if anywhere. */
static bool wanted_at(const struct pci_bus *bus, const struct pci_bar *bar,
		      uint64_t *ret_at)
{
	return pci_bar_decodes(bar, ret_at) && allowed(bus, bar, *ret_at);
}

static struct bus *space_of(const struct pci_bus *bus, const struct pci_bar *bar)
{
	return bar->kind == PCI_BAR_IO ? bus->config.pio : bus->config.mmio;
}

static void map(struct pci_bus *bus, struct pci_bar *bar, uint64_t at)
{
	static struct log_limit limit;
	struct pci_function *fn = bar->fn;
	int r;

	bar->region.at = at;
	r = bus_add(space_of(bus, bar), &bar->region);
	if (r < 0) {
		log_limited(&limit, LOG_DEBUG,
			    "PCI slot %u: BAR %u cannot answer at %#" PRIx64 " (%s)",
			    PCI_SLOT(fn->devfn), bar->index, at,
			    r == -EEXIST ? "taken by another" : "out of memory");
		return;
	}
	bar->mapped = true;
	if (fn->ops->bar_mapped)
		fn->ops->bar_mapped(fn, bar, at);
}

static void unmap(struct pci_bus *bus, struct pci_bar *bar)
{
	struct pci_function *fn = bar->fn;

	bus_remove(space_of(bus, bar), &bar->region);
	bar->mapped = false;
	if (fn->ops->bar_unmapped)
		fn->ops->bar_unmapped(fn, bar);
}

/* First all leave, then all come: BARs may take each other's places. */
static void remap(struct pci_bus *bus)
{
	uint64_t at;

	for (unsigned place = 0; place < NR_PLACES; place++) {
		struct pci_function *fn = bus->functions[place];

		for (unsigned i = 0; fn && i < PCI_STD_NUM_BARS; i++) {
			struct pci_bar *bar = &fn->bars[i];

			if (bar->mapped &&
			    !(wanted_at(bus, bar, &at) && at == bar->region.at))
				unmap(bus, bar);
		}
	}
	for (unsigned place = 0; place < NR_PLACES; place++) {
		struct pci_function *fn = bus->functions[place];

		for (unsigned i = 0; fn && i < PCI_STD_NUM_BARS; i++) {
			struct pci_bar *bar = &fn->bars[i];

			if (!bar->mapped && wanted_at(bus, bar, &at))
				map(bus, bar, at);
		}
	}
}

static int free_slot(const struct pci_bus *bus)
{
	for (unsigned slot = 0; slot < PCI_BUS_SLOTS; slot++)
		if (!bus->functions[slot])
			return (int)slot;
	return -ENOSPC;
}

static struct pci_function *port_in(const struct pci_bus *bus, unsigned slot)
{
	struct pci_function *fn = bus->functions[slot];

	return fn && pci_is_port(fn) ? fn : NULL;
}

/* Where what is in the slot besides a port is, or would be. */
static struct pci_function **place_in(struct pci_bus *bus, unsigned slot)
{
	return &bus->functions[port_in(bus, slot) ? PCI_BUS_SLOTS + slot : slot];
}

static void tell_port(const struct pci_bus *bus, const struct pci_function *fn, bool there)
{
	struct pci_function *port = fn->port ? port_in(bus, PCI_SLOT(fn->devfn)) : NULL;

	if (port)
		port->ops->occupied(port, there);
}

static int add_locked(struct pci_bus *bus, struct pci_function *fn, int slot,
		      struct err *err)
{
	struct pci_function **place, *port;

	if (slot == PCI_BUS_ANY_SLOT) {
		slot = free_slot(bus);
		if (slot < 0)
			return err_set(err, slot, "all %d PCI slots are taken",
				       PCI_BUS_SLOTS);
	}
	if (slot < 0 || slot >= PCI_BUS_SLOTS)
		return err_set(err, -EINVAL, "PCI slot %d does not exist (use 0 to %d)",
			       slot, PCI_BUS_SLOTS - 1);
	port = port_in(bus, (unsigned)slot);
	place = place_in(bus, (unsigned)slot);
	if (*place || (port && pci_is_port(fn)))
		return err_set(err, -EEXIST, "PCI slot %d is taken", slot);
	*place = fn;
	fn->devfn = (uint8_t)PCI_DEVFN(slot, 0);
	fn->port = port;
	tell_port(bus, fn, true);
	return 0;
}

int pci_bus_add(struct pci_bus *bus, struct pci_function *fn, int slot, struct err *err)
{
	int r;

	pthread_mutex_lock(&bus->lock);
	r = add_locked(bus, fn, slot, err);
	pthread_mutex_unlock(&bus->lock);
	return r;
}

static void remove_locked(struct pci_bus *bus, struct pci_function *fn)
{
	unsigned slot = PCI_SLOT(fn->devfn);

	for (unsigned i = 0; i < PCI_STD_NUM_BARS; i++)
		if (fn->bars[i].mapped)
			unmap(bus, &fn->bars[i]);
	bus->functions[fn->port ? PCI_BUS_SLOTS + slot : slot] = NULL;
	tell_port(bus, fn, false);
	fn->port = NULL;

	/* Someone may have waited for the place. */
	remap(bus);
}

void pci_bus_remove(struct pci_bus *bus, struct pci_function *fn)
{
	pthread_mutex_lock(&bus->lock);
	assert(bus->functions[PCI_SLOT(fn->devfn) + (fn->port ? PCI_BUS_SLOTS : 0)] == fn);
	assert(!pci_is_port(fn) || !bus->functions[PCI_BUS_SLOTS + PCI_SLOT(fn->devfn)]);
	remove_locked(bus, fn);
	pthread_mutex_unlock(&bus->lock);
}

struct pci_bus *pci_bus_free(struct pci_bus *bus)
{
	if (!bus)
		return NULL;
	for (unsigned place = NR_PLACES; place--; )
		if (bus->functions[place])
			remove_locked(bus, bus->functions[place]);
	pthread_mutex_destroy(&bus->lock);
	free(bus);
	return NULL;
}

bool pci_bus_taken(struct pci_bus *bus, unsigned slot)
{
	bool taken;

	pthread_mutex_lock(&bus->lock);
	taken = *place_in(bus, slot);
	pthread_mutex_unlock(&bus->lock);
	return taken;
}

bool pci_bus_header(struct pci_bus *bus, unsigned slot,
		    uint8_t ret_header[PCI_STD_HEADER_SIZEOF])
{
	const struct pci_function *fn;

	pthread_mutex_lock(&bus->lock);
	fn = *place_in(bus, slot);
	if (fn)
		memcpy(ret_header, fn->config, PCI_STD_HEADER_SIZEOF);
	pthread_mutex_unlock(&bus->lock);
	return fn;
}

/* A port has one slot behind it, as PCI Express has it, and leads to one bus. */
static struct pci_function *find(const struct pci_bus *bus, uint16_t id)
{
	unsigned number = id >> 8, slot = PCI_SLOT(id);

	if (PCI_FUNC(id))
		return NULL;
	if (!number)
		return bus->functions[slot];
	for (unsigned i = 0; i < PCI_BUS_SLOTS && !slot; i++) {
		const struct pci_function *port = port_in(bus, i);

		if (port && port->config[PCI_SECONDARY_BUS] == number)
			return bus->functions[PCI_BUS_SLOTS + i];
	}
	return NULL;
}

uint32_t pci_bus_read(struct pci_bus *bus, uint16_t id, unsigned reg, unsigned size)
{
	struct pci_function *fn;
	uint32_t value = UINT32_MAX >> (32 - 8 * size);

	pthread_mutex_lock(&bus->lock);
	fn = find(bus, id);
	if (fn)
		value = pci_config_read(fn, reg, size);
	pthread_mutex_unlock(&bus->lock);
	return value;
}

/* May a write to reg, size bytes of one dword, change where BARs decode? */
static bool moves_bars(unsigned reg)
{
	unsigned dword = reg & ~3u;

	return dword == PCI_COMMAND ||
	       (dword >= PCI_BASE_ADDRESS_0 && dword <= PCI_BASE_ADDRESS_5);
}

void pci_bus_write(struct pci_bus *bus, uint16_t id, unsigned reg, unsigned size,
		   uint32_t value)
{
	struct pci_function *fn;

	pthread_mutex_lock(&bus->lock);
	fn = find(bus, id);
	if (fn && reg < PCI_CFG_SPACE_SIZE) {
		pci_config_write(fn, reg, size, value);
		if (moves_bars(reg))
			remap(bus);
		if (fn->ops->write_config)
			fn->ops->write_config(fn, reg, size);
	}
	pthread_mutex_unlock(&bus->lock);
}

void pci_bus_call(struct pci_bus *bus, void (*fn)(void *ctx), void *ctx)
{
	pthread_mutex_lock(&bus->lock);
	fn(ctx);
	pthread_mutex_unlock(&bus->lock);
}

struct pci_state {
	uint8_t config[PCI_CFG_SPACE_SIZE];
};

static const struct state_field state_fields[] = {
	{ STATE_ARRAY(struct pci_state, config) },
	STATE_END
};

static const struct state_table state_table = {
	.name = "pci", .version = 1, .fields = state_fields,
};

void pci_bus_save(const struct pci_function *fn, struct state_writer *writer)
{
	struct pci_state state;

	memcpy(state.config, fn->config, sizeof(state.config));
	state_save(writer, &state_table, pci_instance(fn), &state);
}

int pci_bus_load(struct pci_bus *bus, struct pci_function *fn, struct state_reader *reader,
		 struct err *err)
{
	struct pci_state state;
	int r = state_load(reader, &state_table, pci_instance(fn), &state, err);

	if (r < 0)
		return r;
	for (unsigned i = 0; i < PCI_CFG_SPACE_SIZE; i++)
		if ((state.config[i] ^ fn->config[i]) & ~(fn->writable[i] | fn->clears[i]))
			return err_set(err, -EINVAL, "state: the device in PCI slot %u is "
				       "another one (register %#x)", PCI_SLOT(fn->devfn), i);
	pthread_mutex_lock(&bus->lock);
	memcpy(fn->config, state.config, sizeof(fn->config));
	remap(bus);
	pthread_mutex_unlock(&bus->lock);
	return 0;
}

/* Cut an aligned piece of this length off the front of what is left. */
static bool take(struct pci_window *left, uint64_t len, uint64_t *ret_at)
{
	uint64_t skipped = -left->at & (len - 1);

	if (!range_within(skipped, len, left->len))
		return false;
	*ret_at = left->at + skipped;
	left->at += skipped + len;
	left->len -= skipped + len;
	return true;
}

static int assign_bar(struct pci_bus_config *left, struct pci_bar *bar, struct err *err)
{
	uint64_t at, len = bar->region.len;
	bool placed;

	if (bar->kind == PCI_BAR_IO)
		placed = take(&left->io, len, &at);
	else
		placed = (bar->kind == PCI_BAR_MEM64 && take(&left->mem64, len, &at)) ||
			 take(&left->mem32, len, &at);
	if (!placed)
		return err_set(err, -ENOSPC,
			       "PCI slot %u: no room for BAR %u (%s, %" PRIu64 " bytes)",
			       PCI_SLOT(bar->fn->devfn), bar->index, bar->region.name, len);
	pci_bar_set_address(bar, at);
	return 0;
}

/* Give each BAR of this length its place. */
static int assign_len(struct pci_bus *bus, struct pci_bus_config *left, uint64_t len,
		      struct err *err)
{
	for (unsigned place = 0; place < NR_PLACES; place++) {
		struct pci_function *fn = bus->functions[place];

		for (unsigned i = 0; fn && i < PCI_STD_NUM_BARS; i++) {
			int r;

			if (fn->bars[i].region.len != len)
				continue;
			r = assign_bar(left, &fn->bars[i], err);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

/* Lengths are powers of two: largest first leaves no gaps but at the front. */
static int assign_locked(struct pci_bus *bus, struct err *err)
{
	struct pci_bus_config left = bus->config;
	uint64_t lens = 0;
	uint8_t number = 0;

	for (unsigned place = 0; place < NR_PLACES; place++) {
		struct pci_function *fn = bus->functions[place];

		for (unsigned i = 0; fn && i < PCI_STD_NUM_BARS; i++)
			lens |= fn->bars[i].region.len;
	}
	for (unsigned slot = 0; slot < PCI_BUS_SLOTS; slot++) {
		struct pci_function *port = port_in(bus, slot);

		if (!port)
			continue;
		port->config[PCI_SECONDARY_BUS] = ++number;
		port->config[PCI_SUBORDINATE_BUS] = number;
	}
	while (lens) {
		uint64_t len = BIT64(63 - __builtin_clzll(lens));
		int r = assign_len(bus, &left, len, err);

		if (r < 0)
			return r;
		lens &= ~len;
	}
	return 0;
}

bool pci_bus_bar(struct pci_bus *bus, unsigned slot, unsigned index,
		 struct pci_bus_bar *ret_bar)
{
	struct pci_function *fn;
	bool there;

	pthread_mutex_lock(&bus->lock);
	fn = *place_in(bus, slot);
	there = fn && fn->bars[index].kind != PCI_BAR_NONE;
	if (there) {
		ret_bar->kind = fn->bars[index].kind;
		ret_bar->len = fn->bars[index].region.len;
		ret_bar->decodes = pci_bar_decodes(&fn->bars[index], &ret_bar->at);
	}
	pthread_mutex_unlock(&bus->lock);
	return there;
}

int pci_bus_assign(struct pci_bus *bus, struct err *err)
{
	int r;

	pthread_mutex_lock(&bus->lock);
	r = assign_locked(bus, err);
	pthread_mutex_unlock(&bus->lock);
	return r;
}
