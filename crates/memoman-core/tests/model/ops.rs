//! A program: a set-up and operations. Blocks and pools are named by a number modulo their count,
//! sizes relative to a bound, so that every operation has a meaning in every state, and a program
//! remains valid when proptest removes operations.

use memoman_core::Tlsf;
use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;

/// Bytes of memory for control structure and pools.
pub(crate) const ARENA: usize = 40 << 10;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Size {
    Bytes(usize),
    /// This far from the largest request that would succeed.
    Largest(isize),
    /// This far from the largest request of the instance.
    Limit(isize),
    /// This far below an end of the address space.
    Huge(u32, usize),
}

/// A pointer that is no live block.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wild {
    Misaligned(usize),
    Interior,
    Free,
    Below,
    Above,
}

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Malloc(Size),
    Calloc(Size, usize),
    Memalign(usize, Size),
    Realloc(usize, Size),
    ReallocAligned(usize, usize, Size),
    /// Resized in place or not at all; the alignment is the quantum times two to this power.
    InPlace(usize, u32, Size),
    Free(usize),
    /// free, realloc and realloc_aligned of a pointer that is no live block.
    Misuse(usize, Wild),
    /// Every hot call on an intercepted instance.
    Intercepted(usize),
    /// Any range of the arena.
    AddPool(usize, usize),
    ExtendPool(usize, Size),
    /// The number of a pool, and the pointer's distance from its start.
    RemovePool(usize, usize),
    Reset,
    /// One step of the validation that runs between all other operations.
    Step(usize),
    /// All steps from the start.
    Sweep(usize),
    /// A refused request that the layer above withdraws.
    Withdraw(Size),
}

#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// None: a default instance, created together with its first pool.
    pub(crate) max_block: Option<usize>,
    pub(crate) control_at: usize,
    pub(crate) pools: Vec<(usize, usize)>,
}

fn size() -> impl Strategy<Value = Size> {
    prop_oneof![
        6 => (1usize..=64).prop_map(Size::Bytes),
        6 => (1usize..=1_100).prop_map(Size::Bytes),
        4 => (1usize..=9_000).prop_map(Size::Bytes),
        2 => (-40isize..=40).prop_map(Size::Largest),
        1 => (-40isize..=40).prop_map(Size::Limit),
        1 => (0u32..4, 0usize..80).prop_map(|(k, n)| Size::Huge(k, n)),
        1 => Just(Size::Bytes(0)),
    ]
}

fn align() -> impl Strategy<Value = usize> {
    prop_oneof![
        12 => (0u32..13).prop_map(|k| 1 << k),
        1 => (0u32..8).prop_map(|k| 1 << (usize::BITS - 1 - k)),
        1 => any::<usize>(),
        1 => Just(0usize),
    ]
}

fn range() -> impl Strategy<Value = (usize, usize)> {
    let bytes = prop_oneof![0usize..200, 100usize..4_000, 1_000usize..20_000];
    (0..ARENA, bytes).prop_map(|(start, bytes)| {
        (
            start.min(ARENA - 1),
            bytes.min(ARENA - start.min(ARENA - 1)),
        )
    })
}

/// The programs. The reference state is the set-up only, since it cannot predict the placement of
/// blocks; the shadow is kept beside the heap.
#[derive(Clone, Debug)]
pub(crate) struct Program;

impl ReferenceStateMachine for Program {
    type State = Setup;
    type Transition = Op;

    fn init_state() -> BoxedStrategy<Setup> {
        let max_block = prop_oneof![
            3 => Just(None),
            3 => Just(Some(Tlsf::DEFAULT_MAX_BLOCK)),
            8 => proptest::sample::select(vec![0, 1, 24, 100, 256, 1_000, 4_096, 1 << 14, 1 << 16])
                .prop_map(Some),
        ];
        (
            max_block,
            0..ARENA - (10 << 10),
            prop::collection::vec(range(), 1..5),
        )
            .prop_map(|(max_block, control_at, pools)| Setup {
                max_block,
                control_at,
                pools,
            })
            .boxed()
    }

    fn transitions(_: &Setup) -> BoxedStrategy<Op> {
        let number = 0usize..1 << 16;
        prop_oneof![
            20 => size().prop_map(Op::Malloc),
            4 => (size(), prop_oneof![4 => 1usize..64, 1 => any::<usize>()])
                .prop_map(|(count, size)| Op::Calloc(count, size)),
            9 => (align(), size()).prop_map(|(align, size)| Op::Memalign(align, size)),
            14 => (number.clone(), size()).prop_map(|(block, size)| Op::Realloc(block, size)),
            7 => (number.clone(), align(), size())
                .prop_map(|(block, align, size)| Op::ReallocAligned(block, align, size)),
            4 => (number.clone(), 0u32..7, size())
                .prop_map(|(block, align, size)| Op::InPlace(block, align, size)),
            22 => number.clone().prop_map(Op::Free),
            1 => number.clone().prop_map(Op::Intercepted),
            4 => (number.clone(), prop_oneof![
                (1..Tlsf::ALIGN).prop_map(Wild::Misaligned),
                Just(Wild::Interior),
                Just(Wild::Free),
                Just(Wild::Below),
                Just(Wild::Above),
            ]).prop_map(|(block, wild)| Op::Misuse(block, wild)),
            3 => range().prop_map(|(start, bytes)| Op::AddPool(start, bytes)),
            3 => (number.clone(), size()).prop_map(|(pool, more)| Op::ExtendPool(pool, more)),
            3 => (number, prop_oneof![4 => Just(0usize), 1 => 1usize..200])
                .prop_map(|(pool, off)| Op::RemovePool(pool, off)),
            1 => Just(Op::Reset),
            3 => (0usize..6).prop_map(Op::Step),
            1 => (0usize..6).prop_map(Op::Sweep),
            1 => size().prop_map(Op::Withdraw),
        ]
        .boxed()
    }

    fn apply(setup: Setup, _: &Op) -> Setup {
        setup
    }
}
