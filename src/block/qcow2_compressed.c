// SPDX-License-Identifier: Apache-2.0
/*
 * qcow2_compressed.c - reads clusters that are stored compressed.
 *
 * They are never written in place: a write gives the cluster a place of its own.
 * The sectors that an entry names are an upper bound; they may reach beyond the
 * end of the file, where they read as zeros, and may hold the beginning of the
 * next compressed cluster.
 */
#include "block/qcow2.h"

#include "base/bits.h"

#include <errno.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#define WINDOW_BITS (-12)	/* raw deflate with the window that the format has */

static int inflate_zlib(const uint8_t *from, size_t from_len, uint8_t *to, size_t len)
{
	z_stream stream = {
		.next_in = (uint8_t *)(uintptr_t)from, .avail_in = (uInt)from_len,
		.next_out = to, .avail_out = (uInt)len,
	};
	int r = inflateInit2(&stream, WINDOW_BITS);

	if (r != Z_OK)
		return -ENOMEM;
	r = inflate(&stream, Z_FINISH);
	inflateEnd(&stream);
	/* A full cluster need not be followed by an end mark. */
	return (r == Z_STREAM_END || r == Z_BUF_ERROR) && !stream.avail_out ? 0 : -EIO;
}

static int inflate_zstd(const uint8_t *from, size_t from_len, uint8_t *to, size_t len)
{
	ZSTD_inBuffer in = { from, from_len, 0 };
	ZSTD_outBuffer out = { to, len, 0 };
	ZSTD_DCtx *context = ZSTD_createDCtx();
	size_t r = 1, before;

	if (!context)
		return -ENOMEM;
	do {
		before = in.pos + out.pos;
		r = ZSTD_decompressStream(context, &out, &in);
	} while (!ZSTD_isError(r) && out.pos < len && in.pos + out.pos > before);
	ZSTD_freeDCtx(context);
	return ZSTD_isError(r) || out.pos < len ? -EIO : 0;
}

int qcow2_compressed_inflate(unsigned method, const uint8_t *from, size_t from_len,
			     uint8_t *to, size_t len)
{
	return method == QCOW2_COMPRESSION_ZSTD ? inflate_zstd(from, from_len, to, len) :
						  inflate_zlib(from, from_len, to, len);
}

/* Direct I/O reads whole blocks: where the compressed bytes are in the buffer. */
static uint8_t *input(struct qcow2_op *op, uint64_t *ret_skipped)
{
	*ret_skipped = op->host & (op->q->sector - 1);
	return op->buf + op->q->cluster;
}

static void fetched(struct qcow2_op *op, int res)
{
	struct qcow2 *q = op->q;
	uint64_t skipped, guest = op->request->at + op->done;
	const uint8_t *from = input(op, &skipped);

	if (res >= 0)
		res = qcow2_compressed_inflate(q->header.compression, from + skipped,
					       op->compressed_len, op->buf, q->cluster);
	if (res >= 0) {
		qcow2_op_copy_in(op, op->buf + (guest & (q->cluster - 1)), op->done,
				 op->piece);
		qcow2_op_advance(op);
	}
	qcow2_op_put_buf(op);
	qcow2_op_run(op, res);
}

int qcow2_compressed_read(struct qcow2_op *op, const struct qcow2_extent *extent)
{
	struct qcow2 *q = op->q;
	uint64_t skipped;
	uint8_t *to;
	int r = qcow2_op_get_buf(op);

	if (r)
		return r;
	op->host = extent->host;
	op->compressed_len = extent->compressed_len;
	op->piece = extent->len;
	op->resume = fetched;
	to = input(op, &skipped);
	qcow2_op_transfer_bytes(op, DISK_READ, extent->host - skipped, to,
				align_up(skipped + extent->compressed_len, q->sector));
	return QCOW2_LATER;
}
