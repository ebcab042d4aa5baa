/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_FRAG_WHOLE_H
#define BPFCT_FRAG_WHOLE_H

#include "../lib/ct_crc32c.h"
#include "frag_link.h"

/*
 * A datagram is whole: the packet in hand becomes its head, that is the first
 * fragment; where that is short, with as much of the others' payload as any stage looks
 * at. struct ct_pkt describes the datagram. The caller owns the slot.
 */
#define FRAG_HEAD 512 /* what ct_at() reaches */

struct frag_fill {
	struct ct_ctx *ctx;
	__u32 slot;
	__u32 base; /* of the payload in the packet */
	__u32 end;  /* of the head's payload */
	__u32 back; /* from the packet to the chunks */
	int error;
};

/* bpf_loop callback: what of piece i belongs into the head. */
static long frag_fill_piece(__u32 i, struct frag_fill *p)
{
	struct frag_slot *h = frag_slot(p->slot);
	const struct frag_piece *piece;
	struct frag_chunk *c;
	__u64 at, n;
	long err;

	if (!h || i >= h->pieces || i >= FRAG_PIECES)
		return 1;
	piece = &h->piece[i & (FRAG_PIECES - 1)];
	if (piece->off >= p->end)
		return 0;
	c = frag_chunk(piece->chunk);
	if (!c)
		return 1;
	n = p->end - piece->off;
	if (n > piece->len)
		n = piece->len;
	at = piece->hlen;
	asm volatile("" : "+r"(at));
	at &= 0xff;
	n -= 1;
	asm volatile("" : "+r"(n));
	n &= FRAG_HEAD - 1;
	asm volatile("" : "+r"(n));
	n += 1;
	if (p->back)
		err = bpf_skb_load_bytes(p->ctx, p->base + piece->off, c->data + at, n);
	else
		err = bpf_skb_store_bytes(p->ctx, p->base + piece->off, c->data + at, n,
					  BPF_F_RECOMPUTE_CSUM);
	if (err)
		p->error = -CT_DROP_PKT_ACCESS;
	return 0;
}

/* Moves the head's payload between the packet and the chunks. */
static __always_inline int frag_fill(struct ct_ctx *ctx, __u32 slot, __u32 base, __u32 end,
				     __u32 back)
{
	struct frag_fill p = {.ctx = ctx, .slot = slot, .base = base, .end = end, .back = back};

	bpf_loop(FRAG_PIECES, frag_fill_piece, &p, 0);
	return p.error;
}

static __always_inline __u32 frag_head_len(const struct frag_slot *h)
{
	return h->total < FRAG_HEAD ? h->total : FRAG_HEAD;
}

/* The usual case: all of the head's payload stands in the first fragment, and that as
 * it is will be the head. */
static __always_inline int frag_head_is(const struct frag_slot *h, const struct frag_piece *first)
{
	return first->len >= frag_head_len(h);
}

#define FRAG_SHRINK  20 /* a bare IPv4 header */
#define FRAG_SHRINKS 12 /* steps: FRAG_HLEN_MAX in all */

/*
 * Makes the packet size bytes long from its IP header on. The kernel cuts none before
 * the transport header that it has seen in it, which lies behind the headers of the
 * fragment in hand; another fragment may have shorter ones and hardly any data. Bytes
 * taken out behind the link header bring that mark nearer, not more
 * than a bare header at a time, so that it never lies before the packet: Linux 6.1
 * would refuse everything then.
 */
__noinline int frag_resize(struct ct_ctx *ctx, __u32 l3_off, __u32 size)
{
	int i;

	if (!bpf_skb_change_tail(ctx, l3_off + size, 0))
		return 0;
	if (bpf_skb_change_tail(ctx, l3_off + FRAG_HEAD, 0))
		return -CT_DROP_PKT_ACCESS;
	for (i = 0; i < FRAG_SHRINKS; i++) {
		if (bpf_skb_adjust_room(ctx, -FRAG_SHRINK, BPF_ADJ_ROOM_MAC, 0))
			return -CT_DROP_PKT_ACCESS;
		if (!bpf_skb_change_tail(ctx, l3_off + size, 0))
			return 0;
	}
	return -CT_DROP_PKT_ACCESS;
}

/* The packet becomes the fragment of `size` bytes from its IP header on, whose
 * first chunk is `chunk`. A global function: its loop is verified once. */
__noinline int frag_build(struct ct_ctx *ctx, __u32 off, __u32 chunk, __u32 size)
{
	struct frag_chunk *c;
	__u32 i;
	__u64 n;

	if (frag_resize(ctx, off, size))
		return -CT_DROP_PKT_ACCESS;
	for (i = 0; i < FRAG_PIECE_CHUNKS && size; i++) {
		c = frag_chunk(chunk);
		if (!c)
			return -CT_DROP_MAP_MISSING;
		n = size < FRAG_CHUNK ? size : FRAG_CHUNK;
		size -= n;
		n = frag_bound(n);
		if (bpf_skb_store_bytes(ctx, off, c->data, n, BPF_F_RECOMPUTE_CSUM))
			return -CT_DROP_PKT_ACCESS;
		off += n;
		chunk = c->next;
	}
	return 0;
}

/* The packet becomes the head. */
__noinline int frag_make_head(struct ct_ctx *ctx, __u32 l3_off, __u32 slot)
{
	struct frag_slot *h = frag_slot(slot);
	struct frag_work *w = frag_work();
	const struct frag_piece *piece;
	struct frag_chunk *c;
	__u32 first, hlen;

	if (!h || !w)
		return -CT_DROP_MAP_MISSING;
	first = frag_find(h, slot, 0, 0);
	if (first >= FRAG_PIECES)
		return -CT_DROP_FRAG_TINY;
	piece = &h->piece[first & (FRAG_PIECES - 1)];
	hlen = piece->hlen;
	if (frag_head_is(h, piece)) {
		/* It may have come last, and is in hand then. */
		if (!w->off && ctx_len(ctx) == l3_off + hlen + piece->len)
			return 0;
		return frag_build(ctx, l3_off, piece->chunk, hlen + piece->len);
	}
	c = frag_chunk(piece->chunk);
	if (!c)
		return -CT_DROP_MAP_MISSING;
	if (frag_resize(ctx, l3_off, hlen + frag_head_len(h)))
		return -CT_DROP_PKT_ACCESS;
	if (bpf_skb_store_bytes(ctx, l3_off, c->data, frag_bound(hlen), BPF_F_RECOMPUTE_CSUM))
		return -CT_DROP_PKT_ACCESS;
	return frag_fill(ctx, slot, l3_off + hlen, frag_head_len(h), 0);
}

/* Sums, sizes and the lowest TTL over all pieces. */
struct frag_sums {
	__u64 csum;
	__u32 max;
	__u32 ttl;
	__u32 hlen;
};

__noinline int frag_sum_up(__u32 slot, struct frag_sums *s)
{
	struct frag_slot *h = frag_slot(slot);
	__u32 i, n, hlen, size;

	if (!h || !s)
		return 0;
	n = h->pieces;
	s->ttl = 255;
	for (i = 0; i < FRAG_PIECES; i++) {
		if (i >= n)
			break;
		hlen = h->piece[i].hlen;
		size = hlen + h->piece[i].len;
		s->csum += h->piece[i].csum;
		if (size > s->max)
			s->max = size;
		if (h->piece[i].ttl < s->ttl)
			s->ttl = h->piece[i].ttl;
		if (hlen > s->hlen)
			s->hlen = hlen;
	}
	return 0;
}

/* Walks the extension headers after the fragment header, which ends at
 * pkt->l4_off. At most 256 bytes of them. */
__noinline int frag_skip_ext(struct ct_ctx *ctx, struct ct_pkt *pkt)
{
	__u8 *h, next, flags = 0;
	__u32 off;
	int v;

	if (!pkt)
		return -CT_DROP_MAP_MISSING;
	off = pkt->l4_off;
	h = ct_at(ctx, off - 8, 8);
	if (!h)
		return -CT_DROP_FRAG_TINY;
	next = h[0];
	v = ct_parse_ext(ctx, &off, &next, &flags);
	if (v < 0 || flags || off - pkt->l4_off > 256)
		return -CT_DROP_FRAG_TINY;
	pkt->tuple.proto = next;
	pkt->l4_off = off;
	return 0;
}

/* Takes n bytes of extension headers at `at` of the first fragment out of a sum. */
static __always_inline __u64 frag_unsum(struct frag_chunk *c, __u64 at, __u64 n, __u64 sum)
{
	asm volatile("" : "+r"(at));
	at &= 0xfc;
	n -= 8;
	asm volatile("" : "+r"(n));
	n &= 0xf8;
	asm volatile("" : "+r"(n));
	n += 8;
	return sum + (__u32)bpf_csum_diff((__be32 *)(c->data + at), n, NULL, 0, 0);
}

/* Fills pkt for the datagram in slot, from its head. 0 or a drop reason. */
__noinline int frag_describe(struct ct_ctx *ctx, struct ct_pkt *pkt, __u32 slot)
{
	struct frag_slot *h = frag_slot(slot);
	struct frag_work *w = frag_work();
	struct frag_sums sums = {};
	struct frag_chunk *c;
	__u8 *ip;
	__u32 first, start, hlen;
	int v;

	if (!h || !pkt || !w)
		return -CT_DROP_MAP_MISSING;
	frag_sum_up(slot, &sums);
	first = frag_find(h, slot, 0, 0);
	if (first >= FRAG_PIECES)
		return -CT_DROP_FRAG_TINY;
	hlen = h->piece[first & (FRAG_PIECES - 1)].hlen;
	start = pkt->l3_off + hlen;
	ip = ct_at(ctx, pkt->l3_off, sizeof(struct iphdr));
	if (!ip)
		return -CT_DROP_PKT_ACCESS;
	pkt->flags = CT_PKT_GATHERED;
	pkt->ttl = sums.ttl;
	if (pkt->tuple.family == 4)
		pkt->tos = ip[1];
	pkt->len = hlen + h->total;
	pkt->l4_off = start;
	pkt->tuple.sport = pkt->tuple.dport = 0;
	if (pkt->tuple.family == 6) {
		v = frag_skip_ext(ctx, pkt);
		if (v < 0)
			return v;
		c = frag_chunk(h->piece[first & (FRAG_PIECES - 1)].chunk);
		if (pkt->l4_off > start && c)
			sums.csum = frag_unsum(c, hlen, pkt->l4_off - start, sums.csum);
	}
	pkt->l4_len = start + h->total - pkt->l4_off;
	pkt->frag_slot = slot;
	/* Options that only some fragments have: the stack knows what to do. */
	pkt->frag_max = pkt->tuple.family == 4 && sums.hlen != hlen ? 65535 : sums.max;
	pkt->frag_note = 0;
	w->csum = ct_csum_fold(sums.csum);
	w->hlen = hlen; /* of the first now, not of the one in hand */
	/* Its transport header stands in the first fragment alone. */
	w->len = h->piece[first & (FRAG_PIECES - 1)].len - (pkt->l4_off - start);
	if (h->piece[first & (FRAG_PIECES - 1)].len < pkt->l4_off - start)
		return -CT_DROP_FRAG_TINY;
	return 0;
}

/* Bytes that the transport header has at least; of TCP as it says itself. */
static __always_inline __u32 frag_l4_header(const struct ct_pkt *pkt)
{
	switch (pkt->tuple.proto) {
	case IPPROTO_TCP:
		return 20 + pkt->tcp_optlen;
	case IPPROTO_SCTP:
		return 12;
	case IPPROTO_GRE:
		return ct_pkt_call(pkt) ? CT_GRE_HDR : 4;
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
		return 8;
	}
	return ct_is_icmp(&pkt->tuple) ? 8 : 0;
}

struct frag_crc {
	__u32 slot;
	__u32 want; /* offset of the next piece */
	__u32 piece;
	__u32 chunk;
	__u32 at; /* in the chunk */
	__u32 left;
	__u32 crc;
	__u32 done;
	__u32 skip; /* extension headers of the first fragment, which are not SCTP's */
};

/* bpf_loop callback: up to 64 bytes of SCTP's CRC32c. */
static long frag_crc_step(__u32 n, struct frag_crc *p)
{
	struct frag_slot *h = frag_slot(p->slot);
	struct frag_chunk *c;
	__u32 crc = p->crc, i;
	__u64 at;

	if (!h)
		return 1;
	if (!p->left) {
		if (p->want >= h->total)
			return 1;
		p->piece = frag_find(h, p->slot, p->want, p->piece + 1);
		if (p->piece >= FRAG_PIECES)
			return 1;
		p->chunk = h->piece[p->piece & (FRAG_PIECES - 1)].chunk;
		p->at = h->piece[p->piece & (FRAG_PIECES - 1)].hlen;
		p->left = h->piece[p->piece & (FRAG_PIECES - 1)].len;
		p->want += p->left;
		p->at += p->skip;
		p->left -= p->skip;
		p->skip = 0;
		return 0;
	}
	c = frag_chunk(p->chunk);
	if (!c)
		return 1;
	/* By words: headers and all fragments but the last are multiples of four bytes. */
	for (i = 0; i < 16; i++) {
		__u32 size = p->left < 4 ? p->left : 4, word;

		if (!size || p->at >= FRAG_CHUNK)
			break;
		at = p->at;
		asm volatile("" : "+r"(at));
		at &= FRAG_CHUNK - 4;
		word = *(__u32 *)(c->data + at);
		/* The field itself counts as zero. */
		if (p->done == CT_CRC_FIELD)
			word = 0;
		crc = ct_crc_word(word, size, crc);
		p->at += size;
		p->left -= size;
		p->done += size;
	}
	p->crc = crc;
	if (p->at >= FRAG_CHUNK) {
		p->chunk = c->next;
		p->at = 0;
	}
	return 0;
}

__noinline int frag_crc_ok(struct ct_ctx *ctx, const struct ct_pkt *pkt, __u32 slot)
{
	struct frag_crc p = {.slot = slot, .piece = FRAG_PIECES - 1, .crc = ~0U};
	struct frag_work *w = frag_work();
	__u32 field = 0;

	if (!pkt || !w || ctx_load(ctx, pkt->l4_off + CT_CRC_FIELD, &field, sizeof(field)))
		return 0;
	p.skip = pkt->l4_off - pkt->l3_off - w->hlen;
	if (!field) /* left to the device; see ct_sctp_crc_ok() */
		return 1;
	bpf_loop(FRAG_BYTES_MAX / 64 + 2 * FRAG_PIECES * FRAG_PIECE_CHUNKS, frag_crc_step, &p, 0);
	return field == ~p.crc;
}

/* Checksum over the whole datagram; w->csum is its payload's sum. */
static __always_inline int frag_csum_ok(struct ct_ctx *ctx, const struct ct_pkt *pkt, __u32 slot)
{
	struct frag_work *w = frag_work();
	__u64 sum;
	__u32 i;
	__u16 f[4];

	if (!w)
		return 0;
	if (pkt->tuple.proto == IPPROTO_SCTP)
		return frag_crc_ok(ctx, pkt, slot);
	sum = w->csum;
	if (pkt->tuple.proto == IPPROTO_ICMP && pkt->tuple.family == 4)
		return ct_csum_fold(sum) == 0xffff;
	if (pkt->tuple.proto != IPPROTO_TCP && pkt->tuple.proto != IPPROTO_UDP &&
	    pkt->tuple.proto != IPPROTO_UDPLITE && !ct_is_icmp(&pkt->tuple))
		return 1;
	if (pkt->tuple.proto == IPPROTO_UDP || pkt->tuple.proto == IPPROTO_UDPLITE) {
		if (ctx_load(ctx, pkt->l4_off, f, sizeof(f)))
			return 0;
		/* None; or one that does not cover all: the receiver's to judge. */
		if (!f[3] || (bpf_ntohs(f[2]) != pkt->l4_len && f[2]))
			return 1;
	}
	for (i = 0; i < 4; i++) {
		sum += pkt->tuple.saddr[i];
		sum += pkt->tuple.daddr[i];
	}
	sum += bpf_htonl(pkt->l4_len);
	sum += bpf_htonl(pkt->tuple.proto);
	return ct_csum_fold(sum) == 0xffff;
}

/* The transport header of the whole, and its checksum. 0 or a drop reason. */
__noinline int frag_transport(struct ct_ctx *ctx, struct ct_pkt *pkt)
{
	const struct ct_settings *set = ct_settings();
	struct frag_work *w = frag_work();
	__u32 here;
	int v;

	if (!pkt || !w || !set)
		return -CT_DROP_MAP_MISSING;
	here = w->len;
	v = ct_parse_l4(ctx, pkt);
	if (v < 0)
		return v;
	if (here < frag_l4_header(pkt))
		return -CT_DROP_FRAG_TINY;
	if (set->checksum && !frag_csum_ok(ctx, pkt, pkt->frag_slot))
		return -CT_DROP_L4_CHECKSUM;
	return 0;
}

#endif
