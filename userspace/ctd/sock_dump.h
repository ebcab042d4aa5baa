/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTD_SOCK_DUMP_H
#define BPFCT_CTD_SOCK_DUMP_H

#include <stdint.h>

#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>

/* The sockets of ctd's network namespace, by sock_diag(7). */
typedef void (*sock_fn)(const struct inet_diag_msg *m, void *arg);

/* A socket to ask with; NULL with errno set. mnl_socket_close() ends it. */
struct mnl_socket *sock_open(void);

/* One protocol and family; states: 1 << TCP_*. A kernel without it has no such
 * sockets. 0 or -errno. */
int sock_dump(struct mnl_socket *nl, int family, int proto, uint32_t states, sock_fn fn, void *arg);

#endif
