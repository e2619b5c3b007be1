/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hotplug.h - disks and network cards that come and go while a machine lives.
 *
 * A back end (an open disk, a tap) is added first and removed last; in between a
 * device may be made of it, once at a time.  What the configuration names is both
 * from the start, under the same id, and goes altogether when its device does.
 *
 *	hotplug_add_disk() --> hotplug_plug() --> guest uses it
 *	                                            |  hotplug_unplug()
 *	hotplug_remove_disk() <-- unplugged(gone) <-+  asks the guest
 *	                          unplugged(!gone): it refuses
 *
 * A guest may never answer; a reset then completes the removal.  A guest may also
 * let go without being asked.
 *
 * All functions belong to the main loop's thread.  Those that can fail return
 * -ENOENT for an id that nothing has, -EEXIST for one that is taken.
 */
#ifndef MACHINE_HOTPLUG_H
#define MACHINE_HOTPLUG_H

#include "block/disk.h"

#include <stdbool.h>
#include <stdint.h>

struct err;
struct machine;
struct netdev_limits;
struct vm_disk_config;
struct vm_net_config;

#define MACHINE_ANY_SLOT (-1)

/* A disk, whether the guest has it or not. */
struct machine_disk {
	const char *id;
	const char *device;		/* id of the device; NULL: none uses it */
	const struct vm_disk_config *config;
	const struct disk *disk;
};

/* A device to be made of a back end. */
struct machine_plug {
	const char *id;
	bool net;			/* what the back end is */
	const char *back_end;
	int slot;			/* of the PCI bus, or MACHINE_ANY_SLOT */
	const struct machine_plug_disk {
		const char *serial;	/* or NULL */
		uint32_t queues;	/* 0: as many as vm_config_queues() tells */
		struct disk_use use;
	} *disk;			/* of a disk */
	const uint8_t *mac;		/* of a card, 6 bytes; NULL: made up from the id */
	uint16_t mtu;			/* likewise; 0: none is told */
};

/* Opens the disk that config describes, id included; *config is copied. */
int hotplug_add_disk(struct machine *machine, const struct vm_disk_config *config,
		     struct err *err);

/* The same for a tap.  config->fd becomes the machine's if all goes well. */
int hotplug_add_net(struct machine *machine, const struct vm_net_config *config,
		    struct err *err);

/* Closes it; -EBUSY while a device uses it. */
int hotplug_remove_disk(struct machine *machine, const char *id, struct err *err);
int hotplug_remove_net(struct machine *machine, const char *id, struct err *err);

/* -ENOENT is about the back end, -EEXIST about the device's id. */
int hotplug_plug(struct machine *machine, const struct machine_plug *plug, struct err *err);

/*
 * Ask the guest to let go.  -EALREADY within five seconds of having asked, after
 * which it is taken for deaf and may be asked again.
 */
int hotplug_unplug(struct machine *machine, const char *id, struct err *err);

/* Pull the cable of a card, or put it back.  name is the card's or the back end's. */
int hotplug_set_link(struct machine *machine, const char *name, bool up, struct err *err);

/* -EINVAL where they contradict each other. */
int hotplug_limit_net(struct machine *machine, const char *name,
		      const struct netdev_limits *limits, struct err *err);

/* The i-th disk, in the order in which they were added; false: there are fewer. */
bool hotplug_disk(const struct machine *machine, uint32_t i, struct machine_disk *ret_disk);

/* The id of the device in a slot of the PCI bus; NULL: it has none. */
const char *hotplug_device_id(const struct machine *machine, unsigned slot);

/* The id of its disk or network; NULL: it has none. */
const char *hotplug_back_end_id(const struct machine *machine, unsigned slot);

#endif
