/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_TESTS_ALG_LAB_H
#define BPFCT_TESTS_ALG_LAB_H

#include "alg/alg.h"

/*
 * A gateway with one helped connection, for the unit tests and the fuzzers: it does
 * what ctd will do (buffers, edits, events in order, ports) and writes down what
 * happened as text. Whatever must hold for every input is checked after every
 * call; lab_broken() is called when it does not.
 */

#define LAB_LOG	   65536
#define LAB_STREAM 262144
#define LAB_PORTS  1024

struct lab {
	struct alg_session s;
	struct alg_ops ops;
	uint64_t now;
	bool keep;	/* the wished port is given where it is free */
	bool exhausted; /* there is no port at all */
	struct {
		uint16_t port;
		uint8_t state;
	} ports[LAB_PORTS]; /* each once given out */
	unsigned int n_ports;
	uint16_t next_port;
	/* what lab_known() answers: an endpoint of another session behind the same NAT */
	char known[64], known_inside[64];
	uint16_t known_port, known_inside_port;
	unsigned int count[ALG_R_COUNT];
	unsigned int expects, closes, withdraws;
	bool off;
	size_t log_len;
	size_t held_len[2], sent_len[2];
	char log[LAB_LOG]; /* a line an event */
	uint8_t held[2][16384];
	uint8_t sent[2][LAB_STREAM]; /* what the peer of each direction's speaker gets */
};

/* "addr port": both ends of a direction as its packets look at their sender. */
struct lab_tuple {
	const char *saddr;
	uint16_t sport;
	const char *daddr;
	uint16_t dport;
};

__attribute__((noreturn, format(printf, 1, 2))) void lab_broken(const char *format, ...);

void lab_tuple(struct ct_tuple *t, const struct lab_tuple *from, uint8_t proto);
void lab_begin(struct lab *l, enum alg_helper helper, uint8_t proto, const struct lab_tuple *orig,
	       const struct lab_tuple *reply);
/* Bytes arrive in order; what the parser holds is kept for the next call. */
void lab_feed(struct lab *l, int dir, const void *bytes, size_t len, uint8_t flags);
/* The connection is over: nothing may be left reserved. */
void lab_end(struct lab *l);

enum { LAB_FREE, LAB_RESERVED, LAB_EXPECTED };
/* What became of an external port */
int lab_port_state(const struct lab *l, unsigned int port);

/* Transcripts: a line a piece, `O` or `R`, a blank, text with \r \n \\ and \xNN. */
struct lab_piece {
	int dir;
	uint8_t *bytes;
	size_t len;
};
struct lab_script {
	struct lab_tuple orig, reply; /* from the line `# orig A P A P reply A P A P proto N` */
	uint8_t proto;
	struct lab_piece *pieces;
	size_t n;
	char addr[4][64];
};
void lab_script_read(struct lab_script *s, const char *path);
void lab_script_free(struct lab_script *s);
/* Plays all of it. */
void lab_play(struct lab *l, const struct lab_script *s, enum alg_helper helper);
/* Every piece again, cut at every byte: the same log, bytes and state must come out. */
void lab_play_split(struct lab *l, const struct lab_script *s, enum alg_helper helper);

#endif
