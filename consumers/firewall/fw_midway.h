/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_FW_MIDWAY_H
#define BPFCT_FW_MIDWAY_H

#include "../../bpf/nat/nat_seq_quote.h"
#include "fw_work.h"

/*
 * A packet of a connection that is translated on both sides (hairpin, `nat in` with `nat
 * out`) and goes by the stack is there with its destination translated and its source not:
 * midway, as a tuple that neither its record nor its stub is under. What its sender wrote is
 * noted under that tuple, for egress and for the stack's own errors, which quote it.
 *
 * A note is believed when a record that lives makes of it what was found, so an old one does
 * no harm, and one that was evicted is written again by the next packet. Two connections with
 * one tuple midway (one client port, two external ports of one server) overwrite each
 * other's: the packet's own is the last, unless both go up at once on two CPUs.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, FW_MIDWAYS);
	__type(key, struct ct_tuple);
	__type(value, struct ct_tuple);
} fw_midway_v1 SEC(".maps");

static __always_inline int fw_same_tuple(const struct ct_tuple *a, const struct ct_tuple *b)
{
	const __u64 *x = (const void *)a, *y = (const void *)b;

	return x[0] == y[0] && x[1] == y[1] && x[2] == y[2] && x[3] == y[3] && x[4] == y[4];
}

/* What pkt's tuple is between its two translations. */
static __always_inline void fw_midway_of(struct ct_tuple *t, const struct ct_tuple *from,
					 const struct ct_result *res)
{
	*t = *from;
	__builtin_memcpy(t->daddr, res->to.daddr, sizeof(t->daddr));
	/* Both sides of an ICMP query carry the id; the first translation changes it. */
	if (ct_is_icmp(from))
		t->sport = res->to.sport;
	else
		t->dport = res->to.dport;
}

/* Of a packet that is about to go up with its source still to be translated: is it midway
 * then? It is noted. */
__noinline int fw_midway_note(void)
{
	struct ct_work *w = ct_work();
	struct fw_work *f = fw_work();
	struct ct_tuple *old;

	if (!w || !f || !(w->res.translate & CT_XLATE_DST))
		return 0;
	fw_midway_of(&f->midway, &w->pkt.tuple, &w->res);
	old = bpf_map_lookup_elem(&fw_midway_v1, &f->midway);
	if (!old || !fw_same_tuple(old, &w->pkt.tuple))
		bpf_map_update_elem(&fw_midway_v1, &f->midway, &w->pkt.tuple, BPF_ANY);
	return 1;
}

/*
 * The connection of what is midway as f->midway says: 1 if there is one; then w->res is as
 * ct_peek() of the packet that its sender wrote makes it, and f->sent is that packet's tuple.
 */
__noinline int fw_midway_find(struct __sk_buff *skb, int icmp_reply)
{
	struct ct_work *w = ct_work();
	struct fw_work *f = fw_work();
	struct ct_tuple *sent;
	__u8 flags;

	if (!w || !f)
		return 0;
	sent = bpf_map_lookup_elem(&fw_midway_v1, &f->midway);
	if (!sent)
		return 0;
	f->sent = *sent;
	f->arrived = w->pkt.tuple;
	flags = w->pkt.flags;
	w->pkt.tuple = f->sent;
	w->pkt.flags = icmp_reply ? CT_PKT_ICMP_REPLY : 0;
	ct_peek(skb, &w->pkt, &w->res);
	w->pkt.flags = flags;
	w->pkt.tuple = f->arrived;
	if (w->res.translate != (CT_XLATE_SRC | CT_XLATE_DST))
		return 0;
	fw_midway_of(&f->arrived, &f->sent, &w->res);
	return fw_same_tuple(&f->arrived, &f->midway);
}

/*
 * An error of the stack's own that quotes what was midway: its sender knows it by the address
 * and port that it sent to, and shall see those. > 0: such a one, and translated, 0: none,
 * < 0: a drop reason.
 */
__noinline int fw_midway_error(struct __sk_buff *skb)
{
	struct ct_work *w = ct_work();
	struct fw_work *f = fw_work();
	int v = 0;

	if (!w || !f)
		return 0;
	f->midway = w->pkt.inner;
	if (!fw_midway_find(skb, w->pkt.inner_icmp_reply))
		return 0;
	w->res.dir ^= 1;
	w->res.translate = CT_XLATE_SRC;
	__builtin_memcpy(w->res.to.saddr, f->sent.daddr, sizeof(f->sent.daddr));
	w->res.to.sport = ct_is_icmp(&f->sent) ? f->sent.sport : f->sent.dport;
	/* The sequence number of a helped connection was adjusted before it went up. */
	if (w->res.word & CT_W_STATUS(CT_S_HELPER))
		v = nat_seq_quote(skb, &w->pkt, &w->res);
	if (v >= 0)
		v = nat_apply(skb, &w->pkt, &w->res, CT_XLATE_SRC);
	return v < 0 ? v : 1;
}

#endif
