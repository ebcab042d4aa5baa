/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTD_ASIDE_FIND_H
#define BPFCT_CTD_ASIDE_FIND_H

#include <stdbool.h>
#include <stdint.h>

#include <libmnl/libmnl.h>

#define ASIDE_LINES 32
#define ASIDE_WIDTH 160

/* What was found, and what follows from it. */
struct aside_found {
	uint8_t flags[2]; /* CT_ASIDE_* of IPv4, IPv6 */
	unsigned int n;	  /* lines; those beyond ASIDE_LINES are only counted */
	char line[ASIDE_LINES][ASIDE_WIDTH];
};

#define ASIDE_IPV4 1
#define ASIDE_IPV6 2
#define ASIDE_BOTH 3

/* Enters a line, once, and its CT_ASIDE_* flags for ASIDE_IPV4, _IPV6 or _BOTH. */
void aside_note(struct aside_found *f, unsigned int families, uint8_t flags, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/*
 * nl_dump() with *f for cb. An interrupted dump is begun again, with *f as it was.
 */
int aside_dump(int bus, uint16_t type, const void *header, size_t len, mnl_cb_t cb,
	       struct aside_found *f);

/* Each adds what it finds; 0 or -errno. What the kernel lacks is not an error. */
int aside_find_xfrm(struct aside_found *f);
int aside_find_nft(struct aside_found *f);
int aside_find_legacy(struct aside_found *f); /* iptables-legacy */
int aside_find_rules(struct aside_found *f);  /* `ip rule` */

#endif
