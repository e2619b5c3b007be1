// SPDX-License-Identifier: Apache-2.0
/*
 * run.c - vmm run: one VM in the foreground.
 */
#include "base/bits.h"
#include "base/err.h"
#include "base/log.h"
#include "base/made_file.h"
#include "cli/command.h"
#include "config/cmdline.h"
#include "config/yaml.h"
#include "control/qmp_command.h"
#include "control/qmp_job.h"
#include "control/qmp_server.h"
#include "detach.h"
#include "hotplug_qmp.h"
#include "kvm/kvm.h"
#include "loop/loop.h"
#include "machine/machine.h"
#include "machine/vm_config.h"
#include "machine_qmp.h"
#include "migrate/incoming.h"
#include "migrate/snapshot_save.h"
#include "migrate_qmp.h"
#include "notify.h"
#include "run.h"
#include "runtime.h"
#include "serial.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define DEFER			"defer"	/* QMP says where to wait */
#define NAME_WITHOUT_RUNTIME	"vm"
#define STOP_SECONDS		10	/* from the guest's end to ours, and some */

struct run {
	struct vm_config vm;
	const struct run_saved *saved;	/* NULL: a new VM */
	struct runtime *runtime;	/* NULL: it has no folder */
	struct err no_runtime;		/* why */
	struct kvm_opening *opening;
	struct loop *loop;
	struct serial *serial;
	struct machine *machine;
	struct machine_qmp qmp;
	struct qmp_machine qmp_machine;
	struct qmp_jobs jobs;
	struct detach background;	/* with --detach */
	int log_fd;			/* what standard error is not now; -1: none */
	bool made_log;
	int signal_fd;
	struct loop_watch signals;
	int status;
};

/*
 * Presets, then the file, then the command line.  Where the file is, the
 * command line says, so it is read twice.
 */
static int configure(struct vm_config *vm, int argc, char **argv, struct err *err)
{
	const struct option_object *options = &vm_config_options;
	struct vm_config first;
	int rest, r;

	if (option_defaults(options, &first))
		return err_sys(err, -ENOMEM, "cannot read the options");
	r = cmdline_parse(options, &first, argc, argv, &rest, err);
	if (!r && rest < argc)
		r = err_set(err, -EINVAL, "unexpected argument '%s'", argv[rest]);
	if (!r && option_defaults(options, vm))
		r = err_sys(err, -ENOMEM, "cannot read the options");
	if (r < 0)
		goto out;
	if (first.config)
		r = yaml_load(options, vm, first.config, err);
	if (!r)
		r = cmdline_parse(options, vm, argc, argv, &rest, err);
	if (r < 0)
		option_fini(options, vm);
out:
	option_fini(options, &first);
	return r;
}

/* What the machine and the console call. */

static void ended(void *ctx, enum machine_end end)
{
	static const int statuses[] = {
		[MACHINE_POWEROFF] = EXIT_OK,
		[MACHINE_DIED] = EXIT_DIED,
		[MACHINE_FORCED] = EXIT_FORCED,
		[MACHINE_ABSENT] = EXIT_USAGE,
	};
	struct run *run = ctx;

	if (end == MACHINE_ABSENT)
		log_error("the VM has not come: ended by a signal");
	run->status = statuses[end];
	loop_quit(run->loop);
}

static void tell_systemd(const struct run *run, const char *state)
{
	int r = run->vm.daemon ? notify_send(state) : 0;

	if (r < 0)
		log_warn("cannot tell systemd '%s': %s", state, strerror(-r));
}

static const char *status_of(const struct run *run)
{
	switch (machine_state(run->machine)) {
	case MACHINE_RUNNING:
		return "STATUS=running";
	case MACHINE_INCOMING:
		return "STATUS=waiting for the guest to come";
	default:
		return "STATUS=paused";
	}
}

static void happened(void *ctx, enum machine_event event, enum machine_cause cause)
{
	struct run *run = ctx;

	if (event == MACHINE_STOP || event == MACHINE_RESUME)
		tell_systemd(run, status_of(run));
	else if (event == MACHINE_SHUTDOWN)
		tell_systemd(run, "STOPPING=1\nSTATUS=ending");
	if (event == MACHINE_RESET)
		serial_port_changed(run->serial);
	machine_qmp_event(&run->qmp, event, cause);
}

static void disk_failed(void *ctx, uint32_t disk, const struct disk_failure *failure)
{
	struct run *run = ctx;

	machine_qmp_disk_failed(&run->qmp, disk, failure);
}

/* What was waited for runs, or will not come any more. */
static void arrived(struct machine_qmp *mq, int r, const struct err *err)
{
	struct run *run = container_of(mq, struct run, qmp);

	if (!r) {
		tell_systemd(run, status_of(run));
		return;
	}
	log_error("the VM has not come: %s", err->text);
	run->status = EXIT_USAGE;
	loop_quit(run->loop);
}

static void unplugged(void *ctx, const char *id, bool gone)
{
	struct run *run = ctx;

	hotplug_qmp_unplugged(&run->qmp, id, gone);
}

static struct uart *port(void *ctx)
{
	struct run *run = ctx;

	return run->machine ? machine_console(run->machine) : NULL;
}

static void quit(void *ctx)
{
	struct run *run = ctx;

	machine_force(run->machine, MACHINE_CAUSE_HOST_UI);
}

/* The time that the guest has counts for systemd, too, whatever its unit says. */
static void tell_shutdown(const struct run *run)
{
	char state[128];

	snprintf(state, sizeof(state), "STOPPING=1\nSTATUS=waiting for the guest to shut down\n"
		 "EXTEND_TIMEOUT_USEC=%" PRIu64, (run->vm.shutdown_timeout + STOP_SECONDS) *
		 UINT64_C(1000000));
	tell_systemd(run, state);
}

static void got_signal(struct loop_watch *watch, unsigned events)
{
	struct run *run = container_of(watch, struct run, signals);
	struct signalfd_siginfo info;

	(void)events;
	while (read(run->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		tell_shutdown(run);
		machine_shut_down(run->machine);
	}
}

/*
 * Blocked before any thread is started, so that only the descriptor sees them.  A
 * hangup that is ignored, as by nohup, stays so: blocked, it would come nevertheless.
 */
static int watch_signals(struct run *run, struct err *err)
{
	struct sigaction hangup;
	sigset_t set;
	int r;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	if (!sigaction(SIGHUP, NULL, &hangup) && hangup.sa_handler != SIG_IGN)
		sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	run->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (run->signal_fd < 0)
		return err_sys(err, -errno, "cannot watch signals");
	run->signals.ready = got_signal;
	r = loop_watch_add(run->loop, &run->signals, run->signal_fd, POLLIN);
	return r < 0 ? err_sys(err, r, "cannot watch signals") : 0;
}

/*
 * The name, and the folder where other commands find the VM.  A VM whose user has
 * not asked for a name has one also where no folder can be made.
 */
static int claim_name(struct run *run, struct err *err)
{
	char **name = &run->vm.name;
	struct runtime_path path;
	int r = runtime_claim(&run->runtime, *name, &run->no_runtime);

	if (!r)
		r = runtime_path(&path, runtime_name(run->runtime), RUNTIME_QMP,
				 &run->no_runtime);
	if (r < 0)
		run->runtime = runtime_release(run->runtime);
	if (r < 0 && (*name || run->vm.detach)) {
		*err = run->no_runtime;
		return r;
	}
	if (*name)
		return 0;
	*name = strdup(run->runtime ? runtime_name(run->runtime) : NAME_WITHOUT_RUNTIME);
	return *name ? 0 : err_sys(err, -ENOMEM, "cannot name the VM");
}

static int listen_in_runtime(struct run *run, struct err *err)
{
	struct runtime_path path;
	int r;

	if (!run->runtime) {
		log_warn("other commands will not find this VM: %s", run->no_runtime.text);
		return 0;
	}
	r = runtime_path(&path, run->vm.name, RUNTIME_QMP, err);
	return r < 0 ? r : qmp_server_listen(run->qmp.server, path.text, err);
}

static int listen_qmp(struct run *run, struct err *err)
{
	const struct qmp_server_config config = {
		.loop = run->loop,
		.tables = qmp_table_all,
		.machine = &run->qmp_machine,
	};
	int r;

	run->qmp = (struct machine_qmp){
		.vm = &run->vm,
		.machine = run->machine,
		.serial = serial_name(run->serial),
	};
	run->jobs = (struct qmp_jobs){ .event = machine_qmp_job_event, .ctx = &run->qmp };
	run->qmp_machine = (struct qmp_machine){ &machine_qmp_ops, &run->qmp, &run->jobs };
	run->qmp.snapshotter = snapshotter_new(run->machine, run->loop);
	if (!run->qmp.snapshotter)
		return err_sys(err, -ENOMEM, "cannot listen for commands");
	r = migrate_qmp_init(&run->qmp, run->loop, run->vm.incoming ? arrived : NULL, err);
	if (r < 0)
		return r;
	r = qmp_server_new(&run->qmp.server, &config, err);
	if (!r)
		r = listen_in_runtime(run, err);
	for (uint32_t i = 0; i < run->vm.nr_qmp && !r; i++) {
		const struct vm_qmp_config *qmp = &run->vm.qmp[i];

		r = qmp->path ? qmp_server_listen(run->qmp.server, qmp->path, err) :
				qmp_server_adopt(run->qmp.server, (int)qmp->fd, err);
	}
	return r;
}

static int listen_console(struct run *run, struct err *err)
{
	struct runtime_path path;
	int r;

	if (!run->runtime)
		return 0;
	r = runtime_path(&path, run->vm.name, RUNTIME_CONSOLE, err);
	return r < 0 ? r : serial_listen(run->serial, path.text, err);
}

/* The log becomes standard error, or the other way round. */
static int swap_log(struct run *run)
{
	int other = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);

	if (other < 0 || dup2(run->log_fd, STDERR_FILENO) < 0)
		return -errno;
	close(run->log_fd);
	run->log_fd = other;
	return 0;
}

/* Before the guest runs: it may have much to say at once, and a bad path must not end it. */
static int open_log(struct run *run, struct err *err)
{
	const char *log = run->vm.log_file;
	struct runtime_path path;
	int r = 0;

	if (!log && !run->vm.detach)
		return 0;
	if (!log) {
		r = runtime_path(&path, run->vm.name, RUNTIME_LOG, err);
		log = path.text;
	}
	if (r < 0)
		return r;
	/* Non-blocking, or a FIFO would wait for its reader here; later it may. */
	run->log_fd = made_file_open(log, O_WRONLY | O_APPEND | O_NOCTTY | O_NONBLOCK, 0600,
				     &run->made_log);
	if (run->log_fd < 0)
		return err_sys(err, run->log_fd, "cannot open log '%s'", log);
	r = fcntl(run->log_fd, F_SETFL, O_APPEND) ? -errno : swap_log(run);
	if (!r)
		return 0;
	close(run->log_fd);
	run->log_fd = -1;
	return err_sys(err, r, "cannot use log '%s'", log);
}

/* Whoever waits for the VM to run need wait no longer. */
static int tell_started(struct run *run, struct err *err)
{
	char state[64];

	if (run->log_fd >= 0)
		close(run->log_fd);
	run->log_fd = -1;
	snprintf(state, sizeof(state), "READY=1\n%s", status_of(run));
	tell_systemd(run, state);
	return run->vm.detach ? detach_done(&run->background, run->vm.name, err) : 0;
}

static int wait_for_vm(struct run *run, struct err *err)
{
	struct migration_parameters parameters = migration_defaults;

	parameters.insecure = run->vm.insecure;
	parameters.tls = run->vm.tls;
	return strcmp(run->vm.incoming, DEFER) ?
	       incoming_listen(run->qmp.incoming, run->vm.incoming, &parameters, err) : 0;
}

/* New, or gone on with. */
static int make_machine(struct run *run, struct machine_config *config, struct err *err)
{
	const struct run_saved *saved = run->saved;
	int r;

	config->incoming = saved || run->vm.incoming;
	config->asleep = run->vm.incoming;
	r = machine_new(&run->machine, config, err);
	if (!saved)
		return r;
	if (!r)
		r = machine_state_prepare(run->machine, saved->state, err);
	if (!r)
		r = saved->fill(saved->ctx, machine_state_ram(run->machine), err);
	if (!r)
		r = machine_state_load(run->machine, saved->state, &saved->change, err);
	saved->over(saved->ctx);
	return r;
}

/* No guest has run: what was made for it is not left behind. */
static void undo(struct run *run)
{
	if (run->machine)
		machine_undo(run->machine);
	if (run->serial)
		serial_undo(run->serial);
	if (run->made_log && run->vm.log_file)
		unlink(run->vm.log_file);
}

static int start(struct run *run, struct err *err)
{
	struct serial_config serial = {
		.port = port,
		.quit = quit,
		.ctx = run,
	};
	struct machine_config machine = {
		.vm = &run->vm,
		.opening = &run->opening,
		.paused = run->vm.paused,
		.happened = happened,
		.disk_failed = disk_failed,
		.unplugged = unplugged,
		.ended = ended,
		.ctx = run,
	};
	int r = kvm_opening_new(&run->opening, err);

	if (!r)
		r = claim_name(run, err);
	if (!r)
		r = loop_new(&run->loop, err);
	if (r < 0)
		return r;
	serial.loop = run->loop;
	machine.main = run->loop;
	r = watch_signals(run, err);
	if (!r)
		r = vm_serial_get(&serial.to, &run->vm, err);
	if (!r)
		r = serial_new(&run->serial, &serial, err);
	if (r < 0)
		return r;
	machine.console = serial_backend(run->serial);
	r = make_machine(run, &machine, err);
	if (!r && run->vm.dump_dtb)
		return machine_dump_tree(run->machine, run->vm.dump_dtb, err);
	if (!r)
		r = listen_qmp(run, err);
	if (!r)
		r = listen_console(run, err);
	if (!r)
		r = open_log(run, err);
	if (!r)
		r = serial_start(run->serial, err);
	if (!r)
		r = run->vm.incoming ? wait_for_vm(run, err) : machine_start(run->machine, err);
	if (!r && run->saved)
		run->saved->started(run->saved->ctx, run->machine, run->loop);
	if (!r)
		return tell_started(run, err);
	if (run->log_fd >= 0)
		swap_log(run);
	undo(run);
	return r;
}

static void stop(struct run *run)
{
	run->qmp.snapshotter = snapshotter_free(run->qmp.snapshotter);
	migrate_qmp_fini(&run->qmp);
	run->qmp.server = qmp_server_free(run->qmp.server);
	qmp_jobs_fini(&run->jobs);
	/* The console asks for its port to the last. */
	run->machine = machine_free(run->machine);
	run->opening = kvm_opening_free(run->opening);
	serial_free(run->serial);
	loop_free(run->loop);
	/* Last: who takes the name finds the disks free, too. */
	run->runtime = runtime_release(run->runtime);
	if (run->signal_fd >= 0)
		close(run->signal_fd);
	if (run->log_fd >= 0)
		close(run->log_fd);
}

/* What we open must not be taken for a standard stream that was closed. */
static void fill_streams(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

/* A thousand connections of vsock take as many, and the usual limit is there for select(2). */
static void allow_many_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

static int run_vm(struct run *run)
{
	struct err err = { 0 };
	int r;

	allow_many_files();
	r = start(run, &err);

	if (!r && !run->vm.dump_dtb) {
		r = loop_run(run->loop);
		if (r < 0)
			err_sys(&err, r, "the event loop failed");
		else
			serial_drain(run->serial);
	}
	stop(run);
	return r < 0 ? command_fail("%s", err.text) : run->status;
}

static int run_behind(struct run *run)
{
	struct err err = { 0 };
	int r = detach_fork(&run->background, &err);

	if (r < 0)
		return command_fail("%s", err.text);
	return r ? run->background.status : run_vm(run);
}

int run_go(struct vm_config *vm, const struct run_saved *saved)
{
	struct run run = { .vm = *vm, .saved = saved, .signal_fd = -1, .log_fd = -1 };
	int status;

	fill_streams();
	log_set_level(vm->log);
	status = vm->detach ? run_behind(&run) : run_vm(&run);
	option_fini(&vm_config_options, &run.vm);
	return status;
}

int command_run(const struct command *command, int argc, char **argv)
{
	struct vm_config vm;
	struct err err = { 0 };
	int status;

	if (configure(&vm, argc, argv, &err) < 0)
		return command_fail("%s", err.text);
	if (vm.help) {
		command_usage(command);
		status = EXIT_OK;
	} else if (vm_config_check(&vm, &err) < 0) {
		status = command_fail("%s", err.text);
	} else if (vm.dump_config) {
		status = yaml_dump(&vm_config_options, &vm, stdout, &err) < 0 ?
			 command_fail("%s", err.text) : EXIT_OK;
	} else {
		return run_go(&vm, NULL);
	}
	option_fini(&vm_config_options, &vm);
	return status;
}
