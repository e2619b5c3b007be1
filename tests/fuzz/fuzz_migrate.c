// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_migrate.c - what the other side of a migration says, to a source and to a target.
 *
 * The first byte chooses who listens, and how that one is set.  What follows is said, as it
 * is or as messages of five bytes each: type, nr, at (two bytes), and what its bytes are to
 * be.  Then nobody is there any more.
 */
#include "base/bits.h"
#include "base/bytes.h"
#include "base/log.h"
#include "block/disk.h"
#include "loop/loop.h"
#include "machine/hotplug.h"
#include "machine/vm_config.h"
#include "migrate/incoming.h"
#include "migrate/message.h"
#include "migrate/migration_plan.h"
#include "migrate/outgoing.h"
#include "migrate/pages.h"
#include "state/state.h"
#include "unit/fake_vm.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zstd.h>

#define TO_SOURCE	1u
#define COMPRESS	2u
#define POSTCOPY	4u	/* of a target: its plan says that */
#define LOAD_FAILS	8u
#define WAKE_FAILS	16u
#define AS_IT_IS	32u
#define SHOWS		64u	/* its plan tells of the disk that the target has */

#define RAM_LEN		(67 * PAGES_LEN) /* in two words of a bitmap, with some to spare */
#define DISK_LEN	4096
#define SAID_MAX	98304		/* what a socket has room for */

#define PAUSES_MAX	4

enum kind_of_bytes { NONE, AS_SHOULD_BE, TOO_FEW, FROM_INPUT };

static struct loop *loop;
static struct machine_disk disk;
static uint8_t said[SAID_MAX];
static size_t said_len;
static size_t pauses[PAUSES_MAX];	/* where in there an answer is awaited */
static unsigned nr_pauses;

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t len);

/* What is said. */

static void say(const void *bytes, size_t len)
{
	len = min_u64(len, SAID_MAX - said_len);
	memcpy(said + said_len, bytes, len);
	said_len += len;
}

static size_t stream_with(uint8_t *bytes, size_t max, bool plan, unsigned flags)
{
	struct migration_plan p = { .streams = 1, .postcopy = flags & POSTCOPY };
	struct state_writer *writer = state_writer_new(MIGRATION_PLAN_ARCH);
	const void *stream;
	size_t len;

	if (flags & SHOWS)
		migration_plan_show(&p, FAKE_VM_MACHINE, false);
	if (plan)
		migration_plan_save(writer, &p);
	if (state_writer_end(writer, &stream, &len) || len > max)
		abort();
	memcpy(bytes, stream, len);
	state_writer_free(writer);
	return len;
}

/* The bytes that a message like this should have. */
static size_t right_bytes(uint8_t *bytes, size_t max, const struct message *message,
			  unsigned flags)
{
	static char pages[255 * PAGES_LEN];
	size_t len = message->nr * PAGES_LEN;

	memset(bytes, 'y', max);
	switch (message->type) {
	case MESSAGE_PLAN:
	case MESSAGE_STATE:
		return stream_with(bytes, max, message->type == MESSAGE_PLAN, flags);
	case MESSAGE_STREAM:
	case MESSAGE_RESUME:
		memset(bytes, 0, MESSAGE_SESSION_LEN);
		return MESSAGE_SESSION_LEN;
	case MESSAGE_PAGES:
		return min_u64(len, max);
	case MESSAGE_PACKED:
		return ZSTD_compress(bytes, max, pages, len, 1);
	case MESSAGE_FAILED:
		return message->nr;
	default:
		return 0;
	}
}

static void say_messages(const uint8_t *input, size_t len, unsigned flags)
{
	static uint8_t bytes[SAID_MAX];

	while (len >= 5) {
		uint8_t header[MESSAGE_HEADER_LEN];
		struct message message = {
			.type = (enum message_type)input[0], .nr = input[1],
			.at = get_le16(input + 2),
		};
		enum kind_of_bytes kind = input[4] % 4;

		input += 5;
		len -= 5;
		if (kind == AS_SHOULD_BE || kind == TOO_FEW)
			message.len = right_bytes(bytes, sizeof(bytes), &message, flags);
		if (kind == TOO_FEW)
			message.len /= 2;
		if (kind == FROM_INPUT) {
			if (!len)
				return;
			message.len = min_u64(input[0], len - 1);
			memcpy(bytes, input + 1, message.len);
			input += 1 + message.len;
			len -= 1 + message.len;
		}
		message_pack(header, &message);
		say(header, sizeof(header));
		say(bytes, message.len);
		if ((message.type == MESSAGE_PLAN || message.type == MESSAGE_STATE) &&
		    said_len < SAID_MAX && nr_pauses < PAUSES_MAX)
			pauses[nr_pauses++] = said_len;
	}
}

/* Our end of the connection: what is answered is dropped, until there is nobody. */
struct other_side {
	struct loop_watch watch;
	int fd;
	size_t sent;
	unsigned paused;		/* so many times */
};

static void send_more(struct other_side *other)
{
	size_t to = other->paused < nr_pauses ? pauses[other->paused] : said_len;
	size_t len = to - other->sent;

	other->paused++;
	other->sent = to;
	if (send(other->fd, said + to - len, len, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)len ||
	    to == said_len)
		shutdown(other->fd, SHUT_WR);
}

static void drop(struct loop_watch *watch, unsigned events)
{
	struct other_side *other = container_of(watch, struct other_side, watch);
	char bytes[4096];
	ssize_t got;

	(void)events;
	while ((got = recv(other->fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		send_more(other);
	if (!got || errno != EAGAIN)
		loop_quit(loop);
}

static void changed(void *ctx, enum migration_status status)
{
	(void)ctx, (void)status;
}

static void begun(void *ctx, uint64_t nr)
{
	(void)ctx, (void)nr;
}

static void ended(void *ctx, int r, const struct err *err)
{
	(void)ctx, (void)err;
	if (!r && !fake_vm.running)
		abort();
}

static void run_target(const char *uri)
{
	const struct incoming_config config = {
		.machine = FAKE_VM_MACHINE, .main = loop, .changed = changed, .ended = ended,
	};
	struct incoming *incoming = incoming_new(&config);

	if (!incoming || incoming_listen(incoming, uri, &migration_defaults, NULL))
		abort();
	loop_run(loop);
	(void)incoming_info(incoming);
	incoming_free(incoming);
}

static void run_source(const char *uri, unsigned flags)
{
	const struct outgoing_config config = {
		.machine = FAKE_VM_MACHINE, .main = loop, .changed = changed, .round = begun,
	};
	struct migration_parameters parameters = migration_defaults;
	struct outgoing *outgoing = outgoing_new(&config);

	parameters.compress = flags & COMPRESS;
	parameters.postcopy = flags & POSTCOPY;
	memset(fake_vm.ram.host, 'x', fake_vm.ram.len / 2);
	if (!outgoing || outgoing_start(outgoing, uri, &parameters, NULL))
		abort();
	(void)outgoing_postcopy(outgoing, NULL);
	loop_run(loop);
	/* Nobody else may run it by now, unless it was told to. */
	if (fake_vm.running && fake_vm.moved)
		abort();
	(void)outgoing_info(outgoing);
	outgoing_free(outgoing);
}

/* What lasts from one input to the next. */
static void begin(void)
{
	static struct vm_disk_config shown;
	struct disk_config config = { .id = "d" };
	struct disk *open;
	int fd = memfd_create("d", 0);
	char path[32];

	log_set_level(LOG_ERROR);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	config.path = path;
	if (loop_new(&loop, NULL) || ftruncate(fd, DISK_LEN) ||
	    disk_open(&open, &config, loop, NULL))
		abort();
	shown.serial = (char *)"S1";
	disk = (struct machine_disk){ .id = "d", .device = "d", .config = &shown, .disk = open };
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t len)
{
	struct other_side other = { .watch.ready = drop };
	unsigned flags = len ? input[0] : 0;
	char uri[16];
	int fds[2];

	if (!len)
		return 0;
	if (!loop)
		begin();
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
		abort();
	other.fd = fds[0];
	snprintf(uri, sizeof(uri), "fd:%d", fds[1]);
	fake_vm_open(RAM_LEN, flags & TO_SOURCE);
	fake_vm.shown = &disk;
	fake_vm.nr_shown = 1;
	fake_vm.load_fails = flags & LOAD_FAILS ? -22 : 0;
	fake_vm.wake_fails = flags & WAKE_FAILS ? -16 : 0;
	said_len = nr_pauses = 0;
	if (flags & AS_IT_IS)
		say(input + 1, len - 1);
	else
		say_messages(input + 1, len - 1, flags);
	send_more(&other);
	if (loop_watch_add(loop, &other.watch, fds[0], POLLIN))
		abort();
	if (flags & TO_SOURCE)
		run_source(uri, flags);
	else
		run_target(uri);
	loop_watch_remove(loop, &other.watch);
	close(fds[0]);
	fake_vm_close();
	return 0;
}
