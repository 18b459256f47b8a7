// A dialogue as lines on the page, and what the visitor writes or judges.

export class Chat {
  constructor(list, form, verdict) {
    Object.assign(this, { list, form, verdict, waiting: null, written: null });
    verdict.addEventListener("click", (event) => {
      if (event.target.value) this.give(event.target.value === "right");
    });
  }

  get judging() {
    return !this.verdict.hidden;
  }

  // Ends what was said, and whoever waits for the visitor gets null.
  clear() {
    this.list.replaceChildren();
    this.give(null);
    this.written = null;
    this.verdict.hidden = true;
  }

  // `who` is customer, agent or note. Returns the line, whose text may be changed.
  say(who, text) {
    const line = document.createElement("li");
    line.className = `line ${who}`;
    const name = document.createElement("span");
    name.className = "hidden";
    name.textContent = who === "note" ? "" : `${who}: `;
    const said = document.createElement("span");
    said.textContent = text;
    line.append(name, said);
    this.list.append(line);
    this.list.scrollTop = this.list.scrollHeight;
    return said;
  }

  // What the visitor writes next; null if the dialogue is over before.
  text() {
    if (this.written === null) return this.wait();
    const { written } = this;
    this.written = null;
    return Promise.resolve(written);
  }

  // Whether the visitor finds the answer right; null if the dialogue is over before.
  async judged() {
    const holdsFocus = this.form.contains(document.activeElement);
    this.verdict.hidden = false;
    if (holdsFocus) this.verdict.querySelector("button").focus();
    const isRight = await this.wait();
    const hadFocus = this.verdict.contains(document.activeElement);
    this.verdict.hidden = true;
    if (hadFocus) this.form.querySelector("input").focus();
    return isRight;
  }

  // To whoever waits, or to the next one who does.
  give(value) {
    const { waiting } = this;
    this.waiting = null;
    if (waiting) waiting(value);
    else this.written = value;
  }

  wait() {
    return new Promise((resolve) => {
      this.waiting = resolve;
    });
  }
}
