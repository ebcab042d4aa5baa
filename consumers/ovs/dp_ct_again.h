/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_OVS_DP_CT_AGAIN_H
#define BPFCT_OVS_DP_CT_AGAIN_H

#include "../../bpf/ct_path.h"
#include "dp_work.h"

/* What a ct() knows of the packet already: from one before it, or, after a way through user space,
 * from the key. */
#define OVS_CT_TRACKED 0 /* ct_work()->res says what it is */
#define OVS_CT_HELD    1 /* a fragment, held: the packet is gone */
#define OVS_CT_INVALID 2 /* +inv+trk: nothing to commit or translate */
#define OVS_CT_LOOKUP  3 /* for ct_lookup(), which the entry program calls: its stack is deep */

/* The record's first packet, as ct_orig_tuple has it: of what is expected, the parent's; of a
 * packet without a connection its own. */
static __always_inline void ovs_ct_first(struct ct_tuple *t, const struct ct_work *cw)
{
	struct ct_expect_work *x = ct_expect_work();
	const struct ct_master *m = NULL;
	struct ct_label_key lk;

	if (cw->res.word & CT_W_STATUS(CT_S_EXPECTED)) {
		ct_label_key(&lk, &cw->res.key, ct_w_gen(cw->res.word), cw->res.family);
		m = bpf_map_lookup_elem(&ct_master_v1, &lk);
	}
	if (m)
		*t = m->orig;
	else if (!cw->res.word && cw->res.expected && x)
		*t = x->x.orig;
	else if (cw->res.word)
		ct_tuple_orig(t, &cw->res.key, cw->res.word, cw->res.family);
	else
		*t = cw->pkt.tuple;
}

/* OVS has type and code of ICMP where others have ports. */
static __always_inline __be16 ovs_ct_sport(const struct ct_tuple *t)
{
	return ct_is_icmp(t) ? bpf_htons(bpf_ntohs(t->dport) >> 8) : t->sport;
}

static __always_inline __be16 ovs_ct_dport(const struct ct_tuple *t)
{
	return ct_is_icmp(t) ? bpf_htons(bpf_ntohs(t->dport) & 0xff) : t->dport;
}

/*
 * Is the connection in res the one that the key names? The tuple of a translated packet may be
 * another's first packet's, too: of one committed without nat(), whose way back was given
 * another port.
 */
__noinline int ovs_ct_is_named(struct __sk_buff *skb)
{
	struct ovs_work *w = ovs_work();
	struct ct_work *cw = ct_work();
	struct ct_tuple t;
	__u32 i, other;

	if (!w || !cw || !skb || !cw->res.word)
		return 0;
	if (!w->key.ct_proto)
		return 1; /* nobody knows */
	ovs_ct_first(&t, cw);
	other = (t.proto ^ w->key.ct_proto) | (ovs_ct_sport(&t) ^ w->key.ct_sport) |
		(ovs_ct_dport(&t) ^ w->key.ct_dport);
#pragma unroll
	for (i = 0; i < 4; i++)
		other |= (t.saddr[i] ^ w->key.ct_src[i]) | (t.daddr[i] ^ w->key.ct_dst[i]);
	return !other;
}

/* Not on the stack: ct_peek()'s is deep. */
static __always_inline struct ct_tuple *ovs_ct_was(void)
{
	return ct_scratch(CT_SCRATCH_CONSUMER);
}
CT_SCRATCH_FITS(struct ct_tuple);

/* The record of a packet that was translated before: the other direction has this tuple, and what
 * an error quotes is found as a packet by itself. */
__noinline int ovs_ct_peek_translated(struct __sk_buff *skb)
{
	struct ovs_work *w = ovs_work();
	struct ct_work *cw = ct_work();
	struct ct_tuple *was = ovs_ct_was();
	__u8 flags, error;

	if (!w || !cw || !was)
		return 0;
	flags = cw->pkt.flags;
	error = flags & CT_PKT_ICMP_ERROR;
	*was = cw->pkt.tuple;
	if (error) {
		cw->pkt.tuple = cw->pkt.inner;
		cw->pkt.tuple.zone = was->zone;
		cw->pkt.flags = cw->pkt.inner_icmp_reply ? CT_PKT_ICMP_REPLY : 0;
	} else {
		ct_tuple_invert(&cw->pkt.tuple, was);
		cw->pkt.flags ^= CT_PKT_ICMP_REPLY;
	}
	ct_peek(skb, &cw->pkt, &cw->res);
	cw->pkt.flags = flags;
	cw->pkt.tuple = *was;
	cw->res.dir = !cw->res.dir;
	cw->res.related = !!error;
	cw->res.translate = 0;
	w->ct_done = 1;
	return 0;
}

/* Mark of the record in res. */
static __always_inline void ovs_ct_read_mark(struct ct_result *res)
{
	union ct_key key = res->key;

	if (res->family == 4) {
		struct ct_conn4 *c = bpf_map_lookup_elem(&ct_conn4_v1, &key.k4);

		res->mark = c ? c->c.mark : 0;
	} else {
		struct ct_conn6 *c = bpf_map_lookup_elem(&ct_conn6_v1, &key.k6);

		res->mark = c ? c->c.mark : 0;
	}
}

/* What an earlier ct() in this zone found: OVS_CT_TRACKED, res is filled; OVS_CT_LOOKUP: there
 * was none; OVS_CT_INVALID: it translated the packet, and its connection has gone. */
__noinline int ovs_ct_again(struct __sk_buff *skb)
{
	struct ovs_work *w = ovs_work();
	struct ct_work *cw = ct_work();

	if (!w || !cw || !(w->key.ct_state & CT_STATE_TRK) || w->key.ct_zone != cw->pkt.tuple.zone)
		return OVS_CT_LOOKUP;
	if (w->ct_valid) {
		cw->res = w->ct;
		return OVS_CT_TRACKED;
	}
	ct_peek(skb, &cw->pkt, &cw->res);
	if (!ovs_ct_is_named(skb)) {
		if (!(w->key.ct_state & (CT_STATE_SNAT | CT_STATE_DNAT)))
			return OVS_CT_LOOKUP;
		ovs_ct_peek_translated(skb);
		if (!ovs_ct_is_named(skb))
			return OVS_CT_INVALID;
	}
	cw->res.state = ct_state_bits(&cw->res);
	ovs_ct_read_mark(&cw->res);
	w->alg_zone = (__u32)w->key.ct_zone + 1; /* its helper has had it before it went up */
	return OVS_CT_TRACKED;
}

#endif
