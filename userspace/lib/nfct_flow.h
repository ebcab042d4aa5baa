/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_LIB_NFCT_FLOW_H
#define BPFCT_LIB_NFCT_FLOW_H

#include <libmnl/libmnl.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>

#include "text_flow.h"

/*
 * Connections of the kernel's nf_conntrack and ours, one as the other, through
 * libnetfilter_conntrack. Pure: messages in, messages out.
 */

/*
 * A message of nf_conntrack's dump as the flow of a CT_CONTROL_CREATE: key, reply tuple,
 * NAT bits, SEEN_REPLY and ASSURED, protocol state, mark, label, counters; c.expires in
 * seconds, c.start in seconds before now_ns (since the epoch; 0: the kernel kept no
 * time). A TCP window is not known: both directions are liberal, as one picked up in the
 * middle is (docs/tcp-states.md).
 * 0; -ENOENT: it is dying; -EOPNOTSUPP: what we do not have (sequence adjustment, a zone
 * of one direction); -EPROTO: not understood.
 */
int nfct_to_flow(const struct nlmsghdr *nlh, uint64_t now_ns, struct ct_flow *flow);

/* What a kernel may have been built without. */
#define NFCT_MARK  1
#define NFCT_LABEL 2

/*
 * The request that enters a connection into nf_conntrack, at buf (MNL_SOCKET_BUFFER_SIZE
 * bytes): tuples, translation, state, SEEN_REPLY and ASSURED, time left, TCP liberal with
 * its window scales; of `what` mark and label, which a kernel may not have.
 * NULL: not understood, or no memory.
 */
struct nlmsghdr *nfct_from_flow(char *buf, const struct ct_flow *flow,
				const struct ct_view_clock *clock, unsigned int what);

/* The request that deletes the entry with the same original tuple. */
struct nlmsghdr *nfct_delete_flow(char *buf, const struct ct_flow *flow,
				  const struct ct_view_clock *clock);

#endif
