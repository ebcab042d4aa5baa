// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Actions: netlink attributes to the datapath's flat array. Strict: what is not known is EINVAL. */
#include "dpif-bpf-xlate.h"

#include <errno.h>
#include <stdlib.h>

#include "netlink.h"
#include "odp-util.h"
#include "packets.h"

struct build {
	struct ovs_action *a;
	unsigned int n;
	const struct dp_cookies *cookies; /* NULL: it is only to be seen whether all is well */
};

static int add_list(struct build *b, const struct nlattr *actions, size_t len, unsigned int depth);

static struct ovs_action *add(struct build *b, enum ovs_action_type type)
{
	struct ovs_action *a;

	if (b->n == OVS_FLOW_ACTIONS)
		return NULL;
	a = &b->a[b->n++];
	memset(a, 0, sizeof(*a));
	a->type = type;
	return a;
}

/* What goes up with the packet is kept as it is: it comes back so, too. */
static int add_cookie(struct build *b, const void *data, size_t len, uint32_t flags)
{
	struct ovs_cookie c = {.len = len};
	struct ovs_action *a;
	int ret = 0;

	if (len > sizeof(c.data))
		return EINVAL;
	memcpy(c.data, data, len);
	a = add(b, OVS_ACT_USERSPACE);
	if (!a)
		return EINVAL;
	a->user.flags = flags;
	if (b->cookies)
		ret = b->cookies->ref(b->cookies->arg, &c, &a->user.cookie);
	b->n -= !!ret;
	return ret;
}

static int add_userspace(struct build *b, const struct nlattr *attr)
{
	bool tunnel = nl_attr_find_nested(attr, OVS_USERSPACE_ATTR_EGRESS_TUN_PORT);

	return add_cookie(b, nl_attr_get(attr), nl_attr_get_size(attr),
			  tunnel ? OVS_USER_TUNNEL : 0);
}

static int add_rest(struct build *b, const struct nlattr *rest, size_t len)
{
	int ret = dp_user_check(rest, len);

	return ret ? ret : add_cookie(b, rest, len, dp_rest_flags(rest, len));
}

static int add_tunnel(struct build *b, const struct nlattr *attr)
{
	const uint16_t known = FLOW_TNL_F_DONT_FRAGMENT | FLOW_TNL_F_CSUM | FLOW_TNL_F_KEY;
	struct ovs_action *a;
	struct flow_tnl t;

	memset(&t, 0, sizeof(t));
	if (!dp_tun_is_sized(attr) || odp_tun_key_from_attr(attr, &t, NULL) == ODP_FIT_ERROR)
		return EINVAL;
	if ((t.flags & ~known) || t.gbp_id || t.gbp_flags || t.erspan_ver || t.gtpu_flags ||
	    t.gtpu_msgtype || t.metadata.present.map || t.tp_src || !flow_tnl_dst_is_set(&t))
		return EINVAL;
	a = add(b, OVS_ACT_SET_TUNNEL);
	if (!a)
		return EINVAL;
	dp_tun_from_flow(&a->tun, &t, !t.ip_dst, false);
	a->note = (OVS_FORCE uint16_t)t.tp_dst; /* the device's own: dp_bpf_actions_ref() */
	return 0;
}

/* Copies a field and its mask; the value within the mask. */
static void field(void *value, void *mask, const void *from, const void *from_mask, size_t len)
{
	uint8_t *v = value, *m = mask;
	const uint8_t *fv = from, *fm = from_mask;

	while (len--) {
		*m = fm ? *fm++ : 0xff;
		*v++ = *fv++ & *m++;
	}
}

#define FIELD(to, from) field(&a->to, &a->to##_mask, &k->from, m ? &m->from : NULL, sizeof(a->to))
#define KEY_AND_MASK(type)                                                                         \
	const type *k = key, *m = mask ? k + 1 : NULL;                                             \
	if (len != sizeof(*k) * (mask ? 2 : 1))                                                    \
		return EINVAL;

static int set_eth(struct ovs_set_eth *a, const void *key, size_t len, bool mask)
{
	KEY_AND_MASK(struct ovs_key_ethernet);
	FIELD(dst, eth_dst);
	FIELD(src, eth_src);
	return 0;
}

static int set_ip4(struct ovs_set_ip4 *a, const void *key, size_t len, bool mask)
{
	KEY_AND_MASK(struct ovs_key_ipv4);
	if (m && (m->ipv4_proto || m->ipv4_frag))
		return EINVAL;
	FIELD(src, ipv4_src);
	FIELD(dst, ipv4_dst);
	FIELD(tos, ipv4_tos);
	FIELD(ttl, ipv4_ttl);
	return 0;
}

static int set_ip6(struct ovs_set_ip6 *a, const void *key, size_t len, bool mask)
{
	KEY_AND_MASK(struct ovs_key_ipv6);
	if (m && (m->ipv6_proto || m->ipv6_frag))
		return EINVAL;
	FIELD(src, ipv6_src);
	FIELD(dst, ipv6_dst);
	FIELD(label, ipv6_label);
	FIELD(tos, ipv6_tclass);
	FIELD(ttl, ipv6_hlimit);
	a->label_mask &= htonl(0xfffff);
	a->label &= a->label_mask;
	return 0;
}

static int set_ports(struct ovs_set_ports *a, const void *key, size_t len, bool mask)
{
	KEY_AND_MASK(struct ovs_key_tcp); /* UDP's and SCTP's are the same */
	FIELD(sport, tcp_src);
	FIELD(dport, tcp_dst);
	return 0;
}

static int set_icmp(struct ovs_set_ports *a, const void *key, size_t len, bool mask)
{
	KEY_AND_MASK(struct ovs_key_icmp); /* ICMPv6's is the same */
	a->sport = htons(k->icmp_type);
	a->dport = htons(k->icmp_code);
	a->sport_mask = m ? htons(m->icmp_type) : htons(0xff);
	a->dport_mask = m ? htons(m->icmp_code) : htons(0xff);
	return 0;
}

static int set_arp(struct ovs_set_arp *a, const void *key, size_t len, bool mask)
{
	KEY_AND_MASK(struct ovs_key_arp);
	FIELD(sip, arp_sip);
	FIELD(tip, arp_tip);
	FIELD(op, arp_op);
	FIELD(sha, arp_sha);
	FIELD(tha, arp_tha);
	return 0;
}

static int set_nd(struct ovs_set_nd *a, const void *key, size_t len, bool mask)
{
	KEY_AND_MASK(struct ovs_key_nd);
	FIELD(target, nd_target);
	FIELD(sll, nd_sll);
	FIELD(tll, nd_tll);
	return 0;
}

static int set_word(struct ovs_set_word *a, const void *key, size_t len, bool mask)
{
	const uint32_t *k = key;

	if (len != (mask ? 8 : 4))
		return EINVAL;
	a->mask = mask ? k[1] : UINT32_MAX;
	a->value = k[0] & a->mask;
	return 0;
}

static int fill_set(struct build *b, const struct nlattr *attr, bool mask)
{
	const void *key = nl_attr_get(attr);
	size_t len = nl_attr_get_size(attr);
	struct ovs_action *a;

#define SET(what, fill, member)                                                                    \
	a = add(b, what);                                                                          \
	return a ? fill(&a->member, key, len, mask) : EINVAL
	switch (nl_attr_type(attr)) {
	case OVS_KEY_ATTR_ETHERNET:
		SET(OVS_ACT_SET_ETH, set_eth, eth);
	case OVS_KEY_ATTR_IPV4:
		SET(OVS_ACT_SET_IPV4, set_ip4, ip4);
	case OVS_KEY_ATTR_IPV6:
		SET(OVS_ACT_SET_IPV6, set_ip6, ip6);
	case OVS_KEY_ATTR_TCP:
	case OVS_KEY_ATTR_UDP:
	case OVS_KEY_ATTR_SCTP:
		SET(OVS_ACT_SET_PORTS, set_ports, ports);
	case OVS_KEY_ATTR_ICMP:
	case OVS_KEY_ATTR_ICMPV6:
		SET(OVS_ACT_SET_ICMP, set_icmp, ports);
	case OVS_KEY_ATTR_ARP:
		SET(OVS_ACT_SET_ARP, set_arp, arp);
	case OVS_KEY_ATTR_ND:
		SET(OVS_ACT_SET_ND, set_nd, nd);
	case OVS_KEY_ATTR_SKB_MARK:
		SET(OVS_ACT_SET_MARK, set_word, word);
	case OVS_KEY_ATTR_PRIORITY:
		SET(OVS_ACT_SET_PRIORITY, set_word, word);
	}
#undef SET
	return EINVAL;
}

static int add_set(struct build *b, const struct nlattr *set, bool mask)
{
	const struct nlattr *attr = nl_attr_get(set);
	size_t size = nl_attr_get_size(set);
	unsigned int at = b->n;
	int ret;

	if (size < NLA_HDRLEN || attr->nla_len < NLA_HDRLEN || attr->nla_len > size)
		return EINVAL;
	if (nl_attr_type(attr) == OVS_KEY_ATTR_TUNNEL)
		return mask ? EINVAL : add_tunnel(b, attr);
	ret = fill_set(b, attr, mask);
	/* Which of the three it was has to be known to write it back. */
	if (!ret && b->a[at].type == OVS_ACT_SET_PORTS)
		b->a[at].note = nl_attr_type(attr);
	if (!ret && b->a[at].type == OVS_ACT_SET_ICMP)
		b->a[at].note = nl_attr_type(attr);
	return ret;
}

/* nl_attr_get_u16() and the like end the process where the size is another. */
static int number16(const struct nlattr *attr, uint16_t *to)
{
	if (nl_attr_get_size(attr) != sizeof(*to))
		return EINVAL;
	*to = nl_attr_get_u16(attr);
	return 0;
}

static int number32(const struct nlattr *attr, uint32_t *to)
{
	if (!attr || nl_attr_get_size(attr) != sizeof(*to))
		return EINVAL;
	*to = nl_attr_get_u32(attr);
	return 0;
}

static int add_nat_address(struct ovs_ct *ct, __be32 to[4], const struct nlattr *attr)
{
	size_t len = nl_attr_get_size(attr);

	if (len != 4 && len != 16)
		return EINVAL;
	if (ct->family && ct->family != (len == 4 ? 4 : 6))
		return EINVAL;
	ct->family = len == 4 ? 4 : 6;
	memcpy(to, nl_attr_get(attr), len);
	return 0;
}

static int add_nat(struct ovs_ct *ct, const struct nlattr *nat)
{
	const struct nlattr *attr;
	bool max = false;
	size_t left;
	int ret = 0;

	ct->flags |= OVS_CT_NAT;
	NL_NESTED_FOR_EACH(attr, left, nat)
	{
		switch (nl_attr_type(attr)) {
		case OVS_NAT_ATTR_SRC:
			ct->flags |= OVS_CT_NAT_SRC;
			break;
		case OVS_NAT_ATTR_DST:
			ct->flags |= OVS_CT_NAT_DST;
			break;
		case OVS_NAT_ATTR_IP_MIN:
			ret = add_nat_address(ct, ct->addr_min, attr);
			break;
		case OVS_NAT_ATTR_IP_MAX:
			ret = add_nat_address(ct, ct->addr_max, attr);
			max = true;
			break;
		case OVS_NAT_ATTR_PROTO_MIN:
			ret = number16(attr, &ct->port_min);
			break;
		case OVS_NAT_ATTR_PROTO_MAX:
			ret = number16(attr, &ct->port_max);
			break;
		case OVS_NAT_ATTR_PERSISTENT:
			ct->flags |= OVS_CT_PERSISTENT;
			break;
		case OVS_NAT_ATTR_PROTO_HASH:
			ct->flags |= OVS_CT_HASH;
			break;
		case OVS_NAT_ATTR_PROTO_RANDOM:
			ct->flags |= OVS_CT_RANDOM;
			break;
		default:
			ret = EINVAL;
		}
		if (ret)
			return ret;
	}
	if (!max)
		memcpy(ct->addr_max, ct->addr_min, sizeof(ct->addr_max));
	if (!ct->port_max)
		ct->port_max = ct->port_min;
	if ((ct->flags & OVS_CT_NAT_SRC && ct->flags & OVS_CT_NAT_DST) ||
	    (ct->family && !(ct->flags & (OVS_CT_NAT_SRC | OVS_CT_NAT_DST))) ||
	    ct->port_max < ct->port_min)
		return EINVAL;
	return 0;
}

static bool is_text(const struct nlattr *attr)
{
	return nl_attr_get_size(attr) && memchr(nl_attr_get(attr), 0, nl_attr_get_size(attr));
}

/* The name that dp_bpf_ct_timeout_name() gave. */
static int ct_timeout(const struct nlattr *attr, uint8_t *policy)
{
	unsigned long n;
	char *end;

	if (!is_text(attr))
		return EINVAL;
	/* By this one Open vSwitch asks whether there are policies at all. */
	if (!strcmp(nl_attr_get_string(attr), "ovs_test_tp"))
		return 0;
	n = strtoul(nl_attr_get_string(attr), &end, 10);
	if (*end || n > 255)
		return EINVAL;
	*policy = n;
	return 0;
}

static int ct_helper(const struct nlattr *attr, uint8_t *helper)
{
	if (!is_text(attr))
		return EINVAL;
	for (*helper = OVS_ALG_FTP; dp_helper_name(*helper); ++*helper)
		if (!strcmp(nl_attr_get_string(attr), dp_helper_name(*helper)))
			return 0;
	return EINVAL;
}

static int ct_attr(struct ovs_ct *ct, const struct nlattr *attr)
{
	const uint32_t *word = nl_attr_get(attr);
	size_t len = nl_attr_get_size(attr);

	switch (nl_attr_type(attr)) {
	case OVS_CT_ATTR_COMMIT:
		ct->flags |= OVS_CT_COMMIT;
		return 0;
	case OVS_CT_ATTR_FORCE_COMMIT:
		ct->flags |= OVS_CT_COMMIT | OVS_CT_FORCE;
		return 0;
	case OVS_CT_ATTR_ZONE:
		return number16(attr, &ct->zone);
	case OVS_CT_ATTR_MARK:
		if (len != 8)
			return EINVAL;
		ct->flags |= OVS_CT_MARK;
		ct->mark = word[0] & word[1];
		ct->mark_mask = word[1];
		return 0;
	case OVS_CT_ATTR_LABELS:
		if (len != 32)
			return EINVAL;
		ct->flags |= OVS_CT_LABEL;
		for (int i = 0; i < 4; i++) {
			ct->label_mask[i] = word[4 + i];
			ct->label[i] = word[i] & word[4 + i];
		}
		return 0;
	case OVS_CT_ATTR_TIMEOUT:
		return ct_timeout(attr, &ct->timeout);
	case OVS_CT_ATTR_NAT:
		return add_nat(ct, attr);
	case OVS_CT_ATTR_HELPER:
		return ct_helper(attr, &ct->alg);
	}
	/* EVENTMASK: whoever listens hears of all connections. */
	return EINVAL;
}

static int add_ct(struct build *b, const struct nlattr *nested)
{
	struct ovs_action *a = add(b, OVS_ACT_CT);
	const struct nlattr *attr;
	size_t left;
	int ret;

	if (!a)
		return EINVAL;
	NL_NESTED_FOR_EACH(attr, left, nested)
	{
		ret = ct_attr(&a->ct, attr);
		if (ret)
			return ret;
	}
	if (!(a->ct.flags & OVS_CT_COMMIT) &&
	    (a->ct.flags & (OVS_CT_NAT_SRC | OVS_CT_NAT_DST | OVS_CT_MARK | OVS_CT_LABEL) ||
	     a->ct.alg))
		return EINVAL;
	return 0;
}

static int add_body(struct build *b, const struct nlattr *nested, unsigned int depth,
		    uint16_t *count)
{
	unsigned int before = b->n;
	int ret;

	if (depth == OVS_NEST_MAX)
		return EINVAL;
	ret = add_list(b, nl_attr_get(nested), nl_attr_get_size(nested), depth + 1);
	*count = b->n - before;
	return ret;
}

static int add_sample(struct build *b, const struct nlattr *nested, unsigned int depth)
{
	const struct nlattr *prob = nl_attr_find_nested(nested, OVS_SAMPLE_ATTR_PROBABILITY);
	const struct nlattr *body = nl_attr_find_nested(nested, OVS_SAMPLE_ATTR_ACTIONS);
	struct ovs_action *a = add(b, OVS_ACT_SAMPLE);

	if (!a || !body || number32(prob, &a->sample.probability))
		return EINVAL;
	return add_body(b, body, depth, &a->sample.body);
}

static int add_clone(struct build *b, const struct nlattr *nested, unsigned int depth)
{
	struct ovs_action *a = add(b, OVS_ACT_CLONE);

	return a ? add_body(b, nested, depth, &a->body) : EINVAL;
}

static int add_check(struct build *b, const struct nlattr *n, unsigned int depth)
{
	const struct nlattr *len = nl_attr_find_nested(n, OVS_CHECK_PKT_LEN_ATTR_PKT_LEN);
	const struct nlattr *more =
		nl_attr_find_nested(n, OVS_CHECK_PKT_LEN_ATTR_ACTIONS_IF_GREATER);
	const struct nlattr *less =
		nl_attr_find_nested(n, OVS_CHECK_PKT_LEN_ATTR_ACTIONS_IF_LESS_EQUAL);
	struct ovs_action *a = add(b, OVS_ACT_CHECK_LEN);
	uint16_t bytes;
	int ret;

	if (!a || !len || !more || !less || number16(len, &bytes))
		return EINVAL;
	a->check.len = bytes;
	ret = add_body(b, more, depth, &a->check.body);
	return ret ? ret : add_body(b, less, depth, &a->check.body2);
}

static int add_hash(struct build *b, const struct nlattr *attr)
{
	const struct ovs_action_hash *h = nl_attr_get(attr);
	struct ovs_action *a = add(b, OVS_ACT_HASH);

	if (!a || nl_attr_get_size(attr) != sizeof(*h) ||
	    (h->hash_alg != OVS_HASH_ALG_L4 && h->hash_alg != OVS_HASH_ALG_SYM_L4))
		return EINVAL;
	a->hash.alg = h->hash_alg;
	a->hash.basis = h->hash_basis;
	return 0;
}

static int add_vlan(struct build *b, const struct nlattr *attr)
{
	const struct ovs_action_push_vlan *v = nl_attr_get(attr);
	struct ovs_action *a = add(b, OVS_ACT_PUSH_VLAN);

	if (!a || nl_attr_get_size(attr) != sizeof(*v) || !eth_type_vlan(v->vlan_tpid) ||
	    !(v->vlan_tci & htons(VLAN_CFI)))
		return EINVAL;
	a->vlan.tpid = v->vlan_tpid;
	a->vlan.tci = v->vlan_tci;
	return 0;
}

static int add_word(struct build *b, const struct nlattr *attr, enum ovs_action_type type)
{
	struct ovs_action *a = add(b, type);

	if (!a || nl_attr_get_size(attr) != 4)
		return EINVAL;
	a->id = nl_attr_get_u32(attr); /* port, id, len: one union */
	return type == OVS_ACT_TRUNC && a->len < ETH_HEADER_LEN ? EINVAL : 0;
}

static int add_one(struct build *b, const struct nlattr *attr, unsigned int depth)
{
	switch (nl_attr_type(attr)) {
	case OVS_ACTION_ATTR_OUTPUT:
		return add_word(b, attr, OVS_ACT_OUTPUT);
	case OVS_ACTION_ATTR_RECIRC:
		return add_word(b, attr, OVS_ACT_RECIRC);
	case OVS_ACTION_ATTR_METER:
		return add_word(b, attr, OVS_ACT_METER);
	case OVS_ACTION_ATTR_TRUNC:
		return add_word(b, attr, OVS_ACT_TRUNC);
	case OVS_ACTION_ATTR_USERSPACE:
		return add_userspace(b, attr);
	case OVS_ACTION_ATTR_SET:
		return add_set(b, attr, false);
	case OVS_ACTION_ATTR_SET_MASKED:
		return add_set(b, attr, true);
	case OVS_ACTION_ATTR_PUSH_VLAN:
		return add_vlan(b, attr);
	case OVS_ACTION_ATTR_POP_VLAN:
		return add(b, OVS_ACT_POP_VLAN) ? 0 : EINVAL;
	case OVS_ACTION_ATTR_CT:
		return add_ct(b, attr);
	case OVS_ACTION_ATTR_CT_CLEAR:
		return add(b, OVS_ACT_CT_CLEAR) ? 0 : EINVAL;
	case OVS_ACTION_ATTR_HASH:
		return add_hash(b, attr);
	case OVS_ACTION_ATTR_SAMPLE:
		return add_sample(b, attr, depth);
	case OVS_ACTION_ATTR_CLONE:
		return add_clone(b, attr, depth);
	case OVS_ACTION_ATTR_CHECK_PKT_LEN:
		return add_check(b, attr, depth);
	case OVS_ACTION_ATTR_DROP:
		return add(b, OVS_ACT_DROP) ? 0 : EINVAL;
	}
	return EINVAL;
}

static int add_list(struct build *b, const struct nlattr *actions, size_t len, unsigned int depth)
{
	const struct nlattr *attr;
	size_t left;
	int ret;

	NL_ATTR_FOR_EACH(attr, left, actions, len)
	{
		ret = add_one(b, attr, depth);
		if (ret)
			return ret;
	}
	return left ? EINVAL : 0;
}

int dp_actions_from_nlattrs(const struct nlattr *actions, size_t len, const struct dp_cookies *c,
			    struct ovs_action a[OVS_FLOW_ACTIONS], unsigned int *n)
{
	size_t own = dp_user_begin(actions, len);
	struct build b = {.a = a, .cookies = c};
	int ret = add_list(&b, actions, own, 0);

	if (!ret && own < len)
		ret = add_rest(&b, ALIGNED_CAST(const struct nlattr *, (const char *)actions + own),
			       len - own);
	*n = b.n;
	return ret;
}

int dp_action_check(const struct nlattr *action)
{
	struct ovs_action a[OVS_FLOW_ACTIONS];
	struct build b = {.a = a};

	return add_one(&b, action, 0);
}
