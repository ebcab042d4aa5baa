// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* The stages of ct_path.h on one packet, as a map says. */
#include "../../bpf/lib/ctx_tc.h"
#include <linux/pkt_cls.h>

#include "../../bpf/ct/ct_dump.h"
#include "../../bpf/ct_path.h"
#include "ct_packets.h"

CT_MAP(pkt_case_v1, BPF_MAP_TYPE_ARRAY, 1, __u32, struct pkt_case);

SEC("tc")
int packet(struct __sk_buff *skb)
{
	struct ct_work *w = ct_work();
	struct pkt_case *c;
	__u32 zero = 0;
	int v;

	c = bpf_map_lookup_elem(&pkt_case_v1, &zero);
	if (!c || !w)
		return TC_ACT_SHOT;
	__builtin_memset(&w->res, 0, sizeof(w->res));
	v = ct_parse(skb, &w->pkt, c->zone, c->l2);
	c->flags = w->pkt.flags;
	if (v >= 0 && v != CT_PARSE_OTHER)
		v = frag_admit(&w->pkt);
	if (v > 0) {
		c->verdict = v;
		return TC_ACT_OK;
	}
	if (v == 0)
		v = ct_lookup(skb, &w->pkt, &w->res);
	c->verdict = v;
	if (v > 0 && (c->commit > 1 || (c->commit && v == CT_NEW))) {
		__builtin_memset(&w->args, 0, sizeof(w->args));
		w->args.nat = c->nat;
		w->args.mark = c->mark;
		__builtin_memcpy(w->args.label, c->label, sizeof(c->label));
		w->args.set_mark = c->set_mark;
		w->args.set_label = c->set_label;
		w->args.inside = c->inside;
		w->args.local = c->local;
		v = c->inbound ? nat_inbound(&w->pkt, &w->args.nat, c->inside) : 0;
		if (v >= 0)
			v = ct_commit(skb, &w->pkt, &w->res, &w->args);
	}
	if (v >= 0)
		v = nat_apply(skb, &w->pkt, &w->res, c->which);
	c->word = w->res.word;
	c->result_mark = w->res.mark;
	c->state = w->res.state;
	c->dir = w->res.dir;
	c->translate = w->res.translate;
	c->fresh = w->res.fresh;
	if (v < 0) {
		ct_drop(-v);
		c->verdict = v;
		return TC_ACT_SHOT;
	}
	return TC_ACT_OK;
}

/* A walk that was preempted: the record of one connection under the key of another. Both keys
 * come from a map: 0 the record's, 1 the other's. */
CT_MAP(pkt_pair_v1, BPF_MAP_TYPE_ARRAY, 2, __u32, union ct_key);

SEC("tc")
int mispaired(struct __sk_buff *skb)
{
	const struct ct_settings *set = ct_settings();
	__u32 zero = 0, one = 1;
	union ct_key *record, *other, key;

	record = bpf_map_lookup_elem(&pkt_pair_v1, &zero);
	other = bpf_map_lookup_elem(&pkt_pair_v1, &one);
	if (!record || !other || !set)
		return -1;
	key = *other;
	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		struct ct_conn4 *c4 = bpf_map_lookup_elem(&ct_conn4_v1, &record->k4);

		return c4 ? ct_visit_entry(&c4->c, &key, ct_now(set), 4) : -1;
	} else {
		struct ct_conn6 *c6 = bpf_map_lookup_elem(&ct_conn6_v1, &record->k6);

		return c6 ? ct_visit_entry(&c6->c, &key, ct_now(set), 6) : -1;
	}
}

/* A dump that was preempted after its copy: key 0 is what it copied, with the word in pkt_case_v1,
 * key 1 what stands there now. Is it one connection? */
SEC("tc")
int dumped(struct __sk_buff *skb)
{
	__u32 zero = 0, one = 1;
	union ct_key *copied, *at;
	struct pkt_case *c;

	copied = bpf_map_lookup_elem(&pkt_pair_v1, &zero);
	at = bpf_map_lookup_elem(&pkt_pair_v1, &one);
	c = bpf_map_lookup_elem(&pkt_case_v1, &zero);
	if (!copied || !at || !c)
		return -1;
	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		struct ct_conn4 *c4 = bpf_map_lookup_elem(&ct_conn4_v1, &copied->k4);

		return c4 ? ct_dump_whole(at, copied, &c4->c, c->word, 4) : -1;
	} else {
		struct ct_conn6 *c6 = bpf_map_lookup_elem(&ct_conn6_v1, &copied->k6);

		return c6 ? ct_dump_whole(at, copied, &c6->c, c->word, 6) : -1;
	}
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
