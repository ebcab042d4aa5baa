// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* A segment of a helped connection, or an ICMP error about one, whose entry of ct_alg_v1 stands
 * under a key of zeroes: what ct_lookup() and alg_take() do to its numbers. */
#include "../../bpf/lib/ctx_tc.h"
#include <linux/pkt_cls.h>

#include "../../bpf/ct_path.h"
#include "../../bpf/ct/ct_alg_take.h"
#include "alg_seq.h"

CT_MAP(seq_case_v1, BPF_MAP_TYPE_ARRAY, 1, __u32, struct seq_case);

/* The packet that an ICMP error quotes. Apart: one inlined parser an entry. */
__noinline int quoted(struct __sk_buff *skb)
{
	struct ct_work *w = ct_work();

	return w ? ct_parse_inner(skb, &w->pkt) : -CT_DROP_MAP_MISSING;
}

SEC("tc")
int segment(struct __sk_buff *skb)
{
	struct ct_work *w = ct_work();
	struct seq_case *c;
	__u32 zero = 0;
	int v;

	c = bpf_map_lookup_elem(&seq_case_v1, &zero);
	if (!c || !w)
		return TC_ACT_SHOT;
	v = ct_parse(skb, &w->pkt, 0, 1);
	if (v == CT_PARSE_OTHER)
		return TC_ACT_SHOT;
	__builtin_memset(&w->res, 0, sizeof(w->res));
	w->res.family = w->pkt.tuple.family;
	w->res.dir = c->dir & 1;
	w->res.word = CT_W_GEN(c->gen) | CT_W_STATUS(CT_S_HELPER);
	if (v >= 0 && (w->pkt.flags & CT_PKT_ICMP_ERROR)) {
		v = quoted(skb);
		w->res.related = 1;
	} else if (v >= 0) {
		v = nat_seq_ack(skb, &w->pkt, &w->res);
	}
	c->ack = w->pkt.tcp_ack;
	if (v >= 0)
		v = alg_take(skb, &w->pkt, &w->res);
	c->verdict = v;
	if (v < 0)
		return TC_ACT_SHOT;
	return c->redirect ? bpf_redirect(c->redirect, 0) : TC_ACT_OK;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
