// Lists that the API answers page by page, newest first.

import { useCallback, useEffect, useRef, useState } from "../vendor/preact/preact.js";
import { readPage } from "./api.js";
import { apiError, lastUpdate, useLive, useOutdated } from "./store.js";

const SOON_MS = 400;
const RETRY_MS = 3_000;

/**
 * Read the list at `path` and keep its first page current: `{ items, error, hasMore, more, refresh }`.
 *
 * `items` is null before the first answer. The first page is read again `every` ms, after missed messages, and soon
 * after live messages for which `on(messages)` is true; `more()` reads the next one. `isAfter(item, other)` says which
 * of two comes later in the list: what a new first page pushes onto the second stays.
 */
export function usePages(path, { every = 0, on = null, isAfter }) {
  const [state, setState] = useState({ path: null, items: null, next: null, error: null });
  const wanted = useRef(path);
  const timer = useRef(0);
  wanted.current = path;

  const refresh = useCallback(async () => {
    clearTimeout(timer.current);
    const asked = wanted.current;
    if (asked === null) return;
    let wait = every;
    try {
      const page = await readPage(asked);
      lastUpdate.set(Date.now());
      apiError.set(null);
      if (wanted.current === asked) setState((last) => mergePage(last, asked, page, isAfter));
    } catch (error) {
      wait = RETRY_MS;
      const isUnavailable = error.status === 0 || error.status >= 500;
      if (isUnavailable) apiError.set(error);
      if (wanted.current === asked)
        setState((last) => (isUnavailable ? { ...last, error } : { path: asked, items: null, next: null, error }));
      if (!isUnavailable) return;
    }
    if (wait && wanted.current === asked) timer.current = setTimeout(refresh, wait);
  }, [every]);

  useEffect(() => {
    refresh();
    return () => clearTimeout(timer.current);
  }, [path, refresh]);
  useOutdated(refresh);
  useLive((messages) => {
    if (!on?.(messages)) return;
    clearTimeout(timer.current);
    timer.current = setTimeout(refresh, SOON_MS);
  });

  const more = async () => {
    const page = await readPage(state.next);
    setState((last) =>
      last.next === state.next ? { ...last, items: [...last.items, ...page.items], next: page.next } : last,
    );
  };
  return { items: state.items, error: state.error, hasMore: state.next !== null, more, refresh };
}

function mergePage(last, path, { items, next }, isAfter) {
  const end = items.at(-1);
  const older = last.path === path && last.items && end ? last.items.filter((item) => isAfter(item, end)) : [];
  return older.length
    ? { path, items: [...items, ...older], next: last.next, error: null }
    : { path, items, next, error: null };
}
