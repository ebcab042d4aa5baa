/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTD_NL_DUMP_H
#define BPFCT_CTD_NL_DUMP_H

#include <stddef.h>
#include <stdint.h>

#include <libmnl/libmnl.h>

#define NL_DUMP_TRIES 8 /* a dump that a change interrupted is begun again */

/*
 * Sends a request of the type with `len` bytes of header to a netlink bus, over a socket of its
 * own, and hands every message of the answer to cb. -errno; -EINTR: a change interrupted the
 * dump; -EPROTONOSUPPORT: this kernel has no such bus.
 */
int nl_dump(int bus, uint16_t type, const void *header, size_t len, mnl_cb_t cb, void *arg);

#endif
