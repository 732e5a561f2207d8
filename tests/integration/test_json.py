"""--json of every command that `prgatectl --help` lists: what is printed is JSON, errors too, and each exit status is one
that the help names. A command that is missing here fails the test."""
import json
import os
import pathlib
import re
import subprocess

import pytest
from test_operator import BUILD, COMMANDS, help_text, offline, on_a_terminal, started  # noqa: F401
from workspace import ROOT, as_server_user, give_away

on_site = pytest.mark.parametrize("running_site", ["cgi-app"], indirect=True)

# {command: [(arguments, exit status), ...]}; with OTHER and NOTHING for state directories of their own, without a store at first
GOOD = {
    "status": [([], 0), (["REPO"], 0), (["REPO#1"], 0)],
    "explain": [(["REPO#1"], 0)],
    "check": [(["configuration"], 0), ([], 0)],
    "drain": [([], 0)],
    "approve": [(["REPO#1"], 0)],
    "retrigger": [(["REPO#1"], 0)],
    "dead": [(["list"], 0), (["retry", "all"], 0)],
    "simulate": [(["pull_request", "PAYLOAD"], 0), (["star", "PAYLOAD"], 0)],
    "replay": [(["OTHER", str(ROOT / "tests/replay/approved_then_closed"), "1"], 0)],
    "backup": [(["COPY"], 0)],
    "restore": [(["OTHER", "COPY"], 0)],
    "recover": [([], 0)],
    "dump": [([], 0)],
    "load": [],
    "setup": [],
    "tail": [],
    "app-manifest": [(["https://gate.example"], 0)],
    "json": [(["REPO#1"], 0)],
}
BAD = {
    "status": [(["no/body"], 66), (["nobody"], 64)],
    "explain": [(["no/body#1"], 66), ([], 64)],
    "check": [(["nonsense"], 64)],
    "drain": [(["more"], 64)],
    "approve": [(["no/body#1"], 66), (["REPO#1", "main"], 64), (["REPO#1", "0123456"], 1)],
    "retrigger": [(["no/body#1"], 66)],
    "dead": [(["list", "no/body#1"], 66), (["bury", "all"], 64), (["drop", "REPO#1", "77"], 66)],
    "simulate": [(["pull_request", "/nowhere"], 1)],
    "replay": [(["/nowhere"], 1), (["/nowhere", "x"], 64)],
    "backup": [(["COPY"], 1)],
    "restore": [(["COPY"], 1)],
    "recover": [(["NOTHING"], 1)],
    "dump": [(["NOTHING"], 1)],
    "load": [(["NOTHING"], 1)],
    "setup": [([], 78)],
    "tail": [(["nobody"], 64)],
    "app-manifest": [(["ftp://a"], 64)],
    "json": [(["no/body#1"], 66)],
}


@pytest.fixture(name="run")
def run_(gate, tmp_path_factory):
    """run(command, arguments): the exit status, and what stdout had."""
    workspace = gate.site.workspace
    place = pathlib.Path(tmp_path_factory.mktemp("json"))
    place.chmod(0o755)
    for above in place.parents[:2]:
        above.chmod(0o755)
    opened, = gate.happen("open", author="bob")
    gate.deliver(opened)
    gate.settled()
    payload, other, home = workspace.dir / "json.payload", workspace.dir / "other.conf", workspace.dir / "copies"
    payload.write_text(opened["payload"])
    other.write_text(workspace.conf.read_text().replace(f'"{workspace.state}"', f'"{workspace.dir}/other"') + 'repo "octo/*" {\n}\n')
    home.mkdir(exist_ok=True)
    nothing = workspace.dir / "nothing.conf"
    nothing.write_text(workspace.conf.read_text().replace(f'"{workspace.state}"', f'"{workspace.dir}/nothing"'))
    for one in (payload, other, nothing, home):
        give_away(one)
    copy = home / f"{place.name}"
    words = {"REPO": gate.repo, "REPO#1": f"{gate.repo}#1", "PAYLOAD": str(payload), "COPY": str(copy)}

    def run(command, arguments, conf=None):
        own = {"OTHER": other, "NOTHING": nothing}
        conf = conf or next((own[one] for one in arguments if one in own), workspace.conf)
        line = [workspace.ctl, "-c", conf, command, *[words.get(one, one) for one in arguments if one not in own], "--json"]
        done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL,
                              env={**os.environ, **workspace.environment()}, **as_server_user())
        return done.returncode, done.stdout, done.stderr
    run.workspace, run.other, run.copy = workspace, other, copy
    yield run
    subprocess.run(["rm", "-rf", home, workspace.dir / "other", workspace.dir / "nothing"], check=True)


def statuses():
    return {int(one) for one in re.findall(r"(\d+) [a-z]", help_text().split("Exit status:")[1])}


@on_site
def test_every_command_speaks_json(run):
    commands = COMMANDS.findall(help_text())
    assert set(commands) == set(GOOD) == set(BAD)
    for command in commands:
        for arguments, status in GOOD[command]:
            got, out, complaints = run(command, arguments)
            assert got == status, (command, arguments, complaints)
            for value in out.splitlines() if command == "dump" else [out]:
                assert isinstance(json.loads(value), dict), (command, value)
                assert "error" not in json.loads(value)
        for arguments, status in BAD[command]:
            got, out, complaints = run(command, arguments)
            assert got == status, (command, arguments, out, complaints)
            told = json.loads(out)
            assert told["status"] == status in statuses() and told["error"], (command, told)


@on_site
def test_what_cannot_be_configured_is_told_so_by_every_command(run):
    for command in COMMANDS.findall(help_text()):
        arguments = (GOOD[command] or BAD[command])[0][0]
        if command == "app-manifest":
            arguments = []  # with a URL it needs none
        if command == "tail":
            arguments = []
        got, out, complaints = run(command, [one for one in arguments if one not in ("OTHER", "NOTHING")], conf="/nowhere/prgate.conf")
        assert (got, json.loads(out)["status"]) == (78, 78), (command, out)
        assert "/nowhere/prgate.conf" in json.loads(out)["error"] and "/nowhere/prgate.conf" in complaints


@on_site
def test_a_load_tells_of_itself(run):
    _, dump, _ = run("dump", [])
    line = [run.workspace.ctl, "-c", run.other, "load", "--json"]
    how = {"capture_output": True, "text": True, "timeout": 60, "check": False, **as_server_user()}
    damaged = subprocess.run(line, input=dump[:-40], **how)
    assert damaged.returncode == 1 and "nothing was loaded" in json.loads(damaged.stdout)["error"]
    loaded = subprocess.run(line, input=dump, **how)
    assert loaded.returncode == 0 and json.loads(loaded.stdout)["done"] == "load", loaded.stderr


@on_site
def test_dead_letters_that_cannot_be_changed_are_in_its_value(gate):
    gate.sim.fault(route="POST */dispatches", status=422, count=-1)
    gate.do("open", author="ann")
    gate.do("close")
    gate.sim.clear_faults()
    done = gate.site.ctl("dead", "retry", f"{gate.repo}#1", "--json")
    told = json.loads(done.stdout)
    assert done.returncode == 1 and (told["count"], told["refused"]) == (0, 1)
    assert "closed: drop it" in told["refusals"][0]["error"]


@on_site
def test_a_tail_ends_with_json_only(gate):
    tail = started(gate.site, "--json")
    gate.do("open", author="bob")
    tail.wait_for(lambda lines: any("check_awaiting" in line for line in lines))
    assert tail.end() == 0
    assert all(isinstance(json.loads(line), dict) for line in tail.lines)


def test_long_work_shows_how_far_it_has_got(offline, tmp_path):  # noqa: F811
    ctl, _, conf = offline
    other = tmp_path / "other.conf"
    other.write_text(conf.read_text().replace("/state", "/other"))
    subprocess.run([*offline, "check"], capture_output=True, check=True)
    assert "\rbackup: [" in on_a_terminal([*offline, "backup", tmp_path / "copy"])
    assert "\rrestore: [" in on_a_terminal([ctl, "-c", other, "restore", tmp_path / "copy"])
    assert "\rrecover: " in on_a_terminal([*offline, "recover"])
    dump = subprocess.run([*offline, "dump"], capture_output=True, text=True, check=True).stdout
    (tmp_path / "dump").write_text(dump)
    third = tmp_path / "third.conf"
    third.write_text(conf.read_text().replace("/state", "/third"))
    shell = f"exec {BUILD}/prgatectl -c {third} load <{tmp_path}/dump"
    assert "\rload: [" in on_a_terminal(["sh", "-c", shell])
    for words in (["recover"], ["dump"]):  # no terminal: nothing of it
        assert "\r" not in subprocess.run([*offline, *words], capture_output=True, text=True, check=True).stderr
