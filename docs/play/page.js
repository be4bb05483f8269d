/* The page: buttons, the script, the keyboard. */
'use strict';

Play.scripts = {
  'a tour': `# Three blocks, cut from the wilderness: the free block that ends the pool.
a = malloc(6000)
b = malloc(9000)
c = malloc(4000)
# Free the middle one: its bin lights up, and one bit in each of two words.
free(b)
# The bitmaps find it: two words are read, however many blocks there are.
d = malloc(2500)
# Free between two free blocks: all three merge at once.
e = malloc(2500)
free(a)
free(e)
free(d)
# An aligned block: the gap before it stays free.
f = memalign(1024, 700)
# c grows in place, into the free block after it.
c = realloc(c, 4400)
# A double free: the header shows it, the handler reports it, nothing happens.
free(f)
free(f)`,
  'holes': `# Many sizes and lifetimes; the bins fill.
random(160)
# The largest request that would succeed is exact and known in constant time.
big = malloc(30000)
huge = malloc(60000)`,
  'grow and shrink': `a = malloc(3000)
b = malloc(3000)
c = malloc(3000)
# Forward: the block after it is free.
free(b)
a = realloc(a, 5000)
# Backward: the block before it is free.
free(a)
c = realloc(c, 7000)
# Shrink: the tail is free at once.
c = realloc(c, 1000)`,
  'a write past the end': `a = malloc(2000)
b = malloc(2000)
# 12 bytes too many: over the header of b.
write(a, 2016)
# Validation names the place. So does the next call that meets the header.
free(a)`,
  'a write after free': `a = malloc(2000)
b = malloc(2000)
free(a)
# The links of its free list lie where the payload was.
write(a, 8)
# The next request for that list meets the link, and refuses to follow it.
c = malloc(2000)`,
};

/* A heap to begin with: blocks of several sizes, and holes. */
Play.prelude = 'random(90)';

Play.Page = class {
  constructor(root, heap) {
    this.root = root;
    this.session = new Play.Session(heap);
    this.part = (name) => root.querySelector(`[data-part="${name}"]`);
    this.queue = [];
    const size = `${(heap.codeBytes / 1024).toFixed(1)} KiB`;
    this.part('about').textContent = `memoman ${heap.version}, ${size} of WebAssembly`;
    this.listen();
    this.begin();
    root.dataset.ready = 'yes';
  }

  listen() {
    const { root } = this;
    /* mdBook turns pages by the arrow keys. */
    root.addEventListener('keydown', (event) => event.stopPropagation());
    for (const form of root.querySelectorAll('form[data-call]')) {
      form.addEventListener('submit', (event) => {
        event.preventDefault();
        this.submit(form);
      });
    }
    root.addEventListener('click', ({ target }) => {
      const action = target.closest('[data-do]')?.dataset.do;
      if (action) this[action](target.closest('[data-do]'));
      const block = target.closest('[data-at]');
      if (block) this.select(Number(block.dataset.at));
    });
    const choice = this.part('scripts');
    for (const name of Object.keys(Play.scripts)) choice.append(new Option(name));
    choice.addEventListener('change', () => {
      this.part('script').value = Play.scripts[choice.value];
      this.stop();
      this.commands = null;
    });
    this.part('script').value = Play.scripts['a tour'];
    this.part('script').addEventListener('input', () => { this.commands = null; });
    this.part('array').addEventListener('keydown', (event) => this.key(event));
    const hint = (event, on) => {
      const bin = event.target.closest?.('.bin.lit')?.dataset.bin;
      if (bin === undefined) return;
      for (const block of root.querySelectorAll(`.free[data-bin="${bin}"]`)) {
        block.classList.toggle('hinted', on);
      }
    };
    this.part('bins').addEventListener('pointerover', (event) => hint(event, true));
    this.part('bins').addEventListener('pointerout', (event) => hint(event, false));
    new ResizeObserver(() => this.draw()).observe(this.part('array'));
  }

  begin() {
    this.stop();
    this.session.begin();
    this.selected = 0;
    this.commands = null;
    this.part('log').replaceChildren();
    for (const command of Play.parse(Play.prelude, []).commands) {
      this.session.run(command.what === 'random' ? this.session.random() : command);
    }
    this.session.past = [];
    this.last = null;
    this.say('A heap after 90 calls. Allocate, free, or run the tour.', 'sound');
    this.draw();
  }

  reset() { this.begin(); }

  clear() {
    this.stop();
    this.session.begin();
    this.selected = 0;
    this.last = null;
    this.say('mm_create_with_pool: a control structure, and one free block.', 'sound');
    this.draw();
  }

  tour() {
    this.clear();
    this.root.scrollIntoView({ block: 'start' });
    this.part('scripts').value = 'a tour';
    this.part('script').value = Play.scripts['a tour'];
    this.commands = null;
    this.run();
  }

  undo() {
    this.stop();
    if (!this.session.undo()) return;
    this.last = null;
    this.say('The last step is undone.', this.session.state.sound ? 'sound' : 'broken');
    this.part('log').firstElementChild?.remove();
    this.draw();
  }

  /* Runs one command, and shows it. */
  step(command) {
    if (command.what === 'note') {
      this.say(command.note, this.session.state.sound ? 'sound' : 'broken', 'note');
      return null;
    }
    const step = this.session.run(command.what === 'random' ? this.session.random() : command);
    this.last = step;
    if (step.result) this.selected = step.result;
    else if (step.old) this.selected = this.holder(step.old)?.at ?? this.selected;
    this.say(step.text, step.verdict, step.misuse || step.trap ? 'misuse' : '', step.code);
    this.log(step);
    this.draw();
    return step;
  }

  holder(address) {
    return this.session.state.blocks.find((block) =>
      block.at <= address && address < block.at + block.size - this.session.heap.header);
  }

  say(text, verdict, kind = '', code = '') {
    const box = this.part('said'), sound = verdict === 'sound';
    box.className = `said ${kind}`;
    const words = Play.element('p');
    if (code) words.append(Play.element('code', '', code), ' ');
    words.append(text);
    const badge = Play.element('span', sound ? 'badge' : 'badge bad');
    badge.textContent = sound ? 'mm_validate: sound' : `mm_diagnose: ${verdict}`;
    box.replaceChildren(words, badge);
  }

  log(step) {
    const line = Play.element('li', step.misuse || step.trap ? 'misuse' : '');
    const result = step.misuse ? step.misuse.message : step.result ? Play.hex(step.result)
      : Play.forms[step.what].gives ? 'NULL' : '';
    line.append(Play.element('code', '', step.code), ` ${result}`);
    if (step.verdict !== 'sound') line.append(Play.element('span', 'bad', ` ${step.verdict}`));
    this.part('log').prepend(line);
    if (this.part('log').childElementCount > 200) this.part('log').lastElementChild.remove();
  }

  submit(form) {
    this.stop();
    const what = form.dataset.call, fields = new FormData(form);
    const names = ['align', 'bytes'].filter((name) => fields.has(name));
    const numbers = names.map((name) => Number(fields.get(name)) >>> 0);
    const from = fields.has('block') ? { name: fields.get('block'), offset: 0 } : null;
    if (from && !this.session.names.has(from.name)) return;
    const to = what === 'realloc' ? from.name : what === 'free' ? null : this.session.freshName();
    this.step({ what, to, from, numbers });
  }

  /* The misuse buttons: on the chosen block, or the first one. */
  misuse(button) {
    this.stop();
    const { session } = this;
    const live = session.live(), chosen = session.nameOf(this.selected);
    const name = live.includes(chosen) ? chosen : live[0];
    if (!name && button.dataset.how !== 'foreign') {
      this.say('There is no block in use: allocate one first.', session.state.verdict ?? 'sound');
      return;
    }
    const usable = name ? session.block(name).size - session.heap.header : 0;
    const lines = {
      twice: `free(${name})\nfree(${name})`,
      past: `write(${name}, ${usable + 12})\nfree(${name})`,
      after: `free(${name})\nwrite(${name}, 8)\n${session.freshName()} = malloc(${usable})`,
      inside: `free(${name} + 16)`,
      foreign: 'free(foreign)',
    };
    this.start(Play.parse(lines[button.dataset.how], session.names.keys()).commands, 1100);
  }

  parse() {
    const parsed = Play.parse(this.part('script').value, this.session.names.keys());
    if (parsed.error) this.say(parsed.error, 'sound', 'misuse');
    else this.commands = parsed.commands;
    return !parsed.error;
  }

  /* The script's next command. */
  next() {
    this.stop();
    if (!this.commands?.length && !this.parse()) return;
    this.advance(this.commands);
  }

  run() {
    if (this.timer) {
      this.stop();
      return;
    }
    if (!this.commands?.length && !this.parse()) return;
    this.start(this.commands, 1600);
  }

  /* One call with the note before it; marks its line in the script. */
  advance(commands) {
    let command = commands.shift();
    const note = command?.what === 'note' ? command.note : '';
    if (note && commands.length) command = commands.shift();
    if (!command) return null;
    const step = this.step(command);
    if (note && step) {
      this.part('said').prepend(Play.element('p', 'note', note));
    }
    this.mark(command.line);
    return step;
  }

  mark(line) {
    const box = this.part('script');
    if (line === undefined || document.activeElement === box) return;
    const lines = box.value.split('\n');
    const from = lines.slice(0, line).join('\n').length + (line ? 1 : 0);
    box.setSelectionRange(from, from + (lines[line]?.length ?? 0));
    const high = parseFloat(getComputedStyle(box).lineHeight);
    box.scrollTop = (line - 2) * high;
    this.part('line').textContent = `line ${line + 1} of ${lines.length}`;
  }

  /* Runs commands one after the other. */
  start(commands, pause) {
    this.stop();
    const go = () => {
      this.timer = 0;
      this.advance(commands);
      if (!commands.length) {
        this.stop();
        return;
      }
      const quick = commands[0].what === 'random' || this.quick;
      const noted = this.part('said').querySelector('.note');
      const wait = quick ? 25 : noted ? pause * 1.8 : pause;
      this.timer = setTimeout(go, wait);
      this.part('run').textContent = 'Stop';
    };
    go();
  }

  stop() {
    clearTimeout(this.timer);
    this.timer = 0;
    this.part('run').textContent = 'Run';
  }

  select(at) {
    this.selected = at;
    this.draw();
  }

  key(event) {
    const { blocks } = this.session.state;
    const index = blocks.findIndex((block) => block.at === this.selected);
    const to = { ArrowRight: index + 1, ArrowDown: index + 1, ArrowLeft: index - 1,
      ArrowUp: index - 1, Home: 0, End: blocks.length - 1 }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      this.select(blocks[Math.max(0, Math.min(to, blocks.length - 1))]?.at ?? 0);
    } else if (event.key === 'Delete' || event.key === 'Backspace') {
      const name = this.session.nameOf(this.selected);
      if (name) this.step({ what: 'free', to: null, from: { name, offset: 0 }, numbers: [] });
    }
  }

  draw() {
    const { session, last, selected } = this;
    Play.drawMap(this.part('map'), session, last, selected);
    this.part('array').setAttribute('aria-activedescendant', `block-${selected}`);
    Play.drawBins(this.part('bins'), session, last, selected);
    Play.drawBlock(this.part('block'), session, selected);
    Play.drawFigures(this.part('figures'), session.state);
    const chosen = session.nameOf(selected);
    for (const list of this.root.querySelectorAll('select[name="block"]')) {
      const was = session.names.has(chosen) ? chosen : list.value;
      list.replaceChildren(...[...session.names.keys()].sort().map((name) =>
        new Option(session.block(name) ? name : `${name}, freed`, name)));
      if (session.names.has(was)) list.value = was;
    }
    this.part('undo').disabled = !session.past.length;
    this.root.classList.toggle('damaged', !session.state.sound);
  }
};

addEventListener('DOMContentLoaded', async () => {
  const root = document.getElementById('play');
  if (!root || root.dataset.ready) return;
  Play.page = new Play.Page(root, await Play.Heap.load());
});
