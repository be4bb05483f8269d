/* What a step did, in words, from the heap before and after it. */
'use strict';

Play.number = (value) => value.toLocaleString('en-US');
Play.hex = (value) => `0x${value.toString(16)}`;

Play.explain = (step, heap) => {
  const n = Play.number, { before, after } = step;
  const bytes = (count) => `${n(count)} byte${count === 1 ? '' : 's'}`;
  const at = (state, address) => state.blocks.find((block) => block.at === address);
  /* The block of a state that contains a payload's address. */
  const around = (state, address) => state.blocks.find((block) =>
    block.at <= address && address < block.at - heap.header + block.size);
  const list = (bin) => bin === 0 ? 'the wilderness' : `bin ${bin}`;

  const served = (request, align) => {
    const block = at(after, step.result), source = around(before, step.result);
    if (!block || !source) return '';
    const size = Play.bins.sizeFor(request), own = Play.bins.of(size);
    step.search = { own, found: source.bin };
    const start = `A block of ${bytes(block.size)}: the request, ${bytes(heap.header)} of header` +
      `${block.size - heap.header > request ? ', rounding' : ''}. `;
    const gap = block.at - source.at, rest = source.size - gap - block.size;
    let search;
    if (align) {
      search = `Searched with room for the alignment; found in ${list(source.bin)}. `;
    } else if (source.bin === own) {
      search = `Its own list, bin ${own}, has one. `;
    } else if (source.bin === 0) {
      search = `Bin ${own} and all above it are empty: the wilderness serves. `;
    } else {
      search = `Bin ${own} has none; the bitmaps lead to bin ${source.bin}. `;
    }
    const pieces = [gap && `a gap of ${bytes(gap)} before it`, rest && `${bytes(rest)} after it`]
      .filter(Boolean).join(' and ');
    const split = pieces ? `The block of ${bytes(source.size)} is split: ${pieces} stay free.`
      : 'It fits: no split.';
    return start + search + split;
  };

  const freed = (address) => {
    const old = at(before, address), now = around(after, address);
    if (!old || !now || now.state !== 'free') return '';
    const grows = now.at + now.size > old.at + old.size;
    const sides = [now.at < old.at && 'before', grows && 'after'].filter(Boolean);
    step.search = { own: now.bin, found: now.bin };
    const place = now.bin === 0 ? 'It ends the pool: the wilderness.'
      : `It goes to bin ${now.bin}.`;
    if (!sides.length) return `${bytes(old.size)} are free. No neighbour is free. ${place}`;
    const plural = sides.length > 1 ? 's' : '';
    return `${bytes(old.size)} and the free neighbour${plural} ${sides.join(' and ')} it merge ` +
      `at once: ${bytes(now.size)}. ${place}`;
  };

  const moved = () => {
    const old = at(before, step.old), now = at(after, step.result);
    if (!old || !now) return '';
    if (now.at === old.at) {
      const how = now.size > old.size ? 'grows in place, into the free block after it'
        : now.size < old.size ? 'shrinks in place; its tail is free' : 'has the room already';
      return `The block ${how}: ${bytes(now.size)}.`;
    }
    const back = old.at > now.at && old.at < now.at + now.size;
    return back ? `The block grows backward, into the free block before it: ${bytes(now.size)}.`
      : `No room in place: the block moves, ${bytes(old.size)} become ${bytes(now.size)}.`;
  };

  const refused = (request) => {
    const largest = after.counters.largest;
    if (request === 0) return 'NULL: a request of 0 bytes.';
    if (request <= largest && step.what === 'memalign') {
      return 'NULL: the alignment is no power of two, or its gap fits nowhere.';
    }
    return `NULL: the largest request that would succeed is ${bytes(largest)}. Nothing changed.`;
  };

  const describe = () => {
    if (step.trap) return `The library stopped the program (${step.trap}); the step is undone.`;
    if (step.misuse) {
      return `memoman: ${step.misuse.message}: ${Play.hex(step.misuse.at)}. ` +
        'The error handler got this message, and the call had no effect.';
    }
    switch (step.what) {
      case 'malloc': return step.result ? served(step.numbers[0]) : refused(step.numbers[0]);
      case 'memalign':
        return step.result ? served(step.numbers[1], true) : refused(step.numbers[1]);
      case 'realloc':
        if (step.numbers[0] === 0) return `A request of 0 bytes frees. ${freed(step.old)}`;
        return step.result ? moved() : refused(step.numbers[0]);
      case 'free': return freed(step.old);
      default: {
        const block = at(before, step.old);
        const past = block ? step.numbers[0] - (block.size - heap.header) : 0;
        if (!block) return `${bytes(step.numbers[0])} written through a pointer that is not live.`;
        return past > 0 ? `The program writes ${bytes(past)} past the end of its block.`
          : `The program writes ${bytes(step.numbers[0])} into its block.`;
      }
    }
  };
  step.text = describe();
  const broken = after.broken[0];
  step.verdict = after.sound ? 'sound' : broken ? broken.name : 'broken';
};
