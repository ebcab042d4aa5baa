/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTD_ALG_CONN_H
#define BPFCT_CTD_ALG_CONN_H

#include <event2/event.h>

#include "../../alg/alg.h"
#include "alg_io.h"
#include "alg_packet.h"
#include "expect.h"

/* Bytes that the listener has not acknowledged: as many as are passed on at a time. */
#define ALG_OUT_SMALL 8192
#define ALG_OUT_BIG   16384
#define ALG_HELD_BIG  8192 /* alg_hold_max() of SIP */
#define ALG_AHEAD     8	   /* segments kept before their turn, a direction */

/*
 * What a speaker sends. The first part is pinned, so that a restarted ctd goes on where
 * this one stopped: bytes that the speaker was told to have arrived are here or with the listener.
 */
struct alg_stream {
	uint32_t next;	/* the speaker's number of what it sends next; all before has come */
	uint32_t acked; /* up to where we have acknowledged it ourselves, if owned */
	uint32_t sent;	/* the listener's number of out[0] */
	uint16_t n_out;
	uint16_t n_held;
	uint8_t begun;
	uint8_t owned; /* what is acknowledged by us alone is not all with the listener yet */
	uint8_t fin;   /* the speaker's FIN came by us */
	uint8_t pad;
	struct alg_headers like; /* of the last packet */
	uint8_t held[ALG_HELD_BIG];
	uint8_t out[ALG_OUT_BIG];
};

struct alg_ahead {
	uint32_t seq, len;
	bool fin;
	uint8_t *bytes;
};

struct alg_conn {
	struct alg_conn *next; /* of its hash chain */
	struct ctd *d;
	struct ct_label_key key;
	struct ct_alg map; /* as it stands in ct_alg_v1 */
	struct alg_session *session;
	struct expect_master master;
	struct expect_ops ops;
	struct alg_stream dir[2];
	struct alg_ahead ahead[2][ALG_AHEAD];
	struct event *timer; /* sends again what we own */
	unsigned int tries;
	/* Taken over from a former ctd: for so many turns more all that is not acknowledged is
	 * repeated. The sender of it may be waiting for a minute by now. */
	unsigned int again;
	bool logged;
	bool dirty;  /* map is to be written */
	double seen; /* last packet: monotonic seconds */
};

struct alg {
	int tap; /* -1: none yet */
	uint32_t ifindex;
	int link;
	struct ring_buffer *ring;
	struct event *ready;
	struct event *timer;
	struct alg_conn **hash;
	uint32_t walk; /* chain that the timer looks at next */
	uint32_t mark[1024];
	uint32_t mark_at;
	uint32_t mtu;
	struct alg_out out;
	struct alg_stats stats;
	unsigned int batch;
	uint64_t key; /* for the parsers' hashes */
	bool no_memory;
};
#define ALG_CHAINS 4096
#define ALG_CONNS  8192 /* about 20 KB each: payload of one more is not taken */

/* alg_conn.c: of this packet; made if it is the first. NULL: its record is gone, or no memory. */
struct alg_conn *alg_conn_get(struct ctd *d, const struct alg_packet *p);
/* Pins what a restarted ctd needs, and tells the packet path. Before anything is sent. */
void alg_conn_save(struct alg_conn *c);
/* Gives `bytes` of `dir` to the parser, carries out what it says. Returns the bytes consumed; the
 * edited text is in to[*n_to], at most `room` long; *hold: the rest is to be kept. */
size_t alg_conn_feed(struct alg_conn *c, int dir, uint8_t flags, const uint8_t *bytes, size_t len,
		     uint8_t *to, size_t room, size_t *n_to, bool *hold);
/* The record of the connection: its word, or 0 if it is gone; *tcp may be NULL. */
uint64_t alg_conn_word(struct alg_conn *c, struct ct_tcp *tcp);
void alg_conn_end(struct alg_conn *c);
/* A stretch of the table: ends what has no live record. */
void alg_conn_sweep(struct ctd *d);
/* What a former ctd has left. */
void alg_conn_adopt(struct ctd *d);
void alg_conn_free_all(struct ctd *d);

/* alg_tcp.c, alg_udp.c: a packet from the ring. */
void alg_tcp_take(struct alg_conn *c, const struct alg_taken *t);
void alg_udp_take(struct alg_conn *c, const struct alg_taken *t);
/* Owned bytes are there after a restart: starts their timer. */
void alg_tcp_resume(struct alg_conn *c);

/* alg_io.c: a frame of direction `dir` back into the packet path. */
void alg_io_send(struct alg_conn *c, int dir, const struct alg_headers *h, const uint8_t *frame,
		 size_t len);

/* alg_expect.c: what parsers ask and say. */
void alg_master_of(struct alg_conn *c); /* once its session is there */
void alg_ops_of(struct alg_conn *c, struct alg_ops *ops);
void alg_expect_events(struct alg_conn *c, struct alg_out *out);

#endif
