// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "tcp_reset.h"

#include <string.h>

#include <arpa/inet.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>

#define RESET_TTL 64

static uint32_t sum_of(const void *data, size_t len, uint32_t sum)
{
	const uint8_t *p = data;

	for (size_t i = 0; i + 1 < len; i += 2)
		sum += p[i] << 8 | p[i + 1];
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons(~sum);
}

/* size: of the segment, TCP header included. false: it is not to be answered. */
static bool fill(const struct tcphdr *in, size_t size, struct tcphdr *out)
{
	size_t header = in->doff * 4u;

	if (in->rst || header < sizeof(*in) || header > size)
		return false;
	memset(out, 0, sizeof(*out));
	out->source = in->dest;
	out->dest = in->source;
	out->doff = sizeof(*out) / 4;
	out->rst = 1;
	if (in->ack) {
		out->seq = in->ack_seq;
		return true;
	}
	out->ack = 1;
	out->ack_seq = htonl(ntohl(in->seq) + size - header + in->syn + in->fin);
	return true;
}

static size_t reset4(const uint8_t *head, size_t len, uint8_t *msg)
{
	const struct iphdr *in = (const void *)head;
	struct iphdr *ip = (void *)msg;
	struct tcphdr *tcp = (void *)(ip + 1);
	size_t ihl = in->ihl * 4u, total = ntohs(in->tot_len);

	if (ihl < sizeof(*in) || in->protocol != IPPROTO_TCP || in->frag_off & htons(IP_OFFMASK) ||
	    len < ihl + sizeof(*tcp) || total < ihl + sizeof(*tcp) ||
	    !fill((const void *)(head + ihl), total - ihl, tcp))
		return 0;
	memset(ip, 0, sizeof(*ip));
	ip->version = 4;
	ip->ihl = sizeof(*ip) / 4;
	ip->tot_len = htons(sizeof(*ip) + sizeof(*tcp));
	ip->frag_off = htons(IP_DF);
	ip->ttl = RESET_TTL;
	ip->protocol = IPPROTO_TCP;
	ip->saddr = in->daddr;
	ip->daddr = in->saddr;
	tcp->check =
		fold(sum_of(tcp, sizeof(*tcp), sum_of(&ip->saddr, 8, IPPROTO_TCP + sizeof(*tcp))));
	ip->check = fold(sum_of(ip, sizeof(*ip), 0));
	return sizeof(*ip) + sizeof(*tcp);
}

static size_t reset6(const uint8_t *head, size_t len, uint8_t *msg)
{
	const struct ip6_hdr *in = (const void *)head;
	struct ip6_hdr *ip = (void *)msg;
	struct tcphdr *tcp = (void *)(ip + 1);

	if (in->ip6_nxt != IPPROTO_TCP || len < sizeof(*in) + sizeof(*tcp) ||
	    !fill((const void *)(in + 1), ntohs(in->ip6_plen), tcp))
		return 0;
	memset(ip, 0, sizeof(*ip));
	ip->ip6_flow = htonl(6u << 28);
	ip->ip6_plen = htons(sizeof(*tcp));
	ip->ip6_nxt = IPPROTO_TCP;
	ip->ip6_hlim = RESET_TTL;
	ip->ip6_src = in->ip6_dst;
	ip->ip6_dst = in->ip6_src;
	tcp->check = fold(
		sum_of(tcp, sizeof(*tcp), sum_of(&ip->ip6_src, 32, IPPROTO_TCP + sizeof(*tcp))));
	return sizeof(*ip) + sizeof(*tcp);
}

size_t tcp_reset(const uint8_t *head, size_t len, uint8_t out[TCP_RESET_MAX])
{
	if (len < sizeof(struct iphdr))
		return 0;
	if (head[0] >> 4 == 4)
		return reset4(head, len, out);
	return head[0] >> 4 == 6 && len >= sizeof(struct ip6_hdr) ? reset6(head, len, out) : 0;
}
