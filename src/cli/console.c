// SPDX-License-Identifier: Apache-2.0
/*
 * console.c - vmm console: the serial console of a running VM, seen from here.
 *
 * Keys are read even while the VM takes none, so that Ctrl-A d is always heard.
 * How the VM ends the console does not say, QMP does.
 */
#include "arguments.h"
#include "base/bits.h"
#include "base/err.h"
#include "cli/command.h"
#include "client.h"
#include "config/option.h"
#include "keys.h"
#include "runtime.h"
#include "terminal.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define INPUT_LEN	4096
#define EVENT_MS	1000		/* from the end of the console to the event of it */

struct options {
	struct option_given given;
	bool help;
};

static const struct option rows[] = {
	{ .key = "help", .letter = 'h', OPTION(struct options, help),
	  .help = "print this and exit" },
};

const struct option_object command_console_options = {
	.name = "console", OPTION_OBJECT(struct options, rows),
};

struct console {
	const char *name;
	int fd;
	bool raw;
	bool detached;
	bool input_open;
	struct keys keys;
	uint8_t input[INPUT_LEN];	/* that the VM has not taken yet */
	size_t input_len;
};

/* Keys. */

static void help(const struct console *console)
{
	char text[512];

	snprintf(text, sizeof(text),
		 "\r\nCtrl-A d       detach; the VM goes on\r\n"
		 "Ctrl-A h       this help\r\n"
		 "Ctrl-A Ctrl-A  send one Ctrl-A\r\n"
		 "To end the VM: vmm stop %s, or vmm kill %s\r\n", console->name,
		 console->name);
	terminal_say(text);
}

/* Whoever looks on does not end the VM by a slip: Ctrl-A x only tells what would. */
static void pressed(void *ctx, uint8_t key)
{
	struct console *console = ctx;

	if (key == 'd')
		console->detached = true;
	else if (key == 'h' || key == 'x')
		help(console);
}

/* Bytes. */

static void read_input(struct console *console)
{
	uint8_t *at = console->input + console->input_len;
	ssize_t len;

	assert(console->input_len < sizeof(console->input));
	len = read(STDIN_FILENO, at, sizeof(console->input) - console->input_len);
	if (len < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (len <= 0) {
		console->input_open = false;
		return;
	}
	if (console->raw)
		len = (ssize_t)keys_filter(&console->keys, at, (size_t)len);
	console->input_len += (size_t)len;
}

/* A VM that has ended is noticed where its output is read. */
static void send_input(struct console *console)
{
	ssize_t len = send(console->fd, console->input, console->input_len,
			   MSG_DONTWAIT | MSG_NOSIGNAL);

	if (len < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (len < 0)
		len = (ssize_t)console->input_len;
	console->input_len -= (size_t)len;
	memmove(console->input, console->input + len, console->input_len);
}

static int print(const uint8_t *bytes, size_t len, struct err *err)
{
	while (len) {
		ssize_t done = write(STDOUT_FILENO, bytes, len);

		if (done < 0 && errno == EAGAIN)
			poll(&(struct pollfd){ .fd = STDOUT_FILENO, .events = POLLOUT }, 1, -1);
		else if (done < 0 && errno != EINTR)
			return err_sys(err, -errno, "cannot write what the console shows");
		if (done > 0) {
			bytes += done;
			len -= (size_t)done;
		}
	}
	return 0;
}

/* 1, 0 at the end, or a negative errno. */
static int pass_output(const struct console *console, struct err *err)
{
	uint8_t bytes[16384];
	ssize_t len = recv(console->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

	if (len < 0 && (errno == EINTR || errno == EAGAIN))
		return 1;
	/* One that was killed may have left our keys unread. */
	if (len < 0 && errno != ECONNRESET)
		return err_sys(err, -errno, "cannot read the console of VM '%s'",
			       console->name);
	if (len <= 0)
		return 0;
	len = print(bytes, (size_t)len, err);
	return len < 0 ? (int)len : 1;
}

/* Until the VM ends (0) or we detach (1). */
static int stay(struct console *console, struct err *err)
{
	int r = 1;

	while (r > 0 && !console->detached) {
		bool reads = console->input_open && console->input_len < INPUT_LEN;
		struct pollfd fds[] = {
			{ .fd = console->fd, .events = POLLIN },
			{ .fd = reads ? STDIN_FILENO : -1, .events = POLLIN },
		};

		if (console->input_len)
			fds[0].events |= POLLOUT;
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return err_sys(err, -errno, "cannot wait for the console");
		if (fds[1].revents)
			read_input(console);
		if (console->input_len)
			send_input(console);
		if (fds[0].revents & (POLLIN | POLLHUP | POLLERR))
			r = pass_output(console, err);
	}
	return r;
}

/* Life. */

static int attach(const char *name, struct err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct runtime_path path;
	struct runtime_vm vm;
	int r = runtime_find(&vm, name, err);
	int fd;

	if (!r)
		r = runtime_path(&path, name, RUNTIME_CONSOLE, err);
	if (r < 0)
		return r;
	memcpy(address.sun_path, path.text, sizeof(path.text));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address))) {
		r = err_sys(err, -errno, "cannot attach to the console of VM '%s'", name);
		if (fd >= 0)
			close(fd);
		return r;
	}
	return fd;
}

static int take_terminal(struct console *console, struct err *err)
{
	console->input_open = !terminal_forbids_input();
	if (!terminal_is_ours())
		return 0;
	console->raw = true;
	fprintf(stderr, "vmm: console of VM '%s'; Ctrl-A d detaches, Ctrl-A h helps\n",
		console->name);
	return terminal_make_raw(err);
}

/* That of the VM, by what it says of its end. */
static int status_for(const char *reason)
{
	static const struct {
		const char *reason;
		int status;
	} reasons[] = {
		{ "guest-shutdown", EXIT_OK }, { "guest-reset", EXIT_OK },
		{ "guest-panic", EXIT_DIED }, { "host-error", EXIT_DIED },
	};

	for (size_t i = 0; reason && i < ARRAY_LEN(reasons); i++)
		if (!strcmp(reason, reasons[i].reason))
			return reasons[i].status;
	return EXIT_FORCED;
}

/* By the last event of that kind; one that was killed had no time for it. */
static int status_at_end(struct client *client)
{
	int status = EXIT_FORCED;
	json_t *event;

	while (client_event(client, &event, EVENT_MS, NULL) > 0) {
		const json_t *data = json_object_get(event, "data");
		const char *name = json_string_value(json_object_get(event, "event"));

		if (name && !strcmp(name, "SHUTDOWN"))
			status = status_for(json_string_value(json_object_get(data, "reason")));
		json_decref(event);
	}
	return status;
}

static int show(struct console *console, struct client *client, struct err *err)
{
	int r = take_terminal(console, err);

	if (!r)
		r = stay(console, err);
	terminal_restore();
	if (r < 0)
		return command_fail("%s", err->text);
	if (console->raw)
		fprintf(stderr, r ? "\nvmm: detached from VM '%s', which goes on\n" :
				    "\nvmm: VM '%s' has ended\n", console->name);
	return r ? EXIT_OK : status_at_end(client);
}

int command_console(const struct command *command, int argc, char **argv)
{
	struct console console = { .keys = { .pressed = pressed, .ctx = &console } };
	struct err err = { 0 };
	struct options options;
	struct arguments args;
	struct client *client;
	int status;

	if (!arguments_read(&args, command, &options, argc, argv))
		return args.status;
	console.name = args.words[0];
	if (client_open(&client, console.name, CLIENT_TIMEOUT_MS, &err) < 0)
		return command_fail("%s", err.text);
	console.fd = attach(console.name, &err);
	if (console.fd < 0) {
		status = command_fail("%s", err.text);
	} else {
		status = show(&console, client, &err);
		close(console.fd);
	}
	client_close(client);
	return status;
}
