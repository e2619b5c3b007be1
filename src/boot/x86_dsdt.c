// SPDX-License-Identifier: Apache-2.0
/*
 * x86_dsdt.c - the devices of the machine that cannot be enumerated.
 *
 * PCI functions are not here: the guest finds them by itself, and since all of
 * them interrupt by MSI-X there is no _PRT.  Slots are, where functions may come
 * and go.
 */
#include "boot/x86_acpi.h"

#include "base/bits.h"
#include "boot/aml.h"
#include "boot/boot.h"
#include "boot/x86_layout.h"

#include <stdio.h>

static void name_integer(struct aml *aml, const char *name, uint64_t value)
{
	aml_name(aml, name);
	aml_integer(aml, value);
}

static void name_eisa_id(struct aml *aml, const char *name, const char *id)
{
	aml_name(aml, name);
	aml_eisa_id(aml, id);
}

/* \_S5: what to write to the sleep control register to power off. */
static void put_s5(struct aml *aml)
{
	size_t package;

	aml_name(aml, "\\_S5");
	package = aml_package(aml, 2);
	aml_integer(aml, X86_ACPI_S5_TYPE);
	aml_integer(aml, 0);
	aml_end(aml, package);
}

static void put_cpu(struct aml *aml, unsigned id)
{
	char name[sizeof("Cffffffff")];
	size_t device;

	snprintf(name, sizeof(name), "C%03X", id);
	device = aml_device(aml, name);
	aml_name(aml, "_HID");
	aml_string(aml, "ACPI0007");
	name_integer(aml, "_UID", id);
	aml_end(aml, device);
}

/*
 * Of what the OS may ask to control natively (PCI firmware spec 3.3, 4.5.1).  Hot
 * plug is not among it: that goes by the methods below.
 */
#define OSC_CAPABILITIES	BIT32(4)
#define OSC_GRANTED		OSC_CAPABILITIES

/* What comes back in the first dword (ACPI 6.2.11). */
#define OSC_BAD_UUID		BIT32(2)
#define OSC_BAD_REVISION	BIT32(3)
#define OSC_MASKED		BIT32(4)

static void put_or_into(struct aml *aml, const char *name, uint32_t bits)
{
	aml_op(aml, AML_OR);
	aml_path(aml, name);
	aml_integer(aml, bits);
	aml_path(aml, name);
}

static void put_field(struct aml *aml, unsigned index, const char *name)
{
	aml_op(aml, AML_DWORD_FIELD);
	aml_op(aml, AML_ARG3);
	aml_integer(aml, index);
	aml_path(aml, name);
}

/*
 *	Method (_OSC, 4, Serialized) {
 *		CreateDWordField (Arg3, 0, STAT)
 *		If (Arg0 == ToUUID ("33db4d5b-1ff7-401c-9657-7441c03dd766")) {
 *			CreateDWordField (Arg3, 8, CTRL)
 *			If (!(Arg1 == 1)) { STAT |= OSC_BAD_REVISION }
 *			Local0 = CTRL & OSC_GRANTED
 *			If (!(Local0 == CTRL)) { STAT |= OSC_MASKED }
 *			CTRL = Local0
 *		} Else {
 *			STAT |= OSC_BAD_UUID
 *		}
 *		Return (Arg3)
 *	}
 */
static void put_osc(struct aml *aml)
{
	static const uint8_t uuid[16] = {
		0x5b, 0x4d, 0xdb, 0x33, 0xf7, 0x1f, 0x1c, 0x40,
		0x96, 0x57, 0x74, 0x41, 0xc0, 0x3d, 0xd7, 0x66,
	};
	size_t method, outer, inner;

	method = aml_method(aml, "_OSC", 4);
	put_field(aml, 0, "STAT");

	outer = aml_if(aml);
	aml_op(aml, AML_EQUAL);
	aml_op(aml, AML_ARG0);
	aml_buffer(aml, uuid, sizeof(uuid));
	put_field(aml, 8, "CTRL");

	inner = aml_if(aml);
	aml_op(aml, AML_NOT);
	aml_op(aml, AML_EQUAL);
	aml_op(aml, AML_ARG1);
	aml_integer(aml, 1);
	put_or_into(aml, "STAT", OSC_BAD_REVISION);
	aml_end(aml, inner);

	aml_op(aml, AML_AND);
	aml_path(aml, "CTRL");
	aml_integer(aml, OSC_GRANTED);
	aml_op(aml, AML_LOCAL0);

	inner = aml_if(aml);
	aml_op(aml, AML_NOT);
	aml_op(aml, AML_EQUAL);
	aml_op(aml, AML_LOCAL0);
	aml_path(aml, "CTRL");
	put_or_into(aml, "STAT", OSC_MASKED);
	aml_end(aml, inner);

	aml_op(aml, AML_STORE);
	aml_op(aml, AML_LOCAL0);
	aml_path(aml, "CTRL");
	aml_end(aml, outer);

	outer = aml_else(aml);
	put_or_into(aml, "STAT", OSC_BAD_UUID);
	aml_end(aml, outer);

	aml_op(aml, AML_RETURN);
	aml_op(aml, AML_ARG3);
	aml_end(aml, method);
}

static void slot_name(char name[5], unsigned slot)
{
	snprintf(name, 5, "S%03X", slot & 0xfff);
}

/*
 *	Device (S007) {
 *		Name (_ADR, 0x00070000)
 *		Name (_SUN, 7)
 *		Method (_EJ0, 1, Serialized) { HEJC = 7 }
 *		Method (_OST, 3, Serialized) { HOST (7, Arg0, Arg1) }
 *	}
 */
static void put_slot(struct aml *aml, unsigned slot)
{
	size_t device, method;
	char name[5];

	slot_name(name, slot);
	device = aml_device(aml, name);
	name_integer(aml, "_ADR", slot << 16);
	name_integer(aml, "_SUN", slot);

	method = aml_method(aml, "_EJ0", 1);
	aml_op(aml, AML_STORE);
	aml_integer(aml, slot);
	aml_path(aml, "HEJC");
	aml_end(aml, method);

	method = aml_method(aml, "_OST", 3);
	aml_path(aml, "HOST");
	aml_integer(aml, slot);
	aml_op(aml, AML_ARG0);
	aml_op(aml, AML_ARG1);
	aml_end(aml, method);
	aml_end(aml, device);
}

/* Local0 |= (argument & mask) << shift */
static void put_or_shifted(struct aml *aml, enum aml_op argument, uint32_t mask, unsigned shift)
{
	aml_op(aml, AML_OR);
	aml_op(aml, AML_LOCAL0);
	aml_op(aml, AML_SHIFT_LEFT);
	aml_op(aml, AML_AND);
	aml_op(aml, argument);
	aml_integer(aml, mask);
	aml_integer(aml, AML_NO_TARGET);
	aml_integer(aml, shift);
	aml_integer(aml, AML_NO_TARGET);
	aml_op(aml, AML_LOCAL0);
}

/*
 *	Method (HOST, 3, Serialized) {
 *		Local0 = Arg0
 *		Local0 |= (Arg1 & 0xff) << X86_HOTPLUG_EVENT_SHIFT
 *		Local0 |= (Arg2 & 0xffff) << X86_HOTPLUG_STATUS_SHIFT
 *		HSTS = Local0
 *	}
 */
static void put_slot_status(struct aml *aml)
{
	size_t method = aml_method(aml, "HOST", 3);

	aml_op(aml, AML_STORE);
	aml_op(aml, AML_ARG0);
	aml_op(aml, AML_LOCAL0);
	put_or_shifted(aml, AML_ARG1, 0xff, X86_HOTPLUG_EVENT_SHIFT);
	put_or_shifted(aml, AML_ARG2, 0xffff, X86_HOTPLUG_STATUS_SHIFT);
	aml_op(aml, AML_STORE);
	aml_op(aml, AML_LOCAL0);
	aml_path(aml, "HSTS");
	aml_end(aml, method);
}

/*
 *	Method (HNTF, 2, Serialized) {
 *		If (Arg0 & 1 << 7) { Notify (S007, Arg1) }
 *		...
 *	}
 */
static void put_notify_slots(struct aml *aml, uint32_t slots)
{
	size_t method = aml_method(aml, "HNTF", 2);
	char name[5];

	for (unsigned slot = 0; slot < 32; slot++) {
		size_t branch;

		if (!(slots & BIT32(slot)))
			continue;
		slot_name(name, slot);
		branch = aml_if(aml);
		aml_op(aml, AML_AND);
		aml_op(aml, AML_ARG0);
		aml_integer(aml, BIT32(slot));
		aml_integer(aml, AML_NO_TARGET);
		aml_op(aml, AML_NOTIFY);
		aml_path(aml, name);
		aml_op(aml, AML_ARG1);
		aml_end(aml, branch);
	}
	aml_end(aml, method);
}

/*
 *	Method (HEVT, 0, Serialized) {
 *		HNTF (HCOM, X86_HOTPLUG_DEVICE_CHECK)
 *		HNTF (HGO, X86_HOTPLUG_EJECT_REQUEST)
 *	}
 *
 * A device that came and is to go again is seen first.
 */
static void put_slot_events(struct aml *aml)
{
	size_t method = aml_method(aml, "HEVT", 0);

	aml_path(aml, "HNTF");
	aml_path(aml, "HCOM");
	aml_integer(aml, X86_HOTPLUG_DEVICE_CHECK);
	aml_path(aml, "HNTF");
	aml_path(aml, "HGO");
	aml_integer(aml, X86_HOTPLUG_EJECT_REQUEST);
	aml_end(aml, method);
}

static void put_hotplug(struct aml *aml, uint32_t slots)
{
	static const char *const registers[] = { "HCOM", "HGO", "HEJC", "HSTS" };

	aml_port_registers(aml, "HREG", X86_PORT_HOTPLUG, 4, registers, ARRAY_LEN(registers));
	put_slot_status(aml);
	for (unsigned slot = 0; slot < 32; slot++)
		if (slots & BIT32(slot))
			put_slot(aml, slot);
	put_notify_slots(aml, slots);
	put_slot_events(aml);
}

static void put_pci(struct aml *aml, const struct boot_config *config)
{
	size_t device = aml_device(aml, "PCI0");
	size_t resources;

	name_eisa_id(aml, "_HID", "PNP0A08");
	name_eisa_id(aml, "_CID", "PNP0A03");
	name_integer(aml, "_UID", 0);
	name_integer(aml, "_SEG", X86_PCI_SEGMENT);
	name_integer(aml, "_BBN", 0);

	aml_name(aml, "_CRS");
	resources = aml_resources(aml);
	aml_resource_bus_window(aml, 0, X86_PCI_BUSES);
	aml_resource_ports(aml, X86_PORT_PCI_CONFIG, 8);
	aml_resource_memory_window(aml, X86_PCI_MMIO32_AT, X86_PCI_MMIO32_LEN);
	if (config->pci_mmio64_len)
		aml_resource_memory_window(aml, config->pci_mmio64_at,
					   config->pci_mmio64_len);
	aml_resources_end(aml, resources);

	put_osc(aml);
	put_hotplug(aml, config->hotplug_slots);
	aml_end(aml, device);
}

/* What the OS must keep clear of and no other device claims. */
static void put_board(struct aml *aml)
{
	size_t device = aml_device(aml, "MBRD");
	size_t resources;

	name_eisa_id(aml, "_HID", "PNP0C02");
	name_integer(aml, "_UID", 0);
	aml_name(aml, "_CRS");
	resources = aml_resources(aml);
	aml_resource_memory(aml, X86_ECAM_AT, X86_ECAM_LEN);
	aml_resource_ports(aml, X86_PORT_ACPI, X86_ACPI_REGS);
	aml_resource_ports(aml, X86_PORT_HOTPLUG, X86_HOTPLUG_REGS);
	aml_resources_end(aml, resources);
	aml_end(aml, device);
}

static void put_com1(struct aml *aml)
{
	size_t device = aml_device(aml, "COM1");
	size_t resources;

	name_eisa_id(aml, "_HID", "PNP0501");
	name_integer(aml, "_UID", 0);
	aml_name(aml, "_CRS");
	resources = aml_resources(aml);
	aml_resource_ports(aml, X86_PORT_COM1, 8);
	aml_resource_interrupt(aml, X86_GSI_COM1);
	aml_resources_end(aml, resources);
	aml_end(aml, device);
}

/* It never interrupts, so that no guest waits for its alarm. */
static void put_rtc(struct aml *aml)
{
	size_t device = aml_device(aml, "RTC");
	size_t resources;

	name_eisa_id(aml, "_HID", "PNP0B00");
	aml_name(aml, "_CRS");
	resources = aml_resources(aml);
	aml_resource_ports(aml, X86_PORT_RTC, 2);
	aml_resources_end(aml, resources);
	aml_end(aml, device);
}

/* QEMU's name for it is the one that drivers know. */
static void put_pvpanic(struct aml *aml)
{
	size_t device = aml_device(aml, "PEVT");
	size_t resources;

	aml_name(aml, "_HID");
	aml_string(aml, "QEMU0001");
	aml_name(aml, "_CRS");
	resources = aml_resources(aml);
	aml_resource_ports(aml, X86_PORT_PVPANIC, 1);
	aml_resources_end(aml, resources);
	aml_end(aml, device);
}

static void put_power_button(struct aml *aml)
{
	size_t device = aml_device(aml, "PWRB");

	name_eisa_id(aml, "_HID", "PNP0C0C");
	name_integer(aml, "_UID", 0);
	aml_end(aml, device);
}

/*
 * Where the generation id lies, by which a guest learns that it was restored from a
 * snapshot, and may not be the only one ("Virtual Machine Generation ID", Microsoft).
 * The names that drivers know are no ids as ACPI would have them, so a method tells them.
 */
static void put_generation(struct aml *aml)
{
	size_t package, method, device = aml_device(aml, "VGEN");

	aml_name(aml, "_HID");
	aml_string(aml, "VMMV0001");
	aml_name(aml, "CIDS");
	package = aml_package(aml, 2);
	aml_string(aml, "VM_Gen_Counter");
	aml_string(aml, "VMGENCTR");
	aml_end(aml, package);
	method = aml_method(aml, "_CID", 0);
	aml_op(aml, AML_RETURN);
	aml_path(aml, "CIDS");
	aml_end(aml, method);
	aml_name(aml, "_DDN");
	aml_string(aml, "VM_Gen_Counter");
	aml_name(aml, "ADDR");
	package = aml_package(aml, 2);
	aml_integer(aml, X86_GENERATION_AT);
	aml_integer(aml, X86_GENERATION_AT >> 32);
	aml_end(aml, package);
	aml_end(aml, device);
}

static void put_notify_if(struct aml *aml, uint32_t event, const char *device)
{
	size_t branch = aml_if(aml);

	aml_op(aml, AML_AND);
	aml_op(aml, AML_LOCAL0);
	aml_integer(aml, event);
	aml_integer(aml, AML_NO_TARGET);
	aml_op(aml, AML_NOTIFY);
	aml_path(aml, device);
	aml_integer(aml, 0x80);		/* specific to the device (Table 5.169) */
	aml_end(aml, branch);
}

/*
 * The generic event device (ACPI 5.6.9).  Its interrupt says no more than that
 * there may be something to see, in any of the registers.  Reading clears them,
 * so one look serves all events at once.
 *
 *	Method (_EVT, 1, Serialized) {
 *		Local0 = EVTS
 *		If (Local0 & X86_ACPI_EVENT_POWER) { Notify (\_SB.PWRB, 0x80) }
 *		If (Local0 & X86_ACPI_EVENT_GENERATION) { Notify (\_SB.VGEN, 0x80) }
 *		\_SB.PCI0.HEVT ()
 *	}
 */
static void put_events(struct aml *aml)
{
	static const char *const registers[] = { "EVTS" };
	size_t device = aml_device(aml, "GED");
	size_t resources, method;

	aml_name(aml, "_HID");
	aml_string(aml, "ACPI0013");
	name_integer(aml, "_UID", 0);
	aml_name(aml, "_CRS");
	resources = aml_resources(aml);
	aml_resource_interrupt(aml, X86_GSI_ACPI);
	aml_resources_end(aml, resources);
	aml_port_registers(aml, "EVTR", X86_PORT_ACPI + X86_ACPI_EVENTS, 1, registers,
			   ARRAY_LEN(registers));

	method = aml_method(aml, "_EVT", 1);
	aml_op(aml, AML_STORE);
	aml_path(aml, "EVTS");
	aml_op(aml, AML_LOCAL0);
	put_notify_if(aml, X86_ACPI_EVENT_POWER, "\\_SB.PWRB");
	put_notify_if(aml, X86_ACPI_EVENT_GENERATION, "\\_SB.VGEN");
	aml_path(aml, "\\_SB.PCI0.HEVT");
	aml_end(aml, method);
	aml_end(aml, device);
}

void x86_acpi_write_dsdt(struct aml *aml, const struct boot_config *config)
{
	size_t scope;

	put_s5(aml);
	scope = aml_scope(aml, "\\_SB");
	for (unsigned id = 0; id < config->nr_cpus; id++)
		put_cpu(aml, id);
	put_pci(aml, config);
	put_board(aml);
	put_com1(aml);
	put_rtc(aml);
	put_pvpanic(aml);
	put_power_button(aml);
	put_generation(aml);
	put_events(aml);
	aml_end(aml, scope);
}
