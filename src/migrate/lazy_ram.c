// SPDX-License-Identifier: Apache-2.0
#include "lazy_ram.h"

#include "base/bits.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/lost_memory.h"
#include "base/thread.h"
#include "memory/ram.h"
#include "pages.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

struct lazy_ram {
	struct lazy_ram_config config;
	int faults;			/* the userfaultfd */
	int wake;			/* eventfd: until or ends is another */
	pthread_t thread;
	bool started;
	atomic_bool ends;		/* the thread is to end */
	atomic_uint_least64_t until;	/* whoever waits, by clock_ns() */
	int nothing;			/* an empty file, in place of what does not come */
	atomic_bool refuses;
	struct sigaction before;	/* the thread's: of SIGBUS */
	uint64_t *missing;		/* bitmap, its words changed atomically */
	uint64_t *asked;		/* bitmap of the thread's */
	atomic_uint_least64_t nr_missing;
};

/* By the device where that is allowed: the system call is for the privileged mostly. */
static int open_faults(void)
{
	int device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
	int fd = device < 0 ? -1 : ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);

	if (device >= 0)
		close(device);
	return fd >= 0 ? fd : (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
}

static int agree(struct lazy_ram *lazy)
{
	struct uffdio_api api = { .api = UFFD_API };

	return ioctl(lazy->faults, UFFDIO_API, &api) ? -errno : 0;
}

int lazy_ram_new(struct lazy_ram **ret_lazy, const struct lazy_ram_config *config,
		 struct err *err)
{
	struct lazy_ram *lazy = calloc(1, sizeof(*lazy));
	uint64_t words = pages_words(config->ram->len);
	int r;

	if (!lazy)
		return err_sys(err, -ENOMEM, "cannot run a guest before its memory is there");
	lazy->config = *config;
	lazy->until = UINT64_MAX;
	lazy->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	lazy->missing = calloc(words, sizeof(*lazy->missing));
	lazy->asked = calloc(words, sizeof(*lazy->asked));
	lazy->nothing = memfd_create("nothing", MFD_CLOEXEC);
	lazy->faults = open_faults();
	if (lazy->wake < 0 || lazy->nothing < 0 || !lazy->missing || !lazy->asked)
		r = -ENOMEM;
	else
		r = lazy->faults < 0 ? -errno : agree(lazy);
	if (!r) {
		*ret_lazy = lazy;
		return 0;
	}
	lazy_ram_free(lazy);
	return err_sys(err, r, "post-copy needs userfaultfd: be root, or let this user open "
		       "/dev/userfaultfd; or move the VM without --postcopy");
}

static char *host_of(const struct lazy_ram *lazy, uint64_t page)
{
	return (char *)lazy->config.ram->host + page * PAGES_LEN;
}

/* Is it now what it was not? */
static bool set_missing(struct lazy_ram *lazy, uint64_t page, bool missing)
{
	uint64_t bit = UINT64_C(1) << page % 64, *word = &lazy->missing[page / 64];
	uint64_t before = missing ? __atomic_fetch_or(word, bit, __ATOMIC_SEQ_CST) :
				    __atomic_fetch_and(word, ~bit, __ATOMIC_SEQ_CST);

	return !!(before & bit) != missing;
}

static bool is_missing(const struct lazy_ram *lazy, uint64_t page)
{
	return __atomic_load_n(&lazy->missing[page / 64], __ATOMIC_SEQ_CST) >> page % 64 & 1;
}

/* A page that stays would be taken for one that has come. */
int lazy_ram_miss(struct lazy_ram *lazy, uint64_t page, uint64_t nr)
{
	if (madvise(host_of(lazy, page), nr * PAGES_LEN, MADV_DONTNEED))
		return -errno;
	for (uint64_t i = 0; i < nr; i++)
		if (set_missing(lazy, page + i, true))
			atomic_fetch_add(&lazy->nr_missing, 1);
	return 0;
}

uint64_t lazy_ram_nr_missing(const struct lazy_ram *lazy)
{
	return atomic_load(&lazy->nr_missing);
}

bool lazy_ram_next(const struct lazy_ram *lazy, uint64_t *at, uint64_t *ret_end)
{
	uint64_t nr = lazy->config.ram->len / PAGES_LEN, page = *at;

	while (page < nr && !is_missing(lazy, page))
		page++;
	*at = page;
	while (page < nr && is_missing(lazy, page))
		page++;
	*ret_end = page;
	return *at < nr;
}

/*
 * A page that is there needs no filling, and one that was refused gets none; whoever sleeps
 * for it is woken in any case.
 */
static int put_page(const struct lazy_ram *lazy, uint64_t page, const void *bytes)
{
	struct uffdio_copy copy = {
		.dst = (uintptr_t)host_of(lazy, page),
		.src = (uintptr_t)bytes,
		.len = PAGES_LEN,
	};
	struct uffdio_zeropage zero = { .range = { copy.dst, PAGES_LEN } };
	int r;

	do
		r = bytes ? ioctl(lazy->faults, UFFDIO_COPY, &copy) :
			    ioctl(lazy->faults, UFFDIO_ZEROPAGE, &zero);
	while (r && errno == EAGAIN);
	if (!r || (errno != EEXIST && !(errno == ENOENT && lazy->refuses)))
		return r ? -errno : 0;
	return ioctl(lazy->faults, UFFDIO_WAKE, &zero.range) ? -errno : 0;
}

/* First the page, then the word that it is there. */
int lazy_ram_fill(struct lazy_ram *lazy, uint64_t page, uint64_t nr, const void *bytes)
{
	for (uint64_t i = 0; i < nr; i++) {
		const char *from = bytes ? (const char *)bytes + i * PAGES_LEN : NULL;
		int r = is_missing(lazy, page + i) ? put_page(lazy, page + i, from) : 0;

		if (r < 0)
			return r;
		if (set_missing(lazy, page + i, false))
			atomic_fetch_sub(&lazy->nr_missing, 1);
	}
	return 0;
}

static bool is_over(const struct lazy_ram *lazy)
{
	return clock_ns() >= atomic_load(&lazy->until);
}

/* Where pages are refused. */
static atomic_uintptr_t refused, refused_len;

static bool may_be_refused(const void *page)
{
	return (uintptr_t)page - atomic_load(&refused) < atomic_load(&refused_len);
}

/*
 * A page that was refused is touched, by a device or a vCPU that is about to stop: that need
 * not be the end of the process.  What else the signal tells is, when it comes again.
 */
static void touched(int number, siginfo_t *info, void *context)
{
	void *page = (void *)align_down((uintptr_t)info->si_addr, PAGES_LEN);
	int before = errno;

	(void)context;
	if (info->si_code <= 0 || !may_be_refused(page) ||
	    mmap(page, PAGES_LEN, PROT_READ | PROT_WRITE,
		 MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED)
		signal(number, SIG_DFL);
	lost_memory_touched();
	errno = before;
}

static void begin_to_refuse(struct lazy_ram *lazy)
{
	const struct sigaction action = {
		.sa_sigaction = touched, .sa_flags = SA_SIGINFO,
	};

	atomic_store(&refused, (uintptr_t)lazy->config.ram->host);
	atomic_store(&refused_len, lazy->config.ram->len);
	lazy->refuses = !sigaction(SIGBUS, &action, &lazy->before);
}

/*
 * It does not come any more: where a file has ended there is nothing, neither for a system call
 * nor for KVM.  Where that cannot be said of one page, as each is a mapping, it is of all.
 */
static void refuse(const struct lazy_ram *lazy, uint64_t page)
{
	struct uffdio_range range = { (uintptr_t)host_of(lazy, page), PAGES_LEN };
	const struct ram *ram = lazy->config.ram;

	if (mmap(host_of(lazy, page), PAGES_LEN, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_SHARED,
		 lazy->nothing, (off_t)(page * PAGES_LEN)) == MAP_FAILED)
		(void)mmap(ram->host, ram->len, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_SHARED,
			   lazy->nothing, 0);
	(void)ioctl(lazy->faults, UFFDIO_WAKE, &range);
}

/* What was never sent is zero. */
static void resolve(struct lazy_ram *lazy, uint64_t address)
{
	uint64_t page = (address - (uintptr_t)lazy->config.ram->host) / PAGES_LEN;

	if (!is_missing(lazy, page)) {
		(void)put_page(lazy, page, NULL);
	} else if (lazy->refuses) {
		refuse(lazy, page);
	} else if (!(lazy->asked[page / 64] & BIT64(page % 64))) {
		/* Who is interrupted while he waits says so again and again. */
		lazy->asked[page / 64] |= BIT64(page % 64);
		lazy->config.ask(lazy->config.ctx, page);
	}
}

/* Those that somebody waits for. */
static void refuse_asked(struct lazy_ram *lazy)
{
	uint64_t nr = lazy->config.ram->len / PAGES_LEN, page = 0, over;

	begin_to_refuse(lazy);
	while (pages_next_run(lazy->asked, nr, &page, &over))
		for (; page < over; page++)
			if (is_missing(lazy, page))
				refuse(lazy, page);
}

static int patience_ms(const struct lazy_ram *lazy)
{
	uint64_t now = clock_ns(), until = atomic_load(&lazy->until);

	if (until == UINT64_MAX || now >= until)
		return -1;
	return (int)((until - now) / CLOCK_NS_PER_MS + 1);
}

/* It is to end, or to begin to refuse. */
static bool has_news(const struct lazy_ram *lazy)
{
	return lazy->ends || (is_over(lazy) && !lazy->refuses);
}

static void *watch_faults(void *arg)
{
	struct lazy_ram *lazy = arg;
	struct pollfd fds[] = { { lazy->faults, POLLIN, 0 }, { lazy->wake, POLLIN, 0 } };

	for (;;) {
		struct uffd_msg fault;
		eventfd_t ignored;

		poll(fds, 2, patience_ms(lazy));
		(void)eventfd_read(lazy->wake, &ignored);
		if (lazy->ends)
			return NULL;
		if (is_over(lazy) && !lazy->refuses)
			refuse_asked(lazy);
		while (!has_news(lazy) &&
		       read(lazy->faults, &fault, sizeof(fault)) == sizeof(fault))
			if (fault.event == UFFD_EVENT_PAGEFAULT)
				resolve(lazy, fault.arg.pagefault.address);
	}
}

int lazy_ram_start(struct lazy_ram *lazy, struct err *err)
{
	const struct ram *ram = lazy->config.ram;
	struct uffdio_register whole = {
		.range = { (uintptr_t)ram->host, ram->len },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	int r = ioctl(lazy->faults, UFFDIO_REGISTER, &whole) ? -errno : 0;

	if (!r) {
		r = thread_start(&lazy->thread, "faults", watch_faults, lazy);
		lazy->started = !r;
	}
	return r < 0 ? err_sys(err, r, "cannot watch for pages that are missing") : 0;
}

void lazy_ram_hurry(struct lazy_ram *lazy, unsigned ms)
{
	atomic_store(&lazy->until, clock_ns() + ms * CLOCK_NS_PER_MS);
	(void)eventfd_write(lazy->wake, 1);
}

/* Closing the descriptor ends the watch, and wakes whoever sleeps. */
struct lazy_ram *lazy_ram_free(struct lazy_ram *lazy)
{
	if (!lazy)
		return NULL;
	if (lazy->started) {
		lazy->ends = true;
		(void)eventfd_write(lazy->wake, 1);
		pthread_join(lazy->thread, NULL);
	}
	if (lazy->faults >= 0)
		close(lazy->faults);
	if (lazy->refuses)
		sigaction(SIGBUS, &lazy->before, NULL);
	if (lazy->wake >= 0)
		close(lazy->wake);
	if (lazy->nothing >= 0)
		close(lazy->nothing);
	free(lazy->missing);
	free(lazy->asked);
	free(lazy);
	return NULL;
}
