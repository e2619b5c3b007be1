// SPDX-License-Identifier: Apache-2.0
/*
 * qmp_stats.c - what KVM counts: values, and what they mean.
 *
 * QEMU has other providers in later versions; here as in 7.2 KVM is the only one.
 */
#include "base/err.h"
#include "control/qmp_command.h"
#include "control/qmp_machine.h"
#include "qmp_build.h"
#include "qmp_cpus.h"
#include "qmp_tables.h"

#include <errno.h>
#include <string.h>

#define VM (-1)		/* in the place of a vCPU's number */

static const char *const targets[] = { "vm", "vcpu", NULL };
static const struct qmp_type target = { .kind = QMP_ENUM, .values = targets };

static const char *const providers[] = { "kvm", NULL };
static const struct qmp_type provider = { .kind = QMP_ENUM, .values = providers };

/* query-stats-schemas. */

static const char *const type_words[] = {
	"cumulative", "instant", "peak", "linear-histogram", "log2-histogram", NULL,
};
static const struct qmp_type type = { .kind = QMP_ENUM, .values = type_words };

static const char *const unit_words[] = { "bytes", "seconds", "cycles", "boolean", NULL };
static const struct qmp_type unit = { .kind = QMP_ENUM, .values = unit_words };

static const struct qmp_member meaning_members[] = {
	{ .name = "name", .type = &qmp_type_str },
	{ .name = "type", .type = &type },
	{ .name = "unit", .type = &unit, .optional = true },
	{ .name = "base", .type = &qmp_type_int, .optional = true },
	{ .name = "exponent", .type = &qmp_type_int },
	{ .name = "bucket-size", .type = &qmp_type_int, .optional = true },
};
static const struct qmp_type meaning = { .kind = QMP_OBJECT, QMP_MEMBERS(meaning_members) };

static const struct qmp_member schema_members[] = {
	{ .name = "provider", .type = &provider },
	{ .name = "target", .type = &target },
	{ .name = "stats", .type = QMP_ARRAY_OF(&meaning) },
};
static const struct qmp_type schema = { .kind = QMP_OBJECT, QMP_MEMBERS(schema_members) };

static const struct qmp_member which_members[] = {
	{ .name = "provider", .type = &provider, .optional = true },
};
static const struct qmp_type which = { .kind = QMP_OBJECT, QMP_MEMBERS(which_members) };

static json_t *mean(const struct qmp_machine_stat *stat)
{
	json_t *object = json_pack("{s:s, s:s, s:i}", "name", stat->name, "type", stat->type,
				   "exponent", stat->exponent);

	qmp_build_text(&object, "unit", stat->unit);
	if (stat->exponent)
		qmp_build_member(&object, "base", json_integer(stat->base));
	if (!strcmp(stat->type, "linear-histogram"))
		qmp_build_member(&object, "bucket-size", json_integer(stat->bucket_size));
	return object;
}

/* A kernel without these statistics is no error, but has nothing to tell. */
static int add_schema(const struct qmp_machine *machine, int vcpu, json_t **list,
		      struct err *err)
{
	json_t *stats;
	int nr = machine->ops->read_stats(machine->ctx, vcpu, err);

	if (nr < 0)
		return nr == -ENOTSUP ? 0 : nr;
	stats = json_array();
	for (int i = 0; i < nr; i++) {
		struct qmp_machine_stat stat = { 0 };

		machine->ops->stat(machine->ctx, (unsigned)i, &stat);
		qmp_build_item(&stats, mean(&stat));
	}
	qmp_build_item(list, json_pack("{s:s, s:s, s:o}", "provider", "kvm", "target",
				       vcpu == VM ? "vm" : "vcpu", "stats", stats));
	return 0;
}

static void give(struct qmp_call *call, json_t *list, int r, const struct err *err)
{
	if (!r) {
		qmp_call_return(call, list);
		return;
	}
	json_decref(list);
	qmp_call_fail(call, QMP_GENERIC_ERROR, "%s", err->text);
}

static void run_schemas(struct qmp_call *call)
{
	json_t *list = json_array();
	struct err err = { 0 };
	int r = add_schema(call->machine, 0, &list, &err);

	if (!r)
		r = add_schema(call->machine, VM, &list, &err);
	give(call, list, r, &err);
}

/* query-stats. */

static const struct qmp_member value_members[] = {
	{ .type = &qmp_type_int },
	{ .type = &qmp_type_bool },
	{ .type = QMP_ARRAY_OF(&qmp_type_int) },
};
static const struct qmp_type value = { .kind = QMP_ALTERNATE, QMP_MEMBERS(value_members) };

static const struct qmp_member stat_members[] = {
	{ .name = "name", .type = &qmp_type_str },
	{ .name = "value", .type = &value },
};
static const struct qmp_type one_stat = { .kind = QMP_OBJECT, QMP_MEMBERS(stat_members) };

static const struct qmp_member result_members[] = {
	{ .name = "provider", .type = &provider },
	{ .name = "qom-path", .type = &qmp_type_str, .optional = true },
	{ .name = "stats", .type = QMP_ARRAY_OF(&one_stat) },
};
static const struct qmp_type result = { .kind = QMP_OBJECT, QMP_MEMBERS(result_members) };

static const struct qmp_member request_members[] = {
	{ .name = "provider", .type = &provider },
	{ .name = "names", .type = QMP_ARRAY_OF(&qmp_type_str), .optional = true },
};
static const struct qmp_type request = { .kind = QMP_OBJECT, QMP_MEMBERS(request_members) };

static const struct qmp_member vcpu_members[] = {
	{ .name = "vcpus", .type = QMP_ARRAY_OF(&qmp_type_str), .optional = true },
};
static const struct qmp_type vcpu_filter = { .kind = QMP_OBJECT, QMP_MEMBERS(vcpu_members) };
static const struct qmp_variant filters[] = {
	{ .value = "vcpu", .type = &vcpu_filter },
};
static const struct qmp_member filter_members[] = {
	{ .name = "target", .type = &target },
	{ .name = "providers", .type = QMP_ARRAY_OF(&request), .optional = true },
};
static const struct qmp_type filter = {
	.kind = QMP_OBJECT, QMP_MEMBERS(filter_members), .tag = "target", QMP_VARIANTS(filters),
};

/* No list is all of them. */
static bool is_wanted(const json_t *words, const char *word)
{
	const json_t *one;
	size_t i;

	json_array_foreach(words, i, one) {
		if (!strcmp(json_string_value(one), word))
			return true;
	}
	return !words;
}

static json_t *values_of(const struct qmp_machine_stat *stat)
{
	json_t *list;

	if (stat->nr_values == 1 && stat->unit && !strcmp(stat->unit, "boolean"))
		return json_boolean(stat->values[0]);
	if (stat->nr_values == 1)
		return json_integer((json_int_t)stat->values[0]);
	list = json_array();
	for (unsigned i = 0; i < stat->nr_values; i++)
		qmp_build_item(&list, json_integer((json_int_t)stat->values[i]));
	return list;
}

static int add_result(const struct qmp_machine *machine, int vcpu, const json_t *names,
		      json_t **list, struct err *err)
{
	char path[QMP_CPUS_PATH_BYTES];
	json_t *stats, *found;
	int nr = machine->ops->read_stats(machine->ctx, vcpu, err);

	if (nr < 0)
		return nr == -ENOTSUP ? 0 : nr;
	stats = json_array();
	for (int i = 0; i < nr; i++) {
		struct qmp_machine_stat stat = { 0 };

		machine->ops->stat(machine->ctx, (unsigned)i, &stat);
		if (is_wanted(names, stat.name))
			qmp_build_item(&stats, json_pack("{s:s, s:o}", "name", stat.name,
							 "value", values_of(&stat)));
	}
	if (stats && !json_array_size(stats)) {
		json_decref(stats);
		return 0;
	}
	qmp_cpus_path(path, (unsigned)vcpu);
	found = json_pack("{s:s, s:o}", "provider", "kvm", "stats", stats);
	qmp_build_text(&found, "qom-path", vcpu == VM ? NULL : path);
	qmp_build_item(list, found);
	return 0;
}

static int add_results(const struct qmp_call *call, const json_t *names, json_t **list,
		       struct err *err)
{
	const struct qmp_machine *machine = call->machine;
	const json_t *vcpus = json_object_get(call->json, "vcpus");
	int r = 0;

	if (!strcmp(json_string_value(json_object_get(call->json, "target")), "vm"))
		return add_result(machine, VM, names, list, err);
	for (unsigned i = 0; !r; i++) {
		struct qmp_machine_cpu cpu = { 0 };
		char path[QMP_CPUS_PATH_BYTES];

		if (!machine->ops->cpu(machine->ctx, i, &cpu))
			break;
		qmp_cpus_path(path, i);
		if (is_wanted(vcpus, path))
			r = add_result(machine, (int)i, names, list, err);
	}
	return r;
}

/* Each entry of providers asks once more, as it does in QEMU. */
static void run_stats(struct qmp_call *call)
{
	const json_t *requests = json_object_get(call->json, "providers"), *one;
	json_t *list = json_array();
	struct err err = { 0 };
	int r = 0;
	size_t i;

	if (!requests)
		r = add_results(call, NULL, &list, &err);
	json_array_foreach(requests, i, one) {
		r = add_results(call, json_object_get(one, "names"), &list, &err);
		if (r < 0)
			break;
	}
	give(call, list, r, &err);
}

static const struct qmp_command commands[] = {
	{ .name = "query-stats", .json_arguments = &filter, .returns = QMP_ARRAY_OF(&result),
	  .run = run_stats },
	{ .name = "query-stats-schemas", .json_arguments = &which,
	  .returns = QMP_ARRAY_OF(&schema), .run = run_schemas },
};

const struct qmp_table qmp_tables_stats = { QMP_COMMANDS(commands) };
