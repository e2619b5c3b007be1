// SPDX-License-Identifier: Apache-2.0
#include "cli/arm64_doctor.h"

#include "base/bits.h"
#include "kvm/arm64_vm.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct doctor_finding finding;

static void setup(void)
{
	finding = (struct doctor_finding){ 0 };
}

static const struct host {
	struct arm64_vm_survey survey;
	enum doctor_state state;
	const char *found, *meaning;
} hosts[] = {
	{ { .gicv3 = true, .its = true }, DOCTOR_OK, "GICv3 with an ITS", "" },
	{ { .gicv3 = true, .its = true, .gicv2 = true }, DOCTOR_OK, "GICv3 with an ITS", "" },
	{ { .gicv2 = true }, DOCTOR_NOTE, "GICv2; no GICv3, no ITS",
	  "VMs have 8 processors at most, and PCI devices get 448 interrupts in all, by GICv2m; "
	  "snapshots and moves stay among such hosts; all else works" },
	{ { .gicv3 = true }, DOCTOR_FAIL, "GICv3 without an ITS",
	  "PCI devices of a guest cannot interrupt: no VM can be created" },
	{ { .its = true }, DOCTOR_FAIL, "KVM offers neither GICv3 nor GICv2",
	  "no VM can be created" },
};

START_TEST(host_says_what_is_missing_and_what_still_works)
{
	arm64_doctor_judge_gic(&hosts[_i].survey, &finding);

	ck_assert_int_eq(finding.state, hosts[_i].state);
	ck_assert_str_eq(finding.found, hosts[_i].found);
	ck_assert_str_eq(finding.meaning, hosts[_i].meaning);
	ck_assert_int_eq(finding.state == DOCTOR_FAIL, finding.fix[0] != '\0');
}
END_TEST

START_TEST(as_many_address_bits_as_vms_take_are_fine)
{
	arm64_doctor_judge_addresses(&(struct arm64_vm_survey){ .address_bits = 48 }, &finding);

	ck_assert_int_eq(finding.state, DOCTOR_OK);
	ck_assert_str_eq(finding.found, "48 bits, of which VMs take 40");
}
END_TEST

START_TEST(few_address_bits_are_noted)
{
	arm64_doctor_judge_addresses(&(struct arm64_vm_survey){ .address_bits = 36 }, &finding);

	ck_assert_int_eq(finding.state, DOCTOR_NOTE);
	ck_assert_str_eq(finding.found, "36 bits, of which VMs take 36");
	ck_assert_ptr_nonnull(strstr(finding.meaning, "64 GiB"));
}
END_TEST

START_TEST(features_are_listed_by_whether_they_are_there)
{
	arm64_doctor_judge_processor(&(struct arm64_vm_survey){ .pmu = true, .sve = true },
				     &finding);

	ck_assert_str_eq(finding.found, "event counters (PMUv3), SVE; without pointer "
					"authentication, stolen time, 32-bit EL1");
}
END_TEST

START_TEST(all_features_or_none_make_one_list)
{
	arm64_doctor_judge_processor(&(struct arm64_vm_survey){
		.pmu = true, .sve = true, .pauth = true, .stolen_time = true, .el1_32 = true,
	}, &finding);
	ck_assert_str_eq(finding.found, "event counters (PMUv3), SVE, pointer authentication, "
					"stolen time, 32-bit EL1");

	arm64_doctor_judge_processor(&(struct arm64_vm_survey){ 0 }, &finding);
	ck_assert_str_eq(finding.found, "no extras; without event counters (PMUv3), SVE, pointer "
					"authentication, stolen time, 32-bit EL1");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("arm64_doctor");
	TCase *tc = tcase_create("host");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_loop_test(tc, host_says_what_is_missing_and_what_still_works, 0,
			    (int)ARRAY_LEN(hosts));
	tcase_add_test(tc, as_many_address_bits_as_vms_take_are_fine);
	tcase_add_test(tc, few_address_bits_are_noted);
	tcase_add_test(tc, features_are_listed_by_whether_they_are_there);
	tcase_add_test(tc, all_features_or_none_make_one_list);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
