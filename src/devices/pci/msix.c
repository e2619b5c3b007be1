// SPDX-License-Identifier: Apache-2.0
/*
 * msix.c - table, pending bits, and what of them is bound to eventfds.
 *
 * settle() is the one place that binds and unbinds: it compares what a table
 * entry asks for with what its eventfd is bound to, so callers change first
 * and settle afterwards.  A masked entry is never bound, hence a guest that
 * masks, writes the message in pieces and unmasks causes one call, and never
 * one with half a message.
 */
#include "devices/pci/msix.h"

#include "base/bytes.h"
#include "base/err.h"
#include "base/log.h"
#include "bus/eventfds.h"
#include "devices/pci/pci.h"
#include "state/state.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define ENTRY_LEN	PCI_MSIX_ENTRY_SIZE
#define ENTRY_DWORDS	(ENTRY_LEN / 4)
#define VECTORS_PER_WORD 64

enum entry_dword {
	ADDR_LOW,
	ADDR_HIGH,
	DATA,
	CONTROL,
};

struct msix_vector {
	uint32_t entry[ENTRY_DWORDS];	/* by enum entry_dword */
	int fd;
	bool bound;			/* to the message that follows */
	struct msi msi;
};

static void settle(struct msix *msix, struct msix_vector *v)
{
	static struct log_limit limit;
	const struct msi msi = {
		.addr = (uint64_t)v->entry[ADDR_HIGH] << 32 | v->entry[ADDR_LOW],
		.data = v->entry[DATA],
		.sender = msix->sender,
	};
	bool open = msix->enabled && !msix->masked &&
		    !(v->entry[CONTROL] & PCI_MSIX_ENTRY_CTRL_MASKBIT);
	int r;

	if (!open) {
		if (v->bound)
			msix->efds->ops->unbind_msi(msix->efds, v->fd);
		v->bound = false;
		return;
	}
	if (v->bound && v->msi.addr == msi.addr && v->msi.data == msi.data &&
	    v->msi.sender == msi.sender)
		return;
	r = msix->efds->ops->bind_msi(msix->efds, v->fd, &msi);
	if (r < 0) {
		log_limited(&limit, LOG_DEBUG, "MSI-X vector %u: cannot bind: %s",
			    (unsigned)(v - msix->vectors), strerror(-r));

		/* A failed move may have left the old message bound. */
		if (v->bound)
			msix->efds->ops->unbind_msi(msix->efds, v->fd);
	}
	v->bound = r >= 0;
	v->msi = msi;
}

static void settle_all(struct msix *msix)
{
	for (unsigned i = 0; i < msix->nr_vectors; i++)
		settle(msix, &msix->vectors[i]);
}

/* Forget interrupts that nobody is to get any more. */
static void drain_all(struct msix *msix)
{
	for (unsigned i = 0; i < msix->nr_vectors; i++) {
		eventfd_t count;

		if (eventfd_read(msix->vectors[i].fd, &count) < 0)
			continue;	/* there were none */
	}
}

static void close_all(struct msix *msix)
{
	for (unsigned i = 0; i < msix->nr_vectors; i++)
		close(msix->vectors[i].fd);
	free(msix->vectors);
}

static int open_vectors(struct msix *msix, unsigned nr, struct err *err)
{
	msix->vectors = calloc(nr, sizeof(*msix->vectors));
	if (!msix->vectors)
		return err_set(err, -ENOMEM, "no memory for %u MSI-X vectors", nr);
	for (msix->nr_vectors = 0; msix->nr_vectors < nr; msix->nr_vectors++) {
		struct msix_vector *v = &msix->vectors[msix->nr_vectors];

		v->entry[CONTROL] = PCI_MSIX_ENTRY_CTRL_MASKBIT;
		v->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		if (v->fd < 0) {
			int r = -errno;

			close_all(msix);
			return err_sys(err, r, "cannot create the eventfd of MSI-X "
				       "vector %u of %u", msix->nr_vectors, nr);
		}
	}
	return 0;
}

static void add_capability(struct msix *msix, unsigned bar)
{
	struct pci_function *fn = msix->fn;

	msix->cap = pci_add_capability(fn, PCI_CAP_ID_MSIX, PCI_CAP_MSIX_SIZEOF);
	put_le16(fn->config + msix->cap + PCI_MSIX_FLAGS,
		 (uint16_t)(msix->nr_vectors - 1));
	put_le16(fn->writable + msix->cap + PCI_MSIX_FLAGS,
		 PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	put_le32(fn->config + msix->cap + PCI_MSIX_TABLE, msix->table_off | bar);
	put_le32(fn->config + msix->cap + PCI_MSIX_PBA, msix->pba_off | bar);
}

int msix_init(struct msix *msix, struct pci_function *fn, unsigned nr_vectors,
	      unsigned bar, uint32_t table_off, uint32_t pba_off,
	      struct eventfds *efds, struct err *err)
{
	int r;

	assert(nr_vectors > 0 && nr_vectors <= MSIX_VECTORS_MAX);
	assert(table_off % 8 == 0 && pba_off % 8 == 0);
	assert(range_within(table_off, msix_table_len(nr_vectors), fn->bars[bar].region.len));
	assert(range_within(pba_off, msix_pba_len(nr_vectors), fn->bars[bar].region.len));

	*msix = (struct msix){
		.fn = fn, .efds = efds, .table_off = table_off, .pba_off = pba_off,
	};
	r = open_vectors(msix, nr_vectors, err);
	if (r < 0)
		return r;
	pthread_mutex_init(&msix->lock, NULL);
	add_capability(msix, bar);
	return 0;
}

void msix_fini(struct msix *msix)
{
	msix->enabled = false;
	settle_all(msix);
	close_all(msix);
	pthread_mutex_destroy(&msix->lock);
}

void msix_config_written(struct msix *msix, unsigned reg, unsigned size)
{
	uint16_t flags;
	bool was_enabled;

	/* The control word is the upper half of the capability's first dword. */
	if ((reg & ~3u) != msix->cap || (reg & 3) + size <= PCI_MSIX_FLAGS)
		return;
	flags = get_le16(msix->fn->config + msix->cap + PCI_MSIX_FLAGS);

	pthread_mutex_lock(&msix->lock);
	was_enabled = msix->enabled;
	msix->enabled = flags & PCI_MSIX_FLAGS_ENABLE;
	msix->masked = flags & PCI_MSIX_FLAGS_MASKALL;
	msix->sender = pci_id(msix->fn);

	/* What was raised while MSI-X was off was not meant for it. */
	if (!was_enabled && msix->enabled)
		drain_all(msix);
	settle_all(msix);
	pthread_mutex_unlock(&msix->lock);
}

static bool defined_access(uint64_t off, unsigned size)
{
	return (size == 4 || size == 8) && off % size == 0;
}

static uint64_t table_read(const struct msix *msix, uint64_t off, unsigned size)
{
	const uint32_t *entry = msix->vectors[off / ENTRY_LEN].entry;
	unsigned dword = off % ENTRY_LEN / 4;

	if (size == 4)
		return entry[dword];
	return (uint64_t)entry[dword + 1] << 32 | entry[dword];
}

static void table_write(struct msix *msix, uint64_t off, unsigned size, uint64_t value)
{
	struct msix_vector *v = &msix->vectors[off / ENTRY_LEN];
	unsigned dword = off % ENTRY_LEN / 4;

	v->entry[dword] = (uint32_t)value;
	if (size == 8)
		v->entry[dword + 1] = (uint32_t)(value >> 32);
	v->entry[ADDR_LOW] &= ~3u;
	v->entry[CONTROL] &= PCI_MSIX_ENTRY_CTRL_MASKBIT;
	settle(msix, v);
}

/* The 64 pending bits from vector first on.  What is bound, KVM takes. */
static uint64_t pending_word(const struct msix *msix, unsigned first)
{
	struct pollfd fds[VECTORS_PER_WORD];
	unsigned nr = (unsigned)min_u64(msix->nr_vectors - first, VECTORS_PER_WORD);
	uint64_t word = 0;

	for (unsigned i = 0; i < nr; i++) {
		const struct msix_vector *v = &msix->vectors[first + i];

		/* poll() skips negative descriptors. */
		fds[i] = (struct pollfd){ .fd = v->bound ? -1 : v->fd, .events = POLLIN };
	}
	if (poll(fds, nr, 0) <= 0)
		return 0;
	for (unsigned i = 0; i < nr; i++)
		if (fds[i].revents & POLLIN)
			word |= BIT64(i);
	return word;
}

static uint64_t pba_read(const struct msix *msix, uint64_t off, unsigned size)
{
	uint64_t word = pending_word(msix, (unsigned)(off / 8) * VECTORS_PER_WORD);

	if (size == 8)
		return word;
	return (uint32_t)(word >> off % 8 * 8);
}

uint64_t msix_read(struct msix *msix, uint64_t off, unsigned size)
{
	uint64_t in_table = off - msix->table_off;
	uint64_t value;

	if (!defined_access(off, size) || !msix_covers(msix, off))
		return UINT64_MAX;
	pthread_mutex_lock(&msix->lock);
	if (in_table < msix_table_len(msix->nr_vectors))
		value = table_read(msix, in_table, size);
	else
		value = pba_read(msix, off - msix->pba_off, size);
	pthread_mutex_unlock(&msix->lock);
	return value;
}

void msix_write(struct msix *msix, uint64_t off, unsigned size, uint64_t value)
{
	uint64_t in_table = off - msix->table_off;

	/* The pending bits are read-only. */
	if (!defined_access(off, size) || in_table >= msix_table_len(msix->nr_vectors))
		return;
	pthread_mutex_lock(&msix->lock);
	table_write(msix, in_table, size, value);
	pthread_mutex_unlock(&msix->lock);
}

void msix_raise(struct msix *msix, unsigned vector)
{
	if (vector >= msix->nr_vectors)
		return;
	if (eventfd_write(msix->vectors[vector].fd, 1) < 0)
		return;		/* the count is full: it is pending already */
}

int msix_fd(const struct msix *msix, unsigned vector)
{
	return vector < msix->nr_vectors ? msix->vectors[vector].fd : -EINVAL;
}

struct vector_state {
	uint32_t entry[ENTRY_DWORDS];
	bool pending;
};

struct msix_state {
	uint32_t nr_vectors;
	struct vector_state vectors[MSIX_VECTORS_MAX];
};

static const struct state_field vector_fields[] = {
	{ STATE_ARRAY(struct vector_state, entry) },
	{ STATE_ONE(struct vector_state, pending) },
	STATE_END
};

static const struct state_field state_fields[] = {
	{ STATE_STRUCT_LIST(struct msix_state, vectors, nr_vectors, vector_fields) },
	STATE_END
};

static const struct state_table state_table = {
	.name = "msix", .version = 1, .fields = state_fields,
};

void msix_save(struct msix *msix, struct state_writer *writer)
{
	struct msix_state *state = calloc(1, sizeof(*state));

	if (!state) {
		state_fail(writer, -ENOMEM);
		return;
	}
	state->nr_vectors = msix->nr_vectors;
	for (unsigned i = 0; i < msix->nr_vectors; i++) {
		uint64_t word = pending_word(msix, i - i % VECTORS_PER_WORD);

		memcpy(state->vectors[i].entry, msix->vectors[i].entry,
		       sizeof(state->vectors[i].entry));
		state->vectors[i].pending = word >> i % VECTORS_PER_WORD & 1;
	}
	state_save(writer, &state_table, pci_instance(msix->fn), state);
	free(state);
}

static void take_over(struct msix *msix, const struct msix_state *state)
{
	uint16_t flags = get_le16(msix->fn->config + msix->cap + PCI_MSIX_FLAGS);

	msix->enabled = flags & PCI_MSIX_FLAGS_ENABLE;
	msix->masked = flags & PCI_MSIX_FLAGS_MASKALL;
	msix->sender = pci_id(msix->fn);
	for (unsigned i = 0; i < msix->nr_vectors; i++) {
		struct msix_vector *v = &msix->vectors[i];

		memcpy(v->entry, state->vectors[i].entry, sizeof(v->entry));
		v->entry[ADDR_LOW] &= ~3u;
		v->entry[CONTROL] &= PCI_MSIX_ENTRY_CTRL_MASKBIT;
		settle(msix, v);
		if (state->vectors[i].pending)
			msix_raise(msix, i);
	}
}

int msix_load(struct msix *msix, struct state_reader *reader, struct err *err)
{
	struct msix_state *state = malloc(sizeof(*state));	/* loading fills what is used */
	int r;

	if (!state)
		return err_sys(err, -ENOMEM, "MSI-X");
	r = state_load(reader, &state_table, pci_instance(msix->fn), state, err);
	if (!r && state->nr_vectors != msix->nr_vectors)
		r = err_set(err, -EINVAL, "state: %u MSI-X vectors instead of %u",
			    state->nr_vectors, msix->nr_vectors);
	if (!r) {
		pthread_mutex_lock(&msix->lock);
		take_over(msix, state);
		pthread_mutex_unlock(&msix->lock);
	}
	free(state);
	return r;
}
