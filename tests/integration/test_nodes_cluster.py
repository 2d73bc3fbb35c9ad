"""Draining and fencing with real containers on hosts of their own."""
import json

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.httpsession import URLLib3Session

from conftest import wait_for
from tasks import container, register


@pytest.fixture(scope='module')
def image(cluster, busybox_layout):
    return cluster.push(busybox_layout, 'busybox:1')


def admin(cluster, op, **body):
    """What `gantry` calls for an operator."""
    key, data = cluster.key(), json.dumps(body)
    request = AWSRequest('POST', cluster.endpoint + '/', data=data, headers={
        'X-Amz-Target': 'GantryAdmin_20261101.' + op, 'Content-Type': 'application/x-amz-json-1.1'})
    SigV4Auth(Credentials(key['accessKeyId'], key['secretAccessKey']), 'gantry', 'us-east-1').add_auth(request)
    answer = URLLib3Session(verify=cluster.authority).send(request.prepare())
    assert answer.status_code == 200, answer.text
    return json.loads(answer.text)


def running_on(cluster):
    """node -> its running tasks of the service"""
    ecs, found = cluster.client('ecs'), {n: set() for n in cluster.nodes}
    arns = ecs.list_tasks(serviceName='web')['taskArns']
    for t in ecs.describe_tasks(tasks=arns)['tasks'] if arns else ():
        if t['lastStatus'] == 'RUNNING':
            found[cluster.node_of(t)].add(t['taskArn'])
    return found


def total(found):
    return sum(map(len, found.values()))


def tasks_there(cluster, node):
    """Folders of shims on the host itself: what really runs, whatever the API says."""
    return set(cluster.nodes[node].sh('ls /run/gantry/tasks').split())


def test_drain_then_fence(cluster, image):
    ecs = cluster.client('ecs')
    register(cluster, 'web', container(image, command=['sh', '-c', 'trap exit TERM; sleep 1000 & wait'], memory=16))
    ecs.create_service(serviceName='web', taskDefinition='web', desiredCount=6)
    wait_for(lambda: all(len(t) == 2 for t in running_on(cluster).values()), 60)

    # n1 is drained: never less than six run, and in the end none there.
    n1, seen = cluster.instance_of('n1'), []
    ecs.update_container_instances_state(containerInstances=[n1], status='DRAINING')

    def moved():
        found = running_on(cluster)
        seen.append(total(found))
        return not found['n1'] and total(found) == 6
    wait_for(moved, 60)
    assert min(seen) >= 6
    wait_for(lambda: not tasks_there(cluster, 'n1'), 20)
    ecs.update_container_instances_state(containerInstances=[n1], status='ACTIVE')

    # n2 is cut off: its tasks run on, are replaced, and it is fenced.
    before = running_on(cluster)['n2']
    cluster.nodes['n2'].link.cut()
    cluster.wait_connected('n1', 'n3')
    wait_for(lambda: total({n: t for n, t in running_on(cluster).items() if n != 'n2'}) == 6, 40)
    assert tasks_there(cluster, 'n2') == {a.split('/')[-1] for a in before}
    node_id = cluster.instance_of('n2').split('/')[-1]
    admin(cluster, 'Fence', nodeId=node_id)
    n2 = next(n for n in admin(cluster, 'DescribeNodes')['nodes'] if n['nodeId'] == node_id)
    assert n2['state'] == 'FENCED' and n2['cpuFree'] == n2['cpu']

    # It is heard again: it is told that it is fenced, and ends what it runs.
    cluster.nodes['n2'].link.heal()
    wait_for(lambda: not tasks_there(cluster, 'n2'), 60)
    assert cluster.connected() == {'n1', 'n3'}
    admin(cluster, 'Fence', nodeId=node_id, undo=True)
    cluster.wait_connected('n1', 'n2', 'n3')
    assert total(running_on(cluster)) == 6
    ecs.delete_service(service='web', force=True)
