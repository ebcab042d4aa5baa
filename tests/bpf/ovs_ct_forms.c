// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Forms of ct() in the OVS datapath: ranges and flags of nat(), several zones for one packet, what
 * of them is kept, and which fragments belong together. Port 1 is the client's side, 2 the
 * server's.
 */
#include "tests/bpf/lib/ovscase.h"

#define SNAT (OVS_CT_COMMIT | OVS_CT_NAT | OVS_CT_NAT_SRC)

/* nat(src=E) with these flags and ports; addresses from E to `more` beyond it. */
static struct ovs_action snat(int six, uint16_t flags, uint32_t more, uint16_t port_min,
			      uint16_t port_max)
{
	struct ovs_action a = CT(.flags = SNAT | flags, .family = six ? 6 : 4, .port_min = port_min,
				 .port_max = port_max);
	__be32 *last = &a.ct.addr_max[six ? 3 : 0];

	set_addr(a.ct.addr_min, E[six]);
	set_addr(a.ct.addr_max, E[six]);
	*last = htonl(ntohl(*last) + more);
	return a;
}

/* Another client's packet, of whichever port. */
static struct packet from(int six, unsigned int host, uint16_t sport, char text[64])
{
	struct packet p = udp(six, 0);

	snprintf(text, 64, six ? "2001:db8:10::%u" : "10.0.0.%u", host);
	p.src = text;
	p.sport = sport;
	return p;
}

static uint32_t external(const struct ovs_key *k, int six)
{
	return ntohl(k->src[six ? 3 : 0]);
}

/* The clients are spread over the addresses of the range, and none leaves it. */
static void each_address_of_a_range_is_used(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		struct ovs_action a = snat(six, 0, 3, 0, 0);
		uint32_t first = ntohl(a.ct.addr_min[six ? 3 : 0]), used = 0;
		char text[64];

		ovs_reset(NULL);
		OVS_ALL(1, 0, a, AGAIN(9));
		for (unsigned int host = 10; host < 50; host++) {
			struct packet p = from(six, host, 1000 + host, text);
			struct ovs_key k = key_after(1, &p);

			assert_in_range(external(&k, six), first, first + 3);
			assert_int_equal(k.sport, htons(p.sport));
			used |= 1 << (external(&k, six) - first);
		}
		assert_int_equal(used, 0xf);
	}
}

/* Four ports: four connections to one server, each with its own. */
static void each_port_of_a_range_is_used(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		uint32_t used = 0;

		ovs_reset(NULL);
		OVS_ALL(1, 0, snat(six, 0, 0, 4000, 4003), AGAIN(9));
		for (uint16_t sport = 1000; sport < 1004; sport++) {
			struct packet p = udp(six, 0);
			struct ovs_key k;

			p.sport = sport;
			k = key_after(1, &p);
			assert_in_range(ntohs(k.sport), 4000, 4003);
			used |= 1 << (ntohs(k.sport) - 4000);
		}
		assert_int_equal(used, 0xf);
	}
}

/* The own port would be free: `random` does not keep it, nor `hash`, which takes the same for the
 * same tuple. One chance in 64,512 that it is the own one all the same, so two are asked. */
static void random_and_hash_choose_the_port(void **state)
{
	static const uint16_t flags[] = {0, OVS_CT_RANDOM, OVS_CT_HASH};

	(void)state;
	for (int i = 0; i < 3; i++) {
		uint16_t got[2][2];

		for (int turn = 0; turn < 2; turn++) {
			ovs_reset(NULL);
			OVS_ALL(1, 0, snat(0, flags[i], 0, 0, 0), AGAIN(9));
			for (int n = 0; n < 2; n++) {
				struct packet p = udp(0, 0);

				p.sport += n;
				got[turn][n] = ntohs(key_after(1, &p).sport);
			}
		}
		if (!i)
			assert_true(got[0][0] == 1000 && got[0][1] == 1001);
		else
			assert_true(got[0][0] != 1000 || got[0][1] != 1001);
		if (flags[i] == OVS_CT_RANDOM)
			assert_memory_not_equal(got[0], got[1], sizeof(got[0]));
		else
			assert_memory_equal(got[0], got[1], sizeof(got[0]));
	}
}

/* A client keeps its address with all of its connections, unless it is chosen at random or by a
 * hash of the whole tuple. */
static void persistent_is_of_the_client_alone(void **state)
{
	static const struct {
		uint16_t flags;
		bool one;
	} how[] = {
		{0, true}, {OVS_CT_PERSISTENT, true}, {OVS_CT_HASH, false}, {OVS_CT_RANDOM, false}};

	(void)state;
	for (int i = 0; i < 4; i++) {
		uint32_t used = 0;

		ovs_reset(NULL);
		OVS_ALL(1, 0, snat(0, how[i].flags, 3, 0, 0), AGAIN(9));
		for (uint16_t sport = 1000; sport < 1040; sport++) {
			struct packet p = udp(0, 0);
			struct ovs_key k;

			p.sport = sport;
			k = key_after(1, &p);
			used |= 1 << (external(&k, 0) - ntohl(inet_addr(E[0])));
		}
		assert_int_equal(__builtin_popcount(used) == 1, how[i].one);
	}
}

/* Destination: addresses and ports of a range. */
static void a_destination_may_be_a_range(void **state)
{
	struct ovs_action a = CT(.flags = OVS_CT_COMMIT | OVS_CT_NAT | OVS_CT_NAT_DST, .family = 4,
				 .port_min = 8000, .port_max = 8003);
	uint32_t first = ntohl(inet_addr(I[0])), used = 0;
	char text[64];

	(void)state;
	set_addr(a.ct.addr_min, I[0]);
	a.ct.addr_max[0] = htonl(first + 3);
	OVS_ALL(1, 0, a, AGAIN(9));
	for (unsigned int host = 10; host < 50; host++) {
		struct packet p = from(0, host, 1000, text);
		struct ovs_key k = key_after(1, &p);

		assert_in_range(ntohl(k.dst[0]), first, first + 3);
		assert_in_range(ntohs(k.dport), 8000, 8003);
		used |= 1 << (ntohl(k.dst[0]) - first);
	}
	assert_int_equal(used, 0xf);
}

/* One packet, two zones: each has its own record, mark and label; the key has the last one's. */
static void a_packet_is_tracked_in_two_zones(void **state)
{
	(void)state;
	for (int icmp = 0; icmp < 2; icmp++) {
		struct packet p = icmp ? echo_request(0) : udp(0, 0), r = icmp ? p : udp(0, 1);
		struct ovs_key k;

		if (icmp) {
			r.src = p.dst;
			r.dst = p.src;
			r.type = 0;
		}
		ovs_reset(NULL);
		OVS_ALL(1, 0,
			CT(.zone = 5, .flags = OVS_CT_COMMIT | OVS_CT_MARK | OVS_CT_LABEL,
			   .mark = 1, .mark_mask = ~0u, .label = {1}, .label_mask = ONES4),
			CT(.zone = 6, .flags = OVS_CT_COMMIT), AGAIN(9));
		OVS_ALL(2, 0, CT(.zone = 6), CT(.zone = 5), AGAIN(9));
		k = key_after(1, &p);
		assert_int_equal(k.ct_zone, 6);
		assert_int_equal(k.ct_state, S_TRK | S_NEW);
		assert_int_equal(k.ct_mark, 0);
		assert_int_equal(k.ct_label[0], 0);
		assert_int_equal(core.pins.table[0].nodes, 2);
		k = key_after(2, &r);
		assert_int_equal(k.ct_zone, 5);
		assert_int_equal(k.ct_state, S_TRK | S_EST | S_RPL);
		assert_int_equal(k.ct_mark, 1);
		assert_int_equal(k.ct_label[0], 1);
	}
}

/* What a packet was in another zone, as an EXECUTE has it, is not what it is here. */
static void an_invalid_packet_keeps_nothing(void **state)
{
	struct packet syn_fin = {.src = C[0],
				 .dst = S[0],
				 .proto = IPPROTO_TCP,
				 .sport = 1,
				 .dport = 2,
				 .tcp = 0x03};
	struct ovs_flow *f = &ovs_flows[4];
	const struct ovs_upcall *u;
	struct ovs_key want = {.in_port = 1, .recirc_id = 9};
	uint8_t frame[600];

	(void)state;
	ovs_actions[50] = (struct ovs_action)CT(.zone = 5);
	ovs_actions[51] = (struct ovs_action)AGAIN(9);
	memset(&f->key.ct_mark, 0x11,
	       offsetof(struct ovs_key, eth_dst) - offsetof(struct ovs_key, ct_mark));
	f->key.in_port = 1;
	f->action[0] = 50;
	f->action[1] = 51;
	f->n_actions = 2;
	f->live = 0xabcd00 | 4;
	assert_int_equal(ovs_send_token(f->live, frame, build(frame, &syn_fin)), 0);
	u = ovs_upcall_next();
	assert_non_null(u);
	want.ct_zone = 5;
	want.ct_state = S_TRK | S_INV;
	assert_memory_equal(&u->key, &want, offsetof(struct ovs_key, eth_dst));
	memset(&ovs_actions[50], 0, 2 * sizeof(*ovs_actions));
}

/* Fragments of one datagram have come by one port, and by one tunnel. */
static void fragments_of_other_ways_are_other_datagrams(void **state)
{
	uint64_t held = core.pins.frag->use.datagrams;
	struct packet p = udp(0, 0);
	uint8_t f[2][200];
	size_t len[2];

	(void)state;
	cut_in_two(&p, 24, f, len);
	OVS_ALL(1, 0, CT(.zone = 5), OUT(3));
	OVS_ALL(2, 0, CT(.zone = 5), OUT(3));
	assert_int_equal(ovs_run(1, f[0], len[0], NULL).ifindex, 0);
	assert_int_equal(ovs_run(2, f[1], len[1], NULL).ifindex, 0);
	assert_int_equal(core.pins.frag->use.datagrams, held + 2);
	assert_int_equal(ovs_run(1, f[1], len[1], NULL).ifindex, ovs_ifindex[3]);
	ovs_reset(NULL);
	held = core.pins.frag->use.datagrams;
	ovs_ports[1].flags |= OVS_PORT_TUNNEL;
	ovs_hook.family = 4;
	ovs_hook.in = (struct ovs_hook_tunnel){.id = 7, .remote = {9, 2, 0, 192}};
	OVS_ALL(1, 0, CT(.zone = 5), OUT(3));
	OVS_ALL(2, 0, CT(.zone = 5), OUT(3));
	assert_int_equal(ovs_run(1, f[0], len[0], NULL).ifindex, 0);
	ovs_hook.in.id = 8;
	assert_int_equal(ovs_run(1, f[1], len[1], NULL).ifindex, 0);
	ovs_hook.in = (struct ovs_hook_tunnel){.id = 7, .remote = {8, 2, 0, 192}};
	assert_int_equal(ovs_run(1, f[1], len[1], NULL).ifindex, 0);
	assert_int_equal(core.pins.frag->use.datagrams, held + 3);
	ovs_hook.in = (struct ovs_hook_tunnel){.id = 7, .remote = {9, 2, 0, 192}};
	assert_int_equal(ovs_run(1, f[1], len[1], NULL).ifindex, ovs_ifindex[3]);
	ovs_ports[1].flags &= ~OVS_PORT_TUNNEL;
}

/* Mark, label and translation are the new connection's, which has none of them. */
static void what_is_forced_begins_with_nothing(void **state)
{
	static const __u32 none[4];

	(void)state;
	for (int six = 0; six < 2; six++) {
		struct ovs_action first = snat(six, OVS_CT_MARK | OVS_CT_LABEL, 0, 4000, 4000);
		struct packet p = udp(six, 0), r = udp(six, 1), back = p;
		struct ovs_key k;
		__be32 to[4] = {0};

		ovs_reset(NULL);
		first.ct.mark = 5;
		first.ct.mark_mask = ~0u;
		first.ct.label[2] = first.ct.label_mask[2] = 7;
		OVS_ALL(1, 0, first, AGAIN(9));
		OVS_ALL(2, 0,
			CT(.flags = OVS_CT_COMMIT | OVS_CT_FORCE | OVS_CT_NAT | OVS_CT_MARK,
			   .mark = 0x100, .mark_mask = 0xf00),
			AGAIN(9));
		OVS_ALL(3, 0, CT(.flags = 0), AGAIN(9));
		k = key_after(1, &p);
		assert_int_equal(k.ct_mark, 5);
		assert_int_equal(k.ct_label[2], 7);
		r.dst = back.src = E[six];
		r.dport = back.sport = 4000;
		k = key_after(2, &r);
		assert_int_equal(k.ct_state, S_TRK | S_NEW);
		assert_int_equal(k.ct_mark, 0x100);
		assert_memory_equal(k.ct_label, none, 16);
		set_addr(to, E[six]);
		assert_memory_equal(k.dst, to, 16);
		assert_int_equal(k.dport, htons(4000));
		assert_int_equal(key_after(3, &back).ct_state, S_TRK | S_EST | S_RPL);
	}
}

/* An error of the answering side's opens no connection. */
static void an_error_forces_nothing(void **state)
{
	struct packet p = udp(0, 0), r = udp(0, 1);
	struct packet e = {
		.src = M[0], .dst = C[0], .proto = IPPROTO_ICMP, .type = 3, .code = 3, .quote = &p};

	(void)state;
	OVS_ALL(1, 0, CT(.flags = OVS_CT_COMMIT), AGAIN(9));
	OVS_ALL(2, 0, CT(.flags = OVS_CT_COMMIT | OVS_CT_FORCE), AGAIN(9));
	OVS_ALL(3, 0, CT(.flags = 0), AGAIN(9));
	key_after(1, &p);
	assert_true(key_after(2, &e).ct_state & S_REL);
	assert_int_equal(key_after(3, &r).ct_state, S_TRK | S_EST | S_RPL);
}

/* The name of the only connection there is, and its first packet. */
static void expect_of(const struct ct_tuple *orig, const struct ct_tuple *t)
{
	struct ct_flow f = flow_of(4);
	struct ct_expect x = {.word = 1ULL << 32, .nat = *t, .orig = *orig};

	for (int i = 0; i < 2; i++) {
		x.master.key.addr[i][0] = f.key4.addr[i];
		x.master.key.port[i] = f.key4.port[i];
	}
	x.master.key.proto = f.key4.proto;
	x.master.key.pad = 4;
	x.master.gen = ct_w_gen(f.c.word);
	x.expires = bpfct_now(&core.pins) + 30 * core.pins.settings->hz / 32;
	core.pins.expect->entries[CT_X_ANY_PORT]++;
	core.pins.expect->count++;
	assert_int_equal(bpf_map_update_elem(core.pins.expect_fd, t, &x, BPF_ANY), 0);
}

static void wants_masters(const struct ovs_key *k, uint8_t state, const struct packet *master,
			  bool labelled)
{
	assert_int_equal(k->ct_state, state);
	assert_int_equal(k->ct_mark, 5);
	assert_int_equal(k->ct_label[3], labelled ? 7 : 0);
	assert_int_equal(k->ct_proto, master->proto);
	assert_int_equal(k->ct_src[0], inet_addr(master->src));
	assert_int_equal(k->ct_dst[0], inet_addr(master->dst));
	assert_int_equal(k->ct_dport, htons(master->dport));
}

/* What a helper expects has its master's mark, label and tuple: before it is committed, then, and
 * when it is established. A label that is put on it goes over its master's. */
static void what_is_expected_has_its_masters(void **state)
{
	struct packet c = plain(0, IPPROTO_TCP), p = udp(0, 1), r = udp(0, 0);
	struct ct_tuple orig = {.proto = IPPROTO_TCP, .family = 4, .dport = htons(80)};
	struct ct_tuple t = {.proto = IPPROTO_UDP, .family = 4, .dport = htons(1000)};

	(void)state;
	orig.sport = htons(1000);
	set_addr(orig.saddr, C[0]);
	set_addr(orig.daddr, S[0]);
	set_addr(t.saddr, S[0]);
	set_addr(t.daddr, C[0]);
	c.tcp = 2;
	for (int labelled = 0; labelled < 2; labelled++) {
		uint16_t label = labelled ? OVS_CT_LABEL : 0;
		struct ovs_key k;

		ovs_reset(NULL);
		OVS_ALL(1, 0,
			CT(.flags = OVS_CT_COMMIT | OVS_CT_MARK | label, .mark = 5,
			   .mark_mask = ~0u, .label = {0, 0, 0, 7}, .label_mask = ONES4),
			AGAIN(9));
		key_after(1, &c);
		expect_of(&orig, &t);
		ovs_flush();
		OVS_ALL(1, 0, CT(.flags = 0), AGAIN(9));
		OVS_ALL(2, 0, CT(.flags = 0), AGAIN(9));
		OVS_ALL(3, 0, CT(.flags = OVS_CT_COMMIT | label, .label = {1}, .label_mask = {1}),
			AGAIN(9));
		k = key_after(2, &p);
		wants_masters(&k, S_TRK | S_NEW | S_REL, &c, labelled);
		k = key_after(3, &p);
		wants_masters(&k, S_TRK | S_NEW | S_REL, &c, labelled);
		assert_int_equal(k.ct_label[0], labelled);
		k = key_after(1, &r);
		wants_masters(&k, S_TRK | S_EST | S_REL | S_RPL, &c, labelled);
		assert_int_equal(k.ct_label[0], labelled);
		bpf_map_delete_elem(core.pins.expect_fd, &t);
	}
}

/* Less than a transport header. */
static void a_tiny_first_fragment_is_counted(void **state)
{
	struct packet p = plain(0, IPPROTO_TCP);
	uint64_t was[FRAG_STAT_SLOTS], is[FRAG_STAT_SLOTS];
	const struct ovs_upcall *u;
	uint8_t f[2][200];
	size_t len[2];

	(void)state;
	OVS_ALL(1, 0, CT(.zone = 5), AGAIN(9));
	cut_in_two(&p, 8, f, len);
	assert_int_equal(bpfct_counters(core.pins.frag_stat_fd, was, FRAG_STAT_SLOTS), 0);
	ovs_run(1, f[0], len[0], NULL);
	u = ovs_upcall_next();
	assert_non_null(u);
	assert_int_equal(u->key.ct_state, S_TRK | S_INV);
	assert_int_equal(bpfct_counters(core.pins.frag_stat_fd, is, FRAG_STAT_SLOTS), 0);
	assert_int_equal(is[2 * FRAG_STAT_TOO_SMALL], was[2 * FRAG_STAT_TOO_SMALL] + 1);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		TEST(each_address_of_a_range_is_used),
		TEST(each_port_of_a_range_is_used),
		TEST(random_and_hash_choose_the_port),
		TEST(persistent_is_of_the_client_alone),
		TEST(a_destination_may_be_a_range),
		TEST(a_packet_is_tracked_in_two_zones),
		TEST(an_invalid_packet_keeps_nothing),
		TEST(fragments_of_other_ways_are_other_datagrams),
		TEST(what_is_forced_begins_with_nothing),
		TEST(an_error_forces_nothing),
		TEST(what_is_expected_has_its_masters),
		TEST(a_tiny_first_fragment_is_counted),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests_name("ovs_ct_forms", tests, ovs_up, ovs_down) ? 1 : 0;
}
