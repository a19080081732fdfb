-- The five loops of bench/lang/*.norn in Lua: usage: lua bench.lua NAME.  Prints the CPU seconds.
local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end
local B = {}
function B.fib() return fib(32) end
function B.mandel()
  local n, s = 200, 0
  for y = 0, n - 1 do
    local ci = 2.0 * y / n - 1.0
    for x = 0, n - 1 do
      local cr = 2.0 * x / n - 1.5
      local zr, zi, i = 0.0, 0.0, 0
      while i < 100 and zr * zr + zi * zi < 4.0 do
        zr, zi, i = zr * zr - zi * zi + cr, 2.0 * zr * zi + ci, i + 1
      end
      s = s + i
    end
  end
  return s
end
function B.lpdf()
  local s, x, log = 0.0, 0.1, math.log
  for i = 1, 2000000 do
    local z = (x - 0.3) / 1.7
    s = s - 0.5 * z * z - log(1.7) - 0.9189385332046727
    x = x * 0.999 + 0.01
  end
  return s
end
local function mk(d) if d == 0 then return {nil, nil} end return {mk(d - 1), mk(d - 1)} end
local function chk(t) if t[1] then return 1 + chk(t[1]) + chk(t[2]) end return 1 end
function B.trees() local s = 0 for i = 1, 16 do s = s + chk(mk(14)) end return s end
local function cons(h, t) return {h, t} end
local function map(f, l) if l == nil then return nil end return cons(f(l[1]), map(f, l[2])) end
local function fold(f, a, l) while l do a = f(a, l[1]); l = l[2] end return a end
function B.closures()
  local tot = 0
  for r = 1, 200 do
    local l = nil
    for i = 1, 1000 do l = cons(i, l) end
    for k = 1, 3 do l = map(function(x) return x * k + r end, l) end
    tot = fold(function(a, x) return (a + x) % 1000003 end, tot, l)
  end
  return tot
end
local t = os.clock()
local r = B[arg[1]]()
print(string.format("%.6f %s", os.clock() - t, tostring(r)))
