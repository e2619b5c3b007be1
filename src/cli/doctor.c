// SPDX-License-Identifier: Apache-2.0
#include "doctor.h"

#include "cli/command.h"

const struct option_object doctor_options = { .name = "doctor" };

int command_doctor(const struct command *command, int argc, char **argv)
{
	(void)command;
	(void)argc;
	(void)argv;
	return EXIT_OK;
}
