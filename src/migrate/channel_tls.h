/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel_tls.h - TLS 1.3 upon a socket, with certificates on both sides.
 *
 * One thread may send while another receives.
 */
#ifndef MIGRATE_CHANNEL_TLS_H
#define MIGRATE_CHANNEL_TLS_H

#include <stddef.h>

struct channel_tls;
struct err;
struct iov;

/*
 * Read the certificates of a folder (channel.h).  host is the name that the other side
 * has to prove; NULL: we accept, and any name will do that ca-cert.pem stands for.
 */
int channel_tls_new(struct channel_tls **ret_tls, const char *folder, const char *host,
		    struct err *err);
struct channel_tls *channel_tls_free(struct channel_tls *tls);	/* -> NULL */

/* Blocks, for ms at most; afterwards each side knows that the other accepts it. */
int channel_tls_handshake(struct channel_tls *tls, int fd, unsigned ms, struct err *err);

/* All of it, or a negative errno. */
int channel_tls_send(struct channel_tls *tls, struct iov *left);
int channel_tls_receive(struct channel_tls *tls, void *to, size_t len);

#endif
