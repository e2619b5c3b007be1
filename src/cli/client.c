// SPDX-License-Identifier: Apache-2.0
#include "client.h"

#include "base/clock.h"
#include "base/err.h"
#include "runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define READ_SIZE	4096
#define RETRY_NS	(5 * CLOCK_NS_PER_MS)
#define EVENTS_MAX	4096		/* kept during one command; the rest is lost */

struct client {
	char name[VM_CONFIG_NAME_MAX + 1];
	int timeout_ms;
	int fd;
	int passed_fd;			/* goes with the next byte; -1: none */
	json_int_t id;			/* of the last command */
	json_t *events;			/* that nobody has asked for yet */
	char *bytes;			/* read, but not yet used */
	size_t len, size;
	size_t nr_seen;			/* bytes that have no end of line */
};

/* What waits ends then; never where ms is negative. */
static uint64_t deadline_in(int ms)
{
	return ms < 0 ? UINT64_MAX : clock_ns() + (uint64_t)ms * CLOCK_NS_PER_MS;
}

static int no_answer(const struct client *client, struct err *err)
{
	return err_set(err, -ETIMEDOUT, "VM '%s' does not answer", client->name);
}

static int lost(const struct client *client, int r, struct err *err)
{
	if (r == -EPIPE || r == -ECONNRESET)
		return err_set(err, -EPIPE, "VM '%s' has ended", client->name);
	return err_sys(err, r, "cannot speak to VM '%s'", client->name);
}

/* 1 when the socket is ready, 0 when it was not in time, or a negative errno. */
static int await(const struct client *client, short events, uint64_t deadline)
{
	struct pollfd pollfd = { .fd = client->fd, .events = events };

	for (;;) {
		uint64_t now = clock_ns();
		uint64_t left = now < deadline ? deadline - now : 0;
		struct timespec ts = {
			.tv_sec = (time_t)(left / CLOCK_NS_PER_S),
			.tv_nsec = (long)(left % CLOCK_NS_PER_S),
		};
		int nr = ppoll(&pollfd, 1, deadline == UINT64_MAX ? NULL : &ts, NULL);

		if (nr >= 0 || errno != EINTR)
			return nr < 0 ? -errno : nr;
	}
}

/* As send(2), with passed_fd if there is one. */
static ssize_t send_some(struct client *client, const char *bytes, size_t len)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { .bytes = { 0 } };
	struct iovec iov = { (void *)bytes, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t nr;

	if (client->passed_fd >= 0) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = sizeof(control.bytes);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &client->passed_fd, sizeof(int));
	}
	nr = sendmsg(client->fd, &msg, MSG_NOSIGNAL);
	if (nr >= 0)
		client->passed_fd = -1;
	return nr;
}

static int send_all(struct client *client, const char *bytes, size_t len, uint64_t deadline,
		    struct err *err)
{
	while (len) {
		ssize_t nr = send_some(client, bytes, len);
		int r = 1;

		if (nr >= 0) {
			bytes += nr;
			len -= (size_t)nr;
		} else if (errno == EAGAIN) {
			r = await(client, POLLOUT, deadline);
		} else if (errno != EINTR) {
			r = -errno;
		}
		if (r < 0)
			return lost(client, r, err);
		if (!r)
			return no_answer(client, err);
	}
	return 0;
}

/* Messages are lines of JSON. */

static int have_room(struct client *client, struct err *err)
{
	size_t size = client->size ? 2 * client->size : READ_SIZE;
	char *bytes;

	if (client->size - client->len)
		return 0;
	if (client->len >= CLIENT_ANSWER_MAX)
		return err_set(err, -EMSGSIZE, "VM '%s' answers with more than %zu bytes",
			       client->name, CLIENT_ANSWER_MAX);
	bytes = realloc(client->bytes, size);
	if (!bytes)
		return err_sys(err, -ENOMEM, "cannot take the answer of VM '%s'",
			       client->name);
	client->bytes = bytes;
	client->size = size;
	return 0;
}

/* 1 when something was read, 0 when nothing came in time. */
static int read_some(struct client *client, uint64_t deadline, struct err *err)
{
	int r = have_room(client, err);
	ssize_t nr;

	if (r < 0)
		return r;
	r = await(client, POLLIN, deadline);
	if (!r)
		return 0;
	nr = r < 0 ? r : recv(client->fd, client->bytes + client->len,
			      client->size - client->len, 0);
	if (nr > 0)
		client->len += (size_t)nr;
	if (nr < 0 && r > 0 && (errno == EAGAIN || errno == EINTR))
		return 1;
	if (nr <= 0)
		return lost(client, !nr ? -EPIPE : r < 0 ? r : -errno, err);
	return 1;
}

/* The next line as JSON, if there is a whole one: 1 or 0. */
static int take_line(struct client *client, json_t **ret_message, struct err *err)
{
	char *end = client->len > client->nr_seen ?
		    memchr(client->bytes + client->nr_seen, '\n',
			   client->len - client->nr_seen) : NULL;
	json_error_t error;
	size_t len;

	client->nr_seen = client->len;
	if (!end)
		return 0;
	len = (size_t)(end - client->bytes) + 1;
	*ret_message = json_loadb(client->bytes, len, JSON_REJECT_DUPLICATES, &error);
	client->len -= len;
	memmove(client->bytes, end + 1, client->len);
	client->nr_seen = 0;
	if (!json_is_object(*ret_message)) {
		json_decref(*ret_message);
		return err_set(err, -EPROTO, "VM '%s' sends what is no QMP", client->name);
	}
	return 1;
}

/* 1, or 0 when none came in time. */
static int next_message(struct client *client, json_t **ret_message, uint64_t deadline,
			struct err *err)
{
	int r = take_line(client, ret_message, err);

	while (!r) {
		r = read_some(client, deadline, err);
		if (r <= 0)
			return r;
		r = take_line(client, ret_message, err);
	}
	return r;
}

static void keep_event(struct client *client, json_t *message)
{
	if (json_array_size(client->events) < EVENTS_MAX)
		json_array_append(client->events, message);
}

int client_event(struct client *client, json_t **ret_event, int timeout_ms,
		 struct err *err)
{
	uint64_t deadline = deadline_in(timeout_ms);
	json_t *kept = json_array_get(client->events, 0);

	if (kept) {
		*ret_event = json_incref(kept);
		json_array_remove(client->events, 0);
		return 1;
	}
	for (;;) {
		int r = next_message(client, ret_event, deadline, err);

		if (r <= 0 || json_is_string(json_object_get(*ret_event, "event")))
			return r;
		json_decref(*ret_event);	/* an answer that came too late */
	}
}

/* Commands. */

static int send_command(struct client *client, const char *command, json_t *arguments,
			uint64_t deadline, struct err *err)
{
	json_t *json = json_pack("{s:s, s:I, s:o*}", "execute", command, "id", ++client->id,
				 "arguments", arguments);
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	int r;

	json_decref(json);
	if (!text)
		return err_set(err, -EINVAL, "command '%.64s' cannot be sent: it is no UTF-8",
			       command);
	r = send_all(client, text, strlen(text), deadline, err);
	free(text);
	return r;
}

/* The next message that is no event. */
static int next_answer(struct client *client, json_t **ret_message, uint64_t deadline,
		       struct err *err)
{
	for (;;) {
		int r = next_message(client, ret_message, deadline, err);

		if (!r)
			return no_answer(client, err);
		if (r < 0 || !json_object_get(*ret_message, "event"))
			return r;
		if (json_is_string(json_object_get(*ret_message, "event")))
			keep_event(client, *ret_message);
		json_decref(*ret_message);
	}
}

/* Its class tells little of an error; these are QEMU's words for a name that is taken. */
static int code_of(const char *class, const char *text)
{
	if (class && !strcmp(class, "DeviceNotFound"))
		return -ENODEV;
	return text && !strncmp(text, "Duplicate ", strlen("Duplicate ")) ? -EEXIST : -EREMOTEIO;
}

static int judge_answer(const struct client *client, const json_t *message,
			json_t **ret_value, struct err *err)
{
	json_t *value = json_object_get(message, "return");
	json_t *error = json_object_get(message, "error");
	const char *text = json_string_value(json_object_get(error, "desc"));
	const char *class = json_string_value(json_object_get(error, "class"));

	if (value) {
		if (ret_value)
			*ret_value = json_incref(value);
		return 0;
	}
	return err_set(err, code_of(class, text), "VM '%s': %s", client->name,
		       text ? text : "an answer that says nothing");
}

int client_execute(struct client *client, const char *command, json_t *arguments,
		   json_t **ret_value, struct err *err)
{
	uint64_t deadline = deadline_in(client->timeout_ms);
	json_t *message = NULL;
	int r = send_command(client, command, arguments, deadline, err);

	while (!r) {
		r = next_answer(client, &message, deadline, err);
		if (r < 0)
			return r;
		/* One without our id answers a command that we no longer wait for. */
		if (json_integer_value(json_object_get(message, "id")) == client->id) {
			r = judge_answer(client, message, ret_value, err);
			json_decref(message);
			return r;
		}
		json_decref(message);
		r = 0;
	}
	return r;
}

int client_give_fd(struct client *client, struct client_fd *ret_fd, int fd, struct err *err)
{
	uint64_t chance;
	int r;

	if (fcntl(fd, F_GETFD) < 0)
		return err_sys(err, -errno, "descriptor %d", fd);
	/* A process's number does not do: clients may be in containers. */
	if (getrandom(&chance, sizeof(chance), 0) != sizeof(chance))
		return err_sys(err, -errno, "cannot name descriptor %d", fd);
	snprintf(ret_fd->name, sizeof(ret_fd->name), "vmm-%016" PRIx64, chance);
	client->passed_fd = fd;
	r = client_execute(client, "getfd", json_pack("{s:s}", "fdname", ret_fd->name), NULL,
			   err);
	client->passed_fd = -1;
	return r;
}

/* Of others it says that it does not have them. */
void client_take_fd_back(struct client *client, const struct client_fd *fd)
{
	(void)client_execute(client, "closefd", json_pack("{s:s}", "fdname", fd->name), NULL,
			     NULL);
}

/* Life. */

/* A VM that has its name but not its socket yet is starting. */
static bool may_come(int r)
{
	return r == -ENOENT || r == -ECONNREFUSED || r == -EAGAIN;
}

static int connect_to(struct client *client, uint64_t deadline, struct err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const struct timespec pause = { .tv_nsec = RETRY_NS };
	struct runtime_path path = { "" };
	struct runtime_vm vm;
	int r = runtime_path(&path, client->name, RUNTIME_QMP, err);

	memcpy(address.sun_path, path.text, sizeof(path.text));
	while (!r) {
		if (!connect(client->fd, (struct sockaddr *)&address, sizeof(address)))
			return 0;
		if (!may_come(-errno))
			return lost(client, -errno, err);
		if (clock_ns() >= deadline)
			return no_answer(client, err);
		nanosleep(&pause, NULL);
		r = runtime_find(&vm, client->name, err);
	}
	return r;
}

static int negotiate(struct client *client, uint64_t deadline, struct err *err)
{
	json_t *greeting;
	int r = next_answer(client, &greeting, deadline, err);

	if (r < 0)
		return r;
	r = json_object_get(greeting, "QMP") ? 0 :
	    err_set(err, -EPROTO, "VM '%s' sends what is no QMP", client->name);
	json_decref(greeting);
	return r < 0 ? r : client_execute(client, "qmp_capabilities", NULL, NULL, err);
}

int client_open(struct client **ret_client, const char *name, int timeout_ms,
		struct err *err)
{
	uint64_t deadline = deadline_in(timeout_ms);
	struct client *client;
	struct runtime_vm vm;
	int r = runtime_find(&vm, name, err);

	if (r < 0)
		return r;
	client = calloc(1, sizeof(*client));
	if (!client)
		return err_sys(err, -ENOMEM, "cannot speak to VM '%s'", name);
	memcpy(client->name, vm.name, sizeof(vm.name));
	client->timeout_ms = timeout_ms;
	client->passed_fd = -1;
	client->events = json_array();
	client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	r = !client->events ? -ENOMEM : client->fd < 0 ? -errno : 0;
	if (r < 0)
		err_sys(err, r, "cannot speak to VM '%s'", name);
	if (!r)
		r = connect_to(client, deadline, err);
	if (!r)
		r = negotiate(client, deadline, err);
	if (r < 0) {
		client_close(client);
		return r;
	}
	*ret_client = client;
	return 0;
}

struct client *client_close(struct client *client)
{
	if (!client)
		return NULL;
	if (client->fd >= 0)
		close(client->fd);
	json_decref(client->events);
	free(client->bytes);
	free(client);
	return NULL;
}
