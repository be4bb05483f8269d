// A heap of several pools. Each call replaces some adjacent blocks of one pool by others of the
// same total size: what such a step needs to keep I4 to I8, and that every call has it.
include "pool.dfy"

// A pool's place, in quanta, and its PREV_FREE flags: of each block and of the pool's end.
datatype Placed = Placed(at: nat, pool: Pool, flags: seq<bool>)

// `used` and `live` are the counters; the control structure lies in [control, end).
datatype Heap = Heap(control: nat, end: nat, pools: seq<Placed>, used: int, live: int)

function Bytes(p: Pool): nat
{ if p == [] then 0 else (if p[0].isFree then 0 else p[0].size) + Bytes(p[1..]) }

lemma BytesOfSum(a: Pool, b: Pool)
  ensures Bytes(a + b) == Bytes(a) + Bytes(b)
{
  if a == [] { assert a + b == b; }
  else { assert (a + b)[1..] == a[1..] + b; BytesOfSum(a[1..], b); }
}

// I5: PREV_FREE is set where the block before is free, nowhere else.
predicate I5(p: Pool, flags: seq<bool>) {
  |flags| == |p| + 1 && !flags[0] && forall i :: 0 < i <= |p| ==> flags[i] == p[i - 1].isFree
}

// I7: a pool, from its first header to its end's, is apart from the others and from the control
// structure. (Addresses are in quanta, so payloads are aligned.)
predicate Apart(a: nat, aEnd: nat, b: nat, bEnd: nat) { aEnd <= b || bEnd <= a }
function End(x: Placed): nat { x.at + Total(x.pool) + 1 }
predicate I7(h: Heap) {
  (forall i, j :: 0 <= i < j < |h.pools| ==>
    Apart(h.pools[i].at, End(h.pools[i]), h.pools[j].at, End(h.pools[j]))) &&
  (forall i :: 0 <= i < |h.pools| ==>
    Apart(h.pools[i].at, End(h.pools[i]), h.control, h.end))
}

// I8: the counters are what a walk finds.
function AllBytes(s: seq<Placed>): nat
{ if s == [] then 0 else Bytes(s[0].pool) + AllBytes(s[1..]) }
function AllUsed(s: seq<Placed>): nat
{ if s == [] then 0 else Used(s[0].pool) + AllUsed(s[1..]) }
predicate I8(h: Heap) { h.used == AllBytes(h.pools) && h.live == AllUsed(h.pools) }

predicate SoundHeap(h: Heap) {
  (forall i :: 0 <= i < |h.pools| ==>
    Sound(h.pools[i].pool, Total(h.pools[i].pool)) && I5(h.pools[i].pool, h.pools[i].flags)) &&
  I7(h) && I8(h)
}

// A step: blocks l to below e of a pool become r.
function Replaced(p: Pool, l: nat, e: nat, r: Pool): Pool requires l <= e <= |p|
{ p[..l] + r + p[e..] }

// The flags that it writes: of the new blocks but the first, and of what lies behind them.
function FreeBits(r: Pool): seq<bool> { if r == [] then [] else [r[0].isFree] + FreeBits(r[1..]) }
function Flags(f: seq<bool>, l: nat, e: nat, r: Pool): seq<bool> requires l < e < |f|
{ f[..l + 1] + FreeBits(r) + f[e + 1..] }

predicate Fits(p: Pool, l: nat, e: nat, r: Pool) {
  l < e <= |p| && r != [] && Total(r) == Total(p[l..e]) &&
  (forall i :: 0 <= i < |r| ==> r[i].size >= MIN) &&
  (forall i :: 0 <= i < |r| - 1 ==> !(r[i].isFree && r[i + 1].isFree)) &&
  (l > 0 ==> !(p[l - 1].isFree && r[0].isFree)) &&
  (e < |p| ==> !(r[|r| - 1].isFree && p[e].isFree))
}

lemma Parts(p: Pool, l: nat, e: nat, r: Pool)
  requires l <= e <= |p|
  ensures Total(p) == Total(p[..l]) + Total(p[l..e]) + Total(p[e..])
  ensures Bytes(p) == Bytes(p[..l]) + Bytes(p[l..e]) + Bytes(p[e..])
  ensures Used(p) == Used(p[..l]) + Used(p[l..e]) + Used(p[e..])
  ensures Total(Replaced(p, l, e, r)) == Total(p[..l]) + Total(r) + Total(p[e..])
  ensures Bytes(Replaced(p, l, e, r)) == Bytes(p[..l]) + Bytes(r) + Bytes(p[e..])
  ensures Used(Replaced(p, l, e, r)) == Used(p[..l]) + Used(r) + Used(p[e..])
{
  assert p == p[..l] + p[l..e] + p[e..];
  TotalOfThree(p[..l], p[l..e], p[e..]); TotalOfThree(p[..l], r, p[e..]);
  BytesOfSum(p[..l] + p[l..e], p[e..]); BytesOfSum(p[..l], p[l..e]);
  BytesOfSum(p[..l] + r, p[e..]); BytesOfSum(p[..l], r);
  UsedOfSum(p[..l] + p[l..e], p[e..]); UsedOfSum(p[..l], p[l..e]);
  UsedOfSum(p[..l] + r, p[e..]); UsedOfSum(p[..l], r);
}

lemma BitsAreFree(r: Pool)
  ensures |FreeBits(r)| == |r| && forall i :: 0 <= i < |r| ==> FreeBits(r)[i] == r[i].isFree
{ }

lemma PoolKeeps(p: Pool, f: seq<bool>, l: nat, e: nat, r: Pool)
  requires Sound(p, Total(p)) && I5(p, f) && Fits(p, l, e, r)
  ensures Sound(Replaced(p, l, e, r), Total(p))
  ensures I5(Replaced(p, l, e, r), Flags(f, l, e, r))
{
  Parts(p, l, e, r);
  BitsAreFree(r);
  var q, g := Replaced(p, l, e, r), Flags(f, l, e, r);
  var m := l + |r|;
  assert |q| == m + |p| - e && |g| == |q| + 1;
  assert forall i :: 0 <= i < l ==> q[i] == p[i];
  assert forall i :: l <= i < m ==> q[i] == r[i - l];
  assert forall i :: m <= i < |q| ==> q[i] == p[i - m + e];
  forall i | 0 <= i < |q| - 1 ensures !(q[i].isFree && q[i + 1].isFree) {
    if i + 1 < l { assert q[i] == p[i] && q[i + 1] == p[i + 1]; }
    else if i + 1 == l { assert q[i] == p[l - 1] && q[i + 1] == r[0]; }
    else if i + 1 < m { assert q[i] == r[i - l] && q[i + 1] == r[i - l + 1]; }
    else if i + 1 == m { assert q[i] == r[|r| - 1] && q[i + 1] == p[e]; }
    else { assert q[i] == p[i - m + e] && q[i + 1] == p[i - m + e + 1]; }
  }
  forall i | 0 < i <= |q| ensures g[i] == q[i - 1].isFree {
    if i <= l { assert g[i] == f[i]; }
    else if i <= m { assert g[i] == FreeBits(r)[i - l - 1]; }
    else { assert g[i] == f[i - m + e]; }
  }
}

lemma Sums(s: seq<Placed>, k: nat, x: Placed)
  requires k < |s|
  ensures AllBytes(s[k := x]) == AllBytes(s) - Bytes(s[k].pool) + Bytes(x.pool)
  ensures AllUsed(s[k := x]) == AllUsed(s) - Used(s[k].pool) + Used(x.pool)
{
  if k > 0 { assert s[k := x][1..] == s[1..][k - 1 := x]; Sums(s[1..], k - 1, x); }
  else { assert s[k := x][1..] == s[1..]; }
}

function Step(h: Heap, k: nat, l: nat, e: nat, r: Pool): Heap
  requires k < |h.pools| && l < e <= |h.pools[k].pool| && e < |h.pools[k].flags|
{
  var x := h.pools[k];
  var y := Placed(x.at, Replaced(x.pool, l, e, r), Flags(x.flags, l, e, r));
  Heap(h.control, h.end, h.pools[k := y], h.used - Bytes(x.pool[l..e]) + Bytes(r),
       h.live - Used(x.pool[l..e]) + Used(r))
}

lemma StepKeeps(h: Heap, k: nat, l: nat, e: nat, r: Pool)
  requires SoundHeap(h) && k < |h.pools| && Fits(h.pools[k].pool, l, e, r)
  ensures SoundHeap(Step(h, k, l, e, r))
{
  var x := h.pools[k];
  PoolKeeps(x.pool, x.flags, l, e, r);
  Parts(x.pool, l, e, r);
  var y := Placed(x.at, Replaced(x.pool, l, e, r), Flags(x.flags, l, e, r));
  Sums(h.pools, k, y);
  assert End(y) == End(x);
  var after := Step(h, k, l, e, r);
  assert forall i :: 0 <= i < |h.pools| ==>
    after.pools[i].at == h.pools[i].at && End(after.pools[i]) == End(h.pools[i]);
}

// The calls. What a block becomes of which k quanta are taken from `gap` on.
function Carve(size: nat, gap: nat, k: nat): Pool requires gap + k <= size
{ (if gap == 0 then [] else [B(true, gap)]) + Cut(B(true, size - gap), k) }

lemma One(b: Block)
  ensures Total([b]) == b.size && Used([b]) == (if b.isFree then 0 else 1)
  ensures Bytes([b]) == (if b.isFree then 0 else b.size)
{ assert [b][1..] == []; }

lemma CutFits(b: Block, k: nat)
  requires b.size >= k >= MIN
  ensures Total(Cut(b, k)) == b.size && Used(Cut(b, k)) == 1
{
  var r := Cut(b, k);
  One(r[0]);
  if |r| == 2 {
    One(r[1]);
    assert r == [r[0]] + [r[1]];
    TotalOfSum([r[0]], [r[1]]); UsedOfSum([r[0]], [r[1]]);
  }
}

// malloc (no gap) and memalign.
lemma TakingFits(p: Pool, i: nat, gap: nat, k: nat)
  requires Sound(p, Total(p)) && i < |p| && p[i].isFree && k >= MIN && gap + k <= p[i].size
  requires gap == 0 || gap >= MIN
  ensures Fits(p, i, i + 1, Carve(p[i].size, gap, k))
  ensures Used(Carve(p[i].size, gap, k)) == 1 && Used(p[i..i + 1]) == 0
{
  var cut := Cut(B(true, p[i].size - gap), k);
  var r := Carve(p[i].size, gap, k);
  CutFits(B(true, p[i].size - gap), k);
  One(B(true, gap)); One(p[i]);
  if gap > 0 { TotalOfSum([B(true, gap)], cut); UsedOfSum([B(true, gap)], cut); }
  else { assert r == cut; }
  assert p[i..i + 1] == [p[i]];
}

// free, with both merges. What it counts is the block's size.
lemma FreeingFits(p: Pool, i: nat)
  requires Sound(p, Total(p)) && i < |p| && !p[i].isFree
  ensures Fits(p, Low(p, i), High(p, i), [B(true, Total(p[Low(p, i)..High(p, i)]))])
  ensures Bytes(p[Low(p, i)..High(p, i)]) == p[i].size && Used(p[Low(p, i)..High(p, i)]) == 1
{
  var l, e := Low(p, i), High(p, i);
  AtLeast(p[l..e]);
  One(p[i]); One(B(true, Total(p[l..e])));
  if l < i { assert p[l..i] == [p[l]]; One(p[l]); }
  if i + 1 < e { assert p[i + 1..e] == [p[i + 1]]; One(p[i + 1]); }
  assert p[l..e] == p[l..i] + [p[i]] + p[i + 1..e];
  BytesOfSum(p[l..i] + [p[i]], p[i + 1..e]); BytesOfSum(p[l..i], [p[i]]);
  UsedOfSum(p[l..i] + [p[i]], p[i + 1..e]); UsedOfSum(p[l..i], [p[i]]);
}

// realloc in place, to less or more: from `l` on, the block itself or the free one before it, whose
// place the contents then move to. A free block behind takes part, whatever remains.
lemma ResizingFits(p: Pool, i: nat, l: nat, k: nat)
  requires Sound(p, Total(p)) && i < |p| && !p[i].isFree && k >= MIN
  requires l == i || (l + 1 == i && p[l].isFree)
  requires k <= Total(p[l..High(p, i)])
  ensures Fits(p, l, High(p, i), Cut(B(true, Total(p[l..High(p, i)])), k))
  ensures Used(Cut(B(true, Total(p[l..High(p, i)])), k)) == 1 && Used(p[l..High(p, i)]) == 1
{
  var e := High(p, i);
  CutFits(B(true, Total(p[l..e])), k);
  One(p[i]);
  if l < i { assert p[l..i] == [p[l]]; One(p[l]); }
  if i + 1 < e { assert p[i + 1..e] == [p[i + 1]]; One(p[i + 1]); }
  assert p[l..e] == p[l..i] + [p[i]] + p[i + 1..e];
  UsedOfSum(p[l..i] + [p[i]], p[i + 1..e]); UsedOfSum(p[l..i], [p[i]]);
}
