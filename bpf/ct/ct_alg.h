/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CT_ALG_H
#define BPFCT_CT_ALG_H

#include "ct_event.h"
#include "ct_result.h"
#include "ct_tcp_table.h"

/* The helper of a connection that is about to be entered: its entry stands before the
 * record does, under key and generation, and goes with it (ct_label_drop). 0 or a reason. */
__noinline int ct_alg_add(const union ct_key *key, const struct ct_pkt *pkt, __u32 gen,
			  __u32 helper)
{
	struct ct_label_key lk;
	struct ct_alg alg;

	if (!key || !pkt)
		return -CT_DROP_MAP_MISSING;
	ct_label_key(&lk, key, gen, pkt->tuple.family);
	__builtin_memset(&alg, 0, sizeof(alg));
	alg.helper = helper;
	/* Who has not seen where the streams begin cannot put them in order. */
	if (pkt->tuple.proto == IPPROTO_TCP &&
	    (pkt->tcp_flags & (CT_TH_SYN | CT_TH_ACK)) != CT_TH_SYN)
		alg.off = CT_ALG_NEVER;
	alg.start[CT_ORIG] = pkt->tcp_seq + 1;
	return bpf_map_update_elem(&ct_alg_v1, &lk, &alg, BPF_ANY) ? -CT_DROP_ALG_FULL : 0;
}

/* Of the connection in res; NULL: none. */
static __always_inline struct ct_alg *ct_alg_of(const struct ct_result *res)
{
	struct ct_label_key lk;

	ct_label_key(&lk, &res->key, ct_w_gen(res->word), res->family);
	return bpf_map_lookup_elem(&ct_alg_v1, &lk);
}

#endif
