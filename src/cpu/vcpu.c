// SPDX-License-Identifier: Apache-2.0
/*
 * vcpu.c - the thread around KVM_RUN.
 *
 * To make it pause or end, immediate_exit is set and a signal sent: the signal
 * interrupts a KVM_RUN that is under way, immediate_exit ends one that is about
 * to start.  An I/O instruction is complete only when KVM_RUN is entered again,
 * which it is with immediate_exit set; so the thread looks at what is wanted
 * after an interrupted KVM_RUN and nowhere else, and a vCPU that is paused has
 * nothing half done.
 */
#include "cpu/vcpu.h"

#include "arch.h"
#include "base/err.h"
#include "base/thread.h"
#include "bus/bus.h"
#include "kvm/kvm.h"

#include <errno.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define KICK_SIGNAL SIGUSR1

enum wanted { RUN, PAUSE, END };

struct vcpu {
	struct vcpu_config config;
	unsigned id;
	int fd;
	struct kvm_run *run;
	size_t run_size;
	bool started;
	pthread_t thread;
	_Atomic(int) thread_id;
	_Atomic(uint64_t) pio, mmio, signal, other;	/* the thread writes */

	_Atomic(enum wanted) wanted;	/* changed under lock */
	pthread_mutex_t lock;
	pthread_cond_t changed;		/* wanted or parked */
	bool parked;			/* the thread is not in KVM_RUN */
};

static void count(_Atomic(uint64_t) *counter)
{
	uint64_t value = atomic_load_explicit(counter, memory_order_relaxed);

	atomic_store_explicit(counter, value + 1, memory_order_relaxed);
}

static void do_pio(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;

	for (uint32_t i = 0; i < run->io.count; i++, data += run->io.size) {
		uint64_t value = 0;

		if (run->io.direction == KVM_EXIT_IO_OUT) {
			memcpy(&value, data, run->io.size);
			bus_write(vcpu->config.pio, run->io.port, run->io.size, value);
		} else {
			value = bus_read(vcpu->config.pio, run->io.port, run->io.size);
			memcpy(data, &value, run->io.size);
		}
	}
}

/* Lengths other than a register's are possible: SSE stores, and page crossings. */
static void do_mmio(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	uint64_t at = run->mmio.phys_addr;
	unsigned left = run->mmio.len, size;

	for (uint8_t *data = run->mmio.data; left; data += size, at += size, left -= size) {
		uint64_t value = 0;

		size = left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
		if (run->mmio.is_write) {
			memcpy(&value, data, size);
			bus_write(vcpu->config.mmio, at, size, value);
		} else {
			value = bus_read(vcpu->config.mmio, at, size);
			memcpy(data, &value, size);
		}
	}
}

/* False for what is no request that we know. */
static bool pass_request(struct vcpu *vcpu)
{
	switch (vcpu->run->system_event.type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		vcpu->config.asked(vcpu->config.ctx, VCPU_REQUEST_OFF);
		return true;
	case KVM_SYSTEM_EVENT_RESET:
		vcpu->config.asked(vcpu->config.ctx, VCPU_REQUEST_RESET);
		return true;
	default:
		return false;
	}
}

/* False when the guest cannot go on. */
static bool handle(struct vcpu *vcpu)
{
	switch (vcpu->run->exit_reason) {
	case KVM_EXIT_IO:
		count(&vcpu->pio);
		do_pio(vcpu);
		return true;
	case KVM_EXIT_MMIO:
		count(&vcpu->mmio);
		do_mmio(vcpu);
		return true;
	case KVM_EXIT_SYSTEM_EVENT:
		count(&vcpu->other);
		return pass_request(vcpu);
	case KVM_EXIT_INTR:
	case KVM_EXIT_IRQ_WINDOW_OPEN:
		count(&vcpu->other);
		return true;
	default:
		return false;
	}
}

/* An access to a device, of which the processor does not tell what it does, is ENOSYS on arm64. */
static bool not_emulated(const struct kvm_run *run, int code)
{
	return code == ENOSYS || (!code && run->exit_reason == KVM_EXIT_INTERNAL_ERROR &&
				  run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION);
}

/* Why it cannot; code is the errno of KVM_RUN, or 0. */
static void explain(const struct kvm_run *run, int code, char *why, size_t len)
{
	if (not_emulated(run, code)) {
		snprintf(why, len, "KVM cannot emulate an instruction of the guest");
		return;
	}
	if (code) {
		snprintf(why, len, "KVM_RUN failed: %s", strerror(code));
		return;
	}
	switch (run->exit_reason) {
	case KVM_EXIT_SHUTDOWN:
		snprintf(why, len, "triple fault");
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		snprintf(why, len, "KVM internal error %u", run->internal.suberror);
		break;
	case KVM_EXIT_FAIL_ENTRY:
		snprintf(why, len, "the processor refused to enter the guest (0x%llx)",
			 run->fail_entry.hardware_entry_failure_reason);
		break;
	case KVM_EXIT_SYSTEM_EVENT:
		snprintf(why, len, "the guest asked for the unknown system event %u",
			 run->system_event.type);
		break;
	default:
		snprintf(why, len, "KVM_RUN ended for the unknown reason %u",
			 run->exit_reason);
	}
}

/*
 * By a signal: true; else the guest cannot go on.  That memory is lost matters when it is to
 * run again.
 */
static bool interrupted(struct vcpu *vcpu, int code)
{
	count(&vcpu->signal);
	return code == EINTR || code == EAGAIN || (code == EFAULT && vcpu->wanted != RUN);
}

/* Whoever started us may have had the signal blocked. */
static void unblock_kicks(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, KICK_SIGNAL);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* Until something else than a pause is wanted; false when that is the end. */
static bool park(struct vcpu *vcpu)
{
	bool run;

	pthread_mutex_lock(&vcpu->lock);
	vcpu->parked = true;
	pthread_cond_broadcast(&vcpu->changed);
	while (vcpu->wanted == PAUSE)
		pthread_cond_wait(&vcpu->changed, &vcpu->lock);
	vcpu->parked = false;
	run = vcpu->wanted == RUN;
	pthread_mutex_unlock(&vcpu->lock);
	return run;
}

static void park_for_good(struct vcpu *vcpu)
{
	pthread_mutex_lock(&vcpu->lock);
	vcpu->parked = true;
	pthread_cond_broadcast(&vcpu->changed);
	pthread_mutex_unlock(&vcpu->lock);
}

static void *run_vcpu(void *arg)
{
	struct vcpu *vcpu = arg;
	bool alive = true;
	char why[96];
	int code = 0;

	vcpu->thread_id = gettid();
	unblock_kicks();
	while (alive) {
		code = ioctl(vcpu->fd, KVM_RUN, 0) ? errno : 0;
		if (!code)
			alive = handle(vcpu);
		else
			alive = interrupted(vcpu, code);
		if (code && alive && vcpu->wanted != RUN && !park(vcpu))
			return NULL;
	}
	explain(vcpu->run, code, why, sizeof(why));
	vcpu->config.died(vcpu->config.ctx, vcpu, why);
	park_for_good(vcpu);
	return NULL;
}

/* Only there to interrupt a system call. */
static void kicked(int signal)
{
	(void)signal;
}

/* KVM reads immediate_exit without a lock; the signal makes it look. */
static void want(struct vcpu *vcpu, enum wanted wanted)
{
	pthread_mutex_lock(&vcpu->lock);
	vcpu->wanted = wanted;
	__atomic_store_n(&vcpu->run->immediate_exit, wanted != RUN, __ATOMIC_SEQ_CST);
	pthread_cond_broadcast(&vcpu->changed);
	pthread_mutex_unlock(&vcpu->lock);
	if (vcpu->started && wanted != RUN)
		pthread_kill(vcpu->thread, KICK_SIGNAL);
}

int vcpu_start(struct vcpu *vcpu, struct err *err)
{
	struct sigaction action = { .sa_handler = kicked };
	char name[16];
	int r;

	sigaction(KICK_SIGNAL, &action, NULL);
	snprintf(name, sizeof(name), "vcpu%u", vcpu->id);
	r = thread_start(&vcpu->thread, name, run_vcpu, vcpu);
	if (r < 0)
		return err_sys(err, r, "cannot start the thread of vCPU %u", vcpu->id);
	vcpu->started = true;
	return 0;
}

void vcpu_stop(struct vcpu *vcpu)
{
	if (!vcpu->started)
		return;
	want(vcpu, END);
	pthread_join(vcpu->thread, NULL);
	vcpu->started = false;
}

void vcpu_pause(struct vcpu *vcpu)
{
	want(vcpu, PAUSE);
}

void vcpu_await_pause(struct vcpu *vcpu)
{
	pthread_mutex_lock(&vcpu->lock);
	while (vcpu->started && !vcpu->parked)
		pthread_cond_wait(&vcpu->changed, &vcpu->lock);
	pthread_mutex_unlock(&vcpu->lock);
}

void vcpu_skip_ticks(struct vcpu *vcpu, uint64_t ticks)
{
	arch_skip_ticks(vcpu->fd, vcpu->id, ticks);
}

void vcpu_resume(struct vcpu *vcpu)
{
	want(vcpu, RUN);
}

void vcpu_rest(struct vcpu *vcpu, bool rest)
{
	want(vcpu, rest ? PAUSE : RUN);
}

uint64_t vcpu_ticks(void)
{
	return arch_ticks();
}

uint64_t vcpu_ticks_in(const struct vcpu *vcpu, uint64_t ns)
{
	return arch_ticks_in(vcpu->fd, ns);
}

/*
 * While KVM_RUN is under way any other request waits for its end, which may be
 * never.  True when it has to be let go again.
 */
static bool hold(struct vcpu *vcpu)
{
	bool runs = vcpu->wanted == RUN;

	if (runs) {
		vcpu_pause(vcpu);
		vcpu_await_pause(vcpu);
	}
	return runs;
}

static void let_go(struct vcpu *vcpu, bool held)
{
	if (held)
		want(vcpu, RUN);
}

int vcpu_nmi(struct vcpu *vcpu)
{
	bool held = hold(vcpu);
	int r = ioctl(vcpu->fd, KVM_NMI, 0) ? -errno : 0;

	let_go(vcpu, held);
	return r;
}

int vcpu_stats_fd(struct vcpu *vcpu, struct err *err)
{
	bool held = hold(vcpu);
	int fd = kvm_vcpu_stats_fd(vcpu->fd, err);

	let_go(vcpu, held);
	return fd;
}

unsigned vcpu_identity(struct vcpu *vcpu,
		       struct vcpu_register ret_registers[VCPU_REGISTERS_MAX])
{
	bool held = hold(vcpu);
	unsigned nr = arch_identity(vcpu->fd, ret_registers);

	let_go(vcpu, held);
	return nr;
}

int vcpu_thread_id(const struct vcpu *vcpu)
{
	return vcpu->thread_id;
}

int vcpu_new(struct vcpu **ret_vcpu, const struct vcpu_config *config, unsigned id,
	     struct err *err)
{
	struct vcpu *vcpu = calloc(1, sizeof(*vcpu));
	int r;

	if (!vcpu)
		return err_sys(err, -ENOMEM, "cannot create vCPU %u", id);
	vcpu->config = *config;
	vcpu->id = id;
	pthread_mutex_init(&vcpu->lock, NULL);
	pthread_cond_init(&vcpu->changed, NULL);
	r = kvm_vm_create_vcpu(config->vm, id, err);
	vcpu->fd = r;
	if (r < 0)
		goto no_fd;
	r = kvm_vm_run_size(config->vm);
	if (r < 0) {
		err_sys(err, r, "KVM_GET_VCPU_MMAP_SIZE");
		goto no_run;
	}
	vcpu->run_size = (size_t)r;
	vcpu->run = mmap(NULL, vcpu->run_size, PROT_READ | PROT_WRITE, MAP_SHARED,
			 vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED) {
		r = err_sys(err, -errno, "cannot map the state of vCPU %u", id);
		goto no_run;
	}
	r = arch_setup(vcpu->fd, config->host, id, config->nr_cpus, err);
	if (r < 0)
		goto no_setup;
	*ret_vcpu = vcpu;
	return 0;

no_setup:
	munmap(vcpu->run, vcpu->run_size);
no_run:
	close(vcpu->fd);
no_fd:
	pthread_cond_destroy(&vcpu->changed);
	pthread_mutex_destroy(&vcpu->lock);
	free(vcpu);
	return r;
}

struct vcpu *vcpu_free(struct vcpu *vcpu)
{
	if (!vcpu)
		return NULL;
	munmap(vcpu->run, vcpu->run_size);
	close(vcpu->fd);
	pthread_cond_destroy(&vcpu->changed);
	pthread_mutex_destroy(&vcpu->lock);
	free(vcpu);
	return NULL;
}

int vcpu_complete(struct vcpu *vcpu, struct err *err)
{
	return arch_complete(vcpu->fd, vcpu->config.host, vcpu->id, err);
}

int vcpu_set_entry(struct vcpu *vcpu, const struct boot_entry *entry, struct err *err)
{
	return arch_set_entry(vcpu->fd, entry, err);
}

int vcpu_save(struct vcpu *vcpu, uint64_t ticks, struct state_writer *writer,
	      struct err *err)
{
	return arch_save(vcpu->fd, vcpu->config.vm, vcpu->id, ticks, writer, err);
}

int vcpu_load(struct vcpu *vcpu, uint64_t ticks, struct state_reader *reader,
	      struct err *err)
{
	return arch_load(vcpu->fd, vcpu->config.vm, vcpu->id, ticks, reader, err);
}

int vcpu_save_features(struct vcpu *vcpu, struct state_writer *writer, struct err *err)
{
	return arch_save_features(vcpu->fd, vcpu->config.vm, vcpu->config.host, writer, err);
}

int vcpu_check_features(struct vcpu *vcpu, struct state_reader *reader, struct err *err)
{
	return arch_check_features(vcpu->fd, vcpu->config.vm, reader, err);
}

unsigned vcpu_id(const struct vcpu *vcpu)
{
	return vcpu->id;
}

struct vcpu_exits vcpu_exits(const struct vcpu *vcpu)
{
	return (struct vcpu_exits){
		.pio = atomic_load_explicit(&vcpu->pio, memory_order_relaxed),
		.mmio = atomic_load_explicit(&vcpu->mmio, memory_order_relaxed),
		.signal = atomic_load_explicit(&vcpu->signal, memory_order_relaxed),
		.other = atomic_load_explicit(&vcpu->other, memory_order_relaxed),
	};
}

void vcpu_print(struct vcpu *vcpu, FILE *out)
{
	arch_print(vcpu->fd, out);
}
