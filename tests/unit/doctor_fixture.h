/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor_fixture.h - a host made of a few files, for checks that look at them.
 */
#ifndef TESTS_UNIT_DOCTOR_FIXTURE_H
#define TESTS_UNIT_DOCTOR_FIXTURE_H

#include "cli/doctor.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char root[32];
static struct doctor_finding finding;

static inline void new_root(void)
{
	snprintf(root, sizeof(root), "/tmp/test_doctor.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(root));
	finding = (struct doctor_finding){ 0 };
}

static inline void remove_root(void)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -r %s", root);
	ck_assert_int_eq(system(command), 0);
}

static inline void put_file(const char *path, const char *content)
{
	char name[256];
	FILE *out;

	snprintf(name, sizeof(name), "%s%s", root, path);
	for (char *at = name + 1; (at = strchr(at, '/')); *at++ = '/') {
		*at = '\0';
		mkdir(name, 0700);
	}
	out = fopen(name, "w");
	ck_assert_ptr_nonnull(out);
	fputs(content, out);
	fclose(out);
}

#endif
