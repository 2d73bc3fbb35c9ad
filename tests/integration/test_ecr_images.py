"""The ECR API: repositories, their tags, images. Needs the server alone, no node."""
import json
import time

import pytest
from botocore.exceptions import ClientError

from registry import MANIFEST, manifest, repo, server, sha, web  # noqa: F401: fixtures


def test_repositories(server):
    ecr = server.ecr()
    made = ecr.create_repository(repositoryName='api/one', imageTagMutability='IMMUTABLE',
                                 tags=[{'Key': 'k', 'Value': 'v'}])['repository']
    assert made['repositoryArn'] == 'arn:aws:ecr:us-east-1:000000000000:repository/api/one'
    assert made['repositoryUri'] == f'{server.host}/api/one'
    assert made['imageTagMutability'] == 'IMMUTABLE'
    with pytest.raises(ecr.exceptions.RepositoryAlreadyExistsException):
        ecr.create_repository(repositoryName='api/one')
    for i in range(5):
        ecr.create_repository(repositoryName=f'api/page{i}')
    pages = list(ecr.get_paginator('describe_repositories').paginate(
        PaginationConfig={'PageSize': 2}))
    names = [r['repositoryName'] for p in pages for r in p['repositories']]
    assert len(pages) >= 3 and names == sorted(names) and 'api/one' in names
    arn = made['repositoryArn']
    ecr.tag_resource(resourceArn=arn, tags=[{'Key': 'k', 'Value': 'w'}, {'Key': 'l', 'Value': ''}])
    ecr.untag_resource(resourceArn=arn, tagKeys=['nope'])
    assert ecr.list_tags_for_resource(resourceArn=arn)['tags'] == [
        {'Key': 'k', 'Value': 'w'}, {'Key': 'l', 'Value': ''}]
    with pytest.raises(ecr.exceptions.InvalidTagParameterException):
        ecr.tag_resource(resourceArn=arn, tags=[{'Key': 'aws:x', 'Value': ''}])
    with pytest.raises(ecr.exceptions.TooManyTagsException):
        ecr.tag_resource(resourceArn=arn, tags=[{'Key': f'k{i}', 'Value': ''} for i in range(51)])
    for name in ['api/one'] + [f'api/page{i}' for i in range(5)]:
        ecr.delete_repository(repositoryName=name)
    with pytest.raises(ecr.exceptions.RepositoryNotFoundException) as e:
        ecr.describe_repositories(repositoryNames=['api/one'])
    assert e.value.response['Error']['Message'] == (
        "The repository with name 'api/one' does not exist in the registry with id '000000000000'")


@pytest.mark.parametrize('call, more, code', [
    ('create_repository', {'repositoryName': 'Upper'}, 'InvalidParameterException'),
    ('create_repository', {'repositoryName': 'a' * 300}, 'InvalidParameterException'),
    ('create_repository', {'repositoryName': 'x/y', 'imageTagMutability': 'SOMETIMES'},
     'InvalidParameterException'),
    ('create_repository', {'repositoryName': 'x/y', 'encryptionConfiguration':
                           {'encryptionType': 'KMS'}}, 'UnsupportedOperationException'),
    ('create_repository', {'repositoryName': 'x/y', 'imageScanningConfiguration':
                           {'scanOnPush': True}}, 'UnsupportedOperationException'),
    ('delete_repository', {'repositoryName': 'x/y'}, 'RepositoryNotFoundException'),
    ('list_images', {'repositoryName': 'x/y'}, 'RepositoryNotFoundException'),
    ('batch_get_image', {'repositoryName': 'x/y', 'imageIds': [{'imageTag': 'v'}]},
     'RepositoryNotFoundException'),
    ('list_tags_for_resource', {'resourceArn': 'arn:aws:s3:::x'}, 'InvalidParameterException'),
    ('put_lifecycle_policy', {'repositoryName': 'x/y', 'lifecyclePolicyText': '{' + 100 * ' '},
     'UnsupportedOperationException'),
])
def test_refused_calls(server, call, more, code):
    with pytest.raises(ClientError) as e:
        getattr(server.ecr(), call)(**more)
    assert e.value.response['Error']['Code'] == code


def test_images(server, web, repo):
    ecr = server.ecr()
    one = web.push(repo, 'v1', b'layer one')
    web.push(repo, 'v2', b'layer one')
    two = web.push(repo, 'w', b'layer two')
    web.push(repo, 'w', b'layer three')
    listed = [i for p in ecr.get_paginator('list_images').paginate(
        repositoryName=repo, PaginationConfig={'PageSize': 1}) for i in p['imageIds']]
    assert len(listed) == 4 and {'imageDigest': two} in listed
    assert {'imageDigest': one, 'imageTag': 'v2'} in listed
    untagged = ecr.list_images(repositoryName=repo, filter={'tagStatus': 'UNTAGGED'})['imageIds']
    assert untagged == [{'imageDigest': two}]
    details = [d for p in ecr.get_paginator('describe_images').paginate(
        repositoryName=repo, PaginationConfig={'PageSize': 2}) for d in p['imageDetails']]
    assert len(details) == 3
    mine = next(d for d in details if d['imageDigest'] == one)
    assert mine['imageTags'] == ['v1', 'v2'] and mine['imageManifestMediaType'] == MANIFEST
    assert mine['imageSizeInBytes'] == len(b'layer one') + 37
    assert abs(mine['imagePushedAt'].timestamp() - time.time()) < 60
    got = ecr.batch_get_image(repositoryName=repo, imageIds=[
        {'imageTag': 'v1'}, {'imageTag': 'none'}, {'imageTag': 'v1', 'imageDigest': two}])
    assert sha(got['images'][0]['imageManifest'].encode()) == one
    assert [f['failureCode'] for f in got['failures']] == ['ImageNotFound',
                                                           'ImageTagDoesNotMatchDigest']
    with pytest.raises(ecr.exceptions.ImageNotFoundException):
        ecr.describe_images(repositoryName=repo, imageIds=[{'imageTag': 'none'}])
    with pytest.raises(ecr.exceptions.RepositoryNotEmptyException):
        ecr.delete_repository(repositoryName=repo)
    for call in (ecr.list_images, ecr.describe_images):
        with pytest.raises(ecr.exceptions.InvalidParameterException):
            call(repositoryName=repo, nextToken='forged')
    gone = ecr.batch_delete_image(repositoryName=repo, imageIds=[{'imageTag': 'v1'}])
    assert gone['imageIds'] == [{'imageDigest': one, 'imageTag': 'v1'}]
    gone = ecr.batch_delete_image(repositoryName=repo, imageIds=[{'imageDigest': one}])
    assert gone['imageIds'] == [{'imageDigest': one, 'imageTag': 'v2'}]
    ecr.delete_repository(repositoryName=repo, force=True)
    ecr.create_repository(repositoryName=repo)
    assert ecr.list_images(repositoryName=repo)['imageIds'] == []
    assert web('HEAD', f'/v2/{repo}/blobs/{sha(b"layer one")}')[0] == 404


def test_immutable_tags(server, web, repo):
    digest = web.push(repo, 'v1', b'layer one')
    server.ecr().put_image_tag_mutability(repositoryName=repo, imageTagMutability='IMMUTABLE')
    assert web.push(repo, 'v1', b'layer one') == digest
    config = b'{"os":"linux","architecture":"amd64"}'
    web.upload(repo, b'layer two')
    text = manifest(config, [b'layer two'])
    status, _, body = web('PUT', f'/v2/{repo}/manifests/v1', text)
    assert status == 400 and json.loads(body)['errors'][0]['code'] == 'TAG_INVALID'
    assert web('PUT', f'/v2/{repo}/manifests/v2', text)[0] == 201
