// SPDX-License-Identifier: Apache-2.0
/*
 * test_virtio_lend.c - a queue that somebody else serves for a while, as vhost does: here
 * the test itself, by what it was lent.
 */
#include "devices/virtio/virtio.h"

#include "base/bits.h"
#include "guest_driver.h"
#include "rig.h"

#include <check.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#define TYPE	63			/* no device of the specification */
#define SIZE	8
#define NR	(3 * SIZE)		/* several times round the ring */
#define DATA_AT	DRIVER_FREE_AT
#define LEN	16

struct lender {
	struct virtio_dev dev;
	bool lends;
	bool has_lent;			/* what virtq_lend() said */
	struct virtq_loan loan;		/* next_avail: the borrower's */
};

static struct rig rig;
static struct driver driver;
static struct lender *lender;
static struct ring *ring;

static int lender_start(struct virtio_dev *dev)
{
	struct lender *l = container_of(dev, struct lender, dev);

	l->has_lent = l->lends && virtq_lend(dev->queues[0], &l->loan);
	return 0;
}

static void lender_stop(struct virtio_dev *dev)
{
	const struct lender *l = container_of(dev, struct lender, dev);

	if (virtq_is_lent(dev->queues[0]))
		virtq_take_back(dev->queues[0], l->loan.next_avail);
}

static void lender_kick(struct virtio_dev *dev, struct virtq *vq)
{
	struct virtio_chain chain;

	(void)dev;
	while (virtq_pop(vq, &chain) > 0)
		virtq_push(vq, chain.head, 1);
}

static void lender_free(struct virtio_dev *dev)
{
	free(container_of(dev, struct lender, dev));
}

static const struct virtio_class lender_class = {
	.name		= "lender",
	.id		= TYPE,
	.queue_size	= SIZE,
	.start		= lender_start,
	.stop		= lender_stop,
	.kick		= lender_kick,
	.free		= lender_free,
};

static void setup(void)
{
	rig_open(&rig, RIG_THREAD);
	lender = calloc(1, sizeof(*lender));
	ck_assert_ptr_nonnull(lender);
	lender->lends = true;
	ck_assert_int_eq(virtio_init(&lender->dev, &lender_class, 1, 0, rig.mem, rig.loop, NULL),
			 0);
	rig_plug(&rig, &lender->dev);
	ck_assert(driver_find(&driver, &rig, TYPE));
	ring = &driver.rings[0];
}

static void teardown(void)
{
	rig_close(&rig);
}

static void start(void)
{
	ck_assert(driver_start(&driver, DRIVER_CORE_FEATURES, SIZE));
}

static void offer(void)
{
	const struct buffer buffer = { DATA_AT, LEN, true };

	ck_assert(ring_send(ring, &buffer, 1));
	ring_kick(ring);
}

/* The borrower: gives back the next request, which there must be. */
static void serve_one(void)
{
	struct virtq_loan *loan = &lender->loan;
	const struct vring_avail *avail = loan->avail;
	struct vring_used *used = loan->used;
	uint16_t at = loan->next_avail++ % loan->size;

	used->ring[at] = (struct vring_used_elem){ avail->ring[at], 2 };
	__atomic_store_n(&used->idx, loan->next_avail, __ATOMIC_SEQ_CST);
	ck_assert_int_eq(eventfd_write(loan->call_fd, 1), 0);
}

static void assert_served_by(unsigned whom)
{
	struct vring_used_elem elem;

	ck_assert(ring_wait(ring, &elem));
	ck_assert_uint_eq(elem.len, whom);
}

enum { DEVICE = 1, BORROWER };

START_TEST(queue_that_is_lent_is_not_served_by_its_device)
{
	start();
	ck_assert(lender->has_lent);

	offer();
	rig_settle(&rig);

	ck_assert_uint_eq(ring_used_idx(ring), 0);
	ck_assert(virtio_counts(&lender->dev, 0).lent);
	ck_assert_uint_eq(virtio_counts(&lender->dev, 0).kicks, 0);
}
END_TEST

START_TEST(borrower_hears_kicks_and_interrupts_by_the_vector)
{
	eventfd_t count;

	start();
	offer();
	ck_assert_int_eq(eventfd_read(lender->loan.kick_fd, &count), 0);

	serve_one();

	ck_assert_uint_eq(rig_wait_interrupts(&rig, ring->message), 1);
	assert_served_by(BORROWER);
}
END_TEST

START_TEST(device_goes_on_where_the_borrower_stopped)
{
	start();
	for (unsigned i = 0; i < NR; i++) {
		offer();
		serve_one();
		assert_served_by(BORROWER);
	}
	offer();
	virtio_pause(&lender->dev);
	lender->lends = false;

	virtio_resume(&lender->dev);

	assert_served_by(DEVICE);
	ck_assert_uint_eq(ring_used_idx(ring), NR + 1);
	ck_assert(!virtio_counts(&lender->dev, 0).lent);
}
END_TEST

START_TEST(borrower_goes_on_where_the_device_stopped)
{
	lender->lends = false;
	start();
	for (unsigned i = 0; i < NR; i++) {
		offer();
		assert_served_by(DEVICE);
	}
	virtio_pause(&lender->dev);
	lender->lends = true;

	virtio_resume(&lender->dev);

	ck_assert_uint_eq(lender->loan.next_avail, NR);
	offer();
	serve_one();
	assert_served_by(BORROWER);
}
END_TEST

START_TEST(reset_begins_anew)
{
	start();
	offer();
	serve_one();
	driver_reset(&driver);
	ck_assert(!virtio_counts(&lender->dev, 0).lent);

	rig_clear_ram(&rig);
	start();

	ck_assert_uint_eq(lender->loan.next_avail, 0);
	offer();
	serve_one();
	assert_served_by(BORROWER);
}
END_TEST

START_TEST(queue_that_is_not_set_up_cannot_be_lent)
{
	driver_reset(&driver);
	ck_assert(driver_negotiate(&driver, DRIVER_CORE_FEATURES));

	driver_set_status(&driver, DRIVER_READY);

	ck_assert_uint_eq(driver_status(&driver), DRIVER_READY);
	ck_assert(!lender->has_lent);
}
END_TEST

START_TEST(queue_without_a_vector_interrupts_nobody)
{
	driver_reset(&driver);
	ck_assert(driver_negotiate(&driver, DRIVER_CORE_FEATURES));
	driver_add_ring(&driver, 0, SIZE);
	driver_set(&driver, VIRTIO_PCI_COMMON_Q_MSIX, 2, VIRTIO_MSI_NO_VECTOR);

	driver_set_status(&driver, DRIVER_READY);

	ck_assert(lender->has_lent);
	ck_assert_int_eq(lender->loan.call_fd, -1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("virtio_lend");
	TCase *tc = tcase_create("a queue is lent");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, queue_that_is_lent_is_not_served_by_its_device);
	tcase_add_test(tc, borrower_hears_kicks_and_interrupts_by_the_vector);
	tcase_add_test(tc, device_goes_on_where_the_borrower_stopped);
	tcase_add_test(tc, borrower_goes_on_where_the_device_stopped);
	tcase_add_test(tc, reset_begins_anew);
	tcase_add_test(tc, queue_that_is_not_set_up_cannot_be_lent);
	tcase_add_test(tc, queue_without_a_vector_interrupts_nobody);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
