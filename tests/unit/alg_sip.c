// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* SIP's parser: registrations, calls, and what it does not believe. Built with ASan and
 * UBSan (Makefile). The phone is 10.0.0.2 behind 203.0.113.1, the proxy 203.0.113.2,
 * the other phone 198.51.100.7, unless a test says otherwise. */
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

static const struct lab_tuple snat_o = {"10.0.0.2", 5060, "203.0.113.2", 5060};
static const struct lab_tuple snat_r = {"203.0.113.2", 5060, "203.0.113.1", 5062};
static const struct lab_tuple six_o = {"fd00:1::2", 5060, "2001:db8::2", 5060};
static const struct lab_tuple six_r = {"2001:db8::2", 5060, "2001:db8::1", 5062};
static const struct lab_tuple dnat_o = {"203.0.113.2", 5060, "203.0.113.1", 5060};
static const struct lab_tuple dnat_r = {"10.0.0.5", 5060, "203.0.113.2", 5060};

static struct lab l;
static uint8_t flags;
static size_t looked[2];

static void begin(const struct lab_tuple *o, const struct lab_tuple *r, uint8_t proto)
{
	lab_begin(&l, ALG_SIP, proto, o, r);
	flags = proto == IPPROTO_UDP ? ALG_F_DATAGRAM : 0;
	looked[0] = looked[1] = 0;
}

static void udp(void **state)
{
	(void)state;
	begin(&snat_o, &snat_r, IPPROTO_UDP);
}

static void say(int dir, const char *text)
{
	lab_feed(&l, dir, text, strlen(text), flags);
}

/* Head lines with their ends, then the body; Content-Length is made here. */
static const char *message(const char *head, const char *body)
{
	static char text[32768];

	snprintf(text, sizeof(text), "%sContent-Length: %zu\r\n\r\n%s", head, strlen(body), body);
	return text;
}

/* What the listener got since the last look */
static const char *got(int dir)
{
	static char text[65536];
	size_t n = l.sent_len[dir] - looked[dir];

	memcpy(text, l.sent[dir] + looked[dir], n);
	text[n] = 0;
	looked[dir] = l.sent_len[dir];
	return text;
}

static void has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no \"%s\" in:\n%s", part, text);
}

static void lacks(const char *text, const char *part)
{
	if (strstr(text, part))
		fail_msg("\"%s\" in:\n%s", part, text);
}

#define SDP "Content-Type: application/sdp\r\n"
#define FROM_PHONE                                                                                 \
	"From: <sip:alice@10.0.0.2>;tag=a1\r\nTo: <sip:bob@203.0.113.2>\r\n"                       \
	"Call-ID: call1@10.0.0.2\r\n"
#define VIA "Via: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK1;rport\r\n"
#define VIA_BACK                                                                                   \
	"Via: SIP/2.0/UDP 203.0.113.1:5062;branch=z9hG4bK1;rport=5062;received=203.0.113.1\r\n"
#define BACK                                                                                       \
	"From: <sip:alice@203.0.113.1:5062>;tag=a1\r\nTo: <sip:bob@203.0.113.2>;tag=b1\r\n"        \
	"Call-ID: call1@10.0.0.2\r\n"
#define INVITE(n)                                                                                  \
	"INVITE sip:bob@203.0.113.2 SIP/2.0\r\n" VIA FROM_PHONE "CSeq: " #n " INVITE\r\n"          \
	"Contact: <sip:alice@10.0.0.2:5060>\r\nMax-Forwards: 70\r\n"
#define REPLY(status, n, method)                                                                   \
	"SIP/2.0 " status "\r\n" VIA_BACK BACK "CSeq: " #n " " method "\r\n"                       \
	"Contact: <sip:bob@198.51.100.7>\r\n"
#define REQUEST(method, n)                                                                         \
	method " sip:bob@198.51.100.7 SIP/2.0\r\n" VIA FROM_PHONE "CSeq: " #n " " method "\r\n"
/* A request that the proxy passes to the phone */
#define TO_PHONE(method, n, id)                                                                    \
	method " sip:alice@203.0.113.1:5062 SIP/2.0\r\n"                                           \
	       "Via: SIP/2.0/UDP 203.0.113.2:5060;branch=z9hG4bK9\r\n"                             \
	       "Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK8\r\n"                            \
	       "From: <sip:bob@203.0.113.2>;tag=b1\r\nTo: <sip:alice@203.0.113.1:5062>;tag=a1\r\n" \
	       "Call-ID: " id "\r\nCSeq: " #n " " method "\r\n"                                    \
	       "Record-Route: <sip:203.0.113.2;lr>\r\nContact: <sip:bob@198.51.100.7:5060>\r\n"
#define FROM_PHONE_REPLY(status, n, method, id)                                                    \
	"SIP/2.0 " status "\r\n"                                                                   \
	"Via: SIP/2.0/UDP 203.0.113.2:5060;branch=z9hG4bK9\r\n"                                    \
	"Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK8\r\n"                                   \
	"From: <sip:bob@203.0.113.2>;tag=b1\r\nTo: <sip:alice@10.0.0.2:5060>;tag=a1\r\n"           \
	"Call-ID: " id "\r\nCSeq: " #n " " method "\r\n"                                           \
	"Record-Route: <sip:203.0.113.2;lr>\r\nContact: <sip:alice@10.0.0.2:5060>\r\n"

#define BODY(addr, streams)                                                                        \
	"v=0\r\no=- 1 1 IN IP4 " addr "\r\ns=-\r\nc=IN IP4 " addr "\r\nt=0 0\r\n" streams
#define AUDIO(port) "m=audio " #port " RTP/AVP 0 8\r\na=rtpmap:0 PCMU/8000\r\n"
#define MINE	    BODY("10.0.0.2", AUDIO(4000))
#define THEIRS	    BODY("198.51.100.7", AUDIO(6000))

static const char media_open[] =
	"expect orig rtp 10.0.0.2 4000 198.51.100.7 6000 nat 203.0.113.1 40000 198.51.100.7 6000 "
	"group 1 for 180 policy\n"
	"expect reply rtp 198.51.100.7 * 203.0.113.1 40000 nat 198.51.100.7 * 10.0.0.2 4000 "
	"group 1 for 180\n"
	"expect orig rtcp 10.0.0.2 4001 198.51.100.7 6001 nat 203.0.113.1 40001 198.51.100.7 6001 "
	"group 1 for 180 policy\n"
	"expect reply rtcp 198.51.100.7 * 203.0.113.1 40001 nat 198.51.100.7 * 10.0.0.2 4001 "
	"group 1 for 180\n";

/* A call that stands, its events forgotten */
static void call_up(void)
{
	say(CT_ORIG, message(INVITE(1) SDP, MINE));
	say(CT_REPLY, message(REPLY("200 OK", 1, "INVITE") SDP, THEIRS));
	assert_string_equal(l.log, media_open);
	say(CT_ORIG, message(REQUEST("ACK", 1), ""));
	l.log_len = 0;
	l.log[0] = 0;
	l.expects = 0;
	got(CT_ORIG);
	got(CT_REPLY);
}

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
	char first[4096];

	udp(state);
	say(CT_ORIG, message(INVITE(1) SDP, MINE));
	snprintf(first, sizeof(first), "%s", got(CT_ORIG));
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

#define REGISTER(n, contact)                                                                       \
	"REGISTER sip:203.0.113.2 SIP/2.0\r\n" VIA                                                 \
	"From: <sip:alice@203.0.113.2>;tag=a1\r\nTo: <sip:alice@203.0.113.2>\r\n"                  \
	"Call-ID: reg1\r\nCSeq: " #n " REGISTER\r\n" contact
#define REGISTERED(status, n, contact)                                                             \
	"SIP/2.0 " status "\r\n" VIA_BACK                                                          \
	"From: <sip:alice@203.0.113.2>;tag=a1\r\nTo: <sip:alice@203.0.113.2>;tag=r\r\n"            \
	"Call-ID: reg1\r\nCSeq: " #n " REGISTER\r\n" contact

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

static void nothing(enum alg_reason why)
{
	if (l.expects || !l.count[why])
		fail_msg("%u expectations, %s counted %u times:\n%s", l.expects,
			 alg_reason_name(why), l.count[why], l.log);
	lab_end(&l);
}

static void registrations_that_open_nothing(void **state)
{
	udp(state);
	say(CT_ORIG, message(REGISTER(1, "Contact: <sip:alice@10.0.0.99:5060>\r\n"), ""));
	say(CT_REPLY,
	    message(REGISTERED("200 OK", 1, "Contact: <sip:alice@10.0.0.99:5060>\r\n"), ""));
	nothing(ALG_R_OTHER_HOST);
	udp(state);
	say(CT_ORIG, message(REGISTER(1, "Contact: <sip:alice@10.0.0.2:22>\r\n"), ""));
	nothing(ALG_R_PORT_LOW);
	udp(state);
	say(CT_REPLY,
	    message(REGISTERED("200 OK", 1, "Contact: <sip:a@203.0.113.1:5062>\r\n"), ""));
	nothing(ALG_R_UNASKED);
	udp(state); /* the answer to another CSeq */
	say(CT_ORIG, message(REGISTER(2, "Contact: <sip:alice@10.0.0.2>\r\n"), ""));
	say(CT_REPLY,
	    message(REGISTERED("200 OK", 1, "Contact: <sip:a@203.0.113.1:5062>\r\n"), ""));
	nothing(ALG_R_UNASKED);
	udp(state);
	say(CT_ORIG, message(REGISTER(5, "Contact: <sip:alice@10.0.0.2>\r\n"), ""));
	say(CT_ORIG, message(REGISTER(4, "Contact: <sip:alice@10.0.0.2>\r\n"), ""));
	nothing(ALG_R_STALE);
	udp(state);
	for (int i = 0; i < 20; i++) {
		char text[1024], contact[64];

		snprintf(contact, sizeof(contact), "Contact: <sip:a@10.0.0.2:%d>\r\n", 5070 + i);
		snprintf(text, sizeof(text),
			 "REGISTER sip:h SIP/2.0\r\n" VIA
			 "From: <sip:a@h>;tag=1\r\nTo: <sip:a@h>\r\n"
			 "Call-ID: r%d\r\nCSeq: 1 REGISTER\r\n%s",
			 i, contact);
		say(CT_ORIG, message(text, ""));
	}
	assert_int_equal(l.n_ports, ALG_SIP_BINDINGS);
	nothing(ALG_R_FLOOD);
}

static void first_bytes_that_are_not_sip(void **state)
{
	static const char *const texts[] = {
		"POST / HTTP/1.1\r\nHost: 203.0.113.2:5060\r\nContent-Length: 2000\r\n\r\n",
		"GET /sip:x SIP/2.0\r\n\r\n",
		"\x16\x03\x01\x02\x01",
		"invite sip:b@203.0.113.2 SIP/2.0\r\n",
		"\x01\x01\x00\x08 a TURN message",
	};

	(void)state;
	for (int p = 0; p < 2; p++)
		for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
			begin(&snat_o, &snat_r, p ? IPPROTO_TCP : IPPROTO_UDP);
			say(CT_ORIG, texts[i]);
			if (!p && i == 1) /* a capital word: a datagram of SIP cannot be told yet */
				continue;
			if (!l.off && i != 1)
				fail_msg("text %zu is taken for SIP", i);
			/* slipstreaming: a segment or datagram of its own that looks like SIP */
			say(CT_ORIG, message(REGISTER(1, "Contact: <sip:alice@10.0.0.2>\r\n"), ""));
			say(CT_ORIG, message(INVITE(1) SDP, MINE));
			say(CT_REPLY, message(REPLY("200 OK", 1, "INVITE") SDP, THEIRS));
			assert_true(l.off);
			assert_int_equal(l.expects, 0);
			lab_end(&l);
		}
}

struct refusal {
	const char *name;
	int dir;
	const char *head, *body;
	enum alg_reason why;
};
#define PHONE CT_ORIG, INVITE(1) SDP
static struct refusal refusals[] = {
	{"media_of_another_inside_host", PHONE, BODY("10.0.0.3", AUDIO(4000)), ALG_R_OTHER_HOST},
	{"media_on_port_22", PHONE, BODY("10.0.0.2", AUDIO(22)), ALG_R_PORT_LOW},
	{"media_on_port_1023", PHONE, BODY("10.0.0.2", AUDIO(1023)), ALG_R_PORT_LOW},
	{"rtcp_on_port_53", PHONE, MINE "a=rtcp:53\r\n", ALG_R_PORT_LOW},
	{"media_on_port_65536", PHONE, BODY("10.0.0.2", AUDIO(65536)), ALG_R_RANGE},
	{"media_on_port_4294971296", PHONE, BODY("10.0.0.2", AUDIO(4294971296)), ALG_R_RANGE},
	{"media_on_the_last_port", PHONE, BODY("10.0.0.2", AUDIO(65535)), ALG_R_RANGE},
	{"a_negative_port", PHONE, BODY("10.0.0.2", AUDIO(-1)), ALG_R_SYNTAX},
	{"two_c_lines", PHONE, BODY("10.0.0.2", "c=IN IP4 10.0.0.3\r\n" AUDIO(4000)),
	 ALG_R_AMBIGUOUS},
	{"two_o_lines", PHONE, BODY("10.0.0.2", "o=- 1 1 IN IP4 10.0.0.2\r\n" AUDIO(4000)),
	 ALG_R_AMBIGUOUS},
	{"rtcp_for_another_host", PHONE, MINE "a=rtcp:4001 IN IP4 10.0.0.9\r\n", ALG_R_OTHER_HOST},
	{"five_streams", PHONE,
	 BODY("10.0.0.2", AUDIO(4000) AUDIO(4002) AUDIO(4004) AUDIO(4006) AUDIO(4008)),
	 ALG_R_FLOOD},
	{"bare_cr_in_sdp", PHONE, BODY("10.0.0.2", "a=x\ry\r\n" AUDIO(4000)), ALG_R_BARE_CR},
	{"an_sdp_that_is_none", PHONE, "GET / HTTP/1.1\r\n", ALG_R_SYNTAX},
	{"bare_lf_in_the_header", CT_ORIG, INVITE(1) "X: y\nContact: z\r\n" SDP, MINE,
	 ALG_R_SYNTAX},
	{"bare_cr_in_the_header", CT_ORIG, INVITE(1) "X: y\rContact: z\r\n" SDP, MINE,
	 ALG_R_BARE_CR},
	{"a_fold_of_blanks_only", CT_ORIG, INVITE(1) "X: y\r\n \t\r\n" SDP, MINE, ALG_R_SYNTAX},
	{"a_header_without_colon", CT_ORIG, INVITE(1) "nothing\r\n" SDP, MINE, ALG_R_SYNTAX},
	{"two_call_ids", CT_ORIG, INVITE(1) "Call-ID: other\r\n" SDP, MINE, ALG_R_AMBIGUOUS},
	{"two_content_lengths", CT_ORIG, INVITE(1) "l: 5\r\n" SDP, MINE, ALG_R_AMBIGUOUS},
	{"two_cseqs", CT_ORIG, INVITE(1) "CSeq: 2 BYE\r\n" SDP, MINE, ALG_R_AMBIGUOUS},
	{"methods_disagree", CT_ORIG,
	 "INVITE sip:b@203.0.113.2 SIP/2.0\r\n" VIA FROM_PHONE "CSeq: 1 BYE\r\n" SDP, MINE,
	 ALG_R_SYNTAX},
	{"a_cseq_out_of_range", CT_ORIG, INVITE(4294967296) SDP, MINE, ALG_R_RANGE},
	{"packed_body", CT_ORIG, INVITE(1) "e: gzip\r\n" SDP, MINE, ALG_R_SYNTAX},
	{"two_sdp_parts", CT_ORIG, INVITE(1) "c: multipart/mixed;boundary=b\r\n",
	 "--b\r\nc: x\r\nContent-Type: application/sdp\r\n\r\n" MINE
	 "\r\n--b\r\nContent-Type: application/sdp\r\n\r\n" MINE "\r\n--b--\r\n",
	 ALG_R_AMBIGUOUS},
	{"an_answer_to_nothing", CT_REPLY, REPLY("200 OK", 1, "INVITE") SDP, THEIRS, ALG_R_UNASKED},
	{"sdp_in_an_ack_to_nothing", CT_ORIG, REQUEST("ACK", 1) SDP, MINE, ALG_R_UNASKED},
	{"media_to_multicast", CT_REPLY, TO_PHONE("INVITE", 1, "x") SDP,
	 BODY("224.2.0.1", AUDIO(6000)), ALG_R_OTHER_HOST},
	{"media_to_loopback", CT_REPLY, TO_PHONE("INVITE", 1, "x") SDP,
	 BODY("127.0.0.1", AUDIO(6000)), ALG_R_OTHER_HOST},
};

/* The offer or answer is not granted; a whole exchange around it opens nothing. */
static void refused(void **state)
{
	const struct refusal *c = *state;

	udp(state);
	say(c->dir, message(c->head, c->body));
	if (l.n_ports && lab_port_state(&l, 40000) == LAB_RESERVED)
		fail_msg("a port is reserved");
	if (c->dir == CT_ORIG)
		say(CT_REPLY, message(REPLY("200 OK", 1, "INVITE") SDP, THEIRS));
	nothing(c->why);
}

static void nul_in_header_and_body(void **state)
{
	char text[4096];
	size_t n;

	udp(state);
	n = (size_t)snprintf(text, sizeof(text), "%s", message(INVITE(1) SDP, MINE));
	text[n - 30] = 0;
	lab_feed(&l, CT_ORIG, text, n, flags);
	nothing(ALG_R_NUL);
	udp(state);
	n = (size_t)snprintf(text, sizeof(text), "%s", message(INVITE(1) SDP, MINE));
	text[60] = 0;
	lab_feed(&l, CT_ORIG, text, n, flags);
	nothing(ALG_R_NUL);
}

static void a_stale_offer(void **state)
{
	udp(state);
	call_up();
	say(CT_ORIG, message(INVITE(3) SDP, MINE));
	say(CT_REPLY, message(REPLY("200 OK", 3, "INVITE") SDP, THEIRS));
	l.expects = 0;
	say(CT_ORIG, message(INVITE(2) SDP, BODY("10.0.0.2", AUDIO(4100))));
	nothing(ALG_R_STALE);
}

static void the_same_cseq_with_other_media(void **state)
{
	udp(state);
	say(CT_ORIG, message(INVITE(1) SDP, MINE));
	say(CT_ORIG, message(INVITE(1) SDP, BODY("10.0.0.2", AUDIO(5000))));
	has(got(CT_ORIG), "m=audio 5000 ");
	say(CT_REPLY, message(REPLY("486 Busy", 1, "INVITE"), ""));
	nothing(ALG_R_CHANGED);
}

static void a_bye_from_nowhere_closes_nothing(void **state)
{
	udp(state);
	call_up();
	say(CT_REPLY, message(REPLY("200 OK", 2, "BYE"), "")); /* to no BYE */
	say(CT_REPLY, message(TO_PHONE("BYE", 9, "another"), ""));
	say(CT_ORIG, message(FROM_PHONE_REPLY("200 OK", 9, "BYE", "another"), ""));
	assert_int_equal(l.closes, 0);
	lab_end(&l);
}

static void a_flood_of_calls(void **state)
{
	char text[2048];

	udp(state);
	for (int i = 0; i < 100; i++) {
		snprintf(text, sizeof(text),
			 "INVITE sip:b@203.0.113.2 SIP/2.0\r\n" VIA
			 "From: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\nCall-ID: f%d\r\n"
			 "CSeq: 1 INVITE\r\n" SDP,
			 i);
		say(CT_ORIG, message(text, MINE));
	}
	assert_int_equal(l.count[ALG_R_FLOOD], 100 - ALG_SIP_CALLS);
	assert_int_equal(l.n_ports, 2 * ALG_SIP_CALLS);
	l.now += 200; /* none was answered: their places are free again */
	say(CT_ORIG, message(INVITE(1) SDP, MINE));
	assert_int_equal(l.count[ALG_R_FLOOD], 100 - ALG_SIP_CALLS);
	lab_end(&l);
	assert_int_equal(l.expects, 0);
}

static void no_port_leaves_the_sdp_alone(void **state)
{
	udp(state);
	l.exhausted = true;
	say(CT_ORIG, message(INVITE(1) SDP, MINE));
	has(got(CT_ORIG), MINE);
	say(CT_REPLY, message(REPLY("200 OK", 1, "INVITE") SDP, THEIRS));
	nothing(ALG_R_NO_PORT);
}

static void no_port_leaves_the_contact_alone(void **state)
{
	(void)state;
	begin(&snat_o, &snat_r, IPPROTO_TCP);
	l.exhausted = true;
	say(CT_ORIG, message(REGISTER(1, "Contact: <sip:alice@10.0.0.2:5070>\r\n"), ""));
	has(got(CT_ORIG), "Contact: <sip:alice@10.0.0.2:5070>\r\n");
	nothing(ALG_R_NO_PORT);
}

static void long_headers_and_bodies(void **state)
{
	static char text[20000];
	char *p;

	udp(state);
	p = text + sprintf(text, "%sX: ", INVITE(1) SDP);
	memset(p, 'x', 7000);
	strcpy(p + 7000, "\r\n");
	say(CT_ORIG, message(text, MINE));
	nothing(ALG_R_HEADER_LONG);
	udp(state);
	p = text + sprintf(text, "%s", INVITE(1) SDP);
	for (int i = 0; i < 200; i++)
		p += sprintf(p, "X: y\r\n");
	say(CT_ORIG, message(text, MINE));
	nothing(ALG_R_HEADER_LONG);
	udp(state);
	p = text + sprintf(text, "%sa=", MINE);
	memset(p, 'x', 9000);
	strcpy(p + 9000, "\r\n");
	say(CT_ORIG, message(INVITE(1) SDP, text));
	has(got(CT_ORIG), "Contact: <sip:alice@203.0.113.1:5062>");
	nothing(ALG_R_BODY_LONG);
	/* over TCP an endless header ends the helper, and is not kept */
	begin(&snat_o, &snat_r, IPPROTO_TCP);
	say(CT_ORIG, INVITE(1));
	for (int i = 0; i < 1000 && !l.off; i++)
		say(CT_ORIG, "X-Endless: and on and on\r\n");
	assert_true(l.off);
	assert_int_equal(l.s.off, ALG_R_FRAMING);
	nothing(ALG_R_HEADER_LONG);
}

static void tcp_several_messages_in_one_segment_and_over_several(void **state)
{
	static char text[16384];
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

static void tcp_lengths_that_cannot_be_believed(void **state)
{
	static const char *const lengths[] = {"",
					      "l: x\r\n",
					      "l: -1\r\n",
					      "l: 5 5\r\n",
					      "l:\r\n",
					      "l: 4294967301\r\n",
					      "l: 5\r\nContent-Length: 7\r\n",
					      "l: 5\r\nl: 5\r\n",
					      "l: 0x10\r\n",
					      "l: +5\r\n"};
	char text[2048];

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		begin(&snat_o, &snat_r, IPPROTO_TCP);
		snprintf(text, sizeof(text), "%s%s\r\n%s", INVITE(1) SDP, lengths[i], MINE);
		say(CT_ORIG, text);
		if (l.s.off != ALG_R_FRAMING)
			fail_msg("%s is believed", lengths[i]);
		assert_string_equal(got(CT_ORIG), text);
		lab_end(&l);
	}
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
		cmocka_unit_test(call_from_inside),
		cmocka_unit_test(content_length_follows_the_body),
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
		cmocka_unit_test(compact_and_folded_headers),
		cmocka_unit_test(untouched_bytes_stay),
		cmocka_unit_test(multipart_bodies),
		cmocka_unit_test(register_holds_contact_and_expiry),
		cmocka_unit_test(register_with_another_port_than_the_connections),
		cmocka_unit_test(registrations_that_open_nothing),
		cmocka_unit_test(first_bytes_that_are_not_sip),
		cmocka_unit_test(nul_in_header_and_body),
		cmocka_unit_test(a_stale_offer),
		cmocka_unit_test(the_same_cseq_with_other_media),
		cmocka_unit_test(a_bye_from_nowhere_closes_nothing),
		cmocka_unit_test(a_flood_of_calls),
		cmocka_unit_test(no_port_leaves_the_sdp_alone),
		cmocka_unit_test(no_port_leaves_the_contact_alone),
		cmocka_unit_test(long_headers_and_bodies),
		cmocka_unit_test(tcp_several_messages_in_one_segment_and_over_several),
		cmocka_unit_test(tcp_lengths_that_cannot_be_believed),
		cmocka_unit_test(a_restart_in_mid_call),
		cmocka_unit_test(keepalives_pass),
		cmocka_unit_test(recorded_exchanges_at_every_cut),
	};
	struct CMUnitTest cases[sizeof(refusals) / sizeof(refusals[0])];
	int failed;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cases[i] = (struct CMUnitTest){refusals[i].name, refused, NULL, NULL, &refusals[i]};
	failed = cmocka_run_group_tests_name("alg_sip", tests, NULL, NULL);
	return (failed + cmocka_run_group_tests_name("alg_sip_refused", cases, NULL, NULL)) != 0;
}
