/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_OVS_DPIF_BPF_STORE_H
#define BPFCT_OVS_DPIF_BPF_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "openvswitch/hmap.h"

/*
 * Who uses which element of an array map. An element that is let go of is not given out again
 * for a second or more, as packets may still be at work by it (dp_abi.h). The caller has the lock.
 */
struct dp_slots {
	uint32_t *free; /* a stack */
	uint32_t n_free;
	struct dp_dying {
		uint32_t slot;
		long long int until; /* ms */
	} * dying;		     /* a ring in order of time, as large as the array */
	uint32_t head, n_dying, size;
};

/* Slots first .. size - 1; those for which `used` says so are not free. */
void dp_slots_init(struct dp_slots *s, uint32_t first, uint32_t size,
		   bool (*used)(uint32_t slot, void *arg), void *arg);
void dp_slots_destroy(struct dp_slots *s);
int dp_slots_take(struct dp_slots *s, uint32_t *slot); /* 0 or ENOSPC */
void dp_slots_give(struct dp_slots *s, uint32_t slot);

/*
 * Elements that flows share: equal contents are one slot with a count. write() copies new
 * contents to the map and may fail; erase() is told when the slot goes to another, so an element
 * that nobody refers to can still be read for a while (by the upcall of a packet that met it).
 */
struct dp_store {
	struct hmap map;
	uint32_t live; /* elements that somebody refers to */
	struct dp_slots slots;
	struct dp_node **node; /* by slot */
	size_t size;	       /* bytes of an element */
	int (*write)(void *arg, uint32_t slot, const void *content);
	void (*erase)(void *arg, uint32_t slot, const void *content);
	void *arg;
};

void dp_store_init(struct dp_store *s, uint32_t first, uint32_t n, size_t size);
void dp_store_destroy(struct dp_store *s);
/* fresh: it was not there. 0, ENOSPC, or what write() said. */
int dp_store_ref(struct dp_store *s, const void *content, uint32_t *slot, bool *fresh);
void dp_store_unref(struct dp_store *s, uint32_t slot);
const void *dp_store_get(const struct dp_store *s, uint32_t slot); /* NULL: nothing there */

/* After a restart: a slot that a live flow refers to has this content. All before
 * dp_store_adopted(), which makes what nobody refers to free. */
void dp_store_adopt(struct dp_store *s, uint32_t slot, const void *content);
void dp_store_adopted(struct dp_store *s);

#endif
