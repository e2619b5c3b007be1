// SPDX-License-Identifier: Apache-2.0
#include "disk_snapshots.h"

#include "base/err.h"
#include "block/disk_snapshot.h"
#include "disk_tool.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Anybody may have written it. */
static json_t *readable(const char *text)
{
	char *copy = strdup(text);
	json_t *string;

	if (!copy)
		return NULL;
	for (char *c = copy; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	string = disk_tool_json_text(copy);
	free(copy);
	return string;
}

static void add(void *ctx, const struct disk_snapshot *snapshot)
{
	json_t **list = ctx;
	json_t *row = json_pack("{s:o,s:o,s:I,s:I,s:I}",
				"id", readable(snapshot->id), "name", readable(snapshot->name),
				"virtual-size", (json_int_t)snapshot->size,
				"vm-state-size", (json_int_t)snapshot->vm_state_len,
				"created", (json_int_t)snapshot->seconds);

	/* What lacks one row is no list. */
	if (*list && json_array_append_new(*list, row) < 0) {
		json_decref(*list);
		*list = NULL;
	}
}

json_t *disk_snapshots_read(const struct disk_config *config, struct err *err)
{
	json_t *list = json_array();
	int r = disk_snapshot_list(config, add, &list, err);

	if (!r && !list)
		err_sys(err, -ENOMEM, "cannot list the snapshots of '%s'", config->path);
	if (!r)
		return list;
	json_decref(list);
	return NULL;
}

static const char *text_of(const json_t *row, const char *key)
{
	return json_string_value(json_object_get(row, key));
}

static uint64_t number_of(const json_t *row, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(row, key));
}

void disk_snapshots_print(const json_t *snapshots)
{
	char size[DISK_TOOL_SIZE_MAX], date[32] = "";
	struct tm tm;
	json_t *row;
	size_t i;

	if (json_array_size(snapshots))
		printf("%-6s%-21s%-28s%s\n", "ID", "CREATED", "SIZE", "NAME");
	json_array_foreach(snapshots, i, row) {
		time_t created = (time_t)number_of(row, "created");

		if (localtime_r(&created, &tm))
			strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &tm);
		printf("%-6s%-21s%-28s%s\n", text_of(row, "id"), date,
		       disk_tool_size(number_of(row, "virtual-size"), size),
		       text_of(row, "name"));
	}
}
