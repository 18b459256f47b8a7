// The canvas: as sharp as the screen, in the page's own colours, drawn once a frame at most.

const NAMES = ["ink", "dim", "line", "card", "accent", "warm", "good", "bad", "wedge"];

export class Stage {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.scene = null;
    this.waiting = false;
    new ResizeObserver(() => this.resize()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.repaint());
  }

  show(scene) {
    this.scene = scene;
    this.canvas.style.aspectRatio = String(scene.aspect);
    this.resize();
  }

  resize() {
    const ratio = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(this.canvas.clientWidth * ratio);
    this.canvas.height = Math.round(this.canvas.clientHeight * ratio);
    this.repaint();
  }

  repaint() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.paint();
    });
  }

  paint() {
    const { width, height } = this.canvas;
    if (!this.scene || !width) return;
    const style = getComputedStyle(this.canvas);
    const colors = Object.fromEntries(NAMES.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
    colors.font = style.fontFamily;
    this.context.clearRect(0, 0, width, height);
    this.scene.draw(this.context, width, height, colors);
  }
}
