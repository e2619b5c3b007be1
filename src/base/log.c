// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include "base/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define LINE_MAX_BYTES 1024

static _Atomic(enum log_level) level_shown = LOG_WARN;

void log_set_level(enum log_level level)
{
	level_shown = level;
}

/* One write(2) a line, so that lines of several threads never mix. */
static void emit(enum log_level level, const char *fmt, va_list args)
{
	static const char *const names[] = { "error", "warning", "info", "debug" };
	char line[LINE_MAX_BYTES];
	int len, more;

	len = snprintf(line, sizeof(line), "vmm: %s: ", names[level]);
	more = vsnprintf(line + len, sizeof(line) - (size_t)len - 1, fmt, args);
	if (more < 0)
		return;
	len += more;
	if (len > LINE_MAX_BYTES - 2)
		len = LINE_MAX_BYTES - 2;
	line[len++] = '\n';
	if (write(STDERR_FILENO, line, (size_t)len) < 0)
		return;		/* nowhere left to say so */
}

void log_line(enum log_level level, const char *fmt, ...)
{
	va_list args;

	if (level > level_shown)
		return;
	va_start(args, fmt);
	emit(level, fmt, args);
	va_end(args);
}

void log_limited(struct log_limit *limit, enum log_level level, const char *fmt, ...)
{
	uint64_t now = clock_ns() / CLOCK_NS_PER_S;
	va_list args;

	if (level > level_shown)
		return;
	if (limit->second != now) {
		limit->second = now;
		limit->nr = 0;
	}
	if (limit->nr++ >= LOG_BURST)
		return;
	va_start(args, fmt);
	emit(level, fmt, args);
	va_end(args);
}
