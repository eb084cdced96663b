"""Administration of a real node: `slipway-apinode admin` and the admin API as programs call it."""
import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import zipfile

import pytest

from apinode import APINODE, forge, nodes, shop  # noqa: F401  (fixtures)
from conftest import Answer
from test_apinode_reliability import until


class Admin:
    """`slipway-apinode admin` against one node."""

    def __init__(self, node):
        self.node = node

    def __call__(self, *args, code=0, stdin="", where=None, environment=None):
        env = {k: v for k, v in os.environ.items() if not k.startswith("SLIPWAY_")}
        env.update(HOME=str(self.node.folder), **(environment or {}))
        where = ["--home", str(self.node.home)] if where is None else where
        process = subprocess.run([str(APINODE), "admin", *where, *map(str, args)], capture_output=True, text=True, input=stdin, timeout=60,
                                 env=env, cwd=self.node.folder)
        answer = Answer(process)
        assert code is None or answer.code == code, f"{args}: exit {answer.code}, expected {code}\n{answer.out}\n{answer.err}"
        return answer

    def json(self, *args, **kwargs):
        return self("--json", *args, **kwargs).json


@pytest.fixture
def admin(nodes):
    return Admin(nodes())


def rows(text):
    """A table's rows as lists of cells."""
    return [line.split() for line in text.splitlines()]


def test_from_a_package_to_traffic_and_back(admin, shop):
    assert rows(admin("services-list").out)[0][:3] == ["Service", "Enabled", "Serving"]
    admin("service-create", "shop")
    assert rows(admin("services-list").out)[1][:3] == ["shop", "no", "no"]
    assert admin("service-import-generation", "shop", shop.v1).out == "v1\n"
    assert admin("service-import-generation", "shop", shop.v2).out == "v2\n"
    listed = rows(admin("service-list-generations", "shop").out)
    assert " ".join(listed[0]).startswith("Gen. Tag Created Mounted Mapped %")
    assert [(r[0], r[2], r[3]) for r in listed[1:]] == [("v1", "no", "-"), ("v2", "no", "-")]

    assert admin("service-switch-to-newest", "shop").out == "v2\n"
    admin("service-switch-to-generation", "shop", "v1")
    record = json.dumps(shop.records[0])
    answer = json.loads(admin("predict", "shop", "fare", "--record", record).out)
    assert answer["apiContext"]["serviceGeneration"] == "v1"
    assert answer["result"] == admin.node.predict(shop.records[0]).json["result"]
    assert json.loads(admin("predict", "shop", "fare", stdin=json.dumps({"features": shop.records[0]})).out)["result"] == answer["result"]
    many = json.loads(admin("predict", "shop", "fare", stdin=json.dumps({"items": [{"features": shop.records[0]}] * 2})).out)
    assert [r["prediction"] for r in many["results"]] == [answer["result"]["prediction"]] * 2

    admin("service-set-mapping", "shop", "v1=90", "v2=10")
    assert {g["generationId"]: g["mappedPercent"] for g in admin.json("service-list-generations", "shop")} == {"v1": 90, "v2": 10}
    assert "v1=90%" in admin("services-list").out
    admin("service-set-mapping", "shop", stdin='{"entries": [{"generation": "v2", "proba": 1}]}')
    admin("service-preload-generation", "shop", "v1")
    forced = json.loads(admin("predict", "shop", "fare", "--record", record, "--generation", "v1").out)
    assert forced["apiContext"]["serviceGeneration"] == "v1"

    admin("service-disable", "shop")
    assert admin("predict", "shop", "fare", "--record", record, code=None).code != 0
    admin("service-enable", "shop")
    assert admin.node.predict(shop.records[0]).json["apiContext"]["serviceGeneration"] == "v2"
    admin("service-delete-generation", "shop", "v2", code=5)
    admin("service-delete-generation", "shop", "v1")
    admin("service-import-generation", "shop", shop.v3)
    admin("service-switch-to-newest", "shop")
    assert admin("services-clean").out == "shop/v2\n"
    assert "--force" in admin("service-delete", "shop", code=5).err
    admin("service-delete", "shop", "--force")
    assert admin.json("services-list") == []
    admin("service-create", "shop")
    admin("service-delete", "shop")


def test_a_failing_test_query_is_exit_6_and_keeps_its_generation_from_traffic(admin, shop):
    admin("service-import-generation", "shop", shop.v1)
    admin("service-switch-to-newest", "shop")
    good = admin.json("service-test-generation", "shop", "v1")
    assert len(good) == 3 and all(o["ok"] for o in good)
    admin("service-import-generation", "shop", shop.bad)
    told = admin("service-test-generation", "shop", "bad", code=6)
    assert "FAILED" in told.out and "-12345.5" in told.out
    assert [o["ok"] for o in admin.json("service-test-generation", "shop", "bad", code=6)] == [False, True, True]
    for change in (["service-set-mapping", "shop", "v1=1", "bad=1"], ["service-preload-generation", "shop", "bad"],
                   ["service-switch-to-generation", "shop", "bad"]):
        assert "test query" in admin(*change, code=6).err
    refused = admin("service-switch-to-newest", "shop", code=6)
    assert "test query" in refused.err and "-12345.5" in refused.err
    assert admin.node.predict(shop.records[0]).json["apiContext"]["serviceGeneration"] == "v1"
    failed = [g for g in admin.json("service-list-generations", "shop") if g["status"] == "failed"]
    assert [g["generationId"] for g in failed] == ["bad"] and "-12345.5" in failed[0]["error"]


def test_a_package_with_a_bad_description_is_refused_by_name(admin, shop, tmp_path):
    bad = forge(shop.v1, tmp_path / "bad.zip", edit=lambda name, data: b"{nonsense" if name == "openapi.json" else data)
    told = admin("service-import-generation", "shop", bad, code=None)
    if told.code == 0:
        told = admin("service-switch-to-newest", "shop", code=1)
    assert "openapi.json" in told.err, told.err


def test_an_upload_is_not_called_by_the_name_that_the_node_gave_it(admin, shop, tmp_path):
    bad = forge(shop.v1, tmp_path / "bad.zip", service="no name")
    told = admin("service-import-generation", "shop", bad, code=1)
    assert "upload-" not in told.err and "the uploaded package: " in told.err, told.err


def test_settings(admin):
    admin("service-create", "shop")
    admin("service-settings", "shop", "auth=api_keys", "max_records=50", "redact=name, phone", "log_sample=0.25")
    settings = admin.json("service-settings", "shop")
    assert (settings["auth"], settings["max_records"], settings["redact"], settings["log_sample"]) == ("api_keys", 50, ["name", "phone"], 0.25)
    admin("service-settings", "shop", "redact=")
    assert admin.json("service-settings", "shop")["redact"] == []
    wrong = admin("service-settings", "shop", "atuh=public", code=1)
    assert "auth" in wrong.err
    assert admin("service-settings", "shop", "auth", code=2).out == ""
    assert "[auth.jwt]" in admin("service-settings", "shop", "auth=jwt", code=5).err
    for number in ("nan", "inf", "-inf"):
        assert "rate_per_key" in admin("service-settings", "shop", f"rate_per_key={number}", code=2).err
    assert admin.json("service-settings", "shop")["rate_per_key"] == 0
    table = {row[0]: " ".join(row[1:]) for row in rows(admin("service-settings", "shop", "max_records=0", "log_sample=-1").out)}
    assert table["rate_per_key"] == "0 (no limit)" and table["max_records"] == table["deadline_ms"] == "0 (the node's)"
    assert table["log_sample"] == "-1 (the node's)" and table["redact"] == table["shadow"] == "(none)" and table["auth"] == "api_keys"
    told = admin("service-settings", "--help").out
    assert all(name in told for name in (*settings, "jwt"))


def test_keys(admin, shop):
    admin("service-import-generation", "shop", shop.v1)
    admin("service-switch-to-newest", "shop")
    admin("service-settings", "shop", "auth=api_keys")
    everywhere = admin("admin-key-create", "--label", "everywhere").out.strip()
    here = admin.json("admin-key-create", "--label", "here", "--service", "shop", "--expires", "2099-01-31T00:00:00Z")
    warned = admin("admin-key-create", "--service", "other")
    elsewhere = warned.out.strip()
    assert "other" in warned.err and "warning" in warned.err
    for key, status in ((everywhere, 200), (here["key"], 200), (elsewhere, 403), ("wrong", 401)):
        answer = admin.node.predict(shop.records[0], headers={"Authorization": f"Bearer {key}"})
        assert answer.status == status or (status > 400 and answer.status in (401, 403)), answer
    table = admin("admin-keys-list").out
    assert "scores every service" in table and "scores shop" in table and "2099-01-31" in table and everywhere not in table
    admin("admin-key-delete", here["id"])
    admin("admin-key-delete", everywhere)
    assert [k["services"] for k in admin.json("admin-keys-list")] == [["other"]]
    assert everywhere not in admin.node.log() and admin.node.admin_key not in admin.node.log()

    helper = admin.node.folder / "helper.key"
    helper.write_text(admin("admin-key-create", "--admin").out)
    assert admin("services-list", where=["--url", admin.node.url, "--key-file", helper]).out
    assert admin("services-list", where=["--url", admin.node.url], environment={"SLIPWAY_API_KEY": helper.read_text().strip()}).out


def test_an_expired_key_is_marked(admin):
    soon = time.time() + 1.5
    key = admin.json("admin-key-create", "--label", "short", "--expires", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(soon + 1)))
    admin("admin-key-create", "--label", "long", "--expires", "2099-01-31T00:00:00Z")
    assert "expired" not in admin("admin-keys-list").out
    until(lambda: time.time() * 1000 > key["expiry"], what="the key expires")
    (short, long) = admin("admin-keys-list").out.splitlines()[1:]
    assert short.endswith("(expired)") and not long.endswith("(expired)")


def test_control_characters_neither_get_into_labels_nor_onto_the_terminal(admin):
    for flag in ("--label", "--description", "--created-by"):
        refused = admin("admin-key-create", flag, "a\x1b]0;owned\x07", code=2)
        assert flag in refused.err and "\x1b" not in refused.err and "\\x1b]0;owned" in refused.err
    assert admin.json("admin-keys-list") == []
    assert "\x1b" not in admin("service-create", "a\x1b[31mb", code=1).err


def test_predict_asks_as_the_endpoint_answers(admin, shop):
    admin("service-import-generation", "shop", shop.v1)
    admin("service-switch-to-newest", "shop")
    district = shop.zones[7]["district"]
    found = json.loads(admin("predict", "shop", "zones", "--record", '{"zone": 7}').out)
    assert found["results"][0]["data"]["district"] == district
    many = json.loads(admin("predict", "shop", "zones", stdin='{"items": [{"data": {"zone": 7}}, {"data": {"zone": 8}}]}').out)
    assert [r["data"]["district"] for r in many["results"]] == [district, shop.zones[8]["district"]]
    assert "fare" in admin("predict", "shop", "frae", "--record", "{}", code=3).err
    assert "lookup" in admin("predict", "shop", "zones", "--record", "{}", "--verb", "predict", code=3).err
    assert "predict-multi" in admin("predict", "shop", "zones", "--record", "{}", "--verb", "score", code=2).err


def test_errors_are_told_with_what_helps(admin, shop, tmp_path):
    assert "service-create" in admin("service-craete", "x", code=2).err
    assert "help" in admin("service-create", code=2).err
    assert admin("service-switch-to-newest", "shop", code=3).err.startswith("error: ")
    admin("service-create", "shop")
    admin("service-create", "shop", code=5)
    admin("service-create", "a b", code=1)
    assert "shop" in admin("service-delete", "shpo", code=3).err
    error = admin("--json", "service-delete", "shpo", code=3).error
    assert error["code"] == "not_found" and "shop" in error["hint"]
    assert admin("service-import-generation", "shop", tmp_path / "none.zip", code=3).err
    (tmp_path / "no.zip").write_bytes(b"no zip at all")
    admin("service-import-generation", "shop", tmp_path / "no.zip", code=1)
    assert admin("service-set-mapping", "shop", "v1", code=2).err
    assert admin("service-set-mapping", "shop", stdin="{", code=2).err
    assert admin("service-set-mapping", "shop", "v1=1", code=3).err
    wrong = tmp_path / "wrong.key"
    wrong.write_text("not-the-admin-key\n")
    refused = admin("services-list", where=["--url", admin.node.url, "--key-file", wrong], code=4)
    assert "admin.key" in refused.err
    assert admin("services-list", where=["--url", "node:12000"], code=1).err
    assert "running" in admin("services-list", where=["--url", "http://127.0.0.1:1"], code=7).err
    admin("--epoch", "9", "service-settings", "shop", "auth=public")
    assert "epoch" in admin("--epoch", "8", "service-delete", "shop", code=5).err
    assert admin("services-list", where=["--home", tmp_path / "nowhere"], code=3).err
    for epoch in ("-1", "1.5", "99999999999999999999", "x"):
        assert "is no whole number from 0" in admin(f"--epoch={epoch}", "services-list", code=2).err


def test_the_key_goes_to_a_running_node_only(admin):
    admin.node.kill()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0)
        (admin.node.home / "node.json").write_text(json.dumps(dict.fromkeys(("url", "admin_url"), f"http://127.0.0.1:{listener.getsockname()[1]}")))
        assert "no node runs" in admin("services-list", code=7).err
        with pytest.raises(BlockingIOError):
            listener.accept()
    (admin.node.home / "node.json").unlink()
    assert "no node runs" in admin("services-list", code=7).err


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_a_home_of_another_user_is_not_taken_for_one_without_a_node(nodes, tmp_path):
    node = nodes()
    script = f"import os; os.setgroups([]); os.setgid(65534); os.setuid(65534); os.execv({str(APINODE)!r}, {['slipway-apinode', 'admin', '--home', str(node.home), 'services-list']!r})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, cwd="/")
    if "PermissionError" in done.stderr:
        pytest.skip("the program is not for other users")
    assert done.returncode == 4 and "ermission denied" in done.stderr and "no node runs" not in done.stderr, done.stderr


def test_an_import_says_what_it_found(admin, shop):
    assert "service-switch-to-newest" in admin("service-import-generation", "shop", shop.v1).err
    again = admin("service-import-generation", "shop", shop.v1).err
    assert "already there" in again and "takes no traffic" in again
    admin("service-switch-to-newest", "shop")
    again = admin("service-import-generation", "shop", shop.v1).err
    assert "already there" in again and "takes 100 %" in again and "no traffic" not in again
    part = admin.node.home / "generations" / "shop" / "v1" / "openapi.json"
    part.write_bytes(part.read_bytes()[:-1])
    again = admin("service-import-generation", "shop", shop.v1).err
    assert "repaired" in again and "takes 100 %" in again
    admin("service-import-generation", "shop", shop.v2)
    admin("service-set-mapping", "shop", "v1=1", "v2=0")
    assert "v1=100% v2=0%" in admin("services-list").out
    assert [r[3] for r in rows(admin("service-list-generations", "shop").out)[1:]] == ["100", "0"]


def test_a_damaged_upload_is_named_as_what_it_is(admin, shop, tmp_path):
    damaged = bytearray(shop.v1.read_bytes())
    with zipfile.ZipFile(shop.v1) as package:
        entry = package.infolist()[1]
    damaged[entry.header_offset + 30 + len(entry.filename) + entry.compress_size // 2] ^= 1
    (tmp_path / "damaged.zip").write_bytes(damaged)
    told = admin("service-import-generation", "shop", tmp_path / "damaged.zip", code=1).err
    assert "the uploaded package: " in told and entry.filename in told, told
    body, headers = multipart([("file", bytes(damaged))])
    answer = admin.node.admin("POST", "services/shop/generations", body, headers)
    for text in (told, answer.json["message"]):
        assert "spool" not in text and "unpack" not in text and str(admin.node.home) not in text, text


def test_help_names_every_command(admin):
    text = admin("--help").out
    assert "A new version" in text and "--key-file" in text
    for command in ("services-list", "service-create", "service-delete", "service-import-generation", "service-list-generations",
                    "service-switch-to-newest", "service-switch-to-generation", "service-set-mapping", "service-preload-generation",
                    "service-test-generation", "service-delete-generation", "service-enable", "service-disable", "service-settings",
                    "services-clean", "admin-keys-list", "admin-key-create", "admin-key-delete", "metrics-get", "predict"):
        assert command in text
        help_of = admin(command, "--help").out
        assert command in help_of and "--home" in help_of and "--json" in help_of and "A new version" not in help_of


def test_metrics(admin, shop):
    admin("service-import-generation", "shop", shop.v1)
    admin("service-switch-to-newest", "shop")
    for record in shop.records[:5]:
        assert admin.node.predict(record).status == 200
    metrics = json.loads(admin("metrics-get").out)
    fare = [e for e in metrics["endpoints"] if (e["service"], e["endpoint"], e["generation"]) == ("shop", "fare", "v1")]
    assert len(fare) == 1 and fare[0]["requests"] == 5 and fare[0]["errors"] == 0 and fare[0]["p99Ms"] >= fare[0]["p50Ms"] > 0
    assert metrics["memory"]["generations"] == 1 and metrics["memory"]["modelBytes"] > 0
    bounds, buckets = metrics["latencyBounds"], fare[0]["latencyBuckets"]
    assert bounds == sorted(bounds) and len(buckets) == len(bounds) + 1 and sum(buckets) == 5
    assert 0 < metrics["startedOn"] <= time.time() * 1000


def test_one_call_tells_all_services(admin, shop):
    admin("service-import-generation", "shop", shop.v1)
    admin("service-switch-to-newest", "shop")
    admin("service-create", "empty")
    node = admin.node
    full = {s["serviceId"]: s for s in node.admin("GET", "services?full=true").json}
    assert set(full) == {"shop", "empty"}
    for name, service in full.items():
        one = node.admin("GET", f"services/{name}").json
        assert {k: v for k, v in service.items() if k != "generationList"} == one
        assert service["generationList"] == node.admin("GET", f"services/{name}/generations").json["generations"]
    assert all("settings" not in s and "generationList" not in s for s in node.admin("GET", "services").json)


def multipart(fields, boundary="b0undary"):
    parts = b"".join(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="/tmp/{name}.zip"\r\n\r\n'.encode() + data + b"\r\n"
                     for name, data in fields)
    return parts + f"--{boundary}--\r\n".encode(), {"Content-Type": f"multipart/form-data; boundary={boundary}"}


def test_uploads_as_forms(admin, shop):
    node = admin.node
    body, headers = multipart([("note", b"hello"), ("file", shop.v1.read_bytes())])
    answer = node.admin("POST", "services/shop/generations", body, headers)
    assert answer.status == 200 and answer.json["generation"] == "v1", answer
    for fields in ([], [("other", b"x")], [("file", b"")]):
        body, headers = multipart(fields)
        assert node.admin("POST", "services/shop/generations", body, headers).status == 400
    assert node.admin("POST", "services/shop/generations", b"").status == 400
    assert os.listdir(node.home / "spool") == []


def test_the_log_tells_who_changed_what(admin, shop):
    admin("service-create", "shop")
    admin("service-delete", "nobody", "--force", code=3)
    lines = [json.loads(line) for line in admin.node.log().splitlines() if '"message":"admin"' in line]
    assert [(line["method"], line["path"], line["status"]) for line in lines] == [
        ("POST", "/admin/api/services", 200), ("DELETE", "/admin/api/services/nobody", 404)]
    assert all(line["who"] == "admin" and line["remote"] == "127.0.0.1" and line["request_id"] for line in lines)
    assert "nobody" in lines[1]["error"]


def test_the_admin_api_over_https(nodes, shop, tmp_path):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "key.pem", "-out",
                    "cert.pem", "-days", "2", "-subj", "/CN=node", "-addext", "subjectAltName=IP:127.0.0.1"],
                   cwd=tmp_path, check=True, capture_output=True)
    node = nodes("--tls-certificate", tmp_path / "cert.pem", "--tls-key", tmp_path / "key.pem")
    admin = Admin(node)
    assert "--ca-file" in admin("services-list", code=7).err
    trusted = ["--home", node.home, "--ca-file", tmp_path / "cert.pem"]
    assert admin("service-import-generation", "shop", shop.v1, where=trusted).out == "v1\n"
    assert admin("services-list", "--insecure").out


def test_a_package_for_another_service_serves_under_the_name_it_is_deployed_as(admin, shop):
    admin("service-import-generation", "shop-eu", shop.v1)
    admin("service-switch-to-newest", "shop-eu")
    answer = admin.node.predict(shop.records[0], service="shop-eu")
    assert answer.status == 200 and answer.json["apiContext"]["serviceId"] == "shop-eu"


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system")
def test_a_full_disk_refuses_an_import_and_every_change(nodes, shop, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(home)], capture_output=True).returncode != 0:
        pytest.skip("no small file system may be mounted here")
    try:
        node = nodes(package=shop.v1, home=home)
        assert node.upload(shop.v1, service="spare").status == 200
        (home / "import" / "v2.zip").write_bytes(shop.v2.read_bytes())
        filler = home / "filler"
        with open(filler, "wb", buffering=0) as file:
            for size in (1 << 16, 4096, 1):
                try:
                    while True:
                        file.write(b"x" * size)
                except OSError:
                    pass
        before = (home / "desired.json").read_bytes()
        for method, path, body in (("POST", "services/shop/generations/actions/importFromArchive?filePath=v2.zip", None),
                                   ("PUT", "services/shop/settings", {"max_records": 5}), ("POST", "services/shop/actions/disable", None),
                                   ("POST", "keys", {"label": "k"})):
            refused = node.admin(method, path, body)
            assert refused.status == 507 and "space" in refused.json["message"].lower(), (path, refused)
        assert (home / "desired.json").read_bytes() == before
        assert sorted(p.name for p in (home / "generations").iterdir()) == ["shop", "spare"]
        assert node.predict(shop.records[0]).json["apiContext"]["serviceGeneration"] == "v1"
        # It starts again, and what nobody needs can be deleted: that is how there is room again.
        (home / "import" / "v2.zip").unlink()
        with open(filler, "ab", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"x" * 4096)
        (home / "node.json").unlink()
        with open(home / "fill", "wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"x" * 512)
        node.kill()
        node.start()
        assert "No space left" in node.log() and "node.json" in node.log()
        assert not (home / "node.json").exists()
        assert "--url" in Admin(node)("services-list", code=7).err
        Admin(node)("services-list", where=["--url", node.url, "--key-file", home / "admin.key"])
        assert node.predict(shop.records[0]).json["apiContext"]["serviceGeneration"] == "v1"
        refused = node.admin("POST", "services", {"serviceId": "other"})
        assert refused.status == 507 and "service-delete-generation" in refused.json["hint"], refused
        assert node.admin("DELETE", "services/spare", headers={"X-Slipway-Epoch": "9"}).status == 200
        assert list(json.loads((home / "desired.json").read_text())["services"]) == ["shop"]
        assert not (home / "generations" / "spare").exists()
        assert node.admin("POST", "services", {"serviceId": "other"}).status == 200
        filler.unlink()
        (home / "import" / "v2.zip").write_bytes(shop.v2.read_bytes())
        assert node.admin("POST", "services/shop/generations/actions/importFromArchive?filePath=v2.zip").status == 200
        assert (home / "space.reserve").stat().st_size > 0, "for the next time"
        assert node.switch("v2").status == 200
        node.kill()
    finally:
        subprocess.run(["umount", "-l", str(home)], capture_output=True)
