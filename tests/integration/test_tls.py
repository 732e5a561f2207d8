"""GitHub as it really answers: over TLS and HTTP/2, many exchanges on one connection, which the server ends now and then.

A real nginx stands between the pool and the simulator. tests/preload/trust.c has its certificate trusted.
"""
import collections
import datetime
import ipaddress
import shutil

import pytest
from conftest import end
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from gate_site import IDLE_S, Site
from in_progress import Pulls
from processes import Process, accepts, free_port, wait_until
from servers import Pool4Nginx
from workspace import BUILD, Workspace, give_away

PULLS = 60
REQUESTS = 20  # on one connection
FRONT = """\
pid {dir}/front.pid;
error_log {dir}/front-error.log;
events {{ }}
http {{
    log_format exchange "$server_protocol $connection $status";
    access_log {dir}/exchanges exchange;
    client_body_temp_path {dir}/front-body;
    proxy_temp_path {dir}/front-proxy;
    fastcgi_temp_path {dir}/front-fastcgi;
    uwsgi_temp_path {dir}/front-uwsgi;
    scgi_temp_path {dir}/front-scgi;
    upstream github {{ server {github}; keepalive 64; }}
    server {{
        listen 127.0.0.1:{port} ssl {http2};
        ssl_certificate {dir}/front.crt;
        ssl_certificate_key {dir}/front.key;
        keepalive_requests {requests};
        http2_max_concurrent_streams 8;
        location / {{
            proxy_pass http://github;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
}}
"""


def make_certificate(directory):
    """For this machine's own address, by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "GitHub of the tests")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
                   .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(hours=1))
                   .not_valid_after(now + datetime.timedelta(hours=24))
                   .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
                   .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
                   .sign(key, hashes.SHA256()))
    (directory / "front.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (directory / "front.key").write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))


class Front:
    """nginx before the simulator."""

    def __init__(self, directory, sim, protocol):
        self.directory, self.port = directory, free_port()
        make_certificate(directory)
        conf = directory / "front.conf"
        self.protocol = protocol
        conf.write_text(FRONT.format(dir=directory, github=sim.url.removeprefix("http://"), port=self.port,
                                     http2="http2" if protocol == "HTTP/2.0" else "", requests=REQUESTS))
        self.process = Process(["nginx", "-p", directory, "-c", conf, "-e", directory / "front-error.log", "-g", "daemon off;"],
                               directory / "front.log")
        self.process.wait_ready(lambda: accepts(self.port))

    def exchanges(self):
        """(protocol, connection, status) of each so far."""
        return [tuple(line.split()) for line in (self.directory / "exchanges").read_text().splitlines()]


@pytest.fixture(params=["HTTP/2.0", "HTTP/1.1"])
def front(request, github, tmp_path):
    github.forget()
    started = Front(tmp_path, github, request.param)
    yield started
    github.settings(latency_ms=0)
    started.process.stop()


@pytest.fixture
def run_site(front, github, key_pem):
    """run_site(trusting): a pool that asks through the front."""
    sites = []

    def run(trusting):
        workspace = Workspace(f"https://127.0.0.1:{front.port}", "app", key_pem)
        if trusting:
            shutil.copy(BUILD / "preload" / "trust.so", workspace.bin)
            shutil.copy(front.directory / "front.crt", workspace.dir)
            give_away(workspace.dir / "front.crt")
            workspace.pool_environment = {"LD_PRELOAD": str(workspace.bin / "trust.so"),
                                          "TRUSTED_AUTHORITY": str(workspace.dir / "front.crt")}
        sites.append(Site(Pool4Nginx, workspace, github))
        return sites[-1]

    yield run
    for site in sites:
        end(site)


def test_many_at_once_are_each_started_once(front, run_site, github):
    site = run_site(trusting=True)
    github.settings(latency_ms=20)
    pulls = Pulls(site, PULLS)
    pulls.deliver()
    site.wait_idle(60)
    pulls.deliver(pulls.push())
    site.wait_idle(60)
    started, heads = pulls.started()
    assert started == heads
    assert github.violations() == []
    assert github.overlaps() == []
    wait_until(lambda: len(front.exchanges()) == len(github.calls()), IDLE_S, "nginx has written down the last exchange")
    exchanges = front.exchanges()
    assert {protocol for protocol, _, _ in exchanges} == {front.protocol}
    connections = collections.Counter(connection for _, connection, _ in exchanges)
    assert 1 < max(connections.values()) <= REQUESTS, "they are kept, unless what is asked must not arrive twice"


def test_who_is_not_trusted_is_told_nothing(front, run_site, github):
    site = run_site(trusting=False)
    pulls = Pulls(site, 1)
    pulls.deliver()
    wait_until(lambda: "certificate" in site.server.logs()["pool.log"].read_text(), IDLE_S, "the certificate is refused")
    assert site.health()["waiting"] == 1
    assert front.exchanges() == []
    assert github.calls() == []
