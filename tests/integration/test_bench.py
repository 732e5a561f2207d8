"""The bench's own arithmetic, and that its table finds its place; the bench itself is `make bench`."""
import json
import pathlib
import sys

import pytest

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "bench"))

import acks
import growing
import into_page
import latency
from figures import Row, as_json, at_least, at_most, lower_of, markdown, number, percentile, plain, ratio, unknown


@pytest.mark.parametrize("share, wanted", [(0, 1), (0.25, 1), (0.5, 2), (0.51, 3), (0.99, 4), (1, 4)])
def test_percentiles(share, wanted):
    assert percentile([4, 2, 1, 3], share) == wanted


def test_percentile_of_many_and_of_none():
    assert percentile(range(1, 101), 0.99) == 99
    with pytest.raises(ValueError):
        percentile([], 0.5)


def test_ratios():
    assert ratio(1, 4) == 0.25
    assert ratio(0, 4) == 0
    assert ratio(1, 0) is None and ratio(1, None) is None and ratio(None, 1) is None


@pytest.mark.parametrize("value, wanted", [
    (None, ""), (0, "0.00"), (0.12345, "0.123"), (0.00012345, "0.0001"), (1, "1.00"), (12.345, "12.3"), (99.96, "100.0"),
    (1234.5, "1,234"), (-12.345, "-12.3")])
def test_numbers(value, wanted):
    assert number(value) == wanted


@pytest.mark.parametrize("target, wanted", [
    (at_least(5, 5, "x"), "met"), (at_least(4.9, 5, "x"), "not met"), (at_most(5, 5, "x"), "met"),
    (at_most(5.1, 5, "x"), "not met"), (at_least(None, 5, "x"), "not measured"), (at_most(5, None, "x"), "not measured"),
    (unknown("x", "the disk is slow"), "the disk is slow")])
def test_verdicts(target, wanted):
    assert target.verdict == wanted


def test_the_lower_limit_is_of_those_that_are_known():
    assert lower_of(3, 2) == 2 and lower_of(None, 2) == 2 and lower_of(None) is None


ROWS = [Row("a", "acknowledged", "500/s", 500, "/s").compared(1000, "the null responder").aimed(at_least(0.5, 0.6, "≥ 60 %")),
        Row("d", "idle", "20 MiB", 20, "MiB")]


def test_table():
    assert markdown(ROWS).splitlines()[2:] == [
        "| (a) | acknowledged | 500/s | 0.500 × the null responder | ≥ 60 % | not met |",
        "| (d) | idle | 20 MiB |  |  |  |"]
    assert [line.split() for line in plain(ROWS).splitlines()][2] == ["(d)", "idle", "20", "MiB"]
    told = json.loads(as_json('a "machine"', ROWS))
    assert told["machine"] == 'a "machine"'
    assert told["rows"][0]["ratio"] == 0.5 and told["rows"][0]["target"]["met"] is False


def facts(null=1000.0, disks=20000.0, sync_rate=5000.0, prgate=600.0, p99=9.9):
    return {"null": {16: {"rate": null}}, "prgate": {16: {"rate": prgate, "p99_ms": p99}}, "disk_16": disks, "disk_1": sync_rate}


@pytest.mark.parametrize("changed, wanted", [
    ({}, "met"), ({"prgate": 499}, "not met"), ({"prgate": 499, "sync_rate": 712}, "met"), ({"prgate": 498, "sync_rate": 712}, "not met")])
def test_rate_is_held_to_the_lower_of_two_limits(changed, wanted):
    assert acks.rate_target(facts(**changed)).verdict == wanted


@pytest.mark.parametrize("changed, wanted", [
    ({}, "met"), ({"p99": 10}, "not met"), ({"sync_rate": 1000}, "not applicable: a sync takes 1.00 ms")])
def test_tail_is_judged_where_the_disk_is_fast(changed, wanted):
    assert acks.p99_row(facts(**changed)).target.verdict == wanted


def test_growth_is_read():
    output = ("      PRs deliveries    pr MB  seen MB ledger MB tables MB   log MB us/deliv page looks      page ms\n"
              "     1000       1990      0.6      0.5      1.1      2.8      4.2      200       1005         10.5\n"
              "growth: fine\n")
    found = growing.parse(output)
    assert list(found) == [1000] and found[1000]["us"] == 200 and found[1000]["tables_mb"] == 2.8
    found[1_000_000] = {**found[1000], "us": 301.0}
    assert growing.row(1_000_000, found, 1000).target.verdict == "not met"
    found[1_000_000]["us"] = 300.0
    assert growing.row(1_000_000, found, 1000).target.verdict == "met"


def test_calls_that_could_wait():
    calls = ["GET /pulls/1", "GET /collaborators/tim/permission", "POST /issues/1/labels"]
    assert latency.could_wait(calls) == ["POST /issues/1/labels"]


def test_table_goes_between_its_marks():
    page = f"before\n{into_page.BEGIN}\nold\n{into_page.END}\nafter\n"
    once = into_page.placed(page, "new\n\n")
    assert once == f"before\n{into_page.BEGIN}\nnew\n{into_page.END}\nafter\n"
    assert into_page.placed(once, "new") == once
    with pytest.raises(ValueError):
        into_page.placed("no marks", "new")


@pytest.mark.parametrize("groups, more, wanted", [
    ("abcdefghi", "", None), ("abcdefgi", "", "without h"), ("abcdefghi", "failed: OSError", "failed"),
    ("abcdefghi", "left out", None), ("abcdefghi", "not there: make bench-peers", "not there")])
def test_only_a_whole_run_goes_into_the_page(groups, more, wanted):
    assert into_page.missing("".join(f"| ({one}) | x {more} |\n" for one in groups)) == wanted


def test_page_has_the_marks():
    page = pathlib.Path(__file__).resolve().parents[2] / "docs/performance.md"
    assert into_page.placed(page.read_text(), "x")
