// SPDX-License-Identifier: Apache-2.0
#include "machine/vm_serial.h"

#include "base/bits.h"
#include "base/err.h"
#include "config/nearest.h"
#include "machine/vm_config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define WORD_MAX	32

static const char *const words[] = {
	[VM_SERIAL_STDIO] = "stdio",
	[VM_SERIAL_PTY] = "pty",
	[VM_SERIAL_UNIX] = "unix",
	[VM_SERIAL_FILE] = "file",
	[VM_SERIAL_NULL] = "null",
};

static bool takes_path(enum vm_serial_kind kind)
{
	return kind == VM_SERIAL_UNIX || kind == VM_SERIAL_FILE;
}

static int unknown(const char *word, struct err *err)
{
	const char *nearest = nearest_word(words, ARRAY_LEN(words), word);

	if (nearest)
		return err_set(err, -EINVAL, "serial: unknown kind '%s': did you mean '%s'?",
			       word, nearest);
	return err_set(err, -EINVAL, "serial: unknown kind '%s': there are stdio, pty, "
		       "unix:PATH, file:PATH and null", word);
}

static int parse(struct vm_serial *serial, const char *text, struct err *err)
{
	const char *colon = strchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : strlen(text), i = 0;
	char word[WORD_MAX];

	snprintf(word, sizeof(word), "%.*s", (int)min_u64(len, WORD_MAX), text);
	while (i < ARRAY_LEN(words) && strcmp(words[i], word))
		i++;
	if (i == ARRAY_LEN(words))
		return unknown(word, err);
	serial->kind = (enum vm_serial_kind)i;
	serial->path = colon ? colon + 1 : NULL;
	if (takes_path(serial->kind) && !(colon && colon[1]))
		return err_set(err, -EINVAL, "serial: where to? give %s:PATH", word);
	if (!takes_path(serial->kind) && colon)
		return err_set(err, -EINVAL, "serial: '%s' takes no path", word);
	return 0;
}

int vm_serial_get(struct vm_serial *ret_serial, const struct vm_config *config,
		  struct err *err)
{
	bool given = option_given(&vm_config_options, config, &config->serial);
	int r;

	if (!given && (config->detach || config->daemon)) {
		*ret_serial = (struct vm_serial){ .kind = VM_SERIAL_NULL };
		return 0;
	}
	r = parse(ret_serial, config->serial, err);
	if (!r && config->detach && ret_serial->kind == VM_SERIAL_STDIO)
		return err_set(err, -EINVAL, "serial: a VM that is detached has no standard "
			       "input and output: leave stdio out");
	return r;
}
