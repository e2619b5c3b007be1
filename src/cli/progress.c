// SPDX-License-Identifier: Apache-2.0
#include "progress.h"

#include "base/bits.h"
#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define INTERVAL_NS	(100 * CLOCK_NS_PER_MS)
#define ESTIMATE_NS	CLOCK_NS_PER_S	/* earlier nobody can tell */
#define COLUMNS_MAX	200
#define BAR_MAX		40

void progress_start(struct progress *progress, const char *what, uint64_t total)
{
	uint64_t now = clock_ns();

	/* What is over before anybody can read it is not shown at all. */
	*progress = (struct progress){
		.what = what, .total = total, .started = now, .next = now + 2 * INTERVAL_NS,
		.terminal = isatty(STDERR_FILENO),
	};
}

static unsigned columns(void)
{
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) || !size.ws_col)
		return 80;
	return (unsigned)min_u64(size.ws_col, COLUMNS_MAX);
}

static void put_bar(char *bar, unsigned width, double part)
{
	unsigned full = (unsigned)(part * width);

	memset(bar, '#', full);
	memset(bar + full, '.', width - full);
	bar[width] = '\0';
}

void progress_line(char *line, size_t len, const char *what, uint64_t done, uint64_t total,
		   uint64_t ns, unsigned columns_max)
{
	double part = total ? (double)min_u64(done, total) / (double)total : 1;
	double seconds = (double)ns / (double)CLOCK_NS_PER_S;
	char bar[BAR_MAX + 1] = "", rest[64] = "";
	int used;

	if (ns >= ESTIMATE_NS && done)
		snprintf(rest, sizeof(rest), "  %.0f MiB/s, %.0f s left",
			 (double)done / (double)MiB / seconds, seconds / part - seconds);
	used = snprintf(NULL, 0, "%s %3.0f %% []%s", what, part * 100, rest);
	if (used >= 0 && (unsigned)used + 5 < columns_max) {
		put_bar(bar, (unsigned)min_u64(columns_max - (unsigned)used - 1, BAR_MAX),
			part);
		snprintf(line, len, "%s %3.0f %% [%s]%s", what, part * 100, bar, rest);
	} else {
		snprintf(line, min_u64(len, columns_max), "%s %3.0f %%", what, part * 100);
	}
}

void progress_show(struct progress *progress, uint64_t done)
{
	char line[COLUMNS_MAX + 1];
	uint64_t now;

	if (!progress->terminal)
		return;
	now = clock_ns();
	if (now < progress->next)
		return;
	progress->next = now + INTERVAL_NS;
	progress->shown = true;
	progress_line(line, sizeof(line), progress->what, done, progress->total,
		      now - progress->started, columns());
	fprintf(stderr, "\r%s\033[K", line);
	fflush(stderr);
}

void progress_end(struct progress *progress)
{
	if (progress->shown)
		fputs("\r\033[K", stderr);
	progress->shown = false;
}
