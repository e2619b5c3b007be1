// SPDX-License-Identifier: Apache-2.0
#include "boot/unpack.h"

#include "base/bits.h"

#include <errno.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#define FIRST_LEN	(16 * MiB)	/* what most kernels need twice of */
#define GZIP_BITS	(15 + 16)	/* the largest window, gzip's header */

/* Room for more, up to max. */
static int grow(struct unpacked *out, size_t *cap, size_t max)
{
	size_t more = *cap ? *cap * 2 : FIRST_LEN;
	uint8_t *bytes;

	if (*cap == max)
		return -E2BIG;
	more = min_u64(more, max);
	bytes = realloc(out->bytes, more);
	if (!bytes)
		return -ENOMEM;
	out->bytes = bytes;
	*cap = more;
	return 0;
}

static int inflate_all(z_stream *z, size_t max, struct unpacked *out)
{
	size_t cap = 0;
	int r, status;

	do {
		r = out->len == cap ? grow(out, &cap, max) : 0;
		if (r < 0)
			return r;
		z->next_out = out->bytes + out->len;
		z->avail_out = (uInt)min_u64(cap - out->len, UINT32_MAX);
		status = inflate(z, Z_NO_FLUSH);
		out->len = (size_t)(z->next_out - out->bytes);
	} while (status == Z_OK);
	/* Z_BUF_ERROR: it wants more and there is no more. */
	return status == Z_STREAM_END ? 0 : status == Z_MEM_ERROR ? -ENOMEM : -EBADMSG;
}

/* All or nothing. */
static int finish(int r, struct unpacked *out, struct unpacked *ret_out)
{
	if (r < 0)
		free(out->bytes);
	else
		*ret_out = *out;
	return r;
}

int unpack_gzip(const uint8_t *bytes, size_t len, size_t max, struct unpacked *ret_out)
{
	z_stream z = { .next_in = (uint8_t *)bytes, .avail_in = (uInt)len };
	struct unpacked out = { 0 };
	int r;

	if (len > UINT32_MAX)
		return -E2BIG;
	if (inflateInit2(&z, GZIP_BITS) != Z_OK)
		return -ENOMEM;
	r = inflate_all(&z, max, &out);
	inflateEnd(&z);
	return finish(r, &out, ret_out);
}

static int zstd_all(ZSTD_DStream *stream, ZSTD_inBuffer *in, size_t max, struct unpacked *out)
{
	size_t cap = 0, left;

	do {
		ZSTD_outBuffer to;
		size_t before = in->pos;
		int r = out->len == cap ? grow(out, &cap, max) : 0;

		if (r < 0)
			return r;
		to = (ZSTD_outBuffer){ out->bytes, cap, out->len };
		left = ZSTD_decompressStream(stream, &to, in);
		if (ZSTD_isError(left) || (left && to.pos == out->len && in->pos == before))
			return -EBADMSG;
		out->len = to.pos;
	} while (left);
	return 0;
}

int unpack_zstd(const uint8_t *bytes, size_t len, size_t max, struct unpacked *ret_out)
{
	ZSTD_inBuffer in = { bytes, len, 0 };
	ZSTD_DStream *stream = ZSTD_createDStream();
	struct unpacked out = { 0 };
	int r;

	if (!stream)
		return -ENOMEM;
	r = zstd_all(stream, &in, max, &out);
	ZSTD_freeDStream(stream);
	return finish(r, &out, ret_out);
}
