// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Super-packets under other headers (dpif-bpf-segment.c), good ones and with every header byte
 * changed: what does not fit is refused, nothing beyond the packet is read, what is cut is whole.
 * Built with AddressSanitizer against Open vSwitch's own library (tests/netns/ovs_flows.sh).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "consumers/ovs/dpif-bpf.h"
#include "csum.h"
#include "dp-packet.h"
#include "packets.h"

#define LABEL	4 /* in front of Ethernet's: some header that the datapath does not know */
#define PAYLOAD 2300
#define SEGMENT 1000
#define TCPV4	(1 << 0)
#define TCPV6	(1 << 4)
#define UDP_L4	(1 << 17)
#define TUNNEL	(1 << 10)

struct frame {
	const char *name;
	bool v6, udp;
	uint8_t options[16];
	size_t n_options;
	uint32_t gso_type;
};

/* Headers of options: 44 is a fragment's, 43 a routing header of 24 bytes with one address to come.
 */
static const struct frame good[] = {
	{"tcp4", false, false, {0}, 0, TCPV4},
	{"udp4", false, true, {0}, 0, UDP_L4},
	{"tcp6", true, false, {0}, 0, TCPV6},
	{"udp6", true, true, {0}, 0, UDP_L4},
	{"tcp6 behind options", true, false, {60, 0, 1, 4, 0, 0, 0, 0, 6, 0, 1, 4}, 16, TCPV6},
};
static const struct frame bad[] = {
	{"tunnel", false, true, {0}, 0, UDP_L4 | TUNNEL},
	{"no kind", false, false, {0}, 0, 0},
	{"fragment", true, false, {6, 0, 0, 1, 0, 0, 0, 9}, 8, TCPV6},
	{"on its way", true, false, {6, 0, 4, 1, 0, 0, 0, 0}, 8, TCPV6},
};

static size_t head; /* all in front of the payload */
static unsigned int segments, wrong;
static uint32_t next_seq;

static void fail(const char *name, const char *why)
{
	printf("FAIL segments: %s: %s\n", name, why);
	fflush(stdout);
	exit(1);
}

static size_t put_ip(uint8_t *p, const struct frame *f, size_t l4_len)
{
	uint8_t proto = f->udp ? IPPROTO_UDP : IPPROTO_TCP;
	size_t len = f->n_options + l4_len;

	if (!f->v6) {
		const uint8_t ip[] = {0x45,	   0,  (l4_len + 20) >> 8,
				      l4_len + 20, 0,  1,
				      0x40,	   0,  64,
				      proto,	   0,  0,
				      10,	   0,  0,
				      1,	   10, 0,
				      0,	   2};

		memcpy(p, ip, sizeof(ip));
		return sizeof(ip);
	}
	memset(p, 0, 40);
	p[0] = 0x60;
	p[4] = len >> 8;
	p[5] = len;
	p[6] = !f->n_options	    ? proto
	       : f->options[3] == 1 ? (f->options[2] ? IPPROTO_ROUTING : IPPROTO_FRAGMENT)
				    : IPPROTO_HOPOPTS;
	p[8] = p[24] = 0xfd;
	p[23] = 1;
	p[39] = 2;
	memcpy(p + 40, f->options, f->n_options);
	return 40 + f->n_options;
}

/* The packet that a flow's list begins with; exactly as long as what is in it. */
static struct dp_packet *make(const struct frame *f, size_t at, uint8_t with, bool change)
{
	size_t l4_head = f->udp ? UDP_HEADER_LEN : TCP_HEADER_LEN;
	uint8_t room[4000] = {
		2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, f->v6 ? 0x86 : 8, f->v6 ? 0xdd : 0};
	struct dp_packet *packet;
	uint8_t *l4 = room + ETH_HEADER_LEN;

	l4 += put_ip(l4, f, l4_head + PAYLOAD);
	if (!f->udp)
		l4[12] = 5 << 4;
	head = l4 - room + l4_head;
	for (size_t i = 0; i < PAYLOAD; i++)
		room[head + i] = i * 7;
	if (change)
		room[at] = with;
	packet = dp_packet_new_with_headroom(head + PAYLOAD, LABEL);
	dp_packet_put(packet, room, head + PAYLOAD);
	dp_super_note(packet, SEGMENT, f->gso_type);
	dp_packet_push_zeros(packet, LABEL);
	return packet;
}

static int look(struct dp_packet *segment, void *arg)
{
	const struct frame *f = arg;
	const uint8_t *data = dp_packet_data(segment), *l3 = data + LABEL + ETH_HEADER_LEN;
	size_t l4 = head - (f->udp ? UDP_HEADER_LEN : TCP_HEADER_LEN) + LABEL;
	size_t len = dp_packet_size(segment) - l4,
	       data_len = dp_packet_size(segment) - head - LABEL;
	uint8_t proto = f->udp ? IPPROTO_UDP : IPPROTO_TCP;
	uint32_t sum;

	/* The pseudo-header as the RFCs have it, by other code than the one under test. */
	sum = f->v6 ? csum_continue(0, l3 + 8, 32) : csum_continue(0, l3 + 12, 8);
	sum = csum_add16(csum_add16(sum, htons(proto)), htons(len));
	if (csum_finish(csum_continue(sum, data + l4, len)) || (!f->v6 && csum(l3, 20)))
		wrong++;
	if (data_len != (segments < 2 ? SEGMENT : PAYLOAD - 2 * SEGMENT))
		wrong++;
	for (size_t i = 0; i < data_len; i++)
		wrong += data[LABEL + head + i] != (uint8_t)((segments * SEGMENT + i) * 7);
	if (!f->udp && ntohl(get_16aligned_be32((const void *)(data + l4 + 4))) != next_seq)
		wrong++;
	next_seq += data_len;
	segments++;
	return 0;
}

static int swallow(struct dp_packet *segment, void *arg OVS_UNUSED)
{
	segments += dp_packet_size(segment) > 0;
	return 0;
}

static void is_cut(const struct frame *f)
{
	struct dp_packet *packet = make(f, 0, 0, false);
	int ret;

	segments = wrong = next_seq = 0;
	if (!dp_super_is_wrapped(packet))
		fail(f->name, "is not wrapped");
	ret = dp_super_cut(packet, look, (void *)f);
	if (ret || segments != 3 || wrong)
		fail(f->name, "was not cut into three good segments");
	dp_packet_delete(packet);
}

static void is_refused(const struct frame *f, size_t at, uint8_t with, bool change)
{
	struct dp_packet *packet = make(f, at, with, change);

	segments = 0;
	if (!dp_super_is_wrapped(packet) || dp_super_cut(packet, swallow, NULL) != EINVAL ||
	    segments)
		fail(f->name, "was not refused");
	dp_packet_delete(packet);
}

/* Whatever is in the headers: an answer, and no byte that is not the packet's. */
static void spoil(const struct frame *f)
{
	static const uint8_t with[] = {0x00, 0x01, 0x05, 0x2b, 0x2c, 0x3c,
				       0x40, 0x4f, 0x7f, 0xf0, 0xff};

	for (size_t at = 0; at < head; at++) {
		for (size_t i = 0; i < sizeof(with); i++) {
			struct dp_packet *packet = make(f, at, with[i], true);

			if (dp_super_is_wrapped(packet))
				dp_super_cut(packet, swallow, NULL);
			dp_packet_delete(packet);
		}
	}
}

int main(void)
{
	size_t n = sizeof(good) / sizeof(*good);

	for (size_t i = 0; i < n; i++) {
		is_cut(&good[i]);
		spoil(&good[i]);
		if (good[i].udp)
			continue;
		for (unsigned int words = 0; words < 5; words++)
			is_refused(&good[i], head - 8, words << 4, true);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		is_refused(&bad[i], 0, 0, false);
	printf("%zu cut\n", n);
	return 0;
}
