/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTD_NOTIFY_H
#define BPFCT_CTD_NOTIFY_H

/* sd_notify; without systemd each does nothing. */
void notify_ready(unsigned int interfaces);
void notify_alive(void);
void notify_stopping(void);

#endif
