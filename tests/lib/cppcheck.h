/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_TESTS_CPPCHECK_H
#define BPFCT_TESTS_CPPCHECK_H

/* Macros of libbpf that cppcheck cannot guess, as it reads no system headers. */
#define SEC(name)
#define __uint(name, val)  int name
#define __type(name, val)  int name
#define __array(name, val) int name
#define __always_inline	   inline
#define __noinline
#define __weak
#define __ksym
#define __kconfig
#define LIBBPF_OPTS(type, name, ...)	     struct type name = {0}
#define DECLARE_LIBBPF_OPTS(type, name, ...) struct type name = {0}
#define bpf_object__for_each_program(pos, obj)                                                     \
	for (pos = bpf_object__next_program(obj, NULL); pos;                                       \
	     pos = bpf_object__next_program(obj, pos))
#define bpf_object__for_each_map(pos, obj)                                                         \
	for (pos = bpf_object__next_map(obj, NULL); pos; pos = bpf_object__next_map(obj, pos))
#define json_object_object_foreach(obj, key, val)                                                  \
	for (char *key = json_first(obj, &val); key; key = json_next(obj, &val))

/* Open vSwitch's loops, for the dpif class. */
#define OVS_LOOP(var, of)				for (var = ovs_next(of); var; var = ovs_next(of))
#define LIST_FOR_EACH(var, member, list)		OVS_LOOP(var, list)
#define HMAP_FOR_EACH_WITH_HASH(var, member, hash, map) OVS_LOOP(var, map)
#define HMAP_FOR_EACH_SAFE(var, next, member, map)	OVS_LOOP(var, map)
#define HMAP_FOR_EACH_POP(var, member, map)		OVS_LOOP(var, map)
#define SHASH_FOR_EACH(var, map)			OVS_LOOP(var, map)
#define NL_NESTED_FOR_EACH(var, left, attr)		OVS_LOOP(var, attr)
#define NL_ATTR_FOR_EACH(var, left, attrs, len)                                                    \
	for (left = (len), var = ovs_next(attrs); var; var = ovs_next(attrs))

#endif
