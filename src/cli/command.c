// SPDX-License-Identifier: Apache-2.0
#include "cli/command.h"

#include "base/bits.h"
#include "config/completion.h"
#include "config/help.h"
#include "config/manual.h"
#include "config/nearest.h"
#include "disk.h"
#include "doctor.h"
#include "machine/vm_config.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int run_group(const struct command *command, int argc, char **argv);
static int run_help(const struct command *command, int argc, char **argv);
static int run_completion(const struct command *command, int argc, char **argv);
static int run_manual(const struct command *command, int argc, char **argv);

#define ONE_NAME	.arguments = "NAME", .nr_least = 1, .nr_most = 1
#define ONE_DIR		.arguments = "DIR", .nr_least = 1, .nr_most = 1
#define ONE_IMAGE	.arguments = "IMAGE", .nr_least = 1, .nr_most = 1
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
	{ .name = "attach", .summary = "plug disks and network cards into a running VM", ONE_NAME,
	  .options = &command_attach_options, .run = command_attach },
	{ .name = "detach", .summary = "have a running VM let go of disks and network cards",
	  .arguments = "NAME ID...", .nr_least = 2, .nr_most = COMMAND_ANY,
	  .options = &command_detach_options, .run = command_detach },
	{ .name = "snapshot", .summary = "keep a running VM as a folder",
	  .arguments = "NAME DIR", .nr_least = 2, .nr_most = 2,
	  .options = &command_snapshot_options, .run = command_snapshot },
	{ .name = "snapshot info", .summary = "tell what a snapshot is of", ONE_DIR,
	  .options = &command_snapshot_info_options, .run = command_snapshot_info },
	{ .name = "snapshot verify", .summary = "look for damage in a snapshot", ONE_DIR,
	  .options = &command_snapshot_verify_options, .run = command_snapshot_verify },
	{ .name = "snapshot merge", .summary = "make a snapshot stand without those before it",
	  ONE_DIR, .options = &command_snapshot_merge_options, .run = command_snapshot_merge },
	{ .name = "restore", .summary = "start a VM where a snapshot was taken", ONE_DIR,
	  .options = &command_restore_options, .run = command_restore },
	{ .name = "clone", .summary = "start VMs that all go on where a snapshot was taken",
	  .arguments = "DIR NEW...", .nr_least = 2, .nr_most = COMMAND_ANY,
	  .options = &command_clone_options, .run = command_clone },
	{ .name = "migrate", .summary = "move a running VM to another monitor or host",
	  .arguments = "NAME [URI]", .nr_least = 1, .nr_most = 2,
	  .options = &command_migrate_options, .run = command_migrate },
	{ .name = "events", .summary = "tell what happens to a running VM", ONE_NAME,
	  .options = &command_events_options, .run = command_events },
	{ .name = "stats", .summary = "tell what a running VM costs and does", ONE_NAME,
	  .options = &command_stats_options, .run = command_stats },
	{ .name = "qmp", .summary = "have a running VM execute QMP commands",
	  .arguments = "NAME [COMMAND [JSON]]", .nr_least = 1, .nr_most = 3,
	  .options = &command_qmp_options, .run = command_qmp },
	{ .name = "console", .summary = "show the console of a running VM, and type", ONE_NAME,
	  .options = &command_console_options, .run = command_console },
	{ .name = "disk", .summary = "make, convert and look at disk images",
	  .arguments = "COMMAND", .run = run_group },
	{ .name = "disk create", .summary = "make an empty image", ONE_IMAGE,
	  .options = &disk_create_options, .run = disk_create_command },
	{ .name = "disk info", .summary = "tell what an image is like", ONE_IMAGE,
	  .options = &disk_info_options, .run = disk_info_command },
	{ .name = "disk check", .summary = "look for errors in an image, and repair them",
	  ONE_IMAGE, .options = &disk_check_options, .run = disk_check_command },
	{ .name = "disk convert", .summary = "copy an image into one of another format",
	  .arguments = "SOURCE TARGET", .nr_least = 2, .nr_most = 2,
	  .options = &disk_convert_options, .run = disk_convert_command },
	{ .name = "disk commit", .summary = "bring what an overlay holds into its backing file",
	  ONE_IMAGE, .options = &disk_commit_options, .run = disk_commit_command },
	{ .name = "disk rebase", .summary = "put another backing file behind an overlay",
	  ONE_IMAGE, .options = &disk_rebase_options, .run = disk_rebase_command },
	{ .name = "disk resize", .summary = "change the size of a disk", ONE_IMAGE,
	  .options = &disk_resize_options, .run = disk_resize_command },
	{ .name = "disk snapshot", .summary = "keep states of a disk within its image",
	  .arguments = "create|apply|delete|list IMAGE [NAME]",
	  .words = "create apply delete list", .nr_least = 2, .nr_most = 3,
	  .options = &disk_snapshot_options, .run = disk_snapshot_command },
	{ .name = "disk map", .summary = "tell which parts of a disk are stored, and where",
	  ONE_IMAGE, .options = &disk_map_options, .run = disk_map_command },
	{ .name = "disk compare", .summary = "tell whether two disks hold the same bytes",
	  .arguments = "IMAGE IMAGE", .nr_least = 2, .nr_most = 2,
	  .options = &disk_compare_options, .run = disk_compare_command },
	{ .name = "doctor", .summary = "check what this host offers to VMs", .arguments = "",
	  .options = &doctor_options, .run = command_doctor },
	{ .name = "help", .summary = "explain a command", .arguments = "[COMMAND]",
	  .run = run_help },
	{ .name = "completion", .summary = "print a completion script for a shell",
	  .arguments = "[bash|zsh]", .words = "bash zsh", .run = run_completion },
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

/* By the first two words, or the first; *ret_nr is how many of them it took. */
static const struct command *find(int argc, char **argv, int *ret_nr)
{
	const struct command *found = NULL;

	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		const char *name = commands[i].name;
		size_t len = strlen(argv[0]);

		if (strncmp(name, argv[0], len))
			continue;
		if (!name[len]) {
			found = &commands[i];
			*ret_nr = 1;
		} else if (name[len] == ' ' && argc > 1 && !strcmp(name + len + 1, argv[1])) {
			*ret_nr = 2;
			return &commands[i];
		}
	}
	return found;
}

/* The name within its group, which is NULL for the first words; NULL: not of it. */
static const char *name_within(const struct command *command, const char *group)
{
	size_t len = group ? strlen(group) : 0;

	if (command->hidden)
		return NULL;
	if (!group)
		return strchr(command->name, ' ') ? NULL : command->name;
	if (strncmp(command->name, group, len) || command->name[len] != ' ')
		return NULL;
	return command->name + len + 1;
}

static int unknown(const char *group, const char *name)
{
	const char *names[ARRAY_LEN(commands) + 2], *nearest, *first = group ? group : "";
	const char *space = group ? " " : "";
	size_t nr = 0;

	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (name_within(&commands[i], group))
			names[nr++] = name_within(&commands[i], group);
	if (!group) {
		names[nr++] = "--help";
		names[nr++] = "--version";
	}
	nearest = nearest_word(names, nr, name);
	if (nearest)
		return command_fail("unknown command '%s%s%s': did you mean '%s%s%s'?", first,
				    space, name, first, space, nearest);
	return command_fail("unknown command '%s%s%s': 'vmm help%s%s' lists them", first,
			    space, name, space, first);
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

static void list(const char *group)
{
	printf("Commands:\n");
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (name_within(&commands[i], group))
			printf("  %-12s%s\n", name_within(&commands[i], group),
			       commands[i].summary);
	printf("\n'vmm help %s%sCOMMAND' tells more about one of them.\n", group ? group : "",
	       group ? " " : "");
}

static void overview(void)
{
	printf("Usage: vmm COMMAND [OPTION]...\n\n"
	       "Runs virtual machines on Linux/KVM.\n\n");
	list(NULL);
}

static void group_usage(const struct command *command)
{
	command_usage(command);
	printf("\n");
	list(command->name);
}

static bool is_help(const char *arg)
{
	return !strcmp(arg, "--help") || !strcmp(arg, "-h");
}

/* What comes here is not a command of the group. */
static int run_group(const struct command *command, int argc, char **argv)
{
	if (argc > 1 && !is_help(argv[1]))
		return unknown(command->name, argv[1]);
	group_usage(command);
	return argc > 1 ? EXIT_OK : EXIT_USAGE;
}

static int run_help(const struct command *command, int argc, char **argv)
{
	int nr;

	(void)command;
	if (argc < 2) {
		overview();
		return EXIT_OK;
	}
	command = find(argc - 1, argv + 1, &nr);
	if (!command)
		return unknown(NULL, argv[1]);
	if (argc - 1 > nr)
		return command->run == run_group ? unknown(command->name, argv[2]) :
		       command_fail("help: unexpected argument '%s'", argv[nr + 1]);
	if (command->run != run_group) {
		command_usage(command);
		return EXIT_OK;
	}
	group_usage(command);
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
	struct completion_command names[ARRAY_LEN(commands)];
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
		if (!commands[i].hidden && commands[i].run != run_group)
			names[nr++] = (struct completion_command){
				.name = commands[i].name,
				.options = commands[i].options,
				.words_from = words_from(&commands[i]),
				.files = strstr(commands[i].arguments, "DIR"),
				.words = commands[i].words,
				.of_commands = commands[i].run == run_help,
			};
	completion_print(shell, "vmm", names, nr, stdout);
	return EXIT_OK;
}

static int run_manual(const struct command *command, int argc, char **argv)
{
	int nr;

	if (argc < 2)
		return command_fail("manual: of which command?");
	command = find(argc - 1, argv + 1, &nr);
	if (!command)
		return unknown(NULL, argv[1]);
	if (command->options)
		manual_print(command->options, stdout);
	return EXIT_OK;
}

static int run(int argc, char **argv)
{
	const struct command *command;
	int nr;

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
	command = find(argc - 1, argv + 1, &nr);
	if (!command)
		return unknown(NULL, argv[1]);
	/* One with options has this among them, and a group answers itself. */
	if (!command->options && command->run != run_group && argc > 2 && is_help(argv[2])) {
		command_usage(command);
		return EXIT_OK;
	}
	return command->run(command, argc - nr, argv + nr);
}

/* What was printed may reach its file only now, and whoever reads it must not miss some. */
int command_main(int argc, char **argv)
{
	int status = run(argc, argv);

	if ((fflush(stdout) || ferror(stdout)) && status == EXIT_OK)
		return command_fail("cannot write the output");
	return status;
}
