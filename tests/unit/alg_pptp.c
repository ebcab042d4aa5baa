// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* PPTP's parser. Built with ASan and UBSan (Makefile). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <glob.h>
#include <netinet/in.h>
#include <string.h>

#include "tests/alg/pptp_talk.h"

static const struct lab_tuple snat_o = {"10.0.0.2", 50000, "203.0.113.2", 1723};
static const struct lab_tuple snat_r = {"203.0.113.2", 1723, "203.0.113.1", 50000};
static const struct lab_tuple dnat_o = {"198.51.100.9", 50000, "203.0.113.1", 1723};
static const struct lab_tuple dnat_r = {"10.0.0.5", 1723, "198.51.100.9", 50000};
static const struct lab_tuple both_o = {"10.0.0.2", 50000, "203.0.113.1", 1723};
static const struct lab_tuple both_r = {"192.168.1.5", 1723, "203.0.113.1", 50000};
static const struct lab_tuple plain_o = {"10.0.0.2", 50000, "203.0.113.2", 1723};
static const struct lab_tuple plain_r = {"203.0.113.2", 1723, "10.0.0.2", 50000};

static struct lab l;

/* The field of the last message of len bytes that the peer of dir's speaker got. */
static unsigned int got(int dir, size_t len, size_t at)
{
	const uint8_t *b = l.sent[dir] + l.sent_len[dir] - len + at;

	return (unsigned int)(b[0] << 8 | b[1]);
}

static void begin(const struct lab_tuple *o, const struct lab_tuple *r)
{
	lab_begin(&l, ALG_PPTP, IPPROTO_TCP, o, r);
	pptp_start(&l);
	assert_int_equal(l.sent_len[0], 156);
	assert_int_equal(l.sent_len[1], 156);
}

#define CALL_SNAT                                                                                  \
	"expect orig data 10.0.0.2 7 203.0.113.2 900 nat 203.0.113.1 40000 203.0.113.2 900 "       \
	"group 1 for 86400 permanent\n"                                                            \
	"expect reply data 203.0.113.2 900 203.0.113.1 40000 nat 203.0.113.2 900 10.0.0.2 7 "      \
	"group 1 for 86400 permanent\n"

static void a_call_through_snat(void **state)
{
	(void)state;
	begin(&snat_o, &snat_r);
	pptp_ask(&l, CT_ORIG, PPTP_OUT_REQUEST, 7);
	assert_int_equal(got(CT_ORIG, 168, 12), 40000);
	assert_int_equal(lab_port_state(&l, 40000), LAB_RESERVED);
	assert_int_equal(l.expects, 0);
	pptp_answer(&l, CT_REPLY, PPTP_OUT_REPLY, 900, 40000, 1);
	assert_string_equal(l.log, CALL_SNAT);
	assert_int_equal(got(CT_REPLY, 32, 12), 900);
	assert_int_equal(got(CT_REPLY, 32, 14), 7);
	/* the client's id as the server knows it, and the server's own */
	pptp_about(&l, CT_ORIG, PPTP_SET_LINK, 900);
	assert_int_equal(got(CT_ORIG, 24, 12), 900);
	pptp_about(&l, CT_REPLY, PPTP_WAN_ERROR, 40000);
	assert_int_equal(got(CT_REPLY, 40, 12), 7);
	l.log_len = 0;
	pptp_ended(&l, CT_ORIG, PPTP_CLEAR_REQUEST, 7);
	assert_int_equal(got(CT_ORIG, 16, 12), 40000);
	assert_string_equal(l.log, "close 1\n");
	pptp_ended(&l, CT_REPLY, PPTP_DISCONNECT, 900);
	assert_int_equal(got(CT_REPLY, 148, 12), 900);
	assert_string_equal(l.log, "close 1\n");
	lab_end(&l);
	assert_int_equal(l.closes, 1);
}

static void a_server_behind_nat(void **state)
{
	(void)state;
	begin(&dnat_o, &dnat_r);
	pptp_ask(&l, CT_ORIG, PPTP_OUT_REQUEST, 7);
	assert_int_equal(got(CT_ORIG, 168, 12), 7);
	pptp_answer(&l, CT_REPLY, PPTP_OUT_REPLY, 900, 7, 1);
	assert_int_equal(got(CT_REPLY, 32, 12), 40000);
	assert_int_equal(got(CT_REPLY, 32, 14), 7);
	assert_string_equal(l.log,
			    "expect orig data 198.51.100.9 7 203.0.113.1 40000 nat 198.51.100.9 7 "
			    "10.0.0.5 900 group 1 for 86400 permanent\n"
			    "expect reply data 10.0.0.5 900 198.51.100.9 7 nat 203.0.113.1 40000 "
			    "198.51.100.9 7 group 1 for 86400 permanent\n");
	pptp_about(&l, CT_ORIG, PPTP_SET_LINK, 40000);
	assert_int_equal(got(CT_ORIG, 24, 12), 900);
	pptp_ended(&l, CT_REPLY, PPTP_DISCONNECT, 900);
	assert_int_equal(got(CT_REPLY, 148, 12), 40000);
	assert_int_equal(l.closes, 1);
	lab_end(&l);
}

static void both_translated(void **state)
{
	(void)state;
	begin(&both_o, &both_r);
	pptp_ask(&l, CT_ORIG, PPTP_OUT_REQUEST, 7);
	pptp_answer(&l, CT_REPLY, PPTP_OUT_REPLY, 900, 40000, 1);
	assert_int_equal(got(CT_REPLY, 32, 12), 40002);
	assert_int_equal(got(CT_REPLY, 32, 14), 7);
	assert_string_equal(l.log,
			    "expect orig data 10.0.0.2 7 203.0.113.1 40002 nat 203.0.113.1 40000 "
			    "192.168.1.5 900 group 1 for 86400 permanent\n"
			    "expect reply data 192.168.1.5 900 203.0.113.1 40000 nat 203.0.113.1 "
			    "40002 10.0.0.2 7 group 1 for 86400 permanent\n");
	lab_end(&l);
	assert_int_equal(l.closes, 1);
}

static void nothing_is_edited_without_nat(void **state)
{
	(void)state;
	begin(&plain_o, &plain_r);
	pptp_ask(&l, CT_ORIG, PPTP_OUT_REQUEST, 7);
	pptp_answer(&l, CT_REPLY, PPTP_OUT_REPLY, 900, 7, 1);
	assert_int_equal(got(CT_ORIG, 168, 12), 7);
	assert_int_equal(got(CT_REPLY, 32, 14), 7);
	assert_int_equal(l.expects, 2);
	assert_int_equal(l.n_ports, 0);
	lab_end(&l);
}

/* pptpd's first call has the id 0. */
static void an_answer_with_id_0(void **state)
{
	(void)state;
	begin(&snat_o, &snat_r);
	pptp_ask(&l, CT_ORIG, PPTP_OUT_REQUEST, 7);
	pptp_answer(&l, CT_REPLY, PPTP_OUT_REPLY, 0, 40000, 1);
	assert_int_equal(got(CT_REPLY, 32, 12), 0);
	assert_int_equal(got(CT_REPLY, 32, 14), 7);
	assert_string_equal(l.log,
			    "expect orig data 10.0.0.2 7 203.0.113.2 * nat 203.0.113.1 40000 "
			    "203.0.113.2 * group 1 for 86400 permanent\n"
			    "expect reply data 203.0.113.2 * 203.0.113.1 40000 nat 203.0.113.2 * "
			    "10.0.0.2 7 group 1 for 86400 permanent\n");
	pptp_about(&l, CT_ORIG, PPTP_SET_LINK, 0);
	assert_int_equal(got(CT_ORIG, 24, 12), 0);
	pptp_ended(&l, CT_ORIG, PPTP_CLEAR_REQUEST, 7);
	pptp_ended(&l, CT_REPLY, PPTP_DISCONNECT, 0);
	assert_int_equal(l.closes, 1);
	for (unsigned int i = 0; i < ALG_R_COUNT; i++)
		assert_int_equal(l.count[i], 0);
	lab_end(&l);
	/* behind NAT it is shown as another */
	begin(&dnat_o, &dnat_r);
	l.keep = true;
	pptp_ask(&l, CT_ORIG, PPTP_OUT_REQUEST, 7);
	pptp_answer(&l, CT_REPLY, PPTP_OUT_REPLY, 0, 7, 1);
	assert_int_equal(got(CT_REPLY, 32, 12), 40000);
	pptp_about(&l, CT_ORIG, PPTP_SET_LINK, 40000);
	assert_int_equal(got(CT_ORIG, 24, 12), 0);
	pptp_ended(&l, CT_REPLY, PPTP_DISCONNECT, 0);
	assert_int_equal(got(CT_REPLY, 148, 12), 40000);
	assert_int_equal(l.closes, 1);
	lab_end(&l);
}

/* With two ids of 0 a call would look like GRE that goes by address. */
static void an_asker_with_id_0(void **state)
{
	(void)state;
	for (int zero = 0; zero < 2; zero++)
		for (int nat = 0; nat < 2; nat++) {
			unsigned int id = zero ? 0 : 900;

			begin(nat ? &snat_o : &plain_o, nat ? &snat_r : &plain_r);
			pptp_ask(&l, CT_ORIG, PPTP_OUT_REQUEST, 0);
			assert_int_equal(got(CT_ORIG, 168, 12), 40000);
			pptp_answer(&l, CT_REPLY, PPTP_OUT_REPLY, id, 40000, 1);
			assert_int_equal(got(CT_REPLY, 32, 12), zero ? 40002 : 900);
			assert_int_equal(got(CT_REPLY, 32, 14), 0);
			assert_int_equal(l.expects, 2);
			pptp_about(&l, CT_ORIG, PPTP_SET_LINK, zero ? 40002 : 900);
			assert_int_equal(got(CT_ORIG, 24, 12), id);
			pptp_ended(&l, CT_ORIG, PPTP_CLEAR_REQUEST, 0);
			assert_int_equal(got(CT_ORIG, 16, 12), 40000);
			pptp_ended(&l, CT_REPLY, PPTP_DISCONNECT, id);
			assert_int_equal(got(CT_REPLY, 148, 12), zero ? 40002 : 900);
			assert_int_equal(l.closes, 1);
			lab_end(&l);
		}
	/* given up before the answer: its id goes back */
	begin(&plain_o, &plain_r);
	pptp_ask(&l, CT_ORIG, PPTP_OUT_REQUEST, 0);
	pptp_ended(&l, CT_ORIG, PPTP_CLEAR_REQUEST, 0);
	assert_int_equal(lab_port_state(&l, 40000), LAB_FREE);
	pptp_ended(&l, CT_REPLY, PPTP_DISCONNECT, 0);
	assert_int_equal(l.count[ALG_R_UNASKED], 1);
	lab_end(&l);
}

static void the_same_id_is_kept_where_it_is_free(void **state)
{
	(void)state;
	begin(&snat_o, &snat_r);
	l.keep = true;
	pptp_ask(&l, CT_ORIG, PPTP_OUT_REQUEST, 7);
	assert_int_equal(got(CT_ORIG, 168, 12), 7);
	assert_int_equal(lab_port_state(&l, 7), LAB_RESERVED);
	lab_end(&l);
}

static void an_incoming_call(void **state)
{
	(void)state;
	begin(&snat_o, &snat_r);
	pptp_ask(&l, CT_REPLY, PPTP_IN_REQUEST, 900);
	assert_int_equal(got(CT_REPLY, 220, 12), 900);
	pptp_answer(&l, CT_ORIG, PPTP_IN_REPLY, 7, 900, 1);
	assert_int_equal(got(CT_ORIG, 24, 12), 40000);
	assert_int_equal(got(CT_ORIG, 24, 14), 900);
	assert_string_equal(l.log, CALL_SNAT);
	pptp_about(&l, CT_REPLY, PPTP_IN_CONNECTED, 40000);
	assert_int_equal(got(CT_REPLY, 28, 12), 7);
	lab_end(&l);
}

/* The answer comes all the same, but nobody wants the call any more. */
static void given_up_before_the_answer(void **state)
{
	(void)state;
	begin(&snat_o, &snat_r);
	pptp_ask(&l, CT_ORIG, PPTP_OUT_REQUEST, 7);
	pptp_ended(&l, CT_ORIG, PPTP_CLEAR_REQUEST, 7);
	assert_int_equal(lab_port_state(&l, 40000), LAB_FREE);
	pptp_answer(&l, CT_REPLY, PPTP_OUT_REPLY, 900, 40000, 1);
	assert_int_equal(got(CT_REPLY, 32, 14), 7);
	assert_int_equal(l.expects, 0);
	assert_int_equal(l.count[ALG_R_STALE], 1);
	lab_end(&l);
}

static void the_control_connection_takes_its_calls_along(void **state)
{
	(void)state;
	for (int how = 0; how < 4; how++) {
		begin(&snat_o, &snat_r);
		pptp_ask(&l, CT_ORIG, PPTP_OUT_REQUEST, 7);
		pptp_answer(&l, CT_REPLY, PPTP_OUT_REPLY, 900, 40000, 1);
		pptp_ask(&l, CT_ORIG, PPTP_OUT_REQUEST, 8);
		assert_int_equal(l.closes, 0);
		if (how == 0)
			pptp_say(&l, CT_ORIG, PPTP_STOP_REQUEST);
		else if (how == 1)
			lab_feed(&l, CT_REPLY, "", 0, ALG_F_EOF);
		else if (how == 2)
			lab_feed(&l, CT_ORIG, "\0\20\0\1GET ", 8, 0);
		lab_end(&l);
		assert_int_equal(l.closes, 1);
		assert_int_equal(l.count[ALG_R_FRAMING], how == 2);
	}
}

static void a_long_call_is_announced_again(void **state)
{
	(void)state;
	begin(&snat_o, &snat_r);
	pptp_ask(&l, CT_ORIG, PPTP_OUT_REQUEST, 7);
	pptp_answer(&l, CT_REPLY, PPTP_OUT_REPLY, 900, 40000, 1);
	l.now += 43199;
	pptp_say(&l, CT_ORIG, PPTP_ECHO_REQUEST);
	assert_int_equal(l.expects, 2);
	l.now++;
	pptp_say(&l, CT_REPLY, PPTP_ECHO_REPLY);
	assert_int_equal(l.expects, 4);
	pptp_say(&l, CT_REPLY, PPTP_ECHO_REPLY);
	assert_int_equal(l.expects, 4);
	lab_end(&l);
}

/* 32 calls asked for; one more is none of ours, until the first are a minute old. */
static void calls_have_a_limit(void **state)
{
	(void)state;
	begin(&snat_o, &snat_r);
	for (unsigned int i = 1; i <= 40; i++)
		pptp_ask(&l, CT_ORIG, PPTP_OUT_REQUEST, i);
	assert_int_equal(l.count[ALG_R_FLOOD], 8);
	assert_int_equal(got(CT_ORIG, 168, 12), 40);
	pptp_answer(&l, CT_REPLY, PPTP_OUT_REPLY, 900, 40, 1);
	assert_int_equal(l.expects, 0);
	assert_int_equal(l.count[ALG_R_UNASKED], 1);
	l.now += 61;
	pptp_ask(&l, CT_ORIG, PPTP_OUT_REQUEST, 41);
	assert_int_equal(l.count[ALG_R_FLOOD], 8);
	assert_int_equal(lab_port_state(&l, 40000), LAB_FREE);
	lab_end(&l);
}

static void no_id_is_to_be_had(void **state)
{
	(void)state;
	begin(&snat_o, &snat_r);
	l.exhausted = true;
	pptp_ask(&l, CT_ORIG, PPTP_OUT_REQUEST, 7);
	assert_int_equal(got(CT_ORIG, 168, 12), 7);
	assert_int_equal(l.count[ALG_R_NO_PORT], 1);
	pptp_answer(&l, CT_REPLY, PPTP_OUT_REPLY, 900, 7, 1);
	assert_int_equal(l.expects, 0);
	lab_end(&l);
	/* the answerer's */
	begin(&dnat_o, &dnat_r);
	l.exhausted = true;
	pptp_ask(&l, CT_ORIG, PPTP_OUT_REQUEST, 7);
	pptp_answer(&l, CT_REPLY, PPTP_OUT_REPLY, 900, 7, 1);
	assert_int_equal(l.count[ALG_R_NO_PORT], 1);
	assert_int_equal(l.expects, 0);
	lab_end(&l);
}

/* After a good start; what is said must open nothing. */
struct refusal {
	const char *name;
	void (*say)(void);
	enum alg_reason why;
};

static void ask7(void)
{
	pptp_ask(&l, CT_ORIG, PPTP_OUT_REQUEST, 7);
}
static void asked_twice(void)
{
	ask7();
	ask7();
	assert_int_equal(got(CT_ORIG, 168, 12), 40000);
}
static void result_2(void)
{
	ask7();
	pptp_answer(&l, CT_REPLY, PPTP_OUT_REPLY, 0, 40000, 2);
	assert_int_equal(got(CT_REPLY, 32, 14), 7);
	assert_int_equal(lab_port_state(&l, 40000), LAB_FREE);
}
static void result_0(void)
{
	ask7();
	pptp_answer(&l, CT_REPLY, PPTP_OUT_REPLY, 900, 40000, 0);
}
static void answer_to_nothing(void)
{
	pptp_answer(&l, CT_REPLY, PPTP_OUT_REPLY, 900, 40000, 1);
}
static void answer_to_the_inside_id(void)
{
	ask7();
	pptp_answer(&l, CT_REPLY, PPTP_OUT_REPLY, 900, 7, 1);
}
static void answer_to_oneself(void)
{
	ask7();
	pptp_answer(&l, CT_ORIG, PPTP_OUT_REPLY, 900, 40000, 1);
}
static void answer_of_another_kind(void)
{
	ask7();
	pptp_answer(&l, CT_REPLY, PPTP_IN_REPLY, 900, 40000, 1);
}
static void cleared_by_an_unknown_id(void)
{
	ask7();
	pptp_ended(&l, CT_ORIG, PPTP_CLEAR_REQUEST, 8);
	pptp_ended(&l, CT_REPLY, PPTP_DISCONNECT, 0);
	assert_int_equal(l.count[ALG_R_UNASKED], 2);
	l.count[ALG_R_UNASKED] = 1;
}
static void short_request(void)
{
	pptp_raw(&l, CT_ORIG, PPTP_OUT_REQUEST, 32, 7);
}
static void long_answer(void)
{
	ask7();
	pptp_raw(&l, CT_REPLY, PPTP_OUT_REPLY, 40, 900);
}
static void type_16(void)
{
	pptp_raw(&l, CT_ORIG, 16, 24, 7);
}
static void after_stop(void)
{
	pptp_say(&l, CT_REPLY, PPTP_STOP_REQUEST);
	ask7();
}

static struct refusal refusals[] = {
	{"the_same_call_asked_for_twice", asked_twice, ALG_R_STALE},
	{"a_result_that_is_not_1", result_2, ALG_R_REFUSED},
	{"a_result_of_0", result_0, ALG_R_REFUSED},
	{"an_answer_that_nobody_asked_for", answer_to_nothing, ALG_R_UNASKED},
	{"an_answer_to_an_id_that_the_peer_cannot_know", answer_to_the_inside_id, ALG_R_UNASKED},
	{"an_answer_to_ones_own_request", answer_to_oneself, ALG_R_UNASKED},
	{"an_answer_of_the_other_kind", answer_of_another_kind, ALG_R_UNASKED},
	{"a_call_cleared_by_an_unknown_id", cleared_by_an_unknown_id, ALG_R_UNASKED},
	{"a_request_too_short_for_its_type", short_request, ALG_R_SYNTAX},
	{"an_answer_too_long_for_its_type", long_answer, ALG_R_SYNTAX},
	{"a_type_that_there_is_not", type_16, ALG_R_SYNTAX},
	{"a_call_after_the_stop", after_stop, ALG_R_UNASKED},
};

static void refused(void **state)
{
	const struct refusal *c = *state;

	begin(&snat_o, &snat_r);
	c->say();
	assert_int_equal(l.expects, 0);
	assert_int_equal(l.count[c->why], 1);
	assert_false(l.off);
	lab_end(&l);
	assert_int_equal(l.closes, 0);
}

/* The server names an id that it has given to another call of this connection. */
static void two_calls_of_one_server_id(void **state)
{
	(void)state;
	begin(&snat_o, &snat_r);
	ask7();
	pptp_answer(&l, CT_REPLY, PPTP_OUT_REPLY, 900, 40000, 1);
	pptp_ask(&l, CT_ORIG, PPTP_OUT_REQUEST, 8);
	pptp_answer(&l, CT_REPLY, PPTP_OUT_REPLY, 900, 40002, 1);
	assert_int_equal(l.expects, 2);
	assert_int_equal(l.count[ALG_R_AMBIGUOUS], 1);
	/* and an answer that comes again opens no second call */
	pptp_answer(&l, CT_REPLY, PPTP_OUT_REPLY, 901, 40000, 1);
	assert_int_equal(l.expects, 2);
	assert_int_equal(l.count[ALG_R_STALE], 1);
	lab_end(&l);
}

static void no_call_before_the_connection_is_agreed_upon(void **state)
{
	(void)state;
	lab_begin(&l, ALG_PPTP, IPPROTO_TCP, &snat_o, &snat_r);
	pptp_say(&l, CT_ORIG, PPTP_START_REQUEST);
	ask7();
	pptp_started(&l, 2);
	ask7();
	assert_int_equal(l.count[ALG_R_UNASKED], 2);
	assert_int_equal(got(CT_ORIG, 168, 12), 7);
	lab_end(&l);
}

static void first_bytes_of_another_protocol(void **state)
{
	static const struct {
		int dir;
		const char *bytes;
		size_t len;
	} first[] = {
		{CT_ORIG, "GET / HTTP/1.1\r\n\r\n", 18},
		{CT_ORIG, "\0", 1}, /* may be the beginning */
		{CT_ORIG, "\0\234\0\1\032\053\074\115\0\002", 10},
		{CT_ORIG, "\0\234\0\1\032\053\074\114", 8},
		{CT_ORIG, "\0\234\0\2", 4},
		{CT_REPLY, "SSH-2.0-x\r\n", 11},
		{CT_REPLY, "\0\234\0\1\032\053\074\115\0\001", 10},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++) {
		lab_begin(&l, ALG_PPTP, IPPROTO_TCP, &snat_o, &snat_r);
		lab_feed(&l, first[i].dir, first[i].bytes, first[i].len, 0);
		assert_int_equal(l.off, i != 1);
		assert_int_equal(l.count[ALG_R_NOT_PROTOCOL], i != 1);
		assert_int_equal(l.sent_len[first[i].dir], i == 1 ? 0 : first[i].len);
		lab_end(&l);
	}
}

/* Whole exchanges of a call, whole and cut at every byte. */
static void exchanges_cut_anywhere(void **state)
{
	glob_t g;

	(void)state;
	assert_int_equal(glob("tests/alg/corpus/pptp-*.txt", 0, NULL, &g), 0);
	for (size_t i = 0; i < g.gl_pathc; i++) {
		struct lab_script s;

		lab_script_read(&s, g.gl_pathv[i]);
		lab_play(&l, &s, ALG_PPTP);
		if (l.expects != 2 || l.closes != 1 || l.off)
			fail_msg("%s: %u expectations, %u closed", g.gl_pathv[i], l.expects,
				 l.closes);
		lab_end(&l);
		lab_play_split(&l, &s, ALG_PPTP);
		lab_script_free(&s);
	}
	globfree(&g);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_call_through_snat),
		cmocka_unit_test(a_server_behind_nat),
		cmocka_unit_test(both_translated),
		cmocka_unit_test(nothing_is_edited_without_nat),
		cmocka_unit_test(the_same_id_is_kept_where_it_is_free),
		cmocka_unit_test(an_incoming_call),
		cmocka_unit_test(an_answer_with_id_0),
		cmocka_unit_test(an_asker_with_id_0),
		cmocka_unit_test(given_up_before_the_answer),
		cmocka_unit_test(the_control_connection_takes_its_calls_along),
		cmocka_unit_test(a_long_call_is_announced_again),
		cmocka_unit_test(calls_have_a_limit),
		cmocka_unit_test(no_id_is_to_be_had),
		cmocka_unit_test(two_calls_of_one_server_id),
		cmocka_unit_test(no_call_before_the_connection_is_agreed_upon),
		cmocka_unit_test(first_bytes_of_another_protocol),
		cmocka_unit_test(exchanges_cut_anywhere),
	};
	struct CMUnitTest cases[sizeof(refusals) / sizeof(refusals[0])];
	int failed;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cases[i] = (struct CMUnitTest){refusals[i].name, refused, NULL, NULL, &refusals[i]};
	failed = cmocka_run_group_tests_name("alg_pptp", tests, NULL, NULL);
	return (failed + cmocka_run_group_tests_name("alg_pptp_refused", cases, NULL, NULL)) != 0;
}
