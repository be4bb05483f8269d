/* The library: memoman compiled to WebAssembly, over an array of 64 KiB (heap.c). */
'use strict';

window.Play = window.Play || {};

Play.Heap = class {
  static async load() {
    const bytes = Uint8Array.from(atob(Play.wasm), (char) => char.charCodeAt(0));
    const { instance } = await WebAssembly.instantiate(bytes, {});
    return new Play.Heap(instance.exports, bytes.length);
  }

  constructor(exports, codeBytes) {
    this.c = exports;
    this.codeBytes = codeBytes;
    this.version = this.text(exports.mm_version());
    this.reset();
  }

  reset() {
    this.c.start();
    this.handle = this.c.heap();
    this.start = this.c.array();
    this.bytes = this.c.array_bytes();
    this.header = this.c.mm_alloc_overhead();
    this.quantum = this.c.mm_align_size();
  }

  /* The whole state of the heap lies in the array. */
  get array() { return new Uint8Array(this.c.memory.buffer, this.start, this.bytes); }
  snapshot() { return this.array.slice(); }
  restore(snapshot) { this.array.set(snapshot); }

  word(address) { return new DataView(this.c.memory.buffer).getUint32(address, true); }

  text(address) {
    const bytes = new Uint8Array(this.c.memory.buffer, address);
    return new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)));
  }

  /* A call on the heap. A trap, which ends a C program, becomes a message here. */
  call(name, ...args) {
    let result = 0, trap = null;
    try {
      result = this.c[`mm_${name}`](this.handle, ...args) >>> 0;
    } catch (error) {
      if (!(error instanceof WebAssembly.RuntimeError)) throw error;
      trap = error.message;
    }
    const message = this.c.reported();
    const misuse = message ? { message: this.text(message), at: this.c.reported_at() >>> 0 } : null;
    return { result, misuse, trap };
  }

  /* A program's write: it may run past its block, but not past the array. */
  write(address, bytes) {
    const from = Math.max(address - this.start, 0);
    const to = Math.min(address + bytes - this.start, this.bytes);
    if (to > from) this.array.fill(0x41, from, to);
  }

  /* The heap as mm_dump describes it. */
  look() {
    const length = this.c.dump();
    const bytes = new Uint8Array(this.c.memory.buffer, this.c.text_at(), length);
    const sound = this.call('validate').result !== 0;
    const state = { blocks: [], bins: new Map(), broken: [], sound };
    for (const line of new TextDecoder().decode(bytes).split('\n')) {
      if (!line) continue;
      const item = JSON.parse(line);
      if ('memoman_dump' in item) state.head = item;
      else if ('pool' in item) state.blocks.push(item);
      else if ('bin' in item) state.bins.set(item.bin, item);
      else if ('broken' in item) state.broken.push(item.broken);
      else if ('counters' in item) state.counters = item.counters;
      else if ('measure' in item) state.measure = item.measure;
    }
    return state;
  }
};

/* The size classes of a 32-bit target: docs/DESIGN.md. Bin 0 is the wilderness. */
Play.bins = {
  rows: 9,
  columns: 32,
  /* The bin that holds free blocks of this size. */
  of(size) {
    if (size < 512) return size >> 3;
    const exponent = 31 - Math.clz32(size);
    return (exponent - 7) * 32 + ((size >> (exponent - 5)) & 31);
  },
  /* The smallest size of a bin. */
  least(bin) {
    const row = bin >> 5;
    return row < 2 ? bin * 8 : (32 + (bin & 31)) << (row + 2);
  },
  /* The block for a request, header included. */
  sizeFor(bytes) { return Math.max((bytes + 4 + 7) & ~7, 16); },
};
