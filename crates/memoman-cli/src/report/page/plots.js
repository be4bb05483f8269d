/* Curves over time, and histograms. */
const LEFT = 62, BOTTOM = 18, TOP = 6;

function plot(id, series, text, textAt) {
  const canvas = $(id);
  const high = Math.max(1e-9, ...series.map(one => Math.max(...one.values)));
  const draw = () => {
    const { context, width, height } = fit(canvas);
    const w = width - LEFT, h = height - BOTTOM - TOP;
    const x = t => LEFT + (t + .5) / T * w, y = v => TOP + h - v / high * h;
    context.clearRect(0, 0, width, height);
    context.font = '11px system-ui, sans-serif';
    context.textBaseline = 'middle';
    for (const v of ticks(0, high, h / 26, id === 'memory' ? 2 : 10)) {
      context.strokeStyle = css('--line');
      context.lineWidth = 1;
      context.beginPath();
      context.moveTo(LEFT, Math.round(y(v)) + .5);
      context.lineTo(width, Math.round(y(v)) + .5);
      context.stroke();
      context.fillStyle = css('--dim');
      context.textAlign = 'right';
      context.fillText(text(v), LEFT - 6, y(v));
    }
    for (const one of series) {
      context.beginPath();
      one.values.forEach((v, t) => t ? context.lineTo(x(t), y(v)) : context.moveTo(x(t), y(v)));
      context.strokeStyle = css(one.colour);
      context.lineWidth = 1.6;
      context.stroke();
      if (one.area) {
        context.lineTo(x(T - 1), y(0));
        context.lineTo(x(0), y(0));
        context.globalAlpha = .35;
        context.fillStyle = css(one.colour);
        context.fill();
        context.globalAlpha = 1;
      }
    }
    context.fillStyle = css('--dim');
    context.textBaseline = 'bottom';
    for (const at of ticks(0, total, w / 85)) {
      const px = LEFT + at / total * w;
      context.textAlign = px > width - 40 ? 'right' : 'center';
      context.fillText(axisText(at), px, height - 1);
    }
    context.strokeStyle = css('--accent');
    context.lineWidth = 2;
    context.beginPath();
    context.moveTo(x(slice), TOP);
    context.lineTo(x(slice), TOP + h);
    context.stroke();
  };
  const sliceAt = event => {
    const box = canvas.getBoundingClientRect();
    return clamp(Math.floor((event.clientX - box.left - LEFT) / (box.width - LEFT) * T), 0, T - 1);
  };
  canvas.addEventListener('click', event => goTo(sliceAt(event)));
  tipFor(canvas, event => textAt(sliceAt(event)));
  followers.push(draw);
  return draw;
}

/* Bars: blocks, and of them those left at the end in the second colour. */
function histogram(id, rows, label) {
  const most = Math.max(1, ...rows.map(row => row.blocks + (row.extra || 0)));
  $(id).replaceChildren(...rows.map(row => {
    const line = document.createElement('div'), bar = document.createElement('div');
    line.className = 'hrow';
    bar.className = 'hbar';
    const freed = document.createElement('b'), left = document.createElement('s');
    const whole = row.blocks + (row.extra || 0);
    const part = Math.min(row.left, whole);
    freed.style.width = (whole - part) / most * 100 + '%';
    left.style.width = part / most * 100 + '%';
    bar.append(freed, left);
    const first = document.createElement('span'), last = document.createElement('span');
    first.textContent = label(row);
    last.textContent = count(whole) + ', ' + bytes(row.bytes);
    line.append(first, bar, last);
    line.title = count(whole) + ' blocks, ' + bytes(row.bytes) + ', of which ' + count(row.left) +
      ' blocks are left at the end';
    return line;
  }));
  const note = document.createElement('p');
  note.className = 'legend';
  note.innerHTML = '<span class="key k1"></span>freed<span class="key" ' +
    'style="background:var(--second)"></span>left at the end';
  $(id).append(note);
}
