// SPDX-License-Identifier: Apache-2.0
#include "devices/pci/msix.h"

#include "base/bytes.h"
#include "base/err.h"
#include "bus/eventfds.h"
#include "devices/pci/pci.h"

#include <check.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#define NR_VECTORS	66		/* more than one word of pending bits */
#define BAR		1
#define BAR_LEN		0x2000
#define TABLE		0x0800
#define PBA		0x1000

#define ADDR		UINT64_C(0xfee01000)
#define DATA		0x4041
#define UNMASKED	0
#define MASKED		1

#define ENABLE		PCI_MSIX_FLAGS_ENABLE
#define MASK_ALL	PCI_MSIX_FLAGS_MASKALL

/* What was asked of the machine, in order. */
struct call {
	enum { BIND, UNBIND } what;
	int fd;
	uint64_t addr;
	uint32_t data;
};

static struct call calls[2 * NR_VECTORS];
static unsigned nr_calls;
static int bind_result;
static uint16_t sender;			/* of the last message bound */
static struct pci_function fn;
static struct msix msix;

static int record_bind(struct eventfds *efds, int fd, const struct msi *msi)
{
	(void)efds;
	calls[nr_calls++] = (struct call){ BIND, fd, msi->addr, msi->data };
	sender = msi->sender;
	return bind_result;
}

static void record_unbind(struct eventfds *efds, int fd)
{
	(void)efds;
	calls[nr_calls++] = (struct call){ UNBIND, fd, 0, 0 };
}

static const struct eventfds_ops recording_ops = {
	.bind_msi = record_bind,
	.unbind_msi = record_unbind,
};
static struct eventfds recorder = { .ops = &recording_ops };

static const struct pci_ops no_ops;
static const struct bus_ops no_bus_ops;

static void init_function(void)
{
	static const struct pci_ids ids = { .vendor = 1 };

	pci_init(&fn, &no_ops, &ids);
	pci_add_bar(&fn, BAR, PCI_BAR_MEM32, BAR_LEN, &no_bus_ops, "msix");
}

static void setup(void)
{
	nr_calls = 0;
	bind_result = 0;
	init_function();
	ck_assert_int_eq(msix_init(&msix, &fn, NR_VECTORS, BAR, TABLE, PBA, &recorder, NULL),
			 0);
}

static void teardown(void)
{
	msix_fini(&msix);
}

static void write_control(uint16_t flags)
{
	unsigned reg = msix.cap + PCI_MSIX_FLAGS;

	pci_config_write(&fn, reg, 2, flags);
	msix_config_written(&msix, reg, 2);
}

static uint64_t entry(unsigned vector)
{
	return TABLE + vector * UINT64_C(16);
}

static void write_mask(unsigned vector, uint32_t mask)
{
	msix_write(&msix, entry(vector) + PCI_MSIX_ENTRY_VECTOR_CTRL, 4, mask);
}

static void write_message(unsigned vector, uint64_t addr, uint32_t data)
{
	msix_write(&msix, entry(vector) + PCI_MSIX_ENTRY_LOWER_ADDR, 4, (uint32_t)addr);
	msix_write(&msix, entry(vector) + PCI_MSIX_ENTRY_UPPER_ADDR, 4, addr >> 32);
	msix_write(&msix, entry(vector) + PCI_MSIX_ENTRY_DATA, 4, data);
}

static void open_vector(unsigned vector)
{
	write_message(vector, ADDR, DATA);
	write_mask(vector, UNMASKED);
}

static uint64_t count_of(unsigned vector)
{
	eventfd_t count = 0;

	eventfd_read(msix_fd(&msix, vector), &count);
	return count;
}

START_TEST(capability_tells_the_number_of_vectors_and_where_the_table_is)
{
	ck_assert_uint_eq(pci_config_read(&fn, msix.cap, 1), PCI_CAP_ID_MSIX);
	ck_assert_uint_eq(pci_config_read(&fn, msix.cap + 2u, 2), NR_VECTORS - 1);
	ck_assert_uint_eq(pci_config_read(&fn, msix.cap + 4u, 4), TABLE | BAR);
	ck_assert_uint_eq(pci_config_read(&fn, msix.cap + 8u, 4), PBA | BAR);
}
END_TEST

START_TEST(message_tells_which_function_sends_it)
{
	fn.devfn = 0x28;
	open_vector(0);

	write_control(ENABLE);

	ck_assert_uint_eq(nr_calls, 1);
	ck_assert_uint_eq(sender, 0x28);
}
END_TEST

START_TEST(only_enable_and_function_mask_can_be_written)
{
	for (unsigned reg = 0; reg < 12; reg += 4)
		pci_config_write(&fn, msix.cap + reg, 4, 0xffffffff);

	ck_assert_uint_eq(pci_config_read(&fn, msix.cap + 2u, 2),
			  (NR_VECTORS - 1) | ENABLE | MASK_ALL);
	ck_assert_uint_eq(pci_config_read(&fn, msix.cap + 4u, 4), TABLE | BAR);
	ck_assert_uint_eq(pci_config_read(&fn, msix.cap + 8u, 4), PBA | BAR);
}
END_TEST

START_TEST(every_vector_starts_masked)
{
	for (unsigned v = 0; v < NR_VECTORS; v++)
		ck_assert_uint_eq(msix_read(&msix, entry(v) + 12, 4), MASKED);

	write_control(ENABLE);
	ck_assert_uint_eq(nr_calls, 0);
}
END_TEST

START_TEST(covers_the_table_and_the_pending_bits_only)
{
	ck_assert(!msix_covers(&msix, TABLE - 1));
	ck_assert(msix_covers(&msix, TABLE));
	ck_assert(msix_covers(&msix, TABLE + 16 * NR_VECTORS - 1));
	ck_assert(!msix_covers(&msix, TABLE + 16 * NR_VECTORS));
	ck_assert(!msix_covers(&msix, PBA - 1));
	ck_assert(msix_covers(&msix, PBA));
	ck_assert(msix_covers(&msix, PBA + 15));
	ck_assert(!msix_covers(&msix, PBA + 16));
}
END_TEST

START_TEST(table_reads_back_what_was_written_in_both_widths)
{
	msix_write(&msix, entry(3), 8, UINT64_C(0x11223344fee00000));
	msix_write(&msix, entry(3) + 8, 4, 0x55667788);

	ck_assert_uint_eq(msix_read(&msix, entry(3), 4), 0xfee00000);
	ck_assert_uint_eq(msix_read(&msix, entry(3) + 4, 4), 0x11223344);
	ck_assert_uint_eq(msix_read(&msix, entry(3) + 8, 8), UINT64_C(0x0000000155667788));
}
END_TEST

START_TEST(reserved_bits_of_an_entry_read_as_zero)
{
	msix_write(&msix, entry(0), 8, UINT64_MAX);
	msix_write(&msix, entry(0) + 8, 8, UINT64_MAX);

	ck_assert_uint_eq(msix_read(&msix, entry(0), 8), UINT64_MAX - 3);
	ck_assert_uint_eq(msix_read(&msix, entry(0) + 12, 4), 1);
}
END_TEST

START_TEST(undefined_accesses_read_as_ones_and_write_nothing)
{
	msix_write(&msix, entry(0) + 12, 1, 0);
	msix_write(&msix, entry(0) + 12, 2, 0);
	msix_write(&msix, entry(0) + 10, 4, 0);
	msix_write(&msix, entry(0) + 4, 8, 0);
	msix_write(&msix, TABLE - 8, 8, 0);
	msix_write(&msix, entry(NR_VECTORS), 8, 0);

	ck_assert_uint_eq(msix_read(&msix, entry(0) + 12, 4), MASKED);
	ck_assert_uint_eq(msix_read(&msix, entry(0) + 12, 1), UINT64_MAX);
	ck_assert_uint_eq(msix_read(&msix, entry(0) + 4, 8), UINT64_MAX);
	ck_assert_uint_eq(msix_read(&msix, TABLE - 8, 8), UINT64_MAX);
	ck_assert_uint_eq(msix_read(&msix, PBA + 16, 8), UINT64_MAX);
}
END_TEST

START_TEST(vector_is_bound_once_when_it_is_unmasked)
{
	write_control(ENABLE);
	write_message(2, ADDR, DATA);
	ck_assert_uint_eq(nr_calls, 0);

	write_mask(2, UNMASKED);

	ck_assert_uint_eq(nr_calls, 1);
	ck_assert_int_eq(calls[0].what, BIND);
	ck_assert_int_eq(calls[0].fd, msix_fd(&msix, 2));
	ck_assert_uint_eq(calls[0].addr, ADDR);
	ck_assert_uint_eq(calls[0].data, DATA);
}
END_TEST

START_TEST(masking_unbinds_and_unmasking_binds_again)
{
	write_control(ENABLE);
	open_vector(2);

	write_mask(2, MASKED);
	write_mask(2, UNMASKED);

	ck_assert_uint_eq(nr_calls, 3);
	ck_assert_int_eq(calls[1].what, UNBIND);
	ck_assert_int_eq(calls[1].fd, msix_fd(&msix, 2));
	ck_assert_int_eq(calls[2].what, BIND);
}
END_TEST

START_TEST(new_message_written_under_the_mask_is_bound_whole)
{
	write_control(ENABLE);
	open_vector(2);

	write_mask(2, MASKED);
	write_message(2, ADDR + 0x1000, DATA + 1);
	write_mask(2, UNMASKED);

	ck_assert_uint_eq(nr_calls, 3);
	ck_assert_uint_eq(calls[2].addr, ADDR + 0x1000);
	ck_assert_uint_eq(calls[2].data, DATA + 1);
}
END_TEST

START_TEST(message_changed_without_the_mask_moves_the_binding)
{
	write_control(ENABLE);
	open_vector(2);

	msix_write(&msix, entry(2), 8, ADDR + 0x1000);

	ck_assert_uint_eq(nr_calls, 2);
	ck_assert_int_eq(calls[1].what, BIND);
	ck_assert_uint_eq(calls[1].addr, ADDR + 0x1000);
}
END_TEST

START_TEST(same_values_written_again_bind_nothing)
{
	write_control(ENABLE);
	open_vector(2);

	open_vector(2);
	write_control(ENABLE);

	ck_assert_uint_eq(nr_calls, 1);
}
END_TEST

START_TEST(unmasked_vector_waits_for_msix_to_be_enabled)
{
	open_vector(0);
	ck_assert_uint_eq(nr_calls, 0);

	write_control(ENABLE);

	ck_assert_uint_eq(nr_calls, 1);
	ck_assert_int_eq(calls[0].what, BIND);
}
END_TEST

START_TEST(function_mask_unbinds_all_and_lets_go_of_all)
{
	write_control(ENABLE);
	open_vector(0);
	open_vector(65);

	write_control(ENABLE | MASK_ALL);
	ck_assert_uint_eq(nr_calls, 4);
	ck_assert_int_eq(calls[2].what, UNBIND);
	ck_assert_int_eq(calls[3].what, UNBIND);

	write_control(ENABLE);
	ck_assert_uint_eq(nr_calls, 6);
	ck_assert_int_eq(calls[4].what, BIND);
	ck_assert_int_eq(calls[5].what, BIND);
}
END_TEST

START_TEST(disabling_msix_unbinds)
{
	write_control(ENABLE);
	open_vector(0);

	write_control(0);

	ck_assert_uint_eq(nr_calls, 2);
	ck_assert_int_eq(calls[1].what, UNBIND);
}
END_TEST

START_TEST(control_is_followed_whatever_the_width_of_the_write)
{
	pci_config_write(&fn, msix.cap, 4, (uint32_t)ENABLE << 16);
	msix_config_written(&msix, msix.cap, 4);
	ck_assert(msix.enabled);

	pci_config_write(&fn, msix.cap + 3u, 1, 0);
	msix_config_written(&msix, msix.cap + 3u, 1);
	ck_assert(!msix.enabled);
}
END_TEST

START_TEST(writes_to_other_registers_are_not_taken_for_the_control_word)
{
	put_le16(fn.config + msix.cap + PCI_MSIX_FLAGS, ENABLE);

	msix_config_written(&msix, msix.cap, 2);
	msix_config_written(&msix, msix.cap - 4u, 4);
	msix_config_written(&msix, msix.cap + 4u, 4);

	ck_assert(!msix.enabled);
}
END_TEST

START_TEST(raise_counts_on_the_eventfd_of_the_vector)
{
	write_control(ENABLE);

	msix_raise(&msix, 5);

	ck_assert_uint_eq(count_of(5), 1);
	ck_assert_uint_eq(count_of(4), 0);
}
END_TEST

START_TEST(raise_of_a_vector_that_does_not_exist_is_ignored)
{
	msix_raise(&msix, MSIX_NO_VECTOR);
	msix_raise(&msix, NR_VECTORS);

	for (unsigned v = 0; v < NR_VECTORS; v++)
		ck_assert_uint_eq(count_of(v), 0);
	ck_assert_int_eq(msix_fd(&msix, NR_VECTORS), -EINVAL);
}
END_TEST

START_TEST(raise_of_a_vector_that_is_full_does_not_block)
{
	ck_assert_int_eq(eventfd_write(msix_fd(&msix, 0), UINT64_MAX - 1), 0);

	msix_raise(&msix, 0);

	ck_assert_uint_eq(count_of(0), UINT64_MAX - 1);
}
END_TEST

START_TEST(interrupt_of_a_masked_vector_shows_as_its_pending_bit)
{
	write_control(ENABLE);

	msix_raise(&msix, 1);
	msix_raise(&msix, 33);
	msix_raise(&msix, 65);

	ck_assert_uint_eq(msix_read(&msix, PBA, 8), BIT64(1) | BIT64(33));
	ck_assert_uint_eq(msix_read(&msix, PBA, 4), BIT64(1));
	ck_assert_uint_eq(msix_read(&msix, PBA + 4, 4), BIT64(1));
	ck_assert_uint_eq(msix_read(&msix, PBA + 8, 8), BIT64(1));
	ck_assert_uint_eq(msix_read(&msix, PBA + 12, 4), 0);
}
END_TEST

START_TEST(interrupt_of_an_open_vector_is_not_pending)
{
	write_control(ENABLE);
	open_vector(1);

	msix_raise(&msix, 1);

	ck_assert_uint_eq(msix_read(&msix, PBA, 8), 0);
}
END_TEST

START_TEST(function_mask_makes_interrupts_pending)
{
	write_control(ENABLE);
	open_vector(1);
	write_control(ENABLE | MASK_ALL);

	msix_raise(&msix, 1);

	ck_assert_uint_eq(msix_read(&msix, PBA, 8), BIT64(1));
}
END_TEST

START_TEST(pending_interrupt_is_still_counted_when_its_vector_opens)
{
	write_control(ENABLE);
	msix_raise(&msix, 1);

	open_vector(1);

	ck_assert_uint_eq(nr_calls, 1);
	ck_assert_uint_eq(count_of(1), 1);
}
END_TEST

START_TEST(pending_bits_cannot_be_written)
{
	write_control(ENABLE);
	msix_raise(&msix, 1);

	msix_write(&msix, PBA, 8, 0);

	ck_assert_uint_eq(msix_read(&msix, PBA, 8), BIT64(1));
}
END_TEST

START_TEST(interrupts_from_before_enabling_are_forgotten)
{
	msix_raise(&msix, 1);

	write_control(ENABLE);

	ck_assert_uint_eq(msix_read(&msix, PBA, 8), 0);
}
END_TEST

START_TEST(binding_that_failed_is_tried_again_at_the_next_write)
{
	write_control(ENABLE);
	bind_result = -ENOMEM;
	open_vector(1);

	bind_result = 0;
	write_mask(1, UNMASKED);

	ck_assert_uint_eq(nr_calls, 2);
	ck_assert_int_eq(calls[1].what, BIND);
}
END_TEST

START_TEST(move_that_failed_leaves_no_old_message_bound)
{
	write_control(ENABLE);
	open_vector(1);
	bind_result = -ENOMEM;

	msix_write(&msix, entry(1) + PCI_MSIX_ENTRY_DATA, 4, DATA + 1);

	ck_assert_uint_eq(nr_calls, 3);
	ck_assert_int_eq(calls[2].what, UNBIND);
	msix_raise(&msix, 1);
	ck_assert_uint_eq(msix_read(&msix, PBA, 8), BIT64(1));
}
END_TEST

START_TEST(fini_unbinds_and_closes)
{
	int fd = msix_fd(&msix, 1);

	write_control(ENABLE);
	open_vector(1);

	msix_fini(&msix);

	ck_assert_int_eq(calls[1].what, UNBIND);
	ck_assert_int_lt(eventfd_write(fd, 1), 0);
	setup();
}
END_TEST

START_TEST(too_few_descriptors_fail_with_a_reason_and_leak_none)
{
	struct rlimit limit;
	struct err err;
	struct msix other;
	int before = dup(0);

	close(before);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = (rlim_t)before + 3;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	init_function();

	ck_assert_int_eq(msix_init(&other, &fn, 8, BAR, TABLE, PBA, &recorder, &err), -EMFILE);

	ck_assert_str_eq(err.text, "cannot create the eventfd of MSI-X vector 3 of 8: "
				   "Too many open files");
	ck_assert_int_eq(dup(0), before);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("msix");
	TCase *tc = tcase_create("66 vectors");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, capability_tells_the_number_of_vectors_and_where_the_table_is);
	tcase_add_test(tc, message_tells_which_function_sends_it);
	tcase_add_test(tc, only_enable_and_function_mask_can_be_written);
	tcase_add_test(tc, every_vector_starts_masked);
	tcase_add_test(tc, covers_the_table_and_the_pending_bits_only);
	tcase_add_test(tc, table_reads_back_what_was_written_in_both_widths);
	tcase_add_test(tc, reserved_bits_of_an_entry_read_as_zero);
	tcase_add_test(tc, undefined_accesses_read_as_ones_and_write_nothing);
	tcase_add_test(tc, vector_is_bound_once_when_it_is_unmasked);
	tcase_add_test(tc, masking_unbinds_and_unmasking_binds_again);
	tcase_add_test(tc, new_message_written_under_the_mask_is_bound_whole);
	tcase_add_test(tc, message_changed_without_the_mask_moves_the_binding);
	tcase_add_test(tc, same_values_written_again_bind_nothing);
	tcase_add_test(tc, unmasked_vector_waits_for_msix_to_be_enabled);
	tcase_add_test(tc, function_mask_unbinds_all_and_lets_go_of_all);
	tcase_add_test(tc, disabling_msix_unbinds);
	tcase_add_test(tc, control_is_followed_whatever_the_width_of_the_write);
	tcase_add_test(tc, writes_to_other_registers_are_not_taken_for_the_control_word);
	tcase_add_test(tc, raise_counts_on_the_eventfd_of_the_vector);
	tcase_add_test(tc, raise_of_a_vector_that_does_not_exist_is_ignored);
	tcase_add_test(tc, raise_of_a_vector_that_is_full_does_not_block);
	tcase_add_test(tc, interrupt_of_a_masked_vector_shows_as_its_pending_bit);
	tcase_add_test(tc, interrupt_of_an_open_vector_is_not_pending);
	tcase_add_test(tc, function_mask_makes_interrupts_pending);
	tcase_add_test(tc, pending_interrupt_is_still_counted_when_its_vector_opens);
	tcase_add_test(tc, pending_bits_cannot_be_written);
	tcase_add_test(tc, interrupts_from_before_enabling_are_forgotten);
	tcase_add_test(tc, binding_that_failed_is_tried_again_at_the_next_write);
	tcase_add_test(tc, move_that_failed_leaves_no_old_message_bound);
	tcase_add_test(tc, fini_unbinds_and_closes);
	tcase_add_test(tc, too_few_descriptors_fail_with_a_reason_and_leak_none);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
