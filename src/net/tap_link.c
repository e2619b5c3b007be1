// SPDX-License-Identifier: Apache-2.0
/* tap_link.c - asks by rtnetlink(7), which needs no privilege. */
#include "tap_link.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A device with all its attributes is far smaller. */
#define ANSWER_MAX 32768

struct request {
	struct nlmsghdr header;
	struct ifinfomsg info;
	struct rtattr name;
	char text[IFNAMSIZ];
};

static int ask(int sock, const char *name, void *answer, size_t *ret_len)
{
	struct request request = {
		.header = {
			.nlmsg_len = sizeof(request),
			.nlmsg_type = RTM_GETLINK,
			.nlmsg_flags = NLM_F_REQUEST,
		},
		.name.rta_type = IFLA_IFNAME,
	};
	size_t name_len = strlen(name) + 1;
	ssize_t len;

	if (name_len > sizeof(request.text))
		return -ENODEV;
	request.name.rta_len = (unsigned short)RTA_LENGTH(name_len);
	memcpy(request.text, name, name_len);
	if (send(sock, &request, sizeof(request), 0) < 0)
		return -errno;
	len = recv(sock, answer, ANSWER_MAX, 0);
	if (len < 0)
		return -errno;
	*ret_len = (size_t)len;
	return 0;
}

/* The value of an attribute among those in [at, at+len); NULL: there is none. */
static const void *find(const void *at, size_t len, unsigned type, size_t *ret_len)
{
	const struct rtattr *attr = at;

	for (; RTA_OK(attr, len); attr = RTA_NEXT(attr, len)) {
		if ((attr->rta_type & NLA_TYPE_MASK) != type)
			continue;
		*ret_len = RTA_PAYLOAD(attr);
		return RTA_DATA(attr);
	}
	return NULL;
}

static uint32_t find_number(const void *at, size_t len, unsigned type)
{
	const void *value = find(at, len, type, &len);
	uint32_t number = 0;

	if (value)
		memcpy(&number, value, len < sizeof(number) ? len : sizeof(number));
	return number;
}

/* IFLA_LINKINFO: the kind of a device, and what only that kind has. */
static void describe(struct tap_link *link, const void *at, size_t len)
{
	size_t kind_len = 0, data_len = 0;
	const char *kind = find(at, len, IFLA_INFO_KIND, &kind_len);
	const void *data = find(at, len, IFLA_INFO_DATA, &data_len);

	if (kind && !strncmp(kind, "macvtap", kind_len))
		link->kind = TAP_LINK_MACVTAP;
	if (!kind || !data || strncmp(kind, "tun", kind_len) ||
	    (find_number(data, data_len, IFLA_TUN_TYPE) & 0xff) != IFF_TAP)
		return;
	link->kind = TAP_LINK_TAP;
	link->multi_queue = find_number(data, data_len, IFLA_TUN_MULTI_QUEUE);
	link->nr_queues = find_number(data, data_len, IFLA_TUN_NUM_QUEUES) +
			  find_number(data, data_len, IFLA_TUN_NUM_DISABLED_QUEUES);
}

static int read_answer(struct tap_link *link, const struct nlmsghdr *header, size_t len)
{
	const struct nlmsgerr *error = NLMSG_DATA(header);
	const struct ifinfomsg *device = NLMSG_DATA(header);
	const void *attrs, *info, *mac;
	size_t attrs_len, mac_len;

	if (!NLMSG_OK(header, len))
		return -EPROTO;
	if (header->nlmsg_type == NLMSG_ERROR)
		return len < NLMSG_LENGTH(sizeof(*error)) ? -EPROTO : error->error;
	if (header->nlmsg_type != RTM_NEWLINK || len < NLMSG_LENGTH(sizeof(struct ifinfomsg)))
		return -EPROTO;
	attrs = IFLA_RTA(NLMSG_DATA(header));
	attrs_len = IFLA_PAYLOAD(header);
	link->index = (unsigned)device->ifi_index;
	link->master = find_number(attrs, attrs_len, IFLA_MASTER);
	mac = find(attrs, attrs_len, IFLA_ADDRESS, &mac_len);
	if (mac && mac_len == sizeof(link->mac))
		memcpy(link->mac, mac, mac_len);
	info = find(attrs, attrs_len, IFLA_LINKINFO, &len);
	if (info)
		describe(link, info, len);
	return 0;
}

int tap_link_read(struct tap_link *ret_link, const char *name)
{
	_Alignas(struct nlmsghdr) char answer[ANSWER_MAX];
	struct tap_link link = { .kind = TAP_LINK_OTHER };
	int sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	size_t len = 0;
	int r;

	if (sock < 0)
		return -errno;
	r = ask(sock, name, answer, &len);
	close(sock);
	if (!r)
		r = read_answer(&link, (const struct nlmsghdr *)(const void *)answer, len);
	if (!r)
		*ret_link = link;
	return r;
}
