/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTD_ALG_WAY_H
#define BPFCT_CTD_ALG_WAY_H

#include "alg_io.h"

/*
 * The way of a helped connection's packets back into the packet path. Of all that reads
 * payload only this is the consumer's: a tap under the firewall (alg_device.c), the datapath's
 * EXECUTE in vswitchd (consumers/ovs/dpif-bpf-alg-ctd.c), which is linked in its place.
 */

/* Is somebody to be given a helper? */
bool alg_way_wanted(const struct ctd *d);

/* alg_ops.port_at_once of its connections: the consumer's choice, too. */
bool alg_way_port_at_once(const struct ctd *d);

int alg_way_open(struct ctd *d);
void alg_way_close(struct ctd *d);

/* Enters e under the mark, to be used up by the packet that comes back. 0 or -errno. */
int alg_way_enter(struct ctd *d, uint32_t mark, struct alg_exec *e);
/* Sends that packet, or a fragment of it; the frame is overwritten. 0 or -errno. */
int alg_way_send(struct ctd *d, uint32_t mark, uint8_t *frame, size_t len);

#endif
