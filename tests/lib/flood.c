// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * flood DEVICE MAC tcp|udp SOURCE DESTINATION PORT COUNT RATE
 *
 * First packets of COUNT connections that never go on, at most RATE a second:
 * SYNs, or UDP datagrams. Each has a tuple of its own. SOURCE is an address, or a
 * prefix as 198.18.0.0/15 or 2001:db8:f::/48 of which each packet takes another.
 * MAC is the router's. Prints how many were sent.
 */
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stddef.h>

#include "flood.h"

#define PORT_LOW 1024u
#define PORTS	 60000u

static size_t build_l4(const struct flood *f, uint8_t *l4, unsigned int n)
{
	uint16_t sport = htons(PORT_LOW + n % PORTS), dport = htons(f->port);

	if (f->tcp) {
		struct tcphdr *tcp = (void *)l4;

		*tcp = (struct tcphdr){.source = sport,
				       .dest = dport,
				       .seq = htonl(n * 2654435761u),
				       .doff = 5,
				       .syn = 1,
				       .window = htons(64240)};
		return sizeof(*tcp);
	}
	struct udphdr *udp = (void *)l4;

	*udp = (struct udphdr){.source = sport, .dest = dport, .len = htons(sizeof(*udp) + 8)};
	memset(udp + 1, 'f', 8);
	return sizeof(*udp) + 8;
}

static size_t build(const struct flood *f, uint8_t *frame, unsigned int n)
{
	uint8_t src[16], *l3 = frame + ETH_HLEN, *l4 = l3 + (f->v6 ? 40 : 20);
	size_t addr_len = f->v6 ? 16 : 4, len = build_l4(f, l4, n);
	uint8_t proto = f->tcp ? IPPROTO_TCP : IPPROTO_UDP;
	uint32_t sum = proto + len;
	uint16_t check;

	source_of(f, n, src);
	sum = sum16(sum16(sum16(sum, src, addr_len), f->dst, addr_len), l4, len);
	check = fold(sum);
	memcpy(l4 + (f->tcp ? offsetof(struct tcphdr, check) : offsetof(struct udphdr, check)),
	       &check, 2);
	if (f->v6) {
		struct ip6_hdr *ip = (void *)l3;

		memset(ip, 0, sizeof(*ip));
		ip->ip6_vfc = 0x60;
		ip->ip6_plen = htons(len);
		ip->ip6_nxt = proto;
		ip->ip6_hlim = 64;
		memcpy(&ip->ip6_src, src, 16);
		memcpy(&ip->ip6_dst, f->dst, 16);
	} else {
		struct iphdr *ip = (void *)l3;

		*ip = (struct iphdr){.version = 4,
				     .ihl = 5,
				     .tot_len = htons(20 + len),
				     .ttl = 64,
				     .protocol = proto};
		memcpy(&ip->saddr, src, 4);
		memcpy(&ip->daddr, f->dst, 4);
		ip->check = fold(sum16(0, ip, sizeof(*ip)));
	}
	return l4 - frame + len;
}

static int run(const struct flood *f, int fd, const uint8_t mac[6])
{
	uint8_t frame[128] = {0};
	double began = seconds();
	unsigned int n;
	int ret;

	flood_ether(f, frame, mac);
	for (n = 0; n < f->count; n++) {
		ret = flood_send(f, fd, frame, build(f, frame, n), n, began);
		if (ret) {
			fprintf(stderr, "flood: %s\n", strerror(-ret));
			return 1;
		}
	}
	printf("%u sent in %.1f s\n", n, seconds() - began);
	return 0;
}

int main(int argc, char **argv)
{
	struct flood f = {0};
	unsigned int none;
	uint8_t mac[6];
	int fd;

	if (argc != 9 || parse_mac(argv[2], mac) ||
	    parse_address(argv[4], &f, f.src, &f.src_bits) ||
	    parse_address(argv[5], &f, f.dst, &none)) {
		fprintf(stderr,
			"usage: flood DEVICE MAC tcp|udp SOURCE DESTINATION PORT COUNT RATE\n");
		return 2;
	}
	f.tcp = !strcmp(argv[3], "tcp");
	f.port = atoi(argv[6]);
	f.count = atoi(argv[7]);
	f.rate = atoi(argv[8]);
	fd = flood_open("flood", argv[1]);
	return fd < 0 ? 1 : run(&f, fd, mac);
}
