// SPDX-License-Identifier: Apache-2.0
/*
 * virtio_pci.c - the registers of virtio over PCI.
 *
 * Handlers run on vCPU threads, several at once; lock keeps them apart.  It is
 * taken after the PCI bus's lock (the hooks hold that one already) and held
 * while the core waits for the device's loop.  The loop side touches only the
 * vector numbers, which are atomic.
 *
 * Binding an ioeventfd makes KVM wait for all vCPUs, so it is done when the
 * driver becomes ready and not each time a probing guest moves the BAR.
 */
#include "devices/virtio/virtio_pci.h"

#include "base/bits.h"
#include "base/bytes.h"
#include "base/err.h"
#include "bus/eventfds.h"
#include "devices/pci/msix.h"
#include "devices/pci/pci.h"
#include "devices/pci/pci_bus.h"
#include "devices/virtio/virtio.h"
#include "state/state.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

/* The BAR: one page for each block, so that none shares a page with kicks. */
#define BAR_COMMON	0x0000
#define BAR_ISR		0x1000
#define BAR_DEVICE	0x2000
#define BAR_NOTIFY	0x3000
#define BAR_MSIX_TABLE	0x4000
#define BAR_MSIX_PBA	0x5000
#define BAR_LEN		0x8000
#define BLOCK_LEN	0x1000
#define NOTIFY_STRIDE	4

/* Common configuration, section 4.1.4.3. */
enum common {
	COMMON_DEVICE_FEATURE_SELECT	= 0x00,
	COMMON_DEVICE_FEATURE		= 0x04,
	COMMON_DRIVER_FEATURE_SELECT	= 0x08,
	COMMON_DRIVER_FEATURE		= 0x0c,
	COMMON_CONFIG_MSIX_VECTOR	= 0x10,
	COMMON_NUM_QUEUES		= 0x12,
	COMMON_DEVICE_STATUS		= 0x14,
	COMMON_CONFIG_GENERATION	= 0x15,
	COMMON_QUEUE_SELECT		= 0x16,
	COMMON_QUEUE_SIZE		= 0x18,
	COMMON_QUEUE_MSIX_VECTOR	= 0x1a,
	COMMON_QUEUE_ENABLE		= 0x1c,
	COMMON_QUEUE_NOTIFY_OFF		= 0x1e,
	COMMON_QUEUE_DESC		= 0x20,
	COMMON_QUEUE_DRIVER		= 0x28,
	COMMON_QUEUE_DEVICE		= 0x30,
	COMMON_LEN			= 0x38,
};

/* Capabilities, section 4.1.4. */
#define CAP_COMMON	1
#define CAP_NOTIFY	2
#define CAP_ISR		3
#define CAP_DEVICE	4
#define CAP_PCI		5
#define CAP_LEN		16
#define CAP_TYPE_AT	3
#define CAP_BAR_AT	4
#define CAP_OFFSET_AT	8
#define CAP_LENGTH_AT	12
#define CAP_EXTRA_AT	16	/* notify stride, or the PCI window's data */

#define VENDOR_VIRTIO		0x1af4
#define DEVICE_VIRTIO_MODERN	0x1040	/* plus the device type */

struct virtio_pci {
	struct pci_function fn;
	struct msix msix;
	struct virtio_dev *dev;
	struct virtio_transport transport;
	struct eventfds *efds;
	uint8_t window;			/* offset of the PCI window capability */

	_Atomic(uint16_t) config_vector;
	_Atomic(uint16_t) queue_vectors[VIRTIO_QUEUES_MAX];

	pthread_mutex_t lock;		/* for all below */
	uint32_t device_feature_select, driver_feature_select;
	uint16_t queue_select;
	bool mapped;
	uint64_t mapped_at;
	bool kicks_bound;
};

/* Interrupts; any thread. */

static void queue_interrupt(struct virtio_transport *transport, unsigned queue)
{
	struct virtio_pci *vp = container_of(transport, struct virtio_pci, transport);

	msix_raise(&vp->msix, vp->queue_vectors[queue]);
}

static void config_interrupt(struct virtio_transport *transport)
{
	struct virtio_pci *vp = container_of(transport, struct virtio_pci, transport);

	msix_raise(&vp->msix, vp->config_vector);
}

static int queue_eventfd(struct virtio_transport *transport, unsigned queue)
{
	struct virtio_pci *vp = container_of(transport, struct virtio_pci, transport);

	return msix_fd(&vp->msix, vp->queue_vectors[queue]);
}

/* Kicks; under lock. */

static uint64_t kick_address(const struct virtio_pci *vp, unsigned queue)
{
	return vp->mapped_at + BAR_NOTIFY + (uint64_t)queue * NOTIFY_STRIDE;
}

static bool is_enabled(const struct virtio_pci *vp, unsigned queue)
{
	return virtio_setup(vp->dev, queue).enabled;
}

/* Which queues are enabled has not changed since then: the driver is ready. */
static void unbind_kicks(struct virtio_pci *vp)
{
	if (!vp->kicks_bound)
		return;
	for (unsigned i = 0; i < vp->dev->nr_queues; i++)
		if (is_enabled(vp, i))
			vp->efds->ops->unbind_write(vp->efds, virtio_kick_fd(vp->dev, i),
						    kick_address(vp, i));
	vp->kicks_bound = false;
}

/* Where binding fails, kicks take the slow way through notify(). */
static void bind_kicks(struct virtio_pci *vp)
{
	if (vp->kicks_bound || !vp->mapped ||
	    !(virtio_status(vp->dev) & VIRTIO_STATUS_DRIVER_OK))
		return;
	for (unsigned i = 0; i < vp->dev->nr_queues; i++)
		if (is_enabled(vp, i))
			(void)vp->efds->ops->bind_write(vp->efds,
							virtio_kick_fd(vp->dev, i),
							kick_address(vp, i));
	vp->kicks_bound = true;
}

static void notify(struct virtio_pci *vp, uint64_t off)
{
	uint64_t queue = off / NOTIFY_STRIDE;

	if (queue < vp->dev->nr_queues)
		eventfd_write(virtio_kick_fd(vp->dev, (unsigned)queue), 1);
}

/* Common configuration; under lock. */

/* The half, 0 low or 1 high, of which 64-bit address of the queue this is. */
static uint64_t *ring_address(struct virtq_setup *setup, uint64_t off, unsigned *ret_half)
{
	*ret_half = off / 4 % 2;
	if (off < COMMON_QUEUE_DRIVER)
		return &setup->desc;
	return off < COMMON_QUEUE_DEVICE ? &setup->driver : &setup->device;
}

static uint32_t read_queue(struct virtio_pci *vp, uint64_t off)
{
	struct virtq_setup setup;
	const uint64_t *address;
	unsigned half;

	/* A queue that does not exist has size 0 (section 4.1.4.3.1). */
	if (vp->queue_select >= vp->dev->nr_queues)
		return off == COMMON_QUEUE_MSIX_VECTOR ? MSIX_NO_VECTOR : 0;
	setup = virtio_setup(vp->dev, vp->queue_select);
	switch (off) {
	case COMMON_QUEUE_SIZE:
		return setup.size;
	case COMMON_QUEUE_MSIX_VECTOR:
		return vp->queue_vectors[vp->queue_select];
	case COMMON_QUEUE_ENABLE:
		return setup.enabled;
	case COMMON_QUEUE_NOTIFY_OFF:
		return vp->queue_select;
	default:
		address = ring_address(&setup, off, &half);
		return (uint32_t)(*address >> 32 * half);
	}
}

static uint32_t read_common(struct virtio_pci *vp, uint64_t off)
{
	switch (off) {
	case COMMON_DEVICE_FEATURE_SELECT:
		return vp->device_feature_select;
	case COMMON_DEVICE_FEATURE:
		return virtio_offered(vp->dev, vp->device_feature_select);
	case COMMON_DRIVER_FEATURE_SELECT:
		return vp->driver_feature_select;
	case COMMON_DRIVER_FEATURE:
		return virtio_accepted(vp->dev, vp->driver_feature_select);
	case COMMON_CONFIG_MSIX_VECTOR:
		return vp->config_vector;
	case COMMON_NUM_QUEUES:
		return vp->dev->nr_queues;
	case COMMON_DEVICE_STATUS:
		return virtio_status(vp->dev);
	case COMMON_CONFIG_GENERATION:
		return virtio_config_generation(vp->dev);
	case COMMON_QUEUE_SELECT:
		return vp->queue_select;
	default:
		return read_queue(vp, off);
	}
}

/* A vector we do not have reads back as none (section 4.1.5.1.2). */
static uint16_t vector(const struct virtio_pci *vp, uint32_t value)
{
	return value < vp->msix.nr_vectors ? (uint16_t)value : MSIX_NO_VECTOR;
}

static void write_queue(struct virtio_pci *vp, uint64_t off, uint32_t value)
{
	struct virtq_setup setup;
	uint64_t *address;
	unsigned half;

	if (vp->queue_select >= vp->dev->nr_queues)
		return;
	setup = virtio_setup(vp->dev, vp->queue_select);
	switch (off) {
	case COMMON_QUEUE_SIZE:
		setup.size = (uint16_t)value;
		break;
	case COMMON_QUEUE_MSIX_VECTOR:
		vp->queue_vectors[vp->queue_select] = vector(vp, value);
		return;
	case COMMON_QUEUE_ENABLE:
		setup.enabled = value == 1;
		break;
	case COMMON_QUEUE_NOTIFY_OFF:
		return;
	default:
		address = ring_address(&setup, off, &half);
		*address &= (uint64_t)UINT32_MAX << 32 * !half;
		*address |= (uint64_t)value << 32 * half;
	}
	virtio_set_setup(vp->dev, vp->queue_select, &setup);
}

static void forget_vectors(struct virtio_pci *vp)
{
	vp->config_vector = MSIX_NO_VECTOR;
	for (unsigned i = 0; i < VIRTIO_QUEUES_MAX; i++)
		vp->queue_vectors[i] = MSIX_NO_VECTOR;
}

static void write_status(struct virtio_pci *vp, uint8_t status)
{
	if (!status) {
		unbind_kicks(vp);
		forget_vectors(vp);
	}
	virtio_set_status(vp->dev, status);
	bind_kicks(vp);
}

static void write_common(struct virtio_pci *vp, uint64_t off, uint32_t value)
{
	switch (off) {
	case COMMON_DEVICE_FEATURE_SELECT:
		vp->device_feature_select = value;
		break;
	case COMMON_DRIVER_FEATURE_SELECT:
		vp->driver_feature_select = value;
		break;
	case COMMON_DRIVER_FEATURE:
		virtio_accept(vp->dev, vp->driver_feature_select, value);
		break;
	case COMMON_CONFIG_MSIX_VECTOR:
		vp->config_vector = vector(vp, value);
		break;
	case COMMON_DEVICE_STATUS:
		write_status(vp, (uint8_t)value);
		break;
	case COMMON_QUEUE_SELECT:
		vp->queue_select = (uint16_t)value;
		break;
	case COMMON_DEVICE_FEATURE:
	case COMMON_NUM_QUEUES:
	case COMMON_CONFIG_GENERATION:
		break;
	default:
		write_queue(vp, off, value);
	}
}

/* The width of the field at off, which is how it must be accessed; 0: no field. */
static unsigned common_width(uint64_t off)
{
	if (off == COMMON_DEVICE_STATUS || off == COMMON_CONFIG_GENERATION)
		return 1;
	if (off >= COMMON_CONFIG_MSIX_VECTOR && off < COMMON_QUEUE_DESC)
		return off % 2 ? 0 : 2;
	return off < COMMON_LEN && off % 4 == 0 ? 4 : 0;
}

/* The BAR. */

static uint64_t bar_get(struct virtio_pci *vp, uint64_t off, unsigned size)
{
	uint8_t bytes[8] = { 0 };
	uint64_t value = 0;

	if (msix_covers(&vp->msix, off))
		return msix_read(&vp->msix, off, size);
	switch (off & ~(uint64_t)(BLOCK_LEN - 1)) {
	case BAR_COMMON:
		if (common_width(off) != size)
			return 0;
		pthread_mutex_lock(&vp->lock);
		value = read_common(vp, off);
		pthread_mutex_unlock(&vp->lock);
		return value;
	case BAR_DEVICE:
		virtio_read_config(vp->dev, off - BAR_DEVICE, bytes, size);
		return get_le64(bytes);
	default:
		return 0;	/* ISR too: without INTx nothing is ever set there */
	}
}

static void bar_set(struct virtio_pci *vp, uint64_t off, unsigned size, uint64_t value)
{
	uint8_t bytes[8];

	if (msix_covers(&vp->msix, off)) {
		msix_write(&vp->msix, off, size, value);
		return;
	}
	switch (off & ~(uint64_t)(BLOCK_LEN - 1)) {
	case BAR_COMMON:
		if (common_width(off) != size)
			return;
		pthread_mutex_lock(&vp->lock);
		write_common(vp, off, (uint32_t)value);
		pthread_mutex_unlock(&vp->lock);
		break;
	case BAR_DEVICE:
		put_le64(bytes, value);
		virtio_write_config(vp->dev, off - BAR_DEVICE, bytes, size);
		break;
	case BAR_NOTIFY:
		notify(vp, off - BAR_NOTIFY);
		break;
	}
}

static struct virtio_pci *from_region(struct bus_region *region)
{
	struct pci_bar *bar = container_of(region, struct pci_bar, region);

	return container_of(bar->fn, struct virtio_pci, fn);
}

static uint64_t bar_read(struct bus_region *region, uint64_t off, unsigned size)
{
	return bar_get(from_region(region), off, size);
}

static void bar_write(struct bus_region *region, uint64_t off, unsigned size,
		      uint64_t value)
{
	bar_set(from_region(region), off, size, value);
}

static const struct bus_ops bar_ops = {
	.read	= bar_read,
	.write	= bar_write,
};

/*
 * Hooks; under the PCI bus's lock.
 *
 * The PCI window (section 4.1.4.9) is a second way to the BAR, for firmware
 * that cannot map it: the guest writes offset and length, then accesses data.
 */

/* Offset and length that the guest chose, if they are usable. */
static bool window_target(const struct virtio_pci *vp, uint32_t *ret_off, unsigned *ret_len)
{
	const uint8_t *cap = vp->fn.config + vp->window;
	uint32_t len = get_le32(cap + CAP_LENGTH_AT);

	*ret_off = get_le32(cap + CAP_OFFSET_AT);
	*ret_len = len;
	return cap[CAP_BAR_AT] == 0 && (len == 1 || len == 2 || len == 4) &&
	       *ret_off % len == 0 && range_within(*ret_off, len, BAR_LEN);
}

static bool is_window_data(const struct virtio_pci *vp, unsigned reg)
{
	return (reg & ~3U) == vp->window + (unsigned)CAP_EXTRA_AT;
}

static void read_config(struct pci_function *fn, unsigned reg, unsigned size)
{
	struct virtio_pci *vp = container_of(fn, struct virtio_pci, fn);
	uint32_t off;
	unsigned len;

	(void)size;
	if (is_window_data(vp, reg) && window_target(vp, &off, &len))
		put_le32(fn->config + vp->window + CAP_EXTRA_AT,
			 (uint32_t)bar_get(vp, off, len));
}

static void write_config(struct pci_function *fn, unsigned reg, unsigned size)
{
	struct virtio_pci *vp = container_of(fn, struct virtio_pci, fn);
	uint32_t off, mask;
	unsigned len;

	msix_config_written(&vp->msix, reg, size);
	if (is_window_data(vp, reg) && window_target(vp, &off, &len)) {
		mask = UINT32_MAX >> (32 - 8 * len);
		bar_set(vp, off, len,
			get_le32(fn->config + vp->window + CAP_EXTRA_AT) & mask);
	}
}

static void bar_mapped(struct pci_function *fn, struct pci_bar *bar, uint64_t at)
{
	struct virtio_pci *vp = container_of(fn, struct virtio_pci, fn);

	(void)bar;
	pthread_mutex_lock(&vp->lock);
	vp->mapped = true;
	vp->mapped_at = at;
	bind_kicks(vp);
	pthread_mutex_unlock(&vp->lock);
}

static void bar_unmapped(struct pci_function *fn, struct pci_bar *bar)
{
	struct virtio_pci *vp = container_of(fn, struct virtio_pci, fn);

	(void)bar;
	pthread_mutex_lock(&vp->lock);
	unbind_kicks(vp);
	vp->mapped = false;
	pthread_mutex_unlock(&vp->lock);
}

static const struct pci_ops virtio_pci_ops = {
	.read_config	= read_config,
	.write_config	= write_config,
	.bar_mapped	= bar_mapped,
	.bar_unmapped	= bar_unmapped,
};

/* Life. */

static uint8_t add_cap(struct virtio_pci *vp, uint8_t type, uint32_t off, uint32_t len,
		       uint8_t extra_len)
{
	uint8_t at = pci_add_capability(&vp->fn, PCI_CAP_ID_VNDR, CAP_LEN + extra_len);
	uint8_t *cap = vp->fn.config + at;

	cap[2] = (uint8_t)(CAP_LEN + extra_len);
	cap[CAP_TYPE_AT] = type;
	put_le32(cap + CAP_OFFSET_AT, off);
	put_le32(cap + CAP_LENGTH_AT, len);
	return at;
}

static void add_caps(struct virtio_pci *vp)
{
	uint8_t at;

	add_cap(vp, CAP_COMMON, BAR_COMMON, COMMON_LEN, 0);
	add_cap(vp, CAP_ISR, BAR_ISR, 1, 0);
	if (vp->dev->class->config_size)
		add_cap(vp, CAP_DEVICE, BAR_DEVICE, vp->dev->class->config_size, 0);
	at = add_cap(vp, CAP_NOTIFY, BAR_NOTIFY,
		     vp->dev->nr_queues * NOTIFY_STRIDE, 4);
	put_le32(vp->fn.config + at + CAP_EXTRA_AT, NOTIFY_STRIDE);
	vp->window = add_cap(vp, CAP_PCI, 0, 0, 4);
	vp->fn.writable[vp->window + CAP_BAR_AT] = 0xff;
	memset(vp->fn.writable + vp->window + CAP_OFFSET_AT, 0xff, 12);
}

/* Base class and subclass for the operating system's first impression. */
static uint32_t class_code(uint16_t virtio_id)
{
	switch (virtio_id) {
	case 1:
		return 0x020000;	/* Ethernet controller */
	case 2:
		return 0x018000;	/* mass storage, other */
	default:
		return 0xff0000;	/* none of the classes */
	}
}

int virtio_pci_new(struct virtio_pci **ret_vp, struct virtio_dev *dev,
		   struct eventfds *efds, struct err *err)
{
	const struct pci_ids ids = {
		.vendor		= VENDOR_VIRTIO,
		.device		= (uint16_t)(DEVICE_VIRTIO_MODERN + dev->class->id),
		.subsystem_vendor = VENDOR_VIRTIO,
		.subsystem	= (uint16_t)(DEVICE_VIRTIO_MODERN + dev->class->id),
		.class_code	= class_code(dev->class->id),
		.revision	= 1,
	};
	struct virtio_pci *vp = calloc(1, sizeof(*vp));
	int r;

	if (!vp) {
		virtio_free(dev);
		return err_sys(err, -ENOMEM, "cannot make a PCI function");
	}
	vp->dev = dev;
	vp->efds = efds;
	vp->transport.queue_interrupt = queue_interrupt;
	vp->transport.config_interrupt = config_interrupt;
	vp->transport.queue_eventfd = queue_eventfd;
	forget_vectors(vp);
	pthread_mutex_init(&vp->lock, NULL);

	pci_init(&vp->fn, &virtio_pci_ops, &ids);
	pci_add_bar(&vp->fn, 0, PCI_BAR_MEM32, BAR_LEN, &bar_ops, dev->class->name);
	r = msix_init(&vp->msix, &vp->fn, dev->nr_queues + 1U, 0, BAR_MSIX_TABLE,
		      BAR_MSIX_PBA, efds, err);
	if (r < 0) {
		pthread_mutex_destroy(&vp->lock);
		free(vp);
		virtio_free(dev);
		return r;
	}
	add_caps(vp);
	dev->transport = &vp->transport;
	*ret_vp = vp;
	return 0;
}

struct virtio_pci *virtio_pci_free(struct virtio_pci *vp)
{
	if (!vp)
		return NULL;
	unbind_kicks(vp);
	virtio_free(vp->dev);
	msix_fini(&vp->msix);
	pthread_mutex_destroy(&vp->lock);
	free(vp);
	return NULL;
}

void virtio_pci_pause(struct virtio_pci *vp)
{
	virtio_pause(vp->dev);
}

void virtio_pci_resume(struct virtio_pci *vp)
{
	virtio_resume(vp->dev);
}

struct transport_state {
	uint16_t config_vector, queue_vectors[VIRTIO_QUEUES_MAX];
	uint32_t device_feature_select, driver_feature_select;
	uint16_t queue_select;
};

static const struct state_field state_fields[] = {
	{ STATE_ONE(struct transport_state, config_vector) },
	{ STATE_ARRAY(struct transport_state, queue_vectors) },
	{ STATE_ONE(struct transport_state, device_feature_select) },
	{ STATE_ONE(struct transport_state, driver_feature_select) },
	{ STATE_ONE(struct transport_state, queue_select) },
	STATE_END
};

static const struct state_table state_table = {
	.name = "virtio-pci", .version = 1, .fields = state_fields,
};

void virtio_pci_save(struct virtio_pci *vp, struct state_writer *writer)
{
	struct transport_state state = {
		.config_vector = vp->config_vector,
		.device_feature_select = vp->device_feature_select,
		.driver_feature_select = vp->driver_feature_select,
		.queue_select = vp->queue_select,
	};

	for (unsigned i = 0; i < VIRTIO_QUEUES_MAX; i++)
		state.queue_vectors[i] = vp->queue_vectors[i];
	pci_bus_save(&vp->fn, writer);
	msix_save(&vp->msix, writer);
	state_save(writer, &state_table, vp->fn.devfn, &state);
	virtio_save(vp->dev, vp->fn.devfn, writer);
}

static void take_over(struct virtio_pci *vp, const struct transport_state *state)
{
	vp->config_vector = vector(vp, state->config_vector);
	for (unsigned i = 0; i < VIRTIO_QUEUES_MAX; i++)
		vp->queue_vectors[i] = vector(vp, state->queue_vectors[i]);
	vp->device_feature_select = state->device_feature_select;
	vp->driver_feature_select = state->driver_feature_select;
	vp->queue_select = state->queue_select;
}

/* Kicks last: which queues have one, the core says. */
int virtio_pci_load(struct virtio_pci *vp, struct pci_bus *bus, struct state_reader *reader,
		    struct err *err)
{
	struct transport_state state;
	int r = pci_bus_load(bus, &vp->fn, reader, err);

	if (!r)
		r = msix_load(&vp->msix, reader, err);
	if (!r)
		r = state_load(reader, &state_table, vp->fn.devfn, &state, err);
	if (!r)
		r = virtio_load(vp->dev, vp->fn.devfn, reader, err);
	if (r < 0)
		return err_at(err, r, "PCI slot %u", vp->fn.devfn >> 3);
	pthread_mutex_lock(&vp->lock);
	take_over(vp, &state);
	bind_kicks(vp);
	pthread_mutex_unlock(&vp->lock);
	return 0;
}

struct virtio_dev *virtio_pci_device(struct virtio_pci *vp)
{
	return vp->dev;
}

struct pci_function *virtio_pci_function(struct virtio_pci *vp)
{
	return &vp->fn;
}
