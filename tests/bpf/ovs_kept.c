// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * What the OVS datapath keeps over a recirculation must be true there: the key (actions write what
 * they change into it rather than have the packet read again) and the guess which flow comes next.
 * A kept key is compared with the one that a port without flows takes from the very packet.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <bpf/bpf.h>
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
#define FRESH 3 /* a port without flows */
#define KEPT  offsetof(struct ovs_key, eth_dst)

static const uint8_t protos[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP, 0 /* ICMP */};

static struct packet plain(int six, uint8_t proto)
{
	return (struct packet){.src = C[six],
			       .dst = S[six],
			       .proto = proto ? proto : ICMP_OF(six),
			       .type = six ? 128 : 8,
			       .id = 7,
			       .sport = 1000,
			       .dport = 80,
			       .tcp = 0x02,
			       .payload = 37};
}

/* The key of an upcall, whose packet part must be that of the packet with it. */
static struct ovs_key fresh_key(const struct ovs_upcall *u, int line)
{
	uint8_t frame[1024];
	struct ovs_key kept;
	size_t n = 0;

	if (!u || u->key.recirc_id != 9)
		fail_msg("line %d: did not come to recirculation 9", line);
	kept = u->key;
	memcpy(frame, u->data, 12);
	if (u->vlan_tpid) {
		memcpy(frame + 12, &u->vlan_tpid, 2);
		memcpy(frame + 14, &u->vlan_tci, 2);
		n = 4;
	}
	memcpy(frame + 12 + n, u->data + 12, u->caplen - 12);
	ovs_run(FRESH, frame, u->caplen + n, NULL);
	u = ovs_upcall_next();
	assert_non_null(u);
	if (!memcmp((uint8_t *)&kept + KEPT, (uint8_t *)&u->key + KEPT, sizeof(kept) - KEPT))
		return kept;
	dump("kept", (uint8_t *)&kept + KEPT, sizeof(kept) - KEPT);
	dump("true", (uint8_t *)&u->key + KEPT, sizeof(kept) - KEPT);
	fail_msg("line %d: not the packet's key", line);
	return kept;
}
#define FRESH_KEY(u) fresh_key((u), __LINE__)

static struct ovs_key key_after(uint32_t port, const struct packet *p, int line)
{
	ovs_packet(port, p);
	return fresh_key(ovs_upcall_next(), line);
}
#define KEY_AFTER(port, p) key_after((port), (p), __LINE__)

/* Of every kind of packet, behind these actions. */
static void every_packet(const struct ovs_action *a, unsigned int n, int six, int line)
{
	struct ovs_action list[OVS_FLOW_ACTIONS];

	memcpy(list, a, n * sizeof(*a));
	list[n] = (struct ovs_action)AGAIN(9);
	for (unsigned int i = 0; i < sizeof(protos); i++) {
		for (int vlans = 0; vlans < 3; vlans++) {
			struct packet p = plain(six, protos[i]);

			p.vlans = vlans;
			ovs_flush();
			ovs_flow_all(1, 0, list, n + 1);
			if (ovs_packet(1, &p).action != TC_ACT_SHOT)
				fresh_key(ovs_upcall_next(), line);
			p.vlans = 0;
			if (ovs_packet(1, &p).action != TC_ACT_SHOT)
				fresh_key(ovs_upcall_next(), line);
		}
	}
}
#define EVERY_PACKET(six, ...)                                                                     \
	every_packet((const struct ovs_action[]){__VA_ARGS__},                                     \
		     sizeof((const struct ovs_action[]){__VA_ARGS__}) / sizeof(struct ovs_action), \
		     (six), __LINE__)

static void what_a_set_writes(void **state)
{
	struct ovs_action six = {.type = OVS_ACT_SET_IPV6,
				 .ip6 = {.tos = 0x5c,
					 .tos_mask = 0xfc,
					 .ttl = 7,
					 .ttl_mask = 255,
					 .label = htonl(0x12345),
					 .label_mask = htonl(0xfffff)}};

	(void)state;
	set_addr(six.ip6.src, E[1]);
	memset(six.ip6.src_mask, 0xff, 16);
	set_addr(six.ip6.dst, I[1]);
	memset(six.ip6.dst_mask, 0xff, 16);
	EVERY_PACKET(1, six);
	EVERY_PACKET(0, {.type = OVS_ACT_SET_IPV4,
			 .ip4 = {.src = inet_addr(E[0]),
				 .src_mask = ~0u,
				 .dst = inet_addr(I[0]),
				 .dst_mask = ~0u,
				 .tos = 0x5c,
				 .tos_mask = 0xfc,
				 .ttl = 7,
				 .ttl_mask = 255}});
	for (int v6 = 0; v6 < 2; v6++) {
		EVERY_PACKET(v6, {.type = OVS_ACT_SET_ETH,
				  .eth = {.dst = {2, 3, 4, 5, 6, 7},
					  .dst_mask = {255, 255, 255, 255, 255, 255},
					  .src = {2, 9, 9, 9, 9, 9},
					  .src_mask = {255, 255, 255, 255, 255, 255}}});
		EVERY_PACKET(v6, {.type = OVS_ACT_SET_PORTS,
				  .ports = {.sport = htons(4000),
					    .sport_mask = 0xffff,
					    .dport = htons(4001),
					    .dport_mask = 0xffff}});
		EVERY_PACKET(v6, {.type = OVS_ACT_SET_ICMP,
				  .ports = {.sport = htons(13),
					    .sport_mask = 0xffff,
					    .dport = htons(1),
					    .dport_mask = 0xffff}});
	}
}

static void tags_that_come_and_go(void **state)
{
	struct ovs_action push = {.type = OVS_ACT_PUSH_VLAN,
				  .vlan = {.tpid = htons(0x8100), .tci = htons(0x1007)}};
	struct ovs_action pop = {.type = OVS_ACT_POP_VLAN};

	(void)state;
	for (int six = 0; six < 2; six++) {
		EVERY_PACKET(six, push);
		EVERY_PACKET(six, pop);
		EVERY_PACKET(six, pop, push);
		EVERY_PACKET(six, push, {.type = OVS_ACT_CT}, pop);
	}
}

/* What is done to a copy is not seen in the original, nor the other way round. */
static void copies_have_their_own(void **state)
{
	struct packet p = plain(0, IPPROTO_UDP);
	const struct ovs_upcall *u[3];
	struct ovs_key k;

	(void)state;
	OVS_ALL(1, 0, {.type = OVS_ACT_SET_IPV4, .ip4 = {.ttl = 9, .ttl_mask = 255}},
		{.type = OVS_ACT_CLONE, .body = 2},
		{.type = OVS_ACT_SET_PORTS, .ports = {.dport = htons(99), .dport_mask = 0xffff}},
		AGAIN(9), {.type = OVS_ACT_SAMPLE, .sample = {.probability = ~0u, .body = 2}},
		{.type = OVS_ACT_SET_IPV4, .ip4 = {.dst = inet_addr(I[0]), .dst_mask = ~0u}},
		AGAIN(9), AGAIN(9));
	ovs_packet(1, &p);
	for (int i = 0; i < 3; i++)
		u[i] = ovs_upcall_next();
	assert_int_equal(FRESH_KEY(u[0]).dport, htons(99));
	k = FRESH_KEY(u[1]);
	assert_int_equal(k.dst[0], inet_addr(I[0]));
	assert_int_equal(k.dport, htons(80));
	k = FRESH_KEY(u[2]);
	assert_int_equal(k.dst[0], inet_addr(S[0]));
	assert_int_equal(k.ttl, 9);
}

/* An output's copy is cut, the packet goes on whole. */
static void what_is_cut_off(void **state)
{
	struct packet p = plain(0, IPPROTO_TCP);

	(void)state;
	OVS_ALL(1, 0, {.type = OVS_ACT_TRUNC, .len = 40}, OUT(2), AGAIN(9));
	assert_int_equal(KEY_AFTER(1, &p).dport, htons(80));
}

static struct ovs_action nat(int six, int dst)
{
	struct ovs_action ct = {.type = OVS_ACT_CT,
				.ct = {.flags = OVS_CT_COMMIT | OVS_CT_NAT |
						(dst ? OVS_CT_NAT_DST : OVS_CT_NAT_SRC),
				       .family = six ? 6 : 4,
				       .port_min = 4000,
				       .port_max = 4000}};

	set_addr(ct.ct.addr_min, dst ? I[six] : E[six]);
	set_addr(ct.ct.addr_max, dst ? I[six] : E[six]);
	return ct;
}

/* The first packet, its answer, and the next of either direction. */
static void translation_both_ways(int six, int dst, uint8_t proto, int vlans)
{
	struct packet p = plain(six, proto), r = p;
	struct ovs_key k;

	p.vlans = r.vlans = vlans;
	r.src = dst ? I[six] : S[six];
	r.dst = dst ? C[six] : E[six];
	r.sport = dst ? 4000 : 80;
	r.dport = dst ? 1000 : 4000;
	ovs_reset(NULL);
	OVS_ALL(1, 0, nat(six, dst), AGAIN(9));
	OVS_ALL(2, 0, {.type = OVS_ACT_CT, .ct = {.flags = OVS_CT_NAT}}, AGAIN(9));
	for (int i = 0; i < 3; i++) {
		k = KEY_AFTER(1, &p);
		assert_true(k.ct_state & (dst ? S_DNAT : S_SNAT));
		assert_memory_equal(dst ? k.ct_src : k.ct_dst, dst ? k.src : k.dst, 16);
		assert_memory_not_equal(dst ? k.ct_dst : k.ct_src, dst ? k.dst : k.src, 16);
		if (!proto || proto == IPPROTO_SCTP) /* which would not go on from here */
			continue;
		r.tcp = i ? 0x10 : 0x12;
		k = KEY_AFTER(2, &r);
		assert_true(k.ct_state & S_RPL);
		assert_memory_equal(k.src, k.ct_dst, 16);
		assert_memory_equal(k.dst, k.ct_src, 16);
		p.tcp = 0x10;
	}
}

static void what_nat_writes(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < sizeof(protos); i++)
		for (int n = 0; n < (protos[i] == IPPROTO_UDP ? 12 : 4); n++)
			translation_both_ways(n & 1, n >> 1 & 1, protos[i], n / 4);
}

/* ct() stands for a whole datagram; behind it each fragment has its own key. */
static void fragments_let_go(void **state)
{
	struct packet p = plain(0, IPPROTO_UDP);
	uint8_t whole[600], f[2][200];
	size_t all = build(whole, &p), n = 24, len;
	const struct ovs_upcall *u[2];

	(void)state;
	OVS_ALL(1, 0, nat(0, 0), AGAIN(9));
	for (int i = 0; i < 2; i++) {
		len = i ? all - n : 34 + n;
		memcpy(f[i], whole, 34);
		memcpy(f[i] + 34, whole + 34 + i * n, len - 34);
		put2(f[i] + 16, len - 14);
		put2(f[i] + 20, i ? n / 8 : 0x2000);
		put2(f[i] + 24, 0);
		put2(f[i] + 24, ~sum(f[i] + 14, 20, 0));
		ovs_run(1, f[i], len, NULL);
	}
	for (int i = 0; i < 2; i++)
		u[i] = ovs_upcall_next();
	assert_int_equal(FRESH_KEY(u[0]).frag, OVS_FRAG_FIRST);
	assert_int_equal(FRESH_KEY(u[1]).frag, OVS_FRAG_LATER);
}

/* A packet that came by a tunnel keeps what it came with, whatever was set for its way out. */
static void the_tunnel_it_came_by(void **state)
{
	struct packet p = plain(0, IPPROTO_UDP);
	struct ovs_flow *f = &ovs_flows[4];
	uint8_t frame[600];
	struct ovs_key k;

	(void)state;
	ovs_actions[50] = (struct ovs_action){.type = OVS_ACT_SET_TUNNEL,
					      .tun = {.dst = {inet_addr("192.0.2.9")},
						      .family = 4,
						      .id = 9,
						      .flags = OVS_TUN_KEY}};
	ovs_actions[51] = nat(0, 0);
	ovs_actions[52] = (struct ovs_action)AGAIN(9);
	f->key.in_port = 1;
	f->key.tun = (struct ovs_key_tun){.src = {inet_addr("192.0.2.1")},
					  .dst = {inet_addr("192.0.2.2")},
					  .id = 5,
					  .family = 4,
					  .ttl = 64,
					  .flags = OVS_TUN_KEY};
	for (int i = 0; i < 3; i++)
		f->action[i] = 50 + i;
	f->n_actions = 3;
	f->live = 0xabcd00 | 4;
	assert_int_equal(ovs_send_token(f->live, frame, build(frame, &p)), 0);
	k = FRESH_KEY(ovs_upcall_next());
	assert_memory_equal(&k.tun, &f->key.tun, sizeof(k.tun));
	memset(&ovs_actions[50], 0, 3 * sizeof(*ovs_actions));
}

/* Which flow recirculation led to is remembered with the flow before, and is only a guess. */
static void the_flow_that_comes_next_is_compared(void **state)
{
	struct packet p = plain(0, IPPROTO_UDP), q = p;
	struct ovs_key key = {.in_port = 1, .recirc_id = 5}, mask = {.src = {~0u}};
	struct ovs_match m = {0};
	uint32_t slot;

	(void)state;
	q.src = M[0];
	OVS_ALL(1, 0, AGAIN(5));
	key.src[0] = inet_addr(p.src);
	slot = ovs_flow_put(key, mask, (const struct ovs_action[]){OUT(2)}, 1);
	key.src[0] = inet_addr(q.src);
	ovs_flow_put(key, mask, (const struct ovs_action[]){OUT(3)}, 1);
	for (int i = 0; i < 3; i++) {
		WANTS(1, &p, 2, &p);
		WANTS(1, &p, 2, &p);
		WANTS(1, &q, 3, &q);
	}
	/* Gone, as user space does it: it is not found by the guess either. */
	WANTS(1, &p, 2, &p);
	m.key = ovs_flows[slot].key;
	m.mask = ovs_flows[slot].mask;
	assert_int_equal(bpf_map_delete_elem(ovs_match_fd, &m), 0);
	ovs_flows[slot].live = 0;
	ovs_packet(1, &p);
	assert_int_equal(ovs_upcall_next()->key.recirc_id, 5);
	WANTS(1, &q, 3, &q);
}

#define TEST(f) cmocka_unit_test_setup(f, ovs_reset)

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		TEST(what_a_set_writes),     TEST(tags_that_come_and_go),
		TEST(copies_have_their_own), TEST(what_is_cut_off),
		TEST(what_nat_writes),	     TEST(fragments_let_go),
		TEST(the_tunnel_it_came_by), TEST(the_flow_that_comes_next_is_compared),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests_name("ovs_kept", tests, ovs_up, ovs_down) ? 1 : 0;
}
