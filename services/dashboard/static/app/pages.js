// Lists that the API answers page by page.

import { useRef, useState } from "../vendor/preact/preact.js";
import { readPage, useApi } from "./api.js";

const NOTHING = { path: null, first: null, items: null, next: null };

/**
 * Read the list at `path` and keep its first page current, as `useApi` does: `{ items, error, hasMore, more, refresh }`.
 *
 * `items` is null before the first answer; `more()` adds the next page. `isAfter(item, other)` says which of two comes
 * later in the list: what new items push off the first page stays.
 */
export function usePages(path, { isAfter, ...options }) {
  const { data, next, error, isLoading, refresh } = useApi(path, options);
  const shown = useRef(NOTHING);
  const [, draw] = useState(0);
  if (!isLoading && data !== shown.current.first)
    shown.current = addFirst(shown.current, { path, data, next }, isAfter);
  const more = async () => {
    const before = shown.current;
    const page = await readPage(before.next);
    if (shown.current.path !== before.path || shown.current.next !== before.next) return;
    shown.current = { ...shown.current, items: [...shown.current.items, ...page.items], next: page.next };
    draw((last) => last + 1);
  };
  const { items, next: following } = shown.current;
  return { items, error, hasMore: following !== null, more, refresh };
}

function addFirst(last, { path, data, next }, isAfter) {
  const end = data?.at(-1);
  const older = last.path === path && last.items && end ? last.items.filter((item) => isAfter(item, end)) : [];
  return { path, first: data, items: data && [...data, ...older], next: older.length ? last.next : next };
}
