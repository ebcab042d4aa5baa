// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * `antispoof for IF`: the networks of an interface come by it only, and its own
 * addresses from nowhere. As `set antispoof strict` asks the routes for the same
 * of every packet, this is for who has set that to loose or off.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fw_ast.h"

/* Blocks what comes from an address, or from its network. in 0: by any interface. */
static int fw_block_from(struct fw_compiler *c, const struct fw_stmt *s, const struct fw_ifaddr *a,
			 uint8_t plen, uint32_t in)
{
	struct fw_match m = {.family = a->family, .flags = FW_M_SRC};

	m.in_ifindex = in;
	if (in)
		m.flags |= FW_M_IN_NOT;
	fw_mask(a->family, plen, m.smask);
	for (int i = 0; i < 4; i++)
		m.saddr[i] = a->addr[i] & m.smask[i];
	return fw_emit(c, s, &m);
}

static int fw_antispoof_if(struct fw_compiler *c, const struct fw_stmt *s,
			   const struct fw_if *iface)
{
	int ret = 0;

	for (unsigned int i = 0; i < iface->addrs && !ret; i++) {
		const struct fw_ifaddr *a = &iface->addr[i];

		if (fw_is_link_local(a) || (s->family && a->family != s->family))
			continue;
		ret = fw_block_from(c, s, a, a->prefixlen, iface->ifindex);
		if (!ret)
			ret = fw_block_from(c, s, a, a->family == 4 ? 32 : 128, 0);
	}
	return ret;
}

int fw_emit_antispoof(struct fw_compiler *c, const struct fw_stmt *s)
{
	int ret = 0;

	for (unsigned int i = 0; i < s->on.flat.n && !ret; i++) {
		const struct fw_if *iface = fw_need_if(c, &s->on.flat.v[i]);

		ret = iface ? fw_antispoof_if(c, s, iface) : -ENODEV;
	}
	return ret;
}
