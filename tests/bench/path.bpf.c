// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The traffic of the throughput figures. Two generators, run by
 * BPF_PROG_TEST_RUN with live frames: each frame is rewritten whole, as the
 * pages are recycled with whatever the path made of them. Two sinks that count
 * and drop at the far end. And a bare redirect, the floor of any TC datapath.
 */
#include <linux/errno.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "abi/ct_conn.h"
#include "path.h"

struct path_state state;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PATH_FLOWS_MAX);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct path_seen);
} seen SEC(".maps");

struct frame {
	struct ethhdr eth;
	struct iphdr ip;
	struct udphdr udp;
	__be32 magic;
	__be32 flow;
	__u8 rest[10];
} __attribute__((packed));
_Static_assert(sizeof(struct frame) == PATH_FRAME, "frame");

static __always_inline __u16 fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static __always_inline __u32 halves(__u32 word)
{
	return (word & 0xffff) + (word >> 16);
}

/* Sums are in host order over big-endian words read as they lie: byte order
 * does not matter to a one's complement sum. */
static __always_inline __u32 ip_sum(const void *ip)
{
	const __u16 *w = ip;
	__u32 sum = 0;

#pragma unroll
	for (int i = 0; i < 10; i++)
		sum += w[i];
	return sum;
}

static __always_inline __u32 udp_sum(const struct frame *f)
{
	__u32 sum = halves(f->ip.saddr) + halves(f->ip.daddr);

	sum += bpf_htons(IPPROTO_UDP) + (__u32)f->udp.len * 2;
	sum += (__u32)f->udp.source + f->udp.dest + f->udp.check;
	return sum + halves(f->magic) + halves(f->flow);
}

static __always_inline int send(struct xdp_md *ctx, const struct path_gen *cfg, __u32 flow,
				__be32 saddr, __be32 daddr, __be16 sport, __be16 dport)
{
	struct frame *f = (void *)(long)ctx->data;
	__u16 csum;

	if ((void *)(f + 1) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	__builtin_memcpy(f->eth.h_dest, cfg->dmac, 6);
	__builtin_memcpy(f->eth.h_source, cfg->smac, 6);
	f->eth.h_proto = bpf_htons(ETH_P_IP);
	f->ip.version = 4;
	f->ip.ihl = 5;
	f->ip.tos = 0;
	f->ip.tot_len = bpf_htons(PATH_FRAME - sizeof(f->eth));
	f->ip.id = bpf_htons((__u16)flow);
	f->ip.frag_off = bpf_htons(0x4000);
	f->ip.ttl = 64;
	f->ip.protocol = IPPROTO_UDP;
	f->ip.check = 0;
	f->ip.saddr = saddr;
	f->ip.daddr = daddr;
	f->ip.check = ~fold(ip_sum((const void *)&f->ip));
	f->udp.source = sport;
	f->udp.dest = dport;
	f->udp.len = bpf_htons(PATH_FRAME - sizeof(f->eth) - sizeof(f->ip));
	f->udp.check = 0;
	f->magic = bpf_htonl(PATH_MAGIC);
	f->flow = bpf_htonl(flow);
	__builtin_memset(f->rest, 0, sizeof(f->rest));
	csum = ~fold(udp_sum(f));
	f->udp.check = csum ? csum : 0xffff;
	return bpf_redirect(cfg->ifindex, 0);
}

static __always_inline __u32 next_flow(struct path_gen *cfg)
{
	__u32 n = cfg->next;

	if (!cfg->begun_ns)
		cfg->begun_ns = bpf_ktime_get_ns();
	cfg->next = n + 1 >= cfg->flows ? 0 : n + 1;
	return cfg->first + n;
}

SEC("xdp")
int gen_orig(struct xdp_md *ctx)
{
	struct path_gen *cfg = &state.gen[PATH_ORIG];
	__u32 flow = next_flow(cfg);

	return send(ctx, cfg, flow, bpf_htonl(PATH_CLIENT + (flow & (cfg->clients - 1))),
		    bpf_htonl(PATH_SERVER), bpf_htons(1024 + flow % PATH_SPORTS),
		    bpf_htons(7000 + (cfg->one_port ? 0 : flow / PATH_SPORTS)));
}

SEC("xdp")
int gen_reply(struct xdp_md *ctx)
{
	struct path_gen *cfg = &state.gen[PATH_REPLY];
	__u32 flow = next_flow(cfg);
	struct path_seen *s = bpf_map_lookup_elem(&seen, &flow);

	if (!s)
		return XDP_ABORTED;
	return send(ctx, cfg, flow, bpf_htonl(PATH_SERVER), s->saddr, s->dport, s->sport);
}

static __always_inline struct frame *ours(struct xdp_md *ctx)
{
	struct frame *f = (void *)(long)ctx->data;

	if ((void *)(f + 1) > (void *)(long)ctx->data_end)
		return 0;
	if (f->eth.h_proto != bpf_htons(ETH_P_IP) || f->ip.protocol != IPPROTO_UDP ||
	    f->magic != bpf_htonl(PATH_MAGIC))
		return 0;
	return f;
}

static __always_inline void count(struct path_sink *cnt)
{
	if (++cnt->frames % PATH_TIME_EVERY && !state.gen[PATH_ORIG].one_port && !cnt->time_each)
		return;
	cnt->timed = cnt->frames;
	cnt->timed_ns = bpf_ktime_get_ns();
}

static __always_inline void verify(const struct frame *f, struct path_sink *cnt)
{
	if (fold(ip_sum((const void *)&f->ip)) != 0xffff || fold(udp_sum(f)) != 0xffff ||
	    (f->ip.ttl == 64) != state.bridged)
		cnt->bad_csum++;
}

SEC("xdp")
int sink_server(struct xdp_md *ctx)
{
	struct path_sink *cnt = &state.sink[PATH_ORIG];
	struct frame *f = ours(ctx);
	struct path_seen *s;
	__u32 flow;

	if (!f)
		return XDP_PASS;
	count(cnt);
	cnt->translated += f->ip.saddr == bpf_htonl(PATH_WAN);
	if (cnt->learn) {
		flow = bpf_ntohl(f->flow);
		s = bpf_map_lookup_elem(&seen, &flow);
		if (s) {
			s->saddr = f->ip.saddr;
			s->sport = f->udp.source;
			s->dport = f->udp.dest;
		}
		verify(f, cnt);
	}
	return XDP_DROP;
}

SEC("xdp")
int sink_client(struct xdp_md *ctx)
{
	struct path_sink *cnt = &state.sink[PATH_REPLY];
	struct frame *f = ours(ctx);
	__u32 flow;

	if (!f)
		return XDP_PASS;
	count(cnt);
	flow = bpf_ntohl(f->flow);
	cnt->translated +=
		f->ip.daddr == bpf_htonl(PATH_CLIENT + (flow & (state.gen[PATH_ORIG].clients - 1)));
	if (cnt->learn)
		verify(f, cnt);
	return XDP_DROP;
}

SEC("tc")
int bare_redirect(struct __sk_buff *skb)
{
	struct frame *f = (void *)(long)skb->data;

	if ((void *)(f + 1) > (void *)(long)skb->data_end)
		return TC_ACT_OK;
	__builtin_memcpy(f->eth.h_dest, state.redirect_dmac, 6);
	return bpf_redirect(
		state.redirect_ifindex[skb->ingress_ifindex == state.redirect_ifindex[0]], 0);
}

/*
 * What a new translated connection costs at least where it is kept under two keys in maps, of the
 * sizes that ours has: two inserts into cold memory and the redirect, nothing looked up, judged,
 * counted or translated. Kinds of maps: ours, and both LRU or HASH; only those of the side are
 * given their size.
 */
#define PATH_TWO_INSERTS(name, conns, stubs)                                                       \
	struct {                                                                                   \
		__uint(type, conns);                                                               \
		__uint(max_entries, 1);                                                            \
		__type(key, struct ct_key4);                                                       \
		__type(value, struct ct_conn4);                                                    \
	} name##_conn SEC(".maps");                                                                \
	struct {                                                                                   \
		__uint(type, stubs);                                                               \
		__uint(max_entries, 1);                                                            \
		__type(key, struct ct_key4);                                                       \
		__type(value, struct ct_stub4);                                                    \
	} name##_stub SEC(".maps");                                                                \
	SEC("tc")                                                                                  \
	int two_##name(struct __sk_buff *skb)                                                      \
	{                                                                                          \
		return two_inserts(skb, &name##_conn, &name##_stub);                               \
	}

static __always_inline int two_inserts(struct __sk_buff *skb, void *conns, void *stubs)
{
	struct frame *f = (void *)(long)skb->data;
	struct ct_conn4 conn = {};
	struct ct_stub4 stub = {};
	struct ct_key4 key = {}, reply;
	long v;

	if ((void *)(f + 1) > (void *)(long)skb->data_end)
		return TC_ACT_OK;
	key.addr[0] = f->ip.saddr;
	key.addr[1] = f->ip.daddr;
	key.port[0] = f->udp.source;
	key.port[1] = f->udp.dest;
	key.proto = f->ip.protocol;
	reply = key;
	reply.addr[0] = bpf_htonl(PATH_WAN);
	stub.conn = key;
	conn.reply_saddr = f->ip.daddr;
	conn.reply_daddr = reply.addr[0];
	/* Those that only warm the path up come more than once. */
	v = bpf_map_update_elem(stubs, &reply, &stub, BPF_NOEXIST);
	if (!v || v == -EEXIST)
		v = bpf_map_update_elem(conns, &key, &conn, BPF_NOEXIST);
	if (v && v != -EEXIST)
		return TC_ACT_SHOT;
	return bare_redirect(skb);
}
PATH_TWO_INSERTS(ours, BPF_MAP_TYPE_LRU_HASH, BPF_MAP_TYPE_HASH)
PATH_TWO_INSERTS(lru, BPF_MAP_TYPE_LRU_HASH, BPF_MAP_TYPE_LRU_HASH)
PATH_TWO_INSERTS(hash, BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_HASH)

char _license[] SEC("license") = "Dual BSD/GPL";
