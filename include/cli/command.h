/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command.h - the subcommands of vmm.
 *
 * A subcommand is one file and one line in the table in command.c.
 */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

struct option_object;

/* Exit statuses, as the manual page documents them. */
enum {
	EXIT_OK,		/* done; of run: the guest switched itself off */
	EXIT_USAGE,		/* could not start: option, file, host */
	EXIT_DIED,		/* the guest died */
	EXIT_FORCED,		/* the guest was ended from outside */
};

#define COMMAND_ANY		(-1)
#define COMMAND_TIMEOUT_MAX	1000000		/* seconds, of options */

struct command {
	const char *name;
	const char *summary;			/* part of a sentence */
	const char *arguments;			/* after the options, or "" */
	const char *words;			/* that may be among them, or NULL */
	int nr_least, nr_most;			/* of them; COMMAND_ANY */
	const struct option_object *options;	/* or NULL */
	bool hidden;				/* for the build; not listed */

	/* argv[0] is the subcommand; returns an exit status. */
	int (*run)(const struct command *command, int argc, char **argv);
};

/* Run what argv asks for; returns the exit status. */
int command_main(int argc, char **argv);

/* One line of error to standard error; returns EXIT_USAGE. */
int command_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The option tables of subcommands. */
extern const struct option_object command_list_options, command_info_options;
extern const struct option_object command_order_options, command_stop_options;
extern const struct option_object command_kill_options, command_qmp_options;
extern const struct option_object command_events_options, command_console_options;
extern const struct option_object command_stats_options, command_attach_options;
extern const struct option_object command_detach_options, command_snapshot_options;
extern const struct option_object command_snapshot_info_options;
extern const struct option_object command_snapshot_verify_options, command_restore_options;
extern const struct option_object command_clone_options, command_snapshot_merge_options;
extern const struct option_object command_migrate_options;

/* Print how the subcommand is used. */
void command_usage(const struct command *command);

/* The subcommands, each in the file of its name; order is pause, resume and reset. */
int command_run(const struct command *command, int argc, char **argv);
int command_list(const struct command *command, int argc, char **argv);
int command_info(const struct command *command, int argc, char **argv);
int command_order(const struct command *command, int argc, char **argv);
int command_stop(const struct command *command, int argc, char **argv);
int command_kill(const struct command *command, int argc, char **argv);
int command_qmp(const struct command *command, int argc, char **argv);
int command_events(const struct command *command, int argc, char **argv);
int command_console(const struct command *command, int argc, char **argv);
int command_stats(const struct command *command, int argc, char **argv);
int command_attach(const struct command *command, int argc, char **argv);
int command_detach(const struct command *command, int argc, char **argv);
int command_migrate(const struct command *command, int argc, char **argv);
int command_snapshot(const struct command *command, int argc, char **argv);
int command_snapshot_info(const struct command *command, int argc, char **argv);
int command_snapshot_merge(const struct command *command, int argc, char **argv);
int command_snapshot_verify(const struct command *command, int argc, char **argv);
int command_restore(const struct command *command, int argc, char **argv);
int command_clone(const struct command *command, int argc, char **argv);
int command_doctor(const struct command *command, int argc, char **argv);

#endif
