// SPDX-License-Identifier: Apache-2.0
/* When devices can come, go and change. */
#include "machine/hotplug.h"

#include "base/bits.h"
#include "base/err.h"
#include "machine/machine_parts.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static char net[] = "net0", nic[] = "nic";
static struct machine_part part;
static struct machine machine;

static int plug(struct err *err)
{
	const struct machine_plug how = { .id = nic, .back_end = net, .net = true };

	part.device_id = NULL;
	return hotplug_plug(&machine, &how, err);
}

static int unplug(struct err *err)
{
	return hotplug_unplug(&machine, nic, err);
}

static int set_link(struct err *err)
{
	return hotplug_set_link(&machine, net, false, err);
}

static int (*const changes[])(struct err *err) = { plug, unplug, set_link };

static const struct {
	enum machine_state state;
	int code;
	const char *why;
} moments[] = {
	{ MACHINE_INCOMING, -EBUSY, "has not come yet" },
	{ MACHINE_HANDED_OVER, -EPERM, "is being handed over" },
	{ MACHINE_MOVED, -EPERM, "has moved" },
};

/* What the other side knows of them, or is told, would be wrong. */
START_TEST(devices_of_a_vm_on_its_way_are_left_alone)
{
	struct err err = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		part = (struct machine_part){
			.id = net, .device_id = nic, .device.kind = BOARD_NET,
		};
		machine = (struct machine){
			.parts = &part, .state = moments[_i].state,
			/* Nobody looks into it. */
			.board = (struct board *)&machine,
		};

		ck_assert_int_eq(changes[i](&err), moments[_i].code);

		ck_assert_msg(strstr(err.text, moments[_i].why) != NULL, "'%s'", err.text);
		ck_assert_uint_eq(part.asked_ns, 0);
		ck_assert(!part.device.link_down);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("hotplug");
	TCase *tc = tcase_create("moments");
	SRunner *sr;
	int failed;

	tcase_add_loop_test(tc, devices_of_a_vm_on_its_way_are_left_alone, 0,
			    ARRAY_LEN(moments));
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
