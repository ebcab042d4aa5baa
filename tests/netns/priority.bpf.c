// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Beside the firewall's programs at both hooks: gives what arrives from a wire the priority 3, and
 * lets no TCP payload of port 2100 leave that has another.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define PRIORITY 3

static int payload(struct __sk_buff *skb)
{
	struct iphdr ip;
	struct tcphdr tcp;

	if (skb->protocol != bpf_htons(ETH_P_IP) ||
	    bpf_skb_load_bytes(skb, ETH_HLEN, &ip, sizeof(ip)) || ip.protocol != 6 ||
	    bpf_skb_load_bytes(skb, ETH_HLEN + sizeof(ip), &tcp, sizeof(tcp)))
		return 0;
	if (tcp.source != bpf_htons(2100) && tcp.dest != bpf_htons(2100))
		return 0;
	return bpf_ntohs(ip.tot_len) > sizeof(ip) + tcp.doff * 4;
}

SEC("tc")
int priority(struct __sk_buff *skb)
{
	if (skb->ifindex != skb->ingress_ifindex)
		return payload(skb) && skb->priority != PRIORITY ? TC_ACT_SHOT : TC_ACT_UNSPEC;
	if (!skb->mark) /* ctd's are marked, and come in by the same hook */
		skb->priority = PRIORITY;
	return TC_ACT_UNSPEC;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
