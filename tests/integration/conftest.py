"""Fixtures: the simulator, and prgate behind each of the web servers."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from github_sim import client

import gate as gates
from gate_site import Site
from servers import SERVERS
from workspace import APP_ID, APP_SLUG, BUILD, CI_SECRET, TOKEN, TOKEN_USER, Workspace

# Every server, and both kinds of credentials at a pool and at a single run.
SITES = ["nginx-app", "nginx-token", "apache-fcgid-app", "lighttpd-token", "apache-cgi-app", "cgi-app", "cgi-token"]
DOORS = ["nginx-app", "apache-fcgid-app", "lighttpd-app", "apache-cgi-app", "shared-host-app", "cgi-app"]


@pytest.fixture(scope="session")
def app_key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="session")
def key_pem(app_key):
    return app_key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL,
                                 serialization.NoEncryption()).decode()


@pytest.fixture(scope="session")
def github(app_key):
    """A simulator with the App, the token and the CI that the sites are configured for."""
    with client.start() as sim:
        arrange(sim, app_key)
        yield sim


def arrange(sim, app_key):
    public = app_key.public_key().public_bytes(serialization.Encoding.PEM,
                                               serialization.PublicFormat.SubjectPublicKeyInfo)
    sim.app(id=APP_ID, slug=APP_SLUG, public_key=public.decode())
    sim.token(token=TOKEN, login=TOKEN_USER)
    sim.ci(secret=CI_SECRET)


@pytest.fixture(scope="session")
def make_site(key_pem):
    """Starts sites; all of them end with the session."""
    made = []

    def make(server, sim, credentials="app", **options):
        workspace = Workspace(sim.url, credentials, key_pem, **options)
        try:
            site = Site(server, workspace, sim)
        except Exception:
            workspace.remove()
            raise
        made.append(site)
        return site

    yield make
    for site in made:
        end(site)


def end(site):
    site.stop()
    site.workspace.remove()


def need_program():
    if not (BUILD / "prgate.fcgi").exists():
        pytest.fail(f"{BUILD / 'prgate.fcgi'} is missing: run make first")


@pytest.fixture(scope="session")
def running_site(request, github, key_pem):
    """One site at a time: pytest groups the tests by this parameter."""
    need_program()
    server, _, credentials = request.param.rpartition("-")
    workspace = Workspace(github.url, credentials, key_pem)
    try:
        site = Site(SERVERS[server], workspace, github)
        yield site
        end(site)
    finally:
        workspace.remove()


@pytest.fixture
def site(running_site, request):
    running_site.sim.forget()
    yield running_site
    running_site.sim.clear_faults()
    if getattr(request.node, "failed", False):
        running_site.print_logs()


@pytest.fixture
def make_gate(site):
    """gate(owner): a fresh repository there. In the end nobody may have broken GitHub's rules."""
    yield lambda owner="dispatch": gates.Gate(site, owner)
    assert site.sim.violations() == []
    assert site.sim.overlaps() == []


@pytest.fixture
def gate(make_gate):
    return make_gate()


@pytest.fixture
def repo(site):
    return gates.make_repo(site, "dispatch")


@pytest.fixture
def opened(site, repo):
    """A good delivery that GitHub has not sent yet."""
    return site.sim.open(repo=repo, author="bob")[0]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed:
        item.failed = True


# Long ones that start no servers and share nothing: one after the other, they would be the last to end.
BY_THEMSELVES = {"test_replay"}


@pytest.hookimpl(tryfirst=True)  # xdist reads the marks in the same hook, and was registered later
def pytest_collection_modifyitems(items):
    """What shares a site, or a module's one big fixture, runs in one of the parallel processes."""
    for item in items:
        if item.module.__name__ in BY_THEMSELVES:
            continue
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        item.add_marker(pytest.mark.xdist_group(parameters.get("running_site", item.module.__name__)))
