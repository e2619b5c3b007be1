/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arm64_doctor.h - what vmm doctor looks for on arm64 alone: what was found by asking KVM
 * (kvm/arm64_vm.h), and what that means.
 */
#ifndef CLI_ARM64_DOCTOR_H
#define CLI_ARM64_DOCTOR_H

#include "doctor.h"

struct arm64_vm_survey;

void arm64_doctor_judge_gic(const struct arm64_vm_survey *survey,
			    struct doctor_finding *finding);
void arm64_doctor_judge_addresses(const struct arm64_vm_survey *survey,
				  struct doctor_finding *finding);
void arm64_doctor_judge_processor(const struct arm64_vm_survey *survey,
				  struct doctor_finding *finding);

#endif
