"""A FastCGI client that does what no web server would: stops in the middle, sends byte by byte, hangs up."""
import socket
import struct

from gate_site import webhook_headers

BEGIN, ABORT, END, PARAMS, STDIN, STDOUT, STDERR = range(1, 8)
RESPONDER = 1
KEEP = 1


def record(kind, content=b""):
    return struct.pack(">BBHHBB", 1, kind, 1, len(content), 0, 0) + content


def pair(name, value):
    name, value = name.encode(), value.encode()
    return b"".join(struct.pack(">B" if len(one) < 128 else ">I", len(one) | (0 if len(one) < 128 else 1 << 31))
                    for one in (name, value)) + name + value


def head(method, path, headers=None, length=None, keep=False):
    """All of a request before its body."""
    variables = {"GATEWAY_INTERFACE": "CGI/1.1", "REQUEST_METHOD": method, "SCRIPT_NAME": "", "PATH_INFO": path,
                 "REMOTE_ADDR": "127.0.0.1", "SERVER_PROTOCOL": "HTTP/1.1", "QUERY_STRING": ""}
    if length is not None:
        variables["CONTENT_LENGTH"] = str(length)
    for name, value in (headers or {}).items():
        key = name.upper().replace("-", "_")
        variables[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
    params = b"".join(pair(name, value) for name, value in variables.items())
    begin = record(BEGIN, struct.pack(">HB5x", RESPONDER, KEEP if keep else 0))
    return begin + record(PARAMS, params) + record(PARAMS)


def webhook(body, delivery, keep=False):
    return head("POST", "/webhook", webhook_headers("pull_request", body, delivery), len(body), keep)


def stdin(body):
    return b"".join(record(STDIN, body[at:at + 65535]) for at in range(0, len(body), 65535))


END_OF_BODY = record(STDIN)


class Connection:
    def __init__(self, path, timeout=60):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout)
        self.socket.connect(str(path))

    def send(self, data):
        self.socket.sendall(data)

    def reply(self):
        """(status, body); None when the connection ended without one."""
        out = b""
        while (one := self._read_record()) and one[0] != END:
            out += one[1] if one[0] == STDOUT else b""
        lines, _, body = out.partition(b"\r\n\r\n")
        return (int(lines.split()[1]), body) if lines.startswith(b"Status: ") else None

    def _read_record(self):
        start = self._read(8)
        if len(start) < 8:
            return None
        _, kind, _, length, padding, _ = struct.unpack(">BBHHBB", start)
        return kind, self._read(length + padding)[:length]

    def _read(self, count):
        got = b""
        while len(got) < count:
            try:
                part = self.socket.recv(count - len(got))
            except ConnectionError:
                part = b""
            if not part:
                break
            got += part
        return got

    def ended(self):
        """Waits until the other side has hung up; what it said before."""
        said = b""
        try:
            while part := self.socket.recv(65536):
                said += part
        except ConnectionError:
            pass
        return said

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
