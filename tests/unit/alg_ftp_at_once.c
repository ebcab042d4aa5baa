// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * FTP's parser where the consumer has servers that connect before they answer a PORT
 * (alg_ops.port_at_once): what is expected, and what becomes of it when the server refuses.
 * Built with ASan and UBSan (Makefile).
 */
#include "tests/alg/ftp_talk.h"

static void login_at_once(void)
{
	login(&snat_o, &snat_r);
	l.ops.port_at_once = true;
}

static void port_is_expected_when_it_is_passed_on(void **state)
{
	(void)state;
	login_at_once();
	client("PORT 10,0,0,2,200,10\r\n");
	peer_got(CT_ORIG, "PORT 203,0,113,1,156,64\r\n");
	assert_int_equal(l.expects, 1);
	server("200 PORT command successful\r\n");
	log_is("expect reply data 203.0.113.2 * 203.0.113.1 40000 nat 203.0.113.2 * 10.0.0.2 51210 "
	       "group 1 for 30\n");
}

static void a_newer_port_takes_the_olders_place_before_any_answer(void **state)
{
	(void)state;
	login_at_once();
	client("PORT 10,0,0,2,200,10\r\nLIST\r\nEPRT |1|10.0.0.2|51211|\r\n");
	server("200 port\r\n150 list\r\n226 done\r\n200 port\r\n");
	log_is("expect reply data 203.0.113.2 * 203.0.113.1 40000 nat 203.0.113.2 * 10.0.0.2 51210 "
	       "group 1 for 30\nwithdraw 1\n"
	       "expect reply data 203.0.113.2 * 203.0.113.1 40002 nat 203.0.113.2 * 10.0.0.2 51211 "
	       "group 2 for 30\n");
}

static void what_the_server_refuses_is_withdrawn(void **state)
{
	(void)state;
	login_at_once();
	client("PORT 10,0,0,2,200,10\r\n");
	server("530 Please login\r\n");
	assert_int_equal(l.expects, 1);
	assert_int_equal(l.withdraws, 1); /* and with it the port goes back */
	assert_int_equal(l.count[ALG_R_REFUSED], 1);
	lab_end(&l);
	assert_int_equal(l.withdraws, 1);
}

static void before_login_a_port_waits_for_its_answer(void **state)
{
	(void)state;
	raw_begin(&snat_o, &snat_r);
	l.ops.port_at_once = true;
	server("220 ready\r\n");
	client("PORT 10,0,0,2,200,10\r\n");
	assert_int_equal(l.expects, 0);
	server("530 Please login\r\n");
	assert_int_equal(lab_port_state(&l, 40000), LAB_FREE);
	assert_int_equal(l.expects, 0);
	client("PORT 10,0,0,2,200,10\r\n");
	server("200 ok\r\n");
	assert_int_equal(l.expects, 1);
	lab_end(&l);
}

static void a_pasv_after_a_refused_port(void **state)
{
	(void)state;
	login_at_once();
	client("PORT 10,0,0,2,200,10\r\nPASV\r\n");
	server("500 no\r\n");
	assert_int_equal(l.withdraws, 1);
	server("227 (203,0,113,2,200,10)\r\n");
	assert_int_equal(l.expects, 2);
	assert_int_equal(l.withdraws, 1); /* the first was gone already */
	lab_end(&l);
}

static void commands_that_nobody_answers_leave_nothing_open(void **state)
{
	(void)state;
	login_at_once();
	for (int i = 0; i < 65; i++)
		client("PORT 10,0,0,2,200,10\r\n");
	assert_true(l.off);
	assert_int_equal(l.count[ALG_R_PIPELINE], 1);
	assert_int_equal(l.expects, 64);
	assert_int_equal(l.withdraws, 64);
	lab_end(&l);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(port_is_expected_when_it_is_passed_on),
		cmocka_unit_test(a_newer_port_takes_the_olders_place_before_any_answer),
		cmocka_unit_test(what_the_server_refuses_is_withdrawn),
		cmocka_unit_test(before_login_a_port_waits_for_its_answer),
		cmocka_unit_test(a_pasv_after_a_refused_port),
		cmocka_unit_test(commands_that_nobody_answers_leave_nothing_open),
	};

	return cmocka_run_group_tests_name("alg_ftp_at_once", tests, NULL, NULL) != 0;
}
