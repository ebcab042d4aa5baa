/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_FRAG_ADMIT_H
#define BPFCT_FRAG_ADMIT_H

#include "../abi/frag_abi.h"
#include "../lib/ct_pkt.h"
#include "../lib/ct_stats.h"

#define FRAG_WHOLE 0 /* a whole packet, or now the head of a whole datagram: go on */
#define FRAG_PASS  1 /* a fragment, and the setting passes those untracked */
#define FRAG_HOLD  2 /* a fragment to be held: frag_hold() on TC; XDP passes it up */

/* Stage 2. What `set fragments` says about this packet; whole ones cost one test. */
static __always_inline int frag_admit(const struct ct_pkt *pkt)
{
	const struct ct_settings *set = ct_settings();

	if (!(pkt->flags & CT_PKT_FRAGMENT))
		return FRAG_WHOLE;
	if (!set)
		return -CT_DROP_MAP_MISSING;
	switch (set->fragments[pkt->tuple.family == 6]) {
	case FRAG_MODE_REASSEMBLE:
		return FRAG_HOLD;
	case FRAG_MODE_PASS:
		ct_stat(CT_STAT_UNTRACKED);
		return FRAG_PASS;
	}
	return -CT_DROP_FRAGMENT;
}

#endif
