# lua: tables and text
cat >work.lua <<'LUA'
local state, items = 1, {}
for i = 1, 600000 do
    state = (state * 1103515245 + 12345) % 2147483648
    items["key " .. state % 50021] = { i, string.rep("x", state % 40), {} }
end
local keys = {}
for key, value in pairs(items) do keys[#keys + 1] = key .. value[1] .. value[2] end
table.sort(keys)
local sum = 0
for _, key in ipairs(keys) do for at = 1, #key do sum = (sum * 31 + key:byte(at)) % 1000000007 end end
print(#keys, sum, keys[1], keys[#keys])
LUA
lua5.4 work.lua
