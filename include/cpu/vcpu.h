/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vcpu.h - a virtual CPU: a KVM vCPU and the thread that runs it.
 *
 * Life of a vCPU:
 *
 *	new --start()--> running --stop()--> stopped --free()
 *	                  ^   |
 *	         resume() |   | pause(), await_pause()
 *	                  |   v
 *	                 paused
 *
 * The thread does nothing but KVM_RUN and carry accesses to the buses.  What
 * ends a guest comes through the owner's died(); a guest that switches itself
 * off does so through a device, or through asked() where KVM is its firmware.
 */
#ifndef CPU_VCPU_H
#define CPU_VCPU_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct boot_entry;
struct bus;
struct err;
struct kvm_vm;
struct state_reader;
struct state_writer;
struct vcpu;
struct vcpu_host;

/*
 * What vCPUs can be on this host.  Asked for once for all of a VM, before the
 * first is made, since KVM takes long to answer.  Main.
 */
int vcpu_host_new(struct vcpu_host **ret_host, const struct kvm_vm *vm, struct err *err);
struct vcpu_host *vcpu_host_free(struct vcpu_host *host);	/* -> NULL */

/*
 * They are to be what those of a saved VM were: for what has to be known before one is made,
 * from the plan or state that vcpu_save_features() was called for.  -ENOTSUP: this host
 * lacks some of it.  Before the first is made.  Main.
 */
int vcpu_host_limit(struct vcpu_host *host, const struct kvm_vm *vm,
		    struct state_reader *reader, struct err *err);

/* How many bits a guest-physical address has. */
unsigned vcpu_host_address_bits(const struct vcpu_host *host);

/* One of those that tell a guest what its processor is and can do. */
struct vcpu_register {
	const char *name;		/* the architecture's, for ever */
	uint64_t value;
};

#define VCPU_REGISTERS_MAX	32

/* What a guest asks of the firmware that KVM plays for it (PSCI of Arm). */
enum vcpu_request {
	VCPU_REQUEST_OFF,
	VCPU_REQUEST_RESET,
};

struct vcpu_config {
	struct kvm_vm *vm;
	const struct vcpu_host *host;
	struct bus *mmio, *pio;
	unsigned nr_cpus;		/* of the VM; ids are 0 to nr_cpus-1 */

	/*
	 * This vCPU cannot go on: triple fault, KVM internal error.  Runs on
	 * the vCPU's thread, which ends afterwards.  why is part of a sentence.
	 */
	void (*died)(void *ctx, struct vcpu *vcpu, const char *why);

	/* On the vCPU's thread, which then waits in KVM for its end. */
	void (*asked)(void *ctx, enum vcpu_request request);
	void *ctx;
};

/*
 * Exits to user space since the start: accesses of the guest to ports and to
 * device memory, interruptions by signals, and the rest.
 */
struct vcpu_exits {
	uint64_t pio, mmio, signal, other;
};

/* All that config points to outlives the vCPU.  Main. */
int vcpu_new(struct vcpu **ret_vcpu, const struct vcpu_config *config, unsigned id,
	     struct err *err);
struct vcpu *vcpu_free(struct vcpu *vcpu);	/* -> NULL */

/* Once the interrupt controllers are complete (kvm.h).  Main. */
int vcpu_complete(struct vcpu *vcpu, struct err *err);

/* The first vCPU starts here, the others wait for it to start them.  Before start. */
int vcpu_set_entry(struct vcpu *vcpu, const struct boot_entry *entry, struct err *err);

/*
 * All of it, as a section "vcpu" of its id.  ticks says when the VM was paused (as
 * vcpu_ticks() has it), or from when on the new one counts as paused: the guest's own
 * counter has the same value at both.  Save while paused, load before start.  What the
 * saved vCPU can do and this host cannot is told by -ENOTSUP.  Main.
 */
int vcpu_save(struct vcpu *vcpu, uint64_t ticks, struct state_writer *writer,
	      struct err *err);
int vcpu_load(struct vcpu *vcpu, uint64_t ticks, struct state_reader *reader,
	      struct err *err);

/*
 * What a vCPU can do, as a section of its own, to be compared before there is a state to
 * load: -ENOTSUP as above.  While paused or before start.  Main.
 */
int vcpu_save_features(struct vcpu *vcpu, struct state_writer *writer, struct err *err);
int vcpu_check_features(struct vcpu *vcpu, struct state_reader *reader, struct err *err);

/* Paused from the first instruction on if it was paused before.  Main. */
int vcpu_start(struct vcpu *vcpu, struct err *err);

/*
 * Out of the guest, with every access it has begun complete.  The thread stays,
 * with whatever its user has bound it to.  All vCPUs of a VM are told first and
 * awaited then; a vCPU that died counts as paused.  Main.
 */
void vcpu_pause(struct vcpu *vcpu);
void vcpu_await_pause(struct vcpu *vcpu);

/*
 * ticks says for how long the VM was paused, as the difference of two
 * vcpu_ticks(): the guest's own counter goes on where it stopped.  Of all vCPUs, before
 * the first one is resumed: KVM takes counters that differ for unstable.  Main.
 */
void vcpu_skip_ticks(struct vcpu *vcpu, uint64_t ticks);
void vcpu_resume(struct vcpu *vcpu);
uint64_t vcpu_ticks(void);
uint64_t vcpu_ticks_in(const struct vcpu *vcpu, uint64_t ns);	/* 0: KVM does not tell */

/*
 * Of one that is not paused: out of the guest as soon as may be, and back.  Its clocks go
 * on meanwhile.  It can be paused and stopped as ever, and resume() ends a rest.  Main.
 */
void vcpu_rest(struct vcpu *vcpu, bool rest);

/* A non-maskable interrupt; takes the vCPU out of the guest for a moment.  Main. */
int vcpu_nmi(struct vcpu *vcpu);

/* Of its thread, for the kernel; 0 before the start.  Any thread. */
int vcpu_thread_id(const struct vcpu *vcpu);

/* Returns when the thread has ended; none was started: does nothing.  Main. */
void vcpu_stop(struct vcpu *vcpu);

unsigned vcpu_id(const struct vcpu *vcpu);

/* For kvm_stats_new(); likewise.  Main. */
int vcpu_stats_fd(struct vcpu *vcpu, struct err *err);

/*
 * Those that KVM shows, in the architecture's order: how many, none where a guest asks by an
 * instruction instead (CPUID of x86).  Takes it out of the guest for a moment.  Main.
 */
unsigned vcpu_identity(struct vcpu *vcpu,
		       struct vcpu_register ret_registers[VCPU_REGISTERS_MAX]);

/* Any thread; numbers of a running vCPU lag behind. */
struct vcpu_exits vcpu_exits(const struct vcpu *vcpu);

/* Print the registers; from died() or while stopped. */
void vcpu_print(struct vcpu *vcpu, FILE *out);

#endif
