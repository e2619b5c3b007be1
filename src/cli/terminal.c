// SPDX-License-Identifier: Apache-2.0
/*
 * terminal.c - between two byte streams that may each be stopped.
 *
 * Output: send() puts a byte into the ring on a vCPU thread and wakes the loop,
 * which writes what is contiguous, one write under way at a time.  When the
 * ring was full the port is told as soon as there is room.
 *
 * Input: read while the port takes it.  What it does not take stays in a small
 * buffer, and nothing more is read until drained() says that the guest has
 * caught up.
 */
#include "terminal.h"

#include "base/bits.h"
#include "base/clock.h"
#include "base/err.h"
#include "loop/loop.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#define RING_LEN	16384U		/* a power of two */
#define INPUT_LEN	256
#define DRAIN_NS	(2 * CLOCK_NS_PER_S)
#define RETRY_NS	(10 * CLOCK_NS_PER_MS)
#define ESCAPE		0x01		/* Ctrl-A */

struct terminal {
	struct terminal_config config;
	bool raw;
	bool escaped;			/* the last key was Ctrl-A */

	bool input_open;
	struct loop_watch readable;
	struct loop_task go_on;		/* the guest has room for input again */
	uint8_t input[INPUT_LEN];
	size_t input_at, input_len;

	struct loop_task flush;
	struct loop_io io;
	struct iovec writing;		/* len 0 while no write is under way */
	struct loop_timer retry;	/* of an output in non-blocking mode */
	struct loop_timer give_up;

	pthread_mutex_t lock;		/* for the ring; never held over a call */
	uint8_t ring[RING_LEN];
	uint32_t head, tail;		/* free running; written at tail */
	bool refused;			/* the port waits for room */
};

/*
 * The terminal's mode, to be restored even by a signal handler: set once
 * before armed is.
 */
static struct termios saved_mode;
static atomic_bool armed;

/* Attributes off, cursor visible, main screen: whatever the guest has done. */
static const char sane[] = "\033[0m\033[?25h\033[?1049l";

static void restore(void)
{
	ssize_t r;

	if (!atomic_exchange(&armed, false))
		return;
	/* A terminal that was stopped stays stopped: do not wait for it. */
	if (poll(&(struct pollfd){ .fd = STDOUT_FILENO, .events = POLLOUT }, 1, 0) > 0) {
		r = write(STDOUT_FILENO, sane, sizeof(sane) - 1);
		(void)r;
	}
	tcsetattr(STDIN_FILENO, TCSANOW, &saved_mode);
}

static void die_restored(int signal)
{
	restore();
	raise(signal);		/* SA_RESETHAND: now by default */
}

static bool owns_terminal(void)
{
	return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) &&
	       tcgetpgrp(STDIN_FILENO) == getpgrp();
}

static int make_raw(struct terminal *t, struct err *err)
{
	static const int deadly[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGQUIT };
	struct sigaction action = { .sa_handler = die_restored, .sa_flags = SA_RESETHAND };
	struct termios mode;

	if (tcgetattr(STDIN_FILENO, &saved_mode))
		return err_sys(err, -errno, "cannot read the terminal's mode");
	mode = saved_mode;
	cfmakeraw(&mode);
	mode.c_oflag |= OPOST;		/* our own messages end their lines with \n */
	armed = true;
	atexit(restore);
	for (size_t i = 0; i < ARRAY_LEN(deadly); i++)
		sigaction(deadly[i], &action, NULL);
	if (tcsetattr(STDIN_FILENO, TCSADRAIN, &mode)) {
		armed = false;
		return err_sys(err, -errno, "cannot set the terminal's mode");
	}
	t->raw = true;
	return 0;
}

/* Output. */

static bool send(void *ctx, uint8_t byte)
{
	struct terminal *t = ctx;
	bool taken;

	pthread_mutex_lock(&t->lock);
	taken = t->tail - t->head < RING_LEN;
	if (taken)
		t->ring[t->tail++ % RING_LEN] = byte;
	else
		t->refused = true;
	pthread_mutex_unlock(&t->lock);
	if (taken)
		loop_post(t->config.loop, &t->flush);
	return taken;
}

/* Start writing what is contiguous, unless a write is under way or to be retried. */
static void write_some(struct terminal *t)
{
	uint32_t len, at;

	if (t->writing.iov_len || t->retry.set)
		return;
	pthread_mutex_lock(&t->lock);
	at = t->head % RING_LEN;
	len = t->tail - t->head;
	pthread_mutex_unlock(&t->lock);
	if (!len)
		return;
	/* The writer stays off what is not yet freed, so no lock is needed. */
	t->writing.iov_base = t->ring + at;
	t->writing.iov_len = min_u64(len, RING_LEN - at);
	loop_writev(t->config.loop, &t->io, STDOUT_FILENO, &t->writing, 1, -1, 0);
}

/* An output that is gone takes everything: the guest must not stand still. */
static void written(struct loop_io *io, int res)
{
	struct terminal *t = container_of(io, struct terminal, io);
	uint32_t done = res < 0 ? (uint32_t)t->writing.iov_len : (uint32_t)res;
	struct uart *port = t->config.port(t->config.ctx);
	bool refused;

	if (res == -EINTR || res == -EAGAIN)
		done = 0;
	pthread_mutex_lock(&t->lock);
	t->head += done;
	refused = t->refused;
	t->refused = false;
	pthread_mutex_unlock(&t->lock);
	t->writing.iov_len = 0;
	if (refused && port)
		uart_writable(port);
	if (res == -EAGAIN)
		loop_timer_set(t->config.loop, &t->retry, clock_ns() + RETRY_NS);
	else
		write_some(t);
}

static void retry(struct loop_timer *timer)
{
	write_some(container_of(timer, struct terminal, retry));
}

static void flush(struct loop_task *task)
{
	write_some(container_of(task, struct terminal, flush));
}

static void say(struct terminal *t, const char *text)
{
	for (; *text; text++)
		if (!send(t, (uint8_t)*text))
			return;
}

/* Input. */

static void help(struct terminal *t)
{
	say(t, "\r\nCtrl-A x       end the VM\r\n"
	       "Ctrl-A h       this help\r\n"
	       "Ctrl-A Ctrl-A  send one Ctrl-A\r\n");
}

/* The key after Ctrl-A; true when it is for the guest. */
static bool escape(struct terminal *t, uint8_t key)
{
	switch (key) {
	case ESCAPE:
		return true;
	case 'x':
		t->config.quit(t->config.ctx);
		return false;
	case 'h':
		help(t);
		return false;
	default:
		return false;
	}
}

/* Take our keys out of fresh input, in place. */
static size_t filter(struct terminal *t, size_t len)
{
	size_t kept = 0;

	for (size_t i = 0; i < len; i++) {
		uint8_t key = t->input[i];

		if (t->escaped) {
			t->escaped = false;
			if (escape(t, key))
				t->input[kept++] = key;
		} else if (key == ESCAPE) {
			t->escaped = true;
		} else {
			t->input[kept++] = key;
		}
	}
	return kept;
}

/* False when the guest must catch up first. */
static bool pass_on(struct terminal *t)
{
	struct uart *port = t->config.port(t->config.ctx);

	if (port)
		t->input_at += uart_receive(port, t->input + t->input_at,
					    t->input_len - t->input_at);
	else
		t->input_at = t->input_len;
	return t->input_at == t->input_len;
}

static bool is_readable(void)
{
	struct pollfd fd = { .fd = STDIN_FILENO, .events = POLLIN };

	return poll(&fd, 1, 0) > 0;
}

static void pump(struct terminal *t)
{
	while (pass_on(t) && t->input_open && is_readable()) {
		ssize_t len = read(STDIN_FILENO, t->input, sizeof(t->input));

		if (len < 0 && (errno == EINTR || errno == EAGAIN))
			continue;	/* another process may read it, too */
		if (len <= 0) {
			/* The end of input is not the end of the VM. */
			t->input_open = false;
			loop_watch_remove(t->config.loop, &t->readable);
			return;
		}
		t->input_at = 0;
		t->input_len = t->raw ? filter(t, (size_t)len) : (size_t)len;
	}
}

static void input_ready(struct loop_watch *watch, unsigned events)
{
	(void)events;
	pump(container_of(watch, struct terminal, readable));
}

static void go_on(struct loop_task *task)
{
	pump(container_of(task, struct terminal, go_on));
}

static void drained(void *ctx)
{
	struct terminal *t = ctx;

	loop_post(t->config.loop, &t->go_on);
}

struct uart_backend terminal_backend(struct terminal *t)
{
	return (struct uart_backend){ .send = send, .drained = drained, .ctx = t };
}

/* Life. */

int terminal_new(struct terminal **ret_terminal, const struct terminal_config *config,
		 struct err *err)
{
	struct terminal *t = calloc(1, sizeof(*t));

	if (!t)
		return err_sys(err, -ENOMEM, "cannot make the console");
	t->config = *config;
	t->flush.run = flush;
	t->go_on.run = go_on;
	t->io.done = written;
	t->retry.fired = retry;
	t->readable.ready = input_ready;
	pthread_mutex_init(&t->lock, NULL);
	*ret_terminal = t;
	return 0;
}

/* A file always has its input ready: there is nothing to wait for. */
static bool is_file(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && S_ISREG(st.st_mode);
}

int terminal_start(struct terminal *t, struct err *err)
{
	bool terminal = owns_terminal();
	int r = 0;

	/* In the background of a terminal, reading would stop the process. */
	if (isatty(STDIN_FILENO) && !terminal)
		return 0;
	if (terminal)
		r = make_raw(t, err);
	if (r < 0)
		return r;
	t->input_open = true;
	if (is_file(STDIN_FILENO)) {
		loop_defer(t->config.loop, &t->go_on);
		return 0;
	}
	r = loop_watch_add(t->config.loop, &t->readable, STDIN_FILENO, POLLIN);
	return r < 0 ? err_sys(err, r, "cannot read the console's input") : 0;
}

static void stop_waiting(struct loop_timer *timer)
{
	(void)timer;
}

static bool is_drained(void *ctx)
{
	struct terminal *t = ctx;

	return (t->head == t->tail && !t->writing.iov_len) || !t->give_up.set;
}

void terminal_drain(struct terminal *t)
{
	t->give_up.fired = stop_waiting;
	loop_timer_set(t->config.loop, &t->give_up, clock_ns() + DRAIN_NS);
	write_some(t);
	loop_wait(t->config.loop, is_drained, t);
	loop_timer_clear(t->config.loop, &t->give_up);
}

struct terminal *terminal_free(struct terminal *t)
{
	if (!t)
		return NULL;
	loop_watch_remove(t->config.loop, &t->readable);
	loop_timer_clear(t->config.loop, &t->retry);
	loop_cancel(t->config.loop, &t->flush);
	loop_cancel(t->config.loop, &t->go_on);
	restore();
	pthread_mutex_destroy(&t->lock);
	free(t);
	return NULL;
}
