/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_FW_MSS_H
#define BPFCT_FW_MSS_H

#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>

#include "../../bpf/lib/ct_pkt.h"
#include "../../bpf/abi/ct_drop.h"
#include "fw_forward.h"
#include "fw_maps.h"

/*
 * `set mss clamp`: a SYN or SYN/ACK that is forwarded offers no larger segments than
 * fit the link it came by and the one it leaves by; it is never raised. Of the other
 * packets none comes here.
 */
#define FW_TCP_SYN 0x02

#define FW_OPT_END  0
#define FW_OPT_NOP  1
#define FW_OPT_MSS  2
#define FW_OPTS_MAX 40
#define FW_MSS_CSUM 16 /* of the checksum in the TCP header */

/* The walk over the options: the verifier follows a step of bpf_loop once. Indexes
 * are masked, hence 64; what lies behind the options is 0: FW_OPT_END. */
struct fw_mss_work {
	__u8 opt[64];
	__u32 at;
	__u32 len;
	__u32 found; /* offset of the value among the options; 0: none */
};
CT_SCRATCH_FITS(struct fw_mss_work);

static long fw_mss_step(__u32 i, void *unused)
{
	struct fw_mss_work *w = ct_scratch(CT_SCRATCH_MSS);
	__u32 at, len;

	(void)unused;
	(void)i;
	if (!w || w->at >= w->len)
		return 1;
	at = w->at;
	if (w->opt[at & 63] == FW_OPT_END)
		return 1;
	if (w->opt[at & 63] == FW_OPT_NOP) {
		w->at = at + 1;
		return 0;
	}
	len = w->opt[(at + 1) & 63];
	if (len < 2 || at + len > w->len)
		return 1;
	if (w->opt[at & 63] == FW_OPT_MSS && len == 4) {
		w->found = at + 2;
		return 1;
	}
	w->at = at + len;
	return 0;
}

/* Largest segment that fits a link, in host byte order; 0: no such link is known. */
static __always_inline __u32 fw_mss_of(__u32 mtu, __u8 family)
{
	__u32 headers = (family == 4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr)) +
			sizeof(struct tcphdr);

	/* Below 68 and 1280 no link of the family is (RFC 791, 8200). */
	if (mtu < (family == 4 ? 68 : 1280))
		return 0;
	return mtu > 65535 ? 65535 - headers : mtu - headers;
}

/* The MTU of the route to an address; 0: not known. A length above every MTU makes the
 * kernel say it whether or not the neighbour is known. */
static __always_inline __u32 fw_mtu_to(struct __sk_buff *skb, struct bpf_fib_lookup *p,
				       const struct ct_tuple *t, const __be32 *to)
{
	__builtin_memset(p, 0, sizeof(*p));
	p->ifindex = skb->ifindex;
	p->l4_protocol = IPPROTO_TCP;
	p->tot_len = 0xffff;
	p->family = t->family == 4 ? FW_AF_INET : FW_AF_INET6;
	if (t->family == 4)
		p->ipv4_dst = to[0];
	else
		__builtin_memcpy(p->ipv6_dst, to, 16);
	return bpf_fib_lookup(skb, p, sizeof(*p), 0) == BPF_FIB_LKUP_RET_FRAG_NEEDED ? p->mtu_result
										     : 0;
}

/* Writes the option. An odd place in the segment lies across two words of the sum. */
static __always_inline int fw_mss_write(struct __sk_buff *skb, const struct ct_pkt *pkt, __u32 off,
					__u32 old, __u32 mss)
{
	__be16 to = bpf_htons(mss), from = bpf_htons(old), value = to;

	if ((off - pkt->l4_off) & 1) {
		to = __builtin_bswap16(to);
		from = __builtin_bswap16(from);
	}
	if (bpf_l4_csum_replace(skb, pkt->l4_off + FW_MSS_CSUM, from, to, 2))
		return -CT_DROP_CSUM_UPDATE;
	return ctx_store(skb, off, &value, sizeof(value)) ? -CT_DROP_PKT_ACCESS : 0;
}

/* Lowers the packet's MSS to what fits the MTU; 0: not known, nothing is done. */
__noinline int fw_mss(struct __sk_buff *skb, const struct ct_pkt *pkt, __u32 mtu)
{
	__u32 mss, old, off;
	struct fw_mss_work *w = ct_scratch(CT_SCRATCH_MSS);

	if (!pkt || !w || !pkt->tcp_optlen || pkt->tcp_optlen > FW_OPTS_MAX ||
	    (pkt->flags & (CT_PKT_GATHERED | CT_PKT_FRAGMENT)))
		return 0;
	mss = fw_mss_of(mtu, pkt->tuple.family);
	if (!mss)
		return 0;
	__builtin_memset(w, 0, sizeof(*w));
	w->len = pkt->tcp_optlen;
	if (ctx_load(skb, pkt->l4_off + sizeof(struct tcphdr), w->opt,
		     ctx_bound64(pkt->tcp_optlen)))
		return 0;
	bpf_loop(FW_OPTS_MAX, fw_mss_step, 0, 0);
	if (!w->found)
		return 0;
	off = pkt->l4_off + sizeof(struct tcphdr) + w->found;
	old = (__u32)w->opt[w->found & 63] << 8 | w->opt[(w->found + 1) & 63];
	return old > mss ? fw_mss_write(skb, pkt, off, old, mss) : 0;
}

/* The smaller of the MTUs to where the packet goes and back to where it is from;
 * the routes', which may be smaller than the links'. 0: neither is known. */
__noinline int fw_mss_way(struct __sk_buff *skb, const struct ct_pkt *pkt,
			  const struct ct_result *res)
{
	const struct fw_iface *iface = fw_iface(skb->ifindex);
	struct bpf_fib_lookup p = {};
	__u32 mtu, back;

	if (!pkt || !res)
		return 0;
	back = fw_mtu_to(skb, &p, &pkt->tuple, pkt->tuple.saddr);
	if (iface && (!back || iface->mtu < back))
		back = iface->mtu;
	mtu = fw_mtu_to(skb, &p, &pkt->tuple,
			res->translate & CT_XLATE_DST ? res->to.daddr : pkt->tuple.daddr);
	return back && (!mtu || back < mtu) ? back : mtu;
}

/* Is it one of those that `set mss clamp` is about? The flags first: they are at hand. */
static __always_inline int fw_is_syn(const struct ct_pkt *pkt)
{
	return (pkt->tcp_flags & FW_TCP_SYN) && pkt->tuple.proto == IPPROTO_TCP;
}

#endif
