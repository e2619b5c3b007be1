// SPDX-License-Identifier: Apache-2.0
#include "boot/aml.h"

#include "base/bits.h"
#include "base/bytes.h"

#include <assert.h>
#include <string.h>

#define NAME_LEN 4

/* Opcodes that no caller writes by itself. */
#define OP_NAME		0x08
#define OP_BYTE		0x0a
#define OP_WORD		0x0b
#define OP_DWORD	0x0c
#define OP_STRING	0x0d
#define OP_QWORD	0x0e
#define OP_SCOPE	0x10
#define OP_BUFFER	0x11
#define OP_PACKAGE	0x12
#define OP_METHOD	0x14
#define OP_DUAL_NAME	0x2e
#define OP_MULTI_NAME	0x2f
#define OP_EXT		0x5b
#define OP_EXT_REGION	0x80
#define OP_EXT_FIELD	0x81
#define OP_EXT_DEVICE	0x82
#define OP_IF		0xa0
#define OP_ELSE		0xa1

#define METHOD_SERIALIZED	BIT32(3)
#define REGION_SYSTEM_IO	1
#define FIELD_BYTE_ACCESS	1
#define FIELD_DWORD_ACCESS	3

void aml_init(struct aml *aml, void *bytes, size_t cap)
{
	*aml = (struct aml){ .bytes = bytes, .cap = cap };
}

/* Room for len more bytes, or NULL and full for ever. */
static uint8_t *grow(struct aml *aml, size_t len)
{
	uint8_t *at = aml->bytes + aml->len;

	if (aml->full || len > aml->cap - aml->len) {
		aml->full = true;
		return NULL;
	}
	aml->len += len;
	return at;
}

static void put_bytes(struct aml *aml, const void *bytes, size_t len)
{
	uint8_t *to = grow(aml, len);

	if (to)
		memcpy(to, bytes, len);
}

static void put_byte(struct aml *aml, unsigned byte)
{
	put_bytes(aml, &(uint8_t){ (uint8_t)byte }, 1);
}

/*
 * PkgLength (20.2.4) counts itself.  One byte has six bits of length; more
 * bytes, whose number is in the top two bits, have four and then eight each.
 */
static size_t encode_package_len(uint8_t to[4], size_t len)
{
	size_t n;

	if (len < BIT32(6)) {
		to[0] = (uint8_t)len;
		return 1;
	}
	for (n = 2; len >= BIT32(8 * n - 4); n++)
		assert(n < 4);
	to[0] = (uint8_t)((n - 1) << 6 | (len & 0xf));
	for (size_t i = 1; i < n; i++)
		to[i] = (uint8_t)(len >> (8 * i - 4));
	return n;
}

void aml_end(struct aml *aml, size_t mark)
{
	size_t body = aml->len - mark;
	uint8_t encoded[4];
	size_t n = 1;

	while (encode_package_len(encoded, body + n) > n)
		n++;
	if (!grow(aml, n))
		return;
	memmove(aml->bytes + mark + n, aml->bytes + mark, body);
	memcpy(aml->bytes + mark, encoded, n);
}

static void put_name(struct aml *aml, const char *name, size_t len)
{
	char padded[NAME_LEN] = { '_', '_', '_', '_' };

	assert(len > 0 && len <= NAME_LEN);
	memcpy(padded, name, len);
	put_bytes(aml, padded, sizeof(padded));
}

void aml_path(struct aml *aml, const char *path)
{
	unsigned nr = 1;

	if (*path == '\\')
		put_byte(aml, (uint8_t)*path++);
	for (const char *p = path; *p; p++)
		nr += *p == '.';
	if (nr == 2)
		put_byte(aml, OP_DUAL_NAME);
	if (nr > 2) {
		put_byte(aml, OP_MULTI_NAME);
		put_byte(aml, nr);
	}
	for (; nr > 0; nr--) {
		size_t len = strcspn(path, ".");

		put_name(aml, path, len);
		path += len + 1;
	}
}

size_t aml_scope(struct aml *aml, const char *path)
{
	size_t mark;

	put_byte(aml, OP_SCOPE);
	mark = aml->len;
	aml_path(aml, path);
	return mark;
}

size_t aml_device(struct aml *aml, const char *name)
{
	size_t mark;

	put_byte(aml, OP_EXT);
	put_byte(aml, OP_EXT_DEVICE);
	mark = aml->len;
	aml_path(aml, name);
	return mark;
}

size_t aml_method(struct aml *aml, const char *name, unsigned nr_args)
{
	size_t mark;

	put_byte(aml, OP_METHOD);
	mark = aml->len;
	aml_path(aml, name);
	put_byte(aml, nr_args | METHOD_SERIALIZED);
	return mark;
}

size_t aml_package(struct aml *aml, unsigned nr)
{
	size_t mark;

	put_byte(aml, OP_PACKAGE);
	mark = aml->len;
	put_byte(aml, nr);
	return mark;
}

size_t aml_if(struct aml *aml)
{
	put_byte(aml, OP_IF);
	return aml->len;
}

size_t aml_else(struct aml *aml)
{
	put_byte(aml, OP_ELSE);
	return aml->len;
}

void aml_name(struct aml *aml, const char *name)
{
	put_byte(aml, OP_NAME);
	aml_path(aml, name);
}

void aml_op(struct aml *aml, enum aml_op op)
{
	put_byte(aml, op);
}

void aml_integer(struct aml *aml, uint64_t value)
{
	uint8_t bytes[8];

	put_le64(bytes, value);
	if (value <= 1) {
		put_byte(aml, bytes[0]);	/* an opcode each */
	} else if (value <= UINT8_MAX) {
		put_byte(aml, OP_BYTE);
		put_bytes(aml, bytes, 1);
	} else if (value <= UINT16_MAX) {
		put_byte(aml, OP_WORD);
		put_bytes(aml, bytes, 2);
	} else if (value <= UINT32_MAX) {
		put_byte(aml, OP_DWORD);
		put_bytes(aml, bytes, 4);
	} else {
		put_byte(aml, OP_QWORD);
		put_bytes(aml, bytes, 8);
	}
}

void aml_string(struct aml *aml, const char *text)
{
	put_byte(aml, OP_STRING);
	put_bytes(aml, text, strlen(text) + 1);
}

static unsigned hex_digit(char c)
{
	return c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'A') + 10;
}

/* Three letters of five bits and four hexadecimal digits, big-endian (19.3.4). */
void aml_eisa_id(struct aml *aml, const char *id)
{
	uint32_t value = 0;

	assert(strlen(id) == 7);
	for (int i = 0; i < 3; i++)
		value = value << 5 | (unsigned)(id[i] - '@');
	for (int i = 3; i < 7; i++)
		value = value << 4 | hex_digit(id[i]);
	put_byte(aml, OP_DWORD);
	put_bytes(aml, &(uint32_t){ htobe32(value) }, sizeof(value));
}

void aml_buffer(struct aml *aml, const void *bytes, size_t len)
{
	size_t mark;

	put_byte(aml, OP_BUFFER);
	mark = aml->len;
	aml_integer(aml, len);
	put_bytes(aml, bytes, len);
	aml_end(aml, mark);
}

void aml_port_registers(struct aml *aml, const char *region, uint16_t at, unsigned size,
			const char *const *names, unsigned nr)
{
	uint8_t bits[4];
	size_t mark;

	put_byte(aml, OP_EXT);
	put_byte(aml, OP_EXT_REGION);
	aml_path(aml, region);
	put_byte(aml, REGION_SYSTEM_IO);
	aml_integer(aml, at);
	aml_integer(aml, size * nr);

	put_byte(aml, OP_EXT);
	put_byte(aml, OP_EXT_FIELD);
	mark = aml->len;
	aml_path(aml, region);
	put_byte(aml, size == 1 ? FIELD_BYTE_ACCESS : FIELD_DWORD_ACCESS);
	for (unsigned i = 0; i < nr; i++) {
		aml_path(aml, names[i]);
		put_bytes(aml, bits, encode_package_len(bits, 8 * size));
	}
	aml_end(aml, mark);
}

/*
 * A resource template is a buffer whose length stands before it as an integer
 * inside the package: room for a 16-bit one is left, and filled at the end.
 */
#define TEMPLATE_HEAD_LEN 3

size_t aml_resources(struct aml *aml)
{
	size_t mark;

	put_byte(aml, OP_BUFFER);
	mark = aml->len;
	put_bytes(aml, (uint8_t[TEMPLATE_HEAD_LEN]){ OP_WORD }, TEMPLATE_HEAD_LEN);
	return mark;
}

void aml_resources_end(struct aml *aml, size_t mark)
{
	/* End tag; a checksum of 0 counts as correct. */
	put_bytes(aml, (uint8_t[]){ 0x79, 0 }, 2);
	if (aml->full)
		return;
	put_le16(aml->bytes + mark + 1, (uint16_t)(aml->len - mark - TEMPLATE_HEAD_LEN));
	aml_end(aml, mark);
}

/* I/O Port Descriptor (6.4.2.5): fixed range, 16 bits decoded. */
void aml_resource_ports(struct aml *aml, uint16_t at, uint8_t len)
{
	uint8_t d[8] = { 0x47, 1 };

	put_le16(d + 2, at);
	put_le16(d + 4, at);
	d[6] = 1;			/* alignment */
	d[7] = len;
	put_bytes(aml, d, sizeof(d));
}

/* A large descriptor starts with its tag and the length of the rest. */
static void put_large(struct aml *aml, uint8_t tag, uint8_t *d, size_t len)
{
	d[0] = tag;
	put_le16(d + 1, (uint16_t)(len - 3));
	put_bytes(aml, d, len);
}

/* 32-bit Fixed Memory Range Descriptor (6.4.3.4). */
void aml_resource_memory(struct aml *aml, uint32_t at, uint32_t len)
{
	uint8_t d[12] = { 0 };

	d[3] = 1;			/* read-write */
	put_le32(d + 4, at);
	put_le32(d + 8, len);
	put_large(aml, 0x86, d, sizeof(d));
}

/* Extended Interrupt Descriptor (6.4.3.6). */
void aml_resource_interrupt(struct aml *aml, uint32_t gsi)
{
	uint8_t d[9] = { 0 };

	d[3] = 0x03;			/* consumer, edge, active high, exclusive */
	d[4] = 1;			/* number of interrupts */
	put_le32(d + 5, gsi);
	put_large(aml, 0x89, d, sizeof(d));
}

#define WINDOW_MEMORY	0
#define WINDOW_BUS	2
#define WINDOW_FIXED	0x0c		/* both minimum and maximum */
#define WINDOW_WRITABLE	0x01		/* memory; not cacheable */

/* Word Address Space Descriptor (6.4.3.5.3). */
void aml_resource_bus_window(struct aml *aml, uint16_t first, uint16_t nr)
{
	uint8_t d[16] = { 0 };

	d[3] = WINDOW_BUS;
	d[4] = WINDOW_FIXED;
	put_le16(d + 8, first);
	put_le16(d + 10, (uint16_t)(first + nr - 1));
	put_le16(d + 14, nr);
	put_large(aml, 0x88, d, sizeof(d));
}

/* QWord Address Space Descriptor (6.4.3.5.1). */
void aml_resource_memory_window(struct aml *aml, uint64_t at, uint64_t len)
{
	uint8_t d[46] = { 0 };

	d[3] = WINDOW_MEMORY;
	d[4] = WINDOW_FIXED;
	d[5] = WINDOW_WRITABLE;
	put_le64(d + 14, at);
	put_le64(d + 22, at + len - 1);
	put_le64(d + 38, len);
	put_large(aml, 0x8a, d, sizeof(d));
}
