// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* SACK blocks, and TCP options of any shape, of connections whose payload was edited to another
 * length. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "tests/bpf/lib/seqplay.h"

/* Tables name only what matters. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

/* Options of n SACK blocks, two no-operations or time stamps before them. */
static struct seq_options sack(int n, const uint32_t (*in)[2], const uint32_t (*out)[2],
			       bool stamps)
{
	static const uint8_t stamp[] = {1, 1, 8, 10, 0, 0, 3, 232, 0, 0, 7, 208};
	struct seq_options o = {.len = 0};

	if (stamps) {
		memcpy(o.in, stamp, sizeof(stamp));
		o.len = sizeof(stamp);
	}
	o.in[o.len] = o.in[o.len + 1] = 1;
	o.in[o.len + 2] = 5;
	o.in[o.len + 3] = 2 + 8 * n;
	o.len += 4;
	memcpy(o.out, o.in, o.len);
	for (int i = 0; i < n; i++, o.len += 8) {
		put4(o.in + o.len, in[i][0]);
		put4(o.in + o.len + 4, in[i][1]);
		put4(o.out + o.len, out[i][0]);
		put4(o.out + o.len + 4, out[i][1]);
	}
	return o;
}

static void sack_blocks_come_into_the_speakers_numbers(void **state)
{
	static const uint32_t in[][2] = {{1106, 1206}, {980, 1100}, {900, 950}, {5006, 9006}};
	static const uint32_t out[][2] = {{1100, 1200}, {980, 1094}, {900, 950}, {5000, 9000}};

	(void)state;
	for (int dir = 0; dir < 2; dir++) {
		seq_clean(NULL);
		seq_edited(dir, 1000, 0, 6);
		for (int n = 1; n <= 4; n++)
			for (int stamps = 0; stamps < (n < 4 ? 2 : 1); stamps++) {
				struct seq_options o = sack(n, in, out, stamps);

				seq_numbers(!dir, 7000, 960, 7000, 960, &o, __LINE__);
			}
	}
}

static void sack_blocks_follow_each_of_several_edits(void **state)
{
	static const uint32_t in[][2] = {{900, 1500}, {2005, 2500}, {0xfffffff0, 7}, {3020, 4005}};
	static const uint32_t out[][2] = {{900, 1490}, {2010, 2505}, {0xfffffff0, 7}, {3000, 3985}};
	struct seq_options o = sack(4, in, out, false);

	(void)state;
	seq_edited(0, 1000, 0, 10);
	seq_edited(0, 2000, 10, -5);
	seq_edited(0, 3000, -5, 20);
	seq_numbers(1, 7000, 800, 7000, 800, &o, __LINE__);
}

static void sack_blocks_wrap_around(void **state)
{
	static const uint32_t in[][2] = {{2, 100}, {0xfffffff8, 0xfffffffa}, {0xfffffff8, 50}};
	static const uint32_t out[][2] = {
		{0xfffffffc, 94}, {0xfffffff8, 0xfffffffa}, {0xfffffff8, 44}};
	struct seq_options o = sack(3, in, out, true);

	(void)state;
	seq_edited(1, 0xfffffffc, 0, 6);
	seq_numbers(0, 1, 0xfffffff6, 1, 0xfffffff6, &o, __LINE__);
}

/* An edited piece [980, 1000) that has become [980, 1006): what of it is not whole is not
 * there. */
static void no_block_claims_part_of_an_edited_piece(void **state)
{
	static const uint32_t in[][2] = {{1003, 1106}, {900, 1003}, {1001, 1004}, {1005, 1006}};
	static const uint32_t out[][2] = {{1000, 1100}, {900, 999}, {1000, 1000}, {1000, 1000}};
	struct seq_options o = sack(4, in, out, false);

	(void)state;
	seq_edited(0, 1000, 0, 6);
	seq_numbers(1, 7000, 900, 7000, 900, &o, __LINE__);
}

/* Acknowledgement and blocks in one segment, whose own number changes as well. */
static void sack_and_both_numbers_at_once(void **state)
{
	static const uint32_t in[][2] = {{2006, 2106}};
	static const uint32_t out[][2] = {{2000, 2100}};
	struct seq_options o = sack(1, in, out, true);

	(void)state;
	seq_edited(0, 1000, 0, 6);
	seq_edited(1, 8000, 0, 9);
	seq_numbers(1, 8100, 1506, 8109, 1500, &o, __LINE__);
}

/* Options that come out as they went in but for the blocks at these places, if any. */
struct raw {
	const char *what;
	uint8_t len;
	uint8_t bytes[40];
	uint8_t at[2];
};

#define BLOCK 0, 0, 8, 0, 0, 0, 9, 0 /* 2048..2304 */

static const struct raw raws[] = {
	{"at an odd place", 12, {1, 5, 10, BLOCK, 0}, {3}},
	{"at the very begin", 12, {5, 10, BLOCK, 1, 1}, {2}},
	{"behind a padding byte each side", 16, {1, 1, 1, 5, 10, BLOCK, 1, 0, 0}, {5}},
	{"behind an option of an odd length", 16, {254, 3, 7, 5, 10, BLOCK, 0, 0, 0}, {5}},
	{"behind the end of the list", 12, {0, 2, 5, 10, BLOCK}},
	{"twice", 24, {1, 1, 5, 10, BLOCK, 1, 1, 5, 10, BLOCK}, {4, 16}},
	{"one byte short of a block", 12, {5, 9, BLOCK, 1, 1}},
	{"one byte more than a block", 16, {5, 11, BLOCK, 1, 1, 1, 1, 1, 1}},
	{"half a block", 12, {5, 6, 0, 0, 8, 0, 1, 1, 1, 1, 1, 1}},
	{"no block", 12, {5, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}},
	{"length beyond the header", 12, {1, 1, 5, 18, BLOCK}},
	{"length 255", 12, {1, 1, 5, 255, BLOCK}},
	{"length one", 12, {5, 1, BLOCK, 1, 1}},
	{"length zero", 12, {5, 0, BLOCK, 1, 1}},
	{"cut off behind its kind", 12, {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 5}},
	{"behind one whose length is zero", 16, {254, 0, 5, 10, BLOCK, 1, 1, 1, 1}},
	{"behind one whose length is one", 12, {254, 1, 5, 10, BLOCK}},
	{"behind one that covers it", 16, {254, 14, 5, 10, BLOCK, 1, 1, 1, 1}},
	{"only padding", 40, {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
			      1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}},
	{"at the end of forty bytes",
	 40,
	 {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,	1,    1,
	  1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 5, 10, BLOCK},
	 {32}},
};

static void options_of_any_shape(void **state)
{
	(void)state;
	seq_edited(0, 1000, 0, 6);
	for (size_t i = 0; i < sizeof(raws) / sizeof(*raws); i++) {
		const struct raw *r = &raws[i];
		struct seq_options o = {.len = r->len};

		memcpy(o.in, r->bytes, sizeof(o.in));
		memcpy(o.out, r->bytes, sizeof(o.out));
		for (int b = 0; b < 2 && r->at[b]; b++) {
			put4(o.out + r->at[b], 2048 - 6);
			put4(o.out + r->at[b] + 4, 2304 - 6);
		}
		seq_shape = r->what;
		seq_numbers(1, 7000, 900, 7000, 900, &o, __LINE__);
	}
	seq_shape = "";
}

/* A data offset beyond the segment, or below the header's own size. */
static void lying_header_lengths_are_refused(void **state)
{
	uint8_t in[600], out[600];
	struct seq_case c;
	size_t n, len;

	(void)state;
	seq_edited(0, 1000, 0, 6);
	for (int six = 0; six < 2; six++) {
		struct packet p = seq_segment(six, 50, 2000);

		len = seq_frame(in, &p, NULL, 0);
		in[14 + (six ? 40 : 20) + 12] = 0xf0;
		seq_run(six, 1, in, len, out, &n, &c);
		assert_true(c.verdict < 0);
		in[14 + (six ? 40 : 20) + 12] = 0x40;
		seq_run(six, 1, in, len, out, &n, &c);
		assert_true(c.verdict < 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(sack_blocks_come_into_the_speakers_numbers),
		TEST(sack_blocks_follow_each_of_several_edits),
		TEST(sack_blocks_wrap_around),
		TEST(no_block_claims_part_of_an_edited_piece),
		TEST(sack_and_both_numbers_at_once),
		TEST(options_of_any_shape),
		TEST(lying_header_lengths_are_refused),
	};

	return cmocka_run_group_tests(tests, seq_up, seq_down);
}
