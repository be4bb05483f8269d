//! The game: an adversary chooses each call within the promise, memoman's own core answers. Every
//! state that any order of calls reaches is visited, or the count of states hits its cap.
//!
//! A state is what decides the heap's later answers: size, use and class of each block in address
//! order, and the order of the free lists. A snapshot of control structure and pool restores it.

use std::collections::HashSet;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use super::input::{Lifetime, Order, Promise};
use crate::heap::{FIRST_PAYLOAD, Memory, PoolHeap};
use crate::progress::Progress;

/// A call of the adversary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Move {
    /// Allocate a block of this class.
    Allocate(u16),
    /// Free the live block at this payload offset.
    Free(u32),
    /// Resize the live block at this offset to another class.
    Resize(u32, u16),
}

/// What the game has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Played {
    pub(crate) states: usize,
    /// Bytes for blocks that some order of calls took, at most.
    pub(crate) worst: u64,
    /// Every reachable state was visited.
    pub(crate) complete: bool,
    /// The calls up to the first request within the promise that the pool refused.
    pub(crate) refused: Option<Vec<Move>>,
}

/// Why the game is not played with a promise.
pub(crate) fn unplayable(promise: &Promise) -> Option<&'static str> {
    if promise.bits != usize::BITS {
        return Some("the game needs the target's word size, which this machine has not");
    }
    if promise.classes.iter().any(|class| class.varies) {
        return Some("the game is played with fixed sizes, and a class says `varies`");
    }
    if promise.order == Order::Stack {
        return Some("in stack order the sum of the blocks is exact");
    }
    None
}

/// Plays in a pool with `usable` bytes for blocks, up to `cap` states. None when there is no memory
/// for it, or the pool is too large for snapshots.
pub(crate) fn play(promise: &Promise, usable: u64, cap: usize) -> Option<Played> {
    const LARGEST: usize = 64 << 10;
    let pool = usize::try_from(usable).ok()?.checked_add(FIRST_PAYLOAD)?;
    if pool > LARGEST {
        return None;
    }
    let mut memory = Memory::reserve(pool).ok()?;
    let heap = PoolHeap::new(&mut memory, max_block(promise), 0, pool)?;
    Some(Game::new(promise, heap).run(cap))
}

/// The largest request that the heap's control structure must serve, the gap of an aligned one
/// included.
pub(crate) fn max_block(promise: &Promise) -> usize {
    super::bound::single(promise).max_block as usize
}

/// A live block.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Live {
    offset: u32,
    class: u16,
}

/// Words of snapshots that a game loads at most: some seconds.
const COPIED: usize = 1 << 30;

/// The part of [`COPIED`] that so many states are of those that are allowed.
fn share(states: usize, cap: usize) -> u64 {
    (COPIED as f64 * states as f64 / cap.max(1) as f64) as u64
}

/// A state that has not been played from.
struct Pending {
    number: u32,
    /// The words that differ from those of the start.
    words: Box<[(u32, usize)]>,
    live: Box<[Live]>,
}

struct Game<'a> {
    promise: &'a Promise,
    heap: PoolHeap<'a>,
    /// The image of the start, and its copy that becomes another state's.
    start: Vec<usize>,
    image: Vec<usize>,
    seen: HashSet<u128>,
    /// For each state, the one before it and the call between.
    paths: Vec<(u32, Move)>,
    pending: Vec<Pending>,
    worst: usize,
}

impl<'a> Game<'a> {
    fn new(promise: &'a Promise, heap: PoolHeap<'a>) -> Game<'a> {
        let start = heap.image();
        Game {
            promise,
            heap,
            image: start.clone(),
            start,
            seen: HashSet::new(),
            paths: Vec::new(),
            pending: Vec::new(),
            worst: 0,
        }
    }

    fn run(mut self, cap: usize) -> Played {
        let mut live = Vec::new();
        let mut front = Vec::new();
        let quantum = self.promise.geometry().quantum();
        for (index, class) in self.promise.classes.iter().enumerate() {
            if class.lifetime == Lifetime::Permanent && class.align <= quantum {
                front.extend((0..class.count).map(|_| index as u16));
            }
        }
        for class in front {
            let Some(block) = self.allocate(class) else {
                return self.ended(Some(vec![Move::Allocate(class)]), true);
            };
            live.push(block);
        }
        self.reached(0, Move::Free(0), live);
        let mut copied = 0;
        let mut progress = Progress::new("playing", COPIED as u64);
        let mut played = 0u64;
        while let Some(state) = self.pending.pop() {
            let calls = self.calls(&state.live);
            copied += calls.len() * self.start.len();
            if self.seen.len() > cap || copied > COPIED {
                return self.ended(None, false);
            }
            played += 1;
            if played.is_multiple_of(1024) {
                progress.at((copied as u64).max(share(self.seen.len(), cap)));
            }
            for call in calls {
                self.load(&state);
                let Some(live) = self.make(call, &state.live) else {
                    let path = self.path(state.number, call);
                    return self.ended(Some(path), true);
                };
                self.reached(state.number, call, live);
            }
        }
        self.ended(None, true)
    }

    fn ended(&self, refused: Option<Vec<Move>>, complete: bool) -> Played {
        Played {
            states: self.seen.len(),
            worst: (self.worst - FIRST_PAYLOAD.min(self.worst)) as u64,
            complete,
            refused,
        }
    }

    /// Every call that the promise allows.
    fn calls(&self, live: &[Live]) -> Vec<Move> {
        let classes = &self.promise.classes;
        let has_room = |class: usize| {
            let alive = live
                .iter()
                .filter(|block| block.class as usize == class)
                .count();
            (alive as u64) < classes[class].count
        };
        let may_move =
            |block: &&Live| classes[block.class as usize].lifetime != Lifetime::Permanent;
        let room: Vec<u16> = (0..classes.len())
            .filter(|&class| has_room(class))
            .map(|class| class as u16)
            .collect();
        let mut calls: Vec<Move> = room.iter().map(|&class| Move::Allocate(class)).collect();
        for block in live.iter().filter(may_move) {
            calls.push(Move::Free(block.offset));
            if self.promise.realloc {
                let others = room.iter().filter(|&&class| class != block.class);
                calls.extend(others.map(|&class| Move::Resize(block.offset, class)));
            }
        }
        calls
    }

    /// Makes a call; the live blocks after it, in address order. None when it was refused.
    fn make(&mut self, call: Move, live: &[Live]) -> Option<Vec<Live>> {
        let mut live = live.to_vec();
        match call {
            Move::Allocate(class) => live.push(self.allocate(class)?),
            Move::Free(offset) => {
                live.retain(|block| block.offset != offset);
                let block = self.heap.at(offset as usize);
                // SAFETY: the state's snapshot is loaded, in which this block is live.
                unsafe { self.heap.free(block) };
            }
            Move::Resize(offset, class) => {
                live.retain(|block| block.offset != offset);
                let to = &self.promise.classes[class as usize];
                let block = self.heap.at(offset as usize);
                let (align, size) = (to.align as usize, to.size as usize);
                // SAFETY: the state's snapshot is loaded, in which this block is live.
                let moved = unsafe { self.heap.realloc_aligned(block, align, size) }?;
                live.push(self.live(moved, class));
            }
        }
        live.sort_unstable_by_key(|block| block.offset);
        Some(live)
    }

    fn allocate(&mut self, class: u16) -> Option<Live> {
        let of = &self.promise.classes[class as usize];
        let (align, size) = (of.align as usize, of.size as usize);
        let block = if of.align > self.promise.geometry().quantum() {
            self.heap.memalign(align, size)
        } else {
            self.heap.malloc(size)
        }?;
        Some(self.live(block, class))
    }

    fn live(&self, block: std::ptr::NonNull<u8>, class: u16) -> Live {
        Live {
            offset: self.heap.offset_of(block) as u32,
            class,
        }
    }

    /// Notes the present state, unless it was reached before.
    fn reached(&mut self, from: u32, call: Move, live: Vec<Live>) {
        let mut blocks: Vec<(usize, usize, bool)> = Vec::with_capacity(2 * live.len() + 1);
        self.heap
            .walk(&mut |offset, bytes, used| blocks.push((offset, bytes, used)));
        for &(offset, bytes, used) in &blocks {
            if used {
                self.worst = self.worst.max(offset + bytes);
            }
        }
        let mut hashes = [DefaultHasher::new(), DefaultHasher::new()];
        hashes[1].write_u8(1);
        for hash in &mut hashes {
            for &(offset, bytes, used) in &blocks {
                (bytes, used).hash(hash);
                if !used {
                    let next = self.heap.link_at(offset);
                    let place = blocks
                        .iter()
                        .position(|block| self.heap.at(block.0).as_ptr().addr() == next);
                    place.hash(hash);
                }
            }
            live.hash(hash);
        }
        let key = u128::from(hashes[0].finish()) << 64 | u128::from(hashes[1].finish());
        if !self.seen.insert(key) {
            return;
        }
        debug_assert!(self.heap.is_sound());
        let number = self.paths.len() as u32;
        self.paths.push((from, call));
        let image = self.heap.image();
        let changed = image.iter().zip(&self.start).enumerate();
        let words = changed
            .filter(|(_, (now, start))| now != start)
            .map(|(index, (&now, _))| (index as u32, now))
            .collect();
        self.pending.push(Pending {
            number,
            words,
            live: live.into_boxed_slice(),
        });
    }

    fn load(&mut self, state: &Pending) {
        self.image.copy_from_slice(&self.start);
        for &(index, word) in &state.words {
            self.image[index as usize] = word;
        }
        self.heap.restore(&self.image);
    }

    /// The calls from the start to a state, and one more.
    fn path(&self, state: u32, last: Move) -> Vec<Move> {
        let mut calls = vec![last];
        let mut at = state;
        while at != 0 {
            let (before, call) = self.paths[at as usize];
            calls.push(call);
            at = before;
        }
        calls.reverse();
        calls
    }
}

/// The smallest pool, in bytes for blocks, that was found by playing in pools of each size: none of
/// the games in it is refused, and one in a quantum less is.
pub(crate) struct Exact {
    pub(crate) usable: u64,
    pub(crate) states: usize,
    /// The calls that a pool of one quantum less refuses.
    pub(crate) one_less: Option<Vec<Move>>,
}

/// Plays for the exact size. None when the states are too many.
pub(crate) fn exact(promise: &Promise, worst: u64, enough: u64, cap: usize) -> Option<Exact> {
    const STEPS: u64 = 64;
    let quantum = promise.geometry().quantum();
    for usable in (worst..=enough)
        .step_by(quantum as usize)
        .take(STEPS as usize)
    {
        let played = play(promise, usable, cap)?;
        if !played.complete {
            return None;
        }
        if played.refused.is_none() {
            return Some(least(promise, usable, played.states, cap));
        }
    }
    None
}

/// Goes down from a size that serves. What the blocks took in a larger pool can be more than they
/// need: at the pool's end a large block is cut short, a resized one goes elsewhere.
fn least(promise: &Promise, mut usable: u64, mut states: usize, cap: usize) -> Exact {
    const STEPS: usize = 256;
    let quantum = promise.geometry().quantum();
    let mut one_less = None;
    for _ in 0..STEPS {
        let less = usable.checked_sub(quantum);
        let Some(played) = less.and_then(|less| play(promise, less, cap)) else {
            break;
        };
        if played.refused.is_some() || !played.complete {
            one_less = played.refused;
            break;
        }
        usable -= quantum;
        states = played.states;
    }
    Exact {
        usable,
        states,
        one_less,
    }
}
