/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_FRAG_RELEASE_H
#define BPFCT_FRAG_RELEASE_H

#include "../nat/nat_icmp.h"
#include "frag_whole.h"

/*
 * A datagram's fragments leave, in order, as they came but for what was done to
 * its head. They are built in the packet in hand, one after the other, and cloned
 * out. What runs inside bpf_clone_redirect() uses every per-CPU area: all that the
 * loop needs is on its stack and in the slot, which is ours.
 */
struct frag_send {
	struct ct_ctx *ctx;
	__u32 slot;
	__u32 l3_off;
	__u32 want; /* offset of the next fragment */
	__u32 piece;
	__u32 ifindex;
	__u32 flags;
	__be32 addr[8]; /* source and destination; IPv4: [0] and [4] */
	__s64 diff;	/* of IPv4's header sum */
	__u8 family;
	__u8 hops; /* to take from the TTL */
	__u8 done;
	int error;
};

static __always_inline void frag_patch4(struct frag_chunk *c, const struct frag_send *p)
{
	struct iphdr *ip = (struct iphdr *)c->data;
	__u32 sum;

	ip->saddr = p->addr[0];
	ip->daddr = p->addr[4];
	ip->check = nat_csum_apply(ip->check, p->diff);
	if (!p->hops)
		return;
	ip->ttl--;
	sum = ip->check + bpf_htons(0x0100); /* RFC 1141 */
	ip->check = sum + (sum >= 0xffff);
}

static __always_inline void frag_patch6(struct frag_chunk *c, const struct frag_send *p)
{
	struct ipv6hdr *ip = (struct ipv6hdr *)c->data;

	__builtin_memcpy(&ip->saddr, p->addr, 16);
	__builtin_memcpy(&ip->daddr, p->addr + 4, 16);
	if (p->hops)
		ip->hop_limit--;
}

/* bpf_loop callback: the next fragment. */
static long frag_send_piece(__u32 i, struct frag_send *p)
{
	struct frag_slot *h = frag_slot(p->slot);
	const struct frag_piece *piece;
	struct frag_chunk *c;
	__u32 at;

	if (!h)
		return 1;
	at = frag_find(h, p->slot, p->want, p->piece + 1);
	if (at >= FRAG_PIECES) {
		p->error = -CT_DROP_MAP_MISSING;
		return 1;
	}
	p->piece = at;
	piece = &h->piece[at & (FRAG_PIECES - 1)];
	c = frag_chunk(piece->chunk);
	if (!c) {
		p->error = -CT_DROP_MAP_MISSING;
		return 1;
	}
	if (p->family == 4)
		frag_patch4(c, p);
	else
		frag_patch6(c, p);
	p->want += piece->len;
	p->error = frag_build(p->ctx, p->l3_off, piece->chunk, (__u32)piece->hlen + piece->len);
	if (p->error)
		return 1;
	if (p->want < h->total || (p->flags & BPF_F_INGRESS))
		bpf_clone_redirect(p->ctx, p->ifindex, p->flags);
	return p->want >= h->total;
}

/* What was done to the head: payload into the chunks, header into p. */
static __always_inline int frag_take_head(struct frag_send *p, struct frag_slot *h)
{
	__u32 first = frag_find(h, p->slot, 0, 0);
	const struct frag_piece *piece;
	struct iphdr *ip;
	struct ipv6hdr *ip6;

	if (first >= FRAG_PIECES)
		return -CT_DROP_MAP_MISSING;
	piece = &h->piece[first & (FRAG_PIECES - 1)];
	if (p->family == 4) {
		ip = ct_at(p->ctx, p->l3_off, sizeof(*ip));
		if (!ip)
			return -CT_DROP_PKT_ACCESS;
		p->addr[0] = ip->saddr;
		p->addr[4] = ip->daddr;
		p->diff = nat_diff4(h->key.saddr[0], ip->saddr) +
			  nat_diff4(h->key.daddr[0], ip->daddr);
		p->hops = ip->ttl != piece->ttl;
	} else {
		ip6 = ct_at(p->ctx, p->l3_off, sizeof(*ip6));
		if (!ip6)
			return -CT_DROP_PKT_ACCESS;
		__builtin_memcpy(p->addr, &ip6->saddr, 16);
		__builtin_memcpy(p->addr + 4, &ip6->daddr, 16);
		p->hops = ip6->hop_limit != piece->ttl;
	}
	if (!frag_head_is(h, piece))
		return frag_fill(p->ctx, p->slot, p->l3_off + piece->hlen, frag_head_len(h), 1);
	p->piece = first;
	p->want = piece->len;
	return 0;
}

/* The slot stays until its fragments have come back at ingress; two seconds if
 * some are lost in between. The mark names it. */
static __always_inline void frag_expect(struct ct_ctx *ctx, struct frag_slot *h, __u32 slot,
					__u32 note)
{
	const struct ct_settings *set = ct_settings();

	h->left = h->pieces + 1; /* and this program */
	h->mark = ctx->mark;
	h->note = note;
	h->ifindex = ctx->ifindex;
	h->expires = set ? ct_now(set) + ct_ticks(set, FRAG_TIMEOUT_MIN) : 0;
	ctx->mark = (h->serial & 0xffff0000) | slot;
}

/* One fragment has come back, or the program that sent them is done. 1: it was
 * the last. */
static __always_inline int frag_one_back(struct frag_slot *h)
{
	h->left--;
	if (h->left)
		return 0;
	h->state = FRAG_RELEASE;
	return 1;
}

__noinline int frag_sent(__u32 slot)
{
	struct frag_slot *h = frag_slot(slot);
	int last;

	if (!h)
		return 0;
	bpf_spin_lock(&h->lock);
	last = frag_one_back(h);
	bpf_spin_unlock(&h->lock);
	if (last)
		frag_free_slot(slot);
	return 0;
}

/* Went up the stack once, as skb->mark and the slot that it names agree. */
__noinline int frag_returned(struct ct_ctx *ctx, struct ct_pkt *pkt)
{
	__u32 token = ctx->mark, in = ctx->ifindex, slot = token & 0xffff, mark = 0, note = 0;
	struct frag_slot *h;
	int mine = 0, last = 0;

	if (!pkt || !token)
		return 0;
	h = frag_slot(slot);
	if (!h)
		return 0;
	bpf_spin_lock(&h->lock);
	if (h->state == FRAG_RETURN && h->serial >> 16 == token >> 16 && h->ifindex == in) {
		mine = 1;
		mark = h->mark;
		note = h->note;
		last = frag_one_back(h);
	}
	bpf_spin_unlock(&h->lock);
	if (!mine)
		return 0;
	if (last)
		frag_free_slot(slot);
	ctx->mark = mark;
	pkt->frag_note = note;
	return 1;
}

/* See frag_hold.h. 0 or a drop reason. */
__noinline int frag_release(struct ct_ctx *ctx, const struct ct_pkt *pkt, __u32 ifindex,
			    __u32 flags)
{
	struct frag_send p = {};
	struct frag_slot *h;
	int returns = 0;
	__u32 n;

	if (!pkt)
		return -CT_DROP_MAP_MISSING;
	p.slot = pkt->frag_slot;
	h = frag_slot(p.slot);
	if (!h)
		return -CT_DROP_MAP_MISSING;
	p.ctx = ctx;
	p.l3_off = pkt->l3_off;
	p.family = h->key.family;
	p.piece = FRAG_PIECES - 1;
	p.ifindex = ifindex;
	p.flags = flags;
	p.error = frag_take_head(&p, h);
	n = h->pieces;
	if (!p.error) {
		/* From the first clone on fragments may come back on another CPU. */
		if (flags & BPF_F_INGRESS) {
			frag_expect(ctx, h, p.slot, pkt->frag_note);
			*(volatile __u32 *)&h->state = FRAG_RETURN;
			returns = 1;
		}
		if (p.want) /* the packet in hand is the first, and there are others */
			bpf_clone_redirect(ctx, ifindex, flags);
		bpf_loop(FRAG_PIECES, frag_send_piece, &p, 0);
	}
	frag_stat(p.family, FRAG_STAT_RELEASED, n);
	frag_free_data(p.slot);
	if (returns)
		frag_sent(p.slot);
	else
		frag_free_slot(p.slot);
	return p.error;
}

#endif
