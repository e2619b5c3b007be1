/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quote.h - what somebody else wrote, fit to be shown in a message.
 */
#ifndef BASE_QUOTE_H
#define BASE_QUOTE_H

#define QUOTE_MAX 64	/* bytes shown */

struct quote {
	char text[QUOTE_MAX + sizeof("...")];
};

/*
 * Control characters become question marks and a long text is cut, so that a
 * message stays one line.  Used as quote_of(word).text within an expression.
 */
struct quote quote_of(const char *text);

#endif
