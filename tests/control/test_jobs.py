#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: test_jobs.py SERVER

A snapshot as a job: what is told of it, and what may be done with it.
"""

import sys
import unittest

import qmp

VERBS = ('pause', 'resume', 'complete', 'finalize')


class JobsTest(unittest.TestCase):
    def setUp(self):
        self.server = qmp.fake_server(sys.argv[1])
        self.addCleanup(self.server.stop)
        self.client = qmp.Client(self.server.path)
        self.addCleanup(self.client.close)

    def begin(self, path='/snap', name='it'):
        return self.client.execute('x-vmm-snapshot', {'path': path, 'job-id': name})

    def job(self, verb, name='it'):
        return self.client.execute(f'job-{verb}', {'id': name})

    def refused(self, answer, why):
        self.assertEqual(answer['error'], {'class': 'GenericError', 'desc': why})

    def told(self):
        """Statuses since the last time."""
        self.client.command('query-kvm')
        events, self.client.events = self.client.events, []
        return [each['data']['status'] for each in events
                if each['event'] == 'JOB_STATUS_CHANGE']

    def listed(self):
        return self.client.command('query-jobs')

    def test_one_that_succeeds(self):
        self.assertEqual(self.begin('/at-once'), {'return': {}})

        self.assertEqual(self.told(), ['created', 'running', 'waiting', 'pending', 'concluded'])
        self.assertEqual(self.listed(), [
            {'id': 'it', 'type': 'snapshot-save', 'status': 'concluded',
             'current-progress': 4, 'total-progress': 4}])
        self.assertEqual(self.job('dismiss'), {'return': {}})
        self.assertEqual(self.told(), ['null'])
        self.assertEqual(self.listed(), [])

    def test_one_that_is_called_off(self):
        self.begin()
        self.assertEqual(self.told(), ['created', 'running'])
        self.assertEqual(self.listed(), [
            {'id': 'it', 'type': 'snapshot-save', 'status': 'running',
             'current-progress': 1, 'total-progress': 4}])

        self.assertEqual(self.job('cancel'), {'return': {}})

        self.assertEqual(self.told(), ['aborting', 'concluded'])
        self.assertEqual(self.listed()[0]['error'], 'called off')
        self.refused(self.job('cancel'),
                     "Job 'it' in state 'concluded' cannot accept command verb 'cancel'")

    def test_one_that_fails_at_once(self):
        self.begin()

        self.begin('/other', 'second')

        self.assertEqual(self.listed()[0], {
            'id': 'second', 'type': 'snapshot-save', 'status': 'concluded',
            'current-progress': 0, 'total-progress': 0, 'error': "'/other' has to wait"})
        self.job('dismiss', 'second')
        self.assertEqual([each['id'] for each in self.listed()], ['it'])

    def test_older_one_is_dismissed_first(self):
        self.begin('/at-once', 'old')
        self.begin('/at-once', 'new')

        self.job('dismiss', 'old')

        self.assertEqual([each['id'] for each in self.listed()], ['new'])

    def test_what_it_cannot_do(self):
        self.begin()

        for verb in (*VERBS, 'dismiss'):
            self.refused(self.job(verb),
                         f"Job 'it' in state 'running' cannot accept command verb '{verb}'")
        for verb in (*VERBS, 'dismiss', 'cancel'):
            self.refused(self.job(verb, 'other'), 'Job not found')

    def test_ids_that_cannot_be(self):
        self.begin()

        self.refused(self.begin(), "Job ID 'it' already in use")
        self.refused(self.begin(name='1x'), "Invalid job ID '1x'")
        self.refused(self.begin('snap', 'other'),
                     "path 'snap' has to be absolute: the VM does not know your folder")
        self.assertEqual(len(self.listed()), 1)

    def test_client_that_leaves_does_not_matter(self):
        with qmp.Client(self.server.path) as other:
            other.execute('x-vmm-snapshot', {'path': '/snap', 'job-id': 'it'})

        self.assertEqual(self.listed()[0]['status'], 'running')


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1], verbosity=2)
