// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Beside the firewall's programs at both hooks: gives what arrives from a wire the priority 3, and
 * lets no TCP payload of port 2100 leave that has another.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#include "tcp_payload.h"

#define PRIORITY 3

SEC("tc")
int priority(struct __sk_buff *skb)
{
	if (skb->ifindex != skb->ingress_ifindex)
		return tcp_payload(skb, 2100) && skb->priority != PRIORITY ? TC_ACT_SHOT
									   : TC_ACT_UNSPEC;
	if (!skb->mark) /* ctd's are marked, and come in by the same hook */
		skb->priority = PRIORITY;
	return TC_ACT_UNSPEC;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
