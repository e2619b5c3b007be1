// SPDX-License-Identifier: Apache-2.0
/*
 * x86_elf.c - an ELF kernel that says by a note where its PVH entry is
 * (https://xenbits.xen.org/docs/unstable/misc/pvh.html).
 *
 * vmlinux of Linux is one, and so are several unikernels.  Segments go to
 * their physical addresses; what a segment has beyond the file is zero, since
 * RAM is (boot.h).
 */
#include "boot/x86_kernel.h"

#include "base/bits.h"
#include "base/bytes.h"
#include "base/err.h"
#include "boot/x86_layout.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Beyond any real kernel; a file that has more is refused. */
#define PHDRS_MAX	64
#define NOTES_MAX	(64 * KiB)

#define NOTE_PHYS32_ENTRY 18

struct elf {
	const struct boot_file *file;
	unsigned nr_phdrs;
	Elf64_Phdr phdrs[PHDRS_MAX];
};

static int refuse_damaged(const struct elf *elf, struct err *err, const char *what)
{
	return boot_file_refuse(elf->file, -ENOEXEC, err, "damaged ELF file: %s", what);
}

static int check_ident(const struct elf *elf, const Elf64_Ehdr *ehdr, struct err *err)
{
	if (ehdr->e_ident[EI_CLASS] != ELFCLASS64)
		return boot_file_refuse(elf->file, -ENOEXEC, err,
					"is a 32-bit ELF file: a 64-bit kernel is needed");
	if (ehdr->e_ident[EI_DATA] != ELFDATA2LSB || ehdr->e_machine != EM_X86_64)
		return boot_file_refuse(elf->file, -ENOEXEC, err,
					"is an ELF file for another machine than x86_64");
	if (ehdr->e_type != ET_EXEC && ehdr->e_type != ET_DYN)
		return boot_file_refuse(elf->file, -ENOEXEC, err,
					"is an ELF file of type %u, not an executable",
					ehdr->e_type);
	return 0;
}

static int read_headers(struct elf *elf, struct err *err)
{
	Elf64_Ehdr ehdr;
	int r = boot_file_read(elf->file, 0, &ehdr, sizeof(ehdr), err);

	if (r == 0)
		r = check_ident(elf, &ehdr, err);
	if (r < 0)
		return r;
	if (ehdr.e_phentsize != sizeof(Elf64_Phdr))
		return refuse_damaged(elf, err, "program headers of a wrong size");
	if (ehdr.e_phnum > PHDRS_MAX)
		return refuse_damaged(elf, err, "too many program headers");
	elf->nr_phdrs = ehdr.e_phnum;
	return boot_file_read(elf->file, ehdr.e_phoff, elf->phdrs,
			      elf->nr_phdrs * sizeof(Elf64_Phdr), err);
}

static bool is_entry_note(const Elf64_Nhdr *note, const uint8_t *name)
{
	return note->n_type == NOTE_PHYS32_ENTRY && note->n_namesz == sizeof("Xen") &&
	       memcmp(name, "Xen", sizeof("Xen")) == 0 &&
	       (note->n_descsz == sizeof(uint32_t) || note->n_descsz == sizeof(uint64_t));
}

/* Look through the notes for the entry; false when it is not there. */
static bool find_entry(const uint8_t *notes, uint64_t len, uint64_t align, gpa_t *ret_entry)
{
	uint64_t at = 0;

	while (range_within(at, sizeof(Elf64_Nhdr), len)) {
		Elf64_Nhdr note;
		uint64_t name_at = at + sizeof(note);
		uint64_t desc_at;

		/* Two 32-bit sizes cannot wrap 64 bits. */
		memcpy(&note, notes + at, sizeof(note));
		desc_at = align_up(name_at + note.n_namesz, align);
		if (!range_within(desc_at, note.n_descsz, len))
			return false;
		if (is_entry_note(&note, notes + name_at)) {
			*ret_entry = note.n_descsz == sizeof(uint32_t) ?
					     get_le32(notes + desc_at) :
					     get_le64(notes + desc_at);
			return true;
		}
		at = align_up(desc_at + note.n_descsz, align);
	}
	return false;
}

/* 1 found, 0 not in this segment, negative errno. */
static int search_segment(const struct elf *elf, const Elf64_Phdr *phdr, gpa_t *ret_entry,
			  struct err *err)
{
	uint8_t *notes;
	int r;

	if (phdr->p_filesz > NOTES_MAX)
		return refuse_damaged(elf, err, "more than 64 KiB of notes");
	notes = malloc(max_u64(phdr->p_filesz, 1));
	if (!notes)
		return err_sys(err, -ENOMEM, "kernel '%s'", elf->file->path);
	r = boot_file_read(elf->file, phdr->p_offset, notes, phdr->p_filesz, err);
	if (r == 0)
		r = find_entry(notes, phdr->p_filesz, phdr->p_align == 8 ? 8 : 4, ret_entry);
	free(notes);
	return r;
}

static int read_entry(const struct elf *elf, gpa_t *ret_entry, struct err *err)
{
	for (unsigned i = 0; i < elf->nr_phdrs; i++) {
		int r = 0;

		if (elf->phdrs[i].p_type == PT_NOTE)
			r = search_segment(elf, &elf->phdrs[i], ret_entry, err);
		if (r != 0)
			return r < 0 ? r : 0;
	}
	return boot_file_refuse(elf->file, -ENOEXEC, err,
				"is an ELF file without a PVH note: "
				"Linux has one if built with CONFIG_PVH=y");
}

static int load_segment(const struct elf *elf, const Elf64_Phdr *phdr,
			struct guest_mem *mem, uint64_t ram_end, struct err *err)
{
	if (phdr->p_filesz > phdr->p_memsz)
		return refuse_damaged(elf, err, "a segment is larger than its memory");
	if (phdr->p_paddr < X86_KERNEL_AT)
		return boot_file_refuse(elf->file, -ENOEXEC, err,
					"has a segment at 0x%" PRIx64
					", but memory below 1 MiB is taken",
					phdr->p_paddr);
	if (!range_within(phdr->p_paddr, phdr->p_memsz, ram_end))
		return boot_file_refuse(elf->file, -ENOSPC, err,
					"has a segment of 0x%" PRIx64 " bytes at 0x%" PRIx64
					"; the VM has only %" PRIu64
					" MiB: give it more (--memory)",
					phdr->p_memsz, phdr->p_paddr, ram_end / MiB);
	return boot_file_load(elf->file, phdr->p_offset, phdr->p_filesz, mem, phdr->p_paddr,
			      err);
}

static int load_segments(const struct elf *elf, struct guest_mem *mem,
			 uint64_t ram_end, struct x86_kernel *kernel, struct err *err)
{
	bool entry_loaded = false;

	for (unsigned i = 0; i < elf->nr_phdrs; i++) {
		const Elf64_Phdr *phdr = &elf->phdrs[i];
		int r;

		if (phdr->p_type != PT_LOAD || phdr->p_memsz == 0)
			continue;
		r = load_segment(elf, phdr, mem, ram_end, err);
		if (r < 0)
			return r;
		kernel->end = max_u64(kernel->end, phdr->p_paddr + phdr->p_memsz);
		entry_loaded |= kernel->entry - phdr->p_paddr < phdr->p_filesz;
	}
	if (!entry_loaded)
		return boot_file_refuse(elf->file, -ENOEXEC, err,
					"damaged ELF file: no segment holds its entry 0x%" PRIx64,
					kernel->entry);
	return 0;
}

int x86_kernel_load_elf(const struct boot_file *file, struct guest_mem *mem,
			uint64_t ram_end, struct x86_kernel *ret_kernel, struct err *err)
{
	struct x86_kernel kernel = {
		.mode = BOOT_PVH,
		.initrd_end = ram_end,
		.cmdline_max = X86_CMDLINE_MAX - 1,
	};
	struct elf elf = { .file = file };
	int r = read_headers(&elf, err);

	if (r == 0)
		r = read_entry(&elf, &kernel.entry, err);
	if (r == 0)
		r = load_segments(&elf, mem, ram_end, &kernel, err);
	if (r == 0)
		*ret_kernel = kernel;
	return r;
}
