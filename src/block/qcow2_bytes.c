// SPDX-License-Identifier: Apache-2.0
#include "block/qcow2_bytes.h"

#include "base/bytes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

int qcow2_bytes_read(int fd, void *bytes, size_t len, uint64_t at)
{
	uint8_t *to = bytes;

	while (len) {
		ssize_t got = pread(fd, to, len, (off_t)at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (!got) {
			memset(to, 0, len);
			return 0;
		}
		to += got;
		at += (uint64_t)got;
		len -= (size_t)got;
	}
	return 0;
}

int qcow2_bytes_write(int fd, const void *bytes, size_t len, uint64_t at)
{
	const uint8_t *from = bytes;

	while (len) {
		ssize_t put = pwrite(fd, from, len, (off_t)at);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -errno;
		from += put;
		at += (uint64_t)put;
		len -= (size_t)put;
	}
	return 0;
}

int qcow2_bytes_sync(int fd)
{
	return fdatasync(fd) < 0 ? -errno : 0;
}

int qcow2_bytes_read_numbers(int fd, uint64_t *numbers, uint64_t nr, uint64_t at)
{
	int r = qcow2_bytes_read(fd, numbers, nr * sizeof(*numbers), at);

	for (uint64_t i = 0; i < nr && !r; i++)
		numbers[i] = get_be64(&numbers[i]);
	return r;
}

int qcow2_bytes_read_table(int fd, uint64_t **ret_table, uint64_t nr, uint64_t at)
{
	uint64_t *table = calloc(nr ? nr : 1, sizeof(*table));
	int r = table ? qcow2_bytes_read_numbers(fd, table, nr, at) : -ENOMEM;

	if (r < 0) {
		free(table);
		return r;
	}
	*ret_table = table;
	return 0;
}

uint64_t qcow2_bytes_refcount(const uint8_t *block, unsigned order, uint64_t index)
{
	unsigned per_byte = 8U >> order, shift;

	switch (order) {
	case 3:
		return block[index];
	case 4:
		return get_be16(block + 2 * index);
	case 5:
		return get_be32(block + 4 * index);
	case 6:
		return get_be64(block + 8 * index);
	default:
		/* Of several counts in a byte, the first is in the lowest bits. */
		shift = (unsigned)(index % per_byte) << order;
		return block[index / per_byte] >> shift & ((1U << (1U << order)) - 1);
	}
}

void qcow2_bytes_set_refcount(uint8_t *block, unsigned order, uint64_t index, uint64_t to)
{
	unsigned per_byte = 8U >> order, shift, mask;

	switch (order) {
	case 3:
		block[index] = (uint8_t)to;
		break;
	case 4:
		put_be16(block + 2 * index, (uint16_t)to);
		break;
	case 5:
		put_be32(block + 4 * index, (uint32_t)to);
		break;
	case 6:
		put_be64(block + 8 * index, to);
		break;
	default:
		shift = (unsigned)(index % per_byte) << order;
		mask = ((1U << (1U << order)) - 1) << shift;
		block[index / per_byte] =
			(uint8_t)((block[index / per_byte] & ~mask) | to << shift);
	}
}
