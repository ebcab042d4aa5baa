/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_FW_AST_H
#define BPFCT_FW_AST_H

#include <stdarg.h>

#include "fw_conf.h"

/*
 * What the parser builds; private to the fw_*.c files. All of it lives in an
 * arena that dies with the conf, so no path has to free pieces.
 */
struct fw_loc {
	unsigned int line;
	unsigned int col; /* bytes, from 1 */
};

enum fw_term_kind {
	FW_T_WORD,   /* text */
	FW_T_NUMBER, /* lo */
	FW_T_RANGE,  /* lo - hi */
	FW_T_ADDR,   /* family, plen, addr */
	FW_T_SPAN,   /* family, addr to last */
	FW_T_TIME,   /* lo: seconds */
	FW_T_RATE,   /* lo: in hi seconds; hi == lo: a second */
	FW_T_TABLE,  /* <text> */
	FW_T_MACRO,  /* $text */
	FW_T_NET,    /* $text.net; after flattening: the networks of interface text */
};

struct fw_term {
	enum fw_term_kind kind;
	struct fw_loc loc;
	const char *text;
	uint64_t lo; /* more digits than fit: UINT64_MAX */
	uint64_t hi;
	uint8_t family;
	uint8_t plen;
	__be32 addr[4];
	__be32 last[4];
	int code; /* of an ICMP type; -1: any */
};

struct fw_terms {
	struct fw_term *v;
	unsigned int n;
	unsigned int cap;
};

struct fw_list {
	struct fw_terms terms; /* as written */
	struct fw_terms flat;  /* macros resolved, each term checked for its place */
	struct fw_loc loc;
	bool negate;
	bool self;
};

struct fw_macro {
	const char *name;
	struct fw_loc loc;
	struct fw_terms terms; /* as written */
	struct fw_terms flat;  /* macros in it resolved */
	bool bad;	       /* its definition was refused: say so once only */
};

enum fw_rule_kind { FW_K_FILTER, FW_K_NAT, FW_K_FORWARD, FW_K_REDIRECT, FW_K_ANTISPOOF, FW_K_ALG };

/* What may follow the target of a nat rule, in the order of the canonical form. */
enum fw_opt {
	FW_O_STATIC,
	FW_O_EIM,
	FW_O_EIF,
	FW_O_ADF,
	FW_O_HAIRPIN,
	FW_O_PARITY,
	FW_O_PAIRED,
	FW_O_RANDOM,
	FW_O_HASH,
	FW_O_PERSISTENT,
	FW_O_BLOCK,
	FW_O_LIMIT_PORTS,
	FW_O_LIMIT_STATES,
	FW_O_LIMIT_RATE,
	FW_O_ICMP,
	FW_O_MAX
};

struct fw_opt_use {
	struct fw_loc loc; /* line 0: not given */
	uint64_t value;
};

/* Lists that are not in the rule are empty. */
struct fw_stmt {
	enum fw_rule_kind kind;
	struct fw_loc loc;
	uint8_t dir;
	uint8_t action;
	uint8_t family; /* as written: 0, 4, 6 */
	struct fw_loc family_loc;
	struct fw_list on;
	struct fw_list proto;
	struct fw_list from;
	struct fw_list sport;
	struct fw_list to;
	struct fw_list dport;
	struct fw_list icmp;
	struct fw_list target;	 /* nat: addresses or one interface; forward: one address or span */
	struct fw_list ports;	 /* nat: of the pool; forward, redirect: of the target. One range */
	struct fw_term limit;	 /* line 0: none; lo connections in hi seconds */
	struct fw_term overload; /* line 0: none */
	struct fw_term helper;	 /* alg: its name */
	bool to_any;		 /* `to any` was written, which a forward needs to hear */
	bool masquerade;	 /* target is an interface */
	bool none;		 /* nat: no translation, and no later rule is asked */
	struct fw_opt_use opt[FW_O_MAX];
	uint8_t families; /* what it can match: FW_F4 | FW_F6 */
};
/* More macros, or more terms in a list, cannot be meant. Rules end at FW_RULES + FW_NATS. */
#define FW_MACROS_MAX 1024
#define FW_LIST_MAX   1024
/* Terms of all lists together: bounds the time that a hostile file can take. */
#define FW_TERMS_MAX 32768

#define FW_F4 1
#define FW_F6 2

/* Settings that may be given once each; timeouts, limits follow. */
enum fw_once {
	FW_ONCE_DEFAULT,
	FW_ONCE_FRAGMENTS4,
	FW_ONCE_FRAGMENTS6,
	FW_ONCE_FRAG_ICMP,
	FW_ONCE_LOOSE,
	FW_ONCE_BE_LIBERAL,
	FW_ONCE_IGNORE_RST,
	FW_ONCE_MAX_RETRANS,
	FW_ONCE_CHECKSUM,
	FW_ONCE_IMPORT,
	FW_ONCE_INSIDE,
	FW_ONCE_RESERVED,
	FW_ONCE_HOLD_DOWN,
	FW_ONCE_POOLS,
	FW_ONCE_SKIP,
	FW_ONCE_ANTISPOOF,
	FW_ONCE_MSS,
	FW_ONCE_LIMIT,
	FW_ONCE_FRAG = FW_ONCE_LIMIT + FW_LIMIT_MAX,
	FW_ONCE_TIMEOUT = FW_ONCE_FRAG + FW_FRAG_NUMBERS,
	FW_ONCE_MAX = FW_ONCE_TIMEOUT + CT_TIMEOUT_MAX
};

/* A file's table; the addresses are those that the file names. */
struct fw_table_def {
	const char *name;
	struct fw_loc loc;
	bool persist;
	struct fw_list addrs;
};

/* `set zone N on IF` */
struct fw_zone_on {
	uint16_t zone;
	struct fw_list list;
};

struct fw_conf {
	const char *name;
	struct fw_arena *arena;
	struct fw_settings settings;
	unsigned int once[FW_ONCE_MAX]; /* line where it was set, 0: not set */
	struct fw_zone_limit *zone;
	unsigned int *zone_line;
	unsigned int zones, zones_cap;
	struct fw_zone_on *zone_on;
	unsigned int zone_ons, zone_ons_cap;
	struct fw_list inside;
	struct fw_list reserved;
	struct fw_list skip;
	struct fw_table_def *table;
	unsigned int tables, tables_cap;
	struct fw_macro *macro;
	unsigned int macros, macros_cap;
	struct fw_stmt *stmt;
	unsigned int stmts, stmts_cap;
};

/* What follows `set`. */
struct fw_args {
	struct fw_list *v;
	unsigned int n;
	unsigned int cap;
	struct fw_loc end; /* where one more would stand */
};

/* One parse. */
struct fw_parser {
	struct fw_conf *conf;
	FILE *err;
	unsigned int errors;
	bool no_memory;
	struct fw_loc pos; /* of the scanner */
	const char *token; /* last token's text, for messages */
	size_t token_len;
	bool at_eol;	     /* the last token ended a line */
	struct fw_loc eol;   /* of the last end of line */
	unsigned int terms;  /* flattened so far */
	const char *what;    /* which word, number or address the grammar waits for */
	struct fw_stmt stmt; /* the rule under construction */
	struct fw_args args; /* the setting under construction */
};

/* fw_conf.c */
void *fw_alloc(struct fw_parser *ps, size_t size);
char *fw_strndup(struct fw_parser *ps, const char *s, size_t len);
void *fw_grow(struct fw_parser *ps, void *v, unsigned int n, unsigned int *cap, size_t size);
/* Prints `file:line:col: ...` and counts; returns -1. */
int fw_error(struct fw_parser *ps, struct fw_loc loc, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* fw.l: runs scanner and parser over text. */
void fw_scan(struct fw_parser *ps, const char *text, size_t len);

/* fw_term.c */
/* A list of one. */
struct fw_list fw_list_of(struct fw_parser *ps, const struct fw_term *term);
struct fw_list fw_word_list(struct fw_parser *ps, struct fw_loc loc, const char *word);
int fw_icmp_code(struct fw_parser *ps, struct fw_term *type, const struct fw_term *code);
int fw_push(struct fw_parser *ps, struct fw_terms *terms, const struct fw_term *term);
/* Text of an ADDR token into family, address and length. Reports what is wrong. */
int fw_parse_addr(struct fw_parser *ps, struct fw_term *term);
/* Makes *first the span from it to last; both are ADDR tokens. */
int fw_parse_span(struct fw_parser *ps, struct fw_term *first, struct fw_term *last);
/* Text of an ENDPOINT token, `ADDR:PORT`, into two terms; port->text NULL: none. */
int fw_parse_endpoint(struct fw_parser *ps, struct fw_term *addr, struct fw_term *port);
const struct fw_macro *fw_find_macro(const struct fw_conf *conf, const char *name);
const char *fw_proto_name(uint64_t proto); /* NULL: none */
int fw_proto_number(const char *name);	   /* -1: none */
const char *fw_icmp_name(int family, uint64_t type);
int fw_icmp_number(int family, const char *name);
const char *fw_term_text(const struct fw_term *term, char *buf, size_t len);
#define FW_TERM_TEXT 100
void fw_mask(uint8_t family, uint8_t plen, __be32 mask[4]);
bool fw_addr_covers(const struct fw_term *net, const struct fw_term *other);
/* First and last address of an address, network or span. */
void fw_addr_ends(const struct fw_term *term, __be32 first[4], __be32 last[4]);
/* How many; UINT32_MAX: that or more. */
uint32_t fw_addr_count(const struct fw_term *term);
bool fw_is_reserved(const char *word);
bool fw_is_option(const char *word); /* a keyword, but only after `->` */

struct fw_compiler;

/* fw_check.c: what a list may hold, by its place. */
enum fw_place {
	FW_P_IFACE,
	FW_P_PROTO,
	FW_P_ADDR,
	FW_P_TARGET, /* addresses, networks and spans */
	FW_P_PORT,
	FW_P_ICMP4,
	FW_P_ICMP6
};
int fw_flatten(struct fw_parser *ps, struct fw_list *list, enum fw_place place);
void fw_add_macro(struct fw_parser *ps, const struct fw_term *name, const struct fw_list *list);
void fw_add_rule(struct fw_parser *ps, struct fw_stmt *stmt);

/* fw_tables.c */
void fw_add_table(struct fw_parser *ps, const struct fw_term *name, bool persist,
		  const struct fw_list *addrs);
const struct fw_table_def *fw_find_table(const struct fw_conf *conf, const char *name);
/* `limit` and `overload` of a rule. */
int fw_check_limit(struct fw_parser *ps, const struct fw_stmt *s);
/* Fills out->table. 0 or -ENOMEM. */
int fw_compile_tables(const struct fw_conf *conf, struct fw_rules *out);
/* fw_antispoof.c: the rules of an antispoof statement. */
int fw_emit_antispoof(struct fw_compiler *c, const struct fw_stmt *s);
/* fw_alg.c: an alg statement's words, and its entries of out->alg. */
int fw_check_alg(struct fw_parser *ps, struct fw_stmt *s);
int fw_emit_alg(struct fw_compiler *c, const struct fw_stmt *s);
/* An address in the rule that its `inet` or `inet6` excludes is a slip. */
int fw_check_family(struct fw_parser *ps, const struct fw_stmt *s, const struct fw_list *list);
/* Families that a list of addresses can match. */
uint8_t fw_addr_families(const struct fw_list *list);

/* fw_nat.c: targets and options of nat, forward and redirect rules. */
void fw_add_opt(struct fw_parser *ps, enum fw_opt opt, struct fw_loc loc, uint64_t value);
const char *fw_opt_text(enum fw_opt opt);
bool fw_has(const struct fw_stmt *s, enum fw_opt opt);
uint32_t fw_nat_flags(const struct fw_stmt *s); /* FW_N_* */
int fw_check_nat(struct fw_parser *ps, struct fw_stmt *s);
/* A forward from a network to one of the same size: each address to its own. */
bool fw_is_pairing(const struct fw_stmt *s);

/* fw_compile.c */
struct fw_compiler {
	const struct fw_conf *conf;
	const struct fw_ifs *ifs;
	struct fw_rules *out;
	FILE *err;
	unsigned int errors;
	int ret;
};
void fw_say(struct fw_compiler *c, struct fw_loc loc, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* One more filter rule. 0 or -E2BIG with a line said. */
int fw_emit(struct fw_compiler *c, const struct fw_stmt *s, const struct fw_match *m);
const struct fw_if *fw_need_if(struct fw_compiler *c, const struct fw_term *t);
bool fw_is_link_local(const struct fw_ifaddr *a);
/* fw_xlate.c: the nat rules of one combination of a statement's lists. */
int fw_emit_nat(struct fw_compiler *c, const struct fw_stmt *s, const struct fw_match *m);
/* fw_pool.c. The pool of a source rule for a family; FW_NO_POOL is a valid answer. 0 or
 * -errno with a line said. */
int fw_pool_of(struct fw_compiler *c, const struct fw_stmt *s, uint8_t family, uint32_t *pool);
/* What is wrong with the pools together. 0 or -EINVAL, -E2BIG. */
int fw_check_pools(struct fw_compiler *c);
void fw_warn_foreign(struct fw_compiler *c);

/* fw_set.c */
void fw_add_arg(struct fw_parser *ps, const struct fw_list *arg);
const char *fw_timeout_text(unsigned int timeout);
void fw_settings_init(struct fw_settings *settings);
void fw_add_setting(struct fw_parser *ps, const struct fw_args *args);

/* fw_inside.c: fill out->skip, out->zone, out->inside, out->nets. 0 or -ENOMEM. */
int fw_find_nets(const struct fw_conf *conf, const struct fw_ifs *ifs, struct fw_rules *out);
int fw_find_zones(const struct fw_conf *conf, const struct fw_ifs *ifs, struct fw_rules *out);
int fw_find_skipped(const struct fw_conf *conf, const struct fw_ifs *ifs, struct fw_rules *out);
int fw_find_inside(const struct fw_conf *conf, const struct fw_ifs *ifs, struct fw_rules *out);

/* fw_shadow.c */
void fw_warn_shadowed(const struct fw_conf *conf, const struct fw_rules *rules, FILE *err);

#endif
