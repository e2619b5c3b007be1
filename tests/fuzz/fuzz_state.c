// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_state.c - the saved state of devices, with checksums and lengths put right: what
 * they let pass is what a device has to judge.
 */
#include "base/bits.h"
#include "bus/irq.h"
#include "device/fake_disk.h"
#include "device/fake_netdev.h"
#include "device/rig.h"
#include "devices/acpi_hotplug.h"
#include "devices/acpi_power.h"
#include "devices/gpio_button.h"
#include "devices/pci/pci_host.h"
#include "devices/pci/pci_port.h"
#include "devices/pl031.h"
#include "devices/rtc.h"
#include "devices/uart.h"
#include "devices/virtio/virtio_blk.h"
#include "devices/virtio/virtio_net.h"
#include "devices/virtio/virtio_pci.h"
#include "devices/virtio/virtio_rng.h"
#include "devices/virtio/virtio_vsock.h"
#include "guest_actions.h"
#include "net/vsock_front.h"
#include "state/state.h"
#include "state/stream.h"
#include "unit/stream_repair.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DISK_LEN	(64 * 512)
#define NR_PAIRS	3

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t len);

static void ignore(struct irq *irq, bool level)
{
	(void)irq;
	(void)level;
}

static bool take(void *ctx, uint8_t byte)
{
	(void)ctx;
	(void)byte;
	return true;
}

static struct irq irq = { .set = ignore };

static void load_legacy(struct state_reader *reader)
{
	const struct uart_config uart_config = { .irq = &irq, .backend.send = take };
	const struct rtc_config rtc_config = { 0 };
	const struct acpi_power_config power_config = { .irq = &irq };
	const struct acpi_hotplug_config hotplug_config = { .irq = &irq };
	struct uart *uart = uart_new(&uart_config);
	struct rtc *rtc = rtc_new(&rtc_config);
	struct acpi_power *power = acpi_power_new(&power_config);
	struct acpi_hotplug *hotplug = acpi_hotplug_new(&hotplug_config);

	(void)uart_load(uart, reader, NULL);
	if (!rtc_load(rtc, reader, NULL))
		rtc_fall_back(rtc, UINT64_MAX);
	(void)acpi_power_load(power, reader, NULL);
	(void)acpi_hotplug_load(hotplug, reader, NULL);
	acpi_hotplug_free(hotplug);
	acpi_power_free(power);
	rtc_free(rtc);
	uart_free(uart);
}

static void let_go(void *ctx, unsigned slot)
{
	(void)ctx;
	(void)slot;
}

static void load_port(struct state_reader *reader)
{
	struct rig *rig = guest_actions_rig();
	const struct pci_port_config config = {
		.bus = rig->pci, .efds = &rig->efds, .slot = 5, .let_go = let_go,
	};
	struct pci_port *port = pci_port_new(&config, NULL);

	if (!port)
		abort();
	if (!pci_port_load(port, reader, NULL))
		pci_port_ask(port);
	pci_port_free(port);
}

/* Those of arm64, which are built for both. */
static void load_arm64(struct state_reader *reader)
{
	const struct pl031_config rtc_config = { 0 };
	const struct gpio_button_config button_config = { .irq = &irq };
	struct pl031 *rtc = pl031_new(&rtc_config);
	struct gpio_button *button = gpio_button_new(&button_config);

	if (!pl031_load(rtc, reader, NULL))
		pl031_fall_back(rtc, UINT64_MAX);
	if (!gpio_button_load(button, reader, NULL))
		gpio_button_press(button);
	load_port(reader);
	gpio_button_free(button);
	pl031_free(rtc);
}

static void load_plugged(struct rig *rig, struct virtio_dev *dev, struct state_reader *reader)
{
	rig_plug(rig, dev);
	(void)pci_host_load(rig->host, reader, NULL);
	if (!virtio_pci_load(rig->vp, rig->pci, reader, NULL)) {
		virtio_pci_resume(rig->vp);
		rig_settle(rig);
	}
	rig_unplug(rig);
}

static void load_rng(struct state_reader *reader)
{
	struct rig *rig = guest_actions_rig();
	struct virtio_dev *dev;

	if (virtio_rng_new(&dev, rig->mem, rig->loop, NULL))
		abort();
	load_plugged(rig, dev, reader);
}

static void load_blk(struct state_reader *reader)
{
	static uint8_t bytes[DISK_LEN];
	struct rig *rig = guest_actions_rig();
	struct disk *disk = fake_disk_new(rig->loop, bytes, DISK_LEN, false);
	struct virtio_dev *dev;

	if (virtio_blk_new(&dev, disk, "serial", 1, rig->mem, NULL))
		abort();
	load_plugged(rig, dev, reader);
	fake_disk_free(disk);
}

static void load_net(struct state_reader *reader)
{
	static const struct virtio_net_card config = { .mac = { 2 } };
	struct rig *rig = guest_actions_rig();
	int wire;
	struct netdev *netdev = fake_netdev_new(FAKE_NETDEV_OFFLOADS, 1, &wire);
	struct virtio_dev *dev;

	if (virtio_net_new(&dev, netdev, &config, rig->mem, rig->loop, NULL))
		abort();
	load_plugged(rig, dev, reader);
	netdev_close(netdev);
	close(wire);
}

/* Of several pairs of queues; the driver is told that its guest has moved. */
static void load_pairs(struct state_reader *reader)
{
	static const struct virtio_net_card config = { .mac = { 2 }, .renewed = true };
	struct rig *rig = guest_actions_rig();
	int wires[NR_PAIRS];
	struct netdev *netdev = fake_netdev_new(FAKE_NETDEV_OFFLOADS, NR_PAIRS, wires);
	struct virtio_dev *dev;

	if (virtio_net_new(&dev, netdev, &config, rig->mem, rig->loop, NULL))
		abort();
	rig_plug(rig, dev);
	if (!virtio_pci_load(rig->vp, rig->pci, reader, NULL)) {
		virtio_pci_resume(rig->vp);
		virtio_net_announce(dev);
		rig_settle(rig);
	}
	rig_unplug(rig);
	netdev_close(netdev);
	for (unsigned i = 0; i < NR_PAIRS; i++)
		close(wires[i]);
}

static void load_vsock(struct state_reader *reader)
{
	struct rig *rig = guest_actions_rig();
	char folder[] = "/tmp/vmm-fuzz-XXXXXX", path[64];
	struct vsock_front *front;
	struct virtio_dev *dev;

	if (!mkdtemp(folder))
		abort();
	snprintf(path, sizeof(path), "%s/sock", folder);
	if (vsock_front_open(&front, path, rig->loop, NULL) ||
	    virtio_vsock_new(&dev, front, VIRTIO_VSOCK_CID_MIN, rig->mem, rig->loop, NULL))
		abort();
	load_plugged(rig, dev, reader);
	vsock_front_close(front);
	rmdir(folder);
}

static void load_by(void (*load)(struct state_reader *reader), const uint8_t *stream, size_t len)
{
	struct state_reader *reader;

	if (state_reader_new(&reader, stream, len, NULL))
		return;
	load(reader);
	(void)state_reader_end(reader, NULL);
	state_reader_free(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t len)
{
	uint8_t *stream;

	if (len < STREAM_HEADER_LEN)
		return 0;
	stream = malloc(len);
	memcpy(stream, input, len);
	stream_repair(stream, len);
	load_by(load_legacy, stream, len);
	load_by(load_arm64, stream, len);
	load_by(load_rng, stream, len);
	load_by(load_blk, stream, len);
	load_by(load_net, stream, len);
	load_by(load_pairs, stream, len);
	load_by(load_vsock, stream, len);
	free(stream);
	return 0;
}
