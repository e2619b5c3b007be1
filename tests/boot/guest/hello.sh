# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
#
# hello: the guest has reached its init.

say "kernel $(uname -r)"
