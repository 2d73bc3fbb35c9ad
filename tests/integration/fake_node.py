"""A node that speaks the agent protocol and runs nothing: what it is asked to run, it reports as
running, until it is asked to stop it."""
import json
import threading
import urllib.error
import urllib.request

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


class Refused(Exception):
    pass


class FakeNode:
    def __init__(self, endpoint, key, name='fake', cpu=8192, memory=16384, own_key=False, silent=False, **more):
        self.endpoint, self.key = endpoint, key
        self.fail = None  # a task definition's family whose tasks do not start
        self.tasks = {}
        self.stop = False
        self.register = dict(name=name, nodeId=name, cpu=cpu, memory=memory, version='0',
                             attributes=[], **more)
        self.session = self.call('RegisterNode', self.register)['session']
        if own_key:  # as a real one: only then the server misses it when it is silent
            key = self.call('RenewNodeKey', {'nodeId': name})
            self.key = key['accessKeyId'], key['secretAccessKey']
            self.session = self.call('RegisterNode', self.register)['session']
        self.thread = None
        if not silent:  # else it says only what call() is told to
            self.run()

    def run(self):
        """From the start or once more after end(), in the session that it has."""
        self.stop = False
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def call(self, op, body):
        return self.post('/', json.dumps(body).encode(), {
            'X-Amz-Target': 'GantryAgent_20261101.' + op,
            'Content-Type': 'application/x-amz-json-1.1'})

    def post(self, path, data, headers):
        request = AWSRequest('POST', self.endpoint + path, data=data, headers=headers)
        SigV4Auth(Credentials(*self.key), 'gantry', 'us-east-1').add_auth(request)
        try:
            with urllib.request.urlopen(urllib.request.Request(
                    request.url, data=data, headers=dict(request.headers)), timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as e:
            raise Refused(e.read().decode()) from None

    def work(self):
        revision, more = 0, {}
        while not self.stop:
            session = self.session
            try:
                got = self.call('Poll', dict(session=session, revision=revision, waitMs=1000, **more))
            except (Refused, OSError):
                if session != self.session:
                    revision, more = 0, {}
                    continue
                if not self.stop:
                    raise
                return
            revision = got['revision']
            more = {'more': got['more']} if 'more' in got else {}
            reports = [self.carry_out(t) for t in got['tasks']]
            if reports:
                self.call('Report', dict(session=self.session, tasks=reports))

    def carry_out(self, task):
        status = 'STOPPED' if task['desiredStatus'] == 'STOPPED' else 'RUNNING'
        report = dict(id=task['id'], generation=task['generation'],
                      sequence=task['sequence'] + 1, lastStatus=status)
        if task['family'] == self.fail:
            report.update(lastStatus='STOPPED', stopCode='TaskFailedToStart',
                          stoppedReason='CannotPullContainerError: no such image')
            status = 'STOPPED'
        report['containers'] = [dict(name=c['name'], lastStatus=status, runtimeId='r-' + c['name'])
                                for c in task['containers']]
        if status == 'STOPPED' and 'stoppedReason' not in report:
            for c in report['containers']:
                c['exitCode'] = 0
        self.tasks[task['id']] = task
        return report

    def end(self):
        self.stop = True
        if self.thread:
            self.thread.join(5)
