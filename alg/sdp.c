// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* The addresses and ports of a session description (RFC 4566, 3605, 5761), where they
 * stand. libosip2 reads it too, and must find the same streams. */
#include <osipparser2/sdp_message.h>

#include "sip_int.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool starts(struct alg_text t, const char *word)
{
	return t.len >= strlen(word) && !strncasecmp(t.p, word, strlen(word));
}

/* The next line of *rest, its end left out. */
static bool next_line(struct alg_text *rest, struct alg_text *line)
{
	const char *end;

	if (!rest->len)
		return false;
	end = memchr(rest->p, '\n', rest->len);
	line->p = rest->p;
	line->len = end ? (size_t)(end - rest->p) : rest->len;
	rest->p += line->len + (end != NULL);
	rest->len -= line->len + (end != NULL);
	if (line->len && line->p[line->len - 1] == '\r')
		line->len--;
	return true;
}

/* The n-th word of a line, counted from 0, words one blank apart. */
static bool word(struct alg_text line, unsigned int n, struct alg_text *w)
{
	size_t at = 0;

	for (;; n--) {
		const char *end = memchr(line.p + at, ' ', line.len - at);
		size_t len = end ? (size_t)(end - line.p) - at : line.len - at;

		if (!n) {
			*w = (struct alg_text){line.p + at, len};
			return len > 0;
		}
		if (!end)
			return false;
		at += len + 1;
	}
}

static bool word_is(struct alg_text line, unsigned int n, const char *what)
{
	struct alg_text w;

	return word(line, n, &w) && w.len == strlen(what) && !memcmp(w.p, what, w.len);
}

static struct sdp_place place(const struct sip_msg *m, struct alg_text t)
{
	return (struct sdp_place){(size_t)(t.p - m->p), t.len};
}

/* "IN IP4 192.0.2.1" from the n-th word on. A name is no address: left alone. */
static bool net_addr(const struct sip_msg *m, struct alg_text line, unsigned int n,
		     struct sdp_place *where, struct alg_addr *a)
{
	struct alg_text w;

	if (!word(line, n + 2, &w))
		return false;
	if (!alg_addr_parse(w, a)) {
		memset(a, 0, sizeof(*a));
		return true;
	}
	if (!word_is(line, n + 1, a->family == 4 ? "IP4" : "IP6"))
		return false;
	*where = place(m, w);
	return true;
}

static bool port_word(struct alg_text t, unsigned int *port)
{
	return t.len && alg_number(t, port) == t.len;
}

/* m=audio 4000 RTP/AVP 0 */
static enum alg_reason stream_begins(const struct sip_msg *m, struct alg_text line, struct sdp *sdp)
{
	struct sdp_stream *s;
	struct alg_text port, proto;

	if (sdp->n == ALG_SIP_STREAMS)
		return ALG_R_FLOOD;
	s = &sdp->s[sdp->n++];
	if (!word(line, 1, &port) || !word(line, 2, &proto))
		return ALG_R_SYNTAX;
	if (!port_word(port, &s->port)) /* "4000/2": several pairs, which nobody offers */
		return port.p[0] >= '0' && port.p[0] <= '9' && !memchr(port.p, '/', port.len)
			       ? ALG_R_RANGE
			       : ALG_R_SYNTAX;
	s->m_port = place(m, port);
	s->no_rtcp = starts(proto, "udptl");
	s->udp = s->no_rtcp || starts(proto, "RTP/") || starts(proto, "UDP/");
	return ALG_R_NONE;
}

/* a=rtcp:53020 IN IP4 192.0.2.1, a=rtcp-mux */
static enum alg_reason attribute(const struct sip_msg *m, struct alg_text line,
				 struct sdp_stream *s)
{
	struct alg_text t, w;
	struct alg_addr a;

	if (line.len == 10 && starts(line, "a=rtcp-mux"))
		s->mux = true;
	if (!starts(line, "a=rtcp:"))
		return ALG_R_NONE;
	if (s->rtcp_port.len)
		return ALG_R_AMBIGUOUS;
	t = (struct alg_text){line.p + 7, line.len - 7};
	if (!word(t, 0, &w) || !port_word(w, &s->rtcp) || !s->rtcp)
		return ALG_R_RANGE;
	s->rtcp_port = place(m, w);
	if (t.len == w.len)
		return ALG_R_NONE;
	if (!net_addr(m, t, 1, &s->rtcp_addr, &a))
		return ALG_R_SYNTAX;
	/* RTCP elsewhere than RTP is nobody's real set-up, but a way to name a victim. */
	return s->rtcp_addr.len && !alg_addr_is(&a, &s->addr) ? ALG_R_OTHER_HOST : ALG_R_NONE;
}

static enum alg_reason connection(const struct sip_msg *m, struct alg_text line, struct sdp *sdp)
{
	struct sdp_stream *s = sdp->n ? &sdp->s[sdp->n - 1] : NULL;
	struct sdp_place *where = s ? &s->c_addr : &sdp->c_addr;
	struct alg_text t = {line.p + 2, line.len - 2};

	if (where->len)
		return ALG_R_AMBIGUOUS;
	return net_addr(m, t, 0, where, s ? &s->addr : &sdp->addr) ? ALG_R_NONE : ALG_R_SYNTAX;
}

static enum alg_reason one_line(const struct sip_msg *m, struct alg_text line, struct sdp *sdp)
{
	struct alg_text t = {line.p + 2, line.len - 2};

	switch (line.p[0]) {
	case 'o':
		if (sdp->o_addr.len)
			return ALG_R_AMBIGUOUS;
		return net_addr(m, t, 3, &sdp->o_addr, &sdp->origin) ? ALG_R_NONE : ALG_R_SYNTAX;
	case 'c':
		return connection(m, line, sdp);
	case 'm': {
		enum alg_reason why = stream_begins(m, t.len ? line : t, sdp);

		if (!why)
			sdp->s[sdp->n - 1].addr = sdp->addr;
		return why;
	}
	case 'a':
		return sdp->n ? attribute(m, line, &sdp->s[sdp->n - 1]) : ALG_R_NONE;
	default:
		return ALG_R_NONE;
	}
}

/* libosip2 must find the same streams with the same ports. */
static enum alg_reason osip_agrees(struct alg_text body, const struct sdp *sdp)
{
	enum alg_reason why = ALG_R_NONE;
	char *copy = strndup(body.p, body.len);
	sdp_message_t *o = NULL;

	if (!copy || sdp_message_init(&o) || sdp_message_parse(o, copy) ||
	    osip_list_size(&o->m_medias) != (int)sdp->n)
		why = ALG_R_SYNTAX;
	for (unsigned int i = 0; !why && i < sdp->n; i++) {
		const sdp_media_t *media = osip_list_get(&o->m_medias, (int)i);
		struct alg_text port;
		unsigned int v;

		port = (struct alg_text){media->m_port, media->m_port ? strlen(media->m_port) : 0};
		if (!port_word(port, &v) || v != sdp->s[i].port)
			why = ALG_R_SYNTAX;
	}
	if (o)
		sdp_message_free(o);
	free(copy);
	return why;
}

static enum alg_reason sdp_parse(const struct sip_msg *m, struct alg_text body, struct sdp *sdp)
{
	struct alg_text rest = body, line;
	enum alg_reason why;

	if (memchr(body.p, 0, body.len))
		return ALG_R_NUL;
	if (!starts(body, "v="))
		return ALG_R_SYNTAX;
	while (next_line(&rest, &line)) {
		if (memchr(line.p, '\r', line.len))
			return ALG_R_BARE_CR;
		if (!line.len && !rest.len)
			break;
		if (line.len < 2 || line.p[1] != '=')
			return ALG_R_SYNTAX;
		why = one_line(m, line, sdp);
		if (why)
			return why;
	}
	return osip_agrees(body, sdp);
}

/* The header of a part up to its empty line; is it SDP? *len: what it takes. */
static bool part_is_sdp(struct alg_text part, size_t *len)
{
	struct alg_text rest = part, line;
	bool is = false;

	while (next_line(&rest, &line)) {
		if (!line.len)
			break;
		if (starts(line, "content-type:"))
			is = starts(sip_trim((struct alg_text){line.p + 13, line.len - 13}),
				    "application/sdp");
	}
	*len = part.len - rest.len;
	return is;
}

static bool boundary_of(const struct sip_msg *m, struct alg_text *b)
{
	const struct sip_header *h = &m->h[m->content_type];

	if (!sip_param((struct alg_text){m->p + h->off, h->len}, "boundary", b))
		return false;
	if (b->len >= 2 && b->p[0] == '"' && b->p[b->len - 1] == '"')
		*b = (struct alg_text){b->p + 1, b->len - 2};
	return b->len > 0 && b->len <= 70; /* RFC 2046 5.1.1 */
}

/* Where a line begins with two dashes and the boundary; the text's length if nowhere. */
static size_t find_boundary(struct alg_text t, struct alg_text b, size_t from)
{
	for (size_t i = from; i + 2 + b.len <= t.len; i++)
		if (t.p[i] == '-' && t.p[i + 1] == '-' && !memcmp(t.p + i + 2, b.p, b.len) &&
		    (!i || t.p[i - 1] == '\n'))
			return i;
	return t.len;
}

/* The one part that is SDP. */
static enum alg_reason in_multipart(const struct sip_msg *m, struct alg_text body,
				    struct alg_text *sdp)
{
	struct alg_text b;
	size_t at;

	sdp->len = 0;
	if (!boundary_of(m, &b))
		return ALG_R_SYNTAX;
	at = find_boundary(body, b, 0);
	while (at < body.len) {
		size_t end = find_boundary(body, b, at + 2), head;
		const char *nl = memchr(body.p + at, '\n', end - at);
		struct alg_text part;

		if (!nl || end == body.len) /* the last boundary, or a part without end */
			break;
		part = (struct alg_text){nl + 1, (size_t)(body.p + end - nl) - 1};
		if (part_is_sdp(part, &head)) {
			if (sdp->len)
				return ALG_R_AMBIGUOUS;
			*sdp = (struct alg_text){part.p + head, part.len - head};
		}
		at = end;
	}
	return ALG_R_NONE;
}

enum alg_reason sdp_find(const struct sip_msg *m, struct sdp *sdp)
{
	struct alg_text body = {m->p + m->head, m->body_len}, part = body;
	const struct sip_header *type;
	enum alg_reason why = ALG_R_NONE;

	memset(sdp, 0, sizeof(*sdp));
	if (!body.len || !sip_body_matters(m))
		return why;
	for (unsigned int i = 0; i < m->n; i++)
		if (m->h[i].name == SIP_H_CONTENT_ENCODING)
			return ALG_R_SYNTAX; /* packed: cannot be read */
	type = &m->h[m->content_type];
	if (!starts((struct alg_text){m->p + type->off, type->len}, "application/sdp"))
		why = in_multipart(m, body, &part);
	if (!why && part.len)
		why = sdp_parse(m, part, sdp);
	if (why)
		sdp->n = 0;
	return why;
}
