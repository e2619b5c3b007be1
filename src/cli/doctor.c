// SPDX-License-Identifier: Apache-2.0
#include "doctor.h"

#include "arguments.h"
#include "base/bits.h"
#include "cli/command.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct doctor {
	struct option_given given;
	bool json;
	bool help;
};

static const struct option rows[] = {
	{ .key = "json", .letter = 'j', OPTION(struct doctor, json),
	  .help = "print the report as one JSON object" },
	{ .key = "help", .letter = 'h', OPTION(struct doctor, help),
	  .help = "print this and exit" },
};

const struct option_object doctor_options = {
	.name = "doctor", OPTION_OBJECT(struct doctor, rows),
};

/* What cannot be done without comes first. */
const struct doctor_check doctor_checks[] = {
	{ "kernel", "Linux", doctor_look_kernel },
	{ "virtualisation", "virtualisation", doctor_look_virtualisation },
	{ "kvm", "/dev/kvm", doctor_look_kvm },
	{ "capabilities", "KVM capabilities", doctor_look_capabilities },
	{ "io-uring", "io_uring", doctor_look_io_uring },
	{ "tap", "tap devices", doctor_look_tap },
	{ "passt", "passt", doctor_look_passt },
	{ "vhost-net", "vhost-net", doctor_look_vhost_net },
	{ "huge-pages", "huge pages", doctor_look_huge_pages },
	{ "hugetlb", "reserved pages", doctor_look_hugetlb },
	{ "memlock", "locked memory", doctor_look_memlock },
	{ "files", "open files", doctor_look_files },
	{ "cgroup", "control groups", doctor_look_cgroup },
	{ NULL, NULL, NULL },
};

#define NR_CHECKS (ARRAY_LEN(doctor_checks) - 1)

/* https://no-color.org: set and not empty. */
static bool wants_style(void)
{
	const char *no_color = getenv("NO_COLOR");
	const char *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no_color && *no_color) && term &&
	       strcmp(term, "dumb");
}

static int examine(bool json)
{
	static struct doctor_finding findings[NR_CHECKS];

	for (size_t i = 0; i < NR_CHECKS; i++)
		doctor_checks[i].look("", &findings[i]);
	if (!json)
		doctor_print(doctor_checks, findings, NR_CHECKS, wants_style(), stdout);
	else if (doctor_print_json(doctor_checks, findings, NR_CHECKS, stdout) < 0)
		return command_fail("doctor: cannot write the report");
	return doctor_status(findings, NR_CHECKS);
}

int command_doctor(const struct command *command, int argc, char **argv)
{
	struct doctor doctor;
	struct arguments args;

	if (!arguments_read(&args, command, &doctor, argc, argv))
		return args.status;
	return examine(doctor.json);
}
