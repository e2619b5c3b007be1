// SPDX-License-Identifier: Apache-2.0
#include "x86_doctor.h"

#include <stdlib.h>
#include <string.h>

const struct doctor_check doctor_checks[DOCTOR_CHECKS_MAX] = {
	{ "kernel", "Linux", doctor_look_kernel },
	{ "virtualisation", "virtualisation", x86_doctor_look_virtualisation },
	DOCTOR_CHECKS_NEEDED,
	DOCTOR_CHECKS_REST,
};

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

void x86_doctor_look_virtualisation(const char *root, struct doctor_finding *finding)
{
	struct cpu_flags flags = read_flags(root);

	if (doctor_exists(root, "/sys/module/kvm_pvm")) {
		software(finding);
		return;
	}
	if (!flags.known) {
		doctor_set(finding, DOCTOR_OK, "not told by /proc/cpuinfo; " DOCTOR_KVM_PATH
			   " decides");
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
