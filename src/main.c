// SPDX-License-Identifier: Apache-2.0
#include "cli/command.h"

#include <malloc.h>

int main(int argc, char **argv)
{
	/* Threads allocate next to nothing: an arena for each is memory wasted. */
	mallopt(M_ARENA_MAX, 1);
	return command_main(argc, argv);
}
