// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* FTP's parser: what it grants and what it edits. Built with ASan and UBSan (Makefile). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <glob.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/alg/ftp_talk.h"

static void port_through_snat(void **state)
{
	(void)state;
	login(&snat_o, &snat_r);
	client("PORT 10,0,0,2,200,10\r\n");
	peer_got(CT_ORIG, "PORT 203,0,113,1,156,64\r\n");
	assert_int_equal(l.expects, 0); /* the server has not agreed */
	server("200 PORT command successful\r\n");
	log_is("expect reply data 203.0.113.2 * 203.0.113.1 40000 nat 203.0.113.2 * 10.0.0.2 51210 "
	       "group 1 for 30\n");
}

static void port_in_lower_case_with_blanks_and_a_bare_line_feed(void **state)
{
	(void)state;
	login(&snat_o, &snat_r);
	client("port   10,0,0,2,200,10  \n");
	peer_got(CT_ORIG, "port   203,0,113,1,156,64  \n");
	server("200 ok\n");
	assert_int_equal(l.expects, 1);
	lab_end(&l);
}

static void port_keeps_its_number_where_it_is_free(void **state)
{
	(void)state;
	login(&snat_o, &snat_r);
	l.keep = true;
	client("PORT 10,0,0,2,200,10\r\n");
	peer_got(CT_ORIG, "PORT 203,0,113,1,200,10\r\n");
	server("200 ok\r\n");
	log_is("expect reply data 203.0.113.2 * 203.0.113.1 51210 nat 203.0.113.2 * 10.0.0.2 51210 "
	       "group 1 for 30\n");
}

static void port_without_nat_is_not_edited(void **state)
{
	(void)state;
	login(&plain_o, &plain_r);
	client("PORT 10,0,0,2,200,10\r\n");
	peer_got(CT_ORIG, "PORT 10,0,0,2,200,10\r\n");
	server("200 ok\r\n");
	log_is("expect reply data 10.0.1.2 * 10.0.0.2 51210 nat 10.0.1.2 * 10.0.0.2 51210 group 1 "
	       "for "
	       "30\n");
}

static void port_with_both_sides_translated(void **state)
{
	(void)state;
	login(&both_o, &both_r);
	client("PORT 10,0,0,2,200,10\r\n");
	peer_got(CT_ORIG, "PORT 203,0,113,77,156,64\r\n");
	server("200 ok\r\n");
	log_is("expect reply data 10.9.0.5 * 203.0.113.77 40000 nat 203.0.113.1 * 10.0.0.2 51210 "
	       "group 1 for 30\n");
}

static void eprt_of_both_families(void **state)
{
	(void)state;
	login(&six_o, &six_r);
	client("EPRT |2|fd00:1::2|51210|\r\n");
	peer_got(CT_ORIG, "EPRT |2|2001:db8:2::1|40000|\r\n");
	server("200 ok\r\n");
	log_is("expect reply data 2001:db8:2::2 * 2001:db8:2::1 40000 nat 2001:db8:2::2 * "
	       "fd00:1::2 "
	       "51210 group 1 for 30\n");
	login(&snat_o, &snat_r);
	client("eprt !1!10.0.0.2!51210!\r\n");
	peer_got(CT_ORIG, "eprt !1!203.0.113.1!40000!\r\n");
	server("200 ok\r\n");
	assert_int_equal(l.expects, 1);
	lab_end(&l);
}

static void pasv_through_snat_opens_the_clients_way(void **state)
{
	(void)state;
	login(&snat_o, &snat_r);
	client("PASV\r\n");
	server("227 Entering Passive Mode (203,0,113,2,200,10).\r\n");
	peer_got(CT_REPLY, "227 Entering Passive Mode (203,0,113,2,200,10).\r\n");
	log_is("expect orig data 10.0.0.2 * 203.0.113.2 51210 nat 203.0.113.1 * 203.0.113.2 51210 "
	       "group 1 for 30\n");
}

static void pasv_of_a_server_behind_nat(void **state)
{
	(void)state;
	login(&dnat_o, &dnat_r);
	client("PASV\r\n");
	server("227 Entering Passive Mode (10,0,0,5,200,10).\r\n");
	peer_got(CT_REPLY, "227 Entering Passive Mode (203,0,113,1,156,64).\r\n");
	log_is("expect orig data 198.51.100.9 * 203.0.113.1 40000 nat 198.51.100.9 * 10.0.0.5 "
	       "51210 "
	       "group 1 for 30\n");
}

/* vsftpd's pasv_address: the server knows how it is seen */
static void pasv_with_the_outside_address(void **state)
{
	(void)state;
	login(&dnat_o, &dnat_r);
	l.keep = true;
	client("PASV\r\n");
	server("227 Entering Passive Mode (203,0,113,1,200,10).\r\n");
	peer_got(CT_REPLY, "227 Entering Passive Mode (203,0,113,1,200,10).\r\n");
	log_is("expect orig data 198.51.100.9 * 203.0.113.1 51210 nat 198.51.100.9 * 10.0.0.5 "
	       "51210 "
	       "group 1 for 30\n");
}

static void texts_of_227(void **state)
{
	static const char *const texts[][2] = {
		{"227 Entering Passive Mode 10,0,0,5,200,10\r\n",
		 "227 Entering Passive Mode 203,0,113,1,156,64\r\n"},
		{"227 =10,0,0,5,200,10\r\n", "227 =203,0,113,1,156,64\r\n"},
		{"227 10,0,0,5,200,10\r\n", "227 203,0,113,1,156,64\r\n"},
		{"227 OK 4 you (10,0,0,5,200,10)\r\n", "227 OK 4 you (203,0,113,1,156,64)\r\n"},
		{"227-first line\r\n 10,0,0,5,4,4 is not it\r\n227 then "
		 "(010,000,000,005,200,010)\r\n",
		 "227-first line\r\n 10,0,0,5,4,4 is not it\r\n227 then (203,0,113,1,156,64)\r\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		login(&dnat_o, &dnat_r);
		client("PASV\r\n");
		server(texts[i][0]);
		peer_got(CT_REPLY, texts[i][1]);
		assert_int_equal(l.expects, 1);
		lab_end(&l);
	}
}

static void epsv_of_both_families(void **state)
{
	(void)state;
	login(&six_dnat_o, &six_dnat_r);
	client("EPSV 2\r\n");
	server("229 Entering Extended Passive Mode (|||51210|)\r\n");
	peer_got(CT_REPLY, "229 Entering Extended Passive Mode (|||40000|)\r\n");
	log_is("expect orig data 2001:db8:2::9 * 2001:db8:2::1 40000 nat 2001:db8:2::9 * fd00:1::5 "
	       "51210 group 1 for 30\n");
	login(&snat_o, &snat_r);
	client("epsv\r\n");
	server("229 go (!!!51210!)\r\n");
	peer_got(CT_REPLY, "229 go (!!!51210!)\r\n");
	assert_int_equal(l.expects, 1);
	lab_end(&l);
}

static void several_commands_in_one_segment(void **state)
{
	(void)state;
	login(&snat_o, &snat_r);
	client("NOOP\r\nPORT 10,0,0,2,200,10\r\nLIST\r\nPORT 10,0,0,2,200,11\r\nNLST\r\n");
	peer_got(CT_ORIG, "NOOP\r\nPORT 203,0,113,1,156,64\r\nLIST\r\nPORT 203,0,113,1,156,66\r\n"
			  "NLST\r\n");
	server("200 noop\r\n200 port\r\n");
	assert_int_equal(l.expects, 0); /* a newer PORT was announced: only that one counts */
	server("150 list\r\n226 done\r\n200 port\r\n");
	log_is("expect reply data 203.0.113.2 * 203.0.113.1 40002 nat 203.0.113.2 * 10.0.0.2 51211 "
	       "group 1 for 30\n");
}

static void one_command_over_many_segments(void **state)
{
	static const char text[] = "PORT 10,0,0,2,200,10\r\n";

	(void)state;
	login(&snat_o, &snat_r);
	for (size_t i = 0; i + 1 < sizeof(text) - 1; i++) {
		lab_feed(&l, CT_ORIG, text + i, 1, 0);
		assert_int_equal(l.held_len[CT_ORIG], i + 1);
	}
	peer_got(CT_ORIG, "");
	client("\n");
	peer_got(CT_ORIG, "PORT 203,0,113,1,156,64\r\n");
	server("2");
	server("00 ok\r\n");
	assert_int_equal(l.expects, 1);
	lab_end(&l);
}

static void what_does_not_matter_is_not_held(void **state)
{
	(void)state;
	login(&snat_o, &snat_r);
	client("STOR a-file-na");
	peer_got(CT_ORIG, "STOR a-file-na");
	client("me\r\n");
	server("150 Opening BINARY mode");
	peer_got(CT_REPLY, "150 Opening BINARY mode");
	assert_int_equal(l.held_len[0] + l.held_len[1], 0);
	lab_end(&l);
}

static void replies_of_any_number_of_lines(void **state)
{
	(void)state;
	login(&dnat_o, &dnat_r);
	client("FEAT\r\nPASV\r\n");
	server("211-Features:\r\n");
	for (int i = 0; i < 1000; i++)
		server(i % 3 ? " EPRT\r\n" : "211-and on\r\n227 (10,0,0,5,4,4)\r\n");
	server("211 End\r\n227 (10,0,0,5,200,10)\r\n");
	assert_int_equal(l.expects, 1);
	lab_end(&l);
}

static void a_227_within_another_reply_is_text(void **state)
{
	(void)state;
	login(&dnat_o, &dnat_r);
	client("STAT\r\nPASV\r\n");
	server("211-Status\r\n227 Entering Passive Mode (10,0,0,5,200,10)\r\n");
	assert_int_equal(l.expects, 0);
	server("211 End\r\n227 Entering Passive Mode (10,0,0,5,200,11)\r\n");
	log_is("expect orig data 198.51.100.9 * 203.0.113.1 40000 nat 198.51.100.9 * 10.0.0.5 "
	       "51211 "
	       "group 1 for 30\n");
}

static void a_newer_announcement_replaces_the_older(void **state)
{
	(void)state;
	login(&snat_o, &snat_r);
	for (int i = 0; i < 1000; i++) {
		client("PORT 10,0,0,2,200,10\r\n");
		server("200 ok\r\n");
	}
	assert_int_equal(l.expects, 1000);
	assert_int_equal(l.withdraws, 999); /* so one lives */
	lab_end(&l);
	assert_int_equal(l.withdraws, 1000); /* and dies with its master */
}

static void abor_comes_with_telnet_signals(void **state)
{
	(void)state;
	login(&snat_o, &snat_r);
	client("\xff\xf4\xff\xf2"
	       "ABOR\r\n\xff\xf4"
	       "PASV\r\n");
	server("226 aborted\r\n227 (203,0,113,2,200,10)\r\n");
	assert_int_equal(l.expects, 1);
	lab_end(&l);
}

static void replies_out_of_step_find_their_pasv(void **state)
{
	(void)state;
	login(&dnat_o, &dnat_r);
	client("NOOP\r\nPASV\r\n"); /* and this server answers NOOP with nothing */
	server("227 (10,0,0,5,200,10)\r\n");
	assert_int_equal(l.expects, 1);
	client("PASV\r\n");
	server("425 no\r\n227 (10,0,0,5,200,10)\r\n"); /* the 425 was the answer */
	assert_int_equal(l.expects, 1);
	assert_int_equal(l.count[ALG_R_UNASKED], 1);
	lab_end(&l);
}

static void tls_on_the_control_channel_is_left_alone(void **state)
{
	static const char *const words[] = {"AUTH TLS\r\n", "auth ssl\r\n"};

	(void)state;
	for (int i = 0; i < 2; i++) {
		raw_begin(&snat_o, &snat_r);
		server("220 ready\r\n");
		client(words[i]);
		assert_false(l.off);
		server("234 go on\r\n");
		assert_true(l.off);
		assert_int_equal(l.s.off, ALG_R_TLS);
		forget_sent();
		client("\x16\x03\x01 PORT 10,0,0,2,200,10\r\n");
		peer_got(CT_ORIG, "\x16\x03\x01 PORT 10,0,0,2,200,10\r\n");
		lab_end(&l);
	}
	login(&snat_o, &snat_r);
	client("AUTH TLS\r\n");
	server("502 not here\r\n");
	assert_false(l.off);
	lab_end(&l);
}

static void a_session_survives_a_restart_in_mid_line(void **state)
{
	struct lab saved;

	(void)state;
	login(&dnat_o, &dnat_r);
	client("PASV\r\n");
	server("227 Entering Passive Mode (10,0,");
	saved = l; /* ctd writes the state and what is held, ends, reads it */
	saved.ops.ctx = &l;
	memset(&l, 0, sizeof(l));
	l = saved;
	server("0,5,200,10).\r\n");
	log_is("expect orig data 198.51.100.9 * 203.0.113.1 40000 nat 198.51.100.9 * 10.0.0.5 "
	       "51210 "
	       "group 1 for 30\n");
}

static void a_damaged_session_is_left_alone(void **state)
{
	(void)state;
	login(&snat_o, &snat_r);
	l.s.ftp.queued = 200;
	assert_false(alg_session_valid(&l.s));
	l.s.ftp.queued = 0;
	l.s.version++;
	assert_false(alg_session_valid(&l.s));
	l.s.version--;
	l.s.helper = 77;
	assert_false(alg_session_valid(&l.s));
	l.s.helper = ALG_FTP;
	l.s.tuple[1].family = 6;
	assert_false(alg_session_valid(&l.s));
}

static void reasons_have_names(void **state)
{
	(void)state;
	for (int i = 0; i < ALG_R_COUNT; i++)
		for (int j = 0; j < i; j++)
			assert_string_not_equal(alg_reason_name(i), alg_reason_name(j));
	assert_string_equal(alg_reason_name(ALG_R_OTHER_HOST), "other_host");
	assert_string_equal(alg_helper_name(ALG_FTP), "ftp");
}

/* Real programs through a recorder (tests/alg/record), cut at every byte. */
static void recorded_exchanges_at_every_cut(void **state)
{
	glob_t g;

	(void)state;
	assert_int_equal(glob("tests/alg/corpus/ftp-*.txt", 0, NULL, &g), 0);
	for (size_t i = 0; i < g.gl_pathc; i++) {
		struct lab_script s;

		lab_script_read(&s, g.gl_pathv[i]);
		lab_play(&l, &s, ALG_FTP);
		if (!strstr(g.gl_pathv[i], "tls") && !l.expects)
			fail_msg("%s: no expectation", g.gl_pathv[i]);
		for (int r = ALG_R_NONE; r < ALG_R_COUNT; r++)
			if (l.count[r] && r != ALG_R_TLS)
				fail_msg("%s: %s", g.gl_pathv[i], alg_reason_name(r));
		lab_end(&l);
		lab_play_split(&l, &s, ALG_FTP);
		lab_script_free(&s);
	}
	globfree(&g);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(port_through_snat),
		cmocka_unit_test(port_in_lower_case_with_blanks_and_a_bare_line_feed),
		cmocka_unit_test(port_keeps_its_number_where_it_is_free),
		cmocka_unit_test(port_without_nat_is_not_edited),
		cmocka_unit_test(port_with_both_sides_translated),
		cmocka_unit_test(eprt_of_both_families),
		cmocka_unit_test(pasv_through_snat_opens_the_clients_way),
		cmocka_unit_test(pasv_of_a_server_behind_nat),
		cmocka_unit_test(pasv_with_the_outside_address),
		cmocka_unit_test(texts_of_227),
		cmocka_unit_test(epsv_of_both_families),
		cmocka_unit_test(several_commands_in_one_segment),
		cmocka_unit_test(one_command_over_many_segments),
		cmocka_unit_test(what_does_not_matter_is_not_held),
		cmocka_unit_test(replies_of_any_number_of_lines),
		cmocka_unit_test(a_227_within_another_reply_is_text),
		cmocka_unit_test(a_newer_announcement_replaces_the_older),
		cmocka_unit_test(abor_comes_with_telnet_signals),
		cmocka_unit_test(replies_out_of_step_find_their_pasv),
		cmocka_unit_test(tls_on_the_control_channel_is_left_alone),
		cmocka_unit_test(a_session_survives_a_restart_in_mid_line),
		cmocka_unit_test(a_damaged_session_is_left_alone),
		cmocka_unit_test(reasons_have_names),
		cmocka_unit_test(recorded_exchanges_at_every_cut),
	};

	return cmocka_run_group_tests_name("alg_ftp", tests, NULL, NULL) != 0;
}
