'use strict';
const $ = id => document.getElementById(id);
const D = JSON.parse($('data').textContent);
const T = D.slices.length, C = D.cells;
const dark = matchMedia('(prefers-color-scheme: dark)');
const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const clamp = (x, low, high) => Math.max(low, Math.min(high, x));

const count = n => n.toLocaleString('en');
const brief = n => n < 1e6 ? count(n) : (n / 1e6).toFixed(n < 1e8 ? 1 : 0) + ' million';
function bytes(n) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];
  let unit = 0;
  while (n >= 1024 && unit < units.length - 1) { n /= 1024; unit++; }
  return (unit && n < 100 ? n.toFixed(1) : Math.round(n)) + ' ' + units[unit];
}
function duration(ns) {
  if (!ns) return '0';
  if (ns < 1e3) return Math.round(ns) + ' ns';
  if (ns < 1e6) return +(ns / 1e3).toFixed(1) + ' µs';
  if (ns < 1e9) return +(ns / 1e6).toFixed(1) + ' ms';
  const s = ns / 1e9;
  if (s < 120) return +s.toFixed(s < 10 ? 2 : 1) + ' s';
  if (s < 7200) return Math.floor(s / 60) + ' min ' + Math.round(s % 60) + ' s';
  return Math.floor(s / 3600) + ' h ' + Math.round(s % 3600 / 60) + ' min';
}
const name = index => D.names[index] ?? '';

/* The x axis: time, or events. */
const total = Math.max(1, D.by === 'time' ? D.end : D.events);
const axisText = x => D.by === 'time' ? duration(x) : count(Math.round(x));
const momentOf = slice => {
  const at = D.slices[slice];
  return duration(at.time) + ', event ' + count(at.events);
};

/* The moment: every view follows it. */
const followers = [];
let slice = 0;
function goTo(next) {
  slice = clamp(Math.round(next), 0, T - 1);
  for (const follow of followers) follow();
}

/* One tip for all canvases. */
const tip = $('tip');
function showTip(event, text) {
  tip.hidden = !text;
  if (!text) return;
  tip.textContent = text;
  const box = tip.getBoundingClientRect();
  const x = event.clientX + 14, y = event.clientY + 14;
  tip.style.left = Math.max(4, x + box.width > innerWidth ? event.clientX - box.width - 10 : x) +
    'px';
  tip.style.top = Math.max(4, y + box.height > innerHeight ? event.clientY - box.height - 10 : y) +
    'px';
}
function tipFor(canvas, textAt) {
  canvas.addEventListener('pointermove', event => showTip(event, textAt(event)));
  canvas.addEventListener('pointerleave', () => { tip.hidden = true; });
}

/* A canvas with a pixel for each of the screen's. */
function fit(canvas, height) {
  const ratio = Math.min(devicePixelRatio || 1, 2);
  const width = canvas.clientWidth;
  if (height) canvas.style.height = height + 'px';
  const tall = height || canvas.clientHeight;
  canvas.width = Math.max(1, Math.round(width * ratio));
  canvas.height = Math.max(1, Math.round(tall * ratio));
  const context = canvas.getContext('2d');
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return { context, width, height: tall, ratio };
}

/* Round numbers between low and high. */
function ticks(low, high, most, base = 10) {
  const raw = (high - low) / Math.max(1, most);
  if (!(raw > 0)) return [low];
  let step;
  if (base === 2) {
    step = 2 ** Math.ceil(Math.log2(raw));
  } else {
    const power = 10 ** Math.floor(Math.log10(raw));
    step = [1, 2, 5, 10].find(n => n * power >= raw) * power;
  }
  const out = [];
  for (let x = Math.ceil(low / step) * step; x <= high; x += step) out.push(x);
  return out;
}
