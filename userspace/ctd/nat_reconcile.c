// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * No ownership depends on a message: BPF counts the uses of each port where it claims
 * and where it removes. What could still go wrong (a stub that was deleted by hand, a
 * program of another version) is found here: all stubs and bindings are walked, a
 * slice at a time, and counted by port; a port whose word says otherwise in the same
 * way in three passes is put right. So is the number of stubs itself.
 */
#include "nat_reconcile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "expect_port.h"

#define BATCH	    4096 /* whole hash buckets at a time: few hold more than this in all */
#define PASS_SECS   20	 /* between two passes, three when something is to be confirmed */
#define AGAIN_SECS  3
#define CPU_SHARE   0.05
#define SEEN_REPAIR 3
#define FINDINGS    65536 /* remembered; a catastrophe takes several rounds */

enum { STUB4, STUB6, BOUND, TABLES };

/* area NO_AREA: of a pool, claimed - released of its heads; ALL_STUBS: ct_table.stubs. */
#define NO_AREA	  (~0u)
#define ALL_STUBS (~0u - 1)
struct finding {
	uint32_t area;
	uint32_t port;	/* of ALL_STUBS: 1 for IPv6 */
	int32_t excess; /* word less walk */
	uint32_t seen;
};

struct nat_reconcile {
	struct event *timer;
	uint32_t table;
	bool begun; /* `at` is valid */
	__u32 at[16];
	char *keys, *values;
	uint32_t **count;   /* by area, [NAT_AREA]; NULL: nothing there */
	uint32_t *pool;	    /* the same by pool */
	uint32_t stubs[2];  /* walked, by family */
	uint32_t before[2]; /* ct_table.stubs when the pass began */
	struct finding *old, *new;
	uint32_t olds, news;
	uint64_t repaired;
};

static uint32_t *counter(struct nat *n, uint32_t pool, uint32_t port)
{
	struct nat_reconcile *r = n->reconcile;
	uint32_t area;

	if (!pool || pool >= n->m.pools || !n->m.pool[pool].family)
		return NULL;
	area = n->m.pool[pool].use_base / NAT_AREA;
	if (area >= n->m.areas)
		return NULL;
	if (!r->count[area])
		r->count[area] = calloc(NAT_AREA, sizeof(uint32_t));
	return r->count[area] ? &r->count[area][port] : NULL;
}

static void count_use(struct nat *n, uint32_t pool, uint32_t port)
{
	uint32_t *c = counter(n, pool, port);

	if (!c)
		return;
	++*c;
	n->reconcile->pool[pool]++;
}

static void count_stub(struct nat *n, uint32_t nat, uint32_t nat_in)
{
	count_use(n, nat_ref_pool(nat), nat_ref_port(nat));
	count_use(n, nat_ref_pool(nat_in), nat_ref_port(nat_in));
}

static void count_entry(struct nat *n, uint32_t i)
{
	struct nat_reconcile *r = n->reconcile;
	const struct nat_bound_key *k;
	const struct nat_bound *b;
	const struct ct_stub4 *s4;
	const struct ct_stub6 *s6;

	switch (r->table) {
	case STUB4:
		s4 = &((struct ct_stub4 *)r->values)[i];
		r->stubs[0]++;
		count_stub(n, s4->s.nat, s4->s.nat_in);
		break;
	case STUB6:
		s6 = &((struct ct_stub6 *)r->values)[i];
		r->stubs[1]++;
		count_stub(n, s6->s.nat, s6->s.nat_in);
		break;
	default:
		k = &((struct nat_bound_key *)r->keys)[i];
		b = &((struct nat_bound *)r->values)[i];
		if ((__u32)b->word != NAT_BOUND_DEAD)
			count_use(n, b->pool, ntohs(k->port));
	}
}

/* A port that is set aside for expectations is one use. */
static void count_expected(uint32_t ref, void *arg)
{
	count_use(arg, nat_ref_pool(ref), nat_ref_port(ref));
}

/* One batch. False: this table is through. */
static bool walk(struct ctd *d)
{
	struct nat_reconcile *r = d->nat->reconcile;
	const struct bpfct_pins *p = &d->core.pins;
	const int fd[TABLES] = {p->stub_fd[0], p->stub_fd[1], p->nat_bound_fd};
	__u32 n = BATCH, i;
	int ret;

	ret = bpf_map_lookup_batch(fd[r->table], r->begun ? r->at : NULL, r->at, r->keys, r->values,
				   &n, NULL);
	if (ret && errno != ENOENT) {
		log_event(LOG_FAULT, "nat_reconcile", "error=\"%s\"", strerror(errno));
		return false;
	}
	r->begun = true;
	for (i = 0; i < n; i++)
		count_entry(d->nat, i);
	return !ret;
}

static int by_place(const void *a, const void *b)
{
	const struct finding *x = a, *y = b;

	if (x->area != y->area)
		return x->area < y->area ? -1 : 1;
	return x->port < y->port ? -1 : x->port > y->port;
}

static void find(struct nat_reconcile *r, uint32_t area, uint32_t port, int32_t excess)
{
	struct finding f = {area, port, excess, 1}, *o;

	if (r->news == FINDINGS)
		return;
	o = bsearch(&f, r->old, r->olds, sizeof(f), by_place);
	if (o && o->excess == excess)
		f.seen = o->seen + 1;
	r->new[r->news++] = f;
}

/* Pools of one address and class share an area; a port of both is looked at once. */
static bool earlier_has(const struct nat *n, uint32_t index, uint32_t port)
{
	uint32_t area = n->m.pool[index].use_base / NAT_AREA, i;

	for (i = 1; i < index; i++) {
		const struct nat_pool *p = &n->m.pool[i];

		if (p->family && p->use_base / NAT_AREA == area && port >= p->port_min &&
		    port <= p->port_max)
			return true;
	}
	return false;
}

static void compare_pool(struct nat *n, uint32_t index)
{
	const struct nat_pool *p = &n->m.pool[index];
	uint32_t area = p->use_base / NAT_AREA, port, uses, have;

	for (port = p->port_min; port <= p->port_max; port++) {
		uses = nat_uses(__atomic_load_n(&n->m.use[(size_t)area * NAT_AREA + port],
						__ATOMIC_RELAXED));
		have = n->reconcile->count[area] ? n->reconcile->count[area][port] : 0;
		if (uses != have && !earlier_has(n, index, port))
			find(n->reconcile, area, port, (int32_t)uses - (int32_t)have);
	}
}

static void compare_heads(struct nat *n, uint32_t index)
{
	const struct nat_head *h = &n->m.head[n->m.pool[index].head_base];
	int64_t sum = 0;
	uint32_t i;

	for (i = 0; i < n->m.heads; i++)
		sum += __atomic_load_n(&h[i].claimed, __ATOMIC_RELAXED) -
		       __atomic_load_n(&h[i].released, __ATOMIC_RELAXED);
	if (sum != n->reconcile->pool[index])
		find(n->reconcile, NO_AREA, index, sum - n->reconcile->pool[index]);
}

/* What the map evicts is counted down nowhere. */
static void compare_stubs(struct ctd *d, int six)
{
	struct nat_reconcile *r = d->nat->reconcile;
	uint32_t count = __atomic_load_n(&d->core.pins.table[six].stubs, __ATOMIC_RELAXED);

	/* Under traffic a walk may differ from any one moment. */
	if (count != r->stubs[six] && count == r->before[six])
		find(r, ALL_STUBS, six, (int32_t)(count - r->stubs[six]));
	r->stubs[six] = 0;
}

static void repair_port(struct ctd *d, const struct finding *f)
{
	struct nat *n = d->nat;
	uint32_t *word = &n->m.use[(size_t)f->area * NAT_AREA + f->port];
	uint32_t was = __atomic_load_n(word, __ATOMIC_RELAXED), with;
	int64_t uses;

	do {
		uses = (int64_t)nat_uses(was) - f->excess;
		if (uses < 0)
			return;
		with = uses ? (was & ~NAT_USES) | uses : nat_use_make(0, bpfct_now(&d->core.pins));
	} while (!__atomic_compare_exchange_n(word, &was, with, false, __ATOMIC_ACQ_REL,
					      __ATOMIC_RELAXED));
}

static void repair_one(struct ctd *d, const struct finding *f)
{
	struct nat *n = d->nat;

	switch (f->area) {
	case ALL_STUBS:
		log_event(LOG_TRACE, "nat_reconcile", "stubs=ipv%u excess=%d", f->port ? 6 : 4,
			  f->excess);
		__atomic_sub_fetch(&d->core.pins.table[f->port].stubs, f->excess, __ATOMIC_RELAXED);
		break;
	case NO_AREA:
		log_event(LOG_TRACE, "nat_reconcile", "pool=%u excess=%d", f->port, f->excess);
		__atomic_add_fetch(&n->m.head[n->m.pool[f->port].head_base].released,
				   (int64_t)f->excess, __ATOMIC_RELAXED);
		break;
	default:
		log_event(LOG_TRACE, "nat_reconcile", "area=%u port=%u excess=%d", f->area, f->port,
			  f->excess);
		repair_port(d, f);
	}
}

static void repair(struct ctd *d)
{
	struct nat *n = d->nat;
	struct nat_reconcile *r = n->reconcile;
	uint32_t i, done = 0;

	for (i = 0; i < r->news; i++) {
		const struct finding *f = &r->new[i];

		if (f->seen < SEEN_REPAIR)
			continue;
		repair_one(d, f);
		done++;
	}
	r->repaired += done;
	if (done)
		log_event(LOG_WARN, "nat_reconcile", "repaired=%u total=%llu", done,
			  (unsigned long long)r->repaired);
}

static void end_pass(struct ctd *d)
{
	struct nat *n = d->nat;
	struct nat_reconcile *r = n->reconcile;
	struct finding *swap;
	uint32_t i;

	r->news = 0;
	expect_port_each(d, count_expected, n);
	for (i = 1; i < n->m.pools; i++)
		if (n->m.pool[i].family)
			compare_pool(n, i);
	for (i = 1; i < n->m.pools; i++)
		if (n->m.pool[i].family)
			compare_heads(n, i);
	compare_stubs(d, 0);
	compare_stubs(d, 1);
	repair(d);
	swap = r->old, r->old = r->new, r->new = swap;
	r->olds = r->news;
	qsort(r->old, r->olds, sizeof(*r->old), by_place);
	for (i = 0; i < n->m.areas; i++)
		if (r->count[i])
			memset(r->count[i], 0, NAT_AREA * sizeof(uint32_t));
	memset(r->pool, 0, n->m.pools * sizeof(*r->pool));
	r->table = 0;
}

static double cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct ctd *d = arg;
	struct nat_reconcile *r = d->nat->reconcile;
	double began = cpu_seconds(), wait;
	struct timeval tv;
	int i;

	(void)fd;
	(void)what;
	for (i = 0; i < 2 && !r->table && !r->begun; i++)
		r->before[i] = __atomic_load_n(&d->core.pins.table[i].stubs, __ATOMIC_RELAXED);
	if (!walk(d)) {
		r->table++;
		r->begun = false;
	}
	if (r->table == TABLES) {
		end_pass(d);
		wait = r->olds ? AGAIN_SECS : PASS_SECS;
	} else {
		wait = (cpu_seconds() - began) / CPU_SHARE;
	}
	tv.tv_sec = (time_t)wait;
	tv.tv_usec = (wait - tv.tv_sec) * 1e6;
	evtimer_add(r->timer, &tv);
}

int nat_reconcile_run(struct ctd *d)
{
	struct nat_reconcile *r = calloc(1, sizeof(*r));
	struct timeval soon = {.tv_sec = 1};
	size_t value = sizeof(struct ct_stub6);

	if (!r)
		return -ENOMEM;
	d->nat->reconcile = r;
	if (value < sizeof(struct nat_bound))
		value = sizeof(struct nat_bound);
	r->keys = malloc(BATCH * sizeof(struct ct_key6));
	r->values = malloc(BATCH * value);
	r->count = calloc(d->nat->m.areas, sizeof(*r->count));
	r->pool = calloc(d->nat->m.pools, sizeof(*r->pool));
	r->old = calloc(FINDINGS, sizeof(*r->old));
	r->new = calloc(FINDINGS, sizeof(*r->new));
	r->timer = evtimer_new(d->base, on_timer, d);
	if (!r->keys || !r->values || !r->count || !r->pool || !r->old || !r->new || !r->timer ||
	    evtimer_add(r->timer, &soon))
		return -ENOMEM;
	return 0;
}

void nat_reconcile_stop(struct ctd *d)
{
	struct nat_reconcile *r = d->nat->reconcile;
	uint32_t i;

	if (!r)
		return;
	for (i = 0; r->count && i < d->nat->m.areas; i++)
		free(r->count[i]);
	if (r->timer)
		event_free(r->timer);
	free(r->keys);
	free(r->values);
	free(r->count);
	free(r->pool);
	free(r->old);
	free(r->new);
	free(r);
	d->nat->reconcile = NULL;
}
