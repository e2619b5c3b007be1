// SPDX-License-Identifier: Apache-2.0
/* Disks whose blocks are of 4096 bytes, past the page cache, beside an array. */
#include "block/disk.h"

#include "disk_fixture.h"

#define BLOCK		4096
#define NR_BLOCKS	512
#define BLOCKS_MAX	40		/* of a request */
#define NR_REQUESTS	150

static const struct kind {
	const char *make;		/* an image "disk", of zeros where nothing is said */
	const char *format;
	enum disk_cache cache;
	unsigned skew;			/* bytes that memory is off what the file likes */
} kinds[] = {
	{ "truncate -s 2M disk", "raw", DISK_DIRECT, 0 },
	{ "truncate -s 2M disk", "raw", DISK_DIRECT, 512 },
	{ "truncate -s 2M disk", "raw", DISK_WRITEBACK, 0 },
	{ "qemu-img create -f qcow2 disk 2M", "qcow2", DISK_DIRECT, 0 },
	{ "qemu-img create -f qcow2 -o cluster_size=4k disk 2M", "qcow2", DISK_DIRECT, 512 },
	{ "qemu-img create -f qcow2 -o cluster_size=512 disk 2M", "qcow2", DISK_WRITEBACK, 0 },
	{ "qemu-img create -f qcow2 -o extended_l2=on disk 2M && qemu-img snapshot -c one disk",
	  "qcow2", DISK_DIRECT, 0 },
	/* A backing file that ends within a block. */
	{ "truncate -s 1536512 base.raw && qemu-img create -f qcow2 -b base.raw -F raw disk 2M",
	  "qcow2", DISK_DIRECT, 0 },
};

static uint8_t model[NR_BLOCKS * BLOCK];
static uint8_t memory[BLOCKS_MAX * BLOCK + BLOCK] __attribute__((aligned(BLOCK)));
static uint64_t seed;
static int result;

static uint64_t below(uint64_t n)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (seed >> 33) % n;
}

static void run(const char *what)
{
	char command[512];

	snprintf(command, sizeof(command), "cd %s && ( %s ) > /dev/null", folder, what);
	ck_assert_int_eq(system(command), 0);
}

static void request_done(struct disk_request *request, int res)
{
	(void)request;
	result = res;
	loop_quit(loop);
}

static int transfer(enum disk_op op, uint64_t at, void *bytes, uint64_t len)
{
	struct iovec seg = { bytes, len };
	bool moves = op == DISK_READ || op == DISK_WRITE;
	struct disk_request request = {
		.op = op, .at = at, .len = len, .segs = moves ? &seg : NULL, .nr_segs = moves,
		.done = request_done,
	};

	disk_submit(disk, &request);
	ck_assert_int_eq(loop_run(loop), 0);
	return result;
}

static void random_request(const struct kind *kind)
{
	static const enum disk_op ops[] = { DISK_READ, DISK_WRITE, DISK_WRITE, DISK_ZERO };
	enum disk_op op = ops[below(ARRAY_LEN(ops))];
	uint64_t at = below(NR_BLOCKS) * BLOCK;
	uint64_t len = min_u64((1 + below(BLOCKS_MAX)) * BLOCK, sizeof(model) - at);
	uint8_t *bytes = memory + kind->skew;

	for (uint64_t i = 0; i < len; i += sizeof(seed)) {
		below(1);
		memcpy(bytes + i, &seed, sizeof(seed));
	}
	ck_assert_int_eq(transfer(op, at, bytes, len), 0);
	if (op == DISK_READ)
		ck_assert_mem_eq(bytes, model + at, len);
	else if (op == DISK_WRITE)
		memcpy(model + at, bytes, len);
	else
		memset(model + at, 0, len);
}

static void open_kind(const struct kind *kind)
{
	struct disk_config c = config("disk");

	c.format = kind->format;
	c.cache = kind->cache;
	c.block_size = BLOCK;
	ck_assert_msg(!open_disk(c), "%s", err.text);
	ck_assert_uint_eq(disk_block_size(disk), BLOCK);
	ck_assert_uint_eq(disk_size(disk), sizeof(model));
}

START_TEST(disk_of_large_blocks_holds_what_is_written)
{
	const struct kind *kind = &kinds[_i];

	run(kind->make);
	seed = (uint64_t)_i;
	memset(model, 0, sizeof(model));
	open_kind(kind);

	for (unsigned i = 0; i < NR_REQUESTS; i++)
		random_request(kind);
	ck_assert_int_eq(transfer(DISK_FLUSH, 0, NULL, 0), 0);
	disk = disk_close(disk, &err);
	ck_assert_str_eq(err.text, "");

	open_kind(kind);
	for (uint64_t at = 0; at < sizeof(model); at += BLOCKS_MAX * BLOCK) {
		uint64_t len = min_u64(BLOCKS_MAX * BLOCK, sizeof(model) - at);

		ck_assert_int_eq(transfer(DISK_READ, at, memory, len), 0);
		ck_assert_mem_eq(memory, model + at, len);
	}
}
END_TEST

START_TEST(part_of_a_large_block_is_no_request)
{
	run(kinds[_i].make);
	open_kind(&kinds[_i]);

	ck_assert_int_eq(transfer(DISK_WRITE, 512, memory, BLOCK), -EINVAL);
	ck_assert_int_eq(transfer(DISK_READ, 0, memory, 512), -EINVAL);
	ck_assert_int_eq(transfer(DISK_DISCARD, BLOCK, NULL, BLOCK + 512), -EINVAL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("disks of 4096-byte blocks");
	TCase *tc = tcase_create("kinds");
	SRunner *sr;
	int failed;

	if (system("qemu-img --version > /dev/null 2>&1")) {
		puts("skipped: no qemu-img");
		return 77;
	}
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, disk_of_large_blocks_holds_what_is_written, 0, ARRAY_LEN(kinds));
	tcase_add_loop_test(tc, part_of_a_large_block_is_no_request, 0, ARRAY_LEN(kinds));
	suite_add_tcase(s, tc);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
