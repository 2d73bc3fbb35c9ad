"""Tasks reach tasks on other nodes by their addresses, and strangers do not."""
import re

import pytest

from cluster import Cluster
from conftest import BIN, wait_for
from tasks import container, make_group, output, register, run, wait_status, with_logs

AWSVPC = {'awsvpcConfiguration': {'subnets': ['subnet-1']}}


@pytest.fixture(scope='module')
def cluster():
    """n1 and n2 stand in one subnet, n3 behind a router: routes between the two, vxlan to it."""
    c = Cluster(agents=3, segments=[0, 0, 1])
    try:
        yield c.start()
    finally:
        c.end()


@pytest.fixture(scope='module')
def image(cluster, busybox_layout):
    return cluster.push(busybox_layout, 'busybox:1')


def on(node):
    return [{'type': 'memberOf', 'expression': f'attribute:host == {node}'}]


def address_of(cluster, arn):
    details = wait_status(cluster, arn, 'RUNNING', 60)['attachments'][0]['details']
    return next(d['value'] for d in details if d['name'] == 'privateIPv4Address')


@pytest.fixture(scope='module')
def servers(cluster, image):
    """Node -> the address of a task on it that says the node's name on port 80, and writes who came;
    its log."""
    make_group(cluster)
    arns = {}
    for node in cluster.nodes:
        definition = register(cluster, f'web-{node}', with_logs(container(
            image, stopTimeout=2, command=[
                'sh', '-c', f'mkdir /w; head -c 300000 /dev/zero | tr "\\0" x > /w/large; '
                f'echo {node} > /w/index.html; exec httpd -f -v -h /w'])), networkMode='awsvpc')
        arns[node] = run(cluster, definition, networkConfiguration=AWSVPC,
                         placementConstraints=on(node))
    return {node: address_of(cluster, arn) for node, arn in arns.items()}


def sh(cluster, image, node, script):
    """What a script in an awsvpc task on `node` writes."""
    definition = register(cluster, 'script', with_logs(container(
        image, command=['sh', '-c', script])), networkMode='awsvpc')
    arn = run(cluster, definition, networkConfiguration=AWSVPC, placementConstraints=on(node))
    t = wait_status(cluster, arn, 'STOPPED', 60)
    assert t['containers'][0]['exitCode'] == 0, (t, output(cluster, t))
    return wait_for(lambda: output(cluster, t), 20)


def get(address, path=''):
    return f"printf 'GET /{path} HTTP/1.0\\r\\n\\r\\n' | nc -w 5 {address} 80"


def routes(host):
    return host.sh('ip route show proto 71')


def test_each_peer_has_its_way(cluster, servers):
    """By route where the hosts are in one subnet, by vxlan else."""
    subnet = {node: address.rsplit('.', 1)[0] for node, address in servers.items()}
    wait_for(lambda: len(routes(cluster.nodes['n1']).splitlines()) == 2, 10)
    near = routes(cluster.nodes['n1'])
    assert f'{subnet["n2"]}.0/24 via {cluster.nodes["n2"].address} dev eth0' in near
    assert f'{subnet["n3"]}.0/24 via {subnet["n3"]}.1 dev gx-' in near
    assert routes(cluster.nodes['n3']).count('dev gx-') == 2


@pytest.mark.parametrize('node', ['n1', 'n2', 'n3'])
def test_all_reach_all(cluster, image, servers, node):
    said = sh(cluster, image, node, '\n'.join(
        f'{get(a)} | tail -1' for a in servers.values()) + '\nip address show eth0')
    assert said[:3] == list(servers)


def test_what_is_larger_than_a_packet(cluster, image, servers):
    """The path to n3 takes 50 bytes less than an interface has."""
    for a, b in (('n1', 'n3'), ('n3', 'n1'), ('n1', 'n2')):
        assert int(sh(cluster, image, a, get(servers[b], 'large') + ' | wc -c')[0]) > 300000
    assert 'mtu 1450' in sh(cluster, image, 'n3', 'ip link show eth0')[0]


def send(host, source, target):
    """One packet to UDP port 9 of `target`, from an address that the host has or pretends to have."""
    host.sh(f'[ "$(ip address show to {source})" ] || ip address add {source}/32 dev lo; python3 -c "'
            f'import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); '
            f's.bind((\'{source}\', 0)); s.sendto(b\'x\', (\'{target}\', 9))"')


class Seen:
    """Counts what a host hands to its tasks on UDP port 9."""

    def __init__(self, host):
        self.host = host
        host.sh("nft 'table inet seen { chain c { type filter hook postrouting priority 100; "
                "ip daddr 10.200.0.0/16 udp dport 9 counter; }; }'")

    def count(self):
        return int(re.search(r'packets (\d+)', self.host.sh('nft list table inet seen')).group(1))

    def end(self):
        self.host.sh('nft delete table inet seen')


@pytest.fixture
def seen(cluster):
    s = Seen(cluster.nodes['n1'])
    yield s
    s.end()


@pytest.fixture
def stranger(cluster):
    """On the switch, but no node."""
    yield cluster.hosts.add('stranger')
    cluster.hosts.remove('stranger')


def test_strangers_reach_no_task(cluster, servers, seen, stranger):
    target = servers['n1']
    own = target.rsplit('.', 1)[0]
    stranger.sh(f'ip route add {own}.0/24 via {cluster.nodes["n1"].address}')
    for source in (stranger.address, servers['n3'], f'{own}.77', '10.200.255.9', '192.0.2.7'):
        send(stranger, source, target)
        assert seen.count() == 0, source
    send(cluster.nodes['n2'], servers['n2'].rsplit('.', 1)[0] + '.1', target)
    wait_for(lambda: seen.count() == 1, 5)
    # Addresses of a peer in the same subnet cannot be told from its own: docs/threat-model.md.


def test_frames_of_strangers_are_not_of_the_overlay(cluster, servers, seen, stranger):
    node, target = cluster.nodes['n1'], servers['n1']
    gateway = target.rsplit('.', 1)[0] + '.1'
    shown = node.sh('ip -d link show type vxlan')
    vni = re.search(r'vxlan id (\d+)', shown).group(1)
    mac = re.search(r'link/ether (\S+)', shown).group(1)
    stranger.sh(f'ip link add vx type vxlan id {vni} local {stranger.address} remote {node.address} '
                f'dstport 4789; ip link set vx up; ip neighbour add {gateway} lladdr {mac} dev vx; '
                f'ip route add {target} via {gateway} dev vx onlink')
    for source in (servers['n3'], servers['n2'], stranger.address):
        send(stranger, source, target)
    assert seen.count() == 0
    send(cluster.nodes['n3'], servers['n3'].rsplit('.', 1)[0] + '.1', target)
    wait_for(lambda: seen.count() == 1, 5)


def test_callers_keep_their_addresses(cluster, image, servers):
    ecs, logs = cluster.client('ecs'), cluster.client('logs')
    mine = sh(cluster, image, 'n3', 'ip -4 -o address show eth0 | awk \'{print $4}\'\n' +
              get(servers['n1']) + ' | tail -1')[0].split('/')[0]
    task = next(t for t in ecs.list_tasks(family='web-n1')['taskArns'])
    wait_for(lambda: any(mine in line for line in output(
        cluster, ecs.describe_tasks(tasks=[task])['tasks'][0])), 10)


def test_no_way_to_the_metadata_of_another_node(cluster, image, servers):
    for node in ('n2', 'n3'):
        link = servers[node].rsplit('.', 1)[0] + '.2'
        said = sh(cluster, image, 'n1', f'echo | nc -w 2 {link} 80; echo | nc -w 2 {link} 53; echo done')
        assert said == ['nc: timed out', 'nc: timed out', 'done'], said


def doctor(node):
    said = node.sh(f'{BIN}/gantry doctor', check=False).stdout
    return [line for line in said.splitlines() if 'node 10.99.' in line]


def test_doctor_sends_a_packet_to_every_node(cluster, servers):
    node = cluster.nodes['n1']
    assert all(line.startswith('[ ok ] tasks of node') for line in doctor(node))
    assert len(doctor(node)) == 2
    blocked = cluster.nodes['n3']
    blocked.sh("nft 'table inet wall { chain c { type filter hook prerouting priority -400; "
               "udp dport 4789 drop; }; }'")
    assert any(line.startswith('[FAIL] tasks of node 10.99.1.') and 'by vxlan' in line
               for line in doctor(node)), doctor(node)
    blocked.sh('nft delete table inet wall')
    cluster.nodes['n2'].link.cut()
    assert f'[note] node {cluster.nodes["n2"].address} does not answer' in doctor(node)
    cluster.nodes['n2'].link.heal()


def test_ways_stay_without_agent_and_server(cluster, image, servers):
    """A new agent has them though it has not heard of the server; what somebody removed is back when
    it has."""
    node = cluster.nodes['n1']
    before = routes(node)
    reaches = lambda: all('200 OK' in h.sh(f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | busybox nc -w 3 {a} 80",
                                          check=False).stdout
                          for h, a in ((node, servers['n3']), (cluster.nodes['n2'], servers['n1'])))
    assert reaches()
    cluster.kill('server', 'gantry-server')
    for name in cluster.nodes:
        cluster.kill(name, 'gantry-agent')
    assert reaches()
    cluster.start_agent('n1')
    wait_for(lambda: 'trying again' in cluster.read_log(), 20)
    assert reaches() and routes(node) == before
    node.sh('ip route del ' + before.splitlines()[0].split(' proto')[0])
    cluster.start_server()
    for name in ('n2', 'n3'):
        cluster.start_agent(name)
    wait_for(lambda: routes(node) == before, 40)
    assert reaches()


def test_who_is_gone_has_no_way(cluster, servers):
    ecs, node = cluster.client('ecs'), cluster.nodes['n1']
    ours = f'10.200.250.0/24 via {cluster.nodes["n2"].address} dev eth0'
    node.sh(f'ip route add {ours}')  # somebody else's stays
    for name, left in (('n3', 1), ('n2', 0)):
        cluster.kill(name, 'gantry-agent')
        ecs.deregister_container_instance(containerInstance=cluster.instance_of(name), force=True)
        wait_for(lambda: len(routes(node).splitlines()) == left, 20)
    assert node.sh('ip -o link show type vxlan') == ''
    assert ours in node.sh('ip route')
