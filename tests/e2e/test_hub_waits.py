"""Calls that wait for API nodes hold up no other call of the hub."""
import socket
import threading

from hub import hubs, hub  # noqa: F401: fixtures


class Silent:
    """A node that takes connections and says nothing."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.connections, self.more = [], threading.Condition()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with self.more:
                self.connections.append(connection)
                self.more.notify_all()

    def wait_for(self, count):
        with self.more:
            assert self.more.wait_for(lambda: len(self.connections) >= count, 30), f"{len(self.connections)} of {count} calls"

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.connections:
            connection.close()


def together(count, ask):
    """Starts `ask` on threads; what has ended is in the list."""
    ended = []
    threads = [threading.Thread(target=lambda: ended.append(ask())) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads, ended


def test_nodes_that_hang_hold_up_those_who_ask_them_only(hub):
    node = Silent()
    try:
        assert hub.local("POST", "/api/v1/infras", {"name": "far", "stage": "Test", "nodes": [{"url": node.url, "key": "k"}]}).status == 201
        threads, ended = together(8, lambda: hub.local("GET", "/api/v1/infras/far").status)
        node.wait_for(8)
        assert hub.local("GET", "/api/v1/projects").status == 200
        assert ended == []
    finally:
        node.close()
    for thread in threads:
        thread.join(60)
    assert ended == [200] * 8
