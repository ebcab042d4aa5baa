/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_OVS_DP_MAPS_H
#define BPFCT_OVS_DP_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "../../bpf/ct/ct_maps.h"
#include "dp_abi.h"

/* The maps of dp_abi.h, which says what is in them and who writes. */
CT_MAP_MMAP(ovs_config_v1, 1, struct ovs_config);
CT_MAP_MMAP(ovs_port_v1, OVS_PORTS, struct ovs_port);
CT_MAP_MMAP(ovs_near_v1, OVS_NEAR, __u64);
CT_MAP(ovs_far_v1, BPF_MAP_TYPE_HASH, OVS_PORTS, __u32, __u64);
CT_MAP_MMAP(ovs_mask_v1, OVS_MASKS, struct ovs_key);
CT_MAP_MMAP(ovs_flow_v1, OVS_EXECS + OVS_FLOWS, struct ovs_flow);
CT_MAP_MMAP(ovs_action_v1, OVS_ACTIONS, struct ovs_action);
CT_MAP_MMAP(ovs_meter_v1, OVS_METERS, struct ovs_meter);
CT_MAP_MMAP(ovs_cache_v1, OVS_CACHE_PORTS *OVS_CACHE_LINES, struct ovs_cache);
CT_MAP(ovs_stat_v1, BPF_MAP_TYPE_PERCPU_ARRAY, OVS_STAT_SLOTS, __u32, __u64);

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, OVS_FLOWS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct ovs_match);
	__type(value, __u32);
} ovs_match_v1 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, OVS_FLOWS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(key_size, 16);
	__uint(value_size, 4);
} ovs_ufid_v1 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, OVS_ACTIONS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct ovs_cookie);
} ovs_cookie_v1 SEC(".maps");

struct ovs_ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, OVS_RING_BYTES);
};
struct ovs_ring ovs_ring0_v2 SEC(".maps");
struct ovs_ring ovs_ring1_v2 SEC(".maps");
struct ovs_ring ovs_ring2_v2 SEC(".maps");
struct ovs_ring ovs_ring3_v2 SEC(".maps");
struct ovs_ring ovs_ring4_v2 SEC(".maps");
struct ovs_ring ovs_ring5_v2 SEC(".maps");
struct ovs_ring ovs_ring6_v2 SEC(".maps");
struct ovs_ring ovs_ring7_v2 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, OVS_RINGS);
	__type(key, __u32);
	__array(values, struct ovs_ring);
} ovs_ring_v2 SEC(".maps") = {
	.values = {&ovs_ring0_v2, &ovs_ring1_v2, &ovs_ring2_v2, &ovs_ring3_v2, &ovs_ring4_v2,
		   &ovs_ring5_v2, &ovs_ring6_v2, &ovs_ring7_v2},
};

static __always_inline void ovs_stat(__u32 stat)
{
	__u64 *n = bpf_map_lookup_elem(&ovs_stat_v1, &stat);

	if (n)
		*n += 1;
}

static __always_inline const struct ovs_config *ovs_config(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&ovs_config_v1, &zero);
}

/* A port by its number, NULL: no such port. */
static __always_inline struct ovs_port *ovs_port_of(__u32 number)
{
	struct ovs_port *p = bpf_map_lookup_elem(&ovs_port_v1, &number);

	return p && (*(volatile __u32 *)&p->flags & OVS_PORT_LIVE) ? p : NULL;
}

/* The number of the port that a device is, OVS_PORT_NONE: none. */
static __always_inline __u32 ovs_port_number(__u32 ifindex)
{
	__u64 *n;

	/* Two calls, which the compiler is not to make one of: with two maps for it the kernel
	 * would not inline the array's. */
	if (ifindex < OVS_NEAR) {
		n = bpf_map_lookup_elem(&ovs_near_v1, &ifindex);
		asm volatile("" : "+r"(n));
	} else {
		n = bpf_map_lookup_elem(&ovs_far_v1, &ifindex);
	}
	return n && *n ? *n - 1 : OVS_PORT_NONE;
}

static __always_inline struct ovs_flow *ovs_flow_of(__u32 slot)
{
	return bpf_map_lookup_elem(&ovs_flow_v1, &slot);
}

#endif
