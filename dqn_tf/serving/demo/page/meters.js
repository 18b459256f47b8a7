// What is read beside the game: Q-values as bars, answer times, returns of episodes.

const MOST_TIMES = 200;
const SPARK_TIMES = 120;
const MOST_EPISODES = 60;

export class Bars {
  constructor(list, how) {
    this.list = list;
    this.how = how;
    this.rows = [];
  }

  // A row for each action.
  reset(names) {
    this.low = 0;
    this.high = 0;
    this.rows = names.map((name) => {
      const row = element("li", "bar");
      const [label, track, value] = [element("span", "bar-name", name), element("span", "track"), element("output", "bar-value", "–")];
      const fill = element("span", "fill");
      track.setAttribute("aria-hidden", "true");
      track.append(fill);
      row.append(label, value, track);
      return { row, fill, value };
    });
    this.list.replaceChildren(...this.rows.map(({ row }) => row));
  }

  // From 0 to each value; the scale only grows, so that bars can be compared from step to step.
  show(values, greedy, chosen) {
    this.low = Math.min(this.low, ...values);
    this.high = Math.max(this.high, ...values);
    const span = this.high - this.low || 1;
    values.forEach((value, action) => {
      const { row, fill, value: output } = this.rows[action];
      const [from, to] = [Math.min(0, value), Math.max(0, value)];
      fill.style.left = `${((from - this.low) / span) * 100}%`;
      fill.style.width = `${((to - from) / span) * 100}%`;
      output.value = signed(value.toFixed(2));
      row.classList.toggle("greedy", action === greedy);
      row.classList.toggle("chosen", action === chosen);
    });
    const { row } = this.rows[chosen]; // a long list shows it
    this.list.scrollTop = row.offsetTop - (this.list.clientHeight - row.offsetHeight) / 2;
    // Below 0 where the best of all is not to be chosen: not legal, or not supported by the data.
    const lead = values[greedy] - Math.max(...[...values].filter((_, action) => action !== greedy));
    const how = lead < 0 ? "greedy, of those to choose from" : `greedy, ahead by ${lead.toFixed(2)}`;
    this.how.textContent = chosen === greedy ? how : "explores";
    this.how.classList.toggle("explores", chosen !== greedy);
  }
}

export class Times {
  constructor(last, middle, count, spark) {
    Object.assign(this, { last, middle, count, line: spark.querySelector("polyline"), times: [], total: 0 });
  }

  add(milliseconds) {
    this.times.push(milliseconds);
    if (this.times.length > MOST_TIMES) this.times.shift();
    this.total += 1;
  }

  show() {
    if (!this.times.length) return;
    const middle = median(this.times);
    this.last.value = this.times.at(-1).toFixed(1);
    this.middle.value = middle.toFixed(1);
    this.count.value = this.total.toLocaleString("en");
    const top = middle * 3;
    const shown = this.times.slice(-SPARK_TIMES);
    const points = shown.map((time, index) => `${index},${(27 - (Math.min(time, top) / top) * 26).toFixed(1)}`);
    this.line.setAttribute("points", points.join(" "));
  }
}

export class Episodes {
  constructor(list, summary) {
    Object.assign(this, { list, summary, finished: [] });
  }

  reset() {
    this.finished = [];
    this.list.replaceChildren();
    this.summary.textContent = "none finished yet";
  }

  add(episode) {
    this.finished.push(episode);
    const { number, total, version, maximum, ending } = episode;
    const item = element("li", "episode");
    const before = this.finished.at(-2);
    if (before && before.version !== version) item.classList.add("changed");
    // Returns below zero hang as far below full as they are.
    const share = total >= 0 ? total / maximum : Math.max(0, 1 + total / maximum);
    const bar = element("span", "column");
    bar.style.height = `${Math.max(2, share * 100)}%`;
    const text = `Episode ${number}: return ${signed(total)}, version ${version}. ${ending}.`;
    item.title = text;
    item.append(bar, element("span", "hidden", text));
    if (!before || before.version !== version) item.append(element("span", "since", `v${version}`));
    this.list.append(item);
    while (this.list.children.length > MOST_EPISODES) this.list.firstChild.remove();
    this.list.scrollLeft = this.list.scrollWidth;
    const returns = this.finished.map((one) => one.total);
    const mean = returns.reduce((sum, one) => sum + one, 0) / returns.length;
    const best = Math.max(...returns);
    const told = [`${returns.length} finished`, `last ${signed(returns.at(-1))}`, `mean ${signed(mean.toFixed(1))}`, `best ${signed(best)}`];
    this.summary.textContent = told.join(" · ");
  }
}

// With the minus sign of typography.
export function signed(number) {
  return String(number).replace("-", "−");
}

function median(values) {
  const sorted = [...values].sort((one, other) => one - other);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

function element(tag, className, text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}
