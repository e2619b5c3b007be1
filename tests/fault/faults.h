/* SPDX-License-Identifier: Apache-2.0 */
/*
 * faults.h - makes the n-th allocation fail.
 *
 * Counted is what our own code asks for: memory, and eventfds.  The linker puts
 * the functions here in the place of the real ones (meson.build), so this works
 * under the address sanitizer, which finds what an error path forgets to free.
 *
 * One thread.
 */
#ifndef TESTS_FAULT_FAULTS_H
#define TESTS_FAULT_FAULTS_H

#include <stdbool.h>

/* Let nr more allocations succeed and fail the one after. */
void faults_arm(unsigned nr);

/* From now on all succeed again.  Has one failed? */
bool faults_disarm(void);

/* Count one more, of what a test stands in for; true: it fails, and errno says code. */
bool faults_fail(int code);

#endif
