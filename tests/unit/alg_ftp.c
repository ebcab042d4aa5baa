// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* FTP's parser: what it grants, what it edits, and what it does not believe.
 * Built with ASan and UBSan (Makefile). */
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

#include "tests/alg/lab.h"

/* client 10.0.0.2 -- NAT 203.0.113.1 -- server 203.0.113.2 */
static const struct lab_tuple snat_o = {"10.0.0.2", 50000, "203.0.113.2", 21};
static const struct lab_tuple snat_r = {"203.0.113.2", 21, "203.0.113.1", 50000};
/* client 198.51.100.9 -- NAT 203.0.113.1 -- server 10.0.0.5 */
static const struct lab_tuple dnat_o = {"198.51.100.9", 50000, "203.0.113.1", 21};
static const struct lab_tuple dnat_r = {"10.0.0.5", 21, "198.51.100.9", 50000};
/* both are translated by one gateway */
static const struct lab_tuple both_o = {"10.0.0.2", 50000, "203.0.113.1", 21};
static const struct lab_tuple both_r = {"10.9.0.5", 21, "203.0.113.77", 50000};
static const struct lab_tuple six_o = {"fd00:1::2", 50000, "2001:db8:2::2", 21};
static const struct lab_tuple six_r = {"2001:db8:2::2", 21, "2001:db8:2::1", 50000};
static const struct lab_tuple six_dnat_o = {"2001:db8:2::9", 50000, "2001:db8:2::1", 21};
static const struct lab_tuple six_dnat_r = {"fd00:1::5", 21, "2001:db8:2::9", 50000};
static const struct lab_tuple plain_o = {"10.0.0.2", 50000, "10.0.1.2", 21};
static const struct lab_tuple plain_r = {"10.0.1.2", 21, "10.0.0.2", 50000};

static struct lab l;

static void client(const char *text)
{
	lab_feed(&l, CT_ORIG, text, strlen(text), 0);
}

static void server(const char *text)
{
	lab_feed(&l, CT_REPLY, text, strlen(text), 0);
}

/* What the peer of dir's speaker got since the last look */
static size_t seen_len[2];
static void peer_got(int dir, const char *want)
{
	const char *got = (const char *)l.sent[dir] + seen_len[dir];
	size_t len = l.sent_len[dir] - seen_len[dir];

	if (len != strlen(want) || memcmp(got, want, len))
		fail_msg("sent: %.*s\nnot: %s", (int)len, got, want);
	seen_len[dir] = l.sent_len[dir];
}

static void forget_sent(void)
{
	seen_len[0] = l.sent_len[0];
	seen_len[1] = l.sent_len[1];
}

static void raw_begin(const struct lab_tuple *o, const struct lab_tuple *r)
{
	lab_begin(&l, ALG_FTP, IPPROTO_TCP, o, r);
	seen_len[0] = seen_len[1] = 0;
}

static void login(const struct lab_tuple *o, const struct lab_tuple *r)
{
	raw_begin(o, r);
	server("220 ready\r\n");
	client("USER anonymous\r\n");
	server("331 say your name\r\n");
	client("PASS x@\r\n");
	server("230 welcome\r\n");
	forget_sent();
}

static void log_is(const char *want)
{
	assert_string_equal(l.log, want);
	lab_end(&l);
}

static void nothing_granted(enum alg_reason why)
{
	if (l.expects || l.count[why] != 1)
		fail_msg("%u expectations, %s counted %u times:\n%s", l.expects,
			 alg_reason_name(why), l.count[why], l.log);
	lab_end(&l);
}

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
		cmocka_unit_test(first_bytes_that_are_not_ftp),
		cmocka_unit_test(a_client_that_speaks_before_the_banner),
		cmocka_unit_test(port_refused_by_the_server_is_given_back),
		cmocka_unit_test(a_second_answer_to_one_pasv),
		cmocka_unit_test(nul_in_an_announcement),
		cmocka_unit_test(oversized_lines_pass_and_count_once),
		cmocka_unit_test(endless_commands_without_replies),
		cmocka_unit_test(no_port_to_be_had),
		cmocka_unit_test(a_line_cut_by_the_end_is_passed),
		cmocka_unit_test(a_session_survives_a_restart_in_mid_line),
		cmocka_unit_test(a_damaged_session_is_left_alone),
		cmocka_unit_test(reasons_have_names),
		cmocka_unit_test(recorded_exchanges_at_every_cut),
	};
	struct CMUnitTest cases[sizeof(refusals) / sizeof(refusals[0])];
	int failed;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cases[i] = (struct CMUnitTest){refusals[i].name, refused, NULL, NULL, &refusals[i]};
	failed = cmocka_run_group_tests_name("alg_ftp", tests, NULL, NULL);
	return (failed + cmocka_run_group_tests_name("alg_ftp_refused", cases, NULL, NULL)) != 0;
}
