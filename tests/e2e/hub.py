"""A real hub for tests: `slipway hub` on a free port over a temporary home, and what programs send it."""
import http.client
import json
import os
import pathlib
import signal
import subprocess
import urllib.parse

import pytest

from conftest import BINARY, Slipway


class HubAnswer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.body[:300]!r}"


class Hub:
    """One running hub. `slipway` runs commands against its home."""

    def __init__(self, slipway, *options):
        self.slipway = slipway
        self.options = options
        self.start()

    def start(self):
        self.process = subprocess.Popen([str(BINARY), "hub", "--listen", "127.0.0.1:0", *map(str, self.options)], stdout=subprocess.PIPE,
                                        stderr=open(self.slipway.folder / "hub.err", "ab"), text=True, cwd=self.slipway.folder,
                                        env=self.slipway.environment())
        self.lines = []
        for line in self.process.stdout:
            self.lines.append(line.strip())
            if line.startswith("slipway hub is ready at "):
                self.url = line.split()[-1]
                return
        raise AssertionError(f"the hub ended: {self.lines} {(self.slipway.folder / 'hub.err').read_text()}")

    @property
    def token(self):
        return (self.slipway.home / "hub.token").read_text().strip()

    @property
    def address(self):
        return urllib.parse.urlsplit(self.url).netloc

    def call(self, method, path, body=None, key=None, headers=None, timeout=60):
        connection = http.client.HTTPConnection(self.address, timeout=timeout)
        send = dict(headers or {})
        if key:
            send["Authorization"] = f"Bearer {key}"
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
            send.setdefault("Content-Type", "application/json")
        try:
            connection.request(method, path, body, send)
            answer = connection.getresponse()
            return HubAnswer(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    def local(self, method, path, body=None, **more):
        return self.call(method, path, body, key=self.token, **more)

    def key(self, *words):
        return self.slipway.json("key", "create", "--label", "test", *words)["key"]

    def stop(self, how=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(how)
        code = self.process.wait(timeout=30)
        self.process.stdout.close()
        return code


@pytest.fixture
def hubs():
    """Makes hubs, and ends what is left of them."""
    made = []

    def make(slipway, *options):
        hub = Hub(slipway, *options)
        made.append(hub)
        return hub

    yield make
    for hub in made:
        if hub.process.poll() is None:
            hub.stop(signal.SIGKILL)


@pytest.fixture
def hub(slipway, hubs):
    return hubs(slipway)
