/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CT_PATH_H
#define BPFCT_CT_PATH_H

/*
 * The path of a packet, in order. Include lib/ctx_tc.h or lib/ctx_xdp.h first;
 * then call, on one struct ct_work:
 *
 *   ct_parse(ctx, &w->pkt, zone, l2)          packet -> descriptor
 *   frag_admit(&w->pkt)                       a fragment? TC: frag/frag_hold.h then
 *   ct_lookup(ctx, &w->pkt, &w->res)          descriptor -> connection, verdict
 *   ... the consumer's policy for CT_NEW ...
 *   ct_commit(ctx, &w->pkt, &w->res, &args)   enter it, claim its tuples
 *   alg_take(ctx, &w->pkt, &w->res)           TC: payload of a helped connection
 *                                             leaves for ctd, see ct/ct_alg_take.h
 *   nat_apply(ctx, &w->pkt, &w->res, which)   write addresses, ports, checksums
 *
 * Each returns >= 0 or a negative drop reason; test v < 0 and nothing else.
 */
#include "lib/ct_parse.h"
#include "frag/frag_admit.h"
#include "ct/ct_lookup.h"
#include "ct/ct_commit.h"
#include "nat/nat_apply.h"
#include "ct/ct_work.h"

#endif
