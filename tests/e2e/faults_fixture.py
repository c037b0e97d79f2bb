"""A serin serve whose clocks and disk a test can break: tests/faults.c, told by shared memory.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import mmap
import os
import struct

import pytest
from serve_fixture import Serve

LIBRARY = os.environ.get("SERIN_FAULTS_LIB", "")

needs_faults = pytest.mark.skipif(not LIBRARY, reason="a sanitizer's library must be loaded before any other")


class Faults:
    """struct faults of tests/faults.c."""
    FIELDS = ("wall_ns", "monotonic_ns", "disk_errno", "sync_ms", "kill_at", "disk_calls", "syncs")

    def __init__(self, path):
        path.write_bytes(bytes(8 * len(self.FIELDS)))
        with open(path, "r+b") as file:
            self.__dict__["memory"] = mmap.mmap(file.fileno(), 0)
        self.__dict__["path"] = path

    def __getattr__(self, name):
        return struct.unpack_from("q", self.memory, 8 * self.FIELDS.index(name))[0]

    def __setattr__(self, name, value):
        struct.pack_into("q", self.memory, 8 * self.FIELDS.index(name), int(value))

    def set_wall(self, seconds):
        """The wall's clock, so much ahead of the true time."""
        self.wall_ns = seconds * 10**9

    def leap(self, seconds):
        """Both clocks, as if the program had been suspended for so long."""
        self.monotonic_ns += seconds * 10**9
        self.wall_ns += seconds * 10**9


class FaultyServe(Serve):
    """The program with the library in it; its workers are without."""

    def __init__(self, folder, *options):
        super().__init__(folder, *options)
        self.faults = Faults(self.folder / "faults")

    def spawn(self, *more):
        self.environment = {"LD_PRELOAD": LIBRARY, "SERIN_FAULTS": str(self.faults.path)}
        return super().spawn(*more)


@contextlib.contextmanager
def serving_faulty(folder, *options):
    """As serving(); it must end well, or have been killed by the test."""
    serve = FaultyServe(folder, *options)
    try:
        yield serve.start()
        if serve.process.poll() is None:
            assert serve.end() == 0, (serve.folder / "stderr").read_text()
        assert (serve.folder / "stderr").read_text() == ""
    finally:
        serve.kill()
