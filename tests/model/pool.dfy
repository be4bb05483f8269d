// A pool as a sequence of blocks. Whatever is taken and freed, it stays tiled, without free
// neighbours (I4, I6), and with nothing in use it is one free block.
datatype Block = B(isFree: bool, size: nat)
type Pool = seq<Block>

const MIN := 2  // quanta

function Total(p: Pool): nat { if p == [] then 0 else p[0].size + Total(p[1..]) }

// I4 and I6: no two free neighbours; every block at least the smallest; they tile n quanta.
predicate Sound(p: Pool, n: nat) {
  (forall i :: 0 <= i < |p| ==> p[i].size >= MIN) &&
  (forall i :: 0 <= i < |p| - 1 ==> !(p[i].isFree && p[i + 1].isFree)) &&
  Total(p) == n
}

lemma TotalOfSum(a: Pool, b: Pool)
  ensures Total(a + b) == Total(a) + Total(b)
{
  if a == [] { assert a + b == b; }
  else { assert (a + b)[1..] == a[1..] + b; TotalOfSum(a[1..], b); }
}

lemma TotalOfThree(a: Pool, b: Pool, c: Pool)
  ensures Total(a + b + c) == Total(a) + Total(b) + Total(c)
{ TotalOfSum(a + b, c); TotalOfSum(a, b); }

predicate Serves(p: Pool, i: int, k: nat) { 0 <= i < |p| && p[i].isFree && p[i].size >= k }

// A block is cut at k quanta, if what remains is a block.
function Cut(b: Block, k: nat): Pool requires b.size >= k
{ if b.size - k >= MIN then [B(false, k), B(true, b.size - k)] else [B(false, b.size)] }

function Malloc(p: Pool, i: nat, k: nat): Pool
  requires Serves(p, i, k)
{
  p[..i] + Cut(p[i], k) + p[i + 1..]
}

function Low(p: Pool, i: nat): nat requires i < |p|
{ if i > 0 && p[i - 1].isFree then i - 1 else i }
function High(p: Pool, i: nat): nat requires i < |p|
{ if i + 1 < |p| && p[i + 1].isFree then i + 2 else i + 1 }

function Free(p: Pool, i: nat): Pool
  requires i < |p| && !p[i].isFree
{ p[..Low(p, i)] + [B(true, Total(p[Low(p, i)..High(p, i)]))] + p[High(p, i)..] }

lemma MallocKeepsSound(p: Pool, i: nat, k: nat, n: nat)
  requires Sound(p, n) && Serves(p, i, k) && k >= MIN
  ensures Sound(Malloc(p, i, k), n)
{
  var cut := Cut(p[i], k);
  assert p == p[..i] + [p[i]] + p[i + 1..];
  TotalOfThree(p[..i], [p[i]], p[i + 1..]);
  TotalOfThree(p[..i], cut, p[i + 1..]);
  if |cut| == 2 { TotalOfSum([cut[0]], [cut[1]]); assert cut == [cut[0]] + [cut[1]]; }
  assert Total(cut) == p[i].size;
}

lemma AtLeast(p: Pool)
  requires p != [] && forall i :: 0 <= i < |p| ==> p[i].size >= MIN
  ensures Total(p) >= MIN
{ }

lemma FreeKeepsSound(p: Pool, i: nat, n: nat)
  requires Sound(p, n) && i < |p| && !p[i].isFree
  ensures Sound(Free(p, i), n)
{
  var l, h := Low(p, i), High(p, i);
  assert p == p[..l] + p[l..h] + p[h..];
  TotalOfThree(p[..l], p[l..h], p[h..]);
  TotalOfThree(p[..l], [B(true, Total(p[l..h]))], p[h..]);
  AtLeast(p[l..h]);
}

function Used(p: Pool): nat { if p == [] then 0 else (if p[0].isFree then 0 else 1) + Used(p[1..]) }

lemma UsedOfSum(a: Pool, b: Pool)
  ensures Used(a + b) == Used(a) + Used(b)
{
  if a == [] { assert a + b == b; }
  else { assert (a + b)[1..] == a[1..] + b; UsedOfSum(a[1..], b); }
}

lemma FreeCountsOne(p: Pool, i: nat)
  requires i < |p| && !p[i].isFree
  ensures Used(Free(p, i)) == Used(p) - 1
{
  var l, h := Low(p, i), High(p, i);
  assert p == p[..l] + p[l..h] + p[h..];
  UsedOfSum(p[..l] + p[l..h], p[h..]); UsedOfSum(p[..l], p[l..h]);
  UsedOfSum(p[..l] + [B(true, Total(p[l..h]))], p[h..]);
  UsedOfSum(p[..l], [B(true, Total(p[l..h]))]);
  assert p[l..h] == p[l..i] + [p[i]] + p[i + 1..h];
  UsedOfSum(p[l..i] + [p[i]], p[i + 1..h]); UsedOfSum(p[l..i], [p[i]]);
}

lemma NoneUsed(p: Pool)
  requires Used(p) == 0
  ensures forall i :: 0 <= i < |p| ==> p[i].isFree
{ if p != [] { NoneUsed(p[1..]); } }

lemma SomeUsed(p: Pool) returns (i: nat)
  requires Used(p) > 0
  ensures i < |p| && !p[i].isFree
{ if !p[0].isFree { i := 0; } else { i := SomeUsed(p[1..]); i := i + 1; } }

// A pool with nothing in use is one free block: the initial pool. However it came about.
lemma NothingInUseIsInitial(p: Pool, n: nat)
  requires Sound(p, n) && n > 0 && Used(p) == 0
  ensures p == [B(true, n)]
{
  NoneUsed(p);
  if |p| >= 2 { assert p[0].isFree && p[0 + 1].isFree; }
}

// Freeing all that is in use, in any order, gives the initial pool.
lemma FreeAll(p: Pool, n: nat) returns (q: Pool)
  requires Sound(p, n) && n > 0
  ensures q == [B(true, n)]
{
  q := p;
  while Used(q) > 0
    invariant Sound(q, n)
    decreases Used(q)
  {
    ghost var i := SomeUsed(q);
    FreeKeepsSound(q, i, n); FreeCountsOne(q, i);
    q := Free(q, i);
  }
  NothingInUseIsInitial(q, n);
}
