/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vsock_front.h - where programs of the host meet those of the guest: Unix sockets.
 *
 *	to the guest	connect to PATH and say "CONNECT PORT\n"; the answer is
 *			"OK HOSTPORT\n", or the connection ends
 *	from the guest	who connects to port N of the host arrives at PATH_N, if
 *			somebody listens there
 *
 * From then on the connection carries nothing but what the two say.
 *
 *	opened --attach()--> has a device --detach()--> opened --close()--> gone
 *
 * Whoever connects while there is no device, or it is not ready, is turned away.
 *
 * Opened and closed on the main thread; all else is for the owner of the device.
 */
#ifndef NET_VSOCK_FRONT_H
#define NET_VSOCK_FRONT_H

#include <stdint.h>

struct err;
struct loop;
struct vsock_front;

/* The device: what it is told while it is attached. */
struct vsock_front_user {
	/*
	 * Somebody asks for this port of the guest.  fd, which does not block, becomes
	 * the device's unless a negative errno is returned; then it is closed.
	 */
	int (*asked)(struct vsock_front_user *user, int fd, uint32_t port);
};

/* loop is that of the device. */
int vsock_front_open(struct vsock_front **ret_front, const char *path, struct loop *loop,
		     struct err *err);
struct vsock_front *vsock_front_close(struct vsock_front *front);	/* -> NULL */

void vsock_front_attach(struct vsock_front *front, struct vsock_front_user *user);
void vsock_front_detach(struct vsock_front *front);

/* Whoever listens at this port of the host: a descriptor that does not block. */
int vsock_front_connect(struct vsock_front *front, uint32_t port);

/* The guest accepts who has asked; it has this port of the host. */
int vsock_front_answer(int fd, uint32_t host_port);

#endif
