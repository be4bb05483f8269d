/* Commands on the heap, what each did, and the way back. */
'use strict';

Play.Session = class {
  constructor(heap) {
    this.heap = heap;
    this.begin();
  }

  begin() {
    this.heap.reset();
    /* Names of the program's pointers. One keeps its pointer after free, as a variable does. */
    this.names = new Map();
    this.births = new Map();
    this.steps = 0;
    this.past = [];
    this.seed = 1;
    this.state = this.sound = this.heap.look();
  }

  /* The live block that a name points to. */
  block(name) {
    const at = this.names.get(name)?.at;
    return this.state.blocks.find((block) => block.at === at && block.state === 'used');
  }

  nameOf(at) {
    for (const [name, pointer] of this.names) if (pointer.at === at) return name;
    return null;
  }

  live() { return [...this.names.keys()].filter((name) => this.block(name)); }

  freshName() {
    const free = (name) => !this.names.has(name) || !this.block(name);
    const letters = [...'abcdefghijklmnopqrstuvwxyz'];
    for (let round = 0; ; round++) {
      const name = letters.map((letter) => letter + (round || '')).find(free);
      if (name) return name;
    }
  }

  undo() {
    const before = this.past.pop();
    if (!before) return false;
    this.heap.restore(before.snapshot);
    Object.assign(this, before.fields);
    return true;
  }

  /* Runs one command: what it did, for the page. */
  run(command) {
    const before = this.state;
    const fields = { names: new Map(this.names), births: new Map(this.births),
      state: before, sound: this.sound };
    this.past.push({ snapshot: this.heap.snapshot(), fields: { ...fields, steps: this.steps } });
    if (this.past.length > 300) this.past.shift();
    this.steps++;
    const step = { ...command, before, code: Play.codeOf(command) };
    step.old = command.from ? this.pointer(command.from) : 0;
    Object.assign(step, this.call(command));
    if (step.trap) this.heap.restore(this.past.at(-1).snapshot);
    this.state = step.after = this.heap.look();
    if (this.state.sound) this.sound = this.state;
    const known = new Set(before.blocks.map((block) => `${block.at} ${block.size} ${block.state}`));
    step.changed = new Set(this.state.blocks
      .filter((block) => !known.has(`${block.at} ${block.size} ${block.state}`))
      .map((block) => block.at));
    this.name(step);
    Play.explain(step, this.heap);
    return step;
  }

  pointer({ name, offset }) {
    if (name === 'foreign') return this.heap.c.foreign() + offset;
    /* A refused request has no block: NULL. */
    return (this.names.get(name)?.at ?? 0) + offset;
  }

  call({ what, from, numbers }) {
    switch (what) {
      case 'malloc': return this.heap.call('malloc', numbers[0]);
      case 'memalign': return this.heap.call('memalign', numbers[0], numbers[1]);
      case 'realloc': return this.heap.call('realloc', this.pointer(from), numbers[0]);
      case 'free': return this.heap.call('free', this.pointer(from));
      default: {
        this.heap.write(this.pointer(from), numbers[0]);
        return { result: 0, misuse: null, trap: null };
      }
    }
  }

  name(step) {
    if (step.result === 0) return;
    const bytes = step.numbers.at(-1);
    const old = step.from && this.names.get(step.from.name);
    if (step.to) this.names.set(step.to, { at: step.result, bytes });
    if (old && old.at !== step.result) this.births.delete(old.at);
    this.births.set(step.result, this.steps);
  }

  /* The next command of a program that mixes sizes and lifetimes. */
  random() {
    const next = (limit) => {
      this.seed = (Math.imul(this.seed, 1664525) + 1013904223) >>> 0;
      return Math.floor((this.seed / 2 ** 32) * limit);
    };
    const live = this.live();
    const full = this.state.counters.used / this.state.counters.pool_bytes;
    if (live.length && next(100) < 25 + 45 * full) {
      const from = { name: live[next(live.length)], offset: 0 };
      return { what: 'free', from, numbers: [] };
    }
    const bytes = Math.floor(2 ** (5 + next(750) / 100));
    return { what: 'malloc', to: this.freshName(), numbers: [bytes] };
  }
};

/* The forms of a command: whether it gives a pointer, takes one, and its numbers. */
Play.forms = {
  malloc: { gives: true, takes: false, numbers: ['bytes'] },
  memalign: { gives: true, takes: false, numbers: ['alignment', 'bytes'] },
  realloc: { gives: true, takes: true, numbers: ['bytes'] },
  free: { gives: false, takes: true, numbers: [] },
  write: { gives: false, takes: true, numbers: ['bytes'] },
  random: { gives: false, takes: false, numbers: ['steps'] },
};

Play.codeOf = ({ what, to, from, numbers }) => {
  const pointer = from ? [from.offset ? `${from.name} + ${from.offset}` : from.name] : [];
  return `${to ? `${to} = ` : ''}${what}(${[...pointer, ...numbers].join(', ')})`;
};

/* The commands of a script, or the message of its first error. */
Play.parse = (script, known) => {
  const commands = [], names = new Set([...known, 'foreign']);
  const lines = script.split('\n');
  for (let line = 0; line < lines.length; line++) {
    const fail = (why) => ({ error: `line ${line + 1}: ${why}` });
    const [, code, note] = lines[line].match(/^([^#]*)#?\s*(.*)$/);
    const text = code.trim().replace(/;$/, '');
    if (note) commands.push({ what: 'note', note: note.trim(), line });
    if (!text) continue;
    const parts = text.match(/^(?:([a-z]\w*)\s*=\s*)?([a-z]+)\s*[(\s]\s*([^()]*)\)?$/i);
    const form = parts && Play.forms[parts[2]];
    if (!form) {
      return fail(`“${text}” is no command; those are ${Object.keys(Play.forms).join(', ')}`);
    }
    const [, to, what, list] = parts;
    const given = list.split(/,|(?<=[\w)])\s+(?=[\w(])/).map((one) => one.trim()).filter(Boolean);
    const wanted = [...(form.takes ? ['pointer'] : []), ...form.numbers];
    if (given.length !== wanted.length) return fail(`${what} takes ${what}(${wanted.join(', ')})`);
    if (to && !form.gives) return fail(`${what} gives no pointer`);
    if (to === 'foreign') return fail('“foreign” is the pointer of another allocator');
    if (form.gives && !to) return fail(`give the block a name: a = ${text}`);
    let from = null;
    if (form.takes) {
      const [, name, offset] = given.shift().match(/^(\w+)(?:\s*\+\s*(\d+))?$/) || [];
      if (!names.has(name)) return fail(`no block has the name “${name ?? list}”`);
      from = { name, offset: Number(offset || 0) };
    }
    const numbers = given.map(Number);
    if (numbers.some((number) => !Number.isInteger(number) || number < 0 || number >= 2 ** 32)) {
      return fail(`${form.numbers.join(' and ')}: a whole number below 2^32`);
    }
    if (to) names.add(to);
    const many = what === 'random' ? Math.min(numbers[0], 1000) : 1;
    for (let i = 0; i < many; i++) commands.push({ what, to, from, numbers, line });
  }
  return { commands };
};
