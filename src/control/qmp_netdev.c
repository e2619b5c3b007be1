// SPDX-License-Identifier: Apache-2.0
/*
 * qmp_netdev.c - back ends of cards are opened, for device_add, and closed; and the
 * cable of a card is pulled, and cards are announced.
 */
#include "base/err.h"
#include "config/option.h"
#include "control/qmp_command.h"
#include "control/qmp_machine.h"
#include "machine/vm_config.h"
#include "qmp_identifier.h"
#include "qmp_tables.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As the option tables of cards allow them. */
#define FORWARDS_MAX	64

/* Types that there are; the table then admits no other. */
enum type { TYPE_TAP, TYPE_BRIDGE, TYPE_USER, TYPE_STREAM, TYPE_NONE };

static const char *const types[] = {
	[TYPE_TAP] = "tap", [TYPE_BRIDGE] = "bridge", [TYPE_USER] = "user",
	[TYPE_STREAM] = "stream", [TYPE_NONE] = "none", NULL,
};

static const char *const address_types[] = { "unix", NULL };

struct address {
	struct option_given given;
	unsigned type;
	char *path;
};

static const struct option address_rows[] = {
	{ .key = "type", OPTION_CHOICE(struct address, type, address_types), .required = true },
	{ .key = "path", OPTION(struct address, path), .required = true },
};
static const struct option_object address_options = {
	.name = "address", OPTION_OBJECT(struct address, address_rows),
};

struct forward {
	struct option_given given;
	char *str;
};

static const struct option forward_rows[] = {
	{ .key = "str", OPTION(struct forward, str), .required = true },
};
static const struct option_object forward_options = {
	.name = "forward", OPTION_OBJECT(struct forward, forward_rows),
};

struct add_arguments {
	struct option_given given;
	char *id;
	enum type type;
	char *ifname;
	char *fd, *fds;
	char *br;
	char *dump;
	char *script, *downscript;
	bool vhost;
	uint32_t queues;
	struct forward *hostfwd;
	uint32_t nr_hostfwd;
	struct address addr;
	bool server;
};

static const struct option add_rows[] = {
	{ .key = "id", OPTION(struct add_arguments, id), .required = true },
	{ .key = "type", OPTION_CHOICE(struct add_arguments, type, types), .required = true },
	{ .key = "ifname", OPTION(struct add_arguments, ifname) },
	{ .key = "fd", OPTION(struct add_arguments, fd) },
	{ .key = "fds", OPTION(struct add_arguments, fds) },
	{ .key = "br", OPTION(struct add_arguments, br) },
	{ .key = "x-vmm-dump", OPTION(struct add_arguments, dump) },
	{ .key = "script", OPTION(struct add_arguments, script) },
	{ .key = "downscript", OPTION(struct add_arguments, downscript) },
	{ .key = "vhost", OPTION(struct add_arguments, vhost) },
	{ .key = "queues", OPTION(struct add_arguments, queues), .min = 1,
	  .max = QMP_MACHINE_PAIRS_MAX },
	{ .key = "hostfwd", OPTION_LIST(struct add_arguments, hostfwd, nr_hostfwd,
					forward_options), .max = FORWARDS_MAX },
	{ .key = "addr", OPTION_GROUP(struct add_arguments, addr, address_options) },
	{ .key = "server", OPTION(struct add_arguments, server) },
};
static const struct option_object add_options = {
	.name = "netdev", OPTION_OBJECT(struct add_arguments, add_rows),
};

static bool runs_script(const char *script)
{
	return script && *script && strcmp(script, "no");
}

/* Which tap: by its name, or by descriptors of it. */
static unsigned nr_taps(const struct add_arguments *arguments)
{
	return !!arguments->ifname + !!arguments->fd + !!arguments->fds;
}

/* With a colon between two. */
static unsigned nr_names(const char *list)
{
	unsigned nr = 1;

	while ((list = strchr(list, ':'))) {
		list++;
		nr++;
	}
	return nr;
}

static int check_descriptors(const struct add_arguments *arguments, struct err *err)
{
	unsigned nr = arguments->fds ? nr_names(arguments->fds) : !!arguments->fd;

	if (nr && arguments->br)
		return err_set(err, -EINVAL, "'br' goes with 'ifname'");
	if (nr > QMP_MACHINE_PAIRS_MAX)
		return err_set(err, -EINVAL, "'fds' has %u names, and %u are the most", nr,
			       QMP_MACHINE_PAIRS_MAX);
	if (nr && arguments->queues && arguments->queues != nr)
		return err_set(err, -EINVAL, "'queues' is %u, and a tap by descriptors has one "
			       "for each, which is %u", arguments->queues, nr);
	return 0;
}

static int check(const struct add_arguments *arguments, struct err *err)
{
	if (!qmp_identifier_valid(arguments->id))
		return err_set(err, -EINVAL, "Parameter 'id' expects an identifier");
	if (arguments->type == TYPE_BRIDGE && nr_taps(arguments))
		return err_set(err, -EINVAL, "a bridge makes its tap: use type 'tap' for one "
			       "that there is");
	if (arguments->type == TYPE_BRIDGE && !arguments->br)
		return err_set(err, -EINVAL, "Parameter 'br' is missing");
	if (arguments->type == TYPE_TAP && nr_taps(arguments) != 1)
		return err_set(err, -EINVAL, "a tap needs either 'ifname', 'fd' or 'fds'");
	if (arguments->type != TYPE_TAP && arguments->type != TYPE_BRIDGE &&
	    (nr_taps(arguments) || arguments->br || arguments->vhost || arguments->queues > 1))
		return err_set(err, -EINVAL, "'ifname', 'fd', 'fds', 'br', 'vhost' and 'queues' "
			       "are of a tap");
	if (arguments->type == TYPE_STREAM && !arguments->addr.path)
		return err_set(err, -EINVAL, "Parameter 'addr' is missing");
	if (arguments->type != TYPE_STREAM && (arguments->addr.path || arguments->server))
		return err_set(err, -EINVAL, "'addr' and 'server' are of a stream");
	if (arguments->type != TYPE_USER && arguments->nr_hostfwd)
		return err_set(err, -EINVAL, "'hostfwd' is of user-mode networking");
	if (runs_script(arguments->script) || runs_script(arguments->downscript))
		return err_set(err, -ENOTSUP, "script and downscript can only be 'no': set the "
			       "tap up before");
	if (arguments->vhost && arguments->dump)
		return err_set(err, -EINVAL, "vhost moves packets past 'x-vmm-dump': use one "
			       "of them");
	return check_descriptors(arguments, err);
}

/* With a space between two, as the machine has them; NULL: there is no memory. */
static char *join(const struct add_arguments *arguments)
{
	char *all = strdup("");

	for (uint32_t i = 0; i < arguments->nr_hostfwd && all; i++) {
		char *longer;

		if (asprintf(&longer, "%s %s", all, arguments->hostfwd[i].str) < 0)
			longer = NULL;
		free(all);
		all = longer;
	}
	return all;
}

struct names {
	char *text;			/* cut into them */
	const char *names[QMP_MACHINE_PAIRS_MAX];
	unsigned nr;
};

/* Of descriptors; there are not too many. */
static int find_names(struct names *ret_names, const struct add_arguments *arguments)
{
	char *rest = NULL;

	*ret_names = (struct names){ .names = { arguments->fd }, .nr = !!arguments->fd };
	if (!arguments->fds)
		return 0;
	rest = strdup(arguments->fds);
	if (!rest)
		return -ENOMEM;
	ret_names->text = rest;
	while (rest)
		ret_names->names[ret_names->nr++] = strsep(&rest, ":");
	return 0;
}

static int add_with(struct qmp_call *call, const struct names *names, const char *forwards,
		    struct err *err)
{
	const struct add_arguments *arguments = call->arguments;
	const struct qmp_machine_new_net net = {
		.id = arguments->id,
		.tap = arguments->ifname,
		.fds = names->names,
		.nr_fds = names->nr,
		.bridge = arguments->br,
		.dump = arguments->dump,
		.queues = arguments->queues,
		.user = arguments->type == TYPE_USER,
		.hostfwd = arguments->nr_hostfwd ? forwards : NULL,
		.socket = arguments->addr.path,
		.listen = arguments->server,
		.none = arguments->type == TYPE_NONE,
		.vhost = arguments->vhost,
	};
	int r = call->machine->ops->add_net(call->machine->ctx, &net, err);

	if (r == -EEXIST)
		return err_set(err, r, "Duplicate ID '%.64s'", net.id);
	return r;
}

static int add(struct qmp_call *call, struct err *err)
{
	int r = check(call->arguments, err);
	struct names names;
	char *forwards;

	if (r < 0)
		return r;
	r = find_names(&names, call->arguments);
	forwards = join(call->arguments);
	if (r < 0 || !forwards)
		r = err_sys(err, -ENOMEM, "cannot add the netdev");
	else
		r = add_with(call, &names, forwards, err);
	free(forwards);
	free(names.text);
	return r;
}

static void run_add(struct qmp_call *call)
{
	struct err err = { 0 };

	qmp_call_over(call, add(call, &err), &err);
}

static void over(struct qmp_call *call, int r, const char *name, const struct err *err)
{
	if (r == -ENOENT)
		qmp_call_fail(call, QMP_DEVICE_NOT_FOUND, "Device '%.64s' not found", name);
	else
		qmp_call_over(call, r, err);
}

struct del_arguments {
	struct option_given given;
	char *id;
};

static const struct option del_rows[] = {
	{ .key = "id", OPTION(struct del_arguments, id), .required = true },
};
static const struct option_object del_options = {
	.name = "netdev", OPTION_OBJECT(struct del_arguments, del_rows),
};

static void run_del(struct qmp_call *call)
{
	const struct del_arguments *arguments = call->arguments;
	struct err err = { 0 };

	over(call, call->machine->ops->remove_net(call->machine->ctx, arguments->id, &err),
	     arguments->id, &err);
}

struct link_arguments {
	struct option_given given;
	char *name;
	bool up;
};

static const struct option link_rows[] = {
	{ .key = "name", OPTION(struct link_arguments, name), .required = true },
	{ .key = "up", OPTION(struct link_arguments, up), .required = true },
};
static const struct option_object link_options = {
	.name = "link", OPTION_OBJECT(struct link_arguments, link_rows),
};

static void run_set_link(struct qmp_call *call)
{
	const struct link_arguments *arguments = call->arguments;
	const struct qmp_machine *machine = call->machine;
	struct err err = { 0 };

	over(call, machine->ops->set_link(machine->ctx, arguments->name, arguments->up, &err),
	     arguments->name, &err);
}

/* All at once: what is not given is no limit. */
struct limits_arguments {
	struct option_given given;
	char *name;
	struct netdev_limits limits;
};

#define LIMIT(key_, member)								\
	{ .key = (key_), OPTION(struct limits_arguments, limits.member.avg) },		\
	{ .key = key_ "-max", OPTION(struct limits_arguments, limits.member.max) },	\
	{ .key = key_ "-max-length",							\
	  OPTION(struct limits_arguments, limits.member.length) }

static const struct option limits_rows[] = {
	{ .key = "name", OPTION(struct limits_arguments, name), .required = true },
	LIMIT("bps-rx", rx_bytes),
	LIMIT("bps-tx", tx_bytes),
	LIMIT("pps-rx", rx_packets),
	LIMIT("pps-tx", tx_packets),
};
static const struct option_object limits_options = {
	.name = "limits", OPTION_OBJECT(struct limits_arguments, limits_rows),
};

static void run_set_limits(struct qmp_call *call)
{
	const struct limits_arguments *arguments = call->arguments;
	const struct qmp_machine *machine = call->machine;
	struct err err = { 0 };

	over(call, machine->ops->limit_net(machine->ctx, arguments->name, &arguments->limits,
					   &err), arguments->name, &err);
}

/* As QEMU bounds them: milliseconds, and times. */
#define ANNOUNCE_MS_MAX		100000
#define ANNOUNCE_STEP_MAX	10000
#define ANNOUNCE_ROUNDS_MAX	1000

struct announce_arguments {
	struct option_given given;
	uint32_t initial, max, rounds, step;
};

static const struct option announce_rows[] = {
	{ .key = "initial", OPTION(struct announce_arguments, initial), .required = true,
	  .min = 1, .max = ANNOUNCE_MS_MAX },
	{ .key = "max", OPTION(struct announce_arguments, max), .required = true,
	  .min = 1, .max = ANNOUNCE_MS_MAX },
	{ .key = "rounds", OPTION(struct announce_arguments, rounds), .required = true,
	  .min = 1, .max = ANNOUNCE_ROUNDS_MAX },
	{ .key = "step", OPTION(struct announce_arguments, step), .required = true,
	  .min = 0, .max = ANNOUNCE_STEP_MAX },
};
static const struct option_object announce_options = {
	.name = "announce", OPTION_OBJECT(struct announce_arguments, announce_rows),
};

static void run_announce(struct qmp_call *call)
{
	const struct announce_arguments *arguments = call->arguments;
	const struct qmp_machine_announcement announcement = {
		.initial_ms = arguments->initial,
		.step_ms = arguments->step,
		.max_ms = arguments->max,
		.rounds = arguments->rounds,
	};

	call->machine->ops->announce(call->machine->ctx, &announcement);
	qmp_call_over(call, 0, NULL);
}

static const struct qmp_command commands[] = {
	{ .name = "announce-self", .arguments = &announce_options, .run = run_announce },
	{ .name = "netdev_add", .arguments = &add_options, .run = run_add },
	{ .name = "netdev_del", .arguments = &del_options, .run = run_del },
	{ .name = "x-vmm-net-set-limits", .arguments = &limits_options, .run = run_set_limits },
	{ .name = "set_link", .arguments = &link_options, .run = run_set_link },
};

const struct qmp_table qmp_tables_netdev = { QMP_COMMANDS(commands) };
