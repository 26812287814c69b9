"""The programs of script.tengo.*: each in Tengo, and written by hand in Lua to the same end."""

from __future__ import annotations

from typing import Final

_JSON: Final = r"""
local function encode(value, out)
    local kind = type(value)
    if kind == "table" then
        if value[1] ~= nil then
            out[#out + 1] = "["
            for i = 1, #value do
                if i > 1 then out[#out + 1] = "," end
                encode(value[i], out)
            end
            out[#out + 1] = "]"
        else
            local names = {}
            for name in pairs(value) do names[#names + 1] = name end
            table.sort(names)
            out[#out + 1] = "{"
            for i, name in ipairs(names) do
                if i > 1 then out[#out + 1] = "," end
                out[#out + 1] = '"' .. name .. '":'
                encode(value[name], out)
            end
            out[#out + 1] = "}"
        end
    elseif kind == "string" then
        out[#out + 1] = '"' .. value:gsub('[%c"\\]', function(c)
            return string.format("\\u%04x", c:byte())
        end) .. '"'
    else out[#out + 1] = string.format("%.14g", value) end
end
local decode
local function skip(s, i) return (s:match("^[ \n\r\t]*()", i)) end
function decode(s, i)
    i = skip(s, i)
    local c = s:sub(i, i)
    if c == "{" then
        local map = {}
        i = skip(s, i + 1)
        while s:sub(i, i) ~= "}" do
            local name
            name, i = decode(s, i)
            map[name], i = decode(s, skip(s, i) + 1)
            i = skip(s, i)
            if s:sub(i, i) == "," then i = skip(s, i + 1) end
        end
        return map, i + 1
    elseif c == "[" then
        local list = {}
        i = skip(s, i + 1)
        while s:sub(i, i) ~= "]" do
            list[#list + 1], i = decode(s, i)
            i = skip(s, i)
            if s:sub(i, i) == "," then i = skip(s, i + 1) end
        end
        return list, i + 1
    elseif c == '"' then
        local text, after = s:match('^"([^"\\]*)"()', i)
        return text, after
    end
    local number, after = s:match("^(-?[%d.eE+-]+)()", i)
    return tonumber(number) + 0.0, after
end
"""

PROGRAMS: Final[dict[str, tuple[str, str]]] = {
    "fib": (
        """
fib := func(n) { if n < 2 { return n }; return fib(n-1) + fib(n-2) }
out := fib(30)
""",
        """
local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end
return fib(30)
""",
    ),
    "loops": (
        """
sum := 0
for i := 1; i <= 2000; i++ {
    for j := 1; j <= 1000; j++ { sum += i * j % 7 }
}
out := sum
""",
        """
local sum = 0
for i = 1, 2000 do for j = 1, 1000 do sum = sum + i * j % 7 end end
return sum
""",
    ),
    "strings": (
        """
text := import("text")
work := func() {
    parts := []
    for i := 1; i <= 50000; i++ {
        parts = append(parts, text.to_upper("item " + i))
    }
    return len(text.join(parts, ","))
}
out := work()  // globals this long could not leave the sandbox
""",
        """
local parts = {}
for i = 1, 50000 do parts[#parts + 1] = ("item " .. i):upper() end
return #table.concat(parts, ",")
""",
    ),
    "maps": (
        """
count := {}
for i := 1; i <= 400000; i++ {
    key := "k" + i % 997
    count[key] = (count[key] || 0) + 1
}
out := count.k1
""",
        """
local count = {}
for i = 1, 400000 do
    local key = "k" .. i % 997
    count[key] = (count[key] or 0) + 1
end
return count.k1
""",
    ),
    "sort": (
        """
sort := func(a, low, high) {
    for low < high {
        pivot := a[(low + high) / 2]
        i := low
        j := high
        for i <= j {
            for a[i] < pivot { i++ }
            for a[j] > pivot { j-- }
            if i <= j {
                t := a[i]
                a[i] = a[j]
                a[j] = t
                i++
                j--
            }
        }
        if low < j { sort(a, low, j) }
        low = i
    }
}
list := []
seed := 42
for i := 0; i < 40000; i++ {
    seed = (seed * 1103515245 + 12345) % 2147483648
    list = append(list, seed)
}
sort(list, 0, len(list) - 1)
out := list[0]
""",
        """
local function sort(a, low, high)
    while low < high do
        local pivot, i, j = a[(low + high) // 2], low, high
        while i <= j do
            while a[i] < pivot do i = i + 1 end
            while a[j] > pivot do j = j - 1 end
            if i <= j then
                a[i], a[j] = a[j], a[i]
                i, j = i + 1, j - 1
            end
        end
        if low < j then sort(a, low, j) end
        low = i
    end
end
local list, seed = {}, 42
for i = 1, 40000 do
    seed = (seed * 1103515245 + 12345) % 2147483648
    list[i] = seed
end
sort(list, 1, #list)
return list[1]
""",
    ),
    "closures": (
        """
counter := func() { n := 0; return func() { n++; return n } }
total := 0
for i := 0; i < 30000; i++ {
    c := counter()
    for j := 0; j < 20; j++ { total += c() }
}
out := total
""",
        """
local function counter() local n = 0; return function() n = n + 1; return n end end
local total = 0
for _ = 1, 30000 do
    local c = counter()
    for _ = 1, 20 do total = total + c() end
end
return total
""",
    ),
    "json": (
        """
json := import("json")
items := []
for i := 0; i < 300; i++ {
    items = append(items, {title: "item " + i, size: i, tags: ["a", "b"], rate: i / 2.0})
}
text := ""
for i := 0; i < 20; i++ {
    text = string(json.encode({items: items}))
    items = json.decode(text).items
}
out := len(items)
""",
        _JSON
        + """
local items = {}
for i = 0, 299 do
    items[#items + 1] = { title = "item " .. i, size = i, tags = { "a", "b" }, rate = i / 2.0 }
end
for _ = 1, 20 do
    local out = {}
    encode({ items = items }, out)
    items = decode(table.concat(out), 1).items
end
return #items
""",
    ),
    "parse": (
        """
text := import("text")
page := ""
for i := 0; i < 400; i++ {
    page += `<li class="film"><a href="/film/` + i + `">Film ` + i + `</a> <b>` + i % 10 +
        `</b></li>`
}
found := []
for n := 0; n < 10; n++ {
    found = []
    for part in text.split(page, `<li class="film">`) {
        at := text.index(part, `href="`)
        if at < 0 { continue }
        rest := part[at+6:]
        link := rest[:text.index(rest, `"`)]
        title := rest[text.index(rest, ">")+1:text.index(rest, "<")]
        found = append(found, {link: link, title: text.trim_space(title)})
    }
}
out := len(found)
""",
        """
local page = {}
for i = 0, 399 do
    page[#page + 1] = '<li class="film"><a href="/film/' .. i .. '">Film ' .. i .. '</a> <b>'
        .. i % 10 .. '</b></li>'
end
page = table.concat(page)
local function split(s, by)
    local parts, from = {}, 1
    while true do
        local at, last = s:find(by, from, true)
        if not at then parts[#parts + 1] = s:sub(from) return parts end
        parts[#parts + 1] = s:sub(from, at - 1)
        from = last + 1
    end
end
local found
for _ = 1, 10 do
    found = {}
    for _, part in ipairs(split(page, '<li class="film">')) do
        local at = part:find('href="', 1, true)
        if at then
            local rest = part:sub(at + 6)
            local link = rest:sub(1, rest:find('"', 1, true) - 1)
            local title = rest:sub(rest:find(">", 1, true) + 1, rest:find("<", 1, true) - 1)
            found[#found + 1] = { link = link, title = title:match("^%s*(.-)%s*$") }
        end
    end
end
return #found
""",
    ),
}
