// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* SYNs from random sources, for tests/lib/synflood.c: run by BPF_PROG_TEST_RUN with live
 * frames, each of which is written whole, as the pages are recycled. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "tests/lib/synflood.h"

const volatile struct synflood_conf conf = {};

struct frame {
	struct ethhdr eth;
	struct iphdr ip;
	struct tcphdr tcp;
} __attribute__((packed));
struct frame6 {
	struct ethhdr eth;
	struct ipv6hdr ip;
	struct tcphdr tcp;
} __attribute__((packed));
_Static_assert(sizeof(struct frame) <= 64 && sizeof(struct frame6) <= SYNFLOOD_FRAME, "frame");

static __always_inline __u16 fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* 16-bit words of n bytes, as they lie: a ones' complement sum has no byte order. */
static __always_inline __u32 words(const void *data, int n)
{
	const __u16 *w = data;
	__u32 sum = 0;

#pragma unroll
	for (int i = 0; i < n / 2; i++)
		sum += w[i];
	return sum;
}

/* Any address of 1.0.0.0 to 9.255.255.255 or 64.0.0.0 to 95.255.255.255: nobody of the test. */
static __always_inline __be32 random_source(void)
{
	__u32 r = bpf_get_prandom_u32(), first = r >> 24;

	first = first < 64 ? 1 + first % 9 : 64 + first % 32;
	return bpf_htonl(first << 24 | (r & 0xffffff));
}

static __always_inline void link_header(struct ethhdr *eth, __u16 proto)
{
#pragma unroll
	for (int i = 0; i < 6; i++)
		eth->h_dest[i] = conf.mac[i];
	eth->h_source[0] = 2;
	eth->h_proto = bpf_htons(proto);
}

/* A SYN; pseudo is the sum over the addresses. */
static __always_inline void syn(void *at, __u32 r, __u32 pseudo)
{
	struct tcphdr *tcp = at;

	tcp->source = bpf_htons(1024 + r % 64000);
	tcp->dest = conf.dport;
	tcp->seq = r;
	tcp->doff = 5;
	tcp->syn = 1;
	tcp->window = bpf_htons(64240);
	tcp->check = fold(words(tcp, sizeof(*tcp)) + pseudo + bpf_htons(IPPROTO_TCP) +
			  bpf_htons(sizeof(*tcp)));
}

SEC("xdp")
int synflood(struct xdp_md *ctx)
{
	struct frame *f = (void *)(long)ctx->data;

	if ((void *)(f + 1) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	__builtin_memset(f, 0, sizeof(*f));
	link_header(&f->eth, ETH_P_IP);
	f->ip.version = 4;
	f->ip.ihl = 5;
	f->ip.ttl = 64;
	f->ip.protocol = IPPROTO_TCP;
	f->ip.tot_len = bpf_htons(sizeof(f->ip) + sizeof(f->tcp));
	f->ip.saddr = random_source();
	f->ip.daddr = conf.daddr[0];
	f->ip.check = fold(words(&f->ip, sizeof(f->ip)));
	syn(&f->tcp, bpf_get_prandom_u32(), words(&f->ip.saddr, 8));
	return bpf_redirect(conf.ifindex, 0);
}

/* Sources: any address of 2a00::/8, so hardly two of one /56. */
SEC("xdp")
int synflood6(struct xdp_md *ctx)
{
	struct frame6 *f = (void *)(long)ctx->data;

	if ((void *)(f + 1) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	__builtin_memset(f, 0, sizeof(*f));
	link_header(&f->eth, ETH_P_IPV6);
	f->ip.version = 6;
	f->ip.hop_limit = 64;
	f->ip.nexthdr = IPPROTO_TCP;
	f->ip.payload_len = bpf_htons(sizeof(f->tcp));
#pragma unroll
	for (int i = 0; i < 4; i++) {
		f->ip.saddr.in6_u.u6_addr32[i] = bpf_get_prandom_u32();
		f->ip.daddr.in6_u.u6_addr32[i] = conf.daddr[i];
	}
	f->ip.saddr.in6_u.u6_addr8[0] = 0x2a;
	syn(&f->tcp, bpf_get_prandom_u32(), words(&f->ip.saddr, 32));
	return bpf_redirect(conf.ifindex, 0);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
