// SPDX-License-Identifier: Apache-2.0
/* The part of machine_state.h about where devices are: what a state may say of it. */
#include "machine/machine_state.h"

#include "base/bits.h"
#include "machine/machine_parts.h"
#include "state_round.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MEMORY		(64 * MiB)
#define HOTPLUG_SLOT	7		/* the only one */
#define FIXED_SLOT	3

/* As they are in a stream. */
enum { DISK = 1, NET = 2, VSOCK = 3, RNG = 4 };

struct place {
	uint8_t kind, slot;
	uint8_t id[VM_CONFIG_NAME_MAX + 1];
};

static const struct state_field place_fields[] = {
	{ STATE_ONE(struct place, kind) },
	{ STATE_ONE(struct place, slot) },
	{ STATE_ARRAY(struct place, id) },
	STATE_END
};

struct layout {
	uint64_t memory;
	uint32_t cpus, hotplug_slots, nr_devices;
	struct place devices[1];
};

static const struct state_field fields[] = {
	{ STATE_ONE(struct layout, memory) },
	{ STATE_ONE(struct layout, cpus) },
	{ STATE_ONE(struct layout, hotplug_slots) },
	{ STATE_STRUCT_LIST(struct layout, devices, nr_devices, place_fields) },
	STATE_END
};

static const struct state_table table = { .name = "machine", .version = 1, .fields = fields };

static struct vm_config vm = { .memory = MEMORY, .cpus = 1 };
static struct machine machine;

static void setup(void)
{
	machine = (struct machine){
		.config = { .vm = &vm }, .rng = { .kind = BOARD_RNG, .slot = -1 },
	};
}

static void save(const struct layout *layout, struct state_writer *writer)
{
	state_save(writer, &table, 0, layout);
}

/* Of a VM with this device only; its checksums are right. */
static void refuses(uint8_t kind, uint8_t slot, const char *why)
{
	const struct layout layout = {
		.memory = MEMORY, .cpus = 1, .hotplug_slots = BIT32(HOTPLUG_SLOT),
		.nr_devices = 1, .devices = { { .kind = kind, .slot = slot, .id = "some" } },
	};

	state_round_save(save, &layout);
	ck_assert_int_eq(state_round_load(machine_state_prepare, &machine), -EINVAL);
	ck_assert_str_eq(round_err.text, why);
}

static const uint8_t movable[] = { DISK, NET };

START_TEST(disk_or_card_in_a_slot_that_is_none_for_hot_plug_is_refused)
{
	refuses(movable[_i], FIXED_SLOT, "state: PCI slot 3 is not one for hot plug, as disks "
		"and cards have");
}
END_TEST

static const uint8_t fixed[] = { VSOCK, RNG };

/* What is refused then is that this machine has other devices. */
START_TEST(other_devices_may_be_in_any_slot)
{
	refuses(fixed[_i], FIXED_SLOT, "rng '': the saved VM has none of that id");
}
END_TEST

START_TEST(disk_or_card_may_be_in_a_slot_for_hot_plug)
{
	refuses(movable[_i], HOTPLUG_SLOT, "rng '': the saved VM has none of that id");
}
END_TEST

START_TEST(slot_that_no_bus_has_is_refused)
{
	refuses(VSOCK, 32, "state: there is no PCI slot 32");
}
END_TEST

static void teardown(void)
{
	state_round_forget();
}

int main(void)
{
	Suite *s = suite_create("machine_layout");
	TCase *tc = tcase_create("slots");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, disk_or_card_in_a_slot_that_is_none_for_hot_plug_is_refused, 0,
			    ARRAY_LEN(movable));
	tcase_add_loop_test(tc, other_devices_may_be_in_any_slot, 0, ARRAY_LEN(fixed));
	tcase_add_loop_test(tc, disk_or_card_may_be_in_a_slot_for_hot_plug, 0,
			    ARRAY_LEN(movable));
	tcase_add_test(tc, slot_that_no_bus_has_is_refused);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
