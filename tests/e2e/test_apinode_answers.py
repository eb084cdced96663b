"""What every answer of an API node carries, also those of its parser and limits; and the line of the log that each leaves."""
import json
import socket

from apinode import API, nodes, shop  # noqa: F401  (fixtures)


def raw(node, data):
    with socket.create_connection((node.host, node.port), 10) as s:
        s.sendall(data)
        answer = b"".join(iter(lambda: s.recv(65536), b""))
    head, body = answer.split(b"\r\n\r\n", 1)
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    return int(head.split()[1]), headers, json.loads(body)


def test_answers_of_the_server_itself_have_the_headers_of_every_answer(nodes, shop):
    node = nodes(package=shop.v1, config="[limits]\nheaders = 20\nheader_bytes = 4000\nrequest_line_bytes = 2000\nbody_bytes = 2000\n")
    path = f"{API}/shop/fare/predict".encode()
    for data, status, hint in [
            (b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n" % path, 400, ""),
            (b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2001\r\n\r\n" % path, 413, "limits.body_bytes"),
            (b"GET /%s HTTP/1.1\r\nHost: localhost\r\n\r\n" % (b"x" * 2000), 414, "limits.request_line_bytes"),
            (b"POST %s HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\nContent-Length: 0\r\n\r\n" % path, 421, "http.hosts"),
            (b"GET /x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 404, ""),
            (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 30 + b"\r\n", 431, "limits.headers"),
            (b"GET / HTTP/1.1\r\nX: " + b"y" * 5000 + b"\r\n\r\n", 431, "limits.header_bytes")]:
        got, headers, body = raw(node, data)
        assert got == status, (data, body)
        assert headers["X-Request-Id"] == body["request_id"] and headers["DSS-API-Version"] and headers["DSS-Version"]
        assert hint in body["hint"], body
        if hint == "limits.headers":
            assert "more headers than 20" in body["message"]
    large = node.admin("POST", "keys", b"x" * (2 << 20))
    assert large.status == 413 and "limits.body_bytes" not in large.json["hint"] and "1 MiB" in large.json["hint"]


def test_the_access_log_has_a_line_per_request_and_no_key(nodes, shop):
    def lines(node):
        return [line for line in map(json.loads, node.log().splitlines()) if line["message"] == "request"]

    silent = nodes(package=shop.v1)
    assert silent.predict(shop.records[0]).status == 200 and not lines(silent)
    node = nodes(package=shop.v1, config="[log]\naccess = true\n[limits]\nrequest_line_bytes = 2000\n")
    key = node.admin("POST", "keys", {"label": "web"}).json["key"]
    assert node.predict(shop.records[0], headers={"X-Request-Id": "one", "Authorization": f"Bearer {key}"}).status == 200
    assert node.predict_multi(shop.records, endpoint="heavy", headers={"X-Request-Id": "worker"}).status == 200
    assert node.get(f"{API}/shop/fare/predict-simple?x=1&c=a", headers={"X-Request-Id": "query"}).status == 200
    assert node.get(f"/{'x' * 3000}").status == 414
    assert node.admin("GET", f"keys/{key}").status == 405
    assert node.get(f"/%73wk_{key[4:]}").status == 404
    found = lines(node)
    assert [(line.get("method"), line.get("path"), line["status"]) for line in found[1:]] == [
        ("POST", f"{API}/shop/fare/predict", 200), ("POST", f"{API}/shop/heavy/predict-multi", 200),
        ("GET", f"{API}/shop/fare/predict-simple", 200), (None, None, 414), ("GET", "/admin/api/keys/*", 405), ("GET", "/swk_*", 404)]
    one, worker = found[1], found[2]
    assert one["request_id"] == "one" and one["key"] == "web" and 0 < one["milliseconds"] < 10_000
    assert worker["request_id"] == "worker" and worker["milliseconds"] > 0
    assert found[0]["key"] == "admin" and key[4:] not in node.log()


def test_what_is_too_large_is_told_the_limit_and_its_request_id(nodes, shop):
    node = nodes(package=shop.v1, config='[limits]\nbody_bytes = 2000\nrequest_line_bytes = 2000\n')
    large = node.request("POST", f"{API}/shop/fare/predict", b"x" * 2001, headers={"X-Request-Id": "big-1"})
    assert large.status == 413 and "larger than 2000 bytes" in large.json["message"] and "limits.body_bytes" in large.json["hint"]
    assert large.json["request_id"] == large.headers["X-Request-Id"] == "big-1"
    long = node.get(f"{API}/shop/fare/predict-simple?x={'1' * 2100}")
    assert long.status == 414 and "longer than 2000 bytes" in long.json["message"]
