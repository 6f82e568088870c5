/* Picture files: a picture is drawn again before it leaves the browser, smaller and the right way up. Its metadata, such as the
 * place where it was taken, stays behind. An image element and a canvas: older Safari ignores the orientation elsewhere. */
(() => {
  "use strict";
  const SIDE_PX = 1024;
  const FINE_SIDE_PX = 1568; // small print
  const QUALITY = 0.8;
  const MIN_QUALITY = 0.5;
  const SMALLER = 0.8; // step of the side, when the file is too large at the lowest quality
  const MIN_SIDE_PX = 256;
  const { bytes: maxBytes } = window.voicePictureSettings;

  const draw = (image, side) => {
    const scale = Math.min(1, side / Math.max(image.naturalWidth, image.naturalHeight));
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(image.naturalWidth * scale));
    canvas.height = Math.max(1, Math.round(image.naturalHeight * scale));
    const context = canvas.getContext("2d");
    context.fillStyle = "#fff"; // behind transparency
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.imageSmoothingQuality = "high";
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    return canvas;
  };
  const toBlob = (canvas, quality) => new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", quality));

  /** Return the picture in `file` as a JPEG within the server's limit. Throws where the browser cannot show it. */
  window.voiceEncodePicture = async (file, isFine) => {
    const url = URL.createObjectURL(file);
    try {
      const image = new Image();
      image.src = url;
      await image.decode();
      for (let side = isFine ? FINE_SIDE_PX : SIDE_PX; side >= MIN_SIDE_PX; side *= SMALLER) {
        const canvas = draw(image, side);
        for (let quality = QUALITY; quality >= MIN_QUALITY; quality -= 0.15) {
          const blob = await toBlob(canvas, quality);
          if (!blob) throw new Error("no canvas");
          if (blob.size <= maxBytes) return blob;
        }
      }
      throw new Error("too large");
    } finally {
      URL.revokeObjectURL(url);
    }
  };
  /** Return the image files of a paste or a drop. */
  window.voiceImageFiles = (transfer) => [...(transfer?.files ?? [])].filter((file) => file.type.startsWith("image/"));
})();
