"""Load for a guest whose power is about to go, and the account of what it acknowledged."""
import base64
import hashlib
import io
import json
import os
import random
import tarfile
import threading
import time
import urllib.error
import urllib.request

from tasks import container, register

MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
CONFIG = 'application/vnd.oci.image.config.v1+json'
LAYER = 'application/vnd.oci.image.layer.v1.tar'


class Account:
    """What was acknowledged, over all lives of the guest."""

    def __init__(self):
        self.lock = threading.Lock()
        self.definitions = {}  # arn -> command
        self.tasks, self.stopped = set(), set()
        self.lines = {}  # stream -> messages, in order
        self.manifests, self.tags = {}, {}  # digest -> bytes; tag -> the digests it may have
        self.runnable = {}  # tag -> what sha256sum of its /data says
        self.count, self.counts = 1, {1}  # of the service: the last one, and what it may be

    def summary(self):
        return (f'{len(self.definitions)} definitions, {len(self.tasks)} tasks, '
                f'{len(self.stopped)} stopped, {sum(map(len, self.lines.values()))} log events, '
                f'{len(self.manifests)} manifests, {len(self.runnable)} images')


class Registry:
    def __init__(self, guest):
        self.base = f'http://127.0.0.1:{guest.port}/v2/blobs'
        self.auth = 'Basic ' + base64.b64encode(guest.registry_login().encode()).decode()

    def call(self, method, path, data=None, **headers):
        url = path if path.startswith('http') else self.base + path
        r = urllib.request.Request(url, data, method=method, headers={
            'Authorization': self.auth, **{k.replace('_', '-'): v for k, v in headers.items()}})
        with urllib.request.urlopen(r, timeout=20) as answer:
            return answer.headers, answer.read()

    def put_blob(self, data, chunks):
        digest = 'sha256:' + hashlib.sha256(data).hexdigest()
        headers, _ = self.call('POST', '/blobs/uploads/', b'')
        at = self._location(headers)
        size = -(-len(data) // chunks)
        for i in range(0, len(data), size) if chunks > 1 else ():
            part = data[i:i + size]
            headers, _ = self.call('PATCH', at, part, Content_Type='application/octet-stream',
                                   Content_Range=f'{i}-{i + len(part) - 1}')
            at = self._location(headers)
        at += ('&' if '?' in at else '?') + 'digest=' + digest
        self.call('PUT', at, b'' if chunks > 1 else data, Content_Type='application/octet-stream')
        return digest

    def _location(self, headers):
        at = headers['Location']
        return at if at.startswith('http') else self.base.split('/v2/')[0] + at


class Layout:
    """An OCI layout to which a layer of random bytes is added, so that a node has to pull it."""

    def __init__(self, path):
        self.path = path
        with open(os.path.join(path, 'index.json')) as f:
            self.manifest = json.loads(self.blob(json.load(f)['manifests'][0]['digest']))
        self.config = json.loads(self.blob(self.manifest['config']['digest']))

    def blob(self, digest):
        with open(os.path.join(self.path, 'blobs', *digest.split(':')), 'rb') as f:
            return f.read()

    def push(self, registry, tag, data):
        tar = io.BytesIO()
        with tarfile.open(fileobj=tar, mode='w') as t:
            info = tarfile.TarInfo('data')
            info.size = len(data)
            t.addfile(info, io.BytesIO(data))
        config, layers = json.loads(json.dumps(self.config)), list(self.manifest['layers'])
        for layer in layers:
            registry.put_blob(self.blob(layer['digest']), 1)
        digest = registry.put_blob(tar.getvalue(), 1)
        layers.append({'mediaType': LAYER, 'digest': digest, 'size': len(tar.getvalue())})
        config['rootfs']['diff_ids'].append(digest)
        config = json.dumps(config).encode()
        manifest = json.dumps(dict(self.manifest, layers=layers, config={
            'mediaType': CONFIG, 'digest': registry.put_blob(config, 1),
            'size': len(config)})).encode()
        registry.call('PUT', f'/manifests/{tag}', manifest, Content_Type=MANIFEST)


class Load:
    """Threads that call until the power goes. Whatever gets no answer may or may not be there."""

    def __init__(self, guest, account, layout, seed):
        self.guest, self.account, self.layout = guest, account, Layout(layout)
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self._loop, args=(f, random.Random(f'{seed}/{n}')))
                        for n, f in enumerate((self._definition, self._task, self._log,
                                               self._push, self._service, self._pull))]

    def start(self):
        for t in self.threads:
            t.start()

    def end(self):
        self.over.set()
        for t in self.threads:
            t.join()

    def _loop(self, step, rng):
        state = {}
        while not self.over.is_set():
            try:
                step(rng, state)
            except Exception:  # the guest is dead, or slow: then nothing was acknowledged
                time.sleep(0.05)

    def _client(self, state, service):
        if service not in state:
            state[service] = self.guest.client(service)
        return state[service]

    def _definition(self, rng, state):
        command = ['echo', 'x' * rng.randint(1, 20000)]
        r = self._client(state, 'ecs').register_task_definition(
            family=f'made-{rng.randint(0, 3)}',
            containerDefinitions=[container('none:1', command=command)])
        with self.account.lock:
            self.account.definitions[r['taskDefinition']['taskDefinitionArn']] = command
        time.sleep(0.03)

    def _task(self, rng, state):
        ecs = self._client(state, 'ecs')
        running = state.setdefault('running', [])
        if len(running) < 3:
            r = ecs.run_task(taskDefinition='sleeper')
            running += [t['taskArn'] for t in r['tasks']]
            with self.account.lock:
                self.account.tasks.update(t['taskArn'] for t in r['tasks'])
        else:
            arn = running.pop(rng.randrange(len(running)))
            ecs.stop_task(task=arn, reason='load')
            with self.account.lock:
                self.account.stopped.add(arn)
        time.sleep(rng.random() * 0.3)

    def _log(self, rng, state):
        stream = f's{rng.randint(0, 2)}'
        mine = self.account.lines.setdefault(stream, [])
        now = int(time.time() * 1000)
        texts = [f'{len(mine) + i} ' + 'y' * rng.randint(1, 300) for i in range(rng.randint(1, 40))]
        self._client(state, 'logs').put_log_events(
            logGroupName='/load', logStreamName=stream,
            logEvents=[{'timestamp': now, 'message': t} for t in texts])
        with self.account.lock:
            mine += texts

    def _push(self, rng, state):
        if 'registry' not in state:
            state['registry'] = Registry(self.guest)
        r = state['registry']
        data = [rng.randbytes(rng.randint(1, 200000)) for _ in range(2)]
        digests = [r.put_blob(d, rng.choice((1, 1, 3))) for d in data]
        manifest = json.dumps({'schemaVersion': 2, 'mediaType': MANIFEST, 'config': {
            'mediaType': CONFIG, 'digest': digests[0], 'size': len(data[0])}, 'layers': [{
                'mediaType': LAYER, 'digest': digests[1], 'size': len(data[1])}]}).encode()
        digest = 'sha256:' + hashlib.sha256(manifest).hexdigest()
        tag = f't{rng.randint(0, 9)}'
        with self.account.lock:
            self.account.tags.setdefault(tag, set()).add(digest)
        r.call('PUT', f'/manifests/{tag}', manifest, Content_Type=MANIFEST)
        with self.account.lock:
            self.account.manifests[digest] = manifest
            self.account.tags[tag] = {digest}

    def _service(self, rng, state):
        count = rng.randint(1, 3)
        with self.account.lock:
            self.account.counts.add(count)
        self._client(state, 'ecs').update_service(service='kept', desiredCount=count)
        with self.account.lock:
            self.account.counts, self.account.count = {count}, count
        time.sleep(rng.random())

    def _pull(self, rng, state):
        """An image of its own each time: the node fetches and unpacks it while the power goes."""
        if 'registry' not in state:
            state['registry'] = Registry(self.guest)
        data = rng.randbytes(rng.randint(1, 3000000))
        tag = f'run-{len(self.account.runnable)}'
        self.layout.push(state['registry'], tag, data)
        with self.account.lock:
            self.account.runnable[tag] = hashlib.sha256(data).hexdigest()
        image = f'{self.guest.registry}/blobs:{tag}'
        arn = register(self.guest, tag, container(image, command=['sha256sum', '/data']),
                       networkMode='host')
        r = self._client(state, 'ecs').run_task(taskDefinition=arn)
        with self.account.lock:
            self.account.tasks.update(t['taskArn'] for t in r['tasks'])
        time.sleep(rng.random())


def prepare(guest, image):
    """What the load works on."""
    ecs, logs = guest.client('ecs'), guest.client('logs')
    c = container(image, command=['sleep', '1000'], memory=8, stopTimeout=2)
    register(guest, 'sleeper', c, networkMode='host')
    register(guest, 'kept', c)
    ecs.create_service(serviceName='kept', taskDefinition='kept', desiredCount=1)
    logs.create_log_group(logGroupName='/load')
    for i in range(3):
        logs.create_log_stream(logGroupName='/load', logStreamName=f's{i}')
    guest.client('ecr').create_repository(repositoryName='blobs')


def check(guest, account):
    """Holds what is there against the account."""
    _check_ecs(guest, account)
    _check_logs(guest, account)
    _check_registry(guest, account)
    _check_node(guest, account)


def _check_node(guest, account):
    """The images of the last life, as far as they go: a layer is whole or is fetched again."""
    while account.runnable:
        tag, expected = account.runnable.popitem()
        r = guest.cli('run', f'{guest.registry}/blobs:{tag}', 'sha256sum', '/data')
        assert expected in r.stdout, (tag, expected, r.stdout)


def _check_ecs(guest, account):
    ecs = guest.client('ecs')
    for arn, command in account.definitions.items():
        d = ecs.describe_task_definition(taskDefinition=arn)['taskDefinition']
        assert d['containerDefinitions'][0]['command'] == command, arn
    arns = sorted(account.tasks)
    for i in range(0, len(arns), 100):
        r = ecs.describe_tasks(tasks=arns[i:i + 100])
        assert not r['failures'], r['failures']
        for t in r['tasks']:
            assert t['desiredStatus'] == 'STOPPED' or t['taskArn'] not in account.stopped, t
    service, = ecs.describe_services(services=['kept'])['services']
    assert service['desiredCount'] in account.counts, (service['desiredCount'], account.counts)
    account.count = service['desiredCount']
    account.counts = {account.count}


def _check_logs(guest, account):
    logs = guest.client('logs')
    for stream, expected in account.lines.items():
        found, token = [], None
        while True:
            more = {'nextToken': token} if token else {}
            r = logs.get_log_events(logGroupName='/load', logStreamName=stream,
                                    startFromHead=True, **more)
            found += [e['message'] for e in r['events']]
            if r['nextForwardToken'] == token or not r['events']:
                break
            token = r['nextForwardToken']
        missing = set(expected) - set(found)
        assert not missing, f'{stream}: {len(missing)} of {len(expected)} log events are lost'


def _check_registry(guest, account):
    r = Registry(guest)
    for digest, manifest in account.manifests.items():
        assert r.call('GET', '/manifests/' + digest, Accept=MANIFEST)[1] == manifest, digest
        for part in [json.loads(manifest)['config'], *json.loads(manifest)['layers']]:
            data = r.call('GET', '/blobs/' + part['digest'])[1]
            assert 'sha256:' + hashlib.sha256(data).hexdigest() == part['digest']
    for tag, digests in account.tags.items():
        try:
            found = r.call('GET', '/manifests/' + tag, Accept=MANIFEST)[1]
        except urllib.error.HTTPError as e:
            assert e.code == 404 and not digests & set(account.manifests), (tag, digests)
            continue
        assert 'sha256:' + hashlib.sha256(found).hexdigest() in digests, tag
