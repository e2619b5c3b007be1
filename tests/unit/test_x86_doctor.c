// SPDX-License-Identifier: Apache-2.0
#include "cli/x86_doctor.h"

#include "doctor_fixture.h"

START_TEST(processor_with_svm_is_fine)
{
	put_file("/proc/cpuinfo", "vendor_id\t: A\nflags\t\t: fpu svm sse\nbugs\t\t: vmx\n");

	x86_doctor_look_virtualisation(root, &finding);

	ck_assert_int_eq(finding.state, DOCTOR_OK);
	ck_assert_str_eq(finding.found, "by hardware (svm)");
	ck_assert_str_eq(finding.meaning, "");
}
END_TEST

START_TEST(host_that_is_a_vm_itself_is_named)
{
	put_file("/proc/cpuinfo", "flags\t\t: vmx hypervisor\n");

	x86_doctor_look_virtualisation(root, &finding);

	ck_assert_int_eq(finding.state, DOCTOR_OK);
	ck_assert_ptr_nonnull(strstr(finding.found, "nested"));
}
END_TEST

START_TEST(processor_without_extension_cannot_run_vms)
{
	/* The words count only whole: svm_lock is another feature. */
	put_file("/proc/cpuinfo", "flags\t\t: fpu svm_lock\n");

	x86_doctor_look_virtualisation(root, &finding);

	ck_assert_int_eq(finding.state, DOCTOR_FAIL);
	ck_assert_ptr_nonnull(strstr(finding.fix, "firmware"));
}
END_TEST

START_TEST(vm_without_extension_is_to_be_nested)
{
	put_file("/proc/cpuinfo", "flags\t\t: fpu hypervisor\n");

	x86_doctor_look_virtualisation(root, &finding);

	ck_assert_int_eq(finding.state, DOCTOR_FAIL);
	ck_assert_ptr_nonnull(strstr(finding.fix, "nested virtualisation"));
}
END_TEST

START_TEST(kvm_without_hardware_behind_it_is_a_limit)
{
	put_file("/proc/cpuinfo", "flags\t\t: fpu\n");
	put_file("/sys/module/kvm_pvm/refcnt", "0\n");

	x86_doctor_look_virtualisation(root, &finding);

	ck_assert_int_eq(finding.state, DOCTOR_NOTE);
	ck_assert_ptr_nonnull(strstr(finding.fix, "tests/lab"));
}
END_TEST

START_TEST(processor_that_shows_no_flags_is_not_judged)
{
	put_file("/proc/cpuinfo", "Features\t: fp asimd\n");

	x86_doctor_look_virtualisation(root, &finding);

	ck_assert_int_eq(finding.state, DOCTOR_OK);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("x86_doctor");
	TCase *tc = tcase_create("virtualisation");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, new_root, remove_root);
	tcase_add_test(tc, processor_with_svm_is_fine);
	tcase_add_test(tc, host_that_is_a_vm_itself_is_named);
	tcase_add_test(tc, processor_without_extension_cannot_run_vms);
	tcase_add_test(tc, vm_without_extension_is_to_be_nested);
	tcase_add_test(tc, kvm_without_hardware_behind_it_is_a_limit);
	tcase_add_test(tc, processor_that_shows_no_flags_is_not_judged);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
