/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTD_FIREWALL_H
#define BPFCT_CTD_FIREWALL_H

#include "ctd.h"

/* The consumer's BPF object: loaded on the core's maps, its own maps pinned beside them. */

int firewall_start(struct ctd *d);
void firewall_stop(struct ctd *d);

/* Pins the maps that have no pin yet; after the core's. */
int firewall_pin(struct ctd *d);

/* Before another object is loaded: the core's maps and the firewall's own become its. */
struct bpf_object;
int firewall_share(struct ctd *d, struct bpf_object *obj);

const struct fw_fds *firewall_fds(const struct ctd *d);
/* Descriptor of fw_ingress or fw_egress, or of their _l3 form for devices whose
 * frames begin with the IP header; that form is loaded when first asked for, as
 * the verifier takes seconds. -errno if that fails. */
int firewall_prog(struct ctd *d, bool egress, bool no_l2);

#endif
