-- Asks for the paths in the file that is its argument, one a line, in that order and over again.
dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "report.lua")

local requests = {}
local at = 0

function init(args)
  for path in io.lines(args[1]) do
    requests[#requests + 1] = wrk.format("GET", path)
  end
end

function request()
  at = at + 1
  if at > #requests then at = 1 end
  return requests[at]
end
