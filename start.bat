@echo off
rem Starts the app from a fresh clone, on Windows. start.sh does the same on Linux and macOS.
setlocal
cd /d "%~dp0"
set "PY="
for %%V in (3.12 3.11) do (
  if not defined PY (
    py -%%V -c "" >nul 2>nul && set "PY=py -%%V"
  )
)
if not defined PY (
  python -c "import sys; raise SystemExit(not (3, 11) <= sys.version_info[:2] < (3, 13))" >nul 2>nul && set "PY=python"
)
if not defined PY (
  echo Python 3.11 or 3.12 is needed and was not found. Install it from python.org, then run start.bat again.
  exit /b 1
)
.venv\Scripts\python -m pip --version >nul 2>nul
if errorlevel 1 (
  echo Creating .venv
  if exist .venv rmdir /s /q .venv
  %PY% -m venv .venv || exit /b 1
)
fc /b requirements.txt .venv\requirements.installed >nul 2>nul
if errorlevel 1 (
  echo Installing packages from requirements.txt
  .venv\Scripts\python -m pip install --quiet --disable-pip-version-check -r requirements.txt || exit /b 1
  copy /y requirements.txt .venv\requirements.installed >nul
)
.venv\Scripts\python -c "from voicechat.config.settings import ServerKind, Settings; raise SystemExit(Settings.load().server_kind != ServerKind.OFFLINE)" 2>nul
if not errorlevel 1 (
  .venv\Scripts\python -m offline.models fetch || exit /b 1
)
.venv\Scripts\python app.py
