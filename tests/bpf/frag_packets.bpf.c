// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Fragments through the two calls of docs/fragments.md, and their datagram through
 * lookup, commit and translation, as a map says. */
#include "../../bpf/lib/ctx_tc.h"
#include <linux/pkt_cls.h>

#include "../../bpf/ct_path.h"
#include "../../bpf/ct/ct_alg_take.h"
#include "../../bpf/frag/frag_hold.h"
#include "frag_packets.h"

CT_MAP(frag_case_v1, BPF_MAP_TYPE_ARRAY, 1, __u32, struct frag_case);

/* The whole: 0, ALG_TAKEN, or a drop reason. In place: frames below ct_commit() are scarce. */
static __always_inline int whole(struct __sk_buff *skb, struct ct_work *w,
				 const struct frag_case *c)
{
	int v;

	v = ct_lookup(skb, &w->pkt, &w->res);
	if (v == CT_NEW) {
		__builtin_memset(&w->args, 0, sizeof(w->args));
		w->args.nat = c->nat;
		w->args.inside = 1;
		w->args.helper = c->helper;
		v = ct_commit(skb, &w->pkt, &w->res, &w->args);
	}
	if (v >= 0 && c->helper) {
		v = alg_take(skb, &w->pkt, &w->res);
		if (v == ALG_TAKEN)
			return v;
	}
	return v < 0 ? v : nat_apply(skb, &w->pkt, &w->res, CT_XLATE_SRC | CT_XLATE_DST);
}

/* What frag_hold() says of the packet, or frag_admit(). Apart from the entry, whose
 * frame lies below ct_commit()'s. */
__noinline int hold(struct __sk_buff *skb, struct frag_case *c)
{
	struct ct_work *w = ct_work();
	int v;

	if (!c || !w)
		return -CT_DROP_MAP_MISSING;
	v = ct_parse(skb, &w->pkt, 0, 1);
	if (v == -CT_DROP_FRAG_TINY)
		frag_stat(w->pkt.tuple.family, FRAG_STAT_TOO_SMALL, 1);
	if (!v)
		v = frag_admit(&w->pkt);
	if (v == FRAG_HOLD)
		v = frag_hold(skb, &w->pkt, c->side);
	c->verdict = v;
	c->back = w->pkt.frag_note;
	return v;
}

__noinline int release(struct __sk_buff *skb, struct frag_case *c)
{
	struct ct_work *w = ct_work();

	if (!c || !w)
		return TC_ACT_SHOT;
	if (!(w->pkt.flags & CT_PKT_GATHERED))
		return TC_ACT_OK;
	w->pkt.frag_note = c->note;
	c->verdict = frag_release(skb, &w->pkt, c->out, c->flags);
	return c->flags & BPF_F_INGRESS ? frag_stolen() : TC_ACT_OK;
}

SEC("tc")
int fragment(struct __sk_buff *skb)
{
	struct ct_work *w = ct_work();
	struct frag_case *c;
	__u32 zero = 0;
	int v;

	c = bpf_map_lookup_elem(&frag_case_v1, &zero);
	if (!c || !w)
		return TC_ACT_SHOT;
	v = hold(skb, c);
	if (v == FRAG_HOLD)
		return frag_stolen();
	if (v > 0)
		return TC_ACT_OK;
	if (!v)
		v = whole(skb, w, c);
	if (v == ALG_TAKEN) {
		c->verdict = v;
		return frag_stolen();
	}
	if (v >= 0)
		return release(skb, c);
	frag_discard(&w->pkt, -v);
	ct_drop(-v);
	c->verdict = v;
	return TC_ACT_SHOT;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
