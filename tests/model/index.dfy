// The index of the free blocks: lists by bin, and two levels of bits. Whatever the table of size
// classes, inserting and removing keep I1 to I3, and the search finds what `largest` promises.

// A free block: where it begins and its size, both in quanta.
datatype Span = Span(at: nat, size: nat)

// `edges`: the smallest size of each bin from bin 1 on. A block that ends at `high` is the
// wilderness, whose list is bin 0.
datatype Index = Index(edges: seq<nat>, high: nat, lists: seq<seq<Span>>, second: seq<bool>,
                       first: seq<bool>)

predicate Edges(e: seq<nat>) {
  |e| > 0 && e[0] == 0 && forall i, j :: 0 <= i < j < |e| ==> e[i] < e[j]
}

// The last bin whose edge is at most this size.
function Class(e: seq<nat>, size: nat): nat
  requires Edges(e)
  ensures Class(e, size) < |e| && e[Class(e, size)] <= size
  ensures forall i :: Class(e, size) < i < |e| ==> size < e[i]
{
  if e[|e| - 1] <= size then |e| - 1 else Class(e[..|e| - 1], size)
}

lemma ClassIsMonotone(e: seq<nat>, small: nat, large: nat)
  requires Edges(e) && small <= large
  ensures Class(e, small) <= Class(e, large)
{ }

function Bin(x: Index, s: Span): nat requires Edges(x.edges)
{ if s.at + s.size == x.high then 0 else 1 + Class(x.edges, s.size) }

predicate Distinct(l: seq<Span>) { forall i, j :: 0 <= i < j < |l| ==> l[i] != l[j] }

predicate SomeBit(bits: seq<bool>, word: nat) {
  exists b :: 0 <= b < |bits| && b / 64 == word && bits[b]
}

predicate Shaped(x: Index) {
  Edges(x.edges) && |x.lists| == |x.edges| + 1 && |x.second| == |x.lists| &&
  |x.first| == |x.lists| / 64 + 1
}

// I1: both levels of bits.
predicate I1(x: Index) requires Shaped(x) {
  (forall b :: 0 <= b < |x.lists| ==> (x.second[b] <==> x.lists[b] != [])) &&
  (forall w :: 0 <= w < |x.first| ==> (x.first[w] <==> SomeBit(x.second, w)))
}
// I2: what is listed is free and in its bin. I3: what is free is listed, once.
predicate I2(x: Index, spans: set<Span>) requires Shaped(x) {
  forall b, s :: 0 <= b < |x.lists| && s in x.lists[b] ==> s in spans && Bin(x, s) == b
}
predicate I3(x: Index, spans: set<Span>) requires Shaped(x) {
  (forall s :: s in spans ==> s in x.lists[Bin(x, s)]) &&
  (forall b :: 0 <= b < |x.lists| ==> Distinct(x.lists[b]))
}
// (Opaque: revealed only to the lemmas of this file.)
predicate {:opaque} Listed(x: Index, spans: set<Span>) requires Shaped(x)
{ I1(x) && I2(x, spans) && I3(x, spans) }
predicate Indexed(x: Index, spans: set<Span>) { Shaped(x) && Listed(x, spans) }

function Insert(x: Index, s: Span): Index requires Shaped(x) ensures Shaped(Insert(x, s))
{
  var b := Bin(x, s);
  Index(x.edges, x.high, x.lists[b := [s] + x.lists[b]], x.second[b := true],
        x.first[b / 64 := true])
}

function Without(l: seq<Span>, s: Span): seq<Span>
{ if l == [] then [] else if l[0] == s then l[1..] else [l[0]] + Without(l[1..], s) }

lemma WithoutRemovesOne(l: seq<Span>, s: Span)
  requires Distinct(l)
  ensures Distinct(Without(l, s))
  ensures forall t :: t in Without(l, s) <==> t in l && t != s
{
  if l != [] {
    assert forall i :: 0 <= i < |l[1..]| ==> l[1..][i] == l[i + 1];
    assert Distinct(l[1..]) && l[0] !in l[1..];
    WithoutRemovesOne(l[1..], s);
    assert l == [l[0]] + l[1..];
    assert forall t :: t in l <==> t == l[0] || t in l[1..];
    var rest := Without(l[1..], s);
    assert l[0] !in rest && Distinct([l[0]] + rest);
  }
}

function Remove(x: Index, s: Span): Index requires Shaped(x) ensures Shaped(Remove(x, s))
{
  var b := Bin(x, s);
  var list := Without(x.lists[b], s);
  var second := x.second[b := list != []];
  Index(x.edges, x.high, x.lists[b := list], second,
        x.first[b / 64 := SomeBit(second, b / 64)])
}

lemma InsertKeeps(x: Index, spans: set<Span>, s: Span)
  requires Indexed(x, spans) && s !in spans
  ensures Indexed(Insert(x, s), spans + {s})
{
  reveal Listed();
  var y, b := Insert(x, s), Bin(x, s);
  assert forall t :: Bin(y, t) == Bin(x, t);
  assert forall t :: t in y.lists[b] <==> t == s || t in x.lists[b];
  assert y.second[b];
  forall w | 0 <= w < |y.first| ensures y.first[w] <==> SomeBit(y.second, w) {
    if w == b / 64 { assert SomeBit(y.second, w); }
    else {
      assert forall c :: 0 <= c < |x.second| && c / 64 == w ==> x.second[c] == y.second[c];
      assert SomeBit(x.second, w) <==> SomeBit(y.second, w);
    }
  }
}

lemma RemoveKeeps(x: Index, spans: set<Span>, s: Span)
  requires Indexed(x, spans) && s in spans
  ensures Indexed(Remove(x, s), spans - {s})
{
  reveal Listed();
  var y, b := Remove(x, s), Bin(x, s);
  assert forall t :: Bin(y, t) == Bin(x, t);
  WithoutRemovesOne(x.lists[b], s);
  forall w | 0 <= w < |y.first| ensures y.first[w] <==> SomeBit(y.second, w) {
    if w != b / 64 {
      assert forall c :: 0 <= c < |x.second| && c / 64 == w ==> x.second[c] == y.second[c];
      assert SomeBit(x.second, w) <==> SomeBit(y.second, w);
    }
  }
}

// The search: the first of the request's own list, if it is large enough; the first of the next
// bin that is not empty; the wilderness.
datatype Found = None | Some(span: Span)

function Next(x: Index, b: nat): nat requires Shaped(x) && b <= |x.lists|
  ensures b <= Next(x, b) <= |x.lists|
  ensures Next(x, b) < |x.lists| ==> x.second[Next(x, b)]
  ensures forall c :: b <= c < Next(x, b) ==> !x.second[c]
  decreases |x.lists| - b
{ if b == |x.lists| || x.second[b] then b else Next(x, b + 1) }

function Wilderness(x: Index, size: nat): Found requires Shaped(x)
{ if x.lists[0] != [] && x.lists[0][0].size >= size then Some(x.lists[0][0]) else None }

function Search(x: Index, size: nat): Found requires Shaped(x)
{
  var own := 1 + Class(x.edges, size);
  var above := Next(x, own + 1);
  if x.lists[own] != [] && x.lists[own][0].size >= size then Some(x.lists[own][0])
  else if above < |x.lists| && x.lists[above] != [] then Some(x.lists[above][0])
  else Wilderness(x, size)
}

// The last bin but the wilderness's that is not empty; 0: there is none.
function Last(x: Index, below: nat): nat requires Shaped(x) && below <= |x.lists|
  ensures Last(x, below) == 0 || (Last(x, below) < below && x.second[Last(x, below)])
  ensures forall c :: Last(x, below) < c < below ==> !x.second[c]
{ if below <= 1 then 0 else if x.second[below - 1] then below - 1 else Last(x, below - 1) }

function Largest(x: Index): nat requires Shaped(x)
{
  var top := Last(x, |x.lists|);
  var listed := if top == 0 || x.lists[top] == [] then 0 else x.lists[top][0].size;
  var rest := if x.lists[0] == [] then 0 else x.lists[0][0].size;
  if listed > rest then listed else rest
}

// What the search finds is free and large enough; it finds something for every size up to Largest.
lemma SearchServes(x: Index, spans: set<Span>, size: nat)
  requires Indexed(x, spans) && size > 0
  ensures Search(x, size).Some? ==>
            Search(x, size).span in spans && Search(x, size).span.size >= size
  ensures size <= Largest(x) ==> Search(x, size).Some?
{
  reveal Listed();
  var own := 1 + Class(x.edges, size);
  var above := Next(x, own + 1);
  if above < |x.lists| {
    var s := x.lists[above][0];
    assert s in x.lists[above];
    assert Bin(x, s) == above > own;
    if s.size < size { ClassIsMonotone(x.edges, s.size, size); }
  }
  var top := Last(x, |x.lists|);
  if top != 0 {
    var s := x.lists[top][0];
    assert s in x.lists[top];
    assert Bin(x, s) == top;
    if size <= s.size { ClassIsMonotone(x.edges, size, s.size); }
  }
  if x.lists[own] != [] { assert x.lists[own][0] in x.lists[own]; }
  if x.lists[0] != [] { assert x.lists[0][0] in x.lists[0]; }
}
