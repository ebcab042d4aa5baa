// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Endpoint-independent mapping and filtering, hairpin, both sides translated at
 * once, 1:1 prefixes, subscribers' limits: packets by BPF_PROG_RUN, whole packets
 * compared.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <string.h>

#include "tests/bpf/lib/pool.h"

/* Tables name only what matters. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

/* Two inside hosts, another server. */
static const char *const A[] = {"10.0.0.2", "2001:db8:10::2"};
static const char *const B[] = {"10.0.0.3", "2001:db8:10::3"};
static const char *const T[] = {"198.51.100.81", "2001:db8:51::81"};

static struct packet udp(const char *src, uint16_t sport, const char *dst, uint16_t dport)
{
	return (struct packet){.src = src,
			       .dst = dst,
			       .proto = IPPROTO_UDP,
			       .sport = sport,
			       .dport = dport,
			       .payload = 21};
}

static void outward(int six)
{
	how.inbound = 0;
	how.inside = 1;
	use_pools(six, 1, CT_NAT_EIM);
}

/* A packet from outside to whatever may be bound there; no rule translates it. */
static void inward(void)
{
	memset(&how.nat, 0, sizeof(how.nat));
	how.inside = 0;
	how.inbound = 1;
}

static void start(int six, uint16_t flags)
{
	pools_reset(NULL);
	make_pools(six, 1, NAT_POOL_EIM | flags);
	outward(six);
}

/* The same inside endpoint has the same external one, whomever it talks to; another
 * endpoint never has it. */
static void one_endpoint_one_mapping(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		unsigned int pool = pool_of(0, NAT_UDP);
		struct packet p[] = {udp(A[six], 2100, S[six], 80), udp(A[six], 2100, S[six], 81),
				     udp(A[six], 2100, T[six], 80)};
		struct packet other = udp(B[six], 2100, T[six], 99), x;

		start(six, 0);
		lease(pool, 0, 2222);
		for (int i = 0; i < 3; i++) {
			x = p[i];
			x.src = E[six];
			THROUGH(&p[i], NEW, &x);
		}
		/* In the default discipline this would be 2100 as well. */
		x = other;
		x.src = E[six];
		x.sport = 2222;
		THROUGH(&other, NEW, &x);
		assert_int_equal(path_of(pool, NAT_PATH_KEPT), 1);
		assert_int_equal(path_of(pool, NAT_PATH_BOUND), 2);
		assert_int_equal(path_of(pool, NAT_PATH_LEASED), 1);
		/* Three connections and the binding. */
		assert_int_equal(nat_uses(use_of(pool, 2100)), 4);
	}
}

/* A mapping outlives its connections by its own time, refreshed from inside, and then
 * the port is another's to have. */
static void a_mapping_lives_on_its_own_time(void **state)
{
	struct packet p = udp(A[0], 2100, S[0], 80), q = udp(A[0], 2100, T[0], 80);
	struct packet other = udp(B[0], 2100, T[0], 99), x;
	unsigned int pool = pool_of(0, NAT_UDP);

	(void)state;
	start(0, 0);
	lease(pool, 0, 2222);
	THROUGH(&p, NEW, NULL);
	for (int i = 0; i < 2; i++) {
		age(100); /* the connection is over, the mapping is not */
		sweep();
		age(2);
		sweep();
		assert_int_equal(core.pins.table[0].stubs, 0);
		assert_int_equal(nat_uses(use_of(pool, 2100)), 1);
	}
	age(250); /* over now, found so by who wants the port */
	other.sport = 2100;
	x = other;
	x.src = E[0];
	THROUGH(&other, NEW, &x);
	assert_int_equal(path_of(pool, NAT_PATH_KEPT), 2);
	x = q;
	x.src = E[0];
	x.sport = 2222;
	THROUGH(&q, NEW, &x);
}

static void an_expired_mapping_admits_nobody(void **state)
{
	struct packet p = udp(A[0], 2100, S[0], 80), in = udp(T[0], 7, E[0], 2100);
	uint64_t before = drops(CT_DROP_NAT_EXPIRED);

	(void)state;
	start(0, NAT_POOL_EIF);
	THROUGH(&p, NEW, NULL);
	age(100);
	sweep();
	age(2);
	sweep();
	inward();
	age(301);
	THROUGH(&in, -CT_DROP_NAT_EXPIRED, NULL);
	assert_int_equal(drops(CT_DROP_NAT_EXPIRED), before + 1);
}

/* With `eif` anybody reaches the inside endpoint; the answer leaves from the mapping. */
static void eif_lets_anybody_in(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		struct packet p = udp(A[six], 2100, S[six], 80), in = udp(T[six], 7, E[six], 2222);
		struct packet xin = udp(T[six], 7, A[six], 2100), back, xback;

		start(six, NAT_POOL_EIF);
		memset(&nat_reserved[NAT_UDP], 0xff, sizeof(*nat_reserved));
		nat_reserved[NAT_UDP].word[2222 / 64] = 0;
		lease(pool_of(0, NAT_UDP), 0, 2222);
		THROUGH(&p, NEW, NULL);
		inward();
		THROUGH(&in, NEW, &xin);
		back = udp(A[six], 2100, T[six], 7);
		xback = udp(E[six], 2222, T[six], 7);
		THROUGH(&back, REPLIED, &xback);
		/* Held by both connections and the binding; nobody at another port. */
		assert_int_equal(nat_uses(use_of(pool_of(0, NAT_UDP), 2222)), 3);
		in.dport = 2223;
		SAME(&in, NEW);
		/* The connection from outside keeps the mapping. */
		age(20);
		THROUGH(&in, OPENING, NULL);
	}
}

static void other_filters_let_in_whom_they_should(void **state)
{
	struct packet p = udp(A[0], 2100, S[0], 80), same = udp(S[0], 81, E[0], 2100);
	struct packet stranger = udp(T[0], 80, E[0], 2100), x = udp(S[0], 81, A[0], 2100);

	(void)state;
	/* Address-dependent: any port of an address that was sent to. */
	start(0, NAT_POOL_ADF);
	THROUGH(&p, NEW, NULL);
	inward();
	THROUGH(&same, NEW, &x);
	THROUGH(&stranger, -CT_DROP_NAT_FILTERED, NULL);
	/* Address and port: the connection's own answers only. */
	start(0, 0);
	THROUGH(&p, NEW, NULL);
	inward();
	THROUGH(&same, -CT_DROP_NAT_FILTERED, NULL);
	THROUGH(&stranger, -CT_DROP_NAT_FILTERED, NULL);
}

/* A sends to B's external endpoint: B sees A's external endpoint, and answers there. */
static void hairpin_translates_both_sides(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		struct packet pb = udp(B[six], 2300, S[six], 80),
			      pa = udp(A[six], 2100, S[six], 80);
		struct packet in = udp(A[six], 2100, E[six], 2300);
		struct packet x = udp(E[six], 2100, B[six], 2300);
		struct packet back = udp(B[six], 2300, E[six], 2100);
		struct packet xback = udp(E[six], 2300, A[six], 2100);

		start(six, NAT_POOL_EIF);
		THROUGH(&pb, NEW, NULL);
		THROUGH(&pa, NEW, NULL);
		how.inbound = 1;
		THROUGH(&in, NEW, &x);
		/* Each endpoint: its binding, its own connection, and the one between them. */
		assert_int_equal(use_of(pool_of(0, NAT_UDP), 2100), 3);
		assert_int_equal(use_of(pool_of(0, NAT_UDP), 2300), 3);
		THROUGH(&back, REPLIED, &xback);
		outward(six);
	}
}

/* SNAT and DNAT of one connection, and an ICMP error about it from either side, outer
 * and quoted packet right. */
static void both_sides_of_one_connection(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		struct packet p = udp(C[six], 5000, E[six], 80),
			      x = udp(M[six], 4444, I[six], 8080);
		struct packet back = udp(I[six], 8080, M[six], 4444);
		struct packet xback = udp(E[six], 80, C[six], 5000);
		struct packet err = {
			.proto = ICMP_OF(six), .type = six ? 1 : 3, .code = six ? 4 : 3};
		struct packet e, want;

		pools_reset(NULL);
		how.nat.flags = CT_NAT_SRC | CT_NAT_DST;
		set_addr(how.nat.src.addr_min, M[six]);
		set_addr(how.nat.src.addr_max, M[six]);
		how.nat.src.port_min = how.nat.src.port_max = 4444;
		set_addr(how.nat.dst.addr_min, I[six]);
		set_addr(how.nat.dst.addr_max, I[six]);
		how.nat.dst.port_min = how.nat.dst.port_max = 8080;
		THROUGH(&p, NEW, &x);
		/* The server says that there is nobody: about x, to its source. */
		e = err;
		e.src = I[six];
		e.dst = M[six];
		e.quote = &x;
		want = err;
		want.src = E[six];
		want.dst = C[six];
		want.quote = &p;
		THROUGH(&e, RELATED, &want);
		THROUGH(&back, REPLIED, &xback);
		/* The client about the answer. */
		e = err;
		e.src = C[six];
		e.dst = E[six];
		e.quote = &xback;
		want = err;
		want.src = M[six];
		want.dst = I[six];
		want.quote = &back;
		THROUGH(&e, RELATED, &want);
	}
}

/* 1:1: the host's bits stay, and so do the ports. */
static void a_prefix_is_mapped_one_to_one(void **state)
{
	(void)state;
	for (unsigned int host = 1; host < 16; host += 7) {
		char in[32], out[32];
		struct packet p, x;

		pools_reset(NULL);
		snprintf(in, sizeof(in), "10.0.0.%u", host);
		snprintf(out, sizeof(out), "192.0.2.%u", 16 + host);
		how.nat.flags = CT_NAT_SRC | CT_NAT_STATIC;
		set_addr(how.nat.src.addr_min, "192.0.2.16");
		set_addr(how.nat.src.addr_max, "192.0.2.31");
		p = udp(in, 50, S[0], 80);
		x = udp(out, 50, S[0], 80);
		THROUGH(&p, NEW, &x);
	}
}

/* nat(src=0.0.0.0): the port changes only on a collision. */
static void all_zero_source_changes_the_port_on_collision_only(void **state)
{
	struct packet p = udp(C[0], 5000, S[0], 80), direct = udp(E[0], 5000, S[0], 80);

	(void)state;
	pools_reset(NULL);
	how.nat.flags = CT_NAT_SRC;
	SAME(&direct, NEW);
	reset(NULL);
	translate(CT_NAT_SRC, E[0], 0);
	THROUGH(&p, NEW, NULL);
	assert_int_equal(last_sport(0), 5000);
	memset(&how.nat, 0, sizeof(how.nat));
	how.nat.flags = CT_NAT_SRC;
	how.local = 1;
	/* Its tuple is an answer's now: another port, same address. */
	direct.dport = 81;
	SAME(&direct, NEW);
}

static void destination_ranges_spread_and_stay_in_range(void **state)
{
	uint8_t seen[4][4] = {{0}};
	unsigned int n = 0;

	(void)state;
	pools_reset(NULL);
	how.nat.flags = CT_NAT_DST | CT_NAT_RANDOM;
	set_addr(how.nat.dst.addr_min, "10.9.0.4");
	set_addr(how.nat.dst.addr_max, "10.9.0.7");
	how.nat.dst.port_min = 7000;
	how.nat.dst.port_max = 7003;
	for (unsigned int i = 0; i < 300; i++) {
		struct packet p = udp(i % 3 ? i % 3 > 1 ? T[0] : S[0] : C[0], 2000 + i, E[0], 80);
		const uint8_t *ip = last_out + 14;
		unsigned int port;

		THROUGH(&p, NEW, NULL);
		port = ip[22] << 8 | ip[23];
		assert_in_range(ip[19], 4, 7);
		assert_in_range(port, 7000, 7003);
		assert_int_equal(ip[20] << 8 | ip[21], 2000 + i);
		n += !seen[ip[19] - 4][port - 7000];
		seen[ip[19] - 4][port - 7000] = 1;
	}
	assert_int_equal(n, 16);
}

/* Two clients of one port behind a forwarded port: their tuples never meet. But one
 * that talks to the inside server directly too has to be told apart. */
static void a_forwarded_connection_that_clashes_gets_another_source_port(void **state)
{
	struct packet direct = udp(C[0], 5000, I[0], 8080), p = udp(C[0], 5000, E[0], 80), x;

	(void)state;
	pools_reset(NULL);
	SAME(&direct, NEW);
	translate(CT_NAT_DST, I[0], 8080);
	THROUGH(&p, NEW, NULL);
	assert_int_not_equal(last_sport(0), 5000);
	x = udp(C[0], last_sport(0), I[0], 8080);
	THROUGH(&p, OPENING, &x);
}

static void limit(uint32_t states, uint32_t ports, uint32_t rate)
{
	how.nat.flags |= CT_NAT_LIMIT;
	how.nat.limit_states = states;
	how.nat.limit_ports = ports;
	how.nat.limit_rate = rate;
}

/* The verdict, whatever it is. */
static int play_one(const struct packet *p)
{
	uint8_t in[600], out[600];
	size_t n = build(in, p), len;

	how.l2 = 1;
	return play_frame(in, n, out, &len).verdict;
}

static void a_subscribers_states_are_limited_and_given_back(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		struct packet p = udp(A[six], 0, S[six], 80), other = udp(B[six], 5, S[six], 80);

		/* Another /64, as that is what a subscriber is in IPv6. */
		if (six)
			other.src = "2001:db8:11::3";
		for (int turn = 0; turn < 2; turn++) {
			pools_reset(NULL);
			make_pools(six, 1, 0);
			use_pools(six, 1, 0);
			limit(10, 0, 0);
			for (unsigned int i = 0; i < 14; i++) {
				p.sport = 2100 + i;
				THROUGH(&p, i < 10 ? NEW : -CT_DROP_SUB_STATES, NULL);
			}
			THROUGH(&other, NEW, NULL);
		}
	}
}

static void a_subscribers_ports_are_limited(void **state)
{
	struct packet p = udp(A[0], 0, S[0], 80);

	(void)state;
	/* By mapping: connections of a mapped endpoint cost no port. */
	start(0, 0);
	limit(0, 3, 0);
	for (unsigned int i = 0; i < 5; i++) {
		p.sport = 2100 + i;
		THROUGH(&p, i < 3 ? NEW : -CT_DROP_SUB_PORTS, NULL);
	}
	p.sport = 2101;
	p.dst = T[0];
	THROUGH(&p, NEW, NULL);
	/* The mappings' end gives them back. */
	for (int i = 0; i < 3; i++) {
		age(1000);
		sweep();
	}
	p.sport = 2109;
	THROUGH(&p, NEW, NULL);
	/* Without mappings each translated connection is one. */
	pools_reset(NULL);
	make_pools(0, 1, 0);
	use_pools(0, 1, 0);
	limit(0, 3, 0);
	for (unsigned int i = 0; i < 5; i++) {
		p.sport = 2100 + i;
		THROUGH(&p, i < 3 ? NEW : -CT_DROP_SUB_PORTS, NULL);
	}
}

/* Nobody sweeps: what is over is found by who goes on asking. */
static void without_ctd_a_subscribers_expired_ones_make_room(void **state)
{
	struct packet p = udp(A[0], 0, S[0], 80), r;
	unsigned int turn =
		core.sizes.clock > core.sizes.half[1] ? core.sizes.clock : core.sizes.half[1];

	(void)state;
	for (int answered = 0; answered < 2; answered++) {
		int verdict = -CT_DROP_SUB_PORTS;

		pools_reset(NULL);
		make_pools(0, 1, 0);
		use_pools(0, 1, 0);
		limit(0, 3, 0);
		for (unsigned int i = 0; i < 3; i++) {
			p.sport = 2100 + i;
			THROUGH(&p, NEW, NULL);
			r = udp(S[0], 80, E[0], last_sport(0));
			age(answered ? 3 : 0);
			if (answered) /* two-way and older than 2 s: in the clock, not the ring */
				THROUGH(&r, REPLIED, NULL);
		}
		p.sport = 2109;
		THROUGH(&p, -CT_DROP_SUB_PORTS, NULL);
		age(1000);
		for (unsigned int i = 0; i < turn && verdict != NEW; i++)
			verdict = play_one(&p);
		assert_int_equal(verdict, NEW);
	}
}

/* As above, of mappings: first their connections are found, then, when their own time is
 * over too, the mappings. */
static void without_ctd_expired_mappings_make_room(void **state)
{
	struct packet p = udp(A[0], 0, S[0], 80);
	unsigned int turn =
		core.sizes.clock > core.sizes.half[1] ? core.sizes.clock : core.sizes.half[1];
	unsigned int pool = pool_of(0, NAT_UDP);
	int verdict = -CT_DROP_SUB_PORTS;

	(void)state;
	start(0, 0);
	limit(0, 3, 0);
	for (unsigned int i = 0; i < 3; i++) {
		p.sport = 2100 + i;
		THROUGH(&p, NEW, NULL);
	}
	age(100);
	p.sport = 2109;
	for (unsigned int death = 0; death < 2; death++) { /* in two steps */
		for (unsigned int i = 0; i < turn; i++)
			assert_int_not_equal(play_one(&p), NEW);
		age(3);
	}
	/* The connections are gone, the mappings wait for 300 s more. */
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(nat_uses(use_of(pool, 2100 + i)), 1);
	age(301);
	for (unsigned int i = 0; i < POOL_HIGH - POOL_LOW && verdict != NEW; i++)
		verdict = play_one(&p);
	assert_int_equal(verdict, NEW);
	THROUGH(&p, OPENING, NULL);
	assert_int_equal(last_sport(0), 2109);
}

/* A mapping may not change (RFC 4787 REQ-1): who cannot have its port towards a server,
 * as another connection has that tuple, is dropped with the reason, not moved. */
static void a_mapped_port_whose_tuple_is_anothers_is_a_counted_drop(void **state)
{
	for (int six = 0; six < 2; six++) {
		struct packet own = udp(E[six], 2100, S[six], 80),
			      p = udp(A[six], 2100, T[six], 80);
		uint64_t before = drops(CT_DROP_NAT_FOREIGN);

		(void)state;
		pools_reset(NULL);
		SAME(&own, NEW);
		make_pools(six, 1, NAT_POOL_EIM);
		use_pools(six, 1, CT_NAT_EIM);
		THROUGH(&p, NEW, NULL);
		assert_int_equal(last_sport(six), 2100);
		p.dst = S[six];
		THROUGH(&p, -CT_DROP_NAT_FOREIGN, NULL);
		assert_int_equal(drops(CT_DROP_NAT_FOREIGN), before + 1);
		/* Who is there stays there, and what is mapped elsewhere. */
		SAME(&own, OPENING);
		p.dst = T[six];
		THROUGH(&p, OPENING, NULL);
	}
}

static void a_subscribers_rate_is_limited(void **state)
{
	struct packet p = udp(A[0], 0, S[0], 80);

	(void)state;
	pools_reset(NULL);
	make_pools(0, 1, 0);
	use_pools(0, 1, 0);
	limit(0, 0, 20);
	for (int turn = 0; turn < 3; turn++) {
		uint32_t began = bpfct_now(&core.pins);
		unsigned int passed = 0, more;

		for (unsigned int i = 0; i < 60; i++) {
			p.sport = 2100 + turn * 60 + i;
			passed += play_one(&p) == NEW;
		}
		/* A second's worth, and what comes in while the packets are played. */
		more = (bpfct_now(&core.pins) - began + 1) * 20 * 32 / core.pins.settings->hz;
		assert_in_range(passed, 20, 21 + more);
		age(2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_endpoint_one_mapping),
		cmocka_unit_test(a_mapping_lives_on_its_own_time),
		cmocka_unit_test(an_expired_mapping_admits_nobody),
		cmocka_unit_test(eif_lets_anybody_in),
		cmocka_unit_test(other_filters_let_in_whom_they_should),
		cmocka_unit_test(hairpin_translates_both_sides),
		cmocka_unit_test(both_sides_of_one_connection),
		cmocka_unit_test(a_prefix_is_mapped_one_to_one),
		cmocka_unit_test(all_zero_source_changes_the_port_on_collision_only),
		cmocka_unit_test(destination_ranges_spread_and_stay_in_range),
		cmocka_unit_test(a_forwarded_connection_that_clashes_gets_another_source_port),
		cmocka_unit_test(a_subscribers_states_are_limited_and_given_back),
		cmocka_unit_test(a_subscribers_ports_are_limited),
		cmocka_unit_test(without_ctd_a_subscribers_expired_ones_make_room),
		cmocka_unit_test(without_ctd_expired_mappings_make_room),
		cmocka_unit_test(a_mapped_port_whose_tuple_is_anothers_is_a_counted_drop),
		cmocka_unit_test(a_subscribers_rate_is_limited),
	};

	return cmocka_run_group_tests(tests, pools_up, pools_down);
}
