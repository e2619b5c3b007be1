#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: format.py ROOT

What a machine can see of the style without rearranging hand-made tables: tabs,
columns, line ends, comments; and that shell scripts and Python files parse.
"""

import ast
import os
import re
import shutil
import subprocess
import sys

import tree

COLUMNS_MAX = 100
TAB = 8
ENDS_STATEMENT = re.compile(r'^$|[;{}]$|^\s*(case\b.*|\w+):$')


def check_lines(lint, path, text, columns_max):
    if text and not text.endswith('\n'):
        lint.fail(path, text.count('\n') + 1, 'no newline at the end of the file')
    if text.endswith('\n\n'):
        lint.fail(path, text.count('\n'), 'an empty line at the end of the file')
    for nr, line in enumerate(text.splitlines(), 1):
        if line != line.rstrip():
            lint.fail(path, nr, 'white space at the end of the line')
        if columns_max and len(line.expandtabs(TAB)) > columns_max:
            lint.fail(path, nr, f'{len(line.expandtabs(TAB))} columns; '
                                f'the limit is {columns_max}')


def check_indent(lint, path, text):
    """Tabs indent; up to seven spaces may align the rest of a statement."""
    before = ''
    for nr, line in enumerate(tree.code_only(text).splitlines(), 1):
        if not line.strip():
            continue
        indent = re.match(r'[ \t]*', line).group()
        begins = ENDS_STATEMENT.search(before)
        if ' \t' in indent or ' ' * TAB in indent:
            lint.fail(path, nr, 'indent with tabs')
        elif begins and ' ' in indent:
            lint.fail(path, nr, 'a statement is indented with tabs only')
        before = line.rstrip()


def check_comments(lint, path, text):
    for match in tree.TOKEN.finditer(text):
        nr = tree.line_of(text, match.start())
        if match.group().startswith('//') and nr > 1:
            lint.fail(path, nr, 'comments are /* */; // is for the SPDX line only')


def check_python(lint, path):
    try:
        ast.parse(tree.read(lint.root, path))
    except SyntaxError as error:
        lint.fail(path, error.lineno, error.msg)


def check_shell(lint, path, command):
    run = subprocess.run(command + [os.path.join(lint.root, path)], text=True,
                         capture_output=True, check=False)
    if run.returncode == 0:
        return
    output = (run.stdout + run.stderr).strip().splitlines()
    for line in output or ['fails']:
        place = re.search(r'(?:line |:)(\d+):(?:\d+:)?\s*(.*)', line)
        lint.fail(path, place.group(1) if place else 1, place.group(2) if place else line)


def main():
    lint = tree.Lint(sys.argv[1])
    for path in tree.files(lint.root, tree.C_FOLDERS, ('.c', '.h')):
        text = tree.read(lint.root, path)
        check_indent(lint, path, text)
        check_comments(lint, path, text)
    for path in tree.files(lint.root, tree.TEXT_FOLDERS, tree.TEXT_ENDINGS):
        prose = path.endswith(('.md', '.scd', '.yml'))
        check_lines(lint, path, tree.read(lint.root, path), None if prose else COLUMNS_MAX)
    for path, language in tree.scripts(lint.root).items():
        if language == 'python':
            check_python(lint, path)
            continue
        if not path.endswith('.sh'):
            check_lines(lint, path, tree.read(lint.root, path), COLUMNS_MAX)
        check_shell(lint, path, ['bash', '-n'])
        if shutil.which('shellcheck'):
            check_shell(lint, path, ['shellcheck', '-x', '-f', 'gcc', '-S', 'warning'])
    lint.done()


main()
