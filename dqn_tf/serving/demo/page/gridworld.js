// dqn_tf/GridWorld-v0: nine cells, a start in the middle, a goal in the corner; -1 a step, 0 for the step that reaches the goal.

const SIZE = 3;
const START = 4;
const GOAL = 8;
const MOVES = [[-1, 0], [1, 0], [0, -1], [0, 1]];
const ARROWS = "↑↓←→";

export class GridWorld {
  static title = "dqn_tf/GridWorld-v0";
  static fits = ({ dtype, shape, actions }) => dtype === "DT_INT64" && shape.length === 0 && actions === 4;

  maxSteps = 100;
  stepsPerSecond = 4;
  actionNames = ["up", "down", "left", "right"];
  keys = "Space pauses, R restarts. The arrows are the greedy action of each cell, the numbers its largest Q-value.";
  pushable = false;
  everyObservation = Array.from({ length: SIZE * SIZE }, (_, state) => state);
  answers = null; // the model's for everyObservation, drawn into the cells
  aspect = 2;

  constructor() {
    this.reset();
  }

  reset() {
    this.state = START;
  }

  get observation() {
    return this.state;
  }

  step(action) {
    const [row, column] = [Math.floor(this.state / SIZE), this.state % SIZE];
    const inside = (place) => Math.min(SIZE - 1, Math.max(0, place));
    this.state = inside(row + MOVES[action][0]) * SIZE + inside(column + MOVES[action][1]);
    const terminated = this.state === GOAL;
    return { reward: terminated ? 0 : -1, terminated };
  }

  keyPush() {
    return 0;
  }

  ending(steps, terminated) {
    return terminated ? `Reached the goal in ${steps} steps` : `Cut after ${this.maxSteps} steps`;
  }

  describe() {
    return `In row ${Math.floor(this.state / SIZE) + 1}, column ${(this.state % SIZE) + 1} of ${SIZE}; the goal is in row 3, column 3`;
  }

  draw(context, width, height, colors) {
    const cell = Math.min(width, height) / (SIZE + 0.4);
    const left = width / 2 - (SIZE * cell) / 2;
    const top = height / 2 - (SIZE * cell) / 2;
    context.textAlign = "center";
    context.textBaseline = "middle";
    for (let state = 0; state < SIZE * SIZE; state += 1) {
      const x = left + (state % SIZE) * cell;
      const y = top + Math.floor(state / SIZE) * cell;
      context.fillStyle = state === GOAL ? colors.good : state === START ? colors.wedge : colors.card;
      context.strokeStyle = colors.line;
      context.lineWidth = 1.5;
      context.beginPath();
      context.roundRect(x + cell * 0.03, y + cell * 0.03, cell * 0.94, cell * 0.94, cell * 0.08);
      context.fill();
      context.stroke();
      if (state === this.state) disc(context, x + cell / 2, y + cell / 2, cell * 0.38, colors.accent);
      const answer = this.answers?.[state];
      if (!answer && state !== GOAL) continue;
      context.fillStyle = state === GOAL || state === this.state ? colors.card : colors.dim;
      context.font = `600 ${cell * 0.15}px ${colors.font}`;
      if (state === GOAL) context.fillText("goal", x + cell / 2, y + cell / 2);
      else context.fillText(Math.max(...answer.q_values).toFixed(2).replace("-", "−"), x + cell / 2, y + cell * 0.7);
      context.font = `${cell * 0.28}px ${colors.font}`;
      if (state !== GOAL) context.fillText(ARROWS[answer.action], x + cell / 2, y + cell * 0.4);
    }
    context.textBaseline = "alphabetic";
  }
}

function disc(context, x, y, radius, color) {
  context.fillStyle = color;
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
}
