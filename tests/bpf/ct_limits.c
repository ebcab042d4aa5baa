// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* What is refused, by whom it is counted, and who comes again (docs/limits.md). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>

#include "bpf/ct/ct_tcp_table.h"
#include "tests/bpf/lib/play.h"

/* Tables name only what matters. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

static void a_zone_keeps_to_its_quota(void **state)
{
	struct ct_zone *zone = &core.pins.zone[7];
	uint32_t refused = zone->refused;

	(void)state;
	zone->limit = 2;
	how.zone = 7;
	play_numbered(0, 1, NEW);
	play_numbered(1, 2, NEW);
	play_numbered(0, 3, -CT_DROP_ZONE_LIMIT);
	assert_int_equal(zone->count, 2);
	assert_int_equal(zone->refused, refused + 1);
	how.zone = 8;
	play_numbered(0, 3, NEW);
	how.zone = 7;
	play_numbered(0, 1, OPENING);
	zone->limit = 0;
}

static void a_full_table_refuses_and_then_reaps(void **state)
{
	struct packet p = {.src = C[0], .dst = S[0], .proto = IPPROTO_GRE, .payload = 8},
		      back = {.src = S[0], .dst = C[0], .proto = IPPROTO_GRE, .payload = 8};

	(void)state;
	core.pins.table[0].confirmed_limit = 1;
	SAME(&p, NEW);
	SAME(&back, REPLIED);
	SAME(&p, ESTABLISHED);
	assert_int_equal(core.pins.table[0].confirmed, 1);
	play_numbered(0, 1, -CT_DROP_TABLE_FULL);
	SAME(&p, ESTABLISHED);
	/* Expired ones are found without ctd: within one turn of the clock's hand. */
	age(200);
	for (unsigned int i = 0; i < 2 * core.sizes.clock / 8; i++) {
		struct packet n = numbered(0, 2);
		uint8_t frame[600], out[600];
		size_t len = build(frame, &n), outlen;

		how.l2 = 1;
		if (play_frame(frame, len, out, &outlen).verdict == NEW)
			return;
	}
	fail_msg("an expired record fills the table for ever");
}

/* What a flood cannot displace (DESIGN 4): by protocol, after the first packet, the answer and
 * what follows. */
static void what_is_answered_counts_as_confirmed(void **state)
{
	static const struct {
		uint8_t proto;
		unsigned int first, answered, later;
	} t[] = {
		{IPPROTO_UDP, 0, 0, 1}, /* a stream, from 2 s on */
		{IPPROTO_UDPLITE, 0, 0, 1}, {IPPROTO_GRE, 0, 0, 1},
		{IPPROTO_ESP, 0, 1, 1},	    {253, 0, 1, 1},
		{IPPROTO_ICMP, 0, 0, 0},    {IPPROTO_ICMPV6, 0, 0, 0},
	};

	(void)state;
	for (int six = 0; six < 2; six++)
		for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
			struct ct_table *tab = &core.pins.table[six];
			struct packet p = {.src = C[six],
					   .dst = S[six],
					   .proto = t[i].proto,
					   .sport = 5,
					   .dport = 7,
					   .type = six ? 128 : 8,
					   .id = 9,
					   .payload = 8},
				      back = p;

			if (t[i].proto == ICMP_OF(!six))
				continue;
			reset(NULL);
			back.src = S[six];
			back.dst = C[six];
			back.sport = 7;
			back.dport = 5;
			back.type = six ? 129 : 0;
			SAME(&p, NEW);
			assert_int_equal(tab->confirmed, t[i].first);
			SAME(&back, REPLIED);
			assert_int_equal(tab->confirmed, t[i].answered);
			age(3);
			SAME(&p, ESTABLISHED);
			SAME(&back, REPLIED);
			assert_int_equal(tab->confirmed, t[i].later);
			assert_int_equal(tab->half_open, 1 - t[i].later);
		}
}

/* A clock of this size with nothing in it. */
static void new_clock(int six, uint32_t size)
{
	const struct ct_slot6 none = {0};

	for (uint32_t i = 0; i < size; i++)
		assert_int_equal(bpf_map_update_elem(core.pins.clock_fd[six], &i, &none, BPF_ANY),
				 0);
	core.pins.settings->clock_size = size;
}

/* A TCP connection with its own client port, established; `reset`: and broken off. */
static void tcp_exchange(int six, uint16_t port, bool reset_it)
{
	struct packet c = {.src = C[six],
			   .dst = S[six],
			   .proto = IPPROTO_TCP,
			   .sport = port,
			   .dport = 80,
			   .tcp = CT_TH_SYN,
			   .seq = 1000},
		      s = {.src = S[six],
			   .dst = C[six],
			   .proto = IPPROTO_TCP,
			   .sport = 80,
			   .dport = port,
			   .tcp = CT_TH_SYN | CT_TH_ACK,
			   .seq = 7000,
			   .ack = 1001};

	SAME(&c, NEW);
	SAME(&s, REPLIED);
	c.tcp = CT_TH_ACK;
	c.seq = 1001;
	c.ack = 7001;
	SAME(&c, ESTABLISHED);
	if (!reset_it)
		return;
	c.tcp = CT_TH_RST | CT_TH_ACK;
	SAME(&c, ESTABLISHED);
}

/* The table is full of what has expired unseen: an answer that confirms makes room for itself. */
static void an_answer_finds_the_place_of_what_has_expired(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		struct ct_table *tab = &core.pins.table[six];
		struct packet p = {.src = C[six], .dst = S[six], .proto = 253, .payload = 8},
			      back = {.src = S[six], .dst = C[six], .proto = 253, .payload = 8};

		reset(NULL);
		new_clock(six, 8);
		tab->confirmed_limit = 2;
		core.pins.timeouts[0].secs[CT_TIMEOUT_tcp_close] = 1;
		tcp_exchange(six, 2000, true);
		SAME(&p, NEW);
		tcp_exchange(six, 2001, true);
		assert_int_equal(tab->confirmed, 2);
		THROUGH(&back, -CT_DROP_TABLE_FULL, NULL); /* they live */
		age(2);
		SAME(&back, REPLIED);
		assert_in_range(tab->confirmed, 1, 2);
		assert_int_equal(tab->half_open, 0);
	}
	bpfct_default_timeouts(&core.pins.timeouts[0]);
}

/* How many slots of the clock lead to a record that is confirmed and lives; twice the same: twice.
 */
static unsigned int listed(int six, uint32_t size)
{
	unsigned int n = 0;

	for (uint32_t i = 0; i < size; i++) {
		union {
			struct ct_slot4 s4;
			struct ct_slot6 s6;
		} slot = {0};
		union {
			struct ct_conn4 c4;
			struct ct_conn6 c6;
		} conn;
		uint32_t gen;

		assert_int_equal(bpf_map_lookup_elem(core.pins.clock_fd[six], &i, &slot), 0);
		gen = six ? slot.s6.s.gen : slot.s4.s.gen;
		if (gen && !bpf_map_lookup_elem(core.pins.conn_fd[six], &slot, &conn))
			n += ct_w_gen(conn.c4.c.word) == gen &&
			     ct_w_life(conn.c4.c.word) == CT_LIFE_CONFIRMED;
	}
	return n;
}

/*
 * ctd is dead, and three quarters of the places are held by connections that live long: each of
 * a thousand short ones is listed in the clock, so that its place is free for another. (Long
 * ones that stood in a row left the promoted without a slot, and their node was lost till ctd
 * came.)
 */
static void without_ctd_each_promoted_record_is_found_again(void **state)
{
	enum { CLOCK = 64, LIMIT = CLOCK / 2, KEPT = LIMIT / 4 * 3 };

	(void)state;
	for (int six = 0; six < 2; six++) {
		struct ct_table *tab = &core.pins.table[six];

		reset(NULL);
		new_clock(six, CLOCK);
		core.pins.timeouts[0].secs[CT_TIMEOUT_tcp_close] = 1;
		core.pins.settings->heartbeat = 0;
		tab->confirmed_limit = LIMIT;
		for (unsigned int i = 0; i < KEPT; i++)
			tcp_exchange(six, 2000 + i, false);
		assert_int_equal(listed(six, CLOCK), KEPT);
		for (unsigned int i = 0; i < 1000; i++) {
			tcp_exchange(six, 3000 + i, true);
			assert_int_equal(listed(six, CLOCK), tab->confirmed);
			age(1);
		}
		assert_in_range(tab->confirmed, KEPT, LIMIT);
		assert_in_range(tab->nodes, KEPT, LIMIT + 4);
	}
	bpfct_default_timeouts(&core.pins.timeouts[0]);
}

/* ... and while ctd is dead, expired ones do not stay till the table is full. */
static void without_ctd_room_is_made_before_the_limit(void **state)
{
	struct ct_control clock = {.op = CT_CONTROL_CLOCK};
	struct ct_table *tab = &core.pins.table[0];
	unsigned int left;

	(void)state;
	new_clock(0, 64);
	tab->confirmed_limit = 32;
	for (unsigned int i = 0; i < 24; i++)
		tcp_exchange(0, 2000 + i, true);
	age(11);
	assert_int_equal(bpfct_control(&core.pins, &clock), 0);
	core.pins.settings->heartbeat = clock.jiffies; /* it lives */
	play_numbered(0, 1, NEW);
	assert_int_equal(tab->confirmed, 24);
	core.pins.settings->heartbeat = 0;
	play_numbered(0, 2, NEW);
	left = tab->confirmed;
	assert_in_range(left, 8, 16); /* 16 looks, less for what lies between */
	play_numbered(0, 3, NEW);
	assert_int_equal(tab->confirmed, left); /* below three quarters again */
}

static void nodes_are_never_more_than_the_map_holds(void **state)
{
	(void)state;
	core.pins.table[0].nodes_limit = 2;
	core.pins.settings->half_share = 3;
	play_numbered(0, 1, NEW);
	play_numbered(0, 2, NEW);
	play_numbered(0, 3, -CT_DROP_NODES_FULL);
	assert_int_equal(core.pins.table[0].nodes, 2);
	assert_int_equal(core.pins.table[0].half_open, 2);
	/* nor does who is refused count elsewhere: in the zone, in his prefix' share */
	for (int i = 0; i < 3; i++)
		play_numbered(0, 3, -CT_DROP_NODES_FULL);
	assert_int_equal(core.pins.zone[0].count, 2);
	core.pins.table[0].nodes_limit = 3;
	play_numbered(0, 3, NEW);
	reset(NULL);
	core.pins.table[0].nodes_limit = 2;
	play_numbered(0, 1, NEW);
	play_numbered(0, 2, NEW);
	core.pins.table[0].stub_limit = 0;
	core.pins.table[0].nodes_limit = 3;
	translate(CT_NAT_SRC, E[0], 0);
	play_numbered(0, 3, -CT_DROP_NODES_FULL);
	assert_int_equal(core.pins.table[0].nodes, 2);
	assert_int_equal(core.pins.table[0].stubs, 0);
}

/* More stubs than were counted (the count is wrong): said so, not taken for a lack of ports. */
static void a_full_stub_map_is_no_lack_of_ports(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		struct ct_table *tab = &core.pins.table[six];
		struct bpf_map_info info = {0};
		uint32_t len = sizeof(info), key[10] = {0};
		struct ct_stub6 stub = {0};
		uint64_t before = drops(CT_DROP_NODES_FULL);
		int fd = core.pins.stub_fd[six];

		reset(NULL);
		assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &len), 0);
		assert_int_equal(info.type, BPF_MAP_TYPE_HASH);
		assert_int_equal(tab->stub_limit, info.max_entries);
		for (key[0] = 0; key[0] < info.max_entries; key[0]++)
			assert_int_equal(bpf_map_update_elem(fd, key, &stub, BPF_NOEXIST), 0);
		translate(CT_NAT_SRC, E[six], 0);
		play_numbered(six, 1, -CT_DROP_NODES_FULL);
		assert_int_equal(drops(CT_DROP_NODES_FULL), before + 1);
		assert_int_equal(tab->stubs, 0);
		assert_int_equal(tab->nodes, 0);
		/* none went for it, and with room for one it is let in */
		assert_int_equal(bpf_map_update_elem(fd, key, &stub, BPF_NOEXIST), -E2BIG);
		key[0] = 0;
		assert_int_equal(bpf_map_delete_elem(fd, key), 0);
		play_numbered(six, 1, NEW);
		assert_int_equal(tab->stubs, 1);
		while (++key[0] < info.max_entries) /* nobody counts these */
			assert_int_equal(bpf_map_delete_elem(fd, key), 0);
	}
}

static void a_full_ring_refuses_the_young_and_gives_way_to_who_comes_again(void **state)
{
	struct ct_settings *set = core.pins.settings;

	(void)state;
	set->half_size[CT_SIDE_INSIDE] = 8;
	for (unsigned int i = 0; i < 8; i++)
		play_numbered(0, i, NEW);
	play_numbered(0, 8, -CT_DROP_HALF_FULL);
	play_numbered(0, 8, -CT_DROP_HALF_FULL); /* at once is no retransmission */
	age(1);
	play_numbered(0, 8, NEW);
	assert_int_equal(core.pins.table[0].half_open, 9);
	play_numbered(0, 9, -CT_DROP_HALF_FULL); /* the first time */
	/* the other side has a ring of its own */
	how.inside = 0;
	play_numbered(0, 10, NEW);
	how.inside = 1;
	/* what is three seconds old gives way, and no more of it than was asked for */
	age(3);
	play_numbered(0, 11, NEW);
	assert_int_equal(core.pins.table[0].half_open, 10);
}

/* The small ring for those who come again is for all of them: no prefix takes it whole. */
static void a_prefix_has_its_share_of_the_retry_ring(void **state)
{
	struct ct_settings *set = core.pins.settings;
	struct packet other = numbered(0, 1);
	unsigned int i, share;

	(void)state;
	set->half_size[CT_SIDE_INSIDE] = 8;
	set->half_size[CT_SIDE_RETRY] = 64;
	share = 64 / 16;
	other.src = I[0];
	for (i = 0; i < 8; i++, other.sport++)
		SAME(&other, NEW);
	for (i = 0; i <= share; i++)
		play_numbered(0, i, -CT_DROP_HALF_FULL);
	other = numbered(0, 1);
	other.src = "10.0.0.77";
	THROUGH(&other, -CT_DROP_HALF_FULL, NULL);
	age(1);
	for (i = 0; i < share; i++)
		play_numbered(0, i, NEW);
	play_numbered(0, share, -CT_DROP_HALF_FULL);
	SAME(&other, NEW);
}

static void a_prefix_has_its_share_of_half_open_ones(void **state)
{
	struct packet other = {
		.src = I[0], .dst = S[0], .proto = IPPROTO_UDP, .sport = 1, .dport = 2};

	(void)state;
	core.pins.settings->half_share = 2;
	play_numbered(0, 1, NEW);
	play_numbered(0, 2, NEW);
	play_numbered(0, 3, -CT_DROP_PREFIX_SHARE);
	assert_int_equal(core.pins.zone[0].count, 2);
	/* inside, each address counts for itself; outside the /24 does */
	SAME(&other, NEW);
	how.inside = 0;
	play_numbered(0, 4, NEW);
	other.sport++;
	SAME(&other, NEW);
	other.sport++;
	THROUGH(&other, -CT_DROP_PREFIX_SHARE, NULL);
}

/* Who is answered by RST, or sends it, is half-open no more, but holds his slot of the ring for
 * the second of the dead: his share must count that, or it could be had again at once. */
static void what_is_reset_counts_in_its_share_for_its_second(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		struct packet syn = {.src = S[six],
				     .dst = C[six],
				     .proto = IPPROTO_TCP,
				     .dport = 80,
				     .tcp = CT_TH_SYN,
				     .seq = 1000},
			      rst = {.src = C[six],
				     .dst = S[six],
				     .proto = IPPROTO_TCP,
				     .sport = 80,
				     .tcp = CT_TH_RST | CT_TH_ACK,
				     .ack = 1001};

		reset(NULL);
		how.inside = 0;
		core.pins.settings->half_share = 3;
		for (int i = 0; i < 3; i++) {
			syn.sport = rst.dport = 5000 + i;
			SAME(&syn, NEW);
			SAME(&rst, REPLIED);
			assert_int_equal(core.pins.table[six].half_open, 0);
		}
		/* The same one again takes over its own node and place: no more than before. */
		core.pins.settings->half_share = 4;
		SAME(&syn, NEW);
		SAME(&rst, REPLIED);
		core.pins.settings->half_share = 3;
		syn.sport = 6000;
		THROUGH(&syn, -CT_DROP_PREFIX_SHARE, NULL);
		age(3);
		sweep();
		SAME(&syn, NEW);
	}
}

#define TEST(f) cmocka_unit_test_setup(f, reset)

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		TEST(a_zone_keeps_to_its_quota),
		TEST(a_full_table_refuses_and_then_reaps),
		TEST(what_is_answered_counts_as_confirmed),
		TEST(an_answer_finds_the_place_of_what_has_expired),
		TEST(without_ctd_each_promoted_record_is_found_again),
		TEST(without_ctd_room_is_made_before_the_limit),
		TEST(nodes_are_never_more_than_the_map_holds),
		TEST(a_full_stub_map_is_no_lack_of_ports),
		TEST(a_full_ring_refuses_the_young_and_gives_way_to_who_comes_again),
		TEST(a_prefix_has_its_share_of_the_retry_ring),
		TEST(a_prefix_has_its_share_of_half_open_ones),
		TEST(what_is_reset_counts_in_its_share_for_its_second),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests_name("ct_limits", tests, set_up, tear_down) ? 1 : 0;
}
