"""Tasks and services through boto3, with real containers."""
import os
import signal
import time

import pytest

import tasks
from conftest import wait_for
from tasks import container, describe, run, wait_status


def register(gantry, busybox, family, **more):
    task = {k: more.pop(k) for k in ('networkMode', 'volumes') if k in more}
    return tasks.register(gantry, family, container(busybox, **more), **task)


def run_to_end(gantry, busybox, family, command, **more):
    arn = run(gantry, register(gantry, busybox, family, command=command, **more))
    return wait_status(gantry, arn, 'STOPPED')


def test_a_node_has_what_definitions_require(gantry, busybox):
    ecs = gantry.client('ecs')
    options = {'awslogs-group': 'g', 'awslogs-region': 'us-east-1', 'awslogs-stream-prefix': 'p'}
    d = ecs.register_task_definition(
        family='demanding', networkMode='awsvpc', containerDefinitions=[
            {'name': 'a', 'image': busybox, 'memory': 64, 'privileged': True,
             'healthCheck': {'command': ['CMD', 'true']},
             'logConfiguration': {'logDriver': 'awslogs', 'options': options}},
            {'name': 'b', 'image': busybox, 'memory': 64,
             'dependsOn': [{'containerName': 'a', 'condition': 'START'}]}])['taskDefinition']
    arn = ecs.list_container_instances()['containerInstanceArns'][0]
    node = ecs.describe_container_instances(containerInstances=[arn])['containerInstances'][0]
    required = {a['name'] for a in d['requiresAttributes']}
    assert len(required) == 5 and required <= {a['name'] for a in node['attributes']}
    assert ecs.list_container_instances(
        filter='attribute:ecs.capability.task-eni exists')['containerInstanceArns'] == [arn]


@pytest.mark.parametrize('code', [0, 7])
def test_exit_code_is_reported(gantry, busybox, code):
    t = run_to_end(gantry, busybox, 'exit', ['sh', '-c', f'exit {code}'])
    assert t['containers'][0]['exitCode'] == code
    assert t['stopCode'] == 'EssentialContainerExited'
    assert t['stoppedReason'] == 'Essential container in task exited'
    assert t['startedAt'] <= t['stoppedAt']


def test_stop_task_sends_sigterm(gantry, busybox):
    command = ['sh', '-c', 'trap "exit 9" TERM; while :; do sleep 0.1; done']
    arn = run(gantry, register(gantry, busybox, 'trap', command=command))
    wait_status(gantry, arn, 'RUNNING')
    time.sleep(0.3)
    gantry.client('ecs').stop_task(task=arn, reason='enough')
    t = wait_status(gantry, arn, 'STOPPED')
    assert t['containers'][0]['exitCode'] == 9
    assert t['stopCode'] == 'UserInitiated'
    assert t['stoppedReason'] == 'enough'


def test_waiters(gantry, busybox):
    ecs = gantry.client('ecs')
    arn = run(gantry, register(gantry, busybox, 'wait', command=['sleep', '60'], stopTimeout=2))
    ecs.get_waiter('tasks_running').wait(tasks=[arn], WaiterConfig={'Delay': 1})
    ecs.stop_task(task=arn)
    ecs.get_waiter('tasks_stopped').wait(tasks=[arn], WaiterConfig={'Delay': 1})


def test_missing_image_stops_the_task_with_the_reason(gantry, busybox):
    arn = run(gantry, register(gantry, gantry.registry + '/nothing:1', 'missing'))
    t = wait_status(gantry, arn, 'STOPPED')
    assert t['stopCode'] == 'TaskFailedToStart'
    assert t['stoppedReason'].startswith('CannotPullContainerError')


def test_missing_command_stops_the_task_with_the_reason(gantry, busybox):
    t = run_to_end(gantry, busybox, 'nocmd', ['/no/such/command'])
    assert t['stopCode'] == 'TaskFailedToStart'
    assert 'CannotStartContainerError' in t['stoppedReason']
    assert '/no/such/command' in t['stoppedReason']


def test_out_of_memory_is_seen(gantry, busybox):
    t = run_to_end(gantry, busybox, 'oom', ['sh', '-c', 'x=a; while :; do x=$x$x; done'], memory=16)
    assert t['containers'][0]['exitCode'] == 137
    assert 'OutOfMemory' in t['containers'][0]['reason']


def test_a_task_has_the_size_that_the_call_gives_it(gantry, busybox):
    ecs = gantry.client('ecs')
    d = ecs.register_task_definition(family='sized', memory='256', containerDefinitions=[
        {'name': 'main', 'image': busybox, 'command': ['dd', 'if=/dev/zero', 'of=/dev/null',
                                                       'bs=100M', 'count=1']}])
    d = d['taskDefinition']['taskDefinitionArn']
    for overrides, memory, code in (({}, '256', 0), ({'memory': '32', 'cpu': '.5 vCPU'}, '32', 137)):
        t = wait_status(gantry, run(gantry, d, overrides=overrides), 'STOPPED')
        assert (t['memory'], t['containers'][0]['exitCode']) == (memory, code), t
        assert t['overrides'].get('cpu') == ('512' if overrides else None)


def test_environment_user_and_workdir(gantry, busybox):
    t = run_to_end(gantry, busybox, 'env',
                   ['sh', '-c', 'test "$A" = b && test $(id -u) = 33 && test $(pwd) = /tmp'],
                   environment=[{'name': 'A', 'value': 'b'}], user='33', workingDirectory='/tmp')
    assert t['containers'][0]['exitCode'] == 0, t


def logs_of(gantry, group, stream):
    logs = gantry.client('logs')
    events = logs.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True)
    return [e['message'] for e in events['events']]


def test_logs_arrive(gantry, busybox):
    gantry.client('logs').create_log_group(logGroupName='/t/logs')
    t = run_to_end(gantry, busybox, 'logs', ['sh', '-c', 'echo one; echo two >&2'], logConfiguration={
        'logDriver': 'awslogs', 'options': {'awslogs-group': '/t/logs',
                                            'awslogs-region': 'us-east-1',
                                            'awslogs-stream-prefix': 'p'}})
    stream = 'p/main/' + t['taskArn'].split('/')[-1]
    assert sorted(logs_of(gantry, '/t/logs', stream)) == ['one', 'two']


def test_logs_of_a_running_task_arrive(gantry, busybox):
    arn = run(gantry, register(gantry, busybox, 'logs2', command=['sh', '-c', 'echo up; sleep 1000'],
                               stopTimeout=1, logConfiguration={
        'logDriver': 'awslogs', 'options': {'awslogs-group': '/t/logs2',
                                            'awslogs-create-group': 'true',
                                            'awslogs-region': 'us-east-1',
                                            'awslogs-stream-prefix': 'p'}}))
    stream = 'p/main/' + arn.split('/')[-1]

    def there():
        try:
            return logs_of(gantry, '/t/logs2', stream)
        except gantry.client('logs').exceptions.ResourceNotFoundException:
            return None
    assert wait_for(there, 10) == ['up']
    gantry.client('ecs').stop_task(task=arn)


def test_service_keeps_its_count(gantry, busybox):
    ecs = gantry.client('ecs')
    definition = register(gantry, busybox, 'svc', command=['sleep', '1000'], stopTimeout=2)
    ecs.create_service(serviceName='svc', taskDefinition=definition, desiredCount=2)
    ecs.get_waiter('services_stable').wait(services=['svc'], WaiterConfig={'Delay': 1})
    tasks = ecs.list_tasks(serviceName='svc')['taskArns']
    assert len(tasks) == 2
    ecs.stop_task(task=tasks[0])

    def replaced():
        now = ecs.list_tasks(serviceName='svc')['taskArns']
        s = ecs.describe_services(services=['svc'])['services'][0]
        return tasks[0] not in now and s['runningCount'] == 2
    wait_for(replaced, 30)
    ecs.update_service(service='svc', desiredCount=1)
    ecs.get_waiter('services_stable').wait(services=['svc'], WaiterConfig={'Delay': 1})
    ecs.delete_service(service='svc', force=True)
    try:
        ecs.get_waiter('services_inactive').wait(services=['svc'], WaiterConfig={'Delay': 1})
    except Exception as e:
        raise AssertionError((ecs.describe_services(services=['svc']), gantry.cli('ps', '-a').stdout, gantry.read_log())) from e


def test_bridge_port_is_reachable(gantry, busybox):
    import urllib.request
    command = ['sh', '-c', 'mkdir -p /www; echo hello > /www/index.html; httpd -f -p 8080 -h /www']
    arn = run(gantry, register(gantry, busybox, 'http', command=command, stopTimeout=1,
                               portMappings=[{'containerPort': 8080}]))
    t = wait_status(gantry, arn, 'RUNNING')
    port = t['containers'][0]['networkBindings'][0]['hostPort']

    def page():
        try:
            return urllib.request.urlopen(f'http://127.0.0.1:{port}/', timeout=2).read()
        except OSError:
            return None
    assert wait_for(page, 10) == b'hello\n'
    gantry.client('ecs').stop_task(task=arn)


def test_exec_and_ps(gantry, busybox):
    arn = run(gantry, register(gantry, busybox, 'exec', command=['sleep', '1000'], stopTimeout=1))
    wait_status(gantry, arn, 'RUNNING')
    task = arn.split('/')[-1]
    r = gantry.cli('exec', task[:8], 'sh', '-c', 'echo in $HOSTNAME; exit 3', check=False,
                   stdin=None)
    assert r.returncode == 3, r.stderr
    assert r.stdout.startswith('in ')
    assert task[:12] in gantry.cli('ps').stdout
    gantry.cli('stop', task[:8])


def test_logs_without_a_driver(gantry, busybox):
    arn = run(gantry, register(gantry, busybox, 'plain', command=['sh', '-c', 'echo here; sleep 99'],
                               stopTimeout=1))
    wait_status(gantry, arn, 'RUNNING')
    wait_for(lambda: gantry.cli('logs', arn.split('/')[-1]).stdout == 'here\n', 5)
    gantry.cli('stop', arn.split('/')[-1])


def test_run_shows_output_and_exit_code(gantry, busybox):
    r = gantry.cli('run', busybox, 'sh', '-c', 'echo hi there; exit 5', check=False)
    assert r.returncode == 5, r.stderr
    assert 'hi there' in r.stdout


@pytest.mark.parametrize('victim', ['gantry-agent', 'gantry-server'])
def test_killed_process_costs_no_container(gantry, busybox, victim):
    arn = run(gantry, register(gantry, busybox, 'survive', command=['sleep', '1000'],
                               stopTimeout=1))
    wait_status(gantry, arn, 'RUNNING')
    task = arn.split('/')[-1]
    pid = gantry.pid_of(victim)
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: gantry.pid_of(victim) not in (None, pid), 10)
    r = wait_for(lambda: (lambda x: x if x.returncode == 0 else None)(
        gantry.cli('exec', task, 'true', check=False)), 20)
    assert r.returncode == 0
    assert describe(gantry, arn)['lastStatus'] == 'RUNNING'
    gantry.client('ecs').stop_task(task=arn)
    wait_status(gantry, arn, 'STOPPED')


def test_stopping_while_it_starts(gantry, busybox):
    definition = register(gantry, busybox, 'race', command=['sleep', '1000'], stopTimeout=2)
    ecs = gantry.client('ecs')
    arns = []
    for i in range(16):
        arns.append(run(gantry, definition))
        time.sleep(0.004 * (i % 8))
        ecs.stop_task(task=arns[-1])
    for arn in arns:
        wait_status(gantry, arn, 'STOPPED')


def test_tasks_that_come_while_others_go(gantry, busybox):
    """The descriptor of a shim that went is soon another's, and what a shim says may come at any
    moment: nothing of it may be lost."""
    ecs = gantry.client('ecs')
    definition = register(gantry, busybox, 'brief', command=['true'], memory=16)
    arns = []
    for _ in range(60):
        arns.append(run(gantry, definition))
        time.sleep(0.03)

    def over():
        found = ecs.describe_tasks(tasks=arns)['tasks']
        return all(t['lastStatus'] == 'STOPPED' for t in found) and found

    found = wait_for(over, 30)
    assert [t['containers'][0].get('exitCode') for t in found] == [0] * len(arns)
