// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "frag_icmp.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TIME_EXCEEDED	  11 /* RFC 792 */
#define TIME_EXCEEDED6	  3  /* RFC 4443 */
#define REASSEMBLY	  1
#define ICMP4_IS_ERROR(t) ((t) == 3 || (t) == 4 || (t) == 5 || (t) == 11 || (t) == 12)

static bool allowed4(const struct frag_expired *e)
{
	const struct iphdr *ip = (const void *)e->data;
	uint32_t src = ntohl(ip->saddr);

	if (src >> 24 == 0 || src >> 24 == 127 || src >> 28 >= 14)
		return false;
	if (IN_MULTICAST(ntohl(ip->daddr)) || ntohl(ip->daddr) == INADDR_BROADCAST)
		return false;
	return ip->protocol != IPPROTO_ICMP || !ICMP4_IS_ERROR(e->data[ip->ihl * 4]);
}

static bool allowed6(const struct frag_expired *e)
{
	const struct ip6_hdr *ip = (const void *)e->data;
	const struct ip6_frag *frag = (const void *)(ip + 1);

	if (IN6_IS_ADDR_UNSPECIFIED(&ip->ip6_src) || IN6_IS_ADDR_LOOPBACK(&ip->ip6_src) ||
	    IN6_IS_ADDR_MULTICAST(&ip->ip6_src) || IN6_IS_ADDR_MULTICAST(&ip->ip6_dst))
		return false;
	/* What stands behind other extension headers is not looked for. */
	if (ip->ip6_nxt != IPPROTO_FRAGMENT)
		return false;
	return frag->ip6f_nxt != IPPROTO_ICMPV6 || (*(const uint8_t *)(frag + 1) & 0x80);
}

bool frag_icmp_allowed(const struct frag_expired *e)
{
	return e->head.family == 4 ? allowed4(e) : allowed6(e);
}

static uint16_t checksum(const uint8_t *p, size_t n)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += i & 1 ? p[i] : p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons(~sum);
}

int frag_icmp_send(const struct frag_expired *e)
{
	bool six = e->head.family == 6;
	struct sockaddr_in to4 = {.sin_family = AF_INET};
	struct sockaddr_in6 to6 = {.sin6_family = AF_INET6};
	size_t quote = e->head.len < FRAG_QUOTE ? e->head.len : FRAG_QUOTE;
	uint8_t msg[8 + FRAG_QUOTE] = {six ? TIME_EXCEEDED6 : TIME_EXCEEDED, REASSEMBLY};
	int fd, ret = 0;

	memcpy(msg + 8, e->data, quote);
	if (six) {
		to6.sin6_addr = ((const struct ip6_hdr *)e->data)->ip6_src;
	} else {
		uint16_t sum = checksum(msg, 8 + quote);

		memcpy(msg + 2, &sum, sizeof(sum)); /* ICMPv6's is the kernel's to fill in */
		to4.sin_addr.s_addr = ((const struct iphdr *)e->data)->saddr;
	}
	fd = socket(six ? AF_INET6 : AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
		    six ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
	if (fd < 0)
		return -errno;
	if (sendto(fd, msg, 8 + quote, 0, six ? (struct sockaddr *)&to6 : (struct sockaddr *)&to4,
		   six ? sizeof(to6) : sizeof(to4)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}
