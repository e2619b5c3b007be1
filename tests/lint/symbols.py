#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: symbols.py ROOT ARCHIVE NM

Every global symbol of src/<layer>/foo.c is declared in a header that foo.c
includes, itself or by a private header, and is named for that header: in uart.h,
uart or uart_*.  A header may also name symbols for a struct that it declares and
that has no header of its own: virtio.h, which declares struct virtq, may hold
virtq_*.
"""

import os
import re
import subprocess
import sys

import tree

# "libvmm.a[src_base_err.c.o]: err_set T 0 30"; thin archives name the file there.
NM_LINE = re.compile(r'[^\[]*\[(?:.*/)?(\S+)\.o\]: (\S+) \S')


def symbols_by_object(archive, nm):
    output = subprocess.run([nm, '-A', '-P', '-g', '--defined-only', archive],
                            check=True, capture_output=True, text=True).stdout
    found = {}
    for line in output.splitlines():
        match = NM_LINE.match(line)
        # Sanitizers and coverage add names with two underscores.
        if match and not match.group(2).startswith('__'):
            found.setdefault(match.group(1), []).append(match.group(2))
    return found


def included_headers(root, path):
    """What path includes itself, and what the private headers among it include."""
    found = []
    pending = [path]
    while pending:
        at = pending.pop()
        named = [tree.resolve(root, at, name)
                 for _, is_system, name in tree.includes(tree.read(root, at)) if not is_system]
        new = [header for header in named if header and header not in found]
        found += new
        pending += [header for header in new if header.startswith('src' + os.sep)]
    return found


def prefixes(code, header, all_headers):
    """The names that symbols declared in this header may begin with."""
    own = os.path.basename(header)[:-len('.h')]
    structs = re.findall(r'\bstruct\s+(\w+)\s*[;{]', code)
    return [own] + [name for name in structs if name not in all_headers]


def main():
    lint = tree.Lint(sys.argv[1])
    by_object = symbols_by_object(sys.argv[2], sys.argv[3])
    headers = {path: tree.code_only(tree.read(lint.root, path))
               for path in tree.files(lint.root, ('include', 'src'), '.h')}
    names = {os.path.basename(path)[:-len('.h')] for path in headers}
    seen = 0

    for path in tree.files(lint.root, ('src',), '.c'):
        # Meson names an object for the path of its source.
        symbols = by_object.get(path.replace(os.sep, '_'), [])
        text = tree.read(lint.root, path)
        included = included_headers(lint.root, path)
        for symbol in symbols:
            seen += 1
            where = re.search(rf'\b{symbol}\b', tree.code_only(text))
            nr = tree.line_of(text, where.start()) if where else 1
            homes = [header for header in included
                     if header in headers and re.search(rf'\b{symbol}\b', headers[header])]
            allowed = {p for home in homes for p in prefixes(headers[home], home, names)}
            if not homes:
                lint.fail(path, nr, f'{symbol} is global, but no header included here declares it')
            elif not any(symbol == p or symbol.startswith(p + '_') for p in allowed):
                lint.fail(path, nr, f'{symbol} is declared in {homes[0]} '
                                    f'and has to begin with {" or ".join(sorted(allowed))}')
    if not seen:
        lint.fail(sys.argv[2], 1, 'holds no symbol of any file under src/')
    lint.done()


main()
