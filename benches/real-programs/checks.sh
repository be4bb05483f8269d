# shellcheck shell=bash
# Programs of run.py that are compared, not measured: programs.sh has the rules.

# bash: arrays, text
program_bash() {
    bash -s <<'SH'
declare -A count
for i in $(seq 1 20000); do
    word=w$((i * 7919 % 1013))
    count[$word]=$((${count[$word]:-0} + i))
done
for word in "${!count[@]}"; do echo "$word ${count[$word]}"; done | sort | sha256sum
text=
for i in $(seq 1 3000); do text+="line $i of a text that grows; "; done
echo "${#text} ${text//line/LINE}" | sha256sum
SH
}

# gcc: a file of 24,000 lines
program_gcc_24k() {
    awk 'BEGIN {
        for (i = 0; i < 3000; i++) {
            printf "int f%d(int x)\n{\n    int y = x * %d;\n    if (y > %d)\n", i, i + 3, i * 5
            printf "        y -= f%d(x - 1);\n    return y;\n}\n\n", (i > 0 ? i - 1 : 0)
        }
    }' | sed 's/f0(x - 1)/1/' >generated.c
    gcc -O1 -c generated.c -o generated.o
    wc -l <generated.c
    sha256sum <generated.o
}

# git log of this repository
program_git_log() {
    git -C "$ROOT" -c safe.directory='*' log -p | LC_ALL=C sort | sha256sum
}

# python3: 200,000 objects
program_python_objects() {
    cat >objects.py <<'PY'
import random
random.seed(1)
class Item:
    __slots__ = ("key", "text")
    def __init__(self, key):
        self.key, self.text = key, "item %d" % key
items = [Item(random.randrange(10**9)) for _ in range(200_000)]
items.sort(key=lambda item: item.key)
print(len(items), items[0].text, items[100_000].text, items[-1].text)
index = {item.text: item for item in items}
del items
print(len(index), sum(item.key for item in index.values()))
PY
    PYTHONMALLOC=malloc python3 objects.py
}
