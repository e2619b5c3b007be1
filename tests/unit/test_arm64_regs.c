// SPDX-License-Identifier: Apache-2.0
#include "cpu/arm64_regs.h"

#include "base/bits.h"
#include "base/err.h"
#include "cpu/arm64_reg.h"
#include "cpu/vcpu.h"

#include <check.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define ANY_FD		3
#define PC		ARM64_REG_CORE(regs.pc)
#define V0		(KVM_REG_ARM64 | KVM_REG_SIZE_U128 | KVM_REG_ARM_CORE |		\
			 KVM_REG_ARM_CORE_REG(fp_regs.vregs[0]))
#define MIDR		ARM64_SYS_REG(3, 0, 0, 0, 0)
#define PFR0		ARM64_SYS_REG(3, 0, 0, 4, 0)
#define SCTLR		ARM64_SYS_REG(3, 0, 1, 0, 0)
#define BREAKPOINT	ARM64_SYS_REG(2, 0, 0, 0, 4)
#define CCSIDR		(KVM_REG_ARM64 | KVM_REG_SIZE_U32 | KVM_REG_ARM_DEMUX | 2)
#define PMCR		ARM64_SYS_REG(3, 3, 9, 12, 0)
#define HYPERCALLS	KVM_REG_ARM_STD_BMAP
#define LONGEST		(KVM_REG_ARM64 | KVM_REG_SIZE_U2048 | KVM_REG_ARM64_SVE)
#define PSCI		KVM_REG_ARM_PSCI_VERSION

/* A vCPU as KVM shows it; these stand in for arm64_reg.c. */
struct reg {
	uint64_t id;
	uint8_t value[ARM64_REGS_VALUE_MAX];
	bool fixed, unreadable;
	unsigned nr_sets;
};

static struct reg vcpu[12];
static uint32_t nr_regs;
static uint32_t nr_listed;		/* more than those, if not 0: the last once more and more */

static struct reg *find(uint64_t id)
{
	for (uint32_t i = 0; i < nr_regs; i++)
		if (vcpu[i].id == id)
			return &vcpu[i];
	return NULL;
}

int arm64_reg_get(int fd, uint64_t id, void *ret_value)
{
	const struct reg *reg = find(id);

	ck_assert_int_eq(fd, ANY_FD);
	if (!reg)
		return -ENOENT;
	if (reg->unreadable)
		return -EIO;
	memcpy(ret_value, reg->value, arm64_reg_len(id));
	return 0;
}

int arm64_reg_set(int fd, uint64_t id, const void *value)
{
	struct reg *reg = find(id);

	ck_assert_int_eq(fd, ANY_FD);
	if (!reg)
		return -ENOENT;
	reg->nr_sets++;
	if (reg->fixed)
		return -EINVAL;
	memcpy(reg->value, value, arm64_reg_len(id));
	return 0;
}

int arm64_reg_list(int fd, uint64_t *ret_ids, uint32_t *nr)
{
	ck_assert_int_eq(fd, ANY_FD);
	if (nr_listed > *nr)
		return -E2BIG;
	*nr = nr_listed ? nr_listed : nr_regs;
	for (uint32_t i = 0; i < *nr; i++)
		ret_ids[i] = vcpu[i < nr_regs ? i : nr_regs - 1].id;
	return 0;
}

static struct arm64_regs *regs;
static struct err err;

static void add(uint64_t id, uint64_t value)
{
	struct reg *reg = &vcpu[nr_regs++];

	*reg = (struct reg){ .id = id };
	memcpy(reg->value, &value, sizeof(value));
}

static void setup(void)
{
	nr_regs = nr_listed = 0;
	err = (struct err){ 0 };
	add(PC, 0x40200000);
	add(V0, 0x5a5a);
	add(PSCI, 0x10001);
	add(KVM_REG_ARM_TIMER_CNT, 1000);
	add(KVM_REG_ARM_PTIMER_CNT, 2000);
	add(BREAKPOINT, 0x4000);
	add(HYPERCALLS, 1);
	add(MIDR, 0x414fd0c1);
	add(SCTLR, 0x30d50838);
	add(CCSIDR, 0x7003e01a);
	regs = calloc(1, sizeof(*regs));
	ck_assert_int_eq(arm64_regs_save(ANY_FD, regs, &err), 0);
}

static void teardown(void)
{
	free(regs);
}

static uint64_t value_of(uint64_t id)
{
	uint64_t value;

	memcpy(&value, find(id)->value, sizeof(value));
	return value;
}

static void assert_refused(int r, const char *part)
{
	ck_assert_int_eq(r, err.code);
	ck_assert_ptr_nonnull(strstr(err.text, part));
}

START_TEST(all_registers_are_saved_with_as_many_bytes_as_they_have)
{
	ck_assert_uint_eq(regs->nr_ids, 10);
	ck_assert_uint_eq(regs->nr_values, 8 * 8 + 16 + 4);
	ck_assert_int_eq(arm64_regs_check(regs, &err), 0);
	ck_assert_mem_eq(arm64_regs_find(regs, CCSIDR), find(CCSIDR)->value, 4);
}
END_TEST

START_TEST(register_that_is_not_there_is_not_found)
{
	ck_assert_ptr_null(arm64_regs_find(regs, ARM64_REG_CORE(regs.sp)));
}
END_TEST

START_TEST(loading_brings_back_all_but_counters)
{
	for (uint32_t i = 0; i < nr_regs; i++)
		memset(vcpu[i].value, 0, sizeof(vcpu[i].value));

	ck_assert_int_eq(arm64_regs_load(ANY_FD, regs, &err), 0);

	ck_assert_uint_eq(value_of(PC), 0x40200000);
	ck_assert_uint_eq(value_of(V0), 0x5a5a);
	ck_assert_uint_eq(value_of(SCTLR), 0x30d50838);
	ck_assert_uint_eq(value_of(KVM_REG_ARM_TIMER_CNT), 0);
	ck_assert_uint_eq(value_of(KVM_REG_ARM_PTIMER_CNT), 0);
}
END_TEST

START_TEST(fixed_register_of_the_same_value_is_as_good)
{
	find(MIDR)->fixed = true;

	ck_assert_int_eq(arm64_regs_load(ANY_FD, regs, &err), 0);
	ck_assert_int_eq(arm64_regs_try(ANY_FD, regs, &err), 0);
}
END_TEST

START_TEST(fixed_register_of_another_value_is_named_with_both)
{
	find(MIDR)->fixed = true;
	find(MIDR)->value[0] = 0xc2;

	assert_refused(arm64_regs_load(ANY_FD, regs, &err), "MIDR_EL1 is 0x414fd0c1 for the guest, "
		       "and here it is 0x414fd0c2");
	ck_assert_int_eq(err.code, -ENOTSUP);
}
END_TEST

START_TEST(wide_register_that_differs_beyond_its_first_word_is_refused)
{
	find(V0)->fixed = true;
	find(V0)->value[15] = 1;

	ck_assert_int_eq(arm64_regs_load(ANY_FD, regs, &err), -ENOTSUP);
}
END_TEST

START_TEST(register_that_the_target_lacks_is_named)
{
	find(CCSIDR)->id = CCSIDR + 1;

	assert_refused(arm64_regs_load(ANY_FD, regs, &err), "CCSIDR_EL1 of cache 2, which this "
		       "host's KVM lacks");
}
END_TEST

START_TEST(trying_finds_a_register_that_the_target_lacks)
{
	find(SCTLR)->id = SCTLR + 1;

	assert_refused(arm64_regs_try(ANY_FD, regs, &err), "S3_0_C1_C0_0");
}
END_TEST

START_TEST(trying_finds_what_identifies_another_processor)
{
	find(MIDR)->fixed = true;
	find(MIDR)->value[3] = 0x51;

	assert_refused(arm64_regs_try(ANY_FD, regs, &err), "MIDR_EL1");
}
END_TEST

START_TEST(trying_sets_nothing_that_a_guest_changes)
{
	ck_assert_int_eq(arm64_regs_try(ANY_FD, regs, &err), 0);

	ck_assert_uint_eq(find(MIDR)->nr_sets, 1);
	ck_assert_uint_eq(find(PSCI)->nr_sets, 1);
	ck_assert_uint_eq(find(CCSIDR)->nr_sets, 1);
	ck_assert_uint_eq(find(HYPERCALLS)->nr_sets, 1);
	ck_assert_uint_eq(find(BREAKPOINT)->nr_sets, 0);
	ck_assert_uint_eq(find(PC)->nr_sets, 0);
	ck_assert_uint_eq(find(V0)->nr_sets, 0);
	ck_assert_uint_eq(find(SCTLR)->nr_sets, 0);
	ck_assert_uint_eq(find(KVM_REG_ARM_TIMER_CNT)->nr_sets, 0);
}
END_TEST

START_TEST(what_identifies_the_processor_is_told_by_name)
{
	struct vcpu_register identity[VCPU_REGISTERS_MAX];

	add(PFR0, 0x8000000000000011);

	ck_assert_uint_eq(arm64_regs_identity(ANY_FD, identity), 2);
	ck_assert_str_eq(identity[0].name, "MIDR_EL1");
	ck_assert_uint_eq(identity[0].value, 0x414fd0c1);
	ck_assert_str_eq(identity[1].name, "ID_AA64PFR0_EL1");
	ck_assert_uint_eq(identity[1].value, 0x8000000000000011);
}
END_TEST

START_TEST(what_a_guest_sets_identifies_nothing)
{
	struct vcpu_register identity[VCPU_REGISTERS_MAX];

	find(MIDR)->id = PMCR;

	ck_assert_uint_eq(arm64_regs_identity(ANY_FD, identity), 0);
}
END_TEST

START_TEST(more_registers_than_there_is_room_for_are_an_error)
{
	nr_listed = ARM64_REGS_MAX + 1;

	ck_assert_int_eq(arm64_regs_save(ANY_FD, regs, &err), -E2BIG);
}
END_TEST

START_TEST(more_bytes_than_there_is_room_for_are_an_error)
{
	add(LONGEST, 0);
	nr_listed = ARM64_REGS_BYTES_MAX / ARM64_REGS_VALUE_MAX + nr_regs;

	assert_refused(arm64_regs_save(ANY_FD, regs, &err), "more than this release knows");
	ck_assert_int_eq(err.code, -E2BIG);
}
END_TEST

START_TEST(register_that_cannot_be_read_is_named)
{
	find(MIDR)->unreadable = true;

	assert_refused(arm64_regs_save(ANY_FD, regs, &err), "KVM_GET_ONE_REG of MIDR_EL1");
	ck_assert_int_eq(err.code, -EIO);
}
END_TEST

START_TEST(values_that_are_cut_off_are_refused)
{
	regs->nr_values--;

	assert_refused(arm64_regs_check(regs, &err), "cut off");
}
END_TEST

START_TEST(values_of_no_register_are_refused)
{
	regs->nr_values++;

	assert_refused(arm64_regs_check(regs, &err), "more values than registers");
}
END_TEST

START_TEST(register_of_another_architecture_is_refused)
{
	regs->ids[0] = KVM_REG_RISCV | KVM_REG_SIZE_U64;

	assert_refused(arm64_regs_check(regs, &err), "no register of an arm64 processor");
}
END_TEST

START_TEST(register_longer_than_any_is_refused)
{
	regs->ids[0] = KVM_REG_ARM64 | UINT64_C(9) << KVM_REG_SIZE_SHIFT;

	assert_refused(arm64_regs_check(regs, &err), "no register of an arm64 processor");
}
END_TEST

static const struct {
	uint64_t id;
	const char *name;
} named[] = {
	{ ARM64_SYS_REG(3, 0, 0, 4, 0), "ID_AA64PFR0_EL1" },
	{ ARM64_SYS_REG(3, 3, 13, 0, 2), "S3_3_C13_C0_2" },
	{ CCSIDR, "CCSIDR_EL1 of cache 2" },
	{ PSCI, "KVM_REG_ARM_FW 0" },
	{ KVM_REG_ARM_STD_HYP_BMAP, "KVM_REG_ARM_FW_FEAT_BMAP 1" },
	{ PC, "0x6030000000100040" },
};

START_TEST(registers_have_the_names_of_the_architecture)
{
	char name[ARM64_REGS_NAME_MAX];

	arm64_regs_name(named[_i].id, name);

	ck_assert_str_eq(name, named[_i].name);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("arm64_regs");
	TCase *tc = tcase_create("vCPU");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, all_registers_are_saved_with_as_many_bytes_as_they_have);
	tcase_add_test(tc, register_that_is_not_there_is_not_found);
	tcase_add_test(tc, loading_brings_back_all_but_counters);
	tcase_add_test(tc, fixed_register_of_the_same_value_is_as_good);
	tcase_add_test(tc, fixed_register_of_another_value_is_named_with_both);
	tcase_add_test(tc, wide_register_that_differs_beyond_its_first_word_is_refused);
	tcase_add_test(tc, register_that_the_target_lacks_is_named);
	tcase_add_test(tc, trying_finds_a_register_that_the_target_lacks);
	tcase_add_test(tc, trying_finds_what_identifies_another_processor);
	tcase_add_test(tc, trying_sets_nothing_that_a_guest_changes);
	tcase_add_test(tc, what_identifies_the_processor_is_told_by_name);
	tcase_add_test(tc, what_a_guest_sets_identifies_nothing);
	tcase_add_test(tc, more_registers_than_there_is_room_for_are_an_error);
	tcase_add_test(tc, more_bytes_than_there_is_room_for_are_an_error);
	tcase_add_test(tc, register_that_cannot_be_read_is_named);
	tcase_add_test(tc, values_that_are_cut_off_are_refused);
	tcase_add_test(tc, values_of_no_register_are_refused);
	tcase_add_test(tc, register_of_another_architecture_is_refused);
	tcase_add_test(tc, register_longer_than_any_is_refused);
	tcase_add_loop_test(tc, registers_have_the_names_of_the_architecture, 0,
			    (int)ARRAY_LEN(named));
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
