// One photo, large: wheel or pinch zooms at the pointer, dragging moves it, R turns it.
const LARGEST = 12; // times as large as it fits
const fingers = new Map(); // pointer id -> where it is
let viewed = [], look = 0, zoom = { scale: 1, x: 0, y: 0, turn: 0 };

function openPhoto(list, place) {
  viewed = list;
  showPhoto(place);
  if (!$("photo").open) $("photo").showModal();
  settle();
}
function showPhoto(place) {
  look = (place + viewed.length) % viewed.length;
  const { photo, index } = viewed[look];
  zoom = { scale: 1, x: 0, y: 0, turn: 0 };
  $("large").src = photo.src;
  $("caption").textContent = `${index + 1}. ${summaryOf(photo)}`;
  for (const id of ["photo-before", "photo-after"]) $(id).hidden = viewed.length < 2;
  settle();
}
function settle() { // puts the image where zoom says, never out of its frame
  const image = $("large"), frame = $("stage"), sideways = zoom.turn % 2 !== 0, { naturalWidth: across, naturalHeight: down } = image;
  if (!across) return; // not loaded yet
  const [width, height] = sideways ? [down, across] : [across, down];
  const fit = Math.min(frame.clientWidth / width, frame.clientHeight / height);
  image.style.width = `${across * fit}px`;
  image.style.height = `${down * fit}px`;
  const room = (size, of) => Math.max(0, (size * fit * zoom.scale - of) / 2);
  const within = (value, most) => Math.min(most, Math.max(-most, value));
  zoom.x = within(zoom.x, room(width, frame.clientWidth));
  zoom.y = within(zoom.y, room(height, frame.clientHeight));
  image.style.transform = `translate(calc(-50% + ${zoom.x}px), calc(-50% + ${zoom.y}px)) rotate(${zoom.turn * 90}deg) scale(${zoom.scale})`;
  $("zoom-by").textContent = `${Math.round(zoom.scale * 100)} %`;
  frame.classList.toggle("zoomed", zoom.scale > 1);
}
function zoomBy(factor, at) { // about a point of the window, or the middle
  const box = $("stage").getBoundingClientRect(), middle = { x: box.x + box.width / 2, y: box.y + box.height / 2 };
  const scale = Math.min(LARGEST, Math.max(1, zoom.scale * factor)), by = scale / zoom.scale;
  const x = (at ?? middle).x - middle.x, y = (at ?? middle).y - middle.y;
  zoom = { ...zoom, scale, x: x - (x - zoom.x) * by, y: y - (y - zoom.y) * by };
  settle();
}
function turn(by) {
  zoom = { scale: 1, x: 0, y: 0, turn: zoom.turn + by };
  settle();
}
function fitPhoto() {
  zoom = { ...zoom, scale: 1, x: 0, y: 0 };
  settle();
}
function movePointer(event) {
  const was = fingers.get(event.pointerId);
  if (!was) return;
  const now = { x: event.clientX, y: event.clientY }, other = [...fingers].find(([id]) => id !== event.pointerId)?.[1];
  fingers.set(event.pointerId, now);
  if (other) zoomBy(Math.hypot(now.x - other.x, now.y - other.y) / (Math.hypot(was.x - other.x, was.y - other.y) || 1), { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 });
  else { zoom = { ...zoom, x: zoom.x + now.x - was.x, y: zoom.y + now.y - was.y }; settle(); }
}
$("stage").addEventListener("wheel", (event) => { event.preventDefault(); zoomBy(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), { x: event.clientX, y: event.clientY }); }, { passive: false });
$("stage").addEventListener("pointerdown", (event) => { event.preventDefault(); $("stage").setPointerCapture(event.pointerId); fingers.set(event.pointerId, { x: event.clientX, y: event.clientY }); });
$("stage").addEventListener("pointermove", movePointer);
for (const name of ["pointerup", "pointercancel"]) $("stage").addEventListener(name, (event) => fingers.delete(event.pointerId));
$("stage").addEventListener("dblclick", (event) => (zoom.scale > 1 ? fitPhoto() : zoomBy(3, { x: event.clientX, y: event.clientY })));
$("large").addEventListener("load", settle);
const PHOTO_ACTS = { "photo-before": () => showPhoto(look - 1), "photo-after": () => showPhoto(look + 1), "zoom-out": () => zoomBy(1 / 1.5), "zoom-in": () => zoomBy(1.5), "zoom-fit": fitPhoto, "turn-left": () => turn(-1), "turn-right": () => turn(1) };
for (const [id, act] of Object.entries(PHOTO_ACTS)) $(id).addEventListener("click", act);
const PHOTO_KEYS = { arrowleft: "photo-before", k: "photo-before", arrowright: "photo-after", j: "photo-after", "-": "zoom-out", "+": "zoom-in", "=": "zoom-in", 0: "zoom-fit", r: "turn-right" };
$("photo").addEventListener("keydown", (event) => {
  const act = PHOTO_ACTS[event.shiftKey && event.key === "R" ? "turn-left" : PHOTO_KEYS[event.key.toLowerCase()]];
  if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  act();
});
$("photo").addEventListener("close", () => { fingers.clear(); $("large").removeAttribute("src"); });
