/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef TESTS_BENCH_LIB_FIGURE_H
#define TESTS_BENCH_LIB_FIGURE_H

/* Median of n >= 1 values, which keep their order; NAN without memory. */
double median(const double *v, unsigned int n);

/* Bytes that the kernel accounts for a map (memlock of /proc/self/fdinfo), 0 when it cannot be
 * read. */
double memlock(int fd);

#endif
