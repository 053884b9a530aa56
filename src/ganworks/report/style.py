"""How the page looks: one column, light and dark, on a phone and on paper."""

STYLE = """
:root {
  color-scheme: light dark;
  --ink: #1d2125; --soft: #57606a; --paper: #ffffff; --raised: #f5f6f8; --line: #d5d9de;
  --good: #0b6e4f; --bad: #a8431a;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e6e8ea; --soft: #a3abb4; --paper: #15181c; --raised: #1f2429; --line: #383f47;
    --good: #4cc38a; --bad: #f0955f;
  }
  .curves img { filter: invert(1) hue-rotate(180deg) contrast(0.9); }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 1.5rem 1rem 3rem; max-width: 72rem;
  color: var(--ink); background: var(--paper); font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere;
}
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0; }
h2 { font-size: 1.25rem; margin: 2.25rem 0 0.5rem; padding-top: 0.75rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 0; }
p { margin: 0.4rem 0; max-width: 46rem; }
.soft, caption, figcaption { color: var(--soft); font-size: 0.9rem; }
.verdict { margin: 0.9rem 0; padding: 0.8rem 1rem; background: var(--raised); border-left: 4px solid var(--bad); }
.verdict.good { border-left-color: var(--good); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: 0.5rem 0; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
caption { text-align: left; padding-bottom: 0.2rem; }
th, td { text-align: left; vertical-align: top; padding: 0.25rem 1rem 0.25rem 0; border-bottom: 1px solid var(--line); }
.numbers table { width: max-content; }
.numbers tbody th { max-width: min(32rem, 36vw); }
.numbers td { max-width: 24rem; }
thead th { color: var(--soft); font-weight: 600; font-size: 0.9rem; white-space: nowrap; }
tbody th { font-weight: 500; }
pre, code { font: 0.9rem/1.45 ui-monospace, monospace; }
pre { margin: 0.4rem 0; padding: 0.6rem 0.8rem; overflow-x: auto; }
pre { background: var(--raised); border: 1px solid var(--line); }
.verdict pre { background: var(--paper); }
pre.command { white-space: pre-wrap; user-select: all; }
figure { margin: 0; }
img { display: block; max-width: 100%; height: auto; background: #ffffff; }
.curves { overflow-x: auto; }
.curves img { width: 100%; min-width: 62rem; }
.grids { display: grid; gap: 1rem; grid-template-columns: repeat(4, 1fr); }
.grids .broad { grid-column: span 2; }
.grids img { width: 100%; }
@media (max-width: 48rem) { .grids { gap: 0.6rem; grid-template-columns: repeat(2, 1fr); } }
summary { cursor: pointer; }
@media print {
  body { max-width: none; padding: 0; font-size: 10pt; }
  .curves img { min-width: 0; }
  .numbers table { width: auto; font-size: 8.5pt; }
  .grids { grid-template-columns: repeat(4, 1fr); }
  .verdict, figure, tr { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
}
"""
