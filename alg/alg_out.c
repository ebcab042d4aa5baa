// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* What a parser says, and the addresses in it. */
#include "alg_int.h"

#include <arpa/inet.h>
#include <string.h>

void alg_count(struct alg_run *r, enum alg_reason why)
{
	if (r->out->count[why] < UINT16_MAX)
		r->out->count[why]++;
}

void alg_off(struct alg_run *r, enum alg_reason why)
{
	alg_count(r, why);
	r->s->off = why;
	r->out->why = why;
	r->out->verdict = ALG_OFF;
	r->out->consumed = r->in ? r->in->len : 0;
}

bool alg_edit(struct alg_run *r, size_t off, size_t old_len, const char *text, size_t len)
{
	struct alg_out *out = r->out;
	unsigned int i = out->n_edits;

	if (i == ALG_EDITS_MAX || len > (size_t)(ALG_TEXT_MAX - out->n_text) ||
	    old_len > UINT16_MAX)
		return false;
	memcpy(out->text + out->n_text, text, len);
	/* Found out of order: Content-Length is known after the body. */
	for (; i && out->edits[i - 1].off > off; i--)
		out->edits[i] = out->edits[i - 1];
	out->edits[i] = (struct alg_edit){
		.off = (uint32_t)off,
		.old_len = (uint16_t)old_len,
		.new_len = (uint16_t)len,
		.text = out->n_text,
	};
	out->n_text = (uint16_t)(out->n_text + len);
	out->n_edits++;
	return true;
}

struct alg_event *alg_event(struct alg_run *r, enum alg_event_kind kind, uint32_t group)
{
	struct alg_event *e;

	if (r->out->n_events == ALG_EVENTS_MAX)
		return NULL;
	e = &r->out->events[r->out->n_events++];
	memset(e, 0, sizeof(*e));
	e->kind = kind;
	e->group = group;
	return e;
}

void alg_own(const struct alg_session *s, int dir, struct alg_addr *a)
{
	memcpy(a->addr, s->tuple[dir].saddr, sizeof(a->addr));
	a->family = s->tuple[dir].family;
}

void alg_seen(const struct alg_session *s, int dir, struct alg_addr *a)
{
	memcpy(a->addr, s->tuple[!dir].daddr, sizeof(a->addr));
	a->family = s->tuple[!dir].family;
}

bool alg_addr_is(const struct alg_addr *a, const struct alg_addr *b)
{
	return a->family == b->family && !memcmp(a->addr, b->addr, a->family == 4 ? 4 : 16);
}

bool alg_is_speaker(const struct alg_session *s, int dir, const struct alg_addr *a)
{
	struct alg_addr own, seen;

	alg_own(s, dir, &own);
	alg_seen(s, dir, &seen);
	return alg_addr_is(a, &own) || alg_addr_is(a, &seen);
}

bool alg_translated(const struct alg_session *s, int dir)
{
	struct alg_addr own, seen;

	alg_own(s, dir, &own);
	alg_seen(s, dir, &seen);
	return !alg_addr_is(&own, &seen);
}

bool alg_addr_parse(struct alg_text t, struct alg_addr *a)
{
	char text[INET6_ADDRSTRLEN];

	memset(a, 0, sizeof(*a));
	if (!t.len || t.len >= sizeof(text) || memchr(t.p, 0, t.len))
		return false;
	memcpy(text, t.p, t.len);
	text[t.len] = 0;
	a->family = memchr(text, ':', t.len) ? 6 : 4;
	return inet_pton(a->family == 6 ? AF_INET6 : AF_INET, text, a->addr) == 1;
}

size_t alg_addr_print(const struct alg_addr *a, char *to)
{
	inet_ntop(a->family == 6 ? AF_INET6 : AF_INET, a->addr, to, INET6_ADDRSTRLEN);
	return strlen(to);
}

void alg_speaker_end(const struct alg_session *s, int dir, struct alg_end *e)
{
	alg_own(s, dir, &e->own);
	alg_seen(s, dir, &e->shown);
	e->own_port = e->shown_port = 0;
}

struct alg_expect *alg_expect(struct alg_run *r, int dir, uint8_t proto, const struct alg_end *from,
			      const struct alg_end *to, uint32_t group)
{
	struct alg_event *e = alg_event(r, ALG_EXPECT, group);
	struct ct_tuple common = {.proto = proto, .family = to->own.family};
	struct alg_expect *x;

	if (!e)
		return NULL;
	common.zone = r->s->tuple[0].zone;
	x = &e->expect;
	x->tuple = x->nat = common;
	memcpy(x->tuple.saddr, from->own.addr, sizeof(x->tuple.saddr));
	memcpy(x->tuple.daddr, to->shown.addr, sizeof(x->tuple.daddr));
	memcpy(x->nat.saddr, from->shown.addr, sizeof(x->nat.saddr));
	memcpy(x->nat.daddr, to->own.addr, sizeof(x->nat.daddr));
	x->tuple.sport = htons(from->own_port);
	x->tuple.dport = htons(to->shown_port);
	x->nat.sport = htons(from->shown_port);
	x->nat.dport = htons(to->own_port);
	x->group = group;
	x->dir = (uint8_t)dir;
	x->timeout_s = ALG_TIMEOUT_DATA;
	if (!from->own_port)
		x->flags |= ALG_X_ANY_SPORT;
	return x;
}

size_t alg_number(struct alg_text t, unsigned int *value)
{
	unsigned int v = 0;
	size_t n;

	for (n = 0; n < t.len && t.p[n] >= '0' && t.p[n] <= '9'; n++) {
		v = v * 10 + (unsigned int)(t.p[n] - '0');
		if (n == 5 || v > 65535)
			return 0;
	}
	*value = v;
	return n;
}
