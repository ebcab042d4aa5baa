// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The actions of the OVS datapath, each by the whole packet that leaves: what a SET writes is
 * compared with the packet that a sender would have built so, checksums and all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <linux/pkt_cls.h>
#include <string.h>

#include "tests/bpf/lib/ovsplay.h"

/* Tables name only what matters. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define OUT(n)                                                                                     \
	{                                                                                          \
		.type = OVS_ACT_OUTPUT, .port = (n)                                                \
	}
#define AGAIN(n)                                                                                   \
	{                                                                                          \
		.type = OVS_ACT_RECIRC, .id = (n)                                                  \
	}
#define MAC(n)                                                                                     \
	{                                                                                          \
		.type = OVS_ACT_SET_ETH,                                                           \
		.eth = {.dst = {2, 2, 2, 2, 2, (n)},                                               \
			.dst_mask = {255, 255, 255, 255, 255, 255} }                               \
	}
#define ONES4                                                                                      \
	{                                                                                          \
		~0u, ~0u, ~0u, ~0u                                                                 \
	}

static const uint8_t protos[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP};

static struct packet plain(int six, uint8_t proto)
{
	return (struct packet){.src = C[six],
			       .dst = S[six],
			       .proto = proto,
			       .sport = 1000,
			       .dport = 80,
			       .payload = 37};
}

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
			struct packet p = {.src = C[1],
					   .dst = S[1],
					   .proto = IPPROTO_ICMPV6,
					   .type = 128,
					   .id = 3,
					   .payload = 9};
			struct packet q = p;

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

static void ports_of_each_transport(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		for (int i = 0; i < 3; i++) {
			struct packet p = plain(six, protos[i]), q = p;

			ovs_reset(NULL);
			q.sport = 4444;
			q.dport = 5555;
			OVS_ALL(1, 0,
				{.type = OVS_ACT_SET_PORTS,
				 .ports = {htons(4444), htons(5555), 0xffff, 0xffff}},
				OUT(2));
			WANTS(1, &p, 2, &q);
		}
	}
}

static void icmp_type_and_code(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		struct packet p = {.src = C[six],
				   .dst = S[six],
				   .proto = ICMP_OF(six),
				   .type = six ? 128 : 8,
				   .id = 3,
				   .payload = 9};
		struct packet q = p;

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

static void arp_and_link_addresses(void **state)
{
	struct ovs_action set = {.type = OVS_ACT_SET_ARP,
				 .arp = {.op = htons(2),
					 .op_mask = 0xffff,
					 .sip = inet_addr("10.9.9.9"),
					 .sip_mask = ~0u,
					 .tip_mask = htonl(0xff),
					 .tip = htonl(7),
					 .sha = {2, 1, 2, 3, 4, 5},
					 .sha_mask = {255, 255, 255, 255, 255, 255}}};
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

static void tags_are_pushed_and_popped(void **state)
{
	struct packet p = plain(0, IPPROTO_UDP), tagged = p;
	struct ovs_key key = {
		.in_port = 1, .recirc_id = 1, .vlan = {{htons(0x8100), htons(OVS_VLAN_CFI | 5)}}};
	struct ovs_key mask = {.vlan = {{0xffff, 0xffff}}};
	struct ovs_action out = OUT(2);

	(void)state;
	tagged.vlans = 1;
	OVS_ALL(1, 0, {.type = OVS_ACT_POP_VLAN}, OUT(2));
	WANTS(1, &tagged, 2, &p);
	WANTS(1, &p, 2, &p);
	/* A pushed one is in the key after recirculation. */
	ovs_reset(NULL);
	OVS_ALL(1, 0, {.type = OVS_ACT_PUSH_VLAN, .vlan = {htons(0x8100), htons(OVS_VLAN_CFI | 5)}},
		AGAIN(1));
	ovs_flow_put(key, mask, &out, 1);
	WANTS(1, &p, 2, NULL);
	ovs_reset(NULL);
	OVS_ALL(1, 0, {.type = OVS_ACT_PUSH_VLAN, .vlan = {htons(0x8100), htons(OVS_VLAN_CFI | 5)}},
		{.type = OVS_ACT_POP_VLAN}, OUT(2));
	WANTS(1, &p, 2, &p);
}

/* ---- where packets go ---- */

static void each_output_sends_the_packet_as_it_is_then(void **state)
{
	struct packet p = plain(0, IPPROTO_UDP), q = p;

	(void)state;
	q.ttl = 9;
	OVS_ALL(1, 0, OUT(2), {.type = OVS_ACT_SET_IPV4, .ip4 = {.ttl = 9, .ttl_mask = 255}},
		OUT(3));
	WANTS(1, &p, 3, &q);
	PEER_WANTS(2, &p);
}

static void a_port_that_is_gone_loses_its_own_copy_alone(void **state)
{
	struct packet p = plain(0, IPPROTO_UDP);
	uint64_t gone = drops(CT_DROP_OVS_PORT);

	(void)state;
	OVS_ALL(1, 0, OUT(77), OUT(OVS_PORTS + 5), OUT(3));
	WANTS(1, &p, 3, &p);
	assert_int_equal(drops(CT_DROP_OVS_PORT), gone + 2);
}

static void recirculation_finds_another_flow(void **state)
{
	struct packet p = plain(0, IPPROTO_UDP), q = p;

	(void)state;
	q.ttl = 9;
	OVS_ALL(1, 0, {.type = OVS_ACT_SET_IPV4, .ip4 = {.ttl = 9, .ttl_mask = 255}}, AGAIN(5));
	OVS_ALL(1, 5, OUT(2));
	WANTS(1, &p, 2, &q);
	assert_int_equal(ovs_packet(2, &p).ifindex, 0); /* another port's */
}

static void recirculation_that_is_not_last_keeps_the_packet(void **state)
{
	struct packet p = plain(0, IPPROTO_UDP), q = p;

	(void)state;
	q.ttl = 9;
	OVS_ALL(1, 0, AGAIN(5), OUT(3));
	OVS_ALL(1, 5, {.type = OVS_ACT_SET_IPV4, .ip4 = {.ttl = 9, .ttl_mask = 255}}, OUT(2));
	WANTS(1, &p, 3, &p);
	PEER_WANTS(2, &q);
}

/* Through more tail calls than the kernel allows in one chain, and to an end. */
static void recirculation_has_an_end(void **state)
{
	struct packet p = plain(0, IPPROTO_UDP);
	uint64_t dropped = drops(CT_DROP_OVS_RECIRC);
	uint64_t turns = ovs_stat_of(OVS_STAT_RECIRC);

	(void)state;
	OVS_ALL(1, 0, AGAIN(5), OUT(3));
	OVS_ALL(1, 5, {.type = OVS_ACT_TRUNC, .len = 2000}, AGAIN(5));
	WANTS(1, &p, 3, &p);
	assert_int_equal(drops(CT_DROP_OVS_RECIRC), dropped + 1);
	assert_int_equal(ovs_stat_of(OVS_STAT_RECIRC), turns + OVS_RECIRC_MAX);
}

static void as_many_recirculations_as_are_allowed_arrive(void **state)
{
	struct packet p = plain(0, IPPROTO_UDP), q = p;

	(void)state;
	q.ttl = 9;
	OVS_ALL(1, 0, {.type = OVS_ACT_SET_IPV4, .ip4 = {.ttl = 9, .ttl_mask = 255}}, AGAIN(1),
		OUT(3));
	for (uint32_t i = 1; i < OVS_RECIRC_MAX; i++)
		OVS_ALL(1, i, {.type = OVS_ACT_TRUNC, .len = 2000}, AGAIN(i + 1));
	OVS_ALL(1, OVS_RECIRC_MAX, OUT(2));
	WANTS(1, &p, 3, &q);
	PEER_WANTS(2, &q);
}

static void a_clone_changes_its_copy_alone(void **state)
{
	struct packet p = plain(0, IPPROTO_UDP), q = p;

	(void)state;
	q.ttl = 9;
	OVS_ALL(1, 0, {.type = OVS_ACT_CLONE, .body = 2},
		{.type = OVS_ACT_SET_IPV4, .ip4 = {.ttl = 9, .ttl_mask = 255}}, OUT(2), OUT(3));
	WANTS(1, &p, 3, &p);
	PEER_WANTS(2, &q);
	/* The last one needs no copy. */
	ovs_reset(NULL);
	OVS_ALL(1, 0, OUT(2), {.type = OVS_ACT_CLONE, .body = 2},
		{.type = OVS_ACT_SET_IPV4, .ip4 = {.ttl = 9, .ttl_mask = 255}}, OUT(3));
	WANTS(1, &p, 3, &q);
	PEER_WANTS(2, &p);
}

/* Each with an output behind it, so that each needs a copy: four nest, as dp_action.h says, and
 * what is deeper is lost alone. */
static void copies_of_copies_have_an_end(void **state)
{
	struct ovs_action a[2 * 7 + 1];
	struct packet p = plain(0, IPPROTO_UDP);
	uint64_t deep = drops(CT_DROP_OVS_DEPTH);
	uint8_t f[200];
	int got = 0;

	(void)state;
	for (unsigned int i = 0; i < 7; i++) {
		a[i] = (struct ovs_action){.type = OVS_ACT_CLONE, .body = 13 - 2 * i};
		a[7 + i] = (struct ovs_action)OUT(2);
	}
	a[14] = (struct ovs_action)OUT(3);
	ovs_flow_all(1, 0, a, 15);
	WANTS(1, &p, 3, &p);
	while (ovs_peer(2, f, sizeof(f), 200))
		got++;
	assert_int_equal(got, 5);
	assert_int_equal(drops(CT_DROP_OVS_DEPTH), deep + 1);
	ovs_reset(NULL);
	ovs_flow_all(1, 0, a + 3, 12);
	WANTS(1, &p, 3, &p);
	for (int i = 0; i < 7; i++)
		PEER_WANTS(2, &p);
	assert_int_equal(drops(CT_DROP_OVS_DEPTH), deep + 1);
}

static void a_sample_takes_all_or_nothing_at_the_ends(void **state)
{
	struct packet p = plain(0, IPPROTO_UDP);
	uint8_t f[64];

	(void)state;
	OVS_ALL(1, 0, {.type = OVS_ACT_SAMPLE, .sample = {.probability = ~0u, .body = 1}}, OUT(2),
		OUT(3));
	WANTS(1, &p, 3, &p);
	PEER_WANTS(2, &p);
	ovs_reset(NULL);
	OVS_ALL(1, 0, {.type = OVS_ACT_SAMPLE, .sample = {.probability = 0, .body = 1}}, OUT(2),
		OUT(3));
	WANTS(1, &p, 3, &p);
	assert_int_equal(ovs_peer(2, f, sizeof(f), 50), 0);
}

static void trunc_cuts_the_next_output_alone(void **state)
{
	struct packet p = plain(0, IPPROTO_UDP);
	const struct ovs_upcall *u;
	struct ovs_run r;
	uint8_t f[600], whole[600];
	size_t n;

	(void)state;
	p.payload = 400;
	n = build(whole, &p);
	OVS_ALL(1, 0, {.type = OVS_ACT_TRUNC, .len = 100}, OUT(2), OUT(3));
	WANTS(1, &p, 3, &p);
	assert_int_equal(ovs_peer(2, f, sizeof(f), 2000), 100);
	assert_memory_equal(f, whole, 100);
	ovs_reset(NULL);
	OVS_ALL(1, 0, {.type = OVS_ACT_TRUNC, .len = 100}, OUT(2));
	r = ovs_packet(1, &p);
	assert_int_equal(r.ifindex, ovs_ifindex[2]);
	assert_int_equal(r.len, 100);
	ovs_reset(NULL);
	OVS_ALL(1, 0, {.type = OVS_ACT_TRUNC, .len = 100},
		{.type = OVS_ACT_USERSPACE, .user = {.cookie = 1}}, OUT(3));
	WANTS(1, &p, 3, &p);
	u = ovs_upcall_next();
	assert_non_null(u);
	assert_int_equal(u->len, n);
	assert_int_equal(u->caplen, 100);
}

static void check_len_counts_from_the_link_header(void **state)
{
	struct packet p = plain(0, IPPROTO_UDP);
	uint8_t f[600];
	uint32_t n = build(f, &p);

	(void)state;
	for (int longer = 0; longer < 2; longer++) {
		ovs_reset(NULL);
		OVS_ALL(1, 0,
			{.type = OVS_ACT_CHECK_LEN,
			 .check = {.len = n - longer, .body = 1, .body2 = 1}},
			OUT(3), OUT(2));
		WANTS(1, &p, longer ? 3 : 2, &p);
	}
}

static void a_userspace_action_brings_its_cookie(void **state)
{
	struct packet p = plain(0, IPPROTO_UDP);
	const struct ovs_upcall *u;
	uint32_t slot;
	uint8_t f[600];

	(void)state;
	slot = OVS_ALL(1, 0, {.type = OVS_ACT_SET_IPV4, .ip4 = {.ttl = 9, .ttl_mask = 255}},
		       {.type = OVS_ACT_USERSPACE, .user = {4711, OVS_USER_TUNNEL}}, OUT(2));
	p.ttl = 9;
	WANTS(1, &p, 2, &p);
	u = ovs_upcall_next();
	assert_non_null(u);
	assert_int_equal(u->reason, OVS_UPCALL_ACTION);
	assert_int_equal(u->cookie, 4711);
	assert_int_equal(u->flags, OVS_USER_TUNNEL);
	assert_int_equal(u->flow, slot);
	assert_int_equal(u->key.ttl, 9);
	assert_memory_equal(u->data, f, build(f, &p));
}

static uint32_t hash_of(const struct packet *p, uint32_t alg, uint32_t basis)
{
	const struct ovs_upcall *u;

	ovs_reset(NULL);
	OVS_ALL(1, 0, {.type = OVS_ACT_HASH, .hash = {alg, basis}}, AGAIN(1));
	ovs_packet(1, p);
	u = ovs_upcall_next();
	assert_non_null(u);
	assert_int_equal(u->key.recirc_id, 1);
	return u->key.dp_hash;
}

static void hash_tells_flows_apart(void **state)
{
	struct packet p = plain(0, IPPROTO_UDP), back = p, other = p;
	uint32_t h = hash_of(&p, OVS_HASH_L4, 0);

	(void)state;
	back.src = p.dst;
	back.dst = p.src;
	back.sport = p.dport;
	back.dport = p.sport;
	other.sport++;
	assert_int_not_equal(h, 0);
	assert_int_equal(hash_of(&p, OVS_HASH_L4, 0), h);
	assert_int_not_equal(hash_of(&p, OVS_HASH_L4, 1), h);
	assert_int_not_equal(hash_of(&other, OVS_HASH_L4, 0), h);
	assert_int_not_equal(hash_of(&back, OVS_HASH_L4, 0), h);
	h = hash_of(&p, OVS_HASH_SYM_L4, 0);
	assert_int_equal(hash_of(&back, OVS_HASH_SYM_L4, 0), h);
	assert_int_not_equal(hash_of(&other, OVS_HASH_SYM_L4, 0), h);
}

static void a_meter_lets_its_burst_through(void **state)
{
	struct packet p = plain(0, IPPROTO_UDP);

	(void)state;
	ovs_meters[1] = (struct ovs_meter){.flags = OVS_METER_LIVE | OVS_METER_PKTPS,
					   .n_bands = 2,
					   .band = {{.rate = 1, .burst = 3}, {.rate = 100000}}};
	OVS_ALL(1, 0, {.type = OVS_ACT_METER, .id = 1}, OUT(2));
	for (int i = 0; i < 3; i++)
		WANTS(1, &p, 2, &p);
	WANTS_DROP(1, &p, CT_DROP_OVS_METER);
	assert_int_equal(ovs_meters[1].packets, 4);
	assert_int_equal(ovs_meters[1].band[0].packets, 1);
	assert_int_equal(ovs_meters[1].band[1].packets, 0);
	/* One that there is not lets all pass. */
	ovs_meters[1].flags = 0;
	WANTS(1, &p, 2, &p);
}

static void a_drop_is_counted(void **state)
{
	struct packet p = plain(0, IPPROTO_UDP);

	(void)state;
	OVS_ALL(1, 0, OUT(2), {.type = OVS_ACT_DROP});
	WANTS_DROP(1, &p, CT_DROP_OVS_DROP);
	PEER_WANTS(2, &p);
}

static void malformed_lists_drop(void **state)
{
	static const struct ovs_action bad[] = {
		{.type = OVS_ACT_MAX},
		{.type = 0xffff},
		{.type = OVS_ACT_CLONE, .body = 5},
		{.type = OVS_ACT_SAMPLE, .sample = {.probability = ~0u, .body = 0xffff}},
		{.type = OVS_ACT_CHECK_LEN, .check = {.body = 1, .body2 = 9}},
	};
	struct packet p = plain(0, IPPROTO_UDP);

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		ovs_reset(NULL);
		OVS_ALL(1, 0, bad[i], OUT(2), OUT(3));
		WANTS_DROP(1, &p, CT_DROP_OVS_ACTION);
	}
}

static void thirty_two_actions_run(void **state)
{
	struct ovs_action a[OVS_FLOW_ACTIONS];
	struct packet p = plain(0, IPPROTO_UDP), q = p;

	(void)state;
	for (int i = 0; i < OVS_FLOW_ACTIONS - 1; i++)
		a[i] = (struct ovs_action){.type = OVS_ACT_SET_PORTS,
					   .ports = {.dport = htons(i + 1), .dport_mask = 0xffff}};
	a[OVS_FLOW_ACTIONS - 1] = (struct ovs_action)OUT(2);
	ovs_flow_all(1, 0, a, OVS_FLOW_ACTIONS);
	q.dport = OVS_FLOW_ACTIONS - 1;
	WANTS(1, &p, 2, &q);
}

/* ---- EXECUTE ---- */

static void put_execute(uint32_t slot, uint32_t token)
{
	struct ovs_flow *f = &ovs_flows[slot];

	memset(f, 0, sizeof(*f));
	f->key.in_port = 1;
	f->key.recirc_id = 9;
	f->key.skb_mark = 0x77;
	f->key.ct_mark = 0x88;
	f->n_actions = 1;
	ovs_actions[100] = (struct ovs_action)AGAIN(10);
	f->action[0] = 100;
	f->live = token;
}

static void execute_restores_the_metadata(void **state)
{
	struct packet p = plain(0, IPPROTO_UDP);
	const struct ovs_upcall *u;
	uint8_t f[600];
	size_t n = build(f, &p);

	(void)state;
	put_execute(3, 0xabcde000 | 3);
	assert_int_equal(ovs_send_token(ovs_flows[3].live, f, n), 0);
	u = ovs_upcall_next();
	assert_non_null(u);
	assert_int_equal(u->key.in_port, 1);
	assert_int_equal(u->key.recirc_id, 10);
	assert_int_equal(u->key.skb_mark, 0x77);
	assert_int_equal(u->key.ct_mark, 0x88);
	assert_int_equal(u->key.dport, htons(80));
	assert_memory_equal(u->data, f, n);
	assert_int_equal(ovs_flows[3].live, 0);
}

static void a_token_holds_once(void **state)
{
	struct packet p = plain(0, IPPROTO_UDP);
	uint64_t before = drops(CT_DROP_OVS_EXECUTE);
	uint32_t token = 0x12345600 | 5;
	uint8_t f[600];
	size_t n = build(f, &p);

	(void)state;
	put_execute(5, token);
	ovs_send_token(token, f, n);
	ovs_send_token(token, f, n);
	ovs_send_token(0, f, n);
	ovs_send_token(token ^ 0x10000, f, n);
	assert_non_null(ovs_upcall_next());
	assert_null(ovs_upcall_next());
	assert_int_equal(drops(CT_DROP_OVS_EXECUTE), before + 3);
}

#define TEST(f) cmocka_unit_test_setup(f, ovs_reset)

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		TEST(addresses_are_set_with_their_checksums),
		TEST(a_udp_packet_without_checksum_stays_so),
		TEST(a_mask_leaves_the_other_bits),
		TEST(ttl_and_tos),
		TEST(ports_of_each_transport),
		TEST(icmp_type_and_code),
		TEST(neighbour_discovery),
		TEST(arp_and_link_addresses),
		TEST(a_header_that_is_not_there_is_not_set),
		TEST(mark_and_priority),
		TEST(tags_are_pushed_and_popped),
		TEST(each_output_sends_the_packet_as_it_is_then),
		TEST(a_port_that_is_gone_loses_its_own_copy_alone),
		TEST(recirculation_finds_another_flow),
		TEST(recirculation_that_is_not_last_keeps_the_packet),
		TEST(recirculation_has_an_end),
		TEST(as_many_recirculations_as_are_allowed_arrive),
		TEST(a_clone_changes_its_copy_alone),
		TEST(copies_of_copies_have_an_end),
		TEST(a_sample_takes_all_or_nothing_at_the_ends),
		TEST(trunc_cuts_the_next_output_alone),
		TEST(check_len_counts_from_the_link_header),
		TEST(a_userspace_action_brings_its_cookie),
		TEST(hash_tells_flows_apart),
		TEST(a_meter_lets_its_burst_through),
		TEST(a_drop_is_counted),
		TEST(malformed_lists_drop),
		TEST(thirty_two_actions_run),
		TEST(execute_restores_the_metadata),
		TEST(a_token_holds_once),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests_name("ovs_actions", tests, ovs_up, ovs_down) ? 1 : 0;
}
