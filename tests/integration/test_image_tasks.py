"""Images through the whole of Gantry: pushed to its registry, pulled by its node; and bad images, each
of which stops its own task with the cause and disturbs nothing else."""
import base64
import os
import subprocess

import pytest

from conftest import wait_for
from fake_registry import Fault, Registry, item
from test_image import HOSTILE, Store


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / 'store')


@pytest.fixture
def registry():
    r = Registry()
    yield r
    r.close()


def credentials(gantry):
    token = gantry.client('ecr').get_authorization_token()['authorizationData'][0]
    return base64.b64decode(token['authorizationToken']).decode()


def copy_to_gantry(gantry, registry, name):
    """From the fake registry to Gantry's, layers unseen, as skopeo does it."""
    ecr = gantry.client('ecr')
    try:
        ecr.create_repository(repositoryName=name)
    except ecr.exceptions.RepositoryAlreadyExistsException:
        pass
    subprocess.run(['skopeo', 'copy', '--quiet', '--src-tls-verify=false', '--dest-tls-verify=false',
                    '--dest-creds', credentials(gantry), f'docker://{registry.host}/{name}:1',
                    f'docker://{gantry.registry}/{name}:1'], check=True)
    return f'{gantry.registry}/{name}:1'


def run_to_end(gantry, image, family, command=None):
    ecs = gantry.client('ecs')
    container = {'name': 'main', 'image': image, 'memory': 64}
    if command:
        container['command'] = command
    d = ecs.register_task_definition(family=family, containerDefinitions=[container])
    r = ecs.run_task(taskDefinition=d['taskDefinition']['taskDefinitionArn'])
    assert not r['failures'], r['failures']
    arn = r['tasks'][0]['taskArn']

    def stopped():
        t = ecs.describe_tasks(tasks=[arn])['tasks'][0]
        return t if t['lastStatus'] == 'STOPPED' else None
    return wait_for(stopped, 40)


def assert_refused(gantry, image, family, *words):
    t = run_to_end(gantry, image, family, ['true'])
    assert t['stopCode'] == 'TaskFailedToStart', t
    assert t['stoppedReason'].startswith('CannotPullContainerError: '), t['stoppedReason']
    for w in words:
        assert w in t['stoppedReason']


def test_pull_from_gantrys_registry(gantry, busybox, store):
    store.refused(busybox, 'pull access denied')
    fetched = store.pull(busybox, options=['-u', credentials(gantry)])
    other = Store(store.path + '2')
    blobs = os.path.join(gantry.state, 'server', 'blobs')
    local = other.pull(busybox, options=['-u', credentials(gantry), '-l', blobs])
    assert fetched['manifest'] == local['manifest']
    # Without the layers' own files: one of the two may be durable already, and say so.
    r = subprocess.run(['diff', '-r', '--no-dereference', '-x', '*.json', store.path + '/layers',
                        other.path + '/layers'], stdout=subprocess.PIPE, text=True)
    assert r.returncode == 0, r.stdout


@pytest.mark.parametrize('name', ['dots', 'absolute', 'symlink out', 'hardlink out',
                                  'block device'])
def test_hostile_image_stops_its_task(gantry, busybox, registry, name):
    items, word = HOSTILE[name]
    repo = 'hostile-' + name.replace(' ', '-')
    registry.add_image(repo, [registry.add_layer(item('ok', 'x')), registry.add_layer(*items)])
    assert_refused(gantry, copy_to_gantry(gantry, registry, repo), repo, word)
    assert not os.path.exists('/evil')
    assert run_to_end(gantry, busybox, 'after', ['true'])['containers'][0]['exitCode'] == 0


def test_lying_image_stops_its_task(gantry, busybox, registry):
    layer = registry.add_layer(item('f', os.urandom(100_000)))
    other = registry.add_layer(item('g', 'x'))
    registry.add_image('lies', [layer])
    registry.add_image('swapped', [layer], diff_ids=[other[1]])
    good = registry.blobs[layer[0]['digest']]
    registry.faults = [Fault(layer[0]['digest'], data=good[:5000] + b'?' + good[5001:])]
    assert_refused(gantry, registry.host + '/lies:1', 'lies', 'unexpected commit digest')
    registry.faults = [Fault(layer[0]['digest'], data=good[:-10])]
    assert_refused(gantry, registry.host + '/lies:1', 'short', 'where the manifest says')
    registry.faults = []
    assert_refused(gantry, registry.host + '/swapped:1', 'swapped', 'diff id')
    assert_refused(gantry, registry.host + '/none:1', 'none', 'not found')
    assert_refused(gantry, 'localhost:1/none:1', 'nobody', 'connect')


def test_image_of_a_foreign_registry_runs(gantry, busybox_layout, registry):
    """What Gantry's own tools did not push: layers of busybox, configuration made here."""
    with open(os.path.join(busybox_layout, 'index.json')) as f:
        import json
        manifest = json.load(f)['manifests'][0]['digest'][7:]
    read = lambda d: open(f'{busybox_layout}/blobs/sha256/{d}', 'rb').read()
    doc = json.loads(read(manifest))
    config = json.loads(read(doc['config']['digest'][7:]))
    layer = registry.add_packed(read(doc['layers'][0]['digest'][7:]))
    registry.add_image('foreign', [(layer, config['rootfs']['diff_ids'][0])], config={
        'Entrypoint': ['sh', '-c'], 'Cmd': ['test "$A" = b && test $(pwd) = /tmp && exit 5'],
        'Env': ['PATH=/bin', 'A=b'], 'WorkingDir': '/tmp', 'User': '33'})
    t = run_to_end(gantry, registry.host + '/foreign:1', 'foreign')
    assert t['containers'][0]['exitCode'] == 5, t
    assert t['containers'][0]['imageDigest'].startswith('sha256:')


def test_reasons_are_text_whatever_names_there_are(gantry, busybox, registry):
    """Names in archives are bytes, and a long reason is cut somewhere: neither ends the agent."""
    agent = gantry.pid_of('gantry-agent')
    registry.add_image('bytes', [registry.add_layer(item('../\udcff\udcfe', 'x'))])
    assert_refused(gantry, registry.host + '/bytes:1', 'bytes', '?')
    for extra in range(4):  # the cut falls into the middle of a character for one of them
        t = run_to_end(gantry, busybox, 'cut', ['/' + 'x' * extra + '\U0001f433' * 200])
        assert t['stoppedReason'].startswith('CannotStartContainerError: '), t
    assert gantry.pid_of('gantry-agent') == agent
