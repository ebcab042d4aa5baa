// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Loses every fourth TCP segment that has payload: tests/netns/alg_ftp.sh. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} lossy_seen SEC(".maps");

SEC("tc")
int lossy(struct __sk_buff *skb)
{
	struct iphdr ip;
	struct tcphdr tcp;
	__u32 zero = 0;
	__u64 *seen = bpf_map_lookup_elem(&lossy_seen, &zero);

	if (!seen || skb->protocol != bpf_htons(ETH_P_IP) ||
	    bpf_skb_load_bytes(skb, ETH_HLEN, &ip, sizeof(ip)) || ip.protocol != 6 ||
	    bpf_skb_load_bytes(skb, ETH_HLEN + sizeof(ip), &tcp, sizeof(tcp)))
		return TC_ACT_OK;
	if (bpf_ntohs(ip.tot_len) <= sizeof(ip) + tcp.doff * 4)
		return TC_ACT_OK;
	return __sync_fetch_and_add(seen, 1) % 4 == 3 ? TC_ACT_STOLEN : TC_ACT_OK;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
