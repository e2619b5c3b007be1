/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor.h - vmm doctor: what this host offers to VMs, and what to do about
 * what it lacks.
 *
 * A check is a function and a row of doctor_checks.  It looks at one thing and
 * changes nothing.  What the report looks like it does not know.
 *
 * Main.
 */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

#include "config/option.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum doctor_state {
	DOCTOR_OK,
	DOCTOR_NOTE,		/* VMs run, but less well or not all of them */
	DOCTOR_FAIL,		/* no VM runs */
};

#define DOCTOR_TEXT_MAX	512

/* Parts of sentences, lower case, no full stop; "" where nothing is to be said. */
struct doctor_finding {
	enum doctor_state state;
	char found[DOCTOR_TEXT_MAX];
	char meaning[DOCTOR_TEXT_MAX];
	char fix[DOCTOR_TEXT_MAX];
};

#define DOCTOR_TITLE_MAX	16	/* columns */

struct doctor_check {
	const char *name;		/* for programs, never changes */
	const char *title;		/* for people */

	/*
	 * root goes in front of the names of files below /proc and /sys: "" but
	 * in tests.  finding is zero, that is, fine.
	 */
	void (*look)(const char *root, struct doctor_finding *finding);
};

#define DOCTOR_KVM_PATH		"/dev/kvm"
#define DOCTOR_CHECKS_MAX	24

/*
 * All of this architecture, what cannot be done without first; ends with a name of NULL.
 * x86_doctor.c, arm64_doctor.c.
 */
extern const struct doctor_check doctor_checks[DOCTOR_CHECKS_MAX];

/* Those of any architecture: what VMs cannot do without, and the rest. */
#define DOCTOR_CHECKS_NEEDED							\
	{ "kvm", "/dev/kvm", doctor_look_kvm },					\
	{ "capabilities", "KVM capabilities", doctor_look_capabilities }

#define DOCTOR_CHECKS_REST							\
	{ "io-uring", "io_uring", doctor_look_io_uring },			\
	{ "tap", "tap devices", doctor_look_tap },				\
	{ "passt", "passt", doctor_look_passt },				\
	{ "vhost-net", "vhost-net", doctor_look_vhost_net },			\
	{ "huge-pages", "huge pages", doctor_look_huge_pages },			\
	{ "hugetlb", "reserved pages", doctor_look_hugetlb },			\
	{ "memlock", "locked memory", doctor_look_memlock },			\
	{ "files", "open files", doctor_look_files },				\
	{ "cgroup", "control groups", doctor_look_cgroup }

extern const struct option_object doctor_options;

/* Say what was found, what it means, and the way out. */
void doctor_set(struct doctor_finding *finding, enum doctor_state state, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void doctor_meaning(struct doctor_finding *finding, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void doctor_fix(struct doctor_finding *finding, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* The exit status that nr findings amount to. */
int doctor_status(const struct doctor_finding *findings, size_t nr);

/* For a person; styled: with signs and colours instead of words. */
void doctor_print(const struct doctor_check *checks, const struct doctor_finding *findings,
		  size_t nr, bool styled, FILE *out);

/* For a program: one JSON object.  0, -ENOMEM or -EIO. */
int doctor_print_json(const struct doctor_check *checks,
		      const struct doctor_finding *findings, size_t nr, FILE *out);

/*
 * The first line of root and path, without its end, cut to len - 1 bytes.
 * False, and an empty text, when it cannot be read.
 */
bool doctor_read_line(const char *root, const char *path, char *text, size_t len);

/* Is there such a file? */
bool doctor_exists(const char *root, const char *path);

/* The checks, by file: doctor_kvm.c, doctor_host.c. */
void doctor_look_kvm(const char *root, struct doctor_finding *finding);
void doctor_look_capabilities(const char *root, struct doctor_finding *finding);
void doctor_look_kernel(const char *root, struct doctor_finding *finding);
void doctor_look_io_uring(const char *root, struct doctor_finding *finding);
void doctor_look_tap(const char *root, struct doctor_finding *finding);
void doctor_look_passt(const char *root, struct doctor_finding *finding);
void doctor_look_vhost_net(const char *root, struct doctor_finding *finding);
void doctor_look_huge_pages(const char *root, struct doctor_finding *finding);
void doctor_look_hugetlb(const char *root, struct doctor_finding *finding);
void doctor_look_memlock(const char *root, struct doctor_finding *finding);
void doctor_look_files(const char *root, struct doctor_finding *finding);
void doctor_look_cgroup(const char *root, struct doctor_finding *finding);

#endif
