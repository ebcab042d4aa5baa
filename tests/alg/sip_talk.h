/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_TESTS_ALG_SIP_TALK_H
#define BPFCT_TESTS_ALG_SIP_TALK_H

/* A phone and its proxy in the lab, for the unit tests of SIP's parser. The phone is 10.0.0.2
 * behind 203.0.113.1, the proxy 203.0.113.2, the other phone 198.51.100.7, unless a test says
 * otherwise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <stdio.h>
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

static inline void begin(const struct lab_tuple *o, const struct lab_tuple *r, uint8_t proto)
{
	lab_begin(&l, ALG_SIP, proto, o, r);
	flags = proto == IPPROTO_UDP ? ALG_F_DATAGRAM : 0;
	looked[0] = looked[1] = 0;
}

static inline void udp(void **state)
{
	(void)state;
	begin(&snat_o, &snat_r, IPPROTO_UDP);
}

static inline void say(int dir, const char *text)
{
	lab_feed(&l, dir, text, strlen(text), flags);
}

/* Head lines with their ends, then the body; Content-Length is made here. */
static inline const char *message(const char *head, const char *body)
{
	static char text[32768];

	snprintf(text, sizeof(text), "%sContent-Length: %zu\r\n\r\n%s", head, strlen(body), body);
	return text;
}

/* What the listener got since the last look */
static inline const char *got(int dir)
{
	static char text[65536];
	size_t n = l.sent_len[dir] - looked[dir];

	memcpy(text, l.sent[dir] + looked[dir], n);
	text[n] = 0;
	looked[dir] = l.sent_len[dir];
	return text;
}

static inline void has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no \"%s\" in:\n%s", part, text);
}

static inline void lacks(const char *text, const char *part)
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
static inline void call_up(void)
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

#define REGISTER(n, contact)                                                                       \
	"REGISTER sip:203.0.113.2 SIP/2.0\r\n" VIA                                                 \
	"From: <sip:alice@203.0.113.2>;tag=a1\r\nTo: <sip:alice@203.0.113.2>\r\n"                  \
	"Call-ID: reg1\r\nCSeq: " #n " REGISTER\r\n" contact
#define REGISTERED(status, n, contact)                                                             \
	"SIP/2.0 " status "\r\n" VIA_BACK                                                          \
	"From: <sip:alice@203.0.113.2>;tag=a1\r\nTo: <sip:alice@203.0.113.2>;tag=r\r\n"            \
	"Call-ID: reg1\r\nCSeq: " #n " REGISTER\r\n" contact

#endif
