/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_FW_FRAG_H
#define BPFCT_FW_FRAG_H

#include <linux/pkt_cls.h>

#include "../../bpf/ct/ct_alg_take.h"
#include "../../bpf/ct/ct_work.h"
#include "../../bpf/frag/frag_hold.h"
#include "fw_maps.h"
#include "fw_mark.h"

/* Fragments at the firewall's hooks. Those of the inside never meet those of the
 * outside, nor do those of two hooks: nobody completes what another began. */
#define FW_SIDE_OUTSIDE 0
#define FW_SIDE_INSIDE	1
#define FW_SIDE_HELPED	2	   /* ctd's, on their way back */
#define FW_SIDE_LATE	0x20000000 /* egress: connection to be opened */
#define FW_SIDE_PENDING 0x40000000 /* egress: source translation to be done */
#define FW_SIDE_EGRESS	0x80000000 /* and the device, as one packet may leave by two */

/* A fragment at ingress. As frag_admit() and frag_hold(). */
__noinline int fw_fragment_in(struct __sk_buff *skb)
{
	struct ct_work *w = ct_work();
	const struct fw_iface *iface;
	__u32 side = FW_SIDE_OUTSIDE;
	int v;

	if (!w)
		return -CT_DROP_MAP_MISSING;
	/* Of ctd's the whole was admitted: what `set fragments` says is about others'. */
	if (alg_is_ours(skb)) {
		side = FW_SIDE_HELPED;
	} else {
		v = frag_admit(&w->pkt);
		if (v != FRAG_HOLD)
			return v;
		iface = fw_iface(skb->ifindex);
		if (iface && (iface->flags & FW_IF_INSIDE))
			side = FW_SIDE_INSIDE;
	}
	return frag_hold(skb, &w->pkt, side);
}

/*
 * A fragment at egress: the router's own, or one that the stack cut from a packet
 * which ingress sent up (mark is set then). The first are held if the setting
 * says so, the others always. As frag_hold().
 */
__noinline int fw_fragment_out(struct __sk_buff *skb, __u32 mark)
{
	struct ct_work *w = ct_work();
	__u32 side = FW_SIDE_EGRESS | (skb->ifindex & 0xffffff);
	const struct ct_settings *set = ct_settings();

	if (!w || !set)
		return -CT_DROP_MAP_MISSING;
	if (alg_is_ours(skb))
		return frag_hold(skb, &w->pkt, FW_SIDE_HELPED | FW_SIDE_EGRESS);
	if (!mark && set->fragments[w->pkt.tuple.family == 6] != FRAG_MODE_REASSEMBLE)
		return FRAG_PASS;
	if (mark & FW_MARK_PENDING)
		side |= FW_SIDE_PENDING;
	if (mark & FW_MARK_LATE)
		side |= FW_SIDE_LATE;
	return frag_hold(skb, &w->pkt, side);
}

/* Up the stack, each fragment by itself; fw_in() meets them again. */
__noinline int fw_release_up(struct __sk_buff *skb, __u32 pending)
{
	struct ct_work *w = ct_work();

	if (!w)
		return -CT_DROP_MAP_MISSING;
	w->pkt.frag_note = pending;
	return frag_release(skb, &w->pkt, skb->ifindex, BPF_F_INGRESS);
}

#endif
