/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTD_NAT_POOL_H
#define BPFCT_CTD_NAT_POOL_H

#include "../lib/nat_alloc.h"
#include "nat.h"

#include <event2/event.h>
#include <bpf/libbpf.h>

/* Ports of one external address and class, all 65,536: a part of nat_use_v1. Pools
 * of the same address and class share one, so that a pool that replaces another
 * (new options, other neighbours) knows the uses that are there. */
#define NAT_AREA 65536

/* What ctd alone knows of a pool. */
struct nat_own {
	bool live;	  /* NAT_POOL_LIVE: rings are ours to fill */
	bool made;	  /* by the plan that is not settled yet */
	uint32_t plan;	  /* the last plan that named it */
	uint32_t retired; /* time (8 ticks); its index waits for the last use to end */
	uint32_t *shadow; /* slot by slot: what we put there and have not seen taken */
	uint64_t churn;	  /* sum of its heads' counters when we last looked */
	struct nat_alloc alloc;
	/* refusals, for the log: nat_icmp.c */
	uint64_t refused;
	uint64_t *block_used; /* nat_block.c: blocks that are logged as in use, a bit each */
};

struct nat {
	struct nat_config *config;
	struct nat_pool *pool;
	struct nat_head *head;
	uint32_t *ring;
	uint32_t *use;
	struct nat_reserved *reserved;
	size_t len[6];	    /* of these mappings */
	uint32_t pools;	    /* entries of nat_pool_v1 */
	uint32_t areas;	    /* of nat_use_v1 */
	uint32_t ring_room; /* slots of nat_ring_v1 for each pool */
	uint32_t heads;	    /* of nat_head_v1 for each pool */
	uint32_t cpus;	    /* possible ones */
	uint16_t hold;	    /* 8 ticks */
	uint16_t grace;
	uint32_t plan;
	uint32_t *tried; /* by pool: the plan that has it in mind */
	struct nat_own *own;
	struct event *poll;
	uint32_t poll_at; /* pool that comes next */
	struct ring_buffer *need;
	struct event *need_ready;
	struct nat_reserve *reserve;
	struct nat_reconcile *reconcile;
	struct nat_icmp *icmp;
	struct nat_flush *flush;
	unsigned int random_left;
	uint32_t random[256];
};

/* The clock of nat_use_v1: 8 ticks. */
uint32_t nat_now(struct ctd *d);

/* Words of nat_use_v1, from port_min's on. */
static inline uint32_t *nat_use_of(const struct nat *n, uint32_t index)
{
	return n->use + n->pool[index].use_base;
}

/* Vacates retired pools that nothing refers to any more. */
void nat_pools_retired(struct ctd *d);

/* What a former ctd of this instance has made is ours now. 0 or -errno. */
int nat_pools_adopt(struct ctd *d);

void nat_own_free(struct nat_own *own);

/* Hold-down and grace time for pools made from now on. */
void nat_set_hold(struct nat *n, uint32_t hz, uint32_t secs);

/* Not over yet: tuples or bindings refer to it. */
bool nat_pool_in_use(const struct nat *n, uint32_t index);

/* The ports that this pool must not hand out. */
const struct nat_reserved *nat_pool_reserved(const struct nat *n, uint32_t index);

/* nat_lease.c: takes over what lies in a pool's rings; fills them; takes back all. */
void nat_lease_adopt(struct ctd *d, uint32_t index);
void nat_lease_fill(struct ctd *d, uint32_t index);
void nat_lease_empty(struct ctd *d, uint32_t index);
int nat_lease_run(struct ctd *d);
void nat_lease_stop(struct ctd *d);

#endif
