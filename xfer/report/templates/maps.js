// Heatmaps as they are stored in the page: one grey PNG a map, 0 where there is no value, 1 to 255 from its lowest to its
// highest. They become numbers when they are first looked at.
class Heatmap {
  constructor({ map, low, high }, { height, width }, colours) {
    Object.assign(this, { source: map, low, high, height, width, colours });
  }

  async read() {
    this.levels ??= this.decode();
    return this.levels;
  }

  async decode() {
    const image = new Image();
    image.src = `data:image/png;base64,${this.source}`;
    await image.decode();
    const sheet = make("canvas", { width: this.width, height: this.height }).getContext("2d", { willReadFrequently: true });
    sheet.drawImage(image, 0, 0);
    const { data } = sheet.getImageData(0, 0, this.width, this.height);
    return Uint8Array.from({ length: this.width * this.height }, (_, i) => data[4 * i]);
  }

  async paint(canvas) {
    const levels = await this.read();
    const picture = new ImageData(this.width, this.height);
    const pixels = new Uint32Array(picture.data.buffer);
    for (let i = 0; i < levels.length; i++) pixels[i] = this.colours[levels[i]];
    canvas.width = this.width;
    canvas.height = this.height;
    canvas.getContext("2d").putImageData(picture, 0, 0);
  }

  async at(row, column) {
    const level = (await this.read())[row * this.width + column];
    if (!level) return "no value";
    const share = (level - 1) / 254;
    return `${number(this.low + share * (this.high - this.low))} (${Math.round(100 * share)} % of the way up)`;
  }
}

// "rrggbb..." -> 255 colours as the bytes of a picture; the level 0 is grey.
function palette(text) {
  const byte = (at) => parseInt(text.slice(at, at + 2), 16);
  const colour = (at) => (255 << 24) | (byte(at + 4) << 16) | (byte(at + 2) << 8) | byte(at);
  return Uint32Array.from({ length: text.length / 6 + 1 }, (_, i) => (i ? colour(6 * (i - 1)) : 0xff8c8c8c));
}

function beneath(event, canvas, { height, width }) {
  const box = canvas.getBoundingClientRect();
  const place = (at, start, size, count) => Math.min(count - 1, Math.max(0, Math.floor(((at - start) / size) * count)));
  return [place(event.clientY, box.top, box.height, height), place(event.clientX, box.left, box.width, width)];
}
