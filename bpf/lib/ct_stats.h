/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_LIB_CT_STATS_H
#define BPFCT_LIB_CT_STATS_H

#include "../ct/ct_maps.h"

/* Counters are per CPU; programs on one CPU do not interrupt each other except
 * softirq over process context, where one increment in billions may be lost. */
static __always_inline void ct_stat(__u32 stat)
{
	__u64 *n = bpf_map_lookup_elem(&ct_stat_v1, &stat);

	if (n)
		*n += 1;
}

static __always_inline void ct_stat_add(__u32 stat, __u64 by)
{
	__u64 *n = bpf_map_lookup_elem(&ct_stat_v1, &stat);

	if (n)
		*n += by;
}

/* Counts a drop reason (positive enum ct_drop) and returns it negated. */
static __always_inline int ct_drop(__u32 reason)
{
	__u64 *n = bpf_map_lookup_elem(&ct_drop_v1, &reason);

	if (n)
		*n += 1;
	return -(int)reason;
}

/* Of what a stage returned: is it a reason that makes a packet INVALID? */
static __always_inline int ct_drop_is_invalid(int v)
{
#define X(name, text, cls, meaning)                                                                \
	if (CT_DROP_##cls == CT_DROP_INVALID && v == -CT_DROP_##name)                              \
		return 1;
	CT_DROP_REASONS(X)
#undef X
	return 0;
}

#endif
