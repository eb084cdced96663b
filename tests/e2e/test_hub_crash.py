"""The hub is killed while it is asked for changes: what it acknowledged is there, what it did not is whole or absent. Longer with
SLIPWAY_HUB_KILLS."""
import os
import random
import signal
import threading

import little
from hub import hub, hubs  # noqa: F401  (fixtures)

KILLS = int(os.environ.get("SLIPWAY_HUB_KILLS", "60"))


class Writer(threading.Thread):
    """Makes accounts and grants one after the other, and notes what was acknowledged."""

    def __init__(self, hub, token, number):
        super().__init__(daemon=True)
        self.hub, self.token, self.number = hub, token, number
        self.acknowledged, self.asked = [], []
        self.first = threading.Event()

    def run(self):
        for i in range(100_000):
            name = f"u{self.number}-{i}"
            self.asked.append(name)
            try:
                made = self.hub.call("POST", "/api/v1/users", {"name": name, "grants": ["write@project:p", "write@project:q"]}, key=self.token)
            except Exception:  # the hub was killed
                self.first.set()
                return
            assert made.status == 201, made
            self.acknowledged.append(name)
            self.first.set()


def test_nothing_acknowledged_is_lost_whenever_the_hub_is_killed(hub):
    r = random.Random(7)
    acknowledged = set()
    for kill in range(KILLS):
        writers = [Writer(hub, hub.token, f"{kill}-{n}") for n in range(2)]
        for writer in writers:
            writer.start()
        # At a random moment of its work, which is told by its answers and a few spins, not by a clock.
        writers[0].first.wait(30)
        enough = r.randint(1, 12)
        while len(writers[0].acknowledged) < enough and writers[0].is_alive():
            pass
        hub.process.send_signal(signal.SIGKILL)
        hub.stop(signal.SIGKILL)
        for writer in writers:
            writer.join(30)
            acknowledged.update(writer.acknowledged)
        hub.start()
        if kill % 10 == 9 or kill == KILLS - 1:
            users = {u["name"]: u for u in hub.local("GET", "/api/v1/users").json}
            assert acknowledged <= set(users), f"lost: {sorted(acknowledged - set(users))[:5]}"
            assert all(len(u["grants"]) == 2 for u in users.values()), "half an account was kept"
    # One record of each: the change and its record are one.
    with_record = []
    path = "/api/v1/audit?limit=1000"
    while path:
        answer = hub.local("GET", path)
        with_record += [r["after"]["name"] for r in answer.json if r["action"] == "POST /api/v1/users"]
        link = answer.headers.get("Link")
        path = link[1:link.index(">")] if link else None
    assert sorted(with_record) == sorted(users)
    hub.slipway("doctor", "--deep")
