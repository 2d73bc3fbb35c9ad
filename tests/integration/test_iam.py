"""IAM: roles and their policies, as boto3 and the aws command line see them."""
import base64
import datetime
import hashlib
import json
import os
import subprocess
import time
import urllib.error
import urllib.request

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from conftest import ROOT

TRUST = {'Version': '2012-10-17', 'Statement': [
    {'Effect': 'Allow', 'Action': 'sts:AssumeRole',
     'Principal': {'Service': 'ecs-tasks.amazonaws.com', 'AWS': '000000000000'}}]}


def policy(*statements):
    return json.dumps({'Version': '2012-10-17', 'Statement': list(statements)})


def allow(action, resource='*', **more):
    return {'Effect': 'Allow', 'Action': action, 'Resource': resource, **more}


@pytest.fixture(scope='module')
def iam(gantry):
    return gantry.client('iam')


def code(call, **args):
    with pytest.raises(ClientError) as e:
        call(**args)
    return e.value.response['Error']['Code']


def make_role(iam, name, trust=None, **more):
    return iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust or TRUST),
                           **more)['Role']


def test_life_of_a_role(iam):
    made = make_role(iam, 'Life', Path='/app/', Description='first', MaxSessionDuration=7200,
                     Tags=[{'Key': 'team', 'Value': 'web'}])
    assert made['Arn'] == 'arn:aws:iam::000000000000:role/app/Life'
    assert made['RoleId'].startswith('AROA') and len(made['RoleId']) == 21
    got = iam.get_role(RoleName='life')['Role']
    assert got == made
    assert got['AssumeRolePolicyDocument'] == TRUST
    assert code(make_role, iam=iam, name='LIFE') == 'EntityAlreadyExists'

    iam.update_role(RoleName='Life', Description='second', MaxSessionDuration=3600)
    iam.update_assume_role_policy(RoleName='Life', PolicyDocument=json.dumps(
        {'Statement': {'Effect': 'Allow', 'Action': 'sts:AssumeRole', 'Principal': '*'}}))
    got = iam.get_role(RoleName='Life')['Role']
    assert (got['Description'], got['MaxSessionDuration']) == ('second', 3600)
    assert got['AssumeRolePolicyDocument']['Statement']['Principal'] == '*'

    document = policy(allow('ecs:RunTask'))
    iam.put_role_policy(RoleName='Life', PolicyName='run', PolicyDocument=document)
    got = iam.get_role_policy(RoleName='Life', PolicyName='run')
    assert got['PolicyDocument'] == json.loads(document)
    assert iam.list_role_policies(RoleName='Life')['PolicyNames'] == ['run']
    assert iam.list_attached_role_policies(RoleName='Life')['AttachedPolicies'] == []
    assert iam.list_instance_profiles_for_role(RoleName='Life')['InstanceProfiles'] == []
    assert code(iam.delete_role, RoleName='Life') == 'DeleteConflict'
    iam.delete_role_policy(RoleName='Life', PolicyName='run')
    assert code(iam.get_role_policy, RoleName='Life', PolicyName='run') == 'NoSuchEntity'
    iam.delete_role(RoleName='Life')
    assert code(iam.get_role, RoleName='Life') == 'NoSuchEntity'


def test_tags(iam):
    make_role(iam, 'tagged')
    iam.tag_role(RoleName='tagged', Tags=[{'Key': 'a', 'Value': '1'}, {'Key': 'b', 'Value': ''}])
    iam.tag_role(RoleName='tagged', Tags=[{'Key': 'A', 'Value': '2'}])
    assert iam.list_role_tags(RoleName='tagged')['Tags'] == [
        {'Key': 'A', 'Value': '2'}, {'Key': 'b', 'Value': ''}]
    first = iam.list_role_tags(RoleName='tagged', MaxItems=1)
    assert first['IsTruncated']
    second = iam.list_role_tags(RoleName='tagged', MaxItems=1, Marker=first['Marker'])
    assert second['Tags'] == [{'Key': 'b', 'Value': ''}] and not second['IsTruncated']
    iam.untag_role(RoleName='tagged', TagKeys=['a'])
    assert iam.get_role(RoleName='tagged')['Role']['Tags'] == [{'Key': 'b', 'Value': ''}]
    assert code(iam.tag_role, RoleName='tagged',
                Tags=[{'Key': 'x', 'Value': '1'}, {'Key': 'X', 'Value': '2'}]) == 'InvalidInput'


def test_pages_of_roles(iam):
    for i in range(5):
        make_role(iam, f'page-{i}', Path='/paged/')
    pages = list(iam.get_paginator('list_roles').paginate(
        PathPrefix='/paged/', PaginationConfig={'PageSize': 2}))
    assert [len(p['Roles']) for p in pages] == [2, 2, 1]
    assert [r['RoleName'] for p in pages for r in p['Roles']] == [f'page-{i}' for i in range(5)]
    assert code(iam.list_roles, Marker='forged') == 'ValidationError'


@pytest.mark.parametrize('document, why', [
    ('{', 'invalid Json'),
    (policy(), 'Syntax errors'),
    (policy(allow('RunTask')), 'prefaced by a vendor'),
    (policy(allow('ecs:RunTask', 'web')), 'must be in ARN format'),
    (policy(allow('ecs:RunTask', Condition={'StringMatches': {'aws:username': 'x'}})),
     'Invalid Condition type : StringMatches'),
    (policy({**allow('ecs:RunTask'), 'Principal': '*'}), 'should not specify a principal'),
])
def test_malformed_policies(iam, document, why):
    if code(iam.get_role, RoleName='none') and not iam.list_roles(PathPrefix='/bad/')['Roles']:
        make_role(iam, 'bad', Path='/bad/')
    with pytest.raises(ClientError) as e:
        iam.put_role_policy(RoleName='bad', PolicyName='p', PolicyDocument=document)
    assert e.value.response['Error']['Code'] == 'MalformedPolicyDocument'
    assert why in e.value.response['Error']['Message']
    assert e.value.response['ResponseMetadata']['HTTPStatusCode'] == 400


def test_limits(iam):
    make_role(iam, 'limits')
    big = policy(*[allow('ecs:' + 'x' * 900) for _ in range(6)])
    iam.put_role_policy(RoleName='limits', PolicyName='one', PolicyDocument=big)
    assert code(iam.put_role_policy, RoleName='limits', PolicyName='two',
                PolicyDocument=big) == 'LimitExceeded'
    iam.put_role_policy(RoleName='limits', PolicyName='one', PolicyDocument=big + ' ' * 20000)
    trust = {**TRUST, 'Id': 'x' * 2048}
    assert code(make_role, iam=iam, name='long', trust=trust) == 'LimitExceeded'
    assert code(iam.create_role, RoleName='a b', AssumeRolePolicyDocument='{}') == 'ValidationError'


def test_who_may_be_trusted(iam):
    def trusting(arn):
        return {'Version': '2012-10-17', 'Statement': [
            {'Effect': 'Allow', 'Action': 'sts:AssumeRole', 'Principal': {'AWS': arn}}]}
    make_role(iam, 'first')
    make_role(iam, 'second', trusting('arn:aws:iam::000000000000:role/first'))
    make_role(iam, 'abroad', trusting('arn:aws:iam::123456789012:role/whoever'))
    assert code(make_role, iam=iam, name='third',
                trust=trusting('arn:aws:iam::000000000000:role/nobody')) == 'MalformedPolicyDocument'
    assert code(make_role, iam=iam, name='third',
                trust=trusting('arn:aws:iam::000000000000:user/bob')) == 'MalformedPolicyDocument'


def test_what_there_is_not_is_refused_by_name(iam):
    make_role(iam, 'refused')
    for call, args in ((iam.attach_role_policy, {'PolicyArn': 'arn:aws:iam::aws:policy/ReadOnlyAccess'}),
                       (iam.put_role_permissions_boundary,
                        {'PermissionsBoundary': 'arn:aws:iam::aws:policy/ReadOnlyAccess'})):
        assert code(call, RoleName='refused', **args) == 'UnsupportedOperation'
    assert code(iam.list_users) == 'UnsupportedOperation'


def test_the_command_line(gantry, tmp_path):
    trust = tmp_path / 'trust.json'
    trust.write_text(json.dumps(TRUST))
    r = subprocess.run(
        ['aws', '--endpoint-url', gantry.endpoint, 'iam', 'create-role', '--role-name', 'by-cli',
         '--assume-role-policy-document', f'file://{trust}', '--query', 'Role.Arn', '--output',
         'text'], env=gantry.env(), capture_output=True, text=True, timeout=60)
    assert r.stdout.strip() == 'arn:aws:iam::000000000000:role/by-cli', r.stderr


# --- sessions

def session_client(gantry, service, keys):
    return gantry.client(service, access_key=keys['AccessKeyId'], secret_key=keys['SecretAccessKey'],
                         aws_session_token=keys['SessionToken'])


def make(iam, name, *statements, trust=None, **more):
    make_role(iam, name, trust, **more)
    if statements:
        iam.put_role_policy(RoleName=name, PolicyName='p', PolicyDocument=policy(*statements))
    return f'arn:aws:iam::000000000000:role{more.get("Path", "/")}{name}'


def assume(client, arn, **more):
    return client.assume_role(RoleArn=arn, RoleSessionName=more.pop('name', 'tester'), **more)


@pytest.fixture(scope='module')
def sts(gantry):
    return gantry.client('sts')


def test_a_session_is_who_it_says(gantry, iam, sts):
    arn = make(iam, 'Who', Path='/people/')
    got = assume(sts, arn, DurationSeconds=900)
    keys = got['Credentials']
    assert keys['AccessKeyId'].startswith('ASIA') and len(keys['SecretAccessKey']) == 40
    role_id = iam.get_role(RoleName='Who')['Role']['RoleId']
    assert got['AssumedRoleUser'] == {
        'Arn': 'arn:aws:sts::000000000000:assumed-role/Who/tester', 'AssumedRoleId': f'{role_id}:tester'}
    me = session_client(gantry, 'sts', keys).get_caller_identity()
    assert me['Arn'] == got['AssumedRoleUser']['Arn']
    assert me['UserId'] == f'{role_id}:tester' and me['Account'] == '000000000000'
    left = keys['Expiration'].timestamp() - time.time()
    assert 890 < left <= 900


def test_a_token_belongs_to_its_key(gantry, iam, sts):
    arn = make(iam, 'tokens')
    one, two = (assume(sts, arn)['Credentials'] for _ in range(2))
    token = one['SessionToken']
    for broken in ({'SessionToken': two['SessionToken']}, {'SessionToken': token[:-8] + 'AAAAAAAA'},
                   {'SessionToken': 'x'}, {'AccessKeyId': two['AccessKeyId']}):
        client = session_client(gantry, 'sts', {**one, **broken})
        assert code(client.get_caller_identity) == 'InvalidClientTokenId'
    client = session_client(gantry, 'sts', {**one, 'SecretAccessKey': two['SecretAccessKey']})
    assert code(client.get_caller_identity) == 'SignatureDoesNotMatch'
    bare = gantry.client('sts', access_key=one['AccessKeyId'], secret_key=one['SecretAccessKey'])
    assert code(bare.get_caller_identity) == 'InvalidClientTokenId'


def test_nothing_is_allowed_unless_a_policy_does(gantry, iam, sts):
    arn = make(iam, 'nobody')
    keys = assume(sts, arn)['Credentials']
    ecs = session_client(gantry, 'ecs', keys)
    with pytest.raises(ClientError) as e:
        ecs.list_clusters()
    assert e.value.response['Error']['Code'] == 'AccessDeniedException'
    assert e.value.response['Error']['Message'] == (
        'User: arn:aws:sts::000000000000:assumed-role/nobody/tester is not authorized to perform: '
        'ecs:ListClusters on resource: * because no identity-based policy allows the '
        'ecs:ListClusters action')
    assert code(session_client(gantry, 'iam', keys).list_roles) == 'AccessDenied'
    iam.put_role_policy(RoleName='nobody', PolicyName='p', PolicyDocument=policy(
        allow('ecs:*'), {'Effect': 'Deny', 'Action': 'ecs:List*', 'Resource': '*'}))
    with pytest.raises(ClientError, match='with an explicit deny in an identity-based policy'):
        ecs.list_clusters()
    assert ecs.describe_clusters(clusters=['none'])['failures']


def test_resources_in_every_spelling(gantry, iam, sts):
    root = gantry.client('ecs')
    for name in ('mine', 'theirs'):
        root.create_cluster(clusterName=name)
    prefix = 'arn:aws:ecs:us-east-1:000000000000:'
    arn = make(iam, 'spelling', allow('ecs:*', [f'{prefix}cluster/mine', f'{prefix}task/mine/*']))
    ecs = session_client(gantry, 'ecs', assume(sts, arn)['Credentials'])
    assert ecs.describe_clusters(clusters=['mine', f'{prefix}cluster/mine'])['clusters']
    assert ecs.describe_tasks(cluster=f'{prefix}cluster/mine', tasks=['0' * 32])['failures']
    assert ecs.describe_tasks(cluster='mine', tasks=[f'{prefix}task/mine/{"0" * 32}'])['failures']
    denied = 'AccessDeniedException'
    assert code(ecs.describe_clusters, clusters=['mine', 'theirs']) == denied
    assert code(ecs.describe_clusters) == denied  # the default one
    assert code(ecs.describe_tasks, cluster='theirs', tasks=['0' * 32]) == denied
    assert code(ecs.describe_tasks, cluster='mine',
                tasks=[f'{prefix}task/theirs/{"0" * 32}']) == denied
    assert code(ecs.list_tasks, cluster='mine') == denied  # on *


def test_conditions_on_tags_and_clusters(gantry, iam, sts):
    root = gantry.client('ecs')
    for team in ('web', 'db'):
        root.create_cluster(clusterName=f'of-{team}', tags=[{'key': 'team', 'value': team}])
    arn = make(
        iam, 'tags', Tags=[{'Key': 'team', 'Value': 'web'}],
        trust={'Version': '2012-10-17', 'Statement': [
            {'Effect': 'Allow', 'Action': ['sts:AssumeRole', 'sts:TagSession'],
             'Principal': {'AWS': '000000000000'}}]}, *[
            allow('ecs:DescribeClusters', Condition={'StringEquals': {
                'aws:ResourceTag/team': '${aws:PrincipalTag/team}'}}),
            allow('ecs:ListTasks', Condition={'ArnEquals': {
                'ecs:cluster': 'arn:aws:ecs:us-east-1:000000000000:cluster/of-web'}}),
            allow('ecs:CreateCluster', Condition={
                'StringEquals': {'aws:RequestTag/team': 'web'},
                'ForAllValues:StringEquals': {'aws:TagKeys': ['team', 'env']}}),
            allow('ecs:ListClusters', Condition={'IpAddress': {'aws:SourceIp': '127.0.0.0/8'}})])
    ecs = session_client(gantry, 'ecs', assume(sts, arn)['Credentials'])
    denied = 'AccessDeniedException'
    assert ecs.describe_clusters(clusters=['of-web'])['clusters']
    assert code(ecs.describe_clusters, clusters=['of-db']) == denied
    ecs.list_tasks(cluster='of-web')
    assert code(ecs.list_tasks, cluster='of-db') == denied
    assert code(ecs.list_tasks) == denied
    ecs.list_clusters()
    ecs.create_cluster(clusterName='tagged-1', tags=[{'key': 'team', 'value': 'web'}])
    assert code(ecs.create_cluster, clusterName='tagged-2') == denied
    assert code(ecs.create_cluster, clusterName='tagged-2', tags=[
        {'key': 'team', 'value': 'web'}, {'key': 'Team', 'value': 'db'}]) == 'InvalidParameterException'
    assert code(ecs.create_cluster, clusterName='tagged-2',
                tags=[{'key': 'team', 'value': 'web'}, {'key': 'x', 'value': ''}]) == denied
    other = session_client(gantry, 'ecs', assume(
        sts, arn, Tags=[{'Key': 'team', 'Value': 'db'}])['Credentials'])
    assert other.describe_clusters(clusters=['of-db'])['clusters']
    assert code(other.describe_clusters, clusters=['of-web']) == denied


def test_a_session_policy_only_takes_away(gantry, iam, sts):
    arn = make(iam, 'less', allow(['ecs:ListClusters', 'ecs:ListTasks']))
    got = assume(sts, arn, Policy=policy(allow(['ecs:ListClusters', 'logs:*'])))
    assert 0 < got['PackedPolicySize'] < 100
    ecs = session_client(gantry, 'ecs', got['Credentials'])
    ecs.list_clusters()
    with pytest.raises(ClientError, match='because no session policy allows the ecs:ListTasks'):
        ecs.list_tasks()
    logs = session_client(gantry, 'logs', got['Credentials'])
    assert code(logs.describe_log_groups) == 'AccessDeniedException'
    assert code(assume, client=sts, arn=arn, Policy='{') == 'MalformedPolicyDocument'


def test_who_may_assume(gantry, iam, sts):
    def trusting(principal, **more):
        return {'Version': '2012-10-17', 'Statement': [
            {'Effect': 'Allow', 'Action': 'sts:AssumeRole', 'Principal': principal, **more}]}
    first = make(iam, 'chain-1', allow('sts:AssumeRole', 'arn:aws:iam::000000000000:role/chain-2'))
    by_account = make(iam, 'chain-2', trust=trusting({'AWS': '000000000000'}))
    by_name = make(iam, 'chain-3', trust=trusting({'AWS': first}))
    no_more = make(iam, 'chain-4', trust=trusting({'AWS': '000000000000'}))
    service = make(iam, 'chain-5', trust=trusting({'Service': 'ecs-tasks.amazonaws.com'}))
    secret = make(iam, 'chain-6', trust=trusting(
        {'AWS': '*'}, Condition={'StringEquals': {'sts:ExternalId': '42'}}))
    chained = session_client(gantry, 'sts', assume(sts, first)['Credentials'])
    assume(chained, by_account)
    assume(chained, by_name)
    for arn in (no_more, service, secret, 'arn:aws:iam::000000000000:role/none'):
        assert code(assume, client=chained, arn=arn) == 'AccessDenied'
    assume(sts, secret, ExternalId='42')
    assert code(assume, client=sts, arn=secret, ExternalId='43') == 'AccessDenied'
    assert code(assume, client=sts, arn=service) == 'AccessDenied'
    assert code(assume, client=chained, arn=by_account, DurationSeconds=3601) == 'ValidationError'
    assert code(assume, client=sts, arn=by_account, DurationSeconds=3601) == 'ValidationError'
    assert code(assume, client=sts, arn=first,
                Tags=[{'Key': 'a', 'Value': 'b'}]) == 'AccessDenied'  # sts:TagSession


def test_sessions_end_with_their_role_and_by_revocation(gantry, iam, sts):
    arn = make(iam, 'ends', allow('ecs:ListClusters'))
    keys = assume(sts, arn)['Credentials']
    ecs = session_client(gantry, 'ecs', keys)
    ecs.list_clusters()
    now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=1)
    iam.put_role_policy(RoleName='ends', PolicyName='AWSRevokeOlderSessions', PolicyDocument=policy(
        {'Effect': 'Deny', 'Action': '*', 'Resource': '*', 'Condition': {
            'DateLessThan': {'aws:TokenIssueTime': now.strftime('%Y-%m-%dT%H:%M:%SZ')}}}))
    assert code(ecs.list_clusters) == 'AccessDeniedException'
    for name in ('p', 'AWSRevokeOlderSessions'):
        iam.delete_role_policy(RoleName='ends', PolicyName=name)
    iam.delete_role(RoleName='ends')
    make(iam, 'ends', allow('ecs:ListClusters'))
    assert code(ecs.list_clusters) == 'UnrecognizedClientException'
    assert code(session_client(gantry, 'sts', keys).get_caller_identity) == 'InvalidClientTokenId'


def test_a_large_session(gantry, iam, sts):
    trust = {'Version': '2012-10-17', 'Statement': [
        {'Effect': 'Allow', 'Action': 'sts:*', 'Principal': {'AWS': '000000000000'}}]}
    arn = make(iam, 'large', trust=trust)
    tags = [{'Key': f'key-{i}', 'Value': 'v' * 100} for i in range(50)]
    got = assume(sts, arn, Tags=tags)
    assert got['PackedPolicySize'] > 60
    session_client(gantry, 'sts', got['Credentials']).get_caller_identity()
    tags = [{'Key': f'key-{i}', 'Value': 'v' * 256} for i in range(50)]
    assert code(assume, client=sts, arn=arn, Tags=tags) == 'PackedPolicyTooLarge'


def test_more_than_anybody_can_mean(gantry, iam, sts):
    """What a policy is asked about is bounded, whatever the caller may do."""
    keys = assume(sts, make(iam, 'many', allow('*')))['Credentials']
    server = gantry.pid_of('gantry-server')
    ecs, ecr = (session_client(gantry, s, keys) for s in ('ecs', 'ecr'))
    assert code(ecs.describe_tasks, tasks=['x'] * 500000) == 'InvalidParameterException'
    for args in ({'tasks': ['x' * 1000000]}, {'cluster': 'x' * 1000000, 'tasks': ['x'] * 100}):
        assert code(ecs.describe_tasks, **args) == 'InvalidParameterException'
    repository = 'arn:aws:ecr:us-east-1:000000000000:repository/none'
    assert code(ecr.untag_resource, resourceArn=repository,
                tagKeys=[f'{i}' for i in range(200000)]) == 'InvalidParameterException'
    assert code(ecr.tag_resource, resourceArn=repository,
                tags=[{'Key': f'{i}', 'Value': ''} for i in range(100000)]) == 'InvalidParameterException'
    assert code(ecr.list_tags_for_resource,
                resourceArn='x' * 9000000) == 'InvalidParameterException'
    assert gantry.pid_of('gantry-server') == server


def signed(gantry, keys, service, path='/', body=b'{}', **headers):
    """A raw POST; status and text."""
    request = AWSRequest('POST', gantry.endpoint + path, data=body, headers={
        'x-amz-content-sha256': hashlib.sha256(body).hexdigest(), **headers})
    SigV4Auth(Credentials(keys['AccessKeyId'], keys['SecretAccessKey'], keys['SessionToken']),
              service, 'us-east-1').add_auth(request)
    try:
        with urllib.request.urlopen(urllib.request.Request(
                request.url, data=body, headers=dict(request.headers), method='POST')) as r:
            return r.status, r.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode()


def test_roles_do_not_reach_what_is_ours(gantry, iam, sts):
    """The agent protocol and the operators' service, whatever a policy says."""
    arn = make(iam, 'everything', allow('*'))
    node = gantry.client('ecs').list_container_instances()['containerInstanceArns'][0].split('/')[-1]
    keys = assume(sts, arn, name=node)['Credentials']
    for target, body in (('GantryAgent_20261101.Heartbeat', b'{"session": "x"}'),
                         ('GantryAdmin_20261101.DescribeJournal', b'{}')):
        with open(os.path.join(ROOT, 'api', f'{target[6:11].lower()}.json')) as f:
            api = json.load(f)
        assert api['target'] == target.split('.')[0]
        status, text = signed(gantry, keys, api['signing'], **{
            'Content-Type': 'application/x-amz-json-1.1', 'X-Amz-Target': target}, body=body)
        assert status == 400 and 'AccessDenied' in text, text


def test_sessions_with_the_command_line(gantry, iam):
    arn = make(iam, 'cli', allow('ecs:ListClusters'))
    r = subprocess.run(['aws', '--endpoint-url', gantry.endpoint, 'sts', 'assume-role', '--role-arn',
                        arn, '--role-session-name', 'from-cli', '--output', 'json'],
                       env=gantry.env(), capture_output=True, text=True, timeout=60)
    keys = json.loads(r.stdout)['Credentials']
    env = dict(gantry.env(), AWS_ACCESS_KEY_ID=keys['AccessKeyId'],
               AWS_SECRET_ACCESS_KEY=keys['SecretAccessKey'], AWS_SESSION_TOKEN=keys['SessionToken'])

    def aws(*args):
        return subprocess.run(['aws', '--endpoint-url', gantry.endpoint, *args], env=env,
                              capture_output=True, text=True, timeout=60)
    assert 'assumed-role/cli/from-cli' in aws('sts', 'get-caller-identity').stdout
    assert aws('ecs', 'list-clusters').returncode == 0
    refused = aws('ecs', 'list-tasks')
    assert refused.returncode != 0 and 'AccessDeniedException' in refused.stderr


def registry_login(ecr):
    token = ecr.get_authorization_token()['authorizationData'][0]
    return base64.b64decode(token['authorizationToken']).decode(), token['expiresAt']


def copy(*args):
    return subprocess.run(['skopeo', 'copy', '--quiet', '--dest-tls-verify=false',
                           '--src-tls-verify=false', *args], capture_output=True, text=True,
                          timeout=120)


def test_the_registry_asks_policies(gantry, iam, sts, busybox_layout, tmp_path):
    root = gantry.client('ecr')
    for name in ('team/app', 'team/secret', 'tagged'):
        root.create_repository(repositoryName=name, tags=[{'Key': 'open', 'Value': str(name == 'tagged')}])
    prefix = 'arn:aws:ecr:us-east-1:000000000000:repository/'
    push = ['ecr:BatchCheckLayerAvailability', 'ecr:InitiateLayerUpload', 'ecr:UploadLayerPart',
            'ecr:CompleteLayerUpload', 'ecr:PutImage']
    pull = ['ecr:BatchGetImage', 'ecr:GetDownloadUrlForLayer']
    arn = make(iam, 'pusher', allow('ecr:GetAuthorizationToken'),
               allow(push + pull, f'{prefix}team/app'),
               allow(pull, Condition={'StringEquals': {'aws:ResourceTag/open': 'True'}}))
    got = assume(sts, arn, DurationSeconds=900)['Credentials']
    ecr = session_client(gantry, 'ecr', got)
    login, until = registry_login(ecr)
    assert until <= got['Expiration']
    layout, registry = f'oci:{busybox_layout}:latest', f'docker://{gantry.registry}'
    r = copy('--dest-creds', login, layout, f'{registry}/team/app:1')
    assert r.returncode == 0, r.stderr
    r = copy('--dest-creds', login, layout, f'{registry}/team/secret:1')
    assert r.returncode != 0 and '403' in r.stderr, r.stderr
    assert root.list_images(repositoryName='team/secret')['imageIds'] == []
    r = copy('--src-creds', login, f'{registry}/team/app:1', f'oci:{tmp_path}/out:1')
    assert r.returncode == 0, r.stderr
    for name, ok in (('tagged', True), ('team/secret', False)):
        gantry.push(busybox_layout, f'{name}:2')
        r = copy('--src-creds', login, f'{registry}/{name}:2', f'oci:{tmp_path}/{name[:4]}:2')
        assert (r.returncode == 0) == ok, r.stderr
    assert code(ecr.list_images, repositoryName='team/app') == 'AccessDeniedException'
    iam.delete_role_policy(RoleName='pusher', PolicyName='p')
    r = copy('--src-creds', login, f'{registry}/team/app:1', f'oci:{tmp_path}/again:1')
    assert r.returncode != 0
    iam.delete_role(RoleName='pusher')
    assert copy('--src-creds', login, f'{registry}/team/app:1', f'oci:{tmp_path}/b:1').returncode != 0
