/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vsock.h - the socket device from the inside: virtio_vsock.c has its queues, its
 * table of connections and its life, vsock_conn.c is one connection.
 *
 * Owner, all of it.
 */
#ifndef DEVICES_VIRTIO_VSOCK_H
#define DEVICES_VIRTIO_VSOCK_H

#include "devices/virtio/virtio.h"
#include "loop/loop.h"
#include "net/vsock_front.h"

#include <stdbool.h>
#include <stdint.h>

#define VSOCK_CONNS_MAX		1024
#define VSOCK_BUCKETS		256
#define VSOCK_RESETS_MAX	64

/* What waits for the host's program, and what the driver is told of room (buf_alloc). */
#define VSOCK_BUFFER_LEN	(64 * 1024u)

#define VSOCK_HOST_CID		2

/* Operations, section 5.10.6. */
enum vsock_op {
	VSOCK_OP_REQUEST = 1,
	VSOCK_OP_RESPONSE,
	VSOCK_OP_RST,
	VSOCK_OP_SHUTDOWN,
	VSOCK_OP_RW,
	VSOCK_OP_CREDIT_UPDATE,
	VSOCK_OP_CREDIT_REQUEST,
};

#define VSOCK_TYPE_STREAM	1

/* Flags of VSOCK_OP_SHUTDOWN: who sends it will do no more of these. */
#define VSOCK_RECEIVES		1
#define VSOCK_SENDS		2
#define VSOCK_BOTH		(VSOCK_RECEIVES | VSOCK_SENDS)

#define VSOCK_HEADER_LEN	44

/* The header of a packet, but for its length. */
struct vsock_packet {
	uint64_t src_cid, dst_cid;
	uint32_t src_port, dst_port;
	uint16_t type, op;
	uint32_t flags;
	uint32_t buf_alloc, fwd_cnt;
};

/* The two ports of a connection. */
struct vsock_ports {
	uint32_t guest, host;
};

enum vsock_state {
	VSOCK_ASKED,		/* by the host; the guest has not answered */
	VSOCK_OPEN,
	VSOCK_ENDED,		/* the guest has yet to be told so */
	VSOCK_UNKNOWN,		/* to the guest; the host still gets what it has sent */
};

struct vsock_conn {
	struct vsock *vsock;
	struct vsock_conn *next;		/* of its bucket */
	struct vsock_conn *next_ready;
	bool is_ready;				/* and in that list */
	struct vsock_ports ports;
	enum vsock_state state;
	uint32_t news;				/* mask of operations that the guest is due */
	uint8_t guest_ended, host_ended;	/* VSOCK_RECEIVES, VSOCK_SENDS */

	int fd;					/* -1: closed */
	struct loop_watch watch;
	bool readable;				/* perhaps */
	bool hung_up;				/* the host's program is gone */

	/* Bytes from the guest, in all and modulo 2^32: passed on, and as it was told. */
	uint32_t forwarded, told;

	/* Bytes to the guest: sent, and what it says of itself. */
	uint32_t sent, guest_forwarded, guest_room;
	bool has_asked;				/* for room */

	/* What the socket had no room for; a ring. */
	uint32_t first, waiting;
	uint8_t buffer[VSOCK_BUFFER_LEN];
};

struct vsock {
	struct virtio_dev dev;
	struct vsock_front *front;
	struct vsock_front_user user;
	uint32_t cid;
	uint32_t next_port;			/* of the host, for who asks from there */

	unsigned nr_conns;
	struct vsock_conn *buckets[VSOCK_BUCKETS];

	/* Connections that have something for the guest take turns. */
	struct vsock_conn *first_ready, **last_ready;
	struct loop_task receive;

	/* Packets that belong to no connection are answered, in their order. */
	struct vsock_ports resets[VSOCK_RESETS_MAX];
	unsigned first_reset, nr_resets;
	bool held;				/* no more are taken until there is room */
	struct loop_task transmit;

	bool moved;				/* and the guest has yet to be told */
};

/* It has something for the guest, or may have. */
void vsock_ready(struct vsock_conn *conn);

/* Out of table and list. */
void vsock_forget(struct vsock_conn *conn);

/*
 * The header of a packet for the guest, to the front of room; addresses and type are
 * filled in.  len is what follows it.  Returns the length of all.
 */
uint32_t vsock_put_packet(const struct vsock *vsock, const struct iov *room,
			  struct vsock_packet packet, uint32_t len);

/* fd becomes the connection's; NULL, and fd as it was, when that cannot be. */
struct vsock_conn *vsock_conn_new(struct vsock *vsock, struct vsock_ports ports, int fd,
				  enum vsock_state state);

/* Close it without a word to the guest. */
void vsock_conn_free(struct vsock_conn *conn);

/* Either side has broken it: that is told to the guest. */
void vsock_conn_reset(struct vsock_conn *conn);

/* A packet from the guest; it may be the end of conn.  payload is changed. */
void vsock_conn_take(struct vsock_conn *conn, const struct vsock_packet *packet,
		     struct iov *payload);

/* Is there anything for the guest, as far as can be told? */
bool vsock_conn_wants(const struct vsock_conn *conn);

/*
 * The next packet for the guest, room being more than a header: its length, 0 if there
 * is none.  It may be the end of conn.  room is changed.
 */
uint32_t vsock_conn_give(struct vsock_conn *conn, struct iov *room);

/* Watch the socket, from then on as if something had happened; or no more. */
void vsock_conn_start(struct vsock_conn *conn);
void vsock_conn_stop(struct vsock_conn *conn);

#endif
