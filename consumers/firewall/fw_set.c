// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* `set ...`: what may be set, from one table a level. */
#include <inttypes.h>
#include <string.h>

#include "fw_ast.h"

/* A year: more than netfilter's longest default, well inside the 32-bit ticks. */
#define FW_TIMEOUT_MAX	 31536000
#define FW_LIMIT_HIGHEST 16777216
/* ct_tcp.retrans keeps four bits */
#define FW_MAX_RETRANS 15
/* RFC 6888 REQ-8 */
#define FW_HOLD_DOWN 120
#define FW_POOLS     1024
#define FW_POOLS_MAX 16384

static const char *const fw_timeout_name[CT_TIMEOUT_MAX] = {
#define X(field, secs) #field,
	CT_TIMEOUTS(X)
#undef X
};

static const char *const fw_limit_name[FW_LIMIT_MAX] = {
	[FW_LIMIT_CONFIRMED] = "confirmed",
	[FW_LIMIT_HALF_OPEN] = "half-open",
	[FW_LIMIT_HALF_OPEN_OUTSIDE] = "half-open-outside",
	[FW_LIMIT_HALF_OPEN_INSIDE] = "half-open-inside",
	[FW_LIMIT_RETRY] = "retry",
	[FW_LIMIT_NAT] = "nat",
};

const char *fw_limit_text(enum fw_limit limit)
{
	return (unsigned int)limit < FW_LIMIT_MAX ? fw_limit_name[limit] : NULL;
}

const char *fw_timeout_text(unsigned int timeout)
{
	return timeout < CT_TIMEOUT_MAX ? fw_timeout_name[timeout] : NULL;
}

void fw_settings_init(struct fw_settings *s)
{
	static const uint32_t timeout[CT_TIMEOUT_MAX] = {
#define X(field, secs) secs,
		CT_TIMEOUTS(X)
#undef X
	};

	memset(s, 0, sizeof(*s));
	memcpy(s->timeout, timeout, sizeof(timeout));
	s->tcp_loose = true;
	s->tcp_max_retrans = 3;
	s->checksum = true;
	s->import = true;
	s->nat_hold_down = FW_HOLD_DOWN;
	s->nat_pools = FW_POOLS;
	s->antispoof = FW_SPOOF_STRICT;
	s->fragments[0] = s->fragments[1] = FRAG_MODE_REASSEMBLE;
}

void fw_add_arg(struct fw_parser *ps, const struct fw_list *arg)
{
	struct fw_list *v = fw_grow(ps, ps->args.v, ps->args.n, &ps->args.cap, sizeof(*v));

	if (!v)
		return;
	ps->args.v = v;
	v[ps->args.n++] = *arg;
}

/* Argument i as one term, through a macro of one; what says what should stand
 * there. NULL: reported. */
static const struct fw_term *fw_arg(struct fw_parser *ps, const struct fw_args *args,
				    unsigned int i, const char *what)
{
	const struct fw_macro *macro;
	const struct fw_term *term;

	if (i >= args->n) {
		fw_error(ps, args->end, "unexpected end of line, expected %s", what);
		return NULL;
	}
	if (args->v[i].terms.n != 1) {
		fw_error(ps, args->v[i].loc, "unexpected list, expected %s", what);
		return NULL;
	}
	term = args->v[i].terms.v;
	if (term->kind != FW_T_MACRO)
		return term;
	macro = fw_find_macro(ps->conf, term->text);
	if (!macro) {
		fw_error(ps, term->loc, "unknown macro $%s, expected one defined above",
			 term->text);
		return NULL;
	}
	if (macro->bad) /* reported where it is defined */
		return NULL;
	if (macro->flat.n != 1) {
		fw_error(ps, term->loc, "$%s is a list, expected %s", term->text, what);
		return NULL;
	}
	return macro->flat.v;
}

/* Index of argument i in a table of words, -1: reported with the whole table. */
static int fw_arg_word(struct fw_parser *ps, const struct fw_args *args, unsigned int i,
		       const char *const *words, unsigned int n, const char *what)
{
	char list[640] = "", text[FW_TERM_TEXT];
	size_t len = 0;
	const struct fw_term *term;

	for (unsigned int w = 0; w < n && len < sizeof(list); w++)
		len += snprintf(list + len, sizeof(list) - len, "%s%s",
				!w	    ? ""
				: w + 1 < n ? ", "
					    : " or ",
				words[w]);
	term = fw_arg(ps, args, i, list);
	if (!term)
		return -1;
	for (unsigned int w = 0; w < n && term->kind == FW_T_WORD; w++)
		if (!strcmp(term->text, words[w]))
			return w;
	fw_error(ps, args->v[i].loc, "unknown %s '%.40s', expected %s", what,
		 fw_term_text(term, text, sizeof(text)), list);
	return -1;
}

static int fw_arg_number(struct fw_parser *ps, const struct fw_args *args, unsigned int i,
			 uint32_t min, uint32_t max, const char *what, uint32_t *out)
{
	char text[FW_TERM_TEXT], expected[80];
	const struct fw_term *term;

	snprintf(expected, sizeof(expected), "%s, %u to %u", what, min, max);
	term = fw_arg(ps, args, i, expected);
	if (!term)
		return -1;
	if (term->kind != FW_T_NUMBER && !(term->kind == FW_T_TIME && !strcmp(what, "seconds")))
		return fw_error(ps, args->v[i].loc, "unexpected '%.40s', expected %s",
				fw_term_text(term, text, sizeof(text)), expected);
	if (term->lo < min || term->lo > max)
		return fw_error(ps, args->v[i].loc, "%.40s is out of range, expected %s",
				term->text, expected);
	*out = term->lo;
	return 0;
}

/* No more than n arguments, and the setting not given before. */
static int fw_once(struct fw_parser *ps, const struct fw_args *args, unsigned int n,
		   unsigned int once)
{
	if (args->n > n) {
		char text[FW_TERM_TEXT];

		return fw_error(ps, args->v[n].loc, "unexpected '%.40s', expected end of line",
				fw_term_text(args->v[n].terms.v, text, sizeof(text)));
	}
	if (ps->conf->once[once])
		return fw_error(ps, args->v[0].loc, "set twice, expected once: line %u has it",
				ps->conf->once[once]);
	ps->conf->once[once] = args->v[0].loc.line;
	return 0;
}

static void fw_set_default(struct fw_parser *ps, const struct fw_args *args)
{
	static const char *const words[] = {"deny", "pass"};
	int word = fw_arg_word(ps, args, 1, words, 2, "default");

	if (word >= 0 && !fw_once(ps, args, 2, FW_ONCE_DEFAULT))
		ps->conf->settings.default_pass = word == 1;
}

static void fw_set_bool(struct fw_parser *ps, const struct fw_args *args, unsigned int i,
			unsigned int once, bool *out)
{
	static const char *const words[] = {"yes", "no"};
	int word = fw_arg_word(ps, args, i, words, 2, "value");

	if (word >= 0 && !fw_once(ps, args, i + 1, once))
		*out = word == 0;
}

static void fw_set_checksum(struct fw_parser *ps, const struct fw_args *args)
{
	fw_set_bool(ps, args, 1, FW_ONCE_CHECKSUM, &ps->conf->settings.checksum);
}

static void fw_set_import(struct fw_parser *ps, const struct fw_args *args)
{
	fw_set_bool(ps, args, 1, FW_ONCE_IMPORT, &ps->conf->settings.import);
}

/* What takes a number, in one or two words; second level as fw_frag_text(). */
static const struct {
	const char *text;
	uint32_t min, max;
	const char *what;
} fw_frag_number[FW_FRAG_NUMBERS] = {
	[FW_FRAG_TIMEOUT] = {"timeout", FRAG_TIMEOUT_MIN, FRAG_TIMEOUT_MAX, "seconds"},
	[FW_FRAG_DATAGRAMS] = {"limit datagrams", 16, 65536, "a number"},
	[FW_FRAG_BYTES] = {"limit bytes", 262144, 1u << 30, "bytes"},
	[FW_FRAG_ZONE_DATAGRAMS] = {"zone datagrams", 1, 65536, "a number"},
	[FW_FRAG_ZONE_BYTES] = {"zone bytes", FRAG_CHUNK, 1u << 30, "bytes"},
	[FW_FRAG_SOURCE_DATAGRAMS] = {"source datagrams", 1, 65536, "a number"},
	[FW_FRAG_SOURCE_BYTES] = {"source bytes", FRAG_CHUNK, 1u << 30, "bytes"},
	[FW_FRAG_MIN4] = {"min-size inet", 0, FRAG_PIECE_MAX, "bytes"},
	[FW_FRAG_MIN6] = {"min-size inet6", 0, FRAG_PIECE_MAX, "bytes"},
};

const char *fw_frag_text(enum fw_frag which)
{
	return (unsigned int)which < FW_FRAG_NUMBERS ? fw_frag_number[which].text : NULL;
}

static void fw_set_frag_number(struct fw_parser *ps, const struct fw_args *args, unsigned int i,
			       enum fw_frag which)
{
	uint32_t n;

	if (!fw_arg_number(ps, args, i, fw_frag_number[which].min, fw_frag_number[which].max,
			   fw_frag_number[which].what, &n) &&
	    !fw_once(ps, args, i + 1, FW_ONCE_FRAG + which))
		ps->conf->settings.frag[which] = n;
}

/* `set fragments limit|zone|source datagrams|bytes N` */
static void fw_set_frag_limit(struct fw_parser *ps, const struct fw_args *args, enum fw_frag which)
{
	static const char *const words[] = {"datagrams", "bytes"};
	int word = fw_arg_word(ps, args, 2, words, 2, "limit");

	if (word >= 0)
		fw_set_frag_number(ps, args, 3, which + word);
}

/* The mode of one family, or of both. */
static void fw_set_frag_mode(struct fw_parser *ps, const struct fw_args *args, unsigned int i,
			     uint8_t mode, bool four, bool six)
{
	if (four && !fw_once(ps, args, i, FW_ONCE_FRAGMENTS4))
		ps->conf->settings.fragments[0] = mode;
	if (six && !(four && ps->errors) && !fw_once(ps, args, i, FW_ONCE_FRAGMENTS6))
		ps->conf->settings.fragments[1] = mode;
}

static void fw_set_fragments(struct fw_parser *ps, const struct fw_args *args)
{
	static const char *const words[] = {"drop",   "pass",	  "reassemble", "inet",
					    "inet6",  "timeout",  "limit",	"zone",
					    "source", "min-size", "icmp"};
	static const char *const family[] = {"inet", "inet6"};
	int word = fw_arg_word(ps, args, 1, words, sizeof(words) / sizeof(*words), "fragments");
	int second;

	switch (word) {
	case 0:
	case 1:
	case 2:
		fw_set_frag_mode(ps, args, 2, word, true, true);
		break;
	case 3:
	case 4:
		second = fw_arg_word(ps, args, 2, words, 3, "fragments");
		if (second >= 0)
			fw_set_frag_mode(ps, args, 3, second, word == 3, word == 4);
		break;
	case 5:
		fw_set_frag_number(ps, args, 2, FW_FRAG_TIMEOUT);
		break;
	case 6:
		fw_set_frag_limit(ps, args, FW_FRAG_DATAGRAMS);
		break;
	case 7:
		fw_set_frag_limit(ps, args, FW_FRAG_ZONE_DATAGRAMS);
		break;
	case 8:
		fw_set_frag_limit(ps, args, FW_FRAG_SOURCE_DATAGRAMS);
		break;
	case 9:
		second = fw_arg_word(ps, args, 2, family, 2, "family");
		if (second >= 0)
			fw_set_frag_number(ps, args, 3, FW_FRAG_MIN4 + second);
		break;
	case 10:
		fw_set_bool(ps, args, 2, FW_ONCE_FRAG_ICMP, &ps->conf->settings.frag_icmp);
		break;
	}
}

static void fw_set_tcp(struct fw_parser *ps, const struct fw_args *args)
{
	static const char *const words[] = {"loose", "be-liberal", "ignore-invalid-rst",
					    "max-retrans"};
	struct fw_settings *s = &ps->conf->settings;
	int word = fw_arg_word(ps, args, 1, words, 4, "TCP setting");
	uint32_t n;

	if (word == 0)
		fw_set_bool(ps, args, 2, FW_ONCE_LOOSE, &s->tcp_loose);
	else if (word == 1)
		fw_set_bool(ps, args, 2, FW_ONCE_BE_LIBERAL, &s->tcp_be_liberal);
	else if (word == 2)
		fw_set_bool(ps, args, 2, FW_ONCE_IGNORE_RST, &s->tcp_ignore_invalid_rst);
	else if (word == 3 &&
		 !fw_arg_number(ps, args, 2, 0, FW_MAX_RETRANS, "a number of repeats", &n) &&
		 !fw_once(ps, args, 3, FW_ONCE_MAX_RETRANS))
		s->tcp_max_retrans = n;
}

static void fw_set_timeout(struct fw_parser *ps, const struct fw_args *args)
{
	struct fw_settings *s = &ps->conf->settings;
	int i = fw_arg_word(ps, args, 1, fw_timeout_name, CT_TIMEOUT_MAX, "timeout");
	uint32_t secs;

	if (i < 0 || fw_arg_number(ps, args, 2, 1, FW_TIMEOUT_MAX, "seconds", &secs) ||
	    fw_once(ps, args, 3, FW_ONCE_TIMEOUT + i))
		return;
	s->timeout[i] = secs;
	s->timeout_set[i] = true;
}

static void fw_set_limit(struct fw_parser *ps, const struct fw_args *args)
{
	int i = fw_arg_word(ps, args, 1, fw_limit_name, FW_LIMIT_MAX, "limit");
	uint32_t n;

	if (i >= 0 && !fw_arg_number(ps, args, 2, 1, FW_LIMIT_HIGHEST, "a number", &n) &&
	    !fw_once(ps, args, 3, FW_ONCE_LIMIT + i))
		ps->conf->settings.limit[i] = n;
}

/* Keeps the zones in order; a linear walk is enough for a file written by hand. */
static void fw_add_zone(struct fw_parser *ps, struct fw_loc loc, uint32_t zone, uint32_t limit)
{
	struct fw_conf *conf = ps->conf;
	unsigned int cap = conf->zones_cap, i = 0;
	unsigned int *line = fw_grow(ps, conf->zone_line, conf->zones, &cap, sizeof(*line));
	struct fw_zone_limit *v =
		fw_grow(ps, conf->zone, conf->zones, &conf->zones_cap, sizeof(*v));

	if (!v || !line)
		return;
	conf->zone = v;
	conf->zone_line = line;
	while (i < conf->zones && v[i].zone < zone)
		i++;
	if (i < conf->zones && v[i].zone == zone) {
		fw_error(ps, loc, "zone %u limited twice, expected once: line %u has it", zone,
			 line[i]);
		return;
	}
	memmove(&v[i + 1], &v[i], (conf->zones - i) * sizeof(*v));
	memmove(&line[i + 1], &line[i], (conf->zones - i) * sizeof(*line));
	v[i] = (struct fw_zone_limit){.zone = zone, .limit = limit};
	line[i] = loc.line;
	conf->zones++;
	conf->settings.zone = v;
	conf->settings.zones = conf->zones;
}

/* What follows a word, as one list: `{ a, b }`, `$macro`, `a b`. */
static int fw_arg_list(struct fw_parser *ps, const struct fw_args *args, unsigned int from,
		       enum fw_place place, const char *what, struct fw_list *list)
{
	*list = (struct fw_list){.loc = args->v[from - 1].loc};
	if (args->n <= from)
		return fw_error(ps, args->end, "unexpected end of line, expected %s", what);
	for (unsigned int i = from; i < args->n; i++)
		for (unsigned int t = 0; t < args->v[i].terms.n; t++)
			if (fw_push(ps, &list->terms, &args->v[i].terms.v[t]))
				return -1;
	return fw_flatten(ps, list, place);
}

/* An interface has one zone. */
static bool fw_zone_taken(struct fw_parser *ps, const struct fw_list *list)
{
	for (unsigned int z = 0; z < ps->conf->zone_ons; z++) {
		const struct fw_list *had = &ps->conf->zone_on[z].list;

		for (unsigned int i = 0; i < had->flat.n; i++)
			for (unsigned int k = 0; k < list->flat.n; k++)
				if (!strcmp(had->flat.v[i].text, list->flat.v[k].text)) {
					fw_error(ps, list->loc,
						 "%s has a zone already, expected one: line %u",
						 had->flat.v[i].text, had->loc.line);
					return true;
				}
	}
	return false;
}

/* `set zone 5 on { lan5, wan5 }` */
static void fw_set_zone_on(struct fw_parser *ps, const struct fw_args *args, uint32_t zone)
{
	struct fw_conf *conf = ps->conf;
	struct fw_zone_on *v;
	struct fw_list list;

	if (fw_arg_list(ps, args, 3, FW_P_IFACE, "an interface", &list) || fw_zone_taken(ps, &list))
		return;
	v = fw_grow(ps, conf->zone_on, conf->zone_ons, &conf->zone_ons_cap, sizeof(*v));
	if (!v)
		return;
	conf->zone_on = v;
	v[conf->zone_ons++] = (struct fw_zone_on){.zone = zone, .list = list};
}

static void fw_set_zone(struct fw_parser *ps, const struct fw_args *args)
{
	static const char *const words[] = {"limit", "on"};
	uint32_t zone, limit;
	char text[FW_TERM_TEXT];
	int word;

	if (fw_arg_number(ps, args, 1, 0, 65535, "a zone", &zone))
		return;
	word = fw_arg_word(ps, args, 2, words, 2, "zone setting");
	if (word == 1)
		fw_set_zone_on(ps, args, zone);
	if (word || fw_arg_number(ps, args, 3, 1, FW_LIMIT_HIGHEST, "a number", &limit))
		return;
	if (args->n > 4)
		fw_error(ps, args->v[4].loc, "unexpected '%.40s', expected end of line",
			 fw_term_text(args->v[4].terms.v, text, sizeof(text)));
	else
		fw_add_zone(ps, args->v[1].loc, zone, limit);
}

/* `set inside eth1 eth2`, `set inside { eth1, eth2 }`, `set inside $lan` */
static void fw_set_inside(struct fw_parser *ps, const struct fw_args *args)
{
	struct fw_list list;

	if (fw_arg_list(ps, args, 1, FW_P_IFACE, "an interface", &list) ||
	    fw_once(ps, args, args->n, FW_ONCE_INSIDE))
		return;
	ps->conf->inside = list;
}

static void fw_set_reserved(struct fw_parser *ps, const struct fw_args *args)
{
	struct fw_settings *s = &ps->conf->settings;
	struct fw_port_range *v;
	struct fw_list list;

	if (fw_arg_list(ps, args, 2, FW_P_PORT, "ports", &list) ||
	    fw_once(ps, args, args->n, FW_ONCE_RESERVED))
		return;
	v = fw_alloc(ps, list.flat.n * sizeof(*v));
	if (!v)
		return;
	for (unsigned int i = 0; i < list.flat.n; i++)
		v[i] = (struct fw_port_range){list.flat.v[i].lo, list.flat.v[i].hi};
	ps->conf->reserved = list;
	s->nat_reserved = v;
	s->nat_reserveds = list.flat.n;
}

/* `set nat reserved { 1-1023, 5060 }`, `set nat hold-down 120s`, `set nat pools 4096` */
static void fw_set_nat(struct fw_parser *ps, const struct fw_args *args)
{
	static const char *const words[] = {"reserved", "hold-down", "pools"};
	struct fw_settings *s = &ps->conf->settings;
	int word = fw_arg_word(ps, args, 1, words, 3, "nat setting");
	uint32_t n;

	if (word == 0)
		fw_set_reserved(ps, args);
	else if (word == 1 && !fw_arg_number(ps, args, 2, 0, FW_TIMEOUT_MAX, "seconds", &n) &&
		 !fw_once(ps, args, 3, FW_ONCE_HOLD_DOWN))
		s->nat_hold_down = n;
	else if (word == 2 &&
		 !fw_arg_number(ps, args, 2, 1, FW_POOLS_MAX, "a number of pools", &n) &&
		 !fw_once(ps, args, 3, FW_ONCE_POOLS))
		s->nat_pools = n;
}

/* `set skip on wg0`, `set skip on { eth3, docker0 }` */
static void fw_set_skip(struct fw_parser *ps, const struct fw_args *args)
{
	static const char *const words[] = {"on"};
	struct fw_list list;

	if (fw_arg_word(ps, args, 1, words, 1, "word") < 0 ||
	    fw_arg_list(ps, args, 2, FW_P_IFACE, "an interface", &list) ||
	    fw_once(ps, args, args->n, FW_ONCE_SKIP))
		return;
	ps->conf->skip = list;
}

static void fw_set_antispoof(struct fw_parser *ps, const struct fw_args *args)
{
	static const char *const words[] = {"off", "loose", "strict"}; /* as FW_SPOOF_* */
	int word = fw_arg_word(ps, args, 1, words, 3, "antispoof setting");

	if (word >= 0 && !fw_once(ps, args, 2, FW_ONCE_ANTISPOOF))
		ps->conf->settings.antispoof = word;
}

static void fw_set_mss(struct fw_parser *ps, const struct fw_args *args)
{
	static const char *const words[] = {"clamp", "keep"};
	int word = fw_arg_word(ps, args, 1, words, 2, "mss setting");

	if (word >= 0 && !fw_once(ps, args, 2, FW_ONCE_MSS))
		ps->conf->settings.mss_clamp = word == 0;
}

void fw_add_setting(struct fw_parser *ps, const struct fw_args *args)
{
	static const char *const words[] = {"default",	 "timeout",  "limit",	  "zone", "tcp",
					    "inside",	 "checksum", "fragments", "nat",  "skip",
					    "antispoof", "mss",	     "import"};
	static void (*const set[])(struct fw_parser *, const struct fw_args *) = {
		fw_set_default,	  fw_set_timeout,  fw_set_limit,     fw_set_zone, fw_set_tcp,
		fw_set_inside,	  fw_set_checksum, fw_set_fragments, fw_set_nat,  fw_set_skip,
		fw_set_antispoof, fw_set_mss,	   fw_set_import,
	};
	int i;

	if (ps->no_memory)
		return;
	i = fw_arg_word(ps, args, 0, words, sizeof(words) / sizeof(*words), "setting");
	if (i >= 0)
		set[i](ps, args);
}
