// SPDX-License-Identifier: Apache-2.0
/*
 * test_uart_threads.c - the serial port between two threads, as in life.
 *
 * The guest's vCPU is the test's own thread, the back end's thread is the other,
 * and the back end holds four bytes of output.
 */
#include "devices/uart.h"

#include "bus/bus.h"
#include "bus/irq.h"
#include "devices/uart_regs.h"

#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define PORT		0x3f8
#define NR_BYTES	20000

static struct bus *ports;
static struct uart *uart;

static struct {
	pthread_mutex_t lock;
	uint8_t bytes[4];
	size_t nr;
	bool full;			/* a byte was refused */
} pipe_out = { .lock = PTHREAD_MUTEX_INITIALIZER };

static atomic_bool input_wanted;

static bool pipe_take(void *ctx, uint8_t byte)
{
	bool taken;

	(void)ctx;
	pthread_mutex_lock(&pipe_out.lock);
	taken = pipe_out.nr < sizeof(pipe_out.bytes);
	if (taken)
		pipe_out.bytes[pipe_out.nr++] = byte;
	pipe_out.full = !taken;
	pthread_mutex_unlock(&pipe_out.lock);
	return taken;
}

static void want_input(void *ctx)
{
	(void)ctx;
	atomic_store(&input_wanted, true);
}

static void ignore_line(struct irq *irq, bool level)
{
	(void)irq;
	(void)level;
}

static struct irq quiet = { .set = ignore_line };

static void *check_output(void *arg)
{
	struct uart *port = arg;
	uint8_t expected = 0;
	size_t nr_wrong = 0;

	for (size_t nr = 0; nr < NR_BYTES;) {
		uint8_t got[sizeof(pipe_out.bytes)];
		size_t nr_got;
		bool was_full;

		pthread_mutex_lock(&pipe_out.lock);
		nr_got = pipe_out.nr;
		memcpy(got, pipe_out.bytes, nr_got);
		pipe_out.nr = 0;
		was_full = pipe_out.full;
		pipe_out.full = false;
		pthread_mutex_unlock(&pipe_out.lock);

		for (size_t i = 0; i < nr_got; i++)
			nr_wrong += got[i] != expected++;
		nr += nr_got;
		if (was_full)
			uart_writable(port);
		else
			sched_yield();
	}
	return (void *)nr_wrong;
}

static void *feed_input(void *arg)
{
	struct uart *port = arg;
	uint8_t next = 0;

	for (size_t nr = 0; nr < NR_BYTES;) {
		uint8_t chunk[20];
		size_t taken;

		for (size_t i = 0; i < sizeof(chunk); i++)
			chunk[i] = (uint8_t)(next + i);
		atomic_store(&input_wanted, false);
		taken = uart_receive(port, chunk, sizeof(chunk));
		nr += taken;
		next = (uint8_t)(next + taken);
		while (nr < NR_BYTES && !atomic_load(&input_wanted))
			sched_yield();
	}
	return NULL;
}

static uint64_t get(unsigned reg)
{
	return bus_read(ports, PORT + reg, 1);
}

static void put(unsigned reg, unsigned value)
{
	bus_write(ports, PORT + reg, 1, value);
}

static void setup(void)
{
	const struct uart_config config = {
		.at = PORT,
		.irq = &quiet,
		.backend = { .send = pipe_take, .drained = want_input },
	};

	pipe_out.nr = 0;
	pipe_out.full = false;
	ports = bus_new();
	uart = uart_new(&config);
	ck_assert_int_eq(bus_add(ports, uart_region(uart)), 0);
	put(UART_FCR, UART_FCR_ENABLE);
	put(UART_MCR, UART_MCR_OUT2);
	put(UART_IER, UART_IER_MASK);
}

static void teardown(void)
{
	bus_remove(ports, uart_region(uart));
	uart = uart_free(uart);
	ports = bus_free(ports);
}

START_TEST(output_through_a_slow_back_end_arrives_whole)
{
	pthread_t thread;
	void *nr_wrong;

	ck_assert_int_eq(pthread_create(&thread, NULL, check_output, uart), 0);

	for (unsigned i = 0; i < NR_BYTES; i++) {
		while (!(get(UART_LSR) & UART_LSR_THRE))
			sched_yield();
		put(UART_THR, (uint8_t)i);
	}

	ck_assert_int_eq(pthread_join(thread, &nr_wrong), 0);
	ck_assert_ptr_null(nr_wrong);
}
END_TEST

START_TEST(input_to_a_slow_guest_arrives_whole)
{
	pthread_t thread;
	size_t nr_wrong = 0;

	ck_assert_int_eq(pthread_create(&thread, NULL, feed_input, uart), 0);

	for (unsigned i = 0; i < NR_BYTES; i++) {
		while (!(get(UART_LSR) & UART_LSR_DR))
			sched_yield();
		nr_wrong += get(UART_RBR) != (uint8_t)i;
	}

	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_uint_eq(nr_wrong, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("uart_threads");
	TCase *tc = tcase_create("two threads");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, output_through_a_slow_back_end_arrives_whole);
	tcase_add_test(tc, input_to_a_slow_guest_arrives_whole);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
