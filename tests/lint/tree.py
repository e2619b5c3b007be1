# SPDX-License-Identifier: Apache-2.0
"""What every lint needs: the files of the tree, C without its comments, reports."""

import os
import re
import sys

C_FOLDERS = ('include', 'src', 'tests', 'bench')
TEXT_FOLDERS = C_FOLDERS + ('scripts', '.ci', '.github', 'configs', 'docs')
TEXT_ENDINGS = ('.c', '.h', '.S', '.ld', '.py', '.sh', '.build', '.md', '.scd', '.yaml', '.yml')

TOKEN = re.compile(
    r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^">]+)[">]', re.MULTILINE)


class Lint:
    """Collects "file:line: message" and turns them into an exit status."""

    def __init__(self, root):
        self.root = root
        self.failed = False

    def fail(self, path, line, message):
        print(f'{path}:{line}: {message}')
        self.failed = True

    def done(self):
        sys.exit(1 if self.failed else 0)


def read(root, path):
    with open(os.path.join(root, path), encoding='utf-8', errors='replace') as file:
        return file.read()


def files(root, folders, endings):
    """Paths below root, sorted; build folders, caches and fuzz corpora are not ours."""
    found = []
    for folder in folders:
        for at, dirs, names in os.walk(os.path.join(root, folder)):
            dirs[:] = [d for d in dirs if d not in ('corpus', '__pycache__')]
            found += [os.path.relpath(os.path.join(at, name), root)
                      for name in names if name.endswith(endings)]
    return sorted(found)


def scripts(root):
    """Every shell script and Python file, whatever it is called."""
    found = {}
    for path in files(root, TEXT_FOLDERS, ''):
        with open(os.path.join(root, path), 'rb') as file:
            first = file.readline()
        if path.endswith('.py') or first.startswith(b'#!') and b'python' in first:
            found[path] = 'python'
        elif path.endswith('.sh') or re.match(rb'#!.*\b(ba|da)?sh\b', first):
            found[path] = 'shell'
    return found


def line_of(text, offset):
    return text.count('\n', 0, offset) + 1


def _blank(match):
    """A comment becomes spaces; a literal keeps its quotes."""
    token = match.group()
    if token[0] in '"\'':
        return token[0] + ' ' * (len(token) - 2) + token[0]
    return re.sub(r'[^\n]', ' ', token)


def code_only(text):
    """C without comments and without what literals say; lines and columns stay."""
    return TOKEN.sub(_blank, text)


def includes(text):
    """(line, is_system, name) of each include that is not in a comment."""
    code = TOKEN.sub(lambda m: m.group() if m.group()[0] in '"\'' else _blank(m), text)
    for match in INCLUDE.finditer(code):
        yield line_of(code, match.start()), match.group(1) == '<', match.group(2)


def resolve(root, path, name):
    """The file in the tree that an #include "name" in path means, or None."""
    for base in (os.path.dirname(path), 'include', 'src'):
        candidate = os.path.normpath(os.path.join(base, name))
        if os.path.isfile(os.path.join(root, candidate)):
            return candidate
    return None
