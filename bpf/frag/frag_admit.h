/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_FRAG_ADMIT_H
#define BPFCT_FRAG_ADMIT_H

#include "../abi/frag_abi.h"
#include "../lib/ct_pkt.h"
#include "../lib/ct_stats.h"

#define FRAG_WHOLE 0 /* not a fragment: go on */
#define FRAG_PASS  1 /* a fragment, and the setting passes those untracked */

/* Stage 2. Reassembly is not here yet; `set fragments` decides. */
static __always_inline int frag_admit(const struct ct_pkt *pkt)
{
	const struct ct_settings *set = ct_settings();

	if (!(pkt->flags & CT_PKT_FRAGMENT))
		return FRAG_WHOLE;
	if (set && set->fragments[pkt->tuple.family == 6] == FRAG_MODE_PASS) {
		ct_stat(CT_STAT_UNTRACKED);
		return FRAG_PASS;
	}
	return -CT_DROP_FRAGMENT;
}

#endif
