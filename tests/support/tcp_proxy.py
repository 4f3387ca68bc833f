"""A TCP proxy that makes a service unreachable, silent or slow."""

import socket
import threading
import time
from contextlib import suppress


class TcpProxy:
    """Forward a local port to a service; closing it cuts all of its connections.

    Attributes:
        port: the local port, chosen by the first :meth:`open`.
        delay: seconds that each message takes.
    """

    def __init__(self, host, port):
        self._behind = (host, port)
        self.port = 0
        self.delay = 0.0
        self._lock = threading.Lock()
        self._listener = None
        self._open = set()
        self._flowing = threading.Event()
        self._flowing.set()

    def open(self):
        """Accept connections."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=[self._listener], daemon=True).start()

    def close(self):
        """Refuse connections, and cut those that are open."""
        with self._lock:
            listener, self._listener = self._listener, None
            self._shut_down([*self._open, *filter(None, [listener])])
        if listener is not None:
            listener.close()

    def cut(self):
        """Cut the connections that are open, and accept new ones."""
        with self._lock:
            self._shut_down(self._open)

    def hold(self):
        """Accept connections and what is sent, and pass nothing on."""
        self._flowing.clear()

    def release(self):
        """Pass on what was held, and all that follows."""
        self._flowing.set()

    def _shut_down(self, pieces):
        for piece in pieces:  # who serves a connection closes it then
            with suppress(OSError):
                piece.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client, listener), daemon=True).start()

    def _serve(self, client, listener):
        with client, suppress(OSError), socket.create_connection(self._behind) as server:
            with self._lock:
                if self._listener is not listener:  # closed meanwhile
                    return
                self._open |= {client, server}
            back = threading.Thread(target=self._carry, args=(server, client), daemon=True)
            back.start()
            self._carry(client, server)
            back.join()
            with self._lock:
                self._open -= {client, server}

    def _carry(self, source, sink):
        # Also a client that was killed has left: the service must not wait for it with its locks.
        with suppress(OSError):
            while piece := source.recv(65_536):
                self._flowing.wait()
                time.sleep(self.delay)
                sink.sendall(piece)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
