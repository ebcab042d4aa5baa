// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * A bad path for the connections that helpers read (TCP ports 21 and 5060, IPv4), at the egress of
 * an end: of the segments with payload every fourth is lost, and every third of the others changes
 * places with the one after it. One that has none after it waits until its sender repeats it.
 * The device must leave segmentation and checksums to the stack (ethtool -K tx off tso off gso
 * off).
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#include "tcp_payload.h"

#define FRAME_MAX  2048
#define GOES_FIRST 0x1055 /* mark of one that has passed the other */

struct lossy {
	__u64 seen, kept;
	__u32 len; /* of the frame that waits; 0: none does */
	__u8 frame[FRAME_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct lossy);
} lossy_state SEC(".maps");

static int helped_payload(struct __sk_buff *skb)
{
	return tcp_payload(skb, 21) || tcp_payload(skb, 5060);
}

/* A frame's length as Linux 6.1's verifier believes it: 1 to FRAME_MAX, or 0. */
static __always_inline __u64 frame_len(__u64 len)
{
	__u64 last = len - 1;

	if (last >= FRAME_MAX)
		return 0;
	asm volatile("" : "+r"(last));
	return last + 1;
}

SEC("tc")
int lossy(struct __sk_buff *skb)
{
	__u64 len = frame_len(skb->len);
	__u32 zero = 0;
	struct lossy *s = bpf_map_lookup_elem(&lossy_state, &zero);

	if (!s || skb->mark == GOES_FIRST || !helped_payload(skb))
		return TC_ACT_OK;
	if (__sync_fetch_and_add(&s->seen, 1) % 4 == 3)
		return TC_ACT_STOLEN;
	if (!s->len) {
		if (__sync_fetch_and_add(&s->kept, 1) % 3 != 1 || !len ||
		    bpf_skb_load_bytes(skb, 0, s->frame, len))
			return TC_ACT_OK;
		s->len = len;
		return TC_ACT_STOLEN;
	}
	skb->mark = GOES_FIRST;
	bpf_clone_redirect(skb, skb->ifindex, 0);
	len = frame_len(s->len);
	s->len = 0;
	if (!len || bpf_skb_change_tail(skb, len, 0) ||
	    bpf_skb_store_bytes(skb, 0, s->frame, len, 0))
		return TC_ACT_STOLEN;
	return TC_ACT_OK;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
