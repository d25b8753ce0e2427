"""The listener of a JavaScript module: blocks of samples of any length in, hits or units out, as the C `main` tells."""

from __future__ import annotations

import json

from seqaudio.export.steps import ExportStep, hit_rule

LISTENER = """
/** Hears a stream at about.sample_rate: push(samples) takes any number, full scale -1 .. 1, and returns what was heard
    since the last call, as does finish() at the end: {{ seconds, label, confidence }} each.
    `probabilities` are those of about.labels now; `begin()` forgets the stream. */
export class Listener {{
    constructor() {{
        this.begin();
    }}

    begin() {{
        this.call = this.filled = 0;
        this.part = new Float32Array(about.hop);
        this.state = initialState();
        this.probabilities = new Float64Array(about.output_size);
        this.reset();
    }}

    push(samples) {{
        const heard = [];
        for (let taken = 0; taken < samples.length; ) {{
            const count = Math.min(about.hop - this.filled, samples.length - taken);
            for (let i = 0; i < count; i++) this.part[this.filled + i] = samples[taken + i];
            this.filled += count;
            taken += count;
            if (this.filled < about.hop) break;
            this.filled = 0;
            const found = step(this.part, this.state);
            this.state = found.state;
            if (this.call >= about.warm_up) this.told(found.output, heard);
            this.call++;
        }}
        return heard;
    }}

    finish() {{
        const heard = [];
        if (this.call > about.warm_up) this.ended(heard);
        return heard;
    }}

    seconds(call) {{
        return (call + 1) * about.hop / about.sample_rate;
    }}
{told}}}
"""
SOFTMAX = """
function softmax(output) {
    const most = output.reduce((one, other) => Math.max(one, other));
    const powers = Float64Array.from(output, (value) => Math.exp(value - most));
    const sum = powers.reduce((one, other) => one + other);
    return powers.map((value) => value / sum);
}
"""
CLIP = """
    reset() {}

    told(output) {
        this.probabilities = softmax(output);
    }

    /* the likeliest label of the whole clip */
    ended(heard) {
        const confidence = this.probabilities.reduce((one, other) => Math.max(one, other));
        const label = about.labels[this.probabilities.indexOf(confidence)];
        heard.push({ seconds: this.seconds(this.call - 1), label, confidence });
    }
"""
UNITS = """
    reset() {
        this.before = 0;
    }

    /* the likeliest units without repetitions and blanks, each as it comes */
    told(output, heard) {
        this.probabilities = softmax(output);
        const best = output.indexOf(output.reduce((one, other) => Math.max(one, other)));
        if (best && best !== this.before) {
            const confidence = this.probabilities[best];
            heard.push({ seconds: this.seconds(this.call), label: about.labels[best], confidence });
        }
        this.before = best;
    }

    ended() {}
"""
HITS = """
    reset() {
        this.rows = about.labels.map(() => ({
            odds: new Float64Array(rule.smoothed).fill(-rule.most_odds), peak: 0, peakAt: 0, risen: 0, deaf: 0,
        }));
    }

    /* log odds averaged over the last calls; a rise above the threshold is one hit, reported behind its peak */
    told(output, heard) {
        const shares = softmax(output), call = this.call;
        this.rows.forEach((row, i) => {
            const rest = shares.reduce((sum, share, k) => (k === i ? sum : sum + share), 0);
            const now = Math.log(Math.max(shares[i], 1e-12)) - Math.log(Math.max(rest, 1e-12));
            row.odds[call % rule.smoothed] = Math.min(rule.most_odds, Math.max(-rule.most_odds, now));
            const p = 1 / (1 + Math.exp(-row.odds.reduce((sum, odds) => sum + odds) / rule.smoothed));
            this.probabilities[i] = p;
            if (call < row.deaf) return;
            if (p >= rule.thresholds[i] && p > row.peak) {
                if (row.peak === 0) row.risen = call;
                row.peak = p;
                row.peakAt = call;
            }
            if (row.peak > 0 && (p < row.peak || call - row.risen >= rule.hold)) this.hit(row, i, heard);
        });
    }

    ended(heard) {
        this.rows.forEach((row, i) => row.peak > 0 && this.hit(row, i, heard));
    }

    hit(row, i, heard) {
        heard.push({ seconds: this.seconds(row.peakAt), label: about.labels[i], confidence: row.peak });
        row.deaf = row.peakAt + rule.refractory;
        row.peak = 0;
    }
"""


def listener_text(step: ExportStep) -> str:
    """The class Listener of a model that hears; of others nothing."""
    if not step.about.hop:
        return ""
    rule = hit_rule(step)
    if rule is not None:
        # a threshold above 1 is never passed
        numbers = f"\nconst rule = {json.dumps(rule._asdict())};\n"
        return numbers + SOFTMAX + LISTENER.format(told=HITS)
    return SOFTMAX + LISTENER.format(told=UNITS if step.about.kind == "text" else CLIP)
