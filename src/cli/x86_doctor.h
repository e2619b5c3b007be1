/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x86_doctor.h - what vmm doctor looks for on x86-64 alone.
 */
#ifndef CLI_X86_DOCTOR_H
#define CLI_X86_DOCTOR_H

#include "doctor.h"

/* The processor's extension, SVM or VMX. */
void x86_doctor_look_virtualisation(const char *root, struct doctor_finding *finding);

#endif
