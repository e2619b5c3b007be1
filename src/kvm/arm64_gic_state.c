// SPDX-License-Identifier: Apache-2.0
/*
 * arm64_gic_state.c - a GICv3 or GICv2, as KVM has it.
 *
 * Registers go by their names in the GIC's architecture (IHI 0069, IHI 0048).  Of most there
 * are some bits for each interrupt, so what 32 interrupts have is one struct: those of a
 * vCPU itself (SGIs and PPIs), and any 32 that all share (SPIs).  A GIC that is loaded is a
 * new one, in which nothing is pending or active.
 */
#include "arm64_parts.h"
#include "vm.h"

#include "base/bits.h"
#include "base/err.h"
#include "boot/arm64_layout.h"
#include "state/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PER_BLOCK	32
#define BLOCKS_MAX	31		/* SPIs end at 1019 */
#define SGI_MASK	0xffffU

struct block {
	uint32_t igroupr, isenabler, ispendr, isactiver, level;
	uint32_t icfgr[2], ipriorityr[8];
	uint32_t itargetsr[8];		/* GICv2: of SPIs */
	uint64_t irouter[32];		/* GICv3: likewise */
};

static const struct state_field block_fields[] = {
	{ STATE_ONE(struct block, igroupr) },
	{ STATE_ONE(struct block, isenabler) },
	{ STATE_ONE(struct block, ispendr) },
	{ STATE_ONE(struct block, isactiver) },
	{ STATE_ONE(struct block, level) },
	{ STATE_ARRAY(struct block, icfgr) },
	{ STATE_ARRAY(struct block, ipriorityr) },
	{ STATE_ARRAY(struct block, itargetsr) },
	{ STATE_ARRAY(struct block, irouter) },
	STATE_END
};

struct distributor {
	uint32_t ctlr, iidr;
	uint32_t nr_blocks;
	struct block blocks[BLOCKS_MAX];
};

static const struct state_field distributor_fields[] = {
	{ STATE_ONE(struct distributor, ctlr) },
	{ STATE_ONE(struct distributor, iidr) },
	{ STATE_STRUCT_LIST(struct distributor, blocks, nr_blocks, block_fields) },
	STATE_END
};

/* What a vCPU has of a GICv3: its redistributor, and its system registers. */
struct redistributor {
	uint32_t ctlr;
	uint64_t propbaser, pendbaser;
	struct block own;
	uint64_t icc_sre, icc_ctlr, icc_pmr, icc_bpr0, icc_bpr1, icc_igrpen0, icc_igrpen1;
	uint64_t icc_ap0r[4], icc_ap1r[4];
};

static const struct state_field redistributor_fields[] = {
	{ STATE_ONE(struct redistributor, ctlr) },
	{ STATE_ONE(struct redistributor, propbaser) },
	{ STATE_ONE(struct redistributor, pendbaser) },
	{ STATE_INNER(struct redistributor, own, block_fields) },
	{ STATE_ONE(struct redistributor, icc_sre) },
	{ STATE_ONE(struct redistributor, icc_ctlr) },
	{ STATE_ONE(struct redistributor, icc_pmr) },
	{ STATE_ONE(struct redistributor, icc_bpr0) },
	{ STATE_ONE(struct redistributor, icc_bpr1) },
	{ STATE_ONE(struct redistributor, icc_igrpen0) },
	{ STATE_ONE(struct redistributor, icc_igrpen1) },
	{ STATE_ARRAY(struct redistributor, icc_ap0r) },
	{ STATE_ARRAY(struct redistributor, icc_ap1r) },
	STATE_END
};

/* What a vCPU has of a GICv2. */
struct interface {
	struct block own;
	uint32_t spendsgir[4];
	uint32_t ctlr, pmr, bpr, abpr, apr[4];
};

static const struct state_field interface_fields[] = {
	{ STATE_INNER(struct interface, own, block_fields) },
	{ STATE_ARRAY(struct interface, spendsgir) },
	{ STATE_ONE(struct interface, ctlr) },
	{ STATE_ONE(struct interface, pmr) },
	{ STATE_ONE(struct interface, bpr) },
	{ STATE_ONE(struct interface, abpr) },
	{ STATE_ARRAY(struct interface, apr) },
	STATE_END
};

static const struct state_table v3_table = {
	.name = "gicv3", .version = 1, .fields = distributor_fields,
};

static const struct state_table redistributor_table = {
	.name = "gicv3-cpu", .version = 1, .fields = redistributor_fields,
};

static const struct state_table v2_table = {
	.name = "gicv2", .version = 1, .fields = distributor_fields,
};

static const struct state_table interface_table = {
	.name = "gicv2-cpu", .version = 1, .fields = interface_fields,
};

/* One direction of it all. */
struct transfer {
	const struct kvm_vm *vm;
	bool load;
	struct err *err;
};

static int move(const struct transfer *t, uint32_t group, uint64_t attr, void *value,
		const char *name)
{
	int gic = t->vm->arch->gic;

	return t->load ? arm64_parts_set(gic, group, attr, value, name, t->err) :
			 arm64_parts_get(gic, group, attr, value, name, t->err);
}

/* Registers of 64 bits are moved by halves. */
static int move_wide(const struct transfer *t, uint32_t group, uint64_t attr, uint64_t *value,
		     const char *name)
{
	uint32_t low = (uint32_t)*value, high = (uint32_t)(*value >> 32);
	int r = move(t, group, attr, &low, name);

	if (!r)
		r = move(t, group, attr + 4, &high, name);
	*value = low | (uint64_t)high << 32;
	return r;
}

/* Blocks. */

struct place {
	uint32_t group;
	uint64_t base;			/* attribute of the first register */
	uint64_t cpu;			/* attribute: of which vCPU */
	uint32_t nr;			/* of the block, 0: of the vCPU's own */
};

/* Edge or level comes before what is pending. */
static const struct {
	uint32_t at, words, member;
	const char *name;
} block_regs[] = {
	{ 0x080, 1, offsetof(struct block, igroupr), "IGROUPR" },
	{ 0xc00, 2, offsetof(struct block, icfgr), "ICFGR" },
	{ 0x400, 8, offsetof(struct block, ipriorityr), "IPRIORITYR" },
	{ 0x100, 1, offsetof(struct block, isenabler), "ISENABLER" },
	{ 0x200, 1, offsetof(struct block, ispendr), "ISPENDR" },
	{ 0x300, 1, offsetof(struct block, isactiver), "ISACTIVER" },
};

#define ICENABLER	0x180
#define ITARGETSR	0x800
#define IROUTER		0x6000

static int move_words(const struct transfer *t, const struct place *place, uint32_t at,
		      uint32_t words, uint32_t *values, const char *name)
{
	int r = 0;

	for (uint32_t i = 0; i < words && !r; i++)
		r = move(t, place->group,
			 place->cpu | (place->base + at + 4 * (place->nr * words + i)),
			 &values[i], name);
	return r;
}

static int move_block(const struct transfer *t, const struct place *place, struct block *block)
{
	uint32_t all = UINT32_MAX;
	int r = 0;

	/* A new GIC has its SGIs enabled. */
	if (t->load)
		r = move_words(t, place, ICENABLER, 1, &all, "ICENABLER");
	for (size_t i = 0; i < ARRAY_LEN(block_regs) && !r; i++)
		r = move_words(t, place, block_regs[i].at, block_regs[i].words,
			       (uint32_t *)((char *)block + block_regs[i].member),
			       block_regs[i].name);
	return r;
}

/* What a line is at, besides what has been pending since. */
static int move_level(const struct transfer *t, const struct place *place, struct block *block)
{
	return move(t, KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO,
		    place->cpu | place->nr * PER_BLOCK |
			    VGIC_LEVEL_INFO_LINE_LEVEL << KVM_DEV_ARM_VGIC_LINE_LEVEL_INFO_SHIFT,
		    &block->level, "LEVEL_INFO");
}

/* The distributor. */

#define GICD_CTLR	0x000
#define GICD_TYPER	0x004
#define GICD_IIDR	0x008

/*
 * IIDR says how KVM is to behave.  What comes to be pending while CTLR has the distributor
 * off is never looked at again, so that it is on before anything else.
 */
static int move_head(const struct transfer *t, struct distributor *dist)
{
	const uint32_t group = KVM_DEV_ARM_VGIC_GRP_DIST_REGS;
	int r = move(t, group, GICD_IIDR, &dist->iidr, "GICD_IIDR");

	return r < 0 ? r : move(t, group, GICD_CTLR, &dist->ctlr, "GICD_CTLR");
}

/* How many blocks of SPIs this VM has. */
static int count_blocks(const struct kvm_vm *vm, uint32_t *ret_nr, struct err *err)
{
	uint32_t typer = 0;
	int r = arm64_parts_get(vm->arch->gic, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, GICD_TYPER, &typer,
				"GICD_TYPER", err);

	*ret_nr = typer & 0x1f;
	return r;
}

static int move_shared(const struct transfer *t, struct distributor *dist)
{
	struct place place = { .group = KVM_DEV_ARM_VGIC_GRP_DIST_REGS };
	bool v3 = t->vm->arch->kind == ARM64_BOOT_GICV3;
	int r = 0;

	for (uint32_t i = 0; i < dist->nr_blocks && !r; i++) {
		struct block *block = &dist->blocks[i];

		place.nr = i + 1;
		r = move_block(t, &place, block);
		for (uint32_t k = 0; v3 && k < PER_BLOCK && !r; k++)
			r = move_wide(t, place.group, IROUTER + 8 * (place.nr * PER_BLOCK + k),
				      &block->irouter[k], "GICD_IROUTER");
		if (!r)
			r = v3 ? move_level(t, &place, block) :
				 move_words(t, &place, ITARGETSR, 8, block->itargetsr,
					    "GICD_ITARGETSR");
	}
	return r;
}

/* A vCPU of a GICv3. */

#define GICR_CTLR	0x00000
#define GICR_PROPBASER	0x00070
#define GICR_PENDBASER	0x00078
#define GICR_SGI_BASE	0x10000

#define SYSREG(crn, crm, op2)							\
	(ARM64_SYS_REG(3, 0, crn, crm, op2) & KVM_DEV_ARM_VGIC_SYSREG_INSTR_MASK)

/* ICC_CTLR_EL1.PRIbits tells how many registers of active priorities there are. */
static uint32_t nr_aprs(uint64_t ctlr)
{
	uint32_t bits = (uint32_t)(ctlr >> 8 & 7) + 1;

	return bits > 6 ? 4 : bits > 5 ? 2 : 1;
}

static int move_sysregs(const struct transfer *t, uint64_t cpu, struct redistributor *rd)
{
	const struct {
		uint64_t instr;
		uint64_t *value;
		const char *name;
	} regs[] = {
		{ SYSREG(12, 12, 5), &rd->icc_sre, "ICC_SRE_EL1" },
		{ SYSREG(12, 12, 4), &rd->icc_ctlr, "ICC_CTLR_EL1" },
		{ SYSREG(4, 6, 0), &rd->icc_pmr, "ICC_PMR_EL1" },
		{ SYSREG(12, 8, 3), &rd->icc_bpr0, "ICC_BPR0_EL1" },
		{ SYSREG(12, 12, 3), &rd->icc_bpr1, "ICC_BPR1_EL1" },
		{ SYSREG(12, 12, 6), &rd->icc_igrpen0, "ICC_IGRPEN0_EL1" },
		{ SYSREG(12, 12, 7), &rd->icc_igrpen1, "ICC_IGRPEN1_EL1" },
	};
	const uint32_t group = KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS;
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(regs) && !r; i++)
		r = move(t, group, cpu | regs[i].instr, regs[i].value, regs[i].name);
	for (uint32_t i = 0; i < nr_aprs(rd->icc_ctlr) && !r; i++) {
		r = move(t, group, cpu | SYSREG(12, 8, 4 + i), &rd->icc_ap0r[i],
			 "ICC_AP0R_EL1");
		if (!r)
			r = move(t, group, cpu | SYSREG(12, 9, i), &rd->icc_ap1r[i],
				 "ICC_AP1R_EL1");
	}
	return r;
}

/* Where its tables are cannot be changed once it uses them. */
static int move_redistributor(const struct transfer *t, unsigned id, struct redistributor *rd)
{
	const struct place place = {
		.group = KVM_DEV_ARM_VGIC_GRP_REDIST_REGS,
		.base = GICR_SGI_BASE,
		.cpu = arm64_layout_mpidr(id) << KVM_DEV_ARM_VGIC_V3_MPIDR_SHIFT,
	};
	int r = move_wide(t, place.group, place.cpu | GICR_PROPBASER, &rd->propbaser,
			  "GICR_PROPBASER");

	if (!r)
		r = move_wide(t, place.group, place.cpu | GICR_PENDBASER, &rd->pendbaser,
			      "GICR_PENDBASER");
	if (!r)
		r = move_block(t, &place, &rd->own);
	if (!r)
		r = move_level(t, &place, &rd->own);
	if (!r)
		r = move(t, place.group, place.cpu | GICR_CTLR, &rd->ctlr, "GICR_CTLR");
	return r < 0 ? r : move_sysregs(t, place.cpu, rd);
}

/* A vCPU of a GICv2. */

#define GICD_SPENDSGIR	0xf20

static int move_interface(const struct transfer *t, unsigned id, struct interface *cpu)
{
	const struct place place = {
		.group = KVM_DEV_ARM_VGIC_GRP_DIST_REGS,
		.cpu = (uint64_t)id << KVM_DEV_ARM_VGIC_CPUID_SHIFT,
	};
	const struct {
		uint32_t at;
		uint32_t *value;
		const char *name;
	} regs[] = {
		{ 0x00, &cpu->ctlr, "GICC_CTLR" },
		{ 0x04, &cpu->pmr, "GICC_PMR" },
		{ 0x08, &cpu->bpr, "GICC_BPR" },
		{ 0x1c, &cpu->abpr, "GICC_ABPR" },
		{ 0xd0, &cpu->apr[0], "GICC_APR" },
		{ 0xd4, &cpu->apr[1], "GICC_APR" },
		{ 0xd8, &cpu->apr[2], "GICC_APR" },
		{ 0xdc, &cpu->apr[3], "GICC_APR" },
	};
	int r;

	/* Who has sent an SGI is told by registers of its own. */
	cpu->own.ispendr &= ~SGI_MASK;
	r = move_block(t, &place, &cpu->own);
	if (!r)
		r = move_words(t, &place, GICD_SPENDSGIR, 4, cpu->spendsgir, "GICD_SPENDSGIR");
	for (size_t i = 0; i < ARRAY_LEN(regs) && !r; i++)
		r = move(t, KVM_DEV_ARM_VGIC_GRP_CPU_REGS, place.cpu | regs[i].at, regs[i].value,
			 regs[i].name);
	return r;
}

/* All of it. */

static int save_cpus(const struct transfer *t, struct state_writer *writer)
{
	int r = 0;

	for (unsigned id = 0; id < t->vm->nr_vcpus && !r; id++) {
		struct redistributor rd = { 0 };
		struct interface interface = { 0 };

		if (t->vm->arch->kind == ARM64_BOOT_GICV3) {
			r = move_redistributor(t, id, &rd);
			state_save(writer, &redistributor_table, id, &rd);
		} else {
			r = move_interface(t, id, &interface);
			state_save(writer, &interface_table, id, &interface);
		}
	}
	return r;
}

static int load_cpus(const struct transfer *t, struct state_reader *reader)
{
	int r = 0;

	for (unsigned id = 0; id < t->vm->nr_vcpus && !r; id++) {
		struct redistributor rd = { 0 };
		struct interface interface = { 0 };

		if (t->vm->arch->kind == ARM64_BOOT_GICV3) {
			r = state_load(reader, &redistributor_table, id, &rd, t->err);
			if (!r)
				r = move_redistributor(t, id, &rd);
		} else {
			r = state_load(reader, &interface_table, id, &interface, t->err);
			if (!r)
				r = move_interface(t, id, &interface);
		}
	}
	return r;
}

static const struct state_table *distributor_table(const struct kvm_vm *vm)
{
	return vm->arch->kind == ARM64_BOOT_GICV3 ? &v3_table : &v2_table;
}

int arm64_parts_save_gic(const struct kvm_vm *vm, struct state_writer *writer, struct err *err)
{
	const struct transfer t = { .vm = vm, .err = err };
	struct distributor *dist = calloc(1, sizeof(*dist));
	int r;

	if (!dist)
		return err_sys(err, -ENOMEM, "interrupt controller");
	r = count_blocks(vm, &dist->nr_blocks, err);
	if (!r)
		r = move_head(&t, dist);
	if (!r)
		r = move_shared(&t, dist);
	if (!r)
		state_save(writer, distributor_table(vm), 0, dist);
	free(dist);
	return r < 0 ? r : save_cpus(&t, writer);
}

int arm64_parts_load_gic(const struct kvm_vm *vm, struct state_reader *reader, struct err *err)
{
	const struct transfer t = { .vm = vm, .load = true, .err = err };
	struct distributor *dist = calloc(1, sizeof(*dist));
	uint32_t nr_blocks;
	int r;

	if (!dist)
		return err_sys(err, -ENOMEM, "interrupt controller");
	r = state_load(reader, distributor_table(vm), 0, dist, err);
	if (!r)
		r = count_blocks(vm, &nr_blocks, err);
	if (!r && dist->nr_blocks > nr_blocks)
		r = err_set(err, -ENOTSUP, "the guest has %u shared interrupts, this machine %u",
			    PER_BLOCK * dist->nr_blocks, PER_BLOCK * nr_blocks);
	if (!r)
		r = move_head(&t, dist);
	if (!r)
		r = load_cpus(&t, reader);
	if (!r)
		r = move_shared(&t, dist);
	free(dist);
	return r;
}
