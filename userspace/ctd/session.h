/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTD_SESSION_H
#define BPFCT_CTD_SESSION_H

#include "ctd.h"

/*
 * The ssh session that somebody sits at who loads rules, as sshd describes it
 * in SSH_CONNECTION: "CLIENT PORT SERVER PORT". Would these rules refuse it if it began
 * now? Then true, and why as a line without its end. What does not end at
 * this router, or cannot be told to, is none of ours: false.
 */
bool session_is_cut(struct ctd *d, const struct fw_rules *rules, const char *session, char *why,
		    size_t len);

#endif
