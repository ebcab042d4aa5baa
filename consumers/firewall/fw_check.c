// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* What the grammar cannot see: macros, what fits a place, and contradictions. */
#include <inttypes.h>
#include <string.h>
#include <arpa/inet.h>
#include <netinet/in.h>

#include "fw_ast.h"

#define FW_PROTO_ICMP  1
#define FW_PROTO_ICMP6 58

static const char *const fw_place_text[] = {
	[FW_P_IFACE] = "an interface",
	[FW_P_PROTO] = "a protocol: tcp, udp, icmp, icmp6, sctp, gre or a number",
	[FW_P_ADDR] = "an address or network",
	[FW_P_TARGET] = "an address, a range or a network",
	[FW_P_PORT] = "a port",
	[FW_P_ICMP4] = "an ICMP type like echoreq, unreach, timex or a number",
	[FW_P_ICMP6] = "an ICMPv6 type like echoreq, toobig, neighbrsol or a number",
};

/* Terms of a list or macro, macros in it replaced. A macro is resolved where
 * it is defined, so this is one level deep. */
static int fw_resolve(struct fw_parser *ps, const struct fw_term *term, struct fw_terms *out)
{
	const struct fw_macro *macro;

	if (term->kind == FW_T_TABLE && !fw_find_table(ps->conf, term->text))
		return fw_error(ps, term->loc, "unknown table <%.40s>, expected one defined above",
				term->text);
	if (term->kind != FW_T_MACRO && term->kind != FW_T_NET)
		return fw_push(ps, out, term);
	macro = fw_find_macro(ps->conf, term->text);
	if (!macro)
		return fw_error(ps, term->loc, "unknown macro $%s, expected one defined above",
				term->text);
	if (macro->bad)
		return -1;
	for (unsigned int i = 0; i < macro->flat.n; i++) {
		struct fw_term t = macro->flat.v[i];

		if (term->kind == FW_T_NET && t.kind != FW_T_WORD)
			return fw_error(ps, term->loc,
					"$%s.net: '%s' is no interface, expected a macro of them",
					term->text, t.text);
		if (term->kind == FW_T_NET)
			t.kind = FW_T_NET;
		t.loc = term->loc;
		if (out->n >= FW_LIST_MAX)
			return fw_error(ps, term->loc, "list is too long, expected at most %d",
					FW_LIST_MAX);
		if (fw_push(ps, out, &t))
			return -1;
	}
	return 0;
}

static int fw_check_iface(struct fw_parser *ps, const struct fw_term *t)
{
	if (strlen(t->text) >= FW_IFNAME)
		return fw_error(
			ps, t->loc,
			"interface name '%.40s' is too long, expected at most %d characters",
			t->text, FW_IFNAME - 1);
	/* as dev_valid_name() of the kernel */
	if (!*t->text || strpbrk(t->text, "/: \t\r\v\f") || !strcmp(t->text, ".") ||
	    !strcmp(t->text, ".."))
		return fw_error(ps, t->loc,
				"'%s' cannot be an interface's name, expected an interface",
				t->text);
	return 0;
}

static int fw_check_port(struct fw_parser *ps, const struct fw_term *t)
{
	char text[FW_TERM_TEXT];

	if (t->lo < 1 || t->lo > 65535 || t->hi < 1 || t->hi > 65535)
		return fw_error(ps, t->loc, "port %.60s is out of range, expected 1 to 65535",
				fw_term_text(t, text, sizeof(text)));
	if (t->lo > t->hi)
		return fw_error(ps, t->loc,
				"port range %s is the wrong way round, expected %" PRIu64
				"-%" PRIu64,
				fw_term_text(t, text, sizeof(text)), t->hi, t->lo);
	return 0;
}

/* A name or a number up to 255, as protocols and ICMP types are. */
static int fw_check_named(struct fw_parser *ps, struct fw_term *t, enum fw_place place)
{
	int number;

	if (t->kind == FW_T_NUMBER) {
		if (t->lo <= 255)
			return 0;
		return fw_error(ps, t->loc, "%.40s is out of range, expected 0 to 255", t->text);
	}
	number = place == FW_P_PROTO   ? fw_proto_number(t->text)
		 : place == FW_P_ICMP4 ? fw_icmp_number(4, t->text)
				       : fw_icmp_number(6, t->text);
	if (number < 0)
		return fw_error(ps, t->loc, "unknown %s '%.40s', expected %s",
				place == FW_P_PROTO ? "protocol" : "ICMP type", t->text,
				fw_place_text[place]);
	t->lo = t->hi = number;
	return 0;
}

static int fw_check_term(struct fw_parser *ps, struct fw_term *t, enum fw_place place)
{
	static const unsigned int kinds[] = {
		[FW_P_IFACE] = 1 << FW_T_WORD,
		[FW_P_PROTO] = 1 << FW_T_WORD | 1 << FW_T_NUMBER,
		[FW_P_ADDR] = 1 << FW_T_ADDR | 1 << FW_T_NET | 1 << FW_T_TABLE,
		[FW_P_TARGET] = 1 << FW_T_ADDR | 1 << FW_T_SPAN,
		[FW_P_PORT] = 1 << FW_T_NUMBER | 1 << FW_T_RANGE,
		[FW_P_ICMP4] = 1 << FW_T_WORD | 1 << FW_T_NUMBER,
		[FW_P_ICMP6] = 1 << FW_T_WORD | 1 << FW_T_NUMBER,
	};
	char text[FW_TERM_TEXT];

	if (!(kinds[place] & 1 << t->kind))
		return fw_error(ps, t->loc, "unexpected '%.60s', expected %s",
				fw_term_text(t, text, sizeof(text)), fw_place_text[place]);
	if (place == FW_P_IFACE)
		return fw_check_iface(ps, t);
	if (place == FW_P_PORT)
		return fw_check_port(ps, t);
	if (place == FW_P_ADDR || place == FW_P_TARGET)
		return t->kind == FW_T_NET ? fw_check_iface(ps, t) : 0;
	return fw_check_named(ps, t, place);
}

static bool fw_spans_overlap(const struct fw_term *a, const struct fw_term *b)
{
	__be32 a1[4], a2[4], b1[4], b2[4];

	fw_addr_ends(a, a1, a2);
	fw_addr_ends(b, b1, b2);
	/* network byte order: compares as bytes */
	return a->family == b->family && memcmp(a1, b2, sizeof(a1)) <= 0 &&
	       memcmp(b1, a2, sizeof(b1)) <= 0;
}

static bool fw_overlap(const struct fw_term *a, const struct fw_term *b, enum fw_place place)
{
	if (place == FW_P_IFACE)
		return !strcmp(a->text, b->text);
	if (place == FW_P_TARGET)
		return fw_spans_overlap(a, b);
	if (place == FW_P_ADDR) {
		if (a->kind != b->kind)
			return false;
		if (a->kind == FW_T_NET || a->kind == FW_T_TABLE)
			return !strcmp(a->text, b->text);
		return fw_addr_covers(a, b) || fw_addr_covers(b, a);
	}
	if (a->lo > b->hi || b->lo > a->hi)
		return false;
	return place < FW_P_ICMP4 || a->code == b->code || a->code < 0 || b->code < 0;
}

int fw_flatten(struct fw_parser *ps, struct fw_list *list, enum fw_place place)
{
	char a[FW_TERM_TEXT], b[FW_TERM_TEXT];
	struct fw_terms *flat = &list->flat;

	memset(flat, 0, sizeof(*flat));
	for (unsigned int i = 0; i < list->terms.n; i++)
		if (fw_resolve(ps, &list->terms.v[i], flat))
			return -1;
	ps->terms += flat->n;
	if (ps->terms > FW_TERMS_MAX)
		return fw_error(ps, list->loc,
				"lists hold too much, expected at most %d terms in all",
				FW_TERMS_MAX);
	for (unsigned int i = 0; i < flat->n; i++)
		if (fw_check_term(ps, &flat->v[i], place))
			return -1;
	for (unsigned int i = 0; i < flat->n; i++)
		for (unsigned int j = 0; j < i; j++)
			if (fw_overlap(&flat->v[i], &flat->v[j], place))
				return fw_error(
					ps, flat->v[i].loc,
					"'%s' overlaps '%s' in the same list, expected each once",
					fw_term_text(&flat->v[i], a, sizeof(a)),
					fw_term_text(&flat->v[j], b, sizeof(b)));
	return 0;
}

/* list NULL: the definition was refused already. */
void fw_add_macro(struct fw_parser *ps, const struct fw_term *name, const struct fw_list *list)
{
	struct fw_conf *conf = ps->conf;
	struct fw_macro macro = {.name = name->text, .loc = name->loc, .bad = !list};
	const struct fw_macro *old;
	struct fw_macro *v;

	if (ps->no_memory)
		return;
	if (fw_is_reserved(name->text) || strpbrk(name->text, ".-")) {
		fw_error(ps, name->loc,
			 "'%.40s' cannot be a macro's name, expected letters, digits and _ that "
			 "are no keyword",
			 name->text);
		return;
	}
	old = fw_find_macro(conf, name->text);
	if (old) {
		fw_error(ps, name->loc, "macro %.40s defined twice, expected once: line %u has it",
			 name->text, old->loc.line);
		return;
	}
	if (conf->macros >= FW_MACROS_MAX) {
		fw_error(ps, name->loc, "too many macros, expected at most %d", FW_MACROS_MAX);
		return;
	}
	for (unsigned int i = 0; list && i < list->terms.n; i++) {
		macro.terms = list->terms;
		if (fw_resolve(ps, &list->terms.v[i], &macro.flat)) {
			macro.bad = true;
			break;
		}
	}
	v = fw_grow(ps, conf->macro, conf->macros, &conf->macros_cap, sizeof(*v));
	if (!v)
		return;
	conf->macro = v;
	v[conf->macros++] = macro;
}

uint8_t fw_addr_families(const struct fw_list *list)
{
	uint8_t families = 0;

	if (!list->terms.n || list->negate)
		return FW_F4 | FW_F6;
	for (unsigned int i = 0; i < list->flat.n; i++)
		families |= list->flat.v[i].family == 4	  ? FW_F4
			    : list->flat.v[i].family == 6 ? FW_F6
							  : FW_F4 | FW_F6;
	return families;
}

static uint8_t fw_proto_families(const struct fw_list *list)
{
	uint8_t families = 0;

	for (unsigned int i = 0; i < list->flat.n; i++)
		families |= list->flat.v[i].lo == FW_PROTO_ICMP	   ? FW_F4
			    : list->flat.v[i].lo == FW_PROTO_ICMP6 ? FW_F6
								   : FW_F4 | FW_F6;
	return list->flat.n ? families : FW_F4 | FW_F6;
}

int fw_check_family(struct fw_parser *ps, const struct fw_stmt *s, const struct fw_list *list)
{
	char text[FW_TERM_TEXT];

	for (unsigned int i = 0; s->family && i < list->flat.n; i++) {
		const struct fw_term *t = &list->flat.v[i];

		if (t->family && t->family != s->family)
			return fw_error(ps, t->loc,
					"%s in a rule with '%s', expected an IPv%d address",
					fw_term_text(t, text, sizeof(text)),
					s->family == 4 ? "inet" : "inet6", s->family);
	}
	return 0;
}

static int fw_check_negated(struct fw_parser *ps, const struct fw_list *list)
{
	if (!list->negate || list->self)
		return 0;
	if (list->flat.n != 1 || list->flat.v[0].kind == FW_T_NET)
		return fw_error(ps, list->loc,
				"'!' before a list, expected one address or network");
	return 0;
}

/* Tables change without a compile: what translates by network cannot follow. */
static int fw_check_tables(struct fw_parser *ps, const struct fw_stmt *s,
			   const struct fw_list *list)
{
	for (unsigned int i = 0; s->kind != FW_K_FILTER && i < list->flat.n; i++)
		if (list->flat.v[i].kind == FW_T_TABLE)
			return fw_error(
				ps, list->flat.v[i].loc,
				"table <%.40s> in a rule that translates, expected it in pass "
				"or block",
				list->flat.v[i].text);
	return 0;
}

static int fw_check_hosts(struct fw_parser *ps, struct fw_stmt *s)
{
	if (fw_flatten(ps, &s->from, FW_P_ADDR) || fw_flatten(ps, &s->to, FW_P_ADDR) ||
	    fw_check_negated(ps, &s->from) || fw_check_negated(ps, &s->to) ||
	    fw_check_family(ps, s, &s->from) || fw_check_family(ps, s, &s->to) ||
	    fw_check_tables(ps, s, &s->from) || fw_check_tables(ps, s, &s->to))
		return -1;
	if (s->to.self && s->dir == FW_OUT)
		return fw_error(ps, s->to.loc, "'self' in an out rule, expected it in an in rule");
	return 0;
}

static int fw_check_ports(struct fw_parser *ps, struct fw_stmt *s)
{
	const struct fw_list *at = s->sport.terms.n ? &s->sport : &s->dport;
	bool ports = s->proto.flat.n;

	if (fw_flatten(ps, &s->sport, FW_P_PORT) || fw_flatten(ps, &s->dport, FW_P_PORT))
		return -1;
	if (!at->terms.n)
		return 0;
	for (unsigned int i = 0; i < s->proto.flat.n; i++) {
		uint64_t proto = s->proto.flat.v[i].lo;

		ports &= proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP ||
			 proto == IPPROTO_UDPLITE;
	}
	if (!ports)
		return fw_error(ps, at->loc,
				"port in a rule for other protocols, expected proto tcp, udp or "
				"sctp before it");
	return 0;
}

static int fw_check_icmp(struct fw_parser *ps, struct fw_stmt *s)
{
	uint64_t proto = s->proto.flat.n == 1 ? s->proto.flat.v[0].lo : 0;

	if (!s->icmp.terms.n)
		return 0;
	if (proto != FW_PROTO_ICMP && proto != FW_PROTO_ICMP6)
		return fw_error(ps, s->icmp.loc,
				"icmp-type in a rule for other protocols, expected proto icmp or "
				"icmp6 before it");
	return fw_flatten(ps, &s->icmp, proto == FW_PROTO_ICMP ? FW_P_ICMP4 : FW_P_ICMP6);
}

static int fw_check_rule(struct fw_parser *ps, struct fw_stmt *s)
{
	if (s->kind == FW_K_ALG)
		return fw_check_alg(ps, s);
	if (fw_flatten(ps, &s->on, FW_P_IFACE) || fw_flatten(ps, &s->proto, FW_P_PROTO) ||
	    fw_check_hosts(ps, s) || fw_check_ports(ps, s) || fw_check_icmp(ps, s) ||
	    fw_check_nat(ps, s) || fw_check_limit(ps, s))
		return -1;
	s->families = s->family == 4 ? FW_F4 : s->family == 6 ? FW_F6 : FW_F4 | FW_F6;
	s->families &= fw_proto_families(&s->proto) & fw_addr_families(&s->from) &
		       fw_addr_families(&s->to);
	if (s->target.flat.n && !s->masquerade)
		s->families &= fw_addr_families(&s->target);
	if (!s->families)
		return fw_error(
			ps, s->loc,
			"rule mixes IPv4 and IPv6 and matches nothing, expected one family");
	return 0;
}

void fw_add_rule(struct fw_parser *ps, struct fw_stmt *stmt)
{
	struct fw_conf *conf = ps->conf;
	struct fw_stmt *v;

	if (ps->no_memory || fw_check_rule(ps, stmt))
		return;
	if (conf->stmts >= FW_RULES + FW_NATS) {
		fw_error(ps, stmt->loc, "too many rules, expected at most %d", FW_RULES + FW_NATS);
		return;
	}
	v = fw_grow(ps, conf->stmt, conf->stmts, &conf->stmts_cap, sizeof(*v));
	if (!v)
		return;
	conf->stmt = v;
	v[conf->stmts++] = *stmt;
}
