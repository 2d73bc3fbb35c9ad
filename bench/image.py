"""The benchmark's image: one static program and an empty folder, as an OCI layout."""
import hashlib
import io
import json
import os
import tarfile


def _blob(layout, data):
    digest = hashlib.sha256(data).hexdigest()
    with open(os.path.join(layout, 'blobs', 'sha256', digest), 'wb') as f:
        f.write(data)
    return {'digest': 'sha256:' + digest, 'size': len(data)}


def make(layout, probe):
    os.makedirs(os.path.join(layout, 'blobs', 'sha256'), exist_ok=True)
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode='w') as t:
        for folder in ('out', 'proc', 'sys', 'dev', 'etc'):
            info = tarfile.TarInfo(folder)
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            t.addfile(info)
        with open(probe, 'rb') as f:
            data = f.read()
        info = tarfile.TarInfo('probe')
        info.size, info.mode = len(data), 0o755
        t.addfile(info, io.BytesIO(data))
    layer = _blob(layout, tar.getvalue())
    layer['mediaType'] = 'application/vnd.oci.image.layer.v1.tar'
    config = _blob(layout, json.dumps({
        'architecture': 'amd64', 'os': 'linux', 'config': {'Entrypoint': ['/probe']},
        'rootfs': {'type': 'layers', 'diff_ids': [layer['digest']]}}).encode())
    config['mediaType'] = 'application/vnd.oci.image.config.v1+json'
    manifest = _blob(layout, json.dumps({
        'schemaVersion': 2, 'mediaType': 'application/vnd.oci.image.manifest.v1+json',
        'config': config, 'layers': [layer]}).encode())
    manifest['mediaType'] = 'application/vnd.oci.image.manifest.v1+json'
    manifest['annotations'] = {'org.opencontainers.image.ref.name': 'latest'}
    with open(os.path.join(layout, 'index.json'), 'w') as f:
        json.dump({'schemaVersion': 2, 'manifests': [manifest]}, f)
    with open(os.path.join(layout, 'oci-layout'), 'w') as f:
        json.dump({'imageLayoutVersion': '1.0.0'}, f)
    return layout
