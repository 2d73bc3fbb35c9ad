"""gantry simulate: what it prints, what it refuses, and that it prints the same again."""
import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest
import yaml

from conftest import BIN, ROOT, wait_for

GANTRY = os.path.join(BIN, 'gantry')
EXAMPLES = ['capacity-for-peak-load', 'loss-of-a-zone', 'rolling-update-of-a-large-service']
NODES = 'duration: 10m\nnodes: [{name: n, count: 3, zones: [a, b], cpu: 1024, memory: 2048}]\n'
SCENARIO = NODES + '''
services: [{name: web, desiredCount: 4, cpu: 512, memory: 256, startTime: 2s..9s}]
events: [{at: 2m, lose: {nodes: n-1}, for: 3m}, {at: 7m, scale: {service: web, desiredCount: 9}}]
'''


def simulate(*args, text=None):
    return subprocess.run([GANTRY, 'simulate', *args], input=text, capture_output=True, text=True,
                          cwd=ROOT, timeout=300)


def test_examples_are_as_documented():
    r = subprocess.run([sys.executable, 'tools/doc_examples.py', GANTRY], cwd=ROOT,
                       capture_output=True, text=True, timeout=600)
    assert r.returncode == 0, r.stdout + r.stderr
    assert r.stdout == '3 examples are as they are shown\n'
    page = open(os.path.join(ROOT, 'docs/simulate.md')).read()
    for name in EXAMPLES:
        assert f'examples/{name}.yaml' in page


@pytest.mark.parametrize('text, said', [
    ('', '-:1:1: the document is empty'),
    ('duration: 1h\n', '-:1:1: nodes is missing'),
    (NODES + 'colour: red\n', '-:3:1: unknown field colour; known here: duration'),
    (NODES.replace('count: 3', 'count: -3'), '-:2:26: nodes.count must be 1 to 10000, not -3'),
    (NODES + 'services: [{name: w, cpu: 1, memory: 5}]', '-:3:38: services.memory must be 6 to '),
    (NODES + 'services: [{name: w, cpu: 1, memory: 6, maximumPercent: 100}]',
     '-:3:12: CreateService: Both maximumPercent and minimumHealthyPercent cannot be 100'),
    (NODES + 'events: [{at: 1h, lose: {zone: a}}]', "-:3:10: an event after the scenario's end"),
    (NODES + 'events: [{at: 1m, lose: {zone: x}}]', "-:3:10: no node is in zone 'x'"),
    ('a: [', '-:2:1: while parsing a flow'),
    ('a: &x [*x]', '-:1:4: anchors, aliases and tags'),
    ('a: ' + '[' * 50, 'nested too deeply'),
])
def test_bad_scenarios_are_refused(text, said):
    r = simulate('-', text=text)
    assert r.returncode == 1
    assert r.stdout == ''
    assert r.stderr.startswith('gantry simulate: ')
    assert said in r.stderr


def test_a_large_scenario_is_refused():
    for size in 1 << 20, 1 << 23:
        r = simulate('-', text='#' * size + '\n')
        assert (r.returncode, 'is larger than 1048576 bytes' in r.stderr) == (1, True), r.stderr[:500]


@pytest.mark.parametrize('args, code, said', [
    ([], 2, 'name one scenario'),
    (['a', 'b'], 2, 'name one scenario'),
    (['/nowhere.yaml'], 1, "'/nowhere.yaml': No such file or directory"),
    (['--format', 'xml', '-'], 2, '--format is table or json'),
    (['--seed', '-1', '-'], 2, "--seed must be a whole number"),
    (['--repeat', '101', '-'], 2, "--repeat must be a whole number, 1 to 100, not '101'"),
    (['--svg', '/nowhere/x.svg', '-'], 1, "'/nowhere/x.svg': No such file or directory"),
    (['--frob', '-'], 2, "unknown option '--frob'"),
])
def test_bad_options_are_refused(args, code, said):
    r = simulate(*args, text=SCENARIO)
    assert (r.returncode, said in r.stderr) == (code, True), r.stderr


def check_use(use):
    assert 0 <= use['min'] <= use['mean'] <= use['max'] <= 1


def check_run(run, services, nodes):
    assert [s['name'] for s in run['services']] == services
    for s in run['services']:
        assert 0 <= s['lowest'] <= s['highest']
        assert s['lowest'] <= s['running'] <= s['highest']
        assert sum(s['placements'].values()) == s['running']
        assert (s['unplaced']['most'] > 0) == bool(s['unplaced']['refusals'])
    assert len(run['nodes']) == nodes == run['fleet']['nodes'] == sum(z['nodes'] for z in run['zones'])
    for part in [run['fleet'], *run['zones'], *run['nodes']]:
        check_use(part['cpu'])
        check_use(part['memory'])
    for node in run['nodes']:
        assert sum(node['placements'].values()) <= node['tasks'] <= node['mostTasks'] + 1
    assert [e['atMs'] for e in run['events']] == sorted(e['atMs'] for e in run['events'])
    for r in run['recoveries']:
        assert r['event'] < len(run['events']) and r['service'] in services
        assert r['lowest'] <= r['desired'] and 0 <= r['minimum'] <= r['desired']
        assert r['recoveredMs'] is None or r['recoveredMs'] >= r['belowMinimumMs'] >= 0
    at = run['samples']['atMs']
    assert at[0] == 0 and at == sorted(at)
    for series in run['samples']['services'].values():
        assert len(series['running']) == len(series['desired']) == len(at)
    for series in run['samples']['zones'].values():
        assert len(series['cpu']) == len(series['memory']) == len(at)
        assert all(v is None or 0 <= v <= 1 for v in series['cpu'] + series['memory'])


def test_json_is_whole():
    r = simulate('--format', 'json', '--repeat', '3', '--seed', '7', '-', text=SCENARIO)
    assert r.returncode == 0, r.stderr
    out = json.loads(r.stdout)
    assert set(out) == {'scenario', 'durationMs', 'recoveries', 'runs'}
    assert out['durationMs'] == 600000
    assert [run['seed'] for run in out['runs']] == [7, 8, 9]
    for run in out['runs']:
        check_run(run, ['web'], 3)
        assert [e['action'] for e in run['events']] == ['lose', 'return', 'scale']
    web = out['runs'][0]['services'][0]
    assert (web['desired'], web['running']) == (9, 6)
    assert web['unplaced']['most'] == 3
    assert web['unplaced']['refusals'] == {'RESOURCE:CPU': 3}
    assert web['unplaced']['allWouldFit'] == '2 more nodes like n'
    for summed in out['recoveries']:
        for value in ('recoveredMs', 'lowest', 'belowMinimumMs'):
            assert set(summed[value]) == {'min', 'median', 'max'}
    scaled = out['recoveries'][-1]
    assert scaled['what'] == 'scale web to 9' and scaled['recoveredMs']['min'] is None


def test_the_same_seed_prints_the_same(tmp_path):
    runs = []
    for i in range(2):
        svg = tmp_path / f'{i}.svg'
        r = simulate('--format', 'json', '--svg', str(svg), '-', text=SCENARIO)
        runs.append((r.returncode, r.stdout, svg.read_bytes()))
    assert runs[0] == runs[1] and runs[0][0] == 0
    assert simulate('--seed', '2', '--format', 'json', '-', text=SCENARIO).stdout != runs[0][1]


def test_json_scenario():
    text = json.dumps({'duration': '1m', 'nodes': [{'name': 'n', 'cpu': 1024, 'memory': 1024}],
                       'services': [{'name': 's', 'cpu': 1, 'memory': 6}]})
    r = simulate('-', text=text)
    assert r.returncode == 0 and 'Every task had a place.' in r.stdout, r.stderr


@pytest.mark.parametrize('plot', [f'docs/{e}.svg' for e in EXAMPLES])
def test_plots_are_plain_svg(plot):
    tree = ElementTree.parse(os.path.join(ROOT, plot))
    kinds = {e.tag.split('}')[1] for e in tree.iter()}
    assert tree.getroot().tag == '{http://www.w3.org/2000/svg}svg'
    assert kinds <= {'svg', 'title', 'style', 'text', 'line', 'path'}
    for e in tree.iter():
        assert not any('href' in a or a.startswith('on') for a in e.attrib)
    assert 'prefers-color-scheme: dark' in tree.find('{*}style').text


def test_names_are_escaped_in_the_plot(tmp_path):
    svg = tmp_path / 'x.svg'
    name = tmp_path / 'a&b<c>.yaml'
    name.write_text(SCENARIO)
    r = simulate('--svg', str(svg), str(name))
    assert r.returncode == 0, r.stderr
    assert 'a&b<c>.yaml' in ElementTree.parse(svg).find('{*}title').text


@pytest.fixture(scope='module')
def shop(gantry, busybox):
    """A service of two tasks that run, in the default cluster of one node."""
    ecs = gantry.client('ecs')
    ecs.register_task_definition(
        family='shop', networkMode='bridge', memory='64',
        placementConstraints=[{'type': 'memberOf', 'expression': 'runningTasksCount < 50'}],
        containerDefinitions=[{'name': 'main', 'image': busybox, 'cpu': 100, 'stopTimeout': 1,
                               'command': ['sleep', '1000']}])
    ecs.create_service(serviceName='shop', taskDefinition='shop', desiredCount=2,
                       placementStrategy=[{'type': 'binpack', 'field': 'memory'}],
                       deploymentConfiguration={'minimumHealthyPercent': 50, 'maximumPercent': 150})
    wait_for(lambda: ecs.describe_services(services=['shop'])['services'][0]['runningCount'] == 2)
    node = ecs.list_container_instances()['containerInstanceArns'][0].split('/')[-1]
    yield node
    ecs.delete_service(service='shop', force=True)


def test_a_live_cluster_is_exported(gantry, shop):
    r = gantry.cli('simulate', '--from-cluster', 'default', '--export')
    assert r.returncode == 0, r.stderr
    s = yaml.safe_load(r.stdout)
    ecs = gantry.client('ecs')
    real = ecs.describe_container_instances(containerInstances=[shop])['containerInstances'][0]
    size = {x['name']: x.get('integerValue') for x in real['registeredResources']}
    (node,) = s['nodes']
    assert (node['name'], node['cpu'], node['memory']) == (shop, size['CPU'], size['MEMORY'])
    attributes = {a['name']: a.get('value', '') for a in real['attributes']}
    assert node['zones'] == [attributes.pop('ecs.availability-zone')]
    assert node.get('attributes', {}) == attributes
    (service,) = [x for x in s['services'] if x['name'] == 'shop']
    low, _, high = service.pop('startTime').partition('..')
    assert 0 < int(low[:-2]) <= int((high or low)[:-2]) < 60000
    assert service == {
        'name': 'shop', 'desiredCount': 2, 'cpu': 100, 'memory': 64, 'networkMode': 'bridge',
        'placementStrategy': [{'type': 'binpack', 'field': 'memory'}],
        'placementConstraints': [{'type': 'memberOf', 'expression': 'runningTasksCount < 50'}],
        'minimumHealthyPercent': 50, 'maximumPercent': 150}


def test_a_live_cluster_is_played(gantry, shop):
    exported = gantry.cli('simulate', '--from-cluster', 'default', '--export').stdout
    again = simulate('-', text=exported)
    played = gantry.cli('simulate', '--from-cluster', 'default')
    assert played.returncode == again.returncode == 0, played.stderr + again.stderr
    assert played.stdout.splitlines()[0].startswith('cluster default: 1h, 1 node in 1 zone, ')
    assert played.stdout.splitlines()[1:] == again.stdout.splitlines()[1:]
    # The cluster goes on as it was.
    assert gantry.client('ecs').describe_services(services=['shop'])['services'][0]['runningCount'] == 2


def test_a_scenario_goes_on_from_a_live_cluster(gantry, shop, tmp_path):
    what_if = tmp_path / 'what-if.yaml'
    what_if.write_text(f'''
duration: 10m
nodes: [{{name: second, cpu: 1024, memory: 1024}}]
events:
  - {{at: 1m, scale: {{service: shop, desiredCount: 6}}}}
  - {{at: 2m, lose: {{nodes: "{shop}"}}}}
''')
    r = gantry.cli('simulate', '--from-cluster', 'default', '--format', 'json', str(what_if))
    assert r.returncode == 0, r.stderr
    run = json.loads(r.stdout)['runs'][0]
    assert [n['name'] for n in run['nodes']] == [shop, 'second']
    (service,) = [s for s in run['services'] if s['name'] == 'shop']
    assert (service['desired'], service['running']) == (6, 6)
    assert run['nodes'][1]['placements'] == {'shop': 6}


@pytest.mark.parametrize('args, code, said', [
    (['--from-cluster', 'nope'], 1, 'ClusterNotFoundException'),
    (['--export', 'x.yaml'], 2, '--export goes with --from-cluster'),
    (['--from-cluster', 'default', '--export', 'x.yaml'], 2, '--export goes with --from-cluster'),
    (['--from-cluster', 'default', '/nowhere.yaml'], 1, "'/nowhere.yaml': No such file"),
])
def test_live_clusters_that_are_none(gantry, args, code, said):
    r = gantry.cli('simulate', *args, check=False)
    assert (r.returncode, said in r.stderr) == (code, True), r.stderr
