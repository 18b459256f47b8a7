// Which model there is, which version answers, what it can play; and the page's controls.

import { CartPole } from "./cartpole.js";
import { Chat } from "./chat.js";
import { GraphWalk } from "./graphwalk.js";
import { GridWorld } from "./gridworld.js";
import { Helpdesk } from "./helpdesk.js";
import { Bars, Episodes, Times, signed } from "./meters.js";
import { told } from "./names.js";
import { Player, rounded } from "./player.js";
import { Model, ServerError, modelNames } from "./server.js";
import { Stage } from "./stage.js";

const ENVIRONMENTS = [CartPole, GridWorld];
const OF_TEXTS = [Helpdesk, GraphWalk]; // told by the names in the manifest
const POLL = 1000; // milliseconds between two looks at the status
const WORDS_EVERY = 1000; // milliseconds between two descriptions of the picture

const find = (id) => document.getElementById(id);
const stage = new Stage(find("canvas"));
const bars = new Bars(find("bars"), find("how"));
const times = new Times(find("latency-last"), find("latency-p50"), find("answers"), find("spark"));
const episodes = new Episodes(find("episodes"), find("summary"));
const chat = new Chat(find("chat"), find("write"), find("verdict"));
const player = new Player({ answered, step: stepped, finished, trouble });
const motion = !matchMedia("(prefers-reduced-motion: reduce)").matches;

let model = null;
let version = null;
let looking = null;
let described = 0;

function answered({ milliseconds, values, greedy, chosen }) {
  times.add(milliseconds);
  bars.show(values, greedy, chosen);
  times.show();
}

// What a step changes.
function stepped() {
  find("step").value = player.steps;
  find("return").value = signed(rounded(player.total));
  if (chats()) return;
  stage.repaint();
  if (performance.now() - described > WORDS_EVERY || player.ended) {
    described = performance.now();
    find("canvas").setAttribute("aria-label", player.ended ? player.environment.ending(player.steps, true) : player.environment.describe());
  }
}

// A visitor's own dialogue stays to be read.
function finished(episode) {
  episodes.add(episode);
  if (player.environment.byHand) setPlaying(false);
}

function chats() {
  return player.environment?.chat !== undefined;
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
  let Environment = signature && ENVIRONMENTS.find((one) => one.fits(signature));
  let names = {};
  if (signature && !Environment) {
    names = signature.names.includes("metadata") ? await asked.names(newest) : {};
    Environment = OF_TEXTS.find((one) => one.fits(signature, names));
  }
  if (asked !== model) return;
  if (!Environment) return cannotPlay(signature, names);
  find("main").hidden = false;
  if (player.environment instanceof Environment) {
    player.version = newest;
    say(`Version ${newest} answers since ${new Date().toLocaleTimeString("en-GB")}.`);
  } else {
    say("");
    const made = Environment.make ? await Environment.make(names, chat, signature) : new Environment();
    if (asked !== model) return;
    begin(made);
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
  const isChat = chats();
  find("canvas").hidden = isChat;
  find("dialogue").hidden = !isChat;
  find("main").classList.toggle("chats", isChat);
  const hasMany = environment.actionNames.length > 4;
  find("bars").classList.toggle("many", hasMany);
  find("bars").tabIndex = hasMany ? 0 : -1; // so that keys can scroll it
  find("play").hidden = !(isChat && environment.canPlay);
  find("say").placeholder = environment.invitation ?? "";
  setPlaying(motion || environment.byHand === true);
  if (!isChat) stage.show(environment);
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
  say(`${model.name} ${what}. This page plays CartPole-v1 (shape [4], DT_FLOAT, 2 actions), dqn_tf’s 3×3 grid (shape [], DT_INT64, 4 actions), `
    + "dqn_tf/Helpdesk-v0 and dqn_tf/GraphWalk-v0; the server answers for this model all the same.");
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
  if (!chats()) stage.repaint();
}

// The visitor's next line; where it answers no question, it begins a dialogue.
function write(text) {
  const isExpected = player.environment.byHand && !player.ended && !chat.judging;
  player.environment.byHand = true;
  if (!isExpected) restart();
  chat.give(text);
  setPlaying(true);
}

function letItPlay() {
  player.environment.byHand = false;
  restart();
  setPlaying(true);
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
  find("write").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = find("say").value.trim();
    find("say").value = "";
    if (text) write(text);
  });
  find("play").addEventListener("click", letItPlay);
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
