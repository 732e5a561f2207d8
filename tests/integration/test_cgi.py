"""A request that no web server has looked at before: CGI's own variables can lie."""
import json

import pytest
from gate_site import assert_nothing_kept

pytestmark = pytest.mark.parametrize("running_site", ["cgi-app"], indirect=True)


@pytest.mark.parametrize("length, statuses", [
    (10**6, {400, 408}), (100, {401}), (0, {400, 401, 411}), ("-1", {400, 411}), ("12x", {400, 411}),
    ("", {400, 411}), (str(10**30), {400, 413}), ("0x10", {400, 411}), (" 20000", {400, 401, 411})], ids=str)
def test_a_content_length_that_lies(site, repo, opened, length, statuses):
    reply = site.exchange("pull_request", opened["payload"], opened["delivery"], length=length)
    assert reply.status in statuses
    assert isinstance(json.loads(reply.body), dict)
    assert_nothing_kept(site, repo)


def test_each_acknowledgement_is_counted_though_no_process_stays(site, opened):
    def counted():
        return site.get("/metrics.json")[1]["prgate_acknowledgement_seconds_count"]
    before = counted()
    site.deliver([opened, opened])
    assert counted() == before + 2
    site.wait_idle()


def test_health_is_looked_at_by_each_process_anew(site):
    for path in ("/healthz", "/healthz.json"):
        reply = site.server.request("GET", path)
        assert (reply.status, json.loads(reply.body)["status"]) == (200, "ok")
