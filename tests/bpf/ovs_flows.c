// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* The OVS datapath: which flow a key finds, what becomes of a packet that finds none, and of all
 * packets where state is missing or malformed. */
#include "tests/bpf/lib/ovscase.h"

#include <sys/socket.h>
#include <unistd.h>

#define FIELD(f)                                                                                   \
	{                                                                                          \
		offsetof(struct ovs_key, f), sizeof(((struct ovs_key *)0)->f), #f                  \
	}

/* Nothing leads to any flow but what remembers its slot. */
static void forget_matches(void)
{
	struct ovs_match m;

	while (!bpf_map_get_next_key(ovs_match_fd, NULL, &m))
		bpf_map_delete_elem(ovs_match_fd, &m);
}

/* For every field: a flow that matches on it alone takes the packet, and one that wants it
 * otherwise does not, be it looked for or remembered. Metadata that a packet from a wire has not is
 * 0.
 */
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
	struct ovs_action to2 = OUT(2);
	struct ovs_key key = key4(IPPROTO_TCP), mask;
	uint32_t slot;

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
			p.sport++; /* another word of the cache, which must not know the slot */
			other.sport = key.sport = htons(p.sport);
			((uint8_t *)&other)[field[i].off + byte] ^= 0x10;
			ovs_flow_put(other, mask, &to2, 1);
			assert_int_equal(ovs_packet(1, &p).ifindex, 0);
			slot = ovs_flow_put(key, mask, &to2, 1);
			if (ovs_packet(1, &p).ifindex != ovs_ifindex[2])
				fail_msg("%s, byte %zu", field[i].name, byte);
			forget_matches();
			((uint8_t *)&ovs_flows[slot].key)[field[i].off + byte] ^= 0x10;
			if (ovs_packet(1, &p).ifindex)
				fail_msg("%s, byte %zu, remembered", field[i].name, byte);
		}
	}
}

/* Neighbour discovery behind two tags, with both options. */
static size_t full_frame(uint8_t *f)
{
	struct packet p = {.src = C[1],
			   .dst = S[1],
			   .proto = IPPROTO_ICMPV6,
			   .type = 135,
			   .vlans = 2,
			   .payload = 32};
	size_t n = build(f, &p);

	put4(f + 22, 0x6b9abcde); /* traffic class and label */
	memset(f + 70, 0x5a, 16);
	memcpy(f + 86, "\1\1\x02\1\2\3\4\5\2\1\x02\6\7\x8\x9\xa", 16);
	return n;
}

/* The frame with this metadata, recirculated: where it goes. */
static unsigned int way_of(const struct ovs_key *metadata, const uint8_t *f, size_t n)
{
	struct ovs_flow *e = &ovs_flows[3];

	memset(e, 0, sizeof(*e));
	ovs_actions[100] = (struct ovs_action)AGAIN(10);
	e->key = *metadata;
	e->n_actions = 1;
	e->action[0] = 100;
	e->live = 0xabcde000 | 3;
	return ovs_run_token(e->live, f, n).ifindex;
}

/* The same of a key in which hardly anything is 0, so that no field is taken for 0 in vain: each of
 * its bytes, as the packet has it, and otherwise. */
static void every_byte_of_a_full_key_counts(void **state)
{
	struct ovs_key metadata, key, mask;
	struct ovs_action to2 = OUT(2);
	const struct ovs_upcall *u;
	uint8_t f[600], *k = (uint8_t *)&key;
	size_t n = full_frame(f);

	(void)state;
	memset(&metadata, 0x5a, sizeof(metadata));
	metadata.in_port = 1;
	way_of(&metadata, f, n);
	u = ovs_upcall_next();
	assert_non_null(u);
	key = u->key;
	assert_int_equal(key.recirc_id, 10);
	for (size_t i = 0; i < sizeof(key); i++) {
		if (i / 8 * 8 == offsetof(struct ovs_key, in_port))
			continue; /* and recirc_id: always whole */
		for (int other = 1; other >= 0; other--) {
			ovs_flush();
			/* Another word of the cache. */
			metadata.skb_mark = key.skb_mark = 0x5a5a5a01 + i;
			memset(&mask, 0, sizeof(mask));
			((uint8_t *)&mask)[i] = 0xff;
			k[i] ^= other;
			ovs_flow_put(key, mask, &to2, 1);
			k[i] ^= other;
			if (way_of(&metadata, f, n) != (other ? 0 : ovs_ifindex[2]))
				fail_msg("byte %zu: %02x, %s", i, k[i],
					 other ? "taken" : "not taken");
		}
	}
	ovs_actions[100].type = OVS_ACT_NONE;
}

/* What user space does to change actions: another entry, to which the match leads from then on. */
static void a_changed_flow_is_found_again(void **state)
{
	struct packet p = packet4(IPPROTO_UDP);
	struct ovs_action to3 = OUT(3);
	struct ovs_key key = {.in_port = 1}, mask = {0};

	(void)state;
	for (int sent = 1; sent < 4; sent++) {
		uint32_t slot;

		ovs_flush();
		slot = OVS_ALL(1, 0, OUT(2));
		for (int i = 0; i < sent; i++)
			WANTS(1, &p, 2, &p);
		ovs_flow_put(key, mask, &to3, 1);
		ovs_flows[slot].live = 0;
		WANTS(1, &p, 3, &p);
		WANTS(1, &p, 3, &p);
	}
}

static void the_first_mask_that_matches_wins_and_others_still_do(void **state)
{
	struct packet p = packet4(IPPROTO_UDP), q = p;
	struct ovs_key key = {.in_port = 1, .dport = htons(80)}, mask = {.dport = 0xffff};
	struct ovs_action to2 = OUT(2);

	(void)state;
	q.dport = 81;
	ovs_flow_put(key, mask, &to2, 1);
	OVS_ALL(1, 0, OUT(3));
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
	OVS_ALL(1, 0, OUT(2));
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
	slot = OVS_ALL(1, 0, OUT(2));
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

/* Of packets that the cache has not seen. */
static void after_two_of_one_flow_it_is_asked_first(void **state)
{
	struct packet p = packet4(IPPROTO_UDP);
	struct ovs_key key = {.in_port = 1, .proto = IPPROTO_UDP}, mask = {.proto = 0xff};
	struct ovs_action to2 = OUT(2);
	uint64_t cached, masks;
	uint32_t slot;

	(void)state;
	slot = ovs_flow_put(key, mask, &to2, 1);
	for (p.sport = 2001; p.sport <= 2002; p.sport++)
		WANTS(1, &p, 2, &p);
	cached = ovs_stat_of(OVS_STAT_CACHE_HIT);
	masks = ovs_stat_of(OVS_STAT_MASK_HIT);
	WANTS(1, &p, 2, &p);
	assert_int_equal(ovs_stat_of(OVS_STAT_CACHE_HIT), cached + 1);
	assert_int_equal(ovs_stat_of(OVS_STAT_MASK_HIT), masks);
	/* What is not of it goes its own way. */
	p.proto = IPPROTO_TCP;
	assert_int_equal(ovs_packet(1, &p).ifindex, 0);
	assert_non_null(ovs_upcall_next());
	/* Nor is one that has gone believed in. */
	p.proto = IPPROTO_UDP;
	WANTS(1, &p, 2, &p);
	WANTS(1, &p, 2, &p);
	p.sport++;
	ovs_flows[slot].live = 0;
	assert_int_equal(ovs_packet(1, &p).ifindex, 0);
	assert_non_null(ovs_upcall_next());
}

static void a_flow_counts_packets_bytes_and_flags(void **state)
{
	struct packet p = packet4(IPPROTO_TCP);
	uint8_t frame[600];
	uint32_t slot;

	(void)state;
	slot = OVS_ALL(1, 0, OUT(2));
	p.tcp = 0x02;
	WANTS(1, &p, 2, &p);
	p.tcp = 0x10;
	WANTS(1, &p, 2, &p);
	assert_int_equal(ovs_flows[slot].packets, 2);
	assert_int_equal(ovs_flows[slot].bytes, 2 * build(frame, &p));
	assert_int_equal(ovs_flows[slot].tcp_flags, 0x12);
	assert_true(ovs_flows[slot].used > 1);
	p.tcp = 0x01;
	ovs_flows[slot].used = 1;
	WANTS(1, &p, 2, &p);
	assert_true(ovs_flows[slot].used > 1);
	assert_int_equal(ovs_flows[slot].tcp_flags, 0x13);
}

/* Which is not in the data, but was on the wire and will be. */
static void a_tag_in_metadata_counts_as_bytes(void **state)
{
	struct packet p = packet4(IPPROTO_UDP);
	uint8_t frame[600];
	uint32_t slot;

	(void)state;
	OVS_ALL(1, 0, {.type = OVS_ACT_PUSH_VLAN, .vlan = {htons(0x8100), htons(OVS_VLAN_CFI | 5)}},
		AGAIN(1));
	slot = OVS_ALL(1, 1, OUT(2));
	WANTS(1, &p, 2, NULL);
	assert_int_equal(ovs_flows[slot].bytes, build(frame, &p) + 4);
}

/* ---- misses ---- */

static void a_miss_goes_up_whole(void **state)
{
	struct packet p = packet4(IPPROTO_UDP);
	const struct ovs_upcall *u;
	uint64_t missed = ovs_stat_of(OVS_STAT_MISSED);
	struct ovs_run r;
	uint8_t frame[600];
	size_t n;

	(void)state;
	p.payload = 300;
	n = build(frame, &p);
	r = ovs_packet(1, &p);
	assert_int_equal(ovs_stat_of(OVS_STAT_MISSED), missed + 1);
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
	assert_int_not_equal(u->hash, 0);
	assert_null(ovs_upcall_next());
}

static void a_super_packet_goes_up_with_its_segments(void **state)
{
	struct packet p = packet4(IPPROTO_TCP);
	struct __sk_buff ctx = {.gso_size = 100, .gso_segs = 4};
	const struct ovs_upcall *u;
	uint8_t f[600];

	(void)state;
	p.payload = 400;
	ovs_run(1, f, build(f, &p), &ctx);
	u = ovs_upcall_next();
	assert_non_null(u);
	assert_int_equal(u->gso_size, 100);
	assert_int_equal(u->gso_segs, 4);
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

/* What goes up at the rate of traffic leaves a quarter of the port's share to its misses. */
static void a_rest_leaves_room_for_misses(void **state)
{
	const struct ovs_action rest = {.type = OVS_ACT_USERSPACE,
					.user = {.cookie = 7, .flags = OVS_USER_REST}};
	struct packet labelled = packet4(IPPROTO_UDP), missing = packet4(IPPROTO_TCP);
	struct ovs_key key = {.in_port = 1, .proto = IPPROTO_UDP}, mask = {.proto = 0xff};

	(void)state;
	ovs_flow_put(key, mask, &rest, 1);
	ovs_config->upcall_quota = 4 * (sizeof(struct ovs_upcall) + OVS_UPCALL_SMALL);
	for (int i = 0; i < 4; i++)
		ovs_packet(1, &labelled);
	assert_int_equal(ovs_ports[1].refused, 0);
	ovs_packet(1, &labelled);
	assert_int_equal(ovs_ports[1].refused, 1);
	assert_int_equal(ovs_packet(1, &missing).action, TC_ACT_REDIRECT);
	assert_int_equal(ovs_ports[1].refused, 1);
	WANTS_DROP(1, &missing, CT_DROP_OVS_UPCALL_SHARE);
}

/* The controller's own packet, recirculated: it goes up by entry 0, and that has its share. */
static void a_packet_of_no_port_goes_up(void **state)
{
	uint64_t size = sizeof(struct ovs_upcall) + OVS_UPCALL_SMALL;
	struct ovs_key metadata = {.in_port = OVS_PORT_NONE};
	const struct ovs_upcall *u;
	uint8_t f[600];
	size_t n = full_frame(f);

	(void)state;
	ovs_ports[0].sent = ovs_ports[0].done = 0;
	ovs_config->upcall_quota = size;
	for (int i = 0; i < 3; i++) {
		way_of(&metadata, f, n);
		u = ovs_upcall_next();
		assert_int_equal(!u, i == 2);
		if (u)
			assert_int_equal(u->key.in_port, OVS_PORT_NONE);
	}
	assert_int_equal(ovs_ports[0].sent, 2 * size);
	assert_int_equal(ovs_ports[0].refused, 1);
	ovs_ports[0] = (struct ovs_port){0};
	ovs_actions[100].type = OVS_ACT_NONE;
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
	OVS_ALL(1, 0, OUT(2));
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
	OVS_ALL(1, 0, OUT(2));
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
	slot = OVS_ALL(1, 0, OUT(2));
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
	struct ovs_action to3 = OUT(3);
	uint64_t masks;

	(void)state;
	for (int i = 0; i < OVS_PORT_MASKS; i++) {
		struct ovs_key key = {.in_port = 2}, mask = {0};

		memset((uint8_t *)&mask + offsetof(struct ovs_key, src), 0xff, 1 + i / 8);
		((uint8_t *)&mask)[offsetof(struct ovs_key, src) + 1 + i / 8] = 0xff << (7 - i % 8);
		memset(key.src, 0x7e, sizeof(key.src));
		ovs_flow_put(key, mask, &to3, 1);
	}
	OVS_ALL(1, 0, OUT(2));
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

/* Nor does it take the others' words of the cache: every line of its own is written many times
 * over. (Two flows in turn, as one would be guessed and not looked for.) */
static void packets_of_one_port_take_no_words_of_another(void **state)
{
	struct ovs_key key = {.in_port = 2}, mask = {.dport = htons(1)};
	struct packet p = packet4(IPPROTO_UDP), q = p;
	struct ovs_action to3 = OUT(3);
	uint8_t frame[600];
	uint64_t masks;
	size_t n;

	(void)state;
	for (int odd = 0; odd < 2; odd++) {
		key.dport = htons(odd);
		ovs_flow_put(key, mask, &to3, 1);
	}
	OVS_ALL(1, 0, OUT(2));
	p.sport = 1003;
	WANTS(1, &p, 2, &p);
	q.no_csum = true;
	n = build(frame, &q);
	for (uint32_t i = 0; i < 10 * OVS_CACHE_LINES; i++) {
		put2(frame + 34, i >> 8);
		put2(frame + 36, i);
		ovs_run(2, frame, n, NULL);
	}
	masks = ovs_stat_of(OVS_STAT_MASK_HIT);
	WANTS(1, &p, 2, &p);
	assert_int_equal(ovs_stat_of(OVS_STAT_MASK_HIT), masks);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		TEST(a_mask_of_each_field_counts),
		TEST(every_byte_of_a_full_key_counts),
		TEST(a_changed_flow_is_found_again),
		TEST(a_tag_in_metadata_counts_as_bytes),
		TEST(a_super_packet_goes_up_with_its_segments),
		TEST(the_first_mask_that_matches_wins_and_others_still_do),
		TEST(the_cache_answers_the_second_time),
		TEST(the_cache_knows_that_a_flow_has_gone),
		TEST(after_two_of_one_flow_it_is_asked_first),
		TEST(a_flow_counts_packets_bytes_and_flags),
		TEST(a_miss_goes_up_whole),
		TEST(a_port_has_its_share_of_upcalls),
		TEST(a_rest_leaves_room_for_misses),
		TEST(a_packet_of_no_port_goes_up),
		TEST(a_full_ring_is_a_counted_drop),
		TEST(nothing_gets_past_a_port_without_state),
		TEST(the_namespace_is_compared),
		TEST(malformed_flows_drop),
		TEST(masks_of_one_port_cost_no_other),
		TEST(packets_of_one_port_take_no_words_of_another),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests_name("ovs_flows", tests, ovs_up, ovs_down) ? 1 : 0;
}
