"""An open stream of events goes by the rights of now: it ends with the credential that it was opened with, and tells nothing more of what
its caller may no longer see."""
import http.client
import json
import queue
import threading
import time

import pytest

import little
from hub import hub, hubs  # noqa: F401  (fixtures)

YAML = """project: {0}
datasets:
  orders: {{type: files, path: orders.csv}}
  copy: {{type: managed}}
  slow: {{type: managed}}
recipes:
  s: {{type: sync, input: orders, output: copy}}
"""
PASSWORD = "correct horse battery"
ENDS_WITHIN = 20  # seconds, on a machine with much else to do


class Stream:
    """One open stream; its events come through a queue, its end too."""

    def __init__(self, hub, key=None, cookie=None, path="/api/v1/events"):
        self.connection = http.client.HTTPConnection(hub.address, timeout=60)
        self.connection.request("GET", path, headers={"Cookie": cookie} if cookie else {"Authorization": f"Bearer {key}"})
        self.answer = self.connection.getresponse()
        assert self.answer.status == 200
        self.lines = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        try:
            for line in self.answer:
                if line.startswith(b"data: "):
                    self.lines.put(json.loads(line[6:]))
        except OSError:
            pass
        self.lines.put(None)

    def until(self, wanted):
        """The events up to the first that is `wanted`."""
        seen = []
        while True:
            event = self.lines.get(timeout=60)
            assert event is not None, f"the stream ended: {seen}"
            seen.append(event)
            if wanted(event):
                return seen

    def rest(self):
        """What comes before its end, which must come."""
        seen = []
        while (event := self.lines.get(timeout=ENDS_WITHIN)) is not None:
            seen.append(event)
        return seen


@pytest.fixture
def shop(hub):
    hub.slipway.write("orders.csv", little.training_csv(rows=50))
    for project in ("shop", "pay"):
        hub.slipway.write("p.yaml", YAML.format(project))
        hub.slipway("apply", "-f", "p.yaml")
    hub.slipway("user", "add", "ada", "--role", "read@project:shop", "--role", "read@project:pay")
    return hub


def build(hub, project="shop"):
    return hub.local("POST", f"/api/v1/projects/{project}/build", {"targets": ["copy"], "mode": "all"}).json["job"]


def ended(job):
    return lambda event: event["job"] == job and event["kind"] == "ended"


def check_it_ends(hub, stream, take_away):
    """Events come; then the right is taken away, and neither a later event comes nor does the stream stay."""
    stream.until(ended(build(hub)))
    take_away()
    job = build(hub)
    assert job not in {e["job"] for e in stream.rest()}


def test_a_stream_ends_with_its_key(shop):
    made = shop.slipway.json("key", "create", "--label", "x", "--account", "ada")
    check_it_ends(shop, Stream(shop, made["key"]), lambda: shop.slipway("key", "revoke", made["id"]))


def test_a_stream_ends_when_its_key_expires(shop):
    made = shop.local("POST", "/api/v1/keys", {"label": "x", "account": "ada", "expires_in_seconds": 10}).json
    stream = Stream(shop, made["key"])
    assert stream.rest() == []  # also where nothing happens
    assert shop.call("GET", "/api/v1/whoami", key=made["key"]).status == 401


def test_a_stream_ends_when_its_account_is_disabled(shop):
    check_it_ends(shop, Stream(shop, shop.key("--account", "ada")), lambda: shop.slipway("user", "disable", "ada"))


def test_a_stream_ends_with_its_session(shop):
    assert shop.local("PUT", "/api/v1/users/ada/password", {"password": PASSWORD}).status == 200
    def sign_in():
        made = shop.call("POST", "/api/v1/sessions", {"account": "ada", "password": PASSWORD})
        return made.headers["Set-Cookie"].split(";")[0]
    cookie = sign_in()
    check_it_ends(shop, Stream(shop, cookie=cookie), lambda: shop.call("DELETE", "/api/v1/sessions", headers={"Cookie": cookie}))
    check_it_ends(shop, Stream(shop, cookie=sign_in()), lambda: shop.slipway("user", "disable", "ada"))


def test_a_stream_tells_nothing_more_of_a_role_that_is_gone(shop):
    stream = Stream(shop, shop.key("--account", "ada"))
    stream.until(ended(build(shop)))
    shop.slipway("user", "revoke", "ada", "read", "--on", "project:shop")
    hidden, seen = build(shop), build(shop, "pay")
    shop.slipway("job", "ls")
    assert hidden not in {e["job"] for e in stream.until(ended(seen))}
    # A role that comes holds at once too.
    shop.slipway("user", "grant", "ada", "read", "--on", "project:shop")
    stream.until(ended(build(shop)))


def test_a_jobs_stream_ends_with_the_right_to_see_it(shop):
    key = shop.key("--account", "ada")
    shop.slipway.write("p.yaml", YAML.format("shop") + '  long: {type: sql, input: orders, output: slow, query: "SELECT count(*) AS n FROM orders, '
                       'range(3000000000) r WHERE r.range % 7 = orders.id % 7"}\n')
    shop.slipway("apply", "-f", "p.yaml")
    job = shop.local("POST", "/api/v1/projects/shop/build", {"targets": ["slow"]}).json["job"]
    stream = Stream(shop, key, path=f"/api/v1/events?job={job}")
    shop.slipway("user", "revoke", "ada", "read", "--on", "project:shop")
    taken = time.monotonic()
    assert not [e for e in stream.rest() if e["kind"] == "ended"] and time.monotonic() - taken < ENDS_WITHIN
    assert shop.call("GET", f"/api/v1/jobs/{job}", key=key).status == 404
    assert shop.local("POST", f"/api/v1/jobs/{job}/abort", {}).status == 200
