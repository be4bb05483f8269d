# Text, numbers and lists that come and go.
import json, re
rows = [{"k": str(i), "v": list(range(i % 9))} for i in range(12000)]
del rows[::3]
text = json.dumps(rows)
again = json.loads(text)
found = [re.findall(r"\d+", text[i:i + 2000]) for i in range(0, 300000, 2000)]
del rows
kept = [x for i, x in enumerate(bytes(1000 + i % 5000) for i in range(800)) if i % 4 == 0]
names = {i: str(i) * 5 for i in range(20000)}
del again, found
