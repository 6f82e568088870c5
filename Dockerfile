# Image of the app with its models: docker build -t voice . && docker run -p 7860:7860 voice
FROM python:3.11-slim

ENV HOST=0.0.0.0 \
    OFFLINE_UPGRADE=false \
    PORT=7860 \
    OFFLINE_MODELS=/opt/models \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1

# libgomp is OpenMP: the language model links it, and the slim image lacks it.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 voice \
    && install --directory --owner voice /opt/models /app

WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt

USER voice
# Files of the download only: a change in other files keeps the layer with the models.
COPY --chown=voice network network
COPY --chown=voice writing writing
COPY --chown=voice offline/__init__.py offline/
COPY --chown=voice offline/models offline/models
RUN python -m offline.models fetch
COPY --chown=voice . .

EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s \
    CMD ["python", "-c", "import os, urllib.request as r; r.build_opener(r.ProxyHandler({})).open(f'http://127.0.0.1:{os.environ[\"PORT\"]}/health', timeout=4)"]
CMD ["python", "app.py"]
