// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* A server that answers every IPv4 UDP datagram to port 7 with itself, whatever address
 * it is for: in BPF, as a million connections are too many for one in user space. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

SEC("tc")
int reflect(struct __sk_buff *ctx)
{
	struct ethhdr *eth = (void *)(long)ctx->data, mac;
	struct iphdr *ip = (void *)(eth + 1);
	struct udphdr *udp = (void *)(ip + 1);
	__be32 addr;
	__be16 port;

	if ((void *)(udp + 1) > (void *)(long)ctx->data_end ||
	    eth->h_proto != bpf_htons(ETH_P_IP) || ip->ihl != 5 || ip->protocol != IPPROTO_UDP ||
	    udp->dest != bpf_htons(7))
		return TC_ACT_OK;
	__builtin_memcpy(&mac, eth, sizeof(mac));
	__builtin_memcpy(eth->h_dest, mac.h_source, ETH_ALEN);
	__builtin_memcpy(eth->h_source, mac.h_dest, ETH_ALEN);
	/* sums stay right: all is only swapped */
	addr = ip->saddr;
	ip->saddr = ip->daddr;
	ip->daddr = addr;
	port = udp->source;
	udp->source = udp->dest;
	udp->dest = port;
	return bpf_redirect(ctx->ifindex, 0);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
