// The page: what a model hears in sound, and music that a model writes.

import { base64Of, fileOf, microphone, peak, to16, wavOf } from "./sound.js";
import { DASHES, Heat, INKS, Posteriors, Roll, Running, Wave, column, gridOf, ink, pitchName } from "./plots.js";

const MOST_LINES = 5; // of posteriors
const BEHIND = 1 << 18; // bytes that may wait to be sent, of live sound
const $ = (id) => document.getElementById(id);
const percent = (value) => `${(100 * value).toFixed(value > 0.995 || value < 0.095 ? 1 : 0)} %`;
const seconds = (value) => `${value.toFixed(2)} s`;
const named = (label) => ({ "<blank>": "blank", " ": "space" })[label] || label;
const address = (path, model) => `api/${path}?model=${encodeURIComponent(model)}`;

let about = { listeners: [], musicians: [], limits: {} };

// --- asking the server ---

/** Post to the server; `say` gets the place in the queue. Throws an Error with the server's line. */
async function ask(path, body, say, type = "application/octet-stream") {
  const ticket = Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  const asking = setInterval(async () => {
    const found = await fetch(`api/place/${ticket}`).then((answer) => answer.json(), () => ({}));
    if (found.place > 0) say(`waiting: ${found.place} before you`);
    else if (found.place === 0) say("working …");
  }, 700);
  try {
    const answer = await fetch(path, { method: "POST", body, headers: { "X-Ticket": ticket, "Content-Type": type } });
    if (answer.ok) return answer;
    const told = await answer.json().catch(() => ({}));
    throw new Error(told.error || `the server answered ${answer.status}`);
  } catch (error) {
    throw error instanceof TypeError ? new Error("the server cannot be reached; is it still running?") : error;
  } finally {
    clearInterval(asking);
  }
}

/** Run something for a card: its status line, its error, and its buttons meanwhile. */
async function busy(prefix, buttons, what, action) {
  const status = $(`${prefix}-status`);
  const focused = document.activeElement; // a button that is disabled loses the focus
  const wrong = $(`${prefix}-error`);
  wrong.hidden = true;
  status.hidden = false;
  status.textContent = what;
  for (const button of buttons) button.disabled = true;
  try {
    await action((line) => (status.textContent = line));
    status.textContent = "";
  } catch (error) {
    status.textContent = "";
    wrong.textContent = error.message;
    wrong.hidden = false;
    status.hidden = true;
  } finally {
    for (const button of buttons) button.disabled = false;
    if (document.activeElement === document.body) focused?.focus({ preventScroll: true });
  }
}

// --- tabs ---

function open(name, focus = false) {
  for (const one of ["listen", "compose"]) {
    const chosen = one === name;
    $(one).hidden = !chosen;
    $(`tab-${one}`).setAttribute("aria-selected", chosen);
    $(`tab-${one}`).tabIndex = chosen ? 0 : -1;
    if (chosen && focus) $(`tab-${one}`).focus();
  }
}

for (const name of ["listen", "compose"]) {
  $(`tab-${name}`).addEventListener("click", () => open(name));
  $(`tab-${name}`).addEventListener("keydown", (event) => {
    const other = name === "listen" ? "compose" : "listen";
    if (["ArrowLeft", "ArrowRight"].includes(event.key) && !$(`tab-${other}`).hidden) open(other, true);
  });
}

// --- listening ---

let plots = []; // of the recording that is shown
let shown = null; // what the server said of it
const ear = () => about.listeners.find((one) => one.name === $("ear").value);

function tellEar() {
  const model = ear();
  if (!model) return;
  const words = model.keywords || model.labels.slice(1);
  const few = words.length > 14 ? `${words.slice(0, 12).join(", ")} and ${words.length - 12} more` : words.join(", ");
  $("ear-about").textContent = model.note || `${model.task === "text" ? "Writes down" : "Knows"} ${few}.`;
  $("live").disabled = !model.live;
  $("live").title = model.live ? "" : "This model needs whole recordings";
}

async function hear(file, name) {
  if (file.size > about.limits.bytes) {
    $("ear-error").textContent = `${(file.size / 1e6).toFixed(0)} MB, at most ${about.limits.bytes / 1e6} MB are taken; send a shorter recording`;
    $("ear-error").hidden = false;
    return;
  }
  await busy("ear", [$("record"), $("live"), $("file")], "uploading …", async (say) => {
    const answer = await ask(address("hear", $("ear").value), file, say);
    showHeard(await answer.json(), file, name);
  });
  tellEar();
}

function showHeard(found, file, name) {
  shown = found;
  $("heard").hidden = false;
  $("live-card").hidden = true;
  $("heard-title").textContent = name;
  const player = $("recording");
  if (player.src) URL.revokeObjectURL(player.src);
  player.src = URL.createObjectURL(file);
  tellAnswer(found);
  tellTable(found);
  drawHeard(found);
  $("cursor").max = found.seconds;
  move(0);
}

function tellAnswer(found) {
  const answer = $("answer");
  answer.replaceChildren();
  const add = (text, small) => {
    const part = document.createElement(small ? "small" : "span");
    part.textContent = text;
    answer.append(part, " ");
  };
  if (found.text !== undefined) {
    add(found.text || "nothing understood");
  } else if (found.words.length && !found.is_clip) {
    for (const word of found.words) {
      add(word.text);
      add(`${word.start.toFixed(2)}–${seconds(word.end)}`, true);
    }
  } else {
    add(found.label);
    add(percent(found.probability), true);
  }
  const crossed = found.is_clip ? found.words.map((word) => `${word.text} (${percent(word.confidence)})`) : [];
  const over = crossed.length ? `Over its threshold: ${crossed.join(", ")}. ` : "";
  $("answer-about").textContent = `${over}${found.seconds.toFixed(2)} s. ${found.remark || ""}`;
}

function tellTable(found) {
  const rows = found.words;
  const table = $("hits-table");
  table.caption.textContent = rows.length ? "Words" : `No word was heard: ${found.label || "nothing"}`;
  table.tHead.hidden = !rows.length;
  table.tBodies[0].replaceChildren(
    ...rows.map((row) => {
      const line = document.createElement("tr");
      for (const text of [row.text, row.start.toFixed(2), row.end.toFixed(2), percent(row.confidence)]) {
        line.insertCell().textContent = text;
      }
      return line;
    }),
  );
}

/** A figure with a canvas, for a plot. */
function figure(into, title, kind, label) {
  const whole = document.createElement("figure");
  const caption = document.createElement("figcaption");
  caption.append(Object.assign(document.createElement("span"), { textContent: title }));
  const canvas = document.createElement("canvas");
  canvas.className = kind;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", label);
  whole.append(caption, canvas);
  into.append(whole);
  return { canvas, caption };
}

function legend(caption, entries) {
  const list = Object.assign(document.createElement("span"), { className: "legend" });
  for (const { text, place } of entries) {
    const entry = document.createElement("span");
    const swatch = document.createElement("i");
    if (place === null) swatch.className = "dashed";
    else {
      const dash = DASHES[place];
      const colour = ink(INKS[place]);
      const share = dash.length ? (100 * dash[0]) / (dash[0] + dash[1]) : 100;
      const gap = dash.length ? dash[0] + dash[1] : 16;
      swatch.style.background = `repeating-linear-gradient(90deg, ${colour} 0 ${(share * gap) / 100}px, transparent 0 ${gap}px)`;
    }
    entry.append(swatch, text);
    list.append(entry);
  }
  caption.querySelector(".legend")?.remove();
  caption.append(list);
}

/** The labels that matter in posteriors, likeliest first. */
function likeliest(grid, labels, count) {
  const most = labels.map((label, row) => {
    let best = 0;
    for (let c = 0; c < grid.columns; c++) best = Math.max(best, grid.bytes[c * grid.rows + row]);
    return { label, row, best: grid.low + ((grid.high - grid.low) * best) / 255 };
  });
  const sorted = most.sort((a, b) => b.best - a.best);
  return sorted.filter((one, place) => place < 2 || one.best > 0.1).slice(0, count).map((one, place) => ({ ...one, place }));
}

function drawHeard(found) {
  const into = $("plots");
  into.replaceChildren();
  $("gates").replaceChildren();
  const span = { from: 0, to: Math.max(found.seconds, 0.01) };
  const said = found.words.map((word) => word.text).join(", ") || found.label || "nothing";
  plots = [];
  const wave = figure(into, "Waveform", "low", `Waveform of ${seconds(found.seconds)}; heard: ${said}`);
  plots.push(new Wave(wave.canvas, found.wave, found.words, { ...span, axis: false }));
  const features = gridOf(found.features);
  const name = `${found.features.name[0].toUpperCase()}${found.features.name.slice(1)}`;
  const seen = figure(into, `${name}, as the model reads them: ${features.low.toFixed(1)} to ${features.high.toFixed(1)}`, "", `${found.features.name}: ${features.rows} rows over ${seconds(found.seconds)}`);
  plots.push(new Heat(seen.canvas, features, { ...span, axis: !found.posteriors }));
  shown.features.grid = features;
  if (found.posteriors) drawPosteriors(found, into, span);
  for (const gate of found.gates) {
    const grid = gridOf(gate);
    const part = figure($("gates"), `${gate.layer}, ${gate.gate} gate: 0 shut, 1 open; ${grid.rows} units`, "low", `${gate.gate} gate of ${gate.layer}, from ${grid.low} to ${grid.high}`);
    plots.push(new Heat(part.canvas, grid, { ...span, to: Math.max(span.to, 0.01) }));
  }
  $("gates-details").hidden = !found.gates.length;
  for (const plot of plots) {
    plot.canvas.addEventListener("pointermove", (event) => move(plot.timeAt(event)));
    plot.canvas.addEventListener("pointerdown", (event) => {
      move(plot.timeAt(event));
      $("recording").currentTime = Number($("cursor").value);
    });
  }
}

function drawPosteriors(found, into, span) {
  const { labels } = found.posteriors;
  const raw = gridOf(found.posteriors.raw);
  const averaged = found.posteriors.averaged ? gridOf(found.posteriors.averaged) : null;
  shown.posteriors.grid = averaged || raw;
  const lines = likeliest(averaged || raw, labels, MOST_LINES);
  const told = lines.map((one) => `${named(one.label)} up to ${percent(one.best)}`).join(", ");
  if (found.text !== undefined) {
    const part = figure(into, "Posteriors of the units, step by step", "tall", `Posteriors: ${told}`);
    plots.push(new Heat(part.canvas, raw, { ...span, labels: labels.map(named) }));
    return;
  }
  const thresholds = ear().thresholds || {};
  const given = lines.map((one) => thresholds[one.label]).filter((value) => value !== undefined);
  const title = averaged ? "Posteriors: averaged, and thin as they come" : "Posteriors of the clip so far";
  const part = figure(into, title, "tall", `Posteriors: ${told}`);
  const entries = lines.map((one) => ({ text: one.label, place: one.place }));
  if (given.length) entries.push({ text: `threshold ${[...new Set(given)].map((value) => value.toFixed(2)).join(", ")}`, place: null });
  legend(part.caption, entries);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => legend(part.caption, entries));
  plots.push(new Posteriors(part.canvas, { raw, averaged, shown: lines, thresholds: given }, span));
}

/** Move the cursor of all plots to a time, and tell what is there. */
function move(time) {
  if (!shown) return;
  const held = Math.min(Math.max(time, 0), shown.seconds);
  $("cursor").value = held;
  for (const plot of plots) {
    plot.cursor = held;
    plot.draw();
  }
  const parts = [seconds(held)];
  const row = shown.posteriors ? column(shown.posteriors.grid, held) : null;
  if (row) {
    const best = row.map((value, n) => [value, shown.posteriors.labels[n]]).sort((a, b) => b[0] - a[0]);
    parts.push(best.slice(0, 3).map(([value, label]) => `${named(label)} ${percent(value)}`).join(", "));
  }
  const frame = column(shown.features.grid, held);
  if (frame) parts.push(`${shown.features.name}: mean ${(frame.reduce((sum, value) => sum + value, 0) / frame.length).toFixed(1)}`);
  $("readout").textContent = parts.join(" · ");
  $("cursor").setAttribute("aria-valuetext", parts.slice(0, 2).join(", "));
}

function follow(player, at) {
  const next = () => {
    at(player.currentTime);
    if (!player.paused && !player.ended) requestAnimationFrame(next);
  };
  player.addEventListener("play", next);
  player.addEventListener("seeked", () => at(player.currentTime));
}

// --- the microphone ---

let taking = null; // the microphone, while it is open

async function record() {
  if (taking) return stopRecording();
  const blocks = [];
  let count = 0;
  await busy("ear", [$("live"), $("file")], "asking for the microphone …", async () => {
    const opened = await microphone((samples) => {
      blocks.push(samples);
      count += samples.length;
      $("level").value = peak(samples);
      const time = count / opened.rate;
      $("ear-status").textContent = `recording: ${time.toFixed(1)} s`;
      if (time > about.limits.seconds - 0.5) stopRecording();
    });
    taking = { ...opened, blocks };
    pressed($("record"), "Stop", true);
  });
  if (taking) $("live").disabled = $("file").disabled = true;
}

async function stopRecording() {
  const { blocks, rate, close } = taking;
  close();
  taking = null;
  pressed($("record"), "Record", false);
  $("file").disabled = false;
  tellEar();
  $("ear-status").textContent = "";
  if (blocks.length) await hear(wavOf(blocks, rate), "Your recording");
}

function pressed(button, text, on) {
  button.textContent = text;
  button.setAttribute("aria-pressed", on);
  $("level").hidden = !on;
}

let live = null; // the session

async function listenLive() {
  if (live) return endLive("");
  const model = ear();
  await busy("ear", [$("record"), $("file")], "asking for the microphone …", async () => {
    const url = new URL(address("listen", model.name), location.href);
    url.protocol = url.protocol.replace("http", "ws");
    const session = { lost: 0, labels: model.labels, writes: model.task === "text", ended: -9 };
    const opened = await microphone((samples) => {
      $("level").value = peak(samples);
      if (session.socket?.readyState !== WebSocket.OPEN || !session.ready) return;
      if (session.socket.bufferedAmount > BEHIND) session.lost += 1;
      else session.socket.send(to16(samples));
    });
    Object.assign(session, opened, { socket: new WebSocket(url) });
    session.socket.onopen = () => session.socket.send(JSON.stringify({ rate: session.rate }));
    session.socket.onmessage = (event) => takeLive(session, JSON.parse(event.data));
    session.socket.onclose = (event) => live === session && endLive(event.reason || "the server ended the session");
    live = session;
    $("live-card").hidden = false;
    $("live-words").replaceChildren();
    $("heard").hidden = true;
    $("live-word").textContent = "…";
    session.plot = new Running($("live-plot"), model.labels);
    pressed($("live"), "Stop listening", true);
  });
  if (live) $("record").disabled = $("file").disabled = true;
  if (live) $("ear-status").textContent = "listening";
}

function takeLive(session, found) {
  if (found.ready) {
    session.ready = true;
    return;
  }
  const before = session.plot.places.size;
  session.plot.push(found);
  if (session.plot.places.size !== before) {
    legend($("live-caption"), [...session.plot.places].map(([label, place]) => ({ text: named(session.labels[label]), place })));
  }
  for (const word of found.words) {
    // words of a text follow each other, a pause begins a new line
    const joined = session.writes && word.start - session.ended < 1.5;
    $("live-word").textContent = joined ? `${$("live-word").textContent} ${word.text}` : word.text;
    session.ended = word.end;
    const line = document.createElement("li");
    line.textContent = `${word.text}, ${word.start.toFixed(2)}–${seconds(word.end)}, ${percent(word.confidence)}`;
    $("live-words").prepend(line);
    while ($("live-words").children.length > 100) $("live-words").lastChild.remove();
  }
}

function endLive(reason) {
  const session = live;
  live = null;
  session.close();
  session.socket.close();
  pressed($("live"), "Listen live", false);
  $("record").disabled = $("file").disabled = false;
  $("ear-status").textContent = session.lost ? `${session.lost} blocks of sound were lost, as the server was too slow` : "";
  $("ear-error").textContent = reason;
  $("ear-error").hidden = !reason;
}

$("record").addEventListener("click", record);
$("live").addEventListener("click", listenLive);
$("ear").addEventListener("change", () => {
  if (live) endLive("");
  tellEar();
});
$("file").addEventListener("change", () => {
  const [file] = $("file").files;
  if (file) hear(file, file.name);
  $("file").value = "";
});
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault(); // else the browser opens the file in place of the page
    $("drop").classList.toggle("over", kind === "dragover");
    const file = event.dataTransfer?.files[0];
    if (kind === "drop" && file && !$("listen").hidden && !$("file").disabled) hear(file, file.name);
  });
}
$("cursor").addEventListener("input", () => move(Number($("cursor").value)));
follow($("recording"), move);

// --- composing ---

const roll = new Roll($("roll"));
const hand = () => about.musicians.find((one) => one.name === $("hand").value);

function tellHand() {
  const model = hand();
  if (!model) return;
  $("hand-about").textContent = model.note || "";
  $("filling").hidden = !model.fills;
  $("wishes").form.disabled = !model.forms;
  $("wishes").form.title = model.forms ? "" : "This model cannot write a bar again";
}

async function compose() {
  const form = $("wishes");
  if (!form.reportValidity()) return;
  const number = (name) => (form[name].value === "" ? null : Number(form[name].value));
  const file = async (name) => (form[name].files[0] ? base64Of(form[name].files[0]) : null);
  const asked = { model: $("hand").value, seed: number("seed"), temperature: number("temperature") };
  const filling = $("filling").open && hand().fills && form.piece.files[0];
  await busy("hand", [$("write"), $("another")], "composing …", async (say) => {
    for (const name of filling ? ["piece"] : ["primer"]) {
      if (form[name].files[0]?.size > about.limits.midi_bytes) throw new Error(`a MIDI file of more than ${about.limits.midi_bytes / 1e6} MB`);
    }
    if (filling) Object.assign(asked, { piece: await file("piece"), first: number("first"), last: number("last") });
    else {
      Object.assign(asked, { bars: number("bars"), tempo: number("tempo"), primer: await file("primer") });
      asked.key = form.key.value || null;
      asked.form = (hand().forms && form.form.value) || null;
    }
    const answer = await ask("api/compose", JSON.stringify(asked), say, "application/json");
    showPiece(await answer.json(), asked);
    say("making the sound …");
    await takeSound();
  });
}

let piece = null;

function showPiece(found, asked) {
  piece = { ...found, file: fileOf(found.midi, "audio/midi") };
  piece.notes.sort((a, b) => a[0] - b[0] || a[2] - b[2]);
  $("piece").hidden = false;
  $("piece-title").textContent = asked.piece ? `Bars ${asked.first}–${asked.last}, seed ${found.seed}` : `Piece, seed ${found.seed}`;
  const facts = [`${found.notes.length} notes`, seconds(found.seconds), `${found.bars.length - 1} bars`, found.metre, `${Math.round(found.tempo)} quarters a minute`];
  if (found.key) facts.push(found.key);
  $("piece-about").textContent = `${facts.join(", ")}.`;
  $("piece-kept").textContent = found.remarks.join("; ");
  const stem = `${asked.model}-seed${found.seed}`.replace(/[^\w-]/g, "_");
  offer($("midi"), piece.file, `${stem}.mid`);
  offer($("musicxml"), fileOf(found.musicxml, "application/vnd.recordare.musicxml+xml"), `${stem}.musicxml`);
  $("wav").removeAttribute("href");
  $("wav").setAttribute("aria-disabled", "true");
  $("wav").download = `${stem}.wav`;
  $("player").removeAttribute("src");
  $("needle").hidden = true;
  $("roll").setAttribute("aria-label", `Piano roll: ${facts.join(", ")}; parts: ${found.parts.join(", ")}`);
  roll.show(piece);
  tellParts();
  $("note").textContent = "Point at a note, or go through them with the arrow keys.";
}

function offer(link, blob, name) {
  if (link.href) URL.revokeObjectURL(link.href);
  link.href = URL.createObjectURL(blob);
  link.download = name;
}

async function takeSound() {
  const answer = await ask("api/sound", piece.file, () => {});
  const blob = await answer.blob();
  offer($("wav"), blob, $("wav").download);
  $("wav").removeAttribute("aria-disabled");
  $("player").src = $("wav").href;
}

function tellParts() {
  const list = piece.parts.map((name, place) => ({ name, place: place % INKS.length }));
  $("parts").replaceChildren(
    ...list.map(({ name, place }) => {
      const entry = document.createElement("span");
      const swatch = document.createElement("i");
      swatch.style.background = ink(INKS[place]);
      entry.append(swatch, name);
      return entry;
    }),
  );
}

function choose(note) {
  if (note === roll.chosen) return;
  roll.chosen = note;
  roll.draw();
  if (!note) return;
  const bar = piece.bars.filter((time) => time <= note[0] + 1e-6).length;
  $("note").textContent = `${pitchName(note[2])}, ${piece.parts[note[4]]}, bar ${bar}, ${note[0].toFixed(2)}–${seconds(note[1])}`;
}

function needle(time) {
  if (!piece || !roll.box) return;
  const x = roll.x(Math.min(time, roll.end));
  $("needle").hidden = false;
  $("needle").style.transform = `translateX(${x}px)`;
  const view = $("roll-scroller");
  if (x < view.scrollLeft + 40 || x > view.scrollLeft + view.clientWidth - 40) view.scrollLeft = x - view.clientWidth / 3;
}

$("roll").addEventListener("pointermove", (event) => piece && choose(roll.at(event)));
$("roll").addEventListener("click", (event) => {
  if (piece && roll.box) $("player").currentTime = Math.max(0, ((event.offsetX - roll.box.left) / roll.box.width) * roll.end);
});
$("roll-scroller").addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step || !piece?.notes.length) return;
  event.preventDefault();
  const place = roll.chosen ? piece.notes.indexOf(roll.chosen) + step : step > 0 ? 0 : piece.notes.length - 1;
  const note = piece.notes[Math.min(Math.max(place, 0), piece.notes.length - 1)];
  choose(note);
  const view = $("roll-scroller");
  const x = roll.x(note[0]);
  if (x < view.scrollLeft || x > view.scrollLeft + view.clientWidth - 30) view.scrollLeft = x - view.clientWidth / 2;
});
$("wishes").addEventListener("submit", (event) => {
  event.preventDefault();
  compose();
});
$("another").addEventListener("click", () => {
  $("wishes").seed.value = Math.floor(Math.random() * 1e6);
  compose();
});
$("wishes").temperature.addEventListener("input", (event) => ($("temperature-is").textContent = event.target.value));
$("wav").addEventListener("click", (event) => $("wav").href || event.preventDefault());
$("hand").addEventListener("change", tellHand);
follow($("player"), needle);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => piece && tellParts());

// --- the beginning ---

const TONICS = {
  major: ["C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"],
  minor: ["C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B"],
};

function fill(select, names) {
  select.replaceChildren(...names.map((name) => new Option(name.replace("b ", "♭ ").replace("#", "♯"), name)));
}

async function begin() {
  const answer = await fetch("api/models").catch(() => null);
  if (!answer?.ok) {
    $("ear-error").textContent = "the server cannot be reached; is it still running?";
    $("ear-error").hidden = false;
    return;
  }
  about = await answer.json();
  const { listeners, musicians, limits } = about;
  $("ear").replaceChildren(...listeners.map((one) => new Option(one.name)));
  $("hand").replaceChildren(...musicians.map((one) => new Option(one.name)));
  const keys = Object.entries(TONICS).flatMap(([mode, tonics]) => tonics.map((tonic) => `${tonic} ${mode}`));
  const select = $("wishes").key;
  const free = select.options[0];
  fill(select, keys);
  select.prepend(free);
  select.selectedIndex = 0;
  $("ear-limits").textContent = `Up to ${limits.seconds} s, ${limits.bytes / 1e6} MB.`;
  $("tab-listen").hidden = !listeners.length;
  $("tab-compose").hidden = !musicians.length;
  if (!window.isSecureContext) {
    for (const button of [$("record"), $("live")]) button.title = "browsers give pages a microphone over https or from this machine alone";
  }
  tellEar();
  tellHand();
  open(location.hash === "#compose" && musicians.length ? "compose" : listeners.length ? "listen" : "compose");
}

begin();
