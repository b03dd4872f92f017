// Histories of the API as series of a chart.

const GAP_STEPS = 3;

/** Return [[ms, value], …] with a null where more than three steps are missing, so that no line is drawn there. */
export function withGaps(points) {
  const gaps = points.slice(1).map(([at], index) => at - points[index][0]);
  const usual = gaps.length ? [...gaps].sort((a, b) => a - b)[gaps.length >> 1] : 0;
  return points.flatMap((point, index) =>
    index && gaps[index - 1] > GAP_STEPS * usual ? [[points[index - 1][0] + usual, null], point] : [point],
  );
}
