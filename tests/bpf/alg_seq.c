// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Sequence numbers of connections whose payload was edited to another length (nat_seq.h), by
 * BPF_PROG_RUN of alg_seq.bpf.c. Frames that come out are compared byte by byte with
 * frames built from scratch from the numbers that are wanted, checksums included. Large ones whose
 * checksum is left to the network card go through a tap, which has the kernel cut them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/pkt_cls.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "bpf/abi/alg_abi.h"
#include "bpf/ct/ct_tcp_table.h"
#include "tests/bpf/alg_seq.h"
#include "tests/bpf/lib/play.h"

/* Tables name only what matters. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define GEN 77

static struct bpf_object *obj;
static int segment_fd, case_map;
static struct ct_alg alg;      /* of the connection */
static const char *shape = ""; /* of its options, said when a test fails */

/* Options as they stand in the header, and what they are to become; equal unless said. */
struct options {
	uint8_t in[40], out[40];
	uint8_t len;
};

static int up(void **state)
{
	if (unshare(CLONE_NEWNET) || core_up(state))
		return -1;
	obj = open_shared("alg_seq.bpf.o");
	segment_fd = prog(obj, "segment");
	case_map = bpf_object__find_map_fd_by_name(obj, "seq_case_v1");
	return 0;
}

static int down(void **state)
{
	bpf_object__close(obj);
	return core_down(state);
}

/* A connection without edits whose helper has left: its payload passes by ctd. */
static int clean(void **state)
{
	(void)state;
	memset(&alg, 0, sizeof(alg));
	alg.helper = 1;
	alg.off = 1;
	return 0;
}

static void edited(int dir, uint32_t pos, int32_t before, int32_t after)
{
	alg.fix[dir][alg.fixes[dir]++] = (struct ct_alg_fix){pos, before, after};
}

static struct ct_label_key conn_of(int six)
{
	return (struct ct_label_key){.key.pad = six ? 6 : 4, .gen = GEN};
}

/* A TCP frame with options, sealed as its sender would. Returns its length. */
static size_t frame_of(uint8_t *f, const struct packet *p, const uint8_t *opt, size_t n)
{
	size_t len = build(f, p), l3 = 14 + 4 * p->vlans, l4, total;
	uint8_t *ip = f + l3, *tcp;
	uint32_t s;

	l4 = l3 + (is6(p) ? 40 + (p->ext & EXT_HOP ? 8 : 0) : 20 + p->options);
	tcp = f + l4;
	memmove(tcp + 20 + n, tcp + 20, len - l4 - 20);
	if (opt)
		memcpy(tcp + 20, opt, n);
	len += n;
	total = len - l4;
	tcp[12] = (20 + n) / 4 << 4;
	if (is6(p)) {
		put2(ip + 4, len - l3 - 40);
		s = sum(ip + 8, 32, total + IPPROTO_TCP);
	} else {
		put2(ip + 2, len - l3);
		put2(ip + 10, 0);
		put2(ip + 10, ~sum(ip, l4 - l3, 0));
		s = sum(ip + 12, 8, total + IPPROTO_TCP);
	}
	put2(tcp + 16, 0);
	put2(tcp + 16, ~sum(tcp, total, s));
	return len;
}

static struct packet segment_of(int six, uint32_t seq, uint32_t ack)
{
	return (struct packet){.src = C[six],
			       .dst = S[six],
			       .proto = IPPROTO_TCP,
			       .sport = 5000,
			       .dport = 21,
			       .tcp = CT_TH_ACK,
			       .seq = seq,
			       .ack = ack};
}

/* Runs one frame of direction dir; the verdict is in *c. */
static void run(int six, int dir, const uint8_t *in, size_t len, uint8_t *out, size_t *outlen,
		struct seq_case *c)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in, .data_size_in = len, .data_out = out,
		    .data_size_out = 600, .repeat = 1);
	struct ct_label_key key = conn_of(six);
	uint32_t zero = 0;

	*c = (struct seq_case){.dir = dir, .gen = GEN};
	assert_int_equal(bpf_map_update_elem(core.pins.alg_fd, &key, &alg, BPF_ANY), 0);
	assert_int_equal(bpf_map_update_elem(case_map, &zero, c, BPF_ANY), 0);
	assert_int_equal(run_summed(segment_fd, &opts, true), 0);
	assert_int_equal(bpf_map_lookup_elem(case_map, &zero, c), 0);
	*outlen = opts.data_size_out;
}

/* `in` with these options comes out as `want` with those. */
static void becomes(int dir, const struct packet *in, const struct packet *want,
		    const struct options *o, int line)
{
	uint8_t a[600], b[600], out[600];
	size_t alen = frame_of(a, in, o->in, o->len), blen, n;
	struct seq_case c;

	run(is6(in), dir, a, alen, out, &n, &c);
	if (c.verdict)
		fail_msg("line %d: verdict %d", line, c.verdict);
	if (c.ack != want->ack)
		fail_msg("line %d: the tracker sees ack %u, not %u", line, c.ack, want->ack);
	blen = frame_of(b, want, o->out, o->len);
	if (n == blen && !memcmp(out, b, n))
		return;
	dump("in", a, alen);
	dump("out", out, n);
	dump("want", b, blen);
	fail_msg("line %d: not the segment wanted: %s", line, shape);
}

/* Numbers as a segment of direction dir has them, and as it has to leave: both families, bare and
 * with payload, behind tags, IPv4 options and an extension header. */
static void numbers(int dir, uint32_t seq, uint32_t ack, uint32_t want_seq, uint32_t want_ack,
		    const struct options *o, int line)
{
	alg.until[dir] = seq;
	for (int i = 0; i < 8; i++) {
		struct packet in = segment_of(i & 1, seq, ack), want;

		in.payload = i & 2 ? 31 : 0;
		in.vlans = i & 4 ? 1 : 0;
		in.options = i & 4 ? 8 : 0;
		in.ext = i & 4 ? EXT_HOP : 0;
		want = in;
		want.seq = want_seq;
		want.ack = want_ack;
		becomes(dir, &in, &want, o, line);
	}
}

static const struct options none;
#define NUMBERS(dir, seq, ack, want_seq, want_ack)                                                 \
	numbers((dir), (seq), (ack), (want_seq), (want_ack), &none, __LINE__)

static void connection_without_edits_keeps_its_numbers(void **state)
{
	(void)state;
	for (int dir = 0; dir < 2; dir++)
		NUMBERS(dir, 1000, 7000, 1000, 7000);
}

/* The speaker of direction dir: 20 bytes up to 1000 have become `by` more. */
static void one_edit(int dir, int32_t by)
{
	clean(NULL);
	edited(dir, 1000, 0, by);
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
	edited(0, 1000, 0, 6);
	NUMBERS(1, 7000, 999, 7000, 999);
	for (uint32_t ack = 1000; ack < 1006; ack++)
		NUMBERS(1, 7000, ack, 7000, 999);
	NUMBERS(1, 7000, 1006, 7000, 1000);
	clean(NULL);
	edited(0, 1000, 0, -6);
	NUMBERS(1, 7000, 993, 7000, 993);
	NUMBERS(1, 7000, 994, 7000, 1000);
}

static void numbers_wrap_around(void **state)
{
	(void)state;
	/* the edit's end is before, at, and behind 2^32 in one or both number lines */
	edited(0, 0xfffffffe, 0, 6);
	NUMBERS(0, 0xfffffffd, 5, 0xfffffffd, 5);
	NUMBERS(0, 0xfffffffe, 5, 4, 5);
	NUMBERS(0, 3, 5, 9, 5);
	NUMBERS(1, 5, 0xfffffffd, 5, 0xfffffffd);
	NUMBERS(1, 5, 3, 5, 0xfffffffd);
	NUMBERS(1, 5, 4, 5, 0xfffffffe);
	NUMBERS(1, 5, 9, 5, 3);
	clean(NULL);
	edited(0, 2, 0, -6);
	NUMBERS(0, 0xfffffff0, 5, 0xfffffff0, 5);
	NUMBERS(0, 1, 5, 1, 5);
	NUMBERS(0, 2, 5, 0xfffffffc, 5);
	NUMBERS(0, 8, 5, 2, 5);
	NUMBERS(1, 5, 0xfffffffb, 5, 0xfffffffb);
	NUMBERS(1, 5, 0xfffffffc, 5, 2);
	NUMBERS(1, 5, 2, 5, 8);
	clean(NULL);
	/* half the number space away is before */
	edited(0, 0x80000010, 0, 6);
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
	edited(1, 1000, 0, 10);
	edited(1, 2000, 10, -5);
	edited(1, 3000, -5, 20);
	edited(1, 4000, 20, 0);
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
	edited(0, 5000, 30, 42);
	NUMBERS(0, 4000, 9, 4030, 9);
	NUMBERS(0, 5000, 9, 5042, 9);
	NUMBERS(1, 9, 4030, 9, 4000);
	NUMBERS(1, 9, 5042, 9, 5000);
	NUMBERS(1, 9, 5035, 9, 4999);
}

static void both_directions_are_edited_at_once(void **state)
{
	(void)state;
	edited(0, 1000, 0, 6);
	edited(1, 8000, 0, -4);
	NUMBERS(0, 1200, 8096, 1206, 8100);
	NUMBERS(1, 8100, 1206, 8096, 1200);
	NUMBERS(0, 900, 7990, 900, 7990);
}

static void a_segment_that_acknowledges_nothing_is_left_alone(void **state)
{
	struct packet in, want;

	(void)state;
	edited(1, 1000, 0, 6);
	for (int six = 0; six < 2; six++) {
		in = want = segment_of(six, 50, 2000);
		in.tcp = want.tcp = CT_TH_RST;
		becomes(0, &in, &want, &none, __LINE__);
		in.tcp = want.tcp = CT_TH_RST | CT_TH_ACK;
		want.ack = 1994;
		becomes(0, &in, &want, &none, __LINE__);
		in.tcp = want.tcp = CT_TH_FIN | CT_TH_ACK;
		becomes(0, &in, &want, &none, __LINE__);
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
	edited(0, 1000, 0, 6);
	alg.until[0] = 2000;
	for (int six = 0; six < 2; six++) {
		struct packet p = segment_of(six, 1999, 1);

		p.payload = 20; /* sent again, from before the edit's reader left to after it */
		run(six, 0, in, frame_of(in, &p, NULL, 0), out, &n, &c);
		assert_int_equal(c.verdict, -CT_DROP_ALG_WAIT);
		p.payload = 0;
		run(six, 0, in, frame_of(in, &p, NULL, 0), out, &n, &c);
		assert_int_equal(c.verdict, 0);
	}
	NUMBERS(0, 2000, 1, 2006, 1);
}

/* Options of n SACK blocks, two no-operations or time stamps before them. */
static struct options sack(int n, const uint32_t (*in)[2], const uint32_t (*out)[2], bool stamps)
{
	static const uint8_t stamp[] = {1, 1, 8, 10, 0, 0, 3, 232, 0, 0, 7, 208};
	struct options o = {.len = 0};

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
		clean(NULL);
		edited(dir, 1000, 0, 6);
		for (int n = 1; n <= 4; n++)
			for (int stamps = 0; stamps < (n < 4 ? 2 : 1); stamps++) {
				struct options o = sack(n, in, out, stamps);

				numbers(!dir, 7000, 960, 7000, 960, &o, __LINE__);
			}
	}
}

static void sack_blocks_follow_each_of_several_edits(void **state)
{
	static const uint32_t in[][2] = {{900, 1500}, {2005, 2500}, {0xfffffff0, 7}, {3020, 4005}};
	static const uint32_t out[][2] = {{900, 1490}, {2010, 2505}, {0xfffffff0, 7}, {3000, 3985}};
	struct options o = sack(4, in, out, false);

	(void)state;
	edited(0, 1000, 0, 10);
	edited(0, 2000, 10, -5);
	edited(0, 3000, -5, 20);
	numbers(1, 7000, 800, 7000, 800, &o, __LINE__);
}

static void sack_blocks_wrap_around(void **state)
{
	static const uint32_t in[][2] = {{2, 100}, {0xfffffff8, 0xfffffffa}, {0xfffffff8, 50}};
	static const uint32_t out[][2] = {
		{0xfffffffc, 94}, {0xfffffff8, 0xfffffffa}, {0xfffffff8, 44}};
	struct options o = sack(3, in, out, true);

	(void)state;
	edited(1, 0xfffffffc, 0, 6);
	numbers(0, 1, 0xfffffff6, 1, 0xfffffff6, &o, __LINE__);
}

/* An edited piece [980, 1000) that has become [980, 1006): what of it is not whole is not
 * there. */
static void no_block_claims_part_of_an_edited_piece(void **state)
{
	static const uint32_t in[][2] = {{1003, 1106}, {900, 1003}, {1001, 1004}, {1005, 1006}};
	static const uint32_t out[][2] = {{1000, 1100}, {900, 999}, {1000, 1000}, {1000, 1000}};
	struct options o = sack(4, in, out, false);

	(void)state;
	edited(0, 1000, 0, 6);
	numbers(1, 7000, 900, 7000, 900, &o, __LINE__);
}

/* Acknowledgement and blocks in one segment, whose own number changes as well. */
static void sack_and_both_numbers_at_once(void **state)
{
	static const uint32_t in[][2] = {{2006, 2106}};
	static const uint32_t out[][2] = {{2000, 2100}};
	struct options o = sack(1, in, out, true);

	(void)state;
	edited(0, 1000, 0, 6);
	edited(1, 8000, 0, 9);
	numbers(1, 8100, 1506, 8109, 1500, &o, __LINE__);
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
	edited(0, 1000, 0, 6);
	for (size_t i = 0; i < sizeof(raws) / sizeof(*raws); i++) {
		const struct raw *r = &raws[i];
		struct options o = {.len = r->len};

		memcpy(o.in, r->bytes, sizeof(o.in));
		memcpy(o.out, r->bytes, sizeof(o.out));
		for (int b = 0; b < 2 && r->at[b]; b++) {
			put4(o.out + r->at[b], 2048 - 6);
			put4(o.out + r->at[b] + 4, 2304 - 6);
		}
		shape = r->what;
		numbers(1, 7000, 900, 7000, 900, &o, __LINE__);
	}
	shape = "";
}

/* A data offset beyond the segment, or below the header's own size. */
static void lying_header_lengths_are_refused(void **state)
{
	uint8_t in[600], out[600];
	struct seq_case c;
	size_t n, len;

	(void)state;
	edited(0, 1000, 0, 6);
	for (int six = 0; six < 2; six++) {
		struct packet p = segment_of(six, 50, 2000);

		len = frame_of(in, &p, NULL, 0);
		in[14 + (six ? 40 : 20) + 12] = 0xf0;
		run(six, 1, in, len, out, &n, &c);
		assert_true(c.verdict < 0);
		in[14 + (six ? 40 : 20) + 12] = 0x40;
		run(six, 1, in, len, out, &n, &c);
		assert_true(c.verdict < 0);
	}
}

/* A router's error about a segment of direction !dir, of which n bytes are quoted. */
static void error_about(int dir, int six, uint8_t n, uint32_t seq, uint32_t ack, uint32_t want_seq,
			uint32_t want_ack, int line)
{
	struct packet quote = segment_of(six, seq, ack), want_quote = quote, in, want;
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
	run(six, dir, a, alen, out, &len, &c);
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
			clean(NULL);
			edited(!dir, 1000, 0, 6);
			edited(dir, 8000, 0, -4);
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

/* --- what a tap gives and takes --- */

static int tap_up(unsigned int *ifindex)
{
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	LIBBPF_OPTS(bpf_tc_hook, hook, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = 1, .priority = 1, .prog_fd = segment_fd);
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	assert_true(fd >= 0);
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "seq0");
	assert_int_equal(ioctl(fd, TUNSETIFF, &ifr), 0);
	assert_int_equal(system("sysctl -qw net.ipv6.conf.seq0.disable_ipv6=1 && "
				"ip link set seq0 up"),
			 0);
	hook.ifindex = *ifindex = if_nametoindex("seq0");
	assert_int_equal(bpf_tc_hook_create(&hook), 0);
	assert_int_equal(bpf_tc_attach(&hook, &opts), 0);
	return fd;
}

/* The next TCP frame to port 21 that leaves by the tap; its length. */
static size_t tap_read(int fd, uint8_t *frame, size_t room, struct virtio_net_hdr *h)
{
	uint8_t buf[70000];
	struct pollfd p = {.fd = fd, .events = POLLIN};
	ssize_t n;

	while (poll(&p, 1, 5000) == 1) {
		n = read(fd, buf, sizeof(buf));
		if (n < (ssize_t)sizeof(*h) + 54 || (size_t)n - sizeof(*h) > room)
			continue;
		memcpy(h, buf, sizeof(*h));
		memcpy(frame, buf + sizeof(*h), n - sizeof(*h));
		return n - sizeof(*h);
	}
	return 0;
}

#define CUT 500

/* A large segment whose checksum is left to the card, as a local sender's comes: the sum of
 * the pseudo header stands in its place. */
static size_t partial_frame(uint8_t *frame, const struct packet *p, struct virtio_net_hdr *h)
{
	bool six = is6(p);
	uint8_t *ip = frame + sizeof(*h) + 14, *l4 = ip + (six ? 40 : 20);
	struct packet small = *p;
	size_t n = 20 + p->payload;

	small.payload = 0;
	build(frame + sizeof(*h), &small);
	for (int i = 0; i < p->payload; i++)
		l4[20 + i] = 'a' + i % 26;
	if (six) {
		put2(ip + 4, n);
	} else {
		put2(ip + 2, 20 + n);
		put2(ip + 10, 0);
		put2(ip + 10, ~sum(ip, 20, 0));
	}
	put2(l4 + 16, sum(ip + (six ? 8 : 12), six ? 32 : 8, n + IPPROTO_TCP));
	*h = (struct virtio_net_hdr){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
				     .csum_start = l4 - frame - sizeof(*h),
				     .csum_offset = 16};
	if (p->payload > CUT) {
		h->gso_type = six ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
		h->gso_size = CUT;
		h->hdr_len = l4 + 20 - frame - sizeof(*h);
	}
	memcpy(frame, h, sizeof(*h));
	return l4 - frame + n;
}

static void large_partial(int fd, int six, uint32_t ifindex, unsigned int pieces)
{
	struct seq_case c = {.dir = 0, .gen = GEN, .redirect = ifindex};
	struct packet p = segment_of(six, 1200, 8096), want;
	struct ct_label_key key = conn_of(six);
	uint8_t frame[2000], got[2000];
	struct virtio_net_hdr h;
	uint32_t zero = 0;
	size_t n, len;

	assert_int_equal(bpf_map_update_elem(core.pins.alg_fd, &key, &alg, BPF_ANY), 0);
	assert_int_equal(bpf_map_update_elem(case_map, &zero, &c, BPF_ANY), 0);
	p.payload = pieces * CUT;
	n = partial_frame(frame, &p, &h);
	assert_int_equal(write(fd, frame, n), n);
	for (unsigned int i = 0; i < pieces; i++) {
		len = tap_read(fd, got, sizeof(got), &h);
		assert_int_equal(h.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM, 0);
		want = p;
		want.seq = 1206 + i * CUT;
		want.ack = 8100;
		want.payload = 0;
		n = frame_of(frame, &want, (const uint8_t *)"", 0);
		assert_int_equal(len, n + CUT);
		if (!six) { /* the pieces are numbered */
			put2(frame + 14 + 4, got[14 + 4] << 8 | got[14 + 5]);
			put2(frame + 14 + 2, 40 + CUT);
			put2(frame + 14 + 10, 0);
			put2(frame + 14 + 10, ~sum(frame + 14, 20, 0));
		} else {
			put2(frame + 14 + 4, 20 + CUT);
		}
		/* all but the checksum, then that, over what has come */
		memcpy(frame + n - 4, got + n - 4, 2);
		assert_memory_equal(got, frame, n);
		assert_int_equal(
			sum(got + n - 20, 20 + CUT,
			    sum(got + (six ? 22 : 26), six ? 32 : 8, 20 + CUT + IPPROTO_TCP)),
			0xffff);
	}
}

static void checksums_left_to_the_card_and_large_segments(void **state)
{
	uint32_t ifindex;
	int fd = tap_up(&ifindex);

	(void)state;
	edited(0, 1000, 0, 6);
	edited(1, 8000, 0, -4);
	for (int six = 0; six < 2; six++) {
		large_partial(fd, six, ifindex, 1);
		large_partial(fd, six, ifindex, 3);
	}
	close(fd);
}

#define TEST(f) cmocka_unit_test_setup(f, clean)

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
		TEST(sack_blocks_come_into_the_speakers_numbers),
		TEST(sack_blocks_follow_each_of_several_edits),
		TEST(sack_blocks_wrap_around),
		TEST(no_block_claims_part_of_an_edited_piece),
		TEST(sack_and_both_numbers_at_once),
		TEST(options_of_any_shape),
		TEST(lying_header_lengths_are_refused),
		TEST(an_error_quotes_what_its_receiver_has_sent),
		TEST(checksums_left_to_the_card_and_large_segments),
	};

	return cmocka_run_group_tests(tests, up, down);
}
