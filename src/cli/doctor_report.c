// SPDX-License-Identifier: Apache-2.0
/*
 * doctor_report.c - findings as text, as JSON, and as an exit status.
 */
#include "doctor.h"

#include "cli/command.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#define COLUMNS 80

/* In the order of enum doctor_state. */
static const char *const words[] = { "ok", "note", "FAIL" };
static const char *const signs[] = {
	"\033[32m\u2713\033[0m", "\033[33m!\033[0m", "\033[31m\u2717\033[0m",
};
static const char *const json_words[] = { "ok", "note", "fail" };

void doctor_set(struct doctor_finding *finding, enum doctor_state state, const char *fmt, ...)
{
	va_list args;

	finding->state = state;
	va_start(args, fmt);
	vsnprintf(finding->found, sizeof(finding->found), fmt, args);
	va_end(args);
}

void doctor_meaning(struct doctor_finding *finding, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(finding->meaning, sizeof(finding->meaning), fmt, args);
	va_end(args);
}

void doctor_fix(struct doctor_finding *finding, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(finding->fix, sizeof(finding->fix), fmt, args);
	va_end(args);
}

bool doctor_read_line(const char *root, const char *path, char *text, size_t len)
{
	char name[256];
	FILE *in;
	bool read;

	text[0] = '\0';
	snprintf(name, sizeof(name), "%s%s", root, path);
	in = fopen(name, "re");
	if (!in)
		return false;
	read = fgets(text, (int)len, in);
	fclose(in);
	text[strcspn(text, "\n")] = '\0';
	return read;
}

bool doctor_exists(const char *root, const char *path)
{
	char name[256];

	snprintf(name, sizeof(name), "%s%s", root, path);
	return !access(name, F_OK);
}

static size_t count(const struct doctor_finding *findings, size_t nr,
		    enum doctor_state state)
{
	size_t found = 0;

	for (size_t i = 0; i < nr; i++)
		found += findings[i].state == state;
	return found;
}

int doctor_status(const struct doctor_finding *findings, size_t nr)
{
	return count(findings, nr, DOCTOR_FAIL) ? EXIT_USAGE : EXIT_OK;
}

/* Where explanations begin. */
static unsigned indent_of(bool styled)
{
	return DOCTOR_TITLE_MAX + (styled ? 4 : 8);
}

/* A part of a sentence, as a sentence of its own lines. */
static void put_sentence(FILE *out, unsigned indent, const char *lead, const char *text)
{
	unsigned at = (unsigned)fprintf(out, "%*s%s", (int)indent, "", lead);
	bool first = true, question = false;

	while (*text) {
		int len = (int)strcspn(text, " ");

		question = len && text[len - 1] == '?';
		if (!first && at + 1 + (unsigned)len > COLUMNS) {
			at = (unsigned)fprintf(out, "\n%*s", (int)(indent + strlen(lead)), "") - 1;
		} else if (!first) {
			fputc(' ', out);
			at++;
		}
		fprintf(out, "%c%.*s", first ? toupper((unsigned char)*text) : *text, len - 1,
			text + 1);
		at += (unsigned)len;
		text += len + (text[len] == ' ');
		first = false;
	}
	fputs(question ? "\n" : ".\n", out);
}

static void put_finding(const struct doctor_check *check,
			const struct doctor_finding *finding, bool styled, FILE *out)
{
	if (styled)
		fprintf(out, "%s ", signs[finding->state]);
	else
		fprintf(out, "%-6s", words[finding->state]);
	fprintf(out, "%-*s  %s\n", DOCTOR_TITLE_MAX, check->title, finding->found);
	if (finding->meaning[0])
		put_sentence(out, indent_of(styled), "", finding->meaning);
	if (finding->fix[0])
		put_sentence(out, indent_of(styled), "-> ", finding->fix);
}

void doctor_print(const struct doctor_check *checks, const struct doctor_finding *findings,
		  size_t nr, bool styled, FILE *out)
{
	size_t failed = count(findings, nr, DOCTOR_FAIL);
	size_t notes = count(findings, nr, DOCTOR_NOTE);

	for (size_t i = 0; i < nr; i++)
		put_finding(&checks[i], &findings[i], styled, out);
	if (failed)
		fprintf(out, "\nVMs cannot run here yet: %zu of %zu checks failed.\n", failed,
			nr);
	else if (notes)
		fprintf(out, "\nVMs can run here, within the limits that the note%s tell%s of.\n",
			notes > 1 ? "s" : "", notes > 1 ? "" : "s");
	else
		fprintf(out, "\nVMs can run here.\n");
}

static json_t *json_finding(const struct doctor_check *check,
			    const struct doctor_finding *finding)
{
	return json_pack("{ss ss ss ss ss ss}", "name", check->name, "title", check->title,
			 "state", json_words[finding->state], "found", finding->found,
			 "meaning", finding->meaning, "fix", finding->fix);
}

int doctor_print_json(const struct doctor_check *checks,
		      const struct doctor_finding *findings, size_t nr, FILE *out)
{
	json_t *list = json_array();
	json_t *report;
	int r = -ENOMEM;

	for (size_t i = 0; i < nr; i++)
		if (json_array_append_new(list, json_finding(&checks[i], &findings[i])))
			goto out;
	report = json_pack("{ss sb sO}", "version", VMM_VERSION, "ready",
			   doctor_status(findings, nr) == EXIT_OK, "checks", list);
	if (!report)
		goto out;
	r = json_dumpf(report, out, JSON_INDENT(2)) || fputc('\n', out) < 0 || fflush(out) ?
	    -EIO : 0;
	json_decref(report);
out:
	json_decref(list);
	return r;
}
