"""CloudWatch Logs as boto3 and the aws command line see it, and what containers wrote."""
import json
import os
import struct
import subprocess
import threading
import time

import pytest
from botocore.exceptions import ClientError

from conftest import wait_for
from server import Server


def now():
    return int(time.time() * 1000)


@pytest.fixture(scope='module')
def server():
    s = Server()
    yield s
    s.end()


@pytest.fixture
def logs(server):
    return server.client('logs')


@pytest.fixture
def group(logs, request):
    name = '/test/' + request.node.name.split('[')[0]
    logs.create_log_group(logGroupName=name)
    yield name
    logs.delete_log_group(logGroupName=name)


def frame(text, source=1, at=None):
    return struct.pack('<QII', at or now(), source, len(text)) + text


def ship(server, group, stream, offset, body):
    """As an agent does. Returns the offset that the server wants next."""
    from urllib.parse import quote
    path = f'/_gantry/logs?group={quote(group, "")}&offset={offset}&stream={quote(stream, "")}'
    status, _, answer = server.post(body, service='gantry', path=path,
                                    headers={'X-Amz-Content-SHA256': 'UNSIGNED-PAYLOAD'})
    assert status == 200, answer
    return json.loads(answer)['nextOffset']


def code(error):
    return error.value.response['Error']['Code']


def put(logs, group, stream, *messages, at=None):
    at = at or now()
    return logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=[
        {'timestamp': at + i, 'message': m} for i, m in enumerate(messages)])


def test_groups(logs, group):
    with pytest.raises(ClientError) as e:
        logs.create_log_group(logGroupName=group)
    assert code(e) == 'ResourceAlreadyExistsException'
    with pytest.raises(ClientError) as e:
        logs.create_log_group(logGroupName='bad name')
    assert code(e) == 'InvalidParameterException'
    with pytest.raises(ClientError) as e:
        logs.delete_log_group(logGroupName='/nowhere')
    assert code(e) == 'ResourceNotFoundException'
    logs.put_retention_policy(logGroupName=group, retentionInDays=7)
    with pytest.raises(ClientError) as e:
        logs.put_retention_policy(logGroupName=group, retentionInDays=8)
    assert code(e) == 'InvalidParameterException'
    found = logs.describe_log_groups(logGroupNamePrefix=group)['logGroups']
    assert found[0]['retentionInDays'] == 7
    assert found[0]['arn'] == f'arn:aws:logs:us-east-1:000000000000:log-group:{group}:*'
    logs.delete_retention_policy(logGroupName=group)
    assert 'retentionInDays' not in logs.describe_log_groups(logGroupNamePrefix=group)['logGroups'][0]


def test_groups_page(logs, group):
    names = [f'/page/{i:03}' for i in range(60)]
    for n in names:
        logs.create_log_group(logGroupName=n)
    pages = list(logs.get_paginator('describe_log_groups').paginate(
        logGroupNamePrefix='/page/', PaginationConfig={'PageSize': 25}))
    assert [g['logGroupName'] for p in pages for g in p['logGroups']] == names
    assert len(pages) == 3
    assert [g['logGroupName'] for g in logs.describe_log_groups(
        logGroupNamePattern='ge/01')['logGroups']] == names[10:20]
    for n in names:
        logs.delete_log_group(logGroupName=n)


def test_tags(logs, group):
    arn = f'arn:aws:logs:us-east-1:000000000000:log-group:{group}'
    logs.tag_log_group(logGroupName=group, tags={'a': '1', 'b': '2'})
    logs.tag_resource(resourceArn=arn, tags={'b': '3'})
    logs.untag_resource(resourceArn=arn, tagKeys=['a'])
    assert logs.list_tags_for_resource(resourceArn=arn)['tags'] == {'b': '3'}
    assert logs.list_tags_log_group(logGroupName=group)['tags'] == {'b': '3'}


def call(server, operation, **body):
    """A request with members that Debian's boto3 does not know. (status, answer)"""
    status, _, answer = server.post(json.dumps(body).encode(), service='logs',
                                    target='Logs_20140328.' + operation)
    return status, json.loads(answer or b'{}')


def test_identifiers_and_classes_of_newer_clients(server, logs, group):
    arn = f'arn:aws:logs:us-east-1:000000000000:log-group:{group}'
    logs.create_log_stream(logGroupName=group, logStreamName='s')
    put(logs, group, 's', 'hello')
    for who in (group, arn):
        for operation, more, items in (('GetLogEvents', {'logStreamName': 's'}, 'events'),
                                       ('FilterLogEvents', {}, 'events'),
                                       ('DescribeLogStreams', {}, 'logStreams')):
            status, r = call(server, operation, logGroupIdentifier=who, **more)
            assert status == 200 and len(r[items]) == 1, r
    for operation in ('FilterLogEvents', 'DescribeLogStreams'):
        assert call(server, operation)[1]['__type'] == 'InvalidParameterException'
        status, r = call(server, operation, logGroupIdentifier=group, logGroupName=group)
        assert status == 400
        status, r = call(server, operation, logGroupIdentifier=arn.replace('us-east-1', 'eu-west-1'))
        assert r['__type'] == 'ResourceNotFoundException'
    status, r = call(server, 'DescribeLogGroups', logGroupIdentifiers=[arn])
    assert [g['logGroupName'] for g in r['logGroups']] == [group]
    assert r['logGroups'][0]['logGroupClass'] == 'STANDARD'
    assert r['logGroups'][0]['logGroupArn'] == arn
    assert call(server, 'DescribeLogGroups', logGroupClass='INFREQUENT_ACCESS')[1]['logGroups'] == []
    status, r = call(server, 'CreateLogGroup', logGroupName='ia', logGroupClass='INFREQUENT_ACCESS')
    assert status == 400 and r['__type'] == 'InvalidParameterException'
    status, r = call(server, 'CreateLogGroup', logGroupName='p', deletionProtectionEnabled=True)
    assert status == 400
    # What no model knows is ignored.
    status, r = call(server, 'FilterLogEvents', logGroupName=group, someThingNew={'a': 1})
    assert status == 200


def test_errors_say_what_aws_says(logs, group):
    logs.create_log_stream(logGroupName=group, logStreamName='s')

    def refused(name, operation, message, **more):
        with pytest.raises(ClientError) as e:
            getattr(logs, operation)(**more)
        error = e.value.response['Error']
        assert (error['Code'], error['Message']) == (name, message)

    no_group = 'The specified log group does not exist.'
    no_stream = 'The specified log stream does not exist.'
    missing, event = 'ResourceNotFoundException', [{'timestamp': now(), 'message': 'x'}]
    refused('ResourceAlreadyExistsException', 'create_log_group',
            'The specified log group already exists', logGroupName=group)
    refused('ResourceAlreadyExistsException', 'create_log_stream',
            'The specified log stream already exists', logGroupName=group, logStreamName='s')
    for operation in ('delete_log_group', 'describe_log_streams', 'filter_log_events',
                      'delete_retention_policy'):
        refused(missing, operation, no_group, logGroupName='nope')
    for operation in ('create_log_stream', 'delete_log_stream', 'get_log_events'):
        refused(missing, operation, no_group, logGroupName='nope', logStreamName='s')
    for operation in ('delete_log_stream', 'get_log_events'):
        refused(missing, operation, no_stream, logGroupName=group, logStreamName='nope')
    refused(missing, 'put_log_events', no_group, logGroupName='nope', logStreamName='s',
            logEvents=event)
    refused(missing, 'put_log_events', no_stream, logGroupName=group, logStreamName='nope',
            logEvents=event)
    refused('InvalidParameterException', 'put_retention_policy',
            'Invalid retention value. Valid values are: [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, '
            '365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653]',
            logGroupName='nope', retentionInDays=8)
    refused('InvalidParameterException', 'put_log_events',
            'Log events in a single PutLogEvents request must be in chronological order.',
            logGroupName=group, logStreamName='s', logEvents=[
                {'timestamp': now(), 'message': 'b'}, {'timestamp': now() - 10, 'message': 'a'}])
    refused('InvalidParameterException', 'get_log_events', 'The specified nextToken is invalid.',
            logGroupName=group, logStreamName='s', nextToken='f/12')


def test_what_is_past_its_retention_is_gone(logs, group):
    day = 24 * 3600 * 1000
    logs.create_log_stream(logGroupName=group, logStreamName='s')
    put(logs, group, 's', 'old', at=now() - 4 * day)
    put(logs, group, 's', 'new')
    s = logs.describe_log_streams(logGroupName=group)['logStreams'][0]
    assert s['firstEventTimestamp'] < now() - 3 * day
    logs.put_retention_policy(logGroupName=group, retentionInDays=3)
    got = logs.get_log_events(logGroupName=group, logStreamName='s', startFromHead=True)['events']
    assert [e['message'] for e in got] == ['new']
    got = logs.filter_log_events(logGroupName=group)['events']
    assert [e['message'] for e in got] == ['new']
    s = logs.describe_log_streams(logGroupName=group)['logStreams'][0]
    assert s['firstEventTimestamp'] > now() - 3 * day - 10000
    r = put(logs, group, 's', 'too late', at=now() - 4 * day)
    assert r['rejectedLogEventsInfo'] == {'expiredLogEventEndIndex': 1}


def test_a_batch_of_the_greatest_size(logs, group):
    logs.create_log_stream(logGroupName=group, logStreamName='s')
    t = now()
    r = logs.put_log_events(logGroupName=group, logStreamName='s', logEvents=[
        {'timestamp': t, 'message': f'{i:04}'} for i in range(10000)], sequenceToken='ignored')
    assert r['nextSequenceToken'] and 'rejectedLogEventsInfo' not in r
    got = logs.get_log_events(logGroupName=group, logStreamName='s', startFromHead=True)['events']
    assert [e['message'] for e in got] == [f'{i:04}' for i in range(10000)]
    with pytest.raises(ClientError):
        logs.put_log_events(logGroupName=group, logStreamName='s', logEvents=[
            {'timestamp': t, 'message': 'x'}] * 10001)
    logs.put_log_events(logGroupName=group, logStreamName='s', logEvents=[
        {'timestamp': t + 1, 'message': 'x' * (262144 - 26)}] * 4)


def test_streams(logs, group):
    for i in range(55):
        logs.create_log_stream(logGroupName=group, logStreamName=f's/{i:02}')
    with pytest.raises(ClientError) as e:
        logs.create_log_stream(logGroupName=group, logStreamName='s/00')
    assert code(e) == 'ResourceAlreadyExistsException'
    with pytest.raises(ClientError) as e:
        logs.create_log_stream(logGroupName='/nowhere', logStreamName='s')
    assert code(e) == 'ResourceNotFoundException'
    pages = logs.get_paginator('describe_log_streams').paginate(logGroupName=group)
    names = [s['logStreamName'] for p in pages for s in p['logStreams']]
    assert names == [f's/{i:02}' for i in range(55)]
    put(logs, group, 's/07', 'first', at=now() - 1000)
    put(logs, group, 's/03', 'last')
    order = logs.describe_log_streams(logGroupName=group, orderBy='LastEventTime', descending=True,
                                      limit=2)['logStreams']
    assert [s['logStreamName'] for s in order] == ['s/03', 's/07']
    assert order[0]['lastEventTimestamp'] >= order[1]['lastEventTimestamp']
    with pytest.raises(ClientError) as e:
        logs.describe_log_streams(logGroupName=group, orderBy='LastEventTime',
                                  logStreamNamePrefix='s')
    assert code(e) == 'InvalidParameterException'
    logs.delete_log_stream(logGroupName=group, logStreamName='s/07')
    with pytest.raises(ClientError) as e:
        put(logs, group, 's/07', 'gone')
    assert code(e) == 'ResourceNotFoundException'


def test_put_checks_the_batch(logs, group):
    logs.create_log_stream(logGroupName=group, logStreamName='s')
    t = now()

    def refused(*events):
        with pytest.raises(ClientError) as e:
            logs.put_log_events(logGroupName=group, logStreamName='s', logEvents=[
                {'timestamp': at, 'message': m} for at, m in events])
        assert code(e) == 'InvalidParameterException'

    refused((t, 'a'), (t - 1, 'b'))
    refused((t - 25 * 3600 * 1000, 'a'), (t, 'b'))
    refused((t, 'x' * 262144))
    refused(*[(t, 'x' * 200000)] * 6)
    day = 24 * 3600 * 1000
    r = logs.put_log_events(logGroupName=group, logStreamName='s', logEvents=[
        {'timestamp': t - 15 * day, 'message': 'too old'}])
    assert r['rejectedLogEventsInfo'] == {'tooOldLogEventEndIndex': 1}
    r = logs.put_log_events(logGroupName=group, logStreamName='s', logEvents=[
        {'timestamp': t, 'message': 'good'}, {'timestamp': t + 3 * 3600 * 1000, 'message': 'new'}])
    assert r['rejectedLogEventsInfo'] == {'tooNewLogEventStartIndex': 1}
    got = logs.get_log_events(logGroupName=group, logStreamName='s')['events']
    assert [e['message'] for e in got] == ['good']


def test_get_goes_both_ways_and_ends_with_the_same_token(logs, group):
    logs.create_log_stream(logGroupName=group, logStreamName='s')
    want = [f'm{i}' for i in range(10)]
    put(logs, group, 's', *want)

    def get(**more):
        return logs.get_log_events(logGroupName=group, logStreamName='s', limit=4, **more)

    r = get()
    assert [e['message'] for e in r['events']] == want[6:]
    forward = r['nextForwardToken']
    back = get(nextToken=r['nextBackwardToken'])
    assert [e['message'] for e in back['events']] == want[2:6]
    back = get(nextToken=back['nextBackwardToken'])
    assert [e['message'] for e in back['events']] == want[:2]
    end = get(nextToken=back['nextBackwardToken'])
    assert end['events'] == [] and end['nextBackwardToken'] == back['nextBackwardToken']
    r = get(nextToken=forward)
    assert r['events'] == [] and r['nextForwardToken'] == forward
    put(logs, group, 's', 'later', at=now() + 100)
    r = get(nextToken=forward)
    assert [e['message'] for e in r['events']] == ['later']
    seen, r = [], get(startFromHead=True)
    while r['events']:
        seen += [e['message'] for e in r['events']]
        r = get(nextToken=r['nextForwardToken'])
    assert seen == want + ['later']
    for token in ('x', 'f/123/s', forward[:-2]):
        with pytest.raises(ClientError) as e:
            get(nextToken=token)
        assert code(e) == 'InvalidParameterException'


def test_filter(logs, group):
    t = now() - 10000
    for s in ('web/1', 'web/2', 'db'):
        logs.create_log_stream(logGroupName=group, logStreamName=s)
    for i in range(30):
        put(logs, group, ('web/1', 'web/2', 'db')[i % 3],
            f'{"ERROR" if i % 5 == 0 else "INFO"} number {i}', at=t + i)

    def numbers(**more):
        pages = logs.get_paginator('filter_log_events').paginate(
            logGroupName=group, PaginationConfig={'PageSize': 7}, **more)
        return [int(e['message'].split()[-1]) for p in pages for e in p['events']]

    assert numbers() == list(range(30))
    assert numbers(filterPattern='ERROR') == list(range(0, 30, 5))
    assert numbers(filterPattern='number -ERROR -"number 7"') == [
        i for i in range(30) if i % 5 and i != 7]
    assert numbers(logStreamNames=['db']) == list(range(2, 30, 3))
    assert numbers(logStreamNamePrefix='web/') == [i for i in range(30) if i % 3 < 2]
    assert numbers(startTime=t + 10, endTime=t + 12) == [10, 11, 12]
    assert numbers(filterPattern='?ERROR ?"number 7"') == [0, 5, 7, 10, 15, 20, 25]
    twice = logs.filter_log_events(logGroupName=group, logStreamNames=['db', 'db'])['events']
    assert len(twice) == 10
    ids = [e['eventId'] for e in logs.filter_log_events(logGroupName=group)['events']]
    assert len(set(ids)) == 30
    assert numbers(filterPattern='[level=ERROR, word, n>12]') == [15, 20, 25]
    logs.put_log_events(logGroupName=group, logStreamName='db', logEvents=[
        {'timestamp': t + 50 + i, 'message': json.dumps({'a': {'b': i}, 'text': f'json {i}'})}
        for i in range(5)])
    got = logs.filter_log_events(logGroupName=group, filterPattern='{ $.a.b > 1 && $.text != "*3" }')
    assert [json.loads(e['message'])['a']['b'] for e in got['events']] == [2, 4]
    for bad in ('{ $.a = %x% }', '[a b]', '%re%', '"open'):
        with pytest.raises(ClientError) as e:
            logs.filter_log_events(logGroupName=group, filterPattern=bad)
        assert code(e) == 'InvalidParameterException'
    first = logs.filter_log_events(logGroupName=group, limit=3)['nextToken']
    with pytest.raises(ClientError):  # bound to its parameters
        logs.filter_log_events(logGroupName=group, logStreamNames=['db'], nextToken=first)


def test_output_of_containers(server, logs, group):
    one = frame(b'hello\nwor') + frame(b'oops\n', source=2)
    n = ship(server, group, 'app/1', 0, one)
    assert n == len(one)
    two = frame(b'ld\n\nlast\n')
    assert ship(server, group, 'app/1', 0, one + two) == n + len(two)  # again, and more
    got = logs.get_log_events(logGroupName=group, logStreamName='app/1')['events']
    assert [e['message'] for e in got] == ['hello', 'world', 'oops', 'last']
    status, _, _ = server.post(b'no frames', service='gantry',
                               path=f'/_gantry/logs?group={group}&offset=0&stream=x',
                               headers={'X-Amz-Content-SHA256': 'UNSIGNED-PAYLOAD'})
    assert status in (400, 403)


def test_aws_logs_tail_follow(server, logs, group):
    offset = ship(server, group, 'app/1', 0, frame(b'before\n'))
    tail = subprocess.Popen(['/usr/bin/aws', '--endpoint-url', server.endpoint, 'logs', 'tail', group,
                             '--follow', '--since', '5m', '--format', 'short'], env=server.env(),
                            stdout=subprocess.PIPE, text=True)
    lines = []
    reader = threading.Thread(target=lambda: lines.extend(iter(tail.stdout.readline, '')))
    reader.start()
    try:
        wait_for(lambda: any('before' in l for l in lines), 30)
        ship(server, group, 'app/1', offset, frame(b'after\n'))
        wait_for(lambda: any('after' in l for l in lines), 30)
    finally:
        tail.terminate()
        tail.wait()
        reader.join()
    assert sum('before' in l for l in lines) == 1


def test_aws_logs_tail_has_its_options(server, logs, group):
    for s in ('web/1', 'db'):
        logs.create_log_stream(logGroupName=group, logStreamName=s)
    put(logs, group, 'web/1', 'ERROR {"a": 1}', 'INFO fine')
    put(logs, group, 'db', 'INFO of the db')
    put(logs, group, 'db', 'an hour ago', at=now() - 3600 * 1000)

    def tail(*options):
        r = subprocess.run(['/usr/bin/aws', '--endpoint-url', server.endpoint, 'logs', 'tail', group,
                            *options], env=server.env(), capture_output=True, text=True, timeout=60)
        assert r.returncode == 0, r.stderr
        return r.stdout.splitlines()

    detailed = tail('--since', '5m')
    assert len(detailed) == 3 and any(' web/1 ERROR' in l for l in detailed)
    assert len(tail('--since', '2h')) == 4
    assert all(l.split(' ', 1)[0].count(':') == 2 for l in tail('--since', '5m', '--format', 'short'))
    assert any('"a": 1' in l for l in tail('--since', '5m', '--format', 'json'))
    assert [l.split()[-1] for l in tail('--filter-pattern', 'INFO -db')] == ['fine']
    assert len(tail('--log-stream-names', 'db')) == 1
    assert len(tail('--log-stream-name-prefix', 'web/')) == 2


def test_acknowledged_lines_survive_kill_9():
    server = Server()
    try:
        server.client('logs').create_log_group(logGroupName='g')
        offset, sent = 0, 0
        for _ in range(3):
            end = time.monotonic() + 0.5
            killer = threading.Timer(0.5, server.process.kill)
            killer.start()
            while time.monotonic() < end + 2:
                body = b''.join(frame(b'line %d\n' % (sent + i)) for i in range(200))
                try:
                    offset = ship(server, 'g', 's', offset, body)
                    sent += 200
                except (OSError, AssertionError):
                    break
            killer.join()
            server.process.wait()
            server.start()
            # What was under way may have arrived: the server knows.
            at = ship(server, 'g', 's', offset, b'')
            assert at >= offset
            if at > offset:
                sent, offset = sent + 200, at
        logs = server.client('logs')
        seen, r = [], None
        while r is None or r['events']:
            token = {'nextToken': r['nextForwardToken']} if r else {}
            r = logs.get_log_events(logGroupName='g', logStreamName='s', startFromHead=True, **token)
            seen += [int(e['message'].split()[1]) for e in r['events']]
        assert seen == list(range(sent)) and sent > 0
    finally:
        server.end()


def test_a_full_disk(tmp_path):
    where = str(tmp_path / 'small')
    os.mkdir(where)
    subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=80m', 'none', where], check=True)
    server = Server()
    try:
        server.kill()
        os.rename(server.state, server.state + '.old')
        os.symlink(where, server.state)
        server.start()
        logs = server.client('logs')
        logs.create_log_group(logGroupName='g')
        ship(server, 'g', 's', 0, frame(b'kept\n'))
        with open(where + '/filler', 'wb') as f:
            f.write(b'x' * (76 << 20))
        body, refused = frame(b'x' * 99999 + b'\n') * 10, False
        offset = len(frame(b'kept\n'))
        for _ in range(20):
            status, _, answer = server.post(
                body, service='gantry', path=f'/_gantry/logs?group=g&offset={offset}&stream=s',
                headers={'X-Amz-Content-SHA256': 'UNSIGNED-PAYLOAD'})
            if status != 200:
                assert status == 503, answer
                refused = True
                break
            offset = json.loads(answer)['nextOffset']
        assert refused
        with open(where + '/rest', 'wb', buffering=0) as f:
            try:
                while f.write(b'x' * 4096):
                    pass
            except OSError:
                pass
        with pytest.raises(ClientError) as e:
            for i in range(1000):
                logs.create_log_stream(logGroupName='g', logStreamName=f'new{i}')
        assert code(e) == 'ServiceUnavailableException'
        assert server.process.poll() is None
        got = logs.get_log_events(logGroupName='g', logStreamName='s', startFromHead=True, limit=1)
        assert got['events'][0]['message'] == 'kept'
    finally:
        server.kill()
        subprocess.run(['umount', where], check=True)
        subprocess.run(['rm', '-rf', server.dir], check=True)
