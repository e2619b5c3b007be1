/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hub.h - between the guest's serial port and all who look at it.
 *
 *	serial port --send()--> ring --hub_read()--> readers
 *	serial port <-- hub_pass_on() <-- sources
 *
 * The ring keeps the last HUB_HISTORY bytes of output.  A reader has a place in
 * it and copies from there, when it can and as much as it wants, so none waits
 * for another.  At most one reader may hold: what it has not read is never
 * overwritten, and when it is HUB_WINDOW bytes behind, the guest's port is full
 * until it reads on.  Any other that falls behind by more than the ring skips,
 * and is told how much.
 *
 * All sources are typed into one port.  Of what it does not take, each keeps its
 * own, and when the guest has caught up they have their turns.
 *
 * All on one loop, but for the back end, which the port calls on vCPU threads.
 */
#ifndef CONSOLE_HUB_H
#define CONSOLE_HUB_H

#include "devices/uart.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct hub;
struct loop;

#define HUB_HISTORY	(64 * 1024U)	/* a power of two */
#define HUB_WINDOW	(16 * 1024U)
#define HUB_INPUT_LEN	4096U		/* as a terminal line's */

struct hub_config {
	struct loop *loop;
	struct uart *(*port)(void *ctx);	/* now; NULL when there is none */
	void *ctx;
};

int hub_new(struct hub **ret_hub, const struct hub_config *config, struct err *err);
struct hub *hub_free(struct hub *hub);		/* readers and sources are gone; -> NULL */

/* What the serial port is to be given. */
struct uart_backend hub_backend(struct hub *hub);

/* Output. */

/* Embedded in whoever reads; filled in, but for what is the hub's. */
struct hub_reader {
	/* There is output.  It may not remove readers. */
	void (*more)(struct hub_reader *reader);

	/* Has all that was read got where it should? */
	bool (*idle)(const struct hub_reader *reader);
	bool holds;

	uint64_t at;			/* the hub's, and the rest */
	struct hub_reader *next;
};

/* It begins with the output that is kept; more() comes soon. */
void hub_add_reader(struct hub *hub, struct hub_reader *reader);
void hub_remove_reader(struct hub *hub, struct hub_reader *reader);

/*
 * Copy what comes next, len bytes at most; 0 when there is none.  ret_skipped
 * is how many bytes before that are lost to this reader.
 */
size_t hub_read(struct hub *hub, struct hub_reader *reader, uint8_t *bytes, size_t len,
		uint64_t *ret_skipped);

/*
 * Turn the loop until everybody has all output; those who do not take it are
 * given up after a while: 2 s for the one who holds, 200 ms for the others.
 */
void hub_drain(struct hub *hub);

/* Input. */

/* Embedded in whoever types; zero but for go_on(). */
struct hub_source {
	/* The guest has caught up: call hub_pass_on() again. */
	void (*go_on)(struct hub_source *source);

	uint8_t bytes[HUB_INPUT_LEN];	/* [at, len) is to be typed */
	size_t at, len;

	bool waits;			/* the hub's, and the rest */
	struct hub_source *next;
};

/* Where input may be added, and how much; to be followed by a larger len. */
uint8_t *hub_source_room(struct hub_source *source, size_t *ret_len);

/*
 * Type what source holds; true when nothing is left, else go_on() follows, or
 * the port is gone for good.
 */
bool hub_pass_on(struct hub *hub, struct hub_source *source);

void hub_remove_source(struct hub *hub, struct hub_source *source);

/* There is another port, which has never refused anything. */
void hub_port_changed(struct hub *hub);

#endif
