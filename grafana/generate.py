"""`python -m grafana.generate` writes grafana/dashboards/*.json from the modules beside this one."""

import json
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from grafana import alerts, bot, checks, desk, execution, hosts, itself
from grafana.builders import Board

BOARDS: tuple[Board, ...] = (
    desk.BOARD, bot.BOARD, execution.BOARD, hosts.BOARD, checks.BOARD, alerts.BOARD, itself.BOARD,
)  # fmt: skip
FOLDER = Path(__file__).parent / "dashboards"


def encode(board: Board) -> str:
    """Return the content of a dashboard's file."""
    return json.dumps(board.build(), cls=JSONEncoder, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write a file for each dashboard, and remove those of dashboards that are gone."""
    FOLDER.mkdir(exist_ok=True)
    wanted = {FOLDER / f"{board.name}.json": board for board in BOARDS}
    for path in set(FOLDER.glob("*.json")) - set(wanted):
        path.unlink()
    for path, board in wanted.items():
        path.write_text(encode(board), encoding="utf-8")
        print(path)


if __name__ == "__main__":
    main()
