"""The hub's server: it starts, says where it is, lets in who may, and ends without a trace."""
import http.client
import json
import os
import re
import signal
import socket
import stat
import threading

import little
from hub import Hub, hub, hubs  # noqa: F401  (fixtures)

ORDERS = "project: shop\ndatasets:\n  orders: {type: files, path: orders.csv}\n  copy: {type: managed}\nrecipes:\n  s: {type: sync, input: orders, output: copy}\n"


def with_orders(slipway, project="shop"):
    slipway.write("orders.csv", little.training_csv(rows=50))
    slipway.write("p.yaml", ORDERS.replace("project: shop", f"project: {project}"))
    return slipway("apply", "-f", "p.yaml")


def test_a_hub_says_where_it_is_and_leaves_no_trace(hub):
    home = hub.slipway.home
    known = json.loads((home / "hub.json").read_text())
    assert known["url"] == hub.url and known["pid"] == hub.process.pid
    assert stat.S_IMODE((home / "hub.token").stat().st_mode) == 0o600
    assert hub.call("GET", "/isAlive").status == 200
    assert hub.call("GET", "/ready").status == 200
    assert "slipway_hub_requests_total" in hub.call("GET", "/metrics").body.decode()
    assert hub.stop() == 0
    assert not (home / "hub.json").exists() and not (home / "hub.token").exists()
    assert hub.slipway.json("project", "ls") == []


def test_files_of_a_killed_hub_are_not_believed(hub, hubs):
    hub.stop(signal.SIGKILL)
    assert (hub.slipway.home / "hub.json").exists()
    with_orders(hub.slipway)  # in process again
    again = hubs(hub.slipway)
    assert [p["name"] for p in again.local("GET", "/api/v1/projects").json] == ["shop"]


def test_a_second_hub_on_the_home_is_refused(hub):
    answer = hub.slipway("hub", "--listen", "127.0.0.1:0", code=7)
    assert "slipway hub" in answer.err and "in use" in answer.err


def test_nobody_gets_in_without_a_key(hub):
    for key in (None, "wrong", "swk_" + "a" * 43):
        answer = hub.call("GET", "/api/v1/projects", key=key)
        assert answer.status == 401, answer
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json["request_id"] == answer.headers["X-Request-Id"]
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert hub.local("GET", "/api/v1/projects").status == 200


def test_names_of_other_sites_and_pages_of_other_sites_are_refused(hub):
    assert hub.call("GET", "/api/v1/openapi.json", headers={"Host": "evil.example"}).status == 421
    assert hub.call("GET", "/isAlive", headers={"Host": "evil.example:80"}).status == 421
    body = {"name": "mallory", "admin": True}
    for headers in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}):
        answer = hub.local("POST", "/api/v1/users", body, headers=headers)
        assert answer.status == 403, headers
    assert hub.local("GET", "/api/v1/users").json == []
    assert hub.local("POST", "/api/v1/users", {"name": "ada"}, headers={"Origin": hub.url, "Sec-Fetch-Site": "same-origin"}).status == 201


def test_binding_elsewhere_asks_for_tls_or_a_flag(slipway):
    answer = slipway("hub", "--listen", "0.0.0.0:0", code=2)
    assert "clear" in answer.err and "--tls-certificate" in answer.err


def test_the_first_link_makes_one_administrator_once(hub):
    link = next(line for line in hub.lines if "/setup?token=" in line)
    token = link.split("token=")[1]
    page = hub.call("GET", f"/setup?token={token}")
    assert page.status == 200 and token in page.body.decode()
    wrong = hub.call("POST", "/api/v1/setup", {"token": "swi_x", "name": "eve", "password": "long enough 1"})
    assert wrong.status == 403
    short = hub.call("POST", "/api/v1/setup", {"token": token, "name": "ada", "password": "short"})
    assert short.status == 400
    form = f"token={token}&name=ada&password=correct+horse+battery"
    made = hub.call("POST", "/setup", form, headers={"Content-Type": "application/x-www-form-urlencoded", "Origin": hub.url})
    assert made.status == 201, made
    again = hub.call("POST", "/api/v1/setup", {"token": token, "name": "eve", "password": "long enough 1"})
    assert again.status == 403
    users = hub.local("GET", "/api/v1/users").json
    assert [(u["name"], u["admin"]) for u in users] == [("ada", True)]


def sign_in(hub, account, password):
    answer = hub.call("POST", "/api/v1/sessions", {"account": account, "password": password})
    if answer.status != 201:
        return answer, None
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
    return answer, {"Cookie": cookie.split(";")[0]}


def test_sessions_open_and_end(hub):
    hub.slipway.write("pw", "correct horse battery\n")
    hub.slipway("user", "add", "ada", "--admin", "--password-file", "pw")
    answer, _ = sign_in(hub, "ada", "wrong horse battery")
    assert answer.status == 403
    _, cookie = sign_in(hub, "ada", "correct horse battery")
    me = hub.call("GET", "/api/v1/whoami", headers=cookie).json
    assert me["name"] == "ada" and me["admin"] and me["how"] == "session"
    assert hub.call("DELETE", "/api/v1/sessions", headers=cookie).status == 200
    assert hub.call("GET", "/api/v1/whoami", headers=cookie).status == 401
    _, cookie = sign_in(hub, "ada", "correct horse battery")
    hub.slipway("user", "add", "bob", "--admin", "--password-file", "pw")
    hub.slipway("user", "disable", "ada")
    assert hub.call("GET", "/api/v1/whoami", headers=cookie).status == 401
    answer, _ = sign_in(hub, "ada", "correct horse battery")
    assert answer.status == 403


def test_guessing_a_password_has_an_end(hub):
    hub.slipway.write("pw", "correct horse battery\n")
    hub.slipway("user", "add", "ada", "--password-file", "pw")
    statuses = [sign_in(hub, "ada", f"guess number {i}")[0].status for i in range(12)]
    assert statuses[:10] == [403] * 10 and statuses[10:] == [503] * 2
    answer, _ = sign_in(hub, "ada", "correct horse battery")
    assert answer.status == 503 and int(answer.headers["Retry-After"]) > 0


def test_keys_open_until_they_are_revoked(hub):
    slipway = hub.slipway
    made = slipway.json("key", "create", "--label", "ci")
    assert set(made) >= {"id", "key"}
    assert hub.call("GET", "/api/v1/projects", key=made["key"]).status == 200
    registry = (slipway.home / "registry.db").read_bytes()
    assert made["key"].encode() not in registry, "keys are stored as hashes only"
    listed = slipway.json("key", "ls")
    assert [k["id"] for k in listed] == [made["id"]] and "key" not in listed[0]
    slipway("key", "revoke", made["id"])
    assert hub.call("GET", "/api/v1/projects", key=made["key"]).status == 401


def test_a_limited_key_does_no_more_than_its_limit(hub):
    with_orders(hub.slipway)
    reader = hub.key("--role", "read")
    assert hub.call("GET", "/api/v1/projects/shop", key=reader).status == 200
    assert hub.call("DELETE", "/api/v1/projects/shop", key=reader).status == 403
    assert hub.call("POST", "/api/v1/keys", {"label": "more"}, key=reader).status == 403
    elsewhere = hub.key("--role", "write", "--on", "project:other")
    assert hub.call("GET", "/api/v1/projects", key=elsewhere).json == []
    hidden = hub.call("GET", "/api/v1/projects/shop", key=elsewhere)
    missing = hub.call("GET", "/api/v1/projects/nothing", key=elsewhere)
    assert hidden.status == missing.status == 404
    assert hidden.json["message"].replace("shop", "nothing") == missing.json["message"]


def test_files_of_the_machine_are_read_only_where_they_are_allowed(slipway, hubs):
    with_orders(slipway)
    allowed = slipway.folder / "allowed"
    allowed.mkdir()
    (allowed / "t.csv").write_text("a,b\n1,2\n")
    (allowed / "link.csv").symlink_to("/etc/passwd")
    hub = hubs(slipway, "--allow-path", allowed)
    key = hub.key("--role", "write")
    def add(path):
        return hub.call("POST", "/api/v1/projects/shop/datasets",
                        {"name": "d", "replace": True, "definition": {"type": "files", "path": str(path)}}, key=key)
    assert add(allowed / "t.csv").status == 201
    for path in ("/etc/passwd", allowed / "link.csv", f"{allowed}/../orders.csv", f"{allowed}/../../*.csv", "relative.csv", f"{allowed}x/t.csv"):
        answer = add(path)
        assert answer.status == 403, (path, answer)
    definition = {"project": "shop", "datasets": {"x": {"type": "files", "path": "/etc/passwd"}}}
    assert hub.call("POST", "/api/v1/apply", {"definition": definition}, key=key).status == 403
    assert hub.call("POST", "/api/v1/projects/shop/models/m/import", {"path": "/etc/passwd"}, key=key).status == 403


def test_etags_and_conditions(hub):
    with_orders(hub.slipway)
    shown = hub.local("GET", "/api/v1/projects/shop")
    etag = shown.headers["ETag"]
    assert hub.local("GET", "/api/v1/projects/shop", headers={"If-None-Match": etag}).status == 304
    clear = {"If-Match": '"not-it"'}
    recipe = {"name": "r2", "definition": {"type": "sync", "input": "orders", "output": "copy2"}}
    assert hub.local("POST", "/api/v1/projects/shop/recipes", recipe, headers=clear).status == 412
    assert hub.local("GET", "/api/v1/projects/shop").headers["ETag"] == etag
    assert hub.local("POST", "/api/v1/projects/shop/recipes", recipe, headers={"If-Match": etag}).status == 201
    assert hub.local("GET", "/api/v1/projects/shop").headers["ETag"] != etag
    assert hub.local("DELETE", "/api/v1/projects/shop/recipes/r2", headers={"If-Match": etag}).status == 412


def test_the_same_request_with_its_key_again_changes_nothing(hub):
    with_orders(hub.slipway)
    recipe = {"name": "r2", "definition": {"type": "sync", "input": "orders", "output": "copy2"}}
    key = {"Idempotency-Key": "once"}
    first = hub.local("POST", "/api/v1/projects/shop/recipes", recipe, headers=key)
    again = hub.local("POST", "/api/v1/projects/shop/recipes", recipe, headers=key)
    assert first.status == again.status == 201 and first.body == again.body
    assert again.headers["Idempotency-Replayed"] == "true"
    other = hub.local("POST", "/api/v1/projects/shop/recipes", {**recipe, "name": "r3"}, headers=key)
    assert other.status == 409
    # Also where the work is a job: one is started.
    build = {"targets": ["copy"]}
    jobs = [hub.local("POST", "/api/v1/projects/shop/build", build, headers={"Idempotency-Key": "b"}).json["job"] for _ in range(3)]
    assert len(set(jobs)) == 1
    # What fails is not kept: the right request may follow under the same key.
    bad = hub.local("POST", "/api/v1/projects/shop/build", {"targets": ["nothing"]}, headers={"Idempotency-Key": "c"})
    assert bad.status == 404
    assert hub.local("POST", "/api/v1/projects/shop/build", build, headers={"Idempotency-Key": "c"}).status == 202


def test_lists_come_in_pages(hub):
    for i in range(7):
        hub.slipway("user", "add", f"u{i}")
    path, seen = "/api/v1/users?limit=3", []
    for _ in range(9):
        answer = hub.local("GET", path)
        seen += [u["name"] for u in answer.json]
        link = answer.headers.get("Link")
        if link is None:
            break
        path = re.match(r'<([^>]+)>; rel="next"', link).group(1)
    assert seen == [f"u{i}" for i in range(7)]
    assert hub.local("GET", "/api/v1/users?limit=0").status == 400
    for cursor in ("zzz", "p3", "", "c00"):
        assert hub.local("GET", f"/api/v1/users?cursor={cursor}").status == 400


def next_page(answer):
    link = answer.headers.get("Link")
    return link and re.match(r'<([^>]+)>; rel="next"', link).group(1)


def test_pages_do_not_shift_while_the_list_changes(hub):
    for name in ("b", "d", "f", "h"):
        hub.slipway("user", "add", name)
    first = hub.local("GET", "/api/v1/users?limit=2")
    assert [u["name"] for u in first.json] == ["b", "d"]
    for name in ("a", "c", "e"):
        hub.slipway("user", "add", name)
    second = hub.local("GET", next_page(first))
    assert [u["name"] for u in second.json] == ["e", "f"]
    assert [u["name"] for u in hub.local("GET", next_page(second)).json] == ["h"]
    # A cursor is of its own list and filters.
    cursor = re.search(r"cursor=(\w+)", next_page(first)).group(1)
    refused = hub.local("GET", f"/api/v1/keys?cursor={cursor}")
    assert refused.status == 400 and "another list" in refused.json["message"] and "Link" in refused.json["hint"]


def test_models_and_jobs_come_in_pages(hub):
    slipway = hub.slipway
    for project in ("a", "a-b", "a.c"):
        slipway.write("p.yaml", f"project: {project}\nmodels: {{m1: {{}}, m2: {{}}, m3: {{}}}}\n")
        slipway("apply", "-f", "p.yaml")
    whole = [m["name"] for m in hub.local("GET", "/api/v1/models").json]
    assert whole == [f"{p}/m{n}" for p in ("a", "a-b", "a.c") for n in (1, 2, 3)]
    for limit in (1, 2, 4, 9):
        path, seen = f"/api/v1/models?limit={limit}", []
        while path:
            answer = hub.local("GET", path)
            assert len(answer.json) <= limit
            seen += [m["name"] for m in answer.json]
            path = next_page(answer)
        assert seen == whole, limit
    with_orders(slipway)
    for _ in range(5):
        assert hub.local("POST", "/api/v1/projects/shop/build", {"targets": ["copy"], "mode": "this"}).status == 202
    path, seen = "/api/v1/jobs?limit=2&project=shop", []
    while path:
        answer = hub.local("GET", path)
        seen += [j["job"] for j in answer.json]
        path = next_page(answer)
        hub.local("POST", "/api/v1/projects/shop/build", {"targets": ["copy"], "mode": "this"})  # newest first: before what is read
    assert seen == sorted(seen, reverse=True) and len(seen) == len(set(seen)) == 5


def test_every_change_is_recorded_and_nothing_secret(hub):
    slipway = hub.slipway
    slipway.write("pw", "correct horse battery\n")
    slipway("user", "add", "ada", "--role", "write@project:shop", "--password-file", "pw")
    with_orders(slipway)
    key = slipway.json("key", "create", "--label", "ada's", "--account", "ada")["key"]
    assert hub.call("DELETE", "/api/v1/projects/shop/recipes/s", key=key).status == 200
    assert hub.call("DELETE", "/api/v1/projects/shop/recipes/s", key=key).status == 404
    records = slipway.json("audit", "ls", "--project", "shop")
    assert records[0]["who"] == "ada" and records[0]["how"].startswith("key key-")
    assert records[0]["before"]["recipes"]["s"]["type"] == "sync" and "s" not in records[0]["after"].get("recipes", {})
    assert [r["action"] for r in records] == ["DELETE /api/v1/projects/{project}/recipes/{recipe}", "POST /api/v1/apply"]
    everything = json.dumps(slipway.json("audit", "ls", "--since", "1h"))
    assert "correct horse" not in everything and key not in everything and hub.token not in everything
    assert slipway.json("audit", "ls", "--who", "nobody") == []
    # The log is append-only whoever asks.
    import sqlite3
    with sqlite3.connect(slipway.home / "registry.db") as db:
        for sql in ("DELETE FROM audit", "UPDATE audit SET who = 'x'"):
            try:
                db.execute(sql)
                raise AssertionError(f"{sql} went through")
            except sqlite3.IntegrityError as error:
                assert "append-only" in str(error)


def test_commands_without_a_hub_are_recorded_too(slipway):
    with_orders(slipway)
    (record,) = slipway.json("audit", "ls")
    assert record["how"] == "command line" and record["action"] == "POST /api/v1/apply"


def test_hostile_bodies_are_answered(hub):
    deep = b"[" * 100_000
    for body in (b"", b"{", b"null", b"[]", b'"x"', b"\xff\xfe", b'{"a":1,"a":2}', b'{"definition":' + deep, b'{"definition":[]}', b'{"definition":{}}',
                 b'{"definition":{"project":7}}', b'{"definition":{"project":"../x"}}', b"{" + b" " * 1_000_000 + b"}"):
        for path in ("/api/v1/apply", "/api/v1/diff", "/api/v1/users", "/api/v1/keys", "/api/v1/sessions", "/api/v1/setup", "/setup",
                     "/api/v1/users/x/grants", "/api/v1/projects/p/build", "/api/v1/projects/p/models/m/import"):
            answer = hub.local("POST", path, body, headers={"Content-Type": "application/json"})
            assert 400 <= answer.status < 500, (path, body[:40], answer)
    assert hub.call("POST", "/api/v1/projects/p/models/m/import", b"x" * 100, headers={"Content-Type": "application/octet-stream"}).status == 401
    answer = hub.local("POST", "/api/v1/projects/p/models/m/import", b"x" * 100, headers={"Content-Type": "application/octet-stream"})
    assert answer.status == 404
    assert list((hub.slipway.home / "uploads").iterdir()) == []
    for path in ("/api/v1/projects/%00", "/api/v1/projects/a%2Fb", "/api/v1/projects/%ff", "/api/v1/projects/..", "//", "/api/v1/" + "x/" * 2000):
        assert 400 <= hub.local("GET", path).status < 500
    assert hub.local("BREW", "/api/v1/projects").status in (405, 501)
    assert hub.call("GET", "/isAlive").status == 200


def events(hub, path, key=None, headers=None):
    """Reads a stream of events to its end."""
    answer = hub.call("GET", path, key=key or hub.token, headers=headers)
    assert answer.status == 200, answer
    assert answer.headers["Content-Type"] == "text/event-stream"
    found = []
    for block in answer.body.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":") and ": " in line)
        if "data" in fields:
            found.append((fields.get("id"), json.loads(fields["data"])))
    return found


def test_a_jobs_events_stream_to_its_end_and_go_on_after_an_id(hub):
    with_orders(hub.slipway)
    job = hub.local("POST", "/api/v1/projects/shop/build", {"targets": ["copy"]}).json["job"]
    seen = events(hub, f"/api/v1/events?job={job}")
    kinds = [e["kind"] for _, e in seen]
    assert kinds[-1] == "ended" and seen[-1][1]["status"] == "done"
    assert kinds.count("started") == 1 and kinds.count("finished") == 1
    started = next(i for i, e in seen if e["kind"] == "started")
    rest = events(hub, f"/api/v1/events?job={job}", headers={"Last-Event-ID": started})
    assert "started" not in [e["kind"] for _, e in rest] and rest[-1][1]["kind"] == "ended"
    # A job that another run of the hub did is told from its record.
    hub.stop()
    hub.start()
    told = events(hub, f"/api/v1/events?job={job}", headers={"Last-Event-ID": started})
    assert [e["kind"] for _, e in told] == ["finished", "ended"]
    assert hub.local("GET", "/api/v1/events?job=999").status == 404


def test_a_limited_key_knows_itself_alone(hub):
    hub.slipway("user", "add", "ada", "--role", "write")
    with_orders(hub.slipway)
    full = hub.slipway.json("key", "create", "--label", "full", "--account", "ada")
    limited = hub.slipway.json("key", "create", "--label", "ci", "--account", "ada", "--role", "read", "--on", "project:shop")
    loose = hub.slipway.json("key", "create", "--label", "loose", "--role", "read")
    for key in (limited, loose):
        assert [k["id"] for k in hub.call("GET", "/api/v1/keys", key=key["key"]).json] == [key["id"]]
        assert hub.call("DELETE", f"/api/v1/keys/{full['id']}", key=key["key"]).status == 404
    assert {k["id"] for k in hub.call("GET", "/api/v1/keys", key=full["key"]).json} == {limited["id"], full["id"]}
    assert hub.call("DELETE", f"/api/v1/keys/{limited['id']}", key=limited["key"]).json["state"] == "revoked"


def test_a_key_that_is_none_is_told_so(hub):
    made = hub.slipway.json("key", "create", "--label", "x")
    hub.slipway("key", "revoke", made["id"])
    for key in (made["key"], "swk_" + "x" * 43):
        answer = hub.call("GET", "/api/v1/projects", key=key)
        assert answer.status == 401 and "the API key that was sent is not valid" in answer.json["message"]
    assert "this needs an API key" in hub.call("GET", "/api/v1/projects").json["message"]
    ended = hub.call("GET", "/api/v1/projects", headers={"Cookie": "slipway_session=old"})
    assert ended.status == 401 and "the session has ended" in ended.json["message"]


def test_a_right_on_what_is_not_there_is_no_slip(hub):
    with_orders(hub.slipway)
    hub.slipway("user", "add", "ada", "--role", "read@project:shop")
    for scope, kind in (("project:shp", "project"), ("infra:shop", "infrastructure"), ("service:shop/x", "service")):
        refused = hub.slipway("user", "grant", "ada", "read", "--on", scope, code=3)
        assert scope.split(":")[1].split("/")[-1] in refused.err
        assert hub.slipway("key", "create", "--label", "x", "--role", "read", "--on", scope, code=3).out == ""
    assert hub.slipway("user", "add", "bob", "--role", "deploy@infra:nope", code=3).out == ""
    # Who may make it may have the right before it is there; that is told.
    granted = hub.slipway("user", "grant", "ada", "write", "--on", "project:shp")
    assert "there is no project 'shp' yet" in granted.err
    assert "yet" not in hub.slipway("user", "grant", "ada", "write", "--on", "project:shop").err


def test_pages_of_the_audit_log_keep_their_filters(hub):
    for name in ("ada", "bob", "cyd"):
        hub.slipway("user", "add", name)
    who = hub.local("GET", "/api/v1/audit").json[0]["who"]
    first = hub.local("GET", f"/api/v1/audit?limit=1&who={who}")
    link = re.search(r"<(.*?)>", first.headers["Link"]).group(1)
    second = hub.local("GET", link)
    assert second.status == 200 and second.json[0]["id"] < first.json[0]["id"] and f"who={who}" in link
    refused = hub.local("GET", link.replace(f"who={who}", "who=other"))
    assert refused.status == 400 and "of other filters" in refused.json["message"]
    assert hub.local("GET", "/api/v1/audit?cursor=5").status == 400


def test_events_are_for_who_may_see_the_project(hub):
    with_orders(hub.slipway)
    job = hub.local("POST", "/api/v1/projects/shop/build", {"targets": ["copy"]}).json["job"]
    stranger = hub.key("--role", "write", "--on", "project:other")
    assert hub.call("GET", f"/api/v1/events?job={job}", key=stranger).status == 404
    friend = hub.key("--role", "read", "--on", "project:shop")
    assert events(hub, f"/api/v1/events?job={job}", key=friend)[-1][1]["kind"] == "ended"


def test_many_listeners_take_no_threads_and_the_end_of_the_hub_ends_them(hub):
    def threads():
        return len(os.listdir(f"/proc/{hub.process.pid}/task"))
    before = threads()
    sockets = []
    for _ in range(100):
        s = socket.create_connection(tuple(hub.address.rsplit(":", 1)))
        s.sendall(f"GET /api/v1/events HTTP/1.1\r\nHost: {hub.address}\r\nAuthorization: Bearer {hub.token}\r\n\r\n".encode())
        assert s.recv(4096).startswith(b"HTTP/1.1 200")
        sockets.append(s)
    assert threads() == before
    assert hub.stop() == 0
    for s in sockets:
        while s.recv(65536):
            pass
        s.close()


def test_it_starts_fast_and_stays_small(hub):
    status = open(f"/proc/{hub.process.pid}/status").read()
    resident = int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1)) * 1024
    assert resident < 100 << 20
