// The story of one cell: an attack on a defense, all seeds of it. Each part is a function from the data to elements.
const dialog = one('#story');

const percent = (value) => (value === null ? 'not finite' : value.toFixed(1));
const shown = (unit, [value, low, high]) => {
  const digits = unit === '%' ? 1 : 2;
  return value === null ? 'not finite' : `${value.toFixed(digits)} (${low.toFixed(digits)}–${high.toFixed(digits)})`;
};
const table = (caption, head, rows) => make('div', { class: 'scroll' }, make('table', { class: 'plain' },
  make('caption', {}, make('span', {}, caption)), make('thead', {}, make('tr', {}, head.map((name) => make('th', { scope: 'col' }, name)))),
  make('tbody', {}, rows.map(([first, ...rest]) => make('tr', {}, make('th', { scope: 'row' }, first), rest.map((text) => make('td', {}, text)))))));

// A line an estimate: pooled, its seeds, and the undefended model for comparison.
const dots = (lines) => {
  const [left, width, step] = [150, 480, 20];
  const x = (value) => left + (width * value) / 100;
  const drawn = lines.map(({ name, figure: [value, low, high], strong }, i) => {
    const y = 14 + i * step;
    return [make('svg:text', { x: left - 10, y: y + 4, class: 'c-end' }, name),
      make('svg:line', { x1: x(low), x2: x(high), y1: y, y2: y, class: 'c-line c-one' }),
      make('svg:circle', { cx: x(value), cy: y, r: strong ? 5 : 3.5, class: strong ? 'c-one' : 'c-one c-open' }),
      make('svg:text', { x: left + width + 14, y: y + 4 }, shown('%', [value, low, high]))];
  });
  const bottom = 14 + lines.length * step;
  const grid = [0, 25, 50, 75, 100].map((value) => [
    make('svg:line', { x1: x(value), x2: x(value), y1: 4, y2: bottom - 8, class: 'c-grid' }),
    make('svg:text', { x: x(value), y: bottom + 6, class: 'c-mid c-muted' }, String(value))]);
  return make('figure', { class: 'chart scroll' }, make('svg:svg', { viewBox: `0 0 760 ${bottom + 12}`, width: 760, role: 'img', 'aria-label': 'Each seed, with its interval' }, grid.flat(), drawn.flat()));
};

const story_parts = {
  head(data, cell, harm) {
    const figure = cell.pooled[data.index.get(harm)];
    const unit = data.metrics[data.index.get(harm)] ? data.metrics[data.index.get(harm)][1] : '';
    const other = data.undefended(cell);
    const base = other && other.pooled[data.index.get(harm)];
    const effect = cell.effects.find(([metric]) => metric === harm);
    const tile = (big, small) => make('div', {}, make('b', {}, big), make('small', {}, small));
    const tiles = [];
    if (figure) tiles.push(tile(shown(unit, figure) + (unit && ` ${unit}`), `${harm}, all seeds`));
    if (base && other !== cell) tiles.push(tile(shown(unit, base) + (unit && ` ${unit}`), 'without the defense'));
    if (effect) tiles.push(tile(effect[7], 'against the undefended model'));
    tiles.push(tile(String(cell.rows), 'rows of the defender’s own'));
    return [make('div', { class: 'tiles' }, tiles)];
  },

  failures(data, cell) {
    const failed = cell.seeds.filter((seed) => seed.status !== 'ok' || seed.message);
    return failed.length === 0 ? [] : [table('What went wrong', ['seed', 'status', 'message'], failed.map((seed) => [String(seed.seed), seed.status, seed.message]))];
  },

  seeds(data, cell, harm) {
    const place = data.index.get(harm);
    const figure = cell.pooled[place];
    if (!figure || data.metrics[place][1] !== '%') return [];
    const base = data.undefended(cell);
    const lines = [{ name: 'all seeds', figure, strong: true }];
    for (const seed of cell.seeds) if (seed.figures[place]) lines.push({ name: `seed ${seed.seed}`, figure: seed.figures[place] });
    if (base && base !== cell && base.pooled[place]) lines.push({ name: 'undefended', figure: base.pooled[place], strong: true });
    return [make('h3', {}, `${harm}, %`), dots(lines)];
  },

  tries(data, cell, harm) {
    const name = data.attacks[cell.attack];
    const sweep = Object.entries(data.tries).find(([, tries]) => tries.includes(name));
    if (!sweep) return [];
    const place = data.index.get(harm);
    const rows = sweep[1].map((attack) => [attack, data.cell(data.attacks.indexOf(attack), cell.defense)]).filter(([, other]) => other).map(([attack, other]) => [
      attack === name ? attack : make('a', { href: '#' + [data.model, data.threat, attack, data.defenses[cell.defense]].map(encodeURIComponent).join('/') }, attack),
      Object.entries(other.tried).map(([key, value]) => `${key} ${value}`).join(', '),
      other.pooled[place] ? shown(data.metrics[place][1], other.pooled[place]) : '-']);
    return [table(`Tries of the sweep ${sweep[0]}`, ['try', 'sets', harm], rows)];
  },

  // Counts over all seeds: value times n of each, which is whole.
  judges(data, cell) {
    const parts = ['safe', 'harmful', 'incoherent'];
    const rows = [];
    for (const judge of data.judges) {
      const counts = parts.map((part) => {
        const place = data.index.get(part + judge);
        return cell.seeds.reduce((sum, seed) => sum + (seed.figures[place] ? Math.round((seed.figures[place][0] * seed.figures[place][3]) / 100) : 0), 0);
      });
      const n = counts.reduce((a, b) => a + b, 0);
      if (n === 0) continue;
      const bar = make('div', { class: 'three', role: 'img', 'aria-label': parts.map((part, i) => `${part} ${counts[i]}`).join(', ') },
        counts.map((count, i) => make('span', { style: `width:${(100 * count) / n}%` }, count / n > 0.12 ? parts[i] : '')));
      rows.push([judge.slice(1), String(counts[0]), String(counts[1]), String(counts[2]), bar]);
    }
    return rows.length === 0 ? [] : [table('Verdicts on replies to harmful probes, all seeds', ['judge', 'safe', 'harmful', 'incoherent', ''], rows)];
  },

  effects(data, cell) {
    const rows = cell.effects.map(([metric, change, low, high, p, noise, detect, word]) => {
      const unit = (data.metrics[data.index.get(metric)] || [])[1];
      const digits = unit === '%' ? 1 : 2;
      const signed = (value) => (value > 0 ? '+' : '') + value.toFixed(digits);
      return [metric, `${signed(change)} (${signed(low)} to ${signed(high)})`, p < 0.001 ? '<0.001' : p.toFixed(3),
        noise === null ? '?' : noise.toFixed(digits), detect.toFixed(digits), word];
    });
    return rows.length === 0 ? [] : [table('What the defense changes, against the undefended model on the same probes and seeds (points)',
      ['metric', 'change', 'Holm p', 'noise', 'detect', 'so'], rows)];
  },

  figures(data, cell) {
    const rows = [];
    data.metrics.forEach(([id, unit], place) => {
      if (!cell.pooled[place] && !cell.seeds.some((seed) => seed.figures[place])) return;
      rows.push([unit ? `${id}, ${unit}` : id, cell.pooled[place] ? shown(unit, cell.pooled[place]) : '-', cell.pooled[place] ? String(cell.pooled[place][3]) : '',
        ...cell.seeds.map((seed) => (seed.figures[place] ? shown(unit, seed.figures[place]) : '-'))]);
    });
    return [table('Every figure, with its 95 % interval', ['metric', 'all seeds', 'n', ...cell.seeds.map((seed) => `seed ${seed.seed}`)], rows)];
  },

  curves(data, cell) {
    const drawn = [];
    const seen = new Set();
    for (const seed of cell.seeds) {
      for (const stage of seed.stages) {
        const curve = data.curves[stage];
        if (!curve || seen.has(stage)) continue;
        seen.add(stage);
        const [steps, losses] = curve;
        const [most, least] = [Math.max(...losses), Math.min(...losses)];
        const y = (loss) => 38 - (36 * (loss - least)) / (most - least || 1);
        const x = (step) => (150 * (step - steps[0])) / (steps[steps.length - 1] - steps[0] || 1);
        const label = `${data.stages[stage][0]}, seed ${seed.seed}: loss ${losses[0]} to ${losses[losses.length - 1]} in ${steps[steps.length - 1]} steps`;
        drawn.push(make('div', {}, make('svg:svg', { viewBox: '0 0 150 40', preserveAspectRatio: 'none', role: 'img', 'aria-label': label },
          make('svg:path', { d: 'M' + steps.map((step, i) => `${x(step).toFixed(1)} ${y(losses[i]).toFixed(1)}`).join('L') })), make('small', { class: 'muted' }, label)));
      }
    }
    return drawn.length === 0 ? [] : [make('h3', {}, 'Training curves'), make('div', { class: 'curves' }, drawn)];
  },

  stages(data, cell) {
    const columns = data.costs;
    return cell.seeds.filter((seed) => seed.stages.length > 0).map((seed) => {
      const used = columns.map((_, i) => seed.stages.some((stage) => data.stages[stage][3 + i]));
      const rows = seed.stages.map((stage) => {
        const [kind, plugin, key, ...costs] = data.stages[stage];
        return [kind, plugin, make('span', { class: 'key' }, key), ...costs.filter((_, i) => used[i]).map((cost) => (cost ? String(cost) : ''))];
      });
      return make('details', {}, make('summary', {}, `Stages of seed ${seed.seed}`),
        table('', ['stage', 'plugin', 'key begins', ...columns.filter((_, i) => used[i])], rows));
    });
  },

  settings(data, cell) {
    const pieces = [['attack', data.attacks[cell.attack], data.settings.attacks], ['defense', data.defenses[cell.defense], data.settings.defenses]];
    const found = pieces.filter(([, name, kept]) => kept && kept[name] !== undefined);
    return found.length === 0 ? [] : [make('details', {}, make('summary', {}, 'Settings of the attack and the defense'),
      found.map(([what, name, kept]) => [make('p', {}, make('b', {}, `${what} ${name}`)), make('pre', {}, JSON.stringify(kept[name], null, 1))]).flat())];
  },

  reports(data, cell) {
    return cell.reports.length === 0 ? [] : [make('details', {}, make('summary', {}, 'What stages report about themselves'),
      table('', ['figure', 'mean over seeds'], cell.reports))];
  },

  samples(data, cell) {
    const seeds = cell.seeds.filter((seed) => seed.samples);
    if (seeds.length === 0) return [make('p', { class: 'muted' }, 'This page holds no samples; holdfast leaderboard RESULTS --samples N puts them in.')];
    return seeds.map((seed) => make('details', {}, make('summary', {}, `Samples of seed ${seed.seed}: the first ${data.sample_count} of each kind of probe`),
      seed.samples.map((sample) => make('div', { class: 'sample' },
        make('div', {}, make('b', {}, sample.id), ` ${sample.kind}${sample.category ? ', ' + sample.category : ''}`,
          make('span', { class: 'key muted' }, sample.digest ? `  reply of ${sample.length} bytes, sha256 ${sample.digest}` : '')),
        make('div', {}, Object.entries(sample.outcomes).map(([metric, value]) => `${metric} ${value}`).join('; ')),
        sample.prompt !== undefined ? make('pre', {}, sample.prompt) : null,
        sample.reply !== undefined ? make('pre', {}, sample.reply) : null))));
  },

  again(data, cell) {
    const quoted = (word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);
    const path = (seed) => [data.folder, data.models > 1 ? data.model : '', data.attacks[cell.attack], data.defenses[cell.defense], String(seed)].filter(Boolean).join('/');
    const lines = [data.run, ...cell.seeds.map((seed) => `holdfast show ${quoted(path(seed.seed))}`)];
    return [make('h3', {}, 'Make it again'), make('pre', {}, lines.join('\n'))];
  },
};

// What the packed data of a board says, with ways to find things in it.
const board_data = async (number) => {
  const data = await unpack('cells-' + number);
  if (data.index) return data;
  data.index = new Map(data.metrics.map(([id], place) => [id, place]));
  let named = 0;  // a stage is told by how far back in the table it stands; 0 is the next that was not named yet
  for (const cell of data.cells) {
    for (const seed of cell.seeds) seed.stages = seed.stages.map((back) => (back === 0 ? named++ : named - back));
  }
  data.cell = (attack, defense) => data.cells.find((cell) => cell.attack === attack && cell.defense === defense);
  data.undefended = (cell) => data.cell(cell.attack, data.defenses.indexOf('none'));
  return data;
};

const close_story = () => {
  history.replaceState(null, '', location.href.split('#')[0]);
  if (dialog.open) dialog.close();
};

// Opens the story that the address names: #model/threat model/attack/defense.
const follow = async () => {
  const [model, threat, attack, defense] = location.hash.slice(1).split('/').map(decodeURIComponent);
  if (defense === undefined) {
    if (dialog.open) dialog.close();
    return;
  }
  const section = all('.board').find((each) => {
    const names = JSON.parse(each.dataset.names);
    return names.model === model && names.threat === threat;
  });
  if (!section) return;
  const data = await board_data(section.dataset.board);
  const cell = data.cell(data.attacks.indexOf(attack), data.defenses.indexOf(defense));
  if (!cell) return;
  const harm = one('select', section).value;
  const ok = cell.seeds.filter((seed) => seed.status === 'ok').length;
  dialog.replaceChildren(
    make('header', {}, make('div', {}, make('h2', { id: 'story-name' }, `${attack === 'none' ? 'no attack' : attack} × ${defense === 'none' ? 'no defense' : defense}`),
      make('p', { class: 'muted' }, `${data.title}; ${ok} of ${cell.seeds.length} seeds ok`)),
    make('div', { class: 'buttons' }, make('button', { type: 'button', onclick: close_story, 'aria-label': 'Close' }, 'Close ×'))),
    make('div', {}, Object.values(story_parts).map((part) => part(data, cell, harm)).flat()));
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
};

dialog.addEventListener('cancel', (event) => {
  event.preventDefault();
  close_story();
});
dialog.addEventListener('click', (event) => {
  if (event.target === dialog) close_story();
});
