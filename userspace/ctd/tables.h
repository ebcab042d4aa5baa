/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTD_TABLES_H
#define BPFCT_CTD_TABLES_H

#include <stdio.h>

#include "control_ops.h"

/*
 * The tables of the rules. What is in them lives in a BPF map alone and so outlives a
 * reload and a ctd; a table without `persist` starts each load with what the file says.
 */

/* Enters what the rules put into their tables. 0, or -errno with a line on err. */
int tables_fill(struct ctd *d, const struct fw_rules *rules, FILE *err);

/* Deletes what these rules, now in force, do not want in their tables. On trial only what other
 * files' rules have put there, which comes back with them; what was entered by hand or by a limit
 * would not. */
void tables_prune(struct ctd *d, const struct fw_rules *rules, bool trial);

/* {"op":"table_show","name":"..."}: what is in a table; without a name, the tables. */
int tables_op_show(struct ctd *d, struct control_request *req);
/* {"op":"table_add","name":"...","addrs":["192.0.2.1","2001:db8::/32"]} */
int tables_op_add(struct ctd *d, struct control_request *req);
int tables_op_del(struct ctd *d, struct control_request *req);
/* {"op":"table_flush","name":"..."}: empties it, but for what the file names. */
int tables_op_flush(struct ctd *d, struct control_request *req);

#endif
