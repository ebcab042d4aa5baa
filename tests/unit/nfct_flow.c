// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* nf_conntrack's messages to records and back: userspace/lib/nfct_flow.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack_tcp.h>
#include <libnetfilter_conntrack/linux_nfnetlink_conntrack.h>

#include "../../userspace/lib/nfct_flow.h"

#define NOW_NS (1700000000ull * 1000000000ull)

static char message[8192] __attribute__((aligned(8)));
static const struct ct_view_clock at_once = {.hz = 250, .now_tick = 1000, .now_ns = NOW_NS};

static uint32_t ip(const char *text)
{
	uint32_t a;

	assert_int_equal(inet_pton(AF_INET, text, &a), 1);
	return a;
}

/* What the kernel tells of 10.0.0.2:5000 -> 203.0.113.2:80, masqueraded as 203.0.113.1:6000. */
static struct nf_conntrack *masqueraded(uint8_t proto)
{
	struct nf_conntrack *ct = nfct_new();

	assert_non_null(ct);
	nfct_set_attr_u8(ct, ATTR_ORIG_L3PROTO, AF_INET);
	nfct_set_attr_u8(ct, ATTR_REPL_L3PROTO, AF_INET);
	nfct_set_attr_u8(ct, ATTR_ORIG_L4PROTO, proto);
	nfct_set_attr_u8(ct, ATTR_REPL_L4PROTO, proto);
	nfct_set_attr_u32(ct, ATTR_ORIG_IPV4_SRC, ip("10.0.0.2"));
	nfct_set_attr_u32(ct, ATTR_ORIG_IPV4_DST, ip("203.0.113.2"));
	nfct_set_attr_u32(ct, ATTR_REPL_IPV4_SRC, ip("203.0.113.2"));
	nfct_set_attr_u32(ct, ATTR_REPL_IPV4_DST, ip("203.0.113.1"));
	nfct_set_attr_u16(ct, ATTR_ORIG_PORT_SRC, htons(5000));
	nfct_set_attr_u16(ct, ATTR_ORIG_PORT_DST, htons(80));
	nfct_set_attr_u16(ct, ATTR_REPL_PORT_SRC, htons(80));
	nfct_set_attr_u16(ct, ATTR_REPL_PORT_DST, htons(6000));
	nfct_set_attr_u32(ct, ATTR_STATUS,
			  CT_S_SEEN_REPLY | CT_S_ASSURED | CT_S_CONFIRMED | CT_S_SRC_NAT);
	nfct_set_attr_u32(ct, ATTR_TIMEOUT, 431000);
	nfct_set_attr_u32(ct, ATTR_MARK, 42);
	return ct;
}

static struct nlmsghdr *begin(int family)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(message);
	struct nfgenmsg *nfg;

	nlh->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW;
	nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));
	nfg->nfgen_family = family;
	nfg->version = NFNETLINK_V0;
	return nlh;
}

static int convert(struct nf_conntrack *ct, struct ct_flow *flow)
{
	struct nlmsghdr *nlh = begin(nfct_get_attr_u8(ct, ATTR_ORIG_L3PROTO));

	assert_true(nfct_nlmsg_build(nlh, ct) >= 0);
	nfct_destroy(ct);
	return nfct_to_flow(nlh, NOW_NS, flow);
}

static void tcp_with_its_translation(void **state)
{
	struct nf_conntrack *ct = masqueraded(IPPROTO_TCP);
	struct ct_flow f;
	struct ct_view v;

	(void)state;
	nfct_set_attr_u8(ct, ATTR_TCP_STATE, CT_TCP_ESTABLISHED);
	nfct_set_attr_u8(ct, ATTR_TCP_WSCALE_ORIG, 7);
	nfct_set_attr_u8(ct, ATTR_TCP_WSCALE_REPL, 9);
	nfct_set_attr_u8(ct, ATTR_TCP_FLAGS_ORIG, CT_TCP_F_WSCALE);
	nfct_set_attr_u8(ct, ATTR_TCP_MASK_ORIG, 0xff);
	nfct_set_attr_u8(ct, ATTR_TCP_FLAGS_REPL, CT_TCP_F_WSCALE | CT_TCP_F_CLOSE_INIT);
	nfct_set_attr_u8(ct, ATTR_TCP_MASK_REPL, 0xff);
	assert_int_equal(convert(ct, &f), 0);
	assert_int_equal(f.family, 4);
	assert_int_equal(f.c.expires, 431000);
	assert_int_equal(f.c.mark, 42);
	assert_int_equal(f.c.start, 0);
	assert_int_equal(f.c.tcp.scale, 7 | 9 << 4);
	assert_int_equal(f.c.tcp.flags[0], CT_TCP_F_LIBERAL | CT_TCP_F_SACK_PERM | CT_TCP_F_WSCALE);
	assert_int_equal(f.c.tcp.flags[1], CT_TCP_F_LIBERAL | CT_TCP_F_SACK_PERM | CT_TCP_F_WSCALE |
						   CT_TCP_F_CLOSE_INIT);
	ct_view_fill(&v, &f, &at_once);
	assert_int_equal(v.state, CT_TCP_ESTABLISHED);
	assert_int_equal(v.status, CT_S_SEEN_REPLY | CT_S_ASSURED | CT_S_SRC_NAT | CT_S_TAKEN);
	assert_int_equal(*(const uint32_t *)v.side[CT_ORIG].src, ip("10.0.0.2"));
	assert_int_equal(*(const uint32_t *)v.side[CT_REPLY].dst, ip("203.0.113.1"));
	assert_int_equal(v.side[CT_ORIG].sport, 5000);
	assert_int_equal(v.side[CT_REPLY].sport, 80);
	assert_int_equal(v.side[CT_REPLY].dport, 6000);
}

static void destination_and_zone(void **state)
{
	struct nf_conntrack *ct = masqueraded(IPPROTO_UDP);
	struct ct_flow f;

	(void)state;
	nfct_set_attr_u32(ct, ATTR_REPL_IPV4_SRC, ip("192.0.2.5"));
	nfct_set_attr_u32(ct, ATTR_REPL_IPV4_DST, ip("10.0.0.2"));
	nfct_set_attr_u16(ct, ATTR_REPL_PORT_DST, htons(5000));
	nfct_set_attr_u16(ct, ATTR_ZONE, 17);
	assert_int_equal(convert(ct, &f), 0);
	assert_int_equal(f.key4.zone, 17);
	assert_int_equal(ct_w_status(f.c.word) & CT_S_NAT, CT_S_DST_NAT);
}

static void untranslated_ipv6(void **state)
{
	struct nf_conntrack *ct = nfct_new();
	struct in6_addr a, b;
	struct ct_flow f;

	(void)state;
	inet_pton(AF_INET6, "fd00:1::2", &a);
	inet_pton(AF_INET6, "2001:db8::2", &b);
	nfct_set_attr_u8(ct, ATTR_ORIG_L3PROTO, AF_INET6);
	nfct_set_attr_u8(ct, ATTR_ORIG_L4PROTO, IPPROTO_SCTP);
	nfct_set_attr(ct, ATTR_ORIG_IPV6_SRC, &a);
	nfct_set_attr(ct, ATTR_ORIG_IPV6_DST, &b);
	nfct_set_attr_u16(ct, ATTR_ORIG_PORT_SRC, htons(1));
	nfct_set_attr_u16(ct, ATTR_ORIG_PORT_DST, htons(2));
	nfct_setobjopt(ct, NFCT_SOPT_SETUP_REPLY);
	nfct_set_attr_u8(ct, ATTR_SCTP_STATE, CT_SCTP_ESTABLISHED);
	nfct_set_attr_u32(ct, ATTR_SCTP_VTAG_ORIG, 0x01020304);
	nfct_set_attr_u32(ct, ATTR_SCTP_VTAG_REPL, 0x05060708);
	assert_int_equal(convert(ct, &f), 0);
	assert_int_equal(f.family, 6);
	assert_int_equal(ct_w_status(f.c.word) & CT_S_NAT, 0);
	assert_int_equal(ct_w_state(f.c.word), CT_SCTP_ESTABLISHED);
	assert_int_equal(f.c.sctp.vtag[CT_ORIG], htonl(0x01020304));
	assert_memory_equal(f.conn6.reply_daddr, &a, 16);
}

static void put_icmp_tuple(struct nlmsghdr *nlh, uint16_t type, const char *src, const char *dst,
			   uint8_t icmp, uint16_t id)
{
	struct nlattr *tuple = mnl_attr_nest_start(nlh, type), *nest;

	nest = mnl_attr_nest_start(nlh, CTA_TUPLE_IP);
	mnl_attr_put_u32(nlh, CTA_IP_V4_SRC, ip(src));
	mnl_attr_put_u32(nlh, CTA_IP_V4_DST, ip(dst));
	mnl_attr_nest_end(nlh, nest);
	nest = mnl_attr_nest_start(nlh, CTA_TUPLE_PROTO);
	mnl_attr_put_u8(nlh, CTA_PROTO_NUM, IPPROTO_ICMP);
	mnl_attr_put_u16(nlh, CTA_PROTO_ICMP_ID, htons(id));
	mnl_attr_put_u8(nlh, CTA_PROTO_ICMP_TYPE, icmp);
	mnl_attr_put_u8(nlh, CTA_PROTO_ICMP_CODE, 0);
	mnl_attr_nest_end(nlh, nest);
	mnl_attr_nest_end(nlh, tuple);
}

static void ping_keeps_the_id_that_it_was_given(void **state)
{
	struct nlmsghdr *nlh = begin(AF_INET);
	struct ct_flow f;

	(void)state;
	put_icmp_tuple(nlh, CTA_TUPLE_ORIG, "10.0.0.2", "203.0.113.2", 8, 77);
	put_icmp_tuple(nlh, CTA_TUPLE_REPLY, "203.0.113.2", "203.0.113.1", 0, 31234);
	mnl_attr_put_u32(nlh, CTA_TIMEOUT, htonl(29));
	assert_int_equal(nfct_to_flow(nlh, NOW_NS, &f), 0);
	assert_int_equal(ntohs(f.key4.port[0]), 77);
	assert_int_equal(ntohs(f.key4.port[1]), 8 << 8);
	assert_int_equal(ntohs(f.c.reply_sport), 31234);
	assert_int_equal(ct_w_status(f.c.word) & CT_S_NAT, CT_S_SRC_NAT);
	assert_int_equal(f.c.expires, 29);
}

static void counters_and_age_are_kept(void **state)
{
	struct nf_conntrack *ct = masqueraded(IPPROTO_UDP);
	struct nlmsghdr *nlh = begin(AF_INET);
	struct nlattr *nest;
	struct ct_flow f;

	(void)state;
	assert_true(nfct_nlmsg_build(nlh, ct) >= 0);
	nfct_destroy(ct);
	nest = mnl_attr_nest_start(nlh, CTA_COUNTERS_REPLY);
	mnl_attr_put_u64(nlh, CTA_COUNTERS_PACKETS, htobe64(11));
	mnl_attr_put_u64(nlh, CTA_COUNTERS_BYTES, htobe64(12345));
	mnl_attr_nest_end(nlh, nest);
	nest = mnl_attr_nest_start(nlh, CTA_TIMESTAMP);
	mnl_attr_put_u64(nlh, CTA_TIMESTAMP_START, htobe64(NOW_NS - 90 * 1000000000ull));
	mnl_attr_nest_end(nlh, nest);
	assert_int_equal(nfct_to_flow(nlh, NOW_NS, &f), 0);
	assert_int_equal(f.c.count[CT_REPLY].packets, 11);
	assert_int_equal(f.c.count[CT_REPLY].bytes, 12345);
	assert_int_equal(f.c.start, 90);
}

static void what_cannot_be_gone_on_with_is_left(void **state)
{
	struct nf_conntrack *ct = masqueraded(IPPROTO_TCP);
	struct ct_flow f;

	(void)state;
	nfct_set_attr_u32(ct, ATTR_STATUS, CT_S_CONFIRMED | CT_S_SEQ_ADJUST);
	assert_int_equal(convert(ct, &f), -EOPNOTSUPP);
	ct = masqueraded(IPPROTO_TCP);
	nfct_set_attr_u32(ct, ATTR_STATUS, CT_S_CONFIRMED | CT_S_DYING);
	assert_int_equal(convert(ct, &f), -ENOENT);
	ct = masqueraded(IPPROTO_TCP);
	nfct_set_attr_u16(ct, ATTR_ORIG_ZONE, 3);
	assert_int_equal(convert(ct, &f), -EOPNOTSUPP);
	assert_int_equal(nfct_to_flow(begin(AF_INET), NOW_NS, &f), -EPROTO);
}

/* A record written for the kernel says the same when it is read again; what the kernel makes
 * of NAT attributes is done by hand. */
static void export_says_what_import_has_read(void **state)
{
	struct nf_conntrack *ct = masqueraded(IPPROTO_TCP), *back = nfct_new();
	char buf[MNL_SOCKET_BUFFER_SIZE] __attribute__((aligned(8)));
	struct nlmsghdr *nlh;
	struct ct_flow f;

	(void)state;
	nfct_set_attr_u8(ct, ATTR_TCP_STATE, CT_TCP_ESTABLISHED);
	nfct_set_attr_u8(ct, ATTR_TCP_WSCALE_REPL, 9);
	assert_int_equal(convert(ct, &f), 0);
	f.tick = at_once.now_tick;
	f.c.expires = f.tick + 431000u * 250 / 32 + 1;
	nlh = nfct_from_flow(buf, &f, &at_once, NFCT_MARK | NFCT_LABEL);
	assert_non_null(nlh);
	assert_int_equal(nlh->nlmsg_flags, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
	assert_true(nfct_nlmsg_parse(nlh, back) >= 0);
	assert_int_equal(nfct_get_attr_u32(back, ATTR_ORIG_IPV4_SRC), ip("10.0.0.2"));
	assert_int_equal(nfct_get_attr_u32(back, ATTR_REPL_IPV4_DST), ip("10.0.0.2"));
	assert_int_equal(nfct_get_attr_u32(back, ATTR_TIMEOUT), 431000);
	assert_int_equal(nfct_get_attr_u32(back, ATTR_MARK), 42);
	assert_int_equal(nfct_get_attr_u8(back, ATTR_TCP_STATE), CT_TCP_ESTABLISHED);
	assert_int_equal(nfct_get_attr_u8(back, ATTR_TCP_WSCALE_REPL), 9);
	assert_true(nfct_get_attr_u8(back, ATTR_TCP_FLAGS_ORIG) & IP_CT_TCP_FLAG_BE_LIBERAL);
	assert_true(nfct_get_attr_u8(back, ATTR_TCP_FLAGS_REPL) & IP_CT_TCP_FLAG_BE_LIBERAL);
	nfct_destroy(back);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tcp_with_its_translation),
		cmocka_unit_test(destination_and_zone),
		cmocka_unit_test(untranslated_ipv6),
		cmocka_unit_test(ping_keeps_the_id_that_it_was_given),
		cmocka_unit_test(counters_and_age_are_kept),
		cmocka_unit_test(what_cannot_be_gone_on_with_is_left),
		cmocka_unit_test(export_says_what_import_has_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
