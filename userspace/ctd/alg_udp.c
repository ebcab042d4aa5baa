// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Datagrams of helped connections: each is read, edited and passed on by itself. */
#include "alg_conn.h"

#include <string.h>

void alg_udp_take(struct alg_conn *c, const struct alg_taken *t)
{
	static uint8_t text[ALG_DATA], frame[ALG_DATA + 64];
	struct alg_stream *s = &c->dir[t->p->dir & 1];
	int dir = t->p->dir & 1;
	size_t n = 0, used;
	bool hold;
	long len;

	if (alg_packet_headers(t, &s->like)) {
		c->d->alg->stats.bad++;
		return;
	}
	used = alg_conn_feed(c, dir, ALG_F_DATAGRAM, t->payload, t->len, text, sizeof(text), &n,
			     &hold);
	alg_conn_save(c);
	/* What the parser did not want to read passes as it is. */
	if (used < t->len && n + t->len - used <= sizeof(text)) {
		memcpy(text + n, t->payload + used, t->len - used);
		n += t->len - used;
	}
	len = alg_packet_build(&s->like, NULL, text, n, frame, sizeof(frame));
	if (len > 0)
		alg_io_send(c, dir, &s->like, frame, len);
}
