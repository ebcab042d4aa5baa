// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "nfct_flow.h"

#include <errno.h>
#include <string.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack_tcp.h>
#include <libnetfilter_conntrack/linux_nfnetlink_conntrack.h>

#include "flow_make.h"

#define NS_PER_S 1000000000ULL

/* netfilter's IP_CT_TCP_FLAG_*, of which ours have the numbers. */
#define TCP_FLAGS (CT_TCP_F_WSCALE | CT_TCP_F_SACK_PERM | CT_TCP_F_CLOSE_INIT)

/* Attributes of one direction. */
struct side_attr {
	enum nf_conntrack_attr src4, dst4, src6, dst6, sport, dport;
};

static const struct side_attr side_attr[2] = {
	[CT_ORIG] = {ATTR_ORIG_IPV4_SRC, ATTR_ORIG_IPV4_DST, ATTR_ORIG_IPV6_SRC, ATTR_ORIG_IPV6_DST,
		     ATTR_ORIG_PORT_SRC, ATTR_ORIG_PORT_DST},
	[CT_REPLY] = {ATTR_REPL_IPV4_SRC, ATTR_REPL_IPV4_DST, ATTR_REPL_IPV6_SRC,
		      ATTR_REPL_IPV6_DST, ATTR_REPL_PORT_SRC, ATTR_REPL_PORT_DST},
};

static bool has_ports(uint8_t proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_UDPLITE ||
	       proto == IPPROTO_SCTP;
}

static bool read_side(const struct nf_conntrack *ct, int dir, int family, uint8_t proto,
		      struct ct_side *side)
{
	const struct side_attr *a = &side_attr[dir];
	const void *src = nfct_get_attr(ct, family == 6 ? a->src6 : a->src4);
	const void *dst = nfct_get_attr(ct, family == 6 ? a->dst6 : a->dst4);
	size_t len = family == 6 ? 16 : 4;

	if (!src || !dst)
		return false;
	memcpy(side->src, src, len);
	memcpy(side->dst, dst, len);
	if (has_ports(proto)) {
		side->sport = ntohs(nfct_get_attr_u16(ct, a->sport));
		side->dport = ntohs(nfct_get_attr_u16(ct, a->dport));
	}
	return true;
}

/*
 * A call of PPTP that nf_conntrack_pptp has followed: both ids, each direction as it is sent.
 * Without that helper the kernel keeps the receiver's id alone, of the packet that came first; such
 * GRE goes by address here.
 */
static void read_call(const struct nf_conntrack *ct, struct ct_side side[2])
{
	if (!nfct_get_attr_u16(ct, ATTR_ORIG_PORT_SRC))
		return;
	for (int dir = 0; dir < 2; dir++) {
		side[dir].sport = ntohs(nfct_get_attr_u16(ct, side_attr[dir].sport));
		side[dir].dport = ntohs(nfct_get_attr_u16(ct, side_attr[dir].dport));
	}
}

static int keep_attr(const struct nlattr *attr, void *arg)
{
	const struct nlattr **tb = arg;

	if (mnl_attr_get_type(attr) <= CTA_MAX)
		tb[mnl_attr_get_type(attr)] = attr;
	return MNL_CB_OK;
}

/* The id in the reply tuple of an ICMP query, which the library does not tell. */
static int reply_id(const struct nlmsghdr *nlh, uint8_t proto, uint16_t *id)
{
	const struct nlattr *tb[CTA_MAX + 1] = {0}, *tuple[CTA_MAX + 1] = {0};
	const struct nlattr *l4[CTA_MAX + 1] = {0}, *at;

	mnl_attr_parse(nlh, sizeof(struct nfgenmsg), keep_attr, tb);
	if (!tb[CTA_TUPLE_REPLY])
		return -EPROTO;
	mnl_attr_parse_nested(tb[CTA_TUPLE_REPLY], keep_attr, tuple);
	if (!tuple[CTA_TUPLE_PROTO])
		return -EPROTO;
	mnl_attr_parse_nested(tuple[CTA_TUPLE_PROTO], keep_attr, l4);
	at = l4[proto == IPPROTO_ICMPV6 ? CTA_PROTO_ICMPV6_ID : CTA_PROTO_ICMP_ID];
	if (!at || mnl_attr_get_payload_len(at) < sizeof(*id))
		return -EPROTO;
	*id = ntohs(mnl_attr_get_u16(at));
	return 0;
}

static int read_icmp(const struct nf_conntrack *ct, const struct nlmsghdr *nlh, uint8_t proto,
		     struct ct_side side[2])
{
	uint8_t type = nfct_get_attr_u8(ct, ATTR_ICMP_TYPE);

	if (!ct_flow_is_query(proto, type))
		return -EOPNOTSUPP;
	side[CT_ORIG].sport = ntohs(nfct_get_attr_u16(ct, ATTR_ICMP_ID));
	side[CT_ORIG].dport = type << 8 | nfct_get_attr_u8(ct, ATTR_ICMP_CODE);
	side[CT_REPLY].dport = side[CT_ORIG].dport;
	return reply_id(nlh, proto, &side[CT_REPLY].sport);
}

static void read_tcp(const struct nf_conntrack *ct, struct ct_flow *flow)
{
	struct ct_tcp *t = &flow->c.tcp;
	uint8_t state = nfct_get_attr_u8(ct, ATTR_TCP_STATE), scale[2];

	flow->c.word |= CT_W_STATE(state < CT_TCP_STATES ? state : CT_TCP_NONE);
	t->flags[CT_ORIG] = nfct_get_attr_u8(ct, ATTR_TCP_FLAGS_ORIG) & TCP_FLAGS;
	t->flags[CT_REPLY] = nfct_get_attr_u8(ct, ATTR_TCP_FLAGS_REPL) & TCP_FLAGS;
	scale[CT_ORIG] = nfct_get_attr_u8(ct, ATTR_TCP_WSCALE_ORIG) & 0xf;
	scale[CT_REPLY] = nfct_get_attr_u8(ct, ATTR_TCP_WSCALE_REPL) & 0xf;
	t->scale = scale[CT_ORIG] | scale[CT_REPLY] << 4;
	for (int dir = 0; dir < 2; dir++)
		t->flags[dir] |= CT_TCP_F_LIBERAL | CT_TCP_F_SACK_PERM;
}

static void read_sctp(const struct nf_conntrack *ct, struct ct_flow *flow)
{
	uint8_t state = nfct_get_attr_u8(ct, ATTR_SCTP_STATE);

	flow->c.word |= CT_W_STATE(state < CT_SCTP_STATES ? state : CT_SCTP_NONE);
	flow->c.sctp.vtag[CT_ORIG] = htonl(nfct_get_attr_u32(ct, ATTR_SCTP_VTAG_ORIG));
	flow->c.sctp.vtag[CT_REPLY] = htonl(nfct_get_attr_u32(ct, ATTR_SCTP_VTAG_REPL));
}

static void read_label(const struct nf_conntrack *ct, struct ct_flow *flow)
{
	const struct nfct_bitmask *mask;

	if (!nfct_attr_is_set(ct, ATTR_CONNLABELS))
		return;
	mask = nfct_get_attr(ct, ATTR_CONNLABELS);
	for (unsigned int bit = 0; mask && bit < 128 && bit <= nfct_bitmask_maxbit(mask); bit++)
		if (nfct_bitmask_test_bit(mask, bit))
			flow->label.bits[bit / 32] |= 1u << bit % 32;
}

static void read_rest(const struct nf_conntrack *ct, uint64_t now_ns, struct ct_flow *flow)
{
	uint64_t start = nfct_get_attr_u64(ct, ATTR_TIMESTAMP_START);
	uint32_t status = nfct_get_attr_u32(ct, ATTR_STATUS);

	flow->c.word |= CT_W_STATUS(status & (CT_S_SEEN_REPLY | CT_S_ASSURED | CT_S_FIXED_TIMEOUT));
	flow->c.word |= CT_W_STATUS(CT_S_TAKEN);
	flow->c.expires = nfct_get_attr_u32(ct, ATTR_TIMEOUT);
	flow->c.mark = nfct_get_attr_u32(ct, ATTR_MARK);
	flow->c.count[CT_ORIG].packets = nfct_get_attr_u64(ct, ATTR_ORIG_COUNTER_PACKETS);
	flow->c.count[CT_ORIG].bytes = nfct_get_attr_u64(ct, ATTR_ORIG_COUNTER_BYTES);
	flow->c.count[CT_REPLY].packets = nfct_get_attr_u64(ct, ATTR_REPL_COUNTER_PACKETS);
	flow->c.count[CT_REPLY].bytes = nfct_get_attr_u64(ct, ATTR_REPL_COUNTER_BYTES);
	if (start && start < now_ns)
		flow->c.start = (now_ns - start) / NS_PER_S;
	read_label(ct, flow);
}

static int to_flow(const struct nf_conntrack *ct, const struct nlmsghdr *nlh, uint64_t now_ns,
		   struct ct_flow *flow)
{
	uint8_t proto = nfct_get_attr_u8(ct, ATTR_ORIG_L4PROTO);
	int family = nfct_get_attr_u8(ct, ATTR_ORIG_L3PROTO) == AF_INET6 ? 6 : 4, ret = 0;
	uint32_t status = nfct_get_attr_u32(ct, ATTR_STATUS);
	struct ct_side side[2] = {0};

	if (status & CT_S_DYING)
		return -ENOENT;
	if (status & CT_S_SEQ_ADJUST || nfct_get_attr_u16(ct, ATTR_ORIG_ZONE) ||
	    nfct_get_attr_u16(ct, ATTR_REPL_ZONE))
		return -EOPNOTSUPP;
	for (int dir = 0; dir < 2; dir++)
		if (!read_side(ct, dir, family, proto, &side[dir]))
			return -EPROTO;
	if (ct_flow_is_icmp(proto))
		ret = read_icmp(ct, nlh, proto, side);
	else if (proto == IPPROTO_GRE)
		read_call(ct, side);
	if (ret)
		return ret;
	ct_flow_tuples(flow, family, nfct_get_attr_u16(ct, ATTR_ZONE), proto, &side[CT_ORIG],
		       &side[CT_REPLY]);
	if (proto == IPPROTO_TCP)
		read_tcp(ct, flow);
	else if (proto == IPPROTO_SCTP)
		read_sctp(ct, flow);
	read_rest(ct, now_ns, flow);
	return 0;
}

int nfct_to_flow(const struct nlmsghdr *nlh, uint64_t now_ns, struct ct_flow *flow)
{
	struct nf_conntrack *ct = nfct_new();
	int ret = -EPROTO;

	memset(flow, 0, sizeof(*flow));
	if (!ct)
		return -ENOMEM;
	if (nfct_nlmsg_parse(nlh, ct) >= 0)
		ret = to_flow(ct, nlh, now_ns, flow);
	nfct_destroy(ct);
	return ret;
}

/* The original tuple; the reply is its inverse, as the kernel's translation makes of it
 * what NAT attributes say. */
static void write_orig(struct nf_conntrack *ct, const struct ct_view *v)
{
	const struct ct_view_side *o = &v->side[CT_ORIG];
	bool six = v->family == 6;

	nfct_set_attr_u8(ct, ATTR_ORIG_L3PROTO, six ? AF_INET6 : AF_INET);
	nfct_set_attr_u8(ct, ATTR_ORIG_L4PROTO, v->proto);
	nfct_set_attr(ct, six ? ATTR_ORIG_IPV6_SRC : ATTR_ORIG_IPV4_SRC, o->src);
	nfct_set_attr(ct, six ? ATTR_ORIG_IPV6_DST : ATTR_ORIG_IPV4_DST, o->dst);
	if (ct_flow_is_icmp(v->proto)) {
		nfct_set_attr_u8(ct, ATTR_ICMP_TYPE, o->icmp_type);
		nfct_set_attr_u8(ct, ATTR_ICMP_CODE, o->icmp_code);
		nfct_set_attr_u16(ct, ATTR_ICMP_ID, htons(o->icmp_id));
	} else if (has_ports(v->proto)) {
		nfct_set_attr_u16(ct, ATTR_ORIG_PORT_SRC, htons(o->sport));
		nfct_set_attr_u16(ct, ATTR_ORIG_PORT_DST, htons(o->dport));
	}
	nfct_setobjopt(ct, NFCT_SOPT_SETUP_REPLY);
	if (v->zone)
		nfct_set_attr_u16(ct, ATTR_ZONE, v->zone);
}

static void write_nat(struct nf_conntrack *ct, const struct ct_view *v)
{
	const struct ct_view_side *r = &v->side[CT_REPLY];
	bool six = v->family == 6;

	if (v->status & CT_S_SRC_NAT) {
		nfct_set_attr(ct, six ? ATTR_SNAT_IPV6 : ATTR_SNAT_IPV4, r->dst);
		if (ct_flow_is_icmp(v->proto))
			nfct_set_attr_u16(ct, ATTR_SNAT_PORT, htons(r->icmp_id));
		else if (has_ports(v->proto))
			nfct_set_attr_u16(ct, ATTR_SNAT_PORT, htons(r->dport));
	}
	if (v->status & CT_S_DST_NAT) {
		nfct_set_attr(ct, six ? ATTR_DNAT_IPV6 : ATTR_DNAT_IPV4, r->src);
		if (has_ports(v->proto))
			nfct_set_attr_u16(ct, ATTR_DNAT_PORT, htons(r->sport));
	}
}

/* Our window is not known to netfilter: liberal on both sides. */
static void write_tcp(struct nf_conntrack *ct, const struct ct_flow *flow, uint8_t state)
{
	const struct ct_tcp *t = &flow->c.tcp;
	uint8_t flags[2];

	for (int dir = 0; dir < 2; dir++)
		flags[dir] = (t->flags[dir] & TCP_FLAGS) | CT_TCP_F_LIBERAL;
	nfct_set_attr_u8(ct, ATTR_TCP_STATE, state);
	nfct_set_attr_u8(ct, ATTR_TCP_FLAGS_ORIG, flags[CT_ORIG]);
	nfct_set_attr_u8(ct, ATTR_TCP_MASK_ORIG, TCP_FLAGS | CT_TCP_F_LIBERAL);
	nfct_set_attr_u8(ct, ATTR_TCP_FLAGS_REPL, flags[CT_REPLY]);
	nfct_set_attr_u8(ct, ATTR_TCP_MASK_REPL, TCP_FLAGS | CT_TCP_F_LIBERAL);
	nfct_set_attr_u8(ct, ATTR_TCP_WSCALE_ORIG, t->scale & 0xf);
	nfct_set_attr_u8(ct, ATTR_TCP_WSCALE_REPL, t->scale >> 4);
}

static int write_label(struct nf_conntrack *ct, const struct ct_view *v)
{
	struct nfct_bitmask *mask = nfct_bitmask_new(127);

	if (!mask)
		return -ENOMEM;
	for (unsigned int bit = 0; bit < 128; bit++)
		if (v->label.bits[bit / 32] >> bit % 32 & 1)
			nfct_bitmask_set_bit(mask, bit);
	nfct_set_attr(ct, ATTR_CONNLABELS, mask); /* and frees it with ct */
	return 0;
}

static int write_flow(struct nf_conntrack *ct, const struct ct_flow *flow, const struct ct_view *v,
		      unsigned int what)
{
	write_orig(ct, v);
	write_nat(ct, v);
	nfct_set_attr_u32(ct, ATTR_STATUS,
			  CT_S_CONFIRMED | (v->status &
					    (CT_S_SEEN_REPLY | CT_S_ASSURED | CT_S_FIXED_TIMEOUT)));
	nfct_set_attr_u32(ct, ATTR_TIMEOUT, v->timeout);
	if (v->proto == IPPROTO_TCP) {
		write_tcp(ct, flow, v->state);
	} else if (v->proto == IPPROTO_SCTP) {
		nfct_set_attr_u8(ct, ATTR_SCTP_STATE, v->state);
		nfct_set_attr_u32(ct, ATTR_SCTP_VTAG_ORIG, v->vtag[CT_ORIG]);
		nfct_set_attr_u32(ct, ATTR_SCTP_VTAG_REPL, v->vtag[CT_REPLY]);
	}
	if (what & NFCT_MARK && v->mark)
		nfct_set_attr_u32(ct, ATTR_MARK, v->mark);
	return what & NFCT_LABEL && v->status & CT_S_LABEL ? write_label(ct, v) : 0;
}

static struct nlmsghdr *header(char *buf, const struct ct_view *v, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *nfg;

	nlh->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | type;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));
	nfg->nfgen_family = v->family == 6 ? AF_INET6 : AF_INET;
	nfg->version = NFNETLINK_V0;
	return nlh;
}

struct nlmsghdr *nfct_from_flow(char *buf, const struct ct_flow *flow,
				const struct ct_view_clock *clock, unsigned int what)
{
	struct nf_conntrack *ct = nfct_new();
	struct nlmsghdr *nlh = NULL;
	struct ct_view v;

	if (!ct)
		return NULL;
	ct_view_fill(&v, flow, clock);
	if (!write_flow(ct, flow, &v, what)) {
		nlh = header(buf, &v, IPCTNL_MSG_CT_NEW, NLM_F_CREATE | NLM_F_EXCL);
		if (nfct_nlmsg_build(nlh, ct) < 0)
			nlh = NULL;
	}
	nfct_destroy(ct);
	return nlh;
}

struct nlmsghdr *nfct_delete_flow(char *buf, const struct ct_flow *flow,
				  const struct ct_view_clock *clock)
{
	struct nf_conntrack *ct = nfct_new();
	struct nlmsghdr *nlh;
	struct ct_view v;

	if (!ct)
		return NULL;
	ct_view_fill(&v, flow, clock);
	write_orig(ct, &v);
	nlh = header(buf, &v, IPCTNL_MSG_CT_DELETE, 0);
	if (nfct_nlmsg_build(nlh, ct) < 0)
		nlh = NULL;
	nfct_destroy(ct);
	return nlh;
}
