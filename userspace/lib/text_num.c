// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Numbers and addresses as text: most of what printing a million flows costs. */
#include <arpa/inet.h>
#include <string.h>

#include "text_flow.h"

char *ct_text_num(char *p, uint64_t n)
{
	char tmp[20];
	int i = sizeof(tmp);

	do {
		tmp[--i] = '0' + n % 10;
		n /= 10;
	} while (n);
	memcpy(p, tmp + i, sizeof(tmp) - i);
	return p + sizeof(tmp) - i;
}

static char *text_byte(char *p, unsigned int n)
{
	if (n >= 100) {
		*p++ = '0' + n / 100;
		n %= 100;
		*p++ = '0' + n / 10;
	} else if (n >= 10) {
		*p++ = '0' + n / 10;
	}
	*p++ = '0' + n % 10;
	return p;
}

static char *text_addr4(char *p, const uint8_t *a)
{
	for (int i = 0; i < 4; i++) {
		if (i)
			*p++ = '.';
		p = text_byte(p, a[i]);
	}
	return p;
}

static char *text_hex16(char *p, unsigned int n)
{
	static const char digit[] = "0123456789abcdef";

	if (n >= 0x1000)
		*p++ = digit[n >> 12];
	if (n >= 0x100)
		*p++ = digit[(n >> 8) & 15];
	if (n >= 0x10)
		*p++ = digit[(n >> 4) & 15];
	*p++ = digit[n & 15];
	return p;
}

/* The first of the longest runs of two or more zero words. */
static int longest_zeros(const uint16_t *w, int *len)
{
	int best = -1, best_len = 1;

	for (int i = 0; i < 8; i++) {
		int n = 0;

		while (i + n < 8 && !w[i + n])
			n++;
		if (n > best_len) {
			best = i;
			best_len = n;
		}
		i += n;
	}
	*len = best < 0 ? 0 : best_len;
	return best;
}

static char *text_addr6(char *p, const uint8_t *a)
{
	uint16_t w[8];
	int zeros, len;

	for (int i = 0; i < 8; i++)
		w[i] = a[2 * i] << 8 | a[2 * i + 1];
	zeros = longest_zeros(w, &len);
	for (int i = 0; i < 8; i++) {
		if (zeros >= 0 && i >= zeros && i < zeros + len) {
			if (i == zeros)
				*p++ = ':';
			continue;
		}
		if (i)
			*p++ = ':';
		/* glibc writes ::a.b.c.d and ::ffff:a.b.c.d */
		if (i == 6 && zeros == 0 && (len == 6 || (len == 5 && w[5] == 0xffff)))
			return text_addr4(p, a + 12);
		p = text_hex16(p, w[i]);
	}
	if (zeros >= 0 && zeros + len == 8)
		*p++ = ':';
	return p;
}

char *ct_text_addr(char *p, const void *addr, uint8_t family)
{
	return family == 6 ? text_addr6(p, addr) : text_addr4(p, addr);
}
