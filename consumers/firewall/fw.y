/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Grammar of the firewall's language; see docs/man/ctd.conf.5. One statement a
 * line: an error skips to the next line, so that one run reports them all. The
 * rule under construction is ps->stmt, as statements do not nest. */
%code requires {
#include "fw_ast.h"
}
%code provides {
typedef void *yyscan_t;
}
%code {
#include <string.h>
#include "fw_lex.h"

static void fw_yyerror(struct fw_loc *loc, void *scanner, struct fw_parser *ps, const char *text)
{
	(void)scanner;
	(void)loc;
	(void)text; /* syntax errors go through yyreport_syntax_error; what is left is memory */
	ps->no_memory = true;
}

#define FW_STOP_IF_MANY()                                                                          \
	do {                                                                                       \
		if (ps->errors >= FW_MAX_ERRORS || ps->no_memory)                                  \
			YYABORT;                                                                   \
	} while (0)
}

%require "3.8"
%define api.pure full
%define api.prefix {fw_yy}
%define api.location.type {struct fw_loc}
%define parse.error custom
%define parse.lac full
%locations
%initial-action { @$ = (struct fw_loc){1, 1}; }
%param {void *scanner}
%parse-param {struct fw_parser *ps}

%code {
#define YYLLOC_DEFAULT(cur, rhs, n) ((cur) = (n) ? YYRHSLOC(rhs, 1) : YYRHSLOC(rhs, 0))
}

%union {
	struct fw_term term;
	struct fw_list list;
	unsigned int num;
}

%token SET "set" PASS "pass" BLOCK "block" NAT "nat" IN "in" OUT "out" ON "on" INET "inet"
%token INET6 "inet6" PROTO "proto" FROM "from" TO "to" ANY "any" SELF "self" PORT "port"
%token PORTS "ports" ICMP_TYPE "icmp-type" CODE "code" ARROW "->"
%token FORWARD "forward" REDIRECT "redirect" STATIC "static" EIM "eim" EIF "eif" ADF "adf"
%token HAIRPIN "hairpin" PARITY "parity" PAIRED "paired" RANDOM "random" HASH "hash"
%token PERSISTENT "persistent" LIMIT "limit" STATES "states" RATE "rate" ICMP "icmp" OFF "off" NONE "none"
%token RETURN "return" OVERLOAD "overload" TABLE "table" PERSIST "persist"
%token ANTISPOOF "antispoof" FOR "for" ALG "alg"
%token EOL "end of line"
%token STRAY "stray character" OPEN_QUOTE "open quote" BAD_SUFFIX "bad suffix"
%token <term> NAME "a macro's name with =" WORD "word" NUMBER "number" ADDR "address" MACRO "$macro"
%token <term> TIME "a time like 90s" PER_SECOND "a rate like 100/s" OVER "a rate like 15/5s"
%token <term> TABLE_NAME "<table>" ENDPOINT "an address with a port"

/* After `from HOST`, a port is the source's. */
%precedence NO_PORT
%precedence PORT

%type <term> term icmp_term
%type <list> list terms icmp_list icmp_terms argument
%type <num> action direction plain_option persist

%%

file:
	  %empty
	| file statement
	;

statement:
	  EOL
	| macro
	| setting EOL
	| rule EOL		{ fw_add_rule(ps, &ps->stmt); FW_STOP_IF_MANY(); }
	| nat EOL		{ fw_add_rule(ps, &ps->stmt); FW_STOP_IF_MANY(); }
	| antispoof EOL		{ fw_add_rule(ps, &ps->stmt); FW_STOP_IF_MANY(); }
	| table EOL		{ FW_STOP_IF_MANY(); }
	| alg EOL		{ fw_add_rule(ps, &ps->stmt); FW_STOP_IF_MANY(); }
	| error EOL		{ yyerrok; FW_STOP_IF_MANY(); }
	;

/* A refused definition still defines its name, so that its uses do not err too. */
macro:
	  NAME expect_value list EOL	{ fw_add_macro(ps, &$1, &$3); FW_STOP_IF_MANY(); }
	| NAME expect_value error EOL	{
			fw_add_macro(ps, &$1, NULL);
			yyerrok;
			FW_STOP_IF_MANY();
		}
	;

setting:
	  SET expect_setting arguments	{
			ps->args.end = ps->eol;
			fw_add_setting(ps, &ps->args);
			FW_STOP_IF_MANY();
		}
	;

arguments:
	  argument		{ ps->args.n = 0; fw_add_arg(ps, &$1); }
	| arguments argument	{ fw_add_arg(ps, &$2); }
	;

argument:
	  list
	| PASS			{ $$ = fw_word_list(ps, @1, "pass"); }
	| BLOCK			{ $$ = fw_word_list(ps, @1, "block"); }
	| NAT			{ $$ = fw_word_list(ps, @1, "nat"); }
	| LIMIT			{ $$ = fw_word_list(ps, @1, "limit"); }
	| ON			{ $$ = fw_word_list(ps, @1, "on"); }
	| ANTISPOOF		{ $$ = fw_word_list(ps, @1, "antispoof"); }
	| INET			{ $$ = fw_word_list(ps, @1, "inet"); }
	| INET6			{ $$ = fw_word_list(ps, @1, "inet6"); }
	;

rule:
	  action direction on family proto from to icmp limit	{
			ps->stmt.loc = @1;
			ps->stmt.kind = FW_K_FILTER;
			ps->stmt.action = $1;
			ps->stmt.dir = $2;
		}
	;

limit:
	  %empty
	| LIMIT expect_limit rate overload
	;

rate:
	  OVER			{ ps->stmt.limit = $1; }
	| PER_SECOND		{ ps->stmt.limit = $1; ps->stmt.limit.hi = 1; }
	;

overload:
	  %empty
	| OVERLOAD TABLE_NAME	{ ps->stmt.overload = $2; }
	;

antispoof:
	  new_antispoof FOR expect_iface list family	{
			ps->stmt.on = $4;
			ps->stmt.loc = @1;
			ps->stmt.kind = FW_K_ANTISPOOF;
			ps->stmt.action = FW_BLOCK;
			ps->stmt.dir = FW_IN;
		}
	;

new_antispoof:
	  ANTISPOOF		{ memset(&ps->stmt, 0, sizeof(ps->stmt)); }
	;

alg:
	  new_alg expect_alg WORD on_required alg_port	{
			ps->stmt.helper = $3;
			ps->stmt.loc = @1;
			ps->stmt.kind = FW_K_ALG;
			ps->stmt.dir = FW_IN;
		}
	;

new_alg:
	  ALG			{ memset(&ps->stmt, 0, sizeof(ps->stmt)); }
	;

alg_port:
	  %empty
	| PORT expect_port list	{ ps->stmt.dport = $3; }
	;

table:
	  TABLE expect_table WORD persist		{ fw_add_table(ps, &$3, $4, NULL); }
	| TABLE expect_table WORD persist expect_addr list	{ fw_add_table(ps, &$3, $4, &$6); }
	;

persist:
	  %empty		{ $$ = false; }
	| PERSIST		{ $$ = true; }
	;

nat:
	  new_nat OUT on_required family proto from to ARROW pool options	{
			ps->stmt.loc = @1;
			ps->stmt.kind = FW_K_NAT;
			ps->stmt.dir = FW_OUT;
		}
	| new_nat OUT on_required family proto from to ARROW NONE	{
			ps->stmt.loc = @1;
			ps->stmt.kind = FW_K_NAT;
			ps->stmt.dir = FW_OUT;
			ps->stmt.none = true;
		}
	| new_forward IN on_required family proto from to ARROW destination hairpin	{
			ps->stmt.loc = @1;
			ps->stmt.kind = FW_K_FORWARD;
			ps->stmt.dir = FW_IN;
		}
	| new_redirect IN on_required family proto from to ARROW SELF destination_port	{
			ps->stmt.loc = @1;
			ps->stmt.kind = FW_K_REDIRECT;
			ps->stmt.dir = FW_IN;
		}
	;

new_nat:
	  NAT			{ memset(&ps->stmt, 0, sizeof(ps->stmt)); }
	;

new_forward:
	  FORWARD		{ memset(&ps->stmt, 0, sizeof(ps->stmt)); }
	;

new_redirect:
	  REDIRECT		{ memset(&ps->stmt, 0, sizeof(ps->stmt)); }
	;

action:
	  PASS			{ $$ = FW_PASS; memset(&ps->stmt, 0, sizeof(ps->stmt)); }
	| BLOCK			{ $$ = FW_BLOCK; memset(&ps->stmt, 0, sizeof(ps->stmt)); }
	| BLOCK RETURN		{ $$ = FW_RETURN; memset(&ps->stmt, 0, sizeof(ps->stmt)); }
	;

direction:
	  IN			{ $$ = FW_IN; }
	| OUT			{ $$ = FW_OUT; }
	;

on:
	  %empty
	| on_required
	;

on_required:
	  ON expect_iface list	{ ps->stmt.on = $3; }
	;

family:
	  %empty
	| INET			{ ps->stmt.family = 4; ps->stmt.family_loc = @1; }
	| INET6			{ ps->stmt.family = 6; ps->stmt.family_loc = @1; }
	;

proto:
	  %empty
	| PROTO expect_proto list	{ ps->stmt.proto = $3; }
	;

from:
	  %empty
	| FROM expect_addr from_host from_port
	;

from_host:
	  ANY
	| list			{ ps->stmt.from = $1; }
	| '!' list		{ ps->stmt.from = $2; ps->stmt.from.negate = true; }
	;

from_port:
	  %empty		%prec NO_PORT
	| PORT expect_port list	{ ps->stmt.sport = $3; }
	;

/* `port` alone is the destination's */
to:
	  %empty
	| TO expect_addr to_host to_port
	| PORT expect_port list	{ ps->stmt.dport = $3; }
	;

to_host:
	  ANY			{ ps->stmt.to_any = true; }
	| SELF			{ ps->stmt.to.self = true; ps->stmt.to.loc = @1; }
	| '!' SELF		{
			ps->stmt.to.self = ps->stmt.to.negate = true;
			ps->stmt.to.loc = @2;
		}
	| list			{ ps->stmt.to = $1; }
	| '!' list		{ ps->stmt.to = $2; ps->stmt.to.negate = true; }
	;

to_port:
	  %empty
	| PORT expect_port list	{ ps->stmt.dport = $3; }
	;

icmp:
	  %empty
	| ICMP_TYPE expect_icmp icmp_list	{ ps->stmt.icmp = $3; }
	;

pool:
	  expect_target list	{ ps->stmt.target = $2; }
	| expect_target '(' expect_iface term ')'	{
			ps->stmt.target = fw_list_of(ps, &$4);
			ps->stmt.masquerade = true;
		}
	;

destination:
	  expect_target endpoint
	| expect_target term destination_port	{ ps->stmt.target = fw_list_of(ps, &$2); }
	;

endpoint:
	  ENDPOINT		{
			struct fw_term addr = $1, port = $1;

			if (fw_parse_endpoint(ps, &addr, &port))
				YYERROR;
			ps->stmt.target = fw_list_of(ps, &addr);
			if (port.text)
				ps->stmt.ports = fw_list_of(ps, &port);
		}
	;

destination_port:
	  %empty
	| PORT expect_port term	{ ps->stmt.ports = fw_list_of(ps, &$3); }
	;

hairpin:
	  %empty
	| HAIRPIN		{ fw_add_opt(ps, FW_O_HAIRPIN, @1, 0); }
	;

options:
	  %empty
	| options option	{ FW_STOP_IF_MANY(); }
	;

option:
	  PORTS expect_port term	{
			if (ps->stmt.ports.terms.n)
				fw_error(ps, @1, "'ports' given twice, expected once");
			ps->stmt.ports = fw_list_of(ps, &$3);
		}
	| plain_option			{ fw_add_opt(ps, $1, @1, 0); }
	| BLOCK expect_number NUMBER		{ fw_add_opt(ps, FW_O_BLOCK, @1, $3.lo); }
	| LIMIT PORTS expect_number NUMBER	{ fw_add_opt(ps, FW_O_LIMIT_PORTS, @2, $4.lo); }
	| LIMIT STATES expect_number NUMBER	{ fw_add_opt(ps, FW_O_LIMIT_STATES, @2, $4.lo); }
	| LIMIT RATE PER_SECOND		{ fw_add_opt(ps, FW_O_LIMIT_RATE, @2, $3.lo); }
	| ICMP ON			{ fw_add_opt(ps, FW_O_ICMP, @1, 1); }
	| ICMP OFF			{ fw_add_opt(ps, FW_O_ICMP, @1, 0); }
	;

plain_option:
	  STATIC		{ $$ = FW_O_STATIC; }
	| EIM			{ $$ = FW_O_EIM; }
	| EIF			{ $$ = FW_O_EIF; }
	| ADF			{ $$ = FW_O_ADF; }
	| HAIRPIN		{ $$ = FW_O_HAIRPIN; }
	| PARITY		{ $$ = FW_O_PARITY; }
	| PAIRED		{ $$ = FW_O_PAIRED; }
	| RANDOM		{ $$ = FW_O_RANDOM; }
	| HASH			{ $$ = FW_O_HASH; }
	| PERSISTENT		{ $$ = FW_O_PERSISTENT; }
	;

list:
	  term			{ $$ = fw_list_of(ps, &$1); }
	| '{' terms '}'		{ $$ = $2; $$.loc = @1; }
	;

terms:
	  term			{ $$ = fw_list_of(ps, &$1); }
	| terms ',' term	{ $$ = $1; fw_push(ps, &$$.terms, &$3); }
	;

term:
	  WORD
	| NUMBER
	| NUMBER '-' NUMBER	{ $$ = $1; $$.kind = FW_T_RANGE; $$.hi = $3.lo; }
	| ADDR			{ $$ = $1; if (fw_parse_addr(ps, &$$)) YYERROR; }
	| ADDR '-' ADDR		{ $$ = $1; if (fw_parse_span(ps, &$$, &$3)) YYERROR; }
	| TIME
	| MACRO
	| TABLE_NAME
	;

icmp_list:
	  icmp_term		{ $$ = fw_list_of(ps, &$1); }
	| '{' icmp_terms '}'	{ $$ = $2; $$.loc = @1; }
	;

icmp_terms:
	  icmp_term		{ $$ = fw_list_of(ps, &$1); }
	| icmp_terms ',' icmp_term	{ $$ = $1; fw_push(ps, &$$.terms, &$3); }
	;

icmp_term:
	  term
	| term CODE expect_code NUMBER	{
			$$ = $1;
			if (fw_icmp_code(ps, &$$, &$4))
				YYERROR;
		}
	;

/* What the grammar waits for, in the reader's words. */
expect_value:	%empty	{ ps->what = "a value"; };
expect_setting:	%empty	{ ps->what = "what to set"; };
expect_iface:	%empty	{ ps->what = "an interface"; };
expect_proto:	%empty	{ ps->what = "a protocol"; };
expect_addr:	%empty	{ ps->what = "an address or network"; };
expect_target:	%empty	{ ps->what = "an address"; };
expect_port:	%empty	{ ps->what = "a port"; };
expect_icmp:	%empty	{ ps->what = "an ICMP type"; };
expect_number:	%empty	{ ps->what = "a number"; };
expect_limit:	%empty	{ ps->what = "a rate"; };
expect_alg:	%empty	{ ps->what = "a helper: ftp, tftp, sip or pptp"; };
expect_table:	%empty	{ ps->what = "a table's name"; };
expect_code:	%empty	{ ps->what = "an ICMP code"; };

%%

#define FW_EXPECTED 24

static const char *fw_token_text(struct fw_parser *ps, int kind, char *buf, size_t len)
{
	if (kind == YYSYMBOL_EOL || kind == YYSYMBOL_YYEOF)
		return "end of line";
	if (kind == YYSYMBOL_STRAY && (*ps->token < ' ' || *ps->token > '~')) {
		snprintf(buf, len, "byte 0x%02x", (unsigned char)*ps->token);
		return buf;
	}
	snprintf(buf, len, "'%.*s'", (int)(ps->token_len > 40 ? 40 : ps->token_len), ps->token);
	return buf;
}

/* Words, numbers and addresses are tokens of the scanner; a reader knows them
 * as what they stand for in this place. */
static unsigned int fw_expected(const yypcontext_t *context, struct fw_parser *ps,
				const char *text[FW_EXPECTED])
{
	yysymbol_kind_t kind[YYNTOKENS];
	int n = yypcontext_expected_tokens(context, kind, YYNTOKENS);
	unsigned int count = 0;
	bool value = false, start = false, pass = false;

	for (int i = 0; i < n; i++) {
		start |= kind[i] == YYSYMBOL_NAME;
		pass |= kind[i] == YYSYMBOL_PASS;
	}
	for (int i = 0; i < n; i++)
		value |= kind[i] == YYSYMBOL_WORD || kind[i] == YYSYMBOL_NUMBER ||
			 kind[i] == YYSYMBOL_ADDR || kind[i] == YYSYMBOL_MACRO;
	if (value)
		text[count++] = ps->what;
	if (value && pass) /* after `set` anything goes, its words are fw_set.c's */
		return count;
	for (int i = 0; i < n && count < FW_EXPECTED; i++) {
		switch (kind[i]) {
		case YYSYMBOL_WORD:
		case YYSYMBOL_NUMBER:
		case YYSYMBOL_ADDR:
		case YYSYMBOL_MACRO:
		case YYSYMBOL_TIME:
		case YYSYMBOL_ENDPOINT:
		case YYSYMBOL_YYEOF:
			break;
		case YYSYMBOL_TABLE_NAME:
			if (!value)
				text[count++] = "<table>";
			break;
		case YYSYMBOL_EOL:
			if (!start)
				text[count++] = "end of line";
			break;
		default:
			text[count++] = yysymbol_name(kind[i]);
		}
	}
	return count;
}

static int yyreport_syntax_error(const yypcontext_t *context, void *scanner, struct fw_parser *ps)
{
	const char *text[FW_EXPECTED];
	unsigned int n = fw_expected(context, ps, text);
	yysymbol_kind_t kind = yypcontext_token(context);
	char token[64], expected[400] = "";
	size_t len = 0;

	(void)scanner;
	for (unsigned int i = 0; i < n && len < sizeof(expected); i++)
		len += snprintf(expected + len, sizeof(expected) - len, "%s%s",
				!i ? "" : i + 1 < n ? ", " : " or ", text[i]);
	if (kind == YYSYMBOL_OPEN_QUOTE)
		fw_error(ps, *yypcontext_location(context), "quote is not closed, expected '\"'");
	else if (kind == YYSYMBOL_BAD_SUFFIX)
		fw_error(ps, *yypcontext_location(context),
			 "unexpected %s, expected .net or nothing after a macro's name",
			 fw_token_text(ps, kind, token, sizeof(token)));
	else
		fw_error(ps, *yypcontext_location(context), "unexpected %s, expected %s",
			 fw_token_text(ps, kind, token, sizeof(token)), expected);
	return 0;
}
