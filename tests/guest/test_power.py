"""The power goes while Gantry writes: what it acknowledged is there again, and it comes up.

The guest's disk has a volatile write cache (disk.py): a cut loses any part of what was not flushed.
GANTRY_SEED replays the choices of a run (not its timing), GANTRY_POWER_CYCLES makes it longer.
"""
import os
import random
import shutil
import tempfile
import time

import pytest

from disk import Disk
from guest import Guest, make_file_system, wait_for
from load import Account, Load, check, prepare

CYCLES = int(os.environ.get('GANTRY_POWER_CYCLES', '3'))
SEED = int(os.environ.get('GANTRY_SEED', str(random.SystemRandom().randrange(1 << 32))))


@pytest.fixture
def disk():
    folder = tempfile.mkdtemp(prefix='gantry-disk-', dir='/var/tmp')
    d = Disk(folder, 1 << 30)
    make_file_system(d.platter_path, d.size)
    d.load()
    yield d
    d.close()
    shutil.rmtree(folder)


def kept(guest, account):
    """The service has its count of tasks, and they run."""
    ecs = guest.client('ecs')
    s, = ecs.describe_services(services=['kept'])['services']
    return s['runningCount'] == account.count and s['pendingCount'] == 0


def cut(guest, disk, rng, *moments):
    """Ends the guest in the middle of what it does; what the disk says of it."""
    disk.arm(rng.choice(moments))
    wait_for(disk.dead.is_set, 20, 0.001)
    guest.kill()
    return disk.settle(rng)


def live(guest, disk, account, layout, rng, last):
    """One life: everything acknowledged before is there, and then more of it, to the cut."""
    guest.boot().up()
    dmesg = guest.sh('dmesg')
    assert 'EXT4-fs error' not in dmesg and 'EXT4-fs warning' not in dmesg, dmesg
    nodes = guest.client('ecs').list_container_instances()['containerInstanceArns']
    assert len(nodes) == 1, nodes  # it knows itself again
    check(guest, account)
    wait_for(lambda: kept(guest, account), 30)
    if last:
        return
    load = Load(guest, account, layout, rng.random())
    load.start()
    time.sleep(rng.uniform(1, 4))
    try:
        report = cut(guest, disk, rng, 'now', 'before', 'before', 'after')
        print(f'power: {report}; acknowledged: {account.summary()}')
    finally:
        guest.kill()
        load.end()


def last_words(guest):
    try:
        return guest.read_log() if guest.process else ''
    except (OSError, AssertionError) as e:
        return f'gantry.log is not to be had: {e!r}'


def test_power_loss(guest_image, disk, busybox_layout):
    print(f'power: GANTRY_SEED={SEED}')
    rng, account = random.Random(SEED), Account()
    first = Guest(guest_image, disk=disk)
    try:
        image = first.boot().up().push(busybox_layout, 'busybox:1')
        prepare(first, image)
        wait_for(lambda: kept(first, account), 20)
        print(f'power: {cut(first, disk, rng, "now")}')  # idle, it may not flush for long
    finally:
        first.remove()
    for cycle in range(CYCLES + 1):
        guest = Guest(guest_image, disk=disk)
        try:
            live(guest, disk, account, busybox_layout, rng, last=cycle == CYCLES)
        except Exception as e:
            raise AssertionError(f'cycle {cycle}, GANTRY_SEED={SEED}: {e}\n{disk.state()}\n'
                                 f'{guest.tail()}\n{last_words(guest)}') from e
        finally:
            guest.remove()
    assert len(account.definitions) > CYCLES and account.manifests and account.lines
