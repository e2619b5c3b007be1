/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk.h - the subcommands of 'vmm disk', each in the file of its name.
 */
#ifndef CLI_DISK_H
#define CLI_DISK_H

struct command;
struct option_object;

extern const struct option_object disk_create_options, disk_info_options;
extern const struct option_object disk_convert_options, disk_resize_options;
extern const struct option_object disk_map_options, disk_compare_options;
extern const struct option_object disk_check_options, disk_snapshot_options;
extern const struct option_object disk_commit_options, disk_rebase_options;

int disk_create_command(const struct command *command, int argc, char **argv);
int disk_info_command(const struct command *command, int argc, char **argv);
int disk_convert_command(const struct command *command, int argc, char **argv);
int disk_resize_command(const struct command *command, int argc, char **argv);
int disk_map_command(const struct command *command, int argc, char **argv);
int disk_compare_command(const struct command *command, int argc, char **argv);
int disk_check_command(const struct command *command, int argc, char **argv);
int disk_snapshot_command(const struct command *command, int argc, char **argv);
int disk_commit_command(const struct command *command, int argc, char **argv);
int disk_rebase_command(const struct command *command, int argc, char **argv);

#endif
