"""What the tests of tasks share: register, run, wait, read the output."""
from conftest import wait_for

GROUP = '/test/output'


def container(image, **more):
    c = {'name': 'main', 'image': image, 'memory': 64}
    c.update(more)
    return c


def register(gantry, family, *containers, **task):
    r = gantry.client('ecs').register_task_definition(
        family=family, containerDefinitions=list(containers), **task)
    return r['taskDefinition']['taskDefinitionArn']


def run(gantry, definition, **more):
    r = gantry.client('ecs').run_task(taskDefinition=definition, **more)
    assert not r['failures'], r['failures']
    return r['tasks'][0]['taskArn']


def describe(gantry, arn):
    return gantry.client('ecs').describe_tasks(tasks=[arn])['tasks'][0]


def wait_status(gantry, arn, status, seconds=40):
    def reached():
        t = describe(gantry, arn)
        if status != 'STOPPED' and t['lastStatus'] == 'STOPPED':
            raise AssertionError(f'{t.get("stoppedReason")}: {t["containers"]}\n' +
                                 gantry.read_log())
        return t if t['lastStatus'] == status else None
    return wait_for(reached, seconds)


def stop(gantry, arn):
    gantry.client('ecs').stop_task(task=arn)
    return wait_status(gantry, arn, 'STOPPED')


def exit_codes(t):
    return {c['name']: c.get('exitCode') for c in t['containers']}


def with_logs(c):
    c['logConfiguration'] = {'logDriver': 'awslogs', 'options': {
        'awslogs-group': GROUP, 'awslogs-region': 'us-east-1', 'awslogs-stream-prefix': 't'}}
    return c


def make_group(gantry):
    logs = gantry.client('logs')
    try:
        logs.create_log_group(logGroupName=GROUP)
    except logs.exceptions.ResourceAlreadyExistsException:
        pass


def output(gantry, t, name='main'):
    events = gantry.client('logs').get_log_events(
        logGroupName=GROUP, logStreamName=f't/{name}/' + t['taskArn'].split('/')[-1],
        startFromHead=True)['events']
    return [e['message'] for e in events]


def say(gantry, image, script, task=None, **more):
    """Runs a shell script in a container to its end; the lines it wrote."""
    c = container(image, command=['sh', '-c', script])
    c.update(more)
    make_group(gantry)
    arn = run(gantry, register(gantry, 'say', with_logs(c), **(task or {})))
    t = wait_status(gantry, arn, 'STOPPED')
    assert exit_codes(t) == {'main': 0}, (t['stoppedReason'], t['containers'], output(gantry, t))
    return output(gantry, t)
