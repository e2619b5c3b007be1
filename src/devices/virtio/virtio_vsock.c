// SPDX-License-Identifier: Apache-2.0
/*
 * virtio_vsock.c - connections between programs of the guest and of the host.
 *
 * Every packet is dealt with in the turn in which it is taken, so no buffer of the guest
 * is ever held.  Connections with something for the guest stand in line, and each gives
 * one packet when it is its turn.
 */
#include "devices/virtio/virtio_vsock.h"

#include "base/bits.h"
#include "base/bytes.h"
#include "base/err.h"
#include "vsock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of the device, section 5.10.2. */
enum { RX, TX, EVENT, NR_QUEUES };

#define CONFIG_LEN	8		/* guest_cid */

#define EVENT_TRANSPORT_RESET	0

/* Ports of the host that programs get which connect from there. */
#define PORTS_FIRST	BIT32(30)
#define PORTS_END	BIT32(31)

static struct vsock *vsock_of(struct virtio_dev *dev)
{
	return container_of(dev, struct vsock, dev);
}

/* Headers, section 5.10.6. */

static struct vsock_packet get_header(const uint8_t *bytes, uint32_t *ret_len)
{
	*ret_len = get_le32(bytes + 24);
	return (struct vsock_packet){
		.src_cid = get_le64(bytes),
		.dst_cid = get_le64(bytes + 8),
		.src_port = get_le32(bytes + 16),
		.dst_port = get_le32(bytes + 20),
		.type = get_le16(bytes + 28),
		.op = get_le16(bytes + 30),
		.flags = get_le32(bytes + 32),
		.buf_alloc = get_le32(bytes + 36),
		.fwd_cnt = get_le32(bytes + 40),
	};
}

static void put_header(uint8_t *bytes, const struct vsock_packet *packet, uint32_t len)
{
	put_le64(bytes, packet->src_cid);
	put_le64(bytes + 8, packet->dst_cid);
	put_le32(bytes + 16, packet->src_port);
	put_le32(bytes + 20, packet->dst_port);
	put_le32(bytes + 24, len);
	put_le16(bytes + 28, packet->type);
	put_le16(bytes + 30, packet->op);
	put_le32(bytes + 32, packet->flags);
	put_le32(bytes + 36, packet->buf_alloc);
	put_le32(bytes + 40, packet->fwd_cnt);
}

uint32_t vsock_put_packet(const struct vsock *vsock, const struct iov *room,
			  struct vsock_packet packet, uint32_t len)
{
	uint8_t header[VSOCK_HEADER_LEN];

	packet.src_cid = VSOCK_HOST_CID;
	packet.dst_cid = vsock->cid;
	packet.type = VSOCK_TYPE_STREAM;
	put_header(header, &packet, len);
	iov_write(room, 0, header, sizeof(header));
	return VSOCK_HEADER_LEN + len;
}

/* The table. */

static struct vsock_conn **bucket_of(struct vsock *vsock, struct vsock_ports ports)
{
	return &vsock->buckets[(ports.guest * 31 + ports.host) % VSOCK_BUCKETS];
}

/* That the guest knows. */
static struct vsock_conn *find(struct vsock *vsock, struct vsock_ports ports)
{
	struct vsock_conn *conn = *bucket_of(vsock, ports);

	while (conn && (conn->ports.guest != ports.guest || conn->ports.host != ports.host ||
			conn->state == VSOCK_UNKNOWN))
		conn = conn->next;
	return conn;
}

/* fd becomes the connection's, or is left as it is. */
static int add(struct vsock *vsock, struct vsock_ports ports, int fd, enum vsock_state state,
	       const struct vsock_packet *packet)
{
	struct vsock_conn **bucket = bucket_of(vsock, ports), *conn;

	if (vsock->nr_conns == VSOCK_CONNS_MAX)
		return -EUSERS;
	conn = vsock_conn_new(vsock, ports, fd, state);
	if (!conn)
		return -ENOMEM;
	if (packet) {
		conn->guest_room = packet->buf_alloc;
		conn->guest_forwarded = packet->fwd_cnt;
	}
	conn->next = *bucket;
	*bucket = conn;
	vsock->nr_conns++;
	vsock_ready(conn);
	return 0;
}

static void leave_line(struct vsock_conn *conn)
{
	struct vsock *vsock = conn->vsock;
	struct vsock_conn **p = &vsock->first_ready;

	if (!conn->is_ready)
		return;
	while (*p != conn)
		p = &(*p)->next_ready;
	*p = conn->next_ready;
	if (!*p)
		vsock->last_ready = p;
	conn->is_ready = false;
}

void vsock_forget(struct vsock_conn *conn)
{
	struct vsock_conn **p = bucket_of(conn->vsock, conn->ports);

	leave_line(conn);
	while (*p != conn)
		p = &(*p)->next;
	*p = conn->next;
	conn->vsock->nr_conns--;
}

void vsock_ready(struct vsock_conn *conn)
{
	struct vsock *vsock = conn->vsock;

	if (conn->is_ready || !vsock_conn_wants(conn))
		return;
	conn->is_ready = true;
	conn->next_ready = NULL;
	*vsock->last_ready = conn;
	vsock->last_ready = &conn->next_ready;
	loop_defer(vsock->dev.loop, &vsock->receive);
}

/* To the guest. */

static bool has_news(const struct vsock *vsock)
{
	return vsock->nr_resets || vsock->first_ready;
}

static uint32_t give_answer(struct vsock *vsock, const struct iov *room)
{
	struct vsock_ports ports = vsock->resets[vsock->first_reset];

	vsock->first_reset = (vsock->first_reset + 1) % VSOCK_RESETS_MAX;
	vsock->nr_resets--;
	if (vsock->held)
		loop_defer(vsock->dev.loop, &vsock->transmit);
	return vsock_put_packet(vsock, room, (struct vsock_packet){
		.src_port = ports.host, .dst_port = ports.guest, .op = VSOCK_OP_RST,
	}, 0);
}

/* 0: there is none after all. */
static uint32_t give_next(struct vsock *vsock, struct iov *room)
{
	struct vsock_conn *conn = vsock->first_ready;

	if (vsock->nr_resets)
		return give_answer(vsock, room);
	leave_line(conn);
	return vsock_conn_give(conn, room);
}

static void receive(struct vsock *vsock, struct virtq *vq)
{
	struct virtio_chain chain;

	while (has_news(vsock) && virtq_pop(vq, &chain) > 0) {
		uint32_t len;

		if (chain.writable.len <= VSOCK_HEADER_LEN) {
			virtio_break(&vsock->dev, "a receive buffer has no room for a packet");
			return;
		}
		len = give_next(vsock, &chain.writable);
		if (len)
			virtq_push(vq, chain.head, len);
		else
			virtq_unpop(vq, 1);
	}
}

static void run_receive(struct loop_task *task)
{
	virtq_run(container_of(task, struct vsock, receive)->dev.queues[RX]);
}

/* From the guest. */

static void answer_reset(struct vsock *vsock, struct vsock_ports ports)
{
	unsigned at = (vsock->first_reset + vsock->nr_resets++) % VSOCK_RESETS_MAX;

	vsock->resets[at] = ports;
	loop_defer(vsock->dev.loop, &vsock->receive);
}

static int connect_to_host(struct vsock *vsock, struct vsock_ports ports,
			   const struct vsock_packet *packet)
{
	int r, fd = vsock_front_connect(vsock->front, ports.host);

	if (fd < 0)
		return fd;
	r = add(vsock, ports, fd, VSOCK_OPEN, packet);
	if (r < 0)
		close(fd);
	return r;
}

static void take(struct vsock *vsock, const struct vsock_packet *packet, struct iov *payload)
{
	struct vsock_ports ports = { packet->src_port, packet->dst_port };
	struct vsock_conn *conn = find(vsock, ports);
	bool known = packet->type == VSOCK_TYPE_STREAM;

	/* What claims to come from somebody else, or is for somebody else, is lost. */
	if (packet->src_cid != vsock->cid || packet->dst_cid != VSOCK_HOST_CID)
		return;
	if (conn && known)
		vsock_conn_take(conn, packet, payload);
	else if (packet->op == VSOCK_OP_RST)
		return;
	else if (!known || packet->op != VSOCK_OP_REQUEST ||
		 connect_to_host(vsock, ports, packet) < 0)
		answer_reset(vsock, ports);
}

/* Each packet may need an answer, so there has to be room for one. */
static void transmit(struct vsock *vsock, struct virtq *vq)
{
	struct virtio_chain chain;

	while (vsock->nr_resets < VSOCK_RESETS_MAX && virtq_pop(vq, &chain) > 0) {
		uint8_t header[VSOCK_HEADER_LEN];
		struct vsock_packet packet;
		uint32_t len;

		if (iov_read(&chain.readable, 0, header, sizeof(header))) {
			virtio_break(&vsock->dev, "a packet lacks its header");
			return;
		}
		iov_drop_front(&chain.readable, sizeof(header));
		packet = get_header(header, &len);
		if (len > chain.readable.len) {
			virtio_break(&vsock->dev, "a packet is shorter than its header says");
			return;
		}
		iov_drop_back(&chain.readable, chain.readable.len - len);
		take(vsock, &packet, &chain.readable);
		virtq_push(vq, chain.head, 0);
	}
	vsock->held = vsock->nr_resets == VSOCK_RESETS_MAX;
}

static void run_transmit(struct loop_task *task)
{
	virtq_run(container_of(task, struct vsock, transmit)->dev.queues[TX]);
}

/* Who has been loaded has lost its connections. */
static void tell_moved(struct vsock *vsock, struct virtq *vq)
{
	struct virtio_chain chain;
	uint8_t event[4];

	if (!vsock->moved || virtq_pop(vq, &chain) <= 0)
		return;
	put_le32(event, EVENT_TRANSPORT_RESET);
	if (iov_write(&chain.writable, 0, event, sizeof(event))) {
		virtio_break(&vsock->dev, "a buffer has no room for an event");
		return;
	}
	vsock->moved = false;
	virtq_push(vq, chain.head, sizeof(event));
}

static void vsock_kick(struct virtio_dev *dev, struct virtq *vq)
{
	if (virtq_index(vq) == RX)
		receive(vsock_of(dev), vq);
	else if (virtq_index(vq) == TX)
		transmit(vsock_of(dev), vq);
	else
		tell_moved(vsock_of(dev), vq);
}

/* From the host. */

static int asked(struct vsock_front_user *user, int fd, uint32_t port)
{
	struct vsock *vsock = container_of(user, struct vsock, user);
	struct vsock_ports ports = { .guest = port };

	/* One of them is free: there are more than connections. */
	do {
		ports.host = vsock->next_port++;
		if (vsock->next_port == PORTS_END)
			vsock->next_port = PORTS_FIRST;
	} while (find(vsock, ports));
	return add(vsock, ports, fd, VSOCK_ASKED, NULL);
}

/* Life. */

static void each_conn(struct vsock *vsock, void (*fn)(struct vsock_conn *conn))
{
	for (unsigned i = 0; i < VSOCK_BUCKETS; i++)
		for (struct vsock_conn *conn = vsock->buckets[i], *next; conn; conn = next) {
			next = conn->next;
			fn(conn);
		}
}

static int vsock_start(struct virtio_dev *dev)
{
	struct vsock *vsock = vsock_of(dev);

	each_conn(vsock, vsock_conn_start);
	vsock_front_attach(vsock->front, &vsock->user);
	loop_defer(dev->loop, &vsock->receive);
	return 0;
}

static void vsock_stop(struct virtio_dev *dev)
{
	struct vsock *vsock = vsock_of(dev);

	vsock_front_detach(vsock->front);
	each_conn(vsock, vsock_conn_stop);
	loop_cancel(dev->loop, &vsock->receive);
	loop_cancel(dev->loop, &vsock->transmit);
}

static void vsock_reset(struct virtio_dev *dev)
{
	struct vsock *vsock = vsock_of(dev);

	each_conn(vsock, vsock_conn_free);
	vsock->nr_resets = 0;
	vsock->held = false;
	vsock->moved = false;
}

/*
 * Connections do not outlive the process.  The driver hears of it in the queue for
 * events (section 5.10.6.7) and resets what it knows of them.
 */
static int vsock_load(struct virtio_dev *dev, uint32_t instance, struct state_reader *reader,
		      struct err *err)
{
	(void)instance;
	(void)reader;
	(void)err;
	vsock_of(dev)->moved = true;
	return 0;
}

static void vsock_free(struct virtio_dev *dev)
{
	vsock_reset(dev);
	free(vsock_of(dev));
}

static const struct virtio_class vsock_class = {
	.name		= "virtio-vsock",
	.id		= 19,
	.queue_size	= 128,
	.config_size	= CONFIG_LEN,
	.start		= vsock_start,
	.stop		= vsock_stop,
	.kick		= vsock_kick,
	.reset		= vsock_reset,
	.load		= vsock_load,
	.free		= vsock_free,
};

int virtio_vsock_new(struct virtio_dev **ret_dev, struct vsock_front *front, uint32_t cid,
		     struct guest_mem *mem, struct loop *loop, struct err *err)
{
	struct vsock *vsock = calloc(1, sizeof(*vsock));
	uint8_t config[CONFIG_LEN];
	int r;

	if (!vsock)
		return err_sys(err, -ENOMEM, "cannot make %s", vsock_class.name);
	r = virtio_init(&vsock->dev, &vsock_class, NR_QUEUES, 0, mem, loop, err);
	if (r < 0) {
		free(vsock);
		return r;
	}
	vsock->front = front;
	vsock->user.asked = asked;
	vsock->cid = cid;
	vsock->next_port = PORTS_FIRST;
	vsock->last_ready = &vsock->first_ready;
	vsock->receive.run = run_receive;
	vsock->transmit.run = run_transmit;
	put_le64(config, cid);
	virtio_set_config(&vsock->dev, 0, config, sizeof(config));
	*ret_dev = &vsock->dev;
	return 0;
}
