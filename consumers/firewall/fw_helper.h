/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_FW_HELPER_H
#define BPFCT_FW_HELPER_H

#include <linux/in.h>

#include "fw_policy.h"

#define FW_LOOPBACK                                                                                \
	1 /* ifindex of lo in any namespace: `alg NAME on lo` is about the router's own */

static __always_inline __u32 fw_helper_at(const struct ct_pkt *pkt, __be16 port, __u32 in)
{
	struct fw_alg_key key = {.ifindex = in, .port = port, .proto = pkt->tuple.proto};
	const struct fw_half *now;
	const struct fw_alg *alg = bpf_map_lookup_elem(&fw_alg_v1, &key);
	__u32 half;

	if (!alg)
		return 0;
	now = fw_active(&half);
	if (now)
		fw_hit(half, alg->number, pkt->len);
	return alg->helper;
}

/* The helper that `alg` rules give to a connection which begins with this packet and arrives
 * by interface `in`; dport is the port that the sender knows, which may be translated. */
__noinline __u32 fw_helper(const struct ct_pkt *pkt, __be16 dport, __u32 in)
{
	__u32 helper;

	if (!pkt || (pkt->tuple.proto != IPPROTO_TCP && pkt->tuple.proto != IPPROTO_UDP))
		return 0;
	helper = fw_helper_at(pkt, dport, in);
	if (!helper && pkt->tuple.dport != dport)
		helper = fw_helper_at(pkt, pkt->tuple.dport, in);
	return helper;
}

#endif
