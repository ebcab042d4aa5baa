// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Sessions, and the calls into the parser of each protocol. */
#include "alg_int.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

static const char *const reason_names[ALG_R_COUNT] = {
#define X(name, text, what, meaning) text,
	ALG_REASONS(X)
#undef X
};

static const char *const helper_names[ALG_HELPERS] = {"none", "ftp", "tftp", "sip", "pptp"};

const char *alg_reason_name(enum alg_reason reason)
{
	return (unsigned int)reason < ALG_R_COUNT ? reason_names[reason] : "unknown";
}

const char *alg_helper_name(enum alg_helper helper)
{
	return (unsigned int)helper < ALG_HELPERS ? helper_names[helper] : "unknown";
}

size_t alg_session_size(enum alg_helper helper)
{
	size_t common = offsetof(struct alg_session, ftp);

	switch (helper) {
	case ALG_FTP:
		return common + sizeof(struct alg_ftp);
	case ALG_SIP:
		return common + sizeof(struct alg_sip);
	case ALG_PPTP:
		return common + sizeof(struct alg_pptp);
	default:
		return common;
	}
}

size_t alg_hold_max(enum alg_helper helper)
{
	switch (helper) {
	case ALG_FTP:
		return 512;
	case ALG_SIP:
		return 8192;
	case ALG_PPTP:
		return ALG_PPTP_HOLD;
	default:
		return 0;
	}
}

static bool tuples_valid(enum alg_helper helper, const struct ct_tuple t[2])
{
	uint8_t proto = t[0].proto;

	if (t[0].family != t[1].family || t[0].proto != t[1].proto || t[0].zone != t[1].zone)
		return false;
	if (t[0].family != 4 && t[0].family != 6)
		return false;
	switch (helper) {
	case ALG_FTP:
	case ALG_PPTP:
		return proto == IPPROTO_TCP;
	case ALG_TFTP:
		return proto == IPPROTO_UDP;
	case ALG_SIP:
		return proto == IPPROTO_TCP || proto == IPPROTO_UDP;
	default:
		return false;
	}
}

int alg_session_init(struct alg_session *s, enum alg_helper helper, const struct ct_tuple tuple[2],
		     uint64_t key)
{
	if (!tuples_valid(helper, tuple))
		return -EINVAL;
	memset(s, 0, alg_session_size(helper));
	s->version = ALG_SESSION_VERSION;
	s->helper = helper;
	s->tuple[0] = tuple[0];
	s->tuple[1] = tuple[1];
	if (helper == ALG_SIP)
		alg_sip_init(&s->sip, key);
	return 0;
}

bool alg_session_valid(const struct alg_session *s)
{
	if (s->version != ALG_SESSION_VERSION || s->off >= ALG_R_COUNT ||
	    !tuples_valid(s->helper, s->tuple))
		return false;
	if (s->helper == ALG_FTP)
		return alg_ftp_valid(&s->ftp);
	if (s->helper == ALG_PPTP)
		return alg_pptp_valid(&s->pptp);
	return s->helper != ALG_SIP || alg_sip_valid(&s->sip);
}

static void out_begin(struct alg_out *out)
{
	out->consumed = 0;
	out->verdict = ALG_GO;
	out->why = ALG_R_NONE;
	out->n_edits = out->n_events = out->n_text = 0;
	memset(out->count, 0, sizeof(out->count));
}

void alg_feed(struct alg_session *s, const struct alg_in *in, const struct alg_ops *ops,
	      struct alg_out *out)
{
	struct alg_run run = {.s = s, .in = in, .ops = ops, .out = out};

	out_begin(out);
	if (!alg_session_valid(s) || in->dir > CT_REPLY) {
		alg_off(&run, ALG_R_STATE);
	} else if (s->off) {
		out->consumed = in->len;
		out->verdict = ALG_OFF;
		out->why = s->off;
	} else if (s->helper == ALG_FTP) {
		alg_ftp_feed(&run);
	} else if (s->helper == ALG_TFTP) {
		alg_tftp_feed(&run);
	} else if (s->helper == ALG_PPTP) {
		alg_pptp_feed(&run);
	} else {
		alg_sip_feed(&run);
	}
}

void alg_end(struct alg_session *s, const struct alg_ops *ops, struct alg_out *out)
{
	struct alg_run run = {.s = s, .in = NULL, .ops = ops, .out = out};

	out_begin(out);
	if (!alg_session_valid(s))
		return;
	if (s->helper == ALG_FTP)
		alg_ftp_end(&run);
	else if (s->helper == ALG_SIP)
		alg_sip_end(&run);
	else if (s->helper == ALG_PPTP)
		alg_pptp_end(&run);
}

long alg_apply(const struct alg_out *out, const uint8_t *bytes, uint8_t *to, size_t size)
{
	size_t from = 0, n = 0;

	for (unsigned int i = 0; i <= out->n_edits; i++) {
		const struct alg_edit *e = &out->edits[i];
		size_t until = i < out->n_edits ? e->off : out->consumed;

		if (until - from > size - n)
			return -EMSGSIZE;
		if (until > from)
			memcpy(to + n, bytes + from, until - from);
		n += until - from;
		if (i == out->n_edits)
			break;
		if (e->new_len > size - n)
			return -EMSGSIZE;
		memcpy(to + n, out->text + e->text, e->new_len);
		n += e->new_len;
		from = until + e->old_len;
	}
	return (long)n;
}
