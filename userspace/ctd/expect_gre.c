// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "expect_gre.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <netinet/in.h>

#include "../lib/text_flow.h"
#include "expect.h"

#define SWEEP 512 /* entries a turn; there are two turns a second */

struct call {
	struct ct_tuple key;
	struct ct_label_key master;
	uint32_t group;
};

struct expect_gre {
	struct call *v;
	unsigned int n, room;
	unsigned int at; /* of the sweep */
};

static bool same_conn(const struct ct_label_key *a, const struct ct_label_key *b)
{
	return !memcmp(a, b, sizeof(*a));
}

static int remember(struct expect_gre *e, const struct ct_tuple *key, const struct ct_gre *g)
{
	if (e->n == e->room) {
		unsigned int room = e->room ? 2 * e->room : 64;
		struct call *v = realloc(e->v, room * sizeof(*v));

		if (!v)
			return -ENOMEM;
		e->v = v;
		e->room = room;
	}
	e->v[e->n++] = (struct call){.key = *key, .master = g->master, .group = g->group};
	return 0;
}

static void drop(struct ctd *d, struct call *c)
{
	struct expect_gre *e = d->expect_gre;

	bpf_map_delete_elem(d->core.pins.gre_fd, &c->key);
	*c = e->v[--e->n];
}

/* Control connections between the same two hosts? Both keys have the originals' addresses. */
static bool same_hosts(const struct ct_label_key *a, const struct ct_label_key *b)
{
	return !memcmp(a->key.addr, b->key.addr, sizeof(a->key.addr)) &&
	       a->key.zone == b->key.zone && a->key.pad == b->key.pad;
}

/*
 * 0: the key is free; 1: this very group has it, as calls are announced again. A host does not
 * give the same id to two calls of one peer: the older one is over, as after a redial, though the
 * end of its control connection may not have been seen yet.
 */
static int make_room(struct ctd *d, const struct ct_tuple *key, const struct ct_gre *g)
{
	struct ct_gre old;

	if (bpf_map_lookup_elem(d->core.pins.gre_fd, key, &old))
		return 0;
	if (same_conn(&old.master, &g->master))
		return old.group == g->group ? 1 : -EBUSY;
	if (!same_hosts(&old.master, &g->master) && expect_alive(d, &old.master))
		return -EBUSY;
	expect_close(d, &old.master, old.group);
	if (!old.group) /* taken over: its own record */
		expect_end(d, &old.master);
	return 0;
}

static int enter(struct ctd *d, const struct ct_tuple *src, const struct ct_tuple *dst,
		 struct ct_gre *g)
{
	struct expect_gre *e = d->expect_gre;
	struct ct_tuple key = *dst;
	int ret;

	memcpy(key.saddr, src->saddr, sizeof(key.saddr));
	key.sport = 0;
	g->id = src->sport;
	ret = make_room(d, &key, g);
	if (!ret)
		ret = remember(e, &key, g);
	if (ret)
		return ret < 0 ? ret : 0;
	if (bpf_map_update_elem(d->core.pins.gre_fd, &key, g, BPF_ANY)) {
		e->n--;
		return -ENOSPC;
	}
	return 0;
}

int expect_gre_put(struct ctd *d, const struct ct_label_key *master, const struct alg_expect *x)
{
	const struct ct_tuple *form[2] = {&x->tuple, &x->nat};
	struct ct_gre g = {.master = *master, .group = x->group};
	int i, ret;

	if (x->tuple.proto != IPPROTO_GRE)
		return 0;
	ret = enter(d, form[0], form[0], &g);
	/* Half or wholly translated it is met at a later hook and in ICMP errors: if that looks
	 * like another call's, that one was first. */
	for (i = 1; i < 4 && !ret; i++)
		enter(d, form[i & 1], form[i >> 1], &g);
	return ret;
}

static void put_side(struct ct_tuple *t, const struct ct_view_side *s, int family, bool inverse)
{
	memcpy(inverse ? t->daddr : t->saddr, s->src, family == 6 ? 16 : 4);
	memcpy(inverse ? t->saddr : t->daddr, s->dst, family == 6 ? 16 : 4);
	t->sport = htons(inverse ? s->dport : s->sport);
	t->dport = htons(inverse ? s->sport : s->dport);
}

int expect_gre_adopt(struct ctd *d, const struct ct_flow *flow)
{
	struct ct_view_clock clock = {.hz = d->core.pins.settings->hz};
	struct ct_label_key conn;
	struct ct_view v;
	int dir, ret;

	ct_view_fill(&v, flow, &clock);
	if (v.proto != IPPROTO_GRE || (!v.side[CT_ORIG].sport && !v.side[CT_ORIG].dport))
		return 0;
	ret = expect_name(d, flow, &conn);
	for (dir = CT_ORIG; dir <= CT_REPLY && !ret; dir++) {
		struct alg_expect x = {0};

		x.tuple.proto = v.proto;
		x.tuple.family = v.family;
		x.tuple.zone = v.zone;
		x.nat = x.tuple;
		put_side(&x.tuple, &v.side[dir], v.family, false);
		put_side(&x.nat, &v.side[!dir], v.family, true);
		ret = expect_gre_put(d, &conn, &x);
	}
	return ret;
}

void expect_gre_let(struct ctd *d, const struct ct_label_key *master, const uint32_t *group)
{
	struct expect_gre *e = d->expect_gre;
	unsigned int i;

	for (i = e->n; i-- > 0;)
		if (same_conn(&e->v[i].master, master) && (!group || e->v[i].group == *group))
			drop(d, &e->v[i]);
}

void expect_gre_sweep(struct ctd *d)
{
	struct expect_gre *e = d->expect_gre;
	unsigned int i;

	for (i = 0; i < SWEEP && e->n; i++) {
		if (e->at >= e->n)
			e->at = 0;
		if (expect_alive(d, &e->v[e->at].master))
			e->at++;
		else
			drop(d, &e->v[e->at]);
		if (i >= e->n)
			break;
	}
}

int expect_gre_start(struct ctd *d)
{
	struct expect_gre *e = calloc(1, sizeof(*e));
	int fd = d->core.pins.gre_fd, ret = 0;
	struct ct_tuple at, next;
	struct ct_gre g;
	bool more;

	if (!e)
		return -ENOMEM;
	d->expect_gre = e;
	more = !bpf_map_get_next_key(fd, NULL, &next);
	while (more && !ret) {
		at = next;
		more = !bpf_map_get_next_key(fd, &at, &next);
		if (!bpf_map_lookup_elem(fd, &at, &g))
			ret = remember(e, &at, &g);
	}
	return ret;
}

void expect_gre_stop(struct ctd *d)
{
	if (!d->expect_gre)
		return;
	free(d->expect_gre->v);
	free(d->expect_gre);
	d->expect_gre = NULL;
}
