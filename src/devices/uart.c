// SPDX-License-Identifier: Apache-2.0
/*
 * uart.c - 16550A serial port.
 *
 * Every entry takes the lock, changes registers and FIFOs, and leaves through
 * settle(), which alone derives the interrupt line and the call to drained()
 * from what it finds.  So no path can forget either, and no change of state
 * needs to know which interrupts hang on it.
 *
 * The one condition that cannot be derived is THRE: reading IIR or writing THR
 * acknowledges it while the transmitter stays empty.  thre_pending says that it
 * has not been acknowledged.
 */
#include "devices/uart.h"

#include "base/bits.h"
#include "bus/bus.h"
#include "bus/irq.h"
#include "devices/byte_regs.h"
#include "devices/uart_regs.h"
#include "state/state.h"

#include <pthread.h>
#include <stdlib.h>

#define FIFO_LEN 16U

struct fifo {
	uint8_t bytes[FIFO_LEN];
	unsigned first, nr;
};

struct uart {
	struct bus_region region;
	struct irq *irq;
	struct uart_backend backend;

	pthread_mutex_t lock;		/* of all below */
	struct fifo rx, tx;
	uint8_t dll, dlm, ier, fcr, lcr, mcr, scr;
	uint8_t msr_deltas;
	bool overrun;
	bool thre_pending;
	bool starved;			/* uart_receive() refused bytes */
	bool irq_level;
};

static void fifo_clear(struct fifo *fifo)
{
	fifo->first = 0;
	fifo->nr = 0;
}

static void fifo_push(struct fifo *fifo, uint8_t byte)
{
	fifo->bytes[(fifo->first + fifo->nr++) % FIFO_LEN] = byte;
}

static uint8_t fifo_first(const struct fifo *fifo)
{
	return fifo->bytes[fifo->first];
}

static void fifo_pop(struct fifo *fifo)
{
	fifo->first = (fifo->first + 1) % FIFO_LEN;
	fifo->nr--;
}

static bool looped(const struct uart *uart)
{
	return uart->mcr & UART_MCR_LOOP;
}

/* Without FIFOs the receiver holds one byte. */
static unsigned rx_len_max(const struct uart *uart)
{
	return uart->fcr & UART_FCR_ENABLE ? FIFO_LEN : 1;
}

static unsigned rx_trigger(const struct uart *uart)
{
	static const uint8_t levels[] = { 1, 4, 8, 14 };

	if (!(uart->fcr & UART_FCR_ENABLE))
		return 1;
	return levels[uart->fcr >> UART_FCR_TRIGGER_SHIFT];
}

/* What IIR shows, FIFO bits apart: the most urgent of the enabled conditions. */
static uint8_t pending(const struct uart *uart)
{
	if (uart->ier & UART_IER_ELSI && uart->overrun)
		return UART_IIR_LINE;
	if (uart->ier & UART_IER_ERBFI && uart->rx.nr >= rx_trigger(uart))
		return UART_IIR_DATA;
	if (uart->ier & UART_IER_ERBFI && uart->rx.nr)
		return UART_IIR_TIMEOUT;
	if (uart->ier & UART_IER_ETBEI && uart->thre_pending)
		return UART_IIR_THRE;
	if (uart->ier & UART_IER_EDSSI && uart->msr_deltas)
		return UART_IIR_MODEM;
	return UART_IIR_NONE;
}

/* The way out of every entry: drive the interrupt, unlock, ask for more input. */
static void settle(struct uart *uart)
{
	/* Loopback disconnects the output pins, OUT2 among them. */
	bool level = uart->mcr & UART_MCR_OUT2 && !looped(uart) &&
		     pending(uart) != UART_IIR_NONE;
	bool drained = uart->starved && !uart->rx.nr && !looped(uart);

	/* Under the lock, so that two threads cannot swap a rise and a fall. */
	if (level != uart->irq_level) {
		uart->irq_level = level;
		irq_set(uart->irq, level);
	}
	if (drained)
		uart->starved = false;
	pthread_mutex_unlock(&uart->lock);

	if (drained)
		uart->backend.drained(uart->backend.ctx);
}

/* A byte of our own comes back to the receiver, which may overrun. */
static void loop_back(struct uart *uart, uint8_t byte)
{
	uart->thre_pending = !uart->tx.nr;
	if (uart->rx.nr < rx_len_max(uart)) {
		fifo_push(&uart->rx, byte);
		return;
	}
	uart->overrun = true;
	if (!(uart->fcr & UART_FCR_ENABLE)) {
		/* RBR takes the newest byte, a full FIFO keeps its oldest. */
		fifo_clear(&uart->rx);
		fifo_push(&uart->rx, byte);
	}
}

static void transmit(struct uart *uart, uint8_t byte)
{
	if (looped(uart)) {
		loop_back(uart, byte);
		return;
	}
	if (!uart->tx.nr && uart->backend.send(uart->backend.ctx, byte)) {
		uart->thre_pending = true;
		return;
	}
	uart->thre_pending = false;
	/* A guest that did not wait for THRE loses what exceeds the FIFO. */
	if (uart->tx.nr < FIFO_LEN)
		fifo_push(&uart->tx, byte);
}

static uint8_t receive(struct uart *uart)
{
	uint8_t byte;

	if (!uart->rx.nr)
		return 0;
	byte = fifo_first(&uart->rx);
	fifo_pop(&uart->rx);
	return byte;
}

static void set_ier(struct uart *uart, uint8_t value)
{
	uint8_t enabled = value & (uint8_t)~uart->ier;

	/*
	 * Enabling the interrupt of an empty transmitter raises it even if it
	 * was acknowledged before: drivers start output that way, and Linux
	 * falls back to polling by a timer where it does not work.
	 */
	if (enabled & UART_IER_ETBEI && !uart->tx.nr)
		uart->thre_pending = true;
	uart->ier = value & UART_IER_MASK;
}

static uint8_t read_iir(struct uart *uart)
{
	uint8_t iir = pending(uart);

	if (iir == UART_IIR_THRE)
		uart->thre_pending = false;
	if (uart->fcr & UART_FCR_ENABLE)
		iir |= UART_IIR_FIFO;
	return iir;
}

static void set_fcr(struct uart *uart, uint8_t value)
{
	/* Turning the FIFOs on or off empties them. */
	if ((value ^ uart->fcr) & UART_FCR_ENABLE)
		value |= UART_FCR_CLEAR_RX | UART_FCR_CLEAR_TX;
	if (value & UART_FCR_CLEAR_RX)
		fifo_clear(&uart->rx);
	if (value & UART_FCR_CLEAR_TX && uart->tx.nr) {
		fifo_clear(&uart->tx);
		uart->thre_pending = true;
	}
	uart->fcr = value;
}

static uint8_t read_lsr(struct uart *uart)
{
	uint8_t lsr = 0;

	if (uart->rx.nr)
		lsr |= UART_LSR_DR;
	if (uart->overrun)
		lsr |= UART_LSR_OE;
	if (!uart->tx.nr)
		lsr |= UART_LSR_THRE | UART_LSR_TEMT;
	uart->overrun = false;
	return lsr;
}

/* In loopback our outputs are the inputs, else a ready peer is attached. */
static uint8_t modem_lines(const struct uart *uart)
{
	uint8_t lines = 0;

	if (!looped(uart))
		return UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS;
	if (uart->mcr & UART_MCR_RTS)
		lines |= UART_MSR_CTS;
	if (uart->mcr & UART_MCR_DTR)
		lines |= UART_MSR_DSR;
	if (uart->mcr & UART_MCR_OUT1)
		lines |= UART_MSR_RI;
	if (uart->mcr & UART_MCR_OUT2)
		lines |= UART_MSR_DCD;
	return lines;
}

static void set_mcr(struct uart *uart, uint8_t value)
{
	uint8_t before = modem_lines(uart), changed;

	uart->mcr = value & UART_MCR_MASK;
	changed = before ^ modem_lines(uart);

	if (changed & UART_MSR_CTS)
		uart->msr_deltas |= UART_MSR_DCTS;
	if (changed & UART_MSR_DSR)
		uart->msr_deltas |= UART_MSR_DDSR;
	if (changed & before & UART_MSR_RI)
		uart->msr_deltas |= UART_MSR_TERI;
	if (changed & UART_MSR_DCD)
		uart->msr_deltas |= UART_MSR_DDCD;
}

static uint8_t read_msr(struct uart *uart)
{
	uint8_t msr = modem_lines(uart) | uart->msr_deltas;

	uart->msr_deltas = 0;
	return msr;
}

static uint8_t read_locked(struct uart *uart, uint64_t reg)
{
	bool dlab = uart->lcr & UART_LCR_DLAB;

	switch (reg) {
	case UART_RBR:
		return dlab ? uart->dll : receive(uart);
	case UART_IER:
		return dlab ? uart->dlm : uart->ier;
	case UART_IIR:
		return read_iir(uart);
	case UART_LCR:
		return uart->lcr;
	case UART_MCR:
		return uart->mcr;
	case UART_LSR:
		return read_lsr(uart);
	case UART_MSR:
		return read_msr(uart);
	default:
		return uart->scr;
	}
}

static void write_locked(struct uart *uart, uint64_t reg, uint8_t value)
{
	bool dlab = uart->lcr & UART_LCR_DLAB;

	switch (reg) {
	case UART_THR:
		if (dlab)
			uart->dll = value;
		else
			transmit(uart, value);
		break;
	case UART_IER:
		if (dlab)
			uart->dlm = value;
		else
			set_ier(uart, value);
		break;
	case UART_FCR:
		set_fcr(uart, value);
		break;
	case UART_LCR:
		uart->lcr = value;
		break;
	case UART_MCR:
		set_mcr(uart, value);
		break;
	case UART_SCR:
		uart->scr = value;
		break;
	default:
		break;			/* LSR and MSR are read-only */
	}
}

static uint8_t read_reg(struct bus_region *region, uint64_t reg)
{
	struct uart *uart = container_of(region, struct uart, region);
	uint8_t value;

	pthread_mutex_lock(&uart->lock);
	value = read_locked(uart, reg);
	settle(uart);
	return value;
}

static void write_reg(struct bus_region *region, uint64_t reg, uint8_t value)
{
	struct uart *uart = container_of(region, struct uart, region);

	pthread_mutex_lock(&uart->lock);
	write_locked(uart, reg, value);
	settle(uart);
}

static uint64_t uart_read(struct bus_region *region, uint64_t off, unsigned size)
{
	return byte_regs_read(region, off, size, read_reg);
}

static void uart_write(struct bus_region *region, uint64_t off, unsigned size, uint64_t value)
{
	byte_regs_write(region, off, size, value, write_reg);
}

static const struct bus_ops uart_ops = {
	.read = uart_read,
	.write = uart_write,
};

struct uart *uart_new(const struct uart_config *config)
{
	struct uart *uart = calloc(1, sizeof(*uart));

	if (!uart)
		return NULL;
	uart->irq = config->irq;
	uart->backend = config->backend;
	uart->region = (struct bus_region){
		.at = config->at,
		.len = UART_REGS,
		.ops = &uart_ops,
		.name = "uart",
	};
	pthread_mutex_init(&uart->lock, NULL);
	/* 115200 baud, as firmware leaves it: early consoles divide by this. */
	uart->dll = 1;
	return uart;
}

struct uart *uart_free(struct uart *uart)
{
	if (!uart)
		return NULL;
	pthread_mutex_destroy(&uart->lock);
	free(uart);
	return NULL;
}

struct bus_region *uart_region(struct uart *uart)
{
	return &uart->region;
}

size_t uart_receive(struct uart *uart, const uint8_t *bytes, size_t len)
{
	size_t taken = 0;

	pthread_mutex_lock(&uart->lock);
	/* In loopback the receiver is cut off the line. */
	while (!looped(uart) && taken < len && uart->rx.nr < rx_len_max(uart))
		fifo_push(&uart->rx, bytes[taken++]);
	uart->starved = taken < len;
	settle(uart);
	return taken;
}

void uart_writable(struct uart *uart)
{
	pthread_mutex_lock(&uart->lock);
	while (uart->tx.nr && uart->backend.send(uart->backend.ctx, fifo_first(&uart->tx))) {
		fifo_pop(&uart->tx);
		uart->thre_pending = !uart->tx.nr;
	}
	settle(uart);
}

struct uart_state {
	uint32_t nr_rx, nr_tx;
	uint8_t rx[FIFO_LEN], tx[FIFO_LEN];
	uint8_t dll, dlm, ier, fcr, lcr, mcr, scr;
	uint8_t msr_deltas;
	bool overrun;
	bool thre_pending;
};

static const struct state_field state_fields[] = {
	{ STATE_LIST(struct uart_state, rx, nr_rx) },
	{ STATE_LIST(struct uart_state, tx, nr_tx) },
	{ STATE_ONE(struct uart_state, dll) },
	{ STATE_ONE(struct uart_state, dlm) },
	{ STATE_ONE(struct uart_state, ier) },
	{ STATE_ONE(struct uart_state, fcr) },
	{ STATE_ONE(struct uart_state, lcr) },
	{ STATE_ONE(struct uart_state, mcr) },
	{ STATE_ONE(struct uart_state, scr) },
	{ STATE_ONE(struct uart_state, msr_deltas) },
	{ STATE_ONE(struct uart_state, overrun) },
	{ STATE_ONE(struct uart_state, thre_pending) },
	STATE_END
};

static const struct state_table state_table = {
	.name = "uart", .version = 1, .fields = state_fields,
};

static uint32_t save_fifo(const struct fifo *fifo, uint8_t *bytes)
{
	for (unsigned i = 0; i < fifo->nr; i++)
		bytes[i] = fifo->bytes[(fifo->first + i) % FIFO_LEN];
	return fifo->nr;
}

static void load_fifo(struct fifo *fifo, const uint8_t *bytes, uint32_t nr)
{
	fifo_clear(fifo);
	for (uint32_t i = 0; i < nr; i++)
		fifo_push(fifo, bytes[i]);
}

void uart_save(struct uart *uart, struct state_writer *writer)
{
	struct uart_state state;

	pthread_mutex_lock(&uart->lock);
	state = (struct uart_state){
		.dll = uart->dll,
		.dlm = uart->dlm,
		.ier = uart->ier,
		.fcr = uart->fcr,
		.lcr = uart->lcr,
		.mcr = uart->mcr,
		.scr = uart->scr,
		.msr_deltas = uart->msr_deltas,
		.overrun = uart->overrun,
		.thre_pending = uart->thre_pending,
	};
	state.nr_rx = save_fifo(&uart->rx, state.rx);
	state.nr_tx = save_fifo(&uart->tx, state.tx);
	pthread_mutex_unlock(&uart->lock);
	state_save(writer, &state_table, 0, &state);
}

/* Bits that a guest could not have set stay unset. */
int uart_load(struct uart *uart, struct state_reader *reader, struct err *err)
{
	struct uart_state state = { 0 };
	int r = state_load(reader, &state_table, 0, &state, err);

	if (r < 0)
		return r;
	pthread_mutex_lock(&uart->lock);
	load_fifo(&uart->rx, state.rx, state.nr_rx);
	load_fifo(&uart->tx, state.tx, state.nr_tx);
	uart->dll = state.dll;
	uart->dlm = state.dlm;
	uart->ier = state.ier & UART_IER_MASK;
	uart->fcr = state.fcr;
	uart->lcr = state.lcr;
	uart->mcr = state.mcr & UART_MCR_MASK;
	uart->scr = state.scr;
	uart->msr_deltas = state.msr_deltas;
	uart->overrun = state.overrun;
	uart->thre_pending = state.thre_pending;
	settle(uart);
	/* What waits there goes on its way. */
	uart_writable(uart);
	return 0;
}
