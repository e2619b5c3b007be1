/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tap_fixture.h - each test of taps has a network namespace of its own, in which there
 * is a tap, so that no device of the host is touched.
 */
#ifndef TESTS_UNIT_TAP_FIXTURE_H
#define TESTS_UNIT_TAP_FIXTURE_H

#include "net/tap.h"

#include "base/bits.h"
#include "base/err.h"
#include "loop/loop.h"
#include "net/netdev.h"
#include "net/tap_link.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SKIPPED		77
#define TAP		"vmmtap0"
#define MULTI_TAP	"vmmtap2"
#define SOMEBODY	12345
#define PROTOCOL	0x88b5	/* for local experiments: nobody else sends it */

static const struct tap_config inherited = { .id = "net0" };
static struct netdev *netdev;
static struct err err;

struct frame {
	struct ethhdr eth;
	uint8_t payload[100];
};

/* As a guest has it. */
struct packet {
	uint8_t header[NETDEV_HEADER_LEN];
	struct frame frame;
};

static inline struct packet packet(uint8_t byte)
{
	struct packet p = {
		.frame.eth = {
			.h_dest = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff },
			.h_source = { 2, 0, 0, 0, 0, 1 },
			.h_proto = htons(PROTOCOL),
		},
	};

	memset(p.frame.payload, byte, sizeof(p.frame.payload));
	return p;
}

static inline int attach(const char *name, int flags)
{
	struct ifreq ifr = { .ifr_flags = (short)flags };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	memcpy(ifr.ifr_name, name, strlen(name));
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ioctl(fd, TUNSETIFF, &ifr), 0);
	return fd;
}

/* As by ip tuntap add: the device stays, nobody is attached. */
static inline void make_device(const char *name, int flags)
{
	int fd = attach(name, flags);

	ck_assert_int_eq(ioctl(fd, TUNSETPERSIST, 1), 0);
	close(fd);
}

static inline void set_up_link(const char *name)
{
	struct ifreq ifr = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memcpy(ifr.ifr_name, name, strlen(name));
	ck_assert_int_eq(ioctl(fd, SIOCGIFFLAGS, &ifr), 0);
	ifr.ifr_flags |= IFF_UP;
	ck_assert_int_eq(ioctl(fd, SIOCSIFFLAGS, &ifr), 0);
	close(fd);
}

/* The host's end: a socket that sends and receives whole frames of PROTOCOL. */
static inline int open_host_end(const char *name)
{
	struct sockaddr_ll at = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(PROTOCOL),
		.sll_ifindex = (int)if_nametoindex(name),
	};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(PROTOCOL));

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

/* Each test has a namespace of its own, since Check runs it in a process of its own. */
static inline void setup(void)
{
	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
	memset(&err, 0, sizeof(err));
	netdev = NULL;
	make_device(TAP, IFF_TAP | IFF_NO_PI);
}

static inline void teardown(void)
{
	netdev = netdev_close(netdev);
}

static char why_lost[64];

static inline void note_lost(void *ctx, const char *why)
{
	snprintf(ctx, sizeof(why_lost), "%s", why);
}

static inline int open_tap(struct netdev **ret_netdev, const char *name)
{
	const struct netdev_lost lost = { note_lost, why_lost };
	const struct tap_config config = {
		.id = "net0", .name = name, .nr_pairs = 1, .lost = &lost,
	};

	return tap_open(ret_netdev, &config, &err);
}

static inline int open_pairs(struct netdev **ret_netdev, const char *name, unsigned nr, bool exact)
{
	const struct tap_config config = {
		.id = "net0", .name = name, .nr_pairs = nr, .exact = exact,
	};

	return tap_open(ret_netdev, &config, &err);
}

static bool is_root;

static inline bool can_run(void)
{
	int fd;

	/* Root needs no user namespace; others get to make network namespaces by one. */
	is_root = !geteuid();
	if (!is_root && unshare(CLONE_NEWUSER)) {
		fprintf(stderr, "skipped: user namespaces are not permitted\n");
		return false;
	}
	if (unshare(CLONE_NEWNET)) {
		fprintf(stderr, "skipped: network namespaces are not permitted\n");
		return false;
	}
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		fprintf(stderr, "skipped: /dev/net/tun cannot be opened\n");
		return false;
	}
	close(fd);
	return true;
}

#endif
