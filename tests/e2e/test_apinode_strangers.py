"""What strangers send to the node: shapes that two servers read differently, too much, hostile JSON, cut uploads, foreign paths."""
import contextlib
import json
import os
import random
import re
import socket

import pytest

from apinode import API, nodes, shared_node, shop  # noqa: F401  (fixtures)
from test_apinode_reliability import FARE, HEAVY, answers, scenarios, until


def post(path, body):
    body = json.dumps(body).encode()
    return f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def raw(node, data, timeout=10, half_close=True):
    """Everything that comes back until the server closes."""
    with socket.create_connection((node.host, node.port), timeout=timeout) as s:
        with contextlib.suppress(OSError):
            s.sendall(data)
            if half_close:
                s.shutdown(socket.SHUT_WR)
        got = b""
        with contextlib.suppress(OSError):
            while piece := s.recv(1 << 16):
                got += piece
        return got


def statuses(got):
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", got)]


GET = b"GET /isAlive/ HTTP/1.1\r\nHost: localhost\r\n\r\n"
SMUGGLING = {
    "length and chunked": b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "two equal lengths": b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "a list of lengths": b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5, 5\r\n\r\nhello",
    "a signed length": b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: +5\r\n\r\nhello",
    "a negative length": b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\nhello",
    "a length beyond 64 bits": b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 18446744073709551621\r\n\r\nhello",
    "chunked is not last": b"POST /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "chunked twice": b"POST /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "an obscured chunked": b"POST /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a space before the colon": b"POST /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "a folded header": b"GET /x HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b\r\n\r\n",
    "a bare line feed": b"GET /x HTTP/1.1\nHost: h\n\n",
    "a bare carriage return": b"GET /x HTTP/1.1\r\nHost: localhost\r\nX: a\rY: b\r\n\r\n",
    "a NUL": b"GET /x HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n",
    "no host": b"GET /x HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /x HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
    "a chunk size that is none": b"POST /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5x\r\nhello\r\n0\r\n\r\n",
    "a chunk size beyond 64 bits": b"POST /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\nhello\r\n0\r\n\r\n",
    "a chunk without its end": b"POST /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n0\r\n\r\n",
    "nonsense": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


@pytest.mark.parametrize("name", SMUGGLING)
def test_what_two_servers_would_read_differently_ends_the_connection(shared_node, name):
    got = raw(shared_node, SMUGGLING[name] + GET)
    seen = statuses(got)
    assert len(seen) == 1, got  # what follows is not answered
    assert seen[0] in (400, 501), got


def test_oversize_everything(shared_node, shop):
    cases = {b"GET /" + b"a" * (1 << 20) + b" HTTP/1.1\r\nHost: localhost\r\n\r\n": {414},
             b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: " + b"a" * (1 << 20) + b"\r\n\r\n": {431},
             b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: a\r\n" * 5000 + b"\r\n": {431},
             b"A" * 100_000 + b" / HTTP/1.1\r\nHost: localhost\r\n\r\n": {400, 414, 501},
             f"POST {FARE} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {11 << 20}\r\n\r\n".encode(): {413},
             f"POST {FARE} HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: {1 << 40}\r\n\r\n".encode(): {413},
             (f"POST {FARE} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
              + (b"100000\r\n" + b" " * 0x100000 + b"\r\n") * 11 + b"0\r\n\r\n"): {413},
             (f"POST {FARE} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode() + b"1;" + b"x" * 5000 + b"\r\n1\r\n0\r\n\r\n"): {400, 413},
             (f"POST {FARE} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode() + b"1\r\n \r\n" * 100_000 + b"0\r\n\r\n"): {400, 413}}
    for request, expected in cases.items():
        got = statuses(raw(shared_node, request))
        assert got and got[-1] in expected, (request[:100], got)
    answers(shared_node, shop, "fare@2")


def test_a_request_of_ten_megabytes(shared_node, shop):
    record = shop.records[0]
    pad = (10 << 20) - len(json.dumps({"features": {**record, "pad": ""}}))
    body = json.dumps({"features": {**record, "pad": "x" * pad}})
    assert len(body) == 10 << 20
    answer = shared_node.request("POST", FARE, body)
    assert answer.status == 200 and answer.json["result"]["prediction"] == float(shop.batch("fare@2")[0]["prediction"])
    assert shared_node.request("POST", FARE, body + " ").status == 413


def test_too_many_records(shared_node, shop):
    answer = shared_node.predict_multi([{}] * 10_001)
    assert answer.status in (400, 413) and "10" in answer.json["message"], answer


def test_pipelined_requests_are_answered_in_order(shared_node, shop):
    requests = b""
    for record in shop.records[:50]:
        requests += post(FARE, {"features": record})
    requests += post(HEAVY, scenarios.heavy_bodies(shop, 50)[0]) + GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    got = raw(shared_node, requests, half_close=False)
    assert statuses(got) == [200] * 52
    predictions = [float(v) for v in re.findall(rb'\{"prediction":\s*([-\d.e]+)', got)]
    assert predictions[:50] == [float(row["prediction"]) for row in shop.batch("fare@2")[:50]]
    assert predictions[50:] == [float(row["prediction"]) for row in shop.batch("heavy")[:50]]


def test_who_closes_his_half_gets_a_whole_answer_or_an_error(shared_node, shop):
    """A worker may spare itself what nobody waits for; it never says 200 with nothing."""
    for _ in range(20):
        got = raw(shared_node, post(HEAVY, scenarios.heavy_bodies(shop, 20)[0]))
        assert statuses(got) in ([200], [503]), got
        assert json.loads(got.split(b"\r\n\r\n", 1)[1]).keys() & {"results", "message"}, got


DEEP = 100_000
HOSTILE = {
    "open brackets": "[" * DEEP,
    "open braces": '{"a":' * DEEP,
    "deep features": '{"features":{"x":' + "[" * 500 + "1" + "]" * 500 + "}}",
    "deep extra": '{"features":{"x":1},"more":' + "[" * DEEP + "]" * DEEP + "}",
    "a huge number": '{"features":{"x":1e99999}}',
    "a long number": '{"features":{"x":' + "9" * 100_000 + "}}",
    "a long fraction": '{"features":{"x":0.' + "1" * 100_000 + "}}",
    "no number": '{"features":{"x":-}}',
    "a hex number": '{"features":{"x":0x10}}',
    "a leading zero": '{"features":{"x":012}}',
    "a plus": '{"features":{"x":+1}}',
    "keys twice": '{"features":{"x":1,"x":2}}',
    "features twice": '{"features":{"x":1},"features":{"x":2}}',
    "many keys": '{"features":{' + ",".join(f'"k{i}":1' for i in range(100_000)) + "}}",
    "a long key": '{"features":{"' + "k" * 1_000_000 + '":1}}',
    "invalid UTF-8": b'{"features":{"c":"\xff\xfe"}}',
    "overlong UTF-8": b'{"features":{"c":"\xc0\xaf"}}',
    "a lone surrogate": '{"features":{"c":"\\udfff"}}',
    "a NUL in a text": '{"features":{"c":"a\\u0000b"}}',
    "a raw NUL": b'{"features":{"c":"a\x00b"}}',
    "a raw line feed": '{"features":{"c":"a\nb"}}',
    "a bad escape": '{"features":{"c":"\\x41"}}',
    "a trailing comma": '{"features":{"x":1,}}',
    "a comment": '{"features":{"x":1}/* */}',
    "two documents": '{"features":{"x":1}}{"features":{"x":1}}',
    "UTF-16": '{"features":{"x":1}}'.encode("utf-16"),
    "a byte order mark": '\ufeff{"features":{"x":1}}'.encode(),
    "features a text": '{"features":"x"}',
    "features a number": '{"features":1}',
    "an array as a value": '{"features":{"x":[1,2]}}',
    "an object as a value": '{"features":{"x":{"y":1}}}',
    "true as a number": '{"features":{"x":true}}',
    "an infinite number": '{"features":{"x":-Infinity}}',
    "a wrong dispatch": '{"features":{"x":1},"dispatch":{"forcedGeneration":["v1"]}}',
    "dispatch a text": '{"features":{"x":1},"dispatch":"v1"}',
    "explanations a number": '{"features":{"x":1},"explanations":7}',
    "negative explanations": '{"features":{"x":1},"explanations":{"enabled":true,"nExplanations":-1}}',
    "far too many explanations": '{"features":{"x":1},"explanations":{"enabled":true,"nExplanations":1e300}}',
    "items not a list": '{"items":{"features":{}}}',
    "an item that is none": '{"items":[1,null,"x",[],{}]}',
    "a method that is none": '{"features":{"x":1},"explanations":{"enabled":true,"method":"MAGIC"}}',
    "white space": " " * 1_000_000,
    "only a quote": '"',
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_json(shared_node, shop, name):
    """Answered with 200 or a 4xx that says what is wrong, on a connection that goes on; never 5xx, never silence."""
    body = HOSTILE[name]
    body = body.encode() if isinstance(body, str) else body
    for verb in ("predict", "predict-multi"):
        answer = shared_node.request("POST", f"{API}/shop/fare/{verb}", body)
        assert answer.status in (200, 400, 413, 422, 404), answer
        document = answer.json
        assert answer.status == 200 or document["message"]
        assert len(answer.body) < 100_000 and "\n" not in document.get("message", "")
    answers(shared_node, shop, "fare@2")


def test_random_mutations_of_a_request(shared_node, shop):
    r = random.Random(11)
    body = json.dumps({"features": shop.records[0], "explanations": {"enabled": True, "nExplanations": 2}, "dispatch": {"dispatchKey": "k"}}).encode()
    valid = f"POST {FARE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    for _ in range(300):
        data = bytearray(valid)
        for _ in range(r.choice([1, 1, 2, 8])):
            at = r.randrange(len(data))
            what = r.random()
            if what < 0.5:
                data[at] = r.randrange(256)
            elif what < 0.75:
                del data[at:at + r.randrange(1, 10)]
            else:
                data[at:at] = r.choice([b"\r\n", b"\0", b'"', b"{", b"[", b"\xff", b"9999999999", b"NaN", bytes(data[:50])])
        got = statuses(raw(shared_node, bytes(data)))
        assert all(200 <= s < 500 or s in (501, 503, 505) for s in got), (bytes(data), got)
    answers(shared_node, shop, "fare@2")


def test_an_upload_cut_in_the_middle_leaves_nothing(nodes, shop):
    node = nodes(package=shop.v1)
    data = shop.v2.read_bytes()
    head = (f"POST /admin/api/services/shop/generations HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {node.admin_key}\r\n"
            f"Content-Type: application/zip\r\nContent-Length: {len(data)}\r\n\r\n").encode()
    for share in (0.0, 0.3, 0.99):
        with socket.create_connection((node.host, node.port), timeout=10) as s:
            s.sendall(head + data[:int(len(data) * share)])
    until(lambda: not list((node.home / "spool").iterdir()), what="the bytes of a broken upload stay")
    assert [g["generationId"] for g in node.admin("GET", "services/shop/generations").json["generations"]] == ["v1"]
    assert node.upload(shop.v2).status < 300


def test_an_upload_without_the_key_is_refused_before_its_body(nodes, shop):
    node = nodes(package=shop.v1)
    head = b"POST /admin/api/services/shop/generations HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3000000000\r\n\r\n"
    with socket.create_connection((node.host, node.port), timeout=10) as s:
        s.sendall(head)
        assert b" 401 " in s.recv(65536).split(b"\r\n")[0]


def test_paths_of_strangers(shared_node):
    for path in ("/", "/..", "/%2e%2e/%2e%2e/etc/passwd", "/public/api/v1/../../admin/api/services", "/public/api/v1/shop%00/fare/predict",
                 "/public/api/v1/shop/fare/predict;x", "/public/api/v1", "/admin/api", "/admin/api/services", "/admin//api//services", "/.git/config",
                 "/admin/api/services/%2e%2e/generations", "/%", "/%zz", "*", "http://h/isAlive/"):
        answer = raw(shared_node, f"GET {path} HTTP/1.1\r\nHost: {shared_node.host}\r\nConnection: close\r\n\r\n".encode())
        status = statuses(answer)
        assert status and status[0] < 500, (path, answer[:300])
        assert b"root:" not in answer
        if "admin" in path:
            assert status[0] in (400, 401, 403, 404), (path, answer[:300])


def test_a_foreign_host_name_is_not_answered(shared_node):
    assert shared_node.get("/isAlive/", headers={"Host": "evil.example"}).status in (400, 403, 421)
    assert shared_node.get("/isAlive/", headers={"Host": "localhost:1"}).status == 200
