/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * handover.pml - a VM goes from one monitor to another, whatever breaks meanwhile
 *
 * ARCHITECTURE.md, "Hand-over", has the tables of both sides, of which this is a model for
 * Spin.  The copying is one state here, since nothing is at stake while it lasts.  A
 * connection breaks in each direction by itself: what was sent before may still be read,
 * what is sent after is lost, and each side notices when it likes.  One side may crash
 * between any two steps, and the operator may cancel and take back at any time.
 *
 * Breaks and take-backs are few, so every run ends (which is proven, too), and what has to
 * come about is asserted by init at the end of each.
 *
 * Each name that begins with WRONG_ puts a mistake in, for Spin to find.
 */

#ifndef BREAKS
#define BREAKS		2
#endif
#ifndef TAKE_BACKS
#define TAKE_BACKS	2
#endif
#define CHANNEL		3	/* messages under way at most */

mtype:message = { STATE, GO, PAGES, RESUME, BYE, SAYS_LOADED, SAYS_RUNS, SAYS_DONE, SAYS_FAILED };
mtype:source = { COPIES, HANDS_OVER, SENT_GO, TAIL, RETURNS, STAYS, GONE, S_CRASHED };
mtype:target = { WAITS, LOADED, STARTS, RUNS, DONE, FAILED, ENDED, T_CRASHED };
mtype:holder = { FREE, SOURCE, TARGET };

mtype:source s = COPIES;
mtype:target t = WAITS;
mtype:holder lock[2] = SOURCE;		/* of two disks */
bool s_runs = true, t_runs, t_ran;	/* the guest */
bool written;				/* since the disks were put to sleep */

/* The connection as each end sees it, and the directions in which nothing arrives. */
bool s_connected = true, t_connected = true, t_listens = true;
bool lost_to_s, lost_to_t;
chan to_s = [CHANNEL] of { mtype:message };
chan to_t = [CHANNEL] of { mtype:message };

bool postcopy;		/* pages are missing when the target starts */
bool late;		/* the target's patience may end before the network is back */
bool s_crash, t_crash;	/* asked for by fate() */
bool cancel, cancelled;
bool take_back;
bool sent_go;		/* at least once */

#define S_LOST	(s_connected && (lost_to_s || lost_to_t || !t_connected))
#define T_LOST	(t_connected && (lost_to_s || lost_to_t || !s_connected))

inline clear(channel)
{
	do
	:: nempty(channel) -> channel?_
	:: empty(channel) -> break
	od
}

inline tell_t(what)
{
	atomic {
		if
		:: s_connected && t_connected && !lost_to_t -> assert(nfull(to_t)); to_t!what
		:: else
		fi
	}
}

inline tell_s(what)
{
	atomic {
		if
		:: s_connected && t_connected && !lost_to_s -> assert(nfull(to_s)); to_s!what
		:: else
		fi
	}
}

inline mend()
{
	if
	:: !s_connected && !t_connected -> lost_to_s = false; lost_to_t = false
	:: else
	fi
}

inline s_hang_up() { atomic { s_connected = false; clear(to_s); mend() } }
inline t_hang_up() { atomic { t_connected = false; clear(to_t); mend() } }

inline release(who)
{
	atomic {
		if :: lock[0] == who -> lock[0] = FREE :: else fi
		if :: lock[1] == who -> lock[1] = FREE :: else fi
	}
}

#ifdef NO_LOCKS
#define CAN_LOCK(disk)	true
#else
#define CAN_LOCK(disk)	(lock[disk] == FREE)
#endif

#ifdef WRONG_BLIND
#define AS_LEFT		true
#else
#define AS_LEFT		!written
#endif

/* All disks or none, and only as they were when they were put to sleep. */
inline wake(who, could)
{
	could = false;
	if
	:: atomic { CAN_LOCK(0) -> lock[0] = who }
		if
		:: atomic { CAN_LOCK(1) -> lock[1] = who }; could = AS_LEFT
		:: who == TARGET	/* a third one holds it */
		:: else
		fi
	:: else
	fi
	if
#ifndef WRONG_HOLDS
	:: !could -> release(who)
#endif
	:: else
	fi
}

/* Never both, never one after the other, never without the disks. */
inline s_run()
{
	atomic {
		assert(!t_ran);
		assert(!written);
		assert(lock[0] == SOURCE && lock[1] == SOURCE);
		s_runs = true;
		written = true
	}
}

inline t_run()
{
	atomic {
		assert(!s_runs && !written);
		assert(lock[0] == TARGET && lock[1] == TARGET);
		assert(sent_go && !cancelled);
		t_runs = true;
		t_ran = true;
		written = true
	}
}

/* The target does not run and never will. */
inline give_up()
{
	tell_t(BYE);
	s_hang_up();
	if
	:: s == COPIES -> s = STAYS
	:: else -> s = RETURNS
	fi
}

inline go_away()
{
	assert(t == DONE || t == T_CRASHED);
	tell_t(BYE);
	s_hang_up();
	s = GONE
}

inline s_hears(what)
{
	if
	:: s == HANDS_OVER && what == SAYS_LOADED -> s = SENT_GO; sent_go = true; tell_t(GO)
	:: (s == COPIES || s == HANDS_OVER) && what == SAYS_FAILED -> give_up()
	:: s == SENT_GO && what == SAYS_LOADED -> tell_t(GO)
	:: s == SENT_GO && what == SAYS_FAILED -> give_up()
	:: (s == SENT_GO || s == TAIL) && what == SAYS_RUNS ->
#ifdef WRONG_GONE_AT_RUNS
		go_away()
#else
		s = TAIL;
		if
		:: postcopy -> tell_t(PAGES)
		:: else
		fi
#endif
	:: (s == SENT_GO || s == TAIL) && what == SAYS_DONE -> go_away()
	:: else -> assert(false)
	fi
}

#ifdef WRONG_CANCEL
#define CANCELS	(s == COPIES || s == HANDS_OVER || s == SENT_GO)
#else
#define CANCELS	(s == COPIES || s == HANDS_OVER)
#endif

#ifdef WRONG_STRANGER
#define STRANGER_ANSWERS	(t == T_CRASHED)
#else
#define STRANGER_ANSWERS	false
#endif

proctype source()
{
	mtype:message heard;
	bool could;

	{
		do
		:: atomic { s == COPIES ->
				s_runs = false;
				written = false;
				release(SOURCE);
				s = HANDS_OVER;
				tell_t(STATE)
			}
		:: atomic { s_connected && nempty(to_s) -> to_s?heard; s_hears(heard); heard = 0 }
		:: atomic { cancel && CANCELS -> cancel = false; cancelled = true; give_up() }
		:: atomic { cancel && !CANCELS -> cancel = false }
		:: atomic { S_LOST ->
				s_hang_up();
				if
				:: s == COPIES || s == HANDS_OVER -> give_up()
#ifdef WRONG_BACK
				:: s == SENT_GO -> s = RETURNS
#endif
				:: else
				fi
			}
		:: atomic { (s == SENT_GO || s == TAIL) && !s_connected && t_listens ->
#ifndef WRONG_KEEPS
				clear(to_t);
#endif
				s_connected = true;
				t_connected = true;
				lost_to_s = false;
				lost_to_t = false;
				to_t!RESUME
			}
		:: s == SENT_GO && !s_connected && STRANGER_ANSWERS -> s = RETURNS
		:: atomic { take_back && s == SENT_GO -> take_back = false } ->
			s_hang_up();
			wake(SOURCE, could);
			if
			:: could -> s_run(); s = STAYS
#ifdef WRONG_LEAVES
			:: else -> s = STAYS
#else
			:: else
#endif
			fi
		:: atomic { take_back && s != SENT_GO -> take_back = false }
		:: s == RETURNS ->
			wake(SOURCE, could);
			assert(could);
			s_run();
			s = STAYS
		od
	} unless {
		atomic {
			s_crash ->
			s = S_CRASHED;
			s_runs = false;
			release(SOURCE);
			s_hang_up()
		}
	}
}

inline end()
{
	atomic {
		assert(!t_ran);
		t_listens = false;
		t = ENDED;
		t_hang_up()
	}
}

inline fail()
{
	atomic {
		t = FAILED;
		t_listens = true;
		tell_s(SAYS_FAILED)
#ifdef WRONG_FORGETS
		; end()
#endif
	}
}

inline start(could)
{
	wake(TARGET, could);
	if
	:: could ->
		t_run();
		atomic {
			t = RUNS;
			t_listens = true;
			tell_s(SAYS_RUNS);
			if
			:: !postcopy -> t = DONE; tell_s(SAYS_DONE)
			:: else
			fi
		}
	:: else -> fail()
	fi
}

inline t_hears(what)
{
	if
	:: t == WAITS && what == STATE ->
		if
#ifdef WRONG_EAGER
		:: t = STARTS; t_listens = false
#else
		:: t = LOADED; tell_s(SAYS_LOADED)
#endif
		:: fail()
		fi
	:: t == LOADED && what == GO -> t = STARTS; t_listens = false
	:: t == RUNS && what == PAGES -> t = DONE; tell_s(SAYS_DONE)
	:: t == LOADED && what == RESUME -> tell_s(SAYS_LOADED)
	:: t == RUNS && what == RESUME -> tell_s(SAYS_RUNS)
	:: t == DONE && what == RESUME -> tell_s(SAYS_DONE)
	:: t == FAILED && what == RESUME -> tell_s(SAYS_FAILED)
	:: (t == WAITS || t == LOADED || t == FAILED) && what == BYE -> end()
	:: t == FAILED && what == STATE		/* crossed what we said */
	:: t == DONE && what == BYE -> t_listens = false; t_hang_up()
	:: else -> assert(false)
	fi
}

#define S_OVER		(s == STAYS || s == GONE || s == S_CRASHED)
#define PATIENCE_ENDS	(!t_connected && (late || S_OVER))

proctype target()
{
	mtype:message heard;
	bool could;

	{
		do
		:: atomic { t_connected && nempty(to_t) -> to_t?heard; t_hears(heard); heard = 0 }
		:: t == STARTS -> start(could)
		:: t == WAITS -> fail()
		:: atomic { T_LOST && t != STARTS ->
				t_hang_up();
				if
				:: t == WAITS -> end()
#ifdef WRONG_DEAF
				:: t == LOADED -> end()
#endif
				:: else
				fi
			}
		:: (t == LOADED || t == FAILED) && PATIENCE_ENDS -> end()
		od
	} unless {
		atomic {
			t_crash ->
			t_listens = false;
			t = T_CRASHED;
			t_runs = false;
			release(TARGET);
			t_hang_up()
		}
	}
}

proctype network()
{
	byte breaks = 0;

	do
	:: breaks < BREAKS && (s_connected || t_connected) ->
		breaks++;
		if
		:: lost_to_s = true
		:: lost_to_t = true
		fi
	:: break
	od
}

proctype operator()
{
	byte asked = 0;

	if
	:: cancel = true
	:: skip
	fi
	do
	:: asked < TAKE_BACKS && s == SENT_GO && !take_back -> asked++; take_back = true
	:: break
	od
}

proctype fate()
{
	if
	:: s_crash = true
	:: t_crash = true
	:: skip
	fi
}

#define ONE_RUNS	(s_runs != t_runs)
#define CAN_TAKE_BACK	(s == SENT_GO && !written && lock[0] == FREE && lock[1] == FREE)

init
{
	atomic {
		if :: postcopy = true :: skip fi
		if :: late = true :: skip fi
		run source();
		run target();
		run network();
		run operator();
		run fate()
	}
	timeout;

	assert(!(s_runs && t_runs));
	if
	:: s_crash && t == DONE -> assert(t_runs)
	:: s_crash && t == RUNS -> assert(t_runs && postcopy)
	:: s_crash && t != DONE && t != RUNS -> assert(t == ENDED && !t_ran)
	:: t_crash -> assert(s_runs || CAN_TAKE_BACK || t_ran)
	:: !s_crash && !t_crash && !late -> assert(ONE_RUNS)
	:: !s_crash && !t_crash && late ->
		assert(ONE_RUNS || (CAN_TAKE_BACK && t == ENDED && !t_ran))
	fi;
	assert(!cancelled || s_runs || s_crash);
	assert(t != RUNS || s_crash);
	assert(t != DONE || s == GONE || s_crash);
	assert(!s_runs || t == ENDED || t_crash)
}
