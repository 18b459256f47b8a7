// Gymnasium's CartPole-v1: the same numbers, Euler's method, thresholds and 500 steps; and a push at the pole's tip, which it has not.

const GRAVITY = 9.8;
const CART_MASS = 1.0;
const POLE_MASS = 0.1;
const MASS = CART_MASS + POLE_MASS;
const HALF_LENGTH = 0.5; // metres
const FORCE = 10.0; // newtons
const TAU = 0.02; // seconds a step
const X_LIMIT = 2.4;
const THETA_LIMIT = (12 * 2 * Math.PI) / 360;
const KEY_PUSH = 0.1; // newtons, while a key is held

export class CartPole {
  static title = "CartPole-v1";
  static fits = ({ dtype, shape, actions }) => dtype === "DT_FLOAT" && shape.length === 1 && shape[0] === 4 && actions === 2;

  maxSteps = 500;
  stepsPerSecond = 1 / TAU;
  actionNames = ["push left", "push right"];
  keys = "Space pauses, R restarts, ← and → push the pole while held.";
  pushable = true;

  // `draw01` gives numbers in [0, 1).
  constructor(draw01 = Math.random) {
    this.draw01 = draw01;
    this.reset();
  }

  reset() {
    this.state = Array.from({ length: 4 }, () => this.draw01() * 0.1 - 0.05);
    this.lastAction = null;
    this.push = 0;
  }

  get observation() {
    return this.state;
  }

  // {reward, terminated}. `push` is the horizontal force at the tip, in newtons, to the right where positive.
  step(action, push = 0) {
    const [x, velocity, theta, omega] = this.state;
    const force = action === 1 ? FORCE : -FORCE;
    const cos = Math.cos(theta);
    const sin = Math.sin(theta);
    const temp = (force + push + POLE_MASS * HALF_LENGTH * omega * omega * sin) / MASS;
    // From Lagrange's equations with the push at twice the half length; without it, Gymnasium's line.
    const alpha = (GRAVITY * sin + (2 * push * cos) / POLE_MASS - cos * temp) / (HALF_LENGTH * (4 / 3 - (POLE_MASS * cos * cos) / MASS));
    const acceleration = temp - (POLE_MASS * HALF_LENGTH * alpha * cos) / MASS;
    this.state = [x + TAU * velocity, velocity + TAU * acceleration, theta + TAU * omega, omega + TAU * alpha];
    this.lastAction = action;
    this.push = push;
    const terminated = Math.abs(this.state[0]) > X_LIMIT || Math.abs(this.state[2]) > THETA_LIMIT;
    return { reward: 1, terminated };
  }

  keyPush(key) {
    return { ArrowLeft: -KEY_PUSH, ArrowRight: KEY_PUSH }[key] ?? 0;
  }

  ending(steps, terminated) {
    if (!terminated) return `Balanced for all ${this.maxSteps} steps`;
    return Math.abs(this.state[0]) > X_LIMIT ? `Left the track at step ${steps}` : `Fell at step ${steps}`;
  }

  describe() {
    const [x, , theta] = this.state;
    return `Cart at ${x.toFixed(2)} of ±${X_LIMIT} metres, pole at ${((theta * 180) / Math.PI).toFixed(1)} of ±12 degrees`;
  }

  aspect = 5.4 / 2.2;

  draw(context, width, height, colors) {
    const scale = width / 5.4;
    const ground = height - 0.48 * scale;
    const [x, , theta] = this.state;
    const at = (metres) => width / 2 + metres * scale;

    context.lineCap = "round";
    context.lineWidth = Math.max(1, scale * 0.012);
    context.strokeStyle = colors.line;
    line(context, at(-2.6), ground, at(2.6), ground);
    for (let mark = -2; mark <= 2; mark += 1) line(context, at(mark), ground + scale * 0.05, at(mark), ground + scale * 0.1);
    context.strokeStyle = colors.bad;
    for (const end of [-X_LIMIT, X_LIMIT]) line(context, at(end), ground - scale * 0.1, at(end), ground + scale * 0.1);
    context.fillStyle = colors.dim;
    context.font = `${Math.max(10, scale * 0.1)}px ${colors.font}`;
    context.textAlign = "center";
    for (const mark of [-2, -1, 0, 1, 2]) context.fillText(mark === 0 ? "0 m" : String(mark).replace("-", "−"), at(mark), ground + scale * 0.27);

    const axle = { x: at(x), y: ground - scale * 0.28 };
    // Beyond this wedge the episode ends.
    context.fillStyle = colors.wedge;
    context.beginPath();
    context.moveTo(axle.x, axle.y);
    context.arc(axle.x, axle.y, scale * 1.22, -Math.PI / 2 - THETA_LIMIT, -Math.PI / 2 + THETA_LIMIT);
    context.fill();

    context.fillStyle = colors.ink;
    context.beginPath();
    context.roundRect(axle.x - scale * 0.25, ground - scale * 0.29, scale * 0.5, scale * 0.24, scale * 0.04);
    context.fill();
    for (const side of [-0.15, 0.15]) disc(context, axle.x + side * scale, ground - scale * 0.05, scale * 0.05, colors.ink);
    if (this.lastAction !== null) arrow(context, axle.x, ground - scale * 0.17, (this.lastAction === 1 ? 1 : -1) * scale * 0.14, scale, colors.card);

    const tip = { x: axle.x + Math.sin(theta) * scale, y: axle.y - Math.cos(theta) * scale };
    context.strokeStyle = colors.accent;
    context.lineWidth = scale * 0.085;
    line(context, axle.x, axle.y, tip.x, tip.y);
    disc(context, axle.x, axle.y, scale * 0.035, colors.card);
    if (this.push) {
      const reach = Math.sign(this.push) * scale * (0.12 + Math.min(0.5, Math.abs(this.push) * 4));
      arrow(context, tip.x - reach - Math.sign(this.push) * scale * 0.09, tip.y, reach, scale * 1.3, colors.warm);
    }
  }
}

function line(context, x1, y1, x2, y2) {
  context.beginPath();
  context.moveTo(x1, y1);
  context.lineTo(x2, y2);
  context.stroke();
}

function disc(context, x, y, radius, color) {
  context.fillStyle = color;
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
}

function arrow(context, x, y, reach, scale, color) {
  const head = Math.sign(reach) * scale * 0.05;
  context.strokeStyle = color;
  context.lineWidth = scale * 0.03;
  line(context, x, y, x + reach, y);
  line(context, x + reach, y, x + reach - head, y - scale * 0.05);
  line(context, x + reach, y, x + reach - head, y + scale * 0.05);
}
