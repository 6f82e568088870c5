"""Model files: manifest, download, check and ONNX sessions."""
