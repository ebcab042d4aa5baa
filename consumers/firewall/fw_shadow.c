// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Rules that can never match, as an earlier one matches all that they would.
 * First match wins, so such a rule is a slip in the order: worth a warning. */
#include <stdlib.h>
#include <string.h>

#include "fw_ast.h"

static bool fw_net_covers(const __be32 *a, const __be32 *amask, const __be32 *b,
			  const __be32 *bmask)
{
	for (int i = 0; i < 4; i++)
		if ((amask[i] & ~bmask[i]) || ((a[i] ^ b[i]) & amask[i]))
			return false;
	return true;
}

/* Everything that b lets through, a does; `! net` only where both are equal. */
static bool fw_addr_ok(uint32_t af, uint32_t bf, uint32_t on, uint32_t negate, uint32_t table,
		       const __be32 *a, const __be32 *amask, const __be32 *b, const __be32 *bmask)
{
	if (!(af & on))
		return true;
	if (!(bf & on) || (af & negate) != (bf & negate))
		return false;
	if ((af | bf) & table)
		return (af & bf & table) && a[0] == b[0];
	if (af & negate)
		return !memcmp(a, b, 16) && !memcmp(amask, bmask, 16);
	return fw_net_covers(a, amask, b, bmask);
}

static bool fw_l4_ok(const struct fw_match *a, const struct fw_match *b)
{
	uint32_t need = FW_M_PROTO | FW_M_SPORT | FW_M_DPORT | FW_M_ICMP_TYPE | FW_M_ICMP_CODE |
			FW_M_TO_SELF | FW_M_TO_NOT_SELF;

	if (a->flags & need & ~b->flags)
		return false;
	if ((a->flags & FW_M_PROTO) && a->proto != b->proto)
		return false;
	if ((a->flags & FW_M_SPORT) && (a->sport_min > b->sport_min || a->sport_max < b->sport_max))
		return false;
	if ((a->flags & FW_M_DPORT) && (a->dport_min > b->dport_min || a->dport_max < b->dport_max))
		return false;
	if ((a->flags & FW_M_ICMP_TYPE) && a->icmp_type != b->icmp_type)
		return false;
	return !(a->flags & FW_M_ICMP_CODE) || a->icmp_code == b->icmp_code;
}

static bool fw_rule_covers(const struct fw_rule *ra, const struct fw_rule *rb)
{
	const struct fw_match *a = &ra->match, *b = &rb->match;

	/* Over its limit it drops, but then what follows is not asked either. */
	if (((a->flags ^ b->flags) & FW_M_IN_NOT) && a->in_ifindex)
		return false;
	if (ra->dir != rb->dir || (a->family && a->family != b->family) ||
	    (a->in_ifindex && a->in_ifindex != b->in_ifindex) ||
	    (a->out_ifindex && a->out_ifindex != b->out_ifindex))
		return false;
	return fw_addr_ok(a->flags, b->flags, FW_M_SRC, FW_M_SRC_NOT, FW_M_SRC_TABLE, a->saddr,
			  a->smask, b->saddr, b->smask) &&
	       fw_addr_ok(a->flags, b->flags, FW_M_DST, FW_M_DST_NOT, FW_M_DST_TABLE, a->daddr,
			  a->dmask, b->daddr, b->dmask) &&
	       fw_l4_ok(a, b);
}

/* Number of the earlier rule that covers r, 0: none. */
static uint32_t fw_covered_by(const struct fw_rules *rules, const struct fw_rule *r)
{
	for (const struct fw_rule *a = rules->rule; a < r && a->number < r->number; a++)
		if (fw_rule_covers(a, r))
			return a->number;
	return 0;
}

void fw_warn_shadowed(const struct fw_conf *conf, const struct fw_rules *rules, FILE *err)
{
	unsigned int i = 0;

	while (i < rules->n_rules) {
		uint32_t number = rules->rule[i].number, by = 0;
		const struct fw_loc *loc = &conf->stmt[number - 1].loc;
		bool all = true;

		for (; i < rules->n_rules && rules->rule[i].number == number; i++) {
			uint32_t one = all ? fw_covered_by(rules, &rules->rule[i]) : 0;

			all &= one != 0;
			by = one > by ? one : by;
		}
		if (all)
			fprintf(err,
				"%s:%u:%u: warning: rule is never reached, line %u matches before "
				"it\n",
				conf->name, loc->line, loc->col, conf->stmt[by - 1].loc.line);
	}
}
