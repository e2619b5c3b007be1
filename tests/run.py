#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds vmm in every way that the tests want and runs them; scripts/test calls this."""

import argparse
import fnmatch
import json
import os
import re
import subprocess
import sys
from typing import NamedTuple

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CC = os.environ.get('CC', 'cc')
TAIL_LINES = 25

# Bounds for what should never take as long; each test has a timeout of its own.
PREPARE_SECONDS = 600
BUILD_SECONDS = 600
STEP_SECONDS = 3600

# All fuzzers together, after their corpora were replayed; scripts/fuzz runs longer.
FUZZ_SECONDS = 120

# Where tests make folders vmm-test-..., and fuzzers files vmm-fuzz-...
PLACES = ('/dev/shm', '/tmp', '/var/tmp')

SUITES = ('lint', 'unit', 'device', 'control', 'fault', 'block', 'fuzz', 'proof', 'guest',
          'lab', 'boot')

# What a suite needs that is no package: it does nothing when that is there.
PREPARE = {
    'proof': ['tests/proof/cbmc.sh'],
    'lab': ['tests/lab/assets.sh'],
    'boot': ['tests/lab/assets.sh'],
}


class Step(NamedTuple):
    """One build of the tree and the suites to run in it; quick: also with --quick, arm64:
    only with --arm64."""
    folder: str
    cc: str
    options: tuple
    suites: tuple
    quick: bool = False
    arm64: bool = False
    environment: tuple = ()     # pairs


# A crowd of QMP clients stays for so long where threads and memory are watched.
CROWD = (('VMM_TEST_SECONDS', '60'),)

# Memory is watched by clang's sanitizers, which see more than gcc's, and so all is
# compiled by clang as well.  -Db_lundef: they leave symbols open in libraries.
STEPS = (
    Step('build', CC, (), ('lint', 'unit', 'device', 'control', 'fault', 'block', 'proof',
                          'guest', 'lab', 'boot'), quick=True),
    Step('build-asan', 'clang', ('-Db_sanitize=address,undefined', '-Db_lundef=false'),
         ('unit', 'device', 'control', 'fault', 'block', 'fuzz', 'guest'), environment=CROWD),
    Step('build-tsan', CC, ('-Db_sanitize=thread', '-Db_lundef=false'),
         ('unit', 'device', 'control'), environment=CROWD),
    Step('build-arm64', 'aarch64-linux-gnu-gcc', ('--cross-file', 'configs/meson/arm64.ini'),
         ('lint', 'unit', 'device', 'fault', 'fuzz', 'boot'), quick=True, arm64=True),
)

ENVIRONMENT = {
    'ASAN_OPTIONS': 'abort_on_error=1:detect_stack_use_after_return=1',
    'UBSAN_OPTIONS': 'halt_on_error=1:abort_on_error=1:print_stacktrace=1',
    'TSAN_OPTIONS': 'halt_on_error=1:abort_on_error=1',
    'CK_DEFAULT_TIMEOUT': '60',
}

PASSED = ('OK', 'EXPECTEDFAIL')

# "ok 1 - name", "not ok 2 - name", "ok 3 - name # SKIP reason"
TAP_POINT = re.compile(r'(?P<no>not )?ok \d+ - (?P<name>[^ #]+)( # SKIP (?P<skip>.*))?')


def opens(path):
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC))
    except OSError:
        return False
    return True


CONDITIONS = {
    'no-kvm': lambda: not opens('/dev/kvm'),
    'no-systemd': lambda: not os.path.isdir('/run/systemd/system'),
    'no-vhost': lambda: not opens('/dev/vhost-net'),
    'no-loop': lambda: not os.path.exists('/dev/loop-control'),
    'not-root': lambda: os.geteuid() != 0,
}


def parse_skips(text):
    """[(pattern, condition)] of expected_skips."""
    rows = [line.split(None, 2) for line in text.splitlines() if line and line[0] != '#']
    for row in rows:
        if len(row) != 3 or row[1] not in CONDITIONS:
            raise ValueError('tests/expected_skips: a line is "suite/test condition reason", '
                             f'not "{" ".join(row)}"')
    return [(row[0], row[1]) for row in rows]


class Totals:
    """Counts results and says what went wrong as soon as it is known."""

    def __init__(self, skips):
        self.skips = skips
        self.passed = self.failed = self.skipped = 0

    def fail(self, name, why, output=''):
        self.failed += 1
        print(f'FAIL {name}: {why}')
        for line in output.rstrip().splitlines()[-TAIL_LINES:]:
            print(f'    | {line}')
        sys.stdout.flush()

    def skip_is_expected(self, test):
        return any(fnmatch.fnmatch(test, pattern) and CONDITIONS[condition]()
                   for pattern, condition in self.skips)

    def add(self, folder, test, result, output):
        if result in PASSED:
            self.passed += 1
        elif result != 'SKIP':
            self.fail(f'{folder} {test}', result.lower(), output)
        elif self.skip_is_expected(test):
            self.skipped += 1
            reason = output.strip().splitlines()[-1:] or ['']
            print(f'skip {folder} {test}: {reason[0]}')
        else:
            self.fail(f'{folder} {test}', 'skipped, and tests/expected_skips does not say why',
                      output)

    def summary(self):
        return f'{self.passed} passed, {self.failed} failed, {self.skipped} skipped'


class Spent:
    """What has passed since it was made: seconds, and seconds that processors worked."""

    def __init__(self):
        self.start = os.times()

    def since(self):
        now = os.times()
        worked = sum(getattr(now, kind) - getattr(self.start, kind)
                     for kind in ('children_user', 'children_system'))
        return f'{now.elapsed - self.start.elapsed:.0f} s, {worked:.0f} s of processors'


def run(command, seconds, **more):
    """(status, output); a command that is not there or does not end has failed."""
    try:
        done = subprocess.run(command, cwd=ROOT, text=True, errors='replace', timeout=seconds,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False, **more)
    except FileNotFoundError as error:
        return 127, str(error)
    except subprocess.TimeoutExpired as error:
        return 124, f'{error.stdout or ""}\nno end after {seconds} s'
    return done.returncode, done.stdout


def sweep(places=PLACES):
    """Removes what tests that were killed have left: it is older than any step can be."""
    run(['find', *places, '-mindepth', '1', '-maxdepth', '1',
         '-regextype', 'egrep', '-regex', '.*/vmm-(test|fuzz)-[^/]*',
         '-mmin', f'+{2 * STEP_SECONDS // 60}', '-exec', 'rm', '-rf', '{}', '+'],
        PREPARE_SECONDS)


def compiler_of(step):
    """The command that the folder is set up to compile with; None if it is not set up."""
    try:
        with open(os.path.join(ROOT, step.folder, 'compile_commands.json'),
                  encoding='utf-8') as file:
            return json.load(file)[0]['command'].split(' -')[0]
    except FileNotFoundError:
        return None


def set_up(step):
    """Make the folder, or bring it to the step's compiler and options."""
    more = list(step.options)
    compiler = compiler_of(step)
    if compiler is not None:
        # Meson may have put ccache in front.
        same = f' {compiler}'.endswith(f' {step.cc}')
        more.append('--reconfigure' if same else '--wipe')
    return run(['meson', 'setup', step.folder] + more, BUILD_SECONDS,
               env={**os.environ, 'CC': step.cc})


def build(step):
    status, output = set_up(step)
    if status == 0:
        status, output = run(['meson', 'compile', '-C', step.folder], BUILD_SECONDS)
    return status, output


def suites_with_tests(step):
    """Those of the step's suites in which there is something to run."""
    _, output = run(['meson', 'introspect', '--tests', step.folder], BUILD_SECONDS)
    tests = json.loads(output)
    present = {suite.split(':')[-1] for test in tests for suite in test['suite']}
    return [suite for suite in step.suites if suite in present]


def results_of(test):
    """[(name, result, output)] of a line of testlog.json, one for each point in TAP."""
    # "vmm:unit / err", or just "err" where the project has no suites.
    name = re.sub(r'^(?:\w+:)?(\S+) / ', r'\1/', test['name'])
    output = test.get('stdout', '') + test.get('stderr', '')
    points = []
    for line in test.get('stdout', '').splitlines():
        point = TAP_POINT.fullmatch(line)
        if point:
            result = 'FAIL' if point['no'] else 'SKIP' if point['skip'] else 'OK'
            points.append((f'{os.path.dirname(name)}/{point["name"]}', result,
                           [point['skip'] or '']))
        elif points and line.startswith('# '):
            points[-1][2].append(line[2:])
    explained = PASSED + ('SKIP',)
    if any(result == 'FAIL' for _, result, _ in points):
        explained += ('FAIL', 'ERROR')
    if points and test['result'] in explained:
        return [(point, result, '\n'.join(said)) for point, result, said in points]
    return [(name, test['result'], output)]


def run_tests(step, suites, totals):
    log = os.path.join(ROOT, step.folder, 'meson-logs', 'testlog.json')
    if os.path.exists(log):
        os.unlink(log)
    more = ('arm64',) if step.arm64 else ()
    for command in {(*PREPARE[suite], *more) for suite in suites if suite in PREPARE}:
        status, output = run(command, PREPARE_SECONDS)
        if status != 0:
            totals.fail(step.folder, f'{" ".join(command)} ended with {status}', output)
    # Many tests wait more than they work.  A machine with other work to do is slow, not wrong.
    command = ['meson', 'test', '-C', step.folder, '--no-rebuild', '--timeout-multiplier', '3',
               '--num-processes', str(2 * len(os.sched_getaffinity(0)))]
    for suite in suites:
        command += ['--suite', suite]
    status, output = run(command, STEP_SECONDS,
                         env={**ENVIRONMENT, **dict(step.environment), **os.environ})
    if status == 124 or not os.path.exists(log):
        totals.fail(step.folder, f'meson test ended with {status}', output)
    if not os.path.exists(log):
        return
    with open(log, encoding='utf-8') as file:
        for test in map(json.loads, file):
            for name, result, output in results_of(test):
                totals.add(step.folder, name, result, output)


def run_step(step, totals):
    start = Spent()
    before = totals.passed
    status, output = build(step)
    if status != 0:
        totals.fail(step.folder, 'does not build', output)
        return
    totals.passed += 1
    suites = suites_with_tests(step)
    if suites:
        run_tests(step, suites, totals)
    print(f'{step.folder}: {" ".join(["compile"] + suites)}: {totals.passed - before} passed, '
          + start.since(), flush=True)


def run_fuzzers(totals):
    """One result a fuzzer; scripts/fuzz says NAME: ok, ... or NAME: FAILED, ..."""
    start = Spent()
    before = totals.passed
    status, output = run(['scripts/fuzz', '--total', str(FUZZ_SECONDS)],
                         BUILD_SECONDS + 3 * FUZZ_SECONDS)
    verdicts = re.findall(r'^(\w+): (ok|FAILED),', output, re.MULTILINE)
    if not verdicts or (status != 0 and all(verdict == 'ok' for _, verdict in verdicts)):
        totals.fail('scripts/fuzz', f'ended with {status}', output)
    for name, verdict in verdicts:
        result = 'OK' if verdict == 'ok' else 'FAIL'
        totals.add('build-fuzz', f'fuzz/{name}', result, output)
    print(f'build-fuzz: fuzz for {FUZZ_SECONDS} s: {totals.passed - before} passed, '
          + start.since(), flush=True)


def main():
    parser = argparse.ArgumentParser(prog='scripts/test', description=__doc__)
    parser.add_argument('--suite', action='append', choices=SUITES,
                        help='run this suite only (may be repeated)')
    parser.add_argument('--quick', action='store_true',
                        help='one build, no sanitizers, no proofs, no Linux guests')
    parser.add_argument('--arm64', action='store_true',
                        help='build for arm64 as well, and run its tests in an emulator')
    args = parser.parse_args()

    with open(os.path.join(ROOT, 'tests', 'expected_skips'), encoding='utf-8') as file:
        totals = Totals(parse_skips(file.read()))
    sweep()
    wanted = set(args.suite or SUITES)
    if args.quick and not args.suite:
        wanted -= {'proof', 'lab', 'boot'}
    for step in STEPS:
        step = step._replace(suites=tuple(s for s in step.suites if s in wanted))
        if (step.suites and (step.quick or not args.quick) and
                (args.arm64 or not step.arm64)):
            run_step(step, totals)
    if 'fuzz' in wanted and not args.quick:
        run_fuzzers(totals)
    print(totals.summary())
    return 1 if totals.failed else 0


if __name__ == '__main__':
    sys.exit(main())
