// SPDX-License-Identifier: Apache-2.0
/*
 * x86_vm_state.c - both PICs, the I/O APIC and the PIT, as KVM has them.
 *
 * The members of KVM's structs are saved under their own names.
 */
#include "vm.h"

#include "base/bits.h"
#include "base/err.h"
#include "state/state.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

struct irqchip_state {
	struct kvm_pic_state pics[2];	/* master, slave */
	uint64_t base_address;
	uint32_t ioregsel, id, irr;
	uint64_t redirtbl[KVM_IOAPIC_NUM_PINS];
};

static const struct state_field pic_fields[] = {
	{ STATE_ONE(struct kvm_pic_state, last_irr) },
	{ STATE_ONE(struct kvm_pic_state, irr) },
	{ STATE_ONE(struct kvm_pic_state, imr) },
	{ STATE_ONE(struct kvm_pic_state, isr) },
	{ STATE_ONE(struct kvm_pic_state, priority_add) },
	{ STATE_ONE(struct kvm_pic_state, irq_base) },
	{ STATE_ONE(struct kvm_pic_state, read_reg_select) },
	{ STATE_ONE(struct kvm_pic_state, poll) },
	{ STATE_ONE(struct kvm_pic_state, special_mask) },
	{ STATE_ONE(struct kvm_pic_state, init_state) },
	{ STATE_ONE(struct kvm_pic_state, auto_eoi) },
	{ STATE_ONE(struct kvm_pic_state, rotate_on_auto_eoi) },
	{ STATE_ONE(struct kvm_pic_state, special_fully_nested_mode) },
	{ STATE_ONE(struct kvm_pic_state, init4) },
	{ STATE_ONE(struct kvm_pic_state, elcr) },
	{ STATE_ONE(struct kvm_pic_state, elcr_mask) },
	STATE_END
};

static const struct state_field irqchip_fields[] = {
	{ STATE_STRUCTS(struct irqchip_state, pics, pic_fields) },
	{ STATE_ONE(struct irqchip_state, base_address) },
	{ STATE_ONE(struct irqchip_state, ioregsel) },
	{ STATE_ONE(struct irqchip_state, id) },
	{ STATE_ONE(struct irqchip_state, irr) },
	{ STATE_ARRAY(struct irqchip_state, redirtbl) },
	STATE_END
};

static const struct state_table irqchip_table = {
	.name = "irqchip", .version = 1, .fields = irqchip_fields,
};

static const struct state_field channel_fields[] = {
	{ STATE_ONE(struct kvm_pit_channel_state, count) },
	{ STATE_ONE(struct kvm_pit_channel_state, latched_count) },
	{ STATE_ONE(struct kvm_pit_channel_state, count_latched) },
	{ STATE_ONE(struct kvm_pit_channel_state, status_latched) },
	{ STATE_ONE(struct kvm_pit_channel_state, status) },
	{ STATE_ONE(struct kvm_pit_channel_state, read_state) },
	{ STATE_ONE(struct kvm_pit_channel_state, write_state) },
	{ STATE_ONE(struct kvm_pit_channel_state, write_latch) },
	{ STATE_ONE(struct kvm_pit_channel_state, rw_mode) },
	{ STATE_ONE(struct kvm_pit_channel_state, mode) },
	{ STATE_ONE(struct kvm_pit_channel_state, bcd) },
	{ STATE_ONE(struct kvm_pit_channel_state, gate) },
	STATE_END
};

static const struct state_field pit_fields[] = {
	{ STATE_STRUCTS(struct kvm_pit_state2, channels, channel_fields) },
	{ STATE_ONE(struct kvm_pit_state2, flags) },
	STATE_END
};

static const struct state_table pit_table = {
	.name = "pit", .version = 1, .fields = pit_fields,
};

static int get_chip(const struct kvm_vm *vm, uint32_t id, struct kvm_irqchip *chip,
		    struct err *err)
{
	*chip = (struct kvm_irqchip){ .chip_id = id };
	return ioctl(vm->fd, KVM_GET_IRQCHIP, chip) ? err_sys(err, -errno, "KVM_GET_IRQCHIP")
						    : 0;
}

static int set_chip(const struct kvm_vm *vm, const struct kvm_irqchip *chip, struct err *err)
{
	return ioctl(vm->fd, KVM_SET_IRQCHIP, chip) ? err_sys(err, -errno, "KVM_SET_IRQCHIP")
						    : 0;
}

static int get_chips(const struct kvm_vm *vm, struct irqchip_state *state, struct err *err)
{
	struct kvm_irqchip chip;
	int r = 0;

	for (uint32_t id = KVM_IRQCHIP_PIC_MASTER; id <= KVM_IRQCHIP_PIC_SLAVE && !r; id++) {
		r = get_chip(vm, id, &chip, err);
		state->pics[id] = chip.chip.pic;
	}
	if (!r)
		r = get_chip(vm, KVM_IRQCHIP_IOAPIC, &chip, err);
	if (r < 0)
		return r;
	state->base_address = chip.chip.ioapic.base_address;
	state->ioregsel = chip.chip.ioapic.ioregsel;
	state->id = chip.chip.ioapic.id;
	state->irr = chip.chip.ioapic.irr;
	for (unsigned i = 0; i < KVM_IOAPIC_NUM_PINS; i++)
		state->redirtbl[i] = chip.chip.ioapic.redirtbl[i].bits;
	return 0;
}

static int set_chips(const struct kvm_vm *vm, const struct irqchip_state *state,
		     struct err *err)
{
	struct kvm_irqchip chip = { 0 };
	int r = 0;

	for (uint32_t id = KVM_IRQCHIP_PIC_MASTER; id <= KVM_IRQCHIP_PIC_SLAVE && !r; id++) {
		chip = (struct kvm_irqchip){ .chip_id = id };
		chip.chip.pic = state->pics[id];
		r = set_chip(vm, &chip, err);
	}
	chip = (struct kvm_irqchip){ .chip_id = KVM_IRQCHIP_IOAPIC };
	chip.chip.ioapic.base_address = state->base_address;
	chip.chip.ioapic.ioregsel = state->ioregsel;
	chip.chip.ioapic.id = state->id;
	chip.chip.ioapic.irr = state->irr;
	for (unsigned i = 0; i < KVM_IOAPIC_NUM_PINS; i++)
		chip.chip.ioapic.redirtbl[i].bits = state->redirtbl[i];
	return r < 0 ? r : set_chip(vm, &chip, err);
}

/* KVM keeps all of it. */
int kvm_vm_settle(const struct kvm_vm *vm, struct err *err)
{
	(void)vm, (void)err;
	return 0;
}

int kvm_vm_save(const struct kvm_vm *vm, struct state_writer *writer, struct err *err)
{
	struct irqchip_state chips = { 0 };
	struct kvm_pit_state2 pit;
	int r = get_chips(vm, &chips, err);

	if (r < 0)
		return r;
	if (ioctl(vm->fd, KVM_GET_PIT2, &pit))
		return err_sys(err, -errno, "KVM_GET_PIT2");
	state_save(writer, &irqchip_table, 0, &chips);
	state_save(writer, &pit_table, 0, &pit);
	return 0;
}

/* When the PIT's counters began is a time of the host's: KVM begins them anew. */
int kvm_vm_load(struct kvm_vm *vm, struct state_reader *reader, struct err *err)
{
	struct irqchip_state chips = { 0 };
	struct kvm_pit_state2 pit = { 0 };
	int r = state_load(reader, &irqchip_table, 0, &chips, err);

	if (!r)
		r = state_load(reader, &pit_table, 0, &pit, err);
	if (!r)
		r = set_chips(vm, &chips, err);
	if (r < 0)
		return r;
	return ioctl(vm->fd, KVM_SET_PIT2, &pit) ? err_sys(err, -errno, "KVM_SET_PIT2") : 0;
}
