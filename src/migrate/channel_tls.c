// SPDX-License-Identifier: Apache-2.0
/*
 * channel_tls.c - TLS as channels use it.
 *
 * In TLS 1.3 the client is done before the server has seen its certificate, and would
 * learn only by its first read that it was refused.  So the server's first byte says that
 * it was not.
 *
 * Keys are not renewed: GnuTLS cannot do that while another thread uses the session.
 */
#include "channel_tls.h"

#include "base/bits.h"
#include "base/err.h"
#include "base/iov.h"
#include "channel_gnutls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PRIORITY	"NORMAL:-VERS-ALL:+VERS-TLS1.3"
#define RECORD		(16 * KiB)	/* the longest */
#define WELCOME		'+'

struct channel_tls {
	struct channel_gnutls gnutls;
	gnutls_certificate_credentials_t credentials;
	gnutls_session_t session;
	bool accepts;
	char host[NI_MAXHOST];		/* GnuTLS keeps no copy; "": any */
	uint8_t record[RECORD];		/* of smaller pieces, on their way */
};

/* Certificates. */

static int path_of(char *path, const char *folder, const char *name, struct err *err)
{
	if (snprintf(path, PATH_MAX, "%s/%s", folder, name) >= PATH_MAX)
		return err_sys(err, -ENAMETOOLONG, "certificates in '%.64s...'", folder);
	return access(path, R_OK) ? err_sys(err, -errno, "cannot read '%s'", path) : 0;
}

static int read_folder(struct channel_tls *tls, const char *folder, struct err *err)
{
	const struct channel_gnutls *gnutls = &tls->gnutls;
	char ca[PATH_MAX], cert[PATH_MAX], key[PATH_MAX];
	int r;

	if ((r = path_of(ca, folder, "ca-cert.pem", err)) < 0 ||
	    (r = path_of(cert, folder, "cert.pem", err)) < 0 ||
	    (r = path_of(key, folder, "key.pem", err)) < 0)
		return r;
	r = gnutls->certificate_set_x509_trust_file(tls->credentials, ca, GNUTLS_X509_FMT_PEM);
	if (r <= 0)
		return err_set(err, -EINVAL, "'%s' holds no certificate", ca);
	r = gnutls->certificate_set_x509_key_file(tls->credentials, cert, key,
						  GNUTLS_X509_FMT_PEM);
	if (r < 0)
		return err_set(err, -EINVAL, "'%s', or the key beside it: %s", cert,
			       gnutls->strerror(r));
	return 0;
}

static bool is_address(const char *host)
{
	struct in6_addr parsed;

	return inet_pton(AF_INET, host, &parsed) || inet_pton(AF_INET6, host, &parsed);
}

static int begin_session(struct channel_tls *tls)
{
	const char *host = tls->accepts ? NULL : tls->host;
	const struct channel_gnutls *gnutls = &tls->gnutls;
	int r = gnutls->init(&tls->session, (host ? GNUTLS_CLIENT : GNUTLS_SERVER) |
			     GNUTLS_NO_SIGNAL | GNUTLS_NO_AUTO_REKEY | GNUTLS_NO_TICKETS);

	if (r < 0)
		return r;
	r = gnutls->priority_set_direct(tls->session, PRIORITY, NULL);
	if (r < 0)
		return r;
	gnutls->certificate_server_set_request(tls->session, GNUTLS_CERT_REQUIRE);
	/* A client that is told whom we trust keeps another's certificate to itself. */
	gnutls->certificate_send_x509_rdn_sequence(tls->session, 1);
	gnutls->session_set_verify_cert(tls->session, host, 0);
	if (host && !is_address(host))
		gnutls->server_name_set(tls->session, GNUTLS_NAME_DNS, host, strlen(host));
	return gnutls->credentials_set(tls->session, GNUTLS_CRD_CERTIFICATE, tls->credentials);
}

int channel_tls_new(struct channel_tls **ret_tls, const char *folder, const char *host,
		    struct err *err)
{
	struct channel_tls *tls = calloc(1, sizeof(*tls));
	int r;

	if (!tls)
		return err_sys(err, -ENOMEM, "cannot begin TLS");
	tls->accepts = !host;
	snprintf(tls->host, sizeof(tls->host), "%s", host ? host : "");
	r = channel_gnutls_load(&tls->gnutls, err);
	if (r < 0) {
		free(tls);
		return r;
	}
	r = tls->gnutls.certificate_allocate_credentials(&tls->credentials);
	if (r < 0)
		r = err_sys(err, -ENOMEM, "cannot begin TLS");
	else
		r = read_folder(tls, folder, err);
	if (!r && (r = begin_session(tls)) < 0)
		r = err_set(err, -EINVAL, "cannot begin TLS: %s", tls->gnutls.strerror(r));
	if (r < 0) {
		channel_tls_free(tls);
		return r;
	}
	*ret_tls = tls;
	return 0;
}

struct channel_tls *channel_tls_free(struct channel_tls *tls)
{
	if (!tls)
		return NULL;
	if (tls->session)
		tls->gnutls.deinit(tls->session);
	if (tls->credentials)
		tls->gnutls.certificate_free_credentials(tls->credentials);
	free(tls);
	return NULL;
}

/* Bytes. */

static int errno_of(int r)
{
	switch (r) {
	case GNUTLS_E_TIMEDOUT:
		return -ETIMEDOUT;
	case 0:
	case GNUTLS_E_PREMATURE_TERMINATION:
	case GNUTLS_E_PULL_ERROR:
	case GNUTLS_E_PUSH_ERROR:
	case GNUTLS_E_FATAL_ALERT_RECEIVED:
		return -ECONNRESET;
	default:
		return -EBADMSG;
	}
}

/* The result of GnuTLS, interruptions apart. */
static ssize_t send_once(struct channel_tls *tls, const void *bytes, size_t len)
{
	ssize_t r;

	while ((r = tls->gnutls.record_send(tls->session, bytes, len)) < 0 &&
	       !tls->gnutls.error_is_fatal((int)r))
		;
	return r;
}

static ssize_t receive_once(struct channel_tls *tls, void *to, size_t len)
{
	ssize_t r;

	while ((r = tls->gnutls.record_recv(tls->session, to, len)) < 0 &&
	       !tls->gnutls.error_is_fatal((int)r) && r != GNUTLS_E_TIMEDOUT)
		;
	return r;
}

int channel_tls_send(struct channel_tls *tls, struct iov *left)
{
	while (left->len) {
		const void *bytes = left->segs->iov_base;
		size_t len = RECORD;
		ssize_t r;

		if (left->segs->iov_len < RECORD) {
			len = min_u64(left->len, RECORD);
			iov_read(left, 0, tls->record, len);
			bytes = tls->record;
		}
		r = send_once(tls, bytes, len);
		if (r < 0)
			return errno_of((int)r);
		iov_drop_front(left, (uint64_t)r);
	}
	return 0;
}

int channel_tls_receive(struct channel_tls *tls, void *to, size_t len)
{
	for (char *at = to, *end = at + len; at < end;) {
		ssize_t r = receive_once(tls, at, (size_t)(end - at));

		if (r <= 0)
			return errno_of((int)r);
		at += r;
	}
	return 0;
}

/* The handshake. */

static const struct fault {
	unsigned status;
	const char *text;
} faults[] = {
	{ GNUTLS_CERT_EXPIRED, "it has expired" },
	{ GNUTLS_CERT_NOT_ACTIVATED, "it is not valid yet" },
	{ GNUTLS_CERT_SIGNER_NOT_FOUND, "our ca-cert.pem has not signed it" },
	{ GNUTLS_CERT_UNEXPECTED_OWNER, "it is for another name" },
};

static const char *fault_of(unsigned status)
{
	for (const struct fault *fault = faults; fault < faults + ARRAY_LEN(faults); fault++)
		if (status & fault->status)
			return fault->text;
	return "it is not valid";
}

static int explain(const struct channel_tls *tls, int r, struct err *err)
{
	const struct channel_gnutls *gnutls = &tls->gnutls;

	if (r == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR)
		return err_set(err, -EACCES, "the other side's certificate is refused: %s",
			       fault_of(gnutls->session_get_verify_cert_status(tls->session)));
	if (r == GNUTLS_E_FATAL_ALERT_RECEIVED)
		return err_set(err, -EACCES, "the other side refuses TLS with us: %s",
			       gnutls->alert_get_name(gnutls->alert_get(tls->session)));
	if (r == GNUTLS_E_TIMEDOUT)
		return err_set(err, -ETIMEDOUT, "the other side does not answer by TLS");
	return err_set(err, errno_of(r), "no TLS with the other side: %s",
		       r ? gnutls->strerror(r) : "it has closed the connection");
}

static int shake_hands(struct channel_tls *tls)
{
	int r;

	while ((r = tls->gnutls.handshake(tls->session)) < 0 && !tls->gnutls.error_is_fatal(r) &&
	       r != GNUTLS_E_TIMEDOUT)
		;
	if (r < 0)
		tls->gnutls.alert_send_appropriate(tls->session, r);
	return r;
}

/* 1, or what GnuTLS says. */
static int welcome(struct channel_tls *tls, unsigned ms)
{
	char byte = WELCOME;
	ssize_t r;

	if (tls->accepts)
		return (int)send_once(tls, &byte, 1);
	tls->gnutls.record_set_timeout(tls->session, ms);
	r = receive_once(tls, &byte, 1);
	tls->gnutls.record_set_timeout(tls->session, 0);
	return r == 1 && byte != WELCOME ? GNUTLS_E_UNEXPECTED_PACKET : (int)r;
}

int channel_tls_handshake(struct channel_tls *tls, int fd, unsigned ms, struct err *err)
{
	int r;

	tls->gnutls.transport_set_int2(tls->session, fd, fd);
	tls->gnutls.handshake_set_timeout(tls->session, ms);
	r = shake_hands(tls);
	if (!r)
		r = welcome(tls, ms);
	return r > 0 ? 0 : explain(tls, r, err);
}
