// SPDX-License-Identifier: Apache-2.0
#include "disk_tool.h"

#include "base/bits.h"
#include "base/err.h"
#include "base/folder.h"
#include "block/disk_map.h"
#include "cli/command.h"
#include "progress.h"

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

static void take_snapshots(void *ctx, const char *key, const char *text, uint64_t number)
{
	(void)text;
	if (!strcmp(key, "snapshots"))
		*(uint64_t *)ctx = number;
}

int disk_tool_refuse_snapshots(const struct disk *disk, struct err *err)
{
	uint64_t nr = 0;

	disk_map_facts(disk, take_snapshots, &nr);
	if (!nr)
		return 0;
	return err_set(err, -EINVAL, "'%s' has snapshots, which would not be the same with what "
		       "is to be behind it: delete them first", disk_id(disk));
}

int disk_tool_backing_path(char backing[PATH_MAX], const char *path, const char *name,
			   struct err *err)
{
	if (folder_join(backing, path, name) < 0)
		return err_set(err, -ENAMETOOLONG, "the name of the backing file of '%s' is "
			       "too long", path);
	return 0;
}

static void signal_came(struct loop_watch *watch, unsigned events)
{
	struct disk_tool *tool = container_of(watch, struct disk_tool, watch);
	struct signalfd_siginfo info;

	(void)events;
	if (read(tool->signals, &info, sizeof(info)) != sizeof(info))
		return;
	tool->interrupted = true;
	loop_quit(tool->loop);
}

int disk_tool_init(struct disk_tool *tool, struct err *err)
{
	sigset_t set;
	int r;

	*tool = (struct disk_tool){ .watch.ready = signal_came };
	r = loop_new(&tool->loop, err);
	if (r < 0)
		return r;
	loop_set_bulk(tool->loop);
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	tool->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (tool->signals < 0) {
		r = err_sys(err, -errno, "cannot wait for signals");
		goto no_signals;
	}
	r = loop_watch_add(tool->loop, &tool->watch, tool->signals, POLLIN);
	if (r < 0) {
		err_sys(err, r, "cannot wait for signals");
		close(tool->signals);
		goto no_signals;
	}
	return 0;

no_signals:
	tool->loop = loop_free(tool->loop);
	return r;
}

void disk_tool_fini(struct disk_tool *tool)
{
	if (!tool->loop)
		return;
	loop_watch_remove(tool->loop, &tool->watch);
	close(tool->signals);
	tool->loop = loop_free(tool->loop);
}

int disk_tool_check(struct disk_tool *tool, struct err *err)
{
	return tool->interrupted ? err_set(err, -EINTR, "interrupted") : 0;
}

/* A request, and whether it is done. */
struct carrier {
	struct disk_request request;
	struct loop *loop;
	bool done;
	int res;
};

static void carrier_done(struct disk_request *request, int res)
{
	struct carrier *carrier = container_of(request, struct carrier, request);

	carrier->done = true;
	carrier->res = res;
	loop_quit(carrier->loop);
}

int disk_tool_do(struct disk_tool *tool, struct disk *disk, struct disk_request *request)
{
	struct carrier carrier = { .request = *request, .loop = tool->loop };
	int r = 0;

	carrier.request.done = carrier_done;
	disk_submit(disk, &carrier.request);
	while (!carrier.done && r >= 0)
		r = loop_run(tool->loop);
	return r < 0 ? r : carrier.res;
}

void disk_tool_show(void *ctx, uint64_t done, uint64_t total)
{
	struct progress *progress = ctx;

	progress->total = total;
	progress_show(progress, done);
}

const char *disk_tool_size(uint64_t bytes, char text[DISK_TOOL_SIZE_MAX])
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double size = (double)bytes / 1024;
	size_t unit = 0;

	if (bytes < 1024) {
		snprintf(text, DISK_TOOL_SIZE_MAX, "%llu bytes", (unsigned long long)bytes);
		return text;
	}
	for (; size >= 1024 && unit + 1 < ARRAY_LEN(units); unit++)
		size /= 1024;
	snprintf(text, DISK_TOOL_SIZE_MAX, "%.3g %s (%llu bytes)", size, units[unit],
		 (unsigned long long)bytes);
	return text;
}

json_t *disk_tool_json_text(const char *text)
{
	json_t *string = json_string(text);
	char *copy;

	if (string)
		return string;
	copy = strdup(text);
	for (char *c = copy; c && *c; c++)
		if ((unsigned char)*c > 0x7f)
			*c = '?';
	string = json_string(copy);
	free(copy);
	return string;
}

int disk_tool_print_json(json_t *json)
{
	int r = json ? json_dumpf(json, stdout, JSON_INDENT(2)) : -1;

	json_decref(json);
	if (r || putchar('\n') == EOF || fflush(stdout))
		return command_fail("disk: cannot write the output");
	return EXIT_OK;
}
