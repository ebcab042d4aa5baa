/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTD_CONTROL_FW_H
#define BPFCT_CTD_CONTROL_FW_H

#include "control_ops.h"

/* {"op":"load","text":"...","confirm":60,"session":"...","force":true}: all of it may be
 * left out; without a text the file is read again. */
int op_load(struct ctd *d, struct control_request *req);

/* The rules on trial stay. */
int op_confirm(struct ctd *d, struct control_request *req);

/* ctd ends for good: `ctctl fw unload` does the rest. */
int op_quit(struct ctd *d, struct control_request *req);

#endif
