// One board: its tables, and what is chosen of them.
class Board {
  constructor(section) {
    this.section = section;
    this.number = section.dataset.board;
    this.view = one('.view', section);
    this.tools = one('.tools', section);
    this.said = one('output', this.tools);
    this.metric = one('select', this.tools);
    this.filters = all('input', this.tools);
    this.sorted = { column: -1, down: false };
    this.tools.hidden = false;
    this.metric.addEventListener('change', () => this.switch_view());
    for (const field of this.filters) field.addEventListener('input', () => this.filter());
    this.view.addEventListener('click', (event) => this.clicked(event));
    this.view.addEventListener('keydown', (event) => this.pressed(event));
    this.arm();
  }

  async switch_view() {
    const views = await unpack('views-' + this.number);
    this.view.innerHTML = views[this.metric.selectedIndex].html;
    this.sorted = { column: -1, down: false };
    this.arm();
    this.filter();
  }

  // Gives the table that stands there what needs a script.
  arm() {
    this.table = one('.heat', this.view);
    this.rows = all('tbody tr', this.table);  // in the order of the classes
    this.heads = all('.names th', this.table);
    this.table.setAttribute('role', 'grid');
    this.heads.forEach((head, column) => {
      // No <button>: Chromium does not draw one again at the head of a table's next sheet.
      const name = make('span', { role: 'button', tabindex: 0, title: 'Sort by this column' }, ...head.firstChild.childNodes.length ? head.firstChild.childNodes : [head.textContent]);
      head.replaceChildren(name);
      name.addEventListener('click', () => this.sort(column));
      name.addEventListener('keydown', (event) => {
        if (event.key !== 'Enter' && event.key !== ' ') return;
        event.preventDefault();
        this.sort(column);
      });
    });
    for (const row of this.rows) {
      [...row.cells].forEach((cell, column) => {
        if (this.heads[column].dataset.a === undefined || cell.textContent === '-') return;
        cell.classList.add('story');
        cell.tabIndex = -1;
      });
    }
    this.enter();
    for (const list of all('.data', this.view)) list.hidden = false;
  }

  // The one cell that Tab goes to.
  enter() {
    if (all('.story[tabindex="0"]', this.table).some((cell) => !cell.hidden && !cell.parentElement.hidden)) return;
    const first = all('.story', this.table).find((cell) => !cell.hidden && !cell.parentElement.hidden);
    for (const cell of all('.story[tabindex="0"]', this.table)) cell.tabIndex = -1;
    if (first) first.tabIndex = 0;
  }

  // Up, down, and back to the order of the classes. The undefended model stays first.
  sort(column) {
    const { column: before, down } = this.sorted;
    this.sorted = before !== column ? { column, down: false } : down ? { column: -1, down: false } : { column, down: true };
    const key = (row) => {
      const text = row.cells[column].firstChild ? row.cells[column].firstChild.textContent : '';
      const number = Number.parseFloat(text);
      return column === 0 ? text.toLowerCase() : Number.isNaN(number) ? Infinity : number;
    };
    const order = this.rows.slice(1);
    if (this.sorted.column >= 0) {
      const way = this.sorted.down ? -1 : 1;
      order.sort((a, b) => {
        const [x, y] = [key(a), key(b)];
        if (x === Infinity || y === Infinity) return (x === Infinity) - (y === Infinity);
        return x < y ? -way : x > y ? way : 0;
      });
    }
    one('tbody', this.table).append(this.rows[0], ...order);
    this.heads.forEach((head, place) => {
      if (place === this.sorted.column) head.setAttribute('aria-sort', this.sorted.down ? 'descending' : 'ascending');
      else head.removeAttribute('aria-sort');
    });
    this.say();
  }

  // Hides rows and columns; moves none.
  filter() {
    const [defenses, attacks] = this.filters.map((field) => field.value.toLowerCase().split(',').map((word) => word.trim()).filter(Boolean));
    const hides = (words, name) => words.length > 0 && !words.some((word) => name.toLowerCase().includes(word));
    const name_of = (row) => one('th', row).firstChild.textContent;
    for (const row of all('tr[data-d]', this.view)) row.hidden = !row.classList.contains('u') && hides(defenses, name_of(row));
    const hidden = this.heads.map((head) => head.dataset.a !== undefined && !head.classList.contains('c') && hides(attacks, head.textContent));
    this.heads.forEach((head, column) => { head.hidden = hidden[column]; });
    for (const row of this.rows) [...row.cells].forEach((cell, column) => { cell.hidden = hidden[column]; });
    let column = 0;
    for (const group of all('.groups th', this.table)) {
      const span = Number(group.dataset.span || group.colSpan);
      group.dataset.span = span;
      const shown = hidden.slice(column, column + span).filter((one_hidden) => !one_hidden).length;
      group.hidden = shown === 0;
      if (shown > 0) group.colSpan = shown;
      column += span;
    }
    this.enter();
    this.say();
  }

  say() {
    const shown = this.rows.slice(1).filter((row) => !row.hidden).length;
    const columns = this.heads.filter((head) => head.dataset.a !== undefined && !head.classList.contains('c'));
    const { column, down } = this.sorted;
    this.said.textContent = `${shown} of ${this.rows.length - 1} defenses, ${columns.filter((head) => !head.hidden).length} of ${columns.length} attacks; ` +
      (column < 0 ? 'in the order of the classes' : `by ${this.heads[column].textContent}, ${down ? 'largest' : 'smallest'} first`);
  }

  clicked(event) {
    const cell = event.target.closest('.story');
    if (cell) this.open(cell);
    const taken = event.target.closest('[data-chart]');
    if (taken) this.take(taken);
  }

  async take(button) {
    const view = (await unpack('views-' + this.number))[this.metric.selectedIndex];
    const chart = view.charts[Number(button.dataset.chart)];
    const kind = button.dataset.kind;
    const types = { svg: 'image/svg+xml', csv: 'text/csv', 'vl.json': 'application/json' };
    const text = kind === 'csv' ? JSON.parse(chart['vl.json']).data.values : chart[kind];  // the specification holds its data as CSV
    save(`${chart.name}.${kind}`, types[kind], text);
  }

  open(cell) {
    const { attacks, defenses, model, threat } = JSON.parse(this.section.dataset.names);
    const attack = cell.dataset.try || attacks[Number(this.heads[cell.cellIndex].dataset.a)];
    const defense = defenses[Number(cell.parentElement.dataset.d)];
    location.hash = [model, threat, attack, defense].map(encodeURIComponent).join('/');
  }

  pressed(event) {
    const cell = event.target.closest('.story');
    if (!cell) return;
    if (event.key === 'Enter' || event.key === ' ') {
      event.preventDefault();
      this.open(cell);
      return;
    }
    const rows = all('tbody tr', this.table).filter((row) => !row.hidden);
    const stories = (row) => [...row.cells].filter((other) => other.classList.contains('story') && !other.hidden);
    const beside = (row, column) => row && stories(row).reduce((best, other) =>
      !best || Math.abs(other.cellIndex - column) < Math.abs(best.cellIndex - column) ? other : best, undefined);
    const line = stories(cell.parentElement);
    const place = line.indexOf(cell);
    const row = rows.indexOf(cell.parentElement);
    const next = {
      ArrowLeft: () => line[place - 1], ArrowRight: () => line[place + 1], Home: () => line[0], End: () => line[line.length - 1],
      ArrowUp: () => beside(rows[row - 1], cell.cellIndex), ArrowDown: () => beside(rows[row + 1], cell.cellIndex),
      PageUp: () => beside(rows[Math.max(0, row - 10)], cell.cellIndex), PageDown: () => beside(rows[Math.min(rows.length - 1, row + 10)], cell.cellIndex),
    }[event.key];
    const target = next && next();
    if (!target) return;
    event.preventDefault();
    cell.tabIndex = -1;
    target.tabIndex = 0;
    target.focus();
  }
}


// On paper everything that is folded is open.
window.addEventListener('beforeprint', () => {
  for (const fold of all('details:not([open])')) fold.open = true;
});

const boards = all('.board').map((section) => new Board(section));
window.addEventListener('hashchange', follow);
follow();
for (const board of boards) board.say();
document.documentElement.dataset.ready = Math.round(performance.now());
