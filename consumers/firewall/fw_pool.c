// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Compiling source NAT rules: the pools that they hand out from, and what is
 * wrong with those beside one another. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>

#include "fw_ast.h"

/* TCP, UDP with UDP-Lite, ICMP, SCTP */
#define FW_NAT_CLASSES 4
/* Options that say how a port is owned: rules may share a pool only if these agree. */
#define FW_N_OF_POOL (FW_N_EIM | FW_N_PARITY)

static const struct fw_stmt *fw_stmt_of(const struct fw_compiler *c, const struct fw_pool *p)
{
	return &c->conf->stmt[p->number - 1];
}

static int fw_add_span(struct fw_pool *p, const struct fw_term *t)
{
	struct fw_span *v = realloc(p->span, (p->spans + 1) * sizeof(*v));

	if (!v)
		return -ENOMEM;
	p->span = v;
	v += p->spans++;
	fw_addr_ends(t, v->first, v->last);
	v->addrs = fw_addr_count(t);
	/* More than there can be pools: the sum must not wrap. */
	p->addrs = v->addrs > UINT32_MAX - p->addrs ? UINT32_MAX : p->addrs + v->addrs;
	return 0;
}

static uint8_t fw_classes(const struct fw_stmt *s)
{
	uint8_t classes = 0;

	for (unsigned int i = 0; i < s->proto.flat.n; i++)
		switch (s->proto.flat.v[i].lo) {
		case IPPROTO_TCP:
			classes |= FW_CLASS_TCP;
			break;
		case IPPROTO_UDP:
		case IPPROTO_UDPLITE:
			classes |= FW_CLASS_UDP;
			break;
		case IPPROTO_ICMP:
		case IPPROTO_ICMPV6:
			classes |= FW_CLASS_ICMP;
			break;
		case IPPROTO_SCTP:
			classes |= FW_CLASS_SCTP;
			break;
		default:
			classes |= FW_CLASS_OTHER;
		}
	return s->proto.flat.n ? classes : FW_CLASS_ALL;
}

static int fw_fill_pool(struct fw_compiler *c, const struct fw_stmt *s, struct fw_pool *p)
{
	const struct fw_if *iface =
		s->masquerade ? fw_ifs_find(c->ifs, s->target.flat.v->text) : NULL;
	struct fw_term own = {
		.kind = FW_T_ADDR, .family = p->family, .plen = p->family == 4 ? 32 : 128};
	int ret = 0;

	p->line = s->loc.line;
	p->flags = fw_nat_flags(s);
	p->classes = fw_classes(s);
	if (s->ports.flat.n) {
		p->port_min = s->ports.flat.v[0].lo;
		p->port_max = s->ports.flat.v[0].hi;
	}
	if (fw_has(s, FW_O_BLOCK)) {
		p->block = s->opt[FW_O_BLOCK].value;
		p->inside_plen = s->from.flat.v[0].plen;
		memcpy(p->inside, s->from.flat.v[0].addr, sizeof(p->inside));
	}
	if (iface) {
		p->to_ifindex = iface->ifindex;
		if (fw_if_masquerade(iface, p->family, own.addr))
			ret = fw_add_span(p, &own);
	}
	for (unsigned int i = 0; i < s->target.flat.n && !s->masquerade && !ret; i++)
		if (s->target.flat.v[i].family == p->family)
			ret = fw_add_span(p, &s->target.flat.v[i]);
	return ret;
}

static bool fw_same_pool(const struct fw_pool *a, const struct fw_pool *b)
{
	return a->family == b->family && a->to_ifindex == b->to_ifindex && a->spans == b->spans &&
	       a->port_min == b->port_min && a->port_max == b->port_max && a->block == b->block &&
	       a->inside_plen == b->inside_plen && !memcmp(a->inside, b->inside, 16) &&
	       !((a->flags ^ b->flags) & FW_N_OF_POOL) &&
	       (!a->spans || !memcmp(a->span, b->span, a->spans * sizeof(*a->span)));
}

int fw_pool_of(struct fw_compiler *c, const struct fw_stmt *s, uint8_t family, uint32_t *pool)
{
	struct fw_pool p = {.number = s - c->conf->stmt + 1, .family = family}, *v;
	int ret = fw_fill_pool(c, s, &p);

	*pool = FW_NO_POOL;
	if (ret || fw_has(s, FW_O_STATIC) || !p.spans)
		goto out;
	for (unsigned int i = 0; i < c->out->n_pools; i++)
		if (fw_same_pool(&c->out->pool[i], &p)) {
			*pool = i;
			c->out->pool[i].classes |= p.classes;
			goto out;
		}
	v = realloc(c->out->pool, (c->out->n_pools + 1) * sizeof(*v));
	if (!v) {
		ret = -ENOMEM;
		goto out;
	}
	c->out->pool = v;
	*pool = c->out->n_pools++;
	v[*pool] = p;
	return 0;
out:
	free(p.span);
	return ret;
}

static bool fw_ports_overlap(const struct fw_pool *a, const struct fw_pool *b)
{
	if (!(a->classes & b->classes))
		return false;
	return !a->port_min || !b->port_min ||
	       (a->port_min <= b->port_max && b->port_min <= a->port_max);
}

/* The address that two lists of spans share, or NULL. */
static const __be32 *fw_shared(const struct fw_span *a, unsigned int as, const struct fw_span *b,
			       unsigned int bs)
{
	for (unsigned int i = 0; i < as; i++)
		for (unsigned int j = 0; j < bs; j++)
			if (memcmp(a[i].first, b[j].last, 16) <= 0 &&
			    memcmp(b[j].first, a[i].last, 16) <= 0)
				return memcmp(a[i].first, b[j].first, 16) > 0 ? a[i].first
									      : b[j].first;
	return NULL;
}

static int fw_say_overlap(struct fw_compiler *c, const struct fw_stmt *s, uint8_t family,
			  const __be32 *addr, unsigned int line)
{
	char text[INET6_ADDRSTRLEN];

	inet_ntop(family == 4 ? AF_INET : AF_INET6, addr, text, sizeof(text));
	fw_say(c, s->target.loc,
	       "%s overlaps the pool of line %u, expected the same addresses, ports and options "
	       "or others altogether",
	       text, line);
	return -EINVAL;
}

/* A static prefix keeps every port of its addresses. */
static int fw_check_statics(struct fw_compiler *c)
{
	for (unsigned int i = 0; i < c->conf->stmts; i++) {
		const struct fw_stmt *s = &c->conf->stmt[i];
		struct fw_span mine = {0};
		uint8_t family;

		if (!fw_has(s, FW_O_STATIC))
			continue;
		family = s->target.flat.v->family;
		fw_addr_ends(s->target.flat.v, mine.first, mine.last);
		for (unsigned int p = 0; p < c->out->n_pools; p++) {
			const struct fw_pool *pool = &c->out->pool[p];
			const __be32 *at =
				pool->family != family || !(pool->classes & fw_classes(s))
					? NULL
					: fw_shared(&mine, 1, pool->span, pool->spans);

			if (at)
				return fw_say_overlap(c, s, family, at, pool->line);
		}
		for (unsigned int o = 0; o < i; o++) {
			const struct fw_stmt *other = &c->conf->stmt[o];
			struct fw_span its = {0};

			if (!fw_has(other, FW_O_STATIC) || other->target.flat.v->family != family ||
			    !(fw_classes(s) & fw_classes(other)))
				continue;
			fw_addr_ends(other->target.flat.v, its.first, its.last);
			if (fw_shared(&mine, 1, &its, 1))
				return fw_say_overlap(c, s, family, mine.first, other->loc.line);
		}
	}
	return 0;
}

static int fw_check_overlaps(struct fw_compiler *c)
{
	for (unsigned int i = 0; i < c->out->n_pools; i++)
		for (unsigned int j = 0; j < i; j++) {
			const struct fw_pool *a = &c->out->pool[j], *b = &c->out->pool[i];
			const __be32 *at = NULL;

			if (a->family == b->family && fw_ports_overlap(a, b))
				at = fw_shared(a->span, a->spans, b->span, b->spans);
			if (at)
				return fw_say_overlap(c, fw_stmt_of(c, b), b->family, at, a->line);
		}
	return 0;
}

/* Is nothing of the range left beside `set nat reserved`? */
static bool fw_is_empty(const struct fw_settings *set, const struct fw_pool *p)
{
	uint32_t port = p->port_min ? p->port_min : 1, max = p->port_min ? p->port_max : 65535;
	bool moved = true;

	while (moved && port <= max) {
		moved = false;
		for (unsigned int i = 0; i < set->nat_reserveds; i++)
			if (port >= set->nat_reserved[i].min && port <= set->nat_reserved[i].max) {
				port = set->nat_reserved[i].max + 1;
				moved = true;
			}
	}
	return port > max;
}

int fw_check_pools(struct fw_compiler *c)
{
	const struct fw_settings *set = &c->conf->settings;
	uint64_t pools = 0;

	for (unsigned int i = 0; i < c->out->n_pools; i++) {
		const struct fw_pool *p = &c->out->pool[i];
		const struct fw_stmt *s = fw_stmt_of(c, p);

		if (fw_is_empty(set, p)) {
			fw_say(c, s->ports.terms.n ? s->ports.loc : s->loc,
			       "pool is empty, expected ports that 'set nat reserved' leaves");
			return -EINVAL;
		}
		pools += (uint64_t)p->addrs * FW_NAT_CLASSES;
		if (pools > set->nat_pools) {
			fw_say(c, s->target.loc,
			       "pools are too large: %llu with this rule (an address has %d), "
			       "expected at most %u, see 'set nat pools'",
			       (unsigned long long)pools, FW_NAT_CLASSES, set->nat_pools);
			return -E2BIG;
		}
	}
	return fw_check_overlaps(c) || fw_check_statics(c) ? -EINVAL : 0;
}

static bool fw_is_ours(const struct fw_ifs *ifs, uint8_t family, const __be32 addr[4])
{
	for (unsigned int i = 0; i < ifs->n; i++)
		for (unsigned int a = 0; a < ifs->v[i].addrs; a++)
			if (ifs->v[i].addr[a].family == family &&
			    !memcmp(ifs->v[i].addr[a].addr, addr, 16))
				return true;
	return false;
}

/* Every address of the term is one of ours? Counting ours inside it is enough, and
 * takes no longer for a /8. */
static bool fw_all_ours(const struct fw_ifs *ifs, const struct fw_term *t)
{
	uint32_t n = 0, want = fw_addr_count(t);
	__be32 first[4], last[4];

	fw_addr_ends(t, first, last);
	if (want == 1)
		return fw_is_ours(ifs, t->family, first);
	for (unsigned int i = 0; i < ifs->n; i++)
		for (unsigned int a = 0; a < ifs->v[i].addrs; a++) {
			const struct fw_ifaddr *own = &ifs->v[i].addr[a];

			n += own->family == t->family && memcmp(own->addr, first, 16) >= 0 &&
			     memcmp(own->addr, last, 16) <= 0;
		}
	return n >= want;
}

static void fw_warn_list(struct fw_compiler *c, const struct fw_list *list)
{
	char text[FW_TERM_TEXT];

	for (unsigned int i = 0; i < list->flat.n; i++) {
		const struct fw_term *t = &list->flat.v[i];

		if (!t->family || fw_all_ours(c->ifs, t))
			continue;
		fw_say(c, t->loc,
		       "warning: %s is not ours: this machine does not answer for it, so it must "
		       "be "
		       "routed here",
		       fw_term_text(t, text, sizeof(text)));
	}
}

void fw_warn_foreign(struct fw_compiler *c)
{
	for (unsigned int i = 0; i < c->conf->stmts; i++) {
		const struct fw_stmt *s = &c->conf->stmt[i];

		if (s->kind == FW_K_NAT && !s->masquerade && !s->none)
			fw_warn_list(c, &s->target);
		else if (s->kind == FW_K_FORWARD && !s->to.negate)
			fw_warn_list(c, &s->to);
	}
}
