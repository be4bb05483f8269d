# sqlite3: tables, indices and joins in memory
cat >join.sql <<'SQL'
PRAGMA temp_store = MEMORY;
CREATE TABLE a(id INTEGER PRIMARY KEY, k INTEGER, name TEXT);
CREATE TABLE b(k INTEGER, v TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000)
INSERT INTO a SELECT i, (i * 7919) % 50021, 'name ' || i FROM n;
INSERT INTO b SELECT k, group_concat(name, ',') FROM a GROUP BY k;
CREATE INDEX b_k ON b(k);
SELECT count(*), sum(length(b.v)), min(a.name), max(b.v) FROM a JOIN b USING (k);
SELECT a.k % 10, count(DISTINCT b.v), max(length(b.v)) FROM a JOIN b USING (k) GROUP BY 1 ORDER BY 1;
SQL
sqlite3 -batch :memory: '.read join.sql'
