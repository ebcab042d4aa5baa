// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * What an allocation may cost and leave behind: the candidates that are tried are counted,
 * however full the pool is; what failed on its way is taken back; what a former owner was
 * allowed the next one's peers are not; zones have subscribers and mappings of their own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <string.h>
#include <unistd.h>

#include "tests/bpf/lib/pool.h"

/* Tables name only what matters. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define PORTS	  (POOL_HIGH - POOL_LOW + 1)
#define ELSEWHERE 60000 /* a port that is not of the pool: no candidate itself */

/* as nat_choose.h, which only BPF programs can include; docs/nat.md has them in its table */
#define LEASES	    8
#define TRIES	    24
#define BLOCK_TRIES 64

static const char *const A = "10.0.0.2", *const B = "10.0.0.3", *const T = "198.51.100.81";

static struct packet udp(const char *src, uint16_t sport, const char *dst, uint16_t dport)
{
	return (struct packet){.src = src,
			       .dst = dst,
			       .proto = IPPROTO_UDP,
			       .sport = sport,
			       .dport = dport,
			       .payload = 21};
}

static unsigned int pool(void)
{
	return pool_of(0, NAT_UDP);
}

static void start(uint16_t flags, uint32_t nat)
{
	pools_reset(NULL);
	make_pools(0, 1, flags);
	use_pools(0, 1, nat);
	core.pins.settings->half_share = UINT32_MAX; /* until the next reset */
}

/* Candidates that went as far as their claim: those that were taken, and those that were not. */
static uint64_t tried(void)
{
	const struct nat_pool *p = &nat_pools[pool()];
	uint64_t n = 0;

	for (unsigned int i = 0; i < p->rings; i++) {
		const struct nat_head *h = &nat_heads[p->head_base + i];

		for (unsigned int path = 0; path < NAT_PATH_SLOTS; path++)
			n += h->path[path];
		n += h->lost;
	}
	return n;
}

/* How many a packet takes. */
static uint64_t tries_of(const struct packet *p, int verdict)
{
	uint64_t before = tried();

	THROUGH(p, verdict, NULL);
	return tried() - before;
}

/* Whatever it is. */
static int verdict_of(const struct packet *p)
{
	uint8_t in[600], out[600];
	size_t n = build(in, p), len;

	how.l2 = 1;
	return play_frame(in, n, out, &len).verdict;
}

/* Ports from the lowest on in use towards the server, n in all: their senders keep them. */
static void occupy(unsigned int *used, unsigned int n)
{
	struct packet p = udp(A, 0, S[0], 80);

	for (; *used < n; ++*used) {
		p.sport = POOL_LOW + *used;
		assert_int_equal(tries_of(&p, NEW), 1);
		assert_int_equal(last_sport(0), p.sport);
	}
}

/* At 1, 50, 90, 99 and 99.9 % a port that is leased costs one candidate; the last one is
 * found. In between the lease that somebody has kept as his own costs one more. */
static void a_lease_is_one_candidate_however_full_the_pool_is(void **state)
{
	static const unsigned int levels[] = {PORTS / 100, PORTS / 2, PORTS * 9 / 10,
					      PORTS * 99 / 100, PORTS - 1};
	unsigned int used = 0;

	(void)state;
	start(0, 0);
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		struct packet p = udp(B, ELSEWHERE + i, S[0], 80);
		uint16_t free = POOL_LOW + levels[i];

		occupy(&used, levels[i]);
		lease(pool(), 0, free);
		assert_int_equal(tries_of(&p, NEW), 1);
		assert_int_equal(last_sport(0), free);
		used++; /* that one is B's */
		if (used == PORTS)
			break;
		lease(pool(), 0, POOL_LOW);
		lease(pool(), 0, POOL_LOW + used);
		p.sport += 100;
		assert_int_equal(tries_of(&p, NEW), 2);
		used++;
	}
	assert_int_equal(used, PORTS);
}

/* Without a lease that serves: the sender's own, some leases, some at random, and then it is
 * refused. No way leads through all ports. */
static void a_full_pool_is_refused_after_a_bounded_number_of_tries(void **state)
{
	struct packet p = udp(B, POOL_LOW, S[0], 80), q = udp(B, ELSEWHERE, S[0], 80);
	unsigned int used = 0;

	(void)state;
	start(0, 0);
	how.nat.src.port_min = POOL_LOW;
	how.nat.src.port_max = POOL_LOW + 799;
	occupy(&used, 800);
	assert_int_equal(tries_of(&q, -CT_DROP_NAT_EXHAUSTED), TRIES);
	for (unsigned int i = 0; i < 4 * LEASES; i++)
		lease(pool(), 0, POOL_LOW + i);
	assert_int_equal(tries_of(&p, -CT_DROP_NAT_EXHAUSTED), 1 + LEASES + TRIES);
	assert_int_equal(tries_of(&q, -CT_DROP_NAT_EXHAUSTED), LEASES + TRIES);
	/* Towards another server every port is free. */
	p.dst = T;
	assert_int_equal(tries_of(&p, NEW), 1);
}

/* A block, whose ports are the source's alone, is looked through, but not tried through. */
static void a_full_block_is_refused_after_a_bounded_number_of_tries(void **state)
{
	struct packet p = udp(A, 0, S[0], 80);
	unsigned int used = 0;

	(void)state;
	start(0, CT_NAT_BLOCK);
	how.nat.block_size = 512;
	how.nat.block_base = 0x0a000002;
	occupy(&used, 511);
	p.sport = ELSEWHERE;
	assert_int_equal(tries_of(&p, NEW), 1);
	assert_int_equal(last_sport(0), POOL_LOW + 511);
	p.sport++;
	assert_int_equal(tries_of(&p, -CT_DROP_NAT_EXHAUSTED), BLOCK_TRIES);
}

/* OVS's `random`: neither the port nor the address is the one before. */
static void random_keeps_neither_port_nor_address(void **state)
{
	struct packet p = udp(A, 0, S[0], 80);
	unsigned int kept = 0, used = 0;

	(void)state;
	pools_reset(NULL);
	make_pools(0, 4, 0);
	use_pools(0, 4, CT_NAT_RANDOM);
	for (unsigned int i = 0; i < 100; i++) {
		p.sport = POOL_LOW + 2 * i;
		THROUGH(&p, NEW, NULL);
		kept += last_sport(0) == p.sport;
	}
	assert_in_range(kept, 0, 4);
	for (unsigned int n = 0; n < 4; n++) {
		assert_int_equal(path_of(pool_of(n, NAT_UDP), NAT_PATH_KEPT), 0);
		used += claims_of(pool_of(n, NAT_UDP)) > 5;
	}
	assert_int_equal(used, 4);
}

/* A stub that went in where a record lives goes out again, and with it what it held. */
static void a_claim_that_met_a_record_leaves_nothing(void **state)
{
	struct packet own = udp(E[0], 2100, S[0], 80), p = udp(A, 2100, S[0], 80);

	(void)state;
	start(0, 0);
	how.nat.flags = 0;
	SAME(&own, NEW);
	use_pools(0, 1, 0);
	lease(pool(), 0, 2222);
	THROUGH(&p, NEW, NULL);
	assert_int_equal(last_sport(0), 2222);
	assert_int_equal(core.pins.table[0].stubs, 1);
	assert_int_equal(nat_uses(use_of(pool(), 2100)), 0);
	assert_int_equal(claims_of(pool()), 1);
	SAME(&own, OPENING);
}

/* So does the mapping that was made for it: the port is the next one's. */
static void a_mapping_whose_claim_failed_is_ended(void **state)
{
	struct packet own = udp(E[0], 2100, S[0], 80), p = udp(A, 2100, S[0], 80);
	struct packet other = udp(B, 2100, T, 80);

	(void)state;
	start(NAT_POOL_EIM, 0);
	how.nat.flags = 0;
	SAME(&own, NEW);
	use_pools(0, 1, CT_NAT_EIM);
	lease(pool(), 0, 2222);
	THROUGH(&p, NEW, NULL);
	assert_int_equal(last_sport(0), 2222);
	assert_int_equal(nat_uses(use_of(pool(), 2100)), 0);
	THROUGH(&other, NEW, NULL);
	assert_int_equal(last_sport(0), 2100);
	/* and it moves nobody: what is mapped stays so */
	p.dst = T;
	THROUGH(&p, NEW, NULL);
	assert_int_equal(last_sport(0), 2222);
}

static void inward(void)
{
	memset(&how.nat, 0, sizeof(how.nat));
	how.inside = 0;
	how.inbound = 1;
}

static void outward(void)
{
	how.inbound = 0;
	how.inside = 1;
	use_pools(0, 1, CT_NAT_EIM);
}

/* Address-dependent filtering goes by whom *this* mapping has sent to. */
static void whom_a_former_mapping_let_in_the_next_does_not(void **state)
{
	struct packet p = udp(A, 2100, S[0], 80), next = udp(B, 2100, T, 80);
	struct packet in = udp(S[0], 81, E[0], 2100), in_t = udp(T, 81, E[0], 2100);
	struct packet to_a = udp(S[0], 81, A, 2100), to_b = udp(T, 81, B, 2100);

	(void)state;
	start(NAT_POOL_EIM | NAT_POOL_ADF, CT_NAT_EIM);
	THROUGH(&p, NEW, NULL);
	inward();
	THROUGH(&in, NEW, &to_a);
	for (int i = 0; i < 3; i++) {
		age(400);
		sweep();
	}
	assert_int_equal(nat_uses(use_of(pool(), 2100)), 0);
	outward();
	THROUGH(&next, NEW, NULL);
	assert_int_equal(last_sport(0), 2100);
	inward();
	THROUGH(&in, -CT_DROP_NAT_FILTERED, NULL);
	THROUGH(&in_t, NEW, &to_b);
}

/* Over, a mapping is nobody's, not even its own host's, who gets a new one. */
static void a_mapping_that_is_over_is_not_taken_up_again(void **state)
{
	struct packet p = udp(A, ELSEWHERE, S[0], 80);

	(void)state;
	start(NAT_POOL_EIM, CT_NAT_EIM);
	lease(pool(), 0, 2222);
	THROUGH(&p, NEW, NULL);
	assert_int_equal(last_sport(0), 2222);
	for (int i = 0; i < 2; i++) {
		age(100);
		sweep();
	}
	age(301);
	lease(pool(), 0, 2333);
	THROUGH(&p, NEW, NULL);
	assert_int_equal(last_sport(0), 2333);
	assert_int_equal(nat_uses(use_of(pool(), 2222)), 0);
}

/* Address-dependent filters of two who are behind the same address. */
static void a_hairpin_passes_if_its_receiver_has_sent_to_that_address(void **state)
{
	struct packet pa = udp(A, 2100, S[0], 80), pb = udp(B, 2300, S[0], 80);
	struct packet in = udp(A, 2100, E[0], 2300), x = udp(E[0], 2100, B, 2300);

	(void)state;
	for (int sent = 0; sent < 2; sent++) {
		start(NAT_POOL_EIM | NAT_POOL_ADF, CT_NAT_EIM);
		THROUGH(&pa, NEW, NULL);
		pb.dst = sent ? E[0] : S[0];
		THROUGH(&pb, NEW, NULL);
		how.inbound = 1;
		THROUGH(&in, sent ? NEW : -CT_DROP_NAT_FILTERED, sent ? &x : NULL);
	}
}

/* A record that is over and was not swept is taken over: its port is held once. */
static void a_connection_that_comes_again_holds_its_port_once(void **state)
{
	struct packet p = udp(A, 2100, S[0], 80);

	(void)state;
	start(0, 0);
	for (int i = 0; i < 3; i++) {
		THROUGH(&p, NEW, NULL);
		assert_int_equal(last_sport(0), 2100);
		assert_int_equal(nat_uses(use_of(pool(), 2100)), 1);
		assert_int_equal(claims_of(pool()), 1);
		assert_int_equal(core.pins.table[0].stubs, 1);
		age(100);
	}
}

/* A pool that ctd has not made ready yet, or has retired, gives nothing; a rule that promises
 * mappings then refuses rather than break its word. */
static void a_pool_that_is_not_live_is_not_used(void **state)
{
	struct packet p = udp(A, 2100, S[0], 80);

	(void)state;
	for (int eim = 0; eim < 2; eim++) {
		start(eim ? NAT_POOL_EIM : 0, eim ? CT_NAT_EIM : 0);
		nat_pools[pool()].flags &= ~NAT_POOL_LIVE;
		lease(pool(), 0, 2222);
		THROUGH(&p, eim ? -CT_DROP_NAT_NO_ADDRESS : NEW, NULL);
		assert_int_equal(claims_of(pool()), 0);
	}
}

/* A port that was another's until now rests, also for who would keep it (RFC 6888 REQ-8,
 * which exempts TCP). */
static void a_kept_port_of_mappings_rests_after_its_last_owner(void **state)
{
	struct packet p = udp(A, 2100, S[0], 80), next = udp(B, 2100, S[0], 80);

	(void)state;
	for (int tcp = 0; tcp < 2; tcp++) {
		start(NAT_POOL_EIM, CT_NAT_EIM);
		p.proto = next.proto = tcp ? IPPROTO_TCP : IPPROTO_UDP;
		p.tcp = next.tcp = 0x02;
		p.payload = next.payload = tcp ? 0 : 21;
		nat_pools[pool_of(0, tcp ? NAT_TCP : NAT_UDP)].hold =
			nat_use_stamp(120 * core.pins.settings->hz / 32);
		lease(pool_of(0, tcp ? NAT_TCP : NAT_UDP), 0, 2222);
		THROUGH(&p, NEW, NULL);
		for (int i = 0; i < 3; i++) {
			age(500);
			sweep();
		}
		THROUGH(&next, NEW, NULL);
		assert_int_equal(last_sport(0), tcp ? 2100 : 2222);
	}
}

/* Between the change of an address and ctd's pool for it, a masquerading rule has none: the
 * host's sockets are looked for all the same. */
static void a_sockets_port_is_not_used_before_the_pool_is_there(void **state)
{
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_ANY_INIT};
	socklen_t len = sizeof(any);
	int fd = socket(AF_INET6, SOCK_DGRAM, 0);

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&any, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&any, &len), 0);
	for (int six = 0; six < 2; six++)
		for (int own = 0; own < 2; own++) {
			struct packet p = udp(C[six], ntohs(any.sin6_port), S[six], 80);

			pools_reset(NULL);
			translate(CT_NAT_SRC | (own ? CT_NAT_OWN : 0), E[six], 0);
			THROUGH(&p, NEW, NULL);
			if (own)
				assert_int_not_equal(last_sport(six), p.sport);
			else
				assert_int_equal(last_sport(six), p.sport);
		}
	close(fd);
}

/* What ctd writes of the host's sockets counts on addresses of its own, and on no other. */
static void ports_of_the_hosts_sockets_are_reserved_on_its_own_addresses(void **state)
{
	(void)state;
	for (int local = 0; local < 2; local++) {
		struct packet p = udp(A, 2100, S[0], 80);

		start(local ? NAT_POOL_LOCAL : 0, 0);
		nat_reserved[NAT_CLASSES + NAT_UDP].word[2100 / 64] = 1ULL << 2100 % 64;
		lease(pool(), 0, 2222);
		THROUGH(&p, NEW, NULL);
		assert_int_equal(last_sport(0), local ? 2222 : 2100);
	}
}

/* The port of the host's own socket is reserved for whom, if not for that. */
static void the_hosts_own_packet_keeps_the_port_of_its_socket(void **state)
{
	struct packet own = udp(E[0], 2100, S[0], 80);

	(void)state;
	start(NAT_POOL_LOCAL, 0);
	nat_reserved[NAT_CLASSES + NAT_UDP].word[2100 / 64] = 1ULL << 2100 % 64;
	lease(pool(), 0, 2222);
	how.local = 1;
	SAME(&own, NEW);
}

/* It has no mapping, and never the port of one, whomever that has been used towards. */
static void the_hosts_own_packet_gets_no_mapped_port(void **state)
{
	struct packet p = udp(A, 2100, S[0], 80), own = udp(E[0], 2100, T, 80);

	(void)state;
	start(NAT_POOL_EIM, CT_NAT_EIM);
	THROUGH(&p, NEW, NULL);
	lease(pool(), 0, 2222);
	how.local = 1;
	THROUGH(&own, NEW, NULL);
	assert_int_equal(last_sport(0), 2222);
	assert_int_equal(nat_uses(use_of(pool(), 2100)), 2);
}

/* OVS's nat(dst=A:lo-hi): a port that is of the range stays. */
static void a_destination_port_of_the_range_stays(void **state)
{
	(void)state;
	pools_reset(NULL);
	translate(CT_NAT_DST, I[0], 7000);
	how.nat.dst.port_max = 7999;
	for (uint16_t port = 7000; port < 8000; port += 333) {
		struct packet p = udp(C[0], 4000, S[0], port), x = udp(C[0], 4000, I[0], port);

		THROUGH(&p, NEW, &x);
	}
}

/* An address that is told of needs no more than a few lines and ICMP errors a second. */
static void exhaustion_is_told_so_many_times_a_tick(void **state)
{
	struct packet p = udp(A, 2100, S[0], 80);
	uint32_t began, ticks, told = 0;
	struct nat_need need;

	(void)state;
	start(0, CT_NAT_ICMP);
	memset(&nat_reserved[NAT_UDP], 0xff, sizeof(nat_reserved[NAT_UDP]));
	began = bpfct_now(&core.pins);
	for (unsigned int i = 0; i < 400; i++) {
		THROUGH(&p, -CT_DROP_NAT_EXHAUSTED, NULL);
		while (next_need(&need))
			told += need.kind == NAT_NEED_EXHAUSTED;
	}
	ticks = bpfct_now(&core.pins) - began + 1;
	assert_in_range(told, 1, ticks * NAT_TOLD_A_TICK);
	assert_int_equal(nat_heads[nat_pools[pool()].head_base].refused, 400);
}

/* What a tick brings in is neither lost nor counted twice, be it a part of a token or many. */
static void a_rate_is_kept_tick_by_tick(void **state)
{
	static const uint32_t rates[] = {3, 20, 100};
	const unsigned int steps = 25, hz = core.pins.settings->hz;

	(void)state;
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		struct packet p = udp(A, ELSEWHERE, S[0], 80);
		unsigned int passed = 0, ticks;
		uint32_t began;

		start(0, CT_NAT_LIMIT);
		how.nat.limit_rate = rates[i];
		began = bpfct_now(&core.pins);
		for (unsigned int n = 0; n <= steps; n++) {
			while (verdict_of(&p) == NEW) {
				passed++;
				p.sport++;
			}
			core.pins.settings->clock_offset += 32;
		}
		ticks = bpfct_now(&core.pins) - began;
		assert_in_range(passed, rates[i] + steps * 32 * rates[i] / hz - 1,
				rates[i] + ticks * 32 * rates[i] / hz + 1);
	}
}

/* Of two CPUs the one whose tick is the earlier one may come second: that is no time in which
 * tokens came in. */
static void a_rate_does_not_run_backwards(void **state)
{
	struct nat_sub_key key = {.family = 4};
	struct packet p = udp(A, 2100, S[0], 80);
	struct nat_sub sub;

	(void)state;
	start(0, CT_NAT_LIMIT);
	how.nat.limit_rate = 20;
	THROUGH(&p, NEW, NULL);
	set_addr(key.addr, A);
	assert_int_equal(bpf_map_lookup_elem(core.pins.nat_sub_fd, &key, &sub), 0);
	sub.bucket = bpfct_now(&core.pins) + 1000; /* no token */
	assert_int_equal(bpf_map_update_elem(core.pins.nat_sub_fd, &key, &sub, BPF_EXIST), 0);
	p.sport++;
	THROUGH(&p, -CT_DROP_SUB_RATE, NULL);
}

/* Customers with the same numbers inside: each zone has its own. */
static void zones_have_subscribers_and_mappings_of_their_own(void **state)
{
	struct packet p = udp(A, 2100, S[0], 80), q = udp(A, 2101, S[0], 80);

	(void)state;
	start(NAT_POOL_EIM, CT_NAT_EIM);
	for (uint16_t zone = 1; zone < 3; zone++) {
		how.zone = zone;
		how.nat.flags |= CT_NAT_LIMIT;
		how.nat.limit_states = 1;
		THROUGH(&p, NEW, NULL);
		assert_int_equal(last_sport(0), 2100);
		THROUGH(&q, -CT_DROP_SUB_STATES, NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_lease_is_one_candidate_however_full_the_pool_is),
		cmocka_unit_test(a_full_pool_is_refused_after_a_bounded_number_of_tries),
		cmocka_unit_test(a_full_block_is_refused_after_a_bounded_number_of_tries),
		cmocka_unit_test(random_keeps_neither_port_nor_address),
		cmocka_unit_test(a_claim_that_met_a_record_leaves_nothing),
		cmocka_unit_test(a_mapping_whose_claim_failed_is_ended),
		cmocka_unit_test(whom_a_former_mapping_let_in_the_next_does_not),
		cmocka_unit_test(a_mapping_that_is_over_is_not_taken_up_again),
		cmocka_unit_test(a_hairpin_passes_if_its_receiver_has_sent_to_that_address),
		cmocka_unit_test(a_connection_that_comes_again_holds_its_port_once),
		cmocka_unit_test(a_pool_that_is_not_live_is_not_used),
		cmocka_unit_test(a_kept_port_of_mappings_rests_after_its_last_owner),
		cmocka_unit_test(a_sockets_port_is_not_used_before_the_pool_is_there),
		cmocka_unit_test(ports_of_the_hosts_sockets_are_reserved_on_its_own_addresses),
		cmocka_unit_test(the_hosts_own_packet_keeps_the_port_of_its_socket),
		cmocka_unit_test(the_hosts_own_packet_gets_no_mapped_port),
		cmocka_unit_test(a_destination_port_of_the_range_stays),
		cmocka_unit_test(exhaustion_is_told_so_many_times_a_tick),
		cmocka_unit_test(a_rate_is_kept_tick_by_tick),
		cmocka_unit_test(a_rate_does_not_run_backwards),
		cmocka_unit_test(zones_have_subscribers_and_mappings_of_their_own),
	};

	return cmocka_run_group_tests(tests, pools_up, pools_down);
}
