/* Dialogs of pictures: choosing or taking one, its details before it is sent, and a larger view of one in the conversation. */
(() => {
  "use strict";
  const text = window.voiceTexts;
  const pictures = window.voicePictures;
  const TYPES = "image/jpeg,image/png,image/webp"; // iPhones then hand over JPEG
  const PREVIEW_PX = 1920;
  const SHUTTER_QUALITY = 0.92;
  const create = (name, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(name), properties);
    element.append(...children);
    return element;
  };
  const createButton = (label, onclick, icon = "") => {
    const button = create("button", { type: "button", className: "button soft", onclick });
    if (icon) button.append(create("i", { className: `icon picture-icon ${icon}` }));
    button.append(label);
    return button;
  };

  // ---------------------------------------------------------------- files and the camera
  const choose = (fromCamera) => {
    const tab = pictures.currentTab();
    const input = create("input", { type: "file", accept: TYPES, multiple: !fromCamera });
    if (fromCamera) input.setAttribute("capture", "environment");
    input.onchange = () => pictures.add(tab, input.files);
    input.click();
  };
  /** Open a camera. Scripts of calls replace `getUserMedia` of the page for the microphone; the browser's own is meant here. */
  const openCamera = () =>
    MediaDevices.prototype.getUserMedia.call(navigator.mediaDevices, {
      video: { facingMode: "environment", width: { ideal: PREVIEW_PX } },
    });
  const stop = (stream) => stream?.getTracks().forEach((track) => track.stop());
  const shoot = async (video) => {
    const canvas = create("canvas", { width: video.videoWidth, height: video.videoHeight });
    canvas.getContext("2d").drawImage(video, 0, 0);
    return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", SHUTTER_QUALITY));
  };
  const showCamera = window.voiceCreateDialog("camera-dialog", "picture_camera", (body, dialog) => {
    const tab = pictures.currentTab();
    const video = create("video", { autoplay: true, muted: true, playsInline: true });
    const status = create("p", { textContent: text.camera_opening });
    status.setAttribute("role", "status");
    const shutter = createButton(text.camera_shutter, async () => {
      const shot = await shoot(video);
      dialog.close();
      if (shot) pictures.add(tab, [shot]);
    });
    shutter.id = "camera-shutter";
    shutter.disabled = true;
    body.replaceChildren(video, status, shutter);
    let stream = null;
    let isClosed = false;
    dialog.addEventListener("close", () => {
      isClosed = true;
      stop(stream);
      video.srcObject = null;
      body.replaceChildren();
    }, { once: true });
    openCamera().then(
      (opened) => {
        if (isClosed) return stop(opened);
        stream = opened;
        video.srcObject = opened;
        video.onloadeddata = () => {
          status.textContent = "";
          shutter.disabled = false;
          shutter.focus();
        };
      },
      (error) => {
        status.textContent = error.name === "NotAllowedError" ? text.camera_refused : text.camera_missing;
      },
    );
  });
  const hasDesktopCamera = () => matchMedia("(pointer: fine)").matches && Boolean(navigator.mediaDevices);
  const showSources = window.voiceCreateDialog("picture-dialog", "picture_add", (body, dialog) => {
    const leave = (next) => () => {
      dialog.close();
      next();
    };
    body.replaceChildren(
      create("div", { className: "picture-sources" },
        createButton(text.picture_choose, leave(() => choose(false)), "picture"),
        createButton(text.picture_camera, leave(() => (hasDesktopCamera() ? showCamera() : choose(true))), "camera")),
      create("p", { className: "picture-hint", textContent: text.picture_hint }),
    );
  });
  document.addEventListener("click", ({ target }) => {
    if (target instanceof Element && target.closest("#voice-picture, #text-picture")) showSources();
  });

  // ---------------------------------------------------------------- details and the larger view
  let shown = null; // { tab, draft }
  const showDetails = window.voiceCreateDialog("picture-details", "picture_details", (body, dialog) => {
    const { tab, draft } = shown;
    const alt = create("input", { type: "text", id: "picture-alt", maxLength: 300, value: draft.alt });
    alt.oninput = () => (draft.alt = alt.value.trim());
    const fine = create("input", { type: "checkbox", id: "picture-fine", checked: draft.isFine, disabled: !draft.file });
    fine.onchange = () => {
      draft.isFine = fine.checked;
      if (draft.state === "ready") pictures.prepareAgain(tab, draft); // else the upload that runs notices
    };
    body.replaceChildren(
      create("img", { className: "picture-large", src: draft.url, alt: draft.alt }),
      create("label", { htmlFor: "picture-alt", textContent: text.picture_alt }),
      alt,
      create("label", { className: "picture-fine" }, fine, create("span", { textContent: text.picture_fine })),
    );
    dialog.addEventListener("close", () => pictures.render(tab), { once: true });
  });
  let viewed = null;
  const showLarge = window.voiceCreateDialog("picture-view", "picture_view", (body) => {
    body.replaceChildren(
      create("img", { className: "picture-large", src: viewed.src, alt: viewed.alt }),
      create("p", { textContent: viewed.alt }),
    );
  });
  document.addEventListener("click", ({ target }) => {
    const picture = target instanceof Element && target.closest("#voice-chat .picture, #text-chat .picture");
    if (!picture) return;
    viewed = picture.querySelector("img");
    if (viewed) showLarge();
  });
  window.voicePictureDialogs = {
    showDetails: (tab, draft) => {
      shown = { tab, draft };
      showDetails();
    },
  };
})();
