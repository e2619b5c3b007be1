// SPDX-License-Identifier: Apache-2.0
/*
 * qmp_schema.c - walks the tables, and describes each type where it is first met.
 *
 * A type is known by its address, be it a struct qmp_type, an option table or
 * the list of words of a choice; its number is its place among those met.
 */
#include "qmp_schema.h"

#include "config/option.h"
#include "control/qmp_command.h"
#include "control/qmp_event.h"
#include "qmp_build.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_BYTES	24	/* "[[123]]" and shorter than any number can get */

struct name {
	char text[NAME_BYTES];
};

struct schema {
	json_t *list;
	const void **met;		/* numbered types */
	unsigned nr_met, room;
	json_t *named;			/* the set of arrays and built-in types met */
	bool failed;			/* no memory */
};

static struct name name_type(struct schema *schema, const struct qmp_type *type);

static void add(struct schema *schema, json_t *info)
{
	if (json_array_append_new(schema->list, info))
		schema->failed = true;
}

static struct name name_of(const char *text)
{
	struct name name;

	snprintf(name.text, sizeof(name.text), "%s", text);
	return name;
}

/* True when it is new, and has to be described under the name. */
static bool meet(struct schema *schema, const void *what, struct name *ret_name)
{
	unsigned i = 0;

	while (i < schema->nr_met && schema->met[i] != what)
		i++;
	snprintf(ret_name->text, sizeof(ret_name->text), "%u", i);
	if (i < schema->nr_met)
		return false;
	if (i == schema->room) {
		unsigned room = i ? 2 * i : 64;
		const void **met = reallocarray(schema->met, room, sizeof(*met));

		if (!met) {
			schema->failed = true;
			return false;
		}
		schema->met = met;
		schema->room = room;
	}
	schema->met[schema->nr_met++] = what;
	return true;
}

/* The same for a type that has a name. */
static bool meet_named(struct schema *schema, const char *name)
{
	if (json_object_get(schema->named, name))
		return false;
	if (json_object_set_new(schema->named, name, json_true()))
		schema->failed = true;
	return !schema->failed;
}

static struct name name_builtin(struct schema *schema, const char *name,
				const char *json_type)
{
	if (meet_named(schema, name))
		add(schema, json_pack("{s:s, s:s, s:s}", "name", name, "meta-type", "builtin",
				      "json-type", json_type));
	return name_of(name);
}

static struct name name_enum(struct schema *schema, const char *const *words)
{
	json_t *values, *members;
	struct name name;

	if (!meet(schema, words, &name))
		return name;
	values = json_array();
	members = json_array();
	for (; *words; words++) {
		qmp_build_item(&values, json_string(*words));
		qmp_build_item(&members, json_pack("{s:s}", "name", *words));
	}
	add(schema, json_pack("{s:s, s:s, s:o, s:o}", "name", name.text, "meta-type", "enum",
			      "members", members, "values", values));
	return name;
}

static struct name name_array(struct schema *schema, struct name element)
{
	struct name name;

	snprintf(name.text, sizeof(name.text), "[%.*s]", NAME_BYTES - 3, element.text);
	if (meet_named(schema, name.text))
		add(schema, json_pack("{s:s, s:s, s:s}", "name", name.text, "meta-type",
				      "array", "element-type", element.text));
	return name;
}

/* That there is a default says that the member is optional; null, that it is none. */
static void add_member(json_t **members, const char *key, struct name type, bool optional)
{
	json_t *member = json_pack("{s:s, s:s}", "name", key, "type", type.text);

	if (member && optional)
		qmp_build_member(&member, "default", json_null());
	qmp_build_item(members, member);
}

static const struct qmp_type *variant_type(const struct qmp_type *type, const char *value)
{
	for (unsigned i = 0; i < type->nr_variants; i++)
		if (!strcmp(type->variants[i].value, value))
			return type->variants[i].type;
	return &qmp_type_empty;
}

/* One for each value of the tag, also for those that add nothing. */
static json_t *variants_of(struct schema *schema, const struct qmp_type *type)
{
	json_t *variants = json_array();
	const char *const *value = NULL;

	for (unsigned i = 0; i < type->nr_members; i++)
		if (!strcmp(type->members[i].name, type->tag))
			value = type->members[i].type->values;
	for (; value && *value; value++) {
		struct name name = name_type(schema, variant_type(type, *value));

		qmp_build_item(&variants, json_pack("{s:s, s:s}", "case", *value, "type",
						    name.text));
	}
	return variants;
}

static struct name name_object(struct schema *schema, const struct qmp_type *type)
{
	json_t *info, *members;
	struct name name;

	if (!meet(schema, type, &name))
		return name;
	members = json_array();
	for (unsigned i = 0; i < type->nr_members; i++)
		add_member(&members, type->members[i].name,
			   name_type(schema, type->members[i].type), type->members[i].optional);
	info = json_pack("{s:s, s:s, s:o}", "name", name.text, "meta-type", "object",
			 "members", members);
	if (info && type->tag) {
		qmp_build_member(&info, "tag", json_string(type->tag));
		qmp_build_member(&info, "variants", variants_of(schema, type));
	}
	add(schema, info);
	return name;
}

static struct name name_alternate(struct schema *schema, const struct qmp_type *type)
{
	struct name name, one;
	json_t *members;

	if (!meet(schema, type, &name))
		return name;
	members = json_array();
	for (unsigned i = 0; i < type->nr_members; i++) {
		one = name_type(schema, type->members[i].type);
		qmp_build_item(&members, json_pack("{s:s}", "type", one.text));
	}
	add(schema, json_pack("{s:s, s:s, s:o}", "name", name.text, "meta-type", "alternate",
			      "members", members));
	return name;
}

static struct name name_type(struct schema *schema, const struct qmp_type *type)
{
	switch (type->kind) {
	case QMP_STR:
		return name_builtin(schema, "str", "string");
	case QMP_INT:
		return name_builtin(schema, "int", "int");
	case QMP_NUMBER:
		return name_builtin(schema, "number", "number");
	case QMP_BOOL:
		return name_builtin(schema, "bool", "boolean");
	case QMP_ANY:
		return name_builtin(schema, "any", "value");
	case QMP_ENUM:
		return name_enum(schema, type->values);
	case QMP_ARRAY:
		return name_array(schema, name_type(schema, type->element));
	case QMP_ALTERNATE:
		return name_alternate(schema, type);
	case QMP_OBJECT:
		break;
	}
	return name_object(schema, type);
}

static struct name name_options(struct schema *schema, const struct option_object *object);

static struct name name_row(struct schema *schema, const struct option *row)
{
	switch (row->kind) {
	case OPTION_KIND_STRING:
	case OPTION_KIND_PATH:
	case OPTION_KIND_MAC:
		return name_builtin(schema, "str", "string");
	case OPTION_KIND_BOOL:
		return name_builtin(schema, "bool", "boolean");
	case OPTION_KIND_NUMBER:
	case OPTION_KIND_SIZE:
		return name_builtin(schema, "int", "int");
	case OPTION_KIND_CHOICE:
		return name_enum(schema, row->choices);
	case OPTION_KIND_GROUP:
		return name_options(schema, row->object);
	case OPTION_KIND_LIST:
		break;
	}
	return name_array(schema, name_options(schema, row->object));
}

static struct name name_options(struct schema *schema, const struct option_object *object)
{
	struct name name;
	json_t *members;

	if (!meet(schema, object, &name))
		return name;
	members = json_array();
	for (uint32_t i = 0; i < object->nr_rows; i++)
		add_member(&members, object->rows[i].key, name_row(schema, &object->rows[i]),
			   !object->rows[i].required);
	add(schema, json_pack("{s:s, s:s, s:o}", "name", name.text, "meta-type", "object",
			      "members", members));
	return name;
}

static void add_command(struct schema *schema, const struct qmp_command *command)
{
	const struct qmp_type *json = command->json_arguments;
	struct name argument, ret;

	argument = command->arguments ? name_options(schema, command->arguments) :
					name_type(schema, json ? json : &qmp_type_empty);
	ret = name_type(schema, command->returns ? command->returns : &qmp_type_empty);
	add(schema, json_pack("{s:s, s:s, s:s, s:s}", "name", command->name, "meta-type",
			      "command", "arg-type", argument.text, "ret-type", ret.text));
}

static void add_event(struct schema *schema, const struct qmp_event *event)
{
	struct name data = name_type(schema, event->data ? event->data : &qmp_type_empty);

	add(schema, json_pack("{s:s, s:s, s:s}", "name", event->name, "meta-type", "event",
			      "arg-type", data.text));
}

json_t *qmp_schema_of(const struct qmp_table *const *tables)
{
	struct schema schema = { .list = json_array(), .named = json_object() };

	for (; *tables; tables++) {
		for (unsigned i = 0; i < (*tables)->nr_commands; i++)
			add_command(&schema, &(*tables)->commands[i]);
		for (unsigned i = 0; i < (*tables)->nr_events; i++)
			add_event(&schema, (*tables)->events[i]);
	}
	json_decref(schema.named);
	free(schema.met);
	if (schema.failed) {
		json_decref(schema.list);
		return NULL;
	}
	return schema.list;
}

/* And what all that looks like. */

static const char *const meta_types[] = {
	"builtin", "enum", "array", "object", "alternate", "command", "event", NULL,
};
static const struct qmp_type meta_type = { .kind = QMP_ENUM, .values = meta_types };

static const char *const json_types[] = {
	"string", "number", "int", "boolean", "null", "object", "array", "value", NULL,
};
static const struct qmp_type word_of_json = { .kind = QMP_ENUM, .values = json_types };

static const struct qmp_member builtin_members[] = {
	{ .name = "json-type", .type = &word_of_json },
};
static const struct qmp_type builtin_info = {
	.kind = QMP_OBJECT, QMP_MEMBERS(builtin_members),
};

static const struct qmp_member word_members[] = {
	{ .name = "name", .type = &qmp_type_str },
};
static const struct qmp_type word_info = { .kind = QMP_OBJECT, QMP_MEMBERS(word_members) };

static const struct qmp_member enum_members[] = {
	{ .name = "members", .type = QMP_ARRAY_OF(&word_info) },
	{ .name = "values", .type = QMP_ARRAY_OF(&qmp_type_str) },
};
static const struct qmp_type enum_info = { .kind = QMP_OBJECT, QMP_MEMBERS(enum_members) };

static const struct qmp_member array_members[] = {
	{ .name = "element-type", .type = &qmp_type_str },
};
static const struct qmp_type array_info = { .kind = QMP_OBJECT, QMP_MEMBERS(array_members) };

static const struct qmp_member member_members[] = {
	{ .name = "name", .type = &qmp_type_str },
	{ .name = "type", .type = &qmp_type_str },
	{ .name = "default", .type = &qmp_type_any, .optional = true },
};
static const struct qmp_type member_info = {
	.kind = QMP_OBJECT, QMP_MEMBERS(member_members),
};

static const struct qmp_member variant_members[] = {
	{ .name = "case", .type = &qmp_type_str },
	{ .name = "type", .type = &qmp_type_str },
};
static const struct qmp_type variant_info = {
	.kind = QMP_OBJECT, QMP_MEMBERS(variant_members),
};

static const struct qmp_member object_members[] = {
	{ .name = "members", .type = QMP_ARRAY_OF(&member_info) },
	{ .name = "tag", .type = &qmp_type_str, .optional = true },
	{ .name = "variants", .type = QMP_ARRAY_OF(&variant_info), .optional = true },
};
static const struct qmp_type object_info = {
	.kind = QMP_OBJECT, QMP_MEMBERS(object_members),
};

static const struct qmp_member one_members[] = {
	{ .name = "type", .type = &qmp_type_str },
};
static const struct qmp_type one_info = { .kind = QMP_OBJECT, QMP_MEMBERS(one_members) };

static const struct qmp_member alternate_members[] = {
	{ .name = "members", .type = QMP_ARRAY_OF(&one_info) },
};
static const struct qmp_type alternate_info = {
	.kind = QMP_OBJECT, QMP_MEMBERS(alternate_members),
};

static const struct qmp_member command_members[] = {
	{ .name = "arg-type", .type = &qmp_type_str },
	{ .name = "ret-type", .type = &qmp_type_str },
};
static const struct qmp_type command_info = {
	.kind = QMP_OBJECT, QMP_MEMBERS(command_members),
};

static const struct qmp_member event_members[] = {
	{ .name = "arg-type", .type = &qmp_type_str },
};
static const struct qmp_type event_info = { .kind = QMP_OBJECT, QMP_MEMBERS(event_members) };

static const struct qmp_variant variants[] = {
	{ .value = "builtin", .type = &builtin_info },
	{ .value = "enum", .type = &enum_info },
	{ .value = "array", .type = &array_info },
	{ .value = "object", .type = &object_info },
	{ .value = "alternate", .type = &alternate_info },
	{ .value = "command", .type = &command_info },
	{ .value = "event", .type = &event_info },
};

static const struct qmp_member info_members[] = {
	{ .name = "name", .type = &qmp_type_str },
	{ .name = "meta-type", .type = &meta_type },
};
const struct qmp_type qmp_schema_info = {
	.kind = QMP_OBJECT, QMP_MEMBERS(info_members), .tag = "meta-type", QMP_VARIANTS(variants),
};
