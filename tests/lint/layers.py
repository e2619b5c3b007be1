#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: layers.py ROOT

Holds the tree to the layer table of ARCHITECTURE.md, and each file to the rules
that stand below it there: include guards, length, words in the wrong place.
"""

import fnmatch
import os
import re
import sys

import tree

LINES_MAX = 800
SPDX = 'SPDX-License-Identifier: Apache-2.0'

# Words of one layer's trade: a pattern, the layers that may use it, the reason.
# Names that these layers' own public headers define are free for all.
TRADE_WORDS = [
    ('kvm', re.compile(r'\bKVM_\w+'), ('kvm', 'cpu'),
     'only kvm and cpu talk to /dev/kvm'),
    ('io_uring', re.compile(r'\b(?:io_uring\w*|IORING_\w+)'), ('loop',),
     'only loop knows how I/O is submitted'),
]
TRADE_HEADERS = {
    'linux/kvm.h': 'kvm', 'asm/kvm.h': 'kvm',
    'liburing.h': 'io_uring', 'linux/io_uring.h': 'io_uring',
}

# Who may use such a word all the same: file, trade, reason.
EXCEPTIONS = [
    ('src/cli/doctor*.c', 'kvm', 'reports what the host offers, before there is a VM'),
    ('src/cli/doctor*.c', 'io_uring', 'reports what the host offers, before there is a loop'),
]

# Never, anywhere: the word and what to use instead.
BANNED = {
    'sprintf': 'snprintf', 'vsprintf': 'vsnprintf',
    'strcpy': 'memcpy or snprintf with the size', 'strcat': 'snprintf with the size',
    'gets': 'fgets', 'alloca': 'an array or malloc',
    'setjmp': 'an error return', 'longjmp': 'an error return',
}
BANNED_WORD = re.compile(r'\b(' + '|'.join(BANNED) + r')\s*\(')

# Spelt so that this file does not find itself.
UNFINISHED = re.compile(r'\b(T[O]DO|F[I]XME|X[X]X)\b')


def read_table(lint):
    """{layer: set of layers it may include}, in the order of the table."""
    path = 'ARCHITECTURE.md'
    layers = {}
    inside = False
    for nr, line in enumerate(tree.read(lint.root, path).splitlines(), 1):
        cells = [cell.strip(' `') for cell in line.strip().strip('|').split('|')]
        if cells == ['layer', 'responsibility', 'may include']:
            inside = True
        elif inside and not line.startswith('|'):
            break
        elif inside and not set(cells[0]) <= set('-: '):
            if len(cells) != 3:
                lint.fail(path, nr, 'a row of the layer table has three cells')
                continue
            allowed = set(layers) if cells[2] == 'all above' else set(cells[2].split()) - {'-'}
            for name in sorted(allowed - set(layers)):
                lint.fail(path, nr, f"{cells[0]} may include '{name}', which is no layer above it")
            layers[cells[0]] = allowed | {cells[0]}
    if not layers:
        lint.fail(path, 1, 'no table with the columns layer, responsibility, may include')
    return layers


def layer_of(path):
    """src/devices/pci/x.c -> devices; src/main.c -> main.c; tests/... -> None."""
    parts = path.split(os.sep)
    return parts[1] if parts[0] in ('src', 'include') else None


def check_includes(lint, layers, path, text):
    layer = layer_of(path)
    if layer not in layers:
        lint.fail(path, 1, f"'{layer}' is not in the layer table of ARCHITECTURE.md")
        return
    for nr, is_system, name in tree.includes(text):
        if is_system:
            continue
        target = tree.resolve(lint.root, path, name)
        if target is None:
            lint.fail(path, nr, f'"{name}" is not in the tree (system headers take <>)')
            continue
        other = layer_of(target)
        if other not in layers[layer]:
            lint.fail(path, nr, f'{layer} may not include {name} of layer {other}')
        elif target.startswith('src' + os.sep) and other != layer:
            lint.fail(path, nr, f'{name} is private to src/{other}')
        elif target.startswith('src' + os.sep) and path.startswith('include' + os.sep):
            lint.fail(path, nr, f'a public header may not include {name}, which is private')


def check_guard(lint, path, text):
    parts = path.split(os.sep)
    named = parts[1:] if parts[0] in ('include', 'src') else parts
    guard = re.sub(r'\W', '_', '/'.join(named)).upper()
    code = tree.code_only(text)
    found = re.search(r'^#ifndef (\w+)\n#define (\w+)$', code, re.MULTILINE)
    if not found or found.groups() != (guard, guard):
        nr = tree.line_of(code, found.start()) if found else 1
        lint.fail(path, nr, f'the include guard has to be {guard}')


def check_twins(lint, path):
    """The same name under include/ and src/ would make "layer/x.h" mean either."""
    if path.startswith('include' + os.sep):
        twin = os.path.join('src', path.split(os.sep, 1)[1])
        if os.path.exists(os.path.join(lint.root, twin)):
            lint.fail(path, 1, f'{twin} has the same name: an include could mean either')


def trade_names(root):
    """Constants that kvm's, cpu's and loop's public headers define for others."""
    names = set()
    for path in tree.files(root, ('include/kvm', 'include/cpu', 'include/loop'), '.h'):
        code = tree.code_only(tree.read(root, path))
        names.update(re.findall(r'^\s*(?:#define\s+)?([A-Z]\w+)', code, re.MULTILINE))
    return names


def check_trade(lint, path, text, free):
    layer = layer_of(path)
    code = tree.code_only(text)
    for trade, pattern, layers, reason in TRADE_WORDS:
        if layer in layers or any(fnmatch.fnmatch(path, file) and trade == what
                                  for file, what, _ in EXCEPTIONS):
            continue
        for match in pattern.finditer(code):
            if match.group() not in free:
                lint.fail(path, tree.line_of(code, match.start()), f'{match.group()}: {reason}')
        for nr, _, name in tree.includes(text):
            if TRADE_HEADERS.get(name) == trade:
                lint.fail(path, nr, f'{name}: {reason}')


def check_conditionals(lint, path, text):
    """An #if in a .c file chooses includes and constants, never code."""
    depth = 0
    continued = False
    for nr, line in enumerate(tree.code_only(text).splitlines(), 1):
        directive = re.match(r'\s*#\s*(\w+)', line)
        word = directive.group(1) if directive and not continued else ''
        if word.startswith('if'):
            depth += 1
        elif word == 'endif':
            depth -= 1
        elif depth and line.strip() and not word and not continued:
            lint.fail(path, nr, 'code inside #if: give each variant a file of its own')
        continued = line.endswith('\\') and (continued or bool(word))


def check_words(lint, path, text):
    code = tree.code_only(text)
    for match in BANNED_WORD.finditer(code):
        word = match.group(1)
        lint.fail(path, tree.line_of(code, match.start()), f'{word}: use {BANNED[word]}')


def check_text(lint, path, text):
    """What holds for every file, C or not."""
    head = text.splitlines()[:2]
    if path.endswith('.c') and head[:1] != ['// ' + SPDX]:
        lint.fail(path, 1, f'the first line has to be // {SPDX}')
    elif path.endswith('.h') and head[:1] != [f'/* {SPDX} */']:
        lint.fail(path, 1, f'the first line has to be /* {SPDX} */')
    elif not any(SPDX in line for line in head) and not path.endswith(('.md', '.build')):
        lint.fail(path, 1, f'no line {SPDX}')
    for match in UNFINISHED.finditer(text):
        lint.fail(path, tree.line_of(text, match.start()), f'{match.group()}: finish it or drop it')


def main():
    lint = tree.Lint(sys.argv[1])
    layers = read_table(lint)
    free = trade_names(lint.root)
    for path in tree.files(lint.root, tree.C_FOLDERS, ('.c', '.h')):
        text = tree.read(lint.root, path)
        lines = text.count('\n')
        if lines > LINES_MAX:
            lint.fail(path, LINES_MAX + 1, f'{lines} lines; the limit is {LINES_MAX}')
        check_words(lint, path, text)
        if path.endswith('.h'):
            check_guard(lint, path, text)
        if layer_of(path):
            check_includes(lint, layers, path, text)
            check_twins(lint, path)
            check_trade(lint, path, text, free)
        if path.startswith('src' + os.sep) and path.endswith('.c'):
            check_conditionals(lint, path, text)
    endings = tuple(e for e in tree.TEXT_ENDINGS if e not in ('.yaml', '.scd'))
    for path in sorted({*tree.files(lint.root, tree.TEXT_FOLDERS, endings),
                        *tree.scripts(lint.root)}):
        check_text(lint, path, tree.read(lint.root, path))
    lint.done()


main()
