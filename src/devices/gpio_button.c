// SPDX-License-Identifier: Apache-2.0
#include "devices/gpio_button.h"

#include "base/bits.h"
#include "bus/bus.h"
#include "bus/irq.h"
#include "devices/primecell.h"
#include "state/state.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#define PART	0x61
#define BUTTON	((uint8_t)BIT32(GPIO_BUTTON_LINE))

struct gpio_button {
	struct bus_region region;
	struct irq *irq;
	pthread_mutex_t lock;		/* for all below */
	bool down;
	uint8_t output;			/* what the guest has written to its outputs */
	uint8_t direction, sense, both, event, enable, edges, function;
};

/* Under the lock, all of them. */

static uint8_t level(const struct gpio_button *button)
{
	return (uint8_t)((button->output & button->direction) |
			 (button->down ? BUTTON & ~button->direction : 0));
}

static uint8_t raw(const struct gpio_button *button)
{
	uint8_t levels = (uint8_t)(~(level(button) ^ button->event) & button->sense);

	return (uint8_t)(levels | (button->edges & ~button->sense));
}

static void drive(struct gpio_button *button)
{
	irq_set(button->irq, raw(button) & button->enable);
}

/* An edge that the guest listens to is kept until it is cleared. */
static void move(struct gpio_button *button, bool down)
{
	bool heard = button->both & BUTTON || down == !!(button->event & BUTTON);

	if (button->down != down && heard)
		button->edges |= BUTTON;
	button->down = down;
	drive(button);
}

static uint8_t read_data(struct gpio_button *button, uint8_t mask)
{
	uint8_t value = level(button) & mask;

	if (button->down && mask & BUTTON & ~button->direction)
		move(button, false);
	return value;
}

static uint32_t read_reg(struct gpio_button *button, uint64_t off)
{
	if (off < GPIO_BUTTON_DIRECTION)
		return read_data(button, (uint8_t)(off >> 2));
	switch (off) {
	case GPIO_BUTTON_DIRECTION:
		return button->direction;
	case GPIO_BUTTON_SENSE:
		return button->sense;
	case GPIO_BUTTON_BOTH:
		return button->both;
	case GPIO_BUTTON_EVENT:
		return button->event;
	case GPIO_BUTTON_ENABLE:
		return button->enable;
	case GPIO_BUTTON_RAW:
		return raw(button);
	case GPIO_BUTTON_MASKED:
		return raw(button) & button->enable;
	case GPIO_BUTTON_FUNCTION:
		return button->function;
	default:
		return primecell_id(PART, off);
	}
}

static void write_reg(struct gpio_button *button, uint64_t off, uint8_t value)
{
	if (off < GPIO_BUTTON_DIRECTION) {
		uint8_t mask = (uint8_t)(off >> 2) & button->direction;

		button->output = (uint8_t)((button->output & ~mask) | (value & mask));
		return;
	}
	switch (off) {
	case GPIO_BUTTON_DIRECTION:
		button->direction = value;
		break;
	case GPIO_BUTTON_SENSE:
		button->sense = value;
		break;
	case GPIO_BUTTON_BOTH:
		button->both = value;
		break;
	case GPIO_BUTTON_EVENT:
		button->event = value;
		break;
	case GPIO_BUTTON_ENABLE:
		button->enable = value;
		break;
	case GPIO_BUTTON_CLEAR:
		button->edges &= (uint8_t)~value;
		break;
	case GPIO_BUTTON_FUNCTION:
		button->function = value;
		break;
	default:
		break;
	}
}

static uint64_t gpio_read(struct bus_region *region, uint64_t off, unsigned size)
{
	struct gpio_button *button = container_of(region, struct gpio_button, region);
	uint32_t value;

	(void)size;
	pthread_mutex_lock(&button->lock);
	value = read_reg(button, off);
	pthread_mutex_unlock(&button->lock);
	return value;
}

static void gpio_write(struct bus_region *region, uint64_t off, unsigned size, uint64_t value)
{
	struct gpio_button *button = container_of(region, struct gpio_button, region);

	(void)size;
	pthread_mutex_lock(&button->lock);
	write_reg(button, off, (uint8_t)value);
	drive(button);
	pthread_mutex_unlock(&button->lock);
}

static const struct bus_ops ops = { .read = gpio_read, .write = gpio_write };

struct gpio_button *gpio_button_new(const struct gpio_button_config *config)
{
	struct gpio_button *button = calloc(1, sizeof(*button));

	if (!button)
		return NULL;
	button->irq = config->irq;
	button->region = (struct bus_region){
		.at = config->at, .len = GPIO_BUTTON_LEN, .ops = &ops, .name = "gpio-button",
	};
	pthread_mutex_init(&button->lock, NULL);
	return button;
}

struct gpio_button *gpio_button_free(struct gpio_button *button)
{
	if (!button)
		return NULL;
	pthread_mutex_destroy(&button->lock);
	free(button);
	return NULL;
}

struct bus_region *gpio_button_region(struct gpio_button *button)
{
	return &button->region;
}

void gpio_button_press(struct gpio_button *button)
{
	pthread_mutex_lock(&button->lock);
	move(button, true);
	pthread_mutex_unlock(&button->lock);
}

static const struct state_field fields[] = {
	{ STATE_ONE(struct gpio_button, down) },
	{ STATE_ONE(struct gpio_button, output) },
	{ STATE_ONE(struct gpio_button, direction) },
	{ STATE_ONE(struct gpio_button, sense) },
	{ STATE_ONE(struct gpio_button, both) },
	{ STATE_ONE(struct gpio_button, event) },
	{ STATE_ONE(struct gpio_button, enable) },
	{ STATE_ONE(struct gpio_button, edges) },
	{ STATE_ONE(struct gpio_button, function) },
	STATE_END
};

static const struct state_table table = {
	.name = "gpio-button", .version = 1, .fields = fields,
};

void gpio_button_save(struct gpio_button *button, struct state_writer *writer)
{
	pthread_mutex_lock(&button->lock);
	state_save(writer, &table, 0, button);
	pthread_mutex_unlock(&button->lock);
}

/* Any values will do: each is one that a guest could have written. */
int gpio_button_load(struct gpio_button *button, struct state_reader *reader, struct err *err)
{
	int r;

	pthread_mutex_lock(&button->lock);
	r = state_load(reader, &table, 0, button, err);
	if (!r)
		drive(button);
	pthread_mutex_unlock(&button->lock);
	return r;
}
