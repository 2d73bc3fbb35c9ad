"""The registry's lists, in pages: tags, repositories, referrers. Needs the server alone, no node."""
import json

from registry import (  # noqa: F401: fixtures
    CONFIG, INDEX, MANIFEST, Http, describe, pages, repo, server, sha, web)


def test_tags_in_pages(web, repo):
    for tag in ('b', 'a', 'd', 'c', 'A'):
        web.push(repo, tag, b'layer')
    seen, path = [], f'/v2/{repo}/tags/list?n=2'
    while path:
        _, headers, body = web('GET', path)
        seen.append(json.loads(body)['tags'])
        link = headers['Link']
        path = link and link[1:link.index('>')]
    assert seen == [['A', 'a'], ['b', 'c'], ['d']]


def test_catalog(server):
    """The repositories of the token's region."""
    ecr = server.ecr('ap-south-1')
    names = [f'cat/{i}' for i in range(5)]
    for name in names:
        ecr.create_repository(repositoryName=name)
    web = Http(server, server.password('ap-south-1'))
    assert json.loads(web('GET', '/v2/_catalog')[2]) == {'repositories': names}
    assert pages(web, '/v2/_catalog?n=2', 'repositories') == [names[:2], names[2:4], names[4:]]
    assert pages(web, '/v2/_catalog?last=cat/3', 'repositories') == [names[4:]]
    assert pages(web, '/v2/_catalog?n=0', 'repositories') == [[]]
    for name in names:
        ecr.delete_repository(repositoryName=name)


def test_referrers(server, web, repo):
    subject = web.push(repo, 'v1', b'layer')
    path = f'/v2/{repo}/referrers/{subject}'
    status, headers, body = web('GET', path)
    assert (status, headers['Content-Type'], json.loads(body)['manifests']) == (200, INDEX, [])
    config = b'{"os":"linux","architecture":"amd64"}'
    made = {}
    for i, kind in enumerate(['application/x.sbom+json', 'application/x.sig', 'application/x.sig']):
        document = {'schemaVersion': 2, 'mediaType': MANIFEST, 'artifactType': kind,
                    'config': describe(CONFIG, config), 'layers': [],
                    'subject': {'mediaType': MANIFEST, 'digest': subject, 'size': 1},
                    'annotations': {'n': f'"{i}" ü'}}
        text = json.dumps(document).encode()
        status, headers, body = web('PUT', f'/v2/{repo}/manifests/{sha(text)}', text,
                                    Content_Type=MANIFEST)
        assert status == 201 and headers['OCI-Subject'] == subject, body
        made[sha(text)] = describe(MANIFEST, text, artifactType=kind,
                                   annotations=document['annotations'])
    found = pages(web, path + '?n=1', 'manifests')
    assert [p[0] for p in found] == [made[d] for d in sorted(made)]
    status, headers, body = web('GET', path + '?artifactType=application/x.sbom%2Bjson')
    assert headers['OCI-Filters-Applied'] == 'artifactType'
    assert [m['artifactType'] for m in json.loads(body)['manifests']] == ['application/x.sbom+json']
    found = pages(web, path + '?n=1&artifactType=application/x.sig', 'manifests')
    assert sum(len(p) for p in found) == 2
    for digest in made:  # goes with the manifest that refers
        assert web('DELETE', f'/v2/{repo}/manifests/{digest}')[0] == 202
    assert pages(web, path, 'manifests') == [[]]
