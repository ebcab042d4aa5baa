// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Addresses in the header. The speaker's own address becomes what the listener sees;
 * the address under which the speaker knows the listener becomes the listener's own.
 * So each side only ever reads addresses that mean something where it stands, and
 * a response carries the Via that its request had.
 */
#include "sip_int.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

bool sip_map(const struct alg_run *r, struct alg_addr *a, unsigned int *port)
{
	int d = r->in->dir;
	const struct ct_tuple *t = r->s->tuple;
	unsigned int p = *port ? *port : SIP_PORT;
	const struct alg_sip_binding *b;
	struct alg_addr own, known;

	alg_own(r->s, d, &own);
	alg_seen(r->s, !d, &known); /* the listener as the speaker knows it */
	if (alg_translated(r->s, d) && alg_addr_is(a, &own)) {
		alg_seen(r->s, d, a);
		b = sip_binding(&r->s->sip, d, p, 0);
		if (p == ntohs(t[d].sport))
			p = ntohs(t[!d].dport);
		else if (b)
			p = b->ext;
	} else if (alg_translated(r->s, !d) && alg_addr_is(a, &known)) {
		alg_own(r->s, !d, a);
		b = sip_binding(&r->s->sip, !d, 0, p);
		if (p == ntohs(t[d].dport))
			p = ntohs(t[!d].sport);
		else if (b)
			p = b->port;
	} else {
		return false;
	}
	if (*port || p != SIP_PORT)
		*port = p;
	return true;
}

static bool edit_hostport(struct alg_run *r, const struct sip_msg *m, const struct sip_hostport *hp)
{
	char text[64], host[46];
	struct alg_addr a;
	unsigned int port = hp->port;
	int n;

	if (!alg_addr_parse(hp->host, &a) || !sip_map(r, &a, &port))
		return true;
	alg_addr_print(&a, host);
	n = snprintf(text, sizeof(text), a.family == 6 ? "[%s]" : "%s", host);
	if (port)
		n += snprintf(text + n, sizeof(text) - (size_t)n, ":%u", port & 0xffff);
	if ((size_t)n == hp->whole.len && !memcmp(text, hp->whole.p, hp->whole.len))
		return true;
	return alg_edit(r, m->at + (size_t)(hp->whole.p - m->p), hp->whole.len, text, (size_t)n);
}

static bool same_host(struct alg_text host, const char *osip)
{
	return osip && strlen(osip) == host.len && !memcmp(osip, host.p, host.len);
}

/* ;received= and ;rport= say how the request was seen (RFC 3261 18.2.1, 3581). */
static bool edit_received(struct alg_run *r, const struct sip_msg *m, struct alg_text part)
{
	struct alg_text received, rport;
	unsigned int port = ntohs(r->s->tuple[r->in->dir].dport);
	bool has_port = sip_param(part, "rport", &rport) && alg_number(rport, &port) == rport.len &&
			rport.len && port;
	struct alg_addr a;
	char text[64];
	size_t n;

	if (!sip_param(part, "received", &received))
		return true;
	if (received.len > 2 && received.p[0] == '[' && received.p[received.len - 1] == ']')
		received = (struct alg_text){received.p + 1, received.len - 2};
	if (!alg_addr_parse(received, &a) || !sip_map(r, &a, &port))
		return true;
	n = alg_addr_print(&a, text);
	if (!alg_edit(r, m->at + (size_t)(received.p - m->p), received.len, text, n))
		return false;
	n = (size_t)snprintf(text, sizeof(text), "%u", port & 0xffff);
	if (!has_port || (n == rport.len && !memcmp(text, rport.p, n)))
		return true;
	return alg_edit(r, m->at + (size_t)(rport.p - m->p), rport.len, text, n);
}

static enum alg_reason edit_via(struct alg_run *r, const struct sip_msg *m, struct alg_text value,
				int *index)
{
	struct alg_text part;
	size_t at = 0;

	while (sip_next_part(value, &at, &part)) {
		const osip_via_t *via = osip_list_get(&m->osip->vias, (*index)++);
		struct sip_hostport hp;

		if (!via || !sip_find_via(part, &hp) || !same_host(hp.host, via->host))
			return ALG_R_SYNTAX;
		if (!edit_hostport(r, m, &hp) || !edit_received(r, m, part))
			return ALG_R_EDITS;
	}
	return ALG_R_NONE;
}

/* What is registered without a port of ours stays as it is: its external form would be nobody's. */
static bool contact_homeless(const struct alg_run *r, const struct sip_msg *m,
			     const struct sip_hostport *hp)
{
	unsigned int port = hp->port ? hp->port : SIP_PORT;
	struct alg_addr own, a;

	alg_own(r->s, r->in->dir, &own);
	return m->method == SIP_REGISTER && !m->status && alg_addr_parse(hp->host, &a) &&
	       alg_addr_is(&a, &own) && port != ntohs(r->s->tuple[r->in->dir].sport) &&
	       !sip_binding(&r->s->sip, r->in->dir, port, 0);
}

static enum alg_reason edit_contact(struct alg_run *r, const struct sip_msg *m,
				    struct alg_text value, int *index)
{
	struct alg_text part;
	size_t at = 0;

	while (sip_next_part(value, &at, &part)) {
		const osip_contact_t *c = osip_list_get(&m->osip->contacts, (*index)++);
		struct sip_hostport hp;

		if (!c)
			return ALG_R_SYNTAX;
		if (!sip_find_uri(part, &hp))
			continue;
		if (!c->url || !same_host(hp.host, c->url->host))
			return ALG_R_SYNTAX;
		if (!contact_homeless(r, m, &hp) && !edit_hostport(r, m, &hp))
			return ALG_R_EDITS;
	}
	return ALG_R_NONE;
}

static enum alg_reason edit_uris(struct alg_run *r, const struct sip_msg *m, struct alg_text value)
{
	struct sip_hostport hp;
	struct alg_text part;
	size_t at = 0;

	while (sip_next_part(value, &at, &part))
		if (sip_find_uri(part, &hp) && !edit_hostport(r, m, &hp))
			return ALG_R_EDITS;
	return ALG_R_NONE;
}

static enum alg_reason edit_start(struct alg_run *r, const struct sip_msg *m)
{
	const char *first = memchr(m->p, ' ', m->start_len);
	struct sip_hostport hp;
	struct alg_text uri;
	const char *end;

	if (m->status)
		return ALG_R_NONE;
	if (!first)
		return ALG_R_SYNTAX;
	first++;
	end = memchr(first, ' ', m->start_len - (size_t)(first - m->p));
	if (!end)
		return ALG_R_SYNTAX;
	uri = (struct alg_text){first, (size_t)(end - first)};
	if (!sip_find_uri(uri, &hp))
		return ALG_R_NONE;
	if (!m->osip->req_uri || !same_host(hp.host, m->osip->req_uri->host))
		return ALG_R_SYNTAX;
	return edit_hostport(r, m, &hp) ? ALG_R_NONE : ALG_R_EDITS;
}

static enum alg_reason edit_all(struct alg_run *r, const struct sip_msg *m)
{
	enum alg_reason why = edit_start(r, m);
	int vias = 0, contacts = 0;

	for (unsigned int i = 0; !why && i < m->n; i++) {
		const struct sip_header *h = &m->h[i];
		struct alg_text value = {m->p + h->off, h->len};

		if (h->name == SIP_H_VIA)
			why = edit_via(r, m, value, &vias);
		else if (h->name == SIP_H_CONTACT)
			why = edit_contact(r, m, value, &contacts);
		else if (h->name == SIP_H_FROM || h->name == SIP_H_TO || h->name == SIP_H_URIS)
			why = edit_uris(r, m, value);
		if (r->out->n_edits - m->first_edit > SIP_EDITS_MAX)
			why = ALG_R_EDITS;
	}
	if (!why && vias != osip_list_size(&m->osip->vias))
		why = ALG_R_SYNTAX;
	return why;
}

enum alg_reason sip_edit_head(struct alg_run *r, struct sip_msg *m)
{
	enum alg_reason why;

	m->first_edit = r->out->n_edits;
	why = edit_all(r, m);
	if (why)
		r->out->n_edits = (uint16_t)m->first_edit;
	return why;
}

bool sip_edit_length(struct alg_run *r, const struct sip_msg *m)
{
	const struct sip_header *h;
	char text[24];
	int n;

	if (!m->delta || m->content_length < 0)
		return true;
	h = &m->h[m->content_length];
	n = snprintf(text, sizeof(text), "%ld", (long)m->body_len + m->delta);
	return alg_edit(r, m->at + h->off, h->len, text, (size_t)n);
}
