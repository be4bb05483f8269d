#!/usr/bin/env bash
# Writes the man pages: packaging/man/generate.sh HEADER VERSION OUT
#
# The templates beside this script are mdoc pages. These lines stand for what the header says:
#     @NAMES title@      .Nm lines for the functions of the header's section with this title
#     @SYNOPSIS title@   their declarations
#     @FUNCTIONS title@  their documentation
#     @TYPE name@        a struct, as it is declared
# and @VERSION@ anywhere for VERSION. Each function has a page: a link to the page of its section
# where that has another name. Fails if a function is on no page, or if the header lacks what a
# template names.
set -euo pipefail
case "${1:-}" in
    -h | --help) sed -n '2,/^set/{/^#/!q;s/^# \{0,1\}//p}' "$0"; exit 0 ;;
esac
[ $# -eq 3 ] || { echo "generate.sh: HEADER, VERSION and OUT; --help explains" >&2; exit 2; }

mkdir -p "$3"
# shellcheck disable=SC2016
LC_ALL=C awk -v header="$1" -v version="$2" -v out="$3" '
function fail(message) { print "generate.sh: " message > "/dev/stderr"; failed = 1; exit 1 }
function put(line) { gsub(/@VERSION@/, version, line); print line > file }
function squeezed(text) {
    gsub(/[ \t\n]+/, " ", text)
    gsub(/^ | $/, "", text)
    return text
}

# wrap(text): cuts text at blanks into wrapped[1…] of at most 62 characters; returns their number.
function wrap(text,    words, n, i, lines) {
    n = split(text, words, /[ \t]+/)
    lines = 0
    for (i = 1; i <= n; i++) {
        if (words[i] == "") continue
        if (lines && length(wrapped[lines]) + 1 + length(words[i]) <= 62)
            wrapped[lines] = wrapped[lines] " " words[i]
        else
            wrapped[++lines] = words[i]
    }
    return lines
}

# marked(line): arguments in italics, functions bold.
function marked(line,    done, name, before) {
    done = ""
    while (match(line, /`[^`]*`/)) {
        done = done substr(line, 1, RSTART - 1) "\\fI" substr(line, RSTART + 1, RLENGTH - 2) "\\fP"
        line = substr(line, RSTART + RLENGTH)
    }
    line = done line
    done = ""
    while (match(line, /mm_[A-Za-z0-9_]+(\(\))?/)) {
        name = substr(line, RSTART, RLENGTH)
        before = RSTART > 1 ? substr(line, RSTART - 1, 1) : substr(done, length(done))
        done = done substr(line, 1, RSTART - 1)
        line = substr(line, RSTART + RLENGTH)
        # `before` is a letter: part of a longer name. A parenthesis follows: a call with arguments.
        if (before ~ /[A-Za-z0-9_]/ || (name !~ /\)$/ && line ~ /^\(/)) done = done name
        else {
            sub(/\(\)$/, "", name)
            done = done "\\fB" name "\\fP"
        }
    }
    return done line
}

# running(text): sentences begin on a new line.
function running(text,    sentence, i, n) {
    gsub(/\\/, "\\e", text)
    gsub(/-/, "\\-", text)
    while (text != "") {
        sentence = text
        if (match(text, /[.:?] +[A-Z0-9]/)) {
            sentence = substr(text, 1, RSTART)
            text = squeezed(substr(text, RSTART + 1))
        } else text = ""
        n = wrap(sentence)
        for (i = 1; i <= n; i++) put((wrapped[i] ~ /^[.\x27]/ ? "\\&" : "") marked(wrapped[i]))
    }
}

function struct(name,    lines, n, i, k, line, inside, parts) {
    n = split(text, lines, "\n")
    inside = 0
    for (i = 1; i <= n; i++) {
        line = lines[i]
        if (line == "typedef struct " name " {") { inside = 1; put(".Bd -literal") }
        if (!inside) continue
        if (line ~ /^    \/\*\* .* \*\/$/) {
            line = substr(line, 9, length(line) - 11)
            sub(/\.$/, "", line)
            parts = wrap(line)
            for (k = 1; k <= parts; k++) put("    /* " wrapped[k] " */")
        } else { gsub(/\\/, "\\e", line); put(line) }
        if (lines[i] == "} " name ";") { put(".Ed"); return }
    }
    fail("the header has no struct " name)
}

# read_header: the functions of each section: doc, type, arguments.
function read_header(    line, title, doc, inside, declaration, name, head) {
    while ((getline line < header) > 0) {
        text = text line "\n"
        if (line ~ /^\/\* ---- .* -+ \*\/$/) {
            title = line
            sub(/^\/\* ---- /, "", title)
            sub(/ -+ \*\/$/, "", title)
            continue
        }
        if (line ~ /^\/\*\*/) { doc = ""; inside = 1; sub(/^\/\*\*/, "", line) }
        if (inside) {
            if (line ~ /\*\//) { inside = 0; sub(/\*\/.*/, "", line); ready = 1 }
            sub(/^[ \t]*\* ?/, "", line)
            doc = doc " " line
            continue
        }
        if (ready || declaration != "") {
            ready = 0
            if (declaration == "" && line !~ /^[a-z][A-Za-z0-9_ ]*\**mm_[A-Za-z0-9_]+\(/) continue
            declaration = declaration " " line
            if (line !~ /;/) continue
            head = declaration
            sub(/\(.*/, "", head)
            name = head
            sub(/.*[ *]/, "", name)
            names[++count] = name
            section[name] = title
            members[title] = members[title] " " name
            type[name] = squeezed(substr(head, 1, length(head) - length(name)))
            sub(/[^(]*\(/, "", declaration)
            sub(/\);.*/, "", declaration)
            arguments[name] = squeezed(declaration)
            docs[name] = squeezed(doc)
            declaration = ""
        }
    }
    close(header)
}

function heading(name,    list, n, i, line) {
    n = split(arguments[name], list, / *, */)
    line = ".It Fn " name
    for (i = 1; i <= n; i++) line = line " \"" list[i] "\""
    put(line)
}

function synopsis(name,    list, n, i) {
    put(".Ft \"" type[name] "\"")
    put(".Fo " name)
    n = split(arguments[name], list, / *, */)
    for (i = 1; i <= n; i++) put(list[i] == "void" ? ".Fa void" : ".Fa \"" list[i] "\"")
    put(".Fc")
}

BEGIN { read_header() }
FNR == 1 {
    template = FILENAME
    sub(/.*\//, "", template)
    page = substr(template, 1, length(template) - 3)
    file = out "/" page
}
/^@(NAMES|SYNOPSIS|FUNCTIONS|TYPE) .*@$/ {
    kind = substr($1, 2)
    title = substr($0, length($1) + 2)
    sub(/@$/, "", title)
    if (kind == "TYPE") { struct(title); next }
    n = split(members[title], list, " ")
    if (n == 0) fail(template ": the header has no section \x27" title "\x27")
    if (kind == "FUNCTIONS") put(".Bl -tag -width Ds")
    for (i = 1; i <= n; i++) {
        if (kind == "NAMES") { on[list[i]] = page; put(".Nm " list[i] (i < n ? " ," : "")) }
        else if (kind == "SYNOPSIS") synopsis(list[i])
        else { heading(list[i]); running(docs[list[i]]) }
    }
    if (kind == "FUNCTIONS") put(".El")
    next
}
{ put($0) }
END {
    if (failed) exit 1
    for (i = 1; i <= count; i++) {
        name = names[i]
        if (!(name in on)) fail(name " is on no man page: a template must name its section")
        file = out "/" name ".3"
        if (on[name] != name ".3") print ".so man3/" on[name] > file
    }
}' "$(dirname "$0")"/*.in
