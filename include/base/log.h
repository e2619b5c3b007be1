/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.h - messages to standard error for the person who runs the monitor.
 *
 * Layers below machine log at debug level only: what matters to the caller is
 * returned as a struct err.  Whatever a guest can cause again and again goes
 * through a struct log_limit, so that no guest can fill a disk with its errors.
 *
 * Any thread; one call writes one line.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdint.h>

enum log_level {
	LOG_ERROR,
	LOG_WARN,
	LOG_INFO,
	LOG_DEBUG,
};

void log_set_level(enum log_level level);

void log_line(enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#define log_error(...)	log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)	log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...)	log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...)	log_line(LOG_DEBUG, __VA_ARGS__)

/* Lets the first LOG_BURST messages of each second through; zero to start. */
#define LOG_BURST 10

struct log_limit {
	_Atomic(uint64_t) second;
	_Atomic(uint32_t) nr;
};

void log_limited(struct log_limit *limit, enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
