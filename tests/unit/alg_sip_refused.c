// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* SIP's parser: what it does not believe. Built with ASan and UBSan (Makefile). */
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

int main(void)
{
	static const struct CMUnitTest tests[] = {
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
		cmocka_unit_test(tcp_lengths_that_cannot_be_believed),
	};
	struct CMUnitTest cases[sizeof(refusals) / sizeof(refusals[0])];
	int failed;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cases[i] = (struct CMUnitTest){refusals[i].name, refused, NULL, NULL, &refusals[i]};
	failed = cmocka_run_group_tests_name("alg_sip_refused", tests, NULL, NULL);
	return (failed + cmocka_run_group_tests_name("alg_sip_refused_each", cases, NULL, NULL)) !=
	       0;
}
