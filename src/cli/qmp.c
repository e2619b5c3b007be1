// SPDX-License-Identifier: Apache-2.0
/*
 * qmp.c - vmm qmp: QMP commands by hand, one or as many as are typed.
 */
#include "arguments.h"
#include "base/err.h"
#include "cli/command.h"
#include "client.h"
#include "config/option.h"
#include "line_editor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct qmp {
	struct option_given given;
	uint32_t timeout;		/* seconds */
	bool help;
};

static const struct option rows[] = {
	{ .key = "timeout", OPTION(struct qmp, timeout), .preset = "30",
	  .max = COMMAND_TIMEOUT_MAX, .metavar = "SECONDS",
	  .help = "how long the VM may take to answer" },
	{ .key = "help", .letter = 'h', OPTION(struct qmp, help),
	  .help = "print this and exit" },
};

const struct option_object command_qmp_options = {
	.name = "qmp", OPTION_OBJECT(struct qmp, rows),
};

/* text: a JSON object, or NULL.  A negative errno has been told. */
static int execute(struct client *client, const char *command, const char *text)
{
	json_t *arguments = NULL, *value = NULL;
	struct err err = { 0 };
	json_error_t error;
	int r;

	if (text) {
		arguments = json_loads(text, JSON_REJECT_DUPLICATES, &error);
		if (!json_is_object(arguments)) {
			command_fail("qmp: the arguments are no JSON object: %s",
				     arguments ? "it begins with no '{'" : error.text);
			json_decref(arguments);
			return -EINVAL;
		}
	}
	r = client_execute(client, command, arguments, &value, &err);
	if (r < 0) {
		command_fail("%s", err.text);
		return r;
	}
	json_dumpf(value, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);
	putchar('\n');
	json_decref(value);
	return 0;
}

/* The prompt: "COMMAND [JSON]" a line, completed by what the VM tells of itself. */

/* An entity of query-qmp-schema. */
static const json_t *entity(const json_t *schema, const char *name, const char *meta_type)
{
	json_t *one;
	size_t i;

	json_array_foreach(schema, i, one) {
		const char *its = json_string_value(json_object_get(one, "name"));
		const char *type = json_string_value(json_object_get(one, "meta-type"));

		if (its && type && !strcmp(its, name) && !strcmp(type, meta_type))
			return one;
	}
	return NULL;
}

/* The i-th of the things whose name begins so. */
static const char *pick(const json_t *things, const char *meta_type, const char *begin, size_t i)
{
	json_t *one;
	size_t k;

	json_array_foreach(things, k, one) {
		const char *name = json_string_value(json_object_get(one, "name"));
		const char *type = json_string_value(json_object_get(one, "meta-type"));

		if (!name || strncmp(name, begin, strlen(begin)))
			continue;
		if (meta_type && (!type || strcmp(type, meta_type)))
			continue;
		if (!i--)
			return name;
	}
	return NULL;
}

static const json_t *members_of(const json_t *schema, const char *command)
{
	const json_t *one = entity(schema, command, "command");
	const char *type = json_string_value(json_object_get(one, "arg-type"));

	return type ? json_object_get(entity(schema, type, "object"), "members") : NULL;
}

/* Commands, and behind a quotation mark that opens, members of their arguments. */
static const char *offer(void *ctx, const char *before, size_t i, size_t *ret_typed,
			 const char **ret_end)
{
	const json_t *schema = ctx;
	char command[LINE_EDITOR_MAX];
	size_t len = strcspn(before, " ");
	const char *open = NULL;

	if (!before[len]) {
		*ret_typed = len;
		*ret_end = " ";
		return pick(schema, "command", before, i);
	}
	memcpy(command, before, len);
	command[len] = '\0';
	for (const char *c = before + len; *c; c++)
		if (*c == '"')
			open = open ? NULL : c + 1;
	if (!open)
		return NULL;
	*ret_typed = strlen(open);
	*ret_end = "\": ";
	return pick(members_of(schema, command), NULL, open, i);
}

static void print_events(struct client *client)
{
	json_t *event;

	while (client_event(client, &event, 0, NULL) > 0) {
		json_dumpf(event, stdout, JSON_COMPACT);
		putchar('\n');
		json_decref(event);
	}
}

/* What a refusal does to a script that is piped in: it goes on, and fails at the end. */
static int converse(struct client *client)
{
	struct line_editor editor = { .prompt = "qmp> ", .offer = offer };
	json_t *schema = NULL;
	int r = 0, worst = 0;

	if (isatty(STDIN_FILENO))
		client_execute(client, "query-qmp-schema", NULL, &schema, NULL);
	editor.ctx = schema;
	while (r != -EPIPE && line_editor_read(&editor)) {
		char *command = editor.line + strspn(editor.line, " \t");
		char *text = command + strcspn(command, " \t");

		if (!*command)
			continue;
		if (*text)
			*text++ = '\0';
		text += strspn(text, " \t");
		r = execute(client, command, *text ? text : NULL);
		print_events(client);
		/* Whoever writes commands into a pipe may wait for each answer. */
		fflush(stdout);
		if (r < 0)
			worst = r;
	}
	line_editor_fini(&editor);
	json_decref(schema);
	return isatty(STDIN_FILENO) && r != -EPIPE ? 0 : worst;
}

int command_qmp(const struct command *command, int argc, char **argv)
{
	struct err err = { 0 };
	struct arguments args;
	struct client *client;
	struct qmp options;
	int r;

	if (!arguments_read(&args, command, &options, argc, argv))
		return args.status;
	if (client_open(&client, args.words[0], (int)options.timeout * 1000, &err) < 0)
		return command_fail("%s", err.text);
	if (args.nr == 1)
		r = converse(client);
	else
		r = execute(client, args.words[1], args.nr > 2 ? args.words[2] : NULL);
	client_close(client);
	return r < 0 ? EXIT_USAGE : EXIT_OK;
}
