/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel_files.h - small files that a loader must take for kernels, to be
 * damaged one byte at a time, and guest RAM to load them into.
 */
#ifndef TESTS_UNIT_KERNEL_FILES_H
#define TESTS_UNIT_KERNEL_FILES_H

#include "base/bits.h"
#include "base/bytes.h"
#include "memory/guest_mem.h"

#include <check.h>
#include <elf.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct image {
	size_t len;
	int fd;
	char path[32];			/* once written */
	_Alignas(8) uint8_t bytes[64 * 1024];
};

/* A memfd of the bytes; whoever loads opens it by its path. */
static inline const char *image_write(struct image *image)
{
	image->fd = memfd_create("image", MFD_CLOEXEC);
	ck_assert_int_ge(image->fd, 0);
	ck_assert_int_eq(write(image->fd, image->bytes, image->len), image->len);
	snprintf(image->path, sizeof(image->path), "/proc/self/fd/%d", image->fd);
	return image->path;
}

/* A file that starts with these bytes, there. */
static inline void image_begin_with(struct image *image, size_t at, const char *bytes, size_t len)
{
	memset(image, 0, sizeof(*image));
	image->len = 4096;
	memcpy(image->bytes + at, bytes, len);
}

static inline struct guest_mem *fresh_ram(gpa_t at, uint64_t len, uint8_t **ret_host)
{
	struct guest_mem *mem = guest_mem_new();

	*ret_host = mmap(NULL, len, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ck_assert_ptr_ne(*ret_host, MAP_FAILED);
	ck_assert_int_eq(guest_mem_add(mem, at, *ret_host, len), 0);
	return mem;
}

/*
 * bzImage: one setup sector, a payload of BZIMAGE_LEN bytes of 0x5a that wants
 * to be at 2 MiB and occupies 1 MiB there.
 */
#define BZIMAGE_PAYLOAD_AT	0x400
#define BZIMAGE_LEN		0x1000
#define BZIMAGE_PREF		(2 * MiB)
#define BZIMAGE_INIT_SIZE	MiB
#define BZIMAGE_CMDLINE_MAX	2047

static inline void image_bzimage(struct image *image)
{
	uint8_t *b = image->bytes;

	memset(image, 0, sizeof(*image));
	image->len = BZIMAGE_PAYLOAD_AT + BZIMAGE_LEN;
	b[0x1f1] = 1;
	put_le32(b + 0x1f4, BZIMAGE_LEN / 16);
	put_le16(b + 0x1fe, 0xaa55);
	b[0x200] = 0xeb;
	b[0x201] = 0x6a;
	memcpy(b + 0x202, "HdrS", 4);
	put_le16(b + 0x206, 0x020f);
	b[0x211] = 1;
	put_le32(b + 0x22c, 0x7fffffff);
	put_le32(b + 0x230, 2 * MiB);
	b[0x234] = 1;
	put_le16(b + 0x236, 1);
	put_le32(b + 0x238, BZIMAGE_CMDLINE_MAX);
	put_le64(b + 0x250, 0xdead);
	put_le64(b + 0x258, BZIMAGE_PREF);
	put_le32(b + 0x260, BZIMAGE_INIT_SIZE);
	memset(b + BZIMAGE_PAYLOAD_AT, 0x5a, BZIMAGE_LEN);
}

/*
 * ELF: a note, then one segment of ELF_LEN bytes of 0xa5 at 1 MiB that goes on
 * with ELF_BSS_LEN zeroes.  The note says that the entry is ELF_ENTRY.
 */
#define ELF_NOTE_AT	0x100
#define ELF_SEGMENT_AT	0x1000
#define ELF_LEN		0x800
#define ELF_BSS_LEN	0x3000
#define ELF_ENTRY	(MiB + 0x40)

static inline Elf64_Ehdr *elf_header(struct image *image)
{
	return (Elf64_Ehdr *)(void *)image->bytes;
}

/* 0: the note's, 1: the segment's. */
static inline Elf64_Phdr *elf_program_header(struct image *image, int i)
{
	return (Elf64_Phdr *)(void *)(image->bytes + sizeof(Elf64_Ehdr)) + i;
}

static inline void image_elf(struct image *image)
{
	uint8_t *note = image->bytes + ELF_NOTE_AT;

	memset(image, 0, sizeof(*image));
	image->len = ELF_SEGMENT_AT + ELF_LEN;
	*elf_header(image) = (Elf64_Ehdr){
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_phoff = sizeof(Elf64_Ehdr),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 2,
	};
	*elf_program_header(image, 0) = (Elf64_Phdr){
		.p_type = PT_NOTE,
		.p_offset = ELF_NOTE_AT,
		.p_filesz = 24,
		.p_align = 4,
	};
	*elf_program_header(image, 1) = (Elf64_Phdr){
		.p_type = PT_LOAD,
		.p_offset = ELF_SEGMENT_AT,
		.p_paddr = MiB,
		.p_filesz = ELF_LEN,
		.p_memsz = ELF_LEN + ELF_BSS_LEN,
	};
	put_le32(note, sizeof("Xen"));
	put_le32(note + 4, 8);
	put_le32(note + 8, 18);
	memcpy(note + 12, "Xen", sizeof("Xen"));
	put_le64(note + 16, ELF_ENTRY);
	memset(image->bytes + ELF_SEGMENT_AT, 0xa5, ELF_LEN);
}

#endif
