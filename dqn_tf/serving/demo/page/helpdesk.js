// dqn_tf/Helpdesk-v0 with the visitor as the customer, or with one who is played by the test sentences that come with dqn_tf.

import { packageData } from "./server.js";

const TURNS = 4;
const [CLEAR, AMBIGUOUS] = [0.45, 0.45]; // chances of a complaint that says which issue, and which pair
const [RIGHT, WRONG, ASKING] = [1, -1, -0.1];
const MESSAGES = "messages"; // the signature of agents that read message by message
const [ASKED, REPLIED] = [">", "<"];
const CHOICES = 12; // answers and questions of the sentences that come with dqn_tf
const [PERIOD, TEST] = [4, 3]; // of each four sentences that mean the same, the last is for the test

export class Helpdesk {
  static title = "dqn_tf/Helpdesk-v0";
  static fits = (signature, { env, action_meanings: actions, spaces }) =>
    env === Helpdesk.title && signature.names.includes("text") && (hasPairs(actions, signature.actions) || spaces?.choices >= CHOICES);

  static async make(names, chat, signature) {
    const sentences = await packageData(`helpdesk_${names.config?.env_kwargs?.language ?? "en"}.json`);
    const own = sentences && [...(sentences.answers ?? sentences.issues), ...sentences.questions];
    const tellsChoices = !names.action_meanings; // an agent that is told the texts of its choices
    const isKnown = tellsChoices || JSON.stringify(own) === JSON.stringify(names.action_meanings);
    const made = new Helpdesk(tellsChoices ? own : names.action_meanings, isKnown ? sentences : null, chat, tellsChoices);
    made.tellsMessages = Boolean(signature?.names.includes(MESSAGES));
    return made;
  }

  maxSteps = TURNS;
  mostReturn = RIGHT;
  stepsPerSecond = 0.5;
  invitation = "Complain about network, card, parcel or phone";
  keys = "Write a complaint and the agent answers you. Space pauses and R restarts where nothing is written.";
  pushable = false;

  tellsMessages = false; // an agent that reads message by message

  // `sentences` are those of the played customer; null where there is none.
  constructor(actionNames, sentences, chat, tellsChoices = false, draw01 = Math.random) {
    Object.assign(this, { actionNames, sentences, chat, tellsChoices, draw01, byHand: sentences === null });
    this.issues = (2 * actionNames.length) / 3;
    this.reset();
  }

  get canPlay() {
    return this.sentences !== null;
  }

  reset() {
    this.chat.clear();
    Object.assign(this, { text: "", role: [], content: [], asked: null, turns: 0, outcome: "" });
    if (!this.byHand) this.hear(this.complaint());
  }

  get signature() {
    return this.tellsMessages ? MESSAGES : "text";
  }

  get observation() {
    if (!this.text) return "";
    const said = this.tellsMessages ? { role: this.role, content: this.content } : { text: this.text };
    if (this.tellsChoices) return { ...said, choices: this.actionNames };
    return this.tellsMessages ? said : this.text;
  }

  // Once there is something to answer; the visitor may take long.
  async ready() {
    if (this.text && this.asked === null) return;
    const said = await this.chat.text();
    if (said !== null) this.hear(said);
  }

  async step(action) {
    this.turns += 1;
    this.chat.say("agent", this.actionNames[action]);
    if (action < this.issues) return this.end(await this.isRight(action));
    this.asked = action;
    this.note("assistant", this.actionNames[action]);
    if (this.turns === TURNS) return this.leave();
    if (!this.byHand) this.hear(this.reply(action - this.issues));
    return { reward: ASKING, terminated: false };
  }

  hear(said) {
    this.text = this.asked === null ? said : `${this.text} ${ASKED} ${this.actionNames[this.asked]} ${REPLIED} ${said}`;
    this.note("user", said);
    this.asked = null;
    this.chat.say("customer", said);
  }

  note(who, said) {
    this.role = [...this.role, who];
    this.content = [...this.content, said];
  }

  isRight(answer) {
    return this.byHand ? this.chat.judged() : answer === this.issue;
  }

  end(isRight) {
    if (isRight === null) return { reward: 0, terminated: true }; // begun anew meanwhile
    this.outcome = isRight ? "Right answer" : "Wrong answer";
    this.chat.say("note", isRight ? "That was right: 1." : "That was wrong: −1.");
    return { reward: isRight ? RIGHT : WRONG, terminated: true };
  }

  leave() {
    this.outcome = "Asked too often";
    this.chat.say("note", "Asked in the last turn: the customer has gone.");
    return { reward: ASKING, terminated: true };
  }

  // An issue, and what is said of it.
  complaint() {
    const { clear, ambiguous, vague } = this.sentences;
    this.issue = Math.floor(this.draw01() * this.issues);
    const kind = this.draw01();
    if (kind < CLEAR) return this.drawn(clear[this.issue]);
    return this.drawn(kind < CLEAR + AMBIGUOUS ? ambiguous[this.issue >> 1] : vague);
  }

  reply(pair) {
    return this.drawn(this.issue >> 1 === pair ? this.sentences.reply[this.issue] : this.sentences.neither);
  }

  drawn(texts) {
    const test = texts.filter((_, place) => place % PERIOD === TEST);
    return test[Math.floor(this.draw01() * test.length)];
  }

  keyPush() {
    return 0;
  }

  ending(steps) {
    return `${this.outcome} in turn ${steps}`;
  }
}

// Two answers and a question for each pair of issues.
function hasPairs(actions, count) {
  return actions?.length === count && count % 3 === 0;
}
