// SPDX-License-Identifier: Apache-2.0
/*
 * Any text is a configuration or is refused with a reason; what was read from
 * one is written such that it reads back as the same values.
 */
#include "config/yaml.h"

#include "../unit/all_kinds.h"
#include "base/err.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(bool held)
{
	if (!held)
		abort();
}

static void round_trip(const struct all_kinds *config)
{
	struct all_kinds again;
	struct err err;
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	must(out != NULL);
	must(yaml_dump(&all_kinds_options, config, out, &err) == 0);
	must(fclose(out) == 0);
	must(option_defaults(&all_kinds_options, &again) == 0);
	must(yaml_parse(&all_kinds_options, &again, "dump", text, len, &err) == 0);
	must(all_kinds_equal(config, &again));
	option_fini(&all_kinds_options, &again);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct all_kinds config;
	struct err err = { 0 };

	must(option_defaults(&all_kinds_options, &config) == 0);
	if (yaml_parse(&all_kinds_options, &config, "fuzz", (const char *)data, len, &err) == 0)
		round_trip(&config);
	else
		must(err.code < 0 && err.text[0] && !strchr(err.text, '\n'));
	option_fini(&all_kinds_options, &config);
	return 0;
}
