/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state_round.h - what one device saves, for another one to load.
 *
 *	state_round_save(uart_save, uart);
 *	... another uart ...
 *	ck_assert_int_eq(state_round_load(uart_load, uart), 0);
 */
#ifndef TESTS_UNIT_STATE_ROUND_H
#define TESTS_UNIT_STATE_ROUND_H

#include "base/err.h"
#include "state/state.h"

#include <check.h>

static struct state_writer *round_writer;
static struct err round_err;

#define state_round_save(save, device)						\
	do {									\
		state_writer_free(round_writer);				\
		round_writer = state_writer_new("test");			\
		save(device, round_writer);					\
	} while (0)

/* For the end of a test. */
static inline void state_round_forget(void)
{
	round_writer = state_writer_free(round_writer);
}

static inline struct state_reader *state_round_reader(void)
{
	struct state_reader *reader;
	const void *bytes;
	size_t len;

	ck_assert_int_eq(state_writer_end(round_writer, &bytes, &len), 0);
	ck_assert_int_eq(state_reader_new(&reader, bytes, len, &round_err), 0);
	return reader;
}

#define state_round_load(load, device)						\
	({									\
		struct state_reader *reader_ = state_round_reader();		\
		int r_ = load(device, reader_, &round_err);			\
										\
		state_reader_free(reader_);					\
		r_;								\
	})

#endif
