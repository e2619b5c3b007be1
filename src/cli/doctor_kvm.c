// SPDX-License-Identifier: Apache-2.0
/*
 * doctor_kvm.c - the processor, /dev/kvm, and what KVM can do.
 */
#include "doctor.h"

#include "base/err.h"
#include "kvm/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KVM_PATH "/dev/kvm"

struct cpu_flags {
	bool known;		/* /proc/cpuinfo has a line of flags, as on x86 */
	bool svm, vmx;
	bool hypervisor;	/* the host is a VM itself */
};

static struct cpu_flags read_flags(const char *root)
{
	struct cpu_flags flags = { 0 };
	char name[256], *line = NULL, *rest;
	size_t room = 0;
	FILE *in;

	snprintf(name, sizeof(name), "%s/proc/cpuinfo", root);
	in = fopen(name, "re");
	if (!in)
		return flags;
	while (!flags.known && getline(&line, &room, in) > 0)
		flags.known = !strncmp(line, "flags", strlen("flags"));
	rest = line;
	for (char *word; flags.known && (word = strsep(&rest, " \t\n:")); ) {
		flags.svm |= !strcmp(word, "svm");
		flags.vmx |= !strcmp(word, "vmx");
		flags.hypervisor |= !strcmp(word, "hypervisor");
	}
	free(line);
	fclose(in);
	return flags;
}

static void software(struct doctor_finding *finding)
{
	doctor_set(finding, DOCTOR_NOTE, "by software only (kvm_pvm)");
	doctor_meaning(finding, "no processor extension is behind KVM: kernels of distributions "
		       "do not boot, as not every instruction of theirs is emulated; small "
		       "bare-metal programs run");
	doctor_fix(finding, "run guests in the nested lab: tests/lab/run build/vmm run ..., or "
		   "on a host with hardware virtualisation");
}

static void no_extension(bool in_a_vm, struct doctor_finding *finding)
{
	doctor_set(finding, DOCTOR_FAIL, "the processor shows neither svm (AMD) nor vmx (Intel)");
	doctor_meaning(finding, "KVM has nothing to run guests with");
	if (in_a_vm)
		doctor_fix(finding, "this host is a VM itself: turn on nested virtualisation "
			   "for it, or run guests in the nested lab (tests/lab/run)");
	else
		doctor_fix(finding, "turn on virtualisation (SVM, AMD-V, VT-x) in the firmware's "
			   "setup");
}

void doctor_look_virtualisation(const char *root, struct doctor_finding *finding)
{
	struct cpu_flags flags = read_flags(root);

	if (doctor_exists(root, "/sys/module/kvm_pvm")) {
		software(finding);
		return;
	}
	if (!flags.known) {
		doctor_set(finding, DOCTOR_OK, "not told by /proc/cpuinfo; " KVM_PATH " decides");
		return;
	}
	if (!flags.svm && !flags.vmx) {
		no_extension(flags.hypervisor, finding);
		return;
	}
	doctor_set(finding, DOCTOR_OK, "by hardware (%s)%s", flags.svm ? "svm" : "vmx",
		   flags.hypervisor ? ", nested: this host is a VM itself" : "");
	if (flags.hypervisor)
		doctor_meaning(finding, "exits of a guest cost more than on bare metal");
}

void doctor_look_kvm(const char *root, struct doctor_finding *finding)
{
	int fd = open(KVM_PATH, O_RDWR | O_CLOEXEC);
	struct err err = { 0 };
	int version;

	(void)root;
	if (fd < 0) {
		int code = -errno;

		doctor_set(finding, DOCTOR_FAIL, "cannot be opened: %s", strerror(-code));
		doctor_meaning(finding, "no VM can be created");
		doctor_fix(finding, "%s", kvm_advice(code).text);
		return;
	}
	version = kvm_api_version(fd, &err);
	close(fd);
	if (version < 0) {
		doctor_set(finding, DOCTOR_FAIL, "%s", err.text);
		doctor_meaning(finding, "this is no KVM of a Linux since 2.6.22");
		return;
	}
	doctor_set(finding, DOCTOR_OK, "can be opened; API version %d", version);
}

static void append(char *list, size_t len, const char *name)
{
	size_t at = strlen(list);

	snprintf(list + at, len - at, "%s%s", at ? ", " : "", name);
}

void doctor_look_capabilities(const char *root, struct doctor_finding *finding)
{
	char lacking[DOCTOR_TEXT_MAX / 2] = "", optional[DOCTOR_TEXT_MAX / 2] = "";
	char benefits[DOCTOR_TEXT_MAX / 2] = "";
	const struct kvm_feature *feature;
	int fd = open(KVM_PATH, O_RDWR | O_CLOEXEC);
	unsigned nr = 0;

	(void)root;
	if (fd < 0) {
		doctor_set(finding, DOCTOR_FAIL, "unknown while " KVM_PATH " cannot be opened");
		return;
	}
	for (; (feature = kvm_feature(nr)); nr++) {
		if (kvm_capability(fd, feature->capability) > 0)
			continue;
		if (!feature->benefit) {
			append(lacking, sizeof(lacking), feature->name);
			continue;
		}
		append(optional, sizeof(optional), feature->name);
		append(benefits, sizeof(benefits), feature->benefit);
	}
	close(fd);
	if (lacking[0]) {
		doctor_set(finding, DOCTOR_FAIL, "lacking: %s", lacking);
		doctor_meaning(finding, "no VM can be created");
		doctor_fix(finding, "run a newer kernel, or one built with all of KVM");
	} else if (optional[0]) {
		doctor_set(finding, DOCTOR_NOTE, "all that are needed; lacking: %s", optional);
		doctor_meaning(finding, "with more of them %s", benefits);
	} else {
		doctor_set(finding, DOCTOR_OK, "all %u that are used", nr);
	}
}
