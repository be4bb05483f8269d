/* The drawings: the array, the bitmaps, one block with its words. */
'use strict';

{
  const SVG = 'http://www.w3.org/2000/svg';
  const make = (name, attributes = {}, text = '') => {
    const node = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.textContent = text;
    return node;
  };
  const element = (name, className = '', text = '') => {
    const node = document.createElement(name);
    node.className = className;
    node.textContent = text;
    return node;
  };
  const sizeName = (bytes) => (bytes < 1024 ? `${bytes}` : `${bytes / 1024}K`);

  Play.element = element;

  /* The array as rows, addresses to the right and down, each block with its header's mark. */
  Play.drawMap = (svg, session, step, selected) => {
    const { heap, state } = session;
    const width = svg.parentElement.clientWidth, wide = width > 560;
    const rowBytes = wide ? 2048 : 1024, rows = heap.bytes / rowBytes;
    const tall = wide ? 9 : 5, pitch = tall + (wide ? 2 : 1), scale = width / rowBytes;
    svg.setAttribute('viewBox', `0 0 ${width} ${rows * pitch}`);
    svg.setAttribute('height', rows * pitch);
    svg.replaceChildren();

    /* The rectangles of a stretch of addresses, one for each row that it touches. */
    const stretch = (from, to) => {
      const pieces = [];
      for (let at = from - heap.start; at < to - heap.start;) {
        const row = Math.floor(at / rowBytes);
        const end = Math.min((row + 1) * rowBytes, to - heap.start);
        const x = (at - row * rowBytes) * scale;
        pieces.push({ x, y: row * pitch, width: (end - at) * scale, height: tall });
        at = end;
      }
      return pieces;
    };
    const outline = (pieces) => pieces.map(({ x, y, width: w, height }) =>
      `M${x + 0.25} ${y}h${Math.max(w - 0.5, 0.5)}v${height}h${-Math.max(w - 0.5, 0.5)}z`).join('');
    const area = (from, to, kind, label) => {
      if (to <= from) return null;
      const group = make('g', { class: `stretch ${kind}` });
      const pieces = stretch(from, to);
      group.append(make('path', { d: outline(pieces) }));
      if (label && pieces[0].width > label.length * 7 + 6 && wide) {
        const place = { x: pieces[0].x + 6, y: pieces[0].y + 8 };
        group.append(make('text', place, label));
      }
      svg.append(group);
      return group;
    };

    const pools = state.head?.pools ?? [];
    const pool = pools[0];
    area(heap.start, pool ? pool.first - heap.header : heap.start, 'control', 'control structure');
    let end = pool ? pool.first - heap.header : heap.start;
    for (const block of state.blocks) {
      const from = block.at - heap.header, name = session.nameOf(block.at);
      end = from + block.size;
      const age = session.steps - (session.births.get(block.at) ?? 0);
      const old = Math.min(Math.floor(Math.log2(age + 1)), 6);
      const kind = block.state === 'used' ? `used age-${old}`
        : block.bin === 0 ? 'free wilderness' : 'free';
      const label = block.state === 'used' ? name : block.bin === 0 ? 'wilderness' : '';
      const group = area(from, end, kind, label || '');
      group.id = `block-${block.at}`;
      group.dataset.at = block.at;
      if (block.bin !== undefined) group.dataset.bin = block.bin;
      group.setAttribute('role', 'option');
      group.setAttribute('aria-selected', block.at === selected);
      group.setAttribute('aria-label', Play.blockName(session, block));
      const mark = { ...stretch(from, from + heap.header)[0], class: 'header' };
      mark.width = Math.max(mark.width, 1.5);
      group.insertBefore(make('rect', mark), group.querySelector('text'));
    }
    const poolEnd = pool ? pool.at + pool.size : heap.start;
    /* Behind an overwritten header, what the last sound heap had there. */
    const lost = end < poolEnd - heap.header
      ? session.sound.blocks.filter((block) => block.at - heap.header >= end) : [];
    for (const { at, size, state: was } of lost) {
      area(at - heap.header, at - heap.header + size, `lost ${was}`, '');
    }
    area(Math.max(end, poolEnd - heap.header), heap.start + heap.bytes, 'control', '');

    /* Above all blocks, so that no neighbour covers a line. */
    const ring = (address, kind) => {
      const block = state.blocks.find((one) => one.at === address);
      if (!block) return;
      const from = block.at - heap.header;
      svg.append(make('path', { class: kind, d: outline(stretch(from, from + block.size)) }));
    };
    if (lost.length) {
      const reach = heap.header * 4;
      svg.append(make('path', { class: 'broken', d: outline(stretch(end, end + reach)) }));
    }
    for (const address of step?.changed ?? []) ring(address, 'changed');
    ring(selected, 'selected');
  };

  Play.blockName = (session, block) => {
    const name = session.nameOf(block.at), size = `${Play.number(block.size)} bytes`;
    const place = `at ${Play.hex(block.at)}`;
    if (block.state === 'used') return `${name ?? 'a block'} in use, ${size} ${place}`;
    return `${block.bin === 0 ? 'the wilderness' : `free, bin ${block.bin}`}, ${size} ${place}`;
  };

  /* The first-level word beside the second-level words: a row for each power of two. */
  Play.drawBins = (table, session, step, selected) => {
    const { rows, columns, least } = Play.bins, { state } = session;
    if (!table.childElementCount) {
      for (let row = 0; row < rows; row++) {
        table.append(element('span', 'least', sizeName(row ? 128 << row : 0)));
        table.append(element('span', 'word'));
        for (let column = 0; column < columns; column++) {
          const cell = element('span', 'bin');
          cell.dataset.bin = row * columns + column;
          table.append(cell);
        }
      }
    }
    const chosen = state.blocks.find((block) => block.at === selected)?.bin;
    const words = table.querySelectorAll('.word'), lit = new Set();
    for (const cell of table.querySelectorAll('.bin')) {
      const bin = Number(cell.dataset.bin), here = state.bins.get(bin), from = least(bin);
      const classes = ['bin'];
      if (here) {
        classes.push('lit');
        lit.add(bin >> 5);
      }
      if (bin === 0) classes.push('wild');
      if (step?.search?.own === bin) classes.push('own');
      if (step?.search?.found === bin) classes.push('found');
      if (chosen === bin) classes.push('chosen');
      cell.className = classes.join(' ');
      cell.textContent = here ? (here.blocks > 99 ? '+' : here.blocks) : '';
      const sizes = bin === 0 ? 'the wilderness: the free block that ends the pool'
        : least(bin + 1) - from === 8 ? `${from} bytes` : `${from} to ${least(bin + 1) - 8} bytes`;
      cell.title = `bin ${bin}: ${sizes}; ${here ? here.blocks : 0} free`;
    }
    words.forEach((word, row) => {
      word.className = lit.has(row) ? 'word lit' : 'word';
      word.textContent = lit.has(row) ? '1' : '0';
    });
    const names = [...state.bins.values()].map((bin) => `bin ${bin.bin}: ${bin.blocks}`);
    table.setAttribute('aria-label', `Bins with free blocks: ${names.join(', ') || 'none'}`);
  };

  /* A block's words as they lie in memory. */
  Play.drawBlock = (box, session, at) => {
    const { heap, state } = session;
    const index = state.blocks.findIndex((one) => one.at === at), block = state.blocks[index];
    box.replaceChildren();
    if (!block) {
      box.append(element('p', 'hint',
        'Choose a block: click it, or use the arrow keys in the array.'));
      return;
    }
    const next = state.blocks[index + 1], name = session.nameOf(at);
    const title = element('p', 'title');
    const used = block.state === 'used';
    const what = used ? 'in use' : block.bin === 0 ? 'free: the wilderness'
      : `free, in bin ${block.bin}`;
    title.append(element('b', '', name && used ? name : 'block'), ` ${what} · `);
    title.append(element('code', '', Play.hex(at)), ` · ${Play.number(block.size)} bytes`);
    const words = element('div', 'words');
    const word = (kind, label, value, grow = 0) => {
      const cell = element('div', kind);
      if (grow) cell.style.flexGrow = grow;
      cell.append(element('span', '', label), element('code', '', value));
      words.append(cell);
    };
    const flags = (address) => {
      const value = heap.word(address - heap.header), names = [];
      if (value & 1) names.push('FREE');
      if (value & 2) names.push('PREV_FREE');
      if (value & 4) names.push('SENTINEL');
      return `${value >>> 3 << 3}${names.length ? ` ${names.join(' ')}` : ''}`;
    };
    word('head', 'header: size, flags', flags(at));
    if (used) {
      const asked = session.names.get(name)?.bytes, usable = block.size - heap.header;
      const all = asked !== undefined && asked !== usable ? `${asked} requested, ${usable} usable`
        : `${usable} usable`;
      word('yours', 'payload: yours', all, 3);
    } else {
      const end = at - heap.header + block.size;
      word('link', 'next_free', Play.hex(heap.word(at)));
      word('link', 'prev_link', Play.hex(heap.word(at + 4)));
      if (block.size > 16) word('gap', '', '…', 1);
      word('link', 'prev_phys', Play.hex(heap.word(end - heap.header)));
    }
    const after = at + block.size;
    if (after <= heap.start + heap.bytes) {
      const whole = state.sound || next;
      word('head next', next ? 'next header' : whole ? 'sentinel' : 'next header, overwritten',
        whole ? flags(after) : Play.hex(heap.word(after - heap.header)));
    }
    box.append(title, words);
  };

  Play.drawFigures = (box, state) => {
    const { counters: c, measure: m } = state, n = Play.number;
    const figures = [
      ['used', n(c?.used ?? 0)], ['free', n(c?.free ?? 0)], ['largest', n(c?.largest ?? 0)],
      ['peak', n(c?.peak ?? 0)], ['live blocks', n(c?.live_blocks ?? 0)],
      ['free blocks', m ? n(m.free_blocks) : '–'], ['refused', n(c?.failed_requests ?? 0)],
    ];
    box.replaceChildren(...figures.map(([label, value]) => {
      const cell = element('div');
      cell.append(element('b', '', value), element('span', '', label));
      return cell;
    }));
  };
}
