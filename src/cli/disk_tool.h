/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk_tool.h - what the subcommands of 'vmm disk' share.
 *
 * They work with disks as a VM does, by requests to a loop; the loop runs on the
 * main thread whenever there is something to wait for.
 */
#ifndef CLI_DISK_TOOL_H
#define CLI_DISK_TOOL_H

#include "block/disk.h"
#include "config/option.h"
#include "loop/loop.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

struct disk;
struct err;
struct json_t;

struct disk_tool {
	struct loop *loop;
	int signals;			/* a signalfd of SIGINT, SIGTERM and SIGHUP */
	struct loop_watch watch;
	bool interrupted;		/* one of them came; the loop has been told to end */
};

/* The row of an enum disk_backing called backing_files. */
#define DISK_TOOL_BACKING_FILES(type)						\
	{ .key = "backing-files",						\
	  OPTION_CHOICE(type, backing_files, disk_backing_names),		\
	  .preset = "folder",							\
	  .help = "which backing files an image may name: those in its own "	\
		  "folder, any (on), or none (off)" }

/*
 * What internal snapshots do not hold themselves they have from the backing file, too: so
 * refuse to change that of an image that has some.
 */
int disk_tool_refuse_snapshots(const struct disk *disk, struct err *err);

/* Where the backing file is that the image at path has as name. */
int disk_tool_backing_path(char backing[PATH_MAX], const char *path, const char *name,
			   struct err *err);

/* From here on those signals end the loop, not the process. */
int disk_tool_init(struct disk_tool *tool, struct err *err);
void disk_tool_fini(struct disk_tool *tool);

/* -EINTR, told by err, when one of the signals has come. */
int disk_tool_check(struct disk_tool *tool, struct err *err);

/* Have one request done, and wait for it, whatever signal comes; 0 or a negative errno. */
int disk_tool_do(struct disk_tool *tool, struct disk *disk, struct disk_request *request);

/* As struct disk_progress has it: ctx is a struct progress that was started. */
void disk_tool_show(void *ctx, uint64_t done, uint64_t total);

/* "1.5 GiB (1610612736 bytes)" */
#define DISK_TOOL_SIZE_MAX	64
const char *disk_tool_size(uint64_t bytes, char text[DISK_TOOL_SIZE_MAX]);

/* A string for JSON, which is UTF-8; of what is not, each byte beyond ASCII becomes '?'. */
struct json_t *disk_tool_json_text(const char *text);

/* Print and free; the command's exit status. */
int disk_tool_print_json(struct json_t *json);

#endif
