/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTCTL_SOCKET_H
#define BPFCT_CTCTL_SOCKET_H

#include <json-c/json.h>

#include "ctctl.h"

#define CTCTL_MESSAGE_MAX 65536

/* Connects to the instance's ctd without a word. The descriptor, or -errno: -ENOENT or
 * -ECONNREFUSED there is none. */
int ctctl_dial(const char *instance);

/* Connects to the instance's ctd. The descriptor, or -1 with one line on err. */
int ctctl_connect(struct ctctl *c);

/* Sends one request (the reference is taken) and reads its answer. The answer,
 * the caller's to put, when ctd said ok; else NULL with one line on err. */
struct json_object *ctctl_request(struct ctctl *c, int fd, struct json_object *req);

#endif
