// SPDX-License-Identifier: Apache-2.0
#include "migrate/manifest.h"

#include "base/err.h"
#include "machine/vm_config.h"
#include "migrate/snapshot_file.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[32];
static int folder;
static struct manifest manifest;
static struct err err;

static void setup(void)
{
	snprintf(path, sizeof(path), "/tmp/vmm-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(path));
	folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(folder, 0);
	err = (struct err){ 0 };
}

static void teardown(void)
{
	ck_assert_int_eq(unlinkat(folder, SNAPSHOT_MANIFEST, 0), 0);
	close(folder);
	ck_assert_int_eq(rmdir(path), 0);
}

static void write_of_memory(uint64_t memory)
{
	const struct manifest some = {
		.id = (char []){ "6ba7b810-9dad-11d1-80b4-00c04fd430c8" },
		.name = (char []){ "some" },
		.created = (char []){ "now" },
		.release = (char []){ "1" },
		.arch = (char []){ "x" },
		.memory = memory,
	};

	ck_assert_int_eq(manifest_write(&some, folder, &err), 0);
}

START_TEST(as_much_memory_as_a_vm_may_have_is_read)
{
	write_of_memory(VM_CONFIG_MEMORY_MAX);

	ck_assert_int_eq(manifest_read(&manifest, folder, path, &err), 0);

	ck_assert_uint_eq(manifest.memory, VM_CONFIG_MEMORY_MAX);
	option_fini(&manifest_options, &manifest);
}
END_TEST

/* Bitmaps of its pages are as large as it says. */
START_TEST(more_memory_than_a_vm_may_have_is_refused)
{
	write_of_memory(VM_CONFIG_MEMORY_MAX + 4096);

	ck_assert_int_lt(manifest_read(&manifest, folder, path, &err), 0);

	ck_assert_ptr_nonnull(strstr(err.text, "memory"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("manifest");
	TCase *tc = tcase_create("memory");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, as_much_memory_as_a_vm_may_have_is_read);
	tcase_add_test(tc, more_memory_than_a_vm_may_have_is_refused);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
