/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_LIB_CT_CLOCK_H
#define BPFCT_LIB_CT_CLOCK_H

#include "../ct/ct_maps.h"

/*
 * Time is counted in ticks of 32 jiffies (32 ms at HZ 1000, 128 ms at 250), cut
 * to 32 bits: 4 years to the wrap at HZ 1000, and half of that before "later"
 * turns into "earlier". jiffies64 costs 1 ns and is allowed in every program
 * type; the coarse clock is refused in syscall programs and iterators.
 */
#define CT_TICK_SHIFT 5

static __always_inline __u32 ct_now(const struct ct_settings *set)
{
	return (bpf_jiffies64() + set->clock_offset) >> CT_TICK_SHIFT;
}

/* Seconds to ticks, rounded up, so that a time-out is never short. */
static __always_inline __u32 ct_ticks(const struct ct_settings *set, __u32 secs)
{
	return ((__u64)secs * set->hz + (1 << CT_TICK_SHIFT) - 1) >> CT_TICK_SHIFT;
}

/* Without a sign of life for this long ctd is taken for dead. */
#define CT_HEARTBEAT_SECS 5

static __always_inline int ct_ctd_alive(const struct ct_settings *set)
{
	return (__u32)bpf_jiffies64() - set->heartbeat < CT_HEARTBEAT_SECS * set->hz;
}

/* Is there a ctd whose sockets the kernel tells of changes? Of one that is stopped or hangs they
 * work on; with one that was killed they go, and the kernel marks that first. */
static __always_inline int ct_ctd_listens(const struct ct_settings *set)
{
	return ct_ctd_alive(set) && !(*(volatile __u32 *)&set->ctd & CT_CTD_DIED);
}

static __always_inline int ct_before(__u32 a, __u32 b)
{
	return (__s32)(a - b) < 0;
}

static __always_inline __u32 ct_timeout_secs(__u32 policy, __u32 which)
{
	struct ct_timeouts *t;

	policy &= 0xff;
	t = bpf_map_lookup_elem(&ct_timeout_v1, &policy);
	if (!t)
		return 30;
	return t->secs[which & 31];
}

#endif
