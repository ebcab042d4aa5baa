/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_LIB_TCP_RESET_H
#define BPFCT_LIB_TCP_RESET_H

#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>

#define TCP_RESET_MAX 60 /* IPv6 header and TCP header */

/*
 * The reset that answers a TCP segment nobody listens to (RFC 9293 3.10.7.1), from its
 * destination to its source, with its IP header. head is the segment from the IP header
 * on, as far as it is known. Returns the length; 0: it is a reset itself, a fragment, or
 * not TCP right behind its IP header. Pure.
 */
size_t tcp_reset(const uint8_t *head, size_t len, uint8_t out[TCP_RESET_MAX]);

#endif
