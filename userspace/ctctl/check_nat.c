// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* I2: the uses of each port that BPF counts are the stubs and bindings that are there. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <bpf/bpf.h>

#include "../lib/nat_maps.h"
#include "check.h"

#define BATCH 4096

struct walk {
	const struct nat_maps *m;
	uint32_t *count; /* [areas][NAT_AREA] */
};

static void count_port(struct walk *w, uint32_t pool, uint16_t port)
{
	uint32_t area;

	if (!pool || pool >= w->m->pools || !w->m->pool[pool].family)
		return;
	area = w->m->pool[pool].use_base / NAT_AREA;
	if (area < w->m->areas)
		w->count[(size_t)area * NAT_AREA + port]++;
}

static void count_stub(struct walk *w, const struct ct_stub *s)
{
	count_port(w, nat_ref_pool(s->nat), nat_ref_port(s->nat));
	count_port(w, nat_ref_pool(s->nat_in), nat_ref_port(s->nat_in));
}

static void count_stub4(struct walk *w, const void *key, const void *value)
{
	(void)key;
	count_stub(w, &((const struct ct_stub4 *)value)->s);
}

static void count_stub6(struct walk *w, const void *key, const void *value)
{
	(void)key;
	count_stub(w, &((const struct ct_stub6 *)value)->s);
}

static void count_bound(struct walk *w, const void *key, const void *value)
{
	const struct nat_bound *b = value;

	if ((__u32)b->word != NAT_BOUND_DEAD)
		count_port(w, b->pool, ntohs(((const struct nat_bound_key *)key)->port));
}

static void count_xport(struct walk *w, const void *key, const void *value)
{
	const struct ct_xport *x = value;

	(void)key;
	count_port(w, nat_ref_pool(x->nat_ref), nat_ref_port(x->nat_ref));
}

static int walk_map(struct walk *w, int fd, size_t ksize, size_t vsize,
		    void (*fn)(struct walk *w, const void *key, const void *value))
{
	char *keys = malloc(BATCH * ksize), *values = malloc(BATCH * vsize);
	__u32 at[16] = {0}, n, i;
	bool first = true, last = false;
	int ret = keys && values ? 0 : -ENOMEM;

	while (!ret && !last) {
		n = BATCH;
		last = bpf_map_lookup_batch(fd, first ? NULL : at, at, keys, values, &n, NULL);
		if (last && errno != ENOENT)
			ret = -errno;
		first = false;
		for (i = 0; !ret && i < n; i++)
			fn(w, keys + i * ksize, values + i * vsize);
	}
	free(keys);
	free(values);
	return ret;
}

static int compare_pool(const struct walk *w, uint32_t index, struct check_findings *out)
{
	const struct nat_pool *p = &w->m->pool[index];
	const uint32_t *use = nat_maps_use(w->m, index);
	const uint32_t *count = w->count + p->use_base;
	int ret = 0;

	for (uint32_t i = 0; i <= (uint32_t)p->port_max - p->port_min && !ret; i++) {
		uint32_t uses = nat_uses(__atomic_load_n(&use[i], __ATOMIC_RELAXED));
		struct check_finding f = {.kind = CHECK_USE,
					  .family = p->family,
					  .gen = uses - count[i],
					  .walk = count[i],
					  .count = uses};

		if (uses == count[i])
			continue;
		memcpy(f.key.addr[0], p->addr, sizeof(p->addr));
		f.key.port[0] = htons(p->port_min + i);
		f.key.proto = p->class;
		ret = check_add(out, &f);
	}
	return ret;
}

/* A port of one pool lies in one ring at most: whoever takes it has it alone. */
static int check_leases(const struct nat_maps *m, uint32_t index, struct check_findings *out)
{
	const struct nat_pool *p = &m->pool[index];
	const uint32_t *slot = m->ring + p->ring_base;
	uint8_t *seen = calloc(65536, 1);
	int ret = seen ? 0 : -ENOMEM;

	for (uint32_t i = 0; i < p->rings * p->ring_size && !ret; i++) {
		uint32_t word = __atomic_load_n(&slot[i], __ATOMIC_RELAXED);
		uint16_t port = word & 0xffff;
		struct check_finding f = {.kind = CHECK_LEASE, .family = p->family};

		if (!word || (!seen[port]++ && port >= p->port_min && port <= p->port_max))
			continue;
		f.walk = seen[port];
		memcpy(f.key.addr[0], p->addr, sizeof(p->addr));
		f.key.port[0] = htons(port);
		f.key.proto = p->class;
		ret = check_add(out, &f);
	}
	free(seen);
	return ret;
}

int check_nat(struct bpfct_pins *p, struct check_findings *out)
{
	struct nat_maps m;
	struct walk w = {.m = &m};
	int ret = nat_maps_open(&m, p, false);
	uint32_t i;

	if (!ret) {
		w.count = calloc((size_t)m.areas * NAT_AREA, sizeof(*w.count));
		ret = w.count ? 0 : -ENOMEM;
	}
	if (!ret)
		ret = walk_map(&w, p->stub_fd[0], sizeof(struct ct_key4), sizeof(struct ct_stub4),
			       count_stub4);
	if (!ret)
		ret = walk_map(&w, p->stub_fd[1], sizeof(__u64), sizeof(struct ct_stub6),
			       count_stub6);
	if (!ret)
		ret = walk_map(&w, p->nat_bound_fd, sizeof(struct nat_bound_key),
			       sizeof(struct nat_bound), count_bound);
	if (!ret)
		ret = walk_map(&w, p->xport_fd, sizeof(struct ct_xport_key),
			       sizeof(struct ct_xport), count_xport);
	for (i = 1; i < m.pools && !ret; i++)
		if (m.pool[i].family) {
			ret = compare_pool(&w, i, out);
			if (!ret)
				ret = check_leases(&m, i, out);
		}
	free(w.count);
	nat_maps_close(&m);
	return ret;
}
