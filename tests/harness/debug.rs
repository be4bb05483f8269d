//! Tests that cannot hold against the debug library, by reason. An exception that names no test
//! fails.

use super::variant::Exceptions;

/// Tests of the C suite.
pub(crate) const EXCEPTIONS: Exceptions = &[
    (
        "Overwrites the free tail's header where the released library has it.",
        &["misuse_largest_of_an_overwritten_head"],
    ),
    (
        "Asserts the exact figures or places of a block with one word of overhead, or sizes pools \
         for such blocks.",
        &[
            "J_every_operation_small_blocks",
            "J_every_operation_mixed_blocks",
            "J_every_operation_near_exhaustion",
            "J_numbers_of_a_known_heap",
            "B_two_to_the_31_in_an_8_gib_pool",
            "B_gaps_of_0_8_16_24_and_more_align_32",
            "B_gaps_of_0_8_16_24_and_more_align_64",
            "B_gaps_of_0_8_16_24_and_more_align_256",
            "B_many_aligned_blocks_fill_a_pool",
            "D_the_last_payload_full_of_a_pattern_stays_intact",
            "D_an_empty_pool_grows_to_one_block",
            "E_an_exact_pool_for_every_size_from_16_to_65536",
            "E_an_exact_pool_around_every_power_of_two",
            "E_an_exact_pool_around_every_bin_edge",
            "E_a_freed_block_is_found_for_its_usable_size",
            "global_grows_as_needed_and_adds_up",
            "inspect_walk_gives_payload_size_and_state_in_order",
            "inspect_walk_of_a_pool_sees_that_pool_only",
            "C_a_pool_of_4_gib_and_64",
            "C_a_pool_of_8_gib",
            "C_a_pool_of_1_gib",
            "C_memory_full_of_0xff",
            "A_constants",
            "A_requests_over_4_gib_in_a_16_gib_pool",
            "F_merges_left",
            "F_merges_right",
            "F_merges_both",
            "F_remainder_of_min_minus_8",
            "F_remainder_of_min",
            "F_remainder_of_min_plus_8",
            "F_every_remainder_of_a_hole",
            "F_eight_factorial_free_orders_end_in_one_block_bit_for_bit",
            "F_every_sequence_ends_bit_identical_to_its_start",
            "F_a_pool_in_min_blocks_comes_back_from_both_ends",
            "stress_worst_case_small_blocks",
            "stress_small_blocks_grow_and_shrink",
            "stress_checkerboards",
        ],
    ),
    (
        "Asserts that realloc works in place: the debug library's moves while there is room.",
        &[
            "G_minus_1",
            "G_minus_8",
            "G_minus_min",
            "G_plus_1",
            "G_plus_8",
            "G_plus_min",
            "G_plus_and_minus_a_block",
            "G_grow_forward_leaving_0_8_16_and_more",
            "G_grow_forward_does_not_fit_by_one_byte",
            "G_grow_backward_with_overlap",
            "G_grow_over_both_sides",
            "G_in_place_is_tried_before_moving",
            "G_moves_when_both_neighbours_live",
            "G_shrinking_gives_the_tail_back",
            "G_a_failing_grow_changes_nothing",
        ],
    ),
    (
        "Asserts the release library's message, or one line only: c_tests/misuse has both.",
        &[
            "global_double_free_aborts_with_one_line",
            "misuse_free_after_realloc_grew_backward",
            "misuse_another_allocators_block_between_two_pools",
            "misuse_own_header_overwritten",
            "misuse_next_header_overwritten_by_an_overflow",
            "misuse_previous_header_or_ghost_overwritten",
            "misuse_links_overwritten_after_free",
            "misuse_the_default_handler_prints_one_line_and_aborts",
        ],
    ),
    (
        "Overwrites a block's header, or counts the changes that validation may miss: the debug \
         library has records and guards in between.",
        &[
            "inspect_diagnose_names_a_smashed_header",
            "inspect_diagnose_names_a_smashed_link",
            "inspect_diagnose_names_a_smashed_prev_phys",
            "inspect_steps_find_what_is_smashed",
            "I_no_overwritten_word_of_the_pool_harms_validation",
            "I_no_overwritten_word_of_the_control_structure_harms_validation",
        ],
    ),
];

/// Programs under the shim.
pub(crate) const SHIM_EXCEPTIONS: Exceptions = &[
    (
        "Measures the memory that goes back to the system at once: quarantine holds some of it.",
        &["give_back.c", "growing_buffer.c", "used_again.c"],
    ),
    (
        "Counts small blocks within a limit of memory: each takes 104 bytes more.",
        &["exhausted_by_limit.c"],
    ),
    (
        "Takes minutes where each block is filled at allocation and at free.",
        &["mmap_fails.c", "crowded.c"],
    ),
    (
        "Tests thread heaps: the debug library serves all threads from one heap.",
        &[
            "fork_chain.c",
            "thread_churn.c",
            "thread_generations.c",
            "handed_over.c",
            "signalled.c",
            "realtime.c",
            "mallinfo.c",
            "idle_threads.c",
            "growing_unlocked.c",
            "small_start.c",
        ],
    ),
    (
        "Forks must not be waited for: the debug library serves all threads from one heap.",
        &[
            "fork_foreign_pointers.c",
            "fork_handlers_first.c",
            "fork_in_signal_handler.c",
            "fork_streams.c",
            "fork_unannounced.c",
        ],
    ),
    (
        "The debug library keeps no mappings. It writes to freed blocks, and keeps some of them.",
        &["changed_pages.c", "near_limits.c"],
    ),
    (
        "The debug library is not for a sandbox that ends the process at madvise.",
        &["sandboxed_strictly.c"],
    ),
];
