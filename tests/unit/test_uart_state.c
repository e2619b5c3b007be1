// SPDX-License-Identifier: Apache-2.0
/* test_uart_state.c - a serial port is saved, and another one goes on. */
#include "devices/uart.h"

#include "bus/bus.h"
#include "bus/irq.h"
#include "devices/uart_regs.h"
#include "state_round.h"

#include <check.h>
#include <stdlib.h>

#define PORT	0x3f8

static struct bus *ports;
static struct uart *uart;
static uint8_t sent[16];
static size_t nr_sent, room;
static bool line;

static bool take(void *ctx, uint8_t byte)
{
	(void)ctx;
	if (nr_sent == room)
		return false;
	sent[nr_sent++] = byte;
	return true;
}

static void watch_line(struct irq *irq, bool level)
{
	(void)irq;
	line = level;
}

static struct irq irq = { .set = watch_line };

static void setup(void)
{
	const struct uart_config config = {
		.at = PORT,
		.irq = &irq,
		.backend = { .send = take },
	};

	nr_sent = 0;
	room = sizeof(sent);
	line = false;
	ports = bus_new();
	uart = uart_new(&config);
	ck_assert_int_eq(bus_add(ports, uart_region(uart)), 0);
}

static void teardown(void)
{
	bus_remove(ports, uart_region(uart));
	uart = uart_free(uart);
	ports = bus_free(ports);
}

static uint64_t get(unsigned reg)
{
	return bus_read(ports, PORT + reg, 1);
}

static void put(unsigned reg, uint8_t value)
{
	bus_write(ports, PORT + reg, 1, value);
}

static void replace(void)
{
	teardown();
	setup();
}

START_TEST(bytes_on_their_way_are_not_lost)
{
	static const uint8_t input[] = "in";

	put(UART_FCR, UART_FCR_ENABLE);
	room = 0;
	put(UART_THR, 'o');
	put(UART_THR, 'u');
	ck_assert_uint_eq(uart_receive(uart, input, 2), 2);
	state_round_save(uart_save, uart);

	replace();
	ck_assert_int_eq(state_round_load(uart_load, uart), 0);

	ck_assert_uint_eq(nr_sent, 2);
	ck_assert_mem_eq(sent, "ou", 2);
	ck_assert_uint_eq(get(UART_RBR), 'i');
	ck_assert_uint_eq(get(UART_RBR), 'n');
	state_round_forget();
}
END_TEST

START_TEST(pending_interrupt_is_raised_again)
{
	static const uint8_t input[] = "x";

	put(UART_MCR, UART_MCR_OUT2);
	put(UART_IER, UART_IER_ERBFI);
	put(UART_SCR, 0x5a);
	ck_assert_uint_eq(uart_receive(uart, input, 1), 1);
	ck_assert(line);
	state_round_save(uart_save, uart);

	replace();
	ck_assert(!line);
	ck_assert_int_eq(state_round_load(uart_load, uart), 0);

	ck_assert(line);
	ck_assert_uint_eq(get(UART_SCR), 0x5a);
	ck_assert_uint_eq(get(UART_RBR), 'x');
	ck_assert(!line);
	state_round_forget();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("uart_state");
	TCase *tc = tcase_create("uart");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, bytes_on_their_way_are_not_lost);
	tcase_add_test(tc, pending_interrupt_is_raised_again);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
