/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_TESTS_SEQPLAY_H
#define BPFCT_TESTS_SEQPLAY_H

#include "bpf/abi/alg_abi.h"
#include "bpf/ct/ct_tcp_table.h"
#include "play.h"
#include "tests/bpf/alg_seq.h"

/*
 * Segments of a connection whose payload was edited to another length, by BPF_PROG_RUN of
 * alg_seq.bpf.c: for cmocka tests. Frames that come out are compared byte by byte with frames built
 * from scratch from the numbers that are wanted, checksums included.
 */
#define SEQ_GEN 77

extern struct ct_alg seq_alg; /* of the connection */
extern const char *seq_shape; /* of its options, said when a test fails */
extern int seq_prog, seq_map; /* the program, and its map of one struct seq_case */

/* Options as they stand in the header, and what they are to become; equal unless said. */
struct seq_options {
	uint8_t in[40], out[40];
	uint8_t len;
};
extern const struct seq_options seq_none;

/* Group fixtures. Test fixture: a connection without edits whose helper has left, so that its
 * payload passes by ctd. */
int seq_up(void **state);
int seq_down(void **state);
int seq_clean(void **state);

void seq_edited(int dir, uint32_t pos, int32_t before, int32_t after);
struct ct_label_key seq_conn(int six);

/* A bare segment of the client; frames are sealed as its sender would. Returns the length. */
struct packet seq_segment(int six, uint32_t seq, uint32_t ack);
size_t seq_frame(uint8_t *f, const struct packet *p, const uint8_t *opt, size_t n);

/* Runs one frame of direction dir; the verdict is in *c. */
void seq_run(int six, int dir, const uint8_t *in, size_t len, uint8_t *out, size_t *outlen,
	     struct seq_case *c);

/* `in` with these options comes out as `want` with those. */
void seq_becomes(int dir, const struct packet *in, const struct packet *want,
		 const struct seq_options *o, int line);

/* Numbers as a segment of direction dir has them, and as it has to leave: both families, bare and
 * with payload, behind tags, IPv4 options and an extension header. */
void seq_numbers(int dir, uint32_t seq, uint32_t ack, uint32_t want_seq, uint32_t want_ack,
		 const struct seq_options *o, int line);
#define NUMBERS(dir, seq, ack, want_seq, want_ack)                                                 \
	seq_numbers((dir), (seq), (ack), (want_seq), (want_ack), &seq_none, __LINE__)

#define TEST(f) cmocka_unit_test_setup(f, seq_clean)

#endif
