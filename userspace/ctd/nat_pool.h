/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTD_NAT_POOL_H
#define BPFCT_CTD_NAT_POOL_H

#include "../lib/nat_alloc.h"
#include "../lib/nat_maps.h"
#include "nat.h"

#include <event2/event.h>
#include <bpf/libbpf.h>

/* What ctd alone knows of a pool. */
struct nat_own {
	bool live;	  /* NAT_POOL_LIVE: rings are ours to fill */
	bool made;	  /* by the plan that is not settled yet */
	uint32_t retired; /* time (8 ticks); its index waits for the last use to end */
	uint32_t *shadow; /* slot by slot: what we put there and have not seen taken */
	uint64_t churn;	  /* sum of its heads' counters when we last looked */
	struct nat_alloc alloc;
	/* refusals, for the log: nat_icmp.c */
	uint64_t refused;
	uint64_t *block_used; /* nat_block.c: blocks that are logged as in use, a bit each */
};

struct nat {
	struct nat_maps m;
	uint32_t cpus; /* possible ones */
	uint16_t hold; /* 8 ticks */
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

/* Vacates retired pools that nothing refers to any more. */
void nat_pools_retired(struct ctd *d);

/* What a former ctd of this instance has made is ours now. 0 or -errno. */
int nat_pools_adopt(struct ctd *d);

void nat_own_free(struct nat_own *own);

/* Hold-down and grace time for pools made from now on. */
void nat_set_hold(struct nat *n, uint32_t hz, uint32_t secs);

/* nat_lease.c: takes over what lies in a pool's rings; fills them; takes back all. */
void nat_lease_adopt(struct ctd *d, uint32_t index);
void nat_lease_fill(struct ctd *d, uint32_t index);
void nat_lease_empty(struct ctd *d, uint32_t index);
int nat_lease_run(struct ctd *d);
void nat_lease_stop(struct ctd *d);

#endif
