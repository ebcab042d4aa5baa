/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_TESTS_FRAGPLAY_H
#define BPFCT_TESTS_FRAGPLAY_H

#include <linux/pkt_cls.h>

#include "play.h"
#include "tests/bpf/frag_packets.h"

/*
 * Fragments by BPF_PROG_RUN of frag_packets.bpf.c: for cmocka tests. What
 * frag_release() clones is read from the device by which it leaves, the last fragment
 * from the program.
 */

enum { WHOLE, PASS, HOLD, RETURNED }; /* as frag_admit.h and frag_hold.h */

#define ROOM	 3300 /* of a frame; BPF_PROG_RUN takes a page at most */
#define PORT_OUT 40000

extern struct frag_case frag_how; /* for the packets to come; clean() clears it */
extern uint32_t mark;		  /* of the next packet, and what it was left with */

/* The datagram that fragments are of: the part that they are cut from, and what it is
 * translated. */
extern struct frag_datagram {
	struct packet in, out;
	int six;
	size_t len;
	uint8_t part[65536], sent[65536];
} d;

/* A fragment of it */
struct step {
	uint16_t off, end;
	bool last;
	uint8_t flip;  /* these bits of the last byte */
	uint8_t extra; /* bytes that are there beyond the datagram's */
	bool header;   /* the IPv4 header's checksum is wrong */
	bool other;    /* under another id */
	uint8_t host;  /* from another source: number, /64 */
};

/* Group fixtures: a namespace with a device to leave by, core, the program. Test
 * fixture: nothing is held, no limits, nothing waits to be read. */
int frags_up(void **state);
int frags_down(void **state);
int clean(void **state);

/* New connections go out by E:PORT_OUT. */
void snat(int six);

/* Makes d: payload bytes after the transport header. */
void datagram(int six, uint8_t proto, uint16_t payload);

/* Plays one; returns the program's action, frag_how.verdict says more. The frame that
 * it left is in out. */
int run(const struct step *s, uint8_t *out, size_t *len);

/* Plays one and wants the verdict. */
void piece_at(const struct step *s, int verdict, int line);
#define PIECE(verdict, ...) piece_at(&(struct step){__VA_ARGS__}, (verdict), __LINE__)

/* The next frame of this packet type that the device has seen. 0: none. */
size_t seen_on(int type, uint8_t *frame);

/* It is this fragment, translated if out. */
void same_frame(const uint8_t *got, size_t n, const struct step *s, int out);

struct frag_table *table(void);
void frag_sweep(void);

/* All counters by 2 * enum frag_stat + (family 6). How often one has moved since the
 * last call for any. */
void counters(uint64_t *stats);
unsigned int moved(int six, enum frag_stat stat);
#define MOVED(stat) (after[2 * (stat) + six] - before[2 * (stat) + six])

#endif
