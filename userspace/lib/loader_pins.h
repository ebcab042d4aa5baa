/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_LIB_LOADER_PINS_H
#define BPFCT_LIB_LOADER_PINS_H

#include "loader.h"

/* Between loader.c, which loads, and loader_pins.c, which makes visible. */

/*
 * Maps of one load, neither shared nor pinned: libbpf's own (.rodata, .bss), and
 * scratch of the core, that is what ct_table.h does not list. ct_control runs
 * with interrupts on and must not find its scratch changed by a packet.
 */
bool loader_is_private(const struct bpf_map *map);

/* 1 there are pins of the instance and they can be trusted, 0 none, -errno with a line in err. */
int loader_instance_exists(const char *instance, char *err, size_t errlen);

extern const char *const loader_dump_prog[2];

#endif
