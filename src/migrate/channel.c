// SPDX-License-Identifier: Apache-2.0
#include "channel.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/iov.h"
#include "base/unix_socket.h"
#include "channel_socket.h"
#include "channel_tls.h"
#include "channel_uri.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATIENCE_MS	10000
#define SEGS_AT_ONCE	64

struct channel {
	int fd;
	atomic_bool broken;
	struct channel_tls *tls;	/* NULL: plain */
	unsigned patience_ms;
};

struct channel_listener {
	int fd;				/* of fd:N: an eventfd, until it is accepted */
	int given;			/* the N; -1: none, or accepted */
	char *text;
	struct channel_uri uri;		/* of text */
	char *address;			/* of a host: text, with what the kernel made of it */
	char *tls;			/* folder; NULL: plain */
	unsigned patience_ms;
	struct stat made;		/* the file of unix: */
};

static int parse(struct channel_uri *ret_uri, const char *text,
		 const struct channel_options *options, struct err *err)
{
	int r = channel_uri_parse(ret_uri, text, err);

	if (!r && ret_uri->kind == CHANNEL_URI_FD && ret_uri->fd < 0 && !options->take_fd)
		return err_set(err, -EINVAL, "'%s' is not fd:N, with the number of a descriptor",
			       text);
	if (!r && ret_uri->kind == CHANNEL_URI_TLS && !options->tls)
		return err_set(err, -EINVAL, "'%s' needs a folder of certificates: --tls", text);
	if (!r && ret_uri->kind != CHANNEL_URI_TLS && options->tls)
		return err_set(err, -EINVAL, "'%s' would not use the certificates of '%s': use "
			       "tls:HOST:PORT", text, options->tls);
	return r;
}

int channel_check(const char *uri, const struct channel_options *options, struct err *err)
{
	struct channel_uri parsed;

	return parse(&parsed, uri, options, err);
}

/* What r is to be told as. */
static int reason(struct channel *channel, int r)
{
	if (atomic_load(&channel->broken))
		return -ECANCELED;
	return r == -EPIPE ? -ECONNRESET : r;
}

static struct channel *make(struct err *err)
{
	struct channel *channel = calloc(1, sizeof(*channel));

	if (!channel)
		err_sys(err, -ENOMEM, "cannot make a channel");
	return channel;
}

/* The channel of this descriptor, or the errno that it is. */
static int finish(struct channel **ret_channel, struct channel *channel, int fd)
{
	if (fd < 0) {
		channel_tls_free(channel->tls);
		free(channel);
		return fd;
	}
	channel->fd = fd;
	*ret_channel = channel;
	return 0;
}

static unsigned patience(const struct channel_options *options)
{
	return options->patience_ms ? options->patience_ms : PATIENCE_MS;
}

static uint64_t deadline(const struct channel_options *options)
{
	return clock_ns() + patience(options) * CLOCK_NS_PER_MS;
}

static int open_uri(const struct channel_uri *uri, const struct channel_options *options,
		    struct err *err)
{
	if (uri->kind == CHANNEL_URI_FD)
		return channel_socket_take(uri, options, err);
	return channel_socket_connect(uri, options, deadline(options), err);
}

int channel_connect(struct channel **ret_channel, const char *text,
		    const struct channel_options *options, struct err *err)
{
	struct channel *channel;
	struct channel_uri uri;
	int r = parse(&uri, text, options, err);

	if (r < 0)
		return r;
	channel = make(err);
	if (!channel)
		return -ENOMEM;
	channel->patience_ms = patience(options);
	if (uri.kind == CHANNEL_URI_TLS &&
	    (r = channel_tls_new(&channel->tls, options->tls, uri.host, err)) < 0)
		return finish(ret_channel, channel, r);
	return finish(ret_channel, channel, open_uri(&uri, options, err));
}

int channel_handshake(struct channel *channel, struct err *err)
{
	int r;

	if (!channel->tls)
		return 0;
	r = channel_tls_handshake(channel->tls, channel->fd, channel->patience_ms, err);
	return r < 0 ? reason(channel, r) : 0;
}

struct channel *channel_close(struct channel *channel)
{
	if (channel) {
		channel_tls_free(channel->tls);
		close(channel->fd);
		free(channel);
	}
	return NULL;
}

static int send_some(struct channel *channel, struct iov *left)
{
	if (channel->tls)
		return channel_tls_send(channel->tls, left);
	while (left->len) {
		struct msghdr message = { .msg_iov = left->segs, .msg_iovlen = left->nr };
		ssize_t sent = sendmsg(channel->fd, &message, MSG_NOSIGNAL);

		if (sent < 0 && errno != EINTR)
			return -errno;
		if (sent > 0)
			iov_drop_front(left, (uint64_t)sent);
	}
	return 0;
}

int channel_send(struct channel *channel, const struct iovec *segs, unsigned nr)
{
	int r = 0;

	for (unsigned at = 0; !r && at < nr; at += SEGS_AT_ONCE) {
		struct iovec some[SEGS_AT_ONCE];
		struct iov left = { .segs = some };

		for (; left.nr < SEGS_AT_ONCE && left.nr < nr - at; left.nr++) {
			some[left.nr] = segs[at + left.nr];
			left.len += some[left.nr].iov_len;
		}
		r = send_some(channel, &left);
	}
	return r < 0 ? reason(channel, r) : 0;
}

static int receive_plain(struct channel *channel, void *to, size_t len)
{
	for (char *at = to, *end = at + len; at < end;) {
		ssize_t got = recv(channel->fd, at, (size_t)(end - at), MSG_WAITALL);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got ? errno == EAGAIN ? -ETIMEDOUT : -errno : -ECONNRESET;
		at += got;
	}
	return 0;
}

int channel_receive(struct channel *channel, void *to, size_t len)
{
	int r = channel->tls ? channel_tls_receive(channel->tls, to, len) :
			       receive_plain(channel, to, len);

	/* What had come before a break is no use to anybody. */
	return reason(channel, r);
}

void channel_set_patience(struct channel *channel, unsigned ms)
{
	const struct timeval limit = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	(void)setsockopt(channel->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
}

void channel_break(struct channel *channel)
{
	atomic_store(&channel->broken, true);
	shutdown(channel->fd, SHUT_RDWR);
}

/* Listening. */

static int name_address(struct channel_listener *listener, struct err *err)
{
	char *name;
	int r = channel_socket_name(&name, listener->fd, err);

	if (r < 0)
		return r;
	r = asprintf(&listener->address, "%s:%s",
		     listener->uri.kind == CHANNEL_URI_TLS ? "tls" : "tcp", name);
	free(name);
	if (r < 0) {
		listener->address = NULL;
		return err_sys(err, -ENOMEM, "cannot listen at '%s'", listener->text);
	}
	return 0;
}

static int open_fd(const struct channel_uri *uri, const struct channel_options *options,
		   struct err *err)
{
	int fd;

	if (uri->kind != CHANNEL_URI_FD)
		return channel_socket_listen(uri, options, err);
	fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	return fd < 0 ? err_sys(err, -errno, "cannot listen at '%s'", uri->text) : fd;
}

/* They are read for each connection, so that they can be renewed; what is amiss is said now. */
static int keep_tls(struct channel_listener *listener, const struct channel_options *options,
		    struct err *err)
{
	struct channel_tls *tls;
	int r = channel_tls_new(&tls, options->tls, NULL, err);

	if (r < 0)
		return r;
	channel_tls_free(tls);
	listener->patience_ms = patience(options);
	listener->tls = strdup(options->tls);
	return listener->tls ? 0 :
	       err_sys(err, -ENOMEM, "cannot listen at '%s'", listener->text);
}

static int open_listener(struct channel_listener *listener,
			 const struct channel_options *options, struct err *err)
{
	struct channel_uri *uri = &listener->uri;
	int r = parse(uri, listener->text, options, err);

	if (r < 0)
		return r;
	r = uri->kind == CHANNEL_URI_TLS ? keep_tls(listener, options, err) : 0;
	if (r < 0)
		return r;
	listener->fd = open_fd(uri, options, err);
	if (listener->fd < 0)
		return listener->fd;
	if (uri->kind == CHANNEL_URI_TCP || uri->kind == CHANNEL_URI_TLS)
		return name_address(listener, err);
	if (uri->kind == CHANNEL_URI_UNIX)
		return lstat(uri->rest, &listener->made) ?
			       err_sys(err, -errno, "cannot listen at '%s'", uri->text) : 0;
	/* Last, since it is taken only if nothing fails. */
	listener->given = channel_socket_take(uri, options, err);
	return listener->given < 0 ? listener->given : 0;
}

int channel_listen(struct channel_listener **ret_listener, const char *text,
		   const struct channel_options *options, struct err *err)
{
	struct channel_listener *listener = calloc(1, sizeof(*listener));
	int r;

	if (!listener)
		return err_sys(err, -ENOMEM, "cannot listen at '%s'", text);
	listener->fd = listener->given = -1;
	listener->text = strdup(text);
	r = listener->text ? open_listener(listener, options, err) :
			     err_sys(err, -ENOMEM, "cannot listen at '%s'", text);
	if (r < 0) {
		channel_listener_close(listener);
		return r;
	}
	*ret_listener = listener;
	return 0;
}

struct channel_listener *channel_listener_close(struct channel_listener *listener)
{
	if (!listener)
		return NULL;
	if (listener->made.st_ino)
		unix_socket_remove(listener->uri.rest, &listener->made);
	if (listener->given >= 0)
		close(listener->given);
	if (listener->fd >= 0)
		close(listener->fd);
	free(listener->address);
	free(listener->tls);
	free(listener->text);
	free(listener);
	return NULL;
}

int channel_listener_fd(const struct channel_listener *listener)
{
	return listener->fd;
}

const char *channel_listener_address(const struct channel_listener *listener)
{
	return listener->address ? listener->address : listener->text;
}

static int accept_given(struct channel_listener *listener)
{
	int fd = listener->given;
	eventfd_t once;

	if (fd < 0)
		return -EAGAIN;
	eventfd_read(listener->fd, &once);
	listener->given = -1;
	return fd;
}

int channel_accept(struct channel **ret_channel, struct channel_listener *listener,
		   struct err *err)
{
	struct channel *channel = make(err);
	int fd;

	if (!channel)
		return -ENOMEM;
	fd = listener->uri.kind == CHANNEL_URI_FD ?
		     accept_given(listener) :
		     channel_socket_accept(&listener->uri, listener->fd, err);
	if (fd >= 0 && listener->tls) {
		int r = channel_tls_new(&channel->tls, listener->tls, NULL, err);

		if (r < 0) {
			close(fd);
			fd = r;
		}
		channel->patience_ms = listener->patience_ms;
	}
	return finish(ret_channel, channel, fd);
}
