// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * What an IPv4 connection costs under the candidates of DESIGN section 4: a map
 * of its own (16-byte key, 128-byte record) or one map for both families
 * (40-byte key, 152-byte record). Each look-up touches what a packet touches and
 * takes the next key from the record it found, as packets do not overlap either.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <stddef.h>
#include <bpf/bpf_helpers.h>
#include "abi/ct_conn.h"
#include "keys.h"

struct keys_state state;

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, struct ct_key4);
	__type(value, struct ct_conn4);
} twin SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, struct ct_key6);
	__type(value, struct ct_conn6);
} packed SEC(".maps");

static __always_inline __u64 mix(__u64 x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

/* Connection i: clients in a /16, any port, one of 65,536 servers. */
static __always_inline void key4(struct ct_key4 *key, __u32 i)
{
	__u64 r = mix(i + 1);

	__builtin_memset(key, 0, sizeof(*key));
	key->addr[0] = 0x0000400a | (__u32)(r & 0xffff) << 16;
	key->addr[1] = 0x000071cb | (__u32)(r >> 16 & 0xffff) << 16;
	key->port[0] = r >> 32;
	key->port[1] = r >> 48;
	key->proto = 17;
}

static __always_inline void key6(struct ct_key6 *key, __u32 i)
{
	struct ct_key4 k;

	key4(&k, i);
	__builtin_memset(key, 0, sizeof(*key));
	key->addr[0][0] = k.addr[0];
	key->addr[1][0] = k.addr[1];
	key->port[0] = k.port[0];
	key->port[1] = k.port[1];
	key->proto = k.proto;
}

static __always_inline __u32 touch(struct ct_conn *c, __u32 reply_addr)
{
	__sync_fetch_and_add(&c->count[0].packets, 1);
	__sync_fetch_and_add(&c->count[0].bytes, 46);
	c->expires = c->last = (__u32)c->word;
	return c->mark + (reply_addr & 0);
}

/* The helper's signature; neither argument is of use. */
#define STEP(name)                                                                                 \
	static long name(__u32 n __attribute__((unused)), void *ctx __attribute__((unused)))

STEP(none_step)
{
	struct ct_key4 key;

	key4(&key, state.at);
	barrier_var(key.addr[0]);
	state.at = (key.addr[0] ^ key.port[0]) & 0xff;
	return 0;
}

STEP(twin_find)
{
	struct ct_conn4 *c;
	struct ct_key4 key;

	key4(&key, state.at);
	c = bpf_map_lookup_elem(&twin, &key);
	if (!c) {
		state.missed++;
		return 1;
	}
	state.at = touch(&c->c, *(volatile __u32 *)&c->reply_saddr);
	return 0;
}

STEP(packed_find)
{
	struct ct_conn6 *c;
	struct ct_key6 key;

	key6(&key, state.at);
	c = bpf_map_lookup_elem(&packed, &key);
	if (!c) {
		state.missed++;
		return 1;
	}
	state.at = touch(&c->c, *(volatile __u32 *)&c->reply_saddr[0]);
	return 0;
}

/* Where a record's mark leads on to: one cycle over all connections. The stride
 * is a prime, so it is coprime to their number, and far from a neighbour. */
static __always_inline __u32 successor(__u32 i)
{
	return (i + 611953) % state.flows;
}

STEP(twin_add)
{
	struct ct_conn4 c = {.c.mark = successor(state.at)};
	struct ct_key4 key;

	key4(&key, state.at++);
	if (bpf_map_update_elem(&twin, &key, &c, BPF_NOEXIST))
		state.missed++;
	return 0;
}

STEP(packed_add)
{
	struct ct_conn6 c = {.c.mark = successor(state.at)};
	struct ct_key6 key;

	key6(&key, state.at++);
	if (bpf_map_update_elem(&packed, &key, &c, BPF_NOEXIST))
		state.missed++;
	return 0;
}

#define RUN(name)                                                                                  \
	SEC("tc")                                                                                  \
	int run_##name(struct __sk_buff *skb __attribute__((unused)))                              \
	{                                                                                          \
		__u64 begun = bpf_ktime_get_ns();                                                  \
		bpf_loop(state.todo, name, 0, 0);                                                  \
		state.ns += bpf_ktime_get_ns() - begun;                                            \
		return TC_ACT_OK;                                                                  \
	}
RUN(none_step)
RUN(twin_find)
RUN(packed_find)
RUN(twin_add)
RUN(packed_add)

char _license[] SEC("license") = "Dual BSD/GPL";
