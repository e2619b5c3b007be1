// SPDX-License-Identifier: Apache-2.0
#include "kvm/kvm_stats.h"

#include "base/bits.h"
#include "base/err.h"

#include <check.h>
#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define NAME_BYTES	16

/* struct kvm_stats_desc, which ends with a name of any size, with a name of this size. */
struct desc {
	struct {
		uint32_t flags;
		int16_t exponent;
		uint16_t size;
		uint32_t offset;
		uint32_t bucket_size;
	} desc;
	char name[NAME_BYTES];
};
_Static_assert(offsetof(struct desc, name) == offsetof(struct kvm_stats_desc, name), "layout");

/* As a kernel lays it out: header, descriptions, values. */
static struct file {
	struct kvm_stats_header header;
	struct desc descs[3];
	uint64_t values[8];
} file;

static int fd;
static struct kvm_stats *stats;
static struct err err;

static struct desc describe(const char *name, uint32_t flags, int16_t exponent, uint16_t size,
			    uint32_t offset)
{
	struct desc desc = {
		.desc = { .flags = flags, .exponent = exponent, .size = size, .offset = offset,
			  .bucket_size = 5 },
	};

	strncpy(desc.name, name, NAME_BYTES);
	return desc;
}

static void setup(void)
{
	err = (struct err){ 0 };
	stats = NULL;
	file = (struct file){
		.header = {
			.name_size = NAME_BYTES,
			.num_desc = ARRAY_LEN(file.descs),
			.desc_offset = offsetof(struct file, descs),
			.data_offset = offsetof(struct file, values),
		},
		.descs = {
			describe("exits", KVM_STATS_TYPE_CUMULATIVE, 0, 1, 8),
			describe("wait", KVM_STATS_TYPE_LOG_HIST | KVM_STATS_UNIT_SECONDS, -9,
				 4, 16),
			describe("blocking", KVM_STATS_TYPE_INSTANT | KVM_STATS_UNIT_BOOLEAN,
				 0, 1, 48),
		},
		.values = { 100, 101, 102, 103, 104, 105, 1, 107 },
	};
}

static void teardown(void)
{
	kvm_stats_free(stats);
}

static int open_bytes(size_t len)
{
	fd = memfd_create("stats", MFD_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, &file, len), (ssize_t)len);
	return kvm_stats_new(&stats, fd, &err);
}

static int open_file(void)
{
	return open_bytes(sizeof(file));
}

START_TEST(each_statistic_has_its_description)
{
	const struct kvm_stat *wait;

	ck_assert_int_eq(open_file(), 0);

	ck_assert_uint_eq(kvm_stats_nr(stats), 3);
	ck_assert_str_eq(kvm_stats_get(stats, 0)->name, "exits");
	ck_assert_int_eq(kvm_stats_get(stats, 0)->type, KVM_STAT_CUMULATIVE);
	ck_assert_int_eq(kvm_stats_get(stats, 0)->unit, KVM_STAT_NO_UNIT);
	wait = kvm_stats_get(stats, 1);
	ck_assert_int_eq(wait->type, KVM_STAT_LOG_HISTOGRAM);
	ck_assert_int_eq(wait->unit, KVM_STAT_SECONDS);
	ck_assert_uint_eq(wait->base, 10);
	ck_assert_int_eq(wait->exponent, -9);
	ck_assert_uint_eq(wait->nr_values, 4);
	ck_assert_uint_eq(wait->bucket_size, 5);
	ck_assert_int_eq(kvm_stats_get(stats, 2)->unit, KVM_STAT_BOOLEAN);
}
END_TEST

START_TEST(values_are_those_of_the_last_read)
{
	const uint64_t more = 200;

	ck_assert_int_eq(open_file(), 0);
	ck_assert_int_eq(kvm_stats_read(stats, &err), 0);

	ck_assert_uint_eq(kvm_stats_get(stats, 0)->values[0], 101);
	ck_assert_uint_eq(kvm_stats_get(stats, 1)->values[0], 102);
	ck_assert_uint_eq(kvm_stats_get(stats, 1)->values[3], 105);
	ck_assert_uint_eq(kvm_stats_get(stats, 2)->values[0], 1);

	ck_assert_int_eq(pwrite(fd, &more, 8, offsetof(struct file, values) + 8), 8);
	ck_assert_int_eq(kvm_stats_read(stats, &err), 0);
	ck_assert_uint_eq(kvm_stats_get(stats, 0)->values[0], 200);
}
END_TEST

START_TEST(statistic_of_an_unknown_kind_is_left_out)
{
	file.descs[0].desc.flags = KVM_STATS_TYPE_LOG_HIST + 1;
	file.descs[1].desc.flags = KVM_STATS_UNIT_BOOLEAN + KVM_STATS_UNIT_BYTES;

	ck_assert_int_eq(open_file(), 0);

	ck_assert_uint_eq(kvm_stats_nr(stats), 1);
	ck_assert_str_eq(kvm_stats_get(stats, 0)->name, "blocking");
	ck_assert_int_eq(kvm_stats_read(stats, &err), 0);
	ck_assert_uint_eq(kvm_stats_get(stats, 0)->values[0], 1);
}
END_TEST

START_TEST(base_that_is_unknown_is_left_out)
{
	file.descs[0].desc.flags = 15U << KVM_STATS_BASE_SHIFT;
	file.descs[1].desc.flags = KVM_STATS_BASE_POW2;
	file.descs[2].desc.size = 0;

	ck_assert_int_eq(open_file(), 0);

	ck_assert_uint_eq(kvm_stats_nr(stats), 1);
	ck_assert_uint_eq(kvm_stats_get(stats, 0)->base, 2);
}
END_TEST

START_TEST(nothing_but_unknown_ones_is_nothing)
{
	for (size_t i = 0; i < ARRAY_LEN(file.descs); i++)
		file.descs[i].desc.size = 0;

	ck_assert_int_eq(open_file(), 0);

	ck_assert_uint_eq(kvm_stats_nr(stats), 0);
	ck_assert_int_eq(kvm_stats_read(stats, &err), 0);
}
END_TEST

START_TEST(name_without_an_end_is_ended)
{
	memset(file.descs[0].name, 'x', NAME_BYTES);

	ck_assert_int_eq(open_file(), 0);

	ck_assert_str_eq(kvm_stats_get(stats, 0)->name, "xxxxxxxxxxxxxxx");
}
END_TEST

/* What is written over, and with what. */
static const struct breach {
	size_t at;
	uint32_t value;
} breaches[] = {
	{ offsetof(struct file, header.num_desc), 0 },
	{ offsetof(struct file, header.num_desc), 4 },		/* beyond the end of all */
	{ offsetof(struct file, header.num_desc), UINT32_MAX },
	{ offsetof(struct file, header.name_size), 0 },
	{ offsetof(struct file, header.name_size), 17 },
	{ offsetof(struct file, header.name_size), UINT32_MAX },
	{ offsetof(struct file, header.desc_offset), UINT32_MAX },
	{ offsetof(struct file, descs[0].desc.offset), 12 },
	{ offsetof(struct file, descs[0].desc.offset), UINT32_MAX - 7 },
	{ offsetof(struct file, descs[1].desc.offset), 8 * 65533 },
};

START_TEST(file_that_cannot_be_is_refused)
{
	memcpy((char *)&file + breaches[_i].at, &breaches[_i].value, sizeof(uint32_t));

	ck_assert_int_eq(open_bytes(offsetof(struct file, values)), -EPROTO);

	ck_assert_int_eq(err.code, -EPROTO);
	ck_assert_ptr_null(stats);
}
END_TEST

START_TEST(values_that_are_not_there_cannot_be_read)
{
	ck_assert_int_eq(open_bytes(sizeof(file) - 16), 0);

	ck_assert_int_eq(kvm_stats_read(stats, &err), -EPROTO);
}
END_TEST

START_TEST(file_that_cannot_be_read_is_refused)
{
	ck_assert_int_eq(kvm_stats_new(&stats, -1, &err), -EBADF);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("kvm_stats");
	TCase *tc = tcase_create("a file");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, each_statistic_has_its_description);
	tcase_add_test(tc, values_are_those_of_the_last_read);
	tcase_add_test(tc, statistic_of_an_unknown_kind_is_left_out);
	tcase_add_test(tc, base_that_is_unknown_is_left_out);
	tcase_add_test(tc, nothing_but_unknown_ones_is_nothing);
	tcase_add_test(tc, name_without_an_end_is_ended);
	tcase_add_loop_test(tc, file_that_cannot_be_is_refused, 0, ARRAY_LEN(breaches));
	tcase_add_test(tc, values_that_are_not_there_cannot_be_read);
	tcase_add_test(tc, file_that_cannot_be_read_is_refused);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
