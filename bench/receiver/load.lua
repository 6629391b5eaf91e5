-- wrk: rotates over signed webhooks written by receiver-http.ts, formatted once. env: BODIES (dir), WEBHOOK_PATH
local dir, path = os.getenv("BODIES"), os.getenv("WEBHOOK_PATH")
local requests, count, at = {}, 0, 0

function init()
  local signatures = io.open(dir .. "/signatures.txt")
  for body in io.lines(dir .. "/bodies.ndjson") do
    count = count + 1
    requests[count] = wrk.format("POST", path, {
      ["Content-Type"] = "application/json",
      ["X-Kustomer-Webhook-Signature"] = signatures:read("*l"),
    }, body)
  end
  signatures:close()
end

function request()
  at = at % count + 1
  return requests[at]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"requests":%d,"seconds":%.3f,"p50Ms":%.2f,"p99Ms":%.2f,"failed":%d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1000, latency:percentile(99) / 1000,
    errors.status + errors.connect + errors.read + errors.write + errors.timeout))
end
