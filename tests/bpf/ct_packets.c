// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Packets through the stages by BPF_PROG_RUN. What comes out is compared byte by
 * byte with a packet built from scratch, so every checksum is the one that a
 * sender of the translated packet would have put in.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bpf/ct/ct_tcp_table.h"
#include "ct_packets.h"
#include "userspace/lib/loader.h"

/* Tables name only what matters. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

/* as ct_result.h and ct_pkt.h, which only BPF programs can include */
enum { UNTRACKED, NEW, OPENING, ESTABLISHED, REPLIED, RELATED };
#define S_NEW  0x01
#define S_EST  0x02
#define S_REL  0x04
#define S_RPL  0x08
#define S_INV  0x10
#define S_TRK  0x20
#define S_SNAT 0x40
#define S_DNAT 0x80

static struct bpfct_core core;
static struct bpf_object *obj, *fw;
static int packet_fd, ingress_fd, case_fd;

/* ---- packets ---- */

/* IPv6 extension headers, in this order */
#define EXT_HOP	  0x01
#define EXT_DST	  0x02
#define EXT_ROUTE 0x04
#define EXT_AH	  0x08
#define EXT_ATOM  0x10 /* a fragment header that says: whole */

struct packet {
	const char *src, *dst; /* family by the colon */
	uint8_t proto;
	uint16_t sport, dport;
	uint8_t tcp; /* flags */
	uint32_t seq, ack;
	uint8_t type, code; /* ICMP */
	uint16_t id;
	uint8_t payload; /* bytes */
	uint8_t vlans;	 /* 0 to 2 */
	uint8_t options; /* bytes of IPv4 options, a multiple of 4 */
	uint8_t ext;
	bool no_csum;		    /* UDP: 0 */
	bool bare;		    /* no link header */
	uint16_t frag;		    /* IPv4: flags and offset; IPv6: offset and flags */
	const struct packet *quote; /* ICMP errors */
	uint8_t quoted;		    /* bytes of it, 0: header and 8 bytes */
};

static bool is6(const struct packet *p)
{
	return strchr(p->src, ':');
}

static uint32_t sum(const void *data, size_t n, uint32_t s)
{
	const uint8_t *b = data;

	for (size_t i = 0; i < n; i++)
		s += i & 1 ? b[i] : b[i] << 8;
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return s;
}

static void put2(uint8_t *at, uint16_t v)
{
	at[0] = v >> 8;
	at[1] = v;
}

static void put4(uint8_t *at, uint32_t v)
{
	put2(at, v >> 16);
	put2(at + 2, v);
}

static size_t build_l3(uint8_t *at, const struct packet *p);

static size_t build_l4(uint8_t *at, const struct packet *p)
{
	size_t n = 0;

	switch (p->proto) {
	case IPPROTO_TCP:
		put2(at, p->sport);
		put2(at + 2, p->dport);
		put4(at + 4, p->seq);
		put4(at + 8, p->ack);
		at[12] = 5 << 4;
		at[13] = p->tcp;
		put2(at + 14, 64000);
		n = 20;
		break;
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
		put2(at, p->sport);
		put2(at + 2, p->dport);
		put2(at + 4, 8 + p->payload);
		n = 8;
		break;
	case IPPROTO_SCTP:
		put2(at, p->sport);
		put2(at + 2, p->dport);
		at[12] = 1; /* INIT, alone, tag 0 */
		put2(at + 14, 20);
		put4(at + 16, 0x11223344);
		n = 32;
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		at[0] = p->type;
		at[1] = p->code;
		put2(at + 4, p->id);
		n = 8;
		if (p->quote) {
			size_t whole = build_l3(at + 8, p->quote);
			size_t cut = p->quoted ? p->quoted : is6(p) ? 48 : 28u + p->quote->options;

			return 8 + (cut < whole ? cut : whole);
		}
		break;
	}
	for (size_t i = 0; i < p->payload; i++)
		at[n + i] = 'a' + i % 26;
	return n + p->payload;
}

/* The checksum of the transport header over pseudo header and all. */
static void seal_l4(uint8_t *l4, size_t n, const struct packet *p, const uint8_t *addr)
{
	size_t alen = is6(p) ? 32 : 8, off;
	uint32_t s = 0;
	uint16_t check;

	switch (p->proto) {
	case IPPROTO_TCP:
		off = 16;
		break;
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
		off = 6;
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		off = 2;
		break;
	default:
		return;
	}
	if (p->proto == IPPROTO_UDP && p->no_csum)
		return;
	if (p->proto != IPPROTO_ICMP)
		s = sum(addr, alen, n + p->proto);
	check = ~sum(l4, n, s);
	if (!check && (p->proto == IPPROTO_UDP || p->proto == IPPROTO_UDPLITE))
		check = 0xffff;
	put2(l4 + off, check);
}

static size_t build_l3(uint8_t *at, const struct packet *p)
{
	uint8_t *l4;
	size_t n;

	memset(at, 0, 300);
	if (!is6(p)) {
		l4 = at + 20 + p->options;
		at[0] = 0x40 | (20 + p->options) / 4;
		memset(at + 20, 1, p->options); /* no-operations */
		at[8] = 64;
		at[9] = p->proto;
		put2(at + 6, p->frag);
		assert_int_equal(inet_pton(AF_INET, p->src, at + 12), 1);
		assert_int_equal(inet_pton(AF_INET, p->dst, at + 16), 1);
		n = build_l4(l4, p);
		put2(at + 2, l4 - at + n);
		put2(at + 10, ~sum(at, l4 - at, 0));
		seal_l4(l4, n, p, at + 12);
		return l4 - at + n;
	}
	at[0] = 0x60;
	at[7] = 64;
	assert_int_equal(inet_pton(AF_INET6, p->src, at + 8), 1);
	assert_int_equal(inet_pton(AF_INET6, p->dst, at + 24), 1);
	uint8_t *next = at + 6;

	l4 = at + 40;
#define EXT(bit, proto, len, lenfield)                                                             \
	if (p->ext & (bit)) {                                                                      \
		*next = (proto);                                                                   \
		next = l4;                                                                         \
		l4[1] = (lenfield);                                                                \
		l4 += (len);                                                                       \
	}
	EXT(EXT_HOP, IPPROTO_HOPOPTS, 8, 0)
	EXT(EXT_DST, IPPROTO_DSTOPTS, 16, 1)
	EXT(EXT_ROUTE, IPPROTO_ROUTING, 8, 0)
	EXT(EXT_AH, IPPROTO_AH, 24, 4)
	if (p->frag || (p->ext & EXT_ATOM)) {
		*next = IPPROTO_FRAGMENT;
		next = l4;
		put2(l4 + 2, p->frag);
		put4(l4 + 4, 7);
		l4 += 8;
	}
#undef EXT
	*next = p->proto;
	n = build_l4(l4, p);
	put2(at + 4, l4 - at - 40 + n);
	seal_l4(l4, n, p, at + 8);
	return l4 - at + n;
}

static size_t build(uint8_t *frame, const struct packet *p)
{
	uint8_t *at = frame + 12;

	memset(frame, 0, 512);
	if (p->bare)
		return build_l3(frame, p);
	for (int i = p->vlans; i; i--) {
		put2(at, i == 2 ? ETH_P_8021AD : ETH_P_8021Q);
		put2(at + 2, 100 + i);
		at += 4;
	}
	put2(at, is6(p) ? ETH_P_IPV6 : ETH_P_IP);
	at += 2;
	return at - frame + build_l3(at, p);
}

/* ---- running ---- */

static struct pkt_case how; /* for the packets to come; reset() clears it */

static uint64_t drops(enum ct_drop reason)
{
	uint64_t s[CT_DROP_SLOTS] = {0};

	assert_int_equal(bpfct_counters(core.pins.drop_fd, s, CT_DROP_MAX), 0);
	return s[reason];
}

static struct pkt_case play_frame(const uint8_t *in, size_t len, uint8_t *out, size_t *outlen)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in, .data_size_in = len, .data_out = out,
		    .data_size_out = 600, .repeat = 1);
	struct pkt_case c = how;
	uint32_t zero = 0;

	assert_int_equal(bpf_map_update_elem(case_fd, &zero, &c, BPF_ANY), 0);
	assert_int_equal(bpf_prog_test_run_opts(packet_fd, &opts), 0);
	assert_int_equal(bpf_map_lookup_elem(case_fd, &zero, &c), 0);
	*outlen = opts.data_size_out;
	return c;
}

static void dump(const char *what, const uint8_t *b, size_t n)
{
	print_error("%s:", what);
	for (size_t i = 0; i < n; i++)
		print_error("%s%02x", i % 16 ? " " : "\n  ", b[i]);
	print_error("\n");
}

static uint8_t last_out[600];

/* Source port of the packet that came out last; plain shape. */
static unsigned int last_sport(int six)
{
	const uint8_t *l4 = last_out + 14 + (six ? 40 : 20);

	return l4[0] << 8 | l4[1];
}

/* Plays one packet and wants the verdict, and the other packet out of it. */
static struct pkt_case through(const struct packet *in, int verdict, const struct packet *want,
			       int line)
{
	uint8_t a[600], b[600], out[600];
	size_t alen = build(a, in), blen, n;
	struct pkt_case c;

	how.l2 = !in->bare;
	c = play_frame(a, alen, out, &n);
	memcpy(last_out, out, sizeof(out));
	if (c.verdict != verdict)
		fail_msg("line %d: verdict %d (%s), not %d", line, c.verdict,
			 c.verdict < 0 ? bpfct_drop_text(-c.verdict) : "", verdict);
	if (!want)
		return c;
	blen = build(b, want);
	if (n != blen || memcmp(out, b, n)) {
		dump("in", a, alen);
		dump("out", out, n);
		dump("want", b, blen);
		fail_msg("line %d: not the packet wanted", line);
	}
	return c;
}
#define THROUGH(in, verdict, want) through((in), (verdict), (want), __LINE__)
/* comes out as it went in */
#define SAME(in, verdict) through((in), (verdict), (in), __LINE__)

static void sweep(void)
{
	char buf[256];

	for (int i = 0; i < 4; i++) {
		int fd = bpf_iter_create(bpf_link__fd(core.sweep[i]));

		assert_true(fd >= 0);
		while (read(fd, buf, sizeof(buf)) > 0)
			;
		close(fd);
	}
}

static void age(int64_t secs)
{
	core.pins.settings->clock_offset += secs * core.pins.settings->hz;
}

static struct ct_settings defaults;

/* An empty table, default settings. */
static int reset(void **state)
{
	int64_t clock;

	(void)state;
	age(500000);
	sweep();
	age(5);
	sweep();
	clock = core.pins.settings->clock_offset;
	*core.pins.settings = defaults;
	core.pins.settings->clock_offset = clock;
	bpfct_table_limits(core.pins.table, &core.sizes);
	memset(&how, 0, sizeof(how));
	how.commit = 1;
	how.which = 3;
	how.inside = 1;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(core.pins.table[i].nodes, 0);
		assert_int_equal(core.pins.table[i].half_open, 0);
		assert_int_equal(core.pins.table[i].confirmed, 0);
		assert_int_equal(core.pins.table[i].stubs, 0);
	}
	return 0;
}

static void set_addr(__be32 *a, const char *text)
{
	memset(a, 0, 16);
	assert_int_equal(inet_pton(strchr(text, ':') ? AF_INET6 : AF_INET, text, a), 1);
}

static void translate(uint32_t flags, const char *addr, uint16_t port)
{
	struct ct_nat_range *to = flags & CT_NAT_SRC ? &how.nat.src : &how.nat.dst;

	memset(&how.nat, 0, sizeof(how.nat));
	how.nat.flags = flags;
	set_addr(to->addr_min, addr);
	set_addr(to->addr_max, addr);
	to->port_min = to->port_max = port;
}

/* Client, server, external address, inside server, a router on the way. */
static const char *const C[] = {"10.0.0.2", "2001:db8:10::2"};
static const char *const S[] = {"198.51.100.80", "2001:db8:51::80"};
static const char *const E[] = {"203.0.113.1", "2001:db8:113::1"};
static const char *const I[] = {"10.0.0.5", "2001:db8:10::5"};
static const char *const M[] = {"192.0.2.9", "2001:db8:2::9"};

#define ICMP_OF(six) ((six) ? IPPROTO_ICMPV6 : IPPROTO_ICMP)

/* Shapes that translation must not care about. */
struct shape {
	uint8_t vlans, options, ext;
	bool bare;
};
static const struct shape shapes[] = {
	{0},
	{.vlans = 1},
	{.vlans = 2},
	{.options = 4},
	{.options = 40, .vlans = 1},
	{.ext = EXT_HOP},
	{.ext = EXT_HOP | EXT_DST | EXT_ROUTE | EXT_AH | EXT_ATOM},
	{.bare = true},
};

static void shape_it(struct packet *p, const struct shape *s)
{
	p->vlans = s->vlans;
	p->options = s->options;
	p->ext = s->ext;
	p->bare = s->bare;
}

static void both_ways(uint8_t proto, uint16_t port, bool no_csum)
{
	for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++)
		for (int six = 0; six < 2; six++) {
			struct packet out = {.src = C[six],
					     .dst = S[six],
					     .proto = proto,
					     .sport = 5000,
					     .dport = 80,
					     .tcp = CT_TH_SYN,
					     .seq = 1000,
					     .payload = 7,
					     .no_csum = no_csum},
				      xout, back, xback;

			if (proto == IPPROTO_TCP)
				out.payload = 0;
			reset(NULL);
			translate(CT_NAT_SRC, E[six], port);
			shape_it(&out, &shapes[i]);
			xout = out;
			xout.src = E[six];
			xout.sport = port ? port : 5000;
			THROUGH(&out, NEW, &xout);
			back = xout;
			back.src = xout.dst;
			back.dst = xout.src;
			back.sport = xout.dport;
			back.dport = xout.sport;
			back.tcp = CT_TH_SYN | CT_TH_ACK;
			back.seq = 7000;
			back.ack = 1001;
			xback = back;
			xback.dst = C[six];
			xback.dport = 5000;
			THROUGH(&back, REPLIED, &xback);
			out.tcp = xout.tcp = CT_TH_ACK;
			out.seq = xout.seq = 1001;
			out.ack = xout.ack = 7001;
			out.payload = xout.payload = 33;
			THROUGH(&out, ESTABLISHED, &xout);
		}
}

static void tcp_source_is_translated_both_ways(void **state)
{
	(void)state;
	both_ways(IPPROTO_TCP, 0, false);
	both_ways(IPPROTO_TCP, 40000, false);
}

static void udp_source_is_translated_both_ways(void **state)
{
	(void)state;
	both_ways(IPPROTO_UDP, 0, false);
	both_ways(IPPROTO_UDP, 40001, false);
	both_ways(IPPROTO_UDPLITE, 40002, false);
}

static void udp_without_checksum_stays_without(void **state)
{
	(void)state;
	both_ways(IPPROTO_UDP, 40000, true);
}

static void destination_is_translated_both_ways(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		struct packet in = {.src = S[six],
				    .dst = E[six],
				    .proto = IPPROTO_TCP,
				    .sport = 999,
				    .dport = 80,
				    .tcp = CT_TH_SYN,
				    .seq = 5},
			      xin = in, back, xback;

		reset(NULL);
		translate(CT_NAT_DST, I[six], 8080);
		xin.dst = I[six];
		xin.dport = 8080;
		THROUGH(&in, NEW, &xin);
		back = (struct packet){.src = I[six],
				       .dst = S[six],
				       .proto = IPPROTO_TCP,
				       .sport = 8080,
				       .dport = 999,
				       .tcp = CT_TH_SYN | CT_TH_ACK,
				       .seq = 9,
				       .ack = 6};
		xback = back;
		xback.src = E[six];
		xback.sport = 80;
		THROUGH(&back, REPLIED, &xback);
	}
}

static void echo_id_is_translated_both_ways(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++)
		for (int six = 0; six < 2; six++) {
			struct packet out = {.src = C[six],
					     .dst = S[six],
					     .proto = ICMP_OF(six),
					     .type = six ? 128 : 8,
					     .id = 77,
					     .payload = 56},
				      xout, back, xback;

			reset(NULL);
			translate(CT_NAT_SRC, E[six], 600);
			shape_it(&out, &shapes[i]);
			xout = out;
			xout.src = E[six];
			xout.id = 600;
			THROUGH(&out, NEW, &xout);
			back = xout;
			back.src = xout.dst;
			back.dst = xout.src;
			back.type = six ? 129 : 0;
			xback = back;
			xback.dst = C[six];
			xback.id = 77;
			THROUGH(&back, REPLIED, &xback);
		}
}

/* Protocols without a checksum over the addresses, or without ports. */
static void other_protocols_are_translated_by_address(void **state)
{
	static const uint8_t protos[] = {IPPROTO_GRE, IPPROTO_ESP, IPPROTO_SCTP, 99};

	(void)state;
	for (size_t i = 0; i < sizeof(protos); i++)
		for (int six = 0; six < 2; six++) {
			struct packet out = {.src = C[six],
					     .dst = S[six],
					     .proto = protos[i],
					     .sport = 5000,
					     .dport = 80,
					     .payload = 12},
				      xout, back, xback;

			reset(NULL);
			core.pins.settings->checksum = 0; /* SCTP's CRC is not built here */
			out.payload = protos[i] == IPPROTO_SCTP ? 0 : 12;
			translate(CT_NAT_SRC, E[six], 0);
			xout = out;
			xout.src = E[six];
			THROUGH(&out, NEW, &xout);
			if (protos[i] == IPPROTO_SCTP)
				continue;
			back = xout;
			back.src = xout.dst;
			back.dst = xout.src;
			xback = back;
			xback.dst = C[six];
			THROUGH(&back, REPLIED, &xback);
			/* another inside host has no tuple left */
			out.src = I[six];
			THROUGH(&out, -CT_DROP_NAT_EXHAUSTED, NULL);
		}
}

/* ---- ICMP errors ---- */

/* Opens a translated exchange and gives both forms of its first packet. */
static void open_flow(int six, uint8_t proto, struct packet *inside, struct packet *outside)
{
	reset(NULL);
	translate(CT_NAT_SRC, E[six], proto == IPPROTO_GRE ? 0 : 40000);
	*inside = (struct packet){.src = C[six],
				  .dst = S[six],
				  .proto = proto,
				  .sport = 5000,
				  .dport = 80,
				  .tcp = CT_TH_SYN,
				  .seq = 1000,
				  .id = 77,
				  .type = six ? 128 : 8,
				  .payload = proto == IPPROTO_TCP ? 0 : 30};
	*outside = *inside;
	outside->src = E[six];
	outside->sport = 40000;
	outside->id = 40000;
	THROUGH(inside, NEW, outside);
	memset(&how.nat, 0, sizeof(how.nat));
}

/* How much of the packet is quoted, and what is in its header. */
static const struct {
	uint8_t quoted[2]; /* IPv4, IPv6; 0: header and 8 bytes */
	uint8_t options, ext;
} quotes[] = {
	{{0, 0}},
	{{40, 60}},
	{{255, 255}},
	{{0, 72}, .options = 8, .ext = EXT_HOP | EXT_DST},
	{{80, 100}, .options = 40, .ext = EXT_AH},
};

static const uint8_t quotable[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_GRE};

static void errors_from_outside_show_the_inside_packet(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++)
		for (size_t i = 0; i < sizeof(quotable); i++)
			for (size_t q = 0; q < sizeof(quotes) / sizeof(*quotes); q++) {
				uint8_t proto =
					quotable[i] == IPPROTO_ICMP ? ICMP_OF(six) : quotable[i];
				struct packet inside, outside, error, want;

				open_flow(six, proto, &inside, &outside);
				inside.options = outside.options = quotes[q].options;
				inside.ext = outside.ext = quotes[q].ext;
				error = (struct packet){.src = M[six],
							.dst = E[six],
							.proto = ICMP_OF(six),
							.type = 3,
							.code = 1,
							.quote = &outside,
							.quoted = quotes[q].quoted[six]};
				want = error;
				want.dst = C[six];
				want.quote = &inside;
				THROUGH(&error, RELATED, &want);
			}
}

static void errors_from_inside_show_the_outside_packet(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++)
		for (size_t i = 0; i < 2; i++)
			for (size_t q = 0; q < sizeof(quotes) / sizeof(*quotes); q++) {
				struct packet inside, outside, in, ex, error, want;

				open_flow(six, quotable[i], &inside, &outside);
				/* the server's answer as the client and as the net saw it */
				ex = outside;
				ex.src = outside.dst;
				ex.dst = outside.src;
				ex.sport = outside.dport;
				ex.dport = outside.sport;
				ex.options = quotes[q].options;
				ex.ext = quotes[q].ext;
				in = ex;
				in.dst = C[six];
				in.dport = 5000;
				error = (struct packet){.src = C[six],
							.dst = S[six],
							.proto = ICMP_OF(six),
							.type = six ? 1 : 3,
							.code = 3,
							.quote = &in,
							.quoted = quotes[q].quoted[six]};
				want = error;
				want.src = E[six];
				want.quote = &ex;
				THROUGH(&error, RELATED, &want);
			}
}

static void errors_that_belong_to_nothing_are_invalid(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		struct packet inside, outside, error, wrong;
		uint8_t frame[600], out[600];
		size_t len, n;

		open_flow(six, IPPROTO_UDP, &inside, &outside);
		error = (struct packet){.src = M[six],
					.dst = E[six],
					.proto = ICMP_OF(six),
					.type = 3,
					.code = 1,
					.quote = &outside};
		wrong = error;
		wrong.dst = S[six];
		THROUGH(&wrong, -CT_DROP_ICMP_ADDRESS, NULL);
		wrong = outside;
		wrong.sport++;
		error.quote = &wrong;
		THROUGH(&error, -CT_DROP_ICMP_UNRELATED, NULL);
		error.quote = &outside;
		error.quoted = six ? 47 : 27;
		THROUGH(&error, -CT_DROP_ICMP_INNER, NULL);
		error.quoted = 0;
		len = build(frame, &error);
		frame[len - 1] ^= 1;
		how.l2 = 1;
		assert_int_equal(play_frame(frame, len, out, &n).verdict, -CT_DROP_L4_CHECKSUM);
		core.pins.settings->checksum = 0;
		frame[len - 1] ^= 1;
		if (!six) {
			frame[14 + 20 + 8 + 8]++; /* TTL of the quoted header */
			assert_int_equal(play_frame(frame, len, out, &n).verdict,
					 -CT_DROP_ICMP_INNER_CSUM);
		}
	}
}

/* ---- headers that lie ---- */

static void headers_that_lie_are_counted(void **state)
{
	static const struct {
		const char *what;
		bool six;
		uint8_t proto;
		int cut; /* to so many bytes of frame, 0: whole */
		struct {
			uint16_t at;
			uint8_t v;
		} poke[2];
		enum ct_drop reason;
		uint8_t vlans; /* BPF_PROG_RUN refuses cut IP headers unless it sees none */
	} t[] = {
		{"tag cut", false, IPPROTO_UDP, 16, {{12, 0x81}, {13, 0}}, CT_DROP_L2_TRUNCATED},
		{"IPv4 cut", false, IPPROTO_UDP, 37, {}, CT_DROP_IP_TRUNCATED, 1},
		{"IPv6 cut", true, IPPROTO_UDP, 57, {}, CT_DROP_IP_TRUNCATED, 1},
		{"version 6 in 4", false, IPPROTO_UDP, 0, {{14, 0x65}}, CT_DROP_IP_VERSION},
		{"version 4 in 6", true, IPPROTO_UDP, 0, {{14, 0x45}}, CT_DROP_IP_VERSION},
		{"IHL 4", false, IPPROTO_UDP, 0, {{14, 0x44}}, CT_DROP_IP_HEADER_LEN},
		{"IHL beyond", false, IPPROTO_UDP, 0, {{14, 0x4f}}, CT_DROP_IP_HEADER_LEN},
		{"length beyond", false, IPPROTO_UDP, 0, {{17, 0xff}}, CT_DROP_IP_TOTAL_LEN},
		{"length below", false, IPPROTO_UDP, 0, {{17, 19}}, CT_DROP_IP_TOTAL_LEN},
		{"IPv6 length", true, IPPROTO_UDP, 0, {{19, 0xff}}, CT_DROP_IP_TOTAL_LEN},
		{"endless chain",
		 true,
		 IPPROTO_UDP,
		 0,
		 {{20, 60}, {54, 60}},
		 CT_DROP_IP6_EXT_CHAIN},
		{"UDP cut", false, IPPROTO_UDP, 41, {{17, 27}}, CT_DROP_L4_TRUNCATED},
		{"TCP cut", false, IPPROTO_TCP, 53, {{17, 39}}, CT_DROP_L4_TRUNCATED},
		{"UDP length 7", false, IPPROTO_UDP, 0, {{39, 7}}, CT_DROP_L4_LENGTH},
		{"UDP length beyond", false, IPPROTO_UDP, 0, {{39, 99}}, CT_DROP_L4_LENGTH},
		{"TCP offset 4", false, IPPROTO_TCP, 0, {{46, 0x40}}, CT_DROP_L4_LENGTH},
		{"TCP offset beyond", false, IPPROTO_TCP, 0, {{46, 0xf0}}, CT_DROP_L4_LENGTH},
		{"UDP-Lite without sum",
		 false,
		 IPPROTO_UDPLITE,
		 0,
		 {{40, 0}, {41, 0}},
		 CT_DROP_L4_CHECKSUM},
		{"SYN and FIN", false, IPPROTO_TCP, 0, {{47, 3}}, CT_DROP_TCP_FLAGS},
		{"no flags", true, IPPROTO_TCP, 0, {{67, 0}}, CT_DROP_TCP_FLAGS},
		{"answer to nothing", false, IPPROTO_TCP, 0, {{47, 0x12}}, CT_DROP_TCP_STATE},
		{"router advertisement", false, IPPROTO_ICMP, 0, {{34, 9}}, CT_DROP_ICMP_TYPE},
		{"bad sum", false, IPPROTO_ICMP, 0, {{36, 1}}, CT_DROP_L4_CHECKSUM},
	};
	unsigned int wrong = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
		struct packet p = {.src = C[t[i].six],
				   .dst = S[t[i].six],
				   .proto = t[i].proto,
				   .sport = 1,
				   .dport = 2,
				   .tcp = CT_TH_SYN,
				   .type = 8,
				   .payload = 8,
				   .vlans = t[i].vlans};
		uint8_t frame[600];
		size_t len = build(frame, &p);
		LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .repeat = 1);
		uint64_t before = drops(t[i].reason), invalid = drops(CT_DROP_FW_INVALID);

		for (int k = 0; k < 2; k++)
			if (t[i].poke[k].at)
				frame[t[i].poke[k].at] = t[i].poke[k].v;
		opts.data_size_in = t[i].cut ? (size_t)t[i].cut : len;
		/* the firewall's own entry: it is who counts */
		if (bpf_prog_test_run_opts(ingress_fd, &opts)) {
			print_error("%s: %s\n", t[i].what, strerror(errno));
			wrong++;
			continue;
		}
		if (opts.retval != 2 || drops(t[i].reason) != before + 1 ||
		    drops(CT_DROP_FW_INVALID) != invalid + 1) {
			print_error("%s: action %u, counted %d\n", t[i].what, opts.retval,
				    (int)(drops(t[i].reason) - before));
			wrong++;
		}
	}
	assert_int_equal(wrong, 0);
	assert_int_equal(core.pins.table[0].nodes, 0);
}

static void fragments_follow_the_setting(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++)
		for (int later = 0; later < 2; later++) {
			struct packet p = {.src = C[six],
					   .dst = S[six],
					   .proto = IPPROTO_UDP,
					   .sport = 5,
					   .dport = 6,
					   .payload = 24};

			/* more fragments, or the second one */
			p.frag = six ? (later ? 8 : 1) : (later ? 1 : 0x2000);
			reset(NULL);
			core.pins.settings->fragments[six] = FRAG_MODE_DROP;
			THROUGH(&p, -CT_DROP_FRAGMENT, NULL);
			core.pins.settings->fragments[six] = FRAG_MODE_PASS;
			SAME(&p, 1 /* FRAG_PASS */);
			assert_int_equal(core.pins.table[six].nodes, 0);
		}
}

/* ---- lives ---- */

static void an_expired_record_is_not_found(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		struct packet p = {
			.src = C[six], .dst = S[six], .proto = IPPROTO_UDP, .sport = 5, .dport = 6};

		reset(NULL);
		SAME(&p, NEW);
		age(29);
		SAME(&p, OPENING);
		how.commit = 0;
		age(29);
		SAME(&p, OPENING);
		age(31);
		SAME(&p, NEW);
		age(3600);
		SAME(&p, NEW);
	}
}

/* Client's and server's packets of a connection through the external address;
 * port 0: not translated. */
static void close_tcp(int six, uint16_t port)
{
	struct packet c = {.src = C[six],
			   .dst = S[six],
			   .proto = IPPROTO_TCP,
			   .sport = 5000,
			   .dport = 80},
		      s = {.src = S[six],
			   .dst = port ? E[six] : C[six],
			   .proto = IPPROTO_TCP,
			   .sport = 80,
			   .dport = port ? port : 5000};

#define CLIENT(f, q, a, v) (c.tcp = (f), c.seq = (q), c.ack = (a), THROUGH(&c, (v), NULL))
#define SERVER(f, q, a, v) (s.tcp = (f), s.seq = (q), s.ack = (a), THROUGH(&s, (v), NULL))
	CLIENT(CT_TH_SYN, 1000, 0, NEW);
	SERVER(CT_TH_SYN | CT_TH_ACK, 7000, 1001, REPLIED);
	CLIENT(CT_TH_ACK, 1001, 7001, ESTABLISHED);
	CLIENT(CT_TH_FIN | CT_TH_ACK, 1001, 7001, ESTABLISHED);
	SERVER(CT_TH_ACK, 7001, 1002, REPLIED);
	SERVER(CT_TH_FIN | CT_TH_ACK, 7001, 1002, REPLIED);
	CLIENT(CT_TH_ACK, 1002, 7002, ESTABLISHED);
}

static void time_wait_is_opened_again_in_place(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++)
		for (int nat = 0; nat < 2; nat++) {
			struct ct_table *tab = &core.pins.table[six];
			struct packet c = {.src = C[six],
					   .dst = S[six],
					   .proto = IPPROTO_TCP,
					   .sport = 5000,
					   .dport = 80,
					   .tcp = CT_TH_SYN,
					   .seq = 90000},
				      x = c;
			struct pkt_case r;

			reset(NULL);
			/* any port at first; it has to be the same again */
			if (nat) {
				translate(CT_NAT_SRC, E[six], 0);
				x.src = E[six];
			}
			close_tcp(six, nat ? 5000 : 0);
			assert_int_equal(tab->confirmed, 1);
			r = THROUGH(&c, NEW, &x);
			assert_int_equal(r.fresh, 1);
			assert_int_equal(ct_w_state(r.word), CT_TCP_SYN_SENT);
			assert_int_equal(tab->nodes, 1);
			assert_int_equal(tab->confirmed, 0);
			assert_int_equal(tab->half_open, 1);
			assert_int_equal(tab->stubs, nat);
			assert_int_equal(core.pins.zone[0].count, 1);
		}
}

static void a_translated_tuple_belongs_to_one(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		struct packet inside, outside, plain, want;

		/* the router's own connection finds its tuple taken: another port */
		open_flow(six, IPPROTO_UDP, &inside, &outside);
		plain = outside;
		assert_int_equal(THROUGH(&plain, NEW, NULL).translate, 1);
		assert_int_not_equal(last_sport(six), 40000);
		/* the client is gone for good, the router's own takes the tuple, and the
		 * client comes back: it has to go elsewhere */
		open_flow(six, IPPROTO_UDP, &inside, &outside);
		age(31);
		plain = outside;
		SAME(&plain, NEW);
		translate(CT_NAT_SRC, E[six], 0);
		inside.sport = 5000;
		THROUGH(&inside, NEW, NULL);
		want = (struct packet){.src = S[six],
				       .dst = E[six],
				       .proto = IPPROTO_UDP,
				       .sport = 80,
				       .dport = 40000,
				       .payload = 3};
		SAME(&want, REPLIED);
	}
}

/* A client that takes a stub of its former life looks first who has the tuple. */
static void a_former_life_does_not_keep_its_tuple(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		struct packet client = {.src = C[six],
					.dst = S[six],
					.proto = IPPROTO_UDP,
					.sport = 5000,
					.dport = 80},
			      own = {.src = E[six],
				     .dst = S[six],
				     .proto = IPPROTO_UDP,
				     .sport = 5000,
				     .dport = 80},
			      x = client,
			      answer = {.src = S[six],
					.dst = E[six],
					.proto = IPPROTO_UDP,
					.sport = 80,
					.dport = 5000};

		reset(NULL);
		translate(CT_NAT_SRC, E[six], 0);
		x.src = E[six];
		THROUGH(&client, NEW, &x);
		age(31);
		memset(&how.nat, 0, sizeof(how.nat));
		SAME(&own, NEW);
		translate(CT_NAT_SRC, E[six], 0);
		THROUGH(&client, NEW, NULL);
		assert_int_not_equal(last_sport(six), 5000);
		assert_int_equal(core.pins.table[six].stubs, 1);
		SAME(&answer, REPLIED);
	}
}

/* ---- limits ---- */

static struct packet numbered(int six, unsigned int n)
{
	return (struct packet){
		.src = C[six], .dst = S[six], .proto = IPPROTO_UDP, .sport = 1000 + n, .dport = 53};
}

static void play_numbered_at(int six, unsigned int n, int verdict, int line)
{
	struct packet p = numbered(six, n);

	through(&p, verdict, NULL, line);
}
#define play_numbered(six, n, verdict) play_numbered_at((six), (n), (verdict), __LINE__)

static void a_zone_keeps_to_its_quota(void **state)
{
	struct ct_zone *zone = &core.pins.zone[7];
	uint32_t refused = zone->refused;

	(void)state;
	zone->limit = 2;
	how.zone = 7;
	play_numbered(0, 1, NEW);
	play_numbered(1, 2, NEW);
	play_numbered(0, 3, -CT_DROP_ZONE_LIMIT);
	assert_int_equal(zone->count, 2);
	assert_int_equal(zone->refused, refused + 1);
	how.zone = 8;
	play_numbered(0, 3, NEW);
	how.zone = 7;
	play_numbered(0, 1, OPENING);
	zone->limit = 0;
}

static void a_full_table_refuses_and_then_reaps(void **state)
{
	struct packet p = {.src = C[0], .dst = S[0], .proto = IPPROTO_GRE, .payload = 8},
		      back = {.src = S[0], .dst = C[0], .proto = IPPROTO_GRE, .payload = 8};

	(void)state;
	core.pins.table[0].confirmed_limit = 1;
	SAME(&p, NEW);
	SAME(&back, REPLIED);
	SAME(&p, ESTABLISHED);
	assert_int_equal(core.pins.table[0].confirmed, 1);
	play_numbered(0, 1, -CT_DROP_TABLE_FULL);
	SAME(&p, ESTABLISHED);
	/* Expired ones are found without ctd: within one turn of the clock's hand. */
	age(200);
	for (unsigned int i = 0; i < 2 * core.sizes.clock / 8; i++) {
		struct packet n = numbered(0, 2);
		uint8_t frame[600], out[600];
		size_t len = build(frame, &n), outlen;

		how.l2 = 1;
		if (play_frame(frame, len, out, &outlen).verdict == NEW)
			return;
	}
	fail_msg("an expired record fills the table for ever");
}

static void nodes_are_never_more_than_the_map_holds(void **state)
{
	(void)state;
	core.pins.table[0].nodes_limit = 2;
	play_numbered(0, 1, NEW);
	play_numbered(0, 2, NEW);
	play_numbered(0, 3, -CT_DROP_NODES_FULL);
	assert_int_equal(core.pins.table[0].nodes, 2);
	assert_int_equal(core.pins.table[0].half_open, 2);
	core.pins.table[0].stub_limit = 0;
	core.pins.table[0].nodes_limit = 3;
	translate(CT_NAT_SRC, E[0], 0);
	play_numbered(0, 3, -CT_DROP_NODES_FULL);
	assert_int_equal(core.pins.table[0].nodes, 2);
	assert_int_equal(core.pins.table[0].stubs, 0);
}

static void a_full_ring_refuses_the_young_and_gives_way_to_who_comes_again(void **state)
{
	struct ct_settings *set = core.pins.settings;

	(void)state;
	set->half_size[CT_SIDE_INSIDE] = 8;
	for (unsigned int i = 0; i < 8; i++)
		play_numbered(0, i, NEW);
	play_numbered(0, 8, -CT_DROP_HALF_FULL);
	play_numbered(0, 8, -CT_DROP_HALF_FULL); /* at once is no retransmission */
	age(1);
	play_numbered(0, 8, NEW);
	assert_int_equal(core.pins.table[0].half_open, 9);
	play_numbered(0, 9, -CT_DROP_HALF_FULL); /* the first time */
	/* the other side has a ring of its own */
	how.inside = 0;
	play_numbered(0, 10, NEW);
	how.inside = 1;
	/* what is three seconds old gives way, and no more of it than was asked for */
	age(3);
	play_numbered(0, 11, NEW);
	assert_int_equal(core.pins.table[0].half_open, 10);
}

static void a_prefix_has_its_share_of_half_open_ones(void **state)
{
	struct packet other = {
		.src = I[0], .dst = S[0], .proto = IPPROTO_UDP, .sport = 1, .dport = 2};

	(void)state;
	core.pins.settings->half_share = 2;
	play_numbered(0, 1, NEW);
	play_numbered(0, 2, NEW);
	play_numbered(0, 3, -CT_DROP_PREFIX_SHARE);
	/* inside, each address counts for itself; outside the /24 does */
	SAME(&other, NEW);
	how.inside = 0;
	play_numbered(0, 4, NEW);
	other.sport++;
	SAME(&other, NEW);
	other.sport++;
	THROUGH(&other, -CT_DROP_PREFIX_SHARE, NULL);
}

/* ---- mark, label, state ---- */

static struct ct_flow flow_of(int family)
{
	struct ct_flow f = {0};
	int fd = bpf_iter_create(bpf_link__fd(core.dump[family == 6]));

	assert_true(fd >= 0);
	assert_int_equal(read(fd, &f, sizeof(f)), sizeof(f));
	close(fd);
	return f;
}

static void mark_and_label_stay_with_the_connection(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		struct packet p = numbered(six, 1);
		struct ct_flow f;

		reset(NULL);
		how.set_mark = how.set_label = 1;
		how.mark = 42;
		how.label[0] = 1;
		how.label[3] = 0x80000000;
		assert_int_equal(THROUGH(&p, NEW, &p).result_mark, 42);
		/* not set again: kept */
		how.set_mark = how.set_label = 0;
		how.mark = how.label[0] = 7;
		assert_int_equal(THROUGH(&p, OPENING, &p).result_mark, 42);
		f = flow_of(six ? 6 : 4);
		assert_int_equal(f.c.mark, 42);
		assert_int_equal(f.label.bits[0], 1);
		assert_int_equal(f.label.bits[3], 0x80000000);
		/* set on a connection that is there */
		how.commit = 2;
		how.set_mark = how.set_label = 1;
		assert_int_equal(THROUGH(&p, OPENING, &p).result_mark, 7);
		f = flow_of(six ? 6 : 4);
		assert_int_equal(f.c.mark, 7);
		assert_int_equal(f.label.bits[0], 7);
		/* gone with it */
		age(31);
		how.commit = 1;
		how.set_mark = how.set_label = 0;
		assert_int_equal(THROUGH(&p, NEW, &p).result_mark, 0);
		assert_int_equal(flow_of(six ? 6 : 4).label.bits[3], 0);
	}
}

static void state_bits_are_those_of_ovs(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		struct packet inside, outside, back, error, ra;

		reset(NULL);
		inside = numbered(six, 1);
		back = (struct packet){.src = S[six],
				       .dst = C[six],
				       .proto = IPPROTO_UDP,
				       .sport = 53,
				       .dport = 1001};
		assert_int_equal(SAME(&inside, NEW).state, S_TRK | S_NEW);
		assert_int_equal(SAME(&inside, OPENING).state, S_TRK | S_NEW);
		assert_int_equal(SAME(&back, REPLIED).state, S_TRK | S_EST | S_RPL);
		assert_int_equal(SAME(&inside, ESTABLISHED).state, S_TRK | S_EST);
		open_flow(six, IPPROTO_UDP, &inside, &outside);
		assert_int_equal(THROUGH(&inside, OPENING, &outside).state, S_TRK | S_NEW | S_SNAT);
		error = (struct packet){.src = M[six],
					.dst = E[six],
					.proto = ICMP_OF(six),
					.type = 3,
					.code = 1,
					.quote = &outside};
		assert_int_equal(THROUGH(&error, RELATED, NULL).state,
				 S_TRK | S_REL | S_RPL | S_SNAT);
		error.dst = S[six];
		assert_int_equal(THROUGH(&error, -CT_DROP_ICMP_ADDRESS, NULL).state, S_TRK | S_INV);
		/* neighbour discovery has no state */
		ra = (struct packet){.src = C[1],
				     .dst = S[1],
				     .proto = IPPROTO_ICMPV6,
				     .type = 135,
				     .payload = 16};
		assert_int_equal(SAME(&ra, UNTRACKED).state, 0);
	}
}

/* ---- set-up ---- */

static struct bpf_object *open_shared(const char *dir, const char *name)
{
	char path[PATH_MAX], err[256] = "";
	struct bpf_object *o;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	o = bpf_object__open_file(path, NULL);
	if (!o || bpfct_core_share(&core, o, err, sizeof(err)) || bpf_object__load(o)) {
		print_error("%s: %s\n", path, err);
		exit(1);
	}
	return o;
}

static int prog(struct bpf_object *o, const char *name)
{
	return bpf_program__fd(bpf_object__find_program_by_name(o, name));
}

static int set_up(void **state)
{
	static const struct bpfct_limits limits = {.confirmed = 1024, .half = {1024, 1024, 256}};
	char self[PATH_MAX], err[256] = "", *dir;
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	(void)state;
	if (n <= 0)
		return -1;
	self[n] = 0;
	dir = dirname(self);
	if (bpfct_core_load(&core, NULL, &limits, err, sizeof(err))) {
		print_error("%s\n", err);
		return -1;
	}
	obj = open_shared(dir, "ct_packets.bpf.o");
	fw = open_shared(dir, "../../consumers/firewall/fw_tc.bpf.o");
	packet_fd = prog(obj, "packet");
	ingress_fd = prog(fw, "fw_ingress");
	case_fd = bpf_object__find_map_fd_by_name(obj, "pkt_case_v1");
	defaults = *core.pins.settings;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	bpf_object__close(obj);
	bpf_object__close(fw);
	bpfct_core_close(&core);
	return 0;
}

#define TEST(f) cmocka_unit_test_setup(f, reset)

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		TEST(tcp_source_is_translated_both_ways),
		TEST(udp_source_is_translated_both_ways),
		TEST(udp_without_checksum_stays_without),
		TEST(destination_is_translated_both_ways),
		TEST(echo_id_is_translated_both_ways),
		TEST(other_protocols_are_translated_by_address),
		TEST(errors_from_outside_show_the_inside_packet),
		TEST(errors_from_inside_show_the_outside_packet),
		TEST(errors_that_belong_to_nothing_are_invalid),
		TEST(headers_that_lie_are_counted),
		TEST(fragments_follow_the_setting),
		TEST(an_expired_record_is_not_found),
		TEST(time_wait_is_opened_again_in_place),
		TEST(a_translated_tuple_belongs_to_one),
		TEST(a_former_life_does_not_keep_its_tuple),
		TEST(a_zone_keeps_to_its_quota),
		TEST(a_full_table_refuses_and_then_reaps),
		TEST(nodes_are_never_more_than_the_map_holds),
		TEST(a_full_ring_refuses_the_young_and_gives_way_to_who_comes_again),
		TEST(a_prefix_has_its_share_of_half_open_ones),
		TEST(mark_and_label_stay_with_the_connection),
		TEST(state_bits_are_those_of_ovs),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests_name("ct_packets", tests, set_up, tear_down) ? 1 : 0;
}
