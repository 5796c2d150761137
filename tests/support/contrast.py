"""The worst contrast of a page's text, computed in the browser."""

# WCAG 2.2, 1.4.3: relative luminance of each text's colour against the nearest background that is not transparent.
CONTRAST = """() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const light = (colour) => rgb(colour).slice(0, 3)
    .map((c) => linear(c / 255)).reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const clear = (element) => /, 0\\)$|transparent/.test(getComputedStyle(element).backgroundColor);
  let worst = { ratio: 99 };
  for (const element of document.querySelectorAll("body *")) {
    const texts = [...element.childNodes].filter((node) => node.nodeType === 3 && node.textContent.trim());
    if (!texts.length || !element.checkVisibility() || element.closest("svg, .hidden, .skip, script")) continue;
    let behind = element;
    while (behind.parentElement && clear(behind)) behind = behind.parentElement;
    const colours = [getComputedStyle(element).color, getComputedStyle(behind).backgroundColor];
    const [a, b] = colours.map(light).sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const name = element.tagName + "." + element.className;
    if (ratio < worst.ratio) worst = { ratio, text: element.textContent.slice(0, 40), name };
  }
  return worst;
}"""
