// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The actions of the OVS datapath, each by the whole packet that leaves: what a SET writes is
 * compared with the packet that a sender would have built so, checksums and all.
 */
#include "tests/bpf/lib/ovscase.h"

static const uint8_t protos[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP};

static void addresses_are_set_with_their_checksums(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		struct ovs_action set = {.type = six ? OVS_ACT_SET_IPV6 : OVS_ACT_SET_IPV4};

		if (six) {
			set_addr(set.ip6.src, E[1]);
			set_addr(set.ip6.dst, I[1]);
			memset(set.ip6.src_mask, 0xff, 16);
			memset(set.ip6.dst_mask, 0xff, 16);
		} else {
			set.ip4 = (struct ovs_set_ip4){.src = inet_addr(E[0]),
						       .src_mask = ~0u,
						       .dst = inet_addr(I[0]),
						       .dst_mask = ~0u};
		}
		for (int i = 0; i < 3; i++) {
			struct packet p = plain(six, protos[i]), q = p;

			ovs_reset(NULL);
			OVS_ALL(1, 0, set, OUT(2));
			q.src = E[six];
			q.dst = I[six];
			WANTS(1, &p, 2, &q);
		}
		if (six) {
			struct packet p = echo_request(1), q = p;

			q.src = E[1];
			q.dst = I[1];
			WANTS(1, &p, 2, &q);
		}
	}
}

static void a_udp_packet_without_checksum_stays_so(void **state)
{
	struct packet p = plain(0, IPPROTO_UDP), q;

	(void)state;
	p.no_csum = true;
	q = p;
	q.dst = I[0];
	q.dport = 8080;
	OVS_ALL(1, 0, {.type = OVS_ACT_SET_IPV4, .ip4 = {.dst = inet_addr(I[0]), .dst_mask = ~0u}},
		{.type = OVS_ACT_SET_PORTS, .ports = {.dport = htons(8080), .dport_mask = 0xffff}},
		OUT(2));
	WANTS(1, &p, 2, &q);
}

/* Nor one of SCTP, which is left to the device. */
static void an_sctp_packet_without_checksum_stays_so(void **state)
{
	struct packet p = plain(0, IPPROTO_SCTP);
	struct ovs_run r;
	uint8_t f[600];
	size_t n = build(f, &p);

	(void)state;
	memset(f + 42, 0, 4);
	OVS_ALL(1, 0,
		{.type = OVS_ACT_SET_PORTS, .ports = {.dport = htons(8080), .dport_mask = 0xffff}},
		OUT(2));
	r = ovs_run(1, f, n, NULL);
	put2(f + 36, 8080);
	assert_int_equal(r.len, n);
	assert_memory_equal(r.out, f, n);
}

static void a_mask_leaves_the_other_bits(void **state)
{
	struct packet p = plain(0, IPPROTO_TCP), q = p;

	(void)state;
	q.src = "10.0.77.2";
	q.dport = 0x1250;
	OVS_ALL(1, 0,
		{.type = OVS_ACT_SET_IPV4,
		 .ip4 = {.src = inet_addr("0.0.77.0"), .src_mask = inet_addr("0.0.255.0")}},
		{.type = OVS_ACT_SET_PORTS,
		 .ports = {.dport = htons(0x1200), .dport_mask = htons(0xff00)}},
		OUT(2));
	WANTS(1, &p, 2, &q);
}

static void ttl_and_tos(void **state)
{
	struct packet p = plain(0, IPPROTO_TCP), q = p;
	struct ovs_run r;
	uint8_t f[600];

	(void)state;
	q.ttl = 9;
	OVS_ALL(1, 0, {.type = OVS_ACT_SET_IPV4, .ip4 = {.ttl = 9, .ttl_mask = 255}}, OUT(2));
	WANTS(1, &p, 2, &q);
	ovs_reset(NULL);
	OVS_ALL(1, 0, {.type = OVS_ACT_SET_IPV4, .ip4 = {.tos = 0xb8, .tos_mask = 0xfc}}, OUT(2));
	r = ovs_run(1, f, build(f, &p), NULL);
	assert_int_equal(r.out[15], 0xb8);
	assert_int_equal(sum(r.out + 14, 20, 0), 0xffff);
	ovs_reset(NULL);
	p = plain(1, IPPROTO_TCP);
	OVS_ALL(1, 0,
		{.type = OVS_ACT_SET_IPV6,
		 .ip6 = {.tos = 0xb9,
			 .tos_mask = 255,
			 .label = htonl(0xabcde),
			 .label_mask = htonl(0xfffff),
			 .ttl = 3,
			 .ttl_mask = 255}},
		OUT(2));
	r = ovs_run(1, f, build(f, &p), NULL);
	put4(f + 14, 0x6b9abcde);
	f[21] = 3;
	assert_memory_equal(r.out, f, r.len);
}

/* Of each transport: what SET_PORTS with these makes of the ports of plain(). */
static void sets_ports(struct ovs_set_ports set, uint16_t sport, uint16_t dport)
{
	for (int six = 0; six < 2; six++) {
		for (int i = 0; i < 3; i++) {
			struct packet p = plain(six, protos[i]), q = p;

			ovs_reset(NULL);
			q.sport = sport;
			q.dport = dport;
			OVS_ALL(1, 0, {.type = OVS_ACT_SET_PORTS, .ports = set}, OUT(2));
			WANTS(1, &p, 2, &q);
		}
	}
}

static void ports_of_each_transport(void **state)
{
	(void)state;
	sets_ports((struct ovs_set_ports){htons(4444), htons(5555), 0xffff, 0xffff}, 4444, 5555);
}

static void icmp_type_and_code(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		struct packet p = echo_request(six), q = p;

		ovs_reset(NULL);
		q.type = six ? 129 : 0;
		q.code = 5;
		OVS_ALL(1, 0,
			{.type = OVS_ACT_SET_ICMP,
			 .ports = {htons(q.type), htons(5), 0xffff, 0xffff}},
			OUT(2));
		WANTS(1, &p, 2, &q);
	}
}

static void neighbour_discovery(void **state)
{
	struct packet p = {
		.src = C[1], .dst = S[1], .proto = IPPROTO_ICMPV6, .type = 135, .payload = 32};
	struct ovs_action set = {.type = OVS_ACT_SET_ND, .nd = {.target_mask = ONES4}};
	struct ovs_run r;
	uint8_t f[600];
	size_t n = build(f, &p);

	(void)state;
	set_addr(set.nd.target, E[1]);
	memcpy(set.nd.sll, "\x02\1\2\3\4\5", 6);
	memset(set.nd.sll_mask, 255, 6);
	memcpy(set.nd.tll, "\x02\6\7\x8\x9\xa", 6);
	memset(set.nd.tll_mask, 255, 6);
	OVS_ALL(1, 0, set, OUT(2));
	memcpy(f + 78, "\1\1\x02\0\0\0\0\0", 8);
	memcpy(f + 86, "\2\1\x02\0\0\0\0\1", 8);
	put2(f + 56, 0);
	put2(f + 56, ~sum(f + 54, n - 54, sum(f + 22, 32, n - 54 + IPPROTO_ICMPV6)));
	r = ovs_run(1, f, n, NULL);
	assert_int_equal(r.ifindex, ovs_ifindex[2]);
	assert_memory_equal(r.out + 62, set.nd.target, 16);
	assert_memory_equal(r.out + 80, "\x02\1\2\3\4\5", 6);
	assert_memory_equal(r.out + 88, "\x02\6\7\x8\x9\xa", 6);
	assert_int_equal(sum(r.out + 54, n - 54, sum(r.out + 22, 32, n - 54 + IPPROTO_ICMPV6)),
			 0xffff);
}

/* Behind two others, one of which is a link-layer address's but too long to be Ethernet's. */
static void a_later_option_of_neighbour_discovery(void **state)
{
	struct packet p = {
		.src = C[1], .dst = S[1], .proto = IPPROTO_ICMPV6, .type = 135, .payload = 48};
	struct ovs_action set = {
		.type = OVS_ACT_SET_ND,
		.nd = {.sll = {2, 1, 2, 3, 4, 5}, .sll_mask = {255, 255, 255, 255, 255, 255}}};
	struct ovs_run r;
	uint8_t f[600];
	size_t n = build(f, &p);

	(void)state;
	OVS_ALL(1, 0, set, OUT(2));
	memcpy(f + 78, "\x0e\1\1\2\3\4\5\6", 8);
	memcpy(f + 86, "\1\2\7\7\7\7\7\7\7\7\7\7\7\7\7\7", 16);
	memcpy(f + 102, "\1\1\0\0\0\0\0\0", 8);
	for (int turn = 0; turn < 2; turn++) {
		put2(f + 56, 0);
		put2(f + 56, ~sum(f + 54, n - 54, sum(f + 22, 32, n - 54 + IPPROTO_ICMPV6)));
		if (!turn)
			r = ovs_run(1, f, n, NULL);
		memcpy(f + 104, "\2\1\2\3\4\5", 6);
	}
	assert_int_equal(r.len, n);
	assert_memory_equal(r.out, f, n);
}

static void arp_and_link_addresses(void **state)
{
	struct ovs_action set = {.type = OVS_ACT_SET_ARP,
				 .arp = {.op = htons(0x8002),
					 .op_mask = htons(0xff),
					 .sip = inet_addr("10.9.9.9"),
					 .sip_mask = ~0u,
					 .tip_mask = htonl(0xff),
					 .tip = htonl(7),
					 .sha = {2, 1, 2, 3, 4, 5},
					 .sha_mask = {255, 255, 255, 255, 255, 255},
					 .tha = {0, 0, 3, 4},
					 .tha_mask = {0, 0, 255, 255}}};
	uint8_t f[60] = {2, 0, 0, 0, 0, 2, 2, 0,  0, 0, 0, 1, 8, 6, 0, 1, 8, 0,	 6, 4, 0,
			 1, 2, 0, 0, 0, 0, 1, 10, 0, 0, 2, 0, 0, 0, 0, 0, 0, 10, 0, 0, 3};
	struct ovs_run r;

	(void)state;
	OVS_ALL(1, 0, set, MAC(7), OUT(2));
	r = ovs_run(1, f, sizeof(f), NULL);
	memcpy(f, "\2\2\2\2\2\7", 6);
	f[21] = 2;
	memcpy(f + 22, "\2\1\2\3\4\5", 6);
	put4(f + 28, 0x0a090909);
	f[34] = 3;
	f[35] = 4;
	f[41] = 7;
	assert_memory_equal(r.out, f, sizeof(f));
}

static void a_header_that_is_not_there_is_not_set(void **state)
{
	static const uint16_t types[] = {OVS_ACT_SET_IPV6, OVS_ACT_SET_ARP, OVS_ACT_SET_ND,
					 OVS_ACT_SET_ICMP, OVS_ACT_SET_PORTS};
	struct packet p = plain(0, IPPROTO_GRE);

	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		ovs_reset(NULL);
		OVS_ALL(1, 0, {.type = types[i]}, OUT(2));
		WANTS_DROP(1, &p, CT_DROP_OVS_SET);
	}
}

/* What follows the IP header of a later fragment is payload. */
static void ports_of_a_later_fragment_are_not_set(void **state)
{
	struct packet p = plain(0, IPPROTO_UDP);

	(void)state;
	p.payload = 64;
	p.frag = 0x0010;
	OVS_ALL(1, 0,
		{.type = OVS_ACT_SET_PORTS, .ports = {.dport = htons(1), .dport_mask = 0xffff}},
		OUT(2));
	WANTS_DROP(1, &p, CT_DROP_OVS_SET);
}

static void mark_and_priority(void **state)
{
	struct packet p = plain(0, IPPROTO_UDP);
	struct __sk_buff ctx = {.mark = 0xff00, .priority = 3};
	struct ovs_run r;
	uint8_t f[600];

	(void)state;
	OVS_ALL(1, 0, {.type = OVS_ACT_SET_MARK, .word = {0x12, 0xff}},
		{.type = OVS_ACT_SET_PRIORITY, .word = {9, ~0u}}, OUT(2));
	r = ovs_run(1, f, build(f, &p), &ctx);
	assert_int_equal(r.ctx.mark, 0xff12);
	assert_int_equal(r.ctx.priority, 9);
}

/* Masks of the forms that the table above has whole: the bits outside them stay, checksums hold. */
static void masked_addresses_of_ipv6(void **state)
{
	struct packet p = plain(1, IPPROTO_UDP), q = p;
	struct ovs_action set = {.type = OVS_ACT_SET_IPV6};
	__be32 was[4];
	char src[64];

	(void)state;
	set_addr(was, p.src);
	was[3] = (was[3] & ~htonl(0xff00)) | htonl(0x7700);
	assert_non_null(inet_ntop(AF_INET6, was, src, sizeof(src)));
	q.src = src;
	set.ip6.src[3] = htonl(0x7700);
	set.ip6.src_mask[3] = htonl(0xff00);
	OVS_ALL(1, 0, set, OUT(2));
	WANTS(1, &p, 2, &q);
}

static void masked_ports_of_each_transport(void **state)
{
	(void)state;
	sets_ports((struct ovs_set_ports){.sport = htons(0x55), .sport_mask = htons(0xff)}, 0x355,
		   80);
}

static void masked_icmp_type_or_code(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		struct packet p = echo_request(six), q = p;

		ovs_reset(NULL);
		q.code = 0x15;
		OVS_ALL(1, 0,
			{.type = OVS_ACT_SET_ICMP,
			 .ports = {.dport = htons(0x15), .dport_mask = htons(0x1f)}},
			OUT(2));
		WANTS(1, &p, 2, &q);
		ovs_reset(NULL);
		q = p;
		q.type++;
		OVS_ALL(1, 0,
			{.type = OVS_ACT_SET_ICMP,
			 .ports = {.sport = htons(1), .sport_mask = htons(1)}},
			OUT(2));
		WANTS(1, &p, 2, &q);
	}
}

static void masked_link_addresses(void **state)
{
	struct packet p = plain(0, IPPROTO_UDP);
	uint8_t f[600];
	size_t n = build(f, &p);
	struct ovs_run r;

	(void)state;
	OVS_ALL(1, 0,
		{.type = OVS_ACT_SET_ETH,
		 .eth = {.dst = {0, 0, 0x40},
			 .dst_mask = {0, 0, 0xf0},
			 .src = {0, 0, 0, 0, 0, 9},
			 .src_mask = {0, 0, 0, 0, 0, 255}}},
		OUT(2));
	r = ovs_run(1, f, n, NULL);
	f[2] = (f[2] & 0x0f) | 0x40;
	f[11] = 9;
	assert_int_equal(r.ifindex, ovs_ifindex[2]);
	assert_int_equal(r.len, n);
	assert_memory_equal(r.out, f, n);
}

static void masked_tos_and_ttl_of_both_families(void **state)
{
	struct packet p = plain(0, IPPROTO_TCP);
	struct ovs_run r;
	uint8_t f[600];
	size_t n = build(f, &p);

	(void)state;
	f[15] = 0x03; /* congestion seen: not the mask's */
	put2(f + 24, 0);
	put2(f + 24, ~sum(f + 14, 20, 0));
	OVS_ALL(1, 0,
		{.type = OVS_ACT_SET_IPV4,
		 .ip4 = {.tos = 0xb8, .tos_mask = 0xfc, .ttl = 0x01, .ttl_mask = 0x0f}},
		OUT(2));
	r = ovs_run(1, f, n, NULL);
	f[15] = 0xbb;
	f[22] = 0x41;
	put2(f + 24, 0);
	put2(f + 24, ~sum(f + 14, 20, 0));
	assert_memory_equal(r.out, f, n);
	ovs_reset(NULL);
	p = plain(1, IPPROTO_TCP);
	n = build(f, &p);
	put4(f + 14, 0x60312345);
	OVS_ALL(1, 0,
		{.type = OVS_ACT_SET_IPV6,
		 .ip6 = {.tos = 0xb8,
			 .tos_mask = 0xfc,
			 .label = htonl(0xa0000),
			 .label_mask = htonl(0xf0000),
			 .ttl = 0x01,
			 .ttl_mask = 0x0f}},
		OUT(2));
	r = ovs_run(1, f, n, NULL);
	put4(f + 14, 0x6bba2345);
	f[21] = 0x41;
	assert_int_equal(r.len, n);
	assert_memory_equal(r.out, f, n);
}

static void masked_discovery_target_and_priority(void **state)
{
	struct packet p = {
		.src = C[1], .dst = S[1], .proto = IPPROTO_ICMPV6, .type = 136, .payload = 24};
	struct ovs_action set = {.type = OVS_ACT_SET_ND};
	struct __sk_buff ctx = {.priority = 0x12340000};
	struct ovs_run r;
	uint8_t f[600];
	size_t n = build(f, &p);

	(void)state;
	memcpy(f + 78, "\2\1\x02\0\0\0\0\1", 8);
	for (int turn = 0; turn < 2; turn++) {
		put2(f + 56, 0);
		put2(f + 56, ~sum(f + 54, n - 54, sum(f + 22, 32, n - 54 + IPPROTO_ICMPV6)));
		if (turn)
			break;
		set.nd.target[3] = htonl(0x77);
		set.nd.target_mask[3] = htonl(0xff);
		set.nd.tll[5] = 8;
		set.nd.tll_mask[5] = 0xff;
		OVS_ALL(1, 0, set, {.type = OVS_ACT_SET_PRIORITY, .word = {5, 0xff}}, OUT(2));
		r = ovs_run(1, f, n, &ctx);
		f[77] = 0x77;
		f[85] = 8;
	}
	assert_int_equal(r.len, n);
	assert_memory_equal(r.out, f, n);
	assert_int_equal(r.ctx.priority, 0x12340005);
}

/* What the device is told of the outer header, whole. */
static void tunnel_of_both_families(void **state)
{
	struct packet p = plain(0, IPPROTO_UDP);

	(void)state;
	for (int six = 0; six < 2; six++) {
		struct ovs_action set = {.type = OVS_ACT_SET_TUNNEL,
					 .tun = {.id = htobe64(0x123456),
						 .family = six ? 6 : 4,
						 .tos = 0xb8,
						 .ttl = 61,
						 .flags = OVS_TUN_KEY}};
		struct ovs_hook_tunnel want = {.id = 0x123456, .tos = 0xb8, .ttl = 61};
		uint32_t host[2] = {ntohl(inet_addr("192.0.2.9")), ntohl(inet_addr("192.0.2.1"))};
		/* ZERO_CSUM_TX, with TUNINFO_IPV6; then DONT_FRAGMENT alone */
		uint64_t flags[2] = {0x02 | six, 0x04 | six};
		struct ovs_run r;
		uint8_t f[600];
		size_t n = build(f, &p);

		if (six) {
			memset(set.tun.src, 0x22, 16);
			memset(set.tun.dst, 0x11, 16);
			memset(want.remote, 0x11, 16);
			memset(want.local, 0x22, 16);
		} else {
			set.tun.dst[0] = inet_addr("192.0.2.9");
			set.tun.src[0] = inet_addr("192.0.2.1");
			memcpy(want.remote, &host[0], 4);
			memcpy(want.local, &host[1], 4);
		}
		for (int i = 0; i < 2; i++) {
			ovs_reset(NULL);
			if (i)
				set.tun.flags |= OVS_TUN_CSUM | OVS_TUN_DF;
			OVS_ALL(1, 0, set, OUT(2));
			r = ovs_run(1, f, n, NULL);
			assert_int_equal(r.ifindex, ovs_ifindex[2]);
			assert_memory_equal(&r.hook.out, &want, sizeof(want));
			assert_int_equal(r.hook.out_flags, flags[i]);
			assert_memory_equal(r.out, f, n);
		}
	}
}

/* Two: the inner one is then in the data, the outer one in the packet's metadata, which a
 * socket is told apart from the data. */
static void two_tags_are_pushed_and_popped(void **state)
{
	struct packet p = plain(0, IPPROTO_UDP), one = p, two = p;
	const struct ovs_upcall *u;

	(void)state;
	one.vlans = 1;
	two.vlans = 2;
	OVS_ALL(1, 0,
		{.type = OVS_ACT_PUSH_VLAN, .vlan = {htons(0x8100), htons(OVS_VLAN_CFI | 101)}},
		{.type = OVS_ACT_PUSH_VLAN, .vlan = {htons(0x88a8), htons(OVS_VLAN_CFI | 7)}},
		OUT(2), AGAIN(9));
	assert_int_equal(ovs_packet(1, &p).ifindex, 0);
	PEER_WANTS(2, &one);
	u = ovs_upcall_next();
	assert_non_null(u);
	assert_int_equal(u->key.vlan[0].tpid, htons(0x88a8));
	assert_int_equal(u->key.vlan[0].tci, htons(OVS_VLAN_CFI | 7));
	assert_int_equal(u->key.vlan[1].tpid, htons(0x8100));
	assert_int_equal(u->key.vlan[1].tci, htons(OVS_VLAN_CFI | 101));
	assert_int_equal(u->vlan_tpid, htons(0x88a8));
	assert_int_equal(u->vlan_tci, htons(7));
	ovs_reset(NULL);
	OVS_ALL(1, 0, {.type = OVS_ACT_POP_VLAN}, {.type = OVS_ACT_POP_VLAN}, OUT(2), OUT(3));
	WANTS(1, &two, 3, NULL);
	PEER_WANTS(2, &p);
}

static void tags_are_pushed_and_popped(void **state)
{
	struct packet p = plain(0, IPPROTO_UDP), tagged = p;
	struct ovs_key key = {.in_port = 1,
			      .recirc_id = 1,
			      .vlan = {{htons(0x8100), htons(OVS_VLAN_CFI | 0xa005)}}};
	struct ovs_key mask = {.vlan = {{0xffff, 0xffff}}};
	struct ovs_action out = OUT(2);

	(void)state;
	tagged.vlans = 1;
	OVS_ALL(1, 0, {.type = OVS_ACT_POP_VLAN}, OUT(2));
	WANTS(1, &tagged, 2, &p);
	WANTS(1, &p, 2, &p);
	/* A pushed one is in the key after recirculation, its priority too. */
	ovs_reset(NULL);
	OVS_ALL(1, 0,
		{.type = OVS_ACT_PUSH_VLAN, .vlan = {htons(0x8100), htons(OVS_VLAN_CFI | 0xa005)}},
		AGAIN(1));
	ovs_flow_put(key, mask, &out, 1);
	WANTS(1, &p, 2, NULL);
	ovs_reset(NULL);
	OVS_ALL(1, 0, {.type = OVS_ACT_PUSH_VLAN, .vlan = {htons(0x8100), htons(OVS_VLAN_CFI | 5)}},
		{.type = OVS_ACT_POP_VLAN}, OUT(2));
	WANTS(1, &p, 2, &p);
}

/* The checksum over all that a device has made is changed along. (Not of ARP, which has none and
 * which nobody verifies, nor of tags: here it counts from the IP header.) */
static int summed(void **state)
{
	ovs_complete = true;
	return ovs_reset(state);
}

static int unsummed(void **state)
{
	(void)state;
	ovs_complete = false;
	return 0;
}
#define SUMMED(f) cmocka_unit_test_setup_teardown(f, summed, unsummed)

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		SUMMED(addresses_are_set_with_their_checksums),
		SUMMED(a_udp_packet_without_checksum_stays_so),
		TEST(an_sctp_packet_without_checksum_stays_so),
		SUMMED(a_mask_leaves_the_other_bits),
		SUMMED(ttl_and_tos),
		SUMMED(ports_of_each_transport),
		SUMMED(icmp_type_and_code),
		SUMMED(neighbour_discovery),
		SUMMED(a_later_option_of_neighbour_discovery),
		TEST(arp_and_link_addresses),
		SUMMED(a_header_that_is_not_there_is_not_set),
		SUMMED(ports_of_a_later_fragment_are_not_set),
		SUMMED(mark_and_priority),
		SUMMED(masked_addresses_of_ipv6),
		SUMMED(masked_ports_of_each_transport),
		SUMMED(masked_icmp_type_or_code),
		SUMMED(masked_link_addresses),
		SUMMED(masked_tos_and_ttl_of_both_families),
		SUMMED(masked_discovery_target_and_priority),
		SUMMED(tunnel_of_both_families),
		TEST(two_tags_are_pushed_and_popped),
		TEST(tags_are_pushed_and_popped),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests_name("ovs_actions", tests, ovs_up, ovs_down) ? 1 : 0;
}
