// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Segments of helped connections. Each direction is a stream that is put in order here,
 * read, edited, and passed on in segments of our own. Two number lines: the speaker's
 * (next) and the listener's (sent); their difference changes with each edit that changes a
 * length, and the packet path adjusts what passes by us (nat_seq.h).
 *
 * What was passed on stays in out[] until the listener has acknowledged it, which the
 * connection's record says: a repeated segment is answered from there. A partial line is
 * acknowledged by ourselves, as its speaker may wait for that before it goes on; from
 * then on these bytes are ours to deliver ("owned"), and all segments of that direction
 * come by us until the listener has them.
 */
#include "alg_conn.h"

#include <stdlib.h>
#include <string.h>
#include <netinet/tcp.h>

#define RETRY_FIRST_MS 300
#define RETRY_MAX_MS   4000
#define AHEAD_BYTES    65536 /* how far before its turn a segment may be */
#define PATH_MIN4      576   /* what any path is taken to carry: RFC 9293 3.7.1, */
#define PATH_MIN6      1280  /* RFC 8200 5 */
#define SMALL_AFTER    2     /* tries of ours, then segments are no longer than that */
#define AGAIN	       8     /* turns after a restart in which we repeat what senders would */
#define EDIT_ROOM      4096u /* of out[], for text that grows */

static bool before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static size_t out_max(const struct alg_conn *c)
{
	return c->session->helper == ALG_SIP ? ALG_OUT_BIG : ALG_OUT_SMALL;
}

/* How much higher the listener's numbers are at the speaker's number seq. */
static uint32_t shift_at(const struct alg_conn *c, int dir, uint32_t seq)
{
	uint32_t shift = c->map.fixes[dir] ? c->map.fix[dir][0].before : 0;
	int i;

	for (i = 0; i < c->map.fixes[dir]; i++)
		if (!before(seq, c->map.fix[dir][i].pos))
			shift = c->map.fix[dir][i].after;
	return shift;
}

/* The listener's number of what is passed on next. */
static uint32_t out_end(const struct alg_conn *c, int dir)
{
	return c->dir[dir].sent + c->dir[dir].n_out;
}

/* An edit changed a length: from the speaker's number pos on. The oldest is forgotten. */
static void note_edit(struct alg_conn *c, int dir, uint32_t pos, int32_t by)
{
	struct ct_alg_fix *fix = c->map.fix[dir];
	int32_t was = c->map.fixes[dir] ? fix[c->map.fixes[dir] - 1].after : 0;

	if (c->map.fixes[dir] == CT_ALG_FIXES) {
		memmove(fix, fix + 1, (CT_ALG_FIXES - 1) * sizeof(*fix));
		c->map.fixes[dir]--;
	}
	fix[c->map.fixes[dir]++] = (struct ct_alg_fix){pos, was, was + by};
	c->dirty = true;
}

static void set_hold(struct alg_conn *c, int dir, bool on)
{
	uint8_t hold = on ? c->map.hold | 1 << dir : c->map.hold & ~(1 << dir);

	if (hold == c->map.hold)
		return;
	c->map.hold = hold;
	c->dirty = true;
}

/* What the listener has acknowledged leaves out[]. */
static void trim(struct alg_conn *c, int dir, const struct ct_tcp *tcp)
{
	struct alg_stream *s = &c->dir[dir];
	uint32_t ack = tcp->dir[!dir].maxack, n;

	if (!(tcp->flags[!dir] & CT_TCP_F_MAXACK))
		return;
	n = ack + shift_at(c, dir, ack) - s->sent;
	if (n && (int32_t)n > 0) {
		if (n > s->n_out) /* and his FIN, perhaps */
			n = s->n_out;
		s->n_out -= n;
		s->sent += n;
		memmove(s->out, s->out + n, s->n_out);
	}
	if (s->owned && !s->n_held && !before(ack, s->acked)) {
		s->owned = 0;
		set_hold(c, dir, false);
	}
}

/* As long as the speaker makes them, who knows the path; he hears of it also when ours are too
 * long for it, and then repeats in shorter ones. */
static size_t mss_of(const struct alg_stream *s)
{
	size_t least = s->like.family == 4 ? PATH_MIN4 : PATH_MIN6;

	least -= s->like.len - s->like.l3_off;
	return s->like.mss > least ? s->like.mss : least;
}

static uint32_t header_word(const struct alg_headers *h, size_t off)
{
	uint32_t n;

	memcpy(&n, h->bytes + h->l4_off + off, sizeof(n));
	return ntohl(n);
}

static void send_segment(struct alg_conn *c, int dir, const struct alg_headers *h,
			 const struct alg_segment *seg, const uint8_t *bytes, size_t len)
{
	static uint8_t frame[ALG_DATA + 64];
	long n = alg_packet_build(h, seg, bytes, len, frame, sizeof(frame));

	if (n > 0)
		alg_io_send(c, dir, h, frame, n);
}

/* out[from] and on as segments; with nothing there, a bare one if `always`. */
static void pass_on(struct alg_conn *c, int dir, size_t from, bool always)
{
	struct alg_stream *s = &c->dir[dir];
	const struct alg_headers *h = &s->like;
	size_t mss = mss_of(s), n;
	struct alg_segment seg = {
		.ack = header_word(h, offsetof(struct tcphdr, ack_seq)),
		.window = header_word(h, offsetof(struct tcphdr, window) - 2) & 0xffff,
	};

	if (!h->ifindex)
		return;
	do {
		n = s->n_out - from < mss ? s->n_out - from : mss;
		seg.seq = s->sent + from;
		seg.flags = TH_ACK;
		from += n;
		if (from == s->n_out)
			seg.flags |= (n ? TH_PUSH : 0) | (s->fin ? TH_FIN : 0);
		if (n || s->fin || always)
			send_segment(c, dir, h, &seg, s->out + from - n, n);
	} while (from < s->n_out);
}

/* To the speaker, in the listener's name: we have everything before `next`. */
static bool acknowledge(struct alg_conn *c, int dir, const struct ct_tcp *tcp)
{
	struct alg_stream *s = &c->dir[dir], *peer = &c->dir[!dir];
	uint32_t scale = !dir ? tcp->scale >> 4 : tcp->scale & 0xf, window;
	struct alg_segment seg = {.flags = TH_ACK, .ack = s->next + s->fin};

	/* Nothing of the listener has come by us yet: what a packet of his looks like
	 * is not known. The speaker repeats itself. */
	if (!peer->like.ifindex)
		return false;
	seg.seq = out_end(c, !dir) + peer->fin;
	window = (tcp->dir[dir].maxend - s->next) >> scale;
	seg.window = before(tcp->dir[dir].maxend, s->next) ? 0 : window > 0xffff ? 0xffff : window;
	/* His own time stamp as the speaker knows it, and the speaker's newest. */
	seg.stamps = alg_packet_stamps(&s->like, &seg.echo, &seg.stamp);
	send_segment(c, !dir, &peer->like, &seg, NULL, 0);
	c->d->alg->stats.acked++;
	return true;
}

static void on_retry(evutil_socket_t fd, short what, void *arg);

static void retry_later(struct alg_conn *c)
{
	uint32_t ms = RETRY_FIRST_MS << (c->tries < 4 ? c->tries : 4);
	struct timeval t;

	if (ms > RETRY_MAX_MS)
		ms = RETRY_MAX_MS;
	t = (struct timeval){ms / 1000, ms % 1000 * 1000};
	if (!c->timer)
		c->timer = event_new(c->d->base, -1, 0, on_retry, c);
	if (c->timer)
		event_add(c->timer, &t);
}

/* What only we can repeat is repeated until the listener has it. A line that is still held is
 * the speaker's to complete. */
static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct alg_conn *c = arg;
	struct ct_tcp tcp;
	bool owned = false;
	int dir;

	(void)fd;
	(void)what;
	if (!alg_conn_word(c, &tcp)) {
		alg_conn_end(c);
		return;
	}
	for (dir = 0; dir < 2; dir++) {
		trim(c, dir, &tcp);
		if (!c->dir[dir].owned && !(c->dir[dir].n_out && c->again))
			continue;
		owned = true;
		/* What the speaker has been told to have arrived he does not repeat. */
		if (c->tries >= SMALL_AFTER)
			c->dir[dir].like.mss = 0;
		if (c->dir[dir].n_out) {
			c->d->alg->stats.resent++;
			pass_on(c, dir, 0, false);
		}
	}
	c->tries++;
	if (c->again)
		c->again--;
	alg_conn_save(c);
	if (owned)
		retry_later(c);
}

void alg_tcp_resume(struct alg_conn *c)
{
	c->tries = 0;
	c->again = AGAIN;
	retry_later(c);
}

/* Edits of what was just fed, into corrections; base is the speaker's number of its first byte. */
static void note_edits(struct alg_conn *c, int dir, uint32_t base)
{
	const struct alg_out *out = &c->d->alg->out;
	int i;

	for (i = 0; i < out->n_edits; i++) {
		const struct alg_edit *e = &out->edits[i];

		if (e->new_len != e->old_len)
			note_edit(c, dir, base + e->off + e->old_len,
				  (int32_t)e->new_len - e->old_len);
	}
}

/* Held bytes and n new ones through the parser. What is left of them is held; the rest is in
 * out[]. False: there was no room. */
static bool digest(struct alg_conn *c, int dir, const uint8_t *bytes, size_t n, bool eof)
{
	static uint8_t all[ALG_HELD_BIG + ALG_DATA], text[ALG_OUT_BIG];
	struct alg_stream *s = &c->dir[dir];
	size_t len = s->n_held + n, at = 0, used, made;
	bool hold = false, ok = true;

	memcpy(all, s->held, s->n_held);
	memcpy(all + s->n_held, bytes, n);
	s->next += n;
	while (at < len && ok) {
		uint32_t base = s->next - (len - at);

		used = alg_conn_feed(c, dir, eof ? ALG_F_EOF : 0, all + at, len - at, text,
				     out_max(c) - s->n_out, &made, &hold);
		note_edits(c, dir, base);
		memcpy(s->out + s->n_out, text, made);
		s->n_out += made;
		at += used;
		if (hold || !used)
			break;
	}
	/* Nothing more can come of what a stubborn parser leaves. */
	s->n_held = len - at < sizeof(s->held) ? len - at : sizeof(s->held);
	memcpy(s->held, all + at, s->n_held);
	return ok;
}

/* The helper has left: what is held passes, and nothing more is held. */
static void let_go(struct alg_conn *c)
{
	int dir;

	for (dir = 0; dir < 2; dir++) {
		struct alg_stream *s = &c->dir[dir];
		size_t room = out_max(c) - s->n_out, n = s->n_held;

		if (n > room)
			n = room;

		memcpy(s->out + s->n_out, s->held, n);
		s->n_out += n;
		s->n_held = 0;
		c->map.until[dir] = s->begun ? s->next : c->map.start[dir];
	}
	c->dirty = true;
}

/* n bytes in their turn. */
static void advance(struct alg_conn *c, int dir, const uint8_t *bytes, size_t n, bool fin,
		    struct ct_tcp *tcp)
{
	struct alg_stream *s = &c->dir[dir];
	size_t room = out_max(c) - s->n_out, from;
	bool was_off = c->map.off;

	room = room > EDIT_ROOM + s->n_held ? room - EDIT_ROOM - s->n_held : 0;
	if (n > room) { /* the rest is not acknowledged, and comes again */
		c->d->alg->stats.refused++;
		n = room;
		fin = false;
		if (!n)
			return;
	}
	from = s->n_out;
	digest(c, dir, bytes, n, fin);
	if (fin)
		s->fin = 1;
	if (c->map.off && !was_off)
		let_go(c);
	if (s->n_held) {
		s->owned = 1;
		s->acked = s->next;
		set_hold(c, dir, true);
	} else if (s->owned && fin) {
		s->acked = s->next;
	}
	alg_conn_save(c);
	if (s->n_out > from || fin)
		pass_on(c, dir, from, false);
	if (s->n_held)
		acknowledge(c, dir, tcp);
	if (was_off != c->map.off && c->dir[!dir].n_out)
		pass_on(c, !dir, 0, false);
	if (s->owned || c->again) {
		c->tries = 0;
		retry_later(c);
	}
}

/* Before its turn: kept if there is room, else it comes again. */
static void keep_ahead(struct alg_conn *c, int dir, uint32_t seq, const uint8_t *bytes, size_t n,
		       bool fin)
{
	struct alg_ahead *a = NULL;
	int i;

	for (i = 0; i < ALG_AHEAD; i++) {
		if (!c->ahead[dir][i].bytes)
			a = &c->ahead[dir][i];
		else if (c->ahead[dir][i].seq == seq)
			return;
	}
	if (!a || !n || n > UINT16_MAX || seq - c->dir[dir].next > AHEAD_BYTES) {
		c->d->alg->stats.refused++;
		return;
	}
	a->bytes = malloc(n);
	if (!a->bytes)
		return;
	memcpy(a->bytes, bytes, n);
	a->seq = seq;
	a->len = n;
	a->fin = fin;
	c->d->alg->stats.ahead++;
}

/* One that was kept and whose turn has come. False: there is none. */
static bool take_ahead(struct alg_conn *c, int dir, struct ct_tcp *tcp)
{
	struct alg_stream *s = &c->dir[dir];
	struct alg_ahead *a;
	uint32_t skip;
	int i;

	for (i = 0; i < ALG_AHEAD; i++) {
		a = &c->ahead[dir][i];
		if (!a->bytes || before(s->next, a->seq))
			continue;
		skip = s->next - a->seq;
		if (skip < a->len && !s->fin)
			advance(c, dir, a->bytes + skip, a->len - skip, a->fin, tcp);
		free(a->bytes);
		a->bytes = NULL;
		return true;
	}
	return false;
}

/* It has come before: the listener may lack it, or the speaker our acknowledgement. */
static void repeat(struct alg_conn *c, int dir, const struct ct_tcp *tcp)
{
	struct alg_stream *s = &c->dir[dir];

	c->d->alg->stats.again++;
	if (s->n_out || s->fin) {
		pass_on(c, dir, 0, false);
	} else {
		/* He has all of it: a segment from before makes him say so again. */
		struct alg_segment seg = {
			.seq = s->sent - 1,
			.ack = header_word(&s->like, offsetof(struct tcphdr, ack_seq)),
			.window =
				header_word(&s->like, offsetof(struct tcphdr, window) - 2) & 0xffff,
			.flags = TH_ACK,
		};

		send_segment(c, dir, &s->like, &seg, NULL, 0);
	}
	if (s->owned)
		acknowledge(c, dir, tcp);
}

void alg_tcp_take(struct alg_conn *c, const struct alg_taken *t)
{
	int dir = t->p->dir & 1;
	struct alg_stream *s = &c->dir[dir];
	uint32_t seq = t->p->seq, skip;
	bool fin = t->p->tcp_flags & TH_FIN;
	struct ct_tcp tcp;

	if (!alg_conn_word(c, &tcp))
		return;
	if (s->begun && before(seq, s->next))
		s->like.mss = 0; /* that of what he says again */
	if (alg_packet_headers(t, &s->like)) {
		c->d->alg->stats.bad++;
		return;
	}
	if (!s->begun) {
		s->begun = 1;
		c->map.start[dir] = s->next = s->sent = s->acked = t->p->start[dir];
		/* Also what the speaker has heard so far begins somewhere. */
		if (!c->dir[!dir].begun)
			c->dir[!dir].next = c->dir[!dir].sent = t->p->start[!dir];
	}
	trim(c, 0, &tcp);
	trim(c, 1, &tcp);
	skip = s->next - seq;
	if (before(s->next, seq)) {
		keep_ahead(c, dir, seq, t->payload, t->len, fin);
	} else if (skip < t->len || (skip == t->len && fin && !s->fin)) {
		advance(c, dir, t->payload + skip, t->len - skip, fin, &tcp);
		while (take_ahead(c, dir, &tcp))
			;
	} else if (t->len || fin) {
		repeat(c, dir, &tcp);
	} else {
		alg_conn_save(c);
		pass_on(c, dir, s->n_out, true);
	}
}
