/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTD_EXPLAIN_H
#define BPFCT_CTD_EXPLAIN_H

#include "../../consumers/firewall/fw_explain.h"
#include "control_ops.h"

/*
 * {"op":"explain","in":"lan0","proto":6,"from":"10.0.0.5","sport":4000,"to":"203.0.113.2",
 * "dport":80,"flags":2}; for ICMP "type" and "id" instead of ports and flags. What would
 * become of such a packet: "passes", and a member for each thing that has a say; "text"
 * has the same in lines. Nothing is counted, entered or sent.
 */
int op_explain(struct ctd *d, struct control_request *req);
void explain_stop(struct ctd *d);

/* explain_text.c: the answer in words; limited: a source over the limit of its rule. */
void explain_tell(struct ctd *d, const struct fw_question *q, bool limited,
		  struct json_object *out);
/* An interface that nobody judges, and why. */
void explain_unjudged(const char *why, struct json_object *out);

#endif
