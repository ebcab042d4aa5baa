// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* FTP's parser: what it does not believe. Built with ASan and UBSan (Makefile). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/alg/ftp_talk.h"

static void first_bytes_that_are_not_ftp(void **state)
{
	static const char *const texts[] = {
		"POST / HTTP/1.1\r\nHost: x\r\n\r\nPORT 10,0,0,2,200,10\r\n",
		"GET / HTTP/1.0\r\nPORT 10,0,0,2,200,10\r\n",
		"PORTAL 10,0,0,2,200,10\r\n",
		"\x16\x03\x01\x02\r\nPORT 10,0,0,2,200,10\r\n",
		"\r\nPORT 10,0,0,2,200,10\r\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		raw_begin(&snat_o, &snat_r);
		server("220 ready\r\n");
		client(texts[i]);
		server("200 ok\r\n200 ok\r\n200 ok\r\n");
		assert_true(l.off);
		nothing_granted(ALG_R_NOT_PROTOCOL);
	}
	raw_begin(&snat_o, &snat_r);
	server("HTTP/1.1 200 OK\r\n");
	nothing_granted(ALG_R_NOT_PROTOCOL);
}

static void a_client_that_speaks_before_the_banner(void **state)
{
	(void)state;
	raw_begin(&snat_o, &snat_r);
	client("PORT 10,0,0,2,200,10\r\n");
	server("220 ready\r\n200 ok\r\n");
	nothing_granted(ALG_R_EARLY);
}

struct refusal {
	const char *name, *command, *reply;
	enum alg_reason why;
};

/* Nothing is granted, nothing edited, and the next announcement works. */
static void refused(void **state)
{
	const struct refusal *c = *state;

	login(&snat_o, &snat_r);
	client(c->command);
	peer_got(CT_ORIG, c->command);
	forget_sent();
	server(c->reply);
	peer_got(CT_REPLY, c->reply);
	if (l.expects || l.count[c->why] != 1)
		fail_msg("%u expectations, %s counted %u times", l.expects, alg_reason_name(c->why),
			 l.count[c->why]);
	client("PORT 10,0,0,2,200,10\r\n");
	server("200 ok\r\n");
	assert_int_equal(l.expects, 1);
	lab_end(&l);
}

#define P "200 ok\r\n"
static struct refusal refusals[] = {
	{"port_of_another_host", "PORT 10,0,0,3,200,10\r\n", P, ALG_R_OTHER_HOST},
	{"port_of_the_server", "PORT 203,0,113,2,200,10\r\n", P, ALG_R_OTHER_HOST},
	{"eprt_of_another_host", "EPRT |1|10.0.0.3|5000|\r\n", P, ALG_R_OTHER_HOST},
	{"eprt_of_another_family", "EPRT |2|::1|5000|\r\n", P, ALG_R_OTHER_HOST},
	{"eprt_says_v4_for_v6", "EPRT |1|::1|5000|\r\n", P, ALG_R_SYNTAX},
	{"pasv_bounce", "PASV\r\n", "227 (192,0,2,9,200,10)\r\n", ALG_R_OTHER_HOST},
	{"pasv_to_the_client", "PASV\r\n", "227 (10,0,0,2,200,10)\r\n", ALG_R_OTHER_HOST},
	{"port_under_1024", "PORT 10,0,0,2,3,255\r\n", P, ALG_R_PORT_LOW},
	{"port_0", "PORT 10,0,0,2,0,0\r\n", P, ALG_R_PORT_LOW},
	{"port_22", "PORT 10,0,0,2,0,22\r\n", P, ALG_R_PORT_LOW},
	{"eprt_under_1024", "EPRT |1|10.0.0.2|1023|\r\n", P, ALG_R_PORT_LOW},
	{"pasv_under_1024", "PASV\r\n", "227 (203,0,113,2,0,25)\r\n", ALG_R_PORT_LOW},
	{"epsv_under_1024", "EPSV\r\n", "229 (|||443|)\r\n", ALG_R_PORT_LOW},
	{"number_256", "PORT 10,0,0,2,256,10\r\n", P, ALG_R_RANGE},
	{"number_4294967306", "PORT 4294967306,0,0,2,200,10\r\n", P, ALG_R_RANGE},
	{"number_of_four_digits", "PORT 0010,0,0,2,200,10\r\n", P, ALG_R_RANGE},
	{"eprt_65536", "EPRT |1|10.0.0.2|65536|\r\n", P, ALG_R_RANGE},
	{"eprt_116746", "EPRT |1|10.0.0.2|116746|\r\n", P, ALG_R_RANGE},
	{"pasv_999", "PASV\r\n", "227 (203,0,113,2,999,10)\r\n", ALG_R_RANGE},
	{"epsv_70000", "EPSV\r\n", "229 (|||70000|)\r\n", ALG_R_RANGE},
	{"five_numbers", "PORT 10,0,0,2,200\r\n", P, ALG_R_SYNTAX},
	{"seven_numbers", "PORT 10,0,0,2,200,10,3\r\n", P, ALG_R_SYNTAX},
	{"a_negative_number", "PORT 10,0,0,2,-200,10\r\n", P, ALG_R_SYNTAX},
	{"no_argument", "PORT\r\n", P, ALG_R_SYNTAX},
	{"words_behind", "PORT 10,0,0,2,200,10 x\r\n", P, ALG_R_SYNTAX},
	{"eprt_cut", "EPRT |1|10.0.0.2|5000\r\n", P, ALG_R_SYNTAX},
	{"eprt_family_3", "EPRT |3|10.0.0.2|5000|\r\n", P, ALG_R_SYNTAX},
	{"pasv_without_numbers", "PASV\r\n", "227 yes\r\n", ALG_R_SYNTAX},
	{"pasv_seven_numbers", "PASV\r\n", "227 (203,0,113,2,200,10,1)\r\n", ALG_R_SYNTAX},
	{"epsv_with_an_address", "EPSV\r\n", "229 (|1|203.0.113.2|5000|)\r\n", ALG_R_SYNTAX},
	{"pasv_two_addresses", "PASV\r\n", "227 (203,0,113,2,200,10) 203,0,113,2,200,11\r\n",
	 ALG_R_AMBIGUOUS},
	{"epsv_two_ports", "EPSV\r\n", "229 (|||5000|) (|||5001|)\r\n", ALG_R_AMBIGUOUS},
	{"bare_cr", "PORT 10,0,0,2,200,10\rx\r\n", P, ALG_R_BARE_CR},
	{"bare_cr_in_a_reply", "PASV\r\n", "227 \r(203,0,113,2,200,10)\r\n", ALG_R_BARE_CR},
	{"pasv_answered_with_229", "PASV\r\n", "229 (|||5000|)\r\n", ALG_R_UNASKED},
	{"epsv_answered_with_227", "EPSV\r\n", "227 (203,0,113,2,200,10)\r\n", ALG_R_UNASKED},
	{"a_227_to_nothing", "NOOP\r\n", "200 ok\r\n227 (203,0,113,2,200,10)\r\n", ALG_R_UNASKED},
};

static void port_refused_by_the_server_is_given_back(void **state)
{
	(void)state;
	login(&snat_o, &snat_r);
	client("PORT 10,0,0,2,200,10\r\n");
	server("530 Please login\r\n");
	assert_int_equal(lab_port_state(&l, 40000), LAB_FREE);
	nothing_granted(ALG_R_REFUSED);
}

static void a_second_answer_to_one_pasv(void **state)
{
	(void)state;
	login(&dnat_o, &dnat_r);
	client("PASV\r\n");
	server("227 (10,0,0,5,200,10)\r\n227 (10,0,0,5,200,11)\r\n");
	assert_int_equal(l.expects, 1);
	assert_int_equal(l.count[ALG_R_UNASKED], 1);
	lab_end(&l);
}

static void nul_in_an_announcement(void **state)
{
	(void)state;
	login(&snat_o, &snat_r);
	lab_feed(&l, CT_ORIG, "PORT 10,0,0,2,200,10\0\r\n", 23, 0);
	server("200 ok\r\n");
	nothing_granted(ALG_R_NUL);
}

static void oversized_lines_pass_and_count_once(void **state)
{
	char line[3000];

	(void)state;
	login(&snat_o, &snat_r);
	memset(line, ' ', sizeof(line));
	memcpy(line, "PORT", 4);
	memcpy(line + sizeof(line) - 23, " 10,0,0,2,200,10\r\n", 18);
	line[sizeof(line) - 6] = '\r';
	line[sizeof(line) - 5] = '\n';
	for (size_t i = 0; i < sizeof(line); i += 100)
		lab_feed(&l, CT_ORIG, line + i, 100, 0);
	assert_int_equal(l.sent_len[0] - seen_len[0] + l.held_len[0], sizeof(line));
	server("200 ok\r\n");
	nothing_granted(ALG_R_LINE_LONG);
	/* one that never ends is not kept either */
	login(&snat_o, &snat_r);
	for (int i = 0; i < 1000; i++)
		lab_feed(&l, CT_ORIG, line, 100, 0);
	assert_true(l.held_len[0] < 512);
	assert_int_equal(l.expects, 0);
	lab_end(&l);
}

static void endless_commands_without_replies(void **state)
{
	(void)state;
	login(&snat_o, &snat_r);
	for (int i = 0; i < 64; i++)
		client("PORT 10,0,0,2,200,10\r\n");
	assert_false(l.off);
	forget_sent();
	client("PORT 10,0,0,2,200,10\r\n");
	peer_got(CT_ORIG, "PORT 10,0,0,2,200,10\r\n");
	assert_true(l.off);
	nothing_granted(ALG_R_PIPELINE);
}

static void no_port_to_be_had(void **state)
{
	(void)state;
	login(&snat_o, &snat_r);
	l.exhausted = true;
	client("PORT 10,0,0,2,200,10\r\n");
	peer_got(CT_ORIG, "PORT 10,0,0,2,200,10\r\n");
	server("200 ok\r\n");
	nothing_granted(ALG_R_NO_PORT);
}

static void a_line_cut_by_the_end_is_passed(void **state)
{
	(void)state;
	login(&snat_o, &snat_r);
	lab_feed(&l, CT_ORIG, "PORT 10,0,0,2,200,10", 20, ALG_F_EOF);
	peer_got(CT_ORIG, "PORT 10,0,0,2,200,10");
	assert_int_equal(l.expects, 0);
	lab_end(&l);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_bytes_that_are_not_ftp),
		cmocka_unit_test(a_client_that_speaks_before_the_banner),
		cmocka_unit_test(port_refused_by_the_server_is_given_back),
		cmocka_unit_test(a_second_answer_to_one_pasv),
		cmocka_unit_test(nul_in_an_announcement),
		cmocka_unit_test(oversized_lines_pass_and_count_once),
		cmocka_unit_test(endless_commands_without_replies),
		cmocka_unit_test(no_port_to_be_had),
		cmocka_unit_test(a_line_cut_by_the_end_is_passed),
	};
	struct CMUnitTest cases[sizeof(refusals) / sizeof(refusals[0])];
	int failed;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cases[i] = (struct CMUnitTest){refusals[i].name, refused, NULL, NULL, &refusals[i]};
	failed = cmocka_run_group_tests_name("alg_ftp_refused", tests, NULL, NULL);
	return (failed + cmocka_run_group_tests_name("alg_ftp_refused_each", cases, NULL, NULL)) !=
	       0;
}
