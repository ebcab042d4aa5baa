// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* What the parsers ask of expectations and ports (expect.h), for one connection. */
#include "alg_conn.h"
#include "alg_way.h"

#include <string.h>

void alg_master_of(struct alg_conn *c)
{
	c->master.conn = c->key;
	memcpy(c->master.tuple, c->session->tuple, sizeof(c->master.tuple));
	c->master.helper = c->session->helper;
	c->ops = (struct expect_ops){.d = c->d, .m = &c->master};
}

void alg_ops_of(struct alg_conn *c, struct alg_ops *ops)
{
	memset(ops, 0, sizeof(*ops));
	expect_ops(&c->ops, ops);
	ops->port_at_once = alg_way_port_at_once(c->d);
}

/* In their order, and before the bytes that announce them leave. Text with a port of ours is safe:
 * a port is set aside only while there is room for what will name it (expect.c). What can be
 * refused here was said without one, or was agreed upon after the limit was lowered. */
void alg_expect_events(struct alg_conn *c, struct alg_out *out)
{
	int i;

	for (i = 0; i < out->n_events; i++)
		if (expect_event(c->d, &c->master, &out->events[i]))
			out->count[ALG_R_NO_ROOM]++;
}
