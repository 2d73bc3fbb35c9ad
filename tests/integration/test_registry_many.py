"""The registry with many clients at once. Needs the server alone, no node."""
import concurrent.futures
import json
import random

from registry import Http, repo, server, sha, web  # noqa: F401: fixtures


def at_once(n, work):
    """work(i) on n threads; what they returned."""
    with concurrent.futures.ThreadPoolExecutor(n) as pool:
        return list(pool.map(work, range(n)))


def test_twenty_push_and_pull_the_same(server, repo):
    password = server.password()
    layer = random.Random(7).randbytes(2_000_000)
    digests = at_once(20, lambda i: Http(server, password).push(repo, 'same', layer))
    assert len(set(digests)) == 1

    def pull(i):
        web = Http(server, password)
        text = web('GET', f'/v2/{repo}/manifests/same')[2]
        return sha(web('GET', f'/v2/{repo}/blobs/{json.loads(text)["layers"][0]["digest"]}')[2])
    assert set(at_once(20, pull)) == {sha(layer)}
    assert len(server.ecr().describe_images(repositoryName=repo)['imageDetails']) == 1


def test_twenty_push_what_is_theirs_and_move_one_tag(server, repo):
    password = server.password()

    def push(i):
        web = Http(server, password)
        layer = random.Random(i).randbytes(300_000)
        web.push(repo, f'own{i}', layer)
        return web.push(repo, 'latest', layer)
    digests = at_once(20, push)
    assert len(set(digests)) == 20
    web = Http(server, password)
    for i, digest in enumerate(digests):
        assert sha(web('GET', f'/v2/{repo}/manifests/own{i}')[2]) == digest
    assert sha(web('GET', f'/v2/{repo}/manifests/latest')[2]) in digests


def test_an_upload_is_written_by_one_at_a_time(server, web, repo):
    """Twenty chunks for one place: one gets it, the others are told where the upload ends."""
    at = web('POST', f'/v2/{repo}/blobs/uploads/')[1]['Location']
    password = server.password()
    chunk = b'x' * 200_000
    answers = at_once(20, lambda i: Http(server, password)(
        'PATCH', at, chunk, Content_Range=f'0-{len(chunk) - 1}'))
    assert sorted(a[0] for a in answers) == [202] + 19 * [416]
    assert web('PUT', f'{at}?digest={sha(chunk)}')[0] == 201
    assert web('GET', f'/v2/{repo}/blobs/{sha(chunk)}')[2] == chunk
