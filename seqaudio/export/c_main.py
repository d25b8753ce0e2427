"""The `main` of a C file: raw PCM, ids or values on stdin; hits, units or outputs on stdout."""

from __future__ import annotations

from seqaudio.export.steps import ExportStep, hit_rule

PCM = """
/* 1: a call's input, 0: the end, -1: no sound; a rest that is shorter than a hop is left out */
static int read_input(float *input, long call) {{
    unsigned char bytes[2 * {name}_INPUT];
    size_t count = fread(bytes, 1, sizeof bytes, stdin);
    if (!call && count >= 4 && (!memcmp(bytes, "RIFF", 4) || !memcmp(bytes, "fLaC", 4) || !memcmp(bytes, "OggS", 4))) {{
        fprintf(stderr, "error: stdin is a file with a header (%.4s), expected its samples alone: {usage}\\n",
                (const char *) bytes);
        return -1;
    }}
    if (count != sizeof bytes) return 0;
    for (int i = 0; i < {name}_INPUT; i++)
        input[i] = (float) (int16_t) (bytes[2 * i] | bytes[2 * i + 1] << 8) / 32768.0f;
    return 1;
}}
"""
NUMBERS = """
/* 1: a call's input, 0: the end, -1: something else than numbers; a rest that is too short for a call is left out */
static int read_input({type} *input, long call) {{
    for (int i = 0; i < {name}_INPUT; i++) {{
        int found = scanf("{format}", &input[i]);
        if (found == 1) continue;
        if (!found) fprintf(stderr, "error: number %ld is none; expected {usage}\\n", call * {name}_INPUT + i + 1);
        return found ? 0 : -1;
    }}
    return 1;
}}
"""
RAW = """
static void told(const float *output, long call) {{
    (void) call;
    for (int i = 0; i < {name}_OUTPUT; i++) printf("%.9g%c", output[i], i + 1 < {name}_OUTPUT ? ' ' : '\\n');
}}
static void ended(long call) {{ (void) call; }}
"""
CLIP = """
static float last[{name}_OUTPUT];

static void told(const float *output, long call) {{
    (void) call;
    memcpy(last, output, sizeof last);
}}

/* the probabilities of the whole clip */
static void ended(long call) {{
    float most = last[0], sum = 0.0f;
    if (call <= {name}_WARM_UP) return;
    for (int i = 1; i < {name}_OUTPUT; i++) if (last[i] > most) most = last[i];
    for (int i = 0; i < {name}_OUTPUT; i++) sum += expf(last[i] - most);
    for (int i = 0; i < {name}_OUTPUT; i++) printf("%s\\t%.4f\\n", {name}_labels[i], expf(last[i] - most) / sum);
}}
"""
UNITS = """
static int before;

/* the likeliest units without repetitions and blanks, each as it comes */
static void told(const float *output, long call) {{
    int best = 0;
    for (int i = 1; i < {name}_OUTPUT; i++) if (output[i] > output[best]) best = i;
    if (best && best != before)
        printf("%.2f\\t%s\\n", (double) (call + 1) * {name}_HOP / {name}_SAMPLE_RATE, {name}_labels[best]);
    before = best;
}}
static void ended(long call) {{ (void) call; }}
"""
SPOTS = """
/* log odds averaged over the last calls; a rise above the threshold is one hit, reported behind its peak */
#define SMOOTHED {smoothed}
#define REFRACTORY {refractory}
#define HOLD {hold}
static const float thresholds[] = {{{thresholds}}};  /* 2 for labels that are no keywords */
static float odds[{name}_OUTPUT][SMOOTHED], peaks[{name}_OUTPUT];
static long risen[{name}_OUTPUT], peak_at[{name}_OUTPUT], deaf[{name}_OUTPUT];
static int begun;

static void hit(int i) {{
    double seconds = (double) (peak_at[i] + 1) * {name}_HOP / {name}_SAMPLE_RATE;
    printf("%.2f\\t%s\\t%.3f\\n", seconds, {name}_labels[i], peaks[i]);
    fflush(stdout);
    deaf[i] = peak_at[i] + REFRACTORY;
    peaks[i] = 0.0f;
}}

static void told(const float *output, long call) {{
    float most = output[0], sum = 0.0f;
    if (!begun++)
        for (int i = 0; i < {name}_OUTPUT; i++)
            for (int k = 0; k < SMOOTHED; k++) odds[i][k] = -{most_odds};
    for (int i = 1; i < {name}_OUTPUT; i++) if (output[i] > most) most = output[i];
    for (int i = 0; i < {name}_OUTPUT; i++) sum += expf(output[i] - most);
    for (int i = 0; i < {name}_OUTPUT; i++) {{
        float p = expf(output[i] - most) / sum, rest = 0.0f, mean = 0.0f;
        for (int k = 0; k < {name}_OUTPUT; k++) if (k != i) rest += expf(output[k] - most) / sum;
        float now = logf(p > 1e-12f ? p : 1e-12f) - logf(rest > 1e-12f ? rest : 1e-12f);
        odds[i][call % SMOOTHED] = now > {most_odds} ? {most_odds} : now < -{most_odds} ? -{most_odds} : now;
        for (int k = 0; k < SMOOTHED; k++) mean += odds[i][k];
        p = 1.0f / (1.0f + expf(-mean / SMOOTHED));
        if (call < deaf[i]) continue;
        if (p >= thresholds[i] && p > peaks[i]) {{
            if (peaks[i] == 0.0f) risen[i] = call;
            peaks[i] = p;
            peak_at[i] = call;
        }}
        if (peaks[i] > 0.0f && (p < peaks[i] || call - risen[i] >= HOLD)) hit(i);
    }}
}}

static void ended(long call) {{
    (void) call;
    for (int i = 0; i < {name}_OUTPUT; i++) if (peaks[i] > 0.0f) hit(i);
}}
"""
MAIN = """
#ifdef SEQAUDIO_MAIN
#include <stdio.h>
{reading}{telling}
/* raw: the outputs of every call */
int main(int count, char **arguments) {{
    static {name} net;
    static {type} input[{name}_INPUT];
    static float output[{name}_OUTPUT];
    int raw = count == 2 && !strcmp(arguments[1], "raw"), found = 0;
    long call = 0;
    if (count > 2 || (count == 2 && !raw)) {{
        fprintf(stderr, "usage: %s [raw], and on stdin {usage}\\n", arguments[0]);
        return 2;
    }}
    {name}_reset(&net);
    for (; (found = read_input(input, call)) > 0; call++) {{
        {name}_step(&net, input, output);
        if (call < {name}_WARM_UP) continue;
        if (!raw) {{
            told(output, call);
            continue;
        }}
        for (int i = 0; i < {name}_OUTPUT; i++) printf("%.9g%c", output[i], i + 1 < {name}_OUTPUT ? ' ' : '\\n');
    }}
    if (found < 0) return 2;
    if (!raw) ended(call);
    return 0;
}}
#endif
"""


def main_text(step: ExportStep, name: str) -> str:
    """The program behind SEQAUDIO_MAIN; `name` begins the names of the file."""
    about = step.about
    kind = "float" if step.example.is_floating_point() else "int32_t"
    if about.hop:
        usage = f"raw PCM of 16 bits, little-endian, {about.sample_rate} Hz, one channel"
        reading = PCM.format(name=name, usage=usage)
    else:
        usage = f"{'numbers' if kind == 'float' else 'ids'}, {step.example.numel()} a call"
        form = "%f" if kind == "float" else '%" SCNd32 "'
        include = "" if kind == "float" else "#include <inttypes.h>\n"
        reading = include + NUMBERS.format(name=name, type=kind, format=form, usage=usage)
    telling = _telling(step, name)
    return MAIN.format(name=name, type=kind, reading=reading, telling=telling, usage=usage)


def _telling(step: ExportStep, name: str) -> str:
    about = step.about
    if about.kind == "text":
        return UNITS.format(name=name)
    if about.kind != "keywords":
        return RAW.format(name=name)
    rule = hit_rule(step)
    if rule is None:
        return CLIP.format(name=name)
    return SPOTS.format(
        name=name,
        smoothed=rule.smoothed,
        refractory=rule.refractory,
        hold=rule.hold,
        thresholds=", ".join(f"{value:.6f}f" for value in rule.thresholds),
        most_odds=f"{rule.most_odds}f",
    )
