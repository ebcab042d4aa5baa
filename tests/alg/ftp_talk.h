/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_TESTS_ALG_FTP_TALK_H
#define BPFCT_TESTS_ALG_FTP_TALK_H

/* A client and a server of FTP in the lab: what the unit tests of FTP's parser have in common. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <stdio.h>
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

static inline void client(const char *text)
{
	lab_feed(&l, CT_ORIG, text, strlen(text), 0);
}

static inline void server(const char *text)
{
	lab_feed(&l, CT_REPLY, text, strlen(text), 0);
}

/* What the peer of dir's speaker got since the last look */
static size_t seen_len[2];
static inline void peer_got(int dir, const char *want)
{
	const char *got = (const char *)l.sent[dir] + seen_len[dir];
	size_t len = l.sent_len[dir] - seen_len[dir];

	if (len != strlen(want) || memcmp(got, want, len))
		fail_msg("sent: %.*s\nnot: %s", (int)len, got, want);
	seen_len[dir] = l.sent_len[dir];
}

static inline void forget_sent(void)
{
	seen_len[0] = l.sent_len[0];
	seen_len[1] = l.sent_len[1];
}

static inline void raw_begin(const struct lab_tuple *o, const struct lab_tuple *r)
{
	lab_begin(&l, ALG_FTP, IPPROTO_TCP, o, r);
	seen_len[0] = seen_len[1] = 0;
}

static inline void login(const struct lab_tuple *o, const struct lab_tuple *r)
{
	raw_begin(o, r);
	server("220 ready\r\n");
	client("USER anonymous\r\n");
	server("331 say your name\r\n");
	client("PASS x@\r\n");
	server("230 welcome\r\n");
	forget_sent();
}

static inline void log_is(const char *want)
{
	assert_string_equal(l.log, want);
	lab_end(&l);
}

static inline void nothing_granted(enum alg_reason why)
{
	if (l.expects || l.count[why] != 1)
		fail_msg("%u expectations, %s counted %u times:\n%s", l.expects,
			 alg_reason_name(why), l.count[why], l.log);
	lab_end(&l);
}

#endif
