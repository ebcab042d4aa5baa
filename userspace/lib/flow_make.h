/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_LIB_FLOW_MAKE_H
#define BPFCT_LIB_FLOW_MAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "../../bpf/abi/ct_event.h"
#include "nat_maps.h"

/* A record from what people and other trackers say of a connection. Pure. */

/* One direction: addresses in network byte order, IPv4 in the first four bytes, ports
 * in host byte order. ICMP: sport is the id, dport type << 8 | code of the query, in
 * both directions. Protocols without ports: 0. */
struct ct_side {
	uint8_t src[16];
	uint8_t dst[16];
	uint16_t sport;
	uint16_t dport;
};

bool ct_flow_is_icmp(uint8_t proto);

/* True for an ICMP or ICMPv6 type that opens a connection. */
bool ct_flow_is_query(uint8_t proto, uint8_t type);

/* The other direction of an untranslated connection. */
void ct_side_invert(struct ct_side *out, const struct ct_side *in, uint8_t proto);

/* Fills the key and the reply tuple of a zeroed flow; adds to its word which endpoint
 * began, and the NAT bits that the difference of the two tuples makes. */
void ct_flow_tuples(struct ct_flow *flow, int family, uint16_t zone, uint8_t proto,
		    const struct ct_side *orig, const struct ct_side *reply);

/* The port that a flow with a source translation holds: NAT_REF of a live pool of its
 * external endpoint, or 0. */
uint32_t ct_flow_nat_ref(const struct ct_flow *flow, const struct nat_maps *m);

#endif
