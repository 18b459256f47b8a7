// The agent at play: one predict for each step, at the chosen pace, with whatever version answers.

const EPISODE_PAUSE = 900; // milliseconds, at speed 1
const RETRY = 500;

export class Player {
  // `watch` holds what is told: answered, step, finished, trouble.
  constructor(watch) {
    Object.assign(this, { watch, playing: false, speed: 1, epsilon: 0, push: 0, held: 0, round: 0 });
    this.token = 0; // a new one makes the answer that is on its way worthless
  }

  // Begins with this environment and model; ends what was before.
  start(environment, model, version) {
    Object.assign(this, { environment, model, version, episode: 0 });
    this.restart();
    this.run();
  }

  stop() {
    this.token += 1;
  }

  restart() {
    this.environment.reset();
    Object.assign(this, { steps: 0, total: 0, ended: false, round: this.round + 1 });
    this.wake?.();
  }

  setPlaying(playing) {
    this.playing = playing;
    this.wake?.();
  }

  setSpeed(speed) {
    this.speed = speed;
    this.wake?.();
  }

  async run() {
    this.token += 1;
    const { token } = this;
    let due = performance.now();
    while (token === this.token) {
      if (!this.playing) {
        await this.sleep(Infinity);
        due = performance.now();
        continue;
      }
      const ended = await this.step(token);
      if (token !== this.token) return;
      due = Math.max(due + this.interval(), performance.now() - 100); // a slow answer is not made up for in a rush
      if (ended) due += this.speed === Infinity ? 0 : EPISODE_PAUSE / Math.max(1, this.speed);
      const wait = due - performance.now();
      if (wait > 1) await this.sleep(wait);
      while (ended && !this.playing && token === this.token) await this.sleep(Infinity); // paused at the end: let it be looked at
      if (this.ended && token === this.token) this.restart();
    }
  }

  // Whether the episode has ended.
  async step(token) {
    const { environment, model, version, round } = this;
    const isGone = () => token !== this.token || round !== this.round;
    await environment.ready?.(); // a visitor may have to say something
    if (isGone() || environment.observation === "") return false;
    const sent = performance.now();
    let answer;
    try {
      [answer] = await model.predict(version, [environment.observation], environment.signature);
    } catch (error) {
      if (token !== this.token) return false;
      await this.watch.trouble(error, version);
      if (this.version === version) await this.sleep(RETRY);
      return false;
    }
    if (isGone()) return false;
    const milliseconds = performance.now() - sent;
    const greedy = Number(answer.action) - (environment.actionStart ?? 0);
    const count = environment.actionNames.length;
    const chosen = Math.random() < this.epsilon ? Math.floor(Math.random() * count) : greedy;
    this.watch.answered({ milliseconds, values: answer.q_values, greedy, chosen });
    const { reward, terminated } = await environment.step(chosen, this.push + this.held);
    if (isGone()) return false;
    this.steps += 1;
    this.total += reward;
    this.ended = terminated || this.steps >= environment.maxSteps;
    this.watch.step();
    if (this.ended) {
      this.episode += 1;
      const ending = environment.ending(this.steps, terminated);
      const maximum = environment.mostReturn ?? environment.maxSteps;
      this.watch.finished({ number: this.episode, total: rounded(this.total), version, maximum, ending });
    }
    return this.ended;
  }

  interval() {
    return this.speed === Infinity ? 0 : 1000 / (this.environment.stepsPerSecond * this.speed);
  }

  // Until the time is over, or something has changed.
  sleep(milliseconds) {
    return new Promise((resolve) => {
      const timer = milliseconds === Infinity ? null : setTimeout(resolve, milliseconds);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

// Without what floats add to a sum of tenths.
export function rounded(total) {
  return Math.round(total * 1000) / 1000;
}
