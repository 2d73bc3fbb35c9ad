"""IAM: roles and their policies, as boto3 and the aws command line see them."""
import json
import subprocess

import pytest
from botocore.exceptions import ClientError

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
