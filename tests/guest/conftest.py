"""Guests: what this machine's kernel cannot show, under a stock kernel 6.1."""
import os
import platform
import shutil
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.abspath(os.environ.get('GANTRY_BUILD', os.path.join(ROOT, 'build')))
# The tests of a container's fields there are good for every kernel.
sys.path.append(os.path.join(ROOT, 'tests', 'integration'))

from guest import Guest, free_port, wait_for  # noqa: E402,F401 (theirs too)
import image  # noqa: E402

pytest.register_assert_rewrite('cgroups', 'tasks', 'test_containers', 'test_tasks')


@pytest.fixture(scope='session')
def guest_image():
    if platform.machine() != 'x86_64' or not shutil.which('qemu-system-x86_64'):
        pytest.skip('needs qemu-system-x86 and an x86_64 host')
    return image.make(os.path.join(BUILD, 'guest'))


@pytest.fixture(scope='session')
def busybox_layout():
    path = os.path.join(BUILD, 'images', 'busybox')
    if not os.path.exists(os.path.join(path, 'index.json')):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        subprocess.run([os.path.join(ROOT, 'tools', 'make-image'), 'busybox', path], check=True)
    return path


@pytest.fixture(scope='module')
def machine(request, guest_image):
    """A guest whose cgroups are those that the module names."""
    g = Guest(guest_image, cgroup=request.module.CGROUP)
    try:
        yield g.boot()
    finally:
        g.remove()


@pytest.fixture(scope='module')
def gantry(machine):
    return machine.up()


@pytest.fixture(scope='module')
def busybox(gantry, busybox_layout):
    return gantry.push(busybox_layout, 'busybox:1')


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """The guest's console and Gantry's log, with what failed."""
    outcome = yield
    report = outcome.get_result()
    args = getattr(item, 'funcargs', {})
    g = args.get('gantry') or args.get('machine')
    if report.failed and g and g.process:
        report.sections.append(('guest', g.tail()))
        try:
            report.sections.append(('gantry.log', g.read_log()))
        except (OSError, AssertionError) as e:
            report.sections.append(('gantry.log', f'not to be had: {e}'))
