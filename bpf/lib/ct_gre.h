/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_LIB_CT_GRE_H
#define BPFCT_LIB_CT_GRE_H

#include "../ct/ct_maps.h"

/*
 * Enhanced GRE (RFC 2637 4.1): flags, protocol, length and id of the call, all in the first eight
 * bytes. Other GRE, and a call that no helper has seen, goes by address (ct_gre_v1).
 */
#define CT_GRE_HDR 8
#define CT_GRE_ID  6 /* offset of the call id */

/* Version 1 with a key and nothing else but the two numbers that come and go; PPP. */
static __always_inline int ct_gre_enhanced(const __u8 *g)
{
	return (g[0] & ~0x10) == 0x20 && (g[1] & ~0x80) == 0x01 && g[2] == 0x88 && g[3] == 0x0b;
}

/* One of the two hosts of this connection, as its originator's packets have them? */
static __always_inline int ct_gre_host(const struct ct_label_key *conn, const __be32 *addr)
{
	int i, same = 0;

	for (i = 0; i < 2; i++)
		same |= conn->key.addr[i][0] == addr[0] && conn->key.addr[i][1] == addr[1] &&
			conn->key.addr[i][2] == addr[2] && conn->key.addr[i][3] == addr[3];
	return same;
}

/*
 * Of a call that is being set up: the id is set aside for a control connection with this sender,
 * who has agreed to the call, but ctd has the answer in hand still. By address it would be another
 * connection, or another client's.
 */
static __always_inline int ct_gre_early(const struct ct_tuple *t)
{
	const struct ct_xport *x;
	struct ct_xport_key key = {.proto = t->proto, .family = t->family, .port = t->dport};

	__builtin_memcpy(key.addr, t->daddr, sizeof(key.addr));
	x = bpf_map_lookup_elem(&ct_xport_v1, &key);
	return x && !x->group && ct_gre_host(&x->master, t->saddr);
}

/*
 * The ids of a call, from the one that the packet carries, in t->dport: t->sport is the sender's
 * then. 0: ctd knows no such call, both are 0; or a drop reason. The key is copied, as an argument
 * of a global function cannot be one on 6.1.
 */
__noinline int ct_gre_call(struct ct_tuple *t)
{
	const struct ct_gre *g;
	struct ct_tuple key;
	int early;

	if (!t)
		return 0;
	key = *t;
	key.sport = 0;
	g = bpf_map_lookup_elem(&ct_gre_v1, &key);
	if (g) {
		t->sport = g->id;
		return 1;
	}
	early = ct_gre_early(&key);
	t->sport = t->dport = 0;
	return early ? -CT_DROP_GRE_EARLY : 0;
}

#endif
