"""prgatectl replay: recorded lives of pull requests, delivered in every order, twice, late and lost."""
import json
import math
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

import pytest
from workspace import BUILD

RECORDED = pathlib.Path(__file__).resolve().parent.parent / "replay"
SEED = 7

# What the rules make of each: (state, what CI was started for the last head and the label is on, left open)
ENDS = {
    "trusted_opens_and_pushes": ("triggered", True, False),
    "trusted_without_gate": ("triggered", True, False),
    "trusted_opens_with_label": ("triggered", True, False),
    "untrusted_labelled_again": ("triggered", True, False),
    "untrusted_waits": ("awaiting", False, False),
    "draft_to_ready": ("triggered", True, False),
    "back_to_draft": ("awaiting", None, True),
    "closed_and_reopened": ("triggered", True, False),
    "closed_for_good": ("closed", None, False),
    "trusted_unlabelled": ("triggered", True, True),
    "unlabelled": ("awaiting", False, False),
    "label_for_an_old_head": ("triggered", True, False),
    "old_label_only": ("awaiting", False, False),
    "two_people_in_one_second": ("triggered", True, False),
    "two_people_disagree": ("awaiting", False, True),
    "all_in_one_second": ("triggered", True, False),
    "conflict_then_mergeable": ("triggered", True, False),
    "conflict_of_an_approved_one": ("triggered", True, False),
    "approved_then_closed": ("triggered", True, False),
    "label_on_a_draft": ("triggered", True, False),
    "stranger_pushes": ("awaiting", False, False),
    "stranger_pushes_then_approved": ("triggered", True, False),
    "stranger_pushes_to_a_draft": ("awaiting", False, False),
    "colleague_pushes": ("triggered", True, False),
    "colleague_pushes_on_a_stranger": ("triggered", True, True),
    "colleague_pushes_to_an_untrusted": ("awaiting", False, False),
    "label_too_soon": ("awaiting", False, False),
    "label_too_soon_then_again": ("triggered", True, False),
    "refused_then_approved": ("triggered", True, False),
    "approved_by_comment": ("triggered", True, False),
    "approved_by_comment_then_pushed": ("awaiting", False, False),
    "approved_by_comment_then_closed": ("triggered", True, True),
    "approved_by_button": ("triggered", True, False),
    "rerun_and_cancelled": ("triggered", True, False),
    "a_long_life": ("triggered", True, False),
    "a_long_trusted_life": ("triggered", True, False),
}
SETTLING = {"label_too_soon", "label_too_soon_then_again"}
EXHAUSTIVE, VARIANTS, LONG_RUN = 6, 4, 4 * 400 + 2 * 800


class Desk:
    """A configuration, and copies of recordings to play with."""

    def __init__(self, place):
        self.place = place
        self.state = place / "state"
        self.conf = place / "prgate.conf"
        for name, text in {"secret": "hush", "token": "ghp_token"}.items():
            self.write(name, text)
        self.configure()

    def write(self, name, text):
        path = self.place / name
        path.write_text(text)
        path.chmod(0o600)
        return path

    def configure(self, credentials="token_file = \"{dir}/token\"", policy="", dry_run=False, settle=0):
        github = credentials.format(dir=self.place)
        self.conf.write_text(
            f'state_dir = "{self.state}"\nwebhook_secret_file = "{self.place}/secret"\n'
            f'dry_run = {str(dry_run).lower()}\ngithub {{ api_url = "http://127.0.0.1:1" {github} }}\n'
            f'repo "octo/repo" {{ settle_seconds = {settle} {policy} }}\n')

    def copy(self, name):
        return pathlib.Path(shutil.copytree(RECORDED / name, self.place / name))

    def command(self, directory, *seed):
        return [BUILD / "prgatectl", "-c", self.conf, "replay", directory, *map(str, seed)]

    def replay(self, directory, *seed):
        done = subprocess.run(self.command(directory, *(seed or (SEED,))), capture_output=True, text=True, timeout=900)
        assert done.returncode in (0, 1, 64), done
        return done


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


def events_in(directory):
    """Those that have a rule, and are not passed over."""
    payloads = [body_of(path) for path in sorted(directory.glob("[0-9]*.json"))]
    return [body for body in payloads if body["action"] != "assigned" and
            not body.get("comment", {}).get("body", "").startswith(("/ci rerun", "/ci cancel"))]


def body_of(path):
    whole = json.loads(path.read_text())
    return whole["payload"] if "payload" in whole else whole["request"]["payload"]


def change(path, **changes):
    whole = json.loads(path.read_text())
    path.write_text(json.dumps({**whole, **changes}))


def change_pull(path, number=None, **changes):
    whole = json.loads(path.read_text())
    whole["payload"]["pull_request"].update(changes)
    if number:
        whole["payload"]["number"] = whole["payload"]["pull_request"]["number"] = number
        whole["delivery"] = f"{number}-{whole['delivery']}"
    path.write_text(json.dumps(whole))


def state_in(output):
    return dict(re.findall(r"^  ([a-z]+|commit [0-9a-f]{12}): (.*)$", output.rpartition("one final state:")[2], re.M))


def double_factorial(n):
    return math.prod(range(1, 2 * n, 2))


def test_every_recording_has_its_end_here():
    assert {path.name for path in RECORDED.iterdir() if path.is_dir() and path.name != "__pycache__"} == set(ENDS)
    assert max(len(events_in(RECORDED / name)) for name in ENDS) > EXHAUSTIVE


@pytest.mark.parametrize("name", ENDS)
def test_every_order_ends_the_same(desk, name):
    state, started, left_open = ENDS[name]
    desk.configure(settle=10 if name in SETTLING else 0)
    done = desk.replay(RECORDED / name)
    assert done.returncode == 0, done.stdout + done.stderr
    count = len(events_in(RECORDED / name))
    assert done.stdout.count("one final state") == 1
    schedules = math.factorial(count) * VARIANTS + 2 * double_factorial(count) if count <= EXHAUSTIVE else LONG_RUN
    assert f"\n{schedules} schedules in " in done.stdout
    assert ("every order" in done.stdout) == (count <= EXHAUSTIVE)
    end = state_in(done.stdout)
    head = [body for body in events_in(RECORDED / name) if "pull_request" in body][-1]["pull_request"]["head"]["sha"][:12]
    assert (end["state"], end["head"]) == (state, head)
    if started is not None:
        assert ("started 1 times" in end[f"commit {head}"], end["label"]) == (started, "on" if started else "off")
        assert ('check "done"' in end[f"commit {head}"]) == started
    assert ("left open by the rules" in done.stdout) == left_open


def test_a_conflict_is_commented_on_once(desk):
    place = desk.copy("conflict_of_an_approved_one")
    change_pull(place / "03-edited.json", mergeable=False)
    done = desk.replay(place)
    assert done.returncode == 0, done.stdout
    assert state_in(done.stdout)["comments"] == "1"
    assert state_in(done.stdout)["state"] == "conflict"


def test_what_depends_on_the_order_is_passed_over_and_named(desk):
    text = desk.replay(RECORDED / "rerun_and_cancelled").stdout
    assert "passed over 03-created.json: a re-run counts only where CI was started before" in text
    assert "passed over 04-created.json: a cancelling finds only what was started before" in text


def test_a_comment_approves_only_for_whom_it_may(desk):
    place = desk.copy("approved_by_comment")
    (place / "people.json").write_text(json.dumps({"bob": "read", "tim": "read"}))
    done = desk.replay(place)
    assert done.returncode == 0, done.stdout
    assert (state_in(done.stdout)["state"], state_in(done.stdout)["comments"]) == ("awaiting", "3")
    (place / "people.json").unlink()  # then whoever approves is taken for somebody who may, as with the label
    assert state_in(desk.replay(place).stdout)["state"] == "triggered"


# What it leaves alone

def test_the_state_directory_stays_as_it_is(desk):
    assert desk.replay(RECORDED / "old_label_only").returncode == 0
    assert not desk.state.exists()


def stores_of(process):
    """Where a replay keeps its store now, by the files that it has open."""
    stores = set()
    for fd in pathlib.Path(f"/proc/{process.pid}/fd").glob("*"):
        try:
            found = re.match(r".*/prgate-replay\.\w+", os.readlink(fd))
        except OSError:
            continue
        if found:
            stores.add(pathlib.Path(found.group()))
    return stores


def store_of(process):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for store in stores_of(process):
            return store
        time.sleep(0.01)
    raise AssertionError("no store was opened")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda one: one.name)
def test_the_temporary_store_is_removed_on_a_signal(desk, number):
    with subprocess.Popen(desk.command(RECORDED / "a_long_life", SEED), stdout=subprocess.PIPE, text=True) as process:
        store = store_of(process)
        assert store.is_dir()
        process.send_signal(number)
        output, _ = process.communicate(timeout=280)
    assert process.returncode == -number
    assert "interrupted after" in output
    assert not store.exists()


def test_the_temporary_stores_are_removed_at_the_end(desk):
    """Of 2,370 schedules the last 370 have a store of their own, as a small /dev/shm needs it."""
    stores = set()
    with subprocess.Popen(desk.command(RECORDED / "label_for_an_old_head", SEED), stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            stores |= stores_of(process)
            time.sleep(0.005)
    assert process.returncode == 0
    assert len(stores) == 2
    assert not any(store.exists() for store in stores)


@pytest.fixture
def nobody():
    """A command line's beginning that runs the rest as somebody who may not write to /dev/shm, and a place for them."""
    if os.geteuid() != 0:
        pytest.skip("only root can take another identity")
    place = pathlib.Path(tempfile.mkdtemp(prefix="prgate-test-"))
    yield place, ["unshare", "--mount", "sh", "-c",
                  'mount -t tmpfs -o mode=0755 none /dev/shm && '
                  'exec setpriv --reuid 65534 --regid 65534 --clear-groups "$@"', "sh"]
    shutil.rmtree(place)


def test_tmpdir_is_for_the_store_where_dev_shm_is_not(nobody):
    place, as_nobody = nobody
    if subprocess.run([*as_nobody, "true"], capture_output=True).returncode:
        pytest.skip("no mount namespaces here")
    desk = Desk(place)
    home, recording = place / "tmp", desk.copy("old_label_only")
    home.mkdir()
    program = shutil.copy(BUILD / "prgatectl", place)
    for path in (place, *place.rglob("*")):
        os.chown(path, 65534, 65534)
    command = [*as_nobody, program, *desk.command(recording, SEED)[1:]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, env={"TMPDIR": str(home)})
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(home.iterdir()) == []
    home.chmod(0o555)
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, env={"TMPDIR": str(home)})
    assert done.returncode == 1
    assert f"cannot create {home}/prgate-replay.XXXXXX" in done.stderr


# Repeating it

def test_a_seed_gives_the_same_run_again(desk):
    def told(output):
        return re.sub(r" in [0-9.]+ s,", "", output)
    place = RECORDED / "old_label_only"
    assert told(desk.replay(place, 5).stdout) == told(desk.replay(place, 5).stdout)
    rolled = subprocess.run(desk.command(place), capture_output=True, text=True, timeout=280)
    seed = re.search(r", seed ([0-9]+)$", rolled.stdout, re.M).group(1)
    assert told(desk.replay(place, seed).stdout) == told(rolled.stdout)


def test_two_ends_are_told_apart_field_by_field(desk):
    """Nobody tells the gate that the label is gone: heard of in time the push waits, heard of late it runs."""
    place = desk.copy("trusted_unlabelled")
    (place / "03-unlabeled.json").unlink()
    done = desk.replay(place)
    assert done.returncode == 1
    assert "a gap before 04-synchronize.json: the gate label has changed" in done.stdout
    assert "DIFFERENT FINAL STATES" in done.stdout
    assert re.search(r"^  - label: on$", done.stdout, re.M) and re.search(r"^  \+ label: off$", done.stdout, re.M)
    assert re.search(r"^schedule 1:$", done.stdout, re.M)
    assert len(re.findall(r"^schedule [0-9]+:$", done.stdout, re.M)) == 2
    assert re.search(r"^    \+0\.001 01-opened\.json$", done.stdout, re.M)
    assert "01-opened.json: trigger " in done.stdout
    assert f"to repeat it: prgatectl replay {place} {SEED}" in done.stdout
    assert desk.replay(place).stdout == done.stdout


# Who may do what

def test_people_json_has_the_last_word(desk):
    place = desk.copy("trusted_without_gate")
    for path in place.glob("[0-9]*.json"):
        change_pull(path, author_association="OWNER")
    (place / "people.json").write_text(json.dumps({"ann": "read", "octo-gate[bot]": "self"}))
    done = desk.replay(place)
    assert done.returncode == 0, done.stdout
    assert "author ann: not trusted" in done.stdout
    assert state_in(done.stdout)["state"] == "awaiting"


def test_people_are_guessed_from_the_recording(desk):
    place = desk.copy("untrusted_waits")
    (place / "people.json").unlink()
    assert state_in(desk.replay(place).stdout)["state"] == "awaiting"
    for path in place.glob("*.json"):
        change_pull(path, author_association="MEMBER")
    done = desk.replay(place)
    assert "author bob: trusted" in done.stdout
    assert state_in(done.stdout)["state"] == "triggered"


def test_who_sets_the_label_is_taken_to_have_triage(desk):
    place = desk.copy("label_for_an_old_head")
    (place / "people.json").unlink()
    done = desk.replay(place)
    assert "prgate itself: octo-gate[bot]" in done.stdout
    assert state_in(done.stdout)["state"] == "triggered"
    desk.configure(policy='approver_permission = "write"')
    assert state_in(desk.replay(place).stdout)["state"] == "awaiting"


def test_a_team_is_asked_about(desk):
    place = desk.copy("untrusted_waits")
    desk.configure(policy='trusted_teams = {"octo/core"} trusted_permission = ""')
    assert state_in(desk.replay(place).stdout)["state"] == "awaiting"
    (place / "people.json").write_text(json.dumps({"bob": ["read", "octo/core"]}))
    assert state_in(desk.replay(place).stdout)["state"] == "triggered"


def test_the_gate_is_named_where_two_bots_set_the_label(desk):
    place = desk.copy("closed_for_good")
    (place / "people.json").unlink()
    whole = json.loads((place / "02-labeled.json").read_text())
    whole["payload"]["sender"] = {"login": "other[bot]", "id": 99, "type": "Bot"}
    (place / "02-labeled.json").write_text(json.dumps(whole))
    done = desk.replay(place)
    assert done.returncode == 1
    assert 'both other[bot] and octo-gate[bot] set or remove the gate label' in done.stderr


# With every kind of configuration

APP = 'app_id = 7 private_key_file = "{dir}/app.pem"'


@pytest.mark.parametrize("credentials, policy, dry_run", [
    (APP, "", False), (APP, 'trigger = "workflow_dispatch" workflow = "ci.yml"', False),
    ('token_file = "{dir}/token"', 'trigger = "http" http_url = "https://ci.example/hook"', False),
    ('token_file = "{dir}/token"', "label_id = 77", False), ("", "", True)],
    ids=["app", "workflow", "http", "pinned", "dry-run"])
def test_with_other_configurations(desk, key_pem, credentials, policy, dry_run):
    desk.write("app.pem", key_pem)
    desk.configure(credentials, policy, dry_run)
    place = desk.copy("two_people_in_one_second")
    if "label_id" in policy:
        for path in place.glob("[0-9]*.json"):
            path.write_text(re.sub(r'"id": \d+, "name": "CICD"', '"id": 77, "name": "CICD"', path.read_text()))
    done = desk.replay(place)
    assert done.returncode == 0, done.stdout + done.stderr
    assert state_in(done.stdout)["state"] == "triggered"


def test_policies_beside_the_gate_are_left_out(desk):
    desk.configure(policy='tests_needed_for = {"**"} tests_are = {"test/**"} base_wanted = "other" base_wrong = {"m*"} '
                          'author_labels = {"ann=x", "bob=y"} release_branches = {"*"} release_accounts = {"ann", "bob"} '
                          'new_commit_comment = true emergency_label = "e" emergency_check = "g"')
    done = desk.replay(RECORDED / "two_people_in_one_second")
    assert done.returncode == 0, done.stdout + done.stderr
    assert state_in(done.stdout)["state"] == "triggered"


def test_the_label_alone_starts_ci(desk):
    desk.configure(policy='trigger = "none"')
    done = desk.replay(RECORDED / "two_people_in_one_second")
    assert done.returncode == 0, done.stdout + done.stderr
    end = state_in(done.stdout)
    assert (end["state"], end["label"]) == ("triggered", "on")


# Several, and what is not a recording

def test_a_payload_may_be_text(desk):
    """As GitHub's API shows it for a hook that sends forms."""
    place = desk.copy("old_label_only")
    expected = state_in(desk.replay(place).stdout)
    for path in place.glob("[0-9]*.json"):
        change(path, payload=json.dumps(body_of(path)))
    assert state_in(desk.replay(place).stdout) == expected != {}


def test_each_pull_request_is_replayed_by_itself(desk):
    place = desk.copy("two_people_in_one_second")
    for path in list(place.glob("[0-9]*.json")):
        other = place / f"9{path.name}"
        shutil.copy(path, other)
        change_pull(other, number=2)
    done = desk.replay(place)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("one final state") == 2
    assert "octo/repo#1, 4 events" in done.stdout and "octo/repo#2, 4 events" in done.stdout


def spoil_json(place):
    (place / "02-labeled.json").write_text('{"event": "pull_request",')
    return "02-labeled.json: no JSON, or cut off, at byte 25"


def spoil_list(place):
    (place / "02-labeled.json").write_text("[]")
    return "02-labeled.json: not a JSON object"


def spoil_event(place):
    change(place / "02-labeled.json", event="push")
    return "02-labeled.json: is a push event; a replay takes pull_request, issue_comment and check_run events"


def spoil_beginning(place):
    shutil.copy(RECORDED / "approved_by_comment" / "03-created.json", place / "00-created.json")
    return "00-created.json: how its pull request looked is not known: no pull_request event before it"


def spoil_comments_time(place):
    shutil.copy(RECORDED / "approved_by_comment" / "03-created.json", place / "99-created.json")
    return "99-created.json: its issue.updated_at is before that of 04-unlabeled.json"


def spoil_form(place):
    (place / "02-labeled.json").write_text('{"action": "labeled"}')
    return '02-labeled.json: no "event" and no request.headers.X-GitHub-Event'


def spoil_delivery(place):
    change(place / "02-labeled.json", delivery="not an id")
    return '02-labeled.json: no valid "delivery" or "guid"'


def spoil_payload(place):
    change(place / "02-labeled.json", payload=7)
    return '02-labeled.json: no "payload"'


def spoil_sha(place):
    whole = json.loads((place / "02-labeled.json").read_text())
    whole["payload"]["pull_request"]["head"]["sha"] = "zz"
    (place / "02-labeled.json").write_text(json.dumps(whole))
    return "02-labeled.json: pull_request.head.sha: not 40 or 64 hex digits"


def spoil_repository(place):
    whole = json.loads((place / "02-labeled.json").read_text())
    whole["payload"]["repository"]["full_name"] = "octo/other"
    (place / "02-labeled.json").write_text(json.dumps(whole))
    return "02-labeled.json: repository octo/other is not configured"


def spoil_order(place):
    (place / "02-labeled.json").rename(place / "99-labeled.json")
    change_pull(place / "99-labeled.json", updated_at="2023-01-01T00:00:00Z")
    return "99-labeled.json: its pull_request.updated_at is before that of 04-unlabeled.json"


def spoil_twice(place):
    shutil.copy(place / "02-labeled.json", place / "02-labeled-again.json")
    return "02-labeled.json: the same delivery as 02-labeled-again.json"


def spoil_people(place):
    (place / "people.json").write_text('{"ann": "king"}')
    return 'people.json: "king" of ann is no permission'


def spoil_people_list(place):
    (place / "people.json").write_text('{"ann": 7}')
    return "people.json: ann has neither a string nor a list of strings"


def spoil_two_gates(place):
    (place / "people.json").write_text('{"ann": "self", "bob": "self"}')
    return 'people.json: both ann and bob are "self"'


def spoil_file(place):
    (place / "02-labeled.json").unlink()
    (place / "02-labeled.json").mkdir()
    return "02-labeled.json: not a regular file"


def spoil_link(place):
    (place / "02-labeled.json").unlink()
    (place / "02-labeled.json").symlink_to("nowhere")
    return "02-labeled.json: cannot be opened: No such file or directory"


def spoil_all(place):
    for path in place.glob("[0-9]*.json"):
        path.unlink()
    return "no file *.json in it holds a delivery to replay"


@pytest.mark.parametrize("spoil", [one for name, one in list(globals().items()) if name.startswith("spoil_")],
                         ids=lambda one: one.__name__.removeprefix("spoil_"))
def test_what_is_wrong_with_a_file_is_said(desk, spoil):
    place = desk.copy("old_label_only")
    message = spoil(place)
    done = desk.replay(place)
    assert done.returncode == 1
    assert message in done.stderr
    assert done.stdout == ""


def test_a_directory_that_is_not_there(desk):
    done = desk.replay(desk.place / "nowhere")
    assert (done.returncode, done.stdout) == (1, "")
    assert "nowhere: cannot be read: No such file or directory" in done.stderr


def test_an_app_is_a_bot(desk, key_pem):
    desk.write("app.pem", key_pem)
    desk.configure(APP)
    place = desk.copy("old_label_only")
    (place / "people.json").write_text('{"ann": "self"}')
    done = desk.replay(place)
    assert done.returncode == 1
    assert '"self" is ann, but the configuration has an App' in done.stderr


@pytest.mark.parametrize("seed", ["x", "-1", "1000000000"])
def test_a_seed_is_a_number(desk, seed):
    done = desk.replay(RECORDED / "old_label_only", seed)
    assert done.returncode == 64
    assert ("invalid option" if seed.startswith("-") else "is not a seed") in done.stderr
