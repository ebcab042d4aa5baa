/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CT_LOOKUP_H
#define BPFCT_CT_LOOKUP_H

#include "../lib/ct_parse_inner.h"
#include "../lib/ct_crc32c.h"
#include "../lib/ct_csum.h"
#include "ct_expect.h"
#include "../nat/nat_seq.h"
#include "ct_find.h"
#include "ct_result.h"
#include "ct_sctp.h"
#include "ct_tcp.h"
#include "ct_touch.h"
#include "ct_udp.h"

/* Runs the protocol's tracker; see ct_track.h. */
static __always_inline int ct_track(struct ct_ctx *ctx, struct ct_conn *conn,
				    const struct ct_pkt *pkt, const struct ct_settings *set,
				    struct ct_track *tr)
{
	switch (pkt->tuple.proto) {
	case IPPROTO_TCP:
		return ct_tcp_track(ctx, conn, pkt, tr);
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
		return ct_udp_track(conn, set, pkt->tuple.proto, tr);
	case IPPROTO_SCTP:
		return ct_sctp_track(ctx, conn, pkt, tr);
	case IPPROTO_GRE:
		return ct_gre_track(tr);
	}
	return ct_generic_track(pkt->tuple.proto, tr);
}

static __always_inline void ct_set_to_body(struct ct_result *res, const struct ct_conn *conn,
					   const struct ct_tuple *t, __u8 family)
{
	__u64 w = res->word;

	res->to = *t;
	if (!(w & CT_W_STATUS(CT_S_NAT)))
		return;
	if (res->dir == CT_REPLY) {
		struct ct_tuple orig;

		ct_tuple_orig(&orig, &res->key, w, family);
		ct_tuple_invert(&res->to, &orig);
		res->translate = (w & CT_W_STATUS(CT_S_SRC_NAT) ? CT_XLATE_DST : 0) |
				 (w & CT_W_STATUS(CT_S_DST_NAT) ? CT_XLATE_SRC : 0);
	} else {
		if (family == 4) {
			const struct ct_conn4 *c4 = (const void *)conn;

			res->to.saddr[0] = c4->reply_daddr;
			res->to.daddr[0] = c4->reply_saddr;
		} else {
			const struct ct_conn6 *c6 = (const void *)conn;

			__builtin_memcpy(res->to.saddr, c6->reply_daddr, 16);
			__builtin_memcpy(res->to.daddr, c6->reply_saddr, 16);
		}
		if (ct_is_icmp(t)) {
			res->to.sport = conn->reply_sport;
		} else {
			res->to.sport = conn->reply_dport;
			res->to.dport = conn->reply_sport;
		}
		res->translate = (w & CT_W_STATUS(CT_S_SRC_NAT) ? CT_XLATE_SRC : 0) |
				 (w & CT_W_STATUS(CT_S_DST_NAT) ? CT_XLATE_DST : 0);
	}
}

/* What the packet has to look like beyond this point, from the record. */
__noinline int ct_set_to4(struct ct_result *res, const struct ct_conn4 *conn,
			  const struct ct_tuple *t)
{
	if (res && conn && t)
		ct_set_to_body(res, &conn->c, t, 4);
	return 0;
}

__noinline int ct_set_to6(struct ct_result *res, const struct ct_conn6 *conn,
			  const struct ct_tuple *t)
{
	if (res && conn && t)
		ct_set_to_body(res, &conn->c, t, 6);
	return 0;
}

static __always_inline void ct_set_to(struct ct_result *res, const struct ct_conn *conn,
				      const struct ct_tuple *t, __u8 family)
{
	if (family == 4)
		ct_set_to4(res, (const struct ct_conn4 *)conn, t);
	else
		ct_set_to6(res, (const struct ct_conn6 *)conn, t);
}

static __always_inline __u8 ct_state_bits(const struct ct_result *res)
{
	__u16 status = ct_w_status(res->word);
	__u8 state = CT_STATE_TRK;

	if (res->dir == CT_REPLY)
		state |= CT_STATE_RPL;
	if (res->related || (status & CT_S_EXPECTED))
		state |= CT_STATE_REL;
	if (!res->related)
		state |= (status & CT_S_SEEN_REPLY) || res->dir == CT_REPLY ? CT_STATE_EST
									    : CT_STATE_NEW;
	if (status & CT_S_SRC_NAT)
		state |= CT_STATE_SNAT;
	if (status & CT_S_DST_NAT)
		state |= CT_STATE_DNAT;
	return state;
}

/* Checks that belong to the packet alone: flags, ICMP types, checksums. */
static __always_inline int ct_sane(struct ct_ctx *ctx, const struct ct_pkt *pkt,
				   const struct ct_settings *set)
{
	__u8 proto = pkt->tuple.proto;

	if (proto == IPPROTO_TCP)
		return ct_tcp_flags_ok(pkt->tcp_flags) ? 0 : -CT_DROP_TCP_FLAGS;
	if (pkt->flags & CT_PKT_ICMP_OTHER)
		return -CT_DROP_ICMP_TYPE;
	if (pkt->flags & CT_PKT_GATHERED)
		return 0;
	if (ct_is_icmp(&pkt->tuple) && set->checksum && !ct_icmp_csum_ok(ctx, pkt))
		return -CT_DROP_L4_CHECKSUM;
	if (proto == IPPROTO_SCTP && set->checksum && !ct_sctp_crc_ok(ctx, pkt))
		return -CT_DROP_L4_CHECKSUM;
	return 0;
}

/* May a packet without a connection open one? 0 or a drop reason. */
static __always_inline int ct_can_open(const struct ct_pkt *pkt, const struct ct_settings *set)
{
	if (pkt->tuple.proto == IPPROTO_TCP)
		return ct_tcp_can_open(pkt, set);
	if (ct_is_icmp(&pkt->tuple) && (pkt->flags & CT_PKT_ICMP_REPLY))
		return -CT_DROP_ICMP_TYPE;
	return 0;
}

/* An ICMP error belongs to the connection whose packet it quotes. It neither
 * refreshes nor ends it, and is not counted there (RFC 5508 REQ-6). */
__noinline int ct_lookup_error(struct ct_ctx *ctx, struct ct_pkt *pkt, struct ct_result *res)
{
	struct ct_build *b = ct_build();
	struct ct_tuple t = {};
	struct ct_conn *conn;
	int v;

	if (!pkt || !res || !b)
		return -CT_DROP_MAP_MISSING;
	v = ct_parse_inner(ctx, pkt);
	if (v < 0)
		return v;
	/* It must go to who sent the quoted packet (CVE-2019-5598). */
	if (!ct_addr6_same(pkt->tuple.daddr, pkt->inner.saddr))
		return -CT_DROP_ICMP_ADDRESS;
	ct_tuple_invert(&t, &pkt->inner);
	if (res->family == 4) {
		struct ct_conn4 *c4 = ct_find4(&t, !pkt->inner_icmp_reply, b);

		if (!c4)
			return -CT_DROP_ICMP_UNRELATED;
		conn = &c4->c;
		res->key = b->key;
		res->dir = b->found.dir;
		res->word = b->found.word;
		ct_set_to(res, conn, &t, 4);
		res->mark = conn->mark;
	} else {
		struct ct_conn6 *c6 = ct_find6(&t, !pkt->inner_icmp_reply, b);

		if (!c6)
			return -CT_DROP_ICMP_UNRELATED;
		conn = &c6->c;
		res->key = b->key;
		res->dir = b->found.dir;
		res->word = b->found.word;
		ct_set_to(res, conn, &t, 6);
		res->mark = conn->mark;
	}
	res->related = 1;
	res->state = ct_state_bits(res);
	return CT_RELATED;
}

/* A record was found: track, count, update the word. */
static __always_inline int ct_known(struct ct_ctx *ctx, struct ct_conn *conn, struct ct_pkt *pkt,
				    struct ct_result *res, const struct ct_settings *set,
				    struct ct_track *tr, __u8 family)
{
	__u64 word;
	int v;

	__builtin_memset(tr, 0, sizeof(*tr));
	tr->word = res->word;
	tr->dir = res->dir;
	tr->now = res->now;
	tr->state = ct_w_state(res->word);
	tr->proto = pkt->tuple.proto;
	tr->class = ct_tcp_class(pkt->tcp_flags);
	tr->family = family;
	/* The tracker compares each side's own numbers. */
	if (res->word & CT_W_STATUS(CT_S_HELPER)) {
		v = nat_seq_ack(ctx, pkt, res);
		if (v < 0)
			return v;
	}
	v = ct_track(ctx, conn, pkt, set, tr);
	if (v < 0)
		return v;
	if (v == CT_TRACK_REOPEN) {
		ct_kill(conn, &res->key, res->word, family, CT_STAT_REOPENED);
		return CT_NEW;
	}
	if (v == CT_TRACK_IGNORE)
		ct_stat(CT_STAT_IGNORE);
	/* Tracker results of an ignored packet are not taken, but that an answer
	 * came is noted all the same. */
	if (v == CT_TRACK_IGNORE) {
		tr->state = ct_w_state(res->word);
		tr->assured = 0;
	}
	word = ct_touch_word(conn, &res->key, tr);
	if (word == 1)
		return -CT_DROP_TABLE_FULL;
	if (!word)
		return -CT_DROP_COMMIT_BUSY;
	if (v == CT_TRACK_ACCEPT || v == CT_TRACK_KILL)
		ct_touch_count(set, conn, tr, word, pkt->len);
	/* Of what ends, the end is told, with this packet in its counters. */
	if (tr->changed && v != CT_TRACK_KILL)
		ct_event(set, conn, &res->key, word, family, CT_EVENT_UPDATE);
	if (family == 4)
		ct_set_to_body(res, conn, &pkt->tuple, 4);
	else
		ct_set_to(res, conn, &pkt->tuple, family);
	res->word = word;
	res->mark = conn->mark;
	res->route = conn->route[res->dir & 1];
	res->state = ct_state_bits(res);
	if (v == CT_TRACK_KILL)
		ct_kill(conn, &res->key, word, family, CT_STAT_DELETED);
	if (res->dir == CT_REPLY)
		return CT_REPLIED;
	return ct_w_status(word) & CT_S_SEEN_REPLY ? CT_ESTABLISHED : CT_OPENING;
}

/*
 * Packet to connection. pkt comes from ct_parse(); res is filled. Returns a
 * verdict (CT_UNTRACKED .. CT_RELATED), or a negative drop reason, which the
 * caller counts by ct_drop(): classes INVALID (res->state is +inv+trk; a
 * consumer may pass the packet all the same) and REFUSED.
 */
__noinline int ct_lookup(struct ct_ctx *ctx, struct ct_pkt *pkt, struct ct_result *res)
{
	const struct ct_settings *set = ct_settings();
	struct ct_build *b = ct_build();
	int v;

	if (!pkt || !res || !set || !b)
		return -CT_DROP_MAP_MISSING;
	__builtin_memset(res, 0, sizeof(*res));
	res->family = pkt->tuple.family;
	res->now = b->found.now = ct_now(set);
	res->state = CT_STATE_TRK | CT_STATE_INV;
	if (pkt->flags & CT_PKT_UNTRACKED) {
		res->state = 0;
		return CT_UNTRACKED;
	}
	v = ct_sane(ctx, pkt, set);
	if (v < 0)
		return v;
	b->found.stub_first = 0;
	if (pkt->flags & CT_PKT_ICMP_ERROR)
		return ct_lookup_error(ctx, pkt, res);
	v = CT_NEW;
	ct_guess(b, ctx_ifindex(ctx));
	if (res->family == 4) {
		struct ct_conn4 *c4 =
			ct_find4_here(&pkt->tuple, pkt->flags & CT_PKT_ICMP_REPLY ? 1 : 0, b);

		res->key.k4 = b->key.k4;
		if (c4) {
			res->dir = b->found.dir;
			res->word = b->found.word;
			ct_guess_learn(b);
			v = ct_known(ctx, &c4->c, pkt, res, set, &b->tr, 4);
		}
	} else {
		struct ct_conn6 *c6 =
			ct_find6(&pkt->tuple, pkt->flags & CT_PKT_ICMP_REPLY ? 1 : 0, b);

		res->key = b->key;
		if (c6) {
			res->dir = b->found.dir;
			res->word = b->found.word;
			ct_guess_learn(b);
			v = ct_known(ctx, &c6->c, pkt, res, set, &b->tr, 6);
		}
	}
	if (v != CT_NEW) {
		ct_stat(CT_STAT_FOUND);
		return v;
	}
	v = ct_can_open(pkt, set);
	if (v < 0)
		return v;
	res->word = 0;
	res->dir = CT_ORIG;
	res->to = pkt->tuple;
	res->translate = 0;
	res->state = CT_STATE_TRK | CT_STATE_NEW;
	ct_expect_look(pkt, res);
	/* Its ids are known before it is expected, and for longer. A connection that the rules make
	 * of it would be translated by them, and stay. */
	if (ct_pkt_call(pkt) && !res->expected)
		return -CT_DROP_GRE_EARLY;
	ct_stat(CT_STAT_NEW);
	return CT_NEW;
}

/*
 * As ct_lookup(), for a packet that was tracked at an earlier hook: nothing is
 * tracked, counted or changed; res->to and res->translate are set if it has a
 * connection. Returns 0.
 */
__noinline int ct_peek(struct ct_ctx *ctx, struct ct_pkt *pkt, struct ct_result *res)
{
	const struct ct_settings *set = ct_settings();
	struct ct_build *b = ct_build();

	if (!pkt || !res || !set || !b)
		return 0;
	__builtin_memset(res, 0, sizeof(*res));
	res->family = pkt->tuple.family;
	res->now = b->found.now = ct_now(set);
	b->found.stub_first = 0;
	if (pkt->flags & CT_PKT_ICMP_ERROR) {
		ct_lookup_error(ctx, pkt, res);
		return 0;
	}
	if (res->family == 4) {
		struct ct_conn4 *c4 =
			ct_find4(&pkt->tuple, pkt->flags & CT_PKT_ICMP_REPLY ? 1 : 0, b);

		if (c4) {
			res->key = b->key;
			res->dir = b->found.dir;
			res->word = b->found.word;
			ct_set_to4(res, c4, &pkt->tuple);
		}
	} else {
		struct ct_conn6 *c6 =
			ct_find6(&pkt->tuple, pkt->flags & CT_PKT_ICMP_REPLY ? 1 : 0, b);

		if (c6) {
			res->key = b->key;
			res->dir = b->found.dir;
			res->word = b->found.word;
			ct_set_to6(res, c6, &pkt->tuple);
		}
	}
	return 0;
}

#endif
