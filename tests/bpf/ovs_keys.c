// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* The OVS datapath: what key it takes from a packet. Whole keys are compared, as an upcall carries
 * them. */
#include "tests/bpf/lib/ovscase.h"

static void wants_key_of(const uint8_t *frame, size_t len, const struct __sk_buff *ctx,
			 const struct ovs_key *want, int line)
{
	struct ovs_key got = ovs_key_of(frame, len, ctx);

	if (!memcmp(&got, want, sizeof(got)))
		return;
	dump("key", (uint8_t *)&got, sizeof(got));
	dump("want", (const uint8_t *)want, sizeof(*want));
	fail_msg("line %d: not the key wanted", line);
}
#define KEY_OF(frame, len, ctx, want) wants_key_of((frame), (len), (ctx), (want), __LINE__)

/* Dropped for it, and not asked about. */
static void wants_no_key(const uint8_t *frame, size_t len, int line)
{
	uint64_t before = drops(CT_DROP_OVS_KEY);
	struct ovs_run r = ovs_run(1, frame, len, NULL);

	if (r.action != TC_ACT_SHOT || drops(CT_DROP_OVS_KEY) != before + 1 || ovs_upcall_next())
		fail_msg("line %d: action %d, not dropped for its key", line, r.action);
}
#define KEY_IS_NOT_READ(frame, len) wants_no_key((frame), (len), __LINE__)

static void packet_key(const struct packet *p, const struct ovs_key *want, int line)
{
	uint8_t frame[600];

	wants_key_of(frame, build(frame, p), NULL, want, line);
}
#define PACKET_KEY(p, want) packet_key((p), (want), __LINE__)

static void transport_fields_of_both_families(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		static const uint8_t proto[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP};

		for (int i = 0; i < 3; i++) {
			struct ovs_key k = six ? key6(proto[i]) : key4(proto[i]);
			struct packet p = {.src = C[six],
					   .dst = S[six],
					   .proto = proto[i],
					   .sport = 1000,
					   .dport = 80,
					   .tcp = 0x12};

			k.sport = htons(1000);
			k.dport = htons(80);
			if (!i)
				k.tcp_flags = htons(0x12);
			PACKET_KEY(&p, &k);
		}
	}
}

static void ttl_tos_and_label(void **state)
{
	struct packet p = packet4(IPPROTO_UDP);
	struct ovs_key k = key4(IPPROTO_UDP);
	uint8_t frame[600];
	size_t n;

	(void)state;
	p.ttl = 3;
	n = build(frame, &p);
	frame[15] = 0xb9;
	k.sport = htons(1000);
	k.dport = htons(80);
	k.ttl = 3;
	k.tos = 0xb9;
	KEY_OF(frame, n, NULL, &k);
	p.src = C[1];
	p.dst = S[1];
	n = build(frame, &p);
	put4(frame + 14, 0x6b9abcde);
	k = key6(IPPROTO_UDP);
	k.sport = htons(1000);
	k.dport = htons(80);
	k.ttl = 3;
	k.tos = 0xb9;
	k.label = htonl(0xabcde);
	KEY_OF(frame, n, NULL, &k);
}

static void icmp_type_and_code_stand_in_the_ports(void **state)
{
	struct packet p = {.src = C[0], .dst = S[0], .proto = IPPROTO_ICMP, .type = 8, .id = 7};
	struct ovs_key k = key4(IPPROTO_ICMP);

	(void)state;
	k.sport = htons(8);
	PACKET_KEY(&p, &k);
	p = (struct packet){.src = C[1],
			    .dst = S[1],
			    .proto = IPPROTO_ICMPV6,
			    .type = 1,
			    .code = 4,
			    .payload = 40};
	k = key6(IPPROTO_ICMPV6);
	k.sport = htons(1);
	k.dport = htons(4);
	PACKET_KEY(&p, &k);
	/* ICMPv6 in IPv4 is nothing that has a type. */
	p = packet4(IPPROTO_ICMPV6);
	p.type = 128;
	k = key4(IPPROTO_ICMPV6);
	PACKET_KEY(&p, &k);
}

static void fragments_say_first_or_later(void **state)
{
	struct packet p = packet4(IPPROTO_UDP);
	struct ovs_key k = key4(IPPROTO_UDP);

	(void)state;
	p.payload = 64;
	p.frag = 0x2000;
	k.frag = OVS_FRAG_FIRST;
	k.sport = htons(1000);
	k.dport = htons(80);
	PACKET_KEY(&p, &k);
	p.frag = 0x2010;
	k.frag = OVS_FRAG_LATER;
	k.sport = k.dport = 0;
	PACKET_KEY(&p, &k);
}

static void extension_headers_are_passed_by(void **state)
{
	struct packet p = {.src = C[1],
			   .dst = S[1],
			   .proto = IPPROTO_UDP,
			   .sport = 1000,
			   .dport = 80,
			   .ext = EXT_HOP | EXT_DST | EXT_ROUTE | EXT_ATOM};
	struct ovs_key k = key6(IPPROTO_UDP);

	(void)state;
	k.sport = htons(1000);
	k.dport = htons(80);
	PACKET_KEY(&p, &k);
	p.ext = EXT_HOP;
	p.payload = 64;
	p.frag = 0x0001;
	k.frag = OVS_FRAG_FIRST;
	PACKET_KEY(&p, &k);
	p.frag = 0x0041;
	k = key6(IPPROTO_FRAGMENT);
	k.frag = OVS_FRAG_LATER;
	PACKET_KEY(&p, &k);
}

static void tags_in_the_data_and_in_metadata(void **state)
{
	struct packet p = packet4(IPPROTO_UDP);
	struct __sk_buff ctx = {0};
	uint8_t frame[600];
	size_t n;

	(void)state;
	for (p.vlans = 1; p.vlans < 3; p.vlans++) {
		struct ovs_key k = key4(IPPROTO_UDP);

		n = build(frame, &p);
		k.sport = htons(1000);
		k.dport = htons(80);
		for (int i = 0; i < p.vlans; i++) {
			memcpy(&k.vlan[i].tpid, frame + 12 + 4 * i, 2);
			memcpy(&k.vlan[i].tci, frame + 14 + 4 * i, 2);
			k.vlan[i].tci |= htons(OVS_VLAN_CFI);
		}
		KEY_OF(frame, n, &ctx, &k);
	}
}

static size_t arp_frame(uint8_t *f, uint16_t op)
{
	static const uint8_t head[] = {0x08, 0x06, 0, 1, 8, 0, 6, 4};
	struct packet p = packet4(IPPROTO_UDP);

	memset(f, 0, 60);
	build(f, &p);
	memset(f + 12, 0, 48);
	memcpy(f + 12, head, sizeof(head));
	put2(f + 20, op);
	memcpy(f + 22, "\x02\1\2\3\4\5", 6);
	put4(f + 28, 0x0a000002);
	memcpy(f + 32, "\x02\6\7\x8\x9\xa", 6);
	put4(f + 38, 0x0a000003);
	return 60;
}

/* Its key. */
static struct ovs_key arp_key(uint16_t type, uint8_t op)
{
	struct ovs_key k = link_key(type);

	k.proto = op;
	k.src[0] = inet_addr("10.0.0.2");
	k.dst[0] = inet_addr("10.0.0.3");
	memcpy(k.sha, "\x02\1\2\3\4\5", 6);
	memcpy(k.tha, "\x02\6\7\x8\x9\xa", 6);
	return k;
}

static void arp_fields(void **state)
{
	struct ovs_key k = arp_key(0x0806, 2), none = link_key(0x0806);
	uint8_t f[600];

	(void)state;
	KEY_OF(f, arp_frame(f, 2), NULL, &k);
	k.proto = 0;
	KEY_OF(f, arp_frame(f, 256), NULL, &k);
	arp_frame(f, 1);
	f[18] = 8; /* not an Ethernet address */
	KEY_OF(f, 60, NULL, &none);
	arp_frame(f, 1);
	KEY_OF(f, 41, NULL, &none);
}

/* A message of neighbour discovery without options yet, in a frame of its own length, and its key.
 */
static size_t nd_frame(uint8_t *f, uint8_t type, unsigned int payload, struct ovs_key *k)
{
	struct packet p = {.src = C[1],
			   .dst = S[1],
			   .proto = IPPROTO_ICMPV6,
			   .type = type,
			   .payload = payload};
	size_t n = build(f, &p);

	*k = key6(IPPROTO_ICMPV6);
	k->sport = htons(type);
	memset(f + 62, 0x5a, 16);
	memset(k->nd_target, 0x5a, 16);
	return n;
}

static void neighbour_discovery_fields(void **state)
{
	struct ovs_key k;
	uint8_t f[600];
	size_t n = nd_frame(f, 135, 32, &k);

	(void)state;
	memcpy(f + 78, "\1\1\x02\1\2\3\4\5", 8);
	memcpy(k.sha, "\x02\1\2\3\4\5", 6);
	memcpy(f + 86, "\2\1\x02\6\7\x8\x9\xa", 8);
	memcpy(k.tha, "\x02\6\7\x8\x9\xa", 6);
	KEY_OF(f, n, NULL, &k);
	/* An option of length 0 ends them. */
	f[79] = 0;
	memset(k.sha, 0, 6);
	memset(k.tha, 0, 6);
	KEY_OF(f, n, NULL, &k);
	/* Another code is no discovery. */
	f[55] = 1;
	k.dport = htons(1);
	memset(k.nd_target, 0, 16);
	KEY_OF(f, n, NULL, &k);
}

/* other_config:vlan-limit, by default 1: the tag behind is an Ethernet type, or a flow for packets
 * of two tags would be one for those of one. */
static void tags_beyond_the_limit_are_none(void **state)
{
	struct packet p = packet4(IPPROTO_UDP);
	struct ovs_key k = link_key(0x8100);
	uint8_t f[600], plain[600];
	size_t n = build(plain, &p);

	(void)state;
	memcpy(f, plain, 12);
	put4(f + 12, 0x88a80006);
	put4(f + 16, 0x81000005);
	memcpy(f + 20, plain + 12, n - 12);
	k.vlan[0] = (struct ovs_vlan){.tpid = htons(0x88a8), .tci = htons(0x1006)};
	ovs_config->vlan_limit = 1;
	KEY_OF(f, n + 8, NULL, &k);
	ovs_config->vlan_limit = 0;
	k = key4(IPPROTO_UDP);
	k.sport = htons(1000);
	k.dport = htons(80);
	k.vlan[0] = (struct ovs_vlan){.tpid = htons(0x88a8), .tci = htons(0x1006)};
	k.vlan[1] = (struct ovs_vlan){.tpid = htons(0x8100), .tci = htons(0x1005)};
	KEY_OF(f, n + 8, NULL, &k);
}

static void metadata_of_the_packet(void **state)
{
	struct packet p = packet4(IPPROTO_UDP);
	struct ovs_key k = key4(IPPROTO_UDP);
	struct __sk_buff ctx = {.mark = 0x1234, .priority = 7};
	uint8_t f[600];

	(void)state;
	k.sport = htons(1000);
	k.dport = htons(80);
	k.skb_mark = 0x1234;
	k.skb_priority = 7;
	KEY_OF(f, build(f, &p), &ctx, &k);
}

/* Nine flags and the three reserved bits. */
static void all_twelve_tcp_flags(void **state)
{
	struct packet p = packet4(IPPROTO_TCP);
	struct ovs_key k = key4(IPPROTO_TCP);
	uint8_t f[600];
	size_t n = build(f, &p);

	(void)state;
	k.sport = htons(1000);
	k.dport = htons(80);
	for (int bit = 0; bit < 12; bit++) {
		put2(f + 46, 0x5000 | 1 << bit);
		k.tcp_flags = htons(1 << bit);
		KEY_OF(f, n, NULL, &k);
	}
}

static void reverse_arp_has_the_fields_of_arp(void **state)
{
	struct ovs_key k = arp_key(0x8035, 3);
	uint8_t f[600];

	(void)state;
	arp_frame(f, 3);
	put2(f + 12, 0x8035);
	KEY_OF(f, 60, NULL, &k);
}

/* The advertisement, whose option is the target's. */
static void neighbour_advertisement_fields(void **state)
{
	struct ovs_key k;
	uint8_t f[600];
	size_t n = nd_frame(f, 136, 24, &k);

	(void)state;
	memcpy(f + 78, "\2\1\x02\6\7\x8\x9\xa", 8);
	memcpy(k.tha, "\x02\6\7\x8\x9\xa", 6);
	KEY_OF(f, n, NULL, &k);
}

/* What a tunnel's device says of the outer header; of a port that is none nobody asks. */
static void tunnel_metadata_of_both_families(void **state)
{
	struct packet p = packet4(IPPROTO_UDP);
	struct ovs_key plain = key4(IPPROTO_UDP);

	(void)state;
	plain.sport = htons(1000);
	plain.dport = htons(80);
	for (int six = 0; six < 2; six++) {
		struct ovs_key k = plain;
		struct ovs_hook_tunnel *t = &ovs_hook.in;
		uint32_t host[2] = {ntohl(inet_addr("192.0.2.9")), ntohl(inet_addr("192.0.2.1"))};

		ovs_reset(NULL);
		ovs_hook.family = six ? 6 : 4;
		*t = (struct ovs_hook_tunnel){
			.id = 0x123456, .tos = 0xb8, .ttl = 61, .flags = htons(0x0105)};
		k.tun = (struct ovs_key_tun){.id = htobe64(0x123456),
					     .family = six ? 6 : 4,
					     .tos = 0xb8,
					     .ttl = 61,
					     .flags = OVS_TUN_DF | OVS_TUN_CSUM | OVS_TUN_KEY};
		if (six) {
			memset(t->remote, 0x11, 16);
			memset(t->local, 0x22, 16);
			memset(k.tun.src, 0x11, 16);
			memset(k.tun.dst, 0x22, 16);
		} else {
			memcpy(t->remote, &host[0], 4);
			memcpy(t->local, &host[1], 4);
			k.tun.src[0] = inet_addr("192.0.2.9");
			k.tun.dst[0] = inet_addr("192.0.2.1");
		}
		PACKET_KEY(&p, &plain);
		ovs_ports[1].flags |= OVS_PORT_TUNNEL;
		PACKET_KEY(&p, &k);
		t->flags = 0;
		k.tun.flags = 0;
		PACKET_KEY(&p, &k);
		ovs_ports[1].flags &= ~OVS_PORT_TUNNEL;
	}
}

/* LLC; SNAP gives a type. */
static void frames_without_a_type(void **state)
{
	struct ovs_key k = link_key(0x05ff);
	struct packet p = packet4(IPPROTO_UDP);
	uint8_t f[600];

	(void)state;
	build(f, &p);
	memset(f + 14, 0, 60);
	put2(f + 12, 46);
	put4(f + 14, 0x42420300);
	KEY_OF(f, 60, NULL, &k);
	put4(f + 14, 0xaaaa0300);
	put4(f + 18, 0x000088cc);
	k.eth_type = htons(0x88cc);
	KEY_OF(f, 60, NULL, &k);
}

/* What is cut or contradicts itself has no fields, and is looked up all the same. */
static void malformed_packets_have_no_fields(void **state)
{
	struct packet p = packet4(IPPROTO_TCP);
	struct ovs_key bare = link_key(0x0800), no_l4 = key4(IPPROTO_TCP), six = link_key(0x86dd);
	uint8_t f[600];
	size_t n = build(f, &p);

	(void)state;
	f[14] = 0x44; /* header of 16 bytes */
	KEY_OF(f, n, NULL, &bare);
	f[14] = 0x45;
	put2(f + 16, 1500); /* beyond the frame */
	KEY_OF(f, n, NULL, &bare);
	put2(f + 16, 20 + 19); /* TCP cut */
	KEY_OF(f, n, NULL, &no_l4);
	p.src = C[1];
	p.dst = S[1];
	n = build(f, &p);
	put2(f + 18, 1500);
	KEY_OF(f, n, NULL, &six);
}

/* A data offset below 5 words or beyond the packet: OVS has no ports and flags then. */
static void tcp_header_that_cannot_be_has_no_fields(void **state)
{
	struct packet p = packet4(IPPROTO_TCP);
	struct ovs_key no_l4 = key4(IPPROTO_TCP);
	uint8_t f[600];
	size_t n = build(f, &p);

	(void)state;
	f[46] = 0x40 | (f[46] & 0x0f);
	KEY_OF(f, n, NULL, &no_l4);
	f[46] = 0xf0 | (f[46] & 0x0f);
	put2(f + 16, 20 + 59);
	KEY_OF(f, 20 + 59 + 14, NULL, &no_l4);
}

/* vswitchd reads fields of such packets, so that the key has them, too; to ct() it is +inv. */
static void another_ip_version_is_not_looked_at(void **state)
{
	struct packet p = packet4(IPPROTO_UDP);
	struct ovs_key k = key4(IPPROTO_UDP);
	uint8_t f[600];
	size_t n = build(f, &p);

	(void)state;
	k.sport = htons(1000);
	k.dport = htons(80);
	f[14] = 0x65;
	KEY_OF(f, n, NULL, &k);
}

/* Two of a kind are none; an address may be any of 16 options; of more the key would not tell. */
static void every_option_of_neighbour_discovery_counts(void **state)
{
	struct ovs_key k, two;
	uint8_t f[600];
	size_t n = nd_frame(f, 135, 16 + 16 * 8, &k);

	(void)state;
	for (int i = 0; i < 16; i++)
		memcpy(f + 78 + 8 * i, "\x0e\1\0\0\0\0\0\0", 8);
	memcpy(f + 78 + 8 * 15, "\1\1\x02\1\2\3\4\5", 8);
	memcpy(k.sha, "\x02\1\2\3\4\5", 6);
	KEY_OF(f, n, NULL, &k);
	two = k;
	memset(two.sha, 0, 6);
	memset(two.nd_target, 0, 16);
	memcpy(f + 78, "\1\1\x02\1\2\3\4\6", 8);
	KEY_OF(f, n, NULL, &two);
	n = nd_frame(f, 135, 16 + 17 * 8, &k);
	for (int i = 0; i < 17; i++)
		memcpy(f + 78 + 8 * i, "\x0e\1\0\0\0\0\0\0", 8);
	KEY_IS_NOT_READ(f, n);
}

/* Eight headers are looked through, and what would be behind more of them is not guessed. */
static void extension_headers_are_bounded(void **state)
{
	struct packet p = {.src = C[1], .dst = S[1], .proto = IPPROTO_UDP, .payload = 100};
	struct ovs_key k = key6(IPPROTO_UDP), cut;
	uint8_t f[600];
	size_t n = build(f, &p);

	(void)state;
	f[20] = IPPROTO_DSTOPTS;
	for (int i = 0; i < 9; i++)
		memcpy(f + 54 + 8 * i, "\x3c\0\1\4\0\0\0\0", 8);
	f[54 + 8 * 7] = IPPROTO_UDP;
	put4(f + 54 + 8 * 8, 1000 << 16 | 80);
	k.sport = htons(1000);
	k.dport = htons(80);
	KEY_OF(f, n, NULL, &k);
	f[54 + 8 * 7] = IPPROTO_DSTOPTS;
	memcpy(f + 54 + 8 * 8, "\x11\0\1\4\0\0\0\0", 8);
	KEY_IS_NOT_READ(f, n);
	/* One that goes beyond the packet: its addresses are what OVS has of it. */
	f[55] = 0x20;
	cut = link_key(0x86dd);
	memcpy(cut.src, k.src, 16);
	memcpy(cut.dst, k.dst, 16);
	KEY_OF(f, n, NULL, &cut);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		TEST(transport_fields_of_both_families),
		TEST(tcp_header_that_cannot_be_has_no_fields),
		TEST(another_ip_version_is_not_looked_at),
		TEST(every_option_of_neighbour_discovery_counts),
		TEST(extension_headers_are_bounded),
		TEST(tags_beyond_the_limit_are_none),
		TEST(ttl_tos_and_label),
		TEST(icmp_type_and_code_stand_in_the_ports),
		TEST(fragments_say_first_or_later),
		TEST(extension_headers_are_passed_by),
		TEST(tags_in_the_data_and_in_metadata),
		TEST(arp_fields),
		TEST(neighbour_discovery_fields),
		TEST(metadata_of_the_packet),
		TEST(all_twelve_tcp_flags),
		TEST(reverse_arp_has_the_fields_of_arp),
		TEST(neighbour_advertisement_fields),
		TEST(tunnel_metadata_of_both_families),
		TEST(frames_without_a_type),
		TEST(malformed_packets_have_no_fields),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests_name("ovs_keys", tests, ovs_up, ovs_down) ? 1 : 0;
}
