// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* `ctctl frag`: what fragments may use and use, settings, counters. */
#include <string.h>

#include <json-c/json.h>

#include "ctctl.h"

static const char *const mode_text[] = {"drop", "pass", "reassemble"};

static const struct {
	const char *text, *meaning;
} stats[] = {
#define X(name, text, meaning) {text, meaning},
	FRAG_STATS(X)
#undef X
};

struct frag_view {
	const struct frag_table *t;
	const struct ct_settings *set;
	uint64_t stat[FRAG_STAT_SLOTS];
	uint64_t memory; /* of all maps: the bound */
	uint64_t refused_zone, refused_source, evicted;
};

/* Every byte that fragments can ever take is there from the start. */
static uint64_t memory_of(const struct frag_table *t)
{
	uint64_t index = sizeof(struct frag_key) + 4 + 4 + 48; /* hash node and its bucket */

	return (uint64_t)t->slots * (sizeof(struct frag_head) + index + 4) +
	       (uint64_t)t->chunks * (sizeof(struct frag_chunk) + 4) +
	       65536 * sizeof(struct frag_use) + FRAG_SOURCES * sizeof(struct frag_use);
}

static const char *mode_of(const struct frag_view *v, int six)
{
	return v->set->fragments[six] < 3 ? mode_text[v->set->fragments[six]] : "?";
}

static void print_use(FILE *out, const char *name, const uint32_t *used, const uint32_t *high,
		      uint32_t limit, uint64_t refused)
{
	fprintf(out, "%-18s", name);
	if (used)
		fprintf(out, " %12u", *used);
	else
		fprintf(out, " %12s", "-");
	if (limit)
		fprintf(out, " %12u", limit);
	else
		fprintf(out, " %12s", "-");
	if (high)
		fprintf(out, " %12u", *high);
	else
		fprintf(out, " %12s", "-");
	fprintf(out, " %12llu\n", (unsigned long long)refused);
}

static void print_text(struct ctctl *c, const struct frag_view *v)
{
	const struct frag_table *t = v->t;

	fprintf(c->out, "%-18s %12s %12s %12s %12s\n", "TABLE", "USED", "LIMIT", "HIGH", "REFUSED");
	print_use(c->out, "datagrams", &t->use.datagrams, &t->high.datagrams, t->total.datagrams,
		  v->evicted);
	print_use(c->out, "bytes", &t->use.bytes, &t->high.bytes, t->total.bytes, v->evicted);
	print_use(c->out, "zone datagrams", NULL, NULL, t->zone.datagrams, v->refused_zone);
	print_use(c->out, "zone bytes", NULL, NULL, t->zone.bytes, v->refused_zone);
	print_use(c->out, "source datagrams", NULL, NULL, t->source.datagrams, v->refused_source);
	print_use(c->out, "source bytes", NULL, NULL, t->source.bytes, v->refused_source);
	fprintf(c->out, "\n%-18s %12s\n", "SETTING", "VALUE");
	fprintf(c->out, "%-18s %12s\n", "inet", mode_of(v, 0));
	fprintf(c->out, "%-18s %12s\n", "inet6", mode_of(v, 1));
	fprintf(c->out, "%-18s %12u\n", "timeout", t->timeout);
	fprintf(c->out, "%-18s %12u\n", "min-size inet", t->min_size[0]);
	fprintf(c->out, "%-18s %12u\n", "min-size inet6", t->min_size[1]);
	fprintf(c->out, "%-18s %12s\n", "icmp", t->icmp ? "yes" : "no");
	fprintf(c->out, "%-18s %12llu\n", "memory", (unsigned long long)v->memory);
	fprintf(c->out, "\n%-18s %12s %12s  %s\n", "COUNTER", "IPv4", "IPv6", "OF");
	for (int i = 0; i < FRAG_STAT_MAX; i++)
		fprintf(c->out, "%-18s %12llu %12llu  %s\n", stats[i].text,
			(unsigned long long)v->stat[2 * i], (unsigned long long)v->stat[2 * i + 1],
			stats[i].meaning);
}

static void add(struct json_object *o, const char *key, uint64_t n)
{
	json_object_object_add(o, key, json_object_new_uint64(n));
}

static struct json_object *use_json(const uint32_t *used, const uint32_t *high, uint32_t limit)
{
	struct json_object *o = json_object_new_object();

	if (used)
		add(o, "used", *used);
	if (limit)
		add(o, "limit", limit);
	if (high)
		add(o, "high", *high);
	return o;
}

static struct json_object *limits_json(const struct frag_limit *l, uint64_t refused)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "datagrams", use_json(NULL, NULL, l->datagrams));
	json_object_object_add(o, "bytes", use_json(NULL, NULL, l->bytes));
	add(o, "refused", refused);
	return o;
}

static struct json_object *settings_json(const struct frag_view *v)
{
	struct json_object *o = json_object_new_object(), *min = json_object_new_object();

	json_object_object_add(o, "inet", json_object_new_string(mode_of(v, 0)));
	json_object_object_add(o, "inet6", json_object_new_string(mode_of(v, 1)));
	add(o, "timeout", v->t->timeout);
	add(min, "inet", v->t->min_size[0]);
	add(min, "inet6", v->t->min_size[1]);
	json_object_object_add(o, "min_size", min);
	json_object_object_add(o, "icmp", json_object_new_boolean(v->t->icmp));
	return o;
}

static void print_json(struct ctctl *c, const struct frag_view *v)
{
	struct json_object *o = json_object_new_object(), *total = json_object_new_object();
	const struct frag_table *t = v->t;

	json_object_object_add(total, "datagrams",
			       use_json(&t->use.datagrams, &t->high.datagrams, t->total.datagrams));
	json_object_object_add(total, "bytes",
			       use_json(&t->use.bytes, &t->high.bytes, t->total.bytes));
	add(total, "refused", v->evicted);
	json_object_object_add(o, "total", total);
	json_object_object_add(o, "zone", limits_json(&t->zone, v->refused_zone));
	json_object_object_add(o, "source", limits_json(&t->source, v->refused_source));
	json_object_object_add(o, "settings", settings_json(v));
	add(o, "memory", v->memory);
	for (int six = 0; six < 2; six++) {
		struct json_object *n = json_object_new_object();

		for (int i = 0; i < FRAG_STAT_MAX; i++)
			add(n, stats[i].text, v->stat[2 * i + six]);
		json_object_object_add(o, six ? "inet6" : "inet", n);
	}
	fprintf(c->out, "%s\n", json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
	json_object_put(o);
}

int ctctl_frag(struct ctctl *c, int argc, char **argv)
{
	uint64_t drop[CT_DROP_SLOTS];
	struct frag_view v = {0};
	struct bpfct_pins p;
	int ret;

	if (argc > 2 || (argc == 2 && strcmp(argv[1], "show")))
		return ctctl_usage(c, "frag takes no `%s'", argv[argc - 1]);
	ret = ctctl_open(c, &p, false);
	if (ret)
		return ret;
	ret = bpfct_counters(p.frag_stat_fd, v.stat, 2 * FRAG_STAT_MAX);
	if (!ret)
		ret = bpfct_counters(p.drop_fd, drop, CT_DROP_MAX);
	if (ret) {
		ret = ctctl_fail(c, "cannot read the counters: %s", strerror(-ret));
	} else {
		v.t = p.frag;
		v.set = p.settings;
		v.memory = memory_of(p.frag);
		v.refused_zone = drop[CT_DROP_FRAG_ZONE];
		v.refused_source = drop[CT_DROP_FRAG_SOURCE];
		v.evicted = drop[CT_DROP_FRAG_TOTAL];
		if (c->json)
			print_json(c, &v);
		else
			print_text(c, &v);
	}
	bpfct_pins_close(&p);
	return ret;
}
