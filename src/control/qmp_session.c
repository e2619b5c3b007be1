// SPDX-License-Identifier: Apache-2.0
/*
 * qmp_session.c - from a JSON text to a call, and from its answer to a line.
 *
 * A call is an allocation of its own, since it may outlive the session: the two
 * point to each other until one of them ends.
 */
#include "qmp_session.h"

#include "base/bits.h"
#include "base/err.h"
#include "config/option.h"
#include "config/option_json.h"
#include "control/qmp_command.h"
#include "qmp_build.h"
#include "qmp_line.h"
#include "qmp_reader.h"
#include "qmp_version.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct pending {
	struct qmp_call call;
	json_t *request;		/* keeps call.json alive */
	json_t *no_arguments;		/* where the request has none */
	void *arguments;		/* call.arguments, to be freed */
};

struct qmp_session {
	struct qmp_session_config config;
	struct qmp_reader reader;
	struct pending *pending;	/* the call that has no answer yet */
	bool running;			/* that call's run() has not returned yet */
	bool negotiated;
};

static const char *const class_names[] = {
	[QMP_GENERIC_ERROR] = "GenericError",
	[QMP_COMMAND_NOT_FOUND] = "CommandNotFound",
	[QMP_DEVICE_NOT_ACTIVE] = "DeviceNotActive",
	[QMP_DEVICE_NOT_FOUND] = "DeviceNotFound",
	[QMP_KVM_MISSING_CAP] = "KVMMissingCap",
};

/* Lines. */

static void send_json(struct qmp_session *session, json_t *json)
{
	struct qmp_line line = qmp_line_of(json);

	session->config.send(session->config.ctx, line.bytes, line.len);
	qmp_line_free(&line);
}

/* Takes value. */
static void send_reply(struct qmp_session *session, const json_t *request, const char *key,
		       json_t *value)
{
	json_t *reply = json_pack("{s:o}", key, value);
	json_t *id = json_object_get(request, "id");

	if (id)
		qmp_build_member(&reply, "id", json_incref(id));
	send_json(session, reply);
	json_decref(reply);
}

/* Takes desc. */
static void send_error(struct qmp_session *session, const json_t *request,
		       enum qmp_error_class class, json_t *desc)
{
	send_reply(session, request, "error",
		   json_pack("{s:s, s:o}", "class", class_names[class], "desc", desc));
}

/* Answers. */

static void free_pending(struct pending *pending)
{
	if (pending->arguments) {
		option_fini(pending->call.command->arguments, pending->arguments);
		free(pending->arguments);
	}
	json_decref(pending->no_arguments);
	json_decref(pending->request);
	free(pending);
}

/* The answer has been sent, or nobody waits for it. */
static void finish(struct pending *pending)
{
	struct qmp_session *session = pending->call.session;

	if (!session) {
		free_pending(pending);
		return;
	}
	assert(session->pending == pending);
	session->pending = NULL;
	if (session->running)
		return;			/* obey() frees it */
	free_pending(pending);
	session->config.ready(session->config.ctx);
}

static struct pending *pending_of(struct qmp_call *call)
{
	return container_of(call, struct pending, call);
}

void qmp_call_return(struct qmp_call *call, json_t *value)
{
	const struct qmp_type *type = call->command->returns;
	struct pending *pending = pending_of(call);

	/* Where there was no memory for a part of it, it is as if there was none for all. */
	if (value && qmp_type_check(type ? type : &qmp_type_empty, value, NULL) < 0) {
		json_decref(value);
		value = NULL;
	}
	if (!call->session)
		json_decref(value);
	else if (value)
		send_reply(call->session, pending->request, "return", value);
	else
		send_error(call->session, pending->request, QMP_GENERIC_ERROR,
			   json_string("out of memory"));
	finish(pending);
}

void qmp_call_done(struct qmp_call *call)
{
	qmp_call_return(call, json_object());
}

void qmp_call_over(struct qmp_call *call, int r, const struct err *err)
{
	if (r < 0)
		qmp_call_fail(call, QMP_GENERIC_ERROR, "%s", err->text);
	else
		qmp_call_done(call);
}

void qmp_call_fail(struct qmp_call *call, enum qmp_error_class class, const char *fmt, ...)
{
	struct pending *pending = pending_of(call);
	va_list args;

	va_start(args, fmt);
	if (call->session)
		send_error(call->session, pending->request, class, qmp_line_text(fmt, args));
	va_end(args);
	finish(pending);
}

/* Requests. */

static const struct qmp_command *find(const struct qmp_session *session, const char *name)
{
	for (const struct qmp_table *const *table = session->config.tables; *table; table++)
		for (unsigned i = 0; i < (*table)->nr_commands; i++)
			if (!strcmp((*table)->commands[i].name, name))
				return &(*table)->commands[i];
	return NULL;
}

/* Is it shaped as a request?  The same checks, in the same order, as in QEMU. */
static int check_request(const json_t *request, struct err *err)
{
	const json_t *value;
	const char *key;

	if (!json_is_object(request))
		return err_set(err, -EINVAL, "QMP input must be a JSON object");
	json_object_foreach((json_t *)request, key, value) {
		bool execute = !strcmp(key, "execute"), arguments = !strcmp(key, "arguments");

		if (execute && !json_is_string(value))
			return err_set(err, -EINVAL, "QMP input member 'execute' must be a string");
		if (arguments && !json_is_object(value))
			return err_set(err, -EINVAL,
				       "QMP input member 'arguments' must be an object");
		if (!execute && !arguments && strcmp(key, "id"))
			return err_set(err, -EINVAL, "QMP input member '%s' is unexpected", key);
	}
	if (!json_object_get(request, "execute"))
		return err_set(err, -EINVAL, "QMP input lacks member 'execute'");
	return 0;
}

static void refuse(struct qmp_session *session, const json_t *request,
		   enum qmp_error_class class, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static void refuse(struct qmp_session *session, const json_t *request,
		   enum qmp_error_class class, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	send_error(session, request, class, qmp_line_text(fmt, args));
	va_end(args);
}

static int load_arguments(struct pending *pending, struct err *err)
{
	const struct qmp_command *command = pending->call.command;
	const struct option_object *table = command->arguments;
	const json_t *json = pending->call.json;

	if (!table)
		return qmp_type_check(command->json_arguments ? command->json_arguments :
				      &qmp_type_empty, json, err);
	pending->arguments = calloc(1, table->size);
	if (!pending->arguments || option_defaults(table, pending->arguments))
		return err_sys(err, -ENOMEM, "cannot keep the arguments");
	pending->call.arguments = pending->arguments;
	return option_json_load(table, pending->arguments, json, err);
}

static struct pending *new_pending(struct qmp_session *session, json_t *request,
				   const struct qmp_command *command, struct err *err)
{
	struct pending *pending = calloc(1, sizeof(*pending));

	if (!pending) {
		err_sys(err, -ENOMEM, "cannot obey");
		return NULL;
	}
	pending->call.command = command;
	pending->call.machine = session->config.machine;
	pending->call.session = session;
	pending->request = json_incref(request);
	pending->call.json = json_object_get(request, "arguments");
	if (!pending->call.json)
		pending->call.json = pending->no_arguments = json_object();
	if (load_arguments(pending, err) < 0) {
		free_pending(pending);
		return NULL;
	}
	return pending;
}

static void obey(struct qmp_session *session, json_t *request,
		 const struct qmp_command *command)
{
	struct err err = { 0 };
	struct pending *pending = new_pending(session, request, command, &err);

	if (!pending) {
		refuse(session, request, QMP_GENERIC_ERROR, "%s", err.text);
		return;
	}
	session->pending = pending;
	session->running = true;
	command->run(&pending->call);
	session->running = false;
	if (!session->pending)
		free_pending(pending);
}

static void dispatch(struct qmp_session *session, json_t *request)
{
	const struct qmp_command *command;
	struct err err = { 0 };
	const char *name;

	if (check_request(request, &err) < 0) {
		refuse(session, request, QMP_GENERIC_ERROR, "%s", err.text);
		return;
	}
	name = json_string_value(json_object_get(request, "execute"));
	command = find(session, name);
	if (!session->negotiated && !(command && command->negotiates))
		refuse(session, request, QMP_COMMAND_NOT_FOUND,
		       "Expecting capabilities negotiation with 'qmp_capabilities'");
	else if (!command)
		refuse(session, request, QMP_COMMAND_NOT_FOUND,
		       "The command %s has not been found", name);
	else
		obey(session, request, command);
}

/* From outside. */

size_t qmp_session_input(struct qmp_session *session, const char *bytes, size_t len)
{
	struct err err = { 0 };
	json_t *request;
	size_t taken = 0;

	if (session->pending)
		return 0;
	switch (qmp_reader_read(&session->reader, bytes, len, &taken, &request, &err)) {
	case QMP_READER_TEXT:
		dispatch(session, request);
		json_decref(request);
		break;
	case QMP_READER_BAD:
		refuse(session, NULL, QMP_GENERIC_ERROR, "%s", err.text);
		break;
	case QMP_READER_MORE:
		break;
	}
	return taken;
}

bool qmp_session_busy(const struct qmp_session *session)
{
	return session->pending;
}

void qmp_session_event(struct qmp_session *session, const char *line, size_t len)
{
	if (session->negotiated)
		session->config.send(session->config.ctx, line, len);
}

bool qmp_session_negotiated(const struct qmp_session *session)
{
	return session->negotiated;
}

int qmp_session_negotiate(struct qmp_session *session)
{
	if (session->negotiated)
		return -EALREADY;
	session->negotiated = true;
	return 0;
}

const struct qmp_session_config *qmp_session_config(const struct qmp_session *session)
{
	return &session->config;
}

int qmp_session_new(struct qmp_session **ret_session,
		    const struct qmp_session_config *config)
{
	struct qmp_session *session = calloc(1, sizeof(*session));
	json_t *greeting;

	if (!session)
		return -ENOMEM;
	session->config = *config;
	qmp_reader_init(&session->reader);
	greeting = json_pack("{s:{s:o, s:[]}}", "QMP", "version", qmp_version(),
			     "capabilities");
	send_json(session, greeting);
	json_decref(greeting);
	*ret_session = session;
	return 0;
}

/* The call may be answered, and so be gone, when this returns. */
static void tell_that_left(struct qmp_call *call)
{
	void (*left)(struct qmp_call *call) = call->left;

	call->left = NULL;
	if (left)
		left(call);
}

void qmp_session_left(struct qmp_session *session)
{
	if (session->pending)
		tell_that_left(&session->pending->call);
}

struct qmp_session *qmp_session_free(struct qmp_session *session)
{
	if (!session)
		return NULL;
	if (session->pending) {
		session->pending->call.session = NULL;
		tell_that_left(&session->pending->call);
	}
	qmp_reader_fini(&session->reader);
	free(session);
	return NULL;
}
