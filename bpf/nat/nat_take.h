/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_NAT_TAKE_H
#define BPFCT_NAT_TAKE_H

#include "nat_use.h"

/*
 * A lease is taken by fetch-and-add on the ring's head and exchange of the slot
 * with 0: two CPUs never get the same, and the cost is the same whether the pool
 * is empty or full. See struct nat_head for what ctd does at the other end.
 */
#define NAT_STEALS 7 /* other CPUs' rings that are looked at when our own is empty */

/* Tells ctd that a pool's rings run low: once, until it has filled them. */
static __always_inline void nat_ask(struct nat_pool *p, __u32 pool, __u32 cpu, __u32 now)
{
	struct nat_need *need;

	if (*(volatile __u32 *)&p->asked || __sync_val_compare_and_swap(&p->asked, 0, 1))
		return;
	need = bpf_ringbuf_reserve(&nat_need_v1, sizeof(*need), 0);
	if (!need) {
		/* ctd polls as well. */
		*(volatile __u32 *)&p->asked = 0;
		return;
	}
	__builtin_memset(need, 0, sizeof(*need));
	need->kind = NAT_NEED_PORTS;
	need->pool = pool;
	need->cpu = cpu;
	need->tick = now;
	bpf_ringbuf_submit(need, 0);
}

/* A slot's word, or 0: the ring is empty. *left: slots that are filled after it. */
static __always_inline __u32 nat_take_ring(const struct nat_pool *p, __u32 ring, __s32 *left)
{
	__u32 index = p->head_base + ring, at, *slot;
	struct nat_head *h = bpf_map_lookup_elem(&nat_head_v1, &index);

	*left = 0;
	if (!h || (__s32)(*(volatile __u32 *)&h->tail - *(volatile __u32 *)&h->head) <= 0)
		return 0;
	at = __sync_fetch_and_add(&h->head, 1);
	*left = *(volatile __u32 *)&h->tail - at - 1;
	/* Beyond the tail, when another took the last: ctd may be filling this very
	 * slot, and no head will come by again, so look all the same. */
	slot = nat_word(&nat_ring_v1,
			p->ring_base + ring * p->ring_size + (at & (p->ring_size - 1)));
	return slot ? __sync_lock_test_and_set(slot, 0) : 0;
}

/* What nat_take() answers: 0: nothing leased, else a slot's word | path << 24. */
#define nat_taken_port(v) ((__u16)(v))
#define nat_taken_path(v) (((v) >> 24) & 0x7f)

/* A lease of the pool: from this CPU's ring, else from another's. odd: which of
 * the two rings a CPU has where parity counts. */
__noinline int nat_take(__u32 pool, __u32 odd)
{
	const struct ct_settings *set = ct_settings();
	struct nat_pool *p = nat_pool(pool);
	__u32 cpu = bpf_get_smp_processor_id(), step, first, ring, i, word;
	__s32 left;

	if (!p || !set || !p->ring_size || !p->rings)
		return 0;
	step = p->flags & NAT_POOL_PARITY ? 2 : 1;
	first = ring = cpu * step + (step == 2 ? odd & 1 : 0);
	if (ring >= p->rings)
		return 0;
	word = nat_take_ring(p, ring, &left);
	if (left < (__s32)p->low_water)
		nat_ask(p, pool, cpu, ct_now(set));
	if (word)
		return word | NAT_PATH_LEASED << 24;
	for (i = 0; i < NAT_STEALS; i++) {
		ring += step;
		if (ring >= p->rings)
			ring = step == 2 ? odd & 1 : 0;
		if (ring == first)
			break;
		word = nat_take_ring(p, ring, &left);
		if (word)
			return word | NAT_PATH_STOLEN << 24;
	}
	return 0;
}

#endif
