// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The regular pass of ctd's sweep (bpf/ct/ct_sweep.h): a table of 100,000 of which it looks at a
 * part only, and ends all that is over nevertheless.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/abi/ct_event.h"
#include "tests/bpf/lib/play.h"

#define MANY 100000U

static int map_of(const char *name, int six)
{
	char full[32];

	snprintf(full, sizeof(full), "ct_%s%d_v1", name, six ? 6 : 4);
	return bpf_object__find_map_fd_by_name(core.obj, full);
}

static uint64_t stat_of(enum ct_stat stat)
{
	uint64_t s[CT_STAT_SLOTS] = {0};

	assert_int_equal(bpfct_counters(core.pins.stat_fd, s, CT_STAT_MAX), 0);
	return s[stat];
}

/* The regular pass over both families. Records that it looked at. */
static unsigned int pass(void)
{
	unsigned int looks = 0;

	for (unsigned int family = 4; family <= 6; family += 2) {
		struct ct_sweep_req req = {.family = family, .more = 1};

		while (req.more) {
			assert_int_equal(bpfct_sweep_listed(core.listed_fd, &req), 0);
			looks += req.looks;
		}
	}
	return looks;
}

/* A confirmed UDP connection, number i, that has `secs` left. */
static struct ct_control request(int six, unsigned int i, enum ct_control_op op, unsigned int secs)
{
	struct ct_control req = {.op = op, .set = CT_SET_TIMEOUT};
	__be16 sport = htons(1024 + i % 50000), dport = htons(7000 + i / 50000);

	if (op == CT_CONTROL_CREATE)
		req.set |= CT_SET_STATUS;
	req.flow.family = six ? 6 : 4;
	if (six) {
		inet_pton(AF_INET6, "2001:db8:10::2", req.flow.key6.addr[0]);
		inet_pton(AF_INET6, "2001:db8:51::80", req.flow.key6.addr[1]);
		memcpy(req.flow.conn6.reply_saddr, req.flow.key6.addr[1], 16);
		memcpy(req.flow.conn6.reply_daddr, req.flow.key6.addr[0], 16);
		req.flow.key6.port[0] = sport;
		req.flow.key6.port[1] = dport;
		req.flow.key6.proto = IPPROTO_UDP;
	} else {
		req.flow.key4.addr[0] = req.flow.conn4.reply_daddr = inet_addr("10.0.0.2");
		req.flow.key4.addr[1] = req.flow.conn4.reply_saddr = inet_addr("198.51.100.80");
		req.flow.key4.port[0] = sport;
		req.flow.key4.port[1] = dport;
		req.flow.key4.proto = IPPROTO_UDP;
	}
	req.flow.c.reply_sport = dport;
	req.flow.c.reply_dport = sport;
	req.flow.c.word = CT_W_STATUS(CT_S_CONFIRMED | CT_S_SEEN_REPLY | CT_S_ASSURED);
	req.flow.c.expires = secs;
	return req;
}

static void control(int six, unsigned int i, enum ct_control_op op, unsigned int secs)
{
	struct ct_control req = request(six, i, op, secs);

	assert_int_equal(bpfct_control(&core.pins, &req), 0);
	assert_int_equal(req.result, 0);
}

/* Each third of them has 200 s, 400 s, an hour. */
static unsigned int time_of(unsigned int i)
{
	return i % 3 == 0 ? 200 : i % 3 == 1 ? 400 : 3600;
}

static void enter_many(int six, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		control(six, i, CT_CONTROL_CREATE, time_of(i));
	assert_int_equal(core.pins.table[six].confirmed, n);
}

/* What lives is there with its own time, and nothing else is. */
static void only_living(int six, unsigned int n, unsigned int at_least)
{
	unsigned int lives = 0;

	for (unsigned int i = 0; i < n; i++)
		lives += time_of(i) >= at_least;
	assert_int_equal(core.pins.table[six].confirmed, lives);
}

/* A second passes, and the regular pass comes, n times. */
static unsigned int seconds_pass(unsigned int n)
{
	unsigned int looks = 0;

	for (; n; n--) {
		age(1);
		looks += pass();
	}
	return looks;
}

/* 100,000 rest for 6 s, so that a pass each second looks at some sixth; what is over goes, with its
 * node; what is not, stays. */
static void what_has_expired_goes_and_what_lives_stays(void **state)
{
	unsigned int looks = MANY;
	uint64_t destroyed;

	(void)state;
	enter_many(0, MANY);
	seconds_pass(3);
	/* At once again: all have had their turn. (A machine that stalls gets more tries.) */
	for (int i = 0; i < 10 && looks > MANY / 4; i++)
		looks = pass();
	assert_in_range(looks, 0, MANY / 4);
	assert_in_range(seconds_pass(6), MANY * 3 / 4, 2 * MANY);
	only_living(0, MANY, 0);
	destroyed = stat_of(CT_STAT_DESTROYED);
	age(141); /* 150, and what it took */
	pass();
	only_living(0, MANY, 0);
	age(55);
	pass();
	only_living(0, MANY, 400);
	assert_int_equal(stat_of(CT_STAT_DESTROYED) - destroyed, (MANY + 2) / 3);
	seconds_pass(2);
	assert_int_equal(core.pins.table[0].nodes, core.pins.table[0].confirmed);
	age(200);
	seconds_pass(2);
	only_living(0, MANY, 3600);
	seconds_pass(2);
	assert_int_equal(core.pins.table[0].nodes, MANY / 3);
}

/* Time-outs that are shortened while the slot says "later": at most a rest late. */
static void a_shorter_time_is_seen_within_a_rest(void **state)
{
	(void)state;
	enter_many(0, MANY);
	seconds_pass(3);
	for (unsigned int i = 2; i < 3000; i += 3) /* those of an hour */
		control(0, i, CT_CONTROL_UPDATE, 1);
	age(2);
	seconds_pass(6); /* a rest of 6 s */
	assert_int_equal(core.pins.table[0].confirmed, MANY - 1000);
}

/* The clock is set back: what the slots say is far ahead, and no excuse. */
static void a_clock_that_is_set_back_hides_nothing(void **state)
{
	(void)state;
	enter_many(0, MANY);
	seconds_pass(3);
	age(-10000);
	assert_int_equal(pass(), MANY);
	age(10000);
	age(400);
	seconds_pass(2);
	only_living(0, MANY, 3600);
}

/* In a small table each pass looks at all, so that nothing is late; half-open ones too. */
static void a_small_table_is_looked_at_as_a_whole(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		struct ct_table *tab = &core.pins.table[six];

		reset(NULL);
		enter_many(six, 300);
		play_numbered(six, 60000, NEW);
		pass();
		assert_int_equal(pass(), 301);
		control(six, 0, CT_CONTROL_UPDATE, 1);
		age(2);
		pass();
		assert_int_equal(tab->confirmed, 299);
		assert_int_equal(tab->half_open, 1);
		age(30);
		pass();
		assert_int_equal(tab->half_open, 0);
		assert_int_equal(tab->nodes, 299 + 1);
		age(170);
		pass();
		only_living(six, 300, 400);
		assert_int_equal(tab->nodes, 299);
		age(2);
		pass();
		assert_int_equal(tab->nodes, 200);
	}
}

/* Takes every record out of the clock, as if none had found a slot. */
static void empty_clock(int six)
{
	const uint8_t none[sizeof(struct ct_slot6)] = {0};
	int fd = map_of("clock", six);

	for (uint32_t at = 0; at < core.pins.settings->clock_size; at++)
		assert_int_equal(bpf_map_update_elem(fd, &at, none, BPF_ANY), 0);
}

/* The whole walk is for those: it ends them, and they go to the grave as others do. */
static void what_no_slot_names_is_found_by_the_whole_walk(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		reset(NULL);
		enter_many(six, 300);
		empty_clock(six);
		age(230);
		pass();
		only_living(six, 300, 0);
		sweep();
		only_living(six, 300, 400);
		age(2);
		pass();
		assert_int_equal(core.pins.table[six].nodes, 200);
	}
}

/* More deaths than the grave holds: those that were overwritten are counted, and freed by the pass
 * from their slots; what has none by the whole walk. */
static void what_the_grave_could_not_hold_is_counted_and_freed(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		int six = i / 2, listed = i % 2;
		struct ct_table *tab = &core.pins.table[six];
		uint32_t size = core.pins.settings->grave_size, lost, n = size + size / 2;

		reset(NULL);
		for (unsigned int k = 0; k < n; k++)
			control(six, k, CT_CONTROL_CREATE, 20);
		if (!listed)
			empty_clock(six);
		age(21);
		sweep(); /* all end at once */
		assert_int_equal(tab->confirmed, 0);
		assert_int_equal(tab->nodes, n);
		lost = tab->grave_lost;
		pass();
		assert_int_equal(tab->nodes, n);
		age(2);
		pass();
		lost = tab->grave_lost - lost;
		assert_in_range(lost, n - size, n - 1);
		assert_int_equal(tab->nodes, listed ? 0 : lost);
		sweep();
		assert_int_equal(tab->nodes, 0);
		assert_int_equal(tab->grave_head, tab->grave_tail);
	}
}

/* The slot of a commit that came to nothing is emptied when that cannot be under way any more. */
static void a_slot_of_nobody_is_emptied(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		uint8_t key[40];
		int fd = core.pins.conn_fd[six];

		reset(NULL);
		play_numbered(six, 1, NEW);
		play_numbered(six, 2, NEW);
		assert_int_equal(bpf_map_get_next_key(fd, NULL, key), 0);
		assert_int_equal(bpf_map_delete_elem(fd, key), 0);
		core.pins.table[six].nodes--;
		assert_int_equal(pass(), 2);
		assert_int_equal(pass(), 2);
		age(3);
		assert_int_equal(pass(), 2);
		assert_int_equal(pass(), 1);
		age(31);
		pass();
		core.pins.table[six].half_open = 0;
		age(3);
		pass();
		assert_int_equal(core.pins.table[six].nodes, 0);
	}
}

static int big_up(void **state)
{
	static const struct bpfct_limits limits = {.confirmed = 131072, .half = {1024, 1024, 256}};

	return set_up_with(state, &limits);
}

#define TEST(f) cmocka_unit_test_setup(f, reset)

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		TEST(what_has_expired_goes_and_what_lives_stays),
		TEST(a_shorter_time_is_seen_within_a_rest),
		TEST(a_clock_that_is_set_back_hides_nothing),
		TEST(a_small_table_is_looked_at_as_a_whole),
		TEST(what_no_slot_names_is_found_by_the_whole_walk),
		TEST(what_the_grave_could_not_hold_is_counted_and_freed),
		TEST(a_slot_of_nobody_is_emptied),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests_name("ct_sweep", tests, big_up, tear_down) ? 1 : 0;
}
