@echo off
rem Starts the app from a fresh clone, on Windows. start.sh does the same on Linux and macOS.
setlocal
cd /d "%~dp0"
set "PY="
rem An intact environment needs no other Python.
.venv\Scripts\python -c "import pip, sys; raise SystemExit(not (3, 11) <= sys.version_info[:2] <= (3, 13))" >nul 2>nul && set "PY=.venv\Scripts\python"
for %%V in (3.12 3.11 3.13) do (
  if not defined PY (
    py -%%V -c "" >nul 2>nul && set "PY=py -%%V"
  )
)
if not defined PY (
  python -c "import sys; raise SystemExit(not (3, 11) <= sys.version_info[:2] <= (3, 13))" >nul 2>nul && set "PY=python"
)
if not defined PY (
  echo Python 3.11, 3.12 or 3.13 is needed and was not found. Install it from python.org, then run start.bat again.
  exit /b 1
)
%PY% -m scripts.environment .venv requirements.txt || exit /b 1
.venv\Scripts\python -m scripts.start
