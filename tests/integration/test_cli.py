"""The command line as somebody uses it who knows docker."""
import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios
import time

import pytest

from conftest import BIN, Gantry, free_port, wait_for

NOBODY = dict(user=65534, group=65534, extra_groups=[])


def run_id(gantry, *args):
    return gantry.cli('run', '-d', '--stop-timeout', '1', *args).stdout.strip()


def last_status(gantry, task):
    return gantry.client('ecs').describe_tasks(tasks=[task])['tasks'][0]['lastStatus']


@pytest.fixture(scope='module')
def sleeper(gantry, busybox):
    task = run_id(gantry, busybox, 'sleep', '1000')
    wait_for(lambda: last_status(gantry, task) == 'RUNNING')
    yield task
    gantry.cli('stop', task)


@pytest.mark.parametrize('line, code, said', [
    ([], 2, 'usage: gantry VERB'),
    (['frob'], 2, "unknown verb 'frob'"),
    (['pull', 'x'], 2, 'a node pulls an image when a task needs it'),
    (['build', '.'], 2, 'Gantry builds no images'),
    (['help', 'frob'], 2, "unknown verb 'frob'"),
    (['ps', '--frob'], 2, "gantry ps: unknown option '--frob'"),
    (['ps', '-x'], 2, "gantry ps: unknown option '-x'"),
    (['ps', 'x'], 2, "gantry ps: unexpected argument 'x'"),
    (['ps', '--all=yes'], 2, "option '--all' takes no value"),
    (['ps', '--cluster', 'nope'], 1, 'ClusterNotFoundException'),
    (['logs'], 2, 'one task, please'),
    (['logs', 'zzz'], 1, "no task 'zzz'"),
    (['logs', ''], 1, "no task ''"),
    (['logs', '--tail', 'x', 'zzz'], 2, "--tail 'x'"),
    (['logs', '--since', 'frob', 'zzz'], 2, "--since 'frob'"),
    (['stop'], 2, 'which task?'),
    (['stop', 'zzz'], 1, "no task 'zzz'"),
    (['stop', '-t', '3', 'zzz'], 2, 'stopTimeout'),
    (['exec', 'zzz'], 2, 'which task, and what to run?'),
    (['exec', '-e', 'A=b', 'zzz', 'env'], 2, 'env NAME=VALUE'),
    (['images', '--remove', 'nope'], 1, "no image 'nope' is here"),
    (['run'], 2, 'which image?'),
    (['run', '-it', 'x', 'sh'], 2, 'gantry exec -it'),
    (['run', '-d', '--rm', 'x'], 2, 'one of them'),
    (['run', '-m', 'abc', 'x'], 2, "'abc' is no size"),
    (['run', '--cpus', '-1', 'x'], 2, "--cpus '-1'"),
    (['run', '-p', '127.0.0.1:80:80', 'x'], 2, 'is not [HOST:]PORT'),
    (['run', '-v', 'data:/x', 'x'], 2, 'no named volumes'),
    (['run', '-v', '/a:/x:z', 'x'], 2, 'is not /HOST/PATH'),
    (['run', '--ulimit', 'nofile', 'x'], 2, 'NAME=SOFT'),
    (['run', '--restart', 'always', 'x'], 2, 'create-service'),
    (['run', '--name', 'a b', 'x'], 125, 'Family contains invalid characters'),
    (['up', '--port', '70000'], 2, "--port '70000'"),
    (['up', '--name', 'a/b'], 2, "--name 'a/b'"),
    (['up', '--region', 'a b'], 2, "--region 'a b'"),
    (['server', '--region', 'a b'], 2, "--region 'a b'"),
    (['server', '--account', '12'], 2, "--account '12' is not 12 digits"),
    (['server', '--lost-after', '4'], 2, "--lost-after '4' is no number from 5 to 86400"),
    (['server', '--history-age', '0m'], 2, "--history-age '0m' is not like 30m"),
    (['server', '--history-snapshots', '51'], 2, "--history-snapshots '51' is no number from 1 to 50"),
    (['replay', '--to', '-1'], 2, "--to '-1' is not a revision"),
    (['at', '0', 'ps'], 2, "'0' is neither a revision nor a time"),
    (['at', '99999999999999999999', 'ps'], 2, "is neither a revision nor a time"),
    (['at', '99999999999999999999d', 'ps'], 2, "is neither a revision nor a time"),
    (['token', 'create', '--ttl', '31d'], 2, "--ttl '31d' is not a time like 90s"),
    (['token', 'create', '--ttl', '99999999999999999999d'], 2, "is not a time like 90s"),
    (['token', 'create', '--uses', '0'], 2, "--uses '0' is not a number from 1 to 1000"),
    (['agent', 'x'], 2, "gantry-agent: unexpected argument 'x'"),
    (['link', 'x'], 2, 'usage: gantry-link'),
])
def test_wrong_lines_are_refused_in_words(gantry, line, code, said):
    r = gantry.cli(*line, check=False)
    assert r.returncode == code, r.stderr
    assert said in r.stderr
    assert r.stdout == ''


def test_too_many_of_an_option_are_not_dropped(gantry):
    r = gantry.cli('run', *(['-e', 'A=b'] * 65), 'x', check=False)
    assert r.returncode == 2 and 'more than 64 times' in r.stderr


def test_help_of_a_verb(gantry):
    r = gantry.cli('help', 'run')
    assert r.stdout == gantry.cli('run', '--help').stdout
    assert r.stdout.count('[options]') == 1
    assert '--restart' not in r.stdout


@pytest.mark.parametrize('command, code, said', [
    (['nosuch'], 127, 'executable file not found'),
    (['/nosuch'], 127, 'No such file or directory'),
    (['/etc'], 126, 'ermission denied'),
    (['sh', '-c', 'exit 7'], 7, ''),
    (['sh', '-c', 'sh -c "kill -9 \\$\\$"; exit $?'], 137, ''),
])
def test_exit_codes_of_run_and_exec(gantry, busybox, sleeper, command, code, said):
    for verb, what in (('run', busybox), ('exec', sleeper)):
        r = gantry.cli(verb, what, *command, check=False)
        assert r.returncode == code, (verb, r.stderr)
        assert said in r.stderr


def test_an_image_that_is_nowhere(gantry):
    r = gantry.cli('run', 'no-such-repository', check=False)
    assert r.returncode == 125
    assert "no repository for 'no-such-repository'" in r.stderr


def test_run_takes_dockers_options(gantry, busybox, tmp_path):
    (tmp_path / 'env').write_text('A=1\n# not this\n\nB=x y\n')
    r = gantry.cli('run', '-m', '128m', '--memory-reservation', '64m', '--cpus', '0.5', '--shm-size',
                   '32m', '--tmpfs', '/t:size=8m,noexec', '--ulimit', 'nofile=100:200', '--init',
                   '--cap-drop', 'ALL', '--cap-add', 'CAP_CHOWN', '--env-file', str(tmp_path / 'env'),
                   '-eC=3', '-w/tmp', '--entrypoint', 'sh', '--name', 'options', busybox, '-c',
                   'ulimit -n; echo $A,$B,$C; pwd; df -m /dev/shm /t | tail -n +2; '
                   'grep CapEff /proc/self/status; cat /proc/1/cmdline')
    lines = r.stdout.splitlines()
    assert lines[:3] == ['100', '1,x y,3', '/tmp']
    assert [line.split()[1] for line in lines[3:5]] == ['32', '8']
    assert lines[5].split()[1] == '0000000000000001'
    assert 'sh' not in lines[6].split('\0')[0].split('-')
    d = gantry.client('ecs').describe_task_definition(taskDefinition='options')['taskDefinition']
    assert d['cpu'] == '512'
    c = d['containerDefinitions'][0]
    assert (c['memory'], c['memoryReservation'], c['entryPoint']) == (128, 64, ['sh'])


def test_rm_leaves_neither_definition_nor_output(gantry, busybox):
    logs, ecs = gantry.client('logs'), gantry.client('ecs')
    gantry.cli('run', '--rm', '--name', 'gone', busybox, 'echo', 'hi')
    assert ecs.list_task_definitions(familyPrefix='gone')['taskDefinitionArns'] == []
    assert logs.describe_log_streams(logGroupName='/gantry/run',
                                     logStreamNamePrefix='gone/')['logStreams'] == []


def test_logs_of_a_part(gantry, busybox):
    task = run_id(gantry, busybox, 'sh', '-c', 'for i in 1 2 3 4 5; do echo line $i; done; sleep 99')
    wait_for(lambda: gantry.cli('logs', task).stdout.count('\n') == 5)
    assert gantry.cli('logs', '-n', '2', task).stdout == 'line 4\nline 5\n'
    assert gantry.cli('logs', task, '--tail=0').stdout == ''
    assert gantry.cli('logs', task, '--tail', 'all').stdout.count('\n') == 5
    assert gantry.cli('logs', '--since', '10m', task).stdout.count('\n') == 5
    assert gantry.cli('logs', '--since', '0s', task).stdout == ''
    when, _, text = gantry.cli('logs', '-tn1', task).stdout.partition(' ')
    assert when.startswith('20') and when.endswith('Z') and text == 'line 5\n'
    assert 'no container' in gantry.cli('logs', '-c', 'x', task, check=False).stderr
    gantry.cli('stop', task)
    assert last_status(gantry, task) == 'STOPPED'


def test_logs_of_a_task_that_did_not_start(gantry, busybox):
    task = run_id(gantry, busybox, 'nosuch')
    wait_for(lambda: last_status(gantry, task) == 'STOPPED')
    assert 'did not start: CannotStartContainerError' in gantry.cli('logs', task).stderr


def test_ps_filters_and_stop_waits(gantry, busybox, sleeper):
    task = run_id(gantry, '--name', 'filtered', busybox, 'sleep', '1000')
    wait_for(lambda: last_status(gantry, task) == 'RUNNING')
    assert gantry.cli('ps', '-q', '--family', 'filtered').stdout == task[:12] + '\n'
    both = gantry.cli('ps', '-q').stdout.split()
    assert both[0] == task[:12] and sleeper[:12] in both
    assert gantry.cli('ps', '-q', '--service', 'nope').stdout == ''
    assert gantry.cli('stop', '--no-wait', task).stdout == task + '\n'
    assert gantry.cli('stop', task).stdout == task + '\n'
    assert last_status(gantry, task) == 'STOPPED'
    assert task[:12] not in gantry.cli('ps', '-q').stdout
    assert task[:12] in gantry.cli('ps', '-aq').stdout


def test_a_beginning_that_two_tasks_have(gantry, busybox, sleeper):
    for _ in range(20):  # two of 17 begin with the same digit
        known = [t[0] for t in gantry.cli('ps', '-aq').stdout.split()]
        twice = [digit for digit in known if known.count(digit) > 1]
        if twice:
            break
        gantry.cli('run', busybox, 'true')
    r = gantry.cli('logs', twice[0], check=False)
    assert r.returncode == 1 and 'more than one task' in r.stderr


def interrupt(gantry, *line, until):
    """As from a terminal: what a shell started in the background has inherited SIGINT ignored."""
    p = subprocess.Popen([os.path.join(BIN, 'gantry'), *line], env=gantry.env(), text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    said = ''
    while until not in said:
        said += p.stdout.readline()
    p.send_signal(signal.SIGINT)
    return p, said


def test_interrupting_run_stops_the_task(gantry, busybox):
    p, said = interrupt(gantry, 'run', busybox, 'sh', '-c',
                        'trap "echo got it; exit 3" TERM; echo here; while :; do sleep 0.1; done',
                        until='here')
    out, err = p.communicate(timeout=20)
    assert p.returncode == 3 and 'got it' in out
    assert 'stopping the task' in err


def test_interrupting_run_twice_leaves_it_stopping(gantry, busybox):
    p, _ = interrupt(gantry, 'run', '--name', 'deaf', '--stop-timeout', '5', busybox, 'sh', '-c',
                     'trap "" TERM; echo here; while :; do sleep 0.1; done', until='here')
    assert 'stopping the task' in p.stderr.readline() + p.stderr.readline()
    p.send_signal(signal.SIGINT)
    p.communicate(timeout=4)
    assert p.returncode == 130
    assert 'STOPPING' in gantry.cli('ps', '--family', 'deaf').stdout
    wait_for(lambda: not gantry.cli('ps', '-q', '--family', 'deaf').stdout)


def test_interrupting_logs_leaves_the_task(gantry, busybox):
    task = run_id(gantry, busybox, 'sh', '-c', 'echo here; sleep 1000')
    p, _ = interrupt(gantry, 'logs', '-f', task, until='here')
    p.communicate(timeout=5)
    assert p.returncode == -signal.SIGINT
    assert last_status(gantry, task) == 'RUNNING'
    gantry.cli('stop', task)


def test_exec_on_a_terminal_follows_its_size(gantry, sleeper):
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack('HHHH', 33, 77, 0, 0))

    def own_terminal():
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    p = subprocess.Popen([os.path.join(BIN, 'gantry'), 'exec', '-it', sleeper, 'sh'],
                         env=gantry.env(), stdin=slave, stdout=slave, stderr=slave,
                         preexec_fn=own_terminal)
    os.close(slave)
    os.set_blocking(master, False)
    seen = ''

    def says(what):
        nonlocal seen
        try:
            seen += os.read(master, 65536).decode(errors='replace')
        except (BlockingIOError, OSError):
            pass
        return what in seen
    os.write(master, b'stty size\n')
    wait_for(lambda: says('33 77'))
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack('HHHH', 40, 90, 0, 0))
    time.sleep(0.2)
    os.write(master, b'stty size\n')
    wait_for(lambda: says('40 90'))
    os.write(master, b'sleep 100\n')
    wait_for(lambda: says('sleep 100'))
    time.sleep(0.3)
    os.write(master, b'\x03')  # Ctrl-C is the sleep's, not ours
    time.sleep(0.2)
    os.write(master, b'exit 9\n')
    wait_for(lambda: says('exit 9') and p.poll() is not None)
    assert p.returncode == 9
    os.close(master)


def test_exec_passes_what_is_piped_in(gantry, sleeper):
    assert gantry.cli('exec', '-i', sleeper, 'cat', input='piped\n').stdout == 'piped\n'
    r = gantry.cli('exec', '-it', sleeper, 'cat', input='piped\n', check=False)
    assert r.returncode == 1 and 'terminal' in r.stderr


def test_where_nothing_is_up(tmp_path):
    env = dict(os.environ, GANTRY_STATE=str(tmp_path / 'none'))
    for verb in (['ps'], ['images'], ['env'], ['run', 'x'], ['logs', 'x'], ['exec', 'x', 'y']):
        r = subprocess.run([os.path.join(BIN, 'gantry'), *verb], env=env, text=True,
                           capture_output=True)
        assert r.returncode == (125 if verb[0] == 'run' else 1)
        assert 'no Gantry has its state in' in r.stderr and 'gantry up' in r.stderr


def test_server_or_agent_down_says_what_to_do(gantry, busybox):
    g = Gantry()
    g.start()
    try:
        g.up.send_signal(signal.SIGTERM)
        g.up.wait(20)
        for verb in (['ps'], ['images']):
            r = g.cli(*verb, check=False)
            assert r.returncode == 1 and '`gantry up -d` starts it' in r.stderr, r.stderr
    finally:
        g.down()
        g.remove()


def test_others_than_root(gantry):
    os.chmod(gantry.dir, 0o755)
    for verb in (['ps'], ['images'], ['env'], ['down'], ['up'], ['agent']):
        r = gantry.cli(*verb, check=False, **NOBODY)
        assert r.returncode == 1 and 'sudo' in r.stderr, (verb, r.stderr)
    assert gantry.cli('ps').returncode == 0


def test_env_points_gantry_itself(gantry):
    assert f"export GANTRY_STATE='{gantry.state}'" in gantry.cli('env').stdout


def test_up_on_a_port_that_is_taken(gantry, tmp_path):
    r = gantry.cli('up', '-d', '--port', str(gantry.port), '--state', str(tmp_path / 's'), '--name',
                   f'gt{free_port()}', check=False)
    assert r.returncode == 1
    assert '--port N takes another port' in r.stderr


@pytest.mark.parametrize('words, offered', [
    (['gantry', 'do'], {'down', 'doctor'}),
    (['gantry', 'logs', '--t'], {'--tail', '--timestamps'}),
    (['gantry', 'run', '--memory-'], {'--memory-reservation'}),
])
def test_completion_of_bash(words, offered):
    script = os.path.join(os.path.dirname(__file__), '../../packaging/gantry.bash')
    r = subprocess.run(['bash', '-c', 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
                        '_gantry; printf "%s\\n" "${COMPREPLY[@]}"', 'bash', script, *words],
                       env=dict(os.environ, PATH=BIN + ':' + os.environ['PATH']), text=True,
                       capture_output=True, check=True)
    assert set(r.stdout.split()) == offered


def test_completion_knows_the_tasks(gantry, sleeper):
    script = os.path.join(os.path.dirname(__file__), '../../packaging/gantry.bash')
    r = subprocess.run(['bash', '-c', f'source {script}; COMP_WORDS=(gantry stop {sleeper[:4]}); '
                        'COMP_CWORD=2; _gantry; echo "${COMPREPLY[@]}"'],
                       env=dict(gantry.env(), PATH=BIN + ':' + os.environ['PATH']), text=True,
                       capture_output=True, check=True)
    assert sleeper[:12] in r.stdout
