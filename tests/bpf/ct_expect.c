// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Expectations by BPF_PROG_RUN: what matches, once, how it is translated, what it inherits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <string.h>

#include <arpa/inet.h>

#include "tests/bpf/lib/expectplay.h"

/* Tables name only what matters. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

static void each_shape_matches_its_tuple_only(void **state)
{
	for (int six = 0; six < 2; six++)
		for (int shape = 0; shape < CT_X_SHAPES; shape++)
			for (int proto = IPPROTO_TCP; proto;
			     proto = proto == IPPROTO_TCP ? IPPROTO_UDP : 0) {
				struct packet p = data_packet(six, proto, 20), q = p;
				struct ct_tuple t = data_tuple(six, proto);
				struct ct_expect x = plain(&t);
				struct pkt_case c;

				fresh(state);
				open_master(six, 21);
				if (shape == CT_X_EXACT)
					t.sport = htons(20);
				if (shape == CT_X_ANY_SOURCE)
					memset(t.saddr, 0, sizeof(t.saddr));
				expect(&t, &x);
				q.dport = 2001;
				c = SAME(&q, NEW);
				EXPECTED(c, false);
				if (shape == CT_X_EXACT) {
					q = p;
					q.sport = 21;
					c = SAME(&q, NEW);
					EXPECTED(c, false);
				}
				if (shape != CT_X_ANY_SOURCE) {
					q = p;
					q.src = M[six];
					c = SAME(&q, NEW);
					EXPECTED(c, false);
				}
				c = SAME(&p, NEW);
				EXPECTED(c, true);
				/* for life */
				c = SAME(&p, OPENING);
				EXPECTED(c, true);
				assert_int_equal(st()->n[CT_X_COUNT_USED], 1);
			}
}

static void is_used_once_and_a_permanent_one_often(void **state)
{
	for (int permanent = 0; permanent < 2; permanent++) {
		struct ct_tuple t = data_tuple(0, IPPROTO_UDP);
		struct ct_expect x = plain(&t);
		struct pkt_case c;

		fresh(state);
		open_master(0, 21);
		x.flags = permanent ? CT_X_PERMANENT : 0;
		expect(&t, &x);
		for (int i = 0; i < 3; i++) {
			struct packet p = data_packet(0, IPPROTO_UDP, 3000 + i);

			c = SAME(&p, NEW);
			EXPECTED(c, permanent || !i);
		}
		x = entry(&t);
		assert_int_equal((uint32_t)x.word, permanent ? 3 : CT_X_CLAIMED);
	}
}

static void expired_inactive_and_other_zones_do_not_match(void **state)
{
	DATA(0, IPPROTO_TCP, 20);
	struct pkt_case c;

	(void)state;
	open_master(0, 21);
	how.commit = 0;
	x.expires = in_secs(-2);
	expect(&t, &x);
	c = SAME(&p, NEW);
	assert_false(c.state & S_REL);
	assert_int_equal(st()->n[CT_X_COUNT_EXPIRED], 1);
	x.expires = 0;
	x.flags = CT_X_INACTIVE;
	expect(&t, &x);
	c = SAME(&p, NEW);
	assert_false(c.state & S_REL);
	x.flags = 0;
	expect(&t, &x);
	how.zone = 5;
	c = SAME(&p, NEW);
	assert_false(c.state & S_REL);
	how.zone = 0;
	c = SAME(&p, NEW);
	assert_true(c.state & S_REL);
}

static void dies_with_its_master_unless_it_outlives_it(void **state)
{
	for (int six = 0; six < 2; six++)
		for (int outlives = 0; outlives < 2; outlives++) {
			DATA(six, IPPROTO_UDP, 5060);
			struct pkt_case c;

			fresh(state);
			open_master(six, 21);
			x.flags = outlives ? CT_X_OUTLIVES : 0;
			x.expires = in_secs(4000);
			expect(&t, &x);
			age(600); /* the master's SYN_SENT is over */
			c = SAME(&p, NEW);
			EXPECTED(c, outlives);
			assert_int_equal(st()->n[CT_X_COUNT_ORPHANED], !outlives);
		}
}

/* A segment of the master, from the client or the server. */
static void says(int six, bool server, uint8_t flags, uint32_t seq, uint32_t ack)
{
	struct packet p = {.src = server ? S[six] : C[six],
			   .dst = server ? C[six] : S[six],
			   .proto = IPPROTO_TCP,
			   .sport = server ? 21 : 1999,
			   .dport = server ? 1999 : 21,
			   .tcp = flags,
			   .seq = seq,
			   .ack = ack};

	SAME(&p, server ? REPLIED : ESTABLISHED);
}

/* How far the master is closed: not at all, by one, by both, for good, by a reset. */
static void close_master(int six, int how_far)
{
	open_master(six, 21);
	says(six, true, CT_TH_SYN | CT_TH_ACK, 7000, 2);
	says(six, false, CT_TH_ACK, 2, 7001);
	if (how_far == 4)
		says(six, true, CT_TH_RST | CT_TH_ACK, 7001, 2);
	if (how_far < 1 || how_far > 3)
		return;
	says(six, false, CT_TH_FIN | CT_TH_ACK, 2, 7001);
	if (how_far > 1)
		says(six, true, CT_TH_FIN | CT_TH_ACK, 7001, 3);
	if (how_far > 2)
		says(six, false, CT_TH_ACK, 3, 7002);
}

static void ends_when_its_master_is_closed_if_it_says_so(void **state)
{
	for (int six = 0; six < 2; six++)
		for (int far = 0; far < 5; far++)
			for (int closes = 0; closes < 2; closes++) {
				struct packet p = data_packet(six, IPPROTO_TCP, 20);
				struct ct_tuple t = data_tuple(six, IPPROTO_TCP);
				struct pkt_case c;
				struct ct_expect x;

				fresh(state);
				close_master(six, far);
				x = plain(&t);
				x.flags = closes ? CT_X_CLOSES : 0;
				expect(&t, &x);
				c = SAME(&p, NEW);
				EXPECTED(c, !closes || far < 2);
			}
}

/* The same key, another connection: the generation tells them apart. */
static void another_life_of_the_master_is_not_the_master(void **state)
{
	DATA(0, IPPROTO_UDP, 1);
	struct pkt_case c;

	(void)state;
	open_master(0, 21);
	x.expires = in_secs(4000);
	expect(&t, &x);
	age(600);
	sweep();
	age(5);
	sweep();
	open_master(0, 21);
	c = SAME(&p, NEW);
	EXPECTED(c, false);
}

static void of_tcp_only_a_syn_is_expected(void **state)
{
	DATA(0, IPPROTO_TCP, 20);
	struct pkt_case c;

	(void)state;
	open_master(0, 21);
	expect(&t, &x);
	p.tcp = CT_TH_ACK;
	c = SAME(&p, NEW); /* picked up mid-stream */
	EXPECTED(c, false);
	p.tcp = CT_TH_SYN;
	p.sport = 22;
	c = SAME(&p, NEW);
	EXPECTED(c, true);
}

/* From outside to the external address, inside to the peer, and both sides at once. */
static void is_translated_as_its_master(void **state)
{
	static const struct {
		bool src, dst, exact;
	} kinds[] = {{0, 1, 0}, {1, 0, 0}, {1, 0, 1}, {1, 1, 0}};

	for (int six = 0; six < 2; six++)
		for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
			struct packet p = data_packet(six, IPPROTO_TCP, 20), want = p, back, xback;
			struct ct_tuple t = data_tuple(six, IPPROTO_TCP);
			struct ct_expect x = plain(&t);
			struct pkt_case c;

			fresh(state);
			open_master(six, 21);
			x.flags = CT_X_NAT;
			if (kinds[k].dst) {
				set_addr(x.nat.daddr, I[six]);
				x.nat.dport = htons(4444);
				want.dst = I[six];
				want.dport = 4444;
			}
			if (kinds[k].src) {
				set_addr(x.nat.saddr, E[six]);
				want.src = E[six];
			}
			if (kinds[k].exact) {
				x.nat.sport = htons(40002);
				want.sport = 40002;
			}
			expect(&t, &x);
			/* What the rules say is not asked: this would give another address. */
			translate(CT_NAT_SRC, M[six], 0);
			c = THROUGH(&p, NEW, &want);
			EXPECTED(c, true);
			assert_int_equal(!!(c.state & S_SNAT), kinds[k].src);
			assert_int_equal(!!(c.state & S_DNAT), kinds[k].dst);
			memset(&how.nat, 0, sizeof(how.nat));
			back = (struct packet){.src = want.dst,
					       .dst = want.src,
					       .proto = IPPROTO_TCP,
					       .sport = want.dport,
					       .dport = want.sport,
					       .tcp = CT_TH_SYN | CT_TH_ACK,
					       .seq = 99,
					       .ack = 7001};
			xback = back;
			xback.src = p.dst;
			xback.dst = p.src;
			xback.sport = p.dport;
			xback.dport = p.sport;
			c = THROUGH(&back, REPLIED, &xback);
			assert_true(c.state & S_REL);
		}
}

/* An expectation that says nothing of translation leaves it to the rules. */
static void without_nat_the_rules_decide(void **state)
{
	struct packet p = data_packet(0, IPPROTO_UDP, 6000), want = p;
	struct ct_tuple t = data_tuple(0, IPPROTO_UDP);
	struct ct_expect x = plain(&t);

	(void)state;
	open_master(0, 21);
	expect(&t, &x);
	translate(CT_NAT_SRC, E[0], 0);
	want.src = E[0];
	THROUGH(&p, NEW, &want);
}

static void inherits_mark_and_label(void **state)
{
	struct packet p = data_packet(0, IPPROTO_UDP, 6000), q = data_packet(0, IPPROTO_UDP, 6001);
	struct ct_tuple t = data_tuple(0, IPPROTO_UDP);
	struct ct_expect x = plain(&t);
	struct pkt_case c;
	struct ct_flow f;

	fresh(state);
	how.mark = 0xbeef;
	how.set_mark = how.set_label = 1;
	how.label[1] = 0x1234;
	open_master(0, 21);
	how.set_mark = how.set_label = 0;
	x.flags = CT_X_PERMANENT;
	expect(&t, &x);
	c = SAME(&p, NEW);
	assert_int_equal(c.result_mark, 0xbeef);
	assert_true(ct_w_status(c.word) & CT_S_LABEL);
	/* The consumer's own come first. */
	how.set_mark = how.set_label = 1;
	how.mark = 7;
	c = SAME(&q, NEW);
	assert_int_equal(c.result_mark, 7);
	f = flow_of(4);
	assert_int_equal(f.label.bits[1], 0x1234);
}

static unsigned int masters(void)
{
	struct ct_label_key at, next;
	unsigned int n = 0;
	bool more = !bpf_map_get_next_key(core.pins.master_fd, NULL, &next);

	for (; more; n++) {
		at = next;
		more = !bpf_map_get_next_key(core.pins.master_fd, &at, &next);
	}
	return n;
}

static void its_master_is_known_while_it_lives(void **state)
{
	for (int six = 0; six < 2; six++) {
		DATA(six, IPPROTO_UDP, 6000);
		struct ct_label_key at;
		struct ct_master m;

		fresh(state);
		assert_int_equal(masters(), 0);
		open_master(six, 21);
		x.group = 3;
		x.orig.dport = htons(21);
		expect(&t, &x);
		SAME(&p, NEW);
		assert_int_equal(masters(), 1);
		assert_int_equal(bpf_map_get_next_key(core.pins.master_fd, NULL, &at), 0);
		assert_int_equal(bpf_map_lookup_elem(core.pins.master_fd, &at, &m), 0);
		assert_memory_equal(&m.conn, &master, sizeof(master));
		assert_int_equal(m.group, 3);
		assert_int_equal(m.orig.dport, htons(21));
		age(100);
		sweep();
		age(5);
		sweep();
		assert_int_equal(masters(), 0);
	}
}

/* A commit that is refused leaves the expectation for the next packet. */
static void a_refused_connection_does_not_use_it_up(void **state)
{
	DATA(0, IPPROTO_UDP, 6000);
	struct pkt_case c;

	(void)state;
	open_master(0, 21);
	expect(&t, &x);
	core.pins.zone[0].limit = 1;
	c = THROUGH(&p, -CT_DROP_ZONE_LIMIT, NULL);
	core.pins.zone[0].limit = 0;
	assert_int_equal((uint32_t)entry(&t).word, 0);
	assert_int_equal(st()->n[CT_X_COUNT_RETURNED], 1);
	assert_int_equal(masters(), 0);
	c = SAME(&p, NEW);
	EXPECTED(c, true);
}

/* Not committed: looked at, and left. */
static void a_packet_that_is_not_committed_does_not_use_it_up(void **state)
{
	DATA(0, IPPROTO_UDP, 6000);
	struct pkt_case c;

	(void)state;
	open_master(0, 21);
	expect(&t, &x);
	how.commit = 0;
	c = SAME(&p, NEW);
	assert_true(c.state & S_REL);
	assert_int_equal((uint32_t)entry(&t).word, 0);
}

#define ROUNDS 3000
static pthread_barrier_t gate;
static struct {
	uint8_t frame[512];
	size_t len;
	int cpu;
} racer[2];

static void run_one(int i, uint16_t sport)
{
	struct packet p = data_packet(0, IPPROTO_UDP, sport);
	uint8_t out[600];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = racer[i].frame, .data_out = out,
		    .data_size_out = sizeof(out), .repeat = 1);

	opts.data_size_in = build(racer[i].frame, &p);
	bpf_prog_test_run_opts(packet_fd, &opts);
}

static void *race(void *arg)
{
	int i = (int)(intptr_t)arg;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(racer[i].cpu, &set);
	pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
	for (unsigned int n = 0; n < ROUNDS; n++) {
		pthread_barrier_wait(&gate);
		run_one(i, 10000 + 2 * n + i);
		pthread_barrier_wait(&gate);
	}
	return NULL;
}

/* Two CPUs, two connections, one expectation: one of them gets it. */
static void two_cpus_cannot_both_use_it(void **state)
{
	struct ct_tuple t = data_tuple(0, IPPROTO_UDP);
	struct ct_expect x = plain(&t);
	unsigned int n, both = 0;
	pthread_t thread[2];
	uint32_t zero = 0;

	(void)state;
	open_master(0, 21);
	how.l2 = 1;
	core.pins.settings->half_share = 100000;
	assert_int_equal(bpf_map_update_elem(pkt_case_fd, &zero, &how, BPF_ANY), 0);
	pthread_barrier_init(&gate, NULL, 3);
	for (int i = 0; i < 2; i++) {
		racer[i].cpu = i;
		assert_int_equal(pthread_create(&thread[i], NULL, race, (void *)(intptr_t)i), 0);
	}
	for (n = 0; n < ROUNDS; n++) {
		uint64_t used = st()->n[CT_X_COUNT_USED], raced = st()->n[CT_X_COUNT_RACED];

		expect(&t, &x);
		pthread_barrier_wait(&gate);
		pthread_barrier_wait(&gate);
		/* The half-open ring is small: a refused winner gives it back. */
		if ((uint32_t)entry(&t).word != CT_X_CLAIMED) {
			assert_int_equal(st()->n[CT_X_COUNT_USED], used);
			reset(NULL);
			open_master(0, 21);
			continue;
		}
		assert_int_equal(st()->n[CT_X_COUNT_USED], used + 1);
		both += st()->n[CT_X_COUNT_RACED] != raced;
	}
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	print_message("          %u of %u rounds were races\n", both, ROUNDS);
	assert_true(st()->n[CT_X_COUNT_USED] > ROUNDS / 2);
}

#define TEST(f) cmocka_unit_test_setup(f, fresh)

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		TEST(each_shape_matches_its_tuple_only),
		TEST(is_used_once_and_a_permanent_one_often),
		TEST(expired_inactive_and_other_zones_do_not_match),
		TEST(dies_with_its_master_unless_it_outlives_it),
		TEST(ends_when_its_master_is_closed_if_it_says_so),
		TEST(another_life_of_the_master_is_not_the_master),
		TEST(of_tcp_only_a_syn_is_expected),
		TEST(is_translated_as_its_master),
		TEST(without_nat_the_rules_decide),
		TEST(inherits_mark_and_label),
		TEST(its_master_is_known_while_it_lives),
		TEST(a_refused_connection_does_not_use_it_up),
		TEST(a_packet_that_is_not_committed_does_not_use_it_up),
		TEST(two_cpus_cannot_both_use_it),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests_name("ct_expect", tests, set_up, tear_down) ? 1 : 0;
}
