/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_FW_WORK_H
#define BPFCT_FW_WORK_H

#include <linux/pkt_cls.h>

#include "../../bpf/ct_path.h"
#include "../../bpf/frag/frag_hold.h"
#include "fw_forward.h"
#include "fw_mss.h"
#include "fw_policy.h"

/* What the programs of both hooks work with, and how they let a packet go. */

/* The packet goes on: to the next program or filter of this hook, whoever's it
 * is, then to the stack. TC_ACT_OK would end the hook and keep the clsact
 * filters of others from everything that TCX programs let pass. */
#define FW_NEXT TC_ACT_UNSPEC

struct fw_work {
	struct fw_hop hop;
	struct fw_verdict verdict;
	struct ct_tuple arrived; /* the packet's own, while its tuple is what it will be */
	struct ct_tuple midway;	 /* fw_midway.h */
	struct ct_tuple sent;
};
CT_SCRATCH_FITS(struct fw_work);

static __always_inline struct fw_work *fw_work(void)
{
	return ct_scratch(CT_SCRATCH_CONSUMER);
}

static __always_inline int fw_drop(int v)
{
	ct_drop(-v);
	ct_stat(CT_STAT_DROP);
	return TC_ACT_SHOT;
}

/* As fw_drop(), of a packet that may stand for a whole datagram. */
static __always_inline int fw_drop_all(const struct ct_work *w, int v)
{
	if (w->pkt.flags & CT_PKT_GATHERED)
		frag_discard(&w->pkt, -v);
	return fw_drop(v);
}

/* The half in force; NULL cannot happen. */
static __always_inline const struct fw_half *fw_rules_now(void)
{
	__u32 half;

	return fw_active(&half);
}

/* Has a network that the rules name changed, and ctd not compiled them since? With ctd dead
 * the old ones have to do. */
static __always_inline int fw_rules_late(void)
{
	const struct fw_late *ctd = fw_late(FW_LATE_CTD), *watch = fw_late(FW_LATE_WATCH);
	const struct ct_settings *set = ct_settings();

	return ctd && watch && set && (__s32)(watch->nets - ctd->changes) > 0 &&
	       ct_ctd_listens(set);
}

/* A SYN that `set mss clamp` is about; of other packets the flags are all that is looked
 * at. */
static __always_inline int fw_to_clamp(const struct ct_pkt *pkt)
{
	const struct fw_half *half;

	if (!fw_is_syn(pkt))
		return 0;
	half = fw_rules_now();
	return half && half->mss_clamp;
}

#endif
