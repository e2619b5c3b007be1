/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notify.h - telling systemd what becomes of a service: the protocol of
 * sd_notify(3), at the socket that NOTIFY_SOCKET names.
 */
#ifndef CLI_NOTIFY_H
#define CLI_NOTIFY_H

/*
 * state is lines such as "READY=1\nSTATUS=running".  0 when it was sent or nobody
 * wants to know, else a negative errno.  Never waits.
 */
int notify_send(const char *state);

#endif
