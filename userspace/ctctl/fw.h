/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTCTL_FW_H
#define BPFCT_CTCTL_FW_H

#include <json-c/json.h>

#include "ctctl.h"

/* What the verbs of `ctctl fw` share. */

/* A rule file, or standard input for "-"; the caller frees it. NULL, and a line on err. */
char *fw_read_file(struct ctctl *c, const char *path, size_t *len);

struct json_object *fw_request(const char *op);
/* Sends it (it is gone then) and gives the answer, NULL with a line on err. */
struct json_object *fw_ask(struct ctctl *c, struct json_object *req);
/* Warnings on err; the answer's text, or with -j all of it, on out. */
void fw_print_answer(struct ctctl *c, struct json_object *answer);

/* SSH_CONNECTION, ours or that of the nearest ancestor who has one: sudo drops it. An
 * empty one of ours is none. */
bool fw_session(char *out, size_t len);

#endif
