/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTD_ATTACH_H
#define BPFCT_CTD_ATTACH_H

#include "ctd.h"

struct nlmsghdr;

/*
 * fw_ingress and fw_egress on both sides of every interface but loopback
 * and the ports of bridges, bonds and teams (links.h): their master has them.
 * By TCX (tcx.h), or by filters of the clsact qdisc where the kernel has no TCX
 * (before 6.6) or --clsact asks for it: then priority and handle are ours.
 * Either way what others have attached stays and gets what we let pass, and a
 * restarted ctd replaces its own programs in place.
 */

/* Attaches to every interface; -errno and one line if one fails. */
int attach_start(struct ctd *d);

/* Attaches to interfaces that are new or no port any more, detaches from those
 * that became one, forgets those that are gone. */
void attach_refresh(struct ctd *d);

/* The interface went (RTM_DELLINK). One with its index may be back before the
 * next refresh, without qdiscs. */
void attach_forget(struct ctd *d, uint32_t ifindex);

/* Messages were lost: the next refresh attaches everywhere once more. */
void attach_doubt(struct ctd *d);

/* RTM_DELQDISC or RTM_DELTFILTER: were our programs taken away from an interface
 * that should have them? Then a line, not more than one a second, and a refresh is due. */
bool attach_lost(struct ctd *d, const struct nlmsghdr *nlh);

/* The kernel does not announce what happens to TCX links: looks at all of them.
 * Was one lost? Then a line as above, and a refresh is due. Called every second. */
bool attach_check(struct ctd *d);

/* Are programs of this instance on both sides of that interface, whoever put them there? */
bool attach_present(const char *instance, uint32_t ifindex);

/* Programs stay attached. */
void attach_stop(struct ctd *d);

/* Indexes of the interfaces with our programs; valid until the next refresh. */
unsigned int attach_list(const struct ctd *d, const uint32_t **ifindex);

/* Detaches this instance's programs from all interfaces of the namespace, and
 * removes the clsact qdiscs that are ours and empty. */
int attach_remove(const char *instance, const struct run_lock *lock);

#endif
