/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTD_WATCH_H
#define BPFCT_CTD_WATCH_H

#include "ctd.h"

/*
 * The socket filters of ctd's netlink sockets (consumers/firewall/fw_watch.bpf.c), which the
 * kernel runs while it makes a change: what is remembered holds no more before whoever asked
 * for the change is answered, whether ctd runs or not.
 */
enum watch_prog {
	WATCH_ROUTE, /* links, addresses, routes, neighbours */
	WATCH_STACK, /* xfrm policies, routing rules */
	WATCH_NFT,
	WATCH_PROGS
};

/* Loads the programs; the firewall's are loaded already. 0 or -errno, with a line logged. */
int watch_start(struct ctd *d);

/* Makes one of them the filter of a netlink socket. 0 or -errno. */
int watch_on(struct ctd *d, int sock, enum watch_prog prog);

/* Tells them which addresses and neighbours there are; after watch_on() and before an epoch is
 * begun. 0 or -errno. */
int watch_fill(struct ctd *d);

void watch_stop(struct ctd *d);

#endif
