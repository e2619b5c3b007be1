/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pcap.h - packets go into a file as well, in the format of pcap-savefile(5).
 *
 * Writing never holds up packets: what comes faster than the file takes it is not in
 * the file.  Opened and closed on the main thread; all else is for the owner of the
 * netdev.
 */
#ifndef NET_PCAP_H
#define NET_PCAP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

struct err;
struct loop;
struct pcap;

/*
 * The file is for its owner only: it has what the guest says.  What it had before stays.
 * *ret_made, also after a failure: there was no such file.
 */
int pcap_open(struct pcap **ret_pcap, const char *path, bool *ret_made, struct err *err);

/* Before the first packet: it is made anew. */
int pcap_begin(struct pcap *pcap, struct err *err);
struct pcap *pcap_close(struct pcap *pcap);	/* flushed; -> NULL */

/* A frame: len bytes of the segments, after the first skip of them. */
void pcap_add(struct pcap *pcap, struct loop *loop, const struct iovec *segs, uint64_t skip,
	      uint64_t len);

/* Return when all of it is written. */
void pcap_flush(struct pcap *pcap, struct loop *loop);

#endif
