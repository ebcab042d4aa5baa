/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTD_LOG_H
#define BPFCT_CTD_LOG_H

#include <stdbool.h>

/*
 * Two kinds of lines, all on stderr. For people, when ctd cannot start:
 *	ctd: /sys/fs/bpf/bpfct/a/ct_conn4_v1: wrong map layout: ...
 * For machines and people, while it runs (logfmt):
 *	level=info event=ready instance=default interfaces=3
 * Under systemd each line begins with its syslog priority, <3> to <7>.
 */
enum log_level { LOG_FAULT = 3, LOG_WARN = 4, LOG_INFO = 6, LOG_TRACE = 7 };

/* verbose: TRACE lines and libbpf's own words too. */
void log_start(bool verbose, const char *instance);

/* One structured line; fmt gives `key=value ...`, may be "". */
void log_event(enum log_level level, const char *event, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The one line with which a start fails. */
void log_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
