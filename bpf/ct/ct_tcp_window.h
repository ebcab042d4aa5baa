/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CT_TCP_WINDOW_H
#define BPFCT_CT_TCP_WINDOW_H

#include <bpf/bpf_endian.h>

#include "ct_tcp_table.h"
#include "../lib/ct_clock.h"
#include "ct_track.h"

/*
 * Window tracking after van Rooij, "Real Stateful TCP Packet Filtering in IP
 * Filter", as netfilter has it. For each direction: end, the highest sequence
 * sent; maxend, the highest the peer allowed; maxwin, the peer-visible window.
 */
#define CT_TCP_MAX_WSCALE 14	/* RFC 7323 2.3 */
#define CT_TCP_MIN_ACKWIN 66000 /* how far back an ACK may be at the least */

static __always_inline int ct_seq_before(__u32 a, __u32 b)
{
	return (__s32)(a - b) < 0;
}

static __always_inline int ct_seq_after(__u32 a, __u32 b)
{
	return (__s32)(b - a) < 0;
}

struct ct_tcp_opts {
	__u32 sack; /* highest right edge of a SACK block, if has_sack */
	__u8 scale; /* RFC 7323 */
	__u8 flags; /* CT_TCP_F_WSCALE, CT_TCP_F_SACK_PERM */
	__u8 has_sack;
	__u8 pad;
};

/* The walk over the options, one a step of bpf_loop: the verifier looks at the
 * body once instead of forty times. */
struct ct_tcp_walk {
	__u8 buf[64]; /* 40 and room for what the verifier thinks */
	__u32 len;
	__u32 at;
	struct ct_tcp_opts out;
};

/* Per CPU and not on the stack, which the way down to here has used up. */
CT_SCRATCH_FITS(struct ct_tcp_walk);

static long ct_tcp_option(__u32 i, void *unused)
{
	__u32 at, kind, size, j;
	struct ct_tcp_walk *w;

	w = ct_scratch(CT_SCRATCH_TCP);
	if (!w)
		return 1;
	at = w->at;
	if (at >= w->len || at > 39)
		return 1;
	kind = w->buf[at];
	if (kind == 0)
		return 1;
	if (kind == 1) {
		w->at = at + 1;
		return 0;
	}
	size = w->buf[at + 1];
	if (size < 2 || at + size > w->len)
		return 1;
	if (kind == 3 && size == 3) {
		__u8 scale = w->buf[at + 2];

		w->out.scale = scale > CT_TCP_MAX_WSCALE ? CT_TCP_MAX_WSCALE : scale;
		w->out.flags |= CT_TCP_F_WSCALE;
	} else if (kind == 4 && size == 2) {
		w->out.flags |= CT_TCP_F_SACK_PERM;
	} else if (kind == 5) {
		for (j = 0; j < 4; j++) {
			__u32 edge = at + 6 + j * 8, v;

			if (j * 8 + 10 > size || edge > 36)
				break;
			v = ((__u32)w->buf[edge] << 24) | ((__u32)w->buf[edge + 1] << 16) |
			    ((__u32)w->buf[edge + 2] << 8) | w->buf[edge + 3];
			if (ct_seq_after(v, w->out.sack)) {
				w->out.sack = v;
				w->out.has_sack = 1;
			}
		}
	}
	w->at = at + size;
	return 0;
}

/* Reads the TCP options of the packet, 0 to 40 bytes. Malformed ones end the
 * walk, as in every stack. SACK edges are compared with `against`. */
__noinline int ct_tcp_options(struct ct_ctx *ctx, const struct ct_pkt *pkt, struct ct_tcp_opts *out,
			      __u32 against)
{
	struct ct_tcp_walk *w;
	__u64 len;

	w = ct_scratch(CT_SCRATCH_TCP);
	if (!pkt || !out || !w)
		return -1;
	__builtin_memset(&w->out, 0, sizeof(w->out));
	w->out.sack = against;
	w->at = 0;
	len = pkt->tcp_optlen;
	if (len && len <= 40) {
		if (ctx_load(ctx, pkt->l4_off + 20, w->buf, ctx_bound64(len)))
			return -1;
		w->len = len;
		bpf_loop(40, ct_tcp_option, NULL, 0);
	}
	*out = w->out;
	return 0;
}

static __always_inline __u32 ct_tcp_end(const struct ct_pkt *pkt)
{
	return pkt->tcp_seq + pkt->payload_len + !!(pkt->tcp_flags & CT_TH_SYN) +
	       !!(pkt->tcp_flags & CT_TH_FIN);
}

static __always_inline __u32 ct_tcp_scale(const struct ct_tcp *t, __u32 dir)
{
	return dir ? t->scale >> 4 : t->scale & 0xf;
}

static __always_inline void ct_tcp_set_scale(struct ct_tcp *t, __u32 dir, __u32 scale)
{
	t->scale = dir ? (t->scale & 0x0f) | (scale << 4) : (t->scale & 0xf0) | (scale & 0xf);
}

/* Verdicts of the window check. */
#define CT_WIN_OK     0
#define CT_WIN_IGNORE 1
#define CT_WIN_SEQ    2
#define CT_WIN_ACK    3
#define CT_WIN_GO_ON  -1 /* not decided yet; never returned by ct_tcp_window */

/* A SYN (or SYN/ACK) starts the sender's side over. */
static __always_inline int ct_tcp_init_sender(struct ct_ctx *ctx, struct ct_tcp *t,
					      const struct ct_pkt *pkt, __u32 dir, __u32 end)
{
	struct ct_tcp_dir *s = &t->dir[dir & 1];
	struct ct_tcp_opts opts = {};

	s->end = s->maxend = end;
	s->maxwin = pkt->tcp_win ? pkt->tcp_win : 1;
	if (ct_tcp_options(ctx, pkt, &opts, 0) < 0)
		return -1;
	/* No options at all leave standing what an earlier SYN offered, as in netfilter. */
	if (pkt->tcp_optlen) {
		t->flags[dir & 1] = (t->flags[dir & 1] & CT_TCP_F_LIBERAL) | opts.flags;
		ct_tcp_set_scale(t, dir, opts.scale);
	}
	/* RFC 7323 2.2: scaling holds only if both SYNs offered it. */
	if (dir == CT_REPLY && !(t->flags[0] & t->flags[1] & CT_TCP_F_WSCALE))
		t->scale = 0;
	return 0;
}

/* What a segment says, as the checks below read it: numbers in host byte order. */
struct ct_tcp_seg {
	__u32 seq, end;
	__u32 ack;
	__u32 sack; /* the acknowledgement, or the highest SACK edge beyond it */
	__u32 win;
	__u32 has_ack, syn;
	__u32 dir;
};

static __always_inline void ct_tcp_seg(struct ct_ctx *ctx, const struct ct_tcp *t,
				       const struct ct_pkt *pkt, __u32 dir, struct ct_tcp_seg *g)
{
	g->dir = dir;
	g->seq = pkt->tcp_seq;
	g->end = ct_tcp_end(pkt);
	g->ack = g->sack = pkt->tcp_ack;
	g->win = pkt->tcp_win;
	g->has_ack = pkt->tcp_flags & CT_TH_ACK;
	g->syn = pkt->tcp_flags & CT_TH_SYN;
	if ((t->flags[!dir] & CT_TCP_F_SACK_PERM) && g->has_ack && pkt->tcp_optlen >= 10) {
		struct ct_tcp_opts opts = {};

		if (ct_tcp_options(ctx, pkt, &opts, g->sack) == 0 && opts.has_sack)
			g->sack = opts.sack;
	}
}

/* The first segment of a direction, or one that opens the connection again.
 * CT_WIN_GO_ON, or what the packet is without a check: CT_WIN_OK, CT_WIN_SEQ. */
static __always_inline int ct_tcp_opens(struct ct_ctx *ctx, struct ct_tcp *t,
					const struct ct_pkt *pkt, const struct ct_tcp_seg *g,
					__u8 state)
{
	struct ct_tcp_dir *s = &t->dir[g->dir], *r = &t->dir[!g->dir];
	__u32 swin;

	if (!s->maxwin && g->syn) {
		if (ct_tcp_init_sender(ctx, t, pkt, g->dir, g->end))
			return CT_WIN_SEQ;
		if (!g->has_ack)
			return CT_WIN_OK; /* simultaneous open: nothing to compare with */
	} else if (!s->maxwin) {
		/* Picked up in the middle: believe the first packet. */
		swin = g->win << ct_tcp_scale(t, g->dir);
		s->end = g->end;
		s->maxwin = swin ? swin : 1;
		s->maxend = g->end + s->maxwin;
		if (!r->maxwin)
			r->end = r->maxend = g->sack;
		else if (g->sack == r->end + 1)
			r->end++; /* answer to a keep-alive probe */
	} else if (g->syn && ct_seq_after(g->end, s->end) &&
		   (state == CT_TCP_SYN_SENT || state == CT_TCP_SYN_RECV)) {
		/* Reopened with a higher sequence number (RFC 793 3.4). */
		if (ct_tcp_init_sender(ctx, t, pkt, g->dir, g->end))
			return CT_WIN_SEQ;
		if (g->dir == CT_REPLY && !g->has_ack)
			return CT_WIN_OK;
	}
	return CT_WIN_GO_ON;
}

/* The four bounds of the paper, without regard to being liberal. */
static __always_inline int ct_tcp_in_window(struct ct_tcp *t, const struct ct_tcp_seg *g)
{
	struct ct_tcp_dir *s = &t->dir[g->dir], *r = &t->dir[!g->dir];
	__u32 ackwin = s->maxwin > CT_TCP_MIN_ACKWIN ? s->maxwin : CT_TCP_MIN_ACKWIN;

	/* I: beyond what the receiver allowed. A small overshoot passes but is not
	 * believed, except that its acknowledgement must not look wrong later. */
	if (!ct_seq_before(g->seq, s->maxend + 1)) {
		if (r->maxwin && ct_seq_after(g->end, s->end - r->maxwin - 1) &&
		    ct_seq_after(g->sack, r->end - ackwin - 1) &&
		    g->end - s->maxend + 1 <= r->maxwin && ct_seq_before(g->sack, r->end + 1)) {
			s->end = g->end;
			t->flags[g->dir] |= CT_TCP_F_UNACKED;
			return CT_WIN_IGNORE;
		}
		return CT_WIN_SEQ;
	}
	/* III: acknowledges what was never sent. */
	if (!ct_seq_before(g->sack, r->end + 1))
		return CT_WIN_ACK;
	/* II: all of it acknowledged long ago. */
	if (r->maxwin && !ct_seq_after(g->end, s->end - r->maxwin - 1))
		return CT_WIN_IGNORE;
	/* IV: an acknowledgement from long ago. */
	if (!ct_seq_after(g->sack, r->end - ackwin - 1))
		return CT_WIN_IGNORE;
	return CT_WIN_OK;
}

/* What a segment within the windows moves. */
static __always_inline void ct_tcp_advance(struct ct_tcp *t, const struct ct_tcp_seg *g)
{
	struct ct_tcp_dir *s = &t->dir[g->dir], *r = &t->dir[!g->dir];
	__u32 win = g->win, swin;

	if (!g->syn)
		win <<= ct_tcp_scale(t, g->dir);
	swin = win + (g->sack - g->ack);
	if (s->maxwin < swin)
		s->maxwin = swin;
	if (ct_seq_after(g->end, s->end)) {
		s->end = g->end;
		t->flags[g->dir] |= CT_TCP_F_UNACKED;
	}
	if (g->has_ack &&
	    (!(t->flags[g->dir] & CT_TCP_F_MAXACK) || ct_seq_after(g->ack, s->maxack))) {
		s->maxack = g->ack;
		t->flags[g->dir] |= CT_TCP_F_MAXACK;
	}
	if (r->maxwin && ct_seq_after(g->end, s->maxend))
		r->maxwin += g->end - s->maxend;
	if (ct_seq_after(g->sack + win, r->maxend - 1))
		r->maxend = g->sack + win + !win;
	if (g->ack == r->end)
		t->flags[!g->dir] &= ~CT_TCP_F_UNACKED;
}

/* How often the same segment came in a row (the retransmission time-out). */
static __always_inline void ct_tcp_count_retrans(struct ct_tcp *t, const struct ct_pkt *pkt,
						 const struct ct_tcp_seg *g)
{
	__u8 retrans = t->retrans & 0xf;

	if ((t->last_packet >> 7) == g->dir && t->last_seq == g->seq && t->last_ack == g->ack &&
	    t->last_end == g->end && t->last_win == pkt->tcp_win) {
		if (retrans < 15)
			retrans++;
	} else {
		t->last_packet = (t->last_packet & 0x7f) | g->dir << 7;
		t->last_seq = g->seq;
		t->last_ack = g->ack;
		t->last_end = g->end;
		t->last_win = pkt->tcp_win;
		retrans = 0;
	}
	t->retrans = (t->retrans & 0xf0) | retrans;
}

/*
 * Checks a packet against the windows and updates them. tr->state is the state
 * before the packet. Returns CT_WIN_*; what a liberal connection forgives is
 * CT_WIN_OK without an update. A global function: the verifier would go through it
 * once for each way on which the state machine can come to it.
 */
__noinline int ct_tcp_window(struct ct_ctx *ctx, struct ct_tcp *t, const struct ct_pkt *pkt,
			     const struct ct_track *tr)
{
	const struct ct_settings *set = ct_settings();
	struct ct_tcp_seg g;
	int v;

	if (!t || !pkt || !tr || !set)
		return CT_WIN_SEQ;
	ct_tcp_seg(ctx, t, pkt, tr->dir & 1, &g);
	v = ct_tcp_opens(ctx, t, pkt, &g, tr->state);
	if (v != CT_WIN_GO_ON)
		return v;
	/* Without ACK, or with the zero that broken stacks put into a RST: nothing to check. */
	if (!g.has_ack || (tr->class == CT_TCP_RST && !g.ack))
		g.ack = g.sack = t->dir[!g.dir].end;
	if (tr->class == CT_TCP_RST && !g.seq && tr->state == CT_TCP_SYN_SENT)
		g.seq = g.end = t->dir[g.dir].end;
	v = ct_tcp_in_window(t, &g);
	if (v != CT_WIN_OK)
		return (t->flags[g.dir] & CT_TCP_F_LIBERAL) || set->tcp_be_liberal ? CT_WIN_OK : v;
	ct_tcp_advance(t, &g);
	if (tr->class == CT_TCP_ACK)
		ct_tcp_count_retrans(t, pkt, &g);
	return CT_WIN_OK;
}

#endif
