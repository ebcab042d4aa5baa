// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Does a flow match what the command line asks for? */
#include <netinet/in.h>
#include <string.h>

#include "ct_cmd.h"

static bool match_addr(const struct ct_addr_match *m, const void *addr, int family)
{
	const uint8_t *a = addr;

	if (!m->set)
		return true;
	for (int i = 0; i < (family == 6 ? 16 : 4); i++)
		if ((a[i] ^ m->addr[i]) & m->mask[i])
			return false;
	return true;
}

static bool match_nat_side(const struct ct_nat_match *m, const void *addr, uint16_t port,
			   int family)
{
	if (m->addr_set && memcmp(m->addr, addr, family == 6 ? 16 : 4))
		return false;
	return !m->port || m->port == port;
}

static bool is_snat(const struct ct_nat_match *m, const struct ct_view *v)
{
	const struct ct_view_side *r = &v->side[CT_REPLY];

	return v->status & CT_S_SRC_NAT && match_nat_side(m, r->dst, r->dport, v->family);
}

static bool is_dnat(const struct ct_nat_match *m, const struct ct_view *v)
{
	const struct ct_view_side *r = &v->side[CT_REPLY];

	return v->status & CT_S_DST_NAT && match_nat_side(m, r->src, r->sport, v->family);
}

static bool match_nat(const struct ct_cmd *cmd, const struct ct_view *v)
{
	if (cmd->options & CT_BIT(ANY_NAT))
		return is_snat(&cmd->anynat, v) || is_dnat(&cmd->anynat, v);
	if (cmd->options & CT_BIT(SRC_NAT) && !is_snat(&cmd->snat, v))
		return false;
	return !(cmd->options & CT_BIT(DST_NAT)) || is_dnat(&cmd->dnat, v);
}

static uint32_t l4_value(const struct ct_view *v, int field)
{
	const struct ct_view_side *o = &v->side[CT_ORIG], *r = &v->side[CT_REPLY];

	switch (field) {
	case CT_L4_SPORT:
		return o->sport;
	case CT_L4_DPORT:
		return o->dport;
	case CT_L4_REPLY_SPORT:
		return r->sport;
	case CT_L4_REPLY_DPORT:
		return r->dport;
	case CT_L4_STATE:
		return v->state;
	case CT_L4_ICMP_TYPE:
		return o->icmp_type;
	case CT_L4_ICMP_CODE:
		return o->icmp_code;
	case CT_L4_ICMP_ID:
		return o->icmp_id;
	case CT_L4_ORIG_VTAG:
		return v->vtag[CT_ORIG];
	case CT_L4_REPLY_VTAG:
		return v->vtag[CT_REPLY];
	}
	return 0;
}

static bool match_l4(const struct ct_cmd *cmd, const struct ct_view *v)
{
	uint32_t fields = cmd->l4_set & ~(1U << CT_L4_TUPLE_SPORT | 1U << CT_L4_TUPLE_DPORT |
					  1U << CT_L4_MASK_SPORT | 1U << CT_L4_MASK_DPORT);

	if (cmd->proto >= 0 && cmd->proto != v->proto)
		return false;
	for (int i = 0; i < CT_L4_MAX; i++)
		if (fields & 1U << i && l4_value(v, i) != cmd->l4[i])
			return false;
	return true;
}

static bool match_label(const struct ct_label *want, const struct ct_view *v)
{
	for (int i = 0; i < 4; i++)
		if ((v->label.bits[i] & want->bits[i]) != want->bits[i])
			return false;
	return true;
}

/* -m, -u and -t are filters of -L, -D and -E, and what to set in -U. */
static bool match_values(const struct ct_cmd *cmd, const struct ct_view *v)
{
	if (cmd->command == CT_CMD_UPDATE)
		return true;
	if (cmd->options & CT_BIT(MARK) && (v->mark & cmd->mark_mask) != cmd->mark)
		return false;
	if (cmd->options & CT_BIT(STATUS) && (v->status & cmd->status) != cmd->status)
		return false;
	return !(cmd->options & CT_BIT(TIMEOUT)) || v->timeout == cmd->timeout;
}

bool ct_filter(const struct ct_cmd *cmd, const struct ct_view *v)
{
	const struct ct_view_side *o = &v->side[CT_ORIG], *r = &v->side[CT_REPLY];

	if (cmd->family && cmd->family != v->family)
		return false;
	if (!match_addr(&cmd->src, o->src, v->family) ||
	    !match_addr(&cmd->dst, o->dst, v->family) ||
	    !match_addr(&cmd->reply_src, r->src, v->family) ||
	    !match_addr(&cmd->reply_dst, r->dst, v->family))
		return false;
	if (cmd->options & CT_BIT(ZONE) && cmd->zone != v->zone)
		return false;
	/* A zone of one direction only is not what zone= is, and we have none. */
	if (cmd->orig_zone || cmd->reply_zone)
		return false;
	if (cmd->options & CT_BIT(LABEL) && !match_label(&cmd->label, v))
		return false;
	if (cmd->options & CT_BIT(SECMARK))
		return false; /* no flow of ours has one */
	return match_l4(cmd, v) && match_nat(cmd, v) && match_values(cmd, v);
}
