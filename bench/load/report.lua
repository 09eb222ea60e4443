-- Makes wrk end with one line of exact numbers; its own report is rounded. Latencies in microseconds, duration too.
function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '\nbench {"requests":%.0f,"microseconds":%.0f,"bytes":%.0f,"p50":%.0f,"p99":%.0f,'
      .. '"connect":%.0f,"read":%.0f,"write":%.0f,"timeout":%.0f,"status":%.0f}\n',
    summary.requests, summary.duration, summary.bytes, latency:percentile(50), latency:percentile(99),
    errors.connect, errors.read, errors.write, errors.timeout, errors.status))
end
