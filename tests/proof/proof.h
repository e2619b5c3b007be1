/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proof.h - what a proof says to CBMC.
 *
 * A value that is declared and never set is any value at all.
 */
#ifndef TESTS_PROOF_PROOF_H
#define TESTS_PROOF_PROOF_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

unsigned nondet_unsigned(void);
uint64_t nondet_u64(void);
uint16_t nondet_u16(void);
int nondet_int(void);
bool nondet_bool(void);

#define assume(condition) __CPROVER_assume(condition)
#define fill_any(array, len) __CPROVER_havoc_slice(array, len)

#endif
