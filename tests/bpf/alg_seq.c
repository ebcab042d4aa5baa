// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Sequence numbers of connections whose payload was edited to another length (nat_seq.h), and those
 * that ICMP errors quote. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "tests/bpf/lib/seqplay.h"

/* Tables name only what matters. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

static void connection_without_edits_keeps_its_numbers(void **state)
{
	(void)state;
	for (int dir = 0; dir < 2; dir++)
		NUMBERS(dir, 1000, 7000, 1000, 7000);
}

/* The speaker of direction dir: 20 bytes up to 1000 have become `by` more. */
static void one_edit(int dir, int32_t by)
{
	seq_clean(NULL);
	seq_edited(dir, 1000, 0, by);
	/* his own number: before, in, at the end of, behind the edited piece; a segment sent again
	 * that begins before it and ends behind it */
	NUMBERS(dir, 900, 7000, 900, 7000);
	NUMBERS(dir, 985, 7000, 985, 7000);
	NUMBERS(dir, 999, 7000, 999, 7000);
	NUMBERS(dir, 1000, 7000, 1000 + by, 7000);
	NUMBERS(dir, 1001, 7000, 1001 + by, 7000);
	NUMBERS(dir, 500000, 7000, 500000 + by, 7000);
	/* what the other one acknowledges: likewise */
	NUMBERS(!dir, 7000, 900, 7000, 900);
	NUMBERS(!dir, 7000, 1000 + by, 7000, 1000);
	NUMBERS(!dir, 7000, 1001 + by, 7000, 1001);
	NUMBERS(!dir, 7000, 500000 + by, 7000, 500000);
}

static void numbers_change_at_the_edit_and_not_before(void **state)
{
	(void)state;
	for (int dir = 0; dir < 2; dir++) {
		one_edit(dir, 6);
		one_edit(dir, -6);
		one_edit(dir, 400);
	}
}

static void an_edited_piece_is_acknowledged_as_a_whole_or_not(void **state)
{
	(void)state;
	seq_edited(0, 1000, 0, 6);
	NUMBERS(1, 7000, 999, 7000, 999);
	for (uint32_t ack = 1000; ack < 1006; ack++)
		NUMBERS(1, 7000, ack, 7000, 999);
	NUMBERS(1, 7000, 1006, 7000, 1000);
	seq_clean(NULL);
	seq_edited(0, 1000, 0, -6);
	NUMBERS(1, 7000, 993, 7000, 993);
	NUMBERS(1, 7000, 994, 7000, 1000);
}

static void numbers_wrap_around(void **state)
{
	(void)state;
	/* the edit's end is before, at, and behind 2^32 in one or both number lines */
	seq_edited(0, 0xfffffffe, 0, 6);
	NUMBERS(0, 0xfffffffd, 5, 0xfffffffd, 5);
	NUMBERS(0, 0xfffffffe, 5, 4, 5);
	NUMBERS(0, 3, 5, 9, 5);
	NUMBERS(1, 5, 0xfffffffd, 5, 0xfffffffd);
	NUMBERS(1, 5, 3, 5, 0xfffffffd);
	NUMBERS(1, 5, 4, 5, 0xfffffffe);
	NUMBERS(1, 5, 9, 5, 3);
	seq_clean(NULL);
	seq_edited(0, 2, 0, -6);
	NUMBERS(0, 0xfffffff0, 5, 0xfffffff0, 5);
	NUMBERS(0, 1, 5, 1, 5);
	NUMBERS(0, 2, 5, 0xfffffffc, 5);
	NUMBERS(0, 8, 5, 2, 5);
	NUMBERS(1, 5, 0xfffffffb, 5, 0xfffffffb);
	NUMBERS(1, 5, 0xfffffffc, 5, 2);
	NUMBERS(1, 5, 2, 5, 8);
	seq_clean(NULL);
	/* half the number space away is before */
	seq_edited(0, 0x80000010, 0, 6);
	NUMBERS(0, 0x20, 5, 0x20, 5);
	NUMBERS(0, 0xffffffff, 5, 5, 5);
}

static void each_edit_counts_from_its_place_on(void **state)
{
	static const struct {
		uint32_t seq, out;
	} at[] = {{900, 900},	{999, 999},   {1000, 1010}, {1999, 2009}, {2000, 1995},
		  {2999, 2994}, {3000, 3020}, {3999, 4019}, {4000, 4000}, {9000, 9000}};

	(void)state;
	seq_edited(1, 1000, 0, 10);
	seq_edited(1, 2000, 10, -5);
	seq_edited(1, 3000, -5, 20);
	seq_edited(1, 4000, 20, 0);
	for (size_t i = 0; i < sizeof(at) / sizeof(*at); i++) {
		NUMBERS(1, at[i].seq, 1, at[i].out, 1);
		if (i != 3 && i != 7) /* those are in what has become shorter */
			NUMBERS(0, 1, at[i].out, 1, at[i].seq);
	}
	/* the third has grown by 25 bytes: all but the last are not yet all of it */
	NUMBERS(0, 1, 2995, 1, 2999);
	NUMBERS(0, 1, 3019, 1, 2999);
}

/* The oldest of more than four was forgotten: what is before the first that is known had been
 * moved, too. */
static void a_forgotten_edit_still_counts(void **state)
{
	(void)state;
	seq_edited(0, 5000, 30, 42);
	NUMBERS(0, 4000, 9, 4030, 9);
	NUMBERS(0, 5000, 9, 5042, 9);
	NUMBERS(1, 9, 4030, 9, 4000);
	NUMBERS(1, 9, 5042, 9, 5000);
	NUMBERS(1, 9, 5035, 9, 4999);
}

static void both_directions_are_edited_at_once(void **state)
{
	(void)state;
	seq_edited(0, 1000, 0, 6);
	seq_edited(1, 8000, 0, -4);
	NUMBERS(0, 1200, 8096, 1206, 8100);
	NUMBERS(1, 8100, 1206, 8096, 1200);
	NUMBERS(0, 900, 7990, 900, 7990);
}

static void a_segment_that_acknowledges_nothing_is_left_alone(void **state)
{
	struct packet in, want;

	(void)state;
	seq_edited(1, 1000, 0, 6);
	for (int six = 0; six < 2; six++) {
		in = want = seq_segment(six, 50, 2000);
		in.tcp = want.tcp = CT_TH_RST;
		seq_becomes(0, &in, &want, &seq_none, __LINE__);
		in.tcp = want.tcp = CT_TH_RST | CT_TH_ACK;
		want.ack = 1994;
		seq_becomes(0, &in, &want, &seq_none, __LINE__);
		in.tcp = want.tcp = CT_TH_FIN | CT_TH_ACK;
		seq_becomes(0, &in, &want, &seq_none, __LINE__);
	}
}

/* A connection whose helper is still there, or has left at some number: what is before that is
 * ctd's, which is not here. */
static void payload_before_the_helper_left_goes_by_ctd(void **state)
{
	uint8_t in[600], out[600];
	struct seq_case c;
	size_t n;

	(void)state;
	seq_edited(0, 1000, 0, 6);
	seq_alg.until[0] = 2000;
	for (int six = 0; six < 2; six++) {
		struct packet p = seq_segment(six, 1999, 1);

		p.payload = 20; /* sent again, from before the edit's reader left to after it */
		seq_run(six, 0, in, seq_frame(in, &p, NULL, 0), out, &n, &c);
		assert_int_equal(c.verdict, -CT_DROP_ALG_WAIT);
		p.payload = 0;
		seq_run(six, 0, in, seq_frame(in, &p, NULL, 0), out, &n, &c);
		assert_int_equal(c.verdict, 0);
	}
	NUMBERS(0, 2000, 1, 2006, 1);
}

/* A router's error about a segment of direction !dir, of which n bytes are quoted. */
static void error_about(int dir, int six, uint8_t n, uint32_t seq, uint32_t ack, uint32_t want_seq,
			uint32_t want_ack, int line)
{
	struct packet quote = seq_segment(six, seq, ack), want_quote = quote, in, want;
	uint8_t a[600], b[600], out[600];
	struct seq_case c;
	size_t alen, blen, len;

	quote.payload = want_quote.payload = 9;
	want_quote.seq = want_seq;
	want_quote.ack = want_ack;
	in = want = (struct packet){.src = M[six],
				    .dst = C[six],
				    .proto = ICMP_OF(six),
				    .type = six ? 2 : 3,
				    .code = six ? 0 : 4,
				    .quote = &quote,
				    .quoted = (six ? 40 : 20) + n};
	want.quote = &want_quote;
	alen = build(a, &in);
	blen = build(b, &want);
	seq_run(six, dir, a, alen, out, &len, &c);
	if (c.verdict)
		fail_msg("line %d: verdict %d", line, c.verdict);
	if (len == blen && !memcmp(out, b, len))
		return;
	dump("in", a, alen);
	dump("out", out, len);
	dump("want", b, blen);
	fail_msg("line %d: not the error wanted", line);
}
#define ERROR_ABOUT(n, seq, ack, want_seq, want_ack)                                               \
	error_about(dir, six, (n), (seq), (ack), (want_seq), (want_ack), __LINE__)

static void an_error_quotes_what_its_receiver_has_sent(void **state)
{
	(void)state;
	for (int dir = 0; dir < 2; dir++)
		for (int six = 0; six < 2; six++) {
			seq_clean(NULL);
			seq_edited(!dir, 1000, 0, 6);
			seq_edited(dir, 8000, 0, -4);
			ERROR_ABOUT(29, 900, 7000, 900, 7000);
			ERROR_ABOUT(29, 1006, 8096, 1000, 8092);
			ERROR_ABOUT(29, 1206, 7000, 1200, 7000);
			ERROR_ABOUT(20, 900, 8000, 900, 7996);
			/* in the midst of an edited piece: within it */
			ERROR_ABOUT(20, 1003, 7000, 999, 7000);
			/* the least that there must be: ports and sequence number */
			ERROR_ABOUT(8, 1206, 8096, 1200, 0);
			ERROR_ABOUT(12, 1206, 8096, 1200, 8092);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(connection_without_edits_keeps_its_numbers),
		TEST(numbers_change_at_the_edit_and_not_before),
		TEST(an_edited_piece_is_acknowledged_as_a_whole_or_not),
		TEST(numbers_wrap_around),
		TEST(each_edit_counts_from_its_place_on),
		TEST(a_forgotten_edit_still_counts),
		TEST(both_directions_are_edited_at_once),
		TEST(a_segment_that_acknowledges_nothing_is_left_alone),
		TEST(payload_before_the_helper_left_goes_by_ctd),
		TEST(an_error_quotes_what_its_receiver_has_sent),
	};

	return cmocka_run_group_tests(tests, seq_up, seq_down);
}
