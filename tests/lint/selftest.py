#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: selftest.py COMPILER...

Runs every lint on small trees: a good one, which has to pass, and the same tree
with one fault, which has to fail with the message meant for it.
"""

import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
COMPILER = sys.argv[1:]

SPDX = 'SPDX-License-Identifier: Apache-2.0'
C = f'// {SPDX}\n'
H = f'/* {SPDX} */\n'

GOOD = {
    'ARCHITECTURE.md': '''
| layer | responsibility | may include |
|---|---|---|
| base | small things | - |
| kvm | the kernel | base |
| bus | addresses | base |
| main.c | start | all above |

See `src/base/err.c`, `base/err.h`, `src/bus/` and err_set() in [the docs](docs/a.md).
''',
    'docs/a.md': '# A page\n',
    'include/base/err.h': H + '#ifndef BASE_ERR_H\n#define BASE_ERR_H\n\nstruct err;\n\n'
                              'int err_set(struct err *err);\n\n#endif\n',
    'include/kvm/kvm_vm.h': H + '#ifndef KVM_KVM_VM_H\n#define KVM_KVM_VM_H\n\n'
                                '#define KVM_VM_SLOTS 8\n\n#endif\n',
    'src/base/err.c': C + '#include "base/err.h"\n\nint err_set(struct err *err)\n{\n'
                          '\treturn err ? 1 : 0;\n}\n',
    'src/kvm/vm.c': C + '#include "kvm/kvm_vm.h"\n\n#include <linux/kvm.h>\n\n'
                        '#ifndef KVM_CAP_NEW\n#define KVM_CAP_NEW \\\n\t7\n#endif\n',
    'src/bus/list.h': H + '#ifndef BUS_LIST_H\n#define BUS_LIST_H\n\n#endif\n',
    'src/bus/bus.c': C + '#include "base/err.h"\n#include "list.h"\n\n'
                         '/* KVM_RUN and strcpy() in a comment are just words. */\n'
                         'static const int slots = KVM_VM_SLOTS;\n',
    'src/main.c': C + 'int main(void)\n{\n\treturn 0;\n}\n',
    'scripts/demo': f'#!/bin/bash\n# {SPDX}\necho hello\n',
}


def bus_c(code, includes=''):
    return {'src/bus/bus.c': C + includes + code}


def err_h(code):
    return {'include/base/err.h': H + code}


# Lint, what changes in the good tree, the place and message that this has to give.
BAD = [
    ('layers', bus_c('', '#include "kvm/kvm_vm.h"\n'), 'src/bus/bus.c:2: bus may not include'),
    ('layers', bus_c('', '#include "base/none.h"\n'), 'src/bus/bus.c:2: "base/none.h" is not in'),
    ('layers', {'src/main.c': C + '#include "bus/list.h"\n'},
     'src/main.c:2: bus/list.h is private'),
    ('layers', {'include/bus/bus.h': H + '#ifndef BUS_BUS_H\n#define BUS_BUS_H\n'
                                         '#include "bus/list.h"\n#endif\n'},
     'include/bus/bus.h:4: a public header may not'),
    ('layers', {'include/bus/list.h': H + '#ifndef BUS_LIST_H\n#define BUS_LIST_H\n#endif\n'},
     'include/bus/list.h:1: src/bus/list.h has the same name'),
    ('layers', {'src/other/a.c': C}, "src/other/a.c:1: 'other' is not in the layer table"),
    ('layers', err_h('#ifndef ERR_H\n#define ERR_H\n#endif\n'),
     'include/base/err.h:2: the include guard has to be BASE_ERR_H'),
    ('layers', err_h('struct err;\n'), 'include/base/err.h:1: the include guard'),
    ('layers', bus_c('\n' * 800), 'src/bus/bus.c:801: 801 lines'),
    ('layers', bus_c('int x = KVM_RUN;\n'), 'src/bus/bus.c:2: KVM_RUN: only kvm and cpu'),
    ('layers', bus_c('', '#include <linux/kvm.h>\n'), 'src/bus/bus.c:2: linux/kvm.h: only'),
    ('layers', bus_c('int x = io_uring_enter();\n'), 'src/bus/bus.c:2: io_uring_enter: only loop'),
    ('layers', bus_c('int x = sprintf(a);\n'), 'src/bus/bus.c:2: sprintf: use snprintf'),
    ('layers', bus_c('#ifdef A\nint x;\n#endif\n'), 'src/bus/bus.c:3: code inside #if'),
    ('layers', bus_c('/* T' + 'ODO */\n'), 'src/bus/bus.c:2: T' + 'ODO: finish it'),
    ('layers', {'src/bus/bus.c': '\n'}, 'src/bus/bus.c:1: the first line has to be'),
    ('layers', {'scripts/demo': '#!/bin/bash\necho\n'}, 'scripts/demo:1: no line SPDX'),
    ('layers', {'ARCHITECTURE.md': 'no table\n'}, 'ARCHITECTURE.md:1: no table'),
    ('layers', {'ARCHITECTURE.md': '| layer | responsibility | may include |\n|---|---|---|\n'
                                   '| base | b | bus |\n'},
     "ARCHITECTURE.md:3: base may include 'bus', which is no layer above it"),

    ('symbols', {'src/base/err.c': C + '#include "base/err.h"\n\nint stray;\n'},
     'src/base/err.c:4: stray is global, but no header'),
    ('symbols', {'src/base/err.c': C + '#include "base/err.h"\n\nint error;\n',
                 'include/base/err.h': H + 'extern int error;\n'},
     'src/base/err.c:4: error is declared in include/base/err.h and has to begin with err'),
    ('symbols', {'src/base/err.c': C}, '.a:1: holds no symbol'),

    ('headers', err_h('int err_set(size_t len);\n'),
     'include/base/err.h:2: does not compile alone'),
    ('headers', err_h('struct err { int code; };\n'), 'include/base/err.h:2: does not compile'),

    ('format', bus_c('int a(void)\n{\n    return 0;\n}\n'), 'src/bus/bus.c:4: a statement is'),
    ('format', bus_c('int a(void)\n{\n        return 0;\n}\n'),
     'src/bus/bus.c:4: indent with tabs'),
    ('format', bus_c('int a; \n'), 'src/bus/bus.c:2: white space'),
    ('format', bus_c('int ' + 'a' * 100 + ';\n'), 'src/bus/bus.c:2: 105 columns'),
    ('format', bus_c('int a;'), 'src/bus/bus.c:2: no newline'),
    ('format', bus_c('int a;\n\n'), 'src/bus/bus.c:3: an empty line at the end'),
    ('format', bus_c('int a; // why\n'), 'src/bus/bus.c:2: comments are'),
    ('format', {'scripts/demo': '#!/bin/bash\nif\n'}, 'scripts/demo:'),
    ('format', {'scripts/demo.py': 'x = 1\nif:\n'}, 'scripts/demo.py:2:'),

    ('docs', {'docs/a.md': '\n[b](b.md#top)\n'}, 'docs/a.md:2: links to b.md'),
    ('docs', {'ARCHITECTURE.md': '`src/base/gone.c`\n'},
     'ARCHITECTURE.md:1: names src/base/gone.c'),
    ('docs', {'ARCHITECTURE.md': 'err_gone() fails\n'}, 'ARCHITECTURE.md:1: names err_gone()'),
]


def write(root, tree):
    for path, text in tree.items():
        full = os.path.join(root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, 'w', encoding='utf-8') as file:
            file.write(text)


def archive(root):
    """The tree's src/base/err.c in an archive, named as meson names objects."""
    output = os.path.join(root, 'libvmm.a')
    built = os.path.join(root, 'src_base_err.c.o')
    subprocess.run(COMPILER + ['-c', '-I' + os.path.join(root, 'include'), '-o', built,
                               os.path.join(root, 'src/base/err.c')], check=True)
    subprocess.run(['ar', 'rcs', output, built], check=True)
    return output


def run(lint, changes):
    with tempfile.TemporaryDirectory() as root:
        write(root, {**GOOD, **changes})
        more = {'symbols': lambda: [archive(root), 'nm'], 'headers': lambda: COMPILER}
        command = [sys.executable, '-B', os.path.join(HERE, lint + '.py'), root]
        if lint in more:
            command += more[lint]()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr


def main():
    failures = []
    for lint in ('layers', 'symbols', 'headers', 'format', 'docs'):
        status, output = run(lint, {})
        if status != 0:
            failures.append(f'{lint} fails on a good tree:\n{output}')
    for lint, changes, message in BAD:
        status, output = run(lint, changes)
        if status != 1 or message not in output:
            failures.append(f'{lint}, {changes}: wanted "{message}", got {status}:\n{output}')
    print('\n'.join(failures) or f'{len(BAD)} faults found')
    sys.exit(1 if failures else 0)


main()
