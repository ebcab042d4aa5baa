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

/*
 * The ids of a call, from the one that the packet carries, in t->dport: t->sport is the sender's
 * then. 0: ctd knows no such call, both are 0. The key is copied, as an argument of a global
 * function cannot be one on 6.1.
 */
__noinline int ct_gre_call(struct ct_tuple *t)
{
	const struct ct_gre *g;
	struct ct_tuple key;

	if (!t)
		return 0;
	key = *t;
	key.sport = 0;
	g = bpf_map_lookup_elem(&ct_gre_v1, &key);
	t->sport = g ? g->id : 0;
	if (!g)
		t->dport = 0;
	return !!g;
}

#endif
