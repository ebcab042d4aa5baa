// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "nat.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "nat_flush.h"
#include "nat_icmp.h"
#include "nat_pool.h"
#include "nat_reconcile.h"
#include "nat_reserve.h"
#include "rules.h"

static int map_one(struct nat *n, int k, int fd, size_t size, void **out, uint32_t *entries)
{
	struct bpf_map_info info = {0};
	__u32 len = sizeof(info);
	void *m;

	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		return -errno;
	n->len[k] = ((size_t)info.max_entries * size + 4095) & ~4095ul;
	m = mmap(NULL, n->len[k], PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (m == MAP_FAILED)
		return -errno;
	*out = m;
	*entries = info.max_entries;
	return 0;
}

static int map_arrays(struct nat *n, const struct bpfct_pins *p)
{
	uint32_t one, heads, ring, use;
	int ret;

	ret = map_one(n, 0, p->nat_config_fd, sizeof(*n->config), (void **)&n->config, &one);
	if (!ret)
		ret = map_one(n, 1, p->nat_pool_fd, sizeof(*n->pool), (void **)&n->pool, &n->pools);
	if (!ret)
		ret = map_one(n, 2, p->nat_head_fd, sizeof(*n->head), (void **)&n->head, &heads);
	if (!ret)
		ret = map_one(n, 3, p->nat_ring_fd, sizeof(struct nat_chunk), (void **)&n->ring,
			      &ring);
	if (!ret)
		ret = map_one(n, 4, p->nat_use_fd, sizeof(struct nat_chunk), (void **)&n->use,
			      &use);
	if (!ret)
		ret = map_one(n, 5, p->nat_reserved_fd, sizeof(*n->reserved), (void **)&n->reserved,
			      &one);
	if (ret)
		return ret;
	n->heads = heads / n->pools;
	n->ring_room = (uint64_t)ring * NAT_CHUNK / n->pools;
	n->areas = (uint64_t)use * NAT_CHUNK / NAT_AREA;
	return 0;
}

int nat_start(struct ctd *d)
{
	struct nat *n = calloc(1, sizeof(*n));
	int ret, cpus = libbpf_num_possible_cpus();

	if (!n)
		return -ENOMEM;
	d->nat = n;
	n->cpus = cpus > 0 ? cpus : 1;
	ret = map_arrays(n, &d->core.pins);
	if (!ret) {
		n->own = calloc(n->pools, sizeof(*n->own));
		n->tried = calloc(n->pools, sizeof(*n->tried));
		if (!n->own || !n->tried)
			ret = -ENOMEM;
	}
	if (!ret) {
		nat_set_hold(n, d->core.pins.settings->hz, rules_settings(d)->nat_hold_down);
		ret = nat_reserve_start(d);
	}
	if (!ret)
		ret = nat_pools_adopt(d);
	if (ret)
		log_fail("cannot set up NAT: %s", strerror(-ret));
	return ret;
}

int nat_run(struct ctd *d)
{
	int ret = nat_lease_run(d);

	if (!ret)
		ret = nat_reserve_run(d);
	if (!ret)
		ret = nat_reconcile_run(d);
	if (!ret)
		ret = nat_icmp_run(d);
	if (!ret)
		ret = nat_flush_run(d);
	if (ret)
		log_fail("cannot run NAT: %s", strerror(-ret));
	return ret;
}

void nat_stop(struct ctd *d)
{
	struct nat *n = d->nat;
	void *map[6];
	uint32_t i;

	if (!n)
		return;
	nat_flush_stop(d);
	nat_icmp_stop(d);
	nat_reconcile_stop(d);
	nat_reserve_stop(d);
	nat_lease_stop(d);
	for (i = 1; n->own && i < n->pools; i++)
		nat_own_free(&n->own[i]); /* the pool itself stays, and serves */
	map[0] = n->config, map[1] = n->pool, map[2] = n->head;
	map[3] = n->ring, map[4] = n->use, map[5] = n->reserved;
	for (i = 0; i < 6; i++)
		if (map[i])
			munmap(map[i], n->len[i]);
	free(n->own);
	free(n->tried);
	free(n);
	d->nat = NULL;
}
