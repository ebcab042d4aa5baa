/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_ALG_FTP_TEXT_H
#define BPFCT_ALG_FTP_TEXT_H

#include "alg_int.h"

/* The four announcements of FTP as text (RFC 959 4.1.2, RFC 2428). */

struct alg_ftp_place {
	struct alg_addr addr; /* family 0: the announcement has no address (229) */
	unsigned int port;
	size_t off, len; /* what of the line must change with address and port */
	char delim;	 /* EPRT */
};

/* Arguments of PORT, EPRT; the text of a 227 or 229 behind its code. 0 or the reason. */
enum alg_reason alg_ftp_port(struct alg_text line, size_t off, struct alg_ftp_place *p);
enum alg_reason alg_ftp_eprt(struct alg_text line, size_t off, struct alg_ftp_place *p);
enum alg_reason alg_ftp_227(struct alg_text line, struct alg_ftp_place *p);
enum alg_reason alg_ftp_229(struct alg_text line, struct alg_ftp_place *p);

#define ALG_FTP_TEXT 64 /* bytes that the printed forms need at most */
size_t alg_ftp_print_six(const struct alg_addr *a, unsigned int port, char *to);
size_t alg_ftp_print_eprt(const struct alg_addr *a, unsigned int port, char delim, char *to);

#endif
