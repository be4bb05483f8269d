/* The page: puts all together. */
function header() {
  const args = D.args.length ? ': ' + D.args.join(' ') : '';
  const heap = D.heap ? `handle heap ${D.heap}` : 'malloc';
  const others = D.heaps.filter(other => other !== D.heap);
  $('about').textContent = `${D.trace}, process ${D.pid}, ${heap}` +
    (others.length ? ` (also in the trace: heap ${others.join(', ')})` : '') + args;
  if (D.lacks.length) {
    $('lacks').hidden = false;
    $('lacks').textContent = D.lacks.join('; ');
  }
  const worst = D.slices.reduce((a, b) => b.peak > a.peak ? b : a, D.slices[0]);
  const tiles = [
    [bytes(D.peak), 'live at the peak'], [duration(D.end), 'run'],
    [brief(D.events), 'events'], [brief(D.allocations), 'allocations'],
    [bytes(D.largest), 'largest request'], [count(D.threads), D.threads === 1 ? 'thread' :
      'threads'], [count(D.failed_count), 'failed requests'],
    [bytes(D.left), 'live at the end']];
  $('tiles').replaceChildren(...tiles.map(([figure, what]) => {
    const tile = document.createElement('div');
    tile.className = 'tile';
    tile.append(element('b', figure), element('span', what));
    return tile;
  }));
  return D.slices.indexOf(worst);
}

function moment() {
  const at = D.slices[slice];
  const part = Math.round(at.live / at.held * 100);
  const held = at.held ? ` in ${bytes(at.held)} of pages (${part} %)` : '';
  $('moment').textContent =
    `${momentOf(slice)}: ${bytes(at.live)} live${held}, ${count(at.blocks)} blocks`;
  $('slider').value = slice;
}

(async () => {
  const began = performance.now();
  const peak = header();
  if (!D.groups.length) $('colour').querySelector('[value=site]').remove();
  $('cellbytes').textContent = bytes(D.cell_bytes);
  $('slider').max = T - 1;
  await decode();
  newLook();
  legend();
  mapEvents();
  const plots = [
    plot('memory', [
      { values: D.slices.map(s => s.peak), colour: '--first', area: true },
      { values: D.slices.map(s => s.held), colour: '--second' }], bytes, t =>
      `${momentOf(t)}\n${bytes(D.slices[t].peak)} live at most, ${bytes(D.slices[t].live)} at ` +
      `the slice's end\n${bytes(D.slices[t].held)} in pages that hold a live block\n` +
      `${count(D.slices[t].blocks)} blocks`),
    plot('fragmentation', [{ colour: '--second', area: true, values: D.slices.map(s =>
      s.held ? Math.max(0, 1 - s.live / s.held) * 100 : 0) }], v => +v.toFixed(1) + ' %', t =>
      `${momentOf(t)}\n${bytes(Math.max(0, D.slices[t].held - D.slices[t].live))} of ` +
      `${bytes(D.slices[t].held)} held pages are not live`)];
  followers.push(moment, drawCursor, drawCells);
  histogram('sizes', D.sizes.filter(row => row.blocks), row => '≤ ' + bytes(row.up_to));
  histogram('lives', D.lives.map(row => ({ ...row, extra: row.left })).filter(row =>
    row.blocks || row.left), row => '< ' + duration(row.up_to));
  const stacks = sites();
  failed();
  left();
  if (stacks) { flameTree(); flameEvents(); }
  const redraw = () => {
    newLook(); legend(); drawMap(); drawCursor();
    for (const follow of followers) follow();
    if (stacks) drawFlame();
  };
  $('colour').onchange = () => { newLook(); legend(); drawMap(); drawCells(); };
  $('slider').oninput = event => goTo(+event.target.value);
  let wait;
  let wide = innerWidth;
  addEventListener('resize', () => {
    if (innerWidth === wide) return;
    wide = innerWidth;
    clearTimeout(wait);
    wait = setTimeout(redraw, 120);
  });
  dark.addEventListener('change', redraw);
  slice = peak;
  newLook(); drawMap();
  goTo(peak);
  if (stacks) drawFlame();
  document.body.dataset.ready = Math.round(performance.now() - began);
})();
