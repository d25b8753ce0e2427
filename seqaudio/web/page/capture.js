// Hands the samples of a microphone to the page, in blocks.

const SIZE = 2048;

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.block = new Float32Array(SIZE);
    this.filled = 0;
  }

  process(inputs) {
    const samples = inputs[0][0];
    for (let place = 0; samples && place < samples.length; ) {
      const part = samples.subarray(place, place + SIZE - this.filled);
      this.block.set(part, this.filled);
      this.filled += part.length;
      place += part.length;
      if (this.filled === SIZE) {
        this.port.postMessage(this.block.slice());
        this.filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("capture", Capture);
