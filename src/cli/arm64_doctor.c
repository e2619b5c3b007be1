// SPDX-License-Identifier: Apache-2.0
#include "arm64_doctor.h"

#include "base/bits.h"
#include "base/err.h"
#include "boot/arm64_layout.h"
#include "kvm/arm64_vm.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

void arm64_doctor_judge_gic(const struct arm64_vm_survey *survey,
			    struct doctor_finding *finding)
{
	if (survey->gicv3 && survey->its) {
		doctor_set(finding, DOCTOR_OK, "GICv3 with an ITS");
	} else if (survey->gicv3) {
		doctor_set(finding, DOCTOR_FAIL, "GICv3 without an ITS");
		doctor_meaning(finding, "PCI devices of a guest cannot interrupt: no VM can be "
			       "created");
		doctor_fix(finding, "run Linux 4.8 or later, with all of KVM");
	} else if (survey->gicv2) {
		doctor_set(finding, DOCTOR_NOTE, "GICv2; no GICv3, no ITS");
		doctor_meaning(finding, "VMs have 8 processors at most, and PCI devices get %d "
			       "interrupts in all, by GICv2m; snapshots and moves stay among such "
			       "hosts; all else works", ARM64_NR_GICV2M_SPIS);
	} else {
		doctor_set(finding, DOCTOR_FAIL, "KVM offers neither GICv3 nor GICv2");
		doctor_meaning(finding, "no VM can be created");
		doctor_fix(finding, "this host's interrupt controller cannot be virtualised, or "
			   "its firmware does not tell of the part for that: see 'dmesg | grep "
			   "-i gic'");
	}
}

void arm64_doctor_judge_addresses(const struct arm64_vm_survey *survey,
				  struct doctor_finding *finding)
{
	doctor_set(finding, DOCTOR_OK, "%u bits, of which VMs take %u", survey->address_bits,
		   (unsigned)min_u64(survey->address_bits, ARM64_ADDRESS_BITS));
	if (survey->address_bits < ARM64_ADDRESS_BITS) {
		finding->state = DOCTOR_NOTE;
		doctor_meaning(finding, "memory and PCI devices of a guest have to do with %u GiB",
			       1U << (survey->address_bits - 30));
	}
}

/* What is there and what is not, as lists; none is a fault. */
void arm64_doctor_judge_processor(const struct arm64_vm_survey *survey,
				  struct doctor_finding *finding)
{
	const struct {
		bool there;
		const char *name;
	} features[] = {
		{ survey->pmu, "event counters (PMUv3)" },
		{ survey->sve, "SVE" },
		{ survey->pauth, "pointer authentication" },
		{ survey->stolen_time, "stolen time" },
		{ survey->el1_32, "32-bit EL1" },
	};
	char lists[2][DOCTOR_TEXT_MAX / 4] = { "", "" };

	for (size_t i = 0; i < ARRAY_LEN(features); i++) {
		char *list = lists[features[i].there];
		size_t at = strlen(list);

		snprintf(list + at, sizeof(lists[0]) - at, "%s%s", at ? ", " : "",
			 features[i].name);
	}
	doctor_set(finding, DOCTOR_OK, "%s%s%s", lists[true][0] ? lists[true] : "no extras",
		   lists[false][0] ? "; without " : "", lists[false]);
}

static void judge(struct doctor_finding *finding,
		  void with(const struct arm64_vm_survey *survey, struct doctor_finding *finding))
{
	int fd = open(DOCTOR_KVM_PATH, O_RDWR | O_CLOEXEC);
	struct arm64_vm_survey survey;
	struct err err = { 0 };

	if (fd < 0)
		doctor_set(finding, DOCTOR_FAIL, "unknown while " DOCTOR_KVM_PATH
			   " cannot be opened");
	else if (arm64_vm_ask(fd, &survey, &err) < 0)
		doctor_set(finding, DOCTOR_FAIL, "unknown: %s", err.text);
	else
		with(&survey, finding);
	if (fd >= 0)
		close(fd);
}

static void look_gic(const char *root, struct doctor_finding *finding)
{
	(void)root;
	judge(finding, arm64_doctor_judge_gic);
}

static void look_addresses(const char *root, struct doctor_finding *finding)
{
	(void)root;
	judge(finding, arm64_doctor_judge_addresses);
}

static void look_processor(const char *root, struct doctor_finding *finding)
{
	(void)root;
	judge(finding, arm64_doctor_judge_processor);
}

const struct doctor_check doctor_checks[DOCTOR_CHECKS_MAX] = {
	{ "kernel", "Linux", doctor_look_kernel },
	DOCTOR_CHECKS_NEEDED,
	{ "gic", "interrupts", look_gic },
	{ "addresses", "guest addresses", look_addresses },
	{ "processor", "guest processors", look_processor },
	DOCTOR_CHECKS_REST,
};
