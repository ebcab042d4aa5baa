// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "nat.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/libbpf.h>

#include "nat_flush.h"
#include "nat_icmp.h"
#include "nat_pool.h"
#include "nat_reconcile.h"
#include "nat_reserve.h"
#include "rules.h"

int nat_start(struct ctd *d)
{
	struct nat *n = calloc(1, sizeof(*n));
	int ret, cpus = libbpf_num_possible_cpus();

	if (!n)
		return -ENOMEM;
	d->nat = n;
	n->cpus = cpus > 0 ? cpus : 1;
	ret = nat_maps_open(&n->m, &d->core.pins, true);
	if (!ret) {
		n->own = calloc(n->m.pools, sizeof(*n->own));
		n->tried = calloc(n->m.pools, sizeof(*n->tried));
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
	uint32_t i;

	if (!n)
		return;
	nat_flush_stop(d);
	nat_icmp_stop(d);
	nat_reconcile_stop(d);
	nat_reserve_stop(d);
	nat_lease_stop(d);
	for (i = 1; n->own && i < n->m.pools; i++)
		nat_own_free(&n->own[i]); /* the pool itself stays, and serves */
	nat_maps_close(&n->m);
	free(n->own);
	free(n->tried);
	free(n);
	d->nat = NULL;
}
