// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* The actions of the OVS datapath that say where a packet goes: outputs, recirculation, copies,
 * lists within lists, upcalls, meters; and EXECUTE. */
#include "tests/bpf/lib/ovscase.h"

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

/* A tag that is not in the data is on the wire all the same. */
static void check_len_counts_a_tag_in_metadata(void **state)
{
	struct packet p = plain(0, IPPROTO_UDP);
	uint8_t f[600];
	uint32_t n = build(f, &p) + 4;

	(void)state;
	for (int longer = 0; longer < 2; longer++) {
		ovs_reset(NULL);
		OVS_ALL(1, 0,
			{.type = OVS_ACT_PUSH_VLAN,
			 .vlan = {htons(0x8100), htons(OVS_VLAN_CFI | 5)}},
			{.type = OVS_ACT_CHECK_LEN,
			 .check = {.len = n - longer, .body = 1, .body2 = 1}},
			OUT(3), OUT(2));
		WANTS(1, &p, longer ? 3 : 2, NULL);
	}
}

/* Of a packet that a device will cut up its segments count. */
static void check_len_of_segments(void **state)
{
	struct packet p = plain(0, IPPROTO_TCP);
	struct __sk_buff ctx = {.gso_size = 100, .gso_segs = 4};
	uint8_t f[600];
	size_t n;

	(void)state;
	p.payload = 400;
	p.tcp = 0x10;
	n = build(f, &p);
	for (int longer = 0; longer < 2; longer++) {
		ovs_reset(NULL);
		OVS_ALL(1, 0,
			{.type = OVS_ACT_CHECK_LEN,
			 .check = {.len = 14 + 20 + 20 + 100 - longer, .body = 1, .body2 = 1}},
			OUT(3), OUT(2));
		assert_int_equal(ovs_run(1, f, n, &ctx).ifindex, ovs_ifindex[longer ? 3 : 2]);
	}
}

static void a_sample_takes_its_share(void **state)
{
	struct packet p = plain(0, IPPROTO_UDP);
	uint64_t before = ovs_stat_of(OVS_STAT_COPY);
	int taken;

	(void)state;
	OVS_ALL(1, 0, {.type = OVS_ACT_SAMPLE, .sample = {.probability = ~0u / 4, .body = 1}},
		OUT(2), OUT(3));
	for (int i = 0; i < 1000; i++)
		WANTS(1, &p, 3, &p);
	taken = ovs_stat_of(OVS_STAT_COPY) - before;
	assert_in_range(taken, 150, 350); /* 250, and seven times its deviation */
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
	other = plain(0, IPPROTO_TCP);
	assert_int_not_equal(hash_of(&other, OVS_HASH_SYM_L4, 0), h);
}

/* Hosts of one network differ in the last bits alone. */
static void hash_has_all_of_an_ipv6_address(void **state)
{
	struct packet p = plain(1, IPPROTO_UDP), other = p;
	uint32_t h = hash_of(&p, OVS_HASH_L4, 0);

	(void)state;
	other.src = "2001:db8:10::3";
	assert_string_not_equal(other.src, p.src);
	assert_int_not_equal(hash_of(&other, OVS_HASH_L4, 0), h);
	other = p;
	other.dst = "2001:db8:51::81";
	assert_string_not_equal(other.dst, p.dst);
	assert_int_not_equal(hash_of(&other, OVS_HASH_L4, 0), h);
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

/* 1,000 bytes and then 125 a second. */
static void a_meter_of_kilobits_counts_bits(void **state)
{
	struct packet p = plain(0, IPPROTO_UDP);
	uint8_t f[600];
	size_t n;

	(void)state;
	p.payload = 400;
	n = build(f, &p);
	ovs_meters[1] = (struct ovs_meter){
		.flags = OVS_METER_LIVE, .n_bands = 1, .band = {{.rate = 1, .burst = 8}}};
	OVS_ALL(1, 0, {.type = OVS_ACT_METER, .id = 1}, OUT(2));
	for (int i = 0; i < 2; i++)
		WANTS(1, &p, 2, &p);
	WANTS_DROP(1, &p, CT_DROP_OVS_METER);
	assert_int_equal(ovs_meters[1].bytes, 3 * n);
	assert_int_equal(ovs_meters[1].band[0].bytes, n);
}

/* Over all three: none of them has room for one packet. */
static void a_drop_is_the_fastest_bands_that_is_exceeded(void **state)
{
	struct packet p = plain(0, IPPROTO_UDP);

	(void)state;
	p.payload = 400;
	ovs_meters[1] = (struct ovs_meter){.flags = OVS_METER_LIVE,
					   .n_bands = 3,
					   .band = {{.rate = 1, .burst = 1},
						    {.rate = 3, .burst = 1},
						    {.rate = 2, .burst = 1}}};
	OVS_ALL(1, 0, {.type = OVS_ACT_METER, .id = 1}, OUT(2));
	WANTS_DROP(1, &p, CT_DROP_OVS_METER);
	assert_int_equal(ovs_meters[1].band[0].packets, 0);
	assert_int_equal(ovs_meters[1].band[1].packets, 1);
	assert_int_equal(ovs_meters[1].band[2].packets, 0);
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
	f->mru = 1400;
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
	assert_int_equal(u->mru, 1400);
	assert_int_equal(u->key.dport, htons(80));
	assert_memory_equal(u->data, f, n);
	assert_int_equal(ovs_flows[3].live, 0);
}

/* Each byte of the metadata, and none of the rest, which is the packet's. */
static void execute_restores_all_metadata(void **state)
{
	struct packet p = plain(0, IPPROTO_UDP);
	size_t meta = offsetof(struct ovs_key, eth_dst);
	const struct ovs_upcall *u;
	struct ovs_key want;
	uint8_t f[600];
	size_t n = build(f, &p);

	(void)state;
	put_execute(3, 0xabcde000 | 3);
	memset(&ovs_flows[3].key, 0x5a, sizeof(want));
	ovs_flows[3].key.in_port = 1;
	want = ovs_flows[3].key;
	want.recirc_id = 10;
	assert_int_equal(ovs_send_token(ovs_flows[3].live, f, n), 0);
	u = ovs_upcall_next();
	assert_non_null(u);
	assert_memory_equal(&u->key, &want, meta);
	assert_int_equal(u->key.src[0], inet_addr(C[0]));
	assert_int_equal(u->key.ttl, 64);
}

/* What leaves has them too, not the key alone. */
static void execute_gives_the_packet_its_mark_and_priority(void **state)
{
	struct packet p = plain(0, IPPROTO_UDP);
	struct ovs_run r;
	uint8_t f[600];

	(void)state;
	put_execute(3, 0xabcde000 | 3);
	ovs_flows[3].key.skb_priority = 0x10002;
	ovs_actions[100] = (struct ovs_action)OUT(2);
	r = ovs_run_token(ovs_flows[3].live, f, build(f, &p));
	assert_int_equal(r.ifindex, ovs_ifindex[2]);
	assert_int_equal(r.ctx.mark, 0x77);
	assert_int_equal(r.ctx.priority, 0x10002);
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

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
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
		TEST(check_len_counts_a_tag_in_metadata),
		TEST(check_len_of_segments),
		TEST(a_sample_takes_its_share),
		TEST(a_userspace_action_brings_its_cookie),
		TEST(hash_tells_flows_apart),
		TEST(hash_has_all_of_an_ipv6_address),
		TEST(a_meter_lets_its_burst_through),
		TEST(a_meter_of_kilobits_counts_bits),
		TEST(a_drop_is_the_fastest_bands_that_is_exceeded),
		TEST(a_drop_is_counted),
		TEST(malformed_lists_drop),
		TEST(thirty_two_actions_run),
		TEST(execute_restores_the_metadata),
		TEST(execute_restores_all_metadata),
		TEST(execute_gives_the_packet_its_mark_and_priority),
		TEST(a_token_holds_once),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests_name("ovs_ways", tests, ovs_up, ovs_down) ? 1 : 0;
}
