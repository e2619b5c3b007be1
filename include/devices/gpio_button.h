/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gpio_button.h - the power button of arm64 machines: a line of a GPIO controller, ARM
 * PrimeCell PL061 (DDI 0190), to which a key of the device tree leads.
 *
 * Of its eight lines only that of the button is connected, as an input.  The button is
 * down from when it is pressed until the guest has looked at it: a key that were let go
 * of before would not have been seen.  Both changes are edges that can interrupt.
 *
 * The handlers run on vCPU threads; one mutex guards the registers.
 */
#ifndef DEVICES_GPIO_BUTTON_H
#define DEVICES_GPIO_BUTTON_H

#include <stdint.h>

#define GPIO_BUTTON_LEN		0x1000
#define GPIO_BUTTON_LINE	3

/* Registers, of one byte each.  The first are one, the mask of its bits in the address. */
#define GPIO_BUTTON_DATA	0x000		/* to 0x3ff */
#define GPIO_BUTTON_DIRECTION	0x400
#define GPIO_BUTTON_SENSE	0x404		/* 1: levels interrupt, not edges */
#define GPIO_BUTTON_BOTH	0x408		/* 1: both edges do */
#define GPIO_BUTTON_EVENT	0x40c		/* 1: else the rising one, or high level */
#define GPIO_BUTTON_ENABLE	0x410
#define GPIO_BUTTON_RAW		0x414
#define GPIO_BUTTON_MASKED	0x418		/* raw and enabled */
#define GPIO_BUTTON_CLEAR	0x41c
#define GPIO_BUTTON_FUNCTION	0x420

struct bus_region;
struct err;
struct gpio_button;
struct irq;
struct state_reader;
struct state_writer;

struct gpio_button_config {
	uint64_t at;
	struct irq *irq;		/* a level; set with the device locked */
};

/* NULL when memory runs out. */
struct gpio_button *gpio_button_new(const struct gpio_button_config *config);
struct gpio_button *gpio_button_free(struct gpio_button *button);	/* -> NULL; off the bus */

/* For bus_add(); belongs to the device. */
struct bus_region *gpio_button_region(struct gpio_button *button);

/* Any thread. */
void gpio_button_press(struct gpio_button *button);

/* As a section "gpio-button"; the line is driven as it has to be.  Main, while no vCPU runs. */
void gpio_button_save(struct gpio_button *button, struct state_writer *writer);
int gpio_button_load(struct gpio_button *button, struct state_reader *reader,
		     struct err *err);

#endif
