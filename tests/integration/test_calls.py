"""How many calls to GitHub a pull request costs, from its opening to its end.

`make count-calls` prints the tables that docs/performance.md tells of. The counts are exact: prgate is idle between
deeds, its own echoes are delivered, and no two deeds happen within a second, where GitHub's times tell nothing apart.
"""
import collections
import re
import time

import pytest
from conftest import end
from gate import Gate
from servers import Nginx

MERGED = ("close", {"merged": True})
LIVES = {
    "trusted": [("open", {"author": "ann"}), ("push", {}), MERGED],
    "untrusted": [("open", {"author": "bob"}), ("label", {"label": "CICD", "by": "tim"}), ("push", {}),
                  ("label", {"label": "CICD", "by": "tim"}), MERGED],
    "untrusted, never approved": [("open", {"author": "bob"}), ("close", {})],
    "draft, then ready": [("open", {"author": "ann", "draft": True}), ("ready", {}), MERGED],
}
PATTERNS = [(r"^/repos/[^/]+/[^/]+", "/repos/{repo}"), (r"/(pulls|issues)/\d+", r"/\1/{n}"), (r"[0-9a-f]{40}", "{sha}"),
            (r"/check-runs/\d+", "/check-runs/{id}"), (r"/collaborators/[^/]+/", "/collaborators/{login}/"),
            (r"/installations/\d+/", "/installations/{id}/")]


def kind(call):
    path = call["path"].partition("?")[0]
    for pattern, name in PATTERNS:
        path = re.sub(pattern, name, path)
    return f"{call['method']} {path}"


def next_second():
    time.sleep(1.02 - time.time() % 1)


class Life:
    """One pull request of that kind; the second in the same repository finds what prgate has learnt by then."""

    def __init__(self, gate, number, deeds):
        self.gate, self.number, self.deeds = gate, number, list(deeds)
        self.calls = []  # their kinds, in order, per deed

    def step(self):
        deed, arguments = self.deeds.pop(0)
        if deed != "open":
            arguments = {"number": self.number, **arguments}
        before = len(self.gate.sim.calls())
        self.gate.do(deed, **arguments)
        self.calls.append([kind(call) for call in self.gate.sim.calls(since=before)])

    @property
    def counts(self):
        return collections.Counter(one for calls in self.calls for one in calls)


@pytest.fixture(scope="module")
def lives(make_site, github):
    """(credentials, name) -> its first and its second life. All live side by side, each at a site of its own."""
    github.forget()
    sites = {(credentials, name): make_site(Nginx, github, credentials=credentials)
             for credentials in ("app", "token") for name in LIVES}
    gates = {key: Gate(site) for key, site in sites.items()}
    lived = {key: [] for key in sites}
    for number in (1, 2):
        for key in sites:
            lived[key].append(Life(gates[key], number, LIVES[key[1]]))
        while any(one[-1].deeds for one in lived.values()):
            next_second()
            for one in lived.values():
                if one[-1].deeds:
                    one[-1].step()
    assert github.violations() == []
    yield lived
    for site in sites.values():
        end(site)


def table(credentials, lives):
    columns = [(name, when, life.counts) for (whose, name), both in lives.items() if whose == credentials
               for when, life in zip(("first", "later"), both)]
    kinds = sorted({one for _, _, counts in columns for one in counts})
    lines = [f"With {'an App' if credentials == 'app' else 'a token'}:", "",
             "| call | " + " | ".join(f"{name}: {when}" for name, when, _ in columns) + " |",
             "| --- |" + " --- |" * len(columns)]
    lines += [f"| `{one}` | " + " | ".join(str(counts[one] or "") for _, _, counts in columns) + " |" for one in kinds]
    lines.append("| **all** | " + " | ".join(f"**{counts.total()}**" for _, _, counts in columns) + " |")
    return "\n".join(lines)


READ, START = "GET /repos/{repo}/pulls/{n}", "POST /repos/{repo}/dispatches"
LABEL, UNLABEL = "POST /repos/{repo}/issues/{n}/labels", "DELETE /repos/{repo}/issues/{n}/labels/CICD"
PERMISSION, MINT = "GET /repos/{repo}/collaborators/{login}/permission", "POST /app/installations/{id}/access_tokens"
CHECK = {"app": {"look": "GET /repos/{repo}/commits/{sha}/check-runs", "new": "POST /repos/{repo}/check-runs",
                 "change": "PATCH /repos/{repo}/check-runs/{id}"},
         "token": {"look": "GET /repos/{repo}/commits/{sha}/statuses", "new": "POST /repos/{repo}/statuses/{sha}",
                   "change": "POST /repos/{repo}/statuses/{sha}"}}

# In order: what starts CI comes right behind the read.
EXPECTED = {
    "trusted": [[READ, START, LABEL, "new"], [READ, START, "new"], []],
    "untrusted": [[READ, "look", "new"], [READ, START, "change"], [READ, UNLABEL, "look", "new"],
                  [READ, START, "change"], []],
    "untrusted, never approved": [[READ, "look", "new"], []],
    "draft, then ready": [[READ, "look", "new"], [READ, START, LABEL, "change"], []],
}
# What is learnt once: who is asked about, and, where somebody sets the label, who prgate is itself.
LEARNT = {"trusted": [PERMISSION], "untrusted": [PERMISSION, PERMISSION, "whoami"],
          "untrusted, never approved": [PERMISSION], "draft, then ready": [PERMISSION]}


@pytest.mark.parametrize("credentials", ["app", "token"])
def test_calls_of_a_life(lives, credentials):
    print("\n" + table(credentials, lives) + "\n")
    for name, deeds in EXPECTED.items():
        cold, warm = lives[credentials, name]
        wanted = [[CHECK[credentials].get(one, one) for one in calls] for calls in deeds]
        assert warm.calls == wanted, name
        learnt = collections.Counter([{"whoami": "GET /app" if credentials == "app" else "GET /user"}.get(one, one)
                                      for one in LEARNT[name]] + [MINT] * (credentials == "app"))
        assert cold.counts - warm.counts == learnt and not warm.counts - cold.counts, name
