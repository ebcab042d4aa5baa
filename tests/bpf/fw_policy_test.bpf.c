// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Parses a packet and asks the firewall's rules about it; answers in a map. */
#include "../../bpf/lib/ctx_tc.h"
#include "../../bpf/lib/ct_parse.h"
#include "../../consumers/firewall/fw_nat.h"
#include "fw_policy_test.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct fwt_case);
} fwt_case_v1 SEC(".maps");

SEC("tc")
int fw_policy_test(struct __sk_buff *skb)
{
	struct fw_verdict verdict;
	struct ct_pkt pkt;
	__u32 zero = 0;
	struct fwt_case *c = bpf_map_lookup_elem(&fwt_case_v1, &zero);

	if (!c)
		return 0;
	c->parsed = ct_parse(skb, &pkt, 0, 1);
	if (c->parsed)
		return 0;
	c->judged = fw_judge(&pkt, c->in_ifindex, c->out_ifindex, c->dir, c->to_self, &verdict);
	c->verdict = verdict;
	__builtin_memset(&c->args, 0, sizeof(c->args));
	if (c->kind == FW_NAT_DST)
		c->nat = fw_nat_dst(&pkt, c->in_ifindex, c->inside, c->to_self, &c->args);
	else
		c->nat = fw_nat(&pkt, c->in_ifindex, c->out_ifindex, c->hairpin, &c->args);
	return 0;
}

/* For the switch under traffic: one thread runs this, counts need no atomics. */
SEC("tc")
int fw_policy_switch(struct __sk_buff *skb)
{
	struct fw_verdict verdict;
	struct ct_pkt pkt;
	__u32 zero = 0;
	struct fwt_case *c = bpf_map_lookup_elem(&fwt_case_v1, &zero);

	if (!c || ct_parse(skb, &pkt, 0, 1))
		return 0;
	c->runs++;
	if (fw_judge(&pkt, c->in_ifindex, 0, FW_IN, 1, &verdict))
		c->wrong++;
	else if (verdict.rule == 1)
		c->first_seen++;
	else if (verdict.rule == c->last)
		c->last_seen++;
	else
		c->wrong++;
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
