// SPDX-License-Identifier: Apache-2.0
/*
 * vsock_conn.c - one connection between a program of the guest and one of the host.
 *
 * Bytes from the guest go from its own buffers into the socket.  What the socket has no
 * room for waits in a ring, and the guest is not told that it has been passed on, so it
 * cannot send more than the ring holds.  Bytes to the guest are read from the socket
 * into its own buffers, as many as it says that it has room for; all others wait in the
 * socket, which holds up the host's program.
 *
 * Each side can end each direction by itself.  A guest that has ended both is told at
 * once that the connection is gone, as it may use the ports anew; what waits in the
 * ring still goes to the host.
 */
#include "vsock.h"

#include "base/bits.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS (POLLIN | POLLOUT | POLLRDHUP)

static void due(struct vsock_conn *conn, enum vsock_op op)
{
	conn->news |= BIT32(op);
	vsock_ready(conn);
}

static void close_socket(struct vsock_conn *conn)
{
	if (conn->fd < 0)
		return;
	loop_watch_remove(conn->vsock->dev.loop, &conn->watch);
	close(conn->fd);
	conn->fd = -1;
}

void vsock_conn_free(struct vsock_conn *conn)
{
	close_socket(conn);
	vsock_forget(conn);
	free(conn);
}

/* The guest has to know; until it does, the ports are taken. */
static void end(struct vsock_conn *conn)
{
	conn->state = VSOCK_ENDED;
	conn->news = 0;
	due(conn, VSOCK_OP_RST);
}

void vsock_conn_reset(struct vsock_conn *conn)
{
	close_socket(conn);
	conn->waiting = 0;
	end(conn);
}

/* From the guest to the host. */

/* So much more need not wait any longer. */
static void passed_on(struct vsock_conn *conn, uint32_t len)
{
	conn->forwarded += len;
	if (conn->state == VSOCK_OPEN && conn->forwarded - conn->told >= VSOCK_BUFFER_LEN / 2)
		due(conn, VSOCK_OP_CREDIT_UPDATE);
}

/* Nothing waits any more.  It may be the end of conn. */
static void drained(struct vsock_conn *conn)
{
	if (conn->state == VSOCK_UNKNOWN)
		vsock_conn_free(conn);
	else if (conn->state == VSOCK_ENDED)
		close_socket(conn);
	else if (conn->guest_ended & VSOCK_SENDS)
		shutdown(conn->fd, SHUT_WR);
}

static void tell_ended(struct vsock_conn *conn, uint8_t what)
{
	if ((conn->host_ended & what) == what)
		return;
	conn->host_ended |= what;
	if (conn->state == VSOCK_OPEN)
		due(conn, VSOCK_OP_SHUTDOWN);
}

/* The host's program reads no more: what it has not read is lost.  May be the end. */
static void receives_no_more(struct vsock_conn *conn)
{
	tell_ended(conn, VSOCK_RECEIVES);
	passed_on(conn, conn->waiting);
	conn->waiting = 0;
	drained(conn);
}

/* May be the end of conn. */
static void flush(struct vsock_conn *conn)
{
	while (conn->waiting) {
		uint32_t part = (uint32_t)min_u64(conn->waiting,
						  VSOCK_BUFFER_LEN - conn->first);
		ssize_t len = send(conn->fd, conn->buffer + conn->first, part, MSG_NOSIGNAL);

		if (len < 0 && errno == EAGAIN)
			return;
		if (len < 0) {
			receives_no_more(conn);
			return;
		}
		conn->first = (conn->first + (uint32_t)len) % VSOCK_BUFFER_LEN;
		conn->waiting -= (uint32_t)len;
		passed_on(conn, (uint32_t)len);
	}
	drained(conn);
}

/* All of it; there is room. */
static void let_wait(struct vsock_conn *conn, const struct iov *payload)
{
	uint32_t at = (conn->first + conn->waiting) % VSOCK_BUFFER_LEN;
	uint32_t part = (uint32_t)min_u64(payload->len, VSOCK_BUFFER_LEN - at);

	iov_read(payload, 0, conn->buffer + at, part);
	iov_read(payload, part, conn->buffer, payload->len - part);
	conn->waiting += (uint32_t)payload->len;
}

static void take_bytes(struct vsock_conn *conn, struct iov *payload)
{
	struct msghdr msg = { .msg_iov = payload->segs, .msg_iovlen = payload->nr };
	ssize_t len = -1;

	if (payload->len > VSOCK_BUFFER_LEN - conn->waiting ||
	    conn->guest_ended & VSOCK_SENDS) {
		vsock_conn_reset(conn);
		return;
	}
	if (!payload->len)
		return;
	if (conn->host_ended & VSOCK_RECEIVES) {
		passed_on(conn, (uint32_t)payload->len);
		return;
	}
	if (!conn->waiting) {
		len = sendmsg(conn->fd, &msg, MSG_NOSIGNAL);
		if (len < 0 && errno != EAGAIN) {
			passed_on(conn, (uint32_t)payload->len);
			receives_no_more(conn);
			return;
		}
	}
	if (len > 0) {
		passed_on(conn, (uint32_t)len);
		iov_drop_front(payload, (uint64_t)len);
	}
	if (payload->len)
		let_wait(conn, payload);
}

/* Nobody will see how what the host has sent ends: it may have closed, all the same. */
static void look_for_end(struct vsock_conn *conn)
{
	if (conn->hung_up &&
	    (conn->host_ended & VSOCK_SENDS || conn->guest_ended & VSOCK_RECEIVES))
		tell_ended(conn, VSOCK_BOTH);
}

static void guest_ends(struct vsock_conn *conn, uint32_t flags)
{
	conn->guest_ended |= flags & VSOCK_BOTH;
	if (conn->guest_ended == VSOCK_BOTH) {
		end(conn);
		if (!conn->waiting)
			close_socket(conn);
		return;
	}
	if (conn->guest_ended & VSOCK_RECEIVES)
		shutdown(conn->fd, SHUT_RD);
	if (!conn->waiting)
		drained(conn);
	look_for_end(conn);
}

static void accepted(struct vsock_conn *conn)
{
	conn->state = VSOCK_OPEN;
	if (vsock_front_answer(conn->fd, conn->ports.host))
		vsock_conn_reset(conn);
	else
		vsock_ready(conn);
}

/* How many bytes the guest has room for, by its own word. */
static uint32_t room_of_guest(const struct vsock_conn *conn)
{
	uint32_t in_flight = conn->sent - conn->guest_forwarded;

	return in_flight < conn->guest_room ? conn->guest_room - in_flight : 0;
}

/* Not a request, nor a reset. */
static void take_open(struct vsock_conn *conn, const struct vsock_packet *packet,
		      struct iov *payload)
{
	switch (packet->op) {
	case VSOCK_OP_SHUTDOWN:
		guest_ends(conn, packet->flags);
		break;
	case VSOCK_OP_RW:
		take_bytes(conn, payload);
		break;
	case VSOCK_OP_CREDIT_UPDATE:
		break;
	case VSOCK_OP_CREDIT_REQUEST:
		due(conn, VSOCK_OP_CREDIT_UPDATE);
		break;
	default:
		vsock_conn_reset(conn);
		break;
	}
}

void vsock_conn_take(struct vsock_conn *conn, const struct vsock_packet *packet,
		     struct iov *payload)
{
	conn->guest_room = packet->buf_alloc;
	conn->guest_forwarded = packet->fwd_cnt;
	if (room_of_guest(conn)) {
		conn->has_asked = false;
		vsock_ready(conn);
	}
	if (packet->op == VSOCK_OP_RST)
		vsock_conn_free(conn);
	else if (conn->state == VSOCK_ASKED && packet->op == VSOCK_OP_RESPONSE)
		accepted(conn);
	else if (conn->state == VSOCK_ASKED)
		vsock_conn_reset(conn);
	else if (conn->state == VSOCK_OPEN)
		take_open(conn, packet, payload);
}

/* From the host to the guest. */

static bool may_read(const struct vsock_conn *conn)
{
	return conn->state == VSOCK_OPEN && conn->readable &&
	       !(conn->host_ended & VSOCK_SENDS) && !(conn->guest_ended & VSOCK_RECEIVES);
}

bool vsock_conn_wants(const struct vsock_conn *conn)
{
	return conn->news || (may_read(conn) && room_of_guest(conn));
}

static uint32_t put_packet(struct vsock_conn *conn, const struct iov *room, enum vsock_op op,
			   uint32_t len)
{
	conn->told = conn->forwarded;
	conn->news &= ~(BIT32(op) | BIT32(VSOCK_OP_CREDIT_UPDATE));
	return vsock_put_packet(conn->vsock, room, (struct vsock_packet){
		.src_port = conn->ports.host,
		.dst_port = conn->ports.guest,
		.op = (uint16_t)op,
		.flags = op == VSOCK_OP_SHUTDOWN ? conn->host_ended : 0,
		.buf_alloc = VSOCK_BUFFER_LEN,
		.fwd_cnt = conn->forwarded,
	}, len);
}

/* Bytes, or the end of them. */
static uint32_t give_bytes(struct vsock_conn *conn, struct iov *room)
{
	struct iovec segs[VIRTIO_SEGS_MAX];
	struct iov payload = { segs, room->nr, room->len };
	uint64_t max = room_of_guest(conn);
	ssize_t len;

	memcpy(segs, room->segs, room->nr * sizeof(*segs));
	iov_drop_front(&payload, VSOCK_HEADER_LEN);
	if (payload.len > max)
		iov_drop_back(&payload, payload.len - max);
	len = readv(conn->fd, payload.segs, (int)payload.nr);
	if (len < 0 && errno == EAGAIN) {
		conn->readable = false;
		return 0;
	}
	if (len < 0) {
		vsock_conn_reset(conn);
		return 0;
	}
	if (!len) {
		tell_ended(conn, conn->hung_up ? VSOCK_BOTH : VSOCK_SENDS);
		return put_packet(conn, room, VSOCK_OP_SHUTDOWN, 0);
	}
	conn->sent += (uint32_t)len;
	if (!room_of_guest(conn) && !conn->has_asked) {
		conn->has_asked = true;
		conn->news |= BIT32(VSOCK_OP_CREDIT_REQUEST);
	}
	return put_packet(conn, room, VSOCK_OP_RW, (uint32_t)len);
}

/* The guest knows of its end. */
static uint32_t give_reset(struct vsock_conn *conn, struct iov *room)
{
	uint32_t len = put_packet(conn, room, VSOCK_OP_RST, 0);

	conn->state = VSOCK_UNKNOWN;
	if (!conn->waiting)
		vsock_conn_free(conn);
	return len;
}

static uint32_t give_news(struct vsock_conn *conn, struct iov *room)
{
	/* In the order in which they are due. */
	static const enum vsock_op ops[] = {
		VSOCK_OP_REQUEST, VSOCK_OP_RESPONSE, VSOCK_OP_SHUTDOWN,
		VSOCK_OP_CREDIT_UPDATE, VSOCK_OP_CREDIT_REQUEST,
	};

	for (size_t i = 0; i < ARRAY_LEN(ops); i++)
		if (conn->news & BIT32(ops[i]))
			return put_packet(conn, room, ops[i], 0);
	return vsock_conn_wants(conn) ? give_bytes(conn, room) : 0;
}

uint32_t vsock_conn_give(struct vsock_conn *conn, struct iov *room)
{
	uint32_t len;

	if (conn->news & BIT32(VSOCK_OP_RST))
		return give_reset(conn, room);
	len = give_news(conn, room);
	vsock_ready(conn);
	return len;
}

/* The socket. */

/* Before the guest has answered, or even was asked.  It may be the end of conn. */
static void host_gives_up(struct vsock_conn *conn)
{
	if (conn->news & BIT32(VSOCK_OP_REQUEST))
		vsock_conn_free(conn);
	else
		vsock_conn_reset(conn);
}

static void happened(struct loop_watch *watch, unsigned events)
{
	struct vsock_conn *conn = container_of(watch, struct vsock_conn, watch);

	conn->readable = true;
	conn->hung_up |= events & POLLHUP;
	if (conn->hung_up && conn->state == VSOCK_ASKED) {
		host_gives_up(conn);
		return;
	}
	look_for_end(conn);
	vsock_ready(conn);
	if (conn->waiting)
		flush(conn);
}

void vsock_conn_start(struct vsock_conn *conn)
{
	if (conn->fd < 0)
		return;
	if (loop_watch_add(conn->vsock->dev.loop, &conn->watch, conn->fd, EVENTS)) {
		vsock_conn_reset(conn);
		return;
	}
	conn->readable = true;
	vsock_ready(conn);
}

void vsock_conn_stop(struct vsock_conn *conn)
{
	loop_watch_remove(conn->vsock->dev.loop, &conn->watch);
}

struct vsock_conn *vsock_conn_new(struct vsock *vsock, struct vsock_ports ports, int fd,
				  enum vsock_state state)
{
	struct vsock_conn *conn = malloc(sizeof(*conn));

	if (!conn)
		return NULL;
	/* All but the buffer, which costs no memory until it is used. */
	memset(conn, 0, offsetof(struct vsock_conn, buffer));
	conn->vsock = vsock;
	conn->ports = ports;
	conn->state = state;
	conn->fd = fd;
	conn->watch.ready = happened;
	if (loop_watch_add(vsock->dev.loop, &conn->watch, fd, EVENTS)) {
		free(conn);
		return NULL;
	}
	conn->readable = true;
	conn->news = BIT32(state == VSOCK_ASKED ? VSOCK_OP_REQUEST : VSOCK_OP_RESPONSE);
	return conn;
}
