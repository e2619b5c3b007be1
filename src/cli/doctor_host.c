// SPDX-License-Identifier: Apache-2.0
/*
 * doctor_host.c - what a VM needs of Linux besides KVM.
 */
#include "doctor.h"

#include "base/bits.h"
#include "base/err.h"
#include "loop/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

/* Multishot poll of io_uring, without which threads do the I/O. */
#define KERNEL_NEEDED		(5 << 8 | 13)
/* The oldest that vmm is tested on; it has the cheapest way of completions. */
#define KERNEL_TESTED		(6 << 8 | 1)

/* Each disk, network card, interrupt vector and connection holds one to three. */
#define FILES_WANTED		1024
#define MEMLOCK_WANTED		(1 * MiB)
#define TUN_PATH		"/dev/net/tun"
#define VHOST_NET_PATH		"/dev/vhost-net"

void doctor_look_kernel(const char *root, struct doctor_finding *finding)
{
	struct utsname name;
	unsigned major = 0, minor = 0, version;

	(void)root;
	uname(&name);
	sscanf(name.release, "%u.%u", &major, &minor);
	version = major << 8 | minor;
	doctor_set(finding, DOCTOR_OK, "%s", name.release);
	if (version < KERNEL_NEEDED) {
		finding->state = DOCTOR_NOTE;
		doctor_meaning(finding, "its io_uring lacks what vmm needs: disks are slower");
		doctor_fix(finding, "run Linux 5.13 or later, best 6.1 or later");
	} else if (version < KERNEL_TESTED) {
		finding->state = DOCTOR_NOTE;
		doctor_meaning(finding, "vmm is tested on Linux 6.1 and later");
	}
}

void doctor_look_io_uring(const char *root, struct doctor_finding *finding)
{
	struct loop *loop;
	char disabled[8];
	int r = loop_new(&loop, NULL);
	bool allowed = !r && !strcmp(loop_engine(loop), "io_uring");

	if (!r)
		loop_free(loop);
	if (allowed) {
		doctor_set(finding, DOCTOR_OK, "allowed");
		return;
	}
	if (r < 0) {
		doctor_set(finding, DOCTOR_FAIL, "refused, and so is epoll: %s", strerror(-r));
		return;
	}
	doctor_set(finding, DOCTOR_NOTE, "refused");
	doctor_meaning(finding, "disks are slower: threads do their I/O");
	doctor_read_line(root, "/proc/sys/kernel/io_uring_disabled", disabled,
			 sizeof(disabled));
	if (disabled[0] > '0')
		doctor_fix(finding, "it is switched off: 'sudo sysctl kernel.io_uring_disabled=0'");
	else
		doctor_fix(finding, "a seccomp filter seems to forbid it: containers need a "
			   "profile that allows io_uring_setup, io_uring_enter and "
			   "io_uring_register (--security-opt seccomp=PROFILE); kernels before "
			   "5.12 count its rings against 'ulimit -l'");
}

void doctor_look_tap(const char *root, struct doctor_finding *finding)
{
	int fd = open(TUN_PATH, O_RDWR | O_CLOEXEC), code = errno;

	(void)root;
	if (fd >= 0) {
		close(fd);
		doctor_set(finding, DOCTOR_OK, TUN_PATH " can be opened");
		return;
	}
	doctor_set(finding, DOCTOR_NOTE, TUN_PATH " cannot be opened: %s", strerror(code));
	doctor_meaning(finding, "guests can have no network card on a tap");
	if (code == EACCES || code == EPERM)
		doctor_fix(finding, "let everyone open it, as distributions do: 'sudo chmod 666 "
			   TUN_PATH "' (a tap itself has an owner of its own)");
	else
		doctor_fix(finding, "load the module: 'sudo modprobe tun' (containers: "
			   "--device " TUN_PATH ")");
}

void doctor_look_passt(const char *root, struct doctor_finding *finding)
{
	const char *path = getenv("PATH");
	char name[4096];

	(void)root;
	while (path && *path) {
		size_t len = strcspn(path, ":");

		snprintf(name, sizeof(name), "%.*s/passt", (int)len, path);
		if (len && !access(name, X_OK)) {
			doctor_set(finding, DOCTOR_OK, "%s", name);
			return;
		}
		path += len + (path[len] == ':');
	}
	doctor_set(finding, DOCTOR_NOTE, "there is none in PATH");
	doctor_meaning(finding, "guests can have no network card with 'user'");
	doctor_fix(finding, "install the package passt");
}

void doctor_look_vhost_net(const char *root, struct doctor_finding *finding)
{
	int fd = open(VHOST_NET_PATH, O_RDWR | O_CLOEXEC), code = errno;

	(void)root;
	if (fd >= 0) {
		close(fd);
		doctor_set(finding, DOCTOR_OK, VHOST_NET_PATH " can be opened");
		return;
	}
	doctor_set(finding, DOCTOR_NOTE, VHOST_NET_PATH " cannot be opened: %s", strerror(code));
	doctor_meaning(finding, "network cards with vhost=on are served by vmm itself");
	if (code == EACCES || code == EPERM)
		doctor_fix(finding, "'sudo setfacl -m u:$USER:rw " VHOST_NET_PATH "', or join "
			   "the group that it belongs to");
	else
		doctor_fix(finding, "load the module: 'sudo modprobe vhost_net' (containers: "
			   "--device " VHOST_NET_PATH ")");
}

void doctor_look_huge_pages(const char *root, struct doctor_finding *finding)
{
	char modes[64];
	const char *never;

	if (!doctor_read_line(root, "/sys/kernel/mm/transparent_hugepage/enabled", modes,
			      sizeof(modes))) {
		doctor_set(finding, DOCTOR_NOTE, "this kernel has no transparent huge pages");
		doctor_meaning(finding, "guests touch memory more slowly");
		return;
	}
	never = strstr(modes, "[never]");
	doctor_set(finding, never ? DOCTOR_NOTE : DOCTOR_OK, "%s",
		   never ? "off" : strstr(modes, "[always]") ? "for all programs" :
		   "for those that ask, as vmm does");
	if (never) {
		doctor_meaning(finding, "guests touch memory more slowly");
		doctor_fix(finding, "'echo madvise | sudo tee "
			   "/sys/kernel/mm/transparent_hugepage/enabled'");
	}
}

void doctor_look_hugetlb(const char *root, struct doctor_finding *finding)
{
	char nr[32];

	doctor_read_line(root, "/proc/sys/vm/nr_hugepages", nr, sizeof(nr));
	doctor_set(finding, DOCTOR_OK, "%s (hugetlb); vmm takes transparent ones",
		   nr[0] ? nr : "no support");
}

/* "64 KiB", "8 MiB" or "no limit". */
static const char *limit_text(rlim_t limit, char text[32])
{
	if (limit == RLIM_INFINITY)
		snprintf(text, 32, "no limit");
	else if (limit < MiB)
		snprintf(text, 32, "%" PRIu64 " KiB", (uint64_t)(limit / KiB));
	else
		snprintf(text, 32, "%" PRIu64 " MiB", (uint64_t)(limit / MiB));
	return text;
}

void doctor_look_memlock(const char *root, struct doctor_finding *finding)
{
	struct rlimit limit = { 0 };
	char text[32];

	(void)root;
	getrlimit(RLIMIT_MEMLOCK, &limit);
	doctor_set(finding, DOCTOR_OK, "%s", limit_text(limit.rlim_cur, text));
	if (limit.rlim_cur < MEMLOCK_WANTED) {
		finding->state = DOCTOR_NOTE;
		doctor_meaning(finding, "memory that io_uring registers counts against it");
		doctor_fix(finding, "'ulimit -l 8192', or memlock in /etc/security/limits.conf");
	}
}

void doctor_look_files(const char *root, struct doctor_finding *finding)
{
	struct rlimit limit = { 0 };

	(void)root;
	getrlimit(RLIMIT_NOFILE, &limit);
	doctor_set(finding, DOCTOR_OK, "up to %" PRIu64, (uint64_t)limit.rlim_max);
	if (limit.rlim_max < FILES_WANTED) {
		finding->state = DOCTOR_NOTE;
		doctor_meaning(finding, "a VM with many disks, cards and processors may need more");
		doctor_fix(finding, "raise the hard limit: nofile %d or more in "
			   "/etc/security/limits.conf", FILES_WANTED);
	}
}

/* Where the unified hierarchy is mounted; "" when it is not. */
static void find_cgroup2(const char *root, char *dir, size_t len)
{
	struct mntent *entry;
	char name[256];
	FILE *mounts;

	dir[0] = '\0';
	snprintf(name, sizeof(name), "%s/proc/self/mounts", root);
	mounts = setmntent(name, "re");
	if (!mounts)
		return;
	while (!dir[0] && (entry = getmntent(mounts)))
		if (!strcmp(entry->mnt_type, "cgroup2"))
			snprintf(dir, len, "%s", entry->mnt_dir);
	endmntent(mounts);
}

void doctor_look_cgroup(const char *root, struct doctor_finding *finding)
{
	char dir[128], path[160], controllers[128];

	find_cgroup2(root, dir, sizeof(dir));
	if (!dir[0]) {
		doctor_set(finding, DOCTOR_NOTE, "version 2 is not mounted");
	} else {
		snprintf(path, sizeof(path), "%s/cgroup.controllers", dir);
		doctor_read_line(root, path, controllers, sizeof(controllers));
		if (strstr(controllers, "memory")) {
			doctor_set(finding, DOCTOR_OK, "version 2 in %s, with memory", dir);
			return;
		}
		doctor_set(finding, DOCTOR_NOTE, "version 2 in %s, without memory (%s)", dir,
			   controllers[0] ? controllers : "no controllers");
	}
	doctor_meaning(finding, "what a VM takes of the host cannot be limited by its group");
	doctor_fix(finding, "boot with systemd.unified_cgroup_hierarchy=1");
}
