/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTD_GUARD_NFT_H
#define BPFCT_CTD_GUARD_NFT_H

#include <stdbool.h>
#include <stdint.h>

#include <libmnl/libmnl.h>

/*
 * The guard's nft table (guard.h) as the kernel has it:
 *
 *	table inet bpfct_guard_INSTANCE {
 *		set open { type iface_index; }
 *		chain in { type filter hook prerouting priority -500;
 *			iif != @open counter drop }
 *		chain forward { type filter hook forward priority -500;
 *			oif != @open counter drop }
 *	}
 *
 * Before everything that netfilter does, so that what is dropped has left no
 * trace in the kernel's conntrack or fragment queues either.
 */
#define GUARD_NAME_MAX 80

void guard_table_name(char name[GUARD_NAME_MAX], const char *instance);

/* Each is one transaction: all of it or nothing. 0 or -errno. */

/* Makes the table, in place of one of that name, with these interfaces open. */
int guard_nft_replace(struct mnl_socket *nl, const char *table, const uint32_t *ifindex,
		      unsigned int n);
/* Opens these interfaces and closes all others. -ENOENT: there is no such table. */
int guard_nft_open(struct mnl_socket *nl, const char *table, const uint32_t *ifindex,
		   unsigned int n);
/* No table is no error. */
int guard_nft_delete(struct mnl_socket *nl, const char *table);
/* Is the table there? -errno if that cannot be told. */
int guard_nft_exists(struct mnl_socket *nl, const char *table);

/* Is this message of NFNLGRP_NFTABLES about something in the table? */
bool guard_nft_concerns(const struct nlmsghdr *nlh, const char *table);

#endif
