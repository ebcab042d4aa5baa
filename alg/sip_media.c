// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Streams: their external ports, their text and their expectations. */
#include "sip_int.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define TIMEOUT_MEDIA 180 /* s until the first packet; every new agreement renews it */

static const struct alg_addr nobody4 = {{0}, 4}, nobody6 = {{0}, 6};

/* Multicast, loopback, this network, broadcast: no peer has such an address. */
static bool addr_usable(const struct alg_addr *a)
{
	const uint8_t *b = (const uint8_t *)a->addr;
	static const uint8_t loopback6[16] = {[15] = 1};

	if (a->family == 4)
		return b[0] && b[0] != 127 && b[0] < 224;
	if (a->family != 6)
		return false;
	return b[0] != 0xff && memcmp(b, nobody6.addr, 16) && memcmp(b, loopback6, 16) &&
	       !(b[0] == 0xfe && (b[1] & 0xc0) == 0x80);
}

bool sip_media_same(const struct alg_sip_media *a, const struct alg_sip_media *b)
{
	return a->family == b->family && !memcmp(a->addr, b->addr, sizeof(a->addr)) &&
	       a->port == b->port && a->rtcp == b->rtcp;
}

static void give_back(struct alg_run *r, const struct alg_sip_media *m, uint16_t port)
{
	r->ops->unport(r->ops->ctx, m->ext_addr, m->family, IPPROTO_UDP, port);
}

static bool keeps(const struct alg_sip_media *kept, uint8_t flag, uint16_t port)
{
	if (!kept || !(kept->flags & flag))
		return false;
	return port == (flag == ALG_SM_RESERVED ? kept->ext : kept->ext_rtcp);
}

void sip_media_drop(struct alg_run *r, struct alg_sip_media *m, const struct alg_sip_media *kept,
		    const struct alg_sip_media *kept2)
{
	static const uint8_t flags[] = {ALG_SM_RESERVED, ALG_SM_RESERVED2};

	for (int i = 0; i < 2; i++) {
		uint16_t port = i ? m->ext_rtcp : m->ext;

		if ((m->flags & flags[i]) && !keeps(kept, flags[i], port) &&
		    !keeps(kept2, flags[i], port))
			give_back(r, m, port);
	}
	memset(m, 0, sizeof(*m));
}

/* Was this port of the speaker mapped before in this call? Then it stays so. */
static const struct alg_sip_media *mapped_before(const struct alg_sip_call *c, int dir,
						 unsigned int i, const struct alg_sip_media *m)
{
	const struct alg_sip_media *old = &c->agreed[dir][i];

	if (c->offer_state == ALG_SIP_OFFERED && c->offer_dir == dir && c->offer[i].port)
		old = &c->offer[i];
	return sip_media_same(old, m) && (old->flags & ALG_SM_OWN) ? old : NULL;
}

static bool reserve(struct alg_run *r, struct alg_sip_media *m)
{
	bool pair = m->rtcp == m->port + 1;

	m->ext = r->ops->port(r->ops->ctx, m->ext_addr, m->family, IPPROTO_UDP, m->port, pair);
	if (!m->ext)
		return false;
	m->flags |= ALG_SM_RESERVED;
	if (pair) {
		m->ext_rtcp = m->ext + 1;
	} else if (m->rtcp) {
		m->ext_rtcp = r->ops->port(r->ops->ctx, m->ext_addr, m->family, IPPROTO_UDP,
					   m->rtcp, false);
		if (!m->ext_rtcp)
			return false;
	}
	if (m->ext_rtcp)
		m->flags |= ALG_SM_RESERVED2;
	return true;
}

/* Another caller behind this NAT, of whom we have told the outside: media goes straight. */
static void direct(struct alg_run *r, struct alg_sip_media *m)
{
	__be32 inside[4];
	uint16_t port;

	if (!r->ops->known || !m->port ||
	    !r->ops->known(r->ops->ctx, m->addr, m->family, IPPROTO_UDP, m->port, inside, &port) ||
	    port < ALG_PORT_MIN)
		return;
	memcpy(m->addr, inside, sizeof(inside));
	memcpy(m->ext_addr, inside, sizeof(inside));
	if (m->rtcp)
		m->rtcp = m->ext_rtcp = (uint16_t)(port + 1);
	m->port = m->ext = port;
	m->flags |= ALG_SM_DIRECT;
}

/* The stream as said, not translated. 0 or why nothing may be opened for it. */
static enum alg_reason stream(const struct alg_run *r, const struct sdp_stream *s,
			      struct alg_sip_media *m)
{
	struct alg_addr own;

	memset(m, 0, sizeof(*m));
	if (!s->port || !s->udp || !s->addr.family)
		return ALG_R_NONE; /* switched off, not UDP, or a name */
	if (s->port < ALG_PORT_MIN || (s->rtcp && s->rtcp < ALG_PORT_MIN))
		return ALG_R_PORT_LOW;
	if (s->port == 65535 && !s->rtcp && !s->mux)
		return ALG_R_RANGE;
	m->family = s->addr.family;
	m->port = m->ext = (uint16_t)s->port;
	if (!s->no_rtcp)
		m->rtcp = m->ext_rtcp = (uint16_t)(s->rtcp ? s->rtcp : s->port + 1);
	if (s->port == 65535 && !s->rtcp)
		m->rtcp = m->ext_rtcp = 0;
	m->flags = (s->mux ? ALG_SM_MUX : 0) | (s->no_rtcp ? ALG_SM_NO_RTCP : 0);
	memcpy(m->addr, s->addr.addr, sizeof(m->addr));
	memcpy(m->ext_addr, s->addr.addr, sizeof(m->ext_addr));
	if (alg_addr_is(&s->addr, &nobody4) || alg_addr_is(&s->addr, &nobody6)) {
		m->flags |= ALG_SM_HELD;
		return ALG_R_NONE;
	}
	alg_own(r->s, r->in->dir, &own);
	if (alg_addr_is(&s->addr, &own)) {
		m->flags |= ALG_SM_OWN;
		return ALG_R_NONE;
	}
	/* Who is behind NAT speaks for itself. Outside, media may be another machine's. */
	if (!addr_usable(&s->addr) || alg_translated(r->s, r->in->dir))
		return ALG_R_OTHER_HOST;
	return ALG_R_NONE;
}

/* On hold the old way (RFC 3264 8.4): the address of before still counts. */
static void held(struct alg_sip_media *m, const struct alg_sip_media *before)
{
	struct alg_sip_media old = *before;

	if (!(m->flags & ALG_SM_HELD) || !old.port || old.port != m->port)
		return;
	*m = old;
	m->flags |= ALG_SM_HELD;
}

static enum alg_reason translate(struct alg_run *r, const struct alg_sip_call *c, unsigned int i,
				 struct alg_sip_media *m)
{
	const struct alg_sip_media *old;
	struct alg_addr seen;

	if (m->flags & ALG_SM_HELD) {
		held(m, &c->agreed[r->in->dir][i]);
		return ALG_R_NONE;
	}
	if (!(m->flags & ALG_SM_OWN)) {
		if (m->port)
			direct(r, m);
		return ALG_R_NONE;
	}
	if (!alg_translated(r->s, r->in->dir))
		return ALG_R_NONE;
	old = mapped_before(c, r->in->dir, i, m);
	if (old) {
		uint8_t mux = m->flags & ALG_SM_MUX;

		*m = *old;
		m->flags = (uint8_t)((m->flags & ~(ALG_SM_MUX | ALG_SM_HELD)) | mux);
		return ALG_R_NONE;
	}
	alg_seen(r->s, r->in->dir, &seen);
	memcpy(m->ext_addr, seen.addr, sizeof(m->ext_addr));
	m->ext = m->ext_rtcp = 0;
	return reserve(r, m) ? ALG_R_NONE : ALG_R_NO_PORT;
}

enum alg_reason sip_media_read(struct alg_run *r, const struct alg_sip_call *c,
			       const struct sdp *sdp, struct alg_sip_media *to)
{
	enum alg_reason why = ALG_R_NONE;
	unsigned int i;

	memset(to, 0, ALG_SIP_STREAMS * sizeof(*to));
	for (i = 0; !why && i < sdp->n; i++)
		why = stream(r, &sdp->s[i], &to[i]);
	for (i = 0; !why && i < sdp->n; i++)
		why = translate(r, c, i, &to[i]);
	if (!why)
		return why;
	/* What was mapped before is not given back with it. */
	for (i = 0; i < ALG_SIP_STREAMS; i++)
		sip_media_drop(r, &to[i], &c->agreed[r->in->dir][i],
			       c->offer_dir == r->in->dir ? &c->offer[i] : NULL);
	return why;
}

static bool edit_at(struct alg_run *r, struct sip_msg *m, struct sdp_place where, const char *text,
		    size_t len)
{
	if (!where.len || (len == where.len && !memcmp(m->p + where.off, text, len)))
		return true;
	m->delta += (long)len - (long)where.len;
	return alg_edit(r, m->at + where.off, where.len, text, len);
}

static bool edit_addr(struct alg_run *r, struct sip_msg *m, struct sdp_place where,
		      const __be32 addr[4], uint8_t family)
{
	struct alg_addr a = {.family = family};
	char text[46];
	size_t len;

	memcpy(a.addr, addr, sizeof(a.addr));
	len = alg_addr_print(&a, text);
	return edit_at(r, m, where, text, len);
}

static bool edit_port(struct alg_run *r, struct sip_msg *m, struct sdp_place where,
		      unsigned int port)
{
	char text[8];
	int n = snprintf(text, sizeof(text), "%u", port & 0xffff);

	return edit_at(r, m, where, text, (size_t)n);
}

/* The address of the session's c= serves all streams that have none of their own. */
static const struct alg_sip_media *session_addr(const struct sdp *sdp,
						const struct alg_sip_media *streams)
{
	for (unsigned int i = 0; i < sdp->n; i++)
		if (streams[i].port && !sdp->s[i].c_addr.len && !(streams[i].flags & ALG_SM_HELD))
			return &streams[i];
	return NULL;
}

enum alg_reason sip_media_edit(struct alg_run *r, struct sip_msg *m, const struct sdp *sdp,
			       const struct alg_sip_media *streams)
{
	const struct alg_sip_media *common = session_addr(sdp, streams);
	struct alg_addr own, seen, o = sdp->origin;
	bool ok = true;

	for (unsigned int i = 0; i < sdp->n; i++) {
		const struct alg_sip_media *s = &streams[i];
		const struct sdp_stream *t = &sdp->s[i];
		bool hold = s->flags & ALG_SM_HELD;

		if (!s->port)
			continue;
		ok = ok && edit_port(r, m, t->m_port, s->ext);
		if (s->ext_rtcp)
			ok = ok && edit_port(r, m, t->rtcp_port, s->ext_rtcp);
		if (!hold)
			ok = ok && edit_addr(r, m, t->c_addr, s->ext_addr, s->family) &&
			     edit_addr(r, m, t->rtcp_addr, s->ext_addr, s->family);
	}
	alg_own(r->s, r->in->dir, &own);
	alg_seen(r->s, r->in->dir, &seen);
	/* A stream of none that we translate leaves the session's address as it is. */
	if (common)
		ok = ok && edit_addr(r, m, sdp->c_addr, common->ext_addr, common->family);
	else if (sdp->c_addr.len && alg_addr_is(&sdp->addr, &own))
		ok = ok && edit_addr(r, m, sdp->c_addr, seen.addr, seen.family);
	if (sdp->o_addr.len && alg_addr_is(&o, &own))
		ok = ok && edit_addr(r, m, sdp->o_addr, seen.addr, seen.family);
	return ok ? ALG_R_NONE : ALG_R_EDITS;
}

/* One expectation: dir's stream speaks to the other's. */
static void open_one(struct alg_run *r, int dir, const struct alg_sip_media *from,
		     const struct alg_sip_media *to, bool rtcp, uint32_t group)
{
	struct alg_end f = {{{0}, from->family}, {{0}, from->family}, 0, 0};
	struct alg_end t = {{{0}, to->family}, {{0}, to->family}, 0, 0};
	bool straight = (from->flags | to->flags) & ALG_SM_DIRECT;
	struct alg_expect *x;

	memcpy(f.own.addr, from->addr, 16);
	memcpy(f.shown.addr, straight ? from->addr : from->ext_addr, 16);
	memcpy(t.own.addr, to->addr, 16);
	memcpy(t.shown.addr, straight ? to->addr : to->ext_addr, 16);
	t.own_port = rtcp ? to->rtcp : to->port;
	t.shown_port = straight ? t.own_port : rtcp ? to->ext_rtcp : to->ext;
	/* Translated, the source must be the port that the other side was told. */
	if (memcmp(f.own.addr, f.shown.addr, 16)) {
		f.own_port = rtcp ? from->rtcp : from->port;
		f.shown_port = rtcp ? from->ext_rtcp : from->ext;
	}
	x = alg_expect(r, dir, IPPROTO_UDP, &f, &t, group);
	if (!x)
		return;
	x->class = rtcp ? ALG_CLASS_RTCP : ALG_CLASS_RTP;
	x->timeout_s = TIMEOUT_MEDIA;
	if (!(to->flags & ALG_SM_OWN))
		x->flags |= ALG_X_POLICY;
}

/* Held from the beginning, a stream has no address yet. */
static bool somewhere(const struct alg_sip_media *m)
{
	return memcmp(m->addr, nobody6.addr, sizeof(m->addr)) != 0;
}

void sip_media_open(struct alg_run *r, struct alg_sip_call *c, unsigned int i)
{
	struct alg_sip_media *a = &c->agreed[CT_ORIG][i], *b = &c->agreed[CT_REPLY][i];
	bool mux = a->flags & b->flags & ALG_SM_MUX;
	bool straight = (a->flags | b->flags) & ALG_SM_DIRECT;
	bool rtcp = !mux && a->rtcp && b->rtcp;

	if (!a->port || !b->port || a->family != b->family || !somewhere(a) || !somewhere(b))
		return;
	open_one(r, CT_ORIG, a, b, false, c->group + i);
	open_one(r, CT_REPLY, b, a, false, c->group + i);
	if (rtcp) {
		open_one(r, CT_ORIG, a, b, true, c->group + i);
		open_one(r, CT_REPLY, b, a, true, c->group + i);
	}
	c->opened |= (uint8_t)(1U << i);
	if (straight)
		return; /* what was reserved is given back when the call ends */
	a->flags &= (uint8_t)~ALG_SM_RESERVED;
	b->flags &= (uint8_t)~ALG_SM_RESERVED;
	if (rtcp) {
		a->flags &= (uint8_t)~ALG_SM_RESERVED2;
		b->flags &= (uint8_t)~ALG_SM_RESERVED2;
	}
}
