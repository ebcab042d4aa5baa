/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_FW_JUDGE_H
#define BPFCT_FW_JUDGE_H

#include "fw_conf.h"

/* A connection to the router itself, that a host would open now. */
struct fw_ask {
	uint32_t in_ifindex;
	uint8_t family; /* 4 or 6 */
	uint8_t proto;	/* with ports */
	__be32 saddr[4];
	__be32 daddr[4];
	uint16_t sport; /* host byte order */
	uint16_t dport;
};

/*
 * Would these rules let it in? As fw_policy.h judges in the datapath, by what can
 * be told from the rules alone. *number: of the rule that decides, 0: the default;
 * a rule that would hand it to another host or port lets nobody in to the router.
 */
bool fw_rules_admit(const struct fw_rules *rules, const struct fw_ask *ask, uint32_t *number);

#endif
