"""A client program on Python's standard sockets: RFC 6455 by hand, so that it shares no code with anything else here.

It is strict: a frame the server may not send (masked, reserved bits, a length that is not minimal, a fragmented or
oversized control frame) ends the program with a traceback, which fails the test.
"""

import base64
import hashlib
import json
import os
import socket
import struct
import sys
import threading
from urllib.parse import urlsplit

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

print_lock = threading.Lock()


def report(connection, event, **details):
    with print_lock:
        print(json.dumps({"connection": connection, "event": event, **details}), flush=True)


def fail_loudly(failure):
    sys.__excepthook__(failure.exc_type, failure.exc_value, failure.exc_traceback)
    os._exit(1)


class Client:
    def __init__(self, number, url):
        self.number = number
        self.send_lock = threading.Lock()
        self.close_sent = False
        parts = urlsplit(url)
        self.socket = socket.create_connection((parts.hostname, parts.port))
        self.stream = self.socket.makefile("rb")
        if self.handshake(parts):
            threading.Thread(target=self.receive_until_closed, daemon=True).start()
        else:
            self.hang_up()
            report(number, "refused")

    def handshake(self, parts):
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [
            f"GET {parts.path} HTTP/1.1",
            f"Host: {parts.netloc}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}",
            "Sec-WebSocket-Version: 13",
        ]
        self.socket.sendall("".join(line + "\r\n" for line in [*lines, ""]).encode())
        status = self.stream.readline().split()[1]
        headers = {}
        while (line := self.stream.readline().strip()) != b"":
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        if status != b"101":
            return False
        accept = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
        assert headers["sec-websocket-accept"] == accept, headers
        assert headers["upgrade"].lower() == "websocket", headers
        assert headers["connection"].lower() == "upgrade", headers
        assert "sec-websocket-extensions" not in headers, headers
        report(self.number, "open", protocol=headers.get("sec-websocket-protocol", ""))
        return True

    def hang_up(self):
        # The socket stays open for as long as the stream made from it.
        self.stream.close()
        self.socket.close()

    def send(self, opcode, payload, fin=True):
        length = len(payload)
        if length < 126:
            size = struct.pack("!B", 0x80 | length)
        elif length < 65536:
            size = struct.pack("!BH", 0x80 | 126, length)
        else:
            size = struct.pack("!BQ", 0x80 | 127, length)
        mask = os.urandom(4)
        # One XOR of two big integers is far quicker than a loop over the bytes.
        key = (mask * (length // 4 + 1))[:length]
        masked = (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(length, "big")
        with self.send_lock:
            self.socket.sendall(bytes([fin << 7 | opcode]) + size + mask + masked)

    def send_close(self, payload):
        self.close_sent = True
        self.send(CLOSE, payload)

    def read_frame(self):
        head = self.stream.read(2)
        if len(head) < 2:
            raise EOFError
        fin, reserved, opcode = head[0] >> 7, head[0] >> 4 & 7, head[0] & 15
        assert reserved == 0, "reserved bits are set"
        assert head[1] < 128, "the server masked a frame"
        length = head[1]
        if length == 126:
            (length,) = struct.unpack("!H", self.stream.read(2))
            assert length > 125, "the length is not minimal"
        elif length == 127:
            (length,) = struct.unpack("!Q", self.stream.read(8))
            assert length > 65535, "the length is not minimal"
        assert opcode < 8 or (fin and length <= 125), "not a valid control frame"
        payload = self.stream.read(length)
        if len(payload) < length:
            raise EOFError
        return fin, opcode, payload

    def receive_until_closed(self):
        code, reason, clean = 1006, "", False
        message, message_opcode = b"", None
        try:
            while True:
                fin, opcode, payload = self.read_frame()
                if opcode == PING:
                    self.send(PONG, payload)
                elif opcode == PONG:
                    report(self.number, "pong", data=base64.b64encode(payload).decode())
                elif opcode == CLOSE:
                    code = struct.unpack("!H", payload[:2])[0] if payload else 1005
                    reason = payload[2:].decode()
                    if not self.close_sent:
                        self.send_close(payload)
                    # The server closes the TCP connection first (section 7.1.1).
                    assert self.stream.read(1) == b"", "data after the Close frame"
                    clean = True
                    break
                else:
                    assert (opcode == CONTINUATION) == (message_opcode is not None), "fragments out of order"
                    message_opcode = message_opcode or opcode
                    message += payload
                    if fin:
                        self.report_message(message_opcode, message)
                        message, message_opcode = b"", None
        except (EOFError, ConnectionError):
            pass
        self.hang_up()
        report(self.number, "close", code=code, reason=reason, wasClean=clean)

    def report_message(self, opcode, message):
        if opcode == TEXT:
            report(self.number, "message", text=message.decode())
        else:
            assert opcode == BINARY, f"unknown opcode {opcode}"
            report(self.number, "message", binary=base64.b64encode(message).decode())

    def obey(self, command):
        action = command["do"]
        if action == "send" and "text" in command:
            self.send(TEXT, command["text"].encode())
        elif action == "send":
            self.send(BINARY, base64.b64decode(command["binary"]))
        elif action == "sendFragments":
            opcode = BINARY if command["isBinary"] else TEXT
            for i, fragment in enumerate(command["fragments"]):
                last = i == len(command["fragments"]) - 1
                self.send(CONTINUATION if i else opcode, base64.b64decode(fragment), fin=last)
        elif action == "ping":
            self.send(PING, base64.b64decode(command["data"]))
        elif action == "close" and "code" in command:
            self.send_close(struct.pack("!H", command["code"]) + command.get("reason", "").encode())
        elif action == "close":
            self.send_close(b"")
        elif action == "terminate":
            # Both halves at once, without a Close frame; the reader's thread then sees the end.
            self.socket.shutdown(socket.SHUT_RDWR)


def main():
    threading.excepthook = fail_loudly
    clients = {}
    for line in sys.stdin:
        command = json.loads(line)
        number = command["connection"]
        if command["do"] == "open":
            clients[number] = Client(number, command["url"])
        else:
            clients[number].obey(command)


main()
