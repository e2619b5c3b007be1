/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uart_regs.h - registers of the 16550A.
 *
 * Names and numbers of the PC16550D data sheet, section 8 ("Registers").
 */
#ifndef DEVICES_UART_REGS_H
#define DEVICES_UART_REGS_H

/* Registers; DLAB is a bit of LCR. */
#define UART_RBR		0	/* read, DLAB 0 */
#define UART_THR		0	/* write, DLAB 0 */
#define UART_DLL		0	/* DLAB 1 */
#define UART_IER		1	/* DLAB 0 */
#define UART_DLM		1	/* DLAB 1 */
#define UART_IIR		2	/* read */
#define UART_FCR		2	/* write */
#define UART_LCR		3
#define UART_MCR		4
#define UART_LSR		5
#define UART_MSR		6
#define UART_SCR		7
#define UART_REGS		8

#define UART_IER_ERBFI		0x01	/* received data */
#define UART_IER_ETBEI		0x02	/* transmitter empty */
#define UART_IER_ELSI		0x04	/* line status */
#define UART_IER_EDSSI		0x08	/* modem status */
#define UART_IER_MASK		0x0f

/* IIR: what interrupts, in falling priority, and whether FIFOs are on. */
#define UART_IIR_LINE		0x06
#define UART_IIR_DATA		0x04
#define UART_IIR_TIMEOUT	0x0c
#define UART_IIR_THRE		0x02
#define UART_IIR_MODEM		0x00
#define UART_IIR_NONE		0x01
#define UART_IIR_FIFO		0xc0

#define UART_FCR_ENABLE		0x01
#define UART_FCR_CLEAR_RX	0x02
#define UART_FCR_CLEAR_TX	0x04
#define UART_FCR_TRIGGER_SHIFT	6	/* 1, 4, 8 or 14 bytes */

#define UART_LCR_DLAB		0x80

#define UART_MCR_DTR		0x01
#define UART_MCR_RTS		0x02
#define UART_MCR_OUT1		0x04
#define UART_MCR_OUT2		0x08	/* on a PC: lets the interrupt out */
#define UART_MCR_LOOP		0x10
#define UART_MCR_MASK		0x1f

#define UART_LSR_DR		0x01	/* data ready */
#define UART_LSR_OE		0x02	/* overrun */
#define UART_LSR_THRE		0x20	/* transmitter takes more */
#define UART_LSR_TEMT		0x40	/* transmitter has sent all */

/* MSR: the lines, and in the low half what changed since it was last read. */
#define UART_MSR_DCTS		0x01
#define UART_MSR_DDSR		0x02
#define UART_MSR_TERI		0x04	/* RI fell; its rise is not told */
#define UART_MSR_DDCD		0x08
#define UART_MSR_CTS		0x10
#define UART_MSR_DSR		0x20
#define UART_MSR_RI		0x40
#define UART_MSR_DCD		0x80

#endif
