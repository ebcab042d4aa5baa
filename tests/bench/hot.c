// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Where in our BPF source the time goes. Reads sample addresses on standard
 * input (`perf script -F ip`), looks them up in the line tables of the loaded
 * programs whose names are given, and prints shares by file (one file is one
 * stage) and by line. Run it while the programs are still loaded.
 *   perf script -i FILE -F ip | hot fw_ingress [fw_egress ...]
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>

#define TOP 40

struct line {
	__u64 addr; /* samples from here to the next line's address */
	char *file;
	char *text;
	unsigned int number;
	unsigned int hits;
};

static struct line *lines;
static unsigned int nlines;
static unsigned int samples, inside;

static char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return strdup(slash ? slash + 1 : path);
}

static void add_line(__u64 addr, const char *file, const char *text, unsigned int number)
{
	lines = realloc(lines, (nlines + 1) * sizeof(*lines));
	if (!lines)
		exit(1);
	lines[nlines++] = (struct line){addr, base_name(file), strdup(text), number, 0};
}

/* Adds the line table of one program, closed by an entry after its last byte. */
static int add_prog(int fd)
{
	struct bpf_prog_info info = {0}, want = {0};
	__u32 len = sizeof(info);
	struct bpf_line_info *li = NULL;
	__u64 *jited = NULL, *ksyms = NULL, end = 0;
	__u32 *klens = NULL;
	struct btf *btf = NULL;
	int err = -ENOMEM;

	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		return -errno;
	btf = btf__load_from_kernel_by_id(info.btf_id);
	li = calloc(info.nr_line_info, sizeof(*li));
	jited = calloc(info.nr_jited_line_info, sizeof(*jited));
	ksyms = calloc(info.nr_jited_ksyms, sizeof(*ksyms));
	klens = calloc(info.nr_jited_func_lens, sizeof(*klens));
	if (!btf || !li || !jited || !ksyms || !klens)
		goto out;
	want.line_info = (__u64)(unsigned long)li;
	want.nr_line_info = info.nr_line_info;
	want.line_info_rec_size = sizeof(*li);
	want.jited_line_info = (__u64)(unsigned long)jited;
	want.nr_jited_line_info = info.nr_jited_line_info;
	want.jited_line_info_rec_size = sizeof(*jited);
	want.jited_ksyms = (__u64)(unsigned long)ksyms;
	want.nr_jited_ksyms = info.nr_jited_ksyms;
	want.jited_func_lens = (__u64)(unsigned long)klens;
	want.nr_jited_func_lens = info.nr_jited_func_lens;
	len = sizeof(want);
	err = bpf_obj_get_info_by_fd(fd, &want, &len) ? -errno : 0;
	for (__u32 i = 0; !err && i < want.nr_jited_line_info && i < want.nr_line_info; i++)
		add_line(jited[i], btf__name_by_offset(btf, li[i].file_name_off),
			 btf__name_by_offset(btf, li[i].line_off),
			 BPF_LINE_INFO_LINE_NUM(li[i].line_col));
	for (__u32 i = 0; !err && i < want.nr_jited_ksyms; i++) {
		end = ksyms[i] + klens[i];
		add_line(end, "", "", 0);
	}
out:
	btf__free(btf);
	free(li);
	free(jited);
	free(ksyms);
	free(klens);
	return err;
}

static int by_addr(const void *a, const void *b)
{
	const struct line *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

static int by_place(const void *a, const void *b)
{
	const struct line *x = a, *y = b;
	int c = strcmp(x->file, y->file);

	return c ? c : (int)x->number - (int)y->number;
}

static int by_hits(const void *a, const void *b)
{
	const struct line *x = a, *y = b;

	return (int)y->hits - (int)x->hits;
}

static void hit(__u64 addr)
{
	unsigned int lo = 0, hi = nlines;

	samples++;
	while (lo < hi) {
		unsigned int mid = (lo + hi) / 2;

		if (lines[mid].addr <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo && lines[lo - 1].file[0]) {
		lines[lo - 1].hits++;
		inside++;
	}
}

/* Sums neighbours that agree in file (and number) into the first; the rest keep 0. */
static void merge(int whole_file)
{
	struct line *first = lines;

	for (struct line *l = lines + 1; l < lines + nlines; l++) {
		if (!strcmp(l->file, first->file) && (whole_file || l->number == first->number)) {
			first->hits += l->hits;
			l->hits = 0;
		} else {
			first = l;
		}
	}
}

static void print(int whole_file)
{
	struct line *copy = malloc(nlines * sizeof(*copy));

	if (!copy)
		exit(1);
	memcpy(copy, lines, nlines * sizeof(*copy));
	qsort(lines, nlines, sizeof(*lines), by_place);
	merge(whole_file);
	qsort(lines, nlines, sizeof(*lines), by_hits);
	for (unsigned int i = 0; i < nlines && i < TOP && lines[i].hits; i++) {
		double share = 100.0 * lines[i].hits / samples;

		if (whole_file)
			printf("%6.2f %%  %s\n", share, lines[i].file);
		else
			printf("%6.2f %%  %s:%u  %s\n", share, lines[i].file, lines[i].number,
			       lines[i].text + strspn(lines[i].text, " \t"));
	}
	memcpy(lines, copy, nlines * sizeof(*copy));
	free(copy);
}

static int named(const struct bpf_prog_info *info, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (!strncmp(info->name, argv[i], sizeof(info->name) - 1))
			return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	unsigned long long addr;
	__u32 id = 0;
	char text[256];

	if (argc < 2) {
		fprintf(stderr, "usage: perf script -F ip | hot PROGRAM...\n");
		return 2;
	}
	while (!bpf_prog_get_next_id(id, &id)) {
		struct bpf_prog_info info = {0};
		__u32 len = sizeof(info);
		int fd = bpf_prog_get_fd_by_id(id);

		if (fd < 0)
			continue;
		if (!bpf_obj_get_info_by_fd(fd, &info, &len) && named(&info, argc, argv))
			add_prog(fd);
		close(fd);
	}
	if (!nlines) {
		fprintf(stderr, "hot: no such program is loaded\n");
		return 1;
	}
	qsort(lines, nlines, sizeof(*lines), by_addr);
	while (fgets(text, sizeof(text), stdin)) {
		if (sscanf(text, "%llx", &addr) == 1)
			hit(addr);
	}
	if (!samples)
		return 1;
	printf("%u samples, %.1f %% in these programs\n", samples, 100.0 * inside / samples);
	print(1);
	print(0);
	return 0;
}
