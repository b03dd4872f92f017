// The portfolio: all bots as one account, or those with each value of a label, with their curve.

import { read } from "../api.js";
import { curveView } from "../charts.js";
import { $, h, missing, reconcile, setNodes, setText, setTextOrHide } from "../elements.js";
import { dayAndTime, formatMoney, isDefined, number, percent, ratio } from "../format.js";
import { dashboard, now } from "../store.js";

const REFRESH_MS = 300_000; // a point of 30 days is 2 h wide
const DAY_MS = 86_400_000;
const ALL = "All bots";
const signedPercent = (value) => `${number(2, { signDisplay: "exceptZero" })(value)}%`;

const FIGURES = [
  ["totalReturn", "Return", signedPercent, "Chained return over the range; bots that join or leave are flows."],
  ["currentDrawdown", "Drawdown now", percent, "How far the chained return is below its peak."],
  ["maxDrawdown", "Drawdown max", percent, "The deepest drawdown in the range."],
  ["sharpeRatio", "Sharpe", ratio, "Mean over standard deviation of the daily returns, times the root of 365."],
  ["volatility", "Volatility", percent, "Standard deviation of the daily returns, times the root of 365."],
  ["var95", "VaR 95%", percent, "One day's loss that 95% of the daily returns stay under."],
];

let asked = 0;
let lastRead = -Infinity;

/** Show the section where there are several bots, and fetch it every few minutes while the page is visible. */
export function renderPortfolio() {
  const bots = [...dashboard.performance.values()].filter(({ portfolioValue }) => isDefined(portfolioValue));
  $("portfolio").hidden = bots.length < 2;
  if (bots.length > 1 && !document.hidden && Date.now() - lastRead >= REFRESH_MS) refresh();
}

export function connectPortfolio() {
  for (const id of ["portfolio-range", "portfolio-label"]) $(id).addEventListener("change", refresh);
}

/** Fetch the portfolio; an answer that a later request overtook is dropped. */
async function refresh() {
  asked += 1;
  const own = asked;
  lastRead = Date.now();
  const query = new URLSearchParams({ from: Math.floor(now() - Number($("portfolio-range").value) * DAY_MS) });
  if ($("portfolio-label").value) query.set("label", $("portfolio-label").value);
  try {
    const answer = await read(`/portfolio?${query}`);
    if (own !== asked) return;
    show(answer);
    setTextOrHide($("portfolio-fault"), "");
  } catch (error) {
    if (own !== asked) return;
    lastRead = -Infinity; // again with the next snapshot
    setTextOrHide($("portfolio-fault"), `The portfolio could not be read: ${error.message}.`);
  }
}

function show(answer) {
  const { currency, label } = answer;
  renderLabels(answer.labels, label);
  const found = answer.portfolios.map((portfolio) => ({ ...portfolio, currency, label }));
  reconcile($("portfolios"), found, ({ value }) => JSON.stringify([label, value]), portfolioView);
  const names = answer.leftOut.map(({ bot, reason }) => `${bot}: ${reason}`);
  const left = names.length ? `Left out: ${names.slice(0, 3).join(" ")}${names.length > 3 ? " …" : ""}` : "";
  setTextOrHide($("portfolio-note"), [answer.reason, left].filter(Boolean).join(" "));
}

function renderLabels(labels, chosen) {
  const select = $("portfolio-label");
  select.hidden = !labels.length;
  const names = ["", ...labels];
  setNodes(select, JSON.stringify(names), () =>
    names.map((name) => h("option", { value: name }, name ? `by ${name}` : ALL)),
  );
  select.value = chosen ?? "";
}

function portfolioView() {
  const title = h("h3");
  const count = h("span", { class: "seen" });
  const worth = h("span", { class: "value" });
  const pnl = h("span", { class: "gain" });
  const curve = curveView(dayAndTime);
  const values = FIGURES.map(() => h("dd"));
  const figures = FIGURES.map(([, label, , text], index) =>
    h("div", {}, h("dt", { title: text }, label), values[index]),
  );
  const root = h(
    "article",
    { class: "panel portfolio" },
    h("header", {}, title, count),
    h("p", { class: "worth" }, worth, pnl),
    curve.root,
    h("dl", { class: "figures" }, ...figures),
  );
  return {
    root,
    update(portfolio) {
      const { label, value, currency, bots, points } = portfolio;
      const name = label ? (value ?? `without ${label}`) : ALL;
      setText(title, name);
      setText(count, bots.length === 1 ? "1 bot" : `${bots.length} bots`);
      count.title = bots.join(", ");
      const write = (amount) => formatMoney(amount, currency);
      setFigure(worth, portfolio, "portfolioValue", write, "Portfolio value");
      const sign = Math.sign(portfolio.totalPnL ?? 0);
      pnl.dataset.sign = sign > 0 ? "up" : sign < 0 ? "down" : "none";
      const gain = isDefined(portfolio.totalPnL) ? formatMoney(portfolio.totalPnL, currency, true) : "";
      setText(pnl, gain && `${sign > 0 ? "▲" : sign < 0 ? "▼" : "■"} ${gain}`);
      pnl.title = "P&L over the range, without deposits, withdrawals and bots that joined or left";
      for (const [index, [key, text, format]] of FIGURES.entries()) {
        setFigure(values[index], portfolio, key, format, text);
      }
      curve.show(columnsOf(points, write), {
        title: "Equity",
        name: `Equity of ${name}`,
        none: "No equity in this range",
        ends: points.length ? [points[0], points.at(-1)].map(({ timestamp }) => dayAndTime(timestamp)) : ["", ""],
        write,
      });
    },
  };
}

function setFigure(element, portfolio, key, format, label) {
  const value = portfolio[key];
  const n = portfolio.lowConfidence[key];
  const why = portfolio.undefined[key] ? `${label}: ${portfolio.undefined[key].text}` : `${label}: not known.`;
  const text = isDefined(value) ? `${format(value)}${n ? " ≈" : ""}` : null;
  element.title = n ? `Low confidence: only ${n} daily returns.` : "";
  setNodes(element, text ?? why, () => [text ?? missing(why)]);
}

/** Return the points as columns of a chart; null without any. */
export function columnsOf(points, write) {
  if (!points.length) return null;
  const times = points.map(({ timestamp }) => Date.parse(timestamp));
  const values = points.map(({ equity }) => equity);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const range = low === high ? write(low) : `${write(low)} – ${write(high)}`;
  return { times, values, from: times[0], until: Math.max(times.at(-1), times[0] + 1), low, high, range };
}
