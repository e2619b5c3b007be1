// SPDX-License-Identifier: Apache-2.0
/*
 * arm64_state.c - all that makes an arm64 vCPU what it is.
 *
 * That is the registers that KVM lists, and what is pending.  Counters go on where they
 * stopped: each is saved as it was when the VM was paused.  A VM has one of each, which KVM
 * changes for all vCPUs when it is set for one; so the first sets it, before any timer.
 */
#include "arch.h"

#include "arm64_host_parts.h"
#include "arm64_reg.h"
#include "arm64_regs.h"
#include "base/bits.h"
#include "base/err.h"
#include "state/state.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define NOWHERE UINT64_MAX

struct vcpu_state {
	struct arm64_regs regs;
	struct kvm_vcpu_events events;
	uint32_t mp_state;
	uint64_t stolen_at;		/* where stolen time is told */
};

static const struct state_field events_fields[] = {
	{ STATE_ONE(struct kvm_vcpu_events, exception.serror_pending) },
	{ STATE_ONE(struct kvm_vcpu_events, exception.serror_has_esr) },
	{ STATE_ONE(struct kvm_vcpu_events, exception.ext_dabt_pending) },
	{ STATE_ONE(struct kvm_vcpu_events, exception.serror_esr) },
	STATE_END
};

static const struct state_field fields[] = {
	{ STATE_INNER(struct vcpu_state, regs, arm64_regs_fields) },
	{ STATE_INNER(struct vcpu_state, events, events_fields) },
	{ STATE_ONE(struct vcpu_state, mp_state) },
	{ STATE_ONE(struct vcpu_state, stolen_at) },
	STATE_END
};

static const struct state_table table = { .name = "vcpu", .version = 1, .fields = fields };

/* What is compared beforehand. */
static const struct state_table features_table = {
	.name = "features", .version = 1, .hint = true, .fields = arm64_regs_fields,
};

static int ask(int fd, unsigned long request, const void *arg, const char *name,
	       struct err *err)
{
	return ioctl(fd, request, arg) < 0 ? err_sys(err, -errno, "%s", name) : 0;
}

#define ASK(fd, request, arg, err) ask((fd), (request), (arg), #request, (err))

static uint64_t stolen_at(int fd)
{
	uint64_t at = NOWHERE;
	const struct kvm_device_attr attr = {
		.group = KVM_ARM_VCPU_PVTIME_CTRL,
		.attr = KVM_ARM_VCPU_PVTIME_IPA,
		.addr = (uintptr_t)&at,
	};

	return ioctl(fd, KVM_GET_DEVICE_ATTR, &attr) ? NOWHERE : at;
}

/* Older kernels have the first only, and no register of the guest's physical timer. */
static const uint64_t counters[] = { KVM_REG_ARM_TIMER_CNT, KVM_REG_ARM_PTIMER_CNT };

/* As they were at ticks.  All the others took a while, so these are asked for once more. */
static int save_counters(int fd, struct arm64_regs *regs, uint64_t ticks, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(counters) && !r; i++) {
		uint8_t *value = arm64_regs_find(regs, counters[i]);
		uint64_t count;

		if (!value)
			continue;
		r = arm64_reg_get(fd, counters[i], &count);
		count -= arch_ticks() - ticks;
		memcpy(value, &count, sizeof(count));
	}
	return r < 0 ? err_sys(err, r, "KVM does not tell the guest's counter") : 0;
}

static int set_counters(int fd, struct arm64_regs *regs, uint64_t ticks, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(counters) && !r; i++) {
		const uint8_t *value = arm64_regs_find(regs, counters[i]);
		uint64_t count;

		if (!value)
			continue;
		memcpy(&count, value, sizeof(count));
		count += arch_ticks() - ticks;
		r = arm64_reg_set(fd, counters[i], &count);
	}
	return r < 0 ? err_sys(err, r, "KVM does not set the guest's counter") : 0;
}

static int save(int fd, uint64_t ticks, struct vcpu_state *state, struct err *err)
{
	struct kvm_mp_state mp = { 0 };
	int r = ASK(fd, KVM_GET_MP_STATE, &mp, err);

	state->mp_state = mp.mp_state;
	state->stolen_at = stolen_at(fd);
	if (!r)
		r = ASK(fd, KVM_GET_VCPU_EVENTS, &state->events, err);
	if (!r)
		r = arm64_regs_save(fd, &state->regs, err);
	return r < 0 ? r : save_counters(fd, &state->regs, ticks, err);
}

int arch_save(int fd, const struct kvm_vm *vm, unsigned id, uint64_t ticks,
	      struct state_writer *writer, struct err *err)
{
	struct vcpu_state *state = calloc(1, sizeof(*state));
	int r;

	(void)vm;
	if (!state)
		return err_sys(err, -ENOMEM, "vCPU %u", id);
	r = save(fd, ticks, state, err);
	if (!r)
		state_save(writer, &table, id, state);
	free(state);
	return r < 0 ? err_at(err, r, "cannot save vCPU %u", id) : 0;
}

int arch_save_features(int fd, const struct kvm_vm *vm, const struct vcpu_host *host,
		       struct state_writer *writer, struct err *err)
{
	struct arm64_regs *regs = calloc(1, sizeof(*regs));
	int r;

	if (!regs)
		return err_sys(err, -ENOMEM, "registers");
	r = arm64_regs_save(fd, regs, err);
	if (!r)
		r = arm64_host_parts_save(host, vm, fd, writer, err);
	if (!r)
		state_save(writer, &features_table, 0, regs);
	free(regs);
	return r;
}

/* A guest that does not know where it is will not be told of another place. */
static int check_stolen(int fd, const struct vcpu_state *state, struct err *err)
{
	if (state->stolen_at == NOWHERE || state->stolen_at == stolen_at(fd))
		return 0;
	return err_set(err, -ENOTSUP, "the guest is told what time was stolen from it, which this "
		       "host's KVM does not do, or at another address");
}

static int load(int fd, unsigned id, uint64_t ticks, struct vcpu_state *state, struct err *err)
{
	const struct kvm_mp_state mp = { .mp_state = state->mp_state };
	int r = arm64_regs_check(&state->regs, err);

	if (!r)
		r = check_stolen(fd, state, err);
	if (!r && !id)
		r = set_counters(fd, &state->regs, ticks, err);
	if (!r)
		r = arm64_regs_load(fd, &state->regs, err);
	if (!r)
		r = ASK(fd, KVM_SET_VCPU_EVENTS, &state->events, err);
	return r < 0 ? r : ASK(fd, KVM_SET_MP_STATE, &mp, err);
}

int arch_load(int fd, const struct kvm_vm *vm, unsigned id, uint64_t ticks,
	      struct state_reader *reader, struct err *err)
{
	struct vcpu_state *state = calloc(1, sizeof(*state));
	int r;

	(void)vm;
	if (!state)
		return err_sys(err, -ENOMEM, "vCPU %u", id);
	r = state_load(reader, &table, id, state, err);
	if (!r)
		r = load(fd, id, ticks, state, err);
	free(state);
	return r < 0 ? err_at(err, r, "vCPU %u", id) : 0;
}

/* A state without them is as good: the vCPUs themselves are compared when they are loaded. */
int arch_check_features(int fd, const struct kvm_vm *vm, struct state_reader *reader,
			struct err *err)
{
	struct arm64_regs *regs;
	int r;

	(void)vm;
	if (!state_has(reader, &features_table, 0))
		return 0;
	regs = calloc(1, sizeof(*regs));
	if (!regs)
		return err_sys(err, -ENOMEM, "registers");
	r = state_load(reader, &features_table, 0, regs, err);
	if (!r)
		r = arm64_regs_check(regs, err);
	if (!r)
		r = arm64_regs_try(fd, regs, err);
	free(regs);
	return r;
}
