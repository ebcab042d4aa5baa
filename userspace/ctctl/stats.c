// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* `ctctl stats`: every limit, every counter, every drop reason (I5, I8). */
#include <string.h>

#include <json-c/json.h>

#include "ctctl.h"
#include "nat.h"

struct row {
	const char *table;
	int family; /* 0: both together */
	uint64_t used, limit, high, refused;
	bool has_limit, has_high, has_refused;
};

struct stats {
	struct row row[20];
	int rows;
	uint64_t stat[CT_STAT_SLOTS];
	uint64_t drop[CT_DROP_SLOTS];
	struct ct_expect_state expect;
	uint64_t path[NAT_PATH_SLOTS]; /* ports of NAT by the way they were come by */
};

static void add_rows(struct stats *s, const struct row *four, const struct row *six,
		     uint64_t refused)
{
	struct row both = *four;

	both.family = 0;
	both.used += six->used;
	both.has_limit = both.has_high = false;
	both.has_refused = true;
	both.refused = refused;
	s->row[s->rows++] = *four;
	s->row[s->rows++] = *six;
	s->row[s->rows++] = both;
}

static struct row confirmed_row(const struct ct_table *t, int family)
{
	return (struct row){.table = "confirmed",
			    .family = family,
			    .used = t->confirmed,
			    .limit = t->confirmed_limit,
			    .high = t->confirmed_high,
			    .has_limit = true,
			    .has_high = true};
}

static struct row half_row(const struct ct_table *t, int family, const struct ct_settings *set)
{
	struct row r = {.table = "half-open",
			.family = family,
			.used = t->half_open,
			.high = t->half_high,
			.has_limit = true,
			.has_high = true};

	for (int i = 0; i < CT_SIDES; i++)
		r.limit += set->half_size[i];
	return r;
}

static struct row nodes_row(const struct ct_table *t, int family)
{
	return (struct row){.table = "nodes",
			    .family = family,
			    .used = t->nodes,
			    .limit = t->nodes_limit,
			    .high = t->nodes_high,
			    .has_limit = true,
			    .has_high = true};
}

static struct row stubs_row(const struct ct_table *t, int family)
{
	return (struct row){.table = "stubs",
			    .family = family,
			    .used = t->stubs,
			    .limit = t->stub_limit,
			    .has_limit = true};
}

/* Held fragments, both families together; `ctctl frag` says more. */
static void add_frag_rows(const struct frag_table *t, struct stats *s)
{
	struct row r = {.table = "fragments",
			.used = t->use.datagrams,
			.limit = t->total.datagrams,
			.high = t->high.datagrams,
			.refused = s->drop[CT_DROP_FRAG_TOTAL] + s->drop[CT_DROP_FRAG_ZONE] +
				   s->drop[CT_DROP_FRAG_SOURCE],
			.has_limit = true,
			.has_high = true,
			.has_refused = true};

	s->row[s->rows++] = r;
	r.table = "frag-bytes";
	r.used = t->use.bytes;
	r.limit = t->total.bytes;
	r.high = t->high.bytes;
	s->row[s->rows++] = r;
}

/* What ctd and packets count of expectations. */
static const struct {
	const char *text;
	size_t off;
} expects[] = {{"expect_created", offsetof(struct ct_expect_state, created)},
	       {"expect_deleted", offsetof(struct ct_expect_state, deleted)},
	       {"expect_timed_out", offsetof(struct ct_expect_state, timed_out)},
	       {"expect_refused", offsetof(struct ct_expect_state, refused)},
	       {"expect_refused_master", offsetof(struct ct_expect_state, refused_master)},
	       {"expect_refused_port", offsetof(struct ct_expect_state, refused_port)},
#define X(name, txt) {"expect_" txt, offsetof(struct ct_expect_state, n) + 8 * CT_X_COUNT_##name},
	       CT_X_COUNTS(X)
#undef X
};
#define EXPECTS (sizeof(expects) / sizeof(expects[0]))

static uint64_t expect_count(const struct stats *s, size_t i)
{
	return *(const uint64_t *)((const char *)&s->expect + expects[i].off);
}

static void add_expect_rows(const struct ct_expect_state *st, struct stats *s)
{
	s->expect = *st;
	s->row[s->rows++] = (struct row){.table = "expect",
					 .used = st->count,
					 .limit = st->limit,
					 .high = st->high,
					 .refused = st->refused + st->refused_master,
					 .has_limit = true,
					 .has_high = true,
					 .has_refused = true};
	s->row[s->rows++] = (struct row){.table = "exp-ports",
					 .used = st->ports,
					 .refused = st->refused_port,
					 .has_refused = true};
}

/* Ports of all pools of a family; `ctctl nat` shows each. */
static int collect_nat(struct bpfct_pins *p, struct stats *s)
{
	uint32_t now = bpfct_now(p) >> 3;
	struct row row[2] = {{.table = "nat-ports", .family = 4},
			     {.table = "nat-ports", .family = 6}};
	struct nat_maps m;
	int ret = nat_maps_open(&m, p, false);

	for (uint32_t i = 1; !ret && i < m.pools; i++) {
		struct row *r = &row[m.pool[i].family == 6];
		struct nat_counts n;

		if (!m.pool[i].family)
			continue;
		nat_pool_count(&m, i, now, &n);
		r->used += n.used;
		r->limit += n.size - n.reserved;
		r->refused += n.refused;
		for (int k = 0; k < NAT_PATH_MAX; k++)
			s->path[k] += n.path[k];
	}
	nat_maps_close(&m);
	for (int i = 0; !ret && i < 2; i++) {
		row[i].has_limit = row[i].has_refused = true;
		s->row[s->rows++] = row[i];
	}
	return ret;
}

static int collect(struct bpfct_pins *p, struct stats *s)
{
	const struct ct_table *t = p->table;
	struct row a, b;
	int ret;

	memset(s, 0, sizeof(*s));
	ret = bpfct_counters(p->stat_fd, s->stat, CT_STAT_MAX);
	if (!ret)
		ret = bpfct_counters(p->drop_fd, s->drop, CT_DROP_MAX);
	if (ret)
		return ret;
	a = confirmed_row(&t[0], 4), b = confirmed_row(&t[1], 6);
	add_rows(s, &a, &b, s->drop[CT_DROP_TABLE_FULL]);
	a = half_row(&t[0], 4, p->settings), b = half_row(&t[1], 6, p->settings);
	add_rows(s, &a, &b, s->drop[CT_DROP_HALF_FULL] + s->drop[CT_DROP_PREFIX_SHARE]);
	a = nodes_row(&t[0], 4), b = nodes_row(&t[1], 6);
	add_rows(s, &a, &b, s->drop[CT_DROP_NODES_FULL]);
	a = stubs_row(&t[0], 4), b = stubs_row(&t[1], 6);
	add_rows(s, &a, &b, s->drop[CT_DROP_NAT_EXHAUSTED]);
	add_frag_rows(p->frag, s);
	add_expect_rows(p->expect, s);
	return collect_nat(p, s);
}

static const char *family_text(int family)
{
	return family == 4 ? "IPv4" : family == 6 ? "IPv6" : "both";
}

static void print_cell(FILE *out, bool has, uint64_t n)
{
	if (has)
		fprintf(out, " %12llu", (unsigned long long)n);
	else
		fprintf(out, " %12s", "-");
}

static const char *const drop_class[] = {"invalid", "refused", "policy", "fault"};

static const struct {
	int cls;
	const char *meaning;
} drops[] = {
#define X(name, text, cls, meaning) {CT_DROP_##cls, meaning},
	CT_DROP_REASONS(X)
#undef X
};

static void print_text(struct ctctl *c, const struct stats *s)
{
	fprintf(c->out, "%-10s %-6s %12s %12s %12s %12s\n", "TABLE", "FAMILY", "USED", "LIMIT",
		"HIGH", "REFUSED");
	for (int i = 0; i < s->rows; i++) {
		const struct row *r = &s->row[i];

		fprintf(c->out, "%-10s %-6s", r->table, family_text(r->family));
		print_cell(c->out, true, r->used);
		print_cell(c->out, r->has_limit, r->limit);
		print_cell(c->out, r->has_high, r->high);
		print_cell(c->out, r->has_refused, r->refused);
		fputc('\n', c->out);
	}
	fprintf(c->out, "\n%-18s %12s\n", "COUNTER", "PACKETS");
	for (int i = 0; i < CT_STAT_MAX; i++)
		fprintf(c->out, "%-18s %12llu\n", bpfct_stat_text(i),
			(unsigned long long)s->stat[i]);
	for (size_t i = 0; i < EXPECTS; i++)
		fprintf(c->out, "%-21s %9llu\n", expects[i].text,
			(unsigned long long)expect_count(s, i));
	for (int i = 0; i < NAT_PATH_MAX; i++)
		fprintf(c->out, "nat_%-14s %12llu\n", nat_path_text(i),
			(unsigned long long)s->path[i]);
	fprintf(c->out, "\n%-18s %12s  %-8s %s\n", "DROP", "PACKETS", "CLASS", "MEANING");
	for (int i = 1; i < CT_DROP_MAX; i++)
		fprintf(c->out, "%-18s %12llu  %-8s %s\n", bpfct_drop_text(i),
			(unsigned long long)s->drop[i], drop_class[drops[i].cls], drops[i].meaning);
}

static void add_number(struct json_object *o, const char *key, uint64_t n)
{
	json_object_object_add(o, key, json_object_new_uint64(n));
}

static struct json_object *row_json(const struct row *r)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "table", json_object_new_string(r->table));
	json_object_object_add(o, "family", json_object_new_string(family_text(r->family)));
	add_number(o, "used", r->used);
	if (r->has_limit)
		add_number(o, "limit", r->limit);
	if (r->has_high)
		add_number(o, "high", r->high);
	if (r->has_refused)
		add_number(o, "refused", r->refused);
	return o;
}

static void print_json(struct ctctl *c, const struct stats *s)
{
	struct json_object *o = json_object_new_object(), *tables = json_object_new_array();
	struct json_object *counters = json_object_new_object(), *drop = json_object_new_object();

	for (int i = 0; i < s->rows; i++)
		json_object_array_add(tables, row_json(&s->row[i]));
	for (int i = 0; i < CT_STAT_MAX; i++)
		add_number(counters, bpfct_stat_text(i), s->stat[i]);
	for (int i = 1; i < CT_DROP_MAX; i++)
		add_number(drop, bpfct_drop_text(i), s->drop[i]);
	for (size_t i = 0; i < EXPECTS; i++)
		add_number(counters, expects[i].text, expect_count(s, i));
	for (int i = 0; i < NAT_PATH_MAX; i++) {
		char name[32];

		snprintf(name, sizeof(name), "nat_%s", nat_path_text(i));
		add_number(counters, name, s->path[i]);
	}
	json_object_object_add(o, "tables", tables);
	json_object_object_add(o, "counters", counters);
	json_object_object_add(o, "drops", drop);
	fprintf(c->out, "%s\n", json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
	json_object_put(o);
}

int ctctl_stats(struct ctctl *c, int argc, char **argv)
{
	struct bpfct_pins p;
	struct stats s;
	int ret;

	if (argc != 1)
		return ctctl_usage(c, "stats takes no `%s'", argv[1]);
	ret = ctctl_open(c, &p, false);
	if (ret)
		return ret;
	ret = collect(&p, &s);
	if (ret)
		ret = ctctl_fail(c, "cannot read the counters: %s", strerror(-ret));
	else if (c->json)
		print_json(c, &s);
	else
		print_text(c, &s);
	bpfct_pins_close(&p);
	return ret;
}
