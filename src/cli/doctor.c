// SPDX-License-Identifier: Apache-2.0
#include "doctor.h"

#include "arguments.h"
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
	static struct doctor_finding findings[DOCTOR_CHECKS_MAX];
	size_t nr = 0;

	for (; doctor_checks[nr].name; nr++)
		doctor_checks[nr].look("", &findings[nr]);
	if (!json)
		doctor_print(doctor_checks, findings, nr, wants_style(), stdout);
	else if (doctor_print_json(doctor_checks, findings, nr, stdout) < 0)
		return command_fail("doctor: cannot write the report");
	return doctor_status(findings, nr);
}

int command_doctor(const struct command *command, int argc, char **argv)
{
	struct doctor doctor;
	struct arguments args;

	if (!arguments_read(&args, command, &doctor, argc, argv))
		return args.status;
	return examine(doctor.json);
}
