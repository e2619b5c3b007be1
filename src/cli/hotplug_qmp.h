/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hotplug_qmp.h - hot plug behind the QMP server's interface to a machine.
 *
 * These are members of struct qmp_machine_ops; ctx is a struct machine_qmp.  Main.
 */
#ifndef CLI_HOTPLUG_QMP_H
#define CLI_HOTPLUG_QMP_H

#include "control/qmp_machine.h"

#include <stdbool.h>

struct err;
struct machine_qmp;

int hotplug_qmp_add_disk(void *ctx, const struct qmp_machine_new_disk *disk, struct err *err);
int hotplug_qmp_remove_disk(void *ctx, const char *id, struct err *err);
int hotplug_qmp_add_net(void *ctx, const struct qmp_machine_new_net *net, struct err *err);
int hotplug_qmp_remove_net(void *ctx, const char *id, struct err *err);
int hotplug_qmp_plug(void *ctx, const struct qmp_machine_new_device *device, struct err *err);
int hotplug_qmp_unplug(void *ctx, const char *id, struct err *err);
int hotplug_qmp_set_link(void *ctx, const char *name, bool up, struct err *err);
int hotplug_qmp_limit_net(void *ctx, const char *name, const struct netdev_limits *limits,
			  struct err *err);
void hotplug_qmp_announce(void *ctx, const struct qmp_machine_announcement *announcement);

/* Tell the clients: the device is gone or, if not, the guest refuses to let go of it. */
void hotplug_qmp_unplugged(struct machine_qmp *mq, const char *id, bool gone);

#endif
