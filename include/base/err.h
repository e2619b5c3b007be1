/* SPDX-License-Identifier: Apache-2.0 */
/*
 * err.h - how a failure is told.
 *
 * A function that can fail returns 0 or a negative errno.  Where a person will
 * read the reason it also takes, last, a struct err.  The function that knows
 * the reason calls err_set() once; callers on the way up may say where they
 * were with err_at().  The struct lives on the stack of whoever reports it:
 * nothing is to be freed, and nothing is lost when memory runs out.
 *
 * Every function here accepts a NULL err and still returns the code.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#define ERR_TEXT_MAX 512

struct err {
	int code;			/* negative errno, 0 while unset */
	char text[ERR_TEXT_MAX];	/* part of a sentence, no newline */
};

/* Record the reason and return code, so that a caller can return the call. */
int err_set(struct err *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* As err_set(), followed by ": " and the system's text for code. */
int err_sys(struct err *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Put "where: " in front of a reason already recorded; returns its code. */
int err_at(struct err *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
