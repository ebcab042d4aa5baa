// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Open vSwitch's struct flow <-> the datapath's struct ovs_key, for keys and masks. What a mask
 * has and does not come back from the datapath's form is what the datapath cannot match: EINVAL.
 */
#include "dpif-bpf-xlate.h"

#include <errno.h>

#include "flow.h"
#include "netlink.h"
#include "odp-util.h"
#include "packets.h"

#define TUN_FLAGS (FLOW_TNL_F_DONT_FRAGMENT | FLOW_TNL_F_CSUM | FLOW_TNL_F_KEY)

static const struct {
	uint16_t flow;
	uint8_t key;
} tun_flag[] = {{FLOW_TNL_F_DONT_FRAGMENT, OVS_TUN_DF},
		{FLOW_TNL_F_CSUM, OVS_TUN_CSUM},
		{FLOW_TNL_F_KEY, OVS_TUN_KEY}};

const struct odp_support dp_key_fields = {
	.max_vlan_headers = FLOW_MAX_VLAN_HEADERS,
	.recirc = true,
	.ct_state = true,
	.ct_zone = true,
	.ct_mark = true,
	.ct_label = true,
	.ct_state_nat = true,
	.ct_orig_tuple = true,
	.ct_orig_tuple6 = true,
};

static bool dl_is_arp(ovs_be16 dl_type)
{
	return dl_type == htons(ETH_TYPE_ARP) || dl_type == htons(ETH_TYPE_RARP);
}

static bool flow_is_nd(const struct flow *like)
{
	return like->dl_type == htons(ETH_TYPE_IPV6) && like->nw_proto == IPPROTO_ICMPV6;
}

/* A mask of a tunnel's addresses says that the packet came by one. */
void dp_tun_from_flow(struct ovs_key_tun *k, const struct flow_tnl *t, bool v6, bool mask)
{
	memset(k, 0, sizeof(*k));
	if (v6) {
		memcpy(k->src, &t->ipv6_src, 16);
		memcpy(k->dst, &t->ipv6_dst, 16);
	} else {
		k->src[0] = t->ip_src;
		k->dst[0] = t->ip_dst;
	}
	k->id = t->tun_id;
	k->tos = t->ip_tos;
	k->ttl = t->ip_ttl;
	for (size_t i = 0; i < ARRAY_SIZE(tun_flag); i++)
		k->flags |= t->flags & tun_flag[i].flow ? tun_flag[i].key : 0;
	if (mask ? flow_tnl_dst_is_set(t) : v6 || t->ip_dst)
		k->family = mask ? 0xff : v6 ? 6 : 4;
}

void dp_tun_to_flow(const struct ovs_key_tun *k, struct flow_tnl *t, bool v6)
{
	if (v6) {
		memcpy(&t->ipv6_src, k->src, 16);
		memcpy(&t->ipv6_dst, k->dst, 16);
	} else {
		t->ip_src = k->src[0];
		t->ip_dst = k->dst[0];
	}
	t->tun_id = k->id;
	t->ip_tos = k->tos;
	t->ip_ttl = k->ttl;
	for (size_t i = 0; i < ARRAY_SIZE(tun_flag); i++)
		t->flags |= k->flags & tun_flag[i].key ? tun_flag[i].flow : 0;
}

/*
 * Are these a tunnel's attributes that we know, each of its size? Open vSwitch's own parser ends
 * the process where one of these has another.
 */
bool dp_tun_is_sized(const struct nlattr *tunnel)
{
	static const struct {
		bool known;
		uint8_t len;
	} attr[] = {
		[OVS_TUNNEL_KEY_ATTR_ID] = {true, 8},
		[OVS_TUNNEL_KEY_ATTR_IPV4_SRC] = {true, 4},
		[OVS_TUNNEL_KEY_ATTR_IPV4_DST] = {true, 4},
		[OVS_TUNNEL_KEY_ATTR_TOS] = {true, 1},
		[OVS_TUNNEL_KEY_ATTR_TTL] = {true, 1},
		[OVS_TUNNEL_KEY_ATTR_DONT_FRAGMENT] = {true, 0},
		[OVS_TUNNEL_KEY_ATTR_CSUM] = {true, 0},
		[OVS_TUNNEL_KEY_ATTR_OAM] = {true, 0},
		[OVS_TUNNEL_KEY_ATTR_TP_SRC] = {true, 2},
		[OVS_TUNNEL_KEY_ATTR_TP_DST] = {true, 2},
		[OVS_TUNNEL_KEY_ATTR_IPV6_SRC] = {true, 16},
		[OVS_TUNNEL_KEY_ATTR_IPV6_DST] = {true, 16},
	};
	const struct nlattr *a;
	size_t left = 0;

	NL_NESTED_FOR_EACH(a, left, tunnel)
	{
		uint16_t type = nl_attr_type(a);

		if (type >= ARRAY_SIZE(attr) || !attr[type].known ||
		    nl_attr_get_size(a) != attr[type].len)
			return false;
	}
	return !left;
}

static bool key_is_sized(const struct nlattr *key, size_t len)
{
	const struct nlattr *tunnel = nl_attr_find__(key, len, OVS_KEY_ATTR_TUNNEL);

	return !tunnel || dp_tun_is_sized(tunnel);
}

static bool tun_is_v6(const struct flow *like)
{
	return !like->tunnel.ip_dst && ipv6_addr_is_set(&like->tunnel.ipv6_dst);
}

static void l3_from_flow(struct ovs_key *k, const struct flow *f, const struct flow *like)
{
	if (like->dl_type == htons(ETH_TYPE_IPV6)) {
		memcpy(k->src, &f->ipv6_src, 16);
		memcpy(k->dst, &f->ipv6_dst, 16);
		memcpy(k->ct_src, &f->ct_ipv6_src, 16);
		memcpy(k->ct_dst, &f->ct_ipv6_dst, 16);
		k->label = f->ipv6_label;
	} else {
		k->src[0] = f->nw_src;
		k->dst[0] = f->nw_dst;
		k->ct_src[0] = f->ct_nw_src;
		k->ct_dst[0] = f->ct_nw_dst;
	}
	k->proto = f->nw_proto;
	k->tos = f->nw_tos;
	k->ttl = f->nw_ttl;
	k->sport = f->tp_src;
	k->dport = f->tp_dst;
	if (dl_is_arp(like->dl_type) || flow_is_nd(like)) {
		memcpy(k->sha, &f->arp_sha, ETH_ADDR_LEN);
		memcpy(k->tha, &f->arp_tha, ETH_ADDR_LEN);
	}
	if (flow_is_nd(like))
		memcpy(k->nd_target, &f->nd_target, 16);
	else
		k->tcp_flags = f->tcp_flags;
}

/* like: the key, also when f is its mask: it says which fields f's bits belong to. */
static void from_flow(struct ovs_key *k, const struct flow *f, const struct flow *like, bool mask)
{
	memset(k, 0, sizeof(*k));
	dp_tun_from_flow(&k->tun, &f->tunnel, tun_is_v6(like), mask);
	k->in_port = odp_to_u32(f->in_port.odp_port);
	k->recirc_id = f->recirc_id;
	k->dp_hash = f->dp_hash;
	k->skb_mark = f->pkt_mark;
	k->skb_priority = f->skb_priority;
	k->ct_mark = f->ct_mark;
	memcpy(k->ct_label, &f->ct_label, sizeof(k->ct_label));
	k->ct_zone = f->ct_zone;
	k->ct_state = f->ct_state;
	k->ct_proto = f->ct_nw_proto;
	k->ct_sport = f->ct_tp_src;
	k->ct_dport = f->ct_tp_dst;
	memcpy(k->eth_dst, &f->dl_dst, ETH_ADDR_LEN);
	memcpy(k->eth_src, &f->dl_src, ETH_ADDR_LEN);
	k->eth_type = f->dl_type;
	for (int i = 0; i < FLOW_MAX_VLAN_HEADERS; i++) {
		k->vlan[i].tpid = f->vlans[i].tpid;
		k->vlan[i].tci = f->vlans[i].tci;
		/* Of a tag that is cut a packet has the type alone. */
		if (!mask && k->vlan[i].tpid && !(k->vlan[i].tci & htons(VLAN_CFI))) {
			k->eth_type = k->vlan[i].tpid;
			k->vlan[i].tpid = 0;
		}
	}
	l3_from_flow(k, f, like);
	if (mask)
		k->frag = f->nw_frag ? 0xff : 0;
	else
		k->frag = !f->nw_frag			    ? OVS_FRAG_NONE
			  : f->nw_frag & FLOW_NW_FRAG_LATER ? OVS_FRAG_LATER
							    : OVS_FRAG_FIRST;
}

static void l3_to_flow(const struct ovs_key *k, struct flow *f, const struct flow *like)
{
	if (like->dl_type == htons(ETH_TYPE_IPV6)) {
		memcpy(&f->ipv6_src, k->src, 16);
		memcpy(&f->ipv6_dst, k->dst, 16);
		memcpy(&f->ct_ipv6_src, k->ct_src, 16);
		memcpy(&f->ct_ipv6_dst, k->ct_dst, 16);
		f->ipv6_label = k->label;
	} else {
		f->nw_src = k->src[0];
		f->nw_dst = k->dst[0];
		f->ct_nw_src = k->ct_src[0];
		f->ct_nw_dst = k->ct_dst[0];
	}
	f->nw_proto = k->proto;
	f->nw_tos = k->tos;
	f->nw_ttl = k->ttl;
	f->tp_src = k->sport;
	f->tp_dst = k->dport;
	if (dl_is_arp(like->dl_type) || flow_is_nd(like)) {
		memcpy(&f->arp_sha, k->sha, ETH_ADDR_LEN);
		memcpy(&f->arp_tha, k->tha, ETH_ADDR_LEN);
	}
	if (flow_is_nd(like))
		memcpy(&f->nd_target, k->nd_target, 16);
	else
		f->tcp_flags = k->tcp_flags;
}

/* like: as above; NULL: f's own dl_type and nw_proto say it. */
static void to_flow(const struct ovs_key *k, struct flow *f, const struct flow *like, bool mask)
{
	memset(f, 0, sizeof(*f));
	like = like ? like : f;
	f->dl_type = k->eth_type;
	f->nw_proto = k->proto;
	dp_tun_to_flow(&k->tun, &f->tunnel, mask ? tun_is_v6(like) : k->tun.family == 6);
	f->in_port.odp_port = u32_to_odp(k->in_port);
	f->recirc_id = k->recirc_id;
	f->dp_hash = k->dp_hash;
	f->pkt_mark = k->skb_mark;
	f->skb_priority = k->skb_priority;
	f->ct_mark = k->ct_mark;
	memcpy(&f->ct_label, k->ct_label, sizeof(f->ct_label));
	f->ct_zone = k->ct_zone;
	f->ct_state = k->ct_state;
	f->ct_nw_proto = k->ct_proto;
	f->ct_tp_src = k->ct_sport;
	f->ct_tp_dst = k->ct_dport;
	memcpy(&f->dl_dst, k->eth_dst, ETH_ADDR_LEN);
	memcpy(&f->dl_src, k->eth_src, ETH_ADDR_LEN);
	for (int i = 0; i < FLOW_MAX_VLAN_HEADERS; i++) {
		f->vlans[i].tpid = k->vlan[i].tpid;
		f->vlans[i].tci = k->vlan[i].tci;
	}
	l3_to_flow(k, f, like);
	if (mask)
		f->nw_frag = k->frag ? FLOW_NW_FRAG_MASK : 0;
	else if (k->frag)
		f->nw_frag = k->frag == OVS_FRAG_FIRST ? FLOW_NW_FRAG_ANY : FLOW_NW_FRAG_MASK;
}

void dp_key_to_flow(const struct ovs_key *k, struct flow *f)
{
	to_flow(k, f, NULL, false);
}

void dp_key_from_flow(struct ovs_key *k, const struct flow *f)
{
	from_flow(k, f, f, false);
}

/*
 * What of a mask may differ when it comes back: fields that every packet of ours has the same, and
 * what is matched more exactly than was asked.
 */
static bool mask_kept(const struct flow *asked, const struct flow *key, const struct ovs_key *k)
{
	struct flow_tnl *t;
	struct flow m = *asked, back;

	to_flow(k, &back, key, true);
	m.packet_type = back.packet_type = 0;
	m.in_port.odp_port = back.in_port.odp_port;
	m.recirc_id = back.recirc_id;
	if (m.nw_frag)
		m.nw_frag = back.nw_frag;
	t = &m.tunnel;
	if (key->tunnel.flags & ~TUN_FLAGS)
		return false;
	t->flags &= TUN_FLAGS; /* of the others every packet has none */
	return !memcmp(&m, &back, sizeof(m));
}

static void apply_mask(struct ovs_key *k, const struct ovs_key *mask)
{
	uint64_t *to = (uint64_t *)k;
	const uint64_t *with = (const uint64_t *)mask;

	for (size_t i = 0; i < OVS_KEY_WORDS; i++)
		to[i] &= with[i];
}

/*
 * The attributes from `at` on, without those of headers that the datapath does not look into. Open
 * vSwitch takes a key that says MPLS or NSH and has no such attribute for what it is: one that
 * tells too little, and has the packets of such a flow go the slow way.
 */
static void strip_unknown(struct ofpbuf *buf, size_t at, bool only_empty)
{
	struct nlattr *attr;
	size_t len;

	while (at + NLA_HDRLEN <= buf->size) {
		attr = ofpbuf_at_assert(buf, at, NLA_HDRLEN);
		if (attr->nla_len < NLA_HDRLEN) /* malformed: its reader will say so */
			return;
		len = MIN(NLA_ALIGN(attr->nla_len), buf->size - at);
		if ((nl_attr_type(attr) == OVS_KEY_ATTR_MPLS ||
		     nl_attr_type(attr) == OVS_KEY_ATTR_NSH) &&
		    (!only_empty || !nl_attr_get_size(attr))) {
			memmove(attr, (char *)attr + len, buf->size - at - len);
			buf->size -= len;
		} else {
			at += len;
		}
	}
}

static bool readable(enum odp_key_fitness fitness, ovs_be16 dl_type)
{
	return fitness == ODP_FIT_PERFECT ||
	       (fitness == ODP_FIT_TOO_LITTLE &&
		(eth_type_mpls(dl_type) || dl_type == htons(ETH_TYPE_NSH)));
}

/* Does the key say more of such a header than that there is one? */
static bool says_header(const struct nlattr *key, size_t len)
{
	return nl_attr_find__(key, len, OVS_KEY_ATTR_MPLS) ||
	       nl_attr_find__(key, len, OVS_KEY_ATTR_NSH);
}

/* too_little: the key said nothing of such a header, so its mask cannot either. */
static int parse_mask(const struct nlattr *mask, size_t len, const struct flow *flow,
		      bool too_little, struct flow_wildcards *wc)
{
	enum odp_key_fitness fitness;
	struct odputil_keybuf room;
	struct ofpbuf buf;

	if (!len) {
		flow_wildcards_init_for_packet(wc, flow);
		wc->masks.igmp_group_ip4 = 0; /* no attribute says it */
		return 0;
	}
	ofpbuf_use_stack(&buf, &room, sizeof(room));
	if (len > sizeof(room))
		return EINVAL;
	ofpbuf_put(&buf, mask, len);
	strip_unknown(&buf, 0, !too_little);
	fitness = odp_flow_key_to_mask(buf.data, buf.size, wc, flow, NULL);
	return readable(fitness, flow->dl_type) ? 0 : EINVAL;
}

int dp_key_from_nlattrs(const struct nlattr *key, size_t key_len, const struct nlattr *mask,
			size_t mask_len, struct ovs_key *k, struct ovs_key *m)
{
	enum odp_key_fitness fitness;
	struct flow_wildcards wc;
	struct flow flow;

	if (!key_is_sized(key, key_len) || !key_is_sized(mask, mask_len))
		return EINVAL;
	fitness = odp_flow_key_to_flow(key, key_len, &flow, NULL);
	if (!readable(fitness, flow.dl_type) ||
	    parse_mask(mask, mask_len, &flow, !says_header(key, key_len), &wc) ||
	    flow.packet_type != htonl(PT_ETH))
		return EINVAL;
	from_flow(m, &wc.masks, &flow, true);
	m->in_port = m->recirc_id = UINT32_MAX;
	if (!mask_kept(&wc.masks, &flow, m))
		return EINVAL;
	from_flow(k, &flow, &flow, false);
	apply_mask(k, m);
	return 0;
}

void dp_key_to_nlattrs(const struct ovs_key *k, const struct ovs_key *m, struct ofpbuf *key,
		       struct ofpbuf *mask)
{
	struct odp_flow_key_parms parms = {.support = dp_key_fields};
	size_t key_at = key->size, mask_at = mask ? mask->size : 0;
	struct flow_wildcards wc;
	struct flow flow;

	to_flow(k, &flow, NULL, false);
	parms.flow = &flow;
	if (m) {
		to_flow(m, &wc.masks, &flow, true);
		parms.mask = &wc.masks;
	}
	odp_flow_key_from_flow(&parms, key);
	if (m) {
		parms.key_buf = key;
		odp_flow_key_from_mask(&parms, mask);
		strip_unknown(mask, mask_at, false);
	}
	strip_unknown(key, key_at, false);
}
