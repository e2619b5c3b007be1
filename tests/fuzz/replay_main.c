// SPDX-License-Identifier: Apache-2.0
/*
 * replay_main.c - runs a fuzz target on the files of a folder, without a fuzzer.
 *
 * Each input is copied to memory of just its length, so that the address
 * sanitizer sees a read beyond its end.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t len);

static int fail(const char *path)
{
	fprintf(stderr, "replay: %s: %s\n", path, strerror(errno));
	return -1;
}

static int replay(const char *path)
{
	struct stat st;
	FILE *file = fopen(path, "rb");
	uint8_t *input;

	if (!file || fstat(fileno(file), &st))
		return fail(path);
	input = malloc((size_t)st.st_size);
	if (!input && st.st_size)
		return fail(path);
	if (fread(input, 1, (size_t)st.st_size, file) != (size_t)st.st_size)
		return fail(path);
	fclose(file);
	LLVMFuzzerTestOneInput(input, (size_t)st.st_size);
	free(input);
	return 0;
}

/* The number of files replayed, or -1. */
static int replay_folder(const char *folder)
{
	struct dirent **entries;
	int nr_entries = scandir(folder, &entries, NULL, alphasort);
	int nr = 0;

	if (nr_entries < 0)
		return fail(folder);
	for (int i = 0; i < nr_entries; i++) {
		char path[PATH_MAX];

		if (entries[i]->d_name[0] != '.' && nr >= 0) {
			snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
			nr = replay(path) ? -1 : nr + 1;
		}
		free(entries[i]);
	}
	free(entries);
	return nr;
}

int main(int argc, char **argv)
{
	int nr = 0;

	for (int i = 1; i < argc; i++) {
		int more = replay_folder(argv[i]);

		if (more < 0)
			return EXIT_FAILURE;
		nr += more;
	}
	printf("%d inputs\n", nr);
	return nr ? EXIT_SUCCESS : EXIT_FAILURE;
}
