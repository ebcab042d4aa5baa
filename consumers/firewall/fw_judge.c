// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* What compiled rules would say of a connection, without asking the datapath. */
#include "fw_judge.h"

#include <string.h>

/* What a rule may ask of a packet that can be told here. */
#define FW_KNOWN                                                                                   \
	(FW_M_PROTO | FW_M_SRC | FW_M_DST | FW_M_SRC_NOT | FW_M_DST_NOT | FW_M_SPORT |             \
	 FW_M_DPORT | FW_M_TO_SELF | FW_M_IN_NOT | FW_M_SRC_TABLE | FW_M_DST_TABLE)

static bool fw_net_has(const __be32 *addr, const __be32 *net, const __be32 *mask)
{
	for (int i = 0; i < 4; i++)
		if ((addr[i] ^ net[i]) & mask[i])
			return false;
	return true;
}

static bool fw_prefix_has(const __be32 *addr, const struct fw_table_net *n)
{
	const uint8_t *a = (const uint8_t *)addr, *b = (const uint8_t *)n->addr;
	unsigned int bytes = n->plen / 8, bits = n->plen % 8;

	return !memcmp(a, b, bytes) && (!bits || !((a[bytes] ^ b[bytes]) >> (8 - bits)));
}

/* What the file puts into a table; what came by hand or overload is not here. */
static bool fw_listed(const struct fw_rules *rules, uint32_t table, uint8_t family,
		      const __be32 *addr)
{
	for (unsigned int i = 0; i < rules->n_tables; i++) {
		const struct fw_table *t = &rules->table[i];

		for (unsigned int j = 0; t->number == table && j < t->nets; j++)
			if (t->net[j].family == family && fw_prefix_has(addr, &t->net[j]))
				return true;
	}
	return false;
}

static bool fw_end_matches(const struct fw_rules *rules, const struct fw_ask *a, const __be32 *addr,
			   const __be32 *net, const __be32 *mask, bool table)
{
	return table ? fw_listed(rules, net[0], a->family, addr) : fw_net_has(addr, net, mask);
}

static bool fw_asks_for(const struct fw_rules *rules, const struct fw_match *m,
			const struct fw_ask *a)
{
	uint32_t f = m->flags;

	if ((f & ~FW_KNOWN) || m->out_ifindex)
		return false;
	if ((m->in_ifindex && (m->in_ifindex == a->in_ifindex) == !!(f & FW_M_IN_NOT)) ||
	    (m->family && m->family != a->family) || ((f & FW_M_PROTO) && m->proto != a->proto))
		return false;
	if ((f & (FW_M_SRC | FW_M_SRC_TABLE)) &&
	    fw_end_matches(rules, a, a->saddr, m->saddr, m->smask, f & FW_M_SRC_TABLE) ==
		    !!(f & FW_M_SRC_NOT))
		return false;
	if ((f & (FW_M_DST | FW_M_DST_TABLE)) &&
	    fw_end_matches(rules, a, a->daddr, m->daddr, m->dmask, f & FW_M_DST_TABLE) ==
		    !!(f & FW_M_DST_NOT))
		return false;
	if ((f & FW_M_SPORT) && (a->sport < m->sport_min || a->sport > m->sport_max))
		return false;
	return !(f & FW_M_DPORT) || (a->dport >= m->dport_min && a->dport <= m->dport_max);
}

bool fw_rules_admit(const struct fw_rules *rules, const struct fw_ask *ask, uint32_t *number)
{
	unsigned int i;

	for (i = 0; i < rules->n_nats; i++) {
		const struct fw_nat_rule *n = &rules->nat[i];

		*number = n->number;
		if (n->kind == FW_NAT_DST && !(n->flags & FW_N_INSIDE) &&
		    fw_asks_for(rules, &n->match, ask))
			return false;
	}
	for (i = 0; i < rules->n_rules; i++) {
		const struct fw_rule *r = &rules->rule[i];

		*number = r->number;
		if (r->dir == FW_IN && fw_asks_for(rules, &r->match, ask))
			return r->action == FW_PASS;
	}
	*number = 0;
	return rules->default_pass;
}
