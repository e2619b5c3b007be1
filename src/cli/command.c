// SPDX-License-Identifier: Apache-2.0
#include "cli/command.h"

#include "base/bits.h"
#include "config/completion.h"
#include "config/help.h"
#include "config/manual.h"
#include "config/nearest.h"
#include "doctor.h"
#include "machine/vm_config.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int run_help(const struct command *command, int argc, char **argv);
static int run_completion(const struct command *command, int argc, char **argv);
static int run_manual(const struct command *command, int argc, char **argv);

#define ONE_NAME	.arguments = "NAME", .nr_least = 1, .nr_most = 1
#define NAMES		.arguments = "NAME...", .nr_least = 1, .nr_most = COMMAND_ANY

static const struct command commands[] = {
	{ .name = "run", .summary = "start a VM and stay with it", .arguments = "",
	  .options = &vm_config_options, .run = command_run },
	{ .name = "list", .summary = "list the running VMs", .arguments = "",
	  .options = &command_list_options, .run = command_list },
	{ .name = "info", .summary = "tell all about a running VM", ONE_NAME,
	  .options = &command_info_options, .run = command_info },
	{ .name = "pause", .summary = "stop the clock of VMs", NAMES,
	  .options = &command_order_options, .run = command_order },
	{ .name = "resume", .summary = "let paused VMs go on", NAMES,
	  .options = &command_order_options, .run = command_order },
	{ .name = "reset", .summary = "restart VMs as their reset button would", NAMES,
	  .options = &command_order_options, .run = command_order },
	{ .name = "stop", .summary = "ask VMs to shut down, and wait", NAMES,
	  .options = &command_stop_options, .run = command_stop },
	{ .name = "kill", .summary = "end VMs at once", NAMES,
	  .options = &command_kill_options, .run = command_kill },
	{ .name = "events", .summary = "tell what happens to a running VM", ONE_NAME,
	  .options = &command_events_options, .run = command_events },
	{ .name = "stats", .summary = "tell what a running VM costs and does", ONE_NAME,
	  .options = &command_stats_options, .run = command_stats },
	{ .name = "qmp", .summary = "have a running VM execute QMP commands",
	  .arguments = "NAME [COMMAND [JSON]]", .nr_least = 1, .nr_most = 3,
	  .options = &command_qmp_options, .run = command_qmp },
	{ .name = "console", .summary = "show the console of a running VM, and type", ONE_NAME,
	  .options = &command_console_options, .run = command_console },
	{ .name = "doctor", .summary = "check what this host offers to VMs", .arguments = "",
	  .options = &doctor_options, .run = command_doctor },
	{ .name = "help", .summary = "explain a command", .arguments = "[COMMAND]",
	  .run = run_help },
	{ .name = "completion", .summary = "print a completion script for a shell",
	  .arguments = "[bash|zsh]", .run = run_completion },
	{ .name = "manual", .summary = "print a command's options as scdoc source",
	  .arguments = "COMMAND", .hidden = true, .run = run_manual },
};

int command_fail(const char *fmt, ...)
{
	char text[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	fprintf(stderr, "vmm: %s\n", text);
	return EXIT_USAGE;
}

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static int unknown(const char *name)
{
	const char *names[ARRAY_LEN(commands)], *nearest;
	size_t nr = 0;

	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (!commands[i].hidden)
			names[nr++] = commands[i].name;
	nearest = nearest_word(names, nr, name);
	if (nearest)
		return command_fail("unknown command '%s': did you mean '%s'?", name, nearest);
	return command_fail("unknown command '%s': 'vmm help' lists them", name);
}

static unsigned columns(void)
{
	struct winsize size;

	if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || !size.ws_col)
		return HELP_COLUMNS;
	return size.ws_col;
}

void command_usage(const struct command *command)
{
	printf("Usage: vmm %s%s%s%s\n\n  %c%s.\n", command->name,
	       command->options ? " [OPTION]..." : "", *command->arguments ? " " : "",
	       command->arguments, command->summary[0] - 'a' + 'A', command->summary + 1);
	if (command->options) {
		printf("\nOptions:\n");
		help_print(command->options, stdout, columns());
	}
}

static void overview(void)
{
	printf("Usage: vmm COMMAND [OPTION]...\n\n"
	       "Runs virtual machines on Linux/KVM.\n\nCommands:\n");
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (!commands[i].hidden)
			printf("  %-12s%s\n", commands[i].name, commands[i].summary);
	printf("\n'vmm help COMMAND' tells more about one of them.\n");
}

static int run_help(const struct command *command, int argc, char **argv)
{
	(void)command;
	if (argc < 2) {
		overview();
		return EXIT_OK;
	}
	command = find(argv[1]);
	if (!command)
		return unknown(argv[1]);
	command_usage(command);
	return EXIT_OK;
}

/* The words that may stand for the arguments; NULL: names of files. */
static const char *words_from(const struct command *command)
{
	if (!strncmp(command->arguments, "NAME", strlen("NAME")))
		return "vmm list --names";
	return NULL;
}

static int run_completion(const struct command *command, int argc, char **argv)
{
	struct completion_command list[ARRAY_LEN(commands)];
	enum completion_shell shell = COMPLETION_BASH;
	size_t nr = 0;

	if (argc > 2)
		return command_fail("completion: unexpected argument '%s'", argv[2]);
	if (argc == 2 && !strcmp(argv[1], "zsh"))
		shell = COMPLETION_ZSH;
	else if (argc == 2 && strcmp(argv[1], "bash"))
		return command_fail("completion: there is none for '%s': %s", argv[1],
				    command->arguments);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (!commands[i].hidden)
			list[nr++] = (struct completion_command){
				commands[i].name, commands[i].options,
				words_from(&commands[i]),
			};
	completion_print(shell, "vmm", list, nr, stdout);
	return EXIT_OK;
}

static int run_manual(const struct command *command, int argc, char **argv)
{
	if (argc < 2)
		return command_fail("manual: of which command?");
	command = find(argv[1]);
	if (!command)
		return unknown(argv[1]);
	if (command->options)
		manual_print(command->options, stdout);
	return EXIT_OK;
}

static bool is_help(const char *arg)
{
	return !strcmp(arg, "--help") || !strcmp(arg, "-h");
}

int command_main(int argc, char **argv)
{
	const struct command *command;

	if (argc < 2) {
		overview();
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		printf("vmm %s\n", VMM_VERSION);
		return EXIT_OK;
	}
	if (is_help(argv[1])) {
		overview();
		return EXIT_OK;
	}
	command = find(argv[1]);
	if (!command)
		return unknown(argv[1]);
	/* One with options has this among them. */
	if (!command->options && argc > 2 && is_help(argv[2])) {
		command_usage(command);
		return EXIT_OK;
	}
	return command->run(command, argc - 1, argv + 1);
}
