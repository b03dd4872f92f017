// What comes live about the bot that is shown.

import { mergeMetrics } from "../app/metrics.js";
import { isBefore, useLive } from "../app/store.js";
import { useEffect, useMemo, useRef, useState } from "../vendor/preact/preact.js";

const RENDER_MS = 1_000; // live values change at most once a second
const KEPT_RECORDS = 4_000;

/**
 * Return a bot's figures with what came live since they were read, and its live equity as points [ms, value]. They
 * change at most once a second.
 */
export function useLiveBot(name, detail) {
  const records = useRef([]);
  const [drawn, draw] = useState(0);
  const timer = useRef(0);
  useEffect(() => {
    records.current = [];
    return () => clearTimeout(timer.current);
  }, [name]);
  useLive((messages) => {
    const own = messages.filter(({ type, record }) => type === "record" && record.bot === name);
    if (!own.length) return;
    records.current = [...records.current, ...own.map(({ record }) => record)].slice(-KEPT_RECORDS);
    if (timer.current) return;
    timer.current = setTimeout(() => {
      timer.current = 0;
      draw((last) => last + 1);
    }, RENDER_MS);
  });
  return useMemo(() => {
    const figures = detail && records.current.reduce(applyRecord, detail.performance);
    const points = records.current
      .filter(({ kind }) => kind === "equity")
      .map(({ timestamp, equity }) => [Date.parse(timestamp), equity]);
    return [figures, points];
  }, [detail, drawn, name]);
}

const OPERATORS = ["retired", "expected"];

/** Return a bot with a live record merged into it; one that is not newer changes nothing. */
export function applyRecord(bot, record) {
  if (record.kind === "heartbeat" && OPERATORS.includes(record.status)) {
    return { ...bot, retired: record.status === "retired" };
  }
  const merged = record.kind === "performance" ? mergeMetrics(bot, record, isBefore) : { ...bot };
  if (record.source !== "computed" && !isBefore(record.timestamp, bot.lastSeen)) {
    merged.lastSeen = record.timestamp;
    merged.retired = false;
  }
  if (record.kind === "event" && !isBefore(record.timestamp, bot.lastEvent?.timestamp)) {
    merged.lastEvent = { text: "", level: "info", ...record };
  }
  if (record.kind === "equity" && !isBefore(record.timestamp, bot.equityAt)) {
    Object.assign(merged, { equity: record.equity, equityAt: record.timestamp });
  }
  const time = { order: "lastOrderAt", fill: "lastFillAt", heartbeat: "lastHeartbeatAt" }[record.kind];
  if (time && !isBefore(record.timestamp, bot[time])) merged[time] = record.timestamp;
  if (record.kind === "metric") {
    const { name, value, unit = "", timestamp, labels = {} } = record;
    if (!isBefore(timestamp, bot.metrics[name]?.timestamp)) {
      merged.metrics = { ...bot.metrics, [name]: { ...bot.metrics[name], value, unit, timestamp, labels } };
    }
  }
  return merged;
}
