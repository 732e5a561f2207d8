-- For wrk: signed deliveries, each with an id of its own, of as many pull requests as BENCH_REQUESTS holds.
-- That file is Lua: a list of {signature, body}. BENCH_RUN makes the ids of one run unlike those of the others.
local requests = dofile(os.getenv("BENCH_REQUESTS"))
local run = os.getenv("BENCH_RUN")
local sent = 0

function request()
    sent = sent + 1
    local one = requests[sent % #requests + 1]
    return wrk.format("POST", nil, {
        ["Content-Type"] = "application/json",
        ["X-GitHub-Event"] = "pull_request",
        ["X-GitHub-Delivery"] = run .. "-" .. sent,
        ["X-Hub-Signature-256"] = one[1],
    }, one[2])
end

-- One line of JSON: requests answered, in how many seconds, how many of them with an error, and percentiles.
function done(summary, latency)
    local errors = summary.errors
    io.write(string.format(
        '\n{"requests":%d,"seconds":%.3f,"refused":%d,"lost":%d,"p50_ms":%.3f,"p99_ms":%.3f,"max_ms":%.3f}\n',
        summary.requests, summary.duration / 1e6, errors.status,
        errors.connect + errors.read + errors.write + errors.timeout,
        latency:percentile(50) / 1000, latency:percentile(99) / 1000, latency.max / 1000))
end
