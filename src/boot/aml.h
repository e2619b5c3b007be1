/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aml.h - writes ACPI Machine Language, the byte code of a DSDT
 * (ACPI specification 6.5, chapter 20; resource descriptors: 6.4).
 *
 * Terms are written in the order of the byte code, operator first:
 *
 *	size_t device = aml_device(&aml, "PWRB");
 *	aml_name(&aml, "_HID");
 *	aml_eisa_id(&aml, "PNP0C0C");
 *	aml_end(&aml, device);
 *
 * What opens a block returns a mark that aml_end() takes to close it; blocks
 * nest.  When the buffer is full all further calls do nothing, so only the end
 * result has to be checked, by aml.full.
 *
 * A name has up to four characters, a path is names with dots between them
 * and, if absolute, a backslash in front.
 */
#ifndef BOOT_AML_H
#define BOOT_AML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct aml {
	uint8_t *bytes;
	size_t len, cap;
	bool full;			/* something was left out */
};

enum aml_op {
	AML_LOCAL0	 = 0x60,
	AML_ARG0	 = 0x68,
	AML_ARG1	 = 0x69,
	AML_ARG2	 = 0x6a,
	AML_ARG3	 = 0x6b,
	AML_STORE	 = 0x70,	/* value, target */
	AML_SHIFT_LEFT	 = 0x79,	/* value, count, target */
	AML_AND		 = 0x7b,	/* value, value, target */
	AML_OR		 = 0x7d,	/* value, value, target */
	AML_NOTIFY	 = 0x86,	/* object, value */
	AML_DWORD_FIELD	 = 0x8a,	/* buffer, byte index, new name */
	AML_NOT		 = 0x92,	/* logical */
	AML_EQUAL	 = 0x93,	/* logical */
	AML_RETURN	 = 0xa4,
};

#define AML_NO_TARGET	0

void aml_init(struct aml *aml, void *bytes, size_t cap);

/* Blocks. */
size_t aml_scope(struct aml *aml, const char *path);
size_t aml_device(struct aml *aml, const char *name);
size_t aml_method(struct aml *aml, const char *name, unsigned nr_args);	/* serialized */
size_t aml_package(struct aml *aml, unsigned nr);	/* then nr data */
size_t aml_if(struct aml *aml);				/* then the predicate */
size_t aml_else(struct aml *aml);
void aml_end(struct aml *aml, size_t mark);

/* Terms. */
void aml_name(struct aml *aml, const char *name);	/* then its value */
void aml_op(struct aml *aml, enum aml_op op);
void aml_path(struct aml *aml, const char *path);
void aml_integer(struct aml *aml, uint64_t value);
void aml_string(struct aml *aml, const char *text);
void aml_eisa_id(struct aml *aml, const char *id);	/* "PNP0501" */
void aml_buffer(struct aml *aml, const void *bytes, size_t len);

/* Names for registers of 1 or 4 bytes, nr of them one after the other from a port on. */
void aml_port_registers(struct aml *aml, const char *region, uint16_t at, unsigned size,
			const char *const *names, unsigned nr);

/* The value of a _CRS: a block of descriptors that ends in its own way. */
size_t aml_resources(struct aml *aml);
void aml_resources_end(struct aml *aml, size_t mark);

void aml_resource_ports(struct aml *aml, uint16_t at, uint8_t len);
void aml_resource_memory(struct aml *aml, uint32_t at, uint32_t len);
void aml_resource_interrupt(struct aml *aml, uint32_t gsi);	/* edge, active high */

/* What a bridge hands on to the devices behind it. */
void aml_resource_bus_window(struct aml *aml, uint16_t first, uint16_t nr);
void aml_resource_memory_window(struct aml *aml, uint64_t at, uint64_t len);

#endif
