/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTD_ASIDE_H
#define BPFCT_CTD_ASIDE_H

#include <stdio.h>

#include "ctd.h"

/*
 * Watches what the kernel does to forwarded packets beside us: xfrm (IPsec) policies,
 * nftables and iptables chains of others, routing rules that a look-up from BPF does not
 * follow. While there is any of it, packets of that family are not redirected past the stack
 * (settings->route_aside). Netlink tells of each change but those of iptables-legacy,
 * which is looked at every second.
 */

/* Before anything else that makes a ctd look alive: what changed while there was none
 * is not known yet, so nothing is redirected. */
void aside_unknown(struct ctd *d);

/* Listens and looks; from here on settings->route_aside is right. */
int aside_start(struct ctd *d);
void aside_stop(struct ctd *d);

/* One line for each thing found, "" ones never; `prefix` before each. */
void aside_print(const struct ctd *d, const char *prefix, FILE *out);

#endif
