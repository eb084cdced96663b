#!/usr/bin/env python3
"""Many slow clients of one server, until stopped: `slow_clients.py HOST PORT MODE CONNECTIONS BODY_FILE PATH`. Modes: `headers` and `body`
send one byte a second, `read` asks for a large answer and does not read it, `idle` connects and says nothing. A connection that the
server closes is opened again. Prints a line when all are connected, and on SIGTERM a JSON line of what happened."""
import json
import selectors
import signal
import socket
import sys
import time


class Client:
    def __init__(self, at, mode, request):
        self.at, self.mode, self.request = at, mode, request
        self.socket, self.sent, self.due = None, 0, 0.0

    def open(self, selector, now):
        self.socket = socket.socket()
        if self.mode == "read":
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        self.socket.setblocking(False)
        self.socket.connect_ex(self.at)
        self.sent, self.due = 0, now + 0.05
        if self.mode != "read":
            selector.register(self.socket, selectors.EVENT_READ, self)

    def close(self, selector):
        if self.mode != "read":
            selector.unregister(self.socket)
        self.socket.close()

    def send(self):
        """True when the server has closed it."""
        head = self.request.index(b"\r\n\r\n") + 4
        if self.mode == "idle":
            return False
        if self.mode == "headers":
            step = min(self.sent + 1, head - 2)  # the head never ends
        elif self.mode == "body":
            step = head if self.sent < head else min(self.sent + 1, len(self.request) - 1)  # nor does the body
        else:
            step = len(self.request)
        try:
            self.sent += self.socket.send(self.request[self.sent:step]) if step > self.sent else 0
        except BlockingIOError:
            pass
        except OSError:
            return True
        return False


def main():
    host, port, mode, count, body_file, path = sys.argv[1:]
    body = open(body_file, "rb").read()
    request = f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    selector = selectors.DefaultSelector()
    clients = [Client((host, int(port)), mode, request) for _ in range(int(count))]
    answered = closed = 0
    for i, client in enumerate(clients):
        client.open(selector, time.monotonic())
        if i % 100 == 99:
            time.sleep(0.02)  # the backlog is not what is tried here
    print(f"{count} connected", flush=True)
    while not stop:
        for key, _ in selector.select(0.05):
            client = key.data
            try:
                answer = client.socket.recv(65536)
            except BlockingIOError:
                continue
            except OSError:
                answer = b""
            answered += answer.startswith(b"HTTP/1.1 408")
            if not answer:
                closed += 1
                client.close(selector)
                client.open(selector, time.monotonic())
        now = time.monotonic()
        for client in clients:
            if client.due > now:
                continue
            client.due = now + 1
            if client.send():
                closed += 1
                client.close(selector)
                client.open(selector, now)
    print(json.dumps({"answered_408": answered, "closed_by_the_server": closed}), flush=True)


main()
