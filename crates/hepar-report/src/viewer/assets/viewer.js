// Shows the scene of the page in NiiVue: three planes with the labels, and the surfaces in three dimensions.
(() => {
  "use strict";

  const root = document.getElementById("viewer");
  const status = document.getElementById("viewer-status");
  const position = document.getElementById("viewer-position");
  const tissues = ["outside of the liver", "liver", "tumour"];

  // What is missing is said; everything else on the page works without the viewer.
  const refuse = (reason) => {
    root.hidden = true;
    for (const button of document.querySelectorAll("button[data-lesion]")) {
      const card = document.getElementById("lesion-" + button.dataset.lesion);
      if (card) button.addEventListener("click", () => card.scrollIntoView());
      else button.replaceWith(...button.childNodes);
    }
    status.textContent = reason;
    status.hidden = false;
  };

  const bytes = async (text) => {
    const packed = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  };

  const image = async (scene, name, voxels, scaling) => {
    const { NVImage } = niivue;
    const file = NVImage.createNiftiArray(scene.shape, scene.spacing, scene.affine, 2, voxels);
    const header = new DataView(file.buffer, file.byteOffset, 352);
    // scl_slope and scl_inter of NIfTI-1.
    header.setFloat32(112, scaling[0], true);
    header.setFloat32(116, scaling[1], true);
    const buffer = file.buffer.slice(file.byteOffset, file.byteOffset + file.byteLength);
    return NVImage.new(buffer, name + ".nii", "gray");
  };

  // The voxels of a label that have a face to another one. Between thick slices that would be whole areas.
  const borders = ({ shape: [ni, nj, nk], spacing }, labels) => {
    const outline = new Uint8Array(labels.length);
    const isThin = spacing[2] < 2.5;
    const steps = isThin ? [1, ni, ni * nj] : [1, ni];
    for (let n = 0, k = 0; k < nk; k += 1) {
      for (let j = 0; j < nj; j += 1) {
        for (let i = 0; i < ni; i += 1, n += 1) {
          const label = labels[n];
          if (label === 0) continue;
          const inner = i > 0 && j > 0 && i < ni - 1 && j < nj - 1 && (!isThin || (k > 0 && k < nk - 1));
          // The liver goes on beneath its tumours.
          const differs = (m) => (label === 1 ? labels[m] === 0 : labels[m] !== 2);
          if (!inner || steps.some((step) => differs(n - step) || differs(n + step))) outline[n] = label;
        }
      }
    }
    return outline;
  };

  const overlay = async (scene, name, voxels, opacity) => {
    const volume = await image(scene, name, voxels, [1, 0]);
    volume.setColormapLabel({
      R: [0, 86, 213], G: [0, 180, 94], B: [0, 233, 0], A: [0, 255, 255], I: [0, 1, 2], labels: tissues,
    });
    volume.opacity = opacity;
    return volume;
  };

  // NiiVue follows a finger that moves; a tap becomes the click that it stands for.
  const passTapsOn = (canvas) => {
    let begin = null;
    canvas.addEventListener("touchstart", (event) => {
      const [{ clientX, clientY }] = event.touches;
      begin = event.touches.length === 1 ? { clientX, clientY, time: event.timeStamp } : null;
    }, { passive: true });
    canvas.addEventListener("touchend", (event) => {
      const [{ clientX, clientY }] = event.changedTouches;
      const isTap = begin && event.timeStamp - begin.time < 500 &&
        Math.hypot(clientX - begin.clientX, clientY - begin.clientY) < 10;
      begin = null;
      if (!isTap) return;
      for (const kind of ["mousedown", "mouseup"]) {
        canvas.dispatchEvent(new MouseEvent(kind, { clientX, clientY, button: 0, bubbles: true, cancelable: true }));
      }
    });
  };

  const openPlanes = async (scene) => {
    const planes = new niivue.Niivue({
      isRadiologicalConvention: true,
      sagittalNoseLeft: true,
      multiplanarShowRender: niivue.SHOW_RENDER.NEVER,
      multiplanarEqualSize: false,
      multiplanarPadPixels: 4,
      crosshairColor: [0.94, 0.89, 0.26, 0.8],
      crosshairWidth: 1.5,
      crosshairWidthUnit: "mm",
      crosshairGap: 8,
      fontColor: [0.93, 0.94, 0.95, 1],
      backColor: [0.06, 0.07, 0.09, 1],
      scrollRequiresFocus: true,
      dragAndDropEnabled: false,
      viewModeHotKey: "",
      clipPlaneHotKey: "",
      logLevel: "error",
      loadingText: "",
    });
    planes.setSliceType(niivue.SLICE_TYPE.MULTIPLANAR);
    const canvas = document.getElementById("viewer-planes");
    await planes.attachToCanvas(canvas, false);
    passTapsOn(canvas);
    const labels = await bytes(scene.labels);
    planes.addVolume(await image(scene, "ct", await bytes(scene.ct), scene.scaling));
    planes.addVolume(await overlay(scene, "labels", labels, 0.35));
    planes.addVolume(await overlay(scene, "outlines", borders(scene, labels), 0));
    return planes;
  };

  const openBody = async (scene) => {
    const body = new niivue.Niivue({
      backColor: [0.06, 0.07, 0.09, 1],
      fontColor: [0.93, 0.94, 0.95, 1],
      crosshairColor: [0.94, 0.89, 0.26, 0.8],
      crosshairWidth: 1,
      show3Dcrosshair: true,
      isOrientCube: true,
      scrollRequiresFocus: true,
      dragAndDropEnabled: false,
      viewModeHotKey: "",
      clipPlaneHotKey: "",
      logLevel: "error",
      loadingText: "",
    });
    body.setSliceType(niivue.SLICE_TYPE.RENDER);
    await body.attachToCanvas(document.getElementById("viewer-body"), true);
    for (const mesh of scene.meshes) {
      const [points, triangles] = [await bytes(mesh.points), await bytes(mesh.triangles)];
      const colour = new Uint8Array([...mesh.colour, 255]);
      const surface = new niivue.NVMesh(
        new Float32Array(points.buffer), new Uint32Array(triangles.buffer), mesh.name, colour, mesh.opacity, true, body.gl,
      );
      body.addMesh(surface);
    }
    body.setRenderAzimuthElevation(200, 12);
    return body;
  };

  const open = async () => {
    if (!document.createElement("canvas").getContext("webgl2")) {
      refuse("The interactive viewer is missing: this browser offers no WebGL 2. All pictures and tables are below.");
      return;
    }
    if (typeof DecompressionStream === "undefined") {
      refuse("The interactive viewer is missing: this browser is older than 2023. All pictures and tables are below.");
      return;
    }
    const scene = JSON.parse(document.getElementById("scene").textContent);
    root.hidden = false;
    const planes = await openPlanes(scene);
    const body = scene.meshes.length > 0 ? await openBody(scene) : null;
    if (!body) document.getElementById("viewer-body").parentElement.hidden = true;

    const tell = (location) => {
      const [x, y, z] = location.mm;
      const side = (value, plus, minus) => Math.abs(value).toFixed(0) + " mm " + (value < 0 ? minus : plus);
      const [hu, label] = location.values.map((entry) => Math.round(entry.value));
      position.textContent =
        side(x, "right", "left") + ", " + side(y, "anterior", "posterior") + ", " + side(z, "superior", "inferior") +
        ": " + hu + " HU, " + (tissues[label] ?? tissues[0]);
      if (body) {
        body.scene.crosshairPos = body.mm2frac(location.mm.slice(0, 3));
        body.drawScene();
      }
      root.dataset.at = [x, y, z].map((value) => value.toFixed(1)).join(" ");
    };
    planes.onLocationChange = tell;

    const go = (point) => {
      // Without the last argument NiiVue takes the grid for one along the axes, and misses in an oblique one.
      planes.scene.crosshairPos = planes.mm2frac(point, 0, true);
      planes.drawScene();
      planes.createOnLocationChange();
    };
    const centre = (id) => scene.lesions.find((lesion) => lesion.id === id)?.at;
    for (const button of document.querySelectorAll("button[data-lesion]")) {
      button.addEventListener("click", () => {
        const point = centre(Number(button.dataset.lesion));
        if (!point) return;
        go(point);
        root.scrollIntoView({ block: "nearest" });
      });
    }

    const window_ = document.getElementById("viewer-window");
    const show = () => {
      const [low, high] = window_.value.split(" ").map(Number);
      [planes.volumes[0].cal_min, planes.volumes[0].cal_max] = [low, high];
      planes.updateGLVolume();
    };
    window_.addEventListener("change", show);
    show();
    const opacity = document.getElementById("viewer-opacity");
    const outline = document.getElementById("viewer-outline");
    const tint = () => {
      const share = Number(opacity.value) / 100;
      planes.volumes[1].opacity = outline.checked ? 0 : share;
      // Thin lines need more of their colour.
      planes.volumes[2].opacity = outline.checked ? Math.min(1, 2 * share) : 0;
      planes.updateGLVolume();
    };
    opacity.addEventListener("input", tint);
    outline.addEventListener("change", tint);

    const steps = {
      ArrowLeft: [-1, 0, 0], ArrowRight: [1, 0, 0], ArrowUp: [0, 1, 0], ArrowDown: [0, -1, 0],
      PageUp: [0, 0, 1], PageDown: [0, 0, -1],
    };
    planes.canvas.addEventListener("keydown", (event) => {
      const step = steps[event.key];
      if (!step) return;
      event.preventDefault();
      // The patient's right is on the left: towards the left of the picture is towards the patient's right, +x.
      planes.moveCrosshairInVox(-step[0], step[1], step[2]);
    });
    body?.canvas.addEventListener("keydown", (event) => {
      const turn = { ArrowLeft: [-5, 0], ArrowRight: [5, 0], ArrowUp: [0, 5], ArrowDown: [0, -5] }[event.key];
      if (!turn) return;
      event.preventDefault();
      body.setRenderAzimuthElevation(body.scene.renderAzimuth + turn[0], body.scene.renderElevation + turn[1]);
    });

    go(scene.start);
    root.dataset.ready = "yes";
  };

  open().catch((error) => refuse("The interactive viewer did not start: " + error.message));
})();
