// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Payload of helped connections that came in fragments, by BPF_PROG_RUN of frag_packets.bpf.c:
 * what ctd gets through the ring is the whole datagram, however it was cut and in whatever order it
 * came, and nothing of it is held afterwards.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include <bpf/libbpf.h>

#include "bpf/abi/alg_abi.h"
#include "bpf/ct/ct_tcp_table.h"
#include "tests/bpf/lib/fragplay.h"

#define TAKEN 1
#define SIP   3 /* a number; no parser is here */

static struct ring_buffer *ring;
static uint8_t sample[sizeof(struct alg_packet) + ALG_DATA];
static unsigned int samples;

static int on_sample(void *arg, void *data, size_t size)
{
	(void)arg;
	assert_true(size <= sizeof(sample));
	memcpy(sample, data, size);
	samples++;
	return 0;
}

/* ctd is there, and listens. */
static int listened(void **state)
{
	struct ct_control clock = {.op = CT_CONTROL_CLOCK};

	clean(state);
	assert_int_equal(bpfct_control(&core.pins, &clock), 0);
	core.pins.settings->heartbeat = clock.jiffies;
	ring_buffer__consume(ring);
	samples = 0;
	frag_how.helper = SIP;
	return 0;
}

static int up(void **state)
{
	if (frags_up(state))
		return -1;
	ring = ring_buffer__new(core.pins.algring_fd, on_sample, NULL, NULL);
	return ring ? 0 : -1;
}

static int down(void **state)
{
	ring_buffer__free(ring);
	return frags_down(state);
}

/* The datagram in pieces of `size` bytes, the n-th of them taken at `order` steps: 1 in order,
 * -1 reversed, others as they fall. The last completes it and has this verdict. */
static void plays(size_t size, int order, int verdict, int line)
{
	size_t n = (d.len + size - 1) / size, i, at = order < 0 ? n - 1 : 0;

	for (i = 0; i < n; i++, at = (at + n + order) % n) {
		struct step s = {.off = at * size, .end = (at + 1) * size, .last = at == n - 1};

		if (s.last)
			s.end = d.len;
		piece_at(&s, i == n - 1 ? verdict : HOLD, line);
	}
}
#define PLAYS(size, order, verdict) plays((size), (order), (verdict), __LINE__)

/* One sample, which is all of the datagram. */
static void whole_is_taken(size_t size, size_t header)
{
	const struct alg_packet *p = (struct alg_packet *)sample;
	size_t ip = d.six ? 48 : 20, biggest = size < d.len ? size : d.len;

	ring_buffer__consume(ring);
	assert_int_equal(samples, 1);
	samples = 0;
	assert_int_equal(p->flags, ALG_P_L2 | ALG_P_FRAGS);
	assert_int_equal(p->gso_size, ip + biggest);
	assert_int_equal(p->l3_off, 14);
	assert_int_equal(p->l4_off, 14 + ip);
	assert_int_equal(p->len, 14 + ip + d.len);
	assert_int_equal(p->payload_len, d.len - header);
	assert_int_equal(p->helper, SIP);
	assert_memory_equal(sample + sizeof(*p) + p->l4_off, d.part, d.len);
	assert_int_equal(table()->use.datagrams, 0);
	assert_int_equal(table()->use.bytes, 0);
}

static void whole_datagram_is_taken(void **state)
{
	/* bytes of payload, bytes of a piece: chunks of 2,048 bytes begin and end anywhere */
	static const struct {
		uint16_t payload, size;
	} cut[] = {{600, 400},	 {1000, 16},	{3000, 1480},  {4088, 2024},  {5000, 2032},
		   {9001, 3200}, {12345, 2048}, {60000, 1448}, {65400, 1448}, {65400, 3000}};

	for (size_t i = 0; i < sizeof(cut) / sizeof(*cut); i++)
		for (int six = 0; six < 2; six++)
			for (int order = -1; order < 2; order += 2) {
				listened(state);
				datagram(six, IPPROTO_UDP, cut[i].payload);
				PLAYS(cut[i].size, order, TAKEN);
				whole_is_taken(cut[i].size, 8);
			}
}

static void pieces_may_fall_anyhow(void **state)
{
	for (int six = 0; six < 2; six++) {
		listened(state);
		datagram(six, IPPROTO_UDP, 7 * 1400 + 100); /* 8 pieces: 0 3 6 1 4 7 2 5 */
		PLAYS(1400, 3, TAKEN);
		whole_is_taken(1400, 8);
	}
}

/* Not with a ctd that could read it: it waits for its sender to say it again. */
static void without_ctd_it_is_dropped_whole(void **state)
{
	for (int six = 0; six < 2; six++) {
		listened(state);
		core.pins.settings->heartbeat = 0;
		datagram(six, IPPROTO_UDP, 3000);
		PLAYS(1000, 1, -CT_DROP_ALG_WAIT);
		assert_int_equal(table()->use.datagrams, 0);
		assert_int_equal(table()->use.bytes, 0);
		ring_buffer__consume(ring);
		assert_int_equal(samples, 0);
	}
}

static void overlap_is_never_taken(void **state)
{
	for (int six = 0; six < 2; six++) {
		listened(state);
		datagram(six, IPPROTO_UDP, 3000);
		PIECE(HOLD, .off = 0, .end = 1000);
		PIECE(-CT_DROP_FRAG_OVERLAP, .off = 992, .end = 2000);
		PIECE(-CT_DROP_FRAG_OVERLAP, .off = 1000, .end = 2000);
		PIECE(-CT_DROP_FRAG_OVERLAP, .off = 2000, .end = 3008, .last = true);
		ring_buffer__consume(ring);
		assert_int_equal(samples, 0);
	}
}

/* One segment of the connection C:5000 - S:80, whole. */
static void segment(bool reply, uint8_t flags, uint32_t seq, uint32_t ack, uint16_t payload)
{
	d.in = (struct packet){.src = reply ? S[d.six] : C[d.six],
			       .dst = reply ? C[d.six] : S[d.six],
			       .proto = IPPROTO_TCP,
			       .sport = reply ? 80 : 5000,
			       .dport = reply ? 5000 : 80,
			       .tcp = flags,
			       .seq = seq,
			       .ack = ack,
			       .payload = payload};
	d.len = build_part(d.part, &d.in);
}

/* The server's text had grown by 6 bytes: what acknowledges it is in its numbers, in the whole that
 * is taken too. */
static void segment_in_fragments_has_adjusted_numbers(void **state)
{
	for (int six = 0; six < 2; six++) {
		struct ct_label_key key;
		struct ct_alg alg;

		listened(state);
		d.six = six;
		segment(false, CT_TH_SYN, 1000, 0, 0);
		PIECE(WHOLE, .off = 0, .end = d.len, .last = true);
		segment(true, CT_TH_SYN | CT_TH_ACK, 7000, 1001, 0);
		PIECE(WHOLE, .off = 0, .end = d.len, .last = true);
		assert_int_equal(bpf_map_get_next_key(core.pins.alg_fd, NULL, &key), 0);
		assert_int_equal(bpf_map_lookup_elem(core.pins.alg_fd, &key, &alg), 0);
		alg.fixes[1] = 1;
		alg.fix[1][0] = (struct ct_alg_fix){7000, 0, 6};
		assert_int_equal(bpf_map_update_elem(core.pins.alg_fd, &key, &alg, BPF_ANY), 0);
		segment(false, CT_TH_ACK, 1001, 7007, 3000);
		PLAYS(1024, -1, TAKEN);
		segment(false, CT_TH_ACK, 1001, 7001, 3000);
		whole_is_taken(1024, 20);
		assert_int_equal(((struct alg_packet *)sample)->ack, 7001);
	}
}

#define TEST(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(whole_datagram_is_taken),
		TEST(pieces_may_fall_anyhow),
		TEST(without_ctd_it_is_dropped_whole),
		TEST(overlap_is_never_taken),
		TEST(segment_in_fragments_has_adjusted_numbers),
	};

	return cmocka_run_group_tests(tests, up, down);
}
