/* The heap map, and the heap at the slider's moment. */
let planes = null;
const view = { t0: 0, t1: T, c0: 0, c1: C };
const FOOT = 18;

async function decode() {
  const packed = Uint8Array.from(atob($('bytes').textContent), c => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('deflate-raw'));
  const all = new Uint8Array(await new Response(stream).arrayBuffer());
  const size = T * C;
  for (let plane = 0; plane * size < all.length; plane++) {
    for (let i = plane * size + C, end = (plane + 1) * size; i < end; i++) all[i] += all[i - C];
  }
  planes = { fill: all.subarray(0, size), birth: all.subarray(size, 2 * size),
    size: all.subarray(2 * size, 3 * size), site: all.subarray(3 * size) };
}

/* Ramps, for a light and a dark page: an old block must not look like the page. */
function ramp(points) {
  const out = new Uint8Array(768);
  for (let i = 0; i < 256; i++) {
    const x = i / 255 * (points.length - 1), k = Math.min(points.length - 2, x | 0), f = x - k;
    for (let j = 0; j < 3; j++) {
      out[i * 3 + j] = points[k][j] + (points[k + 1][j] - points[k][j]) * f;
    }
  }
  return out;
}
const RAMPS = {
  age: [
    ramp([[255, 200, 60], [240, 112, 58], [190, 50, 110], [104, 44, 150], [38, 42, 120]]),
    ramp([[255, 240, 150], [255, 170, 60], [235, 88, 112], [176, 104, 232], [92, 148, 255]])],
  size: [
    ramp([[70, 180, 230], [50, 140, 110], [150, 170, 40], [230, 130, 40], [190, 40, 70],
      [110, 30, 120]]),
    ramp([[70, 130, 220], [60, 180, 170], [150, 200, 80], [250, 200, 70], [250, 120, 80],
      [240, 110, 200]])],
};
const SITES = [
  ['#2f6db5', '#d9691e', '#2f9150', '#c23b4e', '#7b55b8', '#8a6340', '#cf5fa8', '#7d8a1f',
    '#1f9aa8', '#9a9ca6'],
  ['#6aa8ee', '#ff9b54', '#62c98a', '#ff7684', '#b294ef', '#caa07a', '#f290cf', '#c3cf5c',
    '#5cd0dd', '#8c909c']];
const rgb = hex => [1, 3, 5].map(i => parseInt(hex.slice(i, i + 2), 16));
let look;
function newLook() {
  const night = dark.matches ? 1 : 0;
  look = { mode: $('colour').value, night, back: rgb(css('--back')), age: RAMPS.age[night],
    size: RAMPS.size[night], site: SITES[night].map(rgb) };
}

/* The colour of some cells in a slice: hue by mode, paleness by fill. */
const shade = [0, 0, 0];
const votes = new Float64Array(16);
function colourOf(t, from, to) {
  let fill = 0, births = 0, sizes = 0;
  const o = t * C, site = look.mode === 'site' && planes.site.length;
  if (site) votes.fill(0);
  for (let i = o + from; i < o + to; i++) {
    const f = planes.fill[i];
    if (!f) continue;
    fill += f;
    births += f * planes.birth[i];
    sizes += f * planes.size[i];
    if (site) votes[planes.site[i]] += f;
  }
  if (!fill) { shade[0] = look.back[0]; shade[1] = look.back[1]; shade[2] = look.back[2]; return; }
  const full = .28 + .72 * Math.min(1, fill / (to - from) / 255);
  let hue, at = 0;
  if (look.mode === 'size') {
    hue = look.size;
    at = clamp((sizes / fill / 8 - 4) * 16, 0, 255) | 0;
  } else if (site) {
    let best = 0;
    for (let group = 1; group < 16; group++) if (votes[group] > votes[best]) best = group;
    hue = look.site[best];
  } else {
    hue = look.age;
    at = clamp(Math.log2(1 + Math.max(0, (t + 1) / T * 255 - births / fill)) * 32, 0, 255) | 0;
  }
  at *= 3;
  for (let j = 0; j < 3; j++) shade[j] = hue[at + j] * full + look.back[j] * (1 - full);
}

function drawMap() {
  const canvas = $('map');
  const { context, width, height, ratio } = fit(canvas);
  const w = canvas.width, h = Math.round((height - FOOT) * ratio);
  const image = context.createImageData(w, h), data = image.data;
  const across = view.t1 - view.t0, up = view.c1 - view.c0;
  let before = -1, column = 0;
  for (let x = 0; x < w; x++) {
    const t = clamp(Math.floor(view.t0 + x / w * across), 0, T - 1);
    if (t === before) {
      for (let y = 0, i = x * 4; y < h; y++, i += w * 4) {
        data[i] = data[i - 4]; data[i + 1] = data[i - 3]; data[i + 2] = data[i - 2];
        data[i + 3] = 255;
      }
      continue;
    }
    before = t; column = x;
    for (let y = 0, i = column * 4; y < h; y++, i += w * 4) {
      const from = clamp(Math.floor(view.c0 + (h - 1 - y) / h * up), 0, C - 1);
      const to = clamp(Math.ceil(view.c0 + (h - y) / h * up), from + 1, C);
      colourOf(t, from, to);
      data[i] = shade[0]; data[i + 1] = shade[1]; data[i + 2] = shade[2]; data[i + 3] = 255;
    }
  }
  context.putImageData(image, 0, 0);
  drawGaps(context, width, height - FOOT);
  drawTime(context, width, height);
}

/* A line and a label where the addresses jump. */
function drawGaps(context, width, height) {
  context.font = '11px system-ui, sans-serif';
  context.textBaseline = 'bottom';
  let last = height + 99;
  for (const region of D.regions) {
    const y = height - (region.cell - view.c0) / (view.c1 - view.c0) * height;
    if (y < 0 || y > height + 1) continue;
    context.strokeStyle = css('--dim');
    context.setLineDash([4, 4]);
    context.lineWidth = 1;
    if (region.cell > 0) {
      context.beginPath();
      context.moveTo(0, Math.round(y) + .5);
      context.lineTo(width, Math.round(y) + .5);
      context.stroke();
    }
    context.setLineDash([]);
    const top = y - region.cells / (view.c1 - view.c0) * height;
    if (last - y < 15 || y - Math.max(0, top) < 14) continue;
    last = y;
    const text = region.start + ', ' + bytes(region.bytes);
    const wide = context.measureText(text).width;
    context.fillStyle = css('--back');
    context.globalAlpha = .75;
    context.fillRect(3, y - 15, wide + 6, 14);
    context.globalAlpha = 1;
    context.fillStyle = css('--text');
    context.fillText(text, 6, y - 1);
  }
}

function drawTime(context, width, height) {
  context.fillStyle = css('--back');
  context.fillRect(0, height - FOOT, width, FOOT);
  context.fillStyle = css('--dim');
  context.font = '11px system-ui, sans-serif';
  context.textBaseline = 'bottom';
  const low = view.t0 / T * total, high = view.t1 / T * total;
  for (const x of ticks(low, high, width / 85)) {
    const at = (x - low) / (high - low) * width;
    context.textAlign = at < 30 ? 'left' : at > width - 40 ? 'right' : 'center';
    context.fillText(axisText(x), at, height - 2);
  }
  context.textAlign = 'left';
}

function drawCursor() {
  const x = (slice + .5 - view.t0) / (view.t1 - view.t0);
  $('cursor').style.left = x * 100 + '%';
  $('cursor').hidden = x < 0 || x > 1;
}

/* The cells of the moment, in rows. */
const grid = { columns: 128, size: 8, rows: [] };
function layCells() {
  const canvas = $('cells');
  grid.columns = canvas.clientWidth < 600 ? 96 : 128;
  grid.rows = [];
  const apart = D.regions.length <= 40;
  const runs = apart ? D.regions.map(r => [r.cell, r.cell + r.cells]) : [[0, C]];
  for (let [from, to] of runs) {
    from = Math.max(from, Math.floor(view.c0));
    to = Math.min(to, Math.ceil(view.c1));
    for (let cell = from; cell < to; cell += grid.columns) {
      grid.rows.push([cell, Math.min(to, cell + grid.columns)]);
    }
  }
  grid.size = canvas.clientWidth / grid.columns;
}
function drawCells() {
  layCells();
  const canvas = $('cells');
  const { context } = fit(canvas, Math.max(grid.size, Math.ceil(grid.rows.length * grid.size)));
  context.fillStyle = css('--card');
  context.fillRect(0, 0, canvas.clientWidth, grid.rows.length * grid.size);
  const small = document.createElement('canvas');
  small.width = grid.columns;
  small.height = Math.max(1, grid.rows.length);
  const image = new ImageData(small.width, small.height);
  grid.rows.forEach(([from, to], row) => {
    for (let cell = from; cell < to; cell++) {
      colourOf(slice, cell, cell + 1);
      image.data.set([...shade, 255], (row * grid.columns + cell - from) * 4);
    }
  });
  small.getContext('2d').putImageData(image, 0, 0);
  context.imageSmoothingEnabled = false;
  context.drawImage(small, 0, 0, canvas.clientWidth, small.height * grid.size);
}

/* What lies in a cell, in words. */
function cellText(t, cell) {
  const region = D.regions.find(r => cell >= r.cell && cell < r.cell + r.cells);
  if (!region) return '';
  const address = BigInt(region.start) + BigInt((cell - region.cell) * D.cell_bytes);
  const i = t * C + cell, fill = planes.fill[i];
  let text = '0x' + address.toString(16) + ' at ' + momentOf(t) + '\n';
  if (!fill) return text + 'no live block';
  const born = planes.birth[i] / 255 * D.end;
  text += Math.max(1, Math.round(fill / 2.55)) + ' % live, blocks of about ' +
    bytes(2 ** (planes.size[i] / 8)) + '\nage about ' +
    duration(Math.max(0, D.slices[t].time - born));
  if (planes.site.length) {
    const group = planes.site[i];
    text += '\n' + (group < D.groups.length ? name(D.groups[group]) : 'other call sites');
  }
  return text;
}

function legend() {
  const box = $('legend');
  if (look.mode === 'site') {
    box.replaceChildren(...D.groups.concat(-1).map((group, i) => {
      const entry = document.createElement('span'), dot = document.createElement('u');
      const at = group < 0 ? SITES[0].length - 1 : i;
      dot.style.background = SITES[look.night][at];
      entry.append(dot, ' ', group < 0 ? 'others' : name(group).slice(0, 40));
      return entry;
    }));
    return;
  }
  const bar = document.createElement('i'), stops = [];
  for (let i = 0; i <= 16; i++) {
    const at = Math.round(i * 255 / 16) * 3, hue = look[look.mode];
    stops.push(`rgb(${hue[at]},${hue[at + 1]},${hue[at + 2]})`);
  }
  bar.style.background = `linear-gradient(to right, ${stops})`;
  const ends = look.mode === 'age' ? ['new', 'as old as the run'] : ['16 B', '1 MiB and more'];
  box.replaceChildren(ends[0], bar, ends[1], ' · pale: half empty');
}

function zoom(t0, t1, c0, c1) {
  const wide = clamp(t1 - t0, Math.min(8, T), T), tall = clamp(c1 - c0, Math.min(32, C), C);
  view.t0 = clamp((t0 + t1 - wide) / 2, 0, T - wide);
  view.c0 = clamp((c0 + c1 - tall) / 2, 0, C - tall);
  view.t1 = view.t0 + wide;
  view.c1 = view.c0 + tall;
  drawMap(); drawCursor(); drawCells();
}
function zoomBy(factor) {
  const t = slice + .5, c = (view.c0 + view.c1) / 2;
  const wide = (view.t1 - view.t0) * factor / 2, tall = (view.c1 - view.c0) * factor / 2;
  zoom(t - wide, t + wide, c - tall, c + tall);
}

function mapEvents() {
  const map = $('map'), frame = $('frame');
  const place = event => {
    const box = map.getBoundingClientRect(), h = box.height - FOOT;
    const x = clamp(event.clientX - box.left, 0, box.width);
    const y = clamp(event.clientY - box.top, 0, h);
    return { x, y, t: view.t0 + x / box.width * (view.t1 - view.t0),
      c: view.c0 + (1 - y / h) * (view.c1 - view.c0) };
  };
  let from = null;
  map.addEventListener('pointerdown', event => {
    from = place(event);
    map.setPointerCapture(event.pointerId);
    if (event.pointerType !== 'mouse') goTo(Math.floor(from.t));
  });
  map.addEventListener('pointermove', event => {
    const at = place(event);
    if (from && event.pointerType !== 'mouse') return goTo(Math.floor(at.t));
    if (from && Math.hypot(at.x - from.x, at.y - from.y) > 8) {
      tip.hidden = true;
      frame.hidden = false;
      Object.assign(frame.style, { left: Math.min(at.x, from.x) + 'px',
        top: Math.min(at.y, from.y) + 'px', width: Math.abs(at.x - from.x) + 'px',
        height: Math.abs(at.y - from.y) + 'px' });
      return;
    }
    showTip(event, cellText(clamp(Math.floor(at.t), 0, T - 1), clamp(Math.floor(at.c), 0, C - 1)));
  });
  map.addEventListener('pointerup', event => {
    const at = place(event), start = from;
    from = null;
    if (!start) return;
    if (frame.hidden) return goTo(Math.floor(at.t));
    frame.hidden = true;
    zoom(Math.min(at.t, start.t), Math.max(at.t, start.t), Math.min(at.c, start.c),
      Math.max(at.c, start.c));
  });
  map.addEventListener('pointercancel', () => { from = null; frame.hidden = true; });
  map.addEventListener('pointerleave', () => { tip.hidden = true; });
  map.addEventListener('dblclick', () => zoom(0, T, 0, C));
  $('whole').onclick = () => zoom(0, T, 0, C);
  $('closer').onclick = () => zoomBy(.5);
  $('farther').onclick = () => zoomBy(2);
  tipFor($('cells'), event => {
    const box = $('cells').getBoundingClientRect();
    const row = grid.rows[Math.floor((event.clientY - box.top) / grid.size)];
    const cell = row ? row[0] + Math.floor((event.clientX - box.left) / grid.size) : -1;
    return row && cell < row[1] ? cellText(slice, cell) : '';
  });
}
