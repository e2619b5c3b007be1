// SPDX-License-Identifier: Apache-2.0
#include "serial.h"

#include "base/err.h"
#include "base/made_file.h"
#include "console/hub.h"
#include "console/pty.h"
#include "console/stream.h"
#include "console/viewers.h"
#include "keys.h"
#include "terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct serial {
	struct serial_config config;
	struct hub *hub;
	struct stream *stream;		/* stdio or file, else NULL */
	int file;
	bool made_file;			/* it was not there before */
	struct pty *pty;
	struct viewers *viewers;	/* of unix:PATH */
	struct viewers *runtime;	/* of 'vmm console' */
	struct keys keys;
	bool raw;
	char *name;
};

/* Keys. */

static void pressed(void *ctx, uint8_t key)
{
	struct serial *serial = ctx;

	if (key == 'x')
		serial->config.quit(serial->config.ctx);
	else if (key == 'h')
		terminal_say("\r\nCtrl-A x       end the VM\r\n"
			     "Ctrl-A h       this help\r\n"
			     "Ctrl-A Ctrl-A  send one Ctrl-A\r\n");
}

static size_t filter(void *ctx, uint8_t *bytes, size_t len)
{
	struct serial *serial = ctx;

	return serial->raw ? keys_filter(&serial->keys, bytes, len) : len;
}

/* Kinds. */

static int open_stream(struct serial *serial, int fd, const char *name, struct err *err)
{
	const struct stream_config config = {
		.loop = serial->config.loop,
		.hub = serial->hub,
		.out_fd = fd,
		.name = name,
		.filter = filter,
		.ctx = serial,
	};

	return stream_new(&serial->stream, &config, err);
}

/* Non-blocking for a FIFO, whose reader may never come. */
static int open_file(struct serial *serial, struct err *err)
{
	const char *path = serial->config.to.path;

	serial->file = made_file_open(path, O_WRONLY | O_APPEND | O_NOCTTY | O_NONBLOCK, 0666,
				      &serial->made_file);
	if (serial->file < 0)
		return err_sys(err, serial->file, "cannot open serial file '%s'", path);
	return open_stream(serial, serial->file, path, err);
}

static int listen_at(struct serial *serial, struct viewers **ret_viewers, const char *path,
		     struct err *err)
{
	const struct viewers_config config = {
		.loop = serial->config.loop, .hub = serial->hub, .path = path,
	};

	return viewers_new(ret_viewers, &config, err);
}

/* Without its name a pseudo-terminal is of no use, so whatever the log's level. */
static int open_pty(struct serial *serial, struct err *err)
{
	int r = pty_new(&serial->pty, serial->config.loop, serial->hub, err);

	if (!r)
		fprintf(stderr, "vmm: the serial console is %s\n", pty_path(serial->pty));
	return r;
}

static int set_name(struct serial *serial, const char *kind, const char *path,
		    struct err *err)
{
	if (asprintf(&serial->name, "%s%s%s", kind, path ? ":" : "", path ? path : "") < 0) {
		serial->name = NULL;
		return err_sys(err, -ENOMEM, "cannot make the console");
	}
	return 0;
}

static int open_kind(struct serial *serial, struct err *err)
{
	const char *path = serial->config.to.path;
	int r;

	switch (serial->config.to.kind) {
	case VM_SERIAL_STDIO:
		r = open_stream(serial, STDOUT_FILENO, NULL, err);
		return r < 0 ? r : set_name(serial, "stdio", NULL, err);
	case VM_SERIAL_PTY:
		r = open_pty(serial, err);
		return r < 0 ? r : set_name(serial, "pty", pty_path(serial->pty), err);
	case VM_SERIAL_UNIX:
		r = listen_at(serial, &serial->viewers, path, err);
		return r < 0 ? r : set_name(serial, "unix", path, err);
	case VM_SERIAL_FILE:
		r = open_file(serial, err);
		return r < 0 ? r : set_name(serial, "file", path, err);
	case VM_SERIAL_NULL:
		break;
	}
	return set_name(serial, "null", NULL, err);
}

/* From outside. */

int serial_new(struct serial **ret_serial, const struct serial_config *config,
	       struct err *err)
{
	const struct hub_config hub = {
		.loop = config->loop, .port = config->port, .ctx = config->ctx,
	};
	struct serial *serial = calloc(1, sizeof(*serial));
	int r;

	if (!serial)
		return err_sys(err, -ENOMEM, "cannot make the console");
	serial->config = *config;
	serial->file = -1;
	serial->keys = (struct keys){ .pressed = pressed, .ctx = serial };
	r = hub_new(&serial->hub, &hub, err);
	if (!r)
		r = open_kind(serial, err);
	if (r < 0) {
		serial_undo(serial);
		serial_free(serial);
		return r;
	}
	*ret_serial = serial;
	return 0;
}

void serial_undo(const struct serial *serial)
{
	if (serial->made_file)
		unlink(serial->config.to.path);
}

struct serial *serial_free(struct serial *serial)
{
	if (!serial)
		return NULL;
	viewers_free(serial->runtime);
	viewers_free(serial->viewers);
	pty_free(serial->pty);
	stream_free(serial->stream);
	hub_free(serial->hub);
	if (serial->file >= 0)
		close(serial->file);
	if (serial->raw)
		terminal_restore();
	free(serial->name);
	free(serial);
	return NULL;
}

struct uart_backend serial_backend(struct serial *serial)
{
	return hub_backend(serial->hub);
}

int serial_listen(struct serial *serial, const char *path, struct err *err)
{
	return listen_at(serial, &serial->runtime, path, err);
}

int serial_start(struct serial *serial, struct err *err)
{
	int r;

	if (serial->config.to.kind != VM_SERIAL_STDIO || terminal_forbids_input())
		return 0;
	if (terminal_is_ours()) {
		r = terminal_make_raw(err);
		if (r < 0)
			return r;
		serial->raw = true;
	}
	return stream_read(serial->stream, STDIN_FILENO, err);
}

void serial_port_changed(struct serial *serial)
{
	hub_port_changed(serial->hub);
}

void serial_drain(struct serial *serial)
{
	hub_drain(serial->hub);
}

const char *serial_name(const struct serial *serial)
{
	return serial->name;
}
