// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_snapshot.c - the folder of a snapshot, with the checksums put right.
 *
 * The input begins with the lengths of its parts, 16 bits each: what the manifest says but for
 * checksums, the configuration, the working set, and which pages there are; the rest is the
 * state.  The memory is as long as that of another snapshot, upon which this one may build.
 * What is refused is refused with a reason, and what was merged can be opened.
 */
#include "base/bytes.h"
#include "base/err.h"
#include "machine/vm_config.h"
#include "memory/ram.h"
#include "migrate/manifest.h"
#include "migrate/pages.h"
#include "migrate/snapshot.h"
#include "migrate/snapshot_file.h"
#include "state/stream.h"
#include "unit/stream_repair.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define NR_PAGES	512
#define MEMORY_LEN	(NR_PAGES * PAGES_LEN)
#define PAGE_NR		UINT64_C(3)
#define MEMORY_MAX	(64 * MEMORY_LEN)	/* that is mapped here */
#define BASE_ID		"00000000-0000-4000-8000-000000000000"

enum part { MANIFEST, CONFIG, SET, PAGES, NR_LENGTHS, STATE = NR_LENGTHS, NR_PARTS };

struct bytes {
	const uint8_t *at;
	size_t len;
};

static char place[32], some[64], base[64];

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void judge(int r, const struct err *err)
{
	must(r <= 0 && (!r || (err->code == r && *err->text)));
}

static void put(int folder, const char *name, const void *bytes, size_t len)
{
	int fd = openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	must(fd >= 0 && write(fd, bytes, len) == (ssize_t)len);
	close(fd);
}

static void make_place(void)
{
	snprintf(place, sizeof(place), "/dev/shm/vmm-fuzz-XXXXXX");
	must(mkdtemp(place));
	snprintf(some, sizeof(some), "%s/some", place);
	snprintf(base, sizeof(base), "%s/base", place);
}

static const uint8_t page[PAGES_LEN] = "memory";

/* One page is set, the rest is a hole. */
static void put_memory(int folder)
{
	int fd = openat(folder, SNAPSHOT_MEMORY, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	must(fd >= 0 && !ftruncate(fd, MEMORY_LEN));
	must(pwrite(fd, page, sizeof(page), PAGE_NR * PAGES_LEN) == sizeof(page));
	close(fd);
}

static uint32_t memory_crc(void)
{
	uint8_t number[8];

	put_le64(number, PAGE_NR);
	return (uint32_t)crc32(crc32(0, number, sizeof(number)), page, sizeof(page));
}

static uint32_t crc_of(struct bytes bytes)
{
	return (uint32_t)crc32(0, bytes.at, (uInt)bytes.len);
}

static void put_manifest(int folder, const struct bytes *parts)
{
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	uint32_t crc;

	must(out);
	fwrite(parts[MANIFEST].at, 1, parts[MANIFEST].len, out);
	fprintf(out, "\nmemory-crc: %u\nstate-crc: %u\nconfig-crc: %u\npages-crc: %u\n",
		memory_crc(), crc_of(parts[STATE]), crc_of(parts[CONFIG]), crc_of(parts[PAGES]));
	fflush(out);
	crc = (uint32_t)crc32(0, (const Bytef *)text, (uInt)len);
	fprintf(out, "# crc32 %08" PRIx32 "\n", crc);
	must(!fclose(out));
	put(folder, SNAPSHOT_MANIFEST, text, len);
	free(text);
}

/* The last word is its checksum. */
static void put_set(int folder, struct bytes part)
{
	uint64_t words[NR_PAGES / 64 + 1] = { 0 };
	size_t len = part.len < sizeof(words) ? part.len : sizeof(words);
	size_t last = len / sizeof(words[0]);

	memcpy(words, part.at, len);
	if (last)
		words[last - 1] = crc32(0, (const Bytef *)words,
					(uInt)((last - 1) * sizeof(words[0])));
	put(folder, SNAPSHOT_SET, words, len);
}

static void put_snapshot(const char *path, const struct bytes *parts)
{
	int folder;

	must(!mkdir(path, 0700));
	folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(folder >= 0);
	put_manifest(folder, parts);
	put_memory(folder);
	put(folder, SNAPSHOT_CONFIG, parts[CONFIG].at, parts[CONFIG].len);
	put(folder, SNAPSHOT_PAGES, parts[PAGES].at, parts[PAGES].len);
	put(folder, SNAPSHOT_STATE, parts[STATE].at, parts[STATE].len);
	put_set(folder, parts[SET]);
	close(folder);
}

/* What others may build upon. */
static void put_base(void)
{
	static const char manifest[] =
		"id: \"" BASE_ID "\"\nname: base\ncreated: now\nrelease: \"1\"\narch: x\n"
		"memory: 2097152\npages: 1\n";
	uint8_t state[STREAM_HEADER_LEN] = { 0 };
	const struct bytes nothing = { state, 0 };
	const struct bytes parts[NR_PARTS] = {
		[MANIFEST] = { (const uint8_t *)manifest, sizeof(manifest) - 1 },
		[CONFIG] = nothing, [SET] = nothing, [PAGES] = nothing,
		[STATE] = { state, sizeof(state) },
	};

	stream_repair(state, sizeof(state));
	put_snapshot(base, parts);
}

static void use_memory(const struct snapshot *snapshot, uint64_t len)
{
	struct err err = { 0 };
	struct ram ram;

	if (len > MEMORY_MAX || ram_open(&ram, len, NULL))
		return;
	judge(snapshot_map(snapshot, &ram, &err), &err);
	ram_close(&ram);
}

static void use_config(const struct snapshot *snapshot)
{
	struct vm_config config = { 0 };
	struct err err = { 0 };
	int r = snapshot_config(snapshot, &config, &err);

	judge(r, &err);
	if (r < 0)
		return;
	err = (struct err){ 0 };
	judge(snapshot_check_disks(snapshot, &config, &err), &err);
	option_fini(&vm_config_options, &config);
}

static void use(const struct snapshot *snapshot)
{
	struct snapshot_info info;
	struct err err = { 0 };
	uint64_t nr;

	use_config(snapshot);
	judge(snapshot_verify(snapshot, NULL, NULL, &err), &err);
	err = (struct err){ 0 };
	judge(snapshot_count_used(snapshot, &nr, &err), &err);
	err = (struct err){ 0 };
	judge(snapshot_read_ahead(snapshot, NULL, NULL, &err), &err);
	for (unsigned i = 0; snapshot_info(snapshot, i, &info); i++)
		use_memory(snapshot, info.memory);
}

static void open_it(void)
{
	struct snapshot *snapshot;
	struct err err = { 0 };
	int r = snapshot_open(&snapshot, some, &err);

	judge(r, &err);
	if (r < 0)
		return;
	use(snapshot);
	snapshot_close(snapshot);
	err = (struct err){ 0 };
	r = snapshot_merge(some, NULL, NULL, &err);
	judge(r, &err);
	if (r < 0)
		return;
	must(!snapshot_open(&snapshot, some, NULL));
	snapshot_close(snapshot);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t len)
{
	struct bytes parts[NR_PARTS];
	const uint8_t *lengths = input;
	uint8_t *state;

	if (len < 2 * NR_LENGTHS + STREAM_HEADER_LEN)
		return 0;
	input += 2 * NR_LENGTHS;
	len -= 2 * NR_LENGTHS + STREAM_HEADER_LEN;
	for (unsigned i = 0; i < NR_LENGTHS; i++) {
		size_t part = get_le16(lengths + 2 * i);

		parts[i] = (struct bytes){ input, part < len ? part : len };
		input += parts[i].len;
		len -= parts[i].len;
	}
	len += STREAM_HEADER_LEN;
	state = malloc(len);
	must(state);
	memcpy(state, input, len);
	stream_repair(state, len);
	parts[STATE] = (struct bytes){ state, len };
	make_place();
	put_base();
	put_snapshot(some, parts);
	free(state);
	open_it();
	snapshot_remove(some);
	snapshot_remove(base);
	must(!rmdir(place));
	return 0;
}
