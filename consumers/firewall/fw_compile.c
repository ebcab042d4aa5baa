// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* From the rule file and the machine's interfaces to what the maps hold. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>

#include "fw_ast.h"

/* One rule's lists, resolved for this machine. No address at all: one entry of family 0. */
struct fw_expand {
	uint32_t *ifindex;
	unsigned int ifs;
	struct fw_term *from;
	unsigned int froms;
	struct fw_term *to;
	unsigned int tos;
};

void fw_say(struct fw_compiler *c, struct fw_loc loc, const char *fmt, ...)
{
	va_list ap;

	if (!c->err)
		return;
	fprintf(c->err, "%s:%u:%u: ", c->conf->name, loc.line, loc.col);
	va_start(ap, fmt);
	vfprintf(c->err, fmt, ap);
	va_end(ap);
	fputc('\n', c->err);
}

/* Unknown: one line that names what there is, -ENODEV, NULL. */
const struct fw_if *fw_need_if(struct fw_compiler *c, const struct fw_term *t)
{
	const struct fw_if *iface = fw_ifs_find(c->ifs, t->text);
	char list[256] = "";
	size_t len = 0;

	if (iface)
		return iface;
	c->ret = -ENODEV;
	if (c->errors++ >= FW_MAX_ERRORS)
		return NULL;
	for (unsigned int i = 0; i < c->ifs->n && len < sizeof(list) - FW_IFNAME - 8; i++) {
		if (c->ifs->v[i].loopback)
			continue;
		len += snprintf(list + len, sizeof(list) - len, "%s%s", len ? ", " : "",
				c->ifs->v[i].name);
	}
	fw_say(c, t->loc, "no interface '%s' here, expected one of: %s", t->text,
	       len ? list : "(none)");
	return NULL;
}

/* Appends the network of an address unless one in the list has it already. */
static int fw_add_net(struct fw_term **v, unsigned int *n, const struct fw_ifaddr *a)
{
	struct fw_term net = {.kind = FW_T_ADDR, .family = a->family, .plen = a->prefixlen};
	struct fw_term *bigger;
	__be32 mask[4];

	fw_mask(a->family, a->prefixlen, mask);
	for (int i = 0; i < 4; i++)
		net.addr[i] = a->addr[i] & mask[i];
	for (unsigned int i = 0; i < *n; i++)
		if (fw_addr_covers(&(*v)[i], &net))
			return 0;
	bigger = realloc(*v, (*n + 1) * sizeof(net));
	if (!bigger)
		return -ENOMEM;
	*v = bigger;
	bigger[(*n)++] = net;
	return 0;
}

bool fw_is_link_local(const struct fw_ifaddr *a)
{
	uint32_t word = ntohl(a->addr[0]);

	return a->family == 6 ? (word & 0xffc00000) == 0xfe800000
			      : (word & 0xffff0000) == 0xa9fe0000;
}

/* Link-local networks are on every interface and are never forwarded. */
static int fw_expand_net(struct fw_compiler *c, const struct fw_term *t, struct fw_term **v,
			 unsigned int *n)
{
	const struct fw_if *iface = fw_need_if(c, t);
	int ret = 0;

	if (!iface)
		return -ENODEV;
	for (unsigned int i = 0; i < iface->addrs && !ret; i++)
		if (!fw_is_link_local(&iface->addr[i]))
			ret = fw_add_net(v, n, &iface->addr[i]);
	return ret;
}

static int fw_expand_addrs(struct fw_compiler *c, const struct fw_list *list, struct fw_term **v,
			   unsigned int *n)
{
	char text[FW_TERM_TEXT];
	int ret = 0;

	*n = 0;
	*v = calloc(list->flat.n + 1, sizeof(**v));
	if (!*v)
		return -ENOMEM;
	if (!list->flat.n) {
		*n = 1;
		return 0;
	}
	for (unsigned int i = 0; i < list->flat.n; i++)
		if (list->flat.v[i].kind == FW_T_ADDR || list->flat.v[i].kind == FW_T_TABLE)
			(*v)[(*n)++] = list->flat.v[i];
	for (unsigned int i = 0; i < list->flat.n && !ret; i++)
		if (list->flat.v[i].kind == FW_T_NET)
			ret = fw_expand_net(c, &list->flat.v[i], v, n);
	if (!ret && !*n)
		fw_say(c, list->loc, "warning: %s has no address yet, rule left out",
		       fw_term_text(list->terms.v, text, sizeof(text)));
	return ret;
}

static int fw_expand_ifs(struct fw_compiler *c, const struct fw_list *list, struct fw_expand *x)
{
	int ret = 0;

	x->ifindex = calloc(list->flat.n + 1, sizeof(*x->ifindex));
	if (!x->ifindex)
		return -ENOMEM;
	for (unsigned int i = 0; i < list->flat.n; i++) {
		const struct fw_if *iface = fw_need_if(c, &list->flat.v[i]);

		if (!iface) {
			ret = -ENODEV;
			continue;
		}
		if (iface->loopback)
			fw_say(c, list->flat.v[i].loc, "warning: %s is never filtered",
			       iface->name);
		x->ifindex[x->ifs++] = iface->ifindex;
	}
	if (!list->flat.n)
		x->ifs = 1;
	return ret;
}

static int fw_expand(struct fw_compiler *c, const struct fw_stmt *s, struct fw_expand *x)
{
	int ret = fw_expand_ifs(c, &s->on, x);

	if (!ret)
		ret = fw_expand_addrs(c, &s->from, &x->from, &x->froms);
	if (!ret)
		ret = fw_expand_addrs(c, &s->to, &x->to, &x->tos);
	if (!ret && s->masquerade && !fw_need_if(c, &s->target.flat.v[0]))
		return -ENODEV;
	return ret;
}

static void fw_set_addr(struct fw_match *m, const struct fw_term *t, bool negate, bool src)
{
	if (!t->family && t->kind != FW_T_TABLE)
		return;
	m->flags |= src ? FW_M_SRC : FW_M_DST;
	if (negate)
		m->flags |= src ? FW_M_SRC_NOT : FW_M_DST_NOT;
	if (t->kind == FW_T_TABLE) {
		m->flags |= src ? FW_M_SRC_TABLE : FW_M_DST_TABLE;
		*(src ? m->saddr : m->daddr) = fw_table_number(t->text);
		return;
	}
	memcpy(src ? m->saddr : m->daddr, t->addr, sizeof(t->addr));
	fw_mask(t->family, t->plen, src ? m->smask : m->dmask);
}

static void fw_set_ports(struct fw_match *m, const struct fw_term *sport,
			 const struct fw_term *dport)
{
	if (sport) {
		m->flags |= FW_M_SPORT;
		m->sport_min = sport->lo;
		m->sport_max = sport->hi;
	}
	if (dport) {
		m->flags |= FW_M_DPORT;
		m->dport_min = dport->lo;
		m->dport_max = dport->hi;
	}
}

static void fw_set_l4(struct fw_match *m, const struct fw_term *proto, const struct fw_term *icmp)
{
	if (proto) {
		m->flags |= FW_M_PROTO;
		m->proto = proto->lo;
	}
	if (icmp) {
		m->flags |= FW_M_ICMP_TYPE;
		m->icmp_type = icmp->lo;
		if (icmp->code >= 0)
			m->flags |= FW_M_ICMP_CODE;
		m->icmp_code = icmp->code >= 0 ? icmp->code : 0;
	}
}

/* The family that all parts agree on: 0 any, 4, 6; -1: they do not, so this
 * combination is none. */
static int fw_family(const struct fw_stmt *s, const struct fw_term *from, const struct fw_term *to,
		     const struct fw_term *proto)
{
	uint8_t families = s->families;

	if (from->family)
		families &= from->family == 4 ? FW_F4 : FW_F6;
	if (to->family)
		families &= to->family == 4 ? FW_F4 : FW_F6;
	if (proto && proto->lo == IPPROTO_ICMP)
		families &= FW_F4;
	if (proto && proto->lo == IPPROTO_ICMPV6)
		families &= FW_F6;
	return !families ? -1 : families == FW_F4 ? 4 : families == FW_F6 ? 6 : 0;
}

int fw_emit(struct fw_compiler *c, const struct fw_stmt *s, const struct fw_match *m)
{
	struct fw_rules *out = c->out;

	if (s->kind != FW_K_FILTER && s->kind != FW_K_ANTISPOOF)
		return fw_emit_nat(c, s, m);
	if (out->n_rules >= FW_RULES) {
		fw_say(c, s->loc,
		       "lists expand to too many rules, expected at most %d rules in all",
		       FW_RULES);
		return -E2BIG;
	}
	out->rule[out->n_rules++] = (struct fw_rule){
		.match = *m,
		.number = s - c->conf->stmt + 1,
		.dir = s->dir,
		.action = s->action,
		.limit = s->limit.loc.line ? s->limit.lo : 0,
		.limit_secs = s->limit.loc.line ? s->limit.hi : 0,
		.overload = s->overload.loc.line ? fw_table_number(s->overload.text) : 0};
	return 0;
}

/* Item i of a list, NULL for the one round that an empty list gets. */
static const struct fw_term *fw_item(const struct fw_list *list, unsigned int i)
{
	return list->flat.n ? &list->flat.v[i] : NULL;
}

static unsigned int fw_rounds(const struct fw_list *list)
{
	return list->flat.n ? list->flat.n : 1;
}

/* Ports and ICMP types of one combination of the rest. */
static int fw_emit_l4(struct fw_compiler *c, const struct fw_stmt *s, const struct fw_match *base)
{
	int ret = 0;

	for (unsigned int sp = 0; sp < fw_rounds(&s->sport) && !ret; sp++)
		for (unsigned int dp = 0; dp < fw_rounds(&s->dport) && !ret; dp++)
			for (unsigned int i = 0; i < fw_rounds(&s->icmp) && !ret; i++) {
				struct fw_match m = *base;

				fw_set_ports(&m, fw_item(&s->sport, sp), fw_item(&s->dport, dp));
				fw_set_l4(&m, NULL, fw_item(&s->icmp, i));
				ret = fw_emit(c, s, &m);
			}
	return ret;
}

static int fw_emit_hosts(struct fw_compiler *c, const struct fw_stmt *s, const struct fw_expand *x,
			 const struct fw_match *base, const struct fw_term *proto)
{
	int ret = 0;

	for (unsigned int f = 0; f < x->froms && !ret; f++)
		for (unsigned int t = 0; t < x->tos && !ret; t++) {
			int family = fw_family(s, &x->from[f], &x->to[t], proto);
			struct fw_match m = *base;

			if (family < 0)
				continue;
			m.family = family;
			fw_set_addr(&m, &x->from[f], s->from.negate, true);
			fw_set_addr(&m, &x->to[t], s->to.negate, false);
			fw_set_l4(&m, proto, NULL);
			ret = fw_emit_l4(c, s, &m);
		}
	return ret;
}

static int fw_compile_rule(struct fw_compiler *c, const struct fw_stmt *s)
{
	struct fw_expand x = {0};
	int ret;

	if (s->kind == FW_K_ANTISPOOF)
		return fw_emit_antispoof(c, s);
	if (s->kind == FW_K_ALG)
		return fw_emit_alg(c, s);
	ret = fw_expand(c, s, &x);

	for (unsigned int i = 0; i < x.ifs && !ret; i++)
		for (unsigned int p = 0; p < fw_rounds(&s->proto) && !ret; p++) {
			struct fw_match m = {0};

			if (s->on.flat.n)
				*(s->dir == FW_IN ? &m.in_ifindex : &m.out_ifindex) = x.ifindex[i];
			if (s->to.self)
				m.flags = s->to.negate ? FW_M_TO_NOT_SELF : FW_M_TO_SELF;
			ret = fw_emit_hosts(c, s, &x, &m, fw_item(&s->proto, p));
		}
	free(x.ifindex);
	free(x.from);
	free(x.to);
	return ret;
}

static int fw_compile_inside(struct fw_compiler *c)
{
	for (unsigned int i = 0; i < c->conf->inside.flat.n; i++)
		fw_need_if(c, &c->conf->inside.flat.v[i]);
	if (!c->ret)
		c->ret = fw_find_nets(c->conf, c->ifs, c->out);
	return c->ret ? c->ret : fw_find_inside(c->conf, c->ifs, c->out);
}

int fw_conf_compile(const struct fw_conf *conf, const struct fw_ifs *ifs, struct fw_rules *out,
		    FILE *err)
{
	struct fw_compiler c = {.conf = conf, .ifs = ifs, .out = out, .err = err};

	memset(out, 0, sizeof(*out));
	out->default_pass = conf->settings.default_pass;
	out->antispoof = conf->settings.antispoof;
	out->mss_clamp = conf->settings.mss_clamp;
	out->rule = calloc(FW_RULES, sizeof(*out->rule));
	out->nat = calloc(FW_NATS, sizeof(*out->nat));
	out->alg = calloc(FW_ALGS, sizeof(*out->alg));
	if (!out->rule || !out->nat || !out->alg)
		c.ret = -ENOMEM;
	for (unsigned int i = 0; i < conf->stmts && (!c.ret || c.ret == -ENODEV); i++) {
		int ret = fw_compile_rule(&c, &conf->stmt[i]);

		if (ret)
			c.ret = ret;
	}
	if (!c.ret || c.ret == -ENODEV) {
		int ret = fw_compile_inside(&c);

		c.ret = ret ? ret : c.ret;
	}
	if (!c.ret)
		c.ret = fw_find_skipped(conf, ifs, out);
	if (!c.ret)
		c.ret = fw_find_zones(conf, ifs, out);
	if (!c.ret)
		c.ret = fw_compile_tables(conf, out);
	if (!c.ret)
		c.ret = fw_check_pools(&c);
	if (!c.ret && err) {
		fw_warn_shadowed(conf, out, err);
		fw_warn_foreign(&c);
	}
	if (c.ret)
		fw_rules_free(out);
	return c.ret;
}

void fw_rules_free(struct fw_rules *rules)
{
	free(rules->rule);
	free(rules->nat);
	for (unsigned int i = 0; i < rules->n_pools; i++)
		free(rules->pool[i].span);
	free(rules->pool);
	free(rules->inside);
	free(rules->nets);
	free(rules->skip);
	free(rules->zone);
	for (unsigned int i = 0; i < rules->n_tables; i++)
		free(rules->table[i].net);
	free(rules->table);
	free(rules->alg);
	memset(rules, 0, sizeof(*rules));
}
