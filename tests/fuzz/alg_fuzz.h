/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_TESTS_FUZZ_ALG_FUZZ_H
#define BPFCT_TESTS_FUZZ_ALG_FUZZ_H

#include <stdlib.h>
#include <string.h>

#include "tests/alg/lab.h"

/*
 * The input: a byte of settings, then pieces: a byte (0x80: from the REPLY side, 0x40:
 * the end, low 6 bits: length / 256) and a byte (length % 256), then the
 * bytes. The lab checks what must hold after every call. The same input is played
 * whole and cut into small pieces, and both must come out the same.
 */

static const struct lab_tuple fuzz_tuples[][2] = {
	{{"10.0.0.2", 5060, "203.0.113.2", 5060}, {"203.0.113.2", 5060, "203.0.113.1", 5060}},
	{{"198.51.100.9", 5060, "203.0.113.1", 5060}, {"10.0.0.5", 5060, "198.51.100.9", 5060}},
	{{"fd00:1::2", 5060, "2001:db8::2", 5060}, {"2001:db8::2", 5060, "2001:db8::1", 5061}},
	{{"10.0.0.2", 5060, "203.0.113.2", 5060}, {"203.0.113.2", 5060, "10.0.0.2", 5060}},
};

/* cut 0: as it is; else pieces of at most that many bytes */
static void fuzz_play(struct lab *l, const uint8_t *b, size_t n, uint8_t flags, size_t cut)
{
	while (n >= 2) {
		int dir = b[0] >> 7;
		uint8_t end = b[0] & 0x40 ? ALG_F_EOF : 0;
		size_t len = (size_t)(b[0] & 0x3f) << 8 | b[1];

		b += 2;
		n -= 2;
		if (len > n)
			len = n;
		while (cut && len > cut) {
			lab_feed(l, dir, b, cut, flags);
			b += cut;
			n -= cut;
			len -= cut;
		}
		lab_feed(l, dir, b, len, flags | end);
		b += len;
		n -= len;
	}
	lab_end(l);
}

static void fuzz_same(const struct lab *a, const struct lab *b)
{
	for (int d = 0; d < 2; d++)
		if (a->sent_len[d] != b->sent_len[d] ||
		    memcmp(a->sent[d], b->sent[d], a->sent_len[d]))
			lab_broken("segmentation changes what direction %d sends", d);
	if (a->log_len != b->log_len || memcmp(a->log, b->log, a->log_len))
		lab_broken("segmentation changes the events:\n%s--\n%s", a->log, b->log);
	if (memcmp(a->count, b->count, sizeof(a->count)))
		lab_broken("segmentation changes the reasons");
}

static struct lab *fuzz_lab(void)
{
	struct lab *l = malloc(sizeof(*l));

	if (!l)
		lab_broken("no memory");
	return l;
}

static int fuzz_one(const uint8_t *data, size_t size, enum alg_helper helper, uint8_t proto,
		    uint8_t flags)
{
	static struct lab *whole, *cut;
	const struct lab_tuple *t;

	if (!whole) {
		whole = fuzz_lab();
		cut = fuzz_lab();
	}
	if (!size || size > 65536)
		return 0;
	t = fuzz_tuples[data[0] & 3];
	lab_begin(whole, helper, proto, &t[0], &t[1]);
	whole->keep = data[0] & 4;
	whole->exhausted = data[0] == 0xff;
	whole->ops.port_at_once = data[0] & 8;
	fuzz_play(whole, data + 1, size - 1, flags, 0);
	if (flags & ALG_F_DATAGRAM)
		return 0;
	lab_begin(cut, helper, proto, &t[0], &t[1]);
	cut->keep = data[0] & 4;
	cut->exhausted = data[0] == 0xff;
	cut->ops.port_at_once = data[0] & 8;
	fuzz_play(cut, data + 1, size - 1, flags, 1 + (data[0] >> 4));
	fuzz_same(whole, cut);
	return 0;
}

#endif
