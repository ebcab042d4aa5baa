// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Printing through libnetfilter_conntrack: XML, label names, and the yardstick
 * that the fast printer is tested against. */
#include <endian.h>
#include <string.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <libmnl/libmnl.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack_tcp.h>
#include <libnetfilter_conntrack/linux_nfnetlink_conntrack.h>

#include "nfct_text.h"

/* Bits that netfilter has under the same number and that we use. */
#define STATUS_BITS                                                                                \
	(CT_S_EXPECTED | CT_S_SEEN_REPLY | CT_S_ASSURED | CT_S_CONFIRMED | CT_S_NAT |              \
	 CT_S_SEQ_ADJUST | CT_S_DYING | CT_S_FIXED_TIMEOUT | CT_S_HELPER)

static bool is_icmp(const struct ct_view *v)
{
	return v->proto == IPPROTO_ICMP || v->proto == IPPROTO_ICMPV6;
}

static void set_addrs(struct nf_conntrack *ct, const struct ct_view *v)
{
	static const enum nf_conntrack_attr attr[2][2][2] = {
		{{ATTR_ORIG_IPV4_SRC, ATTR_ORIG_IPV4_DST},
		 {ATTR_REPL_IPV4_SRC, ATTR_REPL_IPV4_DST}},
		{{ATTR_ORIG_IPV6_SRC, ATTR_ORIG_IPV6_DST},
		 {ATTR_REPL_IPV6_SRC, ATTR_REPL_IPV6_DST}},
	};
	int six = v->family == 6;

	nfct_set_attr_u8(ct, ATTR_ORIG_L3PROTO, six ? AF_INET6 : AF_INET);
	nfct_set_attr_u8(ct, ATTR_REPL_L3PROTO, six ? AF_INET6 : AF_INET);
	for (int dir = 0; dir < 2; dir++) {
		nfct_set_attr(ct, attr[six][dir][0], v->side[dir].src);
		nfct_set_attr(ct, attr[six][dir][1], v->side[dir].dst);
	}
}

static void set_ports(struct nf_conntrack *ct, const struct ct_view *v)
{
	const struct ct_view_side *o = &v->side[CT_ORIG], *r = &v->side[CT_REPLY];

	nfct_set_attr_u8(ct, ATTR_ORIG_L4PROTO, v->proto);
	nfct_set_attr_u8(ct, ATTR_REPL_L4PROTO, v->proto);
	if (is_icmp(v))
		return; /* added to the message: the setters know one id and type only */
	nfct_set_attr_u16(ct, ATTR_ORIG_PORT_SRC, htons(o->sport));
	nfct_set_attr_u16(ct, ATTR_ORIG_PORT_DST, htons(o->dport));
	nfct_set_attr_u16(ct, ATTR_REPL_PORT_SRC, htons(r->sport));
	nfct_set_attr_u16(ct, ATTR_REPL_PORT_DST, htons(r->dport));
}

static void set_rest(struct nf_conntrack *ct, const struct ct_view *v, unsigned int show)
{
	nfct_set_attr_u32(ct, ATTR_STATUS, v->status & STATUS_BITS);
	if (show & CT_SHOW_TIMEOUT)
		nfct_set_attr_u32(ct, ATTR_TIMEOUT, v->timeout);
	if (show & CT_SHOW_MARK)
		nfct_set_attr_u32(ct, ATTR_MARK, v->mark);
	if (v->zone)
		nfct_set_attr_u16(ct, ATTR_ZONE, v->zone);
	if (v->proto == IPPROTO_TCP)
		nfct_set_attr_u8(ct, ATTR_TCP_STATE, v->state);
	if (v->proto == IPPROTO_SCTP)
		nfct_set_attr_u8(ct, ATTR_SCTP_STATE, v->state);
}

static void put_counters(struct nlmsghdr *nlh, uint16_t type, const struct ct_view_side *s)
{
	struct nlattr *nest = mnl_attr_nest_start(nlh, type);

	mnl_attr_put_u64(nlh, CTA_COUNTERS_PACKETS, htobe64(s->packets));
	mnl_attr_put_u64(nlh, CTA_COUNTERS_BYTES, htobe64(s->bytes));
	mnl_attr_nest_end(nlh, nest);
}

static void put_times(struct nlmsghdr *nlh, const struct ct_view *v)
{
	struct nlattr *nest = mnl_attr_nest_start(nlh, CTA_TIMESTAMP);

	mnl_attr_put_u64(nlh, CTA_TIMESTAMP_START, htobe64(v->start_ns));
	if (v->stop_ns)
		mnl_attr_put_u64(nlh, CTA_TIMESTAMP_STOP, htobe64(v->stop_ns));
	mnl_attr_nest_end(nlh, nest);
}

static void put_extra(struct nlmsghdr *nlh, const struct ct_view *v, unsigned int show)
{
	if (show & CT_SHOW_COUNTERS) {
		put_counters(nlh, CTA_COUNTERS_ORIG, &v->side[CT_ORIG]);
		put_counters(nlh, CTA_COUNTERS_REPLY, &v->side[CT_REPLY]);
	}
	if (show & CT_SHOW_USE)
		mnl_attr_put_u32(nlh, CTA_USE, htonl(1));
	if (show & CT_SHOW_ID)
		mnl_attr_put_u32(nlh, CTA_ID, htonl(v->id));
	if (show & (CT_SHOW_DELTA | CT_SHOW_TIMES))
		put_times(nlh, v);
	if (v->status & CT_S_LABEL)
		mnl_attr_put(nlh, CTA_LABELS, sizeof(v->label), &v->label);
}

static void put_icmp_addr(struct nlmsghdr *nlh, const struct ct_view *v,
			  const struct ct_view_side *s)
{
	struct nlattr *nest = mnl_attr_nest_start(nlh, CTA_TUPLE_IP);
	int six = v->family == 6;

	mnl_attr_put(nlh, six ? CTA_IP_V6_SRC : CTA_IP_V4_SRC, six ? 16 : 4, s->src);
	mnl_attr_put(nlh, six ? CTA_IP_V6_DST : CTA_IP_V4_DST, six ? 16 : 4, s->dst);
	mnl_attr_nest_end(nlh, nest);
}

static void put_icmp_tuple(struct nlmsghdr *nlh, const struct ct_view *v, int dir)
{
	const struct ct_view_side *s = &v->side[dir];
	struct nlattr *tuple, *nest;
	int six = v->proto == IPPROTO_ICMPV6;

	tuple = mnl_attr_nest_start(nlh, dir == CT_ORIG ? CTA_TUPLE_ORIG : CTA_TUPLE_REPLY);
	put_icmp_addr(nlh, v, s);
	nest = mnl_attr_nest_start(nlh, CTA_TUPLE_PROTO);
	mnl_attr_put_u8(nlh, CTA_PROTO_NUM, v->proto);
	mnl_attr_put_u16(nlh, six ? CTA_PROTO_ICMPV6_ID : CTA_PROTO_ICMP_ID, htons(s->icmp_id));
	mnl_attr_put_u8(nlh, six ? CTA_PROTO_ICMPV6_TYPE : CTA_PROTO_ICMP_TYPE, s->icmp_type);
	mnl_attr_put_u8(nlh, six ? CTA_PROTO_ICMPV6_CODE : CTA_PROTO_ICMP_CODE, s->icmp_code);
	mnl_attr_nest_end(nlh, nest);
	mnl_attr_nest_end(nlh, tuple);
}

static struct nlmsghdr *start_message(char *buf, const struct ct_view *v)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *nfg;

	nlh->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW;
	nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));
	nfg->nfgen_family = v->family == 6 ? AF_INET6 : AF_INET;
	nfg->version = NFNETLINK_V0;
	nfg->res_id = 0;
	return nlh;
}

struct nf_conntrack *nfct_from_view(const struct ct_view *v, unsigned int show)
{
	struct nf_conntrack *half = nfct_new(), *ct = nfct_new();
	char buf[MNL_SOCKET_BUFFER_SIZE] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = start_message(buf, v);
	int ok = 0;

	if (!half || !ct)
		goto out;
	set_addrs(half, v);
	set_ports(half, v);
	set_rest(half, v, show);
	nfct_nlmsg_build(nlh, half);
	/* Appended last: of two attributes of a type the parser keeps the second. */
	if (is_icmp(v)) {
		put_icmp_tuple(nlh, v, CT_ORIG);
		put_icmp_tuple(nlh, v, CT_REPLY);
	}
	put_extra(nlh, v, show);
	ok = nfct_nlmsg_parse(nlh, ct) >= 0;
out:
	if (half)
		nfct_destroy(half);
	if (!ok && ct) {
		nfct_destroy(ct);
		ct = NULL;
	}
	return ct;
}

static unsigned int event_type(const struct ct_view *v, unsigned int show)
{
	static const unsigned int types[] = {NFCT_T_NEW, NFCT_T_UPDATE, NFCT_T_DESTROY};

	if (!(show & CT_SHOW_EVENT) || v->event > CT_EVENT_DESTROY)
		return NFCT_T_UNKNOWN;
	return types[v->event];
}

size_t nfct_flow_text(char *buf, size_t len, const struct ct_view *v, unsigned int show,
		      const struct nfct_style *style)
{
	struct nf_conntrack *ct = nfct_from_view(v, show);
	unsigned int flags = 0;
	int n;

	if (!ct)
		return 0;
	if (show & CT_SHOW_LAYER3)
		flags |= NFCT_OF_SHOW_LAYER3;
	if (show & CT_SHOW_ID)
		flags |= NFCT_OF_ID;
	if (show & CT_SHOW_TIMES)
		flags |= NFCT_OF_TIMESTAMP;
	if (style->when)
		flags |= NFCT_OF_TIME;
	n = nfct_snprintf_labels(buf, len, ct, event_type(v, show),
				 style->xml ? NFCT_O_XML : NFCT_O_DEFAULT, flags, style->map);
	nfct_destroy(ct);
	return n < 0 ? 0 : n;
}
