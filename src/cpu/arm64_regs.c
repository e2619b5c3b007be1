// SPDX-License-Identifier: Apache-2.0
/*
 * arm64_regs.c - registers, as KVM lists them.
 *
 * Which there are depends on processor and kernel.  Whether a value will do is for KVM to
 * say: some that identify the processor are fixed, others may be made less than they are,
 * and later kernels allow more of that.
 */
#include "arm64_regs.h"

#include "arm64_reg.h"
#include "base/bits.h"
#include "base/err.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

const struct state_field arm64_regs_fields[] = {
	{ STATE_LIST(struct arm64_regs, ids, nr_ids) },
	{ STATE_LIST(struct arm64_regs, values, nr_values) },
	STATE_END
};

static const struct {
	uint64_t id;
	const char *name;
} names[] = {
	{ ARM64_SYS_REG(3, 0, 0, 0, 0), "MIDR_EL1" },
	{ ARM64_SYS_REG(3, 0, 0, 0, 5), "MPIDR_EL1" },
	{ ARM64_SYS_REG(3, 0, 0, 0, 6), "REVIDR_EL1" },
	{ ARM64_SYS_REG(3, 0, 0, 4, 0), "ID_AA64PFR0_EL1" },
	{ ARM64_SYS_REG(3, 0, 0, 4, 1), "ID_AA64PFR1_EL1" },
	{ ARM64_SYS_REG(3, 0, 0, 4, 2), "ID_AA64PFR2_EL1" },
	{ ARM64_SYS_REG(3, 0, 0, 4, 4), "ID_AA64ZFR0_EL1" },
	{ ARM64_SYS_REG(3, 0, 0, 4, 5), "ID_AA64SMFR0_EL1" },
	{ ARM64_SYS_REG(3, 0, 0, 4, 7), "ID_AA64FPFR0_EL1" },
	{ ARM64_SYS_REG(3, 0, 0, 5, 0), "ID_AA64DFR0_EL1" },
	{ ARM64_SYS_REG(3, 0, 0, 5, 1), "ID_AA64DFR1_EL1" },
	{ ARM64_SYS_REG(3, 0, 0, 5, 2), "ID_AA64DFR2_EL1" },
	{ ARM64_SYS_REG(3, 0, 0, 5, 4), "ID_AA64AFR0_EL1" },
	{ ARM64_SYS_REG(3, 0, 0, 5, 5), "ID_AA64AFR1_EL1" },
	{ ARM64_SYS_REG(3, 0, 0, 6, 0), "ID_AA64ISAR0_EL1" },
	{ ARM64_SYS_REG(3, 0, 0, 6, 1), "ID_AA64ISAR1_EL1" },
	{ ARM64_SYS_REG(3, 0, 0, 6, 2), "ID_AA64ISAR2_EL1" },
	{ ARM64_SYS_REG(3, 0, 0, 6, 3), "ID_AA64ISAR3_EL1" },
	{ ARM64_SYS_REG(3, 0, 0, 7, 0), "ID_AA64MMFR0_EL1" },
	{ ARM64_SYS_REG(3, 0, 0, 7, 1), "ID_AA64MMFR1_EL1" },
	{ ARM64_SYS_REG(3, 0, 0, 7, 2), "ID_AA64MMFR2_EL1" },
	{ ARM64_SYS_REG(3, 0, 0, 7, 3), "ID_AA64MMFR3_EL1" },
	{ ARM64_SYS_REG(3, 0, 0, 7, 4), "ID_AA64MMFR4_EL1" },
	{ ARM64_SYS_REG(3, 1, 0, 0, 1), "CLIDR_EL1" },
	{ ARM64_SYS_REG(3, 1, 0, 0, 7), "AIDR_EL1" },
	{ ARM64_SYS_REG(3, 3, 0, 0, 1), "CTR_EL0" },
	{ ARM64_SYS_REG(3, 3, 9, 12, 0), "PMCR_EL0" },
};

static_assert(ARRAY_LEN(names) <= VCPU_REGISTERS_MAX, "room for all that have a name");

static unsigned part(uint64_t id, uint64_t mask, unsigned shift)
{
	return (unsigned)((id & mask) >> shift);
}

/* A register without a name goes by its encoding, as assemblers have it. */
static void name_sysreg(uint64_t id, char name[ARM64_REGS_NAME_MAX])
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (names[i].id == id) {
			snprintf(name, ARM64_REGS_NAME_MAX, "%s", names[i].name);
			return;
		}
	snprintf(name, ARM64_REGS_NAME_MAX, "S%u_%u_C%u_C%u_%u",
		 part(id, KVM_REG_ARM64_SYSREG_OP0_MASK, KVM_REG_ARM64_SYSREG_OP0_SHIFT),
		 part(id, KVM_REG_ARM64_SYSREG_OP1_MASK, KVM_REG_ARM64_SYSREG_OP1_SHIFT),
		 part(id, KVM_REG_ARM64_SYSREG_CRN_MASK, KVM_REG_ARM64_SYSREG_CRN_SHIFT),
		 part(id, KVM_REG_ARM64_SYSREG_CRM_MASK, KVM_REG_ARM64_SYSREG_CRM_SHIFT),
		 part(id, KVM_REG_ARM64_SYSREG_OP2_MASK, KVM_REG_ARM64_SYSREG_OP2_SHIFT));
}

static uint64_t kind(uint64_t id)
{
	return id & KVM_REG_ARM_COPROC_MASK;
}

void arm64_regs_name(uint64_t id, char name[ARM64_REGS_NAME_MAX])
{
	unsigned index = (unsigned)id & 0xffff;

	switch (kind(id)) {
	case KVM_REG_ARM64_SYSREG:
		name_sysreg(id, name);
		break;
	case KVM_REG_ARM_DEMUX:
		snprintf(name, ARM64_REGS_NAME_MAX, "CCSIDR_EL1 of cache %u",
			 index & KVM_REG_ARM_DEMUX_VAL_MASK);
		break;
	case KVM_REG_ARM_FW:
		snprintf(name, ARM64_REGS_NAME_MAX, "KVM_REG_ARM_FW %u", index);
		break;
	case KVM_REG_ARM_FW_FEAT_BMAP:
		snprintf(name, ARM64_REGS_NAME_MAX, "KVM_REG_ARM_FW_FEAT_BMAP %u", index);
		break;
	default:
		snprintf(name, ARM64_REGS_NAME_MAX, "%#018" PRIx64, id);
	}
}

int arm64_regs_save(int fd, struct arm64_regs *regs, struct err *err)
{
	int r;

	regs->nr_ids = ARM64_REGS_MAX;
	regs->nr_values = 0;
	r = arm64_reg_list(fd, regs->ids, &regs->nr_ids);
	if (r < 0)
		return err_sys(err, r, "KVM_GET_REG_LIST");
	for (uint32_t i = 0; i < regs->nr_ids; i++) {
		size_t len = arm64_reg_len(regs->ids[i]);
		char name[ARM64_REGS_NAME_MAX];

		arm64_regs_name(regs->ids[i], name);
		if (len > ARM64_REGS_BYTES_MAX - regs->nr_values)
			return err_set(err, -E2BIG, "with register %s there are more than this "
				       "release knows", name);
		r = arm64_reg_get(fd, regs->ids[i], regs->values + regs->nr_values);
		if (r < 0)
			return err_sys(err, r, "KVM_GET_ONE_REG of %s", name);
		regs->nr_values += (uint32_t)len;
	}
	return 0;
}

int arm64_regs_check(const struct arm64_regs *regs, struct err *err)
{
	size_t left = regs->nr_values;

	for (uint32_t i = 0; i < regs->nr_ids; i++) {
		uint64_t id = regs->ids[i];
		size_t len = arm64_reg_len(id);

		if ((id & KVM_REG_ARCH_MASK) != KVM_REG_ARM64 || len > ARM64_REGS_VALUE_MAX)
			return err_set(err, -EINVAL, "state: %#018" PRIx64 " is no register of an "
				       "arm64 processor", id);
		if (len > left)
			return err_set(err, -EINVAL, "state: the registers are cut off");
		left -= len;
	}
	return left ? err_set(err, -EINVAL, "state: there are more values than registers") : 0;
}

uint8_t *arm64_regs_find(struct arm64_regs *regs, uint64_t id)
{
	uint8_t *value = regs->values;

	for (uint32_t i = 0; i < regs->nr_ids; i++) {
		if (regs->ids[i] == id)
			return value;
		value += arm64_reg_len(regs->ids[i]);
	}
	return NULL;
}

static uint64_t number(uint64_t id, const void *value)
{
	uint64_t number = 0;

	memcpy(&number, value, min_u64(arm64_reg_len(id), sizeof(number)));
	return number;
}

/* What KVM refuses to change may be what it should be. */
static int judge(int fd, uint64_t id, const uint8_t *value, int error, struct err *err)
{
	uint8_t ours[ARM64_REGS_VALUE_MAX];
	char name[ARM64_REGS_NAME_MAX];

	arm64_regs_name(id, name);
	if (arm64_reg_get(fd, id, ours) < 0)
		return err_set(err, -ENOTSUP, "the guest's processor has register %s, which this "
			       "host's KVM lacks: let the guest go on where there is the same "
			       "processor, with a kernel that is not older", name);
	if (!error || !memcmp(ours, value, arm64_reg_len(id)))
		return 0;
	return err_set(err, -ENOTSUP, "register %s is %#" PRIx64 " for the guest, and here it is %#"
		       PRIx64 " and cannot be changed: let the guest go on where there is the "
		       "same processor", name, number(id, value), number(id, ours));
}

/* Their time is what matters, not their value: arm64_state.c has it. */
static bool counts(uint64_t id)
{
	return id == KVM_REG_ARM_TIMER_CNT || id == KVM_REG_ARM_PTIMER_CNT;
}

/* What the processor is, rather than what it does: not set but by whoever made it. */
static bool identifies(uint64_t id)
{
	switch (kind(id)) {
	case KVM_REG_ARM64_SYSREG:
		return (id & KVM_REG_ARM64_SYSREG_OP0_MASK) == KVM_REG_ARM64_SYSREG_OP0_MASK &&
		       !(id & KVM_REG_ARM64_SYSREG_CRN_MASK);
	case KVM_REG_ARM_DEMUX:
	case KVM_REG_ARM_FW:
	case KVM_REG_ARM_FW_FEAT_BMAP:
		return true;
	default:
		return false;
	}
}

unsigned arm64_regs_identity(int fd, struct vcpu_register ret_registers[VCPU_REGISTERS_MAX])
{
	unsigned nr = 0;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct vcpu_register *reg = &ret_registers[nr];

		reg->name = names[i].name;
		if (identifies(names[i].id) && !arm64_reg_get(fd, names[i].id, &reg->value))
			nr++;
	}
	return nr;
}

int arm64_regs_load(int fd, const struct arm64_regs *regs, struct err *err)
{
	const uint8_t *value = regs->values;
	int r = 0;

	for (uint32_t i = 0; i < regs->nr_ids && !r; i++) {
		uint64_t id = regs->ids[i];

		r = counts(id) ? 0 : arm64_reg_set(fd, id, value);
		if (r < 0)
			r = judge(fd, id, value, r, err);
		value += arm64_reg_len(id);
	}
	return r;
}

int arm64_regs_try(int fd, const struct arm64_regs *regs, struct err *err)
{
	const uint8_t *value = regs->values;
	int r = 0;

	for (uint32_t i = 0; i < regs->nr_ids && !r; i++) {
		uint64_t id = regs->ids[i];

		r = identifies(id) ? arm64_reg_set(fd, id, value) : 0;
		r = judge(fd, id, value, r, err);
		value += arm64_reg_len(id);
	}
	return r;
}
