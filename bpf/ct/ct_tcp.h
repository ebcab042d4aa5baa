/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CT_TCP_H
#define BPFCT_CT_TCP_H

#include "ct_life.h"
#include "ct_tcp_window.h"

#define CT_LAST_CLASS(t) ((t)->last_packet & 7)
#define CT_LAST_DIR(t)	 ((t)->last_packet >> 7)

static __always_inline void ct_tcp_set_last(struct ct_tcp *t, __u32 dir, __u8 class)
{
	t->last_packet = class | dir << 7;
}

/* Can this packet open a connection? 0 or a drop reason. */
static __always_inline int ct_tcp_can_open(const struct ct_pkt *pkt, const struct ct_settings *set)
{
	__u8 next = ct_tcp_next[CT_ORIG][ct_tcp_class(pkt->tcp_flags) & 7][CT_TCP_NONE];

	if (next >= CT_TCP_IGNORE)
		return -CT_DROP_TCP_STATE;
	if (next != CT_TCP_SYN_SENT && !set->tcp_loose)
		return -CT_DROP_TCP_PICKUP;
	return 0;
}

/* First packet: the sender's side of a SYN, or a guess for a mid-stream one. */
static __always_inline int ct_tcp_first(struct ct_ctx *ctx, struct ct_tcp *t,
					const struct ct_pkt *pkt, __u8 class)
{
	t->dir[0].maxwin = pkt->tcp_win ? pkt->tcp_win : 1;
	t->dir[0].end = ct_tcp_end(pkt);
	t->last_packet = CT_TCP_FLAGLESS;
	if (class == CT_TCP_SYN)
		return ct_tcp_init_sender(ctx, t, pkt, CT_ORIG, ct_tcp_end(pkt));
	t->dir[0].maxend = t->dir[0].end + t->dir[0].maxwin;
	t->flags[0] = t->flags[1] = CT_TCP_F_LIBERAL | CT_TCP_F_SACK_PERM;
	return 0;
}

/*
 * A packet that the table says to ignore. Returns 1 when it turns out to bring
 * us back into step: a SYN/ACK for a SYN that we let through although our
 * record said the connection was open.
 */
static __always_inline int ct_tcp_ignored(struct ct_ctx *ctx, struct ct_tcp *t,
					  const struct ct_pkt *pkt, __u32 dir, __u8 state,
					  __u8 class)
{
	if (class == CT_TCP_SYNACK && CT_LAST_CLASS(t) == CT_TCP_SYN && CT_LAST_DIR(t) != dir &&
	    pkt->tcp_ack == t->last_end) {
		struct ct_tcp_dir *s = &t->dir[!dir];

		s->end = s->maxend = t->last_end;
		s->maxwin = t->last_win ? t->last_win : 1;
		ct_tcp_set_scale(t, !dir, t->retrans >> 4);
		t->last_flags &= ~CT_TCP_F_CHALLENGE;
		t->flags[!dir] = t->last_flags;
		__builtin_memset(&t->dir[dir & 1], 0, sizeof(t->dir[0]));
		t->flags[dir & 1] &= CT_TCP_F_LIBERAL;
		ct_tcp_set_scale(t, dir, 0);
		return 1;
	}
	ct_tcp_set_last(t, dir, class);
	t->last_seq = pkt->tcp_seq;
	t->last_end = ct_tcp_end(pkt);
	t->last_win = pkt->tcp_win;
	if (class == CT_TCP_SYN && dir == CT_ORIG) {
		struct ct_tcp_opts opts = {};

		t->last_flags = 0;
		t->retrans &= 0xf;
		if (ct_tcp_options(ctx, pkt, &opts, 0) == 0) {
			t->last_flags = opts.flags;
			t->retrans |= (opts.scale & 0xf) << 4;
		}
		/* In LAST_ACK the peer may answer with a challenge ACK, which must not
		 * be taken for the ACK of the last FIN (RFC 5961). */
		if (state == CT_TCP_LAST_ACK)
			t->last_flags |= CT_TCP_F_CHALLENGE;
	}
	if (state == CT_TCP_SYN_SENT && class == CT_TCP_ACK && dir == CT_REPLY)
		t->last_ack = pkt->tcp_ack;
	return 0;
}

/* RST rules. Returns a drop reason, 0: to the window check, 1: accepted without
 * it. *next may be turned back to the old state: the RST passes, so that the
 * endpoint can send its challenge ACK, but nothing closes (RFC 5961 3). */
static __always_inline int ct_tcp_rst(struct ct_tcp *t, const struct ct_pkt *pkt,
				      const struct ct_settings *set, struct ct_track *tr,
				      __u8 state, __u8 *next)
{
	__u32 dir = tr->dir & 1;
	__u16 status = ct_w_status(tr->word);
	int established = state == CT_TCP_ESTABLISHED && (status & CT_S_ASSURED);
	__u32 maxack = t->dir[!dir].maxack;

	/* Closing already: the tuple may be in use again, what we remember is old. */
	if (state >= CT_TCP_FIN_WAIT && state <= CT_TCP_CLOSE)
		return 1;
	/* maxack is out of date once a SYN was let through. */
	if ((t->flags[!dir] & CT_TCP_F_MAXACK) && CT_LAST_CLASS(t) != CT_TCP_SYN) {
		/* RST of 0 outside ESTABLISHED: most likely the answer to a SYN we ignored. */
		if (!pkt->tcp_seq && !established)
			return 0;
		if (ct_seq_before(pkt->tcp_seq, maxack) && !set->tcp_ignore_invalid_rst)
			return -CT_DROP_TCP_RST;
		if (!established || pkt->tcp_seq == maxack)
			return 0;
		/* The tail of a train: data up to here, then the RST. */
		if (CT_LAST_CLASS(t) == CT_TCP_ACK && CT_LAST_DIR(t) == dir &&
		    pkt->tcp_seq == t->last_end)
			return 0;
		*next = state;
	}
	/* It answers a packet that we let through unchecked. */
	if ((((status & CT_S_SEEN_REPLY) && CT_LAST_CLASS(t) == CT_TCP_SYN &&
	      CT_LAST_DIR(t) != dir) ||
	     (!(status & CT_S_ASSURED) && CT_LAST_CLASS(t) == CT_TCP_ACK)) &&
	    pkt->tcp_ack == t->last_end)
		return 1;
	if (state == CT_TCP_SYN_SENT && CT_LAST_CLASS(t) == CT_TCP_ACK &&
	    CT_LAST_DIR(t) == CT_REPLY && pkt->tcp_seq == t->last_ack)
		return 1;
	return 0;
}

/* Out-of-window FIN or RST seen from both sides: endpoints and record have
 * parted; do not keep an ESTABLISHED record for five days. */
static __always_inline void ct_tcp_distrust(struct ct_conn *conn, struct ct_track *tr,
					    const struct ct_settings *set, __u8 class)
{
	struct ct_tcp *t = &conn->tcp;
	__u16 status = ct_w_status(tr->word);
	__u32 limit, left;

	if (!(status & CT_S_ASSURED) || (status & CT_S_FIXED_TIMEOUT))
		return;
	if (class != CT_TCP_RST && class != CT_TCP_FIN)
		return;
	if (CT_LAST_DIR(t) == tr->dir ||
	    (CT_LAST_CLASS(t) != CT_TCP_FIN && CT_LAST_CLASS(t) != CT_TCP_RST)) {
		ct_tcp_set_last(t, tr->dir, class);
		return;
	}
	left = conn->expires - tr->now;
	if (left < ct_ticks(set, 120))
		return;
	limit = ct_ticks(set,
			 ct_timeout_secs(ct_w_policy(tr->word), CT_TIMEOUT_tcp_unacknowledged));
	if (left > limit)
		ct_set_timer(conn, tr->word, tr->now + limit);
}

static __always_inline __u32 ct_tcp_timeout(const struct ct_tcp *t, const struct ct_settings *set,
					    __u32 policy, __u8 state, __u8 class)
{
	__u32 secs = ct_timeout_secs(policy, CT_TIMEOUT_tcp_none + state);
	__u32 retrans = ct_timeout_secs(policy, CT_TIMEOUT_tcp_max_retrans);
	__u32 unacked = ct_timeout_secs(policy, CT_TIMEOUT_tcp_unacknowledged);

	if ((t->retrans & 0xf) >= set->tcp_max_retrans && secs > retrans)
		return retrans;
	if (class == CT_TCP_RST)
		return ct_timeout_secs(policy, CT_TIMEOUT_tcp_close);
	if (((t->flags[0] | t->flags[1]) & CT_TCP_F_UNACKED) && secs > unacked)
		return unacked;
	if (!t->last_win && secs > retrans)
		return retrans;
	return secs;
}

/*
 * Runs one TCP packet against a record (or, with tr->fresh, against the zeroed
 * record of a connection that it opens). See ct_track.h for what comes out.
 */
__noinline int ct_tcp_track(struct ct_ctx *ctx, struct ct_conn *conn, const struct ct_pkt *pkt,
			    struct ct_track *tr)
{
	const struct ct_settings *set = ct_settings();
	__u8 class, state, next;
	__u16 status;
	struct ct_tcp *t;
	__u32 dir;
	int v;

	if (!conn || !pkt || !tr || !set)
		return -CT_DROP_MAP_MISSING;
	t = &conn->tcp;
	dir = tr->dir & 1;
	class = tr->class;
	state = tr->state & 0xf;
	if (tr->fresh && ct_tcp_first(ctx, t, pkt, class))
		return -CT_DROP_PKT_ACCESS;
	next = ct_tcp_next[dir][class & 7][state];

	if (next == CT_TCP_SYN_SENT && state >= CT_TCP_TIME_WAIT) {
		if (((t->flags[0] | t->flags[1]) & CT_TCP_F_CLOSE_INIT) ||
		    (CT_LAST_DIR(t) == dir && CT_LAST_CLASS(t) == CT_TCP_RST))
			return CT_TRACK_REOPEN;
		next = CT_TCP_IGNORE;
	}
	if (next == CT_TCP_INVALID)
		return -CT_DROP_TCP_STATE;
	if (next == CT_TCP_IGNORE) {
		if (!ct_tcp_ignored(ctx, t, pkt, dir, state, class))
			return CT_TRACK_IGNORE;
		state = tr->state = CT_TCP_SYN_SENT;
		next = CT_TCP_SYN_RECV;
	}
	if (next == CT_TCP_TIME_WAIT && state == CT_TCP_LAST_ACK && class == CT_TCP_ACK &&
	    CT_LAST_DIR(t) != dir && CT_LAST_CLASS(t) == CT_TCP_SYN &&
	    (t->last_flags & CT_TCP_F_CHALLENGE)) {
		t->last_flags &= ~CT_TCP_F_CHALLENGE;
		return CT_TRACK_IGNORE;
	}
	if (next == CT_TCP_SYN_SENT2)
		t->last_flags |= CT_TCP_F_SIMULTANEOUS;
	if (next == CT_TCP_SYN_RECV && dir == CT_REPLY && class == CT_TCP_ACK &&
	    (t->last_flags & CT_TCP_F_SIMULTANEOUS))
		next = CT_TCP_ESTABLISHED;
	v = 0;
	if (next == CT_TCP_CLOSE && class == CT_TCP_RST) {
		v = ct_tcp_rst(t, pkt, set, tr, state, &next);
		if (v < 0)
			return v;
	}
	if (!v) {
		v = ct_tcp_window(ctx, t, pkt, tr);
		if (v == CT_WIN_IGNORE)
			return CT_TRACK_IGNORE;
		if (v != CT_WIN_OK) {
			ct_tcp_distrust(conn, tr, set, class);
			return v == CT_WIN_ACK ? -CT_DROP_TCP_ACK : -CT_DROP_TCP_SEQ;
		}
	}
	ct_tcp_set_last(t, dir, class);
	if (next == CT_TCP_FIN_WAIT && state != next)
		t->flags[dir] |= CT_TCP_F_CLOSE_INIT;
	tr->timeout = ct_tcp_timeout(t, set, ct_w_policy(tr->word), next, class);
	tr->state = next;
	status = ct_w_status(tr->word);
	if (!(status & CT_S_SEEN_REPLY)) {
		__u32 unacked =
			ct_timeout_secs(ct_w_policy(tr->word), CT_TIMEOUT_tcp_unacknowledged);

		/* A RST as the only answer: there is no connection. */
		if (class == CT_TCP_RST) {
			tr->ends = 1;
			return CT_TRACK_KILL;
		}
		/* A repeated SYN must not keep a record (and its port) alive for ever. */
		if (class == CT_TCP_SYN && state == CT_TCP_SYN_SENT)
			return CT_TRACK_QUIET;
		if (next == CT_TCP_ESTABLISHED && tr->timeout > unacked)
			tr->timeout = unacked;
	} else if (!(status & CT_S_ASSURED) && next == CT_TCP_ESTABLISHED &&
		   (state == CT_TCP_SYN_RECV || state == CT_TCP_ESTABLISHED)) {
		tr->assured = 1;
	}
	return CT_TRACK_ACCEPT;
}

#endif
