// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Terms of the language: numbers, names, addresses. */
#include <arpa/inet.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "fw_ast.h"

struct fw_name {
	const char *name;
	int number;
};

static const struct fw_name fw_protos[] = {
	{"icmp", 1}, {"tcp", 6}, {"udp", 17}, {"gre", 47}, {"icmp6", 58}, {"sctp", 132}, {NULL, 0},
};

/* pf's names; the first of a number is the canonical one, the others are
 * those of iptables and nft. */
static const struct fw_name fw_icmp4[] = {
	{"echorep", 0},
	{"unreach", 3},
	{"redir", 5},
	{"echoreq", 8},
	{"routeradv", 9},
	{"routersol", 10},
	{"timex", 11},
	{"paramprob", 12},
	{"timereq", 13},
	{"timerep", 14},
	{"echo-reply", 0},
	{"destination-unreachable", 3},
	{"redirect", 5},
	{"echo-request", 8},
	{"time-exceeded", 11},
	{"parameter-problem", 12},
	{NULL, 0},
};

static const struct fw_name fw_icmp6[] = {
	{"unreach", 1},	       {"toobig", 2},	     {"timex", 3},
	{"paramprob", 4},      {"echoreq", 128},     {"echorep", 129},
	{"listqry", 130},      {"listenrep", 131},   {"listendone", 132},
	{"routersol", 133},    {"routeradv", 134},   {"neighbrsol", 135},
	{"neighbradv", 136},   {"redir", 137},	     {"destination-unreachable", 1},
	{"packet-too-big", 2}, {"time-exceeded", 3}, {"parameter-problem", 4},
	{"echo-request", 128}, {"echo-reply", 129},  {NULL, 0},
};

static const char *const fw_reserved[] = {
	"set",	 "pass",     "block",	  "nat",     "in",	  "out",      "on",
	"inet",	 "inet6",    "proto",	  "from",    "to",	  "any",      "self",
	"port",	 "ports",    "icmp-type", "code",    "forward",	  "redirect", "return",
	"limit", "overload", "table",	  "persist", "antispoof", "for",      "alg",
};

/* as in the TARGET state of fw.l */
static const char *const fw_options[] = {
	"none",	  "static", "eim",	  "eif",    "adf",  "hairpin", "parity", "paired",
	"random", "hash",   "persistent", "states", "rate", "icmp",    "off",
};

bool fw_is_reserved(const char *word)
{
	for (size_t i = 0; i < sizeof(fw_reserved) / sizeof(*fw_reserved); i++)
		if (!strcmp(word, fw_reserved[i]))
			return true;
	return false;
}

bool fw_is_option(const char *word)
{
	for (size_t i = 0; i < sizeof(fw_options) / sizeof(*fw_options); i++)
		if (!strcmp(word, fw_options[i]))
			return true;
	return false;
}

static int fw_by_name(const struct fw_name *table, const char *name)
{
	for (; table->name; table++)
		if (!strcmp(table->name, name))
			return table->number;
	return -1;
}

static const char *fw_by_number(const struct fw_name *table, uint64_t number)
{
	for (; table->name; table++)
		if ((uint64_t)table->number == number)
			return table->name;
	return NULL;
}

const char *fw_proto_name(uint64_t proto)
{
	return fw_by_number(fw_protos, proto);
}

int fw_proto_number(const char *name)
{
	return fw_by_name(fw_protos, name);
}

const char *fw_icmp_name(int family, uint64_t type)
{
	return fw_by_number(family == 4 ? fw_icmp4 : fw_icmp6, type);
}

int fw_icmp_number(int family, const char *name)
{
	return fw_by_name(family == 4 ? fw_icmp4 : fw_icmp6, name);
}

int fw_push(struct fw_parser *ps, struct fw_terms *terms, const struct fw_term *term)
{
	struct fw_term *v = fw_grow(ps, terms->v, terms->n, &terms->cap, sizeof(*v));

	if (!v)
		return -1;
	terms->v = v;
	v[terms->n++] = *term;
	return 0;
}

struct fw_list fw_list_of(struct fw_parser *ps, const struct fw_term *term)
{
	struct fw_list list = {.loc = term->loc};

	fw_push(ps, &list.terms, term);
	return list;
}

struct fw_list fw_word_list(struct fw_parser *ps, struct fw_loc loc, const char *word)
{
	struct fw_term term = {.kind = FW_T_WORD, .loc = loc, .text = word, .code = -1};

	return fw_list_of(ps, &term);
}

int fw_icmp_code(struct fw_parser *ps, struct fw_term *type, const struct fw_term *code)
{
	if (type->kind == FW_T_MACRO || type->kind == FW_T_NET)
		return fw_error(ps, code->loc, "code after a macro, expected it after a type");
	if (code->lo > 255)
		return fw_error(ps, code->loc, "ICMP code %s is out of range, expected 0 to 255",
				code->text);
	type->code = code->lo;
	return 0;
}

const struct fw_macro *fw_find_macro(const struct fw_conf *conf, const char *name)
{
	for (unsigned int i = 0; i < conf->macros; i++)
		if (!strcmp(conf->macro[i].name, name))
			return &conf->macro[i];
	return NULL;
}

void fw_mask(uint8_t family, uint8_t plen, __be32 mask[4])
{
	for (int i = 0; i < (family == 4 ? 1 : 4); i++) {
		int bits = plen - 32 * i;

		mask[i] = bits >= 32 ? ~0U : bits <= 0 ? 0 : htonl(~0U << (32 - bits));
	}
	if (family == 4)
		mask[1] = mask[2] = mask[3] = 0;
}

bool fw_addr_covers(const struct fw_term *net, const struct fw_term *other)
{
	__be32 mask[4];

	if (net->family != other->family || net->plen > other->plen)
		return false;
	fw_mask(net->family, net->plen, mask);
	for (int i = 0; i < 4; i++)
		if ((net->addr[i] ^ other->addr[i]) & mask[i])
			return false;
	return true;
}

void fw_addr_ends(const struct fw_term *term, __be32 first[4], __be32 last[4])
{
	__be32 mask[4];

	memcpy(first, term->addr, sizeof(term->addr));
	memcpy(last, term->kind == FW_T_SPAN ? term->last : term->addr, sizeof(term->addr));
	if (term->kind == FW_T_SPAN)
		return;
	fw_mask(term->family, term->plen, mask);
	for (int i = 0; i < (term->family == 4 ? 1 : 4); i++)
		last[i] |= ~mask[i];
}

uint32_t fw_addr_count(const struct fw_term *term)
{
	int words = term->family == 4 ? 1 : 4;
	__be32 first[4], last[4];

	fw_addr_ends(term, first, last);
	for (int i = 0; i < words - 1; i++)
		if (first[i] != last[i])
			return UINT32_MAX;
	uint32_t n = ntohl(last[words - 1]) - ntohl(first[words - 1]);

	return n == UINT32_MAX ? n : n + 1;
}

const char *fw_term_text(const struct fw_term *term, char *buf, size_t len)
{
	char addr[INET6_ADDRSTRLEN], last[INET6_ADDRSTRLEN];

	switch (term->kind) {
	case FW_T_WORD:
		snprintf(buf, len, "%s", term->text);
		break;
	case FW_T_NUMBER:
	case FW_T_TIME:
	case FW_T_RATE:
		snprintf(buf, len, "%s", term->text);
		break;
	case FW_T_SPAN:
		inet_ntop(term->family == 4 ? AF_INET : AF_INET6, term->addr, addr, sizeof(addr));
		inet_ntop(term->family == 4 ? AF_INET : AF_INET6, term->last, last, sizeof(last));
		snprintf(buf, len, "%s-%s", addr, last);
		break;
	case FW_T_RANGE:
		snprintf(buf, len, "%" PRIu64 "-%" PRIu64, term->lo, term->hi);
		break;
	case FW_T_MACRO:
		snprintf(buf, len, "$%s", term->text);
		break;
	case FW_T_TABLE:
		snprintf(buf, len, "<%s>", term->text);
		break;
	case FW_T_NET:
		snprintf(buf, len, "$%s.net", term->text);
		break;
	case FW_T_ADDR:
		inet_ntop(term->family == 4 ? AF_INET : AF_INET6, term->addr, addr, sizeof(addr));
		if (term->plen == (term->family == 4 ? 32 : 128))
			snprintf(buf, len, "%s", addr);
		else
			snprintf(buf, len, "%s/%u", addr, term->plen);
	}
	return buf;
}

/* The bits below the mask must be zero: 10.0.0.5/24 is more often a slip than a net. */
static int fw_check_host_bits(struct fw_parser *ps, const struct fw_term *term)
{
	struct fw_term net = *term;
	char text[FW_TERM_TEXT];
	__be32 mask[4];

	fw_mask(term->family, term->plen, mask);
	for (int i = 0; i < 4; i++)
		net.addr[i] &= mask[i];
	if (!memcmp(net.addr, term->addr, sizeof(net.addr)))
		return 0;
	return fw_error(ps, term->loc, "%s has bits outside its mask, expected %s", term->text,
			fw_term_text(&net, text, sizeof(text)));
}

int fw_parse_addr(struct fw_parser *ps, struct fw_term *term)
{
	bool v6 = strchr(term->text, ':');
	unsigned int full = v6 ? 128 : 32;
	const char *slash = strchr(term->text, '/');
	size_t len = slash ? (size_t)(slash - term->text) : strlen(term->text);
	char addr[INET6_ADDRSTRLEN];
	unsigned long plen = full;

	if (len < sizeof(addr)) {
		memcpy(addr, term->text, len);
		addr[len] = 0;
	}
	if (len >= sizeof(addr) || inet_pton(v6 ? AF_INET6 : AF_INET, addr, term->addr) != 1)
		return fw_error(ps, term->loc, "'%.60s' is not an address, expected %s", term->text,
				v6 ? "IPv6 like 2001:db8::1" : "IPv4 like 192.0.2.1");
	if (slash)
		plen = strtoul(slash + 1, NULL, 10);
	if (plen > full)
		return fw_error(ps, term->loc, "mask %.20s is too long, expected /0 to /%u", slash,
				full);
	term->family = v6 ? 6 : 4;
	term->plen = plen;
	return fw_check_host_bits(ps, term);
}

int fw_parse_span(struct fw_parser *ps, struct fw_term *first, struct fw_term *last)
{
	char a[FW_TERM_TEXT], b[FW_TERM_TEXT];

	if (fw_parse_addr(ps, first) || fw_parse_addr(ps, last))
		return -1;
	if (first->family != last->family)
		return fw_error(ps, last->loc,
				"%s ends a range that begins with %s, expected an "
				"IPv%d address",
				last->text, first->text, first->family);
	if (first->plen != (first->family == 4 ? 32 : 128) || last->plen != first->plen)
		return fw_error(ps, first->loc, "network in a range, expected two addresses");
	if (memcmp(first->addr, last->addr, sizeof(first->addr)) > 0)
		return fw_error(ps, first->loc,
				"address range %s-%s is the wrong way round, expected %s-%s",
				fw_term_text(first, a, sizeof(a)), fw_term_text(last, b, sizeof(b)),
				b, a);
	first->kind = FW_T_SPAN;
	memcpy(first->last, last->addr, sizeof(first->last));
	return 0;
}

/* The digits of a port range; too many for a port all say too much. */
static uint64_t fw_port_value(const char *text)
{
	return strlen(text) > 9 && strspn(text, "0123456789") > 9 ? UINT64_MAX
								  : strtoul(text, NULL, 10);
}

int fw_parse_endpoint(struct fw_parser *ps, struct fw_term *addr, struct fw_term *port)
{
	const char *text = addr->text, *end, *dash;
	bool brackets = *text == '[';

	end = brackets ? strchr(text, ']') : strchr(text, ':');
	addr->text = fw_strndup(ps, text + brackets, end - text - brackets);
	addr->kind = FW_T_ADDR;
	addr->loc.col += brackets;
	end += brackets;
	port->text = NULL;
	if (!addr->text)
		return -1;
	if (brackets && !strchr(addr->text, ':'))
		return fw_error(ps, addr->loc,
				"'%.60s' in brackets, expected an IPv6 address there", addr->text);
	if (fw_parse_addr(ps, addr))
		return -1;
	if (*end != ':')
		return 0;
	port->loc.col += end + 1 - text;
	port->text = fw_strndup(ps, end + 1, strlen(end + 1));
	if (!port->text)
		return -1;
	dash = strchr(port->text, '-');
	port->kind = dash ? FW_T_RANGE : FW_T_NUMBER;
	port->lo = fw_port_value(port->text);
	port->hi = dash ? fw_port_value(dash + 1) : port->lo;
	return 0;
}
