// SPDX-License-Identifier: Apache-2.0
/* ELF with a PVH note, as x86_kernel.h promises it. */
#include "boot/x86_kernel.h"

#include "boot/x86_layout.h"
#include "loader_fixture.h"

#include <errno.h>
#include <stdlib.h>

static struct x86_kernel kernel;

static int load_kernel(const struct boot_file *file)
{
	return x86_kernel_load_elf(file, mem, RAM_LEN, &kernel, &err);
}

static void setup(void)
{
	load_file = load_kernel;
	mem = fresh_ram(0, RAM_LEN, &ram);
	image_elf(&image);
}

START_TEST(elf_segment_goes_to_its_physical_address)
{
	assert_loads();

	ck_assert_int_eq(kernel.mode, BOOT_PVH);
	ck_assert_uint_eq(kernel.entry, ELF_ENTRY);
	ck_assert_uint_eq(kernel.end, MiB + ELF_LEN + ELF_BSS_LEN);
	ck_assert_uint_eq(kernel.initrd_end, RAM_LEN);
	ck_assert_mem_eq(ram + MiB, image.bytes + ELF_SEGMENT_AT, ELF_LEN);
	ck_assert_uint_eq(ram[MiB + ELF_LEN], 0);
}
END_TEST

START_TEST(entry_may_be_a_32_bit_number)
{
	put_le32(image.bytes + ELF_NOTE_AT + 4, 4);

	assert_loads();

	ck_assert_uint_eq(kernel.entry, ELF_ENTRY);
}
END_TEST

START_TEST(entry_is_found_behind_other_notes)
{
	uint8_t *note = image.bytes + ELF_NOTE_AT;

	memmove(note + 24, note, 24);
	memset(note, 0, 24);
	put_le32(note, 3);		/* "ab", padded to 4 */
	put_le32(note + 4, 5);		/* padded to 8 */
	elf_program_header(&image, 0)->p_filesz = 48;

	assert_loads();

	ck_assert_uint_eq(kernel.entry, ELF_ENTRY);
}
END_TEST

START_TEST(entry_is_found_in_notes_of_8_byte_alignment)
{
	uint8_t *note = image.bytes + ELF_NOTE_AT;

	memmove(note + 24, note, 24);
	memset(note, 0, 24);
	put_le32(note, 4);
	put_le32(note + 4, 1);		/* padded to 8 */
	elf_program_header(&image, 0)->p_filesz = 48;
	elf_program_header(&image, 0)->p_align = 8;

	assert_loads();

	ck_assert_uint_eq(kernel.entry, ELF_ENTRY);
}
END_TEST

START_TEST(elf_without_pvh_note_is_refused)
{
	put_le32(image.bytes + ELF_NOTE_AT + 8, 17);

	assert_refused(-ENOEXEC, "without a PVH note");
}
END_TEST

START_TEST(note_of_another_vendor_is_not_taken)
{
	image.bytes[ELF_NOTE_AT + 12] = 'x';

	assert_refused(-ENOEXEC, "without a PVH note");
}
END_TEST

START_TEST(note_that_leaves_its_segment_is_not_taken)
{
	elf_program_header(&image, 0)->p_filesz = 23;

	assert_refused(-ENOEXEC, "without a PVH note");
}
END_TEST

START_TEST(note_of_absurd_size_is_not_taken)
{
	put_le32(image.bytes + ELF_NOTE_AT, UINT32_MAX);
	put_le32(image.bytes + ELF_NOTE_AT + 4, UINT32_MAX);

	assert_refused(-ENOEXEC, "without a PVH note");
}
END_TEST

START_TEST(empty_note_segment_has_no_entry)
{
	elf_program_header(&image, 0)->p_filesz = 0;

	assert_refused(-ENOEXEC, "without a PVH note");
}
END_TEST

START_TEST(too_many_notes_are_refused)
{
	elf_program_header(&image, 0)->p_filesz = 64 * KiB + 1;

	assert_refused(-ENOEXEC, "more than 64 KiB of notes");
}
END_TEST

START_TEST(notes_beyond_the_file_are_refused)
{
	elf_program_header(&image, 0)->p_offset = image.len - 23;

	assert_refused(-ENOEXEC, "truncated");
}
END_TEST

START_TEST(elf_of_32_bits_is_refused)
{
	image.bytes[EI_CLASS] = ELFCLASS32;

	assert_refused(-ENOEXEC, "is a 32-bit ELF file");
}
END_TEST

START_TEST(elf_of_another_machine_is_refused)
{
	elf_header(&image)->e_machine = EM_AARCH64;

	assert_refused(-ENOEXEC, "another machine than x86_64");
}
END_TEST

START_TEST(elf_of_the_other_byte_order_is_refused)
{
	image.bytes[EI_DATA] = ELFDATA2MSB;

	assert_refused(-ENOEXEC, "another machine than x86_64");
}
END_TEST

START_TEST(object_file_is_refused)
{
	elf_header(&image)->e_type = ET_REL;

	assert_refused(-ENOEXEC, "not an executable");
}
END_TEST

START_TEST(elf_cut_in_its_header_is_refused)
{
	image.len = sizeof(Elf64_Ehdr) - 1;

	assert_refused(-ENOEXEC, "truncated");
}
END_TEST

START_TEST(program_headers_of_wrong_size_are_refused)
{
	elf_header(&image)->e_phentsize = sizeof(Elf64_Phdr) + 8;

	assert_refused(-ENOEXEC, "program headers of a wrong size");
}
END_TEST

START_TEST(too_many_program_headers_are_refused)
{
	elf_header(&image)->e_phnum = 65;

	assert_refused(-ENOEXEC, "too many program headers");
}
END_TEST

START_TEST(program_headers_beyond_the_file_are_refused)
{
	elf_header(&image)->e_phoff = UINT64_MAX - 8;

	assert_refused(-ENOEXEC, "truncated");
}
END_TEST

START_TEST(segment_larger_than_its_memory_is_refused)
{
	elf_program_header(&image, 1)->p_memsz = ELF_LEN - 1;

	assert_refused(-ENOEXEC, "a segment is larger than its memory");
}
END_TEST

START_TEST(segment_in_the_first_mib_is_refused)
{
	elf_program_header(&image, 1)->p_paddr = MiB - 1;

	assert_refused(-ENOEXEC, "has a segment at 0xfffff");
}
END_TEST

START_TEST(segment_beyond_ram_is_refused)
{
	elf_program_header(&image, 1)->p_memsz = RAM_LEN - MiB + 1;

	assert_refused(-ENOSPC, "the VM has only 16 MiB");
}
END_TEST

START_TEST(segment_that_wraps_is_refused)
{
	elf_program_header(&image, 1)->p_paddr = UINT64_MAX - 8;

	assert_refused(-ENOSPC, "the VM has only 16 MiB");
}
END_TEST

START_TEST(segment_cut_by_the_end_of_the_file_is_refused)
{
	image.len--;

	assert_refused(-ENOEXEC, "truncated");
}
END_TEST

START_TEST(entry_in_no_segment_is_refused)
{
	put_le64(image.bytes + ELF_NOTE_AT + 16, MiB + ELF_LEN);

	assert_refused(-ENOEXEC, "no segment holds its entry 0x100800");
}
END_TEST

START_TEST(empty_segment_may_be_anywhere)
{
	*elf_program_header(&image, 2) = (Elf64_Phdr){ .p_type = PT_LOAD };
	elf_header(&image)->e_phnum = 3;

	assert_loads();
}
END_TEST

START_TEST(start_info_tells_where_everything_is)
{
	const struct initrd initrd = { .at = 0xa00000, .len = 0x1234 };
	const struct x86_e820 map = {
		.nr = 2,
		.entries = { { 0, 0x9fc00, X86_E820_RAM },
			     { 0xe0000, 0x20000, X86_E820_ACPI } },
	};
	const uint8_t *info = ram + X86_ZERO_PAGE_AT;
	const uint8_t *module, *entry;

	ck_assert_int_eq(x86_kernel_write_start_info(mem, &initrd, &map), 0);

	ck_assert_uint_eq(get_le32(info), 0x336ec578);
	ck_assert_uint_eq(get_le32(info + 4), 1);
	ck_assert_uint_eq(get_le32(info + 12), 1);
	ck_assert_uint_eq(get_le64(info + 24), X86_CMDLINE_AT);
	ck_assert_uint_eq(get_le64(info + 32), X86_ACPI_AT);
	ck_assert_uint_eq(get_le32(info + 48), 2);
	module = ram + get_le64(info + 16);
	ck_assert_uint_eq(get_le64(module), 0xa00000);
	ck_assert_uint_eq(get_le64(module + 8), 0x1234);
	entry = ram + get_le64(info + 40) + 24;
	ck_assert_uint_eq(get_le64(entry), 0xe0000);
	ck_assert_uint_eq(get_le64(entry + 8), 0x20000);
	ck_assert_uint_eq(get_le32(entry + 16), X86_E820_ACPI);
}
END_TEST

START_TEST(start_info_without_initrd_has_no_module)
{
	const struct initrd none = { 0 };
	const struct x86_e820 map = { 0 };

	ck_assert_int_eq(x86_kernel_write_start_info(mem, &none, &map), 0);

	ck_assert_uint_eq(get_le32(ram + X86_ZERO_PAGE_AT + 12), 0);
	ck_assert_uint_eq(get_le64(ram + X86_ZERO_PAGE_AT + 16), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("x86_elf");
	TCase *tc = tcase_create("x86_elf");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, elf_segment_goes_to_its_physical_address);
	tcase_add_test(tc, entry_may_be_a_32_bit_number);
	tcase_add_test(tc, entry_is_found_behind_other_notes);
	tcase_add_test(tc, entry_is_found_in_notes_of_8_byte_alignment);
	tcase_add_test(tc, elf_without_pvh_note_is_refused);
	tcase_add_test(tc, note_of_another_vendor_is_not_taken);
	tcase_add_test(tc, note_that_leaves_its_segment_is_not_taken);
	tcase_add_test(tc, note_of_absurd_size_is_not_taken);
	tcase_add_test(tc, empty_note_segment_has_no_entry);
	tcase_add_test(tc, too_many_notes_are_refused);
	tcase_add_test(tc, notes_beyond_the_file_are_refused);
	tcase_add_test(tc, elf_of_32_bits_is_refused);
	tcase_add_test(tc, elf_of_another_machine_is_refused);
	tcase_add_test(tc, elf_of_the_other_byte_order_is_refused);
	tcase_add_test(tc, object_file_is_refused);
	tcase_add_test(tc, elf_cut_in_its_header_is_refused);
	tcase_add_test(tc, program_headers_of_wrong_size_are_refused);
	tcase_add_test(tc, too_many_program_headers_are_refused);
	tcase_add_test(tc, program_headers_beyond_the_file_are_refused);
	tcase_add_test(tc, segment_larger_than_its_memory_is_refused);
	tcase_add_test(tc, segment_in_the_first_mib_is_refused);
	tcase_add_test(tc, segment_beyond_ram_is_refused);
	tcase_add_test(tc, segment_that_wraps_is_refused);
	tcase_add_test(tc, segment_cut_by_the_end_of_the_file_is_refused);
	tcase_add_test(tc, entry_in_no_segment_is_refused);
	tcase_add_test(tc, empty_segment_may_be_anywhere);
	tcase_add_test(tc, start_info_tells_where_everything_is);
	tcase_add_test(tc, start_info_without_initrd_has_no_module);
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
