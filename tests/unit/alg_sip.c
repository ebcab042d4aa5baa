// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* SIP's parser: calls and their media. Built with ASan and UBSan (Makefile). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/alg/sip_talk.h"

static void call_from_inside(void **state)
{
	const char *text;

	udp(state);
	say(CT_ORIG, message(INVITE(1) SDP, MINE));
	text = got(CT_ORIG);
	lacks(text, "10.0.0.2:");
	lacks(text, "IP4 10.0.0.2");
	has(text, "INVITE sip:bob@203.0.113.2 SIP/2.0\r\n");
	has(text, "Via: SIP/2.0/UDP 203.0.113.1:5062;branch=z9hG4bK1;rport\r\n");
	has(text, "From: <sip:alice@203.0.113.1:5062>;tag=a1\r\n");
	has(text, "Contact: <sip:alice@203.0.113.1:5062>\r\n");
	has(text, "Call-ID: call1@10.0.0.2\r\n");
	has(text, "o=- 1 1 IN IP4 203.0.113.1\r\n");
	has(text, "c=IN IP4 203.0.113.1\r\n");
	has(text, "m=audio 40000 RTP/AVP 0 8\r\n");
	assert_int_equal(l.expects, 0); /* nobody has agreed */
	say(CT_REPLY, message(REPLY("100 Trying", 1, "INVITE"), ""));
	say(CT_REPLY, message(REPLY("180 Ringing", 1, "INVITE"), ""));
	assert_int_equal(l.expects, 0);
	text = got(CT_REPLY);
	has(text,
	    "Via: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK1;rport=5060;received=10.0.0.2\r\n");
	has(text, "From: <sip:alice@10.0.0.2:5060>;tag=a1\r\n");
	say(CT_REPLY, message(REPLY("200 OK", 1, "INVITE") SDP, THEIRS));
	assert_string_equal(l.log, media_open);
	text = got(CT_REPLY);
	has(text, THEIRS);
	say(CT_ORIG, message(REQUEST("ACK", 1), ""));
	say(CT_ORIG, message(REQUEST("BYE", 2), ""));
	assert_int_equal(l.closes, 0);
	say(CT_REPLY, message(REPLY("200 OK", 2, "BYE"), ""));
	assert_int_equal(l.closes, 1);
	lab_end(&l);
	assert_int_equal(l.closes, 1);
}

static void call_from_outside(void **state)
{
	const char *text;

	udp(state);
	say(CT_REPLY, message(TO_PHONE("INVITE", 7, "c2") SDP, THEIRS));
	text = got(CT_REPLY);
	has(text, "INVITE sip:alice@10.0.0.2:5060 SIP/2.0\r\n");
	has(text, "To: <sip:alice@10.0.0.2:5060>;tag=a1\r\n");
	has(text, "Record-Route: <sip:203.0.113.2;lr>\r\n");
	has(text, THEIRS);
	assert_int_equal(l.expects, 0);
	say(CT_ORIG, message(FROM_PHONE_REPLY("200 OK", 7, "INVITE", "c2") SDP, MINE));
	text = got(CT_ORIG);
	has(text, "Contact: <sip:alice@203.0.113.1:5062>\r\n");
	has(text, "Via: SIP/2.0/UDP 203.0.113.2:5060;branch=z9hG4bK9\r\n");
	has(text, "m=audio 40000 ");
	assert_int_equal(l.expects, 4);
	say(CT_REPLY, message(TO_PHONE("BYE", 8, "c2"), ""));
	say(CT_ORIG, message(FROM_PHONE_REPLY("200 OK", 8, "BYE", "c2"), ""));
	assert_int_equal(l.closes, 1);
	lab_end(&l);
}

/* The proxy is inside, published by a forward; callers are outside. */
static void server_behind_nat(void **state)
{
	const char *text;

	(void)state;
	begin(&dnat_o, &dnat_r, IPPROTO_UDP);
	say(CT_ORIG, message("INVITE sip:bob@203.0.113.1 SIP/2.0\r\n"
			     "Via: SIP/2.0/UDP 203.0.113.2:5060;branch=z9hG4bK1\r\n"
			     "From: <sip:a@203.0.113.2>;tag=1\r\nTo: <sip:bob@203.0.113.1>\r\n"
			     "Call-ID: x\r\nCSeq: 1 INVITE\r\nContact: <sip:a@203.0.113.2>\r\n" SDP,
			     BODY("203.0.113.2", AUDIO(6000))));
	text = got(CT_ORIG);
	has(text, "INVITE sip:bob@10.0.0.5 SIP/2.0\r\n");
	has(text, "To: <sip:bob@10.0.0.5>\r\n");
	say(CT_REPLY, message("SIP/2.0 200 OK\r\n"
			      "Via: SIP/2.0/UDP 203.0.113.2:5060;branch=z9hG4bK1\r\n"
			      "From: <sip:a@203.0.113.2>;tag=1\r\nTo: <sip:bob@10.0.0.5>;tag=2\r\n"
			      "Call-ID: x\r\nCSeq: 1 INVITE\r\nContact: <sip:bob@10.0.0.5>\r\n" SDP,
			      BODY("10.0.0.5", AUDIO(4000))));
	text = got(CT_REPLY);
	has(text, "Contact: <sip:bob@203.0.113.1>\r\n");
	has(text, "c=IN IP4 203.0.113.1\r\n");
	has(l.log,
	    "expect orig rtp 203.0.113.2 * 203.0.113.1 40000 nat 203.0.113.2 * 10.0.0.5 4000 "
	    "group 1 for 180\n");
	has(l.log, "expect reply rtp 10.0.0.5 4000 203.0.113.2 6000 nat 203.0.113.1 40000 "
		   "203.0.113.2 6000 group 1 for 180\n");
	lab_end(&l);
}

static void ipv6_call(void **state)
{
	const char *text;

	(void)state;
	begin(&six_o, &six_r, IPPROTO_UDP);
	say(CT_ORIG, message("INVITE sip:bob@[2001:db8::2] SIP/2.0\r\n"
			     "Via: SIP/2.0/UDP [fd00:1::2]:5060;branch=z9hG4bK1;rport\r\n"
			     "From: <sip:a@[fd00:1::2]>;tag=1\r\nTo: <sip:b@[2001:db8::2]>\r\n"
			     "Call-ID: x\r\nCSeq: 1 INVITE\r\nContact: <sip:a@[fd00:1::2]>\r\n" SDP,
			     "v=0\r\no=- 1 1 IN IP6 fd00:1::2\r\ns=-\r\nc=IN IP6 fd00:1::2\r\n"
			     "t=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"));
	text = got(CT_ORIG);
	has(text, "Via: SIP/2.0/UDP [2001:db8::1]:5062;");
	has(text, "Contact: <sip:a@[2001:db8::1]:5062>\r\n");
	has(text, "c=IN IP6 2001:db8::1\r\n");
	say(CT_REPLY, message("SIP/2.0 200 OK\r\n"
			      "Via: SIP/2.0/UDP [2001:db8::1]:5062;branch=z9hG4bK1;rport=5062;"
			      "received=2001:db8::1\r\n"
			      "From: <sip:a@[2001:db8::1]:5062>;tag=1\r\n"
			      "To: <sip:b@[2001:db8::2]>;tag=2\r\n"
			      "Call-ID: x\r\nCSeq: 1 INVITE\r\n" SDP,
			      "v=0\r\no=- 1 1 IN IP6 2001:db8::7\r\ns=-\r\nc=IN IP6 2001:db8::7\r\n"
			      "t=0 0\r\nm=audio 6000 RTP/AVP 0\r\n"));
	has(got(CT_REPLY), "[fd00:1::2]:5060;branch=z9hG4bK1;rport=5060;received=fd00:1::2\r\n");
	assert_int_equal(l.expects, 4);
	has(l.log,
	    "expect reply rtp 2001:db8::7 * 2001:db8::1 40000 nat 2001:db8::7 * fd00:1::2 4000 ");
	lab_end(&l);
}

static void early_media_and_the_200_say_it_once(void **state)
{
	udp(state);
	say(CT_ORIG, message(INVITE(1) SDP, MINE));
	say(CT_REPLY, message(REPLY("183 Session Progress", 1, "INVITE") SDP, THEIRS));
	assert_string_equal(l.log, media_open);
	say(CT_REPLY, message(REPLY("200 OK", 1, "INVITE") SDP, THEIRS));
	say(CT_REPLY, message(REPLY("200 OK", 1, "INVITE") SDP, THEIRS));
	assert_string_equal(l.log, media_open);
	lab_end(&l);
}

static void another_answer_after_early_media_moves_the_media(void **state)
{
	udp(state);
	say(CT_ORIG, message(INVITE(1) SDP, MINE));
	say(CT_REPLY, message(REPLY("183 Session Progress", 1, "INVITE") SDP, THEIRS));
	say(CT_REPLY, message(REPLY("200 OK", 1, "INVITE") SDP, BODY("198.51.100.8", AUDIO(7000))));
	assert_int_equal(l.closes, 1);
	has(l.log, "close 1\nexpect orig rtp 10.0.0.2 4000 198.51.100.8 7000 ");
	lab_end(&l);
}

static void a_repeated_invite_gets_the_same_text(void **state)
{
	static char first[65536];

	udp(state);
	say(CT_ORIG, message(INVITE(1) SDP, MINE));
	strcpy(first, got(CT_ORIG));
	say(CT_ORIG, message(INVITE(1) SDP, MINE));
	assert_string_equal(got(CT_ORIG), first);
	say(CT_REPLY, message(REPLY("200 OK", 1, "INVITE") SDP, THEIRS));
	say(CT_ORIG, message(INVITE(1) SDP, MINE));
	assert_string_equal(got(CT_ORIG), first);
	assert_int_equal(l.expects, 4);
	lab_end(&l);
}

static void credentials_asked_keep_the_ports(void **state)
{
	udp(state);
	say(CT_ORIG, message(INVITE(1) SDP, MINE));
	say(CT_REPLY, message(REPLY("407 Proxy Authentication Required", 1, "INVITE"), ""));
	got(CT_ORIG);
	say(CT_ORIG, message(INVITE(2) SDP, MINE));
	has(got(CT_ORIG), "m=audio 40000 ");
	say(CT_REPLY, message(REPLY("200 OK", 2, "INVITE") SDP, THEIRS));
	assert_string_equal(l.log, media_open);
	lab_end(&l);
}

static void a_refused_call_gives_its_ports_back(void **state)
{
	udp(state);
	say(CT_ORIG, message(INVITE(1) SDP, MINE));
	assert_int_equal(lab_port_state(&l, 40001), LAB_RESERVED);
	say(CT_REPLY, message(REPLY("486 Busy Here", 1, "INVITE"), ""));
	assert_int_equal(lab_port_state(&l, 40000), LAB_FREE);
	assert_int_equal(lab_port_state(&l, 40001), LAB_FREE);
	assert_int_equal(l.expects + l.closes, 0);
	lab_end(&l);
}

static void a_cancelled_call_closes_early_media(void **state)
{
	udp(state);
	say(CT_ORIG, message(INVITE(1) SDP, MINE));
	say(CT_REPLY, message(REPLY("183 Session Progress", 1, "INVITE") SDP, THEIRS));
	say(CT_ORIG, message(REQUEST("CANCEL", 1), ""));
	say(CT_REPLY, message(REPLY("200 OK", 1, "CANCEL"), ""));
	assert_int_equal(l.closes, 0);
	say(CT_REPLY, message(REPLY("487 Request Terminated", 1, "INVITE"), ""));
	assert_int_equal(l.closes, 1);
	lab_end(&l);
}

static void offer_in_the_200_and_answer_in_the_ack(void **state)
{
	udp(state);
	say(CT_REPLY, message(TO_PHONE("INVITE", 7, "c2"), ""));
	say(CT_ORIG, message(FROM_PHONE_REPLY("200 OK", 7, "INVITE", "c2") SDP, MINE));
	has(got(CT_ORIG), "m=audio 40000 ");
	assert_int_equal(l.expects, 0);
	say(CT_REPLY, message(TO_PHONE("ACK", 7, "c2") SDP, THEIRS));
	assert_string_equal(l.log, media_open);
	lab_end(&l);
}

static void reinvite_on_the_same_ports_renews_without_closing(void **state)
{
	udp(state);
	call_up();
	say(CT_ORIG, message(INVITE(2) SDP, MINE));
	has(got(CT_ORIG), "m=audio 40000 ");
	say(CT_REPLY, message(REPLY("200 OK", 2, "INVITE") SDP, THEIRS));
	assert_string_equal(l.log, media_open);
	lab_end(&l);
}

static void reinvite_on_other_ports_closes_the_old(void **state)
{
	udp(state);
	call_up();
	say(CT_ORIG, message(INVITE(2) SDP, BODY("10.0.0.2", AUDIO(4100))));
	has(got(CT_ORIG), "m=audio 40002 ");
	assert_int_equal(l.closes, 0);
	say(CT_REPLY, message(REPLY("200 OK", 2, "INVITE") SDP, THEIRS));
	assert_int_equal(l.closes, 1);
	has(l.log,
	    "close 1\nexpect orig rtp 10.0.0.2 4100 198.51.100.7 6000 nat 203.0.113.1 40002 ");
	lab_end(&l);
}

static void a_declined_reinvite_leaves_the_call_as_it_was(void **state)
{
	udp(state);
	call_up();
	say(CT_ORIG, message(INVITE(2) SDP, BODY("10.0.0.2", AUDIO(4100))));
	say(CT_REPLY, message(REPLY("488 Not Acceptable Here", 2, "INVITE"), ""));
	assert_int_equal(lab_port_state(&l, 40002), LAB_FREE);
	assert_int_equal(l.closes, 0);
	got(CT_ORIG);
	say(CT_ORIG, message(INVITE(3) SDP, MINE));
	has(got(CT_ORIG), "m=audio 40000 ");
	lab_end(&l);
	assert_int_equal(l.closes, 1);
}

static void update_moves_the_media(void **state)
{
	udp(state);
	call_up();
	say(CT_ORIG, message(REQUEST("UPDATE", 2) SDP, BODY("10.0.0.2", AUDIO(4100))));
	say(CT_REPLY, message(REPLY("200 OK", 2, "UPDATE") SDP, THEIRS));
	assert_int_equal(l.closes, 1);
	assert_int_equal(l.expects, 4);
	lab_end(&l);
}

static void hold_and_its_end(void **state)
{
	const char *text;

	udp(state);
	call_up();
	say(CT_ORIG, message(INVITE(2) SDP, "v=0\r\no=- 1 2 IN IP4 10.0.0.2\r\ns=-\r\n"
					    "c=IN IP4 0.0.0.0\r\nt=0 0\r\n" AUDIO(4000)));
	text = got(CT_ORIG);
	has(text, "c=IN IP4 0.0.0.0\r\n");
	has(text, "m=audio 40000 ");
	say(CT_REPLY, message(REPLY("200 OK", 2, "INVITE") SDP, THEIRS));
	assert_int_equal(l.closes, 0);
	say(CT_ORIG, message(INVITE(3) SDP, MINE "a=sendonly\r\n"));
	has(got(CT_ORIG), "m=audio 40000 ");
	say(CT_REPLY, message(REPLY("200 OK", 3, "INVITE") SDP, THEIRS));
	assert_int_equal(l.closes, 0);
	lab_end(&l);
}

static void several_streams_one_declined(void **state)
{
	const char *text;

	udp(state);
	say(CT_ORIG,
	    message(INVITE(1) SDP, BODY("10.0.0.2", AUDIO(4000) "m=video 4002 RTP/AVP 96\r\n"
								"c=IN IP4 10.0.0.2\r\n"
								"m=image 4004 udptl t38\r\n"
								"m=message 7000 TCP/MSRP *\r\n")));
	text = got(CT_ORIG);
	has(text, "m=audio 40000 ");
	has(text, "m=video 40002 RTP/AVP 96\r\nc=IN IP4 203.0.113.1\r\n");
	has(text, "m=image 40004 udptl t38\r\n");
	has(text, "m=message 7000 TCP/MSRP *\r\n");
	say(CT_REPLY, message(REPLY("200 OK", 1, "INVITE") SDP,
			      BODY("198.51.100.7", AUDIO(6000) "m=video 0 RTP/AVP 96\r\n"
							       "m=image 6004 udptl t38\r\n"
							       "m=message 0 TCP/MSRP *\r\n")));
	assert_int_equal(l.expects, 4 + 2); /* T.38 has no RTCP */
	assert_int_equal(lab_port_state(&l, 40002), LAB_RESERVED);
	has(l.log, "group 3 for 180");
	lacks(l.log, "group 2 ");
	lab_end(&l);
	assert_int_equal(l.closes, 2);
}

static void a_stream_that_is_switched_off_closes(void **state)
{
	udp(state);
	call_up();
	say(CT_ORIG, message(INVITE(2) SDP, BODY("10.0.0.2", "m=audio 0 RTP/AVP 0\r\n")));
	say(CT_REPLY, message(REPLY("200 OK", 2, "INVITE") SDP,
			      BODY("198.51.100.7", "m=audio 0 RTP/AVP 0\r\n")));
	assert_string_equal(l.log, "close 1\n");
	lab_end(&l);
}

static void rtcp_mux_when_both_want_it(void **state)
{
	udp(state);
	say(CT_ORIG, message(INVITE(1) SDP, MINE "a=rtcp-mux\r\n"));
	say(CT_REPLY, message(REPLY("200 OK", 1, "INVITE") SDP, THEIRS "a=rtcp-mux\r\n"));
	assert_int_equal(l.expects, 2);
	lab_end(&l);
	udp(state);
	say(CT_ORIG, message(INVITE(1) SDP, MINE "a=rtcp-mux\r\n"));
	say(CT_REPLY, message(REPLY("200 OK", 1, "INVITE") SDP, THEIRS));
	assert_int_equal(l.expects, 4);
	lab_end(&l);
}

static void rtcp_elsewhere_is_rewritten(void **state)
{
	udp(state);
	say(CT_ORIG, message(INVITE(1) SDP, MINE "a=rtcp:4777 IN IP4 10.0.0.2\r\n"));
	has(got(CT_ORIG), "m=audio 40000 RTP/AVP 0 8\r\na=rtpmap:0 PCMU/8000\r\n"
			  "a=rtcp:40002 IN IP4 203.0.113.1\r\n");
	say(CT_REPLY, message(REPLY("200 OK", 1, "INVITE") SDP, THEIRS "a=rtcp:6009\r\n"));
	has(l.log, "expect orig rtcp 10.0.0.2 4777 198.51.100.7 6009 nat 203.0.113.1 40002 ");
	lab_end(&l);
}

static void an_odd_port_gets_an_even_pair(void **state)
{
	udp(state);
	l.keep = true;
	say(CT_ORIG, message(INVITE(1) SDP, BODY("10.0.0.2", AUDIO(4001))));
	has(got(CT_ORIG), "m=audio 40000 ");
	lab_end(&l);
	udp(state);
	l.keep = true;
	say(CT_ORIG, message(INVITE(1) SDP, MINE));
	has(got(CT_ORIG), "m=audio 4000 ");
	lab_end(&l);
}

/* Caller and callee behind one NAT: their media does not leave it. */
static void both_inside(void **state)
{
	const char *text;

	udp(state);
	strcpy(l.known, "203.0.113.1");
	strcpy(l.known_inside, "10.0.0.3");
	l.known_port = 41000;
	l.known_inside_port = 8000;
	say(CT_ORIG, message(INVITE(1) SDP, MINE));
	say(CT_REPLY, message(REPLY("200 OK", 1, "INVITE") SDP, BODY("203.0.113.1", AUDIO(41000))));
	text = got(CT_REPLY);
	has(text, "c=IN IP4 10.0.0.3\r\n");
	has(text, "m=audio 8000 ");
	has(l.log,
	    "expect orig rtp 10.0.0.2 * 10.0.0.3 8000 nat 10.0.0.2 * 10.0.0.3 8000 group 1 for "
	    "180 policy\nexpect reply rtp 10.0.0.3 * 10.0.0.2 4000 nat 10.0.0.3 * 10.0.0.2 "
	    "4000 group 1 for 180\n");
	lab_end(&l);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(call_from_inside),
		cmocka_unit_test(call_from_outside),
		cmocka_unit_test(server_behind_nat),
		cmocka_unit_test(ipv6_call),
		cmocka_unit_test(early_media_and_the_200_say_it_once),
		cmocka_unit_test(another_answer_after_early_media_moves_the_media),
		cmocka_unit_test(a_repeated_invite_gets_the_same_text),
		cmocka_unit_test(credentials_asked_keep_the_ports),
		cmocka_unit_test(a_refused_call_gives_its_ports_back),
		cmocka_unit_test(a_cancelled_call_closes_early_media),
		cmocka_unit_test(offer_in_the_200_and_answer_in_the_ack),
		cmocka_unit_test(reinvite_on_the_same_ports_renews_without_closing),
		cmocka_unit_test(reinvite_on_other_ports_closes_the_old),
		cmocka_unit_test(a_declined_reinvite_leaves_the_call_as_it_was),
		cmocka_unit_test(update_moves_the_media),
		cmocka_unit_test(hold_and_its_end),
		cmocka_unit_test(several_streams_one_declined),
		cmocka_unit_test(a_stream_that_is_switched_off_closes),
		cmocka_unit_test(rtcp_mux_when_both_want_it),
		cmocka_unit_test(rtcp_elsewhere_is_rewritten),
		cmocka_unit_test(an_odd_port_gets_an_even_pair),
		cmocka_unit_test(both_inside),
	};

	return cmocka_run_group_tests_name("alg_sip", tests, NULL, NULL) != 0;
}
