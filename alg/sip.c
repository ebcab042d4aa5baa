// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * SIP (RFC 3261) over UDP and TCP: which bytes are a message, and who deals with it.
 * Over TCP only Content-Length says where the next message begins (18.3); where it
 * cannot be believed the helper leaves, since from then on anything may look like one.
 */
#include "sip_int.h"

#include <osipparser2/osip_port.h>

#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static const char *const methods[SIP_METHODS] = {
	[SIP_INVITE] = "INVITE", [SIP_ACK] = "ACK",	      [SIP_BYE] = "BYE",
	[SIP_CANCEL] = "CANCEL", [SIP_REGISTER] = "REGISTER", [SIP_UPDATE] = "UPDATE",
	[SIP_PRACK] = "PRACK",
};

static void no_trace(const char *file, int line, osip_trace_level_t level, const char *format,
		     va_list args)
{
	(void)file, (void)line, (void)level, (void)format, (void)args;
}

/* libosip2 has one table of header names, filled once, and talks to stdout unless told. */
static void library_begin(void)
{
	parser_init();
	osip_trace_initialize_func(OSIP_FATAL, no_trace);
}

void alg_sip_init(struct alg_sip *sip, uint64_t key)
{
	sip->key = key;
}

bool alg_sip_valid(const struct alg_sip *sip)
{
	for (int i = 0; i < 2; i++)
		if (sip->scanned[i] > SIP_MESSAGE_MAX || sip->need[i] > SIP_MESSAGE_MAX)
			return false;
	for (int i = 0; i < ALG_SIP_REGS; i++)
		if (sip->regs[i].dir > 1 || sip->regs[i].binding >= ALG_SIP_BINDINGS)
			return false;
	for (int i = 0; i < ALG_SIP_BINDINGS; i++) {
		const struct alg_sip_binding *b = &sip->bindings[i];

		if (b->dir > 1 || (b->port && (b->port < ALG_PORT_MIN || b->ext < ALG_PORT_MIN)))
			return false;
	}
	for (int i = 0; i < ALG_SIP_CALLS; i++) {
		const struct alg_sip_call *c = &sip->calls[i];

		if (c->offer_dir > 1 || c->invite_dir > 1 || c->bye > 2 ||
		    c->offer_state > ALG_SIP_ANSWERED || c->opened >> ALG_SIP_STREAMS)
			return false;
	}
	return true;
}

/* Who can make two Call-IDs collide is on the same signalling connection, and could as
 * well use one Call-ID for both. */
static uint64_t call_hash(uint64_t key, const char *text, const char *host)
{
	uint64_t h = key ^ 0xcbf29ce484222325ULL;

	for (; *text; text++)
		h = (h ^ (uint8_t)*text) * 0x100000001b3ULL;
	h = (h ^ '@') * 0x100000001b3ULL;
	for (; host && *host; host++)
		h = (h ^ (uint8_t)*host) * 0x100000001b3ULL;
	return h ? h : 1;
}

static enum sip_method method_of(const char *text)
{
	for (int i = SIP_OTHER + 1; text && i < SIP_METHODS; i++)
		if (!strcmp(text, methods[i]))
			return i;
	return SIP_OTHER;
}

/* The header as libosip2 reads it: it would also want the body, so the copy says 0. */
static int osip_parse(struct sip_msg *m)
{
	char copy[SIP_HEADER_MAX + 8];

	memcpy(copy, m->p, m->head);
	copy[m->head] = 0;
	if (m->content_length >= 0)
		memset(copy + m->h[m->content_length].off, '0', m->h[m->content_length].len);
	if (osip_message_init(&m->osip))
		return -1;
	return osip_message_parse(m->osip, copy, m->head);
}

/* What every message must have, and the same method in start line and CSeq. */
static enum alg_reason read_head(const struct alg_run *r, struct sip_msg *m)
{
	const osip_message_t *o;
	const char *end;
	unsigned long cseq;
	char *rest;

	if (osip_parse(m))
		return ALG_R_SYNTAX;
	o = m->osip;
	end = o->cseq ? o->cseq->number : NULL;
	if (!o->call_id || !o->call_id->number || !end || !o->cseq->method || !o->from || !o->to)
		return ALG_R_SYNTAX;
	cseq = strtoul(end, &rest, 10);
	if (*rest || end[0] < '0' || end[0] > '9')
		return ALG_R_SYNTAX;
	if (cseq > INT32_MAX) /* RFC 3261 8.1.1.5 */
		return ALG_R_RANGE;
	if (o->status_code && (o->status_code < 100 || o->status_code > 699))
		return ALG_R_RANGE;
	if (!o->status_code && (!o->sip_method || strcmp(o->sip_method, o->cseq->method)))
		return ALG_R_SYNTAX;
	m->status = o->status_code;
	m->method = method_of(o->cseq->method);
	m->cseq = (uint32_t)cseq;
	m->id = call_hash(r->s->sip.key, o->call_id->number, o->call_id->host);
	return ALG_R_NONE;
}

/* A whole message, or its header if the body does not matter. */
static void handle(struct alg_run *r, struct sip_msg *m, bool with_body)
{
	enum alg_reason why = read_head(r, m);
	struct sdp sdp = {.n = 0};

	if (!why && m->method == SIP_REGISTER && !m->status)
		sip_register(r, m);
	if (!why)
		why = sip_edit_head(r, m);
	if (!why && m->method == SIP_REGISTER && m->status)
		sip_registered(r, m);
	if (!why && m->method != SIP_REGISTER) {
		enum alg_reason body = with_body ? sdp_find(m, &sdp) : ALG_R_NONE;

		if (body)
			alg_count(r, body);
		sip_call(r, m, &sdp);
		sip_edit_length(r, m);
	}
	if (why)
		alg_count(r, why);
	osip_message_free(m->osip);
	m->osip = NULL;
}

static bool keepalive(struct alg_text t)
{
	for (size_t i = 0; i < t.len; i++)
		if (t.p[i] != '\r' && t.p[i] != '\n' && t.p[i])
			return false;
	return true;
}

/* End of the header from `from` on, the empty line included; 0: not there. */
static size_t header_end(struct alg_text t, size_t from)
{
	const char *end = memmem(t.p + from, t.len - from, "\r\n\r\n", 4);

	return end ? (size_t)(end - t.p) + 4 : 0;
}

static void datagram(struct alg_run *r)
{
	struct sip_msg m = {.p = (const char *)r->in->bytes};
	struct alg_text t = {m.p, r->in->len};
	struct alg_sip *sip = &r->s->sip;
	bool known, matters;
	enum alg_reason why;
	uint64_t len;

	r->out->consumed = t.len;
	if (keepalive(t))
		return;
	if (!sip_begins(t, &known) || (!known && !sip->begun[r->in->dir])) {
		if (!sip->begun[r->in->dir])
			alg_off(r, ALG_R_NOT_PROTOCOL);
		else
			alg_count(r, ALG_R_SYNTAX);
		return;
	}
	sip->begun[r->in->dir] = 1;
	m.head = header_end(t, 0);
	if (m.head > SIP_HEADER_MAX || (!m.head && t.len > SIP_HEADER_MAX))
		why = ALG_R_HEADER_LONG;
	else
		why = m.head ? sip_split(&m) : ALG_R_SYNTAX;
	if (!why && m.content_length >= 0 && (!sip_length(&m, &len) || len > t.len - m.head))
		why = ALG_R_RANGE;
	if (why) {
		alg_count(r, why);
		return;
	}
	m.body_len = m.content_length >= 0 ? (size_t)len : t.len - m.head;
	matters = sip_body_matters(&m) && m.body_len;
	if (matters && m.head + m.body_len > SIP_MESSAGE_MAX) {
		alg_count(r, ALG_R_BODY_LONG);
		matters = false;
	}
	handle(r, &m, matters);
}

/* What a stream may be at the beginning of a message. */
enum step { STEP_DONE, STEP_HOLD, STEP_OFF, STEP_MORE };

/* Is there room for all that one message may need? */
static bool room(const struct alg_out *out)
{
	return out->n_edits <= ALG_EDITS_MAX - SIP_EDITS_MAX - 20 &&
	       out->n_text <= ALG_TEXT_MAX - (SIP_EDITS_MAX + 20) * 48 &&
	       out->n_events <= ALG_EVENTS_MAX - 40;
}

static enum step off(struct alg_run *r, enum alg_reason why, enum alg_reason cause)
{
	if (cause)
		alg_count(r, cause);
	alg_off(r, why);
	return STEP_OFF;
}

/* The message that begins at *at; moves *at behind what is consumed of it. */
static enum step stream_message(struct alg_run *r, size_t *at)
{
	struct alg_sip *sip = &r->s->sip;
	int d = r->in->dir;
	struct sip_msg m = {.p = (const char *)r->in->bytes + *at, .at = *at};
	struct alg_text t = {m.p, r->in->len - *at};
	size_t from = sip->scanned[d] > 3 ? sip->scanned[d] - 3 : 0;
	enum alg_reason why;
	bool known, matters;
	uint64_t len;

	if (!sip_begins(t, &known) || (!known && !sip->begun[d] && t.len >= 12))
		return off(r, sip->begun[d] ? ALG_R_FRAMING : ALG_R_NOT_PROTOCOL, ALG_R_NONE);
	if (sip->need[d] && t.len < sip->need[d])
		return STEP_HOLD;
	m.head = header_end(t, from < t.len ? from : 0);
	if (m.head > SIP_HEADER_MAX || (!m.head && t.len > SIP_HEADER_MAX))
		return off(r, ALG_R_FRAMING, ALG_R_HEADER_LONG);
	if (!m.head) {
		sip->scanned[d] = (uint32_t)t.len;
		return STEP_HOLD;
	}
	sip->scanned[d] = 0;
	if (!room(r->out))
		return STEP_MORE;
	why = sip_split(&m);
	if (why || !sip_length(&m, &len))
		return off(r, ALG_R_FRAMING, why);
	matters = sip_body_matters(&m) && len;
	if (matters && m.head + len > SIP_MESSAGE_MAX) {
		alg_count(r, ALG_R_BODY_LONG);
		matters = false;
	}
	if (matters && t.len < m.head + len) {
		sip->need[d] = (uint32_t)(m.head + len);
		return STEP_HOLD;
	}
	m.body_len = (size_t)len;
	sip->begun[d] = 1;
	sip->need[d] = 0;
	handle(r, &m, matters);
	*at += m.head;
	sip->body_left[d] = len;
	return STEP_DONE;
}

static void stream(struct alg_run *r)
{
	uint64_t *body = &r->s->sip.body_left[r->in->dir];
	const uint8_t *b = r->in->bytes;
	size_t at = 0;
	enum step step;

	for (;;) {
		size_t n = r->in->len - at < *body ? r->in->len - at : (size_t)*body;

		at += n;
		*body -= n;
		while (!*body && at < r->in->len && (b[at] == '\r' || b[at] == '\n'))
			at++; /* between messages: keep-alives (RFC 5626) */
		if (at == r->in->len)
			break;
		step = stream_message(r, &at);
		if (step == STEP_OFF)
			return;
		if (step == STEP_DONE)
			continue;
		r->out->verdict = step == STEP_HOLD ? ALG_HOLD : ALG_MORE;
		break;
	}
	if (r->out->verdict == ALG_HOLD && (r->in->flags & ALG_F_EOF)) {
		alg_off(r, ALG_R_FRAMING); /* nothing will complete it */
		return;
	}
	r->out->consumed = at;
}

void alg_sip_feed(struct alg_run *r)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, library_begin);
	if (r->in->flags & ALG_F_DATAGRAM)
		datagram(r);
	else
		stream(r);
}

void alg_sip_end(struct alg_run *r)
{
	sip_calls_end(r);
	sip_regs_end(r);
}
