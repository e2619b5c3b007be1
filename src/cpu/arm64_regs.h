/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arm64_regs.h - all registers of a vCPU that KVM lists, as something to keep.
 *
 * Their ids are those of KVM, and say how long each value is.  fd is the vCPU's.  Main.
 */
#ifndef CPU_ARM64_REGS_H
#define CPU_ARM64_REGS_H

#include "cpu/vcpu.h"
#include "state/state.h"

#include <stdint.h>

struct err;

#define ARM64_REGS_MAX		1024
#define ARM64_REGS_BYTES_MAX	(32 * 1024)	/* vectors of 2048 bits take 9 KiB */
#define ARM64_REGS_VALUE_MAX	256		/* bytes of one */
#define ARM64_REGS_NAME_MAX	40

struct arm64_regs {
	uint32_t nr_ids;
	uint64_t ids[ARM64_REGS_MAX];
	uint32_t nr_values;			/* bytes */
	uint8_t values[ARM64_REGS_BYTES_MAX];	/* of all, one after the other */
};

extern const struct state_field arm64_regs_fields[];

/* What the vCPU has. */
int arm64_regs_save(int fd, struct arm64_regs *ret_regs, struct err *err);

/* Of what a stream says: all values are there, and of a length that can be.  -EINVAL. */
int arm64_regs_check(const struct arm64_regs *regs, struct err *err);

/*
 * Of checked ones: give the vCPU all these values but those of counters.  -ENOTSUP names the
 * first that it lacks, or that cannot be changed to this value.
 */
int arm64_regs_load(int fd, const struct arm64_regs *regs, struct err *err);

/* Would arm64_regs_load() do?  Changes at most what identifies the processor. */
int arm64_regs_try(int fd, const struct arm64_regs *regs, struct err *err);

/* The value of this one among checked ones; NULL: it is not there. */
uint8_t *arm64_regs_find(struct arm64_regs *regs, uint64_t id);

/* What vcpu_identity() does. */
unsigned arm64_regs_identity(int fd, struct vcpu_register ret_registers[VCPU_REGISTERS_MAX]);

/* As the architecture has it, where that is known. */
void arm64_regs_name(uint64_t id, char name[ARM64_REGS_NAME_MAX]);

#endif
