/* SPDX-License-Identifier: Apache-2.0 */
/*
 * console_fixture.h - a serial port with a hub behind it, on the test's own
 * thread: the test is the guest, and turns the loop.
 */
#ifndef TESTS_UNIT_CONSOLE_FIXTURE_H
#define TESTS_UNIT_CONSOLE_FIXTURE_H

#include "console/hub.h"

#include "base/bits.h"
#include "base/clock.h"
#include "base/err.h"
#include "bus/bus.h"
#include "bus/irq.h"
#include "devices/uart_regs.h"
#include "loop/loop.h"

#include <check.h>
#include <signal.h>
#include <string.h>

#define CONSOLE_PORT	0x3f8
#define CONSOLE_SECONDS	30	/* for a test: byte by byte, and sanitizers are slow */

static struct loop *loop;
static struct hub *hub;
static struct uart *uart;
static struct bus *ports;

static void ignore_line(struct irq *irq, bool level)
{
	(void)irq;
	(void)level;
}

static struct irq quiet = { .set = ignore_line };

static inline struct uart *port_now(void *ctx)
{
	(void)ctx;
	return uart;
}

/* A guest that uses its FIFOs, as all but the oldest do. */
static inline void new_uart(void)
{
	const struct uart_config config = {
		.at = CONSOLE_PORT, .irq = &quiet, .backend = hub_backend(hub),
	};

	uart = uart_new(&config);
	ports = bus_new();
	ck_assert_int_eq(bus_add(ports, uart_region(uart)), 0);
	bus_write(ports, CONSOLE_PORT + UART_FCR, 1, UART_FCR_ENABLE);
}

static inline void free_uart(void)
{
	ports = bus_free(ports);
	uart = uart_free(uart);
}

static inline void console_setup(void)
{
	struct hub_config config = { .port = port_now };

	signal(SIGPIPE, SIG_IGN);
	ck_assert_int_eq(loop_new(&loop, NULL), 0);
	config.loop = loop;
	ck_assert_int_eq(hub_new(&hub, &config, NULL), 0);
	new_uart();
}

static inline void console_teardown(void)
{
	hub = hub_free(hub);
	free_uart();
	loop = loop_free(loop);
}

/* Turn the loop until nothing has been to do for that long. */
struct rest {
	struct loop_timer timer;
	bool over;
};

static inline void rest_over(struct loop_timer *timer)
{
	container_of(timer, struct rest, timer)->over = true;
	loop_quit(loop);
}

static inline void turn_for_ms(unsigned ms)
{
	struct rest rest = { .timer.fired = rest_over };

	loop_timer_set(loop, &rest.timer, clock_ns() + ms * CLOCK_NS_PER_MS);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert(rest.over);
}

/* The guest. */

/* As much as the port takes now; how much that was. */
static inline size_t guest_prints(const char *text, size_t len)
{
	size_t done = 0;

	while (done < len && bus_read(ports, CONSOLE_PORT + UART_LSR, 1) & UART_LSR_THRE)
		bus_write(ports, CONSOLE_PORT + UART_THR, 1, (uint8_t)text[done++]);
	return done;
}

/* What has arrived; as a string. */
static inline const char *guest_reads(void)
{
	static char text[HUB_INPUT_LEN * 4];
	size_t len = 0;

	while (len < sizeof(text) - 1 &&
	       bus_read(ports, CONSOLE_PORT + UART_LSR, 1) & UART_LSR_DR)
		text[len++] = (char)bus_read(ports, CONSOLE_PORT + UART_RBR, 1);
	text[len] = '\0';
	return text;
}

/* Letters that tell where they stand. */
static inline const char *long_text(size_t len)
{
	static char text[256 * 1024];

	ck_assert_uint_lt(len, sizeof(text));
	for (size_t i = 0; i < len; i++)
		text[i] = (char)('a' + i / 7 % 26);
	return text;
}

#endif
