// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * frag DEVICE N whole|fragments: sends N pairs of UDP frames of 1,494 and 534 bytes
 * from 10.64.0.2 to 198.51.100.2 out of DEVICE, as two packets each or as the two
 * fragments of a datagram each, and prints the nanoseconds it took. The router works
 * on the sender's CPU (`run` pins us), so this is the time of the whole path.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FIRST  1460 /* bytes after the IP header, a multiple of 8 less than the MTU */
#define SECOND 500
#define CUT    (FIRST / 8 * 8)

static const uint8_t ethernet[14] = {2, 0xbe, 0, 0, 0, 2, 2, 0xbe, 0, 0, 0, 1, 8, 0};

static uint16_t sum(const void *data, size_t n, uint32_t s)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < n; i++)
		s += i & 1 ? p[i] : p[i] << 8;
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return s;
}

static size_t frame(uint8_t *out, const uint8_t *payload, size_t n, uint16_t id, uint16_t off)
{
	struct iphdr ip = {.version = 4,
			   .ihl = 5,
			   .ttl = 64,
			   .protocol = IPPROTO_UDP,
			   .tot_len = htons(20 + n),
			   .id = htons(id),
			   .frag_off = htons(off),
			   .saddr = htonl(0x0a400002),
			   .daddr = htonl(0xc6336402)};

	ip.check = htons(~sum(&ip, sizeof(ip), 0));
	memcpy(out, ethernet, 14);
	memcpy(out + 14, &ip, 20);
	memcpy(out + 34, payload, n);
	return 34 + n;
}

static void udp(uint8_t *p, size_t n)
{
	static const uint8_t pseudo[12] = {10, 64, 0, 2, 198, 51, 100, 2, 0, IPPROTO_UDP};
	struct udphdr u = {.source = htons(4000), .dest = htons(7000), .len = htons(n)};

	memset(p, 'x', n);
	memcpy(p, &u, sizeof(u));
	u.check = htons(~sum(p, n, sum(pseudo, 12, n)));
	memcpy(p, &u, sizeof(u));
}

static void put(int fd, const uint8_t *f, size_t n)
{
	while (send(fd, f, n, 0) < 0)
		if (errno != ENOBUFS && errno != EAGAIN)
			exit(1);
}

int main(int argc, char **argv)
{
	uint8_t payload[2][CUT + SECOND], out[1600];
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP)};
	int fd = socket(AF_PACKET, SOCK_RAW, 0), one = 1, cut;
	struct timespec a, b;
	long n;

	if (argc != 4 || fd < 0)
		return 1;
	to.sll_ifindex = if_nametoindex(argv[1]);
	n = atol(argv[2]);
	cut = !strcmp(argv[3], "fragments");
	if (bind(fd, (struct sockaddr *)&to, sizeof(to)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)))
		return 1;
	udp(payload[0], cut ? CUT + SECOND : CUT);
	udp(payload[1], SECOND);
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (long i = 0; i < n; i++) {
		put(fd, out, frame(out, payload[0], CUT, i, cut ? 0x2000 : 0));
		put(fd, out,
		    frame(out, cut ? payload[0] + CUT : payload[1], SECOND, i, cut ? CUT / 8 : 0));
	}
	clock_gettime(CLOCK_MONOTONIC, &b);
	printf("%lld\n", (b.tv_sec - a.tv_sec) * 1000000000LL + b.tv_nsec - a.tv_nsec);
	return 0;
}
