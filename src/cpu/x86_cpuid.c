// SPDX-License-Identifier: Apache-2.0
/*
 * x86_cpuid.c - adapts the host's CPUID to a vCPU.
 *
 * Register layouts are those of Intel SDM volume 2 (CPUID) and AMD APM volume
 * 3, appendix E.
 */
#include "x86_cpuid.h"

#include "base/bits.h"
#include "base/err.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define BITS(value, high, low)	((uint32_t)(value) << (low) & MASK(high, low))
#define MASK(high, low)		(UINT32_MAX >> (31 - (high)) & UINT32_MAX << (low))

/* Leaf 1. */
#define ECX1_X2APIC		BIT32(21)
#define ECX1_TSC_DEADLINE	BIT32(24)
#define ECX1_HYPERVISOR		BIT32(31)
#define EDX1_HTT		BIT32(28)

/* Leaf 0x80000001. */
#define ECX8_CMP_LEGACY		BIT32(1)

/* Leaf 4 and 0x8000001d: bits 7:5 are the level of the cache. */
#define CACHE_LEVEL_SHARED	3

/* Of physical addresses: PAE's, and what page tables have room for. */
#define ADDRESS_BITS_LEAST	36
#define ADDRESS_BITS_MOST	52

struct kvm_cpuid2 *x86_cpuid_new(void)
{
	struct kvm_cpuid2 *cpuid;

	cpuid = calloc(1, sizeof(*cpuid) + X86_CPUID_ENTRIES_MAX * sizeof(cpuid->entries[0]));
	if (cpuid)
		cpuid->nent = X86_CPUID_ENTRIES_MAX;
	return cpuid;
}

static int index_of(const struct kvm_cpuid2 *cpuid, uint32_t leaf, uint32_t sub)
{
	for (uint32_t i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == leaf && cpuid->entries[i].index == sub)
			return (int)i;
	return -ENOENT;
}

static struct kvm_cpuid_entry2 *find(struct kvm_cpuid2 *cpuid, uint32_t leaf, uint32_t sub)
{
	int i = index_of(cpuid, leaf, sub);

	return i < 0 ? NULL : &cpuid->entries[i];
}

/* Remove sub-leaves from this one on. */
static void drop(struct kvm_cpuid2 *cpuid, uint32_t leaf, uint32_t from)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function != leaf || cpuid->entries[i].index < from)
			cpuid->entries[kept++] = cpuid->entries[i];
	cpuid->nent = kept;
}

static struct kvm_cpuid_entry2 *find_or_add(struct kvm_cpuid2 *cpuid, uint32_t leaf,
					    uint32_t sub)
{
	struct kvm_cpuid_entry2 *e = find(cpuid, leaf, sub);

	if (e || cpuid->nent == X86_CPUID_ENTRIES_MAX)
		return e;
	e = &cpuid->entries[cpuid->nent++];
	memset(e, 0, sizeof(*e));
	e->function = leaf;
	e->index = sub;
	e->flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
	return e;
}

static void set_bits(uint32_t *reg, unsigned high, unsigned low, uint32_t value)
{
	*reg = (*reg & ~MASK(high, low)) | BITS(value, high, low);
}

static void set_flag(uint32_t *reg, uint32_t flag, bool on)
{
	*reg = on ? *reg | flag : *reg & ~flag;
}

/* Bits that hold the numbers 0 to nr-1. */
static unsigned bits_for(unsigned nr)
{
	unsigned bits = 0;

	while (bits < 31 && 1U << bits < nr)
		bits++;
	return bits;
}

static uint32_t at_most(uint32_t value, uint32_t max)
{
	return value < max ? value : max;
}

static void adapt_features(struct kvm_cpuid2 *cpuid, unsigned id, unsigned nr_cpus)
{
	struct kvm_cpuid_entry2 *e = find(cpuid, 1, 0);

	if (!e)
		return;
	set_bits(&e->ebx, 31, 24, id);
	set_bits(&e->ebx, 23, 16, at_most(nr_cpus, 255));
	set_flag(&e->edx, EDX1_HTT, nr_cpus > 1);
	/* Both are the in-kernel local APIC's, whatever the host has. */
	e->ecx |= ECX1_X2APIC | ECX1_TSC_DEADLINE | ECX1_HYPERVISOR;
}

/* Caches up to the second level are a core's own; the third is shared by all. */
static void adapt_caches(struct kvm_cpuid2 *cpuid, uint32_t leaf, unsigned nr_cpus)
{
	for (uint32_t i = 0; i < cpuid->nent; i++) {
		struct kvm_cpuid_entry2 *e = &cpuid->entries[i];
		bool shared = (e->eax >> 5 & 7) >= CACHE_LEVEL_SHARED;

		if (e->function != leaf || !(e->eax & 0x1f))
			continue;
		set_bits(&e->eax, 25, 14, shared ? at_most(nr_cpus - 1, 0xfff) : 0);
		if (leaf == 4)		/* elsewhere these bits are reserved */
			set_bits(&e->eax, 31, 26, at_most(nr_cpus - 1, 63));
	}
}

/* Leaves 0xb and 0x1f: a level of threads, a level of cores, an end. */
static void adapt_topology(struct kvm_cpuid2 *cpuid, uint32_t leaf, unsigned id,
			   unsigned nr_cpus)
{
	enum { TYPE_NONE, TYPE_THREAD, TYPE_CORE };
	static const uint32_t types[] = { TYPE_THREAD, TYPE_CORE, TYPE_NONE };

	/* The host may have modules, tiles and dies between. */
	drop(cpuid, leaf, ARRAY_LEN(types));
	for (uint32_t level = 0; level < ARRAY_LEN(types); level++) {
		struct kvm_cpuid_entry2 *e = find_or_add(cpuid, leaf, level);

		if (!e)
			return;
		e->eax = types[level] == TYPE_CORE ? bits_for(nr_cpus) : 0;
		e->ebx = types[level] == TYPE_CORE ? at_most(nr_cpus, 0xffff) :
			 types[level] == TYPE_THREAD;
		e->ecx = types[level] << 8 | level;
		e->edx = id;
	}
}

static void adapt_amd(struct kvm_cpuid2 *cpuid, unsigned id, unsigned nr_cpus)
{
	struct kvm_cpuid_entry2 *e;

	e = find(cpuid, 0x80000001, 0);
	if (e)
		set_flag(&e->ecx, ECX8_CMP_LEGACY, nr_cpus > 1);
	e = find(cpuid, 0x80000008, 0);
	if (e) {
		set_bits(&e->ecx, 7, 0, at_most(nr_cpus - 1, 255));
		set_bits(&e->ecx, 15, 12, bits_for(nr_cpus));
	}
	e = find(cpuid, 0x8000001e, 0);
	if (e) {
		e->eax = id;
		e->ebx = id & 0xff;	/* core id; one thread a core */
		e->ecx = 0;		/* one node */
	}
	/* The host's again; without it leaf 0xb counts. */
	drop(cpuid, 0x80000026, 0);
	adapt_caches(cpuid, 0x8000001d, nr_cpus);
}

static bool is_amd(struct kvm_cpuid2 *cpuid)
{
	const struct kvm_cpuid_entry2 *e = find(cpuid, 0, 0);
	char name[12];

	if (!e)
		return false;
	memcpy(name, &e->ebx, 4);
	memcpy(name + 4, &e->edx, 4);
	memcpy(name + 8, &e->ecx, 4);
	return !memcmp(name, "AuthenticAMD", 12) || !memcmp(name, "HygonGenuine", 12);
}

void x86_cpuid_adapt(struct kvm_cpuid2 *cpuid, unsigned id, unsigned nr_cpus)
{
	const struct kvm_cpuid_entry2 *basic = find(cpuid, 0, 0);

	adapt_features(cpuid, id, nr_cpus);
	if (basic && basic->eax >= 0xb)
		adapt_topology(cpuid, 0xb, id, nr_cpus);
	if (basic && basic->eax >= 0x1f)
		adapt_topology(cpuid, 0x1f, id, nr_cpus);
	if (is_amd(cpuid))
		adapt_amd(cpuid, id, nr_cpus);
	else
		adapt_caches(cpuid, 4, nr_cpus);
}

/* Leaf 0x80000008: bits 7:0 are the processor's, 23:16 a guest's if they differ. */
unsigned x86_cpuid_address_bits(const struct kvm_cpuid2 *cpuid)
{
	int i = index_of(cpuid, 0x80000008, 0);
	uint32_t eax = i < 0 ? 0 : cpuid->entries[i].eax;
	unsigned own = eax & 0xff, guest = eax >> 16 & 0xff;

	if (!own)
		return ADDRESS_BITS_LEAST;
	return at_most(guest && guest < own ? guest : own, ADDRESS_BITS_MOST);
}

/* A register of 32 features, but for those that say how the guest has set something. */
struct feature_word {
	uint32_t leaf, sub;
	unsigned reg;			/* 0 to 3: eax, ebx, ecx, edx */
	uint32_t settings;
	const char *name;
};

#define ECX1_OSXSAVE	BIT32(27)
#define ECX7_OSPKE	BIT32(4)
#define EDX1_APIC	BIT32(9)	/* as the guest enables it */

static const struct feature_word words[] = {
	{ 1, 0, 2, ECX1_OSXSAVE, "1.ecx" },
	{ 1, 0, 3, EDX1_APIC | EDX1_HTT, "1.edx" },
	{ 7, 0, 1, 0, "7.ebx" },
	{ 7, 0, 2, ECX7_OSPKE, "7.ecx" },
	{ 7, 0, 3, 0, "7.edx" },
	{ 7, 1, 0, 0, "7.1.eax" },
	{ 7, 1, 3, 0, "7.1.edx" },
	{ 7, 2, 3, 0, "7.2.edx" },
	{ 0xd, 0, 0, 0, "0xd.eax" },
	{ 0xd, 0, 3, 0, "0xd.edx" },
	{ 0xd, 1, 0, 0, "0xd.1.eax" },
	{ 0xd, 1, 2, 0, "0xd.1.ecx" },
	{ 0x40000001, 0, 0, 0, "0x40000001.eax" },
	{ 0x80000001, 0, 2, 0, "0x80000001.ecx" },
	{ 0x80000001, 0, 3, EDX1_APIC, "0x80000001.edx" },
	{ 0x80000007, 0, 3, 0, "0x80000007.edx" },
	{ 0x80000008, 0, 1, 0, "0x80000008.ebx" },
	{ 0x8000000a, 0, 3, 0, "0x8000000a.edx" },
	{ 0x80000021, 0, 0, 0, "0x80000021.eax" },
};

static uint32_t word_of(const struct kvm_cpuid2 *cpuid, const struct feature_word *word)
{
	int i = index_of(cpuid, word->leaf, word->sub);
	const struct kvm_cpuid_entry2 *e;

	if (i < 0)
		return 0;
	e = &cpuid->entries[i];
	return (const uint32_t[]){ e->eax, e->ebx, e->ecx, e->edx }[word->reg] &
	       ~word->settings;
}

int x86_cpuid_check(const struct kvm_cpuid2 *saved, const struct kvm_cpuid2 *host,
		    struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		uint32_t lacks = word_of(saved, &words[i]) & ~word_of(host, &words[i]);

		if (lacks)
			return err_set(err, -ENOTSUP, "this host's processor, or its KVM, lacks "
				       "features that the guest may use (CPUID %s, bits %#x): "
				       "let it go on where there is the same processor or a "
				       "newer one", words[i].name, lacks);
	}
	if (x86_cpuid_address_bits(saved) > x86_cpuid_address_bits(host))
		return err_set(err, -ENOTSUP, "the guest may use addresses of %u bits, this host's "
			       "processor reaches %u: let it go on where there is the same "
			       "processor", x86_cpuid_address_bits(saved),
			       x86_cpuid_address_bits(host));
	return 0;
}
