/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTD_FRAG_ICMP_H
#define BPFCT_CTD_FRAG_ICMP_H

#include <stdbool.h>

#include "../../bpf/abi/frag_abi.h"

/* May a sender be told that its datagram was not whole in time? Not of ICMP errors,
 * nor who is nobody (RFC 1122 3.2.2, RFC 4443 2.4 e). */
bool frag_icmp_allowed(const struct frag_expired *e);

/* Sends the ICMP error (11/1, ICMPv6 3/1) to the source of the quoted fragment, by a
 * raw socket of its own. 0 or -errno. */
int frag_icmp_send(const struct frag_expired *e);

#endif
