// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* A server that answers every UDP datagram to port 7 with itself, whatever address
 * it is for: in BPF, as a million connections are too many for one in user space. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* Sums stay right: all is only swapped. */
static __always_inline void swap(void *a, void *b, __u32 len)
{
	__u8 kept[16];

	__builtin_memcpy(kept, a, len);
	__builtin_memcpy(a, b, len);
	__builtin_memcpy(b, kept, len);
}

SEC("tc")
int reflect(struct __sk_buff *ctx)
{
	struct ethhdr *eth = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	struct iphdr *ip = (void *)(eth + 1);
	struct ipv6hdr *ip6 = (void *)(eth + 1);
	struct udphdr *udp = (void *)(ip + 1);

	if ((void *)(udp + 1) > end)
		return TC_ACT_OK;
	if (eth->h_proto == bpf_htons(ETH_P_IPV6)) {
		udp = (void *)(ip6 + 1);
		if ((void *)(udp + 1) > end || ip6->nexthdr != IPPROTO_UDP ||
		    udp->dest != bpf_htons(7))
			return TC_ACT_OK;
		swap(&ip6->saddr, &ip6->daddr, sizeof(ip6->saddr));
	} else {
		if (eth->h_proto != bpf_htons(ETH_P_IP) || ip->ihl != 5 ||
		    ip->protocol != IPPROTO_UDP || udp->dest != bpf_htons(7))
			return TC_ACT_OK;
		swap(&ip->saddr, &ip->daddr, sizeof(ip->saddr));
	}
	swap(&udp->source, &udp->dest, sizeof(udp->source));
	swap(eth->h_dest, eth->h_source, ETH_ALEN);
	return bpf_redirect(ctx->ifindex, 0);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
