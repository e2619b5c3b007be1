/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio.h - what a virtio device is, apart from how the guest reaches it.
 *
 * Three parts meet here and each knows only this header:
 *
 *   a device     virtio-blk, virtio-net ...: a virtio_class and its handlers
 *   the core     status machine, feature negotiation, queues, reset
 *   a transport  virtio-pci: registers, BAR, MSI-X; calls the core only
 *
 * A device is owned by one loop.  Every function of its class runs there and
 * takes no lock.  Register accesses come from vCPU threads; the core keeps
 * them apart and hands over to the owner only to start and to stop.
 *
 * Life of a device:
 *
 *	init --> stopped --start()--> running --stop()--> stopped --> fini
 *
 * stop() returns when nothing is in flight.  Reset, pause and unplug are all
 * made of it, so a device does not know them apart.  The device's stop is
 * called exactly once per successful start.
 *
 * A guest that breaks the rules of its queues gets a device that wants a reset
 * (DEVICE_NEEDS_RESET, virtio 1.2 section 2.1): the core stops serving its
 * queues and the monitor lives on.
 */
#ifndef DEVICES_VIRTIO_VIRTIO_H
#define DEVICES_VIRTIO_VIRTIO_H

#include "base/iov.h"
#include "loop/loop.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct err;
struct guest_mem;
struct state_reader;
struct state_writer;
struct virtio_dev;
struct virtio_transport;
struct virtq;

#define VIRTIO_SEGS_MAX		130	/* 128 pages, a header, a status byte */
#define VIRTIO_QUEUES_MAX	64
#define VIRTIO_QUEUE_SIZE_MAX	1024
#define VIRTIO_CONFIG_MAX	64

/* Device status bits, virtio 1.2 section 2.1. */
#define VIRTIO_STATUS_ACKNOWLEDGE	0x01
#define VIRTIO_STATUS_DRIVER		0x02
#define VIRTIO_STATUS_DRIVER_OK		0x04
#define VIRTIO_STATUS_FEATURES_OK	0x08
#define VIRTIO_STATUS_NEEDS_RESET	0x40
#define VIRTIO_STATUS_FAILED		0x80

/* Feature bits of the core, virtio 1.2 section 6. */
#define VIRTIO_F_INDIRECT_DESC	28
#define VIRTIO_F_EVENT_IDX	29
#define VIRTIO_F_VERSION_1	32

/*
 * One request, copied out of the rings and checked.  Readable and writable are
 * the specification's words and speak of the device.
 */
struct virtio_chain {
	uint16_t head;
	struct iov readable, writable;		/* point into segs */
	struct iovec segs[VIRTIO_SEGS_MAX];	/* readable, then writable */
};

/* Owner, all of them.  Those a device has no use for are NULL. */
struct virtio_class {
	const char *name;		/* "virtio-rng" */
	uint16_t id;			/* device type, section 5 */
	uint16_t queue_size;		/* at most VIRTIO_QUEUE_SIZE_MAX, a power of two */
	uint16_t config_size;		/* bytes, at most VIRTIO_CONFIG_MAX */
	bool polled;			/* who offers one request soon offers the next */

	/* The driver is ready; features are negotiated. */
	int (*start)(struct virtio_dev *dev);

	/* Return when nothing is in flight. */
	void (*stop)(struct virtio_dev *dev);

	/*
	 * Serve the queue: the guest has put something into it.  May be called
	 * without cause.  virtq_pop() ends the call in time.
	 */
	void (*kick)(struct virtio_dev *dev, struct virtq *vq);

	/*
	 * The driver wrote to configuration space; is it to be so?  What is refused
	 * stays as it is, as all does where there is no such function.
	 */
	bool (*write_config)(struct virtio_dev *dev, size_t off, const void *bytes,
			     size_t len);

	/* The device is stopped: forget what the driver of once has set. */
	void (*reset)(struct virtio_dev *dev);

	/*
	 * What is the device's own to keep, as a section of this instance.  It is
	 * stopped, or has just been made.  Any thread but a loop's.
	 */
	void (*save)(const struct virtio_dev *dev, uint32_t instance,
		     struct state_writer *writer);
	int (*load)(struct virtio_dev *dev, uint32_t instance, struct state_reader *reader,
		    struct err *err);

	/*
	 * The requests of a queue that the stopped device has popped and not pushed, into
	 * heads, which has room for all: how many.  Likewise.
	 */
	unsigned (*held)(const struct virtio_dev *dev, unsigned queue, uint16_t *heads);

	/* Free the device; the core has already let go of it. */
	void (*free)(struct virtio_dev *dev);
};

/* What a queue has done since its device was made. */
struct virtq_counts {
	uint64_t kicks;			/* that reached the device */
	uint64_t interrupts;
	uint64_t requests;		/* given back */
	uint64_t packets, bytes, drops;	/* of network cards */
	bool lent;			/* by virtq_lend(): what is done now is not in here */
};

/* What the driver wrote about one queue, section 4.1.4.3. */
struct virtq_setup {
	uint16_t size;
	bool enabled;
	uint64_t desc, driver, device;	/* guest-physical */
};

/* First member of a device's own struct. */
struct virtio_dev {
	const struct virtio_class *class;
	struct guest_mem *mem;
	struct loop *loop;
	uint64_t offered;		/* features; fixed after init */
	uint64_t features;		/* negotiated; valid while running */
	unsigned nr_queues;		/* fixed after init */
	struct virtq **queues;
	bool running;			/* owner's */
	bool config_changed;		/* owner's: since it was stopped */
	bool loaded;			/* owner's: and has not run since */
	_Atomic(bool) broken;		/* NEEDS_RESET */
	struct virtio_transport *transport;

	/* Registers: vCPU threads, under regs_lock, which the owner never takes. */
	pthread_mutex_t regs_lock;
	uint8_t status;
	uint64_t driver_features;
	struct virtq_setup *setup;	/* of each queue */

	/* Configuration space: both sides, held for a moment only. */
	pthread_mutex_t config_lock;
	uint8_t config[VIRTIO_CONFIG_MAX];
	uint8_t config_generation;
};

/* What a transport gives the core; owner. */
struct virtio_transport {
	void (*queue_interrupt)(struct virtio_transport *transport, unsigned queue);
	void (*config_interrupt)(struct virtio_transport *transport);

	/* The eventfd that interrupts for the queue, as it is now; negative: nothing does. */
	int (*queue_eventfd)(struct virtio_transport *transport, unsigned queue);
};

/*
 * For devices.
 */

/*
 * mem and loop outlive dev.  features are the device's own; the core adds its.
 * nr_queues is at most VIRTIO_QUEUES_MAX.  Before start; on failure nothing is to
 * be undone.
 */
int virtio_init(struct virtio_dev *dev, const struct virtio_class *class,
		unsigned nr_queues, uint64_t features, struct guest_mem *mem, struct loop *loop,
		struct err *err);

/* Stops the device if it runs and calls class->free; any thread but a loop's. */
void virtio_free(struct virtio_dev *dev);

static inline bool virtio_has(const struct virtio_dev *dev, unsigned feature)
{
	return dev->features >> feature & 1;
}

/* Change configuration space; tells the driver, once it runs.  Owner or before start. */
void virtio_set_config(struct virtio_dev *dev, size_t off, const void *bytes, size_t len);

/* The driver broke the protocol: stop serving, ask for a reset.  Owner. */
void virtio_break(struct virtio_dev *dev, const char *why);

/*
 * Take the next request.  1 taken; 0 none left, or enough for this turn: the
 * core then calls kick again by itself; -EPROTO when the driver broke the ring:
 * the core has called virtio_break() and the device just returns.
 */
int virtq_pop(struct virtq *vq, struct virtio_chain *chain);

/* Put back the nr requests taken last, to be popped again in another turn. */
void virtq_unpop(struct virtq *vq, unsigned nr);

/*
 * One more has been done of what a turn may do, without a request being taken: false:
 * that is all, and kick is called again in another turn.
 */
bool virtq_spend(struct virtq *vq);

/*
 * Give a request back with the number of bytes written to it.  The guest sees
 * it, and is interrupted if it asked to be, at the end of the loop's turn.
 */
void virtq_push(struct virtq *vq, uint16_t head, uint32_t written);

/* Where that has become a batch, it need not wait for the end of the turn. */
void virtq_flush_batch(struct virtq *vq);

/* Serve the queue for a reason other than a kick.  Does nothing unless running. */
void virtq_run(struct virtq *vq);

/* A queue that somebody else serves: the rings, checked to lie in RAM whole. */
struct virtq_loan {
	uint16_t size, next_avail;
	const void *desc, *avail;
	void *used;
	int kick_fd, call_fd;		/* call_fd: -1: the driver wants no interrupts */
};

/*
 * Leave the queue to somebody else; nothing of it is in flight.  false: the driver has
 * not set it up.  From its class's start on, until the next call or its stop; who has it
 * by then has stopped, with all that he took given back, and next_avail is to be the next.
 */
bool virtq_lend(struct virtq *vq, struct virtq_loan *ret_loan);
void virtq_take_back(struct virtq *vq, uint16_t next_avail);
bool virtq_is_lent(const struct virtq *vq);

unsigned virtq_index(const struct virtq *vq);

/* As many requests as the driver can have offered at a time; while it runs. */
unsigned virtq_size(const struct virtq *vq);

/* For network cards: a packet of so many bytes was moved, or one was lost.  Owner. */
void virtq_count_packet(struct virtq *vq, uint64_t len);
void virtq_count_drop(struct virtq *vq);

/*
 * For transports; vCPU threads, several at once.
 */

uint8_t virtio_status(struct virtio_dev *dev);

/* Section 3.1: may start the device, or reset it (0), before it returns. */
void virtio_set_status(struct virtio_dev *dev, uint8_t status);

/* which: 0 for bits 0 to 31, 1 for 32 to 63; other values read 0, write nothing. */
uint32_t virtio_offered(struct virtio_dev *dev, uint32_t which);
uint32_t virtio_accepted(struct virtio_dev *dev, uint32_t which);
void virtio_accept(struct virtio_dev *dev, uint32_t which, uint32_t features);

/*
 * Stop and go on without the driver's knowledge: virtio_pause() returns when
 * nothing is in flight.  While no vCPU runs; any thread but a loop's.
 */
void virtio_pause(struct virtio_dev *dev);
void virtio_resume(struct virtio_dev *dev);

/*
 * What the driver knows of a device that is stopped, and where its queues stand, as
 * sections of this instance; and the same into a new one.  Features or queues that this
 * device has not are told by -ENOTSUP.  Main.
 */
void virtio_save(struct virtio_dev *dev, uint32_t instance, struct state_writer *writer);
int virtio_load(struct virtio_dev *dev, uint32_t instance, struct state_reader *reader,
		struct err *err);

/*
 * A queue's set-up.  Changes are ignored once the driver is ready or the queue
 * is enabled.  queue is below nr_queues.
 */
struct virtq_setup virtio_setup(struct virtio_dev *dev, unsigned queue);
void virtio_set_setup(struct virtio_dev *dev, unsigned queue,
		      const struct virtq_setup *setup);

/* Bytes beyond the device's configuration read as zero. */
void virtio_read_config(struct virtio_dev *dev, size_t off, void *bytes, size_t len);

/* All of the bytes lie within the configuration, or nothing is done. */
void virtio_write_config(struct virtio_dev *dev, size_t off, const void *bytes, size_t len);

/* Changes with each change of the configuration (section 4.1.4.3.1). */
uint8_t virtio_config_generation(struct virtio_dev *dev);

/* Any thread; of a running device they lag behind. */
struct virtq_counts virtio_counts(const struct virtio_dev *dev, unsigned queue);

/* The eventfd that stands for the driver's notification of the queue. */
int virtio_kick_fd(struct virtio_dev *dev, unsigned queue);

#endif
