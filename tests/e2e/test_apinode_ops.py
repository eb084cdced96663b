"""What an on-call person has: health, metrics, the page, configuration, and the node on a plain server: tar, .deb, unit."""
import base64
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tarfile
import time

import pytest

from apinode import API, APINODE, Node, forge, nodes, shop  # noqa: F401  (fixtures)
from conftest import ROOT

# ---------------------------------------------------------------- health, metrics, page


def test_alive_ready_and_their_reasons(nodes, shop):
    node = nodes()
    assert node.get("/isAlive/").json == node.get("/isAlive").json == {"alive": True}
    assert node.get("/ready").json == {"ready": True}, "nothing is to be served: nothing is missing"
    (node.home / "apinode-not-alive.txt").write_text("")
    assert node.get("/isAlive/").status == 503 and node.get("/ready").status == 200
    (node.home / "apinode-not-alive.txt").unlink()
    assert node.get("/isAlive/").status == 200
    for path in ("/isAlive/", "/ready", "/metrics", "/openapi.json", "/", "/favicon.ico"):
        refused = node.request("POST", path, b"{}")
        assert refused.status == 405 and refused.headers["Allow"] == "GET, HEAD"
        assert node.request("HEAD", path).status in (200, 204)
    assert node.get("/favicon.ico").status == 204


def parse_metrics(text):
    """The text format as Prometheus reads it: families with help and type before their samples, no sample twice."""
    families, seen, family = {}, set(), None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            family = line.split(" ", 3)[2]
            assert family not in families, f"{family} twice"
            families[family] = None
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name == family and kind in ("counter", "gauge", "histogram")
            families[name] = kind
        else:
            found = re.fullmatch(r'([a-z_]+)(\{(?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)+\})? (\S+)', line)
            assert found, line
            name = found.group(1)
            base = re.sub("_(bucket|sum|count)$", "", name) if families[family] == "histogram" else name
            assert base == family, line
            assert families[family] != "counter" or name.endswith("_total"), line
            assert line.rsplit(" ", 1)[0] not in seen, line
            seen.add(line.rsplit(" ", 1)[0])
            float(found.group(3))
    return families


def test_metrics_are_prometheus_text_and_count(nodes, shop):
    node = nodes(package=shop.v1)
    for record in shop.records[:5]:
        assert node.predict(record).status == 200
    node.predict_multi(shop.records[:7])
    assert node.request("POST", f"{API}/shop/fare/predict", b"{nonsense").status == 400
    answer = node.get("/metrics")
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = parse_metrics(answer.body.decode())
    assert families["http_server_request_duration_seconds"] == "histogram"
    fare = dict(service="shop", endpoint="fare", generation="v1")
    assert node.metric("slipway_records_total", **fare) == 12
    assert node.metric("slipway_requests_total", outcome="ok", **fare) == 6
    assert node.metric("http_server_request_duration_seconds_bucket", le="+Inf", **fare) == node.metric("http_server_request_duration_seconds_count", **fare) >= 6
    buckets = [(float(re.search(r'le="([^"]+)"', key).group(1)), value) for key, value in node.metrics().items()
               if key.startswith("http_server_request_duration_seconds_bucket") and 'endpoint="fare"' in key]
    assert buckets == sorted(buckets) and [value for _, value in buckets] == sorted(value for _, value in buckets), "cumulative"
    assert buckets[0][0] < 1e-4, "an answer takes some ten microseconds: buckets below a millisecond"
    assert node.metric("slipway_model_memory_bytes", service="shop", generation="v1") > 0
    assert node.metric("slipway_generation_weight", service="shop", generation="v1") == 1
    assert node.metric("slipway_ready") == 1 and node.metric("slipway_build_info") == 1
    assert abs(node.metric("process_resident_memory_bytes") / 2**20 - node.rss_mb()) < 20
    assert abs(node.metric("process_open_fds") - node.fds()) <= 2
    assert node.metric("slipway_http_requests_total") > 7
    assert abs(node.metric("process_start_time_seconds") - time.time()) < 600


def test_metrics_documented(nodes, shop):
    node = nodes(package=shop.v1)
    families = parse_metrics(node.get("/metrics").body.decode())
    page = (ROOT / "docs" / "api-node.md").read_text()
    listed = set(re.findall(r"^\| `([a-z_]+)` \| (?:counter|gauge|histogram)", page, re.M))
    # Those of shadows stand there once a service has one.
    assert {name for name in listed if not name.startswith("slipway_shadow_")} == set(families)


def test_one_openapi_document_of_every_service(nodes, shop, tmp_path):
    other = forge(shop.v2, tmp_path / "other.zip", service="other", edit=lambda name, data: data.replace(b"/v1/shop/", b"/v1/other/"))
    node = nodes(package=shop.v1)
    node.serve(other, service="other")
    document = node.get("/openapi.json").json
    assert document["openapi"].startswith("3.1")
    assert {f"{API}/shop/fare/predict", f"{API}/other/fare/predict"} <= set(document["paths"])
    dangling = [ref for ref in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document))
                if not resolves(document, ref)]
    assert not dangling
    operations = [item["operationId"] for methods in document["paths"].values() for item in methods.values() if "operationId" in item]
    assert len(operations) == len(set(operations))
    assert node.admin("POST", "services/other/actions/disable").status == 200
    assert f"{API}/other/fare/predict" not in node.get("/openapi.json").json["paths"]


def test_a_service_under_another_name_is_described_by_its_own(nodes, shop):
    node = nodes(package=shop.v1)
    node.serve(shop.v2, service="shop2")
    own = node.get(f"{API}/shop2/openapi.json").json
    assert own["info"]["title"] == "shop2" and own["paths"] and all(path.startswith(f"{API}/shop2/") for path in own["paths"])
    assert f"{API}/shop2/fare/predict" in node.get(f"{API}/shop2/swagger").json["paths"]
    document = node.get("/openapi.json").json
    assert {f"{API}/shop/fare/predict", f"{API}/shop2/fare/predict"} <= set(document["paths"])
    assert not [ref for ref in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document)) if not resolves(document, ref)]
    operations = [item["operationId"] for methods in document["paths"].values() for item in methods.values() if "operationId" in item]
    assert len(operations) == len(set(operations))


def resolves(document, reference):
    for part in reference.split("/"):
        part = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(document, dict) or part not in document:
            return False
        document = document[part]
    return True


def test_the_page_lists_what_is_served_and_is_safe(nodes, shop, tmp_path):
    evil = "</script><script>alert(1)</script><!--"

    def edit(name, data):
        if name != "test_queries.json":
            return data
        queries = json.loads(data)
        queries[0]["request"]["features"]["c"] = evil
        del queries[0]["expected"]
        return json.dumps(queries).encode()
    package = forge(shop.v1, tmp_path / "evil.zip", edit=edit)
    node = nodes(package=package)
    answer = node.get("/")
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    page = answer.body.decode()
    assert evil not in page and page.count("<script") == 2 and page.count("</script>") == 2
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.S).group(1))
    (service,) = data["services"]
    assert service["id"] == "shop" and service["generations"][0]["weight"] == 1
    endpoints = {endpoint["id"]: endpoint for endpoint in service["endpoints"]}
    assert set(endpoints) == {"fare", "big", "kind", "told", "heavy", "rich", "zones"}
    assert endpoints["fare"]["example"]["features"]["c"] == evil
    policy = answer.headers["Content-Security-Policy"]
    script = re.search(r"<script>(.*?)</script>", page, re.S).group(1)
    style = re.search(r"<style>(.*?)</style>", page, re.S).group(1)
    for text in (script, style):
        assert f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" in policy
    assert "unsafe" not in policy and "default-src 'none'" in policy
    # What the form would send is answered.
    for endpoint in endpoints.values():
        answer = node.request("POST", endpoint["path"], endpoint["example"])
        assert answer.status == 200, (endpoint, answer)


# ---------------------------------------------------------------- configuration


def check(tmp_path, config="", *args, environment=None):
    (tmp_path / "apinode.toml").write_text(config)
    env = {k: v for k, v in os.environ.items() if not k.startswith("SLIPWAY_")}
    return subprocess.run([str(APINODE), "--home", str(tmp_path), "--check", *args], capture_output=True, text=True, env={**env, **(environment or {})})


def test_check_says_what_is_wrong_and_where(tmp_path):
    assert check(tmp_path).returncode == 0
    wrong = check(tmp_path, "[admission]\nqeue = 3\n")
    assert wrong.returncode == 2 and "apinode.toml:2:1" in wrong.stderr and "did you mean 'admission.queue'" in wrong.stderr
    open_node = check(tmp_path, '[http]\nlisten = "0.0.0.0:12000"\n')
    assert open_node.returncode == 2 and "unencrypted" in open_node.stderr
    meant = check(tmp_path, '[http]\nlisten = "0.0.0.0:12000"\n', "--allow-keys-without-tls")
    assert meant.returncode == 0 and "warning" in meant.stderr
    assert check(tmp_path, "", environment={"SLIPWAY_APINODE_LIMITS_BODY_BYTES": "lots"}).returncode == 2


def test_check_looks_into_the_files_and_says_everything(tmp_path):
    (tmp_path / "cert.pem").write_text("no certificate")
    (tmp_path / "key.pem").write_text("no key")
    (tmp_path / "jwks.json").write_text("no json")
    wrong = check(tmp_path, '[tls]\ncertificate_file = "cert.pem"\nkey_file = "key.pem"\n[auth.jwt]\njwks_file = "jwks.json"\njwks_url = "ftp://login.example.com/k"\n')
    assert wrong.returncode == 2
    for part in ("the certificate", "jwks_file", "jwks_url", "both set"):
        assert part in wrong.stderr, wrong.stderr


def test_check_says_everything_at_once(tmp_path):
    wrong = check(tmp_path, '[http]\nlisten = "127.0.0.1:0"\nhosts = ["https://a.example"]\nidle_seconds = "long"\n[admission]\nqeue = 3\n'
                  '[auth.jwt]\nissuer = "https://login.example.com/"\n', "--admin-listen", "nowhere", "--log-level", "loud",
                  environment={"SLIPWAY_APINODE_LIMITS_BODY_BYTES": "lots", "SLIPWAY_APINODE_HTTP_LISTEM": "0.0.0.0:1"})
    assert wrong.returncode == 2 and wrong.stdout == ""
    for part in ("apinode.toml:4:", "http.idle_seconds must be a number", "'admission.qeue'", "SLIPWAY_APINODE_LIMITS_BODY_BYTES must be",
                 "--admin-listen: ", "--log-level", "http.hosts: 'https://a.example'", "auth.jwt.jwks_url",
                 "warning: the environment variable SLIPWAY_APINODE_HTTP_LISTEM sets nothing"):
        assert part in wrong.stderr, (part, wrong.stderr)
    warned = check(tmp_path, "", environment={"SLIPWAY_APINODE_HTTP_LISTEM": "0.0.0.0:1", "SLIPWAY_APINODE_HOME": "x"})
    assert warned.returncode == 0 and warned.stderr.count("warning") == 1 and "did you mean 'SLIPWAY_APINODE_HTTP_LISTEN'" in warned.stderr
    missing = check(tmp_path, "", "--config", "none.toml", environment={"SLIPWAY_APINODE_LIMITS_BODY_BYTES": "lots"})
    assert missing.returncode == 1 and "none.toml" in missing.stderr and "lots" not in missing.stdout and "LIMITS_BODY_BYTES" in missing.stderr


def test_a_reload_is_told(nodes, shop):
    node = nodes(package=shop.v1)
    node.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 20
    while "SIGHUP" not in node.log():
        assert time.monotonic() < deadline
    assert node.get("/ready").status == 200


def test_the_log_does_not_go_into_what_gets_a_closed_descriptor(shop, tmp_path, nodes):
    """Started with `<&- 2>&-`: a file of the home that got number 2 would be written over by the log."""
    def close():
        os.close(0)
        os.close(2)
    node = nodes(package=shop.v1, preexec=close, config='[log]\nlevel = "debug"\naccess = true\n')
    assert node.predict(shop.records[0]).status == 200
    for number in (0, 2):
        assert os.readlink(f"/proc/{node.process.pid}/fd/{number}") == "/dev/null"
    for path in node.home.rglob("*"):
        if path.is_file() and path.stat().st_size < 1 << 20:
            assert b'"message":"ready"' not in path.read_bytes().replace(b" ", b""), path


def test_the_shipped_configuration_and_its_comments_are_right(tmp_path):
    text = (ROOT / "deploy" / "apinode.toml").read_text()
    assert check(tmp_path, text).returncode == 0
    uncommented = "\n".join(line[1:] if re.match(r"#[a-z_]+ = ", line) and "_file" not in line else line for line in text.splitlines())
    assert uncommented != text
    answer = check(tmp_path, uncommented)
    assert answer.returncode == 0, answer.stderr


def test_the_log_is_json_lines_without_secrets(nodes, shop):
    node = nodes(package=shop.v1, config='[log]\nlevel = "debug"\naccess = true\n[drain]\nseconds = 0\n')
    secret = node.admin_key
    assert node.admin("GET", "services").status == 200
    node.predict(shop.records[0], headers={"Authorization": f"Bearer {secret}"})
    assert node.terminate() == 0
    lines = [json.loads(line) for line in node.log().splitlines()]
    assert {"time", "level", "message"} <= set(lines[0])
    assert [line["message"] for line in lines if line["message"] in ("ready", "draining", "stopped")] == ["ready", "draining", "stopped"]
    assert secret not in node.log()


# ---------------------------------------------------------------- systemd, tar, .deb


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([str(ROOT / "deploy" / "node-tar.sh"), str(APINODE), str(folder)], check=True, capture_output=True, cwd=ROOT,
                   env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000"})
    return folder


def no_dead_links(folder):
    pages = sorted(folder.glob("*.md"))
    assert {"api-node.md", "admin-api.md", "authentication.md", "user-api.md", "query-log.md"} <= {page.name for page in pages}
    for page in pages:
        for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
            assert link.startswith("http") or (folder / link).is_file(), f"{page.name}: {link}"


def test_the_tar_installs_and_its_program_runs(packed, shop, tmp_path, nodes, monkeypatch):
    (archive,) = packed.glob("slipway-apinode-*-x86_64.tar.gz")
    with tarfile.open(archive) as tar:
        assert all(not member.name.startswith(("/", "..")) and (member.isfile() or member.isdir()) for member in tar)
        tar.extractall(tmp_path)
    (unpacked,) = tmp_path.glob("slipway-apinode-*")
    target = tmp_path / "server"
    subprocess.run([str(unpacked / "install.sh")], env={"PATH": os.environ["PATH"], "PREFIX": str(target)}, check=True, capture_output=True)
    shutil.rmtree(unpacked)
    program = target / "opt/slipway-apinode/bin/slipway-apinode"
    config = target / "etc/slipway-apinode/apinode.toml"
    home = target / "var/lib/slipway-apinode"
    assert home.stat().st_mode & 0o777 == 0o700
    assert os.readlink(target / "usr/local/bin/slipway-apinode") == "/opt/slipway-apinode/bin/slipway-apinode"
    no_dead_links(target / "opt/slipway-apinode/docs")
    plain = {"PATH": "/usr/bin:/bin"}
    checked = subprocess.run([str(program), "--home", str(home), "--config", str(config), "--check"], capture_output=True, text=True, env=plain)
    assert checked.returncode == 0, checked.stderr
    # It takes its own libraries, all but the C library.
    ldd = subprocess.run(["ldd", str(program)], capture_output=True, text=True, env=plain).stdout
    for line in ldd.splitlines():
        if "=>" in line and not re.search(r"lib(c|m|pthread|dl|rt)\.so", line):
            assert str(target) in line, line
    # Again over it: what was configured stays.
    config.write_text(config.read_text() + "# mine\n")
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path)
    subprocess.run([str(unpacked / "install.sh")], env={"PATH": os.environ["PATH"], "PREFIX": str(target)}, check=True, capture_output=True)
    assert config.read_text().endswith("# mine\n")
    monkeypatch.setattr("apinode.APINODE", program)
    node = nodes(package=shop.v1)
    assert node.predict(shop.records[0]).status == 200


def test_the_same_program_packs_to_the_same_bytes(packed, tmp_path):
    subprocess.run([str(ROOT / "deploy" / "node-tar.sh"), str(APINODE), str(tmp_path)], check=True, capture_output=True, cwd=ROOT,
                   env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000"})
    for one in packed.iterdir():
        assert one.read_bytes() == (tmp_path / one.name).read_bytes(), one.name


def test_the_deb_holds_the_same(packed, tmp_path):
    if not shutil.which("dpkg-deb"):
        pytest.skip("no dpkg-deb here: the .deb is not tested")
    (deb,) = packed.glob("*.deb")
    info = subprocess.run(["dpkg-deb", "-I", str(deb)], capture_output=True, text=True, check=True).stdout
    assert "Package: slipway-apinode" in info and "Architecture: amd64" in info and "conffiles" in info
    listed = subprocess.run(["dpkg-deb", "-c", str(deb)], capture_output=True, text=True, check=True).stdout
    assert "./lib/systemd/system/slipway-apinode.service" in listed and "./etc/slipway-apinode/apinode.toml" in listed
    assert "./usr/bin/slipway-apinode -> /opt/slipway-apinode/bin/slipway-apinode" in listed
    assert all("root/root" in line for line in listed.splitlines())
    subprocess.run(["dpkg-deb", "-x", str(deb), str(tmp_path)], check=True)
    no_dead_links(tmp_path / "opt/slipway-apinode/docs")
    program = tmp_path / "opt/slipway-apinode/bin/slipway-apinode"
    answer = subprocess.run([str(program), "--version"], capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"})
    assert answer.returncode == 0 and answer.stdout.startswith("slipway-apinode ")


def test_systemd_takes_the_unit(tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd-analyze here: the unit is not verified")
    text = (ROOT / "deploy" / "slipway-apinode.service").read_text().replace("/opt/slipway-apinode/bin/slipway-apinode", str(APINODE))
    unit = tmp_path / "slipway-apinode.service"
    unit.write_text(text)
    answer = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True)
    complaints = [line for line in answer.stderr.splitlines() if "slipway" in line]
    assert answer.returncode == 0 and not complaints, answer.stderr
    wrong = unit.with_name("wrong.service")
    wrong.write_text(text.replace("Type=notify", "Type=nonsense"))
    assert "nonsense" in subprocess.run(["systemd-analyze", "verify", str(wrong)], capture_output=True, text=True).stderr, "it would have said so"


def test_the_unit_waits_longer_than_a_drain():
    unit = (ROOT / "deploy" / "slipway-apinode.service").read_text()
    page = (ROOT / "docs" / "api-node.md").read_text()
    drain, timeout = (float(re.search(rf"\| `{key}` \| `(\d+)` \|", page).group(1)) for key in (r"drain\.seconds", r"drain\.timeout_seconds"))
    assert float(re.search(r"TimeoutStopSec=(\d+)", unit).group(1)) > drain + timeout


def test_the_unit_comes_back_without_anyones_help():
    before_service = (ROOT / "deploy" / "slipway-apinode.service").read_text().split("[Service]")[0]
    assert "\nStartLimitIntervalSec=0\n" in before_service, "a limit of starts would leave it down"


def test_tells_a_service_manager_when_it_is_ready_and_when_it_ends(nodes, shop, tmp_path):
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(20)
        node = nodes(package=shop.v1, environment={"NOTIFY_SOCKET": str(path)}, config="[drain]\nseconds = 0\n")
        assert manager.recv(4096).startswith(b"READY=1")
        assert node.get("/ready").status == 200
        assert node.terminate() == 0
        assert b"STOPPING=1" in manager.recv(4096)


# ---------------------------------------------------------------- the page, run


DOM = r"""
"use strict";
const [,, page, base] = process.argv;
const html = require("fs").readFileSync(page, "utf8");
const all = [];
function element(tag) {
  const node = {tag, children: [], listeners: {}, attributes: {}, value: "", hidden: false, text: "",
    setAttribute(name, value) { this.attributes[name] = value; },
    append(...children) { this.children.push(...children); },
    addEventListener(name, f) { this.listeners[name] = f; },
    get textContent() { return this.text + this.children.map(c => typeof c === "string" ? c : c.textContent).join(""); },
    set textContent(value) { this.text = value; this.children = []; }};
  all.push(node);
  return node;
}
const main = element("main"), data = element("script");
data.textContent = html.match(/id="data">(.*?)<\/script>/s)[1];
globalThis.document = {createElement: element, getElementById: id => ({main, data})[id]};
const realFetch = fetch;
globalThis.fetch = (path, options) => realFetch(base + path, options);
(0, eval)(html.match(/<script>(.*?)<\/script>/s)[1]);
(async () => {
  const outputs = [];
  for (const card of all.filter(n => n.attributes.class === "endpoint")) {
    const inside = n => [n, ...(n.children || []).flatMap(c => typeof c === "string" ? [] : inside(c))];
    const parts = inside(card);
    parts.find(n => n.tag === "button").listeners.click();
    const status = parts.find(n => n.attributes.role === "status");
    for (let i = 0; i < 500 && !/ in .* ms/.test(status.text); ++i) await new Promise(r => setTimeout(r, 10));
    outputs.push({status: status.text, answer: parts.find(n => n.tag === "pre").text});
  }
  console.log(JSON.stringify({text: main.textContent, outputs}));
})();
"""


@pytest.mark.skipif(not shutil.which("node"), reason="no Node.js here: the page's script is not run")
def test_the_pages_forms_ask_and_show_the_answer(nodes, shop, tmp_path):
    node = nodes(package=shop.v1)
    (tmp_path / "page.html").write_bytes(node.get("/").body)
    (tmp_path / "dom.js").write_text(DOM)
    ran = subprocess.run(["node", str(tmp_path / "dom.js"), str(tmp_path / "page.html"), node.url], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    seen = json.loads(ran.stdout)
    assert "shop" in seen["text"] and "v1" in seen["text"] and "100 %" in seen["text"]
    assert len(seen["outputs"]) == 7
    for output in seen["outputs"]:
        assert output["status"].startswith("200 "), output
        assert "serviceGeneration" in output["answer"]
