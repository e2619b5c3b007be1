// SPDX-License-Identifier: Apache-2.0
#include "devices/pci/pci.h"

#include "base/bits.h"
#include "base/bytes.h"

#include <assert.h>
#include <string.h>

/* The bits of COMMAND that mean something to devices without INTx and parity. */
#define COMMAND_WRITABLE (PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER)

#define IO_BAR_MAX	256	/* section 6.2.5.1 */
#define CAP_HEADER_LEN	2	/* id and next */

void pci_init(struct pci_function *fn, const struct pci_ops *ops,
	      const struct pci_ids *ids)
{
	memset(fn, 0, sizeof(*fn));
	fn->ops = ops;
	fn->free_at = PCI_STD_HEADER_SIZEOF;
	put_le16(fn->config + PCI_VENDOR_ID, ids->vendor);
	put_le16(fn->config + PCI_DEVICE_ID, ids->device);
	put_le32(fn->config + PCI_CLASS_REVISION, ids->class_code << 8 | ids->revision);
	put_le16(fn->config + PCI_SUBSYSTEM_VENDOR_ID, ids->subsystem_vendor);
	put_le16(fn->config + PCI_SUBSYSTEM_ID, ids->subsystem);
	put_le16(fn->writable + PCI_COMMAND, COMMAND_WRITABLE);

	/* Plain storage, for software to leave notes in. */
	fn->writable[PCI_CACHE_LINE_SIZE] = 0xff;
	fn->writable[PCI_INTERRUPT_LINE] = 0xff;
}

static unsigned bar_reg(const struct pci_bar *bar)
{
	return PCI_BASE_ADDRESS_0 + 4u * bar->index;
}

void pci_add_bar(struct pci_function *fn, unsigned index, enum pci_bar_kind kind,
		 uint64_t len, const struct bus_ops *ops, const char *name)
{
	static const uint8_t flags[] = {
		[PCI_BAR_MEM32] = PCI_BASE_ADDRESS_SPACE_MEMORY |
				  PCI_BASE_ADDRESS_MEM_TYPE_32,
		[PCI_BAR_MEM64] = PCI_BASE_ADDRESS_SPACE_MEMORY |
				  PCI_BASE_ADDRESS_MEM_TYPE_64,
		[PCI_BAR_IO] = PCI_BASE_ADDRESS_SPACE_IO,
	};
	struct pci_bar *bar = &fn->bars[index];
	unsigned reg;

	assert(kind != PCI_BAR_NONE && index + (kind == PCI_BAR_MEM64) < PCI_STD_NUM_BARS);
	assert(!get_le32(fn->writable + PCI_BASE_ADDRESS_0 + 4 * index));
	assert(kind != PCI_BAR_MEM64 || fn->bars[index + 1].kind == PCI_BAR_NONE);
	assert(is_power_of_two(len) && len >= (kind == PCI_BAR_IO ? 4 : 16));
	assert(kind != PCI_BAR_IO || len <= IO_BAR_MAX);
	assert(kind == PCI_BAR_MEM64 || len < 4 * GiB);

	bar->fn = fn;
	bar->kind = kind;
	bar->index = (uint8_t)index;
	bar->region = (struct bus_region){ .len = len, .ops = ops, .name = name };

	/*
	 * Only the address bits above the length can be written, which is how
	 * the guest finds out the length: it writes ones and reads back.
	 */
	reg = bar_reg(bar);
	fn->config[reg] = flags[kind];
	put_le32(fn->writable + reg, (uint32_t)-len);
	if (kind == PCI_BAR_MEM64)
		put_le32(fn->writable + reg + 4, (uint32_t)(-len >> 32));
}

uint8_t pci_add_capability(struct pci_function *fn, uint8_t id, unsigned len)
{
	uint8_t at = (uint8_t)fn->free_at;

	assert(len >= CAP_HEADER_LEN);
	assert(range_within(fn->free_at, len, PCI_CFG_SPACE_SIZE));

	fn->config[at + PCI_CAP_LIST_ID] = id;
	if (fn->last_cap)
		fn->config[fn->last_cap + PCI_CAP_LIST_NEXT] = at;
	else
		fn->config[PCI_CAPABILITY_LIST] = at;
	fn->config[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
	fn->last_cap = at;
	fn->free_at = (uint16_t)align_up(at + len, 4);
	return at;
}

uint32_t pci_config_read(struct pci_function *fn, unsigned reg, unsigned size)
{
	uint32_t value = 0;

	assert(size <= 4 && (reg & 3) + size <= 4);
	if (reg >= PCI_CFG_SPACE_SIZE)
		return UINT32_MAX;
	if (fn->ops->read_config)
		fn->ops->read_config(fn, reg, size);
	memcpy(&value, fn->config + reg, size);
	return le32toh(value);
}

void pci_config_write(struct pci_function *fn, unsigned reg, unsigned size,
		      uint32_t value)
{
	assert(size <= 4 && (reg & 3) + size <= 4);
	if (reg >= PCI_CFG_SPACE_SIZE)
		return;
	for (unsigned i = reg; i < reg + size; i++, value >>= 8)
		fn->config[i] = (uint8_t)((fn->config[i] & ~fn->writable[i] &
					   ~(value & fn->clears[i])) |
					  (value & fn->writable[i]));
}

bool pci_is_port(const struct pci_function *fn)
{
	return fn->config[PCI_HEADER_TYPE] == PCI_HEADER_TYPE_BRIDGE;
}

uint16_t pci_id(const struct pci_function *fn)
{
	return fn->port ? (uint16_t)(fn->port->config[PCI_SECONDARY_BUS] << 8) : fn->devfn;
}

uint32_t pci_instance(const struct pci_function *fn)
{
	return fn->devfn | (pci_is_port(fn) ? 0x100 : 0);
}

bool pci_bar_decodes(const struct pci_bar *bar, uint64_t *ret_at)
{
	const uint8_t *config;
	uint16_t command;

	if (bar->kind == PCI_BAR_NONE)
		return false;
	config = bar->fn->config;
	command = get_le16(config + PCI_COMMAND);
	if (bar->kind == PCI_BAR_IO) {
		*ret_at = get_le32(config + bar_reg(bar)) & (uint32_t)PCI_BASE_ADDRESS_IO_MASK;
		return command & PCI_COMMAND_IO;
	}
	*ret_at = get_le32(config + bar_reg(bar)) & (uint32_t)PCI_BASE_ADDRESS_MEM_MASK;
	if (bar->kind == PCI_BAR_MEM64)
		*ret_at |= (uint64_t)get_le32(config + bar_reg(bar) + 4) << 32;
	return command & PCI_COMMAND_MEMORY;
}

void pci_bar_set_address(struct pci_bar *bar, uint64_t at)
{
	unsigned reg = bar_reg(bar);

	pci_config_write(bar->fn, reg, 4, (uint32_t)at);
	if (bar->kind == PCI_BAR_MEM64)
		pci_config_write(bar->fn, reg + 4, 4, (uint32_t)(at >> 32));
}
