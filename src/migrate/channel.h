/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel.h - a stream of bytes between two monitors.
 *
 *	tcp:HOST:PORT	to or at an address of this machine only, unless that is waived
 *	tcp:[::1]:PORT	an IPv6 address
 *	tls:HOST:PORT	TLS 1.3, with certificates on both sides
 *	unix:PATH	between processes of our own user, or of root
 *	fd:N		a stream socket that is connected already, whoever is there
 *
 * One side listens and accepts, the other connects.  From then on both are alike: one
 * thread may send while another receives.
 *
 * The folder of certificates for tls: has three files, in PEM.  Each host has one such
 * folder, whichever side it is on; connecting, we want HOST in the certificate of the
 * other side, and accepting, just one that was signed by the same authority.
 *
 *	ca-cert.pem	the authority's certificate
 *	cert.pem	ours, signed by it
 *	key.pem		its private key
 *
 * certtool, of GnuTLS, makes them; ca-key.pem stays away from the hosts:
 *
 *	certtool --generate-privkey --outfile ca-key.pem
 *	printf 'cn=migration\nca\ncert_signing_key\n' > ca.cfg
 *	certtool --generate-self-signed --load-privkey ca-key.pem --template ca.cfg \
 *		--outfile ca-cert.pem
 *	certtool --generate-privkey --outfile key.pem
 *	printf 'cn=HOST\ndns_name=HOST\nsigning_key\n' > host.cfg
 *	certtool --generate-certificate --load-privkey key.pem --template host.cfg \
 *		--load-ca-certificate ca-cert.pem --load-ca-privkey ca-key.pem \
 *		--outfile cert.pem
 *
 * What is sent over plain sockets is neither kept nor copied, so that guest memory can be
 * sent from where it lies; a page that the guest writes meanwhile may arrive in part old,
 * in part new.
 *
 * A TCP peer that is dead, or that takes nothing for so long, is noticed after 15 s:
 * -ETIMEDOUT.
 */
#ifndef MIGRATE_CHANNEL_H
#define MIGRATE_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

struct channel;
struct channel_listener;
struct err;

struct channel_options {
	const char *tls;		/* folder of certificates; only with tls: */
	bool insecure;			/* tcp: may leave this machine */
	unsigned patience_ms;		/* to connect, and for TLS; 0: 10 s each */
	int cancel;			/* end connecting when this is readable; 0: nothing does */

	/* The descriptor called name, for fd:NAME, or a negative errno; NULL: numbers only. */
	int (*take_fd)(void *ctx, const char *name, struct err *err);
	void *ctx;
};

/* Is uri one of the above?  Nothing is looked up or opened.  -EINVAL.  Any thread. */
int channel_check(const char *uri, const struct channel_options *options, struct err *err);

/*
 * Blocks until there is a connection, -ETIMEDOUT or -ECANCELED comes, or whatever is the
 * reason.  A descriptor of fd:N is taken unless this fails.  Any thread.
 */
int channel_connect(struct channel **ret_channel, const char *uri,
		    const struct channel_options *options, struct err *err);

/*
 * TLS, on both sides, before anything else; does nothing for the others.  Blocks as
 * channel_connect() does, until channel_break().  The thread that receives.
 */
int channel_handshake(struct channel *channel, struct err *err);

/* Others have left it by now.  What was sent still arrives.  Takes NULL. */
struct channel *channel_close(struct channel *channel);	/* -> NULL */

/*
 * All of it, or -ECONNRESET when nobody is there any more (what was sent before need
 * not have arrived), -ETIMEDOUT, -ECANCELED ...  One thread at a time.
 */
int channel_send(struct channel *channel, const struct iovec *segs, unsigned nr);

/*
 * All of it, or an error as above; at the end of the stream, also amid these bytes, it
 * is -ECONNRESET.  One thread at a time.
 */
int channel_receive(struct channel *channel, void *to, size_t len);

/*
 * Bytes that do not come within so long are -ETIMEDOUT; 0: they are waited for, as at
 * first.  Not with TLS, whose handshake has its own limit and shows who speaks.
 */
void channel_set_patience(struct channel *channel, unsigned ms);

/*
 * Whoever sends or receives fails with -ECANCELED, now and from here on; the other side
 * sees the end of the stream.  Any thread, until channel_close().
 */
void channel_break(struct channel *channel);

/*
 * Listen at uri.  With port 0 the kernel chooses one.  An fd:N is taken unless this
 * fails, and accepted once.
 *
 * A listener belongs to one thread.
 */
int channel_listen(struct channel_listener **ret_listener, const char *uri,
		   const struct channel_options *options, struct err *err);
struct channel_listener *channel_listener_close(struct channel_listener *listener); /* -> NULL */

/* Readable when somebody waits to be accepted; to be watched only. */
int channel_listener_fd(const struct channel_listener *listener);

/* Where it listens, as others would have to name it. */
const char *channel_listener_address(const struct channel_listener *listener);

/*
 * Does not block: -EAGAIN when nobody waits.  After any other error, with which somebody
 * was turned away, it goes on listening.
 */
int channel_accept(struct channel **ret_channel, struct channel_listener *listener,
		   struct err *err);

#endif
