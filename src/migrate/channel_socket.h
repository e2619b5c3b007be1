/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel_socket.h - the sockets below channels: who may be there, and how they are set.
 *
 * Each returns a descriptor or a negative errno.
 */
#ifndef MIGRATE_CHANNEL_SOCKET_H
#define MIGRATE_CHANNEL_SOCKET_H

#include <stdint.h>

struct channel_options;
struct channel_uri;
struct err;

/* Of a uri other than fd:N; gives up at the deadline, of clock_ns(). */
int channel_socket_connect(const struct channel_uri *uri, const struct channel_options *options,
			   uint64_t deadline, struct err *err);

/* The one of fd:N. */
int channel_socket_take(const struct channel_uri *uri, const struct channel_options *options,
			struct err *err);

/* Non-blocking. */
int channel_socket_listen(const struct channel_uri *uri, const struct channel_options *options,
			  struct err *err);

/* -EAGAIN: nobody is there. */
int channel_socket_accept(const struct channel_uri *uri, int fd, struct err *err);

/* What the socket is bound to, as "ADDRESS:PORT", with IPv6 in brackets; to be freed. */
int channel_socket_name(char **ret_name, int fd, struct err *err);

#endif
