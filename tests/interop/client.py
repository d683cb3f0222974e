"""A client program on Python's sockets. It implements RFC 6455 and RFC 7692 itself, so that it shares no code with the
server or with another client.

The client is strict: a frame that a server may not send (masked, with reserved bits, with a length that is not minimal,
a fragmented or oversized control frame) ends the program with a traceback, which fails the test.
"""

import base64
import hashlib
import json
import os
import socket
import struct
import sys
import threading
import zlib
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


class Deflate:
    """permessage-deflate in both directions, as agreed in the response of the server (RFC 7692 section 7.1)."""

    TAIL = b"\x00\x00\xff\xff"

    def __init__(self, agreement):
        name, *parameters = (part.strip() for part in agreement.split(";"))
        assert name == "permessage-deflate", agreement
        agreed = dict(parameter.partition("=")[::2] for parameter in parameters)
        assert len(agreed) == len(parameters), f"a parameter twice: {agreement}"
        self.server_keeps = agreed.pop("server_no_context_takeover", None) is None
        self.client_keeps = agreed.pop("client_no_context_takeover", None) is None
        self.server_bits = int(agreed.pop("server_max_window_bits", 15))
        self.client_bits = int(agreed.pop("client_max_window_bits", 15))
        assert not agreed, f"unknown parameters: {agreement}"
        self.compressor = self.decompressor = None

    def compress(self, fragments):
        """Compresses the fragments of one message, each flushed, so that it can be read before the next comes."""
        if self.compressor is None or not self.client_keeps:
            self.compressor = zlib.compressobj(wbits=-self.client_bits)
        flushed = [self.compressor.compress(each) + self.compressor.flush(zlib.Z_SYNC_FLUSH) for each in fragments]
        # A second flush yields no bytes, so an empty block is sent for an empty message (section 7.2.3.6).
        flushed[-1] = flushed[-1].removesuffix(self.TAIL) or b"\x00"
        return flushed

    def decompress(self, payload):
        if self.decompressor is None or not self.server_keeps:
            self.decompressor = zlib.decompressobj(wbits=-self.server_bits)
        message = self.decompressor.decompress(payload + self.TAIL)
        assert not self.decompressor.unused_data, "data behind a last block"
        return message


class Client:
    def __init__(self, number, url):
        self.number = number
        self.send_lock = threading.Lock()
        self.close_sent = False
        self.deflate = None
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
            "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
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
        extensions = headers.get("sec-websocket-extensions", "")
        if extensions:
            self.deflate = Deflate(extensions)
        report(self.number, "open", protocol=headers.get("sec-websocket-protocol", ""), extensions=extensions)
        return True

    def hang_up(self):
        # The socket stays open until the stream that was made from it is closed.
        self.stream.close()
        self.socket.close()

    def send(self, opcode, payload, fin=True, compressed=False):
        length = len(payload)
        if length < 126:
            size = struct.pack("!B", 0x80 | length)
        elif length < 65536:
            size = struct.pack("!BH", 0x80 | 126, length)
        else:
            size = struct.pack("!BQ", 0x80 | 127, length)
        mask = os.urandom(4)
        # One XOR of two big integers is far faster than a loop over the bytes.
        key = (mask * (length // 4 + 1))[:length]
        masked = (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(length, "big")
        with self.send_lock:
            self.socket.sendall(bytes([fin << 7 | compressed << 6 | opcode]) + size + mask + masked)

    def send_message(self, opcode, fragments):
        if self.deflate:
            fragments = self.deflate.compress(fragments)
        for i, fragment in enumerate(fragments):
            last = i == len(fragments) - 1
            self.send(CONTINUATION if i else opcode, fragment, fin=last, compressed=bool(self.deflate) and i == 0)

    def send_close(self, payload):
        self.close_sent = True
        self.send(CLOSE, payload)

    def read_frame(self):
        head = self.stream.read(2)
        if len(head) < 2:
            raise EOFError
        fin, compressed, reserved, opcode = head[0] >> 7, head[0] >> 6 & 1, head[0] >> 4 & 3, head[0] & 15
        assert reserved == 0, "reserved bits are set"
        assert not compressed or (self.deflate and opcode in (TEXT, BINARY)), "RSV1 is set"
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
        return fin, compressed, opcode, payload

    def receive_until_closed(self):
        code, reason, clean = 1006, "", False
        message, message_opcode, message_compressed = b"", None, 0
        try:
            while True:
                fin, compressed, opcode, payload = self.read_frame()
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
                    if message_opcode is None:
                        message_opcode, message_compressed = opcode, compressed
                    message += payload
                    if fin:
                        if message_compressed:
                            message = self.deflate.decompress(message)
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
            self.send_message(TEXT, [command["text"].encode()])
        elif action == "send":
            self.send_message(BINARY, [base64.b64decode(command["binary"])])
        elif action == "sendFragments":
            opcode = BINARY if command["isBinary"] else TEXT
            self.send_message(opcode, [base64.b64decode(fragment) for fragment in command["fragments"]])
        elif action == "ping":
            self.send(PING, base64.b64decode(command["data"]))
        elif action == "close" and "code" in command:
            self.send_close(struct.pack("!H", command["code"]) + command.get("reason", "").encode())
        elif action == "close":
            self.send_close(b"")
        elif action == "terminate":
            # Ends both directions without a Close frame. The reading thread then gets the end of the stream.
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
