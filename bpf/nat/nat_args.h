/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_NAT_ARGS_H
#define BPFCT_NAT_ARGS_H

#include <linux/types.h>

#define CT_NAT_SRC 1
#define CT_NAT_DST 2

/*
 * What ct_commit is asked to translate. Addresses in network byte order, IPv4
 * in word 0; ports in host byte order. port_min 0: keep the port when it is
 * free, else any of 1024-65535.
 */
struct ct_nat_args {
	__u32 flags; /* CT_NAT_SRC or CT_NAT_DST; 0: none */
	__be32 addr_min[4];
	__be32 addr_max[4];
	__u16 port_min;
	__u16 port_max;
};

#endif
