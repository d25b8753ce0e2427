"""Write a step as one HTML file that listens to the microphone, or to a recording, and needs no server."""

from __future__ import annotations

import html
import re
from pathlib import Path

from seqaudio.export.graph import Graph
from seqaudio.export.js_file import checked_js
from seqaudio.export.steps import ExportStep
from seqaudio.files import write_bytes

# samples of a stream at another rate: sums under a window as wide as the lower of both rates needs
RESAMPLER = """
class Resampler {
    constructor(from, to) {
        this.ratio = from / to;
        this.cut = Math.min(1, to / from);
        this.half = Math.ceil(16 / this.cut);
        this.held = new Float32Array(this.half);
        this.next = this.half;
    }

    push(samples) {
        const known = new Float32Array(this.held.length + samples.length), found = [];
        known.set(this.held);
        known.set(samples, this.held.length);
        for (; this.next + this.half < known.length; this.next += this.ratio) {
            const first = Math.ceil(this.next - this.half);
            let sum = 0;
            for (let at = first; at <= this.next + this.half; at++) {
                const x = at - this.next, angle = Math.PI * this.cut * x;
                const wave = x === 0 ? 1 : Math.sin(angle) / angle;
                sum += known[at] * wave * (0.5 + 0.5 * Math.cos(Math.PI * x / this.half));
            }
            found.push(sum * this.cut);
        }
        const done = Math.max(0, Math.floor(this.next) - this.half);
        this.held = known.slice(done);
        this.next -= done;
        return Float32Array.from(found);
    }
}
"""
STYLE = """
:root { color-scheme: light dark; --ink: #1c1d20; --soft: #5c5f66; --page: #fbfbf9; --line: #d9d9d4; --bar: #2f6db5;
        --heard: #b5452f; }
@media (prefers-color-scheme: dark) {
    :root { --ink: #e8e8e4; --soft: #a3a5aa; --page: #17181b; --line: #3a3c41; --bar: #6ea8ec; --heard: #f08a70; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 1.5rem 1rem; font: 1rem/1.5 system-ui, sans-serif;
       color: var(--ink); background: var(--page); }
h1 { font-size: 1.4rem; margin: 0 0 .25rem; }
h2 { font-size: 1rem; margin: 0 0 .5rem; }
p { margin: 0 0 1rem; color: var(--soft); }
.controls { display: flex; flex-wrap: wrap; gap: .75rem; align-items: center; }
button, .file { font: inherit; padding: .5rem 1rem; border: 1px solid var(--line); border-radius: .4rem;
                color: inherit; background: transparent; cursor: pointer; }
button[aria-pressed="true"] { background: var(--heard); border-color: var(--heard); color: var(--page); }
:focus-visible, .file:focus-within { outline: 3px solid var(--bar); outline-offset: 2px; }
.file input { position: absolute; opacity: 0; width: 1px; height: 1px; }
#status { min-height: 1.5em; margin: .75rem 0; }
main { display: grid; grid-template-columns: 3fr 2fr; gap: 2rem; }
@media (max-width: 40rem) { main { grid-template-columns: 1fr; } }
#bars { display: grid; grid-template-columns: max-content 1fr 3.2em; gap: .3rem .6rem; align-items: center; }
#bars span:nth-child(3n) { text-align: right; font-variant-numeric: tabular-nums; color: var(--soft); }
.bar { position: relative; height: 1rem; border-radius: .2rem; background: var(--line); overflow: hidden; }
.bar i { position: absolute; inset: 0; background: var(--bar); transform: scaleX(0); transform-origin: left; }
.bar.heard i { background: var(--heard); }
.bar b { position: absolute; top: 0; bottom: 0; width: 2px; background: var(--ink); }
#hits { margin: 0; padding: 0; list-style: none; max-height: 24rem; overflow-y: auto; }
#hits li { display: flex; gap: .8rem; padding: .25rem 0; border-top: 1px solid var(--line); }
#hits time, #hits small { color: var(--soft); font-variant-numeric: tabular-nums; }
#hits span { flex: 1; overflow-wrap: anywhere; }
footer { margin-top: 2rem; font-size: .85rem; color: var(--soft); }
"""
BODY = """
<h1>{title}</h1>
<p>Everything is computed in this page; the sound does not leave it.</p>
<div class="controls">
<button id="listen" type="button" aria-pressed="false">Listen</button>
<label class="file">Try a recording<input id="file" type="file" accept="audio/*,video/*"></label>
<button id="clear" type="button">Clear</button>
</div>
<p id="status" role="status">Nothing is heard yet.</p>
<main>
<section aria-labelledby="now"><h2 id="now">Now</h2><div id="bars"></div></section>
<section aria-labelledby="found"><h2 id="found">Heard</h2><ol id="hits" aria-live="polite"></ol></section>
</main>
<footer>{footer}</footer>
"""
# the samples of each block of the microphone go to the page, which is fast enough for them
PAGE = """
{
const WORKLET = `registerProcessor("tap", class extends AudioWorkletProcessor {
    process(inputs) {
        if (inputs[0].length) this.port.postMessage(inputs[0][0].slice());
        return true;
    }
});`;
const FLASH = 1500;  // milliseconds in which a bar shows that its label was heard
const part = (id) => document.getElementById(id);
const listener = new Listener();
const bars = about.labels.map((label) => {
    const [name, bar, number] = ["span", "div", "span"].map((kind) => document.createElement(kind));
    name.textContent = label;
    bar.className = "bar";
    bar.append(document.createElement("i"));
    if (label in about.thresholds) {
        const mark = bar.appendChild(document.createElement("b"));
        mark.style.left = `calc(${100 * about.thresholds[label]}% - 1px)`;
        mark.title = "threshold";
    }
    part("bars").append(name, bar, number);
    return { bar, fill: bar.firstChild, number, until: 0, highest: 0 };
});
let open = null;  // { context, stream } while the microphone is on
let shown = "";

function say(text) {
    if (text !== shown) part("status").textContent = shown = text;
}

function begin() {
    listener.begin();
    for (const bar of bars) bar.highest = 0;
    part("hits").replaceChildren();
}

function clock(seconds) {
    return `${Math.floor(seconds / 60)}:${(seconds % 60).toFixed(2).padStart(5, "0")}`;
}

function tell(hits) {
    for (const { seconds, label, confidence } of hits) {
        const row = document.createElement("li");
        for (const [kind, text] of [["time", clock(seconds)], ["span", label], ["small", confidence.toFixed(3)]]) {
            row.appendChild(document.createElement(kind)).textContent = text;
        }
        part("hits").prepend(row);
        bars[about.labels.indexOf(label)].until = performance.now() + FLASH;
    }
}

function draw(highest) {
    bars.forEach((bar, i) => {
        const value = highest ? bar.highest : listener.probabilities[i];
        bar.fill.style.transform = `scaleX(${value})`;
        bar.number.textContent = value.toFixed(2);
        bar.bar.classList.toggle("heard", performance.now() < bar.until);
    });
}

function hear(samples) {
    tell(listener.push(samples));
    bars.forEach((bar, i) => (bar.highest = Math.max(bar.highest, listener.probabilities[i])));
}

async function listen() {
    const quiet = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    if (!navigator.mediaDevices) throw new Error("this browser gives no microphone to the page");
    const stream = await navigator.mediaDevices.getUserMedia({ audio: quiet });
    let context = new AudioContext({ sampleRate: about.sample_rate }), source;
    try {
        source = context.createMediaStreamSource(stream);
    } catch {  // some browsers do not resample a microphone
        context.close();
        context = new AudioContext();
        source = context.createMediaStreamSource(stream);
    }
    open = { context, stream };
    // a page that was opened from a file may not load a Blob here
    await context.audioWorklet.addModule(`data:text/javascript,${encodeURIComponent(WORKLET)}`);
    const same = context.sampleRate === about.sample_rate;
    const resampler = same ? null : new Resampler(context.sampleRate, about.sample_rate);
    const tap = new AudioWorkletNode(context, "tap", { numberOfOutputs: 0 });
    begin();
    tap.port.onmessage = ({ data }) => open && hear(resampler ? resampler.push(data) : data);
    source.connect(tap);
    await context.resume();
    part("listen").setAttribute("aria-pressed", "true");
    part("listen").textContent = "Stop";
    say("Listening.");
    const frame = () => open && (draw(false), requestAnimationFrame(frame));
    frame();
}

function stop() {
    if (!open) return;
    for (const track of open.stream.getTracks()) track.stop();
    open.context.close();
    open = null;
    tell(listener.finish());
    part("listen").setAttribute("aria-pressed", "false");
    part("listen").textContent = "Listen";
    say("Stopped.");
}

async function recording(file) {
    stop();
    begin();
    say(`Reading ${file.name}.`);
    const reader = new OfflineAudioContext(1, 1, about.sample_rate);  // which resamples what it decodes
    const sound = await reader.decodeAudioData(await file.arrayBuffer());
    const mono = new Float32Array(sound.length);
    for (let channel = 0; channel < sound.numberOfChannels; channel++) {
        sound.getChannelData(channel).forEach((value, i) => (mono[i] += value / sound.numberOfChannels));
    }
    for (let at = 0; at < mono.length; at += 10 * about.sample_rate) {
        hear(mono.subarray(at, at + 10 * about.sample_rate));
        say(`${file.name}: ${clock(at / about.sample_rate)} of ${clock(sound.duration)}`);
        draw(true);
        await new Promise((done) => setTimeout(done));
    }
    tell(listener.finish());
    draw(true);
    say(`${file.name}: ${clock(sound.duration)}, ${part("hits").children.length} heard; bars are the highest.`);
}

const failed = (error) => (stop(), say(`Not possible: ${error.message || error.name}`));
part("listen").onclick = () => (open ? stop() : listen().catch(failed));
part("clear").onclick = () => (begin(), draw(false), say("Cleared."));
part("file").onchange = ({ target }) => {
    if (target.files.length) recording(target.files[0]).catch(failed);
    target.value = "";
};
draw(false);
}
"""


def write_page(step: ExportStep, graph: Graph, path: Path, int8: bool = False) -> str:
    """Write the page; what was written, in words. Its module is compared first, as `write_js` does."""
    text, compared = checked_js(step, graph, path, int8)
    content = page_source(step, text).encode()
    write_bytes(path, content)
    return f"{compared}; {len(content):,} bytes"


def page_source(step: ExportStep, module: str) -> str:
    """The page around the module of a model that hears."""
    about = step.about
    words = list(about.thresholds) or [label for label in about.labels if not label.startswith("<")]
    title = "Listens for " + ", ".join(words[:12]) + (" ..." if len(words) > 12 else "")
    licence = about.licence or "licence unknown"
    facts = (about.model, f"{about.sample_rate:,} Hz", f"licence: {licence}", f"seqaudio {about.seqaudio}")
    body = BODY.format(title=html.escape(title), footer=html.escape("; ".join(facts)))
    # no label may end the script, or begin what would hide its end
    script = re.sub(r"<(?=/|!--|script)", r"\\x3c", f"{module}{RESAMPLER}{PAGE}", flags=re.IGNORECASE)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>{body}<script type="module">
{script}</script>
</body>
</html>
"""
