// SPDX-License-Identifier: Apache-2.0
/*
 * test_virtio_state.c - every virtio device can be saved, and a fresh one goes on from
 * there; whatever else a stream says, it does no harm.
 *
 * Each test runs once with each of kinds[].
 */
#include "state/state.h"

#include "base/bytes.h"
#include "base/err.h"
#include "devices/virtio/virtio.h"
#include "devices/virtio/virtio_pci.h"
#include "kind_fixture.h"
#include "memory/guest_mem.h"

#include <check.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* Where a stream has its parts. */
#define HEADER_LEN	64
#define SECTION_LEN_AT	32
#define SECTION_CRC_AT	36
#define SECTION_HEAD	40

static uint8_t *stream;
static size_t len;

static void save(void)
{
	struct state_writer *writer = state_writer_new("test");
	const void *bytes;

	ck_assert_ptr_nonnull(writer);
	virtio_pci_save(rig.vp, writer);
	ck_assert_int_eq(state_writer_end(writer, &bytes, &len), 0);
	free(stream);
	stream = malloc(len);
	memcpy(stream, bytes, len);
	state_writer_free(writer);
}

/* A fresh device of this kind in the place of the old one. */
static void replace(int i)
{
	rig_unplug(&rig);
	if (kinds[i].unplugged)
		kinds[i].unplugged();
	kinds[i].plug(&rig);
}

static int load(void)
{
	struct state_reader *reader;
	struct err err = { 0 };
	int r = state_reader_new(&reader, stream, len, &err);

	if (r < 0)
		return r;
	r = virtio_pci_load(rig.vp, rig.pci, reader, &err);
	if (!r)
		r = state_reader_end(reader, &err);
	ck_assert_msg(r == err.code, "%s", err.text);
	state_reader_free(reader);
	return r;
}

/* From one device to the next. */
static void move(int i)
{
	virtio_pci_pause(rig.vp);
	save();
	replace(i);
	ck_assert_int_eq(load(), 0);
	virtio_pci_resume(rig.vp);
}

START_TEST(loaded_device_goes_on)
{
	start(_i);
	assert_serves();
	driver_move_bar(&driver, RIG_WINDOW_AT + RIG_WINDOW_LEN / 2);

	move(_i);

	ck_assert_uint_eq(driver_status(&driver), DRIVER_READY);
	ck_assert_uint_eq(driver_pci_read(&driver, PCI_BASE_ADDRESS_0, 4),
			  RIG_WINDOW_AT + RIG_WINDOW_LEN / 2);
	assert_serves();
	ck_assert_uint_eq(ring_used_idx(the_ring()), 2);
}
END_TEST

START_TEST(what_was_offered_meanwhile_is_served)
{
	struct vring_used_elem elem;

	start(_i);
	assert_serves();
	virtio_pci_pause(rig.vp);
	send_request();
	ring_kick(the_ring());
	save();
	replace(_i);
	ck_assert_int_eq(load(), 0);

	virtio_pci_resume(rig.vp);

	ck_assert(ring_wait(the_ring(), &elem));
	ck_assert_uint_eq(ring_used_idx(the_ring()), 2);
}
END_TEST

/* One may have been under way to the processors when they were saved. */
START_TEST(interrupt_is_repeated)
{
	start(_i);
	assert_serves();

	move(_i);

	ck_assert_uint_ge(rig_wait_interrupts(&rig, the_ring()->message), 1);
}
END_TEST

/* Whether or not it is repeated, what was pending is. */
START_TEST(interrupt_that_is_masked_is_pending_in_the_loaded_device)
{
	unsigned vector = 1 + kinds[_i].queue;
	uint64_t control;

	start(_i);
	control = driver.msix_table + vector * UINT64_C(16) + PCI_MSIX_ENTRY_VECTOR_CTRL;
	rig_write(&rig, control, 4, PCI_MSIX_ENTRY_CTRL_MASKBIT);
	send_request();
	ring_kick(the_ring());
	while (ring_used_idx(the_ring()) == 0)
		;
	virtio_pci_pause(rig.vp);
	save();
	replace(_i);
	ck_assert_int_eq(load(), 0);

	ck_assert_uint_eq(rig_read(&rig, driver.msix_pba, 8), BIT64(vector));
	ck_assert_uint_eq(rig_take_interrupts(&rig, the_ring()->message), 0);
	rig_write(&rig, control, 4, 0);
	ck_assert_uint_eq(rig_take_interrupts(&rig, the_ring()->message), 1);
}
END_TEST

START_TEST(loaded_device_is_saved_as_it_was)
{
	uint8_t *first;
	size_t first_len;

	start(_i);
	assert_serves();
	virtio_pci_pause(rig.vp);
	save();
	first = stream;
	first_len = len;
	stream = NULL;

	replace(_i);
	free(stream);
	stream = malloc(first_len);
	memcpy(stream, first, first_len);
	len = first_len;
	ck_assert_int_eq(load(), 0);
	save();

	ck_assert_uint_eq(len, first_len);
	ck_assert_mem_eq(stream, first, len);
	free(first);
}
END_TEST

START_TEST(device_without_a_driver_is_loaded_too)
{
	plug(_i);

	move(_i);

	ck_assert_uint_eq(driver_status(&driver), 0);
	ck_assert(driver_start(&driver, 0, RING_SIZE));
	assert_serves();
}
END_TEST

START_TEST(device_that_asked_for_a_reset_still_does)
{
	start(_i);
	ring_set_avail_idx(the_ring(), RING_SIZE + 1);
	ring_kick(the_ring());
	ck_assert(driver_must_reset(&driver));

	move(_i);

	ck_assert_uint_ne(driver_status(&driver) & VIRTIO_CONFIG_S_NEEDS_RESET, 0);
	assert_serves_after_reset();
}
END_TEST

START_TEST(another_kind_of_device_is_refused)
{
	int other = (_i + 1) % KINDS_NR;

	start(_i);
	virtio_pci_pause(rig.vp);
	save();
	rig_unplug(&rig);
	if (kinds[_i].unplugged)
		kinds[_i].unplugged();
	plug(other);

	ck_assert_int_lt(load(), 0);
}
END_TEST

/* What is plugged is of a vmm that makes queues of this size. */
static void resize_queues(uint16_t size)
{
	static struct virtio_class class;
	struct virtio_dev *dev = virtio_pci_device(rig.vp);

	class = *dev->class;
	class.queue_size = size;
	dev->class = &class;
	for (unsigned i = 0; i < dev->nr_queues; i++)
		dev->setup[i].size = size;
}

static uint16_t queue_size(unsigned index)
{
	driver_set(&driver, VIRTIO_PCI_COMMON_Q_SELECT, 2, index);
	return (uint16_t)driver_get(&driver, VIRTIO_PCI_COMMON_Q_SIZE, 2);
}

START_TEST(queues_keep_their_size_where_others_are_made)
{
	static const uint16_t sizes[] = { RING_SIZE, VIRTIO_QUEUE_SIZE_MAX };

	start(_i);
	assert_serves();
	for (size_t k = 0; k < ARRAY_LEN(sizes); k++) {
		virtio_pci_pause(rig.vp);
		save();
		replace(_i);
		resize_queues(sizes[k]);
		ck_assert_int_eq(load(), 0);
		virtio_pci_resume(rig.vp);

		ck_assert_uint_eq(queue_size(kinds[_i].queue), RING_SIZE);
		assert_serves();
	}
	driver_reset(&driver);
	ck_assert_uint_eq(queue_size(kinds[_i].queue), VIRTIO_QUEUE_SIZE_MAX);
	assert_serves_after_reset();
}
END_TEST

START_TEST(queue_that_is_used_cannot_become_smaller)
{
	start(_i);
	virtio_pci_pause(rig.vp);
	save();
	replace(_i);
	resize_queues(RING_SIZE / 2);

	ck_assert_int_eq(load(), -ENOTSUP);
}
END_TEST

START_TEST(queue_that_is_not_used_yet_becomes_smaller)
{
	plug(_i);
	virtio_pci_pause(rig.vp);
	save();
	replace(_i);
	resize_queues(RING_SIZE);
	ck_assert_int_eq(load(), 0);
	virtio_pci_resume(rig.vp);

	ck_assert_uint_eq(queue_size(kinds[_i].queue), RING_SIZE);
	ck_assert(driver_start(&driver, 0, RING_SIZE));
	assert_serves();
}
END_TEST

/* As whoever forges a stream would. */
static void put_checksums(void)
{
	size_t at = HEADER_LEN;

	while (len - at >= SECTION_HEAD) {
		uint8_t *section = stream + at;
		uint32_t fields = get_le32(section + SECTION_LEN_AT), crc;

		if (fields > len - at - SECTION_HEAD)
			return;
		crc = (uint32_t)crc32(0, section, SECTION_CRC_AT);
		crc = (uint32_t)crc32(crc, section + SECTION_HEAD, fields);
		put_le32(section + SECTION_CRC_AT, crc);
		at += SECTION_HEAD + fields;
	}
}

START_TEST(features_that_are_not_offered_are_refused)
{
	static const char name[] = "driver_features";
	uint8_t *value;

	start(_i);
	virtio_pci_pause(rig.vp);
	save();
	value = memmem(stream, len, name, strlen(name));
	ck_assert_ptr_nonnull(value);
	value += strlen(name) + 4;		/* behind the number of elements */
	put_le64(value, get_le64(value) | BIT64(60));
	put_checksums();
	replace(_i);

	ck_assert_int_eq(load(), -ENOTSUP);
}
END_TEST

/* Neither in the load nor in what the device makes of it. */
START_TEST(forged_stream_does_no_harm)
{
	static const uint8_t changes[] = { 0x01, 0x80, 0xff };
	unsigned nr_loaded = 0;
	uint8_t *good;

	start(_i);
	assert_serves();
	virtio_pci_pause(rig.vp);
	save();
	good = malloc(len);
	memcpy(good, stream, len);
	for (size_t i = HEADER_LEN; i < len; i++) {
		memcpy(stream, good, len);
		stream[i] ^= changes[i % 3];
		put_checksums();
		replace(_i);
		if (load() == 0) {
			nr_loaded++;
			virtio_pci_resume(rig.vp);
			rig_settle(&rig);
		}
	}
	memcpy(stream, good, len);
	replace(_i);

	ck_assert_int_eq(load(), 0);
	ck_assert_uint_gt(nr_loaded, 0);
	free(good);
}
END_TEST

/* The log. */

static uint64_t bitmap[RIG_RAM_LEN / GUEST_MEM_PAGE / 64 + 1];
static uint8_t before[RIG_SEAM];

/* What has changed there lies in pages that are marked; returns whether anything has. */
static bool is_logged(uint64_t at, uint64_t part)
{
	const uint8_t *ram = rig_ram(&rig, 0, RIG_SEAM);
	bool changed = false;

	for (uint64_t i = at; i < at + part; i++) {
		uint64_t page = i / GUEST_MEM_PAGE;

		if (ram[i] == before[i])
			continue;
		changed = true;
		ck_assert_msg(bitmap[page / 64] >> page % 64 & 1, "byte %#llx",
			      (unsigned long long)i);
	}
	return changed;
}

START_TEST(all_that_the_device_writes_is_logged)
{
	struct buffer buffers[KIND_BUFFERS_MAX];
	uint8_t *ram = rig_ram(&rig, 0, RIG_SEAM);
	unsigned nr;

	memset(bitmap, 0, sizeof(bitmap));
	start(_i);
	assert_serves();
	virtio_pci_pause(rig.vp);
	ck_assert_int_eq(guest_mem_log_start(rig.mem), 0);
	nr = kind->request(&rig, buffers);
	for (unsigned i = 0; i < nr; i++)
		if (buffers[i].writable)
			memset(ram + buffers[i].at, 0xa5, buffers[i].len);
	memcpy(before, ram, RIG_SEAM);

	virtio_pci_resume(rig.vp);
	assert_serves();
	virtio_pci_pause(rig.vp);
	guest_mem_log_take(rig.mem, bitmap);

	ck_assert(is_logged(the_ring()->used_at, 4 + RING_SIZE * 8 + 2));
	for (unsigned i = 0; i < nr; i++)
		if (buffers[i].writable)
			ck_assert(is_logged(buffers[i].at, buffers[i].len));
	guest_mem_log_stop(rig.mem);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("virtio_state");
	TCase *tc = tcase_create("every device");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, SECONDS_MAX);
	tcase_add_loop_test(tc, loaded_device_goes_on, 0, KINDS_NR);
	tcase_add_loop_test(tc, what_was_offered_meanwhile_is_served, 0, KINDS_NR);
	tcase_add_loop_test(tc, interrupt_is_repeated, 0, KINDS_NR);
	tcase_add_loop_test(tc, interrupt_that_is_masked_is_pending_in_the_loaded_device, 0,
			    KINDS_NR);
	tcase_add_loop_test(tc, loaded_device_is_saved_as_it_was, 0, KINDS_NR);
	tcase_add_loop_test(tc, device_without_a_driver_is_loaded_too, 0, KINDS_NR);
	tcase_add_loop_test(tc, device_that_asked_for_a_reset_still_does, 0, KINDS_NR);
	tcase_add_loop_test(tc, another_kind_of_device_is_refused, 0, KINDS_NR);
	tcase_add_loop_test(tc, features_that_are_not_offered_are_refused, 0, KINDS_NR);
	tcase_add_loop_test(tc, queues_keep_their_size_where_others_are_made, 0, KINDS_NR);
	tcase_add_loop_test(tc, queue_that_is_used_cannot_become_smaller, 0, KINDS_NR);
	tcase_add_loop_test(tc, queue_that_is_not_used_yet_becomes_smaller, 0, KINDS_NR);
	tcase_add_loop_test(tc, forged_stream_does_no_harm, 0, KINDS_NR);
	tcase_add_loop_test(tc, all_that_the_device_writes_is_logged, 0, KINDS_NR);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
