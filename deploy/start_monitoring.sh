#!/bin/sh
# Start, stop or show Botwatch in production: start_monitoring.sh --help.
# Finds this repository (also through the link in $BOTWATCH_HOME/enterprise/monitoring) and its Python, and hands over.
set -eu

script=$(readlink -f -- "$0")
repository=$(dirname -- "$(dirname -- "$script")")
called_from=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
case $called_from in
*/enterprise/monitoring) BOTWATCH_HOME=${called_from%/enterprise/monitoring} ;; # the link: its own home
*) BOTWATCH_HOME=${BOTWATCH_HOME:-$repository/var} ;;
esac
case $BOTWATCH_HOME in
/*) ;;
*) BOTWATCH_HOME=$PWD/$BOTWATCH_HOME ;;
esac
export BOTWATCH_HOME
case ${BOTWATCH_CONFIG:-/} in
/*) ;;
*) export BOTWATCH_CONFIG="$PWD/$BOTWATCH_CONFIG" ;;
esac

python=${BOTWATCH_PYTHON:-$repository/.venv/bin/python}
if [ ! -x "$python" ]; then
  case " $* " in
  *" --dry-run "* | *" --help "* | *" -h "* | *" --status "* | *" --stop "*)
    echo "start_monitoring.sh: $python is missing. Run: make -C '$repository' .venv/run" >&2
    exit 1
    ;;
  esac
  if ! command -v make >/dev/null; then
    echo "start_monitoring.sh: make is missing. Run: sudo apt-get install make" >&2
    exit 1
  fi
  make --no-print-directory -C "$repository" .venv/run
fi

cd -- "$repository"
exec "$python" -m services.native.start_monitoring "$@"
