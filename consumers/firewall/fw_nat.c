// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Targets and options of nat, forward and redirect rules: what the grammar
 * cannot see. Pools against one another are fw_pool.c's. */
#include <inttypes.h>
#include <string.h>
#include <arpa/inet.h>
#include <netinet/in.h>

#include "../../bpf/abi/nat_block.h"
#include "fw_ast.h"

/* A forward shares its connections out among them. */
#define FW_TARGETS_MAX 65536

static const struct {
	const char *text;
	uint32_t flag;
	uint32_t max; /* of a number; 0: takes none */
} fw_opts[FW_O_MAX] = {
	[FW_O_STATIC] = {"static", FW_N_STATIC, 0},
	[FW_O_EIM] = {"eim", FW_N_EIM, 0},
	[FW_O_EIF] = {"eif", FW_N_EIF, 0},
	[FW_O_ADF] = {"adf", FW_N_ADF, 0},
	[FW_O_HAIRPIN] = {"hairpin", FW_N_HAIRPIN, 0},
	[FW_O_PARITY] = {"parity", FW_N_PARITY, 0},
	[FW_O_PAIRED] = {"paired", FW_N_PAIRED, 0},
	[FW_O_RANDOM] = {"random", FW_N_RANDOM, 0},
	[FW_O_HASH] = {"hash", FW_N_HASH, 0},
	[FW_O_PERSISTENT] = {"persistent", FW_N_PERSISTENT, 0},
	[FW_O_BLOCK] = {"block", 0, NAT_BLOCK_PORTS},
	[FW_O_LIMIT_PORTS] = {"limit ports", 0, 65535},
	[FW_O_LIMIT_STATES] = {"limit states", 0, 16777216},
	[FW_O_LIMIT_RATE] = {"limit rate", 0, 1000000},
	[FW_O_ICMP] = {"icmp", 0, 0},
};

const char *fw_opt_text(enum fw_opt opt)
{
	return fw_opts[opt].text;
}

bool fw_has(const struct fw_stmt *s, enum fw_opt opt)
{
	return s->opt[opt].loc.line != 0;
}

uint32_t fw_nat_flags(const struct fw_stmt *s)
{
	uint32_t flags = s->none ? FW_N_NONE : 0;

	for (enum fw_opt i = 0; i < FW_O_MAX; i++)
		flags |= fw_has(s, i) ? fw_opts[i].flag : 0;
	if (fw_has(s, FW_O_ICMP) && !s->opt[FW_O_ICMP].value)
		flags |= FW_N_NO_ICMP;
	return flags;
}

void fw_add_opt(struct fw_parser *ps, enum fw_opt opt, struct fw_loc loc, uint64_t value)
{
	struct fw_opt_use *use = &ps->stmt.opt[opt];

	if (use->loc.line)
		fw_error(ps, loc, "'%s' given twice, expected once", fw_opts[opt].text);
	else if (fw_opts[opt].max && (value < 1 || value > fw_opts[opt].max))
		fw_error(ps, loc, "'%s' is out of range, expected 1 to %u", fw_opts[opt].text,
			 fw_opts[opt].max);
	*use = (struct fw_opt_use){.loc = loc, .value = value};
}

/* One that a host can have. */
static bool fw_unicast(uint8_t family, const __be32 addr[4])
{
	const uint8_t *byte = (const uint8_t *)addr;

	if (family == 4)
		return byte[0] != 0 && byte[0] != 127 && byte[0] < 224;
	return byte[0] != 0xff && !(byte[0] == 0xfe && (byte[1] & 0xc0) == 0x80) &&
	       !IN6_IS_ADDR_UNSPECIFIED(addr) && !IN6_IS_ADDR_LOOPBACK(addr);
}

static int fw_check_target_addr(struct fw_parser *ps, const struct fw_term *t)
{
	__be32 first[4], last[4];
	char text[FW_TERM_TEXT];

	fw_term_text(t, text, sizeof(text));
	if (t->kind == FW_T_NET)
		return fw_error(ps, t->loc, "unexpected '%s', expected an address or a range",
				text);
	fw_addr_ends(t, first, last);
	if (!fw_unicast(t->family, first) || !fw_unicast(t->family, last))
		return fw_error(ps, t->loc, "%s cannot be a host's, expected unicast addresses",
				text);
	return 0;
}

static int fw_check_addrs(struct fw_parser *ps, struct fw_stmt *s)
{
	if (fw_flatten(ps, &s->target, FW_P_TARGET) || fw_check_family(ps, s, &s->target))
		return -1;
	for (unsigned int i = 0; i < s->target.flat.n; i++)
		if (fw_check_target_addr(ps, &s->target.flat.v[i]))
			return -1;
	return 0;
}

static int fw_check_range(struct fw_parser *ps, struct fw_stmt *s)
{
	if (fw_flatten(ps, &s->ports, FW_P_PORT))
		return -1;
	if (s->ports.terms.n && s->ports.flat.n != 1)
		return fw_error(ps, s->ports.loc, "ports is a list, expected one range");
	return 0;
}

/* The one network that static and block translate. */
static int fw_check_one_net(struct fw_parser *ps, const struct fw_stmt *s, enum fw_opt opt)
{
	const struct fw_terms *from = &s->from.flat;

	if (from->n == 1 && !s->from.negate && from->v[0].kind == FW_T_ADDR)
		return 0;
	return fw_error(ps, s->opt[opt].loc,
			"'%s' without one network to translate, expected "
			"'from' with one",
			fw_opt_text(opt));
}

static int fw_check_static(struct fw_parser *ps, const struct fw_stmt *s)
{
	const struct fw_loc at = s->opt[FW_O_STATIC].loc;
	const struct fw_term *from = s->from.flat.v, *to = s->target.flat.v;

	for (enum fw_opt i = FW_O_EIM; i < FW_O_MAX; i++)
		if (fw_has(s, i) && i != FW_O_HAIRPIN)
			return fw_error(ps, s->opt[i].loc,
					"'%s' in a static rule, expected 'hairpin' or nothing",
					fw_opt_text(i));
	if (s->ports.terms.n || s->sport.terms.n || s->dport.terms.n)
		return fw_error(ps, at, "ports in a static rule, expected none: it keeps them");
	if (fw_check_one_net(ps, s, FW_O_STATIC))
		return -1;
	if (s->masquerade || s->target.flat.n != 1 || to->kind != FW_T_ADDR ||
	    to->family != from->family || to->plen != from->plen)
		return fw_error(ps, s->target.loc,
				"static needs a target as large as its source, expected one IPv%d "
				"network /%u",
				from->family, from->plen);
	return 0;
}

/* A rule that shares ports out in blocks: every inside address must get one. */
static int fw_check_block(struct fw_parser *ps, const struct fw_stmt *s)
{
	uint32_t block = s->opt[FW_O_BLOCK].value, ports, hosts;
	uint64_t addrs = 0, blocks;

	if (fw_check_one_net(ps, s, FW_O_BLOCK))
		return -1;
	ports = s->ports.flat.n ? s->ports.flat.v[0].hi - s->ports.flat.v[0].lo + 1 : 64512;
	for (unsigned int i = 0; i < s->target.flat.n && !s->masquerade; i++)
		addrs += fw_addr_count(&s->target.flat.v[i]);
	blocks = (s->masquerade ? 1 : addrs) * (block ? ports / block : 0);
	hosts = fw_addr_count(s->from.flat.v);
	if (hosts <= blocks)
		return 0;
	return fw_error(ps, s->opt[FW_O_BLOCK].loc,
			"%" PRIu64 " blocks of %u ports for %s%u inside addresses, expected one "
			"for each",
			blocks, block, hosts == UINT32_MAX ? "more than " : "", hosts);
}

/* a needs one of b and c beside it. */
static int fw_needs(struct fw_parser *ps, const struct fw_stmt *s, enum fw_opt a, enum fw_opt b,
		    enum fw_opt c)
{
	if (!fw_has(s, a) || fw_has(s, b) || fw_has(s, c))
		return 0;
	return fw_error(ps, s->opt[a].loc, "'%s' without '%s', expected both", fw_opt_text(a),
			fw_opt_text(b));
}

static int fw_excludes(struct fw_parser *ps, const struct fw_stmt *s, enum fw_opt a, enum fw_opt b)
{
	if (!fw_has(s, a) || !fw_has(s, b))
		return 0;
	return fw_error(ps, s->opt[b].loc, "'%s' and '%s', expected one of them", fw_opt_text(a),
			fw_opt_text(b));
}

static int fw_check_source(struct fw_parser *ps, struct fw_stmt *s)
{
	if (s->masquerade) {
		if (fw_flatten(ps, &s->target, FW_P_IFACE))
			return -1;
		if (s->target.flat.n != 1)
			return fw_error(ps, s->target.loc,
					"target is a list, expected one interface");
	} else if (fw_check_addrs(ps, s)) {
		return -1;
	}
	if (fw_check_range(ps, s) || fw_needs(ps, s, FW_O_EIF, FW_O_EIM, FW_O_EIM) ||
	    fw_needs(ps, s, FW_O_ADF, FW_O_EIM, FW_O_EIM) ||
	    fw_needs(ps, s, FW_O_HAIRPIN, FW_O_EIM, FW_O_STATIC) ||
	    fw_excludes(ps, s, FW_O_EIF, FW_O_ADF) || fw_excludes(ps, s, FW_O_RANDOM, FW_O_HASH) ||
	    fw_excludes(ps, s, FW_O_RANDOM, FW_O_PERSISTENT))
		return -1;
	if (fw_has(s, FW_O_STATIC))
		return fw_check_static(ps, s);
	return fw_has(s, FW_O_BLOCK) ? fw_check_block(ps, s) : 0;
}

static uint64_t fw_width(const struct fw_term *range)
{
	return range->hi - range->lo + 1;
}

/* Ports of a destination rule: one for all, or as many as the rule matches. */
static int fw_check_to_ports(struct fw_parser *ps, struct fw_stmt *s)
{
	bool ports = s->proto.flat.n;

	if (fw_check_range(ps, s))
		return -1;
	if (!s->ports.flat.n)
		return 0;
	for (unsigned int i = 0; i < s->proto.flat.n; i++) {
		uint64_t proto = s->proto.flat.v[i].lo;

		ports &= proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP ||
			 proto == IPPROTO_UDPLITE;
	}
	if (!ports)
		return fw_error(ps, s->ports.loc,
				"port of a target in a rule for other protocols, expected proto "
				"tcp, udp or sctp");
	if (fw_width(s->ports.flat.v) == 1 ||
	    (s->dport.flat.n == 1 && fw_width(s->dport.flat.v) == fw_width(s->ports.flat.v)))
		return 0;
	return fw_error(ps, s->ports.loc,
			"%" PRIu64 " ports of a target for %" PRIu64 " in the rule, expected one "
			"or as many",
			fw_width(s->ports.flat.v),
			s->dport.flat.n == 1 ? fw_width(s->dport.flat.v) : (uint64_t)65535);
}

bool fw_is_pairing(const struct fw_stmt *s)
{
	const struct fw_term *target = s->target.flat.v, *to = s->to.flat.v;

	return s->to.flat.n == 1 && !s->to.negate && target->kind == FW_T_ADDR &&
	       to->kind == FW_T_ADDR && to->family == target->family && to->plen == target->plen &&
	       target->plen < (target->family == 4 ? 32 : 128);
}

static int fw_check_forward(struct fw_parser *ps, struct fw_stmt *s)
{
	/* What is not addressed to the router is taken only when the rule says so. */
	if (!s->to.terms.n && !s->to.self && !s->to_any)
		s->to.self = true;
	if (fw_check_addrs(ps, s))
		return -1;
	if (s->target.flat.n != 1)
		return fw_error(ps, s->target.loc,
				"target is a list, expected one address or range");
	if (fw_addr_count(s->target.flat.v) > FW_TARGETS_MAX && !fw_is_pairing(s))
		return fw_error(ps, s->target.loc,
				"target is too large, expected at most %d "
				"addresses, or as many as 'to' has",
				FW_TARGETS_MAX);
	if (fw_has(s, FW_O_HAIRPIN) && (s->to.negate || (!s->to.self && !s->to.flat.n)))
		return fw_error(
			ps, s->opt[FW_O_HAIRPIN].loc,
			"hairpin for any destination, expected 'to' with addresses or self");
	return fw_check_to_ports(ps, s);
}

int fw_check_nat(struct fw_parser *ps, struct fw_stmt *s)
{
	switch (s->kind) {
	case FW_K_FILTER:
	case FW_K_ANTISPOOF:
	case FW_K_ALG:
		return 0;
	case FW_K_NAT:
		return s->none ? 0 : fw_check_source(ps, s);
	case FW_K_FORWARD:
		return fw_check_forward(ps, s);
	case FW_K_REDIRECT:
		return fw_check_to_ports(ps, s);
	}
	return 0;
}
