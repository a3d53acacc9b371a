"""The parent's side of a worker: start, ask, give up after a while."""

import json
import os
import selectors
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
PEERS = ["rgrad", "torch", "numpy", "jax", "ferrotensor", "micrograd"]


class Skip(Exception):
    """No figure for this cell; the text says why."""


class Library:
    """One library. Its process starts on the first question, and again after a crash."""

    def __init__(self, name, patience, processors=None):
        self.name = name
        self.processors = processors
        self.patience = patience
        self.process = None

    def start(self):
        options = [] if self.processors is None else [str(self.processors)]
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "worker.py"), self.name, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # JAX asks for a GPU first and says so; here everything runs on the CPU.
            env=dict(os.environ, JAX_PLATFORMS="cpu", PYTHONDONTWRITEBYTECODE="1"),
        )
        self.read()

    def read(self):
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            if not selector.select(self.patience):
                self.stop()
                raise Skip(f"over {self.patience} s")
        line = self.process.stdout.readline()
        if not line:
            code = self.process.wait()
            self.stop()
            raise Skip(f"crashed ({-code})" if code < 0 else f"ended ({code})")
        reply = json.loads(line)
        if "skip" in reply:
            raise Skip(reply["skip"])
        return reply

    def ask(self, **what):
        if self.process is None:
            self.start()
        try:
            self.process.stdin.write((json.dumps(what) + "\n").encode())
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # `read` sees the end of the process and names it
        return self.read()

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process.stdin.close()
            self.process.stdout.close()
            self.process = None


def installed(names, patience):
    """The libraries that can be imported, with what they say of themselves, and the others."""
    found, missing = [], {}
    for name in names:
        library = Library(name, patience)
        try:
            library.about = library.ask(do="about")
            found.append(library)
        except Skip as reason:
            library.stop()
            missing[name] = str(reason)
    return found, missing
