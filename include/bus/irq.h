/* SPDX-License-Identifier: Apache-2.0 */
/*
 * irq.h - an interrupt line, as the device that drives it sees it.
 *
 * The machine fills in what stands behind the line (an I/O APIC pin); a test
 * fills in a counter.
 */
#ifndef BUS_IRQ_H
#define BUS_IRQ_H

#include <stdbool.h>

struct irq {
	void (*set)(struct irq *irq, bool level);
};

/* Drive the line high (asserted) or low; any thread. */
static inline void irq_set(struct irq *irq, bool level)
{
	irq->set(irq, level);
}

/* Raise an edge-triggered interrupt. */
static inline void irq_pulse(struct irq *irq)
{
	irq->set(irq, true);
	irq->set(irq, false);
}

#endif
