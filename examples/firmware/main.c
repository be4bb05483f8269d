/*
 * A heap in a static array, on a processor without operating system and C library: messages of
 * different sizes are allocated, grown and freed, and at the end the heap is one free block again.
 *
 * The firmware sets an error handler: without one, memoman stops the processor at an undefined
 * instruction. It sends a record of each call on the heap to a file of the host, `records.mmr`.
 */
#include "semihosting.h"
#include <stdbool.h>

/* The calls of this file are recorded. */
#define MM_RECORD_WRAP recorder_of
#include <memoman/record.h>

#define MAX_MESSAGE 2048
#define SLOTS 24

/* The control structure for requests up to MAX_MESSAGE, and one pool. Both are plain .bss. */
static size_t control[1024 / sizeof(size_t)];
static unsigned char pool[16 * 1024];

struct message {
    unsigned length;
    unsigned char data[];
};

static int misuses;

#ifndef WITHOUT_HANDLER
static void on_misuse(const char *what, const void *where, void *user) {
    (void)where;
    (void)user;
    misuses++;
    host_print("misuse: ");
    host_print(what);
    host_print("\n");
}
#endif

/* The records, sent in batches: a call of the host stops the processor. */
static unsigned char batch[32 * MM_RECORD_BYTES];
static unsigned batched;
static int records_file = -1;

static void send_batch(void) {
    if (records_file >= 0 && batched != 0) host_write(records_file, batch, batched);
    batched = 0;
}

static void send(const void *record, size_t bytes, void *user) {
    (void)user;
    for (size_t i = 0; i < bytes; i++) batch[batched++] = ((const unsigned char *)record)[i];
    if (batched == sizeof batch) send_batch();
}

static mm_recorder_t recorder = {.write = send, .heap = 1};

static bool recording = true;

mm_recorder_t *recorder_of(mm_allocator_t *heap) {
    return heap != NULL && recording ? &recorder : NULL;
}

static void print_figure(const char *name, size_t value) {
    host_print(name);
    host_print(" ");
    host_print_number(value);
    host_print("\n");
}

static void require(bool holds, const char *what) {
    if (holds) return;
    host_print("FAILED: ");
    host_print(what);
    host_print("\n");
    host_exit(1);
}

static void fill(struct message *message, unsigned from, unsigned char byte) {
    for (unsigned i = from; i < message->length; i++) message->data[i] = byte;
}

static bool holds(const struct message *message, unsigned length, unsigned char byte) {
    for (unsigned i = 0; i < length; i++)
        if (message->data[i] != byte) return false;
    return true;
}

int main(void) {
    records_file = host_create("records.mmr");
    require(mm_size_for(MAX_MESSAGE) <= sizeof control, "the control structure has room");
    mm_allocator_t *heap = mm_create_for(control, MAX_MESSAGE);
    require(mm_add_pool(heap, pool, sizeof pool) != NULL, "the pool was taken");
#ifndef WITHOUT_HANDLER
    mm_set_error_handler(heap, on_misuse, NULL);
#endif

    mm_stats_t fresh, stats;
    mm_stats(heap, &fresh, sizeof fresh);
    print_figure("control", mm_size_for(MAX_MESSAGE));
    print_figure("pool", fresh.pool_bytes);
    print_figure("overhead", fresh.overhead);
    print_figure("largest", fresh.largest);

    /* Messages are replaced at random, by a small generator with the same numbers in each run. */
    struct message *inbox[SLOTS] = {0};
    unsigned state = 1, received = 0, refused = 0;
    for (unsigned turn = 0; turn < 5000; turn++) {
        state = state * 1664525u + 1013904223u;
        unsigned slot = (state >> 8) % SLOTS, length = (state >> 16) % 900;
        struct message *old = inbox[slot];
        if (old != NULL)
            require(holds(old, old->length, (unsigned char)slot), "a message is unharmed");
        if (old != NULL && turn % 5 == 0) {
            /* It grows in place if possible; its contents are kept. */
            struct message *grown = mm_realloc(heap, old, sizeof *old + old->length + 100);
            if (grown == NULL) {
                refused++;
                continue;
            }
            require(holds(grown, grown->length, (unsigned char)slot),
                    "a grown message is unharmed");
            grown->length += 100;
            fill(grown, grown->length - 100, (unsigned char)slot);
            if (grown->length > 1200) grown->length = 1200;
            inbox[slot] = grown;
            continue;
        }
        mm_free(heap, old);
        inbox[slot] = mm_malloc(heap, sizeof(struct message) + length);
        if (inbox[slot] == NULL) {
            refused++;
            continue;
        }
        inbox[slot]->length = length;
        fill(inbox[slot], 0, (unsigned char)slot);
        received++;
    }

    mm_stats(heap, &stats, sizeof stats);
    print_figure("received", received);
    print_figure("refused", refused);
    print_figure("used", stats.used);
    print_figure("free", stats.free);
    print_figure("peak", stats.peak);
    print_figure("live", stats.live_blocks);
    require(stats.used + stats.free + stats.overhead == stats.pool_bytes, "the figures add up");
    require(stats.failed_requests == refused, "refusals are counted");

    /* A double free is found and reported, and has no effect. */
    void *once = inbox[0] != NULL ? inbox[0] : mm_malloc(heap, 1);
    inbox[0] = NULL;
    mm_free(heap, once);
    recording = false; /* a record would say that it was freed twice */
    mm_free(heap, once);
    recording = true;
    require(misuses == 1, "the double free was reported");

    for (unsigned slot = 0; slot < SLOTS; slot++) mm_free(heap, inbox[slot]);
    mm_stats(heap, &stats, sizeof stats);
    print_figure("largest", stats.largest);
    require(stats.live_blocks == 0 && stats.largest == fresh.largest,
            "all memory is one block again");
    send_batch();
    host_print("ok\n");
    return 0;
}
