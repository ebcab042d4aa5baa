// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* A gateway with one helped connection. */
#include "lab.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint8_t *flat;
#define FLAT (sizeof(((struct lab *)0)->held[0]) + 65536)
static struct alg_out out;

void lab_broken(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("alg lab: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	abort();
}

static void addr_of(const char *text, __be32 addr[4], uint8_t *family)
{
	memset(addr, 0, 16);
	*family = strchr(text, ':') ? 6 : 4;
	if (inet_pton(*family == 6 ? AF_INET6 : AF_INET, text, addr) != 1)
		lab_broken("no address: %s", text);
}

void lab_tuple(struct ct_tuple *t, const struct lab_tuple *from, uint8_t proto)
{
	memset(t, 0, sizeof(*t));
	addr_of(from->saddr, t->saddr, &t->family);
	addr_of(from->daddr, t->daddr, &t->family);
	t->sport = htons(from->sport);
	t->dport = htons(from->dport);
	t->proto = proto;
}

int lab_port_state(const struct lab *l, unsigned int port)
{
	for (unsigned int i = 0; i < l->n_ports; i++)
		if (l->ports[i].port == port)
			return l->ports[i].state;
	return LAB_FREE;
}

static void port_set(struct lab *l, unsigned int port, int state)
{
	unsigned int i;

	for (i = 0; i < l->n_ports; i++)
		if (l->ports[i].port == port)
			break;
	if (i == LAB_PORTS)
		lab_broken("more than %u ports", i);
	if (i == l->n_ports)
		l->n_ports++;
	l->ports[i].port = (uint16_t)port;
	l->ports[i].state = (uint8_t)state;
}

static uint16_t lab_port(void *ctx, const __be32 addr[4], uint8_t family, uint8_t proto,
			 uint16_t wish, bool pair)
{
	struct lab *l = ctx;
	unsigned int p = wish;

	(void)addr, (void)family;
	if (l->exhausted || l->n_ports > LAB_PORTS - 2)
		return 0;
	if (wish < 1024 && proto != IPPROTO_GRE)
		lab_broken("port %u is wished for", wish);
	if (!l->keep || !p || (pair && p % 2) || lab_port_state(l, p) ||
	    (pair && lab_port_state(l, p + 1))) {
		p = l->next_port;
		l->next_port = (uint16_t)(p + 2);
	}
	port_set(l, p, LAB_RESERVED);
	if (pair)
		port_set(l, p + 1, LAB_RESERVED);
	return (uint16_t)p;
}

static void lab_unport(void *ctx, const __be32 addr[4], uint8_t family, uint8_t proto,
		       uint16_t port)
{
	struct lab *l = ctx;

	(void)addr, (void)family, (void)proto;
	if (lab_port_state(l, port) != LAB_RESERVED)
		lab_broken("port %u is given back in state %d", port, lab_port_state(l, port));
	port_set(l, port, LAB_FREE);
}

static bool lab_known(void *ctx, const __be32 addr[4], uint8_t family, uint8_t proto, uint16_t port,
		      __be32 inside[4], uint16_t *inside_port)
{
	struct lab *l = ctx;
	__be32 a[4];
	uint8_t f;

	(void)proto;
	if (!l->known[0] || port != l->known_port)
		return false;
	addr_of(l->known, a, &f);
	if (f != family || memcmp(a, addr, 16))
		return false;
	addr_of(l->known_inside, inside, &f);
	*inside_port = l->known_inside_port;
	return true;
}

void lab_begin(struct lab *l, enum alg_helper helper, uint8_t proto, const struct lab_tuple *orig,
	       const struct lab_tuple *reply)
{
	struct ct_tuple t[2];

	memset(l, 0, offsetof(struct lab, log));
	l->log[0] = 0;
	l->ops = (struct alg_ops){
		.ctx = l, .port = lab_port, .unport = lab_unport, .known = lab_known};
	l->now = 1000;
	l->next_port = 40000;
	lab_tuple(&t[CT_ORIG], orig, proto);
	lab_tuple(&t[CT_REPLY], reply, proto);
	t[0].zone = t[1].zone = 7;
	if (alg_session_init(&l->s, helper, t, 42))
		lab_broken("session refused");
}

__attribute__((format(printf, 2, 3))) static void note(struct lab *l, const char *format, ...)
{
	va_list args;
	size_t room = sizeof(l->log) - l->log_len;
	int n;

	va_start(args, format);
	n = vsnprintf(l->log + l->log_len, room, format, args);
	va_end(args);
	l->log_len += (size_t)n < room ? (size_t)n : room - 1;
}

static void note_end(struct lab *l, const __be32 *addr, uint8_t family, __be16 port)
{
	char text[INET6_ADDRSTRLEN];

	inet_ntop(family == 6 ? AF_INET6 : AF_INET, addr, text, sizeof(text));
	if (port)
		note(l, " %s %u", text, ntohs(port));
	else
		note(l, " %s *", text);
}

static void check_expect(const struct lab *l, const struct alg_expect *x)
{
	const struct ct_tuple *t = l->s.tuple;
	size_t alen = t[0].family == 4 ? 4 : 16;

	if (x->tuple.zone != t[0].zone || x->nat.zone != t[0].zone)
		lab_broken("another zone");
	if (x->tuple.proto == IPPROTO_GRE
		    ? (!x->tuple.sport && !x->tuple.dport) || (!x->nat.sport && !x->nat.dport)
		    : ntohs(x->tuple.dport) < 1024 || ntohs(x->nat.dport) < 1024)
		lab_broken("a port under 1024 is expected, or no call id");
	if (x->dir > 1 || x->class >= ALG_CLASSES || !x->timeout_s || x->timeout_s > 86400)
		lab_broken("an expectation out of range");
	if (x->tuple.proto == IPPROTO_GRE ? x->flags & ALG_X_ANY_SPORT
					  : !x->tuple.sport != !!(x->flags & ALG_X_ANY_SPORT) ||
						    !x->nat.sport != !x->tuple.sport)
		lab_broken("source port and wildcard disagree");
	/* who is opened is the speaker of the other side, or the rules are asked */
	if (!(x->flags & ALG_X_POLICY) && memcmp(x->nat.daddr, t[!x->dir].saddr, alen))
		lab_broken("a third party is opened");
}

static void event(struct lab *l, const struct alg_event *e)
{
	static const char *const classes[] = {"data", "sip", "rtp", "rtcp"};
	const struct alg_expect *x = &e->expect;
	uint16_t port = ntohs(x->tuple.dport);

	if (e->kind != ALG_EXPECT) {
		note(l, "%s %u\n", e->kind == ALG_CLOSE ? "close" : "withdraw", e->group);
		*(e->kind == ALG_CLOSE ? &l->closes : &l->withdraws) += 1;
		return;
	}
	check_expect(l, x);
	l->expects++;
	/* A call id that is shown as it is is no port of ours, whatever its number. */
	if (lab_port_state(l, port) &&
	    (x->tuple.dport != x->nat.dport ||
	     memcmp(x->tuple.daddr, x->nat.daddr, sizeof(x->tuple.daddr))))
		port_set(l, port, LAB_EXPECTED);
	note(l, "expect %s %s", x->dir ? "reply" : "orig", classes[x->class]);
	note_end(l, x->tuple.saddr, x->tuple.family, x->tuple.sport);
	note_end(l, x->tuple.daddr, x->tuple.family, x->tuple.dport);
	note(l, " nat");
	note_end(l, x->nat.saddr, x->nat.family, x->nat.sport);
	note_end(l, x->nat.daddr, x->nat.family, x->nat.dport);
	note(l, " group %u for %u%s%s\n", x->group, x->timeout_s,
	     x->flags & ALG_X_PERMANENT ? " permanent" : "",
	     x->flags & ALG_X_POLICY ? " policy" : "");
}

static void check_out(const struct lab *l, const struct alg_in *in)
{
	size_t end = 0;

	if (out.consumed > in->len || out.n_edits > ALG_EDITS_MAX || out.n_events > ALG_EVENTS_MAX)
		lab_broken("counts out of range");
	for (unsigned int i = 0; i < out.n_edits; i++) {
		const struct alg_edit *e = &out.edits[i];

		if (e->off < end || e->off + (size_t)e->old_len > out.consumed ||
		    (size_t)e->text + e->new_len > sizeof(out.text))
			lab_broken("edit %u out of order or range", i);
		end = e->off + (size_t)e->old_len;
	}
	if ((in->flags & ALG_F_DATAGRAM) && out.consumed != in->len && out.verdict != ALG_MORE)
		lab_broken("part of a datagram is held");
	if (out.verdict == ALG_HOLD && in->len - out.consumed > alg_hold_max(l->s.helper))
		lab_broken("%zu bytes are held", in->len - out.consumed);
	if (out.verdict != ALG_HOLD && out.verdict != ALG_MORE && out.consumed != in->len)
		lab_broken("bytes are left but not held");
	if (out.verdict == ALG_HOLD && out.consumed == in->len)
		lab_broken("nothing is held");
	if (!alg_session_valid(&l->s))
		lab_broken("the session does not validate");
}

static void carry_out(struct lab *l, const struct alg_in *in)
{
	long n;

	check_out(l, in);
	for (unsigned int i = 0; i < ALG_R_COUNT; i++)
		l->count[i] += out.count[i];
	for (unsigned int i = 0; i < out.n_events; i++)
		event(l, &out.events[i]);
	n = alg_apply(&out, in->bytes, l->sent[in->dir] + l->sent_len[in->dir],
		      LAB_STREAM - l->sent_len[in->dir]);
	if (n < 0)
		lab_broken("the lab's stream is full");
	l->sent_len[in->dir] += (size_t)n;
	l->off |= out.verdict == ALG_OFF;
}

void lab_feed(struct lab *l, int dir, const void *bytes, size_t len, uint8_t flags)
{
	struct alg_in in = {.now_s = l->now, .dir = (uint8_t)dir, .flags = flags};
	size_t have = l->held_len[dir];

	if (!flat)
		flat = malloc(FLAT);
	if (!flat || have + len > FLAT)
		lab_broken("a piece of %zu bytes", len);
	/* A copy of the exact size: reading beyond it is seen by the sanitizer. */
	in.len = have + len;
	in.bytes = flat + FLAT - in.len;
	memcpy(flat + FLAT - in.len, l->held[dir], have);
	if (len)
		memcpy(flat + FLAT - len, bytes, len);
	do {
		alg_feed(&l->s, &in, &l->ops, &out);
		carry_out(l, &in);
		in.bytes += out.consumed;
		in.len -= out.consumed;
	} while (out.verdict == ALG_MORE);
	memcpy(l->held[dir], in.bytes, in.len);
	l->held_len[dir] = in.len;
}

void lab_end(struct lab *l)
{
	struct alg_in in = {.len = 0};

	alg_end(&l->s, &l->ops, &out);
	carry_out(l, &in);
	for (unsigned int i = 0; i < l->n_ports; i++)
		if (l->ports[i].state == LAB_RESERVED)
			lab_broken("port %u is still reserved", l->ports[i].port);
}
