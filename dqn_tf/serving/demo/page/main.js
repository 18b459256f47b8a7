// Which model there is, which version answers, what it can play; and the page's controls.

import { CartPole } from "./cartpole.js";
import { GridWorld } from "./gridworld.js";
import { Bars, Episodes, Times, signed } from "./meters.js";
import { told } from "./names.js";
import { Player } from "./player.js";
import { Model, ServerError, modelNames } from "./server.js";
import { Stage } from "./stage.js";

const ENVIRONMENTS = [CartPole, GridWorld];
const POLL = 1000; // milliseconds between two looks at the status
const WORDS_EVERY = 1000; // milliseconds between two descriptions of the picture

const find = (id) => document.getElementById(id);
const stage = new Stage(find("canvas"));
const bars = new Bars(find("bars"), find("how"));
const times = new Times(find("latency-last"), find("latency-p50"), find("answers"), find("spark"));
const episodes = new Episodes(find("episodes"), find("summary"));
const player = new Player({ step: stepped, finished: (episode) => episodes.add(episode), trouble });
const motion = !matchMedia("(prefers-reduced-motion: reduce)").matches;

let model = null;
let version = null;
let looking = null;
let described = 0;

// What a step changes.
function stepped({ milliseconds, values, greedy, chosen }) {
  times.add(milliseconds);
  find("step").value = player.steps;
  find("return").value = signed(player.total);
  bars.show(values, greedy, chosen);
  times.show();
  stage.repaint();
  if (performance.now() - described > WORDS_EVERY || player.ended) {
    described = performance.now();
    find("canvas").setAttribute("aria-label", player.ended ? player.environment.ending(player.steps, true) : player.environment.describe());
  }
}

// A version that is gone is no trouble: the status says which one answers now.
async function trouble(error, asked) {
  if (!(error instanceof ServerError)) throw error;
  await look();
  if (version === asked && error.status !== 0) say(`The server answered: ${error.message}`);
}

function say(text) {
  if (find("notice").textContent !== text) find("notice").textContent = text;
}

// Asks for the version that answers, and goes on with it; once at a time.
function look() {
  looking ??= lookNow().finally(() => {
    looking = null;
  });
  return looking;
}

async function lookNow() {
  const asked = model;
  try {
    const newest = await asked.newestVersion();
    if (asked !== model) return;
    if (newest === null) leave(`The server has no version of ${asked.name} that answers yet.`);
    else if (newest !== version) await adopt(newest);
  } catch (error) {
    if (asked === model) leave(error instanceof ServerError && error.status ? error.message : "The server does not answer; asking again.");
  }
}

// No version answers: the game stands still as it is.
function leave(text) {
  version = null;
  badge("waiting", "no version");
  say(text);
}

async function adopt(newest) {
  const asked = model;
  const signature = await asked.signature(newest);
  if (asked !== model) return;
  const changed = version !== null || find("badge").dataset.state === "waiting";
  version = newest;
  badge("ready", `version ${newest}`, changed && player.environment);
  find("address").textContent = asked.address(newest);
  const Environment = signature && ENVIRONMENTS.find((one) => one.fits(signature));
  if (!Environment) {
    const names = signature ? await asked.names(newest) : {};
    return asked === model && cannotPlay(signature, names);
  }
  find("main").hidden = false;
  if (player.environment instanceof Environment) {
    player.version = newest;
    say(`Version ${newest} answers since ${new Date().toLocaleTimeString("en-GB")}.`);
  } else {
    say("");
    begin(new Environment());
  }
  await foresee();
}

function begin(environment) {
  document.title = `${model.name} plays ${environment.constructor.title}`;
  find("title").textContent = model.name;
  find("game").textContent = environment.constructor.title;
  find("limit").textContent = ` of ${environment.maxSteps}`;
  find("keys").textContent = environment.keys;
  find("push-row").hidden = !environment.pushable;
  bars.reset(environment.actionNames);
  episodes.reset();
  player.start(environment, model, version);
  setPlaying(motion);
  stage.show(environment);
}

// Where all observations can be asked for at once, the picture shows the answers.
async function foresee() {
  const { environment } = player;
  if (!environment?.everyObservation) return;
  environment.answers = await model.predict(version, environment.everyObservation);
  stage.repaint();
}

function cannotPlay(signature, names) {
  player.stop();
  player.environment = null;
  find("main").hidden = true;
  find("title").textContent = model.name;
  document.title = model.name;
  const what = signature
    ? told(signature, names)
    : "has no serving_default that takes an observation and gives action and q_values";
  say(`${model.name} ${what}. This page plays CartPole-v1 (shape [4], DT_FLOAT, 2 actions) and dqn_tf’s 3×3 grid (shape [], DT_INT64, 4 actions); `
    + "the server answers for this model all the same.");
}

function badge(state, text, flash = false) {
  const shown = find("badge");
  shown.dataset.state = state;
  find("version").textContent = text;
  if (flash && motion) shown.animate([{ transform: "scale(1.12)" }, { transform: "none" }], { duration: 500, easing: "ease-out" });
}

function setPlaying(playing) {
  player.setPlaying(playing);
  find("pause").textContent = playing ? "Pause" : "Play";
}

function restart() {
  if (!player.environment) return;
  player.restart();
  find("step").value = 0;
  find("return").value = 0;
  stage.repaint();
}

async function choose(name) {
  player.stop();
  player.environment = null;
  model = new Model(name);
  version = null;
  await looking;
  await look();
}

function connectControls() {
  find("pause").addEventListener("click", () => setPlaying(!player.playing));
  find("restart").addEventListener("click", restart);
  find("speeds").addEventListener("change", (event) => {
    player.setSpeed(event.target.value === "max" ? Infinity : Number(event.target.value));
  });
  find("epsilon").addEventListener("input", (event) => {
    player.epsilon = Number(event.target.value);
    find("epsilon-value").value = player.epsilon.toFixed(2);
  });
  find("push").addEventListener("input", (event) => {
    player.push = Number(event.target.value);
    find("push-value").value = `${signed(player.push.toFixed(2))} N`;
  });
  find("model").addEventListener("change", (event) => choose(event.target.value));
  const inControl = (event) => event.target.closest("button, input, select");
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || inControl(event) || !player.environment) return;
    const push = player.environment.keyPush(event.key);
    if (event.key === " ") setPlaying(!player.playing);
    else if (event.key.toLowerCase() === "r") restart();
    else if (push) player.held = push;
    else return;
    event.preventDefault();
  });
  document.addEventListener("keyup", (event) => {
    if (event.key.startsWith("Arrow")) player.held = 0;
  });
  window.addEventListener("blur", () => {
    player.held = 0;
  });
}

async function main() {
  connectControls();
  let names = null;
  while (names === null) {
    try {
      names = await modelNames();
    } catch {
      say("The server does not answer; asking again.");
      await new Promise((resolve) => setTimeout(resolve, POLL));
    }
  }
  find("models").hidden = names.length < 2;
  find("model").replaceChildren(...names.map((name) => new Option(name)));
  await choose(names[0]);
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, POLL));
    await look();
  }
}

main();
