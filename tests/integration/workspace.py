"""A directory with all that one prgate needs: programs, configuration, secrets, state.

Servers that are started as root become another user, who must reach all of it. Hence a
directory of our own below the system's temporary one, and copies of the programs.
"""
import os
import pathlib
import pwd
import shutil
import tempfile

import points

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("PRGATE_BUILD", ROOT / "build"))
SERVER_USER = "www-data" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name

SECRET = "webhook secret of the tests"
OLD_SECRET = "the one before"
CI_SECRET = "secret of the project's own CI"
TOKEN = "ghp_ofTheTests"
TOKEN_USER = "gatekeeper"
APP_ID = 12345
APP_SLUG = "prgate-test"
INSTALLATION = 77
PINNED_LABEL_ID = 424242424242
ODD_LABEL = 'run "CI" 🚀/now'
CHECK_NAME = "Awaiting CICD label"

# One owner per policy; a test makes itself a repository of the owner whose policy it is about.
POLICIES = {
    "dispatch": 'trigger = "repository_dispatch"',
    "workflow": 'trigger = "workflow_dispatch"\n  workflow = "ci.yml"',
    "own-ci": 'trigger = "http"\n  http_url = "{api}/_ci/hook"\n  http_secret_file = "{dir}/ci.secret"\n'
              '  trigger_can_be_asked = true',
    "at-least-once": 'trigger = "http"\n  http_url = "{api}/_ci/hook"\n  http_secret_file = "{dir}/ci.secret"\n'
                     '  trigger_guarantee = "at_least_once"',
    "label-only": 'trigger = "none"',
    "pinned": f"label_id = {PINNED_LABEL_ID}",
    "odd-label": 'label = "{odd_label}"',
    "strict": 'approver_permission = "write"',
    "cancelling": 'cancel_on_push = true\n  cancel_on_close = true\n  trigger_can_be_asked = true',
    "cancelling-workflow": 'trigger = "workflow_dispatch"\n  workflow = "ci.yml"\n  trigger_can_be_asked = true\n'
                           '  cancel_on_push = true\n  cancel_on_close = true',
    "cancelling-unasked": 'cancel_on_push = true\n  cancel_on_close = true',
    "cancelling-label": 'trigger = "none"\n  cancel_on_push = true\n  cancel_on_close = true',
    "cancelling-ci": 'trigger = "http"\n  http_url = "{api}/_ci/hook"\n  http_secret_file = "{dir}/ci.secret"\n'
                     '  cancel_on_push = true\n  cancel_on_close = true',
    "releasing": "release_first_time_runs = true",
    "queue": 'merge_queue_trigger = true\n  trigger_can_be_asked = true\n  queue_label = "autosubmit"',
    "queue-ci": 'trigger = "http"\n  http_url = "{api}/_ci/hook"\n  http_secret_file = "{dir}/ci.secret"\n'
                '  merge_queue_trigger = true',
    "teams": 'trusted_permission = ""\n  trusted_teams = {{"teams/crew"}}\n'
             '  trusted_users = {{"dependabot[bot]", "roller"}}\n'
             '  trusted_bots = {{"rolling[bot]:2740", "heir[bot]:2741"}}',
    "emergency": 'emergency_label = "emergency"\n  emergency_check = "tree-status"',
    "policies": 'tests_needed_for = {{"lib/**", "bin/*.dart"}}\n  tests_are = {{"test/**"}}\n'
                '  tests_exempt = {{"lib/gen/**"}}\n  tests_message = "{{author}}: tests for #{{number}}, please."\n'
                '  base_wanted = "main"\n  base_wrong = {{"master"}}\n'
                '  release_branches = {{"release-*"}}\n  release_accounts = {{"roller"}}\n'
                '  close_release_heads = true\n  author_labels = {{"dependabot[bot]=dependencies", "ann=from: ann"}}\n'
                '  new_commit_comment = true',
    "no-conflict-comment": "conflict_comment = false",
}
# Tests set the label right after a push, unless they are about that.
SETTLING = {
    "settling": 'settle_seconds = 3600',
    "settling-briefly": 'settle_seconds = 2',
}
REPO_SECTION = 'repo "{owner}/*" {{\n  {policy}\n}}\n'

CONFIG = """\
state_dir = "{dir}/state"
webhook_secret_file = {{"{dir}/webhook.secret", "{dir}/webhook.old"}}
log_level = "debug"
{pace}
github {{
  api_url = "{api}"
  {credentials}
  request_timeout = {timeout}
}}
"""
# Nothing calls GitHub but what a delivery leads to, unless a test is about that.
QUIET = "redeliver_interval = 0\nreconcile_interval = 0\n"
CREDENTIALS = {
    "app": f'app_id = {APP_ID}\n  private_key_file = "{{dir}}/app.pem"',
    "token": 'token_file = "{dir}/token"',
    "none": "",  # goes with dry_run only
}


class Workspace:
    def __init__(self, api, credentials="app", key_pem=None, timeout=5, extra="", pace=QUIET, kill_at_points=False):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="prgate-test-"))
        self.api, self.credentials = api, credentials
        self.conf = self.dir / "prgate.conf"
        self.state = self.dir / "state"
        self.bin = self.dir / "bin"
        self.fcgi, self.ctl = self.bin / "prgate.fcgi", self.bin / "prgatectl"
        self._copy_programs()
        self.pool_environment = self._load_points() if kill_at_points else {}
        self._write_secrets(key_pem)
        self.state.mkdir()
        self.conf.write_text(self._config(credentials, timeout, pace) + extra)
        self._give_away()

    def _copy_programs(self):
        self.bin.mkdir()
        for program in (self.fcgi, self.ctl):
            shutil.copy(BUILD / program.name, program)

    def _load_points(self):
        """Has the pool die at the points of tests/preload/points.c, as points.Points tells it to."""
        library = self.bin / "points.so"
        shutil.copy(BUILD / "preload" / library.name, library)
        points.make_file(self.dir / "points")
        return {"LD_PRELOAD": str(library), "CRASH_POINTS": str(self.dir / "points")}

    def _write_secrets(self, key_pem):
        for name, text in {"webhook.secret": SECRET, "webhook.old": OLD_SECRET, "ci.secret": CI_SECRET,
                           "token": TOKEN, "app.pem": key_pem or ""}.items():
            (self.dir / name).write_text(text)

    def _config(self, credentials, timeout, pace):
        odd_label = ODD_LABEL.replace('"', '\\"')
        fill = {"dir": self.dir, "api": self.api, "odd_label": odd_label, "timeout": timeout,
                "pace": pace}
        text = CONFIG.format(credentials=CREDENTIALS[credentials].format(**fill), **fill)
        for owner, policy in POLICIES.items():
            text += REPO_SECTION.format(owner=owner, policy="settle_seconds = 0\n  " + policy.format(**fill))
        for owner, policy in SETTLING.items():
            text += REPO_SECTION.format(owner=owner, policy=policy)
        return text

    def _give_away(self):
        """All of it to the servers' user, secrets unreadable to the rest."""
        for path in (self.dir, *self.dir.rglob("*")):
            path.chmod(0o755 if path.is_dir() or path.parent == self.bin else 0o640)
            give_away(path)
        self.state.chmod(0o750)

    def environment(self):
        return {"PRGATE_CONF": str(self.conf), "LC_ALL": "C.UTF-8"}

    def remove(self):
        shutil.rmtree(self.dir, ignore_errors=True)


def give_away(path):
    if os.geteuid() == 0:
        shutil.chown(path, SERVER_USER, pwd.getpwnam(SERVER_USER).pw_gid)


def as_server_user():
    """For subprocess: the arguments that make a child run as the servers' user."""
    if os.geteuid() != 0:
        return {}
    entry = pwd.getpwnam(SERVER_USER)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
