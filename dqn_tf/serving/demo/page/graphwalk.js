// dqn_tf/GraphWalk-v0 on one of the four graphs that come with dqn_tf: a way to the goal, token by token.

import { packageData } from "./server.js";

export class GraphWalk {
  static title = "dqn_tf/GraphWalk-v0";
  signature = "text";
  static fits = (signature, { env, tokenizer, config }) =>
    env === GraphWalk.title && Boolean(tokenizer) && /^[1-4]$/.test(config?.env_kwargs?.graph ?? "1");

  static async make(names, chat) {
    return new GraphWalk(await packageData(`graph_${names.config?.env_kwargs?.graph ?? "1"}.json`), chat);
  }

  stepsPerSecond = 2;
  actionStart = 1; // of the model's numbers
  canPlay = true;
  byHand = false;
  pushable = false;

  constructor(graph, chat, draw01 = Math.random) {
    Object.assign(this, { graph, chat, draw01, actionNames: graph.nodes, maxSteps: graph.limit ?? 15 });
    this.edges = new Set(graph.edges.map((edge) => edge.join(" ")));
    this.starts = graph.nodes.filter((node) => node !== graph.goal);
    this.invitation = `Where to begin, such as ${this.starts[0]}`;
    this.keys = `Write a place, and the agent walks from there to ${graph.goal}: ${graph.nodes.join(", ")}.`;
    this.reset();
  }

  reset() {
    this.chat.clear();
    Object.assign(this, { walk: [], line: null });
    if (!this.byHand) this.begin(this.starts[Math.floor(this.draw01() * this.starts.length)]);
  }

  get observation() {
    return this.walk.join(" ");
  }

  async ready() {
    if (this.walk.length) return;
    const said = await this.chat.text();
    if (said !== null) this.begin(said.trim());
  }

  begin(start) {
    this.chat.say("customer", start);
    if (this.starts.includes(start)) this.walk = [start];
    else this.chat.say("note", `There is no way to begin in ${start}.`);
  }

  step(action) {
    const [from, to] = [this.walk.at(-1), this.graph.nodes[action]];
    const steps = this.walk.length;
    this.walk.push(to);
    this.line ??= this.chat.say("agent", "");
    this.line.textContent += this.line.textContent ? ` → ${to}` : to;
    if (!this.edges.has(`${from} ${to}`)) return this.end(steps - 1 - this.maxSteps, `No edge leads from ${from} to ${to}`);
    if (to === this.graph.goal) return this.end(-1, `Reached ${to}`);
    return steps === this.maxSteps ? this.end(-1, "Cut") : { reward: -1, terminated: false };
  }

  end(reward, outcome) {
    this.outcome = outcome;
    this.chat.say("note", `${outcome}.`);
    return { reward, terminated: true };
  }

  keyPush() {
    return 0;
  }

  ending(steps) {
    return `${this.outcome} after ${steps} tokens`;
  }
}
