"""The requests of Terraform's AWS provider (5.x), in its order and with the members that it sends,
some of which are newer than our models. It compares what it reads with what it wrote."""
import json

import pytest

from conftest import wait_for
from fake_node import FakeNode
from server import Server

TARGETS = {'ecs': 'AmazonEC2ContainerServiceV20141113', 'logs': 'Logs_20140328',
           'ecr': 'AmazonEC2ContainerRegistry_V20150921'}


class Refused(Exception):
    pass


@pytest.fixture(scope='module')
def ask():
    server = Server()
    node = FakeNode(server.endpoint,
                    (server.credentials.access_key, server.credentials.secret_key))

    def call(service, op, /, **members):
        status, _, body = server.post(json.dumps(members).encode(), service=service,
                                      target=f'{TARGETS[service]}.{op}')
        answer = json.loads(body or b'{}')
        if status != 200:
            raise Refused(answer['__type'], answer['message'])
        return answer
    yield call
    node.end()
    server.end()


TAGS = [{'key': 'Name', 'value': 'x'}, {'key': 'env', 'value': 'test'}]
INCLUDE = ['TAGS', 'CONFIGURATIONS', 'SETTINGS']


def test_cluster(ask):
    arn = ask('ecs', 'CreateCluster', clusterName='tf', tags=TAGS)['cluster']['clusterArn']
    read = ask('ecs', 'DescribeClusters', clusters=[arn], include=INCLUDE)
    cluster = read['clusters'][0]
    assert read['failures'] == [] and cluster['status'] == 'ACTIVE' and cluster['tags'] == TAGS
    assert cluster['settings'] == [{'name': 'containerInsights', 'value': 'disabled'}]
    assert 'configuration' not in cluster and 'serviceConnectDefaults' not in cluster
    ask('ecs', 'UntagResource', resourceArn=arn, tagKeys=['env'])
    ask('ecs', 'TagResource', resourceArn=arn, tags=[{'key': 'Name', 'value': 'y'}])
    assert ask('ecs', 'ListTagsForResource', resourceArn=arn)['tags'] == [
        {'key': 'Name', 'value': 'y'}]
    ask('ecs', 'DeleteCluster', cluster=arn)
    assert ask('ecs', 'DescribeClusters', clusters=[arn],
               include=INCLUDE)['clusters'][0]['status'] == 'INACTIVE'
    with pytest.raises(Refused, match='The specified cluster is inactive'):
        ask('ecs', 'ListTagsForResource', resourceArn=arn)
    # what many modules switch on is not there, and nothing pretends that it is
    with pytest.raises(Refused, match='containerInsights'):
        ask('ecs', 'CreateCluster', clusterName='tf2', settings=[
            {'name': 'containerInsights', 'value': 'enabled'}])


CONTAINER = {'name': 'web', 'image': 'web:1', 'memory': 64, 'essential': True,
             'portMappings': [{'containerPort': 80, 'hostPort': 0, 'protocol': 'tcp'}],
             'environment': [{'name': 'A', 'value': 'b'}]}


def test_task_definition(ask):
    made = ask('ecs', 'RegisterTaskDefinition', family='tf', containerDefinitions=[CONTAINER],
               networkMode='bridge', requiresCompatibilities=['EC2'], volumes=[],
               placementConstraints=[], executionRoleArn='arn:aws:iam::000000000000:role/x',
               tags=TAGS, enableFaultInjection=False)['taskDefinition']
    read = ask('ecs', 'DescribeTaskDefinition', taskDefinition=made['taskDefinitionArn'],
               include=['TAGS'])
    assert read['taskDefinition'] == made and read['tags'] == TAGS
    container = made['containerDefinitions'][0]
    assert {k: container[k] for k in CONTAINER} == CONTAINER
    assert made['requiresCompatibilities'] == ['EC2'] and made['status'] == 'ACTIVE'
    ask('ecs', 'DeregisterTaskDefinition', taskDefinition=made['taskDefinitionArn'])
    assert ask('ecs', 'DescribeTaskDefinition', taskDefinition=made['taskDefinitionArn'],
               include=['TAGS'])['taskDefinition']['status'] == 'INACTIVE'


def test_service(ask):
    definition = ask('ecs', 'RegisterTaskDefinition', family='tfs', networkMode='bridge',
                     containerDefinitions=[CONTAINER])['taskDefinition']['taskDefinitionArn']
    token = 'terraform-20260101000000000000000001'
    wanted = dict(
        clientToken=token, cluster='default', serviceName='tf', taskDefinition=definition,
        desiredCount=2, launchType='EC2', schedulingStrategy='REPLICA',
        deploymentConfiguration={'maximumPercent': 200, 'minimumHealthyPercent': 100},
        deploymentController={'type': 'ECS'}, enableECSManagedTags=False, tags=TAGS,
        enableExecuteCommand=False, availabilityZoneRebalancing='DISABLED', loadBalancers=[],
        placementStrategy=[{'type': 'spread', 'field': 'instanceId'}])
    arn = ask('ecs', 'CreateService', **wanted)['service']['serviceArn']
    assert ask('ecs', 'CreateService', **wanted)['service']['serviceArn'] == arn

    def read():
        return ask('ecs', 'DescribeServices', cluster='default', services=[arn],
                   include=['TAGS'])['services'][0]

    def steady():
        s = read()
        return len(s['deployments']) == 1 and s['runningCount'] == s['desiredCount'] and s
    s = wait_for(steady)
    for member in ('desiredCount', 'launchType', 'schedulingStrategy', 'deploymentController',
                   'enableECSManagedTags', 'enableExecuteCommand', 'placementStrategy', 'tags',
                   'taskDefinition', 'loadBalancers'):
        assert s[member] == wanted[member], member
    assert s['deploymentConfiguration']['maximumPercent'] == 200
    assert 'roleArn' not in s and None not in s.values()
    ask('ecs', 'UpdateService', cluster='default', service=arn, forceNewDeployment=False,
        desiredCount=3, deploymentConfiguration={'maximumPercent': 150,
                                                 'minimumHealthyPercent': 50})
    assert wait_for(steady)['deploymentConfiguration']['minimumHealthyPercent'] == 50
    ask('ecs', 'UpdateService', cluster='default', service=arn, desiredCount=0)
    ask('ecs', 'DeleteService', cluster='default', service=arn, force=False)
    wait_for(lambda: read()['status'] == 'INACTIVE')
    gone = ask('ecs', 'DescribeServices', cluster='default', services=['never'], include=['TAGS'])
    assert gone['services'] == [] and gone['failures'][0]['reason'] == 'MISSING'


def test_log_group_and_repository(ask):
    ask('logs', 'CreateLogGroup', logGroupName='/tf', logGroupClass='STANDARD', tags={'a': 'b'})
    ask('logs', 'PutRetentionPolicy', logGroupName='/tf', retentionInDays=14)
    group = ask('logs', 'DescribeLogGroups', logGroupNamePrefix='/tf')['logGroups'][0]
    assert (group['logGroupName'], group['retentionInDays']) == ('/tf', 14)
    arn = group['arn'].removesuffix(':*')
    assert ask('logs', 'ListTagsForResource', resourceArn=arn)['tags'] == {'a': 'b'}
    ask('logs', 'DeleteLogGroup', logGroupName='/tf')
    made = ask('ecr', 'CreateRepository', repositoryName='tf/x', imageTagMutability='MUTABLE',
               imageScanningConfiguration={'scanOnPush': False}, tags=[
                   {'Key': 'a', 'Value': 'b'}])['repository']
    read = ask('ecr', 'DescribeRepositories', repositoryNames=['tf/x'])['repositories'][0]
    assert read == made
    assert ask('ecr', 'ListTagsForResource', resourceArn=made['repositoryArn'])['tags'] == [
        {'Key': 'a', 'Value': 'b'}]
    ask('ecr', 'DeleteRepository', repositoryName='tf/x', force=True)
    with pytest.raises(Refused, match='RepositoryNotFoundException'):
        ask('ecr', 'DescribeRepositories', repositoryNames=['tf/x'])
