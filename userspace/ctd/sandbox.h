/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTD_SANDBOX_H
#define BPFCT_CTD_SANDBOX_H

/* 0 if this process holds what ctd needs to start; -EPERM, and a line was printed. */
int sandbox_check(void);

/* Keeps CAP_BPF, CAP_NET_ADMIN, CAP_NET_RAW and CAP_PERFMON, forbids new
 * privileges and every system call that the event loop does not need. For good. */
int sandbox_enter(void);

#endif
