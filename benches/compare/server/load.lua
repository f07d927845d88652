-- wrk's side: one fixed request, and the totals as one line that load.py reads.
-- Arguments: method, body size, then `Name: value` for each further header field.
-- No per-response function: it would slow wrk's own core down and so the load.

function init(args)
  wrk.method = args[1]
  local size = tonumber(args[2])
  if size > 0 then
    wrk.body = string.rep("x", size)
    wrk.headers["Content-Type"] = "application/octet-stream"
  end
  for index = 3, #args do
    local name, value = string.match(args[index], "^([^:]+): (.*)$")
    wrk.headers[name] = value
  end
end

function done(summary, latency, requests)
  io.write(string.format(
    '\n@@{"requests":%d,"duration_us":%d,"bytes":%d,"connect":%d,"read":%d,"write":%d,' ..
    '"status":%d,"timeout":%d,"p50_us":%d,"p99_us":%d,"max_us":%d}\n',
    summary.requests, summary.duration, summary.bytes,
    summary.errors.connect, summary.errors.read, summary.errors.write,
    summary.errors.status, summary.errors.timeout,
    latency:percentile(50), latency:percentile(99), latency.max))
end
