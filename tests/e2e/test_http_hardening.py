"""Raw bytes against the real node: request smuggling, malformed and oversized requests, and odd ones that must be served. Every forbidden
shape is followed by a second request that nobody may ever see: exactly one answer comes, and the connection ends."""
import contextlib
import os
import re
import socket

import pytest

from apinode import Node

GET = b"GET /isAlive/ HTTP/1.1\r\nHost: localhost\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
END = b"0\r\n\r\n"


def post(headers=b"", body=b"", line=b"POST /isAlive/ HTTP/1.1", host=b"Host: localhost\r\n"):
    return line + b"\r\n" + host + headers + b"\r\n" + body


def get(target=b"/isAlive/", version=b"HTTP/1.1", headers=b"", method=b"GET", host=b"Host: localhost\r\n"):
    return method + b" " + target + b" " + version + b"\r\n" + host + headers + b"\r\n"


def chunked(body, coding=CHUNKED):
    return post(coding, body)


# name, bytes, the statuses that may answer it; then the connection ends.
REFUSED = [
    # ---- which body? (RFC 9112 6.1, 6.3)
    ("cl_te", post(b"Content-Length: 6\r\n" + CHUNKED, END + b"X"), {400}),
    ("te_cl", post(CHUNKED + b"Content-Length: 6\r\n", END + b"X"), {400}),
    ("cl_te_zero", post(b"Content-Length: 0\r\n" + CHUNKED, END), {400}),
    ("cl_cl_differ", post(b"Content-Length: 4\r\nContent-Length: 5\r\n", b"abcde"), {400}),
    ("cl_cl_same", post(b"Content-Length: 4\r\nContent-Length: 4\r\n", b"abcd"), {400}),
    ("cl_list", post(b"Content-Length: 4, 4\r\n", b"abcd"), {400}),
    ("cl_list_differ", post(b"Content-Length: 4, 5\r\n", b"abcde"), {400}),
    ("cl_plus", post(b"Content-Length: +4\r\n", b"abcd"), {400}),
    ("cl_minus", post(b"Content-Length: -4\r\n", b"abcd"), {400}),
    ("cl_minus_zero", post(b"Content-Length: -0\r\n"), {400}),
    ("cl_hex", post(b"Content-Length: 0x4\r\n", b"abcd"), {400}),
    ("cl_octal_prefix", post(b"Content-Length: 0o4\r\n", b"abcd"), {400}),
    ("cl_underscore", post(b"Content-Length: 1_0\r\n", b"abcdefghij"), {400}),
    ("cl_fraction", post(b"Content-Length: 4.0\r\n", b"abcd"), {400}),
    ("cl_exponent", post(b"Content-Length: 4e0\r\n", b"abcd"), {400}),
    ("cl_empty", post(b"Content-Length:\r\n"), {400}),
    ("cl_blank", post(b"Content-Length:  \r\n"), {400}),
    ("cl_inner_space", post(b"Content-Length: 1 0\r\n", b"abcdefghij"), {400}),
    ("cl_trailing_comma", post(b"Content-Length: 4,\r\n", b"abcd"), {400}),
    ("cl_semicolon", post(b"Content-Length: 4;4\r\n", b"abcd"), {400}),
    ("cl_non_ascii_digit", post("Content-Length: \u0664\r\n".encode(), b"abcd"), {400}),
    ("cl_over_64_bits", post(b"Content-Length: 18446744073709551620\r\n", b"abcd"), {400, 413}),
    ("cl_over_63_bits", post(b"Content-Length: 9223372036854775809\r\n", b"abcd"), {400, 413}),
    ("cl_huge", post(b"Content-Length: 999999999999\r\n"), {413}),
    ("cl_endless_digits", post(b"Content-Length: " + b"0" * 40 + b"4\r\n", b"abcd"), {400}),
    ("cl_space_before_colon", post(b"Content-Length : 4\r\n", b"abcd"), {400}),
    ("cl_tab_before_colon", post(b"Content-Length\t: 4\r\n", b"abcd"), {400}),
    ("cl_vertical_tab", post(b"Content-Length:\x0b4\r\n", b"abcd"), {400}),
    ("cl_nul", post(b"Content-Length: 4\x00\r\n", b"abcd"), {400}),
    ("cl_folded", post(b"Content-Length:\r\n 4\r\n", b"abcd"), {400}),
    ("te_identity", post(b"Transfer-Encoding: identity\r\n"), {400, 501}),
    ("te_gzip", post(b"Transfer-Encoding: gzip\r\n"), {400, 501}),
    ("te_gzip_chunked", post(b"Transfer-Encoding: gzip, chunked\r\n", END), {400, 501}),
    ("te_chunked_gzip", post(b"Transfer-Encoding: chunked, gzip\r\n", END), {400, 501}),
    ("te_chunked_identity", post(b"Transfer-Encoding: chunked, identity\r\n", END), {400, 501}),
    ("te_identity_chunked", post(b"Transfer-Encoding: identity, chunked\r\n", END), {400, 501}),
    ("te_twice", post(CHUNKED + CHUNKED, END), {400}),
    ("te_twice_identity", post(CHUNKED + b"Transfer-Encoding: identity\r\n", END), {400, 501}),
    ("te_chunked_chunked", post(b"Transfer-Encoding: chunked, chunked\r\n", END), {400, 501}),
    ("te_prefix", post(b"Transfer-Encoding: xchunked\r\n", END), {400, 501}),
    ("te_suffix", post(b"Transfer-Encoding: chunkedx\r\n", END), {400, 501}),
    ("te_cut", post(b"Transfer-Encoding: chunke\r\n", END), {400, 501}),
    ("te_quoted", post(b'Transfer-Encoding: "chunked"\r\n', END), {400, 501}),
    ("te_apostrophes", post(b"Transfer-Encoding: 'chunked'\r\n", END), {400, 501}),
    ("te_parameter", post(b"Transfer-Encoding: chunked;a=b\r\n", END), {400, 501}),
    ("te_empty", post(b"Transfer-Encoding:\r\n"), {400, 501}),
    ("te_leading_comma", post(b"Transfer-Encoding: , chunked\r\n", END), {400, 501}),
    ("te_trailing_comma", post(b"Transfer-Encoding: chunked,\r\n", END), {400, 501}),
    ("te_vertical_tab", post(b"Transfer-Encoding: \x0bchunked\r\n", END), {400, 501}),
    ("te_form_feed", post(b"Transfer-Encoding: chunked\x0c\r\n", END), {400, 501}),
    ("te_nul", post(b"Transfer-Encoding: chunked\x00\r\n", END), {400}),
    ("te_nbsp", post(b"Transfer-Encoding: \xa0chunked\r\n", END), {400, 501}),
    ("te_backspace", post(b"Transfer-Encoding: x\x08chunked\r\n", END), {400, 501}),
    ("te_space_before_colon", post(b"Transfer-Encoding : chunked\r\n", END), {400}),
    ("te_tab_before_colon", post(b"Transfer-Encoding\t: chunked\r\n", END), {400}),
    ("te_cr_before_colon", post(b"Transfer-Encoding\r: chunked\r\n", END), {400}),
    ("te_folded", post(b"Transfer-Encoding:\r\n chunked\r\n", END), {400}),
    ("te_folded_tab", post(b"Transfer-Encoding:\r\n\tchunked\r\n", END), {400}),
    ("te_hidden_by_fold", post(b"X-A: b\r\n Transfer-Encoding: chunked\r\n", END), {400}),
    ("te_hidden_by_bare_lf", post(b"X-A: b\nTransfer-Encoding: chunked\r\n", END), {400}),
    ("te_hidden_by_bare_cr", post(b"X-A: b\rTransfer-Encoding: chunked\r\n", END), {400}),
    ("te_http_1_0", post(CHUNKED, END, line=b"POST /isAlive/ HTTP/1.0"), {400}),
    # ---- chunks (RFC 9112 7.1)
    ("chunk_size_text", chunked(b"xyz\r\nabc\r\n" + END), {400}),
    ("chunk_size_empty", chunked(b"\r\nabc\r\n" + END), {400}),
    ("chunk_size_minus", chunked(b"-1\r\nabc\r\n" + END), {400}),
    ("chunk_size_plus", chunked(b"+3\r\nabc\r\n" + END), {400}),
    ("chunk_size_0x", chunked(b"0x3\r\nabc\r\n" + END), {400}),
    ("chunk_size_space", chunked(b"3 \r\nabc\r\n" + END), {400}),
    ("chunk_size_leading_space", chunked(b" 3\r\nabc\r\n" + END), {400}),
    ("chunk_size_underscore", chunked(b"1_0\r\nabcdefghijklmnop\r\n" + END), {400}),
    ("chunk_size_64_bits", chunked(b"10000000000000003\r\nabc\r\n" + END), {400, 413}),
    ("chunk_size_max", chunked(b"FFFFFFFFFFFFFFFF\r\nabc\r\n"), {400, 413}),
    ("chunk_size_huge", chunked(b"7FFFFFFF\r\nabc\r\n"), {413}),
    ("chunk_size_zeros", chunked(b"0" * 100_000), {400}),
    ("chunk_bare_lf", chunked(b"3\nabc\n0\n\n"), {400}),
    ("chunk_bare_cr", chunked(b"3\rabc\r0\r\r"), {400}),
    ("chunk_lf_after_data", chunked(b"3\r\nabc\n0\r\n\r\n"), {400}),
    ("chunk_too_long", chunked(b"3\r\nabcd\r\n" + END), {400}),
    ("chunk_too_short", chunked(b"5\r\nabc\r\n" + END), {400}),
    ("chunk_extension_long", chunked(b"3;" + b"a" * 1000 + b"\r\nabc\r\n" + END), {400}),
    ("chunk_extensions_in_all", chunked(b"1;abcdefgh\r\na\r\n" * 100 + END), {400}),
    ("chunk_extension_lf", chunked(b"3;a\nb\r\nabc\r\n" + END), {400}),
    ("chunk_extension_cr", chunked(b"3;a\rb\r\nabc\r\n" + END), {400}),
    ("chunk_extension_nul", chunked(b"3;a\x00b\r\nabc\r\n" + END), {400}),
    ("chunks_too_many", chunked(b"1\r\na\r\n" * 70_000 + END), {413}),
    ("trailer_no_colon", chunked(b"3\r\nabc\r\n0\r\nbroken\r\n\r\n"), {400}),
    ("trailer_folded", chunked(b"0\r\nX: a\r\n b\r\n\r\n"), {400}),
    ("trailer_huge", chunked(b"0\r\nX: " + b"a" * 100_000 + b"\r\n\r\n"), {400, 431}),
    ("trailer_length", chunked(b"2\r\n{}\r\n0\r\nContent-Length: 50\r\n\r\n"), {400}),
    # ---- the request line
    ("no_http", b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n\r\n", {400}),
    ("only_text", b"hello there, who are you?\r\n\r\n", {400, 501}),
    ("leading_space", b" GET /isAlive/ HTTP/1.1\r\nHost: localhost\r\n\r\n", {400}),
    ("leading_cr", b"\r\rGET /isAlive/ HTTP/1.1\r\nHost: localhost\r\n\r\n", {400}),
    ("version_missing", b"GET /isAlive/\r\n\r\n", {400, 505}),
    ("version_0_9", get(version=b"HTTP/0.9"), {400, 505}),
    ("version_1_2", get(version=b"HTTP/1.2"), {400, 505}),
    ("version_2_0", get(version=b"HTTP/2.0"), {505}),
    ("version_3_0", get(version=b"HTTP/3.0"), {400, 505}),
    ("version_1_10", get(version=b"HTTP/1.10"), {400, 505}),
    ("version_01_1", get(version=b"HTTP/01.1"), {400, 505}),
    ("version_lower", get(version=b"http/1.1"), {400, 505}),
    ("version_space", get(version=b"HTTP/ 1.1"), {400, 505}),
    ("version_trailing_space", get(version=b"HTTP/1.1 "), {400, 505}),
    ("version_comma", get(version=b"HTTP/1,1"), {400, 505}),
    ("version_of_rtsp", get(version=b"RTSP/1.0"), {400, 505}),
    ("preface_http_2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400, 505}),
    ("method_unknown", get(method=b"BREW"), {400, 405, 501}),
    ("method_lower", get(method=b"get"), {400, 405, 501}),
    ("method_brackets", get(method=b"G[T"), {400, 501}),
    ("method_colon", get(method=b"Content-Length:"), {400, 501}),
    ("method_endless", b"A" * 100_000, {400, 414, 501}),
    ("method_connect", get(b"localhost:80", method=b"CONNECT"), {400, 405, 501}),
    ("target_two_spaces", b"GET  /isAlive/ HTTP/1.1\r\nHost: localhost\r\n\r\n", {400}),
    ("target_space", get(b"/isAlive/ x"), {400, 505}),
    ("target_tab", get(b"/isAlive/\tx"), {400}),
    ("target_nul", get(b"/isAlive/\x00"), {400}),
    ("target_del", get(b"/isAlive/\x7f"), {400}),
    ("target_raw_utf8", get("/\u00e9".encode()), {400}),
    ("target_fragment", get(b"/isAlive/#x"), {400}),
    ("target_relative", get(b"isAlive/"), {400}),
    ("target_star", get(b"*"), {400}),
    ("target_other_host", get(b"http://other.example/isAlive/"), {400}),
    ("target_user", get(b"http://u:p@localhost/isAlive/"), {400}),
    ("target_scheme", get(b"ftp://localhost/isAlive/"), {400}),
    ("target_long", get(b"/" + b"a" * 100_000), {414}),
    ("query_long", get(b"/isAlive/?" + b"a" * 100_000), {414}),
    ("bare_lf_everywhere", b"GET /isAlive/ HTTP/1.1\nHost: localhost\n\n", {400, 505}),
    ("bare_cr_everywhere", b"GET /isAlive/ HTTP/1.1\rHost: localhost\r\r", {400, 505}),
    ("empty_lines_endless", b"\r\n" * 60_000, {400, 414, 431}),
    # ---- the headers
    ("host_missing", get(host=b""), {400}),
    ("host_twice", get(host=b"Host: localhost\r\nHost: localhost\r\n"), {400}),
    ("host_differs", get(host=b"Host: localhost\r\nHost: other\r\n"), {400}),
    ("host_list", get(host=b"Host: localhost, other\r\n"), {400}),
    ("host_path", get(host=b"Host: localhost/x\r\n"), {400}),
    ("host_user", get(host=b"Host: u@localhost\r\n"), {400}),
    ("host_port_text", get(host=b"Host: localhost:http\r\n"), {400}),
    ("host_space_before_colon", get(host=b"Host : localhost\r\n"), {400}),
    ("host_folded", get(host=b"Host:\r\n localhost\r\n"), {400}),
    ("header_no_colon", get(headers=b"broken\r\n"), {400}),
    ("header_empty_name", get(headers=b": x\r\n"), {400}),
    ("header_name_space", get(headers=b"X A: b\r\n"), {400}),
    ("header_name_nul", get(headers=b"X\x00A: b\r\n"), {400}),
    ("header_name_utf8", get(headers="X-\u00e9: b\r\n".encode()), {400}),
    ("header_name_slash", get(headers=b"X/A: b\r\n"), {400}),
    ("header_name_brackets", get(headers=b"X[A]: b\r\n"), {400}),
    ("header_value_nul", get(headers=b"X: a\x00b\r\n"), {400}),
    ("header_value_cr", get(headers=b"X: a\rb\r\n"), {400}),
    ("header_value_lf", get(headers=b"X: a\nb: c\r\n"), {400}),
    ("header_value_control", get(headers=b"X: a\x1bb\r\n"), {400}),
    ("header_first_folded", get(host=b" X: y\r\nHost: localhost\r\n"), {400}),
    ("header_fold", get(headers=b"X: a\r\n b\r\n"), {400}),
    ("header_fold_tab", get(headers=b"X: a\r\n\tb\r\n"), {400}),
    ("header_only_spaces", get(headers=b"   \r\n"), {400}),
    ("header_long", get(headers=b"X: " + b"a" * 100_000 + b"\r\n"), {431}),
    ("header_name_long", get(headers=b"X" * 100_000 + b": a\r\n"), {431}),
    ("headers_many", get(headers=b"X: a\r\n" * 200), {431}),
    ("headers_large", get(headers=b"".join(b"X%d: %s\r\n" % (i, b"a" * 1000) for i in range(60))), {431}),
    ("expect_other", post(b"Expect: 200-maybe\r\nContent-Length: 2\r\n", b"{}"), {417}),
]

# name, bytes, how many requests they are: all are answered, and the connection serves on.
SERVED = [
    ("plain", get(), 1),
    ("empty_line_before", b"\r\n" + get(), 1),
    ("header_case", b"GET /isAlive/ HTTP/1.1\r\nhOsT:localhost\r\n\r\n", 1),
    ("header_blanks", b"GET /isAlive/ HTTP/1.1\r\nHost: \t localhost \t\r\n\r\n", 1),
    ("header_empty", get(headers=b"X-A:\r\nX-B: \t\r\n"), 1),
    ("header_utf8_value", get(headers="X: \u00e9\u6f22\r\n".encode()), 1),
    ("header_tchars", get(headers=b"!#$%&'*+-.^_`|~9: a\r\n"), 1),
    ("absolute_target", get(b"http://localhost/isAlive/"), 1),
    ("ip_host", get(host=b"Host: 127.0.0.1:80\r\n"), 1),
    ("ipv6_host", get(host=b"Host: [::1]:80\r\n"), 1),
    ("length_zero", get(headers=b"Content-Length: 0\r\n"), 1),
    ("length_zeros", post(b"Content-Length: 0002\r\n", b"{}"), 1),
    ("body_on_get", get(headers=b"Content-Length: 2\r\n") + b"{}", 1),
    ("body_is_a_request", post(b"Content-Length: %d\r\n" % len(GET), GET), 1),
    ("chunked", chunked(b"2\r\n{}\r\n" + END), 1),
    ("chunked_upper", chunked(b"2\r\n{}\r\n" + END, b"TRANSFER-ENCODING: CHUNKED\r\n"), 1),
    ("chunked_extension", chunked(b'2;a=b;c="d"\r\n{}\r\n' + END), 1),
    ("chunked_zeros", chunked(b"0002\r\n{}\r\n000\r\n\r\n"), 1),
    ("chunked_trailer", chunked(b"2\r\n{}\r\n0\r\nX-T: 1\r\n\r\n"), 1),
    ("chunked_is_a_request", chunked(b"%x\r\n" % len(GET) + GET + b"\r\n" + END), 1),
    ("chunked_empty", chunked(END), 1),
    ("upgrade_ignored", get(headers=b"Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"), 1),
    ("upgrade_with_body", post(b"Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n", b"{}"), 1),
    ("http_1_0_kept", get(version=b"HTTP/1.0", headers=b"Connection: keep-alive\r\n"), 1),
    ("connection_odd", get(headers=b"Connection: , foo,,bar\r\n"), 1),
    ("pipeline", get() * 10, 10),
    ("pipeline_mixed", (chunked(b"2\r\n{}\r\n" + END) + get() + post(b"Content-Length: 2\r\n", b"{}")) * 10, 30),
    ("options_star", get(b"*", method=b"OPTIONS"), 1),
]


class Wire:
    """One connection; `read_answers` cuts what comes by its Content-Length."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.data = b""

    def send(self, data):
        with contextlib.suppress(ConnectionError):  # refused before all of it was sent: the answer is there
            self.socket.sendall(data)

    def fill(self):
        data = b""
        with contextlib.suppress(ConnectionError):
            data = self.socket.recv(65536)
        self.data += data
        return bool(data)

    def answer(self):
        """(status, head), or None at the end of the connection."""
        while b"\r\n\r\n" not in self.data:
            if not self.fill():
                assert not self.data, self.data
                return None
        head, self.data = self.data.split(b"\r\n\r\n", 1)
        length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
        size = int(length.group(1)) if length else 0
        while len(self.data) < size:
            if not self.fill():
                return None
        self.data = self.data[size:]
        return int(head[9:12]), head

    def close(self):
        self.socket.close()


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    """A node without any service. SLIPWAY_HARDENING_PORT: another server that runs already."""
    if "SLIPWAY_HARDENING_PORT" in os.environ:
        yield int(os.environ["SLIPWAY_HARDENING_PORT"])
        return
    node = Node(tmp_path_factory.mktemp("hardening"))
    yield node.port
    assert node.alive(), node.log()
    node.kill()


@pytest.fixture
def wire(port):
    made = Wire(port)
    yield made
    made.close()


def pieces(data, how):
    if how == "at once":
        return [data]
    middle = len(data) // 2
    return [data[:middle], data[middle:]] if how == "halves" else [data[:1], data[1:-1], data[-1:]]


@pytest.mark.parametrize("how", ["at once", "halves", "ends apart"])
@pytest.mark.parametrize("name, data, statuses", REFUSED, ids=[r[0] for r in REFUSED])
def test_forbidden_shapes_are_refused_and_nothing_behind_them_is_read(wire, name, data, statuses, how):
    for piece in pieces(data + GET, how):
        wire.send(piece)
    answer = wire.answer()
    assert answer, "closed without an answer"
    assert answer[0] in statuses, answer
    assert b"\r\nConnection: close" in answer[1], answer
    with contextlib.suppress(OSError):
        wire.socket.shutdown(socket.SHUT_WR)
    assert wire.answer() is None, "a second answer: somebody's request was smuggled"


@pytest.mark.parametrize("how", ["at once", "halves", "ends apart"])
@pytest.mark.parametrize("name, data, count", SERVED, ids=[s[0] for s in SERVED])
def test_odd_but_right_shapes_are_served(wire, name, data, count, how):
    for piece in pieces(data + GET, how):
        wire.send(piece)
    for _ in range(count):
        answer = wire.answer()
        assert answer and answer[0] in (200, 204, 404, 405) and b"\r\nConnection: close" not in answer[1], answer
    answer = wire.answer()
    assert answer and answer[0] == 200, answer
    wire.socket.shutdown(socket.SHUT_WR)
    assert wire.answer() is None, "more answers than requests"


def test_head_has_no_body(wire):
    wire.send(get(method=b"HEAD") + GET)
    while b"\r\n\r\n" not in wire.data:
        assert wire.fill()
    head, wire.data = wire.data.split(b"\r\n\r\n", 1)
    assert re.search(rb"(?i)\r\ncontent-length: \d+", head)
    assert wire.answer()[0] == 200


def test_expect_continue(wire):
    wire.send(post(b"Expect: 100-continue\r\nContent-Length: 2\r\n"))
    assert wire.answer() == (100, b"HTTP/1.1 100 Continue")
    wire.send(b"{}" + GET)
    assert wire.answer()[0] in (200, 404, 405)
    assert wire.answer()[0] == 200


def test_a_body_that_is_too_large_is_not_asked_for(wire):
    wire.send(post(b"Expect: 100-continue\r\nContent-Length: 999999999\r\n"))
    assert wire.answer()[0] == 413


def test_http_1_0_and_close_end_the_connection(port):
    for data in (b"GET /isAlive/ HTTP/1.0\r\n\r\n", get(headers=b"Connection: close\r\n"), get(headers=b"Connection: x, CLOSE\r\n")):
        wire = Wire(port)
        wire.send(data + GET)
        status, head = wire.answer()
        assert status == 200 and b"\r\nConnection: close" in head
        wire.socket.shutdown(socket.SHUT_WR)
        assert wire.answer() is None
        wire.close()


def test_every_answer_has_what_it_must(wire):
    for data in (GET, get(b"/no/such/path"), get(method=b"BREW")):
        wire.send(data)
        _, head = wire.answer()
        for name in (b"Date", b"Server", b"Content-Length", b"X-Content-Type-Options: nosniff"):
            assert b"\r\n" + name in head, head


def test_the_table_is_as_large_as_it_says():
    assert len(REFUSED) >= 100 and len({r[0] for r in REFUSED}) == len(REFUSED)


def test_trace_is_refused_and_echoes_nothing(wire):
    wire.send(get(method=b"TRACE").replace(b"\r\n\r\n", b"\r\nX-Secret: mine\r\n\r\n"))
    answer = wire.answer()
    assert answer[0] == 405 and b"X-Secret" not in answer[1], answer
