"""Bad input gets the error that AWS gives, or a task that says why; nothing else is disturbed."""
import datetime
import os
import socket
import subprocess
import time

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest

from botocore.exceptions import BotoCoreError, ClientError
from conftest import Gantry, wait_for
from tasks import (container, describe, exit_codes, make_group, output, register, run, say, stop,
                   wait_status, with_logs)

TARGET = 'AmazonEC2ContainerServiceV20141113.'


@pytest.fixture(scope='module', autouse=True)
def bystander(gantry, busybox):
    """A task that must not notice anything of what this file does."""
    arn = run(gantry, register(gantry, 'bystander', container(busybox, command=['sleep', '10000'],
                                                              stopTimeout=1)))
    started = wait_status(gantry, arn, 'RUNNING')['startedAt']
    server, agent = gantry.pid_of('gantry-server'), gantry.pid_of('gantry-agent')
    yield arn
    t = describe(gantry, arn)
    assert t['lastStatus'] == 'RUNNING' and t['startedAt'] == started
    assert gantry.cli('exec', arn.split('/')[-1], 'true', check=False).returncode == 0
    assert (gantry.pid_of('gantry-server'), gantry.pid_of('gantry-agent')) == (server, agent)
    stop(gantry, arn)


# --- bytes on the wire

def raw(gantry, data, seconds=10):
    """Sends bytes, and reads until the server has answered or closed."""
    with socket.create_connection(('127.0.0.1', gantry.port), timeout=seconds) as s:
        try:
            s.sendall(data)
        except OSError:
            pass  # refused while we were still talking
        answer = b''
        try:
            while b'\r\n\r\n' not in answer or len(answer.split(b'\r\n\r\n', 1)[1]) < length(answer):
                got = s.recv(65536)
                if not got:
                    break
                answer += got
        except ConnectionResetError:
            pass
    return answer


def length(answer):
    for line in answer.split(b'\r\n\r\n')[0].lower().split(b'\r\n'):
        if line.startswith(b'content-length:'):
            return int(line.split(b':')[1])
    return 0


def status(answer):
    return int(answer.split(b' ', 2)[1]) if answer else None


def signed(gantry, body, target='ListClusters', when=None, secret=None, access=None, service='ecs',
           change=None):
    """Sends a request whose SigV4 signature is made by botocore; answers (status, text)."""
    key = gantry.key()
    credentials = botocore.credentials.Credentials(access or key['accessKeyId'],
                                                   secret or key['secretAccessKey'])
    r = botocore.awsrequest.AWSRequest(
        'POST', gantry.endpoint + '/', data=body,
        headers={'X-Amz-Target': TARGET + target, 'Content-Type': 'application/x-amz-json-1.1'})
    auth = botocore.auth.SigV4Auth(credentials, service, 'us-east-1')
    real = datetime.datetime
    if when:
        class Then(real):
            @classmethod
            def utcnow(cls):
                return real.utcnow() + when

            @classmethod
            def now(cls, tz=None):
                return real.now(tz) + when
        botocore.auth.datetime.datetime = Then
    try:
        auth.add_auth(r)
    finally:
        botocore.auth.datetime.datetime = real
    sent = r.prepare()
    data = sent.body if isinstance(sent.body, bytes) else (sent.body or '').encode()
    if change:
        data = change(data)
    head = f'POST / HTTP/1.1\r\nHost: 127.0.0.1:{gantry.port}\r\nContent-Length: {len(data)}\r\n'
    for k, v in sent.headers.items():
        v = v.decode() if isinstance(v, bytes) else v
        if k.lower() not in ('host', 'content-length'):
            head += f'{k}: {v}\r\n'
    answer = raw(gantry, head.encode() + b'\r\n' + data)
    return status(answer), answer.decode(errors='replace')


def test_control_of_the_helper(gantry):
    assert signed(gantry, '{}')[0] == 200


@pytest.mark.parametrize('body', ['{', '[]', '"x"', '{"a":', 'null x', '{"nextToken":"\\ud800"}',
                                  '[' * 5000, '{"a":' * 2000, '\x00', '{"nextToken":1e999}'])
def test_malformed_json(gantry, body):
    code, text = signed(gantry, body)
    assert code == 400 and ('SerializationException' in text or 'Exception' in text), text


@pytest.mark.parametrize('body,word', [
    ('{"cluster":5}', 'Exception'), ('{"maxResults":"many"}', 'Exception'),
    ('{"tasks":"x"}', 'Exception'), ('{"tasks":[{}]}', 'Exception')])
def test_wrong_types(gantry, body, word):
    target = 'ListTasks' if 'tasks' not in body else 'DescribeTasks'
    code, text = signed(gantry, body, target)
    assert code == 400 and 'SerializationException' in text, text


def test_unknown_operation(gantry):
    code, text = signed(gantry, '{}', 'MakeCoffee')
    assert code in (400, 404) and 'UnknownOperationException' in text


def test_operation_that_is_not_done_says_its_name(gantry):
    code, text = signed(gantry, '{"name":"x","autoScalingGroupProvider":'
                        '{"autoScalingGroupArn":"x"}}', 'CreateCapacityProvider')
    assert 400 <= code < 502 and 'CreateCapacityProvider' in text, text


def test_wrong_signatures(gantry):
    for change in ({'secret': 'x' * 40}, {'access': 'AKIAUNKNOWN000000000'}):
        code, text = signed(gantry, '{}', **change)
        assert code in (400, 403) and ('InvalidSignatureException' in text or
                                       'UnrecognizedClientException' in text), text
    code, text = signed(gantry, '{"maxResults":1}', change=lambda d: d.replace(b'1', b'2'))
    assert code in (400, 403) and 'InvalidSignatureException' in text


@pytest.mark.parametrize('minutes', [-20, 20, -60 * 24 * 400])
def test_expired_signatures(gantry, minutes):
    code, text = signed(gantry, '{}', when=datetime.timedelta(minutes=minutes))
    assert code in (400, 403) and 'InvalidSignatureException' in text
    assert 'expired' in text or 'not yet current' in text, text


def test_no_signature(gantry):
    answer = raw(gantry, b'POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: ' + TARGET.encode() +
                 b'ListClusters\r\nContent-Type: application/x-amz-json-1.1\r\n'
                 b'Content-Length: 2\r\n\r\n{}')
    assert status(answer) in (400, 403) and b'MissingAuthenticationToken' in answer


@pytest.mark.parametrize('head', [
    b'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}x',
    b'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}',
    b'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -2\r\n\r\n{}',
    b'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n{}',
    b'POST / HTTP/1.1\r\nHost: x\r\nContent-Length : 2\r\n\r\n{}',
    b'POST / HTTP/1.1\r\n\r\n', b'GET\r\n\r\n', b'\x16\x03\x01\x02\x00\x01\x00\r\n\r\n',
    b'GET / HTTP/1.1\r\nHost: x\r\n' + b'A: b\r\n' * 5000 + b'\r\n',
    b'GET /' + b'a' * 100000 + b' HTTP/1.1\r\nHost: x\r\n\r\n',
    b'GET / HTTP/1.1\r\nHost: x\r\nA: ' + b'b' * 300000 + b'\r\n\r\n'],
    ids=['twice', 'both', 'negative', 'huge', 'space', 'nohost', 'short', 'tls', 'many', 'path',
         'long'])
def test_malformed_http_is_refused_and_closed(gantry, head):
    answer = raw(gantry, head)
    assert answer == b'' or 400 <= status(answer) < 500 or status(answer) == 505, answer[:200]


def test_oversized_body(gantry):
    head = (b'POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: ' + TARGET.encode() +
            b'ListClusters\r\nContent-Length: 900000000\r\n\r\n')
    answer = raw(gantry, head + b'x' * 65536)
    assert status(answer) in (400, 403, 413)


def test_a_client_that_says_nothing_stops_nobody(gantry):
    idle = [socket.create_connection(('127.0.0.1', gantry.port)) for _ in range(50)]
    for s in idle:
        s.sendall(b'POST / HTTP/1.1\r\nHost: x\r\nContent-Le')
    began = time.monotonic()
    gantry.client('ecs').list_clusters()
    assert time.monotonic() - began < 5
    for s in idle:
        s.close()


# --- what the API refuses

def refused(call, code, *words, **members):
    with pytest.raises(ClientError) as e:
        call(**members)
    assert e.value.response['Error']['Code'] == code, e.value
    for w in words:
        assert w in str(e.value), e.value


def test_missing_members_and_long_names(gantry):
    from botocore.config import Config
    key = gantry.key()
    import boto3
    loose = boto3.client('ecs', endpoint_url=gantry.endpoint, region_name='us-east-1',
                         aws_access_key_id=key['accessKeyId'],
                         aws_secret_access_key=key['secretAccessKey'],
                         config=Config(retries={'max_attempts': 0}, parameter_validation=False))
    for call, members in ((loose.run_task, {}), (loose.describe_tasks, {}),
                          (loose.register_task_definition, {'family': 'x'}),
                          (loose.create_service, {'taskDefinition': 'x'})):
        with pytest.raises(ClientError) as e:
            call(**members)
        assert e.value.response['ResponseMetadata']['HTTPStatusCode'] == 400
        assert e.value.response['Error']['Code'] in ('InvalidParameterException',
                                                     'ClientException', 'ValidationException')
    refused(loose.create_cluster, 'InvalidParameterException', clusterName='x' * 256)
    refused(loose.create_cluster, 'InvalidParameterException', clusterName='a b')
    refused(loose.register_task_definition, 'ClientException', family='f' * 256,
            containerDefinitions=[container('i')])
    refused(loose.create_service, 'InvalidParameterException', serviceName='s' * 256,
            taskDefinition='x', desiredCount=1)
    ecr = gantry.client('ecr')
    refused(ecr.create_repository, 'InvalidParameterException', repositoryName='UPPER')
    refused(ecr.create_repository, 'InvalidParameterException', repositoryName='a' * 300)


def test_unknown_things(gantry, busybox):
    ecs = gantry.client('ecs')
    d = register(gantry, 'known', container(busybox))
    refused(ecs.run_task, 'ClusterNotFoundException', cluster='nowhere', taskDefinition=d)
    refused(ecs.list_tasks, 'ClusterNotFoundException', cluster='nowhere')
    refused(ecs.run_task, 'ClientException', taskDefinition='nothing')
    refused(ecs.stop_task, 'InvalidParameterException', task='0' * 32)
    refused(ecs.update_service, 'ServiceNotFoundException', service='nothing', desiredCount=1)
    refused(gantry.client('ecr').list_images, 'RepositoryNotFoundException',
            repositoryName='nothing')
    refused(gantry.client('logs').get_log_events, 'ResourceNotFoundException',
            logGroupName='/no', logStreamName='no')
    r = ecs.describe_tasks(tasks=['0' * 32])
    assert r['tasks'] == [] and r['failures'][0]['reason'] == 'MISSING'


@pytest.mark.parametrize('more,word', [
    ({'memory': 3}, 'memory'), ({'cpu': -1}, 'cpu'), ({'name': 'a b'}, 'name'),
    ({'portMappings': [{'containerPort': 70000}]}, ''),
    ({'mountPoints': [{'sourceVolume': 'none', 'containerPath': '/x'}]}, 'volume'),
    ({'dependsOn': [{'containerName': 'main', 'condition': 'START'}]}, ''),
    ({'dependsOn': [{'containerName': 'other', 'condition': 'START'}]}, 'other'),
    ({'ulimits': [{'name': 'nofile', 'softLimit': 9, 'hardLimit': 3}]}, ''),
    ({'linuxParameters': {'capabilities': {'add': ['FLY']}}}, 'FLY')])
def test_container_definitions_that_cannot_be(gantry, busybox, more, word):
    with pytest.raises(ClientError) as e:
        register(gantry, 'bad', container(busybox, **more))
    assert e.value.response['Error']['Code'] in ('ClientException', 'InvalidParameterException')
    assert word.lower() in str(e.value).lower()


# --- tasks that cannot start say why

def fails(gantry, code, *words, task=None, overrides=None, **more):
    image = more.pop('image')
    d = register(gantry, 'fails', container(image, **more), **(task or {}))
    arn = run(gantry, d, **({'overrides': overrides} if overrides else {}))
    t = wait_status(gantry, arn, 'STOPPED')
    assert t['stopCode'] == code, t
    for w in words:
        assert w in t['stoppedReason'], t['stoppedReason']
    return t


def test_images_that_are_not_there(gantry):
    for image in (gantry.registry + '/nothing:1', '127.0.0.1:1/nobody/home:1'):
        fails(gantry, 'TaskFailedToStart', 'CannotPullContainerError', image.split('/', 1)[1]
              .split(':')[0], image=image)


def test_tag_and_digest_that_are_not_there(gantry, busybox):
    name = busybox.rsplit(':', 1)[0]
    fails(gantry, 'TaskFailedToStart', 'CannotPullContainerError', image=name + ':no')
    fails(gantry, 'TaskFailedToStart', 'CannotPullContainerError',
          image=name + '@sha256:' + '0' * 64)


def test_commands_and_users_that_are_not_there(gantry, busybox):
    start = ('TaskFailedToStart', 'CannotStartContainerError')
    fails(gantry, *start, '/no/such', image=busybox, command=['/no/such'])
    fails(gantry, *start, '/etc/passwd', image=busybox, command=['/etc/passwd'])
    fails(gantry, *start, 'nobodyhere', image=busybox, user='nobodyhere', command=['true'])
    fails(gantry, *start, 'nogrouphere', image=busybox, user='33:nogrouphere', command=['true'])


def test_a_volume_in_the_way(gantry, busybox, tmp_path):
    (tmp_path / 'file').write_text('x')
    volumes = {'volumes': [{'name': 'v', 'host': {'sourcePath': str(tmp_path / 'file' / 'sub')}}]}
    fails(gantry, 'TaskFailedToStart', 'file/sub', task=volumes, image=busybox, command=['true'],
          mountPoints=[{'sourceVolume': 'v', 'containerPath': '/v'}])


def test_a_port_that_gantry_has_given_out(gantry, busybox):
    from conftest import free_port
    port = free_port()
    d = register(gantry, 'port', container(busybox, command=['sleep', '1000'], stopTimeout=1,
                                           portMappings=[{'containerPort': 80, 'hostPort': port}]))
    arn = run(gantry, d)
    r = gantry.client('ecs').run_task(taskDefinition=d)
    assert r['tasks'] == [] and r['failures'][0]['reason'] == 'RESOURCE:PORTS'
    stop(gantry, arn)
    stop(gantry, run(gantry, d))


def test_a_port_that_another_process_has(gantry, busybox):
    with socket.socket() as s:
        s.bind(('0.0.0.0', 0))
        s.listen()
        port = s.getsockname()[1]
        fails(gantry, 'TaskFailedToStart', 'CannotStartContainerError', str(port), image=busybox,
              command=['sleep', '1000'], stopTimeout=1,
              portMappings=[{'containerPort': 80, 'hostPort': port}])


def test_more_memory_than_there_is(gantry, busybox):
    d = register(gantry, 'huge', container(busybox, memory=100 << 20))
    r = gantry.client('ecs').run_task(taskDefinition=d)
    assert r['tasks'] == [] and r['failures'][0]['reason'] == 'RESOURCE:MEMORY'


# --- a full disk

@pytest.fixture
def small_disk():
    """A Gantry whose state folder is a small file system."""
    g = Gantry()
    os.makedirs(g.state)
    subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=300m', 'small', g.state], check=True)
    try:
        g.start()
        yield g
    finally:
        g.down()
        subprocess.run(['umount', '-l', g.state], check=True)
        g.remove()


def test_full_disk(small_disk, busybox_layout):
    g = small_disk
    image = g.push(busybox_layout, 'busybox:1')
    arn = run(g, register(g, 'full', container(image, command=['sleep', '1000'], stopTimeout=1)))
    wait_status(g, arn, 'RUNNING')
    filler = os.path.join(g.state, 'filler')
    with pytest.raises(OSError), open(filler, "wb", buffering=0) as f:
        while True:
            f.write(b'x' * 4096)
    # A commit that finds no room costs the server its process: what it had told nobody is void.
    ecs, refusal = g.client('ecs'), None

    def is_refused():
        nonlocal refusal
        try:
            ecs.register_task_definition(family='f', containerDefinitions=[
                container(image, command=['x' * 20000])])
        except ClientError as e:
            refusal = e.response
        except BotoCoreError:
            pass
        return refusal
    wait_for(is_refused, 30, 0.01)
    assert refusal['ResponseMetadata']['HTTPStatusCode'] >= 500
    assert 'room' in refusal['Error']['Message']
    assert describe(g, arn)['lastStatus'] == 'RUNNING'
    wait_for(lambda: g.cli('exec', arn.split('/')[-1], 'true', check=False).returncode == 0, 10)
    os.unlink(filler)

    def works():
        try:
            return ecs.create_cluster(clusterName='again')
        except (ClientError, BotoCoreError):
            return None
    wait_for(works, 20)
    assert exit_codes(wait_status(g, run(g, register(g, 'room', container(
        image, command=['true']))), 'STOPPED')) == {'main': 0}
    stop(g, arn)
