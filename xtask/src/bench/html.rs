//! The report as one page that needs nothing else: where ours stands, the plots, every figure.

use super::{
    chart,
    compare::Change,
    report::{Group, Report, Standing},
    table::{better, number, score, standing, times_text},
};
use anyhow::Result;
use std::fmt::Write as _;

const STYLE: &str = include_str!("report.css");

/// The page; with what changed since `old`, if there is an older run.
pub(crate) fn page(report: &Report, old: Option<&Report>) -> Result<String> {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>Footman's benches</title>\n<style>\n{STYLE}</style>\n<main>\n\
         <h1>Footman's benches</h1>\n\
         <p>{}.<br>Each figure is the median of its runs, contenders in turn; whiskers and \
         brackets are the least and the most of them. Names that begin with <em>limit:</em> are what this \
         machine can do.</p>\n",
        escape(&report.machine.to_string()),
    );
    for note in &report.notes {
        let _ = writeln!(page, "<p class=\"note\">{}</p>", escape(note));
    }
    let groups = report.groups();
    leads(&mut page, &groups);
    let charts = chart::all(report)?;
    let mut area = "";
    for chart in &charts {
        let of = chart.name.split('/').next().unwrap_or_default();
        if of != area {
            if !area.is_empty() {
                page += "</div>\n";
            }
            area = of;
            let _ = write!(
                page,
                "<h2 id=\"{0}\">{0}</h2>\n<div class=\"plots\">\n",
                escape(area)
            );
        }
        let _ = writeln!(page, "<figure>{}</figure>", chart.svg);
    }
    if !charts.is_empty() {
        page += "</div>\n";
    }
    figures(&mut page, &groups, old);
    page += "<h2>Versions</h2>\n<p>";
    for (name, version) in &report.versions {
        let _ = write!(page, "<code>{} {}</code> ", escape(name), escape(version));
    }
    page += "</p>\n</main>\n</html>\n";
    Ok(page)
}

/// Where ours stands beside the best peer, a row a group.
fn leads(page: &mut String, groups: &[Group<'_>]) {
    let led: Vec<_> = groups
        .iter()
        .filter_map(|group| Some((group, group.lead()?)))
        .collect();
    if led.is_empty() {
        return;
    }
    let _ = write!(
        page,
        "<h2>Beside the best peer</h2>\n<p>{}. Bars are logarithmic; grey ones are within the spread.</p>\n\
         <div class=\"wide\"><table class=\"leads\">\n\
         <tr><th>group<th class=\"n\">ours<th class=\"n\">best<th>peer<th class=\"aside\">unit<th class=\"n\">ours is\
         <th class=\"lead\"><span>worse</span><span>better</span>\n",
        score(groups),
    );
    for (group, lead) in led {
        let class = match lead.standing() {
            Standing::Ahead => "better",
            Standing::Even => "even",
            Standing::Behind => "worse",
        };
        let side = if lead.times >= 1.0 { "left" } else { "right" };
        // A thousandfold fills its half.
        let part = (lead.times.log10().abs() / 3.0).min(1.0) * 50.0;
        let _ = writeln!(
            page,
            "<tr><td>{}<td class=\"n\">{}<td class=\"n\">{}<td>{}<td class=\"aside\">{}<td class=\"n {class}\">{}\
             <td class=\"lead\"><i class=\"{class}\" style=\"{side}:50%;width:{part:.1}%\"></i>",
            escape(group.name),
            number(lead.ours.median),
            number(lead.peer.median),
            escape(&lead.peer.contender),
            escape(group.unit()),
            times_text(lead.times),
        );
    }
    *page += "</table></div>\n";
}

/// Every figure.
fn figures(page: &mut String, groups: &[Group<'_>], old: Option<&Report>) {
    *page += "<h2>Every figure</h2>\n<div class=\"wide\"><table>\n<tr><th>group, contender<th>median<th>least<th>most<th>runs<th>";
    *page += if old.is_some() {
        "<th>before<th>\n"
    } else {
        "\n"
    };
    for group in groups {
        let _ = writeln!(
            page,
            "<tr class=\"group\"><td colspan=\"8\">{} <small>{}, {} is better</small>",
            escape(group.name),
            escape(group.unit()),
            better(group.better()),
        );
        for figure in &group.figures {
            let class = if figure.is_ours() { "ours" } else { "" };
            let _ = write!(
                page,
                "<tr class=\"{class}\"><td>{}<td class=\"n\">{}<td class=\"n\">{}<td class=\"n\">{}<td class=\"n\">{}<td>{}",
                escape(&figure.contender),
                number(figure.median),
                number(figure.min),
                number(figure.max),
                figure.runs,
                standing(group, figure).replace('◄', "◂"),
            );
            if let Some(before) = old.and_then(|old| old.counterpart(figure)) {
                let change = Change::between(before, figure);
                let class = match change {
                    Change::Better => "better",
                    Change::Worse => "worse",
                    Change::Within => "",
                };
                let _ = write!(
                    page,
                    "<td class=\"n\">{}<td class=\"{class}\">{change}",
                    number(before.median)
                );
            }
            page.push('\n');
        }
    }
    *page += "</table></div>\n";
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::report::tests::example;

    #[test]
    fn a_page_stands_alone_and_names_everything() {
        let report = example();
        let page = page(&report, Some(&example())).expect("it is written");
        for word in [
            "ring/1to1/u64/b256",
            "limit:memory &lt;copy&gt;",
            "2.50 × better",
            "a note",
            "rtrb 0.",
            "within the spread",
            "<svg",
        ] {
            assert!(page.contains(word), "{word}");
        }
        assert!(!page.contains("<copy>"));
        for outside in ["src=", "href=", "url("] {
            assert!(
                !page.contains(outside),
                "{outside}: a page that needs something else"
            );
        }
    }
}
