// SPDX-License-Identifier: Apache-2.0
#include "memory/ram_use.h"

#include "base/bits.h"
#include "base/err.h"
#include "memory/ram.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define SMAPS_PATH "/proc/self/smaps"

/* A mapping begins with its range, then come its values, "Rss:    12 kB". */
void ram_use_read(FILE *smaps, const struct ram *ram, struct ram_use *ret_guest,
		  struct ram_use *ret_rest)
{
	struct ram_use *use = ret_rest;
	unsigned long long from, to, kib;
	bool line_begins = true;
	char line[256];

	*ret_guest = *ret_rest = (struct ram_use){ 0 };
	for (; fgets(line, sizeof(line), smaps); line_begins = strchr(line, '\n')) {
		if (!line_begins)
			continue;
		if (sscanf(line, "%llx-%llx ", &from, &to) == 2)
			use = from - (uintptr_t)ram->host < ram->len ? ret_guest : ret_rest;
		else if (sscanf(line, "Rss: %llu kB", &kib) == 1)
			use->resident += kib * KiB;
		else if (sscanf(line, "Pss: %llu kB", &kib) == 1)
			use->proportional += kib * KiB;
	}
}

int ram_use_ask(const struct ram *ram, struct ram_use *ret_guest, struct ram_use *ret_rest,
		struct err *err)
{
	FILE *smaps = fopen(SMAPS_PATH, "re");

	if (!smaps)
		return err_sys(err, -errno, "cannot read " SMAPS_PATH);
	ram_use_read(smaps, ram, ret_guest, ret_rest);
	fclose(smaps);
	return 0;
}
