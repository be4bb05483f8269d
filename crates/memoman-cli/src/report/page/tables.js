/* Tables: call sites, failed requests, what is left at the end. */
function element(tag, text, small) {
  const out = document.createElement(tag);
  out.textContent = text;
  if (small) {
    const more = document.createElement('small');
    more.textContent = small;
    out.append(more);
  }
  return out;
}

/* A table that sorts by the column that is clicked. */
function table(target, columns, rows, first, onRow) {
  let sorted = first;
  const draw = () => {
    rows.sort((a, b) => {
      const [x, y] = [columns[sorted].key(a), columns[sorted].key(b)];
      return typeof x === 'number' ? y - x : String(x).localeCompare(String(y));
    });
    const head = document.createElement('tr');
    columns.forEach((column, i) => {
      const cell = element('th', column.title);
      if (i === sorted) cell.setAttribute('aria-sort', 'descending');
      cell.onclick = () => { sorted = i; draw(); };
      head.append(cell);
    });
    const body = rows.map(row => {
      const line = document.createElement('tr');
      line.append(...columns.map(c => element('td', c.text(row), c.small && c.small(row))));
      if (onRow) { line.className = 'go'; line.onclick = () => onRow(row); }
      return line;
    });
    const top = document.createElement('thead'), rest = document.createElement('tbody');
    top.append(head);
    rest.append(...body);
    target.replaceChildren(top, rest);
  };
  draw();
}

const siteColumn = { title: 'call site', key: s => name(s.name), text: s => name(s.name),
  small: s => s.caller == null ? '' : 'from ' + name(s.caller) };
function column(title, key, text) {
  return { title, key: s => s[key], text: s => text(s[key]) };
}

function sites() {
  if (!D.sites.length) {
    $('sitesection').replaceChildren(element('h2', 'Call sites'),
      element('p', 'The trace has no stacks: memoman record --stacks 30 records them.'));
    return false;
  }
  table($('sites'), [siteColumn, column('at the peak', 'peak', bytes),
    column('allocated', 'bytes', bytes), column('allocations', 'blocks', count),
    column('left', 'left', bytes)], D.sites, 1);
  return true;
}

function failed() {
  const box = $('failed');
  if (!D.failed_count) {
    box.replaceChildren(element('p', 'No request failed.'));
    return;
  }
  const listed = D.failed.length < D.failed_count ? `, the first ${D.failed.length} listed` : '';
  const scroll = document.createElement('div'), out = document.createElement('table');
  scroll.className = 'scroll';
  scroll.append(out);
  box.replaceChildren(
    element('p', `${count(D.failed_count)} requests failed${listed}. A click shows the heap.`),
    scroll);
  const pools = D.failed.some(f => f.pools);
  table(out, [
    { title: 'when', key: f => -f.time, text: f => duration(f.time), small: f =>
      f.frames.map(name).slice(0, 3).join(' ← ') },
    column('request', 'size', bytes), column('alignment', 'align', a => a ? count(a) : 'default'),
    column('live then', 'live', bytes), column('blocks', 'blocks', count),
    pools ? column('pools', 'pools', bytes) : column('held pages', 'held', bytes),
    column('thread', 'thread', count)], D.failed, 0, f => {
    goTo(f.slice);
    $('map').scrollIntoView({ behavior: 'smooth', block: 'center' });
  });
}

function left() {
  const box = $('left');
  if (!D.left_blocks) {
    box.replaceChildren(element('p', 'Nothing: every block was freed.'));
    return;
  }
  const blocks = D.left_blocks === 1 ? '1 block' : `${count(D.left_blocks)} blocks`;
  const text = `${blocks}, ${bytes(D.left)}. Programs that end without ` +
    'freeing leave blocks on purpose; look for sites whose blocks grow in number.';
  const rows = D.sites.filter(site => site.left_blocks);
  const parts = [element('p', text)];
  if (rows.length) {
    const scroll = document.createElement('div'), out = document.createElement('table');
    scroll.className = 'scroll';
    scroll.append(out);
    parts.push(scroll);
    table(out, [siteColumn, column('left', 'left', bytes),
      column('blocks', 'left_blocks', count)], rows, 1);
  }
  box.replaceChildren(...parts);
}
