// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * ct() of the OVS datapath: the key that recirculation sees, as the upcall of the flow that is
 * not there carries it, and the packet that leaves. Port 1 is the client's side, 2 the server's.
 */
#include "tests/bpf/lib/ovscase.h"

static void wants_orig(const struct ovs_key *k, int six, const struct packet *p)
{
	__be32 a[4] = {0};

	set_addr(a, p->src);
	assert_memory_equal(k->ct_src, a, 16);
	memset(a, 0, 16);
	set_addr(a, p->dst);
	assert_memory_equal(k->ct_dst, a, 16);
	assert_int_equal(k->ct_proto, p->proto);
	assert_int_equal(k->ct_sport, htons(p->sport));
	assert_int_equal(k->ct_dport, htons(p->dport));
	(void)six;
}

static void a_connection_is_new_then_established(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		struct packet p = udp(six, 0), r = udp(six, 1);
		struct ovs_key k;

		ovs_reset(NULL);
		OVS_ALL(1, 0, CT(.zone = 5), AGAIN(9));
		OVS_ALL(2, 0, CT(.zone = 5), AGAIN(9));
		k = key_after(1, &p);
		assert_int_equal(k.ct_state, S_TRK | S_NEW);
		assert_int_equal(k.ct_zone, 5);
		wants_orig(&k, six, &p);
		/* Not committed: the answer is new too. */
		k = key_after(2, &r);
		assert_int_equal(k.ct_state, S_TRK | S_NEW);
		wants_orig(&k, six, &r);
		ovs_reset(NULL);
		OVS_ALL(1, 0, CT(.zone = 5, .flags = OVS_CT_COMMIT), AGAIN(9));
		OVS_ALL(2, 0, CT(.zone = 5), AGAIN(9));
		k = key_after(1, &p);
		assert_int_equal(k.ct_state, S_TRK | S_NEW);
		k = key_after(2, &r);
		assert_int_equal(k.ct_state, S_TRK | S_EST | S_RPL);
		wants_orig(&k, six, &p);
		k = key_after(1, &p);
		assert_int_equal(k.ct_state, S_TRK | S_EST);
	}
}

static void zones_know_nothing_of_each_other(void **state)
{
	struct packet p = udp(0, 0), r = udp(0, 1);

	(void)state;
	OVS_ALL(1, 0, CT(.zone = 5, .flags = OVS_CT_COMMIT), AGAIN(9));
	OVS_ALL(2, 0, CT(.zone = 6), AGAIN(9));
	key_after(1, &p);
	assert_int_equal(key_after(2, &r).ct_state, S_TRK | S_NEW);
}

static void tracked_and_committed_it_counts_once(void **state)
{
	struct packet p = udp(0, 0);
	struct ct_flow f;

	(void)state;
	OVS_ALL(1, 0, CT(.zone = 5), AGAIN(3));
	OVS_ALL(1, 3, CT(.zone = 5, .flags = OVS_CT_COMMIT), AGAIN(9));
	key_after(1, &p);
	key_after(1, &p);
	f = flow_of(4);
	assert_int_equal(f.c.count[0].packets, 2);
	assert_int_equal(core.pins.table[0].nodes, 1);
}

static void mark_and_label_change_within_their_masks(void **state)
{
	struct packet p = udp(0, 0), r = udp(0, 1);
	struct ovs_key k;

	(void)state;
	OVS_ALL(1, 0,
		CT(.flags = OVS_CT_COMMIT | OVS_CT_MARK | OVS_CT_LABEL, .mark = 0x1200,
		   .mark_mask = 0xff00, .label = {0, 7}, .label_mask = {0, 0xf}),
		AGAIN(9));
	OVS_ALL(2, 0,
		CT(.flags = OVS_CT_COMMIT | OVS_CT_MARK | OVS_CT_LABEL, .mark = 0x34,
		   .mark_mask = 0xff, .label = {0, 0, 0, 0x80000000},
		   .label_mask = {0, 0, 0, 0x80000000}),
		AGAIN(9));
	k = key_after(1, &p);
	assert_int_equal(k.ct_mark, 0x1200);
	assert_int_equal(k.ct_label[1], 7);
	k = key_after(2, &r);
	assert_int_equal(k.ct_mark, 0x1234);
	assert_int_equal(k.ct_label[1], 7);
	assert_int_equal(k.ct_label[3], 0x80000000);
	/* What is not committed has neither. */
	ovs_reset(NULL);
	OVS_ALL(1, 0, CT(.flags = OVS_CT_MARK, .mark = 1, .mark_mask = ~0u), AGAIN(9));
	k = key_after(1, &p);
	assert_int_equal(k.ct_mark, 0);
}

static void clear_forgets_all(void **state)
{
	struct packet p = udp(0, 0);
	struct ovs_key k;
	static const struct ovs_key none;

	(void)state;
	OVS_ALL(1, 0,
		CT(.zone = 5, .flags = OVS_CT_COMMIT | OVS_CT_MARK | OVS_CT_LABEL, .mark = 1,
		   .mark_mask = 1, .label = {1, 2, 3, 4}, .label_mask = ONES4),
		{.type = OVS_ACT_CT_CLEAR}, AGAIN(9));
	k = key_after(1, &p);
	assert_memory_equal(&k.ct_mark, &none.ct_mark,
			    offsetof(struct ovs_key, eth_dst) - offsetof(struct ovs_key, ct_mark));
}

static void source_translation_both_ways(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		struct ovs_action ct =
			CT(.flags = OVS_CT_COMMIT | OVS_CT_NAT | OVS_CT_NAT_SRC,
			   .family = six ? 6 : 4, .port_min = 4000, .port_max = 4000);
		struct packet p = udp(six, 0), r = udp(six, 1), out = p, in = r;
		struct ovs_key k;

		ovs_reset(NULL);
		set_addr(ct.ct.addr_min, E[six]);
		set_addr(ct.ct.addr_max, E[six]);
		OVS_ALL(1, 0, ct, OUT(2));
		OVS_ALL(2, 0, CT(.flags = OVS_CT_NAT), OUT(1));
		out.src = E[six];
		out.sport = 4000;
		in.dst = E[six];
		in.dport = 4000;
		WANTS(1, &p, 2, &out);
		WANTS(2, &in, 1, &r);
		WANTS(1, &p, 2, &out);
		/* Recirculation sees the packet as it is, and the tuple as it was. */
		ovs_reset(NULL);
		OVS_ALL(1, 0, ct, AGAIN(9));
		k = key_after(1, &p);
		assert_int_equal(k.ct_state, S_TRK | S_NEW | S_SNAT);
		assert_int_equal(k.sport, htons(4000));
		wants_orig(&k, six, &p);
	}
}

static void destination_translation_both_ways(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		struct ovs_action ct =
			CT(.flags = OVS_CT_COMMIT | OVS_CT_NAT | OVS_CT_NAT_DST,
			   .family = six ? 6 : 4, .port_min = 8053, .port_max = 8053);
		struct packet p = udp(six, 0), r = udp(six, 1), out = p, in = r;

		ovs_reset(NULL);
		set_addr(ct.ct.addr_min, I[six]);
		set_addr(ct.ct.addr_max, I[six]);
		OVS_ALL(1, 0, ct, OUT(2));
		OVS_ALL(2, 0, CT(.flags = OVS_CT_NAT), OUT(1));
		out.dst = I[six];
		out.dport = 8053;
		in.src = I[six];
		in.sport = 8053;
		WANTS(1, &p, 2, &out);
		WANTS(2, &in, 1, &r);
	}
}

/* nat(src=0.0.0.0): another port where the packet's own tuple is what another connection's
 * answers go to, the same where it is not. */
static void an_all_zero_source_is_translated_on_collision(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		struct ovs_action dnat =
			CT(.flags = OVS_CT_COMMIT | OVS_CT_NAT | OVS_CT_NAT_DST,
			   .family = six ? 6 : 4, .port_min = 8053, .port_max = 8053);
		struct ovs_action zero = CT(.flags = OVS_CT_COMMIT | OVS_CT_NAT | OVS_CT_NAT_SRC,
					    .family = six ? 6 : 4);
		struct packet p = udp(six, 0), same = p, other = p;
		struct ovs_key k;

		ovs_reset(NULL);
		set_addr(dnat.ct.addr_min, I[six]);
		set_addr(dnat.ct.addr_max, I[six]);
		OVS_ALL(1, 0, dnat, AGAIN(9));
		OVS_ALL(2, 0, zero, AGAIN(9));
		k = key_after(1, &p);
		assert_int_equal(k.ct_state, S_TRK | S_NEW | S_DNAT);
		same.dst = I[six];
		same.dport = 8053;
		k = key_after(2, &same);
		assert_int_equal(k.ct_state, S_TRK | S_NEW | S_SNAT);
		assert_int_not_equal(k.sport, htons(same.sport));
		wants_orig(&k, six, &same);
		other.dst = I[six];
		other.dport = 8054;
		k = key_after(2, &other);
		assert_int_equal(k.ct_state, S_TRK | S_NEW);
		assert_int_equal(k.sport, htons(other.sport));
	}
}

static void without_nat_nothing_is_translated(void **state)
{
	struct ovs_action ct = CT(.flags = OVS_CT_COMMIT | OVS_CT_NAT | OVS_CT_NAT_SRC, .family = 4,
				  .port_min = 4000, .port_max = 4000);
	struct packet p = udp(0, 0), r = udp(0, 1), in = r;

	(void)state;
	set_addr(ct.ct.addr_min, E[0]);
	set_addr(ct.ct.addr_max, E[0]);
	OVS_ALL(1, 0, ct, OUT(2));
	OVS_ALL(2, 0, CT(.flags = 0), OUT(1));
	in.dst = E[0];
	in.dport = 4000;
	WANTS(1, &p, 2, NULL);
	WANTS(2, &in, 1, &in);
}

static void what_is_no_connection_is_invalid(void **state)
{
	static const uint8_t arp[60] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 6};
	struct packet syn_fin = {.src = C[0],
				 .dst = S[0],
				 .proto = IPPROTO_TCP,
				 .sport = 1,
				 .dport = 2,
				 .tcp = 0x03};
	const struct ovs_upcall *u;
	struct ovs_key k;

	(void)state;
	OVS_ALL(1, 0, CT(.zone = 5, .flags = OVS_CT_COMMIT), AGAIN(9));
	k = key_after(1, &syn_fin);
	assert_int_equal(k.ct_state, S_TRK | S_INV);
	assert_int_equal(k.ct_zone, 5);
	assert_int_equal(k.ct_proto, 0);
	ovs_run(1, arp, sizeof(arp), NULL);
	u = ovs_upcall_next();
	assert_non_null(u);
	assert_int_equal(u->key.ct_state, S_TRK | S_INV);
	assert_int_equal(core.pins.table[0].nodes, 0);
}

static void force_turns_a_connection_round(void **state)
{
	struct packet p = udp(0, 0), r = udp(0, 1);
	struct ovs_key k;

	(void)state;
	OVS_ALL(1, 0, CT(.flags = OVS_CT_COMMIT), AGAIN(9));
	OVS_ALL(2, 0, CT(.flags = OVS_CT_COMMIT | OVS_CT_FORCE), AGAIN(9));
	key_after(1, &p);
	k = key_after(2, &r);
	assert_int_equal(k.ct_state, S_TRK | S_NEW);
	wants_orig(&k, 0, &r);
	k = key_after(1, &p);
	assert_int_equal(k.ct_state, S_TRK | S_EST | S_RPL);
}

static void an_icmp_error_is_related_with_its_parents_tuple(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		struct packet p = udp(six, 0);
		struct packet e = {.src = M[six],
				   .dst = C[six],
				   .proto = ICMP_OF(six),
				   .type = six ? 1 : 3,
				   .code = six ? 4 : 3,
				   .quote = &p};
		struct ovs_key k;

		ovs_reset(NULL);
		OVS_ALL(1, 0,
			CT(.flags = OVS_CT_COMMIT | OVS_CT_MARK | OVS_CT_LABEL, .mark = 5,
			   .mark_mask = ~0u, .label = {0, 0, 7}, .label_mask = ONES4),
			AGAIN(9));
		OVS_ALL(2, 0, CT(.flags = 0), AGAIN(9));
		key_after(1, &p);
		k = key_after(2, &e);
		assert_int_equal(k.ct_state & (S_REL | S_TRK), S_REL | S_TRK);
		assert_int_equal(k.ct_mark, 5);
		assert_int_equal(k.ct_label[2], 7);
		wants_orig(&k, six, &p);
	}
}

static void a_zone_at_its_limit_refuses(void **state)
{
	struct packet p = udp(0, 0), q = p;

	(void)state;
	core.pins.zone[5].limit = 1;
	OVS_ALL(1, 0, CT(.zone = 5, .flags = OVS_CT_COMMIT), OUT(2));
	WANTS(1, &p, 2, &p);
	q.sport = 1001;
	WANTS_DROP(1, &q, CT_DROP_ZONE_LIMIT);
	core.pins.zone[5].limit = 0;
	WANTS(1, &q, 2, &q);
}

static void a_timeout_policy_counts(void **state)
{
	struct packet p = udp(0, 0);

	(void)state;
	core.pins.timeouts[7].secs[CT_TIMEOUT_udp] = 5;
	OVS_ALL(1, 0, CT(.flags = OVS_CT_COMMIT, .timeout = 7), OUT(2));
	OVS_ALL(2, 0, CT(.flags = 0), AGAIN(9));
	WANTS(1, &p, 2, &p);
	age(6);
	p = udp(0, 1);
	assert_int_equal(key_after(2, &p).ct_state, S_TRK | S_NEW);
}

/* vswitchd executes the rest of the actions on a packet that it was handed translated: it is
 * still the connection's, which is neither entered nor counted again. */
static void a_translated_packet_comes_back_from_user_space(void **state)
{
	struct ovs_action dnat =
		CT(.flags = OVS_CT_COMMIT | OVS_CT_NAT | OVS_CT_NAT_DST | OVS_CT_MARK, .family = 4,
		   .mark = 0x30, .mark_mask = 0xf0);
	struct packet p = udp(0, 0), out = p;
	struct ovs_flow *f = &ovs_flows[4];
	const struct ovs_upcall *u;
	struct ovs_key k;
	uint8_t frame[600];

	(void)state;
	set_addr(dnat.ct.addr_min, I[0]);
	set_addr(dnat.ct.addr_max, I[0]);
	OVS_ALL(1, 0, dnat, AGAIN(9));
	k = key_after(1, &p);
	assert_int_equal(k.ct_state, S_TRK | S_NEW | S_DNAT);
	out.dst = I[0];
	ovs_actions[50] = (struct ovs_action)CT(.flags = OVS_CT_COMMIT | OVS_CT_MARK | OVS_CT_NAT |
							 OVS_CT_NAT_SRC,
						.mark = 3, .mark_mask = 0xf, .family = 4,
						.addr_min = {1}, .addr_max = {1});
	ovs_actions[51] = (struct ovs_action)AGAIN(9);
	f->key = k;
	f->action[0] = 50;
	f->action[1] = 51;
	f->n_actions = 2;
	f->live = 0xabcd00 | 4;
	assert_int_equal(ovs_send_token(f->live, frame, build(frame, &out)), 0);
	u = ovs_upcall_next();
	assert_non_null(u);
	k = u->key;
	assert_int_equal(k.ct_state, S_TRK | S_NEW | S_DNAT);
	assert_int_equal(k.ct_mark, 0x33);
	wants_orig(&k, 0, &p);
	assert_int_equal(k.dst[0], inet_addr(I[0]));
	assert_int_equal(k.src[0], inet_addr(C[0]));
	assert_int_equal(core.pins.table[0].nodes, 1);
	assert_int_equal(flow_of(4).c.count[0].packets, 1);
	memset(&ovs_actions[50], 0, 2 * sizeof(*ovs_actions));
}

/* The same of an ICMP error whose quoted packet has been translated back. */
static void a_translated_error_comes_back_from_user_space(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		struct ovs_action snat = CT(.flags = OVS_CT_COMMIT | OVS_CT_NAT | OVS_CT_NAT_SRC,
					    .family = six ? 6 : 4);
		struct packet p = udp(six, 0), out = p;
		struct packet e = {.src = M[six],
				   .dst = E[six],
				   .proto = ICMP_OF(six),
				   .type = six ? 1 : 3,
				   .code = six ? 4 : 3,
				   .quote = &out};
		const struct ovs_upcall *u;
		struct ovs_flow *f = &ovs_flows[4];
		struct ovs_key k;

		ovs_reset(NULL);
		set_addr(snat.ct.addr_min, E[six]);
		set_addr(snat.ct.addr_max, E[six]);
		OVS_ALL(1, 0, snat, OUT(2));
		OVS_ALL(2, 0, CT(.flags = OVS_CT_NAT), AGAIN(9));
		out.src = E[six];
		WANTS(1, &p, 2, &out);
		ovs_packet(2, &e);
		u = ovs_upcall_next();
		assert_non_null(u);
		k = u->key;
		assert_true(k.ct_state & S_REL);
		ovs_actions[50] = (struct ovs_action)CT(.flags = OVS_CT_COMMIT | OVS_CT_NAT);
		ovs_actions[51] = (struct ovs_action)AGAIN(9);
		f->key = k;
		f->action[0] = 50;
		f->action[1] = 51;
		f->n_actions = 2;
		f->live = 0xabcd00 | 4;
		assert_int_equal(ovs_send_token(f->live, u->data, u->len), 0);
		u = ovs_upcall_next();
		assert_non_null(u);
		assert_int_equal(u->key.ct_state, k.ct_state);
		wants_orig(&u->key, six, &p);
		memset(&ovs_actions[50], 0, 2 * sizeof(*ovs_actions));
	}
}

/* The later one first: held, then both out, translated, in order, by the actions that follow. */
static void fragments_wait_for_each_other(void **state)
{
	struct ovs_action ct =
		CT(.flags = OVS_CT_COMMIT | OVS_CT_NAT | OVS_CT_NAT_SRC, .family = 4);
	struct packet p = udp(0, 0), out = p;
	uint8_t f[2][200], want[2][200], got[200];
	size_t len[2];
	struct ovs_run r;

	(void)state;
	set_addr(ct.ct.addr_min, E[0]);
	set_addr(ct.ct.addr_max, E[0]);
	OVS_ALL(1, 0, ct, {.type = OVS_ACT_SET_IPV4, .ip4 = {.ttl = 9, .ttl_mask = 255}}, OUT(2));
	out.src = E[0];
	out.ttl = 9;
	cut_in_two(&out, 24, want, len);
	cut_in_two(&p, 24, f, len);
	r = ovs_run(1, f[1], len[1], NULL);
	assert_int_equal(r.action, TC_ACT_REDIRECT);
	assert_int_equal(r.ifindex, 0);
	r = ovs_run(1, f[0], len[0], NULL);
	assert_int_equal(r.ifindex, ovs_ifindex[2]);
	assert_int_equal(ovs_peer(2, got, sizeof(got), 2000), len[0]);
	assert_memory_equal(got, want[0], len[0]);
	assert_int_equal(r.len, len[1]);
	assert_memory_equal(r.out, want[1], len[1]);
}

/* Behind ct() check_pkt_len asks for the largest fragment, of either of them. */
static void check_len_asks_for_the_largest_fragment(void **state)
{
	(void)state;
	for (int longer = 0; longer < 2; longer++) {
		struct packet p = udp(0, 0);
		uint8_t f[2][200], got[200];
		size_t len[2];
		struct ovs_run r;

		ovs_reset(NULL);
		p.payload = 60;
		cut_in_two(&p, 48, f, len);
		assert_true(len[0] > len[1]);
		OVS_ALL(1, 0, CT(.flags = OVS_CT_COMMIT),
			{.type = OVS_ACT_CHECK_LEN,
			 .check = {.len = len[0] - longer, .body = 1, .body2 = 1}},
			OUT(3), OUT(2));
		ovs_run(1, f[0], len[0], NULL);
		r = ovs_run(1, f[1], len[1], NULL);
		assert_int_equal(r.ifindex, ovs_ifindex[longer ? 3 : 2]);
		assert_int_equal(ovs_peer(longer ? 3 : 2, got, sizeof(got), 2000), len[0]);
		assert_memory_equal(got, f[0], len[0]);
	}
}

/* Behind ct() each of them is recirculated with the state of the whole. */
static void fragments_recirculate_with_their_state(void **state)
{
	struct packet p = udp(0, 0);
	const struct ovs_upcall *u;
	uint8_t f[2][200];
	size_t len[2];

	(void)state;
	ovs_hook.family = 4;
	ovs_hook.in = (struct ovs_hook_tunnel){.id = 7, .remote = {9, 2, 0, 192}};
	ovs_ports[1].flags |= OVS_PORT_TUNNEL;
	OVS_ALL(1, 0, CT(.zone = 5), AGAIN(9));
	cut_in_two(&p, 24, f, len);
	for (int i = 0; i < 2; i++)
		ovs_run(1, f[i], len[i], NULL);
	for (int i = 0; i < 2; i++) {
		u = ovs_upcall_next();
		assert_non_null(u);
		assert_int_equal(u->key.recirc_id, 9);
		assert_int_equal(u->key.in_port, 1);
		assert_int_equal(u->key.tun.id, htobe64(7));
		assert_int_equal(u->key.tun.src[0], inet_addr("192.0.2.9"));
		assert_int_equal(u->key.ct_state, S_TRK | S_NEW);
		assert_int_equal(u->key.ct_zone, 5);
		assert_int_equal(u->key.frag, i ? OVS_FRAG_LATER : OVS_FRAG_FIRST);
		assert_int_equal(u->mru, len[1] - 14 > len[0] - 14 ? len[1] - 14 : len[0] - 14);
		wants_orig(&u->key, 0, &p);
		assert_memory_equal(u->data, f[i], len[i]);
	}
}

/* The execute device is gone: none of them goes anywhere, and none stays. */
static void fragments_without_the_execute_device_drop(void **state)
{
	struct packet p = udp(0, 0);
	uint64_t lost = drops(CT_DROP_OVS_COPY);
	uint8_t f[2][200];
	size_t len[2];

	(void)state;
	OVS_ALL(1, 0, CT(.flags = OVS_CT_COMMIT), OUT(2));
	cut_in_two(&p, 24, f, len);
	ovs_config->exec_ifindex = 0;
	assert_int_equal(ovs_run(1, f[0], len[0], NULL).ifindex, 0);
	assert_int_equal(ovs_run(1, f[1], len[1], NULL).action, TC_ACT_SHOT);
	assert_int_equal(drops(CT_DROP_OVS_COPY), lost + 2);
	assert_int_equal(core.pins.frag->use.datagrams, 0);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		TEST(a_connection_is_new_then_established),
		TEST(zones_know_nothing_of_each_other),
		TEST(tracked_and_committed_it_counts_once),
		TEST(mark_and_label_change_within_their_masks),
		TEST(clear_forgets_all),
		TEST(source_translation_both_ways),
		TEST(destination_translation_both_ways),
		TEST(an_all_zero_source_is_translated_on_collision),
		TEST(without_nat_nothing_is_translated),
		TEST(what_is_no_connection_is_invalid),
		TEST(force_turns_a_connection_round),
		TEST(an_icmp_error_is_related_with_its_parents_tuple),
		TEST(a_zone_at_its_limit_refuses),
		TEST(a_timeout_policy_counts),
		TEST(a_translated_packet_comes_back_from_user_space),
		TEST(a_translated_error_comes_back_from_user_space),
		TEST(fragments_wait_for_each_other),
		TEST(check_len_asks_for_the_largest_fragment),
		TEST(fragments_recirculate_with_their_state),
		TEST(fragments_without_the_execute_device_drop),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests_name("ovs_ct", tests, ovs_up, ovs_down) ? 1 : 0;
}
