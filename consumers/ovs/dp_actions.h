/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_OVS_DP_ACTIONS_H
#define BPFCT_OVS_DP_ACTIONS_H

#include "dp_ct.h"
#include "dp_meter.h"
#include "dp_output.h"
#include "dp_set.h"
#include "dp_upcall.h"

/* dp_hash: over addresses, protocol and ports; SYM_L4: the same for both directions. */
__noinline int ovs_hash(struct __sk_buff *skb)
{
	struct ovs_work *w = ovs_fresh(skb);
	const struct ovs_action *a = w ? ovs_action(w) : NULL;
	__u64 h, src = 0, dst = 0;
	__u32 i;

	if (!a)
		return -CT_DROP_OVS_ACTION;
#pragma unroll
	for (i = 0; i < 4; i++) {
		src = (src ^ w->key.src[i]) * 0x9fb21c651e98df25ULL;
		dst = (dst ^ w->key.dst[i]) * 0x9fb21c651e98df25ULL;
	}
	src = (src ^ w->key.sport) * 0xd6e8feb86659fd93ULL;
	dst = (dst ^ w->key.dport) * 0xd6e8feb86659fd93ULL;
	h = a->hash.alg == OVS_HASH_SYM_L4 ? src + dst : src * 31 + dst;
	h = (h ^ w->key.proto ^ (__u64)a->hash.basis << 32) * 0x9fb21c651e98df25ULL;
	h ^= h >> 32;
	w->key.dp_hash = (__u32)h ? (__u32)h : 1; /* 0 means that there is none */
	return 0;
}

/* Is the packet longer than a->check.len on the wire? Of a datagram that was put together
 * its largest fragment counts, of a GSO packet its segments. */
__noinline int ovs_is_longer(struct __sk_buff *skb)
{
	struct ovs_work *w = ovs_fresh(skb);
	const struct ovs_action *a = w ? ovs_action(w) : NULL;
	__u32 len = skb->len, head;
	const __u8 *th;

	if (!a)
		return 0;
	if (w->mru) {
		len = w->l3_off + w->mru;
	} else if (skb->gso_size) {
		head = w->l4_off + 8;
		th = w->key.proto == IPPROTO_TCP ? ct_at(skb, w->l4_off, 20) : NULL;
		if (th)
			head = w->l4_off + (th[12] >> 4 << 2);
		len = head + skb->gso_size;
	}
	if (skb->vlan_present)
		len += 4;
	return len > a->check.len;
}

/* Actions after which the next one follows, whatever they did: 0 or a drop reason. */
static __always_inline int ovs_simple(struct __sk_buff *skb, struct ovs_work *w,
				      const struct ovs_action *a)
{
	switch (a->type) {
	case OVS_ACT_SET_ETH:
		return ovs_set_eth(skb);
	case OVS_ACT_SET_IPV4:
		return ovs_set_ip4(skb);
	case OVS_ACT_SET_IPV6:
		return ovs_set_ip6(skb);
	case OVS_ACT_SET_PORTS:
		return ovs_set_ports(skb);
	case OVS_ACT_SET_ICMP:
		return ovs_set_icmp(skb);
	case OVS_ACT_SET_ARP:
		return ovs_set_arp(skb);
	case OVS_ACT_SET_ND:
		return ovs_set_nd(skb);
	case OVS_ACT_SET_MARK:
		skb->mark = w->key.skb_mark =
			ovs_mix4(w->key.skb_mark, a->word.value, a->word.mask);
		return 0;
	case OVS_ACT_SET_PRIORITY:
		skb->priority = w->key.skb_priority =
			ovs_mix4(w->key.skb_priority, a->word.value, a->word.mask);
		return 0;
	case OVS_ACT_SET_TUNNEL:
		return ovs_set_tunnel(skb);
	case OVS_ACT_PUSH_VLAN:
		return ovs_push_vlan(skb);
	case OVS_ACT_POP_VLAN:
		return ovs_pop_vlan(skb);
	case OVS_ACT_CT_CLEAR:
		ovs_ct_forget(w);
		return 0;
	case OVS_ACT_HASH:
		return ovs_hash(skb);
	case OVS_ACT_TRUNC:
		w->trunc = a->len;
		return 0;
	case OVS_ACT_METER:
		return ovs_meter(skb, a->id);
	}
	return -CT_DROP_OVS_ACTION;
}

/* A part of the packet's actions: in place if nothing comes after it, else on a copy. The
 * next action is then the one at `next`. */
static __always_inline int ovs_part(struct __sk_buff *skb, struct ovs_work *w, __u32 from, __u32 to,
				    __u32 next)
{
	int v;

	if (to > w->end || next > w->end || from > to)
		return -CT_DROP_OVS_ACTION;
	if (next >= w->end) {
		w->pc = from;
		w->end = to;
		return 0;
	}
	v = from < to ? ovs_copy(skb, from, to) : 0;
	if (v < 0)
		ct_drop(-v); /* the copy is lost, the packet goes on */
	w->pc = next;
	return 0;
}

/* SAMPLE, CLONE and CHECK_LEN. 0 or a drop reason. */
__noinline int ovs_nested(struct __sk_buff *skb)
{
	struct ovs_work *w = ovs_work();
	const struct ovs_action *a = w ? ovs_action(w) : NULL;
	__u32 from, mid, to;

	if (!a)
		return -CT_DROP_OVS_ACTION;
	from = w->pc + 1;
	switch (a->type) {
	case OVS_ACT_CLONE:
		to = from + a->body;
		return ovs_part(skb, w, from, to, to);
	case OVS_ACT_SAMPLE:
		to = from + a->sample.body;
		if (!a->sample.probability || bpf_get_prandom_u32() > a->sample.probability)
			return ovs_part(skb, w, to, to, to);
		return ovs_part(skb, w, from, to, to);
	case OVS_ACT_CHECK_LEN:
		mid = from + a->check.body;
		to = mid + a->check.body2;
		if (ovs_is_longer(skb))
			return ovs_part(skb, w, from, mid, to);
		return ovs_part(skb, w, mid, to, to);
	}
	return -CT_DROP_OVS_ACTION;
}

/* An output after which more follows. What is lost of it is counted, the packet goes on. */
__noinline int ovs_output(struct __sk_buff *skb, __u32 port)
{
	struct ovs_work *w = ovs_work();
	int v;

	if (!w)
		return -CT_DROP_OVS_PROGRAM;
	if (w->trunc && w->trunc < skb->len)
		v = ovs_copy(skb, w->pc, w->pc + 1);
	else
		v = ovs_send(skb, port);
	w->trunc = 0;
	if (v < 0)
		ct_drop(-v);
	return 0;
}

#endif
