// SPDX-License-Identifier: Apache-2.0
/*
 * stream.c - one write under way at a time, on descriptors that may block.
 *
 * Input is read as long as there is room for it, even if the guest takes none:
 * keys that are not for the guest must be heard when it hangs.
 */
#include "console/stream.h"

#include "base/bits.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "console/hub.h"
#include "loop/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OUTPUT_LEN	4096
#define RETRY_NS	(10 * CLOCK_NS_PER_MS)

struct stream {
	struct stream_config config;

	struct hub_reader reader;
	struct loop_io io;
	struct iovec writing;		/* what is left of output; len 0 when idle */
	uint8_t output[OUTPUT_LEN];
	struct loop_timer retry;	/* of an output in non-blocking mode */
	bool failed;
	int pipe;			/* the output, not to be waited for; -1: it is none */

	int in_fd;
	bool input_open;
	struct loop_watch readable;
	struct loop_task first;		/* a file has its input ready */
	struct hub_source source;
};

/* Output. */

static void submit(struct stream *stream)
{
	loop_writev(stream->config.loop, &stream->io, stream->config.out_fd,
		    &stream->writing, 1, -1, 0);
}

/*
 * Into a pipe with room so much goes at once, whole or not at all.  io_uring would hand it to
 * a thread, which kernels before 6.4 have for that, and the reader would wait for the thread's
 * turn.
 */
static bool wrote(struct stream *stream)
{
	const struct iovec *writing = &stream->writing;

	return stream->pipe >= 0 && writing->iov_len < PIPE_BUF &&
	       write(stream->pipe, writing->iov_base, writing->iov_len) ==
	       (ssize_t)writing->iov_len;
}

static void write_some(struct stream *stream)
{
	uint64_t skipped;

	if (stream->writing.iov_len)
		return;
	stream->writing.iov_base = stream->output;
	stream->writing.iov_len = hub_read(stream->config.hub, &stream->reader, stream->output,
					   sizeof(stream->output), &skipped);
	if (wrote(stream))
		stream->writing.iov_len = 0;
	if (stream->writing.iov_len)
		submit(stream);
}

static void fail(struct stream *stream, int code)
{
	if (stream->config.name && !stream->failed)
		log_warn("console: cannot write to '%s': %s: output is lost",
			 stream->config.name, strerror(-code));
	stream->failed = true;
}

/* An output that is gone takes everything: the guest must not stand still. */
static void written(struct loop_io *io, int res)
{
	struct stream *stream = container_of(io, struct stream, io);

	if (res == -EAGAIN) {
		loop_timer_set(stream->config.loop, &stream->retry, clock_ns() + RETRY_NS);
		return;
	}
	if (res < 0 && res != -EINTR) {
		fail(stream, res);
		res = (int)stream->writing.iov_len;
	}
	if (res > 0) {
		stream->writing.iov_base = (uint8_t *)stream->writing.iov_base + res;
		stream->writing.iov_len -= (size_t)res;
	}
	if (stream->writing.iov_len)
		submit(stream);
	else
		write_some(stream);
}

static void retry(struct loop_timer *timer)
{
	submit(container_of(timer, struct stream, retry));
}

static void more(struct hub_reader *reader)
{
	write_some(container_of(reader, struct stream, reader));
}

static bool idle(const struct hub_reader *reader)
{
	return !container_of(reader, struct stream, reader)->writing.iov_len;
}

/* Input. */

static bool is_readable(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	return poll(&poll_fd, 1, 0) > 0;
}

static void end_input(struct stream *stream)
{
	stream->input_open = false;
	loop_watch_remove(stream->config.loop, &stream->readable);
}

/* False when there is nothing more, for now or ever. */
static bool read_some(struct stream *stream)
{
	size_t room;
	uint8_t *at = hub_source_room(&stream->source, &room);
	ssize_t len;

	if (!stream->input_open || !room || !is_readable(stream->in_fd))
		return false;
	len = read(stream->in_fd, at, room);
	if (len < 0 && (errno == EINTR || errno == EAGAIN))
		return true;	/* another process may read it, too */
	if (len <= 0) {
		end_input(stream);
		return false;
	}
	if (stream->config.filter)
		len = (ssize_t)stream->config.filter(stream->config.ctx, at, (size_t)len);
	stream->source.len += (size_t)len;
	return true;
}

static void pump(struct stream *stream)
{
	do
		hub_pass_on(stream->config.hub, &stream->source);
	while (read_some(stream));
}

static void input_ready(struct loop_watch *watch, unsigned events)
{
	(void)events;
	pump(container_of(watch, struct stream, readable));
}

static void go_on(struct hub_source *source)
{
	pump(container_of(source, struct stream, source));
}

static void begin(struct loop_task *task)
{
	pump(container_of(task, struct stream, first));
}

static bool is_a(int fd, mode_t type)
{
	struct stat st;

	return !fstat(fd, &st) && (st.st_mode & S_IFMT) == type;
}

int stream_read(struct stream *stream, int fd, struct err *err)
{
	int r = 0;

	stream->in_fd = fd;
	stream->input_open = true;
	/* A file always has its input ready: there is nothing to wait for. */
	if (is_a(fd, S_IFREG))
		loop_defer(stream->config.loop, &stream->first);
	else
		r = loop_watch_add(stream->config.loop, &stream->readable, fd, POLLIN);
	return r < 0 ? err_sys(err, r, "cannot read the console's input") : 0;
}

/* Life. */

/*
 * Opened anew, for whether it is waited for is up to all who have it open; nor would it do to
 * ask first, since others may write to it, too.
 */
static int open_pipe(int fd)
{
	char path[32];

	if (!is_a(fd, S_IFIFO))
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
}

int stream_new(struct stream **ret_stream, const struct stream_config *config,
	       struct err *err)
{
	struct stream *stream = calloc(1, sizeof(*stream));

	if (!stream)
		return err_sys(err, -ENOMEM, "cannot make the console");
	stream->config = *config;
	stream->pipe = open_pipe(config->out_fd);
	stream->io.done = written;
	stream->retry.fired = retry;
	stream->readable.ready = input_ready;
	stream->first.run = begin;
	stream->source.go_on = go_on;
	stream->reader.more = more;
	stream->reader.idle = idle;
	stream->reader.holds = true;
	hub_add_reader(config->hub, &stream->reader);
	*ret_stream = stream;
	return 0;
}

struct stream *stream_free(struct stream *stream)
{
	if (!stream)
		return NULL;
	loop_watch_remove(stream->config.loop, &stream->readable);
	loop_timer_clear(stream->config.loop, &stream->retry);
	loop_cancel(stream->config.loop, &stream->first);
	hub_remove_source(stream->config.hub, &stream->source);
	hub_remove_reader(stream->config.hub, &stream->reader);
	if (stream->pipe >= 0)
		close(stream->pipe);
	free(stream);
	return NULL;
}
