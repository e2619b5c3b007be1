// SPDX-License-Identifier: Apache-2.0
#include "kvm/kvm.h"

#include "base/err.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A host of which the test says what it does; told by the thread that asked. */
static struct {
	int failing_open;		/* errno; 0: none */
	int failing_vm;			/* errno, once if EINTR; 0: none */
	unsigned nr_vms;
	bool takes_signals;		/* the thread that makes VMs */
} host;

static int refuse(int code)
{
	errno = code;
	return -1;
}

static int new_fd(void)
{
	return (int)syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC);
}

/* In the place of the C library's; nothing else is opened here. */
int open(const char *path, int flags, ...)
{
	(void)flags;
	ck_assert_str_eq(path, "/dev/kvm");
	return host.failing_open ? refuse(host.failing_open) : new_fd();
}

static int create_vm(void)
{
	sigset_t blocked;
	int code = host.failing_vm;

	pthread_sigmask(SIG_BLOCK, NULL, &blocked);
	host.takes_signals = !sigismember(&blocked, SIGTERM);
	host.nr_vms++;
	if (code == EINTR)
		host.failing_vm = 0;
	return code ? refuse(code) : new_fd();
}

int ioctl(int fd, unsigned long request, ...)
{
	(void)fd;
	if (request == KVM_GET_API_VERSION)
		return KVM_API_VERSION;
	return request == KVM_CREATE_VM ? create_vm() : 1;
}

static int nr_open(void)
{
	int nr = 0;

	for (int fd = 0; fd < 64; fd++)
		nr += fcntl(fd, F_GETFD) >= 0;
	return nr;
}

static struct kvm_opening *opening;
static struct kvm_fds fds;
static struct err err;
static int before;

static void begin(void)
{
	ck_assert_int_eq(kvm_opening_new(&opening, &err), 0);
}

static void setup(void)
{
	memset(&host, 0, sizeof(host));
	err = (struct err){ 0 };
	before = nr_open();
}

START_TEST(opening_gives_kvm_and_a_vm)
{
	begin();

	ck_assert_int_eq(kvm_opening_end(opening, &fds, &err), 0);

	ck_assert_int_ge(fds.system, 0);
	ck_assert_int_ge(fds.vm, 0);
	ck_assert_int_eq(nr_open(), before + 2);
	close(fds.system);
	close(fds.vm);
}
END_TEST

START_TEST(thread_of_an_opening_takes_no_signals)
{
	begin();
	kvm_opening_free(opening);

	ck_assert_uint_eq(host.nr_vms, 1);
	ck_assert(!host.takes_signals);
}
END_TEST

START_TEST(interrupted_opening_goes_on)
{
	host.failing_vm = EINTR;
	begin();

	ck_assert_int_eq(kvm_opening_end(opening, &fds, &err), 0);

	ck_assert_uint_eq(host.nr_vms, 2);
	close(fds.system);
	close(fds.vm);
}
END_TEST

START_TEST(kvm_that_cannot_be_opened_is_told_at_the_end)
{
	host.failing_open = ENOENT;
	begin();

	ck_assert_int_eq(kvm_opening_end(opening, &fds, &err), -ENOENT);

	ck_assert_ptr_nonnull(strstr(err.text, "cannot open /dev/kvm"));
	ck_assert_int_eq(nr_open(), before);
}
END_TEST

START_TEST(vm_that_cannot_be_made_is_told_and_leaves_nothing_open)
{
	host.failing_vm = ENOMEM;
	begin();

	ck_assert_int_eq(kvm_opening_end(opening, &fds, &err), -ENOMEM);

	ck_assert_ptr_nonnull(strstr(err.text, "KVM_CREATE_VM"));
	ck_assert_int_eq(nr_open(), before);
}
END_TEST

START_TEST(opening_that_nobody_needs_leaves_nothing_open)
{
	begin();

	ck_assert_ptr_null(kvm_opening_free(opening));

	ck_assert_int_eq(nr_open(), before);
	ck_assert_ptr_null(kvm_opening_free(NULL));
}
END_TEST

START_TEST(opening_that_failed_and_that_nobody_needs_leaves_nothing_open)
{
	host.failing_vm = ENOMEM;
	begin();

	ck_assert_ptr_null(kvm_opening_free(opening));

	ck_assert_int_eq(nr_open(), before);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("kvm");
	TCase *tc = tcase_create("opening");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, opening_gives_kvm_and_a_vm);
	tcase_add_test(tc, thread_of_an_opening_takes_no_signals);
	tcase_add_test(tc, interrupted_opening_goes_on);
	tcase_add_test(tc, kvm_that_cannot_be_opened_is_told_at_the_end);
	tcase_add_test(tc, vm_that_cannot_be_made_is_told_and_leaves_nothing_open);
	tcase_add_test(tc, opening_that_nobody_needs_leaves_nothing_open);
	tcase_add_test(tc, opening_that_failed_and_that_nobody_needs_leaves_nothing_open);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
