// SPDX-License-Identifier: Apache-2.0
/*
 * passt.c - starts passt, which says by its exit status whether all went well: it goes to
 * the background once it has its ports.
 */
#include "net/passt.h"

#include "base/bits.h"
#include "base/err.h"
#include "loop/loop.h"
#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define FORWARDS_MAX	64
#define FORWARD_LEN	96		/* with an IPv6 address, and some */
#define SOCKET_FD	3		/* in passt */

/* Ports. */

struct forward {
	bool udp;
	char text[FORWARD_LEN];		/* as passt has it: [ADDRESS/]PORT:PORT */
};

static bool read_port(const char *text, unsigned *ret_port)
{
	char *end;
	unsigned long port = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || !port || port > 65535)
		return false;
	*ret_port = (unsigned)port;
	return true;
}

/* Of the host: [ADDRESS:]PORT, where an IPv6 address is in brackets. */
static bool read_host(char *text, const char **ret_address, unsigned *ret_port)
{
	uint8_t address[16];
	char *colon = strrchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : 0;

	*ret_address = NULL;
	if (!read_port(colon ? colon + 1 : text, ret_port))
		return false;
	if (!len)
		return true;
	*colon = '\0';
	*ret_address = text;
	if (text[0] != '[')
		return inet_pton(AF_INET, text, address) == 1;
	text[len - 1] = text[len - 1] == ']' ? '\0' : 'x';
	*ret_address = text + 1;
	return inet_pton(AF_INET6, text + 1, address) == 1;
}

static int refuse(const char *word, size_t len, struct err *err)
{
	return err_set(err, -EINVAL, "hostfwd: '%.*s' is none: it is tcp or udp, and ports of "
		       "host and guest, as in tcp:2222-:22 or tcp:127.0.0.1:2222-:22", (int)len,
		       word);
}

static int read_forward(struct forward *forward, const char *word, size_t len, struct err *err)
{
	char copy[FORWARD_LEN - sizeof("65535:65535")], *dash;
	unsigned port, guest_port;
	const char *address;

	if (len < strlen("tcp:") || len >= sizeof(copy))
		return refuse(word, len, err);
	memcpy(copy, word, len);
	copy[len] = '\0';
	forward->udp = !strncmp(copy, "udp:", 4);
	dash = strrchr(copy, '-');
	if ((!forward->udp && strncmp(copy, "tcp:", 4)) || !dash)
		return refuse(word, len, err);
	*dash++ = '\0';
	if (strrchr(dash, ':') > dash)
		return err_set(err, -EINVAL, "hostfwd: '%.*s' names an address of the guest, "
			       "which has just one: leave it out", (int)len, word);
	if (!read_port(*dash == ':' ? dash + 1 : dash, &guest_port) ||
	    !read_host(copy + 4, &address, &port))
		return refuse(word, len, err);
	snprintf(forward->text, sizeof(forward->text), "%s%s%u:%u", address ? address : "",
		 address ? "/" : "", port, guest_port);
	return 0;
}

/* How many, or a negative errno. */
static int read_forwards(struct forward *forwards, const char *words, struct err *err)
{
	int nr = 0;

	for (words += strspn(words, " "); *words; words += strspn(words, " ")) {
		size_t len = strcspn(words, " ");
		int r;

		if (nr == FORWARDS_MAX)
			return err_set(err, -EINVAL, "hostfwd: there may be at most %u",
				       FORWARDS_MAX);
		r = read_forward(&forwards[nr++], words, len, err);
		if (r < 0)
			return r;
		words += len;
	}
	return nr;
}

int passt_check_forwards(const char *words, struct err *err)
{
	struct forward forwards[FORWARDS_MAX];
	int r = read_forwards(forwards, words, err);

	return r < 0 ? r : 0;
}

/* The process. */

struct command {
	struct forward forwards[FORWARDS_MAX];
	char fd[8], mtu[8];
	const char *argv[8 + 2 * FORWARDS_MAX];
};

static int make_command(struct command *command, const struct passt_config *config,
			struct err *err)
{
	int nr = config->forwards ? read_forwards(command->forwards, config->forwards, err) : 0;
	const char **arg = command->argv;

	if (nr < 0)
		return err_at(err, nr, "net '%s'", config->id);
	snprintf(command->fd, sizeof(command->fd), "%u", SOCKET_FD);
	snprintf(command->mtu, sizeof(command->mtu), "%u", config->mtu);
	*arg++ = "passt";
	*arg++ = "--quiet";
	*arg++ = "--fd";
	*arg++ = command->fd;
	if (config->mtu) {
		*arg++ = "--mtu";
		*arg++ = command->mtu;
	}
	for (int i = 0; i < nr; i++) {
		*arg++ = command->forwards[i].udp ? "--udp-ports" : "--tcp-ports";
		*arg++ = command->forwards[i].text;
	}
	*arg = NULL;
	return 0;
}

/* With our end of neither, and no signal blocked or ignored; errors of -1: nobody reads them. */
static int spawn(pid_t *ret_pid, const struct command *command, int sock, int errors)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int r;

	sigemptyset(&none);
	sigfillset(&all);
	r = posix_spawn_file_actions_init(&actions);
	if (r)
		return -r;
	r = posix_spawnattr_init(&attr);
	if (r) {
		posix_spawn_file_actions_destroy(&actions);
		return -r;
	}
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
				 POSIX_SPAWN_SETPGROUP);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	if (errors >= 0)
		r = posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO);
	if (!r)
		r = posix_spawn_file_actions_adddup2(&actions, sock, SOCKET_FD);
	if (!r)
		r = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null",
						     O_RDWR, 0);
	if (!r)
		r = posix_spawn_file_actions_adddup2(&actions, STDIN_FILENO, STDOUT_FILENO);
	if (!r && errors < 0)
		r = posix_spawn_file_actions_adddup2(&actions, STDIN_FILENO, STDERR_FILENO);
	if (!r)
		r = posix_spawn_file_actions_addclosefrom_np(&actions, SOCKET_FD + 1);
	if (!r)
		r = posix_spawnp(ret_pid, command->argv[0], &actions, &attr,
				 (char *const *)(uintptr_t)command->argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	return -r;
}

/* The last line that it wrote is the reason. */
static int tell_failure(const char *id, int errors, struct err *err)
{
	char text[4096], *last;
	ssize_t len = read(errors, text, sizeof(text) - 1);

	if (len < 0)
		len = 0;
	while (len && text[len - 1] == '\n')
		len--;
	text[len] = '\0';
	last = strrchr(text, '\n');
	last = last ? last + 1 : text;
	return err_set(err, -EIO, "net '%s': passt: %.200s", id, *last ? last :
		       "it has failed and does not say why");
}

/* Wait until it has gone to the background, with the ports it is to have. */
static int start(const struct passt_config *config, const struct command *command, int sock,
		 int ours, int theirs, struct err *err)
{
	const char *id = config->id;
	int status, r;
	pid_t pid;

	r = spawn(&pid, command, sock, theirs);
	if (r == -ENOENT)
		return err_set(err, r, "net '%s': there is no program 'passt' in PATH: install "
			       "the package passt", id);
	if (r < 0)
		return err_sys(err, r, "net '%s': cannot start passt", id);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(err, -errno, "net '%s': cannot wait for passt", id);
	return status ? tell_failure(id, ours, err) : 0;
}

static int start_at(const struct passt_config *config, const struct command *command, int sock,
		    struct err *err)
{
	int errors[2], r;

	if (pipe2(errors, O_CLOEXEC | O_NONBLOCK))
		return err_sys(err, -errno, "net '%s'", config->id);
	r = start(config, command, sock, errors[0], errors[1], err);
	close(errors[0]);
	close(errors[1]);
	return r;
}

/* Started anew. */

struct passt {
	struct wire_source source;
	struct command command;
	pid_t pid;			/* goes to the background, or fails; 0: none */
	int process;			/* a descriptor of it (pidfd_open(2)); -1: none */
	struct loop *loop;
	struct loop_watch ended;
};

static void unwatch(struct passt *passt)
{
	if (passt->process < 0)
		return;
	loop_watch_remove(passt->loop, &passt->ended);
	close(passt->process);
	passt->process = -1;
}

/* Its socket is closed, so it has ended or is about to. */
static void reap(struct passt *passt)
{
	if (passt->pid)
		waitpid(passt->pid, NULL, WNOHANG);
	passt->pid = 0;
}

static void ended(struct loop_watch *watch, unsigned events)
{
	struct passt *passt = container_of(watch, struct passt, ended);

	(void)events;
	unwatch(passt);
	reap(passt);
}

/* One that cannot be watched is reaped before the next is started. */
static void watch(struct passt *passt, struct loop *loop)
{
	passt->process = pidfd_open(passt->pid, 0);
	passt->loop = loop;
	passt->ended.ready = ended;
	if (passt->process >= 0 && loop_watch_add(loop, &passt->ended, passt->process, POLLIN))
		unwatch(passt);
}

/* Nobody waits until it has its ports: if it gets none of them, it is gone once more. */
static int start_peer(struct wire_source *source, struct loop *loop)
{
	struct passt *passt = container_of(source, struct passt, source);
	int socks[2], r;

	unwatch(passt);
	reap(passt);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, socks))
		return -errno;
	r = spawn(&passt->pid, &passt->command, socks[1], -1);
	close(socks[1]);
	if (!r) {
		watch(passt, loop);
		return socks[0];
	}
	passt->pid = 0;
	close(socks[0]);
	return r;
}

static void passt_detach(struct wire_source *source)
{
	unwatch(container_of(source, struct passt, source));
}

static void passt_free(struct wire_source *source)
{
	struct passt *passt = container_of(source, struct passt, source);

	reap(passt);
	free(passt);
}

static int open_first(struct netdev **ret_netdev, const struct passt_config *config,
		      struct passt *passt, struct err *err)
{
	struct wire_config wire = {
		.id = config->id,
		.peer = "passt",
		.door = -1,
		.source = &passt->source,
		.sees_off = true,
		.lost = config->lost,
	};
	int socks[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, socks))
		return err_sys(err, -errno, "net '%s'", config->id);
	r = start_at(config, &passt->command, socks[1], err);
	close(socks[1]);
	wire.fd = socks[0];
	if (!r)
		r = wire_new(ret_netdev, &wire, err);
	if (r < 0)
		close(socks[0]);
	return r;
}

int passt_open(struct netdev **ret_netdev, const struct passt_config *config, struct err *err)
{
	struct passt *passt = calloc(1, sizeof(*passt));
	int r;

	if (!passt)
		return err_sys(err, -ENOMEM, "net '%s'", config->id);
	passt->source = (struct wire_source){ start_peer, passt_detach, passt_free };
	passt->process = -1;
	r = make_command(&passt->command, config, err);
	if (!r)
		r = open_first(ret_netdev, config, passt, err);
	if (r < 0)
		free(passt);
	return r;
}
