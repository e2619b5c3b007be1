// SPDX-License-Identifier: Apache-2.0
/*
 * pcap.c - two buffers take turns: one is filled while the other is written.
 */
#include "net/pcap.h"

#include "base/bits.h"
#include "base/err.h"
#include "base/made_file.h"
#include "loop/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BUFFER_LEN	(512 * KiB)
#define MAGIC		0xa1b23c4d	/* times in nanoseconds; our own byte order */
#define FRAME_MAX	262144		/* as tcpdump(8) has it */
#define ETHERNET	1

struct file_header {
	uint32_t magic;
	uint16_t major, minor;
	uint32_t zone, accuracy;
	uint32_t frame_max, link_type;
};

struct frame_header {
	uint32_t seconds, nanoseconds;
	uint32_t len, frame_len;	/* here, and on the wire */
};

struct pcap {
	int fd;
	off_t at;			/* of the file */
	bool failed;			/* nothing is written any more */
	bool writing;			/* the other buffer */
	struct loop *loop;
	struct loop_io io;
	struct loop_task flush;
	struct iovec left;		/* of what is being written */
	unsigned filling;		/* which buffer */
	size_t len;			/* bytes in it */
	uint8_t buffers[2][BUFFER_LEN];
};

static void write_left(struct pcap *pcap)
{
	loop_writev(pcap->loop, &pcap->io, pcap->fd, &pcap->left, 1, pcap->at, 0);
}

static void flush(struct loop_task *task)
{
	struct pcap *pcap = container_of(task, struct pcap, flush);

	if (pcap->writing || !pcap->len || pcap->failed)
		return;
	pcap->left = (struct iovec){ pcap->buffers[pcap->filling], pcap->len };
	pcap->filling = !pcap->filling;
	pcap->len = 0;
	pcap->writing = true;
	write_left(pcap);
}

static void written(struct loop_io *io, int res)
{
	struct pcap *pcap = container_of(io, struct pcap, io);

	if (res <= 0) {
		pcap->failed = true;
		pcap->writing = false;
		return;
	}
	pcap->at += res;
	pcap->left.iov_base = (uint8_t *)pcap->left.iov_base + res;
	pcap->left.iov_len -= (size_t)res;
	if (pcap->left.iov_len) {
		write_left(pcap);
		return;
	}
	pcap->writing = false;
	flush(&pcap->flush);
}

static void put(struct pcap *pcap, const void *bytes, size_t len)
{
	memcpy(pcap->buffers[pcap->filling] + pcap->len, bytes, len);
	pcap->len += len;
}

static void put_segs(struct pcap *pcap, const struct iovec *segs, uint64_t skip, uint64_t len)
{
	for (; len; segs++) {
		size_t skipped = min_u64(skip, segs->iov_len);
		size_t part = min_u64(len, segs->iov_len - skipped);

		put(pcap, (const uint8_t *)segs->iov_base + skipped, part);
		skip -= skipped;
		len -= part;
	}
}

void pcap_add(struct pcap *pcap, struct loop *loop, const struct iovec *segs, uint64_t skip,
	      uint64_t len)
{
	struct frame_header header = { .len = (uint32_t)len, .frame_len = (uint32_t)len };
	struct timespec now;

	if (pcap->failed || len > FRAME_MAX || sizeof(header) + len > BUFFER_LEN - pcap->len)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	header.seconds = (uint32_t)now.tv_sec;
	header.nanoseconds = (uint32_t)now.tv_nsec;
	put(pcap, &header, sizeof(header));
	put_segs(pcap, segs, skip, len);
	pcap->loop = loop;
	loop_defer(loop, &pcap->flush);
}

static bool is_flushed(void *ctx)
{
	const struct pcap *pcap = ctx;

	return pcap->failed ? !pcap->writing : !pcap->writing && !pcap->len;
}

void pcap_flush(struct pcap *pcap, struct loop *loop)
{
	if (!is_flushed(pcap))
		loop_wait(loop, is_flushed, pcap);
	loop_cancel(loop, &pcap->flush);
}

static int open_file(const char *path, bool *ret_made, struct err *err)
{
	int fd = made_file_open(path, O_WRONLY | O_NONBLOCK, 0600, ret_made);
	struct stat st;

	if (fd < 0)
		return err_sys(err, fd, "cannot write packets to '%s'", path);
	if (!fstat(fd, &st) && S_ISREG(st.st_mode))
		return fd;
	close(fd);
	return err_set(err, -EINVAL, "cannot write packets to '%s': it is no file", path);
}

int pcap_open(struct pcap **ret_pcap, const char *path, bool *ret_made, struct err *err)
{
	int fd = open_file(path, ret_made, err);
	struct pcap *pcap;

	if (fd < 0)
		return fd;
	/* Most of the buffers is touched only when there is much to write. */
	pcap = calloc(1, sizeof(*pcap));
	if (!pcap) {
		close(fd);
		return err_sys(err, -ENOMEM, "cannot write packets to '%s'", path);
	}
	pcap->fd = fd;
	pcap->io.done = written;
	pcap->flush.run = flush;
	*ret_pcap = pcap;
	return 0;
}

int pcap_begin(struct pcap *pcap, struct err *err)
{
	static const struct file_header header = {
		.magic = MAGIC, .major = 2, .minor = 4, .frame_max = FRAME_MAX,
		.link_type = ETHERNET,
	};
	ssize_t len = ftruncate(pcap->fd, 0) ? -1 : pwrite(pcap->fd, &header, sizeof(header), 0);

	if (len != sizeof(header))
		return err_sys(err, len < 0 ? -errno : -ENOSPC, "cannot write packets");
	pcap->at = sizeof(header);
	return 0;
}

struct pcap *pcap_close(struct pcap *pcap)
{
	if (pcap) {
		close(pcap->fd);
		free(pcap);
	}
	return NULL;
}
