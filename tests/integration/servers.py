"""The web servers that prgate runs behind, started from the repository's own example files.

An example is changed only where it names ports, paths and users: adapt() takes a table of
replacements and insists that each is there, so that what is tested is the example.
"""
import contextlib
import dataclasses
import http.client
import os
import pathlib
import shutil
import signal
import subprocess
import time

from processes import Process, accepts, end_all_running_below, free_port
from workspace import ROOT, SERVER_USER, as_server_user, give_away

SERVER_GROUP = "www-data" if os.geteuid() == 0 else str(os.getegid())
APACHE_MODULES = "/usr/lib/apache2/modules"
PROMPT_S = 20
RESTART = ["--retry=1000000", "--timeout=1"]  # however often they are killed


@dataclasses.dataclass
class Reply:
    status: int
    headers: dict  # lower-case names
    body: bytes


class NotInExample(Exception):
    """An example file no longer contains what the tests want to replace."""


def adapt(file, replacements):
    text = (ROOT / file).read_text()
    for old, new in replacements.items():
        if old not in text:
            raise NotInExample(f"{file}: {old!r}")
        text = text.replace(old, str(new))
    return text


class Pool:
    """N processes of prgate on one socket, as conf/spawn-fcgi.sh starts them."""
    wrapper = []  # a command that executes its arguments

    def __init__(self, workspace, processes=2):
        self.socket = workspace.dir / "prgate.sock"
        self.workspace, self.processes = workspace, processes
        self.socket.unlink(missing_ok=True)
        command = ["spawn-fcgi", "-n", "-s", self.socket, "-M", "660", "-b", "1024"]
        if os.geteuid() == 0:
            command += ["-u", SERVER_USER, "-g", SERVER_GROUP, "-U", SERVER_USER, "-G", SERVER_GROUP]
        command += ["--", *self.wrapper, "/usr/bin/multiwatch", "-f", processes, *RESTART, "--", workspace.fcgi]
        self.process = Process(command, workspace.dir / "pool.log",
                               env={**workspace.environment(), **workspace.pool_environment})
        self.process.wait_ready(self.socket.exists)

    def members(self):
        """Process ids of prgate.fcgi, as many as live right now."""
        pids = []
        for directory in pathlib.Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError):
                _, name, rest = _parse_stat((directory / "stat").read_text())
                if name == "prgate.fcgi" and int(rest[1]) == self.process.pid and rest[0] != "Z":
                    pids.append(int(directory.name))
        return pids

    def start_again(self):
        """After stop()."""
        self.__init__(self.workspace, self.processes)

    def stop(self):
        self.process.stop()
        self.socket.unlink(missing_ok=True)


def _parse_stat(text):
    """(pid, name, [state, parent's pid, ...]) of /proc/PID/stat."""
    pid, _, rest = text.partition(" (")
    name, _, rest = rest.rpartition(") ")
    return int(pid), name, rest.split()


class HttpServer:
    """Listens on a port. A subclass starts self.process and whatever is behind it."""
    needs_cron = False  # no process stays to look for work that is due

    def __init__(self, workspace):
        self.workspace = workspace
        self.port = free_port()
        self.dir = workspace.dir / "server"
        self.dir.mkdir()
        give_away(self.dir)
        self.start()
        self.process.wait_ready(lambda: accepts(self.port))

    def write(self, name, text):
        path = self.dir / name
        path.write_text(text)
        return path

    def run(self, command):
        self.process = Process(command, self.dir / "server.log", env=self.workspace.environment())

    def request(self, method, path, headers=(), body=b"", length=True):
        """One exchange. `length`: True tells the body's, False none at all, a number that one."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PROMPT_S)
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            for name, value in dict(headers).items():
                connection.putheader(name, value)
            if length is not False and (body or method == "POST"):
                connection.putheader("Content-Length", str(len(body) if length is True else length))
            connection.endheaders()
            self._send(connection, body)
            reply = connection.getresponse()
            return Reply(reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read())
        finally:
            connection.close()

    @staticmethod
    def _send(connection, body):
        try:
            if body:
                connection.send(body)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before it was read whole; the reply says why

    def stop(self):
        self.process.stop()

    def logs(self):
        return {path.name: path for path in [*self.dir.glob("*.log"), *self.workspace.dir.glob("*.log")]}


class Nginx(HttpServer):
    name = "nginx"
    processes = 2
    pool_class = Pool

    def start(self):
        self.pool = self.pool_class(self.workspace, self.processes)
        conf = self.write("nginx.conf", adapt("nginx.conf.example", {
            "user www-data;": f"user {SERVER_USER};" if os.geteuid() == 0 else "",
            "listen 80 default_server": f"listen 127.0.0.1:{self.port} default_server",
            "/run/prgate/prgate.sock": self.pool.socket,
            "/run/nginx.pid": self.dir / "nginx.pid",
            "/var/log/nginx/error.log": self.dir / "error.log",
            "/var/log/nginx/prgate.log": self.dir / "access.log",
            "/var/lib/nginx/": f"{self.dir}/tmp-",
            "    fastcgi_temp_path ": self._other_temporary_paths() + "    fastcgi_temp_path ",
        }))
        self.command = ["nginx", "-p", self.dir, "-c", conf, "-e", self.dir / "error.log", "-g", "daemon off;"]
        self.run(self.command)

    def restart(self):
        """As systemctl restart does: what is under way is finished first."""
        self.process.child.send_signal(signal.SIGQUIT)
        self.process.child.wait(PROMPT_S)
        self.run(self.command)
        self.process.wait_ready(lambda: accepts(self.port))

    def _other_temporary_paths(self):
        """Built in, not used, and yet made at the start, where only root may."""
        return "".join(f"    {kind}_temp_path {self.dir}/tmp-{kind};\n" for kind in ("proxy", "scgi", "uwsgi"))

    def stop(self):
        super().stop()
        self.pool.stop()


class Pool4Nginx(Nginx):
    processes = 4


class Pool1Nginx(Nginx):
    processes = 1


class Lighttpd(HttpServer):
    name = "lighttpd"

    def start(self):
        example = adapt("conf/lighttpd.conf", {
            "/usr/lib/prgate/prgate.fcgi": self.workspace.fcgi,
            "/etc/prgate/prgate.conf": self.workspace.conf,
            "/run/prgate/prgate.sock": self.workspace.dir / "lighttpd.sock",
        })
        conf = self.write("lighttpd.conf", LIGHTTPD.format(dir=self.dir, port=self.port, users=self._users())
                          + example)
        self.run(["lighttpd", "-D", "-f", conf])

    @staticmethod
    def _users():
        if os.geteuid() != 0:
            return ""
        return f'server.username = "{SERVER_USER}"\nserver.groupname = "{SERVER_GROUP}"\n'


LIGHTTPD = """\
server.bind = "127.0.0.1"
server.port = {port}
server.document-root = "{dir}"
server.errorlog = "{dir}/error.log"
server.upload-dirs = ("{dir}")
{users}"""


class Apache(HttpServer):
    """A subclass names the example and what it needs around it."""
    mpm = "event"

    def start(self):
        conf = self.write("apache.conf", self._around() + self.example())
        self.run(["apache2", "-D", "FOREGROUND", "-f", conf, "-d", self.dir])

    def _around(self):
        modules = [f"mpm_{self.mpm}", "authz_core", "authz_host", "alias", "env", "setenvif", "mime", "dir", "headers",
                   "rewrite", "reqtimeout", *self.modules]
        loads = "".join(f"LoadModule {one}_module {APACHE_MODULES}/mod_{one}.so\n" for one in modules)
        users = f"User {SERVER_USER}\nGroup {SERVER_GROUP}\n" if os.geteuid() == 0 else ""
        return loads + users + APACHE.format(dir=self.dir, port=self.port) + self.more()

    def more(self):
        return ""


APACHE = """\
ServerName prgate.example
Listen 127.0.0.1:{port}
PidFile {dir}/apache.pid
ErrorLog {dir}/error.log
DefaultRuntimeDir {dir}
Mutex file:{dir} default
TypesConfig /etc/mime.types
"""


class ApacheVirtualHost(Apache):
    """One of the examples that are a virtual host."""

    def example(self):
        return adapt(self.file, {
            "*:80": f"127.0.0.1:{self.port}",
            "/usr/lib/prgate/prgate.fcgi": self.workspace.fcgi,
            "<Directory /usr/lib/prgate>": f"<Directory {self.workspace.bin}>",
            "/etc/prgate/prgate.conf": self.workspace.conf,
        })


class ApacheFcgid(ApacheVirtualHost):
    name = "apache-fcgid"
    file = "conf/apache-fcgid.conf"
    modules = ("fcgid",)

    def more(self):
        return f"FcgidIPCDir {self.dir}/fcgid\nFcgidProcessTableFile {self.dir}/fcgid_shm\n"


class ApacheCgi(ApacheVirtualHost):
    name = "apache-cgi"
    file = "conf/apache-cgi.conf"
    modules = ("cgid",)
    needs_cron = True

    def more(self):
        return f"ScriptSock {self.dir}/cgid.sock\n"


class SharedHost(Apache):
    """A directory with the program and a .htaccess file in it, at a host that allows CGI there."""
    name = "shared-host"
    modules = ("cgid",)
    needs_cron = True

    def more(self):
        return f"ScriptSock {self.dir}/cgid.sock\n"

    def example(self):
        web = self.dir / "web"
        web.mkdir()
        shutil.copy(self.workspace.fcgi, web)
        (web / ".htaccess").write_text(adapt("conf/htaccess", {"/etc/prgate/prgate.conf": self.workspace.conf}))
        return f"DocumentRoot {web}\n<Directory {web}>\nAllowOverride All\nRequire all granted\n</Directory>\n"


class Cgi:
    """No server at all: each request runs the program, as CGI/1.1 has it."""
    name = "cgi"
    needs_cron = True

    def __init__(self, workspace):
        self.workspace = workspace
        self.log = workspace.dir / "cgi.log"

    def request(self, method, path, headers=(), body=b"", length=True):
        variables = self.variables(method, path, dict(headers))
        if length is not False and (body or method == "POST"):
            variables["CONTENT_LENGTH"] = str(len(body) if length is True else length)
        with self.log.open("ab") as log:
            ran = subprocess.run([self.workspace.fcgi], input=body, stdout=subprocess.PIPE, stderr=log,
                                 timeout=PROMPT_S, env=variables, cwd="/", **as_server_user())
        return _parse_cgi(ran.stdout)

    def variables(self, method, path, headers):
        path, _, query = path.partition("?")
        variables = {"GATEWAY_INTERFACE": "CGI/1.1", "SERVER_PROTOCOL": "HTTP/1.1", "REQUEST_METHOD": method,
                     "SERVER_NAME": "localhost", "SERVER_PORT": "80", "REMOTE_ADDR": "127.0.0.1",
                     "SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": query, "PATH": os.environ["PATH"],
                     **self.workspace.environment()}
        for name, value in headers.items():
            key = name.upper().replace("-", "_")
            variables[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
        return variables

    def stop(self):
        pass

    def logs(self):
        return {"cgi.log": self.log}


def _parse_cgi(output):
    head, _, body = output.replace(b"\r\n", b"\n").partition(b"\n\n")
    headers = {}
    for line in head.decode("latin-1").splitlines():
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return Reply(int(headers.get("status", "200").split()[0]), headers, body)


class Cron:
    """What an operator's crontab does where no process stays."""

    def __init__(self, workspace):
        self.workspace = workspace
        self.next = 0.0

    def tick(self, every=0.5):
        if time.monotonic() < self.next:
            return
        with (self.workspace.dir / "cron.log").open("ab") as log:
            subprocess.run([self.workspace.ctl, "drain"], stdout=log, stderr=log, timeout=PROMPT_S, check=False,
                           env={**os.environ, **self.workspace.environment()}, **as_server_user())
        self.next = time.monotonic() + every


SERVERS = {server.name: server for server in (Nginx, ApacheFcgid, Lighttpd, ApacheCgi, SharedHost, Cgi)}


def end_leftovers(workspace):
    """Detached workers of CGI requests."""
    end_all_running_below(workspace.dir)
