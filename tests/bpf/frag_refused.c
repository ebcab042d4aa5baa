// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Fragments by BPF_PROG_RUN: the reason and the counter of each refusal; limits and time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <linux/if_packet.h>

#include "tests/bpf/lib/fragplay.h"

/* Tables name only what matters. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define STEPS 5
static const struct refusal {
	const char *what;
	struct step s[STEPS]; /* of a datagram of 400 bytes, until one of no bytes at 0 */
	uint8_t held;	      /* fragments that are accepted before */
	enum ct_drop reason;
	uint8_t drops;
	enum frag_stat stat;
	uint8_t proto; /* 0: UDP */
	bool only4;
} refusals[] = {
	{"overlap of the next by a unit",
	 {{200, 400, true}, {0, 208}},
	 1,
	 CT_DROP_FRAG_OVERLAP,
	 2,
	 FRAG_STAT_OVERLAPPED},
	{"overlap of the previous by a unit",
	 {{0, 200}, {192, 400, true}},
	 1,
	 CT_DROP_FRAG_OVERLAP,
	 2,
	 FRAG_STAT_OVERLAPPED},
	/* Of the one before by a byte: a last fragment may end anywhere, and where it
	 * ends within a unit the next unit's fragment lies on its last bytes. */
	{"overlap of the previous by a byte",
	 {{200, 393, true}, {392, 400}},
	 1,
	 CT_DROP_FRAG_OVERLAP,
	 2,
	 FRAG_STAT_OVERLAPPED},
	{"overlap of the next by a byte",
	 {{392, 400}, {200, 393, true}},
	 1,
	 CT_DROP_FRAG_OVERLAP,
	 2,
	 FRAG_STAT_OVERLAPPED},
	{"a byte over, and more to come",
	 {{200, 400, true}, {0, 201}},
	 1,
	 CT_DROP_FRAG_LENGTH,
	 1,
	 FRAG_STAT_MALFORMED},
	{"covers another",
	 {{104, 200}, {96, 304}},
	 1,
	 CT_DROP_FRAG_OVERLAP,
	 2,
	 FRAG_STAT_OVERLAPPED},
	{"lies within another",
	 {{96, 304}, {104, 200}},
	 1,
	 CT_DROP_FRAG_OVERLAP,
	 2,
	 FRAG_STAT_OVERLAPPED},
	{"begins with another, and is shorter",
	 {{96, 304}, {96, 200}},
	 1,
	 CT_DROP_FRAG_OVERLAP,
	 2,
	 FRAG_STAT_OVERLAPPED},
	{"ends with another, and is shorter",
	 {{96, 304}, {200, 304}},
	 1,
	 CT_DROP_FRAG_OVERLAP,
	 2,
	 FRAG_STAT_OVERLAPPED},
	{"begins with another, and is longer",
	 {{96, 200}, {96, 304}},
	 1,
	 CT_DROP_FRAG_OVERLAP,
	 2,
	 FRAG_STAT_OVERLAPPED},
	{"the same range, a bit differs",
	 {{0, 200}, {0, 200, .flip = 1}},
	 1,
	 CT_DROP_FRAG_OVERLAP,
	 2,
	 FRAG_STAT_OVERLAPPED},
	{"the same range, once as the last",
	 {{200, 400}, {200, 400, true}},
	 1,
	 CT_DROP_FRAG_OVERLAP,
	 2,
	 FRAG_STAT_OVERLAPPED},
	{"what comes after an overlap",
	 {{0, 200}, {192, 400, true}, {200, 400, true}, {0, 200}},
	 1,
	 CT_DROP_FRAG_OVERLAP,
	 4,
	 FRAG_STAT_OVERLAPPED},
	{"the same twice", {{0, 200}, {0, 200}}, 1, CT_DROP_FRAG_DUPLICATE, 1, FRAG_STAT_DUPLICATE},
	{"two ends",
	 {{200, 400, true}, {400, 400, true, .extra = 16}},
	 1,
	 CT_DROP_FRAG_OVERFLOW,
	 2,
	 FRAG_STAT_OVERLAPPED},
	{"beyond the end",
	 {{200, 400, true}, {800, 800, .extra = 16}},
	 1,
	 CT_DROP_FRAG_OVERFLOW,
	 2,
	 FRAG_STAT_OVERLAPPED},
	{"an end before what is held",
	 {{200, 400}, {104, 152, true}},
	 1,
	 CT_DROP_FRAG_OVERFLOW,
	 2,
	 FRAG_STAT_OVERLAPPED},
	{"beyond 65,535",
	 {{0, 200}, {65528, 65528, true, .extra = 16}},
	 1,
	 CT_DROP_FRAG_OVERFLOW,
	 1,
	 FRAG_STAT_MALFORMED},
	{"no data", {{200, 200}}, 0, CT_DROP_FRAG_LENGTH, 1, FRAG_STAT_MALFORMED},
	{"no multiple of 8", {{0, 204}}, 0, CT_DROP_FRAG_LENGTH, 1, FRAG_STAT_MALFORMED},
	{"TCP at 8 (RFC 3128)",
	 {{8, 200}},
	 0,
	 CT_DROP_FRAG_TINY,
	 1,
	 FRAG_STAT_TOO_SMALL,
	 IPPROTO_TCP,
	 true},
	{"a header in two (RFC 1858)",
	 {{16, 400, true}, {0, 16}},
	 1,
	 CT_DROP_FRAG_TINY,
	 1,
	 FRAG_STAT_TOO_SMALL,
	 IPPROTO_TCP},
	{"a wrong IP header",
	 {{0, 200, .header = true}},
	 0,
	 CT_DROP_FRAG_HEADER,
	 1,
	 FRAG_STAT_MALFORMED,
	 .only4 = true},
	{"a wrong UDP sum",
	 {{0, 200}, {200, 400, true, .flip = 1}},
	 2,
	 CT_DROP_L4_CHECKSUM,
	 2,
	 FRAG_STAT_MAX},
	{"a wrong TCP sum",
	 {{0, 200}, {200, 400, true, .flip = 1}},
	 2,
	 CT_DROP_L4_CHECKSUM,
	 2,
	 FRAG_STAT_MAX,
	 IPPROTO_TCP},
	{"a wrong ICMP sum",
	 {{0, 200}, {200, 400, true, .flip = 1}},
	 2,
	 CT_DROP_L4_CHECKSUM,
	 2,
	 FRAG_STAT_MAX,
	 IPPROTO_ICMP},
	{"a wrong SCTP sum",
	 {{0, 200}, {200, 400, true, .flip = 1}},
	 2,
	 CT_DROP_L4_CHECKSUM,
	 2,
	 FRAG_STAT_MAX,
	 IPPROTO_SCTP},
};

static void refuse(const struct refusal *r, int six)
{
	uint64_t before[2 * FRAG_STAT_MAX], after[2 * FRAG_STAT_MAX], was = drops(r->reason);
	uint8_t out[ROOM], frame[ROOM];
	size_t n;

	datagram(six, r->proto ? r->proto : IPPROTO_UDP,
		 400 - (!r->proto || r->proto == IPPROTO_ICMP ? 8
			: r->proto == IPPROTO_TCP	      ? 20
							      : 32));
	counters(before);
	for (int i = 0; i < STEPS && (r->s[i].end || r->s[i].off); i++) {
		run(&r->s[i], out, &n);
		if (frag_how.verdict >= 0 && frag_how.verdict != HOLD)
			fail_msg("%s, IPv%d: step %d: verdict %d", r->what, six ? 6 : 4, i,
				 frag_how.verdict);
	}
	counters(after);
	if (drops(r->reason) - was != r->drops)
		fail_msg("%s, IPv%d: %s counted %lu times, not %u", r->what, six ? 6 : 4,
			 bpfct_drop_text(r->reason), (unsigned long)(drops(r->reason) - was),
			 r->drops);
	for (int stat = 0; stat < FRAG_STAT_MAX; stat++) {
		unsigned int want = stat == FRAG_STAT_ACCEPTED ? r->held : stat == (int)r->stat;

		if (MOVED(stat) != want)
			fail_msg("%s, IPv%d: counter %d moved by %lu, not %u", r->what, six ? 6 : 4,
				 stat, (unsigned long)MOVED(stat), want);
	}
	assert_int_equal(seen_on(PACKET_OUTGOING, frame), 0);
}

static void every_refusal_has_its_reason_and_counter(void **state)
{
	for (int six = 0; six < 2; six++)
		for (size_t i = 0; i < sizeof(refusals) / sizeof(*refusals); i++) {
			if (six && refusals[i].only4)
				continue;
			clean(state);
			refuse(&refusals[i], six);
		}
}

static void a_65th_piece_ends_its_datagram(void **state)
{
	for (int six = 0; six < 2; six++) {
		uint64_t was = drops(CT_DROP_FRAG_PIECES);

		clean(state);
		datagram(six, IPPROTO_UDP, 1200);
		moved(six, FRAG_STAT_TOO_MANY);
		for (unsigned int i = 0; i < 64; i++)
			PIECE(HOLD, 16 * i, 16 * i + 16);
		PIECE(-CT_DROP_FRAG_PIECES, 1024, 1040);
		assert_int_equal(moved(six, FRAG_STAT_TOO_MANY), 1);
		PIECE(-CT_DROP_FRAG_PIECES, 1040, 1208, true);
		assert_int_equal(drops(CT_DROP_FRAG_PIECES) - was, 66);
		assert_int_equal(table()->use.bytes, 0);
	}
}

static void below_the_smallest_size_is_refused_but_for_the_last(void **state)
{
	for (int six = 0; six < 2; six++) {
		clean(state);
		snat(six);
		datagram(six, IPPROTO_UDP, 400);
		table()->min_size[six] = (six ? 48 : 20) + 200;
		moved(six, FRAG_STAT_TOO_SMALL);
		PIECE(-CT_DROP_FRAG_SMALL, 0, 192);
		assert_int_equal(moved(six, FRAG_STAT_TOO_SMALL), 1);
		PIECE(HOLD, 0, 200);
		PIECE(HOLD, 200, 400);
		PIECE(WHOLE, 400, 408, true);
	}
}

/* A quota of two; the third is refused, another source's is not, and the two complete. */
static void quotas_refuse_the_newcomer(void **state)
{
	for (int six = 0; six < 2; six++)
		for (int of = 0; of < 4; of++) {
			int zone = of & 1, bytes = of & 2;
			struct frag_limit *l = zone ? &table()->zone : &table()->source;
			int no = -(zone ? CT_DROP_FRAG_ZONE : CT_DROP_FRAG_SOURCE);

			clean(state);
			snat(six);
			datagram(six, IPPROTO_UDP, 392);
			*(bytes ? &l->bytes : &l->datagrams) = bytes ? 2 * FRAG_CHUNK : 2;
			PIECE(HOLD, 0, 200);
			PIECE(HOLD, 0, 200, .other = true);
			moved(six, FRAG_STAT_REFUSED);
			frag_how.side = 1;
			PIECE(no, 0, 200);
			assert_int_equal(moved(six, FRAG_STAT_REFUSED), 1);
			PIECE(zone ? no : HOLD, 0, 200, .host = 1);
			assert_int_equal(table()->use.datagrams, zone ? 2 : 3);
			/* The last one needs room as well. */
			*(bytes ? &l->bytes : &l->datagrams) = bytes ? 3 * FRAG_CHUNK : 2;
			frag_how.side = 0;
			PIECE(WHOLE, 200, 400, true);
			PIECE(WHOLE, 200, 400, true, .other = true);
		}
}

/* At the limit in all the oldest gives way, and memory does not pass it. */
static void at_the_limit_in_all_the_oldest_gives_way(void **state)
{
	for (int six = 0; six < 2; six++) {
		clean(state);
		snat(six);
		datagram(six, IPPROTO_UDP, 392);
		table()->total.datagrams = 3;
		for (int i = 0; i < 3; i++) {
			frag_how.side = i;
			PIECE(HOLD, 0, 200);
			age(1);
		}
		moved(six, FRAG_STAT_EVICTED);
		frag_how.side = 3;
		PIECE(HOLD, 0, 200);
		assert_int_equal(moved(six, FRAG_STAT_EVICTED), 1);
		assert_int_equal(table()->use.datagrams, 3);
		assert_int_equal(table()->use.bytes, 3 * FRAG_CHUNK);
		for (int i = 1; i < 4; i++) {
			frag_how.side = i;
			PIECE(WHOLE, 200, 400, true);
		}
	}
}

/* Over at once, whatever the sweep does, and counted by whoever ends it. */
static void what_is_not_whole_in_time_is_over(void **state)
{
	for (int six = 0; six < 2; six++)
		for (int swept = 0; swept < 2; swept++) {
			uint64_t was;

			clean(state);
			was = drops(CT_DROP_FRAG_TIMEOUT);
			datagram(six, IPPROTO_UDP, 392);
			PIECE(HOLD, 0, 200);
			age(FRAG_TIMEOUT - 2);
			frag_sweep();
			assert_int_equal(table()->use.datagrams, 1);
			age(3);
			moved(six, FRAG_STAT_EXPIRED);
			if (swept) {
				frag_sweep();
				assert_int_equal(table()->use.datagrams, 0);
			}
			PIECE(HOLD, 200, 400, true);
			assert_int_equal(moved(six, FRAG_STAT_EXPIRED), 1);
			assert_int_equal(drops(CT_DROP_FRAG_TIMEOUT) - was, 1);
			assert_int_equal(table()->use.datagrams, 1);
			assert_int_equal(table()->use.bytes, FRAG_CHUNK);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_refusal_has_its_reason_and_counter),
		cmocka_unit_test(a_65th_piece_ends_its_datagram),
		cmocka_unit_test(below_the_smallest_size_is_refused_but_for_the_last),
		cmocka_unit_test(quotas_refuse_the_newcomer),
		cmocka_unit_test(at_the_limit_in_all_the_oldest_gives_way),
		cmocka_unit_test(what_is_not_whole_in_time_is_over),
	};

	return cmocka_run_group_tests_name("frag_refused", tests, frags_up, frags_down) ? 1 : 0;
}
