/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTD_CONTROL_EXPECT_H
#define BPFCT_CTD_CONTROL_EXPECT_H

#include "control_ops.h"

/*
 * The operations on expectations. Structs of expect_abi.h travel as hexadecimal: both ends
 * are of one build, and ctctl prints from them as it does from the maps.
 *   {"op":"expect_delete","tuple":HEX}               struct ct_tuple
 *   {"op":"expect_create","tuple":HEX,"expect":HEX}  expires holds seconds from now
 *   {"op":"expect_flush"}                            answers {"deleted":N}
 *   {"op":"expect_events","mask":1..5}               1 << enum ct_event_type
 */
int expect_op_delete(struct ctd *d, struct control_request *req);
int expect_op_create(struct ctd *d, struct control_request *req);
int expect_op_flush(struct ctd *d, struct control_request *req);
int expect_op_events(struct ctd *d, struct control_request *req);

#endif
