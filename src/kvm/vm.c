// SPDX-License-Identifier: Apache-2.0
#include "vm.h"

#include "base/bits.h"
#include "base/err.h"
#include "memory/guest_mem.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define KVM_PATH "/dev/kvm"

static const struct kvm_feature features[] = {
	{ KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY", NULL },
	{ KVM_CAP_IRQCHIP, "KVM_CAP_IRQCHIP", NULL },
	{ KVM_CAP_IRQ_ROUTING, "KVM_CAP_IRQ_ROUTING", NULL },
	{ KVM_CAP_IRQFD, "KVM_CAP_IRQFD", NULL },
	{ KVM_CAP_IOEVENTFD, "KVM_CAP_IOEVENTFD", NULL },
	{ KVM_CAP_SIGNAL_MSI, "KVM_CAP_SIGNAL_MSI", NULL },
	{ KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT", NULL },
	{ KVM_CAP_IOEVENTFD_ANY_LENGTH, "KVM_CAP_IOEVENTFD_ANY_LENGTH",
	  "a guest's kick is taken without decoding its instruction" },
};

struct kvm_advice kvm_advice(int code)
{
	struct kvm_advice advice = { "" };
	struct stat st;
	struct group *group;

	if (code == -ENOENT || code == -ENXIO || code == -ENODEV) {
		snprintf(advice.text, sizeof(advice.text), "%s", vm_arch_advice);
		return advice;
	}
	if (code != -EACCES || stat(KVM_PATH, &st))
		return advice;
	group = getgrgid(st.st_gid);
	if (!(st.st_mode & S_IRGRP) || !(st.st_mode & S_IWGRP) || !st.st_gid)
		snprintf(advice.text, sizeof(advice.text), "only root may: give it a group with "
			 "'sudo chgrp kvm " KVM_PATH " && sudo chmod 660 " KVM_PATH "'");
	else if (!group)		/* as in a container */
		snprintf(advice.text, sizeof(advice.text), "it belongs to group %u, which has no "
			 "name here: 'sudo groupadd -g %u kvm%u && sudo usermod -aG kvm%u $USER', "
			 "then log in again", st.st_gid, st.st_gid, st.st_gid, st.st_gid);
	else
		snprintf(advice.text, sizeof(advice.text), "it belongs to group '%s': 'sudo "
			 "usermod -aG %s $USER', then log in again", group->gr_name,
			 group->gr_name);
	return advice;
}

/* Why it could not be opened, and what to do about it. */
static int cannot_open(struct err *err, int code)
{
	struct kvm_advice advice = kvm_advice(code);

	if (!advice.text[0])
		return err_sys(err, code, "cannot open " KVM_PATH);
	return err_sys(err, code, "cannot open " KVM_PATH " (%s; 'vmm doctor' tells more)",
		       advice.text);
}

int kvm_capability(int fd, int capability)
{
	return ioctl(fd, KVM_CHECK_EXTENSION, capability);
}

int kvm_api_version(int fd, struct err *err)
{
	int version = ioctl(fd, KVM_GET_API_VERSION, 0);

	if (version != KVM_API_VERSION)
		return err_set(err, -ENOTSUP, KVM_PATH ": API version %d, need %d", version,
			       KVM_API_VERSION);
	return version;
}

const struct kvm_feature *kvm_feature(unsigned i)
{
	if (i < ARRAY_LEN(features))
		return &features[i];
	i -= (unsigned)ARRAY_LEN(features);
	for (const struct kvm_feature *f = vm_arch_features; f->name; f++)
		if (!i--)
			return f;
	return NULL;
}

static int check(int fd, struct err *err)
{
	const struct kvm_feature *feature;
	int version = kvm_api_version(fd, err);

	if (version < 0)
		return version;
	for (unsigned i = 0; (feature = kvm_feature(i)); i++)
		if (!feature->benefit && kvm_capability(fd, feature->capability) <= 0)
			return err_set(err, -ENOTSUP, KVM_PATH ": this kernel lacks %s",
				       feature->name);
	return 0;
}

int kvm_open(struct err *err)
{
	int fd = open(KVM_PATH, O_RDWR | O_CLOEXEC), r;

	if (fd < 0)
		return cannot_open(err, -errno);
	r = check(fd, err);
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
}

static int set_ram(const struct kvm_vm *vm, uint32_t flags, struct err *err)
{
	const struct guest_mem_region *regions;
	int nr = guest_mem_regions(vm->mem, &regions);

	for (int i = 0; i < nr; i++) {
		struct kvm_userspace_memory_region slot = {
			.slot = (uint32_t)i,
			.flags = flags,
			.guest_phys_addr = regions[i].at,
			.memory_size = regions[i].len,
			.userspace_addr = (uintptr_t)regions[i].host,
		};

		if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &slot))
			return err_sys(err, -errno, "cannot give the VM %llu MiB of memory at "
				       "0x%llx", (unsigned long long)(regions[i].len / MiB),
				       (unsigned long long)regions[i].at);
	}
	return 0;
}

int kvm_vm_new(struct kvm_vm **ret_vm, struct kvm_fds fds, const struct guest_mem *mem,
	       struct err *err)
{
	struct kvm_vm *vm = calloc(1, sizeof(*vm));
	int r;

	if (!vm) {
		close(fds.vm);
		close(fds.system);
		return err_sys(err, -ENOMEM, "cannot create a VM");
	}
	vm->kvm_fd = fds.system;
	vm->fd = fds.vm;
	vm->mem = mem;
	pthread_mutex_init(&vm->lock, NULL);
	vm->any_length = kvm_capability(vm->kvm_fd, KVM_CAP_IOEVENTFD_ANY_LENGTH) > 0;
	vm_eventfds_init(vm);
	/*
	 * Memory first: once devices are registered, changing the memory slots
	 * waits several milliseconds for KVM's readers.
	 */
	r = set_ram(vm, 0, err);
	if (!r)
		r = vm_arch_init(vm, err);
	if (r < 0)
		goto fail;
	*ret_vm = vm;
	return 0;

fail:
	kvm_vm_free(vm);
	return r;
}

int kvm_vm_log(struct kvm_vm *vm, bool on, struct err *err)
{
	return set_ram(vm, on ? KVM_MEM_LOG_DIRTY_PAGES : 0, err);
}

/* A slot's own bitmap begins with its first page, and so with a word of ours. */
int kvm_vm_log_take(const struct kvm_vm *vm, uint64_t *bitmap, struct err *err)
{
	const struct guest_mem_region *regions;
	int r = 0, nr = guest_mem_regions(vm->mem, &regions);
	uint64_t *slot = calloc(guest_mem_log_words(vm->mem), sizeof(*slot));

	if (!slot)
		return err_sys(err, -ENOMEM, "cannot ask which memory was written");
	for (int i = 0; i < nr && !r; i++) {
		uint64_t words = (regions[i].len / GUEST_MEM_PAGE + 63) / 64;
		struct kvm_dirty_log log = { .slot = (uint32_t)i, .dirty_bitmap = slot };

		if (ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log))
			r = err_sys(err, -errno, "KVM_GET_DIRTY_LOG");
		for (uint64_t k = 0; k < words && !r; k++)
			bitmap[k] |= slot[k];
		bitmap += words;
	}
	free(slot);
	return r;
}

struct kvm_vm *kvm_vm_free(struct kvm_vm *vm)
{
	if (!vm)
		return NULL;
	vm_arch_fini(vm);
	close(vm->fd);
	close(vm->kvm_fd);
	pthread_mutex_destroy(&vm->lock);
	free(vm->msis);
	free(vm);
	return NULL;
}

unsigned kvm_vm_cpus_max(const struct kvm_vm *vm)
{
	int max = kvm_capability(vm->fd, KVM_CAP_MAX_VCPUS);

	if (max <= 0)
		max = kvm_capability(vm->fd, KVM_CAP_NR_VCPUS);
	return max > 0 ? (unsigned)max : 1;
}

/* Kernels before 5.14 do not know the request. */
int kvm_vcpu_stats_fd(int fd, struct err *err)
{
	int stats = ioctl(fd, KVM_GET_STATS_FD, NULL);

	if (stats < 0 && errno == ENOTTY)
		return err_set(err, -ENOTSUP, "this kernel's KVM lacks KVM_GET_STATS_FD");
	return stats < 0 ? err_sys(err, -errno, "KVM_GET_STATS_FD") : stats;
}

int kvm_vm_stats_fd(const struct kvm_vm *vm, struct err *err)
{
	return kvm_vcpu_stats_fd(vm->fd, err);
}

int kvm_vm_set_irq(struct kvm_vm *vm, unsigned gsi, bool level)
{
	struct kvm_irq_level irq = { .irq = vm_arch_line(gsi), .level = level };

	return ioctl(vm->fd, KVM_IRQ_LINE, &irq) ? -errno : 0;
}

struct eventfds *kvm_vm_eventfds(struct kvm_vm *vm)
{
	return &vm->efds;
}

int kvm_vm_system_fd(const struct kvm_vm *vm)
{
	return vm->kvm_fd;
}

int kvm_vm_create_vcpu(struct kvm_vm *vm, unsigned id, struct err *err)
{
	int fd = ioctl(vm->fd, KVM_CREATE_VCPU, (unsigned long)id);

	if (fd < 0)
		return err_sys(err, -errno, "cannot create vCPU %u (KVM_CREATE_VCPU)", id);
	vm->nr_vcpus++;
	return fd;
}

int kvm_vm_run_size(const struct kvm_vm *vm)
{
	int size = ioctl(vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);

	return size < 0 ? -errno : size;
}
