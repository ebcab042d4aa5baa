// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Super-packets (TCP, or UDP, that a device is to cut into segments) in vswitchd. What comes back
 * by EXECUTE as it went up says so by its hash; but odp_execute_actions() knows neither of segments
 * nor of hashes, and under the headers that it puts in front no device would find what is to be
 * cut. So the packet itself notes its segment size and where its IP header is, counted from its
 * end, where nothing is put; and what has got other headers in front is cut here.
 */
#include "dpif-bpf.h"

#include <errno.h>
#include <netinet/ip6.h>

#include "csum.h"
#include "dp-packet.h"
#include "flow.h"
#include "packets.h"
#include "unaligned.h"

struct super {
	uint8_t *data;
	size_t l3, l4, head; /* from the data on; head: all that each segment has */
	size_t size, gso_size;
	bool v6;
	uint8_t proto;
};

/* SKB_GSO_* of the kernel, in ovs_upcall.gso_type: TCPV4, TCPV6, UDP_L4; and what has another
 * packet inside, or is not cut into segments (GRE to UDP_TUNNEL_CSUM, TUNNEL_REMCSUM, SCTP, ESP,
 * UDP). */
#define GSO_OURS  (1 << 0 | 1 << 4 | 1 << 17)
#define GSO_OTHER (0x3f << 6 | 0xf << 13)

/* Where what is behind Ethernet and its tags begins, and of what type it is. */
static size_t behind_tags(const struct dp_packet *packet, ovs_be16 *type)
{
	const char *data = dp_packet_data(packet);
	size_t at = 2 * ETH_ADDR_LEN, size = dp_packet_size(packet);

	do {
		*type = at + 2 <= size ? get_unaligned_be16((const void *)(data + at)) : 0;
		at += eth_type_vlan(*type) ? VLAN_HEADER_LEN : 2;
	} while (eth_type_vlan(*type));
	return at;
}

/* A note without a size: not for us to cut, under whatever headers. */
void dp_super_note(struct dp_packet *packet, uint16_t gso_size, uint32_t gso_type)
{
	ovs_be16 type;
	size_t l3 = behind_tags(packet, &type), size = dp_packet_size(packet);

	if (!(gso_type & GSO_OURS) || gso_type & GSO_OTHER)
		gso_size = 0;
	if ((type == htons(ETH_TYPE_IP) || type == htons(ETH_TYPE_IPV6)) && size - l3 <= UINT16_MAX)
		dp_packet_set_flow_mark(packet, (uint32_t)(size - l3) << 16 | gso_size);
}

static bool parse_ip4(struct super *s)
{
	const struct ip_header *ip = (const void *)(s->data + s->l3);

	if (s->size - s->l3 < IP_HEADER_LEN || IP_VER(ip->ip_ihl_ver) != 4)
		return false;
	s->l4 = s->l3 + IP_IHL(ip->ip_ihl_ver) * 4;
	s->proto = ip->ip_proto;
	return ntohs(ip->ip_tot_len) == s->size - s->l3 && !IP_IS_FRAGMENT(ip->ip_frag_off);
}

/* Behind these the kernel cuts, too; behind a fragment header nobody. The sum of a packet that is
 * on its way along a routing header is of its last destination, which is not the header's. */
static bool skip_options(struct super *s)
{
	while (s->proto == IPPROTO_HOPOPTS || s->proto == IPPROTO_DSTOPTS ||
	       s->proto == IPPROTO_ROUTING) {
		const struct ip6_rthdr *h = (const void *)(s->data + s->l4);

		if (s->l4 + 8 > s->size || (s->proto == IPPROTO_ROUTING && h->ip6r_segleft))
			return false;
		s->proto = h->ip6r_nxt;
		s->l4 += 8 + h->ip6r_len * 8;
	}
	return s->l4 <= s->size;
}

static bool parse_ip6(struct super *s)
{
	const struct ovs_16aligned_ip6_hdr *ip = (const void *)(s->data + s->l3);

	if (s->size - s->l3 < sizeof(*ip) || ip->ip6_vfc >> 4 != 6)
		return false;
	s->v6 = true;
	s->l4 = s->l3 + sizeof(*ip);
	s->proto = ip->ip6_nxt;
	return ntohs(ip->ip6_plen) == s->size - s->l4 && skip_options(s);
}

static bool parse_l4(struct super *s)
{
	const struct tcp_header *tcp = (const void *)(s->data + s->l4);

	if (s->proto == IPPROTO_UDP)
		s->head = s->l4 + UDP_HEADER_LEN;
	else if (s->proto == IPPROTO_TCP && s->l4 + TCP_HEADER_LEN <= s->size &&
		 TCP_OFFSET(tcp->tcp_ctl) * 4 >= TCP_HEADER_LEN)
		s->head = s->l4 + TCP_OFFSET(tcp->tcp_ctl) * 4;
	return s->head && s->head <= s->size;
}

/* Is it one, and where is its IP header? */
static bool is_noted(const struct dp_packet *packet, struct super *s)
{
	uint32_t mark;

	memset(s, 0, sizeof(*s));
	s->data = dp_packet_data(packet);
	s->size = dp_packet_size(packet);
	if (!dp_packet_has_flow_mark(packet, &mark) || mark >> 16 > s->size)
		return false;
	s->l3 = s->size - (mark >> 16);
	s->gso_size = mark & UINT16_MAX;
	return true;
}

/* May it be cut? Not what is no longer whole (a TRUNC), or has headers that do not fit. */
static bool parse(const struct dp_packet *packet, struct super *s)
{
	return is_noted(packet, s) && s->gso_size && (parse_ip4(s) || parse_ip6(s)) && parse_l4(s);
}

uint16_t dp_super_size(const struct dp_packet *packet)
{
	struct super s;

	return parse(packet, &s) ? s.gso_size : 0;
}

/* What is wrapped and cannot be cut is dp_super_cut()'s to refuse: whole, no device could send it.
 */
bool dp_super_is_wrapped(const struct dp_packet *packet)
{
	struct super s;
	ovs_be16 type;

	if (!is_noted(packet, &s))
		return false;
	if (behind_tags(packet, &type) != s.l3)
		return true;
	return parse(packet, &s) &&
	       (s.proto != IPPROTO_TCP || type != htons(s.v6 ? ETH_TYPE_IPV6 : ETH_TYPE_IP));
}

uint32_t dp_super_sum6(const struct ovs_16aligned_ip6_hdr *ip, uint8_t proto, size_t len)
{
	uint32_t sum = csum_continue(0, &ip->ip6_src, 2 * sizeof(ip->ip6_src));

	return csum_add16(csum_add32(sum, htonl(len)), htons(proto));
}

/* The IP header of segment `number`. The sum of its pseudo-header. */
static uint32_t finish_ip(const struct super *s, struct dp_packet *segment, size_t number)
{
	uint8_t *l3 = (uint8_t *)dp_packet_data(segment) + s->l3;
	size_t len = dp_packet_size(segment) - s->l3;
	struct ip_header *ip = (void *)l3;
	struct ovs_16aligned_ip6_hdr *ip6 = (void *)l3;

	if (s->v6) {
		ip6->ip6_plen = htons(len - sizeof(*ip6));
		return dp_super_sum6(ip6, s->proto, dp_packet_size(segment) - s->l4);
	}
	ip->ip_tot_len = htons(len);
	ip->ip_id = htons(ntohs(ip->ip_id) + number);
	ip->ip_csum = 0;
	ip->ip_csum = csum(ip, s->l4 - s->l3);
	return packet_csum_pseudoheader(ip);
}

static void finish_tcp(const struct super *s, struct dp_packet *segment, size_t at, uint32_t sum)
{
	struct tcp_header *tcp = (void *)((uint8_t *)dp_packet_data(segment) + s->l4);
	size_t len = dp_packet_size(segment) - s->l4;
	uint16_t ctl = ntohs(tcp->tcp_ctl);

	put_16aligned_be32(&tcp->tcp_seq, htonl(ntohl(get_16aligned_be32(&tcp->tcp_seq)) + at));
	if (s->head + at + s->gso_size < s->size)
		ctl &= ~(TCP_FIN | TCP_PSH);
	if (at)
		ctl &= ~TCP_CWR;
	tcp->tcp_ctl = htons(ctl);
	tcp->tcp_csum = 0;
	tcp->tcp_csum = csum_finish(csum_continue(sum, tcp, len));
}

static void finish_udp(const struct super *s, struct dp_packet *segment, uint32_t sum)
{
	struct udp_header *udp = (void *)((uint8_t *)dp_packet_data(segment) + s->l4);
	size_t len = dp_packet_size(segment) - s->l4;

	udp->udp_len = htons(len);
	udp->udp_csum = 0;
	udp->udp_csum = csum_finish(csum_continue(sum, udp, len));
	if (!udp->udp_csum)
		udp->udp_csum = htons(0xffff);
}

int dp_super_cut(const struct dp_packet *packet, int (*send)(struct dp_packet *, void *), void *arg)
{
	size_t at = 0, number = 0, len;
	struct super s;
	int ret = 0;

	if (!parse(packet, &s))
		return EINVAL;
	do {
		struct dp_packet *segment;
		uint32_t sum;

		len = MIN(s.gso_size, s.size - s.head - at);
		segment = dp_packet_new(s.head + len);
		dp_packet_put(segment, s.data, s.head);
		dp_packet_put(segment, s.data + s.head + at, len);
		sum = finish_ip(&s, segment, number++);
		if (s.proto == IPPROTO_TCP)
			finish_tcp(&s, segment, at, sum);
		else
			finish_udp(&s, segment, sum);
		ret = send(segment, arg);
		dp_packet_delete(segment);
		at += len;
	} while (!ret && s.head + at < s.size);
	return ret;
}
