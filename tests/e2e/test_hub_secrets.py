"""What the home keeps of secrets that people send: nothing by which they could be guessed, and nothing that others can read."""
import hashlib
import json
import sqlite3

from hub import hub, hubs  # noqa: F401  (fixtures)


def test_a_request_with_a_password_is_remembered_by_a_keyed_hash(hub):
    body = json.dumps({"name": "ada", "password": "correct horse battery"})
    send = {"Idempotency-Key": "once", "Content-Type": "application/json"}
    first = hub.local("POST", "/api/v1/users", body, headers=send)
    assert first.status == 201
    rows = sqlite3.connect(hub.slipway.home / "registry.db").execute("SELECT request_hash FROM idempotency").fetchall()
    assert len(rows) == 1 and rows[0][0] != hashlib.sha256(body.encode()).hexdigest()
    for file in hub.slipway.home.glob("registry.db*"):
        assert file.stat().st_mode & 0o077 == 0, file
    assert hub.slipway.home.stat().st_mode & 0o777 == 0o700
    # The same request is known again by the next hub too.
    hub.stop()
    hub.start()
    again = hub.local("POST", "/api/v1/users", body, headers=send)
    assert again.status == 201 and again.headers["Idempotency-Replayed"] == "true"
    assert hub.local("POST", "/api/v1/users", body.replace("horse", "house"), headers=send).status == 409
