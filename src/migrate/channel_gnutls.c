// SPDX-License-Identifier: Apache-2.0
#include "channel_gnutls.h"

#include "base/bits.h"
#include "base/err.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#define LIBRARY	"libgnutls.so.30"

static const struct function {
	const char *name;
	size_t at;
} functions[] = {
#define FUNCTION(f) { "gnutls_" #f, offsetof(struct channel_gnutls, f) },
	CHANNEL_GNUTLS_FUNCTIONS(FUNCTION)
};

int channel_gnutls_load(struct channel_gnutls *ret_gnutls, struct err *err)
{
	/* What it keeps for all sessions is not made to be unloaded. */
	void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);

	if (!library)
		return err_set(err, -ENOENT, "tls: needs GnuTLS, which cannot be loaded: %s",
			       dlerror());
	for (const struct function *f = functions; f < functions + ARRAY_LEN(functions); f++) {
		void *found = dlsym(library, f->name);

		if (!found)
			return err_set(err, -ENOENT, "%s has no %s", LIBRARY, f->name);
		memcpy((char *)ret_gnutls + f->at, &found, sizeof(found));
	}
	return 0;
}
