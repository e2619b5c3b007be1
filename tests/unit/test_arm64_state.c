// SPDX-License-Identifier: Apache-2.0
/* A vCPU as KVM shows it is saved, and loaded into another; then from a state that lies. */
#include "cpu/arch.h"

#include "base/bits.h"
#include "base/err.h"
#include "cpu/arm64_reg.h"
#include "state/state.h"
#include "stream_repair.h"

#include <check.h>
#include <errno.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define ANY_FD		3
#define PC		ARM64_REG_CORE(regs.pc)
#define V0		(KVM_REG_ARM64 | KVM_REG_SIZE_U128 | KVM_REG_ARM_CORE |		\
			 KVM_REG_ARM_CORE_REG(fp_regs.vregs[0]))
#define MIDR		(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM64_SYSREG | 0xc000)
#define CCSIDR		(KVM_REG_ARM64 | KVM_REG_SIZE_U32 | KVM_REG_ARM_DEMUX | 2)
#define TICKS		(UINT64_C(1) << 40)	/* hours */
#define STOLEN_AT	UINT64_C(0x40100000)

struct reg {
	uint64_t id;
	uint8_t value[16];
	unsigned nr_sets;
};

static const uint64_t ids[] = {
	PC, V0, KVM_REG_ARM_TIMER_CNT, KVM_REG_ARM_PTIMER_CNT, MIDR, CCSIDR,
};

static struct {
	struct reg regs[ARRAY_LEN(ids)];
	struct kvm_vcpu_events events;
	struct kvm_mp_state mp;
	uint64_t stolen_at;
} vcpu;

static int refuse(int code)
{
	errno = code;
	return -1;
}

static struct reg *find(uint64_t id)
{
	for (size_t i = 0; i < ARRAY_LEN(vcpu.regs); i++)
		if (vcpu.regs[i].id == id)
			return &vcpu.regs[i];
	return NULL;
}

static int list(struct kvm_reg_list *list)
{
	list->n = ARRAY_LEN(ids);
	memcpy(list->reg, ids, sizeof(ids));
	return 0;
}

static int one_reg(const struct kvm_one_reg *one, bool set)
{
	struct reg *reg = find(one->id);
	void *value = (void *)(uintptr_t)one->addr;

	if (!reg)
		return refuse(ENOENT);
	if (!set) {
		memcpy(value, reg->value, arm64_reg_len(reg->id));
		return 0;
	}
	if (reg->id == MIDR && memcmp(reg->value, value, 8))
		return refuse(EINVAL);
	memcpy(reg->value, value, arm64_reg_len(reg->id));
	reg->nr_sets++;
	return 0;
}

/* What it knows of them, as KVM does. */
static int set_events(const struct kvm_vcpu_events *events)
{
	if (events->exception.serror_pending > 1 || events->exception.ext_dabt_pending > 1)
		return refuse(EINVAL);
	vcpu.events = *events;
	return 0;
}

static int set_mp_state(const struct kvm_mp_state *mp)
{
	if (mp->mp_state != KVM_MP_STATE_RUNNABLE && mp->mp_state != KVM_MP_STATE_STOPPED)
		return refuse(EINVAL);
	vcpu.mp = *mp;
	return 0;
}

/* In the place of the C library's. */
int ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *arg;

	(void)fd;
	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	switch (request) {
	case KVM_GET_REG_LIST:
		return list(arg);
	case KVM_GET_ONE_REG:
	case KVM_SET_ONE_REG:
		return one_reg(arg, request == KVM_SET_ONE_REG);
	case KVM_GET_VCPU_EVENTS:
		*(struct kvm_vcpu_events *)arg = vcpu.events;
		return 0;
	case KVM_SET_VCPU_EVENTS:
		return set_events(arg);
	case KVM_GET_MP_STATE:
		*(struct kvm_mp_state *)arg = vcpu.mp;
		return 0;
	case KVM_SET_MP_STATE:
		return set_mp_state(arg);
	case KVM_GET_DEVICE_ATTR:
		*(uint64_t *)(uintptr_t)((struct kvm_device_attr *)arg)->addr = vcpu.stolen_at;
		return 0;
	default:
		return refuse(ENOTTY);
	}
}

static struct err err;
static uint8_t saved[4096];
static size_t saved_len;

/* A vCPU in which nothing has happened. */
static void renew(void)
{
	memset(&vcpu, 0, sizeof(vcpu));
	for (size_t i = 0; i < ARRAY_LEN(ids); i++)
		vcpu.regs[i].id = ids[i];
	memset(find(MIDR)->value, 0xc1, 8);
	vcpu.stolen_at = STOLEN_AT;
	err = (struct err){ 0 };
}

static void save(void)
{
	struct state_writer *writer = state_writer_new("test");
	const void *bytes;

	ck_assert_int_eq(arch_save(ANY_FD, NULL, 0, arch_ticks(), writer, &err), 0);
	ck_assert_int_eq(state_writer_end(writer, &bytes, &saved_len), 0);
	ck_assert_uint_le(saved_len, sizeof(saved));
	memcpy(saved, bytes, saved_len);
	state_writer_free(writer);
}

static void setup(void)
{
	renew();
	for (size_t i = 0; i < ARRAY_LEN(ids); i++)
		memset(vcpu.regs[i].value, ids[i] == MIDR ? 0xc1 : (int)i + 1, 16);
	vcpu.events.exception.serror_pending = 1;
	vcpu.mp.mp_state = KVM_MP_STATE_STOPPED;
	save();
	renew();
}

static int load_bytes(const uint8_t *bytes, size_t len, uint64_t ticks)
{
	struct state_reader *reader;
	int r = state_reader_new(&reader, bytes, len, &err);

	if (r < 0)
		return r;
	r = arch_load(ANY_FD, NULL, 0, ticks, reader, &err);
	state_reader_free(reader);
	return r;
}

static uint64_t value_of(uint64_t id)
{
	uint64_t value;

	memcpy(&value, find(id)->value, sizeof(value));
	return value;
}

START_TEST(vcpu_is_what_it_was)
{
	ck_assert_int_eq(load_bytes(saved, saved_len, arch_ticks()), 0);

	ck_assert_uint_eq(value_of(PC), 0x0101010101010101);
	ck_assert_uint_eq(value_of(V0), 0x0202020202020202);
	ck_assert_uint_eq(find(V0)->value[15], 2);
	ck_assert_mem_eq(find(CCSIDR)->value, "\6\6\6\6\0", 5);
	ck_assert_uint_eq(vcpu.events.exception.serror_pending, 1);
	ck_assert_uint_eq(vcpu.mp.mp_state, KVM_MP_STATE_STOPPED);
}
END_TEST

START_TEST(counters_go_on_from_the_ticks_that_are_given)
{
	ck_assert_int_eq(load_bytes(saved, saved_len, arch_ticks() - TICKS), 0);

	/* Saving and loading take a while, too. */
	ck_assert_uint_ge(value_of(KVM_REG_ARM_TIMER_CNT), 0x0303030303030303 + TICKS / 2);
	ck_assert_uint_le(value_of(KVM_REG_ARM_TIMER_CNT), 0x0303030303030303 + 2 * TICKS);
	ck_assert_uint_ge(value_of(KVM_REG_ARM_PTIMER_CNT), 0x0404040404040404 + TICKS / 2);
	ck_assert_uint_le(value_of(KVM_REG_ARM_PTIMER_CNT), 0x0404040404040404 + 2 * TICKS);
	ck_assert_uint_eq(find(KVM_REG_ARM_TIMER_CNT)->nr_sets, 1);
}
END_TEST

START_TEST(stolen_time_at_another_address_is_refused)
{
	vcpu.stolen_at = STOLEN_AT + 64;

	ck_assert_int_eq(load_bytes(saved, saved_len, 0), -ENOTSUP);

	ck_assert_ptr_nonnull(strstr(err.text, "vCPU 0: the guest is told what time was stolen"));
	ck_assert_uint_eq(find(PC)->nr_sets, 0);
}
END_TEST

/* The outcome of the first len bytes with one changed: loaded, or refused with a reason. */
static int load_lie(size_t len, size_t at, uint8_t change)
{
	uint8_t lie[sizeof(saved)];
	int r;

	renew();
	memcpy(lie, saved, len);
	lie[at] ^= change;
	stream_repair(lie, len);
	r = load_bytes(lie, len, 0);
	ck_assert_msg(r == 0 || (r < 0 && err.text[0]), "byte %zu: %d '%s'", at, r, err.text);
	return r;
}

START_TEST(state_that_lies_is_loaded_or_refused_with_a_reason)
{
	for (size_t at = STREAM_HEADER_LEN; at < saved_len; at++)
		for (unsigned bit = 0; bit < 8; bit++)
			load_lie(saved_len, at, (uint8_t)(1U << bit));
}
END_TEST

/* The id of a register of 8 bytes gives way to that of one of 16. */
START_TEST(registers_of_more_bytes_than_there_are_are_refused)
{
	const uint64_t id = PC, wide = V0;
	uint8_t *at = memmem(saved, saved_len, &id, sizeof(id));

	ck_assert_ptr_nonnull(at);
	memcpy(at, &wide, sizeof(wide));
	stream_repair(saved, saved_len);

	ck_assert_int_eq(load_bytes(saved, saved_len, 0), -EINVAL);

	ck_assert_ptr_nonnull(strstr(err.text, "the registers are cut off"));
	ck_assert_uint_eq(find(V0)->nr_sets, 0);
}
END_TEST

START_TEST(state_that_is_cut_off_is_refused)
{
	for (size_t len = STREAM_HEADER_LEN; len < saved_len; len++)
		ck_assert_int_lt(load_lie(len, 0, 0), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("arm64_state");
	TCase *tc = tcase_create("vCPU");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, vcpu_is_what_it_was);
	tcase_add_test(tc, counters_go_on_from_the_ticks_that_are_given);
	tcase_add_test(tc, stolen_time_at_another_address_is_refused);
	tcase_add_test(tc, state_that_lies_is_loaded_or_refused_with_a_reason);
	tcase_add_test(tc, registers_of_more_bytes_than_there_are_are_refused);
	tcase_add_test(tc, state_that_is_cut_off_is_refused);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
