// SPDX-License-Identifier: Apache-2.0
/*
 * What one client sends, cut into pieces: every answer is one line of ASCII with
 * an object in it, each request has one answer, and how the input is cut changes
 * nothing.
 *
 * The first byte says how long the pieces are, and whether a negotiation has
 * gone before.
 */
#include "control/qmp_session.h"

#include "../control/fake_machine.h"
#include "base/bits.h"
#include "control/qmp_event.h"
#include "control/qmp_fds.h"
#include "control/qmp_type.h"

#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define NEGOTIATION	"{\"execute\": \"qmp_capabilities\"}"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct dialogue {
	struct fake_machine fake;
	struct qmp_fds *fds;
	struct qmp_session *session;
	uint64_t sum;			/* of all that was sent, but for time */
};

static void must(bool held)
{
	if (!held)
		abort();
}

static void check_line(void *ctx, const char *bytes, size_t len)
{
	struct dialogue *dialogue = ctx;
	json_t *json;

	must(len > 2 && !memcmp(bytes + len - 2, "\r\n", 2));
	for (size_t i = 0; i < len - 2; i++)
		must((uint8_t)bytes[i] >= ' ' && (uint8_t)bytes[i] < 0x80);
	json = json_loadb(bytes, len, JSON_REJECT_DUPLICATES, NULL);
	must(json_is_object(json));
	must(json_object_get(json, "QMP") ||
	     !json_object_get(json, "return") != !json_object_get(json, "error"));
	json_decref(json);
	for (size_t i = 0; i < len; i++)
		dialogue->sum = dialogue->sum * 31 + (uint8_t)bytes[i];
}

static void ready(void *ctx)
{
	(void)ctx;
}

static int no_fd(void *ctx)
{
	(void)ctx;
	return -1;
}

static void drop_event(void *ctx, const struct qmp_event *event, json_t *data)
{
	(void)ctx;
	must(!data || !qmp_type_check(event->data, data, NULL));
	json_decref(data);
}

static void feed(struct dialogue *dialogue, const char *bytes, size_t len)
{
	while (len) {
		size_t taken = qmp_session_input(dialogue->session, bytes, len);

		must(taken <= len && !qmp_session_busy(dialogue->session));
		bytes += taken;
		len -= taken;
	}
}

static uint64_t converse(const char *bytes, size_t len, size_t piece, bool negotiated)
{
	struct dialogue dialogue = { 0 };
	struct qmp_session_config config = {
		.tables = fake_machine_tables,
		.machine = &dialogue.fake.machine,
		.send = check_line,
		.ready = ready,
		.take_fd = no_fd,
		.ctx = &dialogue,
	};

	fake_machine_init(&dialogue.fake);
	dialogue.fake.event = drop_event;
	config.fds = dialogue.fds = qmp_fds_new();
	must(dialogue.fds && !qmp_session_new(&dialogue.session, &config));
	if (negotiated)
		feed(&dialogue, NEGOTIATION, strlen(NEGOTIATION));
	for (size_t at = 0; at < len; at += piece)
		feed(&dialogue, bytes + at, min_u64(piece, len - at));
	qmp_session_free(dialogue.session);
	qmp_fds_free(dialogue.fds);
	return dialogue.sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const char *bytes = (const char *)data + 1;
	bool negotiated;

	if (!len--)
		return 0;
	negotiated = *data & 1;
	must(converse(bytes, len, (*data >> 1) + 1u, negotiated) ==
	     converse(bytes, len, len + 1, negotiated));
	return 0;
}
