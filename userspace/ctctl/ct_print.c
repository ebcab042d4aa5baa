// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Flows to stdout in the form that -o and -j ask for. */
#include <string.h>
#include <sys/time.h>

#include <libnetfilter_conntrack/libnetfilter_conntrack.h>

#include "ct_cmd.h"
#include "nfct_text.h"

void ct_print_start(struct ct_print *pr, const struct ct_cmd *cmd, struct bpfct_pins *p)
{
	*pr = (struct ct_print){.cmd = cmd, .show = CT_SHOW_LIST, .save = "-A"};
	if (p)
		pr->clock = ctctl_clock_now(p);
	if (cmd->output & CT_OUT_EXTENDED)
		pr->show |= CT_SHOW_LAYER3;
	if (cmd->output & (CT_OUT_ID | CT_OUT_XML)) /* conntrack's XML always has the id */
		pr->show |= CT_SHOW_ID;
	if (cmd->output & CT_OUT_KTIMESTAMP)
		pr->show |= CT_SHOW_DELTA | CT_SHOW_TIMES;
	if (cmd->output & CT_OUT_LABELS)
		pr->labelmap = nfct_labelmap_new(NULL);
}

static void open_document(struct ct_print *pr)
{
	if (pr->opened)
		return;
	pr->opened = true;
	if (pr->headless)
		return;
	if (pr->cmd->c->json)
		fputs("[\n", pr->cmd->c->out);
	else if (pr->cmd->output & CT_OUT_XML)
		fputs("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<conntrack>\n", pr->cmd->c->out);
}

static size_t format(struct ct_print *pr, char *buf, size_t len, const struct ct_view *v,
		     unsigned int show)
{
	bool xml = pr->cmd->output & CT_OUT_XML;
	struct nfct_style style = {
		.xml = xml,
		.when = xml && show & CT_SHOW_EVENT && pr->cmd->output & CT_OUT_TIMESTAMP,
		.map = pr->labelmap,
	};

	if (pr->cmd->c->json)
		return ct_flow_json(buf, v, show);
	if (pr->cmd->output & CT_OUT_SAVE)
		return ct_flow_save(buf, v, pr->save);
	if (xml || (pr->labelmap && v->status & CT_S_LABEL))
		return nfct_flow_text(buf, len, v, show, &style);
	return ct_flow_text(buf, v, show);
}

void ct_print_flow(struct ct_print *pr, const struct ct_view *v, unsigned int show)
{
	FILE *out = pr->cmd->c->out;
	char buf[8192]; /* more than CT_JSON_MAX: label names come from a file */
	size_t len;

	open_document(pr);
	if (pr->cmd->c->json && pr->printed && !pr->headless)
		fputs(",\n", out);
	len = format(pr, buf, sizeof(buf), v, show);
	if (len >= sizeof(buf))
		len = sizeof(buf) - 1;
	fwrite_unlocked(buf, 1, len, out);
	if (!pr->cmd->c->json || pr->headless)
		putc_unlocked('\n', out);
	pr->printed++;
}

void ct_print_event(struct ct_print *pr, const struct ct_view *v)
{
	static const char *const commands[] = {"-A", "-U", "-D"};
	unsigned int show = ct_view_event_fields(v);
	struct timeval now;

	show |= pr->show & (CT_SHOW_LAYER3 | CT_SHOW_ID | CT_SHOW_DELTA | CT_SHOW_TIMES);
	if (v->event != CT_EVENT_DESTROY) /* as the kernel: only the last event has times */
		show &= ~(CT_SHOW_DELTA | CT_SHOW_TIMES);
	pr->save = commands[v->event <= CT_EVENT_DESTROY ? v->event : 0];
	pr->headless = pr->cmd->c->json;
	if (pr->cmd->output & CT_OUT_TIMESTAMP && !(pr->cmd->output & CT_OUT_XML) &&
	    !pr->cmd->c->json) {
		gettimeofday(&now, NULL);
		fprintf(pr->cmd->c->out, "[%-.8ld.%-.6ld]\t", (long)now.tv_sec, (long)now.tv_usec);
	}
	ct_print_flow(pr, v, show);
	fflush(pr->cmd->c->out);
}

void ct_print_end(struct ct_print *pr)
{
	FILE *out = pr->cmd->c->out;

	if (pr->cmd->c->json && !pr->headless)
		fputs(pr->opened ? "\n]\n" : "[]\n", out);
	else if (pr->opened && !pr->headless && pr->cmd->output & CT_OUT_XML)
		fputs("</conntrack>\n", out);
	if (pr->labelmap)
		nfct_labelmap_destroy(pr->labelmap);
	pr->labelmap = NULL;
}
