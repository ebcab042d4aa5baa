/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTD_IMPORT_H
#define BPFCT_CTD_IMPORT_H

#include "ctd.h"

/*
 * What lives when an instance is activated for the first time, or when `ctctl flow
 * import` is asked for: the connections of nf_conntrack in our namespace, translations
 * included, and the host's own sockets, which nothing may have tracked. Each becomes
 * a record as `ctctl -I` would make it; one that is there already stays as it is.
 */
struct import_stats {
	uint32_t flows;	  /* records made of nf_conntrack's */
	uint32_t sockets; /* and of sockets */
	uint32_t known;	  /* there already */
	uint32_t refused; /* no room: a limit of ours */
	uint32_t foreign; /* what we cannot go on with, see nfct_to_flow() */
	uint32_t failed;
};

/*
 * First activation. _begin: before a program is attached; opening handshakes are left
 * out, as the answer could pass before we see packets. _end: when all are attached, for
 * what was opened in between. Both log and go on: without import a router starts as
 * after a boot.
 */
void import_begin(struct ctd *d, struct import_stats *stats);
void import_end(struct ctd *d, struct import_stats *stats);

/* Both at once. 0 or -errno; refused ones are no error. */
int import_now(struct ctd *d, struct import_stats *out);

/* import_sock.c: enters the sockets by `enter`, which owns the counting. */
typedef void (*import_fn)(struct ctd *d, const struct ct_flow *flow, void *arg);
int import_sockets(struct ctd *d, import_fn enter, void *arg);

#endif
