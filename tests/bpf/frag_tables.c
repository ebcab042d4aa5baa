// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Fragments by BPF_PROG_RUN: what is held, what leaves and in which order, whole
 * packets compared; what comes back from the stack.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <linux/if_packet.h>
#include <string.h>

#include "tests/bpf/lib/fragplay.h"

/* Tables name only what matters. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

/* Plays the steps in the order given, the last of which completes; what leaves has to
 * be all n of them as they stand in the table. */
static void in_this_order(const struct step *s, const uint8_t *order, unsigned int n)
{
	uint8_t out[ROOM], frame[ROOM];
	size_t len;

	for (unsigned int i = 0; i + 1 < n; i++) {
		run(&s[order[i]], out, &len);
		assert_int_equal(frag_how.verdict, HOLD);
		assert_int_equal(seen_on(PACKET_OUTGOING, frame), 0);
	}
	assert_int_equal(run(&s[order[n - 1]], out, &len), TC_ACT_OK);
	assert_int_equal(frag_how.verdict, WHOLE);
	for (unsigned int i = 0; i + 1 < n; i++)
		same_frame(frame, seen_on(PACKET_OUTGOING, frame), &s[i], 1);
	same_frame(out, len, &s[n - 1], 1);
	assert_int_equal(seen_on(PACKET_OUTGOING, frame), 0);
	assert_int_equal(table()->use.datagrams, 0);
	assert_int_equal(table()->use.bytes, 0);
}

static void in_every_order_they_leave_in_order_and_translated(void **state)
{
	static const uint8_t protos[] = {IPPROTO_UDP, IPPROTO_TCP, IPPROTO_ICMP, IPPROTO_SCTP};
	uint64_t before[2 * FRAG_STAT_MAX], after[2 * FRAG_STAT_MAX];

	for (int six = 0; six < 2; six++)
		for (size_t p = 0; p < sizeof(protos); p++)
			for (unsigned int k = 0; k < 24; k++) {
				unsigned int a = k / 6, b = k / 2 % 3, c = k % 2, n = 0;
				uint8_t left[] = {0, 1, 2, 3}, order[4];

				order[n++] = left[a];
				memmove(left + a, left + a + 1, 3 - a);
				order[n++] = left[b];
				memmove(left + b, left + b + 1, 2 - b);
				order[n++] = left[c];
				order[n++] = left[!c];
				clean(state);
				snat(six);
				datagram(six, protos[p], 1368);
				counters(before);
				in_this_order(
					(struct step[]){
						{0, 40}, {40, 48}, {48, 1344}, {1344, d.len, true}},
					order, n);
				counters(after);
				assert_int_equal(MOVED(FRAG_STAT_ACCEPTED), 4);
				assert_int_equal(MOVED(FRAG_STAT_COMPLETED), 1);
				assert_int_equal(MOVED(FRAG_STAT_RELEASED), 4);
			}
}

static void a_datagram_of_65535_bytes_in_64_pieces(void **state)
{
	static struct step s[64];
	uint8_t order[64];

	for (int six = 0; six < 2; six++) {
		clean(state);
		table()->total.bytes = 0;
		snat(six);
		datagram(six, IPPROTO_UDP, 65535 - (six ? 0 : 20) - 8);
		for (unsigned int i = 0; i < 64; i++) {
			s[i] = (struct step){.off = 1024 * i, .end = 1024 * (i + 1)};
			order[i] = 63 - i;
		}
		s[63].end = d.len;
		s[63].last = true;
		in_this_order(s, order, 64);
	}
}

/* Both go on waiting, and both complete. */
static void fragments_of_two_sides_or_ids_never_meet(void **state)
{
	for (int six = 0; six < 2; six++) {
		clean(state);
		snat(six);
		datagram(six, IPPROTO_UDP, 392);
		PIECE(HOLD, 0, 200);
		PIECE(HOLD, 200, 400, true, .other = true);
		frag_how.side = 1;
		PIECE(HOLD, 200, 400, true);
		assert_int_equal(table()->use.datagrams, 3);
		PIECE(WHOLE, 0, 200);
		frag_how.side = 0;
		PIECE(WHOLE, 200, 400, true);
		PIECE(WHOLE, 0, 200, .other = true);
		assert_int_equal(table()->use.datagrams, 0);
	}
}

static void the_setting_says_what_is_done_with_fragments(void **state)
{
	for (int six = 0; six < 2; six++) {
		__u8 *mode = &core.pins.settings->fragments[six];

		clean(state);
		datagram(six, IPPROTO_UDP, 392);
		*mode = FRAG_MODE_DROP;
		PIECE(-CT_DROP_FRAGMENT, 0, 200);
		*mode = FRAG_MODE_PASS;
		PIECE(PASS, 0, 200);
		*mode = FRAG_MODE_REASSEMBLE;
		PIECE(HOLD, 0, 200);
	}
}

/* ---- up the stack and back ---- */

/* All go up the device; each comes back once, with the mark that it was given, and
 * finds the packet's own mark and the consumer's note. One more is a new fragment. */
static void what_went_up_the_stack_comes_back_once(void **state)
{
	for (int six = 0; six < 2; six++) {
		uint32_t token;
		uint8_t frame[ROOM];

		clean(state);
		datagram(six, IPPROTO_UDP, 392);
		frag_how.flags = BPF_F_INGRESS;
		frag_how.note = 77;
		PIECE(HOLD, 0, 200);
		mark = 0x1234;
		PIECE(WHOLE, 200, 400, true);
		token = mark;
		assert_int_not_equal(token, 0x1234);
		for (int i = 0; i < 2; i++) {
			mark = token;
			frag_how.back = 0;
			PIECE(RETURNED, i ? 200 : 0, i ? 400 : 200, i);
			assert_int_equal(frag_how.back, 77);
			assert_int_equal(mark, 0x1234);
		}
		assert_int_equal(table()->use.datagrams, 0);
		mark = token;
		PIECE(HOLD, 0, 200);
		assert_int_equal(seen_on(PACKET_OUTGOING, frame), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_every_order_they_leave_in_order_and_translated),
		cmocka_unit_test(a_datagram_of_65535_bytes_in_64_pieces),
		cmocka_unit_test(fragments_of_two_sides_or_ids_never_meet),
		cmocka_unit_test(the_setting_says_what_is_done_with_fragments),
		cmocka_unit_test(what_went_up_the_stack_comes_back_once),
	};

	return cmocka_run_group_tests_name("frag_tables", tests, frags_up, frags_down) ? 1 : 0;
}
