#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: docs.py ROOT

Every file that a page links to exists; so does every file, folder and function
that ARCHITECTURE.md names.
"""

import glob
import os
import re
import sys

import tree

LINK = re.compile(r'\]\(([^)\s]+)\)')
SPAN = re.compile(r'`([^`\n]+)`')
FILE = re.compile(r'[\w.*/-]+(?:\.(?:c|h|S|py|sh|md|build|yaml|yml|txt|scd)|/)')
CALL = re.compile(r'\b([a-z]\w*)\(\)')


def without_fences(text):
    """Blocks between ``` lines hold examples, not statements about the tree."""
    return re.sub(r'^```.*?^```$', lambda m: re.sub(r'[^\n]', ' ', m.group()), text,
                  flags=re.DOTALL | re.MULTILINE)


def pages(root):
    top = [name for name in os.listdir(root) if name.endswith('.md')]
    return sorted(top) + tree.files(root, tree.TEXT_FOLDERS, '.md')


def check_links(lint, path, text):
    for match in LINK.finditer(text):
        target = match.group(1).split('#')[0]
        if not target or re.match(r'[a-z]+:', target):
            continue
        if not os.path.exists(os.path.join(lint.root, os.path.dirname(path), target)):
            lint.fail(path, tree.line_of(text, match.start()),
                      f'links to {target}, which is not there')


def is_there(root, name):
    """From the root, as an include, or, without a folder, anywhere in the tree."""
    if any(glob.glob(os.path.join(root, base, name)) for base in ('', 'include', 'src')):
        return True
    return '/' not in name and any(glob.glob(os.path.join(root, base, '**', name), recursive=True)
                                   for base in tree.TEXT_FOLDERS)


def check_names(lint, path, text):
    code = '\n'.join(tree.code_only(tree.read(lint.root, file))
                     for file in tree.files(lint.root, tree.C_FOLDERS, ('.c', '.h')))
    for span in SPAN.finditer(text):
        name = span.group(1)
        if FILE.fullmatch(name) and not name.startswith('/') and not is_there(lint.root, name):
            lint.fail(path, tree.line_of(text, span.start()), f'names {name}, which is not there')
    for call in CALL.finditer(text):
        if not re.search(rf'\b{call.group(1)}\b', code):
            lint.fail(path, tree.line_of(text, call.start()),
                      f'names {call.group(1)}(), which is not in the code')


def main():
    lint = tree.Lint(sys.argv[1])
    for path in pages(lint.root):
        text = without_fences(tree.read(lint.root, path))
        check_links(lint, path, text)
        if path == 'ARCHITECTURE.md':
            check_names(lint, path, text)
    lint.done()


main()
