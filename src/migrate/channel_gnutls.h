/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel_gnutls.h - GnuTLS, loaded when it is needed.
 *
 * To be linked with it would cost each start of a VM the loading of it and of the seven
 * libraries that it brings.
 */
#ifndef MIGRATE_CHANNEL_GNUTLS_H
#define MIGRATE_CHANNEL_GNUTLS_H

#include <gnutls/gnutls.h>

struct err;

/* Its functions that are used, without their common prefix. */
#define CHANNEL_GNUTLS_FUNCTIONS(X)		\
	X(alert_get)				\
	X(alert_get_name)			\
	X(alert_send_appropriate)		\
	X(certificate_allocate_credentials)	\
	X(certificate_free_credentials)		\
	X(certificate_send_x509_rdn_sequence)	\
	X(certificate_server_set_request)	\
	X(certificate_set_x509_key_file)	\
	X(certificate_set_x509_trust_file)	\
	X(credentials_set)			\
	X(deinit)				\
	X(error_is_fatal)			\
	X(handshake)				\
	X(handshake_set_timeout)		\
	X(init)					\
	X(priority_set_direct)			\
	X(record_recv)				\
	X(record_send)				\
	X(record_set_timeout)			\
	X(server_name_set)			\
	X(session_get_verify_cert_status)	\
	X(session_set_verify_cert)		\
	X(strerror)				\
	X(transport_set_int2)

struct channel_gnutls {
#define CHANNEL_GNUTLS_MEMBER(name) __typeof__(gnutls_##name) *name;
	CHANNEL_GNUTLS_FUNCTIONS(CHANNEL_GNUTLS_MEMBER)
#undef CHANNEL_GNUTLS_MEMBER
};

/* Any thread, any number of times; it stays loaded.  -ENOENT: it is not installed. */
int channel_gnutls_load(struct channel_gnutls *ret_gnutls, struct err *err);

#endif
