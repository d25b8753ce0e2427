// Pictures on canvases, drawn from the numbers of the server. Each has `draw()`; times are in seconds.

const LEFT = 46; // of the axis of values
const RIGHT = 10;
const BOTTOM = 20; // of the axis of time
const RAMP = ["--h0", "--h1", "--h2", "--h3", "--h4"];
export const INKS = ["--s0", "--s1", "--s2", "--s3", "--s4", "--s5"];
export const DASHES = [[], [7, 3], [2, 3], [9, 3, 2, 3], [4, 2], [1, 2]];

export const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const rgb = (hex) => [1, 3, 5].map((place) => parseInt(hex.slice(place, place + 2), 16));

/** A picture of values over time with rows, as the server sends it, with its bytes. */
export function gridOf(sent) {
  return { ...sent, bytes: Uint8Array.from(atob(sent.values), (letter) => letter.charCodeAt(0)) };
}

/** The values of all rows at a time; null beyond the picture. */
export function column(grid, time) {
  const place = Math.floor(((time - grid.start) / (grid.end - grid.start)) * grid.columns);
  if (!(place >= 0 && place < grid.columns)) return null;
  const scale = (grid.high - grid.low) / 255;
  return Array.from(grid.bytes.subarray(place * grid.rows, (place + 1) * grid.rows), (byte) => grid.low + scale * byte);
}

/** Numbers for an axis: round, about `count` of them. */
function ticks(low, high, count) {
  const rough = (high - low) / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough || 1));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((one) => one >= rough) || 1;
  const found = [];
  for (let n = Math.ceil(low / step); n * step <= high + 1e-9; n++) found.push(Number((n * step).toPrecision(6)));
  return found;
}

/** A canvas at the resolution of the screen, emptied: its context, and its size in CSS pixels. */
export function prepared(canvas) {
  const { width, height } = canvas.getBoundingClientRect();
  const scale = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const pen = canvas.getContext("2d");
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.font = "12px system-ui, sans-serif";
  pen.lineJoin = "round";
  return { pen, width, height };
}

/** Draw again after a change of size or theme. */
export function keepDrawn(plot, canvas) {
  new ResizeObserver(() => plot.draw()).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => plot.draw());
}

/** A picture over the time from `from` to `to`; subclasses draw its inside. */
class Over {
  constructor(canvas, { from = 0, to, axis = true }) {
    Object.assign(this, { canvas, from, to, axis, cursor: null });
    keepDrawn(this, canvas);
  }

  draw() {
    const { pen, width, height } = prepared(this.canvas);
    if (width < 2 * LEFT) return;
    const box = { left: LEFT, top: 4, width: width - LEFT - RIGHT, height: height - 4 - (this.axis ? BOTTOM : 4) };
    this.box = box;
    pen.save();
    pen.beginPath();
    pen.rect(box.left, box.top, box.width, box.height);
    pen.clip();
    this.inside(pen, box);
    pen.restore();
    this.frame(pen, box);
  }

  x(time) {
    return this.box.left + ((time - this.from) / (this.to - this.from)) * this.box.width;
  }

  timeAt(event) {
    const place = event.clientX - this.canvas.getBoundingClientRect().left;
    return this.from + ((place - this.box.left) / this.box.width) * (this.to - this.from);
  }

  frame(pen, box) {
    pen.strokeStyle = ink("--line");
    pen.lineWidth = 1;
    pen.strokeRect(box.left - 0.5, box.top - 0.5, box.width + 1, box.height + 1);
    pen.fillStyle = ink("--soft");
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    for (const [label, share] of this.marks()) pen.fillText(label, box.left - 6, box.top + (1 - share) * box.height, LEFT - 8);
    if (this.axis) {
      pen.textBaseline = "top";
      const times = ticks(Math.max(0, this.from), this.to, box.width / 70);
      for (const time of times) {
        const x = this.x(time);
        pen.textAlign = x > box.left + box.width - 24 ? "right" : x < box.left + 12 ? "left" : "center";
        const last = time === times.at(-1);
        pen.fillText(last ? `${time} s` : `${time}`, Math.min(x, box.left + box.width), box.top + box.height + 5);
        pen.beginPath();
        pen.moveTo(x, box.top + box.height);
        pen.lineTo(x, box.top + box.height + 3);
        pen.stroke();
      }
    }
    if (this.cursor !== null) {
      pen.strokeStyle = ink("--focus");
      pen.lineWidth = 1.5;
      pen.beginPath();
      pen.moveTo(this.x(this.cursor), box.top);
      pen.lineTo(this.x(this.cursor), box.top + box.height);
      pen.stroke();
    }
  }

  /** Labels of the axis of values, each with its height from 0 to 1. */
  marks() {
    return [];
  }
}

/** A waveform, with what was heard in it as bands: [{start, end, text}]. */
export class Wave extends Over {
  constructor(canvas, wave, heard, options) {
    super(canvas, options);
    Object.assign(this, { wave, heard });
    this.most = Math.max(0.05, ...wave.high, ...wave.low.map((value) => -value));
    this.draw();
  }

  inside(pen, box) {
    const middle = box.top + box.height / 2;
    pen.fillStyle = ink("--band");
    for (const { start, end } of this.heard) {
      pen.fillRect(this.x(start), box.top, Math.max(2, this.x(end) - this.x(start)), box.height);
    }
    pen.fillStyle = ink("--ink");
    const count = this.wave.high.length;
    const scale = box.height / 2 / this.most;
    for (let n = 0; n < count; n++) {
      const x = box.left + (n / count) * box.width;
      const top = middle - this.wave.high[n] * scale;
      pen.fillRect(x, top, Math.max(0.6, box.width / count), Math.max(0.8, (this.wave.high[n] - this.wave.low[n]) * scale));
    }
    pen.textBaseline = "top";
    for (const { start, text } of this.heard) {
      const wide = pen.measureText(text).width + 6;
      const x = Math.min(this.x(start), box.left + box.width - wide);
      pen.fillStyle = ink("--card");
      pen.globalAlpha = 0.8;
      pen.fillRect(x, box.top, wide, 16);
      pen.globalAlpha = 1;
      pen.fillStyle = ink("--accent");
      pen.fillText(text, x + 3, box.top + 2);
    }
  }

  marks() {
    const most = Number(this.most.toPrecision(1));
    const share = (value) => (value / this.most + 1) / 2;
    return [[`${most}`, Math.min(0.94, share(most))], ["0", 0.5], [`−${most}`, Math.max(0.06, share(-most))]];
  }
}

/** Values over time and rows, by colour. `labels` name the rows, from the bottom up. */
export class Heat extends Over {
  constructor(canvas, grid, options) {
    super(canvas, options);
    this.grid = grid;
    this.labels = options.labels;
    this.draw();
  }

  inside(pen, box) {
    const { columns, rows, bytes, start, end } = this.grid;
    if (!columns) return;
    const ramp = RAMP.map((name) => rgb(ink(name)));
    const image = new ImageData(columns, rows);
    for (let c = 0; c < columns; c++) {
      for (let r = 0; r < rows; r++) {
        const value = (bytes[c * rows + r] / 255) * (ramp.length - 1);
        const low = Math.min(ramp.length - 2, Math.floor(value));
        const place = 4 * ((rows - 1 - r) * columns + c);
        for (let k = 0; k < 3; k++) image.data[place + k] = ramp[low][k] + (value - low) * (ramp[low + 1][k] - ramp[low][k]);
        image.data[place + 3] = 255;
      }
    }
    const whole = new OffscreenCanvas(columns, rows);
    whole.getContext("2d").putImageData(image, 0, 0);
    pen.imageSmoothingEnabled = false;
    pen.drawImage(whole, this.x(start), box.top, this.x(end) - this.x(start), box.height);
  }

  marks() {
    const rows = this.grid.rows;
    if (this.labels && rows <= 16) return this.labels.map((label, row) => [label, (row + 0.5) / rows]);
    return [["1", 0.5 / rows + 0.03], [`${rows}`, 1 - 0.5 / rows - 0.03]];
  }
}

/** Probabilities of a few labels: thin as they come, thick averaged, thresholds dashed. */
export class Posteriors extends Over {
  constructor(canvas, { raw, averaged, shown, thresholds }, options) {
    super(canvas, options);
    Object.assign(this, { raw, averaged, shown, thresholds });
    this.draw();
  }

  inside(pen, box) {
    const y = (value) => box.top + (1 - value) * (box.height - 2) + 1;
    for (const grid of [this.raw, this.averaged]) {
      if (!grid) continue;
      this.shown.forEach(({ row, place }) => {
        const alone = grid === this.averaged || !this.averaged;
        pen.strokeStyle = ink(INKS[place]);
        pen.globalAlpha = alone ? 1 : 0.4;
        pen.lineWidth = alone ? 2 : 1;
        pen.setLineDash(alone ? DASHES[place] : []);
        pen.beginPath();
        for (let c = 0; c < grid.columns; c++) {
          const value = grid.low + ((grid.high - grid.low) * grid.bytes[c * grid.rows + row]) / 255;
          const x = this.x(grid.start + ((c + 0.5) / grid.columns) * (grid.end - grid.start));
          if (c) pen.lineTo(x, y(value));
          else pen.moveTo(x, y(value));
        }
        pen.stroke();
      });
    }
    pen.globalAlpha = 1;
    pen.setLineDash([5, 4]);
    pen.lineWidth = 1;
    pen.strokeStyle = ink("--soft");
    for (const value of new Set(this.thresholds)) {
      pen.beginPath();
      pen.moveTo(box.left, y(value));
      pen.lineTo(box.left + box.width, y(value));
      pen.stroke();
    }
    pen.setLineDash([]);
  }

  marks() {
    return [["0", 0.04], ["0.5", 0.5], ["1", 0.96]];
  }
}

/** Averages of the last seconds of a stream: rows {at, levels}. */
export class Running extends Over {
  constructor(canvas, labels) {
    super(canvas, { from: -10, to: 0 });
    Object.assign(this, { labels, rows: [], places: new Map() });
    this.draw();
  }

  push(row) {
    this.rows.push(row);
    this.to = row.at;
    this.from = row.at - 10;
    while (this.rows[0].at < this.from - 1) this.rows.shift();
    row.levels?.forEach((value, label) => {
      if (value > 0.2 && !this.places.has(label)) this.places.set(label, this.places.size % INKS.length);
    });
    this.draw();
  }

  inside(pen, box) {
    for (const [label, place] of this.places) {
      pen.strokeStyle = ink(INKS[place]);
      pen.setLineDash(DASHES[place]);
      pen.lineWidth = 2;
      pen.beginPath();
      let begun = false;
      for (const { at, levels } of this.rows) {
        if (!levels) continue;
        const y = box.top + (1 - levels[label]) * (box.height - 2) + 1;
        if (begun) pen.lineTo(this.x(at), y);
        else pen.moveTo(this.x(at), y);
        begun = true;
      }
      pen.stroke();
    }
    pen.setLineDash([]);
  }

  marks() {
    return [["0", 0.04], ["0.5", 0.5], ["1", 0.96]];
  }
}

const NAMES = ["C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B"];
export const pitchName = (pitch) => `${NAMES[pitch % 12]}${Math.floor(pitch / 12) - 1}`;

/** A piano roll. Notes are [start, end, pitch, velocity, part], sorted by their starts. */
export class Roll {
  constructor(canvas) {
    this.canvas = canvas;
    this.chosen = null; // a note
    keepDrawn(this, canvas);
  }

  show(piece) {
    this.piece = piece;
    this.chosen = null;
    const bars = Math.max(1, piece.bars.length - 1);
    this.canvas.style.minWidth = `${LEFT + RIGHT + bars * 64}px`;
    const pitches = piece.notes.map((note) => note[2]);
    this.low = Math.min(...pitches, 60) - 1;
    this.high = Math.max(...pitches, 64) + 1;
    this.end = Math.max(piece.bars.at(-1) || 0, piece.seconds, 0.1);
    this.draw();
  }

  draw() {
    const { pen, width, height } = prepared(this.canvas);
    if (!this.piece || width < 2 * LEFT) return;
    const box = { left: LEFT, top: 4, width: width - LEFT - RIGHT, height: height - 4 - BOTTOM };
    this.box = box;
    this.each = box.height / (this.high - this.low + 1);
    for (let pitch = this.low; pitch <= this.high; pitch++) {
      if ([1, 3, 6, 8, 10].includes(pitch % 12)) {
        pen.fillStyle = ink("--band");
        pen.globalAlpha = 0.45;
        pen.fillRect(box.left, this.y(pitch), box.width, this.each);
        pen.globalAlpha = 1;
      }
    }
    pen.fillStyle = ink("--soft");
    pen.textBaseline = "middle";
    pen.textAlign = "right";
    for (let pitch = this.low; pitch <= this.high; pitch++) {
      if (pitch % 12 === 0) pen.fillText(pitchName(pitch), box.left - 6, this.y(pitch) + this.each / 2);
    }
    pen.strokeStyle = ink("--line");
    pen.textBaseline = "top";
    pen.textAlign = "left";
    this.piece.bars.forEach((time, number) => {
      const x = Math.round(this.x(time)) + 0.5;
      pen.beginPath();
      pen.moveTo(x, box.top);
      pen.lineTo(x, box.top + box.height);
      pen.stroke();
      if (number < this.piece.bars.length - 1) pen.fillText(`${number ? "" : "bar "}${number + 1}`, x + 2, box.top + box.height + 4);
    });
    for (const note of this.piece.notes) this.note(pen, note);
  }

  x(time) {
    return this.box.left + (time / this.end) * this.box.width;
  }

  y(pitch) {
    return this.box.top + (this.high - pitch) * this.each;
  }

  note(pen, note) {
    const [start, end, pitch, velocity, part] = note;
    const wide = Math.max(2, this.x(end) - this.x(start) - 1);
    pen.fillStyle = ink(INKS[part % INKS.length]);
    pen.globalAlpha = 0.45 + (0.55 * velocity) / 127;
    pen.beginPath();
    pen.roundRect(this.x(start), this.y(pitch) + 0.5, wide, Math.max(2, this.each - 1), 2);
    pen.fill();
    pen.globalAlpha = 1;
    if (note === this.chosen) {
      pen.strokeStyle = ink("--focus");
      pen.lineWidth = 2.5;
      pen.stroke();
      pen.lineWidth = 1;
    }
  }

  /** The note under the pointer, or null. */
  at(event) {
    if (!this.box) return null;
    const place = this.canvas.getBoundingClientRect();
    const time = ((event.clientX - place.left - this.box.left) / this.box.width) * this.end;
    const pitch = this.high - Math.floor((event.clientY - place.top - this.box.top) / this.each);
    return this.piece.notes.find((note) => note[2] === pitch && note[0] <= time && time < note[1]) || null;
  }
}
