/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_TESTS_TCP_PAYLOAD_H
#define BPFCT_TESTS_TCP_PAYLOAD_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* Bytes of TCP payload from or to this port (host byte order); IPv4 without options, on Ethernet.
 */
static __always_inline unsigned int tcp_payload(struct __sk_buff *skb, unsigned int port)
{
	struct iphdr ip;
	struct tcphdr tcp;
	unsigned int headers, len;

	if (skb->protocol != bpf_htons(ETH_P_IP) ||
	    bpf_skb_load_bytes(skb, ETH_HLEN, &ip, sizeof(ip)) || ip.protocol != IPPROTO_TCP ||
	    bpf_skb_load_bytes(skb, ETH_HLEN + sizeof(ip), &tcp, sizeof(tcp)))
		return 0;
	if (tcp.source != bpf_htons(port) && tcp.dest != bpf_htons(port))
		return 0;
	headers = sizeof(ip) + tcp.doff * 4;
	len = bpf_ntohs(ip.tot_len);
	return len > headers ? len - headers : 0;
}

#endif
