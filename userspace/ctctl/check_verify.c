// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* I1, I2 and I4 on a copy of the tables. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/lib/ct_siphash.h"
#include "check.h"

static void key4_to_6(const struct ct_key4 *in, struct ct_key6 *out)
{
	memset(out, 0, sizeof(*out));
	for (int i = 0; i < 2; i++) {
		out->addr[i][0] = in->addr[i];
		out->port[i] = in->port[i];
	}
	out->zone = in->zone;
	out->proto = in->proto;
}

void check_flow_key(const struct ct_flow *flow, struct ct_key6 *out)
{
	if (flow->family == 6)
		*out = flow->key6;
	else
		key4_to_6(&flow->key4, out);
}

static bool higher(const __be32 *a, const __be32 *b, __be16 aport, __be16 bport)
{
	for (int i = 0; i < 4; i++)
		if (a[i] != b[i])
			return a[i] > b[i];
	return aport > bport;
}

int check_reply_key(const struct ct_flow *flow, struct ct_key6 *out)
{
	__be32 addr[2][4] = {{flow->conn4.reply_saddr}, {flow->conn4.reply_daddr}};
	__be16 port[2] = {flow->c.reply_sport, flow->c.reply_dport};
	struct ct_key6 key;
	bool icmp;
	int src;

	check_flow_key(flow, &key);
	icmp = key.proto == (flow->family == 6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
	if (flow->family == 6) {
		memcpy(addr[0], flow->conn6.reply_saddr, 16);
		memcpy(addr[1], flow->conn6.reply_daddr, 16);
	}
	/* the answerer of a query is endpoint 1; id and type keep their places */
	src = icmp || higher(addr[0], addr[1], port[0], port[1]);
	memset(out, 0, sizeof(*out));
	memcpy(out->addr[src], addr[0], 16);
	memcpy(out->addr[!src], addr[1], 16);
	out->port[icmp ? 0 : src] = port[0];
	out->port[icmp ? 1 : !src] = port[1];
	out->zone = key.zone;
	out->proto = key.proto;
	return src;
}

void check_stub_key(const struct check_tables *t, const struct ct_key6 *reply, struct ct_key6 *out)
{
	__u64 hash;

	*out = *reply;
	if (t->family == 4)
		return;
	memset(out, 0, sizeof(*out));
	hash = ct_key6_siphash(t->secret, reply);
	memcpy(out->addr[0], &hash, sizeof(hash));
}

/* A hash index over an array of structs that begin with their key. */
struct index {
	const char *base;
	size_t size; /* of an element */
	uint32_t *slot;
	size_t mask;
};

static uint64_t hash_key(const struct ct_key6 *key)
{
	uint64_t w[5], h = 0;

	memcpy(w, key, sizeof(w));
	for (int i = 0; i < 5; i++) {
		h = (h ^ w[i]) * 0x9e3779b97f4a7c15ULL;
		h ^= h >> 29;
	}
	return h;
}

static int index_build(struct index *ix, const void *base, size_t size, size_t n)
{
	size_t slots = 16;

	while (slots < 2 * n)
		slots *= 2;
	*ix = (struct index){base, size, calloc(slots, sizeof(uint32_t)), slots - 1};
	if (!ix->slot)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		uint64_t h = hash_key((const void *)(ix->base + i * size));

		while (ix->slot[h & ix->mask])
			h++;
		ix->slot[h & ix->mask] = i + 1;
	}
	return 0;
}

static const void *index_find(const struct index *ix, const struct ct_key6 *key)
{
	for (uint64_t h = hash_key(key); ix->slot[h & ix->mask]; h++) {
		const char *e = ix->base + (ix->slot[h & ix->mask] - 1) * ix->size;

		if (!memcmp(e, key, sizeof(*key)))
			return e;
	}
	return NULL;
}

int check_add(struct check_findings *out, const struct check_finding *f)
{
	if (out->n == out->room) {
		size_t room = out->room ? 2 * out->room : 64;
		void *v = realloc(out->v, room * sizeof(*out->v));

		if (!v)
			return -ENOMEM;
		out->v = v;
		out->room = room;
	}
	out->v[out->n++] = *f;
	return 0;
}

static int add(const struct check_tables *t, struct check_findings *out, enum check_kind kind,
	       const struct ct_key6 *key, uint32_t gen)
{
	return check_add(out, &(struct check_finding){
				      .kind = kind, .family = t->family, .key = *key, .gen = gen});
}

static bool is_live(uint64_t word)
{
	return ct_w_life(word) == CT_LIFE_HALF_OPEN || ct_w_life(word) == CT_LIFE_CONFIRMED;
}

static bool is_current(const struct check_tables *t, const struct check_record *r)
{
	return is_live(r->word) && (int32_t)(r->expires - t->now) >= 0;
}

/* Does a record answer for what a stub under its own key answers for? An
 * untranslated one does, both ways. A translated one only when its original
 * packets run as the stub's replies do: the router's own connection and a
 * masqueraded one may have the same two endpoints, one in each direction. */
static bool is_shadowed(const struct check_record *own, const struct check_record *stubs)
{
	return !(ct_w_status(own->word) & CT_S_NAT) ||
	       !!(own->word & CT_W_ORIG_HI) == stubs->reply_src;
}

/* A dying record takes its stub along when its second is over. */
static int verify_stub(const struct check_tables *t, const struct check_stub *s,
		       const struct index *recs, struct check_findings *out)
{
	const struct check_record *r = index_find(recs, &s->conn), *own;
	/* a hash says nothing to who reads it */
	const struct ct_key6 *shown = t->family == 6 ? &s->conn : &s->key;
	struct ct_key6 at;

	if (!r || ct_w_gen(r->word) != s->gen) {
		if ((int32_t)(t->now - s->born) <= (int32_t)t->grace)
			return 0; /* stub first, record last: a commit under way */
		return add(t, out, CHECK_STUB_ORPHAN, shown, s->gen);
	}
	if (!is_current(t, r))
		return 0;
	check_stub_key(t, &r->reply, &at);
	if (memcmp(&at, &s->key, sizeof(s->key)))
		return add(t, out, CHECK_STUB_OTHER_TUPLE, shown, s->gen);
	own = index_find(recs, &r->reply);
	if (own && is_current(t, own) && is_shadowed(own, r))
		return add(t, out, CHECK_TUPLE_TWICE, &r->reply, ct_w_gen(own->word));
	return 0;
}

static int verify_record(const struct check_tables *t, const struct check_record *r,
			 const struct index *stubs, struct check_findings *out)
{
	uint32_t life = ct_w_life(r->word), gen = ct_w_gen(r->word);
	bool plain = !memcmp(&r->reply, &r->key, sizeof(r->key));
	const struct check_stub *s;
	struct ct_key6 at;

	if (life == CT_LIFE_SETUP || life == CT_LIFE_DEAD || life > CT_LIFE_DEAD)
		return add(t, out, CHECK_STUCK, &r->key, gen);
	if (!is_current(t, r) || plain)
		return 0;
	if (!(ct_w_status(r->word) & CT_S_NAT))
		return add(t, out, CHECK_REPLY_TUPLE, &r->key, gen);
	check_stub_key(t, &r->reply, &at);
	s = index_find(stubs, &at);
	if (!s || s->gen != gen || memcmp(&s->conn, &r->key, sizeof(r->key)))
		return add(t, out, CHECK_NO_STUB, &r->key, gen);
	return 0;
}

static int verify_count(const struct check_tables *t, const char *what, uint64_t walk,
			uint32_t before, uint32_t after, struct check_findings *out)
{
	uint32_t low = before < after ? before : after, high = before < after ? after : before;

	if (walk + t->churn >= low && walk <= high + t->churn)
		return 0;
	return check_add(out, &(struct check_finding){.kind = CHECK_COUNT,
						      .family = t->family,
						      .what = what,
						      .walk = walk,
						      .count = after});
}

static int verify_counts(const struct check_tables *t, uint32_t *zones, struct check_findings *out)
{
	const struct check_counts *b = &t->before, *a = &t->after;
	uint64_t confirmed = 0, half_open = 0;
	int ret;

	for (size_t i = 0; i < t->recs; i++) {
		confirmed += ct_w_life(t->rec[i].word) == CT_LIFE_CONFIRMED;
		half_open += ct_w_life(t->rec[i].word) == CT_LIFE_HALF_OPEN;
		zones[t->rec[i].key.zone] += is_live(t->rec[i].word);
	}
	ret = verify_count(t, "confirmed", confirmed, b->confirmed, a->confirmed, out);
	if (!ret)
		ret = verify_count(t, "half-open", half_open, b->half_open, a->half_open, out);
	if (!ret)
		ret = verify_count(t, "nodes", t->recs, b->nodes, a->nodes, out);
	if (!ret)
		ret = verify_count(t, "stubs", t->stubs, b->stubs, a->stubs, out);
	return ret;
}

int check_verify(const struct check_tables *t, uint32_t *zones, struct check_findings *out)
{
	struct index recs = {0}, stubs = {0};
	int ret = index_build(&recs, t->rec, sizeof(*t->rec), t->recs);

	if (!ret)
		ret = index_build(&stubs, t->stub, sizeof(*t->stub), t->stubs);
	for (size_t i = 0; !ret && i < t->stubs; i++)
		ret = verify_stub(t, &t->stub[i], &recs, out);
	for (size_t i = 0; !ret && i < t->recs; i++)
		ret = verify_record(t, &t->rec[i], &stubs, out);
	if (!ret)
		ret = verify_counts(t, zones, out);
	free(recs.slot);
	free(stubs.slot);
	return ret;
}

bool check_same(const struct check_finding *a, const struct check_finding *b)
{
	if (a->kind != b->kind || a->family != b->family)
		return false;
	if (a->kind == CHECK_COUNT)
		return a->what == b->what;
	return a->gen == b->gen && !memcmp(&a->key, &b->key, sizeof(a->key));
}
