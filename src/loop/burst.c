// SPDX-License-Identifier: Apache-2.0
/*
 * burst.c - a ring of its own for each, all of which is done when the call returns.
 *
 * RWF_NOWAIT: O_NONBLOCK alone leaves it to io_uring to wait.  Taps know it since Linux
 * 6.4; where a descriptor does not, its packets go one by one.  Writes are linked, so that
 * none overtakes one that failed, unless that does not matter: links cost 6 % of what it
 * takes to send a small packet.  Reads cannot be, since a packet shorter than its room
 * ends a chain as a failure does.  They are done in order all the same, but behind one that
 * found nothing the next may find what has come since.
 */
#include "loop/burst.h"

#include "base/bits.h"

#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>

struct burst {
	struct io_uring ring;
	bool refused;			/* a descriptor's kind does not know RWF_NOWAIT */
};

struct burst *burst_new(void)
{
	struct burst *burst = calloc(1, sizeof(*burst));

	if (!burst)
		return NULL;
	/* Since Linux 6.1; without them a chain costs as much as it saves. */
	if (io_uring_queue_init(BURST_MAX, &burst->ring,
				IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN)) {
		free(burst);
		return NULL;
	}
	return burst;
}

struct burst *burst_free(struct burst *burst)
{
	if (!burst)
		return NULL;
	io_uring_queue_exit(&burst->ring);
	free(burst);
	return NULL;
}

enum way { READ, WRITE, WRITE_ALL };

static void prepare(struct io_uring_sqe *sqe, int fd, struct burst_packet *packet, enum way way)
{
	if (way == READ)
		io_uring_prep_readv(sqe, fd, packet->segs, packet->nr, 0);
	else if (packet->nr == 1)
		io_uring_prep_write(sqe, fd, packet->segs->iov_base,
				    (unsigned)packet->segs->iov_len, 0);
	else
		io_uring_prep_writev(sqe, fd, packet->segs, packet->nr, 0);
	sqe->rw_flags = RWF_NOWAIT;
	io_uring_sqe_set_data(sqe, packet);
}

/* The ring has room for all, so nothing is left to fail but the kernel. */
static void move_together(struct burst *burst, int fd, struct burst_packet *packets,
			  unsigned nr, enum way way)
{
	struct io_uring_cqe *cqe;
	unsigned nr_done = 0;

	for (unsigned i = 0; i < nr; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&burst->ring);

		prepare(sqe, fd, &packets[i], way);
		if (way == WRITE && i + 1 < nr)
			sqe->flags |= IOSQE_IO_LINK;
	}
	while (nr_done < nr) {
		int r = io_uring_submit_and_wait(&burst->ring, nr - nr_done);

		if (r < 0 && r != -EINTR && r != -EAGAIN && r != -EBUSY)
			abort();
		for (; !io_uring_peek_cqe(&burst->ring, &cqe); nr_done++) {
			struct burst_packet *packet = io_uring_cqe_get_data(cqe);

			packet->len = cqe->res;
			io_uring_cqe_seen(&burst->ring, cqe);
		}
	}
}

static void move_singly(int fd, struct burst_packet *packets, unsigned nr, enum way way)
{
	ssize_t len = 0;
	unsigned i;

	for (i = 0; i < nr && (len >= 0 || way == WRITE_ALL); i++) {
		struct burst_packet *packet = &packets[i];

		len = way == READ ? readv(fd, packet->segs, (int)packet->nr) :
				    writev(fd, packet->segs, (int)packet->nr);
		packet->len = len < 0 ? -errno : len;
	}
	for (; i < nr; i++)
		packets[i].len = -EAGAIN;
}

static void move(struct burst *burst, int fd, struct burst_packet *packets, unsigned nr,
		 enum way way)
{
	assert(nr <= BURST_MAX);
	if (burst && !burst->refused && nr > 1) {
		move_together(burst, fd, packets, nr, way);
		burst->refused = packets->len == -EOPNOTSUPP;
	}
	if (!burst || burst->refused || nr == 1)
		move_singly(fd, packets, nr, way);
}

unsigned burst_write(struct burst *burst, int fd, struct burst_packet *packets, unsigned nr)
{
	unsigned i;

	move(burst, fd, packets, nr, WRITE);
	for (i = 0; i < nr; i++)
		if (packets[i].len < 0)
			return i + 1;
	return nr;
}

void burst_write_all(struct burst *burst, int fd, struct burst_packet *packets, unsigned nr)
{
	move(burst, fd, packets, nr, WRITE_ALL);
}

unsigned burst_read(struct burst *burst, int fd, struct burst_packet *packets, unsigned nr)
{
	move(burst, fd, packets, nr, READ);
	while (nr && packets[nr - 1].len < 0)
		nr--;
	return nr;
}
