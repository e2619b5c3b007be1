#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: headers.py ROOT COMPILER...

Each header compiles alone, and twice in a row.  Headers of the other
architecture (x86_*, arm64_*) are left to a build for it.
"""

import os
import re
import subprocess
import sys

import tree

FLAGS = ['-fsyntax-only', '-x', 'c', '-std=gnu17', '-D_GNU_SOURCE', '-Wall', '-Wextra',
         '-Werror', '-Wno-unused']


def foreign(compiler):
    """What the names of headers begin with that are not for the compiler's machine."""
    machine = subprocess.run(compiler + ['-dumpmachine'], check=True, capture_output=True,
                             text=True).stdout
    return 'x86_' if machine.startswith('aarch64-') else 'arm64_'


def main():
    lint = tree.Lint(sys.argv[1])
    compiler = sys.argv[2:]
    others = foreign(compiler)
    # Payloads in tests/guest are built freestanding, with flags of their own.
    for path in tree.files(lint.root, ('include', 'src', 'tests'), '.h'):
        name = os.path.basename(path)
        if name.startswith(others) or path.startswith(os.path.join('tests', 'guest')):
            continue
        where = [f'-I{os.path.join(lint.root, d)}'
                 for d in ('include', 'src', os.path.dirname(path))]
        text = f'#include "{os.path.join(lint.root, path)}"\n' * 2
        run = subprocess.run(compiler + FLAGS + where + ['-'], input=text, text=True,
                             capture_output=True, check=False)
        if run.returncode:
            first = re.search(r':(\d+):(?:\d+:)? (?:fatal )?error: (.*)', run.stderr)
            lint.fail(path, first.group(1) if first else 1,
                      'does not compile alone: ' + (first.group(2) if first else run.stderr))
    lint.done()


main()
