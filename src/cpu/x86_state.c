// SPDX-License-Identifier: Apache-2.0
/*
 * x86_state.c - all that makes an x86 vCPU what it is.
 *
 * The members of KVM's own structs are saved under their own names.  The order of
 * loading is KVM's: CPUID decides which bits of registers and which MSRs there are; the
 * local APIC is where CR and APIC base registers say; its timer's deadline, an MSR, is
 * kept only once the APIC is in that mode, and is compared to the TSC; what is pending
 * comes when all that it may change is in place.
 */
#include "arch.h"

#include "base/bits.h"
#include "base/err.h"
#include "base/log.h"
#include "cpu/vcpu.h"
#include "kvm/kvm.h"
#include "state/state.h"
#include "x86_cpuid.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define MSRS_MAX	512
#define MSR_CHUNK	128
#define XSAVE_MAX	(16 * 1024)	/* AMX takes 11 KiB */
#define NESTED_MAX	(12 * 1024)	/* header and two pages */
#define MSR_TSC		0x10
#define MSR_WALL_CLOCK	0x11		/* of KVM; and by its newer number */
#define MSR_WALL_CLOCK_NEW 0x4b564d00

/* How far apart two clocks of the same frequency may be measured. */
#define TSC_TOLERANCE_PPM 250

struct vcpu_state {
	uint32_t nr_cpuid;
	struct kvm_cpuid_entry2 cpuid[X86_CPUID_ENTRIES_MAX];
	struct kvm_regs regs;
	struct kvm_sregs2 sregs;
	uint32_t nr_xsave;
	uint8_t xsave[XSAVE_MAX];
	struct kvm_xcrs xcrs;
	uint32_t nr_msrs;
	struct kvm_msr_entry msrs[MSRS_MAX];
	uint8_t lapic[KVM_APIC_REG_SIZE];
	struct kvm_vcpu_events events;
	struct kvm_debugregs debugregs;
	uint32_t mp_state;
	uint32_t tsc_khz;		/* 0: unknown */
	uint64_t tsc;			/* when the VM was paused */
	uint32_t nr_nested;		/* 0: there is none */
	uint8_t nested[NESTED_MAX] __attribute__((aligned(8)));
};

static const struct state_field cpuid_fields[] = {
	{ STATE_ONE(struct kvm_cpuid_entry2, function) },
	{ STATE_ONE(struct kvm_cpuid_entry2, index) },
	{ STATE_ONE(struct kvm_cpuid_entry2, flags) },
	{ STATE_ONE(struct kvm_cpuid_entry2, eax) },
	{ STATE_ONE(struct kvm_cpuid_entry2, ebx) },
	{ STATE_ONE(struct kvm_cpuid_entry2, ecx) },
	{ STATE_ONE(struct kvm_cpuid_entry2, edx) },
	STATE_END
};

static const struct state_field regs_fields[] = {
	{ STATE_ONE(struct kvm_regs, rax) },
	{ STATE_ONE(struct kvm_regs, rbx) },
	{ STATE_ONE(struct kvm_regs, rcx) },
	{ STATE_ONE(struct kvm_regs, rdx) },
	{ STATE_ONE(struct kvm_regs, rsi) },
	{ STATE_ONE(struct kvm_regs, rdi) },
	{ STATE_ONE(struct kvm_regs, rsp) },
	{ STATE_ONE(struct kvm_regs, rbp) },
	{ STATE_ONE(struct kvm_regs, r8) },
	{ STATE_ONE(struct kvm_regs, r9) },
	{ STATE_ONE(struct kvm_regs, r10) },
	{ STATE_ONE(struct kvm_regs, r11) },
	{ STATE_ONE(struct kvm_regs, r12) },
	{ STATE_ONE(struct kvm_regs, r13) },
	{ STATE_ONE(struct kvm_regs, r14) },
	{ STATE_ONE(struct kvm_regs, r15) },
	{ STATE_ONE(struct kvm_regs, rip) },
	{ STATE_ONE(struct kvm_regs, rflags) },
	STATE_END
};

static const struct state_field segment_fields[] = {
	{ STATE_ONE(struct kvm_segment, base) },
	{ STATE_ONE(struct kvm_segment, limit) },
	{ STATE_ONE(struct kvm_segment, selector) },
	{ STATE_ONE(struct kvm_segment, type) },
	{ STATE_ONE(struct kvm_segment, present) },
	{ STATE_ONE(struct kvm_segment, dpl) },
	{ STATE_ONE(struct kvm_segment, db) },
	{ STATE_ONE(struct kvm_segment, s) },
	{ STATE_ONE(struct kvm_segment, l) },
	{ STATE_ONE(struct kvm_segment, g) },
	{ STATE_ONE(struct kvm_segment, avl) },
	{ STATE_ONE(struct kvm_segment, unusable) },
	STATE_END
};

static const struct state_field dtable_fields[] = {
	{ STATE_ONE(struct kvm_dtable, base) },
	{ STATE_ONE(struct kvm_dtable, limit) },
	STATE_END
};

static const struct state_field sregs_fields[] = {
	{ STATE_INNER(struct kvm_sregs2, cs, segment_fields) },
	{ STATE_INNER(struct kvm_sregs2, ds, segment_fields) },
	{ STATE_INNER(struct kvm_sregs2, es, segment_fields) },
	{ STATE_INNER(struct kvm_sregs2, fs, segment_fields) },
	{ STATE_INNER(struct kvm_sregs2, gs, segment_fields) },
	{ STATE_INNER(struct kvm_sregs2, ss, segment_fields) },
	{ STATE_INNER(struct kvm_sregs2, tr, segment_fields) },
	{ STATE_INNER(struct kvm_sregs2, ldt, segment_fields) },
	{ STATE_INNER(struct kvm_sregs2, gdt, dtable_fields) },
	{ STATE_INNER(struct kvm_sregs2, idt, dtable_fields) },
	{ STATE_ONE(struct kvm_sregs2, cr0) },
	{ STATE_ONE(struct kvm_sregs2, cr2) },
	{ STATE_ONE(struct kvm_sregs2, cr3) },
	{ STATE_ONE(struct kvm_sregs2, cr4) },
	{ STATE_ONE(struct kvm_sregs2, cr8) },
	{ STATE_ONE(struct kvm_sregs2, efer) },
	{ STATE_ONE(struct kvm_sregs2, apic_base) },
	{ STATE_ONE(struct kvm_sregs2, flags) },
	{ STATE_ARRAY(struct kvm_sregs2, pdptrs) },
	STATE_END
};

static const struct state_field xcr_fields[] = {
	{ STATE_ONE(struct kvm_xcr, xcr) },
	{ STATE_ONE(struct kvm_xcr, value) },
	STATE_END
};

static const struct state_field msr_fields[] = {
	{ STATE_ONE(struct kvm_msr_entry, index) },
	{ STATE_ONE(struct kvm_msr_entry, data) },
	STATE_END
};

static const struct state_field events_fields[] = {
	{ STATE_ONE(struct kvm_vcpu_events, exception.injected) },
	{ STATE_ONE(struct kvm_vcpu_events, exception.nr) },
	{ STATE_ONE(struct kvm_vcpu_events, exception.has_error_code) },
	{ STATE_ONE(struct kvm_vcpu_events, exception.pending) },
	{ STATE_ONE(struct kvm_vcpu_events, exception.error_code) },
	{ STATE_ONE(struct kvm_vcpu_events, interrupt.injected) },
	{ STATE_ONE(struct kvm_vcpu_events, interrupt.nr) },
	{ STATE_ONE(struct kvm_vcpu_events, interrupt.soft) },
	{ STATE_ONE(struct kvm_vcpu_events, interrupt.shadow) },
	{ STATE_ONE(struct kvm_vcpu_events, nmi.injected) },
	{ STATE_ONE(struct kvm_vcpu_events, nmi.pending) },
	{ STATE_ONE(struct kvm_vcpu_events, nmi.masked) },
	{ STATE_ONE(struct kvm_vcpu_events, sipi_vector) },
	{ STATE_ONE(struct kvm_vcpu_events, flags) },
	{ STATE_ONE(struct kvm_vcpu_events, smi.smm) },
	{ STATE_ONE(struct kvm_vcpu_events, smi.pending) },
	{ STATE_ONE(struct kvm_vcpu_events, smi.smm_inside_nmi) },
	{ STATE_ONE(struct kvm_vcpu_events, smi.latched_init) },
	STATE_END
};

static const struct state_field debugregs_fields[] = {
	{ STATE_ARRAY(struct kvm_debugregs, db) },
	{ STATE_ONE(struct kvm_debugregs, dr6) },
	{ STATE_ONE(struct kvm_debugregs, dr7) },
	STATE_END
};

static const struct state_field fields[] = {
	{ STATE_STRUCT_LIST(struct vcpu_state, cpuid, nr_cpuid, cpuid_fields) },
	{ STATE_INNER(struct vcpu_state, regs, regs_fields) },
	{ STATE_INNER(struct vcpu_state, sregs, sregs_fields) },
	{ STATE_LIST(struct vcpu_state, xsave, nr_xsave) },
	{ STATE_STRUCT_LIST(struct vcpu_state, xcrs.xcrs, xcrs.nr_xcrs, xcr_fields) },
	{ STATE_STRUCT_LIST(struct vcpu_state, msrs, nr_msrs, msr_fields) },
	{ STATE_ARRAY(struct vcpu_state, lapic) },
	{ STATE_INNER(struct vcpu_state, events, events_fields) },
	{ STATE_INNER(struct vcpu_state, debugregs, debugregs_fields) },
	{ STATE_ONE(struct vcpu_state, mp_state) },
	{ STATE_ONE(struct vcpu_state, tsc_khz) },
	{ STATE_ONE(struct vcpu_state, tsc) },
	{ STATE_LIST(struct vcpu_state, nested, nr_nested) },
	STATE_END
};

static const struct state_table table = { .name = "vcpu", .version = 1, .fields = fields };

/* Of the same, what is compared beforehand. */
static const struct state_field feature_fields[] = {
	{ STATE_STRUCT_LIST(struct vcpu_state, cpuid, nr_cpuid, cpuid_fields) },
	{ STATE_ONE(struct vcpu_state, tsc_khz) },
	STATE_END
};

static const struct state_table features_table = {
	.name = "features", .version = 1, .hint = true, .fields = feature_fields,
};

/* Of the VM, not of the vCPU. */
static int capability(const struct kvm_vm *vm, int capability)
{
	return kvm_capability(kvm_vm_system_fd(vm), capability);
}

static int ask(int fd, unsigned long request, const void *arg, const char *name,
	       struct err *err)
{
	return ioctl(fd, request, arg) < 0 ? err_sys(err, -errno, "%s", name) : 0;
}

#define ASK(fd, request, arg, err) ask((fd), (request), (arg), #request, (err))

/* Saving. */

static int save_cpuid(int fd, struct vcpu_state *state, struct err *err)
{
	struct kvm_cpuid2 *cpuid = x86_cpuid_new();
	int r;

	if (!cpuid)
		return err_sys(err, -ENOMEM, "CPUID");
	r = ASK(fd, KVM_GET_CPUID2, cpuid, err);
	if (!r) {
		state->nr_cpuid = cpuid->nent;
		memcpy(state->cpuid, cpuid->entries, cpuid->nent * sizeof(cpuid->entries[0]));
	}
	free(cpuid);
	return r;
}

static int save_sregs(int fd, const struct kvm_vm *vm, struct vcpu_state *state,
		      struct err *err)
{
	struct kvm_sregs old;
	int r;

	if (capability(vm, KVM_CAP_SREGS2) > 0)
		return ASK(fd, KVM_GET_SREGS2, &state->sregs, err);
	r = ASK(fd, KVM_GET_SREGS, &old, err);
	/* The same members, up to the last but one. */
	memcpy(&state->sregs, &old, offsetof(struct kvm_sregs, interrupt_bitmap));
	return r;
}

static int save_xsave(int fd, const struct kvm_vm *vm, struct vcpu_state *state,
		      struct err *err)
{
	int len = capability(vm, KVM_CAP_XSAVE2);

	if (len > XSAVE_MAX)
		return err_set(err, -E2BIG,
			       "the vector registers take %d bytes, more than "
			       "this release knows",
			       len);
	state->nr_xsave = len > 0 ? (uint32_t)len : sizeof(struct kvm_xsave);
	return len > 0 ? ASK(fd, KVM_GET_XSAVE2, state->xsave, err)
		       : ASK(fd, KVM_GET_XSAVE, state->xsave, err);
}

/* KVM takes 255 at a time. */
union msr_chunk {
	struct kvm_msrs msrs;
	uint8_t room[sizeof(struct kvm_msrs) + MSR_CHUNK * sizeof(struct kvm_msr_entry)];
};

/*
 * The TSC is kept by itself.  And to write where the wall clock is to be has KVM put it there,
 * of a time when its own clock is not loaded yet; what the guest has in its memory is right.
 */
static bool is_state(uint32_t index)
{
	return index != MSR_TSC && index != MSR_WALL_CLOCK && index != MSR_WALL_CLOCK_NEW;
}

/* Which MSRs there are. */
static int list_msrs(const struct kvm_vm *vm, struct vcpu_state *state, struct err *err)
{
	struct kvm_msr_list *list = calloc(1, sizeof(*list) + MSRS_MAX * sizeof(uint32_t));
	int r;

	if (!list)
		return err_sys(err, -ENOMEM, "MSRs");
	list->nmsrs = MSRS_MAX;
	r = ASK(kvm_vm_system_fd(vm), KVM_GET_MSR_INDEX_LIST, list, err);
	for (uint32_t i = 0; i < list->nmsrs && !r; i++)
		if (is_state(list->indices[i]))
			state->msrs[state->nr_msrs++].index = list->indices[i];
	free(list);
	return r;
}

/* How many KVM deals with of the nr from here on, before the first that it does not. */
static int some_msrs(int fd, unsigned long request, struct kvm_msr_entry *entries, uint32_t nr,
		     struct err *err)
{
	union msr_chunk chunk = { .msrs.nmsrs = nr < MSR_CHUNK ? nr : MSR_CHUNK };
	size_t len = chunk.msrs.nmsrs * sizeof(*entries);
	int done;

	memcpy(chunk.msrs.entries, entries, len);
	done = ioctl(fd, request, &chunk);
	if (done < 0)
		return err_sys(err, -errno, "MSRs from %#x on", entries->index);
	memcpy(entries, chunk.msrs.entries, len);
	return done;
}

/* Those that this vCPU has: KVM lists all that it knows. */
static int save_msrs(int fd, const struct kvm_vm *vm, struct vcpu_state *state,
		     struct err *err)
{
	uint32_t at = 0;
	int r = list_msrs(vm, state, err);

	while (r >= 0 && at < state->nr_msrs) {
		uint32_t left = state->nr_msrs - at;

		r = some_msrs(fd, KVM_GET_MSRS, state->msrs + at, left, err);
		if (r < 0)
			break;
		at += (uint32_t)r;
		if (r == MSR_CHUNK || at == state->nr_msrs)
			continue;
		state->nr_msrs--;
		memmove(state->msrs + at, state->msrs + at + 1,
			(state->nr_msrs - at) * sizeof(state->msrs[0]));
	}
	return r < 0 ? r : 0;
}

/* How far the guest's counter is ahead of the host's; false: KVM does not tell. */
static bool tsc_offset(int fd, unsigned long request, uint64_t *offset)
{
	const struct kvm_device_attr attr = {
		.group = KVM_VCPU_TSC_CTRL,
		.attr = KVM_VCPU_TSC_OFFSET,
		.addr = (uintptr_t)offset,
	};

	return !ioctl(fd, request, &attr);
}

static uint32_t tsc_khz(int fd)
{
	int khz = ioctl(fd, KVM_GET_TSC_KHZ);

	return khz > 0 ? (uint32_t)khz : 0;
}

static int save_tsc(int fd, uint64_t ticks, struct vcpu_state *state, struct err *err)
{
	struct kvm_msr_entry tsc = { .index = MSR_TSC };
	uint64_t offset, now;
	int r;

	state->tsc_khz = tsc_khz(fd);
	if (tsc_offset(fd, KVM_GET_DEVICE_ATTR, &offset)) {
		state->tsc = ticks + offset;
		return 0;
	}
	now = arch_ticks();
	r = some_msrs(fd, KVM_GET_MSRS, &tsc, 1, err);
	state->tsc = tsc.data - (now - ticks);
	return r == 1 ? 0 : r < 0 ? r : err_set(err, -ENOTSUP, "KVM does not tell the time stamp "
						"counter");
}

static int save_nested(int fd, const struct kvm_vm *vm, struct vcpu_state *state,
		       struct err *err)
{
	struct kvm_nested_state *nested = (struct kvm_nested_state *)state->nested;

	if (capability(vm, KVM_CAP_NESTED_STATE) <= 0)
		return 0;
	nested->size = NESTED_MAX;
	if (ioctl(fd, KVM_GET_NESTED_STATE, nested)) {
		/* A vCPU that cannot run guests has none. */
		if (errno == EINVAL || errno == ENOTTY)
			return 0;
		return err_sys(err, -errno, "KVM_GET_NESTED_STATE");
	}
	state->nr_nested = nested->size;
	return 0;
}

static int save(int fd, const struct kvm_vm *vm, uint64_t ticks, struct vcpu_state *state,
		struct err *err)
{
	struct kvm_lapic_state lapic = { 0 };
	struct kvm_mp_state mp = { 0 };
	int r;

	/* First: to answer this, KVM takes in what has come, such as an INIT. */
	r = ASK(fd, KVM_GET_MP_STATE, &mp, err);
	state->mp_state = mp.mp_state;
	/* Then what is pending: an exception's address goes to CR2, its cause to DR6 by this. */
	if (!r)
		r = ASK(fd, KVM_GET_VCPU_EVENTS, &state->events, err);
	if (!r)
		r = save_cpuid(fd, state, err);
	if (!r)
		r = ASK(fd, KVM_GET_REGS, &state->regs, err);
	if (!r)
		r = save_sregs(fd, vm, state, err);
	if (!r)
		r = save_xsave(fd, vm, state, err);
	if (!r)
		r = ASK(fd, KVM_GET_XCRS, &state->xcrs, err);
	if (!r)
		r = save_msrs(fd, vm, state, err);
	if (!r)
		r = ASK(fd, KVM_GET_LAPIC, &lapic, err);
	memcpy(state->lapic, lapic.regs, sizeof(state->lapic));
	if (!r)
		r = ASK(fd, KVM_GET_DEBUGREGS, &state->debugregs, err);
	if (!r)
		r = save_nested(fd, vm, state, err);
	return r < 0 ? r : save_tsc(fd, ticks, state, err);
}

int arch_save(int fd, const struct kvm_vm *vm, unsigned id, uint64_t ticks,
	      struct state_writer *writer, struct err *err)
{
	struct vcpu_state *state = calloc(1, sizeof(*state));
	int r;

	if (!state)
		return err_sys(err, -ENOMEM, "vCPU %u", id);
	r = save(fd, vm, ticks, state, err);
	if (!r)
		state_save(writer, &table, id, state);
	free(state);
	return r < 0 ? err_at(err, r, "cannot save vCPU %u", id) : 0;
}

int arch_save_features(int fd, const struct kvm_vm *vm, const struct vcpu_host *host,
		       struct state_writer *writer, struct err *err)
{
	struct vcpu_state *state = calloc(1, sizeof(*state));
	int r;

	(void)vm, (void)host;
	if (!state)
		return err_sys(err, -ENOMEM, "CPUID");
	r = save_cpuid(fd, state, err);
	state->tsc_khz = tsc_khz(fd);
	if (!r)
		state_save(writer, &features_table, 0, state);
	free(state);
	return r;
}

/* Loading. */

/*
 * The new vCPU has what this host can give: as far as the guest sees it, not as it was set.
 * If all of the saved one is there, it gets just that.
 */
static int load_cpuid(int fd, const struct vcpu_state *state, bool set, struct err *err)
{
	struct kvm_cpuid2 *saved = x86_cpuid_new(), *ours = x86_cpuid_new();
	int r = saved && ours ? 0 : err_sys(err, -ENOMEM, "CPUID");

	if (!r)
		r = ASK(fd, KVM_GET_CPUID2, ours, err);
	if (!r) {
		saved->nent = state->nr_cpuid;
		memcpy(saved->entries, state->cpuid, saved->nent * sizeof(saved->entries[0]));
		r = x86_cpuid_check(saved, ours, err);
	}
	if (!r && set)
		r = ASK(fd, KVM_SET_CPUID2, saved, err);
	free(saved);
	free(ours);
	return r;
}

static int load_tsc_khz(int fd, const struct kvm_vm *vm, const struct vcpu_state *state,
			bool set, struct err *err)
{
	uint64_t ours = tsc_khz(fd), theirs = state->tsc_khz;
	uint64_t apart = ours > theirs ? ours - theirs : theirs - ours;

	if (!ours || !theirs || apart * 1000000 <= theirs * TSC_TOLERANCE_PPM)
		return 0;
	if (capability(vm, KVM_CAP_TSC_CONTROL) <= 0)
		return err_set(err, -ENOTSUP,
			       "the guest's time stamp counter runs at %u kHz, "
			       "this processor's at %u kHz, and it cannot be scaled: let the "
			       "guest go on where there is the same processor",
			       state->tsc_khz, (uint32_t)ours);
	return set && ioctl(fd, KVM_SET_TSC_KHZ, (unsigned long)state->tsc_khz) < 0
		       ? err_sys(err, -errno, "KVM_SET_TSC_KHZ")
		       : 0;
}

static int load_tsc(int fd, uint64_t ticks, const struct vcpu_state *state, struct err *err)
{
	uint64_t offset = state->tsc - ticks;
	struct kvm_msr_entry tsc = { .index = MSR_TSC };
	int r;

	if (tsc_offset(fd, KVM_SET_DEVICE_ATTR, &offset))
		return 0;
	tsc.data = state->tsc + (arch_ticks() - ticks);
	r = some_msrs(fd, KVM_SET_MSRS, &tsc, 1, err);
	return r == 1 ? 0 : r < 0 ? r : err_set(err, -ENOTSUP, "KVM does not set the time stamp "
						"counter");
}

static int load_sregs(int fd, const struct kvm_vm *vm, struct vcpu_state *state,
		      struct err *err)
{
	struct kvm_sregs old = { 0 };

	if (capability(vm, KVM_CAP_SREGS2) > 0)
		return ASK(fd, KVM_SET_SREGS2, &state->sregs, err);
	memcpy(&old, &state->sregs, offsetof(struct kvm_sregs, interrupt_bitmap));
	return ASK(fd, KVM_SET_SREGS, &old, err);
}

/* One that KVM does not take is left out: software hosts refuse some that they list. */
static int load_msrs(int fd, struct vcpu_state *state, struct err *err)
{
	uint32_t nr = 0, at = 0;

	/* Older streams have all that KVM lists. */
	for (uint32_t i = 0; i < state->nr_msrs; i++)
		if (is_state(state->msrs[i].index))
			state->msrs[nr++] = state->msrs[i];
	state->nr_msrs = nr;
	while (at < state->nr_msrs) {
		int r = some_msrs(fd, KVM_SET_MSRS, state->msrs + at, state->nr_msrs - at, err);

		if (r < 0)
			return r;
		at += (uint32_t)r;
		if (r < MSR_CHUNK && at < state->nr_msrs)
			log_debug("KVM does not take MSR %#x", state->msrs[at++].index);
	}
	return 0;
}

static int load_nested(int fd, const struct kvm_vm *vm, const struct vcpu_state *state,
		       struct err *err)
{
	const struct kvm_nested_state *nested = (const struct kvm_nested_state *)state->nested;

	if (!state->nr_nested)
		return 0;
	if (state->nr_nested < sizeof(*nested) || nested->size != state->nr_nested)
		return err_set(err, -EINVAL, "state: the nested state is cut off");
	if (capability(vm, KVM_CAP_NESTED_STATE) <= 0)
		return err_set(err, -ENOTSUP,
			       "the guest may run guests of its own, which this "
			       "host's KVM does not allow");
	return ASK(fd, KVM_SET_NESTED_STATE, nested, err);
}

static int load(int fd, const struct kvm_vm *vm, uint64_t ticks, struct vcpu_state *state,
		struct err *err)
{
	const struct kvm_mp_state mp = { .mp_state = state->mp_state };
	struct kvm_lapic_state lapic;
	int r = load_sregs(fd, vm, state, err);

	memcpy(lapic.regs, state->lapic, sizeof(state->lapic));
	if (!r)
		r = load_tsc(fd, ticks, state, err);
	if (!r)
		r = ASK(fd, KVM_SET_LAPIC, &lapic, err);
	if (!r)
		r = load_msrs(fd, state, err);
	/* A host without XSAVE has none, and takes none either. */
	if (!r && state->xcrs.nr_xcrs)
		r = ASK(fd, KVM_SET_XCRS, &state->xcrs, err);
	if (!r)
		r = ASK(fd, KVM_SET_XSAVE, state->xsave, err);
	if (!r)
		r = ASK(fd, KVM_SET_REGS, &state->regs, err);
	if (!r)
		r = load_nested(fd, vm, state, err);
	if (!r)
		r = ASK(fd, KVM_SET_DEBUGREGS, &state->debugregs, err);
	if (!r)
		r = ASK(fd, KVM_SET_MP_STATE, &mp, err);
	return r < 0 ? r : ASK(fd, KVM_SET_VCPU_EVENTS, &state->events, err);
}

int arch_load(int fd, const struct kvm_vm *vm, unsigned id, uint64_t ticks,
	      struct state_reader *reader, struct err *err)
{
	struct vcpu_state *state = calloc(1, sizeof(*state));
	int r;

	if (!state)
		return err_sys(err, -ENOMEM, "vCPU %u", id);
	r = state_load(reader, &table, id, state, err);
	if (!r && state->nr_xsave < sizeof(struct kvm_xsave))
		r = err_set(err, -EINVAL, "state: the vector registers are cut off");
	if (!r)
		r = load_cpuid(fd, state, true, err);
	if (!r)
		r = load_tsc_khz(fd, vm, state, true, err);
	if (!r)
		r = load(fd, vm, ticks, state, err);
	free(state);
	return r < 0 ? err_at(err, r, "vCPU %u", id) : 0;
}

/* With a whole state it need not be done: the vCPUs are compared when they are loaded. */
int arch_check_features(int fd, const struct kvm_vm *vm, struct state_reader *reader,
			struct err *err)
{
	struct vcpu_state *state;
	int r;

	if (state_has(reader, &table, 0) || !state_has(reader, &features_table, 0))
		return 0;
	state = calloc(1, sizeof(*state));
	if (!state)
		return err_sys(err, -ENOMEM, "CPUID");
	r = state_load(reader, &features_table, 0, state, err);
	if (!r)
		r = load_cpuid(fd, state, false, err);
	if (!r)
		r = load_tsc_khz(fd, vm, state, false, err);
	free(state);
	return r;
}
