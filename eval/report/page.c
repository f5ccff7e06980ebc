/*
 * The look and the script of a report's page.
 *
 * One idea: text lines in arrays, because a string literal may hold no more than 4,095 characters.
 * The script only synchronises stems; everything else works without it.
 */
#include "eval/report/internal.h"

const char *const rg__page_style[] = {
    ":root{--ink:#1d2733;--soft:#5b6875;--line:#dde3ea;--page:#f6f8fa;--card:#fff;--accent:#"
    "2f7ed8;",
    "--good:#1d7a46;--goodbg:#e5f5ec;--bad:#b3261e;--badbg:#fdeceb;--note:#eef3f9;color-scheme:"
    "light dark}",
    "@media(prefers-color-scheme:dark){:root{--ink:#e3e8ee;--soft:#97a3b0;--line:#2d3743;--page:#"
    "12171d;",
    "--card:#1a212a;--accent:#6aa9f0;--good:#6fd39b;--goodbg:#14301f;--bad:#ff9a92;--badbg:#3b1a19;"
    "--note:#1e2935}}",
    "*{box-sizing:border-box}body{margin:0;background:var(--page);color:var(--ink);",
    "font:16px/1.55 system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}",
    "header,main,footer{max-width:1300px;margin:0 auto;padding:0 24px}header{padding-top:34px}",
    "h1{font-size:27px;line-height:1.25;margin:0 0 14px}h2{font-size:21px;margin:0 0 10px}",
    "h3{font-size:17px;margin:26px 0 6px}h4{font-size:15px;margin:0}",
    "p{max-width:78ch;margin:8px 0}section{background:var(--card);border:1px solid var(--line);",
    "border-radius:10px;padding:20px 24px;margin:20px 0}",
    "nav{position:sticky;top:0;z-index:2;background:var(--page);border-bottom:1px solid "
    "var(--line)}",
    "nav div{max-width:1300px;margin:0 auto;padding:9px "
    "24px;display:flex;gap:18px;flex-wrap:wrap;font-size:14px}",
    "nav a{color:var(--accent);text-decoration:none}nav a:hover{text-decoration:underline}",
    "dl.facts{display:grid;grid-template-columns:max-content 1fr;gap:3px 18px;margin:0 0 "
    "14px;font-size:14px}",
    "dl.facts dt{color:var(--soft)}dl.facts dd{margin:0;overflow-wrap:anywhere}",
    "details{margin:6px 0}summary{cursor:pointer;color:var(--accent);font-size:14px}",
    "pre{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:12px;",
    "overflow:auto;max-height:420px;font-size:12.5px;line-height:1.45}",
    ".scroll{overflow-x:auto;margin:14px 0 "
    "18px}table{border-collapse:collapse;min-width:100%;font-size:14px}",
    "caption{text-align:left;color:var(--soft);padding:0 0 8px;font-size:14px;max-width:90ch}",
    "th,td{padding:7px 9px;border-bottom:1px solid var(--line);text-align:right;",
    "font-variant-numeric:tabular-nums;white-space:nowrap;vertical-align:top}",
    "thead th{font-weight:600;vertical-align:bottom;border-bottom:2px solid var(--line)}",
    "thead small,td small{display:block;color:var(--soft);font-weight:400;font-size:11.5px}",
    "tbody th{text-align:left;font-weight:500;white-space:normal;min-width:190px}",
    "td.text{white-space:normal}",
    "tr.floor,tr.ceiling{color:var(--soft)}tr.ours{font-weight:600}tr.ours td "
    "small{font-weight:400}",
    "td.bad{color:var(--bad);background:var(--badbg)}td.good{color:var(--good)}",
    "abbr{text-decoration:none;color:var(--accent)}",
    ".tag{font-size:11px;border:1px solid var(--line);border-radius:9px;padding:1px "
    "7px;color:var(--soft)}",
    ".verdict{padding:8px 14px;border-radius:8px;background:var(--note);max-width:none}",
    ".verdict.good{color:var(--good);background:var(--goodbg)}.verdict.bad{color:var(--bad);"
    "background:var(--badbg)}",
    ".flag{background:var(--bad);color:var(--card);border-radius:4px;font-size:12px;font-weight:"
    "600;padding:1px 7px;margin-left:8px}",
    ".figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(330px,1fr));gap:18px;"
    "margin:14px 0}",
    "figure{margin:0;min-width:0}figure svg{width:100%;height:auto;display:block}",
    "figcaption{color:var(--soft);font-size:13px;margin-top:4px}",
    ".spectrogram{width:100%;height:170px;display:block;border-radius:6px;image-rendering:auto}",
    ".item{border-top:1px solid var(--line);padding:14px "
    "0}.note{color:var(--soft);font-size:13.5px;margin:2px 0 8px}",
    ".players{display:flex;flex-wrap:wrap;gap:12px 20px;margin-top:8px}.players "
    "label{font-size:13px;color:var(--soft)}",
    ".players "
    "label>span{display:block;margin-bottom:3px}audio{height:34px;width:250px;display:block}",
    ".transport{display:flex;gap:12px;align-items:center;margin:8px 0}.transport "
    ".seek{flex:1;max-width:420px}",
    "button{font:inherit;font-size:13px;border:1px solid "
    "var(--line);background:var(--page);color:var(--ink);",
    "border-radius:6px;padding:3px "
    "12px;cursor:pointer}button.on{background:var(--accent);color:var(--card)}",
    ".stem{display:flex;gap:8px;align-items:center;margin:4px "
    "0;font-size:14px;flex-wrap:wrap}.stem>span{min-width:150px}",
    "footer{color:var(--soft);font-size:13px;padding-bottom:40px}",
    "@media(max-width:640px){header,main,footer{padding-left:14px;padding-right:14px}section{"
    "padding:16px 14px}",
    "dl.facts{grid-template-columns:1fr}dl.facts dt{margin-top:6px}audio{width:100%}}",
    "@media print{nav{display:none}section{break-inside:avoid}}",
    0};

const char *const rg__page_script[] = {
    "for(const box of document.querySelectorAll('.stems')){",
    "const rows=[...box.querySelectorAll('.stem')].map(e=>({a:e.querySelector('audio'),",
    "m:e.querySelector('.mute'),s:e.querySelector('.solo')}));",
    "const "
    "play=box.querySelector('.play'),seek=box.querySelector('.seek'),out=box.querySelector('output'"
    ");",
    "const lead=rows[0]&&rows[0].a;if(!lead)continue;",
    "const mix=()=>{const solo=rows.some(r=>r.s.classList.contains('on'));for(const r of rows)",
    "r.a.muted=r.m.classList.contains('on')||(solo&&!r.s.classList.contains('on'));};",
    "for(const r of rows)for(const b of [r.m,r.s])b.onclick=()=>{b.classList.toggle('on');mix();};",
    "play.onclick=()=>{const go=lead.paused;for(const r of "
    "rows){if(go){r.a.currentTime=lead.currentTime;r.a.play();}",
    "else r.a.pause();}play.textContent=go?'Pause':'Play';};",
    "seek.oninput=()=>{for(const r of rows)r.a.currentTime=seek.value/1000*(lead.duration||0);};",
    "lead.ontimeupdate=()=>{const t=lead.currentTime;seek.value=1000*t/(lead.duration||1);",
    "out.textContent=Math.floor(t/60)+':'+String(Math.floor(t%60)).padStart(2,'0');};",
    "lead.onended=()=>{play.textContent='Play';};}",
    0};
