// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The OVS datapath: what key it takes from a packet, which flow that finds, and what becomes
 * of a packet that finds none. Whole keys are compared, as an upcall carries them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <linux/pkt_cls.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bpf/lib/ovsplay.h"

/* Tables name only what matters. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define TO(n)                                                                                      \
	{                                                                                          \
		.type = OVS_ACT_OUTPUT, .port = (n)                                                \
	}

/* The four words of an IPv6 address. */

static void set6(__be32 *a, const char *text)
{
	assert_int_equal(inet_pton(AF_INET6, text, a), 1);
}

/* What build() gives every frame. */
static struct ovs_key link_key(uint16_t type)
{
	uint8_t frame[600];
	struct packet p = {.src = "10.0.0.2", .dst = "10.0.0.3", .proto = IPPROTO_UDP};
	struct ovs_key k = {.in_port = 1, .eth_type = htons(type)};

	build(frame, &p);
	memcpy(k.eth_dst, frame, 6);
	memcpy(k.eth_src, frame + 6, 6);
	return k;
}

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

static void packet_key(const struct packet *p, const struct ovs_key *want, int line)
{
	uint8_t frame[600];

	wants_key_of(frame, build(frame, p), NULL, want, line);
}
#define PACKET_KEY(p, want) packet_key((p), (want), __LINE__)

static struct ovs_key key4(uint8_t proto)
{
	struct ovs_key k = link_key(0x0800);

	k.src[0] = inet_addr("10.0.0.2");
	k.dst[0] = inet_addr("198.51.100.80");
	k.proto = proto;
	k.ttl = 64;
	return k;
}

static struct ovs_key key6(uint8_t proto)
{
	struct ovs_key k = link_key(0x86dd);

	set6(k.src, C[1]);
	set6(k.dst, S[1]);
	k.proto = proto;
	k.ttl = 64;
	return k;
}

static struct packet packet4(uint8_t proto)
{
	return (struct packet){
		.src = C[0], .dst = S[0], .proto = proto, .sport = 1000, .dport = 80};
}

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

static void arp_fields(void **state)
{
	struct ovs_key k = link_key(0x0806), none = k;
	uint8_t f[600];

	(void)state;
	k.proto = 2;
	k.src[0] = inet_addr("10.0.0.2");
	k.dst[0] = inet_addr("10.0.0.3");
	memcpy(k.sha, "\x02\1\2\3\4\5", 6);
	memcpy(k.tha, "\x02\6\7\x8\x9\xa", 6);
	KEY_OF(f, arp_frame(f, 2), NULL, &k);
	k.proto = 0;
	KEY_OF(f, arp_frame(f, 256), NULL, &k);
	arp_frame(f, 1);
	f[18] = 8; /* not an Ethernet address */
	KEY_OF(f, 60, NULL, &none);
	arp_frame(f, 1);
	KEY_OF(f, 41, NULL, &none);
}

static void neighbour_discovery_fields(void **state)
{
	struct packet p = {
		.src = C[1], .dst = S[1], .proto = IPPROTO_ICMPV6, .type = 135, .payload = 32};
	struct ovs_key k = key6(IPPROTO_ICMPV6);
	uint8_t f[600];
	size_t n = build(f, &p);

	(void)state;
	k.sport = htons(135);
	memset(f + 62, 0x5a, 16);
	memset(k.nd_target, 0x5a, 16);
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
	f[14] = 0x65; /* version 6 */
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

/* ---- flows ---- */

#define FIELD(f)                                                                                   \
	{                                                                                          \
		offsetof(struct ovs_key, f), sizeof(((struct ovs_key *)0)->f), #f                  \
	}

/* For every field: a flow that matches on it alone takes the packet, and one that wants it
 * otherwise does not. Metadata that a packet from a wire has not is 0. */
static void a_mask_of_each_field_counts(void **state)
{
	static const struct {
		size_t off, size;
		const char *name;
	} field[] = {
		FIELD(tun),	 FIELD(dp_hash),   FIELD(skb_mark),  FIELD(skb_priority),
		FIELD(ct_mark),	 FIELD(ct_label),  FIELD(ct_zone),   FIELD(ct_state),
		FIELD(ct_proto), FIELD(ct_src),	   FIELD(ct_dst),    FIELD(ct_sport),
		FIELD(ct_dport), FIELD(eth_dst),   FIELD(eth_src),   FIELD(eth_type),
		FIELD(vlan),	 FIELD(src),	   FIELD(dst),	     FIELD(label),
		FIELD(proto),	 FIELD(tos),	   FIELD(ttl),	     FIELD(frag),
		FIELD(sport),	 FIELD(dport),	   FIELD(tcp_flags), FIELD(sha),
		FIELD(tha),	 FIELD(nd_target),
	};
	struct packet p = packet4(IPPROTO_TCP);
	struct ovs_action to2 = TO(2);
	struct ovs_key key = key4(IPPROTO_TCP), mask;

	(void)state;
	p.tcp = 0x10;
	key.sport = htons(1000);
	key.dport = htons(80);
	key.tcp_flags = htons(0x10);
	for (size_t i = 0; i < sizeof(field) / sizeof(*field); i++) {
		for (size_t byte = 0; byte < field[i].size; byte++) {
			struct ovs_key other = key;

			memset(&mask, 0, sizeof(mask));
			((uint8_t *)&mask)[field[i].off + byte] = 0xff;
			ovs_flush();
			((uint8_t *)&other)[field[i].off + byte] ^= 0x10;
			ovs_flow_put(other, mask, &to2, 1);
			assert_int_equal(ovs_packet(1, &p).ifindex, 0);
			ovs_flow_put(key, mask, &to2, 1);
			if (ovs_packet(1, &p).ifindex != ovs_ifindex[2])
				fail_msg("%s, byte %zu", field[i].name, byte);
		}
	}
}

static void the_first_mask_that_matches_wins_and_others_still_do(void **state)
{
	struct packet p = packet4(IPPROTO_UDP), q = p;
	struct ovs_key key = {.in_port = 1, .dport = htons(80)}, mask = {.dport = 0xffff};
	struct ovs_action to2 = TO(2);

	(void)state;
	q.dport = 81;
	ovs_flow_put(key, mask, &to2, 1);
	OVS_ALL(1, 0, TO(3));
	WANTS(1, &p, 2, &p);
	WANTS(1, &q, 3, &q);
	WANTS(1, &p, 2, &p);
}

static void the_cache_answers_the_second_time(void **state)
{
	struct packet p = packet4(IPPROTO_UDP);
	uint64_t cached = ovs_stat_of(OVS_STAT_CACHE_HIT), masks;

	(void)state;
	p.sport = 1001;
	OVS_ALL(1, 0, TO(2));
	WANTS(1, &p, 2, &p);
	masks = ovs_stat_of(OVS_STAT_MASK_HIT);
	WANTS(1, &p, 2, &p);
	assert_int_equal(ovs_stat_of(OVS_STAT_CACHE_HIT), cached + 1);
	assert_int_equal(ovs_stat_of(OVS_STAT_MASK_HIT), masks);
}

/* The word in the cache still names the slot. */
static void the_cache_knows_that_a_flow_has_gone(void **state)
{
	struct packet p = packet4(IPPROTO_UDP);
	struct ovs_match m;
	uint32_t slot;

	(void)state;
	slot = OVS_ALL(1, 0, TO(2));
	WANTS(1, &p, 2, &p);
	assert_int_equal(bpf_map_get_next_key(ovs_match_fd, NULL, &m), 0);
	bpf_map_delete_elem(ovs_match_fd, &m);
	ovs_flows[slot].live = 0;
	assert_int_equal(ovs_packet(1, &p).ifindex, 0);
	assert_non_null(ovs_upcall_next());
	/* The slot is another flow's now: of another port's packets. */
	ovs_flows[slot].key.in_port = 2;
	ovs_flows[slot].live = 1;
	assert_int_equal(ovs_packet(1, &p).ifindex, 0);
	assert_non_null(ovs_upcall_next());
}

static void a_flow_counts_packets_bytes_and_flags(void **state)
{
	struct packet p = packet4(IPPROTO_TCP);
	uint8_t frame[600];
	uint32_t slot;

	(void)state;
	slot = OVS_ALL(1, 0, TO(2));
	p.tcp = 0x02;
	WANTS(1, &p, 2, &p);
	p.tcp = 0x10;
	WANTS(1, &p, 2, &p);
	assert_int_equal(ovs_flows[slot].packets, 2);
	assert_int_equal(ovs_flows[slot].bytes, 2 * build(frame, &p));
	assert_int_equal(ovs_flows[slot].tcp_flags, 0x12);
	assert_true(ovs_flows[slot].used > 0);
}

/* ---- misses ---- */

static void a_miss_goes_up_whole(void **state)
{
	struct packet p = packet4(IPPROTO_UDP);
	const struct ovs_upcall *u;
	struct ovs_run r;
	uint8_t frame[600];
	size_t n;

	(void)state;
	p.payload = 300;
	n = build(frame, &p);
	r = ovs_packet(1, &p);
	assert_int_equal(r.action, TC_ACT_REDIRECT);
	assert_int_equal(r.ifindex, 0);
	u = ovs_upcall_next();
	assert_non_null(u);
	assert_int_equal(u->reason, OVS_UPCALL_MISS);
	assert_int_equal(u->len, n);
	assert_int_equal(u->caplen, n);
	assert_int_equal(u->size, sizeof(*u) + OVS_UPCALL_MEDIUM);
	assert_memory_equal(u->data, frame, n);
	assert_int_equal(u->gso_size, 0);
	assert_null(ovs_upcall_next());
}

static void a_port_has_its_share_of_upcalls(void **state)
{
	struct packet p = packet4(IPPROTO_UDP);
	uint64_t size = sizeof(struct ovs_upcall) + OVS_UPCALL_SMALL;

	(void)state;
	ovs_config->upcall_quota = size;
	ovs_packet(1, &p);
	ovs_packet(1, &p);
	WANTS_DROP(1, &p, CT_DROP_OVS_UPCALL_SHARE);
	assert_int_equal(ovs_ports[1].refused, 1);
	assert_int_equal(ovs_ports[1].sent, 2 * size);
	/* The other ports have theirs. */
	assert_int_equal(ovs_packet(2, &p).action, TC_ACT_REDIRECT);
	while (ovs_upcall_next())
		;
	assert_int_equal(ovs_packet(1, &p).action, TC_ACT_REDIRECT);
}

static void a_full_ring_is_a_counted_drop(void **state)
{
	struct packet p = packet4(IPPROTO_UDP);
	int i;

	(void)state;
	ovs_ports[1].ring = 7; /* nobody reads that one */
	ovs_config->upcall_quota = 64 << 20;
	for (i = 0; i < OVS_RING_BYTES / 512 && ovs_packet(1, &p).action != TC_ACT_SHOT; i++)
		;
	assert_in_range(i, 1000, OVS_RING_BYTES / 512 - 1);
	WANTS_DROP(1, &p, CT_DROP_OVS_UPCALL_FULL);
}

/* ---- state that is missing ---- */

static void nothing_gets_past_a_port_without_state(void **state)
{
	struct packet p = packet4(IPPROTO_UDP);

	(void)state;
	OVS_ALL(1, 0, TO(2));
	ovs_config->abi_version = 0;
	WANTS_DROP(1, &p, CT_DROP_OVS_PROGRAM);
	ovs_config->abi_version = OVS_ABI_VERSION;
	ovs_ports[1].flags = 0;
	WANTS_DROP(1, &p, CT_DROP_OVS_DEVICE);
	ovs_ports[1].flags = OVS_PORT_LIVE;
	ovs_ports[1].ifindex++;
	WANTS_DROP(1, &p, CT_DROP_OVS_DEVICE);
	ovs_ports[1].ifindex--;
	ovs_config->netns = 1; /* a namespace that is not this one */
	WANTS_DROP(1, &p, CT_DROP_OVS_DEVICE);
	ovs_config->netns = 0;
	ovs_ports[2].netns = 1;
	WANTS_DROP(1, &p, CT_DROP_OVS_NETNS);
	ovs_ports[2].flags = 0;
	WANTS_DROP(1, &p, CT_DROP_OVS_PORT);
}

/* Both ways: what is here passes, by the cookie that user space reads. */
static void the_namespace_is_compared(void **state)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct packet p = packet4(IPPROTO_UDP);
	uint64_t here = 0;
	socklen_t len = sizeof(here);

	(void)state;
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &here, &len), 0);
	close(fd);
	OVS_ALL(1, 0, TO(2));
	ovs_config->netns = here;
	WANTS(1, &p, 2, &p);
	ovs_ports[2].netns = here + 1;
	WANTS_DROP(1, &p, CT_DROP_OVS_NETNS);
	ovs_config->netns = 0;
	ovs_ports[2].netns = here;
	WANTS(1, &p, 2, &p);
	ovs_config->netns = here + 1;
	WANTS_DROP(1, &p, CT_DROP_OVS_DEVICE);
}

static void malformed_flows_drop(void **state)
{
	struct packet p = packet4(IPPROTO_UDP);
	uint32_t slot;

	(void)state;
	slot = OVS_ALL(1, 0, TO(2));
	ovs_flows[slot].n_actions = 0;
	WANTS_DROP(1, &p, CT_DROP_OVS_DROP);
	ovs_flows[slot].n_actions = OVS_FLOW_ACTIONS + 1;
	WANTS_DROP(1, &p, CT_DROP_OVS_ACTION);
	ovs_flows[slot].n_actions = 1;
	ovs_flows[slot].action[0] = OVS_ACTIONS;
	WANTS_DROP(1, &p, CT_DROP_OVS_ACTION);
	ovs_flows[slot].action[0] = 0; /* an empty slot */
	WANTS_DROP(1, &p, CT_DROP_OVS_ACTION);
}

/* A tenant that mints masks pays for them alone: another port's look-ups stay its own. */
static void masks_of_one_port_cost_no_other(void **state)
{
	struct packet p = packet4(IPPROTO_UDP);
	struct ovs_action to3 = TO(3);
	uint64_t masks;

	(void)state;
	for (int i = 0; i < OVS_PORT_MASKS; i++) {
		struct ovs_key key = {.in_port = 2}, mask = {0};

		memset((uint8_t *)&mask + offsetof(struct ovs_key, src), 0xff, 1 + i / 8);
		((uint8_t *)&mask)[offsetof(struct ovs_key, src) + 1 + i / 8] = 0xff << (7 - i % 8);
		memset(key.src, 0x7e, sizeof(key.src));
		ovs_flow_put(key, mask, &to3, 1);
	}
	OVS_ALL(1, 0, TO(2));
	masks = ovs_stat_of(OVS_STAT_MASK_HIT);
	p.sport = 1002;
	WANTS(1, &p, 2, &p);
	assert_int_equal(ovs_stat_of(OVS_STAT_MASK_HIT), masks + 1);
	/* And a packet of its own never looks at more than the bound. */
	ovs_packet(2, &p);
	assert_int_equal(ovs_stat_of(OVS_STAT_MASK_HIT), masks + 1 + OVS_PORT_MASKS);
	ovs_ports[2].n_masks = 0xffffffff;
	ovs_packet(2, &p);
	assert_int_equal(ovs_stat_of(OVS_STAT_MASK_HIT), masks + 1 + 2 * OVS_PORT_MASKS);
}

#define TEST(f) cmocka_unit_test_setup(f, ovs_reset)

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		TEST(transport_fields_of_both_families),
		TEST(ttl_tos_and_label),
		TEST(icmp_type_and_code_stand_in_the_ports),
		TEST(fragments_say_first_or_later),
		TEST(extension_headers_are_passed_by),
		TEST(tags_in_the_data_and_in_metadata),
		TEST(arp_fields),
		TEST(neighbour_discovery_fields),
		TEST(metadata_of_the_packet),
		TEST(frames_without_a_type),
		TEST(malformed_packets_have_no_fields),
		TEST(a_mask_of_each_field_counts),
		TEST(the_first_mask_that_matches_wins_and_others_still_do),
		TEST(the_cache_answers_the_second_time),
		TEST(the_cache_knows_that_a_flow_has_gone),
		TEST(a_flow_counts_packets_bytes_and_flags),
		TEST(a_miss_goes_up_whole),
		TEST(a_port_has_its_share_of_upcalls),
		TEST(a_full_ring_is_a_counted_drop),
		TEST(nothing_gets_past_a_port_without_state),
		TEST(the_namespace_is_compared),
		TEST(malformed_flows_drop),
		TEST(masks_of_one_port_cost_no_other),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests_name("ovs_keys", tests, ovs_up, ovs_down) ? 1 : 0;
}
