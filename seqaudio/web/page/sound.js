// A microphone, and samples as bytes.

const REFUSALS = {
  NotAllowedError: "the browser may not use the microphone; allow it beside the address, and try again",
  NotFoundError: "no microphone was found; connect one, and try again",
  NotReadableError: "the microphone is used by another program; close that, and try again",
};

/** Open the microphone; `take` gets blocks of samples, -1 to 1. Returns {rate, close}. */
export async function microphone(take) {
  if (!navigator.mediaDevices) {
    throw new Error("browsers give pages a microphone over https or from this machine alone");
  }
  const plain = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  const stream = await navigator.mediaDevices.getUserMedia({ audio: plain }).catch((error) => {
    throw new Error(REFUSALS[error.name] || error.message);
  });
  const context = new AudioContext();
  await context.audioWorklet.addModule("capture.js");
  const node = new AudioWorkletNode(context, "capture", { numberOfOutputs: 1 });
  node.port.onmessage = (event) => take(event.data);
  const silent = new GainNode(context, { gain: 0 }); // what leads nowhere is not run in every browser
  context.createMediaStreamSource(stream).connect(node).connect(silent).connect(context.destination);
  await context.resume();
  return {
    rate: context.sampleRate,
    close: () => {
      node.port.onmessage = null;
      for (const track of stream.getTracks()) track.stop();
      context.close();
    },
  };
}

/** Samples -1 to 1 as 16 bits. */
export function to16(samples) {
  const found = new Int16Array(samples.length);
  for (let n = 0; n < samples.length; n++) found[n] = Math.max(-1, Math.min(1, samples[n])) * 32767;
  return found;
}

/** Blocks of samples as a WAV file of 16 bits. */
export function wavOf(blocks, rate) {
  const count = blocks.reduce((sum, block) => sum + block.length, 0);
  const header = new DataView(new ArrayBuffer(44));
  const text = (place, letters) => [...letters].forEach((letter, n) => header.setUint8(place + n, letter.charCodeAt(0)));
  text(0, "RIFF");
  header.setUint32(4, 36 + 2 * count, true);
  text(8, "WAVEfmt ");
  header.setUint32(16, 16, true);
  header.setUint16(20, 1, true); // PCM
  header.setUint16(22, 1, true); // channel
  header.setUint32(24, rate, true);
  header.setUint32(28, 2 * rate, true);
  header.setUint16(32, 2, true);
  header.setUint16(34, 16, true);
  text(36, "data");
  header.setUint32(40, 2 * count, true);
  return new Blob([header, ...blocks.map(to16)], { type: "audio/wav" });
}

/** The greatest sample of a block. */
export function peak(samples) {
  let found = 0;
  for (const sample of samples) found = Math.max(found, Math.abs(sample));
  return found;
}

/** Base64 as a file. */
export function fileOf(base64, type) {
  return new Blob([Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))], { type });
}

/** A file as base64. */
export async function base64Of(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  let text = "";
  for (let place = 0; place < bytes.length; place += 8192) {
    text += String.fromCharCode(...bytes.subarray(place, place + 8192));
  }
  return btoa(text);
}
