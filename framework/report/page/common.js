// What the page's scripts share. The build puts common.js, story.js and board.js into one function, in that order.
// Whatever comes from rows is put in as text, never as markup; markup comes from the program alone, which escaped it.
'use strict';

const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const one = (selector, root = document) => root.querySelector(selector);
const make = (name, attributes = {}, ...children) => {
  const made = name.startsWith('svg:') ? document.createElementNS('http://www.w3.org/2000/svg', name.slice(4)) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === 'onclick') made.addEventListener('click', value);
    else if (value !== undefined && value !== false) made.setAttribute(key, value === true ? '' : value);
  }
  made.append(...children.flat().filter((child) => child !== undefined && child !== null));
  return made;
};

// Packed data: JSON, deflated, as base64 in an element of its id.
const unpacked = new Map();
const unpack = (id) => {
  if (!unpacked.has(id)) {
    unpacked.set(id, (async () => {
      const bytes = Uint8Array.from(atob(one('#' + id).textContent), (letter) => letter.charCodeAt(0));
      const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'));
      return JSON.parse(await new Response(stream).text());
    })());
  }
  return unpacked.get(id);
};
const save = (name, type, text) => {
  const link = make('a', { href: URL.createObjectURL(new Blob([text], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
};

const theme = one('#theme');
const themes = ['auto', 'light', 'dark'];
const show_theme = (name) => {
  if (name === 'auto') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  theme.textContent = 'Theme: ' + name;
  theme.dataset.name = name;
};
theme.hidden = false;
show_theme('auto');
theme.addEventListener('click', () => show_theme(themes[(themes.indexOf(theme.dataset.name) + 1) % 3]));
