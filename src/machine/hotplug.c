// SPDX-License-Identifier: Apache-2.0
/*
 * hotplug.c - devices are made of the machine's back ends, and go again.
 *
 * A device that was plugged in is there again after a reset, in the slot that it
 * had.  What the guest says of slots comes on vCPU threads; it gathers in two
 * masks that the main thread looks at.
 */
#include "machine/hotplug.h"

#include "base/bits.h"
#include "base/clock.h"
#include "base/err.h"
#include "devices/pci/pci_bus.h"
#include "devices/virtio/virtio_blk.h"
#include "machine_parts.h"
#include "net/netdev.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* After this long without an answer, asking again may help. */
#define ANSWER_NS	(5 * CLOCK_NS_PER_S)

/* Devices. */

static int check_mac(const struct machine *m, const uint8_t *mac, struct err *err)
{
	for (struct machine_part *part = m->parts; part; part = part->next)
		if (part->device.kind == BOARD_NET && part->device_id &&
		    !memcmp(part->device.net_card.mac, mac, 6))
			return err_set(err, -EINVAL, "the device '%s' has the same mac",
				       part->device_id);
	return 0;
}

static int describe_disk(struct machine_part *part, const struct machine_plug_disk *disk,
			 struct err *err)
{
	char *serial = NULL;
	int r;

	if (disk->serial && strlen(disk->serial) > VIRTIO_BLK_SERIAL_MAX)
		return err_set(err, -EINVAL, "serial '%s' is longer than %d bytes",
			       disk->serial, VIRTIO_BLK_SERIAL_MAX);
	if (disk->serial) {
		serial = strdup(disk->serial);
		if (!serial)
			return err_sys(err, -ENOMEM, "disk '%s'", part->id);
	}
	r = disk_set_use(part->device.disk, &disk->use, err);
	if (r < 0) {
		free(serial);
		return r;
	}
	free(part->disk.serial);
	part->disk.serial = serial;
	part->disk.queues = disk->queues;
	part->disk.block_size = disk->use.block_size;
	part->disk.read_error = disk->use.read_error;
	part->disk.write_error = disk->use.write_error;
	return 0;
}

static int describe_net(struct machine *m, struct machine_part *part,
			const struct machine_plug *plug, struct err *err)
{
	int r = plug->mac ? machine_part_set_mac(part, plug->mac, err) :
			    machine_part_make_mac(part, plug->id, 0, err);

	if (!r)
		r = check_mac(m, part->device.net_card.mac, err);
	if (r < 0)
		return r;
	part->device.net_card.mtu = plug->mtu;
	return 0;
}

/* What plug says of the device, nothing of it being left of the one before. */
static int describe(struct machine *m, struct machine_part *part,
		    const struct machine_plug *plug, struct err *err)
{
	int r = plug->net ? describe_net(m, part, plug, err) :
			    describe_disk(part, plug->disk, err);

	if (!r)
		part->device.slot = plug->slot;
	return r;
}

/* While it has not come, or may be another's, its devices are what the other side knows. */
static int check_board(const struct machine *m, struct err *err)
{
	if (m->ended)
		return err_set(err, -ESHUTDOWN, "the VM has ended");
	if (m->state == MACHINE_INCOMING)
		return err_set(err, -EBUSY, "the VM has not come yet: its devices can be changed "
			       "afterwards");
	return machine_check_ours(m, err);
}

static int check_plug(struct machine *m, struct machine_part *part,
		      const struct machine_plug *plug, struct err *err)
{
	int r = check_board(m, err);

	if (r < 0)
		return r;
	if (machine_part_of_device(m, plug->id))
		return err_set(err, -EEXIST, "there is a device '%s' already", plug->id);
	if (!part)
		return err_set(err, -ENOENT, "there is no %s '%s'",
			       plug->net ? "net" : "disk", plug->back_end);
	if (part->device_id)
		return err_set(err, -EBUSY, "%s '%s' is in use by the device '%s'",
			       plug->net ? "net" : "disk", part->id, part->device_id);
	return 0;
}

int hotplug_plug(struct machine *m, const struct machine_plug *plug, struct err *err)
{
	enum board_device_kind kind = plug->net ? BOARD_NET : BOARD_DISK;
	struct machine_part *part = machine_part_find(m, kind, plug->back_end);
	char *id;
	int r = check_plug(m, part, plug, err);

	if (!r)
		r = describe(m, part, plug, err);
	if (r < 0)
		return r;
	id = strdup(plug->id);
	if (!id)
		return err_sys(err, -ENOMEM, "device '%s'", plug->id);
	r = board_plug(m->board, &part->device, err);
	if (r < 0) {
		free(id);
		return r;
	}
	part->device_id = id;
	m->as_planned = false;
	return 0;
}

int hotplug_unplug(struct machine *m, const char *id, struct err *err)
{
	struct machine_part *part = machine_part_of_device(m, id);
	uint64_t now = clock_ns();
	int r = check_board(m, err);

	if (r < 0)
		return r;
	if (!part)
		return err_set(err, -ENOENT, "there is no device '%s'", id);
	if (part->asked_ns && now - part->asked_ns < ANSWER_NS)
		return err_set(err, -EALREADY, "the guest has been asked to let go of '%s'", id);
	part->asked_ns = now;
	board_ask_to_let_go(m->board, &part->device);
	return 0;
}

/* By its own name or its card's. */
static int find_net(const struct machine *m, const char *name, struct machine_part **ret_part,
		    struct err *err)
{
	struct machine_part *part = machine_part_find(m, BOARD_NET, name);

	if (!part)
		part = machine_part_of_device(m, name);
	if (!part || part->device.kind != BOARD_NET)
		return err_set(err, -ENOENT, "there is no net '%s'", name);
	*ret_part = part;
	return 0;
}

struct limiting {
	struct netdev *netdev;
	const struct netdev_limits *limits;
};

static void call_limit(void *ctx)
{
	const struct limiting *limiting = ctx;

	netdev_set_limits(limiting->netdev, limiting->limits);
}

int hotplug_limit_net(struct machine *m, const char *name, const struct netdev_limits *limits,
		      struct err *err)
{
	struct limiting limiting = { .limits = limits };
	struct machine_part *part = NULL;
	int r = netdev_check_limits(limits, err);

	if (!r)
		r = find_net(m, name, &part, err);
	if (r < 0)
		return r;
	limiting.netdev = part->device.netdev;
	if (netdev_vhost(limiting.netdev) && netdev_any_limit(limits))
		return err_set(err, -ENOTSUP, "net '%s': vhost moves its packets past limits: "
			       "make it with vhost=off", part->id);
	loop_call(part->device.loop, call_limit, &limiting);
	part->net.limits = *limits;
	return 0;
}

int hotplug_set_link(struct machine *m, const char *name, bool up, struct err *err)
{
	struct machine_part *part = NULL;
	int r = check_board(m, err);

	if (!r)
		r = find_net(m, name, &part, err);
	if (r < 0)
		return r;
	part->device.link_down = !up;
	m->as_planned = false;
	if (part->device_id)
		board_update_link(m->board, &part->device);
	return 0;
}

/* From the guest. */

void machine_parts_slot_changed(void *ctx, unsigned slot, bool refused)
{
	struct machine *m = ctx;

	atomic_fetch_or(refused ? &m->refused : &m->ejected, BIT32(slot));
	loop_post(m->config.main, &m->on_slots);
}

/* The board has it no more. */
static void gone(struct machine *m, struct machine_part *part)
{
	char *id = part->device_id;

	/* Said twice is said of this device, not of the next. */
	atomic_fetch_and(&m->ejected, ~BIT32((unsigned)part->device.slot));
	part->device_id = NULL;
	m->as_planned = false;
	part->asked_ns = 0;
	part->stopped_by = 0;
	/* The board has drained the disk: no failure comes after this one. */
	machine_parts_tell_trouble(&part->tell);
	if (part->given)
		machine_part_remove(m, part);
	m->config.unplugged(m->config.ctx, id, true);
	free(id);
}

void machine_parts_look_at_slots(struct loop_task *task)
{
	struct machine *m = container_of(task, struct machine, on_slots);
	uint32_t ejected = atomic_exchange(&m->ejected, 0);
	uint32_t refused = atomic_exchange(&m->refused, 0);

	for (unsigned slot = 0; slot < PCI_BUS_SLOTS && !m->ended; slot++) {
		struct machine_part *part = machine_part_in_slot(m, slot);

		if (part && ejected & BIT32(slot)) {
			board_unplug(m->board, &part->device);
			gone(m, part);
		} else if (part && refused & BIT32(slot) && part->asked_ns) {
			part->asked_ns = 0;
			m->config.unplugged(m->config.ctx, part->device_id, false);
		}
	}
}

void machine_parts_settle(struct machine *m)
{
	uint32_t ejected = atomic_exchange(&m->ejected, 0);

	m->refused = 0;
	for (unsigned slot = 0; slot < PCI_BUS_SLOTS; slot++) {
		struct machine_part *part = machine_part_in_slot(m, slot);

		if (part && (part->asked_ns || ejected & BIT32(slot)))
			gone(m, part);
	}
}
