// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Packets of helped connections taken apart and put together (userspace/ctd/alg_packet.c): what
 * came in fragments, and what leaves in such. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../userspace/ctd/alg_packet.c"

/* Tables name only what matters. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define EXT_HOP	 1
#define EXT_DST	 2 /* in front of the routing header */
#define EXT_ROUT 4
#define EXT_LAST 8 /* destination options behind the fragment header */

struct shape {
	int family, proto;
	size_t payload; /* as it came */
	size_t sent;	/* edited */
	uint32_t gso;	/* of fragments: size of the largest; 0: it came whole */
	uint8_t ext;
	uint8_t options; /* IPv4: bytes */
	bool df, l3;
	uint16_t id;
};

/* Frames as ctd has them: the IP header is aligned. */
static struct {
	uint8_t pad[2];
	uint8_t b[ALG_DATA + 64];
} __attribute__((aligned(8))) frame_buf, part_buf;
static uint8_t *const frame = frame_buf.b, *const part = part_buf.b;

static uint8_t sample[sizeof(struct alg_packet) + 70000];

static size_t ext(uint8_t *ip, size_t at, size_t *field, uint8_t type)
{
	ip[*field] = type;
	*field = at;
	memset(ip + at, 0, 8);
	if (type == IPPROTO_FRAGMENT)
		ip[at + 3] = 1; /* more to come */
	return at + 8;
}

static size_t put_headers(uint8_t *ip, const struct shape *s)
{
	/* Security is copied, record route is not (RFC 791 3.1); end of list */
	static const uint8_t options[] = {7, 7, 4, 0, 0, 0, 0, 130, 3, 9, 1, 0};
	size_t at = 40, field = 6;

	if (s->family == 4) {
		ip[0] = 0x40 | (20 + s->options) / 4;
		ip[4] = s->id >> 8;
		ip[5] = s->id;
		ip[6] = (s->df ? 0x40 : 0) | (s->gso ? 0x20 : 0);
		ip[8] = 64;
		ip[9] = s->proto;
		memcpy(ip + 12, "\x0a\0\0\2\xc6\x33\x64\7", 8);
		memcpy(ip + 20, options, s->options);
		return 20 + s->options;
	}
	ip[0] = 0x60;
	ip[7] = 64;
	ip[8] = 0xfd;
	ip[24] = 0x20;
	if (s->ext & EXT_HOP)
		at = ext(ip, at, &field, IPPROTO_HOPOPTS);
	if (s->ext & EXT_DST)
		at = ext(ip, at, &field, IPPROTO_DSTOPTS);
	if (s->ext & EXT_ROUT)
		at = ext(ip, at, &field, IPPROTO_ROUTING);
	if (s->gso)
		at = ext(ip, at, &field, IPPROTO_FRAGMENT);
	if (s->ext & EXT_LAST)
		at = ext(ip, at, &field, IPPROTO_DSTOPTS);
	ip[field] = s->proto;
	return at;
}

/* What the ring gives for it. */
static size_t take(const struct shape *s, struct alg_taken *t)
{
	struct alg_packet *p = (struct alg_packet *)sample;
	uint8_t *came = sample + sizeof(*p), *ip = came + (s->l3 ? 0 : 14), *l4;
	size_t header = s->proto == IPPROTO_TCP ? 20 : 8, i;
	uint16_t check;

	memset(sample, 0, sizeof(sample));
	p->l3_off = ip - came;
	p->l4_off = p->l3_off + put_headers(ip, s);
	p->flags = (s->l3 ? 0 : ALG_P_L2) | (s->gso ? ALG_P_FRAGS : 0);
	p->gso_size = s->gso;
	p->from.family = s->family;
	p->from.proto = s->proto;
	p->payload_len = s->payload;
	p->len = p->l4_off + header + s->payload;
	l4 = came + p->l4_off;
	l4[1] = 7;
	if (s->proto == IPPROTO_TCP)
		l4[12] = 5 << 4;
	else
		l4[4] = (header + s->payload) >> 8, l4[5] = header + s->payload;
	for (i = 0; i < s->payload; i++)
		l4[header + i] = i * 7;
	i = header + s->payload;
	check = htons(~fold(sum(l4, i, pseudo(ip, s->family, s->proto, i))) & 0xffff);
	memcpy(l4 + check_off(s->proto), &check, sizeof(check));
	assert_int_equal(alg_packet_read(sample, sizeof(*p) + p->len, t), 0);
	return p->len;
}

static uint16_t get_be(const uint8_t *at)
{
	return at[0] << 8 | at[1];
}

/* A fragment's place, its payload behind `head` bytes; checks what every fragment must be. */
static size_t place(const struct shape *s, const uint8_t *ip, size_t len, bool *more, size_t *head)
{
	size_t at = 40, field = 6;

	if (s->family == 4) {
		*head = (ip[0] & 15) * 4u;
		assert_int_equal(get_be(ip + 2), len);
		assert_int_equal(fold(sum(ip, *head, 0)), 0xffff);
		assert_int_equal(ip[6] >> 6, s->df);
		*more = ip[6] & 0x20;
		return (get_be(ip + 6) & 0x1fff) * 8u;
	}
	assert_int_equal(get_be(ip + 4), len - 40);
	while (ip[field] != IPPROTO_FRAGMENT) {
		field = at;
		at += 8;
		assert_true(at < 100);
	}
	*head = at + 8;
	*more = ip[at + 3] & 1;
	return get_be(ip + at + 2) & ~7u;
}

/* Taken, edited to s->sent bytes, sent in fragments: those make the datagram that was built. */
static void goes(const struct shape *s, unsigned int pieces)
{
	static uint8_t text[65536], got[ALG_DATA + 64];
	struct alg_headers h = {0};
	size_t off = 0, head = 0, n = 0, at, len;
	uint32_t size = s->gso ? s->gso : 1280, id = 0;
	struct alg_taken t;
	bool more = true;
	long built, one;

	take(s, &t);
	assert_int_equal(alg_packet_headers(&t, &h), 0);
	if (h.cut > size)
		size = h.cut;
	for (at = 0; at < s->sent; at++)
		text[at] = at * 13;
	built = alg_packet_build(&h, NULL, text, s->sent, frame, sizeof(frame_buf.b));
	assert_true(built > 0);
	len = built;
	assert_int_equal(len - h.l4_off, 8 + s->sent);
	while ((one = alg_packet_fragment(&h, frame, len, 0x11223344, &off, part,
					  sizeof(part_buf.b))) > 0) {
		const uint8_t *ip = part + h.l3_off;
		uint32_t was = id;

		assert_true(more && one - h.l3_off <= size);
		assert_int_equal(place(s, ip, one - h.l3_off, &more, &head), at = n ? at : 0);
		id = s->family == 4 ? get_be(ip + 4) : get_be(ip + head - 2);
		assert_true(!n || id == was);
		assert_memory_equal(part, frame, h.l3_off);
		if (!n)
			memcpy(got, part, h.l3_off + head);
		one -= h.l3_off + head;
		assert_true(!more || one % 8 == 0);
		memcpy(got + h.l3_off + head + at, ip + head, one);
		at += one;
		n++;
	}
	assert_int_equal(one, 0);
	assert_false(more);
	assert_int_equal(n, pieces);
	assert_int_equal(id, s->family == 4 && s->id && !s->df ? s->id : 0x3344);
	/* From the end: their headers differ by the fragment header. */
	head += h.l3_off;
	assert_int_equal(head + at, len + (s->family == 6 ? 8 : 0));
	assert_memory_equal(got + head, frame + len - at, at);
	at = len - h.l4_off;
	assert_int_equal(
		fold(sum(frame + h.l4_off, at, pseudo(frame + h.l3_off, s->family, s->proto, at))),
		0xffff);
}

static void fragments_make_what_was_built(void **state)
{
	(void)state;
	for (int family = 4; family <= 6; family += 2)
		for (int l3 = 0; l3 < 2; l3++) {
			struct shape s = {.family = family,
					  .proto = IPPROTO_UDP,
					  .payload = 4000,
					  .sent = 4030,
					  .gso = 1500,
					  .id = 9,
					  .l3 = l3};

			goes(&s, 3);
			s.sent = 60000;
			goes(&s, family == 4 ? 41 : 42);
			s.gso = 9000;
			goes(&s, 7);
			s.sent = family == 4 ? 8973 : 8945; /* a byte too much */
			goes(&s, 2);
		}
}

static void sizes_do_not_fall_below_the_least(void **state)
{
	struct shape s = {
		.family = 4, .proto = IPPROTO_UDP, .payload = 500, .sent = 600, .gso = 28, .id = 9};

	(void)state;
	goes(&s, 2); /* 576 */
	s.family = 6;
	s.sent = 1300;
	goes(&s, 2); /* 1280 */
	s.gso = 0;
	s.payload = 1300;
	s.sent = 1310; /* came in one piece of 1,348 bytes, does not fit any more */
	goes(&s, 2);
}

static void dont_fragment_stays_and_gets_an_id(void **state)
{
	struct shape s = {.family = 4,
			  .proto = IPPROTO_UDP,
			  .payload = 1472,
			  .sent = 1480,
			  .df = true,
			  .id = 0};

	(void)state;
	goes(&s, 2);
	s.id = 77;
	goes(&s, 2);
}

static void extension_headers_and_options_stay_where_they_belong(void **state)
{
	struct shape s = {.family = 4,
			  .proto = IPPROTO_UDP,
			  .payload = 3000,
			  .sent = 3010,
			  .gso = 1500,
			  .id = 9};
	static uint8_t text[3010];
	struct alg_headers h = {0};
	struct alg_taken t;
	size_t off = 0;
	long len;

	(void)state;
	s.options = 12;
	goes(&s, 3);
	take(&s, &t);
	assert_int_equal(alg_packet_headers(&t, &h), 0);
	len = alg_packet_build(&h, NULL, text, sizeof(text), frame, sizeof(frame_buf.b));
	assert_true(alg_packet_fragment(&h, frame, len, 1, &off, part, sizeof(part_buf.b)) > 0);
	assert_memory_equal(part + 14 + 20, "\7\7\4\0\0\0\0\202\3\t\1\0", 12);
	assert_true(alg_packet_fragment(&h, frame, len, 1, &off, part, sizeof(part_buf.b)) > 0);
	assert_memory_equal(part + 14 + 20, "\1\1\1\1\1\1\1\202\3\t\1\0", 12);
	s.family = 6;
	s.options = 0;
	for (s.ext = 0; s.ext < 16; s.ext++)
		goes(&s, 3);
}

/* A segment that came in fragments is passed on in segments that need none. */
static void segments_are_no_longer_than_the_fragments(void **state)
{
	(void)state;
	for (int family = 4; family <= 6; family += 2) {
		struct shape s = {
			.family = family, .proto = IPPROTO_TCP, .payload = 2800, .gso = 1500};
		struct alg_headers h = {0};
		struct alg_taken t;

		take(&s, &t);
		assert_int_equal(alg_packet_headers(&t, &h), 0);
		assert_int_equal(h.mss, family == 4 ? 1460 : 1440);
		assert_int_equal(h.cut, 0);
		assert_int_equal(h.len, 14 + (family == 4 ? 40 : 60));
		assert_int_equal(family == 4 ? get_be(h.bytes + 20) : h.bytes[20],
				 family == 4 ? 0 : IPPROTO_TCP);
	}
}

/* What the ring never gives, or a kernel that is not ours. */
static void a_fragment_without_its_header_is_refused(void **state)
{
	struct shape s = {
		.family = 6, .proto = IPPROTO_UDP, .payload = 30, .sent = 30, .ext = EXT_HOP};
	struct alg_headers h = {0};
	struct alg_taken t;

	(void)state;
	take(&s, &t);
	((struct alg_packet *)sample)->flags |= ALG_P_FRAGS;
	assert_int_equal(alg_packet_headers(&t, &h), -EINVAL);
	sample[sizeof(struct alg_packet) + 14 + 40 + 1] = 255; /* and its chain leaves it */
	assert_int_equal(alg_packet_headers(&t, &h), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fragments_make_what_was_built),
		cmocka_unit_test(sizes_do_not_fall_below_the_least),
		cmocka_unit_test(dont_fragment_stays_and_gets_an_id),
		cmocka_unit_test(extension_headers_and_options_stay_where_they_belong),
		cmocka_unit_test(segments_are_no_longer_than_the_fragments),
		cmocka_unit_test(a_fragment_without_its_header_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
