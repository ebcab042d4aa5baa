// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* What a parser may ask while it runs (struct alg_ops), of expectations and their ports. */
#include <string.h>

#include <arpa/inet.h>

#include "expect.h"
#include "expect_port.h"

/* How many may yet name a port that is set aside: RTP comes to it and leaves by it, a call's GRE
 * likewise. */
unsigned int expect_named_by(uint8_t proto)
{
	return proto == IPPROTO_TCP ? 1 : 2;
}

/* Whose inside endpoint is seen under this address? */
static const __be32 *inside_of(const struct expect_master *m, const __be32 addr[4])
{
	int dir;

	for (dir = CT_ORIG; dir <= CT_REPLY; dir++)
		if (!memcmp(m->tuple[!dir].daddr, addr, 16))
			return m->tuple[dir].saddr;
	return addr;
}

static struct ct_xport_key port_key(const __be32 addr[4], uint8_t family, uint8_t proto,
				    uint16_t port)
{
	struct ct_xport_key k = {.port = htons(port), .proto = proto, .family = family};

	memcpy(k.addr, addr, sizeof(k.addr));
	return k;
}

static uint16_t op_port(void *arg, const __be32 addr[4], uint8_t family, uint8_t proto,
			uint16_t wish, bool pair)
{
	struct expect_ops *ctx = arg;
	struct ct_xport_key k = port_key(addr, family, proto, 0);

	/* The other side is told this port: only if what comes to it can be expected then. */
	if (expect_admit(ctx->d, &ctx->m->conn, (pair ? 2 : 1) * expect_named_by(proto)))
		return 0;
	return expect_port_take(ctx->d, ctx->m, inside_of(ctx->m, addr), &k, wish, pair);
}

static void op_unport(void *arg, const __be32 addr[4], uint8_t family, uint8_t proto, uint16_t port)
{
	struct expect_ops *ctx = arg;
	struct ct_xport_key k = port_key(addr, family, proto, port);

	expect_port_let(ctx->d, &k);
}

static bool op_known(void *arg, const __be32 addr[4], uint8_t family, uint8_t proto, uint16_t port,
		     __be32 inside[4], uint16_t *inside_port)
{
	struct expect_ops *ctx = arg;
	struct ct_xport_key k = port_key(addr, family, proto, port);
	const struct ct_xport *x = expect_port_find(ctx->d, &k);

	if (!x)
		return false;
	memcpy(inside, x->inside, sizeof(x->inside));
	*inside_port = ntohs(x->inside_port);
	return true;
}

void expect_ops(struct expect_ops *ctx, struct alg_ops *ops)
{
	*ops = (struct alg_ops){
		.ctx = ctx, .port = op_port, .unport = op_unport, .known = op_known};
}
