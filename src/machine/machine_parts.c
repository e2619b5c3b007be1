// SPDX-License-Identifier: Apache-2.0
/*
 * machine_parts.c - the machine's back ends: open disks, taps and the like.
 *
 * They outlive boards, and so does what is known of the devices made of them.
 */
#include "machine_parts.h"

#include "base/err.h"
#include "base/log.h"
#include "block/disk.h"
#include "block/disk_arrival.h"
#include "block/disk_overlay.h"
#include "devices/pci/pci_bus.h"
#include "machine/hotplug.h"
#include "machine/vm_fds.h"
#include "net/netdev.h"
#include "net/passt.h"
#include "net/pcap.h"
#include "net/peer.h"
#include "net/tap.h"
#include "net/vhost.h"
#include "net/vsock_front.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

static const uint8_t no_mac[6];

/* The list. */

static const char *word_for(enum board_device_kind kind)
{
	return kind == BOARD_NET ? "net" : "disk";
}

struct machine_part *machine_part_find(const struct machine *m, enum board_device_kind kind,
				 const char *id)
{
	struct machine_part *part = m->parts;

	while (part && (part->device.kind != kind || strcmp(part->id, id)))
		part = part->next;
	return part;
}

struct machine_part *machine_part_of_device(const struct machine *m, const char *id)
{
	struct machine_part *part = m->parts;

	while (part && (!part->device_id || strcmp(part->device_id, id)))
		part = part->next;
	return part;
}

struct machine_part *machine_part_in_slot(const struct machine *m, unsigned slot)
{
	struct machine_part *part = m->parts;

	while (part && (!part->device_id || part->device.slot != (int)slot))
		part = part->next;
	return part;
}

static void undo_part(struct machine_part *part)
{
	if (part->made_overlay)
		unlink(part->disk.overlay);
	if (part->made_dump)
		unlink(part->net.dump);
}

static void free_part(struct machine_part *part)
{
	struct err err = { 0 };

	loop_cancel(part->machine->config.main, &part->tell);
	pthread_mutex_destroy(&part->lock);
	machine_part_unlimit(part);
	disk_close(part->device.disk, &err);
	if (err.code)
		log_error("%s", err.text);
	netdev_close(part->device.netdev);
	option_fini(&vm_config_disk_options, &part->disk);
	option_fini(&vm_config_net_options, &part->net);
	free(part->device_id);
	free(part->id);
	free(part);
}

void machine_part_remove(struct machine *m, struct machine_part *part)
{
	struct machine_part **p = &m->parts;

	if (part->device.disk && disk_is_logged(part->device.disk))
		machine_parts_let_go(m);
	pthread_mutex_lock(&m->parts_lock);
	while (*p != part)
		p = &(*p)->next;
	*p = part->next;
	pthread_mutex_unlock(&m->parts_lock);
	free_part(part);
}

/* At the end, where a board places it last. */
static void append(struct machine *m, struct machine_part *part)
{
	struct machine_part **p = &m->parts;

	pthread_mutex_lock(&m->parts_lock);
	while (*p)
		p = &(*p)->next;
	*p = part;
	pthread_mutex_unlock(&m->parts_lock);
}

/* Disks and cards are dealt out in turn, but for disks with the limits of others. */
static struct loop *next_loop(const struct machine *m, const char *group)
{
	struct loop *shared = group ? machine_part_group_loop(m, group) : NULL;
	uint32_t nr = 0;

	if (shared)
		return shared;

	for (const struct machine_part *part = m->parts; part; part = part->next)
		nr++;
	return m->loops[nr % m->config.vm->io_threads];
}

static int new_part(struct machine_part **ret_part, struct machine *m,
		    enum board_device_kind kind, const char *id, const char *group,
		    struct err *err)
{
	struct machine_part *part;

	if (machine_part_find(m, kind, id))
		return err_set(err, -EEXIST, "%s '%s': there is one of that id already",
			       word_for(kind), id);
	part = calloc(1, sizeof(*part));
	if (part)
		part->id = strdup(id);
	if (!part || !part->id) {
		free(part);
		return err_sys(err, -ENOMEM, "%s '%s'", word_for(kind), id);
	}
	part->machine = m;
	part->tell.run = machine_parts_tell_trouble;
	pthread_mutex_init(&part->lock, NULL);
	part->device.kind = kind;
	part->device.loop = next_loop(m, group);
	part->device.slot = PCI_BUS_ANY_SLOT;
	*ret_part = part;
	return 0;
}

/* Back ends. */

static int add_disk(struct machine *m, const char *id, const struct vm_disk_config *config,
		    struct machine_part **ret_part, struct err *err)
{
	struct machine_part *part;
	struct disk_config disk;
	const char *group = config->group ? config->group : id;
	int r = new_part(&part, m, BOARD_DISK, id, group, err);

	if (r < 0)
		return r;
	disk = (struct disk_config){
		.id = id,
		.path = config->path,
		.format = config->format,
		.read_only = config->readonly,
		.backing = config->backing,
		.cache_len = config->l2_cache,
		.cache = (enum disk_cache)config->cache,
		.block_size = (uint32_t)config->block_size,
		.asleep = m->config.asleep && m->state == MACHINE_INCOMING,
		.read_error = (enum disk_on_error)config->read_error,
		.write_error = (enum disk_on_error)config->write_error,
		.failed = machine_parts_disk_failed,
		.ctx = part,
	};
	r = option_copy(&vm_config_disk_options, &part->disk, config);
	part->device.disk_config = &part->disk;
	if (r < 0)
		err_sys(err, r, "disk '%s'", id);
	else if (config->overlay)
		r = disk_overlay_open(&part->device.disk, &disk, config->overlay,
				      part->device.loop, &part->made_overlay, err);
	else
		r = disk_open(&part->device.disk, &disk, part->device.loop, err);
	if (!r)
		r = machine_part_limit(part, config, err);
	if (r < 0) {
		undo_part(part);
		free_part(part);
		return r;
	}
	if (disk_arrival_is_due(part->device.disk))
		log_info("disk '%s': '%s' is made when a VM comes with its disks", id,
			 config->path);
	append(m, part);
	*ret_part = part;
	return 0;
}

/* On the card's loop. */
static void net_lost(void *ctx, const char *why)
{
	struct machine_part *part = ctx;

	log_limited(&part->lost, LOG_WARN, "net '%s': %s; the link is down", part->id, why);
}

static int open_peer(struct netdev **ret_netdev, struct machine_part *part,
		     const struct vm_net_config *config, struct err *err)
{
	const struct netdev_lost lost = { net_lost, part };
	const struct peer_config peer = {
		.id = part->id,
		.path = config->socket,
		.listen = config->listen,
		.lost = &lost,
	};

	return peer_open(ret_netdev, &peer, err);
}

static int open_passt(struct netdev **ret_netdev, struct machine_part *part,
		      const struct vm_net_config *config, struct err *err)
{
	const struct netdev_lost lost = { net_lost, part };
	const struct passt_config passt = {
		.id = part->id,
		.forwards = config->hostfwd,
		.mtu = (uint16_t)config->mtu,
		.lost = &lost,
	};

	return passt_open(ret_netdev, &passt, err);
}

/* Without it all is the same to the guest, but for its speed. */
static void use_vhost(struct netdev *netdev, const char *id)
{
	struct vhost *vhost;
	struct err err = { 0 };

	if (vhost_open(&vhost, netdev_nr_pairs(netdev), &err) < 0)
		log_warn("net '%s': without vhost: %s", id, err.text);
	else
		netdev_set_vhost(netdev, vhost);
}

static int open_tap(struct netdev **ret_netdev, struct machine_part *part,
		    const struct vm_net_config *config, struct err *err)
{
	const struct netdev_lost lost = { net_lost, part };
	const struct tap_config tap = {
		.id = part->id,
		.name = config->tap,
		.nr_pairs = vm_config_queues(part->machine->config.vm, config->queues),
		.exact = config->queues,
		.bridge = config->bridge,
		.lost = &lost,
	};
	struct vm_fds fds;
	int r;

	if (config->fd) {
		r = vm_fds_parse(&fds, config->fd, err);
		if (!r)
			r = tap_open_fds(ret_netdev, &tap, fds.fds, fds.nr, err);
	} else {
		r = tap_open(ret_netdev, &tap, err);
	}
	if (!r && config->vhost)
		use_vhost(*ret_netdev, part->id);
	return r;
}

/* The back end comes last: a descriptor is not ours unless all goes well. */
static int open_net(struct machine_part *part, const struct vm_net_config *config,
		    struct err *err)
{
	struct netdev **ret_netdev = &part->device.netdev;
	struct pcap *dump = NULL;
	int r = config->dump ? pcap_open(&dump, config->dump, &part->made_dump, err) : 0;

	if (r < 0)
		return err_at(err, r, "net '%s'", part->id);
	if (config->user)
		r = open_passt(ret_netdev, part, config, err);
	else if (config->socket || config->none)
		r = open_peer(ret_netdev, part, config, err);
	else
		r = open_tap(ret_netdev, part, config, err);
	if (r < 0) {
		pcap_close(dump);
		return r;
	}
	netdev_set_dump(*ret_netdev, dump);
	netdev_set_limits(*ret_netdev, &config->limits);
	return 0;
}

static int add_net(struct machine *m, const char *id, const struct vm_net_config *config,
		   struct machine_part **ret_part, struct err *err)
{
	struct machine_part *part;
	int r = new_part(&part, m, BOARD_NET, id, NULL, err);

	if (r < 0)
		return r;
	r = option_copy(&vm_config_net_options, &part->net, config);
	if (r < 0)
		err_sys(err, r, "net '%s'", id);
	else
		r = open_net(part, config, err);
	if (!r && memcmp(config->mac, no_mac, 6))
		r = machine_part_set_mac(part, config->mac, err);
	if (r < 0) {
		undo_part(part);
		free_part(part);
		return r;
	}
	part->device.net_card.mtu = (uint16_t)config->mtu;
	part->device.net_card.renewed = config->renewed;
	append(m, part);
	*ret_part = part;
	return 0;
}

static int begin_part(struct machine_part *part, struct err *err)
{
	int r = netdev_begin_dump(part->device.netdev, err);

	return r < 0 ? err_at(err, r, "net '%s'", part->id) : 0;
}

int hotplug_add_disk(struct machine *m, const struct vm_disk_config *config, struct err *err)
{
	struct machine_part *part;

	return add_disk(m, config->id, config, &part, err);
}

int hotplug_add_net(struct machine *m, const struct vm_net_config *config, struct err *err)
{
	struct machine_part *part;
	int r = add_net(m, config->id, config, &part, err);

	if (r < 0)
		return r;
	r = begin_part(part, err);
	if (r < 0)
		machine_part_remove(m, part);
	return r;
}

static int remove_back_end(struct machine *m, enum board_device_kind kind, const char *id,
			   struct err *err)
{
	struct machine_part *part = machine_part_find(m, kind, id);

	if (!part)
		return err_set(err, -ENOENT, "there is no %s '%s'", word_for(kind), id);
	if (part->device_id)
		return err_set(err, -EBUSY, "%s '%s' is in use by the device '%s': remove that "
			       "first", word_for(kind), id, part->device_id);
	machine_part_remove(m, part);
	return 0;
}

int hotplug_remove_disk(struct machine *m, const char *id, struct err *err)
{
	return remove_back_end(m, BOARD_DISK, id, err);
}

int hotplug_remove_net(struct machine *m, const char *id, struct err *err)
{
	return remove_back_end(m, BOARD_NET, id, err);
}

/* FNV-1a. */
static uint64_t hash_text(uint64_t hash, const char *text)
{
	for (; *text; text++)
		hash = (hash ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
	return hash;
}

int machine_part_set_mac(struct machine_part *part, const uint8_t mac[6], struct err *err)
{
	const uint8_t *only = netdev_mac(part->device.netdev);

	if (only && memcmp(only, mac, 6))
		return err_set(err, -EINVAL, "net '%s': nothing comes for that mac; the device "
			       "of the host is for %02x:%02x:%02x:%02x:%02x:%02x, so give this "
			       "or none", part->id, only[0], only[1], only[2], only[3], only[4],
			       only[5]);
	memcpy(part->device.net_card.mac, mac, 6);
	return 0;
}

int machine_part_make_mac(struct machine_part *part, const char *id, uint32_t i,
			  struct err *err)
{
	const uint8_t *only = netdev_mac(part->device.netdev);
	uint64_t hash = hash_text(UINT64_C(0xcbf29ce484222325),
				  part->machine->config.vm->name);
	uint8_t *mac = part->device.net_card.mac;
	uint64_t chance = 0;

	if (only) {
		memcpy(mac, only, 6);
		return 0;
	}
	/* The name may be what the old one was made of. */
	if (part->net.renewed && getrandom(&chance, sizeof(chance), 0) != sizeof(chance))
		return err_sys(err, -errno, "net '%s': cannot make up a new mac", part->id);
	hash = (hash_text(hash, id) + i) ^ chance;
	mac[0] = 0x52;
	mac[1] = 0x54;
	mac[2] = (uint8_t)(hash >> 24);
	mac[3] = (uint8_t)(hash >> 16);
	mac[4] = (uint8_t)(hash >> 8);
	mac[5] = (uint8_t)hash;
	return 0;
}

/* What the configuration names. */

static int give_device(struct machine_part *part, struct err *err)
{
	part->given = true;
	part->device_id = strdup(part->id);
	return part->device_id ? 0 : err_sys(err, -ENOMEM, "cannot make the devices");
}

static int open_disks(struct machine *m, struct err *err)
{
	const struct vm_config *vm = m->config.vm;

	for (uint32_t i = 0; i < vm->nr_disk; i++) {
		struct machine_part *part;
		char id[24];
		int r;

		snprintf(id, sizeof(id), "disk%u", i);
		r = add_disk(m, vm->disk[i].id ? vm->disk[i].id : id, &vm->disk[i], &part, err);
		if (!r)
			r = give_device(part, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int open_nets(struct machine *m, struct err *err)
{
	const struct vm_config *vm = m->config.vm;

	for (uint32_t i = 0; i < vm->nr_net; i++) {
		struct machine_part *part;
		char id[24];
		int r;

		snprintf(id, sizeof(id), "net%u", i);
		r = add_net(m, vm->net[i].id ? vm->net[i].id : id, &vm->net[i], &part, err);
		if (!r)
			r = give_device(part, err);
		if (!r && !memcmp(part->device.net_card.mac, no_mac, 6))
			r = machine_part_make_mac(part, "", i, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int open_vsock(struct machine *m, struct err *err)
{
	const struct vm_vsock_config *config = m->config.vm->vsock;

	if (!m->config.vm->nr_vsock)
		return 0;
	m->vsock = (struct board_device){
		.kind = BOARD_VSOCK,
		.loop = m->loops[0],
		.cid = config->cid,
		.slot = PCI_BUS_ANY_SLOT,
	};
	return vsock_front_open(&m->vsock.vsock, config->path, m->loops[0], err);
}

int machine_parts_open(struct machine *m, struct err *err)
{
	int r = open_disks(m, err);

	if (!r)
		r = open_nets(m, err);
	if (!r)
		r = open_vsock(m, err);
	m->rng = (struct board_device){
		.kind = BOARD_RNG,
		.loop = m->loops[0],
		.slot = PCI_BUS_ANY_SLOT,
	};
	return r;
}

int machine_parts_begin(struct machine *m, struct err *err)
{
	int r = 0;

	for (struct machine_part *part = m->parts; part && !r; part = part->next)
		if (part->device.netdev)
			r = begin_part(part, err);
	return r;
}

void machine_parts_undo(struct machine *m)
{
	for (struct machine_part *part = m->parts; part; part = part->next)
		undo_part(part);
}

void machine_parts_close(struct machine *m)
{
	while (m->parts)
		machine_part_remove(m, m->parts);
	m->vsock.vsock = vsock_front_close(m->vsock.vsock);
}

struct board_device *machine_parts_devices(struct machine *m)
{
	struct board_device *first, **tail = &first;

	for (struct machine_part *part = m->parts; part; part = part->next) {
		if (!part->device_id)
			continue;
		*tail = &part->device;
		tail = &part->device.next;
	}
	*tail = &m->rng;
	m->rng.next = m->vsock.vsock ? &m->vsock : NULL;
	return first;
}

/* Questions. */

struct machine_part *machine_part_disk(const struct machine *m, uint32_t i)
{
	struct machine_part *part = m->parts;

	while (part && (part->device.kind != BOARD_DISK || i-- > 0))
		part = part->next;
	return part;
}

uint32_t machine_part_index(const struct machine *m, const struct machine_part *part)
{
	uint32_t i = 0;

	while (machine_part_disk(m, i) != part)
		i++;
	return i;
}

bool hotplug_disk(const struct machine *m, uint32_t i, struct machine_disk *ret_disk)
{
	const struct machine_part *part = machine_part_disk(m, i);

	if (!part)
		return false;
	*ret_disk = (struct machine_disk){
		.id = part->id,
		.device = part->device_id,
		.config = &part->disk,
		.disk = part->device.disk,
	};
	return true;
}

const char *hotplug_device_id(const struct machine *m, unsigned slot)
{
	const struct machine_part *part = machine_part_in_slot(m, slot);

	return part ? part->device_id : NULL;
}

const char *hotplug_back_end_id(const struct machine *m, unsigned slot)
{
	const struct machine_part *part = machine_part_in_slot(m, slot);

	return part ? part->id : NULL;
}
