/* The flame graph: callers above, call sites below; width by a measure. */
const ROW = 19;
const flame = { root: 0, boxes: [], children: [] };

function flameTree() {
  flame.children = D.flame.map(() => []);
  D.flame.forEach((node, i) => { if (i) flame.children[node.parent].push(i); });
}

function flameColour(text) {
  let hash = 0;
  for (let i = 0; i < text.length; i++) hash = (hash * 31 + text.charCodeAt(i)) | 0;
  const hue = 18 + Math.abs(hash) % 40;
  return dark.matches ? `hsl(${hue} 55% 38%)` : `hsl(${hue} 80% 72%)`;
}

function drawFlame() {
  const canvas = $('flame'), measure = +$('measure').value;
  const value = i => D.flame[i].sums[measure];
  const boxes = flame.boxes = [];
  const width = canvas.clientWidth;
  const path = [];
  for (let i = flame.root; i; i = D.flame[i].parent) path.unshift(i);
  path.unshift(0);
  path.pop();
  path.forEach((i, depth) => boxes.push({ i, x: 0, w: width, depth, above: true }));
  const whole = value(flame.root);
  const place = (i, x, w, depth) => {
    if (w < .6) return;
    boxes.push({ i, x, w, depth });
    let at = x;
    for (const child of flame.children[i].slice().sort((a, b) => value(b) - value(a))) {
      const wide = whole ? value(child) / whole * width : 0;
      place(child, at, wide, depth + 1);
      at += wide;
    }
  };
  if (whole) place(flame.root, 0, width, path.length);
  const deepest = Math.max(0, ...boxes.map(box => box.depth));
  const { context } = fit(canvas, (deepest + 1) * ROW);
  context.font = '12px system-ui, sans-serif';
  context.textBaseline = 'middle';
  for (const box of boxes) {
    const text = box.i ? name(D.flame[box.i].name) : 'all';
    context.globalAlpha = box.above ? .5 : 1;
    context.fillStyle = box.i ? flameColour(text) : css('--line');
    context.fillRect(box.x, box.depth * ROW, Math.max(.5, box.w - 1), ROW - 1);
    context.globalAlpha = 1;
    if (box.w < 28) continue;
    context.save();
    context.beginPath();
    context.rect(box.x, box.depth * ROW, box.w - 4, ROW);
    context.clip();
    context.fillStyle = css('--text');
    context.fillText(text, box.x + 4, box.depth * ROW + ROW / 2);
    context.restore();
  }
}

function flameEvents() {
  const canvas = $('flame');
  const at = event => {
    const box = canvas.getBoundingClientRect();
    const x = event.clientX - box.left, depth = Math.floor((event.clientY - box.top) / ROW);
    return flame.boxes.find(b => b.depth === depth && x >= b.x && x < b.x + b.w);
  };
  canvas.addEventListener('click', event => {
    const box = at(event);
    if (box) { flame.root = box.i; drawFlame(); }
  });
  tipFor(canvas, event => {
    const box = at(event);
    if (!box) return '';
    const measure = +$('measure').value, sum = D.flame[box.i].sums[measure];
    const part = sum / Math.max(1, D.flame[0].sums[measure]) * 100;
    return (box.i ? name(D.flame[box.i].name) : 'all') + '\n' +
      (measure === 1 ? count(sum) + ' allocations' : bytes(sum)) + ', ' + part.toFixed(1) + ' %';
  });
  $('measure').onchange = drawFlame;
  $('flamereset').onclick = () => { flame.root = 0; drawFlame(); };
}
