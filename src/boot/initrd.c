// SPDX-License-Identifier: Apache-2.0
#include "boot/initrd.h"

#include "base/bits.h"
#include "boot/boot_file.h"

#include <errno.h>
#include <inttypes.h>

#define INITRD_ALIGN UINT64_C(4096)

/* Rounded up, so that what does not fit never reads as if it did. */
static uint64_t in_mib(uint64_t len)
{
	return len / MiB + (len % MiB != 0);
}

static int place(const struct boot_file *file, struct guest_mem *mem,
		 const struct initrd_room *room, struct initrd *ret_initrd, struct err *err)
{
	gpa_t from = align_up(room->from, INITRD_ALIGN);
	gpa_t at;
	int r;

	if (file->len > room->to || align_down(room->to - file->len, INITRD_ALIGN) < from)
		return boot_file_refuse(file, -ENOSPC, err,
					"%" PRIu64 " MiB do not fit between %" PRIu64
					" MiB, where the kernel ends, and %" PRIu64 " MiB, %s",
					in_mib(file->len), in_mib(room->from),
					room->to / MiB, room->why_to);
	at = align_down(room->to - file->len, INITRD_ALIGN);
	r = boot_file_load(file, 0, file->len, mem, at, err);
	if (r == 0)
		*ret_initrd = (struct initrd){ .at = at, .len = file->len };
	return r;
}

int initrd_load(struct guest_mem *mem, const char *path,
		const struct initrd_room *room, struct initrd *ret_initrd, struct err *err)
{
	struct boot_file file;
	int r = boot_file_open(&file, "initrd", path, err);

	if (r < 0)
		return r;
	r = place(&file, mem, room, ret_initrd, err);
	boot_file_close(&file);
	return r;
}
