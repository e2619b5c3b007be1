// SPDX-License-Identifier: Apache-2.0
/*
 * pci_port.c - registers of a bridge with a slot, and the message that tells of events.
 *
 * The registers are the state; follow() looks at them after each change.
 */
#include "devices/pci/pci_port.h"

#include "base/bits.h"
#include "base/bytes.h"
#include "base/err.h"
#include "devices/pci/msix.h"
#include "devices/pci/pci.h"
#include "devices/pci/pci_bus.h"
#include "state/state.h"

#include <errno.h>
#include <linux/pci.h>
#include <stdlib.h>

#define EXP_LEN		0x3c		/* of the capability, version 2 */
#define BAR_LEN		4096		/* of the MSI-X table and its pending bits */
#define PBA_OFF		2048

#define CLASS_BRIDGE	0x060400
#define WINDOW		0xfff0		/* the address bits of a bridge's window */

/* Slot number in the slot capabilities, port number in the link capabilities. */
#define SLOT_SHIFT	19
#define PORT_SHIFT	24

#define SLOT_CAN (PCI_EXP_SLTCAP_ABP | PCI_EXP_SLTCAP_PCP | PCI_EXP_SLTCAP_PIP | \
		  PCI_EXP_SLTCAP_HPS | PCI_EXP_SLTCAP_HPC | PCI_EXP_SLTCAP_NCCS)
#define CONTROL_WRITABLE (PCI_EXP_SLTCTL_ABPE | PCI_EXP_SLTCTL_PDCE | PCI_EXP_SLTCTL_HPIE | \
			  PCI_EXP_SLTCTL_PIC | PCI_EXP_SLTCTL_PCC | PCI_EXP_SLTCTL_DLLSCE)
#define EVENTS (PCI_EXP_SLTSTA_ABP | PCI_EXP_SLTSTA_PDC | PCI_EXP_SLTSTA_DLLSC)
#define LINK_WRITABLE (PCI_EXP_LNKCTL_ASPMC | PCI_EXP_LNKCTL_LD | PCI_EXP_LNKCTL_CCC | \
		       PCI_EXP_LNKCTL_ES)
#define DEVICE_WRITABLE 0x78ff		/* errors to report, sizes, ordering */

struct pci_port {
	struct pci_function fn;
	struct pci_port_config config;
	struct msix msix;
	uint8_t exp;			/* offset of the capability */
	bool asks;			/* the button is pressed as soon as that helps */
	bool off;			/* the guest has let go, and was heard */
	bool signalled;			/* events that it listens to are there, and it was told */
};

static uint8_t *at(struct pci_port *port, unsigned reg)
{
	return port->fn.config + port->exp + reg;
}

static uint16_t control(struct pci_port *port)
{
	return get_le16(at(port, PCI_EXP_SLTCTL));
}

static void set_status(struct pci_port *port, uint16_t clear, uint16_t set)
{
	uint16_t status = get_le16(at(port, PCI_EXP_SLTSTA));

	put_le16(at(port, PCI_EXP_SLTSTA), (uint16_t)((status & ~clear) | set));
}

static bool occupied(struct pci_port *port)
{
	return get_le16(at(port, PCI_EXP_SLTSTA)) & PCI_EXP_SLTSTA_PDS;
}

static bool powered(struct pci_port *port)
{
	return !(control(port) & PCI_EXP_SLTCTL_PCC);
}

static unsigned indicator(struct pci_port *port)
{
	return control(port) & PCI_EXP_SLTCTL_PIC;
}

/* Each event has a bit in status and one, elsewhere for the link, to enable it. */
static bool has_news(struct pci_port *port)
{
	uint16_t status = get_le16(at(port, PCI_EXP_SLTSTA)), wanted = control(port);

	return wanted & PCI_EXP_SLTCTL_HPIE &&
	       ((status & PCI_EXP_SLTSTA_ABP && wanted & PCI_EXP_SLTCTL_ABPE) ||
		(status & PCI_EXP_SLTSTA_PDC && wanted & PCI_EXP_SLTCTL_PDCE) ||
		(status & PCI_EXP_SLTSTA_DLLSC && wanted & PCI_EXP_SLTCTL_DLLSCE));
}

static void follow(struct pci_port *port)
{
	bool off = !powered(port) && indicator(port) == PCI_EXP_SLTCTL_PWR_IND_OFF;
	bool was_off = port->off, news;

	port->off = off;
	if (off && !was_off && occupied(port))
		port->config.let_go(port->config.ctx, port->config.slot);
	if (port->asks && powered(port) && indicator(port) != PCI_EXP_SLTCTL_PWR_IND_BLINK) {
		port->asks = false;
		set_status(port, 0, PCI_EXP_SLTSTA_ABP);
	}
	news = has_news(port);
	if (news && !port->signalled)
		msix_raise(&port->msix, 0);
	port->signalled = news;
}

static void on_written(struct pci_function *fn, unsigned reg, unsigned size)
{
	struct pci_port *port = container_of(fn, struct pci_port, fn);

	msix_config_written(&port->msix, reg, size);
	follow(port);
}

static void on_occupied(struct pci_function *fn, bool there)
{
	struct pci_port *port = container_of(fn, struct pci_port, fn);
	uint16_t link = get_le16(at(port, PCI_EXP_LNKSTA)) & (uint16_t)~PCI_EXP_LNKSTA_DLLLA;

	put_le16(at(port, PCI_EXP_LNKSTA), there ? link | PCI_EXP_LNKSTA_DLLLA : link);
	set_status(port, PCI_EXP_SLTSTA_PDS,
		   PCI_EXP_SLTSTA_PDC | PCI_EXP_SLTSTA_DLLSC | (there ? PCI_EXP_SLTSTA_PDS : 0));
	port->asks = false;
	follow(port);
}

static const struct pci_ops port_ops = {
	.write_config = on_written,
	.occupied = on_occupied,
};

static struct pci_port *port_of(struct bus_region *region)
{
	return container_of(container_of(region, struct pci_bar, region)->fn, struct pci_port,
			    fn);
}

static uint64_t table_read(struct bus_region *region, uint64_t off, unsigned size)
{
	struct pci_port *port = port_of(region);

	return msix_covers(&port->msix, off) ? msix_read(&port->msix, off, size) : 0;
}

static void table_write(struct bus_region *region, uint64_t off, unsigned size,
			uint64_t value)
{
	struct pci_port *port = port_of(region);

	if (msix_covers(&port->msix, off))
		msix_write(&port->msix, off, size, value);
}

static const struct bus_ops table_ops = { .read = table_read, .write = table_write };

/* Windows for memory, none for I/O ports. */
static void add_bridge(struct pci_function *fn)
{
	fn->config[PCI_HEADER_TYPE] = PCI_HEADER_TYPE_BRIDGE;
	fn->writable[PCI_PRIMARY_BUS] = 0xff;
	fn->writable[PCI_SECONDARY_BUS] = 0xff;
	fn->writable[PCI_SUBORDINATE_BUS] = 0xff;
	put_le16(fn->writable + PCI_MEMORY_BASE, WINDOW);
	put_le16(fn->writable + PCI_MEMORY_LIMIT, WINDOW);
	put_le16(fn->config + PCI_PREF_MEMORY_BASE, PCI_PREF_RANGE_TYPE_64);
	put_le16(fn->config + PCI_PREF_MEMORY_LIMIT, PCI_PREF_RANGE_TYPE_64);
	put_le16(fn->writable + PCI_PREF_MEMORY_BASE, WINDOW);
	put_le16(fn->writable + PCI_PREF_MEMORY_LIMIT, WINDOW);
	put_le32(fn->writable + PCI_PREF_BASE_UPPER32, UINT32_MAX);
	put_le32(fn->writable + PCI_PREF_LIMIT_UPPER32, UINT32_MAX);
	put_le16(fn->writable + PCI_BRIDGE_CONTROL, PCI_BRIDGE_CTL_PARITY | PCI_BRIDGE_CTL_SERR);
}

static void add_slot(struct pci_port *port)
{
	struct pci_function *fn = &port->fn;
	uint32_t slot = port->config.slot;
	uint8_t *writable;

	port->exp = pci_add_capability(fn, PCI_CAP_ID_EXP, EXP_LEN);
	writable = fn->writable + port->exp;
	put_le16(at(port, PCI_EXP_FLAGS),
		 2 | PCI_EXP_TYPE_ROOT_PORT << 4 | PCI_EXP_FLAGS_SLOT);
	put_le32(at(port, PCI_EXP_DEVCAP), PCI_EXP_DEVCAP_RBER);
	put_le16(writable + PCI_EXP_DEVCTL, DEVICE_WRITABLE);
	put_le32(at(port, PCI_EXP_LNKCAP), PCI_EXP_LNKCAP_SLS_2_5GB | 1 << 4 |
		 PCI_EXP_LNKCAP_DLLLARC | slot << PORT_SHIFT);
	put_le16(writable + PCI_EXP_LNKCTL, LINK_WRITABLE);
	put_le16(at(port, PCI_EXP_LNKSTA), PCI_EXP_LNKSTA_CLS_2_5GB | PCI_EXP_LNKSTA_NLW_X1);
	put_le32(at(port, PCI_EXP_SLTCAP), SLOT_CAN | slot << SLOT_SHIFT);
	put_le16(at(port, PCI_EXP_SLTCTL), port->config.on ?
		 PCI_EXP_SLTCTL_PWR_IND_ON : PCI_EXP_SLTCTL_PWR_IND_OFF | PCI_EXP_SLTCTL_PCC);
	put_le16(writable + PCI_EXP_SLTCTL, CONTROL_WRITABLE);
	put_le16(fn->clears + port->exp + PCI_EXP_SLTSTA, EVENTS);
	put_le16(writable + PCI_EXP_RTCTL, PCI_EXP_RTCTL_SECEE | PCI_EXP_RTCTL_SENFEE |
		 PCI_EXP_RTCTL_SEFEE | PCI_EXP_RTCTL_PMEIE);
	put_le32(at(port, PCI_EXP_LNKCAP2), PCI_EXP_LNKCAP2_SLS_2_5GB);
	put_le16(at(port, PCI_EXP_LNKCTL2), PCI_EXP_LNKCTL2_TLS_2_5GT);
	port->off = !port->config.on;
}

struct pci_port *pci_port_new(const struct pci_port_config *config, struct err *err)
{
	static const struct pci_ids ids = {
		.vendor = 0x1b36,		/* what generic root ports are known as */
		.device = 0x000c,
		.class_code = CLASS_BRIDGE,
	};
	struct pci_port *port = calloc(1, sizeof(*port));

	if (!port) {
		err_set(err, -ENOMEM, "PCI port: out of memory");
		return NULL;
	}
	port->config = *config;
	pci_init(&port->fn, &port_ops, &ids);
	add_bridge(&port->fn);
	add_slot(port);
	pci_add_bar(&port->fn, 0, PCI_BAR_MEM32, BAR_LEN, &table_ops, "pci-port");
	if (msix_init(&port->msix, &port->fn, 1, 0, 0, PBA_OFF, config->efds, err) < 0)
		goto free_port;
	if (pci_bus_add(config->bus, &port->fn, (int)config->slot, err) < 0)
		goto fini_msix;
	return port;

fini_msix:
	msix_fini(&port->msix);
free_port:
	free(port);
	return NULL;
}

struct pci_port *pci_port_free(struct pci_port *port)
{
	if (!port)
		return NULL;
	pci_bus_remove(port->config.bus, &port->fn);
	msix_fini(&port->msix);
	free(port);
	return NULL;
}

static void ask(void *ctx)
{
	struct pci_port *port = ctx;

	if (!powered(port)) {
		port->config.let_go(port->config.ctx, port->config.slot);
		return;
	}
	port->asks = true;
	follow(port);
}

void pci_port_ask(struct pci_port *port)
{
	pci_bus_call(port->config.bus, ask, port);
}

struct port_state {
	bool asks;
};

static const struct state_field state_fields[] = {
	{ STATE_ONE(struct port_state, asks) },
	STATE_END
};

static const struct state_table state_table = {
	.name = "pci-port", .version = 1, .fields = state_fields,
};

void pci_port_save(struct pci_port *port, struct state_writer *writer)
{
	const struct port_state state = { .asks = port->asks };

	state_save(writer, &state_table, pci_instance(&port->fn), &state);
	pci_bus_save(&port->fn, writer);
	msix_save(&port->msix, writer);
}

int pci_port_load(struct pci_port *port, struct state_reader *reader, struct err *err)
{
	struct port_state state;
	int r = state_load(reader, &state_table, pci_instance(&port->fn), &state, err);

	if (!r)
		r = pci_bus_load(port->config.bus, &port->fn, reader, err);
	if (!r)
		r = msix_load(&port->msix, reader, err);
	if (r < 0)
		return r;
	port->asks = state.asks;
	port->off = !powered(port) && indicator(port) == PCI_EXP_SLTCTL_PWR_IND_OFF;
	port->signalled = has_news(port);
	return 0;
}
