"""The registry with the clients that people use: skopeo, podman, buildah, umoci, docker's client, aws.
Needs the server alone, no node."""
import contextlib
import json
import os
import shutil
import tempfile

import pytest

from registry import (  # noqa: F401: fixtures
    INDEX, MANIFEST, Http, Layout, auth, describe, repo, run, server, sha, skopeo, web)


def test_skopeo_round_trip_keeps_every_digest(server, repo, auth, tmp_path):
    there, back = Layout(f'{tmp_path}/there'), f'{tmp_path}/back'
    image = there.image()
    skopeo(auth, 'copy', there.tag(image), f'docker://{server.host}/{repo}:v1')
    seen = json.loads(skopeo(auth, 'inspect', f'docker://{server.host}/{repo}:v1').stdout)
    assert seen['Digest'] == sha(image) and seen['RepoTags'] == ['v1']
    skopeo(auth, 'copy', f'docker://{server.host}/{repo}@{sha(image)}', f'oci:{back}:latest')
    assert sorted(os.listdir(f'{back}/blobs/sha256')) == there.blobs()
    skopeo(auth, 'delete', f'docker://{server.host}/{repo}:v1')
    assert skopeo(auth, 'inspect', f'docker://{server.host}/{repo}:v1', ok=False).returncode != 0


def test_index_with_all_its_platforms(server, repo, auth, tmp_path):
    there, back = Layout(f'{tmp_path}/there'), f'{tmp_path}/back'
    images = {a: there.image(a) for a in ('amd64', 'arm64')}
    index = there.blob(json.dumps({'schemaVersion': 2, 'mediaType': INDEX, 'manifests': [
        describe(MANIFEST, m, platform={'os': 'linux', 'architecture': a})
        for a, m in images.items()]}).encode())
    skopeo(auth, 'copy', '--all', there.tag(index, INDEX), f'docker://{server.host}/{repo}:multi')
    skopeo(auth, 'copy', '--all', f'docker://{server.host}/{repo}:multi', f'oci:{back}:latest')
    assert sorted(os.listdir(f'{back}/blobs/sha256')) == there.blobs()
    found = server.ecr().describe_images(repositoryName=repo, imageIds=[{'imageTag': 'multi'}])
    assert found['imageDetails'][0]['imageManifestMediaType'] == INDEX
    # its manifests are needed
    child = {'imageDigest': sha(images['arm64'])}
    r = server.ecr().batch_delete_image(repositoryName=repo, imageIds=[child])
    assert r['failures'][0]['failureCode'] == 'ImageReferencedByManifestList'


def test_docker_schema_2(server, repo, auth, tmp_path):
    there = Layout(f'{tmp_path}/there')
    skopeo(auth, 'copy', '--format', 'v2s2', there.tag(there.image()),
           f'docker://{server.host}/{repo}:d')
    raw = skopeo(auth, 'inspect', '--raw', f'docker://{server.host}/{repo}:d').stdout
    assert json.loads(raw)['mediaType'] == 'application/vnd.docker.distribution.manifest.v2+json'


@contextlib.contextmanager
def storage(tool):
    """podman or buildah with a store of its own, which is gone afterwards."""
    where = tempfile.mkdtemp(prefix='gt-', dir='/var/tmp')  # podman wants it short
    options = ['--root', f'{where}/root', '--runroot', f'{where}/run', '--storage-driver', 'vfs']
    if tool == 'podman':
        options += ['--cgroup-manager', 'cgroupfs', '--events-backend', 'none']
    environment = dict(os.environ, TMPDIR=where)
    try:
        yield lambda *args: run(tool, *options, *args, env=environment)
    finally:
        run(tool, *options, 'rmi', '--all', '--force', env=environment, ok=False)
        shutil.rmtree(where)


@pytest.mark.parametrize('tool', ['podman', 'buildah'])
def test_pull_and_push_with(tool, server, repo, auth, tmp_path):
    there = Layout(f'{tmp_path}/there')
    image = there.image()
    name = f'{server.host}/{repo}'
    skopeo(auth, 'copy', there.tag(image), f'docker://{name}:v1')
    with storage(tool) as call:
        call('login', '--tls-verify=false', '--authfile', f'{tmp_path}/own.json', '-u', 'AWS',
             '-p', server.password(), server.host)
        call('pull', '--tls-verify=false', '--authfile', f'{tmp_path}/own.json', f'{name}:v1')
        call('tag', f'{name}:v1', f'{name}:{tool}')
        call('push', '--tls-verify=false', '--authfile', f'{tmp_path}/own.json', f'{name}:{tool}')
    seen = json.loads(skopeo(auth, 'inspect', f'docker://{name}:{tool}').stdout)
    config = json.loads(skopeo(auth, 'inspect', '--raw', f'docker://{name}:{tool}').stdout)['config']
    assert config['digest'] == json.loads(image)['config']['digest']
    assert seen['Architecture'] == 'amd64'


def test_umoci_image_after_a_round_trip(server, repo, auth, tmp_path):
    there = Layout(f'{tmp_path}/there')
    skopeo(auth, 'copy', there.tag(there.image()), f'docker://{server.host}/{repo}:v1')
    skopeo(auth, 'copy', f'docker://{server.host}/{repo}:v1', f'oci:{tmp_path}/back:latest')
    run('umoci', 'raw', 'unpack', '--image', f'{tmp_path}/back:latest', f'{tmp_path}/unpacked')
    assert os.path.getsize(f'{tmp_path}/unpacked/file1') == 200_000


def test_docker_client_reads_manifests(server, repo, auth, web, tmp_path):
    if not shutil.which('docker'):
        pytest.skip('no docker client')
    docker = 'application/vnd.docker.'
    config = b'{"os":"linux","architecture":"amd64"}'
    web.upload(repo, config)
    text = json.dumps({'schemaVersion': 2, 'mediaType': docker + 'distribution.manifest.v2+json',
                       'config': describe(docker + 'container.image.v1+json', config),
                       'layers': []}).encode()
    assert web('PUT', f'/v2/{repo}/manifests/v1', text)[0] == 201
    os.makedirs(f'{tmp_path}/docker')
    shutil.copy(auth, f'{tmp_path}/docker/config.json')
    # It tries TLS first, and gives up when a plain port does not answer that with 400 but closes:
    # which of the two happens hangs on the random bytes of its handshake.
    for attempt in range(6):
        r = run('docker', '--config', f'{tmp_path}/docker', 'manifest', 'inspect', '--insecure',
                f'{server.host}/{repo}@{sha(text)}', ok=attempt == 5)
        if r.returncode == 0:
            break
    assert json.loads(r.stdout)['config']['digest'] == sha(config)


def test_aws_cli_logs_in(server, repo):
    key = server.key()
    environment = dict(os.environ, AWS_ACCESS_KEY_ID=key['accessKeyId'],
                       AWS_SECRET_ACCESS_KEY=key['secretAccessKey'],
                       AWS_DEFAULT_REGION='us-east-1', AWS_PAGER='')
    r = run('/usr/bin/aws', '--endpoint-url', f'http://{server.host}', 'ecr', 'get-login-password',
            env=environment)
    assert Http(server, r.stdout.strip())('GET', '/v2/')[0] == 200
