// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* SIP's parser: how messages are written, framed and edited; registrations. Built with ASan and
 * UBSan (Makefile). */
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

#include "tests/alg/sip_talk.h"

static void content_length_follows_the_body(void **state)
{
	char want[64];
	const char *text, *body;

	udp(state);
	say(CT_ORIG, message(INVITE(1) SDP, MINE));
	text = got(CT_ORIG);
	body = strstr(text, "\r\n\r\n") + 4;
	snprintf(want, sizeof(want), "Content-Length: %zu\r\n", strlen(body));
	has(text, want);
	assert_int_not_equal(strlen(body), strlen(MINE));
	lab_end(&l);
}

static void compact_and_folded_headers(void **state)
{
	const char *text;

	udp(state);
	say(CT_ORIG, "INVITE sip:bob@203.0.113.2 SIP/2.0\r\n"
		     "v: SIP / 2.0 / UDP\r\n 10.0.0.2:5060\r\n\t;branch=z9hG4bK1\r\n"
		     "f: \"A, <b>\" <sip:alice@10.0.0.2>\r\n ;tag=a1\r\nt:<sip:bob@203.0.113.2>\r\n"
		     "i: call1\r\nCSeq:\r\n 1\r\n INVITE\r\n"
		     "m: \"x\\\"<sip:no@10.0.0.2>\" <sip:alice@10.0.0.2:5060>\r\n"
		     "c: application/sdp\r\nl: 109\r\n\r\n" MINE);
	text = got(CT_ORIG);
	has(text, "v: SIP / 2.0 / UDP\r\n 203.0.113.1:5062\r\n\t;branch=z9hG4bK1\r\n");
	has(text, "f: \"A, <b>\" <sip:alice@203.0.113.1:5062>\r\n ;tag=a1\r\n");
	has(text, "m: \"x\\\"<sip:no@10.0.0.2>\" <sip:alice@203.0.113.1:5062>\r\n");
	has(text, "m=audio 40000 ");
	lab_end(&l);
}

static void untouched_bytes_stay(void **state)
{
	static const char text[] = "OPTIONS sip:bob@example.org SIP/2.0\r\n"
				   "vIA :   SIP/2.0/UDP phone.example.org;branch=z9hG4bK1\r\n"
				   "From:<sip:alice@example.org> ; tag=a1\r\n"
				   "To:  Bob  <sip:bob@example.org>\r\nX-Odd:\t 10.0.0.2:5060 \r\n"
				   "Call-ID:   call1\r\nCSeq:   1   OPTIONS\r\n"
				   "Content-Length:   0000\r\n\r\n";

	udp(state);
	say(CT_ORIG, text);
	assert_string_equal(got(CT_ORIG), text);
	for (int i = 0; i < ALG_R_COUNT; i++)
		assert_int_equal(l.count[i], 0);
	lab_end(&l);
}

static void multipart_bodies(void **state)
{
	const char *text;

	udp(state);
	say(CT_ORIG,
	    message(INVITE(1) "Content-Type: multipart/mixed;boundary=\"b 1\"\r\n",
		    "preamble 10.0.0.2\r\n--b 1\r\nContent-Type: text/plain\r\n\r\n"
		    "c=IN IP4 10.0.0.2\r\n--b 1\r\nContent-Type: application/sdp\r\n\r\n" MINE
		    "\r\n--b 1--\r\n"));
	text = got(CT_ORIG);
	has(text, "preamble 10.0.0.2\r\n");
	has(text, "\r\n\r\nc=IN IP4 10.0.0.2\r\n--b 1\r\n");
	has(text, "c=IN IP4 203.0.113.1\r\nt=0 0\r\nm=audio 40000 ");
	assert_int_equal(l.count[ALG_R_SYNTAX], 0);
	lab_end(&l);
}

static void register_holds_contact_and_expiry(void **state)
{
	udp(state);
	say(CT_ORIG, message(REGISTER(1, "Contact: <sip:alice@10.0.0.2>\r\nExpires: 600\r\n"), ""));
	has(got(CT_ORIG), "Contact: <sip:alice@203.0.113.1:5062>\r\n");
	say(CT_REPLY, message(REGISTERED("401 Unauthorized", 1, ""), ""));
	assert_int_equal(l.expects, 0);
	say(CT_ORIG, message(REGISTER(2, "Contact: <sip:alice@10.0.0.2>\r\nExpires: 600\r\n"), ""));
	say(CT_REPLY, message(REGISTERED("200 OK", 2,
					 "Contact: <sip:x@192.0.2.1>;expires=5, "
					 "<sip:alice@203.0.113.1:5062>;expires=300\r\n"
					 "Expires: 999\r\n"),
			      ""));
	has(got(CT_REPLY),
	    "<sip:x@192.0.2.1>;expires=5, <sip:alice@10.0.0.2:5060>;expires=300\r\n");
	assert_string_equal(l.log,
			    "expect reply sip 203.0.113.2 * 203.0.113.1 5062 nat 203.0.113.2 * "
			    "10.0.0.2 5060 group 1 for 300 permanent\n");
	/* and it ends when the phone says so */
	say(CT_ORIG, message(REGISTER(3, "Contact: *\r\nExpires: 0\r\n"), ""));
	say(CT_REPLY, message(REGISTERED("200 OK", 3, ""), ""));
	has(l.log, "withdraw 1\n");
	lab_end(&l);
}

static void register_with_another_port_than_the_connections(void **state)
{
	(void)state;
	begin(&snat_o, &snat_r, IPPROTO_TCP);
	say(CT_ORIG, message(REGISTER(1, "Contact: <sip:alice@10.0.0.2:5070>;expires=60\r\n"), ""));
	has(got(CT_ORIG), "Contact: <sip:alice@203.0.113.1:40000>;expires=60\r\n");
	assert_int_equal(lab_port_state(&l, 40000), LAB_RESERVED);
	say(CT_REPLY, message(REGISTERED("200 OK", 1,
					 "Contact: <sip:alice@203.0.113.1:40000>;expires=60\r\n"),
			      ""));
	has(got(CT_REPLY), "Contact: <sip:alice@10.0.0.2:5070>;expires=60\r\n");
	assert_string_equal(l.log,
			    "expect reply sip 203.0.113.2 * 203.0.113.1 40000 nat 203.0.113.2 * "
			    "10.0.0.2 5070 group 1 for 60 permanent\n");
	lab_end(&l);
	/* what was never agreed goes back */
	begin(&snat_o, &snat_r, IPPROTO_TCP);
	say(CT_ORIG, message(REGISTER(1, "Contact: <sip:alice@10.0.0.2:5070>\r\n"), ""));
	say(CT_REPLY, message(REGISTERED("403 Forbidden", 1, ""), ""));
	assert_int_equal(lab_port_state(&l, 40000), LAB_FREE);
	assert_int_equal(l.count[ALG_R_REFUSED], 1);
	lab_end(&l);
}

static void tcp_several_messages_in_one_segment_and_over_several(void **state)
{
	static char text[131072];
	size_t n;

	(void)state;
	n = (size_t)sprintf(text, "\r\n\r\n%s", message(INVITE(1) SDP, MINE));
	n += (size_t)sprintf(text + n, "%s",
			     message(REQUEST("OPTIONS", 2) "c: text/plain\r\n",
				     "INVITE sip:no@10.0.0.2 SIP/2.0\r\n\r\n"));
	n += (size_t)sprintf(text + n, "\r\n%s", message(REQUEST("INFO", 3), ""));
	begin(&snat_o, &snat_r, IPPROTO_TCP);
	lab_feed(&l, CT_ORIG, text, n, 0);
	assert_int_equal(l.held_len[0], 0);
	has(got(CT_ORIG), "INVITE sip:no@10.0.0.2 SIP/2.0\r\n\r\n\r\nINFO"); /* a body is a body */
	say(CT_REPLY, message(REPLY("200 OK", 1, "INVITE") SDP, THEIRS));
	assert_string_equal(l.log, media_open);
	lab_end(&l);
	begin(&snat_o, &snat_r, IPPROTO_TCP);
	for (size_t i = 0; i < n; i++)
		lab_feed(&l, CT_ORIG, text + i, 1, 0);
	say(CT_REPLY, message(REPLY("200 OK", 1, "INVITE") SDP, THEIRS));
	assert_string_equal(l.log, media_open);
	lab_end(&l);
}

static void a_restart_in_mid_call(void **state)
{
	static struct lab saved;

	udp(state);
	say(CT_ORIG, message(INVITE(1) SDP, MINE));
	saved = l;
	saved.ops.ctx = &l;
	memset(&l, 0, sizeof(l));
	l = saved;
	say(CT_REPLY, message(REPLY("200 OK", 1, "INVITE") SDP, THEIRS));
	assert_string_equal(l.log, media_open);
	lab_end(&l);
}

static void keepalives_pass(void **state)
{
	udp(state);
	say(CT_ORIG, "\r\n\r\n");
	lab_feed(&l, CT_ORIG, "\0\0\0\0", 4, flags);
	lab_feed(&l, CT_ORIG, "", 0, flags);
	assert_false(l.off);
	call_up();
	lab_end(&l);
}

/* Real programs through the parser (tests/alg/record), cut at every byte where TCP. */
static void recorded_exchanges_at_every_cut(void **state)
{
	glob_t g;

	(void)state;
	assert_int_equal(glob("tests/alg/corpus/sip-*.txt", 0, NULL, &g), 0);
	for (size_t i = 0; i < g.gl_pathc; i++) {
		struct lab_script s;

		lab_script_read(&s, g.gl_pathv[i]);
		lab_play(&l, &s, ALG_SIP);
		if (!l.expects || l.off)
			fail_msg("%s: %u expectations", g.gl_pathv[i], l.expects);
		lab_end(&l);
		if (s.proto == IPPROTO_TCP)
			lab_play_split(&l, &s, ALG_SIP);
		lab_script_free(&s);
	}
	globfree(&g);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(content_length_follows_the_body),
		cmocka_unit_test(compact_and_folded_headers),
		cmocka_unit_test(untouched_bytes_stay),
		cmocka_unit_test(multipart_bodies),
		cmocka_unit_test(register_holds_contact_and_expiry),
		cmocka_unit_test(register_with_another_port_than_the_connections),
		cmocka_unit_test(tcp_several_messages_in_one_segment_and_over_several),
		cmocka_unit_test(a_restart_in_mid_call),
		cmocka_unit_test(keepalives_pass),
		cmocka_unit_test(recorded_exchanges_at_every_cut),
	};

	return cmocka_run_group_tests_name("alg_sip_text", tests, NULL, NULL) != 0;
}
