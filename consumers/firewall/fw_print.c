// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* The canonical form of a rule file. What it prints parses to the same conf. */
#include <ctype.h>
#include <string.h>

#include "fw_ast.h"

/* Must a word stand in quotes? As WORD of fw.l. */
static bool fw_plain(const char *word)
{
	bool ok = isalpha((unsigned char)*word) || *word == '_';

	for (size_t i = 1; ok && word[i]; i++) {
		bool sep = word[i] == '-' || word[i] == '.';

		ok = isalnum((unsigned char)word[i]) || word[i] == '_' ||
		     (sep && (isalnum((unsigned char)word[i + 1]) || word[i + 1] == '_'));
	}
	return ok && !fw_is_reserved(word);
}

/* name: what to print instead of the term, or NULL. */
static void fw_print_term(const struct fw_term *t, const char *name, FILE *out)
{
	char text[FW_TERM_TEXT];

	if (t->kind == FW_T_WORD && !name)
		fprintf(out, fw_plain(t->text) ? "%s" : "\"%s\"", t->text);
	else if (t->kind == FW_T_NUMBER && !name)
		fprintf(out, "%llu", (unsigned long long)t->lo);
	else if (t->kind == FW_T_TABLE)
		fprintf(out, "<%s>", t->text);
	else if (t->kind == FW_T_MACRO || t->kind == FW_T_NET) /* of any length */
		fprintf(out, "$%s%s", t->text, t->kind == FW_T_NET ? ".net" : "");
	else
		fputs(name ? name : fw_term_text(t, text, sizeof(text)), out);
	if (t->code >= 0)
		fprintf(out, " code %d", t->code);
}

/* The canonical name of a protocol or ICMP type however it was written. */
static const char *fw_term_name(const struct fw_term *t, enum fw_place place)
{
	int family = place == FW_P_ICMP4 ? 4 : 6;
	int number;

	if (place == FW_P_PROTO)
		return t->kind == FW_T_NUMBER ? fw_proto_name(t->lo) : NULL;
	if (place != FW_P_ICMP4 && place != FW_P_ICMP6)
		return NULL;
	if (t->kind == FW_T_NUMBER)
		return fw_icmp_name(family, t->lo);
	number = t->kind == FW_T_WORD ? fw_icmp_number(family, t->text) : -1;
	return number < 0 ? NULL : fw_icmp_name(family, number);
}

static void fw_print_terms(const struct fw_terms *terms, enum fw_place place, FILE *out)
{
	bool braces = terms->n != 1;

	if (braces)
		fputs("{ ", out);
	for (unsigned int i = 0; i < terms->n; i++) {
		if (i)
			fputs(", ", out);
		fw_print_term(&terms->v[i], fw_term_name(&terms->v[i], place), out);
	}
	if (braces)
		fputs(" }", out);
}

static void fw_print_list(const char *word, const struct fw_list *list, enum fw_place place,
			  FILE *out)
{
	if (!list->terms.n)
		return;
	fprintf(out, " %s ", word);
	if (list->negate)
		fputs("! ", out);
	fw_print_terms(&list->terms, place, out);
}

static void fw_print_host(const char *word, const struct fw_list *list, const struct fw_list *port,
			  FILE *out)
{
	if (list->self)
		fprintf(out, " %s %sself", word, list->negate ? "! " : "");
	else if (!list->terms.n && port->terms.n)
		fprintf(out, " %s any", word);
	fw_print_list(word, list, FW_P_ADDR, out);
	fw_print_list("port", port, FW_P_PORT, out);
}

static void fw_print_options(const struct fw_stmt *s, FILE *out)
{
	for (enum fw_opt i = 0; i < FW_O_MAX; i++) {
		unsigned long long value = s->opt[i].value;

		if (!fw_has(s, i))
			continue;
		fprintf(out, " %s", fw_opt_text(i));
		if (i == FW_O_ICMP)
			fputs(value ? " on" : " off", out);
		else if (i == FW_O_LIMIT_RATE)
			fprintf(out, " %llu/s", value);
		else if (i >= FW_O_BLOCK)
			fprintf(out, " %llu", value);
	}
}

static void fw_print_target(const struct fw_stmt *s, FILE *out)
{
	if (s->kind == FW_K_FILTER || s->kind == FW_K_ANTISPOOF)
		return;
	fputs(s->none			 ? " -> none"
	      : s->kind == FW_K_REDIRECT ? " -> self"
	      : s->masquerade		 ? " -> ("
					 : " -> ",
	      out);
	if (s->masquerade && s->target.terms.v->kind == FW_T_WORD &&
	    fw_is_option(s->target.terms.v->text))
		fprintf(out, "\"%s\"", s->target.terms.v->text);
	else if (s->kind != FW_K_REDIRECT && !s->none)
		fw_print_terms(&s->target.terms, FW_P_TARGET, out);
	fputs(s->masquerade ? ")" : "", out);
	fw_print_list(s->kind == FW_K_NAT ? "ports" : "port", &s->ports, FW_P_PORT, out);
	fw_print_options(s, out);
}

static void fw_print_limit(const struct fw_stmt *s, FILE *out)
{
	if (!s->limit.loc.line)
		return;
	fprintf(out, " limit %llu/", (unsigned long long)s->limit.lo);
	if (s->limit.hi == 1)
		fputs("s", out);
	else
		fprintf(out, "%llus", (unsigned long long)s->limit.hi);
	if (s->overload.loc.line)
		fprintf(out, " overload <%s>", s->overload.text);
}

static void fw_print_rule(const struct fw_stmt *s, FILE *out)
{
	static const char *const words[] = {[FW_K_FILTER] = "pass",
					    [FW_K_NAT] = "nat",
					    [FW_K_FORWARD] = "forward",
					    [FW_K_REDIRECT] = "redirect"};
	uint64_t proto = s->proto.flat.n ? s->proto.flat.v[0].lo : 0;

	if (s->kind == FW_K_ANTISPOOF) {
		fputs("antispoof", out);
		fw_print_list("for", &s->on, FW_P_IFACE, out);
		fputs(!s->family ? "" : s->family == 4 ? " inet" : " inet6", out);
		return;
	}
	if (s->kind == FW_K_ALG) {
		fprintf(out, "alg %s", s->helper.text);
		fw_print_list("on", &s->on, FW_P_IFACE, out);
		fw_print_list("port", &s->dport, FW_P_PORT, out);
		return;
	}
	fprintf(out, "%s %s",
		s->action == FW_RETURN	? "block return"
		: s->action == FW_BLOCK ? "block"
					: words[s->kind],
		s->dir == FW_IN ? "in" : "out");
	fw_print_list("on", &s->on, FW_P_IFACE, out);
	if (s->family)
		fputs(s->family == 4 ? " inet" : " inet6", out);
	fw_print_list("proto", &s->proto, FW_P_PROTO, out);
	if (s->kind != FW_K_FILTER && !s->from.terms.n && !s->sport.terms.n)
		fputs(" from any", out);
	fw_print_host("from", &s->from, &s->sport, out);
	if (s->kind == FW_K_FORWARD && s->to_any && !s->dport.terms.n)
		fputs(" to any", out);
	fw_print_host("to", &s->to, &s->dport, out);
	fw_print_list("icmp-type", &s->icmp, proto == 1 ? FW_P_ICMP4 : FW_P_ICMP6, out);
	fw_print_limit(s, out);
	fw_print_target(s, out);
}

static const char *fw_yes(bool yes)
{
	return yes ? "yes" : "no";
}

static void fw_print_fragments(const struct fw_conf *conf, FILE *out)
{
	const struct fw_settings *s = &conf->settings;
	const unsigned int *once = conf->once;
	static const char *const mode[] = {"drop", "pass", "reassemble"};

	if (once[FW_ONCE_FRAGMENTS4] && once[FW_ONCE_FRAGMENTS6] &&
	    s->fragments[0] == s->fragments[1]) {
		fprintf(out, "set fragments %s\n", mode[s->fragments[0]]);
	} else {
		if (once[FW_ONCE_FRAGMENTS4])
			fprintf(out, "set fragments inet %s\n", mode[s->fragments[0]]);
		if (once[FW_ONCE_FRAGMENTS6])
			fprintf(out, "set fragments inet6 %s\n", mode[s->fragments[1]]);
	}
	for (unsigned int i = 0; i < FW_FRAG_NUMBERS; i++)
		if (once[FW_ONCE_FRAG + i])
			fprintf(out, "set fragments %s %u\n", fw_frag_text(i), s->frag[i]);
	if (once[FW_ONCE_FRAG_ICMP])
		fprintf(out, "set fragments icmp %s\n", fw_yes(s->frag_icmp));
}

static void fw_print_settings(const struct fw_conf *conf, FILE *out)
{
	const struct fw_settings *s = &conf->settings;
	const unsigned int *once = conf->once;

	if (once[FW_ONCE_DEFAULT])
		fprintf(out, "set default %s\n", s->default_pass ? "pass" : "deny");
	for (unsigned int i = 0; i < FW_LIMIT_MAX; i++)
		if (once[FW_ONCE_LIMIT + i])
			fprintf(out, "set limit %s %u\n", fw_limit_text(i), s->limit[i]);
	for (unsigned int i = 0; i < s->zones; i++)
		fprintf(out, "set zone %u limit %u\n", s->zone[i].zone, s->zone[i].limit);
	for (unsigned int i = 0; i < CT_TIMEOUT_MAX; i++)
		if (s->timeout_set[i])
			fprintf(out, "set timeout %s %u\n", fw_timeout_text(i), s->timeout[i]);
	if (once[FW_ONCE_LOOSE])
		fprintf(out, "set tcp loose %s\n", fw_yes(s->tcp_loose));
	if (once[FW_ONCE_BE_LIBERAL])
		fprintf(out, "set tcp be-liberal %s\n", fw_yes(s->tcp_be_liberal));
	if (once[FW_ONCE_IGNORE_RST])
		fprintf(out, "set tcp ignore-invalid-rst %s\n", fw_yes(s->tcp_ignore_invalid_rst));
	if (once[FW_ONCE_MAX_RETRANS])
		fprintf(out, "set tcp max-retrans %u\n", s->tcp_max_retrans);
	if (once[FW_ONCE_CHECKSUM])
		fprintf(out, "set checksum %s\n", fw_yes(s->checksum));
	if (once[FW_ONCE_IMPORT])
		fprintf(out, "set import %s\n", fw_yes(s->import));
	fw_print_fragments(conf, out);
	if (once[FW_ONCE_RESERVED]) {
		fputs("set nat reserved ", out);
		fw_print_terms(&conf->reserved.terms, FW_P_PORT, out);
		fputc('\n', out);
	}
	if (once[FW_ONCE_HOLD_DOWN])
		fprintf(out, "set nat hold-down %u\n", s->nat_hold_down);
	if (once[FW_ONCE_POOLS])
		fprintf(out, "set nat pools %u\n", s->nat_pools);
	if (once[FW_ONCE_ANTISPOOF]) {
		static const char *const mode[] = {"off", "loose", "strict"};

		fprintf(out, "set antispoof %s\n", mode[s->antispoof]);
	}
	if (once[FW_ONCE_MSS])
		fprintf(out, "set mss %s\n", s->mss_clamp ? "clamp" : "keep");
	if (once[FW_ONCE_SKIP]) {
		fputs("set skip on ", out);
		fw_print_terms(&conf->skip.terms, FW_P_IFACE, out);
		fputc('\n', out);
	}
	for (unsigned int i = 0; i < conf->zone_ons; i++) {
		fprintf(out, "set zone %u on ", conf->zone_on[i].zone);
		fw_print_terms(&conf->zone_on[i].list.terms, FW_P_IFACE, out);
		fputc('\n', out);
	}
	if (once[FW_ONCE_INSIDE]) {
		fputs("set inside ", out);
		fw_print_terms(&conf->inside.terms, FW_P_IFACE, out);
		fputc('\n', out);
	}
}

void fw_conf_print(const struct fw_conf *conf, FILE *out)
{
	for (unsigned int i = 0; i < conf->macros; i++) {
		fprintf(out, "%s = ", conf->macro[i].name);
		fw_print_terms(&conf->macro[i].terms, FW_P_IFACE, out);
		fputc('\n', out);
	}
	fw_print_settings(conf, out);
	for (unsigned int i = 0; i < conf->tables; i++) {
		const struct fw_table_def *t = &conf->table[i];

		fprintf(out, "table %s%s", t->name, t->persist ? " persist" : "");
		if (t->addrs.terms.n) {
			fputc(' ', out);
			fw_print_terms(&t->addrs.terms, FW_P_ADDR, out);
		}
		fputc('\n', out);
	}
	for (unsigned int i = 0; i < conf->stmts; i++) {
		fw_print_rule(&conf->stmt[i], out);
		fputc('\n', out);
	}
}

unsigned int fw_conf_rule(const struct fw_conf *conf, unsigned int n, FILE *out)
{
	if (n < 1 || n > conf->stmts)
		return 0;
	if (out)
		fw_print_rule(&conf->stmt[n - 1], out);
	return conf->stmt[n - 1].loc.line;
}
