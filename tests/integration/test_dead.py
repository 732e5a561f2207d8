"""What GitHub refuses for good, or CI does: told on the check, listed, tried again, dropped."""
import pytest
from test_gate import STARTED, outcome

pytestmark = pytest.mark.parametrize("running_site", ["nginx-app", "cgi-token"], indirect=True)

NO = {"status": 403, "count": -1}


def dead(gate, *arguments):
    """`prgatectl dead`: its exit status, and what it printed."""
    done = gate.site.ctl("dead", *arguments)
    return done.returncode, done.stdout + done.stderr


def texts_of_check(gate):
    """All that a person reads on the head's check, be it a check run or a commit status."""
    pull = gate.sim.state(repo=gate.repo)["repos"][gate.repo]["pulls"]["1"]
    runs, statuses = pull["checks"][pull["head"]], pull["statuses"][pull["head"]]
    return str(runs[-1]["output"]) if runs else statuses[-1]["description"]


def test_a_refused_trigger_is_retried_once_that_is_mended(gate):
    gate.sim.fault(route="POST */dispatches", **{**NO, "status": 422})
    pull = gate.do("open", author="ann")
    assert (pull.started, pull.check()) == ([], "waiting")
    status, printed = dead(gate, "list", f"{gate.repo}#1")
    assert status == 0 and f"{gate.repo}#1 " in printed and "trigger " in printed and "422" in printed
    gate.sim.clear_faults()
    assert dead(gate, "retry", f"{gate.repo}#1") == (0, "1 to be tried again\n")
    assert outcome(gate.settled()) == STARTED
    assert dead(gate, "list", f"{gate.repo}#1") == (0, "0 given up\n")


def test_a_label_that_is_refused_is_told_on_the_check_and_ci_starts_all_the_same(gate):
    gate.sim.fault(route="POST */labels", **NO)
    pull = gate.do("open", author="ann")
    assert outcome(pull) == {"labels": [], "started": 1, "check": "done"}
    assert "not done: setting the label" in texts_of_check(gate)
    gate.sim.clear_faults()
    assert dead(gate, "retry", f"{gate.repo}#1")[0] == 0
    assert outcome(gate.settled()) == STARTED


def test_what_makes_no_sense_any_more_stays_until_it_is_dropped(gate):
    gate.sim.fault(route="POST */dispatches", **{**NO, "status": 422})
    gate.do("open", author="ann")
    gate.do("close")
    status, printed = dead(gate, "retry", f"{gate.repo}#1")
    assert status == 1 and "closed: drop it" in printed
    assert dead(gate, "drop", f"{gate.repo}#1") == (0, "1 dropped\n")
    assert dead(gate, "list", f"{gate.repo}#1") == (0, "0 given up\n")


@pytest.mark.parametrize("arguments, status, said", [
    (["list", "nobody/nothing#1"], 66, "no webhook for nobody/nothing#1"),
    (["list", "nonsense"], 64, "is not OWNER/REPO#NUMBER"),
    (["retry"], 64, "usage"),
    (["bury", "all"], 64, "usage"),
    (["drop", "REPO#1", "77"], 66, "has no dead letter 77"),
    (["drop", "REPO#1", "-7"], 64, "invalid option"),
    (["drop", "REPO#1", "x7"], 64, "is no letter of"),
    (["drop", "all", "7"], 64, "is no letter of"),
], ids=str)
def test_what_is_wrong_is_said(gate, arguments, status, said):
    gate.do("open", author="bob")
    done, printed = dead(gate, *[one.replace("REPO", gate.repo) for one in arguments])
    assert done == status and said in printed
