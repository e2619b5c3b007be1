// SPDX-License-Identifier: Apache-2.0
#include "devices/pci/pci_port.h"

#include "base/bits.h"
#include "base/bytes.h"
#include "base/err.h"
#include "bus/eventfds.h"
#include "devices/pci/msix.h"
#include "devices/pci/pci_bus.h"
#include "state_round.h"

#include <check.h>
#include <errno.h>
#include <linux/pci.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#define MEM32_AT	UINT64_C(0x10000000)
#define SLOT		3
#define BUS		7		/* what the guest calls the bus behind it */

#define PORT_ID		PCI_DEVFN(SLOT, 0)
#define DEVICE_ID	(BUS << 8)
#define OFF		(PCI_EXP_SLTCTL_PCC | PCI_EXP_SLTCTL_PWR_IND_OFF)
#define ON		PCI_EXP_SLTCTL_PWR_IND_ON
#define BLINKS		PCI_EXP_SLTCTL_PWR_IND_BLINK
#define LISTENS		(PCI_EXP_SLTCTL_HPIE | PCI_EXP_SLTCTL_ABPE | PCI_EXP_SLTCTL_DLLSCE)
#define EVENTS		(PCI_EXP_SLTSTA_ABP | PCI_EXP_SLTSTA_PDC | PCI_EXP_SLTSTA_DLLSC)

static struct bus *mmio;
static struct pci_bus *bus;
static struct pci_port *port;
static struct pci_function device;
static struct msix device_msix;
static unsigned nr_let_go;
static struct msi bound;
static int bound_fd;

static int record_bind(struct eventfds *efds, int fd, const struct msi *msi)
{
	(void)efds;
	bound = *msi;
	bound_fd = fd;
	return 0;
}

static void ignore_unbind(struct eventfds *efds, int fd)
{
	(void)efds, (void)fd;
}

static const struct eventfds_ops efds_ops = {
	.bind_msi = record_bind,
	.unbind_msi = ignore_unbind,
};
static struct eventfds efds = { .ops = &efds_ops };

static void count_let_go(void *ctx, unsigned slot)
{
	(void)ctx;
	ck_assert_uint_eq(slot, SLOT);
	nr_let_go++;
}

static void device_written(struct pci_function *fn, unsigned reg, unsigned size)
{
	(void)fn;
	msix_config_written(&device_msix, reg, size);
}

static const struct pci_ops device_ops = { .write_config = device_written };
static const struct bus_ops no_ops;

static void make(bool on)
{
	static const struct pci_ids ids = { .vendor = 0x1234, .device = 0x5678 };
	const struct pci_port_config config = {
		.efds = &efds, .slot = SLOT, .on = on, .let_go = count_let_go,
	};
	struct pci_port_config c = config;

	nr_let_go = 0;
	bound = (struct msi){ 0 };
	mmio = bus_new();
	bus = pci_bus_new(&(struct pci_bus_config){
		.mmio = mmio, .mem32 = { MEM32_AT, 64 * KiB },
	});
	c.bus = bus;
	port = pci_port_new(&c, NULL);
	ck_assert_ptr_nonnull(port);
	pci_init(&device, &device_ops, &ids);
	pci_add_bar(&device, 0, PCI_BAR_MEM32, 4096, &no_ops, "device");
	ck_assert_int_eq(msix_init(&device_msix, &device, 1, 0, 0, 2048, &efds, NULL), 0);
	if (on)
		ck_assert_int_eq(pci_bus_add(bus, &device, SLOT, NULL), 0);
	ck_assert_int_eq(pci_bus_assign(bus, NULL), 0);
}

static void number_bus(void)
{
	pci_bus_write(bus, PORT_ID, PCI_SECONDARY_BUS, 1, BUS);
}

static void setup(void)
{
	make(false);
	number_bus();
}

static void drop(void)
{
	if (pci_bus_taken(bus, SLOT))
		pci_bus_remove(bus, &device);
	port = pci_port_free(port);
	msix_fini(&device_msix);
	bus = pci_bus_free(bus);
	mmio = bus_free(mmio);
}

static void plug(void)
{
	ck_assert_int_eq(pci_bus_add(bus, &device, SLOT, NULL), 0);
}

/* Offset of a capability of what has this id. */
static unsigned capability(uint16_t id, uint8_t kind)
{
	unsigned at = pci_bus_read(bus, id, PCI_CAPABILITY_LIST, 1);

	while (at && pci_bus_read(bus, id, at, 1) != kind)
		at = pci_bus_read(bus, id, at + 1, 1);
	ck_assert_uint_ne(at, 0);
	return at;
}

static uint32_t get(unsigned reg)
{
	return pci_bus_read(bus, PORT_ID, capability(PORT_ID, PCI_CAP_ID_EXP) + reg, 2);
}

static void set(unsigned reg, uint16_t value)
{
	pci_bus_write(bus, PORT_ID, capability(PORT_ID, PCI_CAP_ID_EXP) + reg, 2, value);
}

/* As a driver does: all events are cleared, and its message let through. */
static void listen(uint16_t state)
{
	unsigned at = capability(PORT_ID, PCI_CAP_ID_MSIX);
	uint64_t bar = pci_bus_read(bus, PORT_ID, PCI_BASE_ADDRESS_0, 4);

	pci_bus_write(bus, PORT_ID, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	bus_write(mmio, bar, 4, 0x1000);
	bus_write(mmio, bar + 8, 4, 0x42);
	bus_write(mmio, bar + 12, 4, 0);
	pci_bus_write(bus, PORT_ID, at + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
	set(PCI_EXP_SLTSTA, EVENTS);
	set(PCI_EXP_SLTCTL, LISTENS | state);
}

/* Messages since it was last asked. */
static uint64_t messages(void)
{
	struct pollfd ready = { .fd = bound_fd, .events = POLLIN };
	uint64_t nr = 0;

	if (poll(&ready, 1, 0))
		ck_assert_int_eq(read(bound_fd, &nr, sizeof(nr)), sizeof(nr));
	return nr;
}

START_TEST(port_is_a_bridge_with_a_slot_for_hot_plug)
{
	unsigned exp = capability(PORT_ID, PCI_CAP_ID_EXP);
	uint32_t can = pci_bus_read(bus, PORT_ID, exp + PCI_EXP_SLTCAP, 4);

	ck_assert_uint_eq(pci_bus_read(bus, PORT_ID, PCI_HEADER_TYPE, 1), 1);
	ck_assert_uint_eq(pci_bus_read(bus, PORT_ID, PCI_CLASS_DEVICE, 2), 0x0604);
	ck_assert_uint_eq(get(PCI_EXP_FLAGS), 2 | PCI_EXP_TYPE_ROOT_PORT << 4 |
			  PCI_EXP_FLAGS_SLOT);
	ck_assert_uint_eq(can >> 19, SLOT);
	ck_assert_uint_eq(can & PCI_EXP_SLTCAP_HPC, PCI_EXP_SLTCAP_HPC);
}
END_TEST

START_TEST(empty_slot_is_off_and_quiet)
{
	ck_assert_uint_eq(get(PCI_EXP_SLTCTL), OFF);
	ck_assert_uint_eq(get(PCI_EXP_SLTSTA), 0);
	ck_assert_uint_eq(get(PCI_EXP_LNKSTA) & PCI_EXP_LNKSTA_DLLLA, 0);
	ck_assert(!pci_bus_taken(bus, SLOT));
	ck_assert_uint_eq(pci_bus_read(bus, DEVICE_ID, PCI_VENDOR_ID, 4), UINT32_MAX);
}
END_TEST

START_TEST(device_that_comes_is_told_of_once)
{
	listen(OFF);

	plug();

	ck_assert_uint_eq(messages(), 1);
	ck_assert_uint_eq(get(PCI_EXP_SLTSTA),
			  PCI_EXP_SLTSTA_PDS | PCI_EXP_SLTSTA_PDC | PCI_EXP_SLTSTA_DLLSC);
	ck_assert_uint_ne(get(PCI_EXP_LNKSTA) & PCI_EXP_LNKSTA_DLLLA, 0);
	set(PCI_EXP_SLTSTA, PCI_EXP_SLTSTA_PDC);
	ck_assert_uint_eq(messages(), 0);
}
END_TEST

START_TEST(next_event_is_told_of_when_the_last_was_cleared)
{
	listen(OFF);
	plug();
	set(PCI_EXP_SLTSTA, EVENTS);

	pci_bus_remove(bus, &device);

	ck_assert_uint_eq(messages(), 2);
	ck_assert_uint_eq(get(PCI_EXP_SLTSTA), PCI_EXP_SLTSTA_PDC | PCI_EXP_SLTSTA_DLLSC);
}
END_TEST

START_TEST(guest_that_listens_late_is_told)
{
	plug();
	listen(OFF);
	set(PCI_EXP_SLTCTL, OFF);
	pci_bus_remove(bus, &device);

	set(PCI_EXP_SLTCTL, OFF | LISTENS);

	ck_assert_uint_eq(messages(), 1);
}
END_TEST

static void press(void)
{
	pci_port_ask(port);
}

static void pull(void)
{
	pci_bus_remove(bus, &device);
}

static const struct {
	void (*happen)(void);
	uint16_t event, enable;
} events[] = {
	{ press, PCI_EXP_SLTSTA_ABP, PCI_EXP_SLTCTL_ABPE },
	{ pull, PCI_EXP_SLTSTA_PDC, PCI_EXP_SLTCTL_PDCE },
	{ pull, PCI_EXP_SLTSTA_DLLSC, PCI_EXP_SLTCTL_DLLSCE },
};

START_TEST(event_is_told_of_where_its_bit_is_set_and_that_of_all)
{
	const uint16_t enable = events[_i].enable, all = PCI_EXP_SLTCTL_HPIE;
	const uint16_t others = PCI_EXP_SLTCTL_ABPE | PCI_EXP_SLTCTL_PDCE |
				PCI_EXP_SLTCTL_DLLSCE;

	plug();
	listen(ON);
	set(PCI_EXP_SLTCTL, ON);
	events[_i].happen();
	set(PCI_EXP_SLTSTA, EVENTS & ~events[_i].event);

	set(PCI_EXP_SLTCTL, ON | enable);
	ck_assert_uint_eq(messages(), 0);
	set(PCI_EXP_SLTCTL, ON | all | (others & ~enable));
	ck_assert_uint_eq(messages(), 0);
	set(PCI_EXP_SLTCTL, ON | all | enable);
	ck_assert_uint_eq(messages(), 1);
}
END_TEST

START_TEST(device_is_on_the_bus_that_the_guest_numbers)
{
	plug();

	ck_assert_uint_eq(pci_bus_read(bus, DEVICE_ID, PCI_VENDOR_ID, 4), 0x56781234);
	ck_assert_uint_eq(pci_bus_read(bus, DEVICE_ID + 8, PCI_VENDOR_ID, 4), UINT32_MAX);
	ck_assert_uint_eq(pci_bus_read(bus, DEVICE_ID + 1, PCI_VENDOR_ID, 4), UINT32_MAX);
	pci_bus_write(bus, PORT_ID, PCI_SECONDARY_BUS, 1, BUS + 1);
	ck_assert_uint_eq(pci_bus_read(bus, DEVICE_ID, PCI_VENDOR_ID, 4), UINT32_MAX);
	ck_assert_uint_eq(pci_bus_read(bus, DEVICE_ID + 256, PCI_VENDOR_ID, 4), 0x56781234);
	pci_bus_write(bus, PORT_ID, PCI_SECONDARY_BUS, 1, 0);
	ck_assert_uint_eq(pci_bus_read(bus, PORT_ID, PCI_DEVICE_ID, 2), 0x000c);
}
END_TEST

START_TEST(messages_of_the_device_come_from_its_bus)
{
	unsigned at;

	plug();
	at = capability(DEVICE_ID, PCI_CAP_ID_MSIX);
	pci_bus_write(bus, DEVICE_ID, at + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);

	msix_write(&device_msix, 12, 4, 0);

	ck_assert_uint_eq(bound.sender, BUS << 8);
}
END_TEST

START_TEST(firmware_numbers_the_bus)
{
	ck_assert_int_eq(pci_bus_assign(bus, NULL), 0);

	ck_assert_uint_eq(pci_bus_read(bus, PORT_ID, PCI_SECONDARY_BUS, 1), 1);
	ck_assert_uint_eq(pci_bus_read(bus, PORT_ID, PCI_SUBORDINATE_BUS, 1), 1);
}
END_TEST

START_TEST(slot_with_its_device_is_taken)
{
	struct pci_function other;
	static const struct pci_ids ids = { .vendor = 1 };

	pci_init(&other, &device_ops, &ids);
	plug();

	ck_assert(pci_bus_taken(bus, SLOT));
	ck_assert_int_eq(pci_bus_add(bus, &other, SLOT, NULL), -EEXIST);
}
END_TEST

START_TEST(port_behind_a_port_is_refused)
{
	const struct pci_port_config config = {
		.bus = bus, .efds = &efds, .slot = SLOT, .let_go = count_let_go,
	};
	struct err err = { 0 };

	ck_assert_ptr_null(pci_port_new(&config, &err));

	ck_assert_int_eq(err.code, -EEXIST);
}
END_TEST

START_TEST(header_and_bars_of_a_slot_are_those_of_its_device)
{
	uint8_t header[PCI_STD_HEADER_SIZEOF];
	struct pci_bus_bar bar;

	ck_assert(!pci_bus_header(bus, SLOT, header));
	ck_assert(!pci_bus_bar(bus, SLOT, 0, &bar));
	plug();

	ck_assert(pci_bus_header(bus, SLOT, header));
	ck_assert_uint_eq(get_le16(header), 0x1234);
	ck_assert(pci_bus_bar(bus, SLOT, 0, &bar));
	ck_assert_uint_eq(bar.len, 4096);
}
END_TEST

START_TEST(device_of_the_start_is_on)
{
	drop();
	make(true);

	ck_assert_uint_eq(get(PCI_EXP_SLTCTL), ON);
	ck_assert_uint_ne(get(PCI_EXP_SLTSTA) & PCI_EXP_SLTSTA_PDS, 0);
}
END_TEST

START_TEST(asking_presses_the_button)
{
	plug();
	listen(ON);

	pci_port_ask(port);

	ck_assert_uint_eq(get(PCI_EXP_SLTSTA), PCI_EXP_SLTSTA_PDS | PCI_EXP_SLTSTA_ABP);
	ck_assert_uint_eq(messages(), 1);
	ck_assert_uint_eq(nr_let_go, 0);
}
END_TEST

/* A second press would cancel. */
START_TEST(asking_again_while_the_guest_blinks_waits)
{
	plug();
	listen(ON);
	pci_port_ask(port);
	set(PCI_EXP_SLTSTA, EVENTS);
	set(PCI_EXP_SLTCTL, LISTENS | BLINKS);

	pci_port_ask(port);

	ck_assert_uint_eq(get(PCI_EXP_SLTSTA), PCI_EXP_SLTSTA_PDS);
	set(PCI_EXP_SLTCTL, LISTENS | ON);
	ck_assert_uint_eq(get(PCI_EXP_SLTSTA), PCI_EXP_SLTSTA_PDS | PCI_EXP_SLTSTA_ABP);
}
END_TEST

START_TEST(slot_is_let_go_of_when_it_is_off_for_good)
{
	plug();
	listen(ON);

	set(PCI_EXP_SLTCTL, LISTENS | PCI_EXP_SLTCTL_PCC | BLINKS);
	ck_assert_uint_eq(nr_let_go, 0);
	set(PCI_EXP_SLTCTL, LISTENS | OFF);
	ck_assert_uint_eq(nr_let_go, 1);
	set(PCI_EXP_SLTCTL, OFF);
	ck_assert_uint_eq(nr_let_go, 1);
}
END_TEST

START_TEST(light_alone_lets_go_of_nothing)
{
	plug();
	listen(ON);

	set(PCI_EXP_SLTCTL, LISTENS | PCI_EXP_SLTCTL_PWR_IND_OFF);

	ck_assert_uint_eq(nr_let_go, 0);
}
END_TEST

/* Between the guest's two steps the press would be one too many. */
START_TEST(asking_while_the_power_is_off_waits_for_no_button)
{
	plug();
	listen(ON);
	set(PCI_EXP_SLTCTL, LISTENS | BLINKS);
	pci_port_ask(port);

	set(PCI_EXP_SLTCTL, LISTENS | OFF);

	ck_assert_uint_eq(nr_let_go, 1);
	ck_assert_uint_eq(get(PCI_EXP_SLTSTA), PCI_EXP_SLTSTA_PDS);
}
END_TEST

/* Nor is one press two. */
START_TEST(button_is_pressed_once_for_each_time_it_is_asked_for)
{
	plug();
	listen(ON);
	pci_port_ask(port);
	set(PCI_EXP_SLTSTA, EVENTS);

	set(PCI_EXP_SLTCTL, LISTENS | ON);

	ck_assert_uint_eq(get(PCI_EXP_SLTSTA), PCI_EXP_SLTSTA_PDS);
}
END_TEST

START_TEST(slot_that_was_never_on_is_not_let_go_of)
{
	drop();
	make(false);
	plug();

	number_bus();

	ck_assert_uint_eq(nr_let_go, 0);
}
END_TEST

START_TEST(slot_that_is_off_is_let_go_of_at_once)
{
	plug();

	pci_port_ask(port);

	ck_assert_uint_eq(nr_let_go, 1);
}
END_TEST

START_TEST(empty_slot_that_goes_off_is_nobodys_news)
{
	listen(ON);

	set(PCI_EXP_SLTCTL, OFF);

	ck_assert_uint_eq(nr_let_go, 0);
}
END_TEST

START_TEST(device_that_is_gone_is_not_asked_for)
{
	plug();
	listen(BLINKS);
	pci_port_ask(port);
	pci_bus_remove(bus, &device);
	set(PCI_EXP_SLTSTA, EVENTS);

	set(PCI_EXP_SLTCTL, LISTENS | ON);

	ck_assert_uint_eq(get(PCI_EXP_SLTSTA), 0);
}
END_TEST

/* Every byte of the configuration space, all ones and all zeroes. */
START_TEST(hostile_writes_leave_what_is_constant)
{
	unsigned exp = capability(PORT_ID, PCI_CAP_ID_EXP);
	uint8_t before[PCI_CFG_SPACE_SIZE];

	plug();
	for (unsigned reg = 0; reg < PCI_CFG_SPACE_SIZE; reg++)
		before[reg] = (uint8_t)pci_bus_read(bus, PORT_ID, reg, 1);
	for (unsigned reg = 0; reg < PCI_CFG_SPACE_EXP_SIZE; reg += 4) {
		pci_bus_write(bus, PORT_ID, reg, 4, UINT32_MAX);
		pci_bus_write(bus, PORT_ID, reg, 4, 0);
	}

	ck_assert_uint_eq(pci_bus_read(bus, PORT_ID, PCI_VENDOR_ID, 4),
			  get_le32(before + PCI_VENDOR_ID));
	ck_assert_uint_eq(pci_bus_read(bus, PORT_ID, PCI_HEADER_TYPE, 1), 1);
	for (unsigned reg = PCI_EXP_FLAGS; reg < PCI_EXP_DEVCTL; reg++)
		ck_assert_uint_eq(pci_bus_read(bus, PORT_ID, exp + reg, 1), before[exp + reg]);
	for (unsigned reg = PCI_EXP_SLTCAP; reg < PCI_EXP_SLTCTL; reg++)
		ck_assert_uint_eq(pci_bus_read(bus, PORT_ID, exp + reg, 1), before[exp + reg]);
	ck_assert_uint_eq(get(PCI_EXP_SLTSTA), PCI_EXP_SLTSTA_PDS);
	ck_assert_uint_ne(get(PCI_EXP_LNKSTA) & PCI_EXP_LNKSTA_DLLLA, 0);
}
END_TEST

static const struct {
	unsigned reg;
	uint16_t bits;
	bool of_capability;
} takes[] = {
	{ PCI_PRIMARY_BUS, 0xffff, false },			/* and secondary */
	{ PCI_SUBORDINATE_BUS, 0x00ff, false },
	{ PCI_MEMORY_BASE, 0xfff0, false },
	{ PCI_MEMORY_LIMIT, 0xfff0, false },
	{ PCI_IO_BASE, 0, false },
	{ PCI_PREF_MEMORY_BASE, 0xfff1, false },
	{ PCI_PREF_MEMORY_LIMIT, 0xfff1, false },
	{ PCI_PREF_BASE_UPPER32, 0xffff, false },
	{ PCI_PREF_LIMIT_UPPER32, 0xffff, false },
	{ PCI_EXP_SLTCTL, LISTENS | PCI_EXP_SLTCTL_PDCE | PCI_EXP_SLTCTL_PIC |
			  PCI_EXP_SLTCTL_PCC, true },
	{ PCI_EXP_LNKCTL, PCI_EXP_LNKCTL_ASPMC | PCI_EXP_LNKCTL_LD | PCI_EXP_LNKCTL_CCC |
			  PCI_EXP_LNKCTL_ES, true },
};

START_TEST(register_takes_the_bits_that_it_has)
{
	unsigned at = takes[_i].of_capability * capability(PORT_ID, PCI_CAP_ID_EXP) +
		      takes[_i].reg;

	pci_bus_write(bus, PORT_ID, at, 2, 0xffff);

	ck_assert_uint_eq(pci_bus_read(bus, PORT_ID, at, 2), takes[_i].bits);
}
END_TEST

START_TEST(table_of_one_message_is_in_the_bar_and_nothing_else)
{
	uint64_t bar;

	listen(ON);
	bar = pci_bus_read(bus, PORT_ID, PCI_BASE_ADDRESS_0, 4);
	bus_write(mmio, bar + 12, 4, 1);
	bus_write(mmio, bar + 16, 4, UINT32_MAX);

	ck_assert_uint_eq(bus_read(mmio, bar + 8, 4), 0x42);
	ck_assert_uint_eq(bus_read(mmio, bar + 12, 4), 1);
	ck_assert_uint_eq(bus_read(mmio, bar + 16, 4), 0);
}
END_TEST

static void load_into_new(void)
{
	state_round_save(pci_port_save, port);
	drop();
	make(false);
	plug();
	ck_assert_msg(state_round_load(pci_port_load, port) == 0, "%s", round_err.text);
	state_round_forget();
}

START_TEST(saved_port_does_not_tell_again_of_what_it_told)
{
	plug();
	listen(ON);
	pci_port_ask(port);
	load_into_new();

	set(PCI_EXP_SLTCTL, LISTENS | ON);

	ck_assert_uint_eq(get(PCI_EXP_SLTSTA), PCI_EXP_SLTSTA_PDS | PCI_EXP_SLTSTA_ABP);
	ck_assert_uint_eq(messages(), 0);
}
END_TEST

START_TEST(saved_slot_that_is_off_is_not_let_go_of_again)
{
	plug();
	listen(OFF);
	load_into_new();

	set(PCI_EXP_SLTCTL, LISTENS | OFF);

	ck_assert_uint_eq(nr_let_go, 0);
}
END_TEST

START_TEST(saved_slot_that_is_on_is_let_go_of)
{
	plug();
	listen(ON);
	load_into_new();

	set(PCI_EXP_SLTCTL, LISTENS | OFF);

	ck_assert_uint_eq(nr_let_go, 1);
}
END_TEST

START_TEST(saved_port_goes_on_where_it_was)
{
	plug();
	listen(BLINKS);
	pci_port_ask(port);
	load_into_new();

	ck_assert_uint_eq(bound.addr, 0x1000);
	ck_assert_uint_eq(bound.data, 0x42);
	ck_assert_uint_eq(get(PCI_EXP_SLTCTL), LISTENS | BLINKS);
	set(PCI_EXP_SLTCTL, LISTENS | ON);
	ck_assert_uint_eq(get(PCI_EXP_SLTSTA), PCI_EXP_SLTSTA_PDS | PCI_EXP_SLTSTA_ABP);
	ck_assert_uint_eq(messages(), 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pci_port");
	TCase *tc = tcase_create("port");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, drop);
	tcase_add_test(tc, port_is_a_bridge_with_a_slot_for_hot_plug);
	tcase_add_test(tc, empty_slot_is_off_and_quiet);
	tcase_add_test(tc, device_that_comes_is_told_of_once);
	tcase_add_test(tc, next_event_is_told_of_when_the_last_was_cleared);
	tcase_add_test(tc, guest_that_listens_late_is_told);
	tcase_add_loop_test(tc, event_is_told_of_where_its_bit_is_set_and_that_of_all, 0,
			    (int)ARRAY_LEN(events));
	tcase_add_test(tc, device_is_on_the_bus_that_the_guest_numbers);
	tcase_add_test(tc, messages_of_the_device_come_from_its_bus);
	tcase_add_test(tc, firmware_numbers_the_bus);
	tcase_add_test(tc, slot_with_its_device_is_taken);
	tcase_add_test(tc, port_behind_a_port_is_refused);
	tcase_add_test(tc, header_and_bars_of_a_slot_are_those_of_its_device);
	tcase_add_test(tc, device_of_the_start_is_on);
	tcase_add_test(tc, asking_presses_the_button);
	tcase_add_test(tc, asking_again_while_the_guest_blinks_waits);
	tcase_add_test(tc, slot_is_let_go_of_when_it_is_off_for_good);
	tcase_add_test(tc, light_alone_lets_go_of_nothing);
	tcase_add_test(tc, slot_that_was_never_on_is_not_let_go_of);
	tcase_add_test(tc, asking_while_the_power_is_off_waits_for_no_button);
	tcase_add_test(tc, button_is_pressed_once_for_each_time_it_is_asked_for);
	tcase_add_test(tc, slot_that_is_off_is_let_go_of_at_once);
	tcase_add_test(tc, empty_slot_that_goes_off_is_nobodys_news);
	tcase_add_test(tc, device_that_is_gone_is_not_asked_for);
	tcase_add_test(tc, hostile_writes_leave_what_is_constant);
	tcase_add_loop_test(tc, register_takes_the_bits_that_it_has, 0, (int)ARRAY_LEN(takes));
	tcase_add_test(tc, table_of_one_message_is_in_the_bar_and_nothing_else);
	tcase_add_test(tc, saved_port_does_not_tell_again_of_what_it_told);
	tcase_add_test(tc, saved_slot_that_is_off_is_not_let_go_of_again);
	tcase_add_test(tc, saved_slot_that_is_on_is_let_go_of);
	tcase_add_test(tc, saved_port_goes_on_where_it_was);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
