/* SPDX-License-Identifier: Apache-2.0 */
/* qcow2_fixture.h - QEMU's images in the folder of disk_fixture.h, and how to break them. */
#ifndef TESTS_UNIT_QCOW2_FIXTURE_H
#define TESTS_UNIT_QCOW2_FIXTURE_H

#include "disk_fixture.h"

#include "base/bytes.h"
#include "loop/loop.h"

#include <stdarg.h>

/* In the folder; must succeed. */
static inline void run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static inline void run(const char *fmt, ...)
{
	char command[1024];
	int len = snprintf(command, sizeof(command), "cd %s && ( ", folder);
	va_list args;

	va_start(args, fmt);
	len += vsnprintf(command + len, sizeof(command) - (size_t)len, fmt, args);
	va_end(args);
	snprintf(command + len, sizeof(command) - (size_t)len, " ) > /dev/null");
	ck_assert_int_eq(system(command), 0);
}

static inline void make_qcow2(const char *name, const char *options)
{
	run("qemu-img create -f qcow2 %s %s 1M", options, name);
}

static inline void patch(const char *name, off_t at, uint64_t value, unsigned width)
{
	uint8_t bytes[8];

	put_be64(bytes, width == 8 ? value : value << 32);
	write_file(name, at, bytes, width);
}

static inline uint64_t look(const char *name, off_t at)
{
	uint8_t bytes[8];

	read_file(name, at, bytes, sizeof(bytes));
	return get_be64(bytes);
}

/* Requests. */

static int result;

static inline void request_done(struct disk_request *request, int res)
{
	(void)request;
	result = res;
	loop_quit(loop);
}

static inline int transfer(enum disk_op op, uint64_t at, void *bytes, uint64_t len)
{
	struct iovec seg = { bytes, len };
	struct disk_request request = {
		.op = op, .at = at, .len = len, .segs = &seg, .nr_segs = 1,
		.done = request_done,
	};

	disk_submit(disk, &request);
	ck_assert_int_eq(loop_run(loop), 0);
	return result;
}

static inline uint8_t byte_at(uint64_t at)
{
	uint8_t bytes[512];

	ck_assert_int_eq(transfer(DISK_READ, at, bytes, sizeof(bytes)), 0);
	return bytes[0];
}

#endif
