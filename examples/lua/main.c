/*
 * Lua states with a pool each. It shows that a script that allocates without end is stopped at its
 * own cap, that its state works on, and that the other state's heap does not change.
 */
#include "../support/example.h"
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <memoman.h>
#include <string.h>

#define CAP (512 * 1024)

/* A state and all the memory that it can use. */
struct world {
    _Alignas(16) unsigned char memory[CAP];
    mm_allocator_t *heap;
    lua_State *lua;
};

static struct world quiet, greedy;

/* lua_Alloc. Shrinking a block never fails: memoman does it in place. */
static void *allocate(void *heap, void *ptr, size_t old_bytes, size_t bytes) {
    (void)old_bytes; /* if ptr is NULL, a kind of object, not a size */
    if (bytes == 0) {
        mm_free(heap, ptr);
        return NULL;
    }
    return mm_realloc(heap, ptr, bytes);
}

static void open_world(struct world *world) {
    world->heap = mm_create_with_pool(world->memory, sizeof world->memory);
    REQUIRE(world->heap != NULL);
    world->lua = lua_newstate(allocate, world->heap);
    REQUIRE(world->lua != NULL);
    luaL_openlibs(world->lua);
}

static void close_world(struct world *world) {
    mm_stats_t stats;
    lua_close(world->lua);
    mm_stats(world->heap, &stats, sizeof stats);
    REQUIRE(stats.live_blocks == 0 && mm_validate(world->heap));
}

static lua_Integer result_of(struct world *world, const char *script) {
    REQUIRE(luaL_dostring(world->lua, script) == LUA_OK);
    lua_Integer result = lua_tointeger(world->lua, -1);
    lua_settop(world->lua, 0);
    return result;
}

static const char words[] = "local count = {}\n"
                            "for word in (('the cat the dog the end '):rep(200)):gmatch('%a+') do\n"
                            "  count[word] = (count[word] or 0) + 1\n"
                            "end\n"
                            "return count.the";

static const char bomb[] = "local hoard = {}\n"
                           "while true do hoard[#hoard + 1] = ('x'):rep(1000) .. #hoard end";

int main(void) {
    printf("%s, two states of %d bytes each\n", LUA_RELEASE, CAP);
    unsigned long before = libc_calls();
    mm_stats_t neighbour, stats;
    open_world(&quiet);
    open_world(&greedy);
    lua_Integer counted = result_of(&quiet, words);
    mm_stats(quiet.heap, &neighbour, sizeof neighbour);

    REQUIRE(luaL_loadstring(greedy.lua, bomb) == LUA_OK);
    int status = lua_pcall(greedy.lua, 0, 0, 0);
    int says_so = strstr(lua_tostring(greedy.lua, -1), "not enough memory") != NULL;
    lua_settop(greedy.lua, 0);
    mm_stats(greedy.heap, &stats, sizeof stats);

    lua_gc(greedy.lua, LUA_GCCOLLECT);
    lua_Integer again = result_of(&greedy, words);
    mm_stats_t neighbour_after;
    mm_stats(quiet.heap, &neighbour_after, sizeof neighbour_after);
    unsigned long asked = libc_calls() - before;

    REQUIRE(counted == 600);
    REQUIRE(asked == 0);
    proved("a script counted 600 words; not one call of the C library's malloc");
    REQUIRE(status == LUA_ERRMEM && says_so && stats.failed_requests > 0 && stats.peak > CAP / 2);
    proved("a script without end was stopped at its cap: LUA_ERRMEM with %zu of %d bytes in use",
           stats.peak, CAP);
    REQUIRE(again == 600);
    proved("the same state works on after a collection");
    REQUIRE(memcmp(&neighbour, &neighbour_after, sizeof neighbour) == 0);
    proved("the neighbour's heap is as it was, to the byte");
    close_world(&greedy);
    close_world(&quiet);
    proved("after lua_close every block is freed");
    return 0;
}
