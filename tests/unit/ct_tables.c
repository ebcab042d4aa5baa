// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* The state tables that the BPF programs are compiled with, against netfilter's
 * rules as REFERENCE 1 has them: whole connections walked through, and what must
 * hold for every cell. (The oracle suites compare each cell with the kernel.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "bpf/abi/ct_key.h"
#include "bpf/ct/ct_sctp_table.h"
#include "bpf/ct/ct_tcp_table.h"
#include "bpf/lib/ct_siphash.h"

#define F CT_TH_FIN
#define S CT_TH_SYN
#define R CT_TH_RST
#define P CT_TH_PSH
#define A CT_TH_ACK
#define U CT_TH_URG

static void tcp_flags_allowed_are_these_and_no_others(void **state)
{
	static const uint8_t allowed[] = {S, S | U, S | A, R, R | A, F | A, F | A | U, A, A | U};
	unsigned int flags, i, count = 0;

	(void)state;
	for (flags = 0; flags < 256; flags++) {
		int want = 0;

		for (i = 0; i < sizeof(allowed); i++)
			want |= (flags & 0x3f & ~P) == allowed[i];
		if (!!ct_tcp_flags_ok(flags) != want)
			fail_msg("flags %02x: %s", flags, want ? "refused" : "allowed");
		count += want && flags < 64;
	}
	assert_int_equal(count, 18);
}

static void tcp_classes_follow_the_strongest_flag(void **state)
{
	unsigned int flags;

	(void)state;
	for (flags = 0; flags < 256; flags++) {
		int want = flags & R			  ? CT_TCP_RST
			   : (flags & (S | A)) == (S | A) ? CT_TCP_SYNACK
			   : flags & S			  ? CT_TCP_SYN
			   : flags & F			  ? CT_TCP_FIN
			   : flags & A			  ? CT_TCP_ACK
							  : CT_TCP_FLAGLESS;

		assert_int_equal(ct_tcp_class(flags), want);
	}
}

/* One packet: 'o' or 'r' for the direction, then the class. */
struct tcp_packet {
	char dir;
	enum ct_tcp_class class;
	uint8_t want;
};

static void walk(const char *what, const struct tcp_packet *p, size_t n)
{
	uint8_t at = CT_TCP_NONE;

	for (size_t i = 0; i < n; i++) {
		uint8_t next = ct_tcp_next[p[i].dir == 'r'][p[i].class][at];

		if (next != p[i].want)
			fail_msg("%s: packet %zu in state %u gives %u, not %u", what, i + 1, at,
				 next, p[i].want);
		if (next < CT_TCP_STATES)
			at = next;
	}
}
#define WALK(what, ...)                                                                            \
	do {                                                                                       \
		static const struct tcp_packet p[] = {__VA_ARGS__};                                \
		walk(what, p, sizeof(p) / sizeof(*p));                                             \
	} while (0)

#define HANDSHAKE                                                                                  \
	{'o', CT_TCP_SYN, CT_TCP_SYN_SENT}, {'r', CT_TCP_SYNACK, CT_TCP_SYN_RECV},                 \
	{                                                                                          \
		'o', CT_TCP_ACK, CT_TCP_ESTABLISHED                                                \
	}

static void tcp_connections_open_and_close(void **state)
{
	(void)state;
	WALK("client closes", HANDSHAKE, {'r', CT_TCP_ACK, CT_TCP_ESTABLISHED},
	     {'o', CT_TCP_FIN, CT_TCP_FIN_WAIT}, {'r', CT_TCP_ACK, CT_TCP_CLOSE_WAIT},
	     {'r', CT_TCP_FIN, CT_TCP_LAST_ACK}, {'o', CT_TCP_ACK, CT_TCP_TIME_WAIT},
	     {'r', CT_TCP_FIN, CT_TCP_TIME_WAIT}, {'o', CT_TCP_SYN, CT_TCP_SYN_SENT});
	WALK("server closes", HANDSHAKE, {'r', CT_TCP_FIN, CT_TCP_FIN_WAIT},
	     {'o', CT_TCP_ACK, CT_TCP_CLOSE_WAIT}, {'o', CT_TCP_FIN, CT_TCP_LAST_ACK},
	     {'r', CT_TCP_ACK, CT_TCP_TIME_WAIT});
	WALK("both close at once", HANDSHAKE, {'o', CT_TCP_FIN, CT_TCP_FIN_WAIT},
	     {'r', CT_TCP_FIN, CT_TCP_LAST_ACK}, {'o', CT_TCP_ACK, CT_TCP_TIME_WAIT},
	     {'r', CT_TCP_ACK, CT_TCP_TIME_WAIT});
	WALK("simultaneous open", {'o', CT_TCP_SYN, CT_TCP_SYN_SENT},
	     {'r', CT_TCP_SYN, CT_TCP_SYN_SENT2}, {'o', CT_TCP_SYNACK, CT_TCP_SYN_RECV},
	     {'r', CT_TCP_SYNACK, CT_TCP_IGNORE}, {'o', CT_TCP_ACK, CT_TCP_ESTABLISHED});
	WALK("refused", {'o', CT_TCP_SYN, CT_TCP_SYN_SENT}, {'r', CT_TCP_RST, CT_TCP_CLOSE},
	     {'o', CT_TCP_SYN, CT_TCP_SYN_SENT});
	WALK("picked up", {'o', CT_TCP_ACK, CT_TCP_ESTABLISHED},
	     {'r', CT_TCP_ACK, CT_TCP_ESTABLISHED}, {'r', CT_TCP_FIN, CT_TCP_FIN_WAIT});
	WALK("server reopens", HANDSHAKE, {'o', CT_TCP_FIN, CT_TCP_FIN_WAIT},
	     {'r', CT_TCP_FIN, CT_TCP_LAST_ACK}, {'o', CT_TCP_ACK, CT_TCP_TIME_WAIT},
	     {'r', CT_TCP_SYN, CT_TCP_SYN_SENT});
}

static void tcp_cells_hold_only_what_they_may(void **state)
{
	unsigned int d, c, s;

	(void)state;
	for (d = 0; d < 2; d++)
		for (c = 0; c < CT_TCP_CLASSES; c++)
			for (s = 0; s < CT_TCP_STATES; s++) {
				uint8_t n = ct_tcp_next[d][c][s];

				assert_true(n < CT_TCP_STATES || n == CT_TCP_IGNORE ||
					    n == CT_TCP_INVALID);
				assert_int_not_equal(n, CT_TCP_NONE);
				if (c == CT_TCP_FLAGLESS)
					assert_int_equal(n, CT_TCP_INVALID);
				/* a reset closes whatever there is */
				if (c == CT_TCP_RST && s != CT_TCP_NONE)
					assert_int_equal(n, CT_TCP_CLOSE);
				/* nothing but a SYN leaves CLOSE and TIME_WAIT */
				if ((s == CT_TCP_CLOSE || s == CT_TCP_TIME_WAIT) &&
				    c != CT_TCP_SYN && c != CT_TCP_RST && n < CT_TCP_STATES)
					assert_int_equal(n, s);
				/* what closes does not open again but by a new SYN */
				if (s >= CT_TCP_FIN_WAIT && s <= CT_TCP_CLOSE)
					assert_int_not_equal(n, CT_TCP_ESTABLISHED);
			}
}

static void tcp_connections_begin_with_a_syn_or_are_picked_up(void **state)
{
	unsigned int c;

	(void)state;
	for (c = 0; c < CT_TCP_CLASSES; c++) {
		uint8_t n = ct_tcp_next[CT_ORIG][c][CT_TCP_NONE];

		assert_int_equal(ct_tcp_next[CT_REPLY][c][CT_TCP_NONE], CT_TCP_INVALID);
		assert_int_equal(n, c == CT_TCP_SYN   ? CT_TCP_SYN_SENT
				    : c == CT_TCP_ACK ? CT_TCP_ESTABLISHED
						      : CT_TCP_INVALID);
	}
}

/* RFC 5961: a SYN into an open connection passes and changes nothing, the
 * endpoint answers with a challenge. */
static void tcp_syn_in_an_open_connection_is_ignored(void **state)
{
	unsigned int s;

	(void)state;
	for (s = CT_TCP_SYN_RECV; s <= CT_TCP_LAST_ACK; s++) {
		assert_int_equal(ct_tcp_next[CT_ORIG][CT_TCP_SYN][s], CT_TCP_IGNORE);
		assert_int_equal(ct_tcp_next[CT_REPLY][CT_TCP_SYN][s], CT_TCP_INVALID);
	}
	for (s = CT_TCP_SYN_RECV; s <= CT_TCP_CLOSE; s++)
		assert_int_equal(ct_tcp_next[CT_REPLY][CT_TCP_SYNACK][s], CT_TCP_IGNORE);
	assert_int_equal(ct_tcp_next[CT_REPLY][CT_TCP_ACK][CT_TCP_SYN_SENT], CT_TCP_IGNORE);
}

struct sctp_packet {
	char dir;
	enum ct_sctp_class class;
	uint8_t want;
};

static void sctp_walk(const char *what, const struct sctp_packet *p, size_t n)
{
	uint8_t at = CT_SCTP_NONE;

	for (size_t i = 0; i < n; i++) {
		at = ct_sctp_next[p[i].dir == 'r'][p[i].class][at];
		if (at != p[i].want)
			fail_msg("%s: chunk %zu gives %u, not %u", what, i + 1, at, p[i].want);
	}
}
#define SCTP_WALK(what, ...)                                                                       \
	do {                                                                                       \
		static const struct sctp_packet p[] = {__VA_ARGS__};                               \
		sctp_walk(what, p, sizeof(p) / sizeof(*p));                                        \
	} while (0)

#define SCTP_HANDSHAKE                                                                             \
	{'o', CT_SCTP_INIT, CT_SCTP_CLOSED}, {'r', CT_SCTP_INIT_ACK, CT_SCTP_COOKIE_WAIT},         \
		{'o', CT_SCTP_COOKIE_ECHO, CT_SCTP_COOKIE_ECHOED},                                 \
	{                                                                                          \
		'r', CT_SCTP_COOKIE_ACK, CT_SCTP_ESTABLISHED                                       \
	}

static void sctp_associations_open_and_close(void **state)
{
	(void)state;
	SCTP_WALK("originator ends", SCTP_HANDSHAKE, {'o', CT_SCTP_SHUTDOWN, CT_SCTP_SHUTDOWN_SENT},
		  {'r', CT_SCTP_SHUTDOWN_ACK, CT_SCTP_SHUTDOWN_ACK_SENT},
		  {'o', CT_SCTP_SHUTDOWN_COMPLETE, CT_SCTP_CLOSED});
	SCTP_WALK("peer ends", SCTP_HANDSHAKE, {'r', CT_SCTP_SHUTDOWN, CT_SCTP_SHUTDOWN_RECD},
		  {'o', CT_SCTP_SHUTDOWN_ACK, CT_SCTP_SHUTDOWN_ACK_SENT},
		  {'r', CT_SCTP_SHUTDOWN_COMPLETE, CT_SCTP_CLOSED});
	SCTP_WALK("aborted", SCTP_HANDSHAKE, {'r', CT_SCTP_ABORT, CT_SCTP_CLOSED});
	SCTP_WALK("second path", {'o', CT_SCTP_HEARTBEAT, CT_SCTP_HEARTBEAT_SENT},
		  {'r', CT_SCTP_HEARTBEAT_ACK, CT_SCTP_ESTABLISHED});
	SCTP_WALK("stale cookie", {'o', CT_SCTP_INIT, CT_SCTP_CLOSED},
		  {'r', CT_SCTP_INIT_ACK, CT_SCTP_COOKIE_WAIT},
		  {'o', CT_SCTP_COOKIE_ECHO, CT_SCTP_COOKIE_ECHOED},
		  {'r', CT_SCTP_ERROR, CT_SCTP_CLOSED});
}

static void sctp_cells_hold_only_what_they_may(void **state)
{
	unsigned int d, c, s;

	(void)state;
	for (d = 0; d < 2; d++)
		for (c = 0; c < CT_SCTP_CLASSES; c++)
			for (s = 0; s < CT_SCTP_STATES; s++) {
				uint8_t n = ct_sctp_next[d][c][s];

				assert_true((n < CT_SCTP_STATES && n != CT_SCTP_NONE) ||
					    n == CT_SCTP_INVALID);
				/* nothing begins with an answer */
				if (d == CT_REPLY && s == CT_SCTP_NONE)
					assert_int_equal(n, CT_SCTP_INVALID);
				if (c == CT_SCTP_ABORT && n != CT_SCTP_INVALID)
					assert_int_equal(n, CT_SCTP_CLOSED);
				/* only the answer to a cookie, or to a heartbeat, establishes */
				if (n == CT_SCTP_ESTABLISHED && s != CT_SCTP_ESTABLISHED)
					assert_true(c == CT_SCTP_COOKIE_ACK ||
						    (c == CT_SCTP_HEARTBEAT_ACK &&
						     s == CT_SCTP_HEARTBEAT_SENT));
			}
}

/* RFC 9260 3.2 */
static void sctp_chunks_have_their_classes(void **state)
{
	static const uint8_t known[] = {[1] = CT_SCTP_INIT,
					[2] = CT_SCTP_INIT_ACK,
					[4] = CT_SCTP_HEARTBEAT,
					[5] = CT_SCTP_HEARTBEAT_ACK,
					[6] = CT_SCTP_ABORT,
					[7] = CT_SCTP_SHUTDOWN,
					[8] = CT_SCTP_SHUTDOWN_ACK,
					[9] = CT_SCTP_ERROR,
					[10] = CT_SCTP_COOKIE_ECHO,
					[11] = CT_SCTP_COOKIE_ACK,
					[14] = CT_SCTP_SHUTDOWN_COMPLETE};
	unsigned int type;

	(void)state;
	for (type = 0; type < 256; type++) {
		int other =
			type >= sizeof(known) || type == 0 || type == 3 || type == 12 || type == 13;

		assert_int_equal(ct_sctp_class(type), other ? CT_SCTP_OTHER : known[type]);
	}
}

/* Against CPython 3.11's SipHash-1-3: hash(bytes(...)) under PYTHONHASHSEED 0, 1 and 42, whose
 * secrets are these. */
static void siphash_is_the_one_that_others_know(void **state)
{
	static const struct {
		__u64 secret[2], up, down;
	} want[] = {
		{{0, 0}, 0x95bc321ab41d8206, 0xda561997bfa1ba29},
		{{0xaed66ce184be2329, 0xebe9bbf1f1499052}, 0xdb056b8b4f38310b, 0xda937ae94e6d1544},
		{{0xdc504fd368cd90af, 0xb920bb9ffe99e9c1}, 0xde03d697bf20e38a, 0x681448e581c5e7ac},
	};
	struct ct_key6 up = {0}, down = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(up); i++) {
		((uint8_t *)&up)[i] = i;
		((uint8_t *)&down)[i] = 255 - 3 * i;
	}
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		assert_true(ct_key6_siphash(want[i].secret, &up) == want[i].up);
		assert_true(ct_key6_siphash(want[i].secret, &down) == want[i].down);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(tcp_flags_allowed_are_these_and_no_others),
		cmocka_unit_test(tcp_classes_follow_the_strongest_flag),
		cmocka_unit_test(tcp_connections_open_and_close),
		cmocka_unit_test(tcp_cells_hold_only_what_they_may),
		cmocka_unit_test(tcp_connections_begin_with_a_syn_or_are_picked_up),
		cmocka_unit_test(tcp_syn_in_an_open_connection_is_ignored),
		cmocka_unit_test(sctp_associations_open_and_close),
		cmocka_unit_test(sctp_cells_hold_only_what_they_may),
		cmocka_unit_test(sctp_chunks_have_their_classes),
		cmocka_unit_test(siphash_is_the_one_that_others_know),
	};

	return cmocka_run_group_tests_name("ct_tables", tests, NULL, NULL) ? 1 : 0;
}
