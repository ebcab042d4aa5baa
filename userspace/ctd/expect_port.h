/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTD_EXPECT_PORT_H
#define BPFCT_CTD_EXPECT_PORT_H

#include "expect.h"

/*
 * External ports that are set aside for expectations (ct_xport_v1). A port is held by its
 * master's helper, then by the group of the expectation that stands for it; let go, it
 * stays until no expectation names it and no connection uses it, then goes back, once.
 */
struct expect_ports;

int expect_ports_start(struct ctd *d);
void expect_ports_stop(struct ctd *d);

/* Sets the bits of the ports of this class (NAT_TCP, NAT_UDP): nobody else may have them. */
void expect_port_bits(const struct ctd *d, uint32_t class, __u64 word[1024]);

/*
 * Sets aside a port of this external address for the inside endpoint: `wish` if it is
 * free, else another >= 1024; pair: an even one and the next. The port, host byte order,
 * or 0.
 */
uint16_t expect_port_take(struct ctd *d, const struct expect_master *m, const __be32 inside[4],
			  const struct ct_xport_key *where, uint16_t wish, bool pair);

/* Lets go of one port, of a group's, or of all that are this master's. */
void expect_port_let(struct ctd *d, const struct ct_xport_key *k);
void expect_port_let_group(struct ctd *d, const struct ct_label_key *master, uint32_t group);
void expect_port_let_all(struct ctd *d, const struct ct_label_key *master);

/* How many expectations are to come for ports that none has named yet, of this master or (NULL)
 * of all: of(protocol) for each. */
unsigned int expect_ports_promised(const struct ctd *d, const struct ct_label_key *master,
				   unsigned int (*of)(uint8_t proto));

/* The port belongs to a group from now on. */
void expect_port_join(struct ctd *d, const struct ct_xport_key *k, uint32_t group);

/* The one set aside, or NULL. */
const struct ct_xport *expect_port_find(const struct ctd *d, const struct ct_xport_key *k);

/* Gives back what nobody wants or uses. */
void expect_ports_sweep(struct ctd *d);

/* NAT_REF of an external endpoint in a live pool and the generation of its binding, if it
 * has one that is not ours; 0: it is in none, or has to have a binding and has none. */
uint32_t expect_port_ref(struct ctd *d, const struct ct_xport_key *k, uint16_t zone, uint32_t *gen);

/* pool_base (struct ct_nat_args) of an address's pool of this protocol; 0: none. */
uint16_t expect_pool_base(struct ctd *d, const struct ct_xport_key *k);

/* For nat_reconcile.c: NAT_REF of each port that is counted as used by us. */
void expect_port_each(const struct ctd *d, void (*fn)(uint32_t ref, void *arg), void *arg);

#endif
