"""What containers print, from their pipes to CloudWatch Logs: nothing lost, nothing twice, and nobody
held up who did not ask for it."""
import glob
import os
import re
import signal
import subprocess
import time

import pytest
from botocore.exceptions import ClientError

from conftest import wait_for
from test_survival import shim_of
from tasks import (GROUP, container, describe, exit_codes, make_group, output, register, run, say,
                   stop, wait_status, with_logs)

MISSING = re.compile(r'\[gantry: (\d+) bytes of output are missing here: .*\]')


def logged(image, script, **options):
    """A container definition that runs a script and logs with more options."""
    c = with_logs(container(image, stopTimeout=1, command=['sh', '-c', script]))
    c['logConfiguration']['options'].update(options)
    return c


def events(gantry, arn, name='main', group=GROUP):
    """All messages of a stream, page by page; none while there is no stream."""
    logs = gantry.client('logs')
    stream, out, token = f't/{name}/' + arn.split('/')[-1], [], {}
    while True:
        try:
            r = logs.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True,
                                    **token)
        except logs.exceptions.ResourceNotFoundException:
            return out
        out += [e['message'] for e in r['events']]
        if r['nextForwardToken'] == token.get('nextToken'):
            return out
        token = {'nextToken': r['nextForwardToken']}


def spool_of(gantry, arn):
    files = glob.glob(f'{gantry.state}/agent/spool/{arn.split("/")[-1]}/*.log')
    return files[0] if files else None


def on_disk(path):
    return os.stat(path).st_blocks * 512


class Stopped:
    """The agent (or another), stopped for a while."""
    def __init__(self, gantry, who='gantry-agent'):
        self.pid = gantry.pid_of(who)

    def __enter__(self):
        os.kill(self.pid, signal.SIGSTOP)

    def __exit__(self, *_):
        try:
            os.kill(self.pid, signal.SIGCONT)
        except ProcessLookupError:
            pass


def at_work(gantry, image, script, **options):
    """Starts a container that waits for the file /out/go and then runs the script; returns the task
    and a function that lets it go. It writes /out/done at the end."""
    out = os.path.join(gantry.dir, f'out{time.monotonic_ns()}')
    os.makedirs(out)
    c = logged(image, f'until [ -e /out/go ]; do usleep 20000; done; {script}; echo > /out/done',
               **options)
    c['mountPoints'] = [{'sourceVolume': 'out', 'containerPath': '/out'}]
    make_group(gantry)
    arn = run(gantry, register(gantry, 'work', c, volumes=[
        {'name': 'out', 'host': {'sourcePath': out}}]))
    wait_status(gantry, arn, 'RUNNING')
    return arn, lambda: open(out + '/go', 'w').close(), out + '/done'


def numbered(n, width=100):
    """An awk program that prints n lines of `width` bytes, each with its number."""
    return ("awk 'BEGIN { s = sprintf(\"%0" + str(width - 10) + "d\", 0); "
            f"for (i = 0; i < {n}; i++) printf \"%08d %s\\n\", i, s }}'")


def test_a_stopped_agent_does_not_hold_up_a_non_blocking_writer(gantry, busybox):
    total = 200_000 * 100
    arn, go, done = at_work(gantry, busybox, numbered(200_000), **{'max-buffer-size': '1m'})
    with Stopped(gantry):
        go()
        wait_for(lambda: os.path.exists(done), 60)
        # The spool is as large as was allowed, whatever is written.
        size = on_disk(spool_of(gantry, arn))
        assert 512 << 10 < size <= (1 << 20) + (64 << 10)
    t = wait_status(gantry, arn, 'STOPPED')
    assert exit_codes(t) == {'main': 0}
    got = events(gantry, arn)
    marks = [MISSING.fullmatch(m) for m in got]
    missing = sum(int(m.group(1)) for m in marks if m)
    assert missing > 0
    kept = sum(len(line) + 1 for line, m in zip(got, marks) if not m)
    # A line that was cut has no newline of its own.
    assert abs(kept + missing - total) <= sum(1 for m in marks if m)
    whole = [int(line[:8]) for line in got if len(line) == 99 and line[8] == ' ']
    assert whole == sorted(set(whole)) and len(whole) > 5000
    assert 'bytes dropped' in gantry.read_log()


def test_drops_show_in_the_middle_and_the_log_goes_on(gantry, busybox):
    arn, go, done = at_work(gantry, busybox, f'{numbered(50_000)}; echo middle; '
                            'until [ -e /out/on ]; do usleep 20000; done; echo end',
                            **{'max-buffer-size': '64k', 'mode': 'non-blocking'})
    with Stopped(gantry):
        go()
        time.sleep(2)
    stream = 't/main/' + arn.split('/')[-1]
    wait_for(lambda: 'are missing here' in gantry.cli('logs', arn.split('/')[-1]).stdout, 20)
    open(os.path.dirname(done) + '/on', 'w').close()
    wait_status(gantry, arn, 'STOPPED')
    got = events(gantry, arn)
    at = [i for i, m in enumerate(got) if MISSING.fullmatch(m)]
    assert at and got[-1] == 'end'
    assert got[0].startswith('00000000 ')
    tail = gantry.client('logs').filter_log_events(
        logGroupName=GROUP, logStreamNames=[stream], filterPattern='"bytes of output are missing"')
    assert len(tail['events']) == len(at)


@pytest.mark.parametrize('mode', ['blocking', 'non-blocking'])
def test_a_full_disk_of_the_node(gantry, busybox, mode):
    spools = gantry.state + '/agent/spool'
    os.makedirs(spools, exist_ok=True)
    subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=1m', 'none', spools], check=True)
    try:
        arn, go, done = at_work(gantry, busybox, f'{numbered(50_000)}; touch /out/written; '
                                'until [ -e /out/on ]; do usleep 20000; done; echo end', mode=mode)
        out = os.path.dirname(done)
        with Stopped(gantry):
            go()
            if mode == 'blocking':
                time.sleep(2)
                assert not os.path.exists(out + '/written')
            else:
                wait_for(lambda: os.path.exists(out + '/written'), 20)
        wait_for(lambda: os.path.exists(out + '/written'), 40)
        if mode == 'non-blocking':
            wait_for(lambda: 'the disk of the log buffer is full' in ''.join(events(gantry, arn)), 20)
        open(out + '/on', 'w').close()
        wait_status(gantry, arn, 'STOPPED')
        got = events(gantry, arn)
        assert got[-1] == 'end'
        if mode == 'blocking':
            assert [int(m[:8]) for m in got[:-1]] == list(range(50_000))
    finally:
        subprocess.run(['umount', '-l', spools], check=True)


def test_a_blocking_writer_waits_and_loses_nothing(gantry, busybox):
    n = 2800  # of 100 kB: more than the 256 MiB of a spool
    arn, go, done = at_work(gantry, busybox, numbered(n, 100_000), mode='blocking')
    with Stopped(gantry):
        go()
        path = spool_of(gantry, arn)
        full = 256 << 20
        wait_for(lambda: os.stat(path).st_size > full - (1 << 20), 60)
        time.sleep(1)
        assert not os.path.exists(done)
        assert on_disk(path) <= full + (1 << 20)
    wait_status(gantry, arn, 'STOPPED', 120)
    got = events(gantry, arn)
    assert [int(m[:8]) for m in got] == list(range(n))
    assert {len(m) for m in got} == {99_999}


def test_agent_killed_while_containers_write(gantry, busybox):
    n = 150_000
    arn, go, _ = at_work(gantry, busybox, numbered(n), mode='blocking')
    go()
    for _ in range(3):
        time.sleep(0.3)
        pid = gantry.pid_of('gantry-agent')
        if pid:
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: gantry.pid_of('gantry-agent') not in (None, pid), 20)
    wait_status(gantry, arn, 'STOPPED', 60)
    assert [int(m[:8]) for m in events(gantry, arn)] == list(range(n))


def test_what_is_printed_just_before_the_end_is_never_lost(gantry, busybox):
    make_group(gantry)
    ecs = gantry.client('ecs')
    d = register(gantry, 'brief', with_logs(container(
        busybox, memory=6, command=['sh', '-c', 'echo -n the only line'])))
    arns = []
    for _ in range(20):
        r = ecs.run_task(taskDefinition=d, count=10)
        assert not r['failures'], r['failures']
        batch = [t['taskArn'] for t in r['tasks']]
        arns += batch
        wait_for(lambda: all(t['lastStatus'] == 'STOPPED'
                             for t in ecs.describe_tasks(tasks=batch)['tasks']), 60)
    assert len(arns) == 200
    lost = [a for a in arns if events(gantry, a) != ['the only line']]
    assert lost == []


def test_two_containers_of_a_task_have_streams_of_their_own(gantry, busybox):
    make_group(gantry)
    a = with_logs(container(busybox, command=['sh', '-c', 'echo from a; sleep 1']))
    b = with_logs(container(busybox, command=['sh', '-c', 'echo from b; sleep 1']))
    b['name'] = 'side'
    b['essential'] = False
    t = wait_status(gantry, run(gantry, register(gantry, 'two', a, b)), 'STOPPED')
    assert output(gantry, t) == ['from a']
    assert output(gantry, t, 'side') == ['from b']


def test_output_of_exec_is_not_in_the_log(gantry, busybox):
    make_group(gantry)
    arn = run(gantry, register(gantry, 'execs', logged(busybox, 'echo mine; sleep 1000'),
                               ))
    wait_status(gantry, arn, 'RUNNING')
    r = gantry.cli('exec', arn.split('/')[-1], 'echo', 'of exec')
    assert r.stdout == 'of exec\n'
    t = stop(gantry, arn)
    assert output(gantry, t) == ['mine']


def test_bytes_that_are_no_text_and_lines_of_all_lengths(gantry, busybox):
    got = say(gantry, busybox, r"printf 'a\377\376b\n\n\000c\n'; printf 'tab\there \033[1mbold\n'; "
              r"printf '\303\244\n'; printf 'no end'")
    assert got == ['a\ufffd\ufffdb', '\x00c', 'tab\there \x1b[1mbold', 'ä', 'no end']
    # As the awslogs driver does: an event of at most 256 KiB, 26 bytes of which are not text.
    got = say(gantry, busybox, "awk 'BEGIN { s = sprintf(\"%0600000d\", 7); print s; print \"after\" }'")
    assert got[-1] == 'after'
    assert [len(m) for m in got[:-1]] == [262118, 262118, 600000 - 2 * 262118]
    assert ''.join(got[:-1]) == '7'.rjust(600000, '0')


def test_awslogs_region_is_where_the_log_is(gantry, busybox):
    there = gantry.client('logs', region='eu-west-1')
    with pytest.raises(ClientError):
        there.describe_log_streams(logGroupName='/far')
    c = logged(busybox, 'echo far away', **{'awslogs-region': 'eu-west-1', 'awslogs-group': '/far',
                                            'awslogs-create-group': 'true'})
    arn = run(gantry, register(gantry, 'far', c))
    wait_status(gantry, arn, 'STOPPED')
    got = there.filter_log_events(logGroupName='/far')['events']
    assert [e['message'] for e in got] == ['far away']
    assert gantry.client('logs').describe_log_groups(logGroupNamePrefix='/far')['logGroups'] == []
    assert gantry.cli('logs', arn.split('/')[-1]).stdout == 'far away\n'


def test_stream_without_a_prefix_is_the_containers_id(gantry, busybox):
    make_group(gantry)
    c = logged(busybox, 'echo short')
    del c['logConfiguration']['options']['awslogs-stream-prefix']
    t = wait_status(gantry, run(gantry, register(gantry, 'noprefix', c)), 'STOPPED')
    got = gantry.client('logs').get_log_events(logGroupName=GROUP,
                                               logStreamName=t['containers'][0]['runtimeId'])
    assert [e['message'] for e in got['events']] == ['short']


def test_a_group_that_is_not_there_stops_the_task(gantry, busybox):
    arn = run(gantry, register(gantry, 'nogroup', logged(busybox, 'echo x', **{
        'awslogs-group': '/not/there'})))
    t = wait_status(gantry, arn, 'STOPPED')
    assert 'The specified log group does not exist' in t['stoppedReason']


def test_a_group_that_goes_and_comes_back(gantry, busybox):
    logs = gantry.client('logs')
    logs.create_log_group(logGroupName='/comes/back')
    arn = run(gantry, register(gantry, 'back', logged(
        busybox, 'i=0; while true; do i=$((i+1)); echo tick $i; sleep 0.2; done',
        **{'awslogs-group': '/comes/back'})))
    wait_status(gantry, arn, 'RUNNING')
    wait_for(lambda: logs.describe_log_streams(logGroupName='/comes/back')['logStreams'], 10)
    logs.delete_log_group(logGroupName='/comes/back')
    time.sleep(2)
    assert describe(gantry, arn)['lastStatus'] == 'RUNNING'
    logs.create_log_group(logGroupName='/comes/back')
    wait_for(lambda: logs.describe_log_streams(logGroupName='/comes/back')['logStreams'], 20)
    stop(gantry, arn)
    got = [e['message'] for e in logs.filter_log_events(logGroupName='/comes/back')['events']]
    assert got and all(m.startswith('tick ') for m in got)
    numbers = [int(m.split()[1]) for m in got]
    assert numbers == list(range(numbers[0], numbers[-1] + 1))


def test_an_agent_that_comes_back_goes_on_where_the_spool_begins(gantry, busybox):
    """More than a MiB was acknowledged and given back: the spool begins with a hole."""
    arn, go, done = at_work(gantry, busybox, f'{numbered(100_000)}; '
                            'until [ -e /out/on ]; do usleep 20000; done; echo after', mode='blocking')
    go()
    wait_for(lambda: on_disk(spool_of(gantry, arn)) < 1 << 20 < os.stat(spool_of(gantry, arn)).st_size
             and len(events(gantry, arn)) == 100_000, 60)
    pid = gantry.pid_of('gantry-agent')
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: gantry.pid_of('gantry-agent') not in (None, pid), 20)
    open(os.path.dirname(done) + '/on', 'w').close()
    wait_status(gantry, arn, 'STOPPED')
    got = events(gantry, arn)
    assert len(got) == 100_001 and got[-1] == 'after'


def test_a_container_that_ends_while_the_server_is_away(gantry, busybox):
    arn, go, done = at_work(gantry, busybox, f'{numbered(50_000)}; echo -n last words')
    with Stopped(gantry, 'gantry-server'):
        go()
        wait_for(lambda: os.path.exists(done), 20)
        time.sleep(8)
    wait_status(gantry, arn, 'STOPPED', 90)
    wait_for(lambda: events(gantry, arn)[-1:] == ['last words'], 60)
    assert len(events(gantry, arn)) == 50_001
    wait_for(lambda: not glob.glob(f'{gantry.state}/agent/unshipped/*'), 10)


def test_last_words_before_shim_and_agent_are_killed(gantry, busybox):
    arn, go, done = at_work(gantry, busybox, 'echo first; until [ -e /out/on ]; do usleep 20000; '
                            'done; echo last words; touch /out/said; sleep 1000')
    go()
    wait_for(lambda: events(gantry, arn) == ['first'], 20)
    agent = gantry.pid_of('gantry-agent')
    with Stopped(gantry):
        open(os.path.dirname(done) + '/on', 'w').close()
        wait_for(lambda: os.path.exists(os.path.dirname(done) + '/said'), 10)
        wait_for(lambda: b'last words' in open(spool_of(gantry, arn), 'rb').read(), 10)
        os.kill(agent, signal.SIGKILL)
        os.kill(shim_of(gantry, arn), signal.SIGKILL)
    wait_status(gantry, arn, 'STOPPED', 60)
    wait_for(lambda: events(gantry, arn) == ['first', 'last words'], 20)


def test_the_stream_of_a_container_that_says_nothing_is_there(gantry, busybox):
    make_group(gantry)
    arn = run(gantry, register(gantry, 'silent', logged(busybox, 'true')))
    wait_status(gantry, arn, 'STOPPED')
    r = gantry.client('logs').get_log_events(
        logGroupName=GROUP, logStreamName='t/main/' + arn.split('/')[-1])
    assert r['events'] == []
