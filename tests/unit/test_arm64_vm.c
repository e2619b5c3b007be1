// SPDX-License-Identifier: Apache-2.0
/* VMs on hosts with one interrupt controller or another, and on such that fail. */
#include "kvm/arm64_vm.h"

#include "base/bits.h"
#include "base/err.h"
#include "kernel_files.h"
#include "kvm/kvm.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define V2	BIT32(KVM_DEV_TYPE_ARM_VGIC_V2)
#define V3	BIT32(KVM_DEV_TYPE_ARM_VGIC_V3)
#define ITS	BIT32(KVM_DEV_TYPE_ARM_VGIC_ITS)

/* The host, by what its KVM answers. */
static struct {
	uint32_t devices;		/* kinds that it can create */
	unsigned address_bits;
	int capability;			/* that it has besides */
	unsigned nr_sets, failing_set;	/* of attributes; 0: none */
	unsigned nr_vms, failing_vm;	/* interrupted once, then failing */
	unsigned long failing;		/* request; 0: none */
} host;

static int refuse(int code)
{
	errno = code;
	return -1;
}

static int new_fd(void)
{
	return open("/dev/null", O_RDWR | O_CLOEXEC);
}

static int create_device(struct kvm_create_device *device)
{
	if (!(host.devices & BIT32(device->type)))
		return refuse(ENODEV);
	if (!(device->flags & KVM_CREATE_DEVICE_TEST))
		device->fd = (uint32_t)new_fd();
	return 0;
}

static int check_extension(int capability)
{
	if (capability == KVM_CAP_ARM_VM_IPA_SIZE)
		return (int)host.address_bits;
	return capability == host.capability;
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
	if (request == host.failing)
		return refuse(EPERM);
	switch (request) {
	case KVM_CHECK_EXTENSION:
		return check_extension((int)(intptr_t)arg);
	case KVM_CREATE_VM:
		return ++host.nr_vms == host.failing_vm ? refuse(EINTR) : new_fd();
	case KVM_CREATE_DEVICE:
		return create_device(arg);
	case KVM_SET_DEVICE_ATTR:
		return ++host.nr_sets == host.failing_set ? refuse(EINVAL) : 0;
	default:
		return 0;
	}
}

static struct guest_mem *mem;
static struct kvm_vm *vm;
static struct err err;
static uint8_t *ram;

static void setup(void)
{
	memset(&host, 0, sizeof(host));
	err = (struct err){ 0 };
	mem = fresh_ram(GiB, 2 * MiB, &ram);
	vm = NULL;
}

static void teardown(void)
{
	kvm_vm_free(vm);
	guest_mem_free(mem);
}

static int nr_open(void)
{
	int nr = 0;

	for (int fd = 0; fd < 64; fd++)
		nr += fcntl(fd, F_GETFD) >= 0;
	return nr;
}

static int new_vm(uint32_t devices)
{
	host.devices = devices;
	return kvm_vm_new(&vm, (struct kvm_fds){ new_fd(), new_fd() }, mem, &err);
}

static void assert_refused(int r, int code, const char *part)
{
	ck_assert_int_eq(r, code);
	ck_assert_msg(strstr(err.text, part), "'%s' is not in '%s'", part, err.text);
}

START_TEST(gicv3_is_taken_where_it_is)
{
	ck_assert_int_eq(new_vm(V2 | V3 | ITS), 0);

	ck_assert_int_eq(arm64_vm_gic(vm), ARM64_BOOT_GICV3);
}
END_TEST

START_TEST(gicv2_does_where_there_is_no_gicv3)
{
	ck_assert_int_eq(new_vm(V2 | ITS), 0);

	ck_assert_int_eq(arm64_vm_gic(vm), ARM64_BOOT_GICV2);
}
END_TEST

static const struct {
	uint32_t devices;
	int code;
	const char *text;
} lacking[] = {
	{ 0, -ENOTSUP, "neither GICv3 nor GICv2: its interrupt controller cannot be" },
	{ V3, -ENODEV, "cannot create an ITS: PCI devices need it" },
};

START_TEST(what_the_host_lacks_is_named)
{
	int before = nr_open();

	assert_refused(new_vm(lacking[_i].devices), lacking[_i].code, lacking[_i].text);

	ck_assert_int_eq(nr_open(), before);
}
END_TEST

static const struct {
	uint32_t devices;
	unsigned nr;
	const char *text;
} steps[] = {
	{ V3 | ITS, 1, "distributor" },
	{ V3 | ITS, 2, "redistributors" },
	{ V3 | ITS, 3, "number of interrupts" },
	{ V3 | ITS, 4, "address of the ITS" },
	{ V3 | ITS, 5, "ITS" },
	{ V2, 1, "distributor" },
	{ V2, 2, "CPU interface" },
	{ V2, 3, "number of interrupts" },
};

START_TEST(step_that_fails_is_named_and_nothing_stays_open)
{
	int before = nr_open();

	host.failing_set = steps[_i].nr;

	assert_refused(new_vm(steps[_i].devices), -EINVAL, "KVM_SET_DEVICE_ATTR: ");
	ck_assert_ptr_nonnull(strstr(err.text, steps[_i].text));
	ck_assert_int_eq(nr_open(), before);
	ck_assert_uint_eq(host.nr_sets, steps[_i].nr);
}
END_TEST

START_TEST(interrupt_controller_that_cannot_be_completed_is_named)
{
	ck_assert_int_eq(new_vm(V3 | ITS), 0);
	host.failing_set = host.nr_sets + 1;

	assert_refused(kvm_vm_complete(vm, &err), -EINVAL, "interrupt controller");
}
END_TEST

START_TEST(processor_that_kvm_does_not_tell_is_an_error)
{
	struct kvm_vcpu_init init;

	ck_assert_int_eq(new_vm(V2), 0);
	host.failing = KVM_ARM_PREFERRED_TARGET;

	assert_refused(arm64_vm_target(vm, &init, &err), -EPERM, "KVM_ARM_PREFERRED_TARGET");
}
END_TEST

START_TEST(survey_tells_what_there_is)
{
	struct arm64_vm_survey survey;
	int before = nr_open();

	host.devices = V2;
	host.address_bits = 36;
	host.capability = KVM_CAP_ARM_SVE;
	host.failing_vm = 1;

	ck_assert_int_eq(arm64_vm_ask(-1, &survey, &err), 0);

	ck_assert(survey.gicv2 && !survey.gicv3 && !survey.its);
	ck_assert(survey.sve && !survey.pmu && !survey.pauth && !survey.stolen_time &&
		  !survey.el1_32);
	ck_assert_uint_eq(survey.address_bits, 36);
	ck_assert_uint_eq(host.nr_vms, 2);
	ck_assert_int_eq(nr_open(), before);
}
END_TEST

START_TEST(survey_of_gicv3_and_its_tells_both)
{
	struct arm64_vm_survey survey;

	host.devices = V3 | ITS;
	host.capability = KVM_CAP_ARM_PTRAUTH_ADDRESS;		/* alone it is of no use */

	ck_assert_int_eq(arm64_vm_ask(-1, &survey, &err), 0);

	ck_assert(survey.gicv3 && survey.its && !survey.gicv2 && !survey.pauth);
	ck_assert_uint_eq(survey.address_bits, 40);
}
END_TEST

START_TEST(survey_without_a_vm_is_an_error)
{
	struct arm64_vm_survey survey;

	host.failing = KVM_CREATE_VM;

	assert_refused(arm64_vm_ask(-1, &survey, &err), -EPERM, "KVM_CREATE_VM");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("arm64_vm");
	TCase *tc = tcase_create("host");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, gicv3_is_taken_where_it_is);
	tcase_add_test(tc, gicv2_does_where_there_is_no_gicv3);
	tcase_add_loop_test(tc, what_the_host_lacks_is_named, 0, (int)ARRAY_LEN(lacking));
	tcase_add_loop_test(tc, step_that_fails_is_named_and_nothing_stays_open, 0,
			    (int)ARRAY_LEN(steps));
	tcase_add_test(tc, interrupt_controller_that_cannot_be_completed_is_named);
	tcase_add_test(tc, processor_that_kvm_does_not_tell_is_an_error);
	tcase_add_test(tc, survey_tells_what_there_is);
	tcase_add_test(tc, survey_of_gicv3_and_its_tells_both);
	tcase_add_test(tc, survey_without_a_vm_is_an_error);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
