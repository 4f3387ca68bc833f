"""Services that go away."""

import socket
import threading
from contextlib import ExitStack, suppress


class Door:
    """A port in front of a service that can be closed, with all connections through it."""

    def __init__(self, host, port):
        self._behind = (host, port)
        self.port = 0
        self._open = []

    def open(self):
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=[self._listener], daemon=True).start()

    def close(self):
        for piece in [self._listener, *self._open]:
            with ExitStack() as stack:
                stack.callback(piece.close)
                try:
                    piece.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue
        self._open.clear()

    def _accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._behind)
            self._open += [client, server]
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    def _carry(self, source, sink):
        # Also a client that was killed has left: the service must not wait for it with its locks.
        with suppress(OSError):
            while piece := source.recv(65_536):
                sink.sendall(piece)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
