/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_NAT_SWEEP_H
#define BPFCT_NAT_SWEEP_H

#include "nat_bind.h"

/* What is over is dead to packets at once; these passes free its room and ports. */
#define NAT_SUB_IDLE_SECS 60

/* One binding: ends it when its time is over. */
static __always_inline void nat_visit_bound(const struct ct_settings *set,
					    const struct nat_bound_key *at,
					    const struct nat_bound *b)
{
	__u64 word = *(volatile const __u64 *)&b->word;

	if (nat_bound_over(b, word, ct_now(set)))
		nat_bound_end(at, nat_bound_gen(word));
}

/* One subscriber: forgotten after a minute without connections and ports. The mark
 * keeps a commit out that has found the entry before it goes. */
static __always_inline void nat_visit_sub(const struct ct_settings *set,
					  const struct nat_sub_key *at, struct nat_sub *sub)
{
	__u32 idle = ct_now(set) - *(volatile __u32 *)&sub->last;
	struct nat_sub_key key = *at;

	if (sub->ports || idle < ct_ticks(set, NAT_SUB_IDLE_SECS))
		return;
	if (__sync_val_compare_and_swap(&sub->states, 0, NAT_SUB_DEAD) == 0)
		bpf_map_delete_elem(&nat_sub_v1, &key);
}

#endif
