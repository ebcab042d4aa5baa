// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* What is refused, by whom it is counted, and who comes again (docs/limits.md). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

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

static void nodes_are_never_more_than_the_map_holds(void **state)
{
	(void)state;
	core.pins.table[0].nodes_limit = 2;
	play_numbered(0, 1, NEW);
	play_numbered(0, 2, NEW);
	play_numbered(0, 3, -CT_DROP_NODES_FULL);
	assert_int_equal(core.pins.table[0].nodes, 2);
	assert_int_equal(core.pins.table[0].half_open, 2);
	core.pins.table[0].stub_limit = 0;
	core.pins.table[0].nodes_limit = 3;
	translate(CT_NAT_SRC, E[0], 0);
	play_numbered(0, 3, -CT_DROP_NODES_FULL);
	assert_int_equal(core.pins.table[0].nodes, 2);
	assert_int_equal(core.pins.table[0].stubs, 0);
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
		TEST(nodes_are_never_more_than_the_map_holds),
		TEST(a_full_ring_refuses_the_young_and_gives_way_to_who_comes_again),
		TEST(a_prefix_has_its_share_of_the_retry_ring),
		TEST(a_prefix_has_its_share_of_half_open_ones),
		TEST(what_is_reset_counts_in_its_share_for_its_second),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests_name("ct_limits", tests, set_up, tear_down) ? 1 : 0;
}
