"""The proof's scenes, and what each scene fixes: tables only."""

MAX_BLOCK = 1 << 40
POOL = 1 << 42
REST = "rest"  # the free block that ends the pool, the wilderness
SMALL_REST = "small rest"

# The free blocks' sizes, one for each kind of bin: exact, first coarse, coarse, last. In the run
# each size is unknown within its bin.
FREE_BLOCKS = {
    "no_free_block": [],
    "smallest": [32],
    "exact": [1008],
    "coarse": [2064],
    "large": [1 << 20],
    "last_bin": [2 * MAX_BLOCK],
    "small_and_last_bin": [48, 2 * MAX_BLOCK],
    "two_of_one_bin": [4096, 4096],
    "wilderness": [REST],
    "small_wilderness": [SMALL_REST],
    "coarse_and_wilderness": [2064, REST],
}

# The resized block and its neighbours: the free block before it, the block, the free block after
# it (0: in use); and the free blocks elsewhere.
NEIGHBOURS = {
    f"{name}_{elsewhere}": (sizes, FREE_BLOCKS[elsewhere])
    for name, sizes in {
        "alone": (0, 1008, 0),
        "next_free": (0, 1008, 2064),
        "prev_free": (2064, 1008, 0),
        "both_free": (4096, 1008, 2064),
        "smallest_both_free": (32, 32, 32),
        "largest_both_free": (MAX_BLOCK, MAX_BLOCK, MAX_BLOCK // 2),
    }.items()
    for elsewhere in ("no_free_block", "coarse")
}

NO_POWER = "no power of two"
# The alignments: none, up to the quantum, above it, around the largest block, the largest. Each
# with all requests.
ALIGNMENTS = [
    [NO_POWER, 0, 1, 16],
    [32, 64],
    [128, 4096],
    [1 << 20, 1 << 39],
    [1 << 40, 1 << 44, 1 << 62, 1 << 63],
]
ALIGNED_SCENES = [
    "no_free_block",
    "exact",
    "coarse",
    "last_bin",
    "wilderness",
    "prev_free_no_free_block",
    "both_free_coarse",
    "largest_both_free_coarse",
]


class Plan:
    """The scenes of one function, and the lists of alignments that each is run with."""

    def __init__(self, name, aligned=False, resizes=False):
        self.name, self.aligned, self.resizes = name, aligned, resizes
        scenes = (
            NEIGHBOURS
            if resizes
            else {scene: ((0, 1008, 0), free) for scene, free in FREE_BLOCKS.items()}
        )
        self.scenes = {
            scene: parts
            for scene, parts in scenes.items()
            if not aligned or scene in ALIGNED_SCENES
        }
        self.cases = ALIGNMENTS if aligned else [[None]]


PLANS = {
    plan.name: plan
    for plan in [
        Plan("mm_malloc"),
        Plan("mm_calloc"),
        Plan("mm_memalign", aligned=True),
        Plan("mm_realloc", resizes=True),
        Plan("mm_realloc_aligned", aligned=True, resizes=True),
    ]
}

RESTRICTIONS = f"""
Every bit of every request, count and size is unknown, and each path of the machine code is
followed. Fixed, and so not proved for other values:
one instance, for requests up to {MAX_BLOCK:#x} bytes, at one address, with one pool of {POOL:#x}
bytes directly after it;
its free blocks: none, one of each kind of bin, of any size of that bin, two of one bin or of two,
and the wilderness, large and small;
the block to be resized, of 1008 bytes or the smallest or largest size, and its neighbours' sizes:
{len(NEIGHBOURS)} neighbourhoods;
alignments: 0, all that are no power of two, and twelve powers of two, in {len(ALIGNED_SCENES)} of
the scenes;
no memory checker, no callbacks that change the heap; memset, memcpy and memmove are assumed
correct. Every other word of the pool may hold anything. The header after a new block is checked
in heaps whose free blocks ended soundly before.
""".strip()
