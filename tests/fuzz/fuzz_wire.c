// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_wire.c - a peer that speaks as it likes to the back end behind its socket.
 *
 * Each part of the input is a byte that says how much follows, eight bytes a unit, and
 * whether the card has little room; the card then receives all that there is.
 */
#include "base/bits.h"
#include "loop/loop.h"
#include "net/netdev.h"
#include "net/wire.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PACKET_MAX	(NETDEV_HEADER_LEN + 65535 + 18)
#define PARTS_MAX	64

static uint8_t packet[PACKET_MAX];

static void nothing(struct netdev_user *user, unsigned pair)
{
	(void)user, (void)pair;
}

static void link_changed(struct netdev_user *user)
{
	(void)user;
}

static void tell(void *ctx, const char *why)
{
	(void)ctx, (void)why;
}

static void receive(struct netdev *netdev, bool little)
{
	const struct iovec segs[] = {
		{ packet, 30 }, { packet + 30, 1000 }, { packet + 1030, PACKET_MAX - 1030 },
	};

	for (;;) {
		ssize_t len = netdev_recv(netdev, 0, segs, little ? 2 : ARRAY_LEN(segs));

		if (len < 0)
			return;
		if (len < NETDEV_HEADER_LEN || len > PACKET_MAX)
			abort();
		/* Send it back: the peer does not read, so that in time there is no room. */
		netdev_send(netdev, 0, &(struct iovec){ packet, (size_t)len }, 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t len)
{
	static struct netdev_user user = { nothing, nothing, link_changed };
	static const struct netdev_lost lost = { tell, NULL };
	struct wire_config config = { .id = "net0", .peer = "it", .door = -1, .lost = &lost };
	struct netdev *netdev;
	struct loop *loop;
	int fds[2];

	if (loop_new(&loop, NULL) || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) ||
	    fcntl(fds[0], F_SETFL, O_NONBLOCK))
		abort();
	config.fd = fds[0];
	if (wire_new(&netdev, &config, NULL) || netdev_attach(netdev, loop, &user))
		abort();
	for (unsigned i = 0; len && i < PARTS_MAX; i++) {
		size_t part = min_u64(input[0] / 2 * 8u + 1, len - 1);
		bool little = input[0] & 1;
		ssize_t sent = send(fds[1], input + 1, part, MSG_DONTWAIT | MSG_NOSIGNAL);

		receive(netdev, little);
		input += 1 + part;
		len -= 1 + part;
		if (sent < 0)
			break;
	}
	netdev_detach(netdev);
	netdev_close(netdev);
	loop_free(loop);
	close(fds[1]);
	return 0;
}
