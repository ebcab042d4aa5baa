// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * flood DEVICE MAC tcp|udp SOURCE DESTINATION PORT COUNT RATE
 *
 * First packets of COUNT connections that never go on, at most RATE a second:
 * SYNs, or UDP datagrams. Each has a tuple of its own. SOURCE is an address, or a
 * prefix as 198.18.0.0/15 or 2001:db8:f::/48 of which each packet takes another.
 * MAC is the router's. Prints how many were sent.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PORT_LOW 1024u
#define PORTS	 60000u

struct flood {
	bool v6, tcp;
	uint8_t src[16], dst[16];
	unsigned int src_bits; /* of the prefix; all: one source */
	unsigned int port, count, rate;
};

static uint32_t sum16(uint32_t sum, const void *data, size_t len)
{
	const uint8_t *p = data;

	for (; len > 1; len -= 2, p += 2)
		sum += p[0] << 8 | p[1];
	return len ? sum + (p[0] << 8) : sum;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons(~sum & 0xffff);
}

static int parse_address(const char *text, struct flood *f, uint8_t out[16], unsigned int *bits)
{
	char addr[64];
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);

	if (len >= sizeof(addr))
		return -EINVAL;
	memcpy(addr, text, len);
	addr[len] = 0;
	f->v6 = strchr(addr, ':');
	if (inet_pton(f->v6 ? AF_INET6 : AF_INET, addr, out) != 1)
		return -EINVAL;
	*bits = slash ? atoi(slash + 1) : f->v6 ? 128 : 32;
	return 0;
}

/* Another address of the prefix for each number: its bits, scattered. */
static void source_of(const struct flood *f, unsigned int n, uint8_t out[16])
{
	unsigned int all = f->v6 ? 128 : 32, bit, room = all - f->src_bits;
	uint32_t scattered = n * 0x9e3779b1u;

	memcpy(out, f->src, 16);
	for (bit = 0; bit < room && bit < 32; bit++)
		if (scattered >> (31 - bit) & 1)
			out[(f->src_bits + bit) / 8] |= 0x80 >> ((f->src_bits + bit) % 8);
}

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

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static int run(const struct flood *f, int fd, const uint8_t mac[6])
{
	uint8_t frame[128] = {0};
	double began = seconds();
	unsigned int n;

	memcpy(frame, mac, 6);
	frame[6] = 2; /* a local address; nobody answers to it */
	frame[12] = f->v6 ? 0x86 : 0x08;
	frame[13] = f->v6 ? 0xdd : 0x00;
	for (n = 0; n < f->count; n++) {
		size_t len = build(f, frame, n);

		while (seconds() - began < (double)n / f->rate)
			usleep(500);
		if (send(fd, frame, len, 0) < 0 && errno != ENOBUFS) {
			fprintf(stderr, "flood: %s\n", strerror(errno));
			return 1;
		}
	}
	printf("%u sent in %.1f s\n", n, seconds() - began);
	return 0;
}

int main(int argc, char **argv)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET};
	struct flood f = {0};
	unsigned int none;
	uint8_t mac[6];
	int fd, bypass = 1;

	if (argc != 9 ||
	    sscanf(argv[2], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac[0], &mac[1], &mac[2], &mac[3],
		   &mac[4], &mac[5]) != 6 ||
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
	to.sll_ifindex = if_nametoindex(argv[1]);
	fd = socket(AF_PACKET, SOCK_RAW, 0);
	if (fd < 0 || !to.sll_ifindex || bind(fd, (struct sockaddr *)&to, sizeof(to))) {
		fprintf(stderr, "flood: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &bypass, sizeof(bypass));
	return run(&f, fd, mac);
}
