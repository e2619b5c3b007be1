// SPDX-License-Identifier: Apache-2.0
/*
 * opening.c - a VM is made while others still prepare what is to be in it.
 *
 * Up to Linux 6.12 KVM gives each VM a thread that is put into our control groups, and
 * waits for all processors to have seen that: ten milliseconds and more.
 */
#include "vm.h"

#include "base/err.h"
#include "base/thread.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct kvm_opening {
	pthread_t thread;
	struct kvm_fds fds;		/* the thread's until it ends, as is err */
	struct err err;
};

static void *open_both(void *arg)
{
	struct kvm_opening *opening = arg;
	struct kvm_fds *fds = &opening->fds;

	fds->system = kvm_open(&opening->err);
	if (fds->system < 0)
		return NULL;
	do
		fds->vm = ioctl(fds->system, KVM_CREATE_VM, vm_arch_type(fds->system));
	while (fds->vm < 0 && errno == EINTR);
	if (fds->vm >= 0)
		return NULL;
	err_sys(&opening->err, -errno, "cannot create a VM (KVM_CREATE_VM)");
	close(fds->system);
	return NULL;
}

/* Signals are for threads that know what to do with them. */
static int start(struct kvm_opening *opening)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = thread_start(&opening->thread, "kvm", open_both, opening);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r;
}

int kvm_opening_new(struct kvm_opening **ret_opening, struct err *err)
{
	struct kvm_opening *opening = calloc(1, sizeof(*opening));
	int r = opening ? start(opening) : -ENOMEM;

	if (r < 0) {
		free(opening);
		return err_sys(err, r, "cannot create a VM");
	}
	*ret_opening = opening;
	return 0;
}

int kvm_opening_end(struct kvm_opening *opening, struct kvm_fds *ret_fds, struct err *err)
{
	struct err why;

	pthread_join(opening->thread, NULL);
	*ret_fds = opening->fds;
	why = opening->err;
	free(opening);
	return why.code ? err_set(err, why.code, "%s", why.text) : 0;
}

struct kvm_opening *kvm_opening_free(struct kvm_opening *opening)
{
	struct kvm_fds fds;

	if (!opening || kvm_opening_end(opening, &fds, NULL) < 0)
		return NULL;
	close(fds.vm);
	close(fds.system);
	return NULL;
}
