"""Every member of every request of an implemented operation is carried out, or refused by name.

The table below says which; it must have exactly the members of the models, so that a member which a
newer model brings is decided before it is accepted. What is refused is sent to a server, which must
name it. (RegisterTaskDefinition's are in test_ecs_taskdefs.c.)
"""
import json
import os
import urllib.parse

import pytest

from conftest import ROOT
from server import Server

# Carried out. In brackets: there is nothing to do, because
#   (off) only its "off" value is accepted; (aws) AWS itself does nothing with it (any more);
#   (record) it shows nowhere but in the record of calls, as in AWS.
DONE = {
    'ecs': '''
    CreateClusterRequest: clusterName tags settings(off)
    Tag: key value
    ClusterSetting: name value(off)
    CreateServiceRequest: cluster serviceName taskDefinition desiredCount clientToken launchType
        platformVersion deploymentConfiguration placementConstraints placementStrategy
        networkConfiguration healthCheckGracePeriodSeconds(off) schedulingStrategy(off)
        deploymentController(off) tags enableECSManagedTags propagateTags enableExecuteCommand(off)
        serviceConnectConfiguration(off)
    DeploymentConfiguration: deploymentCircuitBreaker(off) maximumPercent minimumHealthyPercent
    PlacementConstraint: type expression
    PlacementStrategy: type field
    NetworkConfiguration: awsvpcConfiguration
    AwsVpcConfiguration: subnets assignPublicIp(off)
    DeploymentController: type(off)
    ServiceConnectConfiguration: enabled(off)
    DeploymentCircuitBreaker: enable(off) rollback(off)
    Attribute: name value targetType targetId
    DeleteAttributesRequest: cluster attributes
    DeleteClusterRequest: cluster
    DeleteServiceRequest: cluster service force
    DeregisterContainerInstanceRequest: cluster containerInstance force
    DeregisterTaskDefinitionRequest: taskDefinition
    DescribeClustersRequest: clusters include
    DescribeContainerInstancesRequest: cluster containerInstances include
    DescribeServicesRequest: cluster services include
    DescribeTaskDefinitionRequest: taskDefinition include
    DescribeTasksRequest: cluster tasks include
    ListAttributesRequest: cluster targetType attributeName attributeValue nextToken maxResults
    ListClustersRequest: nextToken maxResults
    ListContainerInstancesRequest: cluster filter nextToken maxResults status
    ListServicesRequest: cluster nextToken maxResults launchType schedulingStrategy
    ListTagsForResourceRequest: resourceArn
    ListTaskDefinitionFamiliesRequest: familyPrefix status nextToken maxResults
    ListTaskDefinitionsRequest: familyPrefix status sort nextToken maxResults
    ListTasksRequest: cluster containerInstance family nextToken maxResults startedBy serviceName
        desiredStatus launchType
    PutAttributesRequest: cluster attributes
    RunTaskRequest: cluster count enableECSManagedTags enableExecuteCommand(off) group launchType
        networkConfiguration overrides placementConstraints placementStrategy platformVersion
        propagateTags referenceId(record) startedBy tags taskDefinition clientToken
    TaskOverride: containerOverrides cpu executionRoleArn memory taskRoleArn
    ContainerOverride: name command environment cpu memory memoryReservation
    KeyValuePair: name value
    StartTaskRequest: cluster containerInstances enableECSManagedTags enableExecuteCommand(off) group
        networkConfiguration overrides propagateTags referenceId(record) startedBy tags taskDefinition
    StopTaskRequest: cluster task reason
    Attribute: name value targetType targetId
    DeleteAttributesRequest: cluster attributes
    DeregisterContainerInstanceRequest: cluster containerInstance force
    ListAttributesRequest: cluster targetType attributeName attributeValue nextToken maxResults
    PutAttributesRequest: cluster attributes
    UpdateContainerInstancesStateRequest: cluster containerInstances status
    TagResourceRequest: resourceArn tags
    UntagResourceRequest: resourceArn tagKeys
    UpdateContainerInstancesStateRequest: cluster containerInstances status
    UpdateServiceRequest: cluster service desiredCount taskDefinition deploymentConfiguration
        networkConfiguration placementConstraints placementStrategy platformVersion
        forceNewDeployment healthCheckGracePeriodSeconds(off) enableExecuteCommand(off)
        enableECSManagedTags propagateTags serviceConnectConfiguration(off)
    ''',
    'ecr': '''
    BatchDeleteImageRequest: registryId repositoryName imageIds
    ImageIdentifier: imageDigest imageTag
    BatchGetImageRequest: registryId repositoryName imageIds acceptedMediaTypes
    CreateRepositoryRequest: registryId repositoryName tags imageTagMutability
        imageScanningConfiguration(off)
    Tag: Key Value
    ImageScanningConfiguration: scanOnPush(off)
    DeleteRepositoryRequest: registryId repositoryName force
    DescribeImagesRequest: registryId repositoryName imageIds nextToken maxResults filter
    DescribeImagesFilter: tagStatus
    DescribeRepositoriesRequest: registryId repositoryNames nextToken maxResults
    GetAuthorizationTokenRequest: registryIds
    ListImagesRequest: registryId repositoryName nextToken maxResults filter
    ListImagesFilter: tagStatus
    ListTagsForResourceRequest: resourceArn
    PutImageTagMutabilityRequest: registryId repositoryName imageTagMutability
    TagResourceRequest: resourceArn tags
    UntagResourceRequest: resourceArn tagKeys
    ''',
    'logs': '''
    CreateLogGroupRequest: logGroupClass deletionProtectionEnabled logGroupName tags
    CreateLogStreamRequest: logGroupName logStreamName
    DeleteLogGroupRequest: logGroupName
    DeleteLogStreamRequest: logGroupName logStreamName
    DeleteRetentionPolicyRequest: logGroupName
    DescribeLogGroupsRequest: logGroupClass logGroupIdentifiers logGroupNamePrefix
        logGroupNamePattern nextToken limit
        includeLinkedAccounts(off)
    DescribeLogStreamsRequest: logGroupName logGroupIdentifier logStreamNamePrefix orderBy descending
        nextToken limit
    FilterLogEventsRequest: logGroupName logGroupIdentifier logStreamNames logStreamNamePrefix
        startTime endTime filterPattern nextToken limit interleaved(aws) unmask(aws)
    GetLogEventsRequest: logGroupName logGroupIdentifier logStreamName startTime endTime nextToken
        limit startFromHead unmask(aws)
    ListTagsForResourceRequest: resourceArn
    ListTagsLogGroupRequest: logGroupName
    PutLogEventsRequest: logGroupName logStreamName logEvents sequenceToken(aws)
    InputLogEvent: timestamp message
    PutRetentionPolicyRequest: logGroupName retentionInDays
    TagLogGroupRequest: logGroupName tags
    TagResourceRequest: resourceArn tags
    UntagLogGroupRequest: logGroupName tags
    UntagResourceRequest: resourceArn tagKeys
    ''',
    'sts': '''
    AssumeRoleRequest: RoleArn RoleSessionName Policy DurationSeconds Tags TransitiveTagKeys
        ExternalId SourceIdentity
    Tag: Key Value
    GetCallerIdentityRequest:
    ''',
    'iam': '''
    CreateRoleRequest: Path RoleName AssumeRolePolicyDocument Description MaxSessionDuration Tags
    Tag: Key Value
    DeleteRoleRequest: RoleName
    DeleteRolePolicyRequest: RoleName PolicyName
    GetRoleRequest: RoleName
    GetRolePolicyRequest: RoleName PolicyName
    ListAttachedRolePoliciesRequest: RoleName PathPrefix(off) Marker(off) MaxItems(off)
    ListInstanceProfilesForRoleRequest: RoleName Marker(off) MaxItems(off)
    ListRolePoliciesRequest: RoleName Marker MaxItems
    ListRoleTagsRequest: RoleName Marker MaxItems
    ListRolesRequest: PathPrefix Marker MaxItems
    PutRolePolicyRequest: RoleName PolicyName PolicyDocument
    TagRoleRequest: RoleName Tags
    UntagRoleRequest: RoleName TagKeys
    UpdateAssumeRolePolicyRequest: RoleName PolicyDocument
    UpdateRoleDescriptionRequest: RoleName Description
    UpdateRoleRequest: RoleName Description MaxSessionDuration
    ''',
}

SERVICE = {'serviceName': 's', 'taskDefinition': 'f', 'desiredCount': 0}
RUN = {'taskDefinition': 'f'}
START = {'taskDefinition': 'f', 'containerInstances': ['n']}
UPDATE = {'service': 'up'}


def config(**more):
    return {'networkConfiguration': {'awsvpcConfiguration': {'subnets': ['subnet-1'], **more}},
            'taskDefinition': 'v'}


def override(**more):
    return {'overrides': {'containerOverrides': [{'name': 'c', **more}]}}


# service, shape, member: operation, request, and the word that the refusal must hold
CAPACITY = [{'capacityProvider': 'x'}]
BALANCER = [{'containerName': 'c', 'containerPort': 80, 'targetGroupArn': 'x'}]
REGISTRY = [{'registryArn': 'x'}]
CONNECT = {'serviceConnectConfiguration': {'enabled': True, 'namespace': 'n'}}
ASSUME = {'RoleArn': 'arn:aws:iam::000000000000:role/r', 'RoleSessionName': 'me'}
REFUSED = [
    ('ecs', 'CreateClusterRequest', 'configuration', 'CreateCluster',
     {'configuration': {'executeCommandConfiguration': {'logging': 'NONE'}}}, 'configuration'),
    ('ecs', 'CreateClusterRequest', 'capacityProviders', 'CreateCluster',
     {'capacityProviders': ['FARGATE']}, 'capacityProviders'),
    ('ecs', 'CreateClusterRequest', 'defaultCapacityProviderStrategy', 'CreateCluster',
     {'defaultCapacityProviderStrategy': CAPACITY}, 'defaultCapacityProviderStrategy'),
    ('ecs', 'CreateClusterRequest', 'serviceConnectDefaults', 'CreateCluster',
     {'serviceConnectDefaults': {'namespace': 'n'}}, 'serviceConnectDefaults'),
    ('ecs', 'CreateServiceRequest', 'loadBalancers', 'CreateService',
     {**SERVICE, 'loadBalancers': BALANCER}, 'loadBalancers'),
    ('ecs', 'CreateServiceRequest', 'serviceRegistries', 'CreateService',
     {**SERVICE, 'serviceRegistries': REGISTRY}, 'serviceRegistries'),
    ('ecs', 'CreateServiceRequest', 'capacityProviderStrategy', 'CreateService',
     {**SERVICE, 'capacityProviderStrategy': CAPACITY}, 'capacityProviderStrategy'),
    ('ecs', 'CreateServiceRequest', 'role', 'CreateService', {**SERVICE, 'role': 'r'}, 'role'),
    ('ecs', 'AwsVpcConfiguration', 'securityGroups', 'RunTask', config(securityGroups=['sg-1']),
     'securityGroups'),
    ('ecs', 'RunTaskRequest', 'capacityProviderStrategy', 'RunTask',
     {**RUN, 'capacityProviderStrategy': CAPACITY}, 'capacityProviderStrategy'),
    ('ecs', 'TaskOverride', 'inferenceAcceleratorOverrides', 'RunTask',
     {**RUN, 'overrides': {'inferenceAcceleratorOverrides': [{'deviceName': 'x'}]}},
     'inferenceAcceleratorOverrides'),
    ('ecs', 'TaskOverride', 'ephemeralStorage', 'RunTask',
     {**RUN, 'overrides': {'ephemeralStorage': {'sizeInGiB': 30}}}, 'ephemeralStorage'),
    ('ecs', 'ContainerOverride', 'environmentFiles', 'RunTask',
     {**RUN, **override(environmentFiles=[{'type': 's3', 'value': 'x'}])}, 'environmentFiles'),
    ('ecs', 'ContainerOverride', 'resourceRequirements', 'RunTask',
     {**RUN, **override(resourceRequirements=[{'type': 'GPU', 'value': '1'}])},
     'resourceRequirements'),
    ('ecs', 'UpdateServiceRequest', 'capacityProviderStrategy', 'UpdateService',
     {**UPDATE, 'capacityProviderStrategy': CAPACITY}, 'capacityProviderStrategy'),
    ('ecs', 'UpdateServiceRequest', 'loadBalancers', 'UpdateService',
     {**UPDATE, 'loadBalancers': BALANCER}, 'loadBalancers'),
    ('ecs', 'UpdateServiceRequest', 'serviceRegistries', 'UpdateService',
     {**UPDATE, 'serviceRegistries': REGISTRY}, 'serviceRegistries'),
    ('ecr', 'CreateRepositoryRequest', 'encryptionConfiguration', 'CreateRepository',
     {'repositoryName': 'aa', 'encryptionConfiguration': {'encryptionType': 'AES256'}},
     'encryptionConfiguration'),
    ('sts', 'AssumeRoleRequest', 'PolicyArns', 'AssumeRole',
     {**ASSUME, 'PolicyArns.member.1.arn': 'arn:aws:iam::aws:policy/ReadOnlyAccess'},
     'managed policies'),
    ('sts', 'AssumeRoleRequest', 'SerialNumber', 'AssumeRole',
     {**ASSUME, 'SerialNumber': 'arn:aws:iam::0:mfa/x'}, 'multi-factor'),
    ('sts', 'AssumeRoleRequest', 'TokenCode', 'AssumeRole', {**ASSUME, 'TokenCode': '123456'},
     'multi-factor'),
    ('iam', 'CreateRoleRequest', 'PermissionsBoundary', 'CreateRole',
     {'RoleName': 'r', 'AssumeRolePolicyDocument': '{}',
      'PermissionsBoundary': 'arn:aws:iam::aws:policy/ReadOnlyAccess'}, 'boundaries'),
    ('logs', 'CreateLogGroupRequest', 'kmsKeyId', 'CreateLogGroup',
     {'logGroupName': 'g', 'kmsKeyId': 'k'}, 'kmsKeyId'),
    ('logs', 'DescribeLogGroupsRequest', 'accountIdentifiers', 'DescribeLogGroups',
     {'accountIdentifiers': ['111111111111']}, 'accounts'),
    # the values of members that are accepted when they say "off"
    ('ecs', None, 'settings', 'CreateCluster',
     {'settings': [{'name': 'containerInsights', 'value': 'enabled'}]}, 'containerInsights'),
    ('ecs', None, 'healthCheckGracePeriodSeconds', 'CreateService',
     {**SERVICE, 'healthCheckGracePeriodSeconds': 1}, 'Health check grace period'),
    ('ecs', None, 'healthCheckGracePeriodSeconds', 'UpdateService',
     {**UPDATE, 'healthCheckGracePeriodSeconds': 1}, 'Health check grace period'),
    ('ecs', None, 'schedulingStrategy', 'CreateService',
     {**SERVICE, 'schedulingStrategy': 'DAEMON'}, 'schedulingStrategy'),
    ('ecs', None, 'deploymentController', 'CreateService',
     {**SERVICE, 'deploymentController': {'type': 'CODE_DEPLOY'}}, 'deploymentController'),
    ('ecs', None, 'enableExecuteCommand', 'CreateService',
     {**SERVICE, 'enableExecuteCommand': True}, 'enableExecuteCommand'),
    ('ecs', None, 'enableExecuteCommand', 'UpdateService',
     {**UPDATE, 'enableExecuteCommand': True}, 'enableExecuteCommand'),
    ('ecs', None, 'enableExecuteCommand', 'RunTask', {**RUN, 'enableExecuteCommand': True},
     'enableExecuteCommand'),
    ('ecs', None, 'enableExecuteCommand', 'StartTask', {**START, 'enableExecuteCommand': True},
     'enableExecuteCommand'),
    ('ecs', None, 'serviceConnectConfiguration', 'CreateService', {**SERVICE, **CONNECT},
     'serviceConnectConfiguration'),
    ('ecs', None, 'serviceConnectConfiguration', 'UpdateService', {**UPDATE, **CONNECT},
     'serviceConnectConfiguration'),
    ('ecs', None, 'deploymentCircuitBreaker', 'CreateService',
     {**SERVICE, 'deploymentConfiguration': {'deploymentCircuitBreaker': {
         'enable': True, 'rollback': False}}}, 'deploymentCircuitBreaker'),
    ('ecs', None, 'deploymentCircuitBreaker', 'UpdateService',
     {**UPDATE, 'deploymentConfiguration': {'deploymentCircuitBreaker': {
         'enable': False, 'rollback': True}}}, 'deploymentCircuitBreaker'),
    ('ecs', None, 'assignPublicIp', 'RunTask', config(assignPublicIp='ENABLED'),
     'Assign public IP'),
    ('ecs', None, 'platformVersion', 'RunTask', {**RUN, 'platformVersion': '1.4.0'},
     'platform version'),
    ('ecs', None, 'securityGroups', 'StartTask', {**START, **config(securityGroups=['sg-1'])},
     'securityGroups'),
    ('ecs', None, 'ephemeralStorage', 'StartTask',
     {**START, 'overrides': {'ephemeralStorage': {'sizeInGiB': 30}}}, 'ephemeralStorage'),
    ('ecr', None, 'scanOnPush', 'CreateRepository',
     {'repositoryName': 'aa', 'imageScanningConfiguration': {'scanOnPush': True}}, 'scanOnPush'),
    ('logs', None, 'logGroupClass', 'CreateLogGroup',
     {'logGroupName': 'g', 'logGroupClass': 'DELIVERY'}, 'logGroupClass'),
    ('logs', None, 'deletionProtectionEnabled', 'CreateLogGroup',
     {'logGroupName': 'g', 'deletionProtectionEnabled': True}, 'deletionProtectionEnabled'),
    ('logs', None, 'includeLinkedAccounts', 'DescribeLogGroups', {'includeLinkedAccounts': True},
     'accounts'),
]

# Below a member that is refused as a whole, or that may only be "off".
UNREACHED = {'ecs': {
    'ClusterConfiguration', 'ExecuteCommandConfiguration', 'ExecuteCommandLogConfiguration',
    'CapacityProviderStrategyItem', 'ClusterServiceConnectDefaultsRequest', 'LoadBalancer',
    'ServiceRegistry', 'ServiceConnectService', 'ServiceConnectClientAlias', 'LogConfiguration',
    'Secret', 'EnvironmentFile', 'ResourceRequirement', 'InferenceAcceleratorOverride',
    'EphemeralStorage'}, 'ecr': {'EncryptionConfiguration'}, 'logs': set(), 'sts': {'PolicyDescriptorType'}, 'iam': set()}
UNREACHED_MEMBERS = {('ecs', 'ServiceConnectConfiguration', m)
                     for m in ('namespace', 'services', 'logConfiguration')}


def load(name):
    with open(os.path.join(ROOT, 'api', name)) as f:
        return json.load(f)


def members(service):
    """{(shape, member)} that the requests of implemented operations reach."""
    model, overlay = load(service + '.json'), load(service + '.overlay.json')
    shapes = model['shapes']
    for name, more in overlay.get('shapes', {}).items():
        shape = shapes.setdefault(name, more)
        shape.setdefault('members', {}).update(more.get('members', {}))
    found, seen = set(), set()

    def walk(name):
        shape = shapes.get(name)
        if shape is None or name in seen:
            return
        seen.add(name)
        for member, what in shape.get('members', {}).items():
            found.add((name, member))
            walk(what if isinstance(what, str) else what['shape'])
        if 'of' in shape:
            walk(shape['of'])
    for op in load(service + '.gantry.json'):
        if op != 'RegisterTaskDefinition':
            walk(model['operations'][op].get('in'))
    return found


def decided(service):
    done, shape = set(), None
    for word in DONE[service].split():
        if word.endswith(':'):
            shape = word[:-1]
        else:
            done.add((shape, word.split('(')[0]))
    refused = {(r[1], r[2]) for r in REFUSED if r[0] == service and r[1]}
    assert not done & refused
    return done | refused


@pytest.mark.parametrize('service', sorted(DONE))
def test_every_member_is_decided(service):
    model = {(s, m) for s, m in members(service)
             if s not in UNREACHED[service] and (service, s, m) not in UNREACHED_MEMBERS}
    assert decided(service) == model


@pytest.fixture(scope='module')
def server():
    s = Server()
    ecs = s.client('ecs')
    for family, more in (('f', {}), ('v', {'networkMode': 'awsvpc'})):
        ecs.register_task_definition(family=family, containerDefinitions=[
            {'name': 'c', 'image': 'i', 'memory': 64}], **more)
    ecs.create_service(serviceName='up', taskDefinition='f', desiredCount=0)
    yield s
    assert ecs.list_clusters()['clusterArns'] == [
        'arn:aws:ecs:us-east-1:000000000000:cluster/default']
    assert len(ecs.list_services()['serviceArns']) == 1
    s.end()


@pytest.mark.parametrize('case', REFUSED, ids=lambda c: f'{c[3]}-{c[2]}')
def test_what_is_refused_is_named(server, case):
    service, _, _, op, request, word = case
    model = load(service + '.json')
    if model['protocol'] == 'query':
        form = urllib.parse.urlencode({'Action': op, 'Version': model['version'], **request})
        status, _, body = server.post(
            form.encode(), service=service,
            headers={'Content-Type': 'application/x-www-form-urlencoded'})
        assert status == 400 and b'<Code>UnsupportedOperation</Code>' in body and \
            word.encode() in body, body
        return
    target = load(service + '.json')['target'] + '.' + op
    status, _, body = server.post(json.dumps(request).encode(), target=target, service=service)
    answer = json.loads(body)
    assert status == 400 and word in answer['message'], answer
    assert answer['__type'] in ('InvalidParameterException', 'UnsupportedOperationException'), answer
