/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTD_LINKS_H
#define BPFCT_CTD_LINKS_H

#include <stdbool.h>
#include <stdint.h>

/* A set of interface indexes; zeroed it is empty. */
struct ifset {
	uint32_t *v;
	unsigned int n;
};

bool ifset_has(const struct ifset *set, uint32_t ifindex);
/* 0 (also if it is there already) or -ENOMEM. */
int ifset_add(struct ifset *set, uint32_t ifindex);
/* Was it there? */
bool ifset_del(struct ifset *set, uint32_t ifindex);
void ifset_free(struct ifset *set);

/*
 * Ports of bridges and slaves of bonds and teams in this network namespace.
 * What they receive is a frame for their master, and it is the master that
 * routes. Slaves of a VRF are no ports: they route. 0 or -errno; out is to be
 * freed after success only.
 */
int links_ports(struct ifset *out);

#endif
