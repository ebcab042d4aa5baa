/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTD_RULES_H
#define BPFCT_CTD_RULES_H

#include <stdio.h>

#include "ctd.h"

/* The configuration: parsed, compiled for the interfaces that are there, installed. */

/* Reads, parses and compiles; looks at the machine and changes nothing. Lines on stderr. */
int rules_start(struct ctd *d);
/* What an empty file says, for who needs settings though there is no right file. */
struct rules *rules_none(void);
void rules_stop(struct ctd *d);

/* What the configuration asks for. */
const struct fw_settings *rules_settings(const struct ctd *d);
void rules_limits(const struct fw_settings *s, const struct fw_rules *compiled,
		  struct bpfct_limits *out);
const struct fw_rules *rules_compiled(const struct ctd *d);
const struct fw_ifs *rules_ifs(const struct ctd *d);

/* Writes the compiled rules into the firewall's maps, unless the same are in
 * force already (their counters go on), and the interfaces. */
int rules_install(struct ctd *d);

/* Interfaces or addresses changed: reads them again, attaches, compiles and installs. */
int rules_refresh(struct ctd *d);

/* Replaces the configuration, all of it or nothing; text NULL: the file is read
 * again. Lines on err. */
int rules_load(struct ctd *d, const char *text, size_t len, FILE *err);

/* The running configuration in canonical form. */
void rules_print(const struct ctd *d, FILE *out);
unsigned int rules_count(const struct ctd *d);
/* Text and counters of rule n (0: the default). */
int rules_hits(const struct ctd *d, unsigned int n, FILE *text, struct fw_hit *hit);

#endif
