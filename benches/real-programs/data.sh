# shellcheck shell=bash
# Programs of run.py: tables, texts, histories. programs.sh has the rules.

# git gc on a repository with the first 300 commits of this one
program_git_gc() {
    local last
    last=$(git -c safe.directory='*' -C "$ROOT" rev-list --topo-order --reverse "$COMMIT" |
        sed -n 1,300p | tail -n 1)
    git init -q --bare clone
    git -c safe.directory='*' -C "$ROOT" rev-list --objects "$last" |
        git -c safe.directory='*' -C "$ROOT" pack-objects -q --stdout |
        git -C clone index-pack --stdin >/dev/null
    git -C clone update-ref refs/heads/all "$last"
    git -C clone gc -q --aggressive --prune=now
    git -C clone fsck --full --no-progress && echo sound
    git -C clone rev-list --all --objects | sort | sha256sum
    git -C clone log --all -p | LC_ALL=C sort | sha256sum
}

# sqlite3: tables, indices and joins in memory
program_sqlite() {
    cat >join.sql <<'SQL'
PRAGMA temp_store = MEMORY;
CREATE TABLE a(id INTEGER PRIMARY KEY, k INTEGER, name TEXT);
CREATE TABLE b(k INTEGER, v TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000)
INSERT INTO a SELECT i, (i * 7919) % 50021, 'name ' || i FROM n;
INSERT INTO b SELECT k, group_concat(name, ',') FROM a GROUP BY k;
CREATE INDEX b_k ON b(k);
SELECT count(*), sum(length(b.v)), min(a.name), max(b.v) FROM a JOIN b USING (k);
SELECT a.k % 10, count(DISTINCT b.v), max(length(b.v)) FROM a JOIN b USING (k)
    GROUP BY 1 ORDER BY 1;
SQL
    sqlite3 -batch :memory: '.read join.sql'
}

# jq: 200 MB of records, summed
program_jq() {
    awk 'BEGIN {
        print "["
        for (i = 0; i < 1500000; i++) {
            printf "%s{\"id\": %d, \"key\": \"key %d\", \"list\": [%d, %d.5, null, true], ", \
                i ? "," : "", i, i * 7919 % 1013, i % 97, i % 89
            printf "\"inner\": {\"text\": \"%s %d\", \"name\": \"a name\"}}\n", \
                "a text with \\\"quotes\\\" and \\u00e9 in it", i
        }
        print "]" }' >records.json
    [ "$(stat -c %s records.json)" -ge 200000000 ] || echo 'less than 200 MB'
    jq -c 'length, (map(.list[1]) | add), (.[:20000] | group_by(.key) |
        map([.[0].key, length, (map(.inner.text | length) | add)]) | .[:20])' records.json
    rm records.json
}

# mawk: lines of up to 10 MB, cut and joined
program_mawk() {
    for length in 1000 100000 1500000; do
        seq -s ' ' "$length" | sed 's/7/seven/g'
    done >lines
    mawk '{
        count = split($0, words, " ")
        text = ""
        for (i = count; i > count - 1000 && i > 0; i--) text = text words[i] ","
        changed = gsub(/seven/, "7")
        for (i = 1; i <= 50 && i <= NF; i++) $i = "<" $i ">"
        print NR, count, changed, length($0), text
        print
    }' lines | sha256sum
}

# samtools: alignments made, sorted by two threads, indexed and counted
program_samtools() {
    awk 'BEGIN {
        print "@HD\tVN:1.6\tSO:unsorted"
        for (i = 1; i <= 5; i++) printf "@SQ\tSN:chr%d\tLN:1000000\n", i
        for (i = 0; i < 64; i++) bases = bases substr("ACGT", i * 7 % 4 + 1, 1)
        for (i = 0; i < 64; i++) marks = marks sprintf("%c", 40 + i % 30)
        for (i = 0; i < 400000; i++) {
            state = (state * 69069 + 12345) % 4294967296
            at = int(state / 4096) % 990000 + 1
            printf "read%d\t%d\tchr%d\t%d\t60\t64M\t*\t0\t0\t%s\t%s\n", i, i % 2 * 16, \
                state % 5 + 1, at, substr(bases, i % 63 + 1) substr(bases, 1, i % 63), marks
        }
    }' >reads.sam
    samtools sort -@ 2 -m 20M --no-PG -o reads.bam reads.sam 2>/dev/null
    samtools index -@ 2 reads.bam
    samtools view reads.bam | sha256sum
    samtools depth -a reads.bam | sha256sum
    samtools view -c -F 16 reads.bam chr3:1000-500000
    samtools flagstat reads.bam
}
