// SPDX-License-Identifier: Apache-2.0
/*
 * test_fault_gic.c - each call to KVM, and each allocation, fails in turn while the
 * interrupt controllers of an arm64 VM are made, saved and loaded.
 *
 * Here is what stands in for KVM: two devices whose attributes keep what is written to
 * them.  It asserts nothing itself, since Check would allocate memory for that.
 */
#include "faults.h"

#include "base/bits.h"
#include "base/err.h"
#include "kvm/arm64_parts.h"
#include "kvm/vm.h"
#include "state/state.h"
#include "unit/stream_repair.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define FAULTS_MAX	10000
#define ATTRS_MAX	4096
#define CPUS		2

#define GRP_DIST		KVM_DEV_ARM_VGIC_GRP_DIST_REGS
#define GRP_CTRL		KVM_DEV_ARM_VGIC_GRP_CTRL
#define GRP_ITS		KVM_DEV_ARM_VGIC_GRP_ITS_REGS

#define GICD_TYPER	0x004
#define GICD_ISENABLER1	0x104
#define GICD_ISPENDR0	0x200
#define GICD_ITARGETSR8	0x820
#define GICD_IROUTER32	0x6100
#define ICC_CTLR	0xc664		/* the attribute of a system register */
#define PRIORITY_BITS	(UINT64_C(6) << 8)
#define GITS_CTLR	0x000
#define GITS_CBASER	0x080
#define GITS_CREADR	0x090
#define GITS_CWRITER	0x088

/* The host: which controllers its KVM has. */
static const struct host {
	bool v3, its, v2;
} hosts[] = { { .v3 = true, .its = true }, { .v2 = true } };

static struct host host;

struct attr {
	int device;
	uint32_t group;
	uint64_t attr;
	uint64_t value;
	unsigned when;			/* of its last write, counted from 1 */
};

static struct attr attrs[ATTRS_MAX];
static unsigned nr_attrs, nr_writes;
static unsigned nr_made;		/* of attributes, that are no registers */
static int gic, its;

static struct attr *find(int device, uint32_t group, uint64_t attr)
{
	for (unsigned i = 0; i < nr_attrs; i++)
		if (attrs[i].device == device && attrs[i].group == group && attrs[i].attr == attr)
			return &attrs[i];
	if (nr_attrs == ATTRS_MAX)
		abort();
	attrs[nr_attrs] = (struct attr){ device, group, attr, 0, 0 };
	return &attrs[nr_attrs++];
}

static size_t len_of(int device, uint32_t group)
{
	return device == its || group == KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS ||
	       group == KVM_DEV_ARM_VGIC_GRP_ADDR ? 8 : 4;
}

static bool has(uint32_t type)
{
	switch (type) {
	case KVM_DEV_TYPE_ARM_VGIC_V3:
		return host.v3;
	case KVM_DEV_TYPE_ARM_VGIC_ITS:
		return host.its;
	default:
		return host.v2;
	}
}

static int create(struct kvm_create_device *device)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	device->fd = (uint32_t)fd;
	*(device->type == KVM_DEV_TYPE_ARM_VGIC_ITS ? &its : &gic) = fd;
	return 0;
}

static int answer(int fd, unsigned long request, void *arg)
{
	struct kvm_device_attr *wanted = arg;
	struct attr *attr;

	if (request == KVM_CREATE_DEVICE && !has(((struct kvm_create_device *)arg)->type))
		return -ENODEV;
	if (faults_fail(ENXIO))
		return -ENXIO;
	if (request == KVM_CREATE_DEVICE)
		return create(arg);
	if ((fd != gic && fd != its) ||
	    (request != KVM_GET_DEVICE_ATTR && request != KVM_SET_DEVICE_ATTR))
		abort();
	attr = find(fd, wanted->group, wanted->attr);
	if (request == KVM_GET_DEVICE_ATTR) {
		memcpy((void *)(uintptr_t)wanted->addr, &attr->value, len_of(fd, wanted->group));
		return 0;
	}
	if (wanted->addr)
		memcpy(&attr->value, (void *)(uintptr_t)wanted->addr, len_of(fd, wanted->group));
	attr->when = ++nr_writes;
	return 0;
}

/* The name is the linker's. */
int __wrap_ioctl(int fd, unsigned long request, ...);

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list list;
	void *arg;
	int r;

	va_start(list, request);
	arg = va_arg(list, void *);
	va_end(list);
	r = answer(fd, request, arg);
	if (r < 0)
		errno = -r;
	return r < 0 ? -1 : 0;
}

/* A VM with controllers whose registers hold what tells them apart, and what it saves. */

static struct kvm_vm vm;
static struct err err;
static uint8_t saved[1 * MiB];
static size_t saved_len;

static int make(struct err *why)
{
	int r;

	vm = (struct kvm_vm){ .fd = -1, .nr_vcpus = CPUS };
	gic = its = -1;
	r = vm_arch_init(&vm, why);
	return r < 0 ? r : kvm_vm_complete(&vm, why);
}

static void set(int device, uint32_t group, uint64_t attr, uint64_t value)
{
	find(device, group, attr)->value = value;
}

static int save(struct err *why)
{
	struct state_writer *writer = state_writer_new("test");
	const void *bytes;
	int r;

	if (!writer)
		return err_sys(why, -ENOMEM, "writer");
	r = kvm_vm_save(&vm, writer, why);
	if (!r) {
		r = state_writer_end(writer, &bytes, &saved_len);
		if (r < 0)
			err_sys(why, r, "stream");
	}
	if (!r)
		memcpy(saved, bytes, saved_len);
	state_writer_free(writer);
	return r;
}

static int load(struct err *why)
{
	struct state_reader *reader;
	int r = state_reader_new(&reader, saved, saved_len, why);

	if (r < 0)
		return r;
	r = kvm_vm_load(&vm, reader, why);
	state_reader_free(reader);
	return r;
}

static int settle(struct err *why)
{
	return kvm_vm_settle(&vm, why);
}

static void use_host(struct host which)
{
	host = which;
	nr_attrs = nr_writes = 0;
	err = (struct err){ 0 };
	ck_assert_int_eq(make(&err), 0);
	nr_made = nr_attrs;
	set(gic, GRP_DIST, GICD_TYPER, 2);
}

static bool is_icc_ctlr(const struct attr *attr)
{
	return attr->group == KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS &&
	       (attr->attr & KVM_DEV_ARM_VGIC_SYSREG_INSTR_MASK) == ICC_CTLR;
}

/* Every register of it has another value, but for those that say how many others there are. */
static void fill(void)
{
	ck_assert_int_eq(save(&err), 0);
	for (unsigned i = nr_made; i < nr_attrs; i++)
		attrs[i].value = is_icc_ctlr(&attrs[i]) ? PRIORITY_BITS : 0x10000 * (i + 1) + i;
	set(gic, GRP_DIST, GICD_TYPER, 2);
	ck_assert_int_eq(save(&err), 0);
}

static void setup(void)
{
	use_host(hosts[0]);
}

static void teardown(void)
{
	vm_arch_fini(&vm);
}

/* Run it with its nr-th call or allocation failing; false when it has fewer. */
static bool fails_cleanly(int (*run)(struct err *err), unsigned nr)
{
	struct err why = { 0 };
	bool failed;
	int r;

	faults_arm(nr);
	r = run(&why);
	failed = faults_disarm();

	ck_assert_msg(failed == (r < 0), "call %u: %d", nr, r);
	ck_assert_msg(!failed || why.text[0], "call %u: no reason given", nr);
	ck_assert_msg(r != -ENXIO || strstr(why.text, "KVM_") || strstr(why.text, "cannot"),
		      "call %u: '%s' does not name what KVM did not do", nr, why.text);
	return failed;
}

static void all_fail(int (*run)(struct err *err), unsigned at_least)
{
	unsigned nr = 0;

	while (nr < FAULTS_MAX && fails_cleanly(run, nr))
		nr++;

	ck_assert_uint_ge(nr, at_least);
	ck_assert_uint_lt(nr, FAULTS_MAX);
}

static int make_and_free(struct err *why)
{
	int r = make(why);

	vm_arch_fini(&vm);
	return r;
}

START_TEST(each_call_may_fail_when_they_are_made)
{
	vm_arch_fini(&vm);
	host = hosts[_i];

	all_fail(make_and_free, 5);

	use_host(host);
}
END_TEST

START_TEST(each_call_may_fail_when_they_are_saved)
{
	vm_arch_fini(&vm);
	use_host(hosts[_i]);

	all_fail(save, 100);
}
END_TEST

START_TEST(each_call_may_fail_when_they_are_loaded)
{
	vm_arch_fini(&vm);
	use_host(hosts[_i]);
	ck_assert_int_eq(save(&err), 0);

	all_fail(load, 100);
}
END_TEST

START_TEST(each_call_may_fail_when_tables_are_written)
{
	all_fail(settle, 2);
}
END_TEST

START_TEST(a_gicv2_has_no_tables_to_write)
{
	vm_arch_fini(&vm);
	use_host(hosts[1]);

	all_fail(settle, 0);
}
END_TEST

/* A GICv2's SGIs are pending by their senders' registers alone. */
static uint64_t loaded_value(const struct attr *saved_attr)
{
	bool sgis = host.v2 && saved_attr->group == GRP_DIST &&
		    (uint32_t)saved_attr->attr == GICD_ISPENDR0;

	return sgis ? saved_attr->value & ~UINT64_C(0xffff) : saved_attr->value;
}

START_TEST(every_register_that_is_saved_is_loaded)
{
	static struct attr before[ATTRS_MAX];
	unsigned nr, nr_loaded = 0;
	int old_gic, old_its;

	vm_arch_fini(&vm);
	use_host(hosts[_i]);
	fill();
	memcpy(before, attrs, sizeof(attrs));
	nr = nr_attrs, old_gic = gic, old_its = its;
	vm_arch_fini(&vm);
	use_host(hosts[_i]);

	ck_assert_int_eq(load(&err), 0);

	for (unsigned i = nr_made; i < nr; i++) {
		const struct attr *was = &before[i];
		const struct attr *is = find(was->device == old_its ? its : gic, was->group,
					     was->attr);

		ck_assert(was->device == old_gic || was->device == old_its);
		if (!is->when)
			continue;
		nr_loaded++;
		ck_assert_msg(is->value == loaded_value(was),
			      "group %u, attribute %#llx: %#llx, not %#llx", was->group,
			      (unsigned long long)was->attr, (unsigned long long)is->value,
			      (unsigned long long)was->value);
	}
	/* GICD_TYPER is the host's. */
	ck_assert_uint_eq(nr_loaded, nr - nr_made - 1);
}
END_TEST

static unsigned when(int device, uint32_t group, uint64_t attr)
{
	const struct attr *found = find(device, group, attr);

	ck_assert_msg(found->when, "group %u, attribute %#llx was not written", group,
		      (unsigned long long)attr);
	return found->when;
}

START_TEST(an_its_is_enabled_when_its_tables_are_read)
{
	unsigned tables;

	ck_assert_int_eq(save(&err), 0);
	nr_writes = 0;

	ck_assert_int_eq(load(&err), 0);

	tables = when(its, GRP_CTRL, KVM_DEV_ARM_ITS_RESTORE_TABLES);
	ck_assert_uint_lt(when(its, GRP_ITS, GITS_CBASER), when(its, GRP_ITS, GITS_CREADR));
	ck_assert_uint_lt(when(its, GRP_ITS, GITS_CREADR), when(its, GRP_ITS, GITS_CWRITER));
	ck_assert_uint_lt(when(its, GRP_ITS, GITS_CWRITER), tables);
	ck_assert_uint_gt(when(its, GRP_ITS, GITS_CTLR), tables);
}
END_TEST

START_TEST(shared_interrupts_have_a_place_to_go_to)
{
	vm_arch_fini(&vm);
	use_host(hosts[_i]);
	ck_assert_int_eq(save(&err), 0);

	ck_assert_int_eq(load(&err), 0);

	ck_assert_uint_gt(when(gic, GRP_DIST, _i ? GICD_ITARGETSR8 : GICD_IROUTER32), 0);
	ck_assert_uint_gt(when(gic, GRP_DIST, GICD_ISENABLER1), 0);
}
END_TEST

START_TEST(more_shared_interrupts_than_here_are_refused)
{
	ck_assert_int_eq(save(&err), 0);
	set(gic, GRP_DIST, GICD_TYPER, 1);
	nr_writes = 0;

	ck_assert_int_eq(load(&err), -ENOTSUP);

	ck_assert_str_eq(err.text, "the guest has 64 shared interrupts, this machine 32");
	ck_assert_uint_eq(nr_writes, 0);
}
END_TEST

START_TEST(another_kind_of_controller_is_refused)
{
	ck_assert_int_eq(save(&err), 0);
	vm_arch_fini(&vm);
	use_host(hosts[1]);

	ck_assert_int_eq(load(&err), -ENOENT);

	ck_assert_ptr_nonnull(strstr(err.text, "gicv2"));
}
END_TEST

START_TEST(more_vcpus_than_were_saved_are_refused)
{
	ck_assert_int_eq(save(&err), 0);
	vm.nr_vcpus++;

	ck_assert_int_eq(load(&err), -ENOENT);

	ck_assert_ptr_nonnull(strstr(err.text, "gicv3-cpu"));
}
END_TEST

START_TEST(host_without_an_its_is_told_what_needs_it)
{
	vm_arch_fini(&vm);
	host = (struct host){ .v3 = true, .v2 = true };

	ck_assert_int_eq(make(&err), -ENODEV);

	ck_assert_ptr_nonnull(strstr(err.text, "cannot create an ITS: PCI devices need it"));
}
END_TEST

START_TEST(host_without_a_controller_is_told)
{
	vm_arch_fini(&vm);
	host = (struct host){ 0 };

	ck_assert_int_eq(make(&err), -ENOTSUP);

	ck_assert_ptr_nonnull(strstr(err.text, "neither GICv3 nor GICv2"));
}
END_TEST

/* Load the first len bytes of what was saved, with a byte changed.  What was there stays. */
static int load_lie(size_t len, size_t at, uint8_t change, struct err *why)
{
	static uint8_t truth[sizeof(saved)];
	const size_t truth_len = saved_len;
	int r;

	memcpy(truth, saved, truth_len);
	saved[at] ^= change;
	stream_repair(saved, len);
	saved_len = len;
	r = load(why);
	memcpy(saved, truth, truth_len);
	saved_len = truth_len;
	return r;
}

/* No register besides those that a GIC has, whatever the numbers of them say. */
static void assert_harmless(int r, const struct err *why, unsigned nr_regs, size_t at)
{
	ck_assert_msg(r == 0 || (r < 0 && why->text[0]), "byte %zu: %d '%s'", at, r, why->text);
	ck_assert_msg(nr_attrs == nr_regs, "byte %zu: group %u, attribute %#llx is no register",
		      at, attrs[nr_attrs - 1].group,
		      (unsigned long long)attrs[nr_attrs - 1].attr);
}

START_TEST(state_that_lies_reaches_no_other_register)
{
	unsigned nr_regs;

	vm_arch_fini(&vm);
	use_host(hosts[_i]);
	fill();
	ck_assert_int_eq(load(&err), 0);
	nr_regs = nr_attrs;

	for (size_t at = STREAM_HEADER_LEN; at < saved_len; at++) {
		struct err why = { 0 };

		assert_harmless(load_lie(saved_len, at, 0xff, &why), &why, nr_regs, at);
	}
}
END_TEST

START_TEST(state_that_is_cut_off_is_refused)
{
	vm_arch_fini(&vm);
	use_host(hosts[_i]);
	fill();

	for (size_t len = STREAM_HEADER_LEN; len < saved_len; len++) {
		struct err why = { 0 };

		ck_assert_int_lt(load_lie(len, 0, 0, &why), 0);
		ck_assert_str_ne(why.text, "");
	}
}
END_TEST

int main(void)
{
	const int nr_hosts = (int)ARRAY_LEN(hosts);
	Suite *s = suite_create("fault_gic");
	TCase *tc = tcase_create("calls to KVM");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, each_call_may_fail_when_they_are_made, 0, nr_hosts);
	tcase_add_loop_test(tc, each_call_may_fail_when_they_are_saved, 0, nr_hosts);
	tcase_add_loop_test(tc, each_call_may_fail_when_they_are_loaded, 0, nr_hosts);
	tcase_add_test(tc, each_call_may_fail_when_tables_are_written);
	tcase_add_test(tc, a_gicv2_has_no_tables_to_write);
	tcase_add_loop_test(tc, every_register_that_is_saved_is_loaded, 0, nr_hosts);
	tcase_add_test(tc, an_its_is_enabled_when_its_tables_are_read);
	tcase_add_loop_test(tc, shared_interrupts_have_a_place_to_go_to, 0, nr_hosts);
	tcase_add_test(tc, more_shared_interrupts_than_here_are_refused);
	tcase_add_test(tc, another_kind_of_controller_is_refused);
	tcase_add_test(tc, more_vcpus_than_were_saved_are_refused);
	tcase_add_loop_test(tc, state_that_lies_reaches_no_other_register, 0, nr_hosts);
	tcase_add_loop_test(tc, state_that_is_cut_off_is_refused, 0, nr_hosts);
	tcase_add_test(tc, host_without_an_its_is_told_what_needs_it);
	tcase_add_test(tc, host_without_a_controller_is_told);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
