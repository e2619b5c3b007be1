// SPDX-License-Identifier: Apache-2.0
#include "cpu/x86_cpuid.h"

#include "base/err.h"

#include <check.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define HOST_ID		0x5a	/* the APIC id that the samples were taken on */
#define HTT		(1U << 28)	/* leaf 1, EDX */
#define CMP_LEGACY	(1U << 1)	/* leaf 0x80000001, ECX */

static struct kvm_cpuid2 *cpuid;

static void add(uint32_t leaf, uint32_t sub, uint32_t eax, uint32_t ebx, uint32_t ecx,
		uint32_t edx)
{
	ck_assert_uint_lt(cpuid->nent, X86_CPUID_ENTRIES_MAX);
	cpuid->entries[cpuid->nent++] = (struct kvm_cpuid_entry2){
		.function = leaf, .index = sub, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
		.eax = eax, .ebx = ebx, .ecx = ecx, .edx = edx,
	};
}

static void begin(const char *vendor, uint32_t last)
{
	uint32_t regs[3];

	cpuid = x86_cpuid_new();
	ck_assert_ptr_nonnull(cpuid);
	ck_assert_uint_eq(cpuid->nent, X86_CPUID_ENTRIES_MAX);
	cpuid->nent = 0;
	memcpy(regs, vendor, sizeof(regs));
	add(0, 0, last, regs[0], regs[2], regs[1]);
	add(1, 0, 0x000306a9, HOST_ID << 24 | 64 << 16 | 8 << 8, 0x00000001, 0x0f8bfbff);
}

/* 32 cores of two threads, in modules; like leaves 4, 0xb and 0x1f of a server. */
static void setup_intel(void)
{
	begin("GenuineIntel", 0x1f);
	add(4, 0, 0x7c004121, 0x02c0003f, 63, 0);
	add(4, 1, 0x7c004122, 0x01c0003f, 63, 0);
	add(4, 2, 0x7c004143, 0x03c0003f, 1023, 0);
	add(4, 3, 0x7c0fc163, 0x02c0003f, 49151, 4);
	add(4, 4, 0, 0, 0, 0);
	add(7, 0, 2, 0x219c07ab, 0x1840072c, 0xac004410);
	add(0xa, 0, 0x07300802, 0, 0, 0x00000603);
	add(0xb, 0, 1, 2, 0x100, HOST_ID);
	add(0xb, 1, 7, 64, 0x201, HOST_ID);
	for (uint32_t level = 0; level < 5; level++)
		add(0x1f, level, level, 2, (level + 1) << 8 | level, HOST_ID);
	add(0x80000000, 0, 0x80000008, 0, 0, 0);
	add(0x80000001, 0, 0, 0, 0x121, 0x2c100800);
	add(0x80000008, 0, 0x0000302e, 0, 0, 0);
}

/* 16 cores of two threads on two nodes. */
static void setup_amd(void)
{
	begin("AuthenticAMD", 0x10);
	add(0x80000000, 0, 0x80000026, 0x68747541, 0x444d4163, 0x69746e65);
	add(0x80000001, 0, 0x00800f12, 0x40000000, 0x35c233ff & ~CMP_LEGACY, 0x2fd3fbff);
	add(0x80000008, 0, 0x00003030, 0x00000007, 0x0000501f, 0);
	add(0x8000001d, 0, 0x00004121, 0x01c0003f, 63, 0);
	add(0x8000001d, 1, 0x00004122, 0x00c000ff, 255, 0);
	add(0x8000001d, 2, 0x00004143, 0x01c0003f, 1023, 2);
	add(0x8000001d, 3, 0x0001c163, 0x03c0003f, 8191, 1);
	add(0x8000001d, 4, 0, 0, 0, 0);
	add(0x8000001e, 0, HOST_ID, 0x0000012d, 0x00000101, 0);
	add(0x80000026, 0, 0xf0000001, 2, 0x100, HOST_ID);
	add(0x80000026, 1, 7, 64, 0x201, HOST_ID);
}

static void teardown(void)
{
	free(cpuid);
}

static const struct kvm_cpuid_entry2 *find(uint32_t leaf, uint32_t sub)
{
	for (uint32_t i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == leaf && cpuid->entries[i].index == sub)
			return &cpuid->entries[i];
	return NULL;
}

static struct kvm_cpuid_entry2 get(uint32_t leaf, uint32_t sub)
{
	const struct kvm_cpuid_entry2 *e = find(leaf, sub);

	ck_assert_msg(e, "leaf %#x.%u is missing", leaf, sub);
	return *e;
}

static uint32_t bits(uint32_t reg, unsigned high, unsigned low)
{
	return reg >> low & UINT32_MAX >> (31 - (high - low));
}

static void assert_level(uint32_t leaf, uint32_t level, uint32_t shift, uint32_t nr,
			 uint32_t type, uint32_t id)
{
	struct kvm_cpuid_entry2 e = get(leaf, level);

	ck_assert_uint_eq(e.eax, shift);
	ck_assert_uint_eq(e.ebx, nr);
	ck_assert_uint_eq(e.ecx, type << 8 | level);
	ck_assert_uint_eq(e.edx, id);
	ck_assert_uint_ne(e.flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX, 0);
}

/* Threads, cores, the end; and no more levels of the host. */
static void assert_levels(uint32_t leaf, uint32_t shift, uint32_t nr, uint32_t id)
{
	assert_level(leaf, 0, 0, 1, 1, id);
	assert_level(leaf, 1, shift, nr, 2, id);
	assert_level(leaf, 2, 0, 0, 0, id);
	ck_assert_ptr_null(find(leaf, 3));
}

/* Every CPU. */

START_TEST(leaf_1_has_the_cpus_id_and_number)
{
	struct kvm_cpuid_entry2 e;

	x86_cpuid_adapt(cpuid, 3, 4);

	e = get(1, 0);
	ck_assert_uint_eq(e.eax, 0x000306a9);
	ck_assert_uint_eq(e.ebx, 3 << 24 | 4 << 16 | 8 << 8);
	ck_assert_uint_eq(e.edx & HTT, HTT);
}
END_TEST

START_TEST(single_cpu_has_no_siblings)
{
	struct kvm_cpuid_entry2 e;

	x86_cpuid_adapt(cpuid, 0, 1);

	e = get(1, 0);
	ck_assert_uint_eq(bits(e.ebx, 31, 16), 1);
	ck_assert_uint_eq(e.edx & HTT, 0);
}
END_TEST

START_TEST(leaf_1_shows_what_kvm_adds)
{
	const uint32_t added = 1U << 31 | 1U << 24 | 1U << 21;	/* guest, deadline, x2APIC */

	x86_cpuid_adapt(cpuid, 0, 1);

	ck_assert_uint_eq(get(1, 0).ecx, added | 1);
}
END_TEST

START_TEST(leaf_1_holds_what_fits_of_large_numbers)
{
	x86_cpuid_adapt(cpuid, 0x12b, 300);

	ck_assert_uint_eq(bits(get(1, 0).ebx, 31, 24), 0x2b);
	ck_assert_uint_eq(bits(get(1, 0).ebx, 23, 16), 255);
}
END_TEST

/* Intel. */

START_TEST(levels_of_one_cpu)
{
	x86_cpuid_adapt(cpuid, 0, 1);

	assert_levels(0xb, 0, 1, 0);
	assert_levels(0x1f, 0, 1, 0);
}
END_TEST

START_TEST(levels_of_four_cpus)
{
	x86_cpuid_adapt(cpuid, 2, 4);

	assert_levels(0xb, 2, 4, 2);
	assert_levels(0x1f, 2, 4, 2);
}
END_TEST

START_TEST(levels_of_three_hundred_cpus_have_ids_of_nine_bits)
{
	x86_cpuid_adapt(cpuid, 299, 300);

	assert_levels(0xb, 9, 300, 299);
	assert_levels(0x1f, 9, 300, 299);
}
END_TEST

START_TEST(leaf_1f_is_not_made_up_for_a_processor_that_ends_before)
{
	cpuid->entries[0].eax = 0x1e;
	cpuid->nent -= 3;		/* the extended leaves, which come last */
	cpuid->nent -= 5;		/* leaf 0x1f */

	x86_cpuid_adapt(cpuid, 0, 4);

	ck_assert_ptr_null(find(0x1f, 0));
	assert_levels(0xb, 2, 4, 0);
}
END_TEST

static void assert_intel_cache(uint32_t sub, uint32_t type, uint32_t sharing, uint32_t cores)
{
	struct kvm_cpuid_entry2 e = get(4, sub);

	ck_assert_uint_eq(bits(e.eax, 13, 0), type);
	ck_assert_uint_eq(bits(e.eax, 25, 14), sharing - 1);
	ck_assert_uint_eq(bits(e.eax, 31, 26), cores - 1);
}

START_TEST(first_two_caches_are_a_cores_own_and_the_third_is_everyones)
{
	x86_cpuid_adapt(cpuid, 1, 4);

	assert_intel_cache(0, 0x121, 1, 4);
	assert_intel_cache(1, 0x122, 1, 4);
	assert_intel_cache(2, 0x143, 1, 4);
	assert_intel_cache(3, 0x163, 4, 4);
	ck_assert_uint_eq(get(4, 4).eax, 0);
	ck_assert_uint_eq(get(4, 3).ebx, 0x02c0003f);
}
END_TEST

START_TEST(caches_of_one_cpu_are_shared_by_one)
{
	x86_cpuid_adapt(cpuid, 0, 1);

	assert_intel_cache(3, 0x163, 1, 1);
}
END_TEST

START_TEST(cores_of_the_cache_leaf_end_at_its_six_bits)
{
	x86_cpuid_adapt(cpuid, 0, 300);

	assert_intel_cache(3, 0x163, 300, 64);
}
END_TEST

START_TEST(other_leaves_are_as_kvm_says)
{
	x86_cpuid_adapt(cpuid, 1, 4);

	ck_assert_uint_eq(get(7, 0).eax, 2);
	ck_assert_uint_eq(get(7, 0).ebx, 0x219c07ab);
	ck_assert_uint_eq(get(0xa, 0).eax, 0x07300802);
	ck_assert_uint_eq(get(0x80000001, 0).ecx, 0x121);
	ck_assert_uint_eq(get(0x80000008, 0).ecx, 0);
}
END_TEST

START_TEST(full_table_gets_no_more_entries)
{
	cpuid->nent = 2;
	for (uint32_t sub = 0; cpuid->nent < X86_CPUID_ENTRIES_MAX; sub++)
		add(0xd, sub, 0, 0, 0, 0);

	x86_cpuid_adapt(cpuid, 0, 4);

	ck_assert_uint_eq(cpuid->nent, X86_CPUID_ENTRIES_MAX);
	ck_assert_ptr_null(find(0xb, 0));
}
END_TEST

START_TEST(empty_table_stays_empty)
{
	cpuid->nent = 0;

	x86_cpuid_adapt(cpuid, 0, 4);

	ck_assert_uint_eq(cpuid->nent, 0);
}
END_TEST

/* AMD. */

START_TEST(amd_without_leaf_b_gets_it)
{
	x86_cpuid_adapt(cpuid, 3, 4);

	assert_levels(0xb, 2, 4, 3);
	ck_assert_ptr_null(find(0x1f, 0));
}
END_TEST

static void assert_amd_cores(uint32_t legacy, uint32_t nr, uint32_t id_bits)
{
	ck_assert_uint_eq(get(0x80000001, 0).ecx & CMP_LEGACY, legacy);
	ck_assert_uint_eq(bits(get(0x80000008, 0).ecx, 7, 0), nr - 1);
	ck_assert_uint_eq(bits(get(0x80000008, 0).ecx, 15, 12), id_bits);
}

START_TEST(amd_number_of_one_cpu)
{
	x86_cpuid_adapt(cpuid, 0, 1);

	assert_amd_cores(0, 1, 0);
}
END_TEST

START_TEST(amd_number_of_four_cpus)
{
	x86_cpuid_adapt(cpuid, 0, 4);

	assert_amd_cores(CMP_LEGACY, 4, 2);
}
END_TEST

START_TEST(amd_number_of_three_hundred_cpus_ends_at_its_eight_bits)
{
	x86_cpuid_adapt(cpuid, 0, 300);

	assert_amd_cores(CMP_LEGACY, 256, 9);
}
END_TEST

START_TEST(amd_cpu_is_a_core_of_one_thread_on_one_node)
{
	struct kvm_cpuid_entry2 e;

	x86_cpuid_adapt(cpuid, 299, 300);

	e = get(0x8000001e, 0);
	ck_assert_uint_eq(e.eax, 299);
	ck_assert_uint_eq(e.ebx, 299 & 0xff);
	ck_assert_uint_eq(e.ecx, 0);
}
END_TEST

START_TEST(amd_caches_are_shared_likewise)
{
	x86_cpuid_adapt(cpuid, 0, 4);

	ck_assert_uint_eq(get(0x8000001d, 0).eax, 0x121);
	ck_assert_uint_eq(get(0x8000001d, 2).eax, 0x143);
	ck_assert_uint_eq(get(0x8000001d, 3).eax, 0x163 | 3 << 14);
	ck_assert_uint_eq(get(0x8000001d, 4).eax, 0);
}
END_TEST

START_TEST(amd_levels_of_the_host_are_hidden)
{
	x86_cpuid_adapt(cpuid, 0, 4);

	ck_assert_ptr_null(find(0x80000026, 0));
	ck_assert_ptr_null(find(0x80000026, 1));
}
END_TEST

/* Physical addresses. */

static unsigned address_bits_of(uint32_t eax)
{
	cpuid->entries[cpuid->nent - 1].eax = eax;
	return x86_cpuid_address_bits(cpuid);
}

START_TEST(address_bits_are_the_processors_unless_a_guest_has_fewer)
{
	cpuid->nent = 1;
	add(0x80000008, 0, 0, 0, 0, 0);

	ck_assert_uint_eq(address_bits_of(0x00003027), 39);
	ck_assert_uint_eq(address_bits_of(0x00303034), 48);
	ck_assert_uint_eq(address_bits_of(0x00343030), 48);
}
END_TEST

START_TEST(address_bits_are_believed_within_reason_only)
{
	cpuid->nent = 1;
	ck_assert_uint_eq(x86_cpuid_address_bits(cpuid), 36);
	add(0x80000008, 0, 0, 0, 0, 0);

	ck_assert_uint_eq(address_bits_of(0), 36);
	ck_assert_uint_eq(address_bits_of(0xff), 52);
}
END_TEST

/* Moved to another host. */

START_TEST(same_features_are_enough)
{
	ck_assert_int_eq(x86_cpuid_check(cpuid, cpuid, NULL), 0);
}
END_TEST

START_TEST(missing_feature_is_named)
{
	struct kvm_cpuid2 *host = x86_cpuid_new();
	struct err err = { 0 };

	host->nent = cpuid->nent;
	memcpy(host->entries, cpuid->entries, cpuid->nent * sizeof(cpuid->entries[0]));
	host->entries[1].edx &= ~(1U << 4);

	ck_assert_int_eq(x86_cpuid_check(cpuid, host, &err), -ENOTSUP);
	ck_assert_ptr_nonnull(strstr(err.text, "CPUID 1.edx, bits 0x10)"));
	ck_assert_int_eq(x86_cpuid_check(host, cpuid, &err), 0);
	free(host);
}
END_TEST

START_TEST(leaf_that_the_host_lacks_has_no_features)
{
	struct kvm_cpuid2 *host = x86_cpuid_new();

	host->nent = 2;
	memcpy(host->entries, cpuid->entries, 2 * sizeof(cpuid->entries[0]));

	ck_assert_int_eq(x86_cpuid_check(cpuid, host, NULL), -ENOTSUP);
	free(host);
}
END_TEST

START_TEST(shorter_addresses_are_refused)
{
	struct kvm_cpuid2 *host = x86_cpuid_new();
	struct err err = { 0 };

	host->nent = cpuid->nent;
	memcpy(host->entries, cpuid->entries, cpuid->nent * sizeof(cpuid->entries[0]));
	for (uint32_t i = 0; i < host->nent; i++)
		if (host->entries[i].function == 0x80000008)
			host->entries[i].eax -= 4;

	ck_assert_int_eq(x86_cpuid_check(cpuid, host, &err), -ENOTSUP);
	ck_assert_ptr_nonnull(strstr(err.text, "addresses of 46 bits"));
	ck_assert_int_eq(x86_cpuid_check(host, cpuid, NULL), 0);
	free(host);
}
END_TEST

/* Whether the guest has its APIC on is its own affair. */
START_TEST(what_the_guest_has_set_is_no_feature)
{
	struct kvm_cpuid2 *host = x86_cpuid_new();

	host->nent = cpuid->nent;
	memcpy(host->entries, cpuid->entries, cpuid->nent * sizeof(cpuid->entries[0]));
	host->entries[1].edx &= ~(1U << 9);

	ck_assert_int_eq(x86_cpuid_check(cpuid, host, NULL), 0);
	free(host);
}
END_TEST

static TCase *intel_tests(void)
{
	TCase *tc = tcase_create("Intel");

	tcase_add_checked_fixture(tc, setup_intel, teardown);
	tcase_add_test(tc, leaf_1_has_the_cpus_id_and_number);
	tcase_add_test(tc, single_cpu_has_no_siblings);
	tcase_add_test(tc, leaf_1_shows_what_kvm_adds);
	tcase_add_test(tc, leaf_1_holds_what_fits_of_large_numbers);
	tcase_add_test(tc, levels_of_one_cpu);
	tcase_add_test(tc, levels_of_four_cpus);
	tcase_add_test(tc, levels_of_three_hundred_cpus_have_ids_of_nine_bits);
	tcase_add_test(tc, leaf_1f_is_not_made_up_for_a_processor_that_ends_before);
	tcase_add_test(tc, first_two_caches_are_a_cores_own_and_the_third_is_everyones);
	tcase_add_test(tc, caches_of_one_cpu_are_shared_by_one);
	tcase_add_test(tc, cores_of_the_cache_leaf_end_at_its_six_bits);
	tcase_add_test(tc, other_leaves_are_as_kvm_says);
	tcase_add_test(tc, full_table_gets_no_more_entries);
	tcase_add_test(tc, empty_table_stays_empty);
	tcase_add_test(tc, address_bits_are_the_processors_unless_a_guest_has_fewer);
	tcase_add_test(tc, address_bits_are_believed_within_reason_only);
	tcase_add_test(tc, shorter_addresses_are_refused);
	return tc;
}

static TCase *amd_tests(void)
{
	TCase *tc = tcase_create("AMD");

	tcase_add_checked_fixture(tc, setup_amd, teardown);
	tcase_add_test(tc, amd_without_leaf_b_gets_it);
	tcase_add_test(tc, amd_number_of_one_cpu);
	tcase_add_test(tc, amd_number_of_four_cpus);
	tcase_add_test(tc, amd_number_of_three_hundred_cpus_ends_at_its_eight_bits);
	tcase_add_test(tc, amd_cpu_is_a_core_of_one_thread_on_one_node);
	tcase_add_test(tc, amd_caches_are_shared_likewise);
	tcase_add_test(tc, amd_levels_of_the_host_are_hidden);
	tcase_add_test(tc, same_features_are_enough);
	tcase_add_test(tc, missing_feature_is_named);
	tcase_add_test(tc, leaf_that_the_host_lacks_has_no_features);
	tcase_add_test(tc, what_the_guest_has_set_is_no_feature);
	return tc;
}

int main(void)
{
	Suite *s = suite_create("x86_cpuid");
	SRunner *sr;
	int failed;

	suite_add_tcase(s, intel_tests());
	suite_add_tcase(s, amd_tests());

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
