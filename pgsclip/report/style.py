"""Style of the page, from a phone to a wide screen, by day and by night."""

from __future__ import annotations

_SHEET = """
:root{color-scheme:light dark;--paper:#fff;--ink:#1d2228;--soft:#5f6873;--line:#d9dee4;--ours:#eef4ff;--good:#1a7f37}
@media(prefers-color-scheme:dark){:root{--paper:#14181d;--ink:#e6e9ed;--soft:#9aa4af;--line:#333b44;--ours:#1b2a44;--good:#4ac26b}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:1280px;margin:0 auto;padding:20px 16px 60px}
h1{font-size:1.5rem;overflow-wrap:anywhere}
h2{margin:2.2em 0 .6em;padding-top:.6em;border-top:1px solid var(--line);font-size:1.25rem;overflow-wrap:anywhere}
h3{margin:1.6em 0 .5em;font-size:1rem}
.small,small{color:var(--soft);font-size:12px;overflow-wrap:anywhere}
pre{padding:10px 12px;border:1px solid var(--line);border-radius:6px;white-space:pre-wrap;overflow-wrap:anywhere;font-size:13px}
.wide{overflow-x:auto;max-width:100%}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:4px 10px;border-bottom:1px solid var(--line);text-align:right;font-weight:400;white-space:nowrap}
thead th{vertical-align:bottom;white-space:normal;min-width:62px;max-width:130px;overflow-wrap:anywhere;font-weight:600}
tbody th,thead th:first-child{position:sticky;left:0;background:var(--paper);text-align:left}
td small{display:block}
.average th,.average td{border-top:2px solid var(--line)}
.ours,.difference{background:var(--ours)}
.best{font-weight:700}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,360px),1fr));gap:18px}
.card{border:1px solid var(--line);border-radius:8px;padding:10px;min-width:0}
svg{display:block;width:100%;max-width:460px;height:auto;margin:0 auto}
.legend{display:flex;flex-wrap:wrap;gap:4px 14px;margin-top:6px;font-size:13px}
.legend span{display:flex;align-items:center;gap:6px;overflow-wrap:anywhere}
.legend i{flex:none;width:14px;height:4px;border-radius:2px}
figure{margin:0;border:1px solid var(--line);border-radius:8px;padding:10px;min-width:0}
figcaption{margin-bottom:8px;font-weight:600;overflow-wrap:anywhere}
.row{display:grid;grid-template-columns:repeat(5,1fr);gap:5px}
.thumb{display:block;width:100%;aspect-ratio:1;object-fit:contain;border:3px solid transparent;border-radius:4px;background:#fff}
.right{border-color:var(--good)}
.side{display:grid;grid-template-columns:110px 1fr;gap:10px}
.side ol{margin:0;padding-left:20px;font-size:13px;overflow-wrap:anywhere}
.masks{display:grid;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:10px;margin-bottom:10px}
.masks figure{padding:6px}
.masks img{display:block;width:100%;max-width:224px;height:auto}
@media(max-width:640px){
table,tbody{display:block;width:100%}
thead{display:none}
tbody tr{display:grid;grid-template-columns:repeat(auto-fill,minmax(104px,1fr));padding:6px 0;border-bottom:1px solid var(--line)}
tbody th{grid-column:1/-1;font-weight:600;border:0;padding:4px 6px;white-space:normal}
tbody td{border:0;padding:3px 6px;text-align:left;white-space:normal}
td::before{content:attr(data-label);display:block;color:var(--soft);font-size:12px;font-weight:400;overflow-wrap:anywhere}
td.unknown{display:none}
.average th,.average td{border-top:0}
}
"""
STYLE = _SHEET.strip().replace("\n", "")
