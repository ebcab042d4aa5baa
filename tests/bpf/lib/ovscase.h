/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_TESTS_OVSCASE_H
#define BPFCT_TESTS_OVSCASE_H

/* What the tables of the OVS datapath share: cmocka, actions in a word, keys and packets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <endian.h>
#include <linux/pkt_cls.h>
#include <string.h>

#include "ovsplay.h"

/* Tables name only what matters. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define OUT(n)                                                                                     \
	{                                                                                          \
		.type = OVS_ACT_OUTPUT, .port = (n)                                                \
	}
#define AGAIN(n)                                                                                   \
	{                                                                                          \
		.type = OVS_ACT_RECIRC, .id = (n)                                                  \
	}
#define MAC(n)                                                                                     \
	{                                                                                          \
		.type = OVS_ACT_SET_ETH,                                                           \
		.eth = {.dst = {2, 2, 2, 2, 2, (n)},                                               \
			.dst_mask = {255, 255, 255, 255, 255, 255} }                               \
	}
#define ONES4                                                                                      \
	{                                                                                          \
		~0u, ~0u, ~0u, ~0u                                                                 \
	}

#define CT(...)                                                                                    \
	{                                                                                          \
		.type = OVS_ACT_CT, .ct = { __VA_ARGS__ }                                          \
	}

#define TEST(f) cmocka_unit_test_setup(f, ovs_reset)

static inline struct packet plain(int six, uint8_t proto)
{
	return (struct packet){.src = C[six],
			       .dst = S[six],
			       .proto = proto,
			       .sport = 1000,
			       .dport = 80,
			       .payload = 37};
}

static inline struct packet echo_request(int six)
{
	return (struct packet){.src = C[six],
			       .dst = S[six],
			       .proto = ICMP_OF(six),
			       .type = six ? 128 : 8,
			       .id = 3,
			       .payload = 9};
}

static inline void set6(__be32 *a, const char *text)
{
	assert_int_equal(inet_pton(AF_INET6, text, a), 1);
}

/* What build() gives every frame. */
static inline struct ovs_key link_key(uint16_t type)
{
	uint8_t frame[600];
	struct packet p = {.src = "10.0.0.2", .dst = "10.0.0.3", .proto = IPPROTO_UDP};
	struct ovs_key k = {.in_port = 1, .eth_type = htons(type)};

	build(frame, &p);
	memcpy(k.eth_dst, frame, 6);
	memcpy(k.eth_src, frame + 6, 6);
	return k;
}

static inline struct ovs_key key4(uint8_t proto)
{
	struct ovs_key k = link_key(0x0800);

	k.src[0] = inet_addr("10.0.0.2");
	k.dst[0] = inet_addr("198.51.100.80");
	k.proto = proto;
	k.ttl = 64;
	return k;
}

static inline struct ovs_key key6(uint8_t proto)
{
	struct ovs_key k = link_key(0x86dd);

	set6(k.src, C[1]);
	set6(k.dst, S[1]);
	k.proto = proto;
	k.ttl = 64;
	return k;
}

static inline struct packet packet4(uint8_t proto)
{
	return (struct packet){
		.src = C[0], .dst = S[0], .proto = proto, .sport = 1000, .dport = 80};
}

/* The packet p in two fragments, with n bytes of payload in the first. Lengths of both. */
static inline void cut_in_two(const struct packet *p, size_t n, uint8_t f[2][200], size_t len[2])
{
	uint8_t whole[600];
	size_t all = build(whole, p);

	len[0] = 34 + n;
	len[1] = all - n;
	for (int i = 0; i < 2; i++) {
		memcpy(f[i], whole, 34);
		memcpy(f[i] + 34, whole + 34 + i * n, len[i] - 34);
		put2(f[i] + 16, len[i] - 14);
		put2(f[i] + 20, i ? n / 8 : 0x2000);
		put2(f[i] + 24, 0);
		put2(f[i] + 24, ~sum(f[i] + 14, 20, 0));
	}
}

static inline struct packet udp(int six, int reply)
{
	struct packet p = {.src = C[six],
			   .dst = S[six],
			   .proto = IPPROTO_UDP,
			   .sport = 1000,
			   .dport = 53,
			   .payload = 40};

	if (!reply)
		return p;
	return (struct packet){.src = S[six],
			       .dst = C[six],
			       .proto = IPPROTO_UDP,
			       .sport = 53,
			       .dport = 1000,
			       .payload = 40};
}

/* The key with which the packet comes to recirculation 9, where no flow is. */
static inline struct ovs_key key_after(uint32_t port, const struct packet *p)
{
	const struct ovs_upcall *u;

	ovs_packet(port, p);
	u = ovs_upcall_next();
	assert_non_null(u);
	assert_int_equal(u->key.recirc_id, 9);
	return u->key;
}

#endif
