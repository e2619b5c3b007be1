// SPDX-License-Identifier: Apache-2.0
#include "block/vmdk_text.h"

#include "base/err.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HEAD	"# Disk DescriptorFile\nversion=1\nCID=12bb5fc8\nparentCID=ffffffff\n"
#define FLAT	HEAD "createType=\"monolithicFlat\"\n"
#define TAIL	"\n# The Disk Data Base\n#DDB\n\nddb.geometry.heads = \"16\"\n"

static struct vmdk_text text;
static struct err err;

static int parse(const char *bytes)
{
	return vmdk_text_parse(&text, "a.vmdk", bytes, strlen(bytes), &err);
}

START_TEST(extents_are_what_the_lines_say)
{
	ck_assert_int_eq(parse(FLAT "RW 100 FLAT \"a b.vmdk\" 7\nRDONLY 20 ZERO\n"
			       "\tRW 30 SPARSE \"c.vmdk\"\n" TAIL), 0);

	ck_assert_int_eq(text.type, VMDK_MONOLITHIC_FLAT);
	ck_assert_uint_eq(text.nr_lines, 3);
	ck_assert_int_eq(text.lines[0].kind, VMDK_EXTENT_FLAT);
	ck_assert_uint_eq(text.lines[0].sectors, 100);
	ck_assert_uint_eq(text.lines[0].at, 7);
	ck_assert_str_eq(text.lines[0].name, "a b.vmdk");
	ck_assert_int_eq(text.lines[1].kind, VMDK_EXTENT_ZERO);
	ck_assert_uint_eq(text.lines[1].sectors, 20);
	ck_assert_int_eq(text.lines[2].kind, VMDK_EXTENT_SPARSE);
	ck_assert_str_eq(text.lines[2].name, "c.vmdk");
	vmdk_text_fini(&text);
}
END_TEST

START_TEST(lines_may_end_as_in_windows_and_padding_is_ignored)
{
	static const char bytes[] = "version = 1\r\nparentCID = FFFFFFFF\r\n"
				    "createType = \"streamOptimized\"\r\n"
				    "RW 8 SPARSE \"a.vmdk\"\r\n\0\0junk";

	ck_assert_int_eq(vmdk_text_parse(&text, "a.vmdk", bytes, sizeof(bytes), &err), 0);

	ck_assert_int_eq(text.type, VMDK_STREAM_OPTIMIZED);
	vmdk_text_fini(&text);
}
END_TEST

static const struct {
	int code;
	const char *bytes, *says;
} refusals[] = {
	{ -EINVAL, "", "lacks createType" },
	{ -EINVAL, HEAD "RW 8 ZERO\n", "lacks createType" },
	{ -EINVAL, "createType=\"monolithicFlat\"\nRW 8 ZERO\n", "lacks parentCID" },
	{ -EINVAL, FLAT, "lacks an extent" },
	{ -EINVAL, FLAT "hello\n", "line 6 of its descriptor is neither" },
	{ -EINVAL, FLAT "NOACCESS 8 FLAT \"x\" 0\n", "is neither" },
	{ -EINVAL, "version=4\n", "says a version" },
	{ -ENOTSUP, "parentCID=12345678\n", "is a snapshot" },
	{ -ENOTSUP, "createType=\"fullDevice\"\n", "of type fullDevice" },
	{ -ENOTSUP, FLAT "RW 8 VMFS \"x\" 0\n", "of kind VMFS" },
	{ -EINVAL, FLAT "RW 8\n", "no number of sectors" },
	{ -EINVAL, FLAT "RW 0 ZERO\n", "no number of sectors" },
	{ -EINVAL, FLAT "RW -8 ZERO\n", "no number of sectors" },
	{ -EINVAL, FLAT "RW 99999999999999999999999 ZERO\n", "no number of sectors" },
	{ -EINVAL, FLAT "RW 9007199254740992 ZERO\n", "makes the disk too large" },
	{ -EINVAL, FLAT "RW 9007199254740990 ZERO\nRW 8 ZERO\n", "makes the disk too large" },
	{ -EINVAL, FLAT "RW 8 FLAT\n", "names no file of the same folder" },
	{ -EINVAL, FLAT "RW 8 FLAT \"\" 0\n", "names no file of the same folder" },
	{ -EINVAL, FLAT "RW 8 FLAT \"/etc/passwd\" 0\n", "names no file of the same folder" },
	{ -EINVAL, FLAT "RW 8 FLAT \"../x\" 0\n", "names no file of the same folder" },
	{ -EINVAL, FLAT "RW 8 FLAT \"..\" 0\n", "names no file of the same folder" },
	{ -EINVAL, FLAT "RW 8 FLAT \".\" 0\n", "names no file of the same folder" },
	{ -EINVAL, FLAT "RW 8 FLAT \"x\"\n", "does not say where its extent begins" },
	{ -EINVAL, FLAT "RW 8 FLAT \"x\" y\n", "does not say where its extent begins" },
	{ -EINVAL, FLAT "RW 8 FLAT \"x 0\n", "too many words" },
	{ -EINVAL, FLAT "RW 8 FLAT \"x\" 0 0 0\n", "too many words" },
};

START_TEST(what_is_no_descriptor_is_refused)
{
	ck_assert_int_eq(parse(refusals[_i].bytes), refusals[_i].code);

	ck_assert_msg(strstr(err.text, refusals[_i].says) != NULL, "'%s' lacks '%s'", err.text,
		      refusals[_i].says);
	ck_assert_ptr_nonnull(strstr(err.text, "'a.vmdk'"));
	ck_assert_ptr_null(text.lines);
}
END_TEST

START_TEST(long_line_is_refused)
{
	char bytes[1024];

	memset(bytes, 'x', sizeof(bytes));
	ck_assert_int_eq(vmdk_text_parse(&text, "a.vmdk", bytes, sizeof(bytes), &err), -EINVAL);

	ck_assert_ptr_nonnull(strstr(err.text, "line 1 of its descriptor is too long"));
}
END_TEST

START_TEST(extents_are_limited_in_number)
{
	static char bytes[16 * (VMDK_EXTENTS_MAX + 1) + sizeof(FLAT)] = FLAT;
	size_t len = strlen(bytes);

	for (unsigned i = 0; i < VMDK_EXTENTS_MAX + 1; i++) {
		memcpy(bytes + len, "RW 8 ZERO\n", 10);
		len += 10;
	}

	ck_assert_int_eq(vmdk_text_parse(&text, "a.vmdk", bytes, len - 10, &err), 0);
	vmdk_text_fini(&text);
	ck_assert_int_eq(vmdk_text_parse(&text, "a.vmdk", bytes, len, &err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "is an extent too many"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("vmdk_text");
	TCase *tc = tcase_create("parse");
	SRunner *sr;
	int failed;

	tcase_add_test(tc, extents_are_what_the_lines_say);
	tcase_add_test(tc, lines_may_end_as_in_windows_and_padding_is_ignored);
	tcase_add_loop_test(tc, what_is_no_descriptor_is_refused, 0, ARRAY_LEN(refusals));
	tcase_add_test(tc, long_line_is_refused);
	tcase_add_test(tc, extents_are_limited_in_number);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
