// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Which interfaces are trusted, and what fw_iface_v2 holds of each. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fw_ast.h"

/* Also where forwards arrive: that is the outside, unless its own network is translated. */
static bool fw_nat_leaves_by(const struct fw_conf *conf, const char *name)
{
	for (unsigned int i = 0; i < conf->stmts; i++) {
		const struct fw_stmt *s = &conf->stmt[i];

		bool outside = s->kind == FW_K_NAT || s->kind == FW_K_FORWARD;

		for (unsigned int o = 0; outside && o < s->on.flat.n; o++)
			if (!strcmp(s->on.flat.v[o].text, name))
				return true;
	}
	return false;
}

static bool fw_is_nat_source(const struct fw_term *t, const struct fw_if *iface)
{
	if (t->kind == FW_T_NET)
		return !strcmp(t->text, iface->name);
	for (unsigned int i = 0; i < iface->addrs; i++) {
		const struct fw_ifaddr *a = &iface->addr[i];
		struct fw_term host = {.family = a->family, .plen = a->family == 4 ? 32 : 128};

		memcpy(host.addr, a->addr, sizeof(host.addr));
		if (fw_addr_covers(t, &host))
			return true;
	}
	return false;
}

/* Its network is what some nat rule translates. */
static bool fw_nat_comes_from(const struct fw_conf *conf, const struct fw_if *iface)
{
	for (unsigned int i = 0; i < conf->stmts; i++) {
		const struct fw_stmt *s = &conf->stmt[i];

		if (s->kind != FW_K_NAT || s->none || s->from.negate)
			continue;
		for (unsigned int f = 0; f < s->from.flat.n; f++)
			if (fw_is_nat_source(&s->from.flat.v[f], iface))
				return true;
	}
	return false;
}

static bool fw_is_inside(const struct fw_conf *conf, const struct fw_if *iface)
{
	if (conf->once[FW_ONCE_INSIDE]) {
		for (unsigned int i = 0; i < conf->inside.flat.n; i++)
			if (!strcmp(conf->inside.flat.v[i].text, iface->name))
				return true;
		return false;
	}
	return fw_nat_comes_from(conf, iface) || !fw_nat_leaves_by(conf, iface->name);
}

int fw_find_inside(const struct fw_conf *conf, const struct fw_ifs *ifs, struct fw_rules *out)
{
	out->inside = calloc(ifs->n + 1, sizeof(*out->inside));
	if (!out->inside)
		return -ENOMEM;
	for (unsigned int i = 0; i < ifs->n; i++)
		if (!ifs->v[i].loopback && fw_is_inside(conf, &ifs->v[i]))
			out->inside[out->n_inside++] = ifs->v[i].ifindex;
	return 0;
}

/* Does the statement compile into addresses that this interface has now? */
static bool fw_names_net(const struct fw_stmt *s, const char *name)
{
	bool on = false;

	for (unsigned int i = 0; i < s->from.flat.n; i++)
		if (s->from.flat.v[i].kind == FW_T_NET && !strcmp(s->from.flat.v[i].text, name))
			return true;
	for (unsigned int i = 0; i < s->to.flat.n; i++)
		if (s->to.flat.v[i].kind == FW_T_NET && !strcmp(s->to.flat.v[i].text, name))
			return true;
	for (unsigned int i = 0; i < s->on.flat.n; i++)
		on |= !strcmp(s->on.flat.v[i].text, name);
	/* fw_emit_antispoof(), fw_emit_hairpin() */
	return on && (s->kind == FW_K_ANTISPOOF || (s->to.self && fw_has(s, FW_O_HAIRPIN)));
}

int fw_find_nets(const struct fw_conf *conf, const struct fw_ifs *ifs, struct fw_rules *out)
{
	out->nets = calloc(ifs->n + 1, sizeof(*out->nets));
	if (!out->nets)
		return -ENOMEM;
	for (unsigned int i = 0; i < ifs->n; i++) {
		bool named = false;

		for (unsigned int s = 0; s < conf->stmts && !named; s++)
			named = fw_names_net(&conf->stmt[s], ifs->v[i].name);
		if (named)
			out->nets[out->n_nets++] = ifs->v[i].ifindex;
	}
	return 0;
}

/* An interface that is not there (yet) is no slip: VPNs and containers come and go. */
int fw_find_skipped(const struct fw_conf *conf, const struct fw_ifs *ifs, struct fw_rules *out)
{
	out->skip = calloc(conf->skip.flat.n + 1, sizeof(*out->skip));
	if (!out->skip)
		return -ENOMEM;
	for (unsigned int i = 0; i < conf->skip.flat.n; i++) {
		const struct fw_if *iface = fw_ifs_find(ifs, conf->skip.flat.v[i].text);

		if (iface)
			out->skip[out->n_skip++] = iface->ifindex;
	}
	return 0;
}

/* As `set skip on`: an interface may come later. */
int fw_find_zones(const struct fw_conf *conf, const struct fw_ifs *ifs, struct fw_rules *out)
{
	unsigned int n = 0;

	for (unsigned int z = 0; z < conf->zone_ons; z++)
		n += conf->zone_on[z].list.flat.n;
	out->zone = calloc(n + 1, sizeof(*out->zone));
	if (!out->zone)
		return -ENOMEM;
	for (unsigned int z = 0; z < conf->zone_ons; z++) {
		const struct fw_zone_on *on = &conf->zone_on[z];

		for (unsigned int i = 0; i < on->list.flat.n; i++) {
			const struct fw_if *iface = fw_ifs_find(ifs, on->list.flat.v[i].text);

			if (iface)
				out->zone[out->n_zones++] =
					(struct fw_if_zone){iface->ifindex, on->zone};
		}
	}
	return 0;
}

bool fw_conf_skips(const struct fw_conf *conf, const char *name)
{
	for (unsigned int i = 0; i < conf->skip.flat.n; i++)
		if (!strcmp(conf->skip.flat.v[i].text, name))
			return true;
	return false;
}

static bool fw_is_skipped(const struct fw_rules *rules, uint32_t ifindex)
{
	for (unsigned int i = 0; i < rules->n_skip; i++)
		if (rules->skip[i] == ifindex)
			return true;
	return false;
}

void fw_rules_iface(const struct fw_rules *rules, const struct fw_if *iface, bool attached,
		    struct fw_iface *out)
{
	__be32 addr[4];

	memset(out, 0, sizeof(*out));
	out->mtu = iface->mtu < UINT16_MAX ? iface->mtu : UINT16_MAX;
	for (unsigned int i = 0; i < rules->n_zones; i++)
		if (rules->zone[i].ifindex == iface->ifindex)
			out->zone = rules->zone[i].zone;
	memcpy(out->mac, iface->mac, sizeof(out->mac));
	out->flags = (attached ? FW_IF_ATTACHED : 0) | (iface->no_l2 ? FW_IF_NO_L2 : 0);
	if (fw_if_masquerade(iface, 4, addr)) {
		out->masq4 = addr[0];
		out->flags |= FW_IF_MASQ4;
	}
	if (fw_if_masquerade(iface, 6, addr)) {
		memcpy(out->masq6, addr, sizeof(addr));
		out->flags |= FW_IF_MASQ6;
	}
	/* What comes from ctd's execute device at an egress hook is the router's own. */
	if (fw_is_skipped(rules, iface->ifindex) || !strncmp(iface->name, "ctalg", 5))
		out->flags |= FW_IF_SKIP;
	for (unsigned int i = 0; i < rules->n_nets; i++)
		if (rules->nets[i] == iface->ifindex)
			out->flags |= FW_IF_NETS;
	for (unsigned int i = 0; i < rules->n_inside; i++)
		if (rules->inside[i] == iface->ifindex)
			out->flags |= FW_IF_INSIDE;
}
