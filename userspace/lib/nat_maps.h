/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_LIB_NAT_MAPS_H
#define BPFCT_LIB_NAT_MAPS_H

#include "pins.h"

/* Ports of one external address and class, all 65,536: a part of nat_use_v1. Pools
 * of the same address and class share one, so that a pool that replaces another
 * (new options, other neighbours) knows the uses that are there. */
#define NAT_AREA 65536

/* The arrays of nat_abi.h, mapped. */
struct nat_maps {
	struct nat_config *config;
	struct nat_pool *pool;
	struct nat_head *head;
	uint32_t *ring;
	uint32_t *use;
	struct nat_reserved *reserved; /* [2 * NAT_CLASSES] */
	uint32_t pools;		       /* entries of nat_pool_v1; 0 is none of them */
	uint32_t areas;		       /* of nat_use_v1 */
	uint32_t ring_room;	       /* slots of nat_ring_v1 for each pool */
	uint32_t heads;		       /* of nat_head_v1 for each pool */
	size_t len[6];
};

/* 0 or -errno; close in both cases. */
int nat_maps_open(struct nat_maps *m, const struct bpfct_pins *p, bool writable);
void nat_maps_close(struct nat_maps *m);

/* A pool's words of nat_use_v1, from port_min's on. */
static inline uint32_t *nat_maps_use(const struct nat_maps *m, uint32_t index)
{
	return m->use + m->pool[index].use_base;
}

/* Tuples that refer to a pool: claimed less given back, over its heads. */
uint64_t nat_maps_tuples(const struct nat_maps *m, uint32_t index);

/* What is kept out of a pool. */
static inline const struct nat_reserved *nat_maps_reserved(const struct nat_maps *m, uint32_t index)
{
	const struct nat_pool *p = &m->pool[index];

	return &m->reserved[p->class + (p->flags & NAT_POOL_LOCAL ? NAT_CLASSES : 0)];
}

#endif
