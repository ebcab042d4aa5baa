// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "nat_told.h"

#include <string.h>

#include <arpa/inet.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>

/* A little more than a second: what is sent with delay must not crowd the next one. */
#define WINDOW_MS 1100

/* Only queries may be answered with an error; of what is not known we are silent. */
static bool icmp4_query(uint8_t type)
{
	return type == ICMP_ECHO || type == ICMP_TIMESTAMP || type == ICMP_INFO_REQUEST ||
	       type == ICMP_ADDRESS;
}

/* Multicast, all ones, class E, 0/8: no unicast address of a host. */
static bool unicast4(__be32 addr)
{
	uint32_t a = ntohl(addr);

	return a >> 24 && a >> 28 < 0xe && a >> 24 != 127;
}

static bool askable4(const struct nat_need *need, __be32 source[4])
{
	const struct iphdr *ip = (const void *)need->head;
	size_t ihl;

	if (need->len < sizeof(*ip))
		return false;
	ihl = ip->ihl * 4u;
	if (ihl < sizeof(*ip) || need->len < ihl + 8 || ip->frag_off & htons(IP_OFFMASK) ||
	    !unicast4(ip->saddr) || !unicast4(ip->daddr))
		return false;
	if (ip->protocol == IPPROTO_ICMP && !icmp4_query(need->head[ihl]))
		return false;
	source[0] = ip->saddr;
	return true;
}

static bool askable6(const struct nat_need *need, __be32 source[4])
{
	const struct ip6_hdr *ip = (const void *)need->head;
	const struct in6_addr *s = &ip->ip6_src;

	if (need->len < sizeof(*ip) + 8 || IN6_IS_ADDR_UNSPECIFIED(s) || IN6_IS_ADDR_LOOPBACK(s) ||
	    IN6_IS_ADDR_MULTICAST(s) || IN6_IS_ADDR_MULTICAST(&ip->ip6_dst))
		return false;
	/* Errors are the types below 128 (RFC 4443 2.1). Behind extension headers it is
	 * not looked for: what BPF refused opened a connection, and errors open none. */
	if (ip->ip6_nxt == IPPROTO_ICMPV6 && !(need->head[sizeof(*ip)] & ICMP6_INFOMSG_MASK))
		return false;
	memcpy(source, s, sizeof(*s));
	return true;
}

bool nat_told_askable(const struct nat_need *need, __be32 source[4])
{
	memset(source, 0, 4 * sizeof(source[0]));
	if (need->kind != NAT_NEED_BLOCKED && !(need->flags & NAT_NEED_INSIDE))
		return false;
	if (!need->ifindex || need->len > NAT_NEED_HEAD)
		return false;
	return need->family == 4 ? askable4(need, source)
				 : need->family == 6 && askable6(need, source);
}

/* The slot of a source; one that was told nothing for a second can be forgotten. */
static struct nat_told_source *find(struct nat_told *t, const __be32 source[4], uint64_t now)
{
	struct nat_told_source *s, *idle = NULL;
	uint32_t i, last;

	for (i = 0; i < NAT_TOLD_SOURCES; i++) {
		s = &t->source[i];
		if (!memcmp(s->addr, source, sizeof(s->addr)))
			return s;
		last = (s->next + NAT_TOLD_SOURCE - 1) % NAT_TOLD_SOURCE;
		if (!idle && (!s->at[last] || now - s->at[last] >= WINDOW_MS))
			idle = s;
	}
	if (idle) {
		memset(idle, 0, sizeof(*idle));
		memcpy(idle->addr, source, sizeof(idle->addr));
	}
	return idle;
}

bool nat_told_may(struct nat_told *t, const __be32 source[4], uint64_t now_ms)
{
	struct nat_told_source *s;

	/* The oldest of the last N: if it is within the second, that had its N. 0: none. */
	if (t->at[t->next] && now_ms - t->at[t->next] < WINDOW_MS)
		return false;
	s = find(t, source, now_ms);
	if (!s || (s->at[s->next] && now_ms - s->at[s->next] < WINDOW_MS))
		return false;
	t->at[t->next] = s->at[s->next] = now_ms;
	t->next = (t->next + 1) % NAT_TOLD_ALL;
	s->next = (s->next + 1) % NAT_TOLD_SOURCE;
	return true;
}
