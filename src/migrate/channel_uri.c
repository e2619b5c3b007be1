// SPDX-License-Identifier: Apache-2.0
#include "channel_uri.h"

#include "base/bits.h"
#include "base/err.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#define PORT_MAX	65535
#define DIGITS		"0123456789"

static const struct kind {
	const char *prefix, *form;
	enum channel_uri_kind kind;
} kinds[] = {
	{ "tcp:", "tcp:HOST:PORT", CHANNEL_URI_TCP },
	{ "tls:", "tls:HOST:PORT", CHANNEL_URI_TLS },
	{ "unix:", "unix:PATH", CHANNEL_URI_UNIX },
	{ "fd:", "fd:N", CHANNEL_URI_FD },
};

/* -1: text is no number, or one above max. */
static int number_of(const char *text, int max)
{
	size_t len = strlen(text);
	unsigned long n = strtoul(text, NULL, 10);

	return !len || len != strspn(text, DIGITS) || n > (unsigned)max ? -1 : (int)n;
}

static int parse_host(struct channel_uri *uri, const char *form, struct err *err)
{
	bool bracketed = *uri->rest == '[';
	const char *host = uri->rest + bracketed;
	const char *end = strchr(host, bracketed ? ']' : ':');
	const char *port = end ? end + bracketed : "";
	size_t len = end ? (size_t)(end - host) : 0;

	if (!len || len >= sizeof(uri->host) || *port != ':' ||
	    strlen(port + 1) >= sizeof(uri->port) || number_of(port + 1, PORT_MAX) < 0)
		return err_set(err, -EINVAL, "'%.128s' is not %s, with an IPv6 address in "
			       "brackets and a port up to %d", uri->text, form, PORT_MAX);
	memcpy(uri->host, host, len);
	memcpy(uri->port, port + 1, strlen(port + 1));
	return 0;
}

static int parse_name(struct channel_uri *uri, const char *form, struct err *err)
{
	const size_t max = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;

	uri->fd = number_of(uri->rest, INT_MAX);
	if (!*uri->rest || (uri->kind == CHANNEL_URI_FD && uri->fd < 0 &&
			    strchr(DIGITS, *uri->rest)))
		return err_set(err, -EINVAL, "'%.128s' is not %s", uri->text, form);
	if (uri->kind == CHANNEL_URI_UNIX && strlen(uri->rest) > max)
		return err_set(err, -ENAMETOOLONG, "'%.64s...': the path has %zu bytes, and "
			       "sockets take %zu: choose a shorter one", uri->text,
			       strlen(uri->rest), max);
	return 0;
}

int channel_uri_parse(struct channel_uri *ret_uri, const char *text, struct err *err)
{
	struct channel_uri uri = { .text = text };

	for (const struct kind *kind = kinds; kind < kinds + ARRAY_LEN(kinds); kind++) {
		size_t len = strlen(kind->prefix);
		int r;

		if (strncmp(text, kind->prefix, len))
			continue;
		uri.kind = kind->kind;
		uri.rest = text + len;
		if (uri.kind == CHANNEL_URI_TCP || uri.kind == CHANNEL_URI_TLS)
			r = parse_host(&uri, kind->form, err);
		else
			r = parse_name(&uri, kind->form, err);
		if (!r)
			*ret_uri = uri;
		return r;
	}
	return err_set(err, -EINVAL, "'%.128s' is none of tcp:HOST:PORT, tls:HOST:PORT, "
		       "unix:PATH and fd:N", text);
}
