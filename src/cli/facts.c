// SPDX-License-Identifier: Apache-2.0
#include "facts.h"

#include "base/bits.h"
#include "client.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The 22nd word of /proc/PID/stat, where the second is a name in brackets. */
static uint64_t start_ticks(pid_t pid)
{
	char path[32], text[1024] = "";
	unsigned long long ticks;
	const char *at;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	at = fgets(text, sizeof(text), file) ? strrchr(text, ')') : NULL;
	fclose(file);
	if (!at || sscanf(at + 1, " %*c%*d%*d%*d%*d%*d%*u%*u%*u%*u%*u%*u%*u%*d%*d%*d%*d%*d%*d%llu",
			  &ticks) != 1)
		return 0;
	return ticks;
}

static uint64_t uptime_of(pid_t pid)
{
	uint64_t start = start_ticks(pid) / (uint64_t)sysconf(_SC_CLK_TCK);
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return start && (uint64_t)now.tv_sec > start ? (uint64_t)now.tv_sec - start : 0;
}

void facts_ask(struct facts *ret_facts, const struct runtime_vm *vm, struct client *client)
{
	json_t *status = NULL, *cpus = NULL, *memory = NULL;
	const char *word;

	*ret_facts = (struct facts){ .vm = *vm, .uptime = uptime_of(vm->pid) };
	client_execute(client, "query-status", NULL, &status, NULL);
	client_execute(client, "query-cpus-fast", NULL, &cpus, NULL);
	client_execute(client, "query-memory-size-summary", NULL, &memory, NULL);
	word = json_string_value(json_object_get(status, "status"));
	snprintf(ret_facts->state, sizeof(ret_facts->state), "%s", word ? word : "no answer");
	ret_facts->cpus = json_array_size(cpus);
	ret_facts->memory =
		(uint64_t)json_integer_value(json_object_get(memory, "base-memory")) +
		(uint64_t)json_integer_value(json_object_get(memory, "plugged-memory"));
	json_decref(status);
	json_decref(cpus);
	json_decref(memory);
}

void facts_read(struct facts *ret_facts, const struct runtime_vm *vm, int timeout_ms)
{
	struct client *client;

	if (vm->running && !client_open(&client, vm->name, timeout_ms, NULL)) {
		facts_ask(ret_facts, vm, client);
		client_close(client);
		return;
	}
	*ret_facts = (struct facts){ .vm = *vm };
	if (vm->running)
		ret_facts->uptime = uptime_of(vm->pid);
	snprintf(ret_facts->state, sizeof(ret_facts->state), "%s",
		 vm->running ? "no answer" : "dead");
}

json_t *facts_json(const struct facts *facts)
{
	json_t *json = json_pack("{s:s, s:s}", "name", facts->vm.name, "state", facts->state);

	if (json && facts->vm.running) {
		json_object_set_new(json, "pid", json_integer(facts->vm.pid));
		json_object_set_new(json, "uptime", json_integer((json_int_t)facts->uptime));
	}
	if (json && facts->cpus) {
		json_object_set_new(json, "cpus", json_integer((json_int_t)facts->cpus));
		json_object_set_new(json, "memory", json_integer((json_int_t)facts->memory));
	}
	return json;
}

struct facts_text facts_size(uint64_t bytes)
{
	static const char units[] = "KMGTPE";
	struct facts_text size;
	int unit = -1;
	uint64_t tenths = bytes * 10;

	if (bytes < KiB) {
		snprintf(size.text, sizeof(size.text), "%" PRIu64, bytes);
		return size;
	}
	while (bytes >= KiB && units[unit + 1]) {
		tenths = bytes / KiB * 10 + bytes % KiB * 10 / KiB;
		bytes /= KiB;
		unit++;
	}
	if (tenths % 10)
		snprintf(size.text, sizeof(size.text), "%" PRIu64 ".%" PRIu64 "%c",
			 tenths / 10, tenths % 10, units[unit]);
	else
		snprintf(size.text, sizeof(size.text), "%" PRIu64 "%c", tenths / 10,
			 units[unit]);
	return size;
}

struct facts_text facts_span(uint64_t seconds)
{
	static const struct {
		uint64_t seconds;
		char unit;
	} units[] = { { 86400, 'd' }, { 3600, 'h' }, { 60, 'm' } };
	struct facts_text span;

	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		uint64_t next = i + 1 < ARRAY_LEN(units) ? units[i + 1].seconds : 1;

		if (seconds < units[i].seconds)
			continue;
		snprintf(span.text, sizeof(span.text), "%" PRIu64 "%c %" PRIu64 "%c",
			 seconds / units[i].seconds, units[i].unit,
			 seconds % units[i].seconds / next,
			 i + 1 < ARRAY_LEN(units) ? units[i + 1].unit : 's');
		return span;
	}
	snprintf(span.text, sizeof(span.text), "%" PRIu64 "s", seconds);
	return span;
}
