// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "aside_find.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nl_dump.h"

void aside_note(struct aside_found *f, unsigned int families, uint8_t flags, const char *fmt, ...)
{
	char line[ASIDE_WIDTH];
	unsigned int i;
	va_list ap;

	if (families & ASIDE_IPV4)
		f->flags[0] |= flags;
	if (families & ASIDE_IPV6)
		f->flags[1] |= flags;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	for (i = 0; i < f->n && i < ASIDE_LINES; i++)
		if (!strcmp(f->line[i], line))
			return;
	if (f->n < ASIDE_LINES)
		strcpy(f->line[f->n], line);
	f->n++;
}

int aside_dump(int bus, uint16_t type, const void *header, size_t len, mnl_cb_t cb,
	       struct aside_found *f)
{
	struct aside_found *before = malloc(sizeof(*before));
	int ret = -EINTR;
	unsigned int i;

	if (!before)
		return -ENOMEM;
	*before = *f;
	for (i = 0; i < NL_DUMP_TRIES && ret == -EINTR; i++) {
		*f = *before;
		ret = nl_dump(bus, type, header, len, cb, f);
	}
	free(before);
	return ret;
}
