"""The control socket of a daemon, spoken without the command line (docs/control.md): one connection for many
commands, and for every event.

    with ControlSocket(daemon.control) as control:
        games = control.ask("list_games")["games"]

It costs no process, and a command that was connected before leaves at once.
"""

import json
import socket


class ControlSocket:
    def __init__(self, path):
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.connect(str(path))
        self.frames = self.connection.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Whoever reads meanwhile sees the end of the stream."""
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the daemon was faster
        self.connection.close()

    def __iter__(self):
        """Each event, as it comes, until the stream ends."""
        while True:
            try:
                head = self.frames.read(4)
                text = self.frames.read(int.from_bytes(head, "big"))
            except OSError:
                return
            if len(head) < 4 or len(text) < int.from_bytes(head, "big"):
                return
            yield json.loads(text)

    def send(self, command, count=1, **members):
        """So often, in one go."""
        text = json.dumps({"command": command, **members}).encode()
        self.connection.sendall((len(text).to_bytes(4, "big") + text) * count)

    def answer(self):
        """The next one's result; what else comes before it is passed over."""
        for event in self:
            assert event["event"] != "refused", event
            if event["event"] == "answer":
                assert event["ok"], event
                return event["result"]
        raise AssertionError("the stream ended before the answer")

    def ask(self, command, **members):
        return self.ask_often(1, command, **members)

    def ask_often(self, count, command, **members):
        """So often at once; the last answer."""
        self.send(command, count, **members)
        return [self.answer() for _ in range(count)][-1]
