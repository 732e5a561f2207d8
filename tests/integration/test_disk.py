"""The disk on a bad day: full, read-only, another's, cut off, taken away. And what an operator does about it.

A pool behind nginx each time. What cannot be stored is answered with 503 and Retry-After, nothing is half done,
`prgatectl check` says what is wrong, and when that is mended everything goes on with all that was acknowledged.
"""
import concurrent.futures
import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import threading
import time

import pytest
from conftest import end
from gate import make_repo
from gate_site import Site
from processes import accepts, wait_until
from servers import Nginx
from workspace import Workspace, as_server_user, give_away

DELIVERIES = 150
FIT_IN_A_LOG_FILE = 1000  # 1 MB, and a delivery that was decided takes some kB
RETAIN_S = 40  # the pool looks every ten seconds
OLD_MS = 8 * 86400 * 1000


@contextlib.contextmanager
def a_site(github, key_pem, prepare=lambda workspace: None, **options):
    github.forget()
    workspace = Workspace(github.url, "app", key_pem, **options)
    try:
        prepare(workspace)
        site = Site(Nginx, workspace, github)
        try:
            yield site
        except BaseException:
            site.print_logs()
            raise
        finally:
            end(site)
    finally:
        workspace.remove()


def restart(site):
    site.server.pool.socket.unlink(missing_ok=True)
    site.server.start()
    site.server.process.wait_ready(lambda: accepts(site.server.port))


def opened(site, repo):
    """A delivery of a pull request of its own."""
    return site.sim.open(repo=repo, author="bob")[0]


def post(site, one):
    return site.exchange(one["event"], one["payload"], one["delivery"])


def assert_not_taken(reply):
    assert reply.status == 503, (reply.status, reply.body)
    assert int(reply.headers["retry-after"]) >= 1, reply.headers


def pool_log(site):
    return (site.workspace.dir / "pool.log").read_text(errors="replace")


def dump(site, conf=None):
    """The dump's lines but for the first and the last, as objects."""
    done = site.ctl(*(["-c", str(conf)] if conf else []), "dump")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines[0]["prgate_dump"] == 1 and lines[-1] == {"end": True, "entries": len(lines) - 2}
    return lines[1:-1]


def ids_seen(lines):
    return {bytes.fromhex(line["key"])[16:].decode() for line in lines if line["table"] == "seen"}


# ---- full -----------------------------------------------------------------------------------------


@pytest.fixture
def small_disk():
    """mount(workspace): its state directory becomes a file system of its own."""
    mounted = []

    def mount(workspace):
        command = ["mount", "-t", "tmpfs", "-o", "size=48m,mode=750", "tmpfs", workspace.state]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            workspace.remove()
            pytest.skip(f"no file system can be mounted here ({done.stderr.strip()}); the unit tests fill one by RLIMIT_FSIZE")
        mounted.append(workspace.state)
        give_away(workspace.state)

    yield mount
    for directory in mounted:
        subprocess.run(["umount", "-l", directory], check=True)


def fill(state):
    """Leaves no byte free."""
    with (state / "ballast").open("wb", buffering=0) as ballast:
        with contextlib.suppress(OSError):
            while True:
                ballast.write(bytes(65536))
        with contextlib.suppress(OSError):
            while True:
                ballast.write(bytes(512))


def test_full_disk(github, key_pem, small_disk):
    with a_site(github, key_pem, small_disk) as site:
        repo = make_repo(site, "dispatch")
        before = [opened(site, repo) for _ in range(3)]
        site.deliver(before)
        site.wait_idle()
        fill(site.workspace.state)
        refused = []
        while len(refused) < 5:
            one = opened(site, repo)
            reply = post(site, one)
            if reply.status == 202 and len(before) < FIT_IN_A_LOG_FILE:  # its room is taken when it is made
                before.append(one)
                continue
            assert_not_taken(reply)
            assert json.loads(reply.body)["status"] == "refused", "prgate's own answer, not nginx's: nobody died"
            refused.append(one)
        checked = site.ctl("check")
        assert checked.returncode == 1 and "no space left on the disk" in checked.stdout, checked.stdout
        assert "a delivery was not stored" in pool_log(site) and f"{site.workspace.state}/db" in pool_log(site)
        (site.workspace.state / "ballast").unlink()
        for one in refused:
            assert post(site, one).status == 202, "not a duplicate: nothing of it was kept"
        site.wait_idle()
        assert site.ctl("check").returncode == 0
        assert {one["delivery"] for one in before + refused} <= ids_seen(dump(site))
        for number in range(1, len(before) + len(refused) + 1):
            assert site.ledger(repo, number), f"#{number} was acknowledged"


# ---- what stops the start ----------------------------------------------------------------------------


def take_away(state):
    os.chown(state / "db/seen.db", 0, 0)
    (state / "db/seen.db").chmod(0o600)


def only_read(state):
    for path in (state, state / "db", state / "alive"):
        os.chown(path, 0, 0)
        path.chmod(0o755)


def cut_log(state):
    for log in (state / "db").glob("log.0*"):
        os.truncate(log, 1000)


def cut_table(state):
    os.truncate(state / "db/pr.db", 4096)


def set_version(state):
    with (state / "db/pr.db").open("r+b") as table:
        table.seek(16)
        table.write(b"\x0c")


@pytest.mark.parametrize("damage, said, checked", [
    pytest.param(take_away, "db/seen.db: Permission denied", "db/seen.db belongs to user root", id="another's file"),
    pytest.param(only_read, "Permission denied", "state belongs to user root", id="read-only directory"),
    pytest.param(cut_log, "cut off or taken away", "cut off or taken away", id="log cut off"),
    pytest.param(cut_table, "db/pr.db has only 4096 bytes", "db/pr.db has only 4096 bytes", id="table cut off"),
    pytest.param(set_version, "another version of Berkeley DB", "another version of Berkeley DB", id="another version"),
])
def test_what_stops_the_start_is_said_and_mended(github, key_pem, damage, said, checked):
    if damage in (take_away, only_read) and os.geteuid() != 0:
        pytest.skip("only root can give files away")
    with a_site(github, key_pem) as site:
        repo = make_repo(site, "dispatch")
        site.deliver(opened(site, repo))
        site.wait_idle()
        site.server.stop()
        state, good = site.workspace.state, site.workspace.dir / "good"
        subprocess.run(["cp", "-a", state, good], check=True)
        damage(state)
        restart(site)
        late = opened(site, repo)
        assert_not_taken(post(site, late))
        wait_until(lambda: said in pool_log(site), 10, lambda: f"{said} in {pool_log(site)[-2000:]}")
        done = site.ctl("check")
        assert done.returncode == 1 and checked in done.stdout, done.stdout
        site.server.stop()
        shutil.rmtree(state)
        good.rename(state)
        restart(site)
        assert post(site, late).status == 202
        site.wait_idle()
        assert site.ledger(repo, 1) and site.ledger(repo, 2)
        assert site.ctl("check").returncode == 0


# ---- taken away under a running pool -------------------------------------------------------------------


def test_lost_state_is_noticed_and_restored(github, key_pem):
    with a_site(github, key_pem) as site:
        repo = make_repo(site, "dispatch")
        site.deliver(opened(site, repo))
        site.wait_idle()
        backup = site.workspace.bin.parent / "server" / "backup"
        made = site.ctl("backup", str(backup))
        assert made.returncode == 0, made.stderr
        assert all(path.stat().st_mode & 0o77 == 0 for path in backup.rglob("*"))
        state = site.workspace.state
        shutil.rmtree(state / "db")
        shutil.rmtree(state / "alive")
        lost = opened(site, repo)
        assert_not_taken(post(site, lost))
        assert not (state / "db").exists(), "a new store would hide the loss"
        wait_until(lambda: "the state directory is gone or was emptied" in pool_log(site), 5, "said in the log")
        # As the pool sees it: its mark in alive/ is gone, too, so nobody stands in the way.
        done = site.ctl("restore", str(backup))
        assert done.returncode == 0, done.stderr
        wait_until(lambda: post(site, lost).status in (200, 202), 20, lambda: pool_log(site)[-3000:])
        assert "the state directory was replaced" in pool_log(site)
        site.wait_idle()
        assert site.ledger(repo, 1) and site.ledger(repo, 2)
        assert site.ctl("check").returncode == 0
        refused = site.ctl("restore", str(backup))
        assert refused.returncode == 1 and "stop the pool first" in refused.stderr


def test_directory_that_is_lost_before_the_start(github, key_pem):
    with a_site(github, key_pem) as site:
        site.server.stop()
        shutil.rmtree(site.workspace.state)
        done = site.ctl("check")
        assert done.returncode == 1 and f"{site.workspace.state} does not exist" in done.stdout
        assert "there is no store in" in site.ctl("dump").stderr
        if os.geteuid() == 0:  # as below /var/lib: no process can make it
            shutil.chown(site.workspace.dir, "root")
            restart(site)
            assert_not_taken(post(site, opened(site, make_repo(site, "dispatch"))))
            wait_until(lambda: f"cannot create {site.workspace.state}" in pool_log(site), 10, "said in the log")
            site.server.stop()
            give_away(site.workspace.dir)
        restart(site)
        assert post(site, opened(site, make_repo(site, "dispatch"))).status == 202
        assert "a new one was made; if prgate ran here before" in pool_log(site)


# ---- backup, dump and load ---------------------------------------------------------------------------------


def other_conf(site, name):
    """The same configuration with another state directory, which is there and empty."""
    state = site.workspace.dir / name
    state.mkdir()
    give_away(state)
    conf = site.workspace.dir / f"{name}.conf"
    conf.write_text(site.workspace.conf.read_text().replace(str(site.workspace.state), str(state)))
    conf.chmod(0o644)
    return conf


def test_backup_of_a_busy_pool_has_all_that_was_acknowledged(github, key_pem):
    with a_site(github, key_pem) as site:
        repo = make_repo(site, "label-only")
        deliveries = [opened(site, repo) for _ in range(DELIVERIES)]
        acknowledged, lock = set(), threading.Lock()

        def deliver(one):
            assert post(site, one).status == 202
            with lock:
                acknowledged.add(one["delivery"])

        backup = site.workspace.dir / "server" / "backup"
        with concurrent.futures.ThreadPoolExecutor(8) as threads:
            posts = [threads.submit(deliver, one) for one in deliveries]
            wait_until(lambda: len(acknowledged) > DELIVERIES // 4, 30, "a quarter is delivered")
            with lock:
                before = set(acknowledged)
            done = site.ctl("backup", str(backup))
            during = len(acknowledged) - len(before)
            for one in posts:
                one.result()
        assert done.returncode == 0, done.stderr
        print(f"{len(before)} acknowledged before the backup, {during} during it")
        conf = other_conf(site, "restored")
        restored = site.ctl("-c", str(conf), "restore", str(backup))
        assert restored.returncode == 0, restored.stderr
        assert before - ids_seen(dump(site, conf)) == set()
        checked = site.ctl("-c", str(conf), "check")
        assert checked.returncode == 0, checked.stdout
        # And the pool that was copied has lost nothing either.
        site.wait_idle()
        assert {one["delivery"] for one in deliveries} <= ids_seen(dump(site))


def pipe_in(site, conf, text):
    return subprocess.run([site.workspace.ctl, "-c", str(conf), "load"], input=text, capture_output=True, text=True, check=False,
                          timeout=30, env={**os.environ, **site.workspace.environment()}, **as_server_user())


def test_dump_is_loaded_and_dumped_again(github, key_pem):
    with a_site(github, key_pem) as site:
        repo = make_repo(site, "dispatch")
        site.deliver([opened(site, repo) for _ in range(3)])
        site.wait_idle()
        site.server.stop()
        text = site.ctl("dump").stdout
        conf = other_conf(site, "loaded")
        lines = text.splitlines(keepends=True)
        damaged = "".join([*lines[:4], lines[4].replace('"key":"0', '"key":"1'), *lines[5:]])
        refused = pipe_in(site, conf, damaged)
        assert refused.returncode == 1 and "line 5: " in refused.stderr
        done = pipe_in(site, conf, text)
        assert done.returncode == 0, done.stderr
        assert site.ctl("-c", str(conf), "dump").stdout == text
        again = pipe_in(site, conf, text)
        assert again.returncode == 1 and "has entries" in again.stderr


def aged(line):
    """The same line of a dump, a delivery's id that was seen more than a week ago."""
    key, value = bytes.fromhex(line["key"]), bytes.fromhex(line["value"])
    value = (int.from_bytes(value, "big") - OLD_MS).to_bytes(8, "big")
    digest = hashlib.sha256(f"seen/{len(key)}/".encode() + key + value).hexdigest()[:16]
    return {"table": "seen", "key": line["key"], "value": value.hex(), "sum": digest}


def test_the_pool_forgets_what_is_old(github, key_pem):
    with a_site(github, key_pem) as site:
        repo = make_repo(site, "dispatch")
        old, new = opened(site, repo), opened(site, repo)
        site.deliver([old, new])
        site.wait_idle()
        site.server.stop()
        lines = [aged(line) if line["table"] == "seen" and bytes.fromhex(line["key"])[16:].decode() == old["delivery"] else line
                 for line in dump(site)]
        shutil.rmtree(site.workspace.state / "db")
        text = "\n".join(json.dumps(line) for line in [{"prgate_dump": 1}, *lines, {"end": True, "entries": len(lines)}])
        done = pipe_in(site, site.workspace.conf, text + "\n")
        assert done.returncode == 0, done.stderr
        assert old["delivery"] in ids_seen(dump(site))
        restart(site)
        began = time.monotonic()
        wait_until(lambda: old["delivery"] not in ids_seen(dump(site)), RETAIN_S, "the old id is gone")
        print(f"forgotten after {time.monotonic() - began:.0f} s")
        assert new["delivery"] in ids_seen(dump(site))
        assert site.ledger(repo, 1), "what it told of stays"
