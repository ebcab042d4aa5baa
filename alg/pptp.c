// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * PPTP's control connection (RFC 2637). Each call has two ids, one chosen by each side;
 * enhanced GRE carries the id of whoever receives it, and no other. So a call's GRE is
 * expected with both ids in the place of ports, the sender's first, and an id of who is behind NAT
 * becomes one that is unique on the external address: two bytes for two bytes.
 *
 * Either side may ask for a call; the GRE of a call is expected, either way, once the other side
 * has answered it with result 1.
 */
#include "alg_int.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#define MAGIC	       0x1a2b3c4d
#define HEADER	       12
#define CONTROL	       1     /* the only type of message there is */
#define ASKED_S	       60    /* an answer that is this late is not waited for if room is short */
#define CALL_S	       86400 /* an expectation's time; renewed at half of it */
#define EVENTS_AT_ONCE (2 * ALG_PPTP_CALLS)
#define ALL_WELL       1 /* result code */

enum {
	START_REQUEST = 1,
	START_REPLY,
	STOP_REQUEST,
	STOP_REPLY,
	ECHO_REQUEST,
	ECHO_REPLY,
	OUT_REQUEST,
	OUT_REPLY,
	IN_REQUEST,
	IN_REPLY,
	IN_CONNECTED,
	CLEAR_REQUEST,
	DISCONNECT,
	WAN_ERROR,
	SET_LINK,
	MESSAGES
};

/* RFC 2637 2: every message has the length of its type. */
static const uint16_t lengths[MESSAGES] = {
	[START_REQUEST] = 156, [START_REPLY] = 156, [STOP_REQUEST] = 16, [STOP_REPLY] = 16,
	[ECHO_REQUEST] = 16,   [ECHO_REPLY] = 20,   [OUT_REQUEST] = 168, [OUT_REPLY] = 32,
	[IN_REQUEST] = 220,    [IN_REPLY] = 24,	    [IN_CONNECTED] = 28, [CLEAR_REQUEST] = 16,
	[DISCONNECT] = 148,    [WAN_ERROR] = 40,    [SET_LINK] = 24,
};
#define LONGEST 220
_Static_assert(LONGEST < ALG_PPTP_HOLD, "a message but its last byte is held");

/* Where fields stand. An own id is its speaker's, a peer's the other's as the speaker knows it. */
#define AT_ID		12 /* the first id of a message, of either kind */
#define AT_PEER		14 /* answers: the second, the asker's */
#define AT_START_RESULT 14
#define AT_RESULT	16

static unsigned int get16(const uint8_t *b, size_t at)
{
	return (unsigned int)(b[at] << 8 | b[at + 1]);
}

static bool over(const struct alg_pptp_call *c)
{
	return c->state == ALG_PPTP_CLEARED || c->state == ALG_PPTP_DROPPED;
}

/* Has the speaker of direction dir named its id? It may be 0 (pptpd's first is). */
static bool named(const struct alg_pptp_call *c, int dir)
{
	return c->state == ALG_PPTP_OPEN || c->state == ALG_PPTP_CLEARED ||
	       (c->state && c->dir == dir);
}

static struct alg_pptp_call *by_own(struct alg_pptp *p, int dir, unsigned int id)
{
	struct alg_pptp_call *last = NULL;

	for (unsigned int i = 0; i < ALG_PPTP_CALLS; i++) {
		struct alg_pptp_call *c = &p->calls[i];

		if (!named(c, dir) || c->own[dir] != id)
			continue;
		if (!over(c))
			return c;
		last = c;
	}
	return last;
}

/* As what the speaker of direction dir knows it, the other side's id. */
static struct alg_pptp_call *by_shown(struct alg_pptp *p, int dir, unsigned int id)
{
	struct alg_pptp_call *last = NULL;

	for (unsigned int i = 0; i < ALG_PPTP_CALLS; i++) {
		struct alg_pptp_call *c = &p->calls[i];

		if (!named(c, !dir) || c->shown[!dir] != id)
			continue;
		if (!over(c))
			return c;
		last = c;
	}
	return last;
}

static void put16(struct alg_run *r, size_t at, unsigned int was, unsigned int is)
{
	const char text[2] = {(char)(is >> 8), (char)is};

	if (was != is)
		alg_edit(r, at, sizeof(text), text, sizeof(text));
}

/*
 * The id of dir's speaker, and that under which the other side is to know it. False: there is none.
 * 0 is an id as any, but where both were 0 a call would look like GRE that goes by address:
 * so the asker's is never shown as 0, nor the answerer's to one whose own is 0.
 */
static bool show(struct alg_run *r, struct alg_pptp_call *c, int dir, uint16_t id, bool zero)
{
	struct alg_addr seen;

	c->own[dir] = c->shown[dir] = id;
	if (!alg_translated(r->s, dir) && (id || zero))
		return true;
	alg_seen(r->s, dir, &seen);
	c->shown[dir] = r->ops->port(r->ops->ctx, seen.addr, seen.family, IPPROTO_GRE, id, false);
	return c->shown[dir];
}

static void unshow(struct alg_run *r, const struct alg_pptp_call *c, int dir)
{
	struct alg_addr seen;

	if (!alg_translated(r->s, dir) && c->shown[dir] == c->own[dir])
		return;
	alg_seen(r->s, dir, &seen);
	r->ops->unport(r->ops->ctx, seen.addr, seen.family, IPPROTO_GRE, c->shown[dir]);
}

static uint32_t group_of(const struct alg_pptp *p, const struct alg_pptp_call *c)
{
	return (uint32_t)(c - p->calls) + 1;
}

/* GRE of the call ends. Its ids are still understood, for messages that are under way. */
static void clear(struct alg_run *r, struct alg_pptp_call *c)
{
	if (c->state == ALG_PPTP_OPEN) {
		alg_event(r, ALG_CLOSE, group_of(&r->s->pptp, c));
		c->state = ALG_PPTP_CLEARED;
	} else if (c->state == ALG_PPTP_ASKED) {
		unshow(r, c, c->dir);
		c->state = ALG_PPTP_DROPPED;
	}
}

static void forget(struct alg_run *r, struct alg_pptp_call *c)
{
	clear(r, c);
	memset(c, 0, sizeof(*c));
}

static void forget_all(struct alg_run *r)
{
	struct alg_pptp *p = &r->s->pptp;

	for (unsigned int i = 0; i < ALG_PPTP_CALLS; i++)
		if (p->calls[i].state)
			forget(r, &p->calls[i]);
}

/* A place for one more: free, or of a call that is over, or that nobody has answered. */
static struct alg_pptp_call *room(struct alg_run *r)
{
	struct alg_pptp *p = &r->s->pptp;
	struct alg_pptp_call *best = NULL;
	uint32_t now = (uint32_t)r->in->now_s;

	for (unsigned int i = 0; i < ALG_PPTP_CALLS; i++) {
		struct alg_pptp_call *c = &p->calls[i];

		if (!c->state)
			return c;
		if (over(c) && (!best || !over(best)))
			best = c;
		else if (!best && c->state == ALG_PPTP_ASKED && now - c->at > ASKED_S)
			best = c;
	}
	if (best)
		forget(r, best);
	return best;
}

/* The GRE that `dir` sends: the call id in it is the receiver's. */
static void expect_way(struct alg_run *r, const struct alg_pptp_call *c, int dir)
{
	struct alg_end end[2];
	struct alg_expect *x;

	for (int d = CT_ORIG; d <= CT_REPLY; d++) {
		alg_speaker_end(r->s, d, &end[d]);
		end[d].own_port = c->own[d];
		end[d].shown_port = c->shown[d];
	}
	x = alg_expect(r, dir, IPPROTO_GRE, &end[dir], &end[!dir], group_of(&r->s->pptp, c));
	if (!x)
		return;
	/* Whoever sends first opens the connection. It may fall silent for longer than its
	 * time-out: so they stand for as long as the call. An id of 0 is one as any. */
	x->flags = ALG_X_PERMANENT;
	x->timeout_s = CALL_S;
}

static void expect_call(struct alg_run *r, struct alg_pptp_call *c)
{
	c->at = (uint32_t)r->in->now_s;
	expect_way(r, c, CT_ORIG);
	expect_way(r, c, CT_REPLY);
}

/* Each side sends an echo after a minute's silence: so this is looked at often enough. */
static void renew(struct alg_run *r)
{
	struct alg_pptp *p = &r->s->pptp;

	for (unsigned int i = 0; i < ALG_PPTP_CALLS; i++)
		if (p->calls[i].state == ALG_PPTP_OPEN &&
		    (uint32_t)r->in->now_s - p->calls[i].at >= CALL_S / 2)
			expect_call(r, &p->calls[i]);
}

static enum alg_reason asked(struct alg_run *r, const uint8_t *b, size_t at, unsigned int type)
{
	struct alg_pptp *p = &r->s->pptp;
	unsigned int id = get16(b, AT_ID);
	int dir = r->in->dir;
	struct alg_pptp_call *c = by_own(p, dir, id), new;

	if (!p->started)
		return ALG_R_UNASKED;
	if (c && !over(c)) {
		put16(r, at + AT_ID, id, c->shown[dir]);
		return ALG_R_STALE;
	}
	c = room(r);
	if (!c)
		return ALG_R_FLOOD;
	new = (struct alg_pptp_call){
		.at = (uint32_t)r->in->now_s,
		.state = ALG_PPTP_ASKED,
		.dir = (uint8_t)dir,
		.incoming = type == IN_REQUEST,
	};
	if (!show(r, &new, dir, (uint16_t)id, false))
		return ALG_R_NO_PORT;
	*c = new;
	put16(r, at + AT_ID, id, c->shown[dir]);
	return ALG_R_NONE;
}

/* The answerer's id, and the call is open. On any other answer it is over. */
static enum alg_reason agree(struct alg_run *r, struct alg_pptp_call *c, unsigned int id)
{
	int dir = r->in->dir;
	const struct alg_pptp_call *other = by_own(&r->s->pptp, dir, id);

	if (other && !over(other))
		return ALG_R_AMBIGUOUS;
	if (!show(r, c, dir, (uint16_t)id, c->own[!dir] != 0))
		return ALG_R_NO_PORT;
	c->state = ALG_PPTP_OPEN;
	expect_call(r, c);
	return ALG_R_NONE;
}

static enum alg_reason answered(struct alg_run *r, const uint8_t *b, size_t at, unsigned int type)
{
	int dir = r->in->dir;
	unsigned int id = get16(b, AT_ID), peer = get16(b, AT_PEER);
	struct alg_pptp_call *c = by_shown(&r->s->pptp, dir, peer);
	enum alg_reason why;

	if (!c || c->dir == dir || c->incoming != (type == IN_REPLY))
		return ALG_R_UNASKED;
	put16(r, at + AT_PEER, peer, c->own[!dir]);
	if (c->state != ALG_PPTP_ASKED) {
		if (named(c, dir) && c->own[dir] == id)
			put16(r, at + AT_ID, id, c->shown[dir]);
		return ALG_R_STALE;
	}
	why = b[AT_RESULT] == ALL_WELL ? agree(r, c, id) : ALG_R_REFUSED;
	if (why)
		forget(r, c);
	else
		put16(r, at + AT_ID, id, c->shown[dir]);
	return why;
}

/* The speaker's own id, of a call that it gives up or has given up. */
static enum alg_reason ended(struct alg_run *r, const uint8_t *b, size_t at, unsigned int type)
{
	int dir = r->in->dir;
	unsigned int id = get16(b, AT_ID);
	struct alg_pptp_call *c = by_own(&r->s->pptp, dir, id);

	if (!c)
		return ALG_R_UNASKED;
	put16(r, at + AT_ID, id, c->shown[dir]);
	if (type == CLEAR_REQUEST)
		clear(r, c); /* DISCONNECT is its answer */
	else
		forget(r, c);
	return ALG_R_NONE;
}

/* What is said about a call that goes on: the other side's id. */
static enum alg_reason about(struct alg_run *r, const uint8_t *b, size_t at)
{
	int dir = r->in->dir;
	unsigned int peer = get16(b, AT_ID);
	struct alg_pptp_call *c = by_shown(&r->s->pptp, dir, peer);

	if (!c)
		return ALG_R_UNASKED;
	put16(r, at + AT_ID, peer, c->own[!dir]);
	return ALG_R_NONE;
}

/* One message; at: where it begins. */
static enum alg_reason message(struct alg_run *r, const uint8_t *b, size_t len, size_t at)
{
	struct alg_pptp *p = &r->s->pptp;
	unsigned int type = get16(b, 8);

	if (get16(b, 2) != CONTROL || !type || type >= MESSAGES || len != lengths[type])
		return ALG_R_SYNTAX;
	switch (type) {
	case START_REPLY:
		p->started = r->in->dir == CT_REPLY && b[AT_START_RESULT] == ALL_WELL;
		return ALG_R_NONE;
	case STOP_REQUEST:
		forget_all(r);
		p->started = 0;
		return ALG_R_NONE;
	case ECHO_REQUEST:
	case ECHO_REPLY:
		renew(r);
		return ALG_R_NONE;
	case OUT_REQUEST:
	case IN_REQUEST:
		return asked(r, b, at, type);
	case OUT_REPLY:
	case IN_REPLY:
		return answered(r, b, at, type);
	case CLEAR_REQUEST:
	case DISCONNECT:
		return ended(r, b, at, type);
	case IN_CONNECTED:
	case WAN_ERROR:
	case SET_LINK:
		return about(r, b, at);
	}
	return ALG_R_NONE; /* START_REQUEST, STOP_REPLY */
}

/* Are these the first bytes of the direction's first message? As far as they are there. */
static bool begins_well(int dir, const uint8_t *b, size_t len)
{
	const uint8_t first[10] = {
		0,    156,  0,	  CONTROL, 0x1a,
		0x2b, 0x3c, 0x4d, 0,	   dir == CT_ORIG ? START_REQUEST : START_REPLY};

	return !memcmp(b, first, len < sizeof(first) ? len : sizeof(first));
}

/* The length of the message that begins here. 0: it is not all there; -1: none begins here. */
static int framed(const uint8_t *b, size_t len)
{
	static const uint8_t magic[4] = {MAGIC >> 24, MAGIC >> 16 & 0xff, MAGIC >> 8 & 0xff,
					 MAGIC & 0xff};
	unsigned int n;

	if (len > 4 && memcmp(b + 4, magic, len < 8 ? len - 4 : 4))
		return -1;
	if (len < 2)
		return 0;
	n = get16(b, 0);
	if (n < HEADER + 4 || n > LONGEST)
		return -1;
	return len >= n ? (int)n : 0;
}

/* Nobody could follow the calls any more. */
static void leave(struct alg_run *r, enum alg_reason why)
{
	forget_all(r);
	alg_off(r, why);
}

void alg_pptp_feed(struct alg_run *r)
{
	struct alg_pptp *p = &r->s->pptp;
	const uint8_t *b = r->in->bytes;
	struct alg_out *out = r->out;
	int dir = r->in->dir, n = 0;

	while (out->consumed < r->in->len) {
		size_t at = out->consumed, left = r->in->len - at;
		enum alg_reason why;

		if (out->n_events > ALG_EVENTS_MAX - EVENTS_AT_ONCE - ALG_PPTP_CALLS ||
		    out->n_edits > ALG_EDITS_MAX - 2) {
			out->verdict = ALG_MORE;
			return;
		}
		if (!p->begun[dir] && !begins_well(dir, b + at, left)) {
			leave(r, ALG_R_NOT_PROTOCOL);
			return;
		}
		n = framed(b + at, left);
		if (n < 0) {
			leave(r, ALG_R_FRAMING);
			return;
		}
		if (!n)
			break;
		p->begun[dir] = 1;
		why = message(r, b + at, (size_t)n, at);
		if (why)
			alg_count(r, why);
		out->consumed += (size_t)n;
	}
	if (r->in->flags & ALG_F_EOF) {
		/* RFC 2637 3: calls end with their control connection. */
		forget_all(r);
		p->started = 0;
		out->consumed = r->in->len;
	}
	out->verdict = out->consumed < r->in->len ? ALG_HOLD : ALG_GO;
}

void alg_pptp_end(struct alg_run *r)
{
	forget_all(r);
}

bool alg_pptp_valid(const struct alg_pptp *p)
{
	if (p->begun[0] > 1 || p->begun[1] > 1 || p->started > 1)
		return false;
	for (unsigned int i = 0; i < ALG_PPTP_CALLS; i++) {
		const struct alg_pptp_call *c = &p->calls[i];

		if (c->state > ALG_PPTP_DROPPED || c->dir > CT_REPLY || c->incoming > 1)
			return false;
		if (c->state && !c->shown[c->dir])
			return false;
		if (c->state == ALG_PPTP_OPEN && !c->shown[!c->dir] &&
		    (c->own[!c->dir] || !c->own[c->dir]))
			return false;
	}
	return true;
}
