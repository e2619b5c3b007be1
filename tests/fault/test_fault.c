// SPDX-License-Identifier: Apache-2.0
/*
 * test_fault.c - each allocation fails in turn, until there is none left to fail.
 *
 * A case makes something and frees it.  Whichever allocation fails, it has to say
 * so, and the sanitizer has to find nothing that it left behind.
 */
#include "faults.h"

#include "base/err.h"
#include "block/disk.h"
#include "block/throttle.h"
#include "bus/bus.h"
#include "config/cmdline.h"
#include "config/yaml.h"
#include "console/hub.h"
#include "console/pty.h"
#include "console/stream.h"
#include "console/viewers.h"
#include "device/echo.h"
#include "device/fake_netdev.h"
#include "device/guest_driver.h"
#include "device/rig.h"
#include "devices/pci/pci_bus.h"
#include "devices/pci/pci_host.h"
#include "devices/virtio/virtio_blk.h"
#include "devices/virtio/virtio_net.h"
#include "devices/virtio/virtio_pci.h"
#include "devices/virtio/virtio_rng.h"
#include "devices/virtio/virtio_vsock.h"
#include "loop/loop.h"
#include "memory/guest_mem.h"
#include "net/vsock_front.h"
#include "unit/all_kinds.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DISK_LEN	4096
#define FAULTS_MAX	1000		/* no case needs nearly as many */

/* There before a case begins. */
static struct rig rig;
static char disk_path[] = "/tmp/vmm-test-XXXXXX";
static struct disk *disk;
static struct netdev *netdev;
static int wire;
static struct vsock_front *front;
static char front_path[64];

/* Read-only, so that a case can open it once more. */
static const struct disk_config disk_config = {
	.id = "test", .path = disk_path, .read_only = true,
};

static void setup(void)
{
	int fd = mkstemp(disk_path);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, DISK_LEN), 0);
	close(fd);
	rig_open(&rig, RIG_INLINE);
	netdev = fake_netdev_new(FAKE_NETDEV_OFFLOADS, 1, &wire);
	ck_assert_int_eq(disk_open(&disk, &disk_config, rig.loop, NULL), 0);
	snprintf(front_path, sizeof(front_path), "%s.sock", disk_path);
	ck_assert_int_eq(vsock_front_open(&front, front_path, rig.loop, NULL), 0);
}

static void teardown(void)
{
	vsock_front_close(front);
	disk_close(disk, NULL);
	unlink(disk_path);
	netdev_close(netdev);
	close(wire);
	rig_close(&rig);
}

/* Cases. */

static int make_guest_mem(struct err *err)
{
	struct guest_mem *mem = guest_mem_new();
	int r;

	if (!mem)
		return err_sys(err, -ENOMEM, "guest_mem");
	r = guest_mem_add(mem, 0, disk_path, sizeof(disk_path));
	guest_mem_free(mem);
	return r;
}

static int make_bus(struct err *err)
{
	static const struct bus_ops no_ops;
	struct bus_region regions[20] = { 0 };
	struct bus *bus = bus_new();
	int r = 0;

	if (!bus)
		return err_sys(err, -ENOMEM, "bus");
	for (unsigned i = 0; i < ARRAY_LEN(regions) && !r; i++) {
		regions[i] = (struct bus_region){ .at = i * 16, .len = 16, .ops = &no_ops };
		r = bus_add(bus, &regions[i]);
	}
	bus_free(bus);
	return r ? err_sys(err, r, "bus_add") : 0;
}

static int make_pci(struct err *err)
{
	struct bus *mmio = bus_new();
	struct pci_bus_config config = { .mmio = mmio };
	struct pci_bus *bus = mmio ? pci_bus_new(&config) : NULL;
	struct pci_host_config host_config = { .mmio = mmio, .ecam_at = RIG_ECAM_AT };
	struct pci_host *host = NULL;

	if (bus)
		host = pci_host_new(bus, &host_config, err);
	else
		err_sys(err, -ENOMEM, "pci");
	if (host)
		pci_host_free(host);
	if (bus)
		pci_bus_free(bus);
	if (mmio)
		bus_free(mmio);
	return host ? 0 : -ENOMEM;
}

static int make_loop(struct err *err)
{
	struct loop *loop;
	int r = loop_new(&loop, err);

	if (r < 0)
		return r;
	r = loop_start(loop, "fault", err);
	if (!r)
		loop_stop(loop);
	loop_free(loop);
	return r;
}

static int make_disk(struct err *err)
{
	struct disk *again;
	int r = disk_open(&again, &disk_config, rig.loop, err);

	if (!r)
		disk_close(again, NULL);
	return r;
}

/* Gone with its last disk. */
static int make_throttle(struct err *err)
{
	struct throttle_group *group = throttle_group_new(rig.loop, "group");

	if (!group)
		return err_sys(err, -ENOMEM, "group");
	disk_set_throttle(disk, group);
	disk_set_throttle(disk, NULL);
	return 0;
}

/* dev as a function on the bus, and off again. */
static int make_function(struct virtio_dev *dev, struct err *err)
{
	struct virtio_pci *vp;
	int r = virtio_pci_new(&vp, dev, &rig.efds, err);

	if (r < 0)
		return r;
	r = pci_bus_add(rig.pci, virtio_pci_function(vp), PCI_BUS_ANY_SLOT, err);
	if (!r) {
		r = pci_bus_assign(rig.pci, err);
		pci_bus_remove(rig.pci, virtio_pci_function(vp));
	}
	virtio_pci_free(vp);
	return r;
}

static int make_rng(struct err *err)
{
	struct virtio_dev *dev;
	int r = virtio_rng_new(&dev, rig.mem, rig.loop, err);

	return r < 0 ? r : make_function(dev, err);
}

static int make_blk(struct err *err)
{
	struct virtio_dev *dev;
	int r = virtio_blk_new(&dev, disk, "serial", 2, rig.mem, err);

	return r < 0 ? r : make_function(dev, err);
}

static int make_net(struct err *err)
{
	static const struct virtio_net_card config = { .mac = { 2 } };
	struct virtio_dev *dev;
	int r = virtio_net_new(&dev, netdev, &config, rig.mem, rig.loop, err);

	return r < 0 ? r : make_function(dev, err);
}

static int make_vsock(struct err *err)
{
	struct virtio_dev *dev;
	int r = virtio_vsock_new(&dev, front, 3, rig.mem, rig.loop, err);

	return r < 0 ? r : make_function(dev, err);
}

static struct uart *no_port(void *ctx)
{
	(void)ctx;
	return NULL;
}

static int make_hub(struct hub **hub, struct err *err)
{
	const struct hub_config config = { .loop = rig.loop, .port = no_port };

	return hub_new(hub, &config, err);
}

static int make_console(struct err *err)
{
	struct stream_config config = { .loop = rig.loop, .out_fd = wire };
	struct stream *stream = NULL;
	struct pty *pty = NULL;
	int r = make_hub(&config.hub, err);

	if (r < 0)
		return r;
	r = pty_new(&pty, rig.loop, config.hub, err);
	if (!r)
		r = stream_new(&stream, &config, err);
	stream_free(stream);
	pty_free(pty);
	hub_free(config.hub);
	return r;
}

static const char yaml_text[] =
	"name: test\nmemory: 64M\ncpus: 2\nlog: file.log\nclock:\n  zone: CET\n"
	"image:\n  - path: a.raw\n    serial: one\n  - path: b.raw\n    readonly: true\n";

static int parse_yaml(struct err *err)
{
	struct all_kinds obj = { 0 };
	int r = option_defaults(&all_kinds_options, &obj);

	if (r < 0)
		return err_sys(err, r, "defaults");
	r = yaml_parse(&all_kinds_options, &obj, "test", yaml_text, strlen(yaml_text), err);
	option_fini(&all_kinds_options, &obj);
	return r;
}

static int parse_cmdline(struct err *err)
{
	static const char *const words[] = {
		"vmm", "-m", "64M", "--name=test", "--image", "a.raw,serial=on,,e,readonly",
		"--image=path=b.raw", "--clock", "zone=CET", "rest", "--log", "file.log", NULL,
	};
	char *argv[ARRAY_LEN(words)];
	struct all_kinds obj = { 0 };
	int rest, r = option_defaults(&all_kinds_options, &obj);

	if (r < 0)
		return err_sys(err, r, "defaults");
	memcpy(argv, words, sizeof(words));	/* which is reordered */
	r = cmdline_parse(&all_kinds_options, &obj, ARRAY_LEN(argv) - 1, argv, &rest, err);
	option_fini(&all_kinds_options, &obj);
	return r;
}

static int (*const cases[])(struct err *err) = {
	make_guest_mem,
	make_bus,
	make_pci,
	make_loop,
	make_disk,
	make_throttle,
	make_rng,
	make_blk,
	make_net,
	make_vsock,
	make_console,
	parse_yaml,
	parse_cmdline,
};

/* Run the case with its nr-th allocation failing; false when it has fewer. */
static bool fails_cleanly(int (*run)(struct err *err), unsigned nr)
{
	struct err err = { 0 };
	bool failed;
	int r;

	faults_arm(nr);
	r = run(&err);
	failed = faults_disarm();

	ck_assert_msg(failed == (r < 0), "allocation %u: %d", nr, r);
	ck_assert_msg(!failed || err.text[0], "allocation %u: no reason given", nr);
	return failed;
}

START_TEST(each_allocation_may_fail)
{
	unsigned nr = 0;

	while (nr < FAULTS_MAX && fails_cleanly(cases[_i], nr))
		nr++;

	ck_assert_uint_gt(nr, 0);
	ck_assert_uint_lt(nr, FAULTS_MAX);
}
END_TEST

/* What fails when the guest starts its driver is the guest's to see. */
START_TEST(device_without_memory_to_start_asks_for_a_reset)
{
	struct driver driver;
	unsigned nr = 0;

	rig_plug(&rig, &echo_new(rig.mem, rig.loop)->dev);
	ck_assert(driver_find(&driver, &rig, ECHO_TYPE));
	for (bool failed = true; failed; nr++) {
		bool started;

		faults_arm(nr);
		started = driver_start(&driver, 0, 8);
		failed = faults_disarm();
		ck_assert_int_eq(started, !failed);
		ck_assert_int_eq(!!(driver_status(&driver) & VIRTIO_CONFIG_S_NEEDS_RESET),
				 failed);
		ck_assert(driver_start(&driver, 0, 8));
	}

	ck_assert_uint_gt(nr, ECHO_QUEUES);
}
END_TEST

/* The folder need not be locked, so without memory for that it may succeed. */
START_TEST(viewers_without_memory_leave_no_socket)
{
	char path[] = "/tmp/vmm-test-viewers-XXXXXX";
	struct viewers_config config = { .loop = rig.loop, .path = path };
	int fd = mkstemp(path);
	unsigned nr = 0;

	close(fd);
	unlink(path);
	ck_assert_int_eq(make_hub(&config.hub, NULL), 0);
	for (bool failed = true; failed; nr++) {
		struct viewers *viewers = NULL;
		struct err err = { 0 };
		int r;

		faults_arm(nr);
		r = viewers_new(&viewers, &config, &err);
		failed = faults_disarm();
		ck_assert(!r || (failed && err.text[0]));
		viewers_free(viewers);
		ck_assert_int_ne(access(path, F_OK), 0);
	}

	ck_assert_uint_gt(nr, 2);
	hub_free(config.hub);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fault");
	TCase *tc = tcase_create("allocations");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, each_allocation_may_fail, 0, ARRAY_LEN(cases));
	tcase_add_test(tc, device_without_memory_to_start_asks_for_a_reset);
	tcase_add_test(tc, viewers_without_memory_leave_no_socket);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
