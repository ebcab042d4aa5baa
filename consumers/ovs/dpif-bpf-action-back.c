// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Actions as Open vSwitch writes them, from the datapath's flat array. */
#include "dpif-bpf-xlate.h"

#include "netlink.h"
#include "odp-util.h"
#include "packets.h"

struct walk {
	const struct ovs_action *const *a;
	unsigned int at;
	const struct dp_cookies *cookies;
	struct ofpbuf *out;
};

static void put_list(struct walk *w, unsigned int end);

/* An unmasked SET if the mask is all ones. */
static void put_set(struct ofpbuf *out, int type, const void *key, const void *mask, size_t len)
{
	bool masked = !is_all_ones(mask, len);
	size_t at =
		nl_msg_start_nested(out, masked ? OVS_ACTION_ATTR_SET_MASKED : OVS_ACTION_ATTR_SET);
	uint8_t *to = nl_msg_put_unspec_uninit(out, type, masked ? 2 * len : len);

	memcpy(to, key, len);
	if (masked)
		memcpy(to + len, mask, len);
	nl_msg_end_nested(out, at);
}

static void put_ip4(struct ofpbuf *out, const struct ovs_set_ip4 *a)
{
	struct ovs_key_ipv4 k = {
		.ipv4_src = a->src, .ipv4_dst = a->dst, .ipv4_tos = a->tos, .ipv4_ttl = a->ttl};
	struct ovs_key_ipv4 m = {.ipv4_src = a->src_mask,
				 .ipv4_dst = a->dst_mask,
				 .ipv4_tos = a->tos_mask,
				 .ipv4_ttl = a->ttl_mask};

	put_set(out, OVS_KEY_ATTR_IPV4, &k, &m, sizeof(k));
}

static void put_ip6(struct ofpbuf *out, const struct ovs_set_ip6 *a)
{
	struct ovs_key_ipv6 k = {
		.ipv6_label = a->label, .ipv6_tclass = a->tos, .ipv6_hlimit = a->ttl};
	struct ovs_key_ipv6 m = {.ipv6_label = a->label_mask,
				 .ipv6_tclass = a->tos_mask,
				 .ipv6_hlimit = a->ttl_mask};

	memcpy(&k.ipv6_src, a->src, 16);
	memcpy(&k.ipv6_dst, a->dst, 16);
	memcpy(&m.ipv6_src, a->src_mask, 16);
	memcpy(&m.ipv6_dst, a->dst_mask, 16);
	put_set(out, OVS_KEY_ATTR_IPV6, &k, &m, sizeof(k));
}

static void put_eth(struct ofpbuf *out, const struct ovs_set_eth *a)
{
	struct ovs_key_ethernet k, m;

	memcpy(&k.eth_src, a->src, 6);
	memcpy(&k.eth_dst, a->dst, 6);
	memcpy(&m.eth_src, a->src_mask, 6);
	memcpy(&m.eth_dst, a->dst_mask, 6);
	put_set(out, OVS_KEY_ATTR_ETHERNET, &k, &m, sizeof(k));
}

static void put_icmp(struct ofpbuf *out, const struct ovs_action *a)
{
	struct ovs_key_icmp k = {ntohs(a->ports.sport), ntohs(a->ports.dport)};
	struct ovs_key_icmp m = {ntohs(a->ports.sport_mask), ntohs(a->ports.dport_mask)};

	put_set(out, a->note, &k, &m, sizeof(k));
}

static void put_arp(struct ofpbuf *out, const struct ovs_set_arp *a)
{
	struct ovs_key_arp k = {.arp_sip = a->sip, .arp_tip = a->tip, .arp_op = a->op};
	struct ovs_key_arp m = {
		.arp_sip = a->sip_mask, .arp_tip = a->tip_mask, .arp_op = a->op_mask};

	memcpy(&k.arp_sha, a->sha, 6);
	memcpy(&k.arp_tha, a->tha, 6);
	memcpy(&m.arp_sha, a->sha_mask, 6);
	memcpy(&m.arp_tha, a->tha_mask, 6);
	put_set(out, OVS_KEY_ATTR_ARP, &k, &m, sizeof(k));
}

static void put_nd(struct ofpbuf *out, const struct ovs_set_nd *a)
{
	struct ovs_key_nd k, m;

	memcpy(&k.nd_target, a->target, 16);
	memcpy(&k.nd_sll, a->sll, 6);
	memcpy(&k.nd_tll, a->tll, 6);
	memcpy(&m.nd_target, a->target_mask, 16);
	memcpy(&m.nd_sll, a->sll_mask, 6);
	memcpy(&m.nd_tll, a->tll_mask, 6);
	put_set(out, OVS_KEY_ATTR_ND, &k, &m, sizeof(k));
}

static void put_tunnel(struct ofpbuf *out, const struct ovs_key_tun *tun, ovs_be16 tp_dst)
{
	struct flow_tnl t;

	memset(&t, 0, sizeof(t));
	dp_tun_to_flow(tun, &t, tun->family == 6);
	t.tp_dst = tp_dst;
	odp_put_tunnel_action(&t, out, NULL);
}

static void put_address(struct ofpbuf *out, int type, const __be32 *addr, uint8_t family)
{
	nl_msg_put_unspec(out, type, addr, family == 4 ? 4 : 16);
}

static void put_nat(struct ofpbuf *out, const struct ovs_ct *ct)
{
	size_t at = nl_msg_start_nested(out, OVS_CT_ATTR_NAT);

	if (ct->flags & OVS_CT_NAT_SRC)
		nl_msg_put_flag(out, OVS_NAT_ATTR_SRC);
	if (ct->flags & OVS_CT_NAT_DST)
		nl_msg_put_flag(out, OVS_NAT_ATTR_DST);
	if (ct->flags & OVS_CT_PERSISTENT)
		nl_msg_put_flag(out, OVS_NAT_ATTR_PERSISTENT);
	if (ct->flags & OVS_CT_HASH)
		nl_msg_put_flag(out, OVS_NAT_ATTR_PROTO_HASH);
	if (ct->flags & OVS_CT_RANDOM)
		nl_msg_put_flag(out, OVS_NAT_ATTR_PROTO_RANDOM);
	if (ct->family) {
		put_address(out, OVS_NAT_ATTR_IP_MIN, ct->addr_min, ct->family);
		if (memcmp(ct->addr_min, ct->addr_max, sizeof(ct->addr_min)))
			put_address(out, OVS_NAT_ATTR_IP_MAX, ct->addr_max, ct->family);
	}
	if (ct->port_min)
		nl_msg_put_u16(out, OVS_NAT_ATTR_PROTO_MIN, ct->port_min);
	if (ct->port_max > ct->port_min)
		nl_msg_put_u16(out, OVS_NAT_ATTR_PROTO_MAX, ct->port_max);
	nl_msg_end_nested(out, at);
}

const char *dp_helper_name(uint8_t helper)
{
	static const char *const names[] = {
		[OVS_ALG_FTP] = "ftp", [OVS_ALG_TFTP] = "tftp", [OVS_ALG_SIP] = "sip"};

	return helper < ARRAY_SIZE(names) ? names[helper] : NULL;
}

static void put_ct(struct ofpbuf *out, const struct ovs_ct *ct)
{
	size_t at = nl_msg_start_nested(out, OVS_ACTION_ATTR_CT);
	char policy[4];

	if (ct->flags & OVS_CT_COMMIT)
		nl_msg_put_flag(out, ct->flags & OVS_CT_FORCE ? OVS_CT_ATTR_FORCE_COMMIT
							      : OVS_CT_ATTR_COMMIT);
	if (ct->timeout) {
		snprintf(policy, sizeof(policy), "%u", ct->timeout);
		nl_msg_put_string(out, OVS_CT_ATTR_TIMEOUT, policy);
	}
	nl_msg_put_u16(out, OVS_CT_ATTR_ZONE, ct->zone);
	if (ct->flags & OVS_CT_MARK) {
		uint32_t mark[2] = {ct->mark, ct->mark_mask};

		nl_msg_put_unspec(out, OVS_CT_ATTR_MARK, mark, sizeof(mark));
	}
	if (ct->flags & OVS_CT_LABEL) {
		uint8_t *label = nl_msg_put_unspec_uninit(out, OVS_CT_ATTR_LABELS, 32);

		memcpy(label, ct->label, 16);
		memcpy(label + 16, ct->label_mask, 16);
	}
	if (ct->alg)
		nl_msg_put_string(out, OVS_CT_ATTR_HELPER, dp_helper_name(ct->alg));
	if (ct->flags & OVS_CT_NAT)
		put_nat(out, ct);
	nl_msg_end_nested(out, at);
}

static void put_userspace(struct walk *w, const struct ovs_user *user)
{
	const struct ovs_cookie *c = w->cookies->get(w->cookies->arg, user->cookie);
	size_t at;

	if (user->flags & OVS_USER_REST) {
		if (c)
			ofpbuf_put(w->out, c->data, c->len);
		return;
	}
	at = nl_msg_start_nested(w->out, OVS_ACTION_ATTR_USERSPACE);
	if (c)
		ofpbuf_put(w->out, c->data, c->len);
	nl_msg_end_nested(w->out, at);
}

static void put_body(struct walk *w, int type, unsigned int n)
{
	size_t at = nl_msg_start_nested(w->out, type);

	put_list(w, w->at + n);
	nl_msg_end_nested(w->out, at);
}

static void put_nested(struct walk *w, const struct ovs_action *a)
{
	size_t at;

	if (a->type == OVS_ACT_CLONE) {
		put_body(w, OVS_ACTION_ATTR_CLONE, a->body);
	} else if (a->type == OVS_ACT_SAMPLE) {
		at = nl_msg_start_nested(w->out, OVS_ACTION_ATTR_SAMPLE);
		nl_msg_put_u32(w->out, OVS_SAMPLE_ATTR_PROBABILITY, a->sample.probability);
		put_body(w, OVS_SAMPLE_ATTR_ACTIONS, a->sample.body);
		nl_msg_end_nested(w->out, at);
	} else {
		at = nl_msg_start_nested(w->out, OVS_ACTION_ATTR_CHECK_PKT_LEN);
		nl_msg_put_u16(w->out, OVS_CHECK_PKT_LEN_ATTR_PKT_LEN, a->check.len);
		put_body(w, OVS_CHECK_PKT_LEN_ATTR_ACTIONS_IF_GREATER, a->check.body);
		put_body(w, OVS_CHECK_PKT_LEN_ATTR_ACTIONS_IF_LESS_EQUAL, a->check.body2);
		nl_msg_end_nested(w->out, at);
	}
}

static void put_header(struct ofpbuf *out, const struct ovs_action *a)
{
	switch (a->type) {
	case OVS_ACT_SET_ETH:
		put_eth(out, &a->eth);
		break;
	case OVS_ACT_SET_IPV4:
		put_ip4(out, &a->ip4);
		break;
	case OVS_ACT_SET_IPV6:
		put_ip6(out, &a->ip6);
		break;
	case OVS_ACT_SET_PORTS:
		put_set(out, a->note, &a->ports.sport, &a->ports.sport_mask, 4);
		break;
	case OVS_ACT_SET_ICMP:
		put_icmp(out, a);
		break;
	case OVS_ACT_SET_ARP:
		put_arp(out, &a->arp);
		break;
	case OVS_ACT_SET_ND:
		put_nd(out, &a->nd);
		break;
	case OVS_ACT_SET_MARK:
		put_set(out, OVS_KEY_ATTR_SKB_MARK, &a->word.value, &a->word.mask, 4);
		break;
	case OVS_ACT_SET_PRIORITY:
		put_set(out, OVS_KEY_ATTR_PRIORITY, &a->word.value, &a->word.mask, 4);
		break;
	case OVS_ACT_SET_TUNNEL:
		put_tunnel(out, &a->tun, (OVS_FORCE ovs_be16)a->note);
		break;
	}
}

static void put_vlan(struct ofpbuf *out, const struct ovs_vlan *v)
{
	struct ovs_action_push_vlan p = {.vlan_tpid = v->tpid, .vlan_tci = v->tci};

	nl_msg_put_unspec(out, OVS_ACTION_ATTR_PUSH_VLAN, &p, sizeof(p));
}

static void put_hash(struct ofpbuf *out, const struct ovs_hash *h)
{
	struct ovs_action_hash p = {.hash_alg = h->alg, .hash_basis = h->basis};

	nl_msg_put_unspec(out, OVS_ACTION_ATTR_HASH, &p, sizeof(p));
}

static void put_one(struct walk *w, const struct ovs_action *a)
{
	static const int word[] = {[OVS_ACT_OUTPUT] = OVS_ACTION_ATTR_OUTPUT,
				   [OVS_ACT_RECIRC] = OVS_ACTION_ATTR_RECIRC,
				   [OVS_ACT_METER] = OVS_ACTION_ATTR_METER,
				   [OVS_ACT_TRUNC] = OVS_ACTION_ATTR_TRUNC};

	switch (a->type) {
	case OVS_ACT_OUTPUT:
	case OVS_ACT_RECIRC:
	case OVS_ACT_METER:
	case OVS_ACT_TRUNC:
		nl_msg_put_u32(w->out, word[a->type], a->id);
		break;
	case OVS_ACT_USERSPACE:
		put_userspace(w, &a->user);
		break;
	case OVS_ACT_PUSH_VLAN:
		put_vlan(w->out, &a->vlan);
		break;
	case OVS_ACT_POP_VLAN:
		nl_msg_put_flag(w->out, OVS_ACTION_ATTR_POP_VLAN);
		break;
	case OVS_ACT_CT:
		put_ct(w->out, &a->ct);
		break;
	case OVS_ACT_CT_CLEAR:
		nl_msg_put_flag(w->out, OVS_ACTION_ATTR_CT_CLEAR);
		break;
	case OVS_ACT_HASH:
		put_hash(w->out, &a->hash);
		break;
	case OVS_ACT_DROP:
		nl_msg_put_u32(w->out, OVS_ACTION_ATTR_DROP, 0);
		break;
	case OVS_ACT_SAMPLE:
	case OVS_ACT_CLONE:
	case OVS_ACT_CHECK_LEN:
		put_nested(w, a);
		break;
	default:
		put_header(w->out, a);
	}
}

static void put_list(struct walk *w, unsigned int end)
{
	while (w->at < end)
		put_one(w, w->a[w->at++]);
}

void dp_actions_to_nlattrs(const struct ovs_action *const a[], unsigned int n,
			   const struct dp_cookies *c, struct ofpbuf *out)
{
	struct walk w = {.a = a, .cookies = c, .out = out};

	put_list(&w, n);
}
