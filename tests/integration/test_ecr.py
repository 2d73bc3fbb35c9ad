"""The ECR API where it is easy to get wrong: answers that would grow without end, failures with
AWS's codes and words, members that exclude each other. Needs the server alone."""
import json
import os
import ssl
import subprocess
import urllib.request

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from conftest import BIN, free_port, wait_for
from registry import (  # noqa: F401: fixtures
    CONFIG, INDEX, LAYER, MANIFEST, Http, describe, manifest, repo, server, sha, web)

ACCOUNT = '000000000000'


def put(web, repo, name, document, media=MANIFEST):
    text = json.dumps(document).encode()
    status, headers, body = web('PUT', f'/v2/{repo}/manifests/{name or sha(text)}', text,
                                Content_Type=media)
    assert status == 201, body
    return sha(text), headers


def image(web, repo, **more):
    config = b'{"os":"linux","architecture":"amd64"}'
    web.upload(repo, config)
    return {'schemaVersion': 2, 'mediaType': MANIFEST, 'config': describe(CONFIG, config),
            'layers': [], **more}


# -- answers that would grow without end --

def test_many_large_manifests_are_not_all_read_at_once(server, web, repo):
    ids = []
    for i in range(20):
        document = image(web, repo, annotations={f'a{i}': 'x' * 3_900_000})
        ids.append({'imageDigest': put(web, repo, f't{i}', document)[0]})
    ecr = server.ecr()
    with pytest.raises(ecr.exceptions.InvalidParameterException) as e:
        ecr.batch_get_image(repositoryName=repo, imageIds=ids)
    assert 'imageIds' in e.value.response['Error']['Message']
    assert len(ecr.batch_get_image(repositoryName=repo, imageIds=ids[:1])['images']) == 1
    assert len(ecr.describe_images(repositoryName=repo)['imageDetails']) == 20


def test_an_image_has_at_most_a_thousand_tags(server, web, repo):
    text = json.dumps(image(web, repo)).encode()
    for i in range(1000):
        status, _, body = web('PUT', f'/v2/{repo}/manifests/{"t" * 120}{i:04}', text,
                              Content_Type=MANIFEST)
        assert status == 201, body
    status, _, body = web('PUT', f'/v2/{repo}/manifests/more', text, Content_Type=MANIFEST)
    assert status == 403 and json.loads(body)['errors'][0]['code'] == 'DENIED'
    assert '1000 tags' in json.loads(body)['errors'][0]['message']
    # one that it has already is no more
    assert web('PUT', f'/v2/{repo}/manifests/{"t" * 120}0007', text,
               Content_Type=MANIFEST)[0] == 201
    assert len(server.ecr().describe_images(repositoryName=repo)['imageDetails'][0]['imageTags']) == 1000
    pages = server.ecr().get_paginator('list_images').paginate(repositoryName=repo)
    assert sum(len(p['imageIds']) for p in pages) == 1000


def test_repositories_with_large_tags_in_pages(server):
    """A page ends where it is large enough, whatever maxResults says."""
    ecr = server.ecr('eu-west-3')
    tags = [{'Key': f'{i:02}' + '\U0001f600' * 126, 'Value': '\U0001f600' * 256} for i in range(50)]
    names = [f'large/r{i:04}' for i in range(420)]
    for name in names:
        ecr.create_repository(repositoryName=name, tags=tags)
    pages = list(ecr.get_paginator('describe_repositories').paginate(
        PaginationConfig={'PageSize': 1000}))
    assert [r['repositoryName'] for p in pages for r in p['repositories']] == names
    assert ecr.list_tags_for_resource(
        resourceArn=f'arn:aws:ecr:eu-west-3:{ACCOUNT}:repository/{names[0]}')['tags'] == tags
    for name in names:
        ecr.delete_repository(repositoryName=name)


# -- rules --

@pytest.mark.parametrize('key, value, good', [
    ('k' * 128, 'v' * 256, True), ('ä' * 128, 'ü' * 256, True), ('', 'v', False),
    ('k' * 129, 'v', False), ('k', 'v' * 257, False), ('aws:k', 'v', False)])
def test_rules_of_tags(server, repo, key, value, good):
    ecr = server.ecr()
    arn = f'arn:aws:ecr:us-east-1:{ACCOUNT}:repository/{repo}'
    if good:
        ecr.tag_resource(resourceArn=arn, tags=[{'Key': key, 'Value': value}])
        return
    with pytest.raises(ecr.exceptions.InvalidTagParameterException):
        ecr.tag_resource(resourceArn=arn, tags=[{'Key': key, 'Value': value}])


@pytest.mark.parametrize('call, members', [
    ('describe_images', {'imageIds': [{'imageTag': 'v1'}], 'maxResults': 5}),
    ('describe_images', {'imageIds': [{}]}),
    ('describe_images', {'imageIds': [{'imageDigest': 'sha256'}]}),
    ('describe_images', {'imageIds': [{'imageTag': '-'}]}),
])
def test_describe_images_refuses(server, repo, call, members):
    with pytest.raises(ClientError) as e:
        getattr(server.ecr(), call)(repositoryName=repo, **members)
    assert e.value.response['Error']['Code'] == 'InvalidParameterException', e.value


def test_named_repositories_are_not_paged(server, repo):
    ecr = server.ecr()
    with pytest.raises(ecr.exceptions.InvalidParameterException):
        ecr.describe_repositories(repositoryNames=[repo], maxResults=1)
    assert len(ecr.describe_repositories(repositoryNames=[repo])['repositories']) == 1


def test_described_images_are_filtered(server, web, repo):
    ecr = server.ecr()
    tagged = web.push(repo, 'v1', b'one')
    bare = put(web, repo, None, image(web, repo))[0]
    for status, digests in (('TAGGED', [tagged]), ('UNTAGGED', [bare]), ('ANY', [tagged, bare])):
        for ids in ({}, {'imageIds': [{'imageDigest': tagged}, {'imageDigest': bare}]}):
            found = ecr.describe_images(repositoryName=repo, filter={'tagStatus': status}, **ids)
            assert sorted(d['imageDigest'] for d in found['imageDetails']) == sorted(digests)


@pytest.mark.parametrize('image_id, code', [
    ({}, 'MissingDigestAndTag'), ({'imageTag': 'none'}, 'ImageNotFound'),
    ({'imageDigest': 'sha256:' + 64 * '0'}, 'ImageNotFound'),
    ({'imageDigest': 'sha512:' + 128 * '0'}, 'ImageNotFound'),
    ({'imageDigest': 'sha256'}, 'InvalidImageDigest'),
    ({'imageDigest': 'x y'}, 'InvalidImageDigest'), ({'imageTag': '.v'}, 'InvalidImageTag'),
    ({'imageTag': 'v1', 'imageDigest': 'sha256:' + 64 * '0'}, 'ImageTagDoesNotMatchDigest'),
])
def test_failures_of_batches(server, web, repo, image_id, code):
    digest = web.push(repo, 'v1', b'layer')
    for call in (server.ecr().batch_get_image, server.ecr().batch_delete_image):
        r = call(repositoryName=repo, imageIds=[image_id, {'imageTag': 'v1'}])
        assert [f['failureCode'] for f in r['failures']] == [code]
        assert r['failures'][0]['imageId'] == image_id and r['failures'][0]['failureReason']
    assert r['imageIds'] == [{'imageDigest': digest, 'imageTag': 'v1'}]


def test_media_types_that_a_caller_takes(server, web, repo):
    web.push(repo, 'v1', b'layer')
    def get(*types):
        return server.ecr().batch_get_image(repositoryName=repo, imageIds=[{'imageTag': 'v1'}],
                                            acceptedMediaTypes=list(types))
    assert get(INDEX, MANIFEST)['images'][0]['imageManifestMediaType'] == MANIFEST
    assert get(INDEX)['images'] == []
    assert get(INDEX)['failures'][0]['failureCode'] == 'ImageNotFound'


def test_a_failure_names_the_indexes_that_need_an_image(server, web, repo):
    child, _ = put(web, repo, None, image(web, repo))
    text = web('GET', f'/v2/{repo}/manifests/{child}')[2]
    index, _ = put(web, repo, 'multi', {'schemaVersion': 2, 'mediaType': INDEX, 'manifests': [
        describe(MANIFEST, text)]}, INDEX)
    r = server.ecr().batch_delete_image(repositoryName=repo, imageIds=[{'imageDigest': child}])
    assert r['failures'] == [{
        'imageId': {'imageDigest': child}, 'failureCode': 'ImageReferencedByManifestList',
        'failureReason': f'Requested image referenced by manifest list: [{index}]'}]
    r = server.ecr().batch_delete_image(repositoryName=repo, imageIds=[
        {'imageDigest': index}, {'imageDigest': child}])
    assert r['failures'] == [] and len(r['imageIds']) == 2


def test_the_longest_name_that_can_be_created_can_be_pushed_to(server):
    name = 'a' * 256
    server.ecr().create_repository(repositoryName=name)
    web = Http(server)
    web.push(name, 'v1', b'layer')
    assert json.loads(web('GET', f'/v2/{name}/tags/list')[2]) == {'name': name, 'tags': ['v1']}
    server.ecr().delete_repository(repositoryName=name, force=True)


# -- where the registry is --

def test_the_address_of_a_server_on_every_interface(tmp_path):
    """Clients are told the name under which they reached it, not the wildcard that it listens on."""
    key, crt = f'{tmp_path}/key.pem', f'{tmp_path}/crt.pem'
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key,
                    '-out', crt, '-days', '2', '-subj', '/CN=localhost', '-addext',
                    'subjectAltName=DNS:localhost'], check=True, stderr=subprocess.DEVNULL)
    port = free_port()
    p = subprocess.Popen([os.path.join(BIN, 'gantry-server'), '--state', f'{tmp_path}/state',
                          '--listen', f'0.0.0.0:{port}', '--tls-cert', crt, '--tls-key', key],
                         stderr=subprocess.DEVNULL)
    try:
        context = ssl.create_default_context(cafile=crt)

        def healthy():
            try:
                return urllib.request.urlopen(f'https://localhost:{port}/_gantry/health',
                                              context=context)
            except OSError:
                return None
        wait_for(healthy)
        with open(f'{tmp_path}/state/root.key') as f:
            root = json.load(f)
        ecr = boto3.client('ecr', endpoint_url=f'https://localhost:{port}', verify=crt,
                           region_name='us-east-1', aws_access_key_id=root['accessKeyId'],
                           aws_secret_access_key=root['secretAccessKey'],
                           config=Config(retries={'max_attempts': 0}))
        token = ecr.get_authorization_token()['authorizationData'][0]
        assert token['proxyEndpoint'] == f'https://localhost:{port}'
        made = ecr.create_repository(repositoryName='web')['repository']
        assert made['repositoryUri'] == f'localhost:{port}/web'
    finally:
        p.terminate()
        assert p.wait(20) == 0
