// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* TFTP's parser. Built with ASan and UBSan (Makefile). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <glob.h>
#include <netinet/in.h>
#include <string.h>

#include "tests/alg/lab.h"

static const struct lab_tuple snat_o = {"10.0.0.2", 50000, "203.0.113.2", 69};
static const struct lab_tuple snat_r = {"203.0.113.2", 69, "203.0.113.1", 61000};
static const struct lab_tuple dnat_o = {"2001:db8:2::9", 50000, "2001:db8:2::1", 69};
static const struct lab_tuple dnat_r = {"fd00:1::5", 69, "2001:db8:2::9", 50000};
static const struct lab_tuple low_o = {"10.0.0.2", 1023, "203.0.113.2", 69};
static const struct lab_tuple low_r = {"203.0.113.2", 69, "203.0.113.1", 61000};

static struct lab l;

/* A string literal with its NULs, less the last one */
#define client(text) lab_feed(&l, CT_ORIG, text, sizeof(text) - 1, ALG_F_DATAGRAM)

static void begin(const struct lab_tuple *o, const struct lab_tuple *r)
{
	lab_begin(&l, ALG_TFTP, IPPROTO_UDP, o, r);
}

static void read_request_through_snat(void **state)
{
	(void)state;
	begin(&snat_o, &snat_r);
	client("\0\1file\0octet\0");
	assert_string_equal(l.log,
			    "expect reply data 203.0.113.2 * 203.0.113.1 61000 nat 203.0.113.2 "
			    "* 10.0.0.2 50000 group 1 for 30\n");
	assert_int_equal(l.sent_len[0], 13);
	assert_memory_equal(l.sent[0], "\0\1file\0octet\0", 13);
	lab_end(&l);
}

static void write_request_with_options_to_a_server_behind_nat(void **state)
{
	(void)state;
	begin(&dnat_o, &dnat_r);
	client("\0\2dir/file\0NetASCII\0blksize\0001428\0tsize\0000\0");
	assert_string_equal(l.log, "expect reply data fd00:1::5 * 2001:db8:2::9 50000 nat "
				   "2001:db8:2::1 * 2001:db8:2::9 50000 group 1 for 30\n");
	lab_end(&l);
}

static void a_repeated_request_asks_for_the_same(void **state)
{
	(void)state;
	begin(&snat_o, &snat_r);
	client("\0\1file\0octet\0");
	client("\0\1file\0octet\0");
	assert_int_equal(l.expects, 2);
	assert_memory_equal(l.log, l.log + l.log_len / 2, l.log_len / 2);
	lab_end(&l);
}

struct refusal {
	const char *name, *bytes;
	size_t len;
	enum alg_reason why;
};
#define R(name, text, why)                                                                         \
	{                                                                                          \
		name, text, sizeof(text) - 1, why                                                  \
	}
static struct refusal refusals[] = {
	R("empty", "", ALG_R_NOT_PROTOCOL),
	R("one_byte", "\0", ALG_R_NOT_PROTOCOL),
	R("opcode_0", "\0\0file\0octet\0", ALG_R_NOT_PROTOCOL),
	R("opcode_7", "\0\7file\0octet\0", ALG_R_NOT_PROTOCOL),
	R("opcode_257", "\1\1file\0octet\0", ALG_R_NOT_PROTOCOL),
	R("http", "GET / HTTP/1.1\r\n\r\n", ALG_R_NOT_PROTOCOL),
	R("no_mode", "\0\1file\0", ALG_R_SYNTAX),
	R("no_name", "\0\1\0octet\0", ALG_R_SYNTAX),
	R("unknown_mode", "\0\1file\0octets\0", ALG_R_SYNTAX),
	R("no_nul_behind_the_mode", "\0\1file\0octet", ALG_R_SYNTAX),
	R("option_without_value", "\0\1file\0octet\0blksize\0", ALG_R_SYNTAX),
	R("bytes_behind", "\0\1file\0octet\0x", ALG_R_SYNTAX),
};

static void refused(void **state)
{
	const struct refusal *c = *state;

	begin(&snat_o, &snat_r);
	lab_feed(&l, CT_ORIG, c->bytes, c->len, ALG_F_DATAGRAM);
	assert_int_equal(l.expects, 0);
	assert_int_equal(l.count[c->why], 1);
	assert_int_equal(l.sent_len[0], c->len);
	assert_int_equal(l.off, c->why == ALG_R_NOT_PROTOCOL);
	lab_end(&l);
}

static void a_request_above_512_bytes(void **state)
{
	char big[520] = "\0\1file";

	(void)state;
	begin(&snat_o, &snat_r);
	memset(big + 2, 'x', 500);
	memcpy(big + 502, "\0octet\0o\0001\0", 11);
	lab_feed(&l, CT_ORIG, big, 513, ALG_F_DATAGRAM);
	assert_int_equal(l.expects, 0);
	assert_int_equal(l.count[ALG_R_LINE_LONG], 1);
	lab_end(&l);
}

static void a_client_port_under_1024(void **state)
{
	(void)state;
	begin(&low_o, &low_r);
	client("\0\1file\0octet\0");
	assert_int_equal(l.expects, 0);
	assert_int_equal(l.count[ALG_R_PORT_LOW], 1);
	lab_end(&l);
}

static void what_the_server_says_opens_nothing(void **state)
{
	(void)state;
	begin(&snat_o, &snat_r);
	lab_feed(&l, CT_REPLY, "\0\1file\0octet\0", 13, ALG_F_DATAGRAM);
	client("\0\5\0\0gone\0");
	assert_int_equal(l.expects, 0);
	assert_false(l.off);
	lab_end(&l);
}

static void other_protocols_have_no_tftp(void **state)
{
	struct ct_tuple t[2];
	struct alg_session s;

	(void)state;
	lab_tuple(&t[0], &snat_o, IPPROTO_TCP);
	lab_tuple(&t[1], &snat_r, IPPROTO_TCP);
	assert_int_equal(alg_session_init(&s, ALG_TFTP, t, 1), -EINVAL);
	assert_int_equal(alg_session_init(&s, ALG_NONE, t, 1), -EINVAL);
	assert_int_equal(alg_session_init(&s, ALG_FTP, t, 1), 0);
	t[1].zone = 9;
	assert_int_equal(alg_session_init(&s, ALG_FTP, t, 1), -EINVAL);
}

/* Real programs through a recorder (tests/alg/record). */
static void recorded_exchanges(void **state)
{
	glob_t g;

	(void)state;
	assert_int_equal(glob("tests/alg/corpus/tftp-*.txt", 0, NULL, &g), 0);
	for (size_t i = 0; i < g.gl_pathc; i++) {
		struct lab_script s;

		lab_script_read(&s, g.gl_pathv[i]);
		lab_play(&l, &s, ALG_TFTP);
		if (l.expects < 1 || l.off)
			fail_msg("%s: %u expectations", g.gl_pathv[i], l.expects);
		lab_end(&l);
		lab_script_free(&s);
	}
	globfree(&g);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(read_request_through_snat),
		cmocka_unit_test(write_request_with_options_to_a_server_behind_nat),
		cmocka_unit_test(a_repeated_request_asks_for_the_same),
		cmocka_unit_test(a_request_above_512_bytes),
		cmocka_unit_test(a_client_port_under_1024),
		cmocka_unit_test(what_the_server_says_opens_nothing),
		cmocka_unit_test(other_protocols_have_no_tftp),
		cmocka_unit_test(recorded_exchanges),
	};
	struct CMUnitTest cases[sizeof(refusals) / sizeof(refusals[0])];
	int failed;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cases[i] = (struct CMUnitTest){refusals[i].name, refused, NULL, NULL, &refusals[i]};
	failed = cmocka_run_group_tests_name("alg_tftp", tests, NULL, NULL);
	return (failed + cmocka_run_group_tests_name("alg_tftp_refused", cases, NULL, NULL)) != 0;
}
