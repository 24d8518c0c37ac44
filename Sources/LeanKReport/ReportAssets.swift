/// The report's style sheet and script. Neither needs the network, nor `<` or `&`, so that the page
/// is well-formed XML too.
enum ReportAssets {
  static let style = """
    *{box-sizing:border-box}
    body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
    main,header{max-width:1180px;margin:0 auto;padding:0 20px}
    header{padding-top:28px}
    h1{font-size:24px;margin:0;overflow-wrap:anywhere;line-height:1.25}
    h2{font-size:16px;margin:0 0 2px}
    p{margin:0 0 8px;color:var(--muted)}
    a{color:var(--accent)}
    nav{display:flex;flex-wrap:wrap;gap:4px 14px;margin:10px 0 18px;font-size:14px}
    .cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin:0 0 16px;padding:0}
    .cards div,figure,section{background:var(--card);border:1px solid var(--line);border-radius:8px}
    .cards div{padding:12px 14px}
    .cards dt{font-size:13px;color:var(--muted)}
    .cards dd{margin:0;font-size:22px;font-variant-numeric:tabular-nums;line-height:1.3}
    .cards dd small{display:block;font-size:12.5px;color:var(--muted);line-height:1.35}
    .grid{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:16px}
    figure,section{margin:0;padding:16px;min-width:0}
    .wide{grid-column:1/-1}.tall{grid-row:span 2}
    section{margin:0 0 16px}
    .scroll{overflow-x:auto}
    svg{display:block;width:100%;height:auto}
    svg:focus-visible,a:focus-visible,summary:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
    .cursor{fill:none;stroke:var(--second);stroke-width:2;pointer-events:none}
    output{display:block;min-height:1.5em;margin-top:8px;font-size:14px;font-variant-numeric:tabular-nums;overflow-wrap:anywhere;color:var(--ink)}
    .hint{color:var(--muted)}
    .legend{display:flex;flex-wrap:wrap;gap:2px 16px;font-size:13px}
    .legend i{display:inline-block;width:12px;height:12px;border-radius:2px;margin-right:6px;vertical-align:-1px}
    i.a{background:var(--accent)}i.b{background:var(--second)}i.c{background:var(--third)}
    ul.advice{margin:6px 0 0;padding:0;list-style:none}
    .advice li{padding:7px 0 7px 86px;text-indent:-86px;border-top:1px solid var(--line)}
    .advice b{display:inline-block;width:86px;text-indent:0;font-weight:600;color:var(--muted)}
    .advice .warning b{color:var(--second)}
    table{border-collapse:collapse;font-size:13.5px;font-variant-numeric:tabular-nums;width:100%}
    th,td{text-align:right;padding:3px 10px;border-bottom:1px solid var(--line);white-space:nowrap}
    th:last-child,td:last-child{text-align:left;width:100%}
    .facts th,.facts td{text-align:left;white-space:normal;overflow-wrap:anywhere;vertical-align:top}
    .facts th{white-space:nowrap;color:var(--muted);font-weight:400}
    summary{cursor:pointer;font-weight:600}
    footer{max-width:1180px;margin:0 auto;padding:16px 20px 32px;color:var(--muted);font-size:13px}
    @media(max-width:860px){.grid{grid-template-columns:minmax(0,1fr)}}
    @media(max-width:480px){main,header{padding-left:12px;padding-right:12px}.cards{grid-template-columns:1fr 1fr;gap:8px}
    .cards dd{font-size:19px}figure,section{padding:12px}.advice li{padding-left:0;text-indent:0}.advice b{display:block}
    .chart svg text{font-size:15px}}
    @media print{figure,section{break-inside:avoid}output,nav{display:none}}
    """

  static let script = """
    'use strict';
    const data = JSON.parse(document.getElementById('data').textContent);
    const share = (part, whole) => (100 * part / whole).toFixed(2) + ' %';
    function describe(d, row, col) {
      const i = row * d.cols + col;
      if (d.texts) return d.texts[i];
      if (d.counts) {
        if (0 > d.counts[i]) return null;
        return `layer ${row}, KV head ${col}: keeps ${d.counts[i]} of ${d.of[row]} channels (${share(d.counts[i], d.of[row])})`;
      }
      if (d.heads) {
        if (0 > d.heads[i]) return null;
        return `layer ${row}, channel ${col}: kept by ${d.heads[i]} of ${d.of[row]} heads`;
      }
      if (d.bits[i] === '-') return null;
      const width = d.width[row], kept = d.bits[i] === '1' ? 'kept' : 'pruned';
      const place = `layer ${row}, KV head ${Math.floor(col / width)}, channel ${col % width}: `;
      if (!d.scores) return place + kept;
      return place + `score ${d.scores[i] === null ? 'infinite' : d.scores[i]}, ${kept}`;
    }
    for (const [id, d] of Object.entries(data)) {
      const figure = document.getElementById(id), svg = figure.querySelector('svg');
      const cursor = figure.querySelector('.cursor'), output = figure.querySelector('output');
      const [x, y, width, height] = d.at, w = width / d.cols, h = height / d.rows;
      let row = 0, col = 0, shown = false;
      function show(r, c) {
        const text = describe(d, r, c);
        if (text === null) return;
        row = r; col = c; shown = true;
        output.textContent = text; output.className = '';
        cursor.setAttribute('x', x + c * w); cursor.setAttribute('y', y + r * h);
        cursor.setAttribute('width', w); cursor.setAttribute('height', h);
      }
      function point(event) {
        const p = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
        const c = Math.floor((p.x - x) / w), r = Math.floor((p.y - y) / h);
        if (c >= 0) if (d.cols > c) if (r >= 0) if (d.rows > r) show(r, c);
      }
      svg.addEventListener('pointermove', point);
      svg.addEventListener('pointerdown', point);
      svg.addEventListener('focus', () => { if (!shown) show(0, 0); });
      svg.addEventListener('keydown', event => {
        const step = event.shiftKey ? 8 : 1, last = d.cols - 1, bottom = d.rows - 1;
        const moves = { ArrowLeft: [0, -step], ArrowRight: [0, step], ArrowUp: [-step, 0], ArrowDown: [step, 0],
          Home: [0, -last], End: [0, last], PageUp: [-bottom, 0], PageDown: [bottom, 0] };
        const move = moves[event.key];
        if (!move) return;
        event.preventDefault();
        const r = Math.min(bottom, Math.max(0, row + move[0]));
        let c = Math.min(last, Math.max(0, col + move[1]));
        // A row can be shorter than the picture: its last cell then.
        while (describe(d, r, c) === null) { if (c === 0) return; c -= 1; }
        show(r, c);
        cursor.scrollIntoView({ block: 'nearest', inline: 'nearest' });
      });
    }
    """
}
