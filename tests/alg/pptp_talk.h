/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_TESTS_ALG_PPTP_TALK_H
#define BPFCT_TESTS_ALG_PPTP_TALK_H

#include <string.h>

#include "tests/alg/lab.h"

/* Messages of PPTP's control connection (RFC 2637 2), for the lab. */
enum {
	PPTP_START_REQUEST = 1,
	PPTP_START_REPLY,
	PPTP_STOP_REQUEST,
	PPTP_STOP_REPLY,
	PPTP_ECHO_REQUEST,
	PPTP_ECHO_REPLY,
	PPTP_OUT_REQUEST,
	PPTP_OUT_REPLY,
	PPTP_IN_REQUEST,
	PPTP_IN_REPLY,
	PPTP_IN_CONNECTED,
	PPTP_CLEAR_REQUEST,
	PPTP_DISCONNECT,
	PPTP_WAN_ERROR,
	PPTP_SET_LINK,
};

static inline void pptp_put(uint8_t *b, size_t at, unsigned int v)
{
	b[at] = (uint8_t)(v >> 8);
	b[at + 1] = (uint8_t)v;
}

/* A message of any type and length, its first id. The rest is not zero. */
static inline void pptp_make(uint8_t *b, unsigned int type, size_t len, unsigned int id)
{
	static const uint8_t magic[4] = {0x1a, 0x2b, 0x3c, 0x4d};

	memset(b, 0x5a, len);
	pptp_put(b, 0, (unsigned int)len);
	pptp_put(b, 2, 1);
	memcpy(b + 4, magic, sizeof(magic));
	pptp_put(b, 8, type);
	pptp_put(b, 10, 0);
	pptp_put(b, 12, id);
}

static inline size_t pptp_len(unsigned int type)
{
	static const uint16_t len[] = {0,  156, 156, 16, 16, 16,  20, 168,
				       32, 220, 24,  28, 16, 148, 40, 24};

	return len[type];
}

static inline void pptp_raw(struct lab *l, int dir, unsigned int type, size_t len, unsigned int id)
{
	uint8_t b[256];

	pptp_make(b, type, len, id);
	lab_feed(l, dir, b, len, 0);
}

static inline void pptp_say(struct lab *l, int dir, unsigned int type)
{
	pptp_raw(l, dir, type, pptp_len(type), 0x100);
}

static inline void pptp_ask(struct lab *l, int dir, unsigned int type, unsigned int id)
{
	pptp_raw(l, dir, type, pptp_len(type), id);
}

static inline void pptp_ended(struct lab *l, int dir, unsigned int type, unsigned int id)
{
	pptp_raw(l, dir, type, pptp_len(type), id);
}

static inline void pptp_about(struct lab *l, int dir, unsigned int type, unsigned int peer)
{
	pptp_raw(l, dir, type, pptp_len(type), peer);
}

static inline void pptp_answer(struct lab *l, int dir, unsigned int type, unsigned int id,
			       unsigned int peer, unsigned int result)
{
	uint8_t b[32];

	pptp_make(b, type, pptp_len(type), id);
	pptp_put(b, 14, peer);
	pptp_put(b, 16, result << 8);
	lab_feed(l, dir, b, pptp_len(type), 0);
}

static inline void pptp_started(struct lab *l, unsigned int result)
{
	uint8_t b[156];

	pptp_make(b, PPTP_START_REPLY, sizeof(b), 0x100);
	pptp_put(b, 14, result << 8);
	lab_feed(l, CT_REPLY, b, sizeof(b), 0);
}

static inline void pptp_start(struct lab *l)
{
	pptp_say(l, CT_ORIG, PPTP_START_REQUEST);
	pptp_started(l, 1);
}

#endif
