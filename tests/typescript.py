"""The TypeScript client, built and packed once for all tests that need it."""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

from shared.runtime.settings import REPOSITORY
from tests.readme import example
from tests.support import require_program

CLIENT = REPOSITORY / "clients" / "typescript"
COMPILER_OPTIONS = [
    "--strict",
    "--target",
    "ES2022",
    "--module",
    "NodeNext",
    "--moduleResolution",
    "NodeNext",
    "--types",
    "node",
]


def run(*words: str, cwd: Path = CLIENT, **environ: str) -> str:
    """Run a program and return what it printed; an exit code that is not 0 fails with that."""
    done = subprocess.run(
        words,
        cwd=cwd,
        env={**_environ(), **environ},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(words)}: {done.stdout}{done.stderr}"
    return done.stdout


def install_tools() -> None:
    """Install the compiler from the lock, again when that changes; skips where there is no npm."""
    require_program("node")
    npm = require_program("npm")
    with CLIENT.joinpath("package-lock.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several workers may come here
        installed = CLIENT / "node_modules" / ".package-lock.json"
        if not installed.exists() or os.fstat(lock.fileno()).st_mtime > installed.stat().st_mtime:
            run(npm, "ci", "--ignore-scripts")


def install_package(folder: Path) -> None:
    """Pack the client and install it into an empty folder, without anything else."""
    install_tools()
    npm = require_program("npm")
    run(npm, "pack", "--pack-destination", str(folder))
    [packed] = folder.glob("botwatch-*.tgz")
    folder.joinpath("package.json").write_text('{"type": "module", "private": true}', encoding="utf-8")
    run(npm, "install", "--offline", str(packed), cwd=folder)


def run_readme_example(folder: Path, **environ: str) -> str:
    """Compile the README's example as it is printed, in a folder with the package, and run it."""
    folder.joinpath("example.ts").write_text(example("typescript"), encoding="utf-8")
    types = folder / "node_modules" / "@types"
    if not types.exists():
        shutil.copytree(CLIENT / "node_modules" / "@types", types)
        shutil.copytree(CLIENT / "node_modules" / "undici-types", folder / "node_modules" / "undici-types")
    compiler = CLIENT / "node_modules" / ".bin" / "tsc"
    run(str(compiler), *COMPILER_OPTIONS, "example.ts", cwd=folder)
    return run(require_program("node"), "example.js", cwd=folder, **environ)


def _environ() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("BOTWATCH_")}
