// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Tables of the language, and the limits whose offenders go into them. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fw_ast.h"

/* More tables cannot be meant; more in a limit does not fit what BPF reckons with. */
#define FW_TABLES_MAX	   64
#define FW_LIMIT_COUNT_MAX 10000
#define FW_LIMIT_SECS_MAX  86400

/* FNV-1a; what parses has no two tables of one number. */
uint32_t fw_table_number(const char *name)
{
	uint32_t h = 2166136261u;

	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 16777619u;
	return h ? h : 1;
}

const struct fw_table_def *fw_find_table(const struct fw_conf *conf, const char *name)
{
	for (unsigned int i = 0; i < conf->tables; i++)
		if (!strcmp(conf->table[i].name, name))
			return &conf->table[i];
	return NULL;
}

/* As it stands between < and >, and after `table`. */
static bool fw_is_table_name(const char *name)
{
	bool ok = isalpha((unsigned char)*name) || *name == '_';

	for (size_t i = 1; ok && name[i]; i++)
		ok = isalnum((unsigned char)name[i]) || name[i] == '_' ||
		     (strchr("-.", name[i]) &&
		      (isalnum((unsigned char)name[i + 1]) || name[i + 1] == '_'));
	return ok && !fw_is_reserved(name);
}

static int fw_check_table(struct fw_parser *ps, const struct fw_term *name)
{
	const struct fw_conf *conf = ps->conf;
	const struct fw_table_def *old = fw_find_table(conf, name->text);

	if (strlen(name->text) >= FW_TABLE_NAME)
		return fw_error(ps, name->loc,
				"table name '%.40s' is too long, expected at most %d "
				"characters",
				name->text, FW_TABLE_NAME - 1);
	if (!fw_is_table_name(name->text))
		return fw_error(ps, name->loc,
				"'%.40s' cannot be a table's name, expected letters, digits and _ "
				"that are no keyword",
				name->text);
	if (old)
		return fw_error(ps, name->loc,
				"table %s defined twice, expected once: line %u has it", name->text,
				old->loc.line);
	if (conf->tables >= FW_TABLES_MAX)
		return fw_error(ps, name->loc, "too many tables, expected at most %d",
				FW_TABLES_MAX);
	for (unsigned int i = 0; i < conf->tables; i++)
		if (fw_table_number(conf->table[i].name) == fw_table_number(name->text))
			return fw_error(
				ps, name->loc,
				"table %s has the number of table %s, expected another name",
				name->text, conf->table[i].name);
	return 0;
}

/* What the file puts into a table are addresses that it names. */
static int fw_check_addrs(struct fw_parser *ps, struct fw_list *addrs)
{
	char text[FW_TERM_TEXT];

	if (fw_flatten(ps, addrs, FW_P_ADDR))
		return -1;
	for (unsigned int i = 0; i < addrs->flat.n; i++)
		if (addrs->flat.v[i].kind != FW_T_ADDR)
			return fw_error(ps, addrs->flat.v[i].loc,
					"'%.60s' in a table, expected an address or network",
					fw_term_text(&addrs->flat.v[i], text, sizeof(text)));
	return 0;
}

void fw_add_table(struct fw_parser *ps, const struct fw_term *name, bool persist,
		  const struct fw_list *addrs)
{
	struct fw_conf *conf = ps->conf;
	struct fw_table_def def = {.name = name->text, .loc = name->loc, .persist = persist};
	struct fw_table_def *v;

	if (ps->no_memory || fw_check_table(ps, name))
		return;
	if (addrs)
		def.addrs = *addrs;
	/* Refused addresses still define the table, so that its uses do not err too. */
	if (addrs && fw_check_addrs(ps, &def.addrs))
		def.addrs = (struct fw_list){0};
	v = fw_grow(ps, conf->table, conf->tables, &conf->tables_cap, sizeof(*v));
	if (!v)
		return;
	conf->table = v;
	v[conf->tables++] = def;
}

int fw_check_limit(struct fw_parser *ps, const struct fw_stmt *s)
{
	const struct fw_term *t = &s->limit;

	if (!t->loc.line)
		return 0;
	if (s->kind != FW_K_FILTER || s->action != FW_PASS || s->dir != FW_IN)
		return fw_error(ps, t->loc, "limit in this rule, expected it in a pass in rule");
	if (t->lo < 1 || t->lo > FW_LIMIT_COUNT_MAX)
		return fw_error(ps, t->loc,
				"limit %.40s is out of range, expected 1 to %d connections",
				t->text, FW_LIMIT_COUNT_MAX);
	if (t->hi < 1 || t->hi > FW_LIMIT_SECS_MAX)
		return fw_error(ps, t->loc, "limit %.40s is out of range, expected 1 to %d seconds",
				t->text, FW_LIMIT_SECS_MAX);
	if (s->overload.loc.line && !fw_find_table(ps->conf, s->overload.text))
		return fw_error(ps, s->overload.loc,
				"unknown table <%.40s>, expected one defined above",
				s->overload.text);
	return 0;
}

int fw_compile_tables(const struct fw_conf *conf, struct fw_rules *out)
{
	out->table = calloc(conf->tables + 1, sizeof(*out->table));
	if (!out->table)
		return -ENOMEM;
	for (unsigned int i = 0; i < conf->tables; i++) {
		const struct fw_table_def *def = &conf->table[i];
		struct fw_table *t = &out->table[i];

		t->net = calloc(def->addrs.flat.n + 1, sizeof(*t->net));
		if (!t->net)
			return -ENOMEM;
		out->n_tables++;
		snprintf(t->name, sizeof(t->name), "%s", def->name);
		t->number = fw_table_number(def->name);
		t->persist = def->persist;
		for (unsigned int n = 0; n < def->addrs.flat.n; n++) {
			const struct fw_term *a = &def->addrs.flat.v[n];

			t->net[n].family = a->family;
			t->net[n].plen = a->plen;
			memcpy(t->net[n].addr, a->addr, sizeof(a->addr));
		}
		t->nets = def->addrs.flat.n;
	}
	return 0;
}
