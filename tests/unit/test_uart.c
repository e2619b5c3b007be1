// SPDX-License-Identifier: Apache-2.0
#include "devices/uart.h"

#include "bus/bus.h"
#include "bus/irq.h"
#include "devices/uart_regs.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define PORT		0x3f8
#define FIFO		16
#define FIFO_ON		(UART_FCR_ENABLE | 2 << UART_FCR_TRIGGER_SHIFT)	/* at 8 */
#define FIFO_TRIGGER	8

static struct bus *ports;
static struct uart *uart;

/* The host's side: takes room bytes, then refuses. */
static uint8_t sent[256];
static size_t nr_sent, room;
static int nr_drained;

/* The interrupt controller's. */
static bool line;
static int edges;

static bool take(void *ctx, uint8_t byte)
{
	(void)ctx;
	if (nr_sent == room)
		return false;
	sent[nr_sent++] = byte;
	return true;
}

static void count_drained(void *ctx)
{
	(void)ctx;
	nr_drained++;
}

static void watch_line(struct irq *irq, bool level)
{
	(void)irq;
	ck_assert(level != line);
	edges += level;
	line = level;
}

static struct irq irq = { .set = watch_line };

static void setup(void)
{
	const struct uart_config config = {
		.at = PORT,
		.irq = &irq,
		.backend = { .send = take, .drained = count_drained },
	};

	nr_sent = 0;
	room = sizeof(sent);
	nr_drained = 0;
	line = false;
	edges = 0;
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

static void put(unsigned reg, unsigned value)
{
	bus_write(ports, PORT + reg, 1, value);
}

/* FIFOs on, these interrupts enabled and let out. */
static void open_port(unsigned ier)
{
	put(UART_FCR, FIFO_ON);
	put(UART_MCR, UART_MCR_OUT2);
	put(UART_IER, ier);
}

static void put_bytes(const char *bytes)
{
	for (; *bytes; bytes++)
		put(UART_THR, (uint8_t)*bytes);
}

static size_t type_bytes(const char *bytes)
{
	return uart_receive(uart, (const uint8_t *)bytes, strlen(bytes));
}

static void assert_sent(const char *bytes)
{
	ck_assert_uint_eq(nr_sent, strlen(bytes));
	ck_assert_mem_eq(sent, bytes, nr_sent);
}

static void assert_received(const char *bytes)
{
	for (; *bytes; bytes++)
		ck_assert_uint_eq(get(UART_RBR), (uint8_t)*bytes);
	ck_assert_uint_eq(get(UART_LSR) & UART_LSR_DR, 0);
}

START_TEST(fresh_port_is_idle)
{
	ck_assert_uint_eq(get(UART_IER), 0);
	ck_assert_uint_eq(get(UART_IIR), UART_IIR_NONE);
	ck_assert_uint_eq(get(UART_LSR), UART_LSR_THRE | UART_LSR_TEMT);
	ck_assert_uint_eq(get(UART_MSR), UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS);
	ck_assert_uint_eq(get(UART_RBR), 0);
	ck_assert_int_eq(edges, 0);
}
END_TEST

START_TEST(divisor_is_behind_dlab_and_never_zero_at_start)
{
	put(UART_LCR, UART_LCR_DLAB | 0x03);
	ck_assert_uint_eq(get(UART_DLL), 1);
	put(UART_DLL, 0x0c);
	put(UART_DLM, 0x34);
	ck_assert_uint_eq(get(UART_DLL), 0x0c);
	ck_assert_uint_eq(get(UART_DLM), 0x34);
	ck_assert_uint_eq(get(UART_LCR), UART_LCR_DLAB | 0x03);

	put(UART_LCR, 0x03);

	ck_assert_uint_eq(get(UART_IER), 0);
	ck_assert_uint_eq(nr_sent, 0);
}
END_TEST

START_TEST(scratch_keeps_its_byte)
{
	put(UART_SCR, 0xa5);

	ck_assert_uint_eq(get(UART_SCR), 0xa5);
}
END_TEST

START_TEST(status_registers_are_read_only)
{
	put(UART_LSR, 0xff);
	put(UART_MSR, 0x00);

	ck_assert_uint_eq(get(UART_LSR), UART_LSR_THRE | UART_LSR_TEMT);
	ck_assert_uint_eq(get(UART_MSR), UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS);
}
END_TEST

/* What Linux (8250_port.c, autoconfig) asks a chip to tell it from others. */
START_TEST(linux_sees_a_16550a)
{
	put(UART_IER, 0xff);
	ck_assert_uint_eq(get(UART_IER), 0x0f);
	put(UART_IER, 0);
	put(UART_FCR, UART_FCR_ENABLE);
	ck_assert_uint_eq(get(UART_IIR) >> 6, 3);

	/* Neither a 16650 or later (EFR is zero), nor a 16750 (64 bytes). */
	put(UART_LCR, UART_LCR_DLAB);
	ck_assert_uint_ne(get(UART_FCR), 0);
	put(UART_FCR, UART_FCR_ENABLE | 0x20);
	ck_assert_uint_eq(get(UART_IIR) >> 5, 6);
	put(UART_LCR, 0xbf);
	ck_assert_uint_ne(get(UART_FCR), 0);
}
END_TEST

START_TEST(loopback_shows_outputs_as_inputs)
{
	put(UART_MCR, UART_MCR_LOOP | UART_MCR_OUT2 | UART_MCR_RTS);
	ck_assert_uint_eq(get(UART_MSR) & 0xf0, UART_MSR_DCD | UART_MSR_CTS);

	put(UART_MCR, UART_MCR_LOOP | UART_MCR_OUT1 | UART_MCR_DTR);
	ck_assert_uint_eq(get(UART_MSR) & 0xf0, UART_MSR_RI | UART_MSR_DSR);

	put(UART_MCR, 0xff);
	ck_assert_uint_eq(get(UART_MCR), UART_MCR_MASK);
}
END_TEST

START_TEST(modem_changes_are_told_once)
{
	put(UART_MCR, UART_MCR_LOOP | UART_MCR_RTS);

	ck_assert_uint_eq(get(UART_MSR), UART_MSR_CTS | UART_MSR_DDSR | UART_MSR_DDCD);
	ck_assert_uint_eq(get(UART_MSR), UART_MSR_CTS);
}
END_TEST

START_TEST(ring_is_told_when_it_ends)
{
	put(UART_MCR, UART_MCR_LOOP);
	get(UART_MSR);

	put(UART_MCR, UART_MCR_LOOP | UART_MCR_OUT1);
	ck_assert_uint_eq(get(UART_MSR), UART_MSR_RI);
	put(UART_MCR, UART_MCR_LOOP);
	ck_assert_uint_eq(get(UART_MSR), UART_MSR_TERI);
}
END_TEST

START_TEST(byte_written_is_sent)
{
	put_bytes("hello");

	assert_sent("hello");
	ck_assert_uint_eq(get(UART_LSR), UART_LSR_THRE | UART_LSR_TEMT);
}
END_TEST

START_TEST(refused_byte_clears_thre_until_there_is_room)
{
	room = 0;
	put_bytes("x");
	ck_assert_uint_eq(get(UART_LSR), 0);

	room = 1;
	uart_writable(uart);

	assert_sent("x");
	ck_assert_uint_eq(get(UART_LSR), UART_LSR_THRE | UART_LSR_TEMT);
}
END_TEST

START_TEST(burst_into_a_full_back_end_is_kept_in_order)
{
	open_port(0);
	room = 3;
	put_bytes("0123456789abcdef");
	assert_sent("012");

	room = 5;
	uart_writable(uart);
	assert_sent("01234");
	ck_assert_uint_eq(get(UART_LSR), 0);
	room = sizeof(sent);
	uart_writable(uart);

	assert_sent("0123456789abcdef");
	ck_assert_uint_eq(get(UART_LSR), UART_LSR_THRE | UART_LSR_TEMT);
}
END_TEST

START_TEST(byte_written_while_others_wait_does_not_overtake)
{
	room = 0;
	put_bytes("a");
	room = sizeof(sent);
	put_bytes("b");
	ck_assert_uint_eq(nr_sent, 0);

	uart_writable(uart);

	assert_sent("ab");
}
END_TEST

START_TEST(guest_that_ignores_thre_loses_what_exceeds_the_fifo)
{
	room = 0;
	put_bytes("0123456789abcdefXYZ");

	room = sizeof(sent);
	uart_writable(uart);

	assert_sent("0123456789abcdef");
}
END_TEST

START_TEST(writable_with_nothing_to_send_changes_nothing)
{
	open_port(UART_IER_ETBEI);
	get(UART_IIR);

	uart_writable(uart);

	ck_assert_uint_eq(nr_sent, 0);
	ck_assert(!line);
}
END_TEST

START_TEST(clearing_the_transmit_fifo_drops_it_and_sets_thre)
{
	open_port(UART_IER_ETBEI);
	room = 0;
	put_bytes("ab");
	ck_assert(!line);

	put(UART_FCR, FIFO_ON | UART_FCR_CLEAR_TX);

	ck_assert(line);
	ck_assert_uint_eq(get(UART_LSR), UART_LSR_THRE | UART_LSR_TEMT);
	room = sizeof(sent);
	uart_writable(uart);
	ck_assert_uint_eq(nr_sent, 0);
}
END_TEST

/* Linux: serial8250_do_startup, the tests for UART_BUG_THRE and UART_BUG_TXEN. */
START_TEST(enabling_thre_interrupts_each_time)
{
	open_port(0);

	put(UART_IER, UART_IER_ETBEI);
	ck_assert_uint_eq(get(UART_IIR) & 0x0f, UART_IIR_THRE);
	put(UART_IER, 0);
	put(UART_IER, UART_IER_ETBEI);
	ck_assert_uint_eq(get(UART_LSR) & UART_LSR_TEMT, UART_LSR_TEMT);
	ck_assert_uint_eq(get(UART_IIR) & 0x0f, UART_IIR_THRE);

	ck_assert_int_eq(edges, 2);
}
END_TEST

START_TEST(enabling_thre_with_bytes_waiting_does_not_interrupt)
{
	open_port(0);
	room = 0;
	put_bytes("a");

	put(UART_IER, UART_IER_ETBEI);

	ck_assert(!line);
}
END_TEST

START_TEST(rewriting_ier_does_not_raise_thre_again)
{
	open_port(UART_IER_ETBEI);
	get(UART_IIR);

	put(UART_IER, UART_IER_ETBEI | UART_IER_ERBFI);

	ck_assert(!line);
}
END_TEST

START_TEST(reading_iir_acknowledges_thre)
{
	open_port(UART_IER_ETBEI);
	ck_assert(line);

	ck_assert_uint_eq(get(UART_IIR) & 0x0f, UART_IIR_THRE);

	ck_assert(!line);
	ck_assert_uint_eq(get(UART_IIR) & 0x0f, UART_IIR_NONE);
}
END_TEST

START_TEST(burst_that_is_sent_is_one_edge)
{
	open_port(UART_IER_ETBEI);
	get(UART_IIR);
	edges = 0;

	put_bytes("0123456789abcdef");

	ck_assert(line);
	ck_assert_int_eq(edges, 1);
}
END_TEST

START_TEST(back_end_that_has_taken_all_interrupts_once)
{
	open_port(UART_IER_ETBEI);
	get(UART_IIR);
	edges = 0;
	room = 0;
	put_bytes("abc");
	ck_assert(!line);

	room = 2;
	uart_writable(uart);
	ck_assert(!line);
	room = 3;
	uart_writable(uart);

	ck_assert(line);
	ck_assert_int_eq(edges, 1);
}
END_TEST

START_TEST(received_bytes_are_read_in_order)
{
	open_port(0);

	ck_assert_uint_eq(type_bytes("hello"), 5);

	ck_assert_uint_eq(get(UART_LSR) & UART_LSR_DR, UART_LSR_DR);
	assert_received("hello");
}
END_TEST

START_TEST(receive_fifo_wraps_around)
{
	open_port(0);
	type_bytes("0123456789");
	assert_received("0123456789");

	ck_assert_uint_eq(type_bytes("abcdefghijklmnop"), FIFO);

	assert_received("abcdefghijklmnop");
}
END_TEST

START_TEST(input_interrupts_until_it_is_read)
{
	open_port(UART_IER_ERBFI);

	type_bytes("ab");
	ck_assert(line);
	get(UART_RBR);
	ck_assert(line);
	get(UART_RBR);

	ck_assert(!line);
	ck_assert_int_eq(edges, 1);
}
END_TEST

START_TEST(input_below_the_trigger_is_a_timeout_and_at_it_data)
{
	open_port(UART_IER_ERBFI);

	type_bytes("1234567");
	ck_assert_uint_eq(get(UART_IIR), UART_IIR_FIFO | UART_IIR_TIMEOUT);
	type_bytes("8");

	ck_assert_uint_eq(get(UART_IIR), UART_IIR_FIFO | UART_IIR_DATA);
}
END_TEST

START_TEST(without_fifos_one_byte_is_data)
{
	put(UART_MCR, UART_MCR_OUT2);
	put(UART_IER, UART_IER_ERBFI);

	ck_assert_uint_eq(type_bytes("ab"), 1);

	ck_assert_uint_eq(get(UART_IIR), UART_IIR_DATA);
	assert_received("a");
	ck_assert_int_eq(nr_drained, 1);
}
END_TEST

START_TEST(refused_input_is_asked_for_when_the_fifo_is_empty)
{
	open_port(0);
	ck_assert_uint_eq(type_bytes("0123456789abcdefX"), FIFO);
	ck_assert_uint_eq(type_bytes("X"), 0);

	for (int i = 0; i < FIFO - 1; i++)
		get(UART_RBR);
	ck_assert_int_eq(nr_drained, 0);
	get(UART_RBR);

	ck_assert_int_eq(nr_drained, 1);
	ck_assert_uint_eq(get(UART_LSR) & (UART_LSR_DR | UART_LSR_OE), 0);
	ck_assert_int_eq(nr_drained, 1);
}
END_TEST

START_TEST(input_taken_whole_is_not_asked_for)
{
	open_port(0);

	type_bytes("0123456789abcdef");
	assert_received("0123456789abcdef");

	ck_assert_int_eq(nr_drained, 0);
}
END_TEST

START_TEST(clearing_the_receive_fifo_drops_it_and_asks_for_more)
{
	open_port(UART_IER_ERBFI);
	type_bytes("0123456789abcdefX");

	put(UART_FCR, FIFO_ON | UART_FCR_CLEAR_RX);

	ck_assert(!line);
	ck_assert_int_eq(nr_drained, 1);
	ck_assert_uint_eq(get(UART_LSR) & UART_LSR_DR, 0);
}
END_TEST

START_TEST(turning_the_fifos_off_empties_them)
{
	open_port(0);
	room = 0;
	put_bytes("a");
	type_bytes("b");

	put(UART_FCR, 0);

	ck_assert_uint_eq(get(UART_LSR), UART_LSR_THRE | UART_LSR_TEMT);
	ck_assert_uint_eq(get(UART_IIR), UART_IIR_NONE);
}
END_TEST

START_TEST(input_waits_while_in_loopback)
{
	open_port(0);
	put(UART_MCR, UART_MCR_LOOP);
	ck_assert_uint_eq(type_bytes("a"), 0);
	ck_assert_int_eq(nr_drained, 0);

	put(UART_MCR, UART_MCR_OUT2);

	ck_assert_int_eq(nr_drained, 1);
	ck_assert_uint_eq(type_bytes("a"), 1);
}
END_TEST

/* Linux: size_fifo() counts how much of a long burst comes back. */
START_TEST(loopback_returns_as_much_as_the_fifo_holds)
{
	open_port(0);
	put(UART_MCR, UART_MCR_LOOP);

	put_bytes("0123456789abcdefXYZ");

	ck_assert_uint_eq(nr_sent, 0);
	ck_assert_uint_eq(get(UART_LSR) & UART_LSR_OE, UART_LSR_OE);
	ck_assert_uint_eq(get(UART_LSR) & UART_LSR_OE, 0);
	assert_received("0123456789abcdef");
}
END_TEST

START_TEST(overrun_without_fifos_keeps_the_newest)
{
	put(UART_MCR, UART_MCR_LOOP);

	put_bytes("ab");

	ck_assert_uint_eq(get(UART_LSR) & UART_LSR_OE, UART_LSR_OE);
	assert_received("b");
}
END_TEST

START_TEST(loopback_leaves_bytes_that_wait_to_be_sent)
{
	open_port(UART_IER_ETBEI);
	room = 0;
	put_bytes("a");
	put(UART_MCR, UART_MCR_LOOP);

	put_bytes("b");
	ck_assert_uint_eq(get(UART_IIR) & 0x0f, UART_IIR_NONE);
	ck_assert_uint_eq(get(UART_LSR), UART_LSR_DR);
	room = sizeof(sent);
	uart_writable(uart);

	assert_sent("a");
	assert_received("b");
}
END_TEST

START_TEST(interrupt_is_let_out_by_out2_only)
{
	open_port(UART_IER_ERBFI);
	put(UART_MCR, 0);
	type_bytes("a");
	ck_assert(!line);
	ck_assert_uint_eq(get(UART_IIR) & 0x0f, UART_IIR_TIMEOUT);

	put(UART_MCR, UART_MCR_OUT2);
	ck_assert(line);
	put(UART_MCR, UART_MCR_OUT2 | UART_MCR_LOOP);

	ck_assert(!line);
}
END_TEST

START_TEST(iir_shows_the_most_urgent_first)
{
	open_port(0);
	put(UART_MCR, UART_MCR_LOOP);
	put_bytes("0123456789abcdefX");
	put(UART_IER, UART_IER_MASK);

	ck_assert_uint_eq(get(UART_IIR) & 0x0f, UART_IIR_LINE);
	get(UART_LSR);
	ck_assert_uint_eq(get(UART_IIR) & 0x0f, UART_IIR_DATA);
	for (int i = 0; i < FIFO - FIFO_TRIGGER + 1; i++)
		get(UART_RBR);
	ck_assert_uint_eq(get(UART_IIR) & 0x0f, UART_IIR_TIMEOUT);
	for (int i = 0; i < FIFO_TRIGGER - 1; i++)
		get(UART_RBR);
	ck_assert_uint_eq(get(UART_IIR) & 0x0f, UART_IIR_THRE);
	ck_assert_uint_eq(get(UART_IIR) & 0x0f, UART_IIR_MODEM);
	get(UART_MSR);
	ck_assert_uint_eq(get(UART_IIR) & 0x0f, UART_IIR_NONE);
}
END_TEST

START_TEST(reading_iir_acknowledges_thre_only_when_it_shows_it)
{
	open_port(UART_IER_ERBFI | UART_IER_ETBEI);
	type_bytes("a");

	ck_assert_uint_eq(get(UART_IIR) & 0x0f, UART_IIR_TIMEOUT);
	get(UART_RBR);

	ck_assert_uint_eq(get(UART_IIR) & 0x0f, UART_IIR_THRE);
}
END_TEST

START_TEST(wide_read_is_the_bytes_in_order)
{
	put(UART_LCR, 0x03);
	put(UART_MCR, UART_MCR_DTR);
	put(UART_SCR, 0xa5);

	ck_assert_uint_eq(bus_read(ports, PORT + UART_MCR, 4), UINT32_C(0xa5b06001));
	ck_assert_uint_eq(bus_read(ports, PORT + UART_LCR, 2), 0x0103);
	ck_assert_uint_eq(bus_read(ports, PORT, 8), UINT64_C(0xa5b0600103010000));
}
END_TEST

START_TEST(wide_write_is_the_bytes_in_order)
{
	bus_write(ports, PORT + UART_LCR, 2, UART_MCR_DTR << 8 | 0x03);
	bus_write(ports, PORT, 2, 'a' | UART_IER_ERBFI << 8);

	ck_assert_uint_eq(get(UART_LCR), 0x03);
	ck_assert_uint_eq(get(UART_MCR), UART_MCR_DTR);
	ck_assert_uint_eq(get(UART_IER), UART_IER_ERBFI);
	assert_sent("a");
}
END_TEST

START_TEST(access_beyond_the_registers_touches_none)
{
	put(UART_SCR, 0xa5);

	bus_write(ports, PORT + UART_SCR, 2, 0);

	ck_assert_uint_eq(bus_read(ports, PORT + UART_SCR, 2), 0xffff);
	ck_assert_uint_eq(bus_read(ports, PORT + 1, 8), UINT64_MAX);
	ck_assert_uint_eq(get(UART_SCR), 0xa5);
}
END_TEST

static TCase *register_tests(void)
{
	TCase *tc = tcase_create("registers");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, fresh_port_is_idle);
	tcase_add_test(tc, divisor_is_behind_dlab_and_never_zero_at_start);
	tcase_add_test(tc, scratch_keeps_its_byte);
	tcase_add_test(tc, status_registers_are_read_only);
	tcase_add_test(tc, linux_sees_a_16550a);
	tcase_add_test(tc, loopback_shows_outputs_as_inputs);
	tcase_add_test(tc, modem_changes_are_told_once);
	tcase_add_test(tc, ring_is_told_when_it_ends);
	tcase_add_test(tc, wide_read_is_the_bytes_in_order);
	tcase_add_test(tc, wide_write_is_the_bytes_in_order);
	tcase_add_test(tc, access_beyond_the_registers_touches_none);
	return tc;
}

static TCase *transmit_tests(void)
{
	TCase *tc = tcase_create("transmit");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, byte_written_is_sent);
	tcase_add_test(tc, refused_byte_clears_thre_until_there_is_room);
	tcase_add_test(tc, burst_into_a_full_back_end_is_kept_in_order);
	tcase_add_test(tc, byte_written_while_others_wait_does_not_overtake);
	tcase_add_test(tc, guest_that_ignores_thre_loses_what_exceeds_the_fifo);
	tcase_add_test(tc, writable_with_nothing_to_send_changes_nothing);
	tcase_add_test(tc, clearing_the_transmit_fifo_drops_it_and_sets_thre);
	tcase_add_test(tc, enabling_thre_interrupts_each_time);
	tcase_add_test(tc, enabling_thre_with_bytes_waiting_does_not_interrupt);
	tcase_add_test(tc, rewriting_ier_does_not_raise_thre_again);
	tcase_add_test(tc, reading_iir_acknowledges_thre);
	tcase_add_test(tc, burst_that_is_sent_is_one_edge);
	tcase_add_test(tc, back_end_that_has_taken_all_interrupts_once);
	return tc;
}

static TCase *receive_tests(void)
{
	TCase *tc = tcase_create("receive");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, received_bytes_are_read_in_order);
	tcase_add_test(tc, receive_fifo_wraps_around);
	tcase_add_test(tc, input_interrupts_until_it_is_read);
	tcase_add_test(tc, input_below_the_trigger_is_a_timeout_and_at_it_data);
	tcase_add_test(tc, without_fifos_one_byte_is_data);
	tcase_add_test(tc, refused_input_is_asked_for_when_the_fifo_is_empty);
	tcase_add_test(tc, input_taken_whole_is_not_asked_for);
	tcase_add_test(tc, clearing_the_receive_fifo_drops_it_and_asks_for_more);
	tcase_add_test(tc, turning_the_fifos_off_empties_them);
	tcase_add_test(tc, input_waits_while_in_loopback);
	tcase_add_test(tc, loopback_returns_as_much_as_the_fifo_holds);
	tcase_add_test(tc, overrun_without_fifos_keeps_the_newest);
	tcase_add_test(tc, loopback_leaves_bytes_that_wait_to_be_sent);
	return tc;
}

static TCase *interrupt_tests(void)
{
	TCase *tc = tcase_create("interrupts");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, interrupt_is_let_out_by_out2_only);
	tcase_add_test(tc, iir_shows_the_most_urgent_first);
	tcase_add_test(tc, reading_iir_acknowledges_thre_only_when_it_shows_it);
	return tc;
}

int main(void)
{
	Suite *s = suite_create("uart");
	SRunner *sr;
	int failed;

	suite_add_tcase(s, register_tests());
	suite_add_tcase(s, transmit_tests());
	suite_add_tcase(s, receive_tests());
	suite_add_tcase(s, interrupt_tests());

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
