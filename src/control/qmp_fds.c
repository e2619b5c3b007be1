// SPDX-License-Identifier: Apache-2.0
#include "qmp_fds.h"

#include "base/err.h"
#include "config/option.h"
#include "control/qmp_command.h"
#include "qmp_session.h"
#include "qmp_tables.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAME_MAX_BYTES	255

struct qmp_fds {
	struct named {
		char *name;
		int fd;
	} named[QMP_FDS_MAX];
	unsigned nr;
};

struct qmp_fds *qmp_fds_new(void)
{
	return calloc(1, sizeof(struct qmp_fds));
}

struct qmp_fds *qmp_fds_free(struct qmp_fds *fds)
{
	for (unsigned i = 0; fds && i < fds->nr; i++) {
		close(fds->named[i].fd);
		free(fds->named[i].name);
	}
	free(fds);
	return NULL;
}

static struct named *find(struct qmp_fds *fds, const char *name)
{
	for (unsigned i = 0; i < fds->nr; i++)
		if (!strcmp(fds->named[i].name, name))
			return &fds->named[i];
	return NULL;
}

int qmp_fds_add(struct qmp_fds *fds, const char *name, int fd, struct err *err)
{
	struct named *named = find(fds, name);
	char *copy;

	if (named) {
		close(named->fd);
		named->fd = fd;
		return 0;
	}
	if (fds->nr == QMP_FDS_MAX) {
		close(fd);
		return err_set(err, -ENOSPC, "There are %u named file descriptors already: "
			       "close some with closefd", QMP_FDS_MAX);
	}
	copy = strdup(name);
	if (!copy) {
		close(fd);
		return err_sys(err, -ENOMEM, "Cannot keep file descriptor '%s'", name);
	}
	fds->named[fds->nr++] = (struct named){ .name = copy, .fd = fd };
	return 0;
}

int qmp_fds_take(struct qmp_fds *fds, const char *name, struct err *err)
{
	struct named *named = find(fds, name);
	int fd;

	if (!named)
		return err_set(err, -ENOENT, "File descriptor named '%s' not found", name);
	fd = named->fd;
	free(named->name);
	*named = fds->named[--fds->nr];
	return fd;
}

/* Commands. */

struct fd_arguments {
	struct option_given given;
	char *fdname;
};

static const struct option fd_rows[] = {
	{ .key = "fdname", OPTION(struct fd_arguments, fdname), .required = true,
	  .max = NAME_MAX_BYTES },
};

static const struct option_object fd_options = {
	.name = "fd", OPTION_OBJECT(struct fd_arguments, fd_rows),
};

static void run_getfd(struct qmp_call *call)
{
	const struct qmp_session_config *config = qmp_session_config(call->session);
	const struct fd_arguments *arguments = call->arguments;
	struct err err = { 0 };
	int fd = config->take_fd(config->ctx);

	/* A number would be a descriptor's own where names and numbers are taken. */
	if (fd < 0) {
		qmp_call_fail(call, QMP_GENERIC_ERROR,
			      "No file descriptor supplied via SCM_RIGHTS");
	} else if (*arguments->fdname >= '0' && *arguments->fdname <= '9') {
		close(fd);
		qmp_call_fail(call, QMP_GENERIC_ERROR,
			      "Parameter 'fdname' expects a name not starting with a digit");
	} else if (qmp_fds_add(config->fds, arguments->fdname, fd, &err) < 0) {
		qmp_call_fail(call, QMP_GENERIC_ERROR, "%s", err.text);
	} else {
		qmp_call_done(call);
	}
}

static void run_closefd(struct qmp_call *call)
{
	const struct fd_arguments *arguments = call->arguments;
	struct err err = { 0 };
	int fd = qmp_fds_take(qmp_session_config(call->session)->fds, arguments->fdname, &err);

	if (fd < 0) {
		qmp_call_fail(call, QMP_GENERIC_ERROR, "%s", err.text);
		return;
	}
	close(fd);
	qmp_call_done(call);
}

static const struct qmp_command commands[] = {
	{ .name = "getfd", .arguments = &fd_options, .run = run_getfd },
	{ .name = "closefd", .arguments = &fd_options, .run = run_closefd },
};

const struct qmp_table qmp_tables_fds = { QMP_COMMANDS(commands) };
