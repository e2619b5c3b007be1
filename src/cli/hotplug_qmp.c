// SPDX-License-Identifier: Apache-2.0
#include "hotplug_qmp.h"

#include "block/disk.h"
#include "block/throttle.h"
#include "control/qmp_event.h"
#include "control/qmp_server.h"
#include "machine/hotplug.h"
#include "machine/vm_config.h"
#include "machine/vm_fds.h"
#include "machine_qmp.h"

#include <jansson.h>
#include <unistd.h>

static const enum disk_backing backings[] = {
	[QMP_BACKING_FOLDER] = DISK_BACKING_FOLDER,
	[QMP_BACKING_ON] = DISK_BACKING_ON,
	[QMP_BACKING_OFF] = DISK_BACKING_OFF,
};
static const enum disk_on_error on_errors[] = {
	[QMP_ON_ERROR_AUTO] = DISK_ON_ERROR_REPORT,
	[QMP_ON_ERROR_REPORT] = DISK_ON_ERROR_REPORT,
	[QMP_ON_ERROR_IGNORE] = DISK_ON_ERROR_IGNORE,
	[QMP_ON_ERROR_ENOSPC] = DISK_ON_ERROR_ENOSPC,
	[QMP_ON_ERROR_STOP] = DISK_ON_ERROR_STOP,
};

int hotplug_qmp_add_disk(void *ctx, const struct qmp_machine_new_disk *disk, struct err *err)
{
	const struct machine_qmp *mq = ctx;
	enum disk_cache cached = disk->no_flush ? DISK_UNSAFE : DISK_WRITEBACK;
	const struct vm_disk_config config = {
		.id = (char *)disk->id,
		.path = (char *)disk->path,
		.format = (char *)disk->format,
		.readonly = disk->read_only,
		.cache = disk->direct ? DISK_DIRECT : cached,
		.overlay = (char *)disk->overlay,
		.backing = backings[disk->backing],
		.l2_cache = disk->l2_cache,
		.limits = *disk->limits,
		.group = (char *)disk->group,
	};

	return hotplug_add_disk(mq->machine, &config, err);
}

int hotplug_qmp_remove_disk(void *ctx, const char *id, struct err *err)
{
	const struct machine_qmp *mq = ctx;

	return hotplug_remove_disk(mq->machine, id, err);
}

/* Those that were taken when one is not there are in *ret_fds as well. */
static int take_fds(const struct machine_qmp *mq, const struct qmp_machine_new_net *net,
		    struct vm_fds *ret_fds, struct err *err)
{
	_Static_assert(QMP_MACHINE_PAIRS_MAX <= NETDEV_PAIRS_MAX, "all have room");

	for (ret_fds->nr = 0; ret_fds->nr < net->nr_fds; ret_fds->nr++) {
		int fd = qmp_server_take_fd(mq->server, net->fds[ret_fds->nr], err);

		if (fd < 0)
			return fd;
		ret_fds->fds[ret_fds->nr] = fd;
	}
	return 0;
}

/* Descriptors that were taken from their client go into the card, or are closed. */
int hotplug_qmp_add_net(void *ctx, const struct qmp_machine_new_net *net, struct err *err)
{
	const struct machine_qmp *mq = ctx;
	struct vm_net_config config = {
		.id = (char *)net->id, .tap = (char *)net->tap, .bridge = (char *)net->bridge,
		.queues = net->queues, .dump = (char *)net->dump, .vhost = net->vhost,
		.user = net->user, .hostfwd = (char *)net->hostfwd,
		.socket = (char *)net->socket, .listen = net->listen, .none = net->none,
	};
	char text[VM_FDS_TEXT_MAX];
	struct vm_fds fds;
	int r = take_fds(mq, net, &fds, err);

	if (!r && fds.nr) {
		vm_fds_print(&fds, text);
		config.fd = text;
	}
	if (!r)
		r = hotplug_add_net(mq->machine, &config, err);
	while (r < 0 && fds.nr)
		close(fds.fds[--fds.nr]);
	return r;
}

int hotplug_qmp_remove_net(void *ctx, const char *id, struct err *err)
{
	const struct machine_qmp *mq = ctx;

	return hotplug_remove_net(mq->machine, id, err);
}

int hotplug_qmp_plug(void *ctx, const struct qmp_machine_new_device *device, struct err *err)
{
	const struct machine_qmp *mq = ctx;
	const struct qmp_machine_disk_use *use = &device->disk;
	const struct machine_plug_disk disk = {
		.serial = use->serial,
		.queues = use->queues,
		.use.block_size = use->block_size,
		.use.write_through = use->write_through,
		.use.read_error = on_errors[use->rerror],
		.use.write_error = on_errors[use->werror],
	};
	const struct machine_plug plug = {
		.id = device->id,
		.net = device->net,
		.back_end = device->back_end,
		.slot = device->slot < 0 ? MACHINE_ANY_SLOT : device->slot,
		.disk = &disk,
		.mac = device->mac,
		.mtu = device->mtu,
	};

	return hotplug_plug(mq->machine, &plug, err);
}

int hotplug_qmp_unplug(void *ctx, const char *id, struct err *err)
{
	const struct machine_qmp *mq = ctx;

	return hotplug_unplug(mq->machine, id, err);
}

int hotplug_qmp_set_link(void *ctx, const char *name, bool up, struct err *err)
{
	const struct machine_qmp *mq = ctx;

	return hotplug_set_link(mq->machine, name, up, err);
}

int hotplug_qmp_limit_net(void *ctx, const char *name, const struct netdev_limits *limits,
			  struct err *err)
{
	const struct machine_qmp *mq = ctx;

	return hotplug_limit_net(mq->machine, name, limits, err);
}

void hotplug_qmp_announce(void *ctx, const struct qmp_machine_announcement *announcement)
{
	const struct machine_qmp *mq = ctx;
	const struct machine_announcement how = {
		.initial_ms = announcement->initial_ms,
		.step_ms = announcement->step_ms,
		.max_ms = announcement->max_ms,
		.rounds = announcement->rounds,
	};

	machine_announce(mq->machine, &how);
}

void hotplug_qmp_unplugged(struct machine_qmp *mq, const char *id, bool gone)
{
	const struct qmp_event *event = gone ? &qmp_event_device_deleted :
				       &qmp_event_device_unplug_guest_error;

	if (mq->server)
		qmp_server_event(mq->server, event,
				 json_pack("{s:s, s:o}", "device", id, "path",
					   json_sprintf("/machine/peripheral/%s", id)));
}
