// SPDX-License-Identifier: Apache-2.0
/*
 * qmp_block.c - the disks and their counters.
 */
#include "block/throttle.h"
#include "config/option.h"
#include "control/qmp_command.h"
#include "control/qmp_machine.h"
#include "qmp_build.h"
#include "qmp_tables.h"

#include <errno.h>
#include <stddef.h>

#define REQUIRED(name_)	{ .name = (name_), .type = &qmp_type_int }
#define OPTIONAL(name_)	{ .name = (name_), .type = &qmp_type_int, .optional = true }

/* query-block. */

static const struct qmp_member image_members[] = {
	{ .name = "filename", .type = &qmp_type_str },
	{ .name = "format", .type = &qmp_type_str },
	{ .name = "actual-size", .type = &qmp_type_int, .optional = true },
	{ .name = "virtual-size", .type = &qmp_type_int },
};
static const struct qmp_type image = { .kind = QMP_OBJECT, QMP_MEMBERS(image_members) };

static const struct qmp_member cache_members[] = {
	{ .name = "writeback", .type = &qmp_type_bool },
	{ .name = "direct", .type = &qmp_type_bool },
	{ .name = "no-flush", .type = &qmp_type_bool },
};
static const struct qmp_type cache = { .kind = QMP_OBJECT, QMP_MEMBERS(cache_members) };

static const char *const zeroes_words[] = { "off", "on", "unmap", NULL };
static const struct qmp_type zeroes = { .kind = QMP_ENUM, .values = zeroes_words };

static const struct qmp_member inserted_members[] = {
	{ .name = "file", .type = &qmp_type_str },
	{ .name = "node-name", .type = &qmp_type_str, .optional = true },
	{ .name = "ro", .type = &qmp_type_bool },
	{ .name = "drv", .type = &qmp_type_str },
	REQUIRED("backing_file_depth"),
	{ .name = "encrypted", .type = &qmp_type_bool },
	{ .name = "detect_zeroes", .type = &zeroes },
	REQUIRED("bps"), REQUIRED("bps_rd"), REQUIRED("bps_wr"),
	REQUIRED("iops"), REQUIRED("iops_rd"), REQUIRED("iops_wr"),
	OPTIONAL("bps_max"), OPTIONAL("bps_rd_max"), OPTIONAL("bps_wr_max"),
	OPTIONAL("iops_max"), OPTIONAL("iops_rd_max"), OPTIONAL("iops_wr_max"),
	OPTIONAL("bps_max_length"), OPTIONAL("bps_rd_max_length"),
	OPTIONAL("bps_wr_max_length"), OPTIONAL("iops_max_length"),
	OPTIONAL("iops_rd_max_length"), OPTIONAL("iops_wr_max_length"),
	OPTIONAL("iops_size"),
	{ .name = "group", .type = &qmp_type_str, .optional = true },
	{ .name = "image", .type = &image },
	{ .name = "cache", .type = &cache },
	REQUIRED("write_threshold"),
	{ .name = "aio", .type = &qmp_type_str, .optional = true },
};
static const struct qmp_type inserted = {
	.kind = QMP_OBJECT, QMP_MEMBERS(inserted_members),
};

static const char *const io_states[] = { "ok", "failed", "nospace", NULL };
static const struct qmp_type io_status = { .kind = QMP_ENUM, .values = io_states };

static const struct qmp_member block_members[] = {
	{ .name = "device", .type = &qmp_type_str },
	{ .name = "qdev", .type = &qmp_type_str, .optional = true },
	{ .name = "type", .type = &qmp_type_str },
	{ .name = "removable", .type = &qmp_type_bool },
	{ .name = "locked", .type = &qmp_type_bool },
	{ .name = "inserted", .type = &inserted, .optional = true },
	{ .name = "io-status", .type = &io_status, .optional = true },
};
static const struct qmp_type block_info = { .kind = QMP_OBJECT, QMP_MEMBERS(block_members) };

/* No limit is 0. */
static void set_zeroes(json_t *object, const char *const *keys)
{
	for (; *keys; keys++)
		json_object_set_new(object, *keys, json_integer(0));
}

static void set_number(json_t **object, const char *key, uint64_t value)
{
	qmp_build_member(object, key, json_integer((json_int_t)value));
}

/* What has no burst tells nothing of one. */
static void describe_limits(json_t **medium, const struct qmp_machine_disk *disk)
{
	static const struct {
		const char *avg, *max, *length;
	} keys[] = {
		[THROTTLE_BPS] = { "bps", "bps_max", "bps_max_length" },
		[THROTTLE_BPS_RD] = { "bps_rd", "bps_rd_max", "bps_rd_max_length" },
		[THROTTLE_BPS_WR] = { "bps_wr", "bps_wr_max", "bps_wr_max_length" },
		[THROTTLE_IOPS] = { "iops", "iops_max", "iops_max_length" },
		[THROTTLE_IOPS_RD] = { "iops_rd", "iops_rd_max", "iops_rd_max_length" },
		[THROTTLE_IOPS_WR] = { "iops_wr", "iops_wr_max", "iops_wr_max_length" },
	};

	for (unsigned i = 0; i < ARRAY_LEN(keys); i++) {
		const struct bucket_limit none = { 0 };
		const struct bucket_limit *limit = disk->limits ? &disk->limits->of[i] :
						     &none;

		set_number(medium, keys[i].avg, limit->avg);
		if (limit->max) {
			set_number(medium, keys[i].max, limit->max);
			set_number(medium, keys[i].length, limit->length ? limit->length : 1);
		}
	}
	if (disk->limits && disk->limits->iops_size)
		set_number(medium, "iops_size", disk->limits->iops_size);
	qmp_build_text(medium, "group", disk->group);
}

static json_t *describe_medium(const struct qmp_machine_disk *disk)
{
	static const char *const none[] = {
		"backing_file_depth", "write_threshold", NULL,
	};
	json_t *medium = json_pack(
		"{s:o, s:s, s:b, s:s, s:b, s:s, s:{s:b, s:b, s:b}, s:{s:o, s:s, s:I, s:I}}",
		"file", qmp_build_string(disk->path), "node-name", disk->id,
		"ro", disk->read_only, "drv", disk->format, "encrypted", false,
		"detect_zeroes", "off",
		"cache", "writeback", disk->writeback, "direct", disk->direct,
		"no-flush", disk->no_flush,
		"image", "filename", qmp_build_string(disk->path), "format", disk->format,
		"actual-size", (json_int_t)disk->allocated,
		"virtual-size", (json_int_t)disk->size);

	set_zeroes(medium, none);
	describe_limits(&medium, disk);
	qmp_build_text(&medium, "aio", disk->engine);
	return medium;
}

static const char *io_state(int error)
{
	if (!error)
		return "ok";
	return error == -ENOSPC ? "nospace" : "failed";
}

static json_t *describe(const struct qmp_machine_disk *disk)
{
	json_t *info = json_pack("{s:s, s:s, s:b, s:b, s:o, s:s}", "device", disk->id,
				 "type", "unknown", "removable", false, "locked", false,
				 "inserted", describe_medium(disk), "io-status",
				 io_state(disk->stopped_by));

	qmp_build_text(&info, "qdev", disk->device);
	return info;
}

static void run_block(struct qmp_call *call)
{
	const struct qmp_machine *machine = call->machine;
	json_t *list = json_array();

	for (unsigned i = 0;; i++) {
		struct qmp_machine_disk disk = { 0 };

		if (!machine->ops->disk(machine->ctx, i, &disk))
			break;
		if (disk.device)
			qmp_build_item(&list, describe(&disk));
	}
	qmp_call_return(call, list);
}

/* query-blockstats. */

static const struct qmp_member stats_members[] = {
	REQUIRED("rd_bytes"), REQUIRED("wr_bytes"), REQUIRED("unmap_bytes"),
	REQUIRED("rd_operations"), REQUIRED("wr_operations"),
	REQUIRED("flush_operations"), REQUIRED("unmap_operations"),
	REQUIRED("rd_total_time_ns"), REQUIRED("wr_total_time_ns"),
	REQUIRED("flush_total_time_ns"), REQUIRED("unmap_total_time_ns"),
	REQUIRED("wr_highest_offset"),
	REQUIRED("rd_merged"), REQUIRED("wr_merged"), REQUIRED("unmap_merged"),
	REQUIRED("failed_rd_operations"), REQUIRED("failed_wr_operations"),
	REQUIRED("failed_flush_operations"), REQUIRED("failed_unmap_operations"),
	REQUIRED("invalid_rd_operations"), REQUIRED("invalid_wr_operations"),
	REQUIRED("invalid_flush_operations"), REQUIRED("invalid_unmap_operations"),
	{ .name = "account_invalid", .type = &qmp_type_bool },
	{ .name = "account_failed", .type = &qmp_type_bool },
	{ .name = "timed_stats", .type = QMP_ARRAY_OF(&qmp_type_any) },
};
static const struct qmp_type stats = { .kind = QMP_OBJECT, QMP_MEMBERS(stats_members) };

static const struct qmp_member disk_stats_members[] = {
	{ .name = "device", .type = &qmp_type_str, .optional = true },
	{ .name = "qdev", .type = &qmp_type_str, .optional = true },
	{ .name = "node-name", .type = &qmp_type_str, .optional = true },
	{ .name = "stats", .type = &stats },
};
static const struct qmp_type disk_stats = {
	.kind = QMP_OBJECT, QMP_MEMBERS(disk_stats_members),
};

struct stats_arguments {
	struct option_given given;
	bool query_nodes;
};

static const struct option stats_rows[] = {
	{ .key = "query-nodes", OPTION(struct stats_arguments, query_nodes) },
};

static const struct option_object stats_options = {
	.name = "stats", OPTION_OBJECT(struct stats_arguments, stats_rows),
};

/* Requests that cannot be or do not exist are not counted. */
static json_t *describe_counters(const struct qmp_machine_disk *disk)
{
	static const char *const none[] = {
		"wr_highest_offset", "rd_merged", "wr_merged", "unmap_merged",
		"invalid_rd_operations", "invalid_wr_operations", "invalid_flush_operations",
		"invalid_unmap_operations", NULL,
	};
	const struct counter {
		const char *key;
		uint64_t value;
	} counters[] = {
		{ "rd_bytes", disk->read.bytes },
		{ "wr_bytes", disk->write.bytes },
		{ "rd_operations", disk->read.nr },
		{ "wr_operations", disk->write.nr },
		{ "flush_operations", disk->flush.nr },
		{ "unmap_bytes", disk->unmap.bytes },
		{ "unmap_operations", disk->unmap.nr },
		{ "unmap_total_time_ns", disk->unmap.ns },
		{ "failed_unmap_operations", disk->unmap.nr_failed },
		{ "rd_total_time_ns", disk->read.ns },
		{ "wr_total_time_ns", disk->write.ns },
		{ "flush_total_time_ns", disk->flush.ns },
		{ "failed_rd_operations", disk->read.nr_failed },
		{ "failed_wr_operations", disk->write.nr_failed },
		{ "failed_flush_operations", disk->flush.nr_failed },
	};
	json_t *object = json_pack("{s:b, s:b, s:[]}", "account_invalid", false,
				   "account_failed", true, "timed_stats");

	for (size_t i = 0; i < ARRAY_LEN(counters); i++)
		json_object_set_new(object, counters[i].key,
				    json_integer((json_int_t)counters[i].value));
	set_zeroes(object, none);
	return object;
}

/* Each disk is one node; without query-nodes only those are told that the guest has. */
static json_t *describe_stats(const struct qmp_machine_disk *disk, bool by_node)
{
	json_t *info = json_pack("{s:s, s:o}", "node-name", disk->id, "stats",
				 describe_counters(disk));

	qmp_build_text(&info, "device", by_node ? NULL : disk->id);
	qmp_build_text(&info, "qdev", by_node ? NULL : disk->device);
	return info;
}

static void run_blockstats(struct qmp_call *call)
{
	const struct stats_arguments *arguments = call->arguments;
	const struct qmp_machine *machine = call->machine;
	json_t *list = json_array();

	for (unsigned i = 0;; i++) {
		struct qmp_machine_disk disk = { 0 };

		if (!machine->ops->disk(machine->ctx, i, &disk))
			break;
		if (disk.device || arguments->query_nodes)
			qmp_build_item(&list, describe_stats(&disk,
							     arguments->query_nodes));
	}
	qmp_call_return(call, list);
}

static const struct qmp_command commands[] = {
	{ .name = "query-block", .returns = QMP_ARRAY_OF(&block_info), .run = run_block },
	{ .name = "query-blockstats", .arguments = &stats_options,
	  .returns = QMP_ARRAY_OF(&disk_stats), .run = run_blockstats },
};

const struct qmp_table qmp_tables_block = { QMP_COMMANDS(commands) };
