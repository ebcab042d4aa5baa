// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* libFuzzer: both directions of PPTP's control connection. */
#include <netinet/in.h>

#include "alg_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return fuzz_one(data, size, ALG_PPTP, IPPROTO_TCP, 0);
}
