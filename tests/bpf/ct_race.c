// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
// alone: yes
/*
 * Two CPUs, in step, do to one tuple what must not go wrong at once: a million
 * operations a test, under `make check-long` a million rounds. Afterwards the
 * tables are held against the invariants of DESIGN 3 and the events against each other.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <bpf/bpf.h>
#include <netinet/in.h>

#include "bpf/ct/ct_tcp_table.h"
#include "tests/bpf/lib/race.h"

/* Tables name only what matters. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define TUPLES RACE_TUPLES

#define BOTH(t)                                                                                    \
	do {                                                                                       \
		run_race((t), 4);                                                                  \
		run_race((t), 6);                                                                  \
	} while (0)

/* clang-format off */
#define PACKET(w, ...)	{.kind = RACE_PACKET, .way = (w), __VA_ARGS__}
#define OPEN(w, ...)	PACKET(w, .commit = 1, __VA_ARGS__)
#define NOTHING		{0}
/* clang-format on */

#define SYN(w, ...)    OPEN(w, .tcp_flags = CT_TH_SYN, .seq = 1000, __VA_ARGS__)
#define SYNACK(w, ...) PACKET(w, .tcp_flags = CT_TH_SYN | CT_TH_ACK, .seq = 5000, .ack = 1001)
#define ACK(w, ...)    PACKET(w, .tcp_flags = CT_TH_ACK, .seq = 1001, .ack = 5001)

static void one_tuple_committed_twice_is_one_record(void **state)
{
	static const struct race_test t = {
		.proto = IPPROTO_UDP,
		.jitter = 3,
		.exact = true,
		.steps = 2,
		.op = {{OPEN(RACE_C_S), PACKET(RACE_S_C)}, {OPEN(RACE_C_S), PACKET(RACE_S_C)}}};

	(void)state;
	BOTH(&t);
}

static void both_ends_opening_at_once_is_one_record(void **state)
{
	static const struct race_test t = {
		.proto = IPPROTO_UDP,
		.jitter = 3,
		.exact = true,
		.steps = 2,
		.op = {{OPEN(RACE_C_S), PACKET(RACE_S_C)}, {OPEN(RACE_S_C), PACKET(RACE_C_S)}}};

	(void)state;
	BOTH(&t);
}

static void one_tuple_translated_twice_keeps_its_stub(void **state)
{
	static const struct race_test t = {.proto = IPPROTO_UDP,
					   .jitter = 3,
					   .exact = true,
					   .steps = 2,
					   .op = {{OPEN(RACE_C_S, .nat = 1), PACKET(RACE_S_E)},
						  {OPEN(RACE_C_S, .nat = 1), PACKET(RACE_S_E)}}};

	(void)state;
	BOTH(&t);
}

static void a_plain_tuple_and_a_claim_of_it_exclude_each_other(void **state)
{
	static const struct race_test t = {.proto = IPPROTO_UDP,
					   .jitter = 5,
					   .steps = 2,
					   .op = {{OPEN(RACE_C_S, .nat = 1), PACKET(RACE_S_E)},
						  {OPEN(RACE_E_S), PACKET(RACE_S_E)}}};

	(void)state;
	BOTH(&t);
}

/* As above, with an answer that changes the plain record's word while it is
 * looked whether it may stay. */
static void a_claim_wins_though_an_answer_comes(void **state)
{
	static const struct race_test t = {
		.proto = IPPROTO_UDP,
		.jitter = 4,
		.steps = 3,
		.op = {{OPEN(RACE_C_S, .nat = 1), PACKET(RACE_S_E), OPEN(RACE_C_S, .nat = 1)},
		       {OPEN(RACE_E_S), OPEN(RACE_E_S), PACKET(RACE_S_E)}}};

	(void)state;
	BOTH(&t);
}

/* Calls fn with each record of the family. */
static void each_record(int family, void (*fn)(const struct ct_conn *c, uint32_t now))
{
	int six = family == 6, fd = race_core.pins.conn_fd[six];
	char key[2][40];
	void *last = NULL;
	struct ct_conn6 c;
	uint32_t now = bpfct_now(&race_core.pins);

	for (int i = 0; !bpf_map_get_next_key(fd, last, key[i]); last = key[i], i = !i)
		if (!bpf_map_lookup_elem(fd, key[i], &c))
			fn(&c.c, now);
}

static unsigned int wrong, looked_at;

/* Did the round of this record's tuple go as written, on both CPUs in step? */
static bool round_was_whole(const struct ct_conn *c, int steps)
{
	unsigned int port = ntohs(c->reply_dport) - RACE_PORT, all = (1u << steps) - 1;
	struct race_out out;

	for (uint32_t i = 0; i < 2; i++) {
		uint32_t at = i * TUPLES + port;

		if (port >= TUPLES || bpf_map_lookup_elem(race_out_fd, &at, &out) ||
		    (out.met & all) != all || (out.passed & all) != all)
			return false;
	}
	return true;
}

static void want_closed(const struct ct_conn *c, uint32_t now)
{
	if (!round_was_whole(c, 3))
		return;
	looked_at++;
	if (ct_w_state(c->word) != CT_TCP_CLOSE ||
	    (int32_t)(c->expires - now) > (int32_t)(11 * race_hz >> 5))
		wrong++;
}

static void want_closing(const struct ct_conn *c, uint32_t now)
{
	uint8_t state = ct_w_state(c->word);

	if (!round_was_whole(c, 3))
		return;
	looked_at++;
	if ((state != CT_TCP_CLOSE_WAIT && state != CT_TCP_FIN_WAIT) ||
	    (int32_t)(c->expires - now) > (int32_t)(130 * race_hz >> 5))
		wrong++;
}

static void closed_between(int family)
{
	each_record(family, want_closed);
}

static void closing_between(int family)
{
	each_record(family, want_closing);
}

/* A reset that meets the last ACK of the handshake closes, whoever is first. */
static void a_reset_is_not_lost_to_a_promotion(void **state)
{
	static const struct race_test t = {
		.proto = IPPROTO_TCP,
		.jitter = 3,
		.steps = 3,
		.between = closed_between,
		.op = {{SYN(RACE_C_S), NOTHING, ACK(RACE_C_S)},
		       {NOTHING, SYNACK(RACE_S_C),
			PACKET(RACE_S_C, .tcp_flags = CT_TH_RST | CT_TH_ACK, .seq = 5001,
			       .ack = 1001)}}};

	(void)state;
	wrong = looked_at = 0;
	BOTH(&t);
	assert_true(looked_at > 1000);
	assert_int_equal(wrong, 0);
}

static void a_fin_is_not_lost_to_a_promotion(void **state)
{
	static const struct race_test t = {
		.proto = IPPROTO_TCP,
		.jitter = 3,
		.steps = 3,
		.between = closing_between,
		.op = {{SYN(RACE_C_S), NOTHING, ACK(RACE_C_S)},
		       {NOTHING, SYNACK(RACE_S_C),
			PACKET(RACE_S_C, .tcp_flags = CT_TH_FIN | CT_TH_ACK, .seq = 5001,
			       .ack = 1001)}}};

	(void)state;
	wrong = looked_at = 0;
	BOTH(&t);
	assert_true(looked_at > 1000);
	assert_int_equal(wrong, 0);
}

static void want_short_lives(const struct ct_conn *c, uint32_t now)
{
	uint32_t life = ct_w_life(c->word);
	int32_t left = c->expires - now;

	if (life == CT_LIFE_DYING && left > 0)
		wrong++;
	/* SYN_SENT and unanswered UDP never have more than two minutes */
	if (life == CT_LIFE_HALF_OPEN && left > (int32_t)(130 * race_hz >> 5))
		wrong++;
}

static void short_between(int family)
{
	each_record(family, want_short_lives);
}

/* A packet that finds a record just before it expires must not give the dead one
 * a new time-out: it would keep its node. */
static void a_refresh_does_not_outlive_the_death(void **state)
{
	struct race_test t = {.proto = IPPROTO_UDP,
			      .jitter = 5,
			      .steps = 2,
			      .between = short_between,
			      .op = {{OPEN(RACE_C_S), PACKET(RACE_C_S)},
				     {NOTHING, {.kind = RACE_AGE_VISIT, .age = 31 * race_hz}}}};

	(void)state;
	wrong = looked_at = 0;
	BOTH(&t);
	assert_int_equal(wrong, 0);
}

/* Nor a deleted one: it would stay, dying, for the whole time-out. */
static void a_refresh_does_not_outlive_a_deletion(void **state)
{
	static const struct race_test t = {
		.proto = IPPROTO_UDP,
		.jitter = 6,
		.steps = 2,
		.between = short_between,
		.op = {{OPEN(RACE_C_S), PACKET(RACE_C_S)}, {NOTHING, {.kind = RACE_DELETE}}}};

	(void)state;
	wrong = looked_at = 0;
	BOTH(&t);
	assert_int_equal(wrong, 0);
}

/* Two deletions are one death, two sweeps free one node. */
static void who_deletes_twice_ends_it_once(void **state)
{
	struct race_test t = {.proto = IPPROTO_UDP,
			      .jitter = 3,
			      .steps = 4,
			      .op = {{OPEN(RACE_C_S, .nat = 1),
				      {.kind = RACE_DELETE},
				      NOTHING,
				      {.kind = RACE_VISIT}},
				     {NOTHING,
				      {.kind = RACE_DELETE},
				      {.kind = RACE_AGE, .age = 3 * race_hz},
				      {.kind = RACE_VISIT}}}};

	(void)state;
	BOTH(&t);
}

/* The same with an established connection that is deleted and opened again: the
 * straggler's five days must not go to the newcomer. */
static void a_straggler_does_not_refresh_the_next_life(void **state)
{
	static const struct race_test t = {
		.proto = IPPROTO_TCP,
		.jitter = 5,
		.steps = 4,
		.between = short_between,
		.op = {{SYN(RACE_C_S), NOTHING, ACK(RACE_C_S), ACK(RACE_C_S)},
		       {NOTHING,
			SYNACK(RACE_S_C),
			NOTHING,
			{.kind = RACE_REPLACE,
			 .commit = 1,
			 .tcp_flags = CT_TH_SYN,
			 .seq = 90000}}}};

	(void)state;
	wrong = looked_at = 0;
	BOTH(&t);
	assert_int_equal(wrong, 0);
}

/* ctctl -D and the sweep end a connection and free its node, while its client
 * opens it again, with the same translation. */
static void a_client_may_come_back_while_its_node_is_freed(void **state)
{
	struct race_test t = {.proto = IPPROTO_UDP,
			      .jitter = 5,
			      .steps = 4,
			      .op = {{OPEN(RACE_C_S, .nat = 1), NOTHING, OPEN(RACE_C_S, .nat = 1),
				      PACKET(RACE_S_E)},
				     {NOTHING,
				      {.kind = RACE_DELETE},
				      {.kind = RACE_AGE_VISIT, .age = 2 * race_hz},
				      NOTHING}}};

	(void)state;
	BOTH(&t);
}

static void a_deletion_meets_a_reopening(void **state)
{
	static const struct race_test t = {
		.proto = IPPROTO_UDP,
		.jitter = 5,
		.steps = 3,
		.op = {{OPEN(RACE_C_S, .nat = 1), OPEN(RACE_C_S, .nat = 1),
			OPEN(RACE_C_S, .nat = 1)},
		       {NOTHING, {.kind = RACE_DELETE}, {.kind = RACE_DELETE}}}};

	(void)state;
	BOTH(&t);
}

/* A label set while the other side's packet changes the word: its flag must stay, else nobody
 * would find the label, nor delete it. */
static void want_label(const struct ct_conn *c, uint32_t now)
{
	(void)now;
	if (!round_was_whole(c, 2))
		return;
	looked_at++;
	if (!(ct_w_status(c->word) & CT_S_LABEL) || !(ct_w_status(c->word) & CT_S_SEEN_REPLY))
		wrong++;
}

static void label_between(int family)
{
	each_record(family, want_label);
}

static void a_label_is_not_lost_to_an_answer(void **state)
{
	static const struct race_test t = {.proto = IPPROTO_UDP,
					   .jitter = 4,
					   .steps = 2,
					   .between = label_between,
					   .op = {{OPEN(RACE_C_S), PACKET(RACE_C_S, .label = 1)},
						  {NOTHING, PACKET(RACE_S_C)}}};

	(void)state;
	wrong = looked_at = 0;
	BOTH(&t);
	assert_true(looked_at > 1000);
	assert_int_equal(wrong, 0);
}

/* ctctl -I of a tuple that a packet claims for another connection. */
static void a_record_entered_and_a_claim_exclude_each_other(void **state)
{
	static const struct race_test t = {
		.proto = IPPROTO_UDP,
		.jitter = 6,
		.steps = 2,
		.op = {{OPEN(RACE_C_S, .nat = 1), PACKET(RACE_S_E)},
		       {{.kind = RACE_CREATE, .way = RACE_E_S}, PACKET(RACE_S_E)}}};

	(void)state;
	BOTH(&t);
}

/* ctctl -I meets the death and the sweep of what was there, and a packet that opens it. */
static void a_record_entered_takes_over_once(void **state)
{
	static const struct race_test t = {
		.proto = IPPROTO_UDP,
		.jitter = 4,
		.steps = 3,
		.op = {{OPEN(RACE_C_S), {.kind = RACE_DELETE}, OPEN(RACE_C_S)},
		       {NOTHING,
			{.kind = RACE_CREATE, .way = RACE_C_S},
			{.kind = RACE_CREATE, .way = RACE_C_S}}}};

	(void)state;
	BOTH(&t);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_tuple_committed_twice_is_one_record),
		cmocka_unit_test(both_ends_opening_at_once_is_one_record),
		cmocka_unit_test(one_tuple_translated_twice_keeps_its_stub),
		cmocka_unit_test(a_plain_tuple_and_a_claim_of_it_exclude_each_other),
		cmocka_unit_test(a_claim_wins_though_an_answer_comes),
		cmocka_unit_test(a_reset_is_not_lost_to_a_promotion),
		cmocka_unit_test(a_fin_is_not_lost_to_a_promotion),
		cmocka_unit_test(a_refresh_does_not_outlive_the_death),
		cmocka_unit_test(a_refresh_does_not_outlive_a_deletion),
		cmocka_unit_test(who_deletes_twice_ends_it_once),
		cmocka_unit_test(a_straggler_does_not_refresh_the_next_life),
		cmocka_unit_test(a_client_may_come_back_while_its_node_is_freed),
		cmocka_unit_test(a_deletion_meets_a_reopening),
		cmocka_unit_test(a_label_is_not_lost_to_an_answer),
		cmocka_unit_test(a_record_entered_and_a_claim_exclude_each_other),
		cmocka_unit_test(a_record_entered_takes_over_once),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests_name("ct_race", tests, race_set_up, race_tear_down) ? 1 : 0;
}
