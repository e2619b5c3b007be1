// SPDX-License-Identifier: Apache-2.0
/*
 * arm64_its_state.c - the ITS, as KVM has it.
 *
 * Its tables are in the guest's memory, where kvm_vm_settle() has written them; KVM reads
 * them there, once it knows where they are and before the ITS is enabled.
 */
#include "arm64_parts.h"
#include "vm.h"

#include "base/bits.h"
#include "base/err.h"
#include "state/state.h"

#include <errno.h>

struct its_state {
	uint64_t ctlr, iidr, cbaser, cwriter, creadr;
	uint64_t baser[8];
};

static const struct state_field fields[] = {
	{ STATE_ONE(struct its_state, ctlr) },
	{ STATE_ONE(struct its_state, iidr) },
	{ STATE_ONE(struct its_state, cbaser) },
	{ STATE_ONE(struct its_state, cwriter) },
	{ STATE_ONE(struct its_state, creadr) },
	{ STATE_ARRAY(struct its_state, baser) },
	STATE_END
};

static const struct state_table table = { .name = "its", .version = 1, .fields = fields };

/* In the order of loading: IIDR says what a table looks like, CBASER resets CREADR. */
static const struct {
	uint32_t at, member, nr;
	const char *name;
} regs[] = {
	{ 0x004, offsetof(struct its_state, iidr), 1, "GITS_IIDR" },
	{ 0x080, offsetof(struct its_state, cbaser), 1, "GITS_CBASER" },
	{ 0x090, offsetof(struct its_state, creadr), 1, "GITS_CREADR" },
	{ 0x088, offsetof(struct its_state, cwriter), 1, "GITS_CWRITER" },
	{ 0x100, offsetof(struct its_state, baser), 8, "GITS_BASER" },
};

#define GITS_CTLR 0x000

int arm64_parts_save_its(const struct kvm_vm *vm, struct state_writer *writer,
			 struct err *err)
{
	struct its_state state = { 0 };
	int its = vm->arch->its;
	int r = arm64_parts_get(its, KVM_DEV_ARM_VGIC_GRP_ITS_REGS, GITS_CTLR, &state.ctlr,
				"GITS_CTLR", err);

	for (size_t i = 0; i < ARRAY_LEN(regs); i++) {
		uint64_t *values = (uint64_t *)((char *)&state + regs[i].member);

		for (uint32_t k = 0; k < regs[i].nr && !r; k++)
			r = arm64_parts_get(its, KVM_DEV_ARM_VGIC_GRP_ITS_REGS,
					    regs[i].at + 8 * k, &values[k], regs[i].name, err);
	}
	if (!r)
		state_save(writer, &table, 0, &state);
	return r;
}

int arm64_parts_load_its(const struct kvm_vm *vm, struct state_reader *reader,
			 struct err *err)
{
	struct its_state state = { 0 };
	int its = vm->arch->its;
	int r = state_load(reader, &table, 0, &state, err);

	for (size_t i = 0; i < ARRAY_LEN(regs); i++) {
		const uint64_t *values = (uint64_t *)((char *)&state + regs[i].member);

		for (uint32_t k = 0; k < regs[i].nr && !r; k++)
			r = arm64_parts_set(its, KVM_DEV_ARM_VGIC_GRP_ITS_REGS,
					    regs[i].at + 8 * k, &values[k], regs[i].name, err);
	}
	if (!r)
		r = arm64_parts_set(its, KVM_DEV_ARM_VGIC_GRP_CTRL,
				    KVM_DEV_ARM_ITS_RESTORE_TABLES, NULL,
				    "tables of the ITS in the guest's memory", err);
	return r < 0 ? r : arm64_parts_set(its, KVM_DEV_ARM_VGIC_GRP_ITS_REGS, GITS_CTLR,
					   &state.ctlr, "GITS_CTLR", err);
}
