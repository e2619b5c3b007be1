// SPDX-License-Identifier: Apache-2.0
#include "console/viewers.h"

#include "base/err.h"
#include "base/log.h"
#include "loop/listener.h"
#include "viewer.h"

#include <errno.h>
#include <stdlib.h>

struct viewers {
	struct viewers_config config;
	struct listener *listener;
	struct log_limit refusals;
	struct viewer *all[VIEWERS_MAX];
	unsigned nr;
};

static void gone(void *ctx, struct viewer *viewer)
{
	struct viewers *viewers = ctx;
	unsigned i = 0;

	while (viewers->all[i] != viewer)
		i++;
	viewers->all[i] = viewers->all[--viewers->nr];
	viewer_free(viewer);
}

/* Whose last keys nobody takes has had its time when another comes. */
static int make_room(struct viewers *viewers, struct err *err)
{
	if (viewers->nr < VIEWERS_MAX)
		return 0;
	for (unsigned i = 0; i < viewers->nr; i++) {
		if (viewer_has_left(viewers->all[i])) {
			gone(viewers, viewers->all[i]);
			return 0;
		}
	}
	return err_set(err, -EBUSY, "there are %u already", VIEWERS_MAX);
}

static int welcome(void *ctx, int fd, struct unix_socket_peer peer, struct err *err)
{
	struct viewers *viewers = ctx;
	const struct viewer_config config = {
		.loop = viewers->config.loop,
		.hub = viewers->config.hub,
		.fd = fd,
		.gone = gone,
		.ctx = viewers,
	};
	int r = make_room(viewers, err);

	(void)peer;
	if (r < 0)
		return r;
	r = viewer_new(&viewers->all[viewers->nr], &config);
	if (r < 0)
		return err_sys(err, r, "cannot serve it");
	viewers->nr++;
	return 0;
}

static void refused(void *ctx, const struct err *why)
{
	struct viewers *viewers = ctx;

	log_limited(&viewers->refusals, LOG_WARN, "console: viewer turned away: %s",
		    why->text);
}

/* Life. */

int viewers_new(struct viewers **ret_viewers, const struct viewers_config *config,
		struct err *err)
{
	struct viewers *viewers = calloc(1, sizeof(*viewers));
	const struct listener_config listener = {
		.loop = config->loop,
		.what = "console",
		.welcome = welcome,
		.refused = refused,
		.ctx = viewers,
	};
	int r;

	if (!viewers)
		return err_sys(err, -ENOMEM, "cannot serve the console");
	viewers->config = *config;
	r = listener_new(&viewers->listener, &listener, config->path, err);
	viewers->config.path = NULL;
	if (r < 0) {
		free(viewers);
		return r;
	}
	*ret_viewers = viewers;
	return 0;
}

struct viewers *viewers_free(struct viewers *viewers)
{
	if (!viewers)
		return NULL;
	listener_free(viewers->listener);
	for (unsigned i = 0; i < viewers->nr; i++)
		viewer_free(viewers->all[i]);
	free(viewers);
	return NULL;
}
