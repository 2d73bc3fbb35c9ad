"""A disk with a volatile write cache, for an emulated machine whose power can be cut.

An NBD server (the protocol is doc/proto.md of github.com/NetworkBlockDevice/nbd) on a unix socket.
What is written is read back at once, but reaches the platter only with a flush. When the power
goes, of what was not flushed any sectors may have reached the platter in any order, and the others
not: so a write may be torn, and a later one may be there without an earlier one. That is what a
disk may do.
"""
import os
import random
import socket
import struct
import threading

SECTOR = 512  # what the emulator announces, and what a disk writes whole or not at all

OPTION_MAGIC, REPLY_MAGIC = 0x49484156454F5054, 0x3E889045565A9
REQUEST, RESPONSE = 0x25609513, 0x67446698
OPT_ABORT, OPT_GO = 2, 7
REP_ACK, REP_INFO, REP_UNSUPPORTED = 1, 3, 0x80000001
READ, WRITE, DISCONNECT, FLUSH = range(4)
HAS_FLAGS, SEND_FLUSH = 1, 4


class Disconnected(Exception):
    pass


class Disk:
    def __init__(self, folder, size):
        self.size, self.socket_path = size, os.path.join(folder, 'disk.sock')
        self.platter_path = os.path.join(folder, 'platter')
        self.lock = threading.Lock()
        self.platter, self.seen = [self._file(folder, n) for n in ('platter', 'seen')]
        self.unflushed, self.flushes, self.writes = [], 0, 0
        self.armed, self.dead = None, threading.Event()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.socket_path)
        self.listener.listen(1)
        self.connection = None
        threading.Thread(target=self._serve, daemon=True).start()

    def _file(self, folder, name):
        fd = os.open(os.path.join(folder, name), os.O_RDWR | os.O_CREAT, 0o600)
        os.truncate(fd, self.size)
        return fd

    def load(self):
        """After the platter was written from outside (mke2fs)."""
        os.truncate(self.seen, 0)
        os.truncate(self.seen, self.size)
        offset = 0
        while True:
            try:
                offset = os.lseek(self.platter, offset, os.SEEK_DATA)
            except OSError:  # no data after this
                break
            data = os.pread(self.platter, 1 << 20, offset)
            os.pwrite(self.seen, data, offset)
            offset += len(data)

    def close(self):
        self.dead.set()
        for s in (self.connection, self.listener):
            if s:
                s.close()
        os.close(self.platter)
        os.close(self.seen)

    def state(self):
        return (f'disk: {self.writes} writes, {self.flushes} flushes, {len(self.unflushed)} not '
                f'flushed, power {"gone" if self.dead.is_set() else "on"}')

    # --- power

    def arm(self, where):
        """The power goes at the next request: 'now', or at a flush, 'before' or 'after' it."""
        with self.lock:
            self.armed = where
            if where == 'now':
                self.dead.set()

    def settle(self, rng):
        """What the cut left on the platter. Call it when the machine is dead; for another life."""
        with self.lock:
            keep = rng.choice((0, 0.5, 1, rng.random()))
            lost = 0
            for offset, data in self.unflushed:
                for at in range(0, len(data), SECTOR):
                    if rng.random() < keep:
                        os.pwrite(self.platter, data[at:at + SECTOR], offset + at)
                    else:
                        lost += 1
            for offset, data in self.unflushed:
                os.pwrite(self.seen, os.pread(self.platter, len(data), offset), offset)
            report = (f'{len(self.unflushed)} writes were not flushed, {lost} sectors of them '
                      f'are lost ({self.writes} writes and {self.flushes} flushes before)')
            self.unflushed, self.writes, self.flushes, self.armed = [], 0, 0, None
            if self.connection:
                self.connection.close()
                self.connection = None
            self.dead.clear()
            return report

    # --- protocol

    def _serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connection = connection
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, s):
        try:
            if self._negotiate(s):
                while self._request(s):
                    pass
        except (OSError, Disconnected):
            pass

    def _negotiate(self, s):
        s.sendall(b'NBDMAGIC' + struct.pack('>QH', OPTION_MAGIC, 3))
        receive(s, 4)
        while True:
            _, option, n = struct.unpack('>QII', receive(s, 16))
            receive(s, n)
            if option == OPT_GO:
                export = struct.pack('>HQH', 0, self.size, HAS_FLAGS | SEND_FLUSH)
                reply(s, option, REP_INFO, export)
                reply(s, option, REP_ACK)
                return True
            if option == OPT_ABORT:
                reply(s, option, REP_ACK)
                return False
            reply(s, option, REP_UNSUPPORTED)

    def _request(self, s):
        magic, _, kind, handle, offset, n = struct.unpack('>IHHQQI', receive(s, 28))
        assert magic == REQUEST
        data = receive(s, n) if kind == WRITE else b''
        if kind == DISCONNECT:
            return False
        with self.lock:
            answer = self._carry_out(kind, offset, n, data)
        if self.dead.is_set():
            return False  # no answer: nobody is told of what happens after the cut
        s.sendall(struct.pack('>IIQ', RESPONSE, 0, handle) + answer)
        return True

    def _carry_out(self, kind, offset, n, data):
        if self.dead.is_set():
            return b''
        if kind == READ:
            return os.pread(self.seen, n, offset)
        if kind == WRITE:
            os.pwrite(self.seen, data, offset)
            self.unflushed.append((offset, data))
            self.writes += 1
        elif kind == FLUSH:
            self._flush()
        return b''

    def _flush(self):
        if self.armed != 'before':
            for offset, data in self.unflushed:
                os.pwrite(self.platter, data, offset)
            self.unflushed = []
            self.flushes += 1
        if self.armed:
            self.dead.set()


def receive(s, n):
    parts = []
    while n:
        part = s.recv(min(n, 1 << 20))
        if not part:
            raise Disconnected
        parts.append(part)
        n -= len(part)
    return b''.join(parts)


def reply(s, option, kind, data=b''):
    s.sendall(struct.pack('>QIII', REPLY_MAGIC, option, kind, len(data)) + data)
