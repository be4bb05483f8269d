/*
 * SQLite with all its memory in one static array. It shows that a database works in a fixed budget,
 * never calls the C library's malloc, and survives when the budget is used up.
 */
#include "../support/example.h"
#include <memoman.h>
#include <sqlite3.h>
#include <stdint.h>
#include <string.h>

static unsigned char memory[6 * 1024 * 1024];
static mm_allocator_t *heap;

/*
 * SQLite's own memory statistics are on (its default), so it calls these under a mutex of its own.
 * Without them (SQLITE_CONFIG_MEMSTATUS 0) a program with several threads needs a lock here.
 */
static void *xMalloc(int bytes) { return mm_malloc(heap, (size_t)bytes); }
static void xFree(void *ptr) { mm_free(heap, ptr); }
static void *xRealloc(void *ptr, int bytes) { return mm_realloc(heap, ptr, (size_t)bytes); }
static int xSize(void *ptr) { return (int)mm_block_size(ptr); }

/* The usable size for a request: SQLite then uses the slack as well. */
static int xRoundup(int bytes) {
    size_t step = mm_align_size(), overhead = mm_alloc_overhead();
    size_t usable = (((size_t)bytes + overhead + step - 1) & ~(step - 1)) - overhead;
    return (int)(usable < mm_block_size_min() ? mm_block_size_min() : usable);
}

static int xInit(void *user) {
    (void)user;
    heap = mm_create_with_pool(memory, sizeof memory);
    return heap != NULL ? SQLITE_OK : SQLITE_NOMEM;
}

static void xShutdown(void *user) { (void)user; }

static int run(sqlite3 *db, const char *sql) { return sqlite3_exec(db, sql, NULL, NULL, NULL); }

static int64_t number(sqlite3 *db, const char *sql) {
    sqlite3_stmt *statement;
    REQUIRE(sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK);
    REQUIRE(sqlite3_step(statement) == SQLITE_ROW);
    int64_t result = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return result;
}

static int is_sound(sqlite3 *db) {
    sqlite3_stmt *statement;
    REQUIRE(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &statement, NULL) == SQLITE_OK);
    REQUIRE(sqlite3_step(statement) == SQLITE_ROW);
    int sound = strcmp((const char *)sqlite3_column_text(statement, 0), "ok") == 0;
    sqlite3_finalize(statement);
    return sound;
}

int main(void) {
    static sqlite3_mem_methods methods = {xMalloc,  xFree, xRealloc,  xSize,
                                          xRoundup, xInit, xShutdown, NULL};
    printf("SQLite %s in %zu bytes\n", sqlite3_libversion(), sizeof memory);
    unsigned long before = libc_calls();
    REQUIRE(sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) == SQLITE_OK);
    REQUIRE(sqlite3_initialize() == SQLITE_OK);

    sqlite3 *db;
    mm_stats_t stats;
    REQUIRE(sqlite3_open(":memory:", &db) == SQLITE_OK);
    static const char setup[] =
        "PRAGMA temp_store = MEMORY;"
        "CREATE TABLE reading(sensor INTEGER, at INTEGER, value INTEGER, note TEXT);"
        "CREATE INDEX by_sensor ON reading(sensor, at);"
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 19999)"
        "INSERT INTO reading SELECT i % 16, i, i * 7 % 1000, printf('reading %d', i) FROM n;";
    REQUIRE(run(db, setup) == SQLITE_OK);
    int64_t rows = number(db, "SELECT count(*) FROM reading");
    int64_t sum = number(db, "SELECT sum(value) FROM reading WHERE sensor = 5");
    int64_t sorted = number(
        db, "SELECT count(*) FROM (SELECT note FROM reading ORDER BY note DESC, value LIMIT 500)");
    int64_t expected = 0;
    for (int i = 5; i < 20000; i += 16) expected += i * 7 % 1000;
    REQUIRE(rows == 20000 && sum == expected && sorted == 500 && is_sound(db));
    mm_stats(heap, &stats, sizeof stats);
    REQUIRE(stats.failed_requests == 0);
    REQUIRE((size_t)sqlite3_memory_used() <= stats.used);

    /* More than the budget. */
    int status =
        run(db, "BEGIN;"
                "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000)"
                "INSERT INTO reading SELECT 99, i, i, hex(zeroblob(50)) FROM n;");
    mm_stats_t full;
    mm_stats(heap, &full, sizeof full);
    if (!sqlite3_get_autocommit(db)) REQUIRE(run(db, "ROLLBACK") == SQLITE_OK);
    int64_t rows_after = number(db, "SELECT count(*) FROM reading");
    int sound_after = is_sound(db);
    REQUIRE(sqlite3_close(db) == SQLITE_OK);
    REQUIRE(sqlite3_shutdown() == SQLITE_OK);
    unsigned long asked = libc_calls() - before;

    REQUIRE(asked == 0);
    proved("20000 rows, an index, sorting and aggregates; not one call of the C library's malloc");
    printf("          at most %zu of %zu bytes in use\n", stats.peak, stats.pool_bytes);
    REQUIRE(status == SQLITE_NOMEM && full.failed_requests > 0);
    REQUIRE(rows_after == rows && sound_after);
    proved("with the budget used up: SQLITE_NOMEM, rolled back, database sound, still %lld rows",
           (long long)rows_after);
    mm_stats(heap, &stats, sizeof stats);
    REQUIRE(stats.live_blocks == 0 && stats.used == 0 && mm_validate(heap));
    proved("after sqlite3_shutdown every block is freed, and the heap is one block of %zu bytes",
           stats.largest);
    return 0;
}
