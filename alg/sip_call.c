// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Calls: which SDP is an offer and which the answer to it (RFC 3261 13.2.1, 3264,
 * 3311, 3262). Media opens when both are there, between the two of them, and closes
 * with the call. What fits no offer opens nothing.
 */
#include "sip_int.h"

#include <string.h>

#define SETUP_MAX 180	/* s: a call that is not answered by then may lose its place */
#define CALL_MAX  86400 /* s without a word: its BYE was never seen */

static struct alg_sip_call *call_find(struct alg_sip *sip, uint64_t id)
{
	for (int i = 0; i < ALG_SIP_CALLS; i++)
		if (sip->calls[i].id == id)
			return &sip->calls[i];
	return NULL;
}

static void offer_drop(struct alg_run *r, struct alg_sip_call *c, const struct alg_sip_media *kept)
{
	for (int i = 0; i < ALG_SIP_STREAMS; i++)
		sip_media_drop(r, &c->offer[i], &c->agreed[c->offer_dir][i],
			       kept ? &kept[i] : NULL);
}

static void call_close(struct alg_run *r, struct alg_sip_call *c)
{
	offer_drop(r, c, NULL);
	for (unsigned int i = 0; i < ALG_SIP_STREAMS; i++) {
		if (c->opened & 1U << i)
			alg_event(r, ALG_CLOSE, c->group + i);
		sip_media_drop(r, &c->agreed[CT_ORIG][i], NULL, NULL);
		sip_media_drop(r, &c->agreed[CT_REPLY][i], NULL, NULL);
	}
	memset(c, 0, sizeof(*c));
}

static struct alg_sip_call *call_new(struct alg_run *r, uint64_t id)
{
	struct alg_sip *sip = &r->s->sip;

	for (int i = 0; i < ALG_SIP_CALLS; i++) {
		struct alg_sip_call *c = &sip->calls[i];
		unsigned int max = c->confirmed && !c->bye ? CALL_MAX : SETUP_MAX;

		if (c->id && r->in->now_s > c->at + max)
			call_close(r, c);
		if (c->id)
			continue;
		c->id = id;
		c->group = sip->next_group + 1;
		sip->next_group += ALG_SIP_STREAMS;
		return c;
	}
	return NULL;
}

static bool all_same(const struct alg_sip_media *a, const struct alg_sip_media *b)
{
	for (int i = 0; i < ALG_SIP_STREAMS; i++)
		if (!sip_media_same(&a[i], &b[i]))
			return false;
	return true;
}

/* Reads and edits; what was reserved for it is given back when that fails. */
static enum alg_reason read_and_edit(struct alg_run *r, struct sip_msg *m, const struct sdp *sdp,
				     const struct alg_sip_call *c, struct alg_sip_media *s)
{
	uint16_t mark = r->out->n_edits;
	enum alg_reason why = sip_media_read(r, c, sdp, s);

	if (why)
		return why;
	why = sip_media_edit(r, m, sdp, s);
	if (!why)
		return why;
	r->out->n_edits = mark;
	m->delta = 0;
	for (int i = 0; i < ALG_SIP_STREAMS; i++)
		sip_media_drop(r, &s[i], &c->agreed[r->in->dir][i],
			       c->offer_dir == r->in->dir ? &c->offer[i] : NULL);
	return why;
}

/* The same message again must get the same text again, and nothing more. */
static enum alg_reason offer_again(struct alg_run *r, struct sip_msg *m, const struct sdp *sdp,
				   struct alg_sip_call *c)
{
	const struct alg_sip_media *old =
		c->offer_state == ALG_SIP_OFFERED ? c->offer : c->agreed[c->offer_dir];
	struct alg_sip_media s[ALG_SIP_STREAMS];
	uint16_t mark = r->out->n_edits;
	enum alg_reason why = read_and_edit(r, m, sdp, c, s);

	if (why || all_same(s, old))
		return why;
	r->out->n_edits = mark;
	m->delta = 0;
	for (int i = 0; i < ALG_SIP_STREAMS; i++)
		sip_media_drop(r, &s[i], &c->agreed[r->in->dir][i], &c->offer[i]);
	return ALG_R_CHANGED;
}

static enum alg_reason offer(struct alg_run *r, struct sip_msg *m, const struct sdp *sdp,
			     struct alg_sip_call *c, bool in_reply)
{
	struct alg_sip_media s[ALG_SIP_STREAMS];
	enum alg_reason why;

	if (c->offer_state != ALG_SIP_NO_OFFER && c->offer_dir == r->in->dir &&
	    c->offer_cseq == m->cseq && c->offer_in_reply == in_reply)
		return offer_again(r, m, sdp, c);
	/* Both offer at once: the second is answered with 491 (RFC 3261 14.2). */
	if (c->offer_state == ALG_SIP_OFFERED && c->offer_dir != r->in->dir && c->confirmed)
		return ALG_R_UNASKED;
	why = read_and_edit(r, m, sdp, c, s);
	if (why)
		return why;
	offer_drop(r, c, c->offer_dir == r->in->dir ? s : NULL);
	memcpy(c->offer, s, sizeof(s));
	c->offer_dir = r->in->dir;
	c->offer_state = ALG_SIP_OFFERED;
	c->offer_cseq = m->cseq;
	c->offer_in_reply = in_reply;
	c->offer_method = (uint8_t)m->method;
	return ALG_R_NONE;
}

/* Stream i is agreed upon anew; what it was before ends if it was something else. */
static void agree(struct alg_run *r, struct alg_sip_call *c, unsigned int i,
		  const struct alg_sip_media *offered, const struct alg_sip_media *answered)
{
	struct alg_sip_media *a = &c->agreed[c->offer_dir][i], *b = &c->agreed[!c->offer_dir][i];
	bool same = sip_media_same(a, offered) && sip_media_same(b, answered);

	if ((c->opened & 1U << i) && !same) {
		alg_event(r, ALG_CLOSE, c->group + i);
		c->opened &= (uint8_t) ~(1U << i);
	}
	sip_media_drop(r, a, offered, NULL);
	sip_media_drop(r, b, answered, NULL);
	*a = *offered;
	*b = *answered;
	sip_media_open(r, c, i);
}

static enum alg_reason answer(struct alg_run *r, struct sip_msg *m, const struct sdp *sdp,
			      struct alg_sip_call *c)
{
	const struct alg_sip_media *from =
		c->offer_state == ALG_SIP_OFFERED ? c->offer : c->agreed[c->offer_dir];
	struct alg_sip_media s[ALG_SIP_STREAMS], offered[ALG_SIP_STREAMS];
	enum alg_reason why = read_and_edit(r, m, sdp, c, s);

	if (why)
		return why;
	if (c->offer_state == ALG_SIP_ANSWERED && all_same(s, c->agreed[r->in->dir]))
		return ALG_R_NONE; /* 200 after 183, or sent again */
	memcpy(offered, from, sizeof(offered));
	memset(c->offer, 0, sizeof(c->offer));
	for (unsigned int i = 0; i < ALG_SIP_STREAMS; i++)
		agree(r, c, i, &offered[i], &s[i]);
	c->offer_state = ALG_SIP_ANSWERED;
	return ALG_R_NONE;
}

static enum alg_reason request_sdp(struct alg_run *r, struct sip_msg *m, const struct sdp *sdp,
				   struct alg_sip_call *c)
{
	bool asked = c->offer_state != ALG_SIP_NO_OFFER && c->offer_in_reply &&
		     c->offer_dir != r->in->dir;

	switch (m->method) {
	case SIP_INVITE:
	case SIP_UPDATE:
		return offer(r, m, sdp, c, false);
	case SIP_PRACK: /* answers the offer of a reliable 1xx, or makes one */
		return asked && c->offer_state == ALG_SIP_OFFERED ? answer(r, m, sdp, c)
								  : offer(r, m, sdp, c, false);
	case SIP_ACK:
		return asked && c->offer_cseq == m->cseq ? answer(r, m, sdp, c) : ALG_R_UNASKED;
	default:
		return ALG_R_UNASKED;
	}
}

static enum alg_reason reply_sdp(struct alg_run *r, struct sip_msg *m, const struct sdp *sdp,
				 struct alg_sip_call *c)
{
	bool asked = c->offer_state != ALG_SIP_NO_OFFER && !c->offer_in_reply &&
		     c->offer_dir != r->in->dir && c->offer_cseq == m->cseq &&
		     c->offer_method == m->method;
	bool invited = m->method == SIP_INVITE && c->invite_dir != r->in->dir &&
		       c->invite_cseq == m->cseq && !c->invite_sdp;

	if (m->status >= 300)
		return ALG_R_NONE; /* what it could have done: nobody will */
	if (asked)
		return answer(r, m, sdp, c);
	return invited ? offer(r, m, sdp, c, true) : ALG_R_UNASKED;
}

static enum alg_reason request(struct alg_run *r, struct sip_msg *m, const struct sdp *sdp,
			       struct alg_sip_call *c)
{
	int d = r->in->dir;

	if (m->method != SIP_ACK && m->method != SIP_CANCEL) {
		if (m->cseq < c->cseq[d])
			return ALG_R_STALE;
		c->cseq[d] = m->cseq;
	}
	c->at = r->in->now_s;
	if (m->method == SIP_BYE) {
		c->bye = (uint8_t)(1 + d);
		c->bye_cseq = m->cseq;
	} else if (m->method == SIP_INVITE) {
		c->invite_dir = (uint8_t)d;
		c->invite_cseq = m->cseq;
		c->invite_sdp = sdp->n > 0;
	}
	return sdp->n ? request_sdp(r, m, sdp, c) : ALG_R_NONE;
}

static bool asks_for_credentials(int status)
{
	return status == 401 || status == 407;
}

/* What the answer to INVITE or BYE means for the call. True: it is over. */
static bool final_reply(struct alg_run *r, const struct sip_msg *m, struct alg_sip_call *c)
{
	int d = r->in->dir;

	if (m->status < 200 || asks_for_credentials(m->status))
		return false;
	if (m->method == SIP_BYE)
		return c->bye == 1 + !d && c->bye_cseq == m->cseq;
	if (m->status < 300) {
		if (m->method == SIP_INVITE && c->invite_dir != d && c->invite_cseq == m->cseq)
			c->confirmed = 1;
		return false;
	}
	if (m->method == SIP_INVITE && c->invite_dir != d && c->invite_cseq == m->cseq &&
	    !c->confirmed)
		return true;
	/* The offer was declined: what was agreed before stays. */
	if (c->offer_state == ALG_SIP_OFFERED && c->offer_dir != d && c->offer_cseq == m->cseq &&
	    c->offer_method == m->method) {
		offer_drop(r, c, NULL);
		c->offer_state = ALG_SIP_NO_OFFER;
	}
	return false;
}

void sip_call(struct alg_run *r, struct sip_msg *m, const struct sdp *sdp)
{
	struct alg_sip_call *c = call_find(&r->s->sip, m->id);
	enum alg_reason why = ALG_R_NONE;

	if (!c && !m->status && m->method == SIP_INVITE) {
		c = call_new(r, m->id);
		why = c ? ALG_R_NONE : ALG_R_FLOOD;
	} else if (!c && sdp->n && m->status < 300) {
		why = ALG_R_UNASKED;
	}
	if (c && !m->status) {
		why = request(r, m, sdp, c);
	} else if (c) {
		c->at = r->in->now_s;
		if (sdp->n)
			why = reply_sdp(r, m, sdp, c);
		if (final_reply(r, m, c))
			call_close(r, c);
	}
	if (why)
		alg_count(r, why);
}

void sip_calls_end(struct alg_run *r)
{
	for (int i = 0; i < ALG_SIP_CALLS; i++)
		if (r->s->sip.calls[i].id)
			call_close(r, &r->s->sip.calls[i]);
}
