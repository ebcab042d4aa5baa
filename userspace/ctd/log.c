// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/libbpf.h>

static bool verbose;
static bool journal;
static char instance[64];

static const char *level_text(enum log_level level)
{
	switch (level) {
	case LOG_FAULT:
		return "error";
	case LOG_WARN:
		return "warning";
	case LOG_INFO:
		return "info";
	default:
		return "debug";
	}
}

/* One write() a line: lines of several processes on one stream do not mix. */
static void put_line(enum log_level level, const char *line)
{
	char out[2100];
	int n;

	n = journal ? snprintf(out, sizeof(out), "<%d>%s\n", level, line)
		    : snprintf(out, sizeof(out), "%s\n", line);
	if (n >= (int)sizeof(out)) {
		n = sizeof(out) - 1;
		out[n - 1] = '\n';
	}
	if (write(STDERR_FILENO, out, n) < 0)
		return; /* nobody to tell */
}

static int libbpf_line(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	(void)level;
	return verbose ? vfprintf(stderr, fmt, ap) : 0;
}

void log_start(bool be_verbose, const char *name)
{
	verbose = be_verbose;
	journal = getenv("JOURNAL_STREAM") != NULL;
	snprintf(instance, sizeof(instance), "%s", name);
	libbpf_set_print(libbpf_line);
}

void log_event(enum log_level level, const char *event, const char *fmt, ...)
{
	char text[1600], line[2000];
	va_list ap;

	if (level == LOG_TRACE && !verbose)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	snprintf(line, sizeof(line), "level=%s event=%s instance=%s%s%s", level_text(level), event,
		 instance, text[0] ? " " : "", text);
	put_line(level, line);
}

void log_fail(const char *fmt, ...)
{
	char text[1600], line[2000];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	snprintf(line, sizeof(line), "ctd: %s", text);
	put_line(LOG_FAULT, line);
}
