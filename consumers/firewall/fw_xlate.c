// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Compiling nat, forward and redirect rules into what fw_nat_v2 holds. */
#include <errno.h>
#include <string.h>
#include <linux/rtnetlink.h>

#include "fw_ast.h"

static int fw_put_nat(struct fw_compiler *c, const struct fw_stmt *s, const struct fw_nat_rule *r)
{
	struct fw_rules *out = c->out;

	if (out->n_nats >= FW_NATS) {
		fw_say(c, s->loc,
		       "lists expand to too many rules, expected at most %d nat rules in "
		       "all",
		       FW_NATS);
		return -E2BIG;
	}
	out->nat[out->n_nats++] = *r;
	return 0;
}

static struct fw_nat_rule fw_nat_of(const struct fw_compiler *c, const struct fw_stmt *s,
				    const struct fw_match *m, uint8_t kind)
{
	struct fw_nat_rule r = {.match = *m, .number = s - c->conf->stmt + 1, .kind = kind};

	r.flags = fw_nat_flags(s);
	r.pool = FW_NO_POOL;
	if (s->ports.flat.n) {
		r.port_min = s->ports.flat.v[0].lo;
		r.port_max = s->ports.flat.v[0].hi;
	}
	return r;
}

static void fw_to_term(struct fw_nat_rule *r, const struct fw_term *t)
{
	fw_addr_ends(t, r->to_min, r->to_max);
}

/* What comes from outside to a static prefix, and with hairpin from inside too. */
static int fw_emit_mirror(struct fw_compiler *c, const struct fw_stmt *s, const struct fw_match *m)
{
	const struct fw_term *from = s->from.flat.v, *to = s->target.flat.v;
	struct fw_nat_rule r = fw_nat_of(c, s, m, FW_NAT_DST);
	int ret;

	memset(&r.match, 0, sizeof(r.match));
	r.match.family = m->family;
	r.match.proto = m->proto;
	r.match.in_ifindex = m->out_ifindex;
	r.match.flags = (m->flags & FW_M_PROTO) | FW_M_DST;
	memcpy(r.match.daddr, to->addr, sizeof(to->addr));
	fw_mask(to->family, to->plen, r.match.dmask);
	if (m->flags & FW_M_DST) {
		memcpy(r.match.saddr, m->daddr, sizeof(m->daddr));
		memcpy(r.match.smask, m->dmask, sizeof(m->dmask));
		r.match.flags |= FW_M_SRC | (m->flags & FW_M_DST_NOT ? FW_M_SRC_NOT : 0);
	}
	r.plen = from->plen;
	fw_to_term(&r, from);
	r.flags &= ~FW_N_HAIRPIN;
	ret = fw_put_nat(c, s, &r);
	if (ret || !fw_has(s, FW_O_HAIRPIN))
		return ret;
	r.match.in_ifindex = 0;
	r.flags |= FW_N_HAIRPIN | FW_N_INSIDE;
	return fw_put_nat(c, s, &r);
}

/* One rule a range of the pool; without a pool (the interface has no address of the
 * family now) one all the same, so that nothing leaves untranslated. */
static int fw_put_spans(struct fw_compiler *c, const struct fw_stmt *s, struct fw_nat_rule *r)
{
	const struct fw_pool *p;
	int ret = 0;

	if (r->pool == FW_NO_POOL)
		return fw_put_nat(c, s, r);
	p = &c->out->pool[r->pool];
	r->addrs_all = p->addrs;
	for (unsigned int i = 0; i < p->spans && !ret; i++) {
		memcpy(r->to_min, p->span[i].first, sizeof(r->to_min));
		memcpy(r->to_max, p->span[i].last, sizeof(r->to_max));
		r->addrs = p->span[i].addrs;
		ret = fw_put_nat(c, s, r);
		r->addr_from += r->addrs;
	}
	return ret;
}

static int fw_emit_source(struct fw_compiler *c, const struct fw_stmt *s, const struct fw_match *m)
{
	struct fw_nat_rule r = fw_nat_of(c, s, m, FW_NAT_SRC);
	int ret;

	if (s->none)
		return fw_put_nat(c, s, &r);
	ret = fw_pool_of(c, s, m->family, &r.pool);
	if (ret)
		return ret;
	r.block = s->opt[FW_O_BLOCK].value;
	r.max_ports = s->opt[FW_O_LIMIT_PORTS].value;
	r.max_states = s->opt[FW_O_LIMIT_STATES].value;
	r.max_rate = s->opt[FW_O_LIMIT_RATE].value;
	if (s->masquerade)
		r.to_ifindex = fw_ifs_find(c->ifs, s->target.flat.v->text)->ifindex;
	if (!fw_has(s, FW_O_STATIC))
		return fw_put_spans(c, s, &r);
	r.plen = s->target.flat.v->plen;
	fw_to_term(&r, s->target.flat.v);
	ret = fw_put_nat(c, s, &r);
	return ret ? ret : fw_emit_mirror(c, s, m);
}

static const struct fw_if *fw_if_by_index(const struct fw_ifs *ifs, uint32_t ifindex)
{
	for (unsigned int i = 0; i < ifs->n; i++)
		if (ifs->v[i].ifindex == ifindex)
			return &ifs->v[i];
	return NULL;
}

/* Inside hosts that use the outside's address: the same rule for what arrives on
 * the trusted side, `self` being the addresses of the rule's interface there. */
static int fw_emit_hairpin(struct fw_compiler *c, const struct fw_stmt *s,
			   const struct fw_nat_rule *plain)
{
	const struct fw_if *iface = fw_if_by_index(c->ifs, plain->match.in_ifindex);
	struct fw_nat_rule r = *plain;
	int ret = 0;

	r.match.in_ifindex = 0;
	r.to_ifindex = plain->match.in_ifindex;
	r.flags |= FW_N_HAIRPIN | FW_N_INSIDE;
	if (!s->to.self)
		return fw_put_nat(c, s, &r);
	r.match.flags &= ~FW_M_TO_SELF;
	r.match.flags |= FW_M_DST;
	for (unsigned int i = 0; i < iface->addrs && !ret; i++) {
		const struct fw_ifaddr *a = &iface->addr[i];

		if (a->family != r.match.family || a->scope >= RT_SCOPE_LINK)
			continue;
		memcpy(r.match.daddr, a->addr, sizeof(a->addr));
		fw_mask(a->family, a->family == 4 ? 32 : 128, r.match.dmask);
		ret = fw_put_nat(c, s, &r);
	}
	return ret;
}

static int fw_emit_destination(struct fw_compiler *c, const struct fw_stmt *s,
			       const struct fw_match *m)
{
	struct fw_nat_rule r = fw_nat_of(c, s, m, FW_NAT_DST);
	const struct fw_term *target;
	int ret;

	r.flags &= ~FW_N_HAIRPIN;
	if (s->kind == FW_K_REDIRECT) {
		r.flags |= FW_N_SELF;
		return fw_put_nat(c, s, &r);
	}
	target = s->target.flat.v;
	fw_to_term(&r, target);
	if (fw_is_pairing(s)) {
		r.flags |= FW_N_STATIC;
		r.plen = target->plen;
	}
	ret = fw_put_nat(c, s, &r);
	return ret || !fw_has(s, FW_O_HAIRPIN) ? ret : fw_emit_hairpin(c, s, &r);
}

int fw_emit_nat(struct fw_compiler *c, const struct fw_stmt *s, const struct fw_match *m)
{
	int ret = 0;

	/* Pools and targets are of one family each. */
	for (uint8_t family = 4; family <= 6 && !ret; family += 2) {
		struct fw_match one = *m;

		if ((m->family && m->family != family) ||
		    !(s->families & (family == 4 ? FW_F4 : FW_F6)))
			continue;
		one.family = family;
		ret = s->kind == FW_K_NAT ? fw_emit_source(c, s, &one)
					  : fw_emit_destination(c, s, &one);
	}
	return ret;
}
