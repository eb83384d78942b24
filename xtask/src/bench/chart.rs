//! The figures as plots, in SVG: bars with the spread, latency by percentile, cost against subscribers.
//!
//! Which groups belong into one plot, and of which kind, follows from their names (`family`); nothing is
//! plotted that is not in the report. Ours stand out by colour and by weight, limits are grey.

mod bars;
mod curves;
mod family;

use super::report::{Figure, Report};
use anyhow::Result;
use plotters::{
    coord::Shift,
    prelude::{DrawingArea, IntoDrawingArea as _, RGBColor, SVGBackend},
    style::{
        Color as _, FontStyle, IntoTextStyle as _, TextStyle,
        text_anchor::{HPos, Pos, VPos},
    },
};

/// Pixels across a plot.
const WIDTH: u32 = 760;

// Each colour is used for one thing only, so that the dark form can name it.
const INK: RGBColor = RGBColor(31, 35, 40);
const FAINT: RGBColor = RGBColor(99, 108, 118);
const GRID: RGBColor = RGBColor(216, 222, 228);
const OURS: RGBColor = RGBColor(217, 72, 15);
const LIMIT: RGBColor = RGBColor(175, 184, 193);
/// Peers, in the order in which they come; apart also for those who see no red or green.
const PEERS: [RGBColor; 8] = [
    RGBColor(51, 102, 153),
    RGBColor(0, 140, 140),
    RGBColor(125, 91, 166),
    RGBColor(118, 142, 60),
    RGBColor(94, 129, 172),
    RGBColor(165, 110, 60),
    RGBColor(80, 80, 130),
    RGBColor(60, 150, 100),
];

/// What a dark page needs: the same plot, light on dark.
const STYLE: &str = "<style>@media (prefers-color-scheme: dark) {\
[fill=\"#1F2328\"]{fill:#e6edf3}[stroke=\"#1F2328\"]{stroke:#e6edf3}\
[fill=\"#636C76\"]{fill:#9198a1}[stroke=\"#636C76\"]{stroke:#9198a1}\
[stroke=\"#D8DEE4\"]{stroke:#30363d}[fill=\"#D8DEE4\"]{fill:#30363d}\
[fill=\"#D9480F\"]{fill:#ff7b39}[stroke=\"#D9480F\"]{stroke:#ff7b39}\
[fill=\"#AFB8C1\"]{fill:#484f58}[stroke=\"#AFB8C1\"]{stroke:#6e7681}\
[fill=\"#336699\"]{fill:#5c9bd6}[stroke=\"#336699\"]{stroke:#5c9bd6}\
[fill=\"#7D5BA6\"]{fill:#b392d8}[stroke=\"#7D5BA6\"]{stroke:#b392d8}\
[fill=\"#505082\"]{fill:#9a9ad0}[stroke=\"#505082\"]{stroke:#9a9ad0}}</style>";

/// A plot, and which area and groups it is about.
#[derive(Debug)]
pub(crate) struct Chart {
    pub(crate) name: String,
    pub(crate) svg: String,
}

impl Chart {
    /// A file's name for it.
    pub(crate) fn file_name(&self) -> String {
        let words = self.name.split(|c: char| !c.is_ascii_alphanumeric());
        let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
        format!("{}.svg", words.join("-"))
    }
}

/// A plot for every family of groups in the report.
pub(crate) fn all(report: &Report) -> Result<Vec<Chart>> {
    let groups = report.groups();
    let mut charts = Vec::new();
    for family in family::families(&groups) {
        let svg = match &family.kind {
            family::Kind::Bars => bars::draw(&family)?,
            family::Kind::Curves(axis) => curves::draw(&family, *axis)?,
        };
        charts.push(Chart {
            name: family.name.clone(),
            svg: themed(&svg),
        });
    }
    Ok(charts)
}

/// An empty plot of this height, drawn on by `draw`; its SVG.
fn plot(height: u32, draw: impl FnOnce(&Area<'_>) -> Result<()>) -> Result<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        draw(&area)?;
        area.present()?;
    }
    Ok(svg)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn themed(svg: &str) -> String {
    let end = svg.find('>').map_or(0, |end| end + 1);
    format!("{}\n{STYLE}{}", &svg[..end], &svg[end..])
}

/// Text with its anchor at the middle of this side.
fn text(size: u32, color: RGBColor, side: HPos, style: FontStyle) -> TextStyle<'static> {
    let mut text = ("system-ui, sans-serif", size, style).into_text_style(&(WIDTH, WIDTH));
    text.color = color.to_backend_color();
    text.pos(Pos::new(side, VPos::Center))
}

/// The colour and weight of a contender; `peers` are the names of those that are neither ours nor a limit.
fn look(figure: &Figure, peers: &[&str]) -> (RGBColor, FontStyle) {
    if figure.is_ours() {
        (OURS, FontStyle::Bold)
    } else if figure.is_limit() {
        (LIMIT, FontStyle::Italic)
    } else {
        let place = peers.iter().position(|name| *name == figure.contender);
        (
            PEERS[place.unwrap_or_default() % PEERS.len()],
            FontStyle::Normal,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::report::tests::example;

    #[test]
    fn each_kind_of_group_is_plotted_and_every_contender_named() {
        let charts = all(&example()).expect("they are drawn");
        let names: Vec<_> = charts.iter().map(|chart| chart.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "ring/1to1/u64",
                "servers/latency/10khz",
                "servers/fanout/128B/x…"
            ]
        );
        for (chart, words) in charts.iter().zip([
            [
                "ringbuf-core",
                "tokio broadcast",
                "limit:memory &lt;copy&gt;",
            ],
            ["footman", "nats", "p99.9"],
            ["footman", "nats", "64"],
        ]) {
            for word in words {
                assert!(chart.svg.contains(word), "{word} in {}", chart.svg);
            }
            assert_eq!(chart.svg.matches("<svg").count(), 1);
        }
        assert_eq!(charts[2].file_name(), "servers-fanout-128B-x.svg");
    }
}
