// SPDX-License-Identifier: Apache-2.0
/*
 * core_state.c - what a driver knows of its virtio device.
 *
 * Configuration space is saved for comparison only: the new device has its own, with
 * what the driver has set in it brought back by the class.  Where it reads differently
 * all the same, as after a disk has grown, the driver is told as of any other change.
 */
#include "devices/virtio/virtio.h"

#include "base/bits.h"
#include "base/err.h"
#include "queue.h"
#include "state/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct queue_state {
	uint16_t size;
	bool enabled;
	uint64_t desc, driver, device;
	struct virtq_position position;
};

struct core_state {
	uint16_t id;			/* device type */
	uint8_t status;
	bool broken;
	uint64_t driver_features;
	uint8_t generation;
	uint32_t nr_config;
	uint8_t config[VIRTIO_CONFIG_MAX];
	uint32_t nr_queues;
	struct queue_state queues[VIRTIO_QUEUES_MAX];
};

static const struct state_field queue_fields[] = {
	{ STATE_ONE(struct queue_state, size) },
	{ STATE_ONE(struct queue_state, enabled) },
	{ STATE_ONE(struct queue_state, desc) },
	{ STATE_ONE(struct queue_state, driver) },
	{ STATE_ONE(struct queue_state, device) },
	{ STATE_ONE(struct queue_state, position.next_avail) },
	{ STATE_ONE(struct queue_state, position.next_used) },
	{ STATE_LIST(struct queue_state, position.held, position.nr_held) },
	STATE_END
};

static const struct state_field fields[] = {
	{ STATE_ONE(struct core_state, id) },
	{ STATE_ONE(struct core_state, status) },
	{ STATE_ONE(struct core_state, broken) },
	{ STATE_ONE(struct core_state, driver_features) },
	{ STATE_ONE(struct core_state, generation) },
	{ STATE_LIST(struct core_state, config, nr_config) },
	{ STATE_STRUCT_LIST(struct core_state, queues, nr_queues, queue_fields) },
	STATE_END
};

static const struct state_table table = {
	.name = "virtio", .version = 1, .fields = fields,
};

static void save_queue(const struct virtio_dev *dev, unsigned i, struct queue_state *state)
{
	const struct virtq_setup *setup = &dev->setup[i];
	struct virtq_position *at = &state->position;

	state->size = setup->size;
	state->enabled = setup->enabled;
	state->desc = setup->desc;
	state->driver = setup->driver;
	state->device = setup->device;
	virtq_get_position(dev->queues[i], at);
	if (dev->class->held)
		at->nr_held += dev->class->held(dev, i, at->held + at->nr_held);
}

void virtio_save(struct virtio_dev *dev, uint32_t instance, struct state_writer *writer)
{
	struct core_state *state = calloc(1, sizeof(*state));

	if (!state) {
		state_fail(writer, -ENOMEM);
		return;
	}
	state->id = dev->class->id;
	state->status = dev->status;
	state->broken = dev->broken;
	state->driver_features = dev->driver_features;
	state->generation = dev->config_generation;
	state->nr_config = dev->class->config_size;
	memcpy(state->config, dev->config, dev->class->config_size);
	state->nr_queues = dev->nr_queues;
	for (unsigned i = 0; i < dev->nr_queues; i++)
		save_queue(dev, i, &state->queues[i]);
	state_save(writer, &table, instance, state);
	free(state);
	if (dev->class->save)
		dev->class->save(dev, instance, writer);
}

/* Only devices that hold requests can have been saved with some. */
static int check_queue(const struct virtio_dev *dev, const struct queue_state *queue,
		       unsigned i, struct err *err)
{
	const char *name = dev->class->name;

	if (queue->position.nr_held > (dev->class->held ? queue->size : 0U))
		return err_set(err, -EINVAL, "state: %s: queue %u cannot hold %u requests", name,
			       i, queue->position.nr_held);
	if (queue->enabled && queue->size > dev->class->queue_size)
		return err_set(err, -ENOTSUP, "%s: the guest uses queue %u with %u entries, and "
			       "this vmm makes %u at most: it takes one that makes more", name, i,
			       queue->size, dev->class->queue_size);
	return 0;
}

static int check(const struct virtio_dev *dev, const struct core_state *state,
		 struct err *err)
{
	const char *name = dev->class->name;
	uint64_t lacks = state->driver_features & ~dev->offered;
	int r = 0;

	if (state->id != dev->class->id)
		return err_set(err, -EINVAL, "the saved device is not a %s", name);
	if (lacks)
		return err_set(err, -ENOTSUP, "%s: the guest uses features that it does not have "
			       "here (feature bits %#llx): give it a back end that has them",
			       name, (unsigned long long)lacks);
	if (state->nr_queues != dev->nr_queues)
		return err_set(err, -ENOTSUP, "%s: the guest knows it with %u queues, here it "
			       "has %u: set queues= as it was", name, state->nr_queues,
			       dev->nr_queues);
	for (uint32_t i = 0; i < state->nr_queues && !r; i++)
		r = check_queue(dev, &state->queues[i], i, err);
	return r;
}

static int take_over(struct virtio_dev *dev, const struct core_state *state, struct err *err)
{
	dev->status = state->status;
	dev->broken = state->broken;
	dev->driver_features = state->driver_features;
	dev->features = state->driver_features;
	dev->loaded = true;
	for (uint32_t i = 0; i < state->nr_queues; i++) {
		const struct queue_state *queue = &state->queues[i];
		int r = virtq_set_position(dev->queues[i], &queue->position);

		if (r < 0)
			return err_sys(err, r, "%s", dev->class->name);
		/* What a driver has yet to choose is what can be here. */
		dev->setup[i] = (struct virtq_setup){
			.size = (uint16_t)min_u64(queue->size, dev->class->queue_size),
			.enabled = queue->enabled,
			.desc = queue->desc,
			.driver = queue->driver,
			.device = queue->device,
		};
	}
	return 0;
}

static void compare_config(struct virtio_dev *dev, const struct core_state *state)
{
	bool same = state->nr_config == dev->class->config_size &&
		    !memcmp(state->config, dev->config, state->nr_config);

	dev->config_generation = (uint8_t)(state->generation + !same);
}

int virtio_load(struct virtio_dev *dev, uint32_t instance, struct state_reader *reader,
		struct err *err)
{
	struct core_state *state = malloc(sizeof(*state));	/* loading fills what is used */
	int r;

	if (!state)
		return err_sys(err, -ENOMEM, "%s", dev->class->name);
	r = state_load(reader, &table, instance, state, err);
	if (!r)
		r = check(dev, state, err);
	if (!r)
		r = take_over(dev, state, err);
	if (!r && dev->class->load)
		r = dev->class->load(dev, instance, reader, err);
	if (!r)
		compare_config(dev, state);
	free(state);
	return r;
}
