// SPDX-License-Identifier: Apache-2.0
/*
 * wire.c - frames become a stream of bytes, and the other way round.
 *
 * A read takes the rest of a frame whose length is known, right into the buffers it is
 * for, and with the same call some of what follows into memory of ours.  So small frames
 * come many at a time and are copied once, and of a large one most is never copied.
 * What came of a frame that is not whole yet is kept in our memory: the buffers
 * may be other ones the next time.
 *
 * A frame that was sent in part is ours to finish, since the next would otherwise begin
 * in the middle of it.
 */
#include "wire.h"

#include "back_end.h"
#include "base/bits.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/iov.h"
#include "base/unix_socket.h"
#include "loop/loop.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LENGTH_LEN	4
#define FRAME_MIN	14		/* a header, with nothing in it */
#define FRAME_MAX	(65535 + 18)	/* as long as may be, with a VLAN tag */
#define AHEAD		16384		/* read behind a frame */
#define SEGS_MAX	256		/* of a frame; more than any has */
#define SEE_OFF_MS	2000		/* a peer that takes longer is left to itself */
#define PAUSE_MIN_NS	(CLOCK_NS_PER_S / 10)
#define PAUSE_MAX_NS	(5 * CLOCK_NS_PER_S)

struct wire {
	struct netdev netdev;
	int fd, door;				/* or -1 */
	char *path;
	const char *peer;
	struct wire_source *source;
	bool sees_off;
	struct netdev_lost lost;
	struct loop_watch watch, door_watch;
	struct loop_task stir;			/* there is something to do, or no longer */

	struct loop_timer again;		/* while there is no peer, and a way to one */
	uint64_t pause;				/* before that is tried */
	uint64_t since;				/* when the peer came, by clock_ns() */

	size_t in_at, in_len;			/* what came and was not taken, in in */
	size_t out_at, out_len;			/* what is still to go of a frame, in out */
	uint8_t in[LENGTH_LEN + FRAME_MAX + AHEAD];
	uint8_t out[LENGTH_LEN + FRAME_MAX];
};

static struct wire *wire_of(struct netdev *netdev)
{
	return container_of(netdev, struct wire, netdev);
}

/* Peers. */

static void stir(struct loop_task *task)
{
	struct netdev *netdev = &container_of(task, struct wire, stir)->netdev;

	netdev->user->readable(netdev->user, 0);
	netdev->user->writable(netdev->user, 0);
}

static int watch_peer(struct wire *w)
{
	loop_watch_remove(w->netdev.loop, &w->watch);
	return loop_watch_add(w->netdev.loop, &w->watch, w->fd,
			      w->out_len ? POLLIN | POLLOUT : POLLIN);
}

static int await_peer(struct wire *w)
{
	struct loop *loop = w->netdev.loop;

	if (w->door >= 0)
		return loop_watch_add(loop, &w->door_watch, w->door, POLLIN);
	if (w->path || w->source) {
		loop_timer_set(loop, &w->again, loop_now(loop) + w->pause);
		w->pause = min_u64(2 * w->pause, PAUSE_MAX_NS);
	}
	return 0;
}

/* What waits to be sent is stirred up, to be lost. */
static void lose_peer(struct wire *w, const char *does)
{
	char why[96];

	loop_watch_remove(w->netdev.loop, &w->watch);
	close(w->fd);
	w->fd = -1;
	w->in_len = w->out_len = 0;
	back_end_set_link(&w->netdev, false);
	loop_defer(w->netdev.loop, &w->stir);
	snprintf(why, sizeof(why), "%s %s%s", w->peer, does,
		 w->source ? ", and is started anew" : "");
	w->lost.tell(w->lost.ctx, why);
	/* One that has stayed may be back at once. */
	if (loop_now(w->netdev.loop) - w->since > PAUSE_MAX_NS)
		w->pause = PAUSE_MIN_NS;
	if (await_peer(w))
		w->lost.tell(w->lost.ctx, "nobody can connect any more");
}

static void lose_gone(struct wire *w)
{
	lose_peer(w, "is gone");
}

static void take_peer(struct wire *w, int fd)
{
	w->fd = fd;
	w->since = loop_now(w->netdev.loop);
	if (watch_peer(w)) {
		lose_gone(w);
		return;
	}
	back_end_set_link(&w->netdev, true);
	loop_defer(w->netdev.loop, &w->stir);
}

static void connect_again(struct loop_timer *timer)
{
	struct wire *w = container_of(timer, struct wire, again);
	int fd = w->source ? w->source->start_peer(w->source, w->netdev.loop) :
			     unix_socket_connect(w->path);
	char why[96];

	if (fd >= 0) {
		take_peer(w, fd);
		return;
	}
	snprintf(why, sizeof(why), "%s cannot be started: %s", w->peer, strerror(-fd));
	if (w->source)
		w->lost.tell(w->lost.ctx, why);
	await_peer(w);
}

static void greet(struct wire *w, int fd)
{
	struct unix_socket_peer peer;

	if (unix_socket_peer("net", fd, &peer, NULL)) {
		close(fd);
		return;
	}
	loop_watch_remove(w->netdev.loop, &w->door_watch);
	take_peer(w, fd);
}

/* One at a time: further ones wait until it is gone. */
static void door_ready(struct loop_watch *watch, unsigned events)
{
	struct wire *w = container_of(watch, struct wire, door_watch);
	int fd;

	(void)events;
	while (w->fd < 0) {
		fd = accept4(w->door, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0)
			return;
		greet(w, fd);
	}
}

/* Sending. */

/* What is in [off, off+len) of the segments; 0: these are too many. */
static unsigned slice(const struct iovec *segs, size_t off, size_t len, struct iovec *ret_segs)
{
	unsigned nr = 0;

	for (; len && nr < SEGS_MAX; segs++) {
		size_t part;

		if (off >= segs->iov_len) {
			off -= segs->iov_len;
			continue;
		}
		part = min_u64(segs->iov_len - off, len);
		ret_segs[nr++] = (struct iovec){ (char *)segs->iov_base + off, part };
		len -= part;
		off = 0;
	}
	return len ? 0 : nr;
}

static struct iov all_of(const struct iovec *segs, unsigned nr)
{
	struct iov iov = { (struct iovec *)(uintptr_t)segs, nr, 0 };

	for (unsigned i = 0; i < nr; i++)
		iov.len += segs[i].iov_len;
	return iov;
}

/* Bytes that went, or a negative errno; 0: none can. */
static ssize_t push(struct wire *w, const struct iovec *segs, unsigned nr)
{
	const struct msghdr msg = { .msg_iov = (struct iovec *)(uintptr_t)segs,
				    .msg_iovlen = nr };
	ssize_t sent = sendmsg(w->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (sent >= 0)
		return sent;
	if (errno == EAGAIN)
		return 0;
	lose_gone(w);
	return -EIO;
}

/* The watch is made anew, so that room that there is by now is reported, too. */
static int await_room(struct wire *w)
{
	loop_watch_remove(w->netdev.loop, &w->watch);
	if (!loop_watch_add(w->netdev.loop, &w->watch, w->fd, POLLIN | POLLOUT))
		return 0;
	lose_gone(w);
	return -EIO;
}

/* -EAGAIN: some of it has to wait. */
static int finish_frame(struct wire *w)
{
	while (w->out_len) {
		const struct iovec seg = { w->out + w->out_at, w->out_len };
		ssize_t sent = push(w, &seg, 1);

		if (sent < 0)
			return (int)sent;
		if (!sent)
			return await_room(w) ? -EIO : -EAGAIN;
		w->out_at += (size_t)sent;
		w->out_len -= (size_t)sent;
	}
	return 0;
}

static ssize_t wire_send(struct netdev *netdev, unsigned pair, const struct iovec *segs,
			 unsigned nr)
{
	struct wire *w = wire_of(netdev);
	struct iovec out[1 + SEGS_MAX];
	struct iov whole = all_of(segs, nr);
	uint8_t length[LENGTH_LEN];
	ssize_t sent;
	int r;

	(void)pair;
	if (w->fd < 0)
		return -EIO;
	if (whole.len < NETDEV_HEADER_LEN + FRAME_MIN ||
	    whole.len > NETDEV_HEADER_LEN + FRAME_MAX)
		return -EINVAL;
	r = finish_frame(w);
	if (r < 0)
		return r;
	nr = slice(segs, NETDEV_HEADER_LEN, whole.len - NETDEV_HEADER_LEN, out + 1);
	if (!nr)
		return -EINVAL;
	put_be32(length, (uint32_t)(whole.len - NETDEV_HEADER_LEN));
	out[0] = (struct iovec){ length, sizeof(length) };
	sent = push(w, out, nr + 1);
	if (sent < 0)
		return sent;
	if (!sent)
		return await_room(w) ? -EIO : -EAGAIN;
	r = (int)whole.len;
	whole = all_of(out, nr + 1);
	if ((uint64_t)sent < whole.len) {
		w->out_at = 0;
		w->out_len = whole.len - (size_t)sent;
		iov_read(&whole, (uint64_t)sent, w->out, w->out_len);
		await_room(w);
	}
	return r;
}

/* Receiving. */

/* Bytes that came, 0 where there are none so far, or a negative errno. */
static ssize_t pull(struct wire *w, struct iovec *segs, unsigned nr)
{
	struct msghdr msg = { .msg_iov = segs, .msg_iovlen = nr };
	ssize_t got = recvmsg(w->fd, &msg, MSG_DONTWAIT);

	if (got > 0)
		return got;
	if (got < 0 && errno == EAGAIN)
		return 0;
	lose_gone(w);
	return -EIO;
}

/* Put what is there to the front, so that what may come has room behind it. */
static struct iovec room_behind(struct wire *w, size_t len)
{
	memmove(w->in, w->in + w->in_at, w->in_len);
	w->in_at = 0;
	return (struct iovec){ w->in + w->in_len, len };
}

static void took(struct wire *w, size_t len)
{
	w->in_at += len;
	w->in_len -= len;
}

static ssize_t pull_ahead(struct wire *w)
{
	struct iovec seg = room_behind(w, AHEAD);
	ssize_t got = pull(w, &seg, 1);

	if (got > 0)
		w->in_len += (size_t)got;
	return got;
}

static ssize_t give_header(struct iov *room, size_t len)
{
	static const uint8_t header[NETDEV_HEADER_LEN];

	iov_write(room, 0, header, sizeof(header));
	return (ssize_t)(NETDEV_HEADER_LEN + len);
}

/* A frame that is there whole; what there is no room for is lost. */
static ssize_t give(struct wire *w, struct iov *room, size_t len)
{
	size_t fits = min_u64(len, room->len - NETDEV_HEADER_LEN);

	iov_write(room, NETDEV_HEADER_LEN, w->in + w->in_at + LENGTH_LEN, fits);
	took(w, LENGTH_LEN + len);
	return give_header(room, fits);
}

/*
 * The rest of a frame of which have bytes are there.  The packet's length when that makes
 * it whole; 0: it did not, but some came; or a negative errno.
 */
static ssize_t pull_rest(struct wire *w, struct iov *room, size_t len, size_t have)
{
	struct iovec in[SEGS_MAX + 1];
	size_t rest = len - have;
	unsigned nr = 0;
	ssize_t got;

	if (room->len >= NETDEV_HEADER_LEN + len)
		nr = slice(room->segs, NETDEV_HEADER_LEN + have, rest, in);
	if (!nr) {
		got = pull_ahead(w);
		return got > 0 ? 0 : got ? got : -EAGAIN;
	}
	in[nr] = room_behind(w, AHEAD);
	got = pull(w, in, nr + 1);
	if (got <= 0)
		return got ? got : -EAGAIN;
	if ((size_t)got < rest) {
		iov_read(room, NETDEV_HEADER_LEN + have, in[nr].iov_base, (size_t)got);
		w->in_len += (size_t)got;
		return 0;
	}
	iov_write(room, NETDEV_HEADER_LEN, w->in + LENGTH_LEN, have);
	w->in_at = w->in_len;
	w->in_len = (size_t)got - rest;
	return give_header(room, len);
}

static ssize_t wire_recv(struct netdev *netdev, unsigned pair, const struct iovec *segs,
			 unsigned nr)
{
	struct wire *w = wire_of(netdev);
	struct iov room = all_of(segs, nr);

	(void)pair;
	if (room.len < NETDEV_HEADER_LEN)
		return -EINVAL;
	while (w->fd >= 0) {
		ssize_t got;
		size_t len;

		if (w->in_len < LENGTH_LEN) {
			got = pull_ahead(w);
			if (got <= 0)
				return got ? got : -EAGAIN;
			continue;
		}
		len = get_be32(w->in + w->in_at);
		if (len < FRAME_MIN || len > FRAME_MAX) {
			lose_peer(w, "does not speak the protocol");
			return -EIO;
		}
		if (w->in_len - LENGTH_LEN >= len)
			return give(w, &room, len);
		got = pull_rest(w, &room, len, w->in_len - LENGTH_LEN);
		if (got)
			return got;
	}
	return -EAGAIN;
}

/* While it is attached. */

static void ready(struct loop_watch *watch, unsigned events)
{
	struct wire *w = container_of(watch, struct wire, watch);
	struct netdev_user *user = w->netdev.user;

	if (events & (POLLERR | POLLHUP)) {
		lose_gone(w);
		return;
	}
	if (events & POLLIN)
		user->readable(user, 0);
	if (!(events & POLLOUT) || w->fd < 0 || finish_frame(w))
		return;
	/* Room is of interest only to who has missed it. */
	if (watch_peer(w))
		lose_gone(w);
	else
		user->writable(user, 0);
}

static void wire_detach(struct netdev *netdev)
{
	struct wire *w = wire_of(netdev);

	loop_watch_remove(netdev->loop, &w->watch);
	loop_watch_remove(netdev->loop, &w->door_watch);
	loop_timer_clear(netdev->loop, &w->again);
	loop_cancel(netdev->loop, &w->stir);
	if (w->source)
		w->source->detach(w->source);
}

static int wire_attach(struct netdev *netdev)
{
	struct wire *w = wire_of(netdev);
	int r = w->fd < 0 ? await_peer(w) : watch_peer(w);

	if (!r)
		loop_defer(netdev->loop, &w->stir);
	return r;
}

static int wire_set_pairs(struct netdev *netdev, unsigned nr)
{
	(void)netdev, (void)nr;
	return 0;
}

static int wire_set_offloads(struct netdev *netdev, unsigned offloads)
{
	(void)netdev;
	return offloads ? -EINVAL : 0;
}

/* Life. */

static void see_off(int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };
	char waste[4096];

	shutdown(fd, SHUT_WR);
	while (poll(&pollfd, 1, SEE_OFF_MS) > 0 && recv(fd, waste, sizeof(waste), 0) > 0)
		;
}

static void wire_close(struct netdev *netdev)
{
	struct wire *w = wire_of(netdev);

	if (w->fd >= 0 && w->sees_off)
		see_off(w->fd);
	if (w->fd >= 0)
		close(w->fd);
	if (w->door >= 0) {
		unlink(w->path);
		close(w->door);
	}
	if (w->source)
		w->source->free(w->source);
	free(w->path);
	free(w);
}

static const struct back_end_ops wire_ops = {
	.close		= wire_close,
	.attach		= wire_attach,
	.detach		= wire_detach,
	.set_pairs	= wire_set_pairs,
	.set_offloads	= wire_set_offloads,
	.send		= wire_send,
	.recv		= wire_recv,
};

int wire_new(struct netdev **ret_netdev, const struct wire_config *config,
	       struct err *err)
{
	struct wire *w = malloc(sizeof(*w));

	if (!w)
		return err_sys(err, -ENOMEM, "net '%s'", config->id);
	/* Most of it is memory for frames. */
	memset(w, 0, offsetof(struct wire, in));
	w->netdev = (struct netdev){
		.ops = &wire_ops, .nr_pairs = 1, .link_down = config->fd < 0,
	};
	w->fd = config->fd;
	w->door = config->door;
	w->source = config->source;
	w->sees_off = config->sees_off;
	w->peer = config->peer;
	w->lost = *config->lost;
	w->watch.ready = ready;
	w->door_watch.ready = door_ready;
	w->stir.run = stir;
	w->again.fired = connect_again;
	w->pause = PAUSE_MIN_NS;
	if (config->path) {
		w->path = strdup(config->path);
		if (!w->path) {
			free(w);
			return err_sys(err, -ENOMEM, "net '%s'", config->id);
		}
	}
	*ret_netdev = &w->netdev;
	return 0;
}
