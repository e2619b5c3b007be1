// SPDX-License-Identifier: Apache-2.0
/*
 * virtio_blk.c - the block device's configuration and life.
 *
 * The write cache is the host's.  A driver that knows it (CONFIG_WCE) may turn it
 * off and on; one that only knows how to flush has it on; for one that knows
 * neither, every write is durable when it is done (section 5.2.6.2).
 */
#include "blk.h"

#include "base/bits.h"
#include "base/bytes.h"
#include "base/err.h"
#include "state/state.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Configuration, section 5.2.4. */
#define CONFIG_CAPACITY			0
#define CONFIG_SEG_MAX			12
#define CONFIG_BLK_SIZE			20
#define CONFIG_PHYSICAL_EXP		24
#define CONFIG_ALIGNMENT		25
#define CONFIG_MIN_IO			26
#define CONFIG_OPT_IO			28
#define CONFIG_WRITEBACK		32
#define CONFIG_NUM_QUEUES		34
#define CONFIG_DISCARD_SECTORS		36
#define CONFIG_DISCARD_RANGES		40
#define CONFIG_DISCARD_ALIGNMENT	44
#define CONFIG_ZEROES_SECTORS		48
#define CONFIG_ZEROES_RANGES		52
#define CONFIG_ZEROES_UNMAP		56
#define CONFIG_LEN			60

static struct blk *blk_of(struct virtio_dev *dev)
{
	return container_of(dev, struct blk, dev);
}

/* The write cache. */

static void choose_cache(struct blk *blk)
{
	bool flushes = virtio_has(&blk->dev, BLK_F_FLUSH);

	if (!virtio_has(&blk->dev, BLK_F_CONFIG_WCE))
		blk->writeback = flushes;
	else if (blk->cache_set)
		blk->writeback = blk->cache_on;
	else
		blk->writeback = flushes && disk_write_cache(blk->disk);
}

static void tell_cache(struct blk *blk, bool on)
{
	uint8_t byte = on;

	virtio_set_config(&blk->dev, CONFIG_WRITEBACK, &byte, 1);
}

static bool blk_write_config(struct virtio_dev *dev, size_t off, const void *bytes,
			     size_t len)
{
	struct blk *blk = blk_of(dev);
	uint8_t value;

	if (off != CONFIG_WRITEBACK || len != 1)
		return false;
	memcpy(&value, bytes, 1);
	if (value > 1)
		return false;
	blk->cache_set = true;
	blk->cache_on = value;
	choose_cache(blk);
	return true;
}

/* Life while the driver is there. */

static int blk_start(struct virtio_dev *dev)
{
	struct blk *blk = blk_of(dev);

	choose_cache(blk);
	if (virtio_has(dev, BLK_F_CONFIG_WCE) && !blk->cache_set)
		tell_cache(blk, blk->writeback);
	blk_retry_parked(blk);
	return 0;
}

/*
 * What only limits keep waiting does not hold up the stop: it is parked like what has
 * failed, so that the guest gets it when it goes on, and no sooner than without a stop.
 */
static bool is_idle(void *ctx)
{
	const struct blk *blk = ctx;

	disk_withdraw(blk->disk);
	return blk->nr_in_flight == blk->nr_parked;
}

static void blk_stop(struct virtio_dev *dev)
{
	loop_wait(dev->loop, is_idle, blk_of(dev));
}

static void blk_reset(struct virtio_dev *dev)
{
	struct blk *blk = blk_of(dev);

	blk_drop_parked(blk);
	blk->cache_set = false;
	tell_cache(blk, disk_write_cache(blk->disk));
}

static void resized(struct disk_user *user)
{
	struct blk *blk = container_of(user, struct blk, user);
	uint8_t capacity[8];

	put_le64(capacity, disk_size(blk->disk) / BLK_SECTOR);
	virtio_set_config(&blk->dev, CONFIG_CAPACITY, capacity, sizeof(capacity));
}

/* What the driver has set of the cache; the rest follows from disk and features. */
struct blk_state {
	bool cache_set, cache_on;
};

static const struct state_field state_fields[] = {
	{ STATE_ONE(struct blk_state, cache_set) },
	{ STATE_ONE(struct blk_state, cache_on) },
	STATE_END
};

static const struct state_table state_table = {
	.name = "virtio-blk", .version = 1, .fields = state_fields,
};

static void blk_save(const struct virtio_dev *dev, uint32_t instance,
		     struct state_writer *writer)
{
	const struct blk *blk = container_of(dev, struct blk, dev);
	const struct blk_state state = { blk->cache_set, blk->cache_on };

	state_save(writer, &state_table, instance, &state);
}

static int blk_load(struct virtio_dev *dev, uint32_t instance, struct state_reader *reader,
		    struct err *err)
{
	struct blk *blk = blk_of(dev);
	struct blk_state state;
	int r = state_load(reader, &state_table, instance, &state, err);

	if (r < 0)
		return r;
	blk->cache_set = state.cache_set;
	blk->cache_on = state.cache_on;
	if (blk->cache_set)
		tell_cache(blk, blk->cache_on);
	return 0;
}

static void blk_free(struct virtio_dev *dev)
{
	struct blk *blk = blk_of(dev);

	disk_set_user(blk->disk, NULL);
	free(blk);
}

static const struct virtio_class blk_class = {
	.name		= "virtio-blk",
	.id		= 2,
	.queue_size	= BLK_QUEUE_SIZE,
	.config_size	= CONFIG_LEN,
	.polled		= true,
	.start		= blk_start,
	.stop		= blk_stop,
	.kick		= blk_kick,
	.write_config	= blk_write_config,
	.reset		= blk_reset,
	.save		= blk_save,
	.load		= blk_load,
	.held		= blk_held,
	.free		= blk_free,
};

static uint64_t offered(const struct disk *disk)
{
	uint64_t features = BIT64(BLK_F_SEG_MAX) | BIT64(BLK_F_BLK_SIZE) | BIT64(BLK_F_FLUSH) |
			    BIT64(BLK_F_TOPOLOGY) | BIT64(BLK_F_CONFIG_WCE) | BIT64(BLK_F_MQ);

	if (disk_read_only(disk))
		return features | BIT64(BLK_F_RO);
	if (disk_discard_unit(disk))
		features |= BIT64(BLK_F_DISCARD);
	return features | BIT64(BLK_F_WRITE_ZEROES);
}

/* Sizes in logical blocks. */
static void put_topology(uint8_t *config, const struct disk *disk)
{
	struct disk_topology topology = disk_topology(disk);
	uint32_t block = disk_block_size(disk);
	unsigned exp = 0;

	while (exp < 8 && block << exp < topology.physical)
		exp++;
	put_le32(config + CONFIG_BLK_SIZE, block);
	config[CONFIG_PHYSICAL_EXP] = (uint8_t)exp;
	config[CONFIG_ALIGNMENT] = (uint8_t)(topology.offset / block);
	put_le16(config + CONFIG_MIN_IO,
		 (uint16_t)min_u64(topology.min_io / block, UINT16_MAX));
	put_le32(config + CONFIG_OPT_IO, topology.opt_io / block);
}

static void put_config(uint8_t config[CONFIG_LEN], const struct blk *blk)
{
	const struct disk *disk = blk->disk;

	put_le64(config + CONFIG_CAPACITY, disk_size(disk) / BLK_SECTOR);
	put_le32(config + CONFIG_SEG_MAX, VIRTIO_SEGS_MAX - 2);
	put_topology(config, disk);
	config[CONFIG_WRITEBACK] = disk_write_cache(disk);
	put_le16(config + CONFIG_NUM_QUEUES, (uint16_t)blk->dev.nr_queues);
	if (disk_read_only(disk))
		return;
	put_le32(config + CONFIG_ZEROES_SECTORS, BLK_RANGE_SECTORS_MAX);
	put_le32(config + CONFIG_ZEROES_RANGES, BLK_RANGES_MAX);
	if (!disk_discard_unit(disk))
		return;
	config[CONFIG_ZEROES_UNMAP] = 1;
	put_le32(config + CONFIG_DISCARD_SECTORS, BLK_RANGE_SECTORS_MAX);
	put_le32(config + CONFIG_DISCARD_RANGES, BLK_RANGES_MAX);
	put_le32(config + CONFIG_DISCARD_ALIGNMENT, disk_discard_unit(disk) / BLK_SECTOR);
}

int virtio_blk_new(struct virtio_dev **ret_dev, struct disk *disk, const char *serial,
		   unsigned nr_queues, struct guest_mem *mem, struct err *err)
{
	unsigned nr_slots = nr_queues * BLK_QUEUE_SIZE + 1;
	uint8_t config[CONFIG_LEN] = { 0 };
	struct blk *blk;
	int r;

	assert(nr_queues <= VIRTIO_BLK_QUEUES_MAX);
	/* Memory is not touched before a slot is, so most of it is never there. */
	blk = calloc(1, sizeof(*blk) + nr_slots * sizeof(blk->slots[0]));
	if (!blk)
		return err_sys(err, -ENOMEM, "cannot make %s", blk_class.name);
	r = virtio_init(&blk->dev, &blk_class, nr_queues, offered(disk), mem, disk_loop(disk),
			err);
	if (r < 0) {
		free(blk);
		return r;
	}
	blk->disk = disk;
	blk->user.resized = resized;
	disk_set_user(disk, &blk->user);
	if (serial)
		memcpy(blk->serial, serial, strnlen(serial, sizeof(blk->serial)));
	put_config(config, blk);
	virtio_set_config(&blk->dev, 0, config, sizeof(config));
	*ret_dev = &blk->dev;
	return 0;
}
