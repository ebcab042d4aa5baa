/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CT_SCTP_H
#define BPFCT_CT_SCTP_H

#include <bpf/bpf_endian.h>

#include "../lib/ct_parse.h"
#include "ct_sctp_table.h"
#include "../lib/ct_clock.h"
#include "ct_track.h"

/* Chunks looked at; a packet of 1500 bytes holds more only if it is DATA. */
#define CT_SCTP_CHUNKS	      24
#define CT_SCTP_F_VTAG_FAILED 1 /* a HEARTBEAT with another tag: the peer may have restarted */
#define CT_SCTP_T_BIT	      1 /* tag is the peer's (RFC 9260 8.5.1) */

struct ct_sctp_chunk {
	__u8 type;
	__u8 flags;
	__be16 len;
};

/* State of the two walks over the chunks; each chunk is a step of bpf_loop, so
 * that the verifier looks at the body once. */
struct ct_sctp_walk {
	struct ct_ctx *ctx;
	__u32 off;
	__u32 end;
	__u32 types; /* chunk types seen, bits 0-31 */
	__u32 dir;
	__be32 vtag;
	int error;
	/* Working copy of the record's, by who sends this packet: the verifier takes
	 * no index into a structure on the stack. */
	__be32 own, peer;
	__be32 own_next[2], peer_next[2];
	__u8 own_init, peer_init;
	__u8 last_dir, flags;
	__u8 alone;
	__u8 fresh;
	__u8 state;
	__u8 was;
	__u8 skipped;
	__u8 init_again;
	__u8 up; /* became ESTABLISHED */
};

static __always_inline int ct_sctp_next_chunk(struct ct_sctp_walk *w, struct ct_sctp_chunk *ch)
{
	return w->off + sizeof(*ch) > w->end || ctx_load(w->ctx, w->off, ch, sizeof(*ch));
}

static __always_inline void ct_sctp_step(struct ct_sctp_walk *w, const struct ct_sctp_chunk *ch)
{
	w->off += (bpf_ntohs(ch->len) + 3) & ~3u;
}

/* COOKIE chunks come first, INIT, INIT ACK and SHUTDOWN COMPLETE come alone,
 * none has length 0 (RFC 9260 6.10). */
static long ct_sctp_scan(__u32 i, struct ct_sctp_walk *w)
{
	struct ct_sctp_chunk ch;

	if (ct_sctp_next_chunk(w, &ch))
		return 1;
	w->error = 0;
	if (ch.type == 1 || ch.type == 2 || ch.type == 14)
		w->alone = 1;
	if (!ch.len)
		w->error = -CT_DROP_SCTP_CHUNK_LEN;
	else if (i && (w->alone || ch.type == 10 || ch.type == 11))
		w->error = -CT_DROP_SCTP_CHUNK;
	if (w->error)
		return 1;
	if (ch.type < 32)
		w->types |= 1u << ch.type;
	ct_sctp_step(w, &ch);
	return 0;
}

#define CT_SCTP_HAS(types, n) ((types) >> (n)&1)

/* The tag is one that a handshake has named and no COOKIE chunk has borne so far. */
static __always_inline int ct_sctp_is_next(const struct ct_sctp_walk *w)
{
	return w->vtag && (w->vtag == w->own_next[0] || w->vtag == w->own_next[1]);
}

/* A COOKIE chunk: an end has chosen this tag. */
static __always_inline int ct_sctp_chosen(struct ct_sctp_walk *w)
{
	if (w->vtag == w->own)
		return 0;
	if (!ct_sctp_is_next(w))
		return -CT_DROP_SCTP_VTAG;
	w->own = w->vtag;
	w->own_next[0] = w->own_next[1] = 0;
	return 0;
}

/* Verification tag rules of RFC 9260 8.5.1 for one chunk. Returns 0, 1 to skip
 * the chunk (and with it the refresh), or a drop reason. */
static __always_inline int ct_sctp_vtag(struct ct_sctp_walk *w, const struct ct_sctp_chunk *ch)
{
	switch (ch->type) {
	case 1:
		return w->vtag ? -CT_DROP_SCTP_VTAG : 0;
	case 2:
		return w->vtag == w->own || ct_sctp_is_next(w) ? 0 : -CT_DROP_SCTP_VTAG;
	case 6:
		/* what was asked for is refused; what was there before goes on */
		if (w->vtag != w->own && ct_sctp_is_next(w) && !(ch->flags & CT_SCTP_T_BIT))
			return 1;
		/* fallthrough */
	case 14:
		return w->vtag == (ch->flags & CT_SCTP_T_BIT ? w->peer : w->own)
			       ? 0
			       : -CT_DROP_SCTP_VTAG;
	case 10:
		return ct_sctp_chosen(w);
	case 11:
		if (ct_sctp_chosen(w))
			return -CT_DROP_SCTP_VTAG;
		w->own_init = w->peer_init = 0;
		return 0;
	case 4:
	case 5:
		if (!w->own) {
			w->own = w->vtag;
			return 0;
		}
		if (w->vtag == w->own) {
			w->flags &= ~CT_SCTP_F_VTAG_FAILED;
			return 0;
		}
		if (CT_SCTP_HAS(w->types, 0) || w->skipped)
			return -CT_DROP_SCTP_VTAG;
		if (ch->type == 4) {
			w->flags |= CT_SCTP_F_VTAG_FAILED;
			w->last_dir = w->dir;
			return 1;
		}
		if (!(w->flags & CT_SCTP_F_VTAG_FAILED) || w->last_dir == w->dir)
			return -CT_DROP_SCTP_VTAG;
		w->flags &= ~CT_SCTP_F_VTAG_FAILED;
		w->own = w->vtag;
		w->peer = 0;
		return 0;
	}
	return 0;
}

static __always_inline int ct_sctp_in_use(__u8 state)
{
	return state >= CT_SCTP_COOKIE_ECHOED && state <= CT_SCTP_SHUTDOWN_ACK_SENT;
}

/*
 * Notes the tag that the peer will have to use. Where one is in use, or was named by an INIT ACK
 * already, this one stands beside it: anybody can send an INIT, and a server that was late answers
 * each INIT that waited with a tag of its own, of which the client takes the first that it gets
 * (RFC 9260 5.2.3).
 */
static __always_inline int ct_sctp_note_init(struct ct_sctp_walk *w, __u8 type)
{
	__be32 tag, known = w->peer;

	if (ctx_load(w->ctx, w->off + sizeof(struct ct_sctp_chunk), &tag, sizeof(tag)))
		return -CT_DROP_L4_TRUNCATED;
	if (type == 1) {
		if (w->own_init)
			w->peer_init = 0;
		w->own_init = 1;
	} else if ((!w->peer_init ? known != 0 : w->own_init) && known != tag) {
		/* the second: both sent an INIT (RFC 9260 5.2) */
		return -CT_DROP_SCTP_VTAG;
	}
	if (known && (type == 2 || ct_sctp_in_use(w->state))) {
		if (tag != known && tag != w->peer_next[0]) {
			w->peer_next[1] = w->peer_next[0];
			w->peer_next[0] = tag;
		}
		return 0;
	}
	w->peer = tag;
	w->peer_next[0] = w->peer_next[1] = 0;
	return 0;
}

static long ct_sctp_chunk(__u32 i, struct ct_sctp_walk *w)
{
	struct ct_sctp_chunk ch;
	__u8 class;
	int v;

	if (ct_sctp_next_chunk(w, &ch))
		return 1;
	v = ct_sctp_vtag(w, &ch);
	if (v < 0)
		goto bad;
	if (v) {
		w->skipped = 1;
		ct_sctp_step(w, &ch);
		return 0;
	}
	class = ct_sctp_class(ch.type);
	w->was = w->state;
	if (class != CT_SCTP_OTHER)
		w->state = ct_sctp_next[w->dir & 1][class & 15][w->state & 15];
	v = -CT_DROP_SCTP_STATE;
	if (w->state == CT_SCTP_INVALID || (w->fresh && class == CT_SCTP_OTHER))
		goto bad;
	if (ch.type == 1 || ch.type == 2) {
		v = ct_sctp_note_init(w, ch.type);
		if (v < 0)
			goto bad;
		/* A repeated INIT must not keep record and port alive for ever. */
		if (ch.type == 1 && w->was == CT_SCTP_CLOSED && w->state == w->was && !w->fresh)
			w->init_again = 1;
	}
	if (w->state == CT_SCTP_ESTABLISHED && w->was != w->state)
		w->up = 1;
	ct_sctp_step(w, &ch);
	return 0;
bad:
	w->error = v;
	return 1;
}

/* Tags of a connection that this packet opens. */
static __always_inline int ct_sctp_first(struct ct_sctp_walk *w)
{
	/* Out of the blue, these open nothing (RFC 9260 8.4). */
	if (w->types & (1u << 6 | 1u << 14 | 1u << 11))
		return -CT_DROP_SCTP_CHUNK;
	if (CT_SCTP_HAS(w->types, 1))
		return w->vtag ? -CT_DROP_SCTP_VTAG : 0;
	if (w->types & (1u << 4 | 1u << 5))
		w->own = w->vtag;
	else
		w->peer = w->vtag;
	return 0;
}

/* As ct_tcp_track(). */
__noinline int ct_sctp_track(struct ct_ctx *ctx, struct ct_conn *conn, const struct ct_pkt *pkt,
			     struct ct_track *tr)
{
	struct ct_sctp_walk w = {};
	struct ct_sctp_hdr sh;
	__u32 dir;
	int v;

	if (!conn || !pkt || !tr)
		return -CT_DROP_MAP_MISSING;
	dir = tr->dir & 1;
	if (ctx_load(ctx, pkt->l4_off, &sh, sizeof(sh)))
		return -CT_DROP_L4_TRUNCATED;
	w.ctx = ctx;
	w.off = pkt->l4_off + sizeof(sh);
	w.end = pkt->l4_off + pkt->l4_len;
	w.dir = dir;
	w.vtag = sh.vtag;
	w.fresh = tr->fresh;
	w.state = w.was = tr->state & 0xf;
	w.error = -CT_DROP_SCTP_CHUNK;
	w.own = conn->sctp.vtag[dir];
	w.peer = conn->sctp.vtag[!dir];
	w.own_next[0] = conn->sctp.next[dir][0];
	w.own_next[1] = conn->sctp.next[dir][1];
	w.peer_next[0] = conn->sctp.next[!dir][0];
	w.peer_next[1] = conn->sctp.next[!dir][1];
	w.own_init = conn->sctp.init[dir];
	w.peer_init = conn->sctp.init[!dir];
	w.last_dir = conn->sctp.last_dir;
	w.flags = conn->sctp.flags;
	bpf_loop(CT_SCTP_CHUNKS, ct_sctp_scan, &w, 0);
	if (w.error)
		return w.error;
	if (tr->fresh) {
		v = ct_sctp_first(&w);
		if (v < 0)
			return v;
	}
	if (!(w.types & (1u << 1 | 1u << 2 | 1u << 14 | 1u << 10 | 1u << 11 | 1u << 6 | 1u << 8 |
			 1u << 4 | 1u << 5)) &&
	    sh.vtag != w.own)
		return -CT_DROP_SCTP_VTAG;
	w.off = pkt->l4_off + sizeof(sh);
	bpf_loop(CT_SCTP_CHUNKS, ct_sctp_chunk, &w, 0);
	conn->sctp.vtag[dir] = w.own;
	conn->sctp.vtag[!dir] = w.peer;
	conn->sctp.next[dir][0] = w.own_next[0];
	conn->sctp.next[dir][1] = w.own_next[1];
	conn->sctp.next[!dir][0] = w.peer_next[0];
	conn->sctp.next[!dir][1] = w.peer_next[1];
	conn->sctp.init[dir] = w.own_init;
	conn->sctp.init[!dir] = w.peer_init;
	conn->sctp.last_dir = w.last_dir;
	conn->sctp.flags = w.flags;
	if (w.error)
		return w.error;
	tr->state = w.state;
	if (w.skipped || w.init_again)
		return CT_TRACK_IGNORE;
	tr->timeout = ct_timeout_secs(ct_w_policy(tr->word), CT_TIMEOUT_sctp_none + w.state);
	if (w.up)
		tr->assured = 1;
	return CT_TRACK_ACCEPT;
}

#endif
