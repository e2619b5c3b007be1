// SPDX-License-Identifier: Apache-2.0
/*
 * machine_state.c - which devices a machine has, and where, and the state of them all.
 *
 * The layout is a section of its own, since the machine that loads the rest is built
 * by it.
 */
#include "machine/machine_state.h"

#include "base/bits.h"
#include "base/err.h"
#include "base/folder.h"
#include "block/disk_overlay.h"
#include "board.h"
#include "devices/pci/pci_bus.h"
#include "machine/machine.h"
#include "machine/vm_config.h"
#include "machine_parts.h"
#include "state/state.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

struct device_place {
	uint8_t kind, slot;
	uint8_t id[VM_CONFIG_NAME_MAX + 1];	/* of a disk or card: text */
	bool link_down;				/* of a card: somebody has pulled the cable */
	uint32_t nr_queues;			/* 0: not known */
};

static const struct state_field place_fields[] = {
	{ STATE_ONE(struct device_place, kind) },
	{ STATE_ONE(struct device_place, slot) },
	{ STATE_ARRAY(struct device_place, id) },
	{ STATE_ONE(struct device_place, link_down), .added = true },
	{ STATE_ONE(struct device_place, nr_queues), .added = true },
	STATE_END
};

struct layout {
	uint64_t memory;
	uint32_t cpus;
	uint32_t hotplug_slots;
	uint32_t nr_devices;
	struct device_place devices[PCI_BUS_SLOTS];
};

static const struct state_field layout_fields[] = {
	{ STATE_ONE(struct layout, memory) },
	{ STATE_ONE(struct layout, cpus) },
	{ STATE_ONE(struct layout, hotplug_slots) },
	{ STATE_STRUCT_LIST(struct layout, devices, nr_devices, place_fields) },
	STATE_END
};

static const struct state_table layout_table = {
	.name = "machine", .version = 1, .fields = layout_fields,
};

/* What the numbers are in the stream. */
static const uint8_t kinds[] = {
	[BOARD_DISK] = 1,
	[BOARD_NET] = 2,
	[BOARD_VSOCK] = 3,
	[BOARD_RNG] = 4,
};

static const char *const kind_names[] = {
	[BOARD_DISK] = "disk",
	[BOARD_NET] = "net",
	[BOARD_VSOCK] = "vsock",
	[BOARD_RNG] = "rng",
};

/* The name of a disk or card; of the others there is one. */
static const char *device_id(const struct machine *m, const struct board_device *device)
{
	for (const struct machine_part *part = m->parts; part; part = part->next)
		if (&part->device == device)
			return part->device_id;
	return "";
}

static void lay_out(struct machine *m, struct layout *layout)
{
	*layout = (struct layout){
		.memory = m->config.vm->memory,
		.cpus = m->config.vm->cpus,
		.hotplug_slots = board_hotplug_slots(m->board),
	};
	for (struct board_device *d = machine_parts_devices(m); d; d = d->next) {
		struct device_place *place = &layout->devices[layout->nr_devices++];
		const char *id = device_id(m, d);

		place->kind = kinds[d->kind];
		place->slot = (uint8_t)d->slot;
		place->link_down = d->link_down;
		place->nr_queues = board_nr_queues(m->board, d);
		memcpy(place->id, id, strnlen(id, VM_CONFIG_NAME_MAX));
	}
}

static const struct device_place *find_place(const struct layout *layout,
					     enum board_device_kind kind, const char *id)
{
	for (uint32_t i = 0; i < layout->nr_devices; i++) {
		const struct device_place *place = &layout->devices[i];

		if (place->kind == kinds[kind] && !strcmp((const char *)place->id, id))
			return place;
	}
	return NULL;
}

static int check_layout(const struct machine *m, struct layout *layout, struct err *err)
{
	const struct vm_config *vm = m->config.vm;

	if (layout->memory != vm->memory)
		return err_set(err, -EINVAL, "the saved VM has %llu bytes of memory, this one "
			       "%llu: give it as much", (unsigned long long)layout->memory,
			       (unsigned long long)vm->memory);
	if (layout->cpus != vm->cpus)
		return err_set(err, -EINVAL, "the saved VM has %u vCPUs, this one %u: give it "
			       "as many", layout->cpus, vm->cpus);
	for (uint32_t i = 0; i < layout->nr_devices; i++) {
		struct device_place *place = &layout->devices[i];
		bool movable = place->kind == kinds[BOARD_DISK] || place->kind == kinds[BOARD_NET];

		place->id[VM_CONFIG_NAME_MAX] = 0;
		if (place->slot >= PCI_BUS_SLOTS)
			return err_set(err, -EINVAL, "state: there is no PCI slot %u", place->slot);
		if (movable && !(layout->hotplug_slots & BIT32(place->slot)))
			return err_set(err, -EINVAL, "state: PCI slot %u is not one for hot plug, "
				       "as disks and cards have", place->slot);
	}
	return 0;
}

/* Put the devices where those of the saved machine were. */
static int place(struct machine *m, struct layout *layout, struct err *err)
{
	uint32_t nr = 0;
	int r = check_layout(m, layout, err);

	if (r < 0)
		return r;
	for (struct board_device *d = machine_parts_devices(m); d; d = d->next) {
		const char *id = device_id(m, d);
		const struct device_place *place = find_place(layout, d->kind, id);

		if (!place)
			return err_set(err, -EINVAL, "%s '%s': the saved VM has none of that "
				       "id", kind_names[d->kind], id);
		d->slot = place->slot;
		d->link_down = place->link_down;
		nr++;
	}
	if (nr < layout->nr_devices)
		return err_set(err, -EINVAL, "the saved VM has %u devices, this one %u: give it "
			       "the same disks, cards and vsock", layout->nr_devices, nr);
	m->hotplug_slots = layout->hotplug_slots;
	return 0;
}

/* Of a card, three are a pair and the one for commands. */
static unsigned as_option(enum board_device_kind kind, unsigned nr_queues)
{
	return kind == BOARD_NET ? nr_queues / 2 : nr_queues;
}

static int check_queues(struct machine *m, const struct layout *layout, struct err *err)
{
	for (struct board_device *d = machine_parts_devices(m); d; d = d->next) {
		const char *id = device_id(m, d);
		unsigned was = find_place(layout, d->kind, id)->nr_queues;
		unsigned is = board_nr_queues(m->board, d);

		if (was && was != is)
			return err_set(err, -EINVAL, "%s '%s': the saved VM has it with "
				       "queues=%u, this one with %u: give it as many",
				       kind_names[d->kind], id, as_option(d->kind, was),
				       as_option(d->kind, is));
	}
	return 0;
}

int machine_state_prepare(struct machine *m, struct state_reader *reader, struct err *err)
{
	struct layout layout = { 0 };
	int r = state_load(reader, &layout_table, 0, &layout, err);

	if (!r)
		r = place(m, &layout, err);
	if (!r)
		r = machine_parts_check_disks(m, err);
	if (!r)
		r = machine_parts_new_board(m, reader, err);
	if (!r)
		r = check_queues(m, &layout, err);
	return r < 0 ? r : board_check_features(m->board, reader, err);
}

int machine_state_save_plan(struct machine *m, struct state_writer *writer, struct err *err)
{
	struct layout layout;

	if (m->ended)
		return err_set(err, -ESHUTDOWN, "the VM has ended");
	lay_out(m, &layout);
	state_save(writer, &layout_table, 0, &layout);
	m->as_planned = true;
	return board_save_features(m->board, writer, err);
}

int machine_state_settle(struct machine *m, struct err *err)
{
	return m->ended ? 0 : board_settle(m->board, err);
}

static int check_alive(const struct machine *m, struct err *err)
{
	if (m->ended)
		return err_set(err, -ESHUTDOWN, "the VM has ended");
	if (m->state == MACHINE_SHUT_DOWN || m->state == MACHINE_CRASHED)
		return err_set(err, -EPERM, "the guest has ended: there is nothing to go on with");
	return 0;
}

/* What the guest has just asked of the machine would be lost. */
static int check_decided(const struct machine *m, struct err *err)
{
	return machine_parts_undecided(m) ?
		       err_set(err, -EAGAIN, "the guest has just asked for its end or a reset") : 0;
}

int machine_state_save(struct machine *m, struct state_writer *writer, struct err *err)
{
	int r = check_alive(m, err);

	if (!r && (m->state == MACHINE_RUNNING || m->state == MACHINE_INCOMING))
		r = err_set(err, -EBUSY, "the VM has to be paused to be saved");
	if (!r)
		r = check_decided(m, err);
	if (r < 0)
		return r;
	machine_parts_save_marks(m, writer);
	return board_save(m->board, writer, err);
}

int machine_state_load(struct machine *m, struct state_reader *reader,
		       const struct machine_change *change, struct err *err)
{
	int r = board_load(m->board, reader, change->clock, err);

	if (!r)
		r = machine_parts_load_marks(m, reader, err);
	if (!r)
		r = state_reader_end(reader, err);
	if (!r && change->fork)
		r = board_fork(m->board, err);
	return r;
}

void machine_state_set_away(struct machine *m, uint64_t ns)
{
	board_set_away(m->board, ns);
}

void machine_state_set_paused(struct machine *m, bool paused)
{
	m->config.paused |= paused;
}

/* Where it was before somebody made it stand still. */
static int go_on_from(struct machine *m, enum machine_state before, struct err *err)
{
	m->state = before == MACHINE_RUNNING ? MACHINE_PAUSED : before;
	return before == MACHINE_RUNNING ? machine_resume(m, err) : 0;
}

int machine_state_begin_save(struct machine *m, struct err *err)
{
	enum machine_state before = m->state;
	int r = check_alive(m, err);

	if (r < 0)
		return r;
	machine_pause(m);
	m->before = before;
	m->state = MACHINE_SAVING;
	return 0;
}

bool machine_state_end_save(struct machine *m, bool paused)
{
	struct err ignored = { 0 };
	bool kept;

	if (m->ended || m->state != MACHINE_SAVING)
		return false;
	kept = paused && m->before == MACHINE_RUNNING;
	(void)go_on_from(m, kept ? MACHINE_PAUSED : m->before, &ignored);
	return kept;
}

/* Giving away. */

bool machine_state_runs(const struct machine *m)
{
	enum machine_state state = m->state == MACHINE_HANDED_OVER ? m->before : m->state;

	return state == MACHINE_RUNNING;
}

int machine_state_hand_over(struct machine *m, struct err *err)
{
	enum machine_state before = m->state;
	int r = check_alive(m, err);

	if (r < 0)
		return r;
	machine_pause(m);
	/* What has become of its devices is not what the other has been told. */
	r = m->as_planned ? check_decided(m, err) :
			    err_set(err, -ESTALE, "a device has come, gone or changed meanwhile");
	if (r < 0) {
		if (before == MACHINE_RUNNING)
			(void)machine_resume(m, NULL);
		return r;
	}
	m->before = before;
	m->state = MACHINE_HANDED_OVER;
	return 0;
}

int machine_state_take_back(struct machine *m, struct err *err)
{
	int r;

	if (m->ended || m->state != MACHINE_HANDED_OVER)
		return 0;
	r = machine_state_wake_disks(m, err);
	if (r < 0)
		return r;
	return go_on_from(m, m->before, err);
}

void machine_state_moved(struct machine *m)
{
	if (m->state == MACHINE_HANDED_OVER)
		m->state = MACHINE_MOVED;
}

int machine_state_check(const struct machine *m, struct err *err)
{
	int r = check_alive(m, err);

	if (!r && !m->board)
		r = err_set(err, -EBUSY, "the VM has not come yet: there is nothing to keep or "
			    "to move");
	return r < 0 ? r : machine_check_ours(m, err);
}

int machine_state_hold(struct machine *m, struct machine_holder *holder, struct err *err)
{
	int r = machine_state_check(m, err);

	if (r < 0)
		return r;
	if (m->holder && m->holder->give_way)
		m->holder->give_way(m->holder);
	if (m->holder)
		return err_set(err, -EBUSY, "a snapshot or migration of the VM is under way");
	m->holder = holder;
	return 0;
}

void machine_state_release(struct machine *m, struct machine_holder *holder)
{
	if (m->holder != holder)
		return;
	machine_state_throttle(m, 0);
	m->holder = NULL;
}

bool machine_parts_step_aside(struct machine *m)
{
	struct machine_holder *holder = m->holder;

	machine_state_throttle(m, 0);
	if (holder && holder->step_aside && holder->step_aside(holder))
		return true;
	machine_parts_let_go(m);
	return false;
}

void machine_parts_come_back(struct machine *m)
{
	if (m->holder)
		m->holder->come_back(m->holder);
}

void machine_parts_let_go(struct machine *m)
{
	struct machine_holder *holder = m->holder;

	machine_state_throttle(m, 0);
	m->holder = NULL;
	if (holder)
		holder->let_go(holder);
}

struct ram *machine_state_ram(struct machine *m)
{
	return board_ram(m->board);
}

int machine_state_log(struct machine *m, bool on, struct err *err)
{
	return board_log(m->board, on, err);
}

int machine_state_log_take(struct machine *m, uint64_t *bitmap, struct err *err)
{
	return board_log_take(m->board, bitmap, err);
}

/* The configuration. */

static int set_text(char **to, const char *text)
{
	free(*to);
	*to = strdup(text);
	return *to ? 0 : -ENOMEM;
}

/* Not all is there: a kernel is needed for a reset only, and a socket is made anew. */
static int make_absolute(char **path, struct err *err)
{
	char whole[PATH_MAX];
	int r = 0;

	if (!*path)
		return 0;
	if (!realpath(*path, whole))
		r = errno == ENOENT ? folder_absolute(whole, *path) : -errno;
	if (r < 0)
		return err_sys(err, r, "cannot tell where '%s' is", *path);
	return set_text(path, whole) < 0 ? err_sys(err, -ENOMEM, "cannot describe the VM") : 0;
}

static int describe_disk(const struct machine_part *part, struct vm_disk_config *disk,
			 struct err *err)
{
	int r = option_copy(&vm_config_disk_options, disk, &part->disk);

	/* What was given and is none by now is not to be said. */
	disk->given = (struct option_given){ 0 };
	if (!r)
		r = set_text(&disk->id, part->device_id);
	if (!r)
		r = machine_part_describe_limits(part, disk);
	if (r < 0)
		return err_sys(err, r, "disk '%s'", part->id);
	r = make_absolute(&disk->path, err);
	if (!r && disk->overlay && strcmp(disk->overlay, DISK_OVERLAY_TEMPORARY))
		r = make_absolute(&disk->overlay, err);
	return r;
}

static int describe_net(const struct machine_part *part, struct vm_net_config *net,
			struct err *err)
{
	int r = option_copy(&vm_config_net_options, net, &part->net);

	net->given = (struct option_given){ 0 };
	if (!r)
		r = set_text(&net->id, part->device_id);
	if (r < 0)
		return err_sys(err, r, "net '%s'", part->id);
	memcpy(net->mac, part->device.net_card.mac, sizeof(net->mac));
	net->mtu = part->device.net_card.mtu;
	r = make_absolute(&net->socket, err);
	return r < 0 ? r : make_absolute(&net->dump, err);
}

/* In the order of the parts, as far as there are devices of them. */
static int describe_parts(const struct machine *m, struct vm_config *config, struct err *err)
{
	uint32_t nr = 0;
	int r = 0;

	for (const struct machine_part *part = m->parts; part; part = part->next)
		nr++;
	config->disk = calloc(nr + 1, sizeof(*config->disk));
	config->net = calloc(nr + 1, sizeof(*config->net));
	if (!config->disk || !config->net)
		return err_sys(err, -ENOMEM, "cannot describe the VM");
	for (const struct machine_part *part = m->parts; part && !r; part = part->next) {
		if (!part->device_id)
			continue;
		if (part->device.kind == BOARD_DISK)
			r = describe_disk(part, &config->disk[config->nr_disk++], err);
		else
			r = describe_net(part, &config->net[config->nr_net++], err);
	}
	return r;
}

int machine_state_describe(const struct machine *m, struct vm_config *ret_config, struct err *err)
{
	struct vm_config rest = *m->config.vm;
	int r;

	rest.disk = NULL;
	rest.net = NULL;
	rest.nr_disk = rest.nr_net = 0;
	rest.action = m->actions;
	/* Where it is talked to, and whether it waits, is up to who starts it again. */
	rest.qmp = NULL;
	rest.nr_qmp = 0;
	rest.serial = NULL;
	rest.log_file = NULL;
	rest.paused = false;
	rest.incoming = NULL;
	rest.tls = NULL;
	r = option_copy(&vm_config_options, ret_config, &rest);
	if (r < 0)
		return err_sys(err, r, "cannot describe the VM");
	r = make_absolute(&ret_config->kernel, err);
	if (!r)
		r = make_absolute(&ret_config->initrd, err);
	for (uint32_t i = 0; i < ret_config->nr_vsock && !r; i++)
		r = make_absolute(&ret_config->vsock[i].path, err);
	if (!r)
		r = describe_parts(m, ret_config, err);
	if (r < 0)
		option_fini(&vm_config_options, ret_config);
	return r;
}
