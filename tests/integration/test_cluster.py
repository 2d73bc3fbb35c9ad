"""Several nodes: each on a host of its own, over TLS."""
import pytest

from conftest import wait_for
from tasks import container, make_group, output, register, wait_status, with_logs


@pytest.fixture(scope='module')
def image(cluster, busybox_layout):
    return cluster.push(busybox_layout, 'busybox:1')


def test_images_and_output_of_every_node(cluster, image):
    """Each node pulls from the server's registry and ships its output to it."""
    make_group(cluster)
    definition = register(cluster, 'everywhere', with_logs(container(
        image, command=['sh', '-c', 'echo here'])))
    r = cluster.client('ecs').run_task(taskDefinition=definition, count=3,
                                       placementConstraints=[{'type': 'distinctInstance'}])
    assert not r['failures'], r
    ended = [wait_status(cluster, t['taskArn'], 'STOPPED', 60) for t in r['tasks']]
    assert {cluster.node_of(t) for t in ended} == {'n1', 'n2', 'n3'}
    for t in ended:
        assert t['containers'][0]['exitCode'] == 0, t
        assert wait_for(lambda: output(cluster, t), 20) == ['here']


AWSVPC = {'awsvpcConfiguration': {'subnets': ['subnet-1']}}


def address_of(cluster, arn):
    t = wait_status(cluster, arn, 'RUNNING', 60)
    details = {d['name']: d['value'] for d in t['attachments'][0]['details']}
    return details['privateIPv4Address'], t


def run_on(cluster, definition, node):
    r = cluster.client('ecs').run_task(
        taskDefinition=definition, networkConfiguration=AWSVPC, placementConstraints=[
            {'type': 'memberOf', 'expression': f'attribute:host == {node}'}])
    assert not r['failures'], r
    return r['tasks'][0]['taskArn']


def web(cluster, image, node):
    """A definition whose tasks say their node's name to whoever comes to port 80."""
    return register(cluster, f'web-{node}', container(
        image, stopTimeout=2, command=[
            'sh', '-c', f'mkdir /www; echo {node} > /www/index.html; exec httpd -f -h /www']),
        networkMode='awsvpc')


def ask(address):
    return f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 5 {address} 80 | tail -1"


def fetch(cluster, image, node, script):
    """What a script in an awsvpc task on `node` writes."""
    make_group(cluster)
    definition = register(cluster, 'fetch', with_logs(container(
        image, command=['sh', '-c', script])), networkMode='awsvpc')
    t = wait_status(cluster, run_on(cluster, definition, node), 'STOPPED', 60)
    assert t['containers'][0]['exitCode'] == 0, (t, output(cluster, t))
    return wait_for(lambda: output(cluster, t), 20)


def test_tasks_of_different_nodes_reach_each_other(cluster, image):
    servers = {node: address_of(cluster, run_on(cluster, web(cluster, image, node), node))[0]
               for node in cluster.nodes}
    assert len({a.rsplit('.', 1)[0] for a in servers.values()}) == 3
    for node in cluster.nodes:
        said = fetch(cluster, image, node, ''.join(
            ask(a) + '\n' for a in servers.values()))
        assert said == list(servers), said


def test_a_service_over_zones(cluster, image):
    """One task in each zone, and each reaches all: by the addresses that the server names."""
    make_group(cluster)
    ecs = cluster.client('ecs')
    definition = register(cluster, 'zones', with_logs(container(
        image, stopTimeout=2, command=['sh', '-c', 'mkdir /www; hostname > /www/index.html; '
                                       'echo serving; exec httpd -f -h /www'])), networkMode='awsvpc')
    ecs.create_service(serviceName='zones', taskDefinition=definition, desiredCount=3,
                       networkConfiguration=AWSVPC, placementStrategy=[
                           {'type': 'spread', 'field': 'attribute:ecs.availability-zone'}])

    def tasks():
        arns = ecs.list_tasks(serviceName='zones')['taskArns']
        found = ecs.describe_tasks(tasks=arns)['tasks'] if arns else []
        return len(found) == 3 and all(t['lastStatus'] == 'RUNNING' for t in found) and found
    found = wait_for(tasks, 60)
    assert {t['availabilityZone'] for t in found} == {'zone-n1', 'zone-n2', 'zone-n3'}
    addresses = [t['containers'][0]['networkInterfaces'][0]['privateIpv4Address'] for t in found]
    said = fetch(cluster, image, 'n2', ''.join(ask(a) + '\n' for a in addresses))
    assert len(said) == 3 and len(set(said)) == 3, said
    for t in found:
        wait_for(lambda: output(cluster, t) == ['serving'], 20)
    ecs.delete_service(service='zones', force=True)
