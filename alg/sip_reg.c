// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Registrations (RFC 3261 10). A contact that the registrar has accepted must be
 * reachable for as long as it is registered, also when the connection that
 * registered it is long idle: a permanent expectation from the registrar's address.
 */
#include "sip_int.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#define EXPIRES_DEFAULT 3600
#define EXPIRES_MAX	86400

/* By the contact's port (ext 0), or by what the registrar knows (port 0). */
struct alg_sip_binding *sip_binding(struct alg_sip *sip, int dir, unsigned int port,
				    unsigned int ext)
{
	for (int i = 0; i < ALG_SIP_BINDINGS; i++) {
		struct alg_sip_binding *b = &sip->bindings[i];

		if (b->port && b->dir == dir && (port ? b->port == port : b->ext == ext))
			return b;
	}
	return NULL;
}

static bool binding_used(const struct alg_sip *sip, unsigned int index)
{
	for (int i = 0; i < ALG_SIP_REGS; i++)
		if (sip->regs[i].id && sip->regs[i].binding == index)
			return true;
	return false;
}

static void binding_drop(struct alg_run *r, struct alg_sip_binding *b)
{
	struct alg_addr seen;

	if (b->reserved) {
		alg_seen(r->s, b->dir, &seen);
		r->ops->unport(r->ops->ctx, seen.addr, seen.family, r->s->tuple[0].proto, b->ext);
	}
	if (b->until)
		alg_event(r, ALG_WITHDRAW, b->group);
	memset(b, 0, sizeof(*b));
}

/* The registrar ended it, or never agreed. */
static void reg_drop(struct alg_run *r, struct alg_sip_reg *reg)
{
	unsigned int index = reg->binding;

	memset(reg, 0, sizeof(*reg));
	if (!binding_used(&r->s->sip, index))
		binding_drop(r, &r->s->sip.bindings[index]);
}

static bool external_port(struct alg_run *r, struct alg_sip_binding *b)
{
	const struct ct_tuple *t = r->s->tuple;
	struct alg_addr seen;

	if (!alg_translated(r->s, b->dir)) {
		b->ext = b->port;
	} else if (b->port == ntohs(t[b->dir].sport)) {
		b->ext = ntohs(t[!b->dir].dport); /* the master's own */
	} else {
		alg_seen(r->s, b->dir, &seen);
		b->ext = r->ops->port(r->ops->ctx, seen.addr, seen.family, t[0].proto, b->port,
				      false);
		b->reserved = b->ext != 0;
	}
	return b->ext >= ALG_PORT_MIN;
}

static enum alg_reason binding_for(struct alg_run *r, unsigned int port, unsigned int *index)
{
	struct alg_sip *sip = &r->s->sip;
	struct alg_sip_binding *b = sip_binding(sip, r->in->dir, port, 0);

	for (int i = 0; !b && i < ALG_SIP_BINDINGS; i++)
		if (!sip->bindings[i].port)
			b = &sip->bindings[i];
	if (!b)
		return ALG_R_FLOOD;
	*index = (unsigned int)(b - sip->bindings);
	if (b->port)
		return ALG_R_NONE;
	b->port = (uint16_t)port;
	b->dir = r->in->dir;
	if (!external_port(r, b)) {
		if (b->reserved)
			binding_drop(r, b);
		memset(b, 0, sizeof(*b));
		return ALG_R_NO_PORT;
	}
	b->group = ++sip->next_group;
	return ALG_R_NONE;
}

/* The first contact with the speaker's own address. False: none; *why may say more. */
static bool own_contact(const struct alg_run *r, const struct sip_msg *m, unsigned int *port,
			enum alg_reason *why)
{
	struct alg_addr own, a;

	alg_own(r->s, r->in->dir, &own);
	*why = ALG_R_NONE;
	for (unsigned int i = 0; i < m->n; i++) {
		struct alg_text value = {m->p + m->h[i].off, m->h[i].len}, part;
		size_t at = 0;

		if (m->h[i].name != SIP_H_CONTACT)
			continue;
		while (sip_next_part(value, &at, &part)) {
			struct sip_hostport hp;

			if (!sip_find_uri(part, &hp) || !alg_addr_parse(hp.host, &a))
				continue;
			*port = hp.port ? hp.port : SIP_PORT;
			if (!alg_is_speaker(r->s, r->in->dir, &a))
				*why = ALG_R_OTHER_HOST;
			else if (*port < ALG_PORT_MIN)
				*why = ALG_R_PORT_LOW;
			else if (alg_addr_is(&a, &own))
				return true;
		}
	}
	return false;
}

static struct alg_sip_reg *reg_find(struct alg_sip *sip, uint64_t id, int dir)
{
	for (int i = 0; i < ALG_SIP_REGS; i++)
		if (sip->regs[i].id == id && sip->regs[i].dir == dir)
			return &sip->regs[i];
	return NULL;
}

/* A free one, or one that is over: expired, or unanswered for a transaction's life. */
static struct alg_sip_reg *reg_free(struct alg_run *r)
{
	for (int i = 0; i < ALG_SIP_REGS; i++) {
		struct alg_sip_reg *reg = &r->s->sip.regs[i];

		if (reg->id && r->in->now_s > (reg->until ? reg->until : reg->at + 32))
			reg_drop(r, reg);
		if (!reg->id)
			return reg;
	}
	return NULL;
}

void sip_register(struct alg_run *r, struct sip_msg *m)
{
	struct alg_sip *sip = &r->s->sip;
	struct alg_sip_reg *reg = reg_find(sip, m->id, r->in->dir);
	enum alg_reason why = ALG_R_NONE;
	unsigned int port, index = 0;

	if (reg && m->cseq < reg->cseq) {
		alg_count(r, ALG_R_STALE);
		return;
	}
	if (own_contact(r, m, &port, &why)) {
		if (reg && sip->bindings[reg->binding].port != port) {
			reg_drop(r, reg); /* it has moved */
			reg = NULL;
		}
		if (!reg)
			reg = reg_free(r);
		why = reg ? ALG_R_NONE : ALG_R_FLOOD;
		if (!why && !reg->id)
			why = binding_for(r, port, &index);
		if (!why && !reg->id)
			*reg = (struct alg_sip_reg){
				.id = m->id, .binding = (uint8_t)index, .dir = r->in->dir};
	}
	if (why) {
		alg_count(r, why);
		return;
	}
	if (!reg)
		return; /* asks for what is registered, or has a name for an address */
	reg->cseq = m->cseq;
	reg->at = r->in->now_s;
	reg->pending = 1;
}

/* Expires header, at most nine digits; else what the standard says. */
static unsigned int expires_of(const struct sip_msg *m, struct alg_text param)
{
	struct alg_text t = param;
	unsigned int v = 0;

	for (unsigned int i = 0; !t.len && i < m->n; i++)
		if (m->h[i].name == SIP_H_EXPIRES)
			t = (struct alg_text){m->p + m->h[i].off, m->h[i].len};
	if (!t.len || t.len > 9)
		return t.len ? EXPIRES_MAX : EXPIRES_DEFAULT;
	for (size_t i = 0; i < t.len; i++) {
		if (t.p[i] < '0' || t.p[i] > '9')
			return EXPIRES_DEFAULT;
		v = v * 10 + (unsigned int)(t.p[i] - '0');
	}
	return v < EXPIRES_MAX ? v : EXPIRES_MAX;
}

/* How long the registrar keeps this contact; 0: it is not among those it lists. */
static unsigned int granted(const struct alg_run *r, const struct sip_msg *m,
			    const struct alg_sip_binding *b)
{
	struct alg_addr known, a;

	alg_seen(r->s, b->dir, &known);
	for (unsigned int i = 0; i < m->n; i++) {
		struct alg_text value = {m->p + m->h[i].off, m->h[i].len}, part;
		size_t at = 0;

		if (m->h[i].name != SIP_H_CONTACT)
			continue;
		while (sip_next_part(value, &at, &part)) {
			struct alg_text param = {NULL, 0};
			struct sip_hostport hp;

			if (!sip_find_uri(part, &hp) || !alg_addr_parse(hp.host, &a) ||
			    !alg_addr_is(&a, &known) || (hp.port ? hp.port : SIP_PORT) != b->ext)
				continue;
			sip_param(part, "expires", &param);
			return expires_of(m, param);
		}
	}
	return 0;
}

static void expect_calls(struct alg_run *r, struct alg_sip_binding *b, unsigned int seconds)
{
	struct alg_end from, to;
	struct alg_expect *x;

	alg_speaker_end(r->s, !b->dir, &from);
	alg_speaker_end(r->s, b->dir, &to);
	to.own_port = b->port;
	to.shown_port = b->ext;
	x = alg_expect(r, !b->dir, r->s->tuple[0].proto, &from, &to, b->group);
	if (!x)
		return;
	x->class = ALG_CLASS_SIP;
	x->flags |= ALG_X_PERMANENT;
	x->timeout_s = seconds;
	b->reserved = 0;
	b->until = r->in->now_s + seconds;
}

void sip_registered(struct alg_run *r, const struct sip_msg *m)
{
	struct alg_sip *sip = &r->s->sip;
	struct alg_sip_reg *reg = reg_find(sip, m->id, !r->in->dir);
	struct alg_sip_binding *b;
	unsigned int seconds;

	if (m->status < 200)
		return;
	if (!reg || !reg->pending || reg->cseq != m->cseq) {
		if (m->status < 300)
			alg_count(r, ALG_R_UNASKED);
		return;
	}
	reg->pending = 0;
	reg->at = r->in->now_s;
	if (m->status >= 300) { /* 401 and 423: the phone comes again with the same Call-ID */
		alg_count(r, ALG_R_REFUSED);
		if (!reg->until && m->status != 401 && m->status != 407 && m->status != 423)
			reg_drop(r, reg);
		return;
	}
	b = &sip->bindings[reg->binding];
	seconds = granted(r, m, b);
	if (!seconds) {
		reg_drop(r, reg);
		return;
	}
	reg->until = r->in->now_s + seconds;
	/* Two accounts of one phone share the port: it stays open for the longer one. */
	if (reg->until < b->until)
		seconds = (unsigned int)(b->until - r->in->now_s);
	expect_calls(r, b, seconds);
}

/* What is registered outlives the connection that registered it; the rest goes back. */
void sip_regs_end(struct alg_run *r)
{
	for (int i = 0; i < ALG_SIP_BINDINGS; i++) {
		struct alg_sip_binding *b = &r->s->sip.bindings[i];

		if (b->port && !b->until)
			binding_drop(r, b);
	}
}
