// SPDX-License-Identifier: Apache-2.0
#include "viewer.h"

#include "base/bits.h"
#include "console/hub.h"
#include "loop/loop.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define OUTPUT_LEN	4096
#define NOTICE_LEN	80
#define WRITES_PER_TURN	32	/* a viewer that reads fast shares the loop */

struct viewer {
	struct viewer_config config;
	struct loop_watch in;
	struct loop_watch out;		/* while it takes no more */
	struct loop_task task;
	bool left;
	bool input_open;

	struct hub_reader reader;
	uint8_t output[NOTICE_LEN + OUTPUT_LEN];
	size_t output_at, output_len;
	struct hub_source source;
};

/* What it has typed is kept until it is typed; gone() comes from the task. */
static void leave(struct viewer *viewer)
{
	if (viewer->left)
		return;
	viewer->left = true;
	loop_watch_remove(viewer->config.loop, &viewer->out);
	viewer->output_at = viewer->output_len = 0;
	loop_defer(viewer->config.loop, &viewer->task);
}

/* Output. */

static bool fill(struct viewer *viewer)
{
	uint8_t *at = viewer->output + NOTICE_LEN;
	char notice[NOTICE_LEN];
	uint64_t skipped;
	size_t len = hub_read(viewer->config.hub, &viewer->reader, at, OUTPUT_LEN, &skipped);
	int notice_len = 0;

	if (skipped)
		notice_len = snprintf(notice, sizeof(notice), "\r\n[vmm: %" PRIu64 " bytes of "
				      "output are missing here]\r\n", skipped);
	for (int i = notice_len - 1; i >= 0; i--)
		*--at = (uint8_t)notice[i];
	viewer->output_at = (size_t)(at - viewer->output);
	viewer->output_len = NOTICE_LEN + len;
	return len;
}

static void wait_for_room(struct viewer *viewer)
{
	if (!viewer->out.slot &&
	    loop_watch_add(viewer->config.loop, &viewer->out, viewer->config.fd, POLLOUT) < 0)
		leave(viewer);
}

static bool has_output(const struct viewer *viewer)
{
	return viewer->output_at < viewer->output_len;
}

static void write_some(struct viewer *viewer)
{
	int left = WRITES_PER_TURN;

	while (left-- && !viewer->left && (has_output(viewer) || fill(viewer))) {
		ssize_t len = write(viewer->config.fd, viewer->output + viewer->output_at,
				    viewer->output_len - viewer->output_at);

		if (len >= 0)
			viewer->output_at += (size_t)len;
		else if (errno == EAGAIN)
			return wait_for_room(viewer);
		else if (errno != EINTR)
			return leave(viewer);
	}
	loop_watch_remove(viewer->config.loop, &viewer->out);
	if (left < 0)
		loop_defer(viewer->config.loop, &viewer->task);
}

static void more(struct hub_reader *reader)
{
	struct viewer *viewer = container_of(reader, struct viewer, reader);

	if (!viewer->out.slot)
		write_some(viewer);
}

static bool idle(const struct hub_reader *reader)
{
	const struct viewer *viewer = container_of(reader, struct viewer, reader);

	return viewer->left || !has_output(viewer);
}

static void writable(struct loop_watch *watch, unsigned events)
{
	(void)events;
	write_some(container_of(watch, struct viewer, out));
}

/* Input. */

/* False when there is nothing more, for now or ever. */
static bool read_some(struct viewer *viewer)
{
	size_t room;
	uint8_t *at = hub_source_room(&viewer->source, &room);
	ssize_t len = viewer->input_open ? read(viewer->config.fd, at, room) : 0;

	if (len > 0) {
		viewer->source.len += (size_t)len;
		return true;
	}
	if (len < 0 && errno == EINTR)
		return true;
	if (len < 0 && errno == EAGAIN)
		return false;
	viewer->input_open = false;
	if (len < 0)
		leave(viewer);
	return false;
}

static void pump(struct viewer *viewer)
{
	while (hub_pass_on(viewer->config.hub, &viewer->source) && read_some(viewer))
		;
	if (viewer->left)
		loop_defer(viewer->config.loop, &viewer->task);
}

static void go_on(struct hub_source *source)
{
	pump(container_of(source, struct viewer, source));
}

/* One that will send no more may still look on, until it hangs up. */
static void readable(struct loop_watch *watch, unsigned events)
{
	struct viewer *viewer = container_of(watch, struct viewer, in);

	if (events & (POLLHUP | POLLERR))
		leave(viewer);
	pump(viewer);
}

static void run(struct loop_task *task)
{
	struct viewer *viewer = container_of(task, struct viewer, task);

	if (!viewer->left) {
		write_some(viewer);
		return;
	}
	hub_remove_reader(viewer->config.hub, &viewer->reader);
	if (!viewer->source.waits)
		viewer->config.gone(viewer->config.ctx, viewer);
}

bool viewer_has_left(const struct viewer *viewer)
{
	return viewer->left;
}

int viewer_new(struct viewer **ret_viewer, const struct viewer_config *config)
{
	struct viewer *viewer = calloc(1, sizeof(*viewer));

	if (!viewer)
		return -ENOMEM;
	viewer->config = *config;
	viewer->in.ready = readable;
	viewer->out.ready = writable;
	viewer->task.run = run;
	viewer->input_open = true;
	viewer->reader.more = more;
	viewer->reader.idle = idle;
	viewer->source.go_on = go_on;
	if (loop_watch_add(config->loop, &viewer->in, config->fd, POLLIN) < 0) {
		free(viewer);
		return -ENOMEM;
	}
	hub_add_reader(config->hub, &viewer->reader);
	*ret_viewer = viewer;
	return 0;
}

struct viewer *viewer_free(struct viewer *viewer)
{
	if (!viewer)
		return NULL;
	loop_watch_remove(viewer->config.loop, &viewer->in);
	loop_watch_remove(viewer->config.loop, &viewer->out);
	loop_cancel(viewer->config.loop, &viewer->task);
	hub_remove_source(viewer->config.hub, &viewer->source);
	hub_remove_reader(viewer->config.hub, &viewer->reader);
	close(viewer->config.fd);
	free(viewer);
	return NULL;
}
