// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* libFuzzer: both directions of SIP, over UDP and TCP. */
#include <netinet/in.h>

#include "alg_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size && data[0] & 8)
		return fuzz_one(data, size, ALG_SIP, IPPROTO_TCP, 0);
	return fuzz_one(data, size, ALG_SIP, IPPROTO_UDP, ALG_F_DATAGRAM);
}
