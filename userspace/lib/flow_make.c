// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "flow_make.h"

#include <string.h>

#include <arpa/inet.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>

bool ct_flow_is_icmp(uint8_t proto)
{
	return proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6;
}

bool ct_flow_is_query(uint8_t proto, uint8_t type)
{
	switch (type) {
	case ICMP_ECHO:
	case ICMP_TIMESTAMP:
	case ICMP_INFO_REQUEST:
	case ICMP_ADDRESS:
		return proto == IPPROTO_ICMP;
	case ICMP6_ECHO_REQUEST:
		return proto == IPPROTO_ICMPV6;
	}
	return false;
}

void ct_side_invert(struct ct_side *out, const struct ct_side *in, uint8_t proto)
{
	bool icmp = ct_flow_is_icmp(proto);

	memcpy(out->src, in->dst, sizeof(out->src));
	memcpy(out->dst, in->src, sizeof(out->dst));
	out->sport = icmp ? in->sport : in->dport;
	out->dport = icmp ? in->dport : in->sport;
}

static uint32_t nat_bits(uint8_t proto, const struct ct_side *orig, const struct ct_side *reply)
{
	struct ct_side plain;
	uint32_t bits = 0;

	ct_side_invert(&plain, orig, proto);
	if (ct_flow_is_icmp(proto)) {
		if (memcmp(plain.dst, reply->dst, 16) || plain.sport != reply->sport)
			bits |= CT_S_SRC_NAT;
		if (memcmp(plain.src, reply->src, 16))
			bits |= CT_S_DST_NAT;
		return bits;
	}
	if (memcmp(plain.dst, reply->dst, 16) || plain.dport != reply->dport)
		bits |= CT_S_SRC_NAT;
	if (memcmp(plain.src, reply->src, 16) || plain.sport != reply->sport)
		bits |= CT_S_DST_NAT;
	return bits;
}

/* The key's order (ct_key.h): words as they lie in memory, then ports. */
static bool source_is_high(const struct ct_side *s, int family, __be16 sport, __be16 dport)
{
	uint32_t a, b;

	for (int i = 0; i < (family == 6 ? 4 : 1); i++) {
		memcpy(&a, s->src + 4 * i, 4);
		memcpy(&b, s->dst + 4 * i, 4);
		if (a != b)
			return a > b;
	}
	return sport > dport;
}

static void put_key(struct ct_flow *flow, uint16_t zone, uint8_t proto, const struct ct_side *orig)
{
	__be16 sport = htons(orig->sport), dport = htons(orig->dport);
	int hi = !ct_flow_is_icmp(proto) && source_is_high(orig, flow->family, sport, dport);
	__be16 *port = flow->family == 6 ? flow->key6.port : flow->key4.port;

	if (flow->family == 6) {
		memcpy(flow->key6.addr[hi], orig->src, 16);
		memcpy(flow->key6.addr[!hi], orig->dst, 16);
		flow->key6.zone = zone;
		flow->key6.proto = proto;
	} else {
		memcpy(&flow->key4.addr[hi], orig->src, 4);
		memcpy(&flow->key4.addr[!hi], orig->dst, 4);
		flow->key4.zone = zone;
		flow->key4.proto = proto;
	}
	port[hi] = sport;
	port[!hi] = dport;
	if (hi)
		flow->c.word |= CT_W_ORIG_HI;
}

void ct_flow_tuples(struct ct_flow *flow, int family, uint16_t zone, uint8_t proto,
		    const struct ct_side *orig, const struct ct_side *reply)
{
	flow->family = family == 6 ? 6 : 4;
	put_key(flow, zone, proto, orig);
	flow->c.word |= CT_W_STATUS(nat_bits(proto, orig, reply));
	flow->c.reply_sport = htons(reply->sport);
	flow->c.reply_dport = htons(reply->dport);
	if (flow->family == 6) {
		memcpy(flow->conn6.reply_saddr, reply->src, 16);
		memcpy(flow->conn6.reply_daddr, reply->dst, 16);
	} else {
		memcpy(&flow->conn4.reply_saddr, reply->src, 4);
		memcpy(&flow->conn4.reply_daddr, reply->dst, 4);
	}
}

static uint8_t nat_class(uint8_t proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		return NAT_TCP;
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
		return NAT_UDP;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return NAT_ICMP;
	case IPPROTO_SCTP:
		return NAT_SCTP;
	}
	return NAT_NONE;
}

uint32_t ct_flow_nat_ref(const struct ct_flow *flow, const struct nat_maps *m)
{
	bool six = flow->family == 6;
	uint8_t proto = six ? flow->key6.proto : flow->key4.proto, class = nat_class(proto);
	uint16_t port = ntohs(ct_flow_is_icmp(proto) ? flow->c.reply_sport : flow->c.reply_dport);
	__be32 addr[4] = {0};
	uint32_t i;

	if (class == NAT_NONE || !(flow->c.word & CT_W_STATUS(CT_S_SRC_NAT)))
		return 0;
	if (six)
		memcpy(addr, flow->conn6.reply_daddr, 16);
	else
		addr[0] = flow->conn4.reply_daddr;
	for (i = 1; i < m->config->pools && i < m->pools; i++) {
		const struct nat_pool *p = &m->pool[i];

		if (p->flags & NAT_POOL_LIVE && p->family == flow->family && p->class == class &&
		    !memcmp(p->addr, addr, sizeof(addr)) && port >= p->port_min &&
		    port <= p->port_max)
			return NAT_REF(i, port);
	}
	return 0;
}
