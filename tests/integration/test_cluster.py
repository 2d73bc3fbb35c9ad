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
