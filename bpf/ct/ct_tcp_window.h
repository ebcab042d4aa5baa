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
	__u32 seq, ack, sack, end, win, swin, ackwin, has_ack, syn, dir;
	struct ct_tcp_dir *s, *r;
	int liberal, in_window;
	__u8 state, class;

	if (!t || !pkt || !tr || !set)
		return CT_WIN_SEQ;
	dir = tr->dir & 1;
	state = tr->state;
	class = tr->class;
	seq = pkt->tcp_seq;
	ack = sack = pkt->tcp_ack;
	end = ct_tcp_end(pkt);
	win = pkt->tcp_win;
	has_ack = pkt->tcp_flags & CT_TH_ACK;
	syn = pkt->tcp_flags & CT_TH_SYN;
	s = &t->dir[dir];
	r = &t->dir[!dir];
	if ((t->flags[!dir] & CT_TCP_F_SACK_PERM) && has_ack && pkt->tcp_optlen >= 10) {
		struct ct_tcp_opts opts = {};

		if (ct_tcp_options(ctx, pkt, &opts, sack) == 0 && opts.has_sack)
			sack = opts.sack;
	}
	if (!s->maxwin) {
		if (syn) {
			if (ct_tcp_init_sender(ctx, t, pkt, dir, end))
				return CT_WIN_SEQ;
			if (!has_ack)
				return CT_WIN_OK; /* simultaneous open: nothing to compare with */
		} else {
			/* Picked up in the middle: believe the first packet. */
			swin = win << ct_tcp_scale(t, dir);
			s->end = end;
			s->maxwin = swin ? swin : 1;
			s->maxend = end + s->maxwin;
			if (!r->maxwin)
				r->end = r->maxend = sack;
			else if (sack == r->end + 1)
				r->end++; /* answer to a keep-alive probe */
		}
	} else if (syn && ct_seq_after(end, s->end) &&
		   (state == CT_TCP_SYN_SENT || state == CT_TCP_SYN_RECV)) {
		/* Reopened with a higher sequence number (RFC 793 3.4). */
		if (ct_tcp_init_sender(ctx, t, pkt, dir, end))
			return CT_WIN_SEQ;
		if (dir == CT_REPLY && !has_ack)
			return CT_WIN_OK;
	}
	/* Without ACK, or with the zero that broken stacks put into a RST: nothing to check. */
	if (!has_ack || (class == CT_TCP_RST && !ack))
		ack = sack = r->end;
	if (class == CT_TCP_RST && !seq && state == CT_TCP_SYN_SENT)
		seq = end = s->end;

	liberal = (t->flags[dir] & CT_TCP_F_LIBERAL) || set->tcp_be_liberal;
	ackwin = s->maxwin > CT_TCP_MIN_ACKWIN ? s->maxwin : CT_TCP_MIN_ACKWIN;
	/* I: beyond what the receiver allowed. A small overshoot passes but is not
	 * believed, except that its acknowledgement must not look wrong later. */
	if (!ct_seq_before(seq, s->maxend + 1)) {
		__u32 over = end - s->maxend + 1;

		in_window = r->maxwin && ct_seq_after(end, s->end - r->maxwin - 1);
		if (in_window && ct_seq_after(sack, r->end - ackwin - 1) && over <= r->maxwin &&
		    ct_seq_before(sack, r->end + 1)) {
			s->end = end;
			t->flags[dir] |= CT_TCP_F_UNACKED;
			return liberal ? CT_WIN_OK : CT_WIN_IGNORE;
		}
		return liberal ? CT_WIN_OK : CT_WIN_SEQ;
	}
	/* III: acknowledges what was never sent. */
	if (!ct_seq_before(sack, r->end + 1))
		return liberal ? CT_WIN_OK : CT_WIN_ACK;
	/* II: all of it acknowledged long ago. */
	if (r->maxwin && !ct_seq_after(end, s->end - r->maxwin - 1))
		return liberal ? CT_WIN_OK : CT_WIN_IGNORE;
	/* IV: an acknowledgement from long ago. */
	if (!ct_seq_after(sack, r->end - ackwin - 1))
		return liberal ? CT_WIN_OK : CT_WIN_IGNORE;

	if (!syn)
		win <<= ct_tcp_scale(t, dir);
	swin = win + (sack - ack);
	if (s->maxwin < swin)
		s->maxwin = swin;
	if (ct_seq_after(end, s->end)) {
		s->end = end;
		t->flags[dir] |= CT_TCP_F_UNACKED;
	}
	if (has_ack && (!(t->flags[dir] & CT_TCP_F_MAXACK) || ct_seq_after(ack, s->maxack))) {
		s->maxack = ack;
		t->flags[dir] |= CT_TCP_F_MAXACK;
	}
	if (r->maxwin && ct_seq_after(end, s->maxend))
		r->maxwin += end - s->maxend;
	if (ct_seq_after(sack + win, r->maxend - 1)) {
		r->maxend = sack + win + !win;
	}
	if (ack == r->end)
		t->flags[!dir] &= ~CT_TCP_F_UNACKED;

	if (class == CT_TCP_ACK) {
		__u8 retrans = t->retrans & 0xf;

		if ((t->last_packet >> 7) == dir && t->last_seq == seq && t->last_ack == ack &&
		    t->last_end == end && t->last_win == pkt->tcp_win) {
			if (retrans < 15)
				retrans++;
		} else {
			t->last_packet = (t->last_packet & 0x7f) | dir << 7;
			t->last_seq = seq;
			t->last_ack = ack;
			t->last_end = end;
			t->last_win = pkt->tcp_win;
			retrans = 0;
		}
		t->retrans = (t->retrans & 0xf0) | retrans;
	}
	return CT_WIN_OK;
}

#endif
