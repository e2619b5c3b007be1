/* SPDX-License-Identifier: Apache-2.0 */
/*
 * facts.h - what is worth a line about a VM, and how it is written.
 */
#ifndef CLI_FACTS_H
#define CLI_FACTS_H

#include "runtime.h"

#include <jansson.h>
#include <stdint.h>

struct client;

struct facts {
	struct runtime_vm vm;
	char state[24];			/* QMP's word, "dead", or "no answer" */
	uint64_t cpus, memory;		/* memory in bytes; 0: unknown */
	uint64_t uptime;		/* seconds since its process was started */
};

/* Whatever can be found out about the VM within the time. */
void facts_read(struct facts *ret_facts, const struct runtime_vm *vm, int timeout_ms);

/* The same by a client that there is. */
void facts_ask(struct facts *ret_facts, const struct runtime_vm *vm, struct client *client);

/* An object; what is unknown is not in it.  NULL: out of memory. */
json_t *facts_json(const struct facts *facts);

/* "256M", "1.5G"; and "45s", "3m 20s", "2h 5m", "3d 4h". */
struct facts_text {
	char text[32];
};

struct facts_text facts_size(uint64_t bytes);
struct facts_text facts_span(uint64_t seconds);

#endif
