// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * TFTP (RFC 1350, 2347): the server answers a request from a port of its own choice.
 * Nothing is rewritten: the answer goes to the port that the request came from, which
 * the master's own translation already maps, so no port is reserved either.
 */
#include "alg_int.h"

#include <netinet/in.h>
#include <string.h>
#include <strings.h>

#define REQUEST_MAX 512 /* RFC 2347 */

enum { OP_RRQ = 1, OP_WRQ = 2, OP_OACK = 6 };

/* The next string of a request, its NUL taken; false: there is no NUL. */
static bool next_string(struct alg_text *rest, struct alg_text *t)
{
	const char *end = memchr(rest->p, 0, rest->len);

	if (!end)
		return false;
	t->p = rest->p;
	t->len = (size_t)(end - rest->p);
	rest->p += t->len + 1;
	rest->len -= t->len + 1;
	return true;
}

static bool mode_known(struct alg_text t)
{
	static const char *const modes[] = {"netascii", "octet", "mail"};

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (t.len == strlen(modes[i]) && !strncasecmp(t.p, modes[i], t.len))
			return true;
	return false;
}

/* File name, mode, pairs of option and value, and nothing behind. */
static enum alg_reason request_check(struct alg_text rest)
{
	struct alg_text t;
	unsigned int strings = 0;

	if (!next_string(&rest, &t) || !t.len || !next_string(&rest, &t) || !mode_known(t))
		return ALG_R_SYNTAX;
	while (rest.len) {
		if (!next_string(&rest, &t) || !t.len)
			return ALG_R_SYNTAX;
		strings++;
	}
	return strings % 2 ? ALG_R_SYNTAX : ALG_R_NONE;
}

static enum alg_reason request(struct alg_run *r, struct alg_text rest)
{
	const struct ct_tuple *t = r->s->tuple;
	enum alg_reason why = request_check(rest);
	struct alg_end from, to;

	if (why)
		return why;
	alg_speaker_end(r->s, CT_REPLY, &from);
	alg_speaker_end(r->s, CT_ORIG, &to);
	to.own_port = ntohs(t[CT_ORIG].sport);
	to.shown_port = ntohs(t[CT_REPLY].dport);
	if (to.own_port < ALG_PORT_MIN || to.shown_port < ALG_PORT_MIN)
		return ALG_R_PORT_LOW;
	/* A repeated request has the same tuple: the same expectation, made young again. */
	alg_expect(r, CT_REPLY, IPPROTO_UDP, &from, &to, 1);
	return ALG_R_NONE;
}

/* Every datagram stands for itself: the session keeps nothing but that it is off. */
void alg_tftp_feed(struct alg_run *r)
{
	const uint8_t *b = r->in->bytes;
	size_t len = r->in->len;
	unsigned int op = len >= 2 ? (unsigned int)(b[0] << 8 | b[1]) : 0;
	enum alg_reason why = ALG_R_NONE;

	r->out->consumed = len;
	if (op < OP_RRQ || op > OP_OACK) {
		alg_off(r, ALG_R_NOT_PROTOCOL);
		return;
	}
	if (r->in->dir == CT_REPLY || op > OP_WRQ)
		return; /* ends a transfer, or a server that answers from port 69 */
	if (len > REQUEST_MAX)
		why = ALG_R_LINE_LONG;
	else
		why = request(r, (struct alg_text){(const char *)b + 2, len - 2});
	if (why)
		alg_count(r, why);
}
