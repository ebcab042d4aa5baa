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
/* As rules_start(), from another file. */
int rules_start_from(struct ctd *d, const char *path);
void rules_stop(struct ctd *d);

/* What the configuration asks for. */
const struct fw_settings *rules_settings(const struct ctd *d);
void rules_limits(const struct fw_settings *s, const struct fw_rules *compiled,
		  struct bpfct_limits *out);
const struct fw_rules *rules_compiled(const struct ctd *d);
const struct fw_ifs *rules_ifs(const struct ctd *d);
/* Is this interface to be left alone (`set skip on`)? */
bool rules_skips(const struct ctd *d, const char *name);

/* Writes the compiled rules into the firewall's maps, unless the same are in
 * force already (their counters go on), and the interfaces. */
int rules_install(struct ctd *d);

/* Interfaces or addresses changed: reads them again, attaches, compiles and installs. */
int rules_refresh(struct ctd *d);

/* Reads and compiles the text (NULL: the configuration file) and changes nothing. Lines
 * on err. */
int rules_read(struct ctd *d, const char *text, size_t len, struct rules **out, FILE *err);
/* Replaces the configuration by r, all of it or nothing. What was in force is
 * the caller's then; on error r is. On trial, and on the way back from one, tables keep what
 * was entered by hand or by limits (tables_prune()). Lines on err. */
int rules_switch(struct ctd *d, struct rules *r, bool trial, struct rules **before, FILE *err);
/* Compiles r for the interfaces that are there now; on error it stays as it was. */
int rules_renew(const struct ctd *d, struct rules *r);
const struct fw_rules *rules_compiled_of(const struct rules *r);
void rules_free(struct rules *r); /* NULL is allowed */

/* The running configuration in canonical form. */
void rules_print(const struct ctd *d, FILE *out);
unsigned int rules_count(const struct ctd *d);
/* Line of rule n in its file, its text on out; 0: there is none. */
unsigned int rules_line(const struct ctd *d, unsigned int n, FILE *out);
/* Text and counters of rule n (0: the default). */
int rules_hits(const struct ctd *d, unsigned int n, FILE *text, struct fw_hit *hit);

#endif
