// Misuse of the C library's allocation functions and of C++'s operators, one kind a function.
//
//   cases             lists the kinds
//   cases KIND SIZE   commits that misuse with blocks of SIZE bytes
//
// A run that nothing stops ends with status 0, or with 3 if the program reads other bytes than
// without an allocator's help: a pointer or length among them would fault.
// expected.txt beside it has the end of each run under each shim: tests/harness/cases.rs.

#include "contents.h"
#include "pointers.h"

extern "C" void free_sized(void *, size_t) __attribute__((weak));
extern "C" void free_aligned_sized(void *, size_t, size_t) __attribute__((weak));

// ---- functions that do not belong together ----

CASE(free_of_new) { put(operator new(n)); }
CASE(free_of_new_array) { put(operator new[](n)); }
CASE(delete_of_malloc) { operator delete((void *)get(n)); }
CASE(delete_array_of_malloc) { operator delete[]((void *)get(n)); }
CASE(delete_of_new_array) { operator delete(opaque(operator new[](n))); }
CASE(delete_array_of_new) { operator delete[](opaque(operator new(n))); }
CASE(realloc_of_new) { put(resized((block) operator new(n), 2 * n)); }
CASE(sized_delete_of_less) { operator delete(opaque(operator new(n)), n / 2); }
CASE(sized_delete_of_more) { operator delete(opaque(operator new(n)), 2 * n); }
CASE(sized_delete_array_of_less) { operator delete[](opaque(operator new[](n)), n / 2); }
CASE(plain_delete_of_aligned) {
    operator delete(opaque(operator new(n, std::align_val_t(256))));
}
CASE(aligned_delete_of_plain) {
    operator delete(opaque(operator new(n)), std::align_val_t(256));
}
CASE(delete_of_other_alignment) {
    operator delete(opaque(operator new(n, std::align_val_t(256))), std::align_val_t(64));
}
CASE(free_sized_of_less) {
    if (free_sized) {
        free_sized(get(n), n - 1);
    }
}
CASE(free_aligned_sized_of_less) {
    if (free_aligned_sized) {
        free_aligned_sized(opaque(aligned_alloc(256, n)), 256, n - 1);
    }
}
CASE(free_aligned_sized_of_other_alignment) {
    if (free_aligned_sized) {
        free_aligned_sized(get(n), 4096, n);
    }
}

// ---- memory that is never freed ----

CASE(leak) { memset(get(n), 1, n); }
CASE(leak_by_realloc) { resized(resized(get(n), 2 * n), n); }

#define KIND(name) {#name, name}
static const struct {
    const char *name;
    void (*run)(size_t);
} kinds[] = {
    KIND(double_free), KIND(double_free_of_empty), KIND(realloc_of_freed_empty),
    KIND(free_inside_empty), KIND(double_free_after_another), KIND(double_free_after_a_hundred),
    KIND(double_free_after_other_sizes), KIND(double_free_after_merge),
    KIND(double_free_after_reuse), KIND(double_free_by_other_thread),
    KIND(double_free_after_other_thread), KIND(double_free_of_ended_thread),
    KIND(double_free_after_realloc_moved), KIND(double_free_after_realloc_to_zero),
    KIND(double_free_of_calloc), KIND(double_free_of_aligned), KIND(double_delete),
    KIND(double_delete_array), KIND(realloc_of_freed), KIND(realloc_of_freed_to_more),
    KIND(realloc_of_freed_to_zero), KIND(usable_size_of_freed), KIND(free_8_inside),
    KIND(free_16_inside), KIND(free_1_inside), KIND(free_in_the_middle), KIND(free_the_end),
    KIND(free_before), KIND(free_far_behind), KIND(free_stack), KIND(free_static), KIND(free_text),
    KIND(free_code), KIND(free_thread_local), KIND(free_stack_of_thread), KIND(free_environment),
    KIND(free_small_number), KIND(free_minus_16), KIND(free_no_address), KIND(free_mapped_page),
    KIND(free_page_without_access), KIND(free_uninitialised), KIND(realloc_of_stack),
    KIND(realloc_16_inside), KIND(realloc_in_the_middle), KIND(usable_size_16_inside),
    KIND(usable_size_of_stack), KIND(overflow_by_1), KIND(overflow_by_1_zero), KIND(overflow_by_8),
    KIND(overflow_by_16), KIND(overflow_by_16_zeros), KIND(overflow_by_32), KIND(overflow_by_64),
    KIND(overflow_by_a_page), KIND(overflow_of_usable_by_1), KIND(overflow_of_usable_by_8),
    KIND(overflow_upwards), KIND(overflow_of_reused), KIND(overflow_into_freed),
    KIND(overflow_then_realloc), KIND(overflow_then_realloc_to_less), KIND(overflow_of_calloc),
    KIND(overflow_of_aligned), KIND(overflow_of_grown), KIND(overflow_of_new),
    KIND(overflow_freed_by_other_thread), KIND(overflow_never_freed),
    KIND(overflow_by_1_never_freed), KIND(overflow_at_31), KIND(write_into_empty),
    KIND(write_before_empty), KIND(write_into_empty_of_calloc), KIND(read_empty),
    KIND(underflow_by_1), KIND(underflow_by_8), KIND(underflow_by_16), KIND(underflow_by_32),
    KIND(underflow_then_realloc), KIND(underflow_of_aligned), KIND(underflow_of_zeros_never_freed),
    KIND(underflow_never_freed), KIND(write_freed_byte), KIND(write_freed_word),
    KIND(write_freed_second_word), KIND(write_freed_third_word), KIND(write_freed_in_the_middle),
    KIND(write_freed_last_word), KIND(write_freed_whole), KIND(write_freed_at_the_end),
    KIND(write_freed_whole_at_the_end), KIND(write_freed_by_other_thread), KIND(write_moved),
    KIND(write_cut_off), KIND(write_deleted), KIND(read_freed), KIND(read_freed_in_the_middle),
    KIND(read_moved), KIND(read_uninitialised), KIND(free_of_new), KIND(free_of_new_array),
    KIND(delete_of_malloc), KIND(delete_array_of_malloc), KIND(delete_of_new_array),
    KIND(delete_array_of_new), KIND(realloc_of_new), KIND(sized_delete_of_less),
    KIND(sized_delete_of_more), KIND(sized_delete_array_of_less), KIND(plain_delete_of_aligned),
    KIND(aligned_delete_of_plain), KIND(delete_of_other_alignment), KIND(free_sized_of_less),
    KIND(free_aligned_sized_of_less), KIND(free_aligned_sized_of_other_alignment), KIND(leak),
    KIND(leak_by_realloc),
};

int main(int count, char **arguments) {
    for (const auto &kind : kinds) {
        if (count < 3) {
            puts(kind.name);
        } else if (strcmp(kind.name, arguments[1]) == 0) {
            kind.run((size_t)strtoul(arguments[2], NULL, 10));
            return 0;
        }
    }
    return count < 3 ? 0 : 2;
}
