/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h - a running VM as a subcommand speaks to it: QMP, one thing at a time.
 *
 *	struct client *client;
 *	json_t *status;
 *
 *	r = client_open(&client, "web", CLIENT_TIMEOUT_MS, &err);
 *	if (!r)
 *		r = client_execute(client, "query-status", NULL, &status, &err);
 *	if (!r)
 *		puts(json_string_value(json_object_get(status, "status")));
 *	...
 *	json_decref(status);
 *	client_close(client);
 *
 * Nothing waits longer than the time given, and no answer is taken that is longer
 * than CLIENT_ANSWER_MAX.  Errors name the VM.  One thread.
 */
#ifndef CLI_CLIENT_H
#define CLI_CLIENT_H

#include <jansson.h>
#include <stddef.h>

struct client;
struct err;

#define CLIENT_TIMEOUT_MS	5000			/* what is usual */
#define CLIENT_ANSWER_MAX	((size_t)16 << 20)	/* bytes */

/*
 * Negotiated with the running VM of that name, which may be just starting.  -ENOENT
 * where there is none, -ETIMEDOUT where it does not answer, each within timeout_ms.
 */
int client_open(struct client **ret_client, const char *name, int timeout_ms,
		struct err *err);

struct client *client_close(struct client *client);	/* NULL is fine. -> NULL */

/*
 * Have a command executed.  Takes arguments, an object, or NULL for none.  The
 * value returned is the caller's; ret_value may be NULL.  -EREMOTEIO: the VM refuses
 * and tells why; -ENODEV: the same, since it has no such device; -EEXIST: since it has one
 * of that name; -ETIMEDOUT; -EPIPE: the VM has ended.
 */
int client_execute(struct client *client, const char *command, json_t *arguments,
		   json_t **ret_value, struct err *err);

/* What a descriptor is called on its way. */
#define CLIENT_FD_NAME_ROOM	sizeof("vmm-0123456789abcdef")

struct client_fd {
	char name[CLIENT_FD_NAME_ROOM];
};

/*
 * Let it have a copy of a descriptor, to be used by the name returned in a later command.
 * A VM has one set of names for all its clients, so it is one that nobody else has.
 */
int client_give_fd(struct client *client, struct client_fd *ret_fd, int fd, struct err *err);

/* It keeps none that it has not used. */
void client_take_fd_back(struct client *client, const struct client_fd *fd);

/*
 * The next event, also one that came during a command; the caller's.  1, or 0 when
 * none came within timeout_ms (-1: for ever), or as above.
 */
int client_event(struct client *client, json_t **ret_event, int timeout_ms,
		 struct err *err);

#endif
