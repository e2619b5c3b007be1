// SPDX-License-Identifier: Apache-2.0
/*
 * qmp_client.c - bytes between a socket and a session.
 *
 * Readiness is reported when it arises, so serve() reads until there is nothing
 * left, unless something stops it that will call it again: the session is busy
 * (session_ready), the client does not read (writable, empty_output), or it has
 * had its share of this turn (the task).
 *
 * The session calls back into the connection, so a client that has to go is
 * only marked, and gone() comes from the task.
 */
#include "qmp_client.h"

#include "base/bits.h"
#include "base/clock.h"
#include "base/log.h"
#include "loop/loop.h"
#include "qmp_session.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define INPUT_BYTES		4096
#define MESSAGES_PER_TURN	32	/* a few hundred us; others wait that long */
#define FDS_MAX			16	/* in one message; the kernel closes the rest */

struct qmp_client {
	struct qmp_client_config config;
	struct qmp_session *session;
	struct unix_socket_peer peer;
	int fd;
	bool dead;			/* gone() comes soon */
	bool ended;			/* there is no more input to come */
	bool hung_up;			/* nor does anybody read what is sent */
	bool serving;			/* flushes when it is done */
	struct loop_watch in;
	struct loop_watch out;		/* while the socket takes no more */
	struct loop_task task;

	char input[INPUT_BYTES];
	size_t input_at, input_len;
	int fds[FDS_MAX];		/* that came with the input */
	unsigned nr_fds;

	char *output;
	size_t output_at, output_len, output_room;
};

static void serve(struct qmp_client *client);

static void die(struct qmp_client *client)
{
	if (client->dead)
		return;
	client->dead = true;
	loop_watch_remove(client->config.loop, &client->in);
	loop_watch_remove(client->config.loop, &client->out);
	shutdown(client->fd, SHUT_RDWR);
	loop_defer(client->config.loop, &client->task);
}

/* Output. */

static size_t output_waiting(const struct qmp_client *client)
{
	return client->output_len - client->output_at;
}

static void wait_for_room(struct qmp_client *client)
{
	if (!client->out.slot &&
	    loop_watch_add(client->config.loop, &client->out, client->fd, POLLOUT))
		die(client);
}

static void empty_output(struct qmp_client *client)
{
	if (client->out.slot) {
		/* Whoever emptied it, input may have waited for that. */
		loop_watch_remove(client->config.loop, &client->out);
		loop_defer(client->config.loop, &client->task);
	}
	client->output_at = client->output_len = 0;
	if (client->output_room > QMP_CLIENT_OUTPUT_HIGH) {
		free(client->output);
		client->output = NULL;
		client->output_room = 0;
	}
}

static void flush(struct qmp_client *client)
{
	while (!client->dead && output_waiting(client)) {
		ssize_t sent = send(client->fd, client->output + client->output_at,
				    output_waiting(client), MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent >= 0)
			client->output_at += (size_t)sent;
		else if (errno == EAGAIN)
			return wait_for_room(client);
		else if (errno != EINTR)
			return die(client);
	}
	empty_output(client);
}

static int make_room(struct qmp_client *client, size_t len)
{
	size_t room = client->output_room ? client->output_room : 4096;
	char *grown;

	if (client->output_at) {
		memmove(client->output, client->output + client->output_at,
			output_waiting(client));
		client->output_len -= client->output_at;
		client->output_at = 0;
	}
	while (room - client->output_len < len)
		room *= 2;
	grown = realloc(client->output, room);
	if (!grown)
		return -ENOMEM;
	client->output = grown;
	client->output_room = room;
	return 0;
}

static void session_send(void *ctx, const char *bytes, size_t len)
{
	struct qmp_client *client = ctx;

	if (client->dead)
		return;
	if (len > QMP_CLIENT_OUTPUT_MAX - output_waiting(client)) {
		log_warn("QMP client (process %d) does not read what it is sent: dropping it",
			 (int)client->peer.pid);
		return die(client);
	}
	if (len > client->output_room - client->output_len && make_room(client, len) < 0)
		return die(client);
	memcpy(client->output + client->output_len, bytes, len);
	client->output_len += len;
	if (!client->serving)
		flush(client);
}

static void writable(struct loop_watch *watch, unsigned events)
{
	struct qmp_client *client = container_of(watch, struct qmp_client, out);

	(void)events;
	serve(client);
}

/* Input. */

static void close_fds(struct qmp_client *client)
{
	while (client->nr_fds)
		close(client->fds[--client->nr_fds]);
}

static int session_take_fd(void *ctx)
{
	struct qmp_client *client = ctx;
	int fd = client->fds[0];

	if (!client->nr_fds)
		return -1;
	client->nr_fds--;
	memmove(client->fds, client->fds + 1, client->nr_fds * sizeof(fd));
	return fd;
}

/* Descriptors that nobody asked for go when others come. */
static void keep_fds(struct qmp_client *client, struct msghdr *msg)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		close_fds(client);
		client->nr_fds = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(client->fds, CMSG_DATA(c), client->nr_fds * sizeof(int));
	}
}

/* True when there is more input than before. */
static bool receive(struct qmp_client *client)
{
	union {
		char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec seg = { .iov_base = client->input, .iov_len = sizeof(client->input) };
	struct msghdr msg = {
		.msg_iov = &seg, .msg_iovlen = 1,
		.msg_control = control.bytes, .msg_controllen = sizeof(control.bytes),
	};
	ssize_t got;

	do
		got = recvmsg(client->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got < 0 && errno != EAGAIN)
		die(client);
	if (got == 0)
		client->ended = true;
	if (got <= 0)
		return false;
	keep_fds(client, &msg);
	client->input_at = 0;
	client->input_len = (size_t)got;
	return true;
}

static bool has_input(const struct qmp_client *client)
{
	return client->input_at < client->input_len;
}

static bool may_go_on(const struct qmp_client *client)
{
	return !client->dead && !qmp_session_busy(client->session) &&
	       output_waiting(client) < QMP_CLIENT_OUTPUT_HIGH;
}

static void serve(struct qmp_client *client)
{
	int left = MESSAGES_PER_TURN;
	bool no_input;

	client->serving = true;
	while (left && may_go_on(client) && (has_input(client) || receive(client))) {
		client->input_at += qmp_session_input(client->session,
						      client->input + client->input_at,
						      client->input_len - client->input_at);
		left--;
	}
	client->serving = false;
	if (client->hung_up)
		qmp_session_left(client->session);
	no_input = left && may_go_on(client);
	flush(client);
	if (client->dead)
		return;
	if (!no_input && may_go_on(client))
		loop_defer(client->config.loop, &client->task);
	else if (client->ended && !has_input(client) && !output_waiting(client) &&
		 !qmp_session_busy(client->session))
		die(client);
}

static void run(struct loop_task *task)
{
	struct qmp_client *client = container_of(task, struct qmp_client, task);

	if (client->dead)
		client->config.gone(client->config.ctx, client);
	else
		serve(client);
}

static void readable(struct loop_watch *watch, unsigned events)
{
	struct qmp_client *client = container_of(watch, struct qmp_client, in);

	client->hung_up |= events & POLLHUP;
	serve(client);
}

static void session_ready(void *ctx)
{
	struct qmp_client *client = ctx;

	loop_defer(client->config.loop, &client->task);
}

/* From outside. */

int qmp_client_new(struct qmp_client **ret_client, const struct qmp_client_config *config,
		   int fd, struct unix_socket_peer peer)
{
	struct qmp_client *client = calloc(1, sizeof(*client));
	const struct qmp_session_config session = {
		.tables = config->tables,
		.machine = config->machine,
		.fds = config->fds,
		.send = session_send,
		.ready = session_ready,
		.take_fd = session_take_fd,
		.ctx = client,
	};

	if (!client)
		return -ENOMEM;
	client->config = *config;
	client->fd = fd;
	client->peer = peer;
	client->in.ready = readable;
	client->out.ready = writable;
	client->task.run = run;
	if (loop_watch_add(config->loop, &client->in, fd, POLLIN) < 0)
		goto no_watch;
	if (qmp_session_new(&client->session, &session) < 0)
		goto no_session;
	*ret_client = client;
	return 0;

no_session:
	loop_watch_remove(config->loop, &client->in);
no_watch:
	free(client);
	return -ENOMEM;
}

struct qmp_client *qmp_client_free(struct qmp_client *client)
{
	if (!client)
		return NULL;
	qmp_session_free(client->session);
	loop_watch_remove(client->config.loop, &client->in);
	loop_watch_remove(client->config.loop, &client->out);
	loop_cancel(client->config.loop, &client->task);
	close_fds(client);
	close(client->fd);
	free(client->output);
	free(client);
	return NULL;
}

void qmp_client_event(struct qmp_client *client, const char *line, size_t len)
{
	qmp_session_event(client->session, line, len);
}

void qmp_client_drain(struct qmp_client *client, uint64_t until)
{
	uint64_t now = clock_ns();

	flush(client);
	while (!client->dead && output_waiting(client) && now < until) {
		struct pollfd poll_fd = { .fd = client->fd, .events = POLLOUT };

		poll(&poll_fd, 1, (int)((until - now) / CLOCK_NS_PER_MS) + 1);
		flush(client);
		now = clock_ns();
	}
}
