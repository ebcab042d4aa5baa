// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* `ctctl check`: walks until what is wrong has stayed wrong. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <json-c/json.h>

#include "check.h"

/* What one pass sees half done, the next a moment later does not: a death takes
 * a second to its node's end, a sweep comes by every few. */
#define PASSES	 4
#define PAUSE_MS 1300

static int verify_zones(struct bpfct_pins *p, const uint32_t *zones, uint64_t churn,
			struct check_findings *out)
{
	int ret = 0;

	for (int z = 0; z < 65536 && !ret; z++) {
		uint32_t count = *(volatile uint32_t *)&p->zone[z].count;
		struct check_finding f = {.kind = CHECK_ZONE, .walk = zones[z], .count = count};

		f.key.zone = z;
		if (zones[z] + churn < count || zones[z] > count + churn)
			ret = check_add(out, &f);
	}
	return ret;
}

static int pass(struct bpfct_pins *p, struct check_findings *out, size_t *records)
{
	uint32_t *zones = calloc(65536, sizeof(*zones));
	uint64_t churn = 0;
	int ret = zones ? 0 : -ENOMEM;

	*records = 0;
	for (int family = 4; family <= 6 && !ret; family += 2) {
		struct check_tables t;

		ret = check_read(p, family, &t);
		if (!ret)
			ret = check_verify(&t, zones, out);
		*records += t.recs;
		churn += t.churn;
		check_free(&t);
	}
	if (!ret)
		ret = verify_zones(p, zones, churn, out);
	if (!ret)
		ret = check_nat(p, out);
	if (!ret)
		ret = check_expect(p, out);
	free(zones);
	return ret;
}

/* Keeps in `all` what `seen` has too. */
static void intersect(struct check_findings *all, const struct check_findings *seen)
{
	size_t n = 0;

	for (size_t i = 0; i < all->n; i++) {
		bool again = false;

		for (size_t j = 0; j < seen->n && !again; j++)
			again = check_same(&all->v[i], &seen->v[j]);
		if (again)
			all->v[n++] = all->v[i];
	}
	all->n = n;
}

static int run_passes(struct bpfct_pins *p, struct check_findings *all, size_t *records)
{
	const struct timespec pause = {PAUSE_MS / 1000, PAUSE_MS % 1000 * 1000000L};
	int ret = pass(p, all, records);

	for (int i = 1; i < PASSES && !ret && all->n; i++) {
		struct check_findings seen = {0};

		nanosleep(&pause, NULL);
		ret = pass(p, &seen, records);
		if (!ret)
			intersect(all, &seen);
		free(seen.v);
	}
	return ret;
}

static const char *kind_text(enum check_kind kind)
{
	static const char *const texts[] = {
		[CHECK_STUB_ORPHAN] = "I1 stub leads to no record of its generation",
		[CHECK_STUB_OTHER_TUPLE] = "I1 stub's key is not its record's reply tuple",
		[CHECK_TUPLE_TWICE] = "I2 tuple belongs to a record and to a stub of another",
		[CHECK_NO_STUB] = "I1 translated record has no stub",
		[CHECK_REPLY_TUPLE] = "I1 untranslated record with a foreign reply tuple",
		[CHECK_STUCK] = "I4 record stays SETUP or DEAD",
		[CHECK_COUNT] = "I8 count differs from the walk",
		[CHECK_ZONE] = "I8 zone count differs from the walk",
		[CHECK_LEASE] = "I2 port is leased twice, or is none of the pool's",
		[CHECK_MASTER] = "expectation without its master",
		[CHECK_PORT] = "expectation whose external port nothing holds",
		[CHECK_USE] = "I2 uses of a port differ from what holds it",
	};

	return texts[kind];
}

static void describe(const struct check_finding *f, char *buf, size_t len)
{
	char addr[2][64] = {"", ""};
	int family = f->family;

	if (f->kind == CHECK_COUNT) {
		snprintf(buf, len, "IPv%d %s: counter %llu, walk %llu", family, f->what,
			 (unsigned long long)f->count, (unsigned long long)f->walk);
		return;
	}
	if (f->kind == CHECK_ZONE) {
		snprintf(buf, len, "zone %u: counter %llu, walk %llu", f->key.zone,
			 (unsigned long long)f->count, (unsigned long long)f->walk);
		return;
	}
	if (f->kind == CHECK_USE || f->kind == CHECK_LEASE) {
		*ct_text_addr(addr[0], f->key.addr[0], family) = 0;
		snprintf(buf, len, "%s port %u class %u: counted %llu, walk %llu", addr[0],
			 ntohs(f->key.port[0]), f->key.proto, (unsigned long long)f->count,
			 (unsigned long long)f->walk);
		return;
	}
	for (int i = 0; i < 2; i++)
		*ct_text_addr(addr[i], f->key.addr[i], family) = 0;
	snprintf(buf, len, "%s %s,%u %s,%u zone %u generation %08x", ct_proto_name(f->key.proto),
		 addr[0], ntohs(f->key.port[0]), addr[1], ntohs(f->key.port[1]), f->key.zone,
		 f->gen);
}

static void print_json(struct ctctl *c, const struct check_findings *all, size_t records)
{
	struct json_object *o = json_object_new_object(), *list = json_object_new_array();
	char buf[256];

	for (size_t i = 0; i < all->n; i++) {
		struct json_object *f = json_object_new_object();

		describe(&all->v[i], buf, sizeof(buf));
		json_object_object_add(f, "violation",
				       json_object_new_string(kind_text(all->v[i].kind)));
		json_object_object_add(f, "where", json_object_new_string(buf));
		json_object_array_add(list, f);
	}
	json_object_object_add(o, "records", json_object_new_int64(records));
	json_object_object_add(o, "violations", list);
	fprintf(c->out, "%s\n", json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
	json_object_put(o);
}

static void print_text(struct ctctl *c, const struct check_findings *all, size_t records)
{
	char buf[256];

	for (size_t i = 0; i < all->n; i++) {
		describe(&all->v[i], buf, sizeof(buf));
		fprintf(c->out, "%s: %s\n", kind_text(all->v[i].kind), buf);
	}
	fprintf(c->out, "%zu records, %zu violations\n", records, all->n);
}

int ctctl_check(struct ctctl *c, int argc, char **argv)
{
	struct check_findings all = {0};
	struct bpfct_pins p;
	size_t records;
	int ret;

	if (argc != 1)
		return ctctl_usage(c, "check takes no `%s'", argv[1]);
	ret = ctctl_open(c, &p, false);
	if (ret)
		return ret;
	ret = run_passes(&p, &all, &records);
	if (ret)
		ret = ctctl_fail(c, "cannot read the tables: %s", strerror(-ret));
	else if (c->json)
		print_json(c, &all, records);
	else
		print_text(c, &all, records);
	if (!ret && all.n)
		ret = CTCTL_FAILED;
	free(all.v);
	bpfct_pins_close(&p);
	return ret;
}
